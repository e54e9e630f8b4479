/* crash_check.h - what must hold for an image of a data directory, given what its replica had promised by then
 * (design.md section 7; rules 12, 13, 30, 31). */
#ifndef PBFT_TESTS_CRASH_CHECK_H
#define PBFT_TESTS_CRASH_CHECK_H

#include "keys/group.h"
#include "tests/crash/crash_promise.h"
#include "wire/certificate.h"

struct crash_room {
    const struct group *group;
    struct wire_group wire;
    uint32_t self;
    struct verify_cache *cache; /* images have much in common */
};

/* Starts on the image as pbftd does, looks for every promise in what was recovered, and then provokes the recovered
 * core to contradict one. thorough, or in the middle of a state transfer: all that `pbft ledger check` looks at too. An image of an unfinished init must be one that a second init finishes. Changes the image.
 * Errors: ERR_CORRUPT, saying what does not hold. */
MUST_USE struct err crash_check(const struct crash_room *room, const char *dir, const struct promises *p, bool thorough);

#endif
