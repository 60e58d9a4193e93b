// SPDX-License-Identifier: Apache-2.0
// Reading events: every member, everything that is refused and what people are told, and that what
// was written is read again as it was.
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "event/event_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int setup(void **state)
{
    return skald_arena_new(1 << 20, (skald_arena **)state) != SKALD_OK;
}

static int teardown(void **state)
{
    skald_arena_free(*state);
    return 0;
}

static void text_is(skald_str text, const char *due)
{
    if (!skald_str_equal(text, skald_str_of(due)))
        fail_msg("'%.*s' is not '%s'", SKALD_FMT(text), due);
}

static const char full_json[] =
    "{\"id\":\"0192F0C1-7d3e-7c55-a1b2-010203040506\",\"type\":\"invoice.paid\",\"version\":2,"
    "\"stream\":\"invoice-\\\"17\\\"\",\"streamVersion\":7,\"position\":18446744073709551615,"
    "\"tenantId\":\"acme\",\"correlationId\":\"c\\\\1\",\"causationId\":\"0\","
    "\"actor\":{\"role\":\"admin\",\"userId\":\"u1\"},\"source\":\"/b\\u00e9\","
    "\"occurredAt\":\"2023-11-14T23:13:20.123456+01:00\",\"recordedAt\":\"2023-11-14T22:13:21Z\","
    "\"priority\":\"critical\",\"persistent\":false,\"traceparent\":\"00-0a-b7-01\","
    "\"tags\":[\"course:101\", \"student:\\u0037\"],\"data\": {\"total\": 1.50} ,"
    "\"metadata\":{\"test\":true}}";

static void test_everything(void **state)
{
    static const uint8_t id[] = {0x01, 0x92, 0xf0, 0xc1, 0x7d, 0x3e, 0x7c, 0x55,
                                 0xa1, 0xb2, 1,    2,    3,    4,    5,    6};
    skald_event event;

    assert_int_equal(skald_event_parse(skald_str_of(full_json), false, *state, &event, NULL),
                     SKALD_OK);
    assert_memory_equal(event.id.bytes, id, 16);
    text_is(event.type, "invoice.paid");
    text_is(event.stream, "invoice-\"17\"");
    text_is(event.tenant, "acme");
    text_is(event.correlation_id, "c\\1");
    text_is(event.causation_id, "0");
    text_is(event.user, "u1");
    text_is(event.role, "admin");
    text_is(event.source, "/b\xc3\xa9");
    text_is(event.traceparent, "00-0a-b7-01");
    text_is(event.tags, "course:101 student:7");
    text_is(event.data, "{\"total\": 1.50}");
    text_is(event.metadata, "{\"test\":true}");
    assert_true(event.position == UINT64_MAX && event.stream_version == 7 && event.version == 2);
    assert_true(event.occurred_at == 1700000000123456 && event.recorded_at == 1700000001000000);
    assert_true(event.priority == SKALD_CRITICAL && event.transient && !event.test);
}

static void test_next_to_nothing(void **state)
{
    static const char *const texts[] = {
        " {\"type\" : \"a\"} ",
        "{\"\\u0074ype\":\"\\u0061\",\"data\":null,\"id\":null,\"stream\":null,\"tags\":[],"
        "\"actor\":{},\"priority\":null,\"persistent\":true,\"metadata\":null,\"position\":null,"
        "\"version\":null,\"occurredAt\":null,\"deliverAt\":null}",
    };

    for (size_t i = 0; i < 2; i++) {
        skald_event event;
        assert_int_equal(ski_event_read(skald_str_of(texts[i]), 0, *state, &event, NULL, NULL),
                         SKALD_OK);
        text_is(event.type, "a");
        assert_null(event.stream.ptr);
        assert_null(event.data.ptr);
        assert_null(event.metadata.ptr);
        assert_null(event.tags.ptr);
        assert_null(event.user.ptr);
        assert_false(skald_uuid_given(event.id));
        assert_int_equal(event.version, 1);
        assert_int_equal(event.priority, SKALD_NORMAL);
    }
}

