// SPDX-License-Identifier: Apache-2.0
// Reading. A plan says which records, fetching gets them; this says what becomes of a page when one
// of them is damaged.
//
// What cannot be read is CORRUPT with its place, and position_next is behind it: the next read goes
// on.
#include "base/alloc.h"
#include "store/log/damage.h"
#include "store/log/fetch.h"
#include "store/log/frame.h"
#include "store/log/lookup.h"
#include <stdio.h>
#include <string.h>

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
static skald_err page_tell(ski_fetch *fetch, size_t whole, skald_store_page *ret_page,
                           skald_error *reterr_error)
{
    const ski_plan *plan = &fetch->plan;
    bool backwards = fetch->read->backwards;
    ski_damage range;
    skald_err err = SKALD_OK;

    if (whole == plan->count) {
        *ret_page = (skald_store_page){fetch->events, fetch->count, plan->position_next, plan->end,
                                       fetch->fetched};
        if (backwards) events_reverse(fetch->events, fetch->count);
        return SKALD_OK;
    }
    if (whole && !backwards) { // what is before the damage; the next page begins with it
        *ret_page = (skald_store_page){fetch->events, fetch->count,
                                       plan->candidates[whole - 1].position, false, fetch->fetched};
        return SKALD_OK;
    }
    err = read_damaged(fetch->engine, &plan->candidates[whole], reterr_error, &range);
    ret_page->position_next = backwards ? range.position_first : range.position_last;
    return err;
}

// page_behind drops what a plan that goes backwards has before the damage: the newest events come
// first. False: nothing lies behind the damaged candidate.
static bool page_behind(ski_plan *plan, size_t damaged)
{
    size_t behind = plan->count - damaged - 1;

    if (!behind) return false;
    plan->position_next = plan->candidates[damaged + 1].position;
    plan->end = false;
    memmove(plan->candidates, plan->candidates + damaged + 1, behind * sizeof *plan->candidates);
    plan->count = behind;
    return true;
}

// page_read fails also: STALE, when it is to be done again.
static skald_err page_read(ski_engine *engine, const skald_read *read, skald_store_page *ret_page,
                           skald_error *reterr_error)
{
    ski_fetch fetch = {.engine = engine, .read = read};
    size_t whole = 0;
    skald_err err = SKALD_OK;

    SKALD_TRY(ski_plan_make(engine, read, &fetch.plan, reterr_error));
    err = ski_fetch_begin(&fetch);
    if (!err) err = ski_fetch_fill(&fetch, &whole);
    while (!err && read->backwards && whole < fetch.plan.count && page_behind(&fetch.plan, whole)) {
        err = ski_fetch_fill(&fetch, &whole);
    }
    if (!err) err = page_tell(&fetch, whole, ret_page, reterr_error);
    if (err) ski_fetched_free(engine, fetch.fetched);
    ski_free(fetch.plan.candidates);
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
    ski_fetched_free(driver, page->driver);
    page->driver = NULL;
}

static skald_err record_read(ski_engine *engine, uint64_t position, uint8_t **ret_bytes,
                             ski_record *ret_record, skald_error *reterr_error)
{
    ski_candidate candidate;
    ski_damage range;
    uint8_t *bytes = NULL;
    size_t len = 0;
    ski_record record;
    skald_err err = SKALD_ECORRUPT;

    SKALD_TRY(ski_locate(engine, position, &candidate, reterr_error));
    if (candidate.slot != SKI_PLACE_DAMAGED) len = (size_t)(candidate.bound - candidate.offset);
    bytes = ski_alloc(len + 1);
    if (!bytes) return SKALD_ENOMEM;
    if (len) err = ski_fetch_bytes(engine, &candidate, len, bytes);
    if (!err && (ski_record_get(bytes, len, &record) || record.event.position != position)) {
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
