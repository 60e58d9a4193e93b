// SPDX-License-Identifier: Apache-2.0
// bus/engine.h - the inside of the bus: its parts, what guards them, who moves what.
//
// A subscription is a cursor over the log. Those that are live are fed by the tail: each page of
// newly durable events is read once and offered to whom it concerns. One whose window is full
// leaves the tail, keeps the page it was at, and reads on for itself when there is room: it lags on
// disk, never in memory. It joins again when its cursor is not behind the tail's.
//
// Threads. The dispatcher reads the tail, keeps the timers and writes checkpoints; the reader
// fetches pages for those that lag; workers call handlers, and read both kinds of pages themselves
// while they are at something quick. A stepped bus has none: skald_bus_run does a turn of each. The
// engine lock guards everything below but what says otherwise; no handler, hook of a handler, or
// page read runs under it. Under it the store may be given a batch (never waits). The wake lock is
// a leaf: whoever holds it takes no other, so the store may call back at any time.
#ifndef SKI_BUS_ENGINE_H
#define SKI_BUS_ENGINE_H

#include "base/histogram.h"
#include "bus/aside.h"
#include "bus/bus.h"
#include "bus/checkpoint.h"
#include "bus/link.h"
#include "bus/match.h"
#include "bus/timer.h"
#include "bus/types.h"
#include "os/gate.h"

#include <stdatomic.h>

typedef struct ski_subscription ski_subscription;
typedef struct ski_delivery ski_delivery;
typedef struct ski_page_run ski_page_run;
typedef struct ski_tray ski_tray;

enum {
    SKI_SUBSCRIPTION_BITS = 20, // low bits of an id: the slot; the rest is never reused
    SKI_DELIVERY_BITS = 20,
    SKI_SUBSCRIPTIONS_MAX = 1 << SKI_SUBSCRIPTION_BITS,
    SKI_DELIVERIES_MAX = 1 << SKI_DELIVERY_BITS, // in flight in the whole bus
    SKI_CHUNK_DELIVERIES = 64,                   // made at a time, kept for reuse
    SKI_HELD_BYTES_MAX = 8 << 20,    // pages one subscription may hold, beyond which it lags
    SKI_PAGES_BYTES_MAX = 256 << 20, // pages of all; then only those holding nothing read
    SKI_KEPT_PAGES = 16,             // of the tail, and of others, while there is something to do
    SKI_NAME_BYTES_MAX = 200,
    SKI_FILTER_ITEMS_MAX = 1024, // of each list
    SKI_REASON_BYTES_MAX = 200,
    SKI_PRIORITIES = 4,
    SKI_LANES = 16,                   // of tenants that are ready, each in turn
    SKI_SCRATCH_BYTES_MAX = 64 << 20, // of a delivery: the largest event, upcast and decoded
    SKI_THREADS_LIMIT = 1024,         // threads_max
    SKI_THREADS_SPARE = 3,            // times threads_max: what may stand in for stuck ones
    SKI_CLAIMS_MAX = 128,             // deliveries a worker takes at once
    SKI_CLAIMS_QUICK = 32,            // so many tell a quick handler
    SKI_RUNS_AFTER = 64,              // calls in a row, none of which failed: then runs
    SKI_TRAY_EVENTS = 256,            // of a page, for which one tray does
    SKI_TRAY_WORDS = SKI_TRAY_EVENTS / 64,
    SKI_TRAYS_MAX = 16,      // of one subscription, then the oldest is emptied
    SKI_TRAYS_KEPT = 64,     // for reuse
    SKI_KEYS_OUT_MAX = 1024, // in flight, of keys; beyond them no run has a tray
    SKI_KEY_PLACES = 4096,   // of them and those of a run
};

// What is scheduled: hidden from all that do not name it.
#define SKI_SCHEDULED_TYPE "system.scheduled"
// Names of the bus's own.
#define SKI_INTERNAL_PREFIX "skald."

#define SKI_NS_PER_MS UINT64_C(1000000)

// A page of events, shared by all that hold a part of it.
typedef struct ski_page {
    skald_store_page store_page;
    size_t bytes; // about what it takes in memory
    bool own;     // events that were never stored, in this block
    bool mixed;   // of several priorities
    bool usual;   // none is hidden from anybody, a test, traced, or has metadata
    uint32_t refs;
    uint64_t first;        // own: the number of its first event
    struct ski_page *next; // of those to be freed
    // What ski_page_key found of each event, 0: nothing yet. Any thread. Own: there are none.
    _Atomic uint64_t keys[];
} ski_page;

// The last pages of all that the log holds behind after, for those just behind whoever had them
// read.
typedef struct ski_kept {
    struct {
        ski_page *page;
        uint64_t after;
    } pages[SKI_KEPT_PAGES];
    uint32_t next; // the oldest
} ski_kept;

// One subscription's share of a page: what it may hold is counted by these.
typedef struct ski_hold {
    ski_page *page;
    ski_subscription *subscription;
    uint32_t refs; // deliveries, and one while it is the source
} ski_hold;

// Checkpoints are written; none is begun before the last, that of stop; none any more.
enum { SKI_SAVES_OPEN, SKI_SAVES_CLOSED, SKI_SAVES_OVER };

