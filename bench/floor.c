/* floor.c - the cost of signatures on this machine, now. */
#include "bench/bench.h"

#include "base/check.h"
#include "base/clock.h"
#include "crypto/sign.h"

struct floor_cost floor_measure(double seconds)
{
    struct floor_cost out;
    struct secret_key secret;
    struct public_key public;
    struct signature signature;
    struct digest digest = {{0}};
    sign_key_new(&secret, &public);
    uint64_t count = 0;
    uint64_t start = clock_monotonic_us();
    while ((double)(clock_monotonic_us() - start) < seconds * 5e5) {
        be64_put(digest.bytes, count++);
        sign_digest(&secret, &digest, &signature);
    }
    out.sign_us = (double)(clock_monotonic_us() - start) / (double)count;
    count = 0;
    start = clock_monotonic_us();
    while ((double)(clock_monotonic_us() - start) < seconds * 5e5) {
        CHECK(sign_verify(&public, &digest, &signature));
        count++;
    }
    out.verify_us = (double)(clock_monotonic_us() - start) / (double)count;
    secret_key_wipe(&secret);
    return out;
}
