// SPDX-License-Identifier: Apache-2.0
// The oracle's questions. What a store holds must be explained by a prefix of what was submitted,
// batches refused left out:
//   1. every batch acknowledged is in the prefix, each batch whole or not at all;
//   2. positions are 1, 2, 3...; versions count each stream of each tenant for itself;
//   3. the values are those after the same prefix;
//   4. every way to read gives the same events, with every byte they were given.
#include "sim/model.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct flat_event {
    const model_event *event;
    uint64_t version; // in its stream; 0: it has none
    bool must;
} flat_event;

typedef struct flat_list {
    flat_event items[MODEL_EVENTS_MAX];
    size_t count, seen; // seen: how many of them the store has
} flat_list;

static model_verdict verdict_wrong(sim_model *model, const char *format, ...) SKALD_PRINTF(2, 3);
static model_verdict verdict_wrong(sim_model *model, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(model->wrong, sizeof model->wrong, format, arguments);
    va_end(arguments);
    return MODEL_WRONG;
}

static model_verdict verdict_err(sim_model *model, const char *what, skald_err err,
                                 const char *text)
{
    verdict_wrong(model, "%s: %s %s", what, skald_err_name(err), text);
    return err == SKALD_EIO || err == SKALD_ECORRUPT ? MODEL_REFUSED : MODEL_WRONG;
}

static bool text_is(skald_str text, const char *expected)
{
    return skald_str_equal(text, skald_str_of(expected ? expected : "")) ||
           (!expected && !text.ptr);
}

// flatten lists the events that may be there, with their versions.
static void flatten(const sim_model *model, flat_list *ret_flat)
{
    size_t count = 0;

    for (size_t i = 0; i < model->batch_count; i++) {
        for (size_t j = 0; j < model->batches[i].event_count && !model->batches[i].gone; j++) {
            const model_event *event = &model->batches[i].events[j];
            flat_event *item = &ret_flat->items[count];

            assert(count < MODEL_EVENTS_MAX);
            *item = (flat_event){.event = event,
                                 .version = event->stream ? 1 : 0,
                                 .must = model->batches[i].must};
            for (size_t k = 0; k < count; k++)
                item->version += model_same_stream(ret_flat->items[k].event, event);
            count++;
        }
    }
    ret_flat->count = count;
    ret_flat->seen = 0;
}

static model_verdict event_check(sim_model *model, const flat_list *flat, size_t index,
                                 const skald_event *event)
{
    static char text[MODEL_TEXT_MAX];
    const flat_event *item = &flat->items[index];

    if (index >= flat->count)
        return verdict_wrong(model, "event %zu was never submitted, or was refused", index + 1);
    text[model_text(item->event->number, item->event->size, text)] = '\0';
    if (event->position != index + 1)
        return verdict_wrong(model, "event %zu has position %" PRIu64, index + 1, event->position);
    if (!skald_uuid_equal(event->id, item->event->id))
        return verdict_wrong(model, "event %zu is not the one submitted there", index + 1);
    if (!text_is(event->data, text))
        return verdict_wrong(model, "event %zu: its data are %.*s", index + 1,
                             SKALD_FMT(event->data));
    if (!text_is(event->tenant, item->event->tenant) ||
        !text_is(event->stream, item->event->stream) || !text_is(event->type, "sim.happened"))
        return verdict_wrong(model, "event %zu: tenant, stream or type is another", index + 1);
    if (event->stream_version != item->version)
        return verdict_wrong(model, "event %zu: version %" PRIu64 ", should be %" PRIu64, index + 1,
                             event->stream_version, item->version);
    if (event->recorded_at == 0 || event->occurred_at != (skald_time)item->event->number + 1)
        return verdict_wrong(model, "event %zu: a time is wrong", index + 1);
    return MODEL_RIGHT;
}

