// SPDX-License-Identifier: Apache-2.0
// Subscriptions: begun, found, ended.
//
// Life. starting: the name is taken, its place is looked up without the lock. Then it runs. ended:
// nothing starts any more; it stays, and keeps its name, while a handler runs, a page is read for
// it, a hook is called or a checkpoint is on its way; then it leaves the table, its end is told and
// it is freed.
//
// Invariants:
//   1. A name is in the table at most once.
//   2. A durable subscription that does not begin at the start has submitted its first checkpoint
//      before skald_subscribe returns: what is published afterwards cannot survive without it.
//   3. What is not acked when it ends is open in its last checkpoint.
#include "bus/engine.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "event/filter.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

// Its place in the table.

ski_subscription *ski_name_find(const skald_bus *bus, skald_str name)
{
    for (uint32_t i = 0; i < bus->subscriptions_max; i++)
        if (bus->subs[i] && bus->subs[i]->durable && skald_str_equal(bus->subs[i]->name, name))
            return bus->subs[i];
    return NULL;
}

static skald_err sub_enter(ski_subscription *sub, skald_error *reterr_error)
{
    skald_bus *bus = sub->bus;
    uint32_t slot = 0;

    if (bus->closing) return skald_fail(reterr_error, SKALD_ECLOSED, "the bus is stopping");
    if (sub->durable && ski_name_find(bus, sub->name))
        return skald_fail_at(reterr_error, SKALD_EEXISTS, "name",
                             "a subscription named %.*s runs already", SKALD_FMT(sub->name));
    while (slot < bus->subscriptions_max && bus->subs[slot]) slot++;
    if (slot == bus->subscriptions_max)
        return skald_fail(reterr_error, SKALD_EFULL, "all %u subscriptions are in use",
                          (unsigned)bus->subscriptions_max);
    sub->id = ++bus->serial << SKI_SUBSCRIPTION_BITS | slot;
    bus->subs[slot] = sub;
    bus->sub_count++;
    return SKALD_OK;
}

static void sub_remove(ski_subscription *sub)
{
    skald_bus *bus = sub->bus;

    bus->subs[sub->id & (SKI_SUBSCRIPTIONS_MAX - 1)] = NULL;
    bus->sub_count--;
    if (bus->closing) ski_cond_broadcast(&bus->idle);
}

// Its place in the log: read without the lock.

static skald_err place_stored(ski_subscription *sub, bool *ret_found, skald_error *reterr_error)
{
    skald_buf buf = {.bytes_max = SKI_CHECKPOINT_BYTES_MAX};
    uint64_t head = skald_store_head(sub->bus->store);
    ski_checkpoint checkpoint;
    skald_error why = {0};
    skald_err err = ski_store_value_get(sub->bus->store, sub->value_name, &buf);

    *ret_found = !err;
    if (err) {
        skald_buf_fini(&buf);
        return err == SKALD_ENOTFOUND ? SKALD_OK
                                      : skald_fail(reterr_error, err, "the position of %.*s: %s",
                                                   SKALD_FMT(sub->name), skald_err_text(err));
    }
    err = ski_checkpoint_decode(ski_buf_str(&buf), sub->arena, &checkpoint, &why);
    if (!err && checkpoint.cursor > head)
        err = skald_fail(&why, SKALD_ECORRUPT, "it is at %llu, but the log ends at %llu",
                         (unsigned long long)checkpoint.cursor, (unsigned long long)head);
    skald_buf_fini(&buf);
    if (err)
        return skald_fail_at(reterr_error, err, "name",
                             "where %.*s stands is not known: %s; under another name it would "
                             "begin anew",
                             SKALD_FMT(sub->name), why.text);
    sub->cursor = checkpoint.cursor;
    sub->resume = checkpoint.open;
    sub->resume_count = checkpoint.open_count;
    sub->saved_floor = ski_checkpoint_floor(&checkpoint);
    sub->saved = true;
    SKALD_TRY(ski_about_load(sub, reterr_error));
    return ski_asides_load(sub, reterr_error);
}

