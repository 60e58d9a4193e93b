// SPDX-License-Identifier: Apache-2.0
// The journal and its judgement.
#include "torture/journal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { faults_printed_max = 20 };

uint64_t torture_random(uint64_t *state)
{
    uint64_t mixed = *state += 0x9e3779b97f4a7c15u;

    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
    return mixed ^ mixed >> 31;
}

void torture_journal_init(torture_journal *journal, uint64_t seed)
{
    *journal = (torture_journal){.seed = seed};
    assert(!pthread_mutex_init(&journal->lock, NULL));
}

void torture_journal_fini(torture_journal *journal)
{
    for (size_t i = 0; i < TORTURE_WORKERS_MAX; i++) free(journal->workers[i].entries);
    (void)pthread_mutex_destroy(&journal->lock);
}

// The random numbers of one event.
static uint64_t event_state(const torture_journal *journal, uint32_t worker, size_t number)
{
    return journal->seed ^ (uint64_t)worker << 56 ^ (uint64_t)number * 0xd1b54a32d192ed03u;
}

// Worker and number stand in the id, so that an event found tells whose it is.
skald_uuid torture_id(const torture_journal *journal, uint32_t worker, size_t number)
{
    uint64_t state = event_state(journal, worker, number);
    uint64_t tail = torture_random(&state);
    skald_uuid id = {{0xf0, 0x0d, (uint8_t)worker, 0, 0, 0, 0x70, 0}};

    for (unsigned i = 0; i < 3; i++) id.bytes[3 + i] = (uint8_t)(number >> (8 * i));
    memcpy(id.bytes + 8, &tail, 8);
    id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3f));
    return id;
}

size_t torture_data(const torture_journal *journal, uint32_t worker, size_t number, char *data)
{
    uint64_t state = event_state(journal, worker, number) + 1;
    size_t fill = torture_random(&state) % 16 ? torture_random(&state) % 300
                                              : torture_random(&state) % (TORTURE_DATA_MAX - 128);
    int len =
        snprintf(data, TORTURE_DATA_MAX, "{\"worker\":%u,\"n\":%zu,\"fill\":\"", worker, number);

    assert(len > 0);
    for (size_t i = 0; i < fill; i++) data[len++] = (char)('a' + torture_random(&state) % 26);
    memcpy(data + len, "\"}", 3);
    return (size_t)len + 2;
}

size_t torture_begin(torture_journal *journal, uint32_t worker, size_t count, bool atomic)
{
    torture_worker *mine = &journal->workers[worker];
    size_t first = 0;

    assert(worker < TORTURE_WORKERS_MAX);
    assert(!pthread_mutex_lock(&journal->lock));
    while (mine->count + count > mine->room) {
        mine->room = mine->room ? mine->room * 2 : 1024;
        mine->entries = realloc(mine->entries, mine->room * sizeof *mine->entries);
        assert(mine->entries);
    }
    if (atomic) mine->batches++;
    first = mine->count;
    for (size_t i = 0; i < count; i++) {
        mine->entries[mine->count++] = (torture_entry){.batch = atomic ? mine->batches : 0};
    }
    assert(!pthread_mutex_unlock(&journal->lock));
    return first;
}

void torture_acked(torture_journal *journal, uint32_t worker, size_t number, uint64_t position,
                   uint64_t version)
{
    torture_entry *entry = NULL;

    assert(!pthread_mutex_lock(&journal->lock));
    entry = &journal->workers[worker].entries[number];
    entry->fate = TORTURE_ACKED;
    entry->position = position;
    entry->version = version;
    journal->acked++;
    assert(!pthread_mutex_unlock(&journal->lock));
}

size_t torture_unknown(torture_journal *journal, uint32_t worker, size_t from, size_t count_max,
                       size_t *ret_numbers)
{
    const torture_worker *mine = &journal->workers[worker];
    size_t count = 0;

    assert(!pthread_mutex_lock(&journal->lock));
    for (; from < mine->count && count < count_max; from++) {
        const torture_entry *entry = &mine->entries[from];

        if (entry->fate == TORTURE_UNKNOWN && !entry->batch) ret_numbers[count++] = from;
    }
    assert(!pthread_mutex_unlock(&journal->lock));
    return count;
}

// fault counts one, and says whether it is to be printed.
static bool fault(torture_journal *journal)
{
    return ++journal->faults <= faults_printed_max;
}

