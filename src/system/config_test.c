// SPDX-License-Identifier: Apache-2.0
// The configuration: which source wins, what each key takes, and what is said of what it does not.
#include "system/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/skald-config-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    (void)snprintf(path, sizeof path, "%s/skald.yaml", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

static void write_file(const char *text, size_t len)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

// load_file loads a file of this text, and nothing else.
static skald_err load_file(const char *text, ski_config *ret_config, skald_error *reterr_error)
{
    const skald_system_options options = {.file = path, .no_environment = true};

    write_file(text, strlen(text));
    *reterr_error = (skald_error){0};
    return ski_config_load(&options, ret_config, reterr_error);
}

static void defaults_are_as_documented(void **state)
{
    const skald_system_options options = {.no_environment = true};
    ski_config config;

    (void)state;
    assert_int_equal(ski_config_load(&options, &config, NULL), SKALD_OK);
    assert_string_equal(config.preset, "development");
    assert_string_equal(config.data, "./data");
    assert_string_equal(config.listen, "127.0.0.1");
    assert_int_equal(config.port, 8000);
    assert_string_equal(config.log_format, "human");
    assert_string_equal(config.log_level, "info");
    assert_int_equal(config.event_bytes_max, SKALD_EVENT_BYTES_MAX);
    assert_int_equal(config.segment_bytes, 64 * 1024 * 1024);
    assert_int_equal(config.shutdown_timeout_ms, 30000);
}

static void presets_change_defaults(void **state)
{
    skald_system_options options = {.preset = "production", .no_environment = true};
    ski_config config;

    (void)state;
    assert_int_equal(ski_config_load(&options, &config, NULL), SKALD_OK);
    assert_string_equal(config.log_format, "json");
    assert_string_equal(config.data, "./data");
    assert_int_equal(config.rate_per_ip, 60000);
    assert_int_equal(config.rate_per_key, 60000);
    assert_int_equal(config.rate_publish, 30000);
    options.preset = "testing";
    assert_int_equal(ski_config_load(&options, &config, NULL), SKALD_OK);
    assert_string_equal(config.data, "memory:");
    assert_int_equal(config.port, 0);
    assert_int_equal(config.rate_per_ip, 0);
    options.port = "81"; // a preset gives defaults only
    assert_int_equal(ski_config_load(&options, &config, NULL), SKALD_OK);
    assert_int_equal(config.port, 81);
}

// The preset itself may come from any source, and what the same source says stays said.
static void a_preset_may_come_from_a_file(void **state)
{
    ski_config config;
    skald_error error;

    (void)state;
    assert_int_equal(load_file("log.format: human\npreset: production\n", &config, &error),
                     SKALD_OK);
    assert_string_equal(config.preset, "production");
    assert_string_equal(config.log_format, "human");
    assert_int_equal(load_file("preset: production\n", &config, &error), SKALD_OK);
    assert_string_equal(config.log_format, "json");
}

static void the_later_source_wins(void **state)
{
    skald_system_options options = {.file = path};
    ski_config config;
    const char *file = "port: 1\nlisten: ::1\nidle_timeout_ms: 11\n";

    (void)state;
    write_file(file, strlen(file));
    assert_int_equal(setenv("SKALD_PORT", "2", 1), 0);
    assert_int_equal(setenv("SKALD_IDLE_TIMEOUT_MS", "22", 1), 0);
    assert_int_equal(ski_config_load(&options, &config, NULL), SKALD_OK);
    assert_int_equal(config.port, 2);
    assert_int_equal(config.idle_timeout_ms, 22);
    assert_string_equal(config.listen, "::1");
    options.port = "3";
    assert_int_equal(ski_config_load(&options, &config, NULL), SKALD_OK);
    assert_int_equal(config.port, 3);
    options.no_environment = true;
    assert_int_equal(ski_config_load(&options, &config, NULL), SKALD_OK);
    assert_int_equal(config.idle_timeout_ms, 11);
    assert_int_equal(unsetenv("SKALD_PORT"), 0);
    assert_int_equal(unsetenv("SKALD_IDLE_TIMEOUT_MS"), 0);
}

