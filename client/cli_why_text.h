/* cli_why_text.h - what replicas say of a stall, in sentences. Pure: facts in, text out. */
#ifndef PBFT_CLIENT_CLI_WHY_TEXT_H
#define PBFT_CLIENT_CLI_WHY_TEXT_H

#include "base/bytes.h"
#include "client/pbft.h"
#include "wire/quorum.h"

#define WHY_STALL_MS 1000u /* what has waited so long, with nothing executed meanwhile, is stalled */

struct why_group {
    struct quorum quorum;
    const struct pbft_replica_why *replicas; /* quorum.replica_count, by id */
};

enum why_verdict {
    WHY_VERDICT_FINE,
    WHY_VERDICT_STALLED,
    WHY_VERDICT_NO_QUORUM, /* fewer than Q replicas answer (one replica: it does not answer) */
};
const char *why_verdict_name(enum why_verdict v);

/* One replica: what it is, what it waits for, its timers. One sentence or more on each line of *out. */
enum why_verdict why_replica(const struct why_group *g, uint32_t id, struct buffer *out);
/* The group: one sentence with the verdict, then what is behind it and what to do. */
enum why_verdict why_group(const struct why_group *g, struct buffer *out);

#endif
