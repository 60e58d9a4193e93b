// SPDX-License-Identifier: Apache-2.0
// The configuration, shown: every value with where it comes from, or every setting there is.
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "system/config.h"

#include <string.h>

static skald_err put_text(const ski_config *config, size_t index, skald_buf *buf)
{
    char value[SKI_CONFIG_SHOWN_MAX], origin[SKI_CONFIG_ORIGIN_MAX];

    ski_setting_shown(&ski_settings[index], config, value);
    ski_setting_origin(config, index, origin);
    return ski_buf_print(buf, "%-22s %-24s %s\n", ski_settings[index].key, value[0] ? value : "-",
                         origin);
}

static skald_err put_json(const ski_config *config, size_t index, skald_buf *buf)
{
    const ski_setting *setting = &ski_settings[index];
    char value[SKI_CONFIG_SHOWN_MAX], origin[SKI_CONFIG_ORIGIN_MAX];
    uint64_t number = 0;

    ski_setting_shown(setting, config, value);
    ski_setting_origin(config, index, origin);
    SKALD_TRY(ski_buf_print(buf, "%s\n  \"%s\": {\"value\": ", index ? "," : "{", setting->key));
    if (setting->kind == SKI_KIND_NUMBER) { // in the unit its name ends with
        memcpy(&number, (const char *)config + setting->offset, sizeof number);
        SKALD_TRY(ski_buf_u64(buf, number));
    } else {
        SKALD_TRY(ski_json_put_string(buf, skald_str_of(value)));
    }
    SKALD_TRY(skald_buf_put(buf, SKALD_STR(", \"origin\": ")));
    SKALD_TRY(ski_json_put_string(buf, skald_str_of(origin)));
    SKALD_TRY(ski_buf_byte(buf, '}'));
    return index + 1 == SKI_SETTINGS ? skald_buf_put(buf, SKALD_STR("\n}\n")) : SKALD_OK;
}

// put_member writes ,"name":"value".
static skald_err put_member(skald_buf *buf, const char *name, const char *value)
{
    SKALD_TRY(ski_buf_print(buf, ",\"%s\":", name));
    return ski_json_put_string(buf, skald_str_of(value));
}

skald_err ski_config_describe(const ski_config *config, size_t index, const char *now,
                              skald_buf *buf)
{
    const ski_setting *setting = &ski_settings[index];
    char value[SKI_CONFIG_SHOWN_MAX], origin[SKI_CONFIG_ORIGIN_MAX];

    ski_setting_shown(setting, config, value);
    ski_setting_origin(config, index, origin);
    SKALD_TRY(ski_buf_print(buf, "{\"key\":\"%s\"", setting->key));
    SKALD_TRY(put_member(buf, "value", now ? now : value));
    SKALD_TRY(put_member(buf, "origin", now ? "changed while it runs" : origin));
    SKALD_TRY(put_member(buf, "default", setting->otherwise));
    SKALD_TRY(ski_buf_print(buf, ",\"reloads\":%s",
                            setting->flags & SKI_FLAG_RELOADS ? "true" : "false"));
    SKALD_TRY(put_member(buf, "meaning", setting->meaning));
    return ski_buf_byte(buf, '}');
}

// put_range says what a value may be, where its meaning does not.
static skald_err put_range(const ski_setting *setting, skald_buf *buf)
{
    char least[SKI_CONFIG_SHOWN_MAX], most[SKI_CONFIG_SHOWN_MAX];
    skald_str rest = skald_str_of(setting->takes);
    const char *before = "; ";

    if (setting->kind == SKI_KIND_NUMBER) {
        ski_number_text(setting->unit, setting->min, least);
        ski_number_text(setting->unit, setting->max, most);
        return ski_buf_print(buf, "; %s to %s", least, most);
    }
    if (strchr(setting->meaning, '`')) return SKALD_OK; // it says so itself
    while (setting->kind == SKI_KIND_CHOICE && rest.len) {
        skald_str next;
        skald_str choice = ski_str_cut(rest, ' ', &next);
        SKALD_TRY(ski_buf_print(buf, "%s`%.*s`", before, SKALD_FMT(choice)));
        before = ", ";
        rest = next;
    }
    return SKALD_OK;
}

static skald_err put_row(size_t index, skald_buf *buf)
{
    const ski_setting *setting = &ski_settings[index];
    char variable[SKI_CONFIG_VARIABLE_MAX];

    ski_setting_variable(setting, variable);
    SKALD_TRY(ski_buf_print(buf, "| `%s` | `%s` | ", setting->key, variable));
    SKALD_TRY(ski_buf_print(buf, setting->otherwise[0] ? "`%s`" : "%s",
                            setting->otherwise[0] ? setting->otherwise : "none"));
    SKALD_TRY(ski_buf_print(buf, " | %s | %s", setting->flags & SKI_FLAG_RELOADS ? "yes" : "",
                            setting->meaning));
    SKALD_TRY(put_range(setting, buf));
    return skald_buf_put(buf, SKALD_STR(" |\n"));
}

static skald_err put_list(skald_buf *buf)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("| key | variable | default | reloads | meaning |\n"
                                           "|---|---|---|---|---|\n")));
    for (size_t i = 0; i < SKI_SETTINGS; i++) SKALD_TRY(put_row(i, buf));
    return SKALD_OK;
}

skald_err skald_config_print(const skald_system_options *options, skald_config_form form,
                             skald_buf *buf, skald_error *reterr_error)
{
    static const skald_system_options none = {0};
    ski_config config;

    if (form == SKALD_CONFIG_LIST) return put_list(buf);
    SKALD_TRY(ski_config_load(options ? options : &none, &config, reterr_error));
    for (size_t i = 0; i < SKI_SETTINGS; i++) {
        SKALD_TRY(form == SKALD_CONFIG_JSON ? put_json(&config, i, buf)
                                            : put_text(&config, i, buf));
    }
    return SKALD_OK;
}