static void a_variable_is_named_in_its_error(void **state)
{
    const skald_system_options options = {0};
    ski_config config = {.port = 77};
    skald_error error = {0};

    (void)state;
    assert_int_equal(setenv("SKALD_EVENT_BYTES_MAX", "lots", 1), 0);
    assert_int_equal(ski_config_load(&options, &config, &error), SKALD_EINVALID);
    assert_int_equal(unsetenv("SKALD_EVENT_BYTES_MAX"), 0);
    assert_string_equal(error.text, "SKALD_EVENT_BYTES_MAX: event_bytes_max is 'lots' but must be "
                                    "a size from 1KiB to 16MiB, as in 16MiB");
    assert_int_equal(config.port, 77); // written on success only
}

// A file, and what is said of it behind its name.
static const struct {
    const char *text, *said;
} bad_files[] = {
    {"prot: 1", ":1: unknown key 'prot'; did you mean 'port'?"},
    {"port: 1\n\n# why\nPort: 2", ":4: unknown key 'Port'; did you mean 'port'?"},
    {"tls:\n  certificat: x", ":2: unknown key 'tls.certificat'; did you mean 'tls.certificate'?"},
    {"something: else", ":1: unknown key 'something'; 'skald config list' shows all there are"},
    {"something: {port: 1}", ":1: something must have one plain value"},
    {"port: -1", ":1: port is '-1' but must be a whole number from 0 to 65535"},
    {"port: 65536", ":1: port is '65536' but must be a whole number from 0 to 65535"},
    {"port: 18446744073709551617", ":1: port is '18446744073709551617' but must be a whole number "
                                   "from 0 to 65535"},
    {"port: 80s", ":1: port is '80s' but must be a whole number from 0 to 65535"},
    {"port: 80 # fine\nport: 80x", ":2: not valid YAML: duplicate key"},
    {"tls: {key: a}\ntls.key: b", ":2: tls.key is set on line 1 already"},
    {"data: a\ndata_file: b", ":2: data is set on line 1 already"},
    {"data_file: /nonexistent/secret", ":1: data_file cannot be read: /nonexistent/secret"},
    {"data_file: ''", ":1: data_file must name a file"},
    {"tls.key_file: x", ":1: unknown key 'tls.key_file'"}, // no secret: it is the name of one
    {"idle_timeout_ms: 1y", ":1: idle_timeout_ms is '1y' but must be a time from 10ms to 1d, as in "
                            "500ms, 10s or 5m"},
    {"idle_timeout_ms: 1.5s", ":1: idle_timeout_ms is '1.5s' but must be"},
    {"idle_timeout_ms: 213503982335d", ":1: idle_timeout_ms is '213503982335d' but must be"},
    {"auth.jwt.skew_s: 1ms", ":1: auth.jwt.skew_s is '1ms' but must be a time from 0 to 10m, as in "
                             "10s, 5m or 30d"},
    {"body_bytes_max: 1mib", ":1: body_bytes_max is '1mib' but must be a size from 1KiB to 1GiB"},
    {"log.format: loud", ":1: log.format is 'loud' but must be one of: human json"},
    {"log: {format: human json}", ":1: log.format is 'human json' but must be one of: human json"},
    {"log: human", ":1: unknown key 'log'"},
    {"log: {{a: b}: c}", ": a key must be a plain text"},
    {"preset: prod", ":1: preset is 'prod' but must be one of: development production testing"},
    {"data: ''", ":1: data is empty"},
    {"data:", ":1: data is empty"},
    {"data: [a, b]", ":1: data must have one plain value"},
    {"data: {a: b}", ":1: data must have one plain value"},
    {"data: \"a\\0b\"", ":1: data holds a NUL byte"},
    {"cors.origins: {a: b}", ":1: cors.origins must have one plain value, or a list of them"},
    {"cors.origins: [a, [b]]", ":1: cors.origins has an item that is no plain text"},
    {"cors.origins: ['a,b']", ":1: cors.origins has an item that is no plain text"},
    {"cors.origins: a,,b", ":1: cors.origins has an empty item"},
    {"cors.origins: a,b,", ":1: cors.origins has an empty item"},
    {"port: 1\n%YAML 1.2\n", ":2: a line may not begin with %"},
    {"port: 1\ndata: a\x01", ":2: not valid YAML: a control character"},
    {"data: \xff", ": not valid YAML: not UTF-8"},
    {"[a]: b", ": a key must be a plain text"},
    {"- port: 1", ": must be 'key: value' lines"},
    {"port", ": must be 'key: value' lines"},
    {"port: 1\ntypes: [", ":3: not valid YAML: "},
    {"port: 1\n---\nport: 2", ": holds more than one document"},
    {"listen: &a x\ndata: *a", ":2: data must have one plain value"},
};

