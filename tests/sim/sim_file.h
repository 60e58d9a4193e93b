// SPDX-License-Identifier: Apache-2.0
// sim_file.h - the bytes of one simulated file: what the device holds, what the page cache shows,
// and the writes between them.
#ifndef SIM_FILE_H
#define SIM_FILE_H

#include <skald/base.h>

enum { SIM_SECTOR = 512, SIM_PAGE = 4096 };

// sim_random is splitmix64: one number is its whole state, so a seed is a case.
typedef struct sim_random {
    uint64_t state;
} sim_random;
uint64_t sim_random_next(sim_random *random);
uint64_t sim_random_below(sim_random *random, uint64_t limit); // 0 <= it < limit; limit > 0

typedef struct sim_bytes {
    uint8_t *ptr;
    size_t len, size;
} sim_bytes;

// sim_write is one change that no sync has covered yet.
typedef struct sim_write {
    uint8_t *bytes; // NULL: only the size changes
    size_t len;
    uint64_t offset;     // where it goes on the device
    uint64_t size_after; // of the file
    bool lost;           // the device says it wrote it, and did not
} sim_write;

typedef struct sim_file {
    sim_bytes durable, cached;
    sim_write *writes;
    size_t write_count, write_size;
} sim_file;

// sim_fate says what becomes of unsynced changes: those of data and those of metadata (sizes,
// names).
typedef enum sim_fate {
    SIM_FATE_LOST,          // none is kept
    SIM_FATE_KEPT,          // all are
    SIM_FATE_METADATA_ONLY, // sizes and names outlive the data
    SIM_FATE_DATA_ONLY,     // the data outlives sizes and names
    SIM_FATE_MIXED,         // each sector and name for itself: old, new, half or garbage
    SIM_FATE_COUNT
} sim_fate;

void sim_file_fini(sim_file *file);
void sim_file_write(sim_file *file, const void *bytes, size_t len, uint64_t offset);
// sim_file_write_wrong shows the bytes where they belong, and brings them to the device elsewhere
// (or, lost, nowhere).
void sim_file_write_wrong(sim_file *file, const void *bytes, size_t len, uint64_t offset,
                          uint64_t offset_wrong, bool lost);
void sim_file_truncate(sim_file *file, uint64_t size);
size_t sim_file_read(const sim_file *file, void *buf, size_t len, uint64_t offset);
void sim_file_sync(sim_file *file);
void sim_file_forget(sim_file *file); // clean pages go; what is shown comes from the device again
// sim_file_settle decides what of the unsynced changes reached the device, block by block of
// block_size bytes; torn: a block may also be half written or garbage, within the bytes that were
// written. The cache is left as it is.
void sim_file_settle(sim_file *file, sim_fate fate, size_t block_size, bool torn,
                     sim_random *random);
void sim_file_revert(sim_file *file); // the cache shows what the device holds

#endif
