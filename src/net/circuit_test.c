// SPDX-License-Identifier: Apache-2.0
// A circuit by a clock of its own: what it lets through, when, and what it tells.
#include "base/log.h"
#include "net/circuit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
// cmocka wants the four above first
#include <cmocka.h>

#define S UINT64_C(1000000000)

static void note_line(void *context, skald_level level SKALD_UNUSED, skald_str line)
{
    static const char *const states[] = {"\"closed\"", "\"half_open\"", "\"open\""};
    char *noted = context;

    assert_non_null(memmem(line.ptr, line.len, "\"circuit\":\"here\"", 16));
    for (size_t i = 0; i < 3; i++) {
        if (memmem(line.ptr, line.len, states[i], strlen(states[i])))
            noted[strlen(noted)] = "ch!"[i];
    }
}

static void opens_tries_and_closes(void **state SKALD_UNUSED)
{
    char noted[32] = "";
    const skald_log log = {.line = note_line, .context = noted, .level_min = SKALD_INFO};
    ski_circuit circuit;

    ski_circuit_init(&circuit, "here", &log, 0);
    for (int i = 1; i < SKI_CIRCUIT_FAILURES_MAX; i++) {
        assert_true(ski_circuit_allow(&circuit, S));
        ski_circuit_report(&circuit, S, false);
        assert_int_equal(ski_circuit_state(&circuit, S), SKALD_BREAKER_CLOSED);
        assert_int_equal(ski_circuit_wait_ns(&circuit, S), 0);
    }
    assert_true(ski_circuit_allow(&circuit, S));
    ski_circuit_report(&circuit, S, false);
    assert_string_equal(noted, "!");
    assert_false(ski_circuit_allow(&circuit, 30 * S));
    assert_int_equal(ski_circuit_wait_ns(&circuit, 30 * S), S);
    assert_int_equal(ski_circuit_state(&circuit, 30 * S), SKALD_BREAKER_OPEN);
    // One trial, and nobody beside it.
    assert_int_equal(ski_circuit_wait_ns(&circuit, 31 * S), 0);
    assert_true(ski_circuit_allow(&circuit, 31 * S));
    assert_false(ski_circuit_allow(&circuit, 31 * S));
    assert_int_equal(ski_circuit_state(&circuit, 31 * S), SKALD_BREAKER_HALF_OPEN);
    ski_circuit_report(&circuit, 32 * S, false);
    assert_int_equal(ski_circuit_wait_ns(&circuit, 32 * S), 30 * S);
    assert_true(ski_circuit_allow(&circuit, 62 * S));
    ski_circuit_report(&circuit, 62 * S, true);
    assert_int_equal(ski_circuit_state(&circuit, 62 * S), SKALD_BREAKER_CLOSED);
    assert_string_equal(noted, "!h!hc");
    ski_circuit_fini(&circuit);
}

// Nobody need be told, and a circuit may be open for as long as its owner says.
static void works_without_a_log(void **state SKALD_UNUSED)
{
    ski_circuit circuit;

    ski_circuit_init(&circuit, "here", NULL, 7);
    for (int i = 1; i <= SKI_CIRCUIT_FAILURES_MAX; i++) {
        assert_true(ski_circuit_allow(&circuit, S));
        ski_circuit_report(&circuit, S, false);
    }
    assert_false(ski_circuit_allow(&circuit, S));
    assert_int_equal(ski_circuit_wait_ns(&circuit, S), UINT64_C(7000000));
    ski_circuit_fini(&circuit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_tries_and_closes),
        cmocka_unit_test(works_without_a_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
