// SPDX-License-Identifier: Apache-2.0
// Scrubbing: the house-keeper reads every sealed segment again, some hundred KiB at a time and no
// faster than it was told to, and verifies each frame; then every block of its index. The segment
// that was verified longest ago comes first, none twice within a day. What is wrong in a segment is
// noted as damage (damage.c); a wrong index is made again.
//
// When a segment was verified is not kept over a restart: then all are due, oldest first.
#include "store/log/scrub.h"
#include "base/alloc.h"
#include "store/log/damage.h"
#include <string.h>

enum { piece_bytes = 256 * 1024 };
#define SCRUB_REST_NS (UINT64_C(24) * 3600 * 1000 * 1000 * 1000) // before a segment's next turn
#define SCRUB_LOOK_NS (UINT64_C(10) * 1000 * 1000 * 1000) // nothing was due: until it looks again
#define NS_PER_S UINT64_C(1000000000)

// When a segment was last verified. In the order of numbers; those that left the store go with
// time.
typedef struct scrub_time {
    uint32_t no, generation;
    uint64_t at_ns;
} scrub_time;

typedef struct ski_scrub {
    uint64_t bytes_per_s;
    uint64_t due_ns; // not before
    bool running;    // in the middle of one
    uint32_t no, generation;
    uint64_t next_pos; // base position of the one behind it
    ski_file *file;
    ski_scan scan;
    const ski_kernel *kernel;
    scrub_time *times;
    uint32_t count, size;
} ski_scrub;

skald_err ski_scrub_new(ski_engine *engine, uint64_t bytes_per_s)
{
    if (!bytes_per_s) return SKALD_OK;
    engine->scrub = ski_alloc_zeroed(1, sizeof *engine->scrub);
    if (!engine->scrub) return SKALD_ENOMEM;
    engine->scrub->bytes_per_s = bytes_per_s;
    engine->scrub->kernel = engine->kernel;
    engine->scrub->due_ns = ski_engine_now_ns(engine) + SCRUB_LOOK_NS; // a start has enough to do
    return SKALD_OK;
}

static void scrub_close(ski_scrub *scrub)
{
    ski_scan_end(&scrub->scan);
    if (scrub->file) scrub->kernel->close(scrub->kernel->context, scrub->file);
    scrub->file = NULL;
    scrub->scan = (ski_scan){0};
    scrub->running = false;
}

void ski_scrub_free(ski_scrub *scrub)
{
    if (!scrub) return;
    scrub_close(scrub);
    ski_free(scrub->times);
    ski_free(scrub);
}

uint64_t ski_scrub_wait_ns(const ski_engine *engine)
{
    uint64_t now = ski_engine_now_ns(engine);

    if (!engine->scrub || !engine->sealed_count) return UINT64_MAX;
    return engine->scrub->due_ns > now ? engine->scrub->due_ns - now : 0;
}

bool ski_scrub_wanted(const ski_engine *engine)
{
    return ski_scrub_wait_ns(engine) == 0;
}

// time_of finds when a segment was verified; 0: not yet, or another generation of it.
static uint64_t time_of(const ski_scrub *scrub, uint32_t no, uint32_t generation, uint32_t *from)
{
    while (*from < scrub->count && scrub->times[*from].no < no) ++*from;
    if (*from == scrub->count) return 0;
    if (scrub->times[*from].no != no || scrub->times[*from].generation != generation) return 0;
    return scrub->times[*from].at_ns;
}

// scrub_choose gives the sealed segment that waits longest; false: none is due.
static bool scrub_choose(ski_engine *engine)
{
    ski_scrub *scrub = engine->scrub;
    uint64_t oldest = UINT64_MAX, now = ski_engine_now_ns(engine);
    uint32_t from = 0;

    ski_mutex_lock(&engine->lock);
    for (uint32_t i = 0; i < engine->sealed_count && oldest; i++) {
        const ski_segment *segment = engine->segments[i];
        uint64_t at = time_of(scrub, segment->no, segment->generation, &from);

        if (!segment->indexed || at >= oldest) continue;
        oldest = at;
        scrub->no = segment->no;
        scrub->generation = segment->generation;
        scrub->next_pos = ski_engine_segment_last(engine, i) + 1;
    }
    ski_mutex_unlock(&engine->lock);
    return oldest != UINT64_MAX && (!oldest || now - oldest >= SCRUB_REST_NS);
}

// scrub_slot finds the segment that is being verified; false: it was rewritten or dropped. The lock
// is held.
static bool scrub_slot(const ski_engine *engine, uint32_t *ret_slot)
{
    const ski_scrub *scrub = engine->scrub;

    for (uint32_t i = 0; i < engine->sealed_count; i++) {
        if (engine->segments[i]->no != scrub->no) continue;
        *ret_slot = i;
        return engine->segments[i]->generation == scrub->generation;
    }
    return false;
}

