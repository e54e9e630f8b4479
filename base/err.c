/* err.c - building error values. */
#include "base/err.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct err err_none(void)
{
    struct err e;
    e.code = ERR_NONE;
    e.text[0] = '\0';
    return e;
}

struct err err_build(enum err_code code, const char *format, ...)
{
    struct err e = {.code = code};
    va_list args;
    CHECK(code != ERR_NONE);
    va_start(args, format);
    (void)vsnprintf(e.text, sizeof e.text, format, args);
    va_end(args);
    return e;
}

struct err err_build_wrap(struct err inner, const char *format, ...)
{
    struct err e = {.code = inner.code};
    CHECK(inner.code != ERR_NONE);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(e.text, sizeof e.text, format, args);
    va_end(args);
    const size_t used = strlen(e.text);
    (void)snprintf(e.text + used, sizeof e.text - used, ": %.*s", (int)(sizeof e.text - used), inner.text);
    return e;
}

struct err err_build_system(int error_number, const char *format, ...)
{
    struct err e = {.code = ERR_IO};
    va_list args;
    va_start(args, format);
    (void)vsnprintf(e.text, sizeof e.text, format, args);
    va_end(args);
    const size_t used = strlen(e.text);
    char reason[128];
    (void)snprintf(e.text + used, sizeof e.text - used, ": %s", strerror_r(error_number, reason, sizeof reason));
    return e;
}

int err_exit_code(enum err_code code)
{
    switch (code) {
    case ERR_NONE: return 0;
    case ERR_NEGATIVE:
    case ERR_NOT_FOUND:
    case ERR_REFUSED: return 1;
    case ERR_USAGE:
    case ERR_LIMIT: return 2;
    case ERR_TIMEOUT: return 3;
    case ERR_CONFIG:
    case ERR_FORMAT:
    case ERR_IO:
    case ERR_NO_SPACE: return 4;
    case ERR_CORRUPT: return 5;
    }
    CHECK(!"err_exit_code: code outside the enumeration");
    return 4;
}

const char *err_code_name(enum err_code code)
{
    switch (code) {
    case ERR_NONE: return "ok";
    case ERR_NEGATIVE: return "negative";
    case ERR_USAGE: return "usage";
    case ERR_TIMEOUT: return "timeout";
    case ERR_CONFIG: return "config";
    case ERR_CORRUPT: return "corrupt";
    case ERR_IO: return "io";
    case ERR_NO_SPACE: return "no-space";
    case ERR_NOT_FOUND: return "not-found";
    case ERR_FORMAT: return "format";
    case ERR_LIMIT: return "limit";
    case ERR_REFUSED: return "refused";
    }
    CHECK(!"err_code_name: code outside the enumeration");
    return "";
}
