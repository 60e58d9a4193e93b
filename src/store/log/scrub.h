// SPDX-License-Identifier: Apache-2.0
// store/log/scrub.h - reading sealed segments again, slowly, so that damage is found before a
// reader finds it.
#ifndef SKI_STORE_LOG_SCRUB_H
#define SKI_STORE_LOG_SCRUB_H

#include "store/log/engine.h"

// ski_scrub_new sets up scrubbing at so many bytes a second; 0: none. Fails: NOMEM.
skald_err ski_scrub_new(ski_engine *engine, uint64_t bytes_per_s) SKALD_CHECK;
void ski_scrub_free(struct ski_scrub *scrub); // NULL is allowed

// ski_scrub_wanted: a piece is due. The lock is held. ski_scrub_wait_ns is how long until one may
// be; UINT64_MAX: never. The lock is held.
bool ski_scrub_wanted(const ski_engine *engine);
uint64_t ski_scrub_wait_ns(const ski_engine *engine);
void ski_scrub_step(ski_engine *engine); // keeper; without the lock

#endif
