// SPDX-License-Identifier: Apache-2.0
// The configuration, read again while a system runs: what changes, what waits, and that what cannot
// be used changes nothing.
#include "os/thread.h"
#include <skald/skald.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/skald-reload-XXXXXX";
static char path[64];
static ski_mutex lock;
static char lines[64 * 1024]; // what was logged, under lock

static void take_line(void *context, skald_level level, skald_str json_line)
{
    size_t len;

    (void)context, (void)level;
    ski_mutex_lock(&lock);
    len = strlen(lines);
    (void)snprintf(lines + len, sizeof lines - len, "%.*s\n", SKALD_FMT(json_line));
    ski_mutex_unlock(&lock);
}

static bool logged(const char *text)
{
    bool found;

    ski_mutex_lock(&lock);
    found = strstr(lines, text) != NULL;
    ski_mutex_unlock(&lock);
    return found;
}

static void write_file(const char *text)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    ski_mutex_lock(&lock);
    lines[0] = 0;
    ski_mutex_unlock(&lock);
}

static int make_folder(void **state)
{
    (void)state;
    ski_mutex_init(&lock);
    if (!mkdtemp(folder)) return -1;
    (void)snprintf(path, sizeof path, "%s/skald.yaml", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(path);
    ski_mutex_fini(&lock);
    return rmdir(folder);
}

static skald_system *start(const char *text)
{
    static const skald_log log = {.line = take_line, .level_min = SKALD_INFO};
    static const skald_setting given[] = {{"rate.read", "7"}, {"log.level", "info"}};
    const skald_system_options options = {.preset = "testing",
                                          .file = path,
                                          .no_environment = true,
                                          .log = &log,
                                          .settings = given,
                                          .setting_count = 2};
    skald_system *system = NULL;
    skald_error error = {0};

    write_file(text);
    if (skald_system_start(&options, &system, &error)) fail_msg("%s", error.text);
    return system;
}

static void retention_is_taken_at_the_start_and_again(void **state)
{
    skald_system *system = start("retention: {policy: limit, max_events: 5, max_age_s: 1h}\n");
    skald_retention retention;

    (void)state;
    skald_retention_get(skald_system_store(system), &retention);
    assert_int_equal(retention.policy, SKALD_RETAIN_LIMIT);
    assert_int_equal(retention.max_events, 5);
    assert_int_equal(retention.max_age, INT64_C(3600000000));
    write_file("retention: {policy: always, max_events: 6}\n");
    assert_int_equal(skald_system_reload(system, NULL), SKALD_OK);
    assert_true(
        logged("\"changed\":\"retention.policy retention.max_age_s retention.max_events\""));
    skald_retention_get(skald_system_store(system), &retention);
    assert_int_equal(retention.policy, SKALD_RETAIN_ALWAYS);
    assert_int_equal(retention.max_events, 6);
    assert_int_equal(retention.max_age, 0);
    write_file(""); // not said any more: it stays as the store has it
    assert_int_equal(skald_system_reload(system, NULL), SKALD_OK);
    skald_retention_get(skald_system_store(system), &retention);
    assert_int_equal(retention.max_events, 6);
    assert_int_equal(skald_system_stop(system, 0), SKALD_OK);
}

static void what_waits_is_named(void **state)
{
    skald_system *system = start("");

    (void)state;
    assert_int_equal(skald_system_reload(system, NULL), SKALD_OK);
    assert_true(logged("\"changed\":\"nothing\""));
    assert_false(logged("wait for a restart"));
    write_file("http_workers: 5\nshutdown_timeout_ms: 5s\ntypes: strict\n");
    assert_int_equal(skald_system_reload(system, NULL), SKALD_OK);
    assert_true(logged("\"changed\":\"shutdown_timeout_ms\""));
    assert_true(logged("\"settings\":\"types http_workers\""));
    write_file("http_workers: 5\nshutdown_timeout_ms: 5s\n"); // it is said again until then
    assert_int_equal(skald_system_reload(system, NULL), SKALD_OK);
    assert_true(logged("\"changed\":\"nothing\""));
    assert_true(logged("\"settings\":\"http_workers\""));
    assert_int_equal(skald_system_stop(system, 0), SKALD_OK);
}

// What the program was started with wins, now as then.
static void the_caller_wins_again(void **state)
{
    skald_system *system = start("rate.read: 1\n");

    (void)state;
    write_file("rate.read: 2\nport: 1\nlog.level: debug\n");
    assert_int_equal(skald_system_reload(system, NULL), SKALD_OK);
    assert_true(logged("\"changed\":\"nothing\""));
    assert_true(logged("\"settings\":\"port\"")); // of the preset, which the file beats
    assert_int_equal(skald_system_stop(system, 0), SKALD_OK);
}

static void what_cannot_be_used_changes_nothing(void **state)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"shutdown_timeout_ms: 1s\nprot: 1\n", ":2: unknown key 'prot'"},
        {"shutdown_timeout_ms: 1s\ntls.key: x\n", "tls.certificate is missing"},
        {"shutdown_timeout_ms: 1s\ntls: {key: /nonexistent/k, certificate: /nonexistent/c}\n",
         "/nonexistent/c"},
        {"shutdown_timeout_ms: 1s\ncors.origins: not an origin\n", "not"},
    };
    skald_system *system = start("");

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        skald_error error = {0};
        write_file(cases[i].text);
        assert_int_not_equal(skald_system_reload(system, &error), SKALD_OK);
        assert_non_null(strstr(error.text, cases[i].said));
        assert_true(logged("all is as before"));
        assert_false(logged("read again"));
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(skald_system_reload(system, NULL), SKALD_ENOTFOUND);
    write_file("shutdown_timeout_ms: 1s\n");
    assert_int_equal(skald_system_reload(system, NULL), SKALD_OK);
    assert_true(logged("\"changed\":\"shutdown_timeout_ms\""));
    assert_int_equal(skald_system_stop(system, 0), SKALD_OK);
}

// limits and origins go to the loop, which may be busy ending.
static void reloads_cross_requests_and_the_end(void **state)
{
    skald_system *system = start("");
    char text[128];

    (void)state;
    for (int i = 0; i < 200; i++) {
        (void)snprintf(text, sizeof text,
                       "rate: {per_ip: %d}\ncors.origins: https://page%d.example\n", i + 1, i);
        write_file(text);
        assert_int_equal(skald_system_reload(system, NULL), SKALD_OK);
    }
    assert_int_equal(skald_system_stop(system, 0), SKALD_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retention_is_taken_at_the_start_and_again),
        cmocka_unit_test(what_waits_is_named),
        cmocka_unit_test(the_caller_wins_again),
        cmocka_unit_test(what_cannot_be_used_changes_nothing),
        cmocka_unit_test(reloads_cross_requests_and_the_end),
    };

    return cmocka_run_group_tests_name("reload", tests, make_folder, remove_folder);
}
