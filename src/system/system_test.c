// SPDX-License-Identifier: Apache-2.0
// A whole system in one process: it starts with everything wired, leaves nothing behind when it
// cannot, and ends in order.
#include <skald/skald.h>

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/skald-system-XXXXXX";
static char data[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    (void)snprintf(data, sizeof data, "%s/data", folder);
    return 0;
}

static int remove_folder(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

// What the wiring was called with, and what it is to answer.
typedef struct wiring {
    skald_system *system;
    unsigned calls, port;
    uint64_t head;
    skald_err answer;
} wiring;

static skald_err wire(skald_system *system)
{
    wiring *called = skald_system_context(system);

    called->calls++;
    called->system = system;
    called->head = skald_store_head(skald_system_store(system));
    called->port = skald_system_port(system);
    return called->answer;
}

static skald_system_options options_of(const char *where, wiring *context)
{
    return (skald_system_options){.preset = "testing",
                                  .data = where,
                                  .port = "0",
                                  .no_environment = true,
                                  .wire = context ? wire : NULL,
                                  .context = context};
}

static void starts_wired_and_stops(void **state)
{
    wiring called = {.port = 1};
    skald_system_options options = options_of(NULL, &called);
    skald_system *system = NULL;
    skald_error error = {0};

    (void)state;
    assert_int_equal(skald_version_linked(), SKALD_VERSION);
    assert_int_equal(skald_system_start(&options, &system, &error), SKALD_OK);
    assert_int_equal(called.calls, 1);
    assert_ptr_equal(called.system, system);
    assert_int_equal(called.head, 0); // nothing has moved yet
    assert_int_equal(called.port, 0); // nor does it listen
    assert_int_not_equal(skald_system_port(system), 0);
    assert_string_equal(skald_system_host(system), "127.0.0.1");
    assert_non_null(skald_system_bus(system));
    assert_int_equal(skald_store_head(skald_system_store(system)), 1); // system.startup
    assert_int_equal(skald_system_stop(system, 0), SKALD_OK);
    assert_int_equal(skald_system_stop(NULL, 0), SKALD_OK);
}

static skald_outcome count(const skald_delivery *delivery)
{
    (void)delivery;
    return SKALD_ACK;
}

static skald_err wire_a_handler(skald_system *system)
{
    const skald_subscription_options options = {.name = "counter", .handler.fn = count};
    skald_subscription subscription;

    return skald_subscribe(skald_system_bus(system), &options, &subscription, NULL);
}

static void assert_log_is(const char *const *types, size_t count_max)
{
    skald_store *store = NULL;
    skald_cursor *cursor = NULL;
    const skald_event *event = NULL;
    char url[80];

    (void)snprintf(url, sizeof url, "log:%s", data);
    assert_int_equal(skald_store_open(url, NULL, &store, NULL), SKALD_OK);
    assert_int_equal(skald_cursor_open(store, NULL, &cursor), SKALD_OK);
    for (size_t i = 0; i < count_max; i++) {
        assert_int_equal(skald_cursor_next(cursor, &event, NULL), SKALD_OK);
        assert_non_null(event);
        assert_true(skald_str_equal(event->type, skald_str_of(types[i])));
    }
    assert_int_equal(skald_cursor_next(cursor, &event, NULL), SKALD_OK);
    assert_null(event);
    skald_cursor_close(cursor);
    skald_store_close(store);
}

static void start_and_end_are_in_the_log(void **state)
{
    static const char *const types[] = {"system.startup", "between", "system.shutdown",
                                        "system.startup", "system.shutdown"};
    skald_system_options options = options_of(data, NULL);

    (void)state;
    options.wire = wire_a_handler;
    for (int i = 0; i < 2; i++) {
        skald_system *system = NULL;
        skald_event event = {.type = SKALD_STR("between")};
        assert_int_equal(skald_system_start(&options, &system, NULL), SKALD_OK);
        if (i == 0)
            assert_int_equal(skald_publish(skald_system_bus(system), event, NULL), SKALD_OK);
        assert_int_equal(skald_system_stop(system, 1000), SKALD_OK);
    }
    assert_log_is(types, sizeof types / sizeof *types);
}

static void a_second_one_is_refused_by_name_of_the_first(void **state)
{
    skald_system_options options = options_of(data, NULL);
    skald_system *first = NULL;
    skald_system *second = NULL;
    skald_error error = {0};
    char process[32];

    (void)state;
    assert_int_equal(skald_system_start(&options, &first, NULL), SKALD_OK);
    assert_int_equal(skald_system_start(&options, &second, &error), SKALD_EHELD);
    (void)snprintf(process, sizeof process, "process %d", (int)getpid());
    assert_non_null(strstr(error.text, process));
    assert_non_null(strstr(error.text, data));
    assert_null(second);
    assert_int_equal(skald_system_stop(first, 0), SKALD_OK);
}

static void a_taken_port_leaves_nothing_behind(void **state)
{
    skald_system_options options = options_of(NULL, NULL);
    skald_system *first = NULL;
    skald_system *second = NULL;
    skald_error error = {0};
    char port[8];

    (void)state;
    assert_int_equal(skald_system_start(&options, &first, NULL), SKALD_OK);
    (void)snprintf(port, sizeof port, "%u", skald_system_port(first));
    options.port = port;
    options.data = data;
    assert_int_equal(skald_system_start(&options, &second, &error), SKALD_EUNAVAILABLE);
    assert_non_null(strstr(error.text, port));
    assert_non_null(strstr(error.text, "Choose another port"));
    options.port = "0"; // the directory is not held any more
    assert_int_equal(skald_system_start(&options, &second, &error), SKALD_OK);
    assert_int_equal(skald_system_stop(second, 0), SKALD_OK);
    assert_int_equal(skald_system_stop(first, 0), SKALD_OK);
}

// not_started: the file is refused, for what stands in the line that is blamed.
static void not_started(const char *text, skald_err err, const char *blamed, const char *field)
{
    char path[64], where[160];
    skald_system *system = NULL;
    skald_error error = {0};
    skald_system_options options = options_of(NULL, NULL);

    (void)snprintf(path, sizeof path, "%s/skald.yaml", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    options.file = path;
    options.port = NULL;
    assert_int_equal(skald_system_start(&options, &system, &error), err);
    (void)snprintf(where, sizeof where, "%s%s", path, blamed);
    assert_memory_equal(error.text, where, strlen(where));
    assert_string_equal(error.field, field);
}

static void who_cannot_listen_blames_the_right_line(void **state)
{
    skald_system_options options = options_of(NULL, NULL);
    skald_system *first = NULL;
    char text[160];

    (void)state;
    not_started("listen: 127.0.0.1\nport: 0\nsocket: /nowhere/at/all\n", SKALD_EDENIED,
                ":3: socket: cannot listen on the socket /nowhere/at/all", "socket");
    not_started("port: 0\nlisten: 0.0.0.0\n", SKALD_EDENIED,
                ":2: listen: will not listen on 0.0.0.0 without keys", "listen");
    assert_int_equal(skald_system_start(&options, &first, NULL), SKALD_OK);
    (void)snprintf(text, sizeof text, "listen: 127.0.0.1\nport: %u\n", skald_system_port(first));
    not_started(text, SKALD_EUNAVAILABLE, ":2: port: cannot listen on 127.0.0.1 port", "port");
    assert_int_equal(skald_system_stop(first, 0), SKALD_OK);
}

// not_listened: it does not start there, and says so and why.
static void not_listened(const char *host, skald_err err, const char *why)
{
    skald_system_options options = options_of(NULL, NULL);
    skald_system *system = NULL;
    skald_error error = {0};

    options.listen = host;
    assert_int_equal(skald_system_start(&options, &system, &error), err);
    assert_non_null(strstr(error.text, host));
    assert_non_null(strstr(error.text, why));
}

static void an_open_server_keeps_to_loopback(void **state)
{
    static const char *const hosts[] = {"0.0.0.0", "::", "10.0.0.1", "128.0.0.1"};

    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        not_listened(hosts[i], SKALD_EDENIED, "skald keys create");
}

static void it_listens_on_addresses_only(void **state)
{
    static const char *const hosts[] = {"example.org", "1270.0.0.1", "[::1]", "127.0.0.1:8000"};

    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        not_listened(hosts[i], SKALD_EINVALID, "must be an IP address");
}

static void loopback_has_several_names(void **state)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1", "127.8.9.10"};

    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        skald_system_options options = options_of(NULL, NULL);
        skald_system *system = NULL;
        options.listen = hosts[i];
        assert_int_equal(skald_system_start(&options, &system, NULL), SKALD_OK);
        assert_string_equal(skald_system_host(system), hosts[i]);
        assert_int_equal(skald_system_stop(system, 0), SKALD_OK);
    }
}

