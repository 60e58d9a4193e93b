// SPDX-License-Identifier: Apache-2.0
// Later, and until when.
//
// There is no second queue. An event with a time is stored at once inside a system.scheduled, which
// only those see that name that type. A subscription of the bus's own takes each, sets it aside
// until its time (a record with a timer, aside.h) and then publishes the event within, with the id
// it was given at first: a repetition is harmless. To cancel is to drop the record.
//
// Until when is "expiresAt" in an event's metadata; delivery.c passes over what is too late.
#include "bus/engine.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

static const char schedule_name[] = SKI_INTERNAL_PREFIX "schedule";

enum {
    wrapped_more = 8192, // an envelope beside its texts
    settle_ms = 1000,    // how long a cancellation waits for what was just scheduled
    settle_step_ms = 10,
};

// Until when.

static skald_err expiry_of(skald_event *event, skald_time at, skald_buf *extra,
                           skald_error *reterr_error)
{
    char text[SKALD_TIME_TEXT + 1];
    skald_str rest = ski_str_trim(event->metadata);
    size_t start = extra->len;

    if (ski_expiry(event))
        return skald_fail_at(reterr_error, SKALD_EINVALID, "expiresAt",
                             "it stands in the metadata already");
    skald_time_print(at, text);
    SKALD_TRY(ski_buf_print(extra, "{\"expiresAt\":\"%s\"", text));
    if (rest.len) {
        ski_json_walk walk = {.rest = rest};
        ski_json_item item;

        rest = (skald_str){rest.ptr + 1, rest.len - 1};
        if (ski_json_next(&walk, &item)) SKALD_TRY(ski_buf_byte(extra, ','));
        SKALD_TRY(skald_buf_put(extra, rest));
    } else {
        SKALD_TRY(ski_buf_byte(extra, '}'));
    }
    event->metadata = (skald_str){extra->ptr + start, extra->len - start};
    if (event->metadata.len > SKALD_METADATA_BYTES_MAX)
        return skald_fail_at(reterr_error, SKALD_ETOOBIG, "metadata", "it is at most %d bytes",
                             (int)SKALD_METADATA_BYTES_MAX);
    return SKALD_OK;
}

skald_err ski_expiry_put(skald_event *events, size_t count, skald_time at, skald_buf *extra,
                         skald_error *reterr_error)
{
    extra->bytes_max = SKALD_APPEND_BYTES_MAX * 2;
    size_t room = 0;

    // Texts are pointed to while others follow, so all room is made before.
    for (size_t i = 0; i < count; i++) room += events[i].metadata.len + SKALD_TIME_TEXT + 32;
    SKALD_TRY(ski_buf_room(extra, room));
    for (size_t i = 0; i < count; i++) SKALD_TRY(expiry_of(&events[i], at, extra, reterr_error));
    return SKALD_OK;
}

// Later.

static skald_err wrap_one(const skald_event *event, skald_time at, skald_buf *buf,
                          skald_event *wrapped)
{
    char text[SKALD_TIME_TEXT + 1];
    size_t start = buf->len;

    skald_time_print(at, text);
    SKALD_TRY(ski_buf_print(buf, "{\"deliverAt\":\"%s\",\"event\":", text));
    SKALD_TRY(skald_event_json(event, false, buf));
    SKALD_TRY(ski_buf_byte(buf, '}'));
    *wrapped = (skald_event){.type = SKALD_STR(SKI_SCHEDULED_TYPE),
                             .data = {buf->ptr + start, buf->len - start},
                             .id = skald_uuid_named(event->id, SKALD_STR(SKI_SCHEDULED_TYPE)),
                             .tenant = event->tenant,
                             .correlation_id = event->correlation_id,
                             .user = event->user,
                             .role = event->role,
                             .source = event->source,
                             .occurred_at = event->occurred_at};
    return SKALD_OK;
}

static size_t wrapped_room(const skald_event *event)
{
    // Each byte of a text may be written as six.
    return event->data.len + event->metadata.len + wrapped_more +
           6 * (event->type.len + event->stream.len + event->tags.len + event->tenant.len +
                event->correlation_id.len + event->causation_id.len + event->user.len +
                event->role.len + event->source.len + event->traceparent.len);
}

static uint32_t waiting(skald_bus *bus)
{
    ski_bus_lock(bus);
    const ski_subscription *sub = ski_name_find(bus, skald_str_of(schedule_name));
    uint32_t count = sub ? sub->later_count + sub->in_flight : 0;

    ski_bus_leave(bus);
    return count;
}

