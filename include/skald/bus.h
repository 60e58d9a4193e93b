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
} skald_outcome;  // anything else is a failed attempt, SKALD_RETRY

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

// skald_deliveries_end ends many with the same outcome at once, which costs less than one by one;
// *ret_ended is how many, the others were STALE; ret_each has count of them, says which were ended,
// and may be NULL. Other work comes in between when there are more than 256. Fails: INVALID.
SKALD_API SKALD_CHECK skald_err skald_deliveries_end(skald_bus *bus,
                                                     const skald_delivery_id *deliveries,
                                                     size_t count, skald_outcome outcome,
                                                     uint32_t delay_ms, const char *reason,
                                                     bool *ret_each, size_t *ret_ended);

// skald_retry_policy: the n-th attempt after the first waits first_ms * factor^(n-1), at most
// max_ms, give or take jitter.
typedef struct skald_retry_policy {
    uint32_t attempts_max; // the first included; 0: no end with SKALD_HALT, else 8
    uint32_t first_ms;     // 200
    double factor;         // 2
    uint32_t max_ms;       // 300000
    double jitter;         // 0.2 of the delay, either way; negative: none
    uint32_t timeout_ms;   // 30000 for a PENDING delivery, then RETRY; a function still running is
                           // only reported: it is never run beside itself
} skald_retry_policy;

// What is in order among itself: the events of a stream, all, none, or those of one key.
typedef enum skald_order {
    SKALD_BY_STREAM,
    SKALD_IN_SEQUENCE,
    SKALD_UNORDERED,
    SKALD_BY_KEY
} skald_order;
// skald_key_fn gives the key of an event: text that lives as long as the event, or static. "Not
// given": the event is its own key. It is called under a lock: quick, always the same for the same
// event, calling nothing of the bus or the store.
typedef skald_str skald_key_fn(const skald_event *event);
// What happens to a delivery that was rejected, or retried attempts_max times. HALT: the
// subscription stops there and is faulted until it is resumed. DEAD_LETTER: it is set aside and the
// rest goes on, later events of its key too. PARK_KEY: it is set aside and later events of its key
// wait behind it, in order; other keys go on. The last two only with a name; PARK_KEY not
// IN_SEQUENCE, where it would be HALT.
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
    uint32_t workers_max;   // handler calls at once: 4, at most 1024; SKALD_IN_SEQUENCE: 1
    uint32_t in_flight_max; // 256 deliveries, PENDING ones and those waiting for a retry included;
                            // at most 65536
    skald_retry_policy retry;
    skald_exhausted on_exhausted;
    bool once;        // ends itself after the first ack
    bool takes_tests; // also test events
    // With SKALD_BY_KEY one of the two.
    skald_key_fn *key;
    const char *key_pointer;   // a JSON pointer (RFC 6901) into data: "/order/id"
    uint32_t dead_letters_max; // 10000, at most 100000; one more halts it
    uint32_t parked_keys_max;  // 1000, at most 100000; one more halts it
    uint64_t lag_events_max;   // behind the head, then it is said to lag: 10000; UINT64_MAX: never
    uint32_t stale_after_s; // 604800 (a week) without a sign of a consumer, then it is reported and
                            // holds back no retention any more; UINT32_MAX: never
    bool paused;            // begins paused, where the name has no position yet
    // Events of an old version are given in the newest that the steps of skald_schemas_upcast lead
    // to, data and version. One that a step fails on is rejected with its reason, without a call.
    bool upcasts;
} skald_subscription_options;

// skald_subscribe starts, or resumes by name, a subscription. Fails: EXISTS (the name runs here
// already), INVALID (the field; also a type that can mean no event, as "order*", where the name has
// no position yet), UNSUPPORTED, FULL (subscriptions_max), NOMEM, CLOSED.
SKALD_API SKALD_CHECK skald_err skald_subscribe(skald_bus *bus,
                                                const skald_subscription_options *options,
                                                skald_subscription *ret_subscription,
                                                skald_error *reterr_error);

// skald_unsubscribe stops it: no delivery starts afterwards, those running end, handler.end is
// called when the last has (perhaps later, on another thread). forget also drops the position and
// what was set aside, so the name starts anew. From any handler, also its own. Fails: STALE.
SKALD_API skald_err skald_unsubscribe(skald_bus *bus, skald_subscription subscription, bool forget);