// place_time finds what lies before the first event recorded at or after time.
skald_err ski_place_time(skald_store *store, skald_time time, uint64_t *ret_after,
                         skald_error *reterr_error)
{
    uint64_t head = skald_store_head(store);
    skald_read read = {.from = time, .events_max = 1, .before = head + 1};
    skald_store_page page = {0};

    *ret_after = head;
    for (bool found = false; !found && !page.end;) {
        SKALD_TRY(ski_store_page(store, &read, &page, reterr_error));
        found = page.count != 0;
        if (found) *ret_after = page.events[0].position - 1;
        bool stuck = page.position_next <= read.after;

        read.after = page.position_next;
        ski_store_page_free(store, &page);
        if (stuck) break;
    }
    return SKALD_OK;
}

static skald_err place_find(ski_subscription *sub, const skald_subscription_options *options,
                            bool *ret_found, skald_error *reterr_error)
{
    uint64_t head = skald_store_head(sub->bus->store);
    bool at_end =
        options->from == SKALD_FROM_END || (options->from == SKALD_FROM_DEFAULT && !sub->durable);

    *ret_found = false;
    if (sub->durable) SKALD_TRY(place_stored(sub, ret_found, reterr_error));
    if (*ret_found) return SKALD_OK; // it was taken once, with whatever filter, and stays
    SKALD_TRY(ski_filter_types_check(options->filter.types, reterr_error));
    if (options->after > head)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "after",
                             "position %llu is behind the end of the log, %llu",
                             (unsigned long long)options->after, (unsigned long long)head);
    if (options->after)
        sub->cursor = options->after;
    else if (options->from_time)
        return ski_place_time(sub->bus->store, options->from_time, &sub->cursor, reterr_error);
    else if (at_end)
        sub->cursor = head;
    return SKALD_OK;
}

// sub_begin lets it run.
static skald_err sub_begin(ski_subscription *sub, bool found, skald_error *reterr_error)
{
    skald_bus *bus = sub->bus;

    if (bus->closing) return skald_fail(reterr_error, SKALD_ECLOSED, "the bus is stopping");
    sub->active_at = sub->durable ? ski_bus_now(bus) : 0;
    sub->active_ns = ski_bus_now_ns(bus);
    sub->about_dirty = sub->durable;
    for (uint32_t i = 0; i < sub->aside_count; i++)
        if (ski_aside_timer_reserve(bus, sub->asides[i]))
            return skald_fail(reterr_error, SKALD_ENOMEM, "out of memory");
    if (ski_match_add(&bus->match, &sub->filter, sub))
        return skald_fail(reterr_error, SKALD_ENOMEM, "out of memory");
    if (sub->durable && !found) {
        skald_err err = ski_save_submit(sub);

        if (err && sub->cursor) {
            ski_match_remove(&bus->match, &sub->filter, sub);
            return skald_fail(reterr_error, err, "where %.*s begins could not be stored: %s",
                              SKALD_FMT(sub->name), skald_err_text(err));
        }
        if (err) ski_save_mark(sub); // the start is where it would begin again anyhow
    }
    sub->starting = false;
    ski_reserved_named(sub, true);
    ski_releases_begin(sub);
    ski_hold_tell(sub);
    sub->at_end = sub->cursor >= atomic_load(&bus->head);
    ski_feed(sub);
    return SKALD_OK;
}

static skald_err subscribe(skald_bus *bus, const skald_subscription_options *options,
                           skald_subscription *ret_subscription, skald_error *reterr_error)
{
    bool found = false;

    SKALD_TRY(ski_options_check(options, reterr_error));
    SKALD_TRY(ski_filter_admit(bus, &options->filter, reterr_error));
    ski_subscription *sub = ski_subscription_new(bus, options);

    if (!sub) return skald_fail(reterr_error, SKALD_ENOMEM, "out of memory");
    ski_bus_lock(bus);
    skald_err err = sub_enter(sub, reterr_error);

    ski_bus_leave(bus);
    if (err) {
        ski_subscription_free(sub);
        return err;
    }
    err = place_find(sub, options, &found, reterr_error);
    ski_bus_lock(bus);
    if (!err) err = sub_begin(sub, found, reterr_error);
    skald_subscription id = {sub->id};

    if (err) {
        ski_asides_fini(sub);
        sub_remove(sub);
    }
    ski_bus_leave(bus);
    if (err)
        ski_subscription_free(sub);
    else
        *ret_subscription = id;
    return err;
}

