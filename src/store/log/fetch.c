// SPDX-License-Identifier: Apache-2.0
// Fetching. Where the cache has the piece that an event lies in, or most of a piece is wanted, or
// it was wanted before, the event comes from there: pointed to when the page needs much of the
// piece, else copied, lest a page of few bytes hold on to many. All else is read from the disk, one
// pread for what lies close together.
//
// The cache never has the last word on damage: what does not check there is dropped from it and
// read again. What goes on in a piece that is not at hand is read from the disk, and no piece is
// dropped for that.
//
// Invariants:
//   1. Only bytes that will never change are put into the cache: of an active segment those before
//      the last event that readers see.
//   2. An event that lies in two pieces is copied and checked each time: no mark stands for both.
#include "store/log/fetch.h"
#include "base/alloc.h"
#include "store/log/bytes.h"
#include "store/log/frame.h"
#include "store/log/lookup.h"
#include <string.h>

enum {
    gap_bytes = 4096,           // a smaller gap is read over
    much_bytes = SKI_PIECE / 4, // of a piece: then it is worth reading and holding
    groups_max = 16,            // lent at a time
    expect_events = 8,          // ahead of the one that is decoded
    expect_bytes = 512,         // of an event
    line_bytes = 64,
};

// What the cache has of an event.
typedef enum fetched_as {
    FETCHED_RIGHT, // it was added
    FETCHED_WRONG, // its pieces are to be dropped
    FETCHED_NOT,   // not all of it: the disk is asked
} fetched_as;

// Candidates that are read together.
typedef struct fetch_run {
    size_t from, to;
    uint64_t offset, bytes;
} fetch_run;

// Candidates that begin in the same piece of the cache.
typedef struct fetch_group {
    size_t from, to;
    ski_piece *piece; // lent
    bool much;        // of it is wanted
} fetch_group;

// Where it is gone ahead of what is read.
typedef struct fetch_ahead {
    const fetch_group *groups; // the one of the candidate
    size_t at, end;            // candidates
} fetch_ahead;

static bool candidates_same(const ski_candidate *a, const ski_candidate *b)
{
    return a->slot == b->slot && a->generation == b->generation;
}

static uint64_t candidate_bytes(const ski_candidate *candidate)
{
    return candidate->bound - candidate->offset;
}

// run_at gives the longest run that begins with a candidate, of those that begin before offset_max.
static fetch_run run_at(const ski_plan *plan, size_t from, uint64_t offset_max)
{
    const ski_candidate *first = &plan->candidates[from];
    fetch_run run = {from, from + 1, first->offset, candidate_bytes(first)};

    if (first->slot == SKI_PLACE_DAMAGED) return (fetch_run){from, from + 1, 0, 0};
    for (; run.to < plan->count; run.to++) {
        const ski_candidate *next = &plan->candidates[run.to];

        if (!candidates_same(first, next) || next->offset >= offset_max) break;
        if (next->offset < run.offset + run.bytes) break;
        if (next->offset - (run.offset + run.bytes) > gap_bytes) break;
        run.bytes = next->bound - run.offset;
    }
    return run;
}

skald_err ski_fetch_begin(ski_fetch *fetch)
{
    const ski_plan *plan = &fetch->plan;
    size_t head = 0, events_bytes = plan->count * sizeof(skald_event);
    uint64_t bytes = plan->bytes;

    // No run reads over more than these gaps; one that is none is larger than any.
    for (size_t i = 1; i < plan->count; i++) {
        uint64_t gap = plan->candidates[i].offset - plan->candidates[i - 1].bound;

        if (gap <= gap_bytes) bytes += gap;
    }
    fetch->kept_max = (size_t)(plan->bytes / much_bytes);
    head = sizeof *fetch->fetched + fetch->kept_max * sizeof(ski_piece *);
    fetch->fetched = ski_alloc(head + events_bytes + (size_t)bytes + 1);
    if (!fetch->fetched) return SKALD_ENOMEM;
    fetch->fetched->kept_count = 0;
    fetch->events = (skald_event *)((char *)fetch->fetched + head);
    fetch->bytes = (uint8_t *)fetch->events + events_bytes;
    fetch->slot = SKI_PLACE_DAMAGED;
    return SKALD_OK;
}

static void fetched_let_go(ski_engine *engine, ski_fetched *fetched)
{
    ski_cache_unkeep(&engine->cache, fetched->kept, fetched->kept_count);
    fetched->kept_count = 0;
}

