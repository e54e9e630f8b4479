/* fuzz_record.c - whatever stands in a recording whose checks are right, reading it ends in a fault or in values that a
 * core can be made of and freed, never in an abort or out of bounds. No event is performed: a core may end in a CHECK
 * when it is given what no replica has recorded.
 *
 * The first byte of the input selects what the rest is: 0 an event, 1 a core's state, 2 effects, 3 a header, 4 frames.
 */
#include "base/check.h"
#include "replica/run/record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct public_key members[4];

static void sign_nothing(void *context, const struct digest *digest, struct signature *out)
{
    (void)context;
    (void)digest;
    memset(out->bytes, 0, sizeof out->bytes);
}

static struct core_config config(void)
{
    return (struct core_config){.group = {.quorum = quorum_of(4), .members = members},
                                .self = 2,
                                .client_count = 2,
                                .batch_requests_max = 64,
                                .pipeline_max = 8,
                                .sign = sign_nothing};
}

/* What was read without a fault is written as the same bytes. */
static void check_same(struct image *out, struct bytes in)
{
    struct blob *again = image_flat(out);
    CHECK(bytes_equal(blob_bytes(again), in));
    blob_release(again);
    image_free(out);
}

static void event(struct bytes in)
{
    const struct core_config c = config();
    struct record_event e;
    struct image i = image_of(in);
    struct image out = {.reading = false};
    struct buffer text = {0};
    memset(&e, 0, sizeof e);
    record_event_read(&c, &i, &e);
    if (image_end(&i) == NULL) {
        core_event_text(&e.event, NULL, &text);
        record_event_write(&c, &e.event, &out);
        image_free(&out); /* a verdict that could not be good is written as bad: not always the same bytes */
        buffer_free(&text);
    }
    record_event_release(&e);
}

static void state(struct bytes in)
{
    const struct core_config c = config();
    struct core *core = core_new(&c);
    struct image i = image_of(in);
    struct buffer text = {0};
    const char *fault = core_image_read(core, &i);
    if (fault == NULL && image_end(&i) == NULL) {
        struct image out = {.reading = false};
        core_image_write(core, &out);
        CHECK(image_bytes(&out) <= in.len);
        image_free(&out);
        core_dump(core, &text);
        (void)core_summary(core);
        buffer_free(&text);
    }
    core_free(core);
}

static void effects(struct bytes in)
{
    struct record_effects e = {.signatures = mem_zero(RECORD_SIGNATURES_MAX, sizeof *e.signatures)};
    struct image i = image_of(in);
    record_effects_image(&e, &i);
    if (image_end(&i) == NULL) {
        struct image out = {.reading = false};
        record_effects_image(&e, &out);
        check_same(&out, in);
    }
    free(e.signatures);
}

static void header(struct bytes in)
{
    struct record_header h;
    struct image i = image_of(in);
    memset(&h, 0, sizeof h);
    record_header_image(&h, &i);
}

static void frames(struct bytes in)
{
    size_t offset = 0;
    struct record_check check = {{0}};
    enum record_kind kind;
    struct bytes body;
    while (record_frame_next(in, &offset, &check, &kind, &body) == RECORD_READ_FRAME)
        CHECK_OP(offset, <=, in.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    const struct bytes in = bytes_of(data + 1, size - 1);
    switch (data[0] % 5) {
    case 0: event(in); break;
    case 1: state(in); break;
    case 2: effects(in); break;
    case 3: header(in); break;
    default: frames(in); break;
    }
    return 0;
}
