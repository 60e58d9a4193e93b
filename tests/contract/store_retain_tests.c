// SPDX-License-Identifier: Apache-2.0
// What is kept: metadata of streams, deleting, limits of the whole log. Whatever hides an event
// hides it from every read, and from nothing that must still know of it.
#include "contract/store_fixture.h"

#include <stdio.h>
#include <string.h>

static skald_str tenant_none(void)
{
    return text("");
}

static void meta_set(fixture *f, const char *stream, skald_stream_meta meta)
{
    skald_error error = {0};

    if (skald_stream_meta_set(f->store, tenant_none(), text(stream), &meta, &error))
        fail_msg("meta_set: %s %s", error.field, error.text);
}

static skald_stream_meta meta_get(fixture *f, const char *stream)
{
    skald_stream_meta meta = {.max_count = 77};

    assert_int_equal(skald_stream_meta_get(f->store, tenant_none(), text(stream), &meta), SKALD_OK);
    return meta;
}

static skald_err delete_at(fixture *f, const char *stream, skald_expected expected,
                           uint64_t version, bool tombstone)
{
    skald_expect expect = {tenant_none(), text(stream), expected, version};
    skald_error error = {0};
    skald_err err = skald_stream_delete(f->store, &expect, tombstone, &error);

    assert_int_equal(error.err, err);
    assert_true(!err || error.text[0]);
    return err;
}

static skald_err append_at(fixture *f, const char *stream, skald_expected expected,
                           uint64_t version, skald_appended *ret_appended)
{
    skald_expect expect = {tenant_none(), text(stream), expected, version};
    skald_append_options options = {.expect = &expect, .expect_count = 1};
    skald_event event = event_of(f, "t.x", stream, 0);
    skald_error error = {0};
    skald_err err = skald_store_append(f->store, &event, 1, &options, ret_appended, &error);

    assert_int_equal(error.err, err);
    assert_true(!err || error.text[0]);
    return err;
}

static uint64_t version_of(fixture *f, const char *stream)
{
    uint64_t version = 99;

    assert_int_equal(skald_stream_version(f->store, tenant_none(), text(stream), &version),
                     SKALD_OK);
    return version;
}

static void append_many(fixture *f, const char *stream, int count)
{
    for (int i = 0; i < count; i++) append_one(f, event_of(f, "t.x", stream, i));
}

// count_streams: how many a listing has, whatever its page.
static size_t count_streams(fixture *f, size_t page)
{
    const skald_counted *streams;
    skald_counted after = {0};
    size_t all = 0, count;

    do {
        assert_int_equal(skald_store_streams(f->store, tenant_none(), (skald_str){0}, &after, page,
                                             f->arena, &streams, &count),
                         SKALD_OK);
        if (count) after = streams[count - 1];
        all += count;
    } while (count == page);
    return all;
}

static uint64_t count_types(fixture *f, const char *type)
{
    const skald_counted *types;
    uint64_t events = 0;
    size_t count;

    assert_int_equal(skald_store_types(f->store, tenant_none(), f->arena, &types, &count),
                     SKALD_OK);
    for (size_t i = 0; i < count; i++) {
        assert_true(types[i].count != 0);
        if (!type || skald_str_equal(types[i].name, text(type))) events += types[i].count;
    }
    return events;
}

// sees asserts that exactly the positions (ending with 0) can be read, every way there is.
static void sees(fixture *f, const uint64_t *positions)
{
    size_t count = 0;

    while (positions[count]) count++;
    for (int backwards = 0; backwards < 2; backwards++) {
        skald_read read = {.backwards = backwards};
        events_list list = read_all(f, &read);

        assert_int_equal(list.count, count);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(list.items[i].position, positions[backwards ? count - 1 - i : i]);
    }
    assert_int_equal(count_types(f, NULL), count);
}
#define SEES(f, ...) sees(f, (const uint64_t[]){__VA_ARGS__, 0})
#define SEES_NOTHING(f) sees(f, (const uint64_t[]){0})

static size_t count_read(fixture *f, const char *stream)
{
    skald_str name = text(stream);
    skald_read read = {.filter = {.tenant = tenant_none(), .streams = {&name, 1}}};
    size_t count = read_all(f, &read).count;

    read.backwards = true;
    assert_int_equal(read_all(f, &read).count, count);
    return count;
}

