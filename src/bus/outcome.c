// SPDX-License-Identifier: Apache-2.0
// An attempt, from the call of its handler to its end, and what its end means.
//
// Invariants:
//   1. A delivery's id changes when an attempt ends, so whoever answers late is told STALE.
//   2. While a handler runs its delivery stays RUNNING, whatever skald_delivery_end has said
//      already: nothing of its key is run beside it.
//   3. A delivery leaves the window by ACK, or with a record (park.c) that goes into the store with
//      the checkpoint, so everything else is still open in it.
//   4. lost: the subscription was set back while it ran. It is no delivery any more; what its
//      handler answers is not heard, and nothing begins anew before it has returned.
#include "bus/engine.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/str.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    again_ms = 100,     // until there may be room for a record
    ends_at_once = 256, // then others get the lock
};

static void call_note(const skald_delivery *delivery, uint32_t delay_ms, const char *format,
                      va_list arguments)
{
    ski_call *noted = (ski_call *)delivery;

    noted->delay_ms = delay_ms;
    vsnprintf(noted->reason, sizeof(noted->reason), format, arguments);
}

skald_outcome skald_retry(const skald_delivery *delivery, uint32_t delay_ms, const char *format,
                          ...)
{
    va_list arguments;

    va_start(arguments, format);
    call_note(delivery, delay_ms, format, arguments);
    va_end(arguments);
    return SKALD_RETRY;
}

skald_outcome skald_reject(const skald_delivery *delivery, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    call_note(delivery, 0, format, arguments);
    va_end(arguments);
    return SKALD_REJECT;
}

bool ski_delivery_more(const skald_delivery *delivery)
{
    return ((const ski_call *)delivery)->more;
}

skald_outcome ski_delivery_later(const skald_delivery *delivery, const ski_aside_about *about)
{
    ski_aside_about *later = skald_arena_get(delivery->scratch, sizeof(*later));

    if (!later) return skald_retry(delivery, 0, "out of memory");
    *later = *about;
    ((ski_call *)delivery)->later = later;
    return SKALD_RETRY;
}

void ski_subscription_error(ski_subscription *sub, const char *text)
{
    if (sub->halted) return; // why it halted stays to be seen
    snprintf(sub->last_error, sizeof(sub->last_error), "%s", text);
    sub->last_error_at = ski_bus_now(sub->bus);
}

// A number of the bus and the same of the subscription.
static void count(_Atomic uint64_t *of_bus, uint64_t *of_sub)
{
    ski_count(of_bus, 1);
    (*of_sub)++;
}

static double random_unit(skald_bus *bus)
{
    // splitmix64: one add and three rounds, good enough to spread retries.
    uint64_t x = bus->random += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (double)((x ^ x >> 31) >> 11) / (double)(UINT64_C(1) << 53);
}

static uint64_t backoff_ms(ski_subscription *sub, uint32_t attempt)
{
    const skald_retry_policy *retry = &sub->retry;
    double delay = retry->first_ms;

    for (uint32_t i = 1; i < attempt && delay < retry->max_ms; i++) delay *= retry->factor;
    if (delay > retry->max_ms) delay = retry->max_ms;
    delay *= 1 + retry->jitter * (2 * random_unit(sub->bus) - 1);
    return delay < 1 ? 1 : (uint64_t)delay;
}

static void log_failure(const ski_delivery *delivery, const char *reason)
{
    const ski_subscription *sub = delivery->subscription;
    char position[24], type[SKALD_TYPE_BYTES_MAX + 1], name[SKI_NAME_BYTES_MAX + 1];

    if (delivery->attempt != 1) return;
    snprintf(position, sizeof(position), "%" PRIu64, delivery->event->position);
    snprintf(type, sizeof(type), "%.*s", SKALD_FMT(delivery->event->type));
    snprintf(name, sizeof(name), "%.*s", SKALD_FMT(sub->name));
    ski_log_line(sub->bus->log, SKALD_WARN, "a delivery failed", "subscription",
                 sub->durable ? name : "(transient)", "position", position, "type", type, "reason",
                 reason, NULL);
}

