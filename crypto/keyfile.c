/* keyfile.c - Ed25519 keys as PEM text, in memory and in files.
 *
 * One spelling only: the DER inside is the fixed prefix of RFC 8410 and 32 bytes, so it is compared,
 * not parsed, and its base64 fills exactly one line. Every buffer that held a secret key's text is
 * wiped before its function returns.
 */
#include "crypto/keyfile.h"

#include "base/check.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEED_BYTES 32u
#define PKCS8_BYTES 48u
#define DER_BYTES_MAX PKCS8_BYTES
#define BASE64_BYTES_MAX sodium_base64_ENCODED_LEN(DER_BYTES_MAX, sodium_base64_VARIANT_ORIGINAL)
/* Room for the operator's own comment lines. */
#define KEYFILE_BYTES_MAX 4096u

static const uint8_t pkcs8_prefix[] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                                       0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};
static const uint8_t spki_prefix[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

_Static_assert(sizeof pkcs8_prefix + SEED_BYTES == PKCS8_BYTES, "a PKCS#8 Ed25519 key");
_Static_assert(sizeof spki_prefix + PUBLIC_KEY_BYTES == KEYFILE_SPKI_BYTES, "an SPKI Ed25519 key");
_Static_assert(KEYFILE_SPKI_BYTES <= DER_BYTES_MAX, "one buffer holds either");

enum pem_label { PEM_LABEL_SECRET, PEM_LABEL_PUBLIC };

/* What the lines of a PEM text say; borrows from it. */
struct pem {
    enum pem_label label;
    struct bytes base64;
    bool development;
};

void secret_bytes_wipe(void *data, size_t len)
{
    sodium_memzero(data, len);
}

static const char *label_text(enum pem_label label)
{
    switch (label) {
    case PEM_LABEL_SECRET: return "PRIVATE KEY";
    case PEM_LABEL_PUBLIC: return "PUBLIC KEY";
    }
    check_failed(__FILE__, __LINE__, "label outside the enumeration");
}

/* Takes the next line, without its LF or CR LF; the last line may lack both. False at the end of the text. */
static bool line_take(struct reader *r, struct bytes *line)
{
    const size_t left = reader_left(r);
    if (left == 0) return false;
    const uint8_t *end = memchr(r->pos, '\n', left);
    size_t len = end == NULL ? left : (size_t)(end - r->pos);
    const uint8_t *start = r->pos;
    r->pos += end == NULL ? len : len + 1;
    if (end != NULL && len > 0 && start[len - 1] == '\r') len--;
    *line = bytes_of(start, len);
    return true;
}

static bool line_is_marker(struct bytes line, const char *verb, enum pem_label label)
{
    char marker[64];
    (void)snprintf(marker, sizeof marker, "-----%s %s-----", verb, label_text(label));
    return bytes_equal(line, bytes_of_text(marker));
}

/* comments, BEGIN, one line of base64, END, white space. */
static struct err pem_read(struct bytes text, struct pem *out)
{
    struct reader r = reader_of(text);
    struct pem pem = {.development = false};
    struct bytes line;
    do {
        if (!line_take(&r, &line)) return err_make(ERR_CONFIG, "there is no \"-----BEGIN\" line");
        if (bytes_equal(line, bytes_of_text(KEYFILE_DEVELOPMENT_MARK))) pem.development = true;
    } while (line.len > 0 && line.data[0] == '#');
    if (line_is_marker(line, "BEGIN", PEM_LABEL_SECRET))
        pem.label = PEM_LABEL_SECRET;
    else if (line_is_marker(line, "BEGIN", PEM_LABEL_PUBLIC))
        pem.label = PEM_LABEL_PUBLIC;
    else
        return err_make(ERR_CONFIG,
                        "the first line that is no comment must be \"-----BEGIN %s-----\" or \"-----BEGIN "
                        "%s-----\"",
                        label_text(PEM_LABEL_SECRET), label_text(PEM_LABEL_PUBLIC));
    if (!line_take(&r, &pem.base64)) return err_make(ERR_CONFIG, "it ends after the \"-----BEGIN\" line");
    if (!line_take(&r, &line) || !line_is_marker(line, "END", pem.label))
        return err_make(ERR_CONFIG, "the third line of the key block must be \"-----END %s-----\"",
                        label_text(pem.label));
    for (; reader_left(&r) > 0; r.pos++)
        if (strchr(" \t\r\n", *r.pos) == NULL || *r.pos == '\0')
            return err_make(ERR_CONFIG, "something follows the key block; one file holds one key");
    *out = pem;
    return err_none();
}

/* Decodes base64 that must be exactly prefix and then 32 bytes. The caller wipes tail, also after a failure. */
static bool der_read(struct bytes base64, struct bytes prefix, uint8_t tail[32])
{
    uint8_t der[DER_BYTES_MAX];
    size_t der_bytes = 0;
    const bool good = sodium_base642bin(der, sizeof der, (const char *)base64.data, base64.len, NULL, &der_bytes, NULL,
                                        sodium_base64_VARIANT_ORIGINAL) == 0 &&
                      der_bytes == prefix.len + 32 && bytes_has_prefix(bytes_of(der, der_bytes), prefix);
    if (good) memcpy(tail, der + prefix.len, 32);
    secret_bytes_wipe(der, sizeof der);
    return good;
}

struct err keyfile_parse_secret(struct bytes text, struct secret_key *out, bool *development)
{
    struct pem pem;
    uint8_t seed[SEED_BYTES];
    struct public_key public;
    ERR_TRY(pem_read(text, &pem));
    if (pem.label != PEM_LABEL_SECRET) return err_make(ERR_CONFIG, "it holds a public key; a secret key is needed");
    const bool good = der_read(pem.base64, bytes_of(pkcs8_prefix, sizeof pkcs8_prefix), seed);
    if (good) {
        sign_key_from_seed(seed, out, &public);
        *development = pem.development;
    }
    secret_bytes_wipe(seed, sizeof seed);
    return good ? err_none()
                : err_make(ERR_CONFIG, "it is not an Ed25519 secret key in PKCS#8 (RFC 8410): make one with openssl "
                                       "genpkey -algorithm ED25519");
}

struct err keyfile_parse_public(struct bytes text, struct public_key *out)
{
    struct pem pem;
    struct public_key key;
    ERR_TRY(pem_read(text, &pem));
    if (pem.label != PEM_LABEL_PUBLIC) return err_make(ERR_CONFIG, "it holds a secret key; a public key is needed");
    if (!der_read(pem.base64, bytes_of(spki_prefix, sizeof spki_prefix), key.bytes))
        return err_make(ERR_CONFIG,
                        "it is not an Ed25519 public key in SPKI (RFC 8410): make one with openssl pkey -pubout");
    if (!public_key_valid(&key))
        return err_make(ERR_CONFIG,
                        "its public key is not a point of prime order: nobody can hold its secret; make a new key");
    *out = key;
    return err_none();
}

/* The PEM block of a label's DER, after front. */
static void pem_write(const char *front, enum pem_label label, struct bytes der, char out[KEYFILE_PEM_BYTES_MAX])
{
    char base64[BASE64_BYTES_MAX];
    (void)sodium_bin2base64(base64, sizeof base64, der.data, der.len, sodium_base64_VARIANT_ORIGINAL);
    const int len = snprintf(out, KEYFILE_PEM_BYTES_MAX, "%s-----BEGIN %s-----\n%s\n-----END %s-----\n", front,
                             label_text(label), base64, label_text(label));
    secret_bytes_wipe(base64, sizeof base64);
    CHECK(len > 0 && (size_t)len < KEYFILE_PEM_BYTES_MAX);
}

static void secret_pem(const char *front, const struct secret_key *secret, char out[KEYFILE_PEM_BYTES_MAX])
{
    uint8_t der[PKCS8_BYTES];
    memcpy(der, pkcs8_prefix, sizeof pkcs8_prefix);
    (void)crypto_sign_ed25519_sk_to_seed(der + sizeof pkcs8_prefix, secret->bytes);
    pem_write(front, PEM_LABEL_SECRET, bytes_of(der, sizeof der), out);
    secret_bytes_wipe(der, sizeof der);
}

void keyfile_secret_pem(const struct secret_key *secret, char out[KEYFILE_PEM_BYTES_MAX])
{
    secret_pem("", secret, out);
}

void keyfile_public_spki(const struct public_key *key, uint8_t out[KEYFILE_SPKI_BYTES])
{
    memcpy(out, spki_prefix, sizeof spki_prefix);
    memcpy(out + sizeof spki_prefix, key->bytes, PUBLIC_KEY_BYTES);
}

void keyfile_public_pem(const struct public_key *key, char out[KEYFILE_PEM_BYTES_MAX])
{
    uint8_t der[KEYFILE_SPKI_BYTES];
    keyfile_public_spki(key, der);
    pem_write("", PEM_LABEL_PUBLIC, bytes_of(der, sizeof der), out);
}

bool keyfile_spki_public(struct bytes spki, struct public_key *out)
{
    if (spki.len != KEYFILE_SPKI_BYTES) return false;
    if (!bytes_has_prefix(spki, bytes_of(spki_prefix, sizeof spki_prefix))) return false;
    memcpy(out->bytes, spki.data + sizeof spki_prefix, PUBLIC_KEY_BYTES);
    return true;
}

struct err keyfile_write_secret(const char *path, const struct secret_key *secret, bool development)
{
    char text[KEYFILE_PEM_BYTES_MAX];
    /* O_EXCL: a key is never overwritten, and a symbolic link is not followed. */
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0 && errno == EEXIST)
        return err_make(ERR_CONFIG, "key file %s exists and is never overwritten: move it away first", path);
    if (fd < 0) return err_system(errno, "cannot create the key file %s", path);
    secret_pem(development ? KEYFILE_DEVELOPMENT_MARK "\n" : "", secret, text);
    int failure = file_fill(fd, bytes_of_text(text), S_IRUSR | S_IWUSR);
    secret_bytes_wipe(text, sizeof text);
    if (close(fd) != 0 && failure == 0) failure = errno;
    if (failure == 0) failure = file_directory_sync(path);
    if (failure == 0) return err_none();
    (void)unlink(path); /* half a key, or one that a power cut may take away, is worse than none */
    return err_system(failure, "cannot write the key file %s", path);
}