skald_err ski_schedule_wrap(skald_bus *bus, const skald_event *events, size_t count, skald_time at,
                            skald_buf *buf, skald_error *reterr_error)
{
    size_t room = sizeof(skald_event) * count;

    SKALD_TRY(ski_schedule_begin(bus, false));
    if (waiting(bus) + count > bus->schedule_events_max)
        return skald_fail(reterr_error, SKALD_EFULL, "%u events wait for their time already",
                          (unsigned)bus->schedule_events_max);
    for (size_t i = 0; i < count; i++) room += wrapped_room(&events[i]);
    // The events and, behind them, their data: all room is made before anything is pointed to.
    buf->bytes_max = (size_t)SKALD_EVENT_BYTES_LIMIT * 8;
    if (ski_buf_room(buf, room)) return skald_fail(reterr_error, SKALD_ENOMEM, "out of memory");
    skald_event *wrapped = (skald_event *)(void *)buf->ptr;

    buf->len = sizeof(*wrapped) * count;
    for (size_t i = 0; i < count; i++) {
        if (wrap_one(&events[i], at, buf, &wrapped[i]))
            return skald_fail(reterr_error, SKALD_ETOOBIG, "it could not be written down");
        if (wrapped[i].data.len > bus->event_bytes_max)
            return skald_fail_at(reterr_error, SKALD_ETOOBIG, "data",
                                 "with its envelope it is larger than an event may be");
    }
    return SKALD_OK;
}

// unwrap reads what a system.scheduled holds. Fails: INVALID, NOMEM.
static skald_err unwrap(skald_json data, skald_arena *arena, skald_time *ret_at,
                        skald_event *ret_event, skald_error *reterr_error)
{
    ski_json_walk walk = {.rest = data};
    ski_json_item item;
    skald_time at = 0;
    skald_json inner = {0};

    if (ski_json_kind_of(data) != SKI_JSON_OBJECT)
        return skald_fail(reterr_error, SKALD_EINVALID, "it is no object");
    while (ski_json_next(&walk, &item)) {
        if (skald_str_equal(item.key, SKALD_STR("event"))) inner = item.value;
        if (!skald_str_equal(item.key, SKALD_STR("deliverAt")) || item.kind != SKI_JSON_STRING)
            continue;
        SKALD_TRY(skald_time_parse((skald_str){item.value.ptr + 1, item.value.len - 2}, &at));
    }
    if (!at || !inner.len)
        return skald_fail(reterr_error, SKALD_EINVALID, "deliverAt or event is missing");
    *ret_at = at;
    return skald_event_parse(inner, false, arena, ret_event, reterr_error);
}

static skald_outcome later(const skald_delivery *delivery, const skald_event *inner, skald_time at)
{
    return ski_delivery_later(delivery, &(ski_aside_about){
                                            .origin = delivery->event->position,
                                            .position = delivery->event->position,
                                            .last = delivery->event->position,
                                            .kind = SKI_ASIDE_LATER,
                                            .due_at = at,
                                            .event_id = inner->id,
                                            .key = inner->type,
                                            .tenant = delivery->event->tenant,
                                            .type = delivery->event->type,
                                            .stream = inner->stream,
                                        });
}

skald_outcome ski_schedule_take(const skald_delivery *delivery)
{
    skald_event inner = {0};
    skald_error error = {0};
    skald_time at = 0;
    skald_err err = unwrap(delivery->event->data, delivery->scratch, &at, &inner, &error);

    if (err && skald_err_retriable(err)) return skald_retry(delivery, 0, "%s", error.text);
    if (err) return skald_reject(delivery, "%s", error.text);
    if (at > ski_bus_now(delivery->bus)) return later(delivery, &inner, at);
    inner.position = inner.stream_version = 0;
    inner.recorded_at = 0;
    err = skald_publish(delivery->bus, inner, &(skald_publish_options){.reterr_error = &error});
    if (!err) return SKALD_ACK;
    if (err == SKALD_ECLOSED || skald_err_retriable(err))
        return skald_retry(delivery, 0, "%s", error.text);
    return skald_reject(delivery, "%s", error.text);
}

static bool known(skald_bus *bus)
{
    skald_buf bytes = {.bytes_max = SKI_CHECKPOINT_BYTES_MAX};
    skald_err err =
        ski_store_value_get(bus->store, SKALD_STR("sub/" SKI_INTERNAL_PREFIX "schedule"), &bytes);

    skald_buf_fini(&bytes);
    return err != SKALD_ENOTFOUND;
}

