// SPDX-License-Identifier: Apache-2.0
// The registry: everything that consumes, how it does, and who has gone.
//
// What is known of a name beside its position is the value "about/NAME":
//
//   "SKN" version 1 (bytes.h): flags  stale_after_s  active_at  kind
//
// It is written when the subscription begins, is paused or resumed, and every so often while it
// lives, so that its last sign is known when nobody runs it any more. Once a second the running
// ones are looked over (rates, lag, complaints held back, how much of the log they hold), once a
// minute the names nobody runs. A name without a sign for stale_after_s is reported once and holds
// back no retention from then on; a sign makes it as any other.
//
// Invariants:
//   1. A hold is never above what the name would read next: the floor, or the first record whose
//      event is still to be read.
//   2. Nothing is read from the store under the engine lock.
#include "bus/engine.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "bus/bytes.h"
#include "bus/registry.h"

#include <stdlib.h>
#include <string.h>

enum {
    version_now = 1,
    flag_paused = 1,
    flag_stale = 2,
    tick_ms = 1000,
    sample_ms = 5000, // rates are over one to two of these
    scan_ms = 60000,
    sign_parts = 8, // a sign is written that often within stale_after_s
    kind_bytes_max = 32,
    us_per_s = 1000000,
};

static const char magic[3] = {'S', 'K', 'N'};
static const char about_prefix[] = "about/";
static const char sub_prefix[] = "sub/";

// About a name.

skald_err ski_about_name(skald_str subscription, skald_buf *buf)
{
    return ski_buf_print(buf, "%s%.*s", about_prefix, SKALD_FMT(subscription));
}

static skald_err about_put(const ski_about *about, skald_buf *buf)
{
    size_t start;

    SKALD_TRY(ski_bytes_begin(buf, magic, version_now, &start));
    SKALD_TRY(ski_bytes_number(buf, (about->paused ? flag_paused : 0U) |
                                        (about->stale ? flag_stale : 0U)));
    SKALD_TRY(ski_bytes_number(buf, about->stale_after_s));
    SKALD_TRY(ski_bytes_number(buf, (uint64_t)about->active_at));
    SKALD_TRY(ski_bytes_text(buf, about->kind));
    return ski_bytes_end(buf, start);
}

skald_err ski_about_decode(skald_str bytes, ski_about *ret_about, skald_error *reterr_error)
{
    uint64_t flags, stale_after_s, active_at;
    skald_str body, kind;

    SKALD_TRY(ski_bytes_open(bytes, magic, version_now, &body, reterr_error));
    if (!ski_bytes_take_number(&body, &flags) || flags > (flag_paused | flag_stale) ||
        !ski_bytes_take_number(&body, &stale_after_s) || stale_after_s > UINT32_MAX ||
        !ski_bytes_take_number(&body, &active_at) || !ski_bytes_take_text(&body, &kind) ||
        kind.len > kind_bytes_max || body.len)
        return skald_fail(reterr_error, SKALD_ECORRUPT, "what is stored of it does not add up");
    *ret_about = (ski_about){.paused = flags & flag_paused,
                             .stale = flags & flag_stale,
                             .stale_after_s = (uint32_t)stale_after_s,
                             .active_at = (skald_time)active_at,
                             .kind = kind};
    return SKALD_OK;
}

// sign_at is the last sign of its consumer, in the clock's time.
static skald_time sign_at(const ski_subscription *sub)
{
    uint64_t ago_ns = ski_bus_now_ns(sub->bus) - sub->active_ns;

    return ski_bus_now(sub->bus) - (skald_time)(ago_ns / 1000);
}

skald_err ski_about_encode(ski_subscription *sub, skald_buf *buf)
{
    sub->active_at = sign_at(sub);
    return about_put(&(ski_about){.paused = sub->paused,
                                  .stale = sub->stale,
                                  .stale_after_s = sub->stale_after_s,
                                  .active_at = sub->active_at,
                                  .kind = sub->kind},
                     buf);
}

