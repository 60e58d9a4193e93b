// SPDX-License-Identifier: Apache-2.0
// Recovery of what is sealed: segments by their index files, the stream directory, values and
// totals by state files.
//
// All of these are made of segments and can be made again: what is not there, not whole, or another
// one's is made anew. While that is done the segment is read as a whole, and damage in it is found
// that otherwise is found when it is read.
#include "base/alloc.h"
#include "base/log.h"
#include "store/log/recover.h"
#include <assert.h>
#include <string.h>

typedef struct sealed_job {
    ski_recovery *work;
    uint32_t slot;
    skald_err err;
} sealed_job;

// damage_note is for a store opened read-only: the index says which events are missing, this says
// which bytes.
static void damage_note(void *context, uint64_t offset, uint64_t length, uint64_t position_first,
                        uint64_t position_last)
{
    sealed_job *job = context;
    ski_damage damage = {job->slot, offset, length, position_first, position_last};

    if (!position_first) damage.position_first = 1; // no events: the last one before the first
    job->work->mode = SKI_REPLAY_ALL;
    if (!job->err) job->err = ski_recovery_damage(job->work, job->slot, &damage);
}

static ski_sealed_source source_of(sealed_job *job)
{
    const ski_engine *engine = job->work->engine;
    const ski_manifest_segment *chosen = &job->work->chosen.segments[job->slot];

    return (ski_sealed_source){.kernel = engine->kernel,
                               .path = engine->path,
                               .store = engine->store,
                               .no = chosen->no,
                               .generation = chosen->generation,
                               .damaged = engine->read_only ? damage_note : NULL,
                               .context = job};
}

// index_belongs: it was made of this very segment.
static bool index_belongs(const ski_sealed *sealed, const ski_segment_header *header, uint64_t size)
{
    const ski_sealed_info *info = ski_sealed_info_of(sealed);

    return info->base_pos == header->base_pos && info->salt == header->salt &&
           info->prev_crc == header->prev_crc && info->end <= size;
}

// segment_check reads a whole segment before its index is made: damage is refused as ever.
static skald_err segment_check(ski_recovery *work, uint32_t slot)
{
    ski_engine *engine = work->engine;
    ski_file *file = NULL;
    skald_err err = ski_recovery_open(work, slot, &file);

    if (err) return err;
    ski_scan_end(&work->scan);
    err = ski_scan_begin(&work->scan, engine->kernel, file, 0);
    work->mode = SKI_REPLAY_NOTHING;
    if (!err) err = ski_recovery_replay(work, slot);
    ski_scan_end(&work->scan);
    engine->kernel->close(engine->kernel->context, file);
    return err;
}

// index_make makes the index of a segment: in a file, or, when that cannot be, in memory.
static skald_err index_make(sealed_job *job, ski_sealed **ret_sealed)
{
    ski_recovery *work = job->work;
    ski_engine *engine = work->engine;
    const ski_manifest_segment *chosen = &work->chosen.segments[job->slot];
    ski_sealed_source source = source_of(job);
    char name[SKI_SEALED_NAME];
    bool unsure = false;
    skald_err err = SKALD_EREADONLY;

    ski_sealed_name(name, chosen->no, chosen->generation);
    if (!engine->read_only) {
        SKALD_TRY(segment_check(work, job->slot));
        err = ski_sealed_build(&source, &unsure, work->error);
        if (unsure) ski_engine_die(engine, "the device failed to store an index (sync)");
        if (unsure) return SKALD_EIO;
        if (err == SKALD_ENOMEM || err == SKALD_EUNSUPPORTED) return err;
    }
    if (!err) {
        err = ski_sealed_open(&engine->pool, engine->path, engine->store, chosen->no,
                              chosen->generation, ret_sealed, work->error);
    }
    if (err) {
        err = ski_sealed_build_memory(&source, &engine->pool, ret_sealed, work->error);
    }
    if (!err) {
        engine->rebuilds++;
        ski_log_line(engine->host->log, SKALD_INFO, "an index was made of its segment", "file",
                     name, NULL);
        err = job->err;
        if (err) ski_sealed_close(*ret_sealed);
    }
    return err;
}

// index_get opens the index of a segment, or makes it.
static skald_err index_get(sealed_job *job, const ski_segment_header *header, uint64_t size,
                           ski_sealed **ret_sealed)
{
    ski_engine *engine = job->work->engine;
    const ski_manifest_segment *chosen = &job->work->chosen.segments[job->slot];
    ski_sealed *sealed = NULL;
    skald_err err = ski_sealed_open(&engine->pool, engine->path, engine->store, chosen->no,
                                    chosen->generation, &sealed, NULL);

    if (err == SKALD_ENOMEM) return err;
    if (!err && index_belongs(sealed, header, size)) {
        *ret_sealed = sealed;
        return SKALD_OK;
    }
    if (!err) ski_sealed_close(sealed);
    err = index_make(job, &sealed);
    if (!err && !index_belongs(sealed, header, size)) {
        ski_sealed_close(sealed);
        err = SKALD_ECORRUPT;
    }
    if (!err) *ret_sealed = sealed;
    return err;
}