// skald_subscription_take hands at most count_max deliveries now due to fn, one after the other on
// the calling thread, whose result is that of a handler (mostly SKALD_PENDING: the delivery's
// timeout begins now). It gives how many. Never waits for one to come. Only for a subscription with
// ready. Fails: STALE, INVALID.
SKALD_API SKALD_CHECK skald_err skald_subscription_take(skald_bus *bus,
                                                        skald_subscription subscription,
                                                        uint32_t count_max, skald_handler_fn *fn,
                                                        void *context, uint32_t *ret_count);

// skald_actor is who does something to a subscription. NULL: the program itself. Given, the deed is
// published first, as audit.subscription.* with this actor, so the call waits, and what cannot be
// recorded is not done. tenant not given: SKALD_PLATFORM_TENANT.
typedef struct skald_actor {
    skald_str user, role, tenant, correlation_id;
} skald_actor;

// The life of a subscription: registered (its name has a position, nobody runs it here), running,
// paused, draining, stopped, faulted. From any thread, also a handler.
//
// skald_subscription_pause: no delivery starts until skald_subscription_resume; those under way
// end. With a name it stays paused across restarts. resume also sets a faulted one going again:
// what halted it is tried anew. skald_subscription_drain: nothing new is taken in; when all it
// holds is done it ends. Fails: STALE, STATE (drains or ends already), and what publishing the
// audit event fails with.
SKALD_API SKALD_CHECK skald_err skald_subscription_pause(skald_bus *bus,
                                                         skald_subscription subscription,
                                                         const skald_actor *by);
SKALD_API SKALD_CHECK skald_err skald_subscription_resume(skald_bus *bus,
                                                          skald_subscription subscription,
                                                          const skald_actor *by);
SKALD_API SKALD_CHECK skald_err skald_subscription_drain(skald_bus *bus,
                                                         skald_subscription subscription,
                                                         const skald_actor *by);
// skald_subscription_reset moves it to one place: a position (everything after it comes), a time,
// or from. What is under way is not heard any more: its events come again if they lie behind the
// new place. Dead letters and parked keys whose event lies behind it are dropped, since they come
// again; those before it stay. Nothing is given anew while a call of its handler still runs. Fails:
// STALE, STATE, INVALID (behind the end of the log), IO.
typedef struct skald_reset {
    skald_from from;      // FROM_START, FROM_END; FROM_DEFAULT: as said below
    uint64_t after;       // a position
    skald_time from_time; // the first event recorded at or after it
} skald_reset;
SKALD_API SKALD_CHECK skald_err skald_subscription_reset(skald_bus *bus,
                                                         skald_subscription subscription,
                                                         const skald_reset *to,
                                                         const skald_actor *by,
                                                         skald_error *reterr_error);
// skald_subscription_delete ends it if it runs and drops everything kept under the name, also that
// of one nobody runs. Waits. Fails: NOTFOUND, and as an append.
SKALD_API SKALD_CHECK skald_err skald_subscription_delete(skald_bus *bus, skald_str name,
                                                          const skald_actor *by);

// skald_aside is a delivery set aside: a dead letter, or the head of a parked key. Text lives in
// the arena given.
typedef struct skald_aside {
    skald_str subscription;
    uint64_t position;              // of its event; with subscription it names the record
    skald_str type, stream, tenant; // of its event
    skald_uuid event_id;            // of its event
    skald_str key;                  // parked: the stream, the key, or the event's id
    skald_str error;                // of the last attempt
    uint32_t attempts;              // in all
    skald_time first_at, last_at;   // of the first and the last failure
    uint64_t waiting;               // parked: events known to wait behind it
    skald_json data;                // instead of the event's, if it was edited
    bool parked;                    // else a dead letter
    bool releasing;                 // is being delivered again
} skald_aside;
typedef struct skald_aside_query {
    skald_str subscription;       // not given: of all, also of those nobody runs
    skald_str tenant;             // not given: every tenant
    bool dead, parked;            // neither: both
    skald_str after_subscription; // what comes after this one, by subscription and position
    uint64_t after_position;
    uint32_t count_max; // 100, at most 10000
} skald_aside_query;
// skald_bus_asides lists them by subscription and position. Waits. Fails: NOMEM, IO, INVALID.
SKALD_API SKALD_CHECK skald_err skald_bus_asides(skald_bus *bus, const skald_aside_query *query,
                                                 skald_arena *arena, const skald_aside **ret_asides,
                                                 size_t *ret_count);

