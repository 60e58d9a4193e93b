// SPDX-License-Identifier: Apache-2.0
// skald/bus.h - publish, and the one kind of consumer: the subscription.
//
// The log is the bus. Publishing appends; a subscription is a named cursor over the log with a
// filter, an order, a retry policy and a handler. Every sink (a function, a page's live stream, a
// remote worker) is a handler, subscribed like any other.
//
// Any thread may call any function here. Handlers run on workers and may wait; a slow one delays
// nobody else. A stepped bus has no threads: skald_bus_run works.
#ifndef SKALD_BUS_H
#define SKALD_BUS_H

#include <skald/store.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct skald_bus skald_bus;
typedef struct skald_subscription {
    uint64_t id; // never reused; 0: none
} skald_subscription;
typedef struct skald_delivery_id {
    uint64_t id; // never reused
} skald_delivery_id;

// skald_delivery is one event handed to one subscription. It is borrowed until the handler returns;
// id is what to keep after that. scratch is emptied then.
typedef struct skald_delivery {
    void *context; // the handler's
    const skald_event *event;
    skald_delivery_id id;
    skald_bus *bus;
    skald_arena *scratch;
    uint32_t attempt; // from 1
} skald_delivery;

typedef enum skald_outcome {
    SKALD_ACK,    // done
    SKALD_RETRY,  // again, after the policy's delay
    SKALD_REJECT, // no use trying again: what on_exhausted says, now
    SKALD_PENDING // not done yet: skald_delivery_end will say, from any thread
} skald_outcome;

typedef skald_outcome skald_handler_fn(const skald_delivery *delivery);

// skald_handler is who receives: a function and its context. With ready instead of fn the
// deliveries are pulled: ready tells, on any thread, that there may be some to take with
// skald_subscription_take; it must not block.
typedef struct skald_handler {
    skald_handler_fn *fn;
    void (*ready)(void *context);
    void *context;              // borrowed until end
    void (*end)(void *context); // last call: the subscription has ended, or could not start. May be
                                // NULL
} skald_handler;

// skald_retry and skald_reject note the reason, for people, and are returned by the handler. A
// delay of 0 is the policy's.
SKALD_API skald_outcome skald_retry(const skald_delivery *delivery, uint32_t delay_ms,
                                    const char *format, ...) SKALD_PRINTF(3, 4);
SKALD_API skald_outcome skald_reject(const skald_delivery *delivery, const char *format, ...)
    SKALD_PRINTF(2, 3);

// skald_delivery_end ends a PENDING delivery; it may be called before the handler has returned.
// delay_ms counts with SKALD_RETRY, 0: the policy's. reason may be NULL. Fails: STALE (ended, timed
// out, or unsubscribed), INVALID.
SKALD_API SKALD_CHECK skald_err skald_delivery_end(skald_bus *bus, skald_delivery_id delivery,
                                                   skald_outcome outcome, uint32_t delay_ms,
                                                   const char *reason);

// skald_retry_policy: the n-th attempt after the first waits first_ms * factor^(n-1), at most
// max_ms, give or take jitter.
typedef struct skald_retry_policy {
    uint32_t attempts_max; // the first included; 0: no end
    uint32_t first_ms;     // 200
    double factor;         // 2
    uint32_t max_ms;       // 300000
    double jitter;         // 0.2 of the delay, either way; negative: none
    uint32_t timeout_ms;   // 30000 for a PENDING delivery, then RETRY; a function still running is
                           // only reported: it is never run beside itself
} skald_retry_policy;

typedef enum skald_order { SKALD_BY_STREAM, SKALD_IN_SEQUENCE, SKALD_UNORDERED } skald_order;
// What happens to a delivery that was rejected, or retried attempts_max times. Dead letters and
// parked keys have their places here; until they are built, asking for them is UNSUPPORTED.
typedef enum skald_exhausted { SKALD_HALT, SKALD_DEAD_LETTER, SKALD_PARK_KEY } skald_exhausted;
typedef enum skald_from { SKALD_FROM_DEFAULT, SKALD_FROM_START, SKALD_FROM_END } skald_from;

typedef struct skald_subscription_options {
    const char *name;    // NULL: transient, a live tail that leaves nothing behind
    const char *kind;    // for people: "handler" (NULL), "sse", "pull"
    skald_filter filter; // copied
    skald_handler handler;
    skald_from from; // default: durable from the start, transient from the end; only where the name
                     // has no position yet
    uint64_t after;  // instead of from: a position
    skald_time from_time;   // instead of from: the first event recorded at or after it
    skald_order order;      // within a stream in order, different streams in parallel
    uint32_t workers_max;   // handler calls at once: 4; SKALD_IN_SEQUENCE: 1
    uint32_t in_flight_max; // 256 deliveries, PENDING ones and those waiting for a retry included
    skald_retry_policy retry;
    skald_exhausted on_exhausted;
    bool once;        // ends itself after the first ack
    bool takes_tests; // also test events
} skald_subscription_options;

// skald_subscribe starts, or resumes by name, a subscription. Fails: EXISTS (the name runs here
// already), INVALID, UNSUPPORTED, FULL (subscriptions_max), NOMEM, CLOSED.
SKALD_API SKALD_CHECK skald_err skald_subscribe(skald_bus *bus,
                                                const skald_subscription_options *options,
                                                skald_subscription *ret_subscription,
                                                skald_error *reterr_error);

// skald_unsubscribe stops it: no delivery starts afterwards, those running end, handler.end is
// called when the last has (perhaps later, on another thread). forget also drops the position, so
// the name starts anew. From any handler, also its own. Fails: STALE.
SKALD_API skald_err skald_unsubscribe(skald_bus *bus, skald_subscription subscription, bool forget);

