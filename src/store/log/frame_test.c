// SPDX-License-Identifier: Apache-2.0
// The frame codec: what goes in comes out, and nothing that was changed comes out at all.
#include "base/hash.h"
#include "store/log/bytes.h"
#include "store/log/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { seed = 0x5eed, room = 4096 };

static const ski_frame_header header_example = {
    .body_len = 21,
    .base_pos = 1000,
    .durable_pos = 998,
    .durable_off = 4168,
    .append_us = 1700000000000001,
    .incarnation = 3,
    .count = 2,
    .prev_crc = 0x01020304,
    .segment_no = 7,
    .kind = SKI_FRAME_EVENTS,
};

static size_t frame_example(uint8_t bytes[room])
{
    memset(bytes, 'x', room);
    (void)ski_frame_seal(bytes, &header_example, seed);
    return ski_frame_len(header_example.body_len);
}

// frame_whole: header and body are accepted.
static bool frame_whole(const uint8_t *bytes, ski_frame_header *ret_header)
{
    uint32_t crc = 0;

    return ski_frame_header_get(bytes, seed, ret_header) == SKALD_OK &&
           ski_frame_check(bytes, ret_header, &crc) == SKALD_OK;
}

static void header_reseal(uint8_t *bytes)
{
    ski_put_u32(bytes + 60, ski_crc32c(seed, bytes, 60));
}

static void test_frame_round_trip(void **state)
{
    uint8_t bytes[room];
    ski_frame_header header;

    (void)state;
    assert_int_equal(frame_example(bytes), 64 + 24 + 8);
    assert_true(frame_whole(bytes, &header));
    assert_int_equal(header.total_len, 96);
    assert_int_equal(header.body_len, 21);
    assert_int_equal(header.base_pos, 1000);
    assert_int_equal(header.durable_pos, 998);
    assert_int_equal(header.durable_off, 4168);
    assert_int_equal(header.append_us, 1700000000000001);
    assert_int_equal(header.incarnation, 3);
    assert_int_equal(header.count, 2);
    assert_int_equal(header.prev_crc, 0x01020304);
    assert_int_equal(header.segment_no, 7);
    assert_int_equal(header.kind, SKI_FRAME_EVENTS);
    assert_memory_equal(bytes + 64, "xxxxxxxxxxxxxxxxxxxxx\0\0\0", 24);
}

// The format is fixed: what this frame looks like may never change.
static void test_frame_bytes_are_fixed(void **state)
{
    uint8_t bytes[room];

    (void)state;
    (void)frame_example(bytes);
    assert_memory_equal(bytes, "SFRM\x60\0\0\0\xe8\x03\0\0\0\0\0\0\xe6\x03\0\0\0\0\0\0", 24);
    assert_memory_equal(bytes + 32,
                        "\3\0\0\0\2\0\0\0\1\1\0\0\4\3\2\1\7\0\0\0\x48\x10\0\0\x15\0\0\0", 28);
    assert_int_equal(ski_get_u32(bytes + 92), 96);
}

