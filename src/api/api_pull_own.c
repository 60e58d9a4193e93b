// SPDX-License-Identifier: Apache-2.0
// Whose a pull group is. What a tenant's holder of a key asks for is kept with the tenant in it:
// tenantId in its filter, and before its name, so that two tenants never meet over a name and a
// restart changes nothing.
#include "api/api_pull.h"
#include "base/str.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static skald_err dump(const ski_http_request *request, const json_t *tree, skald_str *ret_text)
{
    char *text = json_dumps(tree, JSON_COMPACT | JSON_SORT_KEYS);

    if (!text) return SKALD_ENOMEM;
    *ret_text = skald_arena_copy(request->scratch, skald_str_of(text));
    free(text); // style: jansson's
    return ret_text->ptr ? SKALD_OK : SKALD_ENOMEM;
}

static bool set_text(json_t *object, const char *name, skald_str text)
{
    return json_object_set_new(object, name, json_stringn(text.len ? text.ptr : "", text.len)) == 0;
}

// own_text writes a definition anew, with the asker's tenant in it.
static skald_err own_text(const ski_http_request *request, const ski_pull_definition *asked,
                          skald_str *ret_text)
{
    const ski_identity *identity = ski_identity_of(request);
    skald_str name = ski_auth_subscription(request, asked->name);
    json_t *tree = json_loadb(asked->text.ptr, asked->text.len, 0, NULL);
    json_t *filter = json_object_get(tree, "filter");
    skald_err err = SKALD_OK;

    if (!tree || !name.ptr) err = SKALD_ENOMEM;
    if (!err && !filter) {
        filter = json_object();
        if (json_object_set_new(tree, "filter", filter)) err = SKALD_ENOMEM;
    }
    if (!err && (!set_text(filter, "tenantId", identity->tenant) || !set_text(tree, "name", name)))
        err = SKALD_ENOMEM;
    if (!err) err = dump(request, tree, ret_text);
    json_decref(tree);
    return err;
}

// may_ask: the tenant is the key's; a narrowed key asks for what it sees and says so.
static skald_err may_ask(const ski_http_request *request, const skald_filter *filter,
                         skald_error *reterr_error)
{
    const ski_identity *identity = ski_identity_of(request);
    skald_filter own = *filter;

    if (identity->everywhere) return SKALD_OK;
    if (filter->tenant.ptr && !skald_str_equal(filter->tenant, identity->tenant)) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "filter.tenantId",
                             "comes from the key; leave it out");
    }
    own.tenant = identity->tenant;
    if (ski_auth_sees_all(request, &own)) return SKALD_OK;
    return skald_fail_at(reterr_error, SKALD_EDENIED, "filter",
                         "asks for more than this key may see: give types, streams or categories "
                         "that it is narrowed to");
}

skald_err ski_pull_definition_own(ski_http_request *request, ski_pull_definition *ret_definition,
                                  skald_error *reterr_error)
{
    const ski_identity *identity = ski_identity_of(request);
    ski_pull_definition asked = {0};
    skald_str text = {0};
    skald_err err;

    SKALD_TRY(ski_pull_definition_read(request->body, &asked, reterr_error));
    err = may_ask(request, &asked.options.filter, reterr_error);
    if (!err && identity->everywhere) {
        *ret_definition = asked;
        return SKALD_OK;
    }
    if (!err) err = own_text(request, &asked, &text);
    ski_pull_definition_fini(&asked);
    return err ? err : ski_pull_definition_kept(text, ret_definition, reterr_error);
}

skald_str ski_pull_definition_shown(const ski_http_request *request, skald_str text)
{
    json_t *tree = json_loadb(text.ptr, text.len, 0, NULL);
    const json_t *name = json_object_get(tree, "name");
    skald_str shown = {0};
    bool made = name != NULL;

    if (ski_identity_of(request)->everywhere) {
        json_decref(tree);
        return text;
    }
    if (made) {
        shown = ski_str(json_string_value(name), json_string_length(name));
        shown = skald_arena_copy(request->scratch, ski_auth_subscription_shown(request, shown));
        made = shown.ptr && set_text(tree, "name", shown);
    }
    shown = (skald_str){0};
    if (made && dump(request, tree, &shown)) shown = (skald_str){0};
    json_decref(tree);
    return shown;
}
