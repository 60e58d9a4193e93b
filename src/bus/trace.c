// SPDX-License-Identifier: Apache-2.0
// What belongs together: the events of a correlation id as a tree, and who received each.
//
// The events are read from the log, the tree is made of their causation ids. What became of an
// event at a subscription is worked out from where that stands: in its window, among what was set
// aside, not reached yet, or done. When something was acked is remembered for the last ones only.
#include "bus/engine.h"

#include "base/str.h"

#include <string.h>

enum { events_default = 1000, events_limit = 10000 };

static bool text_copy(skald_arena *arena, skald_str *text)
{
    if (!text->len) {
        *text = (skald_str){0};
        return true;
    }
    *text = skald_arena_copy(arena, *text);
    return text->ptr != NULL;
}

static const skald_event *event_copy(skald_arena *arena, const skald_event *event)
{
    skald_event *copy = skald_arena_get(arena, sizeof(*copy));

    if (!copy) return NULL;
    *copy = *event;
    skald_str *const texts[] = {&copy->type,   &copy->data,           &copy->metadata,
                                &copy->stream, &copy->tags,           &copy->tenant,
                                &copy->user,   &copy->correlation_id, &copy->causation_id,
                                &copy->role,   &copy->source,         &copy->traceparent};

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        if (!text_copy(arena, texts[i])) return NULL;
    return copy;
}

// Reading them.

typedef struct tracing {
    skald_bus *bus;
    skald_arena *arena;
    skald_trace_node *nodes;
    size_t count, size;
    bool truncated;
} tracing;

static skald_err page_take(tracing *of, const skald_store_page *page, skald_error *reterr_error)
{
    for (size_t i = 0; i < page->count; i++) {
        if (ski_event_hidden(&(skald_filter){0}, &page->events[i])) continue;
        if (of->count == of->size) {
            of->truncated = true;
            return SKALD_OK;
        }
        const skald_event *event = event_copy(of->arena, &page->events[i]);

        if (!event) return skald_fail(reterr_error, SKALD_ENOMEM, "out of memory");
        of->nodes[of->count++] = (skald_trace_node){.event = event, .parent = SKALD_TRACE_ROOT};
    }
    return SKALD_OK;
}

static skald_err events_read(tracing *of, skald_str tenant, skald_str correlation_id,
                             skald_error *reterr_error)
{
    skald_store *store = of->bus->store;
    skald_read read = {.filter = {.tenant = tenant,
                                  .correlation_id = correlation_id,
                                  .priority_min = SKALD_NORMAL}};

    for (bool end = false; !end && !of->truncated;) {
        skald_store_page page = {0};

        SKALD_TRY(ski_store_page(store, &read, &page, reterr_error));
        skald_err err = page_take(of, &page, reterr_error);

        end = page.end || page.position_next <= read.after;
        read.after = page.position_next;
        ski_store_page_free(store, &page);
        if (err) return err;
    }
    return SKALD_OK;
}

// The tree.

static void parent_find(tracing *of, size_t index)
{
    skald_trace_node *node = &of->nodes[index];
    skald_str cause = node->event->causation_id;
    skald_uuid id;

    if (!cause.len || skald_uuid_parse(cause, &id)) return;
    for (size_t i = index; i-- > 0;) {
        if (!skald_uuid_equal(of->nodes[i].event->id, id)) continue;
        node->parent = (uint32_t)i;
        node->delay_us = node->event->recorded_at - of->nodes[i].event->recorded_at;
        return;
    }
}

// What became of them.

static const ski_delivery *window_find(const ski_subscription *sub, uint64_t position)
{
    const ski_delivery *delivery = sub->newest;

    while (delivery && delivery->event->position > position) delivery = delivery->older;
    return delivery && delivery->event->position == position ? delivery : NULL;
}

static bool resumes_at(const ski_subscription *sub, uint64_t position)
{
    for (size_t i = sub->resume_index; i < sub->resume_count; i++)
        if (sub->resume[i] == position) return true;
    return false;
}

// outcome_done is of what is behind: acked, or passed over. Of one that was to expire and whose end
// is not remembered both may be, and it is said.
static void outcome_done(const ski_subscription *sub, const skald_event *event,
                         skald_trace_delivery *out)
{
    skald_time expires_at = ski_expiry(event);

    out->outcome = "acked";
    for (uint32_t i = 1; sub->acks && i <= SKI_ACKS; i++) { // the last first
        const ski_ack *ack = &sub->acks[(sub->acks_next - i) % SKI_ACKS];

        if (event->position < ack->first || event->position > ack->last) continue;
        if (ack->expired) out->outcome = "expired";
        out->at = ack->at;
        return;
    }
    if (expires_at && expires_at <= ski_bus_now(sub->bus))
        out->reason = SKALD_STR("or expired: it is not remembered which");
}

