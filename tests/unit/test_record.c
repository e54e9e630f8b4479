/* test_record.c - recordings: what was recorded is what a replay does; a damaged file is refused, a torn one read as
 * far as it is whole; the ring is bounded; a full disk and a failed CHECK. The recordings are of a replica in a cluster
 * that goes through checkpoints, a dead primary and a crash of its own. */
#include "base/file.h"
#include "replica/run/record.h"
#include "tests/fixture/cluster.h"
#include "tests/fixture/ends_process.h"
#include "tests/sim/replay.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FILE_BYTES_MAX (16u * 1024u * 1024u)
#define LARGE (64ull * 1024u * 1024u)
#define RECORDED 2u

static char directory[64];

static int enter(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/record-XXXXXX");
    return mkdtemp(directory) == NULL ? -1 : chdir(directory);
}

static void remove_all(void)
{
    char name[32];
    (void)unlink("rec");
    for (uint32_t place = 1; place < RECORDER_FILES + 2; place++) {
        (void)snprintf(name, sizeof name, "rec.%u", place);
        (void)unlink(name);
    }
}

static int leave(void **state)
{
    (void)state;
    remove_all();
    return chdir("/") != 0 ? -1 : rmdir(directory);
}

/* ---- making and reading ---- */

static struct recorder *open_recorder(uint64_t bytes)
{
    struct recorder *r;
    const struct err e = recorder_open("rec", bytes, &r);
    if (err_is(&e)) print_message("%s\n", e.text);
    assert_false(err_is(&e));
    return r;
}

/* Two primaries die; with_crash: the recorded replica does meanwhile, which begins another file. */
static void record_run(struct recorder *r, uint32_t requests, bool with_crash)
{
    struct cluster_options o = cluster_defaults();
    o.recorder = r;
    o.recorded = RECORDED;
    o.loss_permille = 10;
    struct cluster *c = cluster_new(&o);
    cluster_submit(c, 0, requests);
    assert_true(cluster_settle(c, 200000000));
    if (with_crash) {
        cluster_crash(c, RECORDED);
        cluster_run(c, 200000);
        cluster_start(c, RECORDED);
    }
    cluster_crash(c, 0);
    cluster_submit(c, 0, 5);
    assert_true(cluster_settle_except(c, 200000000, 1));
    cluster_start(c, 0);
    cluster_crash(c, 1);
    cluster_submit(c, 0, 5);
    assert_true(cluster_settle_except(c, 200000000, 2));
    assert_null(cluster_violation(c));
    assert_true(cluster_summary(c, RECORDED).view >= 2);
    cluster_stop(c, RECORDED);
    cluster_run(c, 8000000);
    cluster_free(c);
}

static struct bytes load(const char *name)
{
    static uint8_t *space;
    struct file_text got;
    if (space == NULL) space = malloc(FILE_BYTES_MAX + 1);
    assert_int_equal(file_load(name, space, FILE_BYTES_MAX, &got), FILE_FAULT_NONE);
    return bytes_of(space, got.len);
}

static struct err replay(struct bytes file, struct replay_result *out)
{
    const struct replay_options all = {.until_seq = REPLAY_TO_END};
    const struct err e = replay_run(file, &all, out);
    buffer_free(&out->state);
    return e;
}

static struct replay_result replay_equal(const char *name)
{
    struct replay_result result;
    const struct err e = replay(load(name), &result);
    if (err_is(&e)) print_message("%s: %s\n", name, e.text);
    assert_false(err_is(&e));
    return result;
}

static void check_code(struct bytes file, enum err_code code, const char *words)
{
    struct replay_result result;
    const struct err e = replay(file, &result);
    if (e.code != code || strstr(e.text, words) == NULL) print_message("%s\n", e.text);
    assert_int_equal(e.code, code);
    assert_non_null(strstr(e.text, words));
}

/* A small recording in memory of its own. */
static struct buffer small(void)
{
    struct buffer copy = {0};
    struct recorder *r = open_recorder(LARGE);
    record_run(r, 20, false);
    recorder_close(r);
    const struct bytes file = load("rec");
    buffer_append(&copy, file.data, file.len);
    remove_all();
    return copy;
}

/* ---- the same again ---- */

