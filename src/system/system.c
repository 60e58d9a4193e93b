// SPDX-License-Identifier: Apache-2.0
// From a configuration to a running system, and back.
//
// Invariant: parts are made from the ground up (store, bus, API) and ended from the top down, so
// that whatever a part leans on outlives it. What failed half-way ends the same way.
#include "api/api.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "os/signals.h"
#include "system/config.h"
#include "system/log.h"
#include <skald/skald.h>

#include <stdio.h>
#include <string.h>

struct skald_system {
    ski_config config;
    skald_log log;
    skald_store *store;
    skald_bus *bus;
    ski_api *api;
    void *context;
};

uint32_t skald_version_linked(void)
{
    return SKALD_VERSION;
}

// Without keys only this machine may come in.
static bool listens_on_loopback(const char *host)
{
    skald_str text = skald_str_of(host);

    return ski_str_begins(text, SKALD_STR("127.")) ||
           skald_str_equal(text, SKALD_STR("localhost")) ||
           skald_str_equal(text, SKALD_STR("::1")) || skald_str_equal(text, SKALD_STR("[::1]"));
}

static skald_err check_door(const ski_config *config, skald_error *reterr_error)
{
    if (listens_on_loopback(config->listen)) return SKALD_OK;
    return skald_fail(
        reterr_error, SKALD_EDENIED,
        "will not listen on %s without keys: anyone who reaches this address could read "
        "and write every event. Listen on 127.0.0.1 and put a proxy with authentication "
        "in front",
        config->listen);
}

static skald_err open_store(skald_system *system, skald_error *reterr_error)
{
    char url[SKI_CONFIG_TEXT_MAX + 8];
    skald_store_options options = {
        .log = &system->log,
        .event_bytes_max = (uint32_t)system->config.event_bytes_max,
        .segment_bytes = system->config.segment_bytes,
    };

    bool memory = strcmp(system->config.data, "memory:") == 0;
    (void)snprintf(url, sizeof url, memory ? "%s" : "log:%s", system->config.data);
    return skald_store_open(url, &options, &system->store, reterr_error);
}

static skald_err make_bus(skald_system *system)
{
    skald_bus_options options = {
        .log = &system->log,
        .source = "skald",
        .history_events_max = (uint32_t)system->config.history_events_max,
        .event_bytes_max = (uint32_t)system->config.event_bytes_max,
    };

    return skald_bus_new(system->store, &options, &system->bus);
}

static skald_err make_api(skald_system *system)
{
    ski_api_options options = {
        .bus = system->bus,
        .log = &system->log,
        .source = "skald",
        .event_bytes_max = (uint32_t)system->config.event_bytes_max,
    };

    return ski_api_new(&options, &system->api);
}

static skald_err serve(skald_system *system, skald_error *reterr_error)
{
    const ski_config *config = &system->config;
    ski_http_options options = {
        .host = config->listen,
        .port = (uint16_t)config->port,
        .log = &system->log,
        .kernel = &ski_kernel_system,
        .connections_max = (uint32_t)config->connections_max,
        .header_timeout_ms = (uint32_t)config->header_timeout_ms,
        .body_timeout_ms = (uint32_t)config->body_timeout_ms,
        .idle_timeout_ms = (uint32_t)config->idle_timeout_ms,
        .body_bytes_max = config->body_bytes_max,
        .bodies_bytes_max = config->bodies_bytes_max,
    };

    skald_err err = ski_api_serve(system->api, &options, reterr_error);

    if (err == SKALD_EUNAVAILABLE && reterr_error) {
        skald_error cause = *reterr_error;
        return skald_fail(reterr_error, err, "%s. Choose another port; 0 is any free one",
                          cause.text);
    }
    return err;
}

static void tell(skald_system *system, const char *type)
{
    skald_event event = {
        .type = skald_str_of(type),
        .data = SKALD_STR("{\"version\":\"" SKALD_VERSION_TEXT "\"}"),
    };
    skald_err err = skald_publish(system->bus, event, NULL);

    if (err) {
        ski_log_line(&system->log, SKALD_WARN, "cannot publish", "type", type, "why",
                     skald_err_text(err), (char *)NULL);
    }
}

static skald_err start(skald_system *system, const skald_system_options *options,
                       skald_error *reterr_error)
{
    SKALD_TRY(ski_config_load(options, &system->config, reterr_error));
    if (options->log)
        system->log = *options->log;
    else {
        system->log = ski_log_stderr(system->config.log[0] == 'h',
                                     ski_log_level_of(system->config.log_level));
    }
    SKALD_TRY(check_door(&system->config, reterr_error));
    SKALD_TRY(open_store(system, reterr_error));
    SKALD_TRY(make_bus(system));
    SKALD_TRY(make_api(system));
    if (options->wire) SKALD_TRY(options->wire(system));
    SKALD_TRY(serve(system, reterr_error));
    tell(system, "system.startup");
    return SKALD_OK;
}

static void end(skald_system *system)
{
    ski_api_free(system->api);
    skald_bus_free(system->bus);
    skald_store_close(system->store);
    ski_free(system);
}

skald_err skald_system_start(const skald_system_options *options, skald_system **ret_system,
                             skald_error *reterr_error)
{
    static const skald_system_options none = {0};
    skald_system *system = ski_alloc_zeroed(1, sizeof *system);
    skald_err err;

    if (!system) return skald_fail(reterr_error, SKALD_ENOMEM, "out of memory");
    if (!options) options = &none;
    ski_signals_hold();
    system->context = options->context;
    if (reterr_error) *reterr_error = (skald_error){0};
    err = start(system, options, reterr_error);
    if (err) {
        if (reterr_error && !reterr_error->err)
            skald_fail(reterr_error, err, "%s", skald_err_text(err));
        end(system);
        return err;
    }
    *ret_system = system;
    return SKALD_OK;
}

skald_err skald_system_stop(skald_system *system, uint32_t timeout_ms)
{
    skald_err err;
    skald_err bus_err;

    if (!system) return SKALD_OK;
    if (!timeout_ms) timeout_ms = (uint32_t)system->config.shutdown_timeout_ms;
    err = ski_api_stop(system->api, timeout_ms);
    tell(system, "system.shutdown"); // the last event, behind everything that was accepted
    bus_err = skald_bus_stop(system->bus, timeout_ms);
    end(system);
    return err ? err : bus_err;
}

void skald_system_wait(skald_system *system)
{
    int signal = ski_signals_wait();

    ski_log_line(&system->log, SKALD_INFO, "stopping", "signal", signal == 2 ? "SIGINT" : "SIGTERM",
                 (char *)NULL);
}

void *skald_system_context(const skald_system *system)
{
    return system->context;
}

skald_store *skald_system_store(skald_system *system)
{
    return system->store;
}

skald_bus *skald_system_bus(skald_system *system)
{
    return system->bus;
}

uint16_t skald_system_port(const skald_system *system)
{
    return ski_api_port(system->api);
}

const char *skald_system_host(const skald_system *system)
{
    return system->config.listen;
}
