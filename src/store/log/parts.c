// SPDX-License-Identifier: Apache-2.0
// What a store consists of, file by file, for people.
#include "base/alloc.h"
#include "store/log/backup.h"
#include "store/log/engine.h"
#include <stdlib.h>
#include <string.h>

enum { derived_max = 1024 };

typedef struct parts_derived {
    uint64_t runs[derived_max];
    uint32_t states[derived_max];
    unsigned run_count, state_count;
} parts_derived;

static void derived_visit(void *visitor, const char *name)
{
    parts_derived *derived = visitor;
    uint64_t number = 0;
    uint32_t no = 0;

    if (ski_run_name_parse(name, &number) && derived->run_count < derived_max) {
        derived->runs[derived->run_count++] = number;
    } else if (ski_state_name_parse(name, &no) && derived->state_count < derived_max) {
        derived->states[derived->state_count++] = no;
    }
}

static int run_compare(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

    return (a > b) - (a < b);
}

static int state_compare(const void *one, const void *other)
{
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;

    return (a > b) - (a < b);
}

static uint64_t file_size(const ski_engine *engine, const char *name)
{
    const ski_kernel *kernel = engine->kernel;
    char path[SKI_ENGINE_PATH_MAX];
    ski_file *file = NULL;
    uint64_t size = 0;

    if (ski_engine_path(engine, name, path)) return 0;
    if (kernel->open(kernel->context, path, 0, &file, NULL)) return 0;
    if (kernel->size(kernel->context, file, &size)) size = 0;
    kernel->close(kernel->context, file);
    return size;
}

// segment_part describes one; false: there is none at that slot. name lives as long as the part.
static bool segment_part(ski_engine *engine, uint32_t slot, char name[SKI_SEGMENT_NAME],
                         skald_store_part *ret_part)
{
    skald_store_part part = {.kind = SKALD_PART_SEGMENT, .file = name};
    const ski_segment *segment = NULL;
    bool there = false;

    ski_mutex_lock(&engine->lock);
    there = slot < engine->segment_count;
    if (there) {
        segment = engine->segments[slot];
        ski_engine_segment_name(engine, slot, name);
        part.number = segment->no;
        part.generation = segment->generation;
        part.bytes = segment->end;
        part.position_first = segment->base_pos;
        part.position_last = ski_engine_segment_last(engine, slot);
        part.sealed = segment->indexed != NULL;
    }
    if (there && segment->indexed) {
        const ski_sealed_info *info = ski_sealed_info_of(segment->indexed->sealed);

        part.recorded_first = info->recorded_first;
        part.recorded_last = info->recorded_last;
        part.events = info->events;
        part.erased = info->erased;
        part.damaged = info->damaged;
        part.live_bytes = info->bytes_live;
        part.index_bytes = info->file_bytes;
        part.streams = info->streams;
        part.types = info->types;
        part.tenants = info->tenants;
        part.correlations = info->correlations;
    }
    ski_mutex_unlock(&engine->lock);
    *ret_part = part;
    return there;
}

static bool runs_each(ski_engine *engine, const parts_derived *derived,
                      bool (*visit)(void *context, const skald_store_part *part), void *context)
{
    char name[SKI_RUN_NAME];
    bool more = true;

    for (unsigned i = 0; i < derived->run_count && more; i++) {
        skald_store_part part = {.kind = SKALD_PART_RUN, .file = name, .position_first = 1};
        ski_run *run = NULL;

        ski_run_name(name, derived->runs[i]);
        part.number = (uint32_t)derived->runs[i];
        part.bytes = file_size(engine, name);
        if (ski_run_open(engine->kernel, engine->path, engine->store, derived->runs[i], &run,
                         NULL) == SKALD_OK) {
            part.streams = ski_run_info_of(run)->entries;
        }
        ski_run_close(run);
        more = visit(context, &part);
    }
    return more;
}

skald_err ski_parts(void *driver, bool (*visit)(void *context, const skald_store_part *part),
                    void *context)
{
    ski_engine *engine = driver;
    const ski_kernel *kernel = engine->kernel;
    char name[SKI_SEGMENT_NAME];
    skald_store_part part;
    parts_derived *derived = NULL;
    bool more = true;
    skald_err err = SKALD_OK;

    for (uint32_t slot = 0; more && segment_part(engine, slot, name, &part); slot++) {
        more = visit(context, &part);
    }
    if (!more) return SKALD_OK;
    derived = ski_alloc_zeroed(1, sizeof *derived);
    if (!derived) return SKALD_ENOMEM;
    err = kernel->list(kernel->context, engine->path, derived_visit, derived);
    qsort(derived->runs, derived->run_count, sizeof *derived->runs, run_compare);
    qsort(derived->states, derived->state_count, sizeof *derived->states, state_compare);
    if (!err) more = runs_each(engine, derived, visit, context);
    for (unsigned i = 0; i < derived->state_count && more && !err; i++) {
        char state[SKI_STATE_NAME];

        ski_state_name(state, derived->states[i]);
        part = (skald_store_part){.kind = SKALD_PART_STATE,
                                  .file = state,
                                  .number = derived->states[i],
                                  .position_first = 1,
                                  .bytes = file_size(engine, state)};
        more = visit(context, &part);
    }
    ski_free(derived);
    return err;
}
