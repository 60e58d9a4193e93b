// SPDX-License-Identifier: Apache-2.0
// Reading: positions come from the index that the filter names most narrowly, or one by one; each
// row is checked, looked at, and copied into the page if the read means it.
//
// Invariants:
//   1. A page looks at looked_max rows at most: whoever searches for long comes back now and then,
//      and SQLite's log is not kept from being emptied.
//   2. No position is passed over in silence: one that is missing, or whose row is damaged, is
//      CORRUPT, and the next read goes on behind it.
//   3. Nothing above head is given, though a commit may be seen before head says so.
#include "store/sqlite/sqlite_store.h"

#include "base/alloc.h"
#include "base/str.h"
#include "store/content.h"

#include <stdio.h>
#include <string.h>

enum {
    looked_max = 4096,
    lists_max = 16, // merged; with more names than that all rows are looked at
    page_events_first = 16,
};

typedef enum list_kind { LIST_NONE, LIST_STREAM, LIST_TYPE, LIST_CORRELATION } list_kind;

// A list is the positions under one name, read one at a time: each is a look into an index.
typedef struct position_list {
    skald_str name;
    uint64_t position;          // where it stands; 0: at its end
    uint64_t version, versions; // of a stream: where it stands, and where it ends
} position_list;

typedef struct row_source {
    ski_db *db;
    const skald_read *read;
    list_kind kind;
    uint64_t low, high; // positions, inclusive; low > high: none are left
    size_t count;
    position_list lists[lists_max];
    sqlite3_stmt *scan; // of LIST_NONE
} row_source;

// What a page is made of, and goes with: its array, and the texts.
typedef struct page_memory {
    skald_arena *arena;
    skald_event *events;
} page_memory;

// The page while it is made.
typedef struct gathered {
    page_memory *memory;
    skald_event *events; // the memory's
    size_t count, size;
    uint64_t bytes;
} gathered;

static uint64_t source_here(const row_source *source)
{
    return source->read->backwards ? source->high : source->low;
}

// source_pass goes on behind a position.
static void source_pass(row_source *source, uint64_t position)
{
    if (source->read->backwards)
        source->high = position - 1;
    else
        source->low = position + 1;
}

// source_passed: a position was found and is left behind, so it is its own row that is damaged.
static bool source_passed(const row_source *source, uint64_t position)
{
    return source->read->backwards ? position > source->high : position < source->low;
}

static skald_err stream_at(const row_source *source, skald_str stream, uint64_t version,
                           uint64_t *ret_position)
{
    sqlite3_stmt *stmt;
    bool row;

    SKALD_TRY(ski_db_stmt(source->db, SKI_SQL_STREAM_AT, &stmt));
    ski_db_name(stmt, 1, source->read->filter.tenant);
    ski_db_name(stmt, 2, stream);
    ski_db_u64(stmt, 3, version);
    SKALD_TRY(ski_db_row(source->db, stmt, &row));
    if (!row) return SKALD_ECORRUPT; // versions have no gaps
    *ret_position = ski_db_column_u64(stmt, 0);
    (void)sqlite3_reset(stmt);
    return SKALD_OK;
}

