// SPDX-License-Identifier: Apache-2.0
// base/alloc.h - the only door to the heap. Every other file asks here, so that a test can make the
// n-th allocation fail. Any thread.
#ifndef SKI_BASE_ALLOC_H
#define SKI_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

void *ski_alloc(size_t size);                           // not zeroed; NULL without memory
void *ski_alloc_zeroed(size_t count, size_t size);      // NULL without memory or on overflow
void *ski_realloc(void *old, size_t size);              // old stays valid when NULL is returned
void *ski_alloc_aligned(size_t alignment, size_t size); // free with ski_free
void ski_free(void *memory);                            // NULL is allowed

// For tests: the n-th allocation from now fails (1: the next), 0: none. ski_alloc_count is how many
// were made since the program began.
void ski_alloc_fail_at(uint64_t n);
uint64_t ski_alloc_count(void);

#endif
