/* core.h - the protocol state machine: events in, effects out.
 *
 *     const char *ignored = core_step(core, &event, effects);
 *
 * Four laws. It never blocks. It is deterministic: same events, same effects, on any compiler. Its whole state can be
 * dumped and compared. It sees only verified messages. It has no clock, no disk, no socket, no randomness; signing is a
 * deterministic function that it is given. Its own memory is allocated once by core_new; payloads (batches,
 * messages, certificates) are shared blobs, bounded by the window and the request slots.
 *
 * Each effect may name a token in `after`: the driver must not perform it before the PERSIST with that token is
 * durable, and performs waiting effects in the order given (rule 30).
 *
 * It knows the normal case (OSDI'99 section 4.2), checkpoints (4.3), view changes (4.4), request custody, anti-entropy and
 * block transfer.
 */
#ifndef PBFT_REPLICA_CORE_CORE_H
#define PBFT_REPLICA_CORE_CORE_H

#include "base/image.h"
#include "base/replica_set.h"
#include "wire/constants.h"
#include "wire/verified.h"

#define CORE_EFFECTS_MAX 4096u    /* of one step ... */
#define CORE_EFFECTS_ENOUGH 1024u /* ... of which what can wait gives no more once there are so many */
#define CORE_TO_ALL UINT32_MAX
#define CORE_FETCH_BLOCKS_MAX 32u /* blocks asked for at once */
#define CORE_CUSTODY_BYTES_MAX (64ull * 1024u * 1024u) /* requests held of all clients */
#define CORE_CLIENT_BYTES_MAX (16ull * 1024u * 1024u)  /* of one client */
#define CORE_PARKED_BYTES_MAX (256u * 1024u)           /* of one client, above its window */
#define CORE_PARKED_TOTAL_MAX (4ull * 1024u * 1024u)   /* of all: half of the least custody, so these never fill it */
#define CORE_SERVE_BYTES_MAX (4u * 1024u * 1024u) /* an answer ends with the block that reaches this size */

struct core_config {
    struct wire_group group; /* members[] is borrowed for the core's life */
    uint32_t self;
    uint32_t client_count;       /* clients have numbers 0..client_count - 1 */
    uint32_t batch_requests_max; /* (P) */
    uint32_t drift_ms;           /* (P) */
    uint32_t pipeline_max;       /* own proposals under way at once, 1 to WINDOW_BATCHES */
    uint32_t batch_fill;         /* while some are under way, wait for this many requests ... */
    uint64_t batch_delay_us;     /* ... or until the oldest has waited this long */
    uint64_t resend_us;          /* how long something may stay unanswered before it is sent again */
    uint64_t heartbeat_us;       /* STATUS when nothing is under way */
    uint64_t timeout_us;         /* T: how long the oldest request may wait; custody is bounded by what clears in T/2 */
    uint64_t timeout_cap_us;     /* what T grows to by failed view changes, at most */
    uint64_t transfer_after;     /* behind a proven checkpoint by so many batches or more, the state is transferred */
    void (*sign)(void *context, const struct digest *digest, struct signature *out);
    void *sign_context;
};

/* ---- events ---- */

enum core_event_type {
    CORE_EVENT_START,
    CORE_EVENT_MESSAGE,
    CORE_EVENT_TICK,
    CORE_EVENT_PERSISTED,
    CORE_EVENT_EXECUTED,
    CORE_EVENT_DISK, /* the disk has no room left, or has some again */
    CORE_EVENT_WALK, /* of the state transfer that WALK_BEGIN began, or that was under way at the start */
    CORE_EVENT_MISSING_BLOCK, /* an ANSWER needs a block that is not here: it is fetched before others of the gap */
    CORE_EVENT_DRAIN, /* before a clean stop: resign as primary, take no requests, go on voting */
    CORE_EVENT_STOP, /* clean stop: hand out the votes to be kept, then vote no more */
};

/* A vote or certificate found in the data directory. */
struct core_recovered_slot {
    uint64_t seq;
    struct digest digest;
    struct signature proposal; /* the primary's PRE-PREPARE */
    struct blob *batch;        /* borrowed */
    uint64_t time_ms;
    bool accepted;                            /* `proposal` is set: the vote of a clean stop, in the view recovered */
    bool certificate;                         /* `prepared` is set, and was checked; of that view or an earlier one */
    struct wire_vote_certificate prepared;
};

