// SPDX-License-Identifier: Apache-2.0
// The waist alone, on a driver made up for it: one that gives too much, gives damage, ends batches
// late, or does not take them. What every driver must do is in tests/contract.
#include "store/handle.h"

#include "base/alloc.h"
#include "store/content.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { fake_events = 100 };

// The made-up driver. It gives events 1 to fake_events, page_events at a time, and heeds no filter;
// a page begins with an event that was not asked for.
static struct fake {
    const skald_store_host *host;
    skald_store_options options;
    skald_err open_err, submit_err;
    size_t page_events;
    uint64_t corrupt_at; // a read that would give this position fails
    unsigned pages_open, reads;
    skald_store_batch *pending; // with no step yet
    bool end_in_submit, end_in_thread;
    ski_thread thread;
    atomic_bool held, entered; // submit waits while held
    const char *streams[8];
    skald_str rule; // the metadata of a stream that the store finds when it is opened
} fake;

static skald_event fake_event(uint64_t position)
{
    static const char *const types[] = {"t.a", "t.b", "u.c"};

    return (skald_event){.type = skald_str_of(types[position % 3]),
                         .data = SKALD_STR("1"),
                         .id = {{1, (uint8_t)position}},
                         .stream = SKALD_STR("s-1"),
                         .recorded_at = (skald_time)position * 10,
                         .position = position,
                         .stream_version = position,
                         .version = 1};
}

static skald_err fake_open(const char *path, const skald_store_options *options,
                           const skald_store_host *host, void **ret_driver,
                           skald_error *reterr_error)
{
    if (fake.open_err) return skald_fail(reterr_error, fake.open_err, "not %s", path);
    fake.host = host;
    fake.options = *options;
    *ret_driver = &fake;
    return SKALD_OK;
}

static void fake_close(void *driver)
{
    assert_ptr_equal(driver, &fake);
    assert_int_equal(fake.pages_open, 0);
    if (fake.thread.id) ski_kernel_system.join(ski_kernel_system.context, fake.thread);
}

static void fake_run(void *argument)
{
    skald_store_batch *batch = argument;

    batch->done(batch, SKALD_OK);
}

static skald_err fake_submit(void *driver, skald_store_batch *batch)
{
    (void)driver;
    atomic_store(&fake.entered, true);
    while (atomic_load(&fake.held)) (void)sched_yield();
    if (fake.submit_err) return fake.submit_err;
    if (fake.end_in_thread)
        return ski_kernel_system.spawn(ski_kernel_system.context, "fake", fake_run, batch,
                                       &fake.thread);
    if (fake.end_in_submit)
        batch->done(batch, SKALD_OK);
    else
        fake.pending = batch;
    return SKALD_OK;
}

static bool fake_step(void *driver)
{
    skald_store_batch *batch = fake.pending;

    (void)driver;
    fake.pending = NULL;
    if (batch) batch->done(batch, SKALD_OK);
    return batch != NULL;
}

static skald_err fake_read(void *driver, const skald_read *read, skald_store_page *ret_page,
                           skald_error *reterr_error)
{
    uint64_t position =
        read->backwards ? (read->before ? read->before : fake_events + 1) : read->after;
    skald_event *events = ski_alloc((fake.page_events + 1) * sizeof(*events));
    size_t count = 0;

    (void)driver;
    assert_non_null(events);
    fake.reads++;
    if (position && position <= fake_events && position != fake.corrupt_at)
        events[count++] = fake_event(position);
    for (size_t i = 0; i < fake.page_events; i++) {
        uint64_t next = read->backwards ? position - 1 : position + 1;

        if (!next || next > fake_events) break;
        if (next == fake.corrupt_at && !i) {
            ski_free(events);
            ret_page->position_next = next;
            return skald_fail(reterr_error, SKALD_ECORRUPT, "position %d is damaged", (int)next);
        }
        if (next == fake.corrupt_at) break;
        events[count++] = fake_event(next);
        position = next;
    }
    fake.pages_open++;
    *ret_page = (skald_store_page){.events = events,
                                   .count = count,
                                   .position_next = position ? position : 1,
                                   .end = read->backwards ? position <= 1 : position >= fake_events,
                                   .driver = events};
    return SKALD_OK;
}

static void fake_page_free(void *driver, skald_store_page *page)
{
    (void)driver;
    fake.pages_open--;
    ski_free(page->driver);
}

