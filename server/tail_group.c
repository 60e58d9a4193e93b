// SPDX-License-Identifier: Apache-2.0
// A durable handler: a pull group on the server, from which this program takes deliveries, handles
// each (a program run, or printed) and acknowledges it. What was not acknowledged comes again, so a
// crash anywhere loses nothing.
//
// Each worker is a thread with a connection of its own that takes one delivery, runs the program
// and acknowledges; the server keeps the order within a stream. So a slow run holds up its own
// stream only.
#include "ask.h"
#include "exec.h"
#include "tail.h"

#include <assert.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum {
    print_max = 100, // deliveries taken at once when they are only printed
    wait_ms = 1000,  // a long poll; short, so that a signal is noticed
    path_bytes_max = 4096,
    answer_bytes_max = 128 * 1024 * 1024,
    arena_bytes_max = 64 * 1024 * 1024,
};

// A delivery as it was taken; its event's text stands in the answer.
typedef struct taken {
    char id[96];
    unsigned attempt;
    skald_str event;
    uint64_t position;
} taken;

// What the workers share.
typedef struct group_tail {
    const tail_options *options;
    skald_buf name;        // percent-encoded
    _Atomic uint64_t left; // events to be done that no worker has set out to do
    _Atomic int exit;      // why to end early
    uint64_t timeout_s;    // of the program
    bool exec, json;
} group_tail;

typedef struct group_worker {
    group_tail *tail;
    cli_client *client;
    skald_buf path;
    skald_buf answer; // being handled
    taken taken[print_max];
    size_t count;  // of them
    uint64_t done; // of them
} group_worker;

// make_definition: NULL, it said why.
static json_t *make_definition(const group_tail *tail)
{
    const cli_args *args = tail->options->args;
    json_t *filter = ask_filter(args), *from = filter ? ask_from(args) : NULL, *definition;

    if (!from) {
        json_decref(filter);
        return NULL;
    }
    definition = json_pack("{s:s, s:o, s:o, s:s, s:I}", "name", cli_get(args, "name"), "filter",
                           filter, "from", from, "order", "stream", "ackTimeoutMs",
                           (json_int_t)(tail->timeout_s + TAIL_GRACE_S) * 1000);
    if (!definition) (void)cli_fail(CLI_USAGE, "tail: the name is not UTF-8");
    return definition;
}

static bool make_path(group_worker *worker, const char *what)
{
    const skald_buf *name = &worker->tail->name;
    skald_buf *path = &worker->path;

    path->len = 0;
    return !skald_buf_put(path, SKALD_STR("/api/subscriptions")) &&
           (!what || (!skald_buf_put(path, SKALD_STR("/")) &&
                      !skald_buf_put(path, (skald_str){name->ptr, name->len}) &&
                      !skald_buf_put(path, skald_str_of(what)))) &&
           !skald_buf_put(path, (skald_str){"", 1});
}

// put_quoted writes text as one word of a shell.
static bool put_quoted(skald_buf *buf, const char *text)
{
    skald_err err = skald_buf_put(buf, SKALD_STR("'"));

    for (; !err && *text; text++) {
        skald_str byte = {text, 1};
        err = skald_buf_put(buf, *text == '\'' ? SKALD_STR("'\\''") : byte);
    }
    return !err && !skald_buf_put(buf, (skald_str){"'", 2});
}

static int explain_other(const group_worker *worker)
{
    const char *name = cli_get(worker->tail->options->args, "name");
    skald_buf word = {.bytes_max = 4 * path_bytes_max};
    int exit = CLI_CANNOT;

    if (!put_quoted(&word, name))
        exit = cli_fail(CLI_CANNOT, "out of memory");
    else
        exit = cli_fail(CLI_NO,
                        "tail: '%s' was begun with another --type, --stream, --category, "
                        "--tenant, --from or --timeout. Give those again, or none of them to go on "
                        "with it as it is, or another name, or let it forget where it is: skald "
                        "subscriptions delete %s --url %s",
                        name, word.ptr, client_url(worker->client));
    skald_buf_fini(&word);
    return exit;
}

