/* crash_provoke.h - drives a recovered core into contradicting what its replica sent before the crash. */
#ifndef PBFT_TESTS_CRASH_PROVOKE_H
#define PBFT_TESTS_CRASH_PROVOKE_H

#include "replica/core/core.h"
#include "tests/crash/crash_check.h"

/* START, the other members' STATUS, other proposals than the ones voted for, a client's request, and time. Errors:
 * ERR_CORRUPT, naming the message that contradicts a promise. */
MUST_USE struct err crash_provoke(const struct crash_room *room, const struct core_recovered *recovered,
                                  const struct promises *p);

#endif