static skald_err fake_find_id(void *driver, skald_str tenant, skald_uuid id, uint64_t *ret_position)
{
    (void)driver;
    (void)tenant;
    *ret_position = id.bytes[1];
    return id.bytes[1] ? SKALD_OK : SKALD_ENOTFOUND;
}

static skald_err fake_streams_each(void *driver, skald_str tenant, skald_str prefix,
                                   const skald_counted *after,
                                   bool (*visit)(void *context, const skald_counted *stream),
                                   void *context)
{
    (void)driver;
    (void)tenant;
    (void)prefix; // heeds none
    (void)after;
    for (size_t i = 0; i < 8 && fake.streams[i]; i++) // in no order: runs of one
        (void)visit(context, &(skald_counted){.name = skald_str_of(fake.streams[i]),
                                              .count = i + 1,
                                              .position_last = i + 1});
    return SKALD_OK;
}

static skald_err fake_value_get(void *driver, skald_str name, skald_buf *buf)
{
    (void)driver;
    (void)name;
    (void)buf;
    return SKALD_ENOTFOUND;
}

static skald_err fake_value_each(void *driver, skald_str prefix,
                                 bool (*visit)(void *context, const skald_store_value *value),
                                 void *context)
{
    (void)driver;
    if (!skald_str_equal(prefix, SKALD_STR("$stream/")) || !fake.rule.ptr) return SKALD_OK;
    (void)visit(context, &(skald_store_value){.name = SKALD_STR("$stream/1"), .bytes = fake.rule});
    return SKALD_OK;
}

static uint64_t fake_head(void *driver)
{
    (void)driver;
    return fake_events;
}

static void fake_state(void *driver, skald_store_state *ret_state)
{
    (void)driver;
    ret_state->segments = 3;
}

static const skald_store_driver fake_driver = {.abi = SKALD_STORE_DRIVER_ABI,
                                               .scheme = "fake",
                                               .open = fake_open,
                                               .close = fake_close,
                                               .submit = fake_submit,
                                               .read = fake_read,
                                               .page_free = fake_page_free,
                                               .find_id = fake_find_id,
                                               .streams_each = fake_streams_each,
                                               .types_each = NULL,
                                               .value_get = fake_value_get,
                                               .value_each = fake_value_each,
                                               .head = fake_head,
                                               .state = fake_state,
                                               .step = fake_step};

static skald_store *store_new(const ski_kernel *kernel, const skald_store_options *options)
{
    skald_store *store = NULL;

    fake = (struct fake){.page_events = 7};
    assert_int_equal(ski_store_open_driver(kernel, &fake_driver, "", options, &store, NULL),
                     SKALD_OK);
    return store;
}

static void open_is_refused(void **state)
{
    static const char *const urls[] = {"", "pg://u:s3cret@h", "mem:", "MEMORY:", "A+1-2.X:s3"};
    skald_store_driver other = fake_driver;
    skald_store_options options = {.event_bytes_max = SKALD_EVENT_BYTES_LIMIT + 1};
    skald_store *store = NULL;
    skald_error error;

    (void)state;
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        assert_int_equal(skald_store_open(urls[i], NULL, &store, &error), SKALD_EINVALID);
        assert_string_equal(error.field, "url");
        assert_non_null(strstr(error.text, "memory:"));
        assert_null(strstr(error.text, "s3cret"));
    }
    assert_int_equal(skald_store_open(NULL, NULL, &store, &error), SKALD_EINVALID);
    assert_int_equal(skald_store_open("memory:", &options, &store, &error), SKALD_EINVALID);
    assert_string_equal(error.field, "event_bytes_max");
    other.abi = 2;
    assert_int_equal(ski_store_open_driver(&ski_kernel_system, &other, "", NULL, &store, &error),
                     SKALD_EUNSUPPORTED);
    fake.open_err = SKALD_EHELD;
    assert_int_equal(ski_store_open_driver(&ski_kernel_system, &fake_driver, "path", NULL, &store,
                                           &error),
                     SKALD_EHELD);
    assert_string_equal(error.text, "not path");
    ski_alloc_fail_at(1);
    assert_int_equal(skald_store_open("memory:", NULL, &store, &error), SKALD_ENOMEM);
    ski_alloc_fail_at(2);
    assert_int_equal(skald_store_open("memory:", NULL, &store, &error), SKALD_ENOMEM);
    ski_alloc_fail_at(0);
    assert_null(store);
    skald_store_close(NULL);
}

