// SPDX-License-Identifier: Apache-2.0
// What is set aside, over HTTP: dead letters and parked keys listed, tried again, dropped, edited,
// over a restart; and what is refused.
#include "api/http_client.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
// cmocka wants those above first
#include <cmocka.h>

#define GROUP(name, end)                                                                 \
    "{\"name\":\"" name "\",\"filter\":{\"types\":[\"order.*\"]},\"onExhausted\":\"" end \
    "\",\"retry\":{\"attemptsMax\":1,\"firstMs\":1}}"

static void publish(const api_world *world, const char *stream, int n)
{
    char body[200];

    (void)snprintf(body, sizeof body,
                   "{\"type\":\"order.made\",\"stream\":\"%s\",\"data\":{\"n\":%d}}", stream, n);
    api_posts(world, "/api/events", body, 201);
}

// ends takes the next delivery, whose text must hold text, and ends it.
static void ends(const api_world *world, const char *name, const char *text, const char *what)
{
    char path[128], id[96], body[256];
    const api_answer *answer;
    const char *at;

    (void)snprintf(path, sizeof path, "/api/subscriptions/%s/deliveries?max=1&waitMs=5000", name);
    answer = api_get(world, path);
    api_says(answer, text);
    at = strstr(answer->body, "\"deliveryId\":\"");
    assert_non_null(at);
    (void)snprintf(id, sizeof id, "%.*s", (int)strcspn(at + 14, "\""), at + 14);
    (void)snprintf(path, sizeof path, "/api/subscriptions/%s/%s", name, what);
    (void)snprintf(body, sizeof body, "{\"deliveries\":[\"%s\"]%s}", id,
                   strcmp(what, "nack") == 0 ? ",\"reason\":\"no such address\"" : "");
    api_says(api_posts(world, path, body, 200), "{\"accepted\":1,\"refused\":[]}");
}

static void nothing_comes(const api_world *world, const char *name)
{
    char path[128];

    (void)snprintf(path, sizeof path, "/api/subscriptions/%s/deliveries?waitMs=20", name);
    api_says(api_get(world, path), "{\"data\":[]}");
}

static void a_dead_letter_is_shown_retried_and_discarded(void **state)
{
    api_world *world = *state;
    const api_answer *answer;

    api_posts(world, "/api/subscriptions", GROUP("mailer", "dead_letter"), 201);
    publish(world, "order-1", 1); // at 1
    publish(world, "order-1", 2);
    ends(world, "mailer", "\"n\":1}", "nack");
    answer = api_get(world, "/api/dead-letters");
    api_says(answer,
             "{\"data\":[{\"id\":\"1.mailer\",\"subscription\":\"mailer\",\"event\":{\"id\":\"");
    api_says(answer, "\"data\":{\"n\":1}");
    api_says(answer, "\"attempts\":1,\"lastError\":\"no such address\",\"firstFailedAt\":\"");
    api_says(answer, "\"releasing\":false}],\"pagination\":{\"limit\":100,\"nextCursor\":null}}");
    assert_null(strstr(answer->body, "\"waiting\""));
    api_says(api_get(world, "/api/subscriptions/mailer"), "\"dead\":1,");
    ends(world, "mailer", "\"n\":2}", "ack"); // the rest goes on
    api_world_reopen(world);
    api_says(api_get(world, "/api/dead-letters/1.mailer"), "{\"data\":{\"id\":\"1.mailer\"");
    api_says(api_posts(world, "/api/dead-letters/1.mailer/retry", "", 200),
             "\"outcome\":\"retried\"");
    api_says(api_get(world, "/api/dead-letters/1.mailer"), "\"releasing\":true");
    api_says(api_posts(world, "/api/dead-letters/1.mailer/retry", "", 409), "INVALID_STATE");
    ends(world, "mailer", "\"attempt\":1,\"event\":{", "nack"); // attempts begin anew
    api_says(api_posts(world, "/api/dead-letters/1.mailer/discard", "", 200),
             "\"outcome\":\"discarded\"");
    api_says(api_get(world, "/api/dead-letters"), "{\"data\":[],");
    api_says(api_posts(world, "/api/dead-letters/1.mailer/discard", "", 404), "NOT_FOUND");
    nothing_comes(world, "mailer");
    api_says(api_get(world, "/api/events?type=audit.*"), "audit.subscription.discarded");
}

