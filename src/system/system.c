// SPDX-License-Identifier: Apache-2.0
// From a configuration to a running system, and back.
//
// Invariant: parts are made from the ground up (store, bus, API) and ended from the top down, so
// that whatever a part leans on outlives it. What failed half-way ends the same way.
#include "api/api.h"
#include "base/alloc.h"
#include "base/log.h"
#include "os/kernel.h"
#include "os/signals.h"
#include "store/store.h"
#include "system/door.h"
#include "system/log.h"
#include "system/parts.h"
#include <skald/skald.h>

#include <stdio.h>
#include <string.h>

enum { traces_timeout_ms = 2000 }; // for what still waits to be sent

uint32_t skald_version_linked(void)
{
    return SKALD_VERSION;
}

enum { compact_every_s = 3600 };

// open_store_url: where stored data is damaged nothing may be written behind it, but all the rest
// can be read. What is damaged is said in the log, in /ready, and to whoever wants to write.
static skald_err open_store_url(skald_system *system, const char *url, skald_store_options *options,
                                skald_error *reterr_error)
{
    skald_error damage = {0};
    skald_err err = skald_store_open(url, options, &system->store, &damage);

    if (err == SKALD_ECORRUPT) {
        ski_log_line(&system->log, SKALD_ERROR,
                     "stored data is damaged: what is not can be read, nothing can be written",
                     "why", damage.text, (char *)NULL);
        options->read_only = true;
        err = skald_store_open(url, options, &system->store, NULL);
    }
    if (err && reterr_error) *reterr_error = damage;
    return err;
}

static skald_err open_store(skald_system *system, skald_error *reterr_error)
{
    const ski_config *config = &system->config;
    skald_retention retention;
    skald_store_options options = {
        .log = &system->log,
        .event_bytes_max = (uint32_t)config->event_bytes_max,
        .segment_bytes = config->segment_bytes,
        .append_bytes_max = config->append_bytes_max,
        .dedup_events_max = config->dedup_events_max,
        .stream_metas_max = (uint32_t)config->stream_metas_max,
        .compact_every_s = compact_every_s,
        .cache_bytes = config->cache_bytes ? config->cache_bytes : SKALD_CACHE_OFF,
        .scrub_bytes_per_s =
            config->scrub_bytes_per_s ? config->scrub_bytes_per_s : SKALD_SCRUB_OFF,
    };

    SKALD_TRY(open_store_url(system, config->data, &options, reterr_error));
    if (options.read_only || !ski_retention_of(config, &retention)) return SKALD_OK;
    return skald_retention_set(system->store, &retention, reterr_error);
}

// given is text as an option: NULL for none.
static const char *given(const char *text)
{
    return text[0] ? text : NULL;
}

// start_traces begins before whatever makes spans, and ends behind it.
static skald_err start_traces(skald_system *system, skald_error *reterr_error)
{
    const ski_config *config = &system->config;
    ski_otlp_options options = {
        .url = given(config->telemetry_otlp_url),
        .headers_file = given(config->telemetry_headers_file),
        .service = config->telemetry_service,
        .sampled_of_million = (uint32_t)config->telemetry_sampled_of_million,
        .log = &system->log,
    };

    if (!options.url) return SKALD_OK;
    return ski_otlp_start(&options, &system->otlp, reterr_error);
}

static skald_err make_bus(skald_system *system)
{
    const ski_config *config = &system->config;
    skald_bus_options options = {
        .log = &system->log,
        .source = "skald",
        .threads_max = (uint32_t)config->handler_threads,
        .subscriptions_max = (uint32_t)config->subscriptions_max,
        .schedule_events_max = (uint32_t)config->schedule_events_max,
        .history_events_max = (uint32_t)config->history_events_max,
        .event_bytes_max = (uint32_t)config->event_bytes_max,
        .system_events = true,
    };

    SKALD_TRY(skald_bus_new(system->store, &options, &system->bus));
    ski_bus_trace(system->bus, ski_otlp_tracer(system->otlp));
    skald_types_strict(skald_bus_types(system->bus), strcmp(config->types, "strict") == 0);
    SKALD_TRY(ski_event_log_new(system->bus, &system->log, &system->events));
    return ski_event_log_level(system->events, system->log.level_min);
}

static skald_err make_api(skald_system *system, skald_error *reterr_error)
{
    const ski_config *config = &system->config;
    ski_api_options options = {
        .bus = system->bus,
        .log = &system->log,
        .source = "skald",
        .event_bytes_max = (uint32_t)config->event_bytes_max,
        .level = ski_system_level,
        .level_set = ski_system_level_set,
        .settings = ski_system_settings,
        .system = system,
        .proxies = &system->proxies,
        .otlp = system->otlp,
        .backups = given(config->backup_directory),
        .rate = ski_rates_of(config),
        .tokens =
            {
                .keys_file = given(config->jwt_keys_file),
                .keys_url = given(config->jwt_keys_url),
                .issuer = given(config->jwt_issuer),
                .audience = given(config->jwt_audience),
                .algorithms = system->algorithms,
                .tenant_claim = config->jwt_tenant_claim,
                .scope_claim = config->jwt_scope_claim,
                .role_claim = config->jwt_role_claim,
                .skew_s = (uint32_t)config->jwt_skew_s,
            },
    };

    ski_list_spaced(config->jwt_algorithms, system->algorithms);
    ski_list_spaced(config->cors_origins, system->origins);
    options.cors_origins = given(system->origins);
    return ski_api_new(&options, &system->api, reterr_error);
}

