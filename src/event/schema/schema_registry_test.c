// SPDX-License-Identifier: Apache-2.0
// The registry: versions and their order, compatibility with one or all, keeping and loading,
// upcasting, and threads that check while others register.
#include "base/alloc.h"
#include "base/buf.h"
#include "event/schema/registry.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h> // behind the headers it needs

#define NUMBER SKALD_STR("{\"type\":\"number\"}")
#define INTEGER SKALD_STR("{\"type\":\"integer\"}")
#define ANYTHING SKALD_STR(" true ")
#define TYPE SKALD_STR("order.paid")

static skald_schemas *made(const skald_schemas_options *options)
{
    skald_schemas *schemas = NULL;

    assert_int_equal(skald_schemas_new(options, &schemas), SKALD_OK);
    return schemas;
}

static void versions_rise(void **state)
{
    skald_schemas *schemas = made(NULL);
    skald_schema_entry entry;
    const skald_schema_entry *entries = NULL;
    skald_arena *arena = NULL;
    size_t count = 0;

    (void)state;
    assert_int_equal(skald_arena_new(1 << 20, &arena), SKALD_OK);
    assert_int_equal(skald_schemas_put(schemas, TYPE, 0, NUMBER, 0, NULL), SKALD_EINVALID);
    assert_int_equal(skald_schemas_put(schemas, SKALD_STR(""), 1, NUMBER, 0, NULL), SKALD_EINVALID);
    assert_int_equal(skald_schemas_put(schemas, TYPE, 1, SKALD_STR("{"), 0, NULL), SKALD_EINVALID);
    assert_int_equal(skald_schemas_put(schemas, TYPE, 3, INTEGER, 0, NULL), SKALD_OK);
    assert_int_equal(skald_schemas_put(schemas, TYPE, 3, INTEGER, 0, NULL), SKALD_OK);
    assert_int_equal(skald_schemas_put(schemas, TYPE, 3, NUMBER, 0, NULL), SKALD_EEXISTS);
    assert_int_equal(skald_schemas_put(schemas, TYPE, 2, NUMBER, 0, NULL), SKALD_EINVALID);
    assert_int_equal(skald_schemas_put(schemas, TYPE, 5, NUMBER, SKALD_FULL, NULL), SKALD_ESTATE);
    assert_int_equal(skald_schemas_put(schemas, TYPE, 5, NUMBER, 0, NULL), SKALD_OK);
    assert_int_equal(skald_schemas_get(schemas, TYPE, 0, arena, &entry), SKALD_OK);
    assert_int_equal(entry.version, 5);
    assert_int_equal(entry.compatibility, SKALD_BACKWARD);
    assert_int_equal(skald_schemas_get(schemas, TYPE, 4, arena, &entry), SKALD_ENOTFOUND);
    assert_int_equal(skald_schemas_list(schemas, arena, &entries, &count), SKALD_OK);
    assert_int_equal(count, 2);
    assert_int_equal(entries[0].version, 3);
    skald_arena_free(arena);
    skald_schemas_free(schemas);
}

static void checks_go_to_their_version(void **state)
{
    skald_schemas *schemas = made(NULL);
    skald_error error = {0};

    (void)state;
    assert_int_equal(skald_schemas_check(schemas, TYPE, 0, SKALD_STR("\"x\""), NULL), SKALD_OK);
    assert_int_equal(skald_schemas_put(schemas, TYPE, 1, INTEGER, 0, NULL), SKALD_OK);
    assert_int_equal(skald_schemas_put(schemas, TYPE, 2, NUMBER, 0, NULL), SKALD_OK);
    assert_int_equal(skald_schemas_check(schemas, TYPE, 0, SKALD_STR("1.5"), NULL), SKALD_OK);
    assert_int_equal(skald_schemas_check(schemas, TYPE, 1, SKALD_STR("1.5"), &error),
                     SKALD_ESCHEMA);
    assert_string_equal(error.text, "is a number; must be integer");
    assert_int_equal(skald_schemas_check(schemas, TYPE, 7, SKALD_STR("1"), NULL), SKALD_ENOTFOUND);
    assert_int_equal(ski_schema_registry_check(schemas, TYPE, 0, (skald_str){0}, NULL),
                     SKALD_ESCHEMA); // no data is null
    assert_int_equal(ski_schema_registry_check(NULL, TYPE, 0, SKALD_STR("1"), NULL), SKALD_OK);
    skald_schemas_free(schemas);
}

