// SPDX-License-Identifier: Apache-2.0
// store/memory/slot.h - an event in its place, a quarter of the size of skald_event: how long each
// text is, not where.
#ifndef SKI_STORE_MEMORY_SLOT_H
#define SKI_STORE_MEMORY_SLOT_H

#include <skald/event.h>

// A block of texts (texts.h).
typedef struct ski_memory_texts {
    struct ski_memory_texts *next, *before;
    uint32_t size, used, live; // of bytes
    uint32_t written;          // of bytes, when it was filled before; used says it of now
    uint32_t pins;             // pages that are out and borrow from it
    bool left;                 // it has texts of events that left, of now or before
    char bytes[];
} ski_memory_texts;

// The texts lie behind each other from at on, in the order in which their lengths stand here.
// Erased, at is NULL; its id and its time are still looked at, for what lies around it.
typedef struct ski_memory_slot {
    const char *at;
    skald_uuid id;
    skald_time occurred_at, recorded_at;
    uint32_t stream_version, version; // the lower half of the first
    uint32_t offset;                  // of at in the bytes of its ski_memory_texts
    uint8_t type, tenant, stream, correlation_id, causation_id, user, role, source, traceparent;
    int8_t priority : 3;
    bool test : 1;
    bool risen : 1; // its id is above all before it
    uint16_t tags;
    uint64_t data : 28, metadata : 20, stream_version_high : 16;
} ski_memory_slot;

// ski_memory_slot_fits: no text is longer than an envelope's may be.
bool ski_memory_slot_fits(const skald_event *event);
// ski_memory_slot_put copies an event into a slot, and its texts to at of texts, where they have
// room.
void ski_memory_slot_put(ski_memory_slot *slot, const skald_event *event,
                         const ski_memory_texts *texts, char *at);
// ski_memory_slot_get makes the event of a slot that is not erased; it borrows the texts.
// Returns how many bytes these have.
size_t ski_memory_slot_get(const ski_memory_slot *slot, uint64_t position, skald_event *ret_event);
size_t ski_memory_slot_bytes(const ski_memory_slot *slot); // of its texts

static inline skald_str ski_memory_slot_type(const ski_memory_slot *slot)
{
    return (skald_str){slot->at, slot->type};
}

static inline skald_str ski_memory_slot_tenant(const ski_memory_slot *slot)
{
    return (skald_str){slot->at + slot->type, slot->tenant};
}

static inline skald_str ski_memory_slot_stream(const ski_memory_slot *slot)
{
    return (skald_str){slot->at + slot->type + slot->tenant, slot->stream};
}

static inline skald_str ski_memory_slot_correlation(const ski_memory_slot *slot)
{
    return (skald_str){slot->at + slot->type + slot->tenant + slot->stream, slot->correlation_id};
}

static inline uint64_t ski_memory_slot_version(const ski_memory_slot *slot)
{
    return (uint64_t)slot->stream_version_high << 32 | slot->stream_version;
}

static inline void ski_memory_slot_version_put(ski_memory_slot *slot, uint64_t version)
{
    slot->stream_version = (uint32_t)version;
    slot->stream_version_high = (uint16_t)(version >> 32);
}

static inline ski_memory_texts *ski_memory_slot_texts(const ski_memory_slot *slot)
{
    return (ski_memory_texts *)(slot->at - slot->offset - offsetof(ski_memory_texts, bytes));
}

#endif
