// SPDX-License-Identifier: Apache-2.0
// os/process.h - what this process takes of the machine, as Linux counts it. Any thread; some ten
// system calls, so ask seldom.
#ifndef SKI_OS_PROCESS_H
#define SKI_OS_PROCESS_H

#include <skald/base.h>

typedef struct ski_process {
    uint64_t resident_bytes;   // memory
    uint64_t virtual_bytes;    // address space
    uint64_t cpu_us;           // of all threads, in user and kernel mode
    uint64_t files, files_max; // descriptors; files_max UINT64_MAX: no limit
    uint64_t threads;
    skald_time started_at;
} ski_process;

// ski_process_get: what cannot be found out is 0.
void ski_process_get(ski_process *ret_process);

#endif