static void transitive_asks_all(void **state)
{
    skald_schemas *schemas = made(NULL);

    (void)state;
    assert_int_equal(skald_schemas_put(schemas, TYPE, 1, NUMBER, SKALD_UNCHECKED, NULL), SKALD_OK);
    assert_int_equal(skald_schemas_put(schemas, TYPE, 2, INTEGER, SKALD_UNCHECKED, NULL), SKALD_OK);
    assert_int_equal(skald_schemas_put(schemas, TYPE, 3,
                                       SKALD_STR("{\"type\":[\"integer\",\"null\"]}"),
                                       SKALD_BACKWARD_ALL, NULL),
                     SKALD_ESTATE);
    assert_int_equal(skald_schemas_put(schemas, TYPE, 3,
                                       SKALD_STR("{\"type\":[\"integer\",\"null\"]}"),
                                       SKALD_BACKWARD, NULL),
                     SKALD_OK);
    assert_int_equal(skald_schemas_put(schemas, TYPE, 4, ANYTHING, SKALD_BACKWARD_ALL, NULL),
                     SKALD_OK);
    skald_schemas_free(schemas);
}

typedef struct kept {
    skald_err err;
    char name[64], document[256];
} kept;

static skald_err keep(void *context, skald_str name, skald_json document)
{
    kept *to = context;

    (void)snprintf(to->name, sizeof to->name, "%.*s", SKALD_FMT(name));
    (void)snprintf(to->document, sizeof to->document, "%.*s", SKALD_FMT(document));
    return to->err;
}

static void what_is_kept_comes_back(void **state)
{
    kept saved = {.err = SKALD_EIO};
    skald_schemas_options options = {.save = keep, .context = &saved};
    skald_schemas *schemas = made(&options), *again = made(NULL);

    (void)state;
    assert_int_equal(skald_schemas_put(schemas, TYPE, 1, INTEGER, SKALD_FORWARD, NULL), SKALD_EIO);
    assert_int_equal(skald_schemas_check(schemas, TYPE, 0, SKALD_STR("null"), NULL), SKALD_OK);
    saved.err = SKALD_OK;
    assert_int_equal(skald_schemas_put(schemas, TYPE, 1, INTEGER, SKALD_FORWARD, NULL), SKALD_OK);
    assert_string_equal(saved.name, "schema/order.paid/1");
    assert_string_equal(saved.document,
                        "{\"type\":\"order.paid\",\"version\":1,\"compatibility\":\"forward\","
                        "\"schema\":{\"type\":\"integer\"}}");
    assert_int_equal(skald_schemas_load(again, skald_str_of(saved.document), NULL), SKALD_OK);
    assert_int_equal(skald_schemas_check(again, TYPE, 1, SKALD_STR("null"), NULL), SKALD_ESCHEMA);
    assert_int_equal(skald_schemas_load(again, SKALD_STR("{\"type\":\"a\",\"version\":1}"), NULL),
                     SKALD_EINVALID);
    assert_int_equal(skald_schemas_load(again, SKALD_STR("{"), NULL), SKALD_EINVALID);
    skald_schemas_free(schemas);
    skald_schemas_free(again);
}

static skald_err wrap(void *context, skald_json data, skald_arena *scratch, skald_buf *buf)
{
    (void)scratch;
    return ski_buf_print(buf, context, SKALD_FMT(data));
}

static void steps_are_chained_at_read(void **state)
{
    skald_schemas *schemas = made(NULL);
    skald_arena *arena = NULL;
    skald_event event = {.type = TYPE, .version = 0, .data = SKALD_STR("7")};
    skald_error error = {0};

    (void)state;
    assert_int_equal(skald_arena_new(1 << 20, &arena), SKALD_OK);
    assert_int_equal(skald_schemas_read(schemas, &event, arena, NULL), SKALD_OK);
    assert_int_equal(event.version, 0);
    assert_int_equal(skald_schemas_upcast(schemas, TYPE, 2, wrap, "[%.*s,2]"), SKALD_OK);
    assert_int_equal(skald_schemas_upcast(schemas, TYPE, 1, wrap, "{\"a\":%.*s}"), SKALD_OK);
    assert_int_equal(skald_schemas_upcast(schemas, TYPE, 1, wrap, ""), SKALD_EEXISTS);
    assert_int_equal(skald_schemas_upcast(schemas, TYPE, 0, wrap, ""), SKALD_EINVALID);
    assert_int_equal(skald_schemas_read(schemas, &event, arena, NULL), SKALD_OK);
    assert_int_equal(event.version, 3);
    assert_true(skald_str_equal(event.data, SKALD_STR("[{\"a\":7},2]")));
    assert_int_equal(skald_schemas_upcast(schemas, TYPE, 3, wrap, "{%.*s"), SKALD_OK);
    assert_int_equal(skald_schemas_read(schemas, &event, arena, &error), SKALD_EINVALID);
    assert_int_equal(event.version, 3); // as it was
    for (uint32_t i = 4; i <= SKALD_UPCAST_MAX; i++)
        assert_int_equal(skald_schemas_upcast(schemas, TYPE, i, wrap, "%.*s"), SKALD_OK);
    assert_int_equal(skald_schemas_upcast(schemas, TYPE, 999, wrap, "%.*s"), SKALD_EFULL);
    skald_arena_free(arena);
    skald_schemas_free(schemas);
}

