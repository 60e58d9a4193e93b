// SPDX-License-Identifier: Apache-2.0
// Which fault belongs to which operation. A crash before a read is the crash before the next
// change, and a crash after a write the crash before what follows it: such twins are counted once.
#include "sim/sim_fault.h"

const char *sim_op_name(sim_op op)
{
#define SIM_OP_TEXT(name, text) text,
    static const char *const names[] = {SIM_OPS(SIM_OP_TEXT)};
#undef SIM_OP_TEXT
    return names[op];
}

const char *sim_fault_name(sim_fault fault)
{
#define SIM_FAULT_TEXT(name, text) text,
    static const char *const names[] = {SIM_FAULTS(SIM_FAULT_TEXT)};
#undef SIM_FAULT_TEXT
    return names[fault];
}

sim_fault sim_fault_second(sim_fault fault)
{
    switch (fault) {
    case SIM_FAULT_CRASH_TWICE: return SIM_FAULT_CRASH_BEFORE;
    case SIM_FAULT_CRASH_IO: return SIM_FAULT_IO;
    case SIM_FAULT_CRASH_SHORT: return SIM_FAULT_SHORT_READ;
    case SIM_FAULT_CRASH_SPACE: return SIM_FAULT_SPACE;
    case SIM_FAULT_CRASH_SYNC: return SIM_FAULT_SYNC_EXT4;
    default: return SIM_FAULT_NONE;
    }
}

bool sim_fault_rots(sim_fault fault)
{
    return fault == SIM_FAULT_BIT_FLIP || fault == SIM_FAULT_ZERO_SECTOR ||
           fault == SIM_FAULT_BAD_SECTOR || fault == SIM_FAULT_UNCLEAN_FLIP ||
           fault == SIM_FAULT_UNCLEAN_SECTOR;
}

bool sim_op_changes(sim_op op)
{
    return op == SIM_OP_CREATE || op == SIM_OP_PWRITE || op == SIM_OP_SYNC ||
           op == SIM_OP_TRUNCATE || op == SIM_OP_RENAME || op == SIM_OP_UNLINK ||
           op == SIM_OP_MAKE_DIR || op == SIM_OP_SYNC_DIR;
}

static bool op_takes_space(sim_op op)
{
    return op == SIM_OP_CREATE || op == SIM_OP_PWRITE || op == SIM_OP_MAKE_DIR ||
           op == SIM_OP_TRUNCATE;
}

bool sim_fault_fits(sim_fault fault, sim_op op)
{
    switch (fault) {
    case SIM_FAULT_CRASH_BEFORE:
    case SIM_FAULT_CRASH_TWICE:
    case SIM_FAULT_CRASH_IO:
    case SIM_FAULT_CRASH_SHORT:
    case SIM_FAULT_CRASH_SPACE:
    case SIM_FAULT_CRASH_SYNC:
    case SIM_FAULT_KILL_BEFORE: return sim_op_changes(op);
    case SIM_FAULT_CRASH_AFTER: return sim_op_changes(op) && op != SIM_OP_PWRITE;
    case SIM_FAULT_CRASH_MIDDLE:
    case SIM_FAULT_KILL_MIDDLE:
    case SIM_FAULT_LOST_WRITE:
    case SIM_FAULT_WRONG_WRITE: return op == SIM_OP_PWRITE;
    case SIM_FAULT_SYNC_EXT4:
    case SIM_FAULT_SYNC_BTRFS: return op == SIM_OP_SYNC;
    case SIM_FAULT_SPACE_ONCE:
    case SIM_FAULT_SPACE: return op_takes_space(op);
    case SIM_FAULT_IO: return op != SIM_OP_SYNC && op != SIM_OP_ROOM;
    case SIM_FAULT_SHORT_READ: return op == SIM_OP_PREAD;
    default: return false;
    }
}
