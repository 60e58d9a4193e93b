// SPDX-License-Identifier: Apache-2.0
// os/socket.h - sending over a connected socket without waiting. Any thread.
#ifndef SKI_OS_SOCKET_H
#define SKI_OS_SOCKET_H

#include <skald/base.h>

// ski_socket_send gives the kernel as much of bytes as it takes now, which may be nothing. False:
// the connection is broken.
bool ski_socket_send(int fd, skald_str bytes, size_t *ret_sent) SKALD_CHECK;

#endif