enum { SKI_TIMER_DELIVERY, SKI_TIMER_SUBSCRIPTION, SKI_TIMER_PENDING, SKI_TIMER_ASIDE };

typedef enum ski_delivery_state {
    SKI_FREE,
    SKI_WAITING, // behind another of its key; or its subscription has ended
    SKI_READY,
    SKI_STANDS,   // in for the calls of a run
    SKI_RUNNING,  // its handler has been called
    SKI_PENDING,  // and said that the end comes later: one of those its subscription waits for
    SKI_RETRYING, // the timer is the next attempt
} ski_delivery_state;

struct ski_delivery {
    // What every delivery needs comes first: two cache lines.
    const skald_event *event;
    ski_delivery *next; // in a ready queue, among the pending, or on the free list
    ski_subscription *subscription;
    ski_hold *hold;
    ski_delivery *older, *newer; // of its subscription, by position
    skald_time expires_at;       // 0: never
    uint64_t generation;         // changes with every attempt, so that a late answer is stale
    // Of one key the oldest is the head and stands in a bucket; the others wait behind it.
    ski_delivery *key_next, *key_tail, *bucket_next;
    uint64_t key_hash;
    skald_str key;     // BY_KEY: borrowed from the event, or key_made
    uint64_t began_ns; // the attempt that is measured; 0: it is not
    uint32_t slot;
    uint32_t attempt; // of the call that runs, or ran last
    uint32_t early_delay_ms;
    uint8_t early_outcome; // with early: skald_delivery_end came before the handler returned
    bool early, keyed;
    bool exhausted; // it halted its subscription
    bool lost;      // set back while it ran: what it answers is not heard
    uint8_t state;
    char *early_reason; // may be NULL
    ski_aside *aside;   // is released; NULL: from the log
    char *key_made;     // may be NULL
    ski_tray *tray;     // whose id its attempt has; of a stand: for whose ids it stands
    uint32_t tray_index;
    skald_time failed_at;        // first; 0: not yet
    ski_delivery *pended_before; // among the pending
    ski_timer timer;             // pending: only its time
};

typedef struct ski_queue {
    ski_delivery *first, *last;
} ski_queue;

// What is ready at one priority: a queue for each tenant as long as there are lanes, then shared.
typedef struct ski_ready {
    ski_queue lanes[SKI_LANES];
    uint16_t used; // lanes that hold something
    uint8_t turn;  // the next to be asked
} ski_ready;

// When, for one code, a system.error was last published, and what happened since.
typedef struct ski_complaint {
    uint64_t at_ns;
    uint32_t count;
} ski_complaint;
enum { SKI_CODE_RETRY, SKI_CODE_REJECT, SKI_CODE_TIMEOUT, SKI_CODE_HALT, SKI_CODE_READ, SKI_CODES };

// When what it was given of some positions was acked, or one was passed over, having expired.
typedef struct ski_ack {
    uint64_t first, last;
    skald_time at;
    bool expired;
} ski_ack;
enum { SKI_ACKS = 256 };

// Counters as they stood, for rates.
typedef struct ski_sample {
    uint64_t at_ns, in, out;
} ski_sample;

struct ski_subscription {
    // Set once.
    skald_bus *bus;
    skald_arena *arena; // every text below, buckets, resume
    uint64_t id;
    skald_str name;       // not given: transient
    skald_str value_name; // of its checkpoint
    skald_str kind;
    skald_filter filter;
    skald_filter rest;   // without types, for those found by type
    bool by_type;        // it is found by type
    bool names_reserved; // what is the store's own is for it too
    skald_handler handler;
    skald_order order;
    skald_retry_policy retry;
    skald_exhausted on_exhausted;
    skald_key_fn *key;
    skald_str key_pointer;
    uint32_t workers_max, in_flight_max;
    uint32_t dead_letters_max, parked_keys_max, stale_after_s;
    uint64_t lag_events_max;
    bool durable, pull, once, takes_tests, upcasts;
    bool internal; // of the bus itself: reserved types are for it

    // Where it stands. Live: everything up to the greater of cursor and the tail was offered.
    uint64_t cursor;
    uint64_t offered; // the last of bus->offers it was part of
    bool live;
    bool at_end;         // the last page it read was the last there was
    bool reading;        // the reader is at it, without the lock
    ski_hold *source;    // the page it feeds from; not when live
    size_t source_index; // the next event in it
    bool source_resumes; // it was read for what there is to resume
    ski_hold *recent;    // the newest hold, to be found again; not counted
    size_t held_bytes;
    uint32_t read_failures; // in a row
    // Positions below cursor that a checkpoint says are not done: read one by one before going on.
    const uint64_t *resume;
    size_t resume_count, resume_index;

