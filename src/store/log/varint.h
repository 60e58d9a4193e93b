// SPDX-License-Identifier: Apache-2.0
// store/log/varint.h - numbers of seven bits a byte, the lowest first, bit 7: more follow.
#ifndef SKI_STORE_LOG_VARINT_H
#define SKI_STORE_LOG_VARINT_H

#include <skald/base.h>

enum { SKI_VARINT_MAX = 10 }; // bytes

static inline uint8_t *ski_varint_put(uint8_t *to, uint64_t number)
{
    for (; number >= 0x80; number >>= 7) *to++ = (uint8_t)(number | 0x80);
    *to++ = (uint8_t)number;
    return to;
}

// ski_varint_get moves *from behind the number; false: it does not end before end, or is none.
static inline bool ski_varint_get(const uint8_t **from, const uint8_t *end, uint64_t *ret_number)
{
    const uint8_t *at = *from;
    uint64_t number = 0;

    for (unsigned shift = 0; shift < 64 && at < end; shift += 7) {
        uint8_t byte = *at++;

        number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80) continue;
        *from = at;
        *ret_number = number;
        return true;
    }
    return false;
}

#endif
