// SPDX-License-Identifier: Apache-2.0
// A case: the workload runs until the fault ends it or its words end; then the machine comes back
// and the store is asked for everything. What must hold:
//   1. after any crash, any failed sync and any full disk the store opens, and model_check finds it
//   right;
//   2. what it showed after the first recovery is still there after the next power failure;
//   3. verify finds nothing to complain about;
//   4. an append repeated answers as the first time, and new appends go on where the log ends;
//   5. damage that no crash makes is reported or without effect: never wrong data, never silence.
#include "sim/sim_case.h"

#include "sim/sim_rot.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    resume_tries_max = 60, // seconds after which a store must have noticed that there is space
    second_ns = 1000000000,
    groups_in_sector = 4, // at most, with the smallest batches of the workloads
};

static sim_fate fate_of(uint64_t seed)
{
    return seed < SIM_FATE_MIXED ? (sim_fate)seed : SIM_FATE_MIXED;
}

// process_dies and power_fails leave the store closed and the disk ready for a new start.
static bool process_dies(sim_world *world)
{
    bool drops = world->fault == SIM_FAULT_SYNC_EXT4 || world->fault == SIM_FAULT_SYNC_BTRFS;

    sim_disk_halt(world->disk);
    world_close(world);
    if (sim_disk_files_open(world->disk)) return false;
    model_crashed(&world->model, drops); // what was only written a device that fails takes along
    sim_disk_restart(world->disk);
    return !world->wrong[0];
}

static bool power_fails(sim_world *world, uint64_t seed)
{
    sim_disk_halt(world->disk);
    world_close(world);
    if (sim_disk_files_open(world->disk)) return false;
    model_crashed(&world->model, true);
    sim_disk_reboot(world->disk, fate_of(seed), seed);
    return !world->wrong[0];
}

// damage_first keeps the first range that verify names.
typedef struct damage_first {
    size_t count;
    char text[200];
} damage_first;

static void damage_seen(void *context, const skald_damage *damage)
{
    damage_first *first = context;

    if (first->count++) return;
    snprintf(first->text, sizeof first->text, "%s at %" PRIu64 ", %" PRIu64 " bytes: %s",
             damage->file ? damage->file : "", damage->offset, damage->length,
             damage->why ? damage->why : "");
    if (!damage->file || !damage->length || !damage->why)
        snprintf(first->text, sizeof first->text, "a damage without a range");
}

static bool verify_clean(sim_world *world)
{
    damage_first first = {0};
    skald_verify_options options = {.damaged = damage_seen, .context = &first};
    skald_verified verified = {0};
    skald_error error = {0};
    uint64_t head = 0, dead = 0;
    skald_err err = skald_store_verify(world->store, &options, &verified, &error);

    if (err)
        return world_wrong(world, "verify: %s %s (%s)", skald_err_name(err), error.text,
                           first.text);
    if (verified.damaged || first.count)
        return world_wrong(world, "verify is OK and names damage: %s", first.text);
    head = skald_store_head(world->store);
    for (uint64_t position = 1; position <= head; position++)
        dead += model_dead(&world->model, position);
    if (verified.events > head || verified.events + dead < head)
        return world_wrong(world, "verify counts %" PRIu64 " events of %" PRIu64, verified.events,
                           skald_store_head(world->store));
    return true;
}

// recover opens without any fault: everything must be well from here on.
static bool recover(sim_world *world)
{
    skald_error error = {0};
    skald_err err = SKALD_OK;

    world->fault = SIM_FAULT_NONE;
    if (!world_copy_check(world)) return false;
    err = world_open(world, false, &error);
    if (err)
        return world_wrong(world, "open after it fails with %s: %s", skald_err_name(err),
                           error.text);
    return world_check(world, true) && verify_clean(world);
}

static void repeat_done(skald_store_batch *batch, skald_err err)
{
    *(skald_err *)batch->context = err;
}

// repeat appends the last batch that is there once more: the answer must be the first one's.
static bool repeat(sim_world *world)
{
    static model_texts texts;
    skald_event events[MODEL_BATCH_EVENTS_MAX];
    const model_batch *last = NULL;
    uint64_t before = 0, head = skald_store_head(world->store);
    skald_err told = SKALD_EINVALID, err = SKALD_OK;
    skald_store_batch batch = {.events = events, .done = repeat_done, .context = &told};

    for (size_t i = 0; i < world->model.batch_count; i++) {
        if (world->model.batches[i].gone || world->model.batches[i].event_count == 0) continue;
        last = &world->model.batches[i];
        before += last->event_count;
    }
    if (!last) return true;
    for (size_t i = 0; i < last->event_count; i++)
        if (last->events[i].dead) return true; // its ids may be forgotten
    model_give(&world->model, last, &batch, &texts);
    batch.expect_count = batch.value_count = 0;
    err = ski_store_commit(world->store, &batch);
    if (err || told)
        return world_wrong(world, "an append repeated is answered %s, %s", skald_err_name(err),
                           skald_err_name(told));
    if (!batch.appended.repeated ||
        batch.appended.position_first != before - last->event_count + 1 ||
        batch.appended.position_last != before || skald_store_head(world->store) != head)
        return world_wrong(world,
                           "an append repeated is given positions %" PRIu64 "..%" PRIu64
                           ", head %" PRIu64 " after %" PRIu64,
                           batch.appended.position_first, batch.appended.position_last,
                           skald_store_head(world->store), head);
    return true;
}

