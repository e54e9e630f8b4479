/* test_merkle.c - RFC 9162 trees against published vectors and, for every size up to SIZE_TESTED_MAX, against the
 * RFC's own recursive definitions. */
#include "crypto/merkle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SIZE_TESTED_MAX 70u
#define SIZE_EVERY_BIT_MAX 13u

/* ---- the published tree (certificate-transparency's test data) ---- */

#define CT_COUNT 8u
static const char *const ct_data[CT_COUNT] = {
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
};
static const char *const ct_roots[CT_COUNT + 1] = {
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};

struct ct_proof {
    uint64_t first; /* leaf index, or old count */
    uint64_t count;
    uint32_t length;
    const char *nodes[3];
};
#define CT_NODE_A "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
#define CT_NODE_B "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
#define CT_NODE_C "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
#define CT_NODE_D "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
#define CT_NODE_E "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
#define CT_NODE_F "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
#define CT_NODE_G "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
#define CT_NODE_H "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
#define CT_NODE_I "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"

static const struct ct_proof ct_paths[] = {
    {0, 1, 0, {NULL}},      {0, 8, 3, {CT_NODE_A, CT_NODE_B, CT_NODE_C}}, {5, 8, 3, {CT_NODE_D, CT_NODE_E, CT_NODE_F}},
    {2, 3, 1, {CT_NODE_G}}, {1, 5, 3, {CT_NODE_H, CT_NODE_B, CT_NODE_D}},
};
static const struct ct_proof ct_consistency[] = {
    {1, 1, 0, {NULL}},
    {1, 8, 3, {CT_NODE_A, CT_NODE_B, CT_NODE_C}},
    {6, 8, 3, {CT_NODE_I, CT_NODE_E, CT_NODE_F}},
    {2, 5, 2, {CT_NODE_B, CT_NODE_D}},
};

static struct digest digest_from(const char *text)
{
    struct digest d;
    assert_true(hex_decode(text, d.bytes, DIGEST_BYTES));
    return d;
}

static void ct_leaves(struct digest leaves[CT_COUNT])
{
    for (uint32_t i = 0; i < CT_COUNT; i++) {
        uint8_t data[16];
        const size_t len = strlen(ct_data[i]) / 2;
        assert_true(hex_decode(ct_data[i], data, len));
        leaves[i] = merkle_leaf(bytes_of(data, len));
    }
}

/* ---- the model: the definitions of RFC 9162 section 2.1 written down as they stand ---- */

static uint64_t model_split(uint64_t n)
{
    uint64_t k = 1;
    while (k * 2 < n)
        k *= 2;
    return k;
}

static struct digest model_root(const struct digest *d, uint64_t n)
{
    if (n == 1) return d[0];
    const uint64_t k = model_split(n);
    const struct digest left = model_root(d, k);
    const struct digest right = model_root(d + k, n - k);
    return merkle_node(&left, &right);
}

static uint32_t model_path(const struct digest *d, uint64_t n, uint64_t m, struct digest *out)
{
    if (n == 1) return 0;
    const uint64_t k = model_split(n);
    const uint32_t length = m < k ? model_path(d, k, m, out) : model_path(d + k, n - k, m - k, out);
    out[length] = m < k ? model_root(d + k, n - k) : model_root(d, k);
    return length + 1;
}

static uint32_t model_subproof(const struct digest *d, uint64_t n, uint64_t m, bool b, struct digest *out)
{
    if (m == n) {
        if (!b) out[0] = model_root(d, n);
        return b ? 0 : 1;
    }
    const uint64_t k = model_split(n);
    const uint32_t length = m <= k ? model_subproof(d, k, m, b, out) : model_subproof(d + k, n - k, m - k, false, out);
    out[length] = m <= k ? model_root(d + k, n - k) : model_root(d, k);
    return length + 1;
}

/* The turns from the root of a tree of n leaves down to leaf m, as text: two places with the same turns are the same to
 * a verifier that knows only hashes. */
