// SPDX-License-Identifier: Apache-2.0
// bench/edge.h - what the rows of the HTTP edge share: a server as it stands in production.
#ifndef SKALD_BENCH_EDGE_H
#define SKALD_BENCH_EDGE_H

#include "bench.h"

enum { EDGE_HEADERS_BYTES = 160 };

// edge_server starts skald with an API key, a schema for every type of bench_event_json, and traces
// on (one in ten sent, as is the standard) to a collector that takes all; its port and the header
// with the key. 0: it cannot.
int edge_server(const char *folder, int *ret_port, char ret_headers[EDGE_HEADERS_BYTES]);

// edge_rounds runs ours and the peer in turn, rounds times, so that a machine that changes its
// speed changes both; the medians go to ret_result. False: one of them went wrong.
typedef double edge_round(void);
bool edge_rounds(edge_round *ours, edge_round *peer, int rounds, bench_result *ret_result);

#endif
