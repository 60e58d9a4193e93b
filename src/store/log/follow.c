// SPDX-License-Identifier: Apache-2.0
// Following. A segment that begins with a large group is followed: every frame that the writer has
// written to it is handed over, the large groups with the memory they were staged in, everything
// else as a copy. The keeper goes over that while it is in the processor's caches still.
//
// Invariants:
//   1. Pieces wait in the order of the log; those of the newest segment reach from its header to
//   `end` without a gap, or it is not followed.
//   2. Only what was written is handed over. What a failed write has left is written over, and the
//   next piece says what stands there.
//   3. What waits holds held_max of memory at most: who falls behind gives up the segment. Before
//   that the writer waits for a moment: many callers leave one keeper little of the processors,
//   and what it has to do then, reading the segment, takes more of them.
//
// A store that is not busy does not follow: neither small groups that come one by one, nor an idle
// one, hold the rows of a segment in memory until it is full, which may be days.
#include "store/log/follow.h"
#include "base/alloc.h"
#include "store/log/engine.h"
#include <assert.h>
#include <string.h>

enum {
    held_max = 32 * 1024 * 1024, // bytes of memory that wait
    wake_bytes = 1024 * 1024,    // so much is worth waking the keeper for
    large_bytes = 64 * 1024,     // of a group
    small_more = 16,             // groups, than large ones: then it is not worth it
    segment_part = 16,           // and no more than such a part of a segment, both of them
};

#define WAIT_NS (UINT64_C(20) * 1000 * 1000)

void ski_follow_init(ski_follow *follow)
{
    follow->held_max = held_max;
}

static size_t part_of(const ski_engine *engine, size_t bytes)
{
    uint64_t part = engine->segment_bytes / segment_part;

    return part < bytes ? (size_t)part : bytes;
}

// piece_free gives a piece's memory back. The lock is held.
static void piece_free(ski_engine *engine, ski_written *piece)
{
    if (piece->group) {
        ski_group_keep(engine, piece->group); // the piece is in it
    } else {
        ski_free(piece);
    }
}

static ski_written *piece_next(ski_follow *follow)
{
    ski_written *piece = follow->first;

    follow->first = piece->next;
    if (!follow->first) follow->last = NULL;
    follow->waiting -= piece->len;
    follow->held -= piece->held;
    return piece;
}

static void piece_add(ski_follow *follow, ski_written *piece)
{
    piece->next = NULL;
    if (follow->last) {
        follow->last->next = piece;
    } else {
        follow->first = piece;
    }
    follow->last = piece;
    follow->waiting += piece->len;
    follow->held += piece->held;
    follow->end = piece->offset + piece->len;
}

void ski_follow_drop(ski_engine *engine)
{
    ski_follow *follow = &engine->follow;
    ski_written *rest = follow->first;

    if (!follow->no) return;
    follow->first = follow->last = NULL;
    follow->waiting = follow->held = 0;
    while (rest) { // those of a full segment before it stay
        ski_written *piece = rest;

        rest = piece->next;
        if (piece->no == follow->no) {
            piece_free(engine, piece);
        } else {
            piece_add(follow, piece);
        }
    }
    follow->no = 0;
}

// follow_wants: whether frames at an offset of the newest segment are to be handed over. The lock
// is held.
static bool follow_wants(ski_engine *engine, uint64_t offset, size_t held, size_t group_len)
{
    ski_follow *follow = &engine->follow;
    uint32_t no = engine->tail.segment->no;
    bool large = group_len >= part_of(engine, large_bytes);

    if (engine->closing || engine->dead) return false;
    if (offset == SKI_SEGMENT_HEADER) {
        follow->no = large ? no : 0;
        follow->end = offset;
        follow->large = follow->small = 0;
    }
    if (follow->no != no) return false;
    follow->large += large;
    follow->small += group_len && !large;
    if (offset == follow->end && follow->held + held <= follow->held_max &&
        follow->small <= follow->large + small_more)
        return true;
    ski_follow_drop(engine);
    return false;
}

