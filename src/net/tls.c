// SPDX-License-Identifier: Apache-2.0
// TLS on memory. A session has one memory for what comes in, emptied by every take, and one for
// what goes out, emptied when it was sent.
#include "net/tls.h"

#include "base/alloc.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <string.h>
#include <time.h>

struct ski_tls_context {
    SSL_CTX *ssl;
};

struct ski_tls {
    SSL *ssl;
    BIO *in, *out; // the session's
};

// alpn_choose: HTTP/1.1 is all we speak. Who offers other protocols only is told so.
static int alpn_choose(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_len,
                       const unsigned char *offered, unsigned offered_len, void *context)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *name = NULL;

    (void)ssl;
    (void)context;
    if (SSL_select_next_proto(&name, ret_len, ours, sizeof ours - 1, offered, offered_len) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *ret_name = name;
    return SSL_TLSEXT_ERR_OK;
}

// no_password: a key that is encrypted cannot be used, and nobody is there to be asked.
static int no_password(char *buf, int size, int writing, void *context)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

// chain_take adds what stands behind the certificate.
static skald_err chain_take(SSL_CTX *ssl, BIO *pem)
{
    for (int i = 0;; i++) {
        X509 *next = PEM_read_bio_X509(pem, NULL, no_password, NULL);

        if (!next) break;
        if (i == SKI_TLS_CHAIN_MAX || !SSL_CTX_add0_chain_cert(ssl, next)) {
            X509_free(next);
            return SKALD_EINVALID;
        }
    }
    // The end of the file is an error, too, but the right one.
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) return SKALD_EINVALID;
    ERR_clear_error();
    return SKALD_OK;
}

static skald_err certificate_take(SSL_CTX *ssl, skald_str text, skald_error *reterr_error)
{
    BIO *pem = BIO_new_mem_buf(text.ptr, (int)text.len);
    X509 *first = pem ? PEM_read_bio_X509(pem, NULL, no_password, NULL) : NULL;
    skald_err err = first && SSL_CTX_use_certificate(ssl, first) == 1 ? SKALD_OK : SKALD_EINVALID;

    if (!err) err = chain_take(ssl, pem);
    X509_free(first);
    BIO_free(pem);
    if (!err) return SKALD_OK;
    return skald_fail_at(reterr_error, err, "certificate",
                         "it cannot be used: it must be PEM, the server's own certificate first, "
                         "then at most %d of its chain, with a key of at least 2048 bits (RSA) or "
                         "224 (EC)",
                         SKI_TLS_CHAIN_MAX);
}

static skald_err key_take(SSL_CTX *ssl, skald_str text, skald_error *reterr_error)
{
    BIO *pem = BIO_new_mem_buf(text.ptr, (int)text.len);
    EVP_PKEY *key = pem ? PEM_read_bio_PrivateKey(pem, NULL, no_password, NULL) : NULL;
    bool usable = key && SSL_CTX_use_PrivateKey(ssl, key) == 1;

    EVP_PKEY_free(key);
    BIO_free(pem);
    if (!usable || SSL_CTX_check_private_key(ssl) != 1) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "key",
                             "it cannot be used: it must be the certificate's private key, as PEM "
                             "without a password");
    }
    return SKALD_OK;
}

static skald_err context_fill(SSL_CTX *ssl, skald_str certificate_pem, skald_str key_pem,
                              skald_error *reterr_error)
{
    static const unsigned char name[] = "skald"; // of the sessions that clients come back to

    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(ssl, alpn_choose, NULL);
    if (!SSL_CTX_set_session_id_context(ssl, name, sizeof name - 1)) return SKALD_ENOMEM;
    SKALD_TRY(certificate_take(ssl, certificate_pem, reterr_error));
    return key_take(ssl, key_pem, reterr_error);
}