/* The checks of a file that holds a secret. */
static struct err mode_check(const char *path, const struct file_text *file)
{
    if ((file->mode & (S_IRWXG | S_IRWXO)) == 0) return err_none();
    return err_make(ERR_CONFIG, "key file %s has mode %04o; others can read it: run chmod 600 %s", path, file->mode,
                    path);
}

/* Reads all of a key file. The caller wipes text, also after a failure. */
static struct err text_read(const char *path, uint8_t text[KEYFILE_BYTES_MAX + 1], struct file_text *file)
{
    switch (file_load(path, text, KEYFILE_BYTES_MAX, file)) {
    case FILE_FAULT_NONE: return err_none();
    case FILE_FAULT_NOT_REGULAR:
        return err_make(ERR_CONFIG, "key file %s is not a regular file: give the path of the key itself", path);
    case FILE_FAULT_TOO_LONG:
        return err_make(ERR_CONFIG, "key file %s is longer than %u bytes: it is not a key file", path,
                        KEYFILE_BYTES_MAX);
    case FILE_FAULT_SYSTEM: break;
    }
    if (file->error_number == ENOENT)
        return err_make(ERR_CONFIG, "key file %s does not exist: correct the path, or create the key", path);
    if (file->error_number == EACCES)
        return err_make(ERR_CONFIG, "key file %s may not be read by this user: run as its owner, or chown it", path);
    return err_system(file->error_number, "cannot read the key file %s", path);
}

