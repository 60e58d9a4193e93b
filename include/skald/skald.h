// SPDX-License-Identifier: Apache-2.0
// skald/skald.h - the whole public API of libskald. Drivers include their port's header instead.
//
// One idea: the log is the bus. Events are appended to a store; every consumer is a subscription, a
// named cursor with a handler. Start with system.h to run everything, with bus.h to embed the core.
//
//   base.h       text, errors, ids, time, arenas
//   event.h      the envelope, filters, JSON and CloudEvents
//   schema.h     JSON Schema: checking, comparing, a registry of versions
//   store.h      append, read, verify
//   types.h      the registry of names, and types as data: JSON Schema, AsyncAPI, TypeScript
//   bus.h        publish, subscribe, retry
//   typed.h      events as C structs
//   system.h     configuration, presets, shutdown
//
// Versions: SKALD_VERSION is what was compiled against, skald_version_linked() what is linked.
// Option structs grow with a minor version, and the soname with it; a zero field keeps its meaning.
#ifndef SKALD_SKALD_H
#define SKALD_SKALD_H

#include <skald/keys.h>
#include <skald/limit.h>
#include <skald/schema.h>
#include <skald/system.h>
#include <skald/typed.h>

#ifdef __cplusplus
extern "C" {
#endif

// skald_version_linked is the SKALD_VERSION of the library at run time. Any thread.
SKALD_API uint32_t skald_version_linked(void);

#ifdef __cplusplus
}
#endif
#endif // SKALD_SKALD_H
