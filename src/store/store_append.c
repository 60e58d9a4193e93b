// SPDX-License-Identifier: Apache-2.0
// The way in: a batch is checked, stamped and handed to the driver.
//
// Invariants:
//   1. What reaches a driver is whole: within every limit, ids and times given, no id twice.
//   2. A batch that was not taken is unchanged but for what was stamped: giving it again is a
//      repetition of the same events, not new ones.
//   3. A driver does not know of deleted streams. What is expected of one is told to it in
//      versions, so that it is decided where versions are given out: no append can come in between.
#include "store/handle.h"

#include "base/alloc.h"
#include "store/content.h"
#include "store/sight.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    events_on_stack = 8,     // an append of few events needs no memory of its own
    twice_by_pairs_max = 16, // up to here comparing all pairs is quicker than sorting
};

static int id_compare(const skald_event *a, const skald_event *b)
{
    int order = memcmp(a->id.bytes, b->id.bytes, sizeof(a->id.bytes));

    if (order) return order;
    if (a->tenant.len != b->tenant.len) return a->tenant.len < b->tenant.len ? -1 : 1;
    return a->tenant.len ? memcmp(a->tenant.ptr, b->tenant.ptr, a->tenant.len) : 0;
}

static int id_compare_pointers(const void *a, const void *b)
{
    return id_compare(*(const skald_event *const *)a, *(const skald_event *const *)b);
}

static bool event_reserved(const skald_event *event)
{
    return ski_reserved(event->stream) || ski_reserved(event->type);
}

// What one look at the events of a batch tells.
typedef struct events_look {
    uint64_t bytes; // of their texts
    bool reserved;  // a name is the store's own
    bool given;     // every id is
    bool dated;     // every time is
    bool rise;      // those given do, as one maker gives them, and then none stands twice
} events_look;

// event_stamp stamps what is the same whatever the store is and the time.
static void event_stamp(skald_event *event)
{
    if (!event->version) event->version = 1;
    if (!event->data.len) event->data = SKALD_STR("null");
    if (!event->tenant.ptr) event->tenant = SKALD_STR("");
    event->position = event->stream_version = 0;
    event->recorded_at = 0;
}

// events_look_at looks at all events, and stamps them on the way: they are many, and far.
static events_look events_look_at(skald_store_batch *batch)
{
    events_look look = {.given = true, .dated = true, .rise = true};
    const skald_event *last = NULL;

    for (size_t i = 0; i < batch->event_count; i++) {
        skald_event *event = &batch->events[i];

        assert(!event->transient);
        look.bytes += ski_event_text_bytes(event);
        look.reserved |= event_reserved(event);
        if (!event->occurred_at) look.dated = false;
        event_stamp(event);
        if (!ski_uuid_is_given(event->id)) {
            look.given = false;
            continue;
        }
        if (last && ski_uuid_order(last->id, event->id) >= 0) look.rise = false;
        last = event;
    }
    return look;
}

static const skald_event *twice_by_pairs(const skald_store_batch *batch)
{
    for (size_t i = 1; i < batch->event_count; i++) {
        if (!skald_uuid_given(batch->events[i].id)) continue;
        for (size_t j = 0; j < i; j++)
            if (id_compare(&batch->events[i], &batch->events[j]) == 0) return &batch->events[i];
    }
    return NULL;
}

// batch_twice finds an event whose id stands before it in the batch; *ret_event is NULL if none is.
static skald_err batch_twice(const skald_store_batch *batch, const skald_event **ret_event)
{
    const skald_event **sorted;
    size_t count = 0;

    *ret_event = NULL;
    if (batch->event_count <= twice_by_pairs_max) {
        *ret_event = twice_by_pairs(batch);
        return SKALD_OK;
    }
    sorted = ski_alloc(batch->event_count * sizeof(const skald_event *));
    if (!sorted) return SKALD_ENOMEM;
    for (size_t i = 0; i < batch->event_count; i++)
        if (skald_uuid_given(batch->events[i].id)) sorted[count++] = &batch->events[i];
    qsort(sorted, count, sizeof(const skald_event *), id_compare_pointers);
    for (size_t i = 1; i < count && !*ret_event; i++)
        if (id_compare(sorted[i - 1], sorted[i]) == 0) *ret_event = sorted[i];
    ski_free(sorted);
    return SKALD_OK;
}

