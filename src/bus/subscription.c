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

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    arena_bytes_max = 4 << 20, // texts of the filter, buckets, what there is to resume
    kind_bytes_max = 32,
    workers_default = 4,
    workers_limit = 1024,
    in_flight_default = 256,
    buckets_max = 4096,
    retry_first_default_ms = 200,
    retry_max_default_ms = 300000,
    retry_timeout_default_ms = 30000,
};

static const char value_prefix[] = "sub/";

// What was asked for, checked.

static skald_err texts_check(skald_texts texts, const char *field, skald_error *reterr_error)
{
    if (texts.count > SKI_FILTER_ITEMS_MAX)
        return skald_fail_at(reterr_error, SKALD_EINVALID, field,
                             "at most %d are possible, not %zu", (int)SKI_FILTER_ITEMS_MAX,
                             texts.count);
    for (size_t i = 0; i < texts.count; i++)
        if (!texts.items[i].len || texts.items[i].len > SKALD_TYPE_BYTES_MAX)
            return skald_fail_at(reterr_error, SKALD_EINVALID, field,
                                 "each has 1 to %d bytes; that with index %zu has %zu",
                                 (int)SKALD_TYPE_BYTES_MAX, i, texts.items[i].len);
    return SKALD_OK;
}

static skald_err name_check(skald_str name, skald_error *reterr_error)
{
    if (!name.ptr) return SKALD_OK;
    if (!name.len || name.len > SKI_NAME_BYTES_MAX)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "name", "a name has 1 to %d bytes",
                             (int)SKI_NAME_BYTES_MAX);
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] <= ' ' || name.ptr[i] == 0x7f)
            return skald_fail_at(reterr_error, SKALD_EINVALID, "name",
                                 "a name has neither spaces nor control characters");
    if (!ski_str_utf8(name))
        return skald_fail_at(reterr_error, SKALD_EINVALID, "name", "a name is UTF-8");
    return SKALD_OK;
}

static skald_err retry_check(const skald_retry_policy *retry, skald_error *reterr_error)
{
    // Written so that a NaN is refused.
    if (retry->factor != 0 && !(retry->factor >= 1 && retry->factor <= 100))
        return skald_fail_at(reterr_error, SKALD_EINVALID, "retry.factor", "it is from 1 to 100");
    if (!(retry->jitter <= 1))
        return skald_fail_at(reterr_error, SKALD_EINVALID, "retry.jitter",
                             "it is a part of the delay: at most 1");
    return SKALD_OK;
}

static skald_err options_check(const skald_subscription_options *options, skald_error *reterr_error)
{
    const skald_filter *filter = &options->filter;

    if (!options->handler.fn == !options->handler.ready)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "handler",
                             "a handler has either fn or ready");
    SKALD_TRY(name_check(skald_str_of(options->name), reterr_error));
    SKALD_TRY(texts_check(filter->types, "filter.types", reterr_error));
    SKALD_TRY(texts_check(filter->streams, "filter.streams", reterr_error));
    SKALD_TRY(texts_check(filter->categories, "filter.categories", reterr_error));
    if (filter->tenant.len > SKALD_TENANT_BYTES_MAX)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "filter.tenant", "it is too long");
    if (filter->correlation_id.len > SKALD_CORRELATION_BYTES_MAX)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "filter.correlationId",
                             "it is too long");
    SKALD_TRY(retry_check(&options->retry, reterr_error));
    if ((unsigned)options->order > SKALD_UNORDERED || (unsigned)options->from > SKALD_FROM_END)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "order", "no such order or beginning");
    if (options->workers_max > workers_limit)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "workersMax", "it is at most %d",
                             (int)workers_limit);
    if (options->in_flight_max > SKI_CHECKPOINT_OPEN_MAX)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "inFlightMax", "it is at most %d",
                             (int)SKI_CHECKPOINT_OPEN_MAX);
    if (options->on_exhausted != SKALD_HALT)
        return skald_fail_at(reterr_error, SKALD_EUNSUPPORTED, "onExhausted",
                             "only halt is built so far");
    return SKALD_OK;
}

// Making one.

