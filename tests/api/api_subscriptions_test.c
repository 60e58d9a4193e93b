// SPDX-License-Identifier: Apache-2.0
// Subscriptions over HTTP: shown, paused, resumed, drained, set back, deleted; and pull groups: who
// may end which delivery, and what is refused.
#include "api/http_client.h"
#include "base/buf.h"
#include "base/str.h"
#include "bus/checkpoint.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
// cmocka wants those above first
#include <cmocka.h>

#define GROUP(name, more) "{\"name\":\"" name "\",\"filter\":{\"types\":[\"order.*\"]}" more "}"

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

static void publish(const api_world *world, const char *type, const char *stream, const char *data)
{
    char body[256];

    (void)snprintf(body, sizeof body, "{\"type\":\"%s\",\"stream\":\"%s\",\"data\":%s}", type,
                   stream, data);
    assert_int_equal(api_post(world, "/api/events", body)->status, 201);
}

static void made(const api_world *world, const char *group)
{
    const api_answer *answer = api_post(world, "/api/subscriptions", group);

    if (answer->status != 201) print_error("%s\n", answer->body);
    assert_int_equal(answer->status, 201);
}

static const api_answer *asks(const api_world *world, const char *method, const char *path,
                              int status)
{
    const api_answer *answer = strcmp(method, "POST") == 0
                                   ? api_post(world, path, "")
                                   : api_ask(world, method, path, NULL, (skald_str){0}, NULL);

    if (answer->status != status) print_error("%s %s: %s\n", method, path, answer->body);
    assert_int_equal(answer->status, status);
    return answer;
}

static void says(const api_answer *answer, const char *text)
{
    if (!strstr(answer->body, text)) print_error("no %s in %s\n", text, answer->body);
    assert_non_null(strstr(answer->body, text));
}

// taken takes one delivery of a group and gives its id.
static void taken(const api_world *world, const char *name, char id[96], const char *text)
{
    char path[128];
    const char *at;
    const api_answer *answer;

    (void)snprintf(path, sizeof path, "/api/subscriptions/%s/deliveries?max=1&waitMs=5000", name);
    answer = api_get(world, path);
    at = strstr(answer->body, "\"deliveryId\":\"");
    assert_non_null(at);
    says(answer, text);
    (void)snprintf(id, 96, "%.*s", (int)strcspn(at + 14, "\""), at + 14);
}

static const api_answer *end(const api_world *world, const char *name, const char *what,
                             const char *id)
{
    char path[128];
    char body[512];

    (void)snprintf(path, sizeof path, "/api/subscriptions/%s/%s", name, what);
    (void)snprintf(body, sizeof body, "{\"deliveries\":[\"%s\"]}", id);
    return api_post(world, path, body);
}

static skald_outcome take_it(const skald_delivery *delivery)
{
    (void)delivery;
    return SKALD_ACK;
}

// registered makes a name that has a position and that nobody runs.
static skald_subscription handler(const api_world *world, const char *name)
{
    skald_subscription_options options = {.name = name, .handler.fn = take_it};
    skald_subscription subscription = {0};

    assert_int_equal(skald_subscribe(world->bus, &options, &subscription, NULL), SKALD_OK);
    return subscription;
}

static void shows_every_consumer(void **state)
{
    api_world *world = *state;
    const api_answer *answer;
    skald_subscription own = handler(world, "own");

    made(world, GROUP("mailer", ",\"onExhausted\":\"park_key\",\"from\":\"start\""));
    publish(world, "order.made", "order-1", "1");
    answer = api_wait(world, "/api/subscriptions/own", "\"acked\":1,");
    assert_non_null(answer);
    says(answer, "\"kind\":\"handler\",\"state\":\"running\",\"filter\":{\"types\":[],");
    says(answer,
         "\"order\":\"stream\",\"key\":null,\"onExhausted\":\"halt\",\"ackTimeoutMs\":30000,"
         "\"durable\":true,");
    says(answer, "\"live\":true,\"lagging\":false,\"stale\":false,\"inFlight\":0,\"retrying\":0,"
                 "\"parked\":0,\"dead\":0,\"acked\":1,");
    says(answer, "\"rates\":{\"inPerSecond\":");
    says(answer, "\"lastError\":null}");
    answer = asks(world, "GET", "/api/subscriptions", 200);
    says(answer, "\"name\":\"mailer\",\"kind\":\"pull\"");
    says(answer, "\"onExhausted\":\"park_key\"");
    says(answer, "\"nextCursor\":null}");
    assert_int_equal(skald_unsubscribe(world->bus, own, false), SKALD_OK);
    answer = api_wait(world, "/api/subscriptions/own", "\"state\":\"registered\"");
    assert_non_null(answer);
    says(answer, "\"filter\":null,\"order\":null,\"key\":null,\"onExhausted\":null,"
                 "\"ackTimeoutMs\":null");
    asks(world, "GET", "/api/subscriptions/nobody", 404);
    asks(world, "GET", "/api/subscriptions/skald.schedule", 404);
}

