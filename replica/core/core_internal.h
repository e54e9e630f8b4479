/* core_internal.h - the core's state, shared by the files of replica/core/ only. A new field of it goes into core_image.c
 * too, which writes and reads all of it. */
#ifndef PBFT_REPLICA_CORE_CORE_INTERNAL_H
#define PBFT_REPLICA_CORE_CORE_INTERNAL_H

#include "replica/core/core.h"
#include "viewchange/viewchange.h"

/* One member's vote at one sequence: the first one counts, for life (rule 12 for others' votes is theirs). */
struct core_vote {
    bool present;
    struct digest digest;
    struct signature signature;
};

/* One sequence of the window. What is agreed in the current view begins anew with each view:
 *
 *   EMPTY -> PROPOSED -> PREPARED -> COMMITTED
 *
 * What is decided is decided once, whatever the views do: by COMMITTED, or by a fetched block with its certificate.
 *
 *   OPEN -> DECIDED -> EXECUTING -> EXECUTED
 */
enum core_phase {
    CORE_PHASE_EMPTY,    /* no PRE-PREPARE accepted; votes may already be here */
    CORE_PHASE_PROPOSED, /* PRE-PREPARE accepted, which `proposal` is; perhaps its batch is still missing */
    CORE_PHASE_PREPARED, /* Q-1 PREPAREs match; the certificate is on its way to disk or there */
    CORE_PHASE_COMMITTED, /* Q COMMITs match */
};

enum core_decision { CORE_OPEN, CORE_DECIDED, CORE_EXECUTING, CORE_EXECUTED };

/* A batch and what it is. */
struct core_batch {
    struct blob *bytes; /* NULL: not held */
    struct digest digest;
    uint64_t time_ms;
};

struct core_slot {
    uint64_t seq; /* 0 when the slot was never used */
    /* in the current view */
    enum core_phase phase;
    struct core_batch batch; /* digest is set from PROPOSED on */
    struct signature proposal;
    bool batch_void;    /* the batch can never be prepared by a correct replica */
    bool carried;       /* came with the NEW-VIEW: its time is not judged again */
    bool prepare_sent;  /* by this replica, for the digest; a primary's PRE-PREPARE counts as such */
    bool certificate_durable;
    uint64_t certificate_token; /* PERSIST of this view's certificate; 0 when none was given */
    uint64_t since_us;   /* PROPOSED since */
    uint64_t changed_us; /* last change: re-sends wait from here */
    struct core_vote *prepares; /* replica_count of each */
    struct core_vote *commits;
    /* over all views */
    struct blob *kept;            /* prepared certificate of the highest view, given out or durable; or NULL */
    struct core_batch kept_batch; /* ... and its batch */
    struct core_batch extra;      /* fetched, because a VIEW-CHANGE has a certificate for it */
    enum core_decision decision;
    bool batch_persisted;      /* the decided batch was given out with a certificate */
    struct core_batch decided; /* from DECIDED on; no bytes when it was executed before the start */
    struct blob *committed;    /* encoded certificate of Q COMMITs; or NULL */
    struct blob *checkpoint;   /* encoded certificate that came with a fetched block */
};

struct core_checkpoint_vote {
    uint64_t seq; /* 0: none */
    struct digest header_hash;
    struct digest state_root;
    struct signature signature;
};

/* One of the two checkpoints of a window. */
struct core_checkpoint {
    uint64_t seq;               /* 0: this replica has not executed it */
    struct digest header_hash;  /* own */
    struct digest state_root;   /* own */
    uint64_t token;             /* blocks up to seq durable */
    bool durable;               /* ... and so the own vote counts (rule 31) */
    uint64_t sent_us;
    struct core_checkpoint_vote *votes; /* replica_count */
};

/* A client sends s + W once it has accepted the answer to s, which may be before this replica has executed s: so a second
 * window is held above the first, and proposed when the first has moved. */
#define CORE_CLIENT_REQUESTS (2u * CLIENT_WINDOW)

enum core_request_state {
    CORE_REQUEST_EMPTY,
    CORE_REQUEST_HELD,     /* in custody, not in a proposal of ours */
    CORE_REQUEST_PROPOSED, /* in a proposal of ours */
};

