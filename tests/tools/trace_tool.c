/* trace_tool.c - seeded cluster runs from the command line.
 *
 *     trace_tool SEED...               a line for each seed: number, trace hash, what it did, what it broke
 *     trace_tool seeds FIRST COUNT     the same for COUNT seeds from FIRST on
 *     trace_tool drawn FIRST COUNT     a line for each seed of the swarm: number, and the hash of the scenario it draws
 *     trace_tool dump SEED             the cores at the end of that run
 *     trace_tool scenario FILE...      runs scenarios as the tests do
 *     trace_tool trace FILE            prints the trace of a scenario
 *
 * The hash covers every effect of every core: equal for every compiler, level of optimisation and sanitizer.
 * Exit code 1 when a run breaks an invariant, 2 for wrong usage. */
#include "tests/fixture/faults.h"
#include "tests/fixture/scenario.h"
#include "tests/sim/draw.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run_seeds(uint64_t first, uint64_t count)
{
    int code = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct faults_result r;
        char hex[2 * DIGEST_BYTES + 1];
        faults_run(seed, &r, NULL);
        hex_encode(hex, r.trace_hash.bytes, DIGEST_BYTES);
        (void)printf(
            "%" PRIu64 " %s view %" PRIu64 " executed %" PRIu64 " crashes %" PRIu64 " stops %" PRIu64 " wipes %" PRIu64 " resent %" PRIu64 "%s%s\n", seed,
            hex, r.view, r.executed, r.crashes, r.stops, r.wipes, r.resent, r.failure[0] == '\0' ? "" : " FAILED ", r.failure);
        if (r.failure[0] != '\0') code = 1;
    }
    return code;
}

static int print_drawn(uint64_t first, uint64_t count)
{
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct buffer text = {0};
        char hex[2 * DIGEST_BYTES + 1];
        draw_scenario(seed, 0, &text);
        const struct digest d = digest_of(DIGEST_DOMAIN_TRACE, bytes_of(text.data, text.len));
        hex_encode(hex, d.bytes, DIGEST_BYTES);
        (void)printf("%" PRIu64 " draws %s\n", seed, hex);
        buffer_free(&text);
    }
    return 0;
}

static int run_listed(int count, char **seeds)
{
    int code = 0;
    for (int i = 0; i < count; i++)
        if (run_seeds(strtoull(seeds[i], NULL, 10), 1) != 0) code = 1;
    return code;
}

static int run_scenarios(int count, char **paths)
{
    int code = 0;
    for (int i = 0; i < count; i++) {
        const struct err e = scenario_check(paths[i]);
        (void)printf("%s %s\n", err_is(&e) ? "FAILED" : "ok", err_is(&e) ? e.text : paths[i]);
        if (err_is(&e)) code = 1;
    }
    return code;
}

static int print_trace(const char *path)
{
    struct buffer trace = {0};
    const struct err e = scenario_run(path, &trace);
    (void)fwrite(trace.data, 1, trace.len, stdout);
    buffer_free(&trace);
    if (err_is(&e)) (void)fprintf(stderr, "%s\n", e.text);
    return err_is(&e) ? 1 : 0;
}

static int dump_seed(uint64_t seed)
{
    struct buffer dump = {0};
    struct faults_result r;
    faults_run(seed, &r, &dump);
    (void)fwrite(dump.data, 1, dump.len, stdout);
    (void)printf("%s\n", r.failure);
    buffer_free(&dump);
    return r.failure[0] == '\0' ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "seeds") == 0)
        return run_seeds(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
    if (argc == 4 && strcmp(argv[1], "drawn") == 0)
        return print_drawn(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
    if (argc >= 2 && argv[1][0] >= '0' && argv[1][0] <= '9') return run_listed(argc - 1, argv + 1);
    if (argc >= 3 && strcmp(argv[1], "scenario") == 0) return run_scenarios(argc - 2, argv + 2);
    if (argc == 3 && strcmp(argv[1], "dump") == 0) return dump_seed(strtoull(argv[2], NULL, 10));
    if (argc == 3 && strcmp(argv[1], "trace") == 0) return print_trace(argv[2]);
    (void)fprintf(stderr, "usage: trace_tool SEED... | seeds FIRST COUNT | drawn FIRST COUNT | dump SEED | scenario "
                          "FILE... | trace FILE\n");
    return 2;
}
