// SPDX-License-Identifier: Apache-2.0
// Backup: the log as it stands at one moment, in another directory, while it goes on.
//
// The moment is a picture taken under the lock: which segments there are and how far the last one
// is written. Full segments and what is made of them never change again and are linked; of the last
// one the bytes up to there are copied. The manifest comes last, and says that all of it is stored:
// damage in a backup is found as such, never taken for a torn write.
//
// What happens meanwhile is allowed for. A segment that is rewritten is taken as it was: its file
// stays while there is a backup. Runs and states are listed, taken, and listed again behind the
// picture; if they changed, all begins again: that is a matter of moments where files are linked.
//
// They are taken before the picture because a state file may be made again, under its name, without
// values that were replaced: what replaced them is stored before that (restate.c), and so it is in
// a picture that is taken later. A segment rewritten without them may leave them out as well, which
// is why it must not be one that was rewritten after the picture.
#include "store/log/backup.h"
#include "base/alloc.h"
#include "store/log/copying.h"
#include "store/log/engine.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { attempts_max = 16, derived_max = 1024, derived_name = 48 };

// Names of runs and states, sorted.
typedef struct backup_derived {
    char names[derived_max][derived_name];
    unsigned count;
    bool too_many;
} backup_derived;

typedef struct backup_segment {
    uint32_t no, generation;
} backup_segment;

typedef struct backup {
    ski_engine *engine;
    ski_copying copying;
    backup_derived *before, *after;
    backup_segment *segments;
    uint32_t count;
    uint64_t end; // of the last one's bytes
    uint64_t position_last;
    bool changed; // runs or states are not what they were: begin again
} backup;

static void derived_visit(void *visitor, const char *name)
{
    backup_derived *derived = visitor;
    uint64_t number = 0;
    uint32_t no = 0;

    if (!ski_run_name_parse(name, &number) && !ski_state_name_parse(name, &no)) return;
    if (derived->count == derived_max) {
        derived->too_many = true;
        return;
    }
    memcpy(derived->names[derived->count++], name, strlen(name) + 1); // a name that was parsed
}

static int derived_compare(const void *one, const void *other)
{
    return strcmp(one, other);
}

static skald_err derived_list(const backup *run, backup_derived *derived)
{
    const ski_kernel *kernel = run->engine->kernel;

    *derived = (backup_derived){.count = 0};
    SKALD_TRY(kernel->list(kernel->context, run->engine->path, derived_visit, derived));
    if (derived->too_many) return SKALD_ETOOBIG;
    qsort(derived->names, derived->count, sizeof derived->names[0], derived_compare);
    return SKALD_OK;
}

static bool derived_same(const backup_derived *one, const backup_derived *other)
{
    if (one->count != other->count) return false;
    for (unsigned i = 0; i < one->count; i++) {
        if (strcmp(one->names[i], other->names[i]) != 0) return false;
    }
    return true;
}

// picture_take notes what the log consists of now. A segment that is being made is left out.
static skald_err picture_take(backup *run)
{
    ski_engine *engine = run->engine;
    skald_err err = SKALD_OK;
    bool damaged = false;

    ski_free(run->segments);
    ski_mutex_lock(&engine->lock);
    run->count = engine->segment_count;
    if (!engine->read_only && run->count && engine->segments[run->count - 1] != engine->active) {
        run->count--;
    }
    run->segments = ski_alloc((run->count + 1) * sizeof *run->segments);
    if (!run->segments) err = SKALD_ENOMEM;
    run->copying.bytes_all = run->copying.bytes_done;
    for (uint32_t i = 0; i < run->count && !err; i++) {
        const ski_segment *segment = engine->segments[i];

        run->segments[i] = (backup_segment){segment->no, segment->generation};
        run->copying.bytes_all += segment->end;
        run->end = segment->end;
    }
    for (uint32_t i = 0; i < engine->damage_count; i++) {
        damaged = damaged || engine->damages[i].slot + 1 == run->count;
    }
    run->position_last = atomic_load(&engine->visible);
    ski_mutex_unlock(&engine->lock);
    if (!err && damaged && engine->read_only) {
        return skald_fail(run->copying.error, SKALD_ECORRUPT,
                          "the end of the log in '%s' is damaged: a copy of it could not be "
                          "written to either. Salvage it instead",
                          engine->path);
    }
    return err;
}

static skald_err segment_missing(const backup *run, const backup_segment *segment)
{
    return skald_fail(run->copying.error, SKALD_ECORRUPT,
                      "a file of segment %u of the store in '%s' is not there. Salvage it instead",
                      segment->no, run->engine->path);
}

