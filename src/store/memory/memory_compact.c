// SPDX-License-Identifier: Apache-2.0
// Erasing: events that are dead lose their texts, their ids and their places in the indexes, some
// at a time; whole chunks at the beginning of the log go. There is nothing to throttle: no device
// is kept from other work.
//
// Invariants:
//   1. A text is freed, and before that filled with zeros, only when no page is out.
//   2. A stream's list keeps its places: they are its versions.
//   3. The lock is held for some events or one list at a time.
#include "store/memory/memory_store.h"

#include "base/alloc.h"
#include "store/content.h"

#include <string.h>

enum { graves_first = 256, buried_at_once = 4096, judged_at_once = 256, moved_at_once = 1 << 20 };

void ski_memory_bury(ski_memory *memory)
{
    uint32_t moved = 0;

    if (memory->pages) return;
    for (int i = 0; memory->grave_count && i < buried_at_once && moved < moved_at_once; i++) {
        const ski_memory_grave *grave = &memory->graves[--memory->grave_count];

        moved += ski_memory_texts_drop(memory, grave->texts, grave->at, grave->len);
    }
    if (!memory->grave_count) {
        ski_free(memory->graves);
        memory->graves = NULL;
        memory->grave_size = 0;
    }
    atomic_store(&memory->bytes, ski_memory_bytes(memory));
}

static skald_err graves_room(ski_memory *memory, size_t more)
{
    size_t size = memory->grave_size ? memory->grave_size : graves_first;
    ski_memory_grave *graves;

    while (size - memory->grave_count < more) size *= 2;
    if (size == memory->grave_size) return SKALD_OK;
    graves = ski_realloc(memory->graves, size * sizeof(*graves));
    if (!graves) return SKALD_ENOMEM;
    memory->graves = graves;
    memory->grave_size = size;
    return SKALD_OK;
}

// event_erase takes one event out of everything but the lists; there is room for its grave.
static void event_erase(ski_memory *memory, uint64_t position)
{
    ski_memory_slot *slot = ski_memory_slot_at(memory, position);

    ski_memory_ids_forget(memory, slot, position);
    ski_memory_unindex(memory, position);
    memory->graves[memory->grave_count++] =
        (ski_memory_grave){ski_memory_slot_texts(slot), (char *)slot->at,
                           ski_memory_slot_bytes(slot)};
    *slot =
        (ski_memory_slot){.id = slot->id, .risen = slot->risen, .recorded_at = slot->recorded_at};
}

static bool position_kept(void *context, uint64_t position)
{
    const ski_memory *memory = context;

    return position >= memory->first && ski_memory_slot_at(memory, position)->at;
}

// lists_sweep takes erased positions out of the lists of an index, list by list.
static void lists_sweep(ski_memory *memory, ski_memory_postings *postings, bool leave)
{
    bool more = true;

    for (uint32_t slot = 0; more;) {
        ski_mutex_lock(&memory->index);
        ski_mutex_lock(&memory->data);
        more = slot < postings->count;
        if (more && !ski_memory_postings_sweep(postings, slot, position_kept, memory, leave))
            slot++;
        memory->index_bytes = memory->types.bytes + memory->correlations.bytes;
        ski_mutex_unlock(&memory->data);
        ski_mutex_unlock(&memory->index);
    }
}

// erased_sweep ends an erasing. Types stay, with nothing in them: a visitor of theirs goes on by
// slot.
static void erased_sweep(ski_memory *memory)
{
    bool more = true;

    lists_sweep(memory, &memory->types, false);
    lists_sweep(memory, &memory->correlations, true);
    while (more) {
        ski_mutex_lock(&memory->data);
        ski_memory_bury(memory);
        more = memory->grave_count && !memory->pages;
        atomic_store(&memory->bytes, ski_memory_bytes(memory));
        ski_mutex_unlock(&memory->data);
    }
}

// chunk_trim frees the first chunk there is. data is held.
static skald_err chunk_trim(ski_memory *memory)
{
    SKALD_TRY(graves_room(memory, SKI_MEMORY_CHUNK_EVENTS));
    for (uint64_t i = 0; i < SKI_MEMORY_CHUNK_EVENTS; i++)
        if (ski_memory_slot_at(memory, memory->first + i)->at)
            event_erase(memory, memory->first + i);
    ski_memory_chunk_end(memory, false);
    return SKALD_OK;
}

