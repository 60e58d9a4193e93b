// SPDX-License-Identifier: Apache-2.0
// The way in: ids, then expectations, then everything that can fail, and last what cannot.
//
// Invariants:
//   1. Under data a batch is stored whole or not at all: each index is told of an event, or what
//      was told is taken back in reverse.
//   2. done is called in commit order, under order and nothing else.
#include "store/memory/memory_store.h"

#include "base/alloc.h"
#include "base/uuid.h"
#include "store/content.h"

#include <string.h>

enum {
    event_overhead_bytes = sizeof(ski_memory_slot) + 32, // and its places in the indexes
    dropped_at_least = 64,                               // events, by an append of few
};

// repetition_give gives a batch whose ids are all stored what it was given the first time.
static void repetition_give(const ski_memory *memory, skald_store_batch *batch)
{
    for (size_t i = 0; i < batch->event_count; i++) {
        skald_event *event = &batch->events[i];
        uint64_t position = ski_memory_ids_find(memory, event->tenant, event->id);
        const ski_memory_slot *first = ski_memory_slot_at(memory, position);

        event->position = position;
        event->stream_version = ski_memory_slot_version(first);
        event->recorded_at = first->recorded_at;
    }
    batch->appended.repeated = true;
}

// batch_known: are the ids of the batch stored already? With all of them, and the same content, the
// batch is given the first result.
static skald_err batch_known(const ski_memory *memory, skald_store_batch *batch)
{
    bool made = batch->ids_made;
    size_t known = 0;

    batch->ids_made = false; // given again, they are looked for
    if (made) return SKALD_OK;
    for (size_t i = 0; i < batch->event_count; i++) {
        const skald_event *event = &batch->events[i];
        skald_event first;

        if (ski_uuid_order(event->id, memory->ids.highest) > 0) continue; // most are
        uint64_t position = ski_memory_ids_find(memory, event->tenant, event->id);

        if (!position) continue;
        ski_memory_slot_get(ski_memory_slot_at(memory, position), position, &first);
        if (ski_event_content_hash(memory->seed, event) !=
            ski_event_content_hash(memory->seed, &first))
            return SKALD_EEXISTS;
        known++;
    }
    if (!known) return SKALD_OK;
    if (known < batch->event_count) return SKALD_EEXISTS;
    repetition_give(memory, batch);
    return SKALD_OK;
}

static skald_err batch_expects(const ski_memory *memory, skald_store_batch *batch)
{
    for (size_t i = 0; i < batch->expect_count; i++) {
        const skald_expect *expect = &batch->expect[i];
        const ski_memory_list *list =
            ski_memory_postings_find(&memory->streams, expect->tenant, expect->stream);
        uint64_t actual = list ? list->gone + list->count : 0;

        if (expect->expected == SKALD_ANY) continue;
        if (expect->expected == SKALD_NONE && !actual) continue;
        if (expect->expected == SKALD_PRESENT && actual) continue;
        if (expect->expected == SKALD_AT && actual == expect->version) continue;
        if ((unsigned)expect->expected == SKALD_STORE_AT_LEAST && actual >= expect->version)
            continue;
        batch->actual_version = actual;
        batch->conflict = i;
        return SKALD_ECONFLICT;
    }
    return SKALD_OK;
}

// What a batch brings. What types and correlations will take is asked for now, at most, so a read
// that makes their indexes finds its room paid. What the names of new streams take is seen only by
// the next append: the limit is exceeded by one batch's at most.
typedef struct brought {
    uint64_t unindexed, all;
} brought;

static skald_err batch_measure(const skald_store_batch *batch, brought *ret_brought)
{
    brought bytes = {0};

    for (size_t i = 0; i < batch->event_count; i++) {
        if (!ski_memory_slot_fits(&batch->events[i])) return SKALD_ETOOBIG;
        bytes.all += ski_event_text_bytes(&batch->events[i]);
        bytes.unindexed +=
            ski_memory_unindexed(batch->events[i].tenant.len, batch->events[i].type.len,
                                 batch->events[i].correlation_id.len);
    }
    bytes.all += bytes.unindexed +
                 batch->event_count * (uint64_t)(event_overhead_bytes + SKI_MEMORY_TEXTS_HEAD);
    for (size_t i = 0; i < batch->value_count; i++)
        if (batch->values[i].bytes.ptr)
            bytes.all += batch->values[i].name.len + batch->values[i].bytes.len;
    *ret_brought = bytes;
    return SKALD_OK;
}

uint64_t ski_memory_bytes(const ski_memory *memory)
{
    uint64_t events = memory->count + 1 - memory->first;

    return memory->texts_used + events * event_overhead_bytes + memory->streams.bytes +
           memory->index_bytes + memory->unindexed_bytes + memory->values.bytes;
}

static bool has_room(const ski_memory *memory, const skald_store_batch *batch, uint64_t bytes)
{
    if (!bytes) return true; // values are removed: always possible
    if (memory->count + 1 - memory->first + batch->event_count >= SKI_MEMORY_EVENTS_MAX)
        return false;
    return bytes <= memory->bytes_max && ski_memory_bytes(memory) <= memory->bytes_max - bytes;
}

// room_make: with every append go twice as many events as come, of those that may, and all that
// must for it to have room; then goes what indexes hold of those that went. It waits for nobody: an
// index that somebody is making stays as it is.
static bool room_make(ski_memory *memory, const skald_store_batch *batch, uint64_t bytes)
{
    (void)ski_memory_drop(memory, 2 * batch->event_count + dropped_at_least);
    while (!has_room(memory, batch, bytes))
        if (!ski_memory_drop(memory, SKI_MEMORY_CHUNK_EVENTS) && !ski_memory_sweep_some(memory))
            return false;
    return true;
}

