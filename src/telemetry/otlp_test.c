// SPDX-License-Identifier: Apache-2.0
// The exporter against a collector of our own: what is sent, what is tried again, what is given up,
// and that nobody who ends a span waits for any of it.
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "net/coding.h"
#include "net/http.h"
#include "os/thread.h"
#include "telemetry/otlp_inside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// cmocka wants the four above first
#include <cmocka.h>

enum { statuses_max = 8, wait_steps = 1000 };

// A collector that answers as it is told.
typedef struct collector {
    ski_http *http;
    char url[64];
    ski_mutex lock;
    unsigned statuses[statuses_max]; // of its answers; the last one goes on
    unsigned answer_count, requests;
    const char *answer;
    bool silent; // takes requests and answers when it is over
    ski_http_request_id unanswered;
    skald_buf body; // the last one, decoded by the server
    char headers[512];
} collector;

static skald_err collect(ski_http_request *request, skald_error *reterr_error)
{
    collector *to = request->context;
    skald_str key = ski_http_header_get(request, "x-key");
    skald_str type = ski_http_header_get(request, "content-type");
    unsigned status;
    bool silent;

    (void)reterr_error;
    ski_mutex_lock(&to->lock);
    status = to->statuses[to->requests < to->answer_count ? to->requests : to->answer_count - 1];
    to->requests++;
    silent = to->silent;
    to->unanswered = request->id;
    to->body.len = 0;
    assert_int_equal(skald_buf_put(&to->body, request->body), SKALD_OK);
    snprintf(to->headers, sizeof to->headers, "%.*s|%.*s", SKALD_FMT(key), SKALD_FMT(type));
    ski_mutex_unlock(&to->lock);
    if (silent) return SKALD_OK;
    return ski_http_reply_send(
        request->http, request->id,
        &(ski_http_reply){.status = status, .body = skald_str_of(to->answer ? to->answer : "{}")});
}

static const ski_http_route collector_routes[] = {
    {.method = "POST", .path = "/v1/traces", .handle = collect},
    {.method = NULL},
};

static void collector_open(collector *of)
{
    ski_http_options options = {.routes = collector_routes,
                                .context = of,
                                .kernel = &ski_kernel_system};

    memset(of, 0, sizeof *of);
    ski_mutex_init(&of->lock);
    of->body.bytes_max = 1 << 20;
    of->statuses[0] = 200;
    of->answer_count = 1;
    assert_int_equal(ski_http_start(&options, &of->http, NULL), SKALD_OK);
    snprintf(of->url, sizeof of->url, "http://127.0.0.1:%u", ski_http_port(of->http));
}

// collector_look: what the collector's thread has written can be read from here on, and it sees
// what was written before.
static void collector_look(collector *of)
{
    ski_mutex_lock(&of->lock);
    ski_mutex_unlock(&of->lock);
}

static void collector_close(collector *of)
{
    (void)ski_http_stop(of->http, 100);
    collector_look(of);
    if (of->silent)
        (void)ski_http_reply_send(of->http, of->unanswered, &(ski_http_reply){.status = 200});
    skald_buf_fini(&of->body);
    ski_mutex_fini(&of->lock);
}

static unsigned collector_requests(collector *of)
{
    ski_mutex_lock(&of->lock);
    unsigned requests = of->requests;
    ski_mutex_unlock(&of->lock);
    return requests;
}

static ski_otlp_options quick(const collector *to)
{
    return (ski_otlp_options){.url = to->url,
                              .delay_ms = 1,
                              .timeout_ms = 2000,
                              .retry_ms = 1,
                              .open_ms = 1,
                              .sampled_of_million = 1000000};
}

static ski_otlp *begin(const ski_otlp_options *options)
{
    ski_otlp *otlp = NULL;
    skald_error error = {0};

    if (ski_otlp_start(options, &otlp, &error)) fail_msg("%s", error.text);
    return otlp;
}

static void end_span(ski_otlp *otlp, const char *name)
{
    ski_tracer *tracer = ski_otlp_tracer(otlp);
    ski_span span = {
        .trace = ski_trace_root(tracer),
        .kind = SKI_SPAN_SERVER,
        .name = skald_str_of(name),
        .began_at = 1700000000000001,
        .took_ns = 1500,
        .fields = {{.key = "a.text", .text = SKALD_STR("x\"\n")}, {.key = "a.number", .number = 7}},
        .field_count = 2,
    };

    tracer->end(tracer->context, &span);
}

