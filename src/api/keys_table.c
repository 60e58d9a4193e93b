// SPDX-License-Identifier: Apache-2.0
// A server's copy of its keys: asked with every request, so it is in memory, by id. It is made anew
// from the store when a key was made or revoked.
//
// When a key was used last is known to the hour and kept as a value of its own, "keyuse/<id>": it
// is written without waiting, and must not be able to undo a revocation that is under way.
#include "api/keys.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { arena_bytes_max = 64 * 1024 * 1024 };

static const int64_t hour_us = 3600ll * 1000 * 1000;
static const char use_prefix[] = "keyuse/", who_prefix[] = "key:";

struct ski_keys {
    skald_store *store;
    ski_mutex lock; // of what follows
    skald_arena *arena;
    ski_key_record *records; // by id
    size_t count;
};

static int by_id(const void *a, const void *b)
{
    return ski_str_compare(((const ski_key_record *)a)->key.id,
                           ((const ski_key_record *)b)->key.id);
}

typedef struct uses {
    ski_key_record *records;
    size_t count;
} uses;

static bool visit_use(void *context, const skald_store_value *value)
{
    const uses *all = context;
    skald_str id =
        ski_str(value->name.ptr + sizeof use_prefix - 1, value->name.len - (sizeof use_prefix - 1));
    uint64_t at = 0;

    if (ski_str_u64(value->bytes, &at) || at > INT64_MAX) return true;
    for (size_t i = 0; i < all->count; i++) {
        if (skald_str_equal(all->records[i].key.id, id)) {
            all->records[i].key.used_at = (skald_time)at;
        }
    }
    return true;
}

static skald_err records_read(skald_store *store, skald_arena *arena, ski_key_record **ret_records,
                              size_t *ret_count, skald_error *reterr_error)
{
    uses all = {0};

    SKALD_TRY(ski_key_records(store, arena, &all.records, &all.count, reterr_error));
    SKALD_TRY(ski_store_value_each(store, skald_str_of(use_prefix), visit_use, &all));
    *ret_records = all.records;
    *ret_count = all.count;
    return SKALD_OK;
}

skald_err skald_keys_list(skald_store *store, skald_arena *arena, const skald_key **ret_keys,
                          size_t *ret_count, skald_error *reterr_error)
{
    ski_key_record *records = NULL;
    size_t count = 0;
    skald_key *keys;

    SKALD_TRY(records_read(store, arena, &records, &count, reterr_error));
    keys = skald_arena_get(arena, (count + 1) * sizeof *keys);
    if (!keys) return SKALD_ENOMEM;
    for (size_t i = 0; i < count; i++) keys[i] = records[i].key;
    *ret_keys = keys;
    *ret_count = count;
    return SKALD_OK;
}

skald_err ski_keys_reload(ski_keys *keys, skald_error *reterr_error)
{
    ski_key_record *records = NULL;
    skald_arena *arena = NULL;
    size_t count = 0;
    skald_err err = skald_arena_new(arena_bytes_max, &arena);

    // Under the lock all the way: of two that reload, the later one has read the later state.
    ski_mutex_lock(&keys->lock);
    if (!err) err = records_read(keys->store, arena, &records, &count, reterr_error);
    if (!err) {
        skald_arena *old = keys->arena;

        qsort(records, count, sizeof *records, by_id);
        keys->records = records;
        keys->count = count;
        keys->arena = arena;
        arena = old;
    }
    ski_mutex_unlock(&keys->lock);
    skald_arena_free(arena);
    return err;
}

skald_err ski_keys_load(skald_store *store, ski_keys **ret_keys, skald_error *reterr_error)
{
    ski_keys *keys = ski_alloc_zeroed(1, sizeof *keys);
    skald_err err;

    if (!keys) return SKALD_ENOMEM;
    keys->store = store;
    ski_mutex_init(&keys->lock);
    err = ski_keys_reload(keys, reterr_error);
    if (err)
        ski_keys_free(keys);
    else
        *ret_keys = keys;
    return err;
}

void ski_keys_free(ski_keys *keys)
{
    if (!keys) return;
    skald_arena_free(keys->arena);
    ski_mutex_fini(&keys->lock);
    ski_free(keys);
}

bool ski_keys_any(ski_keys *keys)
{
    bool any;

    ski_mutex_lock(&keys->lock);
    any = keys->count > 0;
    ski_mutex_unlock(&keys->lock);
    return any;
}

static bool key_valid(const skald_key *key, skald_time now)
{
    return !key->revoked_at && (!key->expires_at || key->expires_at > now);
}

bool ski_keys_valid(ski_keys *keys, skald_time now)
{
    bool valid = false;

    ski_mutex_lock(&keys->lock);
    for (size_t i = 0; i < keys->count && !valid; i++)
        valid = key_valid(&keys->records[i].key, now);
    ski_mutex_unlock(&keys->lock);
    return valid;
}

// record_find: lock held.
static ski_key_record *record_find(const ski_keys *keys, skald_str id)
{
    ski_key_record asked = {.key.id = id};

    if (!keys->count) return NULL;
    return bsearch(&asked, keys->records, keys->count, sizeof asked, by_id);
}

