// SPDX-License-Identifier: Apache-2.0
// Reading an event from JSON that the door accepted: one walk over the envelope. Data and metadata
// are not looked into; they stay text.
//
// Invariants:
//   1. Every member is known, and comes once (event_read.c).
//   2. Nothing is written to the caller's event before everything has been read and checked.
#include "base/str.h"
#include "event/event_read.h"

#include <string.h>

static skald_err read_metadata(ski_reader *reader, const ski_member *member,
                               const ski_json_item *item)
{
    if (item->kind != SKI_JSON_OBJECT) return ski_kind_fails(reader, member, "an object", item);
    reader->event->metadata = item->value;
    return SKALD_OK;
}

// read_given reads what only a store gives.
static skald_err read_given(ski_reader *reader, const ski_member *member, const ski_json_item *item)
{
    if (!(reader->flags & SKI_EVENT_STORED)) {
        return ski_member_fails(reader, member, SKALD_EINVALID,
                                "is given by the store; leave it out");
    }
    return member->offset == offsetof(skald_event, recorded_at)
               ? ski_read_time(reader, member, item)
               : ski_read_count(reader, member, item);
}

// publishing_only refuses what is no part of an event where nobody publishes.
static skald_err publishing_only(ski_reader *reader, const ski_member *member)
{
    if (reader->expect) return SKALD_OK;
    return ski_member_fails(reader, member, SKALD_EINVALID, "belongs to publishing; leave it out");
}

static skald_err read_asked_time(ski_reader *reader, const ski_member *member,
                                 const ski_json_item *item, skald_time *ret_time)
{
    skald_str text;

    SKALD_TRY(publishing_only(reader, member));
    SKALD_TRY(ski_read_string(reader, member, item, &text));
    if (!skald_time_parse(text, ret_time) && *ret_time > 0) return SKALD_OK;
    return ski_member_fails(reader, member, SKALD_EINVALID,
                            "must be a time of RFC 3339, as \"2030-01-02T03:04:05Z\"");
}

static skald_err read_deliver_at(ski_reader *reader, const ski_member *member,
                                 const ski_json_item *item)
{
    skald_time at = 0;

    SKALD_TRY(read_asked_time(reader, member, item, &at));
    reader->expect->deliver_at = at;
    return SKALD_OK;
}

static skald_err read_expires_at(ski_reader *reader, const ski_member *member,
                                 const ski_json_item *item)
{
    skald_time at = 0;

    SKALD_TRY(read_asked_time(reader, member, item, &at));
    reader->expect->expires_at = at;
    return SKALD_OK;
}

static skald_err read_expected(ski_reader *reader, const ski_member *member,
                               const ski_json_item *item)
{
    ski_event_expect expect = {0};
    skald_str text = {NULL, 0};

    SKALD_TRY(publishing_only(reader, member));
    if (item->kind == SKI_JSON_STRING) SKALD_TRY(ski_read_string(reader, member, item, &text));
    if (item->kind == SKI_JSON_NUMBER && !ski_json_u64(item->value, &expect.version)) {
        expect.expected = expect.version ? SKI_EXPECT_AT : SKI_EXPECT_NONE;
    } else if (skald_str_equal(text, SKALD_STR("none"))) {
        expect.expected = SKI_EXPECT_NONE;
    } else if (skald_str_equal(text, SKALD_STR("exists"))) {
        expect.expected = SKI_EXPECT_EXISTS;
    } else if (!skald_str_equal(text, SKALD_STR("any"))) {
        return ski_member_fails(reader, member, SKALD_EINVALID,
                                "must be \"any\", \"none\", \"exists\" or the stream's version as "
                                "a whole number from 0");
    }
    reader->expect->expected = expect.expected;
    reader->expect->version = expect.version;
    return SKALD_OK;
}

// read_tags puts the texts of an array beside each other with a space between two.
static skald_err read_tags(ski_reader *reader, const ski_member *member, const ski_json_item *item)
{
    ski_json_walk walk = {.rest = item->value};
    ski_json_item each;
    skald_str tag;
    char *tags, *to;

    if (item->kind != SKI_JSON_ARRAY)
        return ski_kind_fails(reader, member, "an array of strings", item);
    tags = to = skald_arena_get(reader->arena, SKALD_TAGS_BYTES_MAX);
    if (!tags) return SKALD_ENOMEM;
    for (size_t index = 0; ski_json_next(&walk, &each); index++) {
        if (each.kind != SKI_JSON_STRING)
            return ski_kind_fails(reader, member, "an array of strings", &each);
        SKALD_TRY(ski_read_string(reader, member, &each, &tag));
        if (!tag.len || memchr(tag.ptr, ' ', tag.len)) {
            return ski_member_fails(reader, member, SKALD_EINVALID,
                                    "item %zu is empty or holds a space; a tag is one word", index);
        }
        if ((size_t)(to - tags) + (to > tags) + tag.len > SKALD_TAGS_BYTES_MAX) {
            return ski_member_fails(reader, member, SKALD_EINVALID,
                                    "take more than %d bytes together", SKALD_TAGS_BYTES_MAX);
        }
        if (to > tags) *to++ = ' ';
        memcpy(to, tag.ptr, tag.len);
        to += tag.len;
    }
    if (to > tags) reader->event->tags = (skald_str){tags, (size_t)(to - tags)};
    return SKALD_OK;
}

