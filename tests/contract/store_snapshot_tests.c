// SPDX-License-Identifier: Apache-2.0
// Snapshots, and the names they are stored under, which nobody else may use or meets.
#include "contract/store_fixture.h"

#include <stdlib.h>
#include <string.h>

static skald_err put(fixture *f, const char *stream, uint64_t version, uint32_t schema,
                     const char *bytes, skald_error *ret_error)
{
    skald_snapshot snapshot = {.stream_version = version,
                               .schema_version = schema,
                               .bytes = text(bytes)};
    skald_error error = {0};
    skald_err err = skald_snapshot_put(f->store, text(""), text(stream), &snapshot, &error);

    assert_int_equal(error.err, err);
    assert_true(!err || error.text[0]);
    if (ret_error) *ret_error = error;
    return err;
}

static skald_err get(fixture *f, const char *stream, uint32_t schema, skald_snapshot *ret_snapshot)
{
    return skald_snapshot_get(f->store, text(""), text(stream), schema, f->arena, ret_snapshot);
}

static void gives(fixture *f, const char *stream, uint64_t version, const char *bytes)
{
    skald_snapshot snapshot = {0};

    assert_int_equal(get(f, stream, 0, &snapshot), SKALD_OK);
    assert_int_equal(snapshot.stream_version, version);
    assert_text(snapshot.bytes, bytes);
    assert_true(snapshot.recorded_at != 0);
}

static void append_many(fixture *f, const char *stream, int count)
{
    for (int i = 0; i < count; i++) append_one(f, event_of(f, "t.x", stream, i));
}

void the_newest_snapshot_is_kept(void **state)
{
    fixture *f = *state;
    skald_snapshot snapshot;

    append_many(f, "a-1", 9);
    assert_int_equal(get(f, "a-1", 0, &snapshot), SKALD_ENOTFOUND);
    assert_int_equal(put(f, "a-1", 3, 1, "{\"sum\":3}", NULL), SKALD_OK);
    gives(f, "a-1", 3, "{\"sum\":3}");
    assert_int_equal(put(f, "a-1", 7, 1, "any bytes \x01\xff", NULL), SKALD_OK);
    gives(f, "a-1", 7, "any bytes \x01\xff");
    assert_int_equal(put(f, "a-1", 5, 1, "older", NULL), SKALD_OK);
    gives(f, "a-1", 7, "any bytes \x01\xff");
    assert_int_equal(put(f, "a-1", 7, 2, "put again", NULL), SKALD_OK);
    gives(f, "a-1", 7, "put again");
    assert_int_equal(skald_snapshot_delete(f->store, text(""), text("a-1"), NULL), SKALD_OK);
    assert_int_equal(get(f, "a-1", 0, &snapshot), SKALD_ENOTFOUND);
    assert_int_equal(skald_snapshot_delete(f->store, text(""), text("a-1"), NULL), SKALD_OK);
    assert_int_equal(put(f, "a-1", 2, 1, "another", NULL), SKALD_OK);
    gives(f, "a-1", 2, "another");
    // Another tenant's stream of that name has none.
    assert_int_equal(skald_snapshot_get(f->store, text("acme"), text("a-1"), 0, f->arena,
                                        &snapshot),
                     SKALD_ENOTFOUND);
}

void a_snapshot_of_another_schema(void **state)
{
    fixture *f = *state;
    skald_snapshot snapshot = {.stream_version = 77};

    append_many(f, "a-1", 2);
    assert_int_equal(put(f, "a-1", 2, 3, "x", NULL), SKALD_OK);
    assert_int_equal(get(f, "a-1", 2, &snapshot), SKALD_ESCHEMA);
    assert_int_equal(snapshot.stream_version, 77);
    assert_int_equal(get(f, "a-1", 3, &snapshot), SKALD_OK);
    assert_int_equal(snapshot.schema_version, 3);
    assert_int_equal(put(f, "a-1", 1, 0, "x", NULL), SKALD_OK);
    assert_int_equal(put(f, "a-1", 2, 0, "x", NULL), SKALD_OK);
    assert_int_equal(get(f, "a-1", 1, &snapshot), SKALD_OK);
}

