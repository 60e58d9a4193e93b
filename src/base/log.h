// SPDX-License-Identifier: Apache-2.0
// base/log.h - writing one line to a skald_log: {"level","msg", more members}. NULL log: nothing.
#ifndef SKI_BASE_LOG_H
#define SKI_BASE_LOG_H

#include <skald/base.h>

// ski_log_line: members are the arguments in pairs (const char *name, const char *value), ended by
// NULL. Time is added by whoever owns the hook. Secrets never go in.
void ski_log_line(const skald_log *log, skald_level level, const char *message, ...)
    __attribute__((sentinel));

// ski_log_takes: a line of this level would be written. Asking saves making one that is not.
bool ski_log_takes(const skald_log *log, skald_level level);
// ski_log_level is the least that is logged; ski_log_level_set changes it while others log. Any
// thread.
skald_level ski_log_level(const skald_log *log);
void ski_log_level_set(skald_log *log, skald_level level_min);

#endif
