// SPDX-License-Identifier: Apache-2.0
// api/api_rate.h - token buckets by who asks, in a table of fixed size. Belongs to the loop.
#ifndef SKI_API_API_RATE_H
#define SKI_API_API_RATE_H

#include "api/api.h"

typedef struct ski_rates ski_rates;

enum {
    SKI_RATES_MAX = 16384, // who is known at once; then whoever asked longest ago is forgotten
    SKI_RATE_FAILED_PER_MIN = 60, // credentials of one address that may be wrong
    SKI_RATE_FAILED_BURST = 20,
};

// What is limited. A policy's name is its text in RateLimit-Policy.
typedef enum ski_rate_kind {
    SKI_LIMIT_IP,
    SKI_LIMIT_KEY,
    SKI_LIMIT_PUBLISH,
    SKI_LIMIT_READ,
    SKI_LIMIT_FAILED,
    SKI_LIMITS
} ski_rate_kind;
const char *ski_rate_name(ski_rate_kind kind);

// seed: random, so that nobody can choose whose bucket to share.
skald_err ski_rates_new(const ski_rate_options *options, uint64_t seed, ski_rates **ret_rates)
    SKALD_CHECK;
void ski_rates_free(ski_rates *rates);
bool ski_rates_limited(const ski_rates *rates, ski_rate_kind kind); // there is a limit of this kind

// ski_rate_state is how a bucket stands after a request.
typedef struct ski_rate_state {
    uint32_t quota, left; // tokens that fit, and that are there
    uint32_t window_s;    // in which an empty bucket gets full
    uint32_t reset_s;     // until it is full again
    uint32_t wait_ms;     // 0: the request was let through
    bool tell;            // it was not, for the first time in a minute
} ski_rate_state;
// ski_rate_take takes a token of who. Only of a kind that is limited.
ski_rate_state ski_rate_take(ski_rates *rates, ski_rate_kind kind, skald_str who, uint64_t now_ns);
// ski_rate_address is the part of a peer that is limited as one: an IPv4 address, the first half of
// an IPv6 one, "local". It borrows from peer or is written to room.
skald_str ski_rate_address(skald_str peer, char room[56]);

#endif
