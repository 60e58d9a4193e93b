// SPDX-License-Identifier: Apache-2.0
// Recent ids. The upper six bits of a hash choose the part, the next 32 are the tag, and where an
// entry is sought follows from its tag alone (tag * size / 2^32): so a part can be made anew
// without the hashes, and ids that come in the order of their hashes go into memory one behind the
// other.
//
// Invariants:
//   1. An entry lies between the place its tag names and the first free one behind it, cyclically.
//   2. No part is more than six sevenths full.
//   3. An entry younger than events_max is never dropped but by remove.
//   4. Ages are told modulo 2^32: every part is made anew, and so cleaned, long before its entries
//      could seem young again, for each new entry takes room.
#include "store/log/recent.h"
#include "base/alloc.h"
#include <assert.h>
#include <string.h>

enum { first_size = 16, part_shift = 58, tag_shift = 26 };

static uint32_t tag_of(uint64_t hash)
{
    return (uint32_t)(hash >> tag_shift);
}

static uint32_t place_of(uint32_t tag, uint32_t size)
{
    return (uint32_t)((uint64_t)tag * size >> 32);
}

static bool entry_free(const ski_recent_entry *entry)
{
    return entry->position == 0 && entry->tag == 0;
}

// entry_put puts an entry where there is room.
static void entry_put(ski_recent_part *part, ski_recent_entry entry)
{
    uint32_t at = place_of(entry.tag, part->size);

    while (!entry_free(&part->entries[at])) at = at + 1 == part->size ? 0 : at + 1;
    part->entries[at] = entry;
    part->used++;
}

static bool entry_young(const ski_recent_entry *entry, uint64_t last, uint64_t events_max)
{
    return (uint32_t)last - entry->position < events_max;
}

// part_size is the size of a part for so many entries: half full, so that it is seldom made anew.
static uint32_t part_size(uint64_t entries)
{
    return (uint32_t)(entries * 2) + first_size;
}

// part_renew makes a part anew, without what is too old.
static skald_err part_renew(ski_recent *recent, ski_recent_part *part, uint64_t last)
{
    ski_recent_part fresh = {0};
    uint32_t young = 0;

    for (uint32_t i = 0; i < part->size; i++) {
        const ski_recent_entry *entry = &part->entries[i];

        young += !entry_free(entry) && entry_young(entry, last, recent->events_max);
    }
    fresh.size = part_size(young);
    fresh.entries = ski_alloc_zeroed(fresh.size, sizeof *fresh.entries);
    if (!fresh.entries) return SKALD_ENOMEM;
    for (uint32_t i = 0; i < part->size; i++) {
        const ski_recent_entry *entry = &part->entries[i];

        if (entry_free(entry) || !entry_young(entry, last, recent->events_max)) continue;
        entry_put(&fresh, *entry);
    }
    ski_free(part->entries);
    *part = fresh;
    return SKALD_OK;
}

void ski_recent_init(ski_recent *recent, uint64_t events_max)
{
    assert(events_max <= SKI_RECENT_EVENTS_MAX);
    *recent = (ski_recent){.events_max = events_max};
}

void ski_recent_fini(ski_recent *recent)
{
    for (unsigned i = 0; i < SKI_RECENT_PARTS; i++) ski_free(recent->parts[i].entries);
    *recent = (ski_recent){0};
}

skald_err ski_recent_add(ski_recent *recent, uint64_t hash, uint64_t position, uint64_t last)
{
    ski_recent_part *part = &recent->parts[hash >> part_shift];
    ski_recent_entry entry = {tag_of(hash), (uint32_t)position};

    if (entry_free(&entry)) entry.tag = 1; // one hash in 2^32, at one position in 2^32: not found
    if (part->used >= part->size - part->size / 7) SKALD_TRY(part_renew(recent, part, last));
    entry_put(part, entry);
    return SKALD_OK;
}

void ski_recent_remove(ski_recent *recent, uint64_t hash, uint64_t position)
{
    ski_recent_part *part = &recent->parts[hash >> part_shift];
    uint32_t tag = tag_of(hash), hole = 0;

    if (!part->size) return;
    hole = place_of(tag, part->size);
    while (part->entries[hole].tag != tag || part->entries[hole].position != (uint32_t)position) {
        if (entry_free(&part->entries[hole])) return;
        hole = hole + 1 == part->size ? 0 : hole + 1;
    }
    part->used--;
    // Entries behind the hole that are sought before it move into it.
    for (uint32_t at = hole;;) {
        uint32_t home = 0;

        at = at + 1 == part->size ? 0 : at + 1;
        if (entry_free(&part->entries[at])) break;
        home = place_of(part->entries[at].tag, part->size);
        if (hole <= at ? home > hole && home <= at : home > hole || home <= at) continue;
        part->entries[hole] = part->entries[at];
        hole = at;
    }
    part->entries[hole] = (ski_recent_entry){0};
}

uint64_t ski_recent_next(const ski_recent *recent, ski_recent_cursor *cursor)
{
    const ski_recent_part *part = &recent->parts[cursor->hash >> part_shift];
    uint32_t tag = tag_of(cursor->hash);

    if (!part->size) return 0;
    if (!cursor->begun) {
        cursor->begun = true;
        cursor->at = place_of(tag, part->size);
    }
    for (; cursor->seen < part->size; cursor->seen++) {
        const ski_recent_entry *entry = &part->entries[cursor->at];
        uint64_t age = (uint32_t)((uint32_t)cursor->last - entry->position);

        if (entry_free(entry)) return 0;
        cursor->at = cursor->at + 1 == part->size ? 0 : cursor->at + 1;
        if (entry->tag != tag || age >= recent->events_max || age >= cursor->last) continue;
        cursor->seen++;
        return cursor->last - age;
    }
    return 0;
}

void ski_recent_expect(const ski_recent *recent, uint64_t hash)
{
    const ski_recent_part *part = &recent->parts[hash >> part_shift];

    if (part->size) __builtin_prefetch(&part->entries[place_of(tag_of(hash), part->size)]);
}

uint64_t ski_recent_bytes(const ski_recent *recent)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < SKI_RECENT_PARTS; i++) {
        bytes += (uint64_t)recent->parts[i].size * sizeof(ski_recent_entry);
    }
    return bytes;
}
