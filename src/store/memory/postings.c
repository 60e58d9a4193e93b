// SPDX-License-Identifier: Apache-2.0
// Postings: a map from the hash of (tenant, name) to a list.
//
// Invariants:
//   1. bytes is told of a list what list_bytes says of it, which rises by 16 at most with a
//   position: places that a list gets when it doubles are paid by the positions before.
//   2. A list that had a position keeps its last one, wherever the log begins, until it is swept.
#include "store/memory/postings.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <assert.h>
#include <string.h>

enum {
    lists_first = 16,
    positions_first = 4, // most streams are short
    idle_part = 4,       // of a list's places: with fewer in use it becomes shorter
    lists_an_event = 64, // that a round looks at, at most
};

static uint64_t key_hash(const ski_memory_postings *postings, skald_str tenant, skald_str name)
{
    uint64_t hash = postings->seed;

    if (tenant.len) hash = ski_hash64(hash, tenant.ptr, tenant.len);
    return ski_hash64(hash, name.len ? name.ptr : "", name.len);
}

static uint64_t list_bytes(const ski_memory_list *list)
{
    uint64_t paid = 16 * ((uint64_t)list->count + 1), held = 8 * (uint64_t)list->size;

    return sizeof(*list) + list->tenant.len + list->name.len + (paid > held ? paid : held);
}

uint64_t ski_memory_postings_most(size_t tenant_len, size_t name_len)
{
    const ski_memory_list one = {.tenant = {NULL, tenant_len},
                                 .name = {NULL, name_len},
                                 .count = 1,
                                 .size = positions_first};

    return list_bytes(&one);
}

static uint64_t list_hash(void *context, uint32_t slot)
{
    const ski_memory_postings *postings = context;

    return postings->lists[slot].hash;
}

static uint32_t slot_find(const ski_memory_postings *postings, uint64_t hash, skald_str tenant,
                          skald_str name)
{
    uint32_t cursor = 0, slot;

    while ((slot = ski_map_find(&postings->map, hash, &cursor)) != SKI_MAP_NONE) {
        const ski_memory_list *list = &postings->lists[slot];

        if (list->hash == hash && skald_str_equal(list->tenant, tenant) &&
            skald_str_equal(list->name, name))
            break;
    }
    return slot;
}

void ski_memory_postings_fini(ski_memory_postings *postings)
{
    for (uint32_t i = 0; i < postings->count; i++) {
        ski_free((void *)postings->lists[i].tenant.ptr);
        ski_free(postings->lists[i].positions);
    }
    ski_free(postings->lists);
    ski_map_fini(&postings->map);
}

const ski_memory_list *ski_memory_postings_find(const ski_memory_postings *postings,
                                                skald_str tenant, skald_str name)
{
    uint32_t slot = slot_find(postings, key_hash(postings, tenant, name), tenant, name);

    return slot == SKI_MAP_NONE ? NULL : &postings->lists[slot];
}

static skald_err lists_room(ski_memory_postings *postings)
{
    uint32_t size = postings->size ? postings->size * 2 : lists_first;
    ski_memory_list *lists;

    if (postings->count < postings->size) return SKALD_OK;
    lists = ski_realloc(postings->lists, size * sizeof(*lists));
    if (!lists) return SKALD_ENOMEM;
    postings->lists = lists;
    postings->size = size;
    return SKALD_OK;
}

static const ski_memory_list *list_new(ski_memory_postings *postings, uint64_t hash,
                                       skald_str tenant, skald_str name, uint64_t position)
{
    uint32_t slot = postings->count;
    ski_memory_list *list;
    uint64_t *positions = NULL;
    char *text = NULL;

    if (lists_room(postings)) return NULL;
    text = ski_alloc(tenant.len + name.len + 1);
    positions = ski_alloc(positions_first * sizeof(*positions));
    if (!text || !positions) goto nomem;
    if (tenant.len) memcpy(text, tenant.ptr, tenant.len);
    if (name.len) memcpy(text + tenant.len, name.ptr, name.len);
    positions[0] = position;
    list = &postings->lists[slot];
    *list = (ski_memory_list){.tenant = {text, tenant.len},
                              .name = {text + tenant.len, name.len},
                              .hash = hash,
                              .positions = positions,
                              .count = 1,
                              .last = position,
                              .size = positions_first};
    if (ski_map_put(&postings->map, hash, slot, list_hash, postings)) goto nomem;
    postings->count++;
    postings->bytes += list_bytes(list);
    return list;

nomem:
    ski_free(text);
    ski_free(positions);
    return NULL;
}

// list_drop drops what is below first, but for the last position there is.
static void list_drop(ski_memory_list *list, uint64_t first)
{
    uint32_t dead = ski_memory_list_upto(list, first - 1);

    if (dead && dead == list->count) dead--;
    if (!dead) return;
    list->count -= dead;
    list->gone += dead;
    memmove(list->positions, list->positions + dead, list->count * sizeof(*list->positions));
}