skald_err skald_subscribe(skald_bus *bus, const skald_subscription_options *options,
                          skald_subscription *ret_subscription, skald_error *reterr_error)
{
    skald_err err = subscribe(bus, options, ret_subscription, reterr_error);

    if (err && options->handler.end) options->handler.end(options->handler.context);
    return err;
}

// Ending.

ski_subscription *ski_subscription_find(skald_bus *bus, uint64_t id)
{
    uint64_t slot = id & (SKI_SUBSCRIPTIONS_MAX - 1);
    ski_subscription *sub = slot < bus->subscriptions_max ? bus->subs[slot] : NULL;

    return sub && sub->id == id && !sub->ended && !sub->starting ? sub : NULL;
}

void ski_rings_leave(ski_subscription *sub)
{
    if (sub->run) (void)ski_page_run_break(sub->run);
    ski_link_leave(&sub->runnable);
    ski_link_leave(&sub->catching);
    ski_link_leave(&sub->notify);
    if (sub->source) ski_hold_drop(sub->source);
    sub->source = NULL;
    ski_releases_stop(sub);
}

void ski_subscription_halt(ski_subscription *sub, const char *text)
{
    char name[SKI_NAME_BYTES_MAX + 1];

    if (sub->halted || sub->ended) return;
    (void)ski_claims_return(sub->bus, sub);
    ski_subscription_error(sub, text);
    sub->halted = true;
    ski_live_leave(sub);
    ski_rings_leave(sub);
    snprintf(name, sizeof(name), "%.*s", SKALD_FMT(sub->name));
    ski_log_line(sub->bus->log, SKALD_ERROR, "a subscription has halted", "subscription",
                 sub->durable ? name : "(transient)", "why", text, NULL);
    ski_complain(sub, SKI_CODE_HALT, text, NULL);
    ski_notice(sub->bus, SKI_NOTICE_FAULTED, sub->name, NULL, text, 0);
    sub->faulted_told = true;
}

static void delivery_stop(ski_delivery *delivery)
{
    skald_bus *bus = delivery->subscription->bus;

    if (delivery->state == SKI_RUNNING) return;
    if (delivery->state == SKI_PENDING) bus->active--;
    ski_timers_clear(&bus->timers, &delivery->timer);
    delivery->state = SKI_WAITING;
}

// deliveries_stop: what does not run stays open, for the last checkpoint, and answers are stale.
static void deliveries_stop(ski_subscription *sub)
{
    skald_bus *bus = sub->bus;

    ski_trays_empty(sub);
    ski_delivery_each(sub, delivery_stop);
    sub->pending = sub->retrying = sub->ready_count = 0;
    sub->pending_first = sub->pending_last = NULL;
    ski_timers_clear(&bus->timers, &sub->pending_timer);
    memset(sub->ready, 0, sizeof(sub->ready));
    if (bus->closing && !bus->active) ski_cond_broadcast(&bus->idle);
}

void ski_subscription_end(ski_subscription *sub, bool forget)
{
    if (sub->ended) return;
    (void)ski_claims_return(sub->bus, sub);
    ski_live_leave(sub);
    if (ski_subscription_floor(sub) != sub->saved_floor) sub->dirty = true;
    sub->ended = true;
    if (forget && sub->durable) ski_store_release(sub->bus->store, sub->name);
    sub->forget = forget && sub->durable;
    if (sub->forget) sub->dirty = true;
    for (uint32_t i = 0; i < sub->aside_count && sub->forget; i++) ski_aside_remove(sub->asides[i]);
    ski_rings_leave(sub);
    ski_link_leave(&sub->dirties);
    ski_match_remove(&sub->bus->match, &sub->filter, sub);
    ski_reserved_named(sub, false);
    ski_timers_clear(&sub->bus->timers, &sub->timer);
    deliveries_stop(sub);
    ski_subscription_look(sub);
}

