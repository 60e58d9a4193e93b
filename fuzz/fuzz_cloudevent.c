// SPDX-License-Identifier: Apache-2.0
// CloudEvents whose attributes are headers. An input is lines "name: value", an empty one, and the
// body. Of any bytes must hold:
//
//   what is made of them is JSON that the door takes, and is read as an event or refused in words;
//   what is read can be stored and is written out as a CloudEvent that is read again.
#include "api/api_cloudevents.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "event/event_json.h"

#include <skald/event.h>
#include <stdlib.h>
#include <string.h>

enum { scratch_bytes = 16 << 20, input_bytes_max = 64 * 1024, headers_max = 100 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void must(bool holds)
{
    if (!holds) abort();
}

// value_plain: what the parser lets through: no controls but a tab.
static bool value_plain(skald_str value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char byte = (unsigned char)value.ptr[i];
        if ((byte < ' ' && byte != '\t') || byte == 0x7f) return false;
    }
    return true;
}

// take_headers reads the lines up to the empty one; false: no parser would let them through.
static bool take_headers(skald_str *rest, ski_http_header *headers, size_t *ret_count)
{
    size_t count = 0;

    while (rest->len && count < headers_max) {
        skald_str value = {0}, line = ski_str_cut(*rest, '\n', rest);
        skald_str name = ski_str_cut(line, ':', &value);

        if (!line.len) break;
        value = ski_str_trim(value);
        if (!name.len || !value.ptr || !value_plain(value) || !value_plain(name)) return false;
        headers[count++] = (ski_http_header){name, value};
    }
    *ret_count = count;
    return true;
}

static void read_back(const skald_event *event, skald_arena *arena)
{
    skald_buf buf = {.bytes_max = scratch_bytes};
    skald_event again;

    must(!skald_event_check(event, SKALD_EVENT_BYTES_LIMIT, NULL));
    must(!skald_event_json(event, true, &buf));
    must(!ski_buf_room(&buf, SKI_JSON_PAD));
    must(!ski_json_door_check(ski_buf_str(&buf), true, NULL));
    must(!ski_event_read(ski_buf_str(&buf), SKI_EVENT_CLOUDEVENTS, arena, &again, NULL, NULL));
    must(skald_uuid_equal(again.id, event->id) && skald_str_equal(again.type, event->type));
    skald_buf_fini(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    ski_http_header headers[headers_max];
    skald_str rest = {(const char *)bytes, len}, made = {0};
    ski_http_request request = {.headers = headers};
    skald_error error = {0};
    skald_arena *arena = NULL;
    skald_event event;
    char *body;

    if (!len || len > input_bytes_max || !take_headers(&rest, headers, &request.header_count))
        return 0;
    if (skald_arena_new(scratch_bytes, &arena)) return 0;
    body = skald_arena_get(arena, rest.len + SKI_JSON_PAD);
    must(body != NULL);
    if (rest.len) memcpy(body, rest.ptr, rest.len);
    request.body = ski_str(body, rest.len);
    request.scratch = arena;
    skald_err err = ski_cloudevent_structured(&request, &made, &error);
    if (!err) {
        must(!ski_json_door_check(made, true, NULL));
        err = ski_event_read(made, SKI_EVENT_CLOUDEVENTS, arena, &event, NULL, &error);
        if (!err) read_back(&event, arena);
    }
    must(!err || err == SKALD_ENOMEM || error.text[0]);
    skald_arena_free(arena);
    return 0;
}
