// SPDX-License-Identifier: Apache-2.0
// store/log/hold.h - holding a directory, so that no two processes have it open.
#ifndef SKI_STORE_LOG_HOLD_H
#define SKI_STORE_LOG_HOLD_H

#include "os/kernel.h"

// ski_hold_take makes the directory if it must (not when read_only), and locks it by the file LOCK
// in it, which says by whom it is held; read-only writes nothing, and *ret_file is NULL when there
// is no such file. Closing the file lets go; ski_hold_end, before that, takes the name out of it.
// Fails: HELD (the text names the process), UNAVAILABLE (read-only, and no such directory), DENIED,
// READONLY, IO.
skald_err ski_hold_take(const ski_kernel *kernel, const char *path, bool read_only,
                        ski_file **ret_file, skald_error *reterr_error) SKALD_CHECK;
void ski_hold_end(const ski_kernel *kernel, ski_file *file);

// ski_hold_sync_above puts the names of the directory and of those above it on the device, as far
// as we may. An earlier attempt to make them may have ended half way. Fails: IO.
skald_err ski_hold_sync_above(const ski_kernel *kernel, const char *path) SKALD_CHECK;

#endif
