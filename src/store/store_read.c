// SPDX-License-Identifier: Apache-2.0
// The way out: pages of what a driver gives, filtered exactly, and cursors over pages.
//
// Invariants:
//   1. An event is given only if ski_read_matches says so and nothing hides it (sight.h), whatever
//      the driver gave.
//   2. position_next never skips an event that was not looked at: a page cut short at events_max
//      goes on behind the last event in it.
//   3. A cursor holds one page. What it gave last is in that page.
#include "store/handle.h"

#include "base/alloc.h"
#include "event/filter.h"
#include "store/content.h"
#include "store/sight.h"

#include <assert.h>
#include <string.h>

enum {
    // Where something may be hidden a driver is asked for no fewer events, lest a search for one
    // that is not would ask it once for every one that is.
    hidden_events_min = 64,
};

struct skald_cursor {
    skald_store *store;
    skald_read read; // after, backwards: before, move on with the pages
    void *texts;     // what the filter borrows
    skald_store_page page;
    size_t index; // of the next event in page
    bool held;    // page is to be freed
    bool bounded; // events_max was given: left counts down
    uint64_t left;
    uint64_t position; // of the last event given, unless that is in page
};

static skald_err read_check(const skald_read *read, skald_error *reterr_error)
{
    const skald_filter *filter = &read->filter;

    if (filter->types.count > SKI_STORE_FILTER_ITEMS_MAX ||
        filter->streams.count > SKI_STORE_FILTER_ITEMS_MAX ||
        filter->categories.count > SKI_STORE_FILTER_ITEMS_MAX)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "filter",
                             "a filter names %d types, streams or categories at most",
                             (int)SKI_STORE_FILTER_ITEMS_MAX);
    if ((read->version_from || read->version_to) && filter->streams.count != 1)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "version",
                             "versions are those of one stream: name it");
    if (read->page_bytes_max > SKI_STORE_PAGE_BYTES_MAX)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "page_bytes_max",
                             "a page may have %d bytes at most", (int)SKI_STORE_PAGE_BYTES_MAX);
    return SKALD_OK;
}

static void page_cut(const skald_read *read, skald_store_page *page)
{
    if (!read->events_max || page->count <= read->events_max) return;
    page->count = read->events_max;
    page->position_next = page->events[page->count - 1].position;
    page->end = false;
}

// read_plain: a read that asks for nothing but positions and a tenant, as one of all events does.
static bool read_plain(const skald_read *read)
{
    return !read->from && !read->to && !read->version_from && !read->version_to &&
           ski_filter_is_open(&read->filter);
}

// plain_matches is ski_read_matches of a plain read.
static inline bool plain_matches(const skald_read *read, const skald_event *event)
{
    skald_str tenant = read->filter.tenant;

    if (event->position <= read->after) return false;
    if (read->before && event->position >= read->before) return false;
    if (!tenant.ptr || (!tenant.len && !event->tenant.len)) return true;
    return skald_str_equal(event->tenant, tenant);
}

// page_filter keeps what the read means and shows, in place, and cuts the page at events_max.
static skald_err page_filter(skald_store *store, const ski_sight *sight, const skald_read *read,
                             skald_store_page *page)
{
    bool reserved = false, plain = read_plain(read);
    size_t kept = 0;

    for (size_t i = 0; i < page->count; i++) {
        const skald_event *event = &page->events[i];

        if (plain ? !plain_matches(read, event) : !ski_read_matches(read, event)) continue;
        if (ski_reserved(event->stream) || ski_reserved(event->type)) {
            if (ski_reserved_hidden(&read->filter, event)) continue;
            reserved = reserved || ski_reserved(event->stream);
        }
        if (kept != i) page->events[kept] = *event;
        kept++;
    }
    page->count = kept;
    if (sight->rules || reserved) SKALD_TRY(ski_sight_filter(store, sight, page));
    page_cut(read, page);
    return SKALD_OK;
}

// page_moves: a page that is not the end must lead on, or its reader would never end.
static bool page_moves(const skald_read *read, const skald_store_page *page)
{
    if (!read->backwards) return page->position_next > read->after;
    return page->position_next && (!read->before || page->position_next < read->before);
}