static void model_turns(uint64_t n, uint64_t m, char *out)
{
    while (n > 1) {
        const uint64_t k = model_split(n);
        *out++ = m < k ? 'L' : 'R';
        n = m < k ? k : n - k;
        m = m < k ? m : m - k;
    }
    *out = '\0';
}

static struct digest leaves[SIZE_TESTED_MAX];
static struct digest roots[SIZE_TESTED_MAX + 1];

static int group_setup(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < SIZE_TESTED_MAX; i++) {
        const uint8_t data = (uint8_t)i;
        leaves[i] = merkle_leaf(bytes_of(&data, 1));
        roots[i + 1] = model_root(leaves, i + 1);
    }
    return 0;
}

static void bit_flip(struct digest *d, uint32_t bit)
{
    d->bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
}

static void assert_digest_equal(const struct digest *a, const struct digest *b)
{
    assert_memory_equal(a->bytes, b->bytes, DIGEST_BYTES);
}

/* True when the call ends the process with SIGABRT, as a CHECK does. */
static bool aborts(void (*call)(void))
{
    int status = 0;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(STDERR_FILENO);
        call();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* ---- our own bugs ---- */

static void call_path_index_is_count(void)
{
    struct digest path[MERKLE_PATH_MAX];
    (void)merkle_path(leaves, 4, 4, path);
}

static void call_consistency_old_count_zero(void)
{
    struct digest proof[MERKLE_PATH_MAX];
    (void)merkle_consistency(leaves, 0, 4, proof);
}

static void call_consistency_old_count_larger(void)
{
    struct digest proof[MERKLE_PATH_MAX];
    (void)merkle_consistency(leaves, 5, 4, proof);
}

static void call_append_to_full_frontier(void)
{
    static struct merkle_frontier f = {.count = UINT64_MAX};
    merkle_frontier_append(&f, &leaves[0]);
}

static void test_merkle_path_with_index_equal_to_count_aborts(void **state)
{
    (void)state;
    assert_true(aborts(call_path_index_is_count));
}

static void test_merkle_consistency_with_old_count_out_of_range_aborts(void **state)
{
    (void)state;
    assert_true(aborts(call_consistency_old_count_zero));
    assert_true(aborts(call_consistency_old_count_larger));
}

static void test_merkle_frontier_append_at_largest_count_aborts(void **state)
{
    (void)state;
    assert_true(aborts(call_append_to_full_frontier));
}

/* ---- inclusion ---- */

static void test_merkle_path_verify_with_index_not_below_count_is_false(void **state)
{
    (void)state;
    /* In a tree of one leaf the path is empty, so only the index speaks against these. */
    assert_true(merkle_path_verify(&leaves[0], 0, 1, NULL, 0, &leaves[0]));
    assert_false(merkle_path_verify(&leaves[0], 0, 0, NULL, 0, &leaves[0]));
    assert_false(merkle_path_verify(&leaves[0], 1, 1, NULL, 0, &leaves[0]));
    assert_false(merkle_path_verify(&leaves[0], UINT64_MAX, 1, NULL, 0, &leaves[0]));
    assert_false(merkle_path_verify(&leaves[0], UINT64_MAX, UINT64_MAX, NULL, 0, &leaves[0]));
}

static void test_merkle_path_verify_with_any_bit_changed_is_false(void **state)
{
    (void)state;
    struct digest path[MERKLE_PATH_MAX];
    for (uint64_t n = 1; n <= SIZE_TESTED_MAX; n++) {
        const uint32_t step = n <= SIZE_EVERY_BIT_MAX ? 1 : 37;
        for (uint64_t i = 0; i < n; i++) {
            const uint32_t length = merkle_path(leaves, n, i, path);
            for (uint32_t bit = (uint32_t)(i % step); bit < 8 * DIGEST_BYTES; bit += step) {
                for (uint32_t j = 0; j < length; j++) {
                    bit_flip(&path[j], bit);
                    assert_false(merkle_path_verify(&leaves[i], i, n, path, length, &roots[n]));
                    bit_flip(&path[j], bit);
                }
                struct digest changed = leaves[i];
                bit_flip(&changed, bit);
                assert_false(merkle_path_verify(&changed, i, n, path, length, &roots[n]));
                changed = roots[n];
                bit_flip(&changed, bit);
                assert_false(merkle_path_verify(&leaves[i], i, n, path, length, &changed));
            }
        }
    }
}

static void test_merkle_path_verify_with_other_length_is_false(void **state)
{
    (void)state;
    struct digest path[MERKLE_PATH_MAX + 1] = {{{0}}};
    for (uint64_t n = 1; n <= SIZE_TESTED_MAX; n++) {
        for (uint64_t i = 0; i < n; i++) {
            const uint32_t length = merkle_path(leaves, n, i, path);
            for (uint32_t wrong = 0; wrong <= MERKLE_PATH_MAX + 1; wrong++) {
                if (wrong == length) continue;
                assert_false(merkle_path_verify(&leaves[i], i, n, path, wrong, &roots[n]));
            }
        }
    }
}

/* The root that a longer path would lead to must not be accepted either: the length is checked, not only the hash. */
static void test_merkle_path_verify_with_extra_node_and_its_root_is_false(void **state)
{
    (void)state;
    struct digest path[MERKLE_PATH_MAX];
    for (uint64_t n = 1; n <= SIZE_TESTED_MAX; n++) {
        for (uint64_t i = 0; i < n; i++) {
            const uint32_t length = merkle_path(leaves, n, i, path);
            path[length] = leaves[0];
            const struct digest above = merkle_node(&leaves[0], &roots[n]);
            const struct digest above_left = merkle_node(&roots[n], &leaves[0]);
            assert_false(merkle_path_verify(&leaves[i], i, n, path, length + 1, &above));
            assert_false(merkle_path_verify(&leaves[i], i, n, path, length + 1, &above_left));
        }
    }
}

/* The same the other way: a path that stops at an inner node does not prove that node to be the root. */
static void test_merkle_path_verify_with_short_path_and_its_root_is_false(void **state)
{
    (void)state;
    struct digest path[MERKLE_PATH_MAX];
    const uint32_t length = merkle_path(leaves, 8, 2, path);
    assert_int_equal(length, 3);
    assert_false(merkle_path_verify(&leaves[2], 2, 8, path, 2, &roots[4]));
    assert_true(merkle_path_verify(&leaves[2], 2, 4, path, 2, &roots[4]));
}

static void test_merkle_path_verify_with_other_index_is_false(void **state)
{
    (void)state;
    struct digest path[MERKLE_PATH_MAX];
    for (uint64_t n = 1; n <= SIZE_TESTED_MAX; n++) {
        for (uint64_t i = 0; i < n; i++) {
            const uint32_t length = merkle_path(leaves, n, i, path);
            for (uint64_t wrong = 0; wrong <= n + 2; wrong++)
                if (wrong != i) assert_false(merkle_path_verify(&leaves[i], wrong, n, path, length, &roots[n]));
            assert_false(merkle_path_verify(&leaves[i], UINT64_MAX - i, n, path, length, &roots[n]));
        }
    }
}

/* A path says nothing of the count where two counts put the leaf at the same place: whoever uses it takes count and
 * root from one signed header. Everywhere else a wrong count is refused. */
static void test_merkle_path_verify_with_other_count_holds_only_at_same_place(void **state)
{
    (void)state;
    struct digest path[MERKLE_PATH_MAX];
    char turns[MERKLE_PATH_MAX + 1];
    char other[MERKLE_PATH_MAX + 1];
    for (uint64_t n = 1; n <= SIZE_TESTED_MAX; n++) {
        for (uint64_t i = 0; i < n; i++) {
            const uint32_t length = merkle_path(leaves, n, i, path);
            model_turns(n, i, turns);
            for (uint64_t count = 0; count <= 2 * SIZE_TESTED_MAX; count++) {
                if (count > i) model_turns(count, i, other);
                const bool same = count > i && strcmp(turns, other) == 0;
                assert_int_equal(merkle_path_verify(&leaves[i], i, count, path, length, &roots[n]), same);
            }
        }
    }
}

static void test_merkle_path_of_every_leaf_is_model_path_and_verifies(void **state)
{
    (void)state;
    struct digest path[MERKLE_PATH_MAX];
    struct digest expected[MERKLE_PATH_MAX];
    for (uint64_t n = 1; n <= SIZE_TESTED_MAX; n++) {
        for (uint64_t i = 0; i < n; i++) {
            const uint32_t length = merkle_path(leaves, n, i, path);
            assert_int_equal(length, model_path(leaves, n, i, expected));
            for (uint32_t j = 0; j < length; j++)
                assert_digest_equal(&path[j], &expected[j]);
            assert_true(merkle_path_verify(&leaves[i], i, n, path, length, &roots[n]));
        }
    }
}

static void test_merkle_path_verify_at_largest_count_takes_full_path(void **state)
{
    (void)state;
    struct digest path[MERKLE_PATH_MAX + 1] = {{{0}}};
    struct digest first = leaves[0];
    for (uint32_t i = 0; i < MERKLE_PATH_MAX; i++) {
        path[i] = leaves[i];
        first = merkle_node(&first, &path[i]);
    }
    assert_true(merkle_path_verify(&leaves[0], 0, UINT64_MAX, path, MERKLE_PATH_MAX, &first));
    assert_false(merkle_path_verify(&leaves[0], 0, UINT64_MAX, path, MERKLE_PATH_MAX + 1, &first));
    /* Counted from 0, the last leaf of 2^64 - 1 is number ...10: it goes left once, rises, then right 63 times. */
    struct digest last = leaves[0];
    for (uint32_t i = 0; i < MERKLE_PATH_MAX - 1; i++)
        last = merkle_node(&path[i], &last);
    assert_true(merkle_path_verify(&leaves[0], UINT64_MAX - 1, UINT64_MAX, path, MERKLE_PATH_MAX - 1, &last));
    assert_false(merkle_path_verify(&leaves[0], UINT64_MAX - 1, UINT64_MAX, path, UINT32_MAX, &last));
}

/* ---- consistency ---- */

static void test_merkle_consistency_verify_with_old_count_zero_is_false(void **state)
{
    (void)state;
    const struct digest empty = digest_from(ct_roots[0]);
    assert_false(merkle_consistency_verify(0, &empty, 0, &empty, NULL, 0));
    assert_false(merkle_consistency_verify(0, &empty, 5, &roots[5], NULL, 0));
    assert_false(merkle_consistency_verify(0, &roots[5], 5, &roots[5], leaves, 3));
}

static void test_merkle_consistency_verify_with_old_count_larger_is_false(void **state)
{
    (void)state;
    struct digest proof[MERKLE_PATH_MAX];
    const uint32_t length = merkle_consistency(leaves, 5, 9, proof);
    assert_false(merkle_consistency_verify(9, &roots[9], 5, &roots[5], proof, length));
    assert_false(merkle_consistency_verify(2, &roots[1], 1, &roots[1], NULL, 0));
    assert_false(merkle_consistency_verify(UINT64_MAX, &roots[1], 1, &roots[1], proof, length));
}

static void test_merkle_consistency_verify_of_equal_counts_takes_only_equal_roots_and_no_proof(void **state)
{
    (void)state;
    assert_false(merkle_consistency_verify(5, &roots[5], 5, &roots[4], NULL, 0));
    assert_false(merkle_consistency_verify(5, &roots[5], 5, &roots[5], leaves, 1));
    assert_false(merkle_consistency_verify(4, &roots[4], 4, &roots[4], leaves, 1));
    assert_true(merkle_consistency_verify(5, &roots[5], 5, &roots[5], NULL, 0));
    assert_true(merkle_consistency_verify(UINT64_MAX, &roots[5], UINT64_MAX, &roots[5], NULL, 0));
}

static void test_merkle_consistency_verify_with_empty_proof_of_growth_is_false(void **state)
{
    (void)state;
    for (uint64_t old = 1; old < SIZE_TESTED_MAX; old++) {
        assert_false(merkle_consistency_verify(old, &roots[old], old + 1, &roots[old + 1], NULL, 0));
        assert_false(merkle_consistency_verify(old, &roots[old], old + 1, &roots[old], NULL, 0));
    }
}

static void test_merkle_consistency_verify_with_any_bit_changed_is_false(void **state)
{
    (void)state;
    struct digest proof[MERKLE_PATH_MAX];
    for (uint64_t n = 2; n <= SIZE_TESTED_MAX; n++) {
        const uint32_t step = n <= SIZE_EVERY_BIT_MAX ? 1 : 37;
        for (uint64_t old = 1; old < n; old++) {
            const uint32_t length = merkle_consistency(leaves, old, n, proof);
            for (uint32_t bit = (uint32_t)(old % step); bit < 8 * DIGEST_BYTES; bit += step) {
                for (uint32_t j = 0; j < length; j++) {
                    bit_flip(&proof[j], bit);
                    assert_false(merkle_consistency_verify(old, &roots[old], n, &roots[n], proof, length));
                    bit_flip(&proof[j], bit);
                }
                struct digest changed = roots[old];
                bit_flip(&changed, bit);
                assert_false(merkle_consistency_verify(old, &changed, n, &roots[n], proof, length));
                changed = roots[n];
                bit_flip(&changed, bit);
                assert_false(merkle_consistency_verify(old, &roots[old], n, &changed, proof, length));
            }
        }
    }
}

static void test_merkle_consistency_verify_with_other_length_is_false(void **state)
{
    (void)state;
    struct digest proof[MERKLE_PATH_MAX + 2] = {{{0}}};
    for (uint64_t n = 2; n <= SIZE_TESTED_MAX; n++) {
        for (uint64_t old = 1; old < n; old++) {
            const uint32_t length = merkle_consistency(leaves, old, n, proof);
            for (uint32_t wrong = 0; wrong <= MERKLE_PATH_MAX + 2; wrong++) {
                if (wrong == length) continue;
                assert_false(merkle_consistency_verify(old, &roots[old], n, &roots[n], proof, wrong));
            }
        }
    }
}

/* A proof with a node too many whose roots fit: only the count speaks against it. Likewise a node too few. */
static void test_merkle_consistency_verify_with_fitting_roots_of_other_height_is_false(void **state)
{
    (void)state;
    const struct digest above = merkle_node(&roots[4], &leaves[5]);
    const struct digest higher = merkle_node(&above, &leaves[6]);
    const struct digest proof[2] = {leaves[5], leaves[6]};
    assert_true(merkle_consistency_verify(4, &roots[4], 5, &above, proof, 1));
    assert_false(merkle_consistency_verify(4, &roots[4], 5, &higher, proof, 2));
    assert_false(merkle_consistency_verify(4, &roots[4], 9, &above, proof, 1));
    assert_true(merkle_consistency_verify(4, &roots[4], 9, &higher, proof, 2));
}

static void test_merkle_consistency_verify_with_other_old_count_is_false(void **state)
{
    (void)state;
    struct digest proof[MERKLE_PATH_MAX];
    for (uint64_t n = 2; n <= SIZE_TESTED_MAX; n++) {
        for (uint64_t old = 1; old < n; old++) {
            const uint32_t length = merkle_consistency(leaves, old, n, proof);
            for (uint64_t wrong = 0; wrong <= n + 2; wrong++)
                if (wrong != old)
                    assert_false(merkle_consistency_verify(wrong, &roots[old], n, &roots[n], proof, length));
        }
    }
}

/* A history whose old entries were rewritten does not extend the old one. */
static void test_merkle_consistency_verify_of_rewritten_history_is_false(void **state)
{
    (void)state;
    struct digest changed[SIZE_TESTED_MAX];
    struct digest proof[MERKLE_PATH_MAX];
    for (uint64_t n = 2; n <= 20; n++) {
        for (uint64_t old = 1; old < n; old++) {
            for (uint64_t i = 0; i < old; i++) {
                memcpy(changed, leaves, sizeof changed);
                bit_flip(&changed[i], 0);
                const struct digest root = model_root(changed, n);
                const uint32_t length = merkle_consistency(changed, old, n, proof);
                assert_false(merkle_consistency_verify(old, &roots[old], n, &root, proof, length));
            }
        }
    }
}

static void test_merkle_consistency_of_every_pair_is_model_proof_and_verifies(void **state)
{
    (void)state;
    struct digest proof[MERKLE_PATH_MAX];
    struct digest expected[MERKLE_PATH_MAX];
    for (uint64_t n = 1; n <= SIZE_TESTED_MAX; n++) {
        for (uint64_t old = 1; old <= n; old++) {
            const uint32_t length = merkle_consistency(leaves, old, n, proof);
            assert_int_equal(length, model_subproof(leaves, n, old, true, expected));
            for (uint32_t j = 0; j < length; j++)
                assert_digest_equal(&proof[j], &expected[j]);
            assert_true(merkle_consistency_verify(old, &roots[old], n, &roots[n], proof, length));
        }
    }
}

/* ---- roots ---- */

static void test_merkle_root_of_nothing_is_sha256_of_nothing(void **state)
{
    (void)state;
    const struct merkle_frontier empty = {.count = 0};
    const struct digest expected = digest_from(ct_roots[0]);
    struct digest root = merkle_root(NULL, 0);
    assert_digest_equal(&root, &expected);
    root = merkle_frontier_root(&empty);
    assert_digest_equal(&root, &expected);
    assert_int_equal(merkle_frontier_nodes(&empty), 0);
}

static void test_merkle_frontier_at_every_count_gives_model_root(void **state)
{
    (void)state;
    struct merkle_frontier f = {.count = 0};
    for (uint64_t n = 1; n <= SIZE_TESTED_MAX; n++) {
        merkle_frontier_append(&f, &leaves[n - 1]);
        assert_int_equal(f.count, n);
        assert_int_equal(merkle_frontier_nodes(&f), __builtin_popcountll(n));
        struct digest root = merkle_frontier_root(&f);
        assert_digest_equal(&root, &roots[n]);
        root = merkle_root(leaves, n);
        assert_digest_equal(&root, &roots[n]);
        /* nodes[]: the complete subtrees, largest first */
        uint64_t start = 0;
        uint32_t used = 0;
        for (uint64_t bit = 1ull << 63; bit != 0; bit >>= 1) {
            if ((n & bit) == 0) continue;
            const struct digest subtree = model_root(leaves + start, bit);
            assert_digest_equal(&f.nodes[used++], &subtree);
            start += bit;
        }
    }
}

static void test_merkle_leaf_and_node_of_same_bytes_differ(void **state)
{
    (void)state;
    uint8_t both[2 * DIGEST_BYTES];
    memcpy(both, leaves[0].bytes, DIGEST_BYTES);
    memcpy(both + DIGEST_BYTES, leaves[1].bytes, DIGEST_BYTES);
    const struct digest leaf = merkle_leaf(bytes_of(both, sizeof both));
    const struct digest node = merkle_node(&leaves[0], &leaves[1]);
    assert_false(digest_equal(&leaf, &node));
}

/* ---- the published vectors ---- */

static void test_merkle_root_of_published_leaves_is_published_root(void **state)
{
    (void)state;
    struct digest ct[CT_COUNT];
    ct_leaves(ct);
    for (uint32_t n = 0; n <= CT_COUNT; n++) {
        const struct digest root = merkle_root(ct, n);
        const struct digest expected = digest_from(ct_roots[n]);
        assert_digest_equal(&root, &expected);
    }
}

static void test_merkle_path_of_published_leaves_is_published_path(void **state)
{
    (void)state;
    struct digest ct[CT_COUNT];
    struct digest path[MERKLE_PATH_MAX];
    ct_leaves(ct);
    for (size_t i = 0; i < sizeof ct_paths / sizeof ct_paths[0]; i++) {
        const struct ct_proof *p = &ct_paths[i];
        const struct digest root = digest_from(ct_roots[p->count]);
        assert_int_equal(merkle_path(ct, p->count, p->first, path), p->length);
        for (uint32_t j = 0; j < p->length; j++) {
            const struct digest expected = digest_from(p->nodes[j]);
            assert_digest_equal(&path[j], &expected);
        }
        assert_true(merkle_path_verify(&ct[p->first], p->first, p->count, path, p->length, &root));
    }
}

static void test_merkle_consistency_of_published_leaves_is_published_proof(void **state)
{
    (void)state;
    struct digest ct[CT_COUNT];
    struct digest proof[MERKLE_PATH_MAX];
    ct_leaves(ct);
    for (size_t i = 0; i < sizeof ct_consistency / sizeof ct_consistency[0]; i++) {
        const struct ct_proof *p = &ct_consistency[i];
        const struct digest old_root = digest_from(ct_roots[p->first]);
        const struct digest root = digest_from(ct_roots[p->count]);
        assert_int_equal(merkle_consistency(ct, p->first, p->count, proof), p->length);
        for (uint32_t j = 0; j < p->length; j++) {
            const struct digest expected = digest_from(p->nodes[j]);
            assert_digest_equal(&proof[j], &expected);
        }
        assert_true(merkle_consistency_verify(p->first, &old_root, p->count, &root, proof, p->length));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merkle_path_with_index_equal_to_count_aborts),
        cmocka_unit_test(test_merkle_consistency_with_old_count_out_of_range_aborts),
        cmocka_unit_test(test_merkle_frontier_append_at_largest_count_aborts),
        cmocka_unit_test(test_merkle_path_verify_with_index_not_below_count_is_false),
        cmocka_unit_test(test_merkle_path_verify_with_any_bit_changed_is_false),
        cmocka_unit_test(test_merkle_path_verify_with_other_length_is_false),
        cmocka_unit_test(test_merkle_path_verify_with_extra_node_and_its_root_is_false),
        cmocka_unit_test(test_merkle_path_verify_with_short_path_and_its_root_is_false),
        cmocka_unit_test(test_merkle_path_verify_with_other_index_is_false),
        cmocka_unit_test(test_merkle_path_verify_with_other_count_holds_only_at_same_place),
        cmocka_unit_test(test_merkle_path_of_every_leaf_is_model_path_and_verifies),
        cmocka_unit_test(test_merkle_path_verify_at_largest_count_takes_full_path),
        cmocka_unit_test(test_merkle_consistency_verify_with_old_count_zero_is_false),
        cmocka_unit_test(test_merkle_consistency_verify_with_old_count_larger_is_false),
        cmocka_unit_test(test_merkle_consistency_verify_of_equal_counts_takes_only_equal_roots_and_no_proof),
        cmocka_unit_test(test_merkle_consistency_verify_with_empty_proof_of_growth_is_false),
        cmocka_unit_test(test_merkle_consistency_verify_with_any_bit_changed_is_false),
        cmocka_unit_test(test_merkle_consistency_verify_with_other_length_is_false),
        cmocka_unit_test(test_merkle_consistency_verify_with_fitting_roots_of_other_height_is_false),
        cmocka_unit_test(test_merkle_consistency_verify_with_other_old_count_is_false),
        cmocka_unit_test(test_merkle_consistency_verify_of_rewritten_history_is_false),
        cmocka_unit_test(test_merkle_consistency_of_every_pair_is_model_proof_and_verifies),
        cmocka_unit_test(test_merkle_root_of_nothing_is_sha256_of_nothing),
        cmocka_unit_test(test_merkle_frontier_at_every_count_gives_model_root),
        cmocka_unit_test(test_merkle_leaf_and_node_of_same_bytes_differ),
        cmocka_unit_test(test_merkle_root_of_published_leaves_is_published_root),
        cmocka_unit_test(test_merkle_path_of_published_leaves_is_published_path),
        cmocka_unit_test(test_merkle_consistency_of_published_leaves_is_published_proof),
    };
    return cmocka_run_group_tests_name("merkle", tests, group_setup, NULL);
}