static skald_err chunks_room(ski_memory *memory, uint64_t count)
{
    while ((memory->chunks_gone + memory->chunk_count) * SKI_MEMORY_CHUNK_EVENTS < count)
        SKALD_TRY(ski_memory_chunks_add(memory));
    return SKALD_OK;
}

// event_index tells the indexes of the event at position, or none.
static skald_err event_index(ski_memory *memory, uint64_t position)
{
    ski_memory_slot *slot = ski_memory_slot_at(memory, position);
    skald_str tenant = ski_memory_slot_tenant(slot), stream = ski_memory_slot_stream(slot);

    if (stream.len) {
        const ski_memory_list *list =
            ski_memory_postings_add(&memory->streams, tenant, stream, position, memory->first);

        if (!list) return SKALD_ENOMEM;
        ski_memory_slot_version_put(slot, list->gone + list->count);
    }
    if (!ski_memory_ids_add(memory, position)) return SKALD_OK;
    if (stream.len) ski_memory_postings_drop(&memory->streams, tenant, stream);
    return SKALD_ENOMEM;
}

static void event_unindex(ski_memory *memory, uint64_t position)
{
    const ski_memory_slot *slot = ski_memory_slot_at(memory, position);

    ski_memory_ids_forget(memory, slot, position);
    if (slot->stream)
        ski_memory_postings_drop(&memory->streams, ski_memory_slot_tenant(slot),
                                 ski_memory_slot_stream(slot));
}

// event_store puts an event at position and tells it, and the indexes, so.
static skald_err event_store(ski_memory *memory, uint64_t position, skald_event *event)
{
    ski_memory_slot *slot = ski_memory_slot_at(memory, position);
    ski_memory_texts *texts;
    char *at = ski_memory_texts_add(memory, position, ski_event_text_bytes(event), &texts);

    if (!at) return SKALD_ENOMEM;
    if (position % SKI_MEMORY_CHUNK_EVENTS == 1)
        ski_memory_chunk_at(memory, position / SKI_MEMORY_CHUNK_EVENTS)->highest_before =
            memory->ids.highest;
    ski_memory_slot_put(slot, event, texts, at);
    slot->recorded_at = memory->recorded_last;
    SKALD_TRY(event_index(memory, position));
    event->position = position;
    event->stream_version = ski_memory_slot_version(slot);
    event->recorded_at = slot->recorded_at;
    return SKALD_OK;
}

// events_store copies the events behind the others; count is not moved yet.
static skald_err events_store(ski_memory *memory, const skald_store_batch *batch)
{
    skald_time now = memory->host->clock->now(memory->host->clock->context);
    const ski_memory_texts_mark before = ski_memory_texts_stand(memory);
    uint64_t position = memory->count;

    if (!batch->event_count) return SKALD_OK;
    SKALD_TRY(chunks_room(memory, memory->count + batch->event_count));
    if (now > memory->recorded_last) memory->recorded_last = now;
    for (size_t i = 0; i < batch->event_count; i++)
        if (event_store(memory, ++position, &batch->events[i])) goto nomem;
    return SKALD_OK;

nomem:
    while (--position > memory->count) {
        skald_event *event = &batch->events[position - memory->count - 1];

        event_unindex(memory, position);
        event->position = event->stream_version = 0;
        event->recorded_at = 0;
    }
    ski_memory_texts_back(memory, &before);
    return SKALD_ENOMEM;
}

static skald_err batch_store(ski_memory *memory, const skald_store_batch *batch,
                             const brought *bytes)
{
    ski_memory_change *plan = NULL;
    skald_err err;

    if (!room_make(memory, batch, bytes->all)) return SKALD_EFULL;
    SKALD_TRY(ski_memory_values_plan(&memory->values, batch->values, batch->value_count, &plan));
    err = events_store(memory, batch);
    if (err) {
        ski_memory_values_cancel(&memory->values, plan, batch->value_count);
        return err;
    }
    memory->count += batch->event_count;
    memory->unindexed_bytes += bytes->unindexed;
    ski_memory_values_apply(&memory->values, plan, batch->value_count);
    return SKALD_OK;
}

static void batch_sum_up(skald_store_batch *batch)
{
    if (!batch->event_count) return;
    batch->appended.position_first = batch->events[0].position;
    batch->appended.position_last = batch->events[batch->event_count - 1].position;
    batch->appended.stream_version = batch->events[batch->event_count - 1].stream_version;
}

skald_err ski_memory_submit(void *driver, skald_store_batch *batch)
{
    ski_memory *memory = driver;
    skald_err told, err = SKALD_OK;
    bool stored = false;
    brought bytes;

    SKALD_TRY(batch_measure(batch, &bytes));
    ski_mutex_lock(&memory->order);
    ski_mutex_lock(&memory->data);
    told = batch_known(memory, batch);
    if (!told && !batch->appended.repeated) told = batch_expects(memory, batch);
    if (!told && !batch->appended.repeated) {
        err = batch_store(memory, batch, &bytes);
        stored = !err && batch->event_count;
    }
    if (!told && !err) batch_sum_up(batch);
    atomic_store(&memory->bytes, ski_memory_bytes(memory));
    atomic_store(&memory->head, memory->count);
    ski_mutex_unlock(&memory->data);
    if (stored) memory->host->advanced(memory->host->context, memory->count);
    if (!err) batch->done(batch, told);
    ski_mutex_unlock(&memory->order);
    return err;
}
