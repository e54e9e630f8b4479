/* test_client_reply.c - libpbft: which REPLYs count, and how many it takes to believe one. Fake replicas over real TLS;
 * they answer by hand here.
 */
#include "tests/fixture/client_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct kept kept;
static struct fake_replica *const replicas = fakes.replicas;

/* A client with one transaction of three operations in flight, taken by the group, answered by nobody. */
static struct pbft_client *open_and_submit(void)
{
    fake_lock(&fakes);
    fake_set_manner(&fakes, FAKE_MANUAL);
    fake_unlock(&fakes);
    struct pbft_client *c = client_open_to_all();
    client_put_three(c, &kept);
    CLIENT_UNTIL(c, fake_order_of(&fakes, 1) != NULL);
    return c;
}

/* Sends an answer of each replica of the range, changed by `spoil` if it is not NULL. */
static void answer_from(uint32_t first, uint32_t count, void (*spoil)(struct fake_answer *a))
{
    struct fake_answer a;
    fake_lock(&fakes);
    for (uint32_t id = first; id < first + count; id++) {
        fake_answer_make(&replicas[id], 1, &a);
        if (spoil != NULL) spoil(&a);
        fake_answer_send(&a);
    }
    fake_unlock(&fakes);
}

/* ---- a REPLY that proves nothing is no vote: not even f+1 of them are believed ---- */

static void check_ignored(void (*spoil)(struct fake_answer *a))
{
    struct pbft_client *c = open_and_submit();
    answer_from(0, 2, spoil);
    answer_from(2, 1, NULL);
    client_settle(c);
    assert_int_equal(kept.calls, 0);
    answer_from(3, 1, NULL);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_OK);
    assert_matched(&kept, 1u << 2 | 1u << 3);
    pbft_close(c);
}

static void spoil_path(struct fake_answer *a)
{
    a->paths[1][0].bytes[7] ^= 1;
}

static void test_client_reply_wrong_path_ignored(void **state)
{
    (void)state;
    check_ignored(spoil_path);
}

static void spoil_path_length(struct fake_answer *a)
{
    a->path_counts[2] = 0;
}

static void test_client_reply_path_missing_ignored(void **state)
{
    (void)state;
    check_ignored(spoil_path_length);
}

static void spoil_index(struct fake_answer *a)
{
    a->entries[0].index = 2;
}

static void test_client_reply_wrong_index_ignored(void **state)
{
    (void)state;
    check_ignored(spoil_index);
}

static void spoil_entry(struct fake_answer *a)
{
    a->entries[1].entry.result = bytes_of_text("another result");
}

static void test_client_reply_result_not_in_block_ignored(void **state)
{
    (void)state;
    check_ignored(spoil_entry);
}

static void spoil_outcome(struct fake_answer *a)
{
    a->entries[2].entry.outcome = OUTCOME_NEGATIVE;
}

static void test_client_reply_outcome_not_in_block_ignored(void **state)
{
    (void)state;
    check_ignored(spoil_outcome);
}

static void spoil_outcome_range(struct fake_answer *a)
{
    a->entries[0].entry.outcome = OUTCOME_MAX + 1u;
    fake_answer_reseal(a);
}

static void test_client_reply_unknown_outcome_ignored(void **state)
{
    (void)state;
    check_ignored(spoil_outcome_range);
}

static void spoil_transaction(struct fake_answer *a)
{
    for (uint32_t k = 0; k < a->count; k++)
        a->entries[k].entry.transaction.bytes[0] ^= 1;
    fake_answer_reseal(a);
}

static void test_client_reply_another_transaction_ignored(void **state)
{
    (void)state;
    check_ignored(spoil_transaction);
}

static void spoil_last_operation(struct fake_answer *a)
{
    a->count--;
}

static void test_client_reply_last_operation_missing_ignored(void **state)
{
    (void)state;
    check_ignored(spoil_last_operation);
}

static void spoil_first_operation(struct fake_answer *a)
{
    for (uint32_t k = 1; k < a->count; k++) {
        a->entries[k - 1] = a->entries[k];
        a->path_counts[k - 1] = a->path_counts[k];
        memcpy(a->paths[k - 1], a->paths[k], sizeof a->paths[k]);
    }
    a->count--;
}

static void test_client_reply_first_operation_missing_ignored(void **state)
{
    (void)state;
    check_ignored(spoil_first_operation);
}

static void spoil_one_operation_ok(struct fake_answer *a)
{
    a->count = 1;
    fake_answer_reseal(a);
}

static void test_client_reply_one_ok_entry_for_three_operations_ignored(void **state)
{
    (void)state;
    check_ignored(spoil_one_operation_ok);
}