static void dead_letters_come_in_pages_and_go_together(void **state)
{
    api_world *world = *state;
    const api_answer *answer;

    api_posts(world, "/api/subscriptions", GROUP("a", "dead_letter"), 201);
    api_posts(world, "/api/subscriptions", GROUP("b", "dead_letter"), 201);
    for (int i = 1; i <= 3; i++) publish(world, "order-1", i);
    for (int i = 0; i < 3; i++) ends(world, "a", "order-1", "nack");
    ends(world, "b", "order-1", "nack");
    answer = api_get(world, "/api/dead-letters?limit=2");
    api_says(answer, "\"1.a\"");
    api_says(answer, "\"2.a\"");
    api_says(answer, "\"nextCursor\":\"2.a\"}");
    answer = api_get(world, "/api/dead-letters?limit=2&afterId=2.a");
    api_says(answer, "\"3.a\"");
    api_says(answer, "\"1.b\"");
    answer = api_get(world, "/api/dead-letters?limit=2&afterId=1.b");
    api_says(answer, "{\"data\":[],\"pagination\":{\"limit\":2,\"nextCursor\":null}}");
    answer = api_get(world, "/api/dead-letters?subscription=b");
    api_says(answer, "\"1.b\"");
    assert_null(strstr(answer->body, "\"1.a\""));
    api_says(api_get(world, "/api/dead-letters?subscription=nobody"), "{\"data\":[],");
    api_says(api_posts(world, "/api/dead-letters/retry", "{\"subscription\":\"a\"}", 200),
             "{\"data\":{\"retried\":3}}");
    for (int i = 0; i < 3; i++) ends(world, "a", "order-1", "ack");
    api_says(api_posts(world, "/api/dead-letters/retry", "", 200), "{\"data\":{\"retried\":1}}");
    for (int i = 0; i < 3; i++) ends(world, "b", "order-1", "ack");
    nothing_comes(world, "b");
}

// Fail, park, others flow, edit, release, order kept; with a restart between any two.
static void a_parked_key_from_end_to_end(void **state)
{
    api_world *world = *state;
    const api_answer *answer;

    api_posts(world, "/api/subscriptions", GROUP("mailer", "park_key"), 201);
    publish(world, "order-1/a b", 1);
    publish(world, "order-1/a b", 2);
    publish(world, "order-2", 3);
    publish(world, "order-1/a b", 4);
    ends(world, "mailer", "\"n\":1}", "nack");
    ends(world, "mailer", "\"n\":3}", "ack");
    nothing_comes(world, "mailer");
    api_world_reopen(world);
    nothing_comes(world, "mailer");
    answer = api_get(world, "/api/subscriptions/mailer/parked");
    api_says(answer, "{\"data\":[{\"key\":\"order-1/a b\",\"deliveryId\":\"1.mailer\",");
    api_says(answer, "\"data\":{\"n\":1}},\"attempts\":1,\"lastError\":\"no such address\"");
    api_says(answer, "\"waiting\":2,\"releasing\":false}]");
    api_says(api_get(world, "/api/subscriptions/mailer"), "\"parked\":1,\"dead\":0,");
    api_says(api_get(world, "/api/dead-letters"), "{\"data\":[],"); // it is none
    api_posts(world, "/api/dead-letters/1.mailer/retry", "", 404);
    api_says(api_posts(world, "/api/subscriptions/mailer/parked/order-1%2Fa%20b/edit",
                       "{\"data\":{\"n\":10}}", 200),
             "{\"data\":{\"key\":\"order-1/a b\",\"outcome\":\"edited\"}}");
    publish(world, "order-1/a b", 5);
    ends(world, "mailer", "\"data\":{\"n\":10}", "ack");
    api_world_reopen(world);
    ends(world, "mailer", "\"n\":2}", "ack");
    ends(world, "mailer", "\"n\":4}", "ack");
    ends(world, "mailer", "\"n\":5}", "ack");
    nothing_comes(world, "mailer");
    api_says(api_get(world, "/api/subscriptions/mailer/parked"), "{\"data\":[],");
    api_says(api_get(world, "/api/events?type=audit.subscription.edited"),
             "\"key\":\"order-1/a b\"");
    api_says(api_get(world, "/api/streams/order-1%2Fa%20b"), "\"data\":{\"n\":1}"); // the log is as
                                                                                    // it was
}

