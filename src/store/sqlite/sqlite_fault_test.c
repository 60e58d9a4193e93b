// SPDX-License-Identifier: Apache-2.0
// The sqlite driver when something fails under it: SQLite's writes and syncs by a VFS of our own,
// memory, the queue.
#include "store/sqlite/sqlite_test_world.h"

#include "base/alloc.h"

// The VFS: the system's own, but for the writes and syncs it is told to fail. A file is the
// system's with other methods: those of the database itself, and those of all others.
static struct {
    int write, sync; // what they answer; 0: what the system does
    int sync_file;   // of the database itself
    int syncs;
    int (*real_write)(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at);
    int (*real_sync)(sqlite3_file *file, int flags);
    sqlite3_io_methods file_methods, other_methods;
} faults;

static int fault_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
    return faults.write ? faults.write : faults.real_write(file, bytes, len, at);
}

static int fault_sync(sqlite3_file *file, int flags)
{
    faults.syncs++;
    return faults.sync ? faults.sync : faults.real_sync(file, flags);
}

static int fault_sync_file(sqlite3_file *file, int flags)
{
    return faults.sync_file ? faults.sync_file : fault_sync(file, flags);
}

static int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                      int *ret_flags)
{
    sqlite3_vfs *real = vfs->pAppData;
    int code = real->xOpen(real, name, file, flags, ret_flags);

    sqlite3_io_methods *methods =
        flags & SQLITE_OPEN_MAIN_DB ? &faults.file_methods : &faults.other_methods;

    if (code != SQLITE_OK) return code;
    // They differ in how they lock, not in how they write.
    if (!methods->xWrite) {
        *methods = *file->pMethods;
        faults.real_write = methods->xWrite;
        faults.real_sync = methods->xSync;
        methods->xWrite = fault_write;
        methods->xSync = flags & SQLITE_OPEN_MAIN_DB ? fault_sync_file : fault_sync;
    }
    file->pMethods = methods;
    return SQLITE_OK;
}

static sqlite3_vfs fault_vfs;

static int faults_on(void **state)
{
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);

    (void)state;
    fault_vfs = *real;
    fault_vfs.pNext = NULL;
    fault_vfs.zName = "fault";
    fault_vfs.pAppData = real;
    fault_vfs.xOpen = fault_open;
    return sqlite3_vfs_register(&fault_vfs, 1);
}

static int faults_off(void **state)
{
    (void)state;
    return sqlite3_vfs_unregister(&fault_vfs);
}

static int fault_setup(void **state)
{
    faults.write = faults.sync = faults.sync_file = faults.syncs = 0;
    return world_setup(state);
}

static int fault_teardown(void **state)
{
    faults.write = faults.sync = faults.sync_file = 0;
    ski_alloc_fail_at(0);
    return world_teardown(state);
}

static skald_store_state state_of(world *w)
{
    skald_store_state got;

    skald_store_state_get(w->store, &got);
    return got;
}

static void each_append_is_synced(void **state)
{
    world *w = *state;
    int before;

    world_open(w);
    append_many(w, 0, 1);
    before = faults.syncs;
    append_many(w, 1, 20);
    assert_true(faults.syncs - before >= 20);
    assert_int_equal(state_of(w).syncs, 21);
    assert_true(state_of(w).bytes_stored > 0);
}

static void a_full_disk_and_room_again(void **state)
{
    static const int codes[] = {SQLITE_FULL, SQLITE_IOERR_WRITE};
    static const skald_err errs[] = {SKALD_EREADONLY, SKALD_EIO};
    static const char *const whys[] = {"disk full", "the device failed to write"};
    world *w = *state;
    skald_error error;

    world_open(w);
    append_many(w, 0, 10);
    for (int i = 0; i < 2; i++) {
        uint64_t head = skald_store_head(w->store);

        faults.write = codes[i];
        assert_int_equal(append(w, "t.x", "s-1", 99, &error), errs[i]);
        assert_true(state_of(w).read_only);
        assert_string_equal(state_of(w).read_only_why, whys[i]);
        assert_int_equal(skald_store_head(w->store), head);
        assert_int_equal(count_events(w, NULL, NULL), head);
        // There is room again, but it is not tried before the time has come.
        faults.write = 0;
        assert_int_equal(append(w, "t.x", "s-1", 99, &error), SKALD_EREADONLY);
        w->now_ns += 99 * 1000 * 1000;
        assert_int_equal(append(w, "t.x", "s-1", 99, &error), SKALD_EREADONLY);
        w->now_ns += 2 * 1000 * 1000;
        assert_int_equal(append(w, "t.x", "s-1", 99, &error), SKALD_OK);
        assert_false(state_of(w).read_only);
        assert_int_equal(skald_store_head(w->store), head + 1);
    }
    world_reopen(w);
    assert_int_equal(count_events(w, NULL, NULL), 12);
}

