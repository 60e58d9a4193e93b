// SPDX-License-Identifier: Apache-2.0
// Streams: their metadata, and deleting them. Each stream's is a named value of the store.
//
// Invariants:
//   1. What is in the table is durable: it is put there when its value is, one change at a time.
//   2. Deleting says "nothing below version n": so an append that comes later is visible without
//      another write, and one that comes in between is either deleted with the rest or a conflict.
#include "store/handle.h"

#include "store/sight.h"

#include <string.h>

enum { delete_attempts = 16 };

typedef struct rules_loading {
    skald_store *store;
    skald_err err;
} rules_loading;

static bool rule_load(void *context, const skald_store_value *value)
{
    rules_loading *loading = context;
    skald_str tenant, stream;
    ski_rule rule;

    loading->err = ski_rule_read(value->bytes, &tenant, &stream, &rule);
    if (!loading->err) loading->err = ski_rules_put(&loading->store->rules, tenant, stream, &rule);
    return !loading->err;
}

skald_err ski_store_load(skald_store *store, skald_error *reterr_error)
{
    rules_loading loading = {store, SKALD_OK};
    skald_err err =
        store->driver->value_each(store->instance, SKALD_STR(SKI_RULE_PREFIX), rule_load, &loading);

    if (!err) err = loading.err;
    if (err)
        return skald_fail(reterr_error, err, "the metadata of streams cannot be read: %s",
                          skald_err_text(err));
    atomic_store(&store->rules_count, store->rules.count);
    return ski_retention_load(store, reterr_error);
}

static skald_err names_check(skald_str tenant, skald_str stream, skald_error *reterr_error)
{
    if (!stream.len || stream.len > SKALD_STREAM_BYTES_MAX)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "stream",
                             "a stream's name has 1 to %d bytes", (int)SKALD_STREAM_BYTES_MAX);
    if (ski_reserved(stream))
        return skald_fail_at(reterr_error, SKALD_EINVALID, "stream",
                             "'%.*s': names that begin with '$' are the store's own",
                             SKALD_FMT(stream));
    if (tenant.len > SKALD_TENANT_BYTES_MAX)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "tenant",
                             "a tenant's name has %d bytes at most", (int)SKALD_TENANT_BYTES_MAX);
    return SKALD_OK;
}

// rule_store makes a rule durable, on the condition of batch's expects, and then puts it into the
// table. change is held.
static skald_err rule_store(skald_store *store, skald_store_batch *batch, skald_str tenant,
                            skald_str stream, const ski_rule *rule)
{
    char name[SKI_RULE_NAME_BYTES + 1], bytes[SKI_RULE_VALUE_BYTES_MAX];
    skald_store_value value = {.name = {name, SKI_RULE_NAME_BYTES}};
    ski_rule before = {0};
    skald_err err = SKALD_OK;
    bool there;

    SKALD_TRY(ski_rule_name(tenant, stream, name));
    if (!ski_rule_empty(rule))
        value.bytes = (skald_str){bytes, ski_rule_write(tenant, stream, rule, bytes)};
    // Room is made before the commit, with what holds now: afterwards nothing may fail.
    ski_mutex_lock(&store->rules_mutex);
    there = ski_rules_find(&store->rules, tenant, stream) != NULL;
    if (!there && value.bytes.ptr) {
        if (store->rules.count == store->options.stream_metas_max)
            err = SKALD_EFULL;
        else
            err = ski_rules_put(&store->rules, tenant, stream, &before);
    }
    ski_mutex_unlock(&store->rules_mutex);
    if (err || (!there && !value.bytes.ptr)) return err;
    batch->values = &value;
    batch->value_count = 1;
    err = ski_store_commit_wait(store, batch, true);
    ski_mutex_lock(&store->rules_mutex);
    if (!err && value.bytes.ptr)
        err = ski_rules_put(&store->rules, tenant, stream, rule);
    else if (!err || !there)
        ski_rules_remove(&store->rules, tenant, stream);
    atomic_store(&store->rules_count, store->rules.count);
    ski_mutex_unlock(&store->rules_mutex);
    return err;
}

static skald_err change_fail(const skald_store *store, const skald_store_batch *batch,
                             skald_str stream, skald_err err, skald_error *reterr_error)
{
    if (err == SKALD_ESTATE)
        return skald_fail_at(reterr_error, err, "stream",
                             "stream '%.*s' was deleted for ever (tombstoned)", SKALD_FMT(stream));
    if (err == SKALD_ENOTFOUND)
        return skald_fail_at(reterr_error, err, "stream", "there is no stream '%.*s'",
                             SKALD_FMT(stream));
    if (err == SKALD_EFULL)
        return skald_fail(reterr_error, err,
                          "%u streams have metadata, which is stream_metas_max; raise it, or take "
                          "the metadata of another stream away",
                          store->options.stream_metas_max);
    return err ? ski_store_batch_fail(batch, err, reterr_error) : SKALD_OK;
}

