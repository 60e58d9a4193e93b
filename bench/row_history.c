// SPDX-License-Identifier: Apache-2.0
// history_memory: what a process holds in memory when it has a history of a million events: the
// last 50 are asked for and given. Ours keeps them in a log on the disk, as serve does by default;
// the peer is the same in Node, which keeps them in an array (peers/history.mjs).
#include "bench.h"

#include <stdio.h>
#include <unistd.h>

enum { events_all = 1000000, batch_events = 1000, asked = 50 };

static bool publish_all(skald_bus *bus)
{
    static bench_texts texts[batch_events];
    static skald_event events[batch_events];

    for (uint64_t n = 0; n < events_all;) {
        for (int i = 0; i < batch_events; i++) bench_event_fill(n++, &texts[i], &events[i]);
        if (skald_publish_all(bus, events, batch_events, NULL, NULL)) return false;
    }
    return true;
}

// ours_bytes is of this process, which has done nothing else.
static double ours_bytes(void)
{
    const skald_bus_options options = {.history_events_max = events_all};
    const char *folder = bench_folder();
    skald_buf buf = {.bytes_max = 1 << 20};
    skald_store *store = NULL;
    skald_bus *bus = NULL;
    char url[600];
    double bytes = -1;

    (void)snprintf(url, sizeof url, "log:%s/store", folder ? folder : "");
    if (!folder || skald_store_open(url, NULL, &store, NULL)) return -1;
    if (!skald_bus_new(store, &options, &bus) && publish_all(bus) &&
        !skald_bus_report(bus, SKALD_HISTORY, (skald_str){0}, asked, &buf))
        bytes = (double)bench_resident_bytes((int)getpid());
    skald_buf_fini(&buf);
    skald_bus_free(bus);
    skald_store_close(store);
    return bytes;
}

static double peer_bytes(void)
{
    char command[600];
    double bytes = -1;

    (void)snprintf(command, sizeof command, "node '%s/bench/peers/history.mjs' %d", bench_root(),
                   (int)events_all);
    FILE *out = popen(command, "r"); // style: a program's own

    if (!out) return -1;
    if (fscanf(out, "%lf", &bytes) != 1) bytes = -1;
    if (pclose(out) != 0) bytes = -1;
    if (bytes < 0) bench_note("node does not run %s", command);
    return bytes;
}

static bool run(bench_result *ret_result)
{
    *ret_result = (bench_result){.unit = "bytes resident",
                                 .peer_name = "the seeds' pattern in Node",
                                 .ours = ours_bytes(),
                                 .peer = peer_bytes(),
                                 .smaller_is_better = true};
    return ret_result->ours > 0 && ret_result->peer > 0;
}

extern const bench_row row_history_memory;
const bench_row row_history_memory = {
    .name = "history_memory",
    .what = "memory with a history of a million events; against the same in Node",
    .run = run};