static void a_paused_group_gives_nothing(void **state)
{
    api_world *world = *state;
    char id[96];

    made(world, GROUP("mailer", ""));
    publish(world, "order.made", "order-1", "1");
    publish(world, "order.made", "order-2", "2");
    taken(world, "mailer", id, "order-1");
    says(asks(world, "POST", "/api/subscriptions/mailer/pause", 200), "\"state\":\"paused\"");
    says(asks(world, "POST", "/api/subscriptions/mailer/pause", 200), "\"state\":\"paused\"");
    says(api_get(world, "/api/subscriptions/mailer/deliveries"), "{\"data\":[]}");
    says(end(world, "mailer", "ack", id), "\"accepted\":1"); // what was out may end
    api_world_reopen(world);
    says(api_get(world, "/api/subscriptions/mailer"), "\"state\":\"paused\"");
    says(api_get(world, "/api/subscriptions/mailer/deliveries?waitMs=50"), "{\"data\":[]}");
    says(asks(world, "POST", "/api/subscriptions/mailer/resume", 200), "\"state\":\"running\"");
    taken(world, "mailer", id, "order-2");
    says(api_get(world, "/api/events?type=audit.*"), "\"type\":\"audit.subscription.paused\"");
    says(api_get(world, "/api/events?type=audit.*"), "\"type\":\"audit.subscription.resumed\"");
}

// A group that halts is faulted; resumed, it tries again what halted it.
static void a_faulted_group_is_resumed(void **state)
{
    api_world *world = *state;
    char id[96];

    made(world, GROUP("mailer", ",\"retry\":{\"attemptsMax\":1}"));
    publish(world, "order.made", "order-1", "1");
    taken(world, "mailer", id, "order-1");
    says(api_post(world, "/api/subscriptions/mailer/nack", "{\"deliveries\":[]}"), "deliveries");
    says(end(world, "mailer", "nack", id), "\"accepted\":1");
    says(api_get(world, "/api/subscriptions/mailer"), "\"state\":\"faulted\"");
    says(asks(world, "POST", "/api/subscriptions/mailer/resume", 200), "\"state\":\"running\"");
    taken(world, "mailer", id, "order-1");
}