// each_check asks for one event at a time, after reading on has been refused: each is right or
// refused.
static model_verdict each_check(sim_model *model, skald_store *store, const flat_list *flat)
{
    for (size_t i = 0; i < flat->count && flat->items[i].must; i++) {
        skald_read read = {.after = i, .before = i + 2};
        skald_cursor *cursor = NULL;
        const skald_event *event = NULL;
        model_verdict verdict = MODEL_RIGHT;
        skald_err err = skald_cursor_open(store, &read, &cursor);

        if (err) return verdict_err(model, "opening a cursor", err, "");
        err = skald_cursor_next(cursor, &event, NULL);
        if (err)
            verdict = verdict_err(model, "reading one event", err, "");
        else if (!event && flat->items[i].event->dead)
            verdict = MODEL_RIGHT;
        else if (!event)
            verdict = verdict_wrong(model, "event %zu is missing and not reported", i + 1);
        else
            verdict = event_check(model, flat, i, event);
        skald_cursor_close(cursor);
        if (verdict == MODEL_WRONG) return verdict;
    }
    return MODEL_REFUSED;
}

// erased_check: what is not there from one position to another was given up.
static model_verdict erased_check(sim_model *model, flat_list *flat, uint64_t next)
{
    for (; flat->seen + 1 < next; flat->seen++) {
        if (flat->seen < flat->count && flat->items[flat->seen].event->dead) continue;
        return verdict_wrong(model, "event %zu is not there, and was not given up", flat->seen + 1);
    }
    return MODEL_RIGHT;
}

static model_verdict all_check(sim_model *model, skald_store *store, flat_list *flat)
{
    skald_cursor *cursor = NULL;
    const skald_event *event = NULL;
    skald_error error = {0};
    model_verdict verdict = MODEL_RIGHT;
    skald_err err = skald_cursor_open(store, &(skald_read){0}, &cursor);
    skald_time last = 0;

    if (err) return verdict_err(model, "opening a cursor", err, "");
    while (verdict == MODEL_RIGHT) {
        err = skald_cursor_next(cursor, &event, &error);
        if (err) verdict = verdict_err(model, "reading everything", err, error.text);
        if (err || !event) break;
        verdict = erased_check(model, flat, event->position);
        if (verdict == MODEL_RIGHT) verdict = event_check(model, flat, flat->seen, event);
        if (verdict == MODEL_RIGHT && event->recorded_at < last)
            verdict = verdict_wrong(model, "event %zu: recorded before the one before it",
                                    flat->seen + 1);
        last = event->recorded_at;
        flat->seen++;
    }
    skald_cursor_close(cursor);
    if (verdict == MODEL_RIGHT) verdict = erased_check(model, flat, skald_store_head(store) + 1);
    if (verdict == MODEL_RIGHT && skald_store_head(store) != flat->seen)
        verdict = verdict_wrong(model, "head is %" PRIu64 ", %zu events are there",
                                skald_store_head(store), flat->seen);
    return verdict;
}

// stream_check reads one stream, in either direction, and its version.
static model_verdict stream_check(sim_model *model, skald_store *store, const flat_list *flat,
                                  const model_event *of, bool backwards)
{
    skald_str stream = skald_str_of(of->stream), tenant = skald_str_of(of->tenant);
    skald_read read = {.filter = {.streams = {&stream, 1}, .tenant = tenant},
                       .backwards = backwards};
    skald_cursor *cursor = NULL;
    const skald_event *event = NULL;
    skald_error error = {0};
    uint64_t version = 0, count = 0;
    bool given = false; // event was read already
    model_verdict verdict = MODEL_RIGHT;
    skald_err err = skald_stream_version(store, tenant, stream, &version);

    if (err) return verdict_err(model, "asking for a version", err, "");
    for (size_t i = 0; i < flat->seen; i++) count += model_same_stream(flat->items[i].event, of);
    if (version != count)
        return verdict_wrong(model, "stream %s/%s is at %" PRIu64 ", should be %" PRIu64,
                             of->tenant, of->stream, version, count);
    err = skald_cursor_open(store, &read, &cursor);
    if (err) return verdict_err(model, "opening a cursor", err, "");
    for (size_t i = 0; i < flat->seen && verdict == MODEL_RIGHT; i++) {
        size_t index = backwards ? flat->seen - 1 - i : i;
        bool dead = flat->items[index].event->dead;

        if (!model_same_stream(flat->items[index].event, of)) continue;
        if (!given) err = skald_cursor_next(cursor, &event, &error);
        given = !err && dead && (!event || event->position != index + 1); // for the next one
        if (given) continue;
        if (err)
            verdict = verdict_err(model, "reading a stream", err, error.text);
        else if (!event)
            verdict = verdict_wrong(model, "stream %s/%s lacks event %zu", of->tenant, of->stream,
                                    index + 1);
        else
            verdict = event_check(model, flat, index, event);
    }
    skald_cursor_close(cursor);
    return verdict;
}

