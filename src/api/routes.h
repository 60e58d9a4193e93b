// SPDX-License-Identifier: Apache-2.0
// api/routes.h - the one table of what the API answers. Routing, the check of query strings and
// media types, scopes, rates, metrics, /openapi.json, /docs and the check of docs/http.md all read
// it: a route that is not here does not exist.
//
// The table is constant: any thread. A route's number is its place in the table; under a path with
// a version (/api/v2/…) it is the same route. To add one: its handler, a line in routes.c, and the
// schema of what it takes and gives in documents/schemas.json.
#ifndef SKI_API_ROUTES_H
#define SKI_API_ROUTES_H

#include "api/api_auth.h"
#include "net/http.h"

// The media types a route takes and gives, as bits.
enum {
    SKI_JSON = 1,
    SKI_NDJSON = 2,
    SKI_CLOUDEVENT = 4,  // structured
    SKI_CLOUDEVENTS = 8, // a batch
    SKI_CE_BINARY = 16,  // any media type, with ce- headers
    SKI_SSE = 32,
    SKI_TEXT = 64,
    SKI_HTML = 128,
    SKI_ANY = 256, // what it gives says itself
};

// How long what a route gave may be kept.
typedef enum ski_cache {
    SKI_CACHE_NEVER,   // no-store
    SKI_CACHE_ASK,     // private, no-cache: with an ETag, asked again each time
    SKI_CACHE_DOCUMENT // no-cache: the same for everybody
} ski_cache;

enum { SKI_ROUTE_VERSION_FIRST = 1, SKI_ROUTE_VERSION = 2 }; // major numbers of the API

typedef struct ski_route {
    const char *method, *path;
    ski_http_handler *handle;
    const char *name;    // "listEvents": operationId, the same for ever
    const char *summary; // a few words
    const char *about;   // sentences; may be NULL
    const char *query;   // names of parameters (ski_parameters), between spaces; NULL: none
    const char *takes;   // component of the body's schema; NULL: no body
    const char *gives;   // component of the reply's schema; NULL: it has none
    const char *errors;  // codes beside those that every route may give, between spaces
    uint16_t status;     // of success; 0: 200
    uint16_t also;       // another status of success, of the same shape
    uint16_t body_media, reply_media; // 0: JSON
    ski_route_scope scope;
    ski_route_rate rate;
    ski_cache cache;
    uint8_t since, until; // major numbers; 0: all
    bool worker;          // handle runs on a pool thread
    // now, of a worker's GET: the same without waiting. False: it has not replied, whatever the
    // reason, and handle is to be called.
    bool (*now)(ski_http_request *request);
    bool body_optional;
    bool protocol;             // of its own, which OpenAPI has no words for: not in /openapi.json
    bool secret;               // its reply is not to be kept: it takes no Idempotency-Key
    bool etag;                 // one thing: its reply has an ETag, and may be a 304
    bool positioned;           // reads what X-Min-Position may ask to wait for
    bool matched;              // takes If-Match, against the version of the stream in the path
    const ski_http_body *body; // as ski_http_route
    bool (*streams)(const ski_http_request *request);
} ski_route;

// ski_parameter is one name of query strings, for all routes that know it.
typedef enum ski_parameter_kind {
    SKI_PARAMETER_TEXT,
    SKI_PARAMETER_NUMBER, // min to max
    SKI_PARAMETER_TIME,
    SKI_PARAMETER_CHOICE, // one of words
    SKI_PARAMETER_VERSION // a number, or one of words
} ski_parameter_kind;
struct ski_query_reader; // api_query.c
typedef struct ski_parameter {
    const char *name;
    skald_err (*read)(struct ski_query_reader *reader);
    ski_parameter_kind kind;
    bool repeats; // may be given more than once
    uint64_t min, max;
    const char *words;    // between spaces
    const char *standard; // if left out; NULL: nothing is
    const char *about;
} ski_parameter;
extern const ski_parameter ski_parameters[]; // ends with a NULL name; api_query.c

extern const ski_route ski_routes[]; // ends with a NULL method
extern const size_t ski_route_count;
// ski_route_of gives the method and path of a route by its number; false: there are fewer.
bool ski_route_of(size_t index, const char **ret_method, const char **ret_path);
// ski_routes_http makes the table that the server is started with: every route at its path, then
// once more under each version. ski_free it. NULL: no memory.
ski_http_route *ski_routes_http(void);
const char *ski_scope_name(ski_route_scope scope);       // "events:read"
const ski_parameter *ski_parameter_find(skald_str name); // NULL: there is none
// ski_form_name is the media type of one bit but SKI_ANY.
const char *ski_form_name(unsigned form);
// ski_words_next walks over a list between spaces. False at its end.
bool ski_words_next(const char **words, skald_str *ret_word);
bool ski_words_have(const char *words, skald_str word); // words may be NULL

#endif