static void defaults_are_filled_in(void **state)
{
    skald_store *store = store_new(&ski_kernel_system, NULL);
    skald_store_state stands;

    (void)state;
    assert_int_equal(fake.options.event_bytes_max, SKALD_EVENT_BYTES_MAX);
    assert_int_equal(fake.options.segment_bytes, 64 * 1024 * 1024);
    assert_int_equal(fake.options.append_bytes_max, 64 * 1024 * 1024);
    assert_int_equal(fake.options.dedup_events_max, 16000000);
    assert_true(fake.host->clock->now(fake.host->clock->context) > 0);
    assert_true(ski_store_now(store) > 0);
    fake.host->log->line(fake.host->log->context, SKALD_INFO, SKALD_STR("{}"));
    assert_ptr_equal(ski_store_log_hook(store), fake.host->log);
    assert_ptr_equal(ski_store_kernel(store), &ski_kernel_system);
    assert_int_equal(ski_store_event_bytes_max(store), SKALD_EVENT_BYTES_MAX);
    skald_store_state_get(store, &stands);
    assert_int_equal(stands.segments, 3);
    assert_int_equal(stands.syncs, 0);
    assert_false(stands.read_only);
    skald_store_close(store);
}

// Whatever the driver gives, a page holds what was asked for, and no position is skipped unseen.
static void pages_are_filtered_again(void **state)
{
    skald_store *store = store_new(&ski_kernel_system, NULL);
    skald_str type = SKALD_STR("t.a"), stream = SKALD_STR("s-1");
    skald_read reads[] = {
        {.filter = {.types = {&type, 1}}},
        {.from = 300, .to = 600},
        {.filter = {.streams = {&stream, 1}}, .version_from = 20, .version_to = 25},
        {.before = 50},
        {.events_max = 3},
        {.after = 1000},
    };
    static const size_t due[] = {33, 30, 6, 49, 100, 0};
    skald_store_page page;

    (void)state;
    for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
        skald_read read = reads[i];
        uint64_t last = 0, count = 0;

        do {
            assert_int_equal(ski_store_page(store, &read, &page, NULL), SKALD_OK);
            assert_true(page.count <= (read.events_max ? read.events_max : 7));
            for (size_t j = 0; j < page.count; j++) {
                assert_true(ski_read_matches(&read, &page.events[j]));
                assert_true(page.events[j].position > last);
                last = page.events[j].position;
                count++;
            }
            read.after = page.position_next;
            bool end = page.end;
            ski_store_page_free(store, &page);
            if (end) break;
        } while (true);
        assert_int_equal(count, due[i]);
    }
    skald_store_close(store);
}

static void a_cursor_passes_empty_pages_and_damage(void **state)
{
    skald_store *store = store_new(&ski_kernel_system, NULL);
    skald_read read = {.from = 600, .events_max = 30};
    const skald_event *event;
    skald_cursor *cursor;
    skald_error error;
    uint64_t position = 59;

    (void)state;
    fake.corrupt_at = 70;
    assert_int_equal(skald_cursor_open(store, &read, &cursor), SKALD_OK);
    for (;;) {
        skald_err err = skald_cursor_next(cursor, &event, &error);

        if (err == SKALD_ECORRUPT) {
            assert_int_equal(position, 69);
            assert_string_equal(error.text, "position 70 is damaged");
            position++;
            continue;
        }
        assert_int_equal(err, SKALD_OK);
        if (!event) break;
        assert_int_equal(event->position, ++position);
    }
    assert_int_equal(position, 90); // 30 events and the one that is damaged
    assert_int_equal(skald_cursor_position(cursor), 90);
    assert_int_equal(fake.pages_open, 1); // one page at a time
    skald_cursor_close(cursor);
    assert_int_equal(fake.pages_open, 0);

    // A page that is damaged says where to go on, and holds nothing.
    skald_store_page page;
    read = (skald_read){.after = 69};
    assert_int_equal(ski_store_page(store, &read, &page, &error), SKALD_ECORRUPT);
    assert_int_equal(page.position_next, 70);
    assert_int_equal(page.count, 0);
    ski_store_page_free(store, &page);
    skald_store_close(store);
}

