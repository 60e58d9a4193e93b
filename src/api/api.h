// SPDX-License-Identifier: Apache-2.0
// api/api.h - the platform's HTTP resources as one table of routes over a bus.
#ifndef SKI_API_API_H
#define SKI_API_API_H

#include "bus/bus.h"
#include "net/http.h"

typedef struct ski_api ski_api;

typedef struct ski_api_options {
    skald_bus *bus; // outlives the api
    const skald_log *log;
    const char *source;       // of what is published: "skald"
    uint32_t event_bytes_max; // of one event's data
} ski_api_options;

skald_err ski_api_new(const ski_api_options *options, ski_api **ret_api) SKALD_CHECK;
// ski_api_serve starts the server; http_options gives host, port and limits, the api fills routes,
// context, guard, observe. ski_api_stop ends streams and pull groups, and the server. ski_api_free
// after it.
skald_err ski_api_serve(ski_api *api, const ski_http_options *http_options,
                        skald_error *reterr_error) SKALD_CHECK;
uint16_t ski_api_port(const ski_api *api);
skald_err ski_api_stop(ski_api *api, uint32_t timeout_ms);
void ski_api_free(ski_api *api);

#endif
