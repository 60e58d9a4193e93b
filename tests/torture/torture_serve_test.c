// SPDX-License-Identifier: Apache-2.0
// kill -9 of the real program, again and again, while several connections publish and one works off
// a durable subscription. What was acknowledged is kept in this process, which survives. After
// every restart all of it is there: once, at the position and version it was given, with its bytes;
// positions and versions have no gaps, a batch is there whole or not at all. At the end the worker
// has been handed everything, each stream in order, and `skald verify` has nothing to say.
//
// SKALD, the program, is given by CTest. SKALD_ROUNDS (15) and SKALD_SEED may be; hundreds of
// rounds are `SKALD_ROUNDS=500 torture_serve_test`.
#include "torture/journal.h"
#include "torture/wire.h"

#include <jansson.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// cmocka wants the first of these above
#include <cmocka.h>

enum {
    workers = 4,
    batch_events = 5,
    lines_events = 40,
    page_events = 500,
    deliveries_max = 200,
    rounds_quick = 15,
};

typedef struct torture {
    torture_server server;
    torture_journal journal;
    atomic_bool over; // the round: whoever waits between two tries ends
    char folder[512], data[560];
    uint64_t random;
    // of the worker of the durable subscription, by stream: the version it was handed last
    uint64_t handed[TORTURE_WORKERS_MAX];
    uint64_t repeats, overtaken; // deliveries seen before; deliveries before their turn
} torture;

typedef struct publisher {
    torture *of;
    uint32_t worker;
    uint64_t random;
    size_t unknown_from; // below it every fate is known
    pthread_t thread;
    uint64_t refused; // answers that are neither
} publisher;

// put_event writes the body of one event.
static size_t put_event(const torture *of, uint32_t worker, size_t number, char *to, size_t room)
{
    char data[TORTURE_DATA_MAX], id[SKALD_UUID_TEXT + 1];
    size_t len = torture_data(&of->journal, worker, number, data);

    skald_uuid_print(torture_id(&of->journal, worker, number), id);
    return (size_t)snprintf(to, room,
                            "{\"type\":\"torture.w%u\",\"stream\":\"torture-%u\",\"id\":\"%s\","
                            "\"data\":%.*s}",
                            worker, worker, id, (int)len, data);
}

