// SPDX-License-Identifier: Apache-2.0
// The stream directory: which runs there are, and merging them.
//
// Invariants:
//   1. The runs of the list cover segments 1 to covered, in order, without gap or overlap.
//   2. A list does not change once others see it; a new one takes its place, and it goes when the
//      last one that looks at it is done. So does a run.
//   3. The files of a merge's inputs are removed only after its result is on the device.
#include "store/log/directory.h"
#include "base/alloc.h"
#include "base/str.h"
#include "store/log/blocks.h"
#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct counted_run {
    ski_run *run;
    _Atomic uint32_t users; // lists
} counted_run;

struct ski_directory_list {
    _Atomic uint32_t users;
    uint32_t count;
    counted_run *runs[];
};

static ski_directory_list *list_new(uint32_t count)
{
    ski_directory_list *list =
        ski_alloc_zeroed(1, sizeof *list + ((size_t)count + 1) * sizeof *list->runs);

    if (!list) return NULL;
    atomic_init(&list->users, 1);
    list->count = count;
    return list;
}

static void run_unref(counted_run *run)
{
    if (!run || atomic_fetch_sub(&run->users, 1) != 1) return;
    ski_run_close(run->run);
    ski_free(run);
}

static counted_run *run_ref(counted_run *run)
{
    atomic_fetch_add(&run->users, 1);
    return run;
}

static counted_run *run_new(ski_run *run) // takes it, also when there is no memory
{
    counted_run *counted = ski_alloc_zeroed(1, sizeof *counted);

    if (!counted) {
        ski_run_close(run);
        return NULL;
    }
    counted->run = run;
    atomic_init(&counted->users, 1);
    return counted;
}

static void list_unref(ski_directory_list *list)
{
    if (!list || atomic_fetch_sub(&list->users, 1) != 1) return;
    for (uint32_t i = 0; i < list->count; i++) run_unref(list->runs[i]);
    ski_free(list);
}

static ski_directory_list *list_get(ski_directory *directory)
{
    ski_directory_list *list = NULL;

    ski_mutex_lock(&directory->lock);
    list = directory->list;
    atomic_fetch_add(&list->users, 1);
    ski_mutex_unlock(&directory->lock);
    return list;
}

static void list_set(ski_directory *directory, ski_directory_list *list)
{
    ski_directory_list *old = NULL;

    ski_mutex_lock(&directory->lock);
    old = directory->list;
    directory->list = list;
    ski_mutex_unlock(&directory->lock);
    list_unref(old);
}

static const ski_run_info *list_info(const ski_directory_list *list, uint32_t i)
{
    return ski_run_info_of(list->runs[i]->run);
}

static uint32_t list_covered(const ski_directory_list *list)
{
    return list->count ? list_info(list, list->count - 1)->to_no : 0;
}

skald_err ski_directory_init(ski_directory *directory, const ski_kernel *kernel, const char *path,
                             skald_uuid store)
{
    *directory = (ski_directory){.kernel = kernel, .store = store, .number_next = 1};
    directory->path = ski_str_terminated(skald_str_of(path));
    directory->list = list_new(0);
    if (!directory->path || !directory->list) {
        ski_free(directory->path);
        ski_free(directory->list);
        *directory = (ski_directory){0};
        return SKALD_ENOMEM;
    }
    ski_mutex_init(&directory->lock);
    return SKALD_OK;
}

void ski_directory_fini(ski_directory *directory)
{
    if (!directory->list) return;
    ski_directory_cancel(directory);
    list_unref(directory->list);
    ski_free(directory->path);
    ski_mutex_fini(&directory->lock);
    *directory = (ski_directory){0};
}

// --- loading ------------------------------------------------------------------------------------

// By where they begin; of those that begin alike the one that reaches farthest comes first, then
// the newest.
static int run_compare(const void *a, const void *b)
{
    const ski_run_info *left = ski_run_info_of((*(counted_run *const *)a)->run);
    const ski_run_info *right = ski_run_info_of((*(counted_run *const *)b)->run);

    if (left->from_no != right->from_no) return left->from_no < right->from_no ? -1 : 1;
    if (left->to_no != right->to_no) return left->to_no > right->to_no ? -1 : 1;
    return left->number > right->number ? -1 : left->number < right->number;
}