void max_count_keeps_the_newest(void **state)
{
    fixture *f = *state;

    append_many(f, "a-1", 3);
    append_many(f, "b-1", 2);
    meta_set(f, "a-1", (skald_stream_meta){.max_count = 2});
    SEES(f, 2, 3, 4, 5);
    append_many(f, "a-1", 1);
    SEES(f, 3, 4, 5, 6);
    assert_int_equal(version_of(f, "a-1"), 4);
    assert_int_equal(meta_get(f, "a-1").max_count, 2);
    meta_set(f, "a-1", (skald_stream_meta){.max_count = 1000});
    SEES(f, 1, 2, 3, 4, 5, 6); // until it is compacted
    meta_set(f, "a-1", (skald_stream_meta){0});
    assert_int_equal(meta_get(f, "a-1").max_count, 0);
    assert_int_equal(meta_get(f, "never-was").max_count, 0);
}

void max_age_hides_by_time(void **state)
{
    fixture *f = *state;
    const skald_time minute = 60 * 1000000LL;

    append_many(f, "a-1", 2);
    append_many(f, "b-1", 1);
    meta_set(f, "a-1", (skald_stream_meta){.max_age = 10 * minute});
    SEES(f, 1, 2, 3);
    atomic_fetch_add(&f->now, 9 * minute);
    append_many(f, "a-1", 1);
    SEES(f, 1, 2, 3, 4);
    atomic_fetch_add(&f->now, 2 * minute);
    SEES(f, 3, 4);
    assert_int_equal(count_streams(f, 1), 2);
    atomic_fetch_add(&f->now, 20 * minute);
    SEES(f, 3);
    assert_int_equal(count_streams(f, 1), 1);
    assert_int_equal(version_of(f, "a-1"), 3); // it stands where it stood
    assert_int_equal(append_at(f, "a-1", SKALD_AT, 3, NULL), SKALD_OK);
    SEES(f, 3, 5);
    assert_int_equal(count_streams(f, 1), 2);
}

void truncate_before_hides(void **state)
{
    fixture *f = *state;

    append_many(f, "a-1", 5);
    meta_set(f, "a-1", (skald_stream_meta){.truncate_before = 4});
    SEES(f, 4, 5);
    meta_set(f, "a-1", (skald_stream_meta){.truncate_before = 9});
    SEES_NOTHING(f);
    assert_int_equal(count_streams(f, 10), 0);
    append_many(f, "a-1", 4);
    SEES(f, 9);
    meta_set(f, "a-1", (skald_stream_meta){.truncate_before = 1, .max_count = 3, .max_age = 1});
    SEES_NOTHING(f); // all of them hold
}

void a_deleted_stream_is_written_again(void **state)
{
    fixture *f = *state;
    skald_appended appended;

    append_many(f, "a-1", 3);
    assert_int_equal(delete_at(f, "a-1", SKALD_ANY, 0, false), SKALD_OK);
    SEES_NOTHING(f);
    assert_true(meta_get(f, "a-1").deleted);
    assert_int_equal(version_of(f, "a-1"), 0);
    assert_int_equal(count_streams(f, 10), 0);
    assert_int_equal(append_at(f, "a-1", SKALD_PRESENT, 0, NULL), SKALD_ECONFLICT);
    assert_int_equal(append_at(f, "a-1", SKALD_AT, 2, NULL), SKALD_ECONFLICT);
    assert_int_equal(append_at(f, "a-1", SKALD_NONE, 0, &appended), SKALD_OK);
    assert_int_equal(appended.stream_version, 4);
    SEES(f, 4);
    assert_false(meta_get(f, "a-1").deleted);
    assert_int_equal(version_of(f, "a-1"), 4);
    assert_int_equal(append_at(f, "a-1", SKALD_NONE, 0, NULL), SKALD_ECONFLICT);
    assert_int_equal(append_at(f, "a-1", SKALD_AT, 0, NULL), SKALD_ECONFLICT);
    assert_int_equal(append_at(f, "a-1", SKALD_PRESENT, 0, NULL), SKALD_OK);
    for (int i = 0; i < 3; i++) { // each way in
        uint64_t version = version_of(f, "a-1");

        assert_int_equal(delete_at(f, "a-1", SKALD_AT, version, false), SKALD_OK);
        SEES_NOTHING(f);
        assert_int_equal(append_at(f, "a-1", i == 1 ? SKALD_ANY : SKALD_AT, i ? version : 0,
                                   &appended),
                         SKALD_OK);
        assert_int_equal(appended.stream_version, version + 1);
    }
    meta_set(f, "a-1", (skald_stream_meta){.truncate_before = 1});
    SEES(f, 8); // what was deleted does not come back
}