static void delivery_halts(ski_delivery *delivery, const char *reason)
{
    skald_str type = delivery->event->type;
    char text[SKI_REASON_BYTES_MAX];

    delivery->state = SKI_WAITING;
    delivery->exhausted = true;
    snprintf(text, sizeof(text),
             "halted at position %" PRIu64 " (%.*s) after %" PRIu32 " attempt%s: %s",
             delivery->event->position, (int)(type.len < 64 ? type.len : 64), type.ptr,
             delivery->attempt, delivery->attempt == 1 ? "" : "s", reason);
    ski_subscription_halt(delivery->subscription, text);
}

static void delivery_wait(ski_delivery *delivery, uint64_t delay_ms)
{
    delivery->state = SKI_RETRYING;
    delivery->subscription->retrying++;
    ski_bus_timer_set(delivery->subscription->bus, &delivery->timer, delay_ms);
}

// delivery_exhausted is the one place that decides what becomes of a delivery no attempt will help.
static void delivery_exhausted(ski_delivery *delivery, const char *reason)
{
    ski_subscription *sub = delivery->subscription;
    skald_error error = {0};

    if (sub->ended) { // it is open in the last checkpoint
        delivery->state = SKI_WAITING;
        return;
    }
    if (sub->on_exhausted == SKALD_HALT && !delivery->aside) {
        delivery_halts(delivery, reason);
        return;
    }
    skald_err err = ski_park(delivery, reason, &error);

    if (err == SKALD_EFULL)
        delivery_halts(delivery, error.text);
    else if (err) // no room for its record now: one attempt more
        delivery_wait(delivery, again_ms);
}

static void delivery_retry(ski_delivery *delivery, uint32_t delay_ms, const char *reason)
{
    ski_subscription *sub = delivery->subscription;

    if (sub->retry.attempts_max && delivery->attempt >= sub->retry.attempts_max) {
        delivery_exhausted(delivery, reason);
        return;
    }
    delivery_wait(delivery, delay_ms ? delay_ms : backoff_ms(sub, delivery->attempt));
}

void ski_ack_note(ski_subscription *sub, uint64_t first, uint64_t last, bool expired)
{
    if (!sub->durable) return;
    if (!sub->acks) sub->acks = ski_alloc_zeroed(SKI_ACKS, sizeof(*sub->acks));
    if (!sub->acks) return;
    sub->acks[sub->acks_next++ % SKI_ACKS] = (ski_ack){first, last, ski_bus_now(sub->bus), expired};
}

bool ski_calls_logged(const ski_subscription *sub)
{
    return ski_log_takes(sub->bus->log, SKALD_DEBUG) &&
           !skald_str_equal(sub->kind, SKALD_STR("log"));
}

// log_outcome tells how an attempt ended, at level debug; of the log's own subscription nothing is
// told.
static void log_outcome(const ski_subscription *sub, const skald_event *event, uint32_t attempts,
                        skald_outcome outcome, const char *reason)
{
    const char *status = outcome == SKALD_REJECT ? "rejected" : "failed";
    char position[24], attempt[12], type[SKALD_TYPE_BYTES_MAX + 1], name[SKI_NAME_BYTES_MAX + 1];
    char id[SKALD_UUID_TEXT + 1];

    if (!ski_calls_logged(sub)) return;
    skald_uuid_print(event->id, id);
    snprintf(position, sizeof(position), "%" PRIu64, event->position);
    snprintf(attempt, sizeof(attempt), "%" PRIu32, attempts);
    snprintf(type, sizeof(type), "%.*s", SKALD_FMT(event->type));
    snprintf(name, sizeof(name), "%.*s", SKALD_FMT(sub->name));
    ski_log_line(sub->bus->log, SKALD_DEBUG, "delivery", "subscription",
                 sub->durable ? name : "(transient)", "type", type, "id", id, "position", position,
                 "attempt", attempt, "status", outcome == SKALD_ACK ? "acked" : status, "reason",
                 outcome == SKALD_ACK || !reason ? "" : reason, NULL);
}

