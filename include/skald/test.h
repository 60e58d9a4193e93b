// SPDX-License-Identifier: Apache-2.0
// skald/test.h - the bus for your own tests: a memory store, a clock that moves when you say, no
// threads, and trouble made on purpose.
//
// Nothing happens by itself: skald_test_bus_run makes the deliveries now due, skald_test_bus_pass
// moves the clock and makes what became due on the way. The same seed and the same calls give the
// same run. One thread.
#ifndef SKALD_TEST_H
#define SKALD_TEST_H

#include <skald/bus.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct skald_test_bus skald_test_bus;

// skald_test_bus_new makes one whose clock stands at 2024-01-01T00:00:00Z. options may be NULL; of
// them clock and stepped are the test's own. Fails: as skald_bus_new.
SKALD_API SKALD_CHECK skald_err skald_test_bus_new(const skald_bus_options *options,
                                                   skald_test_bus **ret_test);
SKALD_API void skald_test_bus_free(skald_test_bus *test); // NULL is allowed

// The bus to publish and subscribe on; another one after skald_test_bus_crash and _restart.
SKALD_API skald_bus *skald_test_bus_bus(skald_test_bus *test);
SKALD_API skald_store *skald_test_bus_store(skald_test_bus *test);

// skald_test_bus_run makes all deliveries now due, at most 100000, and says how many.
// skald_test_bus_pass moves the clock on by ms, stopping wherever something is due on the way.
SKALD_API uint32_t skald_test_bus_run(skald_test_bus *test);
SKALD_API uint32_t skald_test_bus_pass(skald_test_bus *test, uint64_t ms);
SKALD_API skald_time skald_test_bus_now(const skald_test_bus *test);

// skald_test_bus_restart stops the bus and makes a new one on the same store; skald_test_bus_crash
// does so without a farewell: what was not acknowledged and saved comes again. Every subscription
// is gone (handler.end is called by restart, not by crash): subscribe again. Fails: as
// skald_bus_new.
SKALD_API SKALD_CHECK skald_err skald_test_bus_restart(skald_test_bus *test);
SKALD_API SKALD_CHECK skald_err skald_test_bus_crash(skald_test_bus *test);

// Trouble, for the deliveries of one subscription. Each number is how many deliveries it hits, from
// now on; UINT32_MAX: all.
typedef struct skald_test_trouble {
    uint32_t fail;      // the handler is not called: retry
    uint32_t duplicate; // the handler is called twice, the first answer not heard: an ack was lost
    uint32_t slow;      // the clock moves by slow_ms while the handler runs
    uint64_t slow_ms;
    uint32_t delay; // the handler is first called delay_ms later
    uint32_t delay_ms;
    uint32_t crash; // after the handler has answered and before that is known: pass and run return,
                    // and skald_test_bus_crashed says so; then call skald_test_bus_crash
} skald_test_trouble;

// skald_test_handler wraps a handler: subscribe with what it gives. trouble is borrowed until the
// subscription has ended and counts down; change it at any time. Out of memory: fn is NULL, which
// skald_subscribe refuses.
SKALD_API skald_handler skald_test_handler(skald_test_bus *test, skald_handler handler,
                                           skald_test_trouble *trouble);
SKALD_API bool skald_test_bus_crashed(const skald_test_bus *test);

#ifdef __cplusplus
}
#endif
#endif // SKALD_TEST_H
