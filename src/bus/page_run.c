// SPDX-License-Identifier: Apache-2.0
// Runs: a page handled by one thread, event after event, without a delivery of each.
//
// Most events are acked at once, and what that costs is to be the call of their handler. So a
// subscription whose handler is quick and answers ACK, or later (tray.c), hands a worker the page
// it feeds from. The worker calls the handler for what is wanted of it, in the order of
// the log, and moves turn on: that is all an ack is. The cursor stays where the run began until it
// is over, so a checkpoint written meanwhile brings all of it again: at least once.
//
// Whatever else happens breaks the run: another answer, one from elsewhere before the handler has
// returned (of a run with a tray an ACK does not), a call that takes long, a subscription that is
// paused, set back, drained, halted or ended, a bus that stops. What is behind turn is done then,
// the call under way becomes a delivery that runs as any other, and the rest is fed as if there had
// been no run. Nobody else knows runs.
//
// Invariants:
//   1. turn says how many calls are done, at which event of the page it is, and if a call of that
//      one is under way. Its worker moves it on by compare and swap, without the lock; whoever
//      holds the lock sets BROKEN, once; then it never moves again.
//   2. run of a subscription is set: its source is the page, nothing but the run's worker calls its
//      handler (runnable), what comes into the window meanwhile waits, and it is not live.
//   3. A run begins with nothing in flight but what is pending, and stops while there is room for
//      the call that it is broken at, which goes before all of its key that has come in meanwhile.
//   4. The ids of its calls are those of stand, a delivery taken before the first: its slot, and a
//      generation for each event of the page. The call the run is broken at becomes stand itself.
//   5. Events that have something of their own to be seen to (they expire, they are traced, their
//      key is to be unescaped) are not plain, and a page with events of several priorities is
//      mixed: those are not handled in runs.
#include "bus/engine.h"

#include "event/filter.h"

#include <assert.h>
#include <string.h>

enum {
    CALLING = 1,
    BROKEN = 2,
    EARLY = 4, // the call that goes on was acked already
    index_shift = 3,
    calls_shift = 32,
    calls_most = 512,   // of a run: then others have their turn
    events_most = 4096, // looked at, of those that are not wanted too
    least = 16,         // events left of a page that the tail offers, that make it worth one
    dense_least = 8,    // of its events in a row hardly apart
    apart_most = 4,
    alone_ns = 1000, // a handler that takes longer gains by several workers, if it may have them
    quick_ns = 4000, // a call, on average
};

static uint64_t turn_of(size_t index, uint32_t calls, unsigned flags)
{
    return (uint64_t)calls << calls_shift | (uint64_t)index << index_shift | flags;
}

static size_t turn_index(uint64_t turn)
{
    return (uint32_t)turn >> index_shift;
}

static uint32_t turn_calls(uint64_t turn)
{
    return (uint32_t)(turn >> calls_shift);
}

// plain: invariant 5.
static bool plain(const ski_subscription *sub, const skald_event *event)
{
    if (event->metadata.len && ski_expiry(event)) return false;
    if (sub->bus->tracer && ski_event_sampled(event)) return false;
    return !sub->key_pointer.len || !event->data.len ||
           !memchr(event->data.ptr, '\\', event->data.len);
}

// smooth: everything it is given is acked quickly, and it waits for nothing.
static bool smooth(const ski_subscription *sub)
{
    if (sub->smooth < sub->bus->runs_after || sub->pull || sub->once || sub->internal) return false;
    if (!sub->bus->stepped && sub->burst < SKI_CLAIMS_QUICK) return false;
    if (sub->pending && !sub->pends) return false;
    if (sub->pends && sub->buckets && sub->in_flight > SKI_KEYS_OUT_MAX) return false;
    return !sub->retrying && !sub->slow && !sub->parked_count && !sub->source_resumes &&
           !ski_held(sub);
}

