/* fuzz_keyfile.c - key files of any bytes: no crash, never both kinds, and what is accepted reads back the same from
 * the text we write for it. */
#include "crypto/keyfile.h"

#include "base/check.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void secret_try(struct bytes text)
{
    struct secret_key secret;
    struct secret_key again;
    char pem[KEYFILE_PEM_BYTES_MAX];
    bool development = false;
    struct err e = keyfile_parse_secret(text, &secret, &development);
    if (err_is(&e)) return;
    keyfile_secret_pem(&secret, pem);
    e = keyfile_parse_secret(bytes_of_text(pem), &again, &development);
    CHECK(!err_is(&e));
    CHECK(!development);
    CHECK(memcmp(&secret, &again, sizeof secret) == 0);
    struct public_key key;
    e = keyfile_parse_public(text, &key);
    CHECK(e.code == ERR_CONFIG);
}

static void public_try(struct bytes text)
{
    struct public_key key;
    struct public_key again;
    char pem[KEYFILE_PEM_BYTES_MAX];
    uint8_t spki[KEYFILE_SPKI_BYTES];
    struct err e = keyfile_parse_public(text, &key);
    if (err_is(&e)) return;
    CHECK(public_key_valid(&key));
    keyfile_public_pem(&key, pem);
    e = keyfile_parse_public(bytes_of_text(pem), &again);
    CHECK(!err_is(&e));
    CHECK(public_key_equal(&key, &again));
    keyfile_public_spki(&key, spki);
    CHECK(keyfile_spki_public(bytes_of(spki, sizeof spki), &again));
    CHECK(public_key_equal(&key, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    if (!started) {
        const struct err start = sign_start();
        CHECK(!err_is(&start));
        started = true;
    }
    struct public_key key;
    secret_try(bytes_of(data, size));
    public_try(bytes_of(data, size));
    if (keyfile_spki_public(bytes_of(data, size), &key)) CHECK(size == KEYFILE_SPKI_BYTES);
    return 0;
}