skald_err ski_about_load(ski_subscription *sub, skald_error *reterr_error)
{
    skald_buf name = {.bytes_max = SKI_NAME_BYTES_MAX + 16};
    skald_buf bytes = {.bytes_max = 256};
    ski_about about = {0};
    skald_err err = ski_about_name(sub->name, &name);

    if (!err) err = ski_store_value_get(sub->bus->store, ski_buf_str(&name), &bytes);
    if (!err) err = ski_about_decode(ski_buf_str(&bytes), &about, reterr_error);
    if (!err) sub->paused = about.paused;
    skald_buf_fini(&name);
    skald_buf_fini(&bytes);
    return err == SKALD_ENOTFOUND ? SKALD_OK : err;
}

void ski_active(ski_subscription *sub)
{
    if (!sub->paused) sub->active_ns = ski_bus_now_ns(sub->bus);
}

// What is held of the log.

void ski_hold_tell(ski_subscription *sub)
{
    uint64_t read = ski_subscription_floor(sub), floor = read;

    if (!sub->durable || sub->starting || sub->stale) return;
    for (uint32_t i = 0; i < sub->aside_count; i++) {
        const ski_aside *aside = sub->asides[i];

        if (aside->gone || (aside->about.kind == SKI_ASIDE_DEAD && !aside->about.releasing))
            continue;
        if (aside->about.origin <= floor) floor = aside->about.origin - 1;
        break;
    }
    if (sub->held && sub->held_floor == floor && sub->held_read == read) return;
    sub->held = !ski_store_hold(sub->bus->store, sub->name, floor, read, NULL);
    sub->held_floor = floor;
    sub->held_read = read;
}

// Those nobody runs.

typedef struct scan {
    skald_arena *arena;
    ski_registered *items;
    size_t count, size;
    skald_err err;
} scan;

static bool scan_sub(void *context, const skald_store_value *value)
{
    scan *of = context;
    skald_arena *open;
    ski_checkpoint at;

    if (of->count == of->size) {
        size_t size = of->size ? of->size * 2 : 64;
        ski_registered *items = ski_realloc(of->items, size * sizeof(*items));

        if (!items) of->err = SKALD_ENOMEM;
        if (!items) return false;
        of->items = items;
        of->size = size;
    }
    ski_registered *item = &of->items[of->count];
    skald_str name = {value->name.ptr + sizeof(sub_prefix) - 1,
                      value->name.len - (sizeof(sub_prefix) - 1)};

    *item = (ski_registered){.name = skald_arena_copy(of->arena, name)};
    of->err = item->name.ptr ? skald_arena_new(4 << 20, &open) : SKALD_ENOMEM;
    if (of->err) return false;
    item->known = !ski_checkpoint_decode(value->bytes, open, &at, NULL);
    if (item->known) item->floor = item->hold = ski_checkpoint_floor(&at);
    skald_arena_free(open);
    of->count++;
    return true;
}

static int by_name(const void *a, const void *b)
{
    return ski_str_compare(((const ski_registered *)a)->name, ((const ski_registered *)b)->name);
}

static ski_registered *scan_find(const scan *of, skald_str name)
{
    const ski_registered key = {.name = name};

    return of->count ? bsearch(&key, of->items, of->count, sizeof(key), by_name) : NULL;
}

static bool scan_about(void *context, const skald_store_value *value)
{
    scan *of = context;
    skald_str name = {value->name.ptr + sizeof(about_prefix) - 1,
                      value->name.len - (sizeof(about_prefix) - 1)};
    ski_registered *item = scan_find(of, name);

    if (!item || ski_about_decode(value->bytes, &item->about, NULL)) return true;
    item->about.kind = skald_arena_copy(of->arena, item->about.kind);
    return true;
}

