// SPDX-License-Identifier: Apache-2.0
// The table of keys. Every key is a line here: its name in the file (and from it the environment
// variable, eventBytesMax is SKALD_EVENT_BYTES_MAX), where it goes, and what it may be.
#include "system/config.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB (1024ull * 1024)

typedef struct config_key {
    const char *name;
    size_t offset;
    const char *choices;   // of a text: between spaces; NULL: any. Of a number: NULL
    uint64_t min, max;     // of a number; max 0: a text
    const char *otherwise; // the default
} config_key;

#define TEXT(key, member, choices, otherwise)                       \
    {                                                               \
        key, offsetof(ski_config, member), choices, 0, 0, otherwise \
    }
#define NUMBER(key, member, min, max, otherwise)                     \
    {                                                                \
        key, offsetof(ski_config, member), NULL, min, max, otherwise \
    }

static const config_key keys[] = {
    TEXT("preset", preset, "development production testing", "development"),
    TEXT("data", data, NULL, "./data"),
    TEXT("listen", listen, NULL, "127.0.0.1"),
    NUMBER("port", port, 0, 65535, "8000"),
    TEXT("log", log, "human json", "human"),
    TEXT("logLevel", log_level, "debug info warn error", "info"),
    NUMBER("eventBytesMax", event_bytes_max, 1024, SKALD_EVENT_BYTES_LIMIT, "1048576"),
    NUMBER("historyEventsMax", history_events_max, 1, 1000000, "1000"),
    NUMBER("segmentBytes", segment_bytes, 64 * 1024, 4096 * MIB, "134217728"),
    NUMBER("connectionsMax", connections_max, 1, 1000000, "20000"),
    NUMBER("headerTimeoutMs", header_timeout_ms, 10, 3600000, "10000"),
    NUMBER("bodyTimeoutMs", body_timeout_ms, 10, 3600000, "30000"),
    NUMBER("idleTimeoutMs", idle_timeout_ms, 10, 86400000, "60000"),
    NUMBER("bodyBytesMax", body_bytes_max, 1024, 1024 * MIB, "16777216"),
    NUMBER("bodiesBytesMax", bodies_bytes_max, 1024, 65536 * MIB, "268435456"),
    NUMBER("shutdownTimeoutMs", shutdown_timeout_ms, 0, 3600000, "30000"),
};
enum { key_count = sizeof keys / sizeof *keys };

// What a preset changes, key by key.
static const struct {
    const char *preset, *key, *value;
} presets[] = {
    {"production", "log", "json"},
    {"testing", "data", "memory:"},
    {"testing", "port", "0"},
    {"testing", "logLevel", "warn"},
};

// How far two names are apart (Levenshtein), at most 32 bytes of each.
static unsigned distance(skald_str a, skald_str b)
{
    unsigned row[33];
    size_t b_len = b.len < 32 ? b.len : 32;

    for (unsigned j = 0; j <= b_len; j++) row[j] = j;
    for (unsigned i = 1; i <= a.len && i <= 32; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned change = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < change) change = row[j] + 1;
            if (row[j - 1] + 1 < change) change = row[j - 1] + 1;
            row[j] = change;
        }
    }
    return row[b_len];
}

static skald_err refuse_key(skald_str key, const char *where, skald_error *reterr_error)
{
    const char *best = keys[0].name;

    for (size_t i = 1; i < key_count; i++) {
        if (distance(key, skald_str_of(keys[i].name)) < distance(key, skald_str_of(best)))
            best = keys[i].name;
    }
    if (distance(key, skald_str_of(best)) <= 3) {
        return skald_fail(reterr_error, SKALD_EINVALID,
                          "%s: unknown key '%.*s'; did you mean '%s'?", where,
                          (int)(key.len > 60 ? 60 : key.len), key.ptr, best);
    }
    return skald_fail(reterr_error, SKALD_EINVALID,
                      "%s: unknown key '%.*s'; docs/configuration.md lists them", where,
                      (int)(key.len > 60 ? 60 : key.len), key.ptr);
}

static bool choice_allows(const char *choices, skald_str value)
{
    skald_str rest = skald_str_of(choices);

    while (rest.len) {
        skald_str next;
        if (skald_str_equal(ski_str_cut(rest, ' ', &next), value)) return true;
        rest = next;
    }
    return false;
}

