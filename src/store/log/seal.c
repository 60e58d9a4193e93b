// SPDX-License-Identifier: Apache-2.0
// Sealing: a segment that is full gets its index file and its state file, and from then on it is
// answered from them; what the window held of it is given up.
//
// In this order: the index file is there, under its name, on the device; the segment is answered
// from it; the state file. A crash in between costs building the index again, or replaying the
// values of one segment more. What fails is tried again later, and appends go on meanwhile.
#include "base/alloc.h"
#include "base/log.h"
#include "store/log/bytes.h"
#include "store/log/engine.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { value_head = 8 }; // u32 length of the name, u32 of the bytes
#define SEAL_RETRY_NS (UINT64_C(5) * 1000 * 1000 * 1000)

typedef struct sealing {
    ski_engine *engine;
    uint32_t slot;
} sealing;

bool ski_seal_wanted(const ski_engine *engine)
{
    uint32_t slot = engine->sealed_count;

    if (engine->read_only || engine->dead || !engine->active) return false;
    if (slot >= engine->segment_count || engine->segments[slot] == engine->active) return false;
    return !engine->seal_failing || ski_engine_now_ns(engine) >= engine->seal_until_ns;
}

static ski_segment *segment_at(ski_engine *engine, uint32_t slot)
{
    ski_segment *segment = NULL;

    ski_mutex_lock(&engine->lock);
    segment = engine->segments[slot];
    ski_mutex_unlock(&engine->lock);
    return segment;
}

// segment_events gives how many positions a segment has; 0: it is the last one.
static uint64_t segment_events(ski_engine *engine, uint32_t slot)
{
    uint64_t events = 0;

    ski_mutex_lock(&engine->lock);
    if (slot + 1 < engine->segment_count) {
        events = engine->segments[slot + 1]->base_pos - engine->segments[slot]->base_pos;
    }
    ski_mutex_unlock(&engine->lock);
    return events;
}

// seal_interrupted: the store is being closed. If not, the segment behind is gone over meanwhile.
static bool seal_interrupted(void *context)
{
    ski_engine *engine = ((sealing *)context)->engine;
    bool closing = false, follow = false;

    ski_mutex_lock(&engine->lock);
    closing = engine->closing || engine->dead;
    follow = ski_follow_wanted(engine);
    ski_mutex_unlock(&engine->lock);
    if (follow && !closing) ski_follow_step(engine);
    return closing;
}

// seal_damaged: what was written and synced moments ago, or long ago, is not what is read now.
static void seal_damaged(void *context, uint64_t offset, uint64_t length, uint64_t position_first,
                         uint64_t position_last)
{
    sealing *job = context;
    ski_damage damage = {job->slot, offset, length, position_first, position_last};
    char name[SKI_SEGMENT_NAME];

    ski_mutex_lock(&job->engine->lock);
    ski_engine_segment_name(job->engine, job->slot, name);
    if (ski_engine_damage_add(job->engine, &damage)) damage.length = 0; // it is in the index too
    ski_mutex_unlock(&job->engine->lock);
    ski_log_line(job->engine->host->log, SKALD_ERROR, "stored data is damaged", "file", name, NULL);
}

// seal_build makes the index file of a segment and opens it.
static skald_err seal_build(sealing *job, ski_sealed **ret_sealed, skald_error *reterr_error)
{
    ski_engine *engine = job->engine;
    const ski_segment *segment = segment_at(engine, job->slot);
    ski_sealed_source source = {.kernel = engine->kernel,
                                .path = engine->path,
                                .store = engine->store,
                                .no = segment->no,
                                .generation = segment->generation,
                                .events = segment_events(engine, job->slot),
                                .uncached = segment->uncached,
                                .memory = engine->read_only ? NULL : &engine->follow.memory,
                                .interrupted = seal_interrupted,
                                .damaged = seal_damaged,
                                .context = job};
    ski_sealed_follower *followed = NULL;
    bool unsure = false;
    skald_err err = SKALD_OK;

    if (engine->read_only) {
        return ski_sealed_build_memory(&source, &engine->pool, ret_sealed, reterr_error);
    }
    followed = ski_follow_take(engine, job->slot);
    if (followed) {
        err = ski_sealed_build_followed(&source, followed, &unsure, reterr_error);
    } else {
        err = ski_sealed_build(&source, &unsure, reterr_error);
    }
    ski_follow_memory(engine);
    if (unsure) ski_engine_die(engine, "the device failed to store an index (sync)");
    if (err) return err;
    return ski_sealed_open(&engine->pool, engine->path, engine->store, segment->no,
                           segment->generation, ret_sealed, reterr_error);
}

