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

// skald_setting gives one setting by its key, as in the file: {"tls.key", "/etc/skald/key.pem"}.
typedef struct skald_setting {
    const char *key, *value;
} skald_setting;

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
    const skald_setting *settings;           // any other setting; at most 64
    size_t setting_count;
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
// skald_system_wait waits for SIGINT or SIGTERM. Meanwhile it reloads at SIGHUP, publishes
// system.health.check, and tells systemd that all is well as often as that wants to hear it.
SKALD_API SKALD_CHECK skald_err skald_system_stop(skald_system *system, uint32_t timeout_ms);
SKALD_API void skald_system_wait(skald_system *system);

// skald_system_reload reads the configuration again, takes what can change while it runs, and logs
// what that is and what waits for a restart. What cannot be used changes nothing. Fails: as
// skald_config_check.
SKALD_API SKALD_CHECK skald_err skald_system_reload(skald_system *system,
                                                    skald_error *reterr_error);

SKALD_API void *skald_system_context(const skald_system *system);
SKALD_API skald_store *skald_system_store(skald_system *system);
SKALD_API skald_bus *skald_system_bus(skald_system *system);
SKALD_API uint16_t skald_system_port(const skald_system *system); // the one it listens on
SKALD_API const char *skald_system_host(const skald_system *system);
SKALD_API bool skald_system_tls(const skald_system *system); // https, not http

// skald_config_check does what a start does before it opens anything: it reads the configuration
// and the certificate. Fails: INVALID (where, and what may be meant), NOTFOUND, DENIED, IO.
SKALD_API SKALD_CHECK skald_err skald_config_check(const skald_system_options *options,
                                                   skald_error *reterr_error);

// skald_config_print appends every setting with its value and where that comes from, for people or
// as JSON; secrets are shown as ***. The list (options are not looked at): every setting there is,
// its variable, default and meaning, as the rows of a table. Fails: as skald_config_check does of a
// configuration that cannot be read, NOMEM, FULL.
typedef enum skald_config_form {
    SKALD_CONFIG_TEXT,
    SKALD_CONFIG_JSON,
    SKALD_CONFIG_LIST
} skald_config_form;
SKALD_API SKALD_CHECK skald_err skald_config_print(const skald_system_options *options,
                                                   skald_config_form form, skald_buf *buf,
                                                   skald_error *reterr_error);

// skald_url_shown writes url as people may read it, scheme://***@host/***: any of the rest may be a
// password or a token. Where a / or ? stands before an @, or nothing says where the host begins,
// all of it is hidden. size is the room at ret_text, its end included; what is beyond is cut off.
SKALD_API void skald_url_shown(const char *url, char *ret_text, size_t size);

#ifdef __cplusplus
}
#endif
#endif // SKALD_SYSTEM_H