skald_err ski_tls_context_new(skald_str certificate_pem, skald_str key_pem,
                              ski_tls_context **ret_context, skald_error *reterr_error)
{
    ski_tls_context *context = NULL;
    skald_err err = SKALD_OK;

    if (certificate_pem.len > SKI_TLS_PEM_BYTES_MAX || key_pem.len > SKI_TLS_PEM_BYTES_MAX) {
        return skald_fail(reterr_error, SKALD_ETOOBIG,
                          "certificate and key have at most %d bytes each", SKI_TLS_PEM_BYTES_MAX);
    }
    context = ski_alloc_zeroed(1, sizeof *context);
    if (context) context->ssl = SSL_CTX_new(TLS_server_method());
    if (!context || !context->ssl) {
        ski_free(context);
        return skald_fail(reterr_error, SKALD_ENOMEM, "out of memory");
    }
    ERR_clear_error();
    err = context_fill(context->ssl, certificate_pem, key_pem, reterr_error);
    ERR_clear_error();
    if (err) {
        ski_tls_context_free(context);
    } else {
        *ret_context = context;
    }
    return err;
}

void ski_tls_context_free(ski_tls_context *context)
{
    if (!context) return;
    SSL_CTX_free(context->ssl); // sessions hold it on their own
    ski_free(context);
}

skald_time ski_tls_context_expires(const ski_tls_context *context)
{
    const X509 *certificate = SSL_CTX_get0_certificate(context->ssl);
    struct tm end;

    if (!certificate || !ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end)) return 0;
    return (skald_time)timegm(&end) * 1000000;
}

ski_tls *ski_tls_new(ski_tls_context *context)
{
    ski_tls *tls = ski_alloc_zeroed(1, sizeof *tls);

    if (!tls) return NULL;
    tls->ssl = SSL_new(context->ssl);
    tls->in = BIO_new(BIO_s_mem());
    tls->out = BIO_new(BIO_s_mem());
    if (!tls->ssl || !tls->in || !tls->out) {
        BIO_free(tls->in);
        BIO_free(tls->out);
        SSL_free(tls->ssl);
        ski_free(tls);
        return NULL;
    }
    SSL_set_bio(tls->ssl, tls->in, tls->out);
    SSL_set_accept_state(tls->ssl);
    return tls;
}

void ski_tls_free(ski_tls *tls)
{
    if (!tls) return;
    SSL_free(tls->ssl);
    ski_free(tls);
}

bool ski_tls_ready(const ski_tls *tls)
{
    return SSL_is_init_finished(tls->ssl) == 1;
}

skald_err ski_tls_take(ski_tls *tls, const char *bytes, size_t len, char *ret_bytes, size_t size,
                       size_t *ret_len, bool *ret_end)
{
    size_t total = 0, got = 0;
    int result = 1;

    assert(size >= len + SKI_TLS_RECORD);
    *ret_end = false;
    ERR_clear_error();
    if (BIO_write(tls->in, bytes, (int)len) != (int)len) return SKALD_ENOMEM;
    // What is decrypted is never longer than what came, and a record that was begun before.
    while (total < size &&
           (result = SSL_read_ex(tls->ssl, ret_bytes + total, size - total, &got))) {
        total += got;
    }
    *ret_len = total;
    if (result == 1) return SKALD_OK;
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ: return SKALD_OK;
    case SSL_ERROR_ZERO_RETURN: *ret_end = true; return SKALD_OK;
    default: ERR_clear_error(); return SKALD_EINVALID;
    }
}

skald_err ski_tls_put(ski_tls *tls, const char *bytes, size_t len)
{
    size_t put = 0;

    if (!len) return SKALD_OK;
    ERR_clear_error();
    // Into memory all of it goes at once, or nothing.
    if (SSL_write_ex(tls->ssl, bytes, len, &put) == 1 && put == len) return SKALD_OK;
    ERR_clear_error();
    return SKALD_EINVALID;
}

void ski_tls_end(ski_tls *tls)
{
    ERR_clear_error();
    if (ski_tls_ready(tls)) (void)SSL_shutdown(tls->ssl); // the peer's answer is not waited for
    ERR_clear_error();
}

skald_str ski_tls_out(ski_tls *tls)
{
    char *bytes = NULL;
    long len = BIO_get_mem_data(tls->out, &bytes);

    return (skald_str){bytes, len > 0 ? (size_t)len : 0};
}

void ski_tls_sent(ski_tls *tls)
{
    (void)BIO_reset(tls->out);
}
