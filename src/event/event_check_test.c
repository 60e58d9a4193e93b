// SPDX-License-Identifier: Apache-2.0
// The rules of an envelope: each is broken once, and the error names the field; each limit is kept
// and exceeded by one.
#include "base/alloc.h"
#include "event/event_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const skald_event valid = {
    .type = SKALD_STR("invoice.paid"),
    .data = SKALD_STR("{\"total\":\"12.50\"}"),
    .metadata = SKALD_STR("{\"test\":true}"),
    .stream = SKALD_STR("invoice 17"),
    .tags = SKALD_STR("course:101 student:7"),
    .tenant = SKALD_STR("acme"),
    .correlation_id = SKALD_STR(" any text "),
    .causation_id = SKALD_STR("c\xc3\xa9"),
    .user = SKALD_STR("u 1"),
    .role = SKALD_STR("admin"),
    .source = SKALD_STR("/billing"),
    .traceparent = SKALD_STR("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    .occurred_at = 1,
    .version = 3,
    .priority = SKALD_CRITICAL,
};

static void check_fails(const skald_event *event, skald_err due, const char *field,
                        const char *said)
{
    skald_error error = {0};

    assert_int_equal(skald_event_check(event, 100, &error), due);
    assert_int_equal(error.err, due);
    assert_string_equal(error.field, field);
    if (!strstr(error.text, said)) fail_msg("'%s' lacks '%s'", error.text, said);
    assert_int_equal(skald_event_check(event, 100, NULL), due); // nobody need listen
}

static void test_accepts(void **state)
{
    skald_event event = {.type = SKALD_STR("a")};

    (void)state;
    assert_int_equal(skald_event_check(&valid, 0, NULL), SKALD_OK);
    assert_int_equal(skald_event_check(&event, 0, NULL), SKALD_OK);
    event.tenant = SKALD_STR("");
    event.type = SKALD_STR("f\xc3\xb6rs\xc3\xa4ljning.\xe2\x82\xac.\xf0\x9f\x98\x80");
    event.data = SKALD_STR(" [1,\n2] ");
    assert_int_equal(skald_event_check(&event, 0, NULL), SKALD_OK);
}

