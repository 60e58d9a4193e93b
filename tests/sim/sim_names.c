// SPDX-License-Identifier: Apache-2.0
// A directory of a simulated disk. It holds a handful of names, so a list that is walked does.
#include "sim/sim_names.h"

#include "base/alloc.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

void sim_names_fini(sim_names *names)
{
    ski_free(names->items);
    *names = (sim_names){0};
}

sim_name *sim_names_find(const sim_names *names, const char *text)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i].text, text) == 0) return &names->items[i];
    return NULL;
}

void sim_names_put(sim_names *names, const char *text, uint32_t node)
{
    sim_name *name = sim_names_find(names, text);

    if (!name) {
        assert(names->count < SIM_NAMES_MAX);
        names->items = ski_realloc(names->items, (names->count + 1) * sizeof *names->items);
        assert(names->items);
        name = &names->items[names->count++];
        snprintf(name->text, sizeof name->text, "%s", text);
    }
    name->node = node;
}

void sim_names_remove(sim_names *names, const char *text, uint32_t node)
{
    sim_name *name = sim_names_find(names, text);

    if (name && name->node == node) *name = names->items[--names->count];
}

void sim_names_copy(const sim_names *from, sim_names *to)
{
    to->count = 0;
    for (size_t i = 0; i < from->count; i++)
        sim_names_put(to, from->items[i].text, from->items[i].node);
}
