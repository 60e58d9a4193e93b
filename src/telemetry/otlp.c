// SPDX-License-Identifier: Apache-2.0
// The exporter: a ring of spans, and a thread that sends them.
//
// One retry rule: a circuit breaker is asked before each request. What fails is tried again after
// retry_ms, or when the collector says; after three in a row nothing is sent for open_ms, and then
// one request tries.
//
// Invariants:
//   1. Under the lock only a record is copied or counted: no memory is taken, nothing is sent.
//   2. A batch leaves the ring before it is sent. While the collector does not answer, the ring
//      fills and what comes then is dropped and counted; the batch in hand is tried attempts_max
//      times and then given up and counted.
//   3. Whatever the collector does, a stop is over soon after its time: libcurl asks several times
//      a second whether to go on.
#include "telemetry/otlp_inside.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "net/circuit.h"
#include "net/coding.h"
#include "os/thread.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

enum {
    queue_default = 4096,
    queue_limit = 1 << 20,
    batch_default = 512,
    delay_default_ms = 1000,
    timeout_default_ms = 10000,
    attempts_default = 5,
    retry_default_ms = 1000,
    retry_after_max_s = 60,
    body_bytes_max = 16 << 20,
    answer_bytes_max = 64 << 10,
    complain_every_s = 60,
};

#define NS_PER_MS UINT64_C(1000000)

struct ski_otlp {
    ski_otlp_options options; // defaults filled in
    ski_tracer tracer;
    const ski_kernel *kernel;
    ski_thread thread;
    char instance[SKALD_UUID_TEXT + 1];
    skald_buf url;
    char *service;
    // The thread's own.
    CURL *curl;
    struct curl_slist *headers;
    ski_otlp_record *batch; // batch_max of them
    skald_buf body, coded, answer;
    uint64_t not_before_ns; // the collector's wish; 0: none
    uint64_t complained_ns;
    bool complained;     // since it last worked
    ski_circuit circuit; // its own lock

    ski_mutex lock; // over what follows
    ski_cond wake;
    ski_otlp_record *ring; // queue_max of them
    uint32_t head, count;
    uint64_t exported, dropped, failed, retries;
    uint64_t stop_at_ns;
    bool stopping;
};

static uint64_t now_ns(const ski_otlp *otlp)
{
    return otlp->kernel->monotonic_ns(otlp->kernel->context);
}

// span_end takes a span, from any thread.
static void span_end(void *context, const ski_span *span)
{
    ski_otlp *otlp = context;

    ski_mutex_lock(&otlp->lock);
    if (otlp->count == otlp->options.queue_max || otlp->stopping) {
        otlp->dropped++;
    } else {
        uint32_t at = (otlp->head + otlp->count++) % otlp->options.queue_max;

        ski_otlp_record_fill(&otlp->ring[at], span);
        if (otlp->count == 1 || otlp->count == otlp->options.batch_max)
            ski_cond_signal(&otlp->wake);
    }
    ski_mutex_unlock(&otlp->lock);
}

// Talking to the collector.

static size_t answer_take(char *bytes, size_t size, size_t count, void *context)
{
    ski_otlp *otlp = context;
    size_t room = answer_bytes_max - otlp->answer.len;
    skald_str piece = {bytes, size * count < room ? size * count : room};

    return skald_buf_put(&otlp->answer, piece) ? 0 : size * count; // the rest is not looked at
}

// go_on is asked by libcurl all the time.
static int go_on(void *context, curl_off_t a SKALD_UNUSED, curl_off_t b SKALD_UNUSED,
                 curl_off_t c SKALD_UNUSED, curl_off_t d SKALD_UNUSED)
{
    ski_otlp *otlp = context;

    ski_mutex_lock(&otlp->lock);
    bool over = otlp->stopping && now_ns(otlp) >= otlp->stop_at_ns;
    ski_mutex_unlock(&otlp->lock);
    return over ? 1 : 0;
}

static bool header_keep(void *context, const char *line)
{
    ski_otlp *otlp = context;
    struct curl_slist *more = curl_slist_append(otlp->headers, line);

    if (more) otlp->headers = more;
    return more != NULL;
}

static skald_err curl_open(ski_otlp *otlp)
{
    CURL *curl = curl_easy_init();

    otlp->curl = curl;
    if (!curl || !header_keep(otlp, "Content-Type: application/json") ||
        !header_keep(otlp, "Content-Encoding: gzip") || !header_keep(otlp, "Expect:"))
        return SKALD_ENOMEM;
    curl_easy_setopt(curl, CURLOPT_URL, otlp->url.ptr);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, otlp->headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "skald/" SKALD_VERSION_TEXT);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)otlp->options.timeout_ms);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, answer_take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, otlp);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, go_on);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, otlp);
    return SKALD_OK;
}