// source_runs: what is next in its page may be handled in a run.
static bool source_runs(const ski_subscription *sub)
{
    const ski_page *page = sub->source ? sub->source->page : NULL;

    return page && !page->mixed && sub->source_index < page->store_page.count &&
           plain(sub, &page->store_page.events[sub->source_index]);
}

// idle: nothing is to be called, and what waits for its end does not matter.
static bool idle(const ski_subscription *sub)
{
    return !sub->in_flight || (sub->pends && !sub->ready_count && !sub->running);
}

bool ski_page_run_may(const ski_subscription *sub)
{
    return !sub->run && idle(sub) && !sub->blocked && ski_window_open(sub) && smooth(sub) &&
           source_runs(sub);
}

bool ski_page_run_waits(const ski_subscription *sub)
{
    if (sub->run) return true;
    if (!smooth(sub) || !sub->source || sub->source->page->mixed) return false;
    if (idle(sub)) return !sub->blocked && source_runs(sub);
    // Of what comes from elsewhere, events that are never stored, there may be no end.
    return sub->oldest && !sub->strays_first;
}

bool ski_page_run_takes(ski_subscription *sub, const ski_page *page, size_t index)
{
    uint64_t position = page->store_page.events[index].position;

    sub->dense = position - sub->dense_at <= apart_most ? sub->dense + 1 : 0;
    sub->dense_at = position;
    return sub->dense >= dense_least && page->store_page.count - index >= least && !page->mixed &&
           smooth(sub);
}

// Breaking it: with the lock.

// run_open gives what was given and is not back, before index.
static uint32_t run_open(const ski_page_run *run, size_t index, uint64_t ret_open[SKI_TRAY_WORDS])
{
    size_t end = index - run->from;
    uint32_t count = 0;

    for (size_t i = 0; i < SKI_TRAY_WORDS; i++) {
        uint64_t given = atomic_load_explicit(&run->given[i], memory_order_relaxed);

        if (end < i * 64 + 64) given &= end > i * 64 ? (UINT64_C(1) << end % 64) - 1 : 0;
        ret_open[i] = given & ~run->back[i];
        count += (uint32_t)__builtin_popcountll(ret_open[i]);
    }
    return count;
}

static bool gave_any(const ski_page_run *run)
{
    uint64_t given = 0;

    for (size_t i = 0; i < SKI_TRAY_WORDS; i++)
        given |= atomic_load_explicit(&run->given[i], memory_order_relaxed);
    return given != 0;
}

static void run_account(ski_page_run *run, size_t index, uint32_t calls, uint32_t open)
{
    ski_subscription *sub = run->subscription;
    const skald_event *events = run->page->store_page.events;

    sub->source_index = index;
    if (index > run->from && events[index - 1].position > sub->cursor)
        sub->cursor = events[index - 1].position;
    if (sub->cursor > sub->dense_at) sub->dense_at = sub->cursor;
    if (calls * apart_most < index - run->from) sub->dense = 0;
    if (!calls) return;
    ski_count(&sub->bus->acked, calls - open);
    sub->acked += calls - open;
    sub->taken += calls;
    if (calls > open) ski_ack_note(sub, run->after + 1, events[index - 1].position, false);
    ski_save_mark(sub);
}

// call_enter makes the call under way a delivery, by the id that it has.
static void call_enter(ski_page_run *run, size_t index, bool early)
{
    ski_subscription *sub = run->subscription;
    const skald_event *event = &run->page->store_page.events[index];

    sub->source_index++;
    sub->cursor = event->position;
    ski_stand_enter(run->stand, sub->source, event, run->tray ? 0 : index - run->from);
    if (run->tray) ski_tray_moves(run->tray, (uint32_t)(index - run->from), run->stand);
    run->stand->early = early;
    run->stand->early_outcome = SKALD_ACK;
}

