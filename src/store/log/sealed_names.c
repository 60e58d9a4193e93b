// SPDX-License-Identifier: Apache-2.0
// What has a name in the index of a sealed segment: types, tenants, the first names of streams.
// Entries are sorted by (tenant, name), each block begins with a whole one, so a place is found by
// halving the blocks.
#include "base/str.h"
#include "store/log/bytes.h"
#include "store/log/sealed.h"
#include "store/log/sealed_format.h"
#include "store/log/varint.h"
#include <string.h>

static const unsigned names_section[] = {
    [SKI_SEALED_TYPES] = SKI_SECTION_TYPES,
    [SKI_SEALED_TENANTS] = SKI_SECTION_TENANTS,
    [SKI_SEALED_FIRST] = SKI_SECTION_FIRST,
};

static int names_compare(const ski_sealed_names_iter *iter, skald_str tenant, skald_str name)
{
    int order = ski_str_compare(iter->tenant, tenant);

    return order ? order : ski_str_compare(iter->name, name);
}

static skald_err names_wrong(const ski_sealed_names_iter *iter, skald_error *reterr_error)
{
    return ski_sealed_contradiction(iter->sealed, names_section[iter->names],
                                    iter->block ? iter->block - 1 : 0, reterr_error);
}

// name_get takes the texts of an entry, which may rest on the one before; *at moves behind them.
static bool name_get(ski_sealed_names_iter *iter, bool first, const uint8_t **at,
                     const uint8_t *end)
{
    uint64_t tenant = 0, shared = 0, rest = 0;
    size_t name_at = iter->tenant.len;

    if (!ski_varint_get(at, end, &tenant)) return false;
    if (tenant) {
        if (--tenant > (uint64_t)(end - *at) || tenant > SKI_SEALED_NAME_BYTES) return false;
        memcpy(iter->text, *at, (size_t)tenant);
        *at += tenant;
        iter->tenant = (skald_str){iter->text, (size_t)tenant};
        iter->name.len = 0;
        name_at = (size_t)tenant;
    } else if (first) {
        return false;
    }
    if (!ski_varint_get(at, end, &shared) || !ski_varint_get(at, end, &rest)) return false;
    if (shared > iter->name.len || rest > (uint64_t)(end - *at)) return false;
    if (name_at + shared + rest > SKI_SEALED_NAME_BYTES) return false;
    memcpy(iter->text + name_at + shared, *at, (size_t)rest);
    *at += rest;
    iter->name = (skald_str){iter->text + name_at, (size_t)(shared + rest)};
    return true;
}

static skald_err names_block(ski_sealed_names_iter *iter, uint32_t block, skald_error *reterr_error)
{
    ski_sealed_view view;
    skald_err err = SKALD_OK;

    iter->block = block + 1;
    iter->at = 0;
    iter->tenant = iter->name = (skald_str){iter->text, 0};
    ski_sealed_view_begin(&view, iter->sealed);
    err = ski_sealed_view_block(&view, names_section[iter->names], block, reterr_error);
    if (!err) memcpy(iter->bytes, view.bytes, sizeof iter->bytes);
    ski_sealed_view_end(&view);
    return err;
}

// names_entry moves to the next entry, in whatever block, and gives what stands behind its texts.
static skald_err names_entry(ski_sealed_names_iter *iter, const uint8_t **ret_rest,
                             const uint8_t **ret_end, skald_error *reterr_error)
{
    const uint8_t *end = iter->bytes + SKI_BLOCK_ROOM;

    for (;;) {
        const uint8_t *at = iter->bytes + iter->at, *entry = NULL;
        size_t len = 0;
        bool first = !iter->at;

        if (iter->block && ski_entry_next(&at, end, &entry, &len)) {
            iter->at = (uint32_t)(at - iter->bytes);
            if (!entry) return names_wrong(iter, reterr_error);
            *ret_end = entry + len;
            if (!name_get(iter, first, &entry, *ret_end)) return names_wrong(iter, reterr_error);
            *ret_rest = entry;
            return SKALD_OK;
        }
        if (iter->block == iter->blocks) return SKALD_ENOTFOUND;
        SKALD_TRY(names_block(iter, iter->block, reterr_error));
    }
}

