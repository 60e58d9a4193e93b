// SPDX-License-Identifier: Apache-2.0
// Sight against a plain model, and compaction, which must not change any answer. A driver that
// cannot compact says so, and passes over those tests.
#include "contract/store_fixture.h"
#include "store/handle.h"

#include <string.h>
#include <unistd.h>

enum { streams_max = 5, steps_max = 160, types_max = 3 };

// Time goes on by whole hours, and ages end half an hour between: the thousandths by which the
// clock goes on with every look decide nothing.
static const skald_time hour = 3600 * 1000000LL;

// The model: every event there was, and each stream's metadata.
typedef struct model_event {
    int stream, type; // stream -1: none
    uint64_t version;
    skald_time recorded_at;
    skald_uuid id;
} model_event;
typedef struct model {
    fixture *f;
    uint64_t random;
    model_event events[steps_max * 4];
    size_t count;
    uint64_t versions[streams_max], deleted_before[streams_max];
    skald_stream_meta metas[streams_max];
    skald_retention retention;
} model;

static const char *const stream_names[] = {"a-1", "a-2", "b-1", "b-2", "c"};
static const char *const type_names[] = {"t.a", "t.b", "u.c"};

static uint64_t dice(model *m, uint64_t sides)
{
    m->random = m->random * 6364136223846793005ULL + 1442695040888963407ULL;
    return (m->random >> 33) % sides;
}

static void model_append(model *m)
{
    int stream = (int)dice(m, streams_max + 1) - 1, type = (int)dice(m, types_max);
    skald_event event =
        event_of(m->f, type_names[type], stream < 0 ? NULL : stream_names[stream], 1);
    model_event *kept = &m->events[m->count];
    skald_appended appended;

    event.id = id_of(m->count + 1);
    if (stream >= 0 && m->metas[stream].tombstoned) {
        append_fails(m->f, &event, 1, NULL, SKALD_ESTATE, NULL);
        return;
    }
    appended = append_one(m->f, event);
    m->count++;
    assert_int_equal(appended.position_last, m->count);
    *kept = (model_event){.stream = stream, .type = type, .id = event.id};
    if (stream >= 0) kept->version = ++m->versions[stream];
    assert_int_equal(appended.stream_version, kept->version);
    kept->recorded_at = atomic_load(&m->f->now); // about: the clock goes on by thousandths
}

static void model_meta(model *m)
{
    int stream = (int)dice(m, streams_max);
    skald_stream_meta *meta = &m->metas[stream];
    skald_expect expect = {text(""), text(stream_names[stream]), SKALD_ANY, 0};
    uint64_t what = dice(m, 12);

    if (meta->tombstoned) return;
    if (what == 0 || (what == 1 && !dice(m, 3))) {
        bool stands = m->versions[stream] >= m->deleted_before[stream] && m->versions[stream];

        assert_int_equal(skald_stream_delete(m->f->store, &expect, what == 1, NULL),
                         stands || what ? SKALD_OK : SKALD_ENOTFOUND);
        m->deleted_before[stream] = m->versions[stream] + 1;
        meta->tombstoned = what == 1;
        return;
    }
    meta->max_count = dice(m, 2) ? dice(m, 12) : 0;
    meta->truncate_before = dice(m, 3) ? 0 : dice(m, m->versions[stream] + 2);
    meta->max_age = dice(m, 3) ? 0 : (skald_time)dice(m, 60) * hour + hour / 2;
    assert_int_equal(skald_stream_meta_set(m->f->store, text(""), text(stream_names[stream]), meta,
                                           NULL),
                     SKALD_OK);
}

static void model_retention(model *m)
{
    m->retention =
        (skald_retention){.max_events = dice(m, 3) ? 0 : 20 + dice(m, 100),
                          .max_age =
                              dice(m, 3) ? 0 : (skald_time)(100 + dice(m, 100)) * hour + hour / 2,
                          .policy = SKALD_RETAIN_LIMIT};
    assert_int_equal(skald_retention_set(m->f->store, &m->retention, NULL), SKALD_OK);
}

static bool model_sees(const model *m, size_t i)
{
    const model_event *event = &m->events[i];
    skald_time age = atomic_load(&m->f->now) - event->recorded_at;
    int stream = event->stream;

    if (m->retention.max_events && i + 1 + m->retention.max_events <= m->count) return false;
    if (m->retention.max_age && age > m->retention.max_age) return false;
    if (stream < 0) return true;
    const skald_stream_meta *meta = &m->metas[stream];
    if (meta->tombstoned || event->version < m->deleted_before[stream]) return false;
    if (event->version < meta->truncate_before) return false;
    if (meta->max_count && event->version + meta->max_count <= m->versions[stream]) return false;
    return !meta->max_age || age <= meta->max_age;
}