static const struct {
    const char *text;
    skald_err err;
    const char *field, *said;
} refused[] = {
    {"[]", SKALD_EINVALID, "", "an event must be an object, not an array"},
    {"\"x\"", SKALD_EINVALID, "", "not a string"},
    {"7", SKALD_EINVALID, "", "not a number"},
    {"null", SKALD_EINVALID, "", "not null"},
    {"true", SKALD_EINVALID, "", "not true"},
    {"false", SKALD_EINVALID, "", "not false"},
    {"{}", SKALD_EINVALID, "type", "type is missing"},
    {"{\"type\":null}", SKALD_EINVALID, "type", "type is missing"},
    {"{\"type\":7}", SKALD_EINVALID, "type", "type must be a string, not a number"},
    {"{\"type\":{}}", SKALD_EINVALID, "type", "not an object"},
    {"{\"type\":\"a b\"}", SKALD_EINVALID, "type", "white space"},
    {"{\"type\":\"a\",\"steam\":\"x\"}", SKALD_EINVALID, "steam",
     "unknown member 'steam': did you mean 'stream'?"},
    {"{\"type\":\"a\",\"Stream\":\"x\"}", SKALD_EINVALID, "Stream", "did you mean 'stream'?"},
    {"{\"tpye\":\"a\"}", SKALD_EINVALID, "tpye", "did you mean 'type'?"},
    {"{\"type\":\"a\",\"tenant_id\":1}", SKALD_EINVALID, "tenant_id", "did you mean 'tenantId'?"},
    {"{\"type\":\"a\",\"payload\":1}", SKALD_EINVALID, "payload", "unknown member 'payload'"},
    {"{\"type\":\"a\",\"\":1}", SKALD_EINVALID, "", "unknown member ''"},
    {"{\"type\":\"a\",\"x\\n\\u0000y\":1}", SKALD_EINVALID, "x?", "unknown member 'x?'"},
    {"{\"type\":\"a\",\"0123456789012345678901234567890123456789abcdefghijklmnopqrstuvwxyz\":1}",
     SKALD_EINVALID, "0123456789012345678901234567890123456789abcdefgh", "unknown member '0123"},
    {"{\"type\":\"a\",\"data\":1,\"data\":2}", SKALD_EINVALID, "data",
     "data is given more than once"},
    {"{\"type\":\"a\",\"\\u0074ype\":\"b\"}", SKALD_EINVALID, "type", "more than once"},
    {"{\"type\":\"a\",\"stream\":null,\"stream\":null}", SKALD_EINVALID, "stream",
     "more than once"},
    {"{\"type\":\"a\",\"id\":\"x\"}", SKALD_EINVALID, "id", "must be a UUID"},
    {"{\"type\":\"a\",\"id\":\"00000000-0000-0000-0000-000000000000\"}", SKALD_EINVALID, "id",
     "not all zero"},
    {"{\"type\":\"a\",\"id\":1}", SKALD_EINVALID, "id", "must be a string"},
    {"{\"type\":\"a\",\"version\":0}", SKALD_EINVALID, "version", "from 1 to 4294967295"},
    {"{\"type\":\"a\",\"version\":4294967296}", SKALD_EINVALID, "version", "from 1"},
    {"{\"type\":\"a\",\"version\":1.0}", SKALD_EINVALID, "version", "whole number"},
    {"{\"type\":\"a\",\"version\":\"1\"}", SKALD_EINVALID, "version", "whole number"},
    {"{\"type\":\"a\",\"stream\":\"\"}", SKALD_EINVALID, "stream", "stream is empty"},
    {"{\"type\":\"a\",\"stream\":[]}", SKALD_EINVALID, "stream", "not an array"},
    {"{\"type\":\"a\",\"tenantId\":true}", SKALD_EINVALID, "tenantId", "not true"},
    {"{\"type\":\"a\",\"correlationId\":\"a\\r\\nb\"}", SKALD_EINVALID, "correlationId",
     "line break"},
    {"{\"type\":\"a\",\"causationId\":1}", SKALD_EINVALID, "causationId", "not a number"},
    {"{\"type\":\"a\",\"actor\":\"u\"}", SKALD_EINVALID, "actor",
     "actor must be an object, not a string"},
    {"{\"type\":\"a\",\"actor\":{\"userId\":1}}", SKALD_EINVALID, "actor.userId",
     "actor.userId must be a string"},
    {"{\"type\":\"a\",\"actor\":{\"role\":\"\"}}", SKALD_EINVALID, "actor.role", "is empty"},
    {"{\"type\":\"a\",\"actor\":{\"role\":\"a\",\"role\":\"b\"}}", SKALD_EINVALID, "actor.role",
     "more than once"},
    {"{\"type\":\"a\",\"actor\":{\"userid\":\"a\"}}", SKALD_EINVALID, "actor.userid",
     "did you mean 'actor.userId'?"},
    {"{\"type\":\"a\",\"actor\":{\"name\":\"a\"}}", SKALD_EINVALID, "actor.name",
     "unknown member 'actor.name'"},
    {"{\"type\":\"a\",\"actor\":{},\"actor\":{}}", SKALD_EINVALID, "actor", "more than once"},
    {"{\"type\":\"a\",\"source\":{}}", SKALD_EINVALID, "source", "not an object"},
    {"{\"type\":\"a\",\"occurredAt\":\"yesterday\"}", SKALD_EINVALID, "occurredAt", "RFC 3339"},
    {"{\"type\":\"a\",\"occurredAt\":1700000000}", SKALD_EINVALID, "occurredAt",
     "must be a string"},
    {"{\"type\":\"a\",\"occurredAt\":\"1970-01-01T00:00:00Z\"}", SKALD_EINVALID, "occurredAt",
     "not known"},
    {"{\"type\":\"a\",\"priority\":\"urgent\"}", SKALD_EINVALID, "priority",
     "\"low\", \"normal\", \"high\" or \"critical\""},
    {"{\"type\":\"a\",\"priority\":1}", SKALD_EINVALID, "priority", "must be a string"},
    {"{\"type\":\"a\",\"persistent\":\"no\"}", SKALD_EINVALID, "persistent", "true or false"},
    {"{\"type\":\"a\",\"deliverAt\":\"2030-01-01T00:00:00Z\"}", SKALD_EINVALID, "deliverAt",
     "belongs to publishing"},
    {"{\"type\":\"a\",\"expiresAt\":1}", SKALD_EINVALID, "expiresAt", "belongs to publishing"},
    {"{\"type\":\"a\",\"traceparent\":\"a b\"}", SKALD_EINVALID, "traceparent", "white space"},
    {"{\"type\":\"a\",\"tags\":\"x\"}", SKALD_EINVALID, "tags",
     "must be an array of strings, not a string"},
    {"{\"type\":\"a\",\"tags\":[1]}", SKALD_EINVALID, "tags", "not a number"},
    {"{\"type\":\"a\",\"tags\":[\"a\",\"\"]}", SKALD_EINVALID, "tags", "item 1 is empty"},
    {"{\"type\":\"a\",\"tags\":[\"a b\"]}", SKALD_EINVALID, "tags",
     "item 0 is empty or holds a space"},
    {"{\"type\":\"a\",\"tags\":[\"a\\u0007\"]}", SKALD_EINVALID, "tags", "control character"},
    {"{\"type\":\"a\",\"metadata\":[]}", SKALD_EINVALID, "metadata",
     "must be an object, not an array"},
    {"{\"type\":\"a\",\"position\":1}", SKALD_EINVALID, "position", "given by the store"},
    {"{\"type\":\"a\",\"streamVersion\":1}", SKALD_EINVALID, "streamVersion", "given by the store"},
    {"{\"type\":\"a\",\"recordedAt\":\"2030-01-01T00:00:00Z\"}", SKALD_EINVALID, "recordedAt",
     "given by the store"},
    {"{\"type\":\"a\",\"expectedVersion\":1}", SKALD_EINVALID, "expectedVersion",
     "belongs to publishing"},
};

