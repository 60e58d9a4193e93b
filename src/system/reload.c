// SPDX-License-Identifier: Apache-2.0
// The configuration, read again while the system runs.
//
// Invariant: all or nothing. What is new is read and checked whole, certificate included, before
// any of it is used; what cannot be used leaves everything as it was, and the log says so.
#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "system/door.h"
#include "system/log.h"
#include "system/parts.h"
#include <skald/system.h>

#include <string.h>

enum { names_bytes_max = 1024 };

// A list of keys for the log; what does not fit is left out.
typedef struct names {
    char text[names_bytes_max + 1];
    size_t len;
} names;

static void names_add(names *to, const char *key)
{
    skald_buf buf = {
        .ptr = to->text, .len = to->len, .size = names_bytes_max, .bytes_max = names_bytes_max};

    if (!ski_buf_print(&buf, "%s%s", to->len ? " " : "", key)) to->len = buf.len;
    to->text[to->len] = 0;
}

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static const char *text_copy(char **at, const char *text)
{
    char *to = *at;
    size_t size = text_size(text);

    if (!text) return NULL;
    memcpy(to, text, size);
    *at += size;
    return to;
}

skald_system_options *ski_options_copy(const skald_system_options *options)
{
    size_t size = sizeof *options + options->setting_count * sizeof *options->settings +
                  text_size(options->preset) + text_size(options->file) + text_size(options->data) +
                  text_size(options->listen) + text_size(options->port);
    skald_system_options *copy;
    skald_setting *settings;
    char *at;

    for (size_t i = 0; i < options->setting_count; i++)
        size += text_size(options->settings[i].key) + text_size(options->settings[i].value);
    copy = ski_alloc_zeroed(1, size);
    if (!copy) return NULL;
    settings = (skald_setting *)(copy + 1);
    at = (char *)(settings + options->setting_count);
    *copy = *options;
    copy->preset = text_copy(&at, options->preset);
    copy->file = text_copy(&at, options->file);
    copy->data = text_copy(&at, options->data);
    copy->listen = text_copy(&at, options->listen);
    copy->port = text_copy(&at, options->port);
    copy->settings = settings;
    for (size_t i = 0; i < options->setting_count; i++) {
        settings[i].key = text_copy(&at, options->settings[i].key);
        settings[i].value = text_copy(&at, options->settings[i].value);
    }
    return copy;
}

bool ski_retention_of(const ski_config *config, skald_retention *ret_retention)
{
    static const char *const policies[] = {
        [SKALD_RETAIN_ACKED] = "acked",
        [SKALD_RETAIN_ALWAYS] = "always",
        [SKALD_RETAIN_LIMIT] = "limit",
    };
    skald_retention retention = {
        .max_age = (skald_time)config->retention_max_age_s * 1000000,
        .max_events = config->retention_max_events,
    };

    for (int i = 0; i < 3; i++) {
        if (strcmp(policies[i], config->retention_policy) == 0) retention.policy = (skald_retain)i;
    }
    *ret_retention = retention;
    return config->origins[SKI_SETTING_retention_policy].source != SKI_SOURCE_DEFAULT ||
           config->origins[SKI_SETTING_retention_max_age_s].source != SKI_SOURCE_DEFAULT ||
           config->origins[SKI_SETTING_retention_max_events].source != SKI_SOURCE_DEFAULT;
}

ski_rate_options ski_rates_of(const ski_config *config)
{
    return (ski_rate_options){
        .per_key = (uint32_t)config->rate_per_key,
        .per_ip = (uint32_t)config->rate_per_ip,
        .publish = (uint32_t)config->rate_publish,
        .read = (uint32_t)config->rate_read,
        .burst = (uint32_t)config->rate_burst,
    };
}

skald_level ski_system_level(void *system)
{
    skald_system *of = system;

    return ski_log_level(&of->log);
}

skald_err ski_system_level_set(void *system, skald_level level)
{
    skald_system *of = system;

    ski_log_line(&of->log, SKALD_INFO, "the log's level changes", "to", ski_log_level_name(level),
                 (char *)NULL);
    return ski_event_log_level(of->events, level);
}

// settings_put writes what is in use; of the log's level what was set last, over HTTP, too.
static skald_err settings_put(skald_system *system, skald_buf *buf)
{
    const char *level = ski_log_level_name(ski_log_level(&system->log));

    for (size_t i = 0; i < SKI_SETTINGS; i++) {
        bool moved = i == SKI_SETTING_log_level && strcmp(level, system->config.log_level) != 0;

        if (i) SKALD_TRY(ski_buf_byte(buf, ','));
        SKALD_TRY(ski_config_describe(&system->config, i, moved ? level : NULL, buf));
    }
    return SKALD_OK;
}

skald_err ski_system_settings(void *system, skald_buf *buf, size_t *ret_count)
{
    skald_system *of = system;
    skald_err err;

    ski_mutex_lock(&of->lock);
    err = settings_put(of, buf);
    ski_mutex_unlock(&of->lock);
    *ret_count = SKI_SETTINGS;
    return err;
}

