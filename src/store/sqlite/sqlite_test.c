// SPDX-License-Identifier: Apache-2.0
// The sqlite driver beside its contract: whose file it is, who holds it, read-only, damage,
// erasing.
#include "store/sqlite/sqlite_test_world.h"

#include "os/thread.h"
#include "store/sqlite/sqlite_store.h"

#include <sys/stat.h>

static void open_fails(world *w, skald_err err, const char *says)
{
    skald_error error = {0};

    assert_int_equal(world_open_as(w, &error), err);
    assert_null(w->store);
    if (!strstr(error.text, says)) fail_msg("'%s' does not say '%s'", error.text, says);
}

static void names_that_are_no_file(void **state)
{
    world *w = *state;

    (void)snprintf(w->url, sizeof(w->url), "sqlite:");
    open_fails(w, SKALD_EINVALID, "sqlite:FILE");
    (void)snprintf(w->url, sizeof(w->url), "sqlite:%s/", w->directory);
    open_fails(w, SKALD_EINVALID, "sqlite:FILE");
    (void)snprintf(w->path, sizeof(w->path), "%s/folder", w->directory);
    assert_int_equal(mkdir(w->path, 0755), 0);
    (void)snprintf(w->url, sizeof(w->url), "sqlite:%s", w->path);
    open_fails(w, SKALD_EIO, w->path);
}

static void a_newer_format_is_refused(void **state)
{
    world *w = *state;

    world_open(w);
    append_many(w, 0, 3);
    world_close(w);
    tamper(w, "PRAGMA user_version = 2");
    open_fails(w, SKALD_EUNSUPPORTED, "format 2");
    tamper(w, "PRAGMA user_version = 0");
    open_fails(w, SKALD_ECORRUPT, "format 0");
    tamper(w, "PRAGMA user_version = 1");
    world_open(w);
    assert_int_equal(skald_store_head(w->store), 3);
}

static void a_file_of_another_program(void **state)
{
    world *w = *state;
    FILE *file;

    tamper(w, "CREATE TABLE theirs(x)");
    open_fails(w, SKALD_EINVALID, "another program");
    tamper(w, "SELECT x FROM theirs"); // it is still there
    file = fopen(w->path, "w");
    for (int i = 0; i < 100; i++) (void)fputs("this is a text and no database\n", file);
    (void)fclose(file);
    open_fails(w, SKALD_ECORRUPT, "not a database");
}

static skald_time fixed_now(void *context)
{
    (void)context;
    return INT64_C(0x018a2b3c4d5e) * 1000;
}

static void the_store_has_an_id(void **state)
{
    static const skald_clock fixed = {.now = fixed_now};
    world *w = *state;

    w->options.clock = &fixed;
    world_open(w);
    world_close(w);
    tamper(w, "CREATE TABLE one(x CHECK (x = 1));"
              "INSERT INTO one SELECT count(*) FROM store WHERE name = 'id' AND length(value) = 36"
              " AND value LIKE '018a2b3c-4d5e-7%'");
}

static void held_says_by_whom(void **state)
{
    world *w = *state;
    skald_store *second = NULL;
    skald_error error = {0};
    char process[32];

    world_open(w);
    assert_int_equal(ski_store_open_on(&w->kernel, w->url, NULL, &second, &error), SKALD_EHELD);
    (void)snprintf(process, sizeof(process), "process %d since", (int)getpid());
    assert_non_null(strstr(error.text, process));
    w->options.read_only = true;
    assert_int_equal(ski_store_open_on(&w->kernel, w->url, &w->options, &second, &error),
                     SKALD_EHELD);
    w->options.read_only = false;
    world_reopen(w);
}

static bool is_there(const world *w, const char *ending)
{
    char path[400];

    (void)snprintf(path, sizeof(path), "%s%s", w->path, ending);
    return access(path, F_OK) == 0;
}

