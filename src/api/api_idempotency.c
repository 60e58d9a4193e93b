// SPDX-License-Identifier: Apache-2.0
// Idempotency-Key.
//
// A record per key stands in the store as a named value. For a publish it is part of the append
// itself, so events and key are stored together or not at all; it then says which ids and times the
// events were given. When the reply is known it is written into the record. Should the process die
// in between, the same request publishes the same ids again: the store knows them, stores nothing
// and gives the first result, of which the same reply is made.
//
// Invariants:
//   1. Only success is kept. A request that failed did nothing, and is tried anew.
//   2. The name of a record is a SHA-256 over tenant, route and key, so nobody can reach another
//      tenant's by a chosen key; the fingerprint of the request is one over query, media type and
//      body.
//   3. Every key known stands in a ring, oldest first, which is also the order in which they
//      expire. A slot that is in use is never dropped from it.
#include "api/api_idempotency.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/hex.h"
#include "base/map.h"
#include "base/str.h"

#include <assert.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

enum {
    name_bytes = 12 + 2 * SHA256_DIGEST_LENGTH,
    record_form = 1,
    record_head = 1 + 1 + 2 + 8 + 8 + 8 + 8 + 16 + SHA256_DIGEST_LENGTH,
    drops_max = 64, // expired records dropped by one request
    us_per_s = 1000000,
};

static const skald_str name_prefix = {"idempotency/", 12};

typedef struct replay_slot {
    uint8_t digest[SHA256_DIGEST_LENGTH]; // of the name
    skald_time expires_at;
    uint32_t bytes; // of the reply that is kept
    bool used, pending;
} replay_slot;

struct ski_replays {
    ski_api *api;
    ski_mutex lock;
    replay_slot *slots; // a ring of SKI_REPLAYS_MAX
    uint32_t first, count;
    uint64_t bytes;
    ski_map map; // digest to slot
};

// ski_replay is the record of a request that is being answered.
struct ski_replay {
    char name[name_bytes];
    uint8_t fingerprint[SHA256_DIGEST_LENGTH];
    uint32_t slot;
    skald_uuid base; // the first id; those of further events follow it
    skald_time at, expires_at;
    bool again; // the events may be stored already
    bool over;
};

// A record as it is stored.
typedef struct replay_record {
    uint16_t status; // 0: the reply is not known
    skald_time expires_at, at;
    uint64_t position, stream_version;
    skald_uuid base;
    const uint8_t *fingerprint;
    skald_str correlation_id, body;
} replay_record;

// Records.

static void put_u64(uint8_t *to, uint64_t number)
{
    for (size_t i = 0; i < 8; i++) to[i] = (uint8_t)(number >> (8 * i));
}

static uint64_t get_u64(const uint8_t *from)
{
    uint64_t number = 0;

    for (size_t i = 0; i < 8; i++) number |= (uint64_t)from[i] << (8 * i);
    return number;
}

// record_head: form, length of the correlation id, status, expiry, time, position, stream version,
// first id, fingerprint; then correlation id and body.
static skald_err record_put(const replay_record *record, skald_buf *buf)
{
    uint8_t head[record_head] = {record_form, (uint8_t)record->correlation_id.len,
                                 (uint8_t)record->status, (uint8_t)(record->status >> 8)};

    put_u64(head + 4, (uint64_t)record->expires_at);
    put_u64(head + 12, (uint64_t)record->at);
    put_u64(head + 20, record->position);
    put_u64(head + 28, record->stream_version);
    memcpy(head + 36, record->base.bytes, 16);
    memcpy(head + 52, record->fingerprint, SHA256_DIGEST_LENGTH);
    SKALD_TRY(skald_buf_put(buf, ski_str((const char *)head, sizeof head)));
    SKALD_TRY(skald_buf_put(buf, record->correlation_id));
    return skald_buf_put(buf, record->body);
}

