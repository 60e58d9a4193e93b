// SPDX-License-Identifier: Apache-2.0
// Who works: the dispatcher, the reader and the workers.
//
// To hand something over to a thread that sleeps takes longer than most handlers do. So a worker
// that is at something quick looks itself, before it sleeps, for what the dispatcher and the reader
// are woken for else: the next page of the tail, and of one that lags (lookers). And what is done
// sooner than a thread is awake waits for it (brief). That holds for look_within_ns from when it
// began its calls: who comes later wakes others, whatever it is at; and who came before is found by
// the dispatcher, which looks every look_soon_ms while there is such a worker and then counts on
// one that is late no more. While events come one by one, such a worker waits for some (lingers).
//
// The rule of the threads. Subscriptions take turns. One may start another call only while it has
// fewer calls running than threads are free: so one alone gets at most half of them, the next half
// of what is left, and a newcomer finds a thread. A thread whose handler has run for stuck_ms is
// not counted on: another stands in for it, up to SKI_THREADS_SPARE times threads_max. What a
// hanging handler costs is its own subscription.
//
// Invariants:
//   1. In the ring of runnables: exactly those with something ready, or a page to be run, a free
//      place among their workers_max, and neither pulled, halted, ended, stopped nor in a run.
//   2. If something may run and a thread is idle, one has been signalled: whoever takes a delivery
//      calls the next. Or it is quick, and each processor has a thread at something quick, which
//      takes it next; or it is brief, and a worker that looks takes it next. One that proves slow
//      is not counted on, nor one that has not come in time (workers_look).
//   3. The dispatcher sleeps for look_soon_ms at most while a worker looks.
#include "bus/engine.h"

#include "base/alloc.h"
#include "base/log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    stuck_ms = 1000,
    look_ms = 25,         // how often the dispatcher looks at the workers while some are busy
    look_soon_ms = 1,     // and while some look for others
    slow_ms = 10,         // a call that takes so long keeps no others waiting behind it
    tick_ms = 1000,       // how often it looks over the subscriptions while all is quiet
    timers_at_once = 256, // then others get the lock
    brief_ns = 100000,    // sooner than this no other thread is of help
    brief_least_ns = 500, // whatever was last measured
    brief_lag = 4096,     // events; who is further behind is not through at once
    look_within_ns = 200000,
    linger_ns = 50000, // and the time a thread needs to be awake again
    dense_events = 4,  // came since it last looked: more will in a moment
    page_events = 256, // so many are worth a look now
};

static bool runnable(const ski_subscription *sub)
{
    return !sub->pull && !sub->run && sub->callers < sub->workers_max &&
           (sub->ready_count || ski_page_run_may(sub)) && !ski_stopped(sub);
}

static bool may_run(const ski_subscription *sub)
{
    const skald_bus *bus = sub->bus;

    if (bus->stepped) return true;
    return bus->busy < bus->allowed && sub->callers < bus->allowed - bus->busy;
}

static void worker_run(void *argument);

static uint64_t kernel_ns(const skald_bus *bus)
{
    return bus->kernel->monotonic_ns(bus->kernel->context);
}

static void worker_start(skald_bus *bus)
{
    ski_worker *worker = &bus->workers[bus->worker_count];
    char name[16];

    snprintf(name, sizeof(name), "skald-work-%" PRIu32, bus->worker_count % 1000);
    *worker = (ski_worker){.bus = bus};
    skald_err err = skald_arena_new(SKI_SCRATCH_BYTES_MAX, &worker->scratch);

    worker->claims = ski_alloc(SKI_CLAIMS_MAX * sizeof(*worker->claims));
    if (!err && !worker->claims) err = SKALD_ENOMEM;
    if (!err)
        err = bus->kernel->spawn(bus->kernel->context, name, worker_run, worker, &worker->thread);
    if (!err) {
        bus->worker_count++;
        bus->start_after_ns = 0;
        return;
    }
    skald_arena_free(worker->scratch);
    ski_free(worker->claims);
    // The dispatcher looks again; until then the others do what there is. Said once.
    bool said = bus->start_after_ns != 0;

    bus->start_after_ns = kernel_ns(bus) + look_ms * SKI_NS_PER_MS;
    if (said) return;
    ski_log_line(bus->log, SKALD_WARN, "a worker thread could not be started", "error",
                 skald_err_name(err), NULL);
}

