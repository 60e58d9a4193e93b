// SPDX-License-Identifier: Apache-2.0
// Every workload, every operation, every fault that fits it: the log driver must come through all
// of them.
//
// SKALD_SIM="workload:op:fault:seed" runs just that case and shows its operations.
// SKALD_SIM_ROUNDS=N runs N times as many seeds. SKALD_SIM_SEED=N adds N to those of mixed
// outcomes: of all others when it is 8 times the rounds or more, for no fault has more seeds.
// SKALD_SIM_WORKLOAD=TEXT runs the workloads that have it in their name, =NAME the one of that
// name.
#include "sim/sim_case.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum {
    kinds_max = 24,        // kinds of failure that are shown, each by its first case
    kind_bytes = 40,       // of a text that tell a kind
    recoveries_apart = 23, // operations between the crashes whose recovery is tried
    triples_min = 10000,
};

// tally counts what was tried. A triple is a workload, an operation of it (of crash-twice a pair of
// operations) and a fault that happened there, however many seeds were tried.
typedef struct tally {
    uint64_t triples, runs, reported, wrong;
    uint64_t by_fault[SIM_FAULT_COUNT];
} tally;

static tally all;
static char kinds[kinds_max][kind_bytes];
static uint64_t rounds = 1, seed_added;

// wrong_show prints a failing case, if it is the first of its kind: one bug fails hundreds.
static void wrong_show(const sim_case *of, const char *wrong)
{
    char name[160], kind[kind_bytes];

    all.wrong++;
    snprintf(kind, sizeof kind, "%s %s", sim_fault_name(of->fault), wrong);
    for (size_t i = 0; i < kinds_max; i++) {
        if (strcmp(kinds[i], kind) == 0) return;
        if (kinds[i][0]) continue;
        memcpy(kinds[i], kind, sizeof kind);
        sim_case_print(of, name, sizeof name);
        print_message("SKALD_SIM=%s\n    %s\n", name, wrong);
        return;
    }
}

static void triple_count(sim_fault fault, bool fired)
{
    all.triples += fired;
    all.by_fault[fault] += fired;
}

// seeds_run tries one triple with several seeds; false: it does not happen.
static bool seeds_run(sim_case of, uint64_t seed_count, sim_result *ret_result)
{
    bool fired = false;

    for (uint64_t i = 0; i < seed_count; i++, of.seed++) {
        sim_case one = of;

        if (one.seed >= SIM_FATE_MIXED) one.seed += seed_added;
        sim_case_run(&one, ret_result);
        fired |= ret_result->fired;
        all.runs++;
        all.reported += ret_result->reported;
        if (!ret_result->wrong[0]) continue;
        wrong_show(&one, ret_result->wrong);
        break;
    }
    return fired;
}

// workload_wanted: SKALD_SIM_WORKLOAD names a part of a name, behind = a whole one, or nothing.
static bool workload_wanted(const sim_workload *workload)
{
    const char *only = getenv("SKALD_SIM_WORKLOAD");

    if (only && only[0] == '=') return strcmp(workload->name, only + 1) == 0;
    return !only || strstr(workload->name, only);
}

static void trace_get(const sim_workload *workload, sim_result *ret_trace)
{
    sim_case of = {.workload = workload, .fault = SIM_FAULT_NONE};

    sim_case_run(&of, ret_trace);
    if (ret_trace->wrong[0]) fail_msg("%s without a fault: %s", workload->name, ret_trace->wrong);
    assert_true(ret_trace->op_count < SIM_TRACE_MAX);
}

static void test_workloads_run_without_a_fault(void **state)
{
    uint64_t wrong = all.wrong;

    (void)state;
    for (const sim_workload *workload = sim_workloads; workload->name; workload++) {
        for (uint64_t seed = 0; seed < SIM_FATE_COUNT; seed++) {
            sim_case of = {.workload = workload, .seed = seed};
            sim_result result;

            sim_case_run(&of, &result);
            if (result.wrong[0]) wrong_show(&of, result.wrong);
        }
    }
    assert_int_equal(all.wrong, wrong);
}

