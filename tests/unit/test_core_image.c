/* test_core_image.c - a core that was written as an image and read again is the core that it was: same image, and the
 * same effects for every further event, through loss, crashes, partitions and view changes. */
#include "tests/fixture/faults.h"
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_image_seeds_same_effects_with_and_without(void **state)
{
    static const uint64_t seeds[] = {2, 4, 11, 12}; /* with crashes, view changes, five checkpoints */
    struct faults_result sum = {0};
    (void)state;
    for (size_t k = 0; k < sizeof seeds / sizeof seeds[0]; k++) {
        struct faults_result plain;
        struct faults_result through;
        faults_run(seeds[k], &plain, NULL);
        faults_run_through_images(seeds[k], 29, &through);
        assert_string_equal(through.failure, "");
        assert_memory_equal(&through.trace_hash, &plain.trace_hash, sizeof plain.trace_hash);
        sum.view += plain.view;
        sum.crashes += plain.crashes;
    }
    assert_true(sum.view > 10);
    assert_true(sum.crashes > 5);
}

static struct blob *image_of_core(const struct core *c)
{
    struct image i = {.reading = false};
    core_image_write(c, &i);
    struct blob *flat = image_flat(&i);
    image_free(&i);
    return flat;
}

/* What reading says; the core is gone again. */
static const char *read_back(const struct solo *s, struct bytes bytes)
{
    struct core *c = core_new(&s->config);
    struct image i = image_of(bytes);
    const char *fault = core_image_read(c, &i);
    if (fault == NULL) fault = image_end(&i);
    core_free(c);
    return fault;
}

/* A backup with requests in custody, a batch under way, early votes and a VIEW-CHANGE heard. */
static void busy(struct solo *s)
{
    const struct digest digest = {{7}};
    struct solo_batch b;
    solo_ready(s, 4, 1);
    solo_run_to(s, 3);
    (void)solo_request(s, 0, 5);
    (void)solo_request(s, 2, 9);
    b = solo_batch_make(s, 4);
    (void)solo_propose(s, 4, &b, true);
    (void)solo_vote(s, WIRE_TYPE_prepare, 2, 4, &b.digest);
    (void)solo_vote_in(s, WIRE_TYPE_prepare, 1, 2, 4, &digest);
    (void)solo_view_change(s, 3, 1);
    solo_batch_free(&b);
}

static void test_image_before_the_start_is_read(void **state)
{
    struct solo s;
    (void)state;
    solo_open(&s, 4, 1);
    struct core *c = core_new(&s.config);
    struct blob *image = image_of_core(c);
    assert_null(read_back(&s, blob_bytes(image)));
    blob_release(image);
    core_free(c);
    solo_close(&s);
}

static void test_image_cut_anywhere_is_refused(void **state)
{
    struct solo s;
    (void)state;
    busy(&s);
    struct blob *image = image_of_core(s.core);
    assert_null(read_back(&s, blob_bytes(image)));
    for (size_t len = 0; len < image->len; len += len < 200 ? 1 : 97)
        assert_non_null(read_back(&s, bytes_of(image->data, len)));
    blob_release(image);
    solo_close(&s);
}

/* No byte changed makes reading do anything but refuse, or give a core that has the changed image. */
static void test_image_any_byte_changed_is_refused_or_taken_whole(void **state)
{
    struct solo s;
    uint32_t refused = 0;
    (void)state;
    busy(&s);
    struct blob *image = image_of_core(s.core);
    for (size_t at = 0; at < image->len; at += 23) {
        struct core *c = core_new(&s.config);
        image->data[at] ^= 0x81;
        struct image i = image_of(blob_bytes(image));
        const char *fault = core_image_read(c, &i);
        if (fault == NULL) fault = image_end(&i);
        if (fault == NULL) {
            struct blob *again = image_of_core(c);
            assert_int_equal(again->len, image->len);
            assert_memory_equal(again->data, image->data, image->len);
            blob_release(again);
        } else {
            refused++;
        }
        core_free(c);
        image->data[at] ^= 0x81;
    }
    assert_true(refused > 100);
    blob_release(image);
    solo_close(&s);
}

static void test_image_with_a_byte_after_its_end_is_refused(void **state)
{
    struct solo s;
    (void)state;
    busy(&s);
    struct blob *image = image_of_core(s.core);
    struct buffer longer = {0};
    buffer_append(&longer, image->data, image->len);
    buffer_append(&longer, "x", 1);
    assert_string_equal(read_back(&s, bytes_of(longer.data, longer.len)), "bytes stand after the end");
    buffer_free(&longer);
    blob_release(image);
    solo_close(&s);
}

/* Writes and reads one message. */
static void through(const struct solo *s, struct msg_verified *m, struct msg_verified *out)
{
    struct image written = {.reading = false};
    core_verified_image(&s->wire, m, &written);
    struct blob *flat = image_flat(&written);
    struct image in = image_of(blob_bytes(flat));
    memset(out, 0, sizeof *out);
    core_verified_image(&s->wire, out, &in);
    assert_null(image_end(&in));
    blob_release(flat);
    image_free(&written);
}

/* What was found bad when it came is bad in a replay too, where no signature is checked. */
static void test_image_of_a_message_keeps_its_verdicts(void **state)
{
    struct solo s;
    struct msg_verified m;
    struct msg_verified back;
    (void)state;
    solo_open(&s, 4, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    struct wire_pre_prepare p = {.view = 0, .seq = 1, .digest = b.digest, .batch = blob_bytes(b.bytes)};
    assert_null(msg_verify(&s.wire, fixture_checker(), fixture_message(s.group, &wire_record_pre_prepare, &p), &m));
    assert_true(m.has_batch && m.batch.valid);
    through(&s, &m, &back);
    assert_true(back.has_batch && back.batch.valid);
    msg_verified_release(&back);
    m.batch.valid = false;
    through(&s, &m, &back);
    assert_true(back.has_batch);
    assert_false(back.batch.valid);
    assert_non_null(back.batch.fault);
    msg_verified_release(&back);
    msg_verified_release(&m);
    struct blob *vote = solo_view_change_make(&s, 2, 1, &(struct solo_claim){.seq = 1, .batch = &b}, 1, NULL);
    assert_null(msg_verify(&s.wire, fixture_checker(), vote, &m));
    assert_true(m.checkpoint_good);
    assert_int_equal(m.certificates_good[0], 1);
    m.checkpoint_good = false;
    m.certificates_good[0] = 0;
    through(&s, &m, &back);
    assert_false(back.checkpoint_good);
    assert_int_equal(back.certificates_good[0], 0);
    msg_verified_release(&back);
    msg_verified_release(&m);
    solo_batch_free(&b);
    solo_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_seeds_same_effects_with_and_without),
        cmocka_unit_test(test_image_before_the_start_is_read),
        cmocka_unit_test(test_image_cut_anywhere_is_refused),
        cmocka_unit_test(test_image_any_byte_changed_is_refused_or_taken_whole),
        cmocka_unit_test(test_image_of_a_message_keeps_its_verdicts),
        cmocka_unit_test(test_image_with_a_byte_after_its_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
