// SPDX-License-Identifier: Apache-2.0
// The tally: hidden are the beginning of the log up to the floor and the beginnings of streams with
// metadata; both are read, and an event that lies in both is counted with the first. What was
// compacted is not there to be read, and the driver does not count it either.
#include "store/tally.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "store/content.h"
#include "store/handle.h"

#include <string.h>

enum {
    entries_first = 32,
    stream_looks = 8, // what asking for a stream counts for
};

static uint64_t entry_hash(void *context, uint32_t slot)
{
    const ski_tally *tally = context;

    return tally->entries[slot].hash;
}

static uint32_t slot_find(const ski_tally *tally, uint64_t hash, skald_str type)
{
    uint32_t cursor = 0, slot;

    while ((slot = ski_map_find(&tally->map, hash, &cursor)) != SKI_MAP_NONE)
        if (skald_str_equal(tally->entries[slot].type, type)) break;
    return slot;
}

static skald_err tally_add(ski_tally *tally, skald_str type)
{
    uint64_t hash = ski_hash64(0, type.ptr, type.len);
    uint32_t slot = slot_find(tally, hash, type);
    uint32_t size = tally->size ? tally->size * 2 : entries_first;
    struct ski_tally_entry *entries;

    if (slot != SKI_MAP_NONE) {
        tally->entries[slot].count++;
        return SKALD_OK;
    }
    if (tally->count == tally->size) {
        entries = ski_realloc(tally->entries, size * sizeof(*entries));
        if (!entries) return SKALD_ENOMEM;
        tally->entries = entries;
        tally->size = size;
    }
    type = skald_arena_copy(tally->arena, type);
    if (!type.ptr) return SKALD_ENOMEM;
    tally->entries[tally->count] = (struct ski_tally_entry){type, 1, hash};
    SKALD_TRY(ski_map_put(&tally->map, hash, tally->count, entry_hash, tally));
    tally->count++;
    return SKALD_OK;
}

// page_count counts the hidden events of a page that lie above position. False in *ret_on: one was
// not hidden, and neither is what comes behind it.
static skald_err page_count(skald_store *store, const ski_sight *sight, const skald_read *read,
                            const skald_store_page *page, ski_tally *tally, bool *ret_on)
{
    bool floor = !read->filter.streams.count;

    for (size_t i = 0; i < page->count && tally->left; i++, tally->left--) {
        const skald_event *event = &page->events[i];
        skald_store_mark mark = {event->tenant, event->stream, event->stream_version,
                                 event->position, event->recorded_at};

        if (!ski_read_matches(read, event)) continue;
        if (!floor && !ski_sight_dead(store, sight, &mark)) {
            *ret_on = false;
            return SKALD_OK;
        }
        if (ski_reserved(event->type) || ski_reserved(event->stream)) continue;
        if (floor || event->position > sight->floor) SKALD_TRY(tally_add(tally, event->type));
    }
    return SKALD_OK;
}

static skald_err read_count(skald_store *store, const ski_sight *sight, skald_read read,
                            ski_tally *tally)
{
    bool on = true;

    read.page_bytes_max = SKI_STORE_PAGE_BYTES;
    while (on && tally->left) {
        skald_store_page page = {0};
        skald_err err = store->driver->read(store->instance, &read, &page, NULL);

        if (err && (err != SKALD_ECORRUPT || page.position_next <= read.after)) return err;
        if (!err) err = page_count(store, sight, &read, &page, tally, &on);
        if (err == SKALD_ECORRUPT) err = SKALD_OK;
        on = on && !page.end;
        read.after = page.position_next;
        if (page.driver) store->driver->page_free(store->instance, &page);
        if (err) return err;
    }
    return SKALD_OK;
}

// stream_count counts what one rule hides. Nothing else changes the table now: change is held.
static skald_err stream_count(skald_store *store, const ski_sight *sight, skald_str tenant,
                              uint32_t index, ski_tally *tally)
{
    char text[SKALD_TENANT_BYTES_MAX + SKALD_STREAM_BYTES_MAX];
    skald_str stream;
    skald_read read = {.after = sight->floor};
    bool meant;

    ski_mutex_lock(&store->rules_mutex);
    const ski_rules_entry *entry = &store->rules.entries[index];
    memcpy(text, entry->tenant.ptr, entry->tenant.len + entry->stream.len);
    read.filter.tenant = (skald_str){text, entry->tenant.len};
    stream = (skald_str){text + entry->tenant.len, entry->stream.len};
    ski_mutex_unlock(&store->rules_mutex);
    meant = !tenant.ptr || skald_str_equal(tenant, read.filter.tenant);
    read.filter.streams = (skald_texts){&stream, 1};
    if (!meant) return SKALD_OK;
    tally->left -= tally->left < stream_looks ? tally->left : stream_looks;
    return read_count(store, sight, read, tally);
}

skald_err ski_tally_hidden(skald_store *store, const ski_sight *sight, skald_str tenant,
                           skald_arena *arena, ski_tally *ret_tally)
{
    skald_read read = {.filter.tenant = tenant, .before = sight->floor + 1};
    skald_err err = SKALD_OK;

    *ret_tally = (ski_tally){.arena = arena, .left = SKI_TALLY_EVENTS_MAX};
    if (sight->floor) SKALD_TRY(read_count(store, sight, read, ret_tally));
    if (!sight->rules) return SKALD_OK;
    ski_mutex_lock(&store->change);
    for (uint32_t i = 0; !err && ret_tally->left && i < store->rules.count; i++)
        err = stream_count(store, sight, tenant, i, ret_tally);
    ski_mutex_unlock(&store->change);
    return err;
}

uint64_t ski_tally_count(const ski_tally *tally, skald_str type)
{
    uint32_t slot = slot_find(tally, ski_hash64(0, type.ptr, type.len), type);

    return slot == SKI_MAP_NONE ? 0 : tally->entries[slot].count;
}

void ski_tally_fini(ski_tally *tally)
{
    ski_map_fini(&tally->map);
    ski_free(tally->entries);
}
