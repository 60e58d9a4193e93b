// SPDX-License-Identifier: Apache-2.0
// Rules: a dense array of entries and a map to them. The last one takes the place of one removed.
//
// Value, little endian: u8 form (1), u8 flags (1: tombstoned), u8 length of tenant, u8 of stream,
// u32 0; u64 max_count, truncate_before, max_age, deleted_before; tenant, stream.
#include "store/rules.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { entries_first = 16, value_form = 1, value_fixed = 40, flag_tombstoned = 1 };

static uint64_t key_hash(const ski_rules *rules, skald_str tenant, skald_str stream)
{
    uint64_t hash = ski_hash64(rules->seed, tenant.len ? tenant.ptr : "", tenant.len);

    return ski_hash64(hash, stream.ptr, stream.len);
}

static uint64_t entry_hash(void *context, uint32_t slot)
{
    const ski_rules *rules = context;

    return rules->entries[slot].hash;
}

static uint32_t slot_find(const ski_rules *rules, uint64_t hash, skald_str tenant, skald_str stream)
{
    uint32_t cursor = 0, slot;

    while ((slot = ski_map_find(&rules->map, hash, &cursor)) != SKI_MAP_NONE) {
        const ski_rules_entry *entry = &rules->entries[slot];

        if (entry->hash == hash && skald_str_equal(entry->stream, stream) &&
            skald_str_equal(entry->tenant, tenant))
            break;
    }
    return slot;
}

void ski_rules_fini(ski_rules *rules)
{
    for (uint32_t i = 0; i < rules->count; i++) ski_free((void *)rules->entries[i].tenant.ptr);
    ski_free(rules->entries);
    ski_map_fini(&rules->map);
}

const ski_rules_entry *ski_rules_find(const ski_rules *rules, skald_str tenant, skald_str stream)
{
    uint32_t slot = slot_find(rules, key_hash(rules, tenant, stream), tenant, stream);

    return slot == SKI_MAP_NONE ? NULL : &rules->entries[slot];
}

static skald_err entries_room(ski_rules *rules)
{
    uint32_t size = rules->size ? rules->size * 2 : entries_first;
    ski_rules_entry *entries;

    if (rules->count < rules->size) return SKALD_OK;
    entries = ski_realloc(rules->entries, size * sizeof(*entries));
    if (!entries) return SKALD_ENOMEM;
    rules->entries = entries;
    rules->size = size;
    return SKALD_OK;
}

skald_err ski_rules_put(ski_rules *rules, skald_str tenant, skald_str stream, const ski_rule *rule)
{
    uint64_t hash = key_hash(rules, tenant, stream);
    uint32_t slot = slot_find(rules, hash, tenant, stream);
    char *text;

    if (slot != SKI_MAP_NONE) {
        rules->entries[slot].rule = *rule;
        return SKALD_OK;
    }
    SKALD_TRY(entries_room(rules));
    text = ski_alloc(tenant.len + stream.len + 1);
    if (!text) return SKALD_ENOMEM;
    if (tenant.len) memcpy(text, tenant.ptr, tenant.len);
    memcpy(text + tenant.len, stream.ptr, stream.len);
    rules->entries[rules->count] = (ski_rules_entry){.tenant = {text, tenant.len},
                                                     .stream = {text + tenant.len, stream.len},
                                                     .hash = hash,
                                                     .rule = *rule};
    if (ski_map_put(&rules->map, hash, rules->count, entry_hash, rules)) {
        ski_free(text);
        return SKALD_ENOMEM;
    }
    rules->count++;
    return SKALD_OK;
}

void ski_rules_remove(ski_rules *rules, skald_str tenant, skald_str stream)
{
    uint32_t slot = slot_find(rules, key_hash(rules, tenant, stream), tenant, stream);
    uint32_t last = rules->count - 1;
    skald_err err = SKALD_OK;

    if (slot == SKI_MAP_NONE) return;
    ski_map_remove(&rules->map, rules->entries[slot].hash, slot, entry_hash, rules);
    ski_free((void *)rules->entries[slot].tenant.ptr);
    if (slot != last) {
        ski_map_remove(&rules->map, rules->entries[last].hash, last, entry_hash, rules);
        rules->entries[slot] = rules->entries[last];
        // Two were taken out, one is put in: the map does not grow and cannot fail.
        err = ski_map_put(&rules->map, rules->entries[slot].hash, slot, entry_hash, rules);
    }
    assert(!err);
    rules->count--;
}

