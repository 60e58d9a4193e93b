// SPDX-License-Identifier: Apache-2.0
// What is in the directory: segments, spares, and what is neither.
//
// Nothing that could hold events is ever deleted, unless another file that is there has them: of a
// segment that was rewritten, every generation but the one that the manifest lists goes, once both
// copies of the manifest list it. A segment that does not belong is renamed to aside-<name>, once
// the store can be opened; a spare is removed only while no frame was written to it, which can be
// seen.
#include "base/alloc.h"
#include "base/log.h"
#include "store/log/recover.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { spare_look_bytes = SKI_SEGMENT_HEADER + SKI_FRAME_HEADER };

// found_room doubles a list when count has reached a power of two.
static void *found_room(ski_found *found, void *list, uint32_t count, size_t item)
{
    void *more = NULL;

    if (count & (count - 1)) return list;
    more = ski_realloc(list, (count ? (size_t)count * 2 : 1) * item);
    if (!more) found->out_of_memory = true;
    return more;
}

// found_unfinished notes a file that was being made of segments.
static void found_unfinished(ski_found *found, const char *name)
{
    ski_found_name *list = NULL;
    skald_str text = skald_str_of(name), suffix = SKALD_STR(".tmp");
    uint32_t no = 0, generation = 0;
    uint64_t number = 0;
    ski_found_name whole = {{0}};

    if (text.len >= sizeof whole.text || text.len <= suffix.len) return;
    memcpy(whole.text, name, text.len - suffix.len);
    if (strcmp(name + text.len - suffix.len, suffix.ptr) != 0) return;
    if (!ski_sealed_name_parse(whole.text, &no, &generation) &&
        !ski_run_name_parse(whole.text, &number) && !ski_state_name_parse(whole.text, &no) &&
        !ski_segment_name_parse(whole.text, &no, &generation)) {
        return;
    }
    list = found_room(found, found->unfinished, found->unfinished_count, sizeof *list);
    if (!list) return;
    found->unfinished = list;
    memcpy(list[found->unfinished_count++].text, name, text.len + 1);
}

// found_derived notes what was made of segments: indexes, runs, states.
static void found_derived(ski_found *found, const char *name)
{
    uint32_t no = 0, generation = 0;
    uint64_t number = 0;

    if (ski_sealed_name_parse(name, &no, &generation)) {
        ski_manifest_segment *list =
            found_room(found, found->indexes, found->index_count, sizeof *list);

        if (!list) return;
        found->indexes = list;
        list[found->index_count++] = (ski_manifest_segment){no, generation};
    } else if (ski_run_name_parse(name, &number)) {
        uint64_t *list = found_room(found, found->runs, found->run_count, sizeof *list);

        if (!list) return;
        found->runs = list;
        list[found->run_count++] = number;
    } else if (ski_state_name_parse(name, &no)) {
        uint32_t *list = found_room(found, found->states, found->state_count, sizeof *list);

        if (!list) return;
        found->states = list;
        list[found->state_count++] = no;
    } else {
        found_unfinished(found, name);
    }
}

static void found_visit(void *visitor, const char *name)
{
    ski_found *found = visitor;
    uint32_t no = 0, generation = 0;
    bool making = false;

    if (found->out_of_memory) return;
    if (ski_segment_name_parse(name, &no, &generation)) {
        ski_manifest_segment *list =
            found_room(found, found->segments, found->segment_count, sizeof *list);

        if (!list) return;
        found->segments = list;
        list[found->segment_count++] = (ski_manifest_segment){no, generation};
    } else if (ski_spare_name_parse(name, &no, &making)) {
        ski_found_spare *list = found_room(found, found->spares, found->spare_count, sizeof *list);

        if (!list) return;
        found->spares = list;
        list[found->spare_count++] = (ski_found_spare){no, making};
    } else {
        found_derived(found, name);
    }
}

static int segment_compare(const void *a, const void *b)
{
    const ski_manifest_segment *one = a, *other = b;

    if (one->no != other->no) return one->no < other->no ? -1 : 1;
    return (one->generation > other->generation) - (one->generation < other->generation);
}

static int spare_compare(const void *a, const void *b)
{
    const ski_found_spare *one = a, *other = b;

    return (one->no > other->no) - (one->no < other->no);
}

