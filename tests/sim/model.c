// SPDX-License-Identifier: Apache-2.0
// The oracle's memory, as naive as can be: the batches in the order of submission, and what was
// answered.
#include "sim/model.h"

#include "sim/sim_file.h"
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

size_t model_text(uint64_t number, size_t size, char ret_text[MODEL_TEXT_MAX])
{
    sim_random random = {number};
    uint64_t letters = 0;
    size_t len = (size_t)snprintf(ret_text, MODEL_TEXT_MAX, "{\"n\":%" PRIu64 ",\"s\":\"", number);

    assert(len + size + sizeof letters + 3 <= MODEL_TEXT_MAX);
    for (size_t i = 0; i < size; i += 8) { // eight letters from a to p
        letters = (sim_random_next(&random) & 0x0f0f0f0f0f0f0f0f) + 0x6161616161616161;
        memcpy(ret_text + len + i, &letters, sizeof letters);
    }
    len += size;
    memcpy(ret_text + len, "\"}", 3);
    return len + 2;
}

const char *model_value_name(unsigned name)
{
    static const char *const names[MODEL_NAMES] = {"x", "y", "z"};

    return names[name];
}

size_t model_value_size(const model_value *value)
{
    return (size_t)(value->number % 300);
}

model_batch *model_submit(sim_model *model)
{
    assert(model->batch_count < MODEL_BATCHES_MAX);
    memset(&model->batches[model->batch_count], 0, sizeof model->batches[0]);
    return &model->batches[model->batch_count++];
}

// expect_of states where the stream of a batch's first event must stand (or, wrongly, does not).
static skald_expect expect_of(const sim_model *model, const model_batch *from)
{
    const model_event *first = &from->events[0];
    skald_expect expect = {.tenant = skald_str_of(first->tenant),
                           .stream = skald_str_of(first->stream),
                           .expected = SKALD_AT};

    for (const model_batch *batch = model->batches; batch < from; batch++)
        for (size_t i = 0; i < batch->event_count && !batch->gone; i++)
            expect.version += model_same_stream(&batch->events[i], first);
    if (from->expects == MODEL_EXPECTS_WRONG) expect.version += 7;
    if (expect.version == 0) expect.expected = SKALD_NONE;
    return expect;
}

void model_give(const sim_model *model, const model_batch *from, skald_store_batch *batch,
                model_texts *texts)
{
    for (size_t i = 0; i < from->event_count; i++) {
        const model_event *event = &from->events[i];
        char *text = texts->events[i];

        batch->events[i] =
            (skald_event){.type = SKALD_STR("sim.happened"),
                          .id = event->id,
                          .occurred_at = (skald_time)event->number + 1,
                          .tenant = skald_str_of(event->tenant),
                          .stream = skald_str_of(event->stream),
                          .data = {text, model_text(event->number, event->size, text)}};
    }
    for (size_t i = 0; i < from->value_count; i++) {
        const model_value *value = &from->values[i];
        char *text = texts->values[i];

        texts->value_list[i] =
            (skald_store_value){.name = skald_str_of(model_value_name(value->name))};
        if (!value->removed)
            texts->value_list[i].bytes =
                (skald_str){text, model_text(value->number, model_value_size(value), text)};
    }
    if (from->expects) texts->expect = expect_of(model, from);
    batch->event_count = from->event_count;
    batch->values = texts->value_list;
    batch->value_count = from->value_count;
    batch->expect = &texts->expect;
    batch->expect_count = from->expects ? 1 : 0;
    batch->durability = from->durability;
}

void model_texts_wipe(model_texts *texts)
{
    for (size_t i = 0; i < MODEL_BATCH_EVENTS_MAX; i++)
        memset(texts->events[i], 'Z', strlen(texts->events[i]));
    for (size_t i = 0; i < MODEL_BATCH_VALUES_MAX; i++)
        memset(texts->values[i], 'Z', strlen(texts->values[i]));
    memset(texts->value_list, 0, sizeof texts->value_list);
    texts->expect = (skald_expect){0};
}

