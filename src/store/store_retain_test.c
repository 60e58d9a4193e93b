// SPDX-License-Identifier: Apache-2.0
// What is kept, on a memory store that fails on demand: metadata, limits, listings, snapshots and
// compaction when the driver below them, or the memory, does not do what it should.
#include "store/handle.h"

#include "base/alloc.h"
#include "store/memory/memory.h"
#include "store/sight.h"
#include "store/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

// The driver: the memory one but for what is set here.
static struct faulty {
    skald_err submit_err, read_err, version_err;
    uint64_t damaged; // a read that begins before this position fails once, and goes on behind it
    uint64_t version_lie;
    unsigned reads, versions, compacts;
    skald_str value;        // of a stream's metadata, found when opening
    skald_store *overtaken; // it is full once, and somebody else tells the driver what may go
    unsigned submits;
} faulty;

static skald_err faulty_submit(void *driver, skald_store_batch *batch)
{
    skald_store *store = faulty.overtaken;

    faulty.submits++;
    faulty.overtaken = NULL;
    if (store) assert_true(ski_retention_forget(store, true));
    if (store) return SKALD_EFULL;
    return faulty.submit_err ? faulty.submit_err : ski_store_memory.submit(driver, batch);
}

static skald_err faulty_read(void *driver, const skald_read *read, skald_store_page *ret_page,
                             skald_error *reterr_error)
{
    faulty.reads++;
    if (faulty.read_err) return skald_fail(reterr_error, faulty.read_err, "made to fail");
    if (read->after < faulty.damaged) {
        ret_page->position_next = faulty.damaged;
        return skald_fail(reterr_error, SKALD_ECORRUPT, "made to be damaged");
    }
    return ski_store_memory.read(driver, read, ret_page, reterr_error);
}

static skald_err faulty_version(void *driver, skald_str tenant, skald_str stream,
                                uint64_t *ret_version)
{
    faulty.versions++;
    if (faulty.version_err) return faulty.version_err;
    SKALD_TRY(ski_store_memory.stream_version(driver, tenant, stream, ret_version));
    *ret_version += faulty.version_lie;
    return SKALD_OK;
}

static skald_err faulty_compact(void *driver, skald_store_compact_job *job,
                                skald_error *reterr_error)
{
    faulty.compacts++;
    return ski_store_memory.compact(driver, job, reterr_error);
}

static skald_err faulty_each(void *driver, skald_str prefix,
                             bool (*visit)(void *context, const skald_store_value *value),
                             void *context)
{
    if (faulty.value.ptr && skald_str_equal(prefix, SKALD_STR(SKI_RULE_PREFIX))) {
        (void)visit(context, &(skald_store_value){SKALD_STR("$stream/1"), faulty.value});
        return SKALD_OK;
    }
    return ski_store_memory.value_each(driver, prefix, visit, context);
}

static skald_store *store_open(bool compacts)
{
    static skald_store_driver driver;
    skald_store *store = NULL;

    driver = ski_store_memory;
    driver.submit = faulty_submit;
    driver.commit = NULL;
    driver.read = faulty_read;
    driver.stream_version = faulty_version;
    driver.value_each = faulty_each;
    driver.compact = faulty_compact;
    if (!compacts) driver.trim = NULL;
    if (!compacts) driver.compact = NULL;
    assert_int_equal(ski_store_open_driver(&ski_kernel_system, &driver, "", NULL, &store, NULL),
                     SKALD_OK);
    return store;
}

static int setup(void **state)
{
    memset(&faulty, 0, sizeof(faulty));
    *state = store_open(true);
    return 0;
}

static int teardown(void **state)
{
    skald_store_close(*state);
    return 0;
}

static void append_many(skald_store *store, const char *stream, int count)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(skald_store_append(store,
                                            &(skald_event){.type = SKALD_STR("t.x"),
                                                           .stream = skald_str_of(stream)},
                                            1, NULL, NULL, NULL),
                         SKALD_OK);
}

