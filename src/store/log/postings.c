// SPDX-License-Identifier: Apache-2.0
// Postings. Entry i is first[i] while i < SKI_POSTINGS_INLINE; the rest is numbered from 0 again:
// with c = SKI_POSTINGS_CHUNK_MIN, chunk k holds the numbers c * (2^k - 1) to c * (2^(k+1) - 1)
// - 1.
#include "store/log/postings.h"
#include "base/alloc.h"
#include <assert.h>

// postings_place finds the chunk and the place in it of the number n behind the inline ones.
static uint32_t postings_place(uint32_t n, uint32_t *ret_chunk)
{
    uint32_t units = n / SKI_POSTINGS_CHUNK_MIN + 1;
    uint32_t chunk = 31 - (uint32_t)__builtin_clz(units);

    *ret_chunk = chunk;
    return n - SKI_POSTINGS_CHUNK_MIN * ((UINT32_C(1) << chunk) - 1);
}

void ski_postings_fini(ski_postings *postings)
{
    for (uint32_t i = 0; i < postings->chunk_count; i++) ski_free(postings->chunks[i]);
    ski_free(postings->chunks);
    *postings = (ski_postings){0};
}

static skald_err postings_chunk_add(ski_postings *postings, uint64_t *bytes)
{
    uint32_t count = postings->chunk_count;
    size_t chunk_bytes = (sizeof(uint32_t) * SKI_POSTINGS_CHUNK_MIN) << count;
    uint32_t *chunk = ski_alloc(chunk_bytes);
    uint32_t **chunks = NULL;

    if (!chunk) return SKALD_ENOMEM;
    chunks = ski_realloc(postings->chunks, (count + 1) * sizeof *chunks);
    if (!chunks) {
        ski_free(chunk);
        return SKALD_ENOMEM;
    }
    chunks[count] = chunk;
    postings->chunks = chunks;
    postings->chunk_count = count + 1;
    *bytes += chunk_bytes + sizeof *chunks;
    return SKALD_OK;
}

skald_err ski_postings_add(ski_postings *postings, uint64_t position, uint64_t *bytes)
{
    uint32_t chunk = 0, place = 0;

    assert(position <= UINT32_MAX - 1);
    assert(!postings->count || postings->last < position);
    if (postings->count < SKI_POSTINGS_INLINE) {
        postings->first[postings->count++] = (uint32_t)position;
        postings->last = (uint32_t)position;
        return SKALD_OK;
    }
    place = postings_place(postings->count - SKI_POSTINGS_INLINE, &chunk);
    if (chunk >= postings->chunk_count) SKALD_TRY(postings_chunk_add(postings, bytes));
    postings->chunks[chunk][place] = (uint32_t)position;
    postings->count++;
    postings->last = (uint32_t)position;
    return SKALD_OK;
}

void ski_postings_drop(ski_postings *postings)
{
    assert(postings->count);
    postings->count--;
    if (postings->count) postings->last = (uint32_t)ski_postings_at(postings, postings->count - 1);
}

uint64_t ski_postings_at(const ski_postings *postings, uint32_t i)
{
    uint32_t chunk = 0, place = 0;

    assert(i < postings->count);
    if (i < SKI_POSTINGS_INLINE) return postings->first[i];
    place = postings_place(i - SKI_POSTINGS_INLINE, &chunk);
    return postings->chunks[chunk][place];
}

uint32_t ski_postings_after(const ski_postings *postings, uint64_t position)
{
    uint32_t low = 0, high = postings->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (ski_postings_at(postings, middle) <= position) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}