// skald_subscription_take hands at most count_max deliveries now due to fn, one after the other on
// the calling thread, whose result is that of a handler (mostly SKALD_PENDING: the delivery's
// timeout begins now). It gives how many. Never waits for one to come. Only for a subscription with
// ready. Fails: STALE, INVALID.
SKALD_API SKALD_CHECK skald_err skald_subscription_take(skald_bus *bus,
                                                        skald_subscription subscription,
                                                        uint32_t count_max, skald_handler_fn *fn,
                                                        void *context, uint32_t *ret_count);

typedef struct skald_publish_options {
    skald_append_options append; // durability, expected versions
    const skald_event *cause;    // what led to this: stamps correlation, causation, tenant, actor,
                                 // trace
    skald_error *reterr_error;   // INVALID says which field, CONFLICT which version
} skald_publish_options;

// skald_published is what became of a publish. ids and correlation ids stamped are in events, which
// live until done returns.
typedef struct skald_published {
    skald_err err;
    skald_error error; // with err
    skald_appended appended;
    const skald_event *events; // as stored: id, position, stream_version, times; their text is
    size_t count;              // the caller's and must have lived until now
} skald_published;
// It only hands over: it neither waits nor calls the bus or the store.
typedef void skald_published_fn(void *context, const skald_published *published);

// skald_publish validates, stamps and appends one event and returns when it is durable; handlers
// run later. skald_publish_all appends count events or none. Both wait: on an event loop use
// skald_publish_start, which calls done once, on any thread, perhaps before it returns; a result
// other than OK means done is never called. The events' text must live until then, the array and
// options need not. Fails: INVALID, TOOBIG, CONFLICT, EXISTS, FULL, READONLY, CLOSED.
SKALD_API SKALD_CHECK skald_err skald_publish(skald_bus *bus, skald_event event,
                                              const skald_publish_options *options);
SKALD_API SKALD_CHECK skald_err skald_publish_all(skald_bus *bus, const skald_event *events,
                                                  size_t count,
                                                  const skald_publish_options *options,
                                                  skald_appended *ret_appended);
SKALD_API SKALD_CHECK skald_err skald_publish_start(skald_bus *bus, const skald_event *events,
                                                    size_t count,
                                                    const skald_publish_options *options,
                                                    skald_published_fn *done, void *context);

// The state of one subscription, for people and for metrics. Text lives in the arena given.
typedef struct skald_subscription_state {
    skald_str name;        // not given: transient
    skald_str kind, state; // state: "catching_up" "live" "halted" "ended"
    skald_filter filter;
    skald_subscription id;
    uint64_t position;  // everything up to it is done
    uint64_t lag;       // events behind the head (filter not applied)
    uint32_t in_flight; // delivered, not ended
    uint32_t retrying;  // of them, those that wait for another attempt
    uint64_t acked, retried, rejected, timed_out;
    skald_str last_error;
    skald_time last_error_at;
    bool durable;
} skald_subscription_state;
SKALD_API SKALD_CHECK skald_err skald_bus_subscriptions(skald_bus *bus, skald_arena *arena,
                                                        const skald_subscription_state **ret_states,
                                                        size_t *ret_count);
// skald_bus_find gives a running subscription by name, id 0 if there is none.
SKALD_API skald_subscription skald_bus_find(skald_bus *bus, skald_str name);

// skald_bus_report appends the JSON documents of GET /api/events/stats and /api/events/history.
// STATS_HISTORY is STATS over the history_events_max newest events only.
// tenant {NULL, 0}: all. Waits. Fails: NOMEM, FULL, IO, CORRUPT.
typedef enum skald_report { SKALD_STATS, SKALD_HISTORY, SKALD_STATS_HISTORY } skald_report;
SKALD_API SKALD_CHECK skald_err skald_bus_report(skald_bus *bus, skald_report report,
                                                 skald_str tenant, uint32_t items_max,
                                                 skald_buf *buf);

typedef struct skald_bus_counters {
    uint64_t published, publish_failed; // events
    uint64_t delivered, acked, retried, rejected, timed_out;
} skald_bus_counters;
SKALD_API void skald_bus_counters_get(const skald_bus *bus, skald_bus_counters *ret_counters);

typedef struct skald_bus_options {
    const skald_clock *clock;
    const skald_log *log;
    const char *source;          // of events that state none: "skald"
    uint32_t threads_max;        // worker threads: 8
    uint32_t subscriptions_max;  // 4096
    uint32_t history_events_max; // 1000, for the history document
    uint32_t event_bytes_max;    // of one event's data: 1 MiB
    bool stepped;                // no threads: skald_bus_run does the work
    uint64_t seed;               // of jitter; 0: random
} skald_bus_options;

// skald_bus_new borrows store, which must outlive it. skald_bus_stop takes nothing new,
// ends what is in flight within timeout_ms (TIMEOUT if it could not) and keeps every position; free
// may follow.
SKALD_API SKALD_CHECK skald_err skald_bus_new(skald_store *store, const skald_bus_options *options,
                                              skald_bus **ret_bus);
SKALD_API skald_err skald_bus_stop(skald_bus *bus, uint32_t timeout_ms);
SKALD_API void skald_bus_free(skald_bus *bus); // NULL is allowed; stops first if need be

// skald_bus_run, of a stepped bus: makes at most deliveries_max of the deliveries now due, and
// returns how many.
SKALD_API uint32_t skald_bus_run(skald_bus *bus, uint32_t deliveries_max);
// skald_bus_due_ns, of a stepped bus: when (monotonic) the next retry or timeout is due; 0: none
// waits.
SKALD_API uint64_t skald_bus_due_ns(skald_bus *bus);

#ifdef __cplusplus
}
#endif
#endif // SKALD_BUS_H
