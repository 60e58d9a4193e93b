// SPDX-License-Identifier: Apache-2.0
// Would a broken promise be noticed? The kernel lies, and the same cases that pass without the lie
// must find acknowledged data missing. A suite that lets a lie live tests nothing.
#include "sim/sim_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { found_enough = 10 };

// wrong_is_loss: acknowledged data is missing, or the store sees that something is and does not
// open.
static bool wrong_is_loss(const char *wrong)
{
    return strstr(wrong, "was acknowledged and is not there") ||
           strstr(wrong, "open after it fails with CORRUPT");
}

// lie_found runs cases with one fault until enough of them have lost data; returns how many have.
// Without the lie each of them must hold.
static unsigned lie_found(sim_lie lie, sim_fault fault, uint64_t seed)
{
    unsigned found = 0;

    for (const sim_workload *workload = sim_workloads; workload->name && found < found_enough;
         workload++) {
        sim_case clean = {.workload = workload};
        sim_result trace, result;

        sim_case_run(&clean, &trace);
        for (uint64_t op = 1; op <= trace.op_count && found < found_enough; op++) {
            sim_case of = {.workload = workload, .fault = fault, .op = op, .seed = seed};

            if (!sim_fault_fits(fault, (sim_op)trace.ops[op - 1])) continue;
            sim_case_run(&of, &result);
            assert_string_equal(result.wrong, "");
            of.lie = lie;
            sim_case_run(&of, &result);
            found += wrong_is_loss(result.wrong);
        }
    }
    return found;
}

static void test_a_sync_that_does_nothing(void **state)
{
    (void)state;
    assert_int_equal(lie_found(SIM_LIE_SYNC, SIM_FAULT_CRASH_BEFORE, SIM_FATE_LOST), found_enough);
    assert_int_equal(lie_found(SIM_LIE_SYNC, SIM_FAULT_CRASH_BEFORE, SIM_FATE_METADATA_ONLY),
                     found_enough);
    assert_int_equal(lie_found(SIM_LIE_SYNC, SIM_FAULT_CRASH_BEFORE, SIM_FATE_MIXED), found_enough);
}

static void test_a_sync_dir_that_does_nothing(void **state)
{
    (void)state;
    assert_int_equal(lie_found(SIM_LIE_SYNC_DIR, SIM_FAULT_CRASH_BEFORE, SIM_FATE_LOST),
                     found_enough);
    assert_int_equal(lie_found(SIM_LIE_SYNC_DIR, SIM_FAULT_CRASH_BEFORE, SIM_FATE_DATA_ONLY),
                     found_enough);
}

// After a failed sync the cache shows what the device does not have.
static void test_a_forget_that_does_nothing(void **state)
{
    (void)state;
    assert_int_equal(lie_found(SIM_LIE_FORGET, SIM_FAULT_SYNC_EXT4, SIM_FATE_LOST), found_enough);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sync_that_does_nothing),
        cmocka_unit_test(test_a_sync_dir_that_does_nothing),
        cmocka_unit_test(test_a_forget_that_does_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