static void a_parked_key_is_released_or_skipped(void **state)
{
    api_world *world = *state;

    api_posts(world, "/api/subscriptions", GROUP("mailer", "park_key"), 201);
    for (int i = 1; i <= 3; i++) publish(world, "order-1", i);
    ends(world, "mailer", "\"n\":1}", "nack");
    api_says(api_posts(world, "/api/subscriptions/mailer/parked/order-1/release", "", 200),
             "\"outcome\":\"released\"");
    ends(world, "mailer", "\"n\":1}", "nack"); // parked again
    assert_non_null(api_wait(world, "/api/subscriptions/mailer/parked", "\"releasing\":false"));
    api_says(api_posts(world, "/api/subscriptions/mailer/parked/order-1/skip", "", 200),
             "\"outcome\":\"skipped\"");
    ends(world, "mailer", "\"n\":2}", "ack");
    ends(world, "mailer", "\"n\":3}", "ack");
}

static void refuses_what_is_not_there_or_wrong(void **state)
{
    static const char *const edits[] = {"",          "{",
                                        "{}",        "[]",
                                        "{\"n\":1}", "{\"data\":1,\"data\":2}",
                                        "\"data\"",  "{\"data\":1,\"more\":2}"};
    static const char *const ids[] = {"0.mailer", "2.mailer",
                                      "1.nobody", "mailer",
                                      "1.",       "-1.mailer",
                                      "1",        "99999999999999999999.mailer",
                                      "%FF"};
    api_world *world = *state;
    char path[128];

    api_posts(world, "/api/subscriptions", GROUP("mailer", "park_key"), 201);
    api_posts(world, "/api/subscriptions", GROUP("other", "dead_letter"), 201);
    publish(world, "order-1", 1);
    ends(world, "mailer", "\"n\":1}", "nack");
    ends(world, "other", "\"n\":1}", "nack");
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++)
        api_posts(world, "/api/subscriptions/mailer/parked/order-1/edit", edits[i], 400);
    api_posts(world, "/api/subscriptions/mailer/parked/order-9/release", "", 404);
    api_posts(world, "/api/subscriptions/mailer/parked/order-9/edit", "{\"data\":1}", 404);
    api_posts(world, "/api/subscriptions/nobody/parked/order-1/release", "", 404);
    api_posts(world, "/api/subscriptions/other/parked/order-1/skip", "", 404);
    api_posts(world, "/api/subscriptions/mailer/parked/order-1/open", "", 404);
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        (void)snprintf(path, sizeof path, "/api/dead-letters/%s/retry", ids[i]);
        int status = api_post(world, path, "")->status;
        if (status != 404 && status != 400) print_error("%s: %d\n", path, status);
        assert_true(status == 404 || status == 400);
    }
    assert_int_equal(api_get(world, "/api/subscriptions/nobody/parked")->status, 404);
    assert_int_equal(api_get(world, "/api/dead-letters?afterId=x")->status, 400);
    assert_int_equal(api_get(world, "/api/dead-letters?limit=0")->status, 400);
    api_posts(world, "/api/dead-letters/retry", "[]", 400);
    api_posts(world, "/api/dead-letters/retry", "{\"subscription\":1}", 400);
    api_posts(world, "/api/dead-letters/retry", "{\"all\":true}", 400);
    api_posts(world, "/api/dead-letters/retry", "{\"subscription\":\"nobody\"}", 404);
}

// What nobody runs can be seen, and says so when something is asked of it.
static void of_a_drained_group_it_waits(void **state)
{
    api_world *world = *state;

    api_posts(world, "/api/subscriptions", GROUP("mailer", "park_key"), 201);
    publish(world, "order-1", 1);
    ends(world, "mailer", "\"n\":1}", "nack");
    api_posts(world, "/api/subscriptions/mailer/drain", "", 200);
    assert_non_null(api_wait(world, "/api/subscriptions/mailer", "\"state\":\"registered\""));
    api_says(api_get(world, "/api/subscriptions/mailer/parked"), "\"key\":\"order-1\"");
    api_says(api_posts(world, "/api/subscriptions/mailer/parked/order-1/release", "", 409),
             "nobody runs");
    api_posts(world, "/api/subscriptions", GROUP("mailer", "park_key"), 200);
    api_posts(world, "/api/subscriptions/mailer/parked/order-1/release", "", 200);
    ends(world, "mailer", "\"n\":1}", "ack");
}

int main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, api_setup, api_teardown)
    const struct CMUnitTest tests[] = {
        ROW(a_dead_letter_is_shown_retried_and_discarded),
        ROW(dead_letters_come_in_pages_and_go_together),
        ROW(a_parked_key_from_end_to_end),
        ROW(a_parked_key_is_released_or_skipped),
        ROW(refuses_what_is_not_there_or_wrong),
        ROW(of_a_drained_group_it_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