// take copies one setting into the configuration in use.
static void take(skald_system *system, const ski_config *from, size_t index)
{
    char value[SKI_CONFIG_SHOWN_MAX];

    ski_setting_text(&ski_settings[index], from, value);
    (void)!ski_setting_put(&ski_settings[index], &system->config, skald_str_of(value), "", NULL);
}

// compare takes what may change at once and names it; what may not is only named.
static void compare(skald_system *system, const ski_config *from, bool tls_came_or_went,
                    names *changed, names *waiting)
{
    for (size_t i = 0; i < SKI_SETTINGS; i++) {
        bool tls = i == SKI_SETTING_tls_certificate || i == SKI_SETTING_tls_key;
        bool reloads = ski_settings[i].flags & SKI_FLAG_RELOADS && !(tls && tls_came_or_went);
        bool same = ski_setting_same(&ski_settings[i], from, &system->config);
        if (!same) names_add(reloads ? changed : waiting, ski_settings[i].key);
        if (!same && reloads) take(system, from, i);
        if (reloads) system->config.origins[i] = from->origins[i];
    }
}

// use puts what was taken to work. Retention is the only thing that can still fail: it is written.
static skald_err use(skald_system *system, skald_level level_before, skald_error *reterr_error)
{
    skald_level level = ski_log_level_of(system->config.log_level);
    skald_retention wanted, now;
    skald_err err = SKALD_OK;

    if (level != level_before) err = ski_event_log_level(system->events, level);
    if (err) return skald_fail(reterr_error, err, "log.level: events cannot be shown");
    skald_retention_get(system->store, &now);
    if (!ski_retention_of(&system->config, &wanted) ||
        (now.max_age == wanted.max_age && now.max_events == wanted.max_events &&
         now.policy == wanted.policy))
        return SKALD_OK;
    return skald_retention_set(system->store, &wanted, reterr_error);
}

// reload_api gives the API its limits and origins, if they are others now. It checks them first.
static skald_err reload_api(skald_system *system, const ski_config *fresh,
                            skald_error *reterr_error)
{
    ski_rate_options rate = ski_rates_of(fresh);
    ski_rate_options before;
    ski_config_list origins;
    bool same;

    ski_mutex_lock(&system->lock);
    before = ski_rates_of(&system->config);
    same = strcmp(fresh->cors_origins, system->config.cors_origins) == 0;
    ski_mutex_unlock(&system->lock);
    if (same && memcmp(&rate, &before, sizeof rate) == 0) return SKALD_OK;
    ski_list_spaced(fresh->cors_origins, origins);
    return ski_api_reload(system->api, &rate, origins[0] ? origins : NULL, reterr_error);
}

static skald_err reload(skald_system *system, skald_error *reterr_error)
{
    ski_http *http = ski_api_http(system->api);
    ski_tls_context *context = NULL;
    names changed = {.len = 0}, waiting = {.len = 0};
    skald_level level_before;
    ski_config fresh;
    skald_err err;

    SKALD_TRY(ski_config_load(system->options, &fresh, reterr_error));
    SKALD_TRY(ski_door_check(&fresh, reterr_error));
    SKALD_TRY(ski_door_tls(&fresh, &context, reterr_error));
    err = reload_api(system, &fresh, reterr_error);
    if (err) {
        ski_tls_context_free(context);
        return err;
    }
    ski_mutex_lock(&system->lock);
    level_before = ski_log_level_of(system->config.log_level);
    bool has_tls = ski_door_has_tls(&system->config);
    compare(system, &fresh, has_tls != (context != NULL), &changed, &waiting);
    if (has_tls && context) {
        ski_http_tls_set(http, context);
        context = NULL;
    }
    // Before the level changes: it may hide this line.
    ski_log_line(&system->log, SKALD_INFO, "the configuration was read again", "changed",
                 changed.len ? changed.text : "nothing", "certificate",
                 has_tls ? "read again" : "none", (char *)NULL);
    if (waiting.len) {
        ski_log_line(&system->log, SKALD_WARN, "these settings wait for a restart", "settings",
                     waiting.text, (char *)NULL);
    }
    err = use(system, level_before, reterr_error);
    ski_mutex_unlock(&system->lock);
    ski_tls_context_free(context);
    return err;
}

skald_err skald_system_reload(skald_system *system, skald_error *reterr_error)
{
    skald_error cause = {0};
    skald_err err = reload(system, &cause);

    if (!err) return SKALD_OK;
    if (!cause.err) (void)!skald_fail(&cause, err, "%s", skald_err_text(err));
    ski_log_line(&system->log, SKALD_ERROR, "the configuration could not be used; all is as before",
                 "why", cause.text, (char *)NULL);
    if (reterr_error) *reterr_error = cause;
    return err;
}