void deleting_checks_where_the_stream_stands(void **state)
{
    fixture *f = *state;
    skald_expect expect = {tenant_none(), text("a-1"), SKALD_AT, 7};
    skald_error error = {0};

    assert_int_equal(delete_at(f, "a-1", SKALD_ANY, 0, false), SKALD_ENOTFOUND);
    append_many(f, "a-1", 2);
    assert_int_equal(skald_stream_delete(f->store, &expect, false, &error), SKALD_ECONFLICT);
    assert_int_equal(error.expected_version, 7);
    assert_int_equal(error.actual_version, 2);
    assert_int_equal(delete_at(f, "a-1", SKALD_NONE, 0, false), SKALD_ECONFLICT);
    assert_int_equal(delete_at(f, "a-1", SKALD_AT, 1, true), SKALD_ECONFLICT);
    SEES(f, 1, 2);
    assert_int_equal(delete_at(f, "a-1", SKALD_PRESENT, 0, false), SKALD_OK);
    assert_int_equal(delete_at(f, "a-1", SKALD_PRESENT, 0, false), SKALD_ECONFLICT);
    assert_int_equal(delete_at(f, "a-1", SKALD_ANY, 0, false), SKALD_ENOTFOUND);
    assert_int_equal(delete_at(f, "", SKALD_ANY, 0, false), SKALD_EINVALID);
    assert_int_equal(delete_at(f, "$a", SKALD_ANY, 0, false), SKALD_EINVALID);
}

void a_tombstoned_stream_is_closed(void **state)
{
    fixture *f = *state;
    skald_event first = event_of(f, "t.x", "a-1", 1), both[2];
    skald_stream_meta meta = {.max_count = 1};
    skald_error error = {0};
    skald_appended again;

    first.id = id_of(1);
    append_one(f, first);
    assert_int_equal(delete_at(f, "a-1", SKALD_AT, 1, true), SKALD_OK);
    SEES_NOTHING(f);
    assert_true(meta_get(f, "a-1").tombstoned);
    assert_false(meta_get(f, "a-1").deleted);
    assert_int_equal(version_of(f, "a-1"), 0);
    assert_int_equal(append_at(f, "a-1", SKALD_ANY, 0, NULL), SKALD_ESTATE);
    both[0] = event_of(f, "t.x", "b-1", 1);
    both[1] = event_of(f, "t.x", "a-1", 1);
    append_fails(f, both, 2, NULL, SKALD_ESTATE, &error);
    assert_non_null(strstr(error.text, "'a-1'"));
    again = append_one(f, first); // it happened
    assert_true(again.repeated);
    assert_int_equal(again.position_first, 1);
    SEES_NOTHING(f);
    assert_int_equal(skald_stream_meta_set(f->store, tenant_none(), text("a-1"), &meta, &error),
                     SKALD_ESTATE);
    assert_int_equal(delete_at(f, "a-1", SKALD_ANY, 0, true), SKALD_OK); // it is
    assert_int_equal(delete_at(f, "a-1", SKALD_ANY, 0, false), SKALD_ESTATE);
    assert_int_equal(delete_at(f, "never-was", SKALD_NONE, 0, true), SKALD_OK);
    assert_int_equal(append_at(f, "never-was", SKALD_NONE, 0, NULL), SKALD_ESTATE);
    // Others are not meant, nor is another tenant's of that name.
    both[1].tenant = text("acme");
    append_all(f, both, 2, NULL);
    assert_int_equal(count_read(f, "b-1"), 1);
}

