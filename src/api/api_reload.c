// SPDX-License-Identifier: Apache-2.0
// Limits and origins, changed while the server runs. The door belongs to the loop, so what is new
// is made here and put in its place there.
#include "api/api_auth_parts.h"
#include "api/api_parts.h"
#include "base/alloc.h"
#include "base/str.h"

typedef struct change {
    ski_api *api;
    ski_rates *rates;
    char *origins; // NULL: none
} change;

static void change_free(change *of)
{
    if (!of) return;
    ski_rates_free(of->rates);
    ski_free(of->origins);
    ski_free(of);
}

// change_apply runs on the loop. What was there before goes with the change.
static void change_apply(void *context)
{
    change *of = context;
    ski_auth *auth = of->api->auth;
    ski_rates *rates = auth->rates;
    char *origins = of->api->origins;

    auth->rates = of->rates;
    auth->options.cors_origins = of->origins;
    of->api->origins = of->origins;
    of->rates = rates;
    of->origins = origins;
    change_free(of);
}

skald_err ski_api_reload(ski_api *api, const ski_rate_options *rate, const char *cors_origins,
                         skald_error *reterr_error)
{
    const ski_kernel *kernel = api->auth->kernel;
    change *made;
    uint64_t seed;
    skald_err err;

    SKALD_TRY(ski_origins_valid(cors_origins, reterr_error));
    made = ski_alloc_zeroed(1, sizeof *made);
    if (!made) return SKALD_ENOMEM;
    made->api = api;
    if (cors_origins) made->origins = ski_str_terminated(skald_str_of(cors_origins));
    kernel->random(kernel->context, &seed, sizeof seed);
    err = cors_origins && !made->origins ? SKALD_ENOMEM : ski_rates_new(rate, seed, &made->rates);
    if (!err && !ski_http_post(api->http, change_apply, made)) err = SKALD_EUNAVAILABLE;
    if (err) change_free(made);
    return err;
}