void ski_fetched_free(ski_engine *engine, ski_fetched *fetched)
{
    if (!fetched) return;
    fetched_let_go(engine, fetched);
    ski_free(fetched);
}

skald_err ski_fetch_bytes(ski_engine *engine, const ski_candidate *candidate, uint64_t bytes,
                          uint8_t *to)
{
    const ski_kernel *kernel = engine->kernel;
    ski_file *file = NULL;
    size_t got = 0;
    skald_err err = ski_engine_file(engine, candidate->slot, candidate->generation, &file);

    if (err == SKALD_ENOMEM || err == SKALD_ESTALE) return err;
    if (err) return SKALD_ECORRUPT;
    err = kernel->pread(kernel->context, file, to, (size_t)bytes, candidate->offset, &got);
    ski_engine_file_return(engine, candidate->slot, file);
    return err || got < bytes ? SKALD_ECORRUPT : SKALD_OK;
}

// event_put adds the event of a candidate to the page; false: the bytes are not its.
static inline bool event_put(ski_fetch *fetch, const ski_candidate *candidate, const uint8_t *bytes,
                             size_t available, bool check)
{
    skald_str tenant = fetch->read->filter.tenant;
    skald_event *event = &fetch->events[fetch->count];

    if (check && !ski_record_right(bytes, available)) return false;
    if (ski_record_event(bytes, available, event)) return false;
    if (event->position != candidate->position) return false;
    fetch->count += !tenant.ptr || (!tenant.len && !event->tenant.len) ||
                    skald_str_equal(event->tenant, tenant);
    return true;
}

// --- out of the cache ---------------------------------------------------------------------------

// segment_stable finds out how much of a candidate's segment will never change.
static void segment_stable(ski_fetch *fetch, uint32_t slot)
{
    ski_engine *engine = fetch->engine;

    if (fetch->slot == slot) return;
    ski_mutex_lock(&engine->lock);
    fetch->slot = slot;
    fetch->stable = UINT64_MAX;
    if (slot >= engine->sealed_count) {
        uint64_t visible = atomic_load(&engine->visible);
        ski_candidate last = {.slot = SKI_PLACE_DAMAGED};

        if (visible > engine->sealed_last) last = ski_locate_window(engine, visible);
        fetch->stable = last.slot == slot ? last.offset : 0;
    }
    ski_mutex_unlock(&engine->lock);
}

// piece_of lends a piece of a candidate's segment; NULL: the disk is to be asked.
static ski_piece *piece_of(ski_fetch *fetch, const ski_candidate *candidate, uint32_t number,
                           bool much)
{
    ski_engine *engine = fetch->engine;
    const ski_kernel *kernel = engine->kernel;
    uint64_t key = ski_engine_cached(candidate->slot, candidate->generation);
    uint64_t offset = (uint64_t)number * SKI_PIECE;
    ski_file *file = NULL;
    ski_piece *piece = NULL;
    bool again = false;
    size_t got = 0;
    skald_err err = SKALD_OK;

    piece = ski_cache_lend(&engine->cache, key, number, &again);
    if (piece || !(again || much)) return piece;
    segment_stable(fetch, candidate->slot);
    if (offset + SKI_PIECE > fetch->stable) return NULL;
    piece = ski_cache_make(&engine->cache);
    if (!piece) return NULL;
    err = ski_engine_file(engine, candidate->slot, candidate->generation, &file);
    if (!err) {
        err = kernel->pread(kernel->context, file, piece->bytes, SKI_PIECE, offset, &got);
        ski_engine_file_return(engine, candidate->slot, file);
    }
    if (err) {
        ski_cache_return(&engine->cache, piece);
        return NULL;
    }
    piece->len = (uint32_t)got;
    ski_cache_put(&engine->cache, piece, key, number);
    return piece;
}

