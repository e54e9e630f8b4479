/* fuzz_group.c - group_parse on any bytes: no crash, and what it accepts it also writes so that it reads the same. */
#include "keys/group.h"

#include "base/check.h"
#include "keys/group_draft.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    if (!started) {
        const struct err start = sign_start();
        CHECK(!err_is(&start));
        started = true;
    }
    struct group *g = NULL;
    struct err e = group_parse("fuzz", bytes_of(data, size), &g);
    if (err_is(&e)) {
        CHECK(g == NULL);
        CHECK(e.code == ERR_CONFIG);
        for (const char *c = e.text; *c != '\0'; c++)
            CHECK(*c >= ' ' && *c <= '~');
        e = group_draft_parse("fuzz", bytes_of(data, size), &g);
        CHECK(err_is(&e) || g->member_count == 0);
        group_free(g);
        return 0;
    }
    struct group *again = NULL;
    json_t *root = group_draft_json(g, true);
    char *text = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    e = group_parse("again", bytes_of_text(text), &again);
    CHECK(!err_is(&e));
    CHECK(memcmp(g, again, sizeof *g) == 0);
    free(text);
    group_free(again);
    group_free(g);
    return 0;
}
