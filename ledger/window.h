/* window.h - what one client has had settled: highest sequence and the last W slots (design.md section 6). Replicated
 * state: every replica has the same (rule 22). Plain data; W slots indexed by seq % W. */
#ifndef PBFT_LEDGER_WINDOW_H
#define PBFT_LEDGER_WINDOW_H

#include "keys/group.h"
#include "wire/codec.h"
#include "wire/constants.h"

struct client_window {
    enum group_role role;
    uint32_t number;
    uint64_t highest_settled;
    struct wire_window_slot slots[CLIENT_WINDOW]; /* seq 0: empty */
};

enum window_verdict {
    WINDOW_NEW,     /* the slot is empty: execute */
    WINDOW_SAME,    /* settled by this very transaction: give its stored answer */
    WINDOW_OTHER,   /* settled by another transaction: CONFLICT */
    WINDOW_OUTSIDE, /* below or above the window: no effect */
};

enum window_verdict window_judge(const struct client_window *w, uint64_t seq, const struct digest *transaction);
/* Takes the slot of a WINDOW_NEW sequence; the window slides up when seq is a new highest. */
void window_settle(struct client_window *w, const struct wire_window_slot *slot);
/* The slot of a settled sequence inside the window, or NULL. */
const struct wire_window_slot *window_find(const struct client_window *w, uint64_t seq);

/* To and from the stored record; slots ascend by sequence, so equal windows have equal bytes. */
void window_encode(const struct client_window *w, struct buffer *out);
MUST_USE bool window_decode(struct bytes in, struct client_window *out);

#endif