/* A checkpoint that this replica has executed; its blocks are durable. */
struct core_recovered_checkpoint {
    uint64_t seq;
    struct digest header_hash;
    struct digest state_root;
};

struct core_client_window {
    uint64_t highest_settled;
    uint64_t settled; /* bit (seq % CLIENT_WINDOW) for seq in (highest - CLIENT_WINDOW, highest] */
};

/* What a data directory says. All pointers are borrowed for the call. */
struct core_recovered {
    uint64_t view;
    struct blob *view_change; /* own, for `view`, which was left for and not entered; NULL: `view` was entered */
    struct blob *new_view;    /* the NEW-VIEW by which the last view was entered; NULL: none since view 0 */
    struct blob *const *kept; /* VIEW-CHANGEs that it names, by member, as far as they are here; NULL: none */
    bool fenced;  /* made for a member of a group that may know it: what was promised is unknown */
    uint64_t fence_until; /* what an earlier start was fenced until; 0: it was not */
    enum fence_reason fence_reason; /* of either */
    bool damaged; /* a vote or certificate is missing: what was promised is unknown */
    bool walking; /* the state is between two checkpoints: a transfer was cut short, or it is damaged. `windows` mean nothing */
    bool clean; /* the clean-stop mark was there: the slots hold every vote of this view (design.md 7.5) */
    struct wire_checkpoint_certificate stable;
    uint64_t executed; /* blocks up to here are durable and executed */
    uint64_t executed_time_ms;
    uint64_t gap_low;  /* blocks [gap_low, gap_high] are not here; 0: none is missing */
    uint64_t gap_high;
    struct digest gap_hash; /* of the header of gap_high, as what follows names it */
    const struct core_recovered_slot *slots;
    uint32_t slot_count;
    const struct core_recovered_checkpoint *checkpoints; /* those in (stable.seq, executed], ascending */
    uint32_t checkpoint_count;
    const struct core_client_window *windows; /* client_count of them */
};

struct core_settled {
    uint32_t client;
    uint64_t seq;
};

struct core_executed {
    uint64_t seq;
    uint64_t time_ms;
    struct digest header_hash;
    struct digest state_root; /* when seq is a checkpoint's */
    const struct core_settled *settled;
    uint32_t settled_count;
};

/* The transfer puts a question, or has looked at an answer (ledger/state_transfer.h). */
enum core_walk_what { CORE_WALK_ASK, CORE_WALK_TAKEN, CORE_WALK_OLD, CORE_WALK_BAD };
struct core_walk {
    enum core_walk_what what;
    uint32_t number;   /* of the question; not 0 */
    uint64_t target;   /* the checkpoint wanted, or a later one */
    struct blob *ask;  /* ASK: the encoded state_ask; borrowed */
};

struct core_event {
    enum core_event_type type;
    union {
        const struct core_recovered *recovered;
        struct {
            struct msg_verified *verified; /* borrowed; the core retains blobs it keeps */
            uint32_t from;                 /* the member whose channel it came by, or UINT32_MAX for a client */
            uint32_t client;               /* REQUEST: the client's number */
        } message;
        struct {
            uint64_t monotonic_us;
            uint64_t wall_ms;
        } tick;
        uint64_t persisted; /* this token and all before it are durable */
        const struct core_executed *executed;
        bool disk_full;
        const struct core_walk *walk;
        uint64_t missing; /* the block's sequence */
    };
};

/* ---- effects ---- */

