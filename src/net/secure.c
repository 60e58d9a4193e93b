// SPDX-License-Identifier: Apache-2.0
// Connections over TLS: between the codec and the network lies a session (tls.h). Replies count as
// sent when what they were encrypted to is with the kernel.
//
// Invariants:
//   1. While a write is under way nothing is encrypted for the same connection. What the kernel did
//      not take at once is copied: a read may make the session say something meanwhile.
//   2. Everything a read decrypts to is given to the codec before the next read.
#include "net/server.h"

#include "base/alloc.h"
#include "base/str.h"
#include <string.h>

enum { record_handshake = 0x16 }; // the first byte of every client that speaks TLS

skald_err ski_secure_accept(ski_conn *conn)
{
    ski_http *http = conn->http;

    if (!http->tls_buffer || conn->stream.type != UV_TCP) return SKALD_OK;
    ski_mutex_lock(&http->lock);
    conn->tls = ski_tls_new(http->tls);
    ski_mutex_unlock(&http->lock);
    return conn->tls ? SKALD_OK : SKALD_ENOMEM;
}

// out_try sends what the session has to say, if the kernel takes it at once.
static bool out_try(ski_conn *conn)
{
    skald_str out = ski_tls_out(conn->tls);
    uv_buf_t buf = uv_buf_init((char *)out.ptr, (unsigned)out.len);
    bool sent = true;

    if (conn->writing) return false;
    if (out.len) sent = uv_try_write(&conn->stream, &buf, 1) == (int)out.len;
    ski_tls_sent(conn->tls);
    return sent;
}

// plain_refused tells somebody who speaks HTTP on a TLS port what to do.
static void plain_refused(ski_conn *conn)
{
    static const char text[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n"
                               "Content-Length: 47\r\nConnection: close\r\n\r\n"
                               "This port speaks TLS: use https:// to reach it.";
    uv_buf_t buf = uv_buf_init((char *)text, sizeof text - 1);

    ski_http_count(conn->http, SKI_COUNT_BAD, 1);
    ski_tls_free(conn->tls);
    conn->tls = NULL;
    if (uv_try_write(&conn->stream, &buf, 1) == (int)buf.len) {
        ski_conn_goodbye(conn);
    } else {
        ski_conn_cut(conn);
    }
}

void ski_secure_read(ski_conn *conn, skald_str bytes)
{
    char *plain = conn->http->tls_buffer;
    size_t len = 0;
    bool end = false;

    if (!conn->secured && bytes.ptr[0] != record_handshake) {
        plain_refused(conn);
        return;
    }
    conn->secured = true;
    if (ski_tls_take(conn->tls, bytes.ptr, bytes.len, plain, SKI_TLS_BUFFER, &len, &end)) {
        ski_http_count(conn->http, SKI_COUNT_BAD, 1);
        (void)out_try(conn); // the alert
        ski_conn_cut(conn);
        return;
    }
    if (len) ski_conn_feed(conn, ski_str(plain, len));
    if (end && !conn->closing) ski_conn_input_ended(conn);
}

// encrypt puts as much of the pieces into the session as one round takes; *ret_bytes says how much.
static skald_err encrypt(ski_conn *conn, const uv_buf_t *pieces, unsigned count, size_t *ret_bytes)
{
    size_t took = 0;

    for (unsigned i = 0; i < count && took < SKI_TLS_ROUND_BYTES; i++) {
        size_t room = SKI_TLS_ROUND_BYTES - took;
        size_t part = pieces[i].len < room ? pieces[i].len : room;

        SKALD_TRY(ski_tls_put(conn->tls, pieces[i].base, part));
        took += part;
    }
    *ret_bytes = took;
    return SKALD_OK;
}

// wait_for_kernel leaves the rest of what was encrypted to libuv; with it so many bytes of replies
// go.
static void wait_for_kernel(ski_conn *conn, skald_str rest, size_t took)
{
    uv_buf_t buf;

    conn->cipher = ski_alloc(rest.len);
    if (!conn->cipher) {
        ski_conn_cut(conn);
        return;
    }
    memcpy(conn->cipher, rest.ptr, rest.len);
    ski_tls_sent(conn->tls);
    buf = uv_buf_init(conn->cipher, (unsigned)rest.len);
    ski_output_wait(conn, &buf, 1, took);
}

void ski_secure_flush(ski_conn *conn)
{
    uv_buf_t pieces[SKI_PIECES_MAX];
    unsigned rounds = 0;

    while (!conn->writing && !conn->closing && !conn->lingering) {
        if (rounds++ == SKI_FLUSH_ROUNDS) {
            ski_conn_touch(conn);
            return;
        }
        const ski_exchange *front = conn->first;
        bool ready = ski_tls_ready(conn->tls);
        size_t all = 0, took = 0;
        unsigned count = ready ? ski_output_collect(conn, false, pieces, &all) : 0;

        if (encrypt(conn, pieces, count, &took)) {
            ski_conn_cut(conn);
            return;
        }
        skald_str out = ski_tls_out(conn->tls);
        uv_buf_t buf = uv_buf_init((char *)out.ptr, (unsigned)out.len);
        int sent = out.len ? uv_try_write(&conn->stream, &buf, 1) : 0;
        if (sent < 0 && sent != UV_EAGAIN) {
            ski_conn_cut(conn);
            return;
        }
        if (sent < 0) sent = 0;
        if ((size_t)sent < out.len) {
            wait_for_kernel(conn, ski_str(out.ptr + sent, out.len - (size_t)sent), took);
            return;
        }
        ski_tls_sent(conn->tls);
        if (ready) ski_output_sent(conn, took); // also takes out an empty end of a stream
        if (count == 0 && conn->first == front) return;
    }
}

void ski_secure_send(ski_conn *conn, skald_str text)
{
    if (ski_tls_put(conn->tls, text.ptr, text.len) || !out_try(conn)) ski_conn_cut(conn);
}

void ski_secure_goodbye(ski_conn *conn)
{
    ski_tls_end(conn->tls);
    (void)out_try(conn); // who does not read does not hear it either
}