// op_is_tried says whether this operation of a workload is one that is tried with a fault.
static bool op_is_tried(const sim_workload *workload, uint64_t op, int fault)
{
    return !workload->ops_apart || (op + 7 * (uint64_t)fault) % workload->ops_apart < rounds;
}

static bool fault_is_planned(sim_fault fault)
{
    return fault != SIM_FAULT_NONE && !sim_fault_second(fault) && !sim_fault_rots(fault);
}

// faults_run tries one triple with several seeds. A crash has as many outcomes as there are
// unsynced sectors: one of the four extremes, in turn, and mixtures. Of other faults neighbouring
// operations take the seeds in turn, so that every one is tried somewhere.
static bool faults_run(sim_case of, sim_result *ret_result)
{
    uint64_t factor = of.workload->seeds_factor * rounds, op = of.op;
    bool crashes = of.fault == SIM_FAULT_CRASH_BEFORE || of.fault == SIM_FAULT_CRASH_MIDDLE ||
                   of.fault == SIM_FAULT_CRASH_AFTER;
    bool twofold = of.fault == SIM_FAULT_SPACE || of.fault == SIM_FAULT_SPACE_ONCE ||
                   of.fault == SIM_FAULT_SYNC_EXT4 || of.fault == SIM_FAULT_SYNC_BTRFS;
    bool fired = false;

    if (!crashes) {
        of.seed = op % 8;
        return seeds_run(of, twofold ? 2 * rounds : rounds, ret_result);
    }
    of.seed = op % 4;
    fired = seeds_run(of, 1, ret_result);
    of.seed = SIM_FATE_MIXED + op;
    return seeds_run(of, factor, ret_result) || fired;
}

static void test_every_fault_at_every_operation(void **state)
{
    uint64_t wrong = all.wrong;

    (void)state;
    for (const sim_workload *workload = sim_workloads; workload->name; workload++) {
        sim_result trace, result;

        if (!workload_wanted(workload)) continue;
        trace_get(workload, &trace);
        for (uint64_t op = 1; op <= trace.op_count; op++) {
            for (int fault = 0; fault < SIM_FAULT_COUNT; fault++) {
                sim_case of = {.workload = workload, .fault = (sim_fault)fault, .op = op};

                if (!fault_is_planned(of.fault) || !op_is_tried(workload, op, fault) ||
                    !sim_fault_fits(of.fault, (sim_op)trace.ops[op - 1]))
                    continue;
                assert_true(faults_run(of, &result));
                triple_count(of.fault, true);
            }
        }
    }
    assert_int_equal(all.wrong, wrong);
}

// recoveries_run tries every fault at every operation of the recovery from one crash.
static void recoveries_run(const sim_workload *workload, uint64_t op)
{
    sim_case of = {.workload = workload, .op = op, .seed = SIM_FATE_MIXED + op};
    sim_result first, result;

    of.fault = SIM_FAULT_CRASH_BEFORE;
    sim_case_run(&of, &first);
    for (int fault = 0; fault < SIM_FAULT_COUNT; fault++) {
        of.fault = (sim_fault)fault;
        for (of.op_second = 1; of.op_second <= first.op_count; of.op_second++) {
            sim_op done = (sim_op)first.ops[of.op_second - 1];

            if (!sim_fault_fits(sim_fault_second(of.fault), done)) continue;
            triple_count(of.fault, seeds_run(of, rounds, &result));
        }
    }
}

static void test_a_fault_while_recovering_from_a_crash(void **state)
{
    uint64_t wrong = all.wrong;

    (void)state;
    for (const sim_workload *workload = sim_workloads; workload->name; workload++) {
        sim_result trace;

        if (!workload_wanted(workload)) continue;
        trace_get(workload, &trace);
        for (uint64_t op = 1; op <= trace.op_count; op++) {
            if (!sim_op_changes((sim_op)trace.ops[op - 1])) continue;
            if (!op_is_tried(workload, op, 0)) continue;
            if (rounds > 1 || op % recoveries_apart == 0) recoveries_run(workload, op);
        }
    }
    assert_int_equal(all.wrong, wrong);
}

