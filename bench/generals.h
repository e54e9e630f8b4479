/* generals.h - the two algorithms that PBFT improved on, as Lamport, Shostak and Pease gave them (The Byzantine
 * Generals Problem, 1982): OM(m), with oral messages, and SM(m), with signed ones. They are really run, message by
 * message, so that their cost is counted and their conditions are seen to hold: among n generals, of whom general 0
 * commands, all loyal lieutenants obey the same order (IC1), and if the commander is loyal it is his (IC2).
 *
 * Orders are 0 (retreat, taken when there is none) and 1 (attack). A traitor says to each what a draw decides, or
 * nothing; what was signed by a loyal general he can pass on or keep back, and cannot alter. Synchronous, as there: a
 * message sent comes, and one that does not come is noticed. */
#ifndef PBFT_BENCH_GENERALS_H
#define PBFT_BENCH_GENERALS_H

#include <stdbool.h>
#include <stdint.h>

#define GENERALS_MAX 64u

struct generals {
    uint32_t count;        /* 2 to GENERALS_MAX */
    uint32_t rounds;       /* m: 0 to count - 2 */
    uint64_t traitors;     /* a bit for each */
    uint32_t order;        /* of the commander: 0 or 1 */
    uint64_t seed;         /* of what traitors say */
    uint64_t messages_max; /* gives up above */
};

struct generals_result {
    bool ended;        /* within messages_max: else nothing else is set */
    bool same;         /* IC1 */
    bool obeyed;       /* IC2, or the commander is a traitor */
    uint64_t messages; /* sent; those that a traitor keeps back are not */
};

struct generals_result generals_oral(const struct generals *g);
struct generals_result generals_signed(const struct generals *g);
/* What a run without traitors sends: the sum over k = 0..m of (n-1)(n-2)...(n-1-k); and, m > 0, (n-1) + (n-1)(n-2).
 * UINT64_MAX: more than that. */
uint64_t generals_oral_messages(uint32_t count, uint32_t rounds);
uint64_t generals_signed_messages(uint32_t count, uint32_t rounds);

#endif
