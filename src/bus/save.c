// SPDX-License-Identifier: Apache-2.0
// Writing checkpoints, at the pace of the store: while one of a subscription is on its way none
// follows, and the next says everything that changed meanwhile. They are appended as WRITTEN:
// losing one costs a redelivery, never an event. The last one, at stop, is durable.
//
// Invariants:
//   1. saving: the batch belongs to the store. Its done only puts the subscription into the mail,
//   under
//      the wake lock; what follows happens where the engine lock is held.
//   2. dirty, not saving, not ended: in the ring of dirties, or its timer is set.
//   3. Passing by events of others is not worth an append until it is far: positions_passed_max.
#include "bus/engine.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"

#include <assert.h>

enum {
    positions_passed_max = 1000,
    again_first_ms = 100, // after an append failed
    again_max_ms = 10000,
    final_values_max = 256, // in one append
    final_bytes_max = 8 << 20,
};

void ski_save_mark(ski_subscription *sub)
{
    if (!sub->durable) return;
    sub->dirty = true;
    if (sub->saving || sub->ended || sub->save_failures) return;
    ski_link_append(&sub->bus->dirties, &sub->dirties);
    ski_bus_stir(sub->bus);
}

void ski_save_passed(ski_subscription *sub)
{
    if (ski_subscription_floor(sub) >= sub->saved_floor + positions_passed_max) ski_save_mark(sub);
}

void ski_save_sweep(skald_bus *bus)
{
    if (bus->tail < bus->tail_swept + positions_passed_max) return;
    bus->tail_swept = bus->tail;
    for (uint32_t i = 0; i < bus->subscriptions_max; i++)
        if (bus->subs[i] && bus->subs[i]->durable && bus->subs[i]->live)
            ski_save_passed(bus->subs[i]);
}

static skald_err positions_reserve(skald_bus *bus, size_t count)
{
    if (count <= bus->positions_size) return SKALD_OK;
    uint64_t *positions = ski_realloc(bus->positions, count * sizeof(*positions));

    if (!positions) return SKALD_ENOMEM;
    bus->positions = positions;
    bus->positions_size = count;
    return SKALD_OK;
}

// save_encode appends where sub stands to buf.
static skald_err save_encode(ski_subscription *sub, skald_buf *buf)
{
    skald_bus *bus = sub->bus;
    size_t left = sub->resume_count - sub->resume_index, count = 0;

    SKALD_TRY(positions_reserve(bus, sub->in_flight + left));
    for (const ski_delivery *open = sub->oldest; open; open = open->newer)
        bus->positions[count++] = open->event->position;
    for (size_t i = sub->resume_index; i < sub->resume_count; i++)
        bus->positions[count++] = sub->resume[i];
    return ski_checkpoint_encode(
        &(ski_checkpoint){ski_subscription_cursor(sub), bus->positions, count}, buf);
}

static void save_done(skald_store_batch *batch, skald_err err)
{
    ski_subscription *sub = batch->context;
    skald_bus *bus = sub->bus;

    ski_mutex_lock(&bus->wake_lock);
    sub->save_err = err;
    sub->mail_next = bus->mail;
    bus->mail = sub;
    atomic_store(&bus->stirred, true);
    ski_cond_signal(&bus->wake);
    ski_mutex_unlock(&bus->wake_lock);
}

static void save_again(ski_subscription *sub, skald_err err)
{
    uint32_t delay_ms = again_first_ms;

    for (uint32_t i = 0; i < sub->save_failures && delay_ms < again_max_ms; i++) delay_ms *= 2;
    if (!sub->save_failures++)
        ski_log_line(sub->bus->log, SKALD_WARN, "a checkpoint could not be written", "value",
                     sub->value_name.ptr, "error", skald_err_name(err), NULL);
    if (!sub->ended)
        ski_bus_timer_set(sub->bus, &sub->timer, delay_ms < again_max_ms ? delay_ms : again_max_ms);
}

// ski_save_submit hands one to the store; with forget it is the removal.
skald_err ski_save_submit(ski_subscription *sub)
{
    skald_bus *bus = sub->bus;

    assert(!sub->saving);
    bus->save_buf.len = 0;
    sub->value = (skald_store_value){.name = sub->value_name};
    if (!sub->forget) {
        SKALD_TRY(save_encode(sub, &bus->save_buf));
        sub->value.bytes = ski_buf_str(&bus->save_buf);
    }
    sub->batch = (skald_store_batch){
        .values = &sub->value,
        .value_count = 1,
        .durability = SKALD_WRITTEN,
        .done = save_done,
        .context = sub,
    };
    sub->saving = true;
    sub->dirty = false;
    sub->saved_floor = ski_subscription_floor(sub);
    bus->saves++;
    skald_err err = ski_store_submit(bus->store, &sub->batch);

    if (!err) return SKALD_OK;
    bus->saves--;
    sub->saving = false;
    sub->dirty = true;
    return err;
}