// event_across adds an event of so many bytes that goes on in the next piece.
static fetched_as event_across(ski_fetch *fetch, const ski_candidate *candidate,
                               const ski_piece *piece, size_t len, bool much)
{
    ski_cache *cache = &fetch->engine->cache;
    uint32_t number = (uint32_t)(candidate->offset / SKI_PIECE);
    size_t at = (size_t)(candidate->offset % SKI_PIECE), here = SKI_PIECE - at;
    uint8_t *to = fetch->bytes + fetch->used;
    ski_piece *next = NULL;
    fetched_as as = FETCHED_WRONG;

    if (piece->len < SKI_PIECE) return FETCHED_WRONG; // the file ended before the event does
    if (len - here > SKI_PIECE) return FETCHED_NOT;
    next = piece_of(fetch, candidate, number + 1, much);
    if (!next) return FETCHED_NOT;
    if (len - here <= next->len) {
        memcpy(to, piece->bytes + at, here);
        memcpy(to + here, next->bytes, len - here);
        if (event_put(fetch, candidate, to, len, true)) as = FETCHED_RIGHT;
    }
    if (as == FETCHED_RIGHT) {
        fetch->used += len;
    } else {
        ski_cache_drop(cache, next);
    }
    ski_cache_return(cache, next);
    return as;
}

// event_cached adds the event of a candidate that begins in a piece; keep: the page holds the
// piece, else it is copied.
static fetched_as event_cached(ski_fetch *fetch, const ski_candidate *candidate, ski_piece *piece,
                               bool keep, bool much)
{
    size_t at = (size_t)(candidate->offset % SKI_PIECE), len = (size_t)candidate_bytes(candidate);
    const uint8_t *bytes = piece->bytes + at;
    bool marked = ski_piece_marked(piece, at);

    if (!keep || at + len > piece->len) { // no more than there is of it
        size_t size = at + SKI_RECORD_FIXED <= piece->len ? ski_record_size(bytes, len) : 0;

        if (size) len = size;
    }
    if (at + len > piece->len) return event_across(fetch, candidate, piece, len, much);
    if (!keep) {
        memcpy(fetch->bytes + fetch->used, bytes, len);
        bytes = fetch->bytes + fetch->used;
    }
    if (!event_put(fetch, candidate, bytes, len, !marked)) return FETCHED_WRONG;
    if (!marked) ski_piece_mark(piece, at);
    if (!keep) fetch->used += len;
    return FETCHED_RIGHT;
}

// ahead_expect has the processor fetch what reading the next event will touch: memory answers many
// such wishes at a time, and a miss takes as long as all else that is done for an event.
static inline void ahead_expect(fetch_ahead *ahead, const ski_candidate *candidates)
{
    const ski_candidate *candidate = &candidates[ahead->at];
    size_t at = 0, end = 0;

    if (ahead->at == ahead->end) return;
    if (ahead->at++ == ahead->groups->to) ahead->groups++;
    at = (size_t)(candidate->offset % SKI_PIECE);
    end = at + expect_bytes;
    if (end > at + candidate_bytes(candidate)) end = at + (size_t)candidate_bytes(candidate);
    if (end > SKI_PIECE) end = SKI_PIECE;
    for (; at < end; at += line_bytes) __builtin_prefetch(ahead->groups->piece->bytes + at);
}

// group_lend finds the candidates from one on that begin in the same piece, and lends that.
static fetch_group group_lend(ski_fetch *fetch, size_t from)
{
    const ski_candidate *first = &fetch->plan.candidates[from];
    uint64_t begin = first->offset / SKI_PIECE * SKI_PIECE, bytes = 0;
    fetch_group group = {.from = from, .to = from};

    if (first->slot == SKI_PLACE_DAMAGED || candidate_bytes(first) > SKI_PIECE) return group;
    for (; group.to < fetch->plan.count; group.to++) {
        const ski_candidate *candidate = &fetch->plan.candidates[group.to];

        if (!candidates_same(candidate, first)) break;
        if (candidate->offset < begin || candidate->offset - begin >= SKI_PIECE) break;
        bytes += candidate_bytes(candidate);
    }
    group.much = bytes >= much_bytes;
    group.piece = piece_of(fetch, first, (uint32_t)(begin / SKI_PIECE), group.much);
    if (!group.piece) return group;
    __builtin_prefetch(&group.piece->marks[first->offset % SKI_PIECE / SKI_PIECE_UNIT / 64]);
    return group;
}