    // Deliveries, by position: what is not done. Of events never stored: strays.
    ski_delivery *oldest, *newest, *strays_first, *strays_last;
    uint32_t in_flight, running, pending, retrying;
    uint32_t callers;  // threads that call its handler
    uint32_t slow;     // of them, those whose call was seen to take long
    uint32_t burst;    // how many a worker takes at once: grows while its handler is quick
    uint64_t took_ns;  // how long a worker was last away with it; 0: not known
    ski_page_run *run; // under way, or NULL
    uint32_t smooth;   // calls in a row, none of which failed
    bool pends;        // its handler answers PENDING: its runs have trays
    bool blocked;      // the next event is none for a run: its key is out, or there is no memory
    ski_tray *trays_first, *trays_last; // what is out: tray.c
    uint32_t tray_count, outs;
    uint32_t dense;    // events in a row, of those it was offered, that lay close
    uint64_t dense_at; // the last of them
    bool slow_run;     // its last run was slow
    // Those that are pending, by when they time out, which is the order they came in. The timer is
    // due no later than the first.
    ski_delivery *pending_first, *pending_last;
    ski_timer pending_timer;
    ski_ready ready[SKI_PRIORITIES];
    uint32_t ready_count;
    ski_delivery **buckets; // by key; NULL: no order
    uint32_t bucket_mask;
    bool armed; // pull: tell when something becomes ready

    // Set aside.
    ski_aside **asides; // by origin
    uint32_t aside_count, aside_size, asides_unsaved;
    uint32_t parked_count, dead_count, later_count;
    ski_aside **parked_buckets; // by key; NULL: none was ever parked
    uint32_t parked_mask;
    ski_link aside_changes, aside_saving; // to be written; in the batch on its way
    ski_link releases;                    // wait for their turn to be released
    ski_link release_waits;               // have it and wait for room in the window
    uint32_t releasing;                   // of them, those that have it

    // Life. paused, draining: see life.c. resetting: until what runs has returned.
    bool paused, draining, resetting;
    uint64_t reset_to;
    uint32_t read_epoch;  // changes when a page being read is not wanted any more
    bool about_dirty;     // "about/NAME" is to be written
    bool about_saving;    // and is on its way
    uint64_t active_ns;   // the last sign of a consumer
    skald_time active_at; // the same, as last written
    bool lagging, stale;  // as reported
    bool held;            // the store was told how much of the log it needs
    uint64_t held_floor, held_read;
    bool faulted_told; // system.handler.faulted was published: recovered follows
    uint64_t taken, expired, dropped;
    ski_sample samples[2]; // the older first
    ski_complaint complaints[SKI_CODES];

    // ended: nothing starts any more; freed when nothing runs and its checkpoint is written.
    bool starting, halted, ended, forget, finished;
    uint32_t pins;   // calls into handler.ready and takes under way
    ski_timer timer; // looks again after something failed

    // Checkpoint.
    bool dirty;  // something changed since the last one
    bool saving; // one is on its way
    bool saved;  // one was written since it began
    uint64_t saved_floor;
    skald_store_batch batch;
    skald_err save_err;     // of the batch, from its done
    uint32_t save_failures; // in a row
    ski_subscription *mail_next;

    ski_link runnable, catching, dirties, notify, gone;

    uint64_t acked, retried, rejected, timed_out;
    ski_ack *acks; // the last ones, for the trace; made with the first
    uint32_t acks_next;
    char last_error[SKI_REASON_BYTES_MAX];
    skald_time last_error_at;
};

// One call of a handler: what it is given and, beside that, what it notes.
typedef struct ski_call {
    skald_delivery seen; // first: skald_retry is given its address
    ski_delivery *delivery;
    uint64_t number; // of all calls
    skald_outcome outcome;
    uint32_t delay_ms;
    const ski_aside_about *later; // set aside until then, in scratch; or NULL
    bool more;                    // its worker calls the handler again at once
    _Atomic uint8_t turn;         // claim.c
    char reason[SKI_REASON_BYTES_MAX];
} ski_call;

// A run: page_run.c.
struct ski_page_run {
    // Set when it begins.
    ski_subscription *subscription;
    ski_page *page;        // a reference of its own
    ski_delivery *stand;   // becomes the call it is broken at
    skald_filter filter;   // of the subscription, as it was
    uint64_t after;        // its cursor
    size_t from;           // the first event in page
    uint32_t slot;         // of the ids, and
    uint64_t generation;   // of the first event's
    uint64_t number;       // of the first call
    bool all;              // of the page is wanted, and plain
    bool logs;             // each call
    size_t until;          // where it ends. Its worker's
    _Atomic uint64_t turn; // where it is
    bool calls_on;         // broken at a call, which is stand now
    // What is answered later. ids are of the tray then; index counts from the first event.
    ski_tray *tray;                         // NULL: nothing is
    uint32_t room;                          // how many may be
    uint32_t given_count;                   // its worker's
    _Atomic uint64_t given[SKI_TRAY_WORDS]; // its worker's: PENDING was answered
    uint64_t back[SKI_TRAY_WORDS];          // and then ACK. Under the lock
    _Atomic uint32_t measured;              // of those given
    _Atomic uint64_t measured_ns;           // when the call of that one began; 0: none is
    uint32_t *keys, key_mask;               // of what is out; NULL: there is no order. Its worker's
    bool blocked;                           // it ends before one of them. Its worker's
};

