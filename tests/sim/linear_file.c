/* linear_file.c - histories as files: a JSON object on each line, the last one says how many there are. */
#include "tests/sim/linear.h"

#include "base/check.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const verbs[] = {
    [LINEAR_PUT] = "put", [LINEAR_GET] = "get", [LINEAR_DELETE] = "delete", [LINEAR_CAS] = "cas"};

static const char *text_of(const json_t *o, const char *name)
{
    return json_string_value(json_object_get(o, name)); /* NULL: absent, null, or no text */
}

static bool time_of(const json_t *o, const char *name, uint64_t *out)
{
    const json_t *t = json_object_get(o, name);
    if (!json_is_integer(t) || json_integer_value(t) < 0) return false;
    *out = (uint64_t)json_integer_value(t);
    return true;
}

/* A field that need not be there is text, or null; anything else is no history. */
static bool may_be_text(const json_t *o, const char *name)
{
    const json_t *t = json_object_get(o, name);
    return t == NULL || json_is_null(t) || json_is_string(t);
}

/* NULL, or what is wrong with the line. */
static const char *read_operation(const json_t *o, struct linear_operation *out)
{
    const char *verb = text_of(o, "op");
    const char *outcome = text_of(o, "outcome");
    *out = (struct linear_operation){.client = text_of(o, "client"),
                                     .key = text_of(o, "key"),
                                     .value = text_of(o, "value"),
                                     .expect = text_of(o, "expect"),
                                     .result = text_of(o, "result"),
                                     .complete_us = UINT64_MAX};
    size_t v = 0;
    while (v < sizeof verbs / sizeof verbs[0] && (verb == NULL || strcmp(verb, verbs[v]) != 0))
        v++;
    if (v == sizeof verbs / sizeof verbs[0]) return "\"op\" is put, get, delete or cas";
    out->verb = (enum linear_verb)v;
    if (out->client == NULL || out->key == NULL) return "\"client\" and \"key\" are text";
    if ((out->verb == LINEAR_PUT || out->verb == LINEAR_CAS) && out->value == NULL)
        return "put and cas have a \"value\"";
    if (!may_be_text(o, "expect") || !may_be_text(o, "result")) return "\"expect\" and \"result\" are text, or absent";
    if (!time_of(o, "invoke_us", &out->invoke_us)) return "\"invoke_us\" is a time";
    const json_t *complete = json_object_get(o, "complete_us");
    if (complete == NULL) return "\"complete_us\" is a time, or null";
    if (json_is_null(complete)) return NULL;
    if (!time_of(o, "complete_us", &out->complete_us) || out->complete_us < out->invoke_us)
        return "\"complete_us\" is a time after \"invoke_us\"";
    if (outcome == NULL || (strcmp(outcome, "ok") != 0 && strcmp(outcome, "negative") != 0))
        return "\"outcome\" is ok or negative";
    out->negative = strcmp(outcome, "negative") == 0;
    if (out->verb == LINEAR_GET && !out->negative && out->result == NULL) return "a get that is ok has a \"result\"";
    out->placed = time_of(o, "block", &out->block) && time_of(o, "index", &out->index);
    return NULL;
}

static const char *read_line(const char *line, size_t len, struct linear_history *h, bool *ended)
{
    json_error_t fault;
    struct linear_operation op;
    uint64_t count;
    json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, &fault);
    const char *wrong = NULL;
    if (!json_is_object(o))
        wrong = "no JSON object";
    else if (*ended)
        wrong = "something follows the last line";
    else if (json_object_get(o, "operations") != NULL) {
        *ended = true;
        if (!time_of(o, "operations", &count) || count != linear_count(h)) wrong = "there are not so many operations";
    } else {
        wrong = read_operation(o, &op);
        if (wrong == NULL) linear_add(h, &op);
    }
    json_decref(o);
    return wrong;
}

struct err linear_read(const char *path, struct linear_history *h)
{
    FILE *f = fopen(path, "r");
    if (f == NULL) return err_make(ERR_USAGE, "%s cannot be read", path);
    char *line = NULL;
    size_t cap = 0;
    uint64_t number = 0;
    bool ended = false;
    const char *wrong = NULL;
    ssize_t len;
    while (wrong == NULL && (len = getline(&line, &cap, f)) >= 0) {
        number++;
        wrong = read_line(line, (size_t)len, h, &ended);
    }
    if (wrong == NULL && ferror(f) != 0) wrong = "it cannot be read";
    if (wrong == NULL && !ended)
        wrong = "the last line is missing, which says how many operations there are: the file is cut";
    (void)fclose(f);
    free(line);
    return wrong == NULL ? err_none() : err_make(ERR_USAGE, "%s:%" PRIu64 ": %s", path, number, wrong);
}

static void put_text(json_t *o, const char *name, const char *text)
{
    if (text != NULL) CHECK_OP(json_object_set_new(o, name, json_string(text)), ==, 0);
}

static void put_number(json_t *o, const char *name, uint64_t number)
{
    CHECK_OP(json_object_set_new(o, name, json_integer((json_int_t)number)), ==, 0);
}

void linear_write(const struct linear_history *h, struct buffer *out)
{
    const struct linear_operation *op;
    for (uint64_t i = 0; (op = linear_at(h, i)) != NULL; i++) {
        const bool known = op->complete_us != UINT64_MAX;
        json_t *o = json_object();
        put_text(o, "client", op->client);
        put_text(o, "op", verbs[op->verb]);
        put_text(o, "key", op->key);
        put_text(o, "value", op->value);
        put_text(o, "expect", op->expect);
        put_number(o, "invoke_us", op->invoke_us);
        if (known)
            put_number(o, "complete_us", op->complete_us);
        else
            CHECK_OP(json_object_set_new(o, "complete_us", json_null()), ==, 0);
        if (known) put_text(o, "outcome", op->negative ? "negative" : "ok");
        put_text(o, "result", op->result);
        if (op->placed) put_number(o, "block", op->block);
        if (op->placed) put_number(o, "index", op->index);
        char *line = json_dumps(o, JSON_COMPACT);
        CHECK(line != NULL);
        buffer_printf(out, "%s\n", line);
        free(line);
        json_decref(o);
    }
    buffer_printf(out, "{\"operations\":%" PRIu64 "}\n", linear_count(h));
}