static bool scan_aside(void *context, const skald_store_value *value)
{
    scan *of = context;
    ski_aside_about about;
    skald_str name;
    uint64_t origin;
    ski_registered *item =
        ski_aside_split(value->name, &name, &origin) ? scan_find(of, name) : NULL;

    if (!item || ski_aside_decode(value->bytes, &about, NULL)) return true;
    item->parked += about.kind == SKI_ASIDE_PARKED;
    item->dead += about.kind == SKI_ASIDE_DEAD;
    if (about.kind != SKI_ASIDE_DEAD && origin && origin - 1 < item->hold) item->hold = origin - 1;
    return true;
}

skald_err ski_registered_scan(skald_bus *bus, skald_arena *arena, ski_registered **ret_items,
                              size_t *ret_count)
{
    scan of = {.arena = arena};
    skald_err err = ski_store_value_each(bus->store, skald_str_of(sub_prefix), scan_sub, &of);

    if (!err) err = of.err;
    if (of.count) qsort(of.items, of.count, sizeof(*of.items), by_name);
    if (!err) err = ski_store_value_each(bus->store, skald_str_of(about_prefix), scan_about, &of);
    if (!err) err = ski_store_value_each(bus->store, SKALD_STR("aside/"), scan_aside, &of);
    if (err) {
        ski_free(of.items);
        return err;
    }
    *ret_items = of.items;
    *ret_count = of.count;
    return SKALD_OK;
}

static void gone_tell(skald_bus *bus, ski_registered *item, skald_time idle_us)
{
    skald_buf name = {.bytes_max = SKI_NAME_BYTES_MAX + 16};
    skald_buf bytes = {.bytes_max = 256};

    ski_store_release(bus->store, item->name);
    item->about.stale = true;
    if (!ski_about_name(item->name, &name) && !about_put(&item->about, &bytes)) {
        const skald_store_value value = {ski_buf_str(&name), ski_buf_str(&bytes)};

        // Unwritten it is reported once more after a restart.
        if (ski_values_commit(bus, &value, 1)) name.len = 0;
    }
    skald_buf_fini(&name);
    skald_buf_fini(&bytes);
    ski_bus_lock(bus);
    ski_notice(bus, SKI_NOTICE_STALE, item->name, NULL, NULL, (uint64_t)(idle_us / us_per_s));
    ski_mutex_unlock(&bus->lock);
}

static void hold_again(skald_bus *bus, const ski_registered *item)
{
    if (ski_store_hold(bus->store, item->name, item->hold, item->floor, NULL))
        ski_log_line(bus->log, SKALD_WARN, "the log is not held for a subscription", NULL);
}

// registered_look holds the log for one nobody runs, or says that it is gone.
static void registered_look(skald_bus *bus, ski_registered *item, bool at_start)
{
    skald_time after_us = (skald_time)item->about.stale_after_s * us_per_s;
    skald_time idle_us = ski_bus_now(bus) - item->about.active_at;

    if (!item->known || item->about.stale) return;
    if (!at_start && item->about.active_at && item->about.stale_after_s != UINT32_MAX &&
        idle_us > after_us + after_us / sign_parts)
        gone_tell(bus, item, idle_us);
    else if (at_start)
        hold_again(bus, item);
}

static bool runs(skald_bus *bus, skald_str name)
{
    ski_bus_lock(bus);
    bool found = ski_name_find(bus, name) != NULL;

    ski_mutex_unlock(&bus->lock);
    return found;
}

void ski_registered_look(skald_bus *bus, bool at_start)
{
    ski_registered *items = NULL;
    skald_arena *arena;
    size_t count = 0;

    if (skald_arena_new(64 << 20, &arena)) return;
    if (!ski_registered_scan(bus, arena, &items, &count))
        for (size_t i = 0; i < count; i++)
            if (!runs(bus, items[i].name)) registered_look(bus, &items[i], at_start);
    ski_free(items);
    skald_arena_free(arena);
    if (at_start) ski_store_holds_declare(bus->store);
}