static void a_drained_group_ends_and_may_go_on(void **state)
{
    api_world *world = *state;
    static const char shown[] =
        "\"order\":\"stream\",\"key\":null,\"onExhausted\":\"halt\",\"ackTimeoutMs\":30000,"
        "\"definition\":{\"filter\":{\"types\":[\"order.*\"]},\"name\":\"mailer\"},\"durable\"";
    char id[96];

    made(world, GROUP("mailer", ""));
    publish(world, "order.made", "order-1", "1");
    taken(world, "mailer", id, "order-1");
    says(asks(world, "POST", "/api/subscriptions/mailer/drain", 200), "\"state\":\"draining\"");
    says(asks(world, "POST", "/api/subscriptions/mailer/drain", 409), "INVALID_STATE");
    says(asks(world, "POST", "/api/subscriptions/mailer/pause", 409), "is draining, and will end");
    publish(world, "order.made", "order-2", "2");
    says(api_get(world, "/api/subscriptions/mailer/deliveries"), "{\"data\":[]}");
    says(end(world, "mailer", "ack", id), "\"accepted\":1");
    assert_non_null(api_wait(world, "/api/subscriptions/mailer", "\"state\":\"registered\""));
    says(asks(world, "GET", "/api/subscriptions/mailer/deliveries", 409), "was drained");
    says(asks(world, "POST", "/api/subscriptions/mailer/resume", 409), "nobody runs 'mailer'");
    says(end(world, "mailer", "ack", id), "STALE");
    // It shows what it was made of, alone and among the others: that is what it goes on with.
    says(api_get(world, "/api/subscriptions/mailer"), shown);
    says(api_get(world, "/api/subscriptions"), shown);
    assert_int_equal(api_post(world, "/api/subscriptions", "{\"name\":\"mailer\"}")->status, 409);
    assert_int_equal(api_post(world, "/api/subscriptions", GROUP("mailer", ""))->status, 200);
    taken(world, "mailer", id, "order-2"); // behind what was done
    says(asks(world, "POST", "/api/subscriptions/mailer/drain", 200), "\"state\":\"draining\"");
    says(end(world, "mailer", "ack", id), "\"accepted\":1");
    assert_non_null(api_wait(world, "/api/subscriptions/mailer", "\"state\":\"registered\""));
    says(asks(world, "DELETE", "/api/subscriptions/mailer", 200), "\"deleted\":true");
    asks(world, "GET", "/api/subscriptions/mailer", 404);
    made(world, GROUP("mailer", ""));
    taken(world, "mailer", id, "order-1"); // forgotten: from the start
}

// Polls that wait are answered when the group ends.
static void waiting_polls_end_with_their_group(void **state)
{
    api_world *world = *state;
    char text[65536] = "";
    int fd;

    made(world, GROUP("mailer", ""));
    fd = api_connect(world);
    api_send(fd, SKALD_STR("GET /api/subscriptions/mailer/deliveries?waitMs=30000 HTTP/1.1\r\n"
                           "Host: localhost\r\n\r\n"));
    // The poll stands in the group's list when another request behind it has been answered.
    asks(world, "GET", "/api/subscriptions/mailer/deliveries", 200);
    asks(world, "POST", "/api/subscriptions/mailer/drain", 200);
    assert_true(api_read_until(fd, text, sizeof text, "{\"data\":[]}"));
}

static void is_set_back(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"position\":-1}",
        "{\"position\":\"1\"}",
        "{\"position\":1,\"to\":\"end\"}",
        "{\"position\":1,\"position\":1}",
        "{\"time\":\"yesterday\"}",
        "{\"time\":7}",
        "{\"to\":\"middle\"}",
        "{\"from\":\"start\"}",
    };
    const char *path = "/api/subscriptions/mailer/reset";
    api_world *world = *state;
    char first[96], id[96];

    made(world, GROUP("mailer", ""));
    publish(world, "order.made", "order-1", "1");
    publish(world, "order.made", "order-2", "2");
    taken(world, "mailer", first, "order-1");
    taken(world, "mailer", id, "order-2");
    says(end(world, "mailer", "ack", id), "\"accepted\":1");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const api_answer *answer = api_post(world, path, bad[i]);
        if (answer->status != 400) print_error("%s: %s\n", bad[i], answer->body);
        assert_int_equal(answer->status, 400);
    }
    says(api_post(world, path, "{\"position\":99}"), "behind the end of the log");
    assert_int_equal(api_post(world, path, "{\"to\":\"start\"}")->status, 200);
    says(end(world, "mailer", "ack", first), "\"code\":\"STALE\""); // of before
    taken(world, "mailer", id, "order-1");
    taken(world, "mailer", id, "order-2");
    assert_int_equal(api_post(world, path, "{\"position\":1}")->status, 200);
    taken(world, "mailer", id, "order-2");
    assert_int_equal(api_post(world, path, "{\"time\":\"2000-01-01T00:00:00Z\"}")->status, 200);
    taken(world, "mailer", id, "order-1");
    assert_int_equal(api_post(world, path, "{\"to\":\"end\"}")->status, 200);
    says(api_get(world, "/api/subscriptions/mailer/deliveries?waitMs=20"), "{\"data\":[]}");
    publish(world, "order.made", "order-3", "3");
    taken(world, "mailer", id, "order-3");
    says(api_get(world, "/api/events?type=audit.subscription.reset"), "\"position\":1}");
}