// group_take adds the events of a group, and returns its piece; *ret_count is how many candidates
// were right. False: not all.
static bool group_take(ski_fetch *fetch, const fetch_group *group, fetch_ahead *ahead,
                       size_t *ret_count)
{
    const ski_candidate *candidates = fetch->plan.candidates;
    ski_fetched *fetched = fetch->fetched;
    ski_cache *cache = &fetch->engine->cache;
    bool keep = group->much && fetched->kept_count < fetch->kept_max && ski_cache_keep(cache);
    fetched_as as = FETCHED_RIGHT;
    size_t i = group->from;

    for (; i < group->to; i++) {
        ahead_expect(ahead, candidates);
        as = event_cached(fetch, &candidates[i], group->piece, keep, group->much);
        if (as != FETCHED_RIGHT) break;
    }
    if (as == FETCHED_WRONG) ski_cache_drop(cache, group->piece);
    if (keep) {
        fetched->kept[fetched->kept_count++] = group->piece;
    } else {
        ski_cache_return(cache, group->piece);
    }
    *ret_count = i - group->from;
    return i == group->to;
}

// fetch_cached adds the events from a candidate on whose pieces are at hand; returns how many
// candidates that were, none when the first one's is not.
static size_t fetch_cached(ski_fetch *fetch, size_t from)
{
    ski_cache *cache = &fetch->engine->cache;
    fetch_group groups[groups_max];
    size_t count = 0, to = from, done = 0;
    fetch_ahead ahead = {.groups = groups, .at = from};
    bool whole = true;

    for (; count < groups_max && to < fetch->plan.count; count++) {
        groups[count] = group_lend(fetch, to);
        if (!groups[count].piece) break;
        to = groups[count].to;
    }
    ahead.end = to;
    for (size_t i = 0; i < expect_events; i++) ahead_expect(&ahead, fetch->plan.candidates);
    for (size_t i = 0; i < count; i++) {
        size_t right = 0;

        if (whole) {
            whole = group_take(fetch, &groups[i], &ahead, &right);
            done += right;
        } else {
            ski_cache_return(cache, groups[i].piece);
        }
    }
    return done;
}

// --- from the disk ------------------------------------------------------------------------------

// run_decode adds the events of a run to the page, as far as they are whole; returns how many
// candidates were.
static size_t run_decode(ski_fetch *fetch, const fetch_run *run, const uint8_t *bytes)
{
    for (size_t i = run->from; i < run->to; i++) {
        const ski_candidate *candidate = &fetch->plan.candidates[i];

        if (!event_put(fetch, candidate, bytes + (candidate->offset - run->offset),
                       (size_t)candidate_bytes(candidate), true)) {
            return i - run->from;
        }
    }
    return run->to - run->from;
}

// fetch_disk reads a run, no further than the piece it begins in; one by one when it is damaged.
// *ret_count is how many of its candidates were right; none: the first one is damaged.
static skald_err fetch_disk(ski_fetch *fetch, size_t from, size_t *ret_count)
{
    const ski_candidate *first = &fetch->plan.candidates[from];
    uint64_t offset_max = (first->offset / SKI_PIECE + 1) * SKI_PIECE;
    fetch_run run =
        run_at(&fetch->plan, from, fetch->engine->cache.count_max ? offset_max : UINT64_MAX);
    uint8_t *bytes = fetch->bytes + fetch->used;
    skald_err err = SKALD_ECORRUPT;

    *ret_count = 0;
    if (first->slot != SKI_PLACE_DAMAGED) {
        err = ski_fetch_bytes(fetch->engine, first, run.bytes, bytes);
    }
    if (err == SKALD_ECORRUPT && run.to - run.from > 1) { // up to the damage
        run = (fetch_run){from, from + 1, first->offset, candidate_bytes(first)};
        err = ski_fetch_bytes(fetch->engine, first, run.bytes, bytes);
    }
    if (err == SKALD_ECORRUPT) return SKALD_OK;
    if (err) return err;
    *ret_count = run_decode(fetch, &run, bytes);
    if (*ret_count) fetch->used += fetch->plan.candidates[from + *ret_count - 1].bound - run.offset;
    return SKALD_OK;
}

skald_err ski_fetch_fill(ski_fetch *fetch, size_t *ret_whole)
{
    const ski_plan *plan = &fetch->plan;
    size_t i = 0, count = 1;

    fetched_let_go(fetch->engine, fetch->fetched);
    fetch->count = fetch->used = 0;
    while (i < plan->count && count) {
        count = fetch_cached(fetch, i);
        if (!count) SKALD_TRY(fetch_disk(fetch, i, &count));
        i += count;
    }
    *ret_whole = i;
    return SKALD_OK;
}
