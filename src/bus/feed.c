// SPDX-License-Identifier: Apache-2.0
// From pages into a subscription's window, and between the tail and its own reading.
//
// The join rule. A subscription may go live at any moment (under the engine lock) at which its
// cursor is not behind the tail's: from then on the tail offers it what comes, and what is not
// above its cursor is skipped. So nothing is missed and nothing comes twice, wherever the two
// stand. While nobody is live the tail rests; the first to reach the end sets it to its own cursor.
//
// Invariants:
//   1. live: no source, nothing to resume, cursor or tail (the greater) says what was offered.
//   2. Not live: one of a source, a place in the ring of those to be read for, being read for, a
//   full window (the next end of a delivery looks again), a timer, ski_held.
#include "bus/engine.h"

#include "bus/checkpoint.h"
#include "store/sight.h"

#include <assert.h>
#include <string.h>

enum { memory_again_ms = 100 };

// ski_window_open: may another delivery, or page, be taken? One that holds nothing always may, so
// that a limit shared with others cannot stop it for ever.
bool ski_window_open(const ski_subscription *sub)
{
    uint32_t run = !sub->run ? 0 : sub->run->tray ? sub->run->room : 1;

    if (sub->in_flight + run >= sub->in_flight_max) return false;
    return !sub->in_flight || (sub->held_bytes < SKI_HELD_BYTES_MAX &&
                               sub->bus->page_bytes < sub->bus->pages_bytes_max);
}

uint64_t ski_subscription_cursor(const ski_subscription *sub)
{
    return sub->live && sub->bus->tail > sub->cursor ? sub->bus->tail : sub->cursor;
}

uint64_t ski_subscription_floor(const ski_subscription *sub)
{
    uint64_t out = ski_trays_oldest(sub);

    if (sub->oldest && sub->oldest->event->position < out) return sub->oldest->event->position - 1;
    if (sub->trays_first) return out - 1;
    if (sub->resume_index < sub->resume_count) return sub->resume[sub->resume_index] - 1;
    return ski_subscription_cursor(sub);
}

static bool resumes(const ski_subscription *sub)
{
    return sub->resume_index < sub->resume_count;
}

void ski_live_leave(ski_subscription *sub)
{
    if (!sub->live) return;
    sub->cursor = ski_subscription_cursor(sub);
    sub->live = false;
    sub->at_end = false;
    sub->bus->live_count--;
}

void ski_source_set(ski_subscription *sub, ski_page *page, size_t index, bool end)
{
    assert(!sub->source && !sub->live);
    ski_link_leave(&sub->catching); // nothing is to be read for it now
    sub->source = ski_hold_get(sub, page);
    sub->source_index = index;
    sub->source_resumes = false;
    sub->blocked = false;
    sub->at_end = end;
}

bool ski_event_hidden(const skald_filter *filter, const skald_event *event)
{
    if (ski_reserved_hidden(filter, event)) return true;
    const skald_str type = SKALD_STR(SKI_SCHEDULED_TYPE);

    if (event->type.len != type.len || !skald_str_equal(event->type, type)) return false;
    for (size_t i = 0; i < filter->types.count; i++)
        if (skald_str_equal(filter->types.items[i], type)) return false;
    return true;
}