// header_read reads the header of a segment, and how long its file is.
static skald_err header_read(ski_recovery *work, uint32_t slot, ski_segment_header *ret_header,
                             uint64_t *ret_size)
{
    const ski_kernel *kernel = work->engine->kernel;
    uint8_t bytes[SKI_SEGMENT_HEADER];
    ski_file *file = NULL;
    size_t got = 0;
    skald_err err = ski_recovery_open(work, slot, &file);

    if (err) return err;
    err = kernel->size(kernel->context, file, ret_size);
    if (!err) err = kernel->pread(kernel->context, file, bytes, sizeof bytes, 0, &got);
    kernel->close(kernel->context, file);
    if (err || got < sizeof bytes) return SKALD_ECORRUPT;
    return ski_segment_header_get(bytes, ret_header);
}

// sealed_take adds what the index of a segment says to what is known of the log.
static void sealed_take(ski_recovery *work, uint32_t slot)
{
    ski_engine *engine = work->engine;
    ski_segment *segment = engine->segments[slot];
    const ski_sealed_info *info = ski_sealed_info_of(segment->indexed->sealed);

    segment->end = info->end;
    work->position = info->base_pos + info->count;
    work->chain = info->chain_crc;
    work->chain_known = true;
    if (info->incarnation > engine->tail.incarnation) engine->tail.incarnation = info->incarnation;
    if (info->recorded_last > engine->recorded_last) engine->recorded_last = info->recorded_last;
    if (info->append_us > engine->recorded_last) engine->recorded_last = info->append_us; // erased
}

// sealed_lost: nothing of a segment can be read, and the store is opened read-only.
static skald_err sealed_lost(ski_recovery *work, uint32_t slot, uint64_t size)
{
    ski_damage damage = {.slot = slot,
                         .length = size,
                         .position_first = work->position,
                         .position_last = UINT64_MAX};

    work->mode = SKI_REPLAY_ALL;
    work->chain_known = false;
    SKALD_TRY(ski_recovery_list(work, NULL, NULL));
    work->engine->segments[slot]->file_bytes = size;
    return ski_recovery_damage(work, slot, &damage);
}

skald_err ski_recover_sealed(ski_recovery *work, uint32_t slot)
{
    ski_engine *engine = work->engine;
    sealed_job job = {.work = work, .slot = slot};
    ski_segment_header header = {0};
    ski_sealed *sealed = NULL;
    uint64_t size = 0;
    skald_err err = header_read(work, slot, &header, &size);

    if (err == SKALD_EUNSUPPORTED || err == SKALD_ENOMEM) return err;
    if (err && err != SKALD_ECORRUPT && !(engine->read_only && err == SKALD_ENOTFOUND)) return err;
    if (!err && !ski_recovery_header_right(work, slot, &header)) err = SKALD_ECORRUPT;
    if (!err) {
        SKALD_TRY(ski_recovery_reach(work, header.base_pos));
        err = index_get(&job, &header, size, &sealed);
        if (err && !(engine->read_only && (err == SKALD_ECORRUPT || err == SKALD_EIO))) {
            return err;
        }
    }
    if (err) {
        err = sealed_lost(work, slot, size);
    } else {
        err = ski_recovery_list(work, NULL, &header);
        if (!err) err = ski_engine_index_put(engine, slot, sealed);
        if (err) {
            ski_sealed_close(sealed);
            return err;
        }
        sealed_take(work, slot);
    }
    engine->sealed_count = slot + 1;
    engine->sealed_last = work->position - 1;
    return err;
}

// --- the stream directory -----------------------------------------------------------------------

static void run_unused(void *context, uint64_t number, skald_err why)
{
    ski_engine *engine = context;
    char name[SKI_RUN_NAME];

    (void)why;
    if (engine->read_only) return;
    ski_run_name(name, number);
    ski_found_unlink(engine, name);
}

skald_err ski_recover_directory(ski_recovery *work)
{
    ski_engine *engine = work->engine;
    uint32_t sealed_no = 0;

    SKALD_TRY(ski_directory_init(&engine->directory, engine->kernel, engine->path, engine->store));
    engine->directory_made = true;
    if (work->chosen.segment_count > 1) {
        sealed_no = work->chosen.segments[work->chosen.segment_count - 2].no;
    }
    engine->merge_due = engine->filters_due = !engine->read_only && sealed_no;
    return ski_directory_load(&engine->directory, work->found.runs, work->found.run_count,
                              sealed_no, run_unused, engine);
}

