// SPDX-License-Identifier: Apache-2.0
// The server's threads: one that is about to wake the loop when that ends, and a sandbox that does
// not let them choose how they are scheduled.
#include "net/http_test_client.h"

#include "net/server.h" // its wakers
#include "os/thread_sandbox.h"
#include <stdatomic.h>

static const ski_http_route routes[] = {{0}};

// stopper stops the server on a thread of its own.
static void stopper(void *argument)
{
    assert_int_equal(ski_http_stop(argument, 2000), SKALD_OK);
}

// A thread that has given the lock back and is about to wake the loop: the loop does not end under
// it.
static void test_waker_outlives_no_loop(void **state)
{
    (void)state;
    const ski_http_options options = {.routes = routes};
    ski_http *http = server_start(&options);
    ski_thread thread;
    bool ended = false;
    uint64_t until_ms = now_ms() + 1000 * client_wait_s;

    atomic_fetch_add(&http->wakers, 1); // as ski_http_unlock does
    assert_int_equal(ski_kernel_system.spawn(NULL, "stop", stopper, http, &thread), SKALD_OK);
    while (!ended) {
        ski_mutex_lock(&http->lock);
        ended = http->loop_ended;
        ski_mutex_unlock(&http->lock);
        assert_true(now_ms() < until_ms);
    }
    usleep(20000); // enough for a loop that does not wait to be gone
    assert_false(uv_is_closing((uv_handle_t *)&http->wake));
    assert_int_equal(uv_async_send(&http->wake), 0);
    atomic_fetch_sub(&http->wakers, 1);
    ski_kernel_system.join(NULL, thread);
}

typedef struct sandbox {
    atomic_uint lines;
    int err; // why there is no sandbox
} sandbox;

static void sandbox_line(void *context, skald_level level, skald_str line)
{
    sandbox *in = context;

    if (level == SKALD_DEBUG && memmem(line.ptr, line.len, "SCHED_BATCH", 11)) in->lines++;
}

// serve_in_sandbox: threads that are started here may not choose how they are scheduled.
static void serve_in_sandbox(void *argument)
{
    sandbox *in = argument;
    const skald_log log = {.line = sandbox_line, .context = in};
    ski_http_options options = {.routes = routes, .log = &log, .processors = 2};

    in->err = scheduling_refused();
    if (in->err) return;
    ski_http *http = server_start(&options);
    assert_int_equal(ski_http_stop(http, 2000), SKALD_OK);
}

// Where a sandbox forbids it, the log says once that the sender is as hasty as all others.
static void test_sandbox_is_told(void **state)
{
    (void)state;
    sandbox in = {0};
    ski_thread thread;

    assert_int_equal(ski_kernel_system.spawn(NULL, "sandbox", serve_in_sandbox, &in, &thread),
                     SKALD_OK);
    ski_kernel_system.join(NULL, thread);
    if (in.err == ENOSYS || in.err == EINVAL) skip(); // this kernel has no filters
    assert_int_equal(in.err, 0);
    assert_int_equal(in.lines, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waker_outlives_no_loop),
        cmocka_unit_test(test_sandbox_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
