// SPDX-License-Identifier: Apache-2.0
// Pages and holds.
//
// Invariants:
//   1. A page lives while a hold, the tail or a reader refers to it; what is freed goes on the dead
//      list first, because giving it back to the store is done without the engine lock.
//   2. page_bytes of the bus is the sum over pages alive; held_bytes of a subscription the sum over
//      the pages of its holds, each counted once.
#include "bus/engine.h"

#include "base/alloc.h"

#include <assert.h>

enum { of_no_stream = 1 }; // which is the number of no stream

static size_t event_bytes(const skald_event *event)
{
    return sizeof(*event) + event->data.len + event->metadata.len + event->type.len +
           event->stream.len + event->tags.len + event->correlation_id.len +
           event->causation_id.len;
}

// usual: what nobody has to look at for himself. The same filter for all: one that names nothing.
static bool usual(const skald_event *event)
{
    return !event->metadata.len && !event->traceparent.len && !event->test &&
           !ski_event_hidden(&(const skald_filter){0}, event);
}

ski_page *ski_page_new(skald_bus *bus, const skald_store_page *store_page)
{
    size_t keys = store_page->count * sizeof(uint64_t);
    ski_page *page = ski_alloc_zeroed(1, sizeof(*page) + keys);

    if (!page) return NULL;
    page->store_page = *store_page;
    page->refs = 1;
    page->bytes = sizeof(*page) + keys;
    page->usual = true;
    for (size_t i = 0; i < store_page->count; i++) {
        page->bytes += event_bytes(&store_page->events[i]);
        page->usual = page->usual && usual(&store_page->events[i]);
        page->mixed |= store_page->events[i].priority != store_page->events[0].priority;
    }
    bus->page_bytes += page->bytes;
    return page;
}

void ski_page_unref(skald_bus *bus, ski_page *page)
{
    if (!page) return;
    assert(page->refs);
    if (--page->refs) return;
    bus->page_bytes -= page->bytes;
    page->next = bus->dead_pages;
    bus->dead_pages = page;
}

void ski_pages_free(skald_bus *bus, ski_page *dead)
{
    while (dead) {
        ski_page *next = dead->next;

        if (!dead->own) ski_store_page_free(bus->store, &dead->store_page);
        ski_free(dead);
        dead = next;
    }
}

uint64_t ski_page_key(ski_page *page, size_t index)
{
    assert(!page->own);
    uint64_t key = atomic_load_explicit(&page->keys[index], memory_order_relaxed);

    if (!key) { // two that come at once find the same
        const skald_event *event = &page->store_page.events[index];

        key = event->stream.len ? ski_stream_number(event->tenant, event->stream) : of_no_stream;
        atomic_store_explicit(&page->keys[index], key, memory_order_relaxed);
    }
    return key == of_no_stream ? 0 : key;
}

ski_hold *ski_hold_get(ski_subscription *sub, ski_page *page)
{
    ski_hold *hold = sub->recent;

    if (hold && hold->page == page) {
        hold->refs++;
        return hold;
    }
    hold = ski_alloc(sizeof(*hold));
    if (!hold) return NULL;
    *hold = (ski_hold){page, sub, 1};
    page->refs++;
    sub->held_bytes += page->bytes;
    sub->recent = hold;
    return hold;
}

void ski_hold_drop(ski_hold *hold)
{
    ski_subscription *sub = hold->subscription;

    assert(hold->refs);
    if (--hold->refs) return;
    if (sub->recent == hold) sub->recent = NULL;
    sub->held_bytes -= hold->page->bytes;
    ski_page_unref(sub->bus, hold->page);
    ski_free(hold);
}
