// SPDX-License-Identifier: Apache-2.0
// The match index: a hash map from type to the list of those that name it.
//
// Invariants:
//   1. A type is in the map exactly while its list is not empty; its slot is reused afterwards.
//   2. An item stands once under a type, also when its filter names the type twice.
#include "bus/match.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <assert.h>
#include <string.h>

struct ski_match_type {
    char *name;
    uint32_t name_len;
    uint32_t next_free;
    ski_match_list list;
};

enum { list_first = 4, types_first = 16 };

void ski_match_init(ski_match *match)
{
    *match = (ski_match){.type_free = SKI_MAP_NONE};
}

void ski_match_fini(ski_match *match)
{
    for (uint32_t i = 0; i < match->type_count; i++) {
        ski_free(match->types[i].name);
        ski_free(match->types[i].list.items);
    }
    ski_free(match->types);
    ski_free(match->others.items);
    ski_map_fini(&match->map);
    ski_match_init(match);
}

bool ski_match_exact(skald_texts types)
{
    for (size_t i = 0; i < types.count; i++) {
        skald_str type = types.items[i];

        if (type.len && type.ptr[type.len - 1] == '*') return false;
    }
    return types.count != 0;
}

static uint64_t name_hash(skald_str name)
{
    return ski_hash64(0, name.ptr, name.len);
}

static uint64_t slot_hash(void *context, uint32_t slot)
{
    const ski_match *match = context;

    return name_hash((skald_str){match->types[slot].name, match->types[slot].name_len});
}

static uint32_t type_slot(const ski_match *match, skald_str name)
{
    uint32_t cursor = 0, slot;

    while ((slot = ski_map_find(&match->map, name_hash(name), &cursor)) != SKI_MAP_NONE) {
        const ski_match_type *type = &match->types[slot];

        if (type->name_len == name.len && memcmp(type->name, name.ptr, name.len) == 0) break;
    }
    return slot;
}

static skald_err list_add(ski_match_list *list, void *item)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i] == item) return SKALD_OK;
    if (list->count == list->size) {
        uint32_t size = list->size ? list->size * 2 : list_first;
        void **items = ski_realloc(list->items, size * sizeof(*items));

        if (!items) return SKALD_ENOMEM;
        list->items = items;
        list->size = size;
    }
    list->items[list->count++] = item;
    return SKALD_OK;
}

static void list_remove(ski_match_list *list, const void *item)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->items[i] != item) continue;
        list->items[i] = list->items[--list->count];
        return;
    }
}

static skald_err type_slot_free(ski_match *match, uint32_t *ret_slot)
{
    if (match->type_free != SKI_MAP_NONE) {
        *ret_slot = match->type_free;
        match->type_free = match->types[*ret_slot].next_free;
        return SKALD_OK;
    }
    if (match->type_count == match->type_size) {
        uint32_t size = match->type_size ? match->type_size * 2 : types_first;
        ski_match_type *types = ski_realloc(match->types, size * sizeof(*types));

        if (!types) return SKALD_ENOMEM;
        match->types = types;
        match->type_size = size;
    }
    match->types[match->type_count] = (ski_match_type){0};
    *ret_slot = match->type_count++;
    return SKALD_OK;
}

static void type_drop(ski_match *match, uint32_t slot)
{
    ski_match_type *type = &match->types[slot];

    ski_free(type->name);
    ski_free(type->list.items);
    *type = (ski_match_type){.next_free = match->type_free};
    match->type_free = slot;
}

static skald_err type_new(ski_match *match, skald_str name, void *item)
{
    uint32_t slot;

    SKALD_TRY(type_slot_free(match, &slot));
    ski_match_type *type = &match->types[slot];
    skald_err err = SKALD_ENOMEM;

    *type = (ski_match_type){.name = ski_alloc(name.len ? name.len : 1),
                             .name_len = (uint32_t)name.len};
    if (!type->name) goto fail;
    if (name.len) memcpy(type->name, name.ptr, name.len);
    err = list_add(&type->list, item);
    if (err) goto fail;
    err = ski_map_put(&match->map, name_hash(name), slot, slot_hash, match);
    if (err) goto fail;
    return SKALD_OK;

fail:
    type_drop(match, slot);
    return err;
}

skald_err ski_match_add(ski_match *match, skald_texts types, void *item)
{
    if (!ski_match_exact(types)) return list_add(&match->others, item);
    for (size_t i = 0; i < types.count; i++) {
        uint32_t slot = type_slot(match, types.items[i]);
        skald_err err = slot == SKI_MAP_NONE ? type_new(match, types.items[i], item)
                                             : list_add(&match->types[slot].list, item);

        if (err) {
            ski_match_remove(match, (skald_texts){types.items, i}, item);
            return err;
        }
    }
    return SKALD_OK;
}

void ski_match_remove(ski_match *match, skald_texts types, void *item)
{
    if (!ski_match_exact(types)) {
        list_remove(&match->others, item);
        return;
    }
    for (size_t i = 0; i < types.count; i++) {
        uint32_t slot = type_slot(match, types.items[i]);

        if (slot == SKI_MAP_NONE) continue; // named twice, removed already
        list_remove(&match->types[slot].list, item);
        if (match->types[slot].list.count) continue;
        ski_map_remove(&match->map, name_hash(types.items[i]), slot, slot_hash, match);
        type_drop(match, slot);
    }
}

const ski_match_list *ski_match_find(const ski_match *match, skald_str type)
{
    uint32_t slot = type_slot(match, type);

    return slot == SKI_MAP_NONE ? NULL : &match->types[slot].list;
}