static void bad_files_are_named_with_their_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_files / sizeof *bad_files; i++) {
        ski_config config = {.port = 77};
        skald_error error;
        skald_err err = load_file(bad_files[i].text, &config, &error);

        if (err != SKALD_EINVALID || strncmp(error.text, path, strlen(path)) != 0 ||
            strncmp(error.text + strlen(path), bad_files[i].said, strlen(bad_files[i].said)) != 0) {
            fail_msg("'%s': %s: %s", bad_files[i].text, skald_err_name(err), error.text);
        }
        assert_int_equal(config.port, 77);
    }
}

static void other_ways_to_write_it_are_fine(void **state)
{
    ski_config config;
    skald_error error;

    (void)state;
    assert_int_equal(load_file("", &config, &error), SKALD_OK);
    assert_int_equal(load_file("# nothing but this\n", &config, &error), SKALD_OK);
    assert_int_equal(config.port, 8000);
    assert_int_equal(load_file("{\"port\": 9, 'data': \"/a b\"}", &config, &error), SKALD_OK);
    assert_int_equal(config.port, 9);
    assert_string_equal(config.data, "/a b");
    assert_int_equal(load_file("port: 65535\r\ndata: ünï\r\n", &config, &error), SKALD_OK);
    assert_int_equal(config.port, 65535);
    assert_string_equal(config.data, "ünï");
}

static void too_long_is_refused(void **state)
{
    char text[SKI_CONFIG_TEXT_MAX + 16] = "data: ";
    char *large = calloc(1, 1024 * 1024 + 2);
    ski_config config;
    skald_error error = {0};
    const skald_system_options options = {.file = path, .no_environment = true};

    (void)state;
    memset(text + 6, 'x', SKI_CONFIG_TEXT_MAX - 1);
    assert_int_equal(load_file(text, &config, &error), SKALD_OK);
    assert_int_equal(strlen(config.data), SKI_CONFIG_TEXT_MAX - 1);
    text[strlen(text)] = 'x';
    assert_int_equal(load_file(text, &config, &error), SKALD_EINVALID);
    assert_non_null(strstr(error.text, ":1: data is longer than 1023 bytes"));
    memset(large, '#', 1024 * 1024 + 1);
    write_file(large, 1024 * 1024 + 1);
    assert_int_not_equal(ski_config_load(&options, &config, &error), SKALD_OK);
    free(large);
    large = calloc(1, 64 * 1024); // a list, and more keys than there may be
    (void)snprintf(large, 64 * 1024, "cors.origins: [%0*d]\n", SKI_CONFIG_LIST_MAX, 1);
    assert_int_equal(load_file(large, &config, &error), SKALD_EINVALID);
    assert_non_null(strstr(error.text, ":1: cors.origins is too long"));
    large[0] = 0;
    for (int i = 0; i < 1001; i++) (void)snprintf(large + strlen(large), 32, "k%d: 1\n", i);
    assert_int_equal(load_file(large, &config, &error), SKALD_EINVALID);
    free(large);
}