// What was handed out by runs and is to be answered: tray.c.
struct ski_tray {
    ski_subscription *subscription;
    ski_hold *hold;          // of its page; NULL: not listed
    ski_delivery *stand;     // its slot, and a generation for each event, are the ids
    ski_tray *older, *newer; // of its subscription; newer: also of those to be reused
    uint64_t due_ns;         // when all of it times out
    uint64_t began_ns;       // of the one that is measured; 0: none is
    uint32_t measured;
    uint32_t open_count, moved_count;
    size_t from;                    // the first event, in its page
    uint64_t open[SKI_TRAY_WORDS];  // out
    uint64_t moved[SKI_TRAY_WORDS]; // a delivery now, at
    uint32_t slots[SKI_TRAY_EVENTS];
};

typedef struct ski_worker {
    skald_bus *bus;
    ski_thread thread;
    skald_arena *scratch;
    ski_call *claims; // SKI_CLAIMS_MAX of them; a run uses the first
    uint32_t claim_count;
    ski_page_run run;
    uint32_t keys[SKI_KEY_PLACES]; // of the run
    ski_subscription *busy_with;   // its handler runs
    uint64_t busy_since_ns;
    bool slow;  // is counted in slow of its subscription
    bool quick; // is counted in quick of the bus
    bool looks; // is counted in lookers of the bus
    bool kept;  // by errands
    bool reads; // a page
    // Of one that looks: until when it will have, on the kernel's clock; the head when it last did;
    // much had come by then; it waited before that.
    uint64_t look_by_ns, head_seen;
    bool dense, lingered;
    bool reported; // that it runs longer than it should
} ski_worker;

struct skald_bus {
    // Set once.
    skald_store *store;
    skald_types *types; // the names of types
    skald_schemas *schemas;
    atomic_bool has_schemas; // one was registered at some time
    const ski_kernel *kernel;
    skald_clock clock;
    const skald_log *log;
    char *source;
    uint32_t threads_max, subscriptions_max, history_events_max, event_bytes_max;
    uint32_t deliveries_max; // SKI_DELIVERIES_MAX and
    size_t pages_bytes_max;  // SKI_PAGES_BYTES_MAX and
    uint32_t runs_after;     // SKI_RUNS_AFTER; less in tests
    uint32_t trays_kept;     // SKI_TRAYS_KEPT; less in tests
    bool stepped, system_events;
    ski_tracer *tracer; // NULL: spans are not made

    // Any thread, no lock.
    _Atomic uint64_t head; // of the store, as told
    atomic_bool stirred;   // the dispatcher has something to look at
    // Workers that look at the head, and for those that lag, before they sleep: while there is one,
    // and until then, nobody is woken for that. Changed under the lock.
    _Atomic uint32_t lookers;
    _Atomic uint64_t look_by_ns; // on the kernel's clock
    _Atomic uint64_t published, publish_failed, delivered, acked, retried, rejected, timed_out;
    _Atomic uint64_t parked, dead, expired, transient_published, transient_dropped;
    _Atomic uint64_t notices_dropped;
    ski_histogram attempts; // how long they took
    ski_gate publishes;     // under way; shut when the bus is stopping

    // The wake lock.
    ski_mutex wake_lock;
    ski_cond wake;          // the dispatcher's sleep
    ski_subscription *mail; // whose checkpoint append has ended

    // The engine lock: the rest.
    ski_mutex lock;
    ski_cond work; // workers
    ski_cond read; // the reader
    ski_cond idle; // whoever waits for what runs to end

    ski_subscription **subs; // by slot; size subscriptions_max
    uint32_t sub_count;
    uint64_t serial; // of ids
    ski_match match;
    ski_timers timers;

    ski_delivery **chunks;
    uint32_t chunk_count, chunk_size;
    ski_delivery *free_deliveries;
    uint32_t free_count, reserved; // of them, for what is in trays
    ski_tray *free_trays;
    uint32_t free_tray_count;
    uint64_t generation_base; // random: ids of an earlier run are stale
    uint64_t random;          // state of the jitter's generator

    uint64_t offers;         // events offered
    uint64_t tail;           // the position up to which live subscriptions were offered everything
    uint64_t tail_epoch;     // changes when tail was set anew
    uint64_t tail_checked;   // the head at which nothing more was found
    uint64_t tail_swept;     // when checkpoints were last looked through
    uint32_t away;           // lookers that read a page just now, or wait
    bool tail_read;          // somebody is at it, and looks again
    bool lag_read;           // the same, for one that lags
    bool dozes;              // the dispatcher sleeps for long
    uint64_t start_after_ns; // no worker before that, by the kernel; 0: the last one did start
    uint32_t reserved_names; // subscriptions that name what is the store's own: then pages have it
    ski_kept tail_pages;     // that the tail read: those who lag do not take their place
    ski_kept read_pages;     // that were read for one that lags and wants all
    _Atomic uint32_t live_count; // changed under the lock; watch_head reads it without