static skald_err expects_check(const skald_store_batch *batch)
{
    if (batch->expect_count > SKALD_APPEND_EXPECTS_MAX) return SKALD_ETOOBIG;
    for (size_t i = 0; i < batch->expect_count; i++) {
        const skald_expect *expect = &batch->expect[i];

        if (!expect->stream.len || expect->stream.len > SKALD_STREAM_BYTES_MAX)
            return SKALD_EINVALID;
        if (expect->tenant.len > SKALD_TENANT_BYTES_MAX) return SKALD_EINVALID;
        if ((unsigned)expect->expected > SKALD_AT) return SKALD_EINVALID;
    }
    return SKALD_OK;
}

// batch_check: what can be said without the driver. Events have been checked, each, by the caller.
static skald_err batch_check(const skald_store *store, skald_store_batch *batch, bool reserved,
                             events_look *ret_look)
{
    const skald_event *twice = NULL;
    events_look look;
    uint64_t bytes;

    if (!batch->event_count && !batch->value_count) return SKALD_EINVALID;
    if ((unsigned)batch->durability > SKALD_MEMORY) return SKALD_EINVALID;
    if (batch->event_count > SKALD_APPEND_EVENTS_MAX) return SKALD_ETOOBIG;
    if (batch->value_count > SKI_STORE_VALUES_MAX) return SKALD_ETOOBIG;
    look = events_look_at(batch);
    bytes = look.bytes;
    if (look.reserved && !reserved) return SKALD_EINVALID;
    for (size_t i = 0; i < batch->value_count; i++) {
        const skald_store_value *value = &batch->values[i];

        if (!value->name.len || value->name.len > SKI_STORE_VALUE_NAME_BYTES_MAX)
            return SKALD_EINVALID;
        if (value->bytes.len > SKI_STORE_VALUE_BYTES_MAX) return SKALD_ETOOBIG;
        bytes += value->name.len + value->bytes.len;
    }
    if (bytes > SKALD_APPEND_BYTES_MAX || bytes > store->options.append_bytes_max)
        return SKALD_ETOOBIG;
    SKALD_TRY(expects_check(batch));
    if (!look.rise) SKALD_TRY(batch_twice(batch, &twice));
    if (twice) return SKALD_EINVALID;
    *ret_look = look;
    return SKALD_OK;
}

static void batch_stamp(skald_store *store, skald_store_batch *batch, const events_look *look)
{
    // Asked for once, and only where it is wanted.
    skald_time now = look->given && look->dated ? 0 : ski_store_now(store);

    if (!look->given && ski_store_ids_give(store, batch->events, batch->event_count, now))
        batch->ids_made = true;
    for (size_t i = 0; i < batch->event_count && !look->dated; i++)
        if (!batch->events[i].occurred_at) batch->events[i].occurred_at = now;
    batch->appended = (skald_appended){0};
    batch->actual_version = 0;
    batch->conflict = 0;
    batch->next = NULL;
}

// batch_tombstoned finds the first event for a stream that is deleted for ever; event_count: none.
static size_t batch_tombstoned(skald_store *store, const skald_store_batch *batch)
{
    size_t i = 0;
    ski_rule rule;

    for (; i < batch->event_count; i++) {
        const skald_event *event = &batch->events[i];

        if (!event->stream.len || !ski_rule_get(store, event->tenant, event->stream, &rule))
            continue;
        if (rule.tombstoned) break;
    }
    return i;
}

// What is expected of deleted streams, in versions, and what it stands for until done.
typedef struct expect_swap {
    void (*done)(skald_store_batch *batch, skald_err err);
    void *context;
    const skald_expect *given;
    size_t given_count;
    size_t tombstoned; // an event for such a stream; event_count: there is none
    size_t added;      // expectations before those given
    skald_expect expects[];
} expect_swap;

static void swap_undo(skald_store_batch *batch)
{
    expect_swap *swap = batch->context;

    batch->done = swap->done;
    batch->context = swap->context;
    batch->expect = swap->given;
    batch->expect_count = swap->given_count;
    ski_free(swap);
}

