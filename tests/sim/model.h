// SPDX-License-Identifier: Apache-2.0
// model.h - the oracle: what a store may hold, given what it was asked and what it answered.
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include "store/store.h"

enum {
    MODEL_BATCHES_MAX = 160,
    MODEL_BATCH_EVENTS_MAX = 8,
    MODEL_BATCH_VALUES_MAX = 4,
    MODEL_EVENTS_MAX = 512,
    MODEL_TEXT_MAX = 24 * 1024,
    MODEL_NAMES = 3, // values are called x, y and z
};

typedef struct model_event {
    const char *tenant, *stream; // stream NULL: none. Static text
    uint64_t number;             // its text is a function of this
    size_t size;
    skald_uuid id;
    bool dead; // it was given up: it may be there or not
} model_event;

typedef struct model_value {
    unsigned name; // 0 is x
    uint64_t number;
    bool removed;
} model_value;

typedef enum model_expects {
    MODEL_EXPECTS_NOTHING,
    MODEL_EXPECTS_RIGHT,
    MODEL_EXPECTS_WRONG
} model_expects;

typedef struct model_batch {
    model_event events[MODEL_BATCH_EVENTS_MAX];
    model_value values[MODEL_BATCH_VALUES_MAX];
    size_t event_count, value_count;
    skald_durability durability;
    model_expects expects; // of the stream of the first event
    uint64_t told_at; // the number of the operation before its answer: those of one sync have the
                      // same
    bool told;        // it has been answered
    bool must;        // acknowledged, and nothing happened that may undo it
    bool doubted;     // answered IO and the like: it may be there
    bool gone;        // refused, or found to be lost: it must never be seen
} model_batch;

typedef struct sim_model {
    model_batch batches[MODEL_BATCHES_MAX]; // in order of submission
    size_t batch_count;
    char wrong[640]; // what is wrong, or what the store said
} sim_model;

// model_text writes what an event or a value of this number and size holds: JSON. Returns its
// length.
size_t model_text(uint64_t number, size_t size, char ret_text[MODEL_TEXT_MAX]);
const char *model_value_name(unsigned name);
size_t model_value_size(const model_value *value);

// model_texts is the memory of what a batch borrows.
typedef struct model_texts {
    char events[MODEL_BATCH_EVENTS_MAX][MODEL_TEXT_MAX];
    char values[MODEL_BATCH_VALUES_MAX][MODEL_TEXT_MAX];
    skald_store_value value_list[MODEL_BATCH_VALUES_MAX];
    skald_expect expect;
} model_texts;
// model_give fills what a store is given: batch->events has room.
void model_give(const sim_model *model, const model_batch *from, skald_store_batch *batch,
                model_texts *texts);
void model_texts_wipe(model_texts *texts);

bool model_same_stream(const model_event *a, const model_event *b);
model_batch *model_submit(sim_model *model); // a zeroed one, at the end
// model_told: a batch has been answered. false: the answer cannot be right, and model->wrong says
// why.
bool model_told(sim_model *model, model_batch *batch, skald_err err,
                const skald_appended *appended);
// model_crashed: the process has died, or with power the machine; weaker promises end.
void model_crashed(sim_model *model, bool power);

// model_kill gives up what a stream has up to a position; stream NULL: every event up to there.
void model_kill(sim_model *model, const char *stream, uint64_t position);
// model_dead says whether the event at a position was given up.
bool model_dead(const sim_model *model, uint64_t position);

// model_doubt_last: what was answered by the last groups of all need not be there any more.
void model_doubt_last(sim_model *model, unsigned groups);

typedef enum model_verdict {
    MODEL_RIGHT,
    MODEL_WRONG,  // model->wrong says what
    MODEL_REFUSED // the store said IO or CORRUPT instead of answering; model->wrong has its text
} model_verdict;

// model_check reads everything there is in every way there is. settle: the store has just been
// opened, so what it has is there for good, and what it has not is gone.
model_verdict model_check(sim_model *model, skald_store *store, bool settle);
// model_copy reads a store that was copied from the one that the model is of: it has a beginning of
// what that one has or had.
model_verdict model_copy(sim_model *model, skald_store *store);
// model_salvage reads a store opened read-only because it is damaged: each event acknowledged is
// right or refused.
model_verdict model_salvage(sim_model *model, skald_store *store);

#endif