// Those that run.

static void lag_look(ski_subscription *sub)
{
    uint64_t head = atomic_load(&sub->bus->head), cursor = ski_subscription_cursor(sub);
    uint64_t lag = head > cursor ? head - cursor : 0;

    if (!sub->durable || sub->paused) return;
    if (!sub->lagging && lag > sub->lag_events_max) {
        sub->lagging = true;
        ski_notice(sub->bus, SKI_NOTICE_LAGGING, sub->name, NULL, NULL, lag);
    } else if (sub->lagging && lag <= sub->lag_events_max / 2) {
        sub->lagging = false;
        ski_notice(sub->bus, SKI_NOTICE_RECOVERED, sub->name, "LAGGING", NULL, lag);
    }
    if (sub->faulted_told && !sub->halted) {
        sub->faulted_told = false;
        ski_notice(sub->bus, SKI_NOTICE_RECOVERED, sub->name, "FAULTED", NULL, lag);
    }
}

// stale_look: a function is always there; who pulls gives a sign, who is paused gives none.
static void stale_look(ski_subscription *sub)
{
    skald_bus *bus = sub->bus;
    uint64_t after_ns = (uint64_t)sub->stale_after_s * us_per_s * 1000;

    if (!sub->durable) return;
    if (!sub->pull) ski_active(sub);
    uint64_t idle_ns = ski_bus_now_ns(bus) - sub->active_ns;
    bool stale = sub->stale_after_s != UINT32_MAX && idle_ns > after_ns;

    if (stale != sub->stale) {
        sub->stale = stale;
        sub->held = false;
        sub->about_dirty = true;
        ski_save_mark(sub);
        if (stale) {
            ski_store_release(bus->store, sub->name);
            ski_notice(bus, SKI_NOTICE_STALE, sub->name, NULL, NULL, idle_ns / us_per_s / 1000);
        }
    }
    skald_time unwritten_us = sign_at(sub) - sub->active_at;

    if (sub->stale_after_s == UINT32_MAX || stale) return;
    if (unwritten_us < (skald_time)sub->stale_after_s * us_per_s / sign_parts) return;
    sub->about_dirty = true;
    ski_save_mark(sub);
}

static void sample_look(ski_subscription *sub, uint64_t now)
{
    if (now - sub->samples[1].at_ns < sample_ms * SKI_NS_PER_MS) return;
    sub->samples[0] = sub->samples[1];
    sub->samples[1] = (ski_sample){now, sub->taken, sub->acked};
}

void ski_registry_tick(skald_bus *bus)
{
    uint64_t now = ski_bus_now_ns(bus);

    if (now - bus->tick_ns < tick_ms * SKI_NS_PER_MS || bus->closing) return;
    bus->tick_ns = now;
    for (uint32_t i = 0; i < bus->subscriptions_max; i++) {
        ski_subscription *sub = bus->subs[i];

        if (!sub || sub->starting || sub->ended) continue;
        sample_look(sub, now);
        lag_look(sub);
        stale_look(sub);
        ski_hold_tell(sub);
        ski_complaints_tell(sub);
    }
    if (now - bus->scanned_ns < scan_ms * SKI_NS_PER_MS) return;
    bus->scanned_ns = now;
    ski_mutex_unlock(&bus->lock);
    ski_registered_look(bus, false);
    ski_mutex_lock(&bus->lock);
}

// For people.

static skald_str sub_state(const ski_subscription *sub)
{
    if (sub->ended) return SKALD_STR("stopped");
    if (sub->halted) return SKALD_STR("faulted");
    if (sub->draining) return SKALD_STR("draining");
    if (sub->paused) return SKALD_STR("paused");
    return SKALD_STR("running");
}