// segment_take takes a full segment, with its index if it has one: an index can be made again.
static skald_err segment_take(backup *run, const backup_segment *segment)
{
    char name[SKI_SEGMENT_NAME], index[SKI_SEALED_NAME];
    skald_err err = SKALD_OK;

    ski_sealed_name(index, segment->no, segment->generation);
    err = ski_copying_link(&run->copying, index);
    if (err && err != SKALD_ENOTFOUND) return err;
    ski_segment_name(name, segment->no, segment->generation);
    err = ski_copying_link(&run->copying, name);
    return err == SKALD_ENOTFOUND ? segment_missing(run, segment) : err;
}

// last_take copies what is written of the last segment.
static skald_err last_take(backup *run)
{
    const backup_segment *segment = &run->segments[run->count - 1];
    char name[SKI_SEGMENT_NAME];
    skald_err err = SKALD_OK;

    ski_segment_name(name, segment->no, segment->generation);
    err = ski_copying_copy(&run->copying, name, run->end);
    return err == SKALD_ENOTFOUND ? segment_missing(run, segment) : err;
}

// derived_take takes runs and states, and then the picture; one before that says how much there is
// to do.
static skald_err derived_take(backup *run)
{
    skald_err err = picture_take(run);

    if (!err) err = derived_list(run, run->before);
    for (unsigned i = 0; i < run->before->count && !err; i++) {
        err = ski_copying_link(&run->copying, run->before->names[i]);
    }
    if (err == SKALD_ENOTFOUND) run->changed = true;
    if (!err) err = picture_take(run);
    if (!err) err = derived_list(run, run->after);
    if (!err) run->changed = !derived_same(run->before, run->after);
    return err;
}

static skald_err manifest_put(backup *run)
{
    ski_manifest manifest = {.store = run->engine->store, .durable_pos = run->position_last};
    skald_err err = SKALD_OK;

    if (run->count) {
        manifest.durable_no = run->segments[run->count - 1].no;
        manifest.durable_off = (uint32_t)run->end;
    }
    for (uint32_t i = 0; i < run->count && !err; i++) {
        err = ski_manifest_add(&manifest, run->segments[i].no, run->segments[i].generation);
    }
    if (!err) err = ski_copying_finish(&run->copying, &manifest);
    ski_manifest_fini(&manifest);
    return err;
}

static skald_err backup_once(backup *run)
{
    skald_err err = SKALD_OK;

    run->changed = false;
    err = derived_take(run);
    if (!err && !run->changed && run->count) err = last_take(run);
    for (uint32_t i = 0; i + 1 < run->count && !err && !run->changed; i++) {
        err = segment_take(run, &run->segments[i]);
    }
    if (!err && !run->changed) err = manifest_put(run);
    return err;
}

static skald_err backup_run(backup *run)
{
    skald_err err = ski_copying_begin(&run->copying);

    if (err) return err;
    ski_pin(run->engine);
    for (unsigned attempt = 0; attempt < attempts_max; attempt++) {
        err = backup_once(run);
        if (!run->changed) break;
        ski_copying_clear(&run->copying);
        err = SKALD_EUNAVAILABLE;
    }
    ski_unpin(run->engine);
    ski_copying_end(&run->copying, err != SKALD_OK);
    return err;
}

skald_err ski_backup(void *driver, const char *directory, const skald_backup_options *options,
                     skald_backed_up *ret_backed_up, skald_error *reterr_error)
{
    ski_engine *engine = driver;
    skald_error error = {0};
    backup run = {.engine = engine,
                  .copying = {.kernel = engine->kernel,
                              .from = engine->path,
                              .to = directory,
                              .progress = options->progress,
                              .context = options->context,
                              .error = &error}};
    skald_err err = SKALD_OK;

    run.before = ski_alloc(sizeof *run.before);
    run.after = ski_alloc(sizeof *run.after);
    err = run.before && run.after ? backup_run(&run) : SKALD_ENOMEM;
    ski_free(run.before);
    ski_free(run.after);
    ski_free(run.segments);
    if (err) {
        if (error.err != err) {
            (void)skald_fail(&error, err, "the store cannot be backed up to '%s': %s", directory,
                             skald_err_text(err));
        }
        if (reterr_error) *reterr_error = error;
        return err;
    }
    *ret_backed_up = (skald_backed_up){.position_last = run.position_last,
                                       .bytes = run.copying.bytes_done,
                                       .bytes_linked = run.copying.bytes_linked,
                                       .files = run.copying.files};
    return SKALD_OK;
}
