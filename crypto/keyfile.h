/* keyfile.h - key files that `openssl pkey` reads too: a secret key in PKCS#8 PEM ("PRIVATE KEY"), a public key in SPKI
 * PEM ("PUBLIC KEY"), both Ed25519 as in RFC 8410.
 *
 *   PKCS#8 DER: 30 2e 02 01 00 30 05 06 03 2b 65 70 04 22 04 20, then the 32-byte seed   (48 bytes)
 *   SPKI DER:   30 2a 30 05 06 03 2b 65 70 03 21 00, then the 32-byte public key          (44 bytes)
 *
 * A development key has the comment line KEYFILE_DEVELOPMENT_MARK before the PEM block; OpenSSL ignores it.
 */
#ifndef PBFT_CRYPTO_KEYFILE_H
#define PBFT_CRYPTO_KEYFILE_H

#include "crypto/sign.h"

#define KEYFILE_PEM_BYTES_MAX 512u
#define KEYFILE_SPKI_BYTES 44u
#define KEYFILE_DEVELOPMENT_MARK "# pbft development key: anyone may have it; never use it in production"

/* Creates path with mode 0600 and writes the secret key, synced. Errors: ERR_CONFIG when path exists (a key is never
 * overwritten), ERR_IO. */
MUST_USE struct err keyfile_write_secret(const char *path, const struct secret_key *secret, bool development);
/* Reads a secret key. Errors: ERR_CONFIG, naming the path and the cure, when the file is missing, is not a regular
 * file, is readable or writable by group or others, is not such a PEM file, or holds anything after it. *development
 * tells whether it is marked. The file's bytes are wiped from memory on every path. */
MUST_USE struct err keyfile_read_secret(const char *path, struct secret_key *out, bool *development);
/* Reads a public key from an SPKI PEM file, or the public half of a secret key file. Demands public_key_valid. */
MUST_USE struct err keyfile_read_public(const char *path, struct public_key *out);

/* The PEM texts, NUL-terminated. */
void keyfile_public_pem(const struct public_key *key, char out[KEYFILE_PEM_BYTES_MAX]);
/* The caller wipes out (it holds the secret) with sodium_memzero or secret_bytes_wipe. */
void keyfile_secret_pem(const struct secret_key *secret, char out[KEYFILE_PEM_BYTES_MAX]);
/* The DER form of a public key, as TLS raw public keys carry it (RFC 7250). */
void keyfile_public_spki(const struct public_key *key, uint8_t out[KEYFILE_SPKI_BYTES]);
/* The key inside a DER SubjectPublicKeyInfo; false when it is not exactly an Ed25519 one. */
MUST_USE bool keyfile_spki_public(struct bytes spki, struct public_key *out);
/* Parses a PEM text held in memory (fuzzed). Accepts comment lines starting with '#' before the block, nothing after
 * it but white space; CR LF allowed. Errors: ERR_CONFIG. */
MUST_USE struct err keyfile_parse_secret(struct bytes text, struct secret_key *out, bool *development);
MUST_USE struct err keyfile_parse_public(struct bytes text, struct public_key *out);
/* Overwrites memory that held a secret; not optimised away. */
void secret_bytes_wipe(void *data, size_t len);

#endif