// go_on uses the store after its recovery, stops it in peace and looks again after a power failure.
static bool go_on(sim_world *world, uint64_t seed)
{
    if (!repeat(world)) return false;
    // What follows a torn tail is as long as what was torn: nothing stale may fit behind it.
    if (seed >= SIM_FATE_MIXED) {
        if (!world_append(world, "a", true) || !power_fails(world, SIM_FATE_KEPT) ||
            !recover(world))
            return false;
    }
    if (!world_append(world, "abx", true) || !world_append(world, "=A2-", true)) return false;
    if (!world_idle(world) || !world_check(world, false)) return false;
    world_close(world);
    return !world->wrong[0] && power_fails(world, SIM_FATE_LOST) && recover(world);
}

static void trace_keep(const sim_world *world, sim_result *result)
{
    result->op_count = (size_t)sim_disk_ops(world->disk);
    if (result->op_count > SIM_TRACE_MAX) result->op_count = SIM_TRACE_MAX;
    for (size_t i = 0; i < result->op_count; i++)
        result->ops[i] = (uint8_t)sim_disk_op(world->disk, i + 1);
}

static bool world_lacks_space(const sim_world *world)
{
    return sim_disk_fired(world->disk) &&
           (world->fault == SIM_FAULT_SPACE || world->fault == SIM_FAULT_SPACE_ONCE);
}

// resume gives the disk space again and waits for the store to take appends.
static bool resume(sim_world *world)
{
    sim_disk_free_space(world->disk);
    for (int i = 0; i < resume_tries_max; i++) {
        uint64_t refused = world->refused;

        sim_disk_wait(world->disk, second_ns);
        if (!world_idle(world) || !world_append(world, "=ax", true)) return false;
        if (world->refused == refused) // what was refused must be new to it
            return world_append_refused(world) && world_check(world, false);
    }
    return world_wrong(world, "there is space again, and still no append is taken");
}

static bool model_has_events(const sim_model *model)
{
    for (size_t i = 0; i < model->batch_count; i++)
        if (model->batches[i].must) return true;
    return false;
}

// recovery_fails lets something else go wrong while the store recovers, and then the power again.
static bool recovery_fails(sim_world *world, const sim_case *of, bool *ret_fired)
{
    skald_error error = {0};
    skald_err err = SKALD_OK;
    bool synced = true;

    if (!power_fails(world, of->seed)) return false;
    world->fault = sim_fault_second(of->fault);
    sim_disk_plan(world->disk, (sim_plan){of->op_second, world->fault, of->seed});
    err = world_open(world, false, &error);
    if (err && !world_excuses(world, err))
        return world_wrong(world, "open fails with %s: %s", skald_err_name(err), error.text);
    if (err == SKALD_EREADONLY && model_has_events(&world->model))
        return world_wrong(world, "a full disk keeps the store from being read: %s", error.text);
    if (!err && sim_disk_dead(world->disk))
        return world_wrong(world, "open succeeds though the disk has died");
    if (!err && !world_check(world, true)) return false;
    if (!err && world_lacks_space(world) && !resume(world)) return false;
    *ret_fired = sim_disk_fired(world->disk);
    synced = world->fault != SIM_FAULT_SYNC_EXT4 || !*ret_fired;
    if (!err && !synced) return world_wrong(world, "the store goes on after a failed sync");
    sim_disk_free_space(world->disk);
    return power_fails(world, of->seed + 1);
}

// after_crash brings the machine back, once or twice.
static bool after_crash(sim_world *world, const sim_case *of, sim_result *result)
{
    bool kills = of->fault == SIM_FAULT_KILL_BEFORE || of->fault == SIM_FAULT_KILL_MIDDLE;

    if (of->fault == SIM_FAULT_SYNC_EXT4 || of->fault == SIM_FAULT_SYNC_BTRFS ||
        of->fault == SIM_FAULT_IO)
        kills = of->seed / 2 % 2 == 0;
    if (sim_fault_second(of->fault) != SIM_FAULT_NONE) {
        if (!recovery_fails(world, of, &result->fired)) return false;
    } else if (kills) {
        // What the restarted store shows out of the page cache must be on the device by then, and
        // what it is given then must last as well.
        if (!process_dies(world) || !recover(world)) return false;
        if (of->seed % 2 && !world_append(world, "ay", true)) return false;
        if (!power_fails(world, of->seed)) return false;
    } else if (!power_fails(world, of->seed)) {
        return false;
    }
    world->fault = SIM_FAULT_NONE;
    if (!recover(world)) return false;
    trace_keep(world, result);
    return of->seed % 2 || go_on(world, of->seed); // of half the seeds: the other half of the time
}