static void rates_fill(const ski_subscription *sub, skald_subscription_state *state)
{
    const ski_sample *from = &sub->samples[sub->samples[0].at_ns ? 0 : 1];
    uint64_t now = ski_bus_now_ns(sub->bus);

    if (!from->at_ns || now <= from->at_ns) return;
    double seconds = (double)(now - from->at_ns) / 1e9;

    state->in_per_s = (double)(sub->taken - from->in) / seconds;
    state->out_per_s = (double)(sub->acked - from->out) / seconds;
}

static bool copied(skald_arena *arena, skald_str text, skald_str *ret_text)
{
    *ret_text = text.len ? skald_arena_copy(arena, text) : (skald_str){0};
    return !text.len || ret_text->ptr;
}

static bool state_fill(const ski_subscription *sub, skald_arena *arena,
                       skald_subscription_state *state)
{
    uint64_t head = skald_store_head(sub->bus->store);

    *state = (skald_subscription_state){
        .state = sub_state(sub),
        .id = {sub->id},
        .position = ski_subscription_floor(sub),
        .in_flight = sub->in_flight + (sub->run != NULL),
        .retrying = sub->retrying,
        .acked = sub->acked,
        .retried = sub->retried,
        .rejected = sub->rejected,
        .timed_out = sub->timed_out,
        .last_error_at = sub->last_error_at,
        .durable = sub->durable,
        .live = sub->live,
        .lagging = sub->lagging,
        .stale = sub->stale,
        .parked = sub->parked_count,
        .dead = sub->dead_count,
        .expired = sub->expired,
        .dropped = sub->dropped,
        .active_at = sign_at(sub),
        .order = sub->order,
        .on_exhausted = sub->on_exhausted,
        .timeout_ms = sub->retry.timeout_ms,
    };
    state->lag = head > state->position ? head - state->position : 0;
    rates_fill(sub, state);
    return copied(arena, skald_str_of(sub->last_error), &state->last_error) &&
           copied(arena, sub->name, &state->name) && copied(arena, sub->kind, &state->kind) &&
           copied(arena, sub->key_pointer, &state->key_pointer) &&
           ski_filter_copy(arena, &sub->filter, &state->filter) &&
           ski_filter_fold(sub->bus, &state->filter);
}

static void registered_fill(const ski_registered *item, uint64_t head,
                            skald_subscription_state *state)
{
    *state = (skald_subscription_state){
        .name = item->name,
        .kind = item->about.kind,
        .state = SKALD_STR("registered"),
        .position = item->floor,
        .lag = head > item->floor ? head - item->floor : 0,
        .durable = true,
        .stale = item->about.stale,
        .parked = item->parked,
        .dead = item->dead,
        .active_at = item->about.active_at,
    };
}

skald_err skald_bus_subscriptions(skald_bus *bus, skald_arena *arena,
                                  const skald_subscription_state **ret_states, size_t *ret_count)
{
    uint64_t head = skald_store_head(bus->store);
    ski_registered *items = NULL;
    size_t count = 0, known = 0;
    skald_err err = ski_registered_scan(bus, arena, &items, &known);

    if (err) return err;
    ski_bus_lock(bus);
    skald_subscription_state *states =
        skald_arena_get(arena, (bus->sub_count + known + 1) * sizeof(*states));

    if (!states) err = SKALD_ENOMEM;
    for (uint32_t i = 0; i < bus->subscriptions_max && !err; i++) {
        if (!bus->subs[i] || bus->subs[i]->starting || bus->subs[i]->internal) continue;
        if (!state_fill(bus->subs[i], arena, &states[count++])) err = SKALD_ENOMEM;
    }
    for (size_t i = 0; i < known && !err; i++)
        if (!ski_name_find(bus, items[i].name) &&
            !ski_str_begins(items[i].name, SKALD_STR(SKI_INTERNAL_PREFIX)))
            registered_fill(&items[i], head, &states[count++]);
    ski_bus_leave(bus);
    ski_free(items);
    if (err) return err;
    *ret_states = states;
    *ret_count = count;
    return SKALD_OK;
}