static void refuses_what_cannot_be_done(void **state)
{
    static const char *const deeds[] = {"pause", "resume", "drain"};
    api_world *world = *state;
    skald_subscription own = handler(world, "own");
    char path[96];

    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "/api/subscriptions/nobody/%s", deeds[i]);
        asks(world, "POST", path, 404);
        (void)snprintf(path, sizeof path, "/api/subscriptions/skald.schedule/%s", deeds[i]);
        asks(world, "POST", path, 404);
        (void)snprintf(path, sizeof path, "/api/subscriptions/own/%s", deeds[i]);
        assert_int_equal(api_post(world, path, "{\"now\":true}")->status, 400);
        assert_int_equal(api_post(world, path, "{")->status, 400);
    }
    assert_int_equal(api_post(world, "/api/subscriptions/nobody/reset", "{\"position\":0}")->status,
                     404);
    says(asks(world, "DELETE", "/api/subscriptions/own", 409), "a program that runs here");
    asks(world, "GET", "/api/subscriptions/own/deliveries", 404); // no pull group
    says(asks(world, "POST", "/api/subscriptions/own/pause", 200), "\"state\":\"paused\"");
    assert_int_equal(skald_unsubscribe(world->bus, own, false), SKALD_OK);
    assert_non_null(api_wait(world, "/api/subscriptions/own", "\"state\":\"registered\""));
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "/api/subscriptions/own/%s", deeds[i]);
        says(asks(world, "POST", path, 409), "nobody runs 'own' here now");
    }
    asks(world, "DELETE", "/api/subscriptions/own", 200);
    asks(world, "DELETE", "/api/subscriptions/own", 404);
}

static void committed(skald_store_batch *batch, skald_err err)
{
    (void)batch;
    assert_int_equal(err, SKALD_OK);
}

// What an older server took stays: its worker registers it again with the same words.
static void takes_an_old_definition_again(void **state)
{
    api_world *world = *state;
    const char *again = "{\"name\":\"old\",\"filter\":{\"types\":[\"order*\"]}}";
    skald_buf place = {.bytes_max = 100};
    skald_store_value values[] = {
        {SKALD_STR("pull/old"),
         SKALD_STR("{\"filter\":{\"types\":[\"order*\"]},\"name\":\"old\"}")},
        {.name = SKALD_STR("sub/old")},
    };
    skald_store_batch batch = {.values = values, .value_count = 2, .done = committed};

    assert_int_equal(ski_checkpoint_encode(&(ski_checkpoint){.cursor = 0}, &place), SKALD_OK);
    values[1].bytes = ski_buf_str(&place);
    assert_int_equal(ski_store_commit(world->store, &batch), SKALD_OK);
    skald_buf_fini(&place);
    api_world_reopen(world);
    assert_int_equal(api_post(world, "/api/subscriptions", again)->status, 200);
    asks(world, "DELETE", "/api/subscriptions/old", 200);
    assert_int_equal(api_post(world, "/api/subscriptions", again)->status, 400);
}

