// SPDX-License-Identifier: Apache-2.0
// The index. Rows are one per position; names (streams, types) and chains (correlations) have
// postings.
//
// Invariants:
//   1. A key's postings are exactly the positions of its events, damaged ones left out, rising.
//   2. rows[p].recorded_at never falls, so that a time is found by halving.
//   3. Names are compared in full, correlations and ids by 64-bit keyed hashes that include the
//      tenant: what is found through those is verified in the record.
//   4. A failed add leaves nothing behind but, perhaps, a key without postings.
#include "store/log/index.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "base/str.h"
#include "store/log/scan.h"
#include <assert.h>
#include <string.h>

enum { text_block_bytes = 16 * 1024 };

static void *table_at(const ski_index_table *table, uint32_t slot)
{
    assert(slot < table->count);
    return (char *)table->blocks[slot / SKI_INDEX_BLOCK] +
           (size_t)(slot % SKI_INDEX_BLOCK) * table->item_size;
}

// table_room makes sure that one more item fits. The item is not zeroed.
static skald_err table_room(ski_index_table *table, uint64_t *bytes)
{
    void **blocks = NULL;
    void *block = NULL;

    if (table->count < (uint64_t)table->block_count * SKI_INDEX_BLOCK) return SKALD_OK;
    if ((table->block_count & (table->block_count - 1)) == 0) { // the list of blocks doubles
        uint32_t size = table->block_count ? table->block_count * 2 : 1;

        blocks = ski_realloc(table->blocks, size * sizeof *blocks);
        if (!blocks) return SKALD_ENOMEM;
        table->blocks = blocks;
    }
    block = ski_alloc((size_t)SKI_INDEX_BLOCK * table->item_size);
    if (!block) return SKALD_ENOMEM;
    table->blocks[table->block_count++] = block;
    *bytes += (uint64_t)SKI_INDEX_BLOCK * table->item_size + sizeof *blocks;
    return SKALD_OK;
}

static void table_fini(ski_index_table *table)
{
    for (uint32_t i = 0; i < table->block_count; i++) ski_free(table->blocks[i]);
    ski_free(table->blocks);
}

void ski_index_init(ski_index *index, uint64_t seed, uint64_t base)
{
    *index = (ski_index){.seed = seed, .base = base};
    index->rows.item_size = sizeof(ski_index_row);
    index->streams.table.item_size = sizeof(ski_index_key);
    index->types.table.item_size = sizeof(ski_index_key);
    index->chains.item_size = sizeof(ski_index_chain);
}

static void names_fini(ski_index_names *names)
{
    for (uint32_t i = 0; i < names->table.count; i++) {
        ski_postings_fini(&ski_index_key_at(names, i)->postings);
    }
    table_fini(&names->table);
    ski_map_fini(&names->map);
}

void ski_index_fini(ski_index *index)
{
    names_fini(&index->streams);
    names_fini(&index->types);
    for (uint32_t i = 0; i < index->chains.count; i++) {
        ski_postings_fini(&((ski_index_chain *)table_at(&index->chains, i))->postings);
    }
    table_fini(&index->chains);
    table_fini(&index->rows);
    ski_map_fini(&index->chains_map);
    for (size_t i = 0; i < index->text_block_count; i++) ski_free(index->text_blocks[i]);
    ski_free(index->text_blocks);
    *index = (ski_index){0};
}

// hash_name: tenant is the hash of the tenant.
static uint64_t hash_name(uint64_t tenant, skald_str name)
{
    uint64_t hash = ski_hash64(tenant, name.ptr, name.len);

    return hash ? hash : 1;
}

uint64_t ski_index_hash_name(uint64_t seed, skald_str tenant, skald_str name)
{
    return hash_name(ski_hash64(seed, tenant.ptr, tenant.len), name);
}

