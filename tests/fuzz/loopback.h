/* loopback.h - a client of a server in this process and its libev loop, for fuzz targets: sends bytes in pieces, takes
 * what comes, goes. */
#ifndef PBFT_TESTS_FUZZ_LOOPBACK_H
#define PBFT_TESTS_FUZZ_LOOPBACK_H

#include "base/bytes.h"

struct ev_loop;

struct ev_loop *loopback_loop(void);
uint16_t loopback_free_port(void);
/* Connects, sends, says that it sends no more, takes what comes until the server ends it or is silent, and closes. */
void loopback_talk(struct ev_loop *loop, uint16_t port, struct bytes in, size_t piece, struct buffer *got);
/* Turns the loop until done(context); false when that takes longer than some seconds. */
MUST_USE bool loopback_wait(struct ev_loop *loop, bool (*done)(void *context), void *context);

#endif