bool ski_page_run_break(ski_page_run *run)
{
    uint64_t turn = atomic_fetch_or_explicit(&run->turn, BROKEN, memory_order_acq_rel);
    size_t index = turn_index(turn);
    uint32_t calls = turn_calls(turn);
    ski_subscription *sub = run->subscription;
    uint64_t open[SKI_TRAY_WORDS];
    uint32_t out = run_open(run, index, open);

    sub->run = NULL;
    run_account(run, index, calls, out);
    ski_count(&sub->bus->delivered, calls + (turn & CALLING));
    sub->bus->runs++;
    run->calls_on = turn & CALLING;
    if (run->calls_on) call_enter(run, index, turn & EARLY);
    if (run->tray) {
        run->tray->from = run->from;
        run->tray->measured = atomic_load_explicit(&run->measured, memory_order_relaxed);
        run->tray->began_ns = atomic_load_explicit(&run->measured_ns, memory_order_relaxed);
        if (!out && calls && !sub->in_flight && !gave_any(run)) sub->pends = false;
        ski_tray_list(run->tray, open, run->room);
    }
    if (run->calls_on) return true;
    sub->running--;
    ski_active_less(sub->bus, 1);
    ski_stand_give(run->stand, run->tray ? 0 : index - run->from);
    return false;
}

ski_delivery *ski_page_run_find(ski_delivery *stand, uint64_t generation)
{
    ski_page_run *run = stand->subscription->run;
    uint64_t turn = atomic_load_explicit(&run->turn, memory_order_relaxed);

    // An answer to a call that is over or has not begun, of which nobody was told, is refused.
    if (run->tray) return NULL;
    if (!(turn & CALLING) || generation != stand->generation + turn_index(turn) - run->from)
        return NULL;
    bool calls_on = ski_page_run_break(run);

    return calls_on && stand->generation == generation ? stand : NULL;
}

static bool run_open_at(const ski_page_run *run, uint32_t index)
{
    uint64_t given = atomic_load_explicit(&run->given[index / 64], memory_order_relaxed);

    return (given & ~run->back[index / 64]) >> index % 64 & 1;
}

bool ski_page_run_acks(ski_page_run *run, uint32_t index)
{
    uint64_t turn = atomic_load_explicit(&run->turn, memory_order_acquire);
    size_t at = run->from + index;

    while (at >= turn_index(turn)) {
        if (at > turn_index(turn) || !(turn & CALLING) || turn & EARLY) return false;
        if (atomic_compare_exchange_weak_explicit(&run->turn, &turn, turn | EARLY,
                                                  memory_order_acq_rel, memory_order_acquire))
            return true;
    }
    if (!run_open_at(run, index)) return false;
    run->back[index / 64] |= UINT64_C(1) << index % 64;
    uint64_t began_ns = atomic_load_explicit(&run->measured_ns, memory_order_relaxed);

    if (began_ns && atomic_load_explicit(&run->measured, memory_order_relaxed) == index)
        ski_measured(run->subscription->bus, began_ns);
    if (run->logs) ski_call_passed(run->subscription, &run->page->store_page.events[at]);
    return true;
}

bool ski_page_run_gave(const ski_page_run *run, uint32_t index)
{
    uint64_t turn = atomic_load_explicit(&run->turn, memory_order_acquire);
    size_t at = run->from + index;

    if (at == turn_index(turn)) return turn & CALLING && !(turn & EARLY);
    return at < turn_index(turn) && run_open_at(run, index);
}

// Keys that are out, by the numbers of their streams.

static uint64_t key_number(const ski_page_run *run, size_t index)
{
    return run->keys ? ski_page_key(run->page, index) : 0;
}

// key_place gives where key is among them, or would be.
static uint32_t *key_place(const ski_page_run *run, uint64_t key)
{
    uint32_t place = (uint32_t)key & run->key_mask;

    while (run->keys[place] && run->keys[place] != (uint32_t)(key >> 32))
        place = (place + 1) & run->key_mask;
    return &run->keys[place];
}

