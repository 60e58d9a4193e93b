// SPDX-License-Identifier: Apache-2.0
// A blocked Bloom filter: the upper half of a hash chooses the block, six nine-bit pieces of it,
// mixed, the bits.
#include "store/log/filter.h"

enum { probes = 6, bit_bits = 9, block_bits = SKI_FILTER_BLOCK * 8 };
static const uint64_t mix = UINT64_C(0x9e3779b97f4a7c15);

uint64_t ski_filter_bytes(uint64_t keys)
{
    return (keys * SKI_FILTER_KEY_BITS + block_bits - 1) / block_bits * SKI_FILTER_BLOCK;
}

uint64_t ski_filter_at(uint64_t bytes, uint64_t hash)
{
    uint64_t blocks = bytes / SKI_FILTER_BLOCK;

    // Blocks beyond 2^32 are not reached: 256 GiB of filter.
    return ((hash >> 32) * (blocks & UINT32_MAX) >> 32) * SKI_FILTER_BLOCK;
}

static uint64_t filter_bits(uint64_t hash)
{
    return (hash ^ hash >> 32) * mix;
}

void ski_filter_add(uint8_t *filter, uint64_t bytes, uint64_t hash)
{
    uint8_t *block = filter + ski_filter_at(bytes, hash);
    uint64_t bits = filter_bits(hash);

    for (unsigned i = 0; i < probes; i++, bits >>= bit_bits) {
        unsigned bit = (unsigned)(bits % block_bits);

        block[bit / 8] |= (uint8_t)(1u << bit % 8);
    }
}

bool ski_filter_block_has(const uint8_t block[SKI_FILTER_BLOCK], uint64_t hash)
{
    uint64_t bits = filter_bits(hash);

    for (unsigned i = 0; i < probes; i++, bits >>= bit_bits) {
        unsigned bit = (unsigned)(bits % block_bits);

        if (!(block[bit / 8] >> bit % 8 & 1)) return false;
    }
    return true;
}

bool ski_filter_has(const uint8_t *filter, uint64_t bytes, uint64_t hash)
{
    return bytes && ski_filter_block_has(filter + ski_filter_at(bytes, hash), hash);
}
