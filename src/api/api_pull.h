// SPDX-License-Identifier: Apache-2.0
// api/api_pull.h - the documents of pull groups: what POST /api/subscriptions, ack and nack are
// given.
#ifndef SKI_API_API_PULL_H
#define SKI_API_API_PULL_H

#include "api/api_parts.h"

// ski_pull_definition is a group as it was asked for. It owns everything in it.
typedef struct ski_pull_definition {
    skald_str name;
    skald_str text; // the document in canonical form: members by name, no white space
    skald_subscription_options options; // but for kind and handler; borrows from this
    skald_arena *arena;
} ski_pull_definition;

// ski_pull_definition_read reads one from a body, which need not have passed the door. Fails:
// INVALID (the field), UNSUPPORTED, NOMEM.
skald_err ski_pull_definition_read(skald_str body, ski_pull_definition *ret_definition,
                                   skald_error *reterr_error) SKALD_CHECK;
void ski_pull_definition_fini(ski_pull_definition *definition);

// ski_pull_ending is an ack or a nack; deliveries and reason stand in the request's scratch.
typedef struct ski_pull_ending {
    skald_outcome outcome;
    const skald_str *deliveries;
    size_t count;
    uint32_t delay_ms;
    const char *reason; // never NULL
} ski_pull_ending;
skald_err ski_pull_ending_read(ski_http_request *request, size_t count_max, ski_pull_ending *ending,
                               skald_error *reterr_error) SKALD_CHECK;

#endif
