// SPDX-License-Identifier: Apache-2.0
// skald/system.h - everything together: from a configuration to a running system, and back.
//
// A system owns a store, a bus and the HTTP API, wired and stopped in the right order. Programs
// that want only a part use that part's header instead. Any thread.
#ifndef SKALD_SYSTEM_H
#define SKALD_SYSTEM_H

#include <skald/bus.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct skald_system skald_system;

typedef enum skald_preset {
    SKALD_PRESET_DEFAULT,     // development
    SKALD_PRESET_DEVELOPMENT, // loopback only, no keys, log for people
    SKALD_PRESET_PRODUCTION,  // JSON log
    SKALD_PRESET_TESTING      // memory store
} skald_preset;

// A field left zero is taken from the environment (SKALD_DATA …), else from the file, else from the
// preset: what is written on the command line wins.
typedef struct skald_system_options {
    const char *preset; // "development" "production" "testing"; NULL: from elsewhere
    const char *file;   // YAML; unknown keys are errors with a line number; NULL: none
    const char *data;   // directory of the log store: "./data"; "memory:" keeps nothing
    const char *listen; // host: "127.0.0.1"
    const char *port;   // "8000"; "0": any free one
    bool no_environment;
    const skald_log *log;                    // NULL: lines on standard error, as the preset says
    skald_err (*wire)(skald_system *system); // subscribe here: before anything moves
    void *context;                           // skald_system_context gives it back
} skald_system_options;

// skald_system_start opens, recovers, calls wire, then lets events move and listens, and publishes
// system.startup. Waits. On failure nothing is left behind; the error's text tells people what to
// do. Fails: INVALID (configuration: file and line), HELD (the data directory, by which process),
// DENIED (an open server on an address that is not loopback), CORRUPT, IO, UNAVAILABLE (the address
// is in use).
SKALD_API SKALD_CHECK skald_err skald_system_start(const skald_system_options *options,
                                                   skald_system **ret_system,
                                                   skald_error *reterr_error);

// skald_system_stop takes nothing new, ends what is in flight, keeps every position, publishes
// system.shutdown, and frees system, whatever it returns; timeout_ms 0 is 30000. NULL is allowed.
// skald_system_wait waits for SIGINT or SIGTERM.
SKALD_API SKALD_CHECK skald_err skald_system_stop(skald_system *system, uint32_t timeout_ms);
SKALD_API void skald_system_wait(skald_system *system);

SKALD_API void *skald_system_context(const skald_system *system);
SKALD_API skald_store *skald_system_store(skald_system *system);
SKALD_API skald_bus *skald_system_bus(skald_system *system);
SKALD_API uint16_t skald_system_port(const skald_system *system); // the one it listens on
SKALD_API const char *skald_system_host(const skald_system *system);

#ifdef __cplusplus
}
#endif
#endif // SKALD_SYSTEM_H
