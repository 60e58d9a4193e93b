// SPDX-License-Identifier: Apache-2.0
// event/event_put.h - writing members one after the other, asking about errors once, at the end.
//
// One thread. What is put after an error is nothing; the caller then sets the buffer's len back.
#ifndef SKI_EVENT_EVENT_PUT_H
#define SKI_EVENT_EVENT_PUT_H

#include "base/buf.h"
#include "base/json.h"
#include <skald/event.h>

#include <string.h>

typedef struct ski_put {
    skald_buf *buf;
    skald_err err; // the first one
} ski_put;

static inline void ski_put_raw(ski_put *put, skald_str text)
{
    if (put->err) return;
    if (text.len <= put->buf->size - put->buf->len) {
        if (text.len) memcpy(put->buf->ptr + put->buf->len, text.ptr, text.len);
        put->buf->len += text.len;
    } else {
        put->err = skald_buf_put(put->buf, text);
    }
}

static inline void ski_put_string(ski_put *put, skald_str text)
{
    if (!put->err) put->err = ski_json_put_string(put->buf, text);
}

static inline void ski_put_u64(ski_put *put, uint64_t number)
{
    if (!put->err) put->err = ski_buf_u64(put->buf, number);
}

// The rest writes what stands before a value (",\"name\":", a comma included) and the value.

// ski_put_text: not given and empty are nothing.
static inline void ski_put_text(ski_put *put, skald_str before, skald_str text)
{
    if (!text.len) return;
    ski_put_raw(put, before);
    ski_put_string(put, text);
}

void ski_put_uuid(ski_put *put, skald_str before, skald_uuid uuid); // not given: nothing
void ski_put_time(ski_put *put, skald_str before, skald_time time); // not given: nothing
void ski_put_json(ski_put *put, skald_str before, skald_json json); // on one line; not given: null
skald_str ski_priority_name(skald_priority priority);

// ski_cloudevents_put writes the structured form of CloudEvents.
void ski_cloudevents_put(ski_put *put, const skald_event *event);

#endif
