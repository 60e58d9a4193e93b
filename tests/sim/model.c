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
    size_t len = (size_t)snprintf(ret_text, MODEL_TEXT_MAX, "{\"n\":%" PRIu64 ",\"s\":\"", number);

    assert(len + size + 3 <= MODEL_TEXT_MAX);
    while (size-- > 0) ret_text[len++] = (char)('a' + sim_random_below(&random, 26));
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

void model_withdraw(sim_model *model)
{
    model->batch_count--;
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

bool model_told(sim_model *model, model_batch *batch, skald_err err, const skald_appended *appended)
{
    uint64_t before = 0, doubtful = 0;

    if (batch->told) return answer_wrong(model, "a batch was answered twice");
    batch->told = true;
    // IO and the like: it may be there or not. These are promises that it is not.
    batch->gone = err == SKALD_EREADONLY || err == SKALD_ECONFLICT || err == SKALD_EFULL;
    batch->must = err == SKALD_OK;
    if (err) return true;
    for (model_batch *earlier = model->batches; earlier < batch; earlier++) {
        if (!earlier->told) return answer_wrong(model, "answered before an earlier batch");
        if (!earlier->gone) before += earlier->event_count;
        if (!earlier->gone && !earlier->must) doubtful += earlier->event_count;
    }
    if (batch->event_count == 0) return true;
    if (doubtful && appended->position_first == before - doubtful + 1) {
        for (model_batch *earlier = model->batches; earlier < batch; earlier++)
            if (!earlier->must) earlier->gone = true; // its place is taken
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

void model_doubt_last(sim_model *model)
{
    uint64_t last = 0;

    for (size_t i = 0; i < model->batch_count; i++)
        if (model->batches[i].must && model->batches[i].told_at > last)
            last = model->batches[i].told_at;
    for (size_t i = 0; i < model->batch_count; i++)
        if (model->batches[i].told_at == last) model->batches[i].must = false;
}