void ski_follow_frames(ski_engine *engine, const uint8_t *bytes, size_t len, size_t group_len)
{
    const ski_tail *tail = &engine->tail;
    ski_follow *follow = &engine->follow;
    uint64_t offset = tail->end - len;
    ski_written *piece = NULL;
    bool wants = false;

    ski_mutex_lock(&engine->lock);
    wants = follow_wants(engine, offset, sizeof *piece + len, group_len);
    ski_mutex_unlock(&engine->lock);
    if (!wants) return;
    piece = ski_alloc(sizeof *piece + len);
    if (piece) {
        memcpy(piece + 1, bytes, len);
        *piece = (ski_written){.bytes = (uint8_t *)(piece + 1),
                               .len = len,
                               .held = sizeof *piece + len,
                               .offset = offset,
                               .no = tail->segment->no};
    }
    ski_mutex_lock(&engine->lock);
    if (piece && follow->no == piece->no && follow->end == offset) {
        piece_add(follow, piece);
    } else {
        ski_follow_drop(engine);
        ski_free(piece);
    }
    ski_mutex_unlock(&engine->lock);
}

void ski_follow_group(ski_engine *engine, ski_group *group)
{
    ski_written *piece = &group->piece;

    if (!piece->len || !follow_wants(engine, piece->offset, group->size, group->len)) {
        ski_group_keep(engine, group);
        return;
    }
    piece->group = group;
    piece->held = group->size;
    piece_add(&engine->follow, piece);
    if (ski_follow_wanted(engine)) ski_cond_signal(&engine->keep_work);
}

void ski_follow_wait(ski_engine *engine)
{
    ski_follow *follow = &engine->follow;
    uint64_t until_ns = 0, now_ns = 0;

    if (!engine->kernel->spawn || !engine->opened) return;
    ski_mutex_lock(&engine->lock);
    if (follow->held > follow->held_max / 8 * 5 && follow->no) {
        now_ns = ski_engine_now_ns(engine);
        until_ns = now_ns + WAIT_NS;
        follow->writer_waits = true;
    }
    while (now_ns < until_ns && follow->held > follow->held_max / 2 && !engine->closing) {
        ski_cond_signal(&engine->keep_work);
        (void)ski_cond_wait_ns(&engine->kept_some, &engine->lock, until_ns - now_ns);
        now_ns = ski_engine_now_ns(engine);
    }
    follow->writer_waits = false;
    ski_mutex_unlock(&engine->lock);
}

// made_full: what was made is of the segment that is sealed next. The lock is held.
static bool made_full(const ski_engine *engine)
{
    uint32_t slot = engine->sealed_count;

    return engine->follow.made_no && slot < engine->segment_count &&
           engine->segments[slot]->no == engine->follow.made_no &&
           engine->segments[slot] != engine->active;
}

// made_worthless: it is of one that is followed no more. The lock is held.
static bool made_worthless(const ski_engine *engine)
{
    const ski_follow *follow = &engine->follow;

    return follow->made_no && follow->made_no != follow->no && !made_full(engine);
}

// piece_ready: there is one, and what it needs. A segment that is full is sealed before the next
// one is gone over. The lock is held.
static bool piece_ready(const ski_engine *engine, uint32_t no)
{
    const ski_written *piece = engine->follow.first;

    if (!piece || engine->dead) return false;
    if (no) return piece->no == no;
    return piece->no == engine->follow.made_no || !made_full(engine);
}

bool ski_follow_wanted(const ski_engine *engine)
{
    const ski_follow *follow = &engine->follow;

    if (made_worthless(engine) || (follow->memory_kept && !follow->no)) return true;
    // Those of full segments are gone over however few they are, or nobody would take them.
    return (!follow->no || follow->waiting >= part_of(engine, wake_bytes)) &&
           piece_ready(engine, 0);
}

// made_end gives up what was made.
static void made_end(ski_engine *engine)
{
    ski_follow *follow = &engine->follow;

    ski_sealed_follow_end(follow->made);
    follow->made = NULL;
    ski_mutex_lock(&engine->lock);
    follow->made_no = 0;
    ski_mutex_unlock(&engine->lock);
}

// events_expected: as large ones as in the segment before.
static uint64_t events_expected(const ski_follow *follow, const ski_engine *engine, uint32_t no)
{
    return follow->event_bytes ? ski_roll_capacity(engine, no) / follow->event_bytes + 1 : 0;
}