// page_index gives the first event of a page above position.
static size_t page_index(const ski_page *page, uint64_t position)
{
    size_t low = 0, high = page->store_page.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (page->store_page.events[middle].position > position)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

// at_tail: nobody is live, but it is where the tail has just come to.
static bool at_tail(const ski_subscription *sub)
{
    return sub->cursor == sub->bus->tail && sub->cursor &&
           ski_kept_at(&sub->bus->tail_pages, sub->cursor - 1);
}

// live_join goes live if it may. The pages that were read last serve those just behind, so that
// they are read once, and catching up ends however fast events come.
static bool live_join(ski_subscription *sub)
{
    skald_bus *bus = sub->bus;

    if (resumes(sub)) return false;
    bool joins = bus->live_count ? sub->cursor >= bus->tail : at_tail(sub);

    if (!joins && !bus->live_count && sub->at_end) {
        bus->tail = bus->tail_swept = sub->cursor;
        bus->tail_epoch++;
        bus->tail_checked = 0;
        joins = true;
    }
    if (!joins) {
        ski_page *page = ski_page_at(bus, sub->cursor);

        if (!page) return false;
        ski_source_set(sub, page, page_index(page, sub->cursor), false);
        if (!sub->source) ski_bus_timer_set(bus, &sub->timer, memory_again_ms);
        return false;
    }
    ski_link_leave(&sub->catching);
    sub->live = true;
    bus->live_count++;
    if (!ski_looked_after(bus)) ski_bus_stir(bus);
    return true;
}

static void source_end(ski_subscription *sub)
{
    const skald_store_page *page = &sub->source->page->store_page;

    if (sub->source_resumes) {
        while (resumes(sub) &&
               (sub->at_end || sub->resume[sub->resume_index] <= page->position_next))
            sub->resume_index++; // erased meanwhile, or not meant any more: done
        sub->at_end = false;
    } else if (page->position_next > sub->cursor) {
        sub->cursor = page->position_next;
    }
    ski_hold_drop(sub->source);
    sub->source = NULL;
    ski_save_passed(sub);
}

// wanted: is this event of the source to be delivered?
static bool wanted(ski_subscription *sub, const skald_event *event)
{
    if (event->test && !sub->takes_tests) return false;
    if (ski_event_hidden(&sub->filter, event)) return false;
    if (!sub->source_resumes)
        return event->position > sub->cursor && skald_filter_matches(&sub->filter, event);
    while (resumes(sub) && sub->resume[sub->resume_index] < event->position) sub->resume_index++;
    return resumes(sub) && sub->resume[sub->resume_index] == event->position &&
           skald_filter_matches(&sub->filter, event);
}

// hold_event puts one event into the window, or behind what is parked. False: no memory now.
static bool hold_event(ski_subscription *sub, ski_page *page, const skald_event *event)
{
    ski_key key = ski_key_of(sub, event);

    if (sub->parked_count && ski_parked_keeps(sub, event, &key)) return true;
    ski_hold *hold = ski_hold_get(sub, page);

    if (!hold) return false;
    if (ski_delivery_add(sub, hold, event, &key, NULL)) return true;
    ski_hold_drop(hold);
    return false;
}

// source_feed moves events from the source into the window. True: the source is used up.
static bool source_feed(ski_subscription *sub)
{
    ski_page *page = sub->source->page;

    for (; sub->source_index < page->store_page.count; sub->source_index++) {
        const skald_event *event = &page->store_page.events[sub->source_index];

        if (ski_page_run_waits(sub)) {
            ski_runnable_look(sub);
            return false;
        }
        if (!ski_window_open(sub)) return false;
        if (sub->source_resumes && !resumes(sub)) break;
        if (wanted(sub, event) && !hold_event(sub, page, event)) {
            ski_bus_timer_set(sub->bus, &sub->timer, memory_again_ms);
            return false;
        }
        if (sub->source_resumes)
            sub->resume_index += resumes(sub) && sub->resume[sub->resume_index] <= event->position;
        else if (event->position > sub->cursor)
            sub->cursor = event->position;
        sub->blocked = false;
    }
    return true;
}

void ski_feed(ski_subscription *sub)
{
    skald_bus *bus = sub->bus;

    if (!ski_link_alone(&sub->release_waits) || !ski_link_alone(&sub->releases))
        ski_releases_feed(sub);
    while (!sub->live && !sub->reading && !ski_held(sub)) {
        if (sub->source) {
            if (!source_feed(sub)) return;
            source_end(sub);
        }
        if (live_join(sub)) return;
        if (sub->source) continue;
        if (!ski_window_open(sub) || sub->timer.place) return;
        ski_link_append(&bus->catching, &sub->catching);
        if (!ski_looked_after(bus)) ski_cond_signal(&bus->read);
        return;
    }
}

void ski_offer_each(skald_bus *bus, ski_page *page, size_t index, ski_offer_fn *offer)
{
    const ski_match_list *lists[SKI_MATCH_LISTS_MAX];
    uint32_t count = ski_match_find(&bus->match, &page->store_page.events[index], lists);

    bus->offers++;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < lists[i]->count; j++) {
            ski_subscription *sub = lists[i]->items[j];

            if (sub->offered == bus->offers) continue; // found by two of its names
            sub->offered = bus->offers;
            offer(sub, page, index);
        }
}

void ski_offer(ski_subscription *sub, ski_page *page, size_t index)
{
    const skald_event *event = &page->store_page.events[index];

    if (!sub->live || event->position <= sub->cursor) return;
    if (event->test && !sub->takes_tests) return;
    if (ski_event_hidden(&sub->filter, event)) return;
    if (!skald_filter_matches(sub->by_type ? &sub->rest : &sub->filter, event)) return;
    if (ski_page_run_takes(sub, page, index)) {
        ski_live_leave(sub);
        ski_source_set(sub, page, index, false);
        if (sub->source)
            ski_feed(sub); // this one may be none for a run
        else
            ski_bus_timer_set(sub->bus, &sub->timer, memory_again_ms);
        return;
    }
    if (ski_window_open(sub) && hold_event(sub, page, event)) return;

    // No room: it goes on by itself from here, with the page it was at.
    ski_live_leave(sub);
    ski_source_set(sub, page, index, false);
    if (ski_window_open(sub)) ski_bus_timer_set(sub->bus, &sub->timer, memory_again_ms);
}
