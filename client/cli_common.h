/* cli_common.h - what the commands of `pbft` share: the home directory, opening a client, asking and submitting,
 * printing, and how the library's failures become exit codes.
 *
 *   HOME/group.json            the group file
 *   HOME/clients/NAME.pem      a client's secret key; NAME.journal its last sequence; NAME.import an unfinished
 *                              import; NAME.lock held by the one process that uses its sequences
 */
#ifndef PBFT_CLIENT_CLI_COMMON_H
#define PBFT_CLIENT_CLI_COMMON_H

#include "base/bytes.h"
#include "client/cli_command.h"
#include "client/pbft.h"
#include "wire/codec.h"

#include <jansson.h>

#define CLI_PATH_BYTES_MAX 4096u
#define CLI_TIMEOUT_MS_DEFAULT 10000u

struct cli_path {
    char text[CLI_PATH_BYTES_MAX];
};

/* HOME and what follows it, "HOME/clients/x.pem". Errors: ERR_CONFIG when it is too long. */
MUST_USE struct err cli_home_path(const char *home, struct cli_path *out, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Reads a regular file, or standard input for "-", whole. Errors: ERR_CONFIG (cannot be read), ERR_LIMIT (over limit).
 */
MUST_USE struct err cli_file_read(const char *path, uint64_t limit, struct buffer *out);
/* Writes a file anew, durably: temporary file beside it, sync, rename, sync of the directory. Errors: ERR_IO. */
MUST_USE struct err cli_file_write(const char *path, const char *text, uint32_t mode);

/* What a client is opened for. */
enum cli_access {
    CLI_ACCESS_STATUS, /* asks replicas about themselves: no sequence, no journal */
    CLI_ACCESS_READ, /* may use a sequence when replicas do not agree at once; as client "reader" where HOME has one and
                        --client does not say otherwise, so that reads go on beside an import */
    CLI_ACCESS_WRITE, /* under the client's journal, which shuts out a second process with the same key */
};

/* The name of the client for this access. */
const char *cli_client_name(const struct cli_globals *g, enum cli_access access);
/* Waits, at most timeout_ms, for this process's turn to use the client, and keeps it until the process ends: what opens
 * the client afterwards does not wait. *mine is false when another process uses it. Errors: ERR_CONFIG, ERR_IO. */
MUST_USE struct err cli_client_turn(const struct cli_globals *g, enum cli_access access, uint64_t timeout_ms,
                                    bool *mine);
/* timeout_ms_default holds when --timeout is not given. Errors: ERR_CONFIG, naming the cure. */
MUST_USE struct err cli_client_open(const struct cli_globals *g, enum cli_access access, uint64_t timeout_ms_default,
                                    struct pbft_client **out);
/* A failure of the library as a failure of the command. */
MUST_USE struct err cli_error(const struct pbft_error *e);
/* The failure that an outcome other than OK and NEGATIVE is. */
MUST_USE struct err cli_outcome_error(const struct pbft_answer *a);

/* One operation as a signed transaction: opens a client, submits, waits, closes. Free *out with pbft_answer_free. An
 * outcome EXPIRED or REFUSED is an error; OK and NEGATIVE are for the caller to tell apart. */
MUST_USE struct err cli_submit(const struct cli_globals *g, const struct pbft_operation *op, struct pbft_answer **out);

/* A series of reads on one client. Zeroed before the first; closed with cli_reader_close. */
struct cli_reader {
    struct pbft_client *client;
};
/* As cli_submit, with the answer that Q replicas gave. */
MUST_USE struct err cli_read(struct cli_reader *r, const struct cli_globals *g, const struct pbft_operation *op,
                             struct pbft_answer **out);
/* The same with what one replica proves, as of a stable checkpoint not older than at_least (pbft_read_certified). */
MUST_USE struct err cli_read_certified(struct cli_reader *r, const struct cli_globals *g,
                                       const struct pbft_operation *op, uint64_t at_least, struct pbft_answer **out);
void cli_reader_close(struct cli_reader *r);
/* Decodes a page that an application answered; borrows from the answer. Errors: ERR_FORMAT. */
MUST_USE struct err cli_page_decode(const struct pbft_answer *a, struct wire_page *out);

/* ---- printing ---- */

/* Prints one JSON value on stdout, indented, and drops the reference. Memory is all that can be missing. */
void cli_json_print(json_t *value);
/* Sets name to the bytes as a string, or name_hex to their hexadecimal form when they are not UTF-8. */
void cli_json_set_bytes(json_t *object, const char *name, struct bytes value);
/* An object with result, client_sequence, block, view, index, milliseconds, time_ms and matched. */
json_t *cli_answer_json(const struct pbft_answer *a);
/* The same as one line: "ok: block 5, view 0, ...". */
void cli_answer_print(FILE *to, const struct pbft_answer *a);
/* Prints bytes on one line, control characters and backslashes as \xNN, at most `most` bytes. */
void cli_text_print(FILE *to, struct bytes value, size_t most);
/* The same into a NUL-terminated text. */
#define CLI_QUOTE_BYTES 140u
struct cli_quote {
    char text[CLI_QUOTE_BYTES];
};
struct cli_quote cli_quote(struct bytes value);

static inline struct pbft_bytes cli_arg(struct bytes b)
{
    return (struct pbft_bytes){.data = b.data, .len = b.len};
}
static inline struct bytes cli_value(const struct pbft_answer *a)
{
    return bytes_of(a->value.data, a->value.len);
}

#endif
