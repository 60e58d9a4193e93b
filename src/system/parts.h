// SPDX-License-Identifier: Apache-2.0
// system/parts.h - what the files that start, run and stop a system share; nobody else includes it.
#ifndef SKI_SYSTEM_PARTS_H
#define SKI_SYSTEM_PARTS_H

#include "api/api.h"
#include "os/thread.h"
#include "system/config.h"
#include "system/event_log.h"
#include "telemetry/otlp.h"

#include <stdatomic.h>

struct skald_system {
    skald_system_options *options; // what it was started with, to be read again
    ski_mutex lock;                // of config, once it runs
    ski_config config;             // what is in use
    skald_log log;
    ski_proxies proxies;
    ski_http_header hsts; // of every reply; name {NULL, 0}: none
    char hsts_text[48];
    ski_config_list algorithms, origins; // spaced, as the API has them
    struct ski_tls_context *tls;         // until the server has it
    ski_event_log *events;
    ski_otlp *otlp; // NULL: nothing is traced
    skald_store *store;
    skald_bus *bus;
    ski_api *api;
    void *context;
    uint64_t began_ns;
    _Atomic bool loop_answers; // it has run what it was last asked to run
};

// ski_options_copy copies options with all their texts, one block: ski_free it. NULL: no memory.
skald_system_options *ski_options_copy(const skald_system_options *options);

// ski_retention_of is what the configuration says of retention; false: nothing.
bool ski_retention_of(const ski_config *config, skald_retention *ret_retention);

// ski_rates_of is what the configuration says of rates, as the API has it.
ski_rate_options ski_rates_of(const ski_config *config);

// What the API asks of the system: the log's level; every setting in force, as JSON.
skald_level ski_system_level(void *system);
skald_err ski_system_level_set(void *system, skald_level level);
skald_err ski_system_settings(void *system, skald_buf *buf, size_t *ret_count);

// ski_system_tell publishes an event of the system's own; a failure is logged.
void ski_system_tell(skald_system *system, const char *type, skald_str data, bool transient);

#endif
