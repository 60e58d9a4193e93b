// SPDX-License-Identifier: Apache-2.0
// base/uuid.h - making UUIDs of version 7 (RFC 9562), rising within one generator.
#ifndef SKI_BASE_UUID_H
#define SKI_BASE_UUID_H

#include <skald/base.h>
#include <string.h>

// ski_uuid_maker: zero it, seed it with random bytes. One thread at a time. Within one millisecond
// a 42-bit counter rises; the clock going back does not make ids fall.
typedef struct ski_uuid_maker {
    uint64_t last_ms, counter;
    uint64_t random[2]; // state of the generator of the low bits, seeded from the kernel
} ski_uuid_maker;

void ski_uuid_seed(ski_uuid_maker *maker, const uint8_t random[16]);
skald_uuid ski_uuid_v7(ski_uuid_maker *maker, skald_time now);

static inline bool ski_uuid_is_given(skald_uuid uuid)
{
    uint64_t halves[2];

    memcpy(halves, uuid.bytes, sizeof(halves));
    return (halves[0] | halves[1]) != 0;
}

static inline uint64_t ski_uuid_half(const uint8_t bytes[8])
{
    return (uint64_t)bytes[0] << 56 | (uint64_t)bytes[1] << 48 | (uint64_t)bytes[2] << 40 |
           (uint64_t)bytes[3] << 32 | (uint64_t)bytes[4] << 24 | (uint64_t)bytes[5] << 16 |
           (uint64_t)bytes[6] << 8 | (uint64_t)bytes[7];
}

// ski_uuid_order is below, equal to or above 0 as a stands before b, is b, or stands behind it.
static inline int ski_uuid_order(skald_uuid a, skald_uuid b)
{
    uint64_t left = ski_uuid_half(a.bytes), right = ski_uuid_half(b.bytes);

    if (left == right) {
        left = ski_uuid_half(a.bytes + 8);
        right = ski_uuid_half(b.bytes + 8);
    }
    return (left > right) - (left < right);
}

#endif
