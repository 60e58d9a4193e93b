// SPDX-License-Identifier: Apache-2.0
// What this server calls over the network, and how the circuit to each is: as metrics and as a part
// of /ready. Only what is configured is shown, so there are at most two.
#include "api/api_parts.h"
#include "api/metrics_text.h"
#include "base/buf.h"
#include "net/circuit.h"
#include "telemetry/otlp.h"

enum { circuits_max = 2 };

typedef struct circuit_seen {
    const char *name;
    skald_breaker_state state;
} circuit_seen;

static size_t circuits_see(const ski_api *api, circuit_seen ret_seen[circuits_max])
{
    size_t count = 0;

    if (api->options.otlp) {
        ski_otlp_counters counters;

        ski_otlp_counters_get(api->options.otlp, &counters);
        ret_seen[count++] = (circuit_seen){"otlp", counters.circuit};
    }
    if (ski_auth_circuit(api->auth, &ret_seen[count].state)) ret_seen[count++].name = "jwks";
    return count;
}

// figure_of: the worse, the higher, so that an alert can compare.
static unsigned figure_of(skald_breaker_state state)
{
    switch (state) {
    case SKALD_BREAKER_OPEN: return 2;
    case SKALD_BREAKER_HALF_OPEN: return 1;
    case SKALD_BREAKER_CLOSED: break;
    }
    return 0;
}

skald_err ski_circuits_metrics(const ski_api *api, skald_buf *buf)
{
    circuit_seen seen[circuits_max];
    size_t count = circuits_see(api, seen);

    SKALD_TRY(ski_metric_head("skald_circuit_state",
                              "What this server calls: 0 closed, 1 half open, 2 open (not called "
                              "for a while, as it failed).",
                              "gauge", buf));
    for (size_t i = 0; i < count; i++) {
        SKALD_TRY(ski_buf_print(buf, "skald_circuit_state{name=\"%s\"} %u\n", seen[i].name,
                                figure_of(seen[i].state)));
    }
    return SKALD_OK;
}

skald_err ski_circuits_part(const ski_api *api, skald_buf *buf)
{
    circuit_seen seen[circuits_max];
    size_t count = circuits_see(api, seen);
    bool open = false;

    if (!count) return SKALD_OK;
    for (size_t i = 0; i < count; i++) open = open || seen[i].state != SKALD_BREAKER_CLOSED;
    SKALD_TRY(ski_buf_print(buf, ",\"circuits\":{\"status\":\"%s\"", open ? "open" : "ok"));
    for (size_t i = 0; i < count; i++) {
        SKALD_TRY(ski_buf_print(buf, ",\"%s\":\"%s\"", seen[i].name,
                                ski_circuit_state_name(seen[i].state)));
    }
    return ski_buf_byte(buf, '}');
}