static void a_sync_that_fails_ends_all(void **state)
{
    world *w = *state;
    skald_error error;

    world_open(w);
    append_many(w, 0, 10);
    faults.sync = SQLITE_IOERR_FSYNC;
    assert_int_equal(append(w, "t.x", "s-1", 99, &error), SKALD_EIO);
    assert_int_equal(w->stops, 1);
    // The process is gone now. Where it is not, nothing is written any more.
    faults.sync = 0;
    w->now_ns += UINT64_C(1000000000000);
    assert_int_equal(append(w, "t.x", "s-1", 99, &error), SKALD_EREADONLY);
    assert_true(state_of(w).read_only);
    assert_non_null(strstr(state_of(w).read_only_why, "sync"));
    assert_int_equal(skald_store_head(w->store), 10);
    world_reopen(w);
    assert_true(count_events(w, NULL, NULL) >= 10);
    append_many(w, 10, 1);
}

// A checkpoint syncs, too: what was answered stays so, but the process ends.
static void a_sync_of_the_checkpoint(void **state)
{
    enum { events_each = 500, written_max = 50000 };
    world *w = *state;
    int written = 0;
    char data[1024];

    memset(data, '1', sizeof(data));
    data[0] = data[sizeof(data) - 1] = '"';
    world_open(w);
    faults.sync_file = SQLITE_IOERR_FSYNC; // commits sync the log only
    while (!w->stops && written < written_max) {
        skald_event events[events_each];

        for (int i = 0; i < events_each; i++)
            events[i] = (skald_event){.type = SKALD_STR("t.x"), .data = {data, sizeof(data)}};
        assert_int_equal(skald_store_append(w->store, events, events_each, NULL, NULL, NULL),
                         SKALD_OK);
        written += events_each;
    }
    assert_int_equal(w->stops, 1);
    assert_int_equal(count_events(w, NULL, NULL), written);
    faults.sync_file = 0;
    world_reopen(w);
    assert_int_equal(count_events(w, NULL, NULL), written);
}

typedef struct submission {
    skald_store_batch batch;
    skald_event event;
    int done;
    skald_err told;
} submission;

static void note_done(skald_store_batch *batch, skald_err err)
{
    submission *s = batch->context;

    s->done++;
    s->told = err;
}

static skald_err submit_one(world *w, submission *s, const char *data)
{
    *s = (submission){.event = {.type = SKALD_STR("t.x"), .data = skald_str_of(data)}};
    s->batch =
        (skald_store_batch){.events = &s->event, .event_count = 1, .done = note_done, .context = s};
    return ski_store_submit(w->store, &s->batch);
}

// Without threads what is submitted waits for a step.
static void the_queue_has_an_end(void **state)
{
    enum { size = 40 };
    world *w = *state;
    submission s[size];
    skald_err err = SKALD_OK;
    char data[1024];
    int taken = 0;

    w->kernel.spawn = NULL;
    w->options.append_bytes_max = 16 * 1024;
    world_open(w);
    memset(data, ' ', sizeof(data));
    data[0] = '1';
    data[sizeof(data) - 1] = 0;
    for (; taken < size; taken++) {
        err = submit_one(w, &s[taken], data);
        if (err) break;
    }
    assert_true(taken > 8 && taken < 16);
    assert_int_equal(err, SKALD_EFULL);
    assert_int_equal(state_of(w).appends_waiting, taken);
    memset(data, 'x', sizeof(data)); // the driver has copies
    assert_true(ski_store_step(w->store));
    assert_false(ski_store_step(w->store));
    for (int i = 0; i < taken; i++) assert_true(s[i].done == 1 && s[i].told == SKALD_OK);
    assert_int_equal(count_events(w, NULL, NULL), taken);
    assert_int_equal(submit_one(w, &s[0], "1"), SKALD_OK);
    world_close(w); // ends what waits
    assert_true(s[0].done == 1 && s[0].told == SKALD_OK);
    world_open(w);
    assert_int_equal(count_events(w, NULL, NULL), taken + 1);
}