bool ski_rule_empty(const ski_rule *rule)
{
    return !rule->max_count && !rule->truncate_before && !rule->max_age && !rule->deleted_before &&
           !rule->tombstoned;
}

skald_err ski_rule_name(skald_str tenant, skald_str stream, char ret_name[SKI_RULE_NAME_BYTES + 1])
{
    static const skald_uuid space = {{0x73, 0x6b, 0x61, 0x6c, 0x64, 0x2d, 0x73, 0x74, 0x72, 0x65,
                                      0x61, 0x6d, 0x2d, 0x6d, 0x65, 0x74}};
    char key[SKALD_TENANT_BYTES_MAX + SKALD_STREAM_BYTES_MAX + 1];
    skald_uuid id;

    // The tenant's length first: two pairs never make one text.
    key[0] = (char)tenant.len;
    if (tenant.len) memcpy(key + 1, tenant.ptr, tenant.len);
    memcpy(key + 1 + tenant.len, stream.ptr, stream.len);
    id = skald_uuid_named(space, (skald_str){key, 1 + tenant.len + stream.len});
    if (!skald_uuid_given(id)) return SKALD_ENOMEM;
    memcpy(ret_name, SKI_RULE_PREFIX, sizeof(SKI_RULE_PREFIX) - 1);
    skald_uuid_print(id, ret_name + sizeof(SKI_RULE_PREFIX) - 1);
    return SKALD_OK;
}

static void u64_write(char *at, uint64_t number)
{
    for (int i = 0; i < 8; i++) at[i] = (char)(number >> (8 * i));
}

static uint64_t u64_read(const char *at)
{
    uint64_t number = 0;

    for (int i = 0; i < 8; i++) number |= (uint64_t)(uint8_t)at[i] << (8 * i);
    return number;
}

size_t ski_rule_write(skald_str tenant, skald_str stream, const ski_rule *rule,
                      char ret_bytes[SKI_RULE_VALUE_BYTES_MAX])
{
    memset(ret_bytes, 0, value_fixed);
    ret_bytes[0] = value_form;
    ret_bytes[1] = rule->tombstoned ? flag_tombstoned : 0;
    ret_bytes[2] = (char)tenant.len;
    ret_bytes[3] = (char)stream.len;
    u64_write(ret_bytes + 8, rule->max_count);
    u64_write(ret_bytes + 16, rule->truncate_before);
    u64_write(ret_bytes + 24, (uint64_t)rule->max_age);
    u64_write(ret_bytes + 32, rule->deleted_before);
    if (tenant.len) memcpy(ret_bytes + value_fixed, tenant.ptr, tenant.len);
    memcpy(ret_bytes + value_fixed + tenant.len, stream.ptr, stream.len);
    return value_fixed + tenant.len + stream.len;
}

skald_err ski_rule_read(skald_str bytes, skald_str *ret_tenant, skald_str *ret_stream,
                        ski_rule *ret_rule)
{
    size_t tenant_len, stream_len;

    if (bytes.len < value_fixed) return SKALD_ECORRUPT;
    if (bytes.ptr[0] != value_form || (bytes.ptr[1] & ~flag_tombstoned)) return SKALD_EUNSUPPORTED;
    tenant_len = (uint8_t)bytes.ptr[2];
    stream_len = (uint8_t)bytes.ptr[3];
    if (!stream_len || tenant_len > SKALD_TENANT_BYTES_MAX ||
        bytes.len != value_fixed + tenant_len + stream_len)
        return SKALD_ECORRUPT;
    *ret_tenant = (skald_str){bytes.ptr + value_fixed, tenant_len};
    *ret_stream = (skald_str){bytes.ptr + value_fixed + tenant_len, stream_len};
    *ret_rule = (ski_rule){.max_count = u64_read(bytes.ptr + 8),
                           .truncate_before = u64_read(bytes.ptr + 16),
                           .max_age = (skald_time)u64_read(bytes.ptr + 24),
                           .deleted_before = u64_read(bytes.ptr + 32),
                           .tombstoned = bytes.ptr[1] & flag_tombstoned};
    return SKALD_OK;
}
