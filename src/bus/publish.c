// SPDX-License-Identifier: Apache-2.0
// Publishing: events are checked, stamped with where they come from, and appended as one.
//
// A publish is one block of memory: the batch, the events as they are stored, the expectations, and
// the text that is stamped. It lives from the call to the end of done.
//
// Stamps. source: the bus's. id: a new one. occurred_at: now. Without a cause an event's
// correlation id is its own id; with one it is the cause's (or the cause's id), the causation id is
// the cause's id, and tenant, actor and trace are the cause's where the event has none.
#include "bus/engine.h"

#include "base/alloc.h"
#include "event/types.h"

#include <stdio.h>
#include <string.h>

enum { copied_at_once = 32 }; // events: so they are stamped while they are at hand

typedef struct publish {
    skald_bus *bus;
    skald_store_batch batch;
    skald_published_fn *done; // NULL: somebody waits
    void *context;
    skald_err err; // of the append
    skald_event *events;
    size_t count;
    char *text;                // where the next text goes
    skald_buf expiry, wrapped; // what had to be written down of what expires, or comes later
    bool transient;            // nothing is appended
    ski_publish_spans *spans;  // NULL: it is not traced
} publish;

// What is inherited, copied once.
typedef struct inherited {
    skald_str correlation_id, causation_id, tenant, user, role, traceparent;
} inherited;

// What every event of a publish is stamped with.
typedef struct stamps {
    inherited from;
    skald_str source;
    skald_time now;
    bool named; // there are types that are known, with names that may stand for others
} stamps;

static void publish_count(skald_bus *bus, const skald_store_batch *batch, skald_err err)
{
    if (err)
        atomic_fetch_add_explicit(&bus->publish_failed, batch->event_count, memory_order_relaxed);
    else if (!batch->appended.repeated)
        atomic_fetch_add_explicit(&bus->published, batch->event_count, memory_order_relaxed);
}

// Checks.

static skald_err event_fail(size_t index, size_t count, skald_err err, skald_error *reterr_error)
{
    char field[sizeof(reterr_error->field)];

    if (!reterr_error || count < 2) return err;
    memcpy(field, reterr_error->field, sizeof(field));
    snprintf(reterr_error->field, sizeof(reterr_error->field), "[%zu]%s%.40s", index,
             *field ? "." : "", field);
    return err;
}

static skald_err events_check(const skald_bus *bus, const skald_event *events, size_t count,
                              bool checked, skald_error *reterr_error)
{
    if (!count) return skald_fail(reterr_error, SKALD_EINVALID, "there is no event to publish");
    if (count > SKALD_APPEND_EVENTS_MAX)
        return skald_fail(reterr_error, SKALD_ETOOBIG,
                          "%zu events at once; at most %d are possible", count,
                          (int)SKALD_APPEND_EVENTS_MAX);
    bool admission = ski_admission_asked(bus);

    if (checked && !admission) return SKALD_OK;
    for (size_t i = 0; i < count; i++) {
        skald_err err = SKALD_OK;

        if (!checked) err = skald_event_check(&events[i], bus->event_bytes_max, reterr_error);
        if (!err && admission) err = ski_event_admit(bus, &events[i], reterr_error);
        if (err) return event_fail(i, count, err, reterr_error);
    }
    return SKALD_OK;
}

// kinds_check: once events are stamped, what each type says of itself is known.
static skald_err kinds_check(const skald_event *events, size_t count, skald_error *reterr_error)
{
    size_t i = 1;

    while (i < count && events[i].transient == events[0].transient) i++;
    if (i >= count) return SKALD_OK;
    return event_fail(i, count,
                      skald_fail_at(reterr_error, SKALD_EINVALID, "persistent",
                                    "events that are kept and others are not published together"),
                      reterr_error);
}

// The block.

static size_t text_bytes(const skald_event *events, size_t count,
                         const skald_publish_options *options)
{
    const skald_event *cause = options->cause;
    size_t bytes = 2 * (SKALD_UUID_TEXT + 1);

    if (cause)
        bytes += cause->correlation_id.len + cause->tenant.len + cause->user.len + cause->role.len +
                 cause->traceparent.len;
    else
        for (size_t i = 0; i < count; i++)
            if (!events[i].correlation_id.len) bytes += SKALD_UUID_TEXT + 1;
    for (size_t i = 0; i < options->append.expect_count; i++)
        bytes += options->append.expect[i].tenant.len + options->append.expect[i].stream.len;
    return bytes;
}

static skald_str text_put(publish *made, skald_str text)
{
    skald_str copy = {made->text, text.len};

    if (!text.len) return (skald_str){0};
    memcpy(made->text, text.ptr, text.len);
    made->text += text.len;
    return copy;
}

static skald_str uuid_put(publish *made, skald_uuid uuid)
{
    skald_str copy = {made->text, SKALD_UUID_TEXT};

    skald_uuid_print(uuid, made->text);
    made->text += SKALD_UUID_TEXT + 1;
    return copy;
}

