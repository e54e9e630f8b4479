/* key_cli.c - `pbft key new` and `pbft key show`.
 *
 * A secret key goes from the generator to its file and nowhere else; it is wiped on every path.
 */
#include "keys/key_cli.h"

#include "crypto/keyfile.h"
#include "keys/cli_verb.h"

#include <stdio.h>

enum new_option { NEW_OPTION_DEVELOPMENT };

/* What both verbs print about a key. development: 1, 0, or -1 where the file does not say. */
struct key_report {
    const char *path;
    struct public_key key;
    bool secret;
    int development;
};

static const char *development_text(int development)
{
    if (development < 0) return "unknown (only a secret key file says)";
    return development > 0 ? "yes: never use it in production" : "no";
}

static void report_print(const struct key_report *r, bool json)
{
    char hex[2 * PUBLIC_KEY_BYTES + 1];
    char pem[KEYFILE_PEM_BYTES_MAX];
    hex_encode(hex, r->key.bytes, PUBLIC_KEY_BYTES);
    keyfile_public_pem(&r->key, pem);
    if (json) {
        json_t *development = r->development < 0 ? json_null() : json_boolean(r->development > 0);
        /* Not every path is UTF-8, and JSON has no other text: such a path is left out. */
        cli_verb_print_json(json_pack("{s:o*, s:s, s:s, s:s, s:o}", "file", json_string(r->path), "holds",
                                      r->secret ? "secret key" : "public key", "public_key", hex, "public_key_pem", pem,
                                      "development", development));
        return;
    }
    (void)printf("file         %s\nholds        %s\npublic key   %s\ndevelopment  %s\n\n%s", r->path,
                 r->secret ? "secret key" : "public key", hex, development_text(r->development), pem);
}

static struct err key_new(const struct cli_verb_call *call)
{
    const bool development = call->values[NEW_OPTION_DEVELOPMENT] != NULL;
    struct key_report r = {.path = call->words[0], .secret = true, .development = development ? 1 : 0};
    struct secret_key secret;
    sign_key_new(&secret, &r.key);
    const struct err e = keyfile_write_secret(r.path, &secret, development);
    secret_key_wipe(&secret);
    if (!err_is(&e)) report_print(&r, call->json);
    return e;
}

static struct err key_show(const struct cli_verb_call *call)
{
    struct key_report r = {.path = call->words[0], .development = -1};
    struct secret_key secret;
    bool development = false;
    ERR_TRY(keyfile_read_public(r.path, &r.key));
    /* What is no secret key file is a public one, as it was read just now. */
    const struct err e = keyfile_read_secret(r.path, &secret, &development);
    r.secret = !err_is(&e);
    if (r.secret) r.development = development ? 1 : 0;
    secret_key_wipe(&secret);
    report_print(&r, call->json);
    return err_none();
}

static const struct cli_verb key_verbs[] = {
    {.name = "new",
     .words = {"FILE"},
     .summary = "Makes a key pair: the secret key goes to FILE (mode 0600), the public key to the screen.",
     .options = {[NEW_OPTION_DEVELOPMENT] = {.name = "development",
                                             .help = "mark it as a development key, refused by other groups"}},
     .run = key_new},
    {.name = "show",
     .words = {"FILE"},
     .summary = "Shows the public key of a secret or public key file; never the secret.",
     .run = key_show},
};

int key_cli_main(int argc, char **argv, bool json)
{
    return cli_verb_main("key", key_verbs, sizeof key_verbs / sizeof key_verbs[0], argc, argv, json);
}
