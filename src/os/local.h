// SPDX-License-Identifier: Apache-2.0
// os/local.h - names of local sockets (AF_UNIX) in the file system. Any thread.
#ifndef SKI_OS_LOCAL_H
#define SKI_OS_LOCAL_H

#include <skald/base.h>

// ski_local_path_max is how many bytes such a name may have.
size_t ski_local_path_max(void);
// ski_local_reclaim removes the name of a socket behind which nobody listens any more: a process
// that was killed leaves it. Whether anybody does is asked by connecting. False: it is in use, is
// no socket, or cannot be removed.
bool ski_local_reclaim(const char *path);

#endif
