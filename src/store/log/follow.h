// SPDX-License-Identifier: Apache-2.0
// store/log/follow.h - the rows of a segment's index, made in step while the segment is written:
// the writer hands over what it has written, in memory, and the keeper goes over it then. Once the
// segment is full only sorting and writing the index is left, and nothing is read back.
//
// It may end at any time, and a segment that is not followed is read when it is sealed: nothing
// rests on this.
#ifndef SKI_STORE_LOG_FOLLOW_H
#define SKI_STORE_LOG_FOLLOW_H

#include "store/log/sealed.h"

struct ski_engine;
struct ski_group;

// Whole frames, as they stand in the log.
typedef struct ski_written {
    struct ski_written *next;
    struct ski_group *group; // whose bytes they are, and that goes with them; NULL: they stand
                             // behind this
    const uint8_t *bytes;
    size_t len;
    size_t held;     // memory
    uint64_t offset; // in the segment
    uint32_t no;     // of the segment
} ski_written;

typedef struct ski_follow {
    // The lock:
    ski_written *first, *last; // handed over, in the order of the log
    size_t waiting, held;      // bytes of theirs; of memory
    size_t held_max;           // then the segment is followed no more
    uint32_t no;               // the newest segment, when it is followed; else 0
    uint64_t end;              // up to where it was handed over
    uint32_t large, small;     // groups of it
    bool memory_kept;          // in memory, while the store is busy
    bool writer_waits;         // until less waits
    uint32_t made_no;          // of the segment of made; 0: there is none
    size_t keeper_bytes;       // of made and memory
    uint64_t segments;         // that were followed to their end
    // The keeper's:
    ski_sealed_follower *made;
    ski_sealed_memory memory;
    uint64_t event_bytes; // of the last one about
} ski_follow;

// ski_follow_frames copies frames that were just written, up to the tail's end. The role is held,
// the lock is not. They are of a group of so many bytes; 0: they are the writer's own.
void ski_follow_frames(struct ski_engine *engine, const uint8_t *bytes, size_t len,
                       size_t group_len);
// ski_follow_group hands over a group with what was said of its last run (group->piece), or keeps
// it for the next one. The lock is held. Takes it.
void ski_follow_group(struct ski_engine *engine, struct ski_group *take_group);
// ski_follow_drop: the newest segment is not followed any more. The lock is held.
void ski_follow_drop(struct ski_engine *engine);

// ski_follow_wait is for a writer about to write a group: it waits for a moment while the keeper is
// far behind. The role is held, the lock is not.
void ski_follow_wait(struct ski_engine *engine);

// ski_follow_wanted: there is enough for the keeper to do. The lock is held.
bool ski_follow_wanted(const struct ski_engine *engine);
// ski_follow_step does it; keeper, without the lock.
void ski_follow_step(struct ski_engine *engine);
// ski_follow_take gives what was made of a full segment, to its end; NULL: it was not followed.
// Keeper, without the lock. End it with ski_sealed_follow_end, or build an index of it.
ski_sealed_follower *ski_follow_take(struct ski_engine *engine, uint32_t slot);
// ski_follow_memory gives back what only a busy store keeps for the next index. Keeper, without the
// lock.
void ski_follow_memory(struct ski_engine *engine);
void ski_follow_init(ski_follow *follow); // zeroed before
void ski_follow_fini(struct ski_engine *engine);

#endif
