// SPDX-License-Identifier: Apache-2.0
// store/log/filter.h - a blocked Bloom filter over 64-bit hashes: all bits of a key lie in one
// block of 64 bytes, so that asking touches one cache line, or reads one block of a file.
//
// It may say that a key is there which is not (about 1.5 of 100 at 10 bits a key), never the
// opposite. Building: one thread. Asking: any.
#ifndef SKI_STORE_LOG_FILTER_H
#define SKI_STORE_LOG_FILTER_H

#include <skald/base.h>

enum { SKI_FILTER_BLOCK = 64, SKI_FILTER_KEY_BITS = 10 };

// ski_filter_bytes is the size of a filter for so many keys: a multiple of SKI_FILTER_BLOCK, 0 for
// none.
uint64_t ski_filter_bytes(uint64_t keys);
// ski_filter_add: filter has bytes > 0, zeroed at first.
void ski_filter_add(uint8_t *filter, uint64_t bytes, uint64_t hash);
bool ski_filter_has(const uint8_t *filter, uint64_t bytes, uint64_t hash); // bytes 0: false
// From a file: read the block at ski_filter_at (an offset into the filter of bytes > 0), then ask
// it.
uint64_t ski_filter_at(uint64_t bytes, uint64_t hash);
bool ski_filter_block_has(const uint8_t block[SKI_FILTER_BLOCK], uint64_t hash);

#endif
