// SPDX-License-Identifier: Apache-2.0
// What an event looks like as JSON: the exact bytes, one line whatever came in, and nothing at all
// when it does not fit.
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include <skald/event.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const skald_event full = {
    .type = SKALD_STR("invoice.paid"),
    .data = SKALD_STR("{\"total\": 1.50}"),
    .metadata = SKALD_STR("{\"test\":true}"),
    .id = {{0x01, 0x92, 0xf0, 0xc1, 0x7d, 0x3e, 0x7c, 0x55, 0xa1, 0xb2, 1, 2, 3, 4, 5, 6}},
    .stream = SKALD_STR("invoice-\"17\""),
    .tags = SKALD_STR("course:101 student:7"),
    .tenant = SKALD_STR("acme"),
    .correlation_id = SKALD_STR("c\\1"),
    .causation_id = SKALD_STR("0"),
    .user = SKALD_STR("u1"),
    .role = SKALD_STR("admin"),
    .source = SKALD_STR("/b\xc3\xa9"),
    .traceparent = SKALD_STR("00-0a-b7-01"),
    .occurred_at = 1700000000123456,
    .recorded_at = 1700000001000000,
    .position = UINT64_MAX,
    .stream_version = 7,
    .version = 2,
    .priority = SKALD_CRITICAL,
    .transient = true,
    .test = true,
};

static const char full_json[] =
    "{\"id\":\"0192f0c1-7d3e-7c55-a1b2-010203040506\",\"type\":\"invoice.paid\",\"version\":2,"
    "\"stream\":\"invoice-\\\"17\\\"\",\"streamVersion\":7,\"position\":18446744073709551615,"
    "\"tenantId\":\"acme\",\"correlationId\":\"c\\\\1\",\"causationId\":\"0\","
    "\"actor\":{\"userId\":\"u1\",\"role\":\"admin\"},\"source\":\"/b\xc3\xa9\","
    "\"occurredAt\":\"2023-11-14T22:13:20.123456Z\",\"recordedAt\":\"2023-11-14T22:13:21.000000Z\","
    "\"priority\":\"critical\",\"persistent\":false,\"traceparent\":\"00-0a-b7-01\","
    "\"tags\":[\"course:101\",\"student:7\"],\"data\":{\"total\": 1.50},"
    "\"metadata\":{\"test\":true}}";

static void json_is(const skald_event *event, const char *due)
{
    skald_buf buf = {.bytes_max = 10000};

    assert_int_equal(skald_event_json(event, false, &buf), SKALD_OK);
    if (!skald_str_equal(ski_buf_str(&buf), skald_str_of(due))) {
        fail_msg("\n%.*s\n%s", SKALD_FMT(ski_buf_str(&buf)), due);
    }
    assert_int_equal(ski_json_door_check(ski_buf_str(&buf), false, NULL), SKALD_OK);
    skald_buf_fini(&buf);
}

static void test_everything(void **state)
{
    (void)state;
    json_is(&full, full_json);
}

static void test_next_to_nothing(void **state)
{
    skald_event event = {.type = SKALD_STR("a.b")};

    (void)state;
    json_is(&event, "{\"type\":\"a.b\",\"version\":1,\"stream\":null,\"streamVersion\":null,"
                    "\"position\":null,\"correlationId\":null,\"causationId\":null,"
                    "\"priority\":\"normal\",\"persistent\":true,\"data\":null}");
    event.role = SKALD_STR("admin");
    event.tenant = event.source = event.tags = SKALD_STR("");
    event.priority = SKALD_LOW;
    event.stream = event.correlation_id = SKALD_STR("");
    json_is(
        &event,
        "{\"type\":\"a.b\",\"version\":1,\"stream\":null,\"streamVersion\":null,"
        "\"position\":null,\"correlationId\":null,\"causationId\":null,"
        "\"actor\":{\"role\":\"admin\"},\"priority\":\"low\",\"persistent\":true,\"data\":null}");
    event = (skald_event){.type = SKALD_STR("a.b"),
                          .user = SKALD_STR("u"),
                          .priority = SKALD_HIGH,
                          .tags = SKALD_STR(" x  y ")};
    json_is(&event, "{\"type\":\"a.b\",\"version\":1,\"stream\":null,\"streamVersion\":null,"
                    "\"position\":null,\"correlationId\":null,\"causationId\":null,"
                    "\"actor\":{\"userId\":\"u\"},\"priority\":\"high\",\"persistent\":true,"
                    "\"tags\":[\"x\",\"y\"],\"data\":null}");
}

// Line breaks between tokens go, and those written as escapes in strings stay.
static void test_one_line(void **state)
{
    static const skald_str texts[][2] = {
        {SKALD_STR("{\n  \"a b\": [1,\r\n 2],\n\"c\":\"x\\ny z\"\n}\n"),
         SKALD_STR("{\"a b\":[1,2],\"c\":\"x\\ny z\"}")},
        {SKALD_STR("\r[ 1 ]"), SKALD_STR("[1]")},
        {SKALD_STR(" [ 1 ,\t2 ] "), SKALD_STR(" [ 1 ,\t2 ] ")},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        skald_event event = {.type = SKALD_STR("a"),
                             .data = texts[i][0],
                             .metadata = SKALD_STR("{\n\"k\":1}")};
        skald_buf buf = {.bytes_max = 10000}, due = {.bytes_max = 1000};
        assert_int_equal(skald_event_json(&event, false, &buf), SKALD_OK);
        assert_int_equal(ski_buf_print(&due, "\"data\":%.*s,\"metadata\":{\"k\":1}}",
                                       SKALD_FMT(texts[i][1])),
                         SKALD_OK);
        assert_true(buf.len > due.len);
        assert_memory_equal(buf.ptr + buf.len - due.len, due.ptr, due.len);
        skald_buf_fini(&buf);
        skald_buf_fini(&due);
    }
}

static void test_does_not_fit(void **state)
{
    (void)state;
    for (size_t room = 0; room <= sizeof(full_json) - 1; room++) {
        skald_buf buf = {.bytes_max = 3 + room};
        skald_err due = room < sizeof(full_json) - 1 ? SKALD_EFULL : SKALD_OK;
        assert_int_equal(skald_buf_put(&buf, SKALD_STR("old")), SKALD_OK);
        assert_int_equal(skald_event_json(&full, false, &buf), due);
        assert_int_equal(buf.len, due ? 3 : 3 + sizeof(full_json) - 1);
        assert_memory_equal(buf.ptr, "old", 3);
        skald_buf_fini(&buf);
    }
}

static void test_without_memory(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        skald_buf buf = {.bytes_max = 10000};
        ski_alloc_fail_at(n);
        skald_err err = skald_event_json(&full, false, &buf);
        ski_alloc_fail_at(0);
        assert_int_equal(buf.len, err ? 0 : sizeof(full_json) - 1);
        skald_buf_fini(&buf);
        if (!err) break;
        assert_int_equal(err, SKALD_ENOMEM);
        assert_true(n < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),     cmocka_unit_test(test_next_to_nothing),
        cmocka_unit_test(test_one_line),       cmocka_unit_test(test_does_not_fit),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