static void key_goes_out(const ski_page_run *run, uint64_t key)
{
    if (key) *key_place(run, key) = (uint32_t)(key >> 32);
}

static bool key_is_out(const ski_page_run *run, uint64_t key)
{
    return key && *key_place(run, key);
}

static void out_of_page(void *context, ski_page *page, size_t index)
{
    key_goes_out(context, ski_page_key(page, index));
}

static void event_goes_out(const ski_page_run *run, const skald_event *event)
{
    if (event->stream.len) key_goes_out(run, ski_stream_number(event->tenant, event->stream));
}

static void keys_find(ski_page_run *run, uint32_t *keys)
{
    ski_subscription *sub = run->subscription;
    uint32_t size = 64;

    if (!sub->buckets) return;
    assert(sub->order == SKALD_BY_STREAM); // as of all with trays that have an order
    // Those that are acked before the return stay in, and do not count as given.
    while (size < 2 * (sub->in_flight + SKI_TRAY_EVENTS)) size *= 2;
    assert(size <= SKI_KEY_PLACES); // and half of them stay free, so every search ends
    run->keys = memset(keys, 0, size * sizeof(*keys));
    run->key_mask = size - 1;
    ski_trays_each(sub, out_of_page, run);
    for (const ski_delivery *open = sub->oldest; open; open = open->newer)
        event_goes_out(run, open->event);
    for (const ski_delivery *open = sub->strays_first; open; open = open->newer)
        event_goes_out(run, open->event);
    for (uint32_t i = 0; i < sub->aside_count; i++)
        if (sub->asides[i]->delivery) event_goes_out(run, sub->asides[i]->delivery->event);
}

// Making it.

// wants_all: there is nothing to look at, event by event, from the next one on.
static bool wants_all(const ski_subscription *sub)
{
    const ski_page *page = sub->source->page;

    return page->usual && !sub->key_pointer.len && !sub->filter.tenant.ptr &&
           ski_filter_is_open(&sub->filter) &&
           page->store_page.events[sub->source_index].position > sub->cursor;
}

static bool run_begin(ski_worker *worker, ski_subscription *sub)
{
    ski_page_run *run = &worker->run;
    uint32_t room = sub->in_flight_max - sub->in_flight;
    ski_delivery *stand = ski_stand_take(sub);
    ski_tray *tray = NULL;

    if (!stand) return false;
    if (room > SKI_TRAY_EVENTS) room = SKI_TRAY_EVENTS;
    if (sub->pends) {
        ski_trays_few(sub);
        tray = ski_tray_new(sub, room);
    }
    if (sub->pends && !tray) {
        ski_stand_give(stand, 0);
        return false;
    }
    size_t left = sub->source->page->store_page.count - sub->source_index;
    size_t most = tray ? SKI_TRAY_EVENTS : events_most;

    *run = (ski_page_run){
        .subscription = sub,
        .page = sub->source->page,
        .stand = stand,
        .filter = sub->filter,
        .after = sub->cursor,
        .from = sub->source_index,
        .until = sub->source_index + (left < most ? left : most),
        .slot = (tray ? tray->stand : stand)->slot,
        .generation = (tray ? tray->stand : stand)->generation,
        .tray = tray,
        .room = room,
        .number = atomic_load_explicit(&sub->bus->delivered, memory_order_relaxed),
        .all = wants_all(sub),
        .logs = ski_calls_logged(sub),
    };
    atomic_init(&run->turn, turn_of(run->from, 0, 0));
    if (tray) keys_find(run, worker->keys);
    run->page->refs++;
    sub->run = run;
    sub->running++;
    sub->bus->active++;
    return true;
}

