// SPDX-License-Identifier: Apache-2.0
// While a system runs: one thread waits for signals, and between them for what is due.
//
// Invariant: the service manager hears that all is well only when the HTTP loop has run what it was
// last asked to run: a process that only looks alive is restarted.
#include "base/buf.h"
#include "base/log.h"
#include "os/kernel.h"
#include "os/notify.h"
#include "os/signals.h"
#include "system/parts.h"
#include <skald/system.h>

#include <stdio.h>

enum { ns_per_ms = 1000000, beats_per_watchdog = 3 };

static uint64_t now_ns(void)
{
    return ski_kernel_system.monotonic_ns(ski_kernel_system.context);
}

static void loop_answered(void *context)
{
    skald_system *system = context;

    atomic_store(&system->loop_answers, true);
}

static void watchdog_beat(skald_system *system)
{
    if (!atomic_load(&system->loop_answers)) {
        ski_log_line(&system->log, SKALD_WARN, "the HTTP loop does not answer", (char *)NULL);
        return;
    }
    (void)ski_notify("WATCHDOG=1");
    atomic_store(&system->loop_answers, false);
    if (!ski_http_post(ski_api_http(system->api), loop_answered, system))
        atomic_store(&system->loop_answers, true);
}

static void health_check(skald_system *system)
{
    char bytes[256];
    skald_buf buf = {.ptr = bytes, .size = sizeof bytes - 1, .bytes_max = sizeof bytes - 1};
    ski_http_counters counters;
    skald_store_state state;

    skald_store_state_get(system->store, &state);
    ski_http_counters_get(ski_api_http(system->api), &counters);
    if (ski_buf_print(
            &buf,
            "{\"version\":\"%s\",\"status\":\"%s\",\"position\":%llu,\"connections\":%llu,"
            "\"uptimeS\":%llu}",
            SKALD_VERSION_TEXT, state.read_only ? "degraded" : "ok", (unsigned long long)state.head,
            (unsigned long long)counters.connections_now,
            (unsigned long long)((now_ns() - system->began_ns) / 1000000000)))
        return;
    ski_system_tell(system, "system.health.check", ski_buf_str(&buf), true);
}

static void reload(skald_system *system)
{
    char text[64];

    (void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%llu",
                   (unsigned long long)(now_ns() / 1000));
    (void)ski_notify(text);
    (void)!skald_system_reload(system, NULL); // it has said so
    (void)ski_notify("READY=1");
}

static uint64_t health_ns(skald_system *system)
{
    uint64_t every_s;

    ski_mutex_lock(&system->lock);
    every_s = system->config.health_check_s;
    ski_mutex_unlock(&system->lock);
    return every_s * 1000 * ns_per_ms;
}

// What is due when, on the monotonic clock; 0: never.
typedef struct due {
    uint64_t beat_every_ns, beat_ns, health_from_ns;
} due;

// sleep_ms is how long until the next thing is due; 0: nothing ever is.
static uint32_t sleep_ms(const due *next, uint64_t health_every_ns, uint64_t now)
{
    uint64_t at = UINT64_MAX;

    if (next->beat_every_ns) at = next->beat_ns;
    if (health_every_ns && next->health_from_ns + health_every_ns < at)
        at = next->health_from_ns + health_every_ns;
    if (at == UINT64_MAX) return 0;
    if (at <= now) return 1;
    at = (at - now) / ns_per_ms + 1;
    return at < UINT32_MAX ? (uint32_t)at : UINT32_MAX;
}

void skald_system_wait(skald_system *system)
{
    uint64_t beat = ski_notify_watchdog_ms() * ns_per_ms / beats_per_watchdog;
    due next = {.beat_every_ns = beat, .beat_ns = now_ns() + beat, .health_from_ns = now_ns()};
    int signal = 0;

    atomic_store(&system->loop_answers, true);
    (void)ski_notify("READY=1");
    while (signal != SKI_SIGNAL_INTERRUPT && signal != SKI_SIGNAL_TERMINATE) {
        uint64_t health_every = health_ns(system);
        signal = ski_signals_wait(sleep_ms(&next, health_every, now_ns()));
        if (signal == SKI_SIGNAL_HANGUP) reload(system);
        if (next.beat_every_ns && now_ns() >= next.beat_ns) {
            watchdog_beat(system);
            next.beat_ns = now_ns() + next.beat_every_ns;
        }
        if (health_every && now_ns() >= next.health_from_ns + health_every) {
            health_check(system);
            next.health_from_ns = now_ns();
        }
    }
    (void)ski_notify("STOPPING=1");
    ski_log_line(&system->log, SKALD_INFO, "stopping", "signal",
                 signal == SKI_SIGNAL_INTERRUPT ? "SIGINT" : "SIGTERM", (char *)NULL);
}