static void read_only_writes_nothing(void **state)
{
    world *w = *state;
    char odd[300];

    w->options.read_only = true;
    open_fails(w, SKALD_EUNAVAILABLE, "no store");
    assert_false(is_there(w, ""));
    assert_false(is_there(w, "-lock"));
    // A name that would mean something in a URI.
    (void)snprintf(w->path, sizeof(w->path), "%s/a?b%%20 c#d.db", w->directory);
    (void)snprintf(w->url, sizeof(w->url), "sqlite:%s", w->path);
    w->options.read_only = false;
    world_open(w);
    append_many(w, 0, 5);
    world_close(w);
    w->options.read_only = true;
    world_open(w);
    assert_int_equal(count_events(w, NULL, NULL), 5);
    assert_int_equal(append(w, "t.x", "s-1", 1, NULL), SKALD_EREADONLY);
    assert_false(is_there(w, "-wal"));
    assert_false(is_there(w, "-shm"));
    world_close(w);
    (void)snprintf(odd, sizeof(odd), "%s/empty.db", w->directory);
    (void)fclose(fopen(odd, "w"));
    (void)snprintf(w->url, sizeof(w->url), "sqlite:%s", odd);
    open_fails(w, SKALD_EUNAVAILABLE, "no store");
}

static void copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    char bytes[4096];
    size_t got;

    assert_non_null(in);
    assert_non_null(out);
    while ((got = fread(bytes, 1, sizeof(bytes), in)) > 0)
        assert_int_equal(fwrite(bytes, 1, got, out), got);
    (void)fclose(in);
    (void)fclose(out);
}

// What is left when the process is killed: the file and SQLite's log.
static void after_a_crash(void **state)
{
    world *w = *state;
    char from[400], to[400];

    world_open(w);
    append_many(w, 0, 20);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(from, sizeof(from), "%s%s", w->path, i ? "-wal" : "");
        (void)snprintf(to, sizeof(to), "%s/crashed.db%s", w->directory, i ? "-wal" : "");
        copy_file(from, to);
    }
    world_close(w);
    (void)snprintf(w->url, sizeof(w->url), "sqlite:%s/crashed.db", w->directory);
    w->options.read_only = true;
    world_open(w);
    assert_int_equal(count_events(w, NULL, NULL), 20);
    world_close(w);
    w->options.read_only = false;
    world_open(w);
    append_many(w, 20, 1);
    assert_int_equal(count_events(w, NULL, NULL), 21);
}

typedef struct findings {
    char text[4096];
} findings;

static void note_damage(void *context, const skald_damage *damage)
{
    findings *found = context;
    size_t len = strlen(found->text);

    (void)snprintf(found->text + len, sizeof(found->text) - len, "[%llu-%llu %s]",
                   (unsigned long long)damage->position_first,
                   (unsigned long long)damage->position_last, damage->why);
}

// verify_says: NULL: all is well.
static void verify_says(world *w, const char *says)
{
    findings found = {{0}};
    skald_verify_options options = {.damaged = note_damage, .context = &found};
    skald_verified verified = {0};
    skald_error error = {0};
    skald_err err = skald_store_verify(w->store, &options, &verified, &error);

    assert_int_equal(err, says ? SKALD_ECORRUPT : SKALD_OK);
    if (says && !strstr(found.text, says)) fail_msg("'%s' does not say '%s'", found.text, says);
    if (!says) assert_int_equal(verified.damaged, 0);
}