struct core_request {
    enum core_request_state state;
    uint64_t seq;
    struct digest transaction;
    struct digest leaf;
    struct blob *bytes;
    uint32_t ops;
    bool parked; /* came above its client's window */
    bool given_again; /* to the primary of this view, which may have refused it at first */
    uint64_t expiry_ms;
    uint64_t since_us;     /* in custody since; one that was parked: its window has reached it since */
    uint64_t forwarded_us; /* last sent to the primary */
    uint64_t roomy_before; /* batches with room executed before it was given again, or its window reached it */
};

struct core_client {
    struct core_client_window window; /* mirror of the replicated window */
    uint64_t bytes;      /* in custody */
    uint64_t parked_bytes;
    uint32_t held;       /* requests in state HELD */
    bool queued;         /* in the ring of clients with something to propose */
    struct core_request requests[CORE_CLIENT_REQUESTS]; /* by seq % CORE_CLIENT_REQUESTS */
};

/* Why this backup would have another primary. */
#define CORE_LENIENCE_MAX 4u /* the bound of a primary is doubled so often at most: it is T or more then, and T comes first */
enum core_suspicion { CORE_SUSPICION_NONE, CORE_SUSPICION_IDLE, CORE_SUSPICION_SLOW, CORE_SUSPICION_UNFAIR };

/* Votes of a view that this replica has not entered yet, of one member: those for one view, the newest (rule 8). */
#define CORE_EARLY_VOTES (2u * WINDOW_BATCHES)
#define CORE_EARLY_PROPOSALS 8u
struct core_early_vote {
    bool commit; /* else a PREPARE */
    uint64_t seq;
    struct digest digest;
    struct signature signature;
};
struct core_early {
    uint64_t view;
    uint32_t count;
    struct core_early_vote *votes; /* CORE_EARLY_VOTES */
};

/* As many questions as a transfer has under way (ledger/state_transfer.h). */
#define CORE_WALK_QUESTIONS 8u

struct core_asked {
    uint32_t number;
    uint64_t seq; /* the checkpoint wanted, or a later one */
    struct blob *ask;
};

/* A batch without which no NEW-VIEW can be built, and when the others were asked for it. */
#define CORE_WANTED_MAX 16u
struct core_wanted {
    struct viewchange_missing what;
    uint64_t asked_us;
};

struct core_peer {
    bool heard;
    bool changing; /* it waits for the NEW-VIEW of its view */
    bool fenced;
    bool suspects;      /* the primary of its view */
    uint32_t gaps; /* as a primary, how long the oldest request of a batch had waited: so many times, as far as they
                      count, ... */
    uint64_t gap_us;    /* ... and the mean of them */
    uint64_t led_us;    /* ... how long there was work, of late ... */
    uint64_t wasted_us; /* ... and what of that was wasted (core_demotion.c) */
    uint32_t filled;    /* empty batches proposed for it, less those that time has given back, */
    uint64_t filled_us; /* ... up to then */
    uint64_t answered_us; /* its question at its start */
    uint64_t view;
    uint64_t executed; /* claimed */
    uint64_t stable;   /* proven */
    uint64_t heard_us;
    uint64_t said;         /* how many marks stood in the maps of its last STATUS */
    uint64_t repaired_us;  /* last repair after its STATUS */
    uint64_t served_us;    /* batches and messages of view changes sent to it again: since when, and bytes */
    uint64_t served_bytes;
    uint64_t contradictions[EVIDENCE_KIND_MAX]; /* found, by kind - 1 (core_evidence.c) */
    /* the state, served to it: its questions wait here, and are answered at a steady rate */
    uint64_t state_served_us;
    uint32_t asked_count;
    struct core_asked asked[CORE_WALK_QUESTIONS];
    /* ... and asked of it */
    uint64_t walk_shunned_us; /* not before then: it lied, was silent, or stood at an older checkpoint */
    uint32_t walk_failures;   /* in a row */
};

/* A question of this replica's own state transfer. */
struct core_question {
    uint32_t number;   /* 0: none */
    struct blob *ask;
    uint32_t peer;     /* whom it was put to; UINT32_MAX: nobody yet */
    uint64_t since_us; /* ... when */
    bool taking;       /* an answer is being looked at */
    uint32_t answered; /* by whom */
};

/* The way to a block of the gap that is wanted out of turn (core_gap.c). */
struct core_detour {
    uint64_t seq;       /* the block wanted; 0: none */
    uint64_t next;      /* the block that must come next: a checkpoint's, or, once one is proven, what that goes back to */
    bool proven;        /* `hash` is what its header must hash to */
    struct digest hash;
    bool asked;         /* the question under way is for it, or the last one was: not for the fill */
    uint32_t failures;  /* questions for it in a row that brought nothing */
};

