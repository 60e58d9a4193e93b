// SPDX-License-Identifier: Apache-2.0
// Dead letters and parked keys for people: listed, released, skipped, edited.
//
// Those of a running subscription are in its memory, all others in the store; a list is put
// together from both. A deed is published as an audit event before it is done, without the lock, so
// what it is about is looked for again afterwards.
#include "bus/engine.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { count_default = 100, count_limit = 10000 };

// Listing: the count_max smallest by (subscription, position) are kept, in order.

typedef struct listing {
    const skald_aside_query *query;
    skald_bus *bus;
    skald_arena *arena;
    skald_aside *items;
    size_t count, size;
    skald_str *running; // names whose records are in memory
    size_t running_count;
    skald_err err;
} listing;

static int place_compare(skald_str a, uint64_t a_position, skald_str b, uint64_t b_position)
{
    int order = ski_str_compare(a, b);

    if (order) return order;
    return a_position < b_position ? -1 : a_position > b_position;
}

static bool meant(const listing *of, skald_str subscription, const ski_aside_about *about)
{
    const skald_aside_query *query = of->query;
    bool both = !query->dead && !query->parked;

    if (about->kind == SKI_ASIDE_LATER) return false;
    if (!both && !(about->kind == SKI_ASIDE_DEAD ? query->dead : query->parked)) return false;
    if (query->subscription.ptr && !skald_str_equal(query->subscription, subscription))
        return false;
    if (query->tenant.ptr &&
        (query->tenant.len != about->tenant.len ||
         (about->tenant.len && !skald_str_equal(query->tenant, about->tenant))))
        return false;
    return !query->after_subscription.ptr ||
           place_compare(subscription, about->position, query->after_subscription,
                         query->after_position) > 0;
}

static bool text_copy(skald_arena *arena, skald_str text, skald_str *ret_text)
{
    *ret_text = text.len ? skald_arena_copy(arena, text) : (skald_str){0};
    return !text.len || ret_text->ptr;
}

static bool item_fill(skald_arena *arena, skald_str subscription, const ski_aside_about *about,
                      skald_aside *item)
{
    *item = (skald_aside){.position = about->position,
                          .event_id = about->event_id,
                          .attempts = about->attempts,
                          .first_at = about->first_at,
                          .last_at = about->last_at,
                          .waiting = about->waiting,
                          .parked = about->kind == SKI_ASIDE_PARKED,
                          .releasing = about->releasing};
    return text_copy(arena, subscription, &item->subscription) &&
           text_copy(arena, about->type, &item->type) &&
           text_copy(arena, about->stream, &item->stream) &&
           text_copy(arena, about->tenant, &item->tenant) &&
           text_copy(arena, item->parked ? about->key : (skald_str){0}, &item->key) &&
           text_copy(arena, about->error, &item->error) &&
           text_copy(arena, about->data, &item->data);
}

// listing_add puts one in its place; the last goes when there is no room.
static bool listing_add(listing *of, skald_str subscription, const ski_aside_about *about)
{
    size_t place = of->count;

    while (place && place_compare(subscription, about->position, of->items[place - 1].subscription,
                                  of->items[place - 1].position) < 0)
        place--;
    if (place == of->size) return true;
    skald_aside item;

    if (!item_fill(of->arena, subscription, about, &item)) {
        of->err = SKALD_ENOMEM;
        return false;
    }
    if (of->count == of->size) of->count--;
    memmove(&of->items[place + 1], &of->items[place], (of->count - place) * sizeof(item));
    of->items[place] = item;
    of->count++;
    return true;
}

// list_running also notes whose are in memory: those in the store are not looked at then.
static void list_running(listing *of)
{
    skald_bus *bus = of->bus;

    of->running = skald_arena_get(of->arena, (bus->sub_count + 1) * sizeof(*of->running));
    if (!of->running) of->err = SKALD_ENOMEM;
    for (uint32_t i = 0; i < bus->subscriptions_max && !of->err; i++) {
        const ski_subscription *sub = bus->subs[i];

        if (!sub || sub->starting || !sub->durable) continue;
        if (!text_copy(of->arena, sub->name, &of->running[of->running_count++]))
            of->err = SKALD_ENOMEM;
        for (uint32_t j = 0; j < sub->aside_count && !of->err; j++) {
            const ski_aside *aside = sub->asides[j];

            if (!aside->gone && meant(of, sub->name, &aside->about))
                (void)listing_add(of, sub->name, &aside->about);
        }
    }
}