// What became of one request.
typedef enum sent { SENT, SENT_AGAIN, SENT_REFUSED } sent;

static void complain(ski_otlp *otlp, const char *why)
{
    uint64_t now = now_ns(otlp);

    if (otlp->complained &&
        now - otlp->complained_ns < complain_every_s * UINT64_C(1000) * NS_PER_MS)
        return;
    otlp->complained = true;
    otlp->complained_ns = now;
    ski_log_line(otlp->options.log, SKALD_WARN, "traces cannot be sent to the collector", "why",
                 why, NULL);
}

static void recovered(ski_otlp *otlp)
{
    if (otlp->complained)
        ski_log_line(otlp->options.log, SKALD_INFO, "traces are sent again", NULL);
    otlp->complained = false;
}

// wish_note keeps when the collector wants to be asked again.
static void wish_note(ski_otlp *otlp)
{
    curl_off_t after_s = 0;

    curl_easy_getinfo(otlp->curl, CURLINFO_RETRY_AFTER, &after_s);
    if (after_s > retry_after_max_s) after_s = retry_after_max_s;
    if (after_s > 0) otlp->not_before_ns = now_ns(otlp) + (uint64_t)after_s * 1000 * NS_PER_MS;
}

// send_once makes one request with what is in coded.
static sent send_once(ski_otlp *otlp)
{
    char why[64];
    long status = 0;
    CURLcode code;

    otlp->answer.len = 0;
    otlp->not_before_ns = 0;
    curl_easy_setopt(otlp->curl, CURLOPT_POSTFIELDS, otlp->coded.ptr);
    curl_easy_setopt(otlp->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)otlp->coded.len);
    code = curl_easy_perform(otlp->curl);
    if (code == CURLE_OK) curl_easy_getinfo(otlp->curl, CURLINFO_RESPONSE_CODE, &status);
    // One that says no to what it was sent is there.
    ski_circuit_report(&otlp->circuit, now_ns(otlp),
                       code == CURLE_OK && status < 500 && status != 429);
    if (code != CURLE_OK) {
        complain(otlp, curl_easy_strerror(code));
        return SENT_AGAIN;
    }
    if (status >= 200 && status < 300) {
        recovered(otlp);
        return SENT;
    }
    (void)snprintf(why, sizeof why, "it answered with status %ld", status);
    complain(otlp, why);
    if (status != 429 && status != 502 && status != 503 && status != 504) return SENT_REFUSED;
    wish_note(otlp);
    return SENT_AGAIN;
}

// may_send waits until the next request may be made. False: there is no time for one.
static bool may_send(ski_otlp *otlp, bool again)
{
    uint64_t began_ns = now_ns(otlp);
    uint64_t wait_ns = again ? otlp->options.retry_ms * NS_PER_MS : 0;
    uint64_t open_ns = ski_circuit_wait_ns(&otlp->circuit, began_ns);
    uint32_t jitter = 0;

    if (wait_ns < open_ns) wait_ns = open_ns;
    if (otlp->not_before_ns > began_ns && wait_ns < otlp->not_before_ns - began_ns)
        wait_ns = otlp->not_before_ns - began_ns;
    // Many servers lost the same collector: they do not come back as one.
    otlp->kernel->random(otlp->kernel->context, &jitter, sizeof jitter);
    wait_ns += wait_ns / 1024 * (jitter % 256);

    ski_mutex_lock(&otlp->lock);
    uint64_t until_ns = began_ns + wait_ns;
    bool goes_on = true;

    while (wait_ns) {
        uint64_t now = now_ns(otlp);

        if (otlp->stopping && until_ns >= otlp->stop_at_ns) goes_on = false;
        if (!goes_on || now >= until_ns) break;
        (void)ski_cond_wait_ns(&otlp->wake, &otlp->lock, until_ns - now);
    }
    if (goes_on && again) otlp->retries++;
    ski_mutex_unlock(&otlp->lock);
    // One thread asks, after as long as the circuit said.
    return goes_on && ski_circuit_allow(&otlp->circuit, now_ns(otlp));
}