static void test_refusals(void **state)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        skald_str text = skald_str_of(refused[i].text);
        skald_event event = {.version = 77};
        skald_error error = {0};
        assert_int_equal(ski_json_door_check(text, false, NULL), SKALD_OK);
        if (ski_event_read(text, 0, *state, &event, NULL, &error) != refused[i].err ||
            strcmp(error.field, refused[i].field) != 0 || !strstr(error.text, refused[i].said)) {
            fail_msg("%s: %d [%s] %s", refused[i].text, (int)error.err, error.field, error.text);
        }
        assert_int_equal(ski_event_read(text, 0, *state, &event, NULL, NULL), refused[i].err);
        assert_int_equal(event.version, 77); // nothing was written
    }
}

static void test_refusals_of_stored(void **state)
{
    static const struct {
        const char *text, *field;
    } cases[] = {
        {"{\"type\":\"a\",\"position\":0}", "position"},
        {"{\"type\":\"a\",\"position\":\"1\"}", "position"},
        {"{\"type\":\"a\",\"streamVersion\":-1}", "streamVersion"},
        {"{\"type\":\"a\",\"recordedAt\":\"x\"}", "recordedAt"},
        {"{\"type\":\"a\",\"expectedVersion\":1}", "expectedVersion"},
        {"{\"type\":\"a\"", ""},
        {"{\"type\":\"\\ud800\"}", ""},
        {"", ""},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        skald_event event;
        skald_error error = {0};
        assert_int_equal(skald_event_parse(skald_str_of(cases[i].text), false, *state, &event,
                                           &error),
                         SKALD_EINVALID);
        assert_string_equal(error.field, cases[i].field);
        assert_true(error.text[0]);
    }
}

