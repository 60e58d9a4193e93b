// SPDX-License-Identifier: Apache-2.0
// Reading the log: once for all that are live, and one page at a time for each that lags.
//
// Invariants:
//   1. The tail never waits for a subscription: one without room leaves it.
//   2. tail grows by events offered, or that nobody is live for; it is set anew only while nobody
//      is live, and then tail_epoch changes, so that a page read meanwhile is thrown away.
//   3. A head at which nothing was found is not looked at again: what moves without events (a
//      checkpoint is an append too) cannot keep the tail busy.
#include "bus/engine.h"

#include "base/log.h"
#include "event/filter.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    offered_at_once = 64,         // events, then others get the lock
    resume_page_bytes = 16 << 10, // what is open lies far apart: little beside it is wanted
    again_first_ms = 100,         // after a page could not be read
    again_max_ms = 5000,
};

skald_filter ski_filter_all(void)
{
    static const skald_str all[] = {{"*", 1}, {"$", 1}};

    return (skald_filter){.types = {all, 2}};
}

// read_of gives what is to be read for all: what is the store's own, too, if somebody names it.
static skald_read read_of(const skald_bus *bus, uint64_t after)
{
    skald_read read = {.after = after};

    if (bus->reserved_names) read.filter = ski_filter_all();
    return read;
}

void ski_reserved_named(ski_subscription *sub, bool named)
{
    skald_bus *bus = sub->bus;

    if (!sub->names_reserved) return;
    bus->reserved_names += named ? 1 : (uint32_t)-1;
    if (bus->reserved_names > 1 || !named) return;
    ski_kept_drop(bus);
    bus->tail_epoch++; // a page being read has none of it
    bus->tail_checked = 0;
}

bool ski_tail_wanted(const skald_bus *bus)
{
    uint64_t head = atomic_load(&bus->head);

    return bus->live_count && !bus->closing && bus->tail < head && head != bus->tail_checked;
}

static void page_keep(skald_bus *bus, ski_kept *kept, ski_page *page, uint64_t after)
{
    uint32_t at = kept->next++ % SKI_KEPT_PAGES;

    page->refs++;
    ski_page_unref(bus, kept->pages[at].page);
    kept->pages[at].page = page;
    kept->pages[at].after = after;
}

ski_page *ski_kept_at(const ski_kept *kept, uint64_t cursor)
{
    for (size_t i = 0; i < SKI_KEPT_PAGES; i++) {
        ski_page *page = kept->pages[i].page;

        if (page && cursor >= kept->pages[i].after && cursor < page->store_page.position_next)
            return page;
    }
    return NULL;
}

ski_page *ski_page_at(const skald_bus *bus, uint64_t cursor)
{
    ski_page *page = ski_kept_at(&bus->tail_pages, cursor);

    return page ? page : ski_kept_at(&bus->read_pages, cursor);
}

void ski_kept_drop(skald_bus *bus)
{
    for (size_t i = 0; i < SKI_KEPT_PAGES; i++) {
        ski_page_unref(bus, bus->tail_pages.pages[i].page);
        ski_page_unref(bus, bus->read_pages.pages[i].page);
        bus->tail_pages.pages[i].page = bus->read_pages.pages[i].page = NULL;
    }
}

// quiet: nobody is about to ask for a page.
static bool quiet(const skald_bus *bus)
{
    return !bus->busy && !atomic_load(&bus->lookers) && ski_link_alone(&bus->runnable) &&
           ski_link_alone(&bus->catching);
}

static void tail_offer(skald_bus *bus, ski_page *page, uint64_t epoch)
{
    const skald_store_page *read = &page->store_page;

    for (size_t i = 0; i < read->count && bus->live_count; i++) {
        ski_offer_each(bus, page, i, ski_offer);
        bus->tail = read->events[i].position;
        if (i % offered_at_once != offered_at_once - 1) continue;
        ski_bus_errands(bus);
        ski_mutex_unlock(&bus->lock);
        ski_mutex_lock(&bus->lock);
        if (epoch != bus->tail_epoch || bus->closing) return;
    }
    if (read->position_next > bus->tail) bus->tail = read->position_next;
}

// tail_failed sends everybody to read for himself: there each retries, or halts, at its own place.
// All leave before the first looks where to go on, so that none joins those who have not left yet.
static void tail_failed(skald_bus *bus, skald_err err, const skald_error *error)
{
    ski_log_line(bus->log, SKALD_WARN, "the log could not be read", "error", skald_err_name(err),
                 "text", error->text, NULL);
    for (uint32_t i = 0; i < bus->subscriptions_max; i++)
        if (bus->subs[i]) ski_live_leave(bus->subs[i]);
    for (uint32_t i = 0; i < bus->subscriptions_max; i++)
        if (bus->subs[i]) ski_feed(bus->subs[i]);
}

static void tail_take(skald_bus *bus, skald_store_page *store_page, uint64_t after, uint64_t head)
{
    uint64_t epoch = bus->tail_epoch;
    ski_page *page = ski_page_new(bus, store_page);

    if (!page) {
        ski_store_page_free(bus->store, store_page);
        tail_failed(bus, SKALD_ENOMEM, &(skald_error){0});
        return;
    }
    if (bus->live_count) {
        page_keep(bus, &bus->tail_pages, page, after);
        tail_offer(bus, page, epoch);
        if (epoch == bus->tail_epoch && bus->tail == after) bus->tail_checked = head;
        ski_save_sweep(bus);
    }
    ski_page_unref(bus, page);
}