skald_err skald_stream_meta_set(skald_store *store, skald_str tenant, skald_str stream,
                                const skald_stream_meta *meta, skald_error *reterr_error)
{
    skald_store_batch batch = {0};
    ski_rule rule = {0};
    skald_err err = SKALD_ESTATE;

    SKALD_TRY(names_check(tenant, stream, reterr_error));
    if (meta->max_age < 0)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "max_age",
                             "an age is 0, for any, or more");
    ski_mutex_lock(&store->change);
    (void)ski_rule_get(store, tenant, stream, &rule);
    if (!rule.tombstoned) {
        rule.max_count = meta->max_count;
        rule.max_age = meta->max_age;
        rule.truncate_before = meta->truncate_before;
        err = rule_store(store, &batch, tenant, stream, &rule);
    }
    ski_mutex_unlock(&store->change);
    return change_fail(store, &batch, stream, err, reterr_error);
}

skald_err skald_stream_meta_get(skald_store *store, skald_str tenant, skald_str stream,
                                skald_stream_meta *ret_meta)
{
    uint64_t version = 0;
    ski_rule rule = {0};

    SKALD_TRY(names_check(tenant, stream, NULL));
    (void)ski_rule_get(store, tenant, stream, &rule);
    if (rule.deleted_before && !rule.tombstoned)
        SKALD_TRY(skald_stream_version(store, tenant, stream, &version));
    *ret_meta = (skald_stream_meta){.max_count = rule.max_count,
                                    .max_age = rule.max_age,
                                    .truncate_before = rule.truncate_before,
                                    .deleted = rule.deleted_before && !rule.tombstoned && !version,
                                    .tombstoned = rule.tombstoned};
    return SKALD_OK;
}

// driver_version is where the driver has the stream, deleted or not.
static skald_err driver_version(skald_store *store, const skald_expect *expect,
                                uint64_t *ret_version)
{
    skald_err err;

    SKALD_TRY(ski_store_enter(store));
    err =
        store->driver->stream_version(store->instance, expect->tenant, expect->stream, ret_version);
    ski_store_leave(store);
    return err;
}

// delete_once decides on the version the stream has now and commits on the condition that it still
// has it. CONFLICT with *ret_again: it had moved on, and what the caller expects may hold as well.
static skald_err delete_once(skald_store *store, skald_store_batch *batch, skald_expect *expect,
                             bool tombstone, bool *ret_again)
{
    uint64_t version = 0, stands;
    ski_rule rule = {0};
    bool holds;

    *ret_again = false;
    (void)ski_rule_get(store, expect->tenant, expect->stream, &rule);
    if (rule.tombstoned) return tombstone ? SKALD_OK : SKALD_ESTATE;
    SKALD_TRY(driver_version(store, expect, &version));
    stands = version < rule.deleted_before ? 0 : version;
    holds =
        expect->expected == SKALD_ANY || (expect->expected == SKALD_PRESENT && stands) ||
        (expect->expected == SKALD_NONE && !stands) ||
        (expect->expected == SKALD_AT && (expect->version == stands || expect->version == version));
    batch->actual_version = stands;
    if (!holds) return SKALD_ECONFLICT;
    if (!stands && !tombstone) return SKALD_ENOTFOUND;
    rule.deleted_before = version + 1;
    rule.tombstoned = tombstone;
    skald_expect at = {expect->tenant, expect->stream, SKALD_AT, version};
    batch->expect = &at;
    skald_err err = rule_store(store, batch, expect->tenant, expect->stream, &rule);
    batch->expect = expect;
    *ret_again = err == SKALD_ECONFLICT;
    return err;
}

skald_err skald_stream_delete(skald_store *store, const skald_expect *expect, bool tombstone,
                              skald_error *reterr_error)
{
    skald_expect given = *expect;
    skald_store_batch batch = {.expect = &given, .expect_count = 1};
    skald_err err = SKALD_OK;
    bool again = true;

    SKALD_TRY(names_check(given.tenant, given.stream, reterr_error));
    if ((unsigned)given.expected > SKALD_AT)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "expectedVersion",
                             "there is no such expectation");
    if (!given.tenant.ptr) given.tenant = SKALD_STR("");
    ski_mutex_lock(&store->change);
    for (int i = 0; again && i < delete_attempts; i++)
        err = delete_once(store, &batch, &given, tombstone, &again);
    ski_mutex_unlock(&store->change);
    return change_fail(store, &batch, given.stream, err, reterr_error);
}