void ski_outs_acked(ski_subscription *sub, uint32_t count)
{
    ski_count(&sub->bus->acked, count);
    sub->acked += count;
    ski_save_mark(sub);
}

static void delivery_acked(ski_delivery *delivery)
{
    ski_subscription *sub = delivery->subscription;

    ski_aside *aside = delivery->aside;

    count(&sub->bus->acked, &sub->acked);
    ski_ack_note(sub, delivery->event->position, delivery->event->position, false);
    ski_delivery_done(delivery);
    if (aside) ski_release_answered(aside);
    if (sub->once && !sub->ended) ski_subscription_end(sub, false);
}

static void delivery_failed(ski_delivery *delivery, skald_outcome outcome, uint32_t delay_ms,
                            const char *reason, int code)
{
    ski_subscription *sub = delivery->subscription;
    bool rejected = outcome == SKALD_REJECT;

    if (!reason || !*reason) reason = "no reason given";
    count(rejected ? &sub->bus->rejected : &sub->bus->retried,
          rejected ? &sub->rejected : &sub->retried);
    delivery->generation++;
    ski_tray_forget(delivery);
    sub->smooth = 0;
    if (!delivery->failed_at) delivery->failed_at = ski_bus_now(sub->bus);
    ski_subscription_error(sub, reason);
    log_failure(delivery, reason);
    ski_complain(sub, code, reason, delivery->event);
    if (rejected)
        delivery_exhausted(delivery, reason);
    else
        delivery_retry(delivery, delay_ms, reason);
}

void ski_call_passed(const ski_subscription *sub, const skald_event *event)
{
    log_outcome(sub, event, 1, SKALD_ACK, NULL);
}

void ski_calls_after(ski_subscription *sub)
{
    ski_feed(sub);
    ski_runnable_look(sub);
    ski_subscription_look(sub);
}

// attempt_settle ends an attempt that neither runs nor is pending any more.
static void attempt_settle(ski_delivery *delivery, skald_outcome outcome, uint32_t delay_ms,
                           const char *reason)
{
    ski_subscription *sub = delivery->subscription;

    if (sub->pull) ski_active(sub);
    log_outcome(sub, delivery->event, delivery->attempt, outcome, reason);
    ski_attempt_ends(delivery, outcome == SKALD_ACK ? NULL : reason ? reason : "no reason given");
    if (outcome == SKALD_ACK)
        delivery_acked(delivery);
    else
        delivery_failed(delivery, outcome, delay_ms, reason,
                        outcome == SKALD_REJECT ? SKI_CODE_REJECT : SKI_CODE_RETRY);
}

void ski_active_less(skald_bus *bus, uint32_t count)
{
    assert(bus->active >= count);
    bus->active -= count;
    if (!bus->active && bus->closing) ski_cond_broadcast(&bus->idle);
}

// ski_pending_enter has it wait for its end. As all of a subscription wait as long, a list in the
// order they came is one by time, and one timer does for it; only what was in a tray comes late.
void ski_pending_enter(ski_delivery *delivery, uint64_t due_ns)
{
    ski_subscription *sub = delivery->subscription;
    ski_delivery *before = sub->pending_last, *behind = NULL;

    while (before && before->timer.due_ns > due_ns) {
        behind = before;
        before = before->pended_before;
    }
    delivery->state = SKI_PENDING;
    delivery->timer.due_ns = due_ns;
    delivery->next = behind;
    delivery->pended_before = before;
    *(before ? &before->next : &sub->pending_first) = delivery;
    *(behind ? &behind->pended_before : &sub->pending_last) = delivery;
    sub->pending++;
    if (!sub->pending_timer.place || sub->pending_timer.due_ns > due_ns)
        ski_bus_timer_at(sub->bus, &sub->pending_timer, due_ns);
}

static void pending_leave(ski_delivery *delivery)
{
    ski_subscription *sub = delivery->subscription;
    ski_delivery *before = delivery->pended_before, *behind = delivery->next;

    *(before ? &before->next : &sub->pending_first) = behind;
    *(behind ? &behind->pended_before : &sub->pending_last) = before;
    sub->pending--;
    if (!sub->pending_first && !sub->trays_first)
        ski_timers_clear(&sub->bus->timers, &sub->pending_timer);
}