static ski_otlp_counters counters_of(ski_otlp *otlp)
{
    ski_otlp_counters counters;

    ski_otlp_counters_get(otlp, &counters);
    return counters;
}

// wait_settled waits until count spans are exported or given up.
static ski_otlp_counters wait_settled(ski_otlp *otlp, uint64_t count)
{
    ski_otlp_counters counters = {0};

    for (int i = 0; i < wait_steps; i++) {
        counters = counters_of(otlp);
        if (counters.exported + counters.failed >= count) return counters;
        usleep(5000);
    }
    fail_msg("only %llu exported and %llu failed", (unsigned long long)counters.exported,
             (unsigned long long)counters.failed);
    return counters;
}

static void sends_what_is_ended(void **state SKALD_UNUSED)
{
    collector to;
    collector_open(&to);
    ski_otlp_options options = quick(&to);
    ski_otlp *otlp = begin(&options);

    end_span(otlp, "GET /");
    assert_int_equal(wait_settled(otlp, 1).exported, 1);
    ski_otlp_stop(otlp, 1000);
    collector_look(&to);
    skald_str body = ski_buf_str(&to.body);
    assert_int_equal(ski_json_door_check(body, false, NULL), SKALD_OK);
    assert_string_equal(to.headers, "|application/json");
    static const char *const parts[] = {
        "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"
        "{\"stringValue\":\"skald\"}}",
        "\"scopeSpans\":[{\"scope\":{\"name\":\"skald\",\"version\":\"" SKALD_VERSION_TEXT "\"}",
        "\"name\":\"GET /\",\"kind\":2,\"startTimeUnixNano\":\"1700000000000001000\","
        "\"endTimeUnixNano\":\"1700000000000002500\"",
        "{\"key\":\"a.text\",\"value\":{\"stringValue\":\"x\\\"\\n\"}}",
        "{\"key\":\"a.number\",\"value\":{\"intValue\":\"7\"}}",
        "\"status\":{}}",
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (!memmem(body.ptr, body.len, parts[i], strlen(parts[i])))
            fail_msg("%s is not in %.*s", parts[i], SKALD_FMT(body));
    }
    assert_null(memmem(body.ptr, body.len, "parentSpanId", 12));
    collector_close(&to);
}

static void tries_again_and_gives_up(void **state SKALD_UNUSED)
{
    static const struct {
        unsigned statuses[4];
        unsigned count;
        uint64_t exported, retries;
    } cases[] = {
        {{200}, 1, 1, 0},           {{503, 200}, 2, 1, 1}, {{429, 502, 504, 202}, 4, 1, 3},
        {{503, 503, 400}, 3, 0, 2}, {{400}, 1, 0, 0},      {{301}, 1, 0, 0},
        {{500}, 1, 0, 0},           {{503}, 1, 0, 4},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        collector to;
        collector_open(&to);
        memcpy(to.statuses, cases[i].statuses, sizeof cases[i].statuses);
        to.answer_count = cases[i].count;
        collector_look(&to);
        ski_otlp_options options = quick(&to);
        ski_otlp *otlp = begin(&options);
        end_span(otlp, "x");
        ski_otlp_counters counters = wait_settled(otlp, 1);
        assert_int_equal(counters.exported, cases[i].exported);
        assert_int_equal(counters.failed, 1 - cases[i].exported);
        assert_int_equal(counters.retries, cases[i].retries);
        assert_int_equal(collector_requests(&to), cases[i].retries + 1);
        ski_otlp_stop(otlp, 1000);
        collector_close(&to);
    }
}

