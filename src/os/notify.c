// SPDX-License-Identifier: Apache-2.0
// One datagram a message, to a local socket. A name that begins with '@' is in the abstract
// namespace: its first byte is a NUL.
#include "os/notify.h"

#include "base/str.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool ski_notify(const char *lines)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *name = getenv("NOTIFY_SOCKET");
    size_t name_len = name ? strlen(name) : 0;
    size_t len = strlen(lines);
    ssize_t sent = 0;
    int fd = -1;

    if (!name_len || name_len >= sizeof address.sun_path) return false;
    if (name[0] != '/' && name[0] != '@') return false;
    memcpy(address.sun_path, name, name_len);
    if (name[0] == '@') address.sun_path[0] = 0;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    sent = sendto(fd, lines, len, MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&address,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name_len));
    close(fd);
    return sent == (ssize_t)len;
}

uint64_t ski_notify_watchdog_ms(void)
{
    const char *us = getenv("WATCHDOG_USEC");
    const char *of = getenv("WATCHDOG_PID");
    uint64_t number = 0;
    uint64_t pid = 0;

    if (!us || ski_str_u64(skald_str_of(us), &number)) return 0;
    if (of && (ski_str_u64(skald_str_of(of), &pid) || pid != (uint64_t)getpid())) return 0;
    return number / 1000;
}