static bool copy_text(skald_arena *arena, skald_str text, skald_str *ret_text)
{
    *ret_text = text;
    if (!text.ptr) return true;
    *ret_text = text.len ? skald_arena_copy(arena, text) : SKALD_STR("");
    return ret_text->ptr != NULL;
}

static bool copy_texts(skald_arena *arena, skald_texts texts, skald_texts *ret_texts)
{
    *ret_texts = (skald_texts){0};
    if (!texts.count) return true;
    skald_str *items = skald_arena_get(arena, texts.count * sizeof(*items));

    if (!items) return false;
    for (size_t i = 0; i < texts.count; i++)
        if (!copy_text(arena, texts.items[i], &items[i])) return false;
    *ret_texts = (skald_texts){items, texts.count};
    return true;
}

static bool copy_filter(skald_arena *arena, const skald_filter *filter, skald_filter *ret_filter)
{
    *ret_filter = *filter;
    return copy_texts(arena, filter->types, &ret_filter->types) &&
           copy_texts(arena, filter->streams, &ret_filter->streams) &&
           copy_texts(arena, filter->categories, &ret_filter->categories) &&
           copy_text(arena, filter->tenant, &ret_filter->tenant) &&
           copy_text(arena, filter->correlation_id, &ret_filter->correlation_id);
}

static skald_retry_policy retry_complete(skald_retry_policy retry)
{
    if (!retry.first_ms) retry.first_ms = retry_first_default_ms;
    if (retry.factor == 0) retry.factor = 2;
    if (!retry.max_ms) retry.max_ms = retry_max_default_ms;
    if (retry.jitter == 0) retry.jitter = 0.2;
    if (retry.jitter < 0) retry.jitter = 0;
    if (!retry.timeout_ms) retry.timeout_ms = retry_timeout_default_ms;
    return retry;
}

static void sub_settings(ski_subscription *sub, const skald_subscription_options *options)
{
    bool in_sequence = options->order == SKALD_IN_SEQUENCE;

    sub->handler = options->handler;
    sub->pull = !options->handler.fn;
    sub->order = options->order;
    sub->retry = retry_complete(options->retry);
    sub->on_exhausted = options->on_exhausted;
    sub->workers_max = options->workers_max ? options->workers_max : workers_default;
    sub->in_flight_max = options->in_flight_max ? options->in_flight_max : in_flight_default;
    sub->once = options->once;
    sub->takes_tests = options->takes_tests;
    sub->durable = options->name != NULL;
    sub->armed = true;
    sub->starting = true;
    if (in_sequence || sub->once) sub->workers_max = 1;
    if (sub->once) sub->in_flight_max = 1; // the first one acked is the only one
    sub->timer.kind = SKI_TIMER_SUBSCRIPTION;
    ski_link_init(&sub->runnable);
    ski_link_init(&sub->catching);
    ski_link_init(&sub->dirties);
    ski_link_init(&sub->notify);
    ski_link_init(&sub->gone);
}

static bool sub_buckets(ski_subscription *sub)
{
    uint32_t count = 1;

    if (sub->order == SKALD_UNORDERED) return true;
    while (sub->order == SKALD_BY_STREAM && count < sub->in_flight_max && count < buckets_max)
        count *= 2;
    sub->bucket_mask = count - 1;
    sub->buckets = skald_arena_get(sub->arena, count * sizeof(ski_delivery *));
    return sub->buckets != NULL;
}

static bool sub_texts(ski_subscription *sub, const skald_subscription_options *options)
{
    skald_str kind = skald_str_of(options->kind ? options->kind : "handler");

    if (kind.len > kind_bytes_max) kind.len = kind_bytes_max;
    if (options->name) {
        sub->value_name = skald_arena_print(sub->arena, "%s%s", value_prefix, options->name);
        if (!sub->value_name.ptr) return false;
        sub->name = (skald_str){sub->value_name.ptr + sizeof(value_prefix) - 1,
                                sub->value_name.len - (sizeof(value_prefix) - 1)};
    }
    if (!copy_filter(sub->arena, &options->filter, &sub->filter)) return false;
    sub->rest = sub->filter;
    sub->rest.types = (skald_texts){0};
    sub->exact = ski_match_exact(sub->filter.types);
    return copy_text(sub->arena, kind, &sub->kind) && sub_buckets(sub);
}