static model_verdict lookups_check(sim_model *model, skald_store *store, const flat_list *flat)
{
    skald_arena *arena = NULL;
    model_verdict verdict = MODEL_RIGHT;

    if (skald_arena_new(1 << 20, &arena)) return verdict_wrong(model, "no memory");
    for (size_t i = 0; i < flat->seen && verdict == MODEL_RIGHT; i++) {
        const model_event *wanted = flat->items[i].event;
        skald_event event = {0};
        skald_err err = SKALD_OK;

        // A stream once, at its first event; ids at the ends and some between.
        if (flat->items[i].version == 1) verdict = stream_check(model, store, flat, wanted, i % 2);
        if (verdict != MODEL_RIGHT || (i % 5 && i + 1 < flat->seen)) continue;
        err = skald_store_event(store, wanted->id, skald_str_of(wanted->tenant), arena, &event);
        if (err == SKALD_ENOTFOUND && wanted->dead) continue;
        verdict = err ? verdict_err(model, "finding an event by its id", err, "")
                      : event_check(model, flat, i, &event);
        skald_arena_reset(arena);
    }
    skald_arena_free(arena);
    return verdict;
}

// values_match says whether the store's values are those after the first count batches.
static bool values_match(const sim_model *model, skald_store *store, size_t count)
{
    for (unsigned name = 0; name < MODEL_NAMES; name++) {
        const model_value *value = NULL;
        skald_buf buf = {.bytes_max = MODEL_TEXT_MAX};
        static char text[MODEL_TEXT_MAX];
        skald_err err = ski_store_value_get(store, skald_str_of(model_value_name(name)), &buf);
        bool match = false;

        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < model->batches[i].value_count && !model->batches[i].gone; j++)
                if (model->batches[i].values[j].name == name) value = &model->batches[i].values[j];
        if (!value || value->removed)
            match = err == SKALD_ENOTFOUND;
        else
            match = !err && model_text(value->number, model_value_size(value), text) == buf.len &&
                    memcmp(buf.ptr, text, buf.len) == 0;
        skald_buf_fini(&buf);
        if (!match) return false;
    }
    return true;
}

static bool doubted(const model_batch *batch)
{
    return batch->doubted && !batch->gone && !batch->must;
}

// values_written_over: as doubted_forget, of batches of values only, which nobody can ask for: the
// last doubted batch of the first count was written over those before it, and the values are right
// without them. Then they are gone.
static bool values_written_over(sim_model *model, skald_store *store, size_t count)
{
    bool left_out[MODEL_BATCHES_MAX] = {false};
    size_t last = count;

    while (last > 0 && !doubted(&model->batches[last - 1])) last--;
    for (size_t i = 0; i + 1 < last; i++) {
        left_out[i] = doubted(&model->batches[i]) && !model->batches[i].event_count;
        model->batches[i].gone |= left_out[i];
    }
    if (values_match(model, store, count)) return true;
    for (size_t i = 0; i < count; i++) model->batches[i].gone &= !left_out[i];
    return false;
}

