// SPDX-License-Identifier: Apache-2.0
// Large groups go to the device past the kernel's cache: who appends much at a time pays for a
// fresh page of it and for finding it again at the sync, several times what the bytes themselves
// cost, and what others read is put out of the cache by what perhaps nobody reads.
//
// Such a write is made of whole pages: PAD frames fill up the page where the log stands before it,
// and the group's last one. What is written stays what it was, and in the same order: the chain,
// the watermarks and the sync do not know of it.
//
// Not while somebody follows the newest events: they would come from the device then, and not from
// the cache. Nor where the file system cannot; nor for small groups, which share pages.
#include "base/alloc.h"
#include "store/log/engine.h"
#include <assert.h>
#include <string.h>

enum {
    group_bytes_min = 256 * 1024, // of a group: less than a hundredth of it is padding
    group_part = 4,               // but no more than such a part of a segment
    pad_bytes_max = SKI_DIRECT_BYTES + SKI_FRAME_BYTES_MIN,
};
#define FOLLOWED_NS (UINT64_C(1000) * 1000 * 1000) // so long it counts that somebody did

static_assert((int)SKI_DIRECT_ROOM >= (int)pad_bytes_max, "a PAD fits behind every group");

static bool direct_fits(const ski_engine *engine, size_t len)
{
    const ski_tail *tail = &engine->tail;
    uint64_t least = engine->segment_bytes / group_part;

    if (least > group_bytes_min) least = group_bytes_min;
    return len >= least &&
           tail->end + len + 2 * (uint64_t)pad_bytes_max + SKI_TAIL_RESERVE <= tail->capacity;
}

// direct_followed: somebody has read what the newest segment has, not long ago.
static bool direct_followed(ski_engine *engine)
{
    uint64_t now_ns = ski_engine_now_ns(engine);
    bool followed = false;

    ski_mutex_lock(&engine->lock);
    followed = engine->followed;
    engine->followed = false;
    ski_mutex_unlock(&engine->lock);
    if (followed) engine->direct.followed_until_ns = now_ns + FOLLOWED_NS;
    return now_ns < engine->direct.followed_until_ns;
}

// direct_open opens the newest segment a second time.
static bool direct_open(ski_engine *engine)
{
    const ski_tail *tail = &engine->tail;
    char name[SKI_SEGMENT_NAME], path[SKI_ENGINE_PATH_MAX];
    ski_direct *direct = &engine->direct;

    if (direct->file || direct->refused) return direct->file;
    ski_segment_name(name, tail->segment->no, tail->segment->generation);
    direct->refused = ski_engine_path(engine, name, path) != SKALD_OK ||
                      engine->kernel->open(engine->kernel->context, path,
                                           SKI_OPEN_WRITE | SKI_OPEN_DIRECT, &direct->file, NULL);
    return !direct->refused;
}

void ski_direct_close(ski_engine *engine)
{
    if (engine->direct.file) engine->kernel->close(engine->kernel->context, engine->direct.file);
    engine->direct.file = NULL;
    engine->direct.refused = false;
}

bool ski_direct_wanted(ski_engine *engine, const uint8_t *bytes, size_t len)
{
    if ((uintptr_t)bytes % SKI_DIRECT_BYTES || !direct_fits(engine, len)) return false;
    return !direct_followed(engine) && direct_open(engine);
}

size_t ski_direct_pad(const ski_tail *tail)
{
    size_t over = (size_t)(tail->end % SKI_DIRECT_BYTES), len = SKI_DIRECT_BYTES - over;

    if (!over) return 0;
    return len < SKI_FRAME_BYTES_MIN ? len + SKI_DIRECT_BYTES : len;
}

// direct_went notes that the kernel does not have what was written.
static void direct_went(ski_engine *engine)
{
    ski_segment *segment = engine->tail.segment;

    if (segment->uncached) return; // nobody else sets it
    ski_mutex_lock(&engine->lock);
    segment->uncached = true;
    ski_mutex_unlock(&engine->lock);
}

skald_err ski_direct_write(ski_engine *engine, const uint8_t *bytes, size_t len)
{
    const ski_kernel *kernel = engine->kernel;
    uint64_t offset = engine->tail.end;
    skald_err err = SKALD_OK;

    assert(engine->direct.file && offset % SKI_DIRECT_BYTES == 0 && len % SKI_DIRECT_BYTES == 0);
    err = kernel->pwrite(kernel->context, engine->direct.file, bytes, len, offset);
    if (!err) direct_went(engine);
    if (!err || err == SKALD_EREADONLY) return err;
    // Perhaps it wants larger pages than are known of here. If it is the device, the sync will say.
    engine->direct.refused = true;
    kernel->close(kernel->context, engine->direct.file);
    engine->direct.file = NULL;
    return kernel->pwrite(kernel->context, engine->tail.segment->file, bytes, len, offset);
}