static void test_expected_version(void **state)
{
    static const struct {
        const char *text;
        ski_event_expected expected;
        uint64_t version;
    } taken[] = {
        {"0", SKI_EXPECT_NONE, 0},
        {"7", SKI_EXPECT_AT, 7},
        {"\"any\"", SKI_EXPECT_ANY, 0},
        {"\"none\"", SKI_EXPECT_NONE, 0},
        {"\"exists\"", SKI_EXPECT_EXISTS, 0},
        {"null", SKI_EXPECT_ANY, 0},
        {"18446744073709551615", SKI_EXPECT_AT, UINT64_MAX},
    };
    static const char *const bad[] = {"-1", "1.5", "1e3", "\"7\"", "\"\"", "true", "[]", "{}"};
    ski_event_expect expect;
    skald_event event;
    char text[100];

    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        snprintf(text, sizeof(text), "{\"type\":\"a\",\"expectedVersion\":%s}", taken[i].text);
        expect = (ski_event_expect){.expected = SKI_EXPECT_AT, .version = 99};
        assert_int_equal(ski_event_read(skald_str_of(text), 0, *state, &event, &expect, NULL),
                         SKALD_OK);
        assert_int_equal(expect.expected, taken[i].expected);
        assert_true(expect.version == taken[i].version);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        skald_error error = {0};
        snprintf(text, sizeof(text), "{\"type\":\"a\",\"expectedVersion\":%s}", bad[i]);
        expect = (ski_event_expect){.expected = SKI_EXPECT_AT, .version = 99};
        assert_int_equal(ski_event_read(skald_str_of(text), 0, *state, &event, &expect, &error),
                         SKALD_EINVALID);
        assert_string_equal(error.field, "expectedVersion");
        assert_non_null(strstr(error.text, "\"any\", \"none\", \"exists\""));
        assert_true(expect.version == 99);
    }
}

static void test_asked_times(void **state)
{
    static const char *const bad[] = {
        "1", "\"\"", "\"soon\"", "\"1970-01-01T00:00:00Z\"", "\"2030-01-01\"", "[]"};
    static const char *const names[] = {"deliverAt", "expiresAt"};
    ski_event_expect expect = {0};
    skald_event event;
    char text[100];

    for (int n = 0; n < 2; n++) {
        snprintf(text, sizeof(text), "{\"type\":\"a\",\"%s\":\"2030-01-01T01:00:00+01:00\"}",
                 names[n]);
        assert_int_equal(ski_event_read(skald_str_of(text), 0, *state, &event, &expect, NULL),
                         SKALD_OK);
        assert_int_equal(n ? expect.expires_at : expect.deliver_at, INT64_C(1893456000000000));
        assert_int_equal(n ? expect.deliver_at : expect.expires_at, 0);
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
            skald_error error = {0};
            snprintf(text, sizeof(text), "{\"type\":\"a\",\"%s\":%s}", names[n], bad[i]);
            assert_int_equal(ski_event_read(skald_str_of(text), 0, *state, &event, &expect, &error),
                             SKALD_EINVALID);
            assert_string_equal(error.field, names[n]);
        }
    }
}

static void test_not_kept(void **state)
{
    skald_event event;

    assert_int_equal(ski_event_read(SKALD_STR("{\"type\":\"a\",\"persistent\":false}"), 0, *state,
                                    &event, NULL, NULL),
                     SKALD_OK);
    assert_true(event.transient);
}

