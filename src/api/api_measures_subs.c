// SPDX-License-Identifier: Apache-2.0
// What /metrics says of subscriptions: a set of series for each durable one, whose names last, as
// far as there are not too many; one set for all others together. Live ones are only counted.
#include "api/api_metrics.h"
#include "api/metrics_text.h"
#include "base/buf.h"
#include "base/str.h"

#include <stdlib.h>

enum { labels_bytes_max = 4096 };

typedef enum measure {
    MEASURE_LAG,
    MEASURE_IN_FLIGHT,
    MEASURE_RETRYING,
    MEASURE_PARKED,
    MEASURE_DEAD,
    MEASURE_ACKED,
    MEASURE_RETRIED,
    MEASURE_REJECTED,
    MEASURE_TIMED_OUT,
    MEASURE_EXPIRED,
    MEASURE_IN_RATE,
    MEASURE_OUT_RATE,
    MEASURE_UP,
    MEASURE_FAULTED,
    MEASURE_PAUSED,
    MEASURE_STALE,
    MEASURES
} measure;

// highest: of several the highest counts, not the sum.
static const struct {
    const char *name, *help, *kind;
    bool highest;
} families[MEASURES] = {
    [MEASURE_LAG] = {"skald_subscription_lag", "Events behind the log's end.", "gauge", true},
    [MEASURE_IN_FLIGHT] = {"skald_subscription_in_flight", "Deliveries not ended.", "gauge", false},
    [MEASURE_RETRYING] = {"skald_subscription_retrying", "Of them, those that wait for an attempt.",
                          "gauge", false},
    [MEASURE_PARKED] = {"skald_subscription_parked_keys", "Keys that are parked.", "gauge", false},
    [MEASURE_DEAD] = {"skald_subscription_dead_letters", "Dead letters.", "gauge", false},
    [MEASURE_ACKED] = {"skald_subscription_acked_total", "Deliveries done.", "counter", false},
    [MEASURE_RETRIED] = {"skald_subscription_retried_total", "Attempts that are to be repeated.",
                         "counter", false},
    [MEASURE_REJECTED] = {"skald_subscription_rejected_total", "Deliveries refused for good.",
                          "counter", false},
    [MEASURE_TIMED_OUT] = {"skald_subscription_timed_out_total", "Deliveries not ended in time.",
                           "counter", false},
    [MEASURE_EXPIRED] = {"skald_subscription_expired_total", "Events that came too late.",
                         "counter", false},
    [MEASURE_IN_RATE] = {"skald_subscription_intake_rate",
                         "Events taken in a second, over the last ten or so.", "gauge", false},
    [MEASURE_OUT_RATE] = {"skald_subscription_done_rate",
                          "Deliveries done in a second, over the last ten or so.", "gauge", false},
    [MEASURE_UP] = {"skald_subscription_running",
                    "1 while it runs; 0: paused, draining, faulted, or nobody runs it.", "gauge",
                    false},
    [MEASURE_FAULTED] = {"skald_subscription_faulted", "1 while it is halted by a failure.",
                         "gauge", false},
    [MEASURE_PAUSED] = {"skald_subscription_paused", "1 while it is paused.", "gauge", false},
    [MEASURE_STALE] = {"skald_subscription_stale", "1 while it has had no consumer for too long.",
                       "gauge", false},
};

typedef struct row {
    skald_str name, kind;
    double values[MEASURES];
} row;

static bool in_state(const skald_subscription_state *state, const char *name)
{
    return skald_str_equal(state->state, skald_str_of(name));
}

static row row_of(const skald_subscription_state *state)
{
    return (row){
        .name = state->name,
        .kind = state->kind,
        .values =
            {
                [MEASURE_LAG] = (double)state->lag,
                [MEASURE_IN_FLIGHT] = state->in_flight,
                [MEASURE_RETRYING] = state->retrying,
                [MEASURE_PARKED] = state->parked,
                [MEASURE_DEAD] = state->dead,
                [MEASURE_ACKED] = (double)state->acked,
                [MEASURE_RETRIED] = (double)state->retried,
                [MEASURE_REJECTED] = (double)state->rejected,
                [MEASURE_TIMED_OUT] = (double)state->timed_out,
                [MEASURE_EXPIRED] = (double)state->expired,
                [MEASURE_IN_RATE] = state->in_per_s,
                [MEASURE_OUT_RATE] = state->out_per_s,
                [MEASURE_UP] = in_state(state, "running"),
                [MEASURE_FAULTED] = in_state(state, "faulted"),
                [MEASURE_PAUSED] = in_state(state, "paused"),
                [MEASURE_STALE] = state->stale,
            },
    };
}