static void test_type(void **state)
{
    static const struct {
        skald_str type;
        const char *said;
    } cases[] = {
        {{NULL, 0}, "type is missing"},
        {SKALD_STR(""), "type is empty"},
        {SKALD_STR("invoice paid"), "white space"},
        {SKALD_STR("invoice\xc2\xa0paid"), "white space"},
        {SKALD_STR("invoice\xe2\x80\x83paid"), "white space"},
        {SKALD_STR("invoice\xe2\x80\x8bpaid"), "white space"},
        {SKALD_STR("a\xe3\x80\x80"), "white space"},
        {SKALD_STR("invoice\tpaid"), "control character"},
        {SKALD_STR("invoice.paid\x7f"), "control character"},
        {SKALD_STR("invoice.paid.longer\x7f.name"), "control character"},
        {SKALD_STR("a\0b"), "control character"},
        {SKALD_STR("a\xc2\x85"), "control character"},
        {SKALD_STR("a\xe2\x80\xa8"), "line break"},
        {SKALD_STR("\xff"), "not UTF-8"},
        {SKALD_STR("a.\xc3"), "not UTF-8"},
        {SKALD_STR("\xc3\xa9\xed\xa0\x80"), "not UTF-8"},
        {SKALD_STR(".paid"), "begins or ends with '.'"},
        {SKALD_STR("invoice."), "begins or ends with '.'"},
        {SKALD_STR("invoice.*"), "that is for filters"},
        {SKALD_STR("*"), "that is for filters"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        skald_event event = valid;
        event.type = cases[i].type;
        check_fails(&event, SKALD_EINVALID, "type", cases[i].said);
    }
}

// One byte that is not plain is seen wherever it stands in a name of whatever length.
static void test_every_byte_is_looked_at(void **state)
{
    static const char odd[] = {0x1f, ' ', 0x7f, '\n', (char)0x80};

    (void)state;
    for (size_t len = 1; len <= 33; len++) {
        for (size_t at = 0; at < len; at++) {
            for (size_t i = 0; i < sizeof(odd); i++) {
                char name[33]; // ends where its memory does, at last
                skald_event event = valid;

                memset(name, '~', sizeof(name));
                event.type = (skald_str){name + sizeof(name) - len, len};
                assert_int_equal(skald_event_check(&event, 0, NULL), SKALD_OK);
                name[sizeof(name) - len + at] = odd[i];
                assert_int_equal(skald_event_check(&event, 0, NULL), SKALD_EINVALID);
            }
        }
    }
}

static void test_stream_tags_and_others(void **state)
{
    static const struct {
        size_t offset;
        skald_str text;
        const char *field, *said;
    } cases[] = {
        {offsetof(skald_event, stream), SKALD_STR(""), "stream", "is empty"},
        {offsetof(skald_event, stream), SKALD_STR(" a"), "stream", "begins or ends"},
        {offsetof(skald_event, stream), SKALD_STR("a "), "stream", "begins or ends"},
        {offsetof(skald_event, stream), SKALD_STR("a\xc2\xa0"), "stream", "begins or ends"},
        {offsetof(skald_event, stream), SKALD_STR("a\nb"), "stream", "control character"},
        {offsetof(skald_event, tenant), SKALD_STR("a\r"), "tenantId", "control character"},
        {offsetof(skald_event, correlation_id), SKALD_STR("a\r\nX: y"), "correlationId", "control"},
        {offsetof(skald_event, causation_id), SKALD_STR("\x1b"), "causationId", "control"},
        {offsetof(skald_event, user), SKALD_STR(""), "actor.userId", "is empty"},
        {offsetof(skald_event, role), SKALD_STR("\x01"), "actor.role", "control"},
        {offsetof(skald_event, source), SKALD_STR("\xfe"), "source", "not UTF-8"},
        {offsetof(skald_event, traceparent), SKALD_STR("00 1"), "traceparent", "white space"},
        {offsetof(skald_event, tags), SKALD_STR(" a"), "tags", "one space between"},
        {offsetof(skald_event, tags), SKALD_STR("a "), "tags", "one space between"},
        {offsetof(skald_event, tags), SKALD_STR("a  b"), "tags", "one space between"},
        {offsetof(skald_event, metadata), SKALD_STR("[]"), "metadata", "must be an object"},
        {offsetof(skald_event, metadata), SKALD_STR("{"), "metadata", "line 1 column 2"},
        {offsetof(skald_event, data), SKALD_STR(""), "data", "the text is empty"},
        {offsetof(skald_event, data), SKALD_STR("{\"a\":tru}"), "data", "data: line 1 column 6"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        skald_event event = valid;
        memcpy((char *)&event + cases[i].offset, &cases[i].text, sizeof(skald_str));
        check_fails(&event, SKALD_EINVALID, cases[i].field, cases[i].said);
    }
}

static void test_limits(void **state)
{
    static const struct {
        size_t offset, bytes_max;
        const char *field;
    } cases[] = {
        {offsetof(skald_event, type), SKALD_TYPE_BYTES_MAX, "type"},
        {offsetof(skald_event, stream), SKALD_STREAM_BYTES_MAX, "stream"},
        {offsetof(skald_event, tenant), SKALD_TENANT_BYTES_MAX, "tenantId"},
        {offsetof(skald_event, correlation_id), SKALD_CORRELATION_BYTES_MAX, "correlationId"},
        {offsetof(skald_event, causation_id), SKALD_CORRELATION_BYTES_MAX, "causationId"},
        {offsetof(skald_event, user), SKALD_ACTOR_BYTES_MAX, "actor.userId"},
        {offsetof(skald_event, role), SKALD_ACTOR_BYTES_MAX, "actor.role"},
        {offsetof(skald_event, source), SKALD_SOURCE_BYTES_MAX, "source"},
        {offsetof(skald_event, traceparent), SKALD_TRACEPARENT_BYTES_MAX, "traceparent"},
        {offsetof(skald_event, tags), SKALD_TAGS_BYTES_MAX, "tags"},
    };
    char text[SKALD_TAGS_BYTES_MAX + 1];

    (void)state;
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        skald_event event = valid;
        skald_str most = {text, cases[i].bytes_max}, more = {text, cases[i].bytes_max + 1};
        memcpy((char *)&event + cases[i].offset, &most, sizeof(most));
        assert_int_equal(skald_event_check(&event, 0, NULL), SKALD_OK);
        memcpy((char *)&event + cases[i].offset, &more, sizeof(more));
        check_fails(&event, SKALD_EINVALID, cases[i].field, "bytes; at most");
    }
}

static void test_sizes(void **state)
{
    char *text = ski_alloc(SKALD_EVENT_BYTES_MAX + 1);
    skald_event event = valid;

    (void)state;
    assert_non_null(text);
    memset(text, ' ', SKALD_EVENT_BYTES_MAX + 1);
    text[0] = '{';
    text[1] = '}';
    event.data = (skald_str){text, 100};
    assert_int_equal(skald_event_check(&event, 100, NULL), SKALD_OK);
    event.data.len++;
    check_fails(&event, SKALD_ETOOBIG, "data", "data has 101 bytes; at most 100");
    event.data.len = SKALD_EVENT_BYTES_MAX;
    assert_int_equal(skald_event_check(&event, 0, NULL), SKALD_OK);
    event.data.len++;
    assert_int_equal(skald_event_check(&event, 0, NULL), SKALD_ETOOBIG);
    event.data = valid.data;
    event.metadata = (skald_str){text, SKALD_METADATA_BYTES_MAX};
    assert_int_equal(skald_event_check(&event, 0, NULL), SKALD_OK);
    event.metadata.len++;
    check_fails(&event, SKALD_ETOOBIG, "metadata", "at most 65536");
    ski_free(text);
}

static void test_priority_and_times(void **state)
{
    skald_event event = valid;

    (void)state;
    event.priority = (skald_priority)(SKALD_CRITICAL + 1);
    check_fails(&event, SKALD_EINVALID, "priority", "priority 3 is none of");
    event.priority = SKALD_LOW;
    event.occurred_at = INT64_MAX;
    check_fails(&event, SKALD_EINVALID, "occurredAt", "years 1 to 9999");
    event.occurred_at = 0;
    event.recorded_at = INT64_MIN;
    check_fails(&event, SKALD_EINVALID, "recordedAt", "years 1 to 9999");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_type),
        cmocka_unit_test(test_every_byte_is_looked_at),
        cmocka_unit_test(test_stream_tags_and_others),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_priority_and_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
