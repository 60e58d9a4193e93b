// SPDX-License-Identifier: Apache-2.0
// store/log/bytes.h - little endian numbers in bytes, wherever they lie and whatever the machine.
#ifndef SKI_STORE_LOG_BYTES_H
#define SKI_STORE_LOG_BYTES_H

#include <skald/base.h>

// Byte by byte and without a loop: that the compiler makes one store or load of.
static inline void ski_put_u16(uint8_t *to, uint16_t number)
{
    to[0] = (uint8_t)number;
    to[1] = (uint8_t)(number >> 8);
}

static inline void ski_put_u32(uint8_t *to, uint32_t number)
{
    to[0] = (uint8_t)number;
    to[1] = (uint8_t)(number >> 8);
    to[2] = (uint8_t)(number >> 16);
    to[3] = (uint8_t)(number >> 24);
}

static inline void ski_put_u64(uint8_t *to, uint64_t number)
{
    to[0] = (uint8_t)number;
    to[1] = (uint8_t)(number >> 8);
    to[2] = (uint8_t)(number >> 16);
    to[3] = (uint8_t)(number >> 24);
    to[4] = (uint8_t)(number >> 32);
    to[5] = (uint8_t)(number >> 40);
    to[6] = (uint8_t)(number >> 48);
    to[7] = (uint8_t)(number >> 56);
}

static inline uint16_t ski_get_u16(const uint8_t *from)
{
    return (uint16_t)(from[0] | from[1] << 8);
}

static inline uint32_t ski_get_u32(const uint8_t *from)
{
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 |
           (uint32_t)from[3] << 24;
}

static inline uint64_t ski_get_u64(const uint8_t *from)
{
    return (uint64_t)ski_get_u32(from) | (uint64_t)ski_get_u32(from + 4) << 32;
}

// ski_align8 is the next multiple of eight: everything in a segment begins at one.
static inline size_t ski_align8(size_t len)
{
    return (len + 7) & ~(size_t)7;
}

#endif