static void saw_ours(torture_journal *journal, uint32_t worker, size_t number,
                     const skald_event *event)
{
    torture_worker *mine = &journal->workers[worker];
    torture_entry *entry = &mine->entries[number];
    char data[TORTURE_DATA_MAX];
    size_t len = torture_data(journal, worker, number, data);
    bool same = event->data.len == len && memcmp(event->data.ptr, data, len) == 0;

    if (entry->seen && fault(journal)) {
        fprintf(stderr, "event %u/%zu is at %" PRIu64 " and at %" PRIu64 "\n", worker, number,
                entry->seen, event->position);
    }
    entry->seen = event->position;
    if (!same && fault(journal)) {
        fprintf(stderr, "event %u/%zu at %" PRIu64 " has other bytes\n", worker, number,
                event->position);
    }
    if (entry->position && entry->position != event->position && fault(journal)) {
        fprintf(stderr, "event %u/%zu was acknowledged at %" PRIu64 " and is at %" PRIu64 "\n",
                worker, number, entry->position, event->position);
    }
    if (entry->version && entry->version != event->stream_version && fault(journal)) {
        fprintf(stderr, "event %u/%zu was acknowledged as version %" PRIu64 " and is %" PRIu64 "\n",
                worker, number, entry->version, event->stream_version);
    }
    if (event->stream_version != mine->version + 1 && fault(journal)) {
        fprintf(stderr, "stream %u: version %" PRIu64 " behind %" PRIu64 "\n", worker,
                event->stream_version, mine->version);
    }
    mine->version = event->stream_version;
}

void torture_saw(torture_journal *journal, const skald_event *event)
{
    const uint8_t *id = event->id.bytes;
    uint32_t worker = id[2];
    size_t number = id[3] | (size_t)id[4] << 8 | (size_t)id[5] << 16;
    skald_uuid known = {{0}};

    if (event->position != journal->checked + 1 && fault(journal)) {
        fprintf(stderr, "position %" PRIu64 " behind %" PRIu64 "\n", event->position,
                journal->checked);
    }
    journal->checked = event->position;
    if (id[0] != 0xf0 || id[1] != 0x0d) {
        journal->others++;
        return;
    }
    if (worker < TORTURE_WORKERS_MAX && number < journal->workers[worker].count) {
        known = torture_id(journal, worker, number);
        if (memcmp(&known, id, sizeof known) == 0) {
            saw_ours(journal, worker, number, event);
            return;
        }
    }
    if (fault(journal))
        fprintf(stderr, "position %" PRIu64 " was never asked for\n", event->position);
}

// settle_batch: what was asked for as one is there whole and side by side, or not at all.
static size_t settle_batch(torture_journal *journal, uint32_t worker, size_t first)
{
    const torture_worker *mine = &journal->workers[worker];
    size_t end = first;

    while (end < mine->count && mine->entries[end].batch == mine->entries[first].batch) end++;
    for (size_t i = first + 1; i < end; i++) {
        uint64_t due = mine->entries[first].seen ? mine->entries[first].seen + (i - first) : 0;

        if (mine->entries[i].seen != due && fault(journal))
            fprintf(stderr, "the batch of %u/%zu is there in part\n", worker, first);
    }
    return end;
}

void torture_settle(torture_journal *journal)
{
    for (uint32_t worker = 0; worker < TORTURE_WORKERS_MAX; worker++) {
        const torture_worker *mine = &journal->workers[worker];

        for (size_t i = 0; i < mine->count; i++) {
            if (mine->entries[i].fate == TORTURE_ACKED && !mine->entries[i].seen &&
                fault(journal)) {
                fprintf(stderr, "LOST: event %u/%zu, acknowledged at %" PRIu64 "\n", worker, i,
                        mine->entries[i].position);
            }
        }
        for (size_t i = 0; i < mine->count;) {
            i = mine->entries[i].batch ? settle_batch(journal, worker, i) : i + 1;
        }
    }
}

void torture_check_again(torture_journal *journal)
{
    journal->checked = journal->others = 0;
    for (uint32_t worker = 0; worker < TORTURE_WORKERS_MAX; worker++) {
        torture_worker *mine = &journal->workers[worker];

        mine->version = 0;
        for (size_t i = 0; i < mine->count; i++) mine->entries[i].seen = 0;
    }
}