// ski_schedule_begin starts the subscription that keeps the time, if it does not run.
skald_err ski_schedule_begin(skald_bus *bus, bool known_only)
{
    const skald_str type = SKALD_STR(SKI_SCHEDULED_TYPE);
    const skald_subscription_options options = {
        .name = schedule_name,
        .kind = "schedule",
        .filter.types = {&type, 1},
        .handler.fn = ski_schedule_take,
        .order = SKALD_UNORDERED,
        .retry.attempts_max = UINT32_MAX,
        .on_exhausted = SKALD_DEAD_LETTER,
        .takes_tests = true,
        .stale_after_s = UINT32_MAX,
        .lag_events_max = UINT64_MAX,
    };
    skald_subscription made;

    if (skald_bus_find(bus, skald_str_of(schedule_name)).id) return SKALD_OK;
    if (known_only && !known(bus)) return SKALD_OK;
    skald_err err = skald_subscribe(bus, &options, &made, NULL);

    return err == SKALD_EEXISTS ? SKALD_OK : err;
}

// For people.

static bool scheduled_fill(const ski_aside_about *about, skald_arena *arena, skald_scheduled *item)
{
    *item = (skald_scheduled){.event_id = about->event_id,
                              .type = skald_arena_copy(arena, about->key),
                              .deliver_at = about->due_at,
                              .position = about->position};
    if (about->stream.len) item->stream = skald_arena_copy(arena, about->stream);
    if (about->tenant.len) item->tenant = skald_arena_copy(arena, about->tenant);
    return item->type.ptr && (!about->stream.len || item->stream.ptr) &&
           (!about->tenant.len || item->tenant.ptr);
}

static bool scheduled_meant(const ski_aside *aside, skald_str tenant)
{
    if (aside->gone || aside->about.kind != SKI_ASIDE_LATER) return false;
    return !tenant.ptr || (tenant.len == aside->about.tenant.len &&
                           (!tenant.len || skald_str_equal(tenant, aside->about.tenant)));
}

skald_err skald_bus_scheduled(skald_bus *bus, skald_str tenant, uint64_t after, uint32_t count_max,
                              skald_arena *arena, const skald_scheduled **ret_scheduled,
                              size_t *ret_count)
{
    size_t count = 0;

    ski_bus_lock(bus);
    const ski_subscription *sub = ski_name_find(bus, skald_str_of(schedule_name));
    uint32_t most = sub && sub->aside_count < count_max ? sub->aside_count : count_max;
    skald_scheduled *items = skald_arena_get(arena, (most + 1) * sizeof(*items));
    skald_err err = items ? SKALD_OK : SKALD_ENOMEM;

    for (uint32_t i = 0; sub && i < sub->aside_count && count < most && !err; i++) {
        const ski_aside *aside = sub->asides[i];

        if (aside->about.position <= after || !scheduled_meant(aside, tenant)) continue;
        if (!scheduled_fill(&aside->about, arena, &items[count++])) err = SKALD_ENOMEM;
    }
    ski_bus_leave(bus);
    if (err) return err;
    *ret_scheduled = items;
    *ret_count = count;
    return SKALD_OK;
}

static ski_aside *scheduled_find(skald_bus *bus, skald_str tenant, skald_uuid event_id)
{
    const ski_subscription *sub = ski_name_find(bus, skald_str_of(schedule_name));

    for (uint32_t i = 0; sub && i < sub->aside_count; i++) {
        ski_aside *aside = sub->asides[i];

        if (scheduled_meant(aside, tenant) && !aside->about.releasing &&
            skald_uuid_equal(aside->about.event_id, event_id))
            return aside;
    }
    return NULL;
}

// taken_in waits until what was scheduled before has its record.
static void taken_in(skald_bus *bus)
{
    uint64_t head = skald_store_head(bus->store);

    for (int i = 0; i < settle_ms / settle_step_ms && !bus->stepped; i++) {
        const ski_subscription *sub = ski_name_find(bus, skald_str_of(schedule_name));

        if (!sub || (ski_subscription_floor(sub) >= head) || bus->closing) return;
        ski_cond_wait_ns(&bus->idle, &bus->lock, settle_step_ms * SKI_NS_PER_MS);
    }
}

skald_err skald_schedule_cancel(skald_bus *bus, skald_str tenant, skald_uuid event_id,
                                const skald_actor *by)
{
    char id[SKALD_UUID_TEXT + 1], members[64];

    skald_uuid_print(event_id, id);
    snprintf(members, sizeof(members), "\"eventId\":\"%s\"", id);
    ski_bus_lock(bus);
    if (!scheduled_find(bus, tenant, event_id)) taken_in(bus);
    bool found = scheduled_find(bus, tenant, event_id) != NULL;

    ski_bus_leave(bus);
    if (!found) return SKALD_ENOTFOUND;
    if (by)
        SKALD_TRY(ski_audit(bus, "unscheduled", skald_str_of(schedule_name), by, members, NULL));
    ski_bus_lock(bus);
    ski_aside *aside = scheduled_find(bus, tenant, event_id);

    if (aside) ski_aside_remove(aside);
    ski_bus_leave(bus);
    return aside ? SKALD_OK : SKALD_ENOTFOUND;
}