static void test_frame_any_bit_turned_is_refused(void **state)
{
    uint8_t bytes[room];
    size_t len = frame_example(bytes);
    ski_frame_header header;

    (void)state;
    for (size_t bit = 0; bit < len * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(frame_whole(bytes, &header));
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(frame_whole(bytes, &header));
}

static void test_frame_of_another_salt_is_refused(void **state)
{
    uint8_t bytes[room];
    ski_frame_header header;

    (void)state;
    (void)frame_example(bytes);
    assert_int_equal(ski_frame_header_get(bytes, seed + 1, &header), SKALD_ECORRUPT);
    assert_int_not_equal(ski_frame_seed(1), ski_frame_seed(2));
}

static void test_frame_of_the_future_is_unsupported(void **state)
{
    static const struct {
        size_t at;
        uint8_t byte;
        skald_err err;
    } cases[] = {
        {41, 2, SKALD_EUNSUPPORTED},    // version
        {42, 1, SKALD_EUNSUPPORTED},    // a flag that must be understood
        {42, 0x80, SKALD_EUNSUPPORTED}, // another
        {43, 1, SKALD_OK},              // one that need not be
        {40, 0, SKALD_EUNSUPPORTED},    // kinds
        {40, 7, SKALD_EUNSUPPORTED},
        {40, 0x21, SKALD_OK}, // may be passed over
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[room];
        ski_frame_header header;

        (void)frame_example(bytes);
        bytes[cases[i].at] = cases[i].byte;
        header_reseal(bytes);
        assert_int_equal(ski_frame_header_get(bytes, seed, &header), cases[i].err);
    }
}

static void test_frame_lengths_that_do_not_fit(void **state)
{
    uint8_t bytes[room];
    ski_frame_header header;

    (void)state;
    (void)frame_example(bytes);
    ski_put_u32(bytes + 56, 25); // body_len beyond total_len
    header_reseal(bytes);
    assert_int_equal(ski_frame_header_get(bytes, seed, &header), SKALD_ECORRUPT);
    ski_put_u32(bytes + 56, SKI_FRAME_BYTES_MAX);
    ski_put_u32(bytes + 4, SKI_FRAME_BYTES_MAX + 72);
    header_reseal(bytes);
    assert_int_equal(ski_frame_header_get(bytes, seed, &header), SKALD_ECORRUPT);
}

static const skald_event event_example = {
    .type = {"invoice.paid", 12},
    .data = {"{\"n\":1}", 7},
    .metadata = {"{\"m\":2}", 7},
    .id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
    .stream = {"invoice-7", 9},
    .tags = {"course:1", 8},
    .tenant = {"acme", 4},
    .correlation_id = {"corr", 4},
    .causation_id = {"cause", 5},
    .user = {"ann", 3},
    .role = {"clerk", 5},
    .source = {"desk", 4},
    .traceparent = {"00-1", 4},
    .occurred_at = -5,
    .version = 3,
    .priority = SKALD_LOW,
    .test = true,
};

static const ski_record_order order_example = {
    .position = 77, .stream_version = 5, .prev_pos = 70, .recorded_at = 1700000000000002};

static size_t record_example(uint8_t bytes[room])
{
    size_t len = ski_record_len(&event_example);

    ski_record_put(bytes, ski_record_len(&event_example), &event_example, 11, 12);
    ski_record_assign(bytes, &order_example);
    return len;
}

#define assert_same(a, b) assert_true(skald_str_equal(a, b))

static void test_record_round_trip(void **state)
{
    uint8_t bytes[room];
    size_t len = record_example(bytes);
    const skald_event *from = &event_example, *to = NULL;
    ski_record record;

    (void)state;
    assert_int_equal(len % 8, 0);
    assert_int_equal(ski_record_get(bytes, sizeof bytes, &record), SKALD_OK);
    to = &record.event;
    assert_int_equal(record.len, len);
    assert_int_equal(record.prev_pos, 70);
    assert_int_equal(record.stream_hash, 11);
    assert_int_equal(record.content_hash, 12);
    assert_int_equal(to->position, 77);
    assert_int_equal(to->stream_version, 5);
    assert_int_equal(to->recorded_at, 1700000000000002);
    assert_int_equal(to->occurred_at, -5);
    assert_int_equal(to->version, 3);
    assert_int_equal(to->priority, SKALD_LOW);
    assert_true(to->test);
    assert_true(skald_uuid_equal(to->id, from->id));
    assert_same(to->type, from->type);
    assert_same(to->data, from->data);
    assert_same(to->metadata, from->metadata);
    assert_same(to->stream, from->stream);
    assert_same(to->tags, from->tags);
    assert_same(to->tenant, from->tenant);
    assert_same(to->correlation_id, from->correlation_id);
    assert_same(to->causation_id, from->causation_id);
    assert_same(to->user, from->user);
    assert_same(to->role, from->role);
    assert_same(to->source, from->source);
    assert_same(to->traceparent, from->traceparent);
}

static void test_record_without_anything(void **state)
{
    uint8_t bytes[room];
    skald_event event = {.type = SKALD_STR("t")};
    ski_record record;

    (void)state;
    assert_int_equal(ski_record_len(&event), 128);
    ski_record_put(bytes, ski_record_len(&event), &event, 0, 0);
    ski_record_assign(bytes, &order_example);
    assert_int_equal(ski_record_get(bytes, 128, &record), SKALD_OK);
    assert_null(record.event.stream.ptr);
    assert_null(record.event.metadata.ptr);
    assert_null(record.event.data.ptr);
}

static void test_record_any_bit_turned_is_refused(void **state)
{
    uint8_t bytes[room];
    size_t len = record_example(bytes);
    ski_record record;

    (void)state;
    for (size_t bit = 0; bit < len * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(ski_record_get(bytes, len, &record), SKALD_OK);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t less = 0; less < len; less++) {
        assert_int_equal(ski_record_get(bytes, less, &record), SKALD_ECORRUPT);
    }
}

// record_reseal makes the checksum right again, over whatever is there now.
static void record_reseal(uint8_t *bytes, size_t len)
{
    uint32_t crc = ski_crc32c(0, bytes, 8);

    crc = ski_crc32c(crc, bytes + 12, 4);
    crc = ski_crc32c(crc, bytes + 48, len - 48);
    ski_put_u32(bytes + 8, ski_crc32c(crc, bytes + 16, 32));
}

static void test_record_with_right_checksum_and_wrong_content(void **state)
{
    static const struct {
        size_t at;
        uint8_t byte;
        skald_err err;
    } cases[] = {
        {4, 112, SKALD_ECORRUPT},   // fixed part shorter than version 1 has it
        {4, 123, SKALD_ECORRUPT},   // and not a multiple of eight
        {5, 0xff, SKALD_ECORRUPT},  // beyond the record
        {6, 3, SKALD_EUNSUPPORTED}, // the flag "transient"
        {6, 0x80, SKALD_EUNSUPPORTED}, {7, 0x01, SKALD_OK}, // a flag that may be ignored
        {89, 0xff, SKALD_ECORRUPT},                         // a stream longer than the record
        {88, 1, SKALD_ECORRUPT},                            // lengths that do not add up
        {108, 3, SKALD_ECORRUPT},                           // no such priority
        {109, 1, SKALD_EUNSUPPORTED},                       // no such content type
        {116, 0xff, SKALD_ECORRUPT},   {119, 0xff, SKALD_ECORRUPT}, {115, 0xff, SKALD_ECORRUPT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[room];
        size_t len = record_example(bytes);
        ski_record record;

        bytes[cases[i].at] = cases[i].byte;
        record_reseal(bytes, len);
        assert_int_equal(ski_record_get(bytes, len, &record), cases[i].err);
    }
}

static void test_record_of_a_longer_fixed_part_is_read(void **state)
{
    uint8_t bytes[room] = {0}, longer[room] = {0};
    size_t len = record_example(bytes);
    ski_record record;

    (void)state;
    memcpy(longer, bytes, SKI_RECORD_FIXED);
    memcpy(longer + SKI_RECORD_FIXED + 8, bytes + SKI_RECORD_FIXED, len - SKI_RECORD_FIXED);
    ski_put_u32(longer, (uint32_t)len + 8);
    ski_put_u16(longer + 4, SKI_RECORD_FIXED + 8);
    record_reseal(longer, len + 8);
    assert_int_equal(ski_record_get(longer, len + 8, &record), SKALD_OK);
    assert_same(record.event.type, event_example.type);
    assert_same(record.event.data, event_example.data);
}

static void test_record_texts_too_long(void **state)
{
    static char text[SKI_RECORD_TEXT_MAX + 1];
    skald_event event = {.type = {text, sizeof text}};

    (void)state;
    assert_int_equal(ski_record_len(&event), 0);
    event.type.len--;
    assert_int_not_equal(ski_record_len(&event), 0);
    event.data = (skald_str){text, (size_t)SKI_FRAME_BYTES_MAX + 1};
    assert_int_equal(ski_record_len(&event), 0);
}

static void test_value_round_trip(void **state)
{
    static const skald_store_value values[] = {{{"name", 4}, {"bytes", 5}},
                                               {{"name", 4}, {"", 0}},
                                               {{"name", 4}, {NULL, 0}}};
    uint8_t bytes[room];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        size_t len = ski_value_len(&values[i]), got = 0;
        skald_store_value value;

        ski_value_put(bytes, &values[i]);
        assert_int_equal(ski_value_get(bytes, len, &value, &got), SKALD_OK);
        assert_int_equal(got, len);
        assert_same(value.name, values[i].name);
        assert_same(value.bytes, values[i].bytes);
        assert_int_equal(value.bytes.ptr == NULL, values[i].bytes.ptr == NULL);
        for (size_t less = 0; less < len; less++) {
            assert_int_equal(ski_value_get(bytes, less, &value, &got), SKALD_ECORRUPT);
        }
    }
}

static void test_value_refused(void **state)
{
    static char text[SKI_RECORD_TEXT_MAX + 1];
    skald_store_value value = {{"name", 4}, {"bytes", 5}};
    uint8_t bytes[room];
    size_t len = ski_value_len(&value), got = 0;

    (void)state;
    ski_value_put(bytes, &value);
    bytes[6] = 2; // a flag that must be understood
    assert_int_equal(ski_value_get(bytes, len, &value, &got), SKALD_EUNSUPPORTED);
    bytes[6] = 0;
    bytes[8] = 200; // longer than it is
    assert_int_equal(ski_value_get(bytes, len, &value, &got), SKALD_ECORRUPT);
    value = (skald_store_value){.name = {text, sizeof text}};
    assert_int_equal(ski_value_len(&value), 0);
    value = (skald_store_value){{"n", 1}, {text, (size_t)SKI_FRAME_BYTES_MAX + 1}};
    assert_int_equal(ski_value_len(&value), 0);
}

// Whatever was in its place: every field is set.
static void test_record_event_sets_every_field(void **state)
{
    uint8_t bytes[room];
    skald_event one, other;
    size_t len = record_example(bytes);

    (void)state;
    memset(&one, 0, sizeof one);
    memset(&other, 0xff, sizeof other);
    assert_true(ski_record_right(bytes, len));
    assert_int_equal(ski_record_event(bytes, len, &one), SKALD_OK);
    assert_int_equal(ski_record_event(bytes, len, &other), SKALD_OK);
    assert_memory_equal(&one, &other, offsetof(skald_event, test) + sizeof one.test);
    bytes[len - 1] ^= 1;
    assert_false(ski_record_right(bytes, len));
    assert_int_equal(ski_record_size(bytes, len), len);
    assert_int_equal(ski_record_size(bytes, len - 1), 0);
    assert_int_equal(ski_record_size(bytes, 8), 0);
}

// Each of the rare texts alone, and none of them: what is not there is nowhere, whatever was there.
static void test_record_texts_that_are_not_there(void **state)
{
    static const size_t rare[] = {
        offsetof(skald_event, causation_id), offsetof(skald_event, user),
        offsetof(skald_event, role),         offsetof(skald_event, source),
        offsetof(skald_event, tags),         offsetof(skald_event, traceparent),
        offsetof(skald_event, metadata),     offsetof(skald_event, tenant)};
    enum { rare_count = sizeof rare / sizeof *rare };
    uint8_t bytes[room];

    (void)state;
    for (size_t i = 0; i <= rare_count; i++) {
        skald_event from = {.type = {"t", 1}, .data = {"null", 4}}, to;

        if (i < rare_count) *(skald_str *)((char *)&from + rare[i]) = (skald_str){"xyz", 3};
        ski_record_put(bytes, ski_record_len(&from), &from, 0, 0);
        ski_record_assign(bytes, &order_example);
        memset(&to, 0xff, sizeof to);
        assert_int_equal(ski_record_event(bytes, ski_record_len(&from), &to), SKALD_OK);
        assert_same(to.type, from.type);
        assert_same(to.data, from.data);
        for (size_t j = 0; j < rare_count; j++) {
            skald_str text = *(skald_str *)((char *)&to + rare[j]);

            assert_same(text, (i == j ? (skald_str){"xyz", 3} : (skald_str){0}));
            assert_true((text.ptr != NULL) == (i == j));
        }
    }
}

// As long as the format allows: the sum of ten lengths is more than any of them can say.
static void test_record_of_longest_texts(void **state)
{
    char *text = test_calloc(1, SKI_RECORD_TEXT_MAX);
    skald_str longest = {text, SKI_RECORD_TEXT_MAX};
    skald_event from = {.type = longest,
                        .stream = longest,
                        .tenant = longest,
                        .tags = longest,
                        .correlation_id = longest,
                        .causation_id = longest,
                        .user = longest,
                        .role = longest,
                        .source = longest,
                        .traceparent = longest},
                to;
    size_t len = ski_record_len(&from);
    uint8_t *bytes = test_calloc(1, len);

    (void)state;
    ski_record_put(bytes, len, &from, 0, 0);
    ski_record_assign(bytes, &order_example);
    assert_int_equal(ski_record_event(bytes, len, &to), SKALD_OK);
    assert_int_equal(to.traceparent.len, SKI_RECORD_TEXT_MAX);
    assert_ptr_equal(to.traceparent.ptr,
                     bytes + SKI_RECORD_FIXED + (size_t)9 * SKI_RECORD_TEXT_MAX);
    bytes[88]--; // the first length: they do not add up any more
    bytes[89]--;
    assert_int_equal(ski_record_event(bytes, len, &to), SKALD_ECORRUPT);
    test_free(bytes);
    test_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_round_trip),
        cmocka_unit_test(test_frame_bytes_are_fixed),
        cmocka_unit_test(test_frame_any_bit_turned_is_refused),
        cmocka_unit_test(test_frame_of_another_salt_is_refused),
        cmocka_unit_test(test_frame_of_the_future_is_unsupported),
        cmocka_unit_test(test_frame_lengths_that_do_not_fit),
        cmocka_unit_test(test_record_round_trip),
        cmocka_unit_test(test_record_without_anything),
        cmocka_unit_test(test_record_any_bit_turned_is_refused),
        cmocka_unit_test(test_record_with_right_checksum_and_wrong_content),
        cmocka_unit_test(test_record_of_a_longer_fixed_part_is_read),
        cmocka_unit_test(test_record_texts_too_long),
        cmocka_unit_test(test_record_event_sets_every_field),
        cmocka_unit_test(test_record_texts_that_are_not_there),
        cmocka_unit_test(test_record_of_longest_texts),
        cmocka_unit_test(test_value_round_trip),
        cmocka_unit_test(test_value_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