    size_t page_bytes;
    ski_page *dead_pages;
    ski_link runnable, catching, dirties, notify, gone;
    ski_link fetching;     // records being released that wait for a page
    uint32_t aside_timers; // records that have a timer
    uint64_t *positions;   // scratch of the encoder
    size_t positions_size;
    uint32_t schedule_events_max;
    struct ski_save_values *save_values;       // scratch, made when first needed
    struct ski_notice *notices, **notices_end; // system events to be published
    uint32_t notice_count;
    uint64_t tick_ns;    // when subscriptions were last looked over
    uint64_t scanned_ns; // when those nobody runs were
    uint64_t began_ns;
    skald_arena *key_scratch; // of a key being undone

    ski_worker *workers;
    uint32_t worker_count, workers_limit, allowed, idle_workers, busy;
    uint32_t processors;
    uint32_t quick; // workers busy with quick handlers, which come back soon
    uint32_t kept;  // workers at errands; held_up: for long, when last looked at
    uint32_t held_up;
    bool called;     // a worker has been woken and has not looked yet
    uint32_t active; // deliveries running or pending, runs
    uint64_t runs;   // that have been made; for tests
    uint32_t ending; // calls of handler.end under way
    ski_thread dispatcher, reader;
    uint32_t saves; // checkpoint appends on their way
    uint8_t save_phase;
    bool closing, quit, stopped;
};

// bus.c
void ski_bus_stir(skald_bus *bus); // any thread, any lock
void ski_bus_lock(skald_bus *bus);
void ski_bus_leave(skald_bus *bus);   // errands, then unlocks
void ski_bus_errands(skald_bus *bus); // what must be called without the lock
void ski_bus_timer_set(skald_bus *bus, ski_timer *timer, uint64_t delay_ms);
void ski_bus_timer_at(skald_bus *bus, ski_timer *timer, uint64_t due_ns);
// ski_bus_timers_reserve: room in the heap when there are so many more deliveries, so many records.
skald_err ski_bus_timers_reserve(skald_bus *bus, uint32_t deliveries_more, uint32_t asides);
uint64_t ski_bus_now_ns(const skald_bus *bus);
// ski_count counts in a number that is changed under the lock, which is why it needs no addition
// that is one: others only read it.
static inline void ski_count(_Atomic uint64_t *number, uint64_t more)
{
    uint64_t counted = atomic_load_explicit(number, memory_order_relaxed);

    atomic_store_explicit(number, counted + more, memory_order_relaxed);
}
skald_time ski_bus_now(const skald_bus *bus);
// ski_bus_drop frees without stopping first: what a crash leaves. Tests; skald_bus_free after stop.
void ski_bus_drop(skald_bus *bus);

// page.c
ski_page *ski_page_new(skald_bus *bus, const skald_store_page *store_page); // one reference;
                                                                            // NULL: no memory
void ski_page_unref(skald_bus *bus, ski_page *page);
void ski_pages_free(skald_bus *bus, ski_page *dead); // without the lock
// ski_page_key is the number of the event's stream, made once for all who ask. 0: it is of none.
uint64_t ski_page_key(ski_page *page, size_t index);
ski_hold *ski_hold_get(ski_subscription *sub, ski_page *page); // one reference more;
                                                               // NULL: no memory
void ski_hold_drop(ski_hold *hold);

// delivery.c: the pool, order, what is ready
// What an event's key is: of its own, or one that others share.
typedef struct ski_key {
    skald_str key, tenant;
    uint64_t hash;
    bool shared;  // others may have it
    bool scratch; // key is in bus->key_scratch
} ski_key;
ski_key ski_key_of(ski_subscription *sub, const skald_event *event);
uint64_t ski_key_hash(const ski_subscription *sub, skald_str tenant, skald_str key);
// ski_stream_number: one that is hardly that of another stream too, and is neither 0 nor 1.
uint64_t ski_stream_number(skald_str tenant, skald_str stream);
// ski_delivery_add takes a ref of hold; aside: what is released, or NULL. False: no memory.
bool ski_delivery_add(ski_subscription *sub, ski_hold *hold, const skald_event *event,
                      const ski_key *key, ski_aside *aside);
void ski_delivery_ready(ski_delivery *delivery);
// A stand keeps the place of a delivery that is made when its handler runs already. give: so many
// generations of it were used; enter: it becomes the delivery of event, by that generation, in
// front of all of its key, of which none has begun. Its key needs no memory.
ski_delivery *ski_stand_take(ski_subscription *sub); // NULL: no memory
void ski_stand_give(ski_delivery *stand, uint64_t generations);
void ski_stand_enter(ski_delivery *stand, ski_hold *hold, const skald_event *event,
                     uint64_t generations);
ski_delivery *ski_stand_find(const skald_bus *bus, skald_delivery_id id); // or NULL
skald_delivery_id ski_stand_id(uint32_t slot, uint64_t generation);
static inline uint32_t ski_id_slot(skald_delivery_id id)
{
    return (uint32_t)id.id & (SKI_DELIVERIES_MAX - 1);
}
static inline uint64_t ski_id_generation(skald_delivery_id id)
{
    return id.id >> SKI_DELIVERY_BITS;
}
// ski_deliveries_reserve keeps so many free deliveries for trays. False: no memory.
bool ski_deliveries_reserve(skald_bus *bus, uint32_t count);
// ski_delivery_out makes the delivery, pending, of what was in a tray: one that was reserved.
ski_delivery *ski_delivery_out(ski_tray *tray, const skald_event *event);
ski_delivery *ski_delivery_at(const skald_bus *bus, uint32_t slot);
ski_delivery *ski_delivery_next(ski_subscription *sub); // out of the ready queues, best first
void ski_delivery_done(ski_delivery *delivery); // out of the window; the next of its key is ready
// ski_delivery_take_key is that for the head of a key and all behind it; each of those is told.
void ski_delivery_take_key(ski_delivery *head,
                           void (*told)(void *context, const skald_event *event), void *context);
