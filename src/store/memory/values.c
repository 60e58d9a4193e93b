// SPDX-License-Identifier: Apache-2.0
// Values: a plan holds the new bytes and has made sure that every name has a slot. Names that hold
// nothing once it is over, by removal or because the plan was cancelled, lose their slot again.
#include "store/memory/values.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <string.h>

enum { slots_first = 16 };

void ski_memory_values_init(ski_memory_values *values, uint64_t seed)
{
    *values = (ski_memory_values){.seed = seed, .free_first = SKI_MAP_NONE};
}

void ski_memory_values_fini(ski_memory_values *values)
{
    for (uint32_t i = 0; i < values->count; i++) {
        ski_free((void *)values->slots[i].name.ptr);
        ski_free((void *)values->slots[i].bytes.ptr);
    }
    ski_free(values->slots);
    ski_map_fini(&values->map);
}

static uint64_t value_hash(void *context, uint32_t slot)
{
    const ski_memory_values *values = context;

    return values->slots[slot].hash;
}

static uint32_t slot_find(const ski_memory_values *values, skald_str name, uint64_t hash)
{
    uint32_t cursor = 0, slot;

    while ((slot = ski_map_find(&values->map, hash, &cursor)) != SKI_MAP_NONE)
        if (skald_str_equal(values->slots[slot].name, name)) break;
    return slot;
}

const ski_memory_value *ski_memory_values_find(const ski_memory_values *values, skald_str name)
{
    uint32_t slot = slot_find(values, name, ski_hash64(values->seed, name.ptr, name.len));

    return slot == SKI_MAP_NONE ? NULL : &values->slots[slot];
}

// slot_take finds a free slot; it is not taken out of the free ones before it is used.
static skald_err slot_take(ski_memory_values *values, uint32_t *ret_slot)
{
    uint32_t size = values->size ? values->size * 2 : slots_first;
    ski_memory_value *slots;

    if (values->free_first != SKI_MAP_NONE) {
        *ret_slot = values->free_first;
        return SKALD_OK;
    }
    if (values->count == values->size) {
        slots = ski_realloc(values->slots, size * sizeof(*slots));
        if (!slots) return SKALD_ENOMEM;
        values->slots = slots;
        values->size = size;
    }
    values->slots[values->count] = (ski_memory_value){.free_next = SKI_MAP_NONE};
    values->free_first = values->count++;
    *ret_slot = values->free_first;
    return SKALD_OK;
}

static char *bytes_copy(skald_str bytes)
{
    char *copy = ski_alloc(bytes.len + 1);

    if (copy && bytes.len) memcpy(copy, bytes.ptr, bytes.len);
    return copy;
}

// slot_name finds the slot of a name, or gives it one.
static skald_err slot_name(ski_memory_values *values, skald_str name, uint32_t *ret_slot)
{
    uint64_t hash = ski_hash64(values->seed, name.ptr, name.len);
    uint32_t slot = slot_find(values, name, hash), next;
    char *copy;

    if (slot != SKI_MAP_NONE) goto found;
    SKALD_TRY(slot_take(values, &slot));
    copy = bytes_copy(name);
    if (!copy) return SKALD_ENOMEM;
    next = values->slots[slot].free_next;
    values->slots[slot] = (ski_memory_value){.name = {copy, name.len}, .hash = hash};
    if (ski_map_put(&values->map, hash, slot, value_hash, values)) {
        values->slots[slot] = (ski_memory_value){.free_next = next};
        ski_free(copy);
        return SKALD_ENOMEM;
    }
    values->free_first = next;
    values->bytes += name.len;

found:
    *ret_slot = slot;
    return SKALD_OK;
}

static void slot_sweep(ski_memory_values *values, uint32_t slot)
{
    ski_memory_value *value = &values->slots[slot];

    if (!value->name.ptr || value->bytes.ptr) return;
    ski_map_remove(&values->map, value->hash, slot, value_hash, values);
    values->bytes -= value->name.len;
    ski_free((void *)value->name.ptr);
    *value = (ski_memory_value){.free_next = values->free_first};
    values->free_first = slot;
}

skald_err ski_memory_values_plan(ski_memory_values *values, const skald_store_value *changes,
                                 size_t count, ski_memory_change **ret_plan)
{
    ski_memory_change *plan = NULL;
    size_t made = 0;

    if (count) plan = ski_alloc_zeroed(count, sizeof(*plan));
    if (count && !plan) return SKALD_ENOMEM;
    for (; made < count; made++) {
        ski_memory_change *change = &plan[made];

        if (slot_name(values, changes[made].name, &change->slot)) goto nomem;
        if (!changes[made].bytes.ptr) continue;
        change->len = changes[made].bytes.len;
        change->bytes = bytes_copy(changes[made].bytes);
        if (!change->bytes) {
            made++; // its slot is swept too
            goto nomem;
        }
    }
    *ret_plan = plan;
    return SKALD_OK;

nomem:
    ski_memory_values_cancel(values, plan, made);
    return SKALD_ENOMEM;
}

void ski_memory_values_apply(ski_memory_values *values, ski_memory_change *plan, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ski_memory_value *value = &values->slots[plan[i].slot];

        values->bytes += plan[i].len;
        values->bytes -= value->bytes.len;
        ski_free((void *)value->bytes.ptr);
        value->bytes = (skald_str){plan[i].bytes, plan[i].len};
    }
    for (size_t i = 0; i < count; i++) slot_sweep(values, plan[i].slot);
    ski_free(plan);
}

void ski_memory_values_cancel(ski_memory_values *values, ski_memory_change *plan, size_t count)
{
    for (size_t i = 0; i < count; i++) ski_free(plan[i].bytes);
    for (size_t i = 0; i < count; i++) slot_sweep(values, plan[i].slot);
    ski_free(plan);
}
