// SPDX-License-Identifier: Apache-2.0
// The window. Parts are few: one for each segment without an index file, and at most one more.
//
// Invariants:
//   1. Part i + 1 begins where part i ends; only the last one grows.
//   2. A stream's key in a part says where the stream stood before it, so the newest part that has
//      a stream knows everything about it.
#include "store/log/window.h"
#include "base/alloc.h"
#include <assert.h>
#include <string.h>

static skald_err part_add(ski_window *window, uint64_t base)
{
    ski_index *part = NULL;

    if (window->count == window->size) {
        uint32_t size = window->size ? window->size * 2 : 4;
        ski_index **parts = ski_realloc(window->parts, size * sizeof(ski_index *));

        if (!parts) return SKALD_ENOMEM;
        window->parts = parts;
        window->size = size;
    }
    part = ski_alloc(sizeof *part);
    if (!part) return SKALD_ENOMEM;
    ski_index_init(part, window->seed, base);
    window->parts[window->count++] = part;
    return SKALD_OK;
}

static void part_free(ski_index *part)
{
    ski_index_fini(part);
    ski_free(part);
}

// part_clear empties a part, which then begins behind a position.
static void part_clear(ski_index *part, uint64_t base)
{
    uint64_t seed = part->seed;

    ski_index_fini(part);
    ski_index_init(part, seed, base);
}

skald_err ski_window_init(ski_window *window, uint64_t seed, uint64_t base)
{
    *window = (ski_window){.seed = seed};
    return part_add(window, base);
}

void ski_window_fini(ski_window *window)
{
    for (uint32_t i = 0; i < window->count; i++) part_free(window->parts[i]);
    ski_free(window->parts);
    *window = (ski_window){0};
}

uint64_t ski_window_base(const ski_window *window)
{
    return window->parts[0]->base;
}

uint64_t ski_window_last(const ski_window *window)
{
    return ski_index_last(window->parts[window->count - 1]);
}

ski_index *ski_window_newest(const ski_window *window)
{
    return window->parts[window->count - 1];
}

ski_index *ski_window_at(const ski_window *window, uint64_t position)
{
    uint32_t i = window->count - 1;

    while (i && position <= window->parts[i]->base) i--;
    assert(position > window->parts[i]->base && position <= ski_index_last(window->parts[i]));
    return window->parts[i];
}

ski_index_row *ski_window_row(const ski_window *window, uint64_t position)
{
    return ski_index_row_of(ski_window_at(window, position), position);
}

bool ski_window_stream(const ski_window *window, uint64_t hash, skald_str tenant, skald_str stream,
                       ski_index_head *ret_head)
{
    for (uint32_t i = window->count; i > 0; i--) {
        const ski_index *part = window->parts[i - 1];
        const ski_index_key *key = ski_index_stream(part, hash, tenant, stream);

        if (!key) continue;
        *ret_head = ski_index_head_of(part, key);
        return true;
    }
    return false;
}

void ski_window_turn(ski_window *window)
{
    if (!ski_window_newest(window)->count) return;
    if (part_add(window, ski_window_last(window))) return; // the newest grows further
}

void ski_window_cut(ski_window *window, uint64_t position)
{
    assert(position >= ski_window_base(window));
    while (window->count > 1 && ski_window_newest(window)->base >= position) {
        part_free(window->parts[--window->count]);
    }
    if (ski_window_newest(window)->base == position) {
        part_clear(ski_window_newest(window), position); // keys may rest on what is taken back
    } else {
        ski_index_cut(ski_window_newest(window), position);
    }
}

bool ski_window_forget(ski_window *window, uint64_t position)
{
    uint32_t gone = 0;
    ski_index *newest = ski_window_newest(window);
    bool any = false;

    while (gone + 1 < window->count && ski_index_last(window->parts[gone]) <= position) {
        part_free(window->parts[gone++]);
    }
    memmove(window->parts, window->parts + gone, (window->count - gone) * sizeof *window->parts);
    window->count -= gone;
    any = gone > 0;
    if (window->count == 1 && newest->count && ski_index_last(newest) <= position) {
        part_clear(newest, ski_index_last(newest));
        any = true;
    }
    return any;
}

uint64_t ski_window_bytes(const ski_window *window)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < window->count; i++) bytes += ski_index_bytes(window->parts[i]);
    return bytes;
}
