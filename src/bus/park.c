// SPDX-License-Identifier: Apache-2.0
// Setting aside and releasing.
//
// A release reads on from the record's event: through the index of the stream where the key is one,
// else over the subscription's part of the log between the head and the last that waits. What comes
// of the key meanwhile still waits, so the release has caught up exactly when it has passed the
// last one; then the record goes and the key is as any other. A head that fails again is parked
// where the release has come to.
//
// Invariants:
//   1. While a key is parked nothing of it is in the window but the one delivery of its release.
//   2. active: counted in releasing; has a delivery, or is in bus->fetching, being read for, in
//      release_waits (no room in the window), or its timer is set.
//   3. releasing and not active: in releases of its subscription, or its delivery is out.
//   4. Not more than SKI_ASIDES_UNSAVED_MAX records are not in the store: a checkpoint takes all of
//      them with it.
#include "bus/engine.h"

#include "base/log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    active_max = 16,               // releases of one subscription that hold a page
    page_bytes_stream = 16 << 10,  // one event after the other is wanted
    page_bytes_search = 128 << 10, // few of what is read are
    again_first_ms = 100,
    again_max_ms = 5000,
};

// single: its event is all there is to release.
static bool single(const ski_aside *aside)
{
    return aside->about.kind != SKI_ASIDE_PARKED || !aside->about.keyed;
}

// Setting aside.

static void told_waiting(void *context, const skald_event *event)
{
    ski_aside *aside = context;

    aside->about.waiting++;
    aside->about.last = event->position;
}

// release_end: it is not being released any more.
static void release_end(ski_aside *aside)
{
    ski_subscription *sub = aside->subscription;

    if (aside->source) ski_hold_drop(aside->source);
    aside->source = NULL;
    ski_link_leave(&aside->turn);
    ski_timers_clear(&sub->bus->timers, &aside->timer);
    if (aside->active) sub->releasing--;
    aside->active = false;
}

// park_again: a release has failed at this event.
static skald_err park_again(ski_delivery *delivery, const char *reason)
{
    ski_aside *aside = delivery->aside;
    ski_subscription *sub = delivery->subscription;
    const skald_event *event = delivery->event;
    ski_aside_about about = aside->about;

    about.releasing = false;
    about.attempts += delivery->attempt;
    if (!about.first_at) about.first_at = delivery->failed_at;
    about.last_at = ski_bus_now(sub->bus);
    about.event_id = event->id;
    about.type = event->type;
    about.stream = event->stream;
    about.error = skald_str_of(reason);
    if (!ski_aside_say(aside, &about)) return SKALD_ENOMEM;
    ski_aside_kind(aside, about.kind == SKI_ASIDE_LATER ? SKI_ASIDE_DEAD : about.kind);
    ski_delivery_done(delivery);
    release_end(aside);
    ski_aside_mark(aside);
    ski_releases_feed(sub);
    return SKALD_OK;
}

static skald_err limits_check(const ski_subscription *sub, bool parks, skald_error *reterr_error)
{
    uint32_t most = parks ? sub->parked_keys_max : sub->dead_letters_max;

    if (sub->asides_unsaved >= SKI_ASIDES_UNSAVED_MAX) return SKALD_EUNAVAILABLE;
    if ((parks ? sub->parked_count : sub->dead_count) < most) return SKALD_OK;
    return skald_fail(reterr_error, SKALD_EFULL,
                      "all %" PRIu32 " %s it may have are in use; release or discard some, then "
                      "resume it",
                      most, parks ? "parked keys" : "dead letters");
}