// list_choose keeps the runs of the sorted list that make up the cover, and drops the others. A run
// that was merged into a larger one lies within it, so going on greedily from each end is right.
static void list_choose(ski_directory_list *list, uint32_t sealed_no,
                        void (*unused)(void *context, uint64_t number, skald_err why),
                        void *context)
{
    uint32_t covered = 0, kept = 0;

    for (uint32_t i = 0; i < list->count; i++) {
        counted_run *run = list->runs[i];
        const ski_run_info *info = ski_run_info_of(run->run);

        list->runs[i] = NULL;
        if (info->from_no == covered + 1 && info->to_no <= sealed_no) {
            covered = info->to_no;
            list->runs[kept++] = run;
            continue;
        }
        unused(context, info->number, SKALD_OK);
        run_unref(run);
    }
    list->count = kept;
}

skald_err ski_directory_load(ski_directory *directory, const uint64_t *numbers, size_t count,
                             uint32_t sealed_no,
                             void (*unused)(void *context, uint64_t number, skald_err why),
                             void *context)
{
    ski_directory_list *list = NULL;
    skald_err err = SKALD_OK;

    if (count > UINT32_MAX) return SKALD_ENOMEM;
    list = list_new((uint32_t)count);
    if (!list) return SKALD_ENOMEM;
    list->count = 0;
    for (size_t i = 0; i < count && !err; i++) {
        ski_run *run = NULL;

        if (numbers[i] >= directory->number_next) directory->number_next = numbers[i] + 1;
        err = ski_run_open(directory->kernel, directory->path, directory->store, numbers[i], &run,
                           NULL);
        if (err == SKALD_ENOMEM) break;
        if (err) {
            unused(context, numbers[i], err);
            err = SKALD_OK;
            continue;
        }
        list->runs[list->count] = run_new(run);
        if (!list->runs[list->count])
            err = SKALD_ENOMEM;
        else
            list->count++;
    }
    if (err) {
        list_unref(list);
        return err;
    }
    qsort(list->runs, list->count, sizeof *list->runs, run_compare);
    list_choose(list, sealed_no, unused, context);
    list_set(directory, list);
    return SKALD_OK;
}

// --- asking -------------------------------------------------------------------------------------

uint32_t ski_directory_covered(ski_directory *directory)
{
    ski_directory_list *list = list_get(directory);
    uint32_t covered = list_covered(list);

    list_unref(list);
    return covered;
}

uint32_t ski_directory_runs(ski_directory *directory)
{
    ski_directory_list *list = list_get(directory);
    uint32_t count = list->count;

    list_unref(list);
    return count;
}

uint64_t ski_directory_bytes(ski_directory *directory)
{
    ski_directory_list *list = list_get(directory);
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < list->count; i++) bytes += ski_run_bytes(list->runs[i]->run);
    list_unref(list);
    return bytes;
}

uint64_t ski_directory_file_bytes(ski_directory *directory)
{
    ski_directory_list *list = list_get(directory);
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < list->count; i++) bytes += list_info(list, i)->file_bytes;
    list_unref(list);
    return bytes;
}

skald_err ski_directory_find(ski_directory *directory, ski_fp fp, uint32_t covered_least,
                             ski_run_entry *ret_entry, skald_error *reterr_error)
{
    ski_directory_list *list = list_get(directory);
    skald_err err = list_covered(list) < covered_least ? SKALD_ESTALE : SKALD_ENOTFOUND;

    for (uint32_t i = list->count; i > 0 && err == SKALD_ENOTFOUND; i--) {
        err = ski_run_find(list->runs[i - 1]->run, fp, ret_entry, reterr_error);
    }
    list_unref(list);
    return err;
}

// --- merging ------------------------------------------------------------------------------------

// choose_runs gives the first of the newest runs that are worth merging, count of them; 0: none.
// They are when there are as many as FAN of which none is much larger than all behind it together,
// or when there are too many.
static uint32_t choose_runs(const ski_directory_list *list, uint32_t *ret_first)
{
    uint64_t behind = 0;
    uint32_t count = 0;

    for (; count < list->count && count < SKI_RUN_INPUTS_MAX; count++) {
        uint64_t bytes = list_info(list, list->count - 1 - count)->file_bytes;

        if (behind && bytes > 2 * behind) break;
        behind += bytes;
    }
    if (count < SKI_DIRECTORY_FAN) {
        if (list->count < SKI_DIRECTORY_RUNS_MAX) return 0;
        count = SKI_DIRECTORY_FAN;
    }
    *ret_first = list->count - count;
    return count;
}

static void run_remove(ski_directory *directory, uint64_t number)
{
    char name[SKI_RUN_NAME], path[SKI_BLOCKS_PATH_MAX];
    int len = 0;

    ski_run_name(name, number);
    len = snprintf(path, sizeof path, "%s/%s", directory->path, name);
    if (len < 0 || (size_t)len >= sizeof path) return;
    (void)directory->kernel->unlink(directory->kernel->context, path); // else at the next load
}