static void verify_finds_what_was_changed(void **state)
{
    static const struct {
        const char *sql, *says;
    } changes[] = {
        {"UPDATE events SET data = '\"another\"' WHERE position = 4",
         "[4-4 the event does not have its checksum]"},
        {"UPDATE events SET recorded_at = 1 WHERE position = 4", "recorded before"},
        {"DELETE FROM events WHERE position BETWEEN 4 AND 5", "[4-5 positions are missing]"},
        {"DELETE FROM events WHERE position = 9", "where a stream stands"},
        {"UPDATE events SET stream_version = 40 WHERE position = 9", "have gaps"},
        {"UPDATE streams SET version = version + 1 WHERE stream = 's-1'", "where a stream stands"},
        {"INSERT INTO streams VALUES('', 'never', 4, 77)", "a stream that is not there"},
        {"UPDATE types SET count = 1", "does not count a type"},
        {"INSERT INTO types VALUES('', 't.never', 4, 4)", "a type that is not there"},
    };
    world *w = *state;
    char kept[400];

    world_open(w);
    append_many(w, 0, 9);
    verify_says(w, NULL);
    world_close(w);
    (void)snprintf(kept, sizeof(kept), "%s.kept", w->path);
    copy_file(w->path, kept);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        copy_file(kept, w->path);
        tamper(w, changes[i].sql);
        world_open(w);
        verify_says(w, changes[i].says);
        world_close(w);
    }
}

static void damage_is_read_past(void **state)
{
    world *w = *state;
    size_t damages;

    world_open(w);
    append_many(w, 0, 30);
    world_close(w);
    tamper(w, "UPDATE events SET data = '\"another\"' WHERE position IN (4, 7);"
              "DELETE FROM events WHERE position BETWEEN 10 AND 12");
    world_open(w);
    for (int backwards = 0; backwards < 2; backwards++) {
        skald_str type = SKALD_STR("t.even"), stream = SKALD_STR("s-1");
        skald_read all = {.backwards = backwards},
                   types = {.backwards = backwards,
                            .filter = {.tenant = SKALD_STR(""), .types = {&type, 1}}},
                   streams = {.backwards = backwards,
                              .filter = {.tenant = SKALD_STR(""), .streams = {&stream, 1}}};

        assert_int_equal(count_events(w, &all, &damages), 25);
        assert_int_equal(damages, 3);
        // Numbers are positions less one: of the even ones 6 is damaged; 10 is missing, and the
        // index lost it with the row.
        assert_int_equal(count_events(w, &types, &damages), 13);
        assert_int_equal(damages, 1);
        (void)count_events(w, &streams, &damages);
        assert_true(damages > 0);
    }
}