struct core {
    struct core_config config;
    bool started;
    bool draining;
    bool resigned; /* as primary, for that */
    bool stopping;
    bool diverged;
    bool disk_full; /* no new vote, no VIEW-CHANGE, no custody (design.md section 7) */
    bool active; /* the entry into this view is durable: votes may leave (design.md 7.1) */
    bool changing; /* the view was left for `view`: no vote until its NEW-VIEW is here */
    uint64_t entry_token; /* PERSIST of the start or the NEW-VIEW */
    uint64_t left_token;  /* PERSIST of the own VIEW-CHANGE */
    uint64_t view;
    uint64_t slots_view;    /* the view whose votes are in the slots: entered last */
    uint64_t view_since_us; /* entered, or left for */
    bool overdue;           /* a request's time ran out while this replica was behind the others */
    uint64_t caught_us;     /* no timer began before: when it had caught up after that */
    bool unproven; /* the view was entered by a NEW-VIEW, and nothing has executed in it yet */
    uint64_t view_changes;
    enum core_suspicion suspicion; /* of the primary, as of the last tick */
    uint64_t idle_us;              /* nothing proposed is unfinished here since then; 0: something is */
    uint64_t handed_us;            /* ... and since then it has been given a request meanwhile; 0: none */
    uint64_t stalled_us;   /* nothing has come on since then, though others could bring it on; 0: this is not so */
    uint64_t led_at_us;    /* the last step, after which there was work for the primary; 0: there was none */
    uint64_t wasted_us;    /* by the primary of wasted_view ... */
    uint64_t wasted_at_us; /* ... when the last of it was counted, less what is allowed of the time before */
    uint64_t wasted_view;
    uint64_t looked_us;            /* last look over custody for requests that wait for too long */
    uint64_t votes_us[2];          /* the quickest votes of others' of the last batches, and of those before */
    uint64_t votes_count;
    uint64_t known_us;             /* what had been proposed by then is executed here */
    uint64_t known_until;          /* the same will be known for known_next_us (0: no such time) ... */
    uint64_t known_next_us;        /* ... once that is executed */
    uint64_t roomy_batches;        /* executed since the start */
    uint64_t fairness_us;          /* last look over custody for requests that are passed over */
    uint64_t demotions;            /* views left because f+1 suspected the primary */
    uint32_t lenience;             /* by how many doublings its bound is longer after those ... */
    uint64_t lenience_us;          /* ... last changed */
    struct viewchange *collected;
    struct viewchange_backoff backoff;
    struct blob *own_view_change; /* for `view`, while changing */
    struct blob *new_view;        /* by which the last view was entered; NULL in view 0 */
    uint64_t quorum_us;    /* changing: when Q VIEW-CHANGEs for `view` were here; 0: not yet (rule 17) */
    uint64_t candidate_seen; /* viewchange_candidate_number of the candidate that VIEW-CHANGEs were fetched for ... */
    uint64_t candidate_us; /* ... when last ... */
    uint32_t candidate_tries; /* ... and how often since the last one came */
    uint32_t candidate_round; /* ... and in all: whom to ask next */
    uint32_t candidate_lacking; /* ... and how many were lacking then */
    uint64_t carried_until; /* highest sequence of O: new proposals wait until it has executed */
    struct viewchange_missing missing[WINDOW_BATCHES]; /* batches without which no NEW-VIEW can be built */
    uint32_t missing_count;
    uint32_t wanted_count;
    struct core_wanted wanted[CORE_WANTED_MAX]; /* of them, asked for lately */
    uint64_t now_us;
    uint64_t wall_ms;
    uint64_t low;       /* h */
    uint64_t slots_top; /* no slot above it was ever asked for: those are empty */
    uint64_t executed;  /* EXECUTED was given for all up to here */
    uint64_t handed;    /* EXECUTE was given out for all up to here */
    uint64_t executed_time_ms;
    uint64_t low_time_ms; /* batch time at h; 0 when not known */
    uint64_t next_seq; /* of the primary's next proposal */
    /* design.md 7.6: no vote and no VIEW-CHANGE ... */
    bool listening;           /* ... until Q-1 others have shown what they hold of this replica, */
    struct replica_set heard; /* as these have */
    uint64_t heard_stable;    /* the highest stable checkpoint that they prove */
    struct blob *heard_own;   /* the own VIEW-CHANGE of the highest view that they show; or NULL */
    uint64_t heard_view;      /* its view */
    struct {
        uint64_t view;
        uint64_t low;
        uint64_t executed;
        bool clean;
    } record; /* as it was at the start */
    uint64_t mute_until; /* ... nor, fenced, until h is there */
    bool fence_new;      /* something was shown, or found at the start, that fences */
    enum fence_reason fence_reason;
    uint64_t filled_us; /* last empty batch proposed for a member that is fenced */
    uint64_t abstain_until; /* no PRE-PREPARE or PREPARE in this view up to here (design.md 7.5) */
    uint64_t highest_certificate; /* highest n with a prepared certificate of ours, given out or durable (rule 23) */
    uint64_t highest_durable;     /* ... durable, or perhaps so */
    uint64_t next_token;
    uint64_t durable_token;
    struct wire_checkpoint_certificate stable; /* items live in stable_record */
    struct blob *stable_record;
    uint64_t stable_token; /* PERSIST of a newer certificate under way, 0 when none */
    struct blob *stable_next_record;
    struct core_slot slots[WINDOW_BATCHES];
    struct core_checkpoint checkpoints[WINDOW_BATCHES / CHECKPOINT_INTERVAL];
    struct core_client *clients;
    uint32_t *ring; /* client numbers with held requests, fair between clients (rule 25) */
    uint32_t ring_start;
    uint32_t ring_count;
    uint64_t held_count;    /* requests in state HELD */
    uint64_t custody_count; /* HELD and PROPOSED */
    uint64_t custody_bytes;
    uint64_t parked_bytes;
    uint64_t under_way;     /* own proposals not yet committed */
    uint64_t agreed;        /* the slots up to here need no look in this view; found again from 0 */
    uint64_t oldest_held_us;
    uint64_t oldest_custody_us; /* no request that can be ordered is in custody since before that */
    uint64_t oldest_slot_us;    /* oldest proposal not yet executed; UINT64_MAX: none */
    uint64_t settled_total; /* requests settled since start, and the rate of it */
    uint64_t rate_mark_total;
    uint64_t rate_mark_us;
    uint64_t rate_per_second;
    uint64_t settled_bytes; /* of requests that were in custody, and the rate of it */
    uint64_t rate_mark_bytes;
    uint64_t bytes_per_second;
    struct core_peer *peers;
    struct core_early *early; /* by member */
    struct msg_verified early_proposals[CORE_EARLY_PROPOSALS]; /* of the next view's primary, whose view this may become */
    uint32_t early_proposal_count;                             /* all of one view */
    uint64_t status_us; /* last STATUS sent */
    uint64_t status_wait_us; /* to the next one while something waits: doubles until something has changed */
    bool changed; /* something came on here or at a peer since the last tick */
    uint64_t sweep_us;  /* last look over custody */
    uint64_t forward_next; /* where the next look goes on forwarding: client * CORE_CLIENT_REQUESTS + place */
    uint64_t executed_us; /* last progress of `executed` */
    uint64_t behind_seq;  /* the next sequence here when a peer was first heard to have executed it ... */
    uint64_t behind_us;   /* ... and when that was */
    uint32_t fetch_first; /* who is looked at first for the next fetch: sources rotate (rule 26) */
    uint32_t fetch_peer;  /* whom we asked for blocks; UINT32_MAX: nobody */
    uint64_t fetch_us;
    uint64_t fetch_checkpoint; /* the checkpoint whose certificate was asked for last, while the window is full */
    uint64_t fetch_until; /* highest sequence asked for */
    uint64_t fetch_bytes; /* of the blocks that came for it */
    uint32_t fetch_failures; /* sources in a row that gave nothing new */
    bool walking;         /* the state is being transferred: nothing is executed until the replica is started anew */
    bool walk_begun;      /* ... and WALK_BEGIN was given */
    uint64_t walk_target;
    uint32_t walk_first;  /* who is looked at first for the next question */
    struct core_question questions[CORE_WALK_QUESTIONS];
    uint64_t gap_low;     /* blocks [gap_low, gap_high] are fetched, newest first; 0: none is missing */
    uint64_t gap_high;
    struct digest gap_hash; /* what the header of gap_high must hash to */
    uint32_t gap_peer;    /* asked; UINT32_MAX: nobody */
    uint32_t gap_first;   /* who is looked at first */
    uint64_t gap_until;   /* the lowest block asked for */
    uint64_t gap_us;      /* the last answer or question */
    struct core_detour detour;
    struct digest *leaf_space; /* batch_requests_max leaves while a batch is built */
    struct core_effects *effects; /* of the step in progress */
};