static void spoil_operation_twice(struct fake_answer *a)
{
    a->entries[1] = a->entries[0];
    a->path_counts[1] = a->path_counts[0];
    memcpy(a->paths[1], a->paths[0], sizeof a->paths[0]);
}

static void test_client_reply_operation_twice_ignored(void **state)
{
    (void)state;
    check_ignored(spoil_operation_twice);
}

static void spoil_operation_too_many(struct fake_answer *a)
{
    a->entries[3] = a->entries[2];
    a->entries[3].entry.operation = 3;
    a->count = 4;
    fake_answer_reseal(a);
}

static void test_client_reply_operation_too_many_ignored(void **state)
{
    (void)state;
    check_ignored(spoil_operation_too_many);
}

static void spoil_no_entries(struct fake_answer *a)
{
    a->count = 0;
}

static void test_client_reply_without_entries_ignored(void **state)
{
    (void)state;
    check_ignored(spoil_no_entries);
}

static void spoil_signature(struct fake_answer *a)
{
    a->spoiled_signature = true;
}

static void test_client_reply_bad_signature_ignored(void **state)
{
    (void)state;
    check_ignored(spoil_signature);
}

/* The signature of one header says nothing of the next. */
static void test_client_reply_bad_signature_after_a_good_one_ignored(void **state)
{
    struct fake_answer a;
    (void)state;
    struct pbft_client *c = open_and_submit();
    answer_from(0, 2, NULL);
    CLIENT_UNTIL(c, kept.calls > 0);
    client_put(c, "key", "value", &kept);
    CLIENT_UNTIL(c, fake_order_of(&fakes, 2) != NULL);
    fake_lock(&fakes);
    for (uint32_t id = 0; id < 2; id++) {
        fake_answer_make(&replicas[id], 2, &a);
        a.spoiled_signature = true;
        fake_answer_send(&a);
    }
    fake_unlock(&fakes);
    client_settle(c);
    assert_int_equal(kept.calls, 0);
    pbft_close(c);
}

static void spoil_signer(struct fake_answer *a)
{
    a->signer = &fakes.kit->members[(a->from->id + 1) % fakes.replica_count];
}

static void test_client_reply_signed_by_another_member_ignored(void **state)
{
    (void)state;
    check_ignored(spoil_signer);
}

static void spoil_sender(struct fake_answer *a)
{
    a->reply.sender = (a->from->id + 1) % fakes.replica_count;
}

static void test_client_reply_sender_of_another_id_ignored(void **state)
{
    (void)state;
    check_ignored(spoil_sender);
}

/* What another replica has truly said, passed on as it is. */
static void spoil_by_relaying(struct fake_answer *a)
{
    struct fake_replica *from = a->from;
    fake_answer_make(&replicas[(from->id + 1) % fakes.replica_count], 1, a);
    a->from = from;
}

static void test_client_reply_of_another_replica_relayed_ignored(void **state)
{
    (void)state;
    check_ignored(spoil_by_relaying);
}

static void spoil_epoch(struct fake_answer *a)
{
    a->reply.epoch = 1;
}

static void test_client_reply_of_another_epoch_ignored(void **state)
{
    (void)state;
    check_ignored(spoil_epoch);
}

static void spoil_header_epoch(struct fake_answer *a)
{
    a->reply.header.epoch = 1;
}

static void test_client_reply_header_of_another_epoch_ignored(void **state)
{
    (void)state;
    check_ignored(spoil_header_epoch);
}

static void spoil_group(struct fake_answer *a)
{
    a->group.bytes[0] ^= 1;
}

static void test_client_reply_signed_for_another_group_ignored(void **state)
{
    (void)state;
    check_ignored(spoil_group);
}

/* ---- properly signed lies ---- */

static void lie_result(struct fake_answer *a)
{
    a->entries[0].entry.result = bytes_of_text("a lie");
    fake_answer_reseal(a);
}

static void lie_header(struct fake_answer *a)
{
    a->reply.header.time_ms++;
}

/* f liars first; then the true answer of f+1. */
static void check_lie_not_believed(void (*lie)(struct fake_answer *a))
{
    const uint32_t f = fakes.kit->wire.quorum.faulty_max;
    struct pbft_client *c = open_and_submit();
    answer_from(0, f, lie);
    client_settle(c);
    assert_int_equal(kept.calls, 0);
    answer_from(f, f, NULL);
    client_settle(c);
    assert_int_equal(kept.calls, 0);
    answer_from(2 * f, 1, NULL);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_OK);
    assert_int_equal(kept.value_bytes, 0); /* a put gives nothing back */
    assert_matched(&kept, ((1u << (f + 1)) - 1) << f);
    pbft_close(c);
}

static void test_client_f_other_results_not_believed(void **state)
{
    (void)state;
    check_lie_not_believed(lie_result);
}