static void attempt_pending(ski_delivery *delivery, uint64_t now_ns)
{
    ski_subscription *sub = delivery->subscription;

    if (sub->ended) { // nobody would be listened to
        delivery->state = SKI_WAITING;
        ski_active_less(sub->bus, 1);
        return;
    }
    ski_pending_enter(delivery, now_ns + sub->retry.timeout_ms * SKI_NS_PER_MS);
}

// attempt_lost ends a call of before a reset.
static void attempt_lost(ski_delivery *delivery)
{
    ski_subscription *sub = delivery->subscription;
    ski_aside *aside = delivery->aside;

    ski_active_less(sub->bus, 1);
    ski_delivery_done(delivery);
    if (aside && aside->gone) ski_aside_settle(aside);
}

// attempt_later: the handler has said when.
static void attempt_later(ski_delivery *delivery, const ski_aside_about *later)
{
    ski_subscription *sub = delivery->subscription;

    ski_active_less(sub->bus, 1);
    if (sub->ended)
        delivery->state = SKI_WAITING;
    else if (ski_later(delivery, later))
        delivery_wait(delivery, again_ms);
}

// smooth_count: what is answered later is smooth until it fails, where a tray may hold it.
static void smooth_count(ski_subscription *sub, const ski_call *noted, const ski_delivery *delivery)
{
    bool acked = noted->outcome == SKALD_ACK && !delivery->early;
    bool pends =
        delivery->early ? delivery->early_outcome == SKALD_ACK : noted->outcome == SKALD_PENDING;

    if (pends) sub->pends = sub->order == SKALD_UNORDERED || sub->order == SKALD_BY_STREAM;
    if (acked || (pends && sub->pends))
        sub->smooth++;
    else
        sub->smooth = 0;
}

void ski_call_end(ski_call *noted, uint64_t now_ns)
{
    ski_delivery *delivery = noted->delivery;
    ski_subscription *sub = delivery->subscription;
    char *early_reason = delivery->early_reason;

    sub->running--;
    smooth_count(sub, noted, delivery);
    if (delivery->lost) {
        attempt_lost(delivery);
    } else if (noted->later) {
        attempt_later(delivery, noted->later);
    } else if (delivery->early) {
        delivery->early = false;
        delivery->early_reason = NULL;
        ski_active_less(sub->bus, 1);
        attempt_settle(delivery, (skald_outcome)delivery->early_outcome, delivery->early_delay_ms,
                       early_reason);
        ski_free(early_reason);
    } else if (noted->outcome == SKALD_PENDING) {
        attempt_pending(delivery, now_ns);
    } else {
        ski_active_less(sub->bus, 1);
        attempt_settle(delivery, noted->outcome, noted->delay_ms, noted->reason);
    }
}

void ski_call_begin(ski_call *call, ski_delivery *delivery, void *context, skald_arena *scratch)
{
    ski_subscription *sub = delivery->subscription;

    delivery->state = SKI_RUNNING;
    delivery->attempt++;
    sub->running++;
    sub->bus->active++;
    call->number = atomic_load_explicit(&sub->bus->delivered, memory_order_relaxed);
    atomic_store_explicit(&sub->bus->delivered, call->number + 1, memory_order_relaxed);
    call->seen = (skald_delivery){.context = context,
                                  .event = delivery->event,
                                  .id = ski_delivery_id(delivery),
                                  .bus = sub->bus,
                                  .scratch = scratch,
                                  .attempt = delivery->attempt};
    call->delivery = delivery;
    call->delay_ms = 0;
    call->later = NULL;
    call->more = false;
    call->reason[0] = 0; // it is long: the rest is not cleared for nothing
}

void ski_call_undo(ski_call *call)
{
    ski_delivery *delivery = call->delivery;

    ski_count(&delivery->subscription->bus->delivered, (uint64_t)-1);
    delivery->attempt--;
    delivery->subscription->running--;
    ski_active_less(delivery->subscription->bus, 1);
    ski_delivery_ready(delivery);
}