static inherited inherit(publish *made, const skald_event *cause)
{
    if (!cause) return (inherited){0};
    inherited from = {
        .causation_id = uuid_put(made, cause->id),
        .correlation_id = text_put(made, cause->correlation_id),
        .tenant = text_put(made, cause->tenant),
        .user = text_put(made, cause->user),
        .role = text_put(made, cause->role),
        .traceparent = text_put(made, cause->traceparent),
    };

    if (!from.correlation_id.len) from.correlation_id = from.causation_id;
    return from;
}

static inline void stamp(publish *made, skald_event *event, const stamps *with)
{
    const inherited *from = &with->from;

    if (with->named) ski_event_rename(made->bus, event);
    if (!event->occurred_at) event->occurred_at = with->now;
    if (!event->source.len) event->source = with->source;
    if (!event->correlation_id.len)
        event->correlation_id =
            from->correlation_id.len ? from->correlation_id : uuid_put(made, event->id);
    if (!event->causation_id.len) event->causation_id = from->causation_id;
    if (!event->tenant.len) event->tenant = from->tenant;
    if (!event->user.len && !event->role.len) {
        event->user = from->user;
        event->role = from->role;
    }
    if (!event->traceparent.len) event->traceparent = from->traceparent;
}

static void expects_copy(publish *made, skald_expect *expects, const skald_append_options *append)
{
    for (size_t i = 0; i < append->expect_count; i++) {
        expects[i] = append->expect[i];
        expects[i].tenant = text_put(made, append->expect[i].tenant);
        expects[i].stream = text_put(made, append->expect[i].stream);
    }
    made->batch.expect = expects;
    made->batch.expect_count = append->expect_count;
}

static void publish_free(publish *made)
{
    skald_buf_fini(&made->expiry);
    skald_buf_fini(&made->wrapped);
    ski_free(made->spans);
    ski_free(made);
}

static void publish_done(skald_store_batch *batch, skald_err err)
{
    publish *made = batch->context;
    skald_bus *bus = made->bus;

    made->err = err;
    publish_count(bus, batch, err);
    ski_publish_spans_end(bus, made->spans, made->events, err);
    if (!made->done) return; // whoever waits goes on from here
    skald_published published = {
        .err = err, .appended = batch->appended, .events = made->events, .count = made->count};

    if (err) (void)ski_store_batch_fail(batch, err, &published.error);
    made->done(made->context, &published);
    publish_free(made);
    ski_gate_leave(&bus->publishes); // a bus that stops waits for it
}

static publish *publish_new(skald_bus *bus, const skald_event *events, size_t count,
                            const skald_publish_options *options)
{
    size_t expects = options->append.expect_count;
    size_t size = sizeof(publish) + count * sizeof(*events) + expects * sizeof(skald_expect);
    publish *made = ski_alloc(size + text_bytes(events, count, options));

    if (!made) return NULL;
    *made = (publish){.bus = bus, .events = (skald_event *)(made + 1), .count = count};
    made->text = (char *)made + size;
    made->batch = (skald_store_batch){
        .events = made->events,
        .event_count = count,
        .durability = options->append.durability,
        .more = options->more,
        .done = publish_done,
        .context = made,
    };
    expects_copy(made, (skald_expect *)(made->events + count), &options->append);
    const stamps with = {.from = inherit(made, options->cause),
                         .source = skald_str_of(bus->source),
                         .now = ski_bus_now(bus),
                         .named = ski_types_any(bus->types)};

    made->batch.ids_made = true;
    for (size_t i = 0; i < count; i += copied_at_once) {
        size_t some = count - i < copied_at_once ? count - i : copied_at_once;

        memcpy(&made->events[i], &events[i], some * sizeof(*events));
        if (!ski_store_ids_give(bus->store, &made->events[i], some, with.now))
            made->batch.ids_made = false;
        for (size_t j = i; j < i + some; j++) stamp(made, &made->events[j], &with);
    }
    return made;
}

// special_check: what does not go together.
static skald_err special_check(const publish *made, const skald_publish_options *options)
{
    skald_error *reterr_error = options->reterr_error;
    bool special = made->transient || options->deliver_at;

    if (special && options->append.expect_count)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "expectedVersion",
                             "it goes with events that are stored now");
    if (made->transient && options->deliver_at)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "deliverAt",
                             "an event that is not kept cannot wait");
    if (options->deliver_at && options->expires_at && options->expires_at <= options->deliver_at)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "expiresAt",
                             "it is not after deliverAt");
    return SKALD_OK;
}

// publish_special writes down when events expire and when they are to be delivered.
static skald_err publish_special(publish *made, const skald_publish_options *options)
{
    made->transient = made->events[0].transient;
    SKALD_TRY(special_check(made, options));
    if (options->expires_at)
        SKALD_TRY(ski_expiry_put(made->events, made->count, options->expires_at, &made->expiry,
                                 options->reterr_error));
    if (!options->deliver_at) return SKALD_OK;
    SKALD_TRY(ski_schedule_wrap(made->bus, made->events, made->count, options->deliver_at,
                                &made->wrapped, options->reterr_error));
    made->batch.events = (skald_event *)(void *)made->wrapped.ptr;
    made->batch.ids_made = false; // theirs are derived
    return SKALD_OK;
}

