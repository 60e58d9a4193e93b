// SPDX-License-Identifier: Apache-2.0
// GET / and /assets/{name}: the page, embedded in the program when it was built (web/,
// cmake/embed.cmake).
#include "api/api_assets.h"
#include "api/api_parts.h"

skald_err ski_get_asset(ski_http_request *request, skald_error *reterr_error)
{
    static const ski_http_header headers[] = {
        {{"Content-Security-Policy", 23}, {"default-src 'self'; frame-ancestors 'none'", 42}},
        {{"X-Content-Type-Options", 22}, {"nosniff", 7}},
        {{"Referrer-Policy", 15}, {"no-referrer", 11}},
    };
    bool page = skald_str_equal(request->path, SKALD_STR("/"));
    skald_str name = page ? SKALD_STR("index.html") : request->parameters[0];

    for (const ski_asset *asset = ski_assets; asset->name; asset++) {
        if (!skald_str_equal(skald_str_of(asset->name), name)) continue;
        if (asset->hashed)
            ski_call_header(request, SKALD_STR("Cache-Control"),
                            SKALD_STR("public, max-age=31536000, immutable"));
        return ski_reply_send(request, &(ski_http_reply){
                                           .status = 200,
                                           .content_type = asset->content_type,
                                           .body = {(const char *)asset->bytes, asset->len},
                                           .headers = headers,
                                           .header_count = sizeof headers / sizeof *headers,
                                       });
    }
    return skald_fail(reterr_error, SKALD_ENOTFOUND, "there is no such page");
}
