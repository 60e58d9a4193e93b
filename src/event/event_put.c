// SPDX-License-Identifier: Apache-2.0
// Members that both forms of an event have, each written one way.
#include "event/event_put.h"

void ski_put_uuid(ski_put *put, skald_str before, skald_uuid uuid)
{
    char text[SKALD_UUID_TEXT + 1];

    if (!skald_uuid_given(uuid)) return;
    skald_uuid_print(uuid, text);
    ski_put_raw(put, before);
    ski_put_raw(put, SKALD_STR("\""));
    ski_put_raw(put, (skald_str){text, SKALD_UUID_TEXT});
    ski_put_raw(put, SKALD_STR("\""));
}

void ski_put_time(ski_put *put, skald_str before, skald_time time)
{
    char text[SKALD_TIME_TEXT + 1];

    if (!time) return;
    skald_time_print(time, text);
    ski_put_raw(put, before);
    ski_put_raw(put, SKALD_STR("\""));
    ski_put_raw(put, (skald_str){text, SKALD_TIME_TEXT});
    ski_put_raw(put, SKALD_STR("\""));
}

void ski_put_json(ski_put *put, skald_str before, skald_json json)
{
    ski_put_raw(put, before);
    if (!json.len) {
        ski_put_raw(put, SKALD_STR("null"));
    } else if (memchr(json.ptr, '\n', json.len) || memchr(json.ptr, '\r', json.len)) {
        if (!put->err) put->err = ski_json_minify(put->buf, json);
    } else {
        ski_put_raw(put, json);
    }
}

skald_str ski_priority_name(skald_priority priority)
{
    switch (priority) {
    case SKALD_LOW: return SKALD_STR("low");
    case SKALD_HIGH: return SKALD_STR("high");
    case SKALD_CRITICAL: return SKALD_STR("critical");
    default: return SKALD_STR("normal");
    }
}