// list_room makes room for one position more. False: no memory.
static bool list_room(ski_memory_list *list, uint64_t first)
{
    uint64_t *positions;

    if (list->count < list->size) return true;
    if (list->count) list_drop(list, first);
    if (list->count <= list->size / 2 && list->size) return true;
    positions = ski_realloc(list->positions, (size_t)list->size * 2 * sizeof(*positions));
    if (!positions) return list->count < list->size;
    list->positions = positions;
    list->size *= 2;
    return true;
}

const ski_memory_list *ski_memory_postings_add(ski_memory_postings *postings, skald_str tenant,
                                               skald_str name, uint64_t position, uint64_t first)
{
    uint64_t hash = key_hash(postings, tenant, name);
    uint32_t slot = slot_find(postings, hash, tenant, name);
    ski_memory_list *list;
    uint64_t before;
    bool room;

    if (slot == SKI_MAP_NONE) return list_new(postings, hash, tenant, name, position);
    list = &postings->lists[slot];
    assert(list->last < position);
    before = list_bytes(list);
    room = list_room(list, first);
    if (room) {
        list->positions[list->count++] = position;
        list->last = position;
    }
    postings->bytes += list_bytes(list) - before;
    return room ? list : NULL;
}

void ski_memory_postings_drop(ski_memory_postings *postings, skald_str tenant, skald_str name)
{
    uint32_t slot = slot_find(postings, key_hash(postings, tenant, name), tenant, name);
    ski_memory_list *list;

    assert(slot != SKI_MAP_NONE);
    list = &postings->lists[slot];
    postings->bytes -= list_bytes(list);
    list->last = --list->count ? list->positions[list->count - 1] : 0;
    if (list->count || list->swept) {
        postings->bytes += list_bytes(list);
        return;
    }
    assert(slot == postings->count - 1);
    ski_map_remove(&postings->map, list->hash, slot, list_hash, postings);
    ski_free((void *)list->tenant.ptr);
    ski_free(list->positions);
    postings->count--;
}

static void list_leave(ski_memory_postings *postings, uint32_t slot)
{
    uint32_t last = postings->count - 1;
    ski_memory_list *list = &postings->lists[slot];
    skald_err err = SKALD_OK;

    ski_map_remove(&postings->map, list->hash, slot, list_hash, postings);
    postings->bytes -= list_bytes(list);
    ski_free((void *)list->tenant.ptr);
    ski_free(list->positions);
    if (slot != last) {
        ski_map_remove(&postings->map, postings->lists[last].hash, last, list_hash, postings);
        *list = postings->lists[last];
        // Two were taken out, one is put in: the map does not grow and cannot fail.
        err = ski_map_put(&postings->map, list->hash, slot, list_hash, postings);
        // A round that is past this slot has not looked at the list that is in it now.
        if (postings->round && slot < postings->round_slot) postings->round_slot = slot;
    }
    assert(!err);
    postings->count--;
}

// list_lose takes out of the list in slot what is below first. True: it has left, and another one
// has its slot.
static bool list_lose(ski_memory_postings *postings, uint32_t slot, uint64_t first)
{
    ski_memory_list *list = &postings->lists[slot];
    uint64_t before = list_bytes(list), *positions;
    uint32_t size = list->size;

    if (list->count && list->positions[0] >= first) return false;
    list_drop(list, first);
    if (postings->loses != SKI_MEMORY_BUT_ONE && list->count && list->positions[0] < first) {
        list->count = 0;
        list->gone++;
        list->swept = true;
    }
    while (size > positions_first && list->count <= size / idle_part) size /= 2;
    positions = size < list->size ? ski_realloc(list->positions, size * sizeof(*positions)) : NULL;
    if (positions) {
        list->positions = positions;
        list->size = size;
    }
    postings->bytes += list_bytes(list) - before;
    if (list->count || postings->loses != SKI_MEMORY_ITSELF) return false;
    list_leave(postings, slot);
    return true;
}

bool ski_memory_postings_round(ski_memory_postings *postings, uint64_t first, uint32_t lists)
{
    if (!postings->round) {
        uint64_t left = first - 1 - postings->swept;

        if (!left || left < postings->count / lists_an_event) return false;
        postings->round = first;
        postings->round_slot = 0;
    }
    while (lists && postings->round_slot < postings->count) {
        if (!list_lose(postings, postings->round_slot, postings->round)) postings->round_slot++;
        lists--;
    }
    if (postings->round_slot < postings->count) return true;
    postings->swept = postings->round - 1;
    postings->round = 0;
    return true;
}

bool ski_memory_postings_sweep(ski_memory_postings *postings, uint32_t slot,
                               bool (*keep)(void *context, uint64_t position), void *context,
                               bool leave)
{
    ski_memory_list *list = &postings->lists[slot];
    uint32_t kept = 0;

    for (uint32_t i = 0; i < list->count; i++)
        if (keep(context, list->positions[i])) list->positions[kept++] = list->positions[i];
    postings->bytes -= list_bytes(list);
    list->swept = list->swept || kept < list->count;
    list->count = kept;
    postings->bytes += list_bytes(list);
    if (kept || !leave) return false;
    list_leave(postings, slot);
    return true;
}

uint32_t ski_memory_list_upto(const ski_memory_list *list, uint64_t position)
{
    uint32_t low = 0, high = list->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (list->positions[middle] <= position)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
