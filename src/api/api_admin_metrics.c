// SPDX-License-Identifier: Apache-2.0
// GET /api/admin/metrics: the few figures that say at a glance how much goes on, as one document.
//
// Domain events are those that are kept. Integration events are those handed to others: pull groups
// and, by their kinds, webhooks and brokers. WebSocket events are live ones: broadcast counts the
// events that were published for the moment only, delivered what was written to live streams.
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/str.h"

enum { snapshots_max = 1000000, types_bytes_max = 64 << 20 };

typedef struct figures {
    skald_bus_counters bus;
    skald_store_state store;
    ski_histogram_seen attempts;
    ski_http_counters http;
    uint64_t events, snapshots;
    uint64_t handed_on, webhooks_done, webhooks_failed;
} figures;

static bool of_kind(const skald_subscription_state *state, const char *kind)
{
    return skald_str_equal(state->kind, skald_str_of(kind));
}

static skald_err count_events(skald_store *store, uint64_t *ret_count)
{
    const skald_counted *types = NULL;
    skald_arena *arena = NULL;
    size_t count = 0;
    skald_err err;

    SKALD_TRY(skald_arena_new(types_bytes_max, &arena));
    err = skald_store_types(store, (skald_str){0}, arena, &types, &count);
    *ret_count = 0;
    for (size_t i = 0; i < count && !err; i++) *ret_count += types[i].count;
    skald_arena_free(arena);
    return err;
}

// count_snapshots counts the newest of each stream, up to a million.
static skald_err count_snapshots(skald_store *store, uint64_t *ret_count)
{
    static const skald_str type = {"$snapshot", sizeof "$snapshot" - 1};
    skald_read read = {.filter.types = {&type, 1}};
    skald_store_page page = {0};

    *ret_count = 0;
    do {
        SKALD_TRY(ski_store_page(store, &read, &page, NULL));
        *ret_count += page.count;
        read.after = page.position_next;
        bool end = page.end || !page.position_next;
        ski_store_page_free(store, &page);
        if (end) break;
    } while (*ret_count < snapshots_max);
    return SKALD_OK;
}

static skald_err count_subscriptions(ski_http_request *request, figures *of)
{
    const skald_subscription_state *states = NULL;
    size_t count = 0;

    SKALD_TRY(skald_bus_subscriptions(ski_api_of(request)->bus, request->scratch, &states, &count));
    for (size_t i = 0; i < count; i++) {
        const skald_subscription_state *state = &states[i];
        bool webhook = of_kind(state, "webhook");

        if (webhook || of_kind(state, "pull") || of_kind(state, "broker"))
            of->handed_on += state->acked;
        if (!webhook) continue;
        of->webhooks_done += state->acked;
        of->webhooks_failed += state->retried + state->rejected;
    }
    return SKALD_OK;
}

static skald_err find(ski_http_request *request, figures *of)
{
    ski_api *api = ski_api_of(request);

    skald_bus_counters_get(api->bus, &of->bus);
    skald_store_state_get(api->store, &of->store);
    ski_histogram_see(ski_bus_attempts(api->bus), &of->attempts);
    ski_http_counters_get(request->http, &of->http);
    SKALD_TRY(count_events(api->store, &of->events));
    SKALD_TRY(count_snapshots(api->store, &of->snapshots));
    return count_subscriptions(request, of);
}

static skald_err put(const figures *of, uint64_t live, skald_buf *buf)
{
    double average_ms =
        of->attempts.all ? (double)of->attempts.sum_ns / (double)of->attempts.all / 1e6 : 0;

    SKALD_TRY(ski_buf_print(buf,
                            "{\"domainEvents\":{\"published\":%llu,\"handled\":%llu,"
                            "\"failed\":%llu,\"averageHandlingTime\":%.6f},",
                            (unsigned long long)of->bus.published,
                            (unsigned long long)of->bus.acked,
                            (unsigned long long)(of->bus.retried + of->bus.rejected), average_ms));
    SKALD_TRY(ski_buf_print(buf,
                            "\"integrationEvents\":{\"published\":%llu,\"webhooksDelivered\":%llu,"
                            "\"webhooksFailed\":%llu},",
                            (unsigned long long)of->handed_on,
                            (unsigned long long)of->webhooks_done,
                            (unsigned long long)of->webhooks_failed));
    SKALD_TRY(ski_buf_print(buf,
                            "\"websocketEvents\":{\"broadcast\":%llu,\"delivered\":%llu,"
                            "\"connections\":%llu},",
                            (unsigned long long)of->bus.transient_published,
                            (unsigned long long)live, (unsigned long long)of->http.streams_now));
    return ski_buf_print(buf,
                         "\"eventStore\":{\"totalEvents\":%llu,\"totalSnapshots\":%llu,"
                         "\"storageSize\":%llu}}",
                         (unsigned long long)of->events, (unsigned long long)of->snapshots,
                         (unsigned long long)of->store.bytes_stored);
}

skald_err ski_get_admin_metrics(ski_http_request *request, skald_error *reterr_error)
{
    skald_buf buf = ski_reply_buf();
    figures of = {0};
    skald_err err = find(request, &of);

    (void)reterr_error;
    if (!err) err = put(&of, ski_api_of(request)->metrics.live_events, &buf);
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}