static skald_err batch_write(ski_otlp *otlp, uint32_t count)
{
    const char *service = otlp->service ? otlp->service : "skald";

    otlp->body.len = otlp->coded.len = 0;
    SKALD_TRY(ski_otlp_encode(service, otlp->instance, otlp->batch, count, &otlp->body));
    return ski_encode(SKI_CODING_GZIP, ski_buf_str(&otlp->body), &otlp->coded);
}

static void batch_send(ski_otlp *otlp, uint32_t count)
{
    sent result = SENT_REFUSED;
    uint64_t rejected = 0;

    if (batch_write(otlp, count)) {
        complain(otlp, "out of memory");
    } else {
        result = SENT_AGAIN;
        for (uint32_t i = 0; result == SENT_AGAIN && i < otlp->options.attempts_max; i++) {
            if (!may_send(otlp, i > 0)) break;
            result = send_once(otlp);
        }
    }
    rejected = result == SENT ? ski_otlp_rejected(ski_buf_str(&otlp->answer)) : count;
    if (rejected > count) rejected = count;
    if (result == SENT && rejected) complain(otlp, "it did not take all of them");
    ski_mutex_lock(&otlp->lock);
    otlp->exported += count - rejected;
    otlp->failed += rejected;
    ski_mutex_unlock(&otlp->lock);
}

// batch_take waits for spans and moves them to batch; 0: it is over.
static uint32_t batch_take(ski_otlp *otlp)
{
    uint64_t full_ns = otlp->options.delay_ms * NS_PER_MS;
    uint32_t count;

    ski_mutex_lock(&otlp->lock);
    while (!otlp->count && !otlp->stopping) ski_cond_wait(&otlp->wake, &otlp->lock);
    uint64_t until_ns = now_ns(otlp) + full_ns;

    while (otlp->count < otlp->options.batch_max && !otlp->stopping) {
        uint64_t now = now_ns(otlp);

        if (now >= until_ns) break;
        (void)ski_cond_wait_ns(&otlp->wake, &otlp->lock, until_ns - now);
    }
    count = otlp->count < otlp->options.batch_max ? otlp->count : otlp->options.batch_max;
    bool late = otlp->stopping && now_ns(otlp) >= otlp->stop_at_ns;
    ski_mutex_unlock(&otlp->lock);
    // Nobody writes to a place that is taken, so these are copied without keeping anyone waiting.
    for (uint32_t i = 0; i < count; i++)
        otlp->batch[i] = otlp->ring[(otlp->head + i) % otlp->options.queue_max];
    ski_mutex_lock(&otlp->lock);
    otlp->head = (otlp->head + count) % otlp->options.queue_max;
    otlp->count -= count;
    if (late) {
        otlp->failed += count;
        count = 0;
    }
    ski_mutex_unlock(&otlp->lock);
    return count;
}

static void thread_main(void *argument)
{
    ski_otlp *otlp = argument;
    uint32_t count;

    while ((count = batch_take(otlp)) > 0) batch_send(otlp, count);
}

// Beginning and end.

static void defaults_set(ski_otlp_options *options)
{
    if (!options->kernel) options->kernel = &ski_kernel_system;
    if (!options->queue_max) options->queue_max = queue_default;
    if (!options->batch_max) options->batch_max = batch_default;
    if (options->batch_max > options->queue_max) options->batch_max = options->queue_max;
    if (!options->delay_ms) options->delay_ms = delay_default_ms;
    if (!options->timeout_ms) options->timeout_ms = timeout_default_ms;
    if (!options->attempts_max) options->attempts_max = attempts_default;
    if (!options->retry_ms) options->retry_ms = retry_default_ms;
}

static skald_err headers_read(ski_otlp *otlp, skald_error *reterr_error)
{
    skald_buf buf = {.bytes_max = SKI_OTLP_HEADERS_BYTES_MAX};
    const char *path = otlp->options.headers_file;
    skald_err err;

    if (!path) return SKALD_OK;
    err = ski_kernel_read_file(otlp->kernel, path, &buf, reterr_error);
    if (!err) err = ski_otlp_headers(ski_buf_str(&buf), header_keep, otlp, reterr_error);
    if (buf.ptr) explicit_bzero(buf.ptr, buf.size);
    skald_buf_fini(&buf);
    return err;
}

static void otlp_free(ski_otlp *otlp)
{
    if (otlp->curl) curl_easy_cleanup(otlp->curl);
    curl_slist_free_all(otlp->headers);
    curl_global_cleanup();
    skald_buf_fini(&otlp->url);
    skald_buf_fini(&otlp->body);
    skald_buf_fini(&otlp->coded);
    skald_buf_fini(&otlp->answer);
    ski_free(otlp->service);
    ski_free(otlp->batch);
    ski_free(otlp->ring);
    ski_circuit_fini(&otlp->circuit);
    ski_cond_fini(&otlp->wake);
    ski_mutex_fini(&otlp->lock);
    ski_free(otlp);
}

