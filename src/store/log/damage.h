// SPDX-License-Identifier: Apache-2.0
// store/log/damage.h - what is said of an event that cannot be read.
#ifndef SKI_STORE_LOG_DAMAGE_H
#define SKI_STORE_LOG_DAMAGE_H

#include "store/log/engine.h"

// ski_damage_range gives the damaged range that a candidate lies in, with the events next to it
// that are missing too. Without the lock.
ski_damage ski_damage_range(ski_engine *engine, const ski_candidate *candidate);
// ski_damage_endless: it is not known how many events are missing there.
bool ski_damage_endless(ski_engine *engine, uint64_t position);
// ski_damage_found is told of a range that was read and is not right, while the store is in use.
// Each is logged once. Without the lock.
void ski_damage_found(ski_engine *engine, const ski_rot *range);
// ski_damage_state says what is known. The lock is held.
void ski_damage_state(const ski_engine *engine, skald_store_state *state);

#endif
