// SPDX-License-Identifier: Apache-2.0
// api/api_parts.h - what the api_<noun>.c files share: the object, its handlers, queries and
// replies.
#ifndef SKI_API_API_PARTS_H
#define SKI_API_API_PARTS_H

#include "api/api.h"
#include "api/api_auth.h"
#include "api/api_call.h"
#include "api/api_metrics.h"
#include "api/api_usage.h"
#include "api/api_version.h"
#include "api/audience.h"
#include "api/frames.h"
#include "event/event_json.h"
#include "os/thread.h"

typedef struct ski_pulls ski_pulls;     // the pull groups: api_pull.c
typedef struct ski_replays ski_replays; // replies kept by Idempotency-Key: api_idempotency.c

enum { SKI_API_STANDING_MAX = 4 };

struct ski_api {
    ski_api_options options;
    skald_bus *bus;
    skald_store *store;
    ski_http *http;                                 // NULL until served
    ski_http_route *routes;                         // made from the table
    ski_http_header standing[SKI_API_STANDING_MAX]; // of every reply, also where no guard was
    ski_metrics metrics;
    ski_pulls *pulls;
    ski_replays *replays;
    ski_usage usage;
    ski_frames *frames;
    ski_audiences *audiences;
    ski_mutex wait_lock; // of those who wait for X-Min-Position
    ski_cond wait_cond;
    uint32_t position_waits;
    ski_auth *auth; // the door
    char *origins;  // a copy, once they were changed; the loop's
};

static inline ski_api *ski_api_of(const ski_http_request *request)
{
    return request->context;
}

enum {
    SKI_API_REPLY_BYTES_MAX = 64 * 1024 * 1024, // no reply is larger
    SKI_API_PAGE_BYTES = 8 * 1024 * 1024,       // a list is cut behind the item that passes this
    SKI_API_LIMIT_DEFAULT = 100,
    SKI_API_LIMIT_MAX = 1000,
    SKI_API_ARRAY_MAX = 10000, // events in one array
};

// ski_query is what a query string may say of events; each route allows some of it.
typedef struct ski_query {
    skald_read read;    // its filter's lists live in the request's scratch
    uint32_t limit;     // SKI_API_LIMIT_DEFAULT
    uint64_t wait_ms;   // waitMs
    uint32_t count_max; // max
    skald_durability durability;
    skald_str prefix, after_name, scope, format;
    skald_str subscription, after_id; // after_id: of a dead letter
    skald_expected expected;          // of a stream; with expected_version
    uint64_t expected_version;
    uint32_t schema_version; // 0: any
    bool tombstone, erase;
    bool has_after;
} ski_query;

// ski_query_read reads the query string, which may have what the route's line in the table says
// (routes.h); anything else is INVALID and the text says what was meant, or what there is.
skald_err ski_query_read(ski_http_request *request, ski_query *ret_query, skald_error *reterr_error)
    SKALD_CHECK;

// Replies. ski_reply_send is how every handler answers: it brings the reply into the version and
// the form asked for, adds the ETag or says that nothing changed, and keeps it for a request that
// is sent again. ski_reply_json sends body, which is JSON; the request's correlation id goes with
// every reply.
skald_err ski_reply_send(ski_http_request *request, const ski_http_reply *reply);
skald_err ski_reply_json(ski_http_request *request, unsigned status, skald_str body);
skald_err ski_reply_position(ski_http_request *request, unsigned status, skald_str body,
                             uint64_t position, skald_str correlation_id);
// ski_reply_fail sends the problem for error, err being its code where error has none.
void ski_reply_fail(ski_http_request *request, skald_err err, skald_error *error);
// ski_reply_why says of a store that takes no writes why, where error does not.
void ski_reply_why(const ski_http_request *request, skald_err err, skald_error *error);
skald_buf ski_reply_buf(void); // empty, with the reply's maximum

// ski_api_expect is what an event's expectedVersion asks of its stream. Fails: INVALID (there is
// none).
skald_err ski_api_expect(const skald_event *event, const ski_event_expect *expect,
                         skald_expect *ret_expect, skald_error *reterr_error) SKALD_CHECK;

// ski_api_match reads If-Match and If-None-Match as where a stream must stand: the ETag of a stream
// is its version. Fails: INVALID.
skald_err ski_api_match(const ski_http_request *request, skald_expect *expect,
                        skald_error *reterr_error) SKALD_CHECK;
// ski_api_unmatched makes a conflict with what those headers say a precondition that failed.
void ski_api_unmatched(const ski_http_request *request, skald_error *error);

