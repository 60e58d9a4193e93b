// SPDX-License-Identifier: Apache-2.0
// Snapshots: events of a stream of the store's own beside the stream they are of. Only the newest
// event of such a stream can be seen (sight.c), and compaction takes the others away.
//
// Invariants:
//   1. The newest event of a snapshot stream has the highest stream version: it is appended on the
//      condition that nobody appended in between.
//   2. Deleting is appending one of stream version 0.
#include "store/handle.h"

#include "base/str.h"
#include "store/sight.h"

#include <stdio.h>
#include <string.h>

enum { put_attempts = 16, name_bytes_max = SKALD_STREAM_BYTES_MAX };

static const char version_begin[] = "{\"streamVersion\":";

// The newest snapshot, as its event lies in page.
typedef struct newest {
    skald_store_page page;
    const skald_event *event; // NULL: there is none
    uint64_t stream_version;  // what it is of; 0: it was deleted
} newest;

static skald_err name_make(skald_str stream, char name[name_bytes_max], skald_str *ret_name,
                           skald_error *reterr_error)
{
    size_t begin = sizeof(SKI_SNAPSHOT_PREFIX) - 1;

    if (!stream.len || stream.len > SKALD_SNAPSHOT_STREAM_BYTES_MAX || ski_reserved(stream))
        return skald_fail_at(reterr_error, SKALD_EINVALID, "stream",
                             "a stream with a snapshot has a name of 1 to %d bytes that does not "
                             "begin with '$'",
                             (int)SKALD_SNAPSHOT_STREAM_BYTES_MAX);
    memcpy(name, SKI_SNAPSHOT_PREFIX, begin);
    memcpy(name + begin, stream.ptr, stream.len);
    *ret_name = (skald_str){name, begin + stream.len};
    return SKALD_OK;
}

static uint64_t version_read(skald_str metadata)
{
    skald_str begin = skald_str_of(version_begin);
    uint64_t version = 0;

    if (!ski_str_begins(metadata, begin) || metadata.len < begin.len + 2) return 0;
    metadata = ski_str(metadata.ptr + begin.len, metadata.len - begin.len - 1);
    return ski_str_u64(metadata, &version) ? 0 : version;
}

// newest_read ends with ski_store_page_free, when it is OK.
static skald_err newest_read(skald_store *store, skald_str tenant, skald_str name,
                             newest *ret_newest)
{
    skald_read read = {
        .filter.tenant = tenant, .filter.streams = {&name, 1}, .events_max = 1, .backwards = true};
    newest found = {0};

    for (;;) {
        SKALD_TRY(ski_store_page(store, &read, &found.page, NULL));
        if (found.page.count || found.page.end) break;
        read.before = found.page.position_next;
        ski_store_page_free(store, &found.page);
    }
    if (found.page.count) {
        found.event = &found.page.events[0];
        found.stream_version = version_read(found.event->metadata);
    }
    *ret_newest = found;
    return SKALD_OK;
}

// put_once appends a snapshot behind the newest there is, or leaves that if it is of more.
static skald_err put_once(skald_store *store, skald_str tenant, skald_str name,
                          const skald_snapshot *snapshot, skald_error *reterr_error)
{
    char metadata[48];
    int len = snprintf(metadata, sizeof(metadata), "%s%llu}", version_begin,
                       (unsigned long long)snapshot->stream_version);
    skald_event event = {.type = SKALD_STR(SKI_SNAPSHOT_TYPE),
                         .tenant = tenant,
                         .stream = name,
                         .data = snapshot->bytes,
                         .version = snapshot->schema_version,
                         .metadata = {metadata, (size_t)len}};
    skald_expect expect = {tenant, name, SKALD_AT, 0};
    skald_store_batch batch = {
        .events = &event, .event_count = 1, .expect = &expect, .expect_count = 1};
    bool removing = !snapshot->stream_version, done;
    newest there;
    skald_err err;

    SKALD_TRY(skald_stream_version(store, tenant, name, &expect.version));
    SKALD_TRY(newest_read(store, tenant, name, &there));
    done = removing ? !there.stream_version : there.stream_version > snapshot->stream_version;
    ski_store_page_free(store, &there.page);
    if (done) return SKALD_OK;
    err = ski_store_commit_wait(store, &batch, true);
    return err ? ski_store_batch_fail(&batch, err, reterr_error) : SKALD_OK;
}