static bool record_get(skald_str bytes, replay_record *ret_record)
{
    const uint8_t *head = (const uint8_t *)bytes.ptr;

    if (bytes.len < record_head || head[0] != record_form) return false;
    if (bytes.len - record_head < head[1]) return false;
    *ret_record = (replay_record){
        .status = (uint16_t)(head[2] | head[3] << 8),
        .expires_at = (skald_time)get_u64(head + 4),
        .at = (skald_time)get_u64(head + 12),
        .position = get_u64(head + 20),
        .stream_version = get_u64(head + 28),
        .fingerprint = head + 52,
        .correlation_id = ski_str(bytes.ptr + record_head, head[1]),
        .body = ski_str(bytes.ptr + record_head + head[1], bytes.len - record_head - head[1]),
    };
    memcpy(ret_record->base.bytes, head + 36, 16);
    return true;
}

// The ring. All of it under the lock.

static uint64_t digest_hash(const uint8_t *digest)
{
    return get_u64(digest);
}

static uint64_t slot_hash(void *context, uint32_t slot)
{
    return digest_hash(((ski_replays *)context)->slots[slot].digest);
}

static uint32_t slot_find(ski_replays *replays, const uint8_t *digest)
{
    uint32_t cursor = 0, slot;

    while ((slot = ski_map_find(&replays->map, digest_hash(digest), &cursor)) != SKI_MAP_NONE) {
        if (memcmp(replays->slots[slot].digest, digest, SHA256_DIGEST_LENGTH) == 0) break;
    }
    return slot;
}

static skald_err slot_add(ski_replays *replays, const uint8_t *digest, skald_time expires_at,
                          uint32_t *ret_slot)
{
    uint32_t slot = (replays->first + replays->count) % SKI_REPLAYS_MAX;

    if (replays->count == SKI_REPLAYS_MAX) return SKALD_EFULL;
    memcpy(replays->slots[slot].digest, digest, SHA256_DIGEST_LENGTH);
    SKALD_TRY(ski_map_put(&replays->map, digest_hash(digest), slot, slot_hash, replays));
    replays->slots[slot].expires_at = expires_at;
    replays->slots[slot].bytes = 0;
    replays->slots[slot].used = true;
    replays->slots[slot].pending = true;
    replays->count++;
    *ret_slot = slot;
    return SKALD_OK;
}

// slot_drop forgets a key; its place in the ring is given back when it comes to the front.
static void slot_drop(ski_replays *replays, uint32_t slot)
{
    replay_slot *at = &replays->slots[slot];

    ski_map_remove(&replays->map, digest_hash(at->digest), slot, slot_hash, replays);
    replays->bytes -= at->bytes;
    at->used = at->pending = false;
    while (replays->count && !replays->slots[replays->first].used) {
        replays->first = (replays->first + 1) % SKI_REPLAYS_MAX;
        replays->count--;
    }
}

// Writing to the store without waiting.

typedef struct replay_write {
    skald_store_batch batch;
    skald_store *store;
    skald_store_value values[drops_max];
    size_t count;
    char names[drops_max][name_bytes];
    skald_buf bytes; // of the one value that is not dropped
} replay_write;

static void write_free(replay_write *write)
{
    skald_buf_fini(&write->bytes);
    ski_free(write);
}

static void write_done(skald_store_batch *batch, skald_err err)
{
    (void)err; // what is not written is made again, or dropped again
    write_free(batch->context);
}

static replay_write *write_new(skald_store *store)
{
    replay_write *write = ski_alloc_zeroed(1, sizeof *write);

    if (!write) return NULL;
    write->store = store;
    write->batch = (skald_store_batch){
        .durability = SKALD_WRITTEN,
        .values = write->values,
        .done = write_done,
        .context = write,
    };
    write->bytes.bytes_max = SKI_STORE_VALUE_BYTES_MAX;
    return write;
}

static void write_submit(void *context)
{
    replay_write *write = context;

    write->batch.value_count = write->count;
    if (ski_store_submit(write->store, &write->batch)) write_free(write);
}

static void name_make(const uint8_t *digest, char *name)
{
    memcpy(name, name_prefix.ptr, name_prefix.len);
    ski_hex_put(digest, SHA256_DIGEST_LENGTH, name + name_prefix.len);
}

