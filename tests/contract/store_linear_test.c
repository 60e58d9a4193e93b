// SPDX-License-Identifier: Apache-2.0
// Linearizability: several threads append, with and without expectations, and read, on each driver.
// The positions that were returned are the witness of the order: nothing is searched, the check
// goes over the history once.
//
// Every operation notes a ticket before it begins and one after it has ended, from one counter: one
// whose second is lower than another's first came before it. Then, for n operations, in O(n log n):
//   1. Positions of appends are dense and no two have one.
//   2. Real time respects positions: nothing has a later position than what began after it ended.
//   3. In order of positions, on a model, every expectation held and every version is right.
//   4. A conflict names a version that the stream had at a moment between its two tickets, and at
//      which the expectation does not hold.
//   5. A read sees a dense prefix: all that was acknowledged before it began, nothing that began
//      after it ended, and at least up to the head it had seen. So does a look at a version.
#include "contract/store_contract.h"
#include "os/thread.h"

// cmocka wants these before itself.
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    writers = 6,
    readers = 2,
    appends = 300, // of each writer
    reads = 40,    // of each reader, in turn with looks at a version
    streams = 4,
    events_max = 3,
    tickets_max = 2 * (writers * appends + readers * 2 * reads) + 2,
    positions_max = writers * appends * events_max + 1,
};

// What one append was and what came of it.
typedef struct append_note {
    uint64_t begun, ended; // tickets
    skald_err err;
    size_t count;
    int stream[events_max];
    uint64_t version[events_max], first;
    bool expects;
    int expect_stream;
    skald_expected expected;
    uint64_t expect_version, actual;
} append_note;

// What one look was: at all events, or at the version of a stream.
typedef struct look_note {
    uint64_t begun, ended, head; // head: seen before it began
    int stream;                  // -1: a read of all
    uint64_t seen;               // the last position, or the version
} look_note;

typedef struct history {
    skald_store *store;
    atomic_uint_least64_t ticket;
    append_note notes[writers][appends];
    look_note looks[readers][2 * reads];
    // Made from it:
    uint64_t acknowledged[tickets_max + 1]; // by ticket: the highest position acknowledged before
    uint64_t begun_after[tickets_max + 1];  // the lowest position of what began behind it
    const append_note *at[positions_max + 1];
    uint64_t stream_positions[streams][positions_max + 1];
    uint64_t stream_versions[streams];
    uint64_t head;
} history;

typedef struct party {
    history *history;
    int number;
    uint64_t random;
    uint64_t wrong;
} party;

static uint64_t below(party *p, uint64_t limit)
{
    p->random ^= p->random << 13;
    p->random ^= p->random >> 7;
    p->random ^= p->random << 17;
    return p->random % limit;
}

static uint64_t ticket(history *h)
{
    return atomic_fetch_add(&h->ticket, 1);
}

static const skald_str names[streams] = {{"s-0", 3}, {"s-1", 3}, {"s-2", 3}, {"s-3", 3}};

static void append_done(skald_store_batch *batch, skald_err err)
{
    ((append_note *)batch->context)->err = err;
}

static void append_one(party *p, append_note *note, const uint64_t known[streams])
{
    skald_event events[events_max] = {0};
    skald_expect expect = {0};
    skald_store_batch batch = {
        .events = events, .done = append_done, .context = note, .expect = &expect};
    char data[32];

    note->count = batch.event_count = 1 + below(p, events_max);
    (void)snprintf(data, sizeof(data), "%d", p->number);
    for (size_t i = 0; i < note->count; i++) {
        note->stream[i] = (int)below(p, streams);
        events[i] = (skald_event){.type = SKALD_STR("t.x"),
                                  .stream = names[note->stream[i]],
                                  .data = skald_str_of(data)};
    }
    note->expects = below(p, 3) > 0;
    if (note->expects) {
        note->expect_stream = note->stream[0];
        note->expected = below(p, 8) ? SKALD_AT : (skald_expected)below(p, 3);
        note->expect_version = note->expected == SKALD_AT ? known[note->expect_stream] : 0;
        expect = (skald_expect){.stream = names[note->expect_stream],
                                .expected = note->expected,
                                .version = note->expect_version};
        batch.expect_count = 1;
    }
    note->begun = ticket(p->history);
    if (ski_store_commit(p->history->store, &batch)) p->wrong++;
    note->ended = ticket(p->history);
    note->first = batch.appended.position_first;
    note->actual = batch.actual_version;
    for (size_t i = 0; i < note->count; i++) {
        note->version[i] = events[i].stream_version;
        if (!note->err && events[i].position != note->first + i) p->wrong++;
    }
}