uint64_t ski_index_hash_id(uint64_t seed, skald_str tenant, skald_uuid id)
{
    return ski_hash64(~ski_hash64(seed, tenant.ptr, tenant.len), id.bytes, sizeof id.bytes);
}

void ski_index_hash(uint64_t seed, const skald_event *event, ski_index_hashes *ret_hashes)
{
    uint64_t tenant = ski_hash64(seed, event->tenant.ptr, event->tenant.len);

    *ret_hashes = (ski_index_hashes){
        .type = hash_name(tenant, event->type),
        .id = ski_hash64(~tenant, event->id.bytes, sizeof event->id.bytes),
    };
    if (event->stream.len) ret_hashes->stream = hash_name(tenant, event->stream);
    if (event->correlation_id.len) {
        ret_hashes->correlation = hash_name(tenant, event->correlation_id);
    }
}

// text_copy keeps a key's tenant and name, one behind the other, for as long as the index lives.
static char *text_copy(ski_index *index, skald_str tenant, skald_str name)
{
    size_t len = tenant.len + name.len;
    char *text = NULL;

    if (len > text_block_bytes) return NULL;
    if (index->text_left < len) {
        void **blocks =
            ski_realloc(index->text_blocks, (index->text_block_count + 1) * sizeof *blocks);
        char *block = NULL;

        if (!blocks) return NULL;
        index->text_blocks = blocks;
        block = ski_alloc(text_block_bytes);
        if (!block) return NULL;
        blocks[index->text_block_count++] = block;
        index->text = block;
        index->text_left = text_block_bytes;
        index->bytes += text_block_bytes;
    }
    text = index->text;
    if (tenant.len) memcpy(text, tenant.ptr, tenant.len);
    if (name.len) memcpy(text + tenant.len, name.ptr, name.len);
    index->text += len;
    index->text_left -= len;
    return text;
}

skald_str ski_index_key_tenant(const ski_index_key *key)
{
    return (skald_str){key->text, key->tenant_len};
}

skald_str ski_index_key_name(const ski_index_key *key)
{
    return (skald_str){key->text + key->tenant_len, key->name_len};
}

ski_index_key *ski_index_key_at(const ski_index_names *names, uint32_t slot)
{
    return table_at(&names->table, slot);
}

static uint64_t names_hash_of(void *context, uint32_t slot)
{
    return ski_index_key_at(context, slot)->hash;
}

static ski_index_key *names_find(const ski_index_names *names, uint64_t hash, skald_str tenant,
                                 skald_str name)
{
    uint32_t cursor = 0, slot = 0;

    while ((slot = ski_map_find(&names->map, hash, &cursor)) != SKI_MAP_NONE) {
        ski_index_key *key = ski_index_key_at(names, slot);

        if (key->hash != hash) continue;
        if (!skald_str_equal(ski_index_key_tenant(key), tenant)) continue;
        if (skald_str_equal(ski_index_key_name(key), name)) return key;
    }
    return NULL;
}

// tenant_note keeps the list of tenants, as long as they are few.
static void tenant_note(ski_index *index, const ski_index_key *key)
{
    skald_str tenant = ski_index_key_tenant(key);

    if (index->tenant_count > SKI_INDEX_TENANTS_MAX) return;
    for (uint32_t i = 0; i < index->tenant_count; i++) {
        if (skald_str_equal(index->tenants[i], tenant)) return;
    }
    if (index->tenant_count < SKI_INDEX_TENANTS_MAX) index->tenants[index->tenant_count] = tenant;
    index->tenant_count++;
}

