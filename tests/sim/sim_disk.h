// SPDX-License-Identifier: Apache-2.0
// sim_disk.h - a simulated computer: disk, page cache, clock and random numbers behind the kernel's
// table.
//
// Everything is decided by numbers given here: the same calls with the same plan give the same
// bytes. One thread. Every call that touches the disk is one numbered operation, from 1, counted
// since the last plan; a plan makes one of them go wrong.
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "os/kernel.h"
#include "sim/sim_fault.h"
#include "sim/sim_file.h"

typedef struct sim_plan {
    uint64_t at_op; // 0: nothing goes wrong
    sim_fault fault;
    uint64_t seed; // decides what is left open: how much of a write, which sectors
} sim_plan;

// What a kernel may pretend. Each breaks a promise that a store must rely on, so that a test can
// show that it would be noticed.
typedef enum sim_lie {
    SIM_LIE_NONE,
    SIM_LIE_SYNC,     // sync says OK and does nothing
    SIM_LIE_SYNC_DIR, // sync_dir says OK and does nothing
    SIM_LIE_FORGET,   // forget says OK and does nothing
} sim_lie;

typedef struct sim_disk sim_disk;

sim_disk *sim_disk_new(void);       // holds the directories / and /sim
void sim_disk_free(sim_disk *disk); // every file must be closed
const ski_kernel *sim_disk_kernel(sim_disk *disk);

void sim_disk_plan(sim_disk *disk, sim_plan plan); // counts from 1 again
void sim_disk_lie(sim_disk *disk, sim_lie lie);
uint64_t sim_disk_ops(const sim_disk *disk);               // done since the plan
sim_op sim_disk_op(const sim_disk *disk, uint64_t number); // which one number was
bool sim_disk_fired(const sim_disk *disk);                 // the planned fault has happened
bool sim_disk_dead(const sim_disk *disk);                  // crashed or stopped
const char *sim_disk_stopped(const sim_disk *disk);        // why stop was called, or NULL
uint64_t sim_disk_files_open(const sim_disk *disk);
void sim_disk_halt(sim_disk *disk);       // a crash, now
void sim_disk_free_space(sim_disk *disk); // there is room again
void sim_disk_wait(sim_disk *disk, uint64_t ns);

// sim_disk_restart begins a new process on the same machine: all that was written is still in the
// page cache. sim_disk_reboot is a power failure: fate says what of the unsynced changes is left.
// Every file must be closed.
void sim_disk_restart(sim_disk *disk);
void sim_disk_reboot(sim_disk *disk, sim_fate fate, uint64_t seed);

// The image: files by number, below count; NULL: no name leads there any more. A directory is an
// empty one.
sim_file *sim_disk_file(sim_disk *disk, uint32_t number);
uint32_t sim_disk_file_count(const sim_disk *disk);

#endif
