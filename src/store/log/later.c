// SPDX-License-Identifier: Apache-2.0
// Batches that were submitted and cannot be put in order from memory alone, or not at once: a
// stream that only index files know, an id that may be in a sealed segment, an id before which many
// are to be noted. Who submits must not wait, so the batch is put off, and the thread "skald-log"
// reads what is missing (without threads: whoever steps, commits or closes).
//
// Invariants:
//   1. The order of submission is the order of commit: while anything is put off, or is being put
//      in order after that, what is submitted goes behind it, and a commit waits for what was put
//      off before it. One thread at a time puts them in order.
//   2. What is put off is counted as staged from the beginning: append_bytes_max bounds it, and it
//      is not refused as FULL afterwards.
//   3. The driver may use a batch's texts during submit only. So they are copied into a batch of
//      its own, which gives its result to the one it stands for.
#include "base/alloc.h"
#include "store/log/engine.h"
#include "store/log/mend.h"
#include <string.h>

struct ski_later {
    skald_store_batch batch; // first: done finds its way back with it
    skald_store_batch *given;
    ski_later *next;
    uint64_t bytes; // counted as staged
};

static size_t str_bytes(skald_str text)
{
    return text.ptr ? text.len + 1 : 0; // one more, so that an empty text is not none
}

// str_move copies a text to *to, which moves behind it.
static void str_move(skald_str *text, char **to)
{
    if (!text->ptr) return;
    if (text->len) memcpy(*to, text->ptr, text->len);
    text->ptr = *to;
    *to += text->len + 1;
}

enum { event_texts = 12 };

static void event_texts_of(skald_event *event, skald_str *texts[event_texts])
{
    skald_str *all[event_texts] = {
        &event->type, &event->data,   &event->metadata,       &event->stream,
        &event->tags, &event->tenant, &event->correlation_id, &event->causation_id,
        &event->user, &event->role,   &event->source,         &event->traceparent};

    memcpy(texts, all, sizeof all);
}

static size_t texts_bytes(const skald_store_batch *batch)
{
    size_t bytes = 0;

    for (size_t i = 0; i < batch->event_count; i++) {
        skald_str *texts[event_texts];

        event_texts_of(&batch->events[i], texts);
        for (int k = 0; k < event_texts; k++) bytes += str_bytes(*texts[k]);
    }
    for (size_t i = 0; i < batch->value_count; i++) {
        bytes += str_bytes(batch->values[i].name) + str_bytes(batch->values[i].bytes);
    }
    for (size_t i = 0; i < batch->expect_count; i++) {
        bytes += str_bytes(batch->expect[i].tenant) + str_bytes(batch->expect[i].stream);
    }
    return bytes;
}

// later_done gives the result to the batch that was submitted.
static void later_done(skald_store_batch *batch, skald_err err)
{
    ski_later *later = (ski_later *)batch;
    skald_store_batch *given = later->given;

    for (size_t i = 0; i < batch->event_count; i++) {
        given->events[i].position = batch->events[i].position;
        given->events[i].stream_version = batch->events[i].stream_version;
        given->events[i].recorded_at = batch->events[i].recorded_at;
    }
    given->appended = batch->appended;
    given->actual_version = batch->actual_version;
    given->conflict = batch->conflict;
    ski_free(later);
    given->done(given, err);
}

ski_later *ski_later_new(skald_store_batch *batch, bool ids_made, uint64_t bytes)
{
    size_t events_bytes = batch->event_count * sizeof *batch->events;
    size_t values_bytes = batch->value_count * sizeof *batch->values;
    size_t expects_bytes = batch->expect_count * sizeof *batch->expect;
    size_t structs = sizeof(ski_later) + events_bytes + values_bytes + expects_bytes;
    ski_later *later = ski_alloc(structs + texts_bytes(batch));
    skald_event *events = NULL;
    skald_store_value *values = NULL;
    skald_expect *expects = NULL;
    char *text = NULL;

    if (!later) return NULL;
    events = (skald_event *)(later + 1);
    values = (skald_store_value *)(events + batch->event_count);
    expects = (skald_expect *)(values + batch->value_count);
    text = (char *)later + structs;
    if (events_bytes) memcpy(events, batch->events, events_bytes);
    if (values_bytes) memcpy(values, batch->values, values_bytes);
    if (expects_bytes) memcpy(expects, batch->expect, expects_bytes);
    for (size_t i = 0; i < batch->event_count; i++) {
        skald_str *texts[event_texts];

        event_texts_of(&events[i], texts);
        for (int k = 0; k < event_texts; k++) str_move(texts[k], &text);
    }
    for (size_t i = 0; i < batch->value_count; i++) {
        str_move(&values[i].name, &text);
        str_move(&values[i].bytes, &text);
    }
    for (size_t i = 0; i < batch->expect_count; i++) {
        str_move(&expects[i].tenant, &text);
        str_move(&expects[i].stream, &text);
    }
    *later = (ski_later){.batch = *batch, .given = batch, .bytes = bytes};
    later->batch.events = events;
    later->batch.values = values;
    later->batch.expect = expects;
    later->batch.done = later_done;
    later->batch.ids_made = ids_made;
    later->batch.more = true; // who puts it in order writes next
    return later;
}

void ski_later_add(ski_engine *engine, ski_later *take_later)
{
    if (engine->later_last) {
        engine->later_last->next = take_later;
    } else {
        engine->later_first = take_later;
    }
    engine->later_last = take_later;
    engine->later_added++;
}

bool ski_later_some(const ski_engine *engine)
{
    return engine->later_ended < engine->later_added;
}

// later_stage puts one in order. The lock is free.
static void later_stage(ski_engine *engine, ski_later *later)
{
    uint64_t bytes = later->bytes, group = 0;
    skald_err err = ski_mend_stage(engine, &later->batch, SKI_STAGE_LATER, &group);

    if (err) later_done(&later->batch, err);
    // It has been counted again where it waits now, if it does.
    ski_mutex_lock(&engine->lock);
    engine->bytes_staged -= bytes;
    engine->batches_staged--;
    ski_mutex_unlock(&engine->lock);
}

void ski_later_drain(ski_engine *engine)
{
    ski_later *later = engine->later_first;
    uint64_t added = engine->later_added;

    engine->later_first = engine->later_last = NULL;
    ski_mutex_unlock(&engine->lock);
    while (later) {
        ski_later *next = later->next;

        later_stage(engine, later);
        later = next;
    }
    ski_mutex_lock(&engine->lock);
    engine->later_ended = added;
    ski_cond_broadcast(&engine->later_over);
}

void ski_later_wait(ski_engine *engine)
{
    bool threads = engine->kernel->spawn;
    uint64_t added = engine->later_added; // not for what comes meanwhile: that might never end

    while (engine->later_ended < added) {
        if (threads) {
            ski_cond_signal(&engine->work);
            ski_cond_wait(&engine->later_over, &engine->lock);
        } else {
            ski_later_drain(engine);
        }
    }
}