static skald_err names_get(ski_index *index, ski_index_names *names, uint64_t hash,
                           skald_str tenant, skald_str name, ski_index_key **ret_key)
{
    ski_index_key *key = names_find(names, hash, tenant, name);
    uint32_t slot = names->table.count;

    if (!key) {
        SKALD_TRY(table_room(&names->table, &index->bytes));
        names->table.count++;
        key = ski_index_key_at(names, slot);
        *key = (ski_index_key){.hash = hash,
                               .tenant_len = (uint16_t)tenant.len,
                               .name_len = (uint16_t)name.len,
                               .text = text_copy(index, tenant, name)};
        if (!key->text || ski_map_put(&names->map, hash, slot, names_hash_of, names)) {
            names->table.count--;
            return SKALD_ENOMEM;
        }
        tenant_note(index, key);
    }
    *ret_key = key;
    return SKALD_OK;
}

static uint64_t chains_hash_of(void *context, uint32_t slot)
{
    return ((ski_index_chain *)table_at(context, slot))->hash;
}

ski_index_chain *ski_index_correlation(const ski_index *index, uint64_t hash)
{
    uint32_t cursor = 0, slot = 0;

    while ((slot = ski_map_find(&index->chains_map, hash, &cursor)) != SKI_MAP_NONE) {
        ski_index_chain *chain = table_at(&index->chains, slot);

        if (chain->hash == hash) return chain;
    }
    return NULL;
}

static skald_err chain_get(ski_index *index, uint64_t hash, ski_index_chain **ret_chain)
{
    ski_index_chain *chain = ski_index_correlation(index, hash);
    uint32_t slot = index->chains.count;

    if (!chain) {
        SKALD_TRY(table_room(&index->chains, &index->bytes));
        index->chains.count++;
        chain = table_at(&index->chains, slot);
        *chain = (ski_index_chain){.hash = hash};
        if (ski_map_put(&index->chains_map, hash, slot, chains_hash_of, &index->chains)) {
            index->chains.count--;
            return SKALD_ENOMEM;
        }
    }
    *ret_chain = chain;
    return SKALD_OK;
}

static void map_expect(const ski_map *map, uint64_t hash)
{
    if (map->entries) __builtin_prefetch(&map->entries[(uint32_t)hash & map->size_mask]);
}

void ski_index_expect(const ski_index *index, const ski_index_hashes *hashes)
{
    if (hashes->stream) map_expect(&index->streams.map, hashes->stream);
    if (hashes->correlation) map_expect(&index->chains_map, hashes->correlation);
}

ski_index_head ski_index_head_of(const ski_index *index, const ski_index_key *stream)
{
    const ski_postings *postings = &stream->postings;

    if (!postings->count) return stream->before;
    return (ski_index_head){stream->version, index->base + ski_postings_last(postings)};
}

uint32_t ski_index_seen(const ski_index *index, const ski_postings *postings, uint64_t position)
{
    return position > index->base ? ski_postings_after(postings, position - index->base) : 0;
}

// index_post adds a number to the event's postings: all of them or none.
static skald_err index_post(ski_index *index, uint64_t number, ski_index_key *stream,
                            ski_index_key *type, ski_index_chain *chain)
{
    skald_err err = ski_postings_add(&type->postings, number, &index->bytes);

    if (err) return err;
    if (stream) err = ski_postings_add(&stream->postings, number, &index->bytes);
    if (err) goto drop_type;
    if (chain) err = ski_postings_add(&chain->postings, number, &index->bytes);
    if (err) goto drop_stream;
    return SKALD_OK;

drop_stream:
    if (stream) ski_postings_drop(&stream->postings);
drop_type:
    ski_postings_drop(&type->postings);
    return err;
}

// stream_get finds the key of an event's stream, or makes it.
static skald_err stream_get(ski_index *index, const skald_event *event, uint64_t hash,
                            const ski_index_head *before, ski_index_key **ret_key)
{
    uint32_t count = index->streams.table.count;

    SKALD_TRY(names_get(index, &index->streams, hash, event->tenant, event->stream, ret_key));
    if (index->streams.table.count == count) return SKALD_OK;
    (*ret_key)->before = *before;
    (*ret_key)->version = before->version;
    return SKALD_OK;
}

