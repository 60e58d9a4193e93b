// SPDX-License-Identifier: Apache-2.0
// world.h - a store on a simulated disk, and a workload that is run on it beside the oracle.
//
// A workload is words between spaces; each begins with what to do:
//   +  append a batch and wait          &  submit a batch and do not wait
//   .  step until all are answered      ~  let a second pass, then step until nothing is left to do
//   !  close and open again             ?  read everything and compare
//   _  give up what a stream (a b c) of either tenant has, or everything (*), and erase it; with
//      a great letter (A B C): compact, where it is worth it; letters behind it are a batch that
//      is appended meanwhile, and the state files are removed
//   ^  make a backup                    %  close, open to be read only, salvage, open again
// A batch is letters: w or m first for the durabilities written and memory; a b c an event on that
// stream, A B C on the streams of that name of another tenant, - one without a stream; a digit
// behind it makes it so many times 2100 bytes long (0: a little longer); x y z set a value, X Y Z
// remove it; = expects the first event's stream where it must be, # where it cannot be.
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "sim/model.h"
#include "sim/sim_disk.h"

typedef struct sim_workload {
    const char *name, *words;
    uint64_t seeds_factor; // times as many seeds as usual
    uint64_t ops_apart;    // of a long one: of so many operations one is tried, another for each
                           // fault; 0: all of them
} sim_workload;

enum { WORLD_SLOTS = 16, WORLD_STATES = 4 };

typedef struct sim_world sim_world;
typedef struct world_slot {
    sim_world *world;
    skald_store_batch batch;
    skald_event events[MODEL_BATCH_EVENTS_MAX];
    model_batch *expected;
    bool used;
} world_slot;

struct sim_world {
    const sim_workload *workload;
    sim_disk *disk;
    skald_store *store; // NULL: closed
    sim_model model;
    world_slot slots[WORLD_SLOTS];
    uint64_t number;          // of the next event or value
    uint64_t refused;         // batches that were not taken because the disk is full
    bool copied, copy_failed; // a backup or salvage was begun, in /sim/copy; and has failed
    uint64_t copy_last; // of one that was finished: so many positions are in it; 0: it was not
    sim_fault fault;    // what may be answered depends on it
    char wrong[800];    // empty: nothing
};

void world_begin(sim_world *world, const sim_workload *workload, sim_plan plan); // world is zeroed
void world_end(sim_world *world);
bool world_wrong(sim_world *world, const char *format, ...) SKALD_PRINTF(2, 3); // the first one
                                                                                // stays; false

// Each of these gives false when something is wrong or the disk is dead: then nothing more is to be
// done on it.
bool world_run(sim_world *world); // opens, runs the words; the store stays open
bool world_append(sim_world *world, const char *letters, bool wait);
bool world_append_refused(sim_world *world); // the last batch that was refused, with the same ids
bool world_check(sim_world *world, bool settle);
bool world_idle(sim_world *world); // steps until nothing is left to do
// world_copy_check: a copy that was finished is a store with what it must have; one that was not is
// none, or says that it is damaged, or is a right one.
bool world_copy_check(sim_world *world);

bool world_excuses(const sim_world *world, skald_err err); // the planned fault may be answered so
skald_err world_open(sim_world *world, bool read_only, skald_error *reterr_error);
void world_close(sim_world *world);

#endif