// sample gives a value that a setting takes and that is not its default.
static void sample(const ski_setting *setting, char ret_text[SKI_CONFIG_SHOWN_MAX])
{
    const char *last = strrchr(setting->takes, ' ');

    switch (setting->kind) {
    case SKI_KIND_NUMBER: ski_number_text(setting->unit, setting->max, ret_text); return;
    case SKI_KIND_CHOICE: (void)snprintf(ret_text, 32, "%s", last ? last + 1 : ""); return;
    case SKI_KIND_LIST: (void)snprintf(ret_text, 32, "one,two"); return;
    case SKI_KIND_TEXT: (void)snprintf(ret_text, 32, "/a text");
    }
}

static void assert_setting(const ski_config *config, size_t index, const char *value,
                           const char *origin)
{
    char is[SKI_CONFIG_SHOWN_MAX], from[SKI_CONFIG_ORIGIN_MAX];

    ski_setting_text(&ski_settings[index], config, is);
    ski_setting_origin(config, index, from);
    if (strcmp(is, value) != 0 || strcmp(from, origin) != 0) {
        fail_msg("%s is '%s' from '%s', not '%s' from '%s'", ski_settings[index].key, is, from,
                 value, origin);
    }
}

static void set_by_file(size_t index, const char *value)
{
    const char *key = ski_settings[index].key;
    const char *dot = strchr(key, '.');
    char text[SKI_CONFIG_SHOWN_MAX + 128], origin[128];
    ski_config config;
    skald_error error;

    (void)snprintf(origin, sizeof origin, "%s:2", path);
    (void)snprintf(text, sizeof text, "# one\n%s: '%s'\n", key, value);
    assert_int_equal(load_file(text, &config, &error), SKALD_OK);
    assert_setting(&config, index, value, origin);
    if (dot) {
        (void)snprintf(text, sizeof text, "%.*s:\n  %s: '%s'\n", (int)(dot - key), key, dot + 1,
                       value);
        assert_int_equal(load_file(text, &config, &error), SKALD_OK);
        assert_setting(&config, index, value, origin);
    }
}

static void set_by_variable(size_t index, const char *value)
{
    const skald_system_options options = {0};
    char variable[SKI_CONFIG_VARIABLE_MAX];
    ski_config config;

    ski_setting_variable(&ski_settings[index], variable);
    assert_int_equal(setenv(variable, value, 1), 0);
    assert_int_equal(ski_config_load(&options, &config, NULL), SKALD_OK);
    assert_int_equal(unsetenv(variable), 0);
    assert_setting(&config, index, value, variable);
}

static void set_by_option(size_t index, const char *value)
{
    const skald_setting given = {ski_settings[index].key, value};
    const skald_system_options options = {.no_environment = true,
                                          .settings = &given,
                                          .setting_count = 1};
    char origin[SKI_CONFIG_ORIGIN_MAX];
    ski_config config;

    (void)snprintf(origin, sizeof origin, "--%s", given.key);
    assert_int_equal(ski_config_load(&options, &config, NULL), SKALD_OK);
    assert_setting(&config, index, value, origin);
}

static void every_setting_comes_from_every_source(void **state)
{
    (void)state;
    for (size_t i = 0; i < SKI_SETTINGS; i++) {
        char value[SKI_CONFIG_SHOWN_MAX];
        const skald_system_options none = {.no_environment = true};
        ski_config config;
        assert_int_equal(ski_config_load(&none, &config, NULL), SKALD_OK);
        assert_setting(&config, i, ski_settings[i].otherwise, "default");
        sample(&ski_settings[i], value);
        set_by_file(i, value);
        set_by_variable(i, value);
        set_by_option(i, value);
    }
}

// No two settings have one name, in any of its spellings.
static void every_setting_has_its_own_name(void **state)
{
    char a[SKI_CONFIG_VARIABLE_MAX], b[SKI_CONFIG_VARIABLE_MAX];

    (void)state;
    for (size_t i = 0; i < SKI_SETTINGS; i++) {
        ski_setting_variable(&ski_settings[i], a);
        assert_true(strlen(ski_settings[i].key) < 48);
        for (size_t j = 0; j < i; j++) {
            ski_setting_variable(&ski_settings[j], b);
            assert_string_not_equal(a, b);
        }
    }
}

