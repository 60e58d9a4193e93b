// SPDX-License-Identifier: Apache-2.0
// base/uuid.h - making UUIDs of version 7 (RFC 9562), rising within one generator.
#ifndef SKI_BASE_UUID_H
#define SKI_BASE_UUID_H

#include <skald/base.h>

// ski_uuid_maker: zero it, seed it with random bytes. One thread at a time. Within one millisecond
// a 42-bit counter rises; the clock going back does not make ids fall.
typedef struct ski_uuid_maker {
    uint64_t last_ms, counter;
    uint64_t random[2]; // state of the generator of the low bits, seeded from the kernel
} ski_uuid_maker;

void ski_uuid_seed(ski_uuid_maker *maker, const uint8_t random[16]);
skald_uuid ski_uuid_v7(ski_uuid_maker *maker, skald_time now);

#endif