// brief: all that may run is done, as far as one can tell, before another thread is awake.
static bool brief(const skald_bus *bus)
{
    uint64_t head = atomic_load_explicit(&bus->head, memory_order_relaxed), took_ns = 0;

    for (const ski_link *link = bus->runnable.next; link != &bus->runnable; link = link->next) {
        const ski_subscription *sub = SKI_LINKED(link, ski_subscription, runnable);

        took_ns += sub->took_ns + brief_least_ns;
        if (!sub->took_ns || took_ns > brief_ns || ski_subscription_cursor(sub) + brief_lag < head)
            return false;
    }
    return true;
}

// worker_call finds a thread for what is runnable. What is quick waits for a thread that is at
// something quick, if all processors have one: more of them would only be in each other's way.
static void worker_call(skald_bus *bus, const ski_subscription *sub)
{
    if (bus->stepped || bus->quit) return;
    if (bus->quick >= bus->processors && sub->burst >= SKI_CLAIMS_QUICK) return;
    if (bus->idle_workers) {
        if (!bus->called) ski_cond_signal(&bus->work);
        bus->called = true; // one is enough: it calls the next
    } else if (bus->worker_count < bus->allowed && bus->worker_count <= bus->busy + bus->held_up) {
        if (!bus->start_after_ns || kernel_ns(bus) >= bus->start_after_ns) worker_start(bus);
    }
}

// worker_ask is worker_call, but what is brief waits for a worker that is about to look.
static void worker_ask(skald_bus *bus, const ski_subscription *sub)
{
    if (atomic_load(&bus->lookers) > bus->away && ski_looked_after(bus) && brief(bus)) return;
    worker_call(bus, sub);
}

static void pull_tell(ski_subscription *sub)
{
    if (!sub->armed || !sub->ready_count || ski_stopped(sub)) return;
    sub->armed = false;
    ski_link_append(&sub->bus->notify, &sub->notify);
}

void ski_runnable_look(ski_subscription *sub)
{
    if (sub->pull) {
        pull_tell(sub);
    } else if (!runnable(sub)) {
        ski_link_leave(&sub->runnable);
    } else {
        ski_link_append(&sub->bus->runnable, &sub->runnable);
        if (may_run(sub)) worker_ask(sub->bus, sub);
    }
}

// runnable_first gives the next whose turn it is, NULL if none may run. While every thread is busy
// a thousand that wait are not looked at one by one.
static ski_subscription *runnable_first(skald_bus *bus)
{
    if (!bus->stepped && bus->busy >= bus->allowed) return NULL;
    for (ski_link *link = bus->runnable.next; link != &bus->runnable; link = link->next) {
        ski_subscription *sub = SKI_LINKED(link, ski_subscription, runnable);

        if (may_run(sub)) return sub;
    }
    return NULL;
}

ski_subscription *ski_runnable_next(skald_bus *bus, ski_delivery **ret_delivery)
{
    ski_subscription *sub;

    while ((sub = runnable_first(bus)) != NULL) {
        ski_link_leave(&sub->runnable);
        *ret_delivery = ski_delivery_next(sub);
        if (*ret_delivery || ski_page_run_may(sub)) return sub;
        ski_feed(sub); // all had expired
        ski_life_look(sub);
    }
    return NULL;
}

void ski_worker_quick(ski_worker *worker, bool quick)
{
    worker->bus->quick += quick;
    worker->bus->quick -= worker->quick;
    worker->quick = quick;
}

bool ski_looked_after(const skald_bus *bus)
{
    return atomic_load(&bus->lookers) && kernel_ns(bus) < atomic_load(&bus->look_by_ns);
}

// worker_promises that it looks in a moment.
static void worker_promises(ski_worker *worker)
{
    worker->look_by_ns = kernel_ns(worker->bus) + look_within_ns;
    atomic_store(&worker->bus->look_by_ns, worker->look_by_ns);
}