void a_snapshot_goes_with_its_stream(void **state)
{
    fixture *f = *state;
    skald_expect expect = {text(""), text("a-1"), SKALD_ANY, 0};
    skald_stream_meta meta = {.truncate_before = 3};
    skald_snapshot snapshot;

    append_many(f, "a-1", 3);
    assert_int_equal(put(f, "a-1", 2, 1, "x", NULL), SKALD_OK);
    assert_int_equal(skald_stream_meta_set(f->store, text(""), text("a-1"), &meta, NULL), SKALD_OK);
    gives(f, "a-1", 2, "x"); // what it stands for may be gone: that is its use
    assert_int_equal(skald_stream_delete(f->store, &expect, false, NULL), SKALD_OK);
    assert_int_equal(get(f, "a-1", 0, &snapshot), SKALD_ENOTFOUND);
    assert_int_equal(put(f, "a-1", 2, 1, "x", NULL), SKALD_EINVALID);
    append_many(f, "a-1", 1);
    assert_int_equal(get(f, "a-1", 0, &snapshot), SKALD_ENOTFOUND);
    assert_int_equal(put(f, "a-1", 4, 1, "y", NULL), SKALD_OK);
    gives(f, "a-1", 4, "y");
    assert_int_equal(skald_stream_delete(f->store, &expect, true, NULL), SKALD_OK);
    assert_int_equal(get(f, "a-1", 0, &snapshot), SKALD_ENOTFOUND);
    assert_int_equal(put(f, "a-1", 4, 1, "y", NULL), SKALD_ESTATE);
}

void bad_snapshots_are_refused(void **state)
{
    fixture *f = *state;
    char name[SKALD_SNAPSHOT_STREAM_BYTES_MAX + 2];
    char *big = test_malloc(f->options.event_bytes_max + 2);
    uint64_t head;
    skald_error error;

    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = 0;
    memset(big, 'b', f->options.event_bytes_max + 1);
    big[f->options.event_bytes_max + 1] = 0;
    append_many(f, "a-1", 2);
    append_many(f, name + 1, 1);
    head = skald_store_head(f->store);
    assert_int_equal(put(f, "a-1", 3, 1, "x", &error), SKALD_EINVALID);
    assert_string_equal(error.field, "stream_version");
    assert_int_equal(put(f, "a-1", 0, 1, "x", &error), SKALD_EINVALID);
    assert_int_equal(put(f, "never-was", 1, 1, "x", &error), SKALD_EINVALID);
    assert_int_equal(put(f, "a-1", 1, 1, "", &error), SKALD_EINVALID);
    assert_string_equal(error.field, "bytes");
    assert_int_equal(put(f, "a-1", 1, 1, big, &error), SKALD_ETOOBIG);
    assert_string_equal(error.field, "bytes");
    assert_int_equal(put(f, name, 1, 1, "x", &error), SKALD_EINVALID);
    assert_string_equal(error.field, "stream");
    assert_int_equal(put(f, "", 1, 1, "x", &error), SKALD_EINVALID);
    assert_int_equal(put(f, "$own", 1, 1, "x", &error), SKALD_EINVALID);
    assert_int_equal(skald_store_head(f->store), head);
    big[f->options.event_bytes_max] = 0;
    assert_int_equal(put(f, "a-1", 1, 1, big, &error), SKALD_OK);
    assert_int_equal(put(f, name + 1, 1, 1, "x", &error), SKALD_OK);
    gives(f, "a-1", 1, big);
    gives(f, name + 1, 1, "x");
    test_free(big);
}

static void never_done(skald_store_batch *batch, skald_err err)
{
    (void)batch;
    (void)err;
    abort();
}