// page_read is ski_store_page within a store that is entered.
static skald_err page_read(skald_store *store, const skald_read *read, skald_store_page *ret_page,
                           skald_error *reterr_error)
{
    skald_read asked = *read;
    skald_store_page page = {0};
    ski_sight sight;
    skald_err err;

    SKALD_TRY(ski_sight_take(store, false, &sight, reterr_error));
    if (!asked.page_bytes_max) asked.page_bytes_max = SKI_STORE_PAGE_BYTES;
    SKALD_TRY(ski_sight_narrow(store, &sight, &asked));
    if (sight.rules && asked.events_max && asked.events_max < hidden_events_min)
        asked.events_max = hidden_events_min;
    err = store->driver->read(store->instance, &asked, &page, reterr_error);
    if (err == SKALD_ECORRUPT) *ret_page = (skald_store_page){.position_next = page.position_next};
    if (err) return err;
    assert(page.end || page_moves(&asked, &page));
    asked.events_max = read->events_max;
    err = page_filter(store, &sight, &asked, &page);
    if (err) {
        ski_store_page_free(store, &page);
        return skald_fail(reterr_error, err, "%s", skald_err_text(err));
    }
    *ret_page = page;
    return SKALD_OK;
}

skald_err ski_store_page(skald_store *store, const skald_read *read, skald_store_page *ret_page,
                         skald_error *reterr_error)
{
    skald_err err;

    SKALD_TRY(read_check(read, reterr_error));
    SKALD_TRY(ski_store_enter(store));
    err = page_read(store, read, ret_page, reterr_error);
    ski_store_leave(store);
    return err;
}

void ski_store_page_free(skald_store *store, skald_store_page *page)
{
    if (page->driver) store->driver->page_free(store->instance, page);
    *page = (skald_store_page){0};
}

// A filter's texts, laid out in one block: lists first, then the bytes they point to.
static size_t texts_bytes(skald_texts texts)
{
    size_t bytes = texts.count * sizeof(skald_str);

    for (size_t i = 0; i < texts.count; i++) bytes += texts.items[i].len;
    return bytes;
}

static skald_str text_copy(char **at, skald_str text)
{
    skald_str copy = {*at, text.len};

    if (!text.ptr) return text;
    if (text.len) memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copy;
}

static skald_texts texts_copy(skald_str **items_at, char **at, skald_texts texts)
{
    skald_str *items = *items_at;

    for (size_t i = 0; i < texts.count; i++) items[i] = text_copy(at, texts.items[i]);
    *items_at += texts.count;
    return (skald_texts){items, texts.count};
}

static skald_err filter_copy(const skald_filter *filter, skald_filter *ret_filter, void **ret_texts)
{
    size_t items = filter->types.count + filter->streams.count + filter->categories.count;
    size_t bytes = texts_bytes(filter->types) + texts_bytes(filter->streams) +
                   texts_bytes(filter->categories) + filter->tenant.len +
                   filter->correlation_id.len;
    // One byte more: a tenant that is empty but given needs a place to point to.
    skald_str *lists = ski_alloc(bytes + 1);
    skald_str *items_at = lists;
    char *at = (char *)(lists + items);

    if (!lists) return SKALD_ENOMEM;
    *ret_filter = *filter;
    ret_filter->types = texts_copy(&items_at, &at, filter->types);
    ret_filter->streams = texts_copy(&items_at, &at, filter->streams);
    ret_filter->categories = texts_copy(&items_at, &at, filter->categories);
    ret_filter->tenant = text_copy(&at, filter->tenant);
    ret_filter->correlation_id = text_copy(&at, filter->correlation_id);
    *ret_texts = lists;
    return SKALD_OK;
}

skald_err skald_cursor_open(skald_store *store, const skald_read *read, skald_cursor **ret_cursor)
{
    static const skald_read everything;
    skald_cursor *cursor;

    if (!read) read = &everything;
    SKALD_TRY(read_check(read, NULL));
    SKALD_TRY(ski_filter_types_check(read->filter.types, NULL));
    cursor = ski_alloc_zeroed(1, sizeof(*cursor));
    if (!cursor) return SKALD_ENOMEM;
    cursor->store = store;
    cursor->read = *read;
    cursor->left = read->events_max;
    cursor->bounded = read->events_max != 0;
    if (filter_copy(&read->filter, &cursor->read.filter, &cursor->texts)) {
        ski_free(cursor);
        return SKALD_ENOMEM;
    }
    *ret_cursor = cursor;
    return SKALD_OK;
}

static void cursor_move(skald_cursor *cursor, uint64_t position_next)
{
    if (!position_next) return;
    if (cursor->read.backwards)
        cursor->read.before = position_next;
    else
        cursor->read.after = position_next;
}

