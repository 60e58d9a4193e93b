// SPDX-License-Identifier: Apache-2.0
// CloudEvents both ways: every attribute, ids that are no UUIDs, attributes we do not know, and
// what is refused.
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "event/event_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CE_OUT                                                                                    \
    "{\"specversion\":\"1.0\",\"id\":\"0192f0c1-7d3e-7c55-a1b2-010203040506\",\"source\":\"/s\"," \
    "\"type\":\"a.b\","
#define CE "{\"specversion\":\"1.0\",\"source\":\"/s\",\"type\":\"a.b\""

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

static skald_event parsed(void **state, const char *text)
{
    skald_event event = {0};
    skald_error error = {0};

    if (skald_event_parse(skald_str_of(text), true, *state, &event, &error)) {
        fail_msg("%s: [%s] %s", text, error.field, error.text);
    }
    return event;
}

// published reads what a client sends: without the store's members.
static skald_event published(void **state, const char *text)
{
    skald_event event = {0};
    skald_error error = {0};

    if (ski_event_read(skald_str_of(text), SKI_EVENT_CLOUDEVENTS, *state, &event, NULL, &error)) {
        fail_msg("%s: [%s] %s", text, error.field, error.text);
    }
    return event;
}

static void json_is(const skald_event *event, const char *due)
{
    skald_buf buf = {.bytes_max = 100000};

    assert_int_equal(skald_event_json(event, true, &buf), SKALD_OK);
    text_is(ski_buf_str(&buf), due);
    assert_int_equal(ski_json_door_check(ski_buf_str(&buf), false, NULL), SKALD_OK);
    skald_buf_fini(&buf);
}

static const char full_json[] =
    "{\"specversion\":\"1.0\",\"id\":\"0192f0c1-7d3e-7c55-a1b2-010203040506\","
    "\"source\":\"/billing\","
    "\"type\":\"invoice.paid\",\"subject\":\"invoice-17\",\"time\":\"2023-11-14T22:13:20.123456Z\","
    "\"datacontenttype\":\"application/json\",\"dataversion\":2,"
    "\"sequence\":\"00000000000000000042\","
    "\"streamversion\":\"18446744073709551615\",\"recordedtime\":\"2023-11-14T22:13:21.000000Z\","
    "\"tenantid\":\"acme\",\"correlationid\":\"c1\",\"causationid\":\"c0\",\"userid\":\"u1\","
    "\"role\":\"admin\","
    "\"priority\":\"critical\",\"persistent\":false,\"traceparent\":\"00-0a-b7-01\","
    "\"tags\":\"course:101 student:7\","
    "\"metadata\":\"{\\\"k\\\":1}\",\"data\":{\"total\": 1.50}}";

static void test_everything(void **state)
{
    skald_event event = parsed(state, full_json);

    text_is(event.type, "invoice.paid");
    text_is(event.stream, "invoice-17");
    text_is(event.source, "/billing");
    text_is(event.tenant, "acme");
    text_is(event.correlation_id, "c1");
    text_is(event.causation_id, "c0");
    text_is(event.user, "u1");
    text_is(event.role, "admin");
    text_is(event.traceparent, "00-0a-b7-01");
    text_is(event.tags, "course:101 student:7");
    text_is(event.metadata, "{\"k\":1}");
    text_is(event.data, "{\"total\": 1.50}");
    assert_true(event.position == 42 && event.stream_version == UINT64_MAX && event.version == 2);
    assert_true(event.occurred_at == 1700000000123456 && event.recorded_at == 1700000001000000);
    assert_true(event.priority == SKALD_CRITICAL && event.transient);
    json_is(&event, full_json);
}

static void test_next_to_nothing(void **state)
{
    skald_event event =
        parsed(state,
               CE ",\"id\":\"0192F0C1-7D3E-7C55-A1B2-010203040506\",\"subject\":null,\"x\":null}");

    assert_null(event.stream.ptr);
    assert_null(event.data.ptr);
    assert_null(event.metadata.ptr);
    json_is(&event, "{\"specversion\":\"1.0\",\"id\":\"0192f0c1-7d3e-7c55-a1b2-010203040506\","
                    "\"source\":\"/s\","
                    "\"type\":\"a.b\",\"datacontenttype\":\"application/json\",\"data\":null}");
    // One that never was a CloudEvent, and has not been stamped.
    event = (skald_event){.type = SKALD_STR("a"),
                          .data = SKALD_STR("[\n1]"),
                          .metadata = SKALD_STR("{\n}")};
    json_is(&event,
            "{\"specversion\":\"1.0\",\"source\":\"skald\",\"type\":\"a\","
            "\"datacontenttype\":\"application/json\",\"metadata\":\"{\\n}\",\"data\":[1]}");
}

// An id that is no UUID: kept as it came, the event's id follows from tenant, source and it.
static void test_foreign_id(void **state)
{
    static const char text[] = CE ",\"id\":\"A\\\"234\",\"tenantid\":\"t\",\"data\":1}";
    skald_event event = published(state, text), again = published(state, text), other;

    text_is(event.metadata, "{\"ceId\":\"A\\\"234\"}");
    assert_true(skald_uuid_equal(event.id, again.id));
    assert_true(skald_uuid_equal(event.id, ski_event_ce_id(SKALD_STR("t"), SKALD_STR("/s"),
                                                           SKALD_STR("A\"234"))));
    assert_int_equal(event.id.bytes[6] >> 4, 5);
    other = published(state, CE ",\"id\":\"A\\\"234\",\"data\":1}");
    assert_false(skald_uuid_equal(event.id, other.id));
    json_is(&event,
            "{\"specversion\":\"1.0\",\"id\":\"A\\\"234\",\"source\":\"/s\",\"type\":\"a.b\","
            "\"datacontenttype\":\"application/json\",\"tenantid\":\"t\",\"data\":1}");
    // What follows from nothing is not believed: the id is the event's, the member is plain
    // metadata.
    event.tenant = SKALD_STR("u");
    event.id = (skald_uuid){{1}};
    json_is(&event, "{\"specversion\":\"1.0\",\"id\":\"01000000-0000-0000-0000-000000000000\","
                    "\"source\":\"/s\","
                    "\"type\":\"a.b\",\"datacontenttype\":\"application/json\",\"tenantid\":\"u\","
                    "\"metadata\":\"{\\\"ceId\\\":\\\"A\\\\\\\"234\\\"}\",\"data\":1}");
    event.metadata = SKALD_STR("{\"ceId\":7}");
    json_is(&event, "{\"specversion\":\"1.0\",\"id\":\"01000000-0000-0000-0000-000000000000\","
                    "\"source\":\"/s\","
                    "\"type\":\"a.b\",\"datacontenttype\":\"application/json\",\"tenantid\":\"u\","
                    "\"metadata\":\"{\\\"ceId\\\":7}\",\"data\":1}");
}

static void test_foreign_attributes(void **state)
{
    skald_event event = published(
        state,
        CE ",\"id\":\"x\",\"dataschema\":\"https://e.example/s\",\"myext\":7,\"flag\":true,"
           "\"none\":null,"
           "\"datacontenttype\":\"application/vnd.x+json; charset=utf-8\",\"sequence\":\"0009\","
           "\"metadata\":\"{\\\"k\\\": [1]}\",\"data\":{}}");

    text_is(event.metadata,
            "{\"ceId\":\"x\",\"ceAttributes\":{\"dataschema\":\"https://e.example/s\",\"myext\":7,"
            "\"flag\":true,\"datacontenttype\":\"application/vnd.x+json; charset=utf-8\","
            "\"sequence\":\"0009\"},\"k\":[1]}");
    event.position = 5; // ours now
    json_is(
        &event,
        "{\"specversion\":\"1.0\",\"id\":\"x\",\"source\":\"/s\",\"type\":\"a.b\","
        "\"sequence\":\"00000000000000000005\",\"dataschema\":\"https://e.example/s\",\"myext\":7,"
        "\"flag\":true,\"datacontenttype\":\"application/vnd.x+json; charset=utf-8\","
        "\"metadata\":\"{\\\"k\\\":[1]}\",\"data\":{}}");
    event = published(state, CE ",\"id\":\"0192f0c1-7d3e-7c55-a1b2-010203040506\",\"myext\":\"\"}");
    text_is(event.metadata, "{\"ceAttributes\":{\"myext\":\"\"}}");
    assert_null(event.data.ptr);
    event = published(state, CE ",\"id\":\"x\",\"datacontenttype\":\"application/json\"}");
    text_is(event.metadata, "{\"ceId\":\"x\"}");
}

// Data that is not JSON comes back as it was: characters, or bytes.
static void test_other_data(void **state)
{
    skald_event event =
        published(state, CE ",\"id\":\"x\",\"datacontenttype\":\"text/plain\",\"data\":\"12 kg\"}");

    text_is(event.data, "\"12 kg\"");
    text_is(event.metadata,
            "{\"ceId\":\"x\",\"ceAttributes\":{\"datacontenttype\":\"text/plain\"}}");
    json_is(&event, "{\"specversion\":\"1.0\",\"id\":\"x\",\"source\":\"/s\",\"type\":\"a.b\","
                    "\"datacontenttype\":\"text/plain\",\"data\":\"12 kg\"}");
    event = published(state, CE ",\"id\":\"x\",\"datacontenttype\":\"image/png\","
                                "\"data_base64\":\"ab\\/+\",\"metadata\":\"{\\\"k\\\":1}\"}");
    text_is(event.data, "\"ab/+\"");
    text_is(event.metadata, "{\"ceId\":\"x\",\"ceAttributes\":{\"datacontenttype\":\"image/png\"},"
                            "\"ceBase64\":true,\"k\":1}");
    json_is(&event, "{\"specversion\":\"1.0\",\"id\":\"x\",\"source\":\"/s\",\"type\":\"a.b\","
                    "\"datacontenttype\":\"image/png\",\"metadata\":\"{\\\"k\\\":1}\","
                    "\"data_base64\":\"ab/+\"}");
    event.data = SKALD_STR("\"no base64\""); // somebody wrote that into metadata
    json_is(&event, "{\"specversion\":\"1.0\",\"id\":\"x\",\"source\":\"/s\",\"type\":\"a.b\","
                    "\"datacontenttype\":\"image/png\","
                    "\"metadata\":\"{\\\"ceBase64\\\":true,\\\"k\\\":1}\","
                    "\"data\":\"no base64\"}");
    event = published(state,
                      CE ",\"id\":\"0192f0c1-7d3e-7c55-a1b2-010203040506\",\"data_base64\":\"\"}");
    text_is(event.metadata, "{\"ceBase64\":true}");
    text_is(event.data, "\"\"");
    json_is(&event, CE_OUT "\"data_base64\":\"\"}"); // of which nobody said that it is JSON
}

// What is said to be JSON is it, however it was written.
static void test_json_in_base64(void **state)
{
    static const char *const types[] = {"application/json", "application/vnd.x+json"};
    static const char *const metadata[] = {
        "{\"ceId\":\"x\"}",
        "{\"ceId\":\"x\",\"ceAttributes\":{\"datacontenttype\":\"application/vnd.x+json\"}}"};

    for (size_t i = 0; i < 2; i++) {
        char text[300];
        (void)snprintf(text, sizeof(text),
                       CE ",\"id\":\"x\",\"data_base64\":\"eyJhIjoiPz8+In0=\","
                          "\"datacontenttype\":\"%s\"}",
                       types[i]);
        skald_event event = published(state, text);
        text_is(event.data, "{\"a\":\"\?\?>\"}");
        text_is(event.metadata, metadata[i]);
    }
}

// What data may be is the limit of the event's to say, not that of a name.
static void test_long_base64(void **state)
{
    enum { len = 400 * 1000 };
    static char text[len + 200];
    size_t head = (size_t)snprintf(text, 200, CE ",\"id\":\"x\",\"data_base64\":\"");

    memset(text + head, 'A', len);
    memcpy(text + head + len, "\"}", 3);
    assert_int_equal(published(state, text).data.len, len + 2);
    memcpy(text + head, "\\/\\/\\/\\/", 8); // four characters less
    assert_int_equal(published(state, text).data.len, len - 4 + 2);
}

// Anybody may write metadata: what cannot be attributes stays metadata.
static void test_made_up_attributes(void **state)
{
    static const char *const made_up[] = {
        "{\"ceAttributes\":{\"a\":[]}}",
        "{\"ceAttributes\":{\"a\":null}}",
        "{\"ceAttributes\":{\"a\":{}}}",
        "{\"ceAttributes\":{\"A\":1}}",
        "{\"ceAttributes\":{\"a\":1,\"a\":2}}",
        "{\"ceAttributes\":{\"\":1}}",
        "{\"ceAttributes\":7}",
    };
    skald_event event = {.type = SKALD_STR("a"), .source = SKALD_STR("s")};

    (void)state;
    for (size_t i = 0; i < sizeof(made_up) / sizeof(made_up[0]); i++) {
        skald_buf buf = {.bytes_max = 1000}, due = {.bytes_max = 1000};
        event.metadata = skald_str_of(made_up[i]);
        assert_int_equal(
            skald_buf_put(&due,
                          SKALD_STR("{\"specversion\":\"1.0\",\"source\":\"s\",\"type\":\"a\","
                                    "\"datacontenttype\":\"application/json\",\"metadata\":")),
            SKALD_OK);
        assert_int_equal(ski_json_put_string(&due, event.metadata), SKALD_OK);
        assert_int_equal(skald_buf_put(&due, SKALD_STR(",\"data\":null}")), SKALD_OK);
        assert_int_equal(skald_event_json(&event, true, &buf), SKALD_OK);
        assert_true(skald_str_equal(ski_buf_str(&buf), ski_buf_str(&due)));
        skald_buf_fini(&buf);
        skald_buf_fini(&due);
    }
    event.metadata = SKALD_STR("{\"ceAttributes\":{\"id\":\"spoof\",\"type\":\"t\",\"x\":1}}");
    json_is(&event, "{\"specversion\":\"1.0\",\"source\":\"s\",\"type\":\"a\","
                    "\"datacontenttype\":\"application/json\","
                    "\"x\":1,\"data\":null}");
}

static const struct {
    const char *text;
    skald_err err;
    const char *field, *said;
} refused[] = {
    {"[]", SKALD_EINVALID, "", "must be an object"},
    {"{\"id\":\"1\",\"source\":\"s\",\"type\":\"a\"}", SKALD_EINVALID, "specversion",
     "specversion is missing"},
    {"{\"specversion\":\"0.3\"}", SKALD_EINVALID, "specversion", "must be \"1.0\""},
    {"{\"specversion\":1.0}", SKALD_EINVALID, "specversion", "must be a string"},
    {CE "}", SKALD_EINVALID, "id", "id is missing"},
    {CE ",\"id\":null}", SKALD_EINVALID, "id", "id is missing"},
    {CE ",\"id\":\"\"}", SKALD_EINVALID, "id", "id is empty"},
    {CE ",\"id\":\"a\\nb\"}", SKALD_EINVALID, "id", "control character"},
    {CE ",\"id\":7}", SKALD_EINVALID, "id", "must be a string"},
    {"{\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"a\"}", SKALD_EINVALID, "source",
     "source is missing"},
    {"{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"\",\"type\":\"a\"}", SKALD_EINVALID,
     "source", "is empty"},
    {"{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\"}", SKALD_EINVALID, "type",
     "type is missing"},
    {CE ",\"id\":\"1\",\"subject\":\" x\"}", SKALD_EINVALID, "subject",
     "subject: stream begins or ends"},
    {CE ",\"id\":\"1\",\"subject\":7}", SKALD_EINVALID, "subject", "not a number"},
    {CE ",\"id\":\"1\",\"tenantid\":\"\\u0001\"}", SKALD_EINVALID, "tenantid", "control character"},
    {CE ",\"id\":\"1\",\"userid\":\"\"}", SKALD_EINVALID, "userid", "is empty"},
    {CE ",\"id\":\"1\",\"time\":\"x\"}", SKALD_EINVALID, "time", "RFC 3339"},
    {CE ",\"id\":\"1\",\"datacontenttype\":\"+json\"}", SKALD_EINVALID, "datacontenttype",
     "must be a media type"},
    {CE ",\"id\":\"1\",\"datacontenttype\":\"\"}", SKALD_EINVALID, "datacontenttype",
     "must be a media type"},
    {CE ",\"id\":\"1\",\"datacontenttype\":\"text/plain\",\"data\":{}}", SKALD_EINVALID, "data",
     "must be a string"},
    {CE ",\"id\":\"1\",\"data_base64\":\"eA=\"}", SKALD_EINVALID, "data_base64", "must be base64"},
    {CE ",\"id\":\"1\",\"data_base64\":\"e===\"}", SKALD_EINVALID, "data_base64", "must be base64"},
    {CE ",\"id\":\"1\",\"data_base64\":\"e-_A\"}", SKALD_EINVALID, "data_base64", "must be base64"},
    {CE ",\"id\":\"1\",\"datacontenttype\":\"a/b+json\",\"data_base64\":\"eA==\"}", SKALD_EINVALID,
     "data_base64", "must hold JSON, as datacontenttype says: line 1"},
    {CE ",\"id\":\"1\",\"datacontenttype\":\"a/b+json\",\"data_base64\":\"eB==\"}", SKALD_EINVALID,
     "data_base64", "must be base64"},
    {CE ",\"id\":\"1\",\"data_base64\":7}", SKALD_EINVALID, "data_base64", "must be a string"},
    {CE ",\"id\":\"1\",\"data_base64\":\"eA==\",\"data\":1}", SKALD_EINVALID, "data",
     "cannot stand beside \"data_base64\""},
    {CE ",\"id\":\"1\",\"data\":1,\"data_base64\":\"eA==\"}", SKALD_EINVALID, "data_base64",
     "cannot stand beside \"data\""},
    {CE ",\"id\":\"1\",\"data_base64\":\"eA==\",\"metadata\":\"{\\\"ceBase64\\\":1}\"}",
     SKALD_EINVALID, "metadata", "holds 'ceBase64'"},
    {CE ",\"id\":\"1\",\"dataversion\":\"x\"}", SKALD_EINVALID, "dataversion", "whole number"},
    {CE ",\"id\":\"1\",\"priority\":\"7\"}", SKALD_EINVALID, "priority", "\"critical\""},
    {CE ",\"id\":\"1\",\"tags\":\"a  b\"}", SKALD_EINVALID, "tags", "one space"},
    {CE ",\"id\":\"1\",\"tags\":[\"a\"]}", SKALD_EINVALID, "tags", "must be a string"},
    {CE ",\"id\":\"1\",\"metadata\":{}}", SKALD_EINVALID, "metadata",
     "must be a string, not an object"},
    {CE ",\"id\":\"1\",\"metadata\":\"{\"}", SKALD_EINVALID, "metadata",
     "as text: line 1 column 2"},
    {CE ",\"id\":\"1\",\"metadata\":\"[]\"}", SKALD_EINVALID, "metadata",
     "must hold a JSON object"},
    {CE ",\"id\":\"1\",\"metadata\":\"{\\\"ceId\\\":1}\"}", SKALD_EINVALID, "metadata",
     "holds 'ceId'"},
    {CE ",\"id\":\"1\",\"x\":1,\"metadata\":\"{\\\"ce\\\\u0041ttributes\\\":1}\"}", SKALD_EINVALID,
     "metadata", "holds 'ceAttributes'"},
    {CE ",\"id\":\"1\",\"x\":{}}", SKALD_EINVALID, "x", "attribute 'x' must be a string, a number"},
    {CE ",\"id\":\"1\",\"x\":1,\"\\u0078\":2}", SKALD_EINVALID, "x",
     "attribute 'x' is given more than once"},
    {CE ",\"id\":\"1\",\"sequence\":[]}", SKALD_EINVALID, "sequence", "must be a string, a number"},
    {CE ",\"id\":\"1\",\"correlationId\":\"x\"}", SKALD_EINVALID, "correlationId",
     "did you mean 'correlationid'?"},
    {CE ",\"id\":\"1\",\"MY-EXT\":1}", SKALD_EINVALID, "MY-EXT", "unknown member 'MY-EXT'"},
    {CE ",\"id\":\"1\",\"type\":\"b\"}", SKALD_EINVALID, "type", "more than once"},
};

static void test_refusals(void **state)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        skald_event event = {.version = 77};
        skald_error error = {0};
        skald_str text = skald_str_of(refused[i].text);
        assert_int_equal(ski_json_door_check(text, false, NULL), SKALD_OK);
        if (ski_event_read(text, SKI_EVENT_CLOUDEVENTS, *state, &event, NULL, &error) !=
                refused[i].err ||
            strcmp(error.field, refused[i].field) != 0 || !strstr(error.text, refused[i].said)) {
            fail_msg("%s: %d [%s] %s", refused[i].text, (int)error.err, error.field, error.text);
        }
        assert_int_equal(ski_event_read(text, SKI_EVENT_CLOUDEVENTS, *state, &event, NULL, NULL),
                         refused[i].err);
        assert_int_equal(event.version, 77);
    }
}

