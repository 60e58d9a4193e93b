// SPDX-License-Identifier: Apache-2.0
// Trace contexts: what is one and what is not, and ids that differ.
#include "base/histogram.h"
#include "base/str.h"
#include "base/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
// cmocka wants the four above first
#include <cmocka.h>

#define GOOD "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static void reads_and_writes(void **state SKALD_UNUSED)
{
    ski_trace trace = {0};
    char text[SKI_TRACE_TEXT + 1];

    assert_true(ski_trace_parse(SKALD_STR(GOOD), &trace));
    assert_true(trace.sampled);
    assert_int_equal(trace.trace_id[0], 0x0a);
    assert_int_equal(trace.trace_id[15], 0x9c);
    assert_int_equal(trace.span_id[7], 0x31);
    ski_trace_print(&trace, text);
    assert_string_equal(text, GOOD);
    trace.sampled = false;
    ski_trace_print(&trace, text);
    assert_string_equal(text + 53, "00");
}

static void knows_the_flags_and_later_versions(void **state SKALD_UNUSED)
{
    static const struct {
        const char *text;
        bool sampled;
    } good[] = {
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", false},
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03", true},
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-fe", false},
        {"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true},
        {"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-more", true},
    };

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ski_trace trace = {0};
        assert_true(ski_trace_parse(skald_str_of(good[i].text), &trace));
        assert_int_equal(trace.sampled, good[i].sampled);
    }
}

static void refuses_what_is_none(void **state SKALD_UNUSED)
{
    static const char *const bad[] = {
        "",
        "00",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01",
        "0x-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ski_trace trace = {0};
        assert_false(ski_trace_parse(skald_str_of(bad[i]), &trace));
        assert_false(ski_trace_given(&trace));
    }
}

static void makes_ids_that_differ(void **state SKALD_UNUSED)
{
    ski_tracer tracer = {.seed = 42, .sampled_of_million = 1000000};
    ski_trace one = ski_trace_root(&tracer);
    ski_trace two = ski_trace_root(&tracer);
    ski_trace child = ski_trace_child(&tracer, &one);
    ski_trace other = ski_trace_child(&tracer, &one);
    ski_trace named = ski_trace_child_of(&tracer, &one, 7);
    ski_trace again = ski_trace_child_of(&tracer, &one, 7);

    assert_memory_not_equal(one.trace_id, two.trace_id, 16);
    assert_memory_equal(one.trace_id, child.trace_id, 16);
    assert_memory_not_equal(one.span_id, child.span_id, 8);
    assert_memory_not_equal(child.span_id, other.span_id, 8);
    assert_memory_equal(named.span_id, again.span_id, 8);
    again = ski_trace_child_of(&tracer, &one, 8);
    assert_memory_not_equal(named.span_id, again.span_id, 8);
    assert_true(one.sampled && child.sampled && named.sampled);
}

static void samples_the_part_it_is_told(void **state SKALD_UNUSED)
{
    static const uint32_t parts[] = {0, 250000, 1000000};
    enum { roots = 20000 };

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        ski_tracer tracer = {.seed = 7, .sampled_of_million = parts[i]};
        unsigned sampled = 0;
        for (int n = 0; n < roots; n++) sampled += ski_trace_root(&tracer).sampled;
        assert_in_range(sampled, (uint64_t)parts[i] * roots / 1000000 * 9 / 10,
                        (uint64_t)parts[i] * roots / 1000000 * 11 / 10);
    }
}

static void puts_times_into_buckets(void **state SKALD_UNUSED)
{
    ski_histogram histogram = {0};
    ski_histogram_seen seen;

    ski_histogram_add(&histogram, 0);
    ski_histogram_add(&histogram, ski_histogram_bounds_ns[0]);
    ski_histogram_add(&histogram, ski_histogram_bounds_ns[0] + 1);
    ski_histogram_add(&histogram, UINT64_C(3600) * 1000000000);
    ski_histogram_see(&histogram, &seen);
    assert_int_equal(seen.counts[0], 2);
    assert_int_equal(seen.counts[1], 1);
    assert_int_equal(seen.counts[SKI_HISTOGRAM_BOUNDS], 1);
    assert_int_equal(seen.all, 4);
    assert_int_equal(seen.sum_ns, 2 * ski_histogram_bounds_ns[0] + 1 + UINT64_C(3600) * 1000000000);
    for (size_t i = 1; i < SKI_HISTOGRAM_BOUNDS; i++)
        assert_true(ski_histogram_bounds_ns[i - 1] < ski_histogram_bounds_ns[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes),
        cmocka_unit_test(knows_the_flags_and_later_versions),
        cmocka_unit_test(refuses_what_is_none),
        cmocka_unit_test(makes_ids_that_differ),
        cmocka_unit_test(samples_the_part_it_is_told),
        cmocka_unit_test(puts_times_into_buckets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