void reserved_names_are_refused(void **state)
{
    fixture *f = *state;
    skald_event events[2] = {event_of(f, "t.x", "a-1", 1), event_of(f, "t.x", "$snapshot-a-1", 1)};
    skald_store_batch batch = {.events = &events[1], .event_count = 1};
    skald_error error;

    append_fails(f, events, 2, NULL, SKALD_EINVALID, &error);
    assert_string_equal(error.field, "[1].stream");
    assert_non_null(strstr(error.text, "$snapshot-a-1"));
    append_fails(f, &events[1], 1, NULL, SKALD_EINVALID, &error);
    assert_string_equal(error.field, "stream");
    batch.done = never_done;
    assert_int_equal(ski_store_submit(f->store, &batch), SKALD_EINVALID);
    assert_int_equal(ski_store_batch_fail(&batch, SKALD_EINVALID, &error), SKALD_EINVALID);
    assert_string_equal(error.field, "stream");
    events[1] = event_of(f, "$type", NULL, 1);
    append_fails(f, &events[1], 1, NULL, SKALD_EINVALID, &error);
    assert_string_equal(error.field, "type");
}

static size_t count_read(fixture *f, skald_read read)
{
    size_t count = read_all(f, &read).count;

    read.backwards = true;
    assert_int_equal(read_all(f, &read).count, count);
    return count;
}

void reserved_names_are_hidden(void **state)
{
    fixture *f = *state;
    skald_str names[] = {text("$snapshot-a-1"), text("$snapshot"), text("*")};
    const skald_counted *counted;
    skald_event found, *kept;
    size_t count;

    append_many(f, "a-1", 3);
    for (uint64_t i = 1; i <= 3; i++) assert_int_equal(put(f, "a-1", i, 1, "1", NULL), SKALD_OK);
    append_many(f, "a-1", 1);
    assert_int_equal(skald_store_head(f->store), 7); // positions are the log's, whoever uses them
    assert_int_equal(count_read(f, (skald_read){0}), 4);
    assert_int_equal(count_read(f, (skald_read){.filter.tenant = text("")}), 4);
    assert_int_equal(count_read(f, (skald_read){.filter.types = {&names[2], 1}}), 4);
    assert_int_equal(count_read(f, (skald_read){.events_max = 4}), 4);
    assert_int_equal(count_read(f, (skald_read){.after = 3, .before = 7}), 0);
    // Named, it is there; of the stream, only the newest.
    skald_read read = {.filter = {.tenant = text(""), .streams = {&names[0], 1}}};
    assert_int_equal(count_read(f, read), 1);
    assert_int_equal(count_read(f, (skald_read){.filter.types = {&names[1], 1}}), 1);
    assert_int_equal(count_read(f, (skald_read){.filter.categories = {&names[1], 1}}), 1);
    kept = read_all(f, &read).items;
    assert_int_equal(kept[0].position, 6);
    assert_int_equal(skald_store_event(f->store, kept[0].id, text(""), f->arena, &found),
                     SKALD_ENOTFOUND);
    assert_int_equal(skald_store_types(f->store, text(""), f->arena, &counted, &count), SKALD_OK);
    assert_int_equal(count, 1);
    assert_int_equal(counted[0].count, 4);
    assert_int_equal(skald_store_streams(f->store, text(""), (skald_str){0}, NULL, 10, f->arena,
                                         &counted, &count),
                     SKALD_OK);
    assert_int_equal(count, 1);
    assert_text(counted[0].name, "a-1");
    assert_int_equal(skald_store_streams(f->store, text(""), text("$"), NULL, 10, f->arena,
                                         &counted, &count),
                     SKALD_OK);
    assert_int_equal(count, 0);
}

void snapshots_outlive_closing(void **state)
{
    fixture *f = *state;
    skald_snapshot snapshot;

    if (!f->contract->reopen) skip();
    append_many(f, "a-1", 3);
    append_many(f, "b-1", 1);
    assert_int_equal(put(f, "a-1", 2, 1, "x", NULL), SKALD_OK);
    assert_int_equal(put(f, "a-1", 3, 4, "y", NULL), SKALD_OK);
    assert_int_equal(put(f, "b-1", 1, 1, "z", NULL), SKALD_OK);
    assert_int_equal(skald_snapshot_delete(f->store, text(""), text("b-1"), NULL), SKALD_OK);
    f->store = f->contract->reopen(f->store, &f->options);
    assert_non_null(f->store);
    gives(f, "a-1", 3, "y");
    assert_int_equal(get(f, "a-1", 1, &snapshot), SKALD_ESCHEMA);
    assert_int_equal(get(f, "b-1", 0, &snapshot), SKALD_ENOTFOUND);
}
