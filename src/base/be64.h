// SPDX-License-Identifier: Apache-2.0
// base/be64.h - a number as eight bytes, the high ones first, so that bytes compare as numbers do.
#ifndef SKI_BASE_BE64_H
#define SKI_BASE_BE64_H

#include <stdint.h>

static inline void ski_be64_put(uint8_t *to, uint64_t number)
{
    to[0] = (uint8_t)(number >> 56);
    to[1] = (uint8_t)(number >> 48);
    to[2] = (uint8_t)(number >> 40);
    to[3] = (uint8_t)(number >> 32);
    to[4] = (uint8_t)(number >> 24);
    to[5] = (uint8_t)(number >> 16);
    to[6] = (uint8_t)(number >> 8);
    to[7] = (uint8_t)number;
}

static inline uint64_t ski_be64_get(const uint8_t *from)
{
    return (uint64_t)from[0] << 56 | (uint64_t)from[1] << 48 | (uint64_t)from[2] << 40 |
           (uint64_t)from[3] << 32 | (uint64_t)from[4] << 24 | (uint64_t)from[5] << 16 |
           (uint64_t)from[6] << 8 | from[7];
}

#endif