// ski_subscription_state finds a consumer by name, running or not; it lives in the request's
// scratch. Waits. Fails: NOTFOUND, and as skald_bus_subscriptions.
skald_err ski_subscription_state(ski_http_request *request, skald_str name,
                                 skald_subscription_state *ret_state, skald_error *reterr_error)
    SKALD_CHECK;

// api_circuits.c: the circuits to what this server calls. ski_circuits_part appends nothing where
// there are none, else a member of parts behind others.
skald_err ski_circuits_metrics(const ski_api *api, skald_buf *buf) SKALD_CHECK;
skald_err ski_circuits_part(const ski_api *api, skald_buf *buf) SKALD_CHECK;

// ski_list_events reads a page of events into buf as {"data":[…],"pagination":{…}}. Waits.
skald_err ski_list_events(ski_api *api, const ski_query *query, skald_buf *buf,
                          skald_error *reterr_error);

// ski_events_publish publishes the events of a request's body (JSON or CloudEvents), all of them on
// stream if that is given, and replies when they are durable.
skald_err ski_events_publish(ski_http_request *request, skald_str stream,
                             skald_error *reterr_error);

// ski_api_log_request writes the line of one request, at level debug.
void ski_api_log_request(const skald_log *log, const ski_http_request *request, unsigned status,
                         uint64_t took_ns);

// ski_query_check says whether the route knows every name of the query string; on the loop, before
// a body. ski_query_read reads what they say.
skald_err ski_query_check(ski_http_request *request, skald_error *reterr_error) SKALD_CHECK;

// Handlers, one route each.
bool ski_get_event_now(ski_http_request *request); // as ski_http_route's now
ski_http_handler ski_get_events, ski_post_events, ski_get_event, ski_post_test, ski_get_stats,
    ski_get_history, ski_get_event_stream, ski_get_streams, ski_get_stream, ski_post_stream,
    ski_get_subscriptions, ski_post_subscription, ski_get_subscription, ski_delete_subscription,
    ski_get_deliveries, ski_post_ack, ski_post_nack, ski_get_health, ski_get_ready, ski_get_metrics,
    ski_get_asset, ski_get_types, ski_put_type, ski_get_stream_meta, ski_put_stream_meta,
    ski_delete_stream, ski_get_snapshot, ski_put_snapshot;
ski_http_handler ski_post_pause, ski_post_resume, ski_post_drain, ski_post_reset, ski_get_trace,
    ski_get_scheduled, ski_delete_scheduled, ski_get_dead_letters, ski_get_dead_letter,
    ski_post_dead_letter_retry, ski_post_dead_letter_discard, ski_post_dead_letters_retry,
    ski_get_parked, ski_post_parked_release, ski_post_parked_skip, ski_post_parked_edit;
ski_http_handler ski_get_admin_metrics; // api_admin_metrics.c
ski_http_handler ski_post_backup;
void ski_backup_recall(ski_api *api); // when the last one was done, for the metric
ski_http_handler ski_get_config, ski_get_log_level, ski_put_log_level;
ski_http_handler ski_get_api_usage, ski_get_openapi, ski_get_asyncapi, ski_get_docs,
    ski_get_docs_file, ski_not_yet;
ski_http_handler ski_get_schemas, ski_put_schema, ski_get_schema, ski_post_schema_check;
ski_http_handler ski_get_keys, ski_post_key, ski_delete_key;
bool ski_post_events_streams(const ski_http_request *request); // is it NDJSON?
extern const ski_http_body ski_ndjson_body;

// ski_pulls_new runs those kept in the store; one that cannot be run is named.
skald_err ski_pulls_new(ski_api *api, ski_pulls **ret_pulls, skald_error *reterr_error) SKALD_CHECK;
void ski_pulls_attach(ski_pulls *pulls, ski_http *http); // NULL: the server is about to stop
// ski_pulls_end ends every group; what was taken and not acknowledged comes again another time.
void ski_pulls_end(ski_pulls *pulls);
void ski_pulls_free(ski_pulls *pulls);
// ski_pulls_drained gives what a pull group that was drained goes on with when it is posted again:
// its definition, as ski_pull_definition_shown; and fills its settings into state. Both live as
// long as the request. Nothing changes where nobody drained one of that name. Fails: NOMEM.
skald_err ski_pulls_drained(const ski_http_request *request, skald_subscription_state *state,
                            skald_str *ret_definition) SKALD_CHECK;

#endif