// post_group makes the group, or lets one that was drained go on. *ret_other: the name has another
// definition. Not CLI_OK: it said why.
static int post_group(group_worker *worker, const json_t *definition, bool *ret_other)
{
    char *body = json_dumps(definition, JSON_COMPACT);
    client_reply reply = {0};
    int exit = CLI_OK;

    *ret_other = false;
    if (!body || !make_path(worker, NULL))
        exit = cli_fail(CLI_CANNOT, "out of memory");
    else if (!client_ask(worker->client, "POST", worker->path.ptr, "application/json",
                         skald_str_of(body), &reply))
        exit = client_unreachable(worker->client);
    else if (reply.status == 409)
        *ret_other = true;
    else if (reply.status / 100 != 2)
        exit = client_fail(&reply);
    free(body);
    return exit;
}

// adopt_shown: data is the group as the server shows it.
static int adopt_shown(group_worker *worker, const json_t *data)
{
    group_tail *tail = worker->tail;
    const char *name = cli_get(tail->options->args, "name"), *kind = ask_text(data, "kind");
    const json_t *drained = json_object_get(data, "definition");
    long long ack_ms = ask_whole(data, "ackTimeoutMs");
    bool other = false;
    int exit = CLI_OK;

    if (!kind || strcmp(kind, "pull") != 0)
        return cli_fail(CLI_NO, "tail: '%s' is no pull group: nothing can be taken from it", name);
    if (tail->exec && ack_ms / 1000 <= TAIL_GRACE_S)
        return cli_fail(CLI_NO,
                        "tail: what is taken from '%s' comes again after %lld ms, which is too "
                        "soon for a program",
                        name, ack_ms);
    if (tail->exec) tail->timeout_s = (uint64_t)ack_ms / 1000 - TAIL_GRACE_S;
    if (drained) exit = post_group(worker, drained, &other);
    return other ? cli_fail(CLI_NO, "tail: '%s' was just made anew; try again", name) : exit;
}

// adopt goes on with a group as it was made, also when it was drained: its deliveries come again
// after its own time, so a program may run no longer than that.
static int adopt(group_worker *worker)
{
    client_reply reply = {0};
    json_t *answer;
    int exit;

    if (!make_path(worker, "")) return cli_fail(CLI_CANNOT, "out of memory");
    if (!client_ask(worker->client, "GET", worker->path.ptr, NULL, (skald_str){0}, &reply))
        return client_unreachable(worker->client);
    if (reply.status != 200) return client_fail(&reply);
    answer = json_loadb(reply.body, reply.len, 0, NULL);
    exit = adopt_shown(worker, json_object_get(answer, "data"));
    json_decref(answer);
    return exit;
}

// defines: an option was given that says what the group is.
static bool defines(const cli_args *args)
{
    static const char *const options[] = {"type", "stream",  "category", "tenant",
                                          "from", "timeout", NULL};
    size_t i = 0;

    while (options[i] && !cli_get(args, options[i])) i++;
    return options[i] != NULL;
}

static int make_group(group_worker *worker)
{
    json_t *definition = make_definition(worker->tail);
    bool other = false;
    int exit = definition ? post_group(worker, definition, &other) : CLI_USAGE;

    json_decref(definition);
    if (!other) return exit;
    return defines(worker->tail->options->args) ? explain_other(worker) : adopt(worker);
}

// end_delivery acknowledges, or (reason given) asks for another try. An answer that does not come
// is no loss: the delivery comes again.
static void end_delivery(group_worker *worker, const taken *delivery, const char *reason)
{
    json_t *ending = json_pack("{s:[s]}", "deliveries", delivery->id);
    unsigned long long position = delivery->position;
    client_reply reply = {0};
    bool ended;
    char *body;

    if (reason) {
        json_object_set_new(ending, "reason", json_string(reason));
        (void)fprintf(stderr, "skald: position %llu, attempt %u: %s; it will be tried again\n",
                      position, delivery->attempt, reason);
    }
    body = json_dumps(ending, JSON_COMPACT);
    ended = body && make_path(worker, reason ? "/nack" : "/ack") &&
            client_ask(worker->client, "POST", worker->path.ptr, "application/json",
                       skald_str_of(body), &reply) &&
            reply.status == 200 && strstr(reply.body, "\"accepted\":1,");
    if (ended && !reason) worker->done++;
    if (!ended && !reason) {
        (void)fprintf(stderr,
                      "skald: position %llu is done, but the server was not reached with "
                      "that in time; it comes again\n",
                      position);
    }
    free(body);
    json_decref(ending);
}

