/* net_tls.c - GnuTLS: credentials, handshake, and who is admitted. */
#include "replica/net/net_internal.h"

#include "crypto/keyfile.h"

#include <string.h>

static const char priorities_text[] =
    "NONE:+VERS-TLS1.3:+AES-128-GCM:+CHACHA20-POLY1305:+AEAD:+GROUP-X25519:+SIGN-EDDSA-ED25519:"
    "+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK:%DISABLE_TLS13_COMPAT_MODE";

/* Called inside the handshake, on both sides: unknown keys go no further. */
static int verify_peer(gnutls_session_t session)
{
    struct net_connection *c = gnutls_session_get_ptr(session);
    unsigned count = 0;
    const gnutls_datum_t *list = gnutls_certificate_get_peers(session, &count);
    if (list == NULL || count != 1) return GNUTLS_E_CERTIFICATE_ERROR;
    if (!keyfile_spki_public(bytes_of(list[0].data, list[0].size), &c->peer)) return GNUTLS_E_CERTIFICATE_ERROR;
    if (!c->net->events.admit(c->net->context, c, &c->peer, &c->frame_bytes_max, &c->queue_bytes_max))
        return GNUTLS_E_CERTIFICATE_ERROR;
    c->admitted = true;
    return 0;
}

struct err net_tls_start(struct net *n, const struct secret_key *key)
{
    char secret_pem[KEYFILE_PEM_BYTES_MAX];
    char public_pem[KEYFILE_PEM_BYTES_MAX];
    const struct public_key public = secret_key_public(key);
    const char *where = NULL;
    keyfile_secret_pem(key, secret_pem);
    keyfile_public_pem(&public, public_pem);
    const gnutls_datum_t secret_text = {(unsigned char *)secret_pem, (unsigned)strlen(secret_pem)};
    const gnutls_datum_t public_text = {(unsigned char *)public_pem, (unsigned)strlen(public_pem)};
    int code = gnutls_certificate_allocate_credentials(&n->credentials);
    if (code == 0)
        code = gnutls_certificate_set_rawpk_key_mem(n->credentials, &public_text, &secret_text, GNUTLS_X509_FMT_PEM,
                                                    NULL, GNUTLS_KEY_DIGITAL_SIGNATURE, NULL, 0, 0);
    if (code >= 0) code = gnutls_priority_init(&n->priorities, priorities_text, &where);
    secret_bytes_wipe(secret_pem, sizeof secret_pem);
    if (code < 0) return err_make(ERR_CONFIG, "cannot set up TLS: %s", gnutls_strerror(code));
    gnutls_certificate_set_verify_function(n->credentials, verify_peer);
    return err_none();
}

void net_tls_stop(struct net *n)
{
    if (n->priorities != NULL) gnutls_priority_deinit(n->priorities);
    if (n->credentials != NULL) gnutls_certificate_free_credentials(n->credentials);
}

bool net_tls_attach(struct net_connection *c)
{
    const unsigned side = c->outgoing ? GNUTLS_CLIENT : GNUTLS_SERVER;
    const unsigned flags = side | GNUTLS_NONBLOCK | GNUTLS_ENABLE_RAWPK | GNUTLS_NO_TICKETS | GNUTLS_NO_SIGNAL;
    if (gnutls_init(&c->session, flags) < 0) return false;
    gnutls_session_set_ptr(c->session, c);
    if (gnutls_priority_set(c->session, c->net->priorities) < 0) return false;
    if (gnutls_credentials_set(c->session, GNUTLS_CRD_CERTIFICATE, c->net->credentials) < 0) return false;
    if (!c->outgoing) gnutls_certificate_server_set_request(c->session, GNUTLS_CERT_REQUIRE);
    gnutls_transport_set_int(c->session, c->fd);
    gnutls_handshake_set_timeout(c->session, GNUTLS_INDEFINITE_TIMEOUT); /* the sweep has the deadline */
    return true;
}

int net_tls_handshake(struct net_connection *c)
{
    const int code = gnutls_handshake(c->session);
    if (code == GNUTLS_E_SUCCESS) {
        if (c->admitted) return 1;
        net_close(c, "the peer showed no key");
        return -1;
    }
    if (gnutls_error_is_fatal(code) == 0) {
        net_watch(c, gnutls_record_get_direction(c->session) == 1 ? EV_WRITE : EV_READ);
        return 0;
    }
    (void)gnutls_alert_send_appropriate(c->session, code); /* so that the peer can say why */
    if (code == GNUTLS_E_CERTIFICATE_ERROR)
        net_close(c, "the peer's key is not one of this group's, or not the one expected at this address");
    else if (code == GNUTLS_E_FATAL_ALERT_RECEIVED)
        net_close(c, "the peer refused us in the handshake");
    else
        net_close(c, gnutls_strerror(code));
    return -1;
}