// expire drops the oldest records, some at a time.
static void expire(ski_replays *replays, skald_time now)
{
    replay_write *write = NULL;

    ski_mutex_lock(&replays->lock);
    while (replays->count) {
        replay_slot *oldest = &replays->slots[replays->first];
        if (oldest->pending || oldest->expires_at > now) break;
        if (!write && !(write = write_new(replays->api->store))) break;
        if (write->count == drops_max) break;
        name_make(oldest->digest, write->names[write->count]);
        write->values[write->count].name = ski_str(write->names[write->count], name_bytes);
        write->count++;
        slot_drop(replays, replays->first);
    }
    ski_mutex_unlock(&replays->lock);
    if (write) write_submit(write);
}

// At the start.

typedef struct replays_loading {
    replay_slot *slots;
    size_t count;
} replays_loading;

static bool load_one(void *context, const skald_store_value *value)
{
    replays_loading *loading = context;
    replay_slot *slot = &loading->slots[loading->count];
    replay_record record;

    if (value->name.len != name_bytes || !record_get(value->bytes, &record)) return true;
    if (!ski_hex_get(value->name.ptr + name_prefix.len, SHA256_DIGEST_LENGTH, slot->digest))
        return true;
    slot->expires_at = record.expires_at;
    slot->bytes = (uint32_t)record.body.len;
    return ++loading->count < SKI_REPLAYS_MAX;
}

static int slot_compare(const void *a, const void *b)
{
    skald_time one = ((const replay_slot *)a)->expires_at;
    skald_time other = ((const replay_slot *)b)->expires_at;

    return one < other ? -1 : one > other;
}

static skald_err load(ski_replays *replays)
{
    replays_loading loading = {.slots = replays->slots};

    SKALD_TRY(ski_store_value_each(replays->api->store, name_prefix, load_one, &loading));
    qsort(replays->slots, loading.count, sizeof *replays->slots, slot_compare);
    for (size_t i = 0; i < loading.count; i++) {
        replay_slot *slot = &replays->slots[i];
        uint32_t bytes = slot->bytes, at;
        uint8_t digest[SHA256_DIGEST_LENGTH];
        memcpy(digest, slot->digest, sizeof digest);
        SKALD_TRY(slot_add(replays, digest, slot->expires_at, &at));
        replays->slots[at].pending = false;
        replays->slots[at].bytes = bytes;
        replays->bytes += bytes;
    }
    return SKALD_OK;
}

skald_err ski_replays_new(ski_api *api, ski_replays **ret_replays)
{
    ski_replays *replays = ski_alloc_zeroed(1, sizeof *replays);
    skald_err err;

    if (!replays) return SKALD_ENOMEM;
    ski_mutex_init(&replays->lock);
    replays->api = api;
    replays->slots = ski_alloc_zeroed(SKI_REPLAYS_MAX + 1, sizeof *replays->slots);
    err = replays->slots ? load(replays) : SKALD_ENOMEM;
    if (err)
        ski_replays_free(replays);
    else
        *ret_replays = replays;
    return err;
}

void ski_replays_free(ski_replays *replays)
{
    if (!replays) return;
    ski_mutex_fini(&replays->lock);
    ski_map_fini(&replays->map);
    ski_free(replays->slots);
    ski_free(replays);
}

// One request.

// key_read: the key, without the quotes of a structured field.
static skald_err key_read(skald_str text, skald_str *ret_key, skald_error *reterr_error)
{
    bool bad = false;

    text = ski_str_trim(text);
    if (text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"')
        text = ski_str(text.ptr + 1, text.len - 2);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        bad = bad || byte < ' ' || byte == 0x7f || byte == '"';
    }
    if (!text.len || text.len > SKI_REPLAY_KEY_BYTES_MAX || bad)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "Idempotency-Key",
                             "must be 1 to %d bytes of printable text, in quotes or not",
                             SKI_REPLAY_KEY_BYTES_MAX);
    *ret_key = text;
    return SKALD_OK;
}

// digest_make hashes texts, each with its length before it, so that no two lists are alike.
static void digest_make(const skald_str *texts, size_t count, uint8_t *ret_digest)
{
    uint8_t lens[64], inner[8 * SHA256_DIGEST_LENGTH];

    assert(count <= 8);
    for (size_t i = 0; i < count; i++) {
        put_u64(lens + 8 * i, texts[i].len);
        SHA256((const uint8_t *)(texts[i].len ? texts[i].ptr : ""), texts[i].len,
               inner + i * SHA256_DIGEST_LENGTH);
    }
    SHA256(inner, count * SHA256_DIGEST_LENGTH, ret_digest);
}