static void row_add(row *to, const row *more)
{
    for (int i = 0; i < MEASURES; i++) {
        if (!families[i].highest)
            to->values[i] += more->values[i];
        else if (more->values[i] > to->values[i])
            to->values[i] = more->values[i];
    }
}

static int state_compare(const void *a, const void *b)
{
    const skald_subscription_state *const *one = a;
    const skald_subscription_state *const *two = b;

    return ski_str_compare((*one)->name, (*two)->name);
}

// rows_make gives the rows of durable subscriptions, by name; *ret_live is how many are not.
static skald_err rows_make(const ski_measured *measured, row **ret_rows, size_t *ret_count,
                           size_t *ret_durable, size_t *ret_live)
{
    const skald_subscription_state *states = NULL;
    const skald_subscription_state **durable;
    size_t count = 0;
    size_t found = 0;
    size_t rows_count = 0;
    row *rows;

    SKALD_TRY(skald_bus_subscriptions(measured->bus, measured->scratch, &states, &count));
    durable = skald_arena_get(measured->scratch, (count + 1) * sizeof *durable);
    rows = skald_arena_get(measured->scratch, (SKI_MEASURES_SUBSCRIPTIONS_MAX + 1) * sizeof *rows);
    if (!durable || !rows) return SKALD_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (states[i].durable) durable[found++] = &states[i];
    }
    if (found) qsort(durable, found, sizeof *durable, state_compare);
    for (size_t i = 0; i < found; i++) {
        row one = row_of(durable[i]);

        if (i < SKI_MEASURES_SUBSCRIPTIONS_MAX)
            rows[rows_count++] = one;
        else
            row_add(&rows[SKI_MEASURES_SUBSCRIPTIONS_MAX], &one);
    }
    if (found > SKI_MEASURES_SUBSCRIPTIONS_MAX) {
        rows[rows_count].name = SKALD_STR("(others)");
        rows[rows_count++].kind = SKALD_STR("others");
    }
    *ret_rows = rows;
    *ret_count = rows_count;
    *ret_durable = found;
    *ret_live = count - found;
    return SKALD_OK;
}

static skald_err labels_make(const row *of, skald_buf *buf)
{
    buf->len = 0;
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{name=\"")));
    SKALD_TRY(ski_metric_label(of->name, buf));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("\",kind=\"")));
    SKALD_TRY(ski_metric_label(of->kind, buf));
    return skald_buf_put(buf, SKALD_STR("\"}"));
}

skald_err ski_measures_subscriptions_put(const ski_measured *measured, skald_buf *buf)
{
    skald_buf labels = {.bytes_max = labels_bytes_max};
    row *rows = NULL;
    size_t count = 0;
    size_t durable = 0;
    size_t live = 0;
    skald_err err = rows_make(measured, &rows, &count, &durable, &live);

    for (int i = 0; i < MEASURES && !err; i++) {
        err = ski_metric_head(families[i].name, families[i].help, families[i].kind, buf);
        for (size_t at = 0; at < count && !err; at++) {
            err = labels_make(&rows[at], &labels);
            if (!err)
                err = ski_buf_print(buf, "%s%.*s %.17g\n", families[i].name, (int)labels.len,
                                    labels.ptr, rows[at].values[i]);
        }
    }
    skald_buf_fini(&labels);
    if (err) return err;
    SKALD_TRY(ski_metric_head("skald_subscriptions", "Subscriptions there are.", "gauge", buf));
    return ski_buf_print(buf,
                         "skald_subscriptions{durable=\"true\"} %zu\n"
                         "skald_subscriptions{durable=\"false\"} %zu\n",
                         durable, live);
}
