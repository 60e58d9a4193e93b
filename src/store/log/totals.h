// SPDX-License-Identifier: Apache-2.0
// store/log/totals.h - how many events each type of each tenant has, up to the last segment that
// has an index file. One thread at a time.
#ifndef SKI_STORE_LOG_TOTALS_H
#define SKI_STORE_LOG_TOTALS_H

#include "base/map.h"
#include <skald/base.h>

typedef struct ski_total {
    char *text; // tenant, then type
    uint32_t tenant_len, type_len;
    uint64_t hash, count, last_pos;
} ski_total;

typedef struct ski_totals {
    ski_total *items;
    uint32_t count, size;
    ski_map map;
} ski_totals;

void ski_totals_fini(ski_totals *totals);
skald_err ski_totals_add(ski_totals *totals, skald_str tenant, skald_str type, uint64_t count,
                         uint64_t last_pos) SKALD_CHECK; // NOMEM
const ski_total *ski_totals_find(const ski_totals *totals, skald_str tenant,
                                 skald_str type); // NULL: none
skald_str ski_total_tenant(const ski_total *total);
skald_str ski_total_type(const ski_total *total);

#endif
