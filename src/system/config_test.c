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
    assert_string_equal(config.log, "human");
    assert_string_equal(config.log_level, "info");
    assert_int_equal(config.event_bytes_max, SKALD_EVENT_BYTES_MAX);
    assert_int_equal(config.segment_bytes, 128 * 1024 * 1024);
    assert_int_equal(config.shutdown_timeout_ms, 30000);
}

static void presets_change_defaults(void **state)
{
    skald_system_options options = {.preset = "production", .no_environment = true};
    ski_config config;

    (void)state;
    assert_int_equal(ski_config_load(&options, &config, NULL), SKALD_OK);
    assert_string_equal(config.log, "json");
    assert_string_equal(config.data, "./data");
    options.preset = "testing";
    assert_int_equal(ski_config_load(&options, &config, NULL), SKALD_OK);
    assert_string_equal(config.data, "memory:");
    assert_int_equal(config.port, 0);
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
    assert_int_equal(load_file("log: human\npreset: production\n", &config, &error), SKALD_OK);
    assert_string_equal(config.preset, "production");
    assert_string_equal(config.log, "human");
    assert_int_equal(load_file("preset: production\n", &config, &error), SKALD_OK);
    assert_string_equal(config.log, "json");
}

static void the_later_source_wins(void **state)
{
    skald_system_options options = {.file = path};
    ski_config config;
    const char *file = "port: 1\nlisten: ::1\nidleTimeoutMs: 11\n";

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
    assert_string_equal(error.text, "SKALD_EVENT_BYTES_MAX: eventBytesMax is 'lots' but must be a "
                                    "whole number from 1024 to 16777216");
    assert_int_equal(config.port, 77); // written on success only
}

// A file, and what is said of it behind its name.
static const struct {
    const char *text, *said;
} bad_files[] = {
    {"prot: 1", ":1: unknown key 'prot'; did you mean 'port'?"},
    {"log: json\n\n# why\nLog: json", ":4: unknown key 'Log'; did you mean 'log'?"},
    {"something: else", ":1: unknown key 'something'; docs/configuration.md lists them"},
    {"port: -1", ":1: port is '-1' but must be a whole number from 0 to 65535"},
    {"port: 65536", ":1: port is '65536' but must be a whole number from 0 to 65535"},
    {"port: 18446744073709551617", ":1: port is '18446744073709551617' but must be a whole number "
                                   "from 0 to 65535"},
    {"port: 80 # fine\nport: 80x", ":2: not valid YAML: duplicate key"},
    {"idleTimeoutMs: 1s", ":1: idleTimeoutMs is '1s' but must be a whole number from 10 to "
                          "86400000"},
    {"log: loud", ":1: log is 'loud' but must be one of: human json"},
    {"log: human json", ":1: log is 'human json' but must be one of: human json"},
    {"preset: prod", ":1: preset is 'prod' but must be one of: development production testing"},
    {"data: ''", ":1: data is empty"},
    {"data:", ":1: data is empty"},
    {"data: [a, b]", ":1: data must have one plain value"},
    {"data: {a: b}", ":1: data must have one plain value"},
    {"data: \"a\\0b\"", ":1: data holds a NUL byte"},
    {"[a]: b", ": a key must be a plain text"},
    {"- port: 1", ": must be 'key: value' lines"},
    {"port", ": must be 'key: value' lines"},
    {"port: 1\nlog: [", ":3: not valid YAML: "},
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
    char expected[128];
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
    (void)snprintf(expected, sizeof expected, "%s:1: data is longer than %d bytes", path,
                   SKI_CONFIG_TEXT_MAX - 1);
    assert_string_equal(error.text, expected);
    memset(large, '#', 1024 * 1024 + 1);
    write_file(large, 1024 * 1024 + 1);
    assert_int_not_equal(ski_config_load(&options, &config, &error), SKALD_OK);
    free(large);
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
        cmocka_unit_test(a_file_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
