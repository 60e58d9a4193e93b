// SPDX-License-Identifier: Apache-2.0
#include "os/local.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

size_t ski_local_path_max(void)
{
    return sizeof((struct sockaddr_un *)0)->sun_path - 1;
}

// abandoned: there is a socket of that name, and nobody listens.
static bool abandoned(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat status;
    bool refused = false;
    int fd = -1;

    if (strlen(path) > ski_local_path_max()) return false;
    if (lstat(path, &status) || !S_ISSOCK(status.st_mode)) return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    memcpy(address.sun_path, path, strlen(path) + 1);
    refused =
        connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

bool ski_local_reclaim(const char *path)
{
    return abandoned(path) && unlink(path) == 0;
}
