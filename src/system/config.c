// SPDX-License-Identifier: Apache-2.0
// Where settings come from, weakest first: defaults, the preset, the file, the environment, the
// caller. Each value remembers which of them it was.
#include "system/config.h"
#include "base/buf.h"
#include "base/str.h"
#include "os/environment.h"
#include "os/kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { secret_file_bytes_max = 64 * 1024, stray_distance_max = 2 };

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define HOUR UINT64_C(3600000)

const ski_setting ski_settings[SKI_SETTINGS] = {
#define SETTING(name, the_kind, the_key, default_text, it_takes, the_unit, least, most, flag, \
                text)                                                                         \
    {.key = the_key,                                                                          \
     .otherwise = default_text,                                                               \
     .takes = it_takes,                                                                       \
     .meaning = text,                                                                         \
     .offset = offsetof(ski_config, name),                                                    \
     .kind = SKI_KIND_##the_kind,                                                             \
     .unit = SKI_UNIT_##the_unit,                                                             \
     .flags = SKI_FLAG_##flag,                                                                \
     .min = least,                                                                            \
     .max = most},
#include "system/settings.def"
};

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

bool ski_config_setting(skald_str key, size_t *ret_index, bool *ret_file_named)
{
    static const char file_end[] = "_file";
    size_t end_len = sizeof file_end - 1;
    skald_str of = key;

    if (key.len > end_len && memcmp(key.ptr + key.len - end_len, file_end, end_len) == 0)
        of.len -= end_len;
    for (size_t i = 0; i < SKI_SETTINGS; i++) {
        skald_str name = skald_str_of(ski_settings[i].key);
        bool secret = ski_settings[i].flags & SKI_FLAG_URL;
        bool file_named = secret && of.len < key.len && skald_str_equal(name, of);
        if (!file_named && !skald_str_equal(name, key)) continue;
        *ret_index = i;
        *ret_file_named = file_named;
        return true;
    }
    return false;
}

static skald_err refuse_key(skald_str key, const char *where, skald_error *reterr_error)
{
    const char *meant = ski_setting_meant(key);
    int len = (int)(key.len > 60 ? 60 : key.len);

    if (meant) {
        return skald_fail(reterr_error, SKALD_EINVALID,
                          "%s: unknown key '%.*s'; did you mean '%s'?", where, len, key.ptr, meant);
    }
    return skald_fail(reterr_error, SKALD_EINVALID,
                      "%s: unknown key '%.*s'; 'skald config list' shows all there are", where, len,
                      key.ptr);
}

// put_secret takes a value from a file, without the line feed at its end.
static skald_err put_secret(ski_config *config, const ski_setting *setting, skald_str path,
                            const char *where, skald_error *reterr_error)
{
    skald_buf buf = {.bytes_max = secret_file_bytes_max};
    char name[SKI_CONFIG_TEXT_MAX];
    skald_error cause = {0};
    skald_err err;

    if (!path.len || path.len >= sizeof name || memchr(path.ptr, 0, path.len)) {
        return skald_fail(reterr_error, SKALD_EINVALID, "%s: %s_file must name a file", where,
                          setting->key);
    }
    (void)snprintf(name, sizeof name, "%.*s", SKALD_FMT(path));
    err = ski_kernel_read_file(&ski_kernel_system, name, &buf, &cause);
    if (err) {
        err = skald_fail(reterr_error, err == SKALD_ENOMEM ? err : SKALD_EINVALID,
                         "%s: %s_file cannot be read: %s", where, setting->key, cause.text);
    }
    while (buf.len && (buf.ptr[buf.len - 1] == '\n' || buf.ptr[buf.len - 1] == '\r')) buf.len--;
    if (!err) err = ski_setting_put(setting, config, ski_buf_str(&buf), where, reterr_error);
    if (buf.ptr) memset(buf.ptr, 0, buf.len);
    skald_buf_fini(&buf);
    return err;
}

skald_err ski_config_put(ski_config *config, skald_str key, skald_str value, ski_origin origin,
                         const char *where, skald_error *reterr_error)
{
    size_t index = 0;

    if (!ski_config_setting(key, &index, &origin.secret_file))
        return refuse_key(key, where, reterr_error);
    if (origin.secret_file) {
        SKALD_TRY(put_secret(config, &ski_settings[index], value, where, reterr_error));
    } else {
        SKALD_TRY(ski_setting_put(&ski_settings[index], config, value, where, reterr_error));
    }
    config->origins[index] = origin;
    return SKALD_OK;
}

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