// upcast_fails brings the event to its newest version. True: it cannot be given, and why is noted.
static bool upcast_fails(ski_call *call)
{
    skald_event *newest = skald_arena_get(call->seen.scratch, sizeof(*newest));
    skald_error error = {.text = "out of memory"};
    skald_err err = SKALD_ENOMEM;

    if (newest) {
        *newest = *call->seen.event;
        err = skald_schemas_read(call->seen.bus->schemas, newest, call->seen.scratch, &error);
    }
    if (err == SKALD_ENOMEM || skald_err_retriable(err))
        call->outcome = skald_retry(&call->seen, 0, "%s", error.text);
    else if (err)
        call->outcome = skald_reject(&call->seen, "%s", error.text);
    else
        call->seen.event = newest;
    return err != SKALD_OK;
}

void ski_call_make(ski_call *call, skald_handler_fn *fn)
{
    ski_attempt_begins(call->delivery, call->seen.event, call->number);
    ski_call_handle(call, fn);
}

void ski_call_handle(ski_call *call, skald_handler_fn *fn)
{
    if (call->delivery->subscription->upcasts && upcast_fails(call)) return;
    call->outcome = fn(&call->seen);
    if (call->outcome > SKALD_PENDING) // a handler that lost its way ends nobody else's work
        call->outcome = skald_retry(&call->seen, 0, "the handler answered %u, which is no outcome",
                                    (unsigned)call->outcome);
}

void ski_delivery_run(ski_delivery *delivery, skald_handler_fn *fn, void *context,
                      skald_arena *scratch)
{
    ski_subscription *sub = delivery->subscription;
    skald_bus *bus = sub->bus;
    ski_call call;

    ski_call_begin(&call, delivery, context, scratch);
    sub->callers++;
    ski_runnable_look(sub); // another of it may run beside this one
    ski_mutex_unlock(&bus->lock);
    ski_call_make(&call, fn);
    ski_mutex_lock(&bus->lock);
    sub->callers--;
    ski_call_end(&call, ski_bus_now_ns(bus));
    ski_calls_after(sub);
    skald_arena_reset(scratch);
}

void ski_delivery_due(ski_delivery *delivery)
{
    ski_subscription *sub = delivery->subscription;
    char reason[64];

    if (delivery->state == SKI_RETRYING) {
        sub->retrying--;
        ski_delivery_ready(delivery);
        return;
    }
    assert(delivery->state == SKI_PENDING);
    count(&sub->bus->timed_out, &sub->timed_out);
    pending_leave(delivery);
    ski_active_less(sub->bus, 1);
    snprintf(reason, sizeof(reason), "no answer within %" PRIu32 " ms", sub->retry.timeout_ms);
    ski_attempt_ends(delivery, reason);
    delivery_failed(delivery, SKALD_RETRY, 0, reason, SKI_CODE_TIMEOUT);
    ski_calls_after(sub);
}

void ski_pending_due(ski_subscription *sub)
{
    uint64_t now_ns = ski_bus_now_ns(sub->bus);

    ski_trays_due(sub, now_ns);
    if (sub->pending_first && sub->pending_first->timer.due_ns <= now_ns)
        ski_delivery_due(sub->pending_first);
    uint64_t due_ns = sub->trays_first ? sub->trays_first->due_ns : UINT64_MAX;

    if (sub->pending_first && sub->pending_first->timer.due_ns < due_ns)
        due_ns = sub->pending_first->timer.due_ns;
    if (due_ns != UINT64_MAX) ski_bus_timer_at(sub->bus, &sub->pending_timer, due_ns);
}

// early_end keeps an answer that came before the handler returned. Fails: STALE (answered already).
static skald_err early_end(ski_delivery *delivery, skald_outcome outcome, uint32_t delay_ms,
                           const char *reason)
{
    if (delivery->early) return SKALD_ESTALE;
    delivery->early = true;
    delivery->early_outcome = (uint8_t)outcome;
    delivery->early_delay_ms = delay_ms;
    // Without memory the reason is lost, not the answer.
    delivery->early_reason = reason ? ski_str_terminated(skald_str_of(reason)) : NULL;
    return SKALD_OK;
}