void bad_metadata_is_refused(void **state)
{
    fixture *f = *state;
    char name[SKALD_STREAM_BYTES_MAX + 2];
    skald_stream_meta meta = {.max_count = 1};
    skald_str bad[] = {text(""), text("$own"), {name, SKALD_STREAM_BYTES_MAX + 1}};
    skald_error error = {0};

    memset(name, 'n', sizeof(name));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(skald_stream_meta_set(f->store, tenant_none(), bad[i], &meta, &error),
                         SKALD_EINVALID);
        assert_string_equal(error.field, "stream");
        assert_int_equal(skald_stream_meta_get(f->store, tenant_none(), bad[i], &meta),
                         SKALD_EINVALID);
    }
    assert_int_equal(skald_stream_meta_set(f->store, (skald_str){name, SKALD_TENANT_BYTES_MAX + 1},
                                           text("a"), &meta, &error),
                     SKALD_EINVALID);
    assert_string_equal(error.field, "tenant");
    meta.max_age = -1;
    assert_int_equal(skald_stream_meta_set(f->store, tenant_none(), text("a"), &meta, &error),
                     SKALD_EINVALID);
    assert_string_equal(error.field, "max_age");
    // The longest names there are.
    meta.max_age = 0;
    assert_int_equal(skald_stream_meta_set(f->store, (skald_str){name, SKALD_TENANT_BYTES_MAX},
                                           (skald_str){name, SKALD_STREAM_BYTES_MAX}, &meta,
                                           &error),
                     SKALD_OK);
}

void hidden_ids_are_known(void **state)
{
    fixture *f = *state;
    skald_event event = event_of(f, "t.x", "a-1", 1), found;

    event.id = id_of(9);
    append_one(f, event);
    append_many(f, "a-1", 1);
    meta_set(f, "a-1", (skald_stream_meta){.max_count = 1});
    assert_int_equal(skald_store_event(f->store, event.id, tenant_none(), f->arena, &found),
                     SKALD_ENOTFOUND);
    assert_true(append_one(f, event).repeated);
    event.data = text("2");
    append_fails(f, &event, 1, NULL, SKALD_EEXISTS, NULL);
}

void a_limit_counts_what_is_seen(void **state)
{
    fixture *f = *state;
    skald_event many[500];

    for (int i = 0; i < 500; i++) many[i] = event_of(f, "t.x", i % 100 == 50 ? "b-1" : "a-1", i);
    append_all(f, many, 500, NULL);
    meta_set(f, "a-1", (skald_stream_meta){.truncate_before = 1000});
    for (int backwards = 0; backwards < 2; backwards++) {
        for (uint64_t max = 1; max < 7; max++) {
            skald_read read = {.events_max = max, .backwards = backwards};

            assert_int_equal(read_all(f, &read).count, max < 5 ? max : 5);
            read.page_bytes_max = 1;
            assert_int_equal(read_all(f, &read).count, max < 5 ? max : 5);
        }
    }
}

void empty_pages_lead_on(void **state)
{
    fixture *f = *state;
    skald_read read = {.events_max = 1};
    bool end = false;
    int pages = 0;

    append_many(f, "a-1", 300);
    append_many(f, "b-1", 1);
    meta_set(f, "a-1", (skald_stream_meta){.truncate_before = 1000});
    for (; !end; pages++) {
        skald_store_page page = {0};

        assert_int_equal(ski_store_page(f->store, &read, &page, NULL), SKALD_OK);
        assert_true(page.end || page.position_next > read.after);
        end = page.end || page.count;
        if (end) assert_int_equal(page.events[0].position, 301);
        read.after = page.position_next;
        ski_store_page_free(f->store, &page);
    }
    assert_true(pages <= 20); // not one for each that is hidden
}