// stream_upto is the last version of a stream, in (low, high], that is at or before a position, or
// low; by halving.
static skald_err stream_upto(const row_source *source, skald_str stream, uint64_t low,
                             uint64_t high, uint64_t position, uint64_t *ret_version)
{
    while (low < high) {
        uint64_t middle = low + (high - low) / 2, at;

        SKALD_TRY(stream_at(source, stream, middle + 1, &at));
        if (at <= position)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_version = low;
    return SKALD_OK;
}

// stream_begin finds the versions of a stream that lie in the range.
static skald_err stream_begin(const row_source *source, position_list *list)
{
    const skald_read *read = source->read;
    uint64_t versions = 0, last = 0, first, least;
    sqlite3_stmt *stmt;
    bool row;

    SKALD_TRY(ski_db_stmt(source->db, SKI_SQL_STREAM_GET, &stmt));
    ski_db_name(stmt, 1, read->filter.tenant);
    ski_db_name(stmt, 2, list->name);
    SKALD_TRY(ski_db_row(source->db, stmt, &row));
    if (row) {
        versions = ski_db_column_u64(stmt, 0);
        last = ski_db_column_u64(stmt, 1);
    }
    (void)sqlite3_reset(stmt);
    // What was erased of a stream are its first ones, perhaps all.
    SKALD_TRY(ski_db_stmt(source->db, SKI_SQL_STREAM_FIRST, &stmt));
    ski_db_name(stmt, 1, read->filter.tenant);
    ski_db_name(stmt, 2, list->name);
    SKALD_TRY(ski_db_row(source->db, stmt, &row));
    least = row ? ski_db_column_u64(stmt, 0) : 0;
    (void)sqlite3_reset(stmt);
    if (!least) return SKALD_OK;
    first = least - 1;
    if (last > source->high)
        SKALD_TRY(stream_upto(source, list->name, first, versions, source->high, &versions));
    if (source->low > 1)
        SKALD_TRY(stream_upto(source, list->name, first, versions, source->low - 1, &first));
    if (read->version_to && read->version_to < versions) versions = read->version_to;
    if (read->version_from && read->version_from - 1 > first) first = read->version_from - 1;
    list->version = first;
    list->versions = versions;
    return SKALD_OK;
}

// list_next moves a list to its next position in the range.
static skald_err list_next(const row_source *source, position_list *list)
{
    bool backwards = source->read->backwards;
    ski_sql sql = source->kind == LIST_TYPE ? backwards ? SKI_SQL_TYPE_DOWN : SKI_SQL_TYPE_UP
                  : backwards               ? SKI_SQL_CORRELATION_DOWN
                                            : SKI_SQL_CORRELATION_UP;
    sqlite3_stmt *stmt;
    bool row;

    list->position = 0;
    if (source->low > source->high) return SKALD_OK;
    if (source->kind == LIST_STREAM) {
        if (list->version >= list->versions) return SKALD_OK;
        return stream_at(source, list->name, backwards ? list->versions-- : ++list->version,
                         &list->position);
    }
    SKALD_TRY(ski_db_stmt(source->db, sql, &stmt));
    ski_db_name(stmt, 1, source->read->filter.tenant);
    ski_db_name(stmt, 2, list->name);
    ski_db_u64(stmt, 3, source_here(source));
    SKALD_TRY(ski_db_row(source->db, stmt, &row));
    if (row) list->position = ski_db_column_u64(stmt, 0);
    (void)sqlite3_reset(stmt);
    if (list->position < source->low || list->position > source->high) list->position = 0;
    return SKALD_OK;
}

static bool exact(skald_texts types)
{
    for (size_t i = 0; i < types.count; i++) {
        skald_str type = types.items[i];

        if (type.len && type.ptr[type.len - 1] == '*') return false;
    }
    return true;
}

// source_choose takes the index that is usually the narrowest of those the filter names.
static void source_choose(const skald_filter *filter, list_kind *ret_kind, skald_texts *ret_names)
{
    *ret_kind = LIST_NONE;
    *ret_names = (skald_texts){0};
    if (!filter->tenant.ptr) return; // indexes are a tenant's
    if (filter->correlation_id.len) {
        *ret_kind = LIST_CORRELATION;
        *ret_names = (skald_texts){&filter->correlation_id, 1};
    } else if (filter->streams.count && filter->streams.count <= lists_max) {
        *ret_kind = LIST_STREAM;
        *ret_names = filter->streams;
    } else if (filter->types.count && filter->types.count <= lists_max && exact(filter->types)) {
        *ret_kind = LIST_TYPE;
        *ret_names = filter->types;
    }
}

static skald_err source_begin(row_source *source)
{
    bool backwards = source->read->backwards;
    skald_texts names;

    source_choose(&source->read->filter, &source->kind, &names);
    if (source->low > source->high) return SKALD_OK;
    if (source->kind == LIST_NONE) {
        SKALD_TRY(ski_db_stmt(source->db, backwards ? SKI_SQL_EVENTS_DOWN : SKI_SQL_EVENTS_UP,
                              &source->scan));
        ski_db_u64(source->scan, 1, source->low);
        ski_db_u64(source->scan, 2, source->high);
        return SKALD_OK;
    }
    for (; source->count < names.count; source->count++) {
        position_list *list = &source->lists[source->count];

        *list = (position_list){.name = names.items[source->count]};
        if (source->kind == LIST_STREAM) SKALD_TRY(stream_begin(source, list));
        SKALD_TRY(list_next(source, list));
    }
    return SKALD_OK;
}

// lists_next gives the next position of all lists, 0 at the end. A name may stand twice in a
// filter: its lists move on together.
static skald_err lists_next(row_source *source, uint64_t *ret_position)
{
    uint64_t next = 0;

    for (size_t i = 0; i < source->count; i++) {
        uint64_t position = source->lists[i].position;

        if (!position) continue;
        if (!next || (source->read->backwards ? position > next : position < next)) next = position;
    }
    *ret_position = next;
    if (!next) return SKALD_OK;
    source_pass(source, next);
    for (size_t i = 0; i < source->count; i++)
        if (source->lists[i].position == next) SKALD_TRY(list_next(source, &source->lists[i]));
    return SKALD_OK;
}

// row_at reads one row. It must be there.
static skald_err row_at(row_source *source, uint64_t position, skald_event *ret_event)
{
    sqlite3_stmt *stmt;
    bool row;

    SKALD_TRY(ski_db_stmt(source->db, SKI_SQL_EVENT_AT, &stmt));
    ski_db_u64(stmt, 1, position);
    SKALD_TRY(ski_db_row(source->db, stmt, &row));
    return row ? ski_db_event(source->db, stmt, ret_event) : SKALD_ECORRUPT;
}

// gap_check: the positions from due on are not there, up to the one before position (0: to the
// end). All of them must have been erased; else *ret_position is the last one that is missing.
static skald_err gap_check(const row_source *source, uint64_t due, uint64_t position,
                           uint64_t *ret_position)
{
    bool backwards = source->read->backwards;
    uint64_t last, first_erased, last_erased;

    if (position)
        last = backwards ? position + 1 : position - 1;
    else
        last = backwards ? source->low : source->high;
    SKALD_TRY(ski_db_erased(source->db, due, &first_erased, &last_erased));
    if (last_erased && (backwards ? first_erased <= last : last_erased >= last)) return SKALD_OK;
    *ret_position = last;
    return SKALD_ECORRUPT;
}

// row_next gives the next row, its texts borrowed until the next call; position 0: the end. Behind
// CORRUPT *ret_position is the last one that is damaged.
static skald_err row_next(row_source *source, uint64_t *ret_position, skald_event *ret_event)
{
    uint64_t due = source_here(source), position;
    skald_err err;
    bool row = false;

    *ret_position = 0;
    if (source->low > source->high) return SKALD_OK;
    if (source->kind != LIST_NONE) {
        // An index that cannot be read says nothing of what is left of the range.
        *ret_position = source->read->backwards ? source->low : source->high;
        SKALD_TRY(lists_next(source, &position));
        *ret_position = position;
        return position ? row_at(source, position, ret_event) : SKALD_OK;
    }
    *ret_position = due;
    SKALD_TRY(ski_db_row(source->db, source->scan, &row));
    position = row ? ski_db_column_u64(source->scan, 0) : 0;
    if (position != due) {
        SKALD_TRY(gap_check(source, due, position, ret_position));
        if (!row) {
            *ret_position = 0;
            return SKALD_OK;
        }
        *ret_position = position;
    }
    err = ski_db_event(source->db, source->scan, ret_event);
    if (!err) source_pass(source, position);
    return err;
}

static skald_err memory_new(size_t page_bytes, page_memory **ret_memory)
{
    static const size_t slack_bytes = 64 * 1024 * 1024; // one event beyond the page
    page_memory *memory = ski_alloc_zeroed(1, sizeof(*memory));

    if (!memory) return SKALD_ENOMEM;
    if (skald_arena_new(2 * page_bytes + slack_bytes, &memory->arena)) {
        ski_free(memory);
        return SKALD_ENOMEM;
    }
    *ret_memory = memory;
    return SKALD_OK;
}

static void memory_free(page_memory *memory)
{
    if (!memory) return;
    ski_free(memory->events);
    skald_arena_free(memory->arena);
    ski_free(memory);
}

static char *text_put(skald_str *text, char *at)
{
    if (!text->len) return at;
    memcpy(at, text->ptr, text->len);
    text->ptr = at;
    return at + text->len;
}

static skald_err gather(gathered *page, const skald_event *event)
{
    skald_event kept = *event;
    skald_str *texts[] = {&kept.type, &kept.data,   &kept.metadata,       &kept.stream,
                          &kept.tags, &kept.tenant, &kept.correlation_id, &kept.causation_id,
                          &kept.user, &kept.role,   &kept.source,         &kept.traceparent};
    size_t bytes = ski_event_text_bytes(event);
    char *at = skald_arena_get(page->memory->arena, bytes + 1);

    if (!at) return SKALD_ENOMEM;
    if (page->count == page->size) {
        size_t size = page->size ? page->size * 2 : page_events_first;
        skald_event *events = ski_realloc(page->events, size * sizeof(*events));

        if (!events) return SKALD_ENOMEM;
        page->events = page->memory->events = events;
        page->size = size;
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) at = text_put(texts[i], at);
    page->events[page->count++] = kept;
    page->bytes += bytes + sizeof(kept);
    return SKALD_OK;
}

// source_read fills a page. *ret_looked is the last position looked at, 0: the source has ended.
// CORRUPT: *ret_looked is the last one damaged, *ret_from the first.
static skald_err source_read(row_source *source, gathered *page, uint64_t *ret_looked,
                             uint64_t *ret_from)
{
    const skald_read *read = source->read;
    uint64_t looked = 0;

    for (size_t i = 0; i < looked_max; i++) {
        uint64_t position, here = source_here(source);
        skald_event event;
        skald_err err = row_next(source, &position, &event);

        if (err == SKALD_ECORRUPT && looked) break; // told by the next read, which begins there
        if (err || !position) {
            *ret_looked = position;
            *ret_from = source_passed(source, position) ? position : here;
            return err;
        }
        if (ski_read_matches(read, &event)) {
            uint64_t bytes = page->bytes + ski_event_text_bytes(&event) + sizeof(event);

            if (page->count && bytes > read->page_bytes_max) break;
            SKALD_TRY(gather(page, &event));
        }
        looked = position;
        if (read->events_max && page->count == read->events_max) break;
    }
    *ret_looked = looked;
    return SKALD_OK;
}

// recorded_before is how many of the first high events were recorded before a time, by halving:
// recorded_at never falls.
static skald_err recorded_before(ski_db *db, uint64_t high, skald_time time, uint64_t *ret_count)
{
    uint64_t low = 0;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        sqlite3_stmt *stmt;
        bool row;

        SKALD_TRY(ski_db_stmt(db, SKI_SQL_RECORDED_AT, &stmt));
        ski_db_u64(stmt, 1, middle + 1);
        SKALD_TRY(ski_db_row(db, stmt, &row));
        bool before = row && sqlite3_column_int64(stmt, 0) < time;
        (void)sqlite3_reset(stmt);
        if (before)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_count = low;
    return SKALD_OK;
}

static skald_err source_range(row_source *source, uint64_t head)
{
    const skald_read *read = source->read;
    uint64_t before;

    source->low = read->after < head ? read->after + 1 : head + 1;
    source->high = head;
    if (read->before && read->before - 1 < head) source->high = read->before - 1;
    if (read->from) {
        SKALD_TRY(recorded_before(source->db, head, read->from, &before));
        if (before >= source->low) source->low = before + 1;
    }
    if (read->to) {
        SKALD_TRY(recorded_before(source->db, head, read->to, &before));
        if (before < source->high) source->high = before;
    }
    return SKALD_OK;
}

static skald_err page_read(ski_db *db, const skald_read *read, gathered *page, uint64_t head,
                           uint64_t *ret_looked, uint64_t *ret_from)
{
    row_source source = {.db = db, .read = read};
    skald_err err;

    *ret_looked = 0;
    SKALD_TRY(source_range(&source, head));
    *ret_from = source_here(&source);
    err = source_begin(&source);
    if (!err) return source_read(&source, page, ret_looked, ret_from);
    // An index that cannot be read: nothing is known of the whole range.
    *ret_looked = read->backwards ? source.low : source.high;
    return err;
}

static skald_err page_fail(const ski_sqlite *store, const skald_read *read, skald_err err,
                           uint64_t from, uint64_t looked, skald_store_page *ret_page,
                           skald_error *reterr_error)
{
    if (err != SKALD_ECORRUPT)
        return skald_fail(reterr_error, err, "reading '%s': %s", store->path, skald_err_text(err));
    *ret_page = (skald_store_page){.position_next = looked};
    return skald_fail(reterr_error, err,
                      "'%s' is damaged: positions %llu to %llu cannot be read; run verify",
                      store->path, (unsigned long long)(read->backwards ? looked : from),
                      (unsigned long long)(read->backwards ? from : looked));
}

skald_err ski_sqlite_read(void *driver, const skald_read *read, skald_store_page *ret_page,
                          skald_error *reterr_error)
{
    ski_sqlite *store = driver;
    uint64_t head = atomic_load(&store->head), looked = 0, from = 0, last = head;
    gathered page = {0};
    skald_err err;
    ski_db *db;

    err = memory_new(read->page_bytes_max, &page.memory);
    if (!err) err = ski_sqlite_reader(store, &db);
    if (!err) {
        err = page_read(db, read, &page, head, &looked, &from);
        ski_sqlite_reader_end(store, db);
    }
    if (err || !page.count) memory_free(page.memory);
    if (!page.count) page.memory = NULL;
    if (err) return page_fail(store, read, err, from, looked, ret_page, reterr_error);
    if (read->before && read->before - 1 < last) last = read->before - 1;
    if (last < read->after) last = read->after;
    *ret_page = (skald_store_page){
        .count = page.count, .events = page.events, .end = !looked, .driver = page.memory};
    if (looked)
        ret_page->position_next = looked;
    else
        ret_page->position_next = read->backwards ? read->after + 1 : last;
    return SKALD_OK;
}

void ski_sqlite_page_free(void *driver, skald_store_page *page)
{
    (void)driver;
    memory_free(page->driver);
}
