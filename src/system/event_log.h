// SPDX-License-Identifier: Apache-2.0
// system/event_log.h - a line for every event, while the log's level is debug.
#ifndef SKI_SYSTEM_EVENT_LOG_H
#define SKI_SYSTEM_EVENT_LOG_H

#include <skald/bus.h>

// ski_event_log is a live subscription that comes and goes with the level. Any thread. bus and log
// outlive it; the bus has stopped when it is freed.
typedef struct ski_event_log ski_event_log;

skald_err ski_event_log_new(skald_bus *bus, skald_log *log, ski_event_log **ret_events) SKALD_CHECK;
void ski_event_log_free(ski_event_log *events); // NULL is allowed

// ski_event_log_level sets the level of log, and with it whether events are told. It waits for a
// subscription to begin. Fails: as skald_subscribe; the level is set all the same.
skald_err ski_event_log_level(ski_event_log *events, skald_level level) SKALD_CHECK;

#endif