static void write_all(void *argument)
{
    party *p = argument;
    uint64_t known[streams] = {0};

    for (int i = 0; i < appends; i++) {
        append_note *note = &p->history->notes[p->number][i];

        append_one(p, note, known);
        if (note->err && note->err != SKALD_ECONFLICT) p->wrong++;
        if (note->err == SKALD_ECONFLICT) known[note->expect_stream] = note->actual;
        for (size_t j = 0; !note->err && j < note->count; j++)
            known[note->stream[j]] = note->version[j];
    }
}

static uint64_t read_all(party *p)
{
    const skald_event *event = NULL;
    uint64_t seen = 0;
    skald_cursor *cursor;

    if (skald_cursor_open(p->history->store, NULL, &cursor)) {
        p->wrong++;
        return 0;
    }
    do {
        if (skald_cursor_next(cursor, &event, NULL)) p->wrong++;
        if (event && event->position != ++seen) p->wrong++;
    } while (event);
    skald_cursor_close(cursor);
    return seen;
}

static void look_all(void *argument)
{
    party *p = argument;

    for (int i = 0; i < 2 * reads; i++) {
        look_note *note = &p->history->looks[p->number][i];

        note->stream = i % 2 ? (int)below(p, streams) : -1;
        note->head = skald_store_head(p->history->store);
        note->begun = ticket(p->history);
        if (note->stream < 0)
            note->seen = read_all(p);
        else if (skald_stream_version(p->history->store, SKALD_STR(""), names[note->stream],
                                      &note->seen))
            p->wrong++;
        note->ended = ticket(p->history);
    }
}

static void run_all(history *h, uint64_t seed)
{
    const ski_kernel *kernel = &ski_kernel_system;
    party parties[writers + readers];
    ski_thread ids[writers + readers];

    for (int i = 0; i < writers + readers; i++) {
        parties[i] = (party){.history = h,
                             .number = i < writers ? i : i - writers,
                             .random = seed * 1000003 + (uint64_t)i * 7919 + 1};
        assert_int_equal(kernel->spawn(kernel->context, "linear",
                                       i < writers ? write_all : look_all, &parties[i], &ids[i]),
                         SKALD_OK);
    }
    for (int i = 0; i < writers + readers; i++) kernel->join(kernel->context, ids[i]);
    for (int i = 0; i < writers + readers; i++) assert_int_equal(parties[i].wrong, 0);
}

// order_make puts appends at their positions, and says for every ticket what had been acknowledged
// and what had not begun.
static void order_make(history *h)
{
    h->head = skald_store_head(h->store);
    assert_true(h->head <= positions_max);
    for (uint64_t i = 0; i <= tickets_max; i++) h->begun_after[i] = UINT64_MAX;
    for (int i = 0; i < writers * appends; i++) {
        const append_note *note = &h->notes[i / appends][i % appends];

        if (note->err) continue;
        for (size_t j = 0; j < note->count; j++) {
            assert_true(note->first && note->first + j <= h->head);
            assert_null(h->at[note->first + j]);
            h->at[note->first + j] = note;
        }
        h->acknowledged[note->ended] = note->first + note->count - 1;
        h->begun_after[note->begun] = note->first;
    }
    for (uint64_t i = 1; i <= tickets_max; i++)
        if (h->acknowledged[i] < h->acknowledged[i - 1])
            h->acknowledged[i] = h->acknowledged[i - 1];
    for (uint64_t i = tickets_max; i-- > 0;)
        if (h->begun_after[i] > h->begun_after[i + 1]) h->begun_after[i] = h->begun_after[i + 1];
}

static bool holds(skald_expected expected, uint64_t version, uint64_t actual)
{
    switch (expected) {
    case SKALD_NONE: return actual == 0;
    case SKALD_PRESENT: return actual != 0;
    case SKALD_AT: return actual == version;
    default: return true;
    }
}

// replay goes over all positions on a model of versions.
static void replay(history *h)
{
    uint64_t begun_latest = 0;

    for (uint64_t position = 1; position <= h->head;) {
        const append_note *note = h->at[position];

        assert_non_null(note);
        assert_int_equal(note->first, position);
        // Whoever ended before another began has the lower position.
        assert_true(note->ended > begun_latest);
        if (note->begun > begun_latest) begun_latest = note->begun;
        if (note->expects)
            assert_true(holds(note->expected, note->expect_version,
                              h->stream_versions[note->expect_stream]));
        for (size_t i = 0; i < note->count; i++) {
            int stream = note->stream[i];

            assert_int_equal(note->version[i], ++h->stream_versions[stream]);
            h->stream_positions[stream][h->stream_versions[stream]] = position + i;
        }
        position += note->count;
    }
}