skald_err ski_seal_totals(const ski_sealed *sealed, ski_totals *totals)
{
    ski_sealed_names_iter iter;
    skald_err err = ski_sealed_names_begin(&iter, sealed, SKI_SEALED_TYPES, (skald_str){"", 0},
                                           (skald_str){"", 0}, NULL);

    while (!err) {
        err = ski_sealed_names_next(&iter, NULL);
        if (!err) err = ski_totals_add(totals, iter.tenant, iter.name, iter.count, iter.last_pos);
    }
    return err == SKALD_ENOTFOUND ? SKALD_OK : err;
}

static void values_put(char *to, skald_str text)
{
    if (text.len) memcpy(to, text.ptr, text.len);
}

void ski_seal_values(ski_engine *engine, ski_segment *segment)
{
    const ski_values *values = &engine->values;
    size_t len = 0, at = 0;
    char *bytes = NULL;

    ski_mutex_lock(&engine->lock);
    for (uint32_t i = 0; i < values->count; i++) {
        const ski_values_entry *entry = &values->entries[i];

        if (entry->bytes) len += value_head + entry->name_len + entry->bytes->len;
    }
    bytes = ski_alloc(len + 1);
    for (uint32_t i = 0; i < values->count && bytes; i++) {
        const ski_values_entry *entry = &values->entries[i];

        if (!entry->bytes) continue;
        ski_put_u32((uint8_t *)bytes + at, (uint32_t)entry->name_len);
        ski_put_u32((uint8_t *)bytes + at + 4, (uint32_t)entry->bytes->len);
        at += value_head;
        values_put(bytes + at, (skald_str){entry->name, entry->name_len});
        at += entry->name_len;
        values_put(bytes + at, (skald_str){entry->bytes->bytes, entry->bytes->len});
        at += entry->bytes->len;
    }
    ski_free(segment->values);
    segment->values = bytes; // NULL: this segment gets no state file, the next one will
    segment->values_len = at;
    ski_mutex_unlock(&engine->lock);
}

static skald_err state_put(ski_engine *engine, const char *values, size_t values_len,
                           ski_state_writer *writer)
{
    for (size_t at = 0; at < values_len;) {
        uint32_t name_len = ski_get_u32((const uint8_t *)values + at);
        uint32_t len = ski_get_u32((const uint8_t *)values + at + 4);

        at += value_head;
        SKALD_TRY(ski_state_put_value(writer, (skald_str){values + at, name_len},
                                      (skald_str){values + at + name_len, len}));
        at += name_len + len;
    }
    for (uint32_t i = 0; i < engine->totals.count; i++) { // nobody else changes them
        const ski_total *item = &engine->totals.items[i];
        ski_state_total total = {ski_total_tenant(item), ski_total_type(item), item->count,
                                 item->last_pos};

        if (item->count) SKALD_TRY(ski_state_put_total(writer, &total));
    }
    return SKALD_OK;
}

// state_listed notes a state file that is there, and removes the oldest when there are more than
// are kept.
static void state_listed(ski_engine *engine, uint32_t no)
{
    char name[SKI_STATE_NAME], path[SKI_ENGINE_PATH_MAX];

    engine->states[engine->state_count++] = no;
    if (engine->state_count <= SKI_STATES_KEPT) return;
    ski_state_name(name, engine->states[0]);
    engine->state_count--;
    memmove(engine->states, engine->states + 1, engine->state_count * sizeof *engine->states);
    if (ski_engine_path(engine, name, path)) return;
    if (engine->kernel->unlink(engine->kernel->context, path)) return; // opening the store does it
}

// seal_state writes the state file of a segment that was just sealed.
static void seal_state(ski_engine *engine, uint32_t slot)
{
    ski_segment *segment = segment_at(engine, slot);
    const ski_sealed_info *info = ski_sealed_info_of(segment->indexed->sealed);
    ski_state_head head = {.store = engine->store,
                           .segment_no = segment->no,
                           .incarnation = info->incarnation,
                           .chain_crc = info->chain_crc,
                           .next_pos = info->base_pos + info->count,
                           .recorded_last = info->recorded_last,
                           .append_us = info->append_us};
    ski_state_writer *writer = NULL;
    bool unsure = false;
    char *values = segment->values;
    skald_err err = SKALD_OK;

    if (!values) return;
    err = ski_state_begin(engine->kernel, engine->path, &head, &writer);
    if (!err) {
        err = state_put(engine, values, segment->values_len, writer);
        if (err) {
            ski_state_cancel(writer);
        } else {
            err = ski_state_finish(writer, &unsure);
        }
    }
    if (unsure) ski_engine_die(engine, "the device failed to store a state file (sync)");
    ski_mutex_lock(&engine->lock);
    segment->values = NULL;
    ski_mutex_unlock(&engine->lock);
    ski_free(values);
    if (!err) state_listed(engine, segment->no);
}

