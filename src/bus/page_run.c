// SPDX-License-Identifier: Apache-2.0
// Runs: a page handled by one thread, event after event, without a delivery of each.
//
// Most events are acked at once, and what that costs is to be the call of their handler. So a
// subscription whose handler is quick and answers ACK, and which holds nothing open, hands a worker
// the page it feeds from. The worker calls the handler for what is wanted of it, in the order of
// the log, and moves turn on: that is all an ack is. The cursor stays where the run began until it
// is over, so a checkpoint written meanwhile brings all of it again: at least once.
//
// Whatever else happens breaks the run: another answer than ACK, one that comes before the handler
// has returned, a call that takes long, a subscription that is paused, set back, drained, halted or
// ended, a bus that stops. What is behind turn is done then, the call under way becomes a delivery
// that runs as any other, and the rest is fed as if there had been no run. Nobody else knows runs.
//
// Invariants:
//   1. turn says how many calls are done, at which event of the page it is, and if a call of that
//      one is under way. Its worker moves it on by compare and swap, without the lock; whoever
//      holds the lock sets BROKEN, once; then it never moves again.
//   2. run of a subscription is set: its source is the page, nothing but the run's worker calls its
//      handler (runnable), what comes into the window meanwhile waits, and it is not live.
//   3. A run begins with nothing in flight, so in a window of any size there is room for the call
//      that it is broken at, which goes before all of its key that has come in meanwhile.
//   4. The ids of its calls are those of stand, a delivery taken before the first: its slot, and a
//      generation for each event of the page. The call the run is broken at becomes stand itself.
//   5. Events that have something of their own to be seen to (they expire, they are traced, their
//      key is to be unescaped) are not plain, and a page with events of several priorities is
//      mixed: those are not handled in runs.
#include "bus/engine.h"

#include <string.h>

enum {
    CALLING = 1,
    BROKEN = 2,
    index_shift = 2,
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
    return !sub->retrying && !sub->pending && !sub->slow && !sub->parked_count &&
           !sub->source_resumes && !ski_held(sub);
}

// source_runs: what is next in its page may be handled in a run.
static bool source_runs(const ski_subscription *sub)
{
    const ski_page *page = sub->source ? sub->source->page : NULL;

    return page && !page->mixed && sub->source_index < page->store_page.count &&
           plain(sub, &page->store_page.events[sub->source_index]);
}

bool ski_page_run_may(const ski_subscription *sub)
{
    return !sub->run && !sub->in_flight && smooth(sub) && source_runs(sub);
}

bool ski_page_run_waits(const ski_subscription *sub)
{
    if (sub->run) return true;
    if (!smooth(sub) || !sub->source || sub->source->page->mixed) return false;
    if (!sub->in_flight) return source_runs(sub);
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

static void run_account(ski_page_run *run, size_t index, uint32_t calls)
{
    ski_subscription *sub = run->subscription;
    const skald_event *events = run->page->store_page.events;

    sub->source_index = index;
    if (index > run->from && events[index - 1].position > sub->cursor)
        sub->cursor = events[index - 1].position;
    if (sub->cursor > sub->dense_at) sub->dense_at = sub->cursor;
    if (calls * apart_most < index - run->from) sub->dense = 0;
    if (!calls) return;
    ski_count(&sub->bus->acked, calls);
    sub->acked += calls;
    sub->taken += calls;
    ski_ack_note(sub, run->after + 1, events[index - 1].position, false);
    ski_save_mark(sub);
}

bool ski_page_run_break(ski_page_run *run)
{
    uint64_t turn = atomic_fetch_or_explicit(&run->turn, BROKEN, memory_order_acq_rel);
    size_t index = turn_index(turn);
    uint32_t calls = turn_calls(turn);
    ski_subscription *sub = run->subscription;
    const skald_event *event = &run->page->store_page.events[index];

    sub->run = NULL;
    run_account(run, index, calls);
    ski_count(&sub->bus->delivered, calls + (turn & CALLING));
    sub->bus->runs++;
    if (!(turn & CALLING)) {
        sub->running--;
        ski_active_less(sub->bus);
        ski_stand_give(run->stand, index - run->from);
        return false;
    }
    sub->source_index++;
    sub->cursor = event->position;
    ski_stand_enter(run->stand, sub->source, event, index - run->from);
    run->calls_on = true;
    return true;
}

ski_delivery *ski_page_run_find(ski_delivery *stand, uint64_t generation)
{
    ski_page_run *run = stand->subscription->run;
    uint64_t turn = atomic_load_explicit(&run->turn, memory_order_relaxed);

    // An answer to a call that is over or has not begun, of which nobody was told, is refused.
    if (!(turn & CALLING) || generation != stand->generation + turn_index(turn) - run->from)
        return NULL;
    bool calls_on = ski_page_run_break(run);

    return calls_on && stand->generation == generation ? stand : NULL;
}

// Making it.

static bool run_begin(ski_page_run *run, ski_subscription *sub)
{
    ski_delivery *stand = ski_stand_take(sub);

    if (!stand) return false;
    size_t left = sub->source->page->store_page.count - sub->source_index;

    *run = (ski_page_run){
        .subscription = sub,
        .page = sub->source->page,
        .stand = stand,
        .filter = sub->filter,
        .after = sub->cursor,
        .from = sub->source_index,
        .until = sub->source_index + (left < events_most ? left : events_most),
        .generation = stand->generation,
        .number = atomic_load_explicit(&sub->bus->delivered, memory_order_relaxed),
    };
    atomic_init(&run->turn, turn_of(run->from, 0, 0));
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
    call->seen.id = ski_stand_id(run->stand, run->generation + index - run->from);
    call->number = run->number + calls;
    call->delay_ms = 0;
    call->reason[0] = 0;
    ski_call_make(call, sub->handler.fn);
    if (call->outcome == SKALD_ACK) ski_attempt_passed(run->stand);
}

// run_calls handles the page until it is through, or broken, or something else than ACK is
// answered. Without the lock. A call has passed when turn has: else it ends as a delivery does.
static void run_calls(ski_page_run *run, ski_call *call, uint32_t calls_max)
{
    const skald_event *acked = NULL; // by the call before
    uint64_t turn = turn_of(run->from, 0, 0);
    size_t index = run_seek(run, run->from);
    uint32_t calls = 0;

    for (;;) {
        bool more = index < run->until;

        if (!atomic_compare_exchange_strong_explicit(&run->turn, &turn,
                                                     turn_of(index, calls, more ? CALLING : 0),
                                                     memory_order_acq_rel, memory_order_acquire))
            return;
        if (acked) ski_call_passed(run->subscription, acked);
        if (!more) return;
        turn = turn_of(index, calls, CALLING);
        if (calls + 1 == calls_max) run->until = index + 1;
        size_t next = run_seek(run, index + 1);

        call->more = next < run->until;
        if (calls) skald_arena_reset(call->seen.scratch);
        run_call(run, call, index, calls++);
        if (call->outcome != SKALD_ACK) return;
        acked = &run->page->store_page.events[index];
        index = next;
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

    if (!run_begin(run, sub)) { // no memory now: the usual way knows when to try again
        sub->smooth = 0;
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
    if (sub->run == run) (void)ski_page_run_break(run);
    uint32_t calls = turn_calls(atomic_load(&run->turn)) + run->calls_on;

    ski_worker_returns(worker, sub);
    run_pace(sub, calls, took_ns);
    if (run->calls_on) ski_call_end(call, now_ns);
    ski_page_unref(bus, run->page);
    run->page = NULL;
    ski_calls_after(sub);
    skald_arena_reset(worker->scratch);
    return calls;
}