skald_err ski_park(ski_delivery *delivery, const char *reason, skald_error *reterr_error)
{
    ski_subscription *sub = delivery->subscription;
    const skald_event *event = delivery->event;
    bool parks = sub->on_exhausted == SKALD_PARK_KEY;
    char id[SKALD_UUID_TEXT + 1];

    if (delivery->aside) return park_again(delivery, reason);
    SKALD_TRY(limits_check(sub, parks, reterr_error));
    skald_uuid_print(event->id, id);
    ski_aside *aside =
        ski_aside_new(sub, &(ski_aside_about){
                               .origin = event->position,
                               .position = event->position,
                               .last = event->position,
                               .attempts = delivery->attempt,
                               .kind = parks ? SKI_ASIDE_PARKED : SKI_ASIDE_DEAD,
                               .keyed = delivery->keyed,
                               .first_at = delivery->failed_at,
                               .last_at = ski_bus_now(sub->bus),
                               .event_id = event->id,
                               .key = delivery->key.len ? delivery->key
                                                        : (skald_str){id, SKALD_UUID_TEXT},
                               .tenant = event->tenant,
                               .type = event->type,
                               .stream = event->stream,
                               .error = skald_str_of(reason),
                           });

    if (!aside) return SKALD_ENOMEM;
    atomic_fetch_add_explicit(parks ? &sub->bus->parked : &sub->bus->dead, 1, memory_order_relaxed);
    if (parks)
        ski_delivery_take_key(delivery, told_waiting, aside);
    else
        ski_delivery_done(delivery);
    ski_aside_mark(aside);
    return SKALD_OK;
}

skald_err ski_later(ski_delivery *delivery, const ski_aside_about *about)
{
    ski_subscription *sub = delivery->subscription;
    skald_time now = ski_bus_now(sub->bus);
    uint64_t delay_us = about->due_at > now ? (uint64_t)(about->due_at - now) : 0;

    if (sub->asides_unsaved >= SKI_ASIDES_UNSAVED_MAX) return SKALD_EUNAVAILABLE;
    ski_aside *aside = ski_aside_new(sub, about);

    if (!aside) return SKALD_ENOMEM;
    ski_delivery_done(delivery);
    ski_aside_mark(aside);
    ski_bus_timer_set(sub->bus, &aside->timer, (delay_us + 999) / 1000);
    return SKALD_OK;
}

bool ski_parked_keeps(ski_subscription *sub, const skald_event *event, const ski_key *key)
{
    if (!key->shared) return false;
    ski_aside *aside = ski_parked_find(sub, key->hash, key->tenant, key->key);

    if (!aside) return false;
    if (event->position <= aside->about.last) return true;
    aside->about.last = event->position;
    aside->about.waiting++;
    // Not worth a checkpoint of its own: read back, a record looks at all up to the cursor.
    aside->dirty = true;
    if (!aside->saving) ski_link_append(&sub->aside_changes, &aside->change);
    return true;
}

// Releasing.

static void release_done(ski_aside *aside)
{
    ski_subscription *sub = aside->subscription;

    release_end(aside);
    ski_aside_remove(aside);
    if (!ski_link_alone(&sub->releases)) ski_releases_feed(sub);
}

// wanted: is this the event, or one of the key?
static bool wanted(const ski_aside *aside, const skald_event *event, const ski_key *key)
{
    const ski_aside_about *about = &aside->about;

    if (event->position < about->position || event->position > about->last) return false;
    if (single(aside)) return event->position == about->position;
    if (event->test && !aside->subscription->takes_tests) return false;
    return key->shared && key->hash == aside->key_hash && skald_str_equal(key->key, about->key) &&
           key->tenant.len == about->tenant.len &&
           (!about->tenant.len || skald_str_equal(key->tenant, about->tenant));
}

static bool deliver(ski_aside *aside, const skald_event *event, const ski_key *key)
{
    ski_subscription *sub = aside->subscription;

    if (aside->about.data.ptr && event->position == aside->about.position) {
        aside->event = *event;
        aside->event.data = aside->about.data;
        event = &aside->event;
    }
    ski_hold *hold = aside->source;

    hold->refs++;
    if (!ski_delivery_add(sub, hold, event, key, aside)) {
        ski_hold_drop(hold);
        return false;
    }
    aside->about.position = event->position;
    return true;
}

