// SPDX-License-Identifier: Apache-2.0
// server/tail.h - the two ways of skald tail, and what they share.
#ifndef SKALD_SERVER_TAIL_H
#define SKALD_SERVER_TAIL_H

#include "client.h"

enum {
    TAIL_WORKERS_MAX = 64,
    TAIL_GRACE_S = 5, // more than the program's own timeout, for the way there and back
};

typedef struct tail_options {
    const cli_args *args;
    uint64_t count, timeout_s, workers;
} tail_options;

int tail_live(const tail_options *options);
int tail_group(const tail_options *options);

void tail_stop_on_signals(void);
bool tail_stopping(void); // SIGINT or SIGTERM came
void tail_pause(void);    // before asking again a server that did not answer

#endif