// last_save: true when there is none to wait for.
static bool last_save(ski_subscription *sub)
{
    skald_bus *bus = sub->bus;

    if (!sub->durable || sub->finished || bus->save_phase == SKI_SAVES_OVER) return true;
    if (bus->save_phase == SKI_SAVES_CLOSED) return false; // stop writes it
    sub->finished = true;
    if (!sub->forget && !sub->dirty && !sub->about_dirty) return true;
    skald_err err = ski_save_submit(sub);

    if (!err) {
        // Records may take several; what says where it stands goes with the last.
        sub->finished = ski_link_alone(&sub->aside_changes);
        return false;
    }
    ski_log_line(bus->log, SKALD_WARN, "a last checkpoint could not be written", "value",
                 sub->value_name.ptr, "error", skald_err_name(err), NULL);
    return true;
}

void ski_subscription_look(ski_subscription *sub)
{
    ski_life_look(sub);
    if (!sub->ended || sub->running || sub->callers) return;
    if (sub->reading || sub->saving || sub->pins) return;
    if (!ski_link_alone(&sub->gone) || !last_save(sub)) return;
    ski_delivery_drop_all(sub);
    ski_asides_fini(sub);
    sub_remove(sub);
    ski_link_append(&sub->bus->gone, &sub->gone);
}

void ski_subscriptions_end(skald_bus *bus)
{
    for (uint32_t i = 0; i < bus->subscriptions_max; i++)
        if (bus->subs[i] && !bus->subs[i]->starting) ski_subscription_end(bus->subs[i], false);
}

skald_err skald_unsubscribe(skald_bus *bus, skald_subscription subscription, bool forget)
{
    ski_bus_lock(bus);
    ski_subscription *sub = ski_subscription_find(bus, subscription.id);

    if (sub) ski_subscription_end(sub, forget);
    ski_bus_leave(bus);
    return sub ? SKALD_OK : SKALD_ESTALE;
}

// Pulling.

static uint32_t take_some(ski_subscription *sub, uint32_t count_max, skald_handler_fn *fn,
                          void *context, skald_arena *scratch)
{
    uint32_t count = 0;

    sub->pins++;
    ski_active(sub);
    while (count < count_max && !ski_stopped(sub)) {
        ski_delivery *delivery = ski_delivery_next(sub);

        if (!delivery) break;
        ski_delivery_run(delivery, fn, context, scratch);
        count++;
    }
    if (count < count_max) sub->armed = true; // nothing is ready now
    sub->pins--;
    ski_subscription_look(sub);
    return count;
}

skald_err skald_subscription_take(skald_bus *bus, skald_subscription subscription,
                                  uint32_t count_max, skald_handler_fn *fn, void *context,
                                  uint32_t *ret_count)
{
    skald_arena *scratch;
    skald_err err = SKALD_OK;
    uint32_t count = 0;

    if (!fn) return SKALD_EINVALID;
    SKALD_TRY(skald_arena_new(SKI_SCRATCH_BYTES_MAX, &scratch));
    ski_bus_lock(bus);
    ski_subscription *sub = ski_subscription_find(bus, subscription.id);

    if (!sub)
        err = SKALD_ESTALE;
    else if (!sub->pull)
        err = SKALD_EINVALID;
    else
        count = take_some(sub, count_max, fn, context, scratch);
    ski_bus_leave(bus);
    skald_arena_free(scratch);
    if (!err) *ret_count = count;
    return err;
}

// For people.

skald_subscription skald_bus_find(skald_bus *bus, skald_str name)
{
    skald_subscription found = {0};

    ski_bus_lock(bus);
    const ski_subscription *sub = name.ptr ? ski_name_find(bus, name) : NULL;

    if (sub && !sub->ended && !sub->starting) found.id = sub->id;
    ski_bus_leave(bus);
    return found;
}
