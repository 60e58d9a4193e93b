// SPDX-License-Identifier: Apache-2.0
// api/api_pull.h - the documents of pull groups: what POST /api/subscriptions, ack and nack are
// given; and the ids of deliveries.
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
// ski_pull_definition_kept reads one that was kept: its name may have a tenant before it.
skald_err ski_pull_definition_kept(skald_str text, ski_pull_definition *ret_definition,
                                   skald_error *reterr_error) SKALD_CHECK;
// ski_pull_definition_own reads one from a request's body and makes it the asker's own: of their
// tenant, under a name that no other tenant has. Fails: also DENIED (it asks for more than the
// asker may see).
skald_err ski_pull_definition_own(ski_http_request *request, ski_pull_definition *ret_definition,
                                  skald_error *reterr_error) SKALD_CHECK;
// ski_pull_definition_shown is its text as the asker wrote it, but for the tenant; it lives as long
// as the request. Not given: no memory.
skald_str ski_pull_definition_shown(const ski_http_request *request, skald_str text);
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

// ski_pull_secret is random, and of one run of the server.
typedef struct ski_pull_secret {
    uint8_t bytes[32];
} ski_pull_secret;

// ski_pull_id_put appends a delivery's id, which needs no escapes in JSON. ski_pull_id_parse takes
// one apart. Fails: INVALID (it is none), STALE (it was not made with this secret).
skald_err ski_pull_id_put(const ski_pull_secret *secret, skald_subscription subscription,
                          skald_delivery_id delivery, skald_buf *buf) SKALD_CHECK;
skald_err ski_pull_id_parse(const ski_pull_secret *secret, skald_str text,
                            skald_subscription *ret_subscription, skald_delivery_id *ret_delivery)
    SKALD_CHECK;

#endif
