// SPDX-License-Identifier: Apache-2.0
// Writing checkpoints, at the pace of the store: while one of a subscription is on its way none
// follows, and the next says everything that changed meanwhile. They are appended as WRITTEN:
// losing one costs a redelivery, never an event. The last one, at stop, is durable.
//
// Invariants:
//   1. saving: the batch belongs to the store. Its done only puts the subscription into the mail,
//      under the wake lock; what follows happens where the engine lock is held.
//   2. dirty, not saving, not ended: in the ring of dirties, or its timer is set.
//   3. A batch that takes a record with it takes all that the store has never had, and the
//      position: what the position passes is in the store. Removals and changes may take several.
//   4. Passing by events of others is not worth an append until it is far: positions_passed_max.
#include "bus/engine.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"

#include <assert.h>
#include <stdlib.h>

enum {
    positions_passed_max = 1000,
    again_first_ms = 100, // after an append failed
    again_max_ms = 10000,
    change_values_max = 256,    // of records changed, in one append
    change_bytes_max = 4 << 20, // of them
    final_values_left = SKI_SAVE_VALUES_MAX - SKI_ASIDES_UNSAVED_MAX - change_values_max - 8,
    final_bytes_max = 8 << 20,
    set_bytes_max = 20 << 20, // a checkpoint, an edited event, and as above
};

// A value of a batch being gathered: where its texts are, for their buffer moves.
typedef struct span {
    size_t name, name_len, bytes, bytes_len;
    bool removes;
} span;

// What a batch is gathered in.
typedef struct ski_save_values {
    skald_store_value values[SKI_SAVE_VALUES_MAX];
    span spans[SKI_SAVE_VALUES_MAX];
    size_t count;
    skald_buf buf;
} save_set;

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

typedef struct places {
    uint64_t *positions;
    size_t *count;
} places;

static void position_put(void *context, ski_page *page, size_t index)
{
    const skald_event *event = &page->store_page.events[index];
    const places *to = context;

    to->positions[(*to->count)++] = event->position;
}

static int position_compare(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

    return (a > b) - (a < b);
}

// checkpoint_put appends where sub stands to buf.
static skald_err checkpoint_put(ski_subscription *sub, skald_buf *buf)
{
    skald_bus *bus = sub->bus;
    size_t left = sub->resume_count - sub->resume_index, count = 0;

    SKALD_TRY(positions_reserve(bus, sub->in_flight + left));
    ski_trays_each(sub, position_put, &(places){bus->positions, &count});
    bool sorted = !count || !sub->oldest;

    for (const ski_delivery *open = sub->oldest; open; open = open->newer)
        bus->positions[count++] = open->event->position;
    if (!sorted) qsort(bus->positions, count, sizeof(*bus->positions), position_compare);
    for (size_t i = sub->resume_index; i < sub->resume_count; i++)
        bus->positions[count++] = sub->resume[i];
    return ski_checkpoint_encode(
        &(ski_checkpoint){ski_subscription_cursor(sub), bus->positions, count}, buf);
}

// set_begin and set_end stand around the writing of one value's bytes.
static span *set_begin(save_set *set, skald_str name)
{
    span *at = &set->spans[set->count];

    assert(set->count < SKI_SAVE_VALUES_MAX);
    *at = (span){.name = set->buf.len, .name_len = name.len};
    if (name.len && skald_buf_put(&set->buf, name)) return NULL;
    at->bytes = set->buf.len;
    return at;
}

static void set_end(save_set *set, span *at)
{
    at->bytes_len = set->buf.len - at->bytes;
    at->removes = !at->bytes_len;
    set->count++;
}

static void set_point(save_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        const span *at = &set->spans[i];

        set->values[i] = (skald_store_value){.name = {set->buf.ptr + at->name, at->name_len}};
        if (!at->removes)
            set->values[i].bytes = (skald_str){set->buf.ptr + at->bytes, at->bytes_len};
    }
}

static skald_err aside_gather(ski_aside *aside, save_set *set)
{
    ski_subscription *sub = aside->subscription;
    span *at = set_begin(set, (skald_str){0});

    SKALD_TRY(ski_aside_name(sub->name, aside->about.origin, &set->buf));
    at->name_len = set->buf.len - at->name;
    at->bytes = set->buf.len;
    if (!aside->gone) SKALD_TRY(ski_aside_encode(&aside->about, &set->buf));
    set_end(set, at);
    aside->dirty = false;
    aside->saving = true;
    aside->saving_gone = aside->gone;
    ski_link_leave(&aside->change);
    ski_link_append(&sub->aside_saving, &aside->change);
    return SKALD_OK;
}

