// SPDX-License-Identifier: Apache-2.0
// system/config.h - the configuration: one table of keys, filled from a preset, a YAML file, the
// environment and the caller, in that order.
#ifndef SKI_SYSTEM_CONFIG_H
#define SKI_SYSTEM_CONFIG_H

#include <skald/system.h>

enum { SKI_CONFIG_TEXT_MAX = 1024 }; // bytes of one value, its end included

// ski_config is every setting of a server. Times are in milliseconds, sizes in bytes.
typedef struct ski_config {
    char preset[SKI_CONFIG_TEXT_MAX];
    char data[SKI_CONFIG_TEXT_MAX]; // directory, or "memory:"
    char listen[SKI_CONFIG_TEXT_MAX];
    uint64_t port;
    char log[SKI_CONFIG_TEXT_MAX]; // "human" or "json"
    char log_level[SKI_CONFIG_TEXT_MAX];
    uint64_t event_bytes_max;
    uint64_t history_events_max;
    uint64_t segment_bytes;
    uint64_t connections_max;
    uint64_t header_timeout_ms, body_timeout_ms, idle_timeout_ms;
    uint64_t body_bytes_max, bodies_bytes_max;
    uint64_t shutdown_timeout_ms;
} ski_config;

// ski_config_load fills ret_config. Fails: INVALID (the text begins with file and line, the
// variable, or the option), NOTFOUND (the file), IO.
skald_err ski_config_load(const skald_system_options *options, ski_config *ret_config,
                          skald_error *reterr_error) SKALD_CHECK;

// ski_config_set gives one setting by its key; where is put before what is wrong with it.
skald_err ski_config_set(ski_config *config, skald_str key, skald_str value, const char *where,
                         skald_error *reterr_error) SKALD_CHECK;

// ski_config_file reads a YAML file into config.
skald_err ski_config_file(ski_config *config, const char *path, skald_error *reterr_error)
    SKALD_CHECK;

#endif