// model_read compares one read, in both directions, with what the model sees of it.
static void model_read(model *m, int stream, int type)
{
    skald_str stream_name = text(stream < 0 ? "" : stream_names[stream]);
    skald_str type_name = text(type < 0 ? "" : type_names[type]);
    skald_read read = {.filter.tenant = text(""),
                       .filter.streams = {&stream_name, stream >= 0},
                       .filter.types = {&type_name, type >= 0},
                       .after = dice(m, 3) ? 0 : dice(m, m->count + 2),
                       .before = dice(m, 3) ? 0 : 1 + dice(m, m->count + 2),
                       .version_from = stream >= 0 && !dice(m, 3) ? dice(m, 30) : 0,
                       .version_to = stream >= 0 && !dice(m, 3) ? 1 + dice(m, 30) : 0,
                       .page_bytes_max = dice(m, 2) ? 2000 : 0};

    for (int backwards = 0; backwards < 2; backwards++) {
        read.backwards = backwards;
        events_list list = read_all(m->f, &read);
        size_t at = 0;

        for (size_t n = 0; n < m->count; n++) {
            size_t i = backwards ? m->count - 1 - n : n;
            const model_event *event = &m->events[i];

            if (!model_sees(m, i) || (stream >= 0 && event->stream != stream) ||
                (type >= 0 && event->type != type))
                continue;
            if (i + 1 <= read.after || (read.before && i + 1 >= read.before)) continue;
            if (event->version < read.version_from ||
                (read.version_to && event->version > read.version_to))
                continue;
            assert_true(at < list.count);
            assert_int_equal(list.items[at].position, i + 1);
            assert_int_equal(list.items[at].stream_version, event->version);
            at++;
        }
        assert_int_equal(at, list.count);
    }
}

static void model_ids(model *m)
{
    skald_event found;

    for (size_t i = 0; i < m->count; i += 1 + dice(m, 7)) {
        skald_err err =
            skald_store_event(m->f->store, m->events[i].id, text(""), m->f->arena, &found);

        assert_int_equal(err, model_sees(m, i) ? SKALD_OK : SKALD_ENOTFOUND);
        if (!err) assert_int_equal(found.position, i + 1);
    }
}

static void model_counts(model *m)
{
    const skald_counted *names;
    uint64_t types[types_max] = {0}, streams[streams_max] = {0};
    size_t count, due = 0;

    for (size_t i = 0; i < m->count; i++) {
        if (!model_sees(m, i)) continue;
        types[m->events[i].type]++;
        if (m->events[i].stream >= 0) streams[m->events[i].stream]++;
    }
    assert_int_equal(skald_store_types(m->f->store, dice(m, 2) ? text("") : (skald_str){0},
                                       m->f->arena, &names, &count),
                     SKALD_OK);
    for (int i = 0; i < types_max; i++) {
        if (!types[i]) continue;
        assert_true(due < count);
        assert_text(names[due].name, type_names[i]);
        assert_int_equal(names[due++].count, types[i]);
    }
    assert_int_equal(due, count);
    assert_int_equal(skald_store_streams(m->f->store, text(""), (skald_str){0}, NULL,
                                         dice(m, 2) ? 100 : streams_max, m->f->arena, &names,
                                         &count),
                     SKALD_OK);
    due = 0;
    for (int i = 0; i < streams_max; i++) {
        if (!streams[i]) continue;
        assert_true(due < count);
        assert_text(names[due].name, stream_names[i]);
        assert_int_equal(names[due++].count, m->versions[i]);
    }
    assert_int_equal(due, count);
}

static void model_check(model *m)
{
    model_read(m, -1, -1);
    for (int i = 0; i < streams_max; i++) {
        uint64_t version = 99;
        bool stands = m->versions[i] >= m->deleted_before[i];

        model_read(m, i, -1);
        assert_int_equal(
            skald_stream_version(m->f->store, text(""), text(stream_names[i]), &version), SKALD_OK);
        assert_int_equal(version, stands ? m->versions[i] : 0);
    }
    for (int i = 0; i < types_max; i++) model_read(m, -1, i);
    model_read(m, 0, 0);
    model_ids(m);
    model_counts(m);
}

