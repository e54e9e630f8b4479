/* cli_import_record.c - keeping the record of an unfinished import. */
#include "client/cli_import_record.h"

#include "base/check.h"
#include "client/cli_common.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORD_FORMAT 1
#define RECORD_BYTES_MAX 4096u

static struct err record_path(const struct cli_globals *g, const char *client, struct cli_path *out)
{
    return cli_home_path(g->home, out, "clients/%s.import", client);
}

static bool record_parse(const struct buffer *text, struct import_record *out)
{
    json_t *root = json_loadb((const char *)text->data, text->len, JSON_REJECT_DUPLICATES, NULL);
    const char *file = NULL;
    int format = 0;
    json_int_t lines = 0;
    json_int_t start = 0;
    json_int_t first = 0;
    json_int_t expiry = 0;
    const bool shaped =
        root != NULL && json_unpack(root, "{s:i, s:s, s:I, s:I, s:I, s:I !}", "format", &format, "file", &file, "lines",
                                    &lines, "start_line", &start, "first_sequence", &first, "expiry_ms", &expiry) == 0;
    struct import_record r = {.lines = (uint64_t)lines,
                              .start_line = (uint64_t)start,
                              .first_sequence = (uint64_t)first,
                              .expiry_ms = (uint64_t)expiry};
    const bool good = shaped && format == RECORD_FORMAT && lines > 0 && start >= 0 && start <= lines && first >= 0 &&
                      expiry >= 0 && hex_decode(file, r.file.bytes, sizeof r.file.bytes);
    json_decref(root);
    if (good) *out = r;
    return good;
}

struct err import_record_read(const struct cli_globals *g, const char *client, struct import_record *out, bool *found)
{
    struct cli_path path;
    struct buffer text = {0};
    *found = false;
    ERR_TRY(record_path(g, client, &path));
    if (access(path.text, F_OK) != 0 && errno == ENOENT) return err_none();
    struct err e = cli_file_read(path.text, RECORD_BYTES_MAX, &text);
    if (!err_is(&e) && !record_parse(&text, out))
        e = err_make(ERR_CONFIG,
                     "%s, the record of an unfinished import, is damaged; log append --lines --restart forgets it",
                     path.text);
    buffer_free(&text);
    if (!err_is(&e)) *found = true;
    return e;
}

struct err import_record_write(const struct cli_globals *g, const char *client, const struct import_record *r)
{
    struct cli_path path;
    char hex[2 * DIGEST_BYTES + 1];
    ERR_TRY(record_path(g, client, &path));
    hex_encode(hex, r->file.bytes, sizeof r->file.bytes);
    json_t *root = json_pack("{s:i, s:s, s:I, s:I, s:I, s:I}", "format", RECORD_FORMAT, "file", hex, "lines",
                             (json_int_t)r->lines, "start_line", (json_int_t)r->start_line, "first_sequence",
                             (json_int_t)r->first_sequence, "expiry_ms", (json_int_t)r->expiry_ms);
    char *text = json_dumps(root, JSON_INDENT(2));
    CHECK(text != NULL);
    const struct err e = cli_file_write(path.text, text, 0600);
    free(text);
    json_decref(root);
    return e;
}

struct err import_record_remove(const struct cli_globals *g, const char *client)
{
    struct cli_path path;
    ERR_TRY(record_path(g, client, &path));
    if (unlink(path.text) != 0 && errno != ENOENT) return err_system(errno, "cannot remove %s", path.text);
    return err_none();
}

uint64_t import_record_position(const struct import_record *r, uint64_t settled)
{
    if (r->first_sequence == 0 || settled < PBFT_WINDOW || settled - PBFT_WINDOW < r->first_sequence)
        return r->start_line;
    /* Beyond the import's last sequence: something else used this client, so nothing follows from `settled`. */
    if (settled >= r->first_sequence + (r->lines - r->start_line)) return r->start_line;
    return r->start_line + (settled - PBFT_WINDOW - r->first_sequence) + 1;
}

struct err import_record_detach(const struct cli_globals *g, const char *client, struct pbft_client *c)
{
    struct import_record r;
    bool found;
    ERR_TRY(import_record_read(g, client, &r, &found));
    if (!found || r.first_sequence == 0) return err_none();
    const struct pbft_error e = pbft_ready(c, g->timeout_ms > 0 ? g->timeout_ms : CLI_TIMEOUT_MS_DEFAULT);
    ERR_TRY(cli_error(&e));
    r.start_line = import_record_position(&r, pbft_highest_settled(c));
    r.first_sequence = 0;
    return import_record_write(g, client, &r);
}