static void numbers_have_units(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes, ms;
        const char *shown;
    } numbers[] = {
        {"body_bytes_max: 2048", 2048, 0, "2KiB"},
        {"body_bytes_max: 2049B", 2049, 0, "2049B"},
        {"body_bytes_max: 3 MiB", 3 << 20, 0, "3MiB"},
        {"body_bytes_max: 5kB", 5000, 0, "5000B"},
        {"body_bytes_max: 5MB", 5000000, 0, "5000000B"},
        {"body_bytes_max: 1GB", 1000000000, 0, "1000000000B"},
        {"idle_timeout_ms: 1500", 0, 1500, "1500ms"},
        {"idle_timeout_ms: 90s", 0, 90000, "90s"},
        {"idle_timeout_ms: 120s", 0, 120000, "2m"},
        {"idle_timeout_ms: 2h", 0, 7200000, "2h"},
        {"idle_timeout_ms: 1d", 0, 86400000, "1d"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        size_t index = numbers[i].ms ? SKI_SETTING_idle_timeout_ms : SKI_SETTING_body_bytes_max;
        char shown[SKI_CONFIG_SHOWN_MAX];
        ski_config config;
        skald_error error;
        assert_int_equal(load_file(numbers[i].text, &config, &error), SKALD_OK);
        if (numbers[i].ms) assert_int_equal(config.idle_timeout_ms, numbers[i].ms);
        if (numbers[i].bytes) assert_int_equal(config.body_bytes_max, numbers[i].bytes);
        ski_setting_text(&ski_settings[index], &config, shown);
        assert_string_equal(shown, numbers[i].shown);
    }
}

static void lists_are_written_in_two_ways(void **state)
{
    static const char *const texts[] = {
        "cors.origins: https://a.example, https://b.example",
        "cors.origins: [https://a.example, 'https://b.example']",
        "cors:\n  origins:\n    - https://a.example\n    - https://b.example\n",
    };
    ski_config config;
    skald_error error;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(load_file(texts[i], &config, &error), SKALD_OK);
        assert_string_equal(config.cors_origins, "https://a.example,https://b.example");
    }
    assert_int_equal(load_file("cors.origins: []", &config, &error), SKALD_OK);
    assert_string_equal(config.cors_origins, "");
}

static void a_secret_may_stand_in_a_file_of_its_own(void **state)
{
    char secret[80], text[160], shown[SKI_CONFIG_SHOWN_MAX], origin[SKI_CONFIG_ORIGIN_MAX];
    const char *url = "sqlite://someone:p@ss:word@host/x\n";
    ski_config config;
    skald_error error;
    FILE *file;

    (void)state;
    (void)snprintf(secret, sizeof secret, "%s/secret", folder);
    file = fopen(secret, "wb");
    assert_non_null(file);
    assert_true(fputs(url, file) >= 0);
    assert_int_equal(fclose(file), 0);
    (void)snprintf(text, sizeof text, "data_file: %s", secret);
    assert_int_equal(load_file(text, &config, &error), SKALD_OK);
    assert_string_equal(config.data, "sqlite://someone:p@ss:word@host/x");
    ski_setting_shown(&ski_settings[SKI_SETTING_data], &config, shown);
    assert_string_equal(shown, "sqlite://someone:***@host/x");
    assert_int_equal(setenv("SKALD_DATA_FILE", secret, 1), 0);
    assert_int_equal(ski_config_load(&(skald_system_options){0}, &config, NULL), SKALD_OK);
    assert_int_equal(unsetenv("SKALD_DATA_FILE"), 0);
    ski_setting_origin(&config, SKI_SETTING_data, origin);
    assert_string_equal(origin, "SKALD_DATA_FILE");
    assert_int_equal(unlink(secret), 0);
}