// source_walk goes on in the page it has. True: there is nothing more in it.
static bool source_walk(ski_aside *aside)
{
    ski_subscription *sub = aside->subscription;
    const skald_store_page *page = &aside->source->page->store_page;

    for (; aside->source_index < page->count; aside->source_index++) {
        const skald_event *event = &page->events[aside->source_index];
        ski_key key = ski_key_of(sub, event);

        if (!wanted(aside, event, &key)) continue;
        if (!ski_window_open(sub))
            ski_link_append(&sub->release_waits, &aside->turn);
        else if (deliver(aside, event, &key))
            aside->source_index++;
        else
            ski_bus_timer_set(sub->bus, &aside->timer, again_first_ms);
        return false;
    }
    return true;
}

// release_go does what can be done for one that is active now.
static void release_go(ski_aside *aside)
{
    ski_subscription *sub = aside->subscription;
    skald_bus *bus = sub->bus;

    if (aside->delivery || aside->reading) return;
    if (aside->source) {
        if (!source_walk(aside)) return;
        uint64_t next = aside->source->page->store_page.position_next;

        ski_hold_drop(aside->source);
        aside->source = NULL;
        // More may have come to wait since it was read: only what was asked for has been passed.
        if (next > aside->source_last || aside->source_end) next = aside->source_last;
        if (next >= aside->about.position) aside->about.position = next + 1;
    }
    if (aside->about.position > aside->about.last) {
        release_done(aside);
        return;
    }
    ski_link_append(&bus->fetching, &aside->turn);
    ski_cond_signal(&bus->read);
}

void ski_releases_feed(ski_subscription *sub)
{
    if (ski_held(sub)) return;
    while (!ski_link_alone(&sub->release_waits) && ski_window_open(sub)) {
        ski_aside *aside = SKI_LINKED(sub->release_waits.next, ski_aside, turn);

        ski_link_leave(&aside->turn);
        release_go(aside);
    }
    while (!ski_link_alone(&sub->releases) && sub->releasing < active_max) {
        ski_aside *aside = SKI_LINKED(sub->releases.next, ski_aside, turn);

        ski_link_leave(&aside->turn);
        if (aside->delivery) continue; // goes on when that has ended
        aside->active = true;
        sub->releasing++;
        release_go(aside);
    }
}

void ski_release(ski_aside *aside)
{
    aside->about.releasing = true;
    ski_link_append(&aside->subscription->releases, &aside->turn);
    ski_aside_mark(aside);
    ski_releases_feed(aside->subscription);
}

void ski_release_skip(ski_aside *aside)
{
    if (single(aside)) {
        release_end(aside);
        ski_aside_remove(aside);
        return;
    }
    aside->about.position++;
    aside->about.data = (skald_str){0};
    aside->about.attempts = 0;
    if (aside->about.waiting) aside->about.waiting--;
    ski_release(aside);
}

void ski_release_answered(ski_aside *aside)
{
    ski_subscription *sub = aside->subscription;

    if (aside->gone) {
        ski_aside_settle(aside);
        return;
    }
    if (single(aside)) {
        release_done(aside);
        return;
    }
    aside->about.position++;
    aside->about.data = (skald_str){0};
    aside->about.attempts = 0;
    aside->about.first_at = 0;
    if (aside->about.waiting) aside->about.waiting--;
    ski_aside_mark(aside);
    if (!aside->active)
        ski_link_append(&sub->releases, &aside->turn);
    else if (ski_held(sub))
        ski_link_append(&sub->release_waits, &aside->turn);
    else
        release_go(aside);
    ski_releases_feed(sub);
}

void ski_releases_stop(ski_subscription *sub)
{
    for (uint32_t i = 0; i < sub->aside_count; i++) {
        ski_aside *aside = sub->asides[i];

        if (!aside->about.releasing || aside->gone) continue;
        release_end(aside);
        if (!sub->ended) ski_link_append(&sub->releases, &aside->turn);
    }
}

void ski_releases_begin(ski_subscription *sub)
{
    skald_time now = ski_bus_now(sub->bus);

    for (uint32_t i = 0; i < sub->aside_count; i++) {
        ski_aside *aside = sub->asides[i];
        const ski_aside_about *about = &aside->about;
        uint64_t delay_us = about->due_at > now ? (uint64_t)(about->due_at - now) : 0;

        if (about->releasing)
            ski_link_append(&sub->releases, &aside->turn);
        else if (about->kind == SKI_ASIDE_LATER)
            ski_bus_timer_set(sub->bus, &aside->timer, (delay_us + 999) / 1000);
    }
}

