// SPDX-License-Identifier: Apache-2.0
// /api/types over a real connection, and every place of the API that takes a type: all of its names
// mean the same. And the names that come with the platform.
#include "api/http_client.h"
#include "api/seed_types.h"
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
// cmocka wants the four above first
#include <cmocka.h>

#include <skald/typed.h>

static int setup(void **state)
{
    static api_world world;

    api_world_open(&world);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    api_world_close(*state);
    return 0;
}

static void has(const api_answer *answer, const char *text)
{
    if (strstr(answer->body, text)) return;
    print_error("'%s' is not in: %s\n", text, answer->body);
    fail();
}

static const api_answer *put(const api_world *world, const char *type, const char *json)
{
    char path[512];

    (void)snprintf(path, sizeof path, "/api/types/%s", type);
    return api_ask(world, "PUT", path, "application/json", skald_str_of(json), NULL);
}

static void every_name_finds_the_events(void **state)
{
    static const char *const names[] = {"user.login", "USER_LOGIN", "UserLoggedInEvent"};
    const api_answer *answer;
    char path[128], body[128];

    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(body, sizeof body, "{\"type\":\"%s\",\"stream\":\"user-1\"}", names[i]);
        assert_int_equal(api_post(*state, "/api/events", body)->status, 201);
    }
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "/api/events?type=%s", names[i]);
        answer = api_get(*state, path);
        assert_int_equal(answer->status, 200);
        has(answer, "\"position\":1,");
        has(answer, "\"position\":3,");
        has(answer, "\"type\":\"user.login\"");
        assert_null(strstr(answer->body, "USER_LOGIN"));
    }
    has(api_get(*state, "/api/events/stats"), "\"eventsByType\":{\"user.login\":3}");
    has(api_get(*state, "/api/types"),
        "{\"type\":\"user.login\",\"aliases\":[\"USER_LOGIN\",\"UserLoggedInEvent\"],"
        "\"versions\":[],\"persistent\":true,\"count\":3}");
}

static void a_prefix_means_other_names_too(void **state)
{
    assert_int_equal(api_post(*state, "/api/events", "{\"type\":\"BEDRIFT_CREATED\"}")->status,
                     201);
    has(api_get(*state, "/api/events?type=company.*"), "\"type\":\"bedrift.created\"");
}

static void a_type_is_given_more_names(void **state)
{
    const api_answer *answer = put(*state, "order.placed", "{\"aliases\":[\"ORDER_PLACED\"]}");

    assert_int_equal(answer->status, 201);
    assert_string_equal(answer->body,
                        "{\"data\":{\"type\":\"order.placed\",\"aliases\":[\"ORDER_PLACED\"],"
                        "\"versions\":[],\"persistent\":true}}");
    answer = put(*state, "order.placed", "{\"aliases\":[\"OrderPlaced\",\"ORDER_PLACED\"]}");
    assert_int_equal(answer->status, 200);
    has(answer, "[\"ORDER_PLACED\",\"OrderPlaced\"]");
    assert_int_equal(put(*state, "order.placed", "{}")->status, 200);
    has(put(*state, "user.typing", "{\"persistent\":false}"), "\"persistent\":false");
    // The same after a restart.
    api_world_reopen(*state);
    assert_int_equal(api_post(*state, "/api/events", "{\"type\":\"OrderPlaced\"}")->status, 201);
    answer = api_get(*state, "/api/types");
    has(answer, "{\"type\":\"order.placed\",\"aliases\":[\"ORDER_PLACED\",\"OrderPlaced\"],"
                "\"versions\":[],\"persistent\":true,\"count\":1}");
    has(answer, "{\"type\":\"user.typing\",\"aliases\":[],\"versions\":[],\"persistent\":false,"
                "\"count\":0}");
}