static void counts_what_a_collector_rejects(void **state SKALD_UNUSED)
{
    static const struct {
        const char *answer;
        uint64_t rejected;
    } cases[] = {
        {"{}", 0},
        {"{\"partialSuccess\":{}}", 0},
        {"{\"partialSuccess\":{\"rejectedSpans\":\"2\",\"errorMessage\":\"why\"}}", 2},
        {"{\"partialSuccess\":{\"rejectedSpans\":3}}", 3},
        {"{\"partialSuccess\":{\"rejectedSpans\":-1}}", 0},
        {"{\"partialSuccess\":7}", 0},
        {"[]", 0},
        {"garbage", 0},
        {"", 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(ski_otlp_rejected(skald_str_of(cases[i].answer)), cases[i].rejected);
    collector to;
    collector_open(&to);
    to.answer = "{\"partialSuccess\":{\"rejectedSpans\":\"900\"}}"; // more than there were
    collector_look(&to);
    ski_otlp_options options = quick(&to);
    ski_otlp *otlp = begin(&options);
    end_span(otlp, "x");
    assert_int_equal(wait_settled(otlp, 1).failed, 1);
    ski_otlp_stop(otlp, 1000);
    collector_close(&to);
}

static void a_full_queue_drops_and_a_stop_ends(void **state SKALD_UNUSED)
{
    collector to;
    collector_open(&to);
    to.silent = true;
    collector_look(&to);
    ski_otlp_options options = quick(&to);
    options.queue_max = 8;
    options.batch_max = 4;
    options.timeout_ms = 60000;
    ski_otlp *otlp = begin(&options);

    end_span(otlp, "first");
    for (int i = 0; i < wait_steps && !collector_requests(&to); i++) usleep(5000);
    for (int i = 0; i < 20; i++) end_span(otlp, "more");
    ski_otlp_counters counters = counters_of(otlp);
    assert_int_equal(counters.queued, 8);
    assert_int_equal(counters.queue_max, 8);
    assert_int_equal(counters.dropped, 12);
    assert_int_equal(counters.exported, 0);
    uint64_t began = ski_kernel_system.monotonic_ns(NULL);
    ski_otlp_stop(otlp, 50);
    assert_true(ski_kernel_system.monotonic_ns(NULL) - began < UINT64_C(5000000000));
    collector_close(&to);
}

static void a_stop_sends_what_waits(void **state SKALD_UNUSED)
{
    collector to;
    collector_open(&to);
    ski_otlp_options options = quick(&to);
    options.delay_ms = 60000;
    ski_otlp *otlp = begin(&options);

    end_span(otlp, "x");
    ski_otlp_stop(otlp, 5000);
    assert_int_equal(collector_requests(&to), 1);
    collector_close(&to);
}

static void nobody_there_is_retried(void **state SKALD_UNUSED)
{
    ski_otlp_options options = {.url = "http://127.0.0.1:1/v1/traces/",
                                .delay_ms = 1,
                                .retry_ms = 1,
                                .open_ms = 1,
                                .attempts_max = 5,
                                .sampled_of_million = 1000000};
    ski_otlp *otlp = begin(&options);

    end_span(otlp, "x");
    ski_otlp_counters counters = wait_settled(otlp, 1);
    assert_int_equal(counters.failed, 1);
    assert_int_equal(counters.retries, 4);
    ski_otlp_stop(otlp, 1000);
}

// A clock that is put forward.
static uint64_t clock_ns(void *context)
{
    return ski_kernel_system.monotonic_ns(NULL) + atomic_load((_Atomic uint64_t *)context);
}

// What a kernel's other functions are given is of no use to the system's.
static void clock_make(ski_kernel *kernel, _Atomic uint64_t *ahead_ns)
{
    *kernel = ski_kernel_system;
    kernel->context = ahead_ns;
    kernel->monotonic_ns = clock_ns;
}

static void circuit_note(void *context, skald_level level SKALD_UNUSED, skald_str line)
{
    static const char *const states[] = {"\"closed\"", "\"half_open\"", "\"open\""};
    char *noted = context;

    if (!memmem(line.ptr, line.len, "\"circuit\":\"otlp\"", 16)) return;
    for (size_t i = 0; i < 3; i++) {
        if (memmem(line.ptr, line.len, states[i], strlen(states[i])) && strlen(noted) < 30)
            noted[strlen(noted)] = "ch!"[i];
    }
}

static void wait_for(ski_otlp *otlp, collector *to, unsigned requests, skald_breaker_state state)
{
    for (int i = 0; i < wait_steps; i++) {
        if (collector_requests(to) == requests && counters_of(otlp).circuit == state) return;
        usleep(5000);
    }
    fail_msg("%u requests, state %d", collector_requests(to), counters_of(otlp).circuit);
}

// The clock alone lets a request through; each look at it is woken by a span that comes.
static void a_dead_collector_is_left_alone(void **state SKALD_UNUSED)
{
    const uint64_t later_ns = UINT64_C(60000000000);
    _Atomic uint64_t ahead_ns = 0;
    char noted[32] = "";
    const skald_log log = {.line = circuit_note, .context = noted, .level_min = SKALD_INFO};
    ski_kernel kernel;
    collector to;

    clock_make(&kernel, &ahead_ns);
    collector_open(&to);
    memcpy(to.statuses, (unsigned[]){503, 503, 503, 503, 200}, 5 * sizeof to.statuses[0]);
    to.answer_count = 5;
    collector_look(&to);
    ski_otlp_options options = quick(&to);
    options.open_ms = 30000;
    options.batch_max = 2; // a first and a second span that wait each wake the thread
    options.log = &log;
    options.kernel = &kernel;
    ski_otlp *otlp = begin(&options);
    assert_int_equal(counters_of(otlp).circuit, SKALD_BREAKER_CLOSED);
    end_span(otlp, "tried again and again");
    wait_for(otlp, &to, 3, SKALD_BREAKER_OPEN);
    atomic_fetch_add(&ahead_ns, later_ns);
    end_span(otlp, "wakes it: the trial fails");
    wait_for(otlp, &to, 4, SKALD_BREAKER_OPEN);
    assert_int_equal(counters_of(otlp).queued, 1);
    atomic_fetch_add(&ahead_ns, later_ns);
    end_span(otlp, "wakes it: the trial is taken");
    ski_otlp_counters counters = wait_settled(otlp, 3);
    assert_int_equal(counters.exported, 3);
    assert_int_equal(counters.retries, 4);
    wait_for(otlp, &to, 6, SKALD_BREAKER_CLOSED);
    ski_otlp_stop(otlp, 1000);
    assert_string_equal(noted, "!h!hc");
    collector_close(&to);
}

// A stop does not wait for a circuit that is open for longer.
static void a_stop_does_not_wait_for_the_circuit(void **state SKALD_UNUSED)
{
    collector to;
    collector_open(&to);
    to.statuses[0] = 503;
    collector_look(&to);
    ski_otlp_options options = quick(&to);
    options.open_ms = 30000;
    ski_otlp *otlp = begin(&options);

    end_span(otlp, "in hand");
    wait_for(otlp, &to, 3, SKALD_BREAKER_OPEN);
    end_span(otlp, "in the ring");
    ski_otlp_stop(otlp, 5000);
    assert_int_equal(collector_requests(&to), 3);
    collector_close(&to);
}

static void url_is(const char *url, const char *becomes)
{
    skald_buf buf = {.bytes_max = 4096};
    skald_error error = {0};
    skald_err err = ski_otlp_url(url, &buf, &error);

    if (becomes) {
        assert_int_equal(err, SKALD_OK);
        assert_string_equal(buf.ptr, becomes);
    } else {
        assert_int_equal(err, SKALD_EINVALID);
        assert_true(error.text[0]);
        assert_null(strstr(error.text, "secret"));
    }
    skald_buf_fini(&buf);
}

static void takes_urls_that_are_right(void **state SKALD_UNUSED)
{
    url_is("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces");
    url_is("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces");
    url_is("https://x.example/otlp", "https://x.example/otlp/v1/traces");
    url_is("https://x.example/v1/traces", "https://x.example/v1/traces");
    url_is("ftp://x.example", NULL);
    url_is("file:///etc/passwd", NULL);
    url_is("x.example:4318", NULL);
    url_is("http://", NULL);
    url_is("http://me:secret@x.example", "http://me:secret@x.example/v1/traces");
    url_is("http://me:secret@x.example:x", NULL);
    url_is("http://x.example/?key=secret", NULL);
    url_is("http://x.example:99999", NULL);
}

static bool header_note(void *context, const char *line)
{
    skald_buf *buf = context;

    return !skald_buf_put(buf, skald_str_of(line)) && !ski_buf_byte(buf, '|');
}

static void takes_headers_that_are_right(void **state SKALD_UNUSED)
{
    static const char *const bad[] = {
        "Authorization", "Authorization:",       ": secret",      "A b: secret",
        "Host: secret",  "content-type: secret", "X: sec\001ret", "X-A: fine\nsecret",
    };
    skald_buf buf = {.bytes_max = 4096};
    char many[4096] = "";

    assert_int_equal(ski_otlp_headers(SKALD_STR(
                                          "# a comment\r\n\nAuthorization:  Bearer secret \r\n"
                                          "X-Scope: a:b"),
                                      header_note, &buf, NULL),
                     SKALD_OK);
    assert_int_equal(buf.len, strlen("Authorization: Bearer secret|X-Scope: a:b|"));
    assert_memory_equal(buf.ptr, "Authorization: Bearer secret|X-Scope: a:b|", buf.len);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        skald_error error = {0};
        assert_int_equal(ski_otlp_headers(skald_str_of(bad[i]), header_note, &buf, &error),
                         SKALD_EINVALID);
        assert_non_null(strstr(error.text, "line "));
        assert_null(strstr(error.text, "secret"));
    }
    for (size_t i = 0; i <= SKI_OTLP_HEADERS_MAX; i++) memcpy(many + i * 5, "X: y\n", 6);
    buf.len = 0;
    assert_int_equal(ski_otlp_headers(skald_str_of(many), header_note, &buf, NULL), SKALD_EINVALID);
    skald_buf_fini(&buf);
}

static void sends_the_headers_of_a_file(void **state SKALD_UNUSED)
{
    char path[] = "/tmp/skald-otlp-test.XXXXXX";
    int fd = mkstemp(path);
    collector to;
    ski_otlp *otlp = NULL;

    assert_true(fd >= 0 && write(fd, "X-Key: secret\n", 14) == 14);
    close(fd);
    collector_open(&to);
    ski_otlp_options options = quick(&to);
    options.headers_file = path;
    otlp = begin(&options);
    end_span(otlp, "x");
    wait_settled(otlp, 1);
    ski_otlp_stop(otlp, 1000);
    collector_look(&to);
    assert_string_equal(to.headers, "secret|application/json");
    collector_close(&to);
    unlink(path);
    skald_error error = {0};
    assert_int_equal(ski_otlp_start(&options, &otlp, &error), SKALD_ENOTFOUND);
    assert_non_null(strstr(error.text, path));
}

static void cuts_what_is_too_long(void **state SKALD_UNUSED)
{
    static char text[2 * SKI_OTLP_TEXT_BYTES];
    ski_otlp_record record;
    skald_buf buf = {.bytes_max = 1 << 20};
    ski_span span = {.kind = SKI_SPAN_CONSUMER, .failed = SKALD_STR("why")};

    for (size_t i = 0; i + 1 < sizeof text; i += 2) memcpy(text + i, "\xc3\xa5", 2); // whole ones
    span.name = (skald_str){"n", 1};
    span.field_count = 2;
    span.fields[0] = (ski_span_field){.key = "long", .text = {text, sizeof text}};
    span.fields[1] = (ski_span_field){.key = "gone", .text = SKALD_STR("no room")};
    memset(span.trace.trace_id, 1, 16);
    memset(span.parent, 0xab, 8);
    ski_otlp_record_fill(&record, &span);
    assert_int_equal(ski_otlp_encode("s", "i", &record, 1, &buf), SKALD_OK);
    assert_int_equal(ski_json_door_check(ski_buf_str(&buf), false, NULL), SKALD_OK);
    assert_null(memmem(buf.ptr, buf.len, "\xef\xbf\xbd", 3)); // nothing was cut in two
    assert_non_null(memmem(buf.ptr, buf.len, "\"parentSpanId\":\"abababababababab\"", 33));
    assert_non_null(memmem(buf.ptr, buf.len, "\"status\":{\"code\":2,\"message\":\"why\"}", 35));
    buf.bytes_max = buf.len - 1;
    buf.len = 0;
    skald_buf small = {.bytes_max = 100};
    assert_int_equal(ski_otlp_encode("s", "i", &record, 1, &small), SKALD_EFULL);
    skald_buf_fini(&small);
    buf.bytes_max = 1 << 20;
    skald_buf_fini(&buf);
}

static void refuses_what_it_cannot_be(void **state SKALD_UNUSED)
{
    ski_otlp *otlp = NULL;
    skald_error error = {0};
    ski_otlp_options options = {.url = "http://127.0.0.1:1", .queue_max = UINT32_MAX};

    assert_int_equal(ski_otlp_start(&options, &otlp, &error), SKALD_EINVALID);
    options = (ski_otlp_options){.url = "nowhere"};
    assert_int_equal(ski_otlp_start(&options, &otlp, &error), SKALD_EINVALID);
    ski_otlp_stop(NULL, 0);
    assert_null(ski_otlp_tracer(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_what_is_ended),
        cmocka_unit_test(tries_again_and_gives_up),
        cmocka_unit_test(counts_what_a_collector_rejects),
        cmocka_unit_test(a_full_queue_drops_and_a_stop_ends),
        cmocka_unit_test(a_stop_sends_what_waits),
        cmocka_unit_test(nobody_there_is_retried),
        cmocka_unit_test(a_dead_collector_is_left_alone),
        cmocka_unit_test(a_stop_does_not_wait_for_the_circuit),
        cmocka_unit_test(takes_urls_that_are_right),
        cmocka_unit_test(takes_headers_that_are_right),
        cmocka_unit_test(sends_the_headers_of_a_file),
        cmocka_unit_test(cuts_what_is_too_long),
        cmocka_unit_test(refuses_what_it_cannot_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