void ski_save_run(skald_bus *bus)
{
    while (bus->save_phase == SKI_SAVES_OPEN && !ski_link_alone(&bus->dirties)) {
        ski_subscription *sub = SKI_LINKED(bus->dirties.next, ski_subscription, dirties);

        ski_link_leave(&sub->dirties);
        if (!sub->dirty || sub->saving || sub->ended) continue;
        skald_err err = ski_save_submit(sub);

        if (err) save_again(sub, err);
    }
}

static void save_ended(ski_subscription *sub)
{
    skald_bus *bus = sub->bus;

    sub->saving = false;
    if (--bus->saves == 0 && bus->closing) ski_cond_broadcast(&bus->idle);
    if (sub->save_err) {
        sub->dirty = true;
        save_again(sub, sub->save_err);
    } else {
        sub->saved = true;
        sub->save_failures = 0;
        if (sub->dirty) ski_save_mark(sub);
    }
    ski_subscription_look(sub);
}

void ski_save_collect(skald_bus *bus)
{
    ski_mutex_lock(&bus->wake_lock);
    ski_subscription *mail = bus->mail;

    bus->mail = NULL;
    ski_mutex_unlock(&bus->wake_lock);
    while (mail) {
        ski_subscription *next = mail->mail_next;

        save_ended(mail);
        mail = next;
    }
}

// Stop: one append for many.

// What the last checkpoints are gathered in.
typedef struct final_batch {
    skald_store_value values[final_values_max];
    ski_subscription *subs[final_values_max];
    size_t ends[final_values_max]; // of each value, in buf
    size_t count;
    skald_buf buf;
} final_batch;

static void final_done(skald_store_batch *batch, skald_err err)
{
    *(skald_err *)batch->context = err;
}

// final_gather takes in what has something to say, from slot *at on.
static skald_err final_gather(skald_bus *bus, final_batch *final, uint32_t *at)
{
    final->count = final->buf.len = 0;
    for (; *at < bus->subscriptions_max && final->count < final_values_max; (*at)++) {
        ski_subscription *sub = bus->subs[*at];

        if (!sub || !sub->durable || sub->starting || sub->finished) continue;
        if (!sub->dirty && !sub->saved && !sub->forget &&
            ski_subscription_floor(sub) == sub->saved_floor)
            continue;
        if (final->buf.len > final_bytes_max) break;
        if (!sub->forget) SKALD_TRY(save_encode(sub, &final->buf));
        final->values[final->count] = (skald_store_value){.name = sub->value_name};
        final->subs[final->count] = sub;
        final->ends[final->count++] = final->buf.len;
    }
    return SKALD_OK;
}

static skald_err final_commit(skald_bus *bus, final_batch *final)
{
    skald_err ended = SKALD_OK;
    size_t start = 0;
    skald_store_batch batch = {.values = final->values,
                               .value_count = final->count,
                               .durability = SKALD_DURABLE,
                               .done = final_done,
                               .context = &ended};

    for (size_t i = 0; i < final->count; i++) {
        if (final->ends[i] > start)
            final->values[i].bytes = (skald_str){final->buf.ptr + start, final->ends[i] - start};
        start = final->ends[i];
        final->subs[i]->finished = true;
        final->subs[i]->pins++;
    }
    ski_mutex_unlock(&bus->lock);
    skald_err err = ski_store_commit(bus->store, &batch);

    ski_mutex_lock(&bus->lock);
    for (size_t i = 0; i < final->count; i++) {
        final->subs[i]->pins--;
        ski_subscription_look(final->subs[i]);
    }
    return err ? err : ended;
}

// ski_save_final writes where everyone stands, durably; from then on nothing more is written.
// Nothing is on its way any more when it is called.
skald_err ski_save_final(skald_bus *bus)
{
    final_batch *final = ski_alloc_zeroed(1, sizeof(*final));
    skald_err err = final ? SKALD_OK : SKALD_ENOMEM;
    uint32_t at = 0;

    if (final) final->buf.bytes_max = final_bytes_max + SKI_CHECKPOINT_BYTES_MAX;
    while (!err && at < bus->subscriptions_max) {
        err = final_gather(bus, final, &at);
        if (!err && !final->count) break;
        if (!err) err = final_commit(bus, final);
    }
    if (err)
        ski_log_line(bus->log, SKALD_ERROR, "the last checkpoints could not be written", "error",
                     skald_err_name(err), NULL);
    bus->save_phase = SKI_SAVES_OVER;
    if (final) skald_buf_fini(&final->buf);
    ski_free(final);
    return err;
}
