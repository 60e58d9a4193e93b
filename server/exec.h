// SPDX-License-Identifier: Apache-2.0
// server/exec.h - running a program for an event: no shell, a process group of its own, killed with
// all of it at its timeout.
#ifndef SKALD_SERVER_EXEC_H
#define SKALD_SERVER_EXEC_H

#include <skald/base.h>

// exec_result is how it went.
typedef struct exec_result {
    bool succeeded;   // it ran and ended with 0
    char reason[128]; // why not, for people
} exec_result;

// exec_run runs argv with input on its standard input, and waits for it. Any thread.
exec_result exec_run(char **argv, skald_str input, uint64_t timeout_ms);

#endif