void ski_delivery_each(ski_subscription *sub, void (*visit)(ski_delivery *delivery)); // may drop it
void ski_delivery_lose(ski_subscription *sub); // all but those running, which answer to nobody
void ski_delivery_drop_all(ski_subscription *sub);
// ski_delivery_find gives the delivery an attempt is of, NULL: stale. A run that is at it is
// broken.
ski_delivery *ski_delivery_find(skald_bus *bus, skald_delivery_id id);
skald_delivery_id ski_delivery_id(const ski_delivery *delivery);

// outcome.c: an attempt from its call to its end
void ski_delivery_run(ski_delivery *delivery, skald_handler_fn *fn, void *context,
                      skald_arena *scratch);
// ski_delivery_run in its parts. begin and end hold the lock, make does not; undo instead of make
// and end: the handler was not called. after follows one end or many of a subscription.
// ski_call_make: what was to be upcast and cannot be is an outcome without a call.
void ski_call_begin(ski_call *call, ski_delivery *delivery, void *context, skald_arena *scratch);
void ski_call_make(ski_call *call, skald_handler_fn *fn);
void ski_call_handle(ski_call *call, skald_handler_fn *fn); // the same of an attempt that has begun
void ski_call_end(ski_call *call, uint64_t now_ns);
void ski_call_undo(ski_call *call);
void ski_calls_after(ski_subscription *sub);
bool ski_calls_logged(const ski_subscription *sub); // is each to be told, as passed does?
void ski_call_passed(const ski_subscription *sub, const skald_event *event); // acked in a run
void ski_active_less(skald_bus *bus, uint32_t count);
void ski_outs_acked(ski_subscription *sub, uint32_t count); // later, in a tray
void ski_pending_enter(ski_delivery *delivery, uint64_t due_ns);
void ski_delivery_due(ski_delivery *delivery); // its timer
void ski_pending_due(ski_subscription *sub);   // its timer of those
// ski_delivery_later is returned by a handler of the bus's own: the delivery is set aside until
// about->due_at, whose texts are copied when the handler has returned.
skald_outcome ski_delivery_later(const skald_delivery *delivery, const ski_aside_about *about);
void ski_subscription_error(ski_subscription *sub, const char *text);
// ski_ack_note remembers when, for the trace; without memory it is not known.
void ski_ack_note(ski_subscription *sub, uint64_t first, uint64_t last, bool expired);

void ski_delivery_resume(ski_subscription *sub); // what halted it is tried anew

// span.c: how long things take
typedef struct ski_publish_spans ski_publish_spans; // ski_free ends them
// ski_publish_spans_begin gives sampled events the span of their publish, whose text lives in what
// is returned; NULL: there is none. roots: those that bring no trace may begin one.
ski_publish_spans *ski_publish_spans_begin(skald_bus *bus, skald_event *events, size_t count,
                                           bool roots);
void ski_publish_spans_end(skald_bus *bus, const ski_publish_spans *spans,
                           const skald_event *events, skald_err err);
bool ski_event_sampled(const skald_event *event);
// ski_attempt_measured: one that is not sampled, the how manieth of all.
static inline bool ski_attempt_measured(uint64_t number)
{
    return number % 32 == 0;
}
void ski_attempt_begins(ski_delivery *delivery, const skald_event *event,
                        uint64_t number);                          // the how manieth of all
void ski_attempt_ends(ski_delivery *delivery, const char *failed); // NULL: acked
void ski_attempt_passed(ski_delivery *stand);         // acked in a run, where nothing is sampled
void ski_measured(skald_bus *bus, uint64_t began_ns); // an attempt that was acked in a tray
// ski_delivery_trace makes cause, a copy of the delivery's event, be of the delivery's span.
void ski_delivery_trace(const skald_delivery *delivery, skald_event *cause,
                        char text[SKI_TRACE_TEXT + 1]);

// park.c: set aside and released
// ski_park gives a delivery no attempt will help its record, which takes it out of the window.
// Fails: FULL (a limit of the subscription), NOMEM and UNAVAILABLE (later).
skald_err ski_park(ski_delivery *delivery, const char *reason, skald_error *reterr_error);
bool ski_parked_keeps(ski_subscription *sub, const skald_event *event, const ski_key *key);
void ski_release(ski_aside *aside);          // its turn will come
void ski_release_skip(ski_aside *aside);     // behind its event
void ski_release_answered(ski_aside *aside); // its delivery has left the window: it was acked
void ski_releases_feed(ski_subscription *sub);
void ski_releases_stop(ski_subscription *sub); // they begin again from their records
void ski_releases_begin(ski_subscription *sub);
bool ski_release_step(skald_bus *bus); // one page for one of them
void ski_aside_due(ski_aside *aside);  // its timer
skald_err ski_later(ski_delivery *delivery, const ski_aside_about *about);