static void test_stored_data_rot(void **state)
{
    uint64_t wrong = all.wrong;

    (void)state;
    for (int fault = 0; fault < SIM_FAULT_COUNT; fault++) {
        uint64_t reported = all.reported, runs = all.runs;

        if (!sim_fault_rots((sim_fault)fault)) continue;
        for (const sim_workload *workload = sim_workloads; workload->name; workload++) {
            sim_case of = {.workload = workload, .fault = (sim_fault)fault};
            sim_result result;

            if (!workload_wanted(workload)) continue;
            for (of.op = 1; of.op <= SIM_PLACES; of.op++)
                triple_count(of.fault, seeds_run(of, rounds, &result));
        }
        print_message("%s: %" PRIu64 " of %" PRIu64 " reported, the others without effect\n",
                      sim_fault_name((sim_fault)fault), all.reported - reported, all.runs - runs);
        assert_true(all.reported - reported > (all.runs - runs) / 4);
    }
    assert_int_equal(all.wrong, wrong);
}

static void test_there_were_enough(void **state)
{
    (void)state;
    for (int fault = 0; fault < SIM_FAULT_COUNT; fault++)
        if (all.by_fault[fault])
            print_message("  %-16s %6" PRIu64 "\n", sim_fault_name((sim_fault)fault),
                          all.by_fault[fault]);
    print_message("%" PRIu64 " distinct (workload, operation, fault), %" PRIu64 " runs, %" PRIu64
                  " wrong, %.1f s\n",
                  all.triples, all.runs, all.wrong, (double)clock() / CLOCKS_PER_SEC);
    assert_true(all.triples >= triples_min || getenv("SKALD_SIM_WORKLOAD"));
}

// trace_show prints the operations of a case, the one numbered op with a mark.
static void trace_show(sim_case of, uint64_t op)
{
    sim_result result;

    sim_case_run(&of, &result);
    for (size_t i = 0; i < result.op_count; i++)
        printf("%4zu %s%s\n", i + 1, sim_op_name((sim_op)result.ops[i]),
               i + 1 == op ? "  <- here" : "");
}

// one_run repeats a case that was printed, with its operations.
static int one_run(const char *text)
{
    sim_case of;
    sim_result result;

    if (!sim_case_parse(text, &of)) {
        fprintf(stderr,
                "SKALD_SIM=%s: not workload:operation:fault:seed, or no such workload or fault\n",
                text);
        return 2;
    }
    trace_show((sim_case){.workload = of.workload}, of.op);
    if (sim_fault_second(of.fault)) {
        printf("the recovery:\n");
        trace_show((sim_case){of.workload, .fault = SIM_FAULT_CRASH_BEFORE, .op = of.op,
                              .seed = of.seed},
                   of.op_second);
    }
    sim_case_run(&of, &result);
    printf("%s: %s: %s\n", text, result.fired ? "happened" : "did not happen",
           result.wrong[0] ? result.wrong : "all holds");
    return result.wrong[0] != '\0';
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workloads_run_without_a_fault),
        cmocka_unit_test(test_every_fault_at_every_operation),
        cmocka_unit_test(test_a_fault_while_recovering_from_a_crash),
        cmocka_unit_test(test_stored_data_rot),
        cmocka_unit_test(test_there_were_enough),
    };

    if (getenv("SKALD_SIM")) return one_run(getenv("SKALD_SIM"));
    if (getenv("SKALD_SIM_ROUNDS")) rounds = strtoull(getenv("SKALD_SIM_ROUNDS"), NULL, 10);
    if (rounds == 0) rounds = 1;
    if (getenv("SKALD_SIM_SEED")) seed_added = strtoull(getenv("SKALD_SIM_SEED"), NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
