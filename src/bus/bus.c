// SPDX-License-Identifier: Apache-2.0
// The bus as a whole: made, stepped, stopped, freed; and what is done on leaving its lock.
//
// Stopping: nothing new is taken; publishes under way end; what runs or is pending gets its time;
// checkpoints on their way arrive; one last durable append says where everyone stands; everyone is
// told the end. Threads are joined by free: a handler that does not return, or a read of the store,
// holds free up, not stop.
#include "bus/engine.h"

#include "base/alloc.h"
#include "base/str.h"
#include "bus/registry.h"

#include <assert.h>

enum {
    threads_default = 8,
    subscriptions_default = 4096,
    history_events_default = 1000,
    schedule_events_default = 10000,
    schedule_events_limit = 100000,
    free_timeout_ms = 10000,
    save_wait_ms = 1000, // a stepped bus, for a store that has threads
    saves_look_ms = 2,   // a bus with threads, for what the dispatcher does not take in
};

uint64_t ski_bus_now_ns(const skald_bus *bus)
{
    return bus->clock.monotonic_ns(bus->clock.context);
}

skald_time ski_bus_now(const skald_bus *bus)
{
    return bus->clock.now(bus->clock.context);
}

void ski_bus_stir(skald_bus *bus)
{
    if (atomic_exchange(&bus->stirred, true)) return;
    ski_mutex_lock(&bus->wake_lock);
    ski_cond_signal(&bus->wake);
    ski_mutex_unlock(&bus->wake_lock);
}

void ski_bus_lock(skald_bus *bus)
{
    ski_mutex_lock(&bus->lock);
}

void ski_bus_timer_at(skald_bus *bus, ski_timer *timer, uint64_t due_ns)
{
    if (ski_timers_set(&bus->timers, timer, due_ns)) ski_bus_stir(bus);
}

void ski_bus_timer_set(skald_bus *bus, ski_timer *timer, uint64_t delay_ms)
{
    ski_bus_timer_at(bus, timer, ski_bus_now_ns(bus) + delay_ms * SKI_NS_PER_MS);
}

skald_err ski_bus_timers_reserve(skald_bus *bus, uint32_t deliveries_more, uint32_t asides)
{
    uint32_t deliveries = bus->chunk_count * SKI_CHUNK_DELIVERIES + deliveries_more;

    return ski_timers_reserve(&bus->timers, deliveries + 2 * bus->subscriptions_max + asides);
}

static void ready_tell(skald_bus *bus)
{
    ski_subscription *sub = SKI_LINKED(bus->notify.next, ski_subscription, notify);

    ski_link_leave(&sub->notify);
    sub->pins++;
    ski_mutex_unlock(&bus->lock);
    sub->handler.ready(sub->handler.context);
    ski_mutex_lock(&bus->lock);
    sub->pins--;
    ski_subscription_look(sub);
}

static void end_tell(skald_bus *bus)
{
    ski_subscription *sub = SKI_LINKED(bus->gone.next, ski_subscription, gone);

    ski_link_leave(&sub->gone);
    bus->ending++;
    ski_mutex_unlock(&bus->lock);
    if (sub->handler.end) sub->handler.end(sub->handler.context);
    ski_subscription_free(sub);
    ski_mutex_lock(&bus->lock);
    bus->ending--;
    if (bus->closing) ski_cond_broadcast(&bus->idle);
}

void ski_bus_errands(skald_bus *bus)
{
    for (;;) {
        if (bus->stepped) ski_save_collect(bus); // pages may die of it
        ski_page *dead = bus->dead_pages;

        if (dead) {
            bus->dead_pages = NULL;
            ski_mutex_unlock(&bus->lock);
            ski_pages_free(bus, dead);
            ski_mutex_lock(&bus->lock);
        } else if (!ski_link_alone(&bus->notify)) {
            ready_tell(bus);
        } else if (!ski_link_alone(&bus->gone)) {
            end_tell(bus);
        } else if (!ski_notice_publish(bus)) {
            return;
        }
    }
}

void ski_bus_leave(skald_bus *bus)
{
    ski_bus_errands(bus);
    ski_mutex_unlock(&bus->lock);
}

