// SPDX-License-Identifier: Apache-2.0
// system/log.h - where log lines go when the program gives no hook: standard error, for people or
// as JSON.
#ifndef SKI_SYSTEM_LOG_H
#define SKI_SYSTEM_LOG_H

#include <skald/base.h>

// ski_log_stderr writes lines as they are, time added; with human as "12:34:56 WARN message
// key=value".
skald_log ski_log_stderr(bool human, skald_level level_min);
// ski_log_level_of: "debug" "info" "warn" "error"; anything else is info.
skald_level ski_log_level_of(const char *name);
const char *ski_log_level_name(skald_level level);

#endif