static bool outcome_aside(const ski_subscription *sub, const skald_event *event,
                          skald_trace_delivery *out)
{
    const ski_aside *aside = sub->aside_count ? ski_aside_at(sub, event->position) : NULL;

    if (!aside && sub->parked_count) {
        ski_key key = ski_key_of((ski_subscription *)sub, event);

        if (key.shared) aside = ski_parked_find(sub, key.hash, key.tenant, key.key);
        if (aside &&
            (event->position < aside->about.position || event->position > aside->about.last))
            aside = NULL;
    }
    if (!aside) return false;
    out->outcome = aside->about.kind == SKI_ASIDE_PARKED ? "parked" : "dead";
    if (aside->about.releasing) out->outcome = "retrying";
    if (aside->about.position != event->position) return true; // it waits behind
    out->at = aside->about.last_at;
    out->reason = aside->about.error;
    return true;
}

static void outcome_find(const ski_subscription *sub, const skald_event *event,
                         skald_trace_delivery *out)
{
    const ski_delivery *delivery = window_find(sub, event->position);

    *out = (skald_trace_delivery){.subscription = sub->name, .outcome = "behind"};
    if (!skald_filter_matches(&sub->filter, event)) {
        out->outcome = "filtered";
    } else if (event->test && !sub->takes_tests) {
        out->outcome = "filtered";
        out->reason = SKALD_STR("test");
    } else if (outcome_aside(sub, event, out)) {
        // said
    } else if (delivery || ski_trays_have(sub, event->position)) {
        if (delivery && delivery->failed_at) {
            out->outcome = "retrying";
            out->at = delivery->failed_at;
            out->reason = skald_str_of(sub->last_error);
        } else if (sub->paused) {
            out->outcome = "paused";
        }
    } else if (event->position > ski_subscription_cursor(sub) || resumes_at(sub, event->position)) {
        if (sub->paused) out->outcome = "paused";
    } else {
        outcome_done(sub, event, out);
    }
    if (out->at) out->delay_us = out->at - event->recorded_at;
}

// deliveries_fill runs under the lock. False: no memory.
static bool deliveries_fill(tracing *of, skald_trace_node *node)
{
    skald_bus *bus = of->bus;
    skald_trace_delivery *made = skald_arena_get(of->arena, (bus->sub_count + 1) * sizeof(*made));

    if (!made) return false;
    node->deliveries = made;
    for (uint32_t i = 0; i < bus->subscriptions_max; i++) {
        const ski_subscription *sub = bus->subs[i];

        if (!sub || !sub->durable || sub->internal || sub->starting || sub->ended) continue;
        outcome_find(sub, node->event, &made[node->delivery_count]);
        if (!text_copy(of->arena, &made[node->delivery_count].subscription) ||
            !text_copy(of->arena, &made[node->delivery_count].reason))
            return false;
        node->delivery_count++;
    }
    return true;
}

skald_err skald_bus_trace(skald_bus *bus, skald_str tenant, skald_str correlation_id,
                          uint32_t events_max, skald_arena *arena, skald_trace *ret_trace,
                          skald_error *reterr_error)
{
    tracing of = {.bus = bus, .arena = arena, .size = events_max ? events_max : events_default};
    bool filled = true;

    if (!correlation_id.len || of.size > events_limit)
        return skald_fail(reterr_error, SKALD_EINVALID,
                          "a correlation id, and at most %d events, are needed", (int)events_limit);
    of.nodes = skald_arena_get(arena, of.size * sizeof(*of.nodes));
    if (!of.nodes) return skald_fail(reterr_error, SKALD_ENOMEM, "out of memory");
    SKALD_TRY(events_read(&of, tenant, correlation_id, reterr_error));
    if (!of.count)
        return skald_fail(reterr_error, SKALD_ENOTFOUND, "no event has this correlation id");
    for (size_t i = 0; i < of.count && filled; i++) {
        parent_find(&of, i);
        ski_bus_lock(bus);
        filled = deliveries_fill(&of, &of.nodes[i]);
        ski_bus_leave(bus);
    }
    if (!filled) return skald_fail(reterr_error, SKALD_ENOMEM, "out of memory");
    *ret_trace = (skald_trace){of.nodes, of.count, of.truncated};
    return SKALD_OK;
}
