// SPDX-License-Identifier: Apache-2.0
// The life of a subscription while it runs: paused, resumed, drained, set back, deleted.
//
// Paused it takes nothing in and starts nothing; what it holds stays, and it leaves the tail, so
// that it holds no page of others. Drained it takes nothing in; when its window is empty it ends.
// Set back: everything it holds is lost at once but what runs; when that has returned, it stands at
// its new place. Records behind that place go in the same checkpoint, for their events come again.
//
// Invariants:
//   1. paused, draining, resetting, halted: not live, no source.
//   2. A deed with an actor is published before it is done.
#include "bus/engine.h"

#include "base/alloc.h"
#include "base/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool ski_held(const ski_subscription *sub)
{
    return sub->halted || sub->ended || sub->starting || sub->paused || sub->draining ||
           sub->resetting || sub->bus->closing;
}

bool ski_stopped(const ski_subscription *sub)
{
    return sub->halted || sub->ended || sub->paused || sub->resetting || sub->bus->closing;
}

// place_take leaves where it reads: what it holds stays.
static void place_take(ski_subscription *sub)
{
    ski_live_leave(sub);
    sub->at_end = false;
    ski_rings_leave(sub);
}

static void reset_apply(ski_subscription *sub)
{
    sub->resetting = false;
    sub->cursor = sub->reset_to;
    sub->resume = NULL;
    sub->resume_count = sub->resume_index = 0;
    sub->source_resumes = false;
    sub->read_failures = 0;
    sub->saved_floor = 0;
    for (uint32_t i = 0; i < sub->aside_count; i++)
        if (sub->asides[i]->about.position > sub->cursor) ski_aside_remove(sub->asides[i]);
    ski_save_mark(sub);
    ski_feed(sub);
    ski_runnable_look(sub);
}

void ski_life_look(ski_subscription *sub)
{
    if (sub->ended) return;
    if (sub->resetting && !sub->running) reset_apply(sub);
    if (!sub->draining || sub->reading) return;
    bool idle = !sub->running && !sub->pending && !sub->outs;

    if (!sub->in_flight || ((sub->paused || sub->halted) && idle)) ski_subscription_end(sub, false);
}

// deed publishes what is about to be done, if somebody does it. Fails: STALE, as a publish.
static skald_err deed(skald_bus *bus, skald_subscription subscription, const char *what,
                      const char *members, const skald_actor *by, skald_error *reterr_error)
{
    char text[SKI_NAME_BYTES_MAX + 1] = "";
    skald_err err = SKALD_ESTALE;

    ski_bus_lock(bus);
    const ski_subscription *sub = ski_subscription_find(bus, subscription.id);

    if (sub) {
        err = SKALD_OK;
        snprintf(text, sizeof(text), "%.*s", SKALD_FMT(sub->name));
    }
    ski_bus_leave(bus);
    if (err || !by) return err;
    return ski_audit(bus, what, skald_str_of(text), by, members, reterr_error);
}

// What is done to one that was found. Fails: STATE.
typedef skald_err life_fn(ski_subscription *sub);

static skald_err life_do(skald_bus *bus, skald_subscription subscription, const char *what,
                         const skald_actor *by, life_fn *fn)
{
    skald_err err = deed(bus, subscription, what, NULL, by, NULL);

    if (err) return err;
    ski_bus_lock(bus);
    ski_subscription *sub = ski_subscription_find(bus, subscription.id);

    err = sub ? fn(sub) : SKALD_ESTALE;
    ski_bus_leave(bus);
    return err;
}

static skald_err pause_now(ski_subscription *sub)
{
    if (sub->paused) return SKALD_OK;
    (void)ski_claims_return(sub->bus, sub);
    sub->paused = true;
    place_take(sub);
    sub->about_dirty = sub->durable;
    ski_save_mark(sub);
    ski_life_look(sub);
    return SKALD_OK;
}

static skald_err resume_now(ski_subscription *sub)
{
    if (sub->draining) return SKALD_ESTATE;
    if (sub->paused) sub->about_dirty = sub->durable;
    sub->paused = sub->halted = false;
    sub->read_failures = 0;
    ski_active(sub);
    ski_delivery_resume(sub);
    ski_save_mark(sub);
    ski_feed(sub);
    ski_runnable_look(sub);
    return SKALD_OK;
}

static skald_err drain_now(ski_subscription *sub)
{
    if (sub->draining) return SKALD_ESTATE;
    sub->draining = true;
    place_take(sub);
    ski_subscription_look(sub);
    return SKALD_OK;
}

skald_err skald_subscription_pause(skald_bus *bus, skald_subscription subscription,
                                   const skald_actor *by)
{
    return life_do(bus, subscription, "paused", by, pause_now);
}

skald_err skald_subscription_resume(skald_bus *bus, skald_subscription subscription,
                                    const skald_actor *by)
{
    return life_do(bus, subscription, "resumed", by, resume_now);
}

skald_err skald_subscription_drain(skald_bus *bus, skald_subscription subscription,
                                   const skald_actor *by)
{
    return life_do(bus, subscription, "drained", by, drain_now);
}