// scrub_noted sets when the segment was verified. Without memory it is verified again sooner.
static void scrub_noted(ski_engine *engine)
{
    ski_scrub *scrub = engine->scrub;
    uint32_t at = 0;

    while (at < scrub->count && scrub->times[at].no < scrub->no) at++;
    if (at == scrub->count || scrub->times[at].no != scrub->no) {
        if (scrub->count == scrub->size) {
            uint32_t size = scrub->size ? scrub->size * 2 : 64;
            scrub_time *times = ski_realloc(scrub->times, size * sizeof *times);

            if (!times) return;
            scrub->times = times;
            scrub->size = size;
        }
        memmove(scrub->times + at + 1, scrub->times + at,
                (scrub->count - at) * sizeof *scrub->times);
        scrub->count++;
    }
    scrub->times[at] = (scrub_time){scrub->no, scrub->generation, ski_engine_now_ns(engine)};
}

// scrub_index verifies the blocks of the segment's index.
static uint64_t scrub_index(ski_engine *engine)
{
    ski_indexed *indexed = NULL;
    uint32_t slot = 0;
    uint64_t bytes = 0;

    ski_mutex_lock(&engine->lock);
    if (scrub_slot(engine, &slot)) indexed = ski_engine_index_held(engine, slot);
    ski_mutex_unlock(&engine->lock);
    if (!indexed) return 0;
    bytes = ski_sealed_info_of(indexed->sealed)->file_bytes;
    if (ski_sealed_check(indexed->sealed, NULL) == SKALD_ECORRUPT) ski_engine_suspect(engine, slot);
    ski_engine_index_return(engine, indexed);
    return bytes;
}

static void scrub_damage(ski_engine *engine, uint64_t offset, uint64_t length, uint64_t first,
                         uint64_t last)
{
    ski_rot range = {.no = engine->scrub->no,
                     .generation = engine->scrub->generation,
                     .offset = offset,
                     .length = length,
                     .position_first = first,
                     .position_last = last};

    ski_damage_found(engine, &range);
}

// scrub_open begins with a segment; false: there is nothing to be read of it.
static bool scrub_open(ski_engine *engine)
{
    ski_scrub *scrub = engine->scrub;
    const ski_kernel *kernel = engine->kernel;
    char name[SKI_SEGMENT_NAME], path[SKI_ENGINE_PATH_MAX];
    skald_err err = SKALD_OK;

    ski_segment_name(name, scrub->no, scrub->generation);
    if (ski_engine_path(engine, name, path)) return false;
    err = kernel->open(kernel->context, path, 0, &scrub->file, NULL);
    if (!err) err = kernel->forget(kernel->context, scrub->file); // from the device, not the cache
    if (!err) err = ski_scan_begin(&scrub->scan, kernel, scrub->file, 0);
    scrub->running = !err;
    if (!err) return true;
    scrub_close(scrub);
    if (err == SKALD_ECORRUPT || err == SKALD_ENOTFOUND || err == SKALD_EIO) {
        scrub_damage(engine, 0, SKI_SEGMENT_HEADER, 1, 0); // events can still be read by the index
    }
    return false;
}

// scrub_piece verifies some frames; true: the segment is done.
static bool scrub_piece(ski_engine *engine, uint64_t *ret_bytes)
{
    ski_scrub *scrub = engine->scrub;
    ski_scan *scan = &scrub->scan;
    uint64_t from = scan->offset;

    while (scan->offset - from < piece_bytes) {
        ski_scan_frame frame;
        uint64_t offset = scan->offset, position = scan->position;
        skald_err err = ski_scan_next(scan, &frame);

        if (!err) continue;
        if (err != SKALD_ENOTFOUND || scan->sealed) break;
        err = ski_scan_resume(scan, &frame);
        if (err && err != SKALD_ENOTFOUND) break;
        scrub_damage(engine, offset, (err ? scan->limit : scan->offset) - offset, position,
                     (err ? scrub->next_pos : frame.header.base_pos) - 1);
        if (err) break;
    }
    *ret_bytes = scan->offset - from;
    return scan->offset - from < piece_bytes;
}

void ski_scrub_step(ski_engine *engine)
{
    ski_scrub *scrub = engine->scrub;
    uint64_t bytes = 0, wait_ns = SCRUB_LOOK_NS;
    bool done = false;

    if (!scrub->running && scrub_choose(engine)) {
        if (scrub_open(engine)) {
            wait_ns = 0;
        } else {
            scrub_noted(engine); // known to be damaged: not the next one again
        }
    }
    if (scrub->running) {
        done = scrub_piece(engine, &bytes);
        if (done) bytes += scrub_index(engine);
        if (done) scrub_noted(engine);
        if (done) scrub_close(scrub);
        wait_ns = bytes * NS_PER_S / scrub->bytes_per_s;
        if (bytes > UINT64_MAX / NS_PER_S) wait_ns = SCRUB_LOOK_NS;
    }
    ski_mutex_lock(&engine->lock);
    engine->scrub_bytes += bytes;
    engine->scrub_segments += done;
    scrub->due_ns = ski_engine_now_ns(engine) + (wait_ns ? wait_ns : 1);
    ski_mutex_unlock(&engine->lock);
}
