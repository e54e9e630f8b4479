/* digest.c - SHA-256 under domain tags. From nettle, which GnuTLS brings anyway: it uses the processor's SHA instructions
 * where there are some, and was measured six times as fast as libsodium's on such a machine.
 *
 * The texts of domain_text are part of the protocol: changing one changes every hash made for that
 * purpose, so each has a known answer in tests/unit/test_digest.c.
 */
#include "crypto/digest.h"

#include "base/check.h"

#include <nettle/sha2.h>
#include <string.h>

_Static_assert(sizeof(struct sha256_ctx) <= sizeof(struct hasher), "nettle's state fits in a hasher");
_Static_assert(_Alignof(struct sha256_ctx) <= _Alignof(struct hasher), "a hasher is aligned for the state");
_Static_assert(DIGEST_BYTES == SHA256_DIGEST_SIZE, "a digest is one SHA-256");

static struct sha256_ctx *hasher_state(struct hasher *h)
{
    return (struct sha256_ctx *)(void *)h->opaque;
}

static const char *domain_text(enum digest_domain domain)
{
    switch (domain) {
    case DIGEST_DOMAIN_MESSAGE: return "pbft/1/message";
    case DIGEST_DOMAIN_BATCH: return "pbft/1/batch";
    case DIGEST_DOMAIN_HEADER: return "pbft/1/header";
    case DIGEST_DOMAIN_GROUP: return "pbft/1/group";
    case DIGEST_DOMAIN_CONFIGURATION: return "pbft/1/configuration";
    case DIGEST_DOMAIN_STATE_KEY: return "pbft/1/state-key";
    case DIGEST_DOMAIN_STATE_LEAF: return "pbft/1/state-leaf";
    case DIGEST_DOMAIN_STATE_NODE: return "pbft/1/state-node";
    case DIGEST_DOMAIN_RESULT: return "pbft/1/result";
    case DIGEST_DOMAIN_SIGNATURE: return "pbft/1/signature";
    case DIGEST_DOMAIN_FILE: return "pbft/1/file";
    case DIGEST_DOMAIN_TRACE: return "pbft/1/trace";
    case DIGEST_DOMAIN_STORED: return "pbft/1/stored";
    }
    check_failed(__FILE__, __LINE__, "domain outside the enumeration");
}

void hasher_start(struct hasher *h, enum digest_domain domain)
{
    const char *text = domain_text(domain);
    const size_t len = strlen(text);
    CHECK_OP(len, <=, UINT8_MAX);
    const uint8_t len_byte = (uint8_t)len;
    hasher_start_plain(h);
    /* The length in front makes the tags prefix-free: no tag and data can be read as another tag and other data. */
    hasher_add(h, &len_byte, sizeof len_byte);
    hasher_add(h, text, len);
}

void hasher_start_plain(struct hasher *h)
{
    /* nettle leaves the block buffer unset; zero it so that a hasher is plain data, copied without surprises. */
    *h = (struct hasher){{0}};
    sha256_init(hasher_state(h));
}

void hasher_add(struct hasher *h, const void *data, size_t len)
{
    sha256_update(hasher_state(h), len, data);
}

void hasher_add_be64(struct hasher *h, uint64_t value)
{
    uint8_t raw[8];
    be64_put(raw, value);
    hasher_add(h, raw, sizeof raw);
}

void hasher_finish(struct hasher *h, struct digest *out)
{
    sha256_digest(hasher_state(h), sizeof out->bytes, out->bytes);
}

struct digest digest_of(enum digest_domain domain, struct bytes data)
{
    struct hasher h;
    struct digest out;
    hasher_start(&h, domain);
    hasher_add(&h, data.data, data.len);
    hasher_finish(&h, &out);
    return out;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return digest_compare(a, b) == 0;
}

bool digest_is_zero(const struct digest *d)
{
    static const struct digest zero;
    return digest_equal(d, &zero);
}

int digest_compare(const struct digest *a, const struct digest *b)
{
    return memcmp(a->bytes, b->bytes, DIGEST_BYTES);
}