static skald_str tenant_of(const ski_http_request *request)
{
    const ski_identity *identity = request->identity;

    return identity && identity->tenant.ptr ? identity->tenant : SKALD_STR("");
}

// digests_make: which key it is, of whom and for what; and what was asked.
static void digests_make(const ski_http_request *request, skald_str key, uint8_t *ret_digest,
                         uint8_t *ret_fingerprint)
{
    const ski_identity *identity = request->identity;
    const ski_route *route = ski_call_of(request)->route;
    const skald_str name[] = {
        tenant_of(request),
        identity && !identity->everywhere ? SKALD_STR("tenant") : SKALD_STR("all"),
        skald_str_of(route->method),
        skald_str_of(route->path),
        key,
    };
    skald_str none = ski_http_header_get(request, "if-none-match");
    const skald_str asked[] = {
        request->parameters[0],
        request->parameters[1],
        request->query,
        ski_http_header_get(request, "content-type"),
        ski_http_header_get(request, "if-match"),
        request->body,
        none,
    };

    digest_make(name, sizeof name / sizeof *name, ret_digest);
    // Where nobody states it, it is not counted: what was kept before it was looked at is still
    // met.
    digest_make(asked, sizeof asked / sizeof *asked - !none.ptr, ret_fingerprint);
}

static skald_err send_again(ski_http_request *request, const replay_record *record)
{
    ski_http_header headers[4] = {{SKALD_STR("Idempotency-Replayed"), SKALD_STR("true")}};
    size_t count = 1;

    if (record->position)
        headers[count++] =
            (ski_http_header){SKALD_STR("X-Event-Position"),
                              skald_arena_print(request->scratch, "%llu",
                                                (unsigned long long)record->position)};
    if (record->stream_version)
        headers[count++] =
            (ski_http_header){SKALD_STR("ETag"),
                              skald_arena_print(request->scratch, "\"%llu\"",
                                                (unsigned long long)record->stream_version)};
    if (record->correlation_id.len)
        headers[count++] = (ski_http_header){SKALD_STR("X-Correlation-ID"), record->correlation_id};
    return ski_http_reply_send(request->http, request->id,
                               &(ski_http_reply){
                                   .status = record->status,
                                   .content_type = ski_call_json(request),
                                   .body = record->body,
                                   .headers = headers,
                                   .header_count = count,
                               });
}

// known: the key has been seen. Its slot is pending, by us, until this is settled.
static skald_err known(ski_replays *replays, ski_http_request *request, ski_replay *replay,
                       bool *ret_answered, skald_error *reterr_error)
{
    skald_buf buf = {.bytes_max = SKI_STORE_VALUE_BYTES_MAX};
    skald_err err =
        ski_store_value_get(replays->api->store, ski_str(replay->name, name_bytes), &buf);
    replay_record record = {0};
    bool keep = false;

    if (!err && !record_get(ski_buf_str(&buf), &record)) err = SKALD_ENOTFOUND;
    if (!err && memcmp(record.fingerprint, replay->fingerprint, SHA256_DIGEST_LENGTH) != 0) {
        err = skald_fail_at(reterr_error, SKALD_EINVALID, "Idempotency-Key",
                            "another request had this key; a new request needs a new one");
        if (reterr_error) memcpy(reterr_error->code, "IDEMPOTENCY_KEY_REUSED", 23);
    } else if (!err && record.status) {
        err = send_again(request, &record);
        *ret_answered = !err;
    } else if (!err) {
        replay->base = record.base;
        replay->at = record.at;
        replay->expires_at = record.expires_at;
        replay->again = keep = true;
    } else if (err == SKALD_ENOTFOUND) {
        err = SKALD_OK; // it was never written
        keep = true;
    }
    if (!keep) {
        ski_mutex_lock(&replays->lock);
        replays->slots[replay->slot].pending = false;
        ski_mutex_unlock(&replays->lock);
    }
    skald_buf_fini(&buf);
    return err;
}

