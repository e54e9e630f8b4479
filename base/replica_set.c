/* replica_set.c - the text of a set. */
#include "base/replica_set.h"

void replica_set_print(const struct replica_set *s, uint32_t named_max, struct buffer *out)
{
    const uint32_t count = replica_set_count(s);
    const uint32_t named = count <= named_max ? count : named_max;
    uint32_t put = 0;
    if (count == 0) buffer_printf(out, "none");
    for (uint32_t id = 0; id < REPLICAS_MAX && put < named; id++) {
        if (!replica_set_has(s, id)) continue;
        buffer_printf(out, "%s%u", put == 0 ? "" : put + 1 == count ? " and " : ", ", id);
        put++;
    }
    if (count > named) buffer_printf(out, " and %u more", count - named);
}