// asides_gather takes all the store has never had, then what else has changed as far as there is
// room.
static skald_err asides_gather(ski_subscription *sub, save_set *set)
{
    size_t start = set->buf.len;
    uint32_t changes = 0;

    for (int pass = 0; pass < 2; pass++)
        for (ski_link *link = sub->aside_changes.next, *next; link != &sub->aside_changes;
             link = next) {
            ski_aside *aside = SKI_LINKED(link, ski_aside, change);

            next = link->next;
            if (pass == 0 && (aside->stored || aside->gone)) continue;
            if (pass == 1 &&
                (changes++ == change_values_max || set->buf.len - start > change_bytes_max))
                return SKALD_OK;
            SKALD_TRY(aside_gather(aside, set));
        }
    return SKALD_OK;
}

static skald_err values_gather(ski_subscription *sub, save_set *set)
{
    SKALD_TRY(asides_gather(sub, set));
    if (sub->forget && !ski_link_alone(&sub->aside_changes)) return SKALD_OK; // more to remove
    span *at = set_begin(set, sub->value_name);

    if (!at) return SKALD_ENOMEM;
    if (!sub->forget) SKALD_TRY(checkpoint_put(sub, &set->buf));
    set_end(set, at);
    if (!sub->about_dirty && !sub->forget) return SKALD_OK;
    at = set_begin(set, (skald_str){0});
    SKALD_TRY(ski_about_name(sub->name, &set->buf));
    at->name_len = set->buf.len - at->name;
    at->bytes = set->buf.len;
    if (!sub->forget) SKALD_TRY(ski_about_encode(sub, &set->buf));
    set_end(set, at);
    sub->about_dirty = false;
    sub->about_saving = true;
    return SKALD_OK;
}

// asides_settle says what became of the records in a batch.
static void asides_settle(ski_subscription *sub, bool written)
{
    while (!ski_link_alone(&sub->aside_saving)) {
        ski_aside *aside = SKI_LINKED(sub->aside_saving.next, ski_aside, change);

        ski_link_leave(&aside->change);
        aside->saving = false;
        if (!written) aside->dirty = true;
        if (written && aside->stored == aside->saving_gone) {
            aside->stored = !aside->saving_gone;
            if (aside->stored)
                sub->asides_unsaved--;
            else
                sub->asides_unsaved++;
        }
        if (aside->dirty)
            ski_link_append(&sub->aside_changes, &aside->change);
        else
            ski_aside_settle(aside);
    }
    if (!written && sub->about_saving) sub->about_dirty = true;
    sub->about_saving = false;
}

// save_gather adds what sub has to say to set, or leaves both as they were.
static skald_err save_gather(ski_subscription *sub, save_set *set)
{
    size_t count = set->count, len = set->buf.len;
    skald_err err = values_gather(sub, set);

    if (!err) return SKALD_OK;
    set->count = count;
    set->buf.len = len;
    asides_settle(sub, false);
    return err;
}

static save_set *set_of(skald_bus *bus)
{
    if (!bus->save_values) {
        bus->save_values = ski_alloc_zeroed(1, sizeof(save_set));
        if (!bus->save_values) return NULL;
        bus->save_values->buf.bytes_max = set_bytes_max;
    }
    bus->save_values->count = bus->save_values->buf.len = 0;
    return bus->save_values;
}

