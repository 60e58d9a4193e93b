// SPDX-License-Identifier: Apache-2.0
// Into a slot and out again. Memory that is touched for the first time costs more than all else of
// an append, so a slot says no more than it must.
#include "store/memory/slot.h"

#include <string.h>

_Static_assert(sizeof(ski_memory_slot) == 72, "a slot has grown: is it worth that?");

bool ski_memory_slot_fits(const skald_event *event)
{
    size_t bits = event->type.len | event->tenant.len | event->stream.len |
                  event->correlation_id.len | event->causation_id.len | event->user.len |
                  event->role.len | event->source.len | event->traceparent.len;

    return bits <= UINT8_MAX && event->tags.len <= UINT16_MAX && event->metadata.len < 1U << 20 &&
           event->data.len < 1U << 28;
}

// bytes_put copies len bytes, which are mostly few: names are shorter than a call is long.
static inline void bytes_put(char *at, const char *from, size_t len)
{
    if (len > 16) {
        memcpy(at, from, len);
    } else if (len >= 8) {
        memcpy(at, from, 8);
        memcpy(at + len - 8, from + len - 8, 8);
    } else if (len >= 4) {
        memcpy(at, from, 4);
        memcpy(at + len - 4, from + len - 4, 4);
    } else {
        for (size_t i = 0; i < len; i++) at[i] = from[i];
    }
}

static inline size_t text_put(char **at, skald_str text)
{
    if (!text.len) return 0;
    bytes_put(*at, text.ptr, text.len);
    *at += text.len;
    return text.len;
}

void ski_memory_slot_put(ski_memory_slot *slot, const skald_event *event,
                         const ski_memory_texts *texts, char *at)
{
    slot->at = at;
    slot->offset = (uint32_t)(at - texts->bytes);
    slot->id = event->id;
    slot->occurred_at = event->occurred_at;
    slot->recorded_at = 0;
    slot->version = event->version;
    slot->priority = (int8_t)event->priority;
    slot->test = event->test;
    slot->risen = false;
    slot->type = (uint8_t)text_put(&at, event->type);
    slot->tenant = (uint8_t)text_put(&at, event->tenant);
    slot->stream = (uint8_t)text_put(&at, event->stream);
    slot->correlation_id = (uint8_t)text_put(&at, event->correlation_id);
    slot->causation_id = (uint8_t)text_put(&at, event->causation_id);
    slot->user = (uint8_t)text_put(&at, event->user);
    slot->role = (uint8_t)text_put(&at, event->role);
    slot->source = (uint8_t)text_put(&at, event->source);
    slot->traceparent = (uint8_t)text_put(&at, event->traceparent);
    slot->tags = (uint16_t)text_put(&at, event->tags);
    slot->metadata = text_put(&at, event->metadata) & 0xfffff;
    slot->data = text_put(&at, event->data) & 0xfffffff;
    ski_memory_slot_version_put(slot, 0);
}

static inline skald_str text_get(const char **at, size_t len)
{
    skald_str text = {len ? *at : NULL, len};

    *at += len;
    return text;
}

size_t ski_memory_slot_get(const ski_memory_slot *slot, uint64_t position, skald_event *ret_event)
{
    const char *at = slot->at;

    ret_event->type = text_get(&at, slot->type);
    ret_event->tenant = text_get(&at, slot->tenant);
    ret_event->stream = text_get(&at, slot->stream);
    ret_event->correlation_id = text_get(&at, slot->correlation_id);
    ret_event->causation_id = text_get(&at, slot->causation_id);
    ret_event->user = text_get(&at, slot->user);
    ret_event->role = text_get(&at, slot->role);
    ret_event->source = text_get(&at, slot->source);
    ret_event->traceparent = text_get(&at, slot->traceparent);
    ret_event->tags = text_get(&at, slot->tags);
    ret_event->metadata = text_get(&at, slot->metadata);
    ret_event->data = text_get(&at, slot->data);
    ret_event->id = slot->id;
    ret_event->occurred_at = slot->occurred_at;
    ret_event->recorded_at = slot->recorded_at;
    ret_event->position = position;
    ret_event->stream_version = ski_memory_slot_version(slot);
    ret_event->version = slot->version;
    ret_event->priority = (skald_priority)slot->priority;
    ret_event->transient = false;
    ret_event->test = slot->test;
    return (size_t)(at - slot->at);
}

size_t ski_memory_slot_bytes(const ski_memory_slot *slot)
{
    return (size_t)slot->type + slot->tenant + slot->stream + slot->correlation_id +
           slot->causation_id + slot->user + slot->role + slot->source + slot->traceparent +
           slot->tags + slot->metadata + slot->data;
}