// others_look for what nobody was woken for.
static void others_look(skald_bus *bus)
{
    if (ski_tail_wanted(bus)) ski_bus_stir(bus);
    if (!ski_link_alone(&bus->catching)) ski_cond_signal(&bus->read);
}

// worker_looks: does it look at the head, and for those that lag, before it sleeps? Should that
// take long the dispatcher does, which must not be asleep for long then; and what came before
// others saw that it does not look any more, others are told of.
static void worker_looks(ski_worker *worker, bool looks)
{
    skald_bus *bus = worker->bus;

    if (looks == worker->looks) return;
    worker->looks = looks;
    if (looks) {
        worker->head_seen = atomic_load(&bus->head);
        worker->dense = worker->lingered = false;
        atomic_fetch_add(&bus->lookers, 1);
        if (bus->dozes) ski_bus_stir(bus);
        bus->dozes = false;
        return;
    }
    if (atomic_fetch_sub(&bus->lookers, 1) == 1) others_look(bus);
}

// worker_deliver makes some deliveries; another thread is called for what may run beside them.
static void worker_deliver(ski_worker *worker, ski_subscription *sub, ski_delivery *delivery)
{
    skald_bus *bus = worker->bus;

    worker->busy_with = sub;
    worker->busy_since_ns = ski_bus_now_ns(bus);
    worker->reported = false;
    ski_worker_quick(worker, sub->burst >= SKI_CLAIMS_QUICK);
    if (worker->quick) worker_promises(worker);
    worker_looks(worker, worker->quick);
    bus->busy++;
    ski_subscription *next = runnable_first(bus);

    if (next) worker_ask(bus, next);
    if (delivery)
        ski_claims_run(worker, delivery);
    else
        (void)ski_page_run_make(worker, sub, UINT32_MAX);
    ski_worker_quick(worker, false); // still, when no run could begin
    bus->busy--;
    worker->busy_with = NULL;
}

// worker_lingers: while events come one by one, one soon after the other, it waits for some of
// them. A look costs more than most handlers take, for whoever publishes, too; and with nobody to
// look the next event would wake the dispatcher. Once, then it looks.
static bool worker_lingers(ski_worker *worker)
{
    skald_bus *bus = worker->bus;

    if (!worker->looks) return false;
    uint64_t head = atomic_load(&bus->head), came = head - worker->head_seen;
    bool dense = came >= dense_events || (worker->dense && !worker->lingered);

    worker->head_seen = head;
    worker->dense = dense;
    worker->lingered = !worker->lingered && dense && came < page_events && !bus->closing &&
                       atomic_load(&bus->lookers) == 1;
    return worker->lingered;
}

// worker_rests until it is called, or for_ns, if that is not 0, are over.
static void worker_rests(skald_bus *bus, uint64_t for_ns)
{
    bus->idle_workers++;
    if (for_ns) {
        bus->away++;
        (void)ski_cond_wait_ns(&bus->work, &bus->lock, for_ns);
        bus->away--;
    } else {
        ski_cond_wait(&bus->work, &bus->lock);
    }
    bus->idle_workers--;
    bus->called = false;
}

// worker_reads the next page of the tail, or for one that lags, before it sleeps: for nobody else
// was woken for that.
static bool worker_reads(ski_worker *worker)
{
    skald_bus *bus = worker->bus;

    if (!worker->looks) return false;
    worker->reads = true;
    worker->busy_since_ns = ski_bus_now_ns(bus);
    bool read = ski_tail_step(bus, worker) || ski_catch_up_step(bus, worker);

    worker->reads = false;
    if (!read)
        worker_looks(worker, false);
    else if (!worker->looks)
        others_look(bus); // it was late: who was told meanwhile found it still reading
    return read;
}

// worker_errands may take as long as a hook does.
static void worker_errands(ski_worker *worker)
{
    worker->busy_since_ns = ski_bus_now_ns(worker->bus);
    worker->kept = true;
    worker->bus->kept++;
    ski_bus_errands(worker->bus);
    worker->bus->kept--;
    worker->kept = false;
}