// Which one: by position, or a parked key by its key (and tenant, where several have it).
typedef struct skald_aside_id {
    skald_str subscription;
    uint64_t position; // 0: by key
    skald_str key, tenant;
} skald_aside_id;
// skald_aside_release delivers it again, attempts starting anew; behind the head of a parked key
// those that wait follow, in order. skald_aside_discard drops it (of a parked key: skips the head,
// and those that wait follow). skald_aside_edit gives this subscription data (JSON) in place of the
// event's and releases it. Always audited (audit.subscription.released|skipped|discarded|edited),
// so they wait. Fails: NOTFOUND, STATE (nobody runs the subscription; is being released), INVALID,
// TOOBIG (data), and what publishing the audit event fails with.
SKALD_API SKALD_CHECK skald_err skald_aside_release(skald_bus *bus, const skald_aside_id *id,
                                                    const skald_actor *by,
                                                    skald_error *reterr_error);
SKALD_API SKALD_CHECK skald_err skald_aside_discard(skald_bus *bus, const skald_aside_id *id,
                                                    const skald_actor *by,
                                                    skald_error *reterr_error);
SKALD_API SKALD_CHECK skald_err skald_aside_edit(skald_bus *bus, const skald_aside_id *id,
                                                 skald_json data, const skald_actor *by,
                                                 skald_error *reterr_error);
// skald_aside_release_all releases what the query finds of running subscriptions, count_max at
// most, and says how many; one audit event for each subscription. Fails: as release.
SKALD_API SKALD_CHECK skald_err skald_aside_release_all(skald_bus *bus,
                                                        const skald_aside_query *query,
                                                        const skald_actor *by, uint32_t *ret_count,
                                                        skald_error *reterr_error);

