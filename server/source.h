// SPDX-License-Identifier: Apache-2.0
// server/source.h - events one after the other, from a running server or from a data directory that
// no server holds.
#ifndef SKALD_SERVER_SOURCE_H
#define SKALD_SERVER_SOURCE_H

#include "cli.h"

typedef struct cli_source cli_source;

// source_open takes --data or --url, and the filter options, of args. NULL: it said why, and
// ret_exit is how to end.
cli_source *source_open(const cli_args *args, int *ret_exit);
// source_next gives the next event, borrowed until the next call, NULL at the end. Not CLI_OK: it
// said why. Damage in a directory is said and passed over; the end is then CLI_NO.
int source_next(cli_source *source, const skald_event **ret_event);
uint64_t source_head(const cli_source *source); // the last position there is, for progress; 0: not
                                                // known
void source_close(cli_source *source);

// The options it reads, for a verb's table.
#define SOURCE_OPTIONS                                                                    \
    {"type", "TYPE", "only this type, or a prefix: 'invoice.*'; repeatable"},             \
        {"stream", "NAME", "only this stream; repeatable"},                               \
        {"category", "NAME", "only streams NAME-…; repeatable"},                          \
        {"correlation", "ID", "only this chain"}, {"tenant", "NAME", "only this tenant"}, \
        {"after", "N", "only positions greater than N"},                                  \
        {"before", "N", "only positions less than N"},                                    \
        {"since", "TIME", "only what was recorded then or later"},                        \
    {                                                                                     \
        "until", "TIME", "only what was recorded before then"                             \
    }

#endif
