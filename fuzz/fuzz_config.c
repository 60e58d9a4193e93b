// SPDX-License-Identifier: Apache-2.0
// The configuration: a YAML file of anybody's making. What must hold of any bytes:
//
//   reading ends, and says why it refuses; what was taken is within its limits, and written out
//   again as a file it is taken again as the same; a value as it is shown holds no password.
#include "base/buf.h"
#include "system/config.h"

#include <stdlib.h>
#include <string.h>

enum { bytes_max = 64 * 1024, text_bytes_max = 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

// must ends the program where the fuzzer sees it: what was asserted does not hold.
static void must(bool holds)
{
    if (!holds) abort();
}

// plain: a value that can stand between single quotes in a file of one line a key.
static bool plain(const char *value)
{
    for (; *value; value++) {
        if (*value == '\'' || (unsigned char)*value < ' ' || (unsigned char)*value >= 0x7f)
            return false;
    }
    return true;
}

static bool put_line(const ski_config *config, size_t i, skald_buf *buf)
{
    char value[SKI_CONFIG_SHOWN_MAX];

    ski_setting_text(&ski_settings[i], config, value);
    if (config->origins[i].source == SKI_SOURCE_DEFAULT) return true;
    return plain(value) && !ski_buf_print(buf, "%s: '%s'\n", ski_settings[i].key, value);
}

static void check_again(const ski_config *config, const ski_config *defaults)
{
    skald_buf buf = {.bytes_max = text_bytes_max};
    ski_config again = *defaults;
    bool all = true;

    for (size_t i = 0; i < SKI_SETTINGS && all; i++) all = put_line(config, i, &buf);
    if (all && buf.len) {
        must(!ski_config_yaml(&again, "again", ski_buf_str(&buf), NULL));
        for (size_t i = 0; i < SKI_SETTINGS; i++)
            must(ski_setting_same(&ski_settings[i], config, &again));
    }
    skald_buf_fini(&buf);
}

static void check_values(const ski_config *config)
{
    char shown[SKI_CONFIG_SHOWN_MAX], origin[SKI_CONFIG_ORIGIN_MAX];

    for (size_t i = 0; i < SKI_SETTINGS; i++) {
        const ski_setting *setting = &ski_settings[i];
        uint64_t number = 0;
        ski_setting_shown(setting, config, shown);
        ski_setting_origin(config, i, origin);
        must(origin[0] != 0);
        if (setting->kind != SKI_KIND_NUMBER) continue;
        memcpy(&number, (const char *)config + setting->offset, sizeof number);
        must(number >= setting->min && number <= setting->max);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    const skald_system_options none = {.no_environment = true};
    ski_config defaults, config;
    skald_error error = {0};

    if (!len || len > bytes_max) return 0;
    // No file is read: what names one is no input of this fuzzer.
    if (memmem(bytes, len, "_file", 5)) return 0;
    must(!ski_config_load(&none, &defaults, NULL));
    config = defaults;
    if (ski_config_yaml(&config, "fuzz", (skald_str){(const char *)bytes, len}, &error)) {
        must(error.text[0] != 0);
        return 0;
    }
    check_values(&config);
    check_again(&config, &defaults);
    return 0;
}