/* core.c */
struct core_effect *core_emit(struct core *c, enum core_effect_type type);
void core_send(struct core *c, uint32_t to, const struct wire_record *record, void *message, uint64_t after,
               bool resend);
void core_send_blob(struct core *c, uint32_t to, enum wire_type type, struct blob *bytes_taken, uint64_t after,
                    bool resend);
void core_send_fetch(struct core *c, uint32_t to, struct wire_fetch m); /* fills in epoch and sender */
uint64_t core_persist(struct core *c, enum core_persist_kind kind, uint64_t seq, const struct digest *digest,
                      struct blob *record_taken, struct blob *batch_borrowed);
struct core_slot *core_slot(struct core *c, uint64_t seq); /* NULL outside (h, h+L] */
const struct core_slot *core_slot_const(const struct core *c, uint64_t seq);
void core_slot_move(struct core *c, struct core_slot *s, enum core_phase to);
void core_slot_decide(struct core *c, struct core_slot *s, enum core_decision to);
void core_slot_new_view(struct core *c, struct core_slot *s);
void core_batch_set(struct core_batch *b, struct blob *bytes, const struct digest *digest, uint64_t time_ms);
/* The batch of this digest, wherever the slot has it; NULL when it is not held. */
const struct core_batch *core_slot_batch(const struct core_slot *s, const struct digest *digest);
void core_slot_reset(struct core *c, struct core_slot *s, uint64_t seq);
bool core_is_primary(const struct core *c);
uint32_t core_primary(const struct core *c);

