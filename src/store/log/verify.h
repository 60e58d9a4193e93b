// SPDX-License-Identifier: Apache-2.0
// store/log/verify.h - verifying what is made of events beside the indexes, and making it again.
#ifndef SKI_STORE_LOG_VERIFY_H
#define SKI_STORE_LOG_VERIFY_H

#include "store/log/engine.h"

// ski_verify_made reads every run and state file, and in a store opened read-only the manifest, and
// tells of each that is not whole. repair: of state files what is not whole is removed. Fails:
// NOMEM, IO.
skald_err ski_verify_made(ski_engine *engine, bool repair,
                          void (*tell)(void *context, const char *name, uint64_t bytes,
                                       const char *why),
                          void *context) SKALD_CHECK;
// ski_verify_repair waits until the house-keeper has made again what was found damaged; false: it
// could not within some minutes, or a disk is full.
bool ski_verify_repair(ski_engine *engine);

#endif