void ski_subscription_free(ski_subscription *sub)
{
    if (!sub) return;
    skald_arena_free(sub->arena);
    ski_free(sub);
}

static ski_subscription *sub_new(skald_bus *bus, const skald_subscription_options *options)
{
    ski_subscription *sub = ski_alloc_zeroed(1, sizeof(*sub));

    if (!sub) return NULL;
    sub->bus = bus;
    sub_settings(sub, options);
    if (skald_arena_new(arena_bytes_max, &sub->arena) || !sub_texts(sub, options)) {
        ski_subscription_free(sub);
        return NULL;
    }
    return sub;
}

// Its place in the table.

static ski_subscription *name_find(const skald_bus *bus, skald_str name)
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
    if (sub->durable && name_find(bus, sub->name))
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
    return SKALD_OK;
}

// place_time finds what lies before the first event recorded at or after time.
static skald_err place_time(ski_subscription *sub, skald_time time, skald_error *reterr_error)
{
    skald_store *store = sub->bus->store;
    uint64_t head = skald_store_head(store);
    skald_read read = {.from = time, .events_max = 1, .before = head + 1};
    skald_store_page page = {0};

    sub->cursor = head;
    for (bool found = false; !found && !page.end;) {
        SKALD_TRY(ski_store_page(store, &read, &page, reterr_error));
        found = page.count != 0;
        if (found) sub->cursor = page.events[0].position - 1;
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
    if (*ret_found) return SKALD_OK;
    if (options->after > head)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "after",
                             "position %llu is behind the end of the log, %llu",
                             (unsigned long long)options->after, (unsigned long long)head);
    if (options->after)
        sub->cursor = options->after;
    else if (options->from_time)
        return place_time(sub, options->from_time, reterr_error);
    else if (at_end)
        sub->cursor = head;
    return SKALD_OK;
}

// sub_begin lets it run.
static skald_err sub_begin(ski_subscription *sub, bool found, skald_error *reterr_error)
{
    skald_bus *bus = sub->bus;

    if (bus->closing) return skald_fail(reterr_error, SKALD_ECLOSED, "the bus is stopping");
    if (ski_match_add(&bus->match, sub->filter.types, sub))
        return skald_fail(reterr_error, SKALD_ENOMEM, "out of memory");
    if (sub->durable && !found) {
        skald_err err = ski_save_submit(sub);

        if (err && sub->cursor) {
            ski_match_remove(&bus->match, sub->filter.types, sub);
            return skald_fail(reterr_error, err, "where %.*s begins could not be stored: %s",
                              SKALD_FMT(sub->name), skald_err_text(err));
        }
        if (err) ski_save_mark(sub); // the start is where it would begin again anyhow
    }
    sub->starting = false;
    sub->at_end = sub->cursor >= atomic_load(&bus->head);
    ski_feed(sub);
    return SKALD_OK;
}

