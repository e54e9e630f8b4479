/* err.h - what a fallible function returns.
 *
 * A struct err carries a code (what kind of failure; it decides the exit code of a command) and a
 * sentence for the person who reads it: what happened, which file, peer or key, what to do.
 * Results go through trailing out-pointers, which are untouched on failure.
 */
#ifndef PBFT_BASE_ERR_H
#define PBFT_BASE_ERR_H

#include <stdbool.h>
#include <stdint.h>

#define MUST_USE __attribute__((warn_unused_result))
#define ERR_TEXT_BYTES 480

enum err_code {
    ERR_NONE = 0,
    ERR_NEGATIVE,  /* the question was answered, and the answer is no */
    ERR_USAGE,     /* the caller's words are wrong */
    ERR_TIMEOUT,   /* no answer in time, or fewer answers than needed */
    ERR_CONFIG,    /* a configuration, group file or key that cannot be used */
    ERR_CORRUPT,   /* stored data that fails its checks */
    ERR_IO,        /* the operating system refused */
    ERR_NO_SPACE,  /* disk or map full */
    ERR_NOT_FOUND, /* no such thing */
    ERR_FORMAT,    /* bytes from outside that do not follow the format */
    ERR_LIMIT,     /* over a maximum of base/limits.h */
    ERR_REFUSED,   /* understood, and not allowed */
};

struct err {
    enum err_code code;
    char text[ERR_TEXT_BYTES]; /* NUL-terminated; empty when code is ERR_NONE */
};

/* The value that means success. */
MUST_USE struct err err_none(void);
/* What the three makers below are made of. */
MUST_USE struct err err_build(enum err_code code, const char *format, ...) __attribute__((format(printf, 2, 3)));
MUST_USE struct err err_build_wrap(struct err inner, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
MUST_USE struct err err_build_system(int error_number, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Lets clang's analyser see that a made error is one; gcc 12's does not follow a struct through such a call. */
#ifdef __clang__
static inline struct err err_failed(struct err e)
{
    if (e.code == ERR_NONE) __builtin_unreachable();
    return e;
}
#else
#define err_failed(e) (e)
#endif
/* err_make(code, format, ...): a failure; its text is cut at ERR_TEXT_BYTES - 1. code is not ERR_NONE. */
#define err_make(...) err_failed(err_build(__VA_ARGS__))
/* err_wrap(inner, format, ...): the same failure with context put in front of its text ("context: text"). */
#define err_wrap(inner, ...) err_failed(err_build_wrap(inner, __VA_ARGS__))
/* err_system(error_number, format, ...): ERR_IO of a system call; the text ends in strerror(error_number). */
#define err_system(...) err_failed(err_build_system(__VA_ARGS__))
/* True when the call failed. */
static inline bool err_is(const struct err *e)
{
    return e->code != ERR_NONE;
}
/* The exit code of a command that ends with this failure: 0 ok, 1 negative, 2 usage, 3 time-out, 4 configuration, 5
 * corruption. */
int err_exit_code(enum err_code code);
/* For "%u line%s". */
static inline const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}
/* A stable lower-case name, for logs and JSON. */
const char *err_code_name(enum err_code code);

/* Returns from the calling function when `call` failed. */
#define ERR_TRY(call)                                                                                                  \
    do {                                                                                                               \
        struct err err_try_ = (call);                                                                                  \
        if (err_is(&err_try_)) return err_try_;                                                                        \
    } while (0)

#endif
