// SPDX-License-Identifier: Apache-2.0
// bus/checkpoint.h - where a durable subscription stands, as bytes.
//
// Everything up to cursor has been looked at, and is done but for the positions listed. So a
// restart redelivers exactly what had not been acknowledged, however far the rest has gone on, and
// the size depends on what is in flight and not on the distance.
#ifndef SKI_BUS_CHECKPOINT_H
#define SKI_BUS_CHECKPOINT_H

#include <skald/base.h>

enum {
    SKI_CHECKPOINT_OPEN_MAX = 65536, // positions not done: the largest in_flight_max
    // Magic, version, two counts, a delta for each, a checksum.
    SKI_CHECKPOINT_BYTES_MAX = 4 + 10 + 10 + SKI_CHECKPOINT_OPEN_MAX * 10 + 4,
};

typedef struct ski_checkpoint {
    uint64_t cursor;
    const uint64_t *open; // positions not done, rising, all <= cursor
    size_t open_count;
} ski_checkpoint;

// ski_checkpoint_floor: everything up to it is done.
uint64_t ski_checkpoint_floor(const ski_checkpoint *checkpoint);
skald_err ski_checkpoint_encode(const ski_checkpoint *checkpoint, skald_buf *buf)
    SKALD_CHECK; // NOMEM, FULL
// ski_checkpoint_decode reads what encode wrote; open is then in arena. Fails: CORRUPT (what is
// wrong), UNSUPPORTED (a later version wrote it), NOMEM. Never guesses: a position lost would be
// events lost or doubled.
skald_err ski_checkpoint_decode(skald_str bytes, skald_arena *arena, ski_checkpoint *ret_checkpoint,
                                skald_error *reterr_error) SKALD_CHECK;

#endif