static skald_err reset_place(skald_bus *bus, const skald_reset *to, uint64_t *ret_place,
                             skald_error *reterr_error)
{
    uint64_t head = skald_store_head(bus->store);

    if ((unsigned)to->from > SKALD_FROM_END || (to->from && (to->after || to->from_time)) ||
        (to->after && to->from_time))
        return skald_fail_at(reterr_error, SKALD_EINVALID, "to", "say one place");
    if (to->after > head)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "position",
                             "position %" PRIu64 " is behind the end of the log, %" PRIu64,
                             to->after, head);
    if (to->from_time) return ski_place_time(bus->store, to->from_time, ret_place, reterr_error);
    *ret_place = to->from == SKALD_FROM_END ? head : to->after;
    return SKALD_OK;
}

static void reset_begin(ski_subscription *sub, uint64_t place)
{
    (void)ski_claims_return(sub->bus, sub);
    place_take(sub);
    sub->read_epoch++;
    ski_delivery_lose(sub);
    ski_releases_stop(sub);
    sub->halted = false;
    sub->resetting = true;
    sub->reset_to = place;
    ski_life_look(sub);
}

skald_err skald_subscription_reset(skald_bus *bus, skald_subscription subscription,
                                   const skald_reset *to, const skald_actor *by,
                                   skald_error *reterr_error)
{
    char members[64];
    uint64_t place = 0;

    SKALD_TRY(reset_place(bus, to, &place, reterr_error));
    snprintf(members, sizeof(members), "\"position\":%" PRIu64, place);
    skald_err err = deed(bus, subscription, "reset", members, by, reterr_error);

    if (err) return err;
    ski_bus_lock(bus);
    ski_subscription *sub = ski_subscription_find(bus, subscription.id);

    if (!sub)
        err = SKALD_ESTALE;
    else if (sub->draining)
        err = skald_fail(reterr_error, SKALD_ESTATE, "it drains and will end");
    else
        reset_begin(sub, place);
    ski_bus_leave(bus);
    return err;
}

// name_keys gathers the values kept under a name nobody runs.
typedef struct kept {
    skald_arena *arena;
    skald_str name;
    skald_store_value values[1024];
    size_t count;
} kept;

static bool kept_add(void *context, const skald_store_value *value)
{
    kept *of = context;
    skald_str name;
    uint64_t origin;

    if (!ski_aside_split(value->name, &name, &origin) || !skald_str_equal(name, of->name))
        return true;
    skald_str copy = skald_arena_copy(of->arena, value->name);

    if (!copy.ptr) return false; // as many as there is room for: there is another round
    of->values[of->count++] = (skald_store_value){.name = copy};
    return of->count < sizeof(of->values) / sizeof(*of->values) - 2;
}

// kept_drop removes records some at a time, and with the last what says where it stood.
static skald_err kept_drop(skald_bus *bus, skald_str name, kept *of)
{
    for (bool more = true; more;) {
        of->count = 0;
        SKALD_TRY(ski_store_value_each(bus->store, SKALD_STR("aside/"), kept_add, of));
        more = of->count == sizeof(of->values) / sizeof(*of->values) - 2;
        if (!more) {
            of->values[of->count].name = skald_arena_print(of->arena, "sub/%.*s", SKALD_FMT(name));
            of->values[of->count++].bytes = (skald_str){0};
            of->values[of->count].name =
                skald_arena_print(of->arena, "about/%.*s", SKALD_FMT(name));
            of->values[of->count++].bytes = (skald_str){0};
        }
        SKALD_TRY(ski_values_commit(bus, of->values, of->count));
        skald_arena_reset(of->arena);
    }
    ski_store_release(bus->store, name);
    return SKALD_OK;
}

static skald_err delete_kept(skald_bus *bus, skald_str name)
{
    kept *of = ski_alloc_zeroed(1, sizeof(*of));
    skald_err err = of ? skald_arena_new(1 << 20, &of->arena) : SKALD_ENOMEM;

    if (!err) {
        of->name = name;
        err = kept_drop(bus, name, of);
        skald_arena_free(of->arena);
    }
    ski_free(of);
    return err;
}

static bool is_kept(skald_bus *bus, skald_str name)
{
    char value_name[SKI_NAME_BYTES_MAX + 8];
    skald_buf bytes = {.bytes_max = SKI_CHECKPOINT_BYTES_MAX};

    if (!name.len || name.len > SKI_NAME_BYTES_MAX) return false;
    snprintf(value_name, sizeof(value_name), "sub/%.*s", SKALD_FMT(name));
    skald_err err = ski_store_value_get(bus->store, skald_str_of(value_name), &bytes);

    skald_buf_fini(&bytes);
    return err != SKALD_ENOTFOUND;
}

skald_err skald_subscription_delete(skald_bus *bus, skald_str name, const skald_actor *by)
{
    skald_subscription running = skald_bus_find(bus, name);

    if (ski_str_begins(name, SKALD_STR(SKI_INTERNAL_PREFIX))) return SKALD_ENOTFOUND;
    if (!running.id && !is_kept(bus, name)) return SKALD_ENOTFOUND;
    if (by) SKALD_TRY(ski_audit(bus, "deleted", name, by, NULL, NULL));
    if (running.id) return skald_unsubscribe(bus, running, true);
    return delete_kept(bus, name);
}
