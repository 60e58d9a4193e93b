// SPDX-License-Identifier: Apache-2.0
// kill -9 of a process that has the library in it: threads append with each ack level, one at a
// time and several as one, and a durable handler counts what it was given. What was acknowledged
// and what was handled goes into a pipe, which outlives the process; the survivor reads it, opens
// the store and holds the two against each other. `written` and `memory` (done means written) must
// outlive a process too.
//
// SKALD_ROUNDS (12), SKALD_SEED.
#include "torture/journal.h"
#include "torture/wire.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <skald/bus.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
// cmocka wants the first of these above
#include <cmocka.h>

enum {
    threads = 3,
    batch_events = 4,
    events_ahead = 2048, // of one thread in one round
    segment_bytes = 64 * 1024,
    rounds_quick = 12,
};

// One line of the pipe: written with one write, so never torn. An event was acknowledged, or
// (worker `handler`) handled.
typedef struct told {
    uint32_t worker, number;
    uint64_t position, version;
} told;
enum { handler = UINT32_MAX };

typedef struct torture {
    torture_journal journal;
    char folder[512], url[560];
    uint64_t random;
    uint64_t handled[TORTURE_WORKERS_MAX]; // by stream: the version handled last
    uint64_t handled_all, repeats;
} torture;

// The appending process ---------------------------------------------------------------------------

typedef struct appender {
    torture *of;
    skald_store *store;
    uint32_t worker;
    size_t from; // the first number of this round
    int pipe;
    uint64_t random;
} appender;

static void tell(int pipe, told line)
{
    if (write(pipe, &line, sizeof line) != (ssize_t)sizeof line) _exit(3);
}

static void *appender_run(void *context)
{
    appender *me = context;
    char data[batch_events][TORTURE_DATA_MAX], type[32], stream[32];
    size_t number = me->from, end = me->from + events_ahead;

    (void)snprintf(type, sizeof type, "torture.w%u", me->worker);
    (void)snprintf(stream, sizeof stream, "torture-%u", me->worker);
    while (number + batch_events <= end) {
        bool together = (number - me->from) % 8 == 0; // as the survivor supposes
        size_t count = together ? batch_events : 1;
        skald_event events[batch_events] = {0};
        skald_appended appended = {0};
        skald_append_options options = {
            .durability = (skald_durability)(torture_random(&me->random) % 3),
        };

        for (size_t i = 0; i < count; i++) {
            size_t len = torture_data(&me->of->journal, me->worker, number + i, data[i]);

            events[i] = (skald_event){.type = skald_str_of(type),
                                      .stream = skald_str_of(stream),
                                      .id = torture_id(&me->of->journal, me->worker, number + i),
                                      .data = {data[i], len}};
        }
        if (skald_store_append(me->store, events, count, &options, &appended, NULL)) _exit(4);
        for (size_t i = 0; i < count; i++) {
            tell(me->pipe, (told){me->worker, (uint32_t)(number + i), appended.position_first + i,
                                  appended.stream_version - (count - 1 - i)});
        }
        number += count;
    }
    return NULL;
}

static skald_outcome handle(const skald_delivery *delivery)
{
    const int *pipe = delivery->context;
    const skald_event *event = delivery->event;

    tell(*pipe, (told){handler, event->id.bytes[2], event->position, event->stream_version});
    return SKALD_ACK;
}

// open_store opens it as everybody here does.
static skald_err open_store(torture *of, skald_store **ret_store)
{
    skald_store_options options = {.segment_bytes = segment_bytes};
    skald_error error = {0};
    skald_err err = skald_store_open(of->url, &options, ret_store, &error);

    if (err) fprintf(stderr, "open: %s\n", error.text);
    return err;
}

static void subscribe(skald_bus *bus, int *pipe)
{
    skald_str types[] = {SKALD_STR("torture.*")};
    skald_subscription subscription = {0};
    skald_subscription_options options = {
        .name = "torture",
        .filter = {.types = {types, 1}},
        .handler = {.fn = handle, .context = pipe},
    };

    if (skald_subscribe(bus, &options, &subscription, NULL)) _exit(5);
}

// append_until_killed is all that the process does.
static void append_until_killed(torture *of, int pipe)
{
    appender appenders[threads];
    pthread_t thread;
    skald_store *store = NULL;
    skald_bus *bus = NULL;

    if (open_store(of, &store)) _exit(2);
    if (skald_bus_new(store, NULL, &bus)) _exit(2);
    subscribe(bus, &pipe);
    tell(pipe, (told){handler, UINT32_MAX, 0, 0}); // it runs
    for (uint32_t i = 0; i < threads; i++) {
        appenders[i] =
            (appender){of,   store,         i, of->journal.workers[i].count - events_ahead,
                       pipe, of->random + i};
        if (pthread_create(&thread, NULL, appender_run, &appenders[i])) _exit(6);
    }
    for (;;) (void)pause();
}

// The survivor ------------------------------------------------------------------------------------