// more makes twice as much of a text, and once more.
static skald_err more(void *context, skald_json data, skald_arena *scratch, skald_buf *buf)
{
    skald_str inner = {data.ptr + 1, data.len - 2};

    (void)context;
    (void)scratch;
    return ski_buf_print(buf, "\"%.*s%.*sx\"", SKALD_FMT(inner), SKALD_FMT(inner));
}

static void steps_need_room_for_their_result_only(void **state)
{
    skald_schemas *schemas = made(NULL);
    skald_arena *arena = NULL;
    skald_event event = {.type = TYPE, .version = 1, .data = SKALD_STR("\"x\"")};
    skald_error error = {0};

    (void)state;
    for (uint32_t i = 1; i <= 22; i++)
        assert_int_equal(skald_schemas_upcast(schemas, TYPE, i, more, NULL), SKALD_OK);
    assert_int_equal(skald_arena_new((8 << 20) + 64, &arena), SKALD_OK);
    assert_int_equal(skald_schemas_read(schemas, &event, arena, NULL), SKALD_OK);
    assert_int_equal(event.version, 23);
    assert_int_equal(event.data.len, (8 << 20) + 1); // n times twice and one more: 2^(n+1) - 1
    skald_arena_reset(arena);
    assert_int_equal(skald_schemas_upcast(schemas, TYPE, 23, more, NULL), SKALD_OK);
    event = (skald_event){.type = TYPE, .version = 1, .data = SKALD_STR("\"x\"")};
    assert_int_equal(skald_schemas_read(schemas, &event, arena, &error), SKALD_ETOOBIG);
    assert_int_equal(event.version, 1);
    assert_non_null(strstr(error.text, "the step from version 23 of 'order.paid' failed"));
    skald_arena_free(arena);
    skald_schemas_free(schemas);
}

enum { rounds = 200 };

static void *check_often(void *context)
{
    for (int i = 0; i < rounds; i++)
        if (skald_schemas_check(context, TYPE, 0, SKALD_STR("1"), NULL)) return context;
    return NULL;
}

static void checks_and_registrations_meet(void **state)
{
    skald_schemas *schemas = made(NULL);
    pthread_t threads[3];
    void *failed = NULL;

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, check_often, schemas), 0);
    for (uint32_t version = 1; version <= 50; version++)
        assert_int_equal(skald_schemas_put(schemas, TYPE, version, NUMBER, 0, NULL), SKALD_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    skald_schemas_free(schemas);
}

static void memory_may_run_out_anywhere(void **state)
{
    skald_err err = SKALD_ENOMEM;

    (void)state;
    for (uint64_t n = 1; err; n++) {
        skald_schemas *schemas = made(NULL);

        assert_true(n < 200);
        ski_alloc_fail_at(n);
        err = skald_schemas_put(schemas, TYPE, 1, INTEGER, 0, NULL);
        if (!err) err = skald_schemas_put(schemas, TYPE, 2, NUMBER, 0, NULL);
        ski_alloc_fail_at(0);
        if (err) assert_int_equal(err, SKALD_ENOMEM);
        skald_schemas_free(schemas);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_rise),
        cmocka_unit_test(checks_go_to_their_version),
        cmocka_unit_test(transitive_asks_all),
        cmocka_unit_test(what_is_kept_comes_back),
        cmocka_unit_test(steps_are_chained_at_read),
        cmocka_unit_test(steps_need_room_for_their_result_only),
        cmocka_unit_test(checks_and_registrations_meet),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