void metadata_outlives_closing(void **state)
{
    fixture *f = *state;
    skald_retention retention = {.max_events = 4, .policy = SKALD_RETAIN_LIMIT};

    if (!f->contract->reopen) skip();
    append_many(f, "a-1", 4);
    append_many(f, "b-1", 2);
    append_many(f, "c-1", 2);
    meta_set(f, "a-1", (skald_stream_meta){.max_count = 1, .max_age = 1LL << 50});
    assert_int_equal(delete_at(f, "b-1", SKALD_ANY, 0, false), SKALD_OK);
    assert_int_equal(delete_at(f, "d-1", SKALD_ANY, 0, true), SKALD_OK);
    SEES(f, 4, 7, 8);
    f->store = f->contract->reopen(f->store, &f->options);
    assert_non_null(f->store);
    SEES(f, 4, 7, 8);
    assert_true(meta_get(f, "b-1").deleted);
    assert_int_equal(meta_get(f, "a-1").max_age, 1LL << 50);
    assert_int_equal(append_at(f, "d-1", SKALD_ANY, 0, NULL), SKALD_ESTATE);
    assert_int_equal(skald_retention_set(f->store, &retention, NULL), SKALD_OK);
    meta_set(f, "a-1", (skald_stream_meta){0});
    f->store = f->contract->reopen(f->store, &f->options);
    assert_non_null(f->store);
    skald_retention_get(f->store, &retention);
    assert_int_equal(retention.max_events, 4);
    assert_int_equal(retention.policy, SKALD_RETAIN_LIMIT);
    assert_int_equal(meta_get(f, "a-1").max_count, 0);
    SEES(f, 7, 8);
}

void metadata_has_a_limit(void **state)
{
    fixture *f = *state;
    static const char *const names[] = {"a-0", "a-1", "a-2"};
    skald_stream_meta meta = {.max_count = 5};
    skald_store_state stands;
    skald_error error = {0};

    f->contract->close(f->store);
    f->options.stream_metas_max = 3;
    f->store = f->contract->open(&f->options);
    assert_non_null(f->store);
    for (int i = 0; i < 3; i++) meta_set(f, names[i], (skald_stream_meta){.max_count = 1});
    assert_int_equal(skald_stream_meta_set(f->store, tenant_none(), text("b"), &meta, &error),
                     SKALD_EFULL);
    assert_non_null(strstr(error.text, "stream_metas_max"));
    append_many(f, "b", 1);
    assert_int_equal(delete_at(f, "b", SKALD_ANY, 0, false), SKALD_EFULL);
    SEES(f, 1);
    meta_set(f, "a-1", meta); // one that is there can be changed
    skald_store_state_get(f->store, &stands);
    assert_int_equal(stands.stream_metas, 3);
    meta_set(f, "a-0", (skald_stream_meta){0}); // and taken away
    meta_set(f, "b", meta);
    assert_int_equal(meta_get(f, "a-1").max_count, 5);
    assert_int_equal(meta_get(f, "a-2").max_count, 1);
}

static void retain(fixture *f, skald_time max_age, uint64_t max_events, skald_retain policy)
{
    skald_retention retention = {max_age, max_events, policy};
    skald_error error = {0};

    if (skald_retention_set(f->store, &retention, &error)) fail_msg("%s", error.text);
}

static uint64_t hold(fixture *f, const char *name, uint64_t position)
{
    uint64_t lost = 77;

    assert_int_equal(ski_store_hold(f->store, text(name), position, position, &lost), SKALD_OK);
    return lost;
}

void the_log_has_limits(void **state)
{
    fixture *f = *state;
    const skald_time minute = 60 * 1000000LL;
    skald_retention bad = {.max_age = -1};
    skald_error error = {0};

    append_many(f, "a-1", 6);
    retain(f, 0, 4, SKALD_RETAIN_ACKED);
    SEES(f, 3, 4, 5, 6);
    append_many(f, "a-1", 1);
    SEES(f, 4, 5, 6, 7);
    retain(f, 10 * minute, 0, SKALD_RETAIN_ACKED);
    SEES(f, 1, 2, 3, 4, 5, 6, 7);
    atomic_fetch_add(&f->now, 6 * minute);
    append_many(f, "a-1", 1);
    SEES(f, 1, 2, 3, 4, 5, 6, 7, 8);
    atomic_fetch_add(&f->now, 6 * minute);
    SEES(f, 8);
    assert_int_equal(version_of(f, "a-1"), 8);
    atomic_fetch_add(&f->now, 6 * minute);
    SEES_NOTHING(f);
    assert_int_equal(count_streams(f, 10), 0);
    append_many(f, "b-1", 1);
    SEES(f, 9);
    retain(f, 100 * minute, 2, SKALD_RETAIN_ACKED); // the shorter one counts
    SEES(f, 8, 9);
    retain(f, 0, 1, SKALD_RETAIN_ALWAYS);
    SEES(f, 1, 2, 3, 4, 5, 6, 7, 8, 9);
    assert_int_equal(skald_retention_set(f->store, &bad, &error), SKALD_EINVALID);
    assert_string_equal(error.field, "max_age");
    bad = (skald_retention){.policy = (skald_retain)3};
    assert_int_equal(skald_retention_set(f->store, &bad, &error), SKALD_EINVALID);
    assert_string_equal(error.field, "policy");
}