static bool list_stored(void *context, const skald_store_value *value)
{
    listing *of = context;
    ski_aside_about about;
    skald_str name;
    uint64_t origin;

    if (!ski_aside_split(value->name, &name, &origin)) return true;
    for (size_t i = 0; i < of->running_count; i++)
        if (skald_str_equal(of->running[i], name)) return true;
    if (ski_aside_decode(value->bytes, &about, NULL) || !meant(of, name, &about)) return true;
    return listing_add(of, name, &about);
}

skald_err skald_bus_asides(skald_bus *bus, const skald_aside_query *query, skald_arena *arena,
                           const skald_aside **ret_asides, size_t *ret_count)
{
    listing of = {.query = query, .bus = bus, .arena = arena};

    of.size = query->count_max ? query->count_max : count_default;
    if (of.size > count_limit) return SKALD_EINVALID;
    of.items = skald_arena_get(arena, (of.size + 1) * sizeof(*of.items));
    if (!of.items) return SKALD_ENOMEM;
    ski_bus_lock(bus);
    list_running(&of);
    ski_bus_leave(bus);
    if (!of.err) SKALD_TRY(ski_store_value_each(bus->store, SKALD_STR("aside/"), list_stored, &of));
    if (of.err) return of.err;
    *ret_asides = of.items;
    *ret_count = of.count;
    return SKALD_OK;
}

// Deeds.

static bool key_is(const ski_aside *aside, const skald_aside_id *id)
{
    const ski_aside_about *about = &aside->about;

    return about->kind == SKI_ASIDE_PARKED && skald_str_equal(about->key, id->key) &&
           (!id->tenant.ptr || (about->tenant.len == id->tenant.len &&
                                (!id->tenant.len || skald_str_equal(about->tenant, id->tenant))));
}

// deed_find gives the record if something may be done to it now. Under the lock.
static skald_err deed_find(skald_bus *bus, const skald_aside_id *id, ski_aside **ret_aside,
                           skald_error *reterr_error)
{
    ski_subscription *sub = ski_name_find(bus, id->subscription);
    ski_aside *aside = NULL;

    if (!sub || sub->starting || sub->ended)
        return skald_fail(reterr_error, SKALD_ESTATE,
                          "nobody runs a subscription of that name: start it first");
    if (id->position) aside = ski_aside_at(sub, id->position);
    for (uint32_t i = 0; i < sub->aside_count && !id->position && !aside; i++)
        if (!sub->asides[i]->gone && key_is(sub->asides[i], id)) aside = sub->asides[i];
    if (!aside || aside->about.kind == SKI_ASIDE_LATER ||
        (id->tenant.ptr && (aside->about.tenant.len != id->tenant.len ||
                            (id->tenant.len && !skald_str_equal(aside->about.tenant, id->tenant)))))
        return skald_fail(reterr_error, SKALD_ENOTFOUND, "nothing of that kind is set aside");
    if (aside->about.releasing)
        return skald_fail(reterr_error, SKALD_ESTATE, "it is being delivered again already");
    *ret_aside = aside;
    return SKALD_OK;
}

// deed_tell publishes it: which event, of which key.
static skald_err deed_tell(skald_bus *bus, const char *what, const skald_aside_id *id,
                           const skald_actor *by, skald_error *reterr_error)
{
    char event_id[SKALD_UUID_TEXT + 1] = "";
    skald_buf members = {.bytes_max = 3072};
    ski_aside *aside;

    ski_bus_lock(bus);
    skald_err err = deed_find(bus, id, &aside, reterr_error);

    if (!err) {
        skald_uuid_print(aside->about.event_id, event_id);
        err = ski_buf_print(&members, "\"position\":%" PRIu64 ",\"eventId\":\"%s\",\"key\":",
                            aside->about.position, event_id);
        if (!err) err = ski_json_put_string(&members, aside->about.key);
        if (!err) err = skald_buf_put(&members, (skald_str){"\0", 1});
    }
    ski_bus_leave(bus);
    if (!err) err = ski_audit(bus, what, id->subscription, by, members.ptr, reterr_error);
    skald_buf_fini(&members);
    return err;
}