// cursor_turn gets the next page that has an event; an empty one only at the end. Not inlined: what
// it keeps on the stack would cost the way of every event.
__attribute__((noinline)) static skald_err cursor_turn(skald_cursor *cursor,
                                                       skald_error *reterr_error)
{
    do {
        skald_store_page page = {0};
        skald_err err;

        cursor->position = skald_cursor_position(cursor);
        if (cursor->held) ski_store_page_free(cursor->store, &cursor->page);
        cursor->held = false;
        cursor->page = (skald_store_page){0};
        cursor->index = 0;
        cursor->read.events_max = cursor->left;
        err = ski_store_page(cursor->store, &cursor->read, &page, reterr_error);
        if (!err || err == SKALD_ECORRUPT) cursor_move(cursor, page.position_next);
        if (err) return err;
        cursor->page = page;
        cursor->held = true;
    } while (!cursor->page.count && !cursor->page.end);
    return SKALD_OK;
}

skald_err skald_cursor_next(skald_cursor *cursor, const skald_event **ret_event,
                            skald_error *reterr_error)
{
    const skald_event *event = NULL;

    if (!cursor->bounded || cursor->left) {
        if (cursor->index == cursor->page.count) SKALD_TRY(cursor_turn(cursor, reterr_error));
        if (cursor->index < cursor->page.count) {
            event = &cursor->page.events[cursor->index++];
            if (cursor->bounded) cursor->left--;
        }
    }
    *ret_event = event;
    return SKALD_OK;
}

uint64_t skald_cursor_position(const skald_cursor *cursor)
{
    return cursor->index ? cursor->page.events[cursor->index - 1].position : cursor->position;
}

void skald_cursor_close(skald_cursor *cursor)
{
    if (!cursor) return;
    if (cursor->held) ski_store_page_free(cursor->store, &cursor->page);
    ski_free(cursor->texts);
    ski_free(cursor);
}

static bool text_keep(skald_arena *arena, skald_str *text)
{
    if (!text->ptr) return true;
    *text = text->len ? skald_arena_copy(arena, *text) : SKALD_STR("");
    return text->ptr != NULL;
}

// event_keep moves all texts of an event into arena.
static skald_err event_keep(skald_arena *arena, const skald_event *event, skald_event *ret_event)
{
    skald_event kept = *event;
    skald_str *texts[] = {&kept.type, &kept.data,   &kept.metadata,       &kept.stream,
                          &kept.tags, &kept.tenant, &kept.correlation_id, &kept.causation_id,
                          &kept.user, &kept.role,   &kept.source,         &kept.traceparent};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (!text_keep(arena, texts[i])) return SKALD_ENOMEM;
    *ret_event = kept;
    return SKALD_OK;
}

skald_err ski_store_event(skald_store *store, skald_uuid id, skald_str tenant, skald_arena *arena,
                          skald_event *ret_event, skald_error *reterr_error)
{
    skald_read read = {0};
    skald_store_page page;
    uint64_t position;
    skald_err err;

    if (!skald_uuid_given(id)) return SKALD_ENOTFOUND;
    if (!tenant.ptr) tenant = SKALD_STR("");
    SKALD_TRY(ski_store_enter(store));
    err = store->driver->find_id(store->instance, tenant, id, &position);
    ski_store_leave(store);
    if (err) return err;
    read.filter.tenant = tenant;
    read.after = position - 1;
    read.before = position + 1;
    SKALD_TRY(ski_store_page(store, &read, &page, reterr_error));
    if (page.count && skald_uuid_equal(page.events[0].id, id))
        err = event_keep(arena, &page.events[0], ret_event);
    else
        err = SKALD_ENOTFOUND; // erased since
    ski_store_page_free(store, &page);
    return err;
}

skald_err skald_store_event(skald_store *store, skald_uuid id, skald_str tenant, skald_arena *arena,
                            skald_event *ret_event)
{
    return ski_store_event(store, id, tenant, arena, ret_event, NULL);
}

skald_err ski_store_event_now(skald_store *store, skald_uuid id, skald_str tenant,
                              skald_arena *arena, skald_event *ret_event)
{
    skald_event event;
    skald_err err = SKALD_EUNAVAILABLE;

    // What may be hidden is looked at by who may wait.
    if (!store->driver->event_now || !skald_uuid_given(id)) return err;
    if (atomic_load(&store->rules_count) || atomic_load(&store->retention.limited)) return err;
    if (ski_store_enter(store)) return err;
    err = store->driver->event_now(store->instance, tenant.ptr ? tenant : SKALD_STR(""), id, arena,
                                   &event);
    ski_store_leave(store);
    if (err || ski_reserved(event.stream) || ski_reserved(event.type)) return SKALD_EUNAVAILABLE;
    *ret_event = event;
    return SKALD_OK;
}