static size_t count_all(skald_store *store)
{
    const skald_event *event = NULL;
    skald_cursor *cursor = NULL;
    size_t count = 0;

    assert_int_equal(skald_cursor_open(store, NULL, &cursor), SKALD_OK);
    do {
        assert_int_equal(skald_cursor_next(cursor, &event, NULL), SKALD_OK);
        count += event != NULL;
    } while (event);
    skald_cursor_close(cursor);
    return count;
}

static skald_err meta_set(skald_store *store, const char *stream, skald_stream_meta meta)
{
    skald_error error = {0};
    skald_err err =
        skald_stream_meta_set(store, SKALD_STR(""), skald_str_of(stream), &meta, &error);

    assert_int_equal(error.err, err);
    return err;
}

static void what_is_not_stored_is_not_so(void **state)
{
    skald_store *store = *state;
    skald_expect expect = {.stream = SKALD_STR("a-1")};
    skald_retention retention = {.max_events = 1, .policy = SKALD_RETAIN_LIMIT}, kept;
    skald_stream_meta meta;

    append_many(store, "a-1", 3);
    faulty.submit_err = SKALD_EREADONLY;
    assert_int_equal(meta_set(store, "a-1", (skald_stream_meta){.max_count = 1}), SKALD_EREADONLY);
    assert_int_equal(skald_stream_delete(store, &expect, true, NULL), SKALD_EREADONLY);
    assert_int_equal(skald_retention_set(store, &retention, NULL), SKALD_EREADONLY);
    assert_int_equal(atomic_load(&store->rules_count), 0);
    assert_int_equal(store->rules.count, 0);
    assert_int_equal(count_all(store), 3);
    faulty.submit_err = SKALD_OK;
    assert_int_equal(meta_set(store, "a-1", (skald_stream_meta){.max_count = 2}), SKALD_OK);
    faulty.submit_err = SKALD_EIO;
    assert_int_equal(meta_set(store, "a-1", (skald_stream_meta){0}), SKALD_EIO);
    assert_int_equal(skald_stream_meta_get(store, SKALD_STR(""), SKALD_STR("a-1"), &meta),
                     SKALD_OK);
    assert_int_equal(meta.max_count, 2);
    skald_retention_get(store, &kept);
    assert_int_equal(kept.max_events, 0);
    assert_int_equal(count_all(store), 2);
}

static void a_read_that_cannot_decide_fails(void **state)
{
    skald_store *store = *state;
    skald_read read = {0};
    skald_store_page page = {0};
    skald_error error = {0};

    append_many(store, "a-1", 3);
    assert_int_equal(meta_set(store, "a-1", (skald_stream_meta){.max_count = 1}), SKALD_OK);
    faulty.version_err = SKALD_EIO;
    assert_int_equal(ski_store_page(store, &read, &page, &error), SKALD_EIO);
    assert_int_equal(error.err, SKALD_EIO);
    assert_null(page.events);
    faulty.version_err = SKALD_OK;
    assert_int_equal(count_all(store), 1);
}

static skald_time now_fixed(void *context)
{
    return *(const skald_time *)context;
}

static void ages_are_searched_once(void **state)
{
    skald_store *store = *state;
    skald_time now = 1000000000;
    skald_retention retention = {.max_age = 1000000, .policy = SKALD_RETAIN_LIMIT};

    store->clock = (skald_clock){now_fixed, store->clock.monotonic_ns, &now};
    append_many(store, "a-1", 5);
    now += 900000;
    append_many(store, "a-1", 5);
    assert_int_equal(skald_retention_set(store, &retention, NULL), SKALD_OK);
    assert_int_equal(count_all(store), 10);
    faulty.reads = 0;
    now += 50000;
    assert_int_equal(count_all(store), 10);
    assert_int_equal(faulty.reads, 2); // the pages of the cursor, none for the age
    now += 100000;
    faulty.read_err = SKALD_EIO;
    uint64_t floor = 0;
    assert_int_equal(ski_retention_floor(store, now, false, &floor, NULL), SKALD_EIO);
    faulty.read_err = SKALD_OK;
    faulty.damaged = 2; // passed over: what is behind it decides
    assert_int_equal(ski_retention_floor(store, now, false, &floor, NULL), SKALD_OK);
    assert_int_equal(floor, 5);
    assert_int_equal(count_all(store), 5);
    faulty.damaged = 0;
    now -= 500000; // a clock that was set back brings nothing back that is not young enough
    assert_int_equal(count_all(store), 10);
    now += 10000000;
    assert_int_equal(count_all(store), 0);
    append_many(store, "a-1", 1);
    assert_int_equal(count_all(store), 1);
}

