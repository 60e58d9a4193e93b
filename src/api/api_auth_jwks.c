// SPDX-License-Identifier: Apache-2.0
// The keys of tokens, read again now and then by a thread of its own.
//
// Invariants:
//   1. Whoever verifies has a set of their own and takes a newer one when they like: nobody waits
//   for the provider, and no set is freed under a reader.
//   2. What could not be read, or is not sound, replaces nothing: the last good set stays.
//   3. Tokens with made-up keys cannot make us ask the provider more than SKI_JWKS_ASKED_PER_MIN
//   times a minute in the long run.
//   4. A provider that fails SKI_CIRCUIT_FAILURES_MAX times in a row is not asked for
//   SKI_JWKS_AGAIN_FAILED_S, whoever wants it; then once (net/circuit.h). A file has no circuit.
//   5. Only the URL that was configured is asked: no redirects, no other protocol, https or this
//   machine.
#include "api/api_auth_token.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "net/circuit.h"

#include <curl/curl.h>
#include <string.h>

struct ski_jwks_source {
    const char *file, *url; // one of them
    unsigned algs;
    const skald_log *log;
    const ski_kernel *kernel;
    ski_thread thread;
    bool curl_begun;
    ski_circuit circuit; // to the URL
    // lock
    ski_mutex lock;
    ski_cond wake;
    ski_jwks *fresh;       // not taken yet
    skald_bucket asked_at; // of what ask may do
    bool asked, stopping;
};

static bool url_allowed(const char *url)
{
    static const char *const begins[] = {
        "https://",          "http://127.0.0.1:", "http://127.0.0.1/", "http://localhost:",
        "http://localhost/", "http://[::1]:",     "http://[::1]/"};
    const char *slashes = strstr(url, "://");

    // "http://localhost:x@evil.example/": what stands before an '@' is no host.
    if (!slashes || memchr(slashes + 3, '@', strcspn(slashes + 3, "/?#"))) return false;
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (strncmp(url, begins[i], strlen(begins[i])) == 0) return true;
    return false;
}

static size_t keep_bytes(char *bytes, size_t size, size_t count, void *context)
{
    return skald_buf_put(context, ski_str(bytes, size * count)) ? 0 : size * count;
}

// stops ends a transfer that nobody waits for any more.
static int stops(void *context, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
                 curl_off_t up)
{
    ski_jwks_source *source = context;
    int stopping;

    (void)down_all, (void)down, (void)up_all, (void)up;
    ski_mutex_lock(&source->lock);
    stopping = source->stopping;
    ski_mutex_unlock(&source->lock);
    return stopping;
}

static skald_err fetch(ski_jwks_source *source, skald_buf *buf, skald_error *reterr_error)
{
    const char *url = source->url;
    bool plain = strncmp(url, "https:", 6) != 0; // to this machine, so never by a proxy
    CURL *curl = curl_easy_init();
    long status = 0;
    CURLcode code;

    if (!curl) return SKALD_ENOMEM;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, plain ? "http" : "https");
    if (plain) curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)SKI_JWKS_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_MAXFILESIZE, (long)SKI_JOSE_JWKS_BYTES_MAX);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "skald/" SKALD_VERSION_TEXT);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, stops);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, source);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, buf);
    code = curl_easy_perform(curl);
    if (code == CURLE_OK) curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    if (code != CURLE_OK)
        return skald_fail(reterr_error, SKALD_EUNAVAILABLE, "%s", curl_easy_strerror(code));
    if (status != 200)
        return skald_fail(reterr_error, SKALD_EUNAVAILABLE, "it answers %ld", status);
    return SKALD_OK;
}

static skald_err read_keys(ski_jwks_source *source, ski_jwks **ret_jwks, skald_error *reterr_error)
{
    skald_buf buf = {.bytes_max = SKI_JOSE_JWKS_BYTES_MAX};
    skald_err err = source->file
                        ? ski_kernel_read_file(source->kernel, source->file, &buf, reterr_error)
                        : fetch(source, &buf, reterr_error);

    if (!err) err = ski_jwks_read(ski_buf_str(&buf), source->algs, ret_jwks, reterr_error);
    skald_buf_fini(&buf);
    return err;
}

static uint64_t now_ns(const ski_jwks_source *source)
{
    return source->kernel->monotonic_ns(source->kernel->context);
}

// read_once reads the keys, and keeps them if they are sound.
static bool read_once(ski_jwks_source *source)
{
    ski_jwks *jwks = NULL, *old;
    skald_error error = {0};
    skald_err err;

    if (source->url && !ski_circuit_allow(&source->circuit, now_ns(source))) return false;
    err = read_keys(source, &jwks, &error);
    if (source->url) ski_circuit_report(&source->circuit, now_ns(source), !err);
    if (err) {
        // Not the URL: it may hold a password or a token.
        ski_log_line(source->log, SKALD_WARN,
                     "the keys of tokens cannot be read; those there are "
                     "stay",
                     "from", source->file ? source->file : "auth.jwt.keys_url", "why",
                     error.text[0] ? error.text : skald_err_text(err), NULL);
        return false;
    }
    ski_mutex_lock(&source->lock);
    old = source->fresh;
    source->fresh = jwks;
    ski_mutex_unlock(&source->lock);
    ski_jwks_free(old);
    return true;
}