static void test_client_f_other_headers_not_believed(void **state)
{
    (void)state;
    check_lie_not_believed(lie_header);
}

static void lie_each_its_own(struct fake_answer *a)
{
    a->reply.header.time_ms += 1 + a->from->id;
}

static void test_client_every_replica_another_answer_times_out(void **state)
{
    (void)state;
    struct pbft_client *c = open_and_submit();
    answer_from(0, 4, lie_each_its_own);
    client_settle(c);
    assert_int_equal(kept.calls, 0);
    client_deadline_now(c);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_TIMEOUT);
    assert_non_null(strstr(kept.answer.text, "4 of 4 replicas answered"));
    pbft_close(c);
}

static void test_client_liar_repeats_itself_counts_once(void **state)
{
    (void)state;
    struct pbft_client *c = open_and_submit();
    for (uint32_t i = 0; i < 5; i++)
        answer_from(0, 1, lie_result);
    client_settle(c);
    assert_int_equal(kept.calls, 0);
    pbft_close(c);
}

static void test_client_liar_changes_its_answer_first_counts(void **state)
{
    (void)state;
    struct pbft_client *c = open_and_submit();
    answer_from(0, 1, lie_result);
    answer_from(1, 1, NULL);
    answer_from(0, 1, NULL);
    client_settle(c);
    assert_int_equal(kept.calls, 0);
    answer_from(2, 1, NULL);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_matched(&kept, 1u << 1 | 1u << 2);
    pbft_close(c);
}

/* A connection that broke and came back is still one replica's. */
static void test_client_liar_reconnects_counts_once(void **state)
{
    (void)state;
    struct pbft_client *c = open_and_submit();
    client_resend_never(c);
    answer_from(3, 1, lie_result);
    client_settle(c);
    WITH_FAKES(fake_drop(&replicas[3]));
    CLIENT_UNTIL(c, replicas[3].closed_count == 1 && replicas[3].client != NULL);
    client_settle(c);
    answer_from(3, 1, lie_result);
    client_settle(c);
    assert_int_equal(kept.calls, 0);
    pbft_close(c);
}

/* ---- how many are enough ---- */

static void check_f_equal_not_enough(const char *counted, const char *needed)
{
    const uint32_t f = fakes.kit->wire.quorum.faulty_max;
    struct pbft_client *c = open_and_submit();
    answer_from(1, f, NULL);
    client_settle(c);
    assert_int_equal(kept.calls, 0);
    client_deadline_now(c);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.calls, 1);
    assert_int_equal(kept.answer.status, PBFT_TIMEOUT);
    assert_non_null(strstr(kept.answer.text, counted));
    assert_non_null(strstr(kept.answer.text, needed));
    assert_non_null(strstr(kept.answer.text, "the primary is replica 0 of view 0"));
    assert_int_equal(pbft_in_flight(c), 0);
    pbft_close(c);
}

static void test_client_f_equal_of_4_time_out_says_who(void **state)
{
    (void)state;
    check_f_equal_not_enough("1 of 4 replicas answered", "2 equal answers are needed");
}

static void test_client_f_equal_of_7_time_out_says_who(void **state)
{
    (void)state;
    check_f_equal_not_enough("2 of 7 replicas answered", "3 equal answers are needed");
}

static void test_client_f_plus_1_equal_accepted(void **state)
{
    (void)state;
    const uint32_t f = fakes.kit->wire.quorum.faulty_max;
    struct pbft_client *c = open_and_submit();
    answer_from(f, f + 1, NULL);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_OK);
    assert_int_equal(kept.answer.client_seq, 1);
    assert_int_equal(kept.answer.block, 1);
    assert_int_equal(kept.op_count, 3);
    assert_matched(&kept, ((1u << (f + 1)) - 1) << f);
    const struct fake_order *o = fake_order_of(&fakes, 1);
    assert_int_equal(kept.answer.time_ms, o->block->header.time_ms);
    assert_int_equal(kept.answer.index, o->block->header.first_index + o->first);
    answer_from(0, fakes.replica_count, NULL); /* the rest comes late */
    client_settle(c);
    assert_int_equal(kept.calls, 1);
    pbft_close(c);
}

static void test_client_single_replica_group_its_answer_accepted(void **state)
{
    (void)state;
    struct pbft_client *c = open_and_submit();
    answer_from(0, 1, NULL);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_OK);
    assert_matched(&kept, 1);
    pbft_close(c);
}

static void lie_view(struct fake_answer *a)
{
    static const uint64_t views[] = {VIEW_MAX, 5, 3, 9};
    a->reply.view = views[a->from->id];
}

