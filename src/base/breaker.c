// SPDX-License-Identifier: Apache-2.0
// The circuit breaker: closed, open, half open.
//
// Invariants:
//   1. Not opened: fewer than failures_max failures in a row were reported.
//   2. Half open, at most one trial is under way; its report, or open_ms without one, ends it.
#include <skald/limit.h>

enum { failures_default = 5, open_default_ms = 30000 };
#define NS_PER_MS UINT64_C(1000000)

static uint64_t open_ns(const skald_breaker *breaker)
{
    return (breaker->open_ms ? breaker->open_ms : open_default_ms) * NS_PER_MS;
}

// over: open_ms have gone by since it opened, or since a trial began.
static bool over(const skald_breaker *breaker, uint64_t now_ns)
{
    return now_ns >= breaker->since_ns && now_ns - breaker->since_ns >= open_ns(breaker);
}

bool skald_breaker_allow(skald_breaker *breaker, uint64_t now_ns)
{
    if (!breaker->opened) return true;
    if (!over(breaker, now_ns)) return false;
    breaker->trying = true;
    breaker->since_ns = now_ns;
    return true;
}

void skald_breaker_report(skald_breaker *breaker, uint64_t now_ns, bool success)
{
    uint32_t most = breaker->failures_max ? breaker->failures_max : failures_default;

    if (success) {
        // What was begun before it opened says nothing of now; only a trial closes it.
        if (breaker->opened && !breaker->trying) return;
        breaker->opened = breaker->trying = false;
        breaker->failures = 0;
        return;
    }
    if (breaker->failures < UINT32_MAX) breaker->failures++;
    if (breaker->opened && !breaker->trying) return;
    if (!breaker->opened && breaker->failures < most) return;
    breaker->opened = true;
    breaker->trying = false;
    breaker->since_ns = now_ns;
}

skald_breaker_state skald_breaker_state_get(const skald_breaker *breaker, uint64_t now_ns)
{
    if (!breaker->opened) return SKALD_BREAKER_CLOSED;
    return breaker->trying || over(breaker, now_ns) ? SKALD_BREAKER_HALF_OPEN : SKALD_BREAKER_OPEN;
}
