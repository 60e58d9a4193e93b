// SPDX-License-Identifier: Apache-2.0
// Values. An entry goes when its value is removed, for names may be many that come and go; but not
// while a change of it is prepared, which knows it by its slot.
#include "store/log/values.h"
#include "base/alloc.h"
#include "base/hash.h"
#include <assert.h>
#include <string.h>

enum { first_entries = 16 };

void ski_values_fini(ski_values *values)
{
    for (uint32_t i = 0; i < values->count; i++) {
        ski_free(values->entries[i].name);
        ski_free(values->entries[i].bytes);
    }
    ski_free(values->entries);
    ski_map_fini(&values->map);
    *values = (ski_values){0};
}

static uint64_t entry_hash_of(void *context, uint32_t slot)
{
    return ((ski_values *)context)->entries[slot].hash;
}

static uint32_t values_slot(const ski_values *values, uint64_t hash, skald_str name)
{
    uint32_t cursor = 0, slot = 0;

    while ((slot = ski_map_find(&values->map, hash, &cursor)) != SKI_MAP_NONE) {
        const ski_values_entry *entry = &values->entries[slot];

        if (skald_str_equal((skald_str){entry->name, entry->name_len}, name)) return slot;
    }
    return SKI_MAP_NONE;
}

// entry_free gives a slot for a new entry, which is taken only when it has a name.
static skald_err entry_free(ski_values *values, uint32_t *ret_slot)
{
    if (values->free_first) {
        *ret_slot = values->free_first - 1;
        return SKALD_OK;
    }
    if (values->count == values->size) {
        uint32_t size = values->size ? values->size * 2 : first_entries;
        ski_values_entry *entries = ski_realloc(values->entries, size * sizeof *entries);

        if (!entries) return SKALD_ENOMEM;
        values->entries = entries;
        values->size = size;
    }
    *ret_slot = values->count;
    return SKALD_OK;
}

static skald_err entry_add(ski_values *values, uint64_t hash, skald_str name, uint32_t *ret_slot)
{
    char *copy = NULL;
    uint32_t slot = 0;

    SKALD_TRY(entry_free(values, &slot));
    copy = ski_alloc(name.len + 1);
    if (!copy) return SKALD_ENOMEM;
    memcpy(copy, name.ptr, name.len);
    if (ski_map_put(&values->map, hash, slot, entry_hash_of, values)) {
        ski_free(copy);
        return SKALD_ENOMEM;
    }
    if (slot == values->count) {
        values->count++;
    } else {
        values->free_first = values->entries[slot].free_next;
    }
    values->entries[slot] = (ski_values_entry){.name = copy, .name_len = name.len, .hash = hash};
    *ret_slot = slot;
    return SKALD_OK;
}

// entry_settle: a change of the entry is over.
static void entry_settle(ski_values *values, uint32_t slot)
{
    ski_values_entry *entry = &values->entries[slot];

    assert(entry->prepared);
    entry->prepared--;
    if (entry->prepared || entry->bytes || values->removals) return;
    ski_map_remove(&values->map, entry->hash, slot, entry_hash_of, values);
    ski_free(entry->name);
    *entry = (ski_values_entry){.free_next = values->free_first};
    values->free_first = slot + 1;
}

skald_err ski_values_prepare(ski_values *values, const skald_store_value *value,
                             ski_values_change *ret_change)
{
    ski_values_change change = {0};
    uint64_t hash = ski_hash64(0, value->name.ptr, value->name.len);

    if (value->bytes.ptr) {
        change.bytes = ski_alloc(sizeof *change.bytes + value->bytes.len);
        if (!change.bytes) return SKALD_ENOMEM;
        change.bytes->len = value->bytes.len;
        if (value->bytes.len) memcpy(change.bytes->bytes, value->bytes.ptr, value->bytes.len);
    }
    change.slot = values_slot(values, hash, value->name);
    if (change.slot == SKI_MAP_NONE && entry_add(values, hash, value->name, &change.slot)) {
        ski_free(change.bytes);
        return SKALD_ENOMEM;
    }
    values->entries[change.slot].prepared++;
    *ret_change = change;
    return SKALD_OK;
}

void ski_values_apply(ski_values *values, ski_values_change *change)
{
    ski_values_entry *entry = &values->entries[change->slot];

    assert(change->slot < values->count);
    ski_free(entry->bytes);
    entry->bytes = change->bytes;
    entry_settle(values, change->slot);
    *change = (ski_values_change){.slot = SKI_MAP_NONE};
}

void ski_values_abandon(ski_values *values, ski_values_change *change)
{
    if (change->slot == SKI_MAP_NONE) return;
    ski_free(change->bytes);
    entry_settle(values, change->slot);
    *change = (ski_values_change){.slot = SKI_MAP_NONE};
}

const ski_value_bytes *ski_values_find(const ski_values *values, skald_str name)
{
    uint32_t slot = values_slot(values, ski_hash64(0, name.ptr, name.len), name);

    return slot == SKI_MAP_NONE ? NULL : values->entries[slot].bytes;
}
