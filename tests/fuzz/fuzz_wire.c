/* fuzz_wire.c - whatever bytes arrive, the decoder refuses them or gives a value that encodes to those bytes.
 *
 * The first byte of the input selects what the rest is decoded as: 0 any message, k the k-th record or message of the
 * schema (modulo their number). Every record of wire/schema.def is covered without being named here.
 */
#include "base/check.h"
#include "wire/any_record.h"
#include "wire/codec.h"
#include "wire/print.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold of every value that the decoder let through. */
static void check_value(const struct wire_record *record, const void *value, struct bytes in)
{
    struct buffer text = {0};
    CHECK_OP(wire_record_size(record, value), ==, in.len);
    struct blob *b = wire_encode_blob(record, value);
    CHECK(bytes_equal(blob_bytes(b), in));
    CHECK(wire_compare_record(record, value, value) == 0);
    wire_print_record(record, value, &text); /* walks every list to its end */
    CHECK(text.len >= 2 && text.data[0] == '{' && text.data[text.len - 1] == '}');
    buffer_free(&text);
    blob_release(b);
}

static void check_message(struct bytes in)
{
    struct wire_message m;
    if (wire_decode(in, &m) != NULL) return;
    const struct wire_record *record = wire_record_of_type((uint64_t)m.type);
    CHECK(record != NULL);
    CHECK(bytes_equal(m.raw, in));
    check_value(record, wire_body_const(&m), in);
    CHECK((m.signed_part.len > 0) == wire_is_signed(record));
    if (!wire_is_signed(record)) return;
    struct blob *b = blob_new(in.len);
    struct writer w = writer_of(b->data, b->len);
    wire_encode_signed_part(record, wire_body_const(&m), &w);
    CHECK(bytes_equal(writer_written(&w), m.signed_part));
    CHECK(bytes_has_prefix(in, m.signed_part));
    blob_release(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t count;
    const struct wire_record *const *records = wire_records(&count);
    if (size == 0) return 0;
    const struct bytes in = bytes_of(data + 1, size - 1);
    if (data[0] == 0) {
        check_message(in);
        return 0;
    }
    const struct wire_record *record = records[(data[0] - 1u) % count];
    union wire_any_record value;
    if (wire_decode_record(record, in, &value) == NULL) check_value(record, &value, in);
    return 0;
}