static void deleting_gives_up(void **state)
{
    skald_store *store = *state;
    skald_expect expect = {.stream = SKALD_STR("a-1")};
    skald_error error;

    append_many(store, "a-1", 1);
    faulty.version_lie = 1; // as if somebody appended again and again
    assert_int_equal(skald_stream_delete(store, &expect, false, &error), SKALD_ECONFLICT);
    assert_int_equal(store->rules.count, 0);
    faulty.version_lie = 0;
    assert_int_equal(count_all(store), 1);
}

static void note_done(skald_store_batch *batch, skald_err err)
{
    *(skald_err *)batch->context = err;
}

// A store that is full is asked again as long as more may go, whoever found that.
static void full_is_asked_again(void **state)
{
    skald_store *store = *state;
    const skald_retention newest = {.max_events = 2, .policy = SKALD_RETAIN_LIMIT};
    skald_event event = {.type = SKALD_STR("t.x")};
    skald_err told = SKALD_EFULL;
    skald_store_batch batch = {
        .events = &event, .event_count = 1, .done = note_done, .context = &told};

    append_many(store, "a-1", 5);
    assert_int_equal(skald_retention_set(store, &newest, NULL), SKALD_OK);
    append_many(store, "a-1", 5);
    faulty.overtaken = store;
    append_many(store, "a-1", 5);
    faulty.overtaken = store;
    assert_int_equal(ski_store_submit(store, &batch), SKALD_OK);
    assert_int_equal(told, SKALD_OK);
    assert_int_equal(count_all(store), 2);
    assert_false(ski_retention_forget(store, true) && ski_retention_forget(store, true));
    faulty.submit_err = SKALD_EFULL; // nothing more may go: that was all
    faulty.submits = 0;
    event.id = (skald_uuid){{0}};
    assert_int_equal(ski_store_submit(store, &batch), SKALD_EFULL);
    assert_int_equal(faulty.submits, 1);
}

// Expectations of deleted streams are said otherwise to the driver; whoever gave them sees his own.
static void expectations_come_back(void **state)
{
    skald_store *store = *state;
    skald_expect expects[] = {{.stream = SKALD_STR("b-1"), .expected = SKALD_PRESENT},
                              {.stream = SKALD_STR("a-1"), .expected = SKALD_NONE},
                              {.stream = SKALD_STR("c-1"), .expected = SKALD_PRESENT}};
    skald_event event = {.type = SKALD_STR("t.x"), .stream = SKALD_STR("a-1")};
    skald_err told = SKALD_OK;
    skald_store_batch batch = {.events = &event,
                               .event_count = 1,
                               .expect = expects,
                               .expect_count = 2,
                               .done = note_done,
                               .context = &told};
    skald_error error;

    append_many(store, "a-1", 2);
    append_many(store, "b-1", 1);
    append_many(store, "c-1", 1);
    for (int i = 1; i < 3; i++)
        assert_int_equal(skald_stream_delete(store, &(skald_expect){.stream = expects[i].stream},
                                             false, NULL),
                         SKALD_OK);
    for (int refused = 1; refused >= 0; refused--) {
        faulty.submit_err = refused ? SKALD_EFULL : SKALD_OK;
        assert_int_equal(ski_store_submit(store, &batch), faulty.submit_err);
        assert_ptr_equal(batch.expect, expects);
        assert_ptr_equal(batch.done, note_done);
        assert_ptr_equal(batch.context, &told);
    }
    assert_int_equal(told, SKALD_OK);
    assert_int_equal(batch.appended.stream_version, 3);
    event.id = (skald_uuid){{0}};
    batch.expect = &expects[1];
    assert_int_equal(ski_store_commit(store, &batch), SKALD_OK);
    assert_int_equal(told, SKALD_ECONFLICT); // a-1 is there again
    assert_int_equal(batch.conflict, 0);
    assert_int_equal(batch.actual_version, 3);
    batch.expect = &expects[2];
    batch.expect_count = 1;
    assert_int_equal(ski_store_commit(store, &batch), SKALD_OK);
    assert_int_equal(ski_store_batch_fail(&batch, told, &error), SKALD_ECONFLICT);
    assert_non_null(strstr(error.text, "'c-1' does not exist, it was expected to exist"));
}