// Each says which member, with what holds it, and what may be there; and nothing is made.
static void refuses_a_definition_and_says_where(void **state)
{
#define FIELD(field) "\"errors\":[{\"field\":\"" field "\""
    static const struct {
        const char *members, *field, *said;
    } bad[] = {
        {"\"fliter\":{}", FIELD("fliter"),
         "'fliter' is not known here; there may be name, filter, from, "},
        {"\"filter\":[]", FIELD("filter"), "must be a JSON object"},
        {"\"filter\":{\"type\":[]}", FIELD("filter.type"), "there may be types, streams, "},
        {"\"filter\":{\"types\":\"a\"}", FIELD("filter.types"), "must be a list of at most 256"},
        {"\"filter\":{\"types\":[\"\"]}", FIELD("filter.types"), "none empty"},
        {"\"filter\":{\"types\":[\"a.b\",\"order*\"]}", FIELD("filter.types"),
         "'order*' means no event: a filter is a name, a prefix as"},
        {"\"filter\":{\"types\":[\"*.made\"]}", FIELD("filter.types"), "means no event"},
        {"\"filter\":{\"types\":[\"order made\"]}", FIELD("filter.types"), "white space"},
        {"\"filter\":{\"tenantId\":7}", FIELD("filter.tenantId"), "must be a text"},
        {"\"retry\":{\"factor\":0.5}", FIELD("retry.factor"), "a number from 1 to 100"},
        {"\"retry\":{\"attempts\":1}", FIELD("retry.attempts"), "there may be attemptsMax, first"},
        {"\"retry\":{\"firstMs\":0}", FIELD("retry.firstMs"), "a whole number from 1 to 86400000"},
        {"\"ackTimeoutMs\":86400001", FIELD("ackTimeoutMs"), "from 1 to 86400000"},
        {"\"inFlightMax\":10001", FIELD("inFlightMax"), "from 1 to 10000"},
        {"\"order\":\"key\"", FIELD("key"), "is missing"},
        {"\"key\":\"/a\"", FIELD("key"), "goes with order"},
        {"\"order\":\"key\",\"key\":\"a\"", FIELD("key"), "must be a JSON pointer"},
        {"\"order\":\"sequence\"", FIELD("order"), "must be \\\"stream\\\""},
        {"\"onExhausted\":\"park\"", FIELD("onExhausted"), "park_key"},
        {"\"from\":\"middle\"", FIELD("from"), "or a position"},
    };
#undef FIELD
    api_world *world = *state;
    char body[256];

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const api_answer *answer;

        (void)snprintf(body, sizeof body, "{\"name\":\"odd\",%s}", bad[i].members);
        answer = api_post(world, "/api/subscriptions", body);
        if (answer->status != 400) print_error("%s: %s\n", bad[i].members, answer->body);
        assert_int_equal(answer->status, 400);
        says(answer, bad[i].field);
        says(answer, bad[i].said);
    }
    asks(world, "GET", "/api/subscriptions/odd", 404);
    made(world, "{\"name\":\"all\",\"filter\":{\"types\":[\"*\",\"order.*\",\"ORDER_MADE\"]}}");
}

static void a_delivery_is_ended_by_its_own_group_once(void **state)
{
    static const char *const garbage[] = {
        "",
        "-",
        "1-2",
        "1-2-3",
        "1-2-0123456789abcdeg",
        "1-2-0123456789ABCDEF",
        "1-2-0123456789abcdef-",
        "00000000000000001-2-0123456789abcdef",
        "../../etc/passwd",
        "-1-2-0123456789abcdef",
    };
    api_world *world = *state;
    char a[96], b[96], forged[128];

    made(world, GROUP("a", ""));
    made(world, GROUP("b", ""));
    publish(world, "order.made", "order-1", "1");
    taken(world, "a", a, "order-1");
    taken(world, "b", b, "order-1");
    says(end(world, "b", "ack", a), "{\"accepted\":0,\"refused\":[{\"deliveryId\":");
    says(end(world, "b", "ack", a), "\"code\":\"NOT_FOUND\"}");
    // The number of one's delivery behind the other's subscription, with either seal.
    (void)snprintf(forged, sizeof forged, "%.*s%s", (int)(strchr(b, '-') - b), b, strchr(a, '-'));
    says(end(world, "b", "ack", forged), "\"code\":\"STALE\"");
    (void)snprintf(forged, sizeof forged, "%.*s%s", (int)(strrchr(a, '-') - a), a, strrchr(b, '-'));
    says(end(world, "a", "ack", forged), "\"code\":\"STALE\"");
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++)
        says(end(world, "a", "ack", garbage[i]), "\"code\":\"INVALID\"");
    says(end(world, "a", "ack", a), "{\"accepted\":1,\"refused\":[]}");
    says(end(world, "a", "ack", a), "\"code\":\"STALE\"");
    says(end(world, "a", "nack", a), "\"code\":\"STALE\"");
    says(end(world, "b", "nack", b), "{\"accepted\":1,\"refused\":[]}");
}