static void test_replay_equals_through_checkpoints_and_views(void **state)
{
    (void)state;
    struct recorder *r = open_recorder(LARGE);
    record_run(r, 2500, false);
    assert_true(recorder_runs(r));
    recorder_close(r);
    const struct replay_result result = replay_equal("rec");
    assert_int_equal(result.stop, REPLAY_STOP_END);
    assert_int_equal(result.self, RECORDED);
    assert_int_equal(result.first, 0);
    assert_true(result.events > 1000);
    assert_true(result.summary.view >= 2);
    assert_true(result.summary.low > 0); /* a checkpoint was stable */
    assert_false(result.torn);
    assert_false(result.open);
    remove_all();
}

static void test_replay_of_each_start_is_a_file(void **state)
{
    (void)state;
    struct recorder *r = open_recorder(LARGE);
    record_run(r, 40, true);
    recorder_close(r);
    const struct replay_result first = replay_equal("rec.1");
    const struct replay_result second = replay_equal("rec");
    assert_int_equal(first.stop, REPLAY_STOP_NEXT);
    assert_int_equal(second.first, first.first + first.events);
    assert_int_equal(access("rec.2", F_OK), -1);
    remove_all();
}

static void test_replay_stops_at_a_sequence(void **state)
{
    const struct replay_options options = {.until_seq = 4};
    struct replay_result result;
    struct buffer file = small();
    (void)state;
    const struct err e = replay_run(bytes_of(file.data, file.len), &options, &result);
    assert_false(err_is(&e));
    assert_int_equal(result.stop, REPLAY_STOP_SEQ);
    assert_int_equal(result.summary.executed, 4);
    assert_true(result.state.len > 0);
    buffer_free(&result.state);
    buffer_free(&file);
}

static struct err replay_until(struct bytes file, uint64_t seq)
{
    const struct replay_options options = {.until_seq = seq};
    struct replay_result result;
    const struct err e = replay_run(file, &options, &result);
    buffer_free(&result.state);
    return e;
}

static void test_replay_to_a_sequence_never_reached_says_so(void **state)
{
    struct buffer file = small();
    (void)state;
    const struct err e = replay_until(bytes_of(file.data, file.len), 100000);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_non_null(strstr(e.text, "sequence 100000 is not reached in this recording: where it ends, sequence "));
    buffer_free(&file);
}

/* Its first state is at a sequence above: the replica's earlier past is in the files that were written before. */
static void test_replay_to_a_sequence_before_the_file_says_so(void **state)
{
    (void)state;
    struct recorder *r = open_recorder(RECORDER_BYTES_MIN);
    record_run(r, 3000, false);
    recorder_close(r);
    const struct err e = replay_until(load("rec"), 1);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_non_null(strstr(e.text, "sequence 1 is not in this recording: where it begins, sequence "));
    assert_non_null(strstr(e.text, "look in an older file"));
    remove_all();
}

/* ---- the ring ---- */

/* A file ends with its share of the ring, or with twice the state that it begins with if that is more; the last frame may
 * go past it. */
static void check_size(struct bytes file)
{
    size_t offset = 0;
    struct record_check check = {{0}};
    enum record_kind kind;
    struct bytes body;
    assert_int_equal(record_frame_next(file, &offset, &check, &kind, &body), RECORD_READ_FRAME);
    assert_int_equal(record_frame_next(file, &offset, &check, &kind, &body), RECORD_READ_FRAME);
    assert_int_equal(kind, RECORD_KIND_IMAGE);
    const size_t share = RECORDER_BYTES_MIN / RECORDER_FILES;
    assert_true(file.len < (share > 2 * body.len ? share : 2 * body.len) + 65536);
}

static void test_ring_is_bounded_and_each_file_replays(void **state)
{
    uint64_t next = 0;
    uint32_t files = 0;
    (void)state;
    struct recorder *r = open_recorder(RECORDER_BYTES_MIN);
    record_run(r, 3000, false);
    recorder_close(r);
    for (uint32_t place = RECORDER_FILES + 1; place-- > 0;) {
        char name[16];
        (void)snprintf(name, sizeof name, place == 0 ? "rec" : "rec.%u", place);
        if (access(name, F_OK) != 0) continue;
        const struct replay_result result = replay_equal(name);
        assert_true(files == 0 || result.first == next); /* they follow each other */
        next = result.first + result.events;
        files++;
        check_size(load(name));
    }
    assert_int_equal(files, RECORDER_FILES);
    assert_true(replay_equal("rec.7").first > 0); /* the oldest is gone */
    remove_all();
}