static skald_err subscribe(skald_bus *bus, const skald_subscription_options *options,
                           skald_subscription *ret_subscription, skald_error *reterr_error)
{
    bool found = false;

    SKALD_TRY(options_check(options, reterr_error));
    ski_subscription *sub = sub_new(bus, options);

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

    if (err) sub_remove(sub);
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

static void rings_leave(ski_subscription *sub)
{
    ski_link_leave(&sub->runnable);
    ski_link_leave(&sub->catching);
    ski_link_leave(&sub->notify);
    if (sub->source) ski_hold_drop(sub->source);
    sub->source = NULL;
}

void ski_subscription_halt(ski_subscription *sub, const char *text)
{
    char name[SKI_NAME_BYTES_MAX + 1];

    if (sub->halted || sub->ended) return;
    ski_subscription_error(sub, text);
    sub->halted = true;
    ski_live_leave(sub);
    rings_leave(sub);
    snprintf(name, sizeof(name), "%.*s", SKALD_FMT(sub->name));
    ski_log_line(sub->bus->log, SKALD_ERROR, "a subscription has halted", "subscription",
                 sub->durable ? name : "(transient)", "why", text, NULL);
}

// deliveries_stop: what does not run stays open, for the last checkpoint, and answers are stale.
static void deliveries_stop(ski_subscription *sub)
{
    skald_bus *bus = sub->bus;

    for (ski_delivery *delivery = sub->oldest; delivery; delivery = delivery->newer) {
        if (delivery->state == SKI_RUNNING) continue;
        if (delivery->state == SKI_PENDING) bus->active--;
        ski_timers_clear(&bus->timers, &delivery->timer);
        delivery->state = SKI_WAITING;
    }
    sub->pending = sub->retrying = sub->ready_count = 0;
    for (int i = 0; i < SKI_PRIORITIES; i++) sub->ready[i] = (ski_queue){0};
    if (bus->closing && !bus->active) ski_cond_broadcast(&bus->idle);
}

void ski_subscription_end(ski_subscription *sub, bool forget)
{
    if (sub->ended) return;
    ski_live_leave(sub);
    if (ski_subscription_floor(sub) != sub->saved_floor) sub->dirty = true;
    sub->ended = true;
    sub->forget = forget && sub->durable;
    rings_leave(sub);
    ski_link_leave(&sub->dirties);
    ski_match_remove(&sub->bus->match, sub->filter.types, sub);
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
    if (!sub->forget && !sub->dirty) return true;
    skald_err err = ski_save_submit(sub);

    if (!err) return false;
    ski_log_line(bus->log, SKALD_WARN, "a last checkpoint could not be written", "value",
                 sub->value_name.ptr, "error", skald_err_name(err), NULL);
    return true;
}

void ski_subscription_look(ski_subscription *sub)
{
    if (!sub->ended || sub->running || sub->reading || sub->saving || sub->pins) return;
    if (!ski_link_alone(&sub->gone) || !last_save(sub)) return;
    ski_delivery_drop_all(sub);
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
    while (count < count_max && !sub->ended && !sub->halted && !sub->bus->closing) {
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
    const ski_subscription *sub = name.ptr ? name_find(bus, name) : NULL;

    if (sub && !sub->ended && !sub->starting) found.id = sub->id;
    ski_bus_leave(bus);
    return found;
}

static skald_str sub_state(const ski_subscription *sub)
{
    if (sub->ended) return SKALD_STR("ended");
    if (sub->halted) return SKALD_STR("halted");
    return sub->live ? SKALD_STR("live") : SKALD_STR("catching_up");
}

static bool state_fill(const ski_subscription *sub, skald_arena *arena,
                       skald_subscription_state *state)
{
    uint64_t head = skald_store_head(sub->bus->store);
    skald_str error = skald_str_of(sub->last_error);

    *state = (skald_subscription_state){
        .state = sub_state(sub),
        .id = {sub->id},
        .position = ski_subscription_floor(sub),
        .in_flight = sub->in_flight,
        .retrying = sub->retrying,
        .acked = sub->acked,
        .retried = sub->retried,
        .rejected = sub->rejected,
        .timed_out = sub->timed_out,
        .last_error_at = sub->last_error_at,
        .durable = sub->durable,
    };
    state->lag = head > state->position ? head - state->position : 0;
    if (error.len && !copy_text(arena, error, &state->last_error)) return false;
    return copy_text(arena, sub->name, &state->name) && copy_text(arena, sub->kind, &state->kind) &&
           copy_filter(arena, &sub->filter, &state->filter);
}

skald_err skald_bus_subscriptions(skald_bus *bus, skald_arena *arena,
                                  const skald_subscription_state **ret_states, size_t *ret_count)
{
    skald_err err = SKALD_OK;
    size_t count = 0;

    ski_bus_lock(bus);
    skald_subscription_state *states =
        skald_arena_get(arena, (bus->sub_count + 1) * sizeof(*states));

    if (!states) err = SKALD_ENOMEM;
    for (uint32_t i = 0; i < bus->subscriptions_max && !err; i++) {
        if (!bus->subs[i] || bus->subs[i]->starting) continue;
        if (!state_fill(bus->subs[i], arena, &states[count++])) err = SKALD_ENOMEM;
    }
    ski_bus_leave(bus);
    if (err) return err;
    *ret_states = states;
    *ret_count = count;
    return SKALD_OK;
}