bool ski_tail_step(skald_bus *bus, ski_worker *worker)
{
    uint64_t head = atomic_load(&bus->head), after = bus->tail, epoch = bus->tail_epoch;
    skald_read read = read_of(bus, after);
    skald_store_page store_page = {0};
    skald_error error = {0};

    if (bus->tail_read) return false;
    if (!ski_tail_wanted(bus)) {
        if (!worker && quiet(bus)) ski_kept_drop(bus);
        return false;
    }
    bus->tail_read = true;
    bus->busy += worker != NULL;
    bus->away += worker != NULL;
    ski_mutex_unlock(&bus->lock);
    skald_err err = ski_store_page(bus->store, &read, &store_page, &error);

    ski_mutex_lock(&bus->lock);
    if (worker) bus->away--;
    if (epoch != bus->tail_epoch) {
        if (!err) ski_store_page_free(bus->store, &store_page);
    } else if (err) {
        tail_failed(bus, err, &error);
    } else {
        tail_take(bus, &store_page, after, head);
    }
    bus->busy -= worker != NULL;
    bus->tail_read = false;
    return true;
}

static ski_subscription *catching_next(skald_bus *bus)
{
    if (ski_link_alone(&bus->catching) || bus->closing) return NULL;
    ski_subscription *sub = SKI_LINKED(bus->catching.next, ski_subscription, catching);

    ski_link_leave(&sub->catching);
    return sub;
}

static void catch_up_failed(ski_subscription *sub, skald_err err, const skald_error *error)
{
    char text[SKI_REASON_BYTES_MAX];
    uint32_t delay_ms = again_first_ms;

    if (!skald_err_retriable(err)) {
        snprintf(text, sizeof(text), "halted behind position %" PRIu64 ": %.140s", sub->cursor,
                 error->text);
        ski_subscription_halt(sub, text);
        return;
    }
    for (uint32_t i = 0; i < sub->read_failures && delay_ms < again_max_ms; i++) delay_ms *= 2;
    sub->read_failures++;
    ski_subscription_error(sub, error->text);
    ski_complain(sub, SKI_CODE_READ, error->text, NULL);
    ski_bus_timer_set(sub->bus, &sub->timer, delay_ms < again_max_ms ? delay_ms : again_max_ms);
}

// asks_for_all: what is read for it does for everybody.
static bool asks_for_all(const ski_subscription *sub)
{
    return !sub->bus->reserved_names && !sub->filter.tenant.ptr && ski_filter_is_open(&sub->filter);
}

static void catch_up_done(ski_subscription *sub, const skald_store_page *store_page, uint64_t after)
{
    skald_bus *bus = sub->bus;
    ski_page *page = ski_page_new(bus, store_page);
    bool resumed = sub->resume_index < sub->resume_count;
    bool end = store_page->end || (!store_page->count && store_page->position_next <= after);

    if (!page) {
        skald_store_page unused = *store_page;

        ski_store_page_free(bus->store, &unused);
        catch_up_failed(sub, SKALD_ENOMEM, &(skald_error){.text = "out of memory"});
        return;
    }
    sub->read_failures = 0;
    if (!resumed && asks_for_all(sub)) page_keep(bus, &bus->read_pages, page, after);
    if (!ski_held(sub)) {
        ski_source_set(sub, page, 0, end);
        sub->source_resumes = resumed;
        if (!sub->source) ski_bus_timer_set(bus, &sub->timer, again_first_ms);
    }
    ski_page_unref(bus, page);
}

// catch_up reads one page for sub, or feeds it from one that was read meanwhile.
static void catch_up(skald_bus *bus, ski_subscription *sub, ski_worker *worker)
{
    skald_store_page store_page = {0};
    skald_error error = {0};
    bool resumes = sub->resume_index < sub->resume_count;

    if (!resumes && ski_page_at(bus, sub->cursor)) { // read for another meanwhile
        ski_feed(sub);
        return;
    }
    skald_read read = {.filter = sub->filter, .after = sub->cursor};

    if (resumes) {
        read.after = sub->resume[sub->resume_index] - 1;
        read.page_bytes_max = resume_page_bytes;
    }
    uint32_t epoch = sub->read_epoch;

    sub->reading = true;
    bus->away += worker != NULL;
    ski_mutex_unlock(&bus->lock);
    skald_err err = ski_store_page(bus->store, &read, &store_page, &error);

    ski_mutex_lock(&bus->lock);
    if (worker) bus->away--;
    sub->reading = false;
    if (epoch != sub->read_epoch) {
        if (!err) ski_store_page_free(bus->store, &store_page);
    } else if (err) {
        catch_up_failed(sub, err, &error);
    } else {
        catch_up_done(sub, &store_page, read.after);
    }
    ski_feed(sub);
    ski_subscription_look(sub);
}

bool ski_catch_up_step(skald_bus *bus, ski_worker *worker)
{
    ski_subscription *sub = bus->lag_read ? NULL : catching_next(bus);

    if (!sub) return false;
    bus->lag_read = true;
    bus->busy += worker != NULL;
    catch_up(bus, sub, worker);
    bus->busy -= worker != NULL;
    bus->lag_read = false;
    return true;
}