// A page of the file overwritten: some of it cannot be read, none of it is given wrongly.
static void a_page_of_rubbish(void **state)
{
    enum { page_bytes = 4096, events = 200 };
    world *w = *state;
    size_t damages;
    FILE *file;
    long pages;

    world_open(w);
    append_many(w, 0, events);
    world_close(w);
    file = fopen(w->path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    pages = ftell(file) / page_bytes;
    (void)fclose(file);
    for (long page = 3; page < pages; page += 3) {
        char saved[page_bytes], rubbish[page_bytes];

        memset(rubbish, 0xa5, sizeof(rubbish));
        file = fopen(w->path, "r+b");
        assert_int_equal(fseek(file, page * page_bytes, SEEK_SET), 0);
        assert_int_equal(fread(saved, 1, page_bytes, file), page_bytes);
        assert_int_equal(fseek(file, page * page_bytes, SEEK_SET), 0);
        assert_int_equal(fwrite(rubbish, 1, page_bytes, file), page_bytes);
        (void)fclose(file);
        if (world_open_as(w, NULL) == SKALD_OK) {
            size_t count = count_events(w, NULL, &damages);

            assert_true(count == events || damages > 0);
            verify_says(w, "");
            world_close(w);
        }
        file = fopen(w->path, "r+b");
        assert_int_equal(fseek(file, page * page_bytes, SEEK_SET), 0);
        assert_int_equal(fwrite(saved, 1, page_bytes, file), page_bytes);
        (void)fclose(file);
    }
    world_open(w);
    verify_says(w, NULL);
}

// More threads than there are connections.
typedef struct reader {
    world *w;
    size_t wrong;
} reader;

static void read_often(void *argument)
{
    reader *r = argument;

    for (int i = 0; i < 20; i++) {
        skald_read read = {.page_bytes_max = 2000};
        const skald_event *event = NULL;
        skald_cursor *cursor;
        uint64_t last = 0;

        if (skald_cursor_open(r->w->store, &read, &cursor)) r->wrong++;
        do {
            if (skald_cursor_next(cursor, &event, NULL)) r->wrong++;
            if (event && event->position != ++last) r->wrong++;
        } while (event);
        if (last < 50) r->wrong++;
        skald_cursor_close(cursor);
    }
}

static void more_readers_than_connections(void **state)
{
    enum { threads = SKI_SQLITE_READERS_MAX * 2 };
    world *w = *state;
    reader rs[threads];
    ski_thread ids[threads];

    world_open(w);
    append_many(w, 0, 50);
    for (int i = 0; i < threads; i++) {
        rs[i] = (reader){w, 0};
        assert_int_equal(w->kernel.spawn(w, "reader", read_often, &rs[i], &ids[i]), SKALD_OK);
    }
    append_many(w, 50, 20);
    for (int i = 0; i < threads; i++) w->kernel.join(w, ids[i]);
    for (int i = 0; i < threads; i++) assert_int_equal(rs[i].wrong, 0);
    assert_true(((ski_sqlite *)w->store->instance)->reader_count <= SKI_SQLITE_READERS_MAX);
}

// Erasing.
typedef struct eraser {
    world *w;
    skald_str stream; // its events go
    uint64_t version; // up to this one
    int calls, calls_max, appends;
} eraser;

static bool is_dead(void *context, const skald_store_mark *mark)
{
    eraser *e = context;
    uint64_t version;

    // It may ask, and appends go on.
    assert_int_equal(ski_store_sqlite.stream_version(e->w->store->instance, mark->tenant,
                                                     SKALD_STR("s-0"), &version),
                     SKALD_OK);
    return skald_str_equal(mark->stream, e->stream) && mark->stream_version <= e->version;
}

static bool may_proceed(void *context, uint64_t bytes_done, uint64_t bytes_all)
{
    eraser *e = context;

    assert_true(bytes_done <= bytes_all);
    if (e->appends) {
        e->appends--;
        append_many(e->w, 1000, 1);
    }
    return ++e->calls < e->calls_max;
}

static uint64_t compact(eraser *e, bool erase)
{
    skald_store_compact_job job = {
        .dead = is_dead, .proceed = may_proceed, .context = e, .erase = erase};
    skald_error error = {0};

    e->calls = 0;
    if (ski_store_sqlite.compact(e->w->store->instance, &job, &error)) fail_msg("%s", error.text);
    return job.events_erased;
}

static bool file_says(const world *w, const char *ending, const char *text)
{
    char path[400];
    char *bytes = test_malloc(8 << 20);
    size_t len = 0;
    bool found = false;
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s%s", w->path, ending);
    file = fopen(path, "rb");
    if (file) {
        len = fread(bytes, 1, 8 << 20, file);
        (void)fclose(file);
    }
    for (size_t i = 0; i + strlen(text) <= len && !found; i++)
        found = memcmp(bytes + i, text, strlen(text)) == 0;
    test_free(bytes);
    return found;
}

static bool note_counted(void *context, const skald_counted *item)
{
    *(uint64_t *)context += item->count * 1000 + item->position_last;
    return true;
}

static void compaction_erases(void **state)
{
    world *w = *state;
    eraser e = {.w = w, .stream = SKALD_STR("s-1"), .version = 6, .calls_max = 1000, .appends = 3};
    skald_str stream = SKALD_STR("s-1");
    skald_read of_stream = {.filter = {.tenant = SKALD_STR(""), .streams = {&stream, 1}}};
    uint64_t version, sum = 0, position;

    world_open(w);
    append_many(w, 0, 30); // s-1: numbers 1, 4, 7 … at positions 2, 5, 8 …
    assert_true(file_says(w, "-wal", "number 4 is"));
    assert_int_equal(compact(&e, true), 6);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2; i++) {
            of_stream.backwards = i;
            assert_int_equal(count_events(w, &of_stream, NULL), 7);
            assert_int_equal(count_events(w, &(skald_read){.backwards = i}, NULL), 27);
            assert_int_equal(
                count_events(w, &(skald_read){.after = 1, .before = 9, .backwards = i}, NULL), 4);
        }
        assert_int_equal(skald_store_head(w->store), 33);
        assert_int_equal(skald_stream_version(w->store, SKALD_STR(""), stream, &version), SKALD_OK);
        assert_int_equal(version, 13);
        verify_says(w, NULL);
        world_reopen(w);
    }
    for (int i = 0; i < 2; i++) {
        assert_false(file_says(w, i ? "-wal" : "", "number 4 is"));
        assert_true(file_says(w, "", "number 5 is"));
    }
    // All of it, the newest too: nothing is given again.
    e.version = 100;
    e.appends = 0;
    assert_int_equal(compact(&e, false), 7);
    assert_int_equal(compact(&e, false), 0);
    assert_int_equal(count_events(w, &of_stream, NULL), 0);
    assert_int_equal(ski_store_sqlite.trim(w->store->instance, 100, &position, NULL), SKALD_OK);
    assert_int_equal(position, 34);
    world_reopen(w);
    assert_int_equal(skald_store_head(w->store), 33);
    assert_int_equal(count_events(w, NULL, NULL), 0);
    verify_says(w, NULL);
    assert_int_equal(ski_store_sqlite.types_each(w->store->instance, SKALD_STR(""), note_counted,
                                                 &sum),
                     SKALD_OK);
    assert_int_equal(sum, 0);
    assert_int_equal(ski_store_sqlite.streams_each(w->store->instance, SKALD_STR(""),
                                                   SKALD_STR("s-1"), NULL, note_counted, &sum),
                     SKALD_OK);
    assert_true(sum / 1000 == 13 && sum % 1000 == 33);
    append_many(w, 1, 1);
    assert_int_equal(skald_store_head(w->store), 34);
    assert_int_equal(skald_stream_version(w->store, SKALD_STR(""), stream, &version), SKALD_OK);
    assert_int_equal(version, 14);
    assert_int_equal(count_events(w, &of_stream, NULL), 1);
    verify_says(w, NULL);
    world_close(w);
    tamper(w, "INSERT OR REPLACE INTO erased VALUES(1, 34)");
    world_open(w);
    verify_says(w, "[34-34 an erased event is still there]");
}

