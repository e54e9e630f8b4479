/* window.c - client windows. */
#include "ledger/window.h"

#include "base/check.h"

#include <string.h>

static bool slot_live(const struct client_window *w, const struct wire_window_slot *slot)
{
    return slot->seq != 0 && slot->seq + CLIENT_WINDOW > w->highest_settled;
}

const struct wire_window_slot *window_find(const struct client_window *w, uint64_t seq)
{
    const struct wire_window_slot *slot = &w->slots[seq % CLIENT_WINDOW];
    return seq != 0 && slot->seq == seq && slot_live(w, slot) ? slot : NULL;
}

enum window_verdict window_judge(const struct client_window *w, uint64_t seq, const struct digest *transaction)
{
    if (seq == 0 || seq + CLIENT_WINDOW <= w->highest_settled) return WINDOW_OUTSIDE;
    if (seq > w->highest_settled + CLIENT_WINDOW) return WINDOW_OUTSIDE;
    const struct wire_window_slot *slot = window_find(w, seq);
    if (slot == NULL) return WINDOW_NEW;
    return digest_equal(&slot->transaction, transaction) ? WINDOW_SAME : WINDOW_OTHER;
}

void window_settle(struct client_window *w, const struct wire_window_slot *slot)
{
    CHECK(window_judge(w, slot->seq, &slot->transaction) == WINDOW_NEW);
    w->slots[slot->seq % CLIENT_WINDOW] = *slot;
    if (slot->seq > w->highest_settled) w->highest_settled = slot->seq;
}

void window_encode(const struct client_window *w, struct buffer *out)
{
    uint8_t space[CLIENT_WINDOW * 96u];
    struct writer items = writer_of(space, sizeof space);
    struct wire_client_record record = {.role = w->role, .number = w->number, .highest_settled = w->highest_settled};
    const uint64_t first = w->highest_settled < CLIENT_WINDOW ? 1 : w->highest_settled - CLIENT_WINDOW + 1;
    for (uint64_t seq = first; seq <= w->highest_settled; seq++) {
        const struct wire_window_slot *slot = window_find(w, seq);
        if (slot != NULL) wire_list_add(&record.slots, &items, &wire_record_window_slot, slot);
    }
    CHECK(!items.overflow);
    const size_t size = wire_record_size(&wire_record_client_record, &record);
    struct writer to = writer_of(buffer_reserve(out, size), size);
    wire_encode_record(&wire_record_client_record, &record, &to);
    out->len += to.len;
}

bool window_decode(struct bytes in, struct client_window *out)
{
    struct wire_client_record record;
    struct wire_window_slot slot;
    if (wire_decode_record(&wire_record_client_record, in, &record) != NULL) return false;
    if (record.role > GROUP_ROLE_ADMIN || record.number >= CLIENTS_MAX) return false;
    memset(out, 0, sizeof *out);
    out->role = (enum group_role)record.role;
    out->number = (uint32_t)record.number;
    out->highest_settled = record.highest_settled;
    struct wire_iterator i = wire_list_start(record.slots);
    uint64_t least = 1; /* ascending and inside the window, as window_encode writes them: no two share a place */
    while (wire_list_next(&i, &wire_record_window_slot, &slot)) {
        if (slot.seq < least || slot.seq > record.highest_settled) return false;
        if (slot.seq + CLIENT_WINDOW <= record.highest_settled) return false;
        least = slot.seq + 1;
        out->slots[slot.seq % CLIENT_WINDOW] = slot;
    }
    return true;
}
