// SPDX-License-Identifier: Apache-2.0
// bus/bus_rig.h - what the tests of the bus stand on: a memory store, a bus that is stepped on a
// clock of its own, and a handler that notes what it is given and answers as told.
#ifndef SKI_BUS_RIG_H
#define SKI_BUS_RIG_H

#include "bus/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { rig_noted_max = 4096 };

typedef struct rig {
    skald_store *store;
    skald_bus *bus;
    skald_bus_options options;
    skald_clock clock;
    skald_log log;
    uint64_t now_ns;
    uint32_t warnings, errors; // lines logged
    char last_line[512];
} rig;

static inline skald_time rig_now(void *context)
{
    return 1700000000000000 + (skald_time)(((rig *)context)->now_ns / 1000);
}

static inline uint64_t rig_monotonic(void *context)
{
    return ((rig *)context)->now_ns;
}

static inline void rig_line(void *context, skald_level level, skald_str json_line)
{
    rig *of = context;

    of->warnings += level == SKALD_WARN;
    of->errors += level == SKALD_ERROR;
    snprintf(of->last_line, sizeof(of->last_line), "%.*s", SKALD_FMT(json_line));
}

static inline void rig_bus(rig *of)
{
    assert_int_equal(skald_bus_new(of->store, &of->options, &of->bus), SKALD_OK);
}

static inline void rig_open(rig *of)
{
    memset(of, 0, sizeof(*of));
    of->now_ns = 1000 * SKI_NS_PER_MS;
    of->clock = (skald_clock){rig_now, rig_monotonic, of};
    of->log = (skald_log){rig_line, of, SKALD_DEBUG};
    of->options =
        (skald_bus_options){.clock = &of->clock, .log = &of->log, .stepped = true, .seed = 42};
    assert_int_equal(skald_store_open("memory:", NULL, &of->store, NULL), SKALD_OK);
    rig_bus(of);
}

static inline void rig_close(rig *of)
{
    skald_bus_free(of->bus);
    skald_store_close(of->store);
}

// rig_restart ends the bus, well or as a crash does, and makes another on the same store.
static inline void rig_restart(rig *of, bool crash)
{
    if (crash)
        ski_bus_drop(of->bus);
    else
        skald_bus_free(of->bus);
    rig_bus(of);
}

static inline uint64_t rig_publish(rig *of, const char *type, const char *stream)
{
    skald_event event = {.type = skald_str_of(type),
                         .stream = skald_str_of(stream),
                         .data = SKALD_STR("{}")};
    skald_appended appended = {0};

    assert_int_equal(skald_publish_all(of->bus, &event, 1, NULL, &appended), SKALD_OK);
    return appended.position_last;
}

// rig_run delivers what is due, at most 10000.
static inline uint32_t rig_run(rig *of)
{
    return skald_bus_run(of->bus, 10000);
}

static inline uint32_t rig_pass(rig *of, uint64_t ms)
{
    of->now_ns += ms * SKI_NS_PER_MS;
    return rig_run(of);
}

// What a handler was given, and what it answers.
typedef struct notes {
    uint64_t positions[rig_noted_max];
    uint32_t attempts[rig_noted_max];
    skald_delivery_id ids[rig_noted_max];
    uint32_t count;
    skald_outcome outcome;
    uint32_t delay_ms;
    const char *bad_stream; // its events get outcome, all others ACK; NULL: all get it
    uint32_t ends, readies;
} notes;

static inline skald_outcome rig_note(const skald_delivery *delivery)
{
    notes *to = delivery->context;
    skald_outcome outcome = to->outcome;

    assert_true(to->count < rig_noted_max);
    to->positions[to->count] = delivery->event->position;
    to->attempts[to->count] = delivery->attempt;
    to->ids[to->count++] = delivery->id;
    if (to->bad_stream && !skald_str_equal(delivery->event->stream, skald_str_of(to->bad_stream)))
        return SKALD_ACK;
    if (outcome == SKALD_RETRY) return skald_retry(delivery, to->delay_ms, "not today");
    if (outcome == SKALD_REJECT) return skald_reject(delivery, "never");
    return outcome;
}

static inline void rig_end(void *context)
{
    ((notes *)context)->ends++;
}

static inline void rig_ready(void *context)
{
    ((notes *)context)->readies++;
}

static inline skald_subscription_options rig_options(const char *name, notes *to)
{
    return (skald_subscription_options){.name = name,
                                        .handler = {.fn = rig_note, .context = to, .end = rig_end}};
}

static inline skald_subscription rig_subscribe(rig *of, const skald_subscription_options *options)
{
    skald_subscription made = {0};
    skald_error error = {0};

    if (skald_subscribe(of->bus, options, &made, &error)) fail_msg("%s", error.text);
    return made;
}

// rig_state gives the state of one subscription; its texts go with the arena.
static inline skald_subscription_state rig_state(rig *of, skald_subscription subscription,
                                                 skald_arena *arena)
{
    const skald_subscription_state *states;
    size_t count;

    assert_int_equal(skald_bus_subscriptions(of->bus, arena, &states, &count), SKALD_OK);
    for (size_t i = 0; i < count; i++)
        if (states[i].id.id == subscription.id) return states[i];
    return (skald_subscription_state){0};
}

static inline void rig_noted(const notes *of, size_t count, const uint64_t *positions)
{
    assert_int_equal(of->count, count);
    for (size_t i = 0; i < count; i++) assert_int_equal(of->positions[i], positions[i]);
}

#define NOTED(notes, ...)                                                        \
    rig_noted(notes, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), \
              (const uint64_t[]){__VA_ARGS__})

#endif
