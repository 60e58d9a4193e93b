// SPDX-License-Identifier: Apache-2.0
// The token bucket. What is kept is not what is in it but what is missing, so that a zeroed bucket
// is a full one.
//
// Invariants:
//   1. 0 <= taken_units <= burst_max tokens. A unit is the 60,000,000,000th part of a token: in one
//      nanosecond rate_per_min of them flow back, exactly, so a bucket that is asked a million
//      times a second does not drift.
//   2. at_ns never goes back; a clock that does gives nothing back.
#include <skald/limit.h>

#define UNITS_PER_TOKEN UINT64_C(60000000000)
#define NS_PER_MS UINT64_C(1000000)

static uint32_t burst_of(const skald_bucket *bucket)
{
    uint32_t burst = bucket->burst_max ? bucket->burst_max : bucket->rate_per_min;
    uint32_t most = (uint32_t)(UINT64_MAX / 4 / UNITS_PER_TOKEN);

    return burst < most ? burst : most;
}

// taken_at is what is missing at now_ns.
static uint64_t taken_at(const skald_bucket *bucket, uint64_t now_ns)
{
    uint64_t elapsed_ns = now_ns > bucket->at_ns ? now_ns - bucket->at_ns : 0;
    uint64_t full_ns = bucket->taken_units / bucket->rate_per_min + 1;

    if (elapsed_ns >= full_ns) return 0;
    return bucket->taken_units - elapsed_ns * bucket->rate_per_min;
}

uint32_t skald_bucket_take(skald_bucket *bucket, uint64_t now_ns, uint32_t count)
{
    uint64_t wanted = count * UNITS_PER_TOKEN, full = 0, missing = 0, wait_ms = 0;

    if (!bucket->rate_per_min) return 0;
    full = burst_of(bucket) * UNITS_PER_TOKEN;
    if (count > burst_of(bucket)) return UINT32_MAX;
    bucket->taken_units = taken_at(bucket, now_ns);
    if (now_ns > bucket->at_ns) bucket->at_ns = now_ns;
    if (bucket->taken_units + wanted <= full) {
        bucket->taken_units += wanted;
        return 0;
    }
    missing = bucket->taken_units + wanted - full;
    wait_ms = (missing / bucket->rate_per_min + NS_PER_MS) / NS_PER_MS;
    return wait_ms < UINT32_MAX ? (uint32_t)wait_ms : UINT32_MAX - 1;
}

uint32_t skald_bucket_left(const skald_bucket *bucket, uint64_t now_ns)
{
    if (!bucket->rate_per_min) return UINT32_MAX;
    return (uint32_t)((burst_of(bucket) * UNITS_PER_TOKEN - taken_at(bucket, now_ns)) /
                      UNITS_PER_TOKEN);
}