// A use on its way into the store: it frees itself.
typedef struct use_save {
    skald_store_batch batch;
    skald_store_value value;
    char name[sizeof use_prefix + SKALD_KEY_ID_BYTES], text[24];
} use_save;

static void use_saved(skald_store_batch *batch, skald_err err)
{
    (void)err; // it is written again in the next hour
    ski_free(batch->context);
}

static void use_keep(const ski_keys *keys, skald_str id, skald_time at)
{
    use_save *save = ski_alloc_zeroed(1, sizeof *save);
    int name_len, text_len;

    if (!save) return;
    name_len = snprintf(save->name, sizeof save->name, "%s%.*s", use_prefix, SKALD_FMT(id));
    text_len = snprintf(save->text, sizeof save->text, "%lld", (long long)at);
    save->value.name = ski_str(save->name, (size_t)name_len);
    save->value.bytes = ski_str(save->text, (size_t)text_len);
    save->batch = (skald_store_batch){.values = &save->value,
                                      .value_count = 1,
                                      .durability = SKALD_WRITTEN,
                                      .done = use_saved,
                                      .context = save};
    if (ski_store_submit(keys->store, &save->batch)) ski_free(save);
}

static skald_err copy_texts(skald_texts *texts, skald_arena *arena)
{
    skald_str *items;

    if (!texts->count) {
        *texts = (skald_texts){0};
        return SKALD_OK;
    }
    items = skald_arena_get(arena, texts->count * sizeof *items);
    if (!items) return SKALD_ENOMEM;
    for (size_t i = 0; i < texts->count; i++) {
        items[i] = skald_arena_copy(arena, texts->items[i]);
        if (!items[i].ptr) return SKALD_ENOMEM;
    }
    texts->items = items;
    return SKALD_OK;
}

// key_copy: the table may be made anew while the request goes on.
static skald_err key_copy(const skald_key *from, skald_arena *arena, skald_key *ret_key,
                          skald_str *ret_who)
{
    enum { prefix = sizeof who_prefix - 1 };
    skald_key key = *from;
    char *who = skald_arena_get(arena, prefix + key.id.len);

    if (!who) return SKALD_ENOMEM;
    memcpy(who, who_prefix, prefix);
    memcpy(who + prefix, key.id.ptr, key.id.len);
    key.id.ptr = who + prefix;
    key.name = (skald_str){0};
    key.tenant = skald_arena_copy(arena, key.tenant);
    if (from->tenant.ptr && !key.tenant.ptr) return SKALD_ENOMEM;
    SKALD_TRY(copy_texts(&key.types, arena));
    SKALD_TRY(copy_texts(&key.streams, arena));
    *ret_key = key;
    *ret_who = ski_str(who, prefix + key.id.len);
    return SKALD_OK;
}

skald_err ski_keys_find(ski_keys *keys, skald_str text, skald_time now, skald_arena *arena,
                        skald_key *ret_key, skald_str *ret_who, skald_error *reterr_error)
{
    static const uint8_t nothing[SKI_KEY_HASH_BYTES] = {0};
    uint8_t hash[SKI_KEY_HASH_BYTES];
    ski_key_record *record;
    skald_time hour = now / hour_us * hour_us;
    skald_str id;
    bool same, keep = false;
    skald_err err = SKALD_OK;

    if (!ski_key_parse(text, &id, hash))
        return skald_fail(reterr_error, SKALD_EAUTH, "this is no API key");
    ski_mutex_lock(&keys->lock);
    record = record_find(keys, id);
    // One that is not there is compared too: how long it takes tells nothing.
    same = CRYPTO_memcmp(record ? record->hash : nothing, hash, sizeof hash) == 0;
    if (!record || !same) {
        err = skald_fail(reterr_error, SKALD_EAUTH, "this API key is not known");
    } else if (record->key.revoked_at) {
        err = skald_fail(reterr_error, SKALD_EAUTH, "this API key was revoked");
    } else if (!key_valid(&record->key, now)) {
        err = skald_fail(reterr_error, SKALD_EAUTH, "this API key has expired");
    } else {
        keep = record->key.used_at < hour;
        if (keep) record->key.used_at = hour;
        err = key_copy(&record->key, arena, ret_key, ret_who);
    }
    ski_mutex_unlock(&keys->lock);
    if (keep) use_keep(keys, id, hour);
    return err;
}

bool ski_keys_still(ski_keys *keys, skald_str id, skald_time now)
{
    const ski_key_record *record;
    bool still;

    ski_mutex_lock(&keys->lock);
    record = record_find(keys, id);
    still = record && key_valid(&record->key, now);
    ski_mutex_unlock(&keys->lock);
    return still;
}

skald_time ski_keys_used_at(ski_keys *keys, skald_str id)
{
    const ski_key_record *record;
    skald_time at;

    ski_mutex_lock(&keys->lock);
    record = record_find(keys, id);
    at = record ? record->key.used_at : 0;
    ski_mutex_unlock(&keys->lock);
    return at;
}