// model_run does steps at random and compares all there is to see after some.
static void model_run(model *m)
{
    for (int step = 0; step < steps_max; step++) {
        uint64_t what = dice(m, 20);

        for (uint64_t i = dice(m, 4); i; i--) model_append(m);
        if (what < 5) model_meta(m);
        if (what == 5) model_retention(m);
        atomic_fetch_add(&m->f->now, (skald_time)dice(m, 4) * hour);
        if (step % 10 == 9) model_check(m);
    }
    model_check(m);
}

static bool compacts(fixture *f)
{
    skald_error error = {0};
    skald_err err = skald_store_compact(f->store, NULL, NULL, &error);

    assert_true(!err || (err == SKALD_EUNSUPPORTED && error.text[0]));
    return !err;
}

static model *model_new(fixture *f, uint64_t seed)
{
    model *m = skald_arena_get(f->arena, sizeof(*m));

    assert_non_null(m);
    m->f = f;
    m->random = seed;
    return m;
}

void sight_agrees_with_a_plain_model(void **state)
{
    fixture *f = *state;

    model_run(model_new(f, 42));
}

// What is hidden by relaxing nothing stays hidden; what compaction took cannot come back by
// relaxing, which the model does not know: so only what tightens is done here.
void compacting_changes_no_answer(void **state)
{
    fixture *f = *state;
    model *m = model_new(f, 4711);

    if (!compacts(f)) skip();
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 12; i++) model_append(m);
        int stream = (int)dice(m, streams_max);
        skald_stream_meta *meta = &m->metas[stream];

        if (!meta->tombstoned) {
            meta->max_count =
                meta->max_count && meta->max_count < 8 ? meta->max_count : 1 + dice(m, 8);
            if (!dice(m, 3)) meta->truncate_before = m->versions[stream] + dice(m, 2);
            assert_int_equal(skald_stream_meta_set(f->store, text(""), text(stream_names[stream]),
                                                   meta, NULL),
                             SKALD_OK);
        }
        if (round == 12) {
            m->retention = (skald_retention){.max_events = 40, .policy = SKALD_RETAIN_LIMIT};
            assert_int_equal(skald_retention_set(f->store, &m->retention, NULL), SKALD_OK);
        }
        model_check(m);
        assert_int_equal(skald_store_compact(f->store, &(skald_compact_options){.erase = round % 2},
                                             NULL, NULL),
                         SKALD_OK);
        model_check(m);
        if (f->contract->reopen && round % 5 == 4) {
            f->store = f->contract->reopen(f->store, &f->options);
            assert_non_null(f->store);
            model_check(m);
        }
    }
}

void erased_positions_stay_erased(void **state)
{
    fixture *f = *state;
    skald_stream_meta meta = {.truncate_before = 9};
    skald_compact_options options = {.erase = true};
    skald_compacted compacted = {0};
    skald_event event = event_of(f, "t.x", "a-1", 1), found;
    skald_read read = {0};
    uint64_t version = 0;

    if (!compacts(f)) skip();
    event.id = id_of(1);
    append_one(f, event);
    for (int i = 0; i < 7; i++) append_one(f, event_of(f, "t.x", "a-1", i));
    append_one(f, event_of(f, "t.y", "b-1", 1));
    assert_int_equal(skald_stream_meta_set(f->store, text(""), text("a-1"), &meta, NULL), SKALD_OK);
    assert_int_equal(skald_store_compact(f->store, &options, &compacted, NULL), SKALD_OK);
    assert_int_equal(compacted.events_erased, 8);
    assert_int_equal(skald_store_compact(f->store, &options, &compacted, NULL), SKALD_OK);
    assert_int_equal(compacted.events_erased, 0);
    meta.truncate_before = 0;
    assert_int_equal(skald_stream_meta_set(f->store, text(""), text("a-1"), &meta, NULL), SKALD_OK);
    assert_int_equal(skald_stream_version(f->store, text(""), text("a-1"), &version), SKALD_OK);
    assert_int_equal(version, 8);
    assert_int_equal(skald_store_event(f->store, id_of(1), text(""), f->arena, &found),
                     SKALD_ENOTFOUND);
    for (int backwards = 0; backwards < 2; backwards++) {
        read.backwards = backwards;
        events_list list = read_all(f, &read);
        assert_int_equal(list.count, 1);
        assert_int_equal(list.items[0].position, 9);
    }
    skald_appended appended = append_one(f, event_of(f, "t.x", "a-1", 9));
    assert_int_equal(appended.position_last, 10);
    assert_int_equal(appended.stream_version, 9);
}

static bool stop_at_once(void *context, uint64_t done, uint64_t all)
{
    assert_true(done <= all);
    ++*(int *)context;
    return false;
}

