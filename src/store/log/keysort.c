// SPDX-License-Identifier: Apache-2.0
// Hashes are spread evenly, so their upper bits say about where each belongs: one pass into buckets
// of some eight, then each bucket by insertion. A bucket that is large all the same (keys that
// stand often) is sorted by comparison, so that no input takes quadratic time.
#include "store/log/keysort.h"
#include "base/alloc.h"
#include <stdlib.h>

enum { bucket_items = 8, bucket_insert_max = 64, bucket_bits_max = 20 };

static int keyed_compare(const void *a, const void *b)
{
    const ski_keyed *left = a, *right = b;

    if (left->key != right->key) return left->key < right->key ? -1 : 1;
    return left->row < right->row ? -1 : left->row > right->row;
}

static bool bucket_sorted(const ski_keyed *items, size_t count)
{
    size_t i = 1;

    while (i < count && items[i - 1].key <= items[i].key) i++;
    return i >= count;
}

static void bucket_sort(ski_keyed *items, size_t count)
{
    if (count > bucket_insert_max) { // mostly of one key
        if (!bucket_sorted(items, count)) qsort(items, count, sizeof *items, keyed_compare);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        ski_keyed item = items[i];
        size_t to = i;

        for (; to > 0 && items[to - 1].key > item.key; to--) items[to] = items[to - 1];
        items[to] = item;
    }
}

skald_err ski_keysort(const ski_keyed *items, size_t count, ski_keyed *room)
{
    unsigned bits = 1;
    size_t buckets = 0, begin = 0;
    uint32_t *ends = NULL;

    while (bits < bucket_bits_max && (count >> bits) > bucket_items) bits++;
    buckets = (size_t)1 << bits;
    ends = ski_alloc_zeroed(buckets + 1, sizeof *ends);
    if (!ends) return SKALD_ENOMEM;
    for (size_t i = 0; i < count; i++) ends[(items[i].key >> (64 - bits)) + 1]++;
    for (size_t i = 1; i <= buckets; i++) ends[i] += ends[i - 1];
    // ends[b] is now where bucket b begins, and moves to where it ends.
    for (size_t i = 0; i < count; i++) room[ends[items[i].key >> (64 - bits)]++] = items[i];
    for (size_t i = 0; i < buckets; i++) {
        bucket_sort(room + begin, ends[i] - begin);
        begin = ends[i];
    }
    ski_free(ends);
    return SKALD_OK;
}