static void bad_values_are_not_opened(void **state)
{
    char bytes[SKI_RULE_VALUE_BYTES_MAX];
    ski_rule rule = {.max_count = 1};
    size_t len = ski_rule_write(SKALD_STR("t"), SKALD_STR("stream"), &rule, bytes);
    skald_store_driver driver = ski_store_memory;
    skald_store *store = NULL;
    skald_error error;

    (void)state;
    driver.value_each = faulty_each;
    for (size_t cut = 0; cut <= len; cut++) {
        faulty.value = (skald_str){bytes, cut};
        skald_err err =
            ski_store_open_driver(&ski_kernel_system, &driver, "", NULL, &store, &error);

        assert_int_equal(err, cut < len ? SKALD_ECORRUPT : SKALD_OK);
        if (err) assert_non_null(strstr(error.text, "metadata"));
        if (!err) skald_store_close(store);
    }
    for (size_t at = 0; at < 2; at++) {
        bytes[at] = 2; // another form, a flag that is not known
        faulty.value = (skald_str){bytes, len};
        assert_int_equal(ski_store_open_driver(&ski_kernel_system, &driver, "", NULL, &store,
                                               &error),
                         SKALD_EUNSUPPORTED);
        bytes[at] = at == 0;
    }
    faulty.value = (skald_str){0};
}

static bool compacts_in_between(void *context, uint64_t done, uint64_t all)
{
    skald_error error = {0};

    (void)done;
    (void)all;
    assert_int_equal(skald_store_compact(context, NULL, NULL, &error), SKALD_ESTATE);
    assert_true(error.text[0] != 0);
    return true;
}

static void one_compaction_runs(void **state)
{
    skald_store *store = *state;
    skald_compact_options options = {.progress = compacts_in_between, .context = store};
    skald_error error;

    append_many(store, "a-1", 3);
    assert_int_equal(skald_store_compact(store, &options, NULL, NULL), SKALD_OK);
    assert_int_equal(skald_store_compact(store, NULL, NULL, NULL), SKALD_OK);
    skald_store_close(store);
    *state = store = store_open(false);
    assert_int_equal(skald_store_compact(store, NULL, NULL, &error), SKALD_EUNSUPPORTED);
    assert_non_null(strstr(error.text, "'memory'"));
    store->options.read_only = true;
    store->driver = &ski_store_memory;
    assert_int_equal(skald_store_compact(store, NULL, NULL, NULL), SKALD_EREADONLY);
}