static void test_recorder_next_start_keeps_the_file_before(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        struct recorder *r = open_recorder(LARGE);
        record_run(r, 5 + i, false);
        recorder_close(r);
    }
    assert_int_equal(replay_equal("rec.1").stop, REPLAY_STOP_END);
    assert_int_equal(replay_equal("rec").first, 0);
    remove_all();
}

static void test_recorder_leaves_other_files_alone(void **state)
{
    struct recorder *r = NULL;
    (void)state;
    assert_int_equal(file_put("rec", bytes_of_text("group file, precious and long enough"), 0600, FILE_PLACE_NEW), 0);
    struct err e = recorder_open("rec", LARGE, &r);
    assert_int_equal(e.code, ERR_USAGE);
    assert_non_null(strstr(e.text, "no recording"));
    assert_int_equal(load("rec").data[0], 'g');
    assert_int_equal(access("rec.1", F_OK), -1);
    assert_int_equal(unlink("rec"), 0);
    assert_int_equal(file_put("rec.3", bytes_of_text("notes, precious and long enough"), 0600, FILE_PLACE_NEW), 0);
    e = recorder_open("rec", LARGE, &r); /* it would become rec.4 */
    assert_int_equal(e.code, ERR_USAGE);
    assert_non_null(strstr(e.text, "rec.3"));
    assert_int_equal(unlink("rec.3"), 0);
    e = recorder_open("missing/rec", LARGE, &r);
    assert_true(err_is(&e));
    e = recorder_open("rec", 10, &r);
    assert_int_equal(e.code, ERR_USAGE);
    assert_null(r);
}

static void test_recorder_of_another_process_is_left_alone(void **state)
{
    struct recorder *second = NULL;
    (void)state;
    struct recorder *r = open_recorder(LARGE);
    const struct err e = recorder_open("rec", LARGE, &second);
    assert_int_equal(e.code, ERR_USAGE);
    assert_non_null(strstr(e.text, "another process does"));
    assert_null(second);
    recorder_close(r);
    remove_all();
}

static void test_recorder_full_disk_ends_the_recording_only(void **state)
{
    struct rlimit before;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit little = {.rlim_cur = 200000, .rlim_max = before.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN); /* as a full disk: write(2) fails */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    struct recorder *r = open_recorder(LARGE);
    record_run(r, 400, false); /* asserts that the replica goes on */
    recorder_close(r);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    const struct replay_result result = replay_equal("rec");
    assert_int_equal(result.stop, REPLAY_STOP_CUT);
    assert_int_equal(load("rec").len, 200000);
    assert_true(result.events > 10);
    remove_all();
}

/* ---- one event ---- */

static void test_record_missing_block_is_read_as_written(void **state)
{
    const struct core_config config = {.group = fixture_wire_group(fixture_group(4, 1))};
    const struct core_event event = {.type = CORE_EVENT_MISSING_BLOCK, .missing = 0x0102030405060708u};
    struct image out = {.reading = false};
    struct record_event read;
    struct buffer text = {0};
    (void)state;
    record_event_write(&config, &event, &out);
    struct blob *flat = image_flat(&out);
    struct image in = image_of(blob_bytes(flat));
    memset(&read, 0, sizeof read);
    record_event_read(&config, &in, &read);
    assert_null(image_end(&in));
    assert_int_equal(read.event.type, CORE_EVENT_MISSING_BLOCK);
    assert_int_equal(read.event.missing, event.missing);
    core_event_text(&read.event, NULL, &text);
    assert_int_equal(text.len, strlen("MISSING block 72623859790382856"));
    assert_memory_equal(text.data, "MISSING block 72623859790382856", text.len);
    buffer_free(&text);
    record_event_release(&read);
    image_free(&out);
    blob_release(flat);
}

/* ---- a CHECK that fails ---- */

static void record_and_abort(void *context)
{
    struct core_event event = {.type = CORE_EVENT_TICK, .tick = {1, 2}};
    const struct wire_group g = fixture_wire_group(fixture_group(4, 1));
    struct core_config config = {.group = g,
                                 .self = 1,
                                 .client_count = 1,
                                 .batch_requests_max = 8,
                                 .pipeline_max = 1,
                                 .sign = fixture_sign_as,
                                 .sign_context = (void *)(uintptr_t)&g.members[1]};
    struct core_effects *effects = calloc(1, sizeof *effects);
    struct recorder *r;
    (void)context;
    const struct err e = recorder_open("rec", LARGE, &r);
    if (err_is(&e)) return;
    recorder_wrap(r, &config);
    struct core *c = core_new(&config);
    recorder_event(r, c, &event);
    (void)core_step(c, &event, effects);
    recorder_effects(r, effects);
    event = (struct core_event){.type = CORE_EVENT_PERSISTED, .persisted = 99}; /* never given out */
    recorder_event(r, c, &event);
    (void)core_step(c, &event, effects);
}