static skald_err read_actor(ski_reader *reader, const ski_member *member, const ski_json_item *item)
{
    static const ski_member rows[] = {
        {SKALD_STR("actor.userId"), ski_read_text, offsetof(skald_event, user)},
        {SKALD_STR("actor.role"), ski_read_text, offsetof(skald_event, role)},
    };
    const ski_members members = {.rows = rows,
                                 .count = sizeof(rows) / sizeof(rows[0]),
                                 .prefix = sizeof("actor.") - 1,
                                 .unknown = ski_unknown_fails};

    if (item->kind != SKI_JSON_OBJECT) return ski_kind_fails(reader, member, "an object", item);
    return ski_read_members(reader, &members, item->value);
}

static const ski_member envelope_rows[] = {
    {SKALD_STR("id"), ski_read_uuid, offsetof(skald_event, id)},
    {SKALD_STR("type"), ski_read_text, offsetof(skald_event, type)},
    {SKALD_STR("version"), ski_read_version, 0},
    {SKALD_STR("stream"), ski_read_text, offsetof(skald_event, stream)},
    {SKALD_STR("expectedVersion"), read_expected, 0},
    {SKALD_STR("streamVersion"), read_given, offsetof(skald_event, stream_version)},
    {SKALD_STR("position"), read_given, offsetof(skald_event, position)},
    {SKALD_STR("tenantId"), ski_read_text, offsetof(skald_event, tenant)},
    {SKALD_STR("correlationId"), ski_read_text, offsetof(skald_event, correlation_id)},
    {SKALD_STR("causationId"), ski_read_text, offsetof(skald_event, causation_id)},
    {SKALD_STR("actor"), read_actor, 0},
    {SKALD_STR("source"), ski_read_text, offsetof(skald_event, source)},
    {SKALD_STR("occurredAt"), ski_read_time, offsetof(skald_event, occurred_at)},
    {SKALD_STR("recordedAt"), read_given, offsetof(skald_event, recorded_at)},
    {SKALD_STR("priority"), ski_read_priority, 0},
    {SKALD_STR("persistent"), ski_read_persistent, 0},
    {SKALD_STR("traceparent"), ski_read_text, offsetof(skald_event, traceparent)},
    {SKALD_STR("tags"), read_tags, 0},
    {SKALD_STR("data"), ski_read_data, 0},
    {SKALD_STR("metadata"), read_metadata, 0},
    {SKALD_STR("deliverAt"), read_deliver_at, 0},
    {SKALD_STR("expiresAt"), read_expires_at, 0},
};

static skald_err envelope_read(ski_reader *reader, skald_str item)
{
    const ski_members members = {.rows = envelope_rows,
                                 .count = sizeof(envelope_rows) / sizeof(envelope_rows[0]),
                                 .unknown = ski_unknown_fails};

    SKALD_TRY(ski_read_members(reader, &members, item));
    return ski_event_check_names(reader->event, SKALD_EVENT_BYTES_LIMIT, reader->error);
}

skald_err ski_event_read(skald_str item, unsigned flags, skald_arena *arena, skald_event *ret_event,
                         ski_event_expect *ret_expect, skald_error *reterr_error)
{
    skald_event event = {.version = 1};
    ski_event_expect expect = {0};
    ski_reader reader = {.event = &event,
                         .expect = ret_expect ? &expect : NULL,
                         .arena = arena,
                         .error = reterr_error,
                         .flags = flags};
    ski_json_kind kind = ski_json_kind_of(item);
    skald_err err;

    if (kind != SKI_JSON_OBJECT) {
        return skald_fail(reterr_error, SKALD_EINVALID, "an event must be an object, not %s",
                          ski_json_kind_name(kind));
    }
    err = flags & SKI_EVENT_CLOUDEVENTS ? ski_cloudevents_read(&reader, item)
                                        : envelope_read(&reader, item);
    if (err == SKALD_ENOMEM) {
        return skald_fail(reterr_error, err, "out of memory while reading an event");
    }
    if (err) return err;
    *ret_event = event;
    if (ret_expect) *ret_expect = expect;
    return SKALD_OK;
}

skald_err skald_event_parse(skald_json json, bool cloudevents, skald_arena *arena,
                            skald_event *ret_event, skald_error *reterr_error)
{
    unsigned flags = SKI_EVENT_STORED | (cloudevents ? SKI_EVENT_CLOUDEVENTS : 0);

    SKALD_TRY(ski_json_door_check(json, false, reterr_error));
    return ski_event_read(json, flags, arena, ret_event, NULL, reterr_error);
}