// Everything there is to ask, without the n-th allocation, for every n: it fails or it is right.
static skald_err ask_all(skald_store *store, skald_arena *arena)
{
    skald_snapshot snapshot = {.stream_version = 5, .bytes = SKALD_STR("x")};
    skald_stream_meta meta = {.max_count = 2};
    const skald_counted *names;
    skald_err err;
    size_t count;

    SKALD_TRY(skald_stream_meta_set(store, SKALD_STR(""), SKALD_STR("a-1"), &meta, NULL));
    SKALD_TRY(skald_store_types(store, SKALD_STR(""), arena, &names, &count));
    assert_int_equal(count, 1);
    assert_int_equal(names[0].count, 2 + 3);
    SKALD_TRY(
        skald_store_streams(store, SKALD_STR(""), SKALD_STR(""), NULL, 10, arena, &names, &count));
    assert_int_equal(count, 2);
    SKALD_TRY(skald_snapshot_put(store, SKALD_STR(""), SKALD_STR("a-1"), &snapshot, NULL));
    SKALD_TRY(skald_snapshot_get(store, SKALD_STR(""), SKALD_STR("a-1"), 1, arena, &snapshot));
    err = skald_store_append(
        store, &(skald_event){.type = SKALD_STR("t.x"), .stream = SKALD_STR("d-1")}, 1,
        &(skald_append_options){.expect = &(skald_expect){.stream = SKALD_STR("d-1"),
                                                          .expected = SKALD_PRESENT},
                                .expect_count = 1},
        NULL, NULL);
    if (err != SKALD_ECONFLICT) return err;
    SKALD_TRY(ski_store_hold(store, SKALD_STR("sub"), 1, 1, NULL));
    SKALD_TRY(skald_store_compact(store, NULL, NULL, NULL));
    SKALD_TRY(skald_store_types(store, SKALD_STR(""), arena, &names, &count));
    assert_int_equal(names[0].count, 2 + 3);
    return SKALD_OK;
}

static void without_memory_it_fails_or_is_right(void **state)
{
    skald_err err = SKALD_ENOMEM;
    uint64_t n = 1;

    for (; err; n++) {
        skald_arena *arena;

        (void)teardown(state);
        (void)setup(state);
        assert_int_equal(skald_arena_new(1 << 20, &arena), SKALD_OK);
        append_many(*state, "a-1", 5);
        append_many(*state, "b-1", 3);
        append_many(*state, "d-1", 1);
        assert_int_equal(skald_stream_delete(*state, &(skald_expect){.stream = SKALD_STR("d-1")},
                                             false, NULL),
                         SKALD_OK);
        ski_alloc_fail_at(n);
        err = ask_all(*state, arena);
        ski_alloc_fail_at(0);
        if (err) assert_int_equal(err, SKALD_ENOMEM);
        skald_arena_reset(arena);
        assert_int_equal(ask_all(*state, arena), SKALD_OK); // nothing was left in between
        assert_int_equal(count_all(*state), 5);
        skald_arena_free(arena);
    }
    assert_true(n > 20);
}

static void entries_change_places(void **state)
{
    ski_rules rules = {.seed = 7};
    char name[8] = "s-000";

    (void)state;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 200; i++) {
            ski_rule rule = {.max_count = (uint64_t)i + 1};

            name[2] = (char)('0' + i / 100);
            name[3] = (char)('0' + i / 10 % 10);
            name[4] = (char)('0' + i % 10);
            assert_int_equal(ski_rules_put(&rules, SKALD_STR("t"), skald_str_of(name), &rule),
                             SKALD_OK);
        }
        for (int i = 0; i < 200; i += 2) {
            name[2] = (char)('0' + i / 100);
            name[3] = (char)('0' + i / 10 % 10);
            name[4] = (char)('0' + i % 10);
            ski_rules_remove(&rules, SKALD_STR("t"), skald_str_of(name));
            ski_rules_remove(&rules, SKALD_STR(""), skald_str_of(name)); // there is none
            assert_null(ski_rules_find(&rules, SKALD_STR("t"), skald_str_of(name)));
            name[4]++;
            const ski_rules_entry *entry =
                ski_rules_find(&rules, SKALD_STR("t"), skald_str_of(name));
            assert_non_null(entry);
            assert_int_equal(entry->rule.max_count, i + 2);
        }
        assert_int_equal(rules.count, 100);
    }
    ski_rules_fini(&rules);
}

static uint64_t types_counted(skald_store *store)
{
    const skald_counted *types = NULL;
    skald_arena *arena = NULL;
    size_t count = 0;
    uint64_t events = 0;

    assert_int_equal(skald_arena_new(1 << 20, &arena), SKALD_OK);
    assert_int_equal(skald_store_types(store, SKALD_STR(""), arena, &types, &count), SKALD_OK);
    for (size_t i = 0; i < count; i++) events += types[i].count;
    skald_arena_free(arena);
    return events;
}