static void old_and_unknown_names_are_counted(void **state)
{
    assert_int_equal(
        api_post(*state, "/api/events", "[{\"type\":\"OLD_NAME\"},{\"type\":\"a.b\"}]")->status,
        201);
    assert_int_equal(put(*state, "new.name", "{\"aliases\":[\"OLD_NAME\"]}")->status, 201);
    assert_int_equal(api_post(*state, "/api/events", "{\"type\":\"OLD_NAME\"}")->status, 201);
    const api_answer *answer = api_get(*state, "/api/types");

    has(answer, "{\"type\":\"new.name\",\"aliases\":[\"OLD_NAME\"],\"versions\":[],"
                "\"persistent\":true,\"count\":2}");
    has(answer,
        "{\"type\":\"a.b\",\"aliases\":[],\"versions\":[],\"persistent\":true,\"count\":1}");
    has(api_get(*state, "/api/events?type=new.name"), "\"position\":1,");
}

static void versions_are_those_of_schemas_too(void **state)
{
    const api_world *world = *state;
    skald_schemas *schemas = skald_bus_schemas(world->bus);

    for (uint32_t version = 1; version < 4; version += 2)
        assert_int_equal(skald_schemas_put(schemas, SKALD_STR("order.created"), version,
                                           SKALD_STR("{}"), SKALD_COMPATIBILITY_DEFAULT, NULL),
                         SKALD_OK);
    has(api_get(world, "/api/types"),
        "{\"type\":\"order.created\",\"aliases\":[\"ORDER_CREATED\",\"OrderCreated\","
        "\"OrderCreatedEvent\",\"orders.created\"],\"versions\":[1,3],");
}