// claim makes the key ours until the reply. *ret_known: it has been seen.
static skald_err claim(ski_replays *replays, const uint8_t *digest, ski_replay *replay,
                       bool *ret_known, skald_error *reterr_error)
{
    skald_err err = SKALD_OK;

    ski_mutex_lock(&replays->lock);
    replay->slot = slot_find(replays, digest);
    *ret_known = replay->slot != SKI_MAP_NONE;
    if (!*ret_known) {
        err = slot_add(replays, digest, replay->expires_at, &replay->slot);
        if (err == SKALD_EFULL)
            err = skald_fail_at(reterr_error, SKALD_EFULL, "Idempotency-Key",
                                "%d keys are kept, and no more can be; the oldest go after a day",
                                SKI_REPLAYS_MAX);
    } else if (replays->slots[replay->slot].pending) {
        err = skald_fail_at(reterr_error, SKALD_ESTATE, "Idempotency-Key",
                            "the first request with this key is still being answered");
    } else {
        replays->slots[replay->slot].pending = true;
    }
    ski_mutex_unlock(&replays->lock);
    return err;
}

skald_err ski_replay_begin(ski_http_request *request, bool *ret_answered, skald_error *reterr_error)
{
    skald_str text, key = {0};
    ski_replays *replays = ski_api_of(request)->replays;
    uint8_t digest[SHA256_DIGEST_LENGTH];
    ski_replay *replay;
    bool is_known;
    skald_err err;

    SKALD_TRY(ski_call_once(request, "Idempotency-Key", &text, reterr_error));
    if (!text.ptr) return SKALD_OK;
    SKALD_TRY(key_read(text, &key, reterr_error));
    if (ski_call_of(request)->route->secret)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "Idempotency-Key",
                             "is not for this route: its answer holds a secret, which is not kept");
    if (ski_body_media(request) == SKI_MEDIA_NDJSON)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "Idempotency-Key",
                             "is not for a stream of lines: give each event an id of its own, and "
                             "what is sent again is known by that");
    skald_time now = ski_store_now(replays->api->store);
    expire(replays, now);
    replay = skald_arena_get(request->scratch, sizeof *replay);
    if (!replay) return SKALD_ENOMEM;
    *replay = (ski_replay){
        .base = ski_store_uuid_new(replays->api->store),
        .at = now,
        .expires_at = now + (skald_time)SKI_REPLAY_KEPT_S * us_per_s,
    };
    digests_make(request, key, digest, replay->fingerprint);
    name_make(digest, replay->name);
    SKALD_TRY(claim(replays, digest, replay, &is_known, reterr_error));
    err = is_known ? known(replays, request, replay, ret_answered, reterr_error) : SKALD_OK;
    if (!err && !*ret_answered) ski_call_of(request)->replay = replay;
    return err;
}

// id_behind gives the id that is index behind base: its last four bytes count.
static skald_uuid id_behind(skald_uuid base, size_t index)
{
    uint32_t low = 0;

    for (size_t i = 12; i < 16; i++) low = low << 8 | base.bytes[i];
    low += (uint32_t)index;
    for (size_t i = 16; i-- > 12; low >>= 8) base.bytes[i] = (uint8_t)low;
    return base;
}

// record_of is the record of a request, its reply not known yet.
static replay_record record_of(const ski_replay *replay)
{
    return (replay_record){
        .expires_at = replay->expires_at,
        .at = replay->at,
        .base = replay->base,
        .fingerprint = replay->fingerprint,
    };
}

bool ski_replay_stamp(ski_http_request *request, skald_event *events, size_t count,
                      skald_store_value *ret_value)
{
    ski_replay *replay = ski_call_of(request)->replay;
    skald_buf buf = {.bytes_max = record_head};

    if (!replay) return false;
    for (size_t i = 0; i < count; i++) {
        if (!skald_uuid_given(events[i].id)) events[i].id = id_behind(replay->base, i);
        if (!events[i].occurred_at) events[i].occurred_at = replay->at;
    }
    buf.ptr = skald_arena_get(request->scratch, record_head);
    buf.size = buf.ptr ? record_head : 0;
    replay_record record = record_of(replay);
    if (!buf.ptr || record_put(&record, &buf)) return false;
    *ret_value = (skald_store_value){ski_str(replay->name, name_bytes), ski_buf_str(&buf)};
    return true;
}

