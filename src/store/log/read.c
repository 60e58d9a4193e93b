// SPDX-License-Identifier: Apache-2.0
// Reading. A plan says which records; those that lie close together are read with one pread into
// the page, which is one block of memory: events, then bytes. Every record handed out has been
// verified, position and checksum, and nothing in a page points elsewhere.
//
// What cannot be read is CORRUPT with its place, and position_next is behind it: the next read goes
// on.
#include "base/alloc.h"
#include "store/log/bytes.h"
#include "store/log/damage.h"
#include "store/log/lookup.h"
#include "store/log/plan.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { gap_bytes = 4096 }; // a smaller gap is read over

// Candidates that are read together.
typedef struct read_run {
    size_t from, to;
    uint64_t offset, bytes;
} read_run;

typedef struct read_page {
    ski_engine *engine;
    const skald_read *read;
    ski_plan plan;
    skald_event *events;
    size_t count;
    uint8_t *bytes;
    size_t used;
} read_page;

// run_at gives the longest run that begins with a candidate.
static read_run run_at(const ski_plan *plan, size_t from)
{
    const ski_candidate *first = &plan->candidates[from];
    read_run run = {from, from + 1, first->offset, first->bound - first->offset};

    if (first->slot == SKI_PLACE_DAMAGED) return (read_run){from, from + 1, 0, 0};
    for (; run.to < plan->count; run.to++) {
        const ski_candidate *next = &plan->candidates[run.to];

        if (next->slot != first->slot || next->generation != first->generation) break;
        if (next->offset < run.offset + run.bytes) break;
        if (next->offset - (run.offset + run.bytes) > gap_bytes) break;
        run.bytes = next->bound - run.offset;
    }
    return run;
}

static uint64_t plan_bytes(const ski_plan *plan)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < plan->count;) {
        read_run run = run_at(plan, i);

        bytes += ski_align8(run.bytes);
        i = run.to;
    }
    return bytes;
}

static skald_err read_damaged(ski_engine *engine, const ski_candidate *candidate,
                              skald_error *reterr_error, ski_damage *ret_range)
{
    ski_damage range = ski_damage_range(engine, candidate);
    char name[SKI_SEGMENT_NAME], last[32];

    (void)snprintf(last, sizeof last, "to %llu", (unsigned long long)range.position_last);
    if (ski_damage_endless(engine, candidate->position)) { // nobody knows how many
        (void)snprintf(last, sizeof last, "on");
    }
    ski_rot rot = {.offset = range.offset,
                   .length = range.length,
                   .position_first = range.position_first,
                   .position_last = range.position_last};

    ski_mutex_lock(&engine->lock);
    ski_engine_segment_name(engine, range.slot, name);
    rot.no = engine->segments[range.slot]->no;
    rot.generation = engine->segments[range.slot]->generation;
    ski_mutex_unlock(&engine->lock);
    ski_damage_found(engine, &rot);
    *ret_range = range;
    return skald_fail(
        reterr_error, SKALD_ECORRUPT,
        "stored data is damaged: %s, offset %llu, %llu bytes (positions from %llu %s)", name,
        (unsigned long long)range.offset, (unsigned long long)range.length,
        (unsigned long long)range.position_first, last);
}

// run_read reads the bytes of a run. Fails: CORRUPT (not all of them can be read).
// STALE: the segment has been rewritten since it was planned.
static skald_err run_read(ski_engine *engine, const ski_candidate *first, const read_run *run,
                          uint8_t *bytes)
{
    const ski_kernel *kernel = engine->kernel;
    ski_file *file = NULL;
    size_t got = 0;
    skald_err err = ski_engine_file(engine, first->slot, first->generation, &file);

    if (err == SKALD_ENOMEM || err == SKALD_ESTALE) return err;
    if (err) return SKALD_ECORRUPT;
    err = kernel->pread(kernel->context, file, bytes, (size_t)run->bytes, run->offset, &got);
    ski_engine_file_return(engine, first->slot, file);
    return err || got < run->bytes ? SKALD_ECORRUPT : SKALD_OK;
}

// run_decode adds the events of a run to the page, as far as they are whole; returns how many
// candidates were.
static size_t run_decode(read_page *page, const read_run *run, const uint8_t *bytes)
{
    skald_str tenant = page->read->filter.tenant;

    for (size_t i = run->from; i < run->to; i++) {
        const ski_candidate *candidate = &page->plan.candidates[i];
        ski_record record;

        if (ski_record_get(bytes + (candidate->offset - run->offset),
                           candidate->bound - candidate->offset, &record) ||
            record.event.position != candidate->position) {
            return i - run->from;
        }
        if (tenant.ptr && !skald_str_equal(record.event.tenant, tenant)) continue;
        page->events[page->count++] = record.event;
    }
    return run->to - run->from;
}

// page_fill reads until the plan is done or something is damaged: *ret_whole candidates were right.
static skald_err page_fill(read_page *page, size_t *ret_whole)
{
    size_t i = 0;

    while (i < page->plan.count) {
        read_run run = run_at(&page->plan, i);
        uint8_t *bytes = page->bytes + page->used;
        const ski_candidate *first = &page->plan.candidates[i];
        skald_err err = SKALD_ECORRUPT;
        size_t whole = 0;

        if (first->slot != SKI_PLACE_DAMAGED) err = run_read(page->engine, first, &run, bytes);
        if (err == SKALD_ECORRUPT && run.to - run.from > 1) { // one by one, up to the damage
            run = (read_run){i, i + 1, first->offset, first->bound - first->offset};
            err = run_read(page->engine, first, &run, bytes);
        }
        if (err && err != SKALD_ECORRUPT) return err;
        if (!err) whole = run_decode(page, &run, bytes);
        i += whole;
        if (whole < run.to - run.from) break;
        page->used += ski_align8(run.bytes);
    }
    *ret_whole = i;
    return SKALD_OK;
}

