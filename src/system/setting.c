// SPDX-License-Identifier: Apache-2.0
// The table of settings, and one of them: found by its key, read from text, checked, and shown.
// Numbers may have units: "10s", "16MiB".
#include "base/buf.h"
#include "base/str.h"
#include "os/kernel.h"
#include "system/config.h"

#include <stdio.h>
#include <string.h>

enum {
    quoted_max = 60,
    meant_distance_max = 3,
    name_bytes_max = 48,
    secret_file_bytes_max = 64 * 1024,
};

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

typedef struct unit_name {
    ski_unit unit;
    const char *name;
    uint64_t worth; // of the unit a setting is kept in
} unit_name;

// Each kind from the largest; those that are shown come before those that are only understood.
static const unit_name unit_names[] = {
    {SKI_UNIT_BYTES, "GiB", 1024 * 1024 * 1024},
    {SKI_UNIT_BYTES, "MiB", 1024 * 1024},
    {SKI_UNIT_BYTES, "KiB", 1024},
    {SKI_UNIT_BYTES, "B", 1},
    {SKI_UNIT_BYTES, "GB", 1000000000},
    {SKI_UNIT_BYTES, "MB", 1000000},
    {SKI_UNIT_BYTES, "kB", 1000},
    {SKI_UNIT_MS, "d", 86400000},
    {SKI_UNIT_MS, "h", 3600000},
    {SKI_UNIT_MS, "m", 60000},
    {SKI_UNIT_MS, "s", 1000},
    {SKI_UNIT_MS, "ms", 1},
    {SKI_UNIT_SECONDS, "d", 86400},
    {SKI_UNIT_SECONDS, "h", 3600},
    {SKI_UNIT_SECONDS, "m", 60},
    {SKI_UNIT_SECONDS, "s", 1},
};
enum { unit_name_count = sizeof unit_names / sizeof *unit_names };

static char *place(const ski_setting *setting, ski_config *config)
{
    return (char *)config + setting->offset;
}

static const char *place_of(const ski_setting *setting, const ski_config *config)
{
    return (const char *)config + setting->offset;
}

void ski_number_text(ski_unit unit, uint64_t number, char ret_text[SKI_CONFIG_SHOWN_MAX])
{
    const unit_name *shown = NULL;

    for (size_t i = 0; i < unit_name_count && number && !shown; i++) {
        if (unit_names[i].unit == unit && number % unit_names[i].worth == 0) shown = &unit_names[i];
    }
    (void)snprintf(ret_text, SKI_CONFIG_SHOWN_MAX, "%llu%s",
                   (unsigned long long)(shown ? number / shown->worth : number),
                   shown ? shown->name : "");
}

// read_number takes digits and perhaps a unit behind them, which is case-sensitive: 10m is ten
// minutes.
static skald_err read_number(ski_unit unit, skald_str text, uint64_t *ret_number)
{
    skald_str digits = text;
    uint64_t worth = 1;
    uint64_t number = 0;

    for (digits.len = 0; digits.len < text.len; digits.len++) {
        if (text.ptr[digits.len] < '0' || text.ptr[digits.len] > '9') break;
    }
    if (digits.len < text.len) {
        // Trimmed: "10 s" is fine, too.
        skald_str name = ski_str_trim(ski_str(text.ptr + digits.len, text.len - digits.len));
        worth = 0;
        for (size_t i = 0; i < unit_name_count; i++) {
            if (unit_names[i].unit == unit &&
                skald_str_equal(skald_str_of(unit_names[i].name), name))
                worth = unit_names[i].worth;
        }
    }
    SKALD_TRY(ski_str_u64(digits, &number));
    if (!worth || number > UINT64_MAX / worth) return SKALD_EINVALID;
    *ret_number = number * worth;
    return SKALD_OK;
}