static uint64_t number_of(json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

// publish_array asks for count events as one (or one as itself) and notes what was said of each.
static bool publish_array(publisher *me, torture_wire *wire, size_t first, size_t count)
{
    torture *of = me->of;
    size_t room = count * (TORTURE_DATA_MAX + 256), len = 0;
    char *body = malloc(room);
    const char *text = NULL;
    int status = 0;

    assert_non_null(body);
    if (count > 1) body[len++] = '[';
    for (size_t i = 0; i < count; i++) {
        if (i) body[len++] = ',';
        len += put_event(of, me->worker, first + i, body + len, room - len);
    }
    if (count > 1) body[len++] = ']';
    status =
        torture_ask(wire, "POST", "/api/events", "application/json", (skald_str){body, len}, &text);
    free(body);
    if (status == 201 || status == 200) {
        json_t *root = json_loads(text, 0, NULL);
        json_t *stored = json_object_get(root, "data");

        assert_int_equal(json_array_size(stored), count);
        for (size_t i = 0; i < count; i++) {
            json_t *one = json_array_get(stored, i);

            torture_acked(&of->journal, me->worker, first + i, number_of(one, "position"),
                          number_of(one, "streamVersion"));
        }
        json_decref(root);
    } else if (status) {
        fprintf(stderr, "publishing: %d %s\n", status, text);
        me->refused++;
    }
    return status != 0;
}

// publish_lines streams events; the answer says how many were stored, not where.
static bool publish_lines(publisher *me, torture_wire *wire)
{
    torture *of = me->of;
    size_t count = 1 + torture_random(&me->random) % lines_events, len = 0;
    size_t first = torture_begin(&of->journal, me->worker, count, false);
    size_t room = count * (TORTURE_DATA_MAX + 256);
    char *body = malloc(room);
    const char *text = NULL;
    int status = 0;

    assert_non_null(body);
    for (size_t i = 0; i < count; i++) {
        len += put_event(of, me->worker, first + i, body + len, room - len);
        body[len++] = '\n';
    }
    status = torture_ask(wire, "POST", "/api/events", "application/x-ndjson",
                         (skald_str){body, len}, &text);
    free(body);
    if (status == 200) {
        json_t *root = json_loads(text, 0, NULL);

        assert_int_equal(number_of(json_object_get(root, "data"), "accepted"), count);
        json_decref(root);
        for (size_t i = 0; i < count; i++) torture_acked(&of->journal, me->worker, first + i, 0, 0);
    } else if (status) {
        fprintf(stderr, "publishing lines: %d %s\n", status, text);
        me->refused++;
    }
    return status != 0;
}

// What was not answered is asked for again, now and then: it must be taken, or known already.
static bool publish_unknown(publisher *me, torture_wire *wire)
{
    size_t numbers[4];
    size_t count = torture_unknown(&me->of->journal, me->worker, me->unknown_from, 4, numbers);

    for (size_t i = 0; i < count; i++) {
        if (!publish_array(me, wire, numbers[i], 1)) return false;
        me->unknown_from = numbers[i] + 1;
    }
    return true;
}

static void *publisher_run(void *context)
{
    publisher *me = context;
    torture_journal *journal = &me->of->journal;
    torture_wire wire;
    bool answered = true;

    torture_wire_init(&wire, me->of->server.port);
    if (torture_random(&me->random) % 2) answered = publish_unknown(me, &wire);
    while (answered && !atomic_load(&me->of->over)) {
        uint64_t kind = torture_random(&me->random) % 16;

        if (kind == 0)
            answered = publish_lines(me, &wire);
        else if (kind < 4)
            answered =
                publish_array(me, &wire, torture_begin(journal, me->worker, batch_events, true),
                              batch_events);
        else
            answered = publish_array(me, &wire, torture_begin(journal, me->worker, 1, false), 1);
    }
    torture_wire_fini(&wire);
    return NULL;
}

// handed holds a delivery against those before it: of each stream the next one, or one known.
static void handed(torture *of, json_t *event)
{
    const char *stream = json_string_value(json_object_get(event, "stream"));
    uint64_t version = number_of(event, "streamVersion");
    uint64_t *last = NULL;

    assert_non_null(stream);
    last = &of->handed[strtoul(stream + strlen("torture-"), NULL, 10) % TORTURE_WORKERS_MAX];
    if (version <= *last) {
        of->repeats++;
    } else if (version == *last + 1) {
        *last = version;
    } else {
        fprintf(stderr, "%s: version %llu was handed out behind %llu\n", stream,
                (unsigned long long)version, (unsigned long long)*last);
        of->overtaken++;
    }
}

// work takes some deliveries and acknowledges them; how many there were, -1 without an answer.
static int work(torture *of, torture_wire *wire, bool ack)
{
    const char *text = NULL;
    char body[deliveries_max * 80];
    size_t len = 0, count = 0;
    json_t *root = NULL, *taken = NULL;

    if (torture_ask(wire, "GET", "/api/subscriptions/torture/deliveries?max=200&waitMs=100", NULL,
                    (skald_str){0}, &text) != 200)
        return -1;
    root = json_loads(text, 0, NULL);
    taken = json_object_get(root, "data");
    count = json_array_size(taken);
    len = (size_t)snprintf(body, sizeof body, "{\"deliveries\":[");
    for (size_t i = 0; i < count; i++) {
        json_t *one = json_array_get(taken, i);

        handed(of, json_object_get(one, "event"));
        len += (size_t)snprintf(body + len, sizeof body - len, "%s\"%s\"", i ? "," : "",
                                json_string_value(json_object_get(one, "deliveryId")));
    }
    len += (size_t)snprintf(body + len, sizeof body - len, "]}");
    json_decref(root);
    if (count && ack &&
        torture_ask(wire, "POST", "/api/subscriptions/torture/ack", "application/json",
                    (skald_str){body, len}, NULL) != 200)
        return -1;
    return (int)count;
}

static void subscribe(torture *of)
{
    static const char body[] = "{\"name\":\"torture\",\"filter\":{\"types\":[\"torture.*\"]},"
                               "\"from\":\"start\",\"order\":\"stream\",\"inFlightMax\":1000}";
    torture_wire wire;
    int status = 0;

    torture_wire_init(&wire, of->server.port);
    status = torture_ask(&wire, "POST", "/api/subscriptions", "application/json",
                         skald_str_of(body), NULL);
    torture_wire_fini(&wire);
    assert_in_range(status, 200, 201);
}

static void *worker_run(void *context)
{
    torture *of = context;
    torture_wire wire;

    torture_wire_init(&wire, of->server.port);
    while (!atomic_load(&of->over) && work(of, &wire, true) >= 0) {
    }
    torture_wire_fini(&wire);
    return NULL;
}

static void saw(torture *of, json_t *one)
{
    char *data = json_dumps(json_object_get(one, "data"), JSON_COMPACT | JSON_ENCODE_ANY);
    skald_event event = {
        .position = number_of(one, "position"),
        .stream_version = number_of(one, "streamVersion"),
        .data = skald_str_of(data),
    };

    assert_int_equal(skald_uuid_parse(skald_str_of(json_string_value(json_object_get(one, "id"))),
                                      &event.id),
                     SKALD_OK);
    torture_saw(&of->journal, &event);
    free(data);
}

// check reads what was not seen yet, to the end, and holds it against the journal.
static void check(torture *of)
{
    torture_wire wire;
    size_t count = 1;

    torture_wire_init(&wire, of->server.port);
    while (count) {
        char path[96];
        const char *text = NULL;
        json_t *root = NULL, *events = NULL;

        (void)snprintf(path, sizeof path, "/api/events?limit=%d&after=%llu", page_events,
                       (unsigned long long)of->journal.checked);
        assert_int_equal(torture_ask(&wire, "GET", path, NULL, (skald_str){0}, &text), 200);
        root = json_loads(text, 0, NULL);
        events = json_object_get(root, "data");
        count = json_array_size(events);
        for (size_t i = 0; i < count; i++) saw(of, json_array_get(events, i));
        json_decref(root);
    }
    torture_wire_fini(&wire);
    torture_settle(&of->journal);
    assert_int_equal(of->journal.faults, 0);
}

// One round: everybody works until, after some answers or some time, the program is killed.
static void round_run(torture *of, publisher *publishers)
{
    uint64_t enough = of->journal.acked + 1 + torture_random(&of->random) % 400;
    int patience_ms = (int)(20 + torture_random(&of->random) % 1200);
    pthread_t worker;

    atomic_store(&of->over, false);
    for (size_t i = 0; i < workers; i++) {
        assert_int_equal(pthread_create(&publishers[i].thread, NULL, publisher_run, &publishers[i]),
                         0);
    }
    assert_int_equal(pthread_create(&worker, NULL, worker_run, of), 0);
    for (bool on = true; on && patience_ms > 0; patience_ms--) {
        (void)poll(NULL, 0, 1);
        assert_int_equal(pthread_mutex_lock(&of->journal.lock), 0);
        on = of->journal.acked < enough;
        assert_int_equal(pthread_mutex_unlock(&of->journal.lock), 0);
    }
    torture_server_kill(&of->server);
    atomic_store(&of->over, true);
    for (size_t i = 0; i < workers; i++) {
        assert_int_equal(pthread_join(publishers[i].thread, NULL), 0);
        assert_int_equal(publishers[i].refused, 0);
    }
    assert_int_equal(pthread_join(worker, NULL), 0);
}

// restart, and now and then a kill while it starts: recovery itself is cut off.
static void restart(torture *of)
{
    while (torture_random(&of->random) % 4 == 0) {
        torture_server_start(&of->server);
        (void)poll(NULL, 0, (int)(torture_random(&of->random) % 300));
        torture_server_kill(&of->server);
    }
    torture_server_start(&of->server);
    assert_true(torture_server_ready(&of->server));
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void nothing_acknowledged_is_lost(void **state)
{
    torture *of = *state;
    publisher publishers[workers];
    uint64_t rounds = number_from("SKALD_ROUNDS", rounds_quick);
    torture_wire wire;
    int idle = 0;

    for (uint32_t i = 0; i < workers; i++)
        publishers[i] = (publisher){.of = of, .worker = i, .random = of->random + i};
    restart(of);
    for (uint64_t round = 1; round <= rounds; round++) {
        subscribe(of);
        round_run(of, publishers);
        if (round % 8 == 0) assert_int_equal(torture_verify(&of->server), 0);
        restart(of);
        check(of);
    }
    torture_check_again(&of->journal);
    check(of);
    subscribe(of);
    torture_wire_init(&wire, of->server.port);
    while (idle < 20) { // what was handed to a dead worker comes back
        int count = work(of, &wire, true);

        assert_true(count >= 0);
        idle = count ? 0 : idle + 1;
    }
    torture_wire_fini(&wire);
    for (uint32_t i = 0; i < workers; i++)
        assert_int_equal(of->handed[i], of->journal.workers[i].version);
    assert_int_equal(of->overtaken, 0);
    assert_int_equal(torture_server_stop(&of->server), 0);
    assert_int_equal(torture_verify(&of->server), 0);
    assert_true(of->journal.acked > rounds);
    printf(
        "%llu rounds: %llu events acknowledged, all there among %llu; %llu deliveries came again\n",
        (unsigned long long)rounds, (unsigned long long)of->journal.acked,
        (unsigned long long)of->journal.checked, (unsigned long long)of->repeats);
}

static int setup(void **state)
{
    static torture world;
    uint64_t seed = number_from("SKALD_SEED", 1);

    torture_journal_init(&world.journal, seed);
    world.random = seed;
    torture_folder(world.folder, sizeof world.folder);
    (void)snprintf(world.data, sizeof world.data, "%s/data", world.folder);
    // A port below those that the system gives to clients.
    world.server = (torture_server){
        .program = getenv("SKALD"),
        .data = world.data,
        .port = (uint16_t)(10000 + ((uint64_t)getpid() * 7919) % 20000),
    };
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    torture *of = *state;

    torture_server_kill(&of->server);
    torture_journal_fini(&of->journal);
    torture_folder_remove(of->folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_acknowledged_is_lost, setup, teardown),
    };

    if (!getenv("SKALD")) {
        printf("SKIPPED: SKALD, the program, is not given\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