// seal_turn has a segment answered from its index from now on, and moves the bound between index
// files and window behind it; the totals too, all in one hold of the lock. Takes sealed on success.
// Fails: NOMEM.
static skald_err seal_turn(ski_engine *engine, uint32_t slot, ski_sealed *take_sealed,
                           const ski_totals *more)
{
    skald_err err = SKALD_OK;

    ski_mutex_lock(&engine->lock);
    for (uint32_t i = 0; i < more->count && !err; i++) { // the names, so that counts need no memory
        err = ski_totals_add(&engine->totals, ski_total_tenant(&more->items[i]),
                             ski_total_type(&more->items[i]), 0, 0);
    }
    if (!err) err = ski_engine_index_put(engine, slot, take_sealed);
    for (uint32_t i = 0; i < more->count && !err; i++) {
        const ski_total *total = &more->items[i];

        err = ski_totals_add(&engine->totals, ski_total_tenant(total), ski_total_type(total),
                             total->count, total->last_pos);
        assert(!err);
    }
    if (!err) {
        engine->sealed_last = ski_engine_segment_last(engine, slot);
        engine->sealed_count = slot + 1;
        if (!engine->listing && ski_window_forget(&engine->window, engine->sealed_last)) {
            engine->epoch++;
        }
        engine->seals++;
        engine->seal_failing = false;
        engine->merge_due = engine->filters_due = true;
        ski_cond_broadcast(&engine->kept_some);
    }
    ski_mutex_unlock(&engine->lock);
    return err;
}

static void seal_failed(ski_engine *engine, uint32_t slot, skald_err err, const char *why)
{
    char name[SKI_SEGMENT_NAME];

    ski_mutex_lock(&engine->lock);
    ski_engine_segment_name(engine, slot, name);
    engine->seal_failing = true;
    engine->seal_until_ns = ski_engine_now_ns(engine) + SEAL_RETRY_NS;
    ski_cond_broadcast(&engine->kept_some);
    ski_mutex_unlock(&engine->lock);
    if (err == SKALD_ECLOSED) return;
    ski_log_line(engine->host->log, SKALD_WARN, "a segment could not be indexed; tried again later",
                 "file", name, "why", why[0] ? why : skald_err_text(err), NULL);
}

bool ski_seal_next(ski_engine *engine)
{
    sealing job = {.engine = engine};
    ski_sealed *sealed = NULL;
    ski_totals totals = {0};
    skald_error error = {0};
    skald_err err = SKALD_OK;

    ski_mutex_lock(&engine->lock);
    job.slot = engine->sealed_count;
    ski_mutex_unlock(&engine->lock);
    err = seal_build(&job, &sealed, &error);
    if (!err) err = ski_seal_totals(sealed, &totals);
    if (!err) err = ski_remember_sealed(engine, sealed, &error);
    if (!err) err = seal_turn(engine, job.slot, sealed, &totals);
    if (err) {
        ski_sealed_close(sealed);
        seal_failed(engine, job.slot, err, error.text);
    } else {
        seal_state(engine, job.slot);
    }
    ski_totals_fini(&totals);
    return !err;
}

bool ski_seal_again(ski_engine *engine)
{
    sealing job = {.engine = engine};
    ski_sealed *sealed = NULL;
    skald_err err = SKALD_OK;
    bool any = false;

    ski_mutex_lock(&engine->lock);
    for (uint32_t i = 0; i < engine->sealed_count && !any; i++) {
        if (!engine->segments[i]->suspect) continue;
        any = true;
        job.slot = i;
        engine->segments[i]->suspect = false; // if it cannot be made, it is when it is asked again
    }
    if (!any) engine->suspect_due = false;
    ski_mutex_unlock(&engine->lock);
    if (!any) return false;
    ski_directory_cancel(&engine->directory); // it may be reading the old one
    err = seal_build(&job, &sealed, NULL);
    if (err) return true;
    ski_mutex_lock(&engine->lock);
    err = ski_engine_index_put(engine, job.slot, sealed);
    engine->rebuilds += !err;
    engine->merge_due = engine->filters_due = true;
    ski_mutex_unlock(&engine->lock);
    if (err) ski_sealed_close(sealed);
    return true;
}
