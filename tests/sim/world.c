// SPDX-License-Identifier: Apache-2.0
// Running a workload: every answer of the store is told to the oracle, and answers that no fault
// excuses are wrong at once.
#include "sim/world.h"
#include "store/handle.h"
#include "store/log/state.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    steps_max = 5000, // a store that has still work after so many steps is in a loop
    event_size = 40,
    event_size_digit = 2100, // times the digit: several sectors
    frame_size_empty = 72,   // what the log writes when it is opened
    second_ns = 1000000000,
    segment_bytes = 64 * 1024, // the least: three of the largest events
};

bool world_wrong(sim_world *world, const char *format, ...)
{
    va_list arguments;

    if (world->wrong[0]) return false;
    va_start(arguments, format);
    vsnprintf(world->wrong, sizeof world->wrong, format, arguments);
    va_end(arguments);
    return false;
}

static bool world_alive(const sim_world *world)
{
    return !world->wrong[0] && !sim_disk_dead(world->disk);
}

void world_begin(sim_world *world, const sim_workload *workload, sim_plan plan)
{
    world->workload = workload;
    world->fault = plan.fault;
    world->disk = sim_disk_new();
    sim_disk_plan(world->disk, plan);
}

void world_end(sim_world *world)
{
    world_close(world);
    if (sim_disk_files_open(world->disk) == 0) sim_disk_free(world->disk);
    world->disk = NULL;
}

// world_excuses says whether the planned fault, once it has happened, may be answered with err.
bool world_excuses(const sim_world *world, skald_err err)
{
    if (sim_disk_dead(world->disk)) return true;
    if (!sim_disk_fired(world->disk)) return false;
    switch (world->fault) {
    case SIM_FAULT_SPACE:
    case SIM_FAULT_SPACE_ONCE: return err == SKALD_EREADONLY;
    case SIM_FAULT_IO:
    case SIM_FAULT_SHORT_READ:
    case SIM_FAULT_LOST_WRITE:
    case SIM_FAULT_WRONG_WRITE:
        return err == SKALD_EIO || err == SKALD_ECORRUPT || err == SKALD_EREADONLY ||
               err == SKALD_EUNAVAILABLE;
    case SIM_FAULT_SYNC_EXT4:
    case SIM_FAULT_SYNC_BTRFS: return err == SKALD_EIO;
    default: return false;
    }
}

static skald_store_options options_of(bool read_only)
{
    return (skald_store_options){
        .segment_bytes = segment_bytes,
        .append_bytes_max = 1 << 20,
        .dedup_events_max = 4096,
        .event_bytes_max = 64 * 1024,
        .read_only = read_only,
    };
}

skald_err world_open(sim_world *world, bool read_only, skald_error *reterr_error)
{
    skald_store_options options = options_of(read_only);
    skald_err err = SKALD_OK;

    assert(!world->store);
    err = ski_store_open_on(sim_disk_kernel(world->disk), "log:/sim/store", &options, &world->store,
                            reterr_error);
    if (err) world->store = NULL;
    if (err && sim_disk_files_open(world->disk))
        world_wrong(world, "an open that failed left files open");
    return err;
}

void world_close(sim_world *world)
{
    if (world->store) skald_store_close(world->store);
    world->store = NULL;
    for (size_t i = 0; i < WORLD_SLOTS; i++) {
        if (world->slots[i].used) world_wrong(world, "close did not answer every batch");
        world->slots[i].used = false;
    }
    if (sim_disk_files_open(world->disk))
        world_wrong(world, "%" PRIu64 " files are left open after close",
                    sim_disk_files_open(world->disk));
}

// conflict_is_due: it was provoked. A right expectation may fail while it is not known what became
// of an earlier batch.
static bool conflict_is_due(const world_slot *slot, skald_err err)
{
    if (err != SKALD_ECONFLICT || slot->expected->expects == MODEL_EXPECTS_NOTHING) return false;
    return slot->expected->expects == MODEL_EXPECTS_WRONG || sim_disk_fired(slot->world->disk);
}

// fate_is_open: a batch that was being written when the disk became full may be there as a whole,
// and the store may say so.
static bool fate_is_open(const world_slot *slot, skald_err err)
{
    const sim_world *world = slot->world;

    return err == SKALD_EIO && sim_disk_fired(world->disk) &&
           (world->fault == SIM_FAULT_SPACE || world->fault == SIM_FAULT_SPACE_ONCE);
}

