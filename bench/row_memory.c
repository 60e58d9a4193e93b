// SPDX-License-Identifier: Apache-2.0
// append_memory: what this process holds at most while it appends events over a tenth as many
// streams, in no order, at defaults: beside the limit we set. SKALD_BENCH_EVENTS=100000000 is the
// size that the limit is meant for; the default ends in 30 s.
#include "engine.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { batch_events = 1000, callers = 2, events_default = 2000000, events_per_stream = 10 };
static const double limit_bytes = 512.0 * 1024 * 1024;

typedef struct memory_run {
    skald_store *store;
    atomic_uint_least64_t next;
    uint64_t events, streams;
    atomic_bool failed;
} memory_run;

static void *append_scattered(void *context)
{
    memory_run *run = context;
    skald_event *events = calloc(batch_events, sizeof *events); // style: a program's own
    bench_texts *texts = calloc(batch_events, sizeof *texts);   // style: a program's own
    uint64_t first = 0;

    if (!events || !texts) atomic_store(&run->failed, true);
    while (!atomic_load(&run->failed) &&
           (first = atomic_fetch_add(&run->next, batch_events)) < run->events) {
        for (uint64_t i = 0; i < batch_events; i++) {
            uint64_t n = first + i;
            // Scattered: every stream comes again, long after.
            uint64_t stream = (n * UINT64_C(0x9e3779b97f4a7c15) >> 24) % run->streams;
            int len;

            bench_event_fill(n, &texts[i], &events[i]);
            len = snprintf(texts[i].stream, sizeof texts[i].stream, "order-%llu",
                           (unsigned long long)stream);
            events[i].stream = (skald_str){texts[i].stream, (size_t)len};
        }
        if (skald_store_append(run->store, events, batch_events, NULL, NULL, NULL))
            atomic_store(&run->failed, true);
    }
    free(events);
    free(texts);
    return NULL;
}

static bool run_memory(bench_result *ret_result)
{
    const char *folder = bench_folder();
    memory_run run = {.events = bench_events(events_default)};
    pthread_t threads[callers];
    skald_store_state state;
    struct rusage usage;
    double from = bench_now_s();

    run.streams = run.events / events_per_stream + 1;
    run.store = folder ? bench_engine_skald.open(folder) : NULL;
    if (!run.store) return false;
    for (int i = 0; i < callers; i++)
        (void)pthread_create(&threads[i], NULL, append_scattered, &run);
    for (int i = 0; i < callers; i++) (void)pthread_join(threads[i], NULL);
    skald_store_state_get(run.store, &state);
    (void)getrusage(RUSAGE_SELF, &usage);
    bench_note("%llu events over %llu streams, %.0f/s; at most %.0f MiB; at the end %.0f MiB of "
               "indexes: %.0f ids, %.0f directory, %.0f filters; %u of %u segments sealed",
               (unsigned long long)state.head, (unsigned long long)run.streams,
               (double)state.head / (bench_now_s() - from), (double)usage.ru_maxrss / 1024,
               (double)state.index_bytes / 0x1p20, (double)state.recent_bytes / 0x1p20,
               (double)state.directory_bytes / 0x1p20, (double)state.filter_bytes / 0x1p20,
               (unsigned)state.segments_sealed, (unsigned)state.segments);
    skald_store_close(run.store);
    *ret_result = (bench_result){.unit = "bytes resident",
                                 .peer_name = "the limit we set: 512 MiB",
                                 .ours = (double)usage.ru_maxrss * 1024,
                                 .peer = limit_bytes,
                                 .smaller_is_better = true};
    return !atomic_load(&run.failed);
}

extern const bench_row row_append_memory;
const bench_row row_append_memory = {.name = "append_memory",
                                     .what = "memory held while appending, against 512 MiB",
                                     .run = run_memory};
