// SPDX-License-Identifier: Apache-2.0
// store/log/sealed_test_rig.h - for the tests of indexes: segments made of numbered events, and a
// model of them, the plainest there is. Included by one test program each, behind log_world.h.
#ifndef SKI_STORE_LOG_SEALED_TEST_RIG_H
#define SKI_STORE_LOG_SEALED_TEST_RIG_H

#include "store/log/bytes.h"
#include "store/log/gone.h"
#include "store/log/log_world.h"
#include "store/log/scan.h"
#include "store/log/sealed.h"

typedef struct rig_event {
    uint32_t tenant, stream, type, correlation; // stream and correlation 0: none
    uint64_t version, prev_pos;
    int64_t recorded_at;
    uint64_t id; // 0: the position
    bool erased;
} rig_event;

typedef struct rig_shape { // of the events that are made
    uint32_t tenants, streams, types, correlations;
    uint32_t chain; // events in a row that have one correlation
    uint32_t frame; // events of a frame
    size_t data;
} rig_shape;

typedef struct rig {
    world *w;
    ski_sealed_pool pool;
    skald_uuid store;
    ski_keys keys;
    rig_shape shape;
    rig_event *events; // [position]
    uint64_t count;
    uint64_t *versions, *lasts; // of tenant * (streams + 1) + stream
    uint64_t bases[128], ends[128];
    uint32_t chain_crc, no;
    uint64_t random;
} rig;

static inline uint64_t rig_random(rig *r)
{
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return r->random;
}

static inline void rig_begin(rig *r, world *w, rig_shape shape, uint64_t events_max)
{
    *r = (rig){.w = w, .shape = shape, .random = 88172645463325252u, .no = 1};
    memset(r->store.bytes, 7, sizeof r->store.bytes);
    r->keys = ski_keys_make(r->store);
    r->events = ski_alloc_zeroed(events_max + 2, sizeof *r->events);
    r->versions = ski_alloc_zeroed((size_t)shape.tenants * (shape.streams + 1), sizeof(uint64_t));
    r->lasts = ski_alloc_zeroed((size_t)shape.tenants * (shape.streams + 1), sizeof(uint64_t));
    assert_non_null(r->events);
    ski_sealed_pool_init(&r->pool, &w->kernel, 2);
    assert_int_equal(w->kernel.make_dir(w->kernel.context, w->path), SKALD_OK);
}

static inline void rig_end(rig *r)
{
    ski_free(r->events);
    ski_free(r->versions);
    ski_free(r->lasts);
    ski_sealed_pool_fini(&r->pool);
}

typedef struct rig_text {
    char text[32];
} rig_text;

static inline skald_str rig_name(rig_text *room, const char *what, uint32_t n)
{
    int len = snprintf(room->text, sizeof room->text, "%s%u", what, n);

    return (skald_str){room->text, (size_t)len};
}

static inline skald_str rig_tenant(rig_text *room, uint32_t n)
{
    return n ? rig_name(room, "tenant", n) : SKALD_STR("");
}

static inline ski_fp rig_fp(const rig *r, uint32_t tenant, uint32_t stream)
{
    rig_text a, b;

    return ski_keys_stream(&r->keys, rig_tenant(&a, tenant), rig_name(&b, "stream-", stream));
}

static inline skald_uuid rig_id(const rig *r, uint64_t position)
{
    return world_id(r->events[position].id ? r->events[position].id : position);
}

static inline uint64_t rig_id_hash(const rig *r, uint64_t position)
{
    rig_text a;

    return ski_keys_id(&r->keys, rig_tenant(&a, r->events[position].tenant), rig_id(r, position));
}

// rig_event_make decides what the event of a position is.
static inline void rig_event_make(rig *r, uint64_t position)
{
    const rig_shape *s = &r->shape;
    rig_event *event = &r->events[position];
    size_t key = 0;

    event->tenant = (uint32_t)(rig_random(r) % s->tenants);
    event->stream = s->streams ? (uint32_t)(rig_random(r) % (s->streams + 1)) : 0;
    event->type = (uint32_t)(rig_random(r) % s->types);
    event->correlation =
        s->correlations ? (uint32_t)(position / s->chain % (s->correlations + 1)) : 0;
    event->recorded_at = 1000000 + (int64_t)(position / 3) * 10;
    if (event->stream) {
        key = (size_t)event->tenant * (s->streams + 1) + event->stream;
        event->version = ++r->versions[key];
        event->prev_pos = r->lasts[key];
        r->lasts[key] = position;
    }
}