void what_is_held_is_kept(void **state)
{
    fixture *f = *state;
    skald_store_state stands;

    append_many(f, "a-1", 8);
    hold(f, "slow", 1);
    hold(f, "quick", 7);
    retain(f, 0, 2, SKALD_RETAIN_ACKED);
    SEES(f, 2, 3, 4, 5, 6, 7, 8);
    hold(f, "slow", 5);
    SEES(f, 6, 7, 8);
    hold(f, "slow", 8);
    SEES(f, 7, 8); // the limit, and no more
    hold(f, "slow", 3);
    ski_store_release(f->store, text("slow"));
    ski_store_release(f->store, text("never-was"));
    SEES(f, 7, 8);
    skald_store_state_get(f->store, &stands);
    assert_int_equal(stands.events_lost, 0);
    atomic_fetch_add(&f->now, 1000000000);
    retain(f, 1, 0, SKALD_RETAIN_ACKED);
    hold(f, "quick", 4);
    SEES(f, 5, 6, 7, 8);
}

void what_is_lost_is_counted(void **state)
{
    fixture *f = *state;
    skald_store_state stands;

    append_many(f, "a-1", 8);
    hold(f, "slow", 1);
    hold(f, "quick", 7);
    retain(f, 0, 3, SKALD_RETAIN_LIMIT);
    SEES(f, 6, 7, 8);
    assert_int_equal(hold(f, "slow", 1), 4); // 2 to 5
    assert_int_equal(hold(f, "quick", 7), 0);
    append_many(f, "a-1", 1);
    SEES(f, 7, 8, 9);
    assert_int_equal(hold(f, "slow", 6), 5);
    append_many(f, "a-1", 2);
    SEES(f, 9, 10, 11);
    assert_int_equal(hold(f, "slow", 11), 7);
    assert_int_equal(hold(f, "quick", 11), 1);
    skald_store_state_get(f->store, &stands);
    assert_int_equal(stands.events_lost, 8);
}

void holds_have_a_limit(void **state)
{
    fixture *f = *state;
    char name[SKI_STORE_VALUE_NAME_BYTES_MAX + 1];

    for (int i = 0; i < SKI_STORE_HOLDS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "s%d", i);
        assert_int_equal(ski_store_hold(f->store, text(name), 1, 1, NULL), SKALD_OK);
    }
    assert_int_equal(ski_store_hold(f->store, text("more"), 1, 1, NULL), SKALD_EFULL);
    hold(f, "s7", 2);
    ski_store_release(f->store, text("s8"));
    hold(f, "more", 1);
    memset(name, 'n', sizeof(name));
    assert_int_equal(ski_store_hold(f->store, (skald_str){name, sizeof(name)}, 1, 1, NULL),
                     SKALD_EINVALID);
    assert_int_equal(ski_store_hold(f->store, text(""), 1, 1, NULL), SKALD_EINVALID);
}

void a_stream_as_of_a_time(void **state)
{
    fixture *f = *state;
    skald_str stream = text("a-1");
    skald_read read = {.filter = {.tenant = tenant_none(), .streams = {&stream, 1}}};

    append_many(f, "a-1", 1);
    for (int i = 0; i < 10; i++) append_many(f, i % 2 ? "a-1" : "b-1", 1);
    events_list all = read_all(f, &read);
    assert_int_equal(all.count, 6);
    for (size_t i = 0; i < all.count; i++) {
        read.to = all.items[i].recorded_at + 1;
        read.backwards = true;
        read.events_max = 1;
        events_list newest = read_all(f, &read);
        assert_int_equal(newest.count, 1);
        assert_int_equal(newest.items[0].stream_version, i + 1);
        read.backwards = false;
        read.events_max = 0;
        assert_int_equal(read_all(f, &read).count, i + 1);
    }
    read.to = all.items[0].recorded_at;
    assert_int_equal(read_all(f, &read).count, 0);
}