skald_err ski_found_list(ski_engine *engine, ski_found *found)
{
    const ski_kernel *kernel = engine->kernel;

    *found = (ski_found){0};
    SKALD_TRY(kernel->list(kernel->context, engine->path, found_visit, found));
    if (found->out_of_memory) return SKALD_ENOMEM;
    if (found->segment_count) {
        qsort(found->segments, found->segment_count, sizeof *found->segments, segment_compare);
    }
    if (found->spare_count) {
        qsort(found->spares, found->spare_count, sizeof *found->spares, spare_compare);
        engine->spare_next_no = found->spares[found->spare_count - 1].no + 1;
    }
    return SKALD_OK;
}

void ski_found_fini(ski_found *found)
{
    ski_free(found->segments);
    ski_free(found->spares);
    ski_free(found->indexes);
    ski_free(found->runs);
    ski_free(found->states);
    ski_free(found->unfinished);
    *found = (ski_found){0};
}

static bool found_has(const ski_found *found, uint32_t no, uint32_t generation)
{
    ski_manifest_segment wanted = {no, generation};

    return found->segment_count &&
           bsearch(&wanted, found->segments, found->segment_count, sizeof wanted, segment_compare);
}

static skald_err segment_aside(ski_engine *engine, const ski_manifest_segment *segment)
{
    char name[SKI_SEGMENT_NAME], other[SKI_SEGMENT_NAME + 8];
    char from[SKI_ENGINE_PATH_MAX], to[SKI_ENGINE_PATH_MAX];

    ski_segment_name(name, segment->no, segment->generation);
    (void)snprintf(other, sizeof other, "aside-%s", name);
    SKALD_TRY(ski_engine_path(engine, name, from));
    SKALD_TRY(ski_engine_path(engine, other, to));
    ski_log_line(engine->host->log, SKALD_WARN, "a file that is no part of the store was renamed",
                 "file", name, "to", other, NULL);
    return engine->kernel->rename(engine->kernel->context, from, to);
}

// found_other: another generation of the segment belongs to the store.
static bool found_other(const ski_manifest *chosen, const ski_manifest_segment *there)
{
    for (uint32_t i = 0; i < chosen->segment_count; i++) {
        if (chosen->segments[i].no == there->no) {
            return chosen->segments[i].generation != there->generation;
        }
    }
    return false;
}

skald_err ski_found_choose(ski_engine *engine, const ski_found *found, ski_manifest *ret_chosen,
                           uint32_t *ret_missing)
{
    const ski_manifest *manifest = &engine->manifest;
    uint32_t next = 1, missing = 0;

    for (uint32_t i = 0; i < manifest->segment_count; i++) {
        const ski_manifest_segment *listed = &manifest->segments[i];

        if (!missing && !found_has(found, listed->no, listed->generation)) missing = listed->no;
        SKALD_TRY(ski_manifest_add(ret_chosen, listed->no, listed->generation));
        next = listed->no + 1;
    }
    for (; found_has(found, next, 0); next++) SKALD_TRY(ski_manifest_add(ret_chosen, next, 0));
    for (uint32_t i = 0; i < found->segment_count; i++) {
        const ski_manifest_segment *there = &found->segments[i];

        if (there->no > next && !missing) missing = next; // something follows a gap
    }
    *ret_missing = missing;
    return SKALD_OK;
}

skald_err ski_found_aside(ski_engine *engine, const ski_found *found, const ski_manifest *chosen)
{
    for (uint32_t i = 0; i < found->segment_count; i++) {
        const ski_manifest_segment *there = &found->segments[i];

        if (bsearch(there, chosen->segments, chosen->segment_count, sizeof *there,
                    segment_compare)) {
            continue;
        }
        if (found_other(chosen, there)) continue; // see ski_found_replaced
        SKALD_TRY(segment_aside(engine, there));
    }
    return SKALD_OK;
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i]) return false;
    }
    return true;
}