// watch_head wakes nobody while nobody is live: who goes live looks at the head after it has said
// so. Nor while a worker looks at it in a moment.
static void watch_head(void *context, uint64_t durable_position)
{
    skald_bus *bus = context;
    uint64_t head = atomic_load(&bus->head);

    while (head < durable_position)
        if (atomic_compare_exchange_weak(&bus->head, &head, durable_position)) {
            if (atomic_load(&bus->live_count) && !ski_looked_after(bus)) ski_bus_stir(bus);
            return;
        }
}

static void bus_locks_init(skald_bus *bus)
{
    ski_mutex_init(&bus->wake_lock);
    ski_cond_init(&bus->wake);
    ski_gate_init(&bus->publishes);
    ski_mutex_init(&bus->lock);
    ski_cond_init(&bus->work);
    ski_cond_init(&bus->read);
    ski_cond_init(&bus->idle);
    ski_link_init(&bus->runnable);
    ski_link_init(&bus->catching);
    ski_link_init(&bus->dirties);
    ski_link_init(&bus->notify);
    ski_link_init(&bus->gone);
    ski_link_init(&bus->fetching);
}

static void bus_options(skald_bus *bus, const skald_bus_options *options)
{
    const ski_kernel *kernel = bus->kernel;
    uint32_t event_bytes_max = ski_store_event_bytes_max(bus->store);

    bus->clock = options->clock ? *options->clock : ski_kernel_clock(kernel);
    bus->log = options->log ? options->log : ski_store_log_hook(bus->store);
    bus->threads_max = options->threads_max ? options->threads_max : threads_default;
    bus->subscriptions_max =
        options->subscriptions_max ? options->subscriptions_max : subscriptions_default;
    bus->history_events_max =
        options->history_events_max ? options->history_events_max : history_events_default;
    bus->event_bytes_max = options->event_bytes_max ? options->event_bytes_max : event_bytes_max;
    if (bus->event_bytes_max > event_bytes_max) bus->event_bytes_max = event_bytes_max;
    bus->deliveries_max = SKI_DELIVERIES_MAX;
    bus->pages_bytes_max = SKI_PAGES_BYTES_MAX;
    bus->runs_after = SKI_RUNS_AFTER;
    bus->trays_kept = SKI_TRAYS_KEPT;
    bus->system_events = options->system_events;
    bus->schedule_events_max =
        options->schedule_events_max ? options->schedule_events_max : schedule_events_default;
    bus->began_ns = ski_bus_now_ns(bus);
    bus->stepped = options->stepped || !kernel->spawn;
    bus->allowed = bus->threads_max;
    bus->processors = ski_processors();
    bus->workers_limit = bus->threads_max * (1 + SKI_THREADS_SPARE);
    // Ids must not be those of an earlier run: half of what a generation holds is random.
    kernel->random(kernel->context, &bus->generation_base, sizeof(bus->generation_base));
    bus->generation_base = (bus->generation_base >> (SKI_DELIVERY_BITS + 1)) | 1;
    bus->random = options->seed;
    if (!bus->random) kernel->random(kernel->context, &bus->random, sizeof(bus->random));
}

static void bus_memory_free(skald_bus *bus)
{
    ski_match_fini(&bus->match);
    skald_schemas_free(bus->schemas);
    skald_types_free(bus->types);
    ski_trays_fini(bus);
    for (uint32_t i = 0; i < bus->chunk_count; i++) ski_free(bus->chunks[i]);
    ski_free(bus->chunks);
    ski_timers_fini(&bus->timers);
    ski_free(bus->subs);
    ski_free(bus->workers);
    ski_free(bus->positions);
    ski_free(bus->source);
    ski_save_fini(bus);
    ski_notices_drop(bus);
    skald_arena_free(bus->key_scratch);
    ski_cond_fini(&bus->idle);
    ski_cond_fini(&bus->read);
    ski_cond_fini(&bus->work);
    ski_mutex_fini(&bus->lock);
    ski_gate_fini(&bus->publishes);
    ski_cond_fini(&bus->wake);
    ski_mutex_fini(&bus->wake_lock);
    ski_free(bus);
}

static skald_err bus_memory(skald_bus *bus, const skald_bus_options *options)
{
    bus->notices_end = &bus->notices;
    SKALD_TRY(skald_arena_new(SKALD_EVENT_BYTES_LIMIT, &bus->key_scratch));
    bus->source = ski_str_terminated(skald_str_of(options->source ? options->source : "skald"));
    bus->subs = ski_alloc_zeroed(bus->subscriptions_max, sizeof(ski_subscription *));
    bus->workers = ski_alloc_zeroed(bus->workers_limit, sizeof(ski_worker));
    if (!bus->source || !bus->subs || !bus->workers) return SKALD_ENOMEM;
    SKALD_TRY(ski_bus_types_open(bus));
    SKALD_TRY(ski_bus_schemas_open(bus));
    return ski_timers_reserve(&bus->timers, 2 * bus->subscriptions_max);
}