enum core_effect_type {
    CORE_EFFECT_SEND,         /* a message to one member or all others */
    CORE_EFFECT_SEND_CLIENT,  /* a message to a client */
    CORE_EFFECT_PERSIST,      /* make durable, then give PERSISTED(token) */
    CORE_EFFECT_EXECUTE,      /* execute the next batch, then give EXECUTED; its block goes to disk by itself */
    CORE_EFFECT_ANSWER,       /* a request settled before: answer the client from the ledger */
    CORE_EFFECT_STABLE,       /* the state may be folded up to seq */
    CORE_EFFECT_SERVE_BLOCKS, /* send blocks seq..seq+count-1 to a member */
    CORE_EFFECT_SERVE_STATE,  /* answer a member's question about the state of the base */
    CORE_EFFECT_WALK_BEGIN,   /* bring the state to checkpoint `seq` or a later one; nothing is executed from here on. When it is there
                               * the replica is started anew: it then stands at that checkpoint */
    CORE_EFFECT_WALK_PIECE,   /* an answer to one of its questions */
    CORE_EFFECT_PAST_BLOCK,   /* keep a block of the gap below a transferred state: its highest, or one out of turn */
    CORE_EFFECT_EVIDENCE,     /* a member contradicts itself (wire/evidence.h): once for each kind */
    CORE_EFFECT_DIVERGED,     /* a quorum proved another state than ours at seq: stop, and say so */
};

enum core_persist_kind {
    CORE_PERSIST_START,    /* the clean mark is gone */
    CORE_PERSIST_PREPARED, /* a prepared certificate and its batch */
    CORE_PERSIST_BLOCKS,   /* nothing of its own: all blocks handed out so far */
    CORE_PERSIST_STABLE,   /* a checkpoint certificate; certificates and unused batches up to seq may go */
    CORE_PERSIST_VOTE,     /* part of a clean stop: an accepted PRE-PREPARE and its batch */
    CORE_PERSIST_CLEAN,    /* the mark; everything before it is durable with it */
    CORE_PERSIST_VIEW_LEFT,   /* `view` is waited for; record: the own VIEW-CHANGE for it */
    CORE_PERSIST_VIEW_CHANGE, /* record: the VIEW-CHANGE of member `seq` that the NEW-VIEW to come names */
    CORE_PERSIST_NEW_VIEW,    /* `view` was entered; record: its NEW-VIEW */
    CORE_PERSIST_FENCE,       /* fenced until `seq` is stable (design.md 7.6) */
};

struct core_effect {
    enum core_effect_type type;
    uint64_t after; /* 0: at once */
    union {
        struct {
            uint32_t to; /* member, or CORE_TO_ALL for all others */
            enum wire_type type;
            bool resend;        /* not the first time this goes to this receiver */
            struct blob *bytes; /* one reference, the effect's */
        } send;
        struct {
            uint32_t client;
            struct blob *bytes;
        } send_client;
        struct {
            uint64_t token;
            enum core_persist_kind kind;
            uint64_t view;
            uint64_t seq;
            enum fence_reason reason; /* FENCE */
            struct digest digest;
            struct blob *record; /* encoded certificate, vote or message, as the kind says; or NULL */
            struct blob *batch;  /* or NULL */
        } persist;
        struct {
            uint64_t seq;
            struct digest digest;
            struct blob *batch;       /* encoded batch */
            bool batch_persisted;     /* given out before, with its prepared certificate */
            struct blob *certificate; /* encoded vote_certificate of Q COMMITs */
        } execute;
        struct {
            uint32_t client;
            uint64_t seq;
            struct digest transaction;
        } answer;
        uint64_t stable;
        struct {
            uint32_t to;
            uint64_t seq;
            uint32_t count;
            bool past; /* for a gap: seq and those before it, with what their execution gave */
        } serve;
        uint64_t diverged;
        struct {
            uint64_t gap_low;     /* the gap ends below this block, or with it; 0: it stays as it is */
            struct blob *data;    /* the DATA message of kind PAST_BLOCK, verified */
            struct blob *entries; /* as in msg_verified */
            bool checkpoint_good; /* the same */
        } past_block;
        struct {
            uint32_t to;
            uint32_t number;
            uint64_t seq;     /* the checkpoint wanted, or a later one */
            struct blob *ask; /* encoded, as it came */
        } serve_state;
        uint64_t walk_begin;
        struct {
            uint32_t number;
            struct blob *data; /* the DATA message, verified */
        } walk_piece;
        struct {
            uint32_t member;
            enum evidence_kind kind;
            struct blob *record; /* encoded evidence */
        } evidence;
    };
};

struct core_effects {
    uint32_t count;
    struct core_effect items[CORE_EFFECTS_MAX];
};

/* ---- calls ---- */

struct core;

struct core *core_new(const struct core_config *config);
void core_free(struct core *c);

