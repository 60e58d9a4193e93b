// SPDX-License-Identifier: Apache-2.0
// Verifying runs, state files and the manifest. None of them has anything that the segments do not
// say, too; one that is not whole is not used, and made again.
#include "base/alloc.h"
#include "store/log/verify.h"
#include <stdio.h>
#include <string.h>

enum { names_max = 1024, name_bytes = 48, repair_waits_max = 3000 }; // of 100 ms each

typedef struct made_names {
    char names[names_max][name_bytes];
    unsigned count;
} made_names;

typedef struct made {
    ski_engine *engine;
    void (*tell)(void *context, const char *name, uint64_t bytes, const char *why);
    void *context;
    bool repair;
} made;

static void made_visit(void *visitor, const char *name)
{
    made_names *names = visitor;
    uint64_t number = 0;
    uint32_t no = 0;

    if (!ski_run_name_parse(name, &number) && !ski_state_name_parse(name, &no)) return;
    if (names->count == names_max) return;
    memcpy(names->names[names->count++], name, strlen(name) + 1); // a name that was parsed
}

// made_there gives the size of a file; false: it is not there any more, and that is in order.
static bool made_there(const made *run, const char *name, uint64_t *ret_bytes)
{
    const ski_kernel *kernel = run->engine->kernel;
    char path[SKI_ENGINE_PATH_MAX];
    ski_file *file = NULL;
    skald_err err = SKALD_OK;

    if (ski_engine_path(run->engine, name, path)) return false;
    if (kernel->open(kernel->context, path, 0, &file, NULL)) return false;
    err = kernel->size(kernel->context, file, ret_bytes);
    kernel->close(kernel->context, file);
    return !err;
}

static bool damage_is(skald_err err)
{
    return err == SKALD_ECORRUPT || err == SKALD_EIO;
}

static skald_err run_verify(const made *run, const char *name, uint64_t number)
{
    ski_engine *engine = run->engine;
    uint64_t bytes = 0;
    ski_run *one = NULL;
    skald_err err = ski_run_open(engine->kernel, engine->path, engine->store, number, &one, NULL);

    if (!err) err = ski_run_check(one, NULL);
    ski_run_close(one);
    if (!damage_is(err) || !made_there(run, name, &bytes)) {
        return err == SKALD_ENOMEM ? err : SKALD_OK;
    }
    run->tell(run->context, name, bytes, "a checksum is wrong; it can be made again");
    ski_mutex_lock(&engine->lock);
    if (!engine->read_only) engine->directory_broken = true;
    ski_mutex_unlock(&engine->lock);
    return SKALD_OK;
}

static skald_err value_ignore(void *context, skald_str name, skald_str bytes)
{
    (void)context;
    (void)name;
    (void)bytes;
    return SKALD_OK;
}

static skald_err total_ignore(void *context, const ski_state_total *total)
{
    (void)context;
    (void)total;
    return SKALD_OK;
}

static skald_err state_verify(const made *run, const char *name, uint32_t no)
{
    static const ski_state_visitor visitor = {value_ignore, total_ignore, NULL};
    ski_engine *engine = run->engine;
    char path[SKI_ENGINE_PATH_MAX];
    ski_state_head head;
    uint64_t bytes = 0;
    skald_err err =
        ski_state_load(engine->kernel, engine->path, engine->store, no, &visitor, &head, NULL);

    if (!damage_is(err) || !made_there(run, name, &bytes)) {
        return err == SKALD_ENOMEM ? err : SKALD_OK;
    }
    run->tell(run->context, name, bytes, "a checksum is wrong; it is not used");
    if (!run->repair || engine->read_only) return SKALD_OK;
    SKALD_TRY(ski_engine_path(engine, name, path)); // nothing that is not whole
                                                    // is ever read from one
    return engine->kernel->unlink(engine->kernel->context, path);
}

// manifest_verify: where somebody writes it, one copy may be half of two.
static skald_err manifest_verify(const made *run)
{
    ski_engine *engine = run->engine;
    ski_manifest manifest = {0};
    unsigned damaged = 0, copy = 0;
    uint64_t bytes = 0;
    skald_err err = SKALD_OK;

    if (!engine->read_only) return SKALD_OK;
    err = ski_manifest_load(engine->kernel, engine->path, false, &manifest, &damaged);
    if (!err) copy = (unsigned)((manifest.edit + 1) % SKI_MANIFEST_COPIES);
    ski_manifest_fini(&manifest);
    if (err && err != SKALD_ENOTFOUND) return err == SKALD_ENOMEM ? err : SKALD_OK;
    for (unsigned i = 0; i < damaged; i++) {
        const char *name = ski_manifest_name((copy + i) % SKI_MANIFEST_COPIES);

        if (!made_there(run, name, &bytes)) continue;
        run->tell(run->context, name, bytes,
                  err ? "neither copy of the manifest is whole"
                      : "a checksum is wrong; the other copy is whole");
    }
    return SKALD_OK;
}

skald_err ski_verify_made(ski_engine *engine, bool repair,
                          void (*tell)(void *context, const char *name, uint64_t bytes,
                                       const char *why),
                          void *context)
{
    const ski_kernel *kernel = engine->kernel;
    made run = {engine, tell, context, repair};
    made_names *names = ski_alloc_zeroed(1, sizeof *names);
    skald_err err = names ? SKALD_OK : SKALD_ENOMEM;

    if (!err) err = kernel->list(kernel->context, engine->path, made_visit, names);
    for (unsigned i = 0; !err && i < names->count; i++) {
        uint64_t number = 0;
        uint32_t no = 0;

        if (ski_run_name_parse(names->names[i], &number)) {
            err = run_verify(&run, names->names[i], number);
        } else if (ski_state_name_parse(names->names[i], &no)) {
            err = state_verify(&run, names->names[i], no);
        }
    }
    ski_free(names);
    return err ? err : manifest_verify(&run);
}

// repair_busy: something found damaged is not made again yet. The lock is held.
static bool repair_busy(const ski_engine *engine)
{
    bool busy = engine->suspect_due || engine->directory_broken;

    for (uint32_t i = 0; i < engine->sealed_count && !busy; i++) {
        busy = engine->segments[i]->suspect;
    }
    return busy;
}

bool ski_verify_repair(ski_engine *engine)
{
    bool threads = engine->kernel->spawn != NULL, busy = true;

    for (unsigned i = 0; i < repair_waits_max && busy; i++) {
        bool worked = !threads && ski_keep_step(engine);

        ski_mutex_lock(&engine->lock);
        busy = repair_busy(engine) && !engine->dead && !engine->closing;
        if (busy && threads) {
            ski_cond_signal(&engine->keep_work);
            (void)ski_cond_wait_ns(&engine->kept_some, &engine->lock, SKI_RETRY_NS);
        }
        ski_mutex_unlock(&engine->lock);
        if (!threads && !worked) break;
    }
    ski_mutex_lock(&engine->lock);
    busy = repair_busy(engine);
    ski_mutex_unlock(&engine->lock);
    return !busy;
}