static void swap_done(skald_store_batch *batch, skald_err err)
{
    const expect_swap *swap = batch->context;

    if (err == SKALD_ECONFLICT && batch->conflict < swap->added) {
        err = SKALD_ESTATE;
        batch->conflict = swap->tombstoned;
        batch->actual_version = 0;
    } else if (err == SKALD_ECONFLICT) {
        if ((unsigned)swap->expects[batch->conflict].expected == SKALD_STORE_AT_LEAST)
            batch->actual_version = 0; // a deleted stream does not exist
        batch->conflict -= swap->added;
    }
    swap_undo(batch);
    batch->done(batch, err);
}

// expect_versions says in versions what is expected of a deleted stream: that it does not exist is
// that nothing was appended since; that it exists, that something was. False: as it is.
static bool expect_versions(skald_store *store, const skald_expect *expect,
                            skald_expect *ret_expect)
{
    bool none =
        expect->expected == SKALD_NONE || (expect->expected == SKALD_AT && !expect->version);
    ski_rule rule;

    if (!none && expect->expected != SKALD_PRESENT) return false;
    if (!ski_rule_get(store, expect->tenant, expect->stream, &rule)) return false;
    if (!rule.deleted_before) return false;
    *ret_expect = *expect;
    ret_expect->expected = none ? SKALD_AT : (skald_expected)SKALD_STORE_AT_LEAST;
    ret_expect->version = none ? rule.deleted_before - 1 : rule.deleted_before;
    return true;
}

// batch_swap puts what is expected of deleted streams into the words of a driver. Of one that is
// deleted for ever something that never holds, before all else: so the driver refuses the batch,
// unless it is the repetition of one from before.
static skald_err batch_swap(skald_store *store, skald_store_batch *batch, bool *ret_swapped)
{
    size_t tombstoned = batch_tombstoned(store, batch), count = batch->expect_count;
    bool dead = tombstoned < batch->event_count, changed = dead;
    expect_swap *swap = NULL;
    skald_expect *expects = NULL;

    *ret_swapped = false;
    if (!dead && !count) return SKALD_OK;
    swap = ski_alloc(sizeof(*swap) + (count + 1) * sizeof(swap->expects[0]));
    if (!swap) return SKALD_ENOMEM;
    expects = swap->expects + dead;
    if (dead)
        swap->expects[0] = (skald_expect){batch->events[tombstoned].tenant,
                                          batch->events[tombstoned].stream, SKALD_AT, UINT64_MAX};
    for (size_t i = 0; i < count; i++) {
        expects[i] = batch->expect[i];
        changed |= expect_versions(store, &batch->expect[i], &expects[i]);
    }
    if (!changed) {
        ski_free(swap);
        return SKALD_OK;
    }
    swap->done = batch->done;
    swap->context = batch->context;
    swap->given = batch->expect;
    swap->given_count = count;
    swap->tombstoned = tombstoned;
    swap->added = dead;
    batch->done = swap_done;
    batch->context = swap;
    batch->expect = swap->expects;
    batch->expect_count = count + dead;
    *ret_swapped = true;
    return SKALD_OK;
}

static skald_err batch_prepare(skald_store *store, skald_store_batch *batch, bool reserved,
                               bool *ret_swapped)
{
    events_look look;

    assert(batch->done);
    *ret_swapped = false;
    if (store->options.read_only) return SKALD_EREADONLY;
    SKALD_TRY(batch_check(store, batch, reserved, &look));
    batch_stamp(store, batch, &look);
    if (!atomic_load(&store->rules_count)) return SKALD_OK;
    return batch_swap(store, batch, ret_swapped);
}

// batch_give hands a batch to the driver, with give, and again as long as more may go of a store
// that is full than when it was asked: by what is found here, or by what another append has told
// the driver meanwhile. So each time others have stored something.
static skald_err batch_give(skald_store *store, skald_store_batch *batch,
                            skald_err (*give)(skald_store *store, skald_store_batch *batch))
{
    ski_retention *retention = &store->retention;
    skald_err err;
    uint64_t told;

    (void)ski_retention_forget(store, false);
    do {
        told = atomic_load(&retention->told);
        err = give(store, batch);
    } while (err == SKALD_EFULL &&
             (ski_retention_forget(store, true) || atomic_load(&retention->told) != told));
    return err;
}