static bool text_names_range(const char *text)
{
    for (; *text; text++)
        if (isdigit((unsigned char)*text)) return true;
    return false;
}

// salvage opens read-only what is not opened otherwise: what can be read is right, and nothing is
// written.
static bool salvage(sim_world *world)
{
    skald_error error = {0};
    skald_err err = SKALD_OK;

    sim_disk_plan(world->disk, (sim_plan){0});
    err = world_open(world, true, &error);
    if (err == SKALD_ECORRUPT) return true;
    if (err)
        return world_wrong(world, "open read-only fails with %s: %s", skald_err_name(err),
                           error.text);
    if (model_salvage(&world->model, world->store) == MODEL_WRONG)
        return world_wrong(world, "read-only: %s", world->model.wrong);
    world_close(world);
    for (uint64_t i = 1; i <= sim_disk_ops(world->disk); i++)
        if (sim_op_changes(sim_disk_op(world->disk, i)))
            return world_wrong(world, "read-only, and yet it does %s",
                               sim_op_name(sim_disk_op(world->disk, i)));
    return !world->wrong[0];
}

// examine_open looks at a store that is open and may be damaged.
static bool examine_open(sim_world *world, bool *ret_reported)
{
    damage_first first = {0};
    skald_verify_options options = {.damaged = damage_seen, .context = &first};
    skald_verified verified = {0};
    skald_error error = {0};
    skald_err err = SKALD_OK;
    model_verdict verdict = model_check(&world->model, world->store, false);

    if (verdict == MODEL_WRONG) return world_wrong(world, "%s", world->model.wrong);
    // Two questions give no text: where a stream stands, and an event by its id.
    if (verdict == MODEL_REFUSED && !strstr(world->model.wrong, "asking for a version") &&
        !strstr(world->model.wrong, "finding an event by its id") &&
        !text_names_range(world->model.wrong))
        return world_wrong(world, "a damage without a range: %s", world->model.wrong);
    err = skald_store_verify(world->store, &options, &verified, &error);
    if (err && err != SKALD_ECORRUPT)
        return world_wrong(world, "verify fails with %s: %s", skald_err_name(err), error.text);
    if (err && first.count == 0)
        return world_wrong(world, "verify says CORRUPT and names no damage");
    if (strstr(first.text, "without a range"))
        return world_wrong(world, "verify names %s", first.text);
    if (!err && verdict == MODEL_REFUSED)
        return world_wrong(world, "verify is clean, reading says %s", world->model.wrong);
    *ret_reported = err || verdict == MODEL_REFUSED;
    return true;
}

// examine opens a store that may be damaged: it is right, or says that it is not.
static bool examine(sim_world *world, bool *ret_reported)
{
    skald_error error = {0};
    skald_err err = world_open(world, false, &error);

    if (err == SKALD_ECORRUPT && text_names_range(error.text)) {
        *ret_reported = true;
        return salvage(world);
    }
    if (err)
        return world_wrong(world, "open of a damaged store fails with %s: %s", skald_err_name(err),
                           error.text);
    if (!examine_open(world, ret_reported)) return false;
    world_close(world);
    return !world->wrong[0];
}

static bool after_silent_write(sim_world *world, sim_result *result)
{
    if (sim_disk_dead(world->disk)) { // an open in between has reported it
        if (!process_dies(world)) return false;
    }
    model_crashed(&world->model, true);
    sim_disk_reboot(world->disk, SIM_FATE_KEPT, 0);
    return examine(world, &result->reported);
}

// case_unclean: no clean stop. With a full disk, half of the seeds: what was refused must not come
// back.
static bool case_unclean(const sim_case *of)
{
    return of->fault == SIM_FAULT_UNCLEAN_FLIP || of->fault == SIM_FAULT_UNCLEAN_SECTOR ||
           (of->seed % 2 && (of->fault == SIM_FAULT_SPACE || of->fault == SIM_FAULT_SPACE_ONCE));
}

