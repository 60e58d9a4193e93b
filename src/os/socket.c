// SPDX-License-Identifier: Apache-2.0
#include "os/socket.h"

#include <errno.h>
#include <sys/socket.h>

bool ski_socket_send(int fd, skald_str bytes, size_t *ret_sent)
{
    ssize_t sent = send(fd, bytes.ptr, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    bool later = sent < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS);

    if (sent < 0 && !later) return false;
    *ret_sent = sent < 0 ? 0 : (size_t)sent;
    return true;
}