static void an_event_is_copied_whole(void **state)
{
    skald_store *store = store_new(&ski_kernel_system, NULL);
    skald_event found = {.position = 5};
    skald_error error = {0};
    skald_arena *arena;

    (void)state;
    fake.page_events = 1;
    assert_int_equal(skald_arena_new(64 * 1024, &arena), SKALD_OK);
    assert_int_equal(skald_store_event(store, (skald_uuid){{1, 9}}, SKALD_STR(""), arena, &found),
                     SKALD_OK);
    assert_int_equal(found.position, 9);
    // An id that the driver finds but whose event is another one is not found.
    assert_int_equal(skald_store_event(store, (skald_uuid){{2, 9}}, SKALD_STR(""), arena, &found),
                     SKALD_ENOTFOUND);
    assert_int_equal(skald_store_event(store, (skald_uuid){{2}}, SKALD_STR(""), arena, &found),
                     SKALD_ENOTFOUND);
    fake.corrupt_at = 8;
    assert_int_equal(skald_store_event(store, (skald_uuid){{1, 8}}, SKALD_STR(""), arena, &found),
                     SKALD_ECORRUPT);
    assert_int_equal(ski_store_event(store, (skald_uuid){{1, 8}}, SKALD_STR(""), arena, &found,
                                     &error),
                     SKALD_ECORRUPT);
    assert_string_equal(error.text, "position 8 is damaged");
    while (skald_arena_get(arena, 1)) continue; // now it is full
    assert_int_equal(skald_store_event(store, (skald_uuid){{1, 9}}, SKALD_STR(""), arena, &found),
                     SKALD_ENOMEM);
    assert_int_equal(found.position, 9);
    skald_arena_free(arena);
    skald_store_close(store);
}

static void count_done(skald_store_batch *batch, skald_err err)
{
    int *times = batch->context;

    *times += err ? 100 : 1;
}

// A driver without commit: the store submits, and waits for a thread or takes steps.
static void commit_is_made_of_submit(void **state)
{
    ski_kernel kernel = ski_kernel_system;
    skald_event event = {.type = SKALD_STR("t.x")};
    int times = 0;
    skald_store_batch batch = {
        .events = &event, .event_count = 1, .done = count_done, .context = &times};
    skald_store *store;

    (void)state;
    kernel.spawn = NULL;
    store = store_new(&kernel, NULL);
    assert_int_equal(ski_store_commit(store, &batch), SKALD_OK);
    assert_int_equal(times, 1);
    assert_false(ski_store_step(store));
    fake.end_in_submit = true;
    assert_int_equal(ski_store_commit(store, &batch), SKALD_OK);
    assert_int_equal(times, 2);
    fake.submit_err = SKALD_EFULL;
    assert_int_equal(ski_store_commit(store, &batch), SKALD_EFULL);
    assert_int_equal(times, 2);
    assert_ptr_equal(batch.context, &times);
    assert_true(batch.done == count_done);
    skald_store_close(store);

    store = store_new(&ski_kernel_system, NULL);
    fake.end_in_submit = true;
    assert_int_equal(ski_store_commit(store, &batch), SKALD_OK);
    assert_int_equal(times, 3);
    fake.end_in_thread = true;
    assert_int_equal(ski_store_commit(store, &batch), SKALD_OK);
    assert_int_equal(times, 4);
    skald_store_close(store);
}

static void batches_are_stamped(void **state)
{
    skald_store *store = store_new(&ski_kernel_system, NULL);
    skald_event events[3] = {
        {.type = SKALD_STR("t.x")},
        {.type = SKALD_STR("t.y"), .id = {{7}}, .occurred_at = 5, .version = 3},
        {.type = SKALD_STR("t.z")}};
    int times = 0;
    skald_store_batch batch = {
        .events = events, .event_count = 3, .done = count_done, .context = &times};
    skald_uuid id;

    (void)state;
    fake.submit_err = SKALD_EFULL;
    assert_int_equal(ski_store_submit(store, &batch), SKALD_EFULL);
    assert_true(memcmp(&events[0].id, &events[2].id, sizeof(id)) < 0);
    assert_int_equal(events[1].id.bytes[0], 7);
    assert_int_equal(events[1].occurred_at, 5);
    assert_int_equal(events[1].version, 3);
    assert_int_equal(events[0].version, 1);
    assert_true(events[0].occurred_at > 0);
    assert_non_null(events[0].tenant.ptr);
    assert_true(skald_str_equal(events[0].data, SKALD_STR("null")));
    // The same batch again is the same events.
    id = events[0].id;
    assert_int_equal(ski_store_submit(store, &batch), SKALD_EFULL);
    assert_true(skald_uuid_equal(id, events[0].id));
    id = ski_store_uuid_new(store);
    assert_true(memcmp(&events[2].id, &id, sizeof(id)) < 0);
    assert_int_equal(times, 0);
    skald_store_close(store);
}

