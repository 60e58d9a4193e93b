// SPDX-License-Identifier: Apache-2.0
// Query strings of strangers. The first byte of an input chooses the route and whether the asker is
// narrowed; the rest is the query. Of any bytes must hold:
//
//   it is read the same twice; what is refused is refused in words, and as the asker's fault;
//   whatever is let through means the asker's tenant, and types and streams that they may see.
#include "api/api_parts.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

enum { scratch_bytes = 1 << 20, query_bytes_max = 8192 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void must(bool holds)
{
    if (!holds) abort();
}

// the_api is made once; reading a query string changes nothing of it.
static ski_api *the_api(void)
{
    static ski_api *api; // style: a fuzzer has no other place that outlives an input
    skald_store *store = NULL;
    skald_bus *bus = NULL;

    if (api) return api;
    must(!skald_store_open("memory:", NULL, &store, NULL));
    must(!skald_bus_new(store, &(skald_bus_options){.source = "fuzz"}, &bus));
    must(!ski_api_new(&(ski_api_options){.bus = bus, .event_bytes_max = 1 << 20}, &api, NULL));
    return api;
}

static bool all_begin(skald_texts texts, skald_str prefix)
{
    for (size_t i = 0; i < texts.count; i++)
        if (!ski_str_begins(texts.items[i], prefix)) return false;
    return texts.count > 0;
}

static void holds(const ski_query *query, bool narrowed)
{
    const skald_filter *filter = &query->read.filter;

    must(skald_str_equal(filter->tenant, SKALD_STR("acme")));
    must(query->limit >= 1 && query->limit <= SKI_API_LIMIT_MAX);
    must(query->wait_ms <= 30000 && query->count_max >= 1 && query->count_max <= 1000);
    if (!narrowed) return;
    must(all_begin(filter->types, SKALD_STR("order.")));
    must(filter->categories.count == 1 &&
         skald_str_equal(filter->categories.items[0], SKALD_STR("order")));
}

// read_once reads the query as the door does: first the names, then what they say.
static skald_err read_once(ski_http_request *request, ski_query *ret_query, skald_error *error)
{
    skald_err err = ski_query_check(request, error);

    return err ? err : ski_query_read(request, ret_query, error);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    const skald_str types[] = {SKALD_STR("order.*")}, categories[] = {SKALD_STR("order")};
    ski_identity identity = {.id = SKALD_STR("key:1"),
                             .scopes = SKALD_SCOPE_READ | SKALD_SCOPE_PUBLISH,
                             .tenant = SKALD_STR("acme")};
    ski_query query = {.limit = 0}, again = {.limit = 0};
    skald_error error = {0}, other = {0};
    skald_arena *arena = NULL;
    ski_call call = {0};

    if (len < 1 || len > query_bytes_max || skald_arena_new(scratch_bytes, &arena)) return 0;
    bool narrowed = bytes[0] & 0x80;
    call.route = &ski_routes[(bytes[0] & 0x7f) % ski_route_count];
    if (narrowed) identity.types = (skald_texts){types, 1};
    if (narrowed) identity.categories = (skald_texts){categories, 1};
    ski_http_request request = {
        .context = the_api(),
        .scratch = arena,
        .identity = &identity,
        .call = &call,
        .query = {(const char *)bytes + 1, len - 1},
    };
    skald_err err = read_once(&request, &query, &error);

    must(read_once(&request, &again, &other) == err);
    must(strcmp(error.text, other.text) == 0);
    if (err) {
        unsigned status = ski_http_status_of(&error);
        must(err == SKALD_ENOMEM || (error.text[0] && status >= 400 && status < 500));
    } else {
        must(query.limit == again.limit && query.read.after == again.read.after);
        holds(&query, narrowed);
    }
    skald_arena_free(arena);
    return 0;
}