// spare_take_over decides about one spare: keep it, or remove it when it has no frame, or leave it
// alone.
static skald_err spare_take_over(ski_engine *engine, const ski_found_spare *found)
{
    const ski_kernel *kernel = engine->kernel;
    char name[SKI_SEGMENT_NAME], path[SKI_ENGINE_PATH_MAX];
    uint8_t bytes[spare_look_bytes] = {0};
    uint64_t size = 0, capacity = 0;
    ski_file *file = NULL;
    size_t got = 0;
    skald_err err = SKALD_OK;

    ski_spare_name(name, found->no, found->making);
    SKALD_TRY(ski_engine_path(engine, name, path));
    SKALD_TRY(kernel->open(kernel->context, path, 0, &file, NULL));
    err = kernel->size(kernel->context, file, &size);
    if (!err) err = kernel->pread(kernel->context, file, bytes, sizeof bytes, 0, &got);
    kernel->close(kernel->context, file);
    if (err && err != SKALD_EIO) return err;
    capacity = ski_roll_capacity(engine, engine->tail.segment->no + 1 + engine->spare_count);
    if (!err && !found->making && size == capacity && engine->spare_count < SKI_SPARES_MAX &&
        all_zero(bytes, sizeof bytes)) {
        engine->spares[engine->spare_count++] = (ski_spare){found->no, size};
        return SKALD_OK;
    }
    if (!found->making && !all_zero(bytes + SKI_SEGMENT_HEADER, SKI_FRAME_HEADER)) {
        ski_log_line(engine->host->log, SKALD_WARN, "a spare file that is not empty was left alone",
                     "file", name, NULL);
        return SKALD_OK;
    }
    return kernel->unlink(kernel->context, path);
}

skald_err ski_found_spares(ski_engine *engine, const ski_found *found)
{
    for (uint32_t i = 0; i < found->spare_count; i++) {
        SKALD_TRY(spare_take_over(engine, &found->spares[i]));
    }
    return SKALD_OK;
}

void ski_found_unlink(ski_engine *engine, const char *name)
{
    char path[SKI_ENGINE_PATH_MAX];

    if (ski_engine_path(engine, name, path)) return;
    if (engine->kernel->unlink(engine->kernel->context, path)) {
        ski_log_line(engine->host->log, SKALD_WARN, "a file of no use could not be removed", "file",
                     name, NULL);
    }
}

static bool index_wanted(const ski_engine *engine, const ski_manifest_segment *index)
{
    for (uint32_t i = 0; i < engine->segment_count; i++) {
        const ski_segment *segment = engine->segments[i];

        if (segment->no == index->no && segment->generation == index->generation) return true;
    }
    return false;
}

skald_err ski_found_replaced(ski_engine *engine, const ski_found *found)
{
    bool any = false;

    if (engine->tail.manifest_due) return SKALD_OK; // a copy may list the older one yet
    for (uint32_t i = 0; i < found->segment_count; i++) {
        char name[SKI_SEGMENT_NAME];

        if (!found_other(&engine->manifest, &found->segments[i])) continue;
        ski_segment_name(name, found->segments[i].no, found->segments[i].generation);
        ski_found_unlink(engine, name);
        any = true;
    }
    return any ? ski_engine_sync_dir(engine) : SKALD_OK; // what was erased is gone for good
}

static int number_compare(const void *a, const void *b)
{
    const uint32_t *one = a, *other = b;

    return (*one > *other) - (*one < *other);
}

void ski_found_tidy(ski_engine *engine, const ski_found *found)
{
    for (uint32_t i = 0; i < found->index_count; i++) {
        char name[SKI_SEALED_NAME];

        if (index_wanted(engine, &found->indexes[i])) continue;
        ski_sealed_name(name, found->indexes[i].no, found->indexes[i].generation);
        ski_found_unlink(engine, name);
    }
    for (uint32_t i = 0; i < found->unfinished_count; i++) {
        ski_found_unlink(engine, found->unfinished[i].text);
    }
    if (found->state_count) {
        qsort(found->states, found->state_count, sizeof *found->states, number_compare);
    }
    for (uint32_t i = 0; i < found->state_count; i++) {
        char name[SKI_STATE_NAME];

        if (i + SKI_STATES_KEPT >= found->state_count) {
            engine->states[engine->state_count++] = found->states[i];
            continue;
        }
        ski_state_name(name, found->states[i]);
        ski_found_unlink(engine, name);
    }
}
