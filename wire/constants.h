/* constants.h - the numbers that messages carry beside what wire/schema.def says. All are part of the protocol. */
#ifndef PBFT_WIRE_CONSTANTS_H
#define PBFT_WIRE_CONSTANTS_H

#define WIRE_VERSION 1u   /* HELLO: the version of messages */
#define HEADER_VERSION 1u /* the version of block headers */

enum hello_role { HELLO_ROLE_REPLICA = 0, HELLO_ROLE_CLIENT = 1 };

/* What became of an operation; in its entry and in the client's window. */
enum outcome {
    OUTCOME_OK = 0,       /* executed */
    OUTCOME_NEGATIVE = 1, /* executed, and the application's answer is no (a compare-and-set that did not match) */
    OUTCOME_EXPIRED = 2,  /* the batch's time is past the request's expiry */
    OUTCOME_REFUSED = 3,  /* the client's role or the application's check forbids it */
};
#define OUTCOME_MAX 3u

/* FETCH and DATA. */
enum data_kind {
    DATA_KIND_BATCH = 1,
    DATA_KIND_BLOCK = 2,
    DATA_KIND_VIEW_CHANGE = 3,
    DATA_KIND_NEW_VIEW = 4,
    DATA_KIND_STATE = 5,
    DATA_KIND_PAST_BLOCK = 6, /* FETCH: seq and those before it, `count` in all */
};
#define DATA_KIND_MAX 6u

/* state_item kinds. */
enum state_item_kind {
    STATE_ITEM_EMPTY = 0,
    STATE_ITEM_PRUNED = 1,
    STATE_ITEM_DIGEST = 2,
    STATE_ITEM_LEAF = 3,
    STATE_ITEM_INNER = 4,
};

/* STATUS flags. */
#define STATUS_FLAG_WANT_PROOF 1u /* please send me your stable checkpoint with its signatures */
#define STATUS_FLAG_FENCED 2u
#define STATUS_FLAG_ANSWER 4u /* answers a STATUS; is not answered again */
#define STATUS_FLAG_CHANGING 8u /* the sender has left for this view, and waits for its NEW-VIEW */
#define STATUS_FLAG_LISTENING 16u /* the sender has just started: answer with what you hold of it (design.md 7.6) */
#define STATUS_FLAG_SUSPECTS 32u /* the sender would leave its view for its primary's sake, once f+1 would */

/* Why a request or query is not served now. */
enum busy_reason {
    BUSY_OVERLOAD = 1,       /* more than custody takes; try again later */
    BUSY_CONFLICT = 2,       /* this client sequence is settled by another transaction */
    BUSY_TOO_OLD = 3,        /* below the client's window: settled long ago, its answer is no longer kept */
    BUSY_TOO_FAR = 4,        /* above the client's window */
    BUSY_UNKNOWN_CLIENT = 5, /* no such client in the registry */
    BUSY_NOT_READY = 6,      /* starting or stopping */
    BUSY_INVALID = 7,        /* malformed, another group's or epoch's, or the signature is wrong */
    BUSY_DISK_FULL = 8,      /* the replica's disk has no room: it casts no vote until there is some */
};
#define BUSY_REASON_MAX 8u

/* QUORUM: from the newest state that the replica has committed to, believed when Q answer alike. LOCAL: of the replica
 * itself. CERTIFIED: from the last stable checkpoint, with its proof (ledger/certified.h). */
enum query_mode { QUERY_MODE_QUORUM = 0, QUERY_MODE_LOCAL = 1, QUERY_MODE_CERTIFIED = 2 };
#define QUERY_MODE_MAX 2u

/* Applications, the first number of an operation. */
enum app_number { APP_SYSTEM = 0, APP_KV = 1, APP_LOG = 2 };

/* Verbs of kv (ledger/app.h). */
enum app_kv_verb { APP_KV_PUT = 1, APP_KV_GET = 2, APP_KV_DELETE = 3, APP_KV_CAS = 4, APP_KV_LIST = 5 };

/* Questions to the replica itself, QUERY_MODE_LOCAL; never ordered. */
enum system_verb {
    SYSTEM_VERB_STATUS = 1, /* -> replica_status */
    SYSTEM_VERB_CLIENT = 2, /* of the asking client -> client_status */
    SYSTEM_VERB_WHY = 3,    /* what the next sequence waits for -> replica_why */
};