/* Accepted at the second answer: 5 is what both have reached. */
static void test_client_view_of_answer_lowest_of_f_plus_1(void **state)
{
    (void)state;
    struct pbft_client *c = open_and_submit();
    answer_from(0, 2, lie_view);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.view, 5);
    pbft_close(c);
}

/* ---- what an honest block may look like ---- */

static void test_client_refused_whole_one_entry_stands_for_all(void **state)
{
    (void)state;
    struct pbft_operation ops[] = {kv_put("a", "1"), kv_put("b", "2"), kv_put("c", "3")};
    struct pbft_client *c = client_open();
    ops[1].verb = 99;
    kept = (struct kept){0};
    assert_int_equal(pbft_submit(c, ops, 3, keep, &kept).status, PBFT_OK);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(fake_order_of(&fakes, 1)->count, 1);
    assert_int_equal(kept.answer.status, PBFT_OK);
    assert_int_equal(kept.op_count, 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(kept.outcomes[i], PBFT_OUTCOME_REFUSED);
    pbft_close(c);
}

static void test_client_transactions_of_one_block_in_one_reply_all_answered(void **state)
{
    struct kept all[5];
    (void)state;
    WITH_FAKES(fakes.hold = true);
    struct pbft_client *c = client_open();
    for (uint32_t i = 0; i < 5; i++)
        client_put(c, "key", "value", &all[i]);
    client_resend_never(c);
    CLIENT_UNTIL(c, fakes.order_count == 5);
    WITH_FAKES(fake_execute_held(&fakes));
    CLIENT_UNTIL(c, pbft_in_flight(c) == 0);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(all[i].calls, 1);
        assert_int_equal(all[i].answer.block, 1);
        assert_int_equal(all[i].answer.client_seq, i + 1);
        assert_int_equal(all[i].answer.index, all[0].answer.index + i);
    }
    pbft_close(c);
}

#define TEST_OF(count, test) cmocka_unit_test_setup_teardown(test, fakes_of_##count, fakes_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(4, test_client_reply_wrong_path_ignored),
        TEST_OF(4, test_client_reply_path_missing_ignored),
        TEST_OF(4, test_client_reply_wrong_index_ignored),
        TEST_OF(4, test_client_reply_result_not_in_block_ignored),
        TEST_OF(4, test_client_reply_outcome_not_in_block_ignored),
        TEST_OF(4, test_client_reply_unknown_outcome_ignored),
        TEST_OF(4, test_client_reply_another_transaction_ignored),
        TEST_OF(4, test_client_reply_last_operation_missing_ignored),
        TEST_OF(4, test_client_reply_first_operation_missing_ignored),
        TEST_OF(4, test_client_reply_one_ok_entry_for_three_operations_ignored),
        TEST_OF(4, test_client_reply_operation_twice_ignored),
        TEST_OF(4, test_client_reply_operation_too_many_ignored),
        TEST_OF(4, test_client_reply_without_entries_ignored),
        TEST_OF(4, test_client_reply_bad_signature_ignored),
        TEST_OF(4, test_client_reply_bad_signature_after_a_good_one_ignored),
        TEST_OF(4, test_client_reply_signed_by_another_member_ignored),
        TEST_OF(4, test_client_reply_sender_of_another_id_ignored),
        TEST_OF(4, test_client_reply_of_another_replica_relayed_ignored),
        TEST_OF(4, test_client_reply_of_another_epoch_ignored),
        TEST_OF(4, test_client_reply_header_of_another_epoch_ignored),
        TEST_OF(4, test_client_reply_signed_for_another_group_ignored),
        TEST_OF(4, test_client_f_other_results_not_believed),
        TEST_OF(7, test_client_f_other_results_not_believed),
        TEST_OF(4, test_client_f_other_headers_not_believed),
        TEST_OF(7, test_client_f_other_headers_not_believed),
        TEST_OF(4, test_client_every_replica_another_answer_times_out),
        TEST_OF(4, test_client_liar_repeats_itself_counts_once),
        TEST_OF(4, test_client_liar_changes_its_answer_first_counts),
        TEST_OF(4, test_client_liar_reconnects_counts_once),
        TEST_OF(4, test_client_f_equal_of_4_time_out_says_who),
        TEST_OF(7, test_client_f_equal_of_7_time_out_says_who),
        TEST_OF(4, test_client_f_plus_1_equal_accepted),
        TEST_OF(7, test_client_f_plus_1_equal_accepted),
        TEST_OF(1, test_client_single_replica_group_its_answer_accepted),
        TEST_OF(4, test_client_view_of_answer_lowest_of_f_plus_1),
        TEST_OF(4, test_client_refused_whole_one_entry_stands_for_all),
        TEST_OF(4, test_client_transactions_of_one_block_in_one_reply_all_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