static void events_reverse(skald_event *events, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        skald_event other = events[i];

        events[i] = events[count - 1 - i];
        events[count - 1 - i] = other;
    }
}

// page_tell makes the result of what was read: whole candidates of the plan, then damage if they
// are not all.
static skald_err page_tell(read_page *page, size_t whole, skald_store_page *ret_page,
                           skald_error *reterr_error)
{
    const ski_plan *plan = &page->plan;
    bool backwards = page->read->backwards;
    ski_damage range;
    skald_err err = SKALD_OK;

    if (whole == plan->count) {
        *ret_page = (skald_store_page){page->events, page->count, plan->position_next, plan->end,
                                       page->events};
        if (backwards) events_reverse(page->events, page->count);
        return SKALD_OK;
    }
    if (whole && !backwards) { // what is before the damage; the next page begins with it
        *ret_page = (skald_store_page){page->events, page->count,
                                       plan->candidates[whole - 1].position, false, page->events};
        return SKALD_OK;
    }
    err = read_damaged(page->engine, &plan->candidates[whole], reterr_error, &range);
    ret_page->position_next = backwards ? range.position_first : range.position_last;
    return err;
}

// page_backwards drops what a plan that goes backwards has before the damage: the newest events
// come first. It plans again for what lies behind the damaged candidate; false: that is nothing.
static bool page_behind(read_page *page, size_t damaged)
{
    ski_plan *plan = &page->plan;
    size_t behind = plan->count - damaged - 1;

    if (!behind) return false;
    plan->position_next = plan->candidates[damaged + 1].position;
    plan->end = false;
    memmove(plan->candidates, plan->candidates + damaged + 1, behind * sizeof *plan->candidates);
    plan->count = behind;
    page->count = 0;
    page->used = 0;
    return true;
}

// page_read fails also: STALE, when it is to be done again.
static skald_err page_read(ski_engine *engine, const skald_read *read, skald_store_page *ret_page,
                           skald_error *reterr_error)
{
    read_page page = {.engine = engine, .read = read};
    size_t events_bytes = 0, whole = 0;
    uint64_t bytes = 0;
    skald_err err = SKALD_OK;

    SKALD_TRY(ski_plan_make(engine, read, &page.plan, reterr_error));
    events_bytes = page.plan.count * sizeof(skald_event);
    bytes = plan_bytes(&page.plan);
    page.events = ski_alloc(events_bytes + (size_t)bytes + 1);
    if (!page.events) {
        ski_free(page.plan.candidates);
        return SKALD_ENOMEM;
    }
    page.bytes = (uint8_t *)page.events + events_bytes;
    err = page_fill(&page, &whole);
    while (!err && read->backwards && whole < page.plan.count && page_behind(&page, whole)) {
        err = page_fill(&page, &whole);
    }
    if (!err) err = page_tell(&page, whole, ret_page, reterr_error);
    if (err) ski_free(page.events);
    ski_free(page.plan.candidates);
    return err;
}

skald_err ski_read(void *driver, const skald_read *read, skald_store_page *ret_page,
                   skald_error *reterr_error)
{
    skald_err err = SKALD_ESTALE;

    while (err == SKALD_ESTALE) err = page_read(driver, read, ret_page, reterr_error);
    return err;
}

void ski_read_page_free(void *driver, skald_store_page *page)
{
    (void)driver;
    ski_free(page->driver);
    page->driver = NULL;
}

static skald_err record_read(ski_engine *engine, uint64_t position, uint8_t **ret_bytes,
                             ski_record *ret_record, skald_error *reterr_error)
{
    ski_candidate candidate;
    ski_damage range;
    read_run run = {.to = 1};
    uint8_t *bytes = NULL;
    ski_record record;
    skald_err err = SKALD_ECORRUPT;

    SKALD_TRY(ski_locate(engine, position, &candidate, reterr_error));
    run.offset = candidate.offset;
    run.bytes = candidate.bound - candidate.offset;
    bytes = ski_alloc((size_t)run.bytes + 1);
    if (!bytes) return SKALD_ENOMEM;
    if (candidate.slot != SKI_PLACE_DAMAGED) err = run_read(engine, &candidate, &run, bytes);
    if (!err &&
        (ski_record_get(bytes, (size_t)run.bytes, &record) || record.event.position != position)) {
        err = SKALD_ECORRUPT;
    }
    if (err) {
        ski_free(bytes);
        if (err != SKALD_ECORRUPT) return err;
        return read_damaged(engine, &candidate, reterr_error, &range);
    }
    *ret_bytes = bytes;
    *ret_record = record;
    return SKALD_OK;
}

skald_err ski_read_record(ski_engine *engine, uint64_t position, uint8_t **ret_bytes,
                          ski_record *ret_record, skald_error *reterr_error)
{
    skald_err err = SKALD_ESTALE;

    while (err == SKALD_ESTALE) {
        err = record_read(engine, position, ret_bytes, ret_record, reterr_error);
    }
    return err;
}
