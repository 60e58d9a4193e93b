// SPDX-License-Identifier: Apache-2.0
// A window on the log: Server-Sent Events, connected again from the last position when the
// connection breaks.
#include "tail.h"

#include <stdio.h>
#include <string.h>

enum { message_bytes_max = 64 * 1024 * 1024, arena_bytes_max = 64 * 1024 * 1024 };

typedef struct live_tail {
    const tail_options *options;
    cli_client *client;
    skald_buf input; // up to the end of a message
    skald_arena *arena;
    char last_id[24];
    uint64_t left;
    bool json;
} live_tail;

static void take_message(live_tail *tail, skald_str message)
{
    static const char data[] = "data: ";
    const char *at = message.ptr;
    const char *end = message.ptr + message.len;
    skald_event event;
    skald_error error = {0};

    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((line_end ? line_end : end) - at);
        if (len > 4 && len - 4 < sizeof tail->last_id && memcmp(at, "id: ", 4) == 0) {
            memcpy(tail->last_id, at + 4, len - 4);
            tail->last_id[len - 4] = 0;
        } else if (len > sizeof data - 1 && memcmp(at, data, sizeof data - 1) == 0) {
            skald_str json = {at + sizeof data - 1, len - (sizeof data - 1)};
            skald_arena_reset(tail->arena);
            if (skald_event_parse(json, false, tail->arena, &event, &error))
                (void)cli_fail_error(&error);
            else {
                cli_event(&event, tail->json);
                (void)fflush(stdout);
                tail->left--;
            }
        }
        at += len + 1;
    }
}

static bool take_bytes(void *context, skald_str bytes)
{
    live_tail *tail = context;
    size_t begin = 0;

    if (tail_stopping() || skald_buf_put(&tail->input, bytes)) return false;
    for (size_t i = 0; i + 1 < tail->input.len && tail->left; i++) {
        if (tail->input.ptr[i] != '\n' || tail->input.ptr[i + 1] != '\n') continue;
        take_message(tail, (skald_str){tail->input.ptr + begin, i - begin});
        begin = i + 2;
        i++;
    }
    memmove(tail->input.ptr, tail->input.ptr + begin, tail->input.len - begin);
    tail->input.len -= begin;
    return tail->left > 0;
}

static bool make_path(const live_tail *tail, skald_buf *path)
{
    const cli_args *args = tail->options->args;
    static const char *const filters[][2] = {
        {"type", "type"}, {"stream", "stream"}, {"category", "category"}, {"tenant", "tenantId"}};
    const char *from = cli_get(args, "from");
    const char *value;

    if (skald_buf_put(path, SKALD_STR("/api/events/stream"))) return false;
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        for (int n = 0; (value = cli_each(args, filters[i][0], n)); n++) {
            if (!client_query(tail->client, path, filters[i][1], value)) return false;
        }
    }
    if (from && strcmp(from, "start") == 0) from = "0";
    if (from && strcmp(from, "end") != 0 && !client_query(tail->client, path, "after", from))
        return false;
    return !skald_buf_put(path, (skald_str){"", 1});
}

// follow reads until it is enough. What a refused request was told is kept by the client.
static int follow(live_tail *tail, const char *path)
{
    cli_client *client = tail->client;
    bool answered_once = false;
    long status = 0;

    while (!tail_stopping() && tail->left) {
        tail->input.len = 0;
        (void)client_stream(client, path, tail->last_id, take_bytes, tail_stopping, tail, &status);
        if (!status && !answered_once) return client_unreachable(client);
        if (status && status != 200 && status != 503) {
            client_reply reply = {.status = status};
            client_last(client, &reply);
            return client_fail(&reply);
        }
        answered_once = true;
        if (tail->left && !tail_stopping()) tail_pause();
    }
    return CLI_OK;
}

int tail_live(const tail_options *options)
{
    live_tail tail = {
        .options = options,
        .client = client_open(options->args),
        .input = {.bytes_max = message_bytes_max},
        .left = options->count,
        .json = cli_flag(options->args, "json"),
    };
    skald_buf path = {.bytes_max = 8192};
    int exit;

    if (!tail.client) return CLI_USAGE;
    if (skald_arena_new(arena_bytes_max, &tail.arena))
        exit = cli_fail(CLI_CANNOT, "out of memory");
    else if (!make_path(&tail, &path))
        exit = cli_fail(CLI_USAGE, "tail: the filter is too long");
    else
        exit = follow(&tail, path.ptr);
    skald_buf_fini(&path);
    skald_buf_fini(&tail.input);
    skald_arena_free(tail.arena);
    client_close(tail.client);
    return exit;
}