static skald_err driver_submit(skald_store *store, skald_store_batch *batch)
{
    return store->driver->submit(store->instance, batch);
}

skald_err ski_store_submit(skald_store *store, skald_store_batch *batch)
{
    bool swapped = false;
    skald_err err;

    SKALD_TRY(ski_store_enter(store));
    err = batch_prepare(store, batch, false, &swapped);
    if (!err) {
        err = batch_give(store, batch, driver_submit);
        if (err && swapped) swap_undo(batch);
    }
    ski_store_leave(store);
    return err;
}

void ski_store_flush(skald_store *store)
{
    if (!store->driver->flush || ski_store_enter(store)) return;
    store->driver->flush(store->instance);
    ski_store_leave(store);
}

// A commit with a driver that has none of its own: done is taken over for the time of waiting.
typedef struct batch_wait {
    ski_mutex mutex;
    ski_cond cond;
    bool ended;
    void (*done)(skald_store_batch *batch, skald_err err);
    void *context;
} batch_wait;

static void wait_done(skald_store_batch *batch, skald_err err)
{
    batch_wait *wait = batch->context;

    batch->done = wait->done;
    batch->context = wait->context;
    batch->done(batch, err);
    ski_mutex_lock(&wait->mutex);
    wait->ended = true;
    ski_cond_signal(&wait->cond);
    ski_mutex_unlock(&wait->mutex);
}

// wait_end returns when done was called: by a thread of the driver, or, where there are no threads,
// by a step taken here.
static void wait_end(skald_store *store, batch_wait *wait)
{
    ski_mutex_lock(&wait->mutex);
    while (!wait->ended) {
        if (store->kernel->spawn) {
            ski_cond_wait(&wait->cond, &wait->mutex);
            continue;
        }
        ski_mutex_unlock(&wait->mutex);
        bool worked = ski_store_step(store);
        ski_mutex_lock(&wait->mutex);
        assert(worked || wait->ended);
    }
    ski_mutex_unlock(&wait->mutex);
}

static skald_err driver_commit(skald_store *store, skald_store_batch *batch)
{
    batch_wait wait = {.done = batch->done, .context = batch->context};
    skald_err err;

    if (store->driver->commit) return store->driver->commit(store->instance, batch);
    ski_mutex_init(&wait.mutex);
    ski_cond_init(&wait.cond);
    batch->done = wait_done;
    batch->context = &wait;
    err = store->driver->submit(store->instance, batch);
    if (!err) {
        wait_end(store, &wait);
    } else {
        batch->done = wait.done;
        batch->context = wait.context;
    }
    ski_cond_fini(&wait.cond);
    ski_mutex_fini(&wait.mutex);
    return err;
}

static skald_err batch_commit(skald_store *store, skald_store_batch *batch, bool reserved)
{
    bool swapped = false;
    skald_err err;

    SKALD_TRY(ski_store_enter(store));
    err = batch_prepare(store, batch, reserved, &swapped);
    if (!err) {
        err = batch_give(store, batch, driver_commit);
        if (err && swapped) swap_undo(batch);
    }
    ski_store_leave(store);
    return err;
}

skald_err ski_store_commit(skald_store *store, skald_store_batch *batch)
{
    return batch_commit(store, batch, false);
}

static void told_done(skald_store_batch *batch, skald_err err)
{
    *(skald_err *)batch->context = err;
}

skald_err ski_store_commit_wait(skald_store *store, skald_store_batch *batch, bool reserved)
{
    skald_err told = SKALD_OK, err;

    batch->done = told_done;
    batch->context = &told;
    err = batch_commit(store, batch, reserved);
    return err ? err : told;
}