skald_err skald_bus_new(skald_store *store, const skald_bus_options *options, skald_bus **ret_bus)
{
    static const skald_bus_options defaults;

    if (!options) options = &defaults;
    if (!store || options->threads_max > SKI_THREADS_LIMIT ||
        options->subscriptions_max > SKI_SUBSCRIPTIONS_MAX ||
        options->schedule_events_max > schedule_events_limit ||
        skald_str_of(options->source).len > SKALD_SOURCE_BYTES_MAX)
        return SKALD_EINVALID;
    skald_bus *bus = ski_alloc_zeroed(1, sizeof(*bus));

    if (!bus) return SKALD_ENOMEM;
    bus->store = store;
    bus->kernel = ski_store_kernel(store);
    bus_locks_init(bus);
    ski_match_init(&bus->match);
    bus_options(bus, options);
    skald_err err = bus_memory(bus, options);

    if (err) {
        bus_memory_free(bus);
        return err;
    }
    ski_store_watch(store, watch_head, bus);
    watch_head(bus, skald_store_head(store));
    ski_registered_look(bus, true);
    if (!bus->stepped) err = ski_threads_start(bus);
    if (!err) err = ski_schedule_begin(bus, true);
    if (err) {
        ski_bus_drop(bus);
        return err;
    }
    *ret_bus = bus;
    return SKALD_OK;
}

skald_store *ski_bus_store(skald_bus *bus)
{
    return bus->store;
}

// Stopping.

static void publishes_end(skald_bus *bus)
{
    ski_gate_shut(&bus->publishes);
    while (!bus->kernel->spawn && !ski_gate_is_empty(&bus->publishes)) ski_store_step(bus->store);
    ski_gate_wait(&bus->publishes);
}

// saves_end waits for checkpoints on their way; no new one is begun. It takes in itself what has
// arrived: the dispatcher may be in a read, or a hook, that takes long. Nobody tells it of that,
// for whoever brings the mail does not have the lock.
static void saves_end(skald_bus *bus)
{
    bus->save_phase = SKI_SAVES_CLOSED;
    while (bus->saves) {
        if (bus->stepped) atomic_store(&bus->stirred, false);
        ski_save_collect(bus);
        if (!bus->saves) break;
        if (!bus->stepped) {
            (void)ski_cond_wait_ns(&bus->idle, &bus->lock, saves_look_ms * SKI_NS_PER_MS);
            continue;
        }
        ski_mutex_unlock(&bus->lock);
        if (!bus->kernel->spawn)
            ski_store_step(bus->store);
        else
            ski_bus_sleep(bus, 0, save_wait_ms);
        ski_mutex_lock(&bus->lock);
    }
}

// wait_until waits for something to end. False: the time is over.
static bool wait_until(skald_bus *bus, uint64_t deadline_ns)
{
    uint64_t now = ski_bus_now_ns(bus);

    if (bus->stepped || now >= deadline_ns) return false;
    ski_cond_wait_ns(&bus->idle, &bus->lock, deadline_ns - now);
    return true;
}

skald_err skald_bus_stop(skald_bus *bus, uint32_t timeout_ms)
{
    uint64_t deadline_ns = ski_bus_now_ns(bus) + timeout_ms * SKI_NS_PER_MS;

    ski_bus_lock(bus);
    if (bus->closing) {
        while (!bus->stopped && wait_until(bus, deadline_ns)) {
        }
        bool stopped = bus->stopped;

        ski_bus_leave(bus);
        return stopped ? SKALD_OK : SKALD_ETIMEOUT;
    }
    (void)ski_claims_return(bus, NULL);
    bus->closing = true;
    ski_mutex_unlock(&bus->lock);
    publishes_end(bus);
    ski_mutex_lock(&bus->lock);
    while (bus->active && wait_until(bus, deadline_ns)) {
    }
    (void)ski_claims_return(bus, NULL); // what was done before a call that hangs is not open
    bool late = bus->active != 0;

    saves_end(bus);
    skald_err err = ski_save_final(bus);

    ski_subscriptions_end(bus);
    ski_bus_errands(bus);
    while ((bus->sub_count || bus->ending) && wait_until(bus, deadline_ns)) {
    }
    bus->stopped = true;
    ski_cond_broadcast(&bus->idle);
    ski_bus_leave(bus);
    return late ? SKALD_ETIMEOUT : err;
}