// slot_done is the store's answer.
static void slot_done(skald_store_batch *batch, skald_err err)
{
    world_slot *slot = batch->context;
    sim_world *world = slot->world;

    if (!slot->used) {
        world_wrong(world, "done was called twice");
        return;
    }
    slot->used = false;
    if (!err && slot->expected->durability == SKALD_DURABLE && sim_disk_dead(world->disk))
        world_wrong(world, "acknowledged as durable after the disk had died");
    if (!err && slot->expected->expects == MODEL_EXPECTS_WRONG)
        world_wrong(world, "a wrong expectation is not noticed");
    if (err && !world_excuses(world, err) && !conflict_is_due(slot, err) &&
        !fate_is_open(slot, err))
        world_wrong(world, "a batch is answered %s without a reason", skald_err_name(err));
    if (err == SKALD_EREADONLY || fate_is_open(slot, err)) world->refused++;
    slot->expected->told_at = sim_disk_ops(world->disk);
    if (!model_told(&world->model, slot->expected, err, &batch->appended))
        world_wrong(world, "%s", world->model.wrong);
}

static skald_uuid uuid_of(uint64_t number)
{
    skald_uuid uuid = {{0x01, 0x90, 0, 0, 0, 0, 0x70, 0, 0x80}};
    sim_random random = {number ^ 0x5bd1e995};

    for (size_t i = 9; i < sizeof uuid.bytes; i++)
        uuid.bytes[i] = (uint8_t)sim_random_next(&random);
    return uuid;
}

static void event_read(sim_world *world, const char *letter, model_batch *batch)
{
    static const char *const streams[] = {"order-a", "order-b", "invoice-c"};
    bool other = isupper((unsigned char)*letter);
    model_event *event = &batch->events[batch->event_count++];

    assert(batch->event_count <= MODEL_BATCH_EVENTS_MAX);
    *event =
        (model_event){.tenant = other ? "acme" : "", .number = world->number++, .size = event_size};
    if (*letter != '-') event->stream = streams[tolower((unsigned char)*letter) - 'a'];
    if (isdigit((unsigned char)letter[1]))
        event->size = (size_t)(letter[1] - '0') * event_size_digit;
    if (letter[1] == '0') event->size = event_size + frame_size_empty;
    if (event->number % 3) event->id = uuid_of(event->number); // else the store gives one
}

static void value_read(sim_world *world, char letter, model_batch *batch)
{
    assert(batch->value_count < MODEL_BATCH_VALUES_MAX);
    batch->values[batch->value_count++] =
        (model_value){.name = (unsigned)(tolower((unsigned char)letter) - 'x'),
                      .number = world->number++,
                      .removed = isupper((unsigned char)letter)};
}

// batch_read makes a batch of letters.
static model_batch *batch_read(sim_world *world, const char *letters)
{
    model_batch *batch = model_submit(&world->model);

    for (; *letters && *letters != ' '; letters++) {
        if (strchr("abcABC-", *letters))
            event_read(world, letters, batch);
        else if (strchr("xyzXYZ", *letters))
            value_read(world, *letters, batch);
        else if (*letters == 'w')
            batch->durability = SKALD_WRITTEN;
        else if (*letters == 'm')
            batch->durability = SKALD_MEMORY;
        else if (*letters == '=')
            batch->expects = MODEL_EXPECTS_RIGHT;
        else if (*letters == '#')
            batch->expects = MODEL_EXPECTS_WRONG;
        else
            assert(isdigit((unsigned char)*letters));
    }
    batch->gone = batch->expects == MODEL_EXPECTS_WRONG; // it cannot be stored
    return batch;
}

static world_slot *slot_free(sim_world *world)
{
    world_slot *slot = world->slots;

    while (slot->used) {
        slot++;
        assert(slot < world->slots + WORLD_SLOTS);
    }
    return slot;
}

// batch_give gives one to the store. Its texts are wiped when submit returns: the store must have
// copied them.
static bool batch_give(sim_world *world, model_batch *expected, bool wait)
{
    static model_texts texts;
    world_slot *slot = slot_free(world);
    skald_err err = SKALD_OK;

    *slot = (world_slot){.world = world, .expected = expected, .used = true};
    slot->batch = (skald_store_batch){.events = slot->events, .done = slot_done, .context = slot};
    model_give(&world->model, expected, &slot->batch, &texts);
    err = wait ? ski_store_commit(world->store, &slot->batch)
               : ski_store_submit(world->store, &slot->batch);
    for (size_t i = 0; i < expected->event_count; i++) expected->events[i].id = slot->events[i].id;
    model_texts_wipe(&texts);
    if (err && slot->used) { // it was not taken
        slot->used = false;
        expected->told = expected->gone = true;
        if (err == SKALD_EREADONLY) world->refused++;
        if (!world_excuses(world, err))
            world_wrong(world, "an append is refused with %s without a reason",
                        skald_err_name(err));
    } else if (wait && !err && slot->used) {
        world_wrong(world, "commit returned before done was called");
    }
    return world_alive(world);
}

bool world_append(sim_world *world, const char *letters, bool wait)
{
    return batch_give(world, batch_read(world, letters), wait);
}