// names_count takes what a list says of itself, without its positions.
static bool names_count(ski_sealed_names_iter *iter, const uint8_t *at, const uint8_t *end)
{
    ski_sealed_list list;

    iter->count = 0;
    iter->last_pos = 0;
    if (iter->names == SKI_SEALED_FIRST) return at == end;
    if (!ski_sealed_list_get(iter->sealed, at, end, &list)) return false;
    iter->count = list.count;
    iter->last_pos = list.count ? iter->sealed->info.base_pos + list.last : 0;
    return true;
}

skald_err ski_sealed_names_next(ski_sealed_names_iter *iter, skald_error *reterr_error)
{
    const uint8_t *at = NULL, *end = NULL;

    if (iter->waiting) {
        iter->waiting = false;
        return SKALD_OK;
    }
    SKALD_TRY(names_entry(iter, &at, &end, reterr_error));
    return names_count(iter, at, end) ? SKALD_OK : names_wrong(iter, reterr_error);
}

// names_seek reads the block in which (tenant, name) stands if anywhere: the last one whose first
// entry is not behind it.
static skald_err names_seek(ski_sealed_names_iter *iter, skald_str tenant, skald_str name,
                            skald_error *reterr_error)
{
    const uint8_t *at = NULL, *end = NULL;
    uint32_t low = 0, high = iter->blocks;

    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        skald_err err = SKALD_OK;

        SKALD_TRY(names_block(iter, middle, reterr_error));
        err = names_entry(iter, &at, &end, reterr_error);
        if (err == SKALD_ENOTFOUND) return names_wrong(iter, reterr_error);
        if (err) return err;
        if (names_compare(iter, tenant, name) <= 0)
            low = middle;
        else
            high = middle;
    }
    return iter->blocks ? names_block(iter, low, reterr_error) : SKALD_OK;
}

static void names_init(ski_sealed_names_iter *iter, const ski_sealed *sealed,
                       ski_sealed_names names)
{
    iter->sealed = sealed;
    iter->names = names;
    iter->block = iter->at = 0;
    iter->blocks = sealed->blocks.sections[names_section[names]].blocks;
    iter->tenant = iter->name = (skald_str){iter->text, 0};
    iter->count = 0;
    iter->last_pos = 0;
    iter->waiting = false;
}

skald_err ski_sealed_names_begin(ski_sealed_names_iter *iter, const ski_sealed *sealed,
                                 ski_sealed_names names, skald_str tenant, skald_str name,
                                 skald_error *reterr_error)
{
    skald_err err = SKALD_OK;

    names_init(iter, sealed, names);
    if (!tenant.len && !name.len) return SKALD_OK;
    SKALD_TRY(names_seek(iter, tenant, name, reterr_error));
    while (!err) {
        err = ski_sealed_names_next(iter, reterr_error);
        if (!err && names_compare(iter, tenant, name) >= 0) {
            iter->waiting = true;
            return SKALD_OK;
        }
    }
    return err == SKALD_ENOTFOUND ? SKALD_OK : err;
}

skald_err ski_sealed_named_find(const ski_sealed *sealed, ski_sealed_names names, skald_str tenant,
                                skald_str name, ski_sealed_named *ret_named,
                                skald_error *reterr_error)
{
    ski_sealed_names_iter iter;
    const uint8_t *at = NULL, *end = NULL;

    names_init(&iter, sealed, names);
    SKALD_TRY(names_seek(&iter, tenant, name, reterr_error));
    for (;;) {
        int order = 0;

        SKALD_TRY(names_entry(&iter, &at, &end, reterr_error));
        order = names_compare(&iter, tenant, name);
        if (order > 0) return SKALD_ENOTFOUND;
        if (!order) break;
    }
    if (!ski_sealed_list_get(sealed, at, end, &ret_named->list)) {
        return names_wrong(&iter, reterr_error);
    }
    ret_named->last_pos = ret_named->list.count ? sealed->info.base_pos + ret_named->list.last : 0;
    return SKALD_OK;
}