static void compaction_can_be_stopped(void **state)
{
    world *w = *state;
    eraser e = {.w = w, .stream = SKALD_STR("s-2"), .version = 5, .calls_max = 1};
    uint64_t position;

    world_open(w);
    append_many(w, 0, 60);
    assert_int_equal(compact(&e, true), 0);
    e.calls_max = 2;
    assert_int_equal(compact(&e, true), 5);
    verify_says(w, NULL);
    assert_int_equal(ski_store_sqlite.trim(w->store->instance, 10, &position, NULL), SKALD_OK);
    assert_int_equal(position, 11);
    assert_int_equal(count_events(w, NULL, NULL), 48);
    verify_says(w, NULL);
    world_close(w);
    w->options.read_only = true;
    world_open(w);
    assert_int_equal(ski_store_sqlite.trim(w->store->instance, 12, &position, NULL),
                     SKALD_EREADONLY);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(names_that_are_no_file),
        WORLD_TEST(a_newer_format_is_refused),
        WORLD_TEST(a_file_of_another_program),
        WORLD_TEST(the_store_has_an_id),
        WORLD_TEST(held_says_by_whom),
        WORLD_TEST(read_only_writes_nothing),
        WORLD_TEST(after_a_crash),
        WORLD_TEST(verify_finds_what_was_changed),
        WORLD_TEST(damage_is_read_past),
        WORLD_TEST(a_page_of_rubbish),
        WORLD_TEST(more_readers_than_connections),
        WORLD_TEST(compaction_erases),
        WORLD_TEST(compaction_can_be_stopped),
    };

    return cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);
}