bool world_append_refused(sim_world *world)
{
    const model_batch *refused = NULL;
    model_batch *again = NULL;

    for (size_t i = 0; i < world->model.batch_count; i++)
        if (world->model.batches[i].gone && !world->model.batches[i].expects)
            refused = &world->model.batches[i];
    if (!refused) return true;
    again = model_submit(&world->model);
    *again = *refused;
    again->told = again->gone = false;
    return batch_give(world, again, true);
}

static bool slots_used(const sim_world *world)
{
    for (size_t i = 0; i < WORLD_SLOTS; i++)
        if (world->slots[i].used) return true;
    return false;
}

static bool world_flush(sim_world *world)
{
    for (int i = 0; slots_used(world) && world_alive(world); i++) {
        bool more = ski_store_step(world->store);

        if (!world_alive(world)) break;
        if ((!more && slots_used(world)) || i > steps_max)
            return world_wrong(world, "a batch is never answered");
    }
    return world_alive(world);
}

bool world_idle(sim_world *world)
{
    for (int i = 0; world_alive(world) && ski_store_step(world->store); i++)
        if (i > steps_max) return world_wrong(world, "there is always more to do");
    return world_alive(world);
}

bool world_check(sim_world *world, bool settle)
{
    model_verdict verdict = model_check(&world->model, world->store, settle);

    if (verdict == MODEL_REFUSED && world_excuses(world, SKALD_EIO) && world_alive(world))
        verdict = model_check(&world->model, world->store, settle); // what was said once need not
                                                                    // be said again
    if (verdict != MODEL_RIGHT && !sim_disk_dead(world->disk))
        world_wrong(world, "%s", world->model.wrong);
    return world_alive(world);
}

// world_open_by_all_means opens; a fault that happens meanwhile may fail it once.
static bool world_open_by_all_means(sim_world *world)
{
    skald_error error = {0};
    skald_err err = world_open(world, false, &error);

    if (!err || !world_alive(world)) return world_alive(world);
    if (!world_excuses(world, err))
        return world_wrong(world, "open fails with %s: %s", skald_err_name(err), error.text);
    if (world->fault == SIM_FAULT_SYNC_EXT4 || world->fault == SIM_FAULT_SYNC_BTRFS ||
        world->fault == SIM_FAULT_LOST_WRITE || world->fault == SIM_FAULT_WRONG_WRITE) {
        sim_disk_halt(world->disk); // there is no going on before a new start
        return false;
    }
    sim_disk_free_space(world->disk);
    err = world_open(world, false, &error);
    if (err)
        return world_wrong(world, "open fails again with %s: %s", skald_err_name(err), error.text);
    return world_alive(world);
}

// A compaction: what is dead of a stream is what it had when that was given up.
typedef struct world_dead {
    sim_world *world;
    uint64_t head;
    const char *meanwhile; // a batch; NULL: none
    unsigned asked;        // whether to proceed
} world_dead;

static bool mark_dead(void *context, const skald_store_mark *mark)
{
    const world_dead *dead = context;

    return mark->position <= dead->head && model_dead(&dead->world->model, mark->position);
}

// states_remove removes state files, so that only segments have the values.
static void states_remove(const sim_world *world)
{
    const ski_kernel *kernel = sim_disk_kernel(world->disk);

    for (uint32_t no = 1; no <= WORLD_STATES; no++) {
        char name[SKI_STATE_NAME], path[100];

        ski_state_name(name, no);
        (void)snprintf(path, sizeof path, "/sim/store/%s", name);
        if (kernel->unlink(kernel->context, path)) continue;
    }
}

// compact_on has the batch appended while it goes on: when the segment being written was left, and
// before it is sealed.
static bool compact_on(void *context, uint64_t done, uint64_t all)
{
    world_dead *dead = context;

    dead->asked++;
    if (dead->meanwhile && dead->asked == 2) world_append(dead->world, dead->meanwhile, true);
    if (dead->meanwhile && dead->asked == 3) states_remove(dead->world);
    return done <= all;
}

// world_compact gives a stream up, or with letter '*' everything, and has it erased; of a great
// letter only where it is worth it. Letters behind it are a batch that is appended meanwhile, with
// the state files removed.
static bool world_compact(sim_world *world, const char *letters)
{
    static const char *const streams[] = {"order-a", "order-b", "invoice-c"};
    char letter = letters[0];
    world_dead dead = {.world = world,
                       .head = skald_store_head(world->store),
                       .meanwhile = isalpha(letters[1]) ? letters + 1 : NULL};
    skald_store_compact_job job = {
        .dead = mark_dead, .proceed = compact_on, .context = &dead, .erase = !isupper(letter)};
    const skald_store_driver *driver = world->store->driver;
    skald_error error = {0};
    uint64_t kept = 0;
    bool full = false;
    skald_err err = SKALD_OK;

    model_kill(&world->model, letter == '*' ? NULL : streams[tolower(letter) - 'a'], dead.head);
    if (letter == '*') err = driver->trim(world->store->instance, dead.head, &kept, &error);
    if (!err) err = driver->compact(world->store->instance, &job, &error);
    // When the disk is full it may not be known what became of the last frame.
    full = sim_disk_fired(world->disk) &&
           (world->fault == SIM_FAULT_SPACE || world->fault == SIM_FAULT_SPACE_ONCE);
    if (err && !world_excuses(world, err) && !(full && err == SKALD_EIO))
        return world_wrong(world, "compacting fails with %s: %s", skald_err_name(err), error.text);
    return world_alive(world);
}

