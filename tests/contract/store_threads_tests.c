// SPDX-License-Identifier: Apache-2.0
// The contract under several threads: commit order, one winner, no gap for a reader, an end for
// all.
//
// Threads only count what is wrong; the main thread asserts, for cmocka leaves a test by a long
// jump.
#include "contract/store_fixture.h"

#include "os/thread.h"

#include <sched.h>
#include <stdio.h>

enum { threads_count = 4 };

static void run_threads(void (*run)(void *argument), void *arguments, size_t size, ski_thread *ids)
{
    const ski_kernel *kernel = &ski_kernel_system;

    for (int i = 0; i < threads_count; i++)
        assert_int_equal(kernel->spawn(kernel->context, "contract", run,
                                       (char *)arguments + (size_t)i * size, &ids[i]),
                         SKALD_OK);
}

static void join_threads(const ski_thread *ids)
{
    for (int i = 0; i < threads_count; i++)
        ski_kernel_system.join(ski_kernel_system.context, ids[i]);
}

// Submitters: each keeps some batches of its own in flight.
enum { in_flight = 8, rounds = 25 };

typedef struct order_check {
    atomic_uint_least64_t position_last;
    atomic_uint done, wrong;
} order_check;

typedef struct submission {
    skald_store_batch batch;
    skald_event events[3];
    char stream[16], data[16];
    order_check *check;
    atomic_bool ended;
    skald_err told;
} submission;

typedef struct submitter {
    skald_store *store;
    order_check *check;
    int number;
    submission *submissions; // in_flight of them
} submitter;

static void submission_done(skald_store_batch *batch, skald_err err)
{
    submission *s = batch->context;
    uint64_t first = batch->appended.position_first, last = batch->appended.position_last;

    s->told = err;
    if (!err) {
        // Commit order: no other done comes in between, so load and store need not be one.
        if (atomic_load(&s->check->position_last) + 1 != first)
            atomic_fetch_add(&s->check->wrong, 1);
        atomic_store(&s->check->position_last, last);
        for (size_t i = 0; i < batch->event_count; i++)
            if (batch->events[i].position != first + i) atomic_fetch_add(&s->check->wrong, 1);
    } else if (err != SKALD_ECLOSED) {
        atomic_fetch_add(&s->check->wrong, 1);
    }
    atomic_fetch_add(&s->check->done, 1);
    if (atomic_exchange(&s->ended, true)) atomic_fetch_add(&s->check->wrong, 1);
}

static void submission_begin(submitter *by, submission *s, int number)
{
    s->check = by->check;
    atomic_store(&s->ended, false);
    s->batch = (skald_store_batch){.events = s->events,
                                   .event_count = 1 + (size_t)number % 3,
                                   .done = submission_done,
                                   .context = s};
    (void)snprintf(s->stream, sizeof(s->stream), "s-%d", by->number);
    (void)snprintf(s->data, sizeof(s->data), "%d", number);
    for (size_t i = 0; i < 3; i++)
        s->events[i] =
            (skald_event){.type = text("t.x"), .stream = text(s->stream), .data = text(s->data)};
    for (;;) {
        skald_err err = ski_store_submit(by->store, &s->batch);

        if (!err) return;
        if (err != SKALD_EFULL) break;
        (void)sched_yield();
    }
    atomic_fetch_add(&by->check->wrong, 1);
    atomic_store(&s->ended, true);
}

static void submit_rounds(void *argument)
{
    submitter *by = argument;

    for (int i = 0; i < rounds * in_flight; i++) {
        submission *s = &by->submissions[i % in_flight];

        while (!atomic_load(&s->ended)) (void)sched_yield();
        submission_begin(by, s, i);
    }
    for (int i = 0; i < in_flight; i++)
        while (!atomic_load(&by->submissions[i].ended)) (void)sched_yield();
}