void compaction_can_be_stopped(void **state)
{
    fixture *f = *state;
    skald_stream_meta meta = {.max_count = 1};
    int asked = 0;
    skald_compact_options options = {.progress = stop_at_once, .context = &asked};
    skald_compacted compacted = {0};

    if (!compacts(f)) skip();
    for (int i = 0; i < 50; i++) append_one(f, event_of(f, "t.x", "a-1", i));
    assert_int_equal(skald_stream_meta_set(f->store, text(""), text("a-1"), &meta, NULL), SKALD_OK);
    assert_int_equal(skald_store_compact(f->store, &options, &compacted, NULL), SKALD_OK);
    assert_true(asked >= 1);
    assert_int_equal(compacted.events_erased, 0);
    options = (skald_compact_options){.erase = true};
    assert_int_equal(skald_store_compact(f->store, &options, &compacted, NULL), SKALD_OK);
    assert_int_equal(compacted.events_erased, 49);
}

// Asked for, it is done soon; while nothing is hidden nothing is looked at.
void compaction_in_the_background(void **state)
{
    fixture *f = *state;
    skald_stream_meta meta = {.max_count = 1};
    skald_event event = event_of(f, "t.x", "a-1", 0);
    uint64_t position = 0;
    skald_err err = SKALD_OK;

    if (!compacts(f)) skip();
    assert_int_equal(skald_store_compact_later(f->store, true, NULL), SKALD_OK);
    event.id = id_of(1);
    append_one(f, event);
    for (int i = 1; i < 50; i++) append_one(f, event_of(f, "t.x", "a-1", i));
    assert_int_equal(skald_stream_meta_set(f->store, text(""), text("a-1"), &meta, NULL), SKALD_OK);
    assert_int_equal(skald_store_compact_later(f->store, true, NULL), SKALD_OK);
    for (int i = 0; i < 2000 && !err; i++) {
        err = f->store->driver->find_id(f->store->instance, text(""), id_of(1), &position);
        (void)usleep(5000);
    }
    assert_int_equal(err, SKALD_ENOTFOUND);
    assert_int_equal(read_all(f, NULL).count, 1);
}

void trimming_waits_for_all_holds(void **state)
{
    fixture *f = *state;
    skald_retention retention = {.max_events = 10};
    skald_compact_options options = {.erase = true};
    skald_compacted compacted = {0};

    if (!compacts(f)) skip();
    for (int i = 0; i < 1000; i++) append_one(f, event_of(f, "t.x", NULL, i));
    assert_int_equal(skald_retention_set(f->store, &retention, NULL), SKALD_OK);
    assert_int_equal(skald_store_compact(f->store, &options, &compacted, NULL), SKALD_OK);
    assert_int_equal(ski_store_hold(f->store, text("slow"), 600, 600, NULL), SKALD_OK);
    assert_int_equal(read_all(f, NULL).count, 400); // not known to be all: nothing was erased
    ski_store_holds_declare(f->store);
    assert_int_equal(skald_store_compact(f->store, &options, &compacted, NULL), SKALD_OK);
    assert_int_equal(read_all(f, NULL).count, 400);
    ski_store_release(f->store, text("slow"));
    assert_int_equal(skald_store_compact(f->store, &options, &compacted, NULL), SKALD_OK);
    retention.max_events = 0;
    assert_int_equal(skald_retention_set(f->store, &retention, NULL), SKALD_OK);
    assert_int_equal(read_all(f, NULL).count, 10);
    assert_int_equal(append_one(f, event_of(f, "t.x", NULL, 1)).position_last, 1001);
}

void a_page_outlives_compaction(void **state)
{
    fixture *f = *state;
    skald_stream_meta meta = {.truncate_before = 1000};
    skald_compact_options options = {.erase = true};
    skald_read read = {0};
    skald_store_page page;

    if (!compacts(f)) skip();
    for (int i = 0; i < 20; i++) append_one(f, event_of(f, "t.x", "a-1", 7));
    assert_int_equal(ski_store_page(f->store, &read, &page, NULL), SKALD_OK);
    assert_int_equal(skald_stream_meta_set(f->store, text(""), text("a-1"), &meta, NULL), SKALD_OK);
    assert_int_equal(skald_store_compact(f->store, &options, NULL, NULL), SKALD_OK);
    assert_int_equal(page.count, 20);
    for (size_t i = 0; i < page.count; i++) assert_text(page.events[i].data, "{\"n\":7}");
    ski_store_page_free(f->store, &page);
    assert_int_equal(read_all(f, NULL).count, 0);
}