static skald_err put_again(skald_store *store, skald_str tenant, skald_str name,
                           const skald_snapshot *snapshot, skald_error *reterr_error)
{
    skald_err err = SKALD_ECONFLICT;

    for (int i = 0; err == SKALD_ECONFLICT && i < put_attempts; i++)
        err = put_once(store, tenant, name, snapshot, reterr_error);
    return err;
}

static skald_err snapshot_check(skald_store *store, skald_str tenant, skald_str stream,
                                const skald_snapshot *snapshot, skald_error *reterr_error)
{
    uint64_t version = 0;
    ski_rule rule;

    if (!snapshot->bytes.len)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "bytes", "a snapshot is not empty");
    if (snapshot->bytes.len > store->options.event_bytes_max)
        return skald_fail_at(reterr_error, SKALD_ETOOBIG, "bytes",
                             "%zu bytes, at most %u are allowed", snapshot->bytes.len,
                             store->options.event_bytes_max);
    if (tenant.len > SKALD_TENANT_BYTES_MAX)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "tenant",
                             "a tenant's name has %d bytes at most", (int)SKALD_TENANT_BYTES_MAX);
    if (ski_rule_get(store, tenant, stream, &rule) && rule.tombstoned)
        return skald_fail_at(reterr_error, SKALD_ESTATE, "stream",
                             "stream '%.*s' was deleted for ever (tombstoned)", SKALD_FMT(stream));
    SKALD_TRY(skald_stream_version(store, tenant, stream, &version));
    if (!snapshot->stream_version || snapshot->stream_version > version)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "stream_version",
                             "stream '%.*s' is at version %llu, a snapshot of it is of one from 1 "
                             "to that",
                             SKALD_FMT(stream), (unsigned long long)version);
    return SKALD_OK;
}

skald_err skald_snapshot_put(skald_store *store, skald_str tenant, skald_str stream,
                             const skald_snapshot *snapshot, skald_error *reterr_error)
{
    char name[name_bytes_max];
    skald_str named;

    if (!tenant.ptr) tenant = SKALD_STR("");
    SKALD_TRY(name_make(stream, name, &named, reterr_error));
    SKALD_TRY(snapshot_check(store, tenant, stream, snapshot, reterr_error));
    return put_again(store, tenant, named, snapshot, reterr_error);
}

skald_err skald_snapshot_delete(skald_store *store, skald_str tenant, skald_str stream,
                                skald_error *reterr_error)
{
    static const skald_snapshot nothing;
    char name[name_bytes_max];
    skald_str named;

    if (!tenant.ptr) tenant = SKALD_STR("");
    SKALD_TRY(name_make(stream, name, &named, reterr_error));
    return put_again(store, tenant, named, &nothing, reterr_error);
}

skald_err skald_snapshot_get(skald_store *store, skald_str tenant, skald_str stream,
                             uint32_t schema_version, skald_arena *arena,
                             skald_snapshot *ret_snapshot)
{
    char name[name_bytes_max];
    skald_snapshot snapshot = {0};
    skald_err err = SKALD_OK;
    ski_rule rule = {0};
    skald_str named;
    newest there;

    if (!tenant.ptr) tenant = SKALD_STR("");
    SKALD_TRY(name_make(stream, name, &named, NULL));
    SKALD_TRY(newest_read(store, tenant, named, &there));
    (void)ski_rule_get(store, tenant, stream, &rule);
    if (!there.stream_version || rule.tombstoned || there.stream_version < rule.deleted_before)
        err = SKALD_ENOTFOUND;
    else if (schema_version && there.event->version != schema_version)
        err = SKALD_ESCHEMA;
    if (!err) {
        snapshot.stream_version = there.stream_version;
        snapshot.schema_version = there.event->version;
        snapshot.recorded_at = there.event->recorded_at;
        snapshot.bytes = skald_arena_copy(arena, there.event->data);
        if (!snapshot.bytes.ptr) err = SKALD_ENOMEM;
    }
    ski_store_page_free(store, &there.page);
    if (!err) *ret_snapshot = snapshot;
    return err;
}
