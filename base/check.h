/* check.h - assertions that stay on in production.
 *
 * CHECK is for our own bugs only: it aborts with file, line and values. No byte that came from
 * outside (a peer, a client, a disk, an operator) may ever reach a CHECK; those get a struct err.
 */
#ifndef PBFT_BASE_CHECK_H
#define PBFT_BASE_CHECK_H

#include <stdint.h>

/* Prints the failed expression and aborts. Never returns. */
_Noreturn void check_failed(const char *file, int line, const char *expression);
/* The same with the two values compared. */
_Noreturn void check_failed_values(const char *file, int line, const char *expression, uint64_t left, uint64_t right);

#define CHECK(expression) ((expression) ? (void)0 : check_failed(__FILE__, __LINE__, #expression))

/* Compares two unsigned values with `op` and prints both when it fails. */
#define CHECK_OP(left, op, right)                                                                                      \
    do {                                                                                                               \
        const uint64_t check_left_ = (uint64_t)(left);                                                                 \
        const uint64_t check_right_ = (uint64_t)(right);                                                               \
        if (!(check_left_ op check_right_))                                                                            \
            check_failed_values(__FILE__, __LINE__, #left " " #op " " #right, check_left_, check_right_);              \
    } while (0)

#endif