static skald_err refuse_number(const ski_setting *setting, skald_str value, const char *where,
                               skald_error *reterr_error)
{
    static const char *const kinds[] = {"whole number", "size", "time", "time"};
    static const char *const examples[] = {"", ", as in 16MiB", ", as in 500ms, 10s or 5m",
                                           ", as in 10s, 5m or 30d"};
    char min[SKI_CONFIG_SHOWN_MAX], max[SKI_CONFIG_SHOWN_MAX];

    ski_number_text(setting->unit, setting->min, min);
    ski_number_text(setting->unit, setting->max, max);
    return skald_fail(reterr_error, SKALD_EINVALID,
                      "%s: %s is '%.*s' but must be a %s from %s to %s%s", where, setting->key,
                      (int)(value.len > quoted_max ? quoted_max : value.len),
                      value.len ? value.ptr : "", kinds[setting->unit], min, max,
                      examples[setting->unit]);
}

static skald_err put_number(const ski_setting *setting, ski_config *config, skald_str value,
                            const char *where, skald_error *reterr_error)
{
    uint64_t number = 0;

    if (read_number(setting->unit, value, &number) || number < setting->min ||
        number > setting->max)
        return refuse_number(setting, value, where, reterr_error);
    memcpy(place(setting, config), &number, sizeof number);
    return SKALD_OK;
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

// check_text looks at what no text may be. What a secret is does not go into an error.
static skald_err check_text(const ski_setting *setting, skald_str value, size_t size,
                            const char *where, skald_error *reterr_error)
{
    if (setting->kind == SKI_KIND_CHOICE && !choice_allows(setting->takes, value)) {
        return skald_fail(reterr_error, SKALD_EINVALID, "%s: %s is '%.*s' but must be one of: %s",
                          where, setting->key,
                          (int)(value.len > quoted_max ? quoted_max : value.len),
                          value.len ? value.ptr : "", setting->takes);
    }
    if (!value.len && setting->otherwise[0])
        return skald_fail(reterr_error, SKALD_EINVALID, "%s: %s is empty", where, setting->key);
    if (value.len && memchr(value.ptr, 0, value.len)) {
        return skald_fail(reterr_error, SKALD_EINVALID, "%s: %s holds a NUL byte", where,
                          setting->key);
    }
    if (value.len >= size) {
        return skald_fail(reterr_error, SKALD_EINVALID, "%s: %s is longer than %zu bytes", where,
                          setting->key, size - 1);
    }
    return SKALD_OK;
}

static skald_err put_text(const ski_setting *setting, ski_config *config, skald_str value,
                          const char *where, skald_error *reterr_error)
{
    size_t size =
        setting->kind == SKI_KIND_CHOICE ? sizeof(ski_config_choice) : sizeof(ski_config_text);
    char *to = place(setting, config);

    SKALD_TRY(check_text(setting, value, size, where, reterr_error));
    if (value.len) memcpy(to, value.ptr, value.len);
    to[value.len] = 0;
    return SKALD_OK;
}

// put_list takes items between commas, white space around them being nothing.
static skald_err put_list(const ski_setting *setting, ski_config *config, skald_str value,
                          const char *where, skald_error *reterr_error)
{
    char *to = place(setting, config);
    ski_config_list list;
    skald_str rest = value;
    size_t len = 0;

    SKALD_TRY(check_text(setting, value, sizeof list, where, reterr_error));
    while (rest.len) {
        skald_str next = {0};
        skald_str item = ski_str_trim(ski_str_cut(rest, ',', &next));
        if (!item.len || (next.ptr && !next.len)) {
            return skald_fail(reterr_error, SKALD_EINVALID, "%s: %s has an empty item", where,
                              setting->key);
        }
        if (len) list[len++] = ',';
        memcpy(list + len, item.ptr, item.len);
        len += item.len;
        rest = next;
    }
    list[len] = 0;
    memcpy(to, list, len + 1);
    return SKALD_OK;
}

skald_err ski_setting_put(const ski_setting *setting, ski_config *config, skald_str value,
                          const char *where, skald_error *reterr_error)
{
    switch (setting->kind) {
    case SKI_KIND_NUMBER: return put_number(setting, config, value, where, reterr_error);
    case SKI_KIND_LIST: return put_list(setting, config, value, where, reterr_error);
    case SKI_KIND_TEXT:
    case SKI_KIND_CHOICE: break;
    }
    return put_text(setting, config, value, where, reterr_error);
}

void ski_setting_text(const ski_setting *setting, const ski_config *config,
                      char ret_text[SKI_CONFIG_SHOWN_MAX])
{
    const char *from = place_of(setting, config);
    uint64_t number = 0;

    switch (setting->kind) {
    case SKI_KIND_NUMBER:
        memcpy(&number, from, sizeof number);
        ski_number_text(setting->unit, number, ret_text);
        return;
    case SKI_KIND_LIST:
    case SKI_KIND_TEXT:
    case SKI_KIND_CHOICE: (void)snprintf(ret_text, SKI_CONFIG_SHOWN_MAX, "%s", from);
    }
}

// hide puts *** in the place of what stands from from to rest.
static void hide(char text[SKI_CONFIG_SHOWN_MAX], char *from, const char *rest)
{
    char kept[SKI_CONFIG_SHOWN_MAX];

    (void)snprintf(kept, sizeof kept, "%s", rest);
    (void)snprintf(from, SKI_CONFIG_SHOWN_MAX - (size_t)(from - text), "***%s", kept);
}

// hide_secrets makes scheme://user:password@host/path?token=x to scheme://user:***@host/path?***; a
// user without a password may be a token, too. Where a ? stands before an @ nobody can tell which
// part is what: all of it is hidden.
static void hide_secrets(char text[SKI_CONFIG_SHOWN_MAX])
{
    char *from = strstr(text, "://");
    char *query, *at, *colon;

    if (!from) return;
    from += 3;
    query = strchr(from, '?');
    at = strrchr(from, '@');
    colon = strchr(from, ':');
    if (query && at && query < at) {
        hide(text, from, "");
        return;
    }
    if (query && query[1]) hide(text, query + 1, "");
    if (at) hide(text, colon && colon < at ? colon + 1 : from, at);
}

void skald_url_shown(const char *url, char *ret_text, size_t size)
{
    const char *from = strstr(url, "://");
    const char *at, *end;

    from = from ? from + 3 : url;
    at = strrchr(from, '@');
    end = from + strcspn(from, "/?#");
    if (from == url || (at && at > end)) {
        (void)snprintf(ret_text, size, "%.*s%s", (int)(from - url), url, *from ? "***" : "");
        return;
    }
    if (*end) end++;
    (void)snprintf(ret_text, size, "%.*s%s%.*s%s", (int)(from - url), url, at ? "***" : "",
                   (int)(end - (at ? at : from)), at ? at : from, *end ? "***" : "");
}

void ski_setting_shown(const ski_setting *setting, const ski_config *config,
                       char ret_text[SKI_CONFIG_SHOWN_MAX])
{
    char text[SKI_CONFIG_SHOWN_MAX];

    ski_setting_text(setting, config, ret_text);
    if ((setting->flags & SKI_FLAG_HOST) == SKI_FLAG_HOST) {
        memcpy(text, ret_text, sizeof text);
        skald_url_shown(text, ret_text, SKI_CONFIG_SHOWN_MAX);
    } else if (setting->flags & SKI_FLAG_URL) {
        hide_secrets(ret_text);
    }
}

void ski_list_spaced(const ski_config_list list, ski_config_list ret_list)
{
    size_t len = strlen(list);

    for (size_t i = 0; i <= len; i++) ret_list[i] = list[i] == ',' ? ' ' : list[i];
}

bool ski_setting_same(const ski_setting *setting, const ski_config *a, const ski_config *b)
{
    char text_a[SKI_CONFIG_SHOWN_MAX];
    char text_b[SKI_CONFIG_SHOWN_MAX];

    ski_setting_text(setting, a, text_a);
    ski_setting_text(setting, b, text_b);
    return strcmp(text_a, text_b) == 0;
}

void ski_setting_variable(const ski_setting *setting, char ret_name[SKI_CONFIG_VARIABLE_MAX])
{
    const char *key = setting->key;
    size_t len = (size_t)snprintf(ret_name, SKI_CONFIG_VARIABLE_MAX, "SKALD_");

    for (; *key && len + 1 < SKI_CONFIG_VARIABLE_MAX; key++) {
        char byte = *key == '.' ? '_' : *key;
        ret_name[len++] = (char)(byte >= 'a' && byte <= 'z' ? byte - 'a' + 'A' : byte);
    }
    ret_name[len] = 0;
}

void ski_setting_origin(const ski_config *config, size_t index,
                        char ret_text[SKI_CONFIG_ORIGIN_MAX])
{
    const ski_origin *origin = &config->origins[index];
    const char *behind = origin->secret_file ? "_file" : "";
    char variable[SKI_CONFIG_VARIABLE_MAX];

    switch (origin->source) {
    case SKI_SOURCE_DEFAULT: (void)snprintf(ret_text, SKI_CONFIG_ORIGIN_MAX, "default"); break;
    case SKI_SOURCE_PRESET:
        (void)snprintf(ret_text, SKI_CONFIG_ORIGIN_MAX, "preset %s", config->preset);
        break;
    case SKI_SOURCE_FILE:
        (void)snprintf(ret_text, SKI_CONFIG_ORIGIN_MAX, "%s:%u", config->file, origin->line);
        break;
    case SKI_SOURCE_ENVIRONMENT:
        ski_setting_variable(&ski_settings[index], variable);
        (void)snprintf(ret_text, SKI_CONFIG_ORIGIN_MAX, "%s%s", variable, *behind ? "_FILE" : "");
        break;
    case SKI_SOURCE_OPTION:
        (void)snprintf(ret_text, SKI_CONFIG_ORIGIN_MAX, "--%s%s", ski_settings[index].key, behind);
    }
}

skald_err ski_setting_blame(const ski_config *config, size_t one, size_t other, skald_err err,
                            skald_error *error)
{
    const size_t settings[] = {one, other};
    char where[SKI_CONFIG_ORIGIN_MAX];
    skald_error cause;
    skald_buf buf = {.bytes_max = sizeof cause.text / 2}; // a long path must not hide what is wrong

    if (!error || !error->text[0]) return err;
    cause = *error;
    for (size_t i = 0; i < 2; i++) {
        ski_source source =
            settings[i] < SKI_SETTINGS ? config->origins[settings[i]].source : SKI_SOURCE_DEFAULT;
        if (source != SKI_SOURCE_FILE && source != SKI_SOURCE_ENVIRONMENT) continue;
        ski_setting_origin(config, settings[i], where);
        if (ski_buf_print(&buf, "%s%s", buf.len ? ", " : "", where)) break; // it says enough
    }
    if (buf.len) {
        bool named =
            !cause.field[0] || ski_str_begins(skald_str_of(cause.text), skald_str_of(cause.field));
        (void)skald_fail_at(error, err, cause.field, "%.*s: %s%s%s", (int)buf.len, buf.ptr,
                            named ? "" : cause.field, named ? "" : ": ", cause.text);
        memcpy(error->code, cause.code, sizeof cause.code);
    }
    skald_buf_fini(&buf);
    return err;
}

// Levenshtein's distance; of long names that of their beginnings.
unsigned ski_setting_distance(skald_str a, skald_str b)
{
    unsigned row[name_bytes_max + 1];
    size_t b_len = b.len < name_bytes_max ? b.len : name_bytes_max;

    for (unsigned j = 0; j <= b_len; j++) row[j] = j;
    for (unsigned i = 1; i <= a.len && i <= name_bytes_max; i++) {
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

const char *ski_setting_meant(skald_str key)
{
    const char *best = NULL;
    unsigned best_distance = meant_distance_max + 1;

    for (size_t i = 0; i < SKI_SETTINGS; i++) {
        unsigned now = ski_setting_distance(key, skald_str_of(ski_settings[i].key));
        if (now >= best_distance) continue;
        best = ski_settings[i].key;
        best_distance = now;
    }
    return best;
}

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
