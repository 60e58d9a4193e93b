// SPDX-License-Identifier: Apache-2.0
// os/notify.h - telling the service manager (systemd, or one that speaks like it) how we are. Any
// thread.
#ifndef SKI_OS_NOTIFY_H
#define SKI_OS_NOTIFY_H

#include <skald/base.h>

// ski_notify sends lines ("READY=1") to the socket that NOTIFY_SOCKET names. False: nobody asked to
// be told, or the word did not get through.
bool ski_notify(const char *lines);
// ski_notify_watchdog_ms is after how long a silence the manager takes this process for dead: it
// wants "WATCHDOG=1" at least twice as often. 0: it does not watch.
uint64_t ski_notify_watchdog_ms(void);

#endif