// Counting types takes off what is hidden, as far as it looks: no question reads the whole log.
static void counting_types_has_an_end(void **state)
{
    enum { at_once = 10000, extra = 500 };
    skald_store *store = *state;
    skald_event *events = ski_alloc_zeroed(at_once, sizeof(*events));
    unsigned reads;

    assert_non_null(events);
    for (int i = 0; i < at_once; i++)
        events[i] = (skald_event){.type = SKALD_STR("t.x"), .stream = SKALD_STR("a-1")};
    append_many(store, "b-1", 10);
    for (int hidden = 0; hidden <= SKI_TALLY_EVENTS_MAX + extra; hidden += at_once) {
        size_t count = SKI_TALLY_EVENTS_MAX + extra - hidden < at_once ? extra : at_once;

        assert_int_equal(skald_store_append(store, events, count, NULL, NULL, NULL), SKALD_OK);
        for (size_t i = 0; i < count; i++) events[i].id = (skald_uuid){{0}};
        if (hidden) continue;
        assert_int_equal(meta_set(store, "a-1", (skald_stream_meta){.truncate_before = at_once}),
                         SKALD_OK);
        assert_int_equal(types_counted(store), 11); // exact
        assert_int_equal(meta_set(store, "a-1", (skald_stream_meta){0}), SKALD_OK);
    }
    assert_int_equal(skald_stream_delete(store, &(skald_expect){.stream = SKALD_STR("a-1")}, false,
                                         NULL),
                     SKALD_OK);
    reads = faulty.reads;
    assert_in_range(types_counted(store), 10 + 1, 10 + extra + 16);
    assert_true(faulty.reads - reads < SKI_TALLY_EVENTS_MAX / 100);
    ski_free(events);
}

// How it was asked whether to go on, before the driver compacts.
typedef struct pace {
    unsigned asked, allowed; // times; of them
    unsigned versions, most; // the driver was asked for: before, in one go
} pace;

static bool pace_go_on(void *context, uint64_t bytes_done, uint64_t bytes_all)
{
    pace *of = context;

    (void)bytes_done;
    (void)bytes_all;
    if (faulty.compacts) return true;
    if (faulty.versions - of->versions > of->most) of->most = faulty.versions - of->versions;
    of->versions = faulty.versions;
    return ++of->asked <= of->allowed;
}

// Before anything is taken away it is found out of each stream with metadata what is dead: who
// closes the store meanwhile, or compacts no longer, does not wait for all of them.
static void finding_what_is_dead_is_interrupted(void **state)
{
    enum { streams = 600, at_once = 256, stops = 3 };
    skald_store *store = *state;
    skald_compacted compacted = {0};
    char name[16];

    for (int i = 0; i < streams; i++) {
        (void)snprintf(name, sizeof(name), "a-%d", i);
        append_many(store, name, 2);
        assert_int_equal(meta_set(store, name, (skald_stream_meta){.max_count = 1}), SKALD_OK);
    }
    for (unsigned allowed = 0; allowed <= stops; allowed++) {
        pace of = {.allowed = allowed, .versions = faulty.versions};
        skald_compact_options options = {.progress = pace_go_on, .context = &of};
        bool whole = allowed == stops;

        assert_int_equal(skald_store_compact(store, &options, &compacted, NULL), SKALD_OK);
        assert_int_equal(of.asked, whole ? stops : allowed + 1);
        assert_in_range(of.most, 0, at_once);
        assert_int_equal(faulty.compacts, whole);
        assert_int_equal(compacted.events_erased, whole ? streams : 0);
    }
}

int main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        ROW(what_is_not_stored_is_not_so),
        ROW(a_read_that_cannot_decide_fails),
        ROW(ages_are_searched_once),
        ROW(deleting_gives_up),
        ROW(full_is_asked_again),
        ROW(expectations_come_back),
        ROW(bad_values_are_not_opened),
        ROW(one_compaction_runs),
        ROW(without_memory_it_fails_or_is_right),
        ROW(entries_change_places),
        ROW(counting_types_has_an_end),
        ROW(finding_what_is_dead_is_interrupted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