static void secrets_in_urls_are_not_shown(void **state)
{
    static const struct {
        const char *url, *shown;
    } urls[] = {
        {"https://idp.example/keys", "https://idp.example/keys"},
        {"https://user:pw@idp.example:8443/keys", "https://user:***@idp.example:8443/keys"},
        {"https://user:p:w@x@idp.example", "https://user:***@idp.example"},
        {"https://t0ken@idp.example/", "https://***@idp.example/"},
        {"https://idp.example/keys?token=x&y=z", "https://idp.example/keys?***"},
        {"https://idp.example/keys?", "https://idp.example/keys?"},
        {"https://u:pw@idp.example/?token=x", "https://u:***@idp.example/?***"},
        {"https://u:p?w@idp.example/", "https://***"},
        {"https://idp.example/?mail=a@b.c&token=x", "https://***"},
        {"./data?x@y:z", "./data?x@y:z"}, // no URL
    };
    ski_config config;
    char shown[SKI_CONFIG_SHOWN_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        assert_int_equal(ski_config_load(&(skald_system_options){.no_environment = true,
                                                                 .data = urls[i].url},
                                         &config, NULL),
                         SKALD_OK);
        ski_setting_shown(&ski_settings[SKI_SETTING_data], &config, shown);
        assert_string_equal(shown, urls[i].shown);
    }
}

// A token of a collector may stand anywhere but in the host.
static void of_a_collector_the_host_is_shown(void **state)
{
    static const struct {
        const char *url, *shown;
    } urls[] = {
        {"http://127.0.0.1:4318", "http://127.0.0.1:4318"},
        {"https://otlp.example/", "https://otlp.example/"},
        {"https://otlp.example:8443/t0ken/v1", "https://otlp.example:8443/***"},
        {"https://t0ken:@otlp.example/x", "https://***@otlp.example/***"},
        {"https://user:p@ss@otlp.example", "https://***@otlp.example"},
        {"https://otlp.example?t0ken", "https://otlp.example?***"},
        {"https://u:p/w@otlp.example/", "https://***"},
        {"otlp.example/t0ken", "***"},
        {"", ""},
    };
    char shown[SKI_CONFIG_SHOWN_MAX];
    ski_config config;

    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        const skald_setting given = {"telemetry.otlp_url", urls[i].url};
        const skald_system_options options = {.no_environment = true,
                                              .settings = &given,
                                              .setting_count = 1};

        assert_int_equal(ski_config_load(&options, &config, NULL), SKALD_OK);
        ski_setting_shown(&ski_settings[SKI_SETTING_telemetry_otlp_url], &config, shown);
        assert_string_equal(shown, urls[i].shown);
    }
}

static void all_of_it_is_shown_without_passwords(void **state)
{
    const skald_setting given = {"data", "sqlite://someone:password@host/x"};
    const skald_system_options options = {.no_environment = true,
                                          .settings = &given,
                                          .setting_count = 1};
    skald_buf buf = {.bytes_max = 1 << 20};

    (void)state;
    for (int form = SKALD_CONFIG_TEXT; form <= SKALD_CONFIG_LIST; form++) {
        buf.len = 0;
        assert_int_equal(skald_config_print(&options, (skald_config_form)form, &buf, NULL),
                         SKALD_OK);
        assert_int_equal(skald_buf_put(&buf, (skald_str){"", 1}), SKALD_OK);
        assert_null(strstr(buf.ptr, ":password"));
        assert_true((form == SKALD_CONFIG_LIST) == !strstr(buf.ptr, "someone:***@host"));
        for (size_t i = 0; i < SKI_SETTINGS; i++)
            assert_non_null(strstr(buf.ptr, ski_settings[i].key));
    }
    skald_buf_fini(&buf);
}

