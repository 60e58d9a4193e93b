// SPDX-License-Identifier: Apache-2.0
// Appends two events to a stream that must not exist yet, and reads the stream back.
#include <skald/skald.h>
#include <stdio.h>

static int fail(const skald_error *error)
{
    fprintf(stderr, "%s: %s\n", skald_err_name(error->err), error->text);
    return 1;
}

int main(int argc, char **argv)
{
    const skald_event events[] = {
        {.type = SKALD_STR("order.created"),
         .stream = SKALD_STR("order-1"),
         .data = SKALD_STR("{\"total\":99}")},
        {.type = SKALD_STR("order.paid"), .stream = SKALD_STR("order-1")},
    };
    const skald_expect fresh = {.stream = SKALD_STR("order-1"), .expected = SKALD_NONE};
    const skald_append_options options = {.expect = &fresh, .expect_count = 1};
    const skald_str stream = SKALD_STR("order-1");
    const skald_read read = {.filter.streams = {&stream, 1}};
    const skald_event *event = NULL;
    skald_cursor *cursor = NULL;
    skald_store *store = NULL;
    skald_error error = {0};

    if (skald_store_open(argc > 1 ? argv[1] : "log:data", NULL, &store, &error))
        return fail(&error);
    // All of them or none; returns when they are on the disk.
    if (skald_store_append(store, events, 2, &options, NULL, &error)) {
        skald_store_close(store);
        return fail(&error);
    }
    if (!skald_cursor_open(store, &read, &cursor)) {
        while (!skald_cursor_next(cursor, &event, &error) && event) {
            printf("%llu %.*s v%llu %.*s\n", (unsigned long long)event->position,
                   SKALD_FMT(event->type), (unsigned long long)event->stream_version,
                   SKALD_FMT(event->data));
        }
        skald_cursor_close(cursor);
    }
    skald_store_close(store);
    return error.err ? fail(&error) : 0;
}