static skald_err otlp_prepare(ski_otlp *otlp, skald_error *reterr_error)
{
    const ski_otlp_options *options = &otlp->options;
    skald_uuid instance;

    if (options->queue_max > queue_limit)
        return skald_fail(reterr_error, SKALD_EINVALID, "at most %d spans can wait", queue_limit);
    SKALD_TRY(ski_otlp_url(options->url, &otlp->url, reterr_error));
    SKALD_TRY(headers_read(otlp, reterr_error));
    otlp->ring = ski_alloc_zeroed(options->queue_max, sizeof *otlp->ring);
    otlp->batch = ski_alloc_zeroed(options->batch_max, sizeof *otlp->batch);
    if (options->service) otlp->service = ski_str_terminated(skald_str_of(options->service));
    if (!otlp->ring || !otlp->batch || (options->service && !otlp->service)) return SKALD_ENOMEM;
    otlp->kernel->random(otlp->kernel->context, &instance, sizeof instance);
    instance.bytes[6] = (uint8_t)(0x40 | (instance.bytes[6] & 0x0f)); // version 4: random
    instance.bytes[8] = (uint8_t)(0x80 | (instance.bytes[8] & 0x3f));
    skald_uuid_print(instance, otlp->instance);
    otlp->tracer = (ski_tracer){.context = otlp,
                                .end = span_end,
                                .sampled_of_million = options->sampled_of_million};
    otlp->kernel->random(otlp->kernel->context, &otlp->tracer.seed, sizeof otlp->tracer.seed);
    SKALD_TRY(curl_open(otlp));
    return otlp->kernel->spawn(otlp->kernel->context, "skald-otlp", thread_main, otlp,
                               &otlp->thread);
}

skald_err ski_otlp_start(const ski_otlp_options *options, ski_otlp **ret_otlp,
                         skald_error *reterr_error)
{
    ski_otlp *otlp = ski_alloc_zeroed(1, sizeof *otlp);
    skald_error error = {0};
    skald_err err;

    if (!otlp) return skald_fail(reterr_error, SKALD_ENOMEM, "out of memory");
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        ski_free(otlp);
        return skald_fail(reterr_error, SKALD_ENOMEM, "libcurl cannot be started");
    }
    otlp->options = *options;
    defaults_set(&otlp->options);
    otlp->kernel = otlp->options.kernel;
    otlp->url.bytes_max = SKI_OTLP_HEADERS_BYTES_MAX;
    otlp->body.bytes_max = otlp->coded.bytes_max = body_bytes_max;
    otlp->answer.bytes_max = answer_bytes_max;
    ski_mutex_init(&otlp->lock);
    ski_cond_init(&otlp->wake);
    ski_circuit_init(&otlp->circuit, "otlp", options->log, options->open_ms);
    err = otlp_prepare(otlp, &error);
    if (err) {
        otlp_free(otlp);
        return skald_fail(reterr_error, err, "%s", error.err ? error.text : skald_err_text(err));
    }
    *ret_otlp = otlp;
    return SKALD_OK;
}

void ski_otlp_stop(ski_otlp *otlp, uint32_t timeout_ms)
{
    if (!otlp) return;
    ski_mutex_lock(&otlp->lock);
    otlp->stopping = true;
    otlp->stop_at_ns = now_ns(otlp) + timeout_ms * NS_PER_MS;
    ski_cond_broadcast(&otlp->wake);
    ski_mutex_unlock(&otlp->lock);
    otlp->kernel->join(otlp->kernel->context, otlp->thread);
    otlp_free(otlp);
}

ski_tracer *ski_otlp_tracer(ski_otlp *otlp)
{
    return otlp ? &otlp->tracer : NULL;
}

void ski_otlp_counters_get(ski_otlp *otlp, ski_otlp_counters *ret_counters)
{
    ski_mutex_lock(&otlp->lock);
    *ret_counters = (ski_otlp_counters){
        .exported = otlp->exported,
        .dropped = otlp->dropped,
        .failed = otlp->failed,
        .retries = otlp->retries,
        .queued = otlp->count,
        .queue_max = otlp->options.queue_max,
    };
    ski_mutex_unlock(&otlp->lock);
    ret_counters->circuit = ski_circuit_state(&otlp->circuit, now_ns(otlp));
}