// publish_done_now ends a publish of events that are not kept: whoever is there has them.
static void publish_done_now(publish *made)
{
    ski_ephemeral_offer(made->bus, made->events, made->count);
    made->batch.event_count = 0;
    publish_done(&made->batch, SKALD_OK);
}

static const skald_publish_options defaults;

// publish_make gives a checked, stamped block of a publish that has entered.
static skald_err publish_make(skald_bus *bus, const skald_event *events, size_t count, bool checked,
                              const skald_publish_options *options, publish **ret_made)
{
    skald_error *reterr_error = options->reterr_error;
    skald_err err = events_check(bus, events, count, checked, reterr_error);

    if (!err) err = ski_store_options_check(&options->append, reterr_error);
    if (!err && !ski_gate_enter(&bus->publishes))
        err = skald_fail(reterr_error, SKALD_ECLOSED, "the bus is stopping");
    if (!err) {
        publish *made = publish_new(bus, events, count, options);

        *ret_made = made;
        err = made ? kinds_check(made->events, count, reterr_error)
                   : skald_fail(reterr_error, SKALD_ENOMEM, "out of memory");
        if (!err)
            made->spans =
                ski_publish_spans_begin(bus, made->events, count, !checked && !options->cause);
        if (!err && (made->events[0].transient || options->deliver_at || options->expires_at))
            err = publish_special(made, options);
        if (!err) return SKALD_OK;
        if (made) publish_free(made);
        ski_gate_leave(&bus->publishes);
    }
    atomic_fetch_add_explicit(&bus->publish_failed, count, memory_order_relaxed);
    return err;
}

// publish_refused ends a publish the store did not take.
static skald_err publish_refused(publish *made, skald_err err, skald_error *reterr_error)
{
    skald_bus *bus = made->bus;

    publish_count(bus, &made->batch, err);
    ski_publish_spans_end(bus, made->spans, made->events, err);
    err = ski_store_batch_fail(&made->batch, err, reterr_error);
    publish_free(made);
    ski_gate_leave(&bus->publishes);
    return err;
}

static skald_err publish_start(skald_bus *bus, const skald_event *events, size_t count,
                               bool checked, const skald_store_value *value,
                               const skald_publish_options *options, skald_published_fn *done,
                               void *context)
{
    publish *made;

    if (!options) options = &defaults;
    if (!done) return skald_fail(options->reterr_error, SKALD_EINVALID, "done is missing");
    SKALD_TRY(publish_make(bus, events, count, checked, options, &made));
    made->done = done;
    made->context = context;
    made->batch.values = value;
    made->batch.value_count = value != NULL;
    if (made->transient) {
        publish_done_now(made);
        return SKALD_OK;
    }
    skald_err err = ski_store_submit(bus->store, &made->batch);

    return err ? publish_refused(made, err, options->reterr_error) : SKALD_OK;
}

void skald_bus_flush(skald_bus *bus)
{
    ski_store_flush(bus->store);
}

skald_err skald_publish_start(skald_bus *bus, const skald_event *events, size_t count,
                              const skald_publish_options *options, skald_published_fn *done,
                              void *context)
{
    return publish_start(bus, events, count, false, NULL, options, done, context);
}

skald_err ski_publish_checked_start(skald_bus *bus, const skald_event *events, size_t count,
                                    const skald_publish_options *options, skald_published_fn *done,
                                    void *context)
{
    return publish_start(bus, events, count, true, NULL, options, done, context);
}

skald_err ski_publish_kept_start(skald_bus *bus, const skald_event *events, size_t count,
                                 const skald_store_value *value,
                                 const skald_publish_options *options, skald_published_fn *done,
                                 void *context)
{
    return publish_start(bus, events, count, true, value, options, done, context);
}

skald_err skald_publish_all(skald_bus *bus, const skald_event *events, size_t count,
                            const skald_publish_options *options, skald_appended *ret_appended)
{
    publish *made;

    if (!options) options = &defaults;
    SKALD_TRY(publish_make(bus, events, count, false, options, &made));
    skald_err err = SKALD_OK;

    if (made->transient)
        publish_done_now(made);
    else
        err = ski_store_commit(bus->store, &made->batch);
    if (err) return publish_refused(made, err, options->reterr_error);
    err = made->err;
    if (err)
        (void)ski_store_batch_fail(&made->batch, err, options->reterr_error);
    else if (ret_appended)
        *ret_appended = made->batch.appended;
    publish_free(made);
    ski_gate_leave(&bus->publishes);
    return err;
}

skald_err skald_delivery_publish(const skald_delivery *delivery, skald_event event,
                                 const skald_publish_options *options)
{
    skald_publish_options caused = options ? *options : defaults;
    skald_event cause = *delivery->event;
    char trace[SKI_TRACE_TEXT + 1];

    ski_delivery_trace(delivery, &cause, trace);
    caused.cause = &cause;
    return skald_publish_all(delivery->bus, &event, 1, &caused, NULL);
}

skald_err skald_publish(skald_bus *bus, skald_event event, const skald_publish_options *options)
{
    return skald_publish_all(bus, &event, 1, options, NULL);
}