static void note_number(void *context, uint64_t number)
{
    uint64_t *last = context;
    *last = number;
}

static void replay_aborted(void *context)
{
    uint64_t last = UINT64_MAX;
    const struct replay_options options = {.until_seq = REPLAY_TO_END, .before = note_number, .context = &last};
    struct replay_result result;
    (void)context;
    const struct err e = replay_run(load("rec"), &options, &result);
    (void)e;
}

static void test_recorder_failed_check_is_in_the_file_and_happens_again(void **state)
{
    (void)state;
    assert_true(ends_process(record_and_abort, NULL));
    assert_true(ends_process(replay_aborted, NULL));
    remove_all();
}

/* ---- damage ---- */

static void test_replay_cut_anywhere_reads_what_is_whole(void **state)
{
    struct replay_result result;
    struct buffer file = small();
    uint64_t least = 0;
    (void)state;
    for (size_t len = 0; len < file.len; len += len < 320 ? 1 : 1511) {
        const struct err e = replay(bytes_of(file.data, len), &result);
        if (err_is(&e)) { /* not even a state */
            assert_int_equal(e.code, ERR_CORRUPT);
            assert_int_equal(least, 0);
            continue;
        }
        assert_int_equal(result.stop, REPLAY_STOP_CUT);
        assert_true(result.events >= least);
        least = result.events;
    }
    assert_true(least > 100);
    buffer_free(&file);
}

static void test_replay_any_byte_changed_is_damage(void **state)
{
    struct replay_result result;
    struct buffer file = small();
    (void)state;
    for (size_t at = 0; at < file.len; at += at < 320 || at + 40 > file.len ? 1 : 1511) {
        file.data[at] ^= (uint8_t)(1u << (at % 8));
        const struct err e = replay(bytes_of(file.data, file.len), &result);
        assert_int_equal(e.code, ERR_CORRUPT);
        assert_non_null(strstr(e.text, "damaged at offset"));
        file.data[at] ^= (uint8_t)(1u << (at % 8));
    }
    buffer_free(&file);
}

/* ---- frames that are whole, and wrong ---- */

/* Writes the frames of `file` again with right checks; `change` may alter a body, or leave the frame out by false. */
static struct buffer reframe(struct buffer *file,
                             bool (*change)(enum record_kind kind, uint64_t number, struct buffer *body))
{
    struct buffer out = {0};
    struct record_check check = {{0}};
    struct record_check written = {{0}};
    size_t offset = 0;
    enum record_kind kind;
    struct bytes in;
    uint64_t number = 0;
    while (record_frame_next(bytes_of(file->data, file->len), &offset, &check, &kind, &in) == RECORD_READ_FRAME) {
        struct buffer body = {0};
        struct record_frame f;
        buffer_append(&body, in.data, in.len);
        if (kind == RECORD_KIND_EVENT) number++;
        if (change(kind, number, &body)) {
            record_frame_start(&f, &written, kind, body.len);
            record_frame_add(&f, bytes_of(body.data, body.len));
            buffer_append(&out, f.head, sizeof f.head);
            buffer_append(&out, body.data, body.len);
            written = record_frame_finish(&f);
            buffer_append(&out, written.bytes, sizeof written.bytes);
        }
        buffer_free(&body);
    }
    buffer_free(file);
    return out;
}

static void check_changed(bool (*change)(enum record_kind kind, uint64_t number, struct buffer *body),
                          enum err_code code, const char *words)
{
    struct buffer file = small();
    struct buffer changed = reframe(&file, change);
    check_code(bytes_of(changed.data, changed.len), code, words);
    buffer_free(&changed);
}

static bool change_hash(enum record_kind kind, uint64_t number, struct buffer *body)
{
    if (kind == RECORD_KIND_EFFECTS && number == 51) body->data[12] ^= 1;
    return true;
}

/* The first PERSISTED after so many events says one less. */
static bool change_persisted(enum record_kind kind, uint64_t number, struct buffer *body)
{
    static uint64_t done;
    if (kind == RECORD_KIND_HEADER) done = 0;
    if (kind == RECORD_KIND_EVENT && done == 0 && number > 20 && be32_get(body->data + 8) == CORE_EVENT_PERSISTED) {
        be64_put(body->data + 12, be64_get(body->data + 12) - 1);
        done = number;
    }
    return true;
}

