/* limits.h - every maximum of the system in one place, with the relations between them checked.
 *
 * Sizes are bytes unless the name says otherwise. A limit that is part of the protocol (two correct
 * replicas must agree on it) is marked (P): it cannot differ between members of one group.
 */
#ifndef PBFT_BASE_LIMITS_H
#define PBFT_BASE_LIMITS_H

#define REPLICAS_MAX 128u /* (P) members of a group */
#define CLIENTS_MAX 1024u /* (P) registered clients */
#define NAME_BYTES_MAX 64u

#define CHECKPOINT_INTERVAL 128u               /* (P) K, batches between checkpoints */
#define WINDOW_BATCHES (2u * CHECKPOINT_INTERVAL) /* (P) L, high watermark minus low watermark */
#define CLIENT_WINDOW 64u                      /* (P) W, sequences of one client that may be unsettled at once */

#define OPS_MAX 1000u                     /* (P) operations in one request */
#define OP_ARGS_MAX 8u                    /* (P) arguments of one operation */
#define REQUEST_BYTES_MAX (1024u * 1024u) /* (P) an encoded request, signature included */
#define BATCH_REQUESTS_MAX 1024u          /* (P) requests in one batch */
#define BATCH_BYTES_MAX (2u * 1024u * 1024u) /* (P) an encoded batch */
#define BATCH_BYTES_TARGET (256u * 1024u) /* a primary adds no request once a batch has this many bytes */
#define RESULT_BYTES_MAX (1024u * 1024u)  /* (P) the result of one operation */
#define RESULT_PROOF_BYTES_MAX 65536u /* of a certified read: a checkpoint certificate, and a path in the state tree   \
                                       */
#define BLOCK_RESULT_BYTES_MAX (4u * 1024u * 1024u) /* (P) all results of one block; past it operations are refused */
#define BLOCK_READ_BYTES_MAX (3u * 1024u * 1024u) /* (P) of them, results of operations that return data */
#define BLOCK_OPS_MAX 65536u              /* (P) operations in one batch */

#define STATE_KEY_BYTES_MAX 480u /* (P) a key of the state, prefix included; LMDB takes 511 */
#define STATE_VALUE_BYTES_MAX (1024u * 1024u)
#define STATE_ASK_MAX 512u          /* places in the state tree asked for at once */
#define STATE_ASK_BYTES_MAX 32768u
#define STATE_PIECE_ITEMS_MAX 8192u
#define STATE_PIECE_BYTES_TARGET (128u * 1024u) /* an answer ends with the value that reaches this size */

#define VIEW_MAX (1ull << 48)   /* (P) so that view arithmetic cannot wrap */
#define SEQ_MAX (1ull << 48)    /* (P) so that sequence arithmetic cannot wrap */
#define TIME_MS_MAX (1ull << 48) /* (P) milliseconds since 1970 */
#define EPOCH_MAX (1ull << 32)  /* (P) configuration numbers */

#define EVIDENCE_MESSAGE_BYTES_MAX (5u * 512u * 1024u) /* (P) a signed message kept as evidence: any VIEW-CHANGE is within that */

#define FRAME_BYTES_MAX (8u * 1024u * 1024u)                /* between replicas */
#define CLIENT_FRAME_BYTES_MAX (REQUEST_BYTES_MAX + 65536u) /* from a client to a replica */
#define PEER_QUEUE_BYTES_MAX (24u * 1024u * 1024u)          /* unsent bytes kept for one replica */
#define CLIENT_QUEUE_BYTES_MAX (16u * 1024u * 1024u)        /* unsent bytes kept for one client */
#define CONNECTIONS_MAX 1024u

#define FILE_BYTES_MAX (16u * 1024u * 1024u) /* a group file or configuration file that we read whole */

_Static_assert(WINDOW_BATCHES % CHECKPOINT_INTERVAL == 0, "the window holds whole checkpoint intervals");
_Static_assert(WINDOW_BATCHES > CHECKPOINT_INTERVAL, "the window outlives the checkpoint in progress");
_Static_assert(BATCH_BYTES_TARGET + REQUEST_BYTES_MAX + 16u * BATCH_REQUESTS_MAX < BATCH_BYTES_MAX,
               "a batch at its target takes one more request of any size");
_Static_assert(BATCH_BYTES_MAX + BLOCK_RESULT_BYTES_MAX + 65536u < FRAME_BYTES_MAX, "a block fits in a frame");
_Static_assert(BATCH_BYTES_MAX + BLOCK_RESULT_BYTES_MAX + BLOCK_OPS_MAX * 16u + 65536u < FRAME_BYTES_MAX,
               "a block with what its execution gave fits in a frame");
_Static_assert(WINDOW_BATCHES * (REPLICAS_MAX * 70u + 72u) + REPLICAS_MAX * 70u + 512u < EVIDENCE_MESSAGE_BYTES_MAX,
               "the largest VIEW-CHANGE can be kept as evidence");
_Static_assert(STATE_ASK_MAX * 48u < STATE_ASK_BYTES_MAX, "a whole question fits");
_Static_assert(STATE_PIECE_BYTES_TARGET + STATE_VALUE_BYTES_MAX + STATE_PIECE_ITEMS_MAX * 72u + 65536u < FRAME_BYTES_MAX,
               "an answer about the state fits in a frame");
_Static_assert(STATE_KEY_BYTES_MAX < 511u, "LMDB's key limit");
_Static_assert(CLIENT_WINDOW == 64u, "client windows are kept as 64-bit masks");
_Static_assert(RESULT_BYTES_MAX + RESULT_PROOF_BYTES_MAX + 65536u < CLIENT_QUEUE_BYTES_MAX,
               "one result fits a client's queue");
_Static_assert(FRAME_BYTES_MAX < CLIENT_QUEUE_BYTES_MAX, "one frame fits a client's queue");
_Static_assert(FRAME_BYTES_MAX < PEER_QUEUE_BYTES_MAX, "one frame fits a peer's queue");

#endif