static bool after_rot(sim_world *world, const sim_case *of, sim_result *result)
{
    bool flips = of->fault == SIM_FAULT_BIT_FLIP || of->fault == SIM_FAULT_UNCLEAN_FLIP;
    sim_rot_kind kind = flips                               ? SIM_ROT_BIT
                        : of->fault == SIM_FAULT_BAD_SECTOR ? SIM_ROT_GARBAGE
                                                            : SIM_ROT_ZEROS;
    sim_rot rot;

    model_crashed(&world->model, true);
    // Behind a crash the last group looks torn when it is damaged, and so do those in the same
    // sector.
    if (case_unclean(of)) model_doubt_last(&world->model, flips ? 1 : groups_in_sector);
    sim_disk_reboot(world->disk, SIM_FATE_LOST, 0);
    rot = sim_rot_make(world->disk, kind, of->op - 1, SIM_PLACES, of->seed);
    result->fired = true;
    if (!examine(world, &result->reported)) {
        size_t len = strlen(world->wrong);

        snprintf(world->wrong + len, sizeof world->wrong - len, " [file %u byte %zu]", rot.file,
                 rot.at);
        return false;
    }
    if (!result->reported) return true;
    // The report must have destroyed nothing: with the damage undone all is there.
    world_close(world);
    if (world->wrong[0]) return false;
    sim_disk_restart(world->disk);
    sim_rot_undo(world->disk, &rot);
    return recover(world);
}

static bool case_end(sim_world *world, const sim_case *of, sim_result *result)
{
    if (sim_fault_rots(of->fault)) return after_rot(world, of, result);
    switch (of->fault) {
    case SIM_FAULT_NONE:
        trace_keep(world, result);
        result->fired = true;
        return power_fails(world, of->seed) && recover(world) && go_on(world, of->seed);
    case SIM_FAULT_LOST_WRITE:
    case SIM_FAULT_WRONG_WRITE: return after_silent_write(world, result);
    case SIM_FAULT_SYNC_EXT4:
    case SIM_FAULT_SYNC_BTRFS:
        // A copy whose sync fails is given up; the store has nothing to do with it.
        if (!sim_disk_dead(world->disk) && !world->copy_failed)
            return world_wrong(world, "the store goes on after a failed sync");
        break;
    default: break;
    }
    return after_crash(world, of, result);
}

void sim_case_run(const sim_case *of, sim_result *ret_result)
{
    static sim_world world;
    bool planned = of->fault != SIM_FAULT_NONE && !sim_fault_rots(of->fault);
    sim_plan plan = {.at_op = planned ? of->op : 0, .fault = of->fault, .seed = of->seed};

    if (sim_fault_second(of->fault)) plan.fault = SIM_FAULT_CRASH_BEFORE;
    memset(&world, 0, sizeof world);
    *ret_result = (sim_result){0};
    world_begin(&world, of->workload, plan);
    sim_disk_lie(world.disk, of->lie);
    if (world_run(&world) && world_lacks_space(&world) && of->seed % 2 == 0) resume(&world);
    if (case_unclean(of)) sim_disk_halt(world.disk);
    world_close(&world);
    sim_disk_free_space(world.disk);
    ret_result->fired = sim_disk_fired(world.disk);
    if (!world.wrong[0] && (!planned || ret_result->fired)) case_end(&world, of, ret_result);
    snprintf(ret_result->wrong, sizeof ret_result->wrong, "%s", world.wrong);
    world_end(&world);
}

void sim_case_print(const sim_case *of, char *ret_text, size_t size)
{
    char second[24] = "";

    if (sim_fault_second(of->fault) != SIM_FAULT_NONE)
        snprintf(second, sizeof second, "+%" PRIu64, of->op_second);
    snprintf(ret_text, size, "%s:%" PRIu64 "%s:%s:%" PRIu64, of->workload->name, of->op, second,
             sim_fault_name(of->fault), of->seed);
}

bool sim_case_parse(const char *text, sim_case *ret_case)
{
    char name[64] = "", fault[64] = "", op[64] = "";
    sim_case parsed = {0};
    const char *second = NULL;

    if (sscanf(text, "%63[^:]:%63[^:]:%63[^:]:%" SCNu64, name, op, fault, &parsed.seed) != 4)
        return false;
    parsed.op = strtoull(op, NULL, 10);
    second = strchr(op, '+');
    if (second) parsed.op_second = strtoull(second + 1, NULL, 10);
    for (const sim_workload *workload = sim_workloads; workload->name; workload++)
        if (strcmp(workload->name, name) == 0) parsed.workload = workload;
    for (int i = 0; i < SIM_FAULT_COUNT; i++)
        if (strcmp(sim_fault_name((sim_fault)i), fault) == 0) parsed.fault = (sim_fault)i;
    if (!parsed.workload || (parsed.fault == SIM_FAULT_NONE && strcmp(fault, "none") != 0))
        return false;
    *ret_case = parsed;
    return true;
}