static const char copy_path[] = "/sim/copy", copy_url[] = "log:/sim/copy";

// copy_noted: a backup or salvage has ended.
static bool copy_noted(sim_world *world, skald_err err, uint64_t position_last,
                       const skald_error *error)
{
    if (err && !world_excuses(world, err))
        return world_wrong(world, "copying fails with %s: %s", skald_err_name(err), error->text);
    // Finished is finished, even if the disk dies while the lock is given back.
    if (!err) world->copy_last = position_last;
    world->copy_failed = err != SKALD_OK;
    return world_alive(world);
}

static bool world_backup(sim_world *world)
{
    skald_backed_up done = {0};
    skald_error error = {0};

    world->copied = true;
    return copy_noted(world, skald_store_backup(world->store, copy_path, NULL, &done, &error),
                      done.position_last, &error);
}

static bool world_salvage(sim_world *world)
{
    skald_salvaged done = {0};
    skald_error error = {0};
    skald_err err = SKALD_OK;

    world_close(world);
    if (!world_alive(world)) return false;
    err = world_open(world, true, &error);
    if (err && !world_excuses(world, err))
        return world_wrong(world, "open read-only fails with %s", skald_err_name(err));
    if (!err) {
        world->copied = true;
        err = skald_store_salvage(world->store, copy_path, NULL, &done, &error);
        (void)copy_noted(world, err, done.position_last, &error);
        world_close(world);
    }
    return world_alive(world) && world_open_by_all_means(world);
}

bool world_copy_check(sim_world *world)
{
    skald_store_options options = options_of(true);
    skald_store *copy = NULL;
    skald_verified verified = {0};
    skald_error error = {0};
    model_verdict verdict = MODEL_RIGHT;
    skald_err err = SKALD_OK;

    if (!world->copied) return true;
    err = ski_store_open_on(sim_disk_kernel(world->disk), copy_url, &options, &copy, &error);
    if (err && world->copy_last)
        return world_wrong(world, "a finished copy opens with %s: %s", skald_err_name(err),
                           error.text);
    if (err) return true; // it is no store yet
    err = skald_store_verify(copy, NULL, &verified, &error);
    verdict = model_copy(&world->model, copy);
    if (err && world->copy_last)
        world_wrong(world, "a finished copy is damaged: %s", error.text);
    else if (skald_store_head(copy) < world->copy_last)
        world_wrong(world, "a copy has %" PRIu64 " positions, not %" PRIu64, skald_store_head(copy),
                    world->copy_last);
    else if (!err && verdict != MODEL_RIGHT) // where it says that it is damaged, much may be
                                             // missing
        world_wrong(world, "a copy: %s", world->model.wrong);
    skald_store_close(copy);
    return !world->wrong[0];
}

static bool word_run(sim_world *world, const char *word)
{
    uint64_t refused = world->refused;
    skald_store_state state = {0};

    switch (*word) {
    case '+': world_append(world, word + 1, true); break;
    case '&': world_append(world, word + 1, false); break;
    case '.': world_flush(world); break;
    case '~':
        sim_disk_wait(world->disk, second_ns);
        world_idle(world);
        break;
    case '?': world_check(world, false); break;
    case '_': world_compact(world, word + 1); break;
    case '^': world_backup(world); break;
    case '%': world_salvage(world); break;
    case '!':
        world_close(world);
        if (world_alive(world)) world_open_by_all_means(world);
        break;
    default: assert(!"a word of a workload");
    }
    if (!world_alive(world)) return false;
    if (world->refused == refused) return true;
    // Reading goes on, and the store says how it is doing.
    skald_store_state_get(world->store, &state);
    if (world->fault == SIM_FAULT_SPACE && (!state.read_only || !state.read_only_why[0]))
        return world_wrong(world, "appends are refused and the state does not say so");
    return world_check(world, false);
}

bool world_run(sim_world *world)
{
    const char *word = world->workload->words;

    if (!world_open_by_all_means(world)) return false;
    while (*word) {
        if (!word_run(world, word)) return false;
        word += strcspn(word, " ");
        word += strspn(word, " ");
    }
    return world_flush(world);
}