// run_seek gives the next event that is wanted, or until. Without the lock: what it looks at stays.
static size_t run_seek(ski_page_run *run, size_t index)
{
    const ski_subscription *sub = run->subscription;

    if (run->all) return index;
    for (; index < run->until; index++) {
        const skald_event *event = &run->page->store_page.events[index];

        if (event->position <= run->after || (event->test && !sub->takes_tests)) continue;
        if (ski_event_hidden(&run->filter, event)) continue;
        if (!skald_filter_matches(&run->filter, event)) continue;
        if (!plain(sub, event)) run->until = index;
        break;
    }
    return index;
}

static void run_call(ski_page_run *run, ski_call *call, size_t index, uint32_t calls)
{
    ski_subscription *sub = run->subscription;
    const skald_event *event = &run->page->store_page.events[index];

    call->seen.event = event;
    // Broken and reset meanwhile its tray may be gone, which is why the slot is the run's own.
    call->seen.id = ski_stand_id(run->slot, run->generation + index - run->from);
    call->number = run->number + calls;
    call->delay_ms = 0;
    call->reason[0] = 0;
    if (ski_attempt_measured(call->number)) // it is plain, so it is not sampled
        ski_attempt_begins(run->stand, event, call->number);
    else
        run->stand->began_ns = 0;
    ski_call_handle(call, sub->handler.fn);
    if (run->stand->began_ns && call->outcome == SKALD_ACK) ski_attempt_passed(run->stand);
}

// run_gives: the call of index ends later.
static void run_gives(ski_page_run *run, size_t index, uint64_t key)
{
    size_t at = index - run->from;
    uint64_t given = atomic_load_explicit(&run->given[at / 64], memory_order_relaxed);

    if (run->stand->began_ns && !atomic_load_explicit(&run->measured_ns, memory_order_relaxed)) {
        atomic_store_explicit(&run->measured, (uint32_t)at, memory_order_relaxed);
        atomic_store_explicit(&run->measured_ns, run->stand->began_ns, memory_order_relaxed);
    }
    atomic_store_explicit(&run->given[at / 64], given | UINT64_C(1) << at % 64,
                          memory_order_relaxed);
    run->given_count++;
    key_goes_out(run, key);
}

// early_passed: what was given at is acked already, and its turn over. Broken before that, it is
// the delivery that ends so.
static void early_passed(ski_page_run *run, size_t at)
{
    skald_bus *bus = run->subscription->bus;
    uint64_t began_ns = atomic_load_explicit(&run->measured_ns, memory_order_relaxed);

    run->given_count--;
    ski_call_passed(run->subscription, &run->page->store_page.events[run->from + at]);
    if (!began_ns || atomic_load_explicit(&run->measured, memory_order_relaxed) != at) return;
    ski_measured(bus, began_ns);
    atomic_store_explicit(&run->measured_ns, 0, memory_order_relaxed);
}

// turn_moves: false: it is broken. What was acked before the handler returned is not given.
static bool turn_moves(ski_page_run *run, uint64_t *turn, uint64_t to)
{
    uint64_t was = *turn;
    bool moved = atomic_compare_exchange_strong_explicit(&run->turn, &was, to, memory_order_acq_rel,
                                                         memory_order_acquire);

    if (!moved && was == (*turn | EARLY)) {
        size_t at = turn_index(was) - run->from;
        uint64_t bit = UINT64_C(1) << at % 64;
        uint64_t given = atomic_load_explicit(&run->given[at / 64], memory_order_relaxed);

        atomic_store_explicit(&run->given[at / 64], given & ~bit, memory_order_relaxed);
        moved = atomic_compare_exchange_strong_explicit(&run->turn, &was, to, memory_order_acq_rel,
                                                        memory_order_acquire);
        if (moved && given & bit) early_passed(run, at);
    }
    *turn = to;
    return moved;
}

// run_stops before index, when there is no room or its key is out.
static void run_stops(ski_page_run *run, size_t index, uint64_t key)
{
    if (!run->tray || index >= run->until) return;
    run->blocked = key_is_out(run, key);
    if (run->blocked || run->given_count == run->room) run->until = index;
}