static void read_only_takes_nothing(void **state)
{
    skald_store *store = store_new(&ski_kernel_system, &(skald_store_options){.read_only = true});
    skald_event event = {.type = SKALD_STR("t.x")};
    skald_store_state stands;
    skald_error error;

    (void)state;
    assert_int_equal(skald_store_append(store, &event, 1, NULL, NULL, &error), SKALD_EREADONLY);
    assert_int_equal(error.err, SKALD_EREADONLY);
    assert_false(atomic_load(&fake.entered));
    skald_store_state_get(store, &stands);
    assert_true(stands.read_only);
    assert_string_equal(stands.read_only_why, "opened read-only");
    skald_store_close(store);
}

static void an_append_without_memory_fails(void **state)
{
    skald_store *store = store_new(&ski_kernel_system, NULL);
    skald_event events[20];
    skald_error error;

    (void)state;
    fake.end_in_submit = true;
    for (int i = 0; i < 20; i++)
        events[i] = (skald_event){.type = SKALD_STR("t.x"), .id = {{(uint8_t)(99 - i)}}};
    for (uint64_t n = 1; n <= 2; n++) { // the copy, and the search for an id that stands twice
        ski_alloc_fail_at(n);
        assert_int_equal(skald_store_append(store, events, 20, NULL, NULL, &error), SKALD_ENOMEM);
        ski_alloc_fail_at(0);
        assert_int_equal(error.err, SKALD_ENOMEM);
    }
    assert_false(atomic_load(&fake.entered));
    // Few events need none.
    ski_alloc_fail_at(1);
    assert_int_equal(skald_store_append(store, events, 8, NULL, NULL, &error), SKALD_OK);
    ski_alloc_fail_at(0);
    skald_store_close(store);
}

static void append_bytes_max_holds(void **state)
{
    skald_store *store =
        store_new(&ski_kernel_system, &(skald_store_options){.append_bytes_max = 9});
    skald_event events[2] = {{.type = SKALD_STR("t.x"), .data = SKALD_STR("123456")},
                             {.type = SKALD_STR("t")}};
    skald_error error;

    (void)state;
    fake.end_in_submit = true;
    assert_int_equal(skald_store_append(store, events, 1, NULL, NULL, &error), SKALD_OK);
    assert_int_equal(skald_store_append(store, events, 2, NULL, NULL, &error), SKALD_ETOOBIG);
    assert_non_null(strstr(error.text, "append_bytes_max"));
    skald_store_close(store);
}

static void a_batch_fails_in_words(void **state)
{
    skald_event events[2] = {{.id = {{1}}}, {.id = {{1}}}};
    skald_store_batch batch = {.events = events, .event_count = 2};
    skald_error error;

    (void)state;
    for (skald_err err = SKALD_ENOMEM; err <= SKALD_EIO; err++) {
        assert_int_equal(ski_store_batch_fail(&batch, err, NULL), err);
        assert_int_equal(ski_store_batch_fail(&batch, err, &error), err);
        assert_int_equal(error.err, err);
        assert_true(strlen(error.text) > 10);
    }
    (void)ski_store_batch_fail(&batch, SKALD_EINVALID, &error);
    assert_non_null(strstr(error.text, "stands twice"));
    (void)ski_store_batch_fail(&batch, SKALD_ETOOBIG, &error);
    assert_non_null(strstr(error.text, "16384 events"));
    batch.event_count = 1;
    (void)ski_store_batch_fail(&batch, SKALD_EINVALID, &error);
    assert_string_equal(error.text, skald_err_text(SKALD_EINVALID));
}

// Two threads: one is in submit, held there; the other closes. Close waits; a third call is
// refused.
typedef struct closing {
    skald_store *store;
    skald_err submitted;
    atomic_bool closed;
    skald_store_batch batch;
    skald_event event;
    int times;
} closing;

