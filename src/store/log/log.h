// SPDX-License-Identifier: Apache-2.0
// store/log/log.h - the log driver: an append-only file of checksummed frames, in segments.
#ifndef SKI_STORE_LOG_LOG_H
#define SKI_STORE_LOG_LOG_H

#include <skald/store_driver.h>

extern const skald_store_driver ski_store_log;

#endif
