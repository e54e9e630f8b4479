/* test_pool_lanes.c - whose job a worker takes next. One worker, held until everything has been submitted, and the
 * order counted in jobs: no clock. Clean under TSan. */
#include "crypto/pool.h"

#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define LANES 4u
#define ROOM 2000u

static sem_t started; /* the gate job runs ... */
static sem_t opened;  /* ... until this */
static sem_t done;    /* once for each job */
static uint32_t ran;  /* note jobs that have run: the worker's, until all are done */
static uint32_t dropped;

struct note {
    struct verify_job job; /* first: a job is its note */
    uint32_t place;        /* how many had run before it */
    uint32_t drops;
};

static int test_setup(void **state)
{
    (void)state;
    ran = 0;
    dropped = 0;
    (void)sem_init(&started, 0, 0);
    (void)sem_init(&opened, 0, 0);
    (void)sem_init(&done, 0, 0);
    return 0;
}

static int test_teardown(void **state)
{
    (void)state;
    (void)sem_destroy(&started);
    (void)sem_destroy(&opened);
    (void)sem_destroy(&done);
    return 0;
}

static void wait_for(sem_t *s, uint32_t times)
{
    for (uint32_t i = 0; i < times; i++)
        while (sem_wait(s) != 0)
            assert_int_equal(errno, EINTR);
}

static void run_gate(struct verify_job *job)
{
    (void)job;
    (void)sem_post(&started);
    while (sem_wait(&opened) != 0)
        continue;
}

static void run_note(struct verify_job *job)
{
    ((struct note *)(void *)job)->place = ran++;
}

static void count_done(void *context)
{
    (void)context;
    (void)sem_post(&done);
}

static void drop_note(struct verify_job *job)
{
    ((struct note *)(void *)job)->drops++;
    dropped++;
}

/* A pool of one worker, held by a job of the last member's lane, so that what is submitted next waits. */
static struct verify_pool *held_pool(uint32_t jobs_max, struct note *gate)
{
    const struct verify_pool_config config = {
        .threads = 1,
        .classes = {[VERIFY_CLASS_MEMBER] = {.lanes = LANES, .jobs_max = jobs_max},
                    [VERIFY_CLASS_CLIENT] = {.lanes = LANES, .jobs_max = jobs_max}},
        .notify = count_done};
    struct verify_pool *p = NULL;
    const struct err e = verify_pool_start(&config, &p);
    assert_string_equal(e.text, "");
    *gate = (struct note){.job = {.run = run_gate}};
    assert_true(verify_pool_submit(p, VERIFY_CLASS_MEMBER, LANES - 1, &gate->job));
    wait_for(&started, 1);
    return p;
}

static void submit_note(struct verify_pool *p, enum verify_class submitter, uint32_t lane, struct note *t)
{
    *t = (struct note){.job = {.run = run_note}};
    assert_true(verify_pool_submit(p, submitter, lane, &t->job));
}

/* Lets the worker do what waits, `count` note jobs. */
static void let_run(struct verify_pool *p, uint32_t count)
{
    (void)sem_post(&opened);
    wait_for(&done, count + 1);
    verify_pool_stop(p, drop_note);
    assert_int_equal(ran, count);
    assert_int_equal(dropped, count + 1);
}

static void test_verify_pool_lane_of_a_thousand_delays_no_other_lane(void **state)
{
    enum { MANY = 1000 };
    static const enum verify_class classes[] = {VERIFY_CLASS_MEMBER, VERIFY_CLASS_CLIENT};
    static struct note many[MANY];
    struct note gate;
    struct note other[3];
    for (uint32_t k = 0; k < 2; k++) {
        (void)test_setup(state);
        struct verify_pool *p = held_pool(ROOM, &gate);
        for (uint32_t i = 0; i < MANY; i++)
            submit_note(p, classes[k], 1, &many[i]);
        submit_note(p, classes[k], 0, &other[0]);
        submit_note(p, classes[k], 2, &other[1]);
        submit_note(p, classes[1 - k], 3, &other[2]);
        let_run(p, MANY + 3);
        for (uint32_t i = 0; i < 3; i++)
            assert_in_range(other[i].place, 0, 3);
        assert_int_equal(many[0].place + other[0].place + other[1].place + other[2].place, 0 + 1 + 2 + 3);
        for (uint32_t i = 1; i < MANY; i++) /* and the rest when nobody else waits */
            assert_int_equal(many[i].place, i + 3);
    }
}

/* Who always has the next job ready gets no more turns than who has one now and then. */
static void test_verify_pool_lane_filled_again_waits_for_the_others(void **state)
{
    (void)state;
    struct note gate;
    struct note jobs[7];
    struct verify_pool *p = held_pool(ROOM, &gate);
    submit_note(p, VERIFY_CLASS_MEMBER, 1, &jobs[0]);
    submit_note(p, VERIFY_CLASS_MEMBER, 1, &jobs[1]);
    submit_note(p, VERIFY_CLASS_MEMBER, 0, &jobs[2]);
    submit_note(p, VERIFY_CLASS_MEMBER, 1, &jobs[3]);
    submit_note(p, VERIFY_CLASS_MEMBER, 0, &jobs[4]);
    submit_note(p, VERIFY_CLASS_MEMBER, 2, &jobs[5]);
    submit_note(p, VERIFY_CLASS_MEMBER, 1, &jobs[6]);
    let_run(p, 7);
    static const uint32_t order[] = {0, 2, 5, 1, 4, 3, 6};
    for (uint32_t i = 0; i < 7; i++)
        assert_int_equal(jobs[order[i]].place, i);
}

