// SPDX-License-Identifier: Apache-2.0
// Recalling: the ids of the window's events, from its rows into `recent`, when somebody looks for
// one. Who appends what the store itself has just named looks for none, and pays for none.
//
// Invariants:
//   1. `recent` has exactly the ids of the window's events up to `recalled`, and perhaps some of
//   before the window, which whoever looks passes over.
//   2. However many are missing, the lock is held for a piece of them at a time.
#include "store/log/engine.h"

#include <assert.h>

enum {
    piece_events = 8192, // that are recalled in one hold of the lock: a third of a millisecond
    expect_ahead = 16,   // events: so long a cache miss lasts
};

static_assert((int)SKI_RECALL_NOW_MAX <= piece_events, "the lock is not given up for so few");

// rows_recall puts the ids of a part into recent, up to a position.
static skald_err rows_recall(ski_engine *engine, const ski_index *part, uint64_t to)
{
    uint64_t last = ski_window_last(&engine->window);

    while (engine->recalled < to) {
        const ski_index_row *row = ski_index_row_of(part, engine->recalled + 1);

        if (engine->recalled + expect_ahead < to) {
            uint64_t ahead = engine->recalled + 1 + expect_ahead;

            ski_recent_expect(&engine->recent, ski_index_row_of(part, ahead)->id_hash);
        }
        if (row->place != SKI_INDEX_NO_PLACE) {
            SKALD_TRY(ski_recent_add(&engine->recent, row->id_hash, engine->recalled + 1, last));
        }
        engine->recalled++;
    }
    return SKALD_OK;
}

// recall_some goes on for so many events.
static skald_err recall_some(ski_engine *engine, uint64_t most)
{
    uint64_t base = ski_window_base(&engine->window), last = ski_window_last(&engine->window);

    if (engine->recalled < base) { // all that is in it has left the window
        ski_recent_fini(&engine->recent);
        ski_recent_init(&engine->recent, SKI_RECENT_EVENTS_MAX);
        engine->recalled = base;
    }
    engine->recent.events_max = last - base + 1;
    if (last - engine->recalled > most) last = engine->recalled + most;
    while (engine->recalled < last) {
        const ski_index *part = ski_window_at(&engine->window, engine->recalled + 1);
        uint64_t to = ski_index_last(part);

        SKALD_TRY(rows_recall(engine, part, to < last ? to : last));
    }
    return SKALD_OK;
}

uint64_t ski_recall_left(const ski_engine *engine)
{
    uint64_t base = ski_window_base(&engine->window);

    return ski_window_last(&engine->window) - (engine->recalled < base ? base : engine->recalled);
}

skald_err ski_recall(ski_engine *engine)
{
    while (ski_recall_left(engine) > piece_events) {
        SKALD_TRY(recall_some(engine, piece_events));
        ski_mutex_unlock(&engine->lock);
        ski_mutex_lock(&engine->lock); // whoever waits for it may go on
    }
    return recall_some(engine, piece_events);
}

void ski_recall_undo(ski_engine *engine, uint64_t hash, uint64_t position)
{
    if (position <= engine->recalled) ski_recent_remove(&engine->recent, hash, position);
}

void ski_recall_cut(ski_engine *engine, uint64_t position)
{
    if (engine->recalled > position) engine->recalled = position;
}