void done_once_and_in_order(void **state)
{
    fixture *f = *state;
    submitter submitters[threads_count];
    submission *submissions = test_calloc(threads_count * in_flight, sizeof(*submissions));
    uint64_t versions[threads_count] = {0};
    ski_thread ids[threads_count];
    order_check check;

    atomic_init(&check.position_last, 0);
    atomic_init(&check.done, 0);
    atomic_init(&check.wrong, 0);
    for (int i = 0; i < threads_count; i++) {
        submitters[i] = (submitter){f->store, &check, i, submissions + (size_t)i * in_flight};
        for (int j = 0; j < in_flight; j++) atomic_init(&submitters[i].submissions[j].ended, true);
    }
    run_threads(submit_rounds, submitters, sizeof(submitters[0]), ids);
    join_threads(ids);
    assert_int_equal(atomic_load(&check.wrong), 0);
    assert_int_equal(atomic_load(&check.done), threads_count * in_flight * rounds);
    assert_int_equal(atomic_load(&check.position_last), skald_store_head(f->store));
    events_list all = read_all(f, NULL);
    assert_int_equal(all.count, skald_store_head(f->store));
    for (size_t i = 0; i < all.count; i++) {
        assert_int_equal(all.items[i].position, i + 1);
        assert_int_equal(all.items[i].stream_version, ++versions[all.items[i].stream.ptr[2] - '0']);
    }
    test_free(submissions);
}

// Racers: all append to one stream at the version they read, and load again when they lose.
typedef struct racer {
    skald_store *store;
    uint64_t won, lost, wrong;
} racer;

enum { wins_due = 40 };

static void race(void *argument)
{
    racer *r = argument;

    while (r->won < wins_due) {
        skald_event event = {.type = text("t.x"), .stream = text("s-1"), .data = text("1")};
        skald_expect expect = {.stream = text("s-1"), .expected = SKALD_AT};
        skald_append_options options = {.expect = &expect, .expect_count = 1};
        skald_appended appended;
        skald_error error;
        skald_err err;

        if (skald_stream_version(r->store, text(""), text("s-1"), &expect.version)) r->wrong++;
        err = skald_store_append(r->store, &event, 1, &options, &appended, &error);
        if (!err) {
            r->won++;
            if (appended.stream_version != expect.version + 1) r->wrong++;
        } else {
            r->lost++;
            if (err != SKALD_ECONFLICT || error.actual_version <= expect.version) r->wrong++;
        }
        if (r->wrong) return;
    }
}

void one_wins(void **state)
{
    fixture *f = *state;
    racer racers[threads_count] = {0};
    ski_thread ids[threads_count];
    uint64_t version;

    for (int i = 0; i < threads_count; i++) racers[i].store = f->store;
    run_threads(race, racers, sizeof(racers[0]), ids);
    join_threads(ids);
    for (int i = 0; i < threads_count; i++) assert_int_equal(racers[i].wrong, 0);
    assert_int_equal(skald_stream_version(f->store, text(""), text("s-1"), &version), SKALD_OK);
    assert_int_equal(version, threads_count * wins_due);
    assert_int_equal(skald_store_head(f->store), threads_count * wins_due);
}

// Readers beside writers.
typedef struct worker {
    skald_store *store;
    int number;
    atomic_bool *over;
    uint64_t seen, wrong;
} worker;

enum { appends_each = 60 };

static void write_or_read(void *argument)
{
    worker *w = argument;

    if (w->number < 2) {
        for (int i = 0; i < appends_each; i++) {
            skald_event pair[2] = {{.type = text("t.x"), .data = text("1")},
                                   {.type = text("t.y"), .data = text("2")}};
            skald_appended appended;

            if (skald_store_append(w->store, pair, 2, NULL, &appended, NULL)) w->wrong++;
            // What one has appended, one can read.
            if (skald_store_head(w->store) < appended.position_last) w->wrong++;
        }
        return;
    }
    skald_cursor *cursor;
    bool over = false;
    if (skald_cursor_open(w->store, NULL, &cursor)) {
        w->wrong++;
        return;
    }
    while (!over) {
        const skald_event *event;
        uint64_t head;

        over = atomic_load(w->over);
        head = skald_store_head(w->store);
        for (;;) {
            if (skald_cursor_next(cursor, &event, NULL)) w->wrong++;
            if (!event) break;
            if (event->position != ++w->seen) w->wrong++;
        }
        if (w->seen < head) w->wrong++; // the end is not before what was durable
        // An append is seen whole.
        if (w->seen % 2) w->wrong++;
        (void)sched_yield();
    }
    skald_cursor_close(cursor);
}

void readers_see_a_dense_prefix(void **state)
{
    fixture *f = *state;
    worker workers[threads_count];
    ski_thread ids[threads_count];
    atomic_bool over;

    atomic_init(&over, false);
    for (int i = 0; i < threads_count; i++) workers[i] = (worker){f->store, i, &over, 0, 0};
    run_threads(write_or_read, workers, sizeof(workers[0]), ids);
    for (int i = 0; i < 2; i++) ski_kernel_system.join(ski_kernel_system.context, ids[i]);
    atomic_store(&over, true);
    for (int i = 2; i < 4; i++) ski_kernel_system.join(ski_kernel_system.context, ids[i]);
    for (int i = 0; i < threads_count; i++) assert_int_equal(workers[i].wrong, 0);
    for (int i = 2; i < 4; i++) assert_int_equal(workers[i].seen, 2 * 2 * appends_each);
}