typedef struct skald_publish_options {
    skald_append_options append; // durability, expected versions
    const skald_event *cause;    // what led to this: stamps correlation, causation, tenant, actor,
                                 // trace
    skald_error *reterr_error;   // INVALID says which field, CONFLICT which version
    // Later: the events are kept hidden (what is appended now is one system.scheduled each, which
    // only a filter naming that type sees) and published at this time with the ids given now; at
    // most schedule_events_max wait (then FULL). Not with expect, nor transient ones (INVALID).
    skald_time deliver_at;
    // No use afterwards: from then on they are not delivered. Kept as "expiresAt" (RFC 3339) in
    // their metadata, where a publisher may also write it.
    skald_time expires_at;
    bool more; // another publish, or skald_bus_flush, follows at once: they are stored together
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
// run later. Transient events (all of a call or none) are not appended: they reach whoever
// subscribes without a name now, have position 0 and no order among themselves or others; what does
// not fit into a subscription's window is dropped and counted there. skald_publish_all appends
// count events or none. Both wait: on an event loop use skald_publish_start, which calls done once,
// on any thread, perhaps before it returns; a result other than OK means done is never called. The
// events' text must live until then, the array and options need not. Fails: INVALID, TOOBIG,
// CONFLICT, EXISTS, FULL, READONLY, CLOSED.
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
// skald_bus_flush begins what was published with options.more set, as an event loop does at the end
// of a turn: one sync for all its requests. Any thread; never waits.
SKALD_API void skald_bus_flush(skald_bus *bus);
// skald_delivery_publish is skald_publish by a handler: the delivery's event is the cause, whatever
// options say.
SKALD_API SKALD_CHECK skald_err skald_delivery_publish(const skald_delivery *delivery,
                                                       skald_event event,
                                                       const skald_publish_options *options);

// skald_scheduled is an event that waits for its time. Text lives in the arena given.
typedef struct skald_scheduled {
    skald_uuid event_id;
    skald_str type, stream, tenant;
    skald_time deliver_at;
    uint64_t position; // of its system.scheduled
} skald_scheduled;
// skald_bus_scheduled lists those of a tenant (not given: all) with position > after, by position.
// skald_schedule_cancel drops one; it fails with NOTFOUND when it is not waiting any more. Both
// wait.
SKALD_API SKALD_CHECK skald_err skald_bus_scheduled(skald_bus *bus, skald_str tenant,
                                                    uint64_t after, uint32_t count_max,
                                                    skald_arena *arena,
                                                    const skald_scheduled **ret_scheduled,
                                                    size_t *ret_count);
SKALD_API SKALD_CHECK skald_err skald_schedule_cancel(skald_bus *bus, skald_str tenant,
                                                      skald_uuid event_id, const skald_actor *by);

// The state of one subscription, for people and for metrics. Text lives in the arena given. The
// list also holds the names nobody runs here ("registered"): of them kind, position, lag, parked,
// dead and active_at are known.
typedef struct skald_subscription_state {
    skald_str name;        // not given: transient
    skald_str kind, state; // state: "registered" "running" "paused" "draining" "stopped" "faulted"
    skald_filter filter;
    skald_subscription id; // 0: registered
    uint64_t position;     // everything up to it is done or set aside
    uint64_t lag;          // events behind the head (filter not applied)
    uint32_t in_flight;    // delivered, not ended
    uint32_t retrying;     // of them, those that wait for another attempt
    uint64_t acked, retried, rejected, timed_out;
    skald_str last_error;
    skald_time last_error_at;
    bool durable;
    bool live;                  // running: at the end of the log; else it catches up
    bool lagging;               // more than lag_events_max behind
    bool stale;                 // without a consumer for stale_after_s
    uint32_t parked, dead;      // keys parked, dead letters
    uint64_t expired, dropped;  // events not given: too late; transient and no room
    double in_per_s, out_per_s; // deliveries taken in, and acked, over the last 10 s or so
    skald_time active_at;       // the last sign of a consumer
    skald_order order;
    skald_exhausted on_exhausted;
    skald_str key_pointer; // with SKALD_BY_KEY, unless a function gives the key
    uint32_t timeout_ms;   // of a PENDING delivery; 0: registered
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

// skald_bus_trace gives what belongs to a correlation id as a tree: nodes by position (so a parent
// comes before its children), each with its event, its parent's index and what became of it at each
// durable subscription there is now. tenant {NULL, 0}: all. truncated: there were more than
// events_max (0: 1000, at most 10000). All in the arena. Waits. Fails: NOTFOUND (no such event),
// NOMEM, IO, INVALID.
typedef struct skald_trace_delivery {
    skald_str subscription;
    const char *outcome; // "acked" "expired" "retrying" "parked" "dead" "filtered" "paused"
                         // "behind"
    skald_time at;       // of its end (while it is remembered) or the last failure; 0: not known
    int64_t delay_us;    // from recorded to at
    skald_str reason;    // of the last failure; filtered: "test" (it takes no tests)
} skald_trace_delivery;
#define SKALD_TRACE_ROOT UINT32_C(0xffffffff)
typedef struct skald_trace_node {
    const skald_event *event;
    uint32_t parent;  // index of what caused it; SKALD_TRACE_ROOT: outside of the trace
    int64_t delay_us; // from its cause recorded to it recorded; 0 for a root
    const skald_trace_delivery *deliveries;
    size_t delivery_count;
} skald_trace_node;
typedef struct skald_trace {
    const skald_trace_node *nodes;
    size_t count;
    bool truncated;
} skald_trace;
SKALD_API SKALD_CHECK skald_err skald_bus_trace(skald_bus *bus, skald_str tenant,
                                                skald_str correlation_id, uint32_t events_max,
                                                skald_arena *arena, skald_trace *ret_trace,
                                                skald_error *reterr_error);

typedef struct skald_bus_counters {
    uint64_t published, publish_failed; // events
    uint64_t delivered, acked, retried, rejected, timed_out;
    uint64_t parked, dead, expired; // deliveries set aside; events too late for a delivery
    uint64_t transient_published;   // events; dropped: deliveries of them that had no room
    uint64_t transient_dropped;
    uint64_t notices_dropped; // system events that could not be published
} skald_bus_counters;
SKALD_API void skald_bus_counters_get(const skald_bus *bus, skald_bus_counters *ret_counters);

typedef struct skald_bus_options {
    const skald_clock *clock;
    const skald_log *log;
    const char *source;           // of events that state none: "skald"
    uint32_t threads_max;         // worker threads: 8, at most 1024
    uint32_t subscriptions_max;   // 4096, at most 1048576
    uint32_t history_events_max;  // 1000, for the history document
    uint32_t event_bytes_max;     // of one event's data: 1 MiB
    bool stepped;                 // no threads: skald_bus_run does the work
    uint64_t seed;                // of jitter; 0: random
    uint32_t schedule_events_max; // that wait for their time: 10000, at most 100000
    // Publishes what happens to subscriptions: system.error (never caused by one; of a subscription
    // and code the first at once, then at most one in 10 s with a count),
    // system.handler.lagging|recovered|faulted|stale.
    bool system_events;
} skald_bus_options;

// skald_bus_new borrows store, which must outlive it. Fails: INVALID (no store, an option beyond
// its limit), NOMEM, and what the store says when what is scheduled is read. skald_bus_stop takes
// nothing new, ends what is in flight within timeout_ms (TIMEOUT if it could not) and keeps every
// position; free may follow. timeout_ms is of handlers and reads of the store: what that is
// appending already, and the positions, are waited for however long that takes.
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