/* Performs one event. effects->count must be 0; the caller takes over the references in the effects and drops them
 * with core_effects_release. Returns NULL, or a static sentence saying why the event changed nothing. */
const char *core_step(struct core *c, const struct core_event *event, struct core_effects *effects);
void core_effects_release(struct core_effects *effects);
/* The same for one that was moved out of them. */
void core_effect_release(struct core_effect *effect);

/* Adds an effect to a trace: everything that leaves the core, in a form without addresses. */
void core_effect_trace(struct hasher *h, const struct core_effect *effect);
/* The state as text, for people. */
void core_dump(const struct core *c, struct buffer *out);
/* An event or effect as one line of text without its end: "MESSAGE PREPARE 7 from 2", "SEND COMMIT 7 to all after 31". */
void core_event_text(const struct core_event *event, const char *ignored, struct buffer *out);
void core_effect_text(const struct core_effect *effect, struct buffer *out);

/* The whole state between two steps, all but the configuration: equal images are equal states, and a core that was read from
 * one answers every event as the one that wrote it. */
void core_image_write(const struct core *c, struct image *out);
/* Into a core that core_new has just made with the same configuration (`sign` may differ). NULL, or a static sentence: the
 * image is none, and the core good for core_free only. */
MUST_USE const char *core_image_read(struct core *c, struct image *in);
/* Changes whenever the structs behind an image do. */
size_t core_state_bytes(void);
/* A message in the form that the core sees it in: its bytes and the verdicts on what is nested in it. Reading believes the
 * verdicts and checks no signature; *m must be zero, and is released by msg_verified_release in any case. */
void core_verified_image(const struct wire_group *group, struct msg_verified *m, struct image *i);
/* NULL or a message. Reading: one of another type is a fault. */
void core_message_image(struct blob **blob, enum wire_type type, struct image *i);

/* What status and metrics want to know. */
struct core_summary {
    bool started;
    uint64_t view;
    bool changing;      /* `view` has not begun here: its NEW-VIEW is waited for ... */
    uint64_t changing_us; /* ... since so long */
    uint32_t primary;
    uint64_t view_changes; /* views left since start */
    const char *suspicion;  /* this backup would have another primary: a static sentence; NULL: it would not */
    uint64_t demotions;    /* views left since start because f+1 members suspected the primary */
    uint64_t low;       /* h: the stable checkpoint */
    uint64_t high;      /* h + L */
    uint64_t executed;
    uint64_t committed; /* highest n with all up to it committed */
    uint64_t proposed;  /* highest sequence accepted in this view */
    uint64_t highest_peer_executed; /* the (f+1)-th highest claim: at least one correct replica is there */
    uint64_t read_barrier; /* a read may be answered once this is executed (rule 23) */
    uint64_t abstain_until;
    uint64_t custody;
    uint64_t under_way; /* sequences accepted and not yet executed */
    uint32_t peers_heard; /* other members heard within the last three heartbeats */
    struct replica_set voters;         /* those of them that do not say that they are fenced */
    struct replica_set fenced_members; /* other members whose last word is that they are fenced */
    bool diverged;
    bool disk_full;      /* it casts no vote and takes no custody until there is room again */
    bool listening;      /* just started: it has not heard yet what Q-1 others hold of it, and casts no vote ... */
    uint32_t heard;      /* ... but what so many do */
    bool fenced;         /* its record is not all that it promised: it follows, and casts no vote ... */
    uint64_t fence_until; /* ... until this is stable */
    const char *fence_reason; /* a static sentence; NULL: never fenced */
    bool walking;         /* its state is being transferred: it executes nothing, and answers no reads */
    uint64_t walk_target; /* ... to this checkpoint or a later one; 0: none is proven to it yet */
    uint32_t walk_asked;  /* questions under way */
    uint64_t gap_low;     /* older blocks that are fetched in the background; 0: all are here */
    uint64_t gap_high;
    uint64_t gap_wanted;  /* one of them that is fetched out of turn; 0: none */
};
struct core_summary core_summary(const struct core *c);
/* What others have made it hold, counted anew from what is there. Of the client or member with most, unless said. */
struct core_holdings {
    uint64_t client_requests;
    uint64_t client_bytes;
    uint64_t client_parked_bytes; /* above its window */
    uint64_t custody_bytes;       /* of all clients */
    uint64_t parked_bytes;        /* of all clients */
    uint64_t early_votes;         /* for a view to come */
    uint64_t view_change_bytes;
    bool counters_right; /* those by which it decides what to take are these numbers */
};
struct core_holdings core_holdings(const struct core *c);
/* Two of the summary alone, which cost nothing. */
uint64_t core_view(const struct core *c);
uint64_t core_last_executed(const struct core *c);
/* Requests of that client in custody, executed or not. */
uint32_t core_client_custody(const struct core *c, uint32_t client);
/* Rule 23: whether a read that came when core_summary().read_barrier was that may be answered from what is executed
 * now. */
