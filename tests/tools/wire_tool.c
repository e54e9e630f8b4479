/* wire_tool.c - writes what is generated from the wire schema, and reads messages for a person.
 *
 * Used by `make` to refresh docs/wire.cddl, tests/vectors/ and the seeds of tests/fuzz/fuzz_wire.c. It is not
 * installed.
 */
#include "tests/fixture/wire_vectors.h"
#include "wire/any_record.h"
#include "wire/cddl.h"
#include "wire/print.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: wire_tool cddl               print the schema as CDDL (docs/wire.cddl)\n"
    "       wire_tool dict               print a libFuzzer dictionary\n"
    "       wire_tool vectors            print tests/vectors/wire.jsonl\n"
    "       wire_tool vectors-bad        print tests/vectors/wire_bad.txt\n"
    "       wire_tool corpus DIRECTORY   write seeds for fuzz_wire into an existing directory\n"
    "       wire_tool decode HEX [NAME]  print the fields of a message, or of the record NAME, as JSON\n";

/* Prints and frees the buffer; the exit code. */
static int finish(struct buffer *out)
{
    const bool good = fwrite(out->data, 1, out->len, stdout) == out->len && fflush(stdout) == 0;
    buffer_free(out);
    if (good) return 0;
    (void)fprintf(stderr, "wire_tool: cannot write to standard output\n");
    return 4;
}

static bool write_seed(const char *directory, const struct wire_record *record, uint32_t k, uint8_t selector)
{
    char path[512];
    const int len = snprintf(path, sizeof path, "%s/%s-%u", directory, record->name, k);
    if (len < 0 || (size_t)len >= sizeof path) return false;
    FILE *f = fopen(path, "wb");
    if (f == NULL) return false;
    struct blob *b = wire_vectors_encoding(record, k);
    bool good = fputc(selector, f) != EOF && fwrite(b->data, 1, b->len, f) == b->len;
    blob_release(b);
    if (fclose(f) != 0) good = false;
    return good;
}

/* One seed for each record, two for each message. The first byte is what fuzz_wire selects the record by. */
static int write_corpus(const char *directory)
{
    uint32_t count;
    const struct wire_record *const *records = wire_records(&count);
    for (uint32_t i = 0; i < count; i++) {
        const bool message = records[i]->number != 0;
        bool good = write_seed(directory, records[i], 2, (uint8_t)(i + 1));
        if (good && message) good = write_seed(directory, records[i], 1, 0);
        if (good) continue;
        (void)fprintf(stderr, "wire_tool: cannot write a seed of %s into %s\n", records[i]->name, directory);
        return 4;
    }
    return 0;
}

static int decode(const char *hex, const char *name)
{
    struct buffer out = {0};
    const struct wire_record *record = name == NULL ? NULL : wire_record_named(name);
    if (name != NULL && record == NULL) {
        (void)fprintf(stderr, "wire_tool: %s is no record of wire/schema.def\n", name);
        return 2;
    }
    struct blob *b = blob_of_hex(hex);
    if (b == NULL) {
        (void)fprintf(stderr, "wire_tool: not hexadecimal: %s\n", hex);
        return 2;
    }
    struct wire_message message;
    union wire_any_record value;
    const char *fault =
        record == NULL ? wire_decode(blob_bytes(b), &message) : wire_decode_record(record, blob_bytes(b), &value);
    if (fault == NULL && record == NULL) wire_print_message(&message, &out);
    if (fault == NULL && record != NULL) wire_print_record(record, &value, &out);
    blob_release(b);
    if (fault == NULL) {
        buffer_append(&out, "\n", 1);
        return finish(&out);
    }
    (void)fprintf(stderr, "wire_tool: %s\n", fault);
    return 1;
}

int main(int argc, char **argv)
{
    struct buffer out = {0};
    const char *verb = argc >= 2 ? argv[1] : "";
    if (strcmp(verb, "corpus") == 0 && argc == 3) return write_corpus(argv[2]);
    if (strcmp(verb, "decode") == 0 && argc == 3) return decode(argv[2], NULL);
    if (strcmp(verb, "decode") == 0 && argc == 4) return decode(argv[2], argv[3]);
    if (strcmp(verb, "cddl") == 0 && argc == 2) {
        wire_print_cddl(&out);
    } else if (strcmp(verb, "dict") == 0 && argc == 2) {
        wire_print_dictionary(&out);
    } else if (strcmp(verb, "vectors") == 0 && argc == 2) {
        wire_vectors_good(&out);
    } else if (strcmp(verb, "vectors-bad") == 0 && argc == 2) {
        wire_vectors_bad(&out);
    } else {
        (void)fputs(usage, stderr);
        return 2;
    }
    return finish(&out);
}
