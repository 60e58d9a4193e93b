// SPDX-License-Identifier: Apache-2.0
// Backup, salvage and the list of files: handed to the driver, if it can.
#include "store/handle.h"

// What a driver is given as progress: close waits for calls, so they end when it is asked for.
typedef struct backing_up {
    skald_store *store;
    bool (*progress)(void *context, uint64_t bytes_done, uint64_t bytes_all);
    void *context;
} backing_up;

static bool backup_proceed(void *context, uint64_t bytes_done, uint64_t bytes_all)
{
    const backing_up *running = context;
    bool closing;

    ski_mutex_lock(&running->store->mutex);
    closing = running->store->closing;
    ski_mutex_unlock(&running->store->mutex);
    if (closing) return false;
    return !running->progress || running->progress(running->context, bytes_done, bytes_all);
}

static skald_err backup_unsupported(const skald_store *store, const char *what,
                                    skald_error *reterr_error)
{
    return skald_fail(reterr_error, SKALD_EUNSUPPORTED, "a store of kind '%s' %s",
                      store->driver->scheme, what);
}

skald_err skald_store_backup(skald_store *store, const char *directory,
                             const skald_backup_options *options, skald_backed_up *ret_backed_up,
                             skald_error *reterr_error)
{
    backing_up running = {store, options ? options->progress : NULL,
                          options ? options->context : NULL};
    skald_backup_options told = {.progress = backup_proceed, .context = &running};
    skald_backed_up backed_up = {0};
    skald_store_state state;
    skald_err err;

    if (!store->driver->backup) {
        return backup_unsupported(store, "keeps nothing that could be backed up; export it",
                                  reterr_error);
    }
    if (!directory || !directory[0]) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "directory", "no directory is named");
    }
    SKALD_TRY(ski_store_enter(store));
    err = store->driver->backup(store->instance, directory, &told, &backed_up, reterr_error);
    skald_store_state_get(store, &state);
    backed_up.damages = state.damages;
    ski_store_leave(store);
    if (!err && ret_backed_up) *ret_backed_up = backed_up;
    return err;
}

skald_err skald_store_salvage(skald_store *store, const char *directory,
                              const skald_salvage_options *options, skald_salvaged *ret_salvaged,
                              skald_error *reterr_error)
{
    static const skald_salvage_options plain;
    skald_salvaged salvaged = {0};
    skald_err err;

    if (!store->driver->salvage) {
        return backup_unsupported(store, "cannot be salvaged; export what can be read",
                                  reterr_error);
    }
    if (!directory || !directory[0]) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "directory", "no directory is named");
    }
    if (!store->options.read_only) {
        return skald_fail(reterr_error, SKALD_ESTATE,
                          "a store is salvaged from one that is opened read-only");
    }
    SKALD_TRY(ski_store_enter(store));
    err = store->driver->salvage(store->instance, directory, options ? options : &plain, &salvaged,
                                 reterr_error);
    ski_store_leave(store);
    if (!err && ret_salvaged) *ret_salvaged = salvaged;
    return err;
}

skald_err skald_store_parts_each(skald_store *store,
                                 bool (*visit)(void *context, const skald_store_part *part),
                                 void *context, skald_error *reterr_error)
{
    skald_err err;

    if (!store->driver->parts) {
        return backup_unsupported(store, "is not made of parts", reterr_error);
    }
    SKALD_TRY(ski_store_enter(store));
    err = store->driver->parts(store->instance, visit, context);
    ski_store_leave(store);
    return err;
}
