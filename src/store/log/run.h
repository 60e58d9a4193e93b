// SPDX-License-Identifier: Apache-2.0
// store/log/run.h - a run of the stream directory, dir-<number>.run: where every stream stood that
// has events in a range of segments, sorted by fingerprint, immutable.
//
// A run is merged from the indexes of segments and from older runs, may be lost, and can be made
// again. In memory: a Bloom filter and the first key of every block. A lookup that the filter lets
// through reads one block.
//
// Threads: a run is read by any number at once; a merge belongs to one.
#ifndef SKI_STORE_LOG_RUN_H
#define SKI_STORE_LOG_RUN_H

#include "store/log/sealed.h"

enum { SKI_RUN_NAME = 32, SKI_RUN_INPUTS_MAX = 64 };

typedef struct ski_run ski_run;

typedef struct ski_run_info {
    skald_uuid store;
    uint64_t number;         // never used again
    uint32_t from_no, to_no; // segments it covers, both included
    uint64_t entries;
    uint64_t file_bytes;
} ski_run_info;

typedef struct ski_run_entry {
    ski_fp fp;
    uint64_t last_version, last_pos;
} ski_run_entry;

void ski_run_name(char name[SKI_RUN_NAME], uint64_t number);
bool ski_run_name_parse(const char *name, uint64_t *ret_number);

// ski_run_open fails: NOTFOUND, CORRUPT, UNSUPPORTED, IO, NOMEM. Filter and keys are read and
// verified.
skald_err ski_run_open(const ski_kernel *kernel, const char *path, skald_uuid store,
                       uint64_t number, ski_run **ret_run, skald_error *reterr_error) SKALD_CHECK;
void ski_run_close(ski_run *run); // NULL is allowed
const ski_run_info *ski_run_info_of(const ski_run *run);
uint64_t ski_run_bytes(const ski_run *run); // of memory
// ski_run_find fails: NOTFOUND, CORRUPT, IO.
skald_err ski_run_find(const ski_run *run, ski_fp fp, ski_run_entry *ret_entry,
                       skald_error *reterr_error) SKALD_CHECK;
skald_err ski_run_check(const ski_run *run, skald_error *reterr_error) SKALD_CHECK; // every block

// Every entry by fingerprint. End it with iter_end.
typedef struct ski_run_iter {
    const ski_run *run;
    ski_entries entries;
    ski_run_entry entry;
} ski_run_iter;
skald_err ski_run_iter_begin(ski_run_iter *iter, const ski_run *run) SKALD_CHECK; // NOMEM
skald_err ski_run_iter_next(ski_run_iter *iter, skald_error *reterr_error) SKALD_CHECK;
void ski_run_iter_end(ski_run_iter *iter);

// A merge: begin, step until done, then finish, or cancel at any time. Inputs are borrowed until
// finish or cancel; of one stream the entry with the highest position counts.
typedef struct ski_run_input { // exactly one of them
    const ski_run *run;
    const ski_sealed *sealed;
} ski_run_input;
typedef struct ski_run_merge ski_run_merge;

// ski_run_merge_begin: inputs, at most SKI_RUN_INPUTS_MAX, together cover from_no to to_no. Fails:
// NOMEM, READONLY, IO.
skald_err ski_run_merge_begin(const ski_kernel *kernel, const char *path, skald_uuid store,
                              uint64_t number, uint32_t from_no, uint32_t to_no,
                              const ski_run_input *inputs, size_t count, ski_run_merge **ret_merge,
                              skald_error *reterr_error) SKALD_CHECK;
// ski_run_merge_step merges up to so many entries. Fails: CORRUPT (an input), READONLY, IO: then
// cancel.
skald_err ski_run_merge_step(ski_run_merge *merge, uint32_t entries_max, bool *ret_done,
                             skald_error *reterr_error) SKALD_CHECK;
// ski_run_merge_finish writes the rest, syncs, renames, syncs the directory. It ends the merge,
// also when it fails. Fails: READONLY, IO (*ret_unsure: a sync failed).
skald_err ski_run_merge_finish(ski_run_merge *merge, bool *ret_unsure, skald_error *reterr_error)
    SKALD_CHECK;
void ski_run_merge_cancel(ski_run_merge *merge); // NULL is allowed; its file goes

#endif