// long_text makes {"type":"a","NAME":OPEN count times fill CLOSE}.
static skald_str long_text(skald_buf *buf, const char *head, const char *fill, size_t count,
                           const char *tail)
{
    buf->len = 0;
    assert_int_equal(skald_buf_put(buf, skald_str_of(head)), SKALD_OK);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(skald_buf_put(buf, skald_str_of(fill)), SKALD_OK);
    assert_int_equal(skald_buf_put(buf, skald_str_of(tail)), SKALD_OK);
    return ski_buf_str(buf);
}

static void test_limits(void **state)
{
    static const struct {
        const char *head, *fill;
        size_t count;
        const char *tail, *said;
        skald_err err;
    } cases[] = {
        {"{\"type\":\"", "a", 255, "\"}", NULL, SKALD_OK},
        {"{\"type\":\"", "\\u0061", 255, "\"}", NULL, SKALD_OK},
        {"{\"type\":\"", "\\u0061", 256, "\"}", "has 256 bytes; at most 255", SKALD_EINVALID},
        {"{\"type\":\"", "\\u0061", 2000, "\"}", "is far too long", SKALD_EINVALID},
        {"{\"type\":\"a\",\"tags\":[\"a\"", ",\"b\"", 511, ",\"c\"]}", "more than 1024 bytes",
         SKALD_EINVALID},
        {"{\"type\":\"a\",\"tags\":[\"ab\"", ",\"b\"", 511, "]}", NULL, SKALD_OK},
        {"{\"type\":\"a\",\"tags\":[\"", "a", 1024, "\"]}", NULL, SKALD_OK},
        {"{\"type\":\"a\",\"tags\":[\"", "a", 1025, "\"]}", "more than 1024 bytes", SKALD_EINVALID},
        {"{\"type\":\"a\",\"metadata\":{\"k\":\"", "a", 65528, "\"}}", NULL, SKALD_OK},
        {"{\"type\":\"a\",\"metadata\":{\"k\":\"", "a", 65529, "\"}}", "at most 65536",
         SKALD_ETOOBIG},
        {"{\"type\":\"a\",\"\\u0078", "x", 10000, "\":1}", "unknown member", SKALD_EINVALID},
    };
    skald_buf buf = {.bytes_max = 1 << 20};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        skald_event event;
        skald_error error = {0};
        skald_str text =
            long_text(&buf, cases[i].head, cases[i].fill, cases[i].count, cases[i].tail);
        skald_arena_reset(*state);
        if (ski_event_read(text, 0, *state, &event, NULL, &error) != cases[i].err) {
            fail_msg("case %zu: %s", i, error.text);
        }
        if (cases[i].said && !strstr(error.text, cases[i].said))
            fail_msg("case %zu: %s", i, error.text);
    }
    skald_buf_fini(&buf);
}

static void test_without_memory(void **state)
{
    skald_event event;
    skald_error error = {0};
    skald_arena *small;

    (void)state;
    assert_int_equal(skald_arena_new(1, &small), SKALD_OK);
    assert_int_equal(skald_event_parse(skald_str_of(full_json), false, small, &event, &error),
                     SKALD_ENOMEM);
    assert_non_null(strstr(error.text, "out of memory"));
    skald_arena_free(small);
}

// What is written and read again is the same, field by field, and written again the same bytes.
static void test_round_trip(void **state)
{
    skald_event first, second;
    skald_buf one = {.bytes_max = 10000}, two = {.bytes_max = 10000};

    assert_int_equal(skald_event_parse(skald_str_of(full_json), false, *state, &first, NULL),
                     SKALD_OK);
    assert_int_equal(skald_event_json(&first, false, &one), SKALD_OK);
    assert_int_equal(skald_event_parse(ski_buf_str(&one), false, *state, &second, NULL), SKALD_OK);
    assert_int_equal(skald_event_json(&second, false, &two), SKALD_OK);
    assert_true(skald_str_equal(ski_buf_str(&one), ski_buf_str(&two)));
    assert_true(skald_uuid_equal(first.id, second.id) && first.occurred_at == second.occurred_at);
    assert_true(skald_str_equal(first.tags, second.tags) &&
                skald_str_equal(first.data, second.data));
    skald_buf_fini(&one);
    skald_buf_fini(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),       cmocka_unit_test(test_next_to_nothing),
        cmocka_unit_test(test_refusals),         cmocka_unit_test(test_refusals_of_stored),
        cmocka_unit_test(test_expected_version), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_asked_times),      cmocka_unit_test(test_not_kept),
        cmocka_unit_test(test_without_memory),   cmocka_unit_test(test_round_trip),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