static skald_err conflict_fail(const skald_store_batch *batch, skald_error *reterr_error)
{
    static const skald_expect unknown = {.expected = SKALD_AT};
    const skald_expect *expect =
        batch->conflict < batch->expect_count ? &batch->expect[batch->conflict] : &unknown;
    unsigned long long actual = batch->actual_version;
    char stands[48], due[48];

    if (actual)
        (void)snprintf(stands, sizeof(stands), "is at version %llu", actual);
    else
        (void)snprintf(stands, sizeof(stands), "does not exist");
    if (expect->expected == SKALD_AT && expect->version)
        (void)snprintf(due, sizeof(due), "version %llu was expected",
                       (unsigned long long)expect->version);
    else if (expect->expected == SKALD_PRESENT)
        (void)snprintf(due, sizeof(due), "it was expected to exist");
    else
        (void)snprintf(due, sizeof(due), "it was expected not to exist");
    (void)skald_fail_at(reterr_error, SKALD_ECONFLICT, "expectedVersion", "stream '%.*s' %s, %s",
                        SKALD_FMT(expect->stream), stands, due);
    if (reterr_error) {
        reterr_error->expected_version = expect->expected == SKALD_PRESENT ? UINT64_MAX
                                         : expect->expected == SKALD_AT    ? expect->version
                                                                           : 0;
        reterr_error->actual_version = batch->actual_version;
    }
    return SKALD_ECONFLICT;
}

static skald_err id_fail(const skald_event *event, skald_err err, const char *what,
                         skald_error *reterr_error)
{
    char id[SKALD_UUID_TEXT + 1];

    skald_uuid_print(event->id, id);
    return skald_fail_at(reterr_error, err, "id", "the id %s %s", id, what);
}

static skald_err reserved_fail(const skald_event *event, skald_error *reterr_error)
{
    bool stream = ski_reserved(event->stream);

    return skald_fail_at(reterr_error, SKALD_EINVALID, stream ? "stream" : "type",
                         "'%.*s': names that begin with '$' are the store's own; take another",
                         SKALD_FMT(stream ? event->stream : event->type));
}

static const skald_event *reserved_find(const skald_store_batch *batch)
{
    for (size_t i = 0; i < batch->event_count; i++)
        if (event_reserved(&batch->events[i])) return &batch->events[i];
    return NULL;
}

skald_err ski_store_batch_fail(const skald_store_batch *batch, skald_err err,
                               skald_error *reterr_error)
{
    const skald_event *twice = NULL;

    if (err == SKALD_ESTATE && batch->conflict < batch->event_count)
        return skald_fail_at(reterr_error, err, "stream",
                             "stream '%.*s' was deleted for ever (tombstoned); its events go to a "
                             "stream of another name",
                             SKALD_FMT(batch->events[batch->conflict].stream));
    if (err == SKALD_EINVALID && reserved_find(batch))
        return reserved_fail(reserved_find(batch), reterr_error);
    if (err == SKALD_ECONFLICT) return conflict_fail(batch, reterr_error);
    if (err == SKALD_EEXISTS && batch->event_count == 1)
        return id_fail(&batch->events[0], err, "belongs to another event already", reterr_error);
    if (err == SKALD_EEXISTS)
        return skald_fail_at(reterr_error, err, "id",
                             "an id of these %zu events belongs to another event already, or only "
                             "some of them are stored: nothing was stored now",
                             batch->event_count);
    if (err == SKALD_EINVALID && !batch_twice(batch, &twice) && twice)
        return id_fail(twice, err, "stands twice in this batch", reterr_error);
    if (err == SKALD_ETOOBIG)
        return skald_fail(reterr_error, err,
                          "at most %d events with %d bytes of text, or append_bytes_max if that is "
                          "less, go into one append; send them in several",
                          (int)SKALD_APPEND_EVENTS_MAX, (int)SKALD_APPEND_BYTES_MAX);
    return skald_fail(reterr_error, err, "%s", skald_err_text(err));
}