void ski_save_fini(skald_bus *bus)
{
    if (bus->save_values) skald_buf_fini(&bus->save_values->buf);
    ski_free(bus->save_values);
    bus->save_values = NULL;
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
    save_set *set = set_of(bus);

    assert(!sub->saving);
    if (!set) return SKALD_ENOMEM;
    SKALD_TRY(save_gather(sub, set));
    set_point(set);
    sub->batch = (skald_store_batch){
        .values = set->values,
        .value_count = set->count,
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
    asides_settle(sub, false);
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
    asides_settle(sub, !sub->save_err);
    if (!ski_link_alone(&sub->aside_changes)) sub->dirty = true;
    if (sub->save_err) {
        sub->dirty = true;
        save_again(sub, sub->save_err);
    } else {
        if (sub->save_failures)
            ski_log_line(bus->log, SKALD_INFO, "a checkpoint was written again", "value",
                         sub->value_name.ptr, NULL);
        sub->saved = true;
        sub->save_failures = 0;
        if (sub->dirty) ski_save_mark(sub);
    }
    ski_subscription_look(sub);
}

static ski_subscription *mail_take(skald_bus *bus)
{
    ski_mutex_lock(&bus->wake_lock);
    ski_subscription *mail = bus->mail;

    bus->mail = NULL;
    ski_mutex_unlock(&bus->wake_lock);
    return mail;
}

// ski_save_collect goes on while what it takes in brings more: of one that is forgotten, records
// are removed some at a time.
void ski_save_collect(skald_bus *bus)
{
    ski_subscription *mail;

    while ((mail = mail_take(bus)) != NULL)
        while (mail) {
            ski_subscription *next = mail->mail_next;

            save_ended(mail);
            mail = next;
        }
}

static void final_done(skald_store_batch *batch, skald_err err)
{
    *(skald_err *)batch->context = err;
}

skald_err ski_values_commit(skald_bus *bus, const skald_store_value *values, size_t count)
{
    skald_err ended = SKALD_OK;
    skald_store_batch batch = {.values = values,
                               .value_count = count,
                               .durability = SKALD_WRITTEN,
                               .done = final_done,
                               .context = &ended};
    skald_err err = ski_store_commit(bus->store, &batch);

    return err ? err : ended;
}

// Stop: one append for many.

// What the last checkpoints are gathered in.
typedef struct final_batch {
    save_set set;
    ski_subscription *subs[final_values_left];
    size_t count;
} final_batch;

static bool final_wanted(const ski_subscription *sub)
{
    if (!sub || !sub->durable || sub->starting || sub->finished) return false;
    return sub->dirty || sub->saved || sub->forget || sub->about_dirty ||
           !ski_link_alone(&sub->aside_changes) || ski_subscription_floor(sub) != sub->saved_floor;
}

// final_gather takes in what has something to say, from slot *at on.
static skald_err final_gather(skald_bus *bus, final_batch *final, uint32_t *at)
{
    final->count = final->set.count = final->set.buf.len = 0;
    for (; *at < bus->subscriptions_max && final->set.count < final_values_left; (*at)++) {
        ski_subscription *sub = bus->subs[*at];

        if (!final_wanted(sub)) continue;
        if (final->set.buf.len > final_bytes_max) break;
        SKALD_TRY(save_gather(sub, &final->set));
        final->subs[final->count++] = sub;
    }
    return SKALD_OK;
}

static skald_err final_commit(skald_bus *bus, final_batch *final)
{
    skald_err ended = SKALD_OK;
    skald_store_batch batch = {.values = final->set.values,
                               .value_count = final->set.count,
                               .durability = SKALD_DURABLE,
                               .done = final_done,
                               .context = &ended};

    set_point(&final->set);
    for (size_t i = 0; i < final->count; i++) {
        final->subs[i]->finished = true;
        final->subs[i]->pins++;
    }
    ski_mutex_unlock(&bus->lock);
    skald_err err = ski_store_commit(bus->store, &batch);

    ski_mutex_lock(&bus->lock);
    if (!err) err = ended;
    for (size_t i = 0; i < final->count; i++) {
        ski_subscription *sub = final->subs[i];

        sub->pins--;
        asides_settle(sub, !err);
        if (!err && !ski_link_alone(&sub->aside_changes)) sub->finished = false; // once more
        ski_subscription_look(sub);
    }
    return err;
}

// ski_save_final writes where everyone stands, durably; from then on nothing more is written.
// Nothing is on its way any more when it is called.
skald_err ski_save_final(skald_bus *bus)
{
    final_batch *final = ski_alloc_zeroed(1, sizeof(*final));
    skald_err err = final ? SKALD_OK : SKALD_ENOMEM;
    uint32_t at = 0;

    if (final) final->set.buf.bytes_max = set_bytes_max + final_bytes_max;
    while (!err) {
        err = final_gather(bus, final, &at);
        if (err || (!final->count && at == bus->subscriptions_max)) break;
        if (final->count) err = final_commit(bus, final);
        if (at == bus->subscriptions_max) at = 0; // those that had more to say
    }
    if (err)
        ski_log_line(bus->log, SKALD_ERROR, "the last checkpoints could not be written", "error",
                     skald_err_name(err), NULL);
    bus->save_phase = SKI_SAVES_OVER;
    if (final) skald_buf_fini(&final->set.buf);
    ski_free(final);
    return err;
}