static inline size_t rig_record(const rig *r, uint64_t position, uint8_t *to)
{
    const rig_event *event = &r->events[position];
    rig_text room[4];
    char data[4096];
    skald_event made = {.type = rig_name(&room[0], "type.", event->type),
                        .id = rig_id(r, position),
                        .tenant = rig_tenant(&room[1], event->tenant),
                        .occurred_at = 1,
                        .version = 1};
    ski_record_order order = {position, event->version, event->prev_pos, event->recorded_at};
    uint64_t hash = 0;

    if (event->stream) {
        made.stream = rig_name(&room[2], "stream-", event->stream);
        hash = ski_keys_stream(&r->keys, made.tenant, made.stream).hi;
    }
    if (event->correlation) made.correlation_id = rig_name(&room[3], "corr-", event->correlation);
    made.data = world_data(position, r->shape.data, data);
    ski_record_put(to, ski_record_len(&made), &made, hash, position);
    ski_record_assign(to, &order);
    return ski_record_len(&made);
}

typedef struct rig_file {
    uint8_t *bytes;
    size_t len;
    uint32_t seed, chain;
} rig_file;

static inline void rig_frame(rig_file *file, uint32_t no, ski_frame_kind kind, uint64_t base,
                             uint32_t count, size_t body)
{
    ski_frame_header header = {.body_len = (uint32_t)body,
                               .base_pos = base,
                               .append_us = 5,
                               .incarnation = 1,
                               .count = count,
                               .prev_crc = file->chain,
                               .segment_no = no,
                               .kind = (uint8_t)kind};

    file->chain = ski_frame_seal(file->bytes + file->len, &header, file->seed);
    file->len += ski_frame_len(body);
}

// rig_gone writes, for a rewritten segment, where every stream stood and the names of those that
// begin in it. Returns how many bytes that is.
static inline size_t rig_gone(rig *r, uint64_t first, uint64_t last, uint8_t *to)
{
    size_t len = 0;

    for (uint64_t p = first; p <= last; p++) {
        const rig_event *event = &r->events[p];
        ski_gone gone = {.last_version = event->version, .last_pos = p};
        rig_text rooms[2];
        bool is_last = true;

        if (!event->stream) continue;
        gone.fp = rig_fp(r, event->tenant, event->stream);
        for (uint64_t k = last; k >= first; k--) {
            if (r->events[k].tenant != event->tenant || r->events[k].stream != event->stream) {
                continue;
            }
            gone.prev_pos = r->events[k].prev_pos;
            is_last = is_last && k <= p;
        }
        if (is_last) {
            ski_gone_put(to + len, &gone);
            len += ski_gone_len(&gone);
        }
        if (event->version > 1) continue;
        gone = (ski_gone){.tenant = rig_tenant(&rooms[0], event->tenant),
                          .name = rig_name(&rooms[1], "stream-", event->stream)};
        ski_gone_put(to + len, &gone);
        len += ski_gone_len(&gone);
    }
    return len;
}

