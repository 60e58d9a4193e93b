// SPDX-License-Identifier: Apache-2.0
// What erasing means for named values: the segments and the state files also have those that were
// replaced or removed since, and types of which nothing is left. The newest state file is made
// again without them, the older ones go.
//
// A value may be left out where it stood once what replaced it is on the device: whoever replays
// the log comes to that later. So the end of the log is synced before anything without it has its
// name; the manifest that then lists a segment without it says that this end is on the device.
#include "base/alloc.h"
#include "store/log/engine.h"
#include <string.h>

bool ski_value_replaced(ski_engine *engine, const skald_store_value *value)
{
    const ski_value_bytes *now = NULL;
    bool replaced = false;

    if (!value->bytes.ptr) return false; // a removal: an older segment may have what it removes
    ski_mutex_lock(&engine->lock);
    now = ski_values_find(&engine->values, value->name);
    replaced = !now || !skald_str_equal((skald_str){now->bytes, now->len}, value->bytes);
    ski_mutex_unlock(&engine->lock);
    return replaced;
}

skald_err ski_values_settle(ski_engine *engine)
{
    skald_err err = SKALD_OK;

    ski_writer_take(engine);
    if (engine->dead) err = SKALD_EIO;
    if (!err) err = ski_writer_sync(engine);
    ski_writer_give(engine);
    return err;
}

typedef struct restating {
    ski_engine *engine;
    ski_state_writer *writer; // NULL: only the head is wanted
} restating;

static skald_err value_take(void *context, skald_str name, skald_str bytes)
{
    restating *again = context;
    skald_store_value value = {name, bytes};

    if (!again->writer || ski_value_replaced(again->engine, &value)) return SKALD_OK;
    return ski_state_put_value(again->writer, name, bytes);
}

// Totals are not copied: they count what was erased.
static skald_err total_pass(void *context, const ski_state_total *total)
{
    (void)context;
    (void)total;
    return SKALD_OK;
}

// totals_put writes those that are known, when they are as of the state's segment; without them
// opening the store counts anew.
static skald_err totals_put(const restating *again, uint32_t segment_no)
{
    ski_engine *engine = again->engine;
    uint32_t last_no = 0;

    ski_mutex_lock(&engine->lock);
    if (engine->sealed_count) last_no = engine->segments[engine->sealed_count - 1]->no;
    ski_mutex_unlock(&engine->lock);
    if (last_no != segment_no) return SKALD_OK;
    for (uint32_t i = 0; i < engine->totals.count; i++) { // only the keeper changes them
        const ski_total *item = &engine->totals.items[i];
        ski_state_total total = {ski_total_tenant(item), ski_total_type(item), item->count,
                                 item->last_pos};

        if (item->count) SKALD_TRY(ski_state_put_total(again->writer, &total));
    }
    return SKALD_OK;
}

// restate_one makes one state file again.
static skald_err restate_one(ski_engine *engine, uint32_t segment_no)
{
    restating again = {.engine = engine};
    ski_state_visitor visitor = {value_take, total_pass, &again};
    ski_state_head head = {0};
    bool unsure = false;
    skald_err err = ski_state_load(engine->kernel, engine->path, engine->store, segment_no,
                                   &visitor, &head, NULL);

    if (!err) err = ski_state_begin(engine->kernel, engine->path, &head, &again.writer);
    if (err) return err;
    err = ski_state_load(engine->kernel, engine->path, engine->store, segment_no, &visitor, &head,
                         NULL);
    if (!err) err = totals_put(&again, segment_no);
    if (!err) err = ski_values_settle(engine);
    if (err) {
        ski_state_cancel(again.writer);
        return err;
    }
    err = ski_state_finish(again.writer, &unsure);
    if (unsure) ski_engine_die(engine, "the device failed to store a state file (sync)");
    return err;
}

// states_drop removes all state files but the newest, and that one too unless it is kept.
static void states_drop(ski_engine *engine, bool keep_newest)
{
    uint32_t kept = keep_newest ? 1 : 0;

    while (engine->state_count > kept) {
        char name[SKI_STATE_NAME], path[SKI_ENGINE_PATH_MAX];
        uint32_t no = engine->states[0];

        engine->state_count--;
        memmove(engine->states, engine->states + 1, engine->state_count * sizeof *engine->states);
        ski_state_name(name, no);
        if (ski_engine_path(engine, name, path)) continue;
        if (engine->kernel->unlink(engine->kernel->context, path)) continue; // opening does it
    }
}

skald_err ski_restate(ski_engine *engine)
{
    skald_err err = SKALD_OK;

    ski_mutex_lock(&engine->keeping);
    if (engine->state_count) err = restate_one(engine, engine->states[engine->state_count - 1]);
    // One that is damaged goes: the segments have all that it had.
    if (!err || err == SKALD_ECORRUPT || err == SKALD_ENOTFOUND) {
        states_drop(engine, !err);
        err = SKALD_OK;
    }
    ski_mutex_unlock(&engine->keeping);
    return err;
}
