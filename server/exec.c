// SPDX-License-Identifier: Apache-2.0
// Running a program with libuv: one loop for one run.
//
// Invariants:
//   1. The program leads a session, so its group holds whatever it started and did not let go.
//   2. A run is over when the program is: what it left behind, reading our pipe or not, is not
//   waited for.
#include "exec.h"

#include <signal.h>
#include <stdio.h>
#include <uv.h>

typedef struct exec_running {
    uv_process_t process;
    uv_pipe_t input;
    uv_timer_t timer;
    uv_write_t write;
    bool timed_out;
    exec_result result;
} exec_running;

static void close_input(exec_running *running)
{
    if (!uv_is_closing((uv_handle_t *)&running->input))
        uv_close((uv_handle_t *)&running->input, NULL);
}

static void on_exit(uv_process_t *process, int64_t status, int signal)
{
    exec_running *running = process->data;
    exec_result *result = &running->result;

    result->succeeded = status == 0 && signal == 0;
    if (running->timed_out) {
        result->succeeded = false; // also if it ended with 0 at that very moment
        (void)snprintf(result->reason, sizeof result->reason, "killed at its timeout");
    } else if (signal) {
        (void)snprintf(result->reason, sizeof result->reason, "ended by signal %d", signal);
    } else if (status) {
        (void)snprintf(result->reason, sizeof result->reason, "exit status %d", (int)status);
    }
    uv_close((uv_handle_t *)&running->timer, NULL);
    uv_close((uv_handle_t *)process, NULL);
    close_input(running);
}

static void on_timeout(uv_timer_t *timer)
{
    exec_running *running = timer->data;

    running->timed_out = true;
    (void)uv_kill(-running->process.pid, SIGKILL); // its group
}

// A program that ends without reading all of its input breaks the pipe, which is its own affair.
static void on_written(uv_write_t *write, int status)
{
    (void)status;
    close_input(write->data);
}

static void start(uv_loop_t *loop, char **argv, exec_running *running, uint64_t timeout_ms,
                  uv_buf_t *input)
{
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&running->input},
        {.flags = UV_INHERIT_FD, .data.fd = 1},
        {.flags = UV_INHERIT_FD, .data.fd = 2},
    };
    uv_process_options_t options = {
        .exit_cb = on_exit,
        .file = argv[0],
        .args = argv,
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = 3,
        .stdio = stdio,
    };
    int failed;

    uv_pipe_init(loop, &running->input, 0);
    uv_timer_init(loop, &running->timer);
    running->process.data = running->timer.data = running->write.data = running;
    failed = uv_spawn(loop, &running->process, &options);
    if (failed) {
        (void)snprintf(running->result.reason, sizeof running->result.reason, "cannot run %s: %s",
                       argv[0], uv_strerror(failed));
        close_input(running);
        uv_close((uv_handle_t *)&running->timer, NULL);
        uv_close((uv_handle_t *)&running->process, NULL);
        return;
    }
    uv_timer_start(&running->timer, on_timeout, timeout_ms, 0);
    if (uv_write(&running->write, (uv_stream_t *)&running->input, input, 1, on_written))
        close_input(running);
}

exec_result exec_run(char **argv, skald_str input, uint64_t timeout_ms)
{
    exec_running running = {.timed_out = false};
    uv_buf_t bytes = uv_buf_init((char *)input.ptr, (unsigned)input.len);
    uv_loop_t loop;

    if (uv_loop_init(&loop)) {
        (void)snprintf(running.result.reason, sizeof running.result.reason, "out of memory");
        return running.result;
    }
    start(&loop, argv, &running, timeout_ms, &bytes);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&loop);
    return running.result;
}