// An answer to one or many attempts.
typedef struct answer {
    skald_outcome outcome;
    uint32_t delay_ms;
    const char *reason;
} answer;

// answer_pending ends an attempt that has returned and waits for its end.
static void answer_pending(ski_delivery *delivery, const answer *with)
{
    skald_bus *bus = delivery->subscription->bus;

    pending_leave(delivery);
    ski_active_less(bus, 1);
    attempt_settle(delivery, with->outcome, with->delay_ms, with->reason);
}

// outs_acked ends what is in a tray, by far the most that is answered later. It gives how many of
// ids, from the first on, were in the same.
static size_t outs_acked(skald_bus *bus, const skald_delivery_id *ids, size_t count,
                         ski_subscription **ret_of)
{
    ski_delivery *stand = ski_stand_find(bus, ids[0]);

    if (!stand || !stand->tray) return 0;
    ski_subscription *sub = stand->subscription; // the last one may take the stand with it
    size_t acked = ski_tray_acks(stand, ids, count);

    if (acked) *ret_of = sub;
    return acked;
}

// answer_one ends an attempt by its delivery. ret_of: whose window it has left, if it has.
static bool answer_one(skald_bus *bus, skald_delivery_id id, const answer *with,
                       ski_subscription **ret_of)
{
    ski_delivery *delivery = ski_delivery_find(bus, id);

    if (delivery && delivery->state == SKI_RUNNING)
        return !early_end(delivery, with->outcome, with->delay_ms, with->reason);
    if (!delivery || delivery->state != SKI_PENDING) return false;
    *ret_of = delivery->subscription;
    answer_pending(delivery, with);
    return true;
}

// answer_some is under one hold of the lock. It gives how many were ended.
static size_t answer_some(skald_bus *bus, const skald_delivery_id *ids, size_t count,
                          const answer *with, bool *ret_each)
{
    ski_subscription *last = NULL;
    size_t ended = 0;

    for (size_t i = 0, some = 0; i < count; i += some) {
        ski_subscription *of = NULL;
        size_t ends = with->outcome == SKALD_ACK ? outs_acked(bus, &ids[i], count - i, &of) : 0;

        if (!ends) ends = answer_one(bus, ids[i], with, &of);
        some = ends ? ends : 1;
        if (ret_each) memset(&ret_each[i], ends != 0, some * sizeof(*ret_each));
        ended += ends;
        // One that has ended is not freed before the lock is left.
        if (!ends || !of) continue;
        if (last && last != of) ski_calls_after(last);
        last = of;
    }
    if (last) ski_calls_after(last);
    return ended;
}

skald_err skald_deliveries_end(skald_bus *bus, const skald_delivery_id *ids, size_t count,
                               skald_outcome outcome, uint32_t delay_ms, const char *reason,
                               bool *ret_each, size_t *ret_ended)
{
    const answer with = {outcome, delay_ms, reason};
    size_t ended = 0;

    if (outcome != SKALD_ACK && outcome != SKALD_RETRY && outcome != SKALD_REJECT)
        return SKALD_EINVALID;
    for (size_t i = 0; i < count; i += ends_at_once) {
        size_t some = count - i < ends_at_once ? count - i : ends_at_once;

        ski_bus_lock(bus);
        ended += answer_some(bus, &ids[i], some, &with, ret_each ? &ret_each[i] : NULL);
        ski_bus_leave(bus);
    }
    *ret_ended = ended;
    return SKALD_OK;
}

skald_err skald_delivery_end(skald_bus *bus, skald_delivery_id id, skald_outcome outcome,
                             uint32_t delay_ms, const char *reason)
{
    size_t ended = 0;

    SKALD_TRY(skald_deliveries_end(bus, &id, 1, outcome, delay_ms, reason, NULL, &ended));
    return ended ? SKALD_OK : SKALD_ESTALE;
}