// may_more: the next one is called whatever is answered now.
static bool may_more(const ski_page_run *run, uint64_t key, uint64_t next_key)
{
    return run->given_count + 1 < run->room && (!key || key != next_key) &&
           !key_is_out(run, next_key);
}

// run_calls handles the page until it is through, or broken, or something else than ACK is
// answered. Without the lock. A call has passed when turn has: else it ends as a delivery does.
static void run_calls(ski_page_run *run, ski_call *call, uint32_t calls_max)
{
    const skald_event *acked = NULL; // by the call before
    uint64_t turn = turn_of(run->from, 0, 0);
    size_t index = run_seek(run, run->from);
    uint64_t key = index < run->until ? key_number(run, index) : 0;
    uint32_t calls = 0;

    run_stops(run, index, key);
    for (;;) {
        bool more = index < run->until;

        if (!turn_moves(run, &turn, turn_of(index, calls, more ? CALLING : 0))) return;
        if (acked && run->logs) ski_call_passed(run->subscription, acked);
        if (!more) return;
        if (calls + 1 == calls_max) run->until = index + 1;
        size_t next = run_seek(run, index + 1);
        uint64_t next_key = next < run->until ? key_number(run, next) : 0;

        call->more = next < run->until && (!run->tray || may_more(run, key, next_key));
        if (calls) skald_arena_reset(call->seen.scratch);
        run_call(run, call, index, calls++);
        bool gives = call->outcome == SKALD_PENDING && run->tray;

        if (gives)
            run_gives(run, index, key);
        else if (call->outcome != SKALD_ACK)
            return;
        acked = gives ? NULL : &run->page->store_page.events[index];
        run_stops(run, next, next_key);
        index = next;
        key = next_key;
    }
}

// run_pace: one that turns out slow once may have been kept waiting by others; twice it is slow.
static void run_pace(ski_subscription *sub, uint32_t calls, uint64_t took_ns)
{
    uint64_t most_ns = sub->workers_max > 1 ? alone_ns : quick_ns;
    bool slow = took_ns > calls * most_ns && took_ns > quick_ns;

    if (slow && sub->slow_run) {
        sub->smooth = 0;
        sub->burst = 1;
    }
    sub->slow_run = slow;
}

uint32_t ski_page_run_make(ski_worker *worker, ski_subscription *sub, uint32_t calls_max)
{
    skald_bus *bus = worker->bus;
    ski_page_run *run = &worker->run;
    ski_call *call = &worker->claims[0];

    if (!run_begin(worker, sub)) { // no memory now: the usual way knows when to try again
        sub->smooth = 0;
        sub->blocked = true;
        ski_feed(sub);
        return 0;
    }
    call->seen = (skald_delivery){
        .context = sub->handler.context, .bus = bus, .scratch = worker->scratch, .attempt = 1};
    call->delivery = run->stand;
    call->later = NULL;
    sub->callers++;
    uint64_t began_ns = ski_bus_now_ns(bus);

    ski_mutex_unlock(&bus->lock);
    run_calls(run, call, calls_max < calls_most ? calls_max : calls_most);
    uint64_t now_ns = ski_bus_now_ns(bus), took_ns = now_ns - began_ns;

    ski_mutex_lock(&bus->lock);
    if (sub->run == run) {
        (void)ski_page_run_break(run);
        sub->blocked = run->blocked;
        if (run->blocked) sub->smooth = 0;
    }
    uint32_t calls = turn_calls(atomic_load(&run->turn)) + run->calls_on;

    ski_worker_returns(worker, sub);
    run_pace(sub, calls, took_ns);
    sub->took_ns = took_ns + 1;
    if (run->calls_on) ski_call_end(call, now_ns);
    ski_page_unref(bus, run->page);
    run->page = NULL;
    ski_calls_after(sub);
    skald_arena_reset(worker->scratch);
    return calls;
}
