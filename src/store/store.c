// SPDX-License-Identifier: Apache-2.0
// The waist: opening and closing a store, its watcher and its small answers. store_append.c checks
// and hands over appends, store_read.c makes pages and cursors of what drivers give, store_list.c
// does listings and values; the README names the others.
//
// Invariants:
//   1. A driver is given complete options, a clock and a log: no default is decided twice.
//   2. Between enter and leave the driver's instance exists: close waits until calls is empty.
//   3. The watcher is told rising positions, each at most once, by one thread at a time.
#include "store/handle.h"

#include "base/alloc.h"
#include "base/str.h"

#include <assert.h>
#include <string.h>

enum {
    segment_bytes_default = 64 * 1024 * 1024,
    append_bytes_default = 64 * 1024 * 1024,
    dedup_events_default = 16 * 1000 * 1000,
    stream_metas_default = 250 * 1000,
    scrub_bytes_default = 4 * 1024 * 1024,
};

static void log_nothing(void *context, skald_level level, skald_str json_line)
{
    (void)context;
    (void)level;
    (void)json_line;
}

static void store_advanced(void *context, uint64_t durable_position)
{
    skald_store *store = context;

    ski_mutex_lock(&store->watch_mutex);
    if (store->watch && durable_position > store->watch_told) {
        store->watch_told = durable_position;
        store->watch(store->watch_context, durable_position);
    }
    ski_mutex_unlock(&store->watch_mutex);
}

static skald_err options_fill(const skald_store_options *given, skald_store_options *ret_options,
                              skald_error *reterr_error)
{
    skald_store_options options = given ? *given : (skald_store_options){0};

    if (!options.event_bytes_max) options.event_bytes_max = SKALD_EVENT_BYTES_MAX;
    if (!options.segment_bytes) options.segment_bytes = segment_bytes_default;
    if (!options.append_bytes_max) options.append_bytes_max = append_bytes_default;
    if (!options.dedup_events_max) options.dedup_events_max = dedup_events_default;
    if (!options.stream_metas_max) options.stream_metas_max = stream_metas_default;
    if (!options.scrub_bytes_per_s) options.scrub_bytes_per_s = scrub_bytes_default;
    if (options.event_bytes_max > SKALD_EVENT_BYTES_LIMIT)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "event_bytes_max",
                             "an event may have %u bytes at most, %d is the limit",
                             options.event_bytes_max, (int)SKALD_EVENT_BYTES_LIMIT);
    *ret_options = options;
    return SKALD_OK;
}

// store_equip sets up all of the handle but the driver's instance.
static void store_equip(skald_store *store, const ski_kernel *kernel,
                        const skald_store_driver *driver, const skald_store_options *options)
{
    uint8_t random[16];

    store->kernel = kernel;
    store->driver = driver;
    store->options = *options;
    store->clock = options->clock ? *options->clock : ski_kernel_clock(kernel);
    store->log = (skald_log){.line = log_nothing, .level_min = SKALD_ERROR}; // makes no lines
    if (options->log) store->log = *options->log;
    store->options.clock = &store->clock;
    store->options.log = &store->log;
    store->host = (skald_store_host){.clock = &store->clock,
                                     .log = &store->log,
                                     .kernel = kernel,
                                     .advanced = store_advanced,
                                     .context = store};
    kernel->random(kernel->context, random, sizeof(random));
    ski_uuid_seed(&store->ids, random);
    ski_mutex_init(&store->mutex);
    ski_mutex_init(&store->watch_mutex);
    ski_gate_init(&store->calls);
    ski_mutex_init(&store->change);
    ski_mutex_init(&store->rules_mutex);
    kernel->random(kernel->context, &store->rules.seed, sizeof(store->rules.seed));
    atomic_init(&store->rules_count, 0);
    ski_retention_init(&store->retention);
}

static void store_free(skald_store *store)
{
    ski_retention_fini(&store->retention);
    ski_rules_fini(&store->rules);
    ski_mutex_fini(&store->rules_mutex);
    ski_mutex_fini(&store->change);
    ski_gate_fini(&store->calls);
    ski_mutex_fini(&store->watch_mutex);
    ski_mutex_fini(&store->mutex);
    ski_free(store);
}

skald_err ski_store_open_driver(const ski_kernel *kernel, const skald_store_driver *driver,
                                const char *path, const skald_store_options *options,
                                skald_store **ret_store, skald_error *reterr_error)
{
    skald_store_options filled = {0};
    skald_store *store;
    skald_err err;

    if (driver->abi != SKALD_STORE_DRIVER_ABI)
        return skald_fail(reterr_error, SKALD_EUNSUPPORTED,
                          "the store driver '%s' has ABI %u, this library has %d", driver->scheme,
                          driver->abi, (int)SKALD_STORE_DRIVER_ABI);
    SKALD_TRY(options_fill(options, &filled, reterr_error));
    store = ski_alloc_zeroed(1, sizeof(*store));
    if (!store) return skald_fail(reterr_error, SKALD_ENOMEM, "%s", skald_err_text(SKALD_ENOMEM));
    store_equip(store, kernel, driver, &filled);
    err = driver->open(path, &store->options, &store->host, &store->instance, reterr_error);
    if (err) goto free_store;
    err = ski_store_load(store, reterr_error);
    if (!err) err = ski_store_compactor_start(store);
    if (err) goto close_driver;
    *ret_store = store;
    return SKALD_OK;

close_driver:
    driver->close(store->instance);
free_store:
    store_free(store);
    return err;
}