static void refuses_garbage_for_an_ending(void **state)
{
    static const char *const bad[] = {
        "",
        "17",
        "{",
        "[]",
        "{}",
        "{\"deliveries\":{}}",
        "{\"deliveries\":[]}",
        "{\"deliveries\":[null]}",
        "{\"deliveries\":[\"1\"],\"delayMs\":-1}",
        "{\"deliveries\":[\"1\"],\"delayMs\":1e9}",
        "{\"deliveries\":[\"1\"],\"reason\":7}",
        "{\"deliveries\":[\"1\"],\"why\":\"x\"}",
        "{\"deliveries\":[\"1\"],\"deliveries\":[\"1\"]}",
    };
    api_world *world = *state;

    made(world, GROUP("a", ""));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const api_answer *answer = api_post(world, "/api/subscriptions/a/nack", bad[i]);
        if (answer->status != 400) print_error("%s: %s\n", bad[i], answer->body);
        assert_int_equal(answer->status, 400);
    }
    assert_int_equal(api_post(world, "/api/subscriptions/a/ack",
                              "{\"deliveries\":[\"1\"],\"delayMs\":1}")
                         ->status,
                     400); // belongs to nack
}

// What is not acknowledged in time comes again, and what comes late is refused.
static void an_unacknowledged_delivery_comes_again(void **state)
{
    api_world *world = *state;
    char id[96], again[96];

    made(world, GROUP("a", ",\"ackTimeoutMs\":30,\"retry\":{\"firstMs\":1}"));
    publish(world, "order.made", "order-1", "1");
    taken(world, "a", id, "\"attempt\":1,");
    taken(world, "a", again, "\"attempt\":");
    says(end(world, "a", "ack", id), "\"code\":\"STALE\"");
    assert_non_null(api_wait(world, "/api/subscriptions/a", "\"lastError\":{\"message\":"));
    assert_true(api_number(api_get(world, "/api/subscriptions/a")->body, "timedOut") >= 1);
}

static void at_most_so_many_are_out(void **state)
{
    api_world *world = *state;
    char id[96], second[96];

    made(world, GROUP("a", ",\"order\":\"none\",\"inFlightMax\":2"));
    for (int i = 0; i < 3; i++) publish(world, "order.made", "order-1", "1");
    taken(world, "a", id, "\"streamVersion\":1,"); // without an order several of a stream are out
    taken(world, "a", second, "\"streamVersion\":2,");
    says(api_get(world, "/api/subscriptions/a/deliveries?waitMs=20"), "{\"data\":[]}");
    says(end(world, "a", "ack", second), "\"accepted\":1");
    taken(world, "a", id, "\"streamVersion\":3,");
}

static void keys_are_in_order(void **state)
{
    api_world *world = *state;
    const api_answer *answer;
    char id[96];

    made(world, GROUP("a", ",\"order\":\"key\",\"key\":\"/to/id\""));
    publish(world, "order.made", "order-1", "{\"to\":{\"id\":\"x\"},\"n\":1}");
    publish(world, "order.made", "order-2", "{\"to\":{\"id\":\"x\"},\"n\":2}");
    publish(world, "order.made", "order-3", "{\"to\":{\"id\":\"y\"},\"n\":3}");
    taken(world, "a", id, "\"n\":1}");
    answer = api_get(world, "/api/subscriptions/a/deliveries?waitMs=2000");
    says(answer, "\"n\":3}");
    assert_null(strstr(answer->body, "\"n\":2}"));
    says(end(world, "a", "ack", id), "\"accepted\":1");
    taken(world, "a", id, "\"n\":2}");
}

typedef struct log_text {
    char text[4096];
} log_text;

static void note_line(void *context, skald_level level, skald_str line)
{
    log_text *noted = context;

    if (level == SKALD_ERROR)
        (void)snprintf(noted->text, sizeof noted->text, "%.*s", SKALD_FMT(line));
}

static void kept_done(skald_store_batch *batch, skald_err err)
{
    *(skald_err *)batch->context = err;
}