// events_check names the event too when there are several.
static skald_err events_check(const skald_store *store, const skald_event *events, size_t count,
                              skald_error *reterr_error)
{
    for (size_t i = 0; i < count; i++) {
        skald_err err = skald_event_check(&events[i], store->options.event_bytes_max, reterr_error);

        if (!err && events[i].transient)
            err = skald_fail_at(reterr_error, SKALD_EINVALID, "transient",
                                "a transient event is published, never stored");
        if (!err && event_reserved(&events[i])) err = reserved_fail(&events[i], reterr_error);
        if (!err) continue;
        if (reterr_error && count > 1) {
            char field[sizeof(reterr_error->field)];

            memcpy(field, reterr_error->field, sizeof(field));
            (void)snprintf(reterr_error->field, sizeof(field), "[%zu]%s%.*s", i,
                           field[0] ? "." : "", (int)sizeof(field) - 16, field);
        }
        return err;
    }
    return SKALD_OK;
}

// expect_check says of one expectation why it could never be met.
static skald_err expect_check(const skald_expect *expect, size_t index, skald_error *reterr_error)
{
    char field[48];

    if ((unsigned)expect->expected > SKALD_AT) {
        (void)snprintf(field, sizeof(field), "expect[%zu].expected", index);
        return skald_fail_at(reterr_error, SKALD_EINVALID, field,
                             "%d is none of SKALD_ANY, SKALD_NONE, SKALD_PRESENT and SKALD_AT",
                             (int)expect->expected);
    }
    if (!expect->stream.len || expect->stream.len > SKALD_STREAM_BYTES_MAX) {
        (void)snprintf(field, sizeof(field), "expect[%zu].stream", index);
        return skald_fail_at(reterr_error, SKALD_EINVALID, field,
                             "a stream's name has 1 to %d bytes, not %zu",
                             (int)SKALD_STREAM_BYTES_MAX, expect->stream.len);
    }
    if (expect->tenant.len > SKALD_TENANT_BYTES_MAX) {
        (void)snprintf(field, sizeof(field), "expect[%zu].tenant", index);
        return skald_fail_at(reterr_error, SKALD_EINVALID, field,
                             "a tenant's name has %d bytes at most, not %zu",
                             (int)SKALD_TENANT_BYTES_MAX, expect->tenant.len);
    }
    return SKALD_OK;
}

skald_err ski_store_options_check(const skald_append_options *options, skald_error *reterr_error)
{
    if ((unsigned)options->durability > SKALD_MEMORY)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "durability",
                             "%d is none of SKALD_DURABLE, SKALD_WRITTEN and SKALD_MEMORY",
                             (int)options->durability);
    if (options->expect_count > SKALD_APPEND_EXPECTS_MAX)
        return skald_fail_at(reterr_error, SKALD_ETOOBIG, "expect", "at most %d are possible",
                             (int)SKALD_APPEND_EXPECTS_MAX);
    for (size_t i = 0; i < options->expect_count; i++)
        SKALD_TRY(expect_check(&options->expect[i], i, reterr_error));
    return SKALD_OK;
}

skald_err skald_store_append(skald_store *store, const skald_event *events, size_t count,
                             const skald_append_options *options, skald_appended *ret_appended,
                             skald_error *reterr_error)
{
    static const skald_append_options plain;
    skald_event on_stack[events_on_stack];
    skald_event *copy = on_stack;
    skald_err err;

    if (!options) options = &plain;
    if (!count) return skald_fail(reterr_error, SKALD_EINVALID, "there is no event to append");
    if (count > SKALD_APPEND_EVENTS_MAX)
        return ski_store_batch_fail(&(skald_store_batch){0}, SKALD_ETOOBIG, reterr_error);
    SKALD_TRY(ski_store_options_check(options, reterr_error));
    SKALD_TRY(events_check(store, events, count, reterr_error));
    if (count > events_on_stack) copy = ski_alloc(count * sizeof(*copy));
    if (!copy) return skald_fail(reterr_error, SKALD_ENOMEM, "%s", skald_err_text(SKALD_ENOMEM));
    memcpy(copy, events, count * sizeof(*copy));

    skald_store_batch batch = {.events = copy,
                               .event_count = count,
                               .expect = options->expect,
                               .expect_count = options->expect_count,
                               .durability = options->durability};
    err = ski_store_commit_wait(store, &batch, false);
    if (err)
        (void)ski_store_batch_fail(&batch, err, reterr_error);
    else if (ret_appended)
        *ret_appended = batch.appended;
    if (copy != on_stack) ski_free(copy);
    return err;
}