// url_read finds the driver of url, and where its path begins. What begins as a URL does is one: as
// a directory it would be made, and whoever meant a database would keep his events, and show his
// password, there.
static skald_err url_read(const char *url, const skald_store_driver **ret_driver,
                          const char **ret_path, skald_error *reterr_error)
{
    if (!url || !url[0])
        return skald_fail_at(reterr_error, SKALD_EINVALID, "url",
                             "no store is named; give a directory, sqlite:FILE or memory:");
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t len = strspn(url, letters) ? strcspn(url, ":/") : 0;
    bool directory = len < 2 || url[len] != ':';

    for (size_t i = 0; i < len; i++)
        directory = directory || (!strchr(letters, url[i]) && !strchr("0123456789+.-", url[i]));
    skald_str scheme = directory ? SKALD_STR("log") : (skald_str){url, len};
    for (size_t i = 0; ski_store_drivers[i]; i++) {
        if (!skald_str_equal(scheme, skald_str_of(ski_store_drivers[i]->scheme))) continue;
        *ret_driver = ski_store_drivers[i];
        *ret_path = directory ? url : url + len + 1;
        return SKALD_OK;
    }
    // What stands behind the colon may be a password.
    int shown = (int)(scheme.len > 40 ? 40 : scheme.len);
    return skald_fail_at(reterr_error, SKALD_EINVALID, "url",
                         "there is no kind of store '%.*s:'; give a directory (one of such a name "
                         "as ./%.*s:…), sqlite:FILE or memory:",
                         shown, scheme.ptr, shown, scheme.ptr);
}

skald_err ski_store_url_check(const char *url, skald_error *reterr_error)
{
    const skald_store_driver *driver;
    const char *path;

    return url_read(url, &driver, &path, reterr_error);
}

skald_err ski_store_open_on(const ski_kernel *kernel, const char *url,
                            const skald_store_options *options, skald_store **ret_store,
                            skald_error *reterr_error)
{
    const skald_store_driver *driver = NULL;
    const char *path = NULL;

    SKALD_TRY(url_read(url, &driver, &path, reterr_error));
    return ski_store_open_driver(kernel, driver, path, options, ret_store, reterr_error);
}

skald_err skald_store_open(const char *url, const skald_store_options *options,
                           skald_store **ret_store, skald_error *reterr_error)
{
    return ski_store_open_on(&ski_kernel_system, url, options, ret_store, reterr_error);
}

void skald_store_close(skald_store *store)
{
    if (!store) return;
    ski_mutex_lock(&store->mutex);
    assert(!store->closing);
    ski_gate_shut(&store->calls);
    store->closing = true;
    ski_mutex_unlock(&store->mutex);
    ski_gate_wait(&store->calls);
    ski_store_compactor_stop(store);
    store->driver->close(store->instance);
    store_free(store);
}

void ski_store_watch(skald_store *store, void (*fn)(void *context, uint64_t durable_position),
                     void *context)
{
    ski_mutex_lock(&store->watch_mutex);
    store->watch = fn;
    store->watch_context = context;
    store->watch_told = 0;
    ski_mutex_unlock(&store->watch_mutex);
}

uint64_t skald_store_head(const skald_store *store)
{
    return store->driver->head(store->instance);
}

void skald_store_state_get(const skald_store *store, skald_store_state *ret_state)
{
    ski_retention *retention = (ski_retention *)&store->retention; // its lock is all that moves

    *ret_state = (skald_store_state){.bytes_free = UINT64_MAX};
    store->driver->state(store->instance, ret_state);
    if (store->options.read_only && !ret_state->read_only) {
        static const char why[] = "opened read-only";

        ret_state->read_only = true;
        memcpy(ret_state->read_only_why, why, sizeof(why));
    }
    ret_state->stream_metas = atomic_load(&store->rules_count);
    ski_mutex_lock(&retention->mutex);
    ret_state->events_lost = retention->lost;
    ski_mutex_unlock(&retention->mutex);
}

skald_err skald_store_verify(skald_store *store, const skald_verify_options *options,
                             skald_verified *ret_verified, skald_error *reterr_error)
{
    static const skald_verify_options nothing;
    skald_verified verified = {0};
    skald_err err;

    if (!store->driver->verify)
        return skald_fail(reterr_error, SKALD_EUNSUPPORTED,
                          "a store of kind '%s' keeps nothing that could be verified",
                          store->driver->scheme);
    SKALD_TRY(ski_store_enter(store));
    err = store->driver->verify(store->instance, options ? options : &nothing, &verified,
                                reterr_error);
    ski_store_leave(store);
    if (!err || err == SKALD_ECORRUPT) *ret_verified = verified;
    return err;
}