static void worker_run(void *argument)
{
    ski_worker *worker = argument;
    skald_bus *bus = worker->bus;

    ski_bus_lock(bus);
    while (!bus->quit) {
        ski_delivery *delivery;
        ski_subscription *sub = ski_runnable_next(bus, &delivery);

        if (!sub && worker->looks) worker_promises(worker);
        if (sub) {
            worker_deliver(worker, sub, delivery);
            worker_errands(worker);
        } else if (worker_lingers(worker)) {
            worker_rests(bus, linger_ns);
        } else if (worker_reads(worker)) {
            worker_errands(worker);
        } else {
            worker_rests(bus, 0);
        }
    }
    ski_bus_leave(bus);
}

static void overrun_report(const skald_bus *bus, ski_worker *worker, uint64_t ran_ns)
{
    const ski_subscription *sub = worker->busy_with;
    char name[SKI_NAME_BYTES_MAX + 1], ran[24];

    if (worker->reported || ran_ns < sub->retry.timeout_ms * SKI_NS_PER_MS) return;
    worker->reported = true;
    snprintf(name, sizeof(name), "%.*s", SKALD_FMT(sub->name));
    snprintf(ran, sizeof(ran), "%" PRIu64, ran_ns / SKI_NS_PER_MS);
    ski_log_line(bus->log, SKALD_WARN, "a handler runs longer than its timeout", "subscription",
                 sub->durable ? name : "(transient)", "ms", ran, NULL);
}

// call_is_slow has back what waits behind it, in its claims or its run.
static void call_is_slow(ski_worker *worker)
{
    ski_subscription *sub = worker->busy_with;
    bool first = !worker->slow;
    bool returned = (worker->claim_count > 1 || sub->run == &worker->run) &&
                    ski_claims_return(worker->bus, sub);

    worker->slow = true;
    sub->slow += first;
    ski_worker_quick(worker, false); // it does not come back soon
    worker_looks(worker, false);
    if (first || returned) ski_calls_after(sub);
}

// lookers_late are not counted on: others are told of what they were to look for.
static void lookers_late(skald_bus *bus)
{
    if (!atomic_load(&bus->lookers)) return;
    uint64_t now = kernel_ns(bus);

    for (uint32_t i = 0; i < bus->worker_count; i++)
        if (bus->workers[i].look_by_ns < now) worker_looks(&bus->workers[i], false);
}

// workers_look counts those that are stuck and lets others stand in for them.
static void workers_look(skald_bus *bus)
{
    uint64_t now = ski_bus_now_ns(bus);
    uint32_t stuck = 0, held_up = 0;

    lookers_late(bus);
    for (uint32_t i = 0; i < bus->worker_count && (bus->busy || bus->kept); i++) {
        ski_worker *worker = &bus->workers[i];

        if (!worker->busy_with && !worker->kept && !worker->reads) continue;
        if (now <= worker->busy_since_ns) continue;
        uint64_t ran_ns = now - worker->busy_since_ns;

        if (ran_ns >= stuck_ms * SKI_NS_PER_MS) stuck++;
        if (worker->kept && ran_ns >= slow_ms * SKI_NS_PER_MS) held_up++;
        if (!worker->busy_with) continue;
        if (ran_ns >= slow_ms * SKI_NS_PER_MS) call_is_slow(worker);
        overrun_report(bus, worker, ran_ns);
    }
    bus->held_up = held_up;
    bus->allowed = bus->threads_max + stuck;
    if (bus->allowed > bus->workers_limit) bus->allowed = bus->workers_limit;
    const ski_subscription *next = runnable_first(bus);

    if (next) worker_ask(bus, next);
}

static void subscription_due(ski_subscription *sub)
{
    if (sub->dirty && !sub->saving && !sub->ended) {
        ski_link_append(&sub->bus->dirties, &sub->dirties);
        ski_bus_stir(sub->bus);
    }
    ski_feed(sub);
}