// key.c
skald_time ski_expiry(const skald_event *event); // from its metadata; 0: never
skald_err ski_key_pointer_check(skald_str pointer, skald_error *reterr_error);

// life.c
void ski_life_look(ski_subscription *sub);     // drained? set back?
bool ski_held(const ski_subscription *sub);    // nothing is taken in
bool ski_stopped(const ski_subscription *sub); // nothing starts

// schedule.c: later, and until when
// ski_expiry_put writes until when into the events' metadata, whose texts are then in buf;
// ski_schedule_wrap makes of each event the system.scheduled that is stored now: buf begins with
// that array. Fails: INVALID, TOOBIG, FULL, NOMEM.
skald_err ski_expiry_put(skald_event *events, size_t count, skald_time at, skald_buf *buf,
                         skald_error *reterr_error) SKALD_CHECK;
skald_err ski_schedule_wrap(skald_bus *bus, const skald_event *events, size_t count, skald_time at,
                            skald_buf *buf, skald_error *reterr_error) SKALD_CHECK;
skald_err ski_schedule_begin(skald_bus *bus, bool known_only) SKALD_CHECK;
skald_outcome ski_schedule_take(const skald_delivery *delivery);

// ephemeral.c: events that are not kept
void ski_ephemeral_offer(skald_bus *bus, const skald_event *events, size_t count);

// notice.c: system events
typedef enum ski_notice_kind {
    SKI_NOTICE_ERROR,
    SKI_NOTICE_LAGGING,
    SKI_NOTICE_RECOVERED,
    SKI_NOTICE_FAULTED,
    SKI_NOTICE_STALE,
} ski_notice_kind;
void ski_notice(skald_bus *bus, ski_notice_kind kind, skald_str subscription, const char *code,
                const char *text, uint64_t number);
void ski_complain(ski_subscription *sub, int code, const char *text, const skald_event *about);
void ski_complaints_tell(ski_subscription *sub); // what was held back and may be told now
bool ski_notice_publish(skald_bus *bus);         // one; with the lock, which it leaves meanwhile
void ski_notices_drop(skald_bus *bus);
skald_err ski_audit(skald_bus *bus, const char *deed, skald_str subscription, const skald_actor *by,
                    const char *members, skald_error *reterr_error);

// registry.c
void ski_registry_tick(skald_bus *bus);
void ski_hold_tell(ski_subscription *sub); // how much of the log it still needs
void ski_active(ski_subscription *sub);    // a sign of its consumer
skald_err ski_about_name(skald_str subscription, skald_buf *buf) SKALD_CHECK;
skald_err ski_about_encode(ski_subscription *sub, skald_buf *buf) SKALD_CHECK;
skald_err ski_about_load(ski_subscription *sub, skald_error *reterr_error) SKALD_CHECK;

// feed.c: from pages into the window
bool ski_window_open(const ski_subscription *sub);
uint64_t ski_subscription_cursor(const ski_subscription *sub);
uint64_t ski_subscription_floor(const ski_subscription *sub);
void ski_feed(ski_subscription *sub);
typedef void ski_offer_fn(ski_subscription *sub, ski_page *page, size_t index);
// ski_offer_each offers an event of a page to each it may concern, once.
void ski_offer_each(skald_bus *bus, ski_page *page, size_t index, ski_offer_fn *offer);
void ski_offer(ski_subscription *sub, ski_page *page, size_t index);
void ski_live_leave(ski_subscription *sub);
void ski_source_set(ski_subscription *sub, ski_page *page, size_t index, bool end);

// tail.c
skald_filter ski_filter_all(void); // lets through everything, what is the store's own too
// ski_reserved_named: sub, if it names what is the store's own, begins or ends. With the lock.
void ski_reserved_named(ski_subscription *sub, bool named);
bool ski_tail_wanted(const skald_bus *bus); // is there something to read of it?
// ski_tail_step reads one page; worker: whose it is, or NULL. False: nothing to do, or somebody
// else is at it, who looks again.
bool ski_tail_step(skald_bus *bus, ski_worker *worker);
ski_page *ski_kept_at(const ski_kept *kept, uint64_t cursor); // one to go on with, or NULL
ski_page *ski_page_at(const skald_bus *bus, uint64_t cursor); // the same, of both
void ski_kept_drop(skald_bus *bus);
bool ski_catch_up_step(skald_bus *bus, ski_worker *worker); // the same, for one that lags

// save.c
enum { SKI_SAVE_VALUES_MAX = 2048 };
void ski_save_mark(ski_subscription *sub);
void ski_save_passed(ski_subscription *sub); // perhaps: only when it has come far
void ski_save_sweep(skald_bus *bus);
skald_err ski_save_submit(ski_subscription *sub);
void ski_save_run(skald_bus *bus);
void ski_save_collect(skald_bus *bus);
skald_err ski_save_final(skald_bus *bus); // everything, durably. Waits
void ski_save_fini(skald_bus *bus);
// ski_values_commit writes values at once and waits. Without the engine lock.
skald_err ski_values_commit(skald_bus *bus, const skald_store_value *values, size_t count)
    SKALD_CHECK;