skald_err skald_aside_release(skald_bus *bus, const skald_aside_id *id, const skald_actor *by,
                              skald_error *reterr_error)
{
    ski_aside *aside;

    SKALD_TRY(deed_tell(bus, "released", id, by, reterr_error));
    ski_bus_lock(bus);
    skald_err err = deed_find(bus, id, &aside, reterr_error);

    if (!err) ski_release(aside);
    ski_bus_leave(bus);
    return err;
}

skald_err skald_aside_discard(skald_bus *bus, const skald_aside_id *id, const skald_actor *by,
                              skald_error *reterr_error)
{
    ski_aside *aside = NULL;

    ski_bus_lock(bus);
    skald_err err = deed_find(bus, id, &aside, reterr_error);
    bool parked = !err && aside->about.kind == SKI_ASIDE_PARKED;

    ski_bus_leave(bus);
    if (!err) err = deed_tell(bus, parked ? "skipped" : "discarded", id, by, reterr_error);
    if (err) return err;
    ski_bus_lock(bus);
    err = deed_find(bus, id, &aside, reterr_error);
    if (!err) ski_release_skip(aside);
    ski_bus_leave(bus);
    return err;
}

// edit_find finds one that can be edited: what it says now is in the store.
static skald_err edit_find(skald_bus *bus, const skald_aside_id *id, ski_aside **ret_aside,
                           skald_error *reterr_error)
{
    SKALD_TRY(deed_find(bus, id, ret_aside, reterr_error));
    if ((*ret_aside)->stored) return SKALD_OK;
    return skald_fail(reterr_error, SKALD_EUNAVAILABLE, "it is being stored; try again");
}

skald_err skald_aside_edit(skald_bus *bus, const skald_aside_id *id, skald_json data,
                           const skald_actor *by, skald_error *reterr_error)
{
    ski_aside *aside;

    if (data.len > SKI_ASIDE_DATA_BYTES_MAX)
        return skald_fail_at(reterr_error, SKALD_ETOOBIG, "data", "it is at most %d bytes",
                             (int)SKI_ASIDE_DATA_BYTES_MAX);
    if (!data.len) return skald_fail_at(reterr_error, SKALD_EINVALID, "data", "it is missing");
    SKALD_TRY(ski_json_door_check(data, false, reterr_error));
    ski_bus_lock(bus);
    skald_err err = edit_find(bus, id, &aside, reterr_error);

    ski_bus_leave(bus);
    if (!err) err = deed_tell(bus, "edited", id, by, reterr_error);
    if (err) return err;
    ski_bus_lock(bus);
    err = edit_find(bus, id, &aside, reterr_error);
    if (!err) {
        ski_aside_about about = aside->about;

        about.data = data;
        if (!ski_aside_say(aside, &about))
            err = skald_fail(reterr_error, SKALD_ENOMEM, "no memory");
    }
    if (!err) ski_release(aside);
    ski_bus_leave(bus);
    return err;
}

// release_one releases one of those listed. False: it is not there any more, or under way.
static bool release_one(skald_bus *bus, const skald_aside *item)
{
    const skald_aside_id id = {.subscription = item->subscription, .position = item->position};
    ski_aside *aside;

    ski_bus_lock(bus);
    bool found = !deed_find(bus, &id, &aside, NULL);

    if (found) ski_release(aside);
    ski_bus_leave(bus);
    return found;
}

skald_err skald_aside_release_all(skald_bus *bus, const skald_aside_query *query,
                                  const skald_actor *by, uint32_t *ret_count,
                                  skald_error *reterr_error)
{
    const skald_aside *items;
    skald_arena *arena;
    size_t count = 0;
    uint32_t released = 0;

    SKALD_TRY(skald_arena_new(64 << 20, &arena));
    skald_err err = skald_bus_asides(bus, query, arena, &items, &count);

    for (size_t i = 0, same; i < count && !err; i += same) {
        char members[32];

        for (same = 1; i + same < count; same++)
            if (!skald_str_equal(items[i + same].subscription, items[i].subscription)) break;
        if (!skald_bus_find(bus, items[i].subscription).id) continue;
        snprintf(members, sizeof(members), "\"count\":%zu", same);
        err = ski_audit(bus, "released", items[i].subscription, by, members, reterr_error);
        for (size_t j = 0; j < same && !err; j++) released += release_one(bus, &items[i + j]);
    }
    skald_arena_free(arena);
    if (!err) *ret_count = released;
    return err;
}
