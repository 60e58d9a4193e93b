// SPDX-License-Identifier: Apache-2.0
// base/log.h - writing one line to a skald_log: {"level","msg", more members}. NULL log: nothing.
#ifndef SKI_BASE_LOG_H
#define SKI_BASE_LOG_H

#include <skald/base.h>

// ski_log_line: members are the arguments in pairs (const char *name, const char *value), ended by
// NULL. Time is added by whoever owns the hook. Secrets never go in.
void ski_log_line(const skald_log *log, skald_level level, const char *message, ...)
    __attribute__((sentinel));

#endif
