// SPDX-License-Identifier: Apache-2.0
// The heap. Each allocation takes the next number; the one whose number was chosen fails. A number
// instead of a countdown, because two threads counting down could both pass zero.
//
// Invariants:
//   1. tickets only rises, so a chosen number comes up at most once.
//   2. fail_ticket 0 is never given out: nothing fails.
#include "base/alloc.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

// The two mutable globals of this floor. The heap itself is global to the process, so what counts
// and fails its allocations is too; both are atomic and hold nothing a caller depends on.
static atomic_uint_fast64_t tickets;     // style: the heap it counts is one per process
static atomic_uint_fast64_t fail_ticket; // style: the same

// alloc_refused takes the next number and tells whether it is the one chosen to fail.
static int alloc_refused(void)
{
    uint64_t ticket = atomic_fetch_add_explicit(&tickets, 1, memory_order_relaxed) + 1;

    return ticket == atomic_load_explicit(&fail_ticket, memory_order_relaxed);
}

void *ski_alloc(size_t size)
{
    if (alloc_refused()) return NULL;
    return malloc(size ? size : 1);
}

void *ski_alloc_zeroed(size_t count, size_t size)
{
    if (alloc_refused()) return NULL;
    return calloc(count ? count : 1, size ? size : 1);
}

void *ski_realloc(void *old, size_t size)
{
    if (alloc_refused()) return NULL;
    return realloc(old, size ? size : 1);
}

void *ski_alloc_aligned(size_t alignment, size_t size)
{
    assert(alignment >= sizeof(void *) && (alignment & (alignment - 1)) == 0);

    size_t whole = (size + alignment - 1) & ~(alignment - 1); // aligned_alloc wants a multiple

    if (alloc_refused() || whole < size) return NULL;
    return aligned_alloc(alignment, whole ? whole : alignment);
}

void ski_free(void *memory)
{
    free(memory);
}

void ski_alloc_fail_at(uint64_t n)
{
    uint64_t now = atomic_load_explicit(&tickets, memory_order_relaxed);

    atomic_store_explicit(&fail_ticket, n ? now + n : 0, memory_order_relaxed);
}

uint64_t ski_alloc_count(void)
{
    return atomic_load_explicit(&tickets, memory_order_relaxed);
}