void ski_bus_drop(skald_bus *bus)
{
    ski_store_watch(bus->store, NULL, NULL);
    ski_bus_lock(bus);
    bus->closing = true;
    ski_mutex_unlock(&bus->lock);
    publishes_end(bus);
    ski_mutex_lock(&bus->lock);
    saves_end(bus);
    bus->save_phase = SKI_SAVES_OVER;
    ski_mutex_unlock(&bus->lock);
    ski_threads_join(bus);
    ski_bus_lock(bus);
    for (uint32_t i = 0; i < bus->subscriptions_max; i++) {
        ski_subscription *sub = bus->subs[i];

        if (!sub) continue;
        ski_timers_clear(&bus->timers, &sub->timer);
        ski_timers_clear(&bus->timers, &sub->pending_timer);
        if (sub->source) ski_hold_drop(sub->source);
        ski_delivery_drop_all(sub);
        ski_asides_fini(sub);
        ski_subscription_free(sub);
    }
    ski_kept_drop(bus);
    ski_pages_free(bus, bus->dead_pages);
    ski_mutex_unlock(&bus->lock);
    // Whoever told of an end last may still hold the wake lock.
    ski_mutex_lock(&bus->wake_lock);
    ski_mutex_unlock(&bus->wake_lock);
    bus_memory_free(bus);
}

void skald_bus_free(skald_bus *bus)
{
    if (!bus) return;
    (void)skald_bus_stop(bus, free_timeout_ms); // a second time is nothing
    ski_threads_join(bus); // of handlers that ran on, each tells the end of its own
    ski_bus_drop(bus);
}

// Stepping.

uint32_t skald_bus_run(skald_bus *bus, uint32_t deliveries_max)
{
    ski_call call;
    ski_worker self = {.bus = bus, .claims = &call};
    ski_delivery *delivery;
    uint32_t made = 0;

    if (!bus->stepped || skald_arena_new(SKI_SCRATCH_BYTES_MAX, &self.scratch)) return 0;
    ski_bus_lock(bus);
    for (;;) {
        bool more = ski_bus_turn(bus);

        more |= ski_release_step(bus);
        more |= ski_catch_up_step(bus, NULL);
        ski_bus_errands(bus);
        ski_subscription *sub = made < deliveries_max ? ski_runnable_next(bus, &delivery) : NULL;

        if (sub && delivery) {
            ski_delivery_run(delivery, sub->handler.fn, sub->handler.context, self.scratch);
            made++;
        } else if (sub) {
            made += ski_page_run_make(&self, sub, deliveries_max - made);
        } else if (!more && (bus->kernel->spawn || !ski_store_step(bus->store))) {
            break;
        }
    }
    ski_save_run(bus);
    ski_bus_leave(bus);
    skald_arena_free(self.scratch);
    return made;
}

uint64_t skald_bus_due_ns(skald_bus *bus)
{
    ski_mutex_lock(&bus->lock);
    uint64_t due_ns = ski_timers_next(&bus->timers);

    ski_mutex_unlock(&bus->lock);
    return due_ns;
}

void skald_bus_counters_get(const skald_bus *bus, skald_bus_counters *ret_counters)
{
    *ret_counters = (skald_bus_counters){
        .published = atomic_load(&bus->published),
        .publish_failed = atomic_load(&bus->publish_failed),
        .delivered = atomic_load(&bus->delivered),
        .acked = atomic_load(&bus->acked),
        .retried = atomic_load(&bus->retried),
        .rejected = atomic_load(&bus->rejected),
        .timed_out = atomic_load(&bus->timed_out),
        .parked = atomic_load(&bus->parked),
        .dead = atomic_load(&bus->dead),
        .expired = atomic_load(&bus->expired),
        .transient_published = atomic_load(&bus->transient_published),
        .transient_dropped = atomic_load(&bus->transient_dropped),
        .notices_dropped = atomic_load(&bus->notices_dropped),
    };
}