// version_at is where a stream stood when everything up to position was stored.
static uint64_t version_at(const history *h, int stream, uint64_t position)
{
    uint64_t low = 0, high = h->stream_versions[stream];

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (h->stream_positions[stream][middle + 1] <= position)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// The latest position that something between two tickets may have seen.
static uint64_t seen_latest(const history *h, uint64_t ended)
{
    uint64_t after = h->begun_after[ended];

    return after == UINT64_MAX ? h->head : after - 1;
}

static size_t check_conflicts(const history *h)
{
    size_t conflicts = 0;

    for (int i = 0; i < writers * appends; i++) {
        const append_note *note = &h->notes[i / appends][i % appends];

        if (!note->err) continue;
        conflicts++;
        assert_true(note->expects);
        assert_false(holds(note->expected, note->expect_version, note->actual));
        assert_true(note->actual >=
                    version_at(h, note->expect_stream, h->acknowledged[note->begun]));
        assert_true(note->actual <=
                    version_at(h, note->expect_stream, seen_latest(h, note->ended)));
    }
    return conflicts;
}

static void check_looks(const history *h)
{
    for (int i = 0; i < readers * 2 * reads; i++) {
        const look_note *note = &h->looks[i / (2 * reads)][i % (2 * reads)];
        uint64_t least = h->acknowledged[note->begun], most = seen_latest(h, note->ended);

        if (note->head > least) least = note->head;
        assert_true(least <= most);
        if (note->stream >= 0) {
            assert_true(note->seen >= version_at(h, note->stream, least));
            assert_true(note->seen <= version_at(h, note->stream, most));
            continue;
        }
        assert_true(note->seen >= least && note->seen <= most);
        // An append is seen whole: the read ends where one ends.
        assert_true(note->seen == h->head || h->at[note->seen + 1]->first == note->seen + 1);
    }
}

// check_stored holds what is read now against what was answered.
static void check_stored(const history *h)
{
    const skald_event *event;
    skald_cursor *cursor;

    assert_int_equal(skald_cursor_open(h->store, NULL, &cursor), SKALD_OK);
    for (uint64_t position = 1; position <= h->head; position++) {
        const append_note *note = h->at[position];
        size_t i = position - note->first;

        assert_int_equal(skald_cursor_next(cursor, &event, NULL), SKALD_OK);
        assert_non_null(event);
        assert_int_equal(event->position, position);
        assert_int_equal(event->stream_version, note->version[i]);
        assert_true(skald_str_equal(event->stream, names[note->stream[i]]));
    }
    assert_int_equal(skald_cursor_next(cursor, &event, NULL), SKALD_OK);
    assert_null(event);
    skald_cursor_close(cursor);
}

static int path_remove(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void check_driver(const char *driver, uint64_t seed)
{
    const char *base = getenv("TMPDIR");
    history *h = test_calloc(1, sizeof(*h));
    char directory[512], url[600];
    skald_error error;
    size_t conflicts;

    (void)snprintf(directory, sizeof(directory), "%s/skald-linear-XXXXXX",
                   base && *base ? base : "/tmp");
    assert_non_null(mkdtemp(directory));
    (void)snprintf(url, sizeof(url), "%s:%s/store", driver, directory);
    if (!strcmp(driver, "memory")) (void)snprintf(url, sizeof(url), "memory:");
    if (skald_store_open(url, NULL, &h->store, &error)) fail_msg("%s: %s", url, error.text);
    atomic_init(&h->ticket, 1);
    run_all(h, seed);
    order_make(h);
    replay(h);
    conflicts = check_conflicts(h);
    check_looks(h);
    check_stored(h);
    (void)printf("%s: %d appends, %zu of them conflicts, %d looks\n", driver, writers * appends,
                 conflicts, readers * 2 * reads);
    assert_true(conflicts > 0 && h->head > 0);
    skald_store_close(h->store);
    (void)nftw(directory, path_remove, 16, FTW_DEPTH | FTW_PHYS);
    test_free(h);
}

static void memory_is_linear(void **state)
{
    (void)state;
    check_driver("memory", 1);
}

static void log_is_linear(void **state)
{
    (void)state;
    check_driver("log", 2);
}

static void sqlite_is_linear(void **state)
{
    (void)state;
    check_driver("sqlite", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_linear),
        cmocka_unit_test(log_is_linear),
        cmocka_unit_test(sqlite_is_linear),
    };

    return cmocka_run_group_tests_name("store linear", tests, NULL, NULL);
}
