// SPDX-License-Identifier: Apache-2.0
// The names of seed_types.def. Only names: what the data of an event is, its publisher declares.
#include "api/seed_types.h"

#include "base/log.h"
#include "base/str.h"

#include <skald/typed.h>

const ski_seed_type ski_seed_types[] = {
#define TYPE(name, aliases) {name, aliases},
#include "api/seed_types.def"
#undef TYPE
    {NULL, NULL},
};

// names_add gives a type each name alone, so that one which is taken takes no other with it.
static skald_err names_add(skald_types *types, const ski_seed_type *seed, const skald_log *log)
{
    skald_str rest = skald_str_of(seed->aliases);

    while (rest.len) {
        const skald_str alias = ski_str_cut(rest, ' ', &rest);
        skald_error error = {0};
        skald_err err =
            skald_types_put(types, skald_str_of(seed->name), (skald_texts){&alias, 1}, &error);

        if (err == SKALD_EEXISTS)
            ski_log_line(log, SKALD_WARN, "a name has another meaning here", "type", seed->name,
                         "why", error.text, NULL);
        else if (err)
            return err;
    }
    return SKALD_OK;
}

skald_err ski_seed_types_add(skald_types *types, const skald_log *log)
{
    for (const ski_seed_type *seed = ski_seed_types; seed->name; seed++)
        SKALD_TRY(names_add(types, seed, log));
    return SKALD_OK;
}

skald_err skald_types_known(skald_types *types)
{
    return ski_seed_types_add(types, NULL);
}