static void submit_held(void *argument)
{
    closing *c = argument;

    c->submitted = ski_store_submit(c->store, &c->batch);
}

static void close_store(void *argument)
{
    closing *c = argument;

    skald_store_close(c->store);
    atomic_store(&c->closed, true);
}

static bool is_closing(skald_store *store)
{
    bool closing_;

    ski_mutex_lock(&store->mutex);
    closing_ = store->closing;
    ski_mutex_unlock(&store->mutex);
    return closing_;
}

static void close_waits_for_calls(void **state)
{
    const ski_kernel *kernel = &ski_kernel_system;
    closing c = {.store = store_new(kernel, NULL), .event = {.type = SKALD_STR("t.x")}};
    skald_store_batch refused = {.events = &c.event, .event_count = 1, .done = count_done};
    ski_thread submitter, closer;

    (void)state;
    c.batch = (skald_store_batch){
        .events = &c.event, .event_count = 1, .done = count_done, .context = &c.times};
    fake.end_in_submit = true;
    atomic_store(&fake.held, true);
    assert_int_equal(kernel->spawn(kernel->context, "submit", submit_held, &c, &submitter),
                     SKALD_OK);
    while (!atomic_load(&fake.entered)) (void)sched_yield();
    assert_int_equal(kernel->spawn(kernel->context, "close", close_store, &c, &closer), SKALD_OK);
    while (!is_closing(c.store)) (void)sched_yield();
    assert_int_equal(ski_store_submit(c.store, &refused), SKALD_ECLOSED);
    assert_int_equal(ski_store_commit(c.store, &refused), SKALD_ECLOSED);
    assert_false(atomic_load(&c.closed));
    atomic_store(&fake.held, false);
    kernel->join(kernel->context, submitter);
    kernel->join(kernel->context, closer);
    assert_int_equal(c.submitted, SKALD_OK);
    assert_int_equal(c.times, 1);
}

static void sum_watched(void *context, uint64_t durable_position)
{
    uint64_t *sum = context;

    *sum = *sum * 10 + durable_position;
}

static void the_watcher_sees_rising_positions(void **state)
{
    skald_store *store = store_new(&ski_kernel_system, NULL);
    uint64_t sum = 0;

    (void)state;
    fake.host->advanced(fake.host->context, 1); // nobody watches
    ski_store_watch(store, sum_watched, &sum);
    fake.host->advanced(fake.host->context, 2);
    fake.host->advanced(fake.host->context, 4);
    fake.host->advanced(fake.host->context, 3); // an older one, told late
    fake.host->advanced(fake.host->context, 4);
    fake.host->advanced(fake.host->context, 5);
    ski_store_watch(store, NULL, NULL);
    fake.host->advanced(fake.host->context, 6);
    assert_int_equal(sum, 245);
    skald_store_close(store);
}

static void listings_keep_the_smallest(void **state)
{
    skald_store *store = store_new(&ski_kernel_system, NULL);
    static const char *const given[] = {"s-7", "s-2", "other", "s-9", "s-2", "s-1", "", NULL};
    const skald_counted *list;
    skald_arena *arena;
    size_t count;

    (void)state;
    memcpy(fake.streams, given, sizeof(given));
    assert_int_equal(skald_arena_new(4096, &arena), SKALD_OK);
    for (size_t max = 1; max < 8; max++) {
        static const char *const due[] = {"s-1", "s-2", "s-2", "s-7", "s-9"};

        assert_int_equal(skald_store_streams(store, (skald_str){0}, SKALD_STR("s-"), NULL, max,
                                             arena, &list, &count),
                         SKALD_OK);
        assert_int_equal(count, max < 5 ? max : 5);
        for (size_t i = 0; i < count; i++)
            assert_true(skald_str_equal(list[i].name, skald_str_of(due[i])));
        assert_int_equal(list[0].count, 6);
        skald_arena_reset(arena);
    }
    assert_int_equal(skald_store_streams(store, (skald_str){0}, (skald_str){0},
                                         &(skald_counted){.name = SKALD_STR("s-2")}, 9, arena,
                                         &list, &count),
                     SKALD_OK);
    assert_int_equal(count, 2);
    ski_alloc_fail_at(1);
    assert_int_equal(skald_store_streams(store, (skald_str){0}, (skald_str){0}, NULL, 9, arena,
                                         &list, &count),
                     SKALD_ENOMEM);
    ski_alloc_fail_at(0);
    while (skald_arena_get(arena, 1)) continue;
    assert_int_equal(skald_store_streams(store, (skald_str){0}, (skald_str){0}, NULL, 9, arena,
                                         &list, &count),
                     SKALD_ENOMEM);
    skald_arena_free(arena);
    skald_store_close(store);
}