static bool leave_out_event(enum record_kind kind, uint64_t number, struct buffer *body)
{
    (void)body;
    return number != 30 || (kind != RECORD_KIND_EVENT && kind != RECORD_KIND_EFFECTS);
}

static bool leave_out_effects(enum record_kind kind, uint64_t number, struct buffer *body)
{
    (void)body;
    return number != 30 || kind != RECORD_KIND_EFFECTS;
}

static bool change_layout(enum record_kind kind, uint64_t number, struct buffer *body)
{
    (void)number;
    if (kind == RECORD_KIND_HEADER) body->data[15] ^= 1;
    return true;
}

static bool change_magic(enum record_kind kind, uint64_t number, struct buffer *body)
{
    (void)number;
    if (kind == RECORD_KIND_HEADER) body->data[0] ^= 1;
    return true;
}

static bool change_members(enum record_kind kind, uint64_t number, struct buffer *body)
{
    (void)number;
    if (kind == RECORD_KIND_HEADER) be32_put(body->data + 8 + 4 + 4 + 32 + 32 + 8, 1000);
    return true;
}

static bool change_signed(enum record_kind kind, uint64_t number, struct buffer *body)
{
    (void)number;
    if (kind == RECORD_KIND_EFFECTS && be32_get(body->data + 44) > 0) body->data[48] ^= 1; /* what was signed */
    return true;
}

static bool cut_event(enum record_kind kind, uint64_t number, struct buffer *body)
{
    if (kind == RECORD_KIND_EVENT && number == 10) body->len -= 1;
    return true;
}

static void test_replay_other_effects_name_the_event(void **state)
{
    (void)state;
    check_changed(change_hash, ERR_NEGATIVE, "event 50 ");
    check_changed(change_persisted, ERR_NEGATIVE, "event ");
    check_changed(change_signed, ERR_NEGATIVE, "signs something else");
}

static void test_replay_frames_missing_or_wrong_are_damage(void **state)
{
    (void)state;
    check_changed(leave_out_event, ERR_CORRUPT, "an event is missing");
    check_changed(leave_out_effects, ERR_CORRUPT, "has no effects");
    check_changed(cut_event, ERR_CORRUPT, "damaged at offset");
    check_changed(change_magic, ERR_CORRUPT, "no recording");
    check_changed(change_members, ERR_CORRUPT, "a count is over its maximum");
}

static void test_replay_of_another_build_says_so(void **state)
{
    (void)state;
    check_changed(change_layout, ERR_CONFIG, "another build");
}

static void test_replay_of_what_is_no_recording_says_so(void **state)
{
    (void)state;
    check_code(bytes_of(NULL, 0), ERR_CORRUPT, "before its header");
    check_code(bytes_of_text("[replica]\nid = 1\n and so on"), ERR_CORRUPT, "no recording");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay_equals_through_checkpoints_and_views),
        cmocka_unit_test(test_replay_of_each_start_is_a_file),
        cmocka_unit_test(test_replay_stops_at_a_sequence),
        cmocka_unit_test(test_replay_to_a_sequence_never_reached_says_so),
        cmocka_unit_test(test_replay_to_a_sequence_before_the_file_says_so),
        cmocka_unit_test(test_ring_is_bounded_and_each_file_replays),
        cmocka_unit_test(test_recorder_next_start_keeps_the_file_before),
        cmocka_unit_test(test_recorder_leaves_other_files_alone),
        cmocka_unit_test(test_recorder_of_another_process_is_left_alone),
        cmocka_unit_test(test_recorder_full_disk_ends_the_recording_only),
        cmocka_unit_test(test_record_missing_block_is_read_as_written),
        cmocka_unit_test(test_recorder_failed_check_is_in_the_file_and_happens_again),
        cmocka_unit_test(test_replay_cut_anywhere_reads_what_is_whole),
        cmocka_unit_test(test_replay_any_byte_changed_is_damage),
        cmocka_unit_test(test_replay_other_effects_name_the_event),
        cmocka_unit_test(test_replay_frames_missing_or_wrong_are_damage),
        cmocka_unit_test(test_replay_of_another_build_says_so),
        cmocka_unit_test(test_replay_of_what_is_no_recording_says_so),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
