// SPDX-License-Identifier: Apache-2.0
// The door for JSON and for events. What must hold of any bytes:
//
//   the door and the slow reader behind it agree, and take all that is plain; walking a text and
//   putting it together again gives the same text as taking its white space out; walking what the
//   door refused stays inside it; an event that is read, written and read again is the same, in
//   both forms, and passes the checks.
#include "base/buf.h"
#include "base/json.h"
#include "base/json_fault.h"
#include "base/json_plain.h"
#include "event/event_json.h"

#include <stdlib.h>
#include <string.h>

enum { bytes_max = 8 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

// must ends the program where the fuzzer sees it: what was asserted does not hold.
static void must(bool holds)
{
    if (!holds) abort();
}

static void put(skald_buf *buf, skald_str text)
{
    must(skald_buf_put(buf, text) == SKALD_OK);
}

static void rebuild(skald_buf *buf, skald_str value, ski_json_kind kind)
{
    ski_json_walk walk = {.rest = value};
    ski_json_item item;
    size_t count = 0;

    must(ski_json_kind_of(value) == kind);
    if (kind != SKI_JSON_ARRAY && kind != SKI_JSON_OBJECT) {
        put(buf, value);
        return;
    }
    put(buf, kind == SKI_JSON_ARRAY ? SKALD_STR("[") : SKALD_STR("{"));
    while (ski_json_next(&walk, &item)) {
        if (count++) put(buf, SKALD_STR(","));
        if (kind == SKI_JSON_OBJECT) {
            put(buf, SKALD_STR("\""));
            put(buf, item.key);
            put(buf, SKALD_STR("\":"));
        }
        rebuild(buf, item.value, item.kind);
    }
    put(buf, kind == SKI_JSON_ARRAY ? SKALD_STR("]") : SKALD_STR("}"));
}

static skald_str trimmed(skald_str text)
{
    while (text.len && strchr(" \t\r\n", text.ptr[0])) text.ptr++, text.len--;
    while (text.len && strchr(" \t\r\n", text.ptr[text.len - 1])) text.len--;
    return text;
}

// strings_hold: a string undone and written again is undone to the same.
static void strings_hold(skald_str string, skald_arena *arena)
{
    skald_buf buf = {.bytes_max = bytes_max};
    skald_str once, twice;

    if (ski_json_unescape(string, arena, &once)) return;
    must(ski_json_put_string(&buf, once) == SKALD_OK);
    must(ski_json_door_check(ski_buf_str(&buf), false, NULL) == SKALD_OK);
    must(ski_json_unescape(ski_buf_str(&buf), arena, &twice) == SKALD_OK);
    must(skald_str_equal(once, twice));
    skald_buf_fini(&buf);
}

static void text_holds(skald_str text, skald_arena *arena)
{
    skald_buf walked = {.bytes_max = bytes_max}, minified = {.bytes_max = bytes_max};
    skald_error error = {0};
    ski_json_walk walk = {.rest = text};
    ski_json_item item;

    if (ski_json_door_check(text, false, &error)) {
        must(error.text[0] != '\0');
        must(!ski_json_plain(text));
        for (size_t steps = 0; ski_json_next(&walk, &item); steps++) {
            must(steps <= text.len && item.value.ptr + item.value.len <= text.ptr + text.len);
        }
        return;
    }
    must(ski_json_fault(text, NULL) == SKALD_OK);
    text = trimmed(text);
    rebuild(&walked, text, ski_json_kind_of(text));
    must(ski_json_minify(&minified, text) == SKALD_OK);
    must(skald_str_equal(ski_buf_str(&walked), ski_buf_str(&minified)));
    if (ski_json_kind_of(text) == SKI_JSON_STRING) strings_hold(text, arena);
    skald_buf_fini(&walked);
    skald_buf_fini(&minified);
}

static bool json_equal(skald_json a, skald_json b)
{
    skald_buf one = {.bytes_max = bytes_max}, two = {.bytes_max = bytes_max};

    must(ski_json_minify(&one, a) == SKALD_OK && ski_json_minify(&two, b) == SKALD_OK);
    bool equal = skald_str_equal(ski_buf_str(&one), ski_buf_str(&two));
    skald_buf_fini(&one);
    skald_buf_fini(&two);
    return equal;
}

static bool event_equal(const skald_event *a, const skald_event *b)
{
    return skald_uuid_equal(a->id, b->id) && skald_str_equal(a->type, b->type) &&
           skald_str_equal(a->stream, b->stream) && skald_str_equal(a->tags, b->tags) &&
           skald_str_equal(a->tenant, b->tenant) && skald_str_equal(a->user, b->user) &&
           skald_str_equal(a->correlation_id, b->correlation_id) &&
           skald_str_equal(a->causation_id, b->causation_id) && skald_str_equal(a->role, b->role) &&
           skald_str_equal(a->source, b->source) &&
           skald_str_equal(a->traceparent, b->traceparent) && a->occurred_at == b->occurred_at &&
           a->recorded_at == b->recorded_at && a->position == b->position &&
           a->stream_version == b->stream_version && a->version == b->version &&
           a->priority == b->priority && a->transient == b->transient &&
           json_equal(a->data, b->data);
}

static void event_holds(skald_str text, bool cloudevents, skald_arena *arena)
{
    skald_buf one = {.bytes_max = bytes_max}, two = {.bytes_max = bytes_max};
    skald_event first, second;
    skald_error error = {0};

    if (skald_event_parse(text, cloudevents, arena, &first, &error)) {
        must(error.err != SKALD_OK && error.text[0] != '\0');
        return;
    }
    must(skald_event_check(&first, SKALD_EVENT_BYTES_LIMIT, NULL) == SKALD_OK);
    must(skald_event_json(&first, cloudevents, &one) == SKALD_OK);
    must(!memchr(one.ptr, '\n', one.len) && !memchr(one.ptr, '\r', one.len));
    must(skald_event_parse(ski_buf_str(&one), cloudevents, arena, &second, NULL) == SKALD_OK);
    must(event_equal(&first, &second));
    // What of the metadata a CloudEvent says by itself may come back in another order.
    must(cloudevents || json_equal(first.metadata, second.metadata));
    must(skald_event_json(&second, cloudevents, &two) == SKALD_OK);
    must(skald_str_equal(ski_buf_str(&one), ski_buf_str(&two)));
    skald_buf_fini(&one);
    skald_buf_fini(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    skald_str text = {(const char *)bytes, len};
    skald_arena *arena = NULL;
    ski_event_expect expect;
    skald_event event;

    if (len > bytes_max / 8 || skald_arena_new(bytes_max, &arena)) return 0;
    text_holds(text, arena);
    event_holds(text, false, arena);
    event_holds(text, true, arena);
    if (!ski_json_door_check(text, false, NULL) &&
        !ski_event_read(text, 0, arena, &event, &expect, NULL)) {
        must(!event.position && !event.stream_version && !event.recorded_at);
    }
    skald_arena_free(arena);
    return 0;
}