static void types_need_room_in_the_arena(void **state)
{
    skald_event event = {.type = SKALD_STR("t.x")};
    const skald_counted *list;
    skald_store *store;
    skald_arena *arena;
    size_t count;

    (void)state;
    assert_int_equal(skald_store_open("memory:", NULL, &store, NULL), SKALD_OK);
    assert_int_equal(skald_store_append(store, &event, 1, NULL, NULL, NULL), SKALD_OK);
    assert_int_equal(skald_arena_new(4096, &arena), SKALD_OK);
    while (skald_arena_get(arena, 1)) continue;
    assert_int_equal(skald_store_types(store, SKALD_STR(""), arena, &list, &count), SKALD_ENOMEM);
    skald_arena_free(arena);
    skald_store_close(store);
}

static void lookups_are_checked(void **state)
{
    skald_store *store = store_new(&ski_kernel_system, NULL);
    char name[300] = {0};
    skald_buf buf = {.bytes_max = 100};
    skald_verified verified;
    skald_error error;
    uint64_t version;

    (void)state;
    assert_int_equal(skald_stream_version(store, SKALD_STR(""), SKALD_STR(""), &version),
                     SKALD_EINVALID);
    assert_int_equal(skald_stream_version(store, SKALD_STR(""),
                                          (skald_str){name, SKALD_STREAM_BYTES_MAX + 1}, &version),
                     SKALD_EINVALID);
    assert_int_equal(ski_store_value_get(store, SKALD_STR(""), &buf), SKALD_EINVALID);
    assert_int_equal(
        ski_store_value_get(store, (skald_str){name, SKI_STORE_VALUE_NAME_BYTES_MAX + 1}, &buf),
        SKALD_EINVALID);
    assert_int_equal(skald_store_verify(store, NULL, &verified, &error), SKALD_EUNSUPPORTED);
    assert_non_null(strstr(error.text, "'fake'"));
    skald_store_close(store);
}

static void content_is_what_an_event_says(void **state)
{
    skald_event event = {.type = SKALD_STR("ab"), .stream = SKALD_STR("c"), .data = SKALD_STR("1")};
    skald_event moved = {.type = SKALD_STR("a"), .stream = SKALD_STR("bc"), .data = SKALD_STR("1")};
    uint64_t hash = ski_event_content_hash(7, &event);

    (void)state;
    assert_true(hash != ski_event_content_hash(8, &event));
    assert_true(hash != ski_event_content_hash(7, &moved));
    event.version = 1;
    event.id.bytes[3] = 1;
    event.tenant = SKALD_STR("t");
    event.source = SKALD_STR("s");
    event.recorded_at = event.occurred_at = 6;
    event.metadata = SKALD_STR("");
    assert_int_equal(hash, ski_event_content_hash(7, &event));
    event.metadata = SKALD_STR("{}");
    assert_true(hash != ski_event_content_hash(7, &event));
    assert_int_equal(ski_event_text_bytes(&event), 2 + 1 + 1 + 2 + 1 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_is_refused),
        cmocka_unit_test(defaults_are_filled_in),
        cmocka_unit_test(pages_are_filtered_again),
        cmocka_unit_test(a_cursor_passes_empty_pages_and_damage),
        cmocka_unit_test(an_event_is_copied_whole),
        cmocka_unit_test(commit_is_made_of_submit),
        cmocka_unit_test(batches_are_stamped),
        cmocka_unit_test(read_only_takes_nothing),
        cmocka_unit_test(an_append_without_memory_fails),
        cmocka_unit_test(append_bytes_max_holds),
        cmocka_unit_test(a_batch_fails_in_words),
        cmocka_unit_test(close_waits_for_calls),
        cmocka_unit_test(the_watcher_sees_rising_positions),
        cmocka_unit_test(listings_keep_the_smallest),
        cmocka_unit_test(types_need_room_in_the_arena),
        cmocka_unit_test(lookups_are_checked),
        cmocka_unit_test(content_is_what_an_event_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
