// SPDX-License-Identifier: Apache-2.0
// store/log/now.h - one event by its id, for who may not wait.
#ifndef SKI_STORE_LOG_NOW_H
#define SKI_STORE_LOG_NOW_H

#include <skald/store_driver.h>

enum { SKI_NOW_BYTES_MAX = 4096 }; // of its record

// ski_event_now reads it, verified, into arena. Fails: UNAVAILABLE, for whatever reason: it is not
// in the window, or too large, its file is not open, the kernel does not have its bytes in memory,
// or they are not right.
skald_err ski_event_now(void *driver, skald_str tenant, skald_uuid id, skald_arena *arena,
                        skald_event *ret_event) SKALD_CHECK;

#endif
