// SPDX-License-Identifier: Apache-2.0
// tests/torture/journal.h - what was asked of a store and what it answered, kept outside of it; and
// whether what the store shows afterwards is explained by that.
//
// The publisher chooses worker and number of an event; its id, stream and data follow from them, so
// that the bytes that come back can be held against the bytes that were sent without keeping them.
// Any thread may note; checking belongs to one thread while nobody notes.
#ifndef SKALD_TESTS_TORTURE_JOURNAL_H
#define SKALD_TESTS_TORTURE_JOURNAL_H

#include <pthread.h>
#include <skald/event.h>

enum {
    TORTURE_WORKERS_MAX = 16,
    TORTURE_DATA_MAX = 4096,
};

typedef enum torture_fate {
    TORTURE_UNKNOWN, // asked, not answered: it may be there or not, a batch of it whole or not at
                     // all
    TORTURE_ACKED,
} torture_fate;

typedef struct torture_entry {
    torture_fate fate;
    uint32_t batch;    // of this worker, from 1: what was asked for as one; 0: single or streamed
    uint64_t position; // where the answer says it is; 0: the answer did not say
    uint64_t version;
    uint64_t seen; // where it was found; 0: not
} torture_entry;

typedef struct torture_worker {
    torture_entry *entries; // by number, from 0
    size_t count, room;
    uint32_t batches;
    uint64_t version; // of its stream, as far as it was checked
} torture_worker;

typedef struct torture_journal {
    pthread_mutex_t lock;
    torture_worker workers[TORTURE_WORKERS_MAX];
    uint64_t seed;
    uint64_t acked;   // entries
    uint64_t checked; // positions up to here were seen
    uint64_t others;  // of them, those that are not ours
    uint64_t faults;  // each was printed
} torture_journal;

void torture_journal_init(torture_journal *journal, uint64_t seed);
void torture_journal_fini(torture_journal *journal);

// torture_begin notes count events about to be asked for and gives the number of the first.
size_t torture_begin(torture_journal *journal, uint32_t worker, size_t count, bool atomic);
void torture_acked(torture_journal *journal, uint32_t worker, size_t number, uint64_t position,
                   uint64_t version);
// torture_unknown gives up to count_max numbers, from `from` on, of single events whose fate is not
// known.
size_t torture_unknown(torture_journal *journal, uint32_t worker, size_t from, size_t count_max,
                       size_t *ret_numbers);

// The event of a worker and a number. data: TORTURE_DATA_MAX bytes.
skald_uuid torture_id(const torture_journal *journal, uint32_t worker, size_t number);
size_t torture_data(const torture_journal *journal, uint32_t worker, size_t number, char *data);
uint64_t torture_random(uint64_t *state);

// torture_saw holds the next event of the log, in order of positions, against the journal.
void torture_saw(torture_journal *journal, const skald_event *event);
// torture_settle says, when the log was read to its end, what must be there and was not.
void torture_settle(torture_journal *journal);
void torture_check_again(torture_journal *journal); // from the first position on

#endif
