// SPDX-License-Identifier: Apache-2.0
// Every JSON door of the API against JSONTestSuite: what is JSON passes, what is not is refused
// with 400.
#include "api/http_client.h"
#include "base/buf.h"
#include "os/kernel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants those above first
#include <cmocka.h>

typedef struct door_run {
    api_world world;
    const char *folder;
    int good, bad, either;
} door_run;

static int post(door_run *run, const char *path, const char *type, skald_str body)
{
    return api_ask(&run->world, "POST", path, type, body, NULL)->status;
}

static bool is_one_line(skald_str text)
{
    return !memchr(text.ptr, '\n', text.len) && !memchr(text.ptr, '\r', text.len);
}

static void try_doors(door_run *run, const char *name, skald_str json)
{
    skald_buf body = {.bytes_max = 1024 * 1024};
    bool good = name[0] == 'y';
    const char *paths[] = {"/api/events", "/api/streams/door-1"};

    assert_false(skald_buf_put(&body, SKALD_STR("{\"type\":\"door.test\",\"data\":")));
    assert_false(skald_buf_put(&body, json));
    assert_false(skald_buf_put(&body, SKALD_STR("}")));
    for (size_t i = 0; i < 2; i++) {
        int status = post(run, paths[i], "application/json", ski_buf_str(&body));
        bool right = good ? status == 201 : status == 400 || status == 413; // 413: too deep
        if (!right) print_error("%s at %s: %d\n", name, paths[i], status);
        assert_true(right);
    }
    if (is_one_line(json)) {
        const api_answer *answer = api_ask(&run->world, "POST", "/api/events",
                                           "application/x-ndjson", ski_buf_str(&body), NULL);
        assert_int_equal(api_number(answer->body, "accepted"), good);
    }
    // Alone, what is no JSON is refused by the doors of other documents too.
    if (!good) {
        assert_int_not_equal(post(run, "/api/subscriptions", "application/json", json) / 100, 2);
        if (json.len) {
            assert_int_not_equal(post(run, "/api/events/test", "application/json", json) / 100, 2);
        }
    }
    skald_buf_fini(&body);
}

static void visit(void *context, const char *name)
{
    door_run *run = context;
    skald_buf json = {.bytes_max = 1024 * 1024};
    char path[600];

    (void)snprintf(path, sizeof path, "%s/%s", run->folder, name);
    if (name[0] != 'y' && name[0] != 'n' && name[0] != 'i') return;
    assert_false(ski_kernel_read_file(&ski_kernel_system, path, &json, NULL));
    if (name[0] == 'i')
        run->either++;
    else {
        try_doors(run, name, ski_buf_str(&json));
        run->good += name[0] == 'y';
        run->bad += name[0] == 'n';
    }
    skald_buf_fini(&json);
}

static void every_door_keeps_the_suite(void **state)
{
    const char *folder = getenv("SKALD_VECTORS");
    char path[512];
    static door_run run;

    (void)state;
    (void)snprintf(path, sizeof path, "%s/json/test_parsing",
                   folder ? folder : SKALD_SOURCE_DIR "/../shared/vectors");
    run.folder = path;
    api_world_open(&run.world);
    if (ski_kernel_system.list(NULL, path, visit, &run)) {
        api_world_close(&run.world);
        print_message("SKIPPED: JSONTestSuite is not at %s\n", path);
        skip();
    }
    api_world_close(&run.world);
    print_message("%d accepted, %d refused, %d either way\n", run.good, run.bad, run.either);
    assert_true(run.good > 90 && run.bad > 180);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_door_keeps_the_suite)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
