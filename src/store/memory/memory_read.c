// SPDX-License-Identifier: Apache-2.0
// The way out: positions come from the shortest set of postings that the filter allows, or one by
// one; each event is looked at and kept if the read means it.
//
// Invariants:
//   1. The lock is held for at most looked_max events, whatever the filter lets through: an append
//      never waits for a long search.
//   2. Texts are not copied: a page is an array of events that point into the store.
#include "store/memory/memory_store.h"

#include "base/alloc.h"
#include "base/str.h"
#include "store/content.h"

#include <assert.h>

enum {
    looked_max = 4096,      // events looked at in one read
    lists_max = 16,         // merged; with more names than that all events are looked at
    text_bytes_usual = 128, // of an event: what a page is made for first
    blocks_first = 6,       // that a page borrows from, mostly
};

// A source gives positions in order: of several lists, merged, or all of a range.
typedef struct position_source {
    bool all, backwards;
    uint64_t low, high; // inclusive; what is left of the range
    size_t count;
    struct {
        const uint64_t *positions;
        uint32_t begin, end; // what is left of the list
    } lists[lists_max];
    uint64_t postings; // in all lists
} position_source;

static uint64_t at_end(const position_source *source, size_t i)
{
    return source->backwards ? source->lists[i].positions[source->lists[i].end - 1]
                             : source->lists[i].positions[source->lists[i].begin];
}

// source_next gives 0 at the end.
static uint64_t source_next(position_source *source)
{
    uint64_t next = 0;

    if (source->all) {
        if (source->low > source->high) return 0;
        return source->backwards ? source->high-- : source->low++;
    }
    for (size_t i = 0; i < source->count; i++) {
        if (source->lists[i].begin == source->lists[i].end) continue;
        uint64_t position = at_end(source, i);
        if (!next || (source->backwards ? position > next : position < next)) next = position;
    }
    // A name may stand twice in a filter: its lists move on together.
    for (size_t i = 0; next && i < source->count; i++) {
        if (source->lists[i].begin == source->lists[i].end || at_end(source, i) != next) continue;
        if (source->backwards)
            source->lists[i].end--;
        else
            source->lists[i].begin++;
    }
    return next;
}

// source_add adds what of a list lies in the range. No list: nothing, which is an answer too.
static void source_add(position_source *source, const ski_memory_list *list, uint64_t version_from,
                       uint64_t version_to)
{
    uint32_t begin, end;

    if (!list) return;
    begin = ski_memory_list_upto(list, source->low - 1);
    end = ski_memory_list_upto(list, source->high);
    if (version_from && version_from - 1 > list->gone + begin)
        begin = version_from - 1 < list->gone + list->count
                    ? (uint32_t)(version_from - 1 - list->gone)
                    : list->count;
    if (version_to && version_to < list->gone + end)
        end = version_to > list->gone ? (uint32_t)(version_to - list->gone) : 0;
    if (begin >= end) return;
    source->lists[source->count].positions = list->positions;
    source->lists[source->count].begin = begin;
    source->lists[source->count++].end = end;
    source->postings += end - begin;
}

// source_of makes the source of one index, if it has one for these names.
static bool source_of(const position_source *range, const ski_memory_postings *postings,
                      const skald_read *read, skald_texts names, position_source *ret_source)
{
    bool versions = names.items == read->filter.streams.items && names.count == 1;

    if (!names.count || names.count > lists_max || !read->filter.tenant.ptr) return false;
    *ret_source = *range;
    ret_source->all = false;
    for (size_t i = 0; i < names.count; i++)
        source_add(ret_source,
                   ski_memory_postings_find(postings, read->filter.tenant, names.items[i]),
                   versions ? read->version_from : 0, versions ? read->version_to : 0);
    return true;
}

static bool exact(skald_texts types)
{
    for (size_t i = 0; i < types.count; i++) {
        skald_str type = types.items[i];

        if (type.len && type.ptr[type.len - 1] == '*') return false;
    }
    return true;
}