// The watcher.
typedef struct watcher {
    fixture *f;
    atomic_uint_least64_t told;
    atomic_uint calls, wrong;
    atomic_bool left;
} watcher;

static void watch(void *context, uint64_t durable_position)
{
    watcher *w = context;

    if (atomic_load(&w->left)) atomic_fetch_add(&w->wrong, 1);
    if (durable_position <= atomic_load(&w->told)) atomic_fetch_add(&w->wrong, 1);
    if (skald_store_head(w->f->store) < durable_position) atomic_fetch_add(&w->wrong, 1);
    atomic_store(&w->told, durable_position);
    atomic_fetch_add(&w->calls, 1);
}

static void watcher_init(watcher *w, fixture *f)
{
    w->f = f;
    atomic_init(&w->told, 0);
    atomic_init(&w->calls, 0);
    atomic_init(&w->wrong, 0);
    atomic_init(&w->left, false);
}

static void append_some(void *argument)
{
    worker *w = argument;

    for (int i = 0; i < appends_each; i++) {
        skald_event event = {.type = text("t.x"), .data = text("1")};

        if (skald_store_append(w->store, &event, 1, NULL, NULL, NULL)) w->wrong++;
    }
}

void head_and_watch_rise(void **state)
{
    fixture *f = *state;
    worker workers[threads_count];
    ski_thread ids[threads_count];
    uint64_t head = 0;
    watcher w;

    watcher_init(&w, f);
    ski_store_watch(f->store, watch, &w);
    for (int i = 0; i < threads_count; i++) workers[i] = (worker){f->store, i, NULL, 0, 0};
    run_threads(append_some, workers, sizeof(workers[0]), ids);
    for (int i = 0; i < 1000000 && head < threads_count * appends_each; i++) {
        uint64_t now = skald_store_head(f->store);

        if (now < head) atomic_fetch_add(&w.wrong, 1);
        head = now;
        (void)sched_yield();
    }
    join_threads(ids);
    // The last append has been told of when its thread has its answer, or soon after.
    head = skald_store_head(f->store);
    for (int i = 0; i < 1000000 && atomic_load(&w.told) < head; i++) (void)sched_yield();
    ski_store_watch(f->store, NULL, NULL);
    for (int i = 0; i < threads_count; i++) assert_int_equal(workers[i].wrong, 0);
    assert_int_equal(atomic_load(&w.wrong), 0);
    assert_int_equal(atomic_load(&w.told), threads_count * appends_each);
    assert_true(atomic_load(&w.calls) <= threads_count * appends_each);
}

void the_watcher_can_leave(void **state)
{
    fixture *f = *state;
    worker workers[threads_count];
    ski_thread ids[threads_count];
    watcher w;

    watcher_init(&w, f);
    for (int i = 0; i < threads_count; i++) workers[i] = (worker){f->store, i, NULL, 0, 0};
    run_threads(append_some, workers, sizeof(workers[0]), ids);
    for (int i = 0; i < 20; i++) {
        atomic_store(&w.left, false);
        ski_store_watch(f->store, watch, &w);
        (void)sched_yield();
        ski_store_watch(f->store, NULL, NULL);
        atomic_store(&w.left, true); // a call from here on is wrong
    }
    join_threads(ids);
    assert_int_equal(atomic_load(&w.wrong), 0);
}

void close_ends_all(void **state)
{
    fixture *f = *state;
    enum { batches = 64 };
    submission *submissions = test_calloc(batches, sizeof(*submissions));
    order_check check;
    submitter by = {f->store, &check, 0, submissions};

    atomic_init(&check.position_last, 0);
    atomic_init(&check.done, 0);
    atomic_init(&check.wrong, 0);
    for (int i = 0; i < batches; i++) {
        atomic_init(&submissions[i].ended, true);
        submission_begin(&by, &submissions[i], i);
    }
    if (f->contract->reopen) {
        f->store = f->contract->reopen(f->store, &f->options);
        assert_non_null(f->store);
    } else {
        f->contract->close(f->store);
        f->store = NULL;
    }
    assert_int_equal(atomic_load(&check.wrong), 0);
    assert_int_equal(atomic_load(&check.done), batches);
    // What was acknowledged is there.
    if (f->store) assert_true(skald_store_head(f->store) >= atomic_load(&check.position_last));
    test_free(submissions);
}