// merge_begin chooses what to merge; nothing: directory->merge stays NULL.
static skald_err merge_begin(ski_directory *directory, uint32_t sealed_no,
                             ski_directory_sealed *sealed, void *context, skald_error *reterr_error)
{
    const ski_directory_list *list = directory->list; // only this thread changes it
    ski_run_input inputs[SKI_RUN_INPUTS_MAX] = {{0}};
    uint32_t covered = list_covered(list), first = 0, count = choose_runs(list, &first);

    if (count) {
        for (uint32_t i = 0; i < count; i++) inputs[i].run = list->runs[first + i]->run;
        directory->merge_from = list_info(list, first)->from_no;
        directory->merge_to = list_info(list, first + count - 1)->to_no;
    } else {
        if (sealed_no < covered || sealed_no - covered < SKI_DIRECTORY_FAN) return SKALD_OK;
        for (uint32_t i = 0; i < SKI_DIRECTORY_FAN; i++) {
            inputs[i].sealed = sealed(context, covered + 1 + i);
            if (!inputs[i].sealed) return SKALD_OK; // not yet
        }
        first = list->count;
        directory->merge_from = covered + 1;
        directory->merge_to = covered + SKI_DIRECTORY_FAN;
    }
    directory->merge_first = first;
    directory->merge_runs = count;
    return ski_run_merge_begin(directory->kernel, directory->path, directory->store,
                               directory->number_next++, directory->merge_from, directory->merge_to,
                               inputs, count ? count : SKI_DIRECTORY_FAN, &directory->merge,
                               reterr_error);
}

// merge_finish puts the result in the place of its inputs.
static skald_err merge_finish(ski_directory *directory, bool *ret_unsure, skald_error *reterr_error)
{
    const ski_directory_list *old = directory->list;
    uint32_t first = directory->merge_first, count = directory->merge_runs;
    uint64_t number = directory->number_next - 1, gone[SKI_RUN_INPUTS_MAX];
    ski_directory_list *list = NULL;
    ski_run *run = NULL;
    skald_err err = SKALD_OK;

    err = ski_run_merge_finish(directory->merge, ret_unsure, reterr_error);
    directory->merge = NULL;
    if (err) return err;
    err = ski_run_open(directory->kernel, directory->path, directory->store, number, &run,
                       reterr_error);
    if (err) return err;
    list = list_new(old->count - count + 1);
    if (!list) {
        ski_run_close(run);
        return SKALD_ENOMEM;
    }
    list->runs[first] = run_new(run);
    if (!list->runs[first]) {
        ski_free(list);
        return SKALD_ENOMEM;
    }
    for (uint32_t i = 0; i < first; i++) list->runs[i] = run_ref(old->runs[i]);
    for (uint32_t i = 0; i < count; i++) gone[i] = list_info(old, first + i)->number;
    for (uint32_t i = first + count; i < old->count; i++) {
        list->runs[i - count + 1] = run_ref(old->runs[i]);
    }
    list_set(directory, list);
    for (uint32_t i = 0; i < count; i++) run_remove(directory, gone[i]);
    return SKALD_OK;
}

skald_err ski_directory_step(ski_directory *directory, uint32_t sealed_no,
                             ski_directory_sealed *sealed, void *context, bool *ret_busy,
                             bool *ret_unsure, skald_error *reterr_error)
{
    bool done = false;
    skald_err err = SKALD_OK;

    *ret_unsure = false;
    *ret_busy = false;
    if (!directory->merge) {
        err = merge_begin(directory, sealed_no, sealed, context, reterr_error);
        *ret_busy = !err && directory->merge;
        return err;
    }
    err = ski_run_merge_step(directory->merge, SKI_DIRECTORY_STEP, &done, reterr_error);
    if (err) {
        ski_directory_cancel(directory);
        return err;
    }
    if (!done) {
        *ret_busy = true;
        return SKALD_OK;
    }
    SKALD_TRY(merge_finish(directory, ret_unsure, reterr_error));
    *ret_busy = true; // there may be another one: the next step will say
    return SKALD_OK;
}

void ski_directory_cancel(ski_directory *directory)
{
    ski_run_merge_cancel(directory->merge);
    directory->merge = NULL;
}

void ski_directory_drop(ski_directory *directory, void (*dropped)(void *context, uint64_t number),
                        void *context)
{
    ski_directory_list *old = directory->list, *list = NULL;

    ski_directory_cancel(directory);
    if (!old->count) return;
    list = list_new(0);
    if (!list) return; // nothing has changed: another time
    for (uint32_t i = 0; i < old->count; i++) dropped(context, list_info(old, i)->number);
    list_set(directory, list);
}