static void test_refusals_of_stored(void **state)
{
    static const char *const texts[] = {
        CE ",\"id\":\"1\",\"sequence\":\"x\"}",     CE ",\"id\":\"1\",\"sequence\":\"0\"}",
        CE ",\"id\":\"1\",\"sequence\":7}",         CE ",\"id\":\"1\",\"streamversion\":\"-1\"}",
        CE ",\"id\":\"1\",\"recordedtime\":\"x\"}", CE ",\"id\":\"1\"",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        skald_event event;
        skald_error error = {0};
        assert_int_equal(skald_event_parse(skald_str_of(texts[i]), true, *state, &event, &error),
                         SKALD_EINVALID);
        assert_true(error.text[0]);
    }
}

static void put(skald_buf *buf, const char *text)
{
    assert_int_equal(skald_buf_put(buf, skald_str_of(text)), SKALD_OK);
}

static void test_limits(void **state)
{
    skald_buf buf = {.bytes_max = 1 << 20};
    skald_event event;
    skald_error error = {0};

    for (size_t count = 64; count <= 65; count++) {
        buf.len = 0;
        put(&buf, CE ",\"id\":\"1\"");
        for (size_t i = 0; i < count; i++)
            assert_int_equal(ski_buf_print(&buf, ",\"x%zu\":1", i), SKALD_OK);
        put(&buf, "}");
        assert_int_equal(ski_event_read(ski_buf_str(&buf), SKI_EVENT_CLOUDEVENTS, *state, &event,
                                        NULL, &error),
                         count > 64 ? SKALD_EINVALID : SKALD_OK);
    }
    assert_non_null(strstr(error.text, "at most 64"));
    // What is kept in metadata counts as metadata.
    buf.len = 0;
    put(&buf, CE ",\"id\":\"1\",\"x\":\"");
    for (size_t i = 0; i < SKALD_METADATA_BYTES_MAX; i++) put(&buf, "x");
    put(&buf, "\"}");
    assert_int_equal(ski_event_read(ski_buf_str(&buf), SKI_EVENT_CLOUDEVENTS, *state, &event, NULL,
                                    &error),
                     SKALD_ETOOBIG);
    assert_string_equal(error.field, "metadata");
    buf.len = 0;
    put(&buf, CE ",\"id\":\"1\",\"metadata\":\"");
    for (size_t i = 0; i < 6 * SKALD_METADATA_BYTES_MAX + 1; i++) put(&buf, "x");
    put(&buf, "\"}");
    assert_int_equal(ski_event_read(ski_buf_str(&buf), SKI_EVENT_CLOUDEVENTS, *state, &event, NULL,
                                    &error),
                     SKALD_ETOOBIG);
    // An id of 255 bytes is the longest.
    for (size_t len = 255; len <= 256; len++) {
        buf.len = 0;
        put(&buf, CE ",\"id\":\"");
        for (size_t i = 0; i < len; i++) put(&buf, "i");
        put(&buf, "\"}");
        assert_int_equal(ski_event_read(ski_buf_str(&buf), SKI_EVENT_CLOUDEVENTS, *state, &event,
                                        NULL, &error),
                         len > 255 ? SKALD_EINVALID : SKALD_OK);
    }
    assert_string_equal(error.field, "id");
    skald_buf_fini(&buf);
}