static void run_one(group_worker *worker, taken *delivery)
{
    const group_tail *tail = worker->tail;
    skald_str line = {delivery->event.ptr, delivery->event.len + 1};
    exec_result result;

    // The brace behind the event, which ended the delivery, is not needed any more.
    ((char *)line.ptr)[line.len - 1] = '\n';
    result = exec_run(tail->options->args->rest, line, tail->timeout_s * 1000);
    end_delivery(worker, delivery, result.succeeded ? NULL : result.reason);
}

static int print_all(group_worker *worker)
{
    skald_arena *arena = NULL;

    if (skald_arena_new(arena_bytes_max, &arena)) return cli_fail(CLI_CANNOT, "out of memory");
    for (size_t i = 0; i < worker->count; i++) {
        skald_error error = {0};
        skald_event event;
        bool shown = !skald_event_parse(worker->taken[i].event, false, arena, &event, &error);

        if (shown) cli_event(&event, worker->tail->json);
        shown = shown && fflush(stdout) == 0;
        end_delivery(worker, &worker->taken[i], shown ? NULL : "it could not be printed");
        skald_arena_reset(arena);
    }
    skald_arena_free(arena);
    return CLI_OK;
}

// pass moves behind text, which must stand at *at.
static bool pass(const char **at, const char *end, const char *text)
{
    size_t len = strlen(text);

    if ((size_t)(end - *at) < len || memcmp(*at, text, len) != 0) return false;
    *at += len;
    return true;
}

// read_id copies what stands before the next quote.
static bool read_id(const char **at, const char *end, char *ret_id, size_t size)
{
    const char *quote = memchr(*at, '"', (size_t)(end - *at));

    if (!quote || quote == *at || (size_t)(quote - *at) >= size) return false;
    memcpy(ret_id, *at, (size_t)(quote - *at));
    ret_id[quote - *at] = 0;
    *at = quote;
    return true;
}

// read_digits reads a number of at most nine digits.
static bool read_digits(const char **at, const char *end, unsigned *ret_number)
{
    const char *begin = *at;
    unsigned number = 0;

    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
        if (*at - begin == 9) return false;
        number = number * 10 + (unsigned)(**at - '0');
    }
    *ret_number = number;
    return *at > begin;
}

// read_delivery takes one apart: {"deliveryId":"…","attempt":N,"event":{…}}. The text is the
// server's, in this order.
static bool read_delivery(const char *begin, const char *end, taken *ret_taken)
{
    static const char position_name[] = "\"position\":";
    const char *event = begin;
    const char *position;

    if (!pass(&event, end, "{\"deliveryId\":\"") ||
        !read_id(&event, end, ret_taken->id, sizeof ret_taken->id) ||
        !pass(&event, end, "\",\"attempt\":") || !read_digits(&event, end, &ret_taken->attempt) ||
        !pass(&event, end, ",\"event\":{"))
        return false;
    event--; // the brace is the event's
    ret_taken->event = (skald_str){event, (size_t)(end - 1 - event)};
    ret_taken->position = 0;
    position = strstr(event, position_name);
    if (position && position < end)
        ret_taken->position = strtoull(position + sizeof position_name - 1, NULL, 10);
    return true;
}

static bool read_answer(group_worker *worker)
{
    const char *end = worker->answer.ptr + worker->answer.len - 1;
    const char *at = strchr(worker->answer.ptr, '[');

    worker->count = 0;
    while (at && at[1] == '{' && worker->count < print_max) {
        const char *behind = client_value_end(at + 1, end);
        if (!behind || !read_delivery(at + 1, behind, &worker->taken[worker->count])) return false;
        worker->count++;
        at = behind;
    }
    return at != NULL;
}

