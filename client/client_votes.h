/* client_votes.h - what a client believes: the decision alone, without connections and time. The client library
 * (client_pending.c) and the clients of the simulator (tests/fixture/cluster_client.c) both decide with it.
 *
 * One replica is never believed. A transaction's answer is a block header given by f+1 members, with the same results
 * proven to be in it; a read's is the same value from Q of them. Signatures are the caller's affair. */
#ifndef PBFT_CLIENT_VOTES_H
#define PBFT_CLIENT_VOTES_H

#include "wire/codec.h"
#include "wire/constants.h"
#include "wire/quorum.h"
#include "wire/schema.h"

/* What one replica answered to one transaction or read. */
struct client_vote {
    bool present;
    uint64_t view;
    uint64_t seq;          /* reads: state it answered from */
    struct digest what;    /* client_votes_reply or client_votes_result: equal means the same answer */
    enum busy_reason busy; /* or its refusal */
};

/* The results of one transaction, borrowed from a REPLY. */
struct client_results {
    uint32_t count;
    uint64_t first_index; /* in the whole ledger */
    enum outcome *outcomes;
    struct bytes *values;
};

/* Collects the results of a transaction of op_count operations from a REPLY, whose entries for it stand together and
 * begin at `first`: each proven to be in its block, operations 0, 1, 2... in order, or one entry that stands for all.
 * False when they do not prove a complete answer. results has room for op_count; *what binds the header and all
 * results. */
MUST_USE bool client_votes_reply(const struct wire_reply *m, struct wire_iterator first, uint32_t op_count,
                                 struct client_results *results, struct digest *what);
struct digest client_votes_result(const struct wire_result *m);
/* How many of the replica_count votes name that answer. */
uint32_t client_votes_for(const struct client_vote *votes, uint32_t replica_count, const struct digest *what);
/* True when that many replicas must have given one answer to a transaction, or to a read, and have. */
bool client_votes_settle(const struct client_vote *votes, const struct quorum *quorum, const struct digest *what);
bool client_votes_settle_read(const struct client_vote *votes, const struct quorum *quorum, const struct digest *what);

#endif