static void test_does_not_fit(void **state)
{
    skald_event event =
        published(state, CE ",\"id\":\"x\",\"y\":1,\"metadata\":\"{\\\"k\\\":1}\",\"data\":[]}");
    skald_buf whole = {.bytes_max = 1000};

    assert_int_equal(skald_event_json(&event, true, &whole), SKALD_OK);
    for (size_t room = 1; room <= whole.len; room++) {
        skald_buf buf = {.bytes_max = room};
        assert_int_equal(skald_event_json(&event, true, &buf),
                         room < whole.len ? SKALD_EFULL : SKALD_OK);
        assert_int_equal(buf.len, room < whole.len ? 0 : room);
        skald_buf_fini(&buf);
    }
    for (uint64_t n = 1;; n++) {
        skald_buf buf = {.bytes_max = 1000};
        ski_alloc_fail_at(n);
        skald_err err = skald_event_json(&event, true, &buf);
        ski_alloc_fail_at(0);
        assert_int_equal(buf.len, err ? 0 : whole.len);
        skald_buf_fini(&buf);
        if (!err) break;
        assert_int_equal(err, SKALD_ENOMEM);
        assert_true(n < 100);
    }
    skald_buf_fini(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),  cmocka_unit_test(test_next_to_nothing),
        cmocka_unit_test(test_foreign_id),  cmocka_unit_test(test_foreign_attributes),
        cmocka_unit_test(test_other_data),  cmocka_unit_test(test_json_in_base64),
        cmocka_unit_test(test_long_base64), cmocka_unit_test(test_made_up_attributes),
        cmocka_unit_test(test_refusals),    cmocka_unit_test(test_refusals_of_stored),
        cmocka_unit_test(test_limits),      cmocka_unit_test(test_does_not_fit),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
