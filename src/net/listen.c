// SPDX-License-Identifier: Apache-2.0
// Listening: on an address and, where that is asked for, on a local socket in the file system.
//
// A local socket's name outlives a process that was killed; then it is taken over.
#include "net/server.h"

#include "os/local.h"
#include <string.h>

enum {
    backlog = 1024,
    local_mode = 0600,
};

int ski_listen_init(ski_http *http, const uv_stream_t *listener, uv_tcp_t *tcp, uv_pipe_t *pipe)
{
    if (listener->type == UV_TCP) return uv_tcp_init(&http->loop, tcp);
    return uv_pipe_init(&http->loop, pipe, 0);
}

static skald_err uv_error(int code, const ski_http_options *options, skald_error *error)
{
    skald_err err = code == UV_EACCES ? SKALD_EDENIED : SKALD_EUNAVAILABLE;

    bool of_port = code == UV_EACCES || code == UV_EADDRINUSE;

    if (code == UV_ENOMEM) err = SKALD_ENOMEM;
    return skald_fail_at(error, err,
                         of_port               ? "port"
                         : err == SKALD_ENOMEM ? NULL
                                               : "listen",
                         "cannot listen on %s port %u: %s", options->host, options->port,
                         uv_strerror(code));
}

// address_listen binds and listens, and finds out the port.
static skald_err address_listen(ski_http *http, skald_error *error)
{
    const ski_http_options *options = &http->options;
    const char *host = strcmp(options->host, "localhost") == 0 ? "127.0.0.1" : options->host;
    struct sockaddr_storage address = {0};
    int address_len = sizeof address;

    if (uv_ip4_addr(host, options->port, (struct sockaddr_in *)&address) != 0 &&
        uv_ip6_addr(host, options->port, (struct sockaddr_in6 *)&address) != 0) {
        return skald_fail_at(
            error, SKALD_EINVALID, "host",
            "\"%s\" is no IP address; 127.0.0.1 is this machine alone, 0.0.0.0 all "
            "of its networks",
            options->host);
    }
    http->listener.data = http;
    int code = uv_tcp_bind(&http->listener, (const struct sockaddr *)&address, 0);
    if (code == 0) code = uv_listen((uv_stream_t *)&http->listener, backlog, ski_conn_accept);
    if (code == 0) {
        code = uv_tcp_getsockname(&http->listener, (struct sockaddr *)&address, &address_len);
    }
    if (code != 0) return uv_error(code, options, error);
    bool six = address.ss_family == AF_INET6;
    http->port = ntohs(six ? ((struct sockaddr_in6 *)&address)->sin6_port
                           : ((struct sockaddr_in *)&address)->sin_port);
    return SKALD_OK;
}

static skald_err local_listen(ski_http *http, skald_error *error)
{
    const char *path = http->options.local_path;
    uv_fs_t mode;
    int code = 0;

    if (strlen(path) > ski_local_path_max()) {
        return skald_fail_at(error, SKALD_EINVALID, "socket",
                             "the name of a socket has at most %zu bytes", ski_local_path_max());
    }
    http->local.data = http;
    code = uv_pipe_bind(&http->local, path);
    if (code == UV_EADDRINUSE && ski_local_reclaim(path)) {
        code = uv_pipe_bind(&http->local, path);
    }
    if (code == 0) {
        code = uv_fs_chmod(NULL, &mode, path, local_mode, NULL); // at once: nobody is told when
        uv_fs_req_cleanup(&mode);
    }
    if (code == 0) code = uv_listen((uv_stream_t *)&http->local, backlog, ski_conn_accept);
    if (code == 0) return SKALD_OK;
    // libuv says of a directory that is not there that one may not.
    return skald_fail_at(error, code == UV_EACCES ? SKALD_EDENIED : SKALD_EUNAVAILABLE, "socket",
                         "cannot listen on the socket %s: %s", path,
                         code == UV_EACCES ? "its directory is not there, or you may not write it"
                                           : uv_strerror(code));
}

skald_err ski_listen(ski_http *http, skald_error *reterr_error)
{
    SKALD_TRY(address_listen(http, reterr_error));
    return http->options.local_path ? local_listen(http, reterr_error) : SKALD_OK;
}