// What is kept, while it is used: one appends, one says what is kept and deletes, one reads, one
// compacts.
typedef struct keeper {
    skald_store *store;
    int role;
    atomic_uint *wrong;
} keeper;

enum { keeper_rounds = 60 };

static void keeper_append(const keeper *k)
{
    skald_event events[4];

    for (int i = 0; i < 4; i++)
        events[i] = (skald_event){.type = text("t.x"),
                                  .stream = text(i % 2 ? "a-1" : "b-1"),
                                  .data = text("\"some text that must stay whole\"")};
    if (skald_store_append(k->store, events, 4, NULL, NULL, NULL)) atomic_fetch_add(k->wrong, 1);
}

static void keeper_change(const keeper *k, int round)
{
    skald_stream_meta meta = {.max_count = (uint64_t)(1 + round % 20)};
    skald_expect expect = {.stream = text("b-1")};
    skald_snapshot snapshot = {.stream_version = 1, .bytes = text("snapshot")};
    skald_err err = skald_stream_delete(k->store, &expect, false, NULL);

    if (err && err != SKALD_ENOTFOUND && err != SKALD_ECONFLICT) atomic_fetch_add(k->wrong, 1);
    if (skald_stream_meta_set(k->store, (skald_str){0}, text("a-1"), &meta, NULL))
        atomic_fetch_add(k->wrong, 1);
    err = skald_snapshot_put(k->store, (skald_str){0}, text("a-1"), &snapshot, NULL);
    if (err && err != SKALD_EINVALID) atomic_fetch_add(k->wrong, 1); // nothing was appended yet
}

static void keeper_read(const keeper *k)
{
    const skald_event *event = NULL;
    skald_cursor *cursor = NULL;
    uint64_t last = 0;

    if (skald_cursor_open(k->store, NULL, &cursor)) {
        atomic_fetch_add(k->wrong, 1);
        return;
    }
    do {
        if (skald_cursor_next(cursor, &event, NULL)) atomic_fetch_add(k->wrong, 1);
        if (!event) break;
        if (event->position <= last || event->stream.ptr[0] == '$' ||
            !skald_str_equal(event->data, text("\"some text that must stay whole\"")))
            atomic_fetch_add(k->wrong, 1);
        last = event->position;
    } while (event);
    skald_cursor_close(cursor);
}

static void keeper_compact(const keeper *k, int round)
{
    skald_compact_options options = {.erase = round % 2};
    skald_err err = skald_store_compact(k->store, &options, NULL, NULL);

    if (err && err != SKALD_EUNSUPPORTED) atomic_fetch_add(k->wrong, 1);
}

static void keeper_list(const keeper *k)
{
    const skald_counted *names;
    skald_arena *arena;
    size_t count;

    if (skald_arena_new(1 << 20, &arena)) return;
    if (skald_store_types(k->store, (skald_str){0}, arena, &names, &count))
        atomic_fetch_add(k->wrong, 1);
    if (skald_store_streams(k->store, (skald_str){0}, (skald_str){0}, NULL, 10, arena, &names,
                            &count))
        atomic_fetch_add(k->wrong, 1);
    skald_arena_free(arena);
}

static void keeper_run(void *argument)
{
    const keeper *k = argument;

    for (int round = 0; round < keeper_rounds; round++) {
        if (k->role == 0) keeper_append(k);
        if (k->role == 1) keeper_change(k, round);
        if (k->role == 2) keeper_read(k);
        if (k->role == 2) keeper_list(k);
        if (k->role == 3) keeper_compact(k, round);
    }
}

void kept_while_used(void **state)
{
    fixture *f = *state;
    keeper keepers[threads_count];
    ski_thread ids[threads_count];
    atomic_uint wrong;
    skald_stream_meta none = {.max_count = 3};
    skald_str stream = text("a-1");
    skald_read read = {.filter = {.tenant = text(""), .streams = {&stream, 1}}};

    atomic_init(&wrong, 0);
    for (int i = 0; i < threads_count; i++) keepers[i] = (keeper){f->store, i, &wrong};
    run_threads(keeper_run, keepers, sizeof(keepers[0]), ids);
    join_threads(ids);
    assert_int_equal(atomic_load(&wrong), 0);
    assert_int_equal(skald_stream_meta_set(f->store, text(""), stream, &none, NULL), SKALD_OK);
    assert_true(read_all(f, &read).count <= 3);
}
