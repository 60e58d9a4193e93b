// SPDX-License-Identifier: Apache-2.0
// Groups: batches that are written with one pwrite and one sync, and the memory they are staged in.
//
// A group takes batches until it has SKI_GROUP_BYTES; one bigger batch has a group of its own.
// Buffers grow to what is used and are kept for the next groups; when nothing happens they are
// freed. Large ones lie on huge pages: the kernel looks up every page that it writes from.
#include "base/alloc.h"
#include "os/memory.h"
#include "store/log/engine.h"
#include <assert.h>
#include <string.h>

enum { first_bytes = 16 * 1024, first_items = 16 };

void ski_group_free(ski_group *group)
{
    if (!group) return;
    ski_free(group->bytes);
    ski_free(group->items);
    ski_free(group);
}

// buffer_new gives a buffer of *size, or of more: beyond a quarter of a huge page, all of one.
static uint8_t *buffer_new(size_t *size)
{
    uint8_t *bytes = NULL;

    if (*size <= SKI_MEMORY_HUGE / 4) return ski_alloc_aligned(SKI_DIRECT_BYTES, *size);
    if (*size < SKI_MEMORY_HUGE) *size = SKI_MEMORY_HUGE;
    bytes = ski_alloc_aligned(SKI_MEMORY_HUGE, *size);
    if (bytes) ski_memory_huge(bytes, *size);
    return bytes;
}

// group_room makes room for bytes more, for what makes their last page whole, and for one more
// item.
static bool group_room(ski_group *group, size_t bytes)
{
    bytes += SKI_DIRECT_ROOM;
    if (group->size - group->len < bytes) {
        size_t size = group->size ? group->size : first_bytes;
        uint8_t *more = NULL;

        while (size - group->len < bytes) size *= 2;
        more = buffer_new(&size);
        if (!more) return false;
        if (group->len) memcpy(more, group->bytes, group->len);
        ski_free(group->bytes);
        group->bytes = more;
        group->size = size;
    }
    if (group->count == group->items_size) {
        size_t size = group->items_size ? group->items_size * 2 : first_items;
        ski_staged *items = ski_realloc(group->items, size * sizeof *items);

        if (!items) return false;
        group->items = items;
        group->items_size = size;
    }
    return true;
}

ski_group *ski_group_open(ski_engine *engine, size_t bytes)
{
    ski_group *group = engine->last;

    if (group && group->len && group->len + bytes > SKI_GROUP_BYTES) group = NULL;
    if (group) return group_room(group, bytes) ? group : NULL;
    group = engine->kept;
    if (group) {
        engine->kept = group->next;
        engine->kept_count--;
        engine->kept_bytes -= group->size;
        group->next = NULL;
    } else {
        group = ski_alloc_zeroed(1, sizeof *group);
    }
    if (!group || !group_room(group, bytes)) {
        ski_group_free(group);
        return NULL;
    }
    group->number = ++engine->groups_begun;
    if (engine->last) {
        engine->last->next = group;
    } else {
        engine->first = group;
    }
    engine->last = group;
    return group;
}

uint8_t *ski_group_put(ski_group *group, size_t bytes)
{
    uint8_t *at = group->bytes + group->len;

    assert(group->size - group->len >= bytes);
    group->len += bytes;
    return at;
}

void ski_group_keep(ski_engine *engine, ski_group *group)
{
    bool room = engine->kept_count < SKI_GROUPS_KEPT ||
                engine->kept_bytes + group->size <= SKI_GROUPS_KEPT_BYTES;

    // Nobody would free it while nothing happens: some come back from the keeper after that.
    if (!room || !engine->idle_due || group->size > 2 * (size_t)SKI_GROUP_BYTES) {
        ski_group_free(group);
        return;
    }
    group->piece = (ski_written){0};
    group->len = group->count = 0;
    group->waiters = 0;
    group->sync = false;
    group->next = engine->kept;
    engine->kept = group;
    engine->kept_count++;
    engine->kept_bytes += group->size;
}