static skald_err set_text(const config_key *key, char *to, skald_str value, const char *where,
                          skald_error *reterr_error)
{
    if (key->choices && !choice_allows(key->choices, value)) {
        return skald_fail(reterr_error, SKALD_EINVALID, "%s: %s is '%.*s' but must be one of: %s",
                          where, key->name, (int)(value.len > 60 ? 60 : value.len), value.ptr,
                          key->choices);
    }
    if (!value.len)
        return skald_fail(reterr_error, SKALD_EINVALID, "%s: %s is empty", where, key->name);
    if (memchr(value.ptr, 0, value.len)) {
        return skald_fail(reterr_error, SKALD_EINVALID, "%s: %s holds a NUL byte", where,
                          key->name);
    }
    if (value.len >= SKI_CONFIG_TEXT_MAX) {
        return skald_fail(reterr_error, SKALD_EINVALID, "%s: %s is longer than %d bytes", where,
                          key->name, SKI_CONFIG_TEXT_MAX - 1);
    }
    memcpy(to, value.ptr, value.len);
    to[value.len] = 0;
    return SKALD_OK;
}

static skald_err set_key(ski_config *config, const config_key *key, skald_str value,
                         const char *where, skald_error *reterr_error)
{
    char *to = (char *)config + key->offset;
    uint64_t number = 0;

    if (!key->max) return set_text(key, to, value, where, reterr_error);
    if (ski_str_u64(value, &number) || number < key->min || number > key->max) {
        return skald_fail(reterr_error, SKALD_EINVALID,
                          "%s: %s is '%.*s' but must be a whole number from %llu to %llu", where,
                          key->name, (int)(value.len > 60 ? 60 : value.len), value.ptr,
                          (unsigned long long)key->min, (unsigned long long)key->max);
    }
    memcpy(to, &number, sizeof number);
    return SKALD_OK;
}

skald_err ski_config_set(ski_config *config, skald_str key, skald_str value, const char *where,
                         skald_error *reterr_error)
{
    for (size_t i = 0; i < key_count; i++) {
        if (skald_str_equal(skald_str_of(keys[i].name), key))
            return set_key(config, &keys[i], value, where, reterr_error);
    }
    return refuse_key(key, where, reterr_error);
}

static void variable_of(const char *key, char *ret_name, size_t size)
{
    size_t len = (size_t)snprintf(ret_name, size, "SKALD_");

    for (; *key && len + 3 < size; key++) {
        if (*key >= 'A' && *key <= 'Z') ret_name[len++] = '_';
        ret_name[len++] = (char)(*key >= 'a' && *key <= 'z' ? *key - 'a' + 'A' : *key);
    }
    ret_name[len] = 0;
}

static skald_err read_environment(ski_config *config, skald_error *reterr_error)
{
    char name[80];

    for (size_t i = 0; i < key_count; i++) {
        const char *value;
        variable_of(keys[i].name, name, sizeof name);
        value = getenv(name);
        if (value) SKALD_TRY(set_key(config, &keys[i], skald_str_of(value), name, reterr_error));
    }
    return SKALD_OK;
}

static skald_err read_options(ski_config *config, const skald_system_options *options,
                              skald_error *reterr_error)
{
    const struct {
        const char *key, *value, *where;
    } given[] = {
        {"preset", options->preset, "--preset"},
        {"data", options->data, "--data"},
        {"listen", options->listen, "--listen"},
        {"port", options->port, "--port"},
    };

    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        if (!given[i].value) continue;
        SKALD_TRY(ski_config_set(config, skald_str_of(given[i].key), skald_str_of(given[i].value),
                                 given[i].where, reterr_error));
    }
    return SKALD_OK;
}

// read_all goes over every source but the preset, weakest first.
static skald_err read_all(ski_config *config, const skald_system_options *options,
                          skald_error *reterr_error)
{
    if (options->file) SKALD_TRY(ski_config_file(config, options->file, reterr_error));
    if (!options->no_environment) SKALD_TRY(read_environment(config, reterr_error));
    return read_options(config, options, reterr_error);
}

skald_err ski_config_load(const skald_system_options *options, ski_config *ret_config,
                          skald_error *reterr_error)
{
    ski_config config = {0};
    char preset[SKI_CONFIG_TEXT_MAX];

    for (size_t i = 0; i < key_count; i++) {
        SKALD_TRY(
            set_key(&config, &keys[i], skald_str_of(keys[i].otherwise), "default", reterr_error));
    }
    // Twice: which preset is meant may itself be said by the file or the environment.
    SKALD_TRY(read_all(&config, options, reterr_error));
    memcpy(preset, config.preset, sizeof preset);
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        if (strcmp(presets[i].preset, preset) != 0) continue;
        SKALD_TRY(ski_config_set(&config, skald_str_of(presets[i].key),
                                 skald_str_of(presets[i].value), "preset", reterr_error));
    }
    SKALD_TRY(read_all(&config, options, reterr_error));
    *ret_config = config;
    return SKALD_OK;
}