/* Conditions in replica_status. */
enum replica_condition {
    CONDITION_STARTING = 0,
    CONDITION_NO_QUORUM = 1,
    CONDITION_CATCHING_UP = 2,
    CONDITION_SYNCED = 3,
    CONDITION_STALLED = 4,
    CONDITION_DIVERGED = 5,
    CONDITION_FENCED = 6,
    CONDITION_LOG_DISK_FULL = 7,   /* no room for the log environment (or for both) */
    CONDITION_STATE_DISK_FULL = 8, /* no room for the state environment */
};
#define CONDITION_MAX 8u

/* Why a replica is fenced (design.md 7.6), as its data directory keeps it. */
enum fence_reason {
    FENCE_REASON_NONE = 0,
    FENCE_REASON_NEW_DIRECTORY = 1,
    FENCE_REASON_VOTE_DAMAGED = 2,
    FENCE_REASON_VIEW_DAMAGED = 3,    /* of its view, or its own VIEW-CHANGE */
    FENCE_REASON_FENCE_DAMAGED = 4,   /* of an earlier fence */
    FENCE_REASON_VIEW_ABOVE = 5,      /* the others hold its signature: for a view above its record, */
    FENCE_REASON_WINDOW_ABOVE = 6,    /* above the window of its record, */
    FENCE_REASON_COMMIT_LOST = 7,     /* on a COMMIT without its certificate, */
    FENCE_REASON_VIEW_LEFT = 8,       /* on a VIEW-CHANGE out of its view, */
    FENCE_REASON_VOTE_LOST = 9,       /* on a vote that the record of a clean stop lacks, */
    FENCE_REASON_CHECKPOINT_LOST = 10 /* on a CHECKPOINT above its blocks */
};
#define FENCE_REASON_MAX 10u

/* What a member is accused of (wire/evidence.h). */
enum evidence_kind {
    EVIDENCE_KIND_PRE_PREPARE = 1, /* two different ones for one view and sequence; the same for PREPARE and COMMIT */
    EVIDENCE_KIND_PREPARE = 2,
    EVIDENCE_KIND_COMMIT = 3,
    EVIDENCE_KIND_CHECKPOINT = 4,  /* two different ones for one sequence */
    EVIDENCE_KIND_VIEW_CHANGE = 5, /* two different ones for one view */
    EVIDENCE_KIND_CERTIFICATE = 6, /* a VIEW-CHANGE with a certificate that proves nothing */
};
#define EVIDENCE_KIND_MAX 6u

/* replica_why: how far its sequence is, in the view that the replica is in. */
enum why_phase {
    WHY_PHASE_EMPTY = 0,     /* no PRE-PREPARE is here */
    WHY_PHASE_PROPOSED = 1,  /* a PRE-PREPARE is accepted */
    WHY_PHASE_PREPARED = 2,  /* PREPAREs of a quorum are here */
    WHY_PHASE_COMMITTED = 3, /* decided: it only has to be executed */
};
#define WHY_PHASE_MAX 3u

/* replica_why flags */
#define WHY_FLAG_CHANGING 1u            /* it has left for `view`, and waits for its NEW-VIEW */
#define WHY_FLAG_BATCH_HELD 2u          /* the batch of the proposal is here */
#define WHY_FLAG_BATCH_VOID 4u          /* ... and no correct replica can prepare it */
#define WHY_FLAG_PREPARE_SENT 8u        /* this replica has voted for it */
#define WHY_FLAG_CERTIFICATE_DURABLE 16u /* the prepared certificate is on its disk */
#define WHY_FLAG_ENTERED 32u            /* its entry into the view is durable: it may vote */
#define WHY_FLAG_MUTE 64u               /* just started, or fenced: it casts no vote */
#define WHY_FLAG_DIVERGED 128u
#define WHY_FLAG_DISK_FULL 256u
#define WHY_FLAG_DRAINING 512u /* it is being stopped */

/* why_member flags: a member as this replica sees it */
#define WHY_MEMBER_CONNECTED 1u
#define WHY_MEMBER_HEARD 2u    /* it has said STATUS since this replica was started */
#define WHY_MEMBER_CHANGING 4u /* it waits for the NEW-VIEW of its view */
#define WHY_MEMBER_PREPARED 8u /* its PREPARE (the primary's PRE-PREPARE) for the sequence is here */
#define WHY_MEMBER_COMMITTED 16u

enum why_timer_kind {
    WHY_TIMER_REQUEST = 1,  /* then the view is left, because the oldest request or proposal has waited too long */
    WHY_TIMER_NEW_VIEW = 2, /* then the replica goes on to the view after, because no NEW-VIEW came */
};

#endif