static void what_is_wrong_is_said(void **state)
{
    static const struct {
        const char *type, *body;
        int status;
        const char *says;
    } cases[] = {
        {"user.left", "{\"aliases\":[\"USER_LOGIN\"]}", 409,
         "another name of the type 'user.login'"},
        {"USER_LOGIN", "{}", 409, "another name of the type 'user.login'"},
        {"user.left", "{\"aliases\":[\"user.login\"]}", 409, "a type of its own"},
        {"user.left", "{\"aliases\":\"X\"}", 400, "must be an array of names"},
        {"user.left", "{\"aliases\":[7]}", 400, "must be an array of names"},
        {"user.left", "{\"aliases\":[\"a b\"]}", 400, "\"field\":\"aliases\""},
        {"user.left", "{\"alias\":[]}", 400, "aliases and persistent, not 'alias'"},
        {"user.left", "{\"persistent\":1}", 400, "must be true or false"},
        {"user.left", "[]", 400, "must be an object"},
        {"user.left", "{", 400, "VALIDATION_ERROR"},
        {"user.*", "{}", 400, "\"field\":\"type\""},
        {"user.left",
         "{\"aliases\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\",\"k\",\"l\","
         "\"m\",\"n\",\"o\",\"p\",\"q\"]}",
         400, "at most 16 other names"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const api_answer *answer = put(*state, cases[i].type, cases[i].body);

        if (answer->status != cases[i].status) print_error("%s\n%s\n", cases[i].body, answer->body);
        assert_int_equal(answer->status, cases[i].status);
        has(answer, cases[i].says);
    }
    assert_null(strstr(api_get(*state, "/api/types")->body, "user.left"));
    has(api_get(*state, "/api/types?format=xml"), "json-schema, asyncapi or typescript");
}

static void strict_says_what_was_meant(void **state)
{
    const api_world *world = *state;

    skald_types_strict(skald_bus_types(world->bus), true);
    assert_int_equal(api_post(world, "/api/events", "{\"type\":\"USER_LOGIN\"}")->status, 201);
    const api_answer *answer = api_post(world, "/api/events", "{\"type\":\"user.logn\"}");

    assert_int_equal(answer->status, 400);
    has(answer, "no type 'user.logn' is known; did you mean 'user.login'?");
    has(answer, "\"field\":\"type\"");
}

static void contracts_are_served(void **state)
{
    const api_answer *answer = api_get(*state, "/api/types?format=asyncapi");

    assert_int_equal(answer->status, 200);
    assert_int_equal(ski_json_door_check((skald_str){answer->body, answer->len}, false, NULL),
                     SKALD_OK);
    has(answer, "{\"asyncapi\":\"3.0.0\"");
    has(answer, "\"x-aliases\":[\"USER_LOGIN\",\"UserLoggedInEvent\"]");
    answer = api_get(*state, "/api/types?format=json-schema");
    assert_int_equal(ski_json_door_check((skald_str){answer->body, answer->len}, false, NULL),
                     SKALD_OK);
    answer = api_get(*state, "/api/types?format=typescript");
    has(answer, "  \"UserLoggedInEvent\": \"user.login\",\n");
}

// The names that come with the platform.

static bool is_dotted(const char *name)
{
    for (const char *at = name; *at; at++)
        if (!(*at >= 'a' && *at <= 'z') && !(*at >= '0' && *at <= '9') && *at != '.' && *at != '_')
            return false;
    return strchr(name, '.') != NULL;
}

static void seeds_are_unique_and_dotted(void **state)
{
    skald_types *types = NULL;
    skald_error error = {0};

    (void)state;
    assert_int_equal(skald_types_new(0, &types), SKALD_OK);
    for (const ski_seed_type *seed = ski_seed_types; seed->name; seed++) {
        char copy[512], *next = copy;

        if (!is_dotted(seed->name)) fail_msg("%s is not dotted", seed->name);
        if (skald_types_name(types, skald_str_of(seed->name)).len)
            fail_msg("%s stands twice", seed->name);
        (void)snprintf(copy, sizeof copy, "%s", seed->aliases);
        for (char *alias; (alias = strsep(&next, " "));) {
            const skald_str item = skald_str_of(alias);

            if (skald_types_name(types, item).len) fail_msg("%s stands twice", alias);
            if (skald_types_put(types, skald_str_of(seed->name), (skald_texts){&item, 1}, &error))
                fail_msg("%s: %s", alias, error.text);
        }
    }
    skald_types_free(types);
}

// Every row of kind event in the list of what was promised, where that list is at hand, is known.
static void every_promised_event_is_known(void **state)
{
    FILE *file = fopen(SKALD_SOURCE_DIR "/../shared/mission.csv", "r");
    skald_types *types = NULL;
    char line[2048];
    unsigned rows = 0;

    (void)state;
    if (!file) skip();
    assert_int_equal(skald_types_new(0, &types), SKALD_OK);
    assert_int_equal(skald_types_known(types), SKALD_OK);
    while (fgets(line, sizeof line, file)) {
        char *item = strrchr(line, ','), *kind = line;

        for (int i = 0; i < 3 && kind; i++) kind = strchr(kind + 1, ','); // id,seed,group,kind
        if (!kind || strncmp(kind, ",event,", 7) != 0) continue;
        item[strcspn(item, "\r\n")] = 0;
        if (!skald_types_name(types, skald_str_of(item + 1)).len)
            fail_msg("%s is not known", item + 1);
        rows++;
    }
    (void)fclose(file);
    assert_true(rows >= 31);
    skald_types_free(types);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_name_finds_the_events, setup, teardown),
        cmocka_unit_test_setup_teardown(a_prefix_means_other_names_too, setup, teardown),
        cmocka_unit_test_setup_teardown(a_type_is_given_more_names, setup, teardown),
        cmocka_unit_test_setup_teardown(old_and_unknown_names_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(versions_are_those_of_schemas_too, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(strict_says_what_was_meant, setup, teardown),
        cmocka_unit_test_setup_teardown(contracts_are_served, setup, teardown),
        cmocka_unit_test(seeds_are_unique_and_dotted),
        cmocka_unit_test(every_promised_event_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