// take asks for at most max deliveries. A server that does not answer is asked again.
static int take(group_worker *worker, uint64_t max)
{
    client_reply reply = {0};
    char what[64];

    worker->count = 0;
    (void)snprintf(what, sizeof what, "/deliveries?max=%llu&waitMs=%d", (unsigned long long)max,
                   wait_ms);
    if (!make_path(worker, what)) return cli_fail(CLI_USAGE, "tail: the name is too long");
    if (!client_ask(worker->client, "GET", worker->path.ptr, NULL, (skald_str){0}, &reply) ||
        reply.status == 503) {
        tail_pause();
        return CLI_OK;
    }
    if (reply.status != 200) return client_fail(&reply);
    worker->answer.len = 0;
    if (skald_buf_put(&worker->answer, (skald_str){reply.body, reply.len + 1}))
        return cli_fail(CLI_CANNOT, "out of memory");
    if (!read_answer(worker)) return cli_fail(CLI_CANNOT, "the server's answer is not understood");
    return CLI_OK;
}

// reserve sets aside at most max of the events that are left to do; it gives how many.
static uint64_t reserve(group_tail *tail, uint64_t max)
{
    uint64_t left = atomic_load(&tail->left);

    while (!atomic_compare_exchange_weak(&tail->left, &left, left - (left < max ? left : max))) {
    }
    return left < max ? left : max;
}

static void work(void *context)
{
    group_worker *worker = context;
    group_tail *tail = worker->tail;
    uint64_t reserved;
    int exit = CLI_OK;

    while (!exit && !atomic_load(&tail->exit) && !tail_stopping()) {
        reserved = reserve(tail, tail->exec ? 1 : print_max);
        if (!reserved) return;
        worker->done = 0;
        exit = take(worker, reserved);
        if (!exit && !tail->exec)
            exit = print_all(worker);
        else if (!exit && worker->count)
            run_one(worker, &worker->taken[0]);
        atomic_fetch_add(&tail->left, reserved - worker->done);
    }
    if (exit) atomic_store(&tail->exit, exit);
}

static void worker_fini(group_worker *worker)
{
    client_close(worker->client);
    skald_buf_fini(&worker->path);
    skald_buf_fini(&worker->answer);
}

static int worker_init(group_worker *worker, group_tail *tail)
{
    *worker = (group_worker){
        .tail = tail,
        .client = client_open(tail->options->args),
        .path = {.bytes_max = 2 * path_bytes_max},
        .answer = {.bytes_max = answer_bytes_max},
    };
    return worker->client ? CLI_OK : CLI_USAGE;
}

// work_all runs the first worker on this thread, the others on their own.
static int work_all(group_tail *tail, group_worker *workers, size_t count)
{
    uv_thread_t threads[TAIL_WORKERS_MAX];
    size_t started = 1;
    int exit = CLI_OK;

    while (!exit && started < count) {
        exit = worker_init(&workers[started], tail);
        if (!exit && uv_thread_create(&threads[started], work, &workers[started])) {
            worker_fini(&workers[started]);
            exit =
                cli_fail(CLI_CANNOT, "tail: the system allows no more than %zu workers", started);
        }
        if (!exit) started++;
    }
    if (exit) atomic_store(&tail->exit, exit);
    work(&workers[0]);
    for (size_t i = 1; i < started; i++) {
        (void)uv_thread_join(&threads[i]);
        worker_fini(&workers[i]);
    }
    return atomic_load(&tail->exit);
}

int tail_group(const tail_options *options)
{
    static group_worker workers[TAIL_WORKERS_MAX];
    group_tail tail = {
        .options = options,
        .name = {.bytes_max = path_bytes_max},
        .left = options->count,
        .timeout_s = options->timeout_s,
        .exec = cli_flag(options->args, "exec"),
        .json = cli_flag(options->args, "json"),
    };
    int exit = worker_init(&workers[0], &tail);

    assert(options->workers <= TAIL_WORKERS_MAX);
    if (exit) return exit;
    if (!client_escape(workers[0].client, &tail.name, skald_str_of(cli_get(options->args, "name"))))
        exit = cli_fail(CLI_USAGE, "tail: the name is too long");
    if (!exit) exit = make_group(&workers[0]);
    if (!exit) exit = work_all(&tail, workers, tail.exec ? options->workers : 1);
    worker_fini(&workers[0]);
    skald_buf_fini(&tail.name);
    return exit;
}
