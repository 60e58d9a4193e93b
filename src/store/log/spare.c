// SPDX-License-Identifier: Apache-2.0
// Spares: files full of zeros that become segments. Writing into bytes that were written before
// costs the file system nothing but the data; growing a file, or filling what was only allocated,
// costs it a commit of its own. The zeros bypass the cache: they would only take it, and the
// processor, from others. What is written over them is written in whole pages (writer.c).
//
// A spare is made as spare-<n>.tmp, in pieces that are synced one by one, so that appends never
// wait behind a long flush, and named spare-<n>.log when it is whole. Making one is never urgent:
// without it a segment grows as it is written. None is wanted before a store has shown that it
// fills segments; and while appends come so fast that the device is busy with them none is made:
// groups are large then, and a commit of the file system for each costs little. Whoever is making
// one waits for a second of that in all and then gives it up until later: it keeps everybody out
// who needs a damaged index made again, and everything else that is to be done.
#include "base/alloc.h"
#include "store/log/engine.h"
#include <assert.h>

enum {
    piece_bytes = 1024 * 1024,
    write_bytes = 1024 * 1024,
    look_ns = 10 * 1000 * 1000,
    fast_bytes = 512 * 1024, // appended in look_ns: 50 MiB a second
    fast_max = 100,          // times of look_ns, for all of one spare
};
#define SPARE_RETRY_NS (UINT64_C(10) * 1000 * 1000 * 1000)

bool ski_spare_wanted(const ski_engine *engine)
{
    const ski_segment *last = NULL;
    uint64_t capacity = 0;
    uint32_t wanted = 0;

    if (engine->read_only || engine->dead || engine->closing || engine->stopped) return false;
    if (!engine->segment_count || engine->spare_making) return false;
    last = engine->segments[engine->segment_count - 1];
    capacity = ski_roll_capacity(engine, last->no);
    wanted = (last->no > 1) + (last->end > capacity / 2);
    if (engine->spare_count >= wanted || engine->spare_count == SKI_SPARES_MAX) return false;
    return ski_engine_now_ns(engine) >= engine->spare_until_ns;
}

// spare_look lets some time pass, in which nothing is left undone that somebody may wait for. The
// lock is held, and free in between.
static void spare_look(ski_engine *engine)
{
    uint64_t until_ns = ski_engine_now_ns(engine) + look_ns, now_ns = 0;

    while ((now_ns = ski_engine_now_ns(engine)) < until_ns && !engine->closing && !engine->dead) {
        bool seal = ski_seal_wanted(engine);

        if (seal || ski_follow_wanted(engine)) {
            ski_mutex_unlock(&engine->lock);
            if (seal)
                (void)ski_seal_next(engine);
            else
                ski_follow_step(engine);
            ski_mutex_lock(&engine->lock);
        } else {
            (void)ski_cond_wait_ns(&engine->keep_work, &engine->lock, until_ns - now_ns);
        }
    }
}

// spare_turn waits until appends are slow enough for another piece; false: no more of it. *fast is
// how often they were not: beyond fast_max it waits no more. Then a spare that has hardly begun is
// given up; another is written to its end, for its zeros are there already.
static bool spare_turn(ski_engine *engine, bool begun, unsigned *fast)
{
    bool stop = false, look = engine->opened && engine->kernel->spawn;

    ski_mutex_lock(&engine->lock);
    while (!(stop = engine->closing || engine->dead || (!begun && *fast > fast_max)) && look) {
        uint64_t before = engine->bytes_written;

        spare_look(engine);
        look = engine->bytes_written - before >= fast_bytes && *fast <= fast_max;
        *fast += look;
    }
    ski_mutex_unlock(&engine->lock);
    return !stop;
}

static skald_err spare_fill(ski_engine *engine, ski_file *file, const uint8_t *zeros,
                            uint64_t bytes)
{
    const ski_kernel *kernel = engine->kernel;
    unsigned fast = 0;

    for (uint64_t at = 0; at < bytes;) {
        uint64_t end = at + piece_bytes < bytes ? at + piece_bytes : bytes;

        if (!spare_turn(engine, at >= bytes / 4, &fast)) return SKALD_ECLOSED;
        while (at < end) {
            size_t len = end - at < write_bytes ? (size_t)(end - at) : write_bytes;

            SKALD_TRY(kernel->pwrite(kernel->context, file, zeros, len, at));
            at += len;
        }
        SKALD_TRY(ski_engine_sync(engine, file));
    }
    return SKALD_OK;
}

static skald_err spare_make(ski_engine *engine, uint32_t no, uint64_t bytes)
{
    const ski_kernel *kernel = engine->kernel;
    char name[SKI_SEGMENT_NAME], path[SKI_ENGINE_PATH_MAX], whole[SKI_ENGINE_PATH_MAX];
    uint8_t *memory = NULL, *zeros = NULL;
    ski_file *file = NULL;
    skald_err err = SKALD_OK;

    ski_spare_name(name, no, true);
    SKALD_TRY(ski_engine_path(engine, name, path));
    ski_spare_name(name, no, false);
    SKALD_TRY(ski_engine_path(engine, name, whole));
    memory = ski_alloc_zeroed(1, write_bytes + SKI_DIRECT_BYTES);
    if (!memory) return SKALD_ENOMEM;
    err = kernel->open(kernel->context, path,
                       SKI_OPEN_WRITE | SKI_OPEN_CREATE | SKI_OPEN_NEW | SKI_OPEN_DIRECT, &file,
                       NULL);
    if (!err) {
        zeros = memory + SKI_DIRECT_BYTES - (uintptr_t)memory % SKI_DIRECT_BYTES;
        err = spare_fill(engine, file, zeros, bytes);
        kernel->close(kernel->context, file);
    }
    ski_free(memory);
    if (!file) return err;
    if (!err) err = kernel->rename(kernel->context, path, whole);
    if (!err) err = ski_engine_sync_dir(engine);
    if (err && !engine->dead && kernel->unlink(kernel->context, path)) {
        return err; // it stays; opening the store takes it away
    }
    return err;
}

bool ski_spare_make(ski_engine *engine)
{
    uint32_t no = 0, last = 0;
    uint64_t bytes = 0;
    skald_err err = SKALD_OK;

    ski_mutex_lock(&engine->lock);
    engine->spare_making = true;
    no = engine->spare_next_no++;
    if (engine->segment_count) last = engine->segments[engine->segment_count - 1]->no;
    bytes = ski_roll_capacity(engine, last + 1 + engine->spare_count);
    bytes -= bytes % SKI_DIRECT_BYTES;
    ski_mutex_unlock(&engine->lock);
    err = spare_make(engine, no, bytes);
    ski_mutex_lock(&engine->lock);
    engine->spare_making = false;
    if (err) {
        engine->spare_until_ns = ski_engine_now_ns(engine) + SPARE_RETRY_NS;
    } else {
        assert(engine->spare_count < SKI_SPARES_MAX);
        engine->spares[engine->spare_count++] = (ski_spare){no, bytes};
    }
    ski_mutex_unlock(&engine->lock);
    return !err;
}

bool ski_spare_take(ski_engine *engine, ski_spare *ret_spare)
{
    bool taken = false;

    ski_mutex_lock(&engine->lock);
    if (engine->spare_count) {
        taken = true;
        *ret_spare = engine->spares[0];
        engine->spares[0] = engine->spares[1];
        engine->spare_count--;
    }
    ski_mutex_unlock(&engine->lock);
    return taken;
}
