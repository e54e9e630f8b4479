/* test_node_effects.c - what the log says of an effect that is for the operator, without thread or socket; when an effect
 * is performed (rule 30); what the core is told of an answer that could not be read. What effects do to disk and network:
 * test_storage.c, test_execution_steps.c, test_net.c.
 */
#include "replica/run/node_internal.h"

#include "tests/fixture/ledger_kit.h"
#include "tests/fixture/solo.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define TEXT_BYTES 4096u

struct log_taken {
    FILE *sink;
    int real;
};

/* From here on what is logged comes to a file, ... */
static struct log_taken log_take(void)
{
    const struct log_taken t = {.sink = tmpfile(), .real = dup(STDERR_FILENO)};
    assert_non_null(t.sink);
    assert_true(t.real >= 0 && dup2(fileno(t.sink), STDERR_FILENO) >= 0);
    return t;
}

/* ... until here, and is given. */
static void log_give_back(struct log_taken t, char text[TEXT_BYTES])
{
    assert_true(dup2(t.real, STDERR_FILENO) >= 0);
    (void)close(t.real);
    const ssize_t len = pread(fileno(t.sink), text, TEXT_BYTES - 1, 0);
    assert_true(len >= 0);
    text[len] = '\0';
    (void)fclose(t.sink);
}

/* What node_perform of this one effect logs. */
static void performed(struct core_effect effect, char text[TEXT_BYTES])
{
    struct node *n = mem_zero(1, sizeof *n);
    struct core_effects *effects = mem_zero(1, sizeof *effects);
    effects->count = 1;
    effects->items[0] = effect;
    const struct log_taken t = log_take();
    node_perform(n, effects);
    log_give_back(t, text);
    free(effects);
    free(n);
}

/* A copy of another replica's directory, or an empty one, would be refused at the start. */
static void test_node_effects_diverged_advises_what_works(void **state)
{
    char text[TEXT_BYTES];
    (void)state;
    performed((struct core_effect){.type = CORE_EFFECT_DIVERGED, .diverged = 128}, text);
    assert_non_null(strstr(text, "level=error event=replica.diverged"));
    assert_non_null(strstr(text, "seq=128"));
    assert_non_null(strstr(text, "Stop it, move its data directory away for inspection, make a new one with "
                                 "pbftd --config FILE --init, and start it\""));
    assert_null(strstr(text, "copy"));
}

/* Three effects that wait for nothing, for the second and for the first PERSIST; each is seen by its line in the log. */
static uint32_t order_logged(struct node *n, struct core_effects *effects, uint64_t durable, uint64_t seqs[3])
{
    char text[TEXT_BYTES];
    uint32_t count = 0;
    const struct log_taken t = log_take();
    n->durable_token = durable;
    if (effects->count > 0)
        node_perform(n, effects);
    else
        node_release_waiting(n);
    log_give_back(t, text);
    for (const char *at = text; (at = strstr(at, "event=replica.diverged seq=")) != NULL && count < 3; count++) {
        at += strlen("event=replica.diverged seq=");
        seqs[count] = strtoull(at, NULL, 10);
    }
    return count;
}

/* Rule 30: an effect waits for its token, and behind those that were given before it and wait too. */
static void test_node_effects_wait_for_their_token_and_keep_their_order(void **state)
{
    static const uint64_t after[4] = {2, 0, 1, 2};
    struct node *n = mem_zero(1, sizeof *n);
    struct core_effects *effects = mem_zero(1, sizeof *effects);
    uint64_t seqs[3] = {0};
    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        effects->items[effects->count++] =
            (struct core_effect){.type = CORE_EFFECT_DIVERGED, .after = after[i], .diverged = i + 1};
    assert_int_equal(order_logged(n, effects, 0, seqs), 1);
    assert_int_equal(seqs[0], 2);
    assert_int_equal(order_logged(n, effects, 1, seqs), 0); /* the third waits behind the first */
    assert_int_equal(order_logged(n, effects, 2, seqs), 3);
    assert_true(seqs[0] == 1 && seqs[1] == 3 && seqs[2] == 4);
    assert_int_equal(n->waiting_count, 0);
    assert_int_equal(order_logged(n, effects, 3, seqs), 0); /* each once */
    free(effects);
    free(n->waiting);
    free(n);
}

static void post(void *context)
{
    assert_int_equal(sem_post(context), 0);
}

static void test_node_effects_answer_that_misses_its_block_makes_the_core_want_it(void **state)
{
    const struct reply_signer signer = {.self = 1};
    const struct core_client_window windows[SOLO_CLIENTS] = {{0}};
    const struct core_recovered above = {
        .clean = true, .stable = {.seq = 512}, .executed = 512, .gap_low = 5, .gap_high = 512, .windows = windows};
    struct kv_store *log = kv_store_new_memory(LOG_TABLE_COUNT);
    struct kv_batch *b = kv_batch_new();
    struct storage_job *j = mem_zero(1, sizeof *j);
    struct node *n = mem_zero(1, sizeof *n);
    struct timespec until;
    struct solo s;
    sem_t done;
    (void)state;
    solo_open(&s, 4, 1);
    solo_start(&s, &above);
    log_put_gap(b, 5, 512);
    kit_apply(log, b);
    assert_int_equal(sem_init(&done, 0, 0), 0);
    n->core = s.core;
    n->effects = mem_zero(1, sizeof *n->effects);
    n->clients = mem_zero(SOLO_CLIENTS, sizeof *n->clients);
    n->clients[2].reads = 1;
    assert_int_equal(storage_start(log, &signer, post, &done, &n->storage).code, ERR_NONE);
    *j = (struct storage_job){.kind = STORAGE_READ_ANSWER, .to = 2, .seq = 100, .range = {.count = 1}};
    storage_submit(n->storage, j);
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &until), 0);
    until.tv_sec += 30;
    assert_int_equal(sem_timedwait(&done, &until), 0);
    node_take_storage(n);
    assert_int_equal(core_summary(s.core).gap_wanted, 100);
    assert_int_equal(n->clients[2].reads, 0);
    storage_stop(n->storage);
    storage_free(n->storage);
    kv_store_close(log);
    free(n->clients);
    free(n->effects);
    free(n);
    solo_close(&s);
}

/* A transfer that ends while the replica stops does not start it anew. */
static void test_node_told_to_stop_does_not_start_again(void **state)
{
    struct node *n = mem_zero(1, sizeof *n);
    (void)state;
    n->draining = true;
    node_start_again(n);
    assert_false(n->again);
    free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_node_effects_diverged_advises_what_works),
        cmocka_unit_test(test_node_effects_wait_for_their_token_and_keep_their_order),
        cmocka_unit_test(test_node_effects_answer_that_misses_its_block_makes_the_core_want_it),
        cmocka_unit_test(test_node_told_to_stop_does_not_start_again),
    };
    return cmocka_run_group_tests_name("node_effects", tests, NULL, NULL);
}