skald_err ski_index_add(ski_index *index, const skald_event *event, const ski_index_hashes *hashes,
                        const ski_index_row *row, ski_index_key *stream,
                        const ski_index_head *before, uint64_t version, uint64_t *ret_version,
                        uint64_t *ret_prev)
{
    ski_index_key *type = NULL;
    ski_index_chain *chain = NULL;
    uint64_t prev = 0;

    if (index->count >= SKI_INDEX_EVENTS_MAX) return SKALD_EFULL;
    SKALD_TRY(table_room(&index->rows, &index->bytes));
    SKALD_TRY(names_get(index, &index->types, hashes->type, event->tenant, event->type, &type));
    if (hashes->stream) {
        if (!stream) SKALD_TRY(stream_get(index, event, hashes->stream, before, &stream));
        if (!version) version = stream->version + 1;
        prev = ski_index_head_of(index, stream).position;
    }
    if (hashes->correlation) SKALD_TRY(chain_get(index, hashes->correlation, &chain));
    SKALD_TRY(index_post(index, index->count + 1, stream, type, chain));
    index->rows.count++;
    index->count++;
    *ski_index_row_of(index, index->base + index->count) = *row;
    if (stream) stream->version = version;
    *ret_version = stream ? version : 0;
    *ret_prev = prev;
    return SKALD_OK;
}

skald_err ski_index_add_missing(ski_index *index, uint64_t events)
{
    uint64_t last = ski_index_last(index);
    int64_t recorded_at = index->count ? ski_index_row_of(index, last)->recorded_at : 0;

    if (events > SKI_SEGMENT_EVENTS_MAX || index->count > SKI_SEGMENT_EVENTS_MAX - events) {
        return SKALD_EFULL;
    }
    for (uint64_t i = 0; i < events; i++) {
        SKALD_TRY(table_room(&index->rows, &index->bytes));
        index->rows.count++;
        index->count++;
        *ski_index_row_of(index, ski_index_last(index)) =
            (ski_index_row){.place = SKI_INDEX_NO_PLACE, .recorded_at = recorded_at};
    }
    return SKALD_OK;
}

void ski_index_drop(ski_index *index, const skald_event *event, const ski_index_hashes *hashes)
{
    ski_index_key *type = ski_index_type(index, hashes->type, event->tenant, event->type);

    ski_postings_drop(&type->postings);
    if (hashes->stream) {
        ski_index_key *stream =
            ski_index_stream(index, hashes->stream, event->tenant, event->stream);

        ski_postings_drop(&stream->postings);
        stream->version--;
    }
    if (hashes->correlation) {
        ski_postings_drop(&ski_index_correlation(index, hashes->correlation)->postings);
    }
}

void ski_index_cut(ski_index *index, uint64_t position)
{
    assert(position >= index->base && position <= ski_index_last(index));
    index->count = position - index->base;
    index->rows.count = (uint32_t)index->count;
}

ski_index_key *ski_index_stream(const ski_index *index, uint64_t hash, skald_str tenant,
                                skald_str stream)
{
    return names_find(&index->streams, hash, tenant, stream);
}

ski_index_key *ski_index_type(const ski_index *index, uint64_t hash, skald_str tenant,
                              skald_str type)
{
    return names_find(&index->types, hash, tenant, type);
}

uint64_t ski_index_from(const ski_index *index, int64_t time, uint64_t last)
{
    uint64_t low = index->base + 1, high = last + 1;

    assert(last >= index->base && last <= ski_index_last(index));
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (ski_index_row_of(index, middle)->recorded_at < time) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static uint64_t map_bytes(const ski_map *map)
{
    return map->entries ? ((uint64_t)map->size_mask + 1) * sizeof(ski_map_entry) : 0;
}

uint64_t ski_index_bytes(const ski_index *index)
{
    return index->bytes + map_bytes(&index->streams.map) + map_bytes(&index->types.map) +
           map_bytes(&index->chains_map);
}