void core_begin(struct core *c);

/* core_fence.c: what others hold of a replica that starts; the fence (design.md 7.6) */
bool core_is_mute(const struct core *c);
bool core_is_fenced(const struct core *c);
bool core_may_have_voted(const struct core *c, uint64_t seq); /* and forgotten it: no new vote of phase one here */
const char *core_fence_text(enum fence_reason reason); /* NULL: of NONE */
void core_listen(struct core *c, const struct core_recovered *r);
void core_hear(struct core *c, const struct msg_verified *m, uint32_t from);
struct blob *core_shown(const struct core *c, uint32_t of, struct wire_list *out);
void core_fence_tick(struct core *c);

/* core_normal.c: PRE-PREPARE, PREPARE, COMMIT, execution in order */
const char *core_on_pre_prepare(struct core *c, struct msg_verified *m);
const char *core_on_prepare(struct core *c, const struct wire_prepare *m);
const char *core_on_commit(struct core *c, const struct wire_commit *m);
const char *core_attach_batch(struct core *c, struct core_slot *s, const struct batch_view *batch, struct bytes bytes);
void core_advance(struct core *c);
void core_accept_proposal(struct core *c, struct core_slot *s, const struct digest *digest,
                          const struct signature *proposal, struct blob *batch, uint64_t time_ms);
void core_keep_certificate(struct core_slot *s, struct blob *certificate_taken, const struct core_batch *batch);
void core_sign_prepare(struct core *c, struct core_slot *s);
void core_send_vote(struct core *c, const struct core_slot *s, enum wire_type type, uint32_t to, uint64_t after,
                    bool resend);
struct blob *core_certificate(const struct core *c, const struct core_slot *s, bool prepared);

/* core_request.c: custody, fair queueing, batching */
const char *core_on_request(struct core *c, struct msg_verified *m, uint32_t client, bool from_member);
bool core_propose(struct core *c);
bool core_may_fill(const struct core *c);
void core_propose_empty(struct core *c);
/* Since when the request was in custody; UINT64_MAX: it was not. */
uint64_t core_settle(struct core *c, uint32_t client, uint64_t seq);
void core_custody_tick(struct core *c);
void core_custody_new_view(struct core *c);
uint64_t core_custody_oldest(const struct core *c); /* UINT64_MAX: nothing that can be ordered is in custody */