// One batch of a group conflicts, the others are stored; when the group fails, all of it does.
static void batches_of_one_group(void **state)
{
    world *w = *state;
    skald_expect expect = {.stream = SKALD_STR("s-1"), .expected = SKALD_NONE};
    submission s[3];

    w->kernel.spawn = NULL;
    world_open(w);
    for (int round = 0; round < 2; round++) {
        faults.write = round ? 0 : SQLITE_FULL;
        for (int i = 0; i < 3; i++) {
            s[i] = (submission){.event = {.type = SKALD_STR("t.x"), .stream = SKALD_STR("s-1")}};
            s[i].batch = (skald_store_batch){.events = &s[i].event,
                                             .event_count = 1,
                                             .expect = &expect,
                                             .expect_count = i < 2,
                                             .done = note_done,
                                             .context = &s[i]};
            assert_int_equal(ski_store_submit(w->store, &s[i].batch), SKALD_OK);
        }
        assert_true(ski_store_step(w->store));
        assert_false(ski_store_step(w->store));
        for (int i = 0; i < 3; i++) assert_int_equal(s[i].done, 1);
        w->now_ns += 200 * 1000 * 1000;
        if (!round)
            for (int i = 0; i < 3; i++) assert_int_equal(s[i].told, SKALD_EREADONLY);
    }
    assert_int_equal(s[0].told, SKALD_OK);
    assert_int_equal(s[1].told, SKALD_ECONFLICT);
    assert_int_equal(s[1].batch.actual_version, 1);
    assert_int_equal(s[2].told, SKALD_OK);
    assert_int_equal(s[2].event.stream_version, 2);
    assert_int_equal(skald_store_head(w->store), 2);
}

// Every allocation of ours fails once; what succeeded stays, nothing else is there.
static void without_memory(void **state)
{
    world *w = *state;
    size_t stored = 0;

    world_open(w);
    for (uint64_t n = 1; n < 40; n++) {
        submission s;
        skald_cursor *cursor;
        const skald_event *event;
        skald_err err;

        ski_alloc_fail_at(n);
        err = submit_one(w, &s, "1");
        if (!err) {
            ski_alloc_fail_at(0);
            world_close(w);
            assert_int_equal(s.done, 1);
            if (!s.told) stored++;
            ski_alloc_fail_at(n);
            if (world_open_as(w, NULL)) {
                ski_alloc_fail_at(0);
                world_open(w);
            }
        } else {
            assert_int_equal(err, SKALD_ENOMEM);
            assert_int_equal(s.done, 0);
        }
        ski_alloc_fail_at(n);
        if (skald_cursor_open(w->store, NULL, &cursor) == SKALD_OK) {
            err = skald_cursor_next(cursor, &event, NULL);
            assert_true(err == SKALD_OK || err == SKALD_ENOMEM);
            skald_cursor_close(cursor);
        }
        ski_alloc_fail_at(0);
        assert_int_equal(count_events(w, NULL, NULL), stored);
    }
    assert_true(stored > 0);
}

// Another program that writes into the file makes the store wait, and then say so.
static void another_program_has_it_locked(void **state)
{
    world *w = *state;
    skald_error error;
    sqlite3 *db;

    world_open(w);
    append_many(w, 0, 3);
    assert_int_equal(sqlite3_open(w->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(count_events(w, NULL, NULL), 3); // reads go on
    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(append(w, "t.x", "s-1", 1, &error), SKALD_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

#define FAULT_TEST(name) cmocka_unit_test_setup_teardown(name, fault_setup, fault_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAULT_TEST(each_append_is_synced),
        FAULT_TEST(a_full_disk_and_room_again),
        FAULT_TEST(a_sync_that_fails_ends_all),
        FAULT_TEST(a_sync_of_the_checkpoint),
        FAULT_TEST(the_queue_has_an_end),
        FAULT_TEST(batches_of_one_group),
        FAULT_TEST(without_memory),
        FAULT_TEST(another_program_has_it_locked),
    };

    return cmocka_run_group_tests_name("sqlite faults", tests, faults_on, faults_off);
}