// prefix_check finds the number of batches that explains what was seen.
static model_verdict prefix_check(sim_model *model, skald_store *store, const flat_list *flat,
                                  size_t *ret_prefix)
{
    size_t events = 0, prefix = 0, must = 0;

    while (prefix < model->batch_count && events < flat->seen) {
        const model_batch *batch = &model->batches[prefix++];

        if (!batch->gone) events += batch->event_count;
    }
    if (events != flat->seen)
        return verdict_wrong(model, "batch %zu is torn: only some of its events are there",
                             prefix - 1);
    for (size_t i = 0; i < model->batch_count; i++)
        if (model->batches[i].must) must = i + 1;
    // Batches without events leave it open where the prefix ends; the values say.
    for (; prefix <= model->batch_count; prefix++) {
        if (prefix >= must &&
            (values_match(model, store, prefix) || values_written_over(model, store, prefix))) {
            *ret_prefix = prefix;
            return MODEL_RIGHT;
        }
        if (prefix < model->batch_count && !model->batches[prefix].gone &&
            model->batches[prefix].event_count)
            break;
    }
    if (prefix < must)
        return verdict_wrong(model, "batch %zu was acknowledged and is not there (%zu events are)",
                             must - 1, flat->seen);
    return verdict_wrong(model, "the values are not as after any prefix that has %zu events",
                         flat->seen);
}

// doubted_forget: batches that nobody knows of were written over each other. Where a later one is
// there, the earlier ones are not.
static bool doubted_forget(sim_model *model, skald_store *store)
{
    skald_arena *arena = NULL;
    bool later = false;

    if (skald_arena_new(1 << 20, &arena)) return false;
    for (size_t i = model->batch_count; i > 0; i--) {
        model_batch *batch = &model->batches[i - 1];
        skald_event event = {0};
        skald_err err = SKALD_OK;

        if (!doubted(batch) || !batch->event_count) continue;
        err = skald_store_event(store, batch->events[0].id, skald_str_of(batch->events[0].tenant),
                                arena, &event);
        batch->gone = later && err == SKALD_ENOTFOUND;
        later |= !err;
        skald_arena_reset(arena);
    }
    skald_arena_free(arena);
    return true;
}

model_verdict model_check(sim_model *model, skald_store *store, bool settle)
{
    static flat_list flat;
    size_t prefix = 0;
    model_verdict verdict = MODEL_RIGHT;

    if (!doubted_forget(model, store)) return verdict_wrong(model, "no memory");
    flatten(model, &flat);
    verdict = all_check(model, store, &flat);
    if (verdict == MODEL_REFUSED) {
        char said[sizeof model->wrong];

        memcpy(said, model->wrong, sizeof said);
        verdict = each_check(model, store, &flat);
        if (verdict == MODEL_REFUSED) memcpy(model->wrong, said, sizeof said);
    }
    if (verdict == MODEL_RIGHT) verdict = prefix_check(model, store, &flat, &prefix);
    if (verdict == MODEL_RIGHT) verdict = lookups_check(model, store, &flat);
    for (size_t i = 0; i < model->batch_count && settle && verdict == MODEL_RIGHT; i++) {
        model->batches[i].gone |= i >= prefix;
        model->batches[i].must = i < prefix && !model->batches[i].gone;
        model->batches[i].durability = SKALD_DURABLE;
    }
    return verdict;
}

model_verdict model_copy(sim_model *model, skald_store *store)
{
    static flat_list flat;

    flatten(model, &flat);
    return all_check(model, store, &flat);
}

model_verdict model_salvage(sim_model *model, skald_store *store)
{
    static flat_list flat;
    model_verdict verdict = MODEL_RIGHT;

    flatten(model, &flat);
    verdict = all_check(model, store, &flat);
    if (verdict != MODEL_RIGHT || flat.seen == flat.count) return verdict;
    return flat.items[flat.seen].must
               ? verdict_wrong(model, "event %zu is missing and not reported", flat.seen + 1)
               : MODEL_RIGHT;
}
