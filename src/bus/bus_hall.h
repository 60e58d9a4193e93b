// SPDX-License-Identifier: Apache-2.0
// bus/bus_hall.h - what the tests of a bus with threads stand on: a store, a bus, a lock and a
// condition they share, and a handler that does not return until it is let go.
#ifndef SKI_BUS_HALL_H
#define SKI_BUS_HALL_H

#include "bus/bus_rig.h"

enum { hall_wait_s = 60 }; // then something is wrong

// What threads share in a test.
typedef struct hall {
    skald_store *store;
    skald_bus *bus;
    const ski_kernel *kernel;
    ski_mutex lock;
    ski_cond changed;
} hall;

static inline void hall_open(hall *in, const skald_bus_options *options)
{
    memset(in, 0, sizeof(*in));
    ski_mutex_init(&in->lock);
    ski_cond_init(&in->changed);
    assert_int_equal(skald_store_open("memory:", NULL, &in->store, NULL), SKALD_OK);
    in->kernel = ski_store_kernel(in->store);
    assert_int_equal(skald_bus_new(in->store, options, &in->bus), SKALD_OK);
}

static inline void hall_close(hall *in)
{
    skald_bus_free(in->bus);
    skald_store_close(in->store);
    ski_cond_fini(&in->changed);
    ski_mutex_fini(&in->lock);
}

static inline uint64_t hall_now_ns(void)
{
    return ski_kernel_system.monotonic_ns(NULL);
}

static inline void hall_wait(hall *in, const uint32_t *count, uint32_t least)
{
    ski_mutex_lock(&in->lock);
    while (*count < least)
        if (!ski_cond_wait_ns(&in->changed, &in->lock, hall_wait_s * UINT64_C(1000000000)))
            fail_msg("waited in vain: %u of %u", (unsigned)*count, (unsigned)least);
    ski_mutex_unlock(&in->lock);
}

static inline skald_subscription hall_subscribe(hall *in, skald_subscription_options options)
{
    skald_subscription made = {0};
    skald_error error = {0};

    if (skald_subscribe(in->bus, &options, &made, &error)) fail_msg("%s", error.text);
    return made;
}

// hall_moment lets some time pass in a loop, begun at since_ns, that waits for what nobody tells.
static inline void hall_moment(hall *in, uint64_t since_ns)
{
    ski_mutex_lock(&in->lock);
    (void)ski_cond_wait_ns(&in->changed, &in->lock, SKI_NS_PER_MS / 4);
    ski_mutex_unlock(&in->lock);
    if (hall_now_ns() - since_ns > hall_wait_s * UINT64_C(1000000000)) fail_msg("waited in vain");
}

// A place, as in a handler, that nobody leaves until it is let go.
typedef struct gate {
    hall *in;
    bool open;
    uint32_t inside, ends;
} gate;

static inline void gate_stay(gate *at)
{
    ski_mutex_lock(&at->in->lock);
    at->inside++;
    ski_cond_broadcast(&at->in->changed);
    while (!at->open) ski_cond_wait(&at->in->changed, &at->in->lock);
    ski_mutex_unlock(&at->in->lock);
}

// gate_holds: somebody is there, and not let go.
static inline bool gate_holds(gate *at)
{
    ski_mutex_lock(&at->in->lock);
    bool holds = at->inside && !at->open;

    ski_mutex_unlock(&at->in->lock);
    return holds;
}

static inline skald_outcome hang(const skald_delivery *delivery)
{
    gate_stay(delivery->context);
    return SKALD_ACK;
}

static inline void gate_open(gate *at)
{
    ski_mutex_lock(&at->in->lock);
    at->open = true;
    ski_cond_broadcast(&at->in->changed);
    ski_mutex_unlock(&at->in->lock);
}

#endif