void ski_aside_due(ski_aside *aside)
{
    if (aside->active)
        release_go(aside);
    else if (aside->about.kind == SKI_ASIDE_LATER && !aside->about.releasing)
        ski_release(aside);
}

// Reading for one of them.

static void read_failed(ski_aside *aside, skald_err err, const skald_error *error)
{
    ski_subscription *sub = aside->subscription;
    ski_aside_about about = aside->about;
    uint32_t delay_ms = again_first_ms;

    ski_subscription_error(sub, error->text);
    for (uint32_t i = 0; i < aside->read_failures && delay_ms < again_max_ms; i++) delay_ms *= 2;
    aside->read_failures++;
    about.releasing = false;
    about.error = skald_str_of(error->text);
    if (about.error.len > SKI_ASIDE_ERROR_BYTES_MAX) about.error.len = SKI_ASIDE_ERROR_BYTES_MAX;
    if (skald_err_retriable(err) || !ski_aside_say(aside, &about)) {
        ski_bus_timer_set(sub->bus, &aside->timer,
                          delay_ms < again_max_ms ? delay_ms : again_max_ms);
        return;
    }
    release_end(aside); // damaged: it stays set aside and says why
    ski_aside_mark(aside);
}

static void read_done(ski_aside *aside, skald_store_page *store_page)
{
    ski_subscription *sub = aside->subscription;
    ski_page *page = ski_page_new(sub->bus, store_page);

    if (!page) {
        ski_store_page_free(sub->bus->store, store_page);
        read_failed(aside, SKALD_ENOMEM, &(skald_error){.text = "out of memory"});
        return;
    }
    aside->read_failures = 0;
    if (aside->active) {
        aside->source = ski_hold_get(sub, page);
        aside->source_index = 0;
        aside->source_end =
            page->store_page.end ||
            (!page->store_page.count && page->store_page.position_next < aside->about.position);
        if (!aside->source) ski_bus_timer_set(sub->bus, &aside->timer, again_first_ms);
    }
    ski_page_unref(sub->bus, page);
    if (aside->source) release_go(aside);
}

static skald_read read_of(const ski_aside *aside)
{
    const ski_subscription *sub = aside->subscription;
    const ski_aside_about *about = &aside->about;
    skald_read read = {.filter = sub->filter,
                       .after = about->position - 1,
                       .before = about->last + 1,
                       .page_bytes_max = page_bytes_search};

    if (single(aside)) {
        read.before = about->position + 1;
        read.filter = ski_filter_all(); // what was asked for may have changed: this one is meant
    } else if (sub->order == SKALD_BY_STREAM) {
        read.filter.streams = (skald_texts){&about->key, 1};
        read.filter.tenant = about->tenant.len ? about->tenant : SKALD_STR("");
        read.page_bytes_max = page_bytes_stream;
    }
    return read;
}

bool ski_release_step(skald_bus *bus)
{
    skald_store_page store_page = {0};
    skald_error error = {0};

    if (ski_link_alone(&bus->fetching) || bus->closing) return false;
    ski_aside *aside = SKI_LINKED(bus->fetching.next, ski_aside, turn);
    ski_subscription *sub = aside->subscription;
    skald_read read = read_of(aside);

    ski_link_leave(&aside->turn);
    aside->reading = true;
    aside->source_last = read.before - 1;
    sub->pins++;
    ski_mutex_unlock(&bus->lock);
    skald_err err = ski_store_page(bus->store, &read, &store_page, &error);

    ski_mutex_lock(&bus->lock);
    aside->reading = false;
    if (aside->gone || !aside->active) {
        if (!err) ski_store_page_free(bus->store, &store_page);
        if (aside->gone) ski_aside_settle(aside);
    } else if (err) {
        read_failed(aside, err, &error);
    } else {
        read_done(aside, &store_page);
    }
    if (!sub->ended) ski_releases_feed(sub);
    sub->pins--;
    ski_subscription_look(sub);
    return true;
}