/* A failure to understand a key file's text, with the path in front. */
static struct err text_failed(const struct err *inner, const char *path)
{
    return err_wrap(*inner, "key file %s cannot be used", path);
}

struct err keyfile_read_secret(const char *path, struct secret_key *out, bool *development)
{
    uint8_t text[KEYFILE_BYTES_MAX + 1];
    struct file_text file;
    struct err e = text_read(path, text, &file);
    if (err_is(&e)) goto out;
    e = mode_check(path, &file);
    if (err_is(&e)) goto out;
    e = keyfile_parse_secret(bytes_of(text, file.len), out, development);
    if (err_is(&e)) e = text_failed(&e, path);
out:
    secret_bytes_wipe(text, sizeof text);
    return e;
}

/* The public half of a secret key's text. */
static struct err parse_public_half(struct bytes text, struct public_key *out)
{
    struct secret_key secret;
    bool development = false;
    ERR_TRY(keyfile_parse_secret(text, &secret, &development));
    *out = secret_key_public(&secret);
    secret_key_wipe(&secret);
    return err_none();
}

struct err keyfile_read_public(const char *path, struct public_key *out)
{
    uint8_t text[KEYFILE_BYTES_MAX + 1];
    struct file_text file;
    struct pem pem;
    struct err e = text_read(path, text, &file);
    if (err_is(&e)) goto out;
    e = pem_read(bytes_of(text, file.len), &pem);
    if (err_is(&e)) {
        e = text_failed(&e, path);
        goto out;
    }
    /* A secret key that others can read is reported even when only its public half is wanted. */
    if (pem.label == PEM_LABEL_SECRET) e = mode_check(path, &file);
    if (err_is(&e)) goto out;
    e = pem.label == PEM_LABEL_SECRET ? parse_public_half(bytes_of(text, file.len), out)
                                      : keyfile_parse_public(bytes_of(text, file.len), out);
    if (err_is(&e)) e = text_failed(&e, path);
out:
    secret_bytes_wipe(text, sizeof text);
    return e;
}