static void handled(torture *of, const told *line)
{
    uint64_t *last = NULL;

    if (line->number == UINT32_MAX) return;
    assert_in_range(line->number, 0, threads - 1);
    last = &of->handled[line->number];
    if (line->version <= *last) {
        of->repeats++;
        return;
    }
    assert_int_equal(line->version, *last + 1); // nothing is left out, nothing comes before its
                                                // turn
    *last = line->version;
    of->handled_all++;
}

// listen notes what the process says until it is dead and the pipe is empty.
static void listen_until_dead(torture *of, int pipe, pid_t pid)
{
    uint64_t lines_left = 1 + torture_random(&of->random) % 900;
    int patience_ms = (int)(torture_random(&of->random) % 1500);
    told line;
    int status = 0;

    for (;;) {
        struct pollfd waiting = {.fd = pipe, .events = POLLIN};
        int left = poll(&waiting, 1, patience_ms);

        if (left <= 0 || !lines_left--) break;
        if (read(pipe, &line, sizeof line) != (ssize_t)sizeof line) break;
        if (line.worker == (uint32_t)handler)
            handled(of, &line);
        else
            torture_acked(&of->journal, line.worker, line.number, line.position, line.version);
    }
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    while (read(pipe, &line, sizeof line) == (ssize_t)sizeof line) {
        if (line.worker == (uint32_t)handler)
            handled(of, &line);
        else
            torture_acked(&of->journal, line.worker, line.number, line.position, line.version);
    }
}

static void round_run(torture *of)
{
    int ends[2];
    pid_t pid = 0;

    // What the process may ask for in this round: mostly single events, every eighth begins a
    // batch.
    for (uint32_t worker = 0; worker < threads; worker++) {
        for (size_t done = 0; done < events_ahead;) {
            bool together = done % 8 == 0;
            size_t count = together ? batch_events : 1;

            (void)torture_begin(&of->journal, worker, count, together);
            done += count;
        }
    }
    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        (void)close(ends[0]);
        append_until_killed(of, ends[1]);
    }
    (void)close(ends[1]);
    listen_until_dead(of, ends[0], pid);
    (void)close(ends[0]);
}

static void check(torture *of)
{
    skald_read read = {.after = of->journal.checked};
    skald_store *store = NULL;
    skald_cursor *cursor = NULL;
    const skald_event *event = NULL;
    skald_verified verified = {0};

    assert_int_equal(open_store(of, &store), SKALD_OK);
    assert_int_equal(skald_cursor_open(store, &read, &cursor), SKALD_OK);
    for (;;) {
        assert_int_equal(skald_cursor_next(cursor, &event, NULL), SKALD_OK);
        if (!event) break;
        torture_saw(&of->journal, event);
    }
    skald_cursor_close(cursor);
    torture_settle(&of->journal);
    assert_int_equal(of->journal.faults, 0);
    assert_int_equal(skald_store_verify(store, NULL, &verified, NULL), SKALD_OK);
    assert_int_equal(verified.position_last, of->journal.checked);
    skald_store_close(store);
}

// The handler is given the rest.
static void finish(torture *of)
{
    int ends[2];
    skald_store *store = NULL;
    skald_bus *bus = NULL;
    uint64_t due = 0;

    for (uint32_t i = 0; i < threads; i++) due += of->journal.workers[i].version;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(open_store(of, &store), SKALD_OK);
    assert_int_equal(skald_bus_new(store, NULL, &bus), SKALD_OK);
    subscribe(bus, &ends[1]);
    while (of->handled_all < due) {
        struct pollfd waiting = {.fd = ends[0], .events = POLLIN};
        told line;

        assert_int_equal(poll(&waiting, 1, 20000), 1);
        assert_int_equal(read(ends[0], &line, sizeof line), sizeof line);
        handled(of, &line);
    }
    (void)close(ends[0]);
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(skald_bus_stop(bus, 10000), SKALD_OK);
    skald_bus_free(bus);
    skald_store_close(store);
    (void)close(ends[1]);
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void nothing_acknowledged_is_lost(void **state)
{
    torture *of = *state;
    uint64_t rounds = number_from("SKALD_ROUNDS", rounds_quick);

    for (uint64_t round = 0; round < rounds; round++) {
        round_run(of);
        check(of);
    }
    torture_check_again(&of->journal);
    check(of);
    finish(of);
    assert_true(of->journal.acked > rounds);
    printf("%llu rounds: %llu events acknowledged, all there among %llu; the handler had each, "
           "%llu again\n",
           (unsigned long long)rounds, (unsigned long long)of->journal.acked,
           (unsigned long long)of->journal.checked, (unsigned long long)of->repeats);
}

static int setup(void **state)
{
    static torture world;

    world.random = number_from("SKALD_SEED", 1);
    torture_journal_init(&world.journal, world.random);
    torture_folder(world.folder, sizeof world.folder);
    (void)snprintf(world.url, sizeof world.url, "log:%s/data", world.folder);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    torture *of = *state;

    torture_journal_fini(&of->journal);
    torture_folder_remove(of->folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_acknowledged_is_lost, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
