// SPDX-License-Identifier: Apache-2.0
// Where settings come from, weakest first: defaults, the preset, the file, the environment, the
// caller. Each value remembers which of them it was.
#include "system/config.h"
#include "base/str.h"
#include "os/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { stray_distance_max = 2 };

// What a preset changes, key by key.
static const struct {
    const char *preset, *key, *value;
} presets[] = {
    {"production", "log.format", "json"},
    // Strangers are slowed down before they cost much; one honest client does not come near. A
    // request may bring ten thousand events, so these are no limits of what can be stored.
    {"production", "rate.per_ip", "60000"},
    {"production", "rate.per_key", "60000"},
    {"production", "rate.publish", "30000"},
    {"testing", "data", "memory:"},
    {"testing", "port", "0"},
    {"testing", "log.level", "warn"},
    {"testing", "health_check_s", "0"},
};

static skald_err read_variable(ski_config *config, const char *name, const char *key,
                               skald_error *reterr_error)
{
    const char *value = getenv(name);

    if (!value) return SKALD_OK;
    return ski_config_put(config, skald_str_of(key), skald_str_of(value),
                          (ski_origin){.source = SKI_SOURCE_ENVIRONMENT}, name, reterr_error);
}

static skald_err read_environment(ski_config *config, skald_error *reterr_error)
{
    char name[SKI_CONFIG_VARIABLE_MAX];
    char key[SKI_CONFIG_VARIABLE_MAX];

    for (size_t i = 0; i < SKI_SETTINGS; i++) {
        ski_setting_variable(&ski_settings[i], name);
        SKALD_TRY(read_variable(config, name, ski_settings[i].key, reterr_error));
        if (!(ski_settings[i].flags & SKI_FLAG_URL)) continue;
        (void)snprintf(key, sizeof key, "%s_file", ski_settings[i].key);
        (void)snprintf(name + strlen(name), sizeof name - strlen(name), "_FILE");
        SKALD_TRY(read_variable(config, name, key, reterr_error));
    }
    return SKALD_OK;
}

// stray_meant: name is no variable of ours, but nearly one. With a letter more than two apart it is
// somebody else's.
static bool stray_meant(skald_str name, char ret_meant[SKI_CONFIG_VARIABLE_MAX])
{
    char variable[SKI_CONFIG_VARIABLE_MAX];
    unsigned best = stray_distance_max + 1;

    for (size_t i = 0; i < SKI_SETTINGS; i++) {
        unsigned apart;
        ski_setting_variable(&ski_settings[i], variable);
        if (ski_str_begins(name, skald_str_of(variable)) &&
            (name.len == strlen(variable) ||
             strcmp(name.ptr + strlen(variable), "_FILE") == 0)) // of a secret, or refused as a key
            return false;
        apart = ski_setting_distance(name, skald_str_of(variable));
        if (apart >= best) continue;
        best = apart;
        memcpy(ret_meant, variable, sizeof variable);
    }
    return best <= stray_distance_max;
}

bool ski_config_stray(size_t *walk, char ret_name[SKI_CONFIG_VARIABLE_MAX],
                      char ret_meant[SKI_CONFIG_VARIABLE_MAX])
{
    for (const char *entry; (entry = ski_environment_at(*walk)) != NULL;) {
        size_t len = strcspn(entry, "=");
        (*walk)++;
        if (len >= SKI_CONFIG_VARIABLE_MAX || strncmp(entry, "SKALD_", 6) != 0) continue;
        memcpy(ret_name, entry, len);
        ret_name[len] = 0;
        if (stray_meant(skald_str_of(ret_name), ret_meant)) return true;
    }
    return false;
}

static skald_err read_option(ski_config *config, const char *key, const char *value,
                             skald_error *reterr_error)
{
    char where[SKI_CONFIG_VARIABLE_MAX];

    if (!value) return SKALD_OK;
    (void)snprintf(where, sizeof where, "--%s", key);
    return ski_config_put(config, skald_str_of(key), skald_str_of(value),
                          (ski_origin){.source = SKI_SOURCE_OPTION}, where, reterr_error);
}

static skald_err read_options(ski_config *config, const skald_system_options *options,
                              skald_error *reterr_error)
{
    SKALD_TRY(read_option(config, "preset", options->preset, reterr_error));
    SKALD_TRY(read_option(config, "data", options->data, reterr_error));
    SKALD_TRY(read_option(config, "listen", options->listen, reterr_error));
    SKALD_TRY(read_option(config, "port", options->port, reterr_error));
    for (size_t i = 0; i < options->setting_count; i++) {
        SKALD_TRY(read_option(config, options->settings[i].key, options->settings[i].value,
                              reterr_error));
    }
    return SKALD_OK;
}

// read_all goes over every source but the preset, weakest first.
static skald_err read_all(ski_config *config, const skald_system_options *options,
                          skald_error *reterr_error)
{
    if (options->file) {
        if (strlen(options->file) >= sizeof config->file)
            return skald_fail(reterr_error, SKALD_EINVALID, "the file's name is too long");
        (void)snprintf(config->file, sizeof config->file, "%s", options->file);
        SKALD_TRY(ski_config_file(config, options->file, reterr_error));
    }
    if (!options->no_environment) SKALD_TRY(read_environment(config, reterr_error));
    return read_options(config, options, reterr_error);
}

static skald_err read_defaults(ski_config *config, const char *preset, skald_error *reterr_error)
{
    for (size_t i = 0; i < SKI_SETTINGS; i++) {
        SKALD_TRY(ski_setting_put(&ski_settings[i], config, skald_str_of(ski_settings[i].otherwise),
                                  "default", reterr_error));
        config->origins[i] = (ski_origin){.source = SKI_SOURCE_DEFAULT};
    }
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        if (strcmp(presets[i].preset, preset) != 0) continue;
        SKALD_TRY(
            ski_config_put(config, skald_str_of(presets[i].key), skald_str_of(presets[i].value),
                           (ski_origin){.source = SKI_SOURCE_PRESET}, "preset", reterr_error));
    }
    return SKALD_OK;
}

skald_err ski_config_load(const skald_system_options *options, ski_config *ret_config,
                          skald_error *reterr_error)
{
    ski_config config = {0};
    ski_config_choice preset;

    // Twice: which preset is meant may itself be said by the file or the environment.
    SKALD_TRY(read_defaults(&config, "", reterr_error));
    SKALD_TRY(read_all(&config, options, reterr_error));
    memcpy(preset, config.preset, sizeof preset);
    SKALD_TRY(read_defaults(&config, preset, reterr_error));
    SKALD_TRY(read_all(&config, options, reterr_error));
    *ret_config = config;
    return SKALD_OK;
}
