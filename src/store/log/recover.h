// SPDX-License-Identifier: Apache-2.0
// store/log/recover.h - what is in the directory, for recovery and its parts.
#ifndef SKI_STORE_LOG_RECOVER_H
#define SKI_STORE_LOG_RECOVER_H

#include "store/log/engine.h"

typedef struct ski_found_spare {
    uint32_t no;
    bool making;
} ski_found_spare;

typedef struct ski_found_name {
    char text[SKI_SEALED_NAME + 8];
} ski_found_name;

// What the directory holds, by name. Segments are sorted by number, then generation.
typedef struct ski_found {
    ski_manifest_segment *segments;
    uint32_t segment_count;
    ski_found_spare *spares;
    uint32_t spare_count;
    ski_manifest_segment *indexes;
    uint32_t index_count;
    uint64_t *runs;
    uint32_t run_count;
    uint32_t *states;
    uint32_t state_count;
    ski_found_name *unfinished; // indexes, runs, states, segments that a crash has left
    uint32_t unfinished_count;
    bool out_of_memory;
} ski_found;

// ski_found_list reads the directory, and sets the number of the next spare; end it with
// ski_found_fini, also when it fails. Fails: NOTFOUND (no such directory), IO, NOMEM.
skald_err ski_found_list(ski_engine *engine, ski_found *found) SKALD_CHECK;
void ski_found_fini(ski_found *found);
// ski_found_choose gives the segments that the store consists of: what the manifest lists, then
// what follows it without a gap. missing: the number of one that must be there and is not; 0: none.
skald_err ski_found_choose(ski_engine *engine, const ski_found *found, ski_manifest *ret_chosen,
                           uint32_t *ret_missing) SKALD_CHECK;
// ski_found_aside sets segments that were not chosen aside, under another name: only when the store
// is opened.
skald_err ski_found_aside(ski_engine *engine, const ski_found *found, const ski_manifest *chosen)
    SKALD_CHECK;
// ski_found_unlink removes a file that was made of others and is of no use; that it stays does no
// harm.
void ski_found_unlink(ski_engine *engine, const char *name);
// ski_found_tidy removes indexes of segments that are not there, and state files but the newest.
void ski_found_tidy(ski_engine *engine, const ski_found *found);
// ski_found_replaced removes what the rewriting of segments has left behind, or not finished.
// Fails: IO (a sync).
skald_err ski_found_replaced(ski_engine *engine, const ski_found *found) SKALD_CHECK;
// ski_found_spares takes over whole spares and removes the others.
skald_err ski_found_spares(ski_engine *engine, const ski_found *found) SKALD_CHECK;

// What recover.c and recover_sealed.c share.
typedef enum ski_replay_mode {
    SKI_REPLAY_ALL,
    SKI_REPLAY_VALUES,
    SKI_REPLAY_NOTHING, // only look whether all of it is right
} ski_replay_mode;

typedef struct ski_recovery {
    ski_engine *engine;
    skald_error *error;
    ski_found found;
    ski_manifest chosen;
    uint64_t position; // that the next segment begins with
    uint32_t chain;    // of the last segment
    bool chain_known;
    bool open_damage; // the last damage has no end yet: what follows tells
    ski_scan scan;    // of the segment being replayed
    bool last;        // it is the last one
    ski_replay_mode mode;
} ski_recovery;

// ski_recovery_damage refuses the store, or notes the range when it is opened read-only.
// position_last UINT64_MAX: what follows will tell.
skald_err ski_recovery_damage(ski_recovery *work, uint32_t slot, const ski_damage *damage)
    SKALD_CHECK;
// ski_recovery_replay goes over the frames of a segment whose header is right.
skald_err ski_recovery_replay(ski_recovery *work, uint32_t slot) SKALD_CHECK;
// ski_recovery_open opens the file of a segment. The last one is read from the device.
skald_err ski_recovery_open(ski_recovery *work, uint32_t slot, ski_file **ret_file) SKALD_CHECK;
// ski_recovery_header_right checks a header against its place in the store.
bool ski_recovery_header_right(const ski_recovery *work, uint32_t slot,
                               const ski_segment_header *header);
// ski_recovery_reach: the damage before position ended there.
skald_err ski_recovery_reach(ski_recovery *work, uint64_t position) SKALD_CHECK;
// ski_recovery_list adds a segment to those of the engine. It takes file, also when it fails.
skald_err ski_recovery_list(ski_recovery *work, ski_file *take_file,
                            const ski_segment_header *header) SKALD_CHECK;

// ski_recover_sealed takes up a segment that others follow: from its index, which is made if there
// is none.
skald_err ski_recover_sealed(ski_recovery *work, uint32_t slot) SKALD_CHECK;
// ski_recover_state sets values and totals as they stood before the last segment.
skald_err ski_recover_state(ski_recovery *work) SKALD_CHECK;
// ski_recover_directory opens the stream directory.
skald_err ski_recover_directory(ski_recovery *work) SKALD_CHECK;

#endif