bool model_same_stream(const model_event *a, const model_event *b)
{
    return a->stream && b->stream && strcmp(a->stream, b->stream) == 0 &&
           strcmp(a->tenant, b->tenant) == 0;
}

// model_at gives the event that must have a position, if there is one.
static const model_event *model_at(const sim_model *model, uint64_t position)
{
    for (size_t i = 0; i < model->batch_count; i++) {
        const model_batch *batch = &model->batches[i];

        if (batch->gone) continue;
        if (position <= batch->event_count) return &batch->events[position - 1];
        position -= batch->event_count;
    }
    return NULL;
}

void model_kill(sim_model *model, const char *stream, uint64_t position)
{
    for (uint64_t p = 1; p <= position; p++) {
        model_event *event = (model_event *)model_at(model, p);

        if (!event || (stream && (!event->stream || strcmp(event->stream, stream) != 0))) continue;
        event->dead = true;
    }
}

bool model_dead(const sim_model *model, uint64_t position)
{
    const model_event *event = model_at(model, position);

    return event && event->dead;
}

static bool answer_wrong(sim_model *model, const char *format, ...) SKALD_PRINTF(2, 3);
static bool answer_wrong(sim_model *model, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(model->wrong, sizeof model->wrong, format, arguments);
    va_end(arguments);
    return false;
}

static void model_forget_doubtful(sim_model *model, const model_batch *before)
{
    for (model_batch *batch = model->batches; batch < before; batch++) batch->gone |= !batch->must;
}

bool model_told(sim_model *model, model_batch *batch, skald_err err, const skald_appended *appended)
{
    uint64_t before = 0, doubtful = 0;

    if (batch->told) return answer_wrong(model, "a batch was answered twice");
    batch->told = true;
    // IO and the like: it may be there or not. These are promises that it is not.
    batch->gone |= err == SKALD_EREADONLY || err == SKALD_ECONFLICT || err == SKALD_EFULL;
    batch->must = err == SKALD_OK;
    batch->doubted = err && !batch->gone;
    if (err) return true;
    for (model_batch *earlier = model->batches; earlier < batch; earlier++) {
        if (!earlier->told) return answer_wrong(model, "answered before an earlier batch");
        if (!earlier->gone) before += earlier->event_count;
        if (!earlier->gone && !earlier->must) doubtful += earlier->event_count;
    }
    // What was answered IO, and what comes behind it is stored: its place is taken, unless
    // positions say that it is there.
    if (doubtful == 0) model_forget_doubtful(model, batch);
    if (batch->event_count == 0) return true;
    if (doubtful && appended->position_first == before - doubtful + 1) {
        model_forget_doubtful(model, batch);
        before -= doubtful;
    }
    if (appended->position_first == before + 1 &&
        appended->position_last == before + batch->event_count)
        return true;
    return answer_wrong(model,
                        "batch %zu: acknowledged at positions %" PRIu64 "..%" PRIu64
                        ", which should be %" PRIu64 "..",
                        (size_t)(batch - model->batches), appended->position_first,
                        appended->position_last, before + 1);
}

void model_crashed(sim_model *model, bool power)
{
    for (size_t i = 0; i < model->batch_count; i++) {
        model_batch *batch = &model->batches[i];

        batch->told = true;
        if (batch->durability == SKALD_MEMORY || (power && batch->durability == SKALD_WRITTEN))
            batch->must = false;
    }
}

void model_doubt_last(sim_model *model, unsigned groups)
{
    for (; groups > 0; groups--) {
        uint64_t last = 0;

        for (size_t i = 0; i < model->batch_count; i++)
            if (model->batches[i].must && model->batches[i].told_at > last)
                last = model->batches[i].told_at;
        for (size_t i = 0; i < model->batch_count; i++)
            if (model->batches[i].told_at == last) model->batches[i].must = false;
    }
}