static bool timers_run(skald_bus *bus)
{
    uint64_t now = ski_bus_now_ns(bus);

    for (int i = 0; i < timers_at_once; i++) {
        ski_timer *timer = ski_timers_take(&bus->timers, now);

        if (!timer) return false;
        if (timer->kind == SKI_TIMER_SUBSCRIPTION)
            subscription_due(SKI_LINKED(timer, ski_subscription, timer));
        else if (timer->kind == SKI_TIMER_PENDING)
            ski_pending_due(SKI_LINKED(timer, ski_subscription, pending_timer));
        else if (timer->kind == SKI_TIMER_ASIDE)
            ski_aside_due(SKI_LINKED(timer, ski_aside, timer));
        else
            ski_delivery_due(SKI_LINKED(timer, ski_delivery, timer));
    }
    return true;
}

bool ski_bus_turn(skald_bus *bus)
{
    ski_save_collect(bus);
    bool more = timers_run(bus);

    more |= ski_tail_step(bus, NULL);
    ski_registry_tick(bus);
    ski_save_run(bus);
    return more;
}

// sleep_ms gives for how long it may sleep. Who begins to look while that is long stirs it.
static uint32_t sleep_ms(skald_bus *bus)
{
    bus->dozes = !atomic_load(&bus->lookers) && !runnable_first(bus);
    if (!bus->dozes) return look_soon_ms;
    return bus->busy || bus->kept || !ski_link_alone(&bus->runnable) ? look_ms : tick_ms;
}

// ski_bus_sleep until something stirs the bus or is due, or for most_ms.
void ski_bus_sleep(skald_bus *bus, uint64_t due_ns, uint32_t most_ms)
{
    uint64_t now = ski_bus_now_ns(bus), most = most_ms * SKI_NS_PER_MS;
    uint64_t for_ns = !due_ns ? most : due_ns > now ? due_ns - now : 1;

    if (for_ns > most) for_ns = most;
    ski_mutex_lock(&bus->wake_lock);
    while (!atomic_load(&bus->stirred)) {
        if (!ski_cond_wait_ns(&bus->wake, &bus->wake_lock, for_ns)) break;
    }
    ski_mutex_unlock(&bus->wake_lock);
}

static void dispatcher_run(void *argument)
{
    skald_bus *bus = argument;

    for (;;) {
        ski_bus_lock(bus);
        atomic_store(&bus->stirred, false);
        bool more = ski_bus_turn(bus), quit = bus->quit;

        workers_look(bus);
        ski_bus_errands(bus);
        uint64_t due_ns = ski_timers_next(&bus->timers);
        uint32_t most_ms = sleep_ms(bus);

        ski_bus_leave(bus);
        if (quit) return;
        if (!more) ski_bus_sleep(bus, due_ns, most_ms);
    }
}

static void reader_run(void *argument)
{
    skald_bus *bus = argument;

    ski_bus_lock(bus);
    while (!bus->quit) {
        bool released = ski_release_step(bus), caught_up = ski_catch_up_step(bus, NULL);

        if (released || caught_up)
            ski_bus_errands(bus);
        else
            ski_cond_wait(&bus->read, &bus->lock);
    }
    ski_bus_leave(bus);
}

skald_err ski_threads_start(skald_bus *bus)
{
    const ski_kernel *kernel = bus->kernel;

    SKALD_TRY(
        kernel->spawn(kernel->context, "skald-dispatch", dispatcher_run, bus, &bus->dispatcher));
    return kernel->spawn(kernel->context, "skald-read", reader_run, bus, &bus->reader);
}

static void thread_join(const skald_bus *bus, ski_thread *thread)
{
    if (thread->id) bus->kernel->join(bus->kernel->context, *thread);
    thread->id = 0;
}

// ski_threads_join ends every thread: those in a handler when it returns.
void ski_threads_join(skald_bus *bus)
{
    ski_bus_lock(bus);
    bus->quit = true;
    ski_cond_broadcast(&bus->work);
    ski_cond_broadcast(&bus->read);
    ski_bus_leave(bus);
    ski_bus_stir(bus);
    thread_join(bus, &bus->dispatcher);
    thread_join(bus, &bus->reader);
    for (uint32_t i = 0; i < bus->worker_count; i++) {
        thread_join(bus, &bus->workers[i].thread);
        skald_arena_free(bus->workers[i].scratch);
        ski_free(bus->workers[i].claims);
    }
    bus->worker_count = 0;
}
