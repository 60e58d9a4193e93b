// SPDX-License-Identifier: Apache-2.0
// store/log/directory.h - the stream directory: the runs that say where every stream stood at the
// end of segment `covered`. What came later is in the indexes of later segments; ask those first.
//
// The runs cover segments 1 to covered without gap or overlap. Merging is size-tiered: the indexes
// of SKI_DIRECTORY_FAN segments become a run, runs of like size become one. A merge's result
// replaces its inputs; a crash in between is harmless, for the newest valid run over a range
// counts.
//
// Threads: find, covered, bytes: any number at once, also during a step. load, step, cancel, fini:
// one.
#ifndef SKI_STORE_LOG_DIRECTORY_H
#define SKI_STORE_LOG_DIRECTORY_H

#include "store/log/run.h"

enum {
    SKI_DIRECTORY_FAN = 8,       // segments, or runs, merged at once
    SKI_DIRECTORY_RUNS_MAX = 64, // beyond it what is smallest is merged whatever its size
    SKI_DIRECTORY_STEP = 4096,   // entries merged in one step
};

typedef struct ski_directory_list ski_directory_list; // a snapshot of the runs, counted

typedef struct ski_directory {
    const ski_kernel *kernel;
    char *path;
    skald_uuid store;
    ski_mutex lock; // of list, for moments
    ski_directory_list *list;
    uint64_t number_next;
    ski_run_merge *merge; // in progress, over runs from merge_first on (count: of segments)
    uint32_t merge_first, merge_runs, merge_from, merge_to;
} ski_directory;

// ski_directory_init fails: NOMEM.
skald_err ski_directory_init(ski_directory *directory, const ski_kernel *kernel, const char *path,
                             skald_uuid store) SKALD_CHECK;
void ski_directory_fini(ski_directory *directory); // cancels a merge

// ski_directory_load opens those of the numbers (of the dir-*.run files found) that make up the
// longest cover from segment 1 to at most sealed_no. unused is told of every other one: it is
// superseded, broken, or begins behind a gap, and may be removed. Fails: NOMEM, IO; a broken run is
// none.
skald_err ski_directory_load(ski_directory *directory, const uint64_t *numbers, size_t count,
                             uint32_t sealed_no,
                             void (*unused)(void *context, uint64_t number, skald_err why),
                             void *context) SKALD_CHECK;

uint32_t ski_directory_covered(ski_directory *directory); // the last segment; 0: none
uint64_t ski_directory_bytes(ski_directory *directory);   // of memory
uint64_t ski_directory_file_bytes(ski_directory *directory);
uint32_t ski_directory_runs(ski_directory *directory);

// ski_directory_find gives where a stream stood at the end of the last covered segment, newest run
// first. covered_least: the segments that the caller has not asked itself end there. Fails:
// NOTFOUND, STALE (runs were dropped, and less than covered_least is covered now), CORRUPT (a block
// is damaged: see drop), IO.
skald_err ski_directory_find(ski_directory *directory, ski_fp fp, uint32_t covered_least,
                             ski_run_entry *ret_entry, skald_error *reterr_error) SKALD_CHECK;

// ski_directory_step does one small piece of merging: chooses one, or goes on with it, or finishes
// it, when the inputs' files are removed. sealed gives the index of a segment (covered < no <=
// sealed_no) or NULL when it has none now, which ends what it was asked for; what it gives must
// stay open until done with: until step returns with *ret_busy false, or cancel. *ret_busy: there
// is more to do. Fails: READONLY, IO (*ret_unsure: a sync failed), CORRUPT (an input), NOMEM: the
// merge is cancelled; try again later.
typedef const ski_sealed *ski_directory_sealed(void *context, uint32_t no);
skald_err ski_directory_step(ski_directory *directory, uint32_t sealed_no,
                             ski_directory_sealed *sealed, void *context, bool *ret_busy,
                             bool *ret_unsure, skald_error *reterr_error) SKALD_CHECK;
void ski_directory_cancel(ski_directory *directory); // the merge in progress, if any

// ski_directory_drop forgets every run (their files stay until new ones supersede them: unlink them
// by the numbers told), so that step makes them again from the segments' indexes.
void ski_directory_drop(ski_directory *directory, void (*dropped)(void *context, uint64_t number),
                        void *context);

#endif
