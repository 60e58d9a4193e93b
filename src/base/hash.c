// SPDX-License-Identifier: Apache-2.0
// XXH3 of the xxHash library: fast for the short names we hash, and its values are fixed by its
// specification, so they may be written to disk. A seed that nobody outside knows keeps chosen
// names from colliding.
#include "base/hash.h"

#define XXH_INLINE_ALL // most texts have a few bytes: the call would cost as much as the hash
#include <xxhash.h>

uint64_t ski_hash64(uint64_t seed, const void *bytes, size_t len)
{
    return XXH3_64bits_withSeed(len ? bytes : "", len, seed);
}