// rig_write writes the segment of positions first to last, without those erased.
static inline void rig_write(rig *r, uint32_t no, uint32_t generation, uint64_t first,
                             uint64_t last, bool sealed)
{
    ski_segment_header header = {.store = r->store,
                                 .no = no,
                                 .generation = generation,
                                 .base_pos = first,
                                 .salt = 99 + no,
                                 .created_us = 1};
    size_t room = SKI_SEGMENT_HEADER + (last + 2 - first) * (r->shape.data + 512) + 4096;
    rig_file file = {.bytes = ski_alloc_zeroed(1, room), .seed = ski_frame_seed(header.salt)};
    const ski_kernel *kernel = &ski_kernel_system;
    char name[SKI_SEGMENT_NAME], path[512];
    ski_file *out = NULL;

    assert_non_null(file.bytes);
    ski_segment_header_put(file.bytes, &header);
    file.len = SKI_SEGMENT_HEADER;
    for (uint64_t position = first; position <= last;) {
        size_t body = 0;
        uint32_t count = 0;

        if (r->events[position].erased) {
            position++;
            continue;
        }
        while (position + count <= last && count < r->shape.frame &&
               !r->events[position + count].erased) {
            body +=
                rig_record(r, position + count, file.bytes + file.len + SKI_FRAME_HEADER + body);
            count++;
        }
        rig_frame(&file, no, SKI_FRAME_EVENTS, position, count, body);
        position += count;
    }
    if (generation) {
        size_t body = rig_gone(r, first, last, file.bytes + file.len + SKI_FRAME_HEADER);

        rig_frame(&file, no, SKI_FRAME_STREAMS, last + 1, 0, body);
    }
    if (sealed) rig_frame(&file, no, SKI_FRAME_SEAL, last + 1, 0, 0);
    ski_segment_name(name, no, generation);
    (void)snprintf(path, sizeof path, "%s/%s", r->w->path, name);
    assert_int_equal(kernel->open(NULL, path, SKI_OPEN_WRITE | SKI_OPEN_CREATE, &out, NULL), 0);
    assert_int_equal(kernel->truncate(NULL, out, 0), 0);
    assert_int_equal(kernel->pwrite(NULL, out, file.bytes, file.len, 0), 0);
    kernel->close(NULL, out);
    r->bases[no] = first;
    r->ends[no] = file.len;
    ski_free(file.bytes);
}

// rig_segment makes the next segment, of so many new events. Returns its number.
static inline uint32_t rig_segment(rig *r, uint64_t count)
{
    uint64_t first = r->count + 1;

    for (uint64_t i = 0; i < count; i++) rig_event_make(r, ++r->count);
    rig_write(r, r->no, 0, first, r->count, true);
    return r->no++;
}

static inline ski_sealed_source rig_source(rig *r, uint32_t no, uint32_t generation)
{
    return (ski_sealed_source){.kernel = &r->w->kernel,
                               .path = r->w->path,
                               .store = r->store,
                               .no = no,
                               .generation = generation};
}

static inline void rig_build(rig *r, uint32_t no, uint32_t generation)
{
    ski_sealed_source source = rig_source(r, no, generation);
    skald_error error = {0};
    bool unsure = false;

    if (ski_sealed_build(&source, &unsure, &error)) fail_msg("build: %s", error.text);
}

static inline skald_err rig_try(rig *r, uint32_t no, uint32_t generation, ski_sealed **ret_sealed)
{
    return ski_sealed_open(&r->pool, r->w->path, r->store, no, generation, ret_sealed, NULL);
}

static inline ski_sealed *rig_open(rig *r, uint32_t no, uint32_t generation)
{
    ski_sealed *sealed = NULL;
    skald_error error = {0};

    if (ski_sealed_open(&r->pool, r->w->path, r->store, no, generation, &sealed, &error)) {
        fail_msg("open: %s", error.text);
    }
    return sealed;
}

// rig_bytes reads a whole file; rig_bytes_put writes it again.
static inline uint8_t *rig_bytes(rig *r, const char *name, size_t *ret_len)
{
    const ski_kernel *kernel = &ski_kernel_system;
    char path[512];
    ski_file *file = NULL;
    uint64_t size = 0;
    uint8_t *bytes = NULL;

    (void)snprintf(path, sizeof path, "%s/%s", r->w->path, name);
    assert_int_equal(kernel->open(NULL, path, 0, &file, NULL), SKALD_OK);
    assert_int_equal(kernel->size(NULL, file, &size), SKALD_OK);
    bytes = ski_alloc(size + 1);
    assert_int_equal(kernel->pread(NULL, file, bytes, size, 0, ret_len), SKALD_OK);
    kernel->close(NULL, file);
    return bytes;
}

static inline void rig_bytes_put(rig *r, const char *name, const uint8_t *bytes, size_t len)
{
    const ski_kernel *kernel = &ski_kernel_system;
    char path[512];
    ski_file *file = NULL;

    (void)snprintf(path, sizeof path, "%s/%s", r->w->path, name);
    assert_int_equal(kernel->open(NULL, path, SKI_OPEN_WRITE | SKI_OPEN_CREATE, &file, NULL),
                     SKALD_OK);
    assert_int_equal(kernel->truncate(NULL, file, len), SKALD_OK);
    assert_int_equal(kernel->pwrite(NULL, file, bytes, len, 0), SKALD_OK);
    kernel->close(NULL, file);
}

#endif
