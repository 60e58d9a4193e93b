// SPDX-License-Identifier: Apache-2.0
// net/tls.h - TLS as bytes in, bytes out, without sockets: OpenSSL on memory.
//
// TLS 1.2 and 1.3, ALPN http/1.1 only, no renegotiation, no compression, no early data. A context
// (certificate and key) is immutable and may be used by any thread; a session belongs to one.
#ifndef SKI_NET_TLS_H
#define SKI_NET_TLS_H

#include <skald/base.h>

typedef struct ski_tls_context ski_tls_context;
typedef struct ski_tls ski_tls;

enum {
    SKI_TLS_RECORD = 16 * 1024,         // what one record holds at most
    SKI_TLS_PEM_BYTES_MAX = 256 * 1024, // of a file with certificates or a key
    SKI_TLS_CHAIN_MAX = 16,             // certificates behind the first
};

// ski_tls_context_new takes the certificate with its chain and the key as PEM. Fails: INVALID
// (which of the two, and what is wrong; nothing of the key), TOOBIG, NOMEM. A context is freed when
// its last session is, and its maker has let it go.
skald_err ski_tls_context_new(skald_str certificate_pem, skald_str key_pem,
                              ski_tls_context **ret_context, skald_error *reterr_error) SKALD_CHECK;
void ski_tls_context_free(ski_tls_context *context);

// ski_tls_context_expires is when the certificate is not valid any more.
skald_time ski_tls_context_expires(const ski_tls_context *context);

ski_tls *ski_tls_new(ski_tls_context *context); // the server's side; NULL: no memory
void ski_tls_free(ski_tls *tls);

// ski_tls_ready: the handshake is over.
bool ski_tls_ready(const ski_tls *tls);

// ski_tls_take takes what came from the network and decrypts it to ret_bytes, all of it: size is at
// least len + SKI_TLS_RECORD. ret_end: the peer sends nothing more. Something to send may come of
// it, also when it fails (the alert that says why). Fails: INVALID (it is not TLS, or altered, or
// not as we have it), NOMEM.
skald_err ski_tls_take(ski_tls *tls, const char *bytes, size_t len, char *ret_bytes, size_t size,
                       size_t *ret_len, bool *ret_end) SKALD_CHECK;

// ski_tls_put encrypts; the handshake is over. Fails: NOMEM, INVALID (the session has ended).
skald_err ski_tls_put(ski_tls *tls, const char *bytes, size_t len) SKALD_CHECK;
void ski_tls_end(ski_tls *tls); // says that nothing more follows (close_notify)

// ski_tls_out gives what is to be sent, until the next call of a function here; ski_tls_sent drops
// it.
skald_str ski_tls_out(ski_tls *tls);
void ski_tls_sent(ski_tls *tls);

#endif
