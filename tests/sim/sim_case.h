// SPDX-License-Identifier: Apache-2.0
// sim_case.h - one workload with one fault at one operation, and everything that must hold
// afterwards.
#ifndef SIM_CASE_H
#define SIM_CASE_H

#include "sim/world.h"

enum { SIM_TRACE_MAX = 1000 };

extern const sim_workload sim_workloads[]; // ended by one without a name

typedef struct sim_case {
    const sim_workload *workload;
    sim_fault fault;
    uint64_t op;        // from 1; of rot: the place, from 1 to SIM_PLACES
    uint64_t op_second; // in the recovery, from 1, of faults that have one
    uint64_t seed;
    sim_lie lie;
} sim_case;

enum { SIM_PLACES = 48 };

typedef struct sim_result {
    bool fired;                 // the operation was reached
    bool reported;              // the store said that data are damaged
    uint8_t ops[SIM_TRACE_MAX]; // what was done: by the workload without a fault, by the recovery
                                // after a crash
    size_t op_count;
    char wrong[1000]; // empty: all held
} sim_result;

void sim_case_run(const sim_case *of, sim_result *ret_result);
// sim_case_print writes "workload:op:fault:seed", op being "op+op_second" with crash-twice; parse
// reads it.
void sim_case_print(const sim_case *of, char *ret_text, size_t size);
bool sim_case_parse(const char *text, sim_case *ret_case);

#endif