bool core_may_answer_read(const struct core *c, uint64_t barrier);
/* The certificate of the stable checkpoint, borrowed until the next step. */
struct blob *core_stable(const struct core *c);
/* What `pbft why` explains: the lowest sequence not executed, and what it waits for. */
struct core_why_member {
    bool heard; /* it has said STATUS; heard_us ago the last time */
    uint64_t heard_us;
    uint64_t executed; /* it claims */
    uint64_t view;
    bool changing;        /* it waits for the NEW-VIEW of its view */
    bool prepared;        /* its PREPARE for the proposal is here; as primary, its PRE-PREPARE */
    bool committed;       /* its COMMIT is here; the own one counts once its certificate is durable */
    uint64_t view_change; /* the view that its newest VIEW-CHANGE here is for; 0: none */
};
#define CORE_NO_TIMER UINT64_MAX
struct core_why {
    uint64_t seq;
    enum why_phase phase;
    uint32_t flags; /* WHY_FLAG_* */
    struct digest digest; /* of the proposal, or of what was decided; zero in phase EMPTY */
    uint64_t waited_us;   /* since the proposal was accepted, or, while changing, the view was left; 0 in phase EMPTY */
    uint64_t idle_us;     /* since the last execution, or the start */
    uint64_t ahead;       /* f+1 replicas claim to have executed so much, or more */
    uint64_t custody_bytes;
    uint64_t custody_oldest_us; /* how long the oldest request that can be ordered has been held; 0: none */
    uint64_t timeout_us;        /* T as it is now */
    uint64_t request_timer_us;  /* what is left of it, or CORE_NO_TIMER */
    uint64_t new_view_timer_us; /* the same */
    struct core_why_member members[REPLICAS_MAX]; /* replica_count of them, the own one too */
};
void core_why(const struct core *c, struct core_why *out);
/* How often since the start a member was found to contradict itself, or to send an invalid certificate. */
uint64_t core_contradictions(const struct core *c, uint32_t member, enum evidence_kind kind);
/* When the proposal at this sequence was accepted (or made), in the time of TICK; 0: none was, in this view. */
uint64_t core_proposed_us(const struct core *c, uint64_t seq);
/* What would become of a client's request, told from its sequence alone: OPEN says that the core has to be asked. */
enum core_standing { CORE_STANDING_OPEN, CORE_STANDING_HELD, CORE_STANDING_ABOVE, CORE_STANDING_BELOW };
enum core_standing core_request_standing(const struct core *c, uint32_t client, uint64_t seq, size_t bytes);
/* Whether that member's PREPARE or COMMIT, not recorded here, would bring this replica on no more: its slot has its
 * quorum for this very digest in this view, and nobody has voted for another one there. So it need not be verified:
 * what was agreed on stands without it, and STATUS says so, whereupon nobody sends it again; in the next view it is
 * void. What it may yet be wanted for is its caller's concern (replica/run/node_late.c): to prove that its sender has
 * voted for two batches, which is why every vote at a slot with two digests is verified, and to be shown to its
 * sender after a start (design.md 7.6). */
bool core_vote_is_late(const struct core *c, enum wire_type type, uint32_t member, uint64_t view, uint64_t seq,
                       const struct digest *digest);
/* Whether a request with this sequence is in custody that is another transaction than this one. */
bool core_holds_another(const struct core *c, uint32_t client, uint64_t seq, const struct digest *transaction);
/* Highest settled sequence of a client, as of the last executed block. */
uint64_t core_client_highest(const struct core *c, uint32_t client);

#endif
