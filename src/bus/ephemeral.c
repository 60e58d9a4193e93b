// SPDX-License-Identifier: Apache-2.0
// Events that are not kept: typing, cursors, presence.
//
// They are copied into a page that was never stored and offered, on the publisher's thread, to each
// subscription without a name that runs now. From there on a delivery is as any other: keys,
// priorities, retries. There is no log to lag behind on, so what finds no room in a window is
// dropped and counted.
#include "bus/engine.h"

#include "base/alloc.h"
#include "bus/bus.h"

#include <assert.h>
#include <string.h>

static skald_str *const *texts_of(skald_event *event, skald_str *ret_texts[12])
{
    skald_str *const texts[12] = {&event->type,   &event->data,           &event->metadata,
                                  &event->stream, &event->tags,           &event->tenant,
                                  &event->user,   &event->correlation_id, &event->causation_id,
                                  &event->role,   &event->source,         &event->traceparent};

    memcpy(ret_texts, texts, sizeof(texts));
    return ret_texts;
}

// page_make copies the events into one block: the page, the events, their texts.
static ski_page *page_make(skald_bus *bus, const skald_event *events, size_t count)
{
    size_t size = sizeof(ski_page) + count * sizeof(*events);
    skald_str *texts[12];

    for (size_t i = 0; i < count; i++) {
        skald_event event = events[i];

        texts_of(&event, texts);
        for (size_t j = 0; j < 12; j++) size += texts[j]->len;
    }
    ski_page *page = ski_alloc(size);

    if (!page) return NULL;
    *page = (ski_page){.own = true, .refs = 1, .bytes = size};
    page->store_page = (skald_store_page){.events = (skald_event *)(page + 1), .count = count};
    char *at = (char *)(page->store_page.events + count);

    for (size_t i = 0; i < count; i++) {
        skald_event *event = &page->store_page.events[i];

        *event = events[i];
        event->position = event->stream_version = 0;
        event->recorded_at = ski_bus_now(bus);
        texts_of(event, texts);
        for (size_t j = 0; j < 12; j++) {
            if (!texts[j]->len) continue;
            memcpy(at, texts[j]->ptr, texts[j]->len);
            texts[j]->ptr = at;
            at += texts[j]->len;
        }
    }
    return page;
}

static void offer_one(ski_subscription *sub, ski_page *page, size_t index)
{
    const skald_event *event = &page->store_page.events[index];

    if (sub->durable || sub->halted || sub->ended || sub->starting || sub->paused || sub->draining)
        return;
    if ((event->test && !sub->takes_tests) || !skald_filter_matches(&sub->filter, event)) return;
    if (sub->run && sub->run->tray)
        (void)ski_page_run_break(sub->run); // whose room is all there is
    ski_key key = ski_key_of(sub, event);
    ski_hold *hold = ski_window_open(sub) ? ski_hold_get(sub, page) : NULL;

    if (hold && ski_delivery_add(sub, hold, event, &key, NULL)) return;
    if (hold) ski_hold_drop(hold);
    sub->dropped++;
    atomic_fetch_add_explicit(&sub->bus->transient_dropped, 1, memory_order_relaxed);
}

uint64_t ski_delivery_number(const skald_delivery *delivery)
{
    const skald_event *event = delivery->event;

    if (event->position) return 0;
    const ski_page *page = ((const ski_call *)delivery)->delivery->hold->page;
    assert(page->own && event >= page->store_page.events &&
           event < page->store_page.events + page->store_page.count);
    return page->first + (uint64_t)(event - page->store_page.events);
}

uint64_t ski_bus_number(const skald_bus *bus)
{
    return atomic_load_explicit(&bus->transient_published, memory_order_relaxed);
}

void ski_ephemeral_offer(skald_bus *bus, const skald_event *events, size_t count)
{
    ski_page *page = page_make(bus, events, count);

    if (!page) { // as if nobody had room
        atomic_fetch_add_explicit(&bus->transient_published, count, memory_order_relaxed);
        atomic_fetch_add_explicit(&bus->transient_dropped, count, memory_order_relaxed);
        return;
    }
    ski_bus_lock(bus);
    // Numbered under the lock: they rise for every subscription.
    page->first =
        atomic_fetch_add_explicit(&bus->transient_published, count, memory_order_relaxed) + 1;
    bus->page_bytes += page->bytes;
    for (size_t i = 0; i < count && !bus->closing; i++) ski_offer_each(bus, page, i, offer_one);
    ski_page_unref(bus, page);
    ski_bus_leave(bus);
}
