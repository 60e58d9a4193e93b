// SPDX-License-Identifier: Apache-2.0
// sim_fault.h - the operations of a simulated disk and what can go wrong at one.
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include <stdbool.h>

// What an operation is; the name is what a trace shows.
#define SIM_OPS(X)          \
    X(OPEN, "open")         \
    X(CREATE, "create")     \
    X(PREAD, "pread")       \
    X(PWRITE, "pwrite")     \
    X(SYNC, "sync")         \
    X(FORGET, "forget")     \
    X(SIZE, "size")         \
    X(TRUNCATE, "truncate") \
    X(LOCK, "lock")         \
    X(RENAME, "rename")     \
    X(UNLINK, "unlink")     \
    X(MAKE_DIR, "make-dir") \
    X(SYNC_DIR, "sync-dir") \
    X(LIST, "list")         \
    X(ROOM, "room")

typedef enum sim_op {
#define SIM_OP_ENUM(name, text) SIM_OP_##name,
    SIM_OPS(SIM_OP_ENUM)
#undef SIM_OP_ENUM
} sim_op;

// What goes wrong. After a crash every operation fails with IO and does nothing.
//   crash-before    it does not begin
//   crash-middle    a write is begun and not finished
//   crash-after     it is done, but nobody is told
//   kill-before     as crash-before, but only the process dies, not the machine
//   kill-middle     as crash-middle, the same
//   sync-eio-ext4   IO; the cache keeps the new bytes as clean ones, the device has old ones
//   sync-eio-btrfs  IO; the cache goes back to what the device has
//   space-once      no space, once; a write may have begun
//   space           no space from here on, until sim_disk_free_space
//   io              IO, once, nothing done; a write may have begun
//   short-read      gives less than there is and says that was all
//   lost-write      the device says it wrote, and did not
//   wrong-write     the device wrote it elsewhere in the file
// Crash-before, and something else at an operation of the recovery from it:
//   crash-twice     crash-before
//   crash-io        io
//   crash-short     short-read
//   crash-space     space
//   crash-sync      sync-eio-ext4
// No operation fails; after a clean stop (unclean: a power failure) what the device holds is
// damaged:
//   bit-flip        one bit has turned
//   zero-sector     one sector is zeros
//   bad-sector      one sector is garbage
//   unclean-flip    one bit has turned
//   unclean-sector  one sector is zeros
#define SIM_FAULTS(X)               \
    X(NONE, "none")                 \
    X(CRASH_BEFORE, "crash-before") \
    X(CRASH_MIDDLE, "crash-middle") \
    X(CRASH_AFTER, "crash-after")   \
    X(KILL_BEFORE, "kill-before")   \
    X(KILL_MIDDLE, "kill-middle")   \
    X(SYNC_EXT4, "sync-eio-ext4")   \
    X(SYNC_BTRFS, "sync-eio-btrfs") \
    X(SPACE_ONCE, "space-once")     \
    X(SPACE, "space")               \
    X(IO, "io")                     \
    X(SHORT_READ, "short-read")     \
    X(LOST_WRITE, "lost-write")     \
    X(WRONG_WRITE, "wrong-write")   \
    X(CRASH_TWICE, "crash-twice")   \
    X(CRASH_IO, "crash-io")         \
    X(CRASH_SHORT, "crash-short")   \
    X(CRASH_SPACE, "crash-space")   \
    X(CRASH_SYNC, "crash-sync")     \
    X(BIT_FLIP, "bit-flip")         \
    X(ZERO_SECTOR, "zero-sector")   \
    X(BAD_SECTOR, "bad-sector")     \
    X(UNCLEAN_FLIP, "unclean-flip") \
    X(UNCLEAN_SECTOR, "unclean-sector")

typedef enum sim_fault {
#define SIM_FAULT_ENUM(name, text) SIM_FAULT_##name,
    SIM_FAULTS(SIM_FAULT_ENUM)
#undef SIM_FAULT_ENUM
        SIM_FAULT_COUNT
} sim_fault;

const char *sim_op_name(sim_op op);
const char *sim_fault_name(sim_fault fault);
sim_fault sim_fault_second(sim_fault fault); // what goes wrong in the recovery; NONE: nothing
bool sim_fault_rots(sim_fault fault);        // no operation fails
bool sim_op_changes(sim_op op);              // the disk, or what is certain about it
// sim_fault_fits says whether a fault can happen at an operation and is not the same as one at its
// neighbour.
bool sim_fault_fits(sim_fault fault, sim_op op);

#endif