static void test_verify_pool_runs_in_the_order_that_the_header_draws(void **state)
{
    static const struct {
        char name;
        enum verify_class submitter;
        uint32_t lane;
    } waiting[] = {
        {'a', VERIFY_CLASS_MEMBER, 0}, {'b', VERIFY_CLASS_MEMBER, 0}, {'c', VERIFY_CLASS_MEMBER, 0},
        {'d', VERIFY_CLASS_MEMBER, 0}, {'e', VERIFY_CLASS_MEMBER, 2}, {'f', VERIFY_CLASS_MEMBER, 2},
        {'g', VERIFY_CLASS_MEMBER, 2}, {'p', VERIFY_CLASS_CLIENT, 0}, {'q', VERIFY_CLASS_CLIENT, 3},
        {'r', VERIFY_CLASS_CLIENT, 0},
    };
    enum { COUNT = sizeof waiting / sizeof waiting[0] };
    char order[COUNT + 1] = {0};
    struct note gate;
    struct note client_gate;
    struct note jobs[COUNT];
    (void)state;
    struct verify_pool *p = held_pool(ROOM, &gate);
    submit_note(p, VERIFY_CLASS_CLIENT, 1, &client_gate); /* after the gate it is the clients' turn: here it is */
    for (uint32_t i = 0; i < COUNT; i++)
        submit_note(p, waiting[i].submitter, waiting[i].lane, &jobs[i]);
    let_run(p, COUNT + 1);
    assert_int_equal(client_gate.place, 0);
    for (uint32_t i = 0; i < COUNT; i++)
        order[jobs[i].place - 1] = waiting[i].name;
    assert_string_equal(order, "apeqbrfcgd");
}

/* A hundred clients are not a hundred times a member. */
static void test_verify_pool_members_and_clients_alternate(void **state)
{
    enum { MEMBERS = 20, CLIENTS = 300 };
    static struct note members[MEMBERS];
    static struct note clients[CLIENTS];
    struct note gate;
    (void)state;
    struct verify_pool *p = held_pool(ROOM, &gate);
    for (uint32_t i = 0; i < CLIENTS; i++)
        submit_note(p, VERIFY_CLASS_CLIENT, i % LANES, &clients[i]);
    for (uint32_t i = 0; i < MEMBERS; i++)
        submit_note(p, VERIFY_CLASS_MEMBER, 0, &members[i]);
    let_run(p, MEMBERS + CLIENTS);
    for (uint32_t i = 0; i < MEMBERS; i++)
        assert_int_equal(members[i].place, 2 * i + 1); /* the gate was a member's: a client is next */
    for (uint32_t i = 0; i < MEMBERS; i++)
        assert_int_equal(clients[i].place, 2 * i);
    for (uint32_t i = MEMBERS; i < CLIENTS; i++)
        assert_int_equal(clients[i].place, i + MEMBERS);
}

static void test_verify_pool_full_of_one_class_takes_the_other(void **state)
{
    struct note clients[2];
    struct note gate;
    struct note member;
    struct note more = {.job = {.run = run_note}};
    (void)state;
    struct verify_pool *p = held_pool(2, &gate);
    submit_note(p, VERIFY_CLASS_CLIENT, 0, &clients[0]);
    submit_note(p, VERIFY_CLASS_CLIENT, 1, &clients[1]);
    assert_false(verify_pool_submit(p, VERIFY_CLASS_CLIENT, 2, &more.job)); /* whatever its lane */
    submit_note(p, VERIFY_CLASS_MEMBER, 0, &member);
    assert_false(verify_pool_submit(p, VERIFY_CLASS_MEMBER, 1, &more.job));
    (void)sem_post(&opened);
    wait_for(&done, 4);
    /* the room of a class comes back with its own jobs, in the order they were done: the gate, then a client */
    assert_ptr_equal(verify_pool_take_done(p), &gate.job);
    assert_false(verify_pool_submit(p, VERIFY_CLASS_CLIENT, 2, &more.job));
    assert_ptr_equal(verify_pool_take_done(p), &clients[0].job);
    assert_true(verify_pool_submit(p, VERIFY_CLASS_CLIENT, 2, &more.job));
    wait_for(&done, 1);
    verify_pool_stop(p, drop_note);
    assert_int_equal(more.place, 3);
}

static void test_verify_pool_stop_drops_what_waits_in_every_lane(void **state)
{
    enum { EACH = 3, COUNT = EACH * 2 * LANES };
    struct note gate;
    struct note jobs[COUNT];
    (void)state;
    struct verify_pool *p = held_pool(ROOM, &gate);
    for (uint32_t i = 0; i < COUNT; i++)
        submit_note(p, i % 2, i / 2 % LANES, &jobs[i]);
    assert_int_equal(sem_post(&opened), 0);
    verify_pool_stop(p, drop_note); /* some may run before it stops */
    assert_int_equal(dropped, COUNT + 1);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(jobs[i].drops, 1);
}

#define LANES_TEST(function_) cmocka_unit_test_setup_teardown(function_, test_setup, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LANES_TEST(test_verify_pool_lane_of_a_thousand_delays_no_other_lane),
        LANES_TEST(test_verify_pool_lane_filled_again_waits_for_the_others),
        LANES_TEST(test_verify_pool_runs_in_the_order_that_the_header_draws),
        LANES_TEST(test_verify_pool_members_and_clients_alternate),
        LANES_TEST(test_verify_pool_full_of_one_class_takes_the_other),
        LANES_TEST(test_verify_pool_stop_drops_what_waits_in_every_lane),
    };
    return cmocka_run_group_tests_name("pool lanes", tests, NULL, NULL);
}