// settings.c
skald_err ski_options_check(const skald_subscription_options *options, skald_error *reterr_error)
    SKALD_CHECK;
ski_subscription *ski_subscription_new(skald_bus *bus, const skald_subscription_options *options);

// subscription.c
ski_subscription *ski_name_find(const skald_bus *bus, skald_str name);
// ski_place_time: what lies before the first event recorded at or after time. Reads.
skald_err ski_place_time(skald_store *store, skald_time time, uint64_t *ret_after,
                         skald_error *reterr_error) SKALD_CHECK;
void ski_rings_leave(ski_subscription *sub);
void ski_subscriptions_end(skald_bus *bus);
void ski_subscription_end(ski_subscription *sub, bool forget);
void ski_subscription_look(ski_subscription *sub); // ended and nothing left
                                                   // to wait for? then it goes
void ski_subscription_halt(ski_subscription *sub, const char *text);
void ski_subscription_free(ski_subscription *sub);
ski_subscription *ski_subscription_find(skald_bus *bus, uint64_t id); // running, or NULL

// claim.c: some at once
void ski_claims_run(ski_worker *worker, ski_delivery *first); // with the lock, which it leaves
// ski_claims_return: those not begun are ready again, those done are ended; sub NULL: of all. True:
// some were ended, and ski_calls_after or an end of the subscription is to follow.
bool ski_claims_return(skald_bus *bus, ski_subscription *sub);
void ski_worker_returns(ski_worker *worker, ski_subscription *sub); // from its handler

// page_run.c: a page at once
bool ski_page_run_may(const ski_subscription *sub);   // what it feeds from may
                                                      // be handled in a run now
bool ski_page_run_waits(const ski_subscription *sub); // and is to wait for that, or for the run
// ski_page_run_takes: of a live one: it is to take the rest of the page, from an event it wants,
// for a run.
bool ski_page_run_takes(ski_subscription *sub, const ski_page *page, size_t index);
// ski_page_run_make gives how many calls it made, calls_max at most. With the lock, which it
// leaves.
uint32_t ski_page_run_make(ski_worker *worker, ski_subscription *sub, uint32_t calls_max);
bool ski_page_run_break(ski_page_run *run); // true: a call goes on,
                                            // as the delivery that was its stand
ski_delivery *ski_page_run_find(ski_delivery *stand, uint64_t generation); // NULL: stale

// ski_page_run_acks: an ACK for what its run has given, or is about to. False: it has not. gave:
// has it, and is no answer there yet?
bool ski_page_run_acks(ski_page_run *run, uint32_t index);
bool ski_page_run_gave(const ski_page_run *run, uint32_t index);

// tray.c: what is out
ski_tray *ski_tray_new(ski_subscription *sub, uint32_t room); // for one run. NULL: no memory
// ski_tray_list takes over what is open of a run that is over, and is gone if that is nothing.
void ski_tray_list(ski_tray *tray, const uint64_t *open, uint32_t room);
void ski_tray_moves(ski_tray *tray, uint32_t index, ski_delivery *delivery); // has its id now
void ski_tray_forget(ski_delivery *delivery); // the attempt that has the id of a tray is over
// ski_tray_acks gives how many of ids, from the first on, were out in the tray of stand.
size_t ski_tray_acks(ski_delivery *stand, const skald_delivery_id *ids, size_t count);
// ski_tray_find gives the delivery that it is from now on, NULL: stale.
ski_delivery *ski_tray_find(ski_delivery *stand, uint64_t generation);
void ski_trays_empty(ski_subscription *sub);                // into deliveries
void ski_trays_due(ski_subscription *sub, uint64_t now_ns); // the same, of those whose time is over
void ski_trays_few(ski_subscription *sub);                  // until there may be one more
void ski_trays_each(const ski_subscription *sub,
                    void (*told)(void *context, ski_page *page, size_t index), void *context);
bool ski_trays_have(const ski_subscription *sub, uint64_t position);
uint64_t ski_trays_oldest(const ski_subscription *sub); // position; UINT64_MAX: none
void ski_trays_fini(skald_bus *bus);

// dispatch.c
void ski_runnable_look(ski_subscription *sub); // has something changed that lets it run?
// ski_runnable_next gives whose turn it is, or NULL, and its delivery; no delivery: it runs a page.
ski_subscription *ski_runnable_next(skald_bus *bus, ski_delivery **ret_delivery);
bool ski_bus_turn(skald_bus *bus); // timers, tail, checkpoints: true: there may be more
void ski_bus_sleep(skald_bus *bus, uint64_t due_ns, uint32_t most_ms);
void ski_worker_quick(ski_worker *worker, bool quick); // is it?
// ski_looked_after: a worker looks in a moment at the head, and for those that lag. Any thread.
bool ski_looked_after(const skald_bus *bus);
skald_err ski_threads_start(skald_bus *bus);
void ski_threads_join(skald_bus *bus); // waits for handlers that still run

#endif
