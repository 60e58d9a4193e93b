// SPDX-License-Identifier: Apache-2.0
// skald/limit.h - a token bucket and a circuit breaker.
//
// Both are plain values: zero them, set what is to differ from the default, keep them anywhere.
// They read no clock and take no lock: the caller gives nanoseconds of one monotonic clock, and a
// lock if several threads share one.
#ifndef SKALD_LIMIT_H
#define SKALD_LIMIT_H

#include <skald/base.h>

#ifdef __cplusplus
extern "C" {
#endif

// skald_bucket lets rate_per_min through in the long run and burst_max at once. A rate of 0 lets
// everything through. A zeroed one is full.
typedef struct skald_bucket {
    uint32_t rate_per_min;
    uint32_t burst_max;   // rate_per_min
    uint64_t taken_units; // its own: what is missing to a full bucket
    uint64_t at_ns;       // its own: as of when
} skald_bucket;

// skald_bucket_take returns 0 when count tokens were taken, else the milliseconds after which they
// can be, at least 1; UINT32_MAX when they never can (count is more than burst_max).
// skald_bucket_left is how many could be taken now.
SKALD_API uint32_t skald_bucket_take(skald_bucket *bucket, uint64_t now_ns, uint32_t count);
SKALD_API uint32_t skald_bucket_left(const skald_bucket *bucket, uint64_t now_ns);

// skald_breaker keeps callers from a thing that fails: closed lets everything through; after
// failures_max failures in a row it is open for open_ms and lets nothing through; then it is
// half open: one trial at a time decides.
typedef enum skald_breaker_state {
    SKALD_BREAKER_CLOSED,
    SKALD_BREAKER_OPEN,
    SKALD_BREAKER_HALF_OPEN
} skald_breaker_state;
typedef struct skald_breaker {
    uint32_t failures_max; // 5
    uint32_t open_ms;      // 30000
    uint32_t failures;     // its own, as is all that follows: in a row
    bool opened, trying;
    uint64_t since_ns; // open, or trying
} skald_breaker;

// skald_breaker_allow says whether to try now; whoever was allowed reports how it went, once. A
// trial that nobody reports is given up after open_ms, and another one is allowed.
SKALD_API bool skald_breaker_allow(skald_breaker *breaker, uint64_t now_ns);
SKALD_API void skald_breaker_report(skald_breaker *breaker, uint64_t now_ns, bool success);
SKALD_API skald_breaker_state skald_breaker_state_get(const skald_breaker *breaker,
                                                      uint64_t now_ns);

#ifdef __cplusplus
}
#endif
#endif // SKALD_LIMIT_H