/* core_view.c: VIEW-CHANGE, NEW-VIEW, time-outs */
bool core_is_early(const struct core *c, uint64_t view); /* of a view that may be entered yet */
const char *core_keep_early_proposal(struct core *c, const struct msg_verified *m);
void core_drop_early_proposals(struct core *c);
const char *core_keep_early(struct core *c, uint64_t sender, uint64_t view, const struct core_early_vote *vote);
const char *core_on_view_change(struct core *c, const struct msg_verified *m);
const char *core_on_new_view(struct core *c, const struct msg_verified *m);
const char *core_on_fetch_view_change(struct core *c, const struct wire_fetch *m, uint32_t from);
bool core_take_missing(struct core *c, const struct msg_verified *m);
void core_leave_view(struct core *c, uint64_t to);
/* For the next view, as after a time-out. */
void core_give_up_view(struct core *c);
void core_view_retake(struct core *c, struct blob *own, uint64_t view);
void core_view_tick(struct core *c);
/* When the time of a request or slot that is here since oldest_us began to count. */
uint64_t core_timer_start(const struct core *c, uint64_t oldest_us);
void core_view_repair(struct core *c, uint32_t to);
void core_view_restore(struct core *c, const struct core_recovered *r);
void core_view_restore_carried(struct core *c);

/* core_demotion.c: a primary that is slow without a reason, or unfair */
void core_demotion_comes_on(struct core *c);
void core_demotion_prepared(struct core *c, uint64_t us);
void core_demotion_executed(struct core *c, const struct core_batch *batch, uint64_t oldest_us);
void core_demotion_look(struct core *c);
void core_demotion_handed(struct core *c);
bool core_demotion_hands_again(const struct core *c);
void core_demotion_tick(struct core *c);
const char *core_suspicion_text(enum core_suspicion suspicion); /* NULL: of NONE */

/* core_evidence.c: what a member says that contradicts what it has said (design.md section 11) */
void core_weigh_proposal(struct core *c, uint64_t view, uint64_t seq, const struct digest *digest,
                         const struct signature *signature);
void core_weigh_vote(struct core *c, enum wire_type type, uint32_t member, uint64_t view,
                     const struct core_early_vote *vote);
void core_weigh_checkpoint(struct core *c, const struct wire_checkpoint *m);
void core_weigh_votes(struct core *c, const struct wire_vote_certificate *certificate, bool prepared);
void core_weigh_checkpoints(struct core *c, const struct wire_checkpoint_certificate *certificate);
void core_weigh_view_change(struct core *c, const struct msg_verified *m);
/* On the STATUS of that member: what it may hold the other half of. */
void core_show_contradictions(struct core *c, uint32_t to);

/* core_checkpoint.c */
const char *core_on_checkpoint(struct core *c, const struct wire_checkpoint *m);
const char *core_on_executed(struct core *c, const struct core_executed *e);
void core_checkpoint_persisted(struct core *c, bool entered);
void core_own_checkpoint(struct core *c, uint64_t seq, const struct digest *header_hash,
                         const struct digest *state_root, bool durable);
void core_offer_stable(struct core *c, const struct wire_checkpoint_certificate *certificate);
struct core_checkpoint *core_checkpoint_at(struct core *c, uint64_t seq);
void core_send_checkpoint(struct core *c, struct core_checkpoint *p, uint32_t to, uint64_t after, bool resend);

/* core_sync.c: STATUS, FETCH, DATA */
const char *core_on_status(struct core *c, const struct msg_verified *m, uint32_t from);
const char *core_on_fetch(struct core *c, const struct wire_fetch *m, uint32_t from);
const char *core_on_data(struct core *c, struct msg_verified *m, uint32_t from);
void core_sync_tick(struct core *c);
bool core_brings_on(const struct core_event *event);
void core_fetch_blocks(struct core *c);
bool core_may_serve(struct core *c, struct core_peer *peer, size_t bytes);
bool core_may_lead_on(struct core *c, struct core_peer *peer, size_t bytes);
uint64_t core_peers_executed(const struct core *c);
bool core_is_behind(const struct core *c); /* f+1 others say that they have executed more */

/* core_transfer.c: the state of a checkpoint, from others and for others (design.md section 9) */
bool core_awaits_state(const struct core *c);
void core_transfer_tick(struct core *c);
const char *core_on_walk(struct core *c, const struct core_walk *w);
const char *core_on_fetch_state(struct core *c, const struct wire_fetch *m, uint32_t from);
const char *core_on_state_data(struct core *c, const struct msg_verified *m, uint32_t from);
void core_transfer_free(struct core *c);
uint32_t core_member_after(const struct core *c, uint32_t id); /* in turn, round and round */

/* core_gap.c: the blocks below a transferred state */
void core_gap_tick(struct core *c);
const char *core_on_missing_block(struct core *c, uint64_t seq);
const char *core_on_past_block(struct core *c, const struct msg_verified *m, uint32_t from);

#endif