// keep_record stores the record with its reply. On a worker it waits until that is durable, for
// nothing else says that the request was done. Elsewhere the caller may be the thread that makes
// things durable, so the loop does it.
static bool keep_record(ski_http_request *request, const ski_replay *replay,
                        const replay_record *record, bool wait)
{
    ski_api *api = ski_api_of(request);
    replay_write *write = write_new(api->store);

    if (!write) return false;
    memcpy(write->names[0], replay->name, name_bytes);
    if (record_put(record, &write->bytes)) {
        write_free(write);
        return false;
    }
    write->count = 1;
    write->values[0] =
        (skald_store_value){ski_str(write->names[0], name_bytes), ski_buf_str(&write->bytes)};
    if (!wait) {
        if (ski_http_post(request->http, write_submit, write)) return true;
        write_free(write);
        return false;
    }
    write->batch.durability = SKALD_DURABLE;
    write->batch.value_count = 1;
    if (!ski_store_commit(api->store, &write->batch)) return true;
    write_free(write);
    return false;
}

static uint64_t header_number(const ski_http_reply *reply, const char *name)
{
    uint64_t number = 0;

    for (size_t i = 0; i < reply->header_count; i++) {
        skald_str value = reply->headers[i].value;
        if (!skald_str_equal(reply->headers[i].name, skald_str_of(name))) continue;
        if (value.len > 2 && value.ptr[0] == '"') value = ski_str(value.ptr + 1, value.len - 2);
        if (!ski_str_u64(value, &number)) return number;
    }
    return 0;
}

static skald_str header_text(const ski_http_reply *reply, const char *name)
{
    for (size_t i = 0; i < reply->header_count; i++) {
        if (skald_str_equal(reply->headers[i].name, skald_str_of(name)))
            return reply->headers[i].value;
    }
    return (skald_str){0};
}

bool ski_replay_again(const ski_http_request *request)
{
    const ski_replay *replay = ski_call_of(request)->replay;

    return replay && replay->again;
}

void ski_replay_end(ski_http_request *request, const ski_http_reply *reply)
{
    const ski_call *call = ski_call_of(request);
    ski_replays *replays = ski_api_of(request)->replays;
    ski_replay *replay = call->replay;
    bool kept = false;

    if (!replay || replay->over) return;
    if (reply->status >= 300) {
        ski_replay_abandon(request);
        return;
    }
    replay->over = true;
    if (replay->again)
        ski_call_header(request, SKALD_STR("Idempotency-Replayed"), SKALD_STR("true"));
    replay_record record = record_of(replay);
    record.status = (uint16_t)reply->status;
    // What was published the first time is said again as it was said then.
    if (replay->again && call->route->status) record.status = call->route->status;
    record.position = header_number(reply, "X-Event-Position");
    record.stream_version = header_number(reply, "ETag");
    record.correlation_id = header_text(reply, "X-Correlation-ID");
    record.body = reply->body;
    ski_mutex_lock(&replays->lock);
    bool fits = reply->body.len <= SKI_REPLAY_BODY_BYTES_MAX &&
                replays->bytes + reply->body.len <= SKI_REPLAYS_BYTES_MAX;
    ski_mutex_unlock(&replays->lock);
    if (fits) kept = keep_record(request, replay, &record, call->route->worker);
    ski_mutex_lock(&replays->lock);
    replays->slots[replay->slot].pending = false;
    if (kept) {
        replays->slots[replay->slot].bytes = (uint32_t)reply->body.len;
        replays->bytes += reply->body.len;
    }
    ski_mutex_unlock(&replays->lock);
}

void ski_replay_abandon(ski_http_request *request)
{
    ski_replays *replays = ski_api_of(request)->replays;
    ski_replay *replay = ski_call_of(request)->replay;

    if (!replay || replay->over) return;
    replay->over = true;
    ski_mutex_lock(&replays->lock);
    replays->slots[replay->slot].pending = false;
    if (!replay->again) slot_drop(replays, replay->slot);
    ski_mutex_unlock(&replays->lock);
}