static void settings_that_do_not_go_together_are_refused(void **state)
{
    static const struct {
        const char *text, *said; // NULL: it is fine
    } cases[] = {
        {"# x\ntls.certificate: a.pem",
         ":2: tls.certificate and tls.key are given together: tls.key is "},
        {"tls.key: a.pem", ":1: tls.certificate and tls.key are given together: tls.certificate"},
        {"tls: {certificate: /nonexistent/a, key: /nonexistent/b}", ":1: /nonexistent/a"},
        {"tls:\n  certificate: /dev/null\n  key: /nonexistent/b", ":3: /nonexistent/b"},
        {"body_bytes_max: 1GiB", ":1: bodies_bytes_max is less than body_bytes_max"},
        {"event_bytes_max: 16MiB\nappend_bytes_max: 8MiB", ":1: append_bytes_max is less than"},
        {"preset: production\nlisten: 0.0.0.0", ":1: will not listen on 0.0.0.0 in the clear"},
        {"preset: production\nlisten: 0.0.0.0\ntls: off", NULL},
        {"preset: production", NULL},
        {"listen: 0.0.0.0", NULL}, // what keys there are, is known later
        {"listen: example.org", ":1: listen is 'example.org' but must be an IP address"},
        {"data: 'postgres://me:s3cret@host/db'", "there is no kind of store 'postgres:'"},
        {"data: 'POSTGRES://me:s3cret@host/db'", "there is no kind of store 'POSTGRES:'"},
        {"data: 'C:x'", NULL}, // no scheme has one letter
        {"data: 'a_b:c'", NULL},
        {"data: '7a:b'", NULL},
        {"data: log", NULL}, // a directory of that name
        {"listen: 'fe80::1%eth0'", NULL},
        {"listen: 'fe80::1%'", "listen is 'fe80::1%' but must be an IP address"},
        {"listen: '127.0.0.1%eth0'", "must be an IP address"},
        {"data: 'redis:x'", ":1: data: there is no kind of store 'redis:'"},
        {"data: ./redis:x", NULL},
        {"data: '/var/lib/a:b'", NULL},
        {"data: 'sqlite:x'", NULL},
        {"auth.jwt.algorithms: none", ":1: auth.jwt.algorithms: 'none' is none of HS256"},
        {"auth.jwt.algorithms: [RS256, HS512]", "'HS512' is none of HS256"},
        {"auth.jwt.keys_url: https://login.example/keys",
         ":1: auth.jwt.audience: with auth.jwt.keys_url both"},
        {"port: 1\ncors.origins: https://a.example/path", ":2: cors.origins: 'https://a"},
        {"proxy.trusted: 10.0.0.0/33",
         ":1: proxy.trusted: '10.0.0.0/33' must end with a number of bits up to 32"},
        {"proxy.trusted: proxy.example", "'proxy.example' is no address"},
        {"proxy.trusted: [10.0.0.0/8, '::1', local]", NULL},
        {"tls: {certificate: a, key: b}\n", "a"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const skald_system_options options = {.file = path, .no_environment = true};
        skald_error error = {0};
        write_file(cases[i].text, strlen(cases[i].text));
        skald_err err = skald_config_check(&options, &error);
        if (!cases[i].said != !err || (err && !strstr(error.text, cases[i].said)))
            fail_msg("'%s': %s: %s", cases[i].text, skald_err_name(err), error.text);
        assert_null(strstr(error.text, "s3cret"));
    }
}

// What is wrong is said even where there is no room for the name of a file that is far down.
static void a_long_path_hides_nothing(void **state)
{
    char far[SKI_CONFIG_TEXT_MAX];
    ski_config config = {.port = 1};
    skald_error error = {0};

    (void)state;
    memset(far, 'd', sizeof far - 1);
    far[sizeof far - 1] = 0;
    memcpy(config.file, far, sizeof far);
    config.origins[SKI_SETTING_port] = (ski_origin){.source = SKI_SOURCE_FILE, .line = 3};
    config.origins[SKI_SETTING_listen] = (ski_origin){.source = SKI_SOURCE_ENVIRONMENT};
    (void)!skald_fail(&error, SKALD_EINVALID, "they do not go together");
    assert_int_equal(ski_setting_blame(&config, SKI_SETTING_port, SKI_SETTING_listen,
                                       SKALD_EINVALID, &error),
                     SKALD_EINVALID);
    assert_string_equal(error.text, "they do not go together");
    assert_int_equal(ski_setting_blame(&config, SKI_SETTING_listen, SKI_SETTING_tls, SKALD_EINVALID,
                                       &error),
                     SKALD_EINVALID);
    assert_string_equal(error.text, "SKALD_LISTEN: they do not go together");
    // What an error says besides stays.
    (void)!skald_fail_at(&error, SKALD_EDENIED, "listen", "no key");
    (void)snprintf(error.code, sizeof error.code, "NO_KEY");
    assert_int_equal(ski_setting_blame(&config, SKI_SETTING_listen, SKI_SETTINGS, SKALD_EDENIED,
                                       &error),
                     SKALD_EDENIED);
    assert_string_equal(error.text, "SKALD_LISTEN: listen: no key");
    assert_string_equal(error.field, "listen");
    assert_string_equal(error.code, "NO_KEY");
    assert_int_equal(ski_setting_blame(&config, SKI_SETTING_listen, SKI_SETTINGS, SKALD_EIO, NULL),
                     SKALD_EIO);
}

static void a_file_that_is_not_there_is_named(void **state)
{
    const skald_system_options options = {.file = "/nonexistent/skald.yaml",
                                          .no_environment = true};
    ski_config config;
    skald_error error = {0};

    (void)state;
    assert_int_equal(ski_config_load(&options, &config, &error), SKALD_ENOTFOUND);
    assert_non_null(strstr(error.text, "/nonexistent/skald.yaml"));
}

static void a_slip_in_a_variable_is_seen(void **state)
{
    char name[SKI_CONFIG_VARIABLE_MAX], meant[SKI_CONFIG_VARIABLE_MAX];
    size_t walk = 0;

    (void)state;
    assert_int_equal(setenv("SKALD_LOG_LEVL", "debug", 1), 0);
    assert_int_equal(setenv("SKALD_LOG_LEVEL", "debug", 1), 0);
    assert_int_equal(setenv("SKALD_DATA_FILE", "/x", 1), 0);
    assert_int_equal(setenv("SKALD_SOMETHING_ELSE", "1", 1), 0);
    assert_int_equal(setenv("SKALD_", "1", 1), 0);
    assert_true(ski_config_stray(&walk, name, meant));
    assert_string_equal(name, "SKALD_LOG_LEVL");
    assert_string_equal(meant, "SKALD_LOG_LEVEL");
    assert_false(ski_config_stray(&walk, name, meant));
    assert_int_equal(unsetenv("SKALD_LOG_LEVL"), 0);
    assert_int_equal(unsetenv("SKALD_LOG_LEVEL"), 0);
    assert_int_equal(unsetenv("SKALD_DATA_FILE"), 0);
    assert_int_equal(unsetenv("SKALD_SOMETHING_ELSE"), 0);
    assert_int_equal(unsetenv("SKALD_"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_as_documented),
        cmocka_unit_test(presets_change_defaults),
        cmocka_unit_test(a_preset_may_come_from_a_file),
        cmocka_unit_test(the_later_source_wins),
        cmocka_unit_test(a_variable_is_named_in_its_error),
        cmocka_unit_test(bad_files_are_named_with_their_line),
        cmocka_unit_test(other_ways_to_write_it_are_fine),
        cmocka_unit_test(too_long_is_refused),
        cmocka_unit_test(a_long_path_hides_nothing),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
        cmocka_unit_test(every_setting_comes_from_every_source),
        cmocka_unit_test(every_setting_has_its_own_name),
        cmocka_unit_test(numbers_have_units),
        cmocka_unit_test(lists_are_written_in_two_ways),
        cmocka_unit_test(a_secret_may_stand_in_a_file_of_its_own),
        cmocka_unit_test(secrets_in_urls_are_not_shown),
        cmocka_unit_test(of_a_collector_the_host_is_shown),
        cmocka_unit_test(all_of_it_is_shown_without_passwords),
        cmocka_unit_test(a_slip_in_a_variable_is_seen),
        cmocka_unit_test(settings_that_do_not_go_together_are_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
