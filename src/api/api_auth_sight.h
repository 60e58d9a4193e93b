// SPDX-License-Identifier: Apache-2.0
// api/api_auth_sight.h - who asks, and what they may see and publish.
//
// The guard gives every request an identity before its handler runs. What a handler reads or writes
// goes through one of the functions below, or through ski_query_read, which confines the filter.
#ifndef SKI_API_API_AUTH_SIGHT_H
#define SKI_API_API_AUTH_SIGHT_H

#include "api/keys.h"
#include "net/http.h"

#include <skald/bus.h>

// ski_identity is who asks. It lives as long as its request.
typedef struct ski_identity {
    skald_str id;     // "key:<id>" or "jwt:<subject>"; not given: the open mode, or nobody
    skald_str key_id; // of an API key
    unsigned scopes;  // SKALD_SCOPE_*
    bool everywhere;  // every tenant; else:
    skald_str tenant; // the one it is confined to; "" the default one
    skald_str user, role;
    skald_time expires_at; // 0: never
    // Narrowed to these, as a key says them; none: not narrowed.
    skald_texts types, streams, categories;
} ski_identity;

const ski_identity *ski_identity_of(const ski_http_request *request);
static inline bool ski_identity_narrowed(const ski_identity *identity)
{
    return identity->types.count || identity->streams.count || identity->categories.count;
}

// ski_api_actor is who makes a request, as audit events name them.
skald_actor ski_api_actor(const ski_http_request *request);

// ski_auth_confine makes a filter mean no more than the asker may see; filter's types have been
// resolved. Fails: NOTFOUND (another tenant), DENIED (nothing of it may be seen), NOMEM.
skald_err ski_auth_confine(ski_http_request *request, skald_filter *filter,
                           skald_error *reterr_error) SKALD_CHECK;
// ski_auth_stamp gives an event that is to be published its tenant and actor, and says whether it
// may be. What is made lives in arena. Fails: INVALID (it states what only an admin may), DENIED,
// NOMEM.
skald_err ski_auth_stamp(const ski_http_request *request, skald_event *event, skald_arena *arena,
                         skald_error *reterr_error) SKALD_CHECK;
bool ski_auth_sees_event(const ski_http_request *request, const skald_event *event);
bool ski_auth_sees_type(const ski_http_request *request, skald_str type);
bool ski_auth_sees_stream(const ski_http_request *request, skald_str stream);
// ski_auth_sees_all: all events that the filter means; its types as they are written down.
bool ski_auth_sees_all(const ski_http_request *request, const skald_filter *filter);
// ski_auth_whole refuses one that is narrowed: by types, by streams, or either, as the two say.
// what: "these counts". Fails: DENIED.
skald_err ski_auth_whole(const ski_http_request *request, bool types, bool streams,
                         const char *what, skald_error *reterr_error) SKALD_CHECK;

// A subscription made by one who belongs to a tenant is known by tenant and name, "acme/mailer", so
// that two tenants never meet over a name. ski_auth_subscription gives that of what the asker calls
// it (not given: no memory), ski_auth_subscription_shown the other way round. ski_auth_names does
// it to the path of a request whose route has one. What lives, lives as long as the request.
skald_str ski_auth_subscription(const ski_http_request *request, skald_str name);
skald_str ski_auth_subscription_shown(const ski_http_request *request, skald_str name);
skald_err ski_auth_names(ski_http_request *request) SKALD_CHECK; // NOMEM
// ski_auth_trace leaves out of a trace the subscriptions that the events were never meant for:
// among them are those of other tenants. Fails: NOMEM.
skald_err ski_auth_trace(const ski_http_request *request, skald_trace *trace) SKALD_CHECK;

// ski_auth_ticket is kept by what goes on after its request was let in: a live stream.
typedef struct ski_auth_ticket {
    char key_id[SKALD_KEY_ID_BYTES + 1]; // empty: no key
    skald_time expires_at;
    bool open; // let in by the open mode
} ski_auth_ticket;
ski_auth_ticket ski_auth_ticket_of(const ski_http_request *request);

#endif