skald_err ski_memory_trim(void *driver, uint64_t position, uint64_t *ret_position,
                          skald_error *reterr_error)
{
    ski_memory *memory = driver;
    uint64_t first = 0, before = 0;
    skald_err err = SKALD_OK;
    bool more = true;

    while (more && !err) {
        ski_mutex_lock(&memory->data);
        if (!before) before = memory->first;
        if (position > memory->count) position = memory->count;
        more = memory->first + SKI_MEMORY_CHUNK_EVENTS - 1 <= position;
        if (more) err = chunk_trim(memory);
        first = memory->first;
        ski_mutex_unlock(&memory->data);
    }
    if (first != before) erased_sweep(memory);
    if (err) return skald_fail(reterr_error, err, "%s", skald_err_text(err));
    *ret_position = first;
    return SKALD_OK;
}

// Some events on their way to be judged. Their texts stay, as those of a page that is out.
typedef struct judged {
    skald_store_mark marks[judged_at_once];
    size_t count;
} judged;

static uint64_t marks_take(ski_memory *memory, uint64_t position, uint64_t last, judged *some)
{
    some->count = 0;
    ski_mutex_lock(&memory->data);
    ski_memory_hold(memory);
    if (position < memory->first) position = memory->first;
    for (; position <= last && some->count < judged_at_once; position++) {
        const ski_memory_slot *slot = ski_memory_slot_at(memory, position);

        if (!slot->at) continue;
        some->marks[some->count++] =
            (skald_store_mark){ski_memory_slot_tenant(slot), ski_memory_slot_stream(slot),
                               ski_memory_slot_version(slot), position, slot->recorded_at};
    }
    ski_mutex_unlock(&memory->data);
    return position;
}

static skald_err marks_erase(ski_memory *memory, skald_store_compact_job *job, judged *some)
{
    const uint64_t due = atomic_load(&memory->due); // dead for good, whatever is set now
    skald_err err = SKALD_OK;
    size_t dead = 0;

    for (size_t i = 0; i < some->count; i++)
        if (some->marks[i].position <= due || job->dead(job->context, &some->marks[i]))
            some->marks[dead++] = some->marks[i];
    ski_mutex_lock(&memory->data);
    ski_memory_hold_end(memory);
    if (dead) err = graves_room(memory, dead);
    for (size_t i = 0; !err && i < dead; i++) {
        uint64_t position = some->marks[i].position;

        if (!position_kept(memory, position)) continue; // it was dropped meanwhile
        job->bytes_freed += ski_memory_slot_bytes(ski_memory_slot_at(memory, position));
        event_erase(memory, position);
        job->events_erased++;
    }
    ski_memory_bury(memory); // also what could not be while these were judged
    ski_mutex_unlock(&memory->data);
    return err;
}

static void texts_clean(ski_memory *memory)
{
    ski_memory_texts *idle;
    bool more = true;

    ski_mutex_lock(&memory->data);
    idle = ski_memory_texts_clean_begin(memory);
    ski_mutex_unlock(&memory->data);
    while (more) {
        ski_mutex_lock(&memory->data);
        more = ski_memory_texts_clean(memory, &idle);
        ski_mutex_unlock(&memory->data);
    }
}

skald_err ski_memory_compact(void *driver, skald_store_compact_job *job, skald_error *reterr_error)
{
    ski_memory *memory = driver;
    uint64_t position, last, erased = job->events_erased;
    skald_err err = SKALD_OK;
    judged some;

    ski_mutex_lock(&memory->data);
    position = memory->first;
    last = memory->count;
    ski_mutex_unlock(&memory->data);
    while (!err && position <= last && job->proceed(job->context, position, last)) {
        position = marks_take(memory, position, last, &some);
        err = marks_erase(memory, job, &some);
    }
    if (job->events_erased != erased) erased_sweep(memory);
    if (!err && job->erase) texts_clean(memory);
    return err ? skald_fail(reterr_error, err, "%s", skald_err_text(err)) : SKALD_OK;
}