// hsts_make is the header that tells browsers to come by TLS only.
static void hsts_make(skald_system *system)
{
    int len = snprintf(system->hsts_text, sizeof system->hsts_text, "max-age=%llu",
                       (unsigned long long)system->config.tls_hsts_s);

    system->hsts =
        (ski_http_header){SKALD_STR("Strict-Transport-Security"), {system->hsts_text, (size_t)len}};
}

static ski_http_options http_options(const skald_system *system)
{
    const ski_config *config = &system->config;
    bool hsts = ski_door_has_tls(config) && config->tls_hsts_s;

    return (ski_http_options){
        .host = config->listen,
        .port = (uint16_t)config->port,
        .local_path = config->socket[0] ? config->socket : NULL,
        .log = &system->log,
        .kernel = &ski_kernel_system,
        .connections_max = (uint32_t)config->connections_max,
        .requests_max = (uint32_t)config->requests_max,
        .pipeline_max = (uint32_t)config->pipeline_max,
        .header_bytes_max = (uint32_t)config->header_bytes_max,
        .headers_max = (uint32_t)config->headers_max,
        .uri_bytes_max = (uint32_t)config->uri_bytes_max,
        .body_bytes_max = config->body_bytes_max,
        .bodies_bytes_max = config->bodies_bytes_max,
        .header_timeout_ms = (uint32_t)config->header_timeout_ms,
        .body_timeout_ms = (uint32_t)config->body_timeout_ms,
        .idle_timeout_ms = (uint32_t)config->idle_timeout_ms,
        .write_timeout_ms = (uint32_t)config->write_timeout_ms,
        .workers_max = (uint32_t)config->http_workers,
        .workers_queue_max = (uint32_t)config->http_queue_max,
        .headers = hsts ? &system->hsts : NULL,
        .header_count = hsts ? 1 : 0,
    };
}

static skald_err serve(skald_system *system, skald_error *reterr_error)
{
    ski_http_options options = http_options(system);
    size_t setting = SKI_SETTINGS;
    skald_error cause = {0};
    bool file_named;
    skald_err err;

    options.take_tls = system->tls;
    err = ski_api_serve(system->api, &options, &cause);
    if (!err) {
        system->tls = NULL;
        return SKALD_OK;
    }
    if (strcmp(cause.field, "port") == 0) {
        (void)skald_fail_at(&cause, err, "port", "%s. Choose another port; 0 is any free one",
                            cause.text);
    }
    if (reterr_error && cause.err) *reterr_error = cause;
    if (!ski_config_setting(skald_str_of(cause.field), &setting, &file_named)) return err;
    return ski_setting_blame(&system->config, setting, SKI_SETTINGS, err, reterr_error);
}

void ski_system_tell(skald_system *system, const char *type, skald_str data, bool transient)
{
    skald_event event = {.type = skald_str_of(type),
                         .tenant = SKALD_STR(SKALD_PLATFORM_TENANT),
                         .data = data,
                         .transient = transient};
    skald_err err = skald_publish(system->bus, event, NULL);

    if (err) {
        ski_log_line(&system->log, SKALD_WARN, "cannot publish", "type", type, "why",
                     skald_err_text(err), (char *)NULL);
    }
}

static void tell(skald_system *system, const char *type)
{
    ski_system_tell(system, type, SKALD_STR("{\"version\":\"" SKALD_VERSION_TEXT "\"}"), false);
}

// warn_of_strays: a variable with a slip in its name sets nothing, which nobody would see.
static void warn_of_strays(const skald_system *system)
{
    char name[SKI_CONFIG_VARIABLE_MAX], meant[SKI_CONFIG_VARIABLE_MAX];
    size_t walk = 0;

    while (ski_config_stray(&walk, name, meant)) {
        ski_log_line(&system->log, SKALD_WARN, "an environment variable that nobody reads",
                     "variable", name, "meant", meant, (char *)NULL);
    }
}

static skald_err configure(skald_system *system, const skald_system_options *options,
                           skald_error *reterr_error)
{
    ski_config *config = &system->config;

    system->options = ski_options_copy(options);
    if (!system->options) return SKALD_ENOMEM;
    SKALD_TRY(ski_config_load(options, config, reterr_error));
    system->log = options->log ? *options->log
                               : ski_log_stderr(strcmp(config->log_format, "human") == 0,
                                                ski_log_level_of(config->log_level));
    if (!options->no_environment) warn_of_strays(system);
    SKALD_TRY(ski_door_check(config, reterr_error));
    SKALD_TRY(ski_door_proxies(config, &system->proxies, reterr_error));
    hsts_make(system);
    return ski_door_tls(config, &system->tls, reterr_error);
}

static skald_err start(skald_system *system, const skald_system_options *options,
                       skald_error *reterr_error)
{
    SKALD_TRY(configure(system, options, reterr_error));
    SKALD_TRY(open_store(system, reterr_error));
    SKALD_TRY(start_traces(system, reterr_error));
    SKALD_TRY(make_bus(system));
    SKALD_TRY(make_api(system, reterr_error));
    if (options->wire) SKALD_TRY(options->wire(system));
    SKALD_TRY(serve(system, reterr_error));
    tell(system, "system.startup");
    return SKALD_OK;
}

static void end(skald_system *system)
{
    ski_api_free(system->api);
    skald_bus_free(system->bus);
    ski_event_log_free(system->events);
    skald_store_close(system->store);
    ski_tls_context_free(system->tls);
    ski_otlp_stop(system->otlp, traces_timeout_ms);
    ski_mutex_fini(&system->lock);
    ski_free(system->options);
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
    system->began_ns = ski_kernel_system.monotonic_ns(ski_kernel_system.context);
    ski_mutex_init(&system->lock);
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

bool skald_system_tls(const skald_system *system)
{
    return ski_door_has_tls(&system->config);
}
