// SPDX-License-Identifier: Apache-2.0
// api/api_usage.h - who still asks for which version of the API.
#ifndef SKI_API_API_USAGE_H
#define SKI_API_API_USAGE_H

#include "api/routes.h"
#include "os/thread.h"

// ski_usage counts requests by version and consumer. Any thread.
enum {
    SKI_USAGE_MAX = 256, // consumers of all versions together; the rest of each are one, "other"
    SKI_USAGE_CONSUMER_BYTES = 64 // of a consumer's name; a longer one is cut
};
typedef struct ski_usage_row {
    unsigned version;
    uint32_t consumer_len;
    char consumer[SKI_USAGE_CONSUMER_BYTES + 1];
    uint64_t requests;
    skald_time first_at, last_at;
} ski_usage_row;
typedef struct ski_usage {
    ski_mutex lock;
    size_t count;
    ski_usage_row rows[SKI_USAGE_MAX + SKI_ROUTE_VERSION]; // the others of each version at the end
} ski_usage;
void ski_usage_init(ski_usage *usage);
void ski_usage_fini(ski_usage *usage);
void ski_usage_count(ski_usage *usage, unsigned version, skald_str consumer, skald_time now);
// ski_usage_put appends them as Prometheus text.
skald_err ski_usage_put(ski_usage *usage, skald_buf *buf) SKALD_CHECK;

#endif