// wait_next waits until it is time to read again; false: the thread is to end.
static bool wait_next(ski_jwks_source *source, bool done)
{
    const uint64_t ns_per_s = 1000000000;
    uint64_t began = now_ns(source);
    uint64_t until = began + (done ? SKI_JWKS_AGAIN_S : SKI_JWKS_AGAIN_FAILED_S) * ns_per_s;
    // Whoever asks while the circuit is open waits for it.
    uint64_t asked_until = began + ski_circuit_wait_ns(&source->circuit, began);
    bool goes_on;

    ski_mutex_lock(&source->lock);
    while (!source->stopping) {
        uint64_t now = now_ns(source), end = source->asked ? asked_until : until;

        if (now >= end) break;
        (void)ski_cond_wait_ns(&source->wake, &source->lock, end - now);
    }
    source->asked = false;
    goes_on = !source->stopping;
    ski_mutex_unlock(&source->lock);
    return goes_on;
}

static void run(void *context)
{
    ski_jwks_source *source = context;
    // A file was read before the thread began.
    bool done = source->file ? true : read_once(source);

    while (wait_next(source, done)) done = read_once(source);
}

static skald_err source_begin(ski_jwks_source *source, skald_error *reterr_error)
{
    if (source->url && !url_allowed(source->url))
        return skald_fail_at(reterr_error, SKALD_EINVALID, "auth.jwt.keys_url",
                             "must begin with https://, or with http:// and name this machine");
    if (source->file) SKALD_TRY(read_keys(source, &source->fresh, reterr_error));
    if (source->url && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return SKALD_ENOMEM;
    source->curl_begun = source->url != NULL;
    return source->kernel->spawn(source->kernel->context, "skald-jwks", run, source,
                                 &source->thread);
}

skald_err ski_jwks_source_new(const ski_token_options *options, unsigned algs, const skald_log *log,
                              const ski_kernel *kernel, ski_jwks_source **ret_source,
                              skald_error *reterr_error)
{
    ski_jwks_source *source = ski_alloc_zeroed(1, sizeof *source);
    skald_err err;

    if (!source) return SKALD_ENOMEM;
    source->file = options->keys_file;
    source->url = options->keys_url;
    source->algs = algs;
    source->log = log;
    source->kernel = kernel;
    source->asked_at =
        (skald_bucket){.rate_per_min = SKI_JWKS_ASKED_PER_MIN, .burst_max = SKI_JWKS_ASKED_BURST};
    ski_mutex_init(&source->lock);
    ski_cond_init(&source->wake);
    ski_circuit_init(&source->circuit, "jwks", log, SKI_JWKS_AGAIN_FAILED_S * 1000);
    err = source_begin(source, reterr_error);
    if (err)
        ski_jwks_source_free(source);
    else
        *ret_source = source;
    return err;
}

void ski_jwks_source_free(ski_jwks_source *source)
{
    if (!source) return;
    ski_mutex_lock(&source->lock);
    source->stopping = true;
    ski_cond_signal(&source->wake);
    ski_mutex_unlock(&source->lock);
    if (source->thread.id) source->kernel->join(source->kernel->context, source->thread);
    if (source->curl_begun) curl_global_cleanup();
    ski_jwks_free(source->fresh);
    ski_circuit_fini(&source->circuit);
    ski_cond_fini(&source->wake);
    ski_mutex_fini(&source->lock);
    ski_free(source);
}

bool ski_jwks_source_circuit(ski_jwks_source *source, skald_breaker_state *ret_state)
{
    if (!source->url) return false;
    *ret_state = ski_circuit_state(&source->circuit, now_ns(source));
    return true;
}

bool ski_jwks_source_take(ski_jwks_source *source, ski_jwks **jwks)
{
    ski_jwks *fresh;

    ski_mutex_lock(&source->lock);
    fresh = source->fresh;
    source->fresh = NULL;
    ski_mutex_unlock(&source->lock);
    if (!fresh) return false;
    ski_jwks_free(*jwks);
    *jwks = fresh;
    return true;
}

void ski_jwks_source_ask(ski_jwks_source *source)
{
    uint64_t now = now_ns(source);

    ski_mutex_lock(&source->lock);
    if (!source->asked && !skald_bucket_take(&source->asked_at, now, 1)) {
        source->asked = true;
        ski_cond_signal(&source->wake);
    }
    ski_mutex_unlock(&source->lock);
}