// index_wanted: does the read ask by what is indexed only when it is asked for?
static bool index_wanted(const skald_read *read)
{
    const skald_filter *filter = &read->filter;

    return filter->tenant.ptr &&
           (filter->correlation_id.len || (filter->types.count && exact(filter->types)));
}

// source_choose takes the index with the fewest events to look at.
static void source_choose(const ski_memory *memory, const skald_read *read, position_source *source)
{
    const skald_filter *filter = &read->filter;
    const position_source range = *source;
    position_source best = range, other;

    best.postings = range.low <= range.high ? range.high - range.low + 1 : 0;
    if (source_of(&range, &memory->streams, read, filter->streams, &other) &&
        other.postings <= best.postings)
        best = other;
    if (source_of(&range, &memory->correlations, read,
                  (skald_texts){&filter->correlation_id, filter->correlation_id.len != 0},
                  &other) &&
        other.postings <= best.postings)
        best = other;
    if (exact(filter->types) && source_of(&range, &memory->types, read, filter->types, &other) &&
        other.postings <= best.postings)
        best = other;
    *source = best;
}

// recorded_before is how many events were recorded before a time: recorded_at never falls.
static uint64_t recorded_before(const ski_memory *memory, skald_time time)
{
    uint64_t low = memory->first - 1, high = memory->count;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (ski_memory_slot_at(memory, middle + 1)->recorded_at < time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// source_range is what of a log that ends at last the read may mean.
static void source_range(const ski_memory *memory, const skald_read *read, uint64_t last,
                         position_source *ret_source)
{
    uint64_t low = read->after < last ? read->after + 1 : last + 1;
    uint64_t high = last;

    if (low < ski_memory_alive(memory)) low = ski_memory_alive(memory);
    if (read->before && read->before - 1 < high) high = read->before - 1;
    if (read->from && recorded_before(memory, read->from) >= low)
        low = recorded_before(memory, read->from) + 1;
    if (read->to && recorded_before(memory, read->to) < high)
        high = recorded_before(memory, read->to);
    if (high < low) high = low - 1;
    *ret_source =
        (position_source){.all = true, .backwards = read->backwards, .low = low, .high = high};
}

// The page while it is made.
typedef struct gathered {
    skald_event *events;
    size_t count, size;
    uint64_t bytes;
    struct borrowed *from; // as soon as there is an event
} gathered;

// What a page borrows from, once for each run of its events that lie in one block. It is the
// driver's part of a page.
typedef struct borrowed {
    skald_event *events;
    uint32_t count, size;
    ski_memory_texts *blocks[];
} borrowed;

// page_pin has the page borrow from a block. False: no memory.
static bool page_pin(gathered *to, ski_memory_texts *block)
{
    borrowed *from = to->from;

    if (from && from->blocks[from->count - 1] == block) return true;
    if (!from || from->count == from->size) {
        uint32_t size = from ? from->size * 2 : blocks_first;

        from = ski_realloc(from, sizeof(*from) + size * sizeof(from->blocks[0]));
        if (!from) return false;
        if (!to->from) from->count = 0;
        from->size = size;
        to->from = from;
    }
    from->blocks[from->count++] = block;
    block->pins++;
    return true;
}

// page_unpin ends it; data is held.
static void page_unpin(ski_memory *memory, const borrowed *from)
{
    for (uint32_t i = 0; from && i < from->count; i++)
        ski_memory_texts_unpin(memory, from->blocks[i]);
}

// page_room makes room for one event more; at most postings come in all.
static skald_err page_room(gathered *page, const skald_read *read, uint64_t postings)
{
    size_t size = page->size * 2;
    skald_event *events;

    if (page->count < page->size) return SKALD_OK;
    if (!size) {
        size = read->page_bytes_max / (sizeof(*events) + text_bytes_usual) + 1;
        if (size > postings) size = (size_t)postings;
        if (read->events_max && size > read->events_max) size = (size_t)read->events_max;
    }
    assert(size > page->count);
    events = ski_realloc(page->events, size * sizeof(*events));
    if (!events) return SKALD_ENOMEM;
    page->events = events;
    page->size = size;
    return SKALD_OK;
}

// read_everything: no event of its range is stopped.
static bool read_everything(const skald_read *read)
{
    const skald_filter *filter = &read->filter;

    return !filter->types.count && !filter->streams.count && !filter->categories.count &&
           !filter->tenant.ptr && !filter->correlation_id.len &&
           filter->priority_min <= SKALD_NORMAL && !read->from && !read->to &&
           !read->version_from && !read->version_to;
}

// source_read fills a page. *ret_looked is the last position looked at, 0 if the source ended.
static skald_err source_read(const ski_memory *memory, const skald_read *read,
                             position_source *source, gathered *page, uint64_t *ret_looked)
{
    bool everything = read_everything(read);
    uint64_t looked = 0;

    for (size_t i = 0; i < looked_max; i++) {
        uint64_t position = source_next(source);
        const ski_memory_slot *slot;

        if (!position) {
            *ret_looked = 0;
            return SKALD_OK;
        }
        slot = ski_memory_slot_at(memory, position);
        if (slot->at) {
            SKALD_TRY(page_room(page, read, source->postings));
            skald_event *event = &page->events[page->count];
            uint64_t bytes = sizeof(*event) + ski_memory_slot_get(slot, position, event);

            if (everything || ski_read_matches(read, event)) {
                if (page->count && page->bytes + bytes > read->page_bytes_max) break;
                if (!page_pin(page, ski_memory_slot_texts(slot))) return SKALD_ENOMEM;
                page->bytes += bytes;
                page->count++;
            }
        }
        looked = position;
        if (read->events_max && page->count == read->events_max) break;
    }
    *ret_looked = looked;
    return SKALD_OK;
}

skald_err ski_memory_read(void *driver, const skald_read *read, skald_store_page *ret_page,
                          skald_error *reterr_error)
{
    ski_memory *memory = driver;
    gathered page = {0};
    uint64_t looked = 0, last;
    position_source source;
    const bool indexed = index_wanted(read);
    skald_err err = SKALD_OK;

    if (indexed) {
        ski_mutex_lock(&memory->index);
        ski_memory_sweep(memory);
    }
    ski_mutex_lock(&memory->data);
    last = memory->count;
    if (indexed) {
        err = ski_memory_index(memory);
        last = memory->indexed; // what came meanwhile is no part of what is read
    }
    source_range(memory, read, last, &source);
    source_choose(memory, read, &source);
    if (!err) err = source_read(memory, read, &source, &page, &looked);
    if (!err && page.count) memory->pages++;
    if (err) page_unpin(memory, page.from);
    ski_mutex_unlock(&memory->data);
    if (indexed) ski_mutex_unlock(&memory->index);
    if (err || !page.count) {
        ski_free(page.events);
        ski_free(page.from);
        page.events = NULL;
        page.from = NULL;
    }
    if (err) return skald_fail(reterr_error, err, "%s", skald_err_text(err));
    if (read->before && read->before - 1 < last) last = read->before - 1;
    if (last < read->after) last = read->after;
    *ret_page = (skald_store_page){
        .events = page.events, .count = page.count, .end = !looked, .driver = page.from};
    if (page.from) page.from->events = page.events;
    if (looked)
        ret_page->position_next = looked;
    else
        ret_page->position_next = read->backwards ? read->after + 1 : last;
    return SKALD_OK;
}

void ski_memory_page_free(void *driver, skald_store_page *page)
{
    ski_memory *memory = driver;
    borrowed *from = page->driver;

    ski_mutex_lock(&memory->data);
    memory->pages--;
    page_unpin(memory, from);
    ski_memory_bury(memory);
    ski_mutex_unlock(&memory->data);
    ski_free(from->events);
    ski_free(from);
}
