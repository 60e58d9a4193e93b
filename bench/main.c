// SPDX-License-Identifier: Apache-2.0
// skald-bench NAME: one row of the table in bench/README.md. One line of JSON on standard output.
#include "bench.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

extern const bench_row row_append_durable, row_append_limit, row_append_one, row_append_16,
    row_read_stream, row_read_all, row_read_type, row_read_correlation, row_restart,
    row_store_bytes, row_http_post_durable, row_ndjson_durable, row_idle_server,
    row_idle_connection, row_schema_validate, row_dispatch_inline, row_dispatch_async,
    row_http_post_limit, row_http_get_event, row_sse_fanout, row_durable_subscription,
    row_history_memory, row_subscriptions_1000, row_publish_to_handler, row_append_memory;

const bench_row *const bench_rows[] = {
    &row_append_durable,     &row_append_limit,
    &row_append_one,         &row_append_16,
    &row_append_memory,      &row_read_stream,
    &row_read_all,           &row_read_type,
    &row_read_correlation,   &row_restart,
    &row_store_bytes,        &row_http_post_durable,
    &row_ndjson_durable,     &row_idle_server,
    &row_idle_connection,    &row_schema_validate,
    &row_dispatch_inline,    &row_dispatch_async,
    &row_http_post_limit,    &row_http_get_event,
    &row_sse_fanout,         &row_durable_subscription,
    &row_history_memory,     &row_subscriptions_1000,
    &row_publish_to_handler, NULL,
};

static int list(void)
{
    for (size_t i = 0; bench_rows[i]; i++)
        printf("%-20s %s\n", bench_rows[i]->name, bench_rows[i]->what);
    return 0;
}

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc == 2 && strcmp(argv[1], "--list") == 0) return list();
    for (size_t i = 0; argc == 2 && bench_rows[i]; i++) {
        bench_result result = {0};
        bool done;

        if (strcmp(bench_rows[i]->name, argv[1]) != 0) continue;
        done = bench_rows[i]->run(&result);
        bench_clean();
        if (!done) return 1;
        printf("{\"name\":\"%s\",\"unit\":\"%s\",\"ours\":%.6g,\"peer\":%.6g,"
               "\"peer_name\":\"%s\",\"ratio\":%.3f}\n",
               argv[1], result.unit, result.ours, result.peer, result.peer_name,
               result.smaller_is_better ? result.peer / result.ours : result.ours / result.peer);
        return 0;
    }
    (void)fputs("Usage: skald-bench NAME | --list\n", stderr);
    return 2;
}