static void made_begin(ski_engine *engine, const ski_written *piece)
{
    ski_follow *follow = &engine->follow;
    ski_sealed_source source = {.kernel = engine->kernel,
                                .path = engine->path,
                                .store = engine->store,
                                .no = piece->no,
                                .memory = &follow->memory,
                                .events = events_expected(follow, engine, piece->no)};

    if (ski_sealed_follow_begin(&source, &follow->made)) return;
    ski_mutex_lock(&engine->lock);
    follow->made_no = piece->no;
    ski_mutex_unlock(&engine->lock);
}

// piece_take goes over one piece; what cannot be gone over ends the following of its segment.
static void piece_take(ski_engine *engine, const ski_written *piece)
{
    ski_follow *follow = &engine->follow;
    skald_err err = SKALD_OK;

    if (piece->offset == SKI_SEGMENT_HEADER) {
        if (follow->made) made_end(engine);
        made_begin(engine, piece);
    }
    if (follow->made && follow->made_no == piece->no) {
        err = ski_sealed_follow(follow->made, piece->offset, piece->bytes, piece->len);
        if (!err) return;
        made_end(engine);
    }
    ski_mutex_lock(&engine->lock);
    if (follow->no == piece->no) ski_follow_drop(engine);
    ski_mutex_unlock(&engine->lock);
}

// pieces_take goes over what waits, of one segment or, with 0, of any. What comes meanwhile waits
// for the next time: who seals a segment goes on with that, however fast the next one is written.
static void pieces_take(ski_engine *engine, uint32_t no)
{
    ski_follow *follow = &engine->follow;
    size_t left = 0;

    ski_mutex_lock(&engine->lock);
    left = follow->waiting;
    while (left && piece_ready(engine, no)) {
        ski_written *piece = piece_next(follow);

        left -= piece->len < left ? piece->len : left;
        ski_mutex_unlock(&engine->lock);
        piece_take(engine, piece);
        ski_mutex_lock(&engine->lock);
        piece_free(engine, piece);
        if (follow->writer_waits && follow->held <= follow->held_max / 2) {
            ski_cond_broadcast(&engine->kept_some);
        }
    }
    ski_mutex_unlock(&engine->lock);
}

void ski_follow_memory(ski_engine *engine)
{
    ski_follow *follow = &engine->follow;
    bool idle = false;

    ski_mutex_lock(&engine->lock);
    idle = !follow->no;
    follow->memory_kept = !idle && follow->memory.count;
    ski_mutex_unlock(&engine->lock);
    if (idle) ski_sealed_memory_drop(&follow->memory);
    ski_mutex_lock(&engine->lock);
    follow->keeper_bytes =
        ski_sealed_follower_bytes(follow->made) + ski_sealed_memory_bytes(&follow->memory);
    ski_mutex_unlock(&engine->lock);
}

void ski_follow_step(ski_engine *engine)
{
    bool worthless = false;

    ski_mutex_lock(&engine->lock);
    worthless = made_worthless(engine);
    ski_mutex_unlock(&engine->lock);
    if (worthless) made_end(engine);
    pieces_take(engine, 0);
    ski_follow_memory(engine);
}

ski_sealed_follower *ski_follow_take(ski_engine *engine, uint32_t slot)
{
    ski_follow *follow = &engine->follow;
    ski_sealed_follower *made = NULL;
    uint64_t end = 0, base_pos = 0, next_pos = 0;
    uint32_t no = 0;

    ski_mutex_lock(&engine->lock);
    no = engine->segments[slot]->no;
    end = engine->segments[slot]->end;
    base_pos = engine->segments[slot]->base_pos;
    if (slot + 1 < engine->segment_count) next_pos = engine->segments[slot + 1]->base_pos;
    ski_mutex_unlock(&engine->lock);
    pieces_take(engine, no);
    if (!follow->made || follow->made_no != no) return NULL;
    if (!ski_sealed_followed(follow->made, end, next_pos)) {
        made_end(engine);
        return NULL;
    }
    follow->event_bytes = end / (next_pos - base_pos + 1);
    made = follow->made;
    follow->made = NULL;
    ski_mutex_lock(&engine->lock);
    follow->made_no = 0;
    follow->segments++;
    ski_mutex_unlock(&engine->lock);
    return made;
}

void ski_follow_fini(ski_engine *engine)
{
    ski_follow *follow = &engine->follow;

    ski_sealed_follow_end(follow->made);
    ski_sealed_memory_drop(&follow->memory);
    while (follow->first) piece_free(engine, piece_next(follow));
}