// A definition that a later version wrote, or that is damaged, is named; nothing begins without it.
static void a_stored_definition_that_cannot_be_read_is_named(void **state)
{
    static log_text noted;
    const skald_log log = {.line = note_line, .context = &noted};
    skald_store_options store_options = {.log = &log};
    skald_store_value value = {.name = SKALD_STR("pull/odd"),
                               .bytes = SKALD_STR("{\"name\":\"odd\",\"colour\":\"red\"}")};
    skald_err outcome = SKALD_EIO;
    skald_store_batch batch = {
        .values = &value, .value_count = 1, .done = kept_done, .context = &outcome};
    skald_bus_options bus_options = {.source = "test", .seed = 1};
    skald_store *store;
    skald_bus *bus;
    ski_api *api = NULL;
    skald_error error = {0};

    (void)state;
    assert_int_equal(skald_store_open("memory:", &store_options, &store, NULL), SKALD_OK);
    assert_int_equal(skald_bus_new(store, &bus_options, &bus), SKALD_OK);
    assert_int_equal(ski_store_commit(store, &batch), SKALD_OK);
    assert_int_equal(outcome, SKALD_OK);
    ski_api_options api_options = {.bus = bus, .source = "test"};
    assert_int_equal(ski_api_new(&api_options, &api, &error), SKALD_EINVALID);
    assert_non_null(strstr(noted.text, "a stored pull group cannot be run"));
    assert_non_null(strstr(noted.text, "odd"));
    assert_non_null(strstr(noted.text, "is not known here"));
    assert_non_null(strstr(error.text, "the stored pull group 'odd' cannot be run: "));
    assert_non_null(strstr(error.text, "is not known here"));
    assert_int_equal(skald_bus_stop(bus, 5000), SKALD_OK);
    skald_bus_free(bus);
    skald_store_close(store);
}

// None is left out in silence: neither one more than there may be, nor what has no room.
static void stored_definitions_that_are_too_many_or_too_large_are_said(void **state)
{
    enum { groups_max = 1024, large = 1 << 20, larges = 65 };
    static char text[large];
    skald_bus_options bus_options = {.source = "test", .seed = 1};

    (void)state;
    memset(text, 'x', sizeof text);
    for (int round = 0; round < 2; round++) {
        skald_str bytes = round ? (skald_str){text, large} : SKALD_STR("{}");
        skald_error error = {0};
        skald_store *store;
        skald_bus *bus;
        ski_api *api = NULL;

        assert_int_equal(skald_store_open("memory:", NULL, &store, NULL), SKALD_OK);
        assert_int_equal(skald_bus_new(store, &bus_options, &bus), SKALD_OK);
        for (int i = 0; i < (round ? larges : groups_max + 1); i++) {
            char name[32];
            skald_store_value value = {.name = {name, 0}, .bytes = bytes};
            skald_err outcome = SKALD_EIO;
            skald_store_batch batch = {
                .values = &value, .value_count = 1, .done = kept_done, .context = &outcome};

            value.name.len = (size_t)snprintf(name, sizeof name, "pull/g%04d", i);
            assert_int_equal(ski_store_commit(store, &batch), SKALD_OK);
            assert_int_equal(outcome, SKALD_OK);
        }
        ski_api_options api_options = {.bus = bus, .source = "test"};
        assert_int_equal(ski_api_new(&api_options, &api, &error),
                         round ? SKALD_ENOMEM : SKALD_EFULL);
        assert_non_null(strstr(error.text, round ? "may take 64 MiB" : "more than 1024 pull"));
        assert_non_null(strstr(error.text, "'g"));
        assert_int_equal(skald_bus_stop(bus, 5000), SKALD_OK);
        skald_bus_free(bus);
        skald_store_close(store);
    }
}

int main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        ROW(shows_every_consumer),
        ROW(a_paused_group_gives_nothing),
        ROW(a_faulted_group_is_resumed),
        ROW(a_drained_group_ends_and_may_go_on),
        ROW(waiting_polls_end_with_their_group),
        ROW(is_set_back),
        ROW(refuses_what_cannot_be_done),
        ROW(refuses_a_definition_and_says_where),
        ROW(takes_an_old_definition_again),
        ROW(a_delivery_is_ended_by_its_own_group_once),
        ROW(refuses_garbage_for_an_ending),
        ROW(an_unacknowledged_delivery_comes_again),
        ROW(at_most_so_many_are_out),
        ROW(keys_are_in_order),
        cmocka_unit_test(a_stored_definition_that_cannot_be_read_is_named),
        cmocka_unit_test(stored_definitions_that_are_too_many_or_too_large_are_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
