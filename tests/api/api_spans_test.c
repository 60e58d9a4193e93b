// SPDX-License-Identifier: Apache-2.0
// A trace through everything: a request, its event, the handler it reaches and the event that one
// publishes, as a collector gets them from the exporter. And readiness while things end.
#include "api/http_client.h"
#include "base/json.h"
#include "os/kernel.h"
#include "os/thread.h"
#include "telemetry/otlp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
// cmocka wants the four above first
#include <cmocka.h>

enum { body_bytes = 256 * 1024 };

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define GIVEN "00-" TRACE "-b7ad6b7169203331-01"

// The collector keeps the bodies it is sent, one behind the other.
typedef struct collector {
    ski_http *http;
    ski_mutex lock;
    char body[body_bytes];
    size_t len;
} collector;

static skald_err collect(ski_http_request *request, skald_error *reterr_error SKALD_UNUSED)
{
    collector *to = request->context;

    ski_mutex_lock(&to->lock);
    assert_true(to->len + request->body.len < sizeof to->body);
    memcpy(to->body + to->len, request->body.ptr, request->body.len);
    to->len += request->body.len;
    to->body[to->len] = 0;
    ski_mutex_unlock(&to->lock);
    return ski_http_reply_send(request->http, request->id,
                               &(ski_http_reply){.status = 200, .body = SKALD_STR("{}")});
}

static const ski_http_route collector_routes[] = {
    {.method = "POST", .path = "/v1/traces", .handle = collect},
    {.method = NULL},
};

static skald_outcome mails(const skald_delivery *delivery)
{
    skald_event event = {.type = SKALD_STR("mail.sent"), .data = SKALD_STR("{}")};

    return skald_delivery_publish(delivery, event, NULL) ? SKALD_RETRY : SKALD_ACK;
}

typedef struct found {
    char id[17], parent[17];
} found;

// member_copy gives 16 characters of a member that stands before the name.
static void member_copy(const char *span, const char *name, char ret_text[17])
{
    const char *at = strstr(span, name);

    assert_non_null(at);
    memcpy(ret_text, at + strlen(name), 16);
    ret_text[16] = 0;
}

// span_of finds the one span of the trace with that name.
static found span_of(const collector *in, const char *name)
{
    char wanted[128];
    const char *at;
    const char *begin;
    found span = {{0}, {0}};

    snprintf(wanted, sizeof wanted, "\"name\":\"%s\"", name);
    at = strstr(in->body, wanted);
    if (!at) fail_msg("there is no span '%s' in %s", name, in->body);
    assert_null(strstr(at + 1, wanted));
    for (begin = at; strncmp(begin, "{\"traceId\":\"" TRACE, 44) != 0; begin--)
        assert_true(begin > in->body);
    member_copy(begin, "\"spanId\":\"", span.id);
    member_copy(begin, "\"parentSpanId\":\"", span.parent);
    return span;
}

static void reaches_from_request_to_the_next_event(void **state SKALD_UNUSED)
{
    static collector to;
    static api_world world;
    char url[64];
    ski_otlp *otlp = NULL;
    ski_http_options options = {.routes = collector_routes,
                                .context = &to,
                                .kernel = &ski_kernel_system};

    ski_mutex_init(&to.lock);
    assert_int_equal(ski_http_start(&options, &to.http, NULL), SKALD_OK);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", ski_http_port(to.http));
    assert_int_equal(ski_otlp_start(&(ski_otlp_options){.url = url, .delay_ms = 20}, &otlp, NULL),
                     SKALD_OK);
    api_world_open_with(&world, &(ski_api_options){.otlp = otlp});
    skald_str type = SKALD_STR("order.paid");
    skald_subscription subscription;
    skald_subscription_options subscribe = {.name = "mailer",
                                            .filter.types = {&type, 1},
                                            .handler = {.fn = mails}};

    assert_int_equal(skald_subscribe(world.bus, &subscribe, &subscription, NULL), SKALD_OK);
    const api_answer *answer =
        api_ask(&world, "POST", "/api/events", "application/json",
                SKALD_STR("{\"type\":\"order.paid\"}"), "traceparent: " GIVEN "\r\n");
    assert_int_equal(answer->status, 201);
    assert_non_null(strstr(answer->head, "traceparent: 00-" TRACE "-"));
    assert_non_null(api_wait(&world, "/api/events?type=mail.sent", "\"mail.sent\""));
    api_world_close(&world);
    ski_otlp_stop(otlp, 5000);
    ski_mutex_lock(&to.lock); // from here on what the collector wrote can be read
    ski_mutex_unlock(&to.lock);

    found request = span_of(&to, "POST /api/events"), first = span_of(&to, "publish order.paid"),
          process = span_of(&to, "process order.paid"), second = span_of(&to, "publish mail.sent");
    assert_string_equal(request.parent, "b7ad6b7169203331");
    assert_string_equal(first.parent, request.id);
    assert_string_equal(process.parent, first.id);
    assert_string_equal(second.parent, process.id);
    assert_null(strstr(to.body, "\"name\":\"GET /api/events\"")); // it had no parent; none begins
    (void)ski_http_stop(to.http, 1000);
    ski_mutex_fini(&to.lock);
}

static void a_bus_that_stops_is_not_ready(void **state SKALD_UNUSED)
{
    static api_world world;

    api_world_open(&world);
    const api_answer *answer = api_get(&world, "/ready");
    assert_int_equal(answer->status, 200);
    assert_null(strstr(answer->body, "\"disk\"")); // it is in memory
    (void)skald_bus_stop(world.bus, 1000);
    answer = api_get(&world, "/ready");
    assert_int_equal(answer->status, 503);
    assert_non_null(strstr(answer->body, "{\"status\":\"down\""));
    assert_non_null(strstr(answer->body, "\"bus\":{\"status\":\"stopping\""));
    assert_int_equal(api_get(&world, "/health")->status, 200);
    assert_int_equal(api_get(&world, "/metrics")->status, 200);
    api_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reaches_from_request_to_the_next_event),
        cmocka_unit_test(a_bus_that_stops_is_not_ready),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