// --- values and totals --------------------------------------------------------------------------

static skald_err state_value(void *context, skald_str name, skald_str bytes)
{
    ski_engine *engine = context;
    skald_store_value value = {name, bytes};
    ski_values_change change;

    if (!value.bytes.ptr) value.bytes = (skald_str){"", 0};
    SKALD_TRY(ski_values_prepare(&engine->values, &value, &change));
    ski_values_apply(&engine->values, &change);
    return SKALD_OK;
}

static skald_err state_total(void *context, const ski_state_total *total)
{
    ski_engine *engine = context;

    if (!total->type.ptr) return SKALD_OK;
    return ski_totals_add(&engine->totals, total->tenant, total->type, total->count,
                          total->last_pos);
}

// state_belongs: it was taken of this very log.
static bool state_belongs(const ski_engine *engine, const ski_state_head *head, uint32_t *ret_slot)
{
    for (uint32_t i = 0; i < engine->sealed_count; i++) {
        const ski_segment *segment = engine->segments[i];
        const ski_sealed_info *info = NULL;

        if (segment->no != head->segment_no || !segment->indexed) continue;
        info = ski_sealed_info_of(segment->indexed->sealed);
        *ret_slot = i;
        return info->chain_crc == head->chain_crc && info->base_pos + info->count == head->next_pos;
    }
    return false;
}

// totals_belong: the state was taken since anything was erased. Events only become fewer, so their
// sum says it.
static bool totals_belong(const ski_engine *engine, uint32_t count)
{
    uint64_t events = 0, there = 0;

    for (uint32_t i = 0; i < engine->totals.count; i++) events += engine->totals.items[i].count;
    for (uint32_t i = 0; i < count; i++) {
        const ski_indexed *indexed = engine->segments[i]->indexed;

        if (indexed) there += ski_sealed_info_of(indexed->sealed)->events;
    }
    return events == there;
}

// totals_add adds what the index of a segment has, which is made again if it is damaged.
static skald_err totals_add(ski_engine *engine, uint32_t slot)
{
    ski_segment *segment = engine->segments[slot];
    skald_err err = SKALD_OK;

    if (!segment->indexed) return SKALD_OK; // read-only, and nothing of it can be read
    err = ski_seal_totals(segment->indexed->sealed, &engine->totals);
    if (err == SKALD_ECORRUPT && !engine->read_only) {
        segment->suspect = true;
        if (ski_seal_again(engine))
            err = ski_seal_totals(segment->indexed->sealed, &engine->totals);
    }
    return engine->read_only && err != SKALD_ENOMEM ? SKALD_OK : err;
}

// values_replay applies the values in the frames of a segment.
static skald_err values_replay(ski_recovery *work, uint32_t slot)
{
    ski_engine *engine = work->engine;
    ski_file *file = NULL;
    skald_err err = ski_recovery_open(work, slot, &file);

    if (err) return err;
    ski_scan_end(&work->scan);
    err = ski_scan_begin(&work->scan, engine->kernel, file, 0);
    work->mode = SKI_REPLAY_VALUES;
    if (!err) err = ski_recovery_replay(work, slot);
    ski_scan_end(&work->scan);
    engine->kernel->close(engine->kernel->context, file);
    return err;
}

skald_err ski_recover_state(ski_recovery *work)
{
    ski_engine *engine = work->engine;
    ski_state_visitor visitor = {state_value, state_total, engine};
    ski_state_head head = {0};
    uint32_t slot = 0, totals = 0, sealed_no = 0;
    bool last = work->last;
    skald_err err = SKALD_ENOTFOUND;

    if (!engine->sealed_count) return SKALD_OK;
    sealed_no = engine->segments[engine->sealed_count - 1]->no;
    err = ski_state_load_newest(engine->kernel, engine->path, engine->store, work->found.states,
                                work->found.state_count, sealed_no, &visitor, NULL, NULL, &head,
                                NULL);
    if (err == SKALD_ENOMEM) return err;
    if (!err && state_belongs(engine, &head, &slot)) {
        slot++;
    } else { // everything is replayed
        ski_values_fini(&engine->values);
        ski_totals_fini(&engine->totals);
        slot = 0;
    }
    totals = slot;
    if (!totals_belong(engine, slot)) {
        ski_totals_fini(&engine->totals);
        totals = 0;
    }
    work->last = false;
    for (; totals < engine->sealed_count; totals++) SKALD_TRY(totals_add(engine, totals));
    for (; slot < engine->sealed_count; slot++) {
        if (!engine->segments[slot]->indexed) continue; // as above
        SKALD_TRY(values_replay(work, slot));
    }
    work->last = last;
    return SKALD_OK;
}
