// SPDX-License-Identifier: Apache-2.0
// skald publish: one event, made of options, published by the server.
#include "client.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { body_bytes_max = 32 * 1024 * 1024 };

static bool put(skald_buf *buf, const char *text)
{
    return !skald_buf_put(buf, skald_str_of(text));
}

// put_member appends ,"name":"value" with the value as a JSON string.
static bool put_member(skald_buf *buf, const char *name, const char *value)
{
    json_t *text = json_string(value); // NULL: not UTF-8
    char *encoded = text ? json_dumps(text, JSON_ENCODE_ANY) : NULL;
    bool done =
        encoded && put(buf, ",\"") && put(buf, name) && put(buf, "\":") && put(buf, encoded);

    free(encoded);
    json_decref(text);
    return done;
}

static bool read_input(skald_buf *buf)
{
    char chunk[65536];
    size_t got;

    while ((got = fread(chunk, 1, sizeof chunk, stdin)) > 0) {
        if (skald_buf_put(buf, (skald_str){chunk, got})) return false;
    }
    return !ferror(stdin);
}

static bool put_expected(skald_buf *buf, const char *expected)
{
    bool number = *expected && strspn(expected, "0123456789") == strlen(expected);

    if (number) return put(buf, ",\"expectedVersion\":") && put(buf, expected);
    return put_member(buf, "expectedVersion", expected);
}

// put_data writes the data as it was given. It is checked here, where what is wrong with it can be
// said of it alone, not of a body that nobody wrote.
static int put_data(const cli_args *args, skald_buf *buf)
{
    skald_event event = {.type = SKALD_STR("any")};
    skald_error error = {0};
    size_t begin = buf->len;
    bool standard = args->rest_count > 1 && strcmp(args->rest[1], "-") == 0;

    if (standard ? !read_input(buf) : !put(buf, args->rest_count > 1 ? args->rest[1] : "{}")) {
        return cli_fail(CLI_USAGE, "publish: the data cannot be read or is larger than %d bytes",
                        body_bytes_max);
    }
    event.data = (skald_str){buf->ptr + begin, buf->len - begin};
    if (skald_event_check(&event, SKALD_EVENT_BYTES_LIMIT, &error)) return cli_fail_error(&error);
    return CLI_OK;
}

static bool put_envelope(const cli_args *args, skald_buf *buf)
{
    static const struct {
        const char *option, *member;
    } texts[] = {
        {"stream", "stream"},
        {"id", "id"},
        {"correlation", "correlationId"},
        {"causation", "causationId"},
        {"tenant", "tenantId"},
        {"source", "source"},
        {"priority", "priority"},
        {"deliver-at", "deliverAt"},
        {"expires-at", "expiresAt"},
    };
    const char *expected = cli_get(args, "expected-version");

    if (!put_member(buf, "type", args->rest[0])) return false;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *value = cli_get(args, texts[i].option);
        if (value && !put_member(buf, texts[i].member, value)) return false;
    }
    if (expected && !put_expected(buf, expected)) return false;
    if (cli_flag(args, "transient") && !put(buf, ",\"persistent\":false")) return false;
    return put(buf, "}");
}

static int make_body(const cli_args *args, skald_buf *buf)
{
    int exit = put(buf, "{\"data\":") ? put_data(args, buf) : CLI_CANNOT;

    if (!exit && !put_envelope(args, buf))
        exit = cli_fail(CLI_USAGE, "publish: the type or an option is not UTF-8");
    return exit;
}

// print_unstored tells of an event that has no position: it waits, or is not kept.
static void print_unstored(const cli_args *args, const json_t *event)
{
    const char *id = json_string_value(json_object_get(event, "id"));
    const char *at = cli_get(args, "deliver-at");
    skald_time time_at = 0;

    if (at && !skald_time_parse(skald_str_of(at), &time_at) &&
        time_at / 1000000 < (skald_time)time(NULL))
        printf("%s is published at once, for %s is past, as %s\n", args->rest[0], at,
               id ? id : "-");
    else if (at)
        printf("%s waits until %s, as %s\n", args->rest[0], at, id ? id : "-");
    else
        printf("%s went to who follows now, and is not kept\n", args->rest[0]);
}

static void print_appended(const cli_args *args, const client_reply *reply)
{
    json_t *answer = json_loadb(reply->body, reply->len, 0, NULL);
    json_t *event = json_array_get(json_object_get(answer, "data"), 0);
    const char *stream = json_string_value(json_object_get(event, "stream"));
    const char *type = args->rest[0];

    if (json_is_null(json_object_get(event, "position"))) {
        print_unstored(args, event);
        json_decref(answer);
        return;
    }
    printf("%s is at position %lld", type,
           (long long)json_integer_value(json_object_get(event, "position")));
    if (stream) {
        printf(", version %lld of %s",
               (long long)json_integer_value(json_object_get(event, "streamVersion")), stream);
    }
    printf("%s\n", reply->status == 200 ? " (it was there already)" : "");
    json_decref(answer);
}

static int run(const cli_args *args)
{
    skald_buf body = {.bytes_max = body_bytes_max};
    cli_client *client = client_open(args);
    client_reply reply = {0};
    int exit;

    if (!client) return CLI_USAGE;
    exit = make_body(args, &body);
    if (exit) {
        // it said why
    } else if (!client_ask(client, "POST", "/api/events", "application/json",
                           (skald_str){body.ptr, body.len}, &reply)) {
        exit = client_unreachable(client);
    } else if (reply.status / 100 != 2) {
        exit = client_fail(&reply);
    } else if (cli_flag(args, "json")) {
        printf("%s\n", reply.body);
    } else {
        print_appended(args, &reply);
    }
    skald_buf_fini(&body);
    client_close(client);
    return exit;
}

static const cli_option options[] = {
    {"stream", "NAME", "the stream it belongs to: order-1"},
    {"expected-version", "V", "only if the stream stands there: a number, none, exists"},
    {"id", "UUID", "the same id again is the same event"},
    {"correlation", "ID", "the chain it belongs to"},
    {"causation", "ID", "what caused it"},
    {"tenant", "NAME", "the tenant it belongs to"},
    {"source", "NAME", "where it comes from"},
    {"priority", "P", "low, normal, high or critical"},
    {"deliver-at", "TIME", "not before then: skald scheduled shows what waits"},
    {"expires-at", "TIME", "of no use from then on: not delivered any more"},
    {"transient", NULL, "only to who follows now; not kept"},
    {"url", "URL", "the server (http://127.0.0.1:8000)"},
    {"json", NULL, "the server's answer as JSON"},
    {NULL, NULL, NULL},
};

const cli_verb cmd_publish = {
    .name = "publish",
    .summary = "Publish one event.",
    .rest = "TYPE [DATA | -]",
    .example = "skald publish order.created '{\"total\":99}' --stream order-1",
    .options = options,
    .rest_min = 1,
    .rest_max = 2,
    .run = run,
};
