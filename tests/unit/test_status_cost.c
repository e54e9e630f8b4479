/* test_status_cost.c - what lies between two statuses of a group. */
#include "client/status_cost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define REPLICAS 3u

/* Replica 0 counts from a past, replica 1 from nothing, replica 2 says of more types later. */
static void make(struct pbft_replica_status before[REPLICAS], struct pbft_replica_status after[REPLICAS])
{
    before[0] = (struct pbft_replica_status){
        .answered = true,
        .executed = 10,
        .entries = 100,
        .cpu_us = 1000,
        .message_count = 1,
        .messages = {{.type = WIRE_TYPE_commit, .sent = 30, .sent_bytes = 3000, .resent = 3, .resent_bytes = 300}}};
    after[0] = before[0];
    after[0].executed = 12;
    after[0].entries = 107;
    after[0].cpu_us = 1500;
    after[0].messages[0] = (struct pbft_message_count){
        .type = WIRE_TYPE_commit, .sent = 36, .sent_bytes = 3600, .resent = 4, .resent_bytes = 400};
    before[1] = (struct pbft_replica_status){.answered = true};
    after[1] = (struct pbft_replica_status){.answered = true,
                                            .executed = 1,
                                            .entries = 5,
                                            .cpu_us = 70,
                                            .syncs = 8,
                                            .verified = 9,
                                            .message_count = 1,
                                            .messages = {{.type = WIRE_TYPE_request,
                                                          .sent = 2,
                                                          .sent_bytes = 20,
                                                          .received = 7,
                                                          .received_bytes = 70,
                                                          .from_clients = 5,
                                                          .from_clients_bytes = 50}}};
    before[2] = (struct pbft_replica_status){.answered = true, .cpu_us = 5};
    after[2] = (struct pbft_replica_status){
        .answered = true, .cpu_us = 6, .message_count = 1, .messages = {{.type = WIRE_TYPE_pre_prepare, .sent = 2}}};
}

static struct status_cost made_cost(void)
{
    struct pbft_replica_status before[REPLICAS];
    struct pbft_replica_status after[REPLICAS];
    struct status_cost k;
    make(before, after);
    status_cost(before, after, REPLICAS, &k);
    return k;
}

static void test_cost_is_what_all_replicas_counted_between(void **state)
{
    (void)state;
    const struct status_cost k = made_cost();
    assert_int_equal(replica_set_count(&k.uncounted), 0);
    assert_int_equal(k.batches, 2);
    assert_int_equal(k.entries, 7);
    assert_int_equal(k.cpu_us, 571);
    assert_int_equal(k.syncs, 8);
    assert_int_equal(k.verified, 9);
    assert_int_equal(status_cost_messages(&k, WIRE_TYPE_commit), 7);
    assert_int_equal(status_cost_bytes(&k, WIRE_TYPE_commit), 700);
    assert_int_equal(status_cost_phases(&k, false), 8);
    assert_int_equal(status_cost_phases(&k, true), 1);
}

static void test_cost_of_requests_is_clients_and_replicas_own(void **state)
{
    (void)state;
    const struct status_cost k = made_cost();
    assert_int_equal(status_cost_messages(&k, WIRE_TYPE_request), 7);
    assert_int_equal(status_cost_bytes(&k, WIRE_TYPE_request), 70);
}

static void test_cost_without_a_replica_that_is_silent_or_new(void **state)
{
    struct pbft_replica_status before[REPLICAS];
    struct pbft_replica_status after[REPLICAS];
    struct status_cost k;
    (void)state;
    make(before, after);
    after[0].messages[0].resent_bytes = 299; /* less than before: its process began anew */
    after[1].answered = false;
    status_cost(before, after, REPLICAS, &k);
    assert_true(replica_set_has(&k.uncounted, 0));
    assert_true(replica_set_has(&k.uncounted, 1));
    assert_false(replica_set_has(&k.uncounted, 2));
    assert_int_equal(k.cpu_us, 1);
    assert_int_equal(k.batches, 0);
    assert_int_equal(status_cost_messages(&k, WIRE_TYPE_commit), 0);
    make(before, after);
    after[0].cpu_us = 999;
    before[2].answered = false;
    status_cost(before, after, REPLICAS, &k);
    assert_true(replica_set_has(&k.uncounted, 0));
    assert_true(replica_set_has(&k.uncounted, 2));
    assert_int_equal(k.batches, 1);
    assert_int_equal(k.entries, 5);
}

static void test_what_asks_orders_nothing(void **state)
{
    (void)state;
    assert_false(status_cost_orders(WIRE_TYPE_hello));
    assert_false(status_cost_orders(WIRE_TYPE_query));
    assert_false(status_cost_orders(WIRE_TYPE_result));
    assert_true(status_cost_orders(WIRE_TYPE_request));
    assert_true(status_cost_orders(WIRE_TYPE_busy));
    assert_true(status_cost_orders(WIRE_TYPE_status));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cost_is_what_all_replicas_counted_between),
        cmocka_unit_test(test_cost_of_requests_is_clients_and_replicas_own),
        cmocka_unit_test(test_cost_without_a_replica_that_is_silent_or_new),
        cmocka_unit_test(test_what_asks_orders_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
