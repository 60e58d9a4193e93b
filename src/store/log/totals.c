// SPDX-License-Identifier: Apache-2.0
// Totals: a table of names with a hash map over it. Types are few; tenants may be some thousands.
#include "store/log/totals.h"
#include "base/alloc.h"
#include "base/hash.h"
#include <string.h>

enum { first_items = 16 };

void ski_totals_fini(ski_totals *totals)
{
    for (uint32_t i = 0; i < totals->count; i++) ski_free(totals->items[i].text);
    ski_free(totals->items);
    ski_map_fini(&totals->map);
    *totals = (ski_totals){0};
}

skald_str ski_total_tenant(const ski_total *total)
{
    return (skald_str){total->text, total->tenant_len};
}

skald_str ski_total_type(const ski_total *total)
{
    return (skald_str){total->text + total->tenant_len, total->type_len};
}

static uint64_t total_hash(skald_str tenant, skald_str type)
{
    return ski_hash64(ski_hash64(0, tenant.ptr, tenant.len), type.ptr, type.len);
}

static uint64_t total_hash_of(void *context, uint32_t slot)
{
    return ((ski_totals *)context)->items[slot].hash;
}

static ski_total *total_find(const ski_totals *totals, uint64_t hash, skald_str tenant,
                             skald_str type)
{
    uint32_t cursor = 0, slot = 0;

    while ((slot = ski_map_find(&totals->map, hash, &cursor)) != SKI_MAP_NONE) {
        ski_total *total = &totals->items[slot];

        if (!skald_str_equal(ski_total_tenant(total), tenant)) continue;
        if (skald_str_equal(ski_total_type(total), type)) return total;
    }
    return NULL;
}

const ski_total *ski_totals_find(const ski_totals *totals, skald_str tenant, skald_str type)
{
    return total_find(totals, total_hash(tenant, type), tenant, type);
}

static skald_err total_new(ski_totals *totals, uint64_t hash, skald_str tenant, skald_str type,
                           ski_total **ret_total)
{
    ski_total *total = NULL;

    if (totals->count == totals->size) {
        uint32_t size = totals->size ? totals->size * 2 : first_items;
        ski_total *items = ski_realloc(totals->items, size * sizeof *items);

        if (!items) return SKALD_ENOMEM;
        totals->items = items;
        totals->size = size;
    }
    total = &totals->items[totals->count];
    *total = (ski_total){.text = ski_alloc(tenant.len + type.len + 1),
                         .tenant_len = (uint32_t)tenant.len,
                         .type_len = (uint32_t)type.len,
                         .hash = hash};
    if (!total->text) return SKALD_ENOMEM;
    if (tenant.len) memcpy(total->text, tenant.ptr, tenant.len);
    if (type.len) memcpy(total->text + tenant.len, type.ptr, type.len);
    if (ski_map_put(&totals->map, hash, totals->count, total_hash_of, totals)) {
        ski_free(total->text);
        return SKALD_ENOMEM;
    }
    totals->count++;
    *ret_total = total;
    return SKALD_OK;
}

skald_err ski_totals_add(ski_totals *totals, skald_str tenant, skald_str type, uint64_t count,
                         uint64_t last_pos)
{
    uint64_t hash = total_hash(tenant, type);
    ski_total *total = total_find(totals, hash, tenant, type);

    if (!total) SKALD_TRY(total_new(totals, hash, tenant, type, &total));
    total->count += count;
    if (last_pos > total->last_pos) total->last_pos = last_pos;
    return SKALD_OK;
}