static void wiring_that_fails_ends_the_start(void **state)
{
    wiring called = {.answer = SKALD_EFULL};
    skald_system_options options = options_of(data, &called);
    skald_system *system = NULL;
    skald_error error = {0};
    uint64_t head;

    (void)state;
    assert_int_equal(skald_system_start(&options, &system, &error), SKALD_EFULL);
    assert_int_equal(error.err, SKALD_EFULL);
    assert_string_equal(error.text, skald_err_text(SKALD_EFULL));
    head = called.head;
    called.answer = SKALD_OK;
    assert_int_equal(skald_system_start(&options, &system, &error), SKALD_OK);
    assert_int_equal(called.head, head); // what could not start told nothing
    assert_int_equal(skald_system_stop(system, 0), SKALD_OK);
}

static void a_wrong_configuration_is_explained(void **state)
{
    skald_system_options options = {.preset = "nowhere", .no_environment = true};
    skald_system *system = NULL;
    skald_error error = {0};

    (void)state;
    assert_int_equal(skald_system_start(&options, &system, &error), SKALD_EINVALID);
    assert_string_equal(error.text, "--preset: preset is 'nowhere' but must be one of: development "
                                    "production testing");
    assert_int_equal(skald_system_start(&options, &system, NULL), SKALD_EINVALID);
}

static void waits_for_a_signal(void **state)
{
    skald_system_options options = options_of(NULL, NULL);
    skald_system *system = NULL;

    (void)state;
    assert_int_equal(skald_system_start(&options, &system, NULL), SKALD_OK);
    assert_int_equal(kill(getpid(), SIGTERM), 0); // held until it is waited for
    skald_system_wait(system);
    assert_int_equal(skald_system_stop(system, 0), SKALD_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_wired_and_stops),
        cmocka_unit_test(start_and_end_are_in_the_log),
        cmocka_unit_test(a_second_one_is_refused_by_name_of_the_first),
        cmocka_unit_test(a_taken_port_leaves_nothing_behind),
        cmocka_unit_test(who_cannot_listen_blames_the_right_line),
        cmocka_unit_test(an_open_server_keeps_to_loopback),
        cmocka_unit_test(it_listens_on_addresses_only),
        cmocka_unit_test(loopback_has_several_names),
        cmocka_unit_test(wiring_that_fails_ends_the_start),
        cmocka_unit_test(a_wrong_configuration_is_explained),
        cmocka_unit_test(waits_for_a_signal),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
