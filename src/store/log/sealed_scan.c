// SPDX-License-Identifier: Apache-2.0
// Scanning a sealed segment for its index: every frame is verified, every event becomes a row.
//
// Invariants:
//   1. rows[i] is position base_pos + i; there is one for every position up to the last, erased and
//      damaged ones included.
//   2. ladder[k] is when the last event before row (k + 1) * 1024 was recorded, and never falls.
#include "base/alloc.h"
#include "base/hash.h"
#include "os/memory.h"
#include "store/log/sealed_format.h"
#include "store/log/sealed_work.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    first_size = 1024,
    interrupt_frames = 256,  // and then it is asked,
    interrupt_events = 4096, // or after so many
};

void *ski_sealed_alloc(size_t bytes)
{
    void *memory = NULL;

    if (bytes < SKI_MEMORY_HUGE) return ski_alloc(bytes);
    memory = ski_alloc_aligned(SKI_MEMORY_HUGE, bytes);
    if (memory) ski_memory_huge(memory, bytes);
    return memory;
}

void *ski_sealed_take(ski_sealed_memory *memory, size_t bytes, size_t *ret_bytes)
{
    *ret_bytes = bytes;
    for (uint32_t i = 0; memory && i < memory->count; i++) {
        void *spare = memory->spares[i];

        if (memory->bytes[i] < bytes || memory->bytes[i] / 2 > bytes) continue;
        *ret_bytes = memory->bytes[i];
        memory->count--;
        memory->spares[i] = memory->spares[memory->count];
        memory->bytes[i] = memory->bytes[memory->count];
        return spare;
    }
    return ski_sealed_alloc(bytes);
}

void ski_sealed_give(ski_sealed_memory *memory, void *array, size_t bytes)
{
    if (!array || !memory || bytes < SKI_MEMORY_HUGE / 4 || memory->count == SKI_SEALED_SPARES) {
        ski_free(array);
        return;
    }
    memory->spares[memory->count] = array;
    memory->bytes[memory->count++] = bytes;
}

void ski_sealed_memory_drop(ski_sealed_memory *memory)
{
    while (memory->count) ski_free(memory->spares[--memory->count]);
}

size_t ski_sealed_memory_bytes(const ski_sealed_memory *memory)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < memory->count; i++) bytes += memory->bytes[i];
    return bytes;
}

void *ski_sealed_room(void *array, size_t *size, size_t count, size_t item_bytes)
{
    size_t more = *size ? *size * 2 : first_size;
    void *grown = NULL;

    if (count < *size) return array;
    grown = ski_realloc(array, more * item_bytes);
    if (grown) *size = more;
    return grown;
}

skald_err ski_sealed_text_add(ski_sealed_work *work, skald_str tenant, skald_str name,
                              ski_sealed_text *ret_text)
{
    size_t len = tenant.len + name.len;

    if (len > SKI_SEALED_NAME_BYTES) return SKALD_ECORRUPT;
    while (work->text_len + len > work->text_size) {
        char *text = ski_sealed_room(work->text, &work->text_size, work->text_size, 1);

        if (!text) return SKALD_ENOMEM;
        work->text = text;
    }
    if (tenant.len) memcpy(work->text + work->text_len, tenant.ptr, tenant.len);
    if (name.len) memcpy(work->text + work->text_len + tenant.len, name.ptr, name.len);
    *ret_text = (ski_sealed_text){work->text_len, (uint16_t)tenant.len, (uint16_t)name.len};
    work->text_len += len;
    return SKALD_OK;
}

static bool text_is(const ski_sealed_work *work, const ski_sealed_text *text, skald_str tenant,
                    skald_str name)
{
    const char *at = work->text + text->at;

    if (text->tenant_len != tenant.len || text->name_len != name.len) return false;
    if (tenant.len && memcmp(at, tenant.ptr, tenant.len) != 0) return false;
    return !name.len || memcmp(at + tenant.len, name.ptr, name.len) == 0;
}

static uint64_t dictionary_hash_of(void *context, uint32_t slot)
{
    return ((ski_sealed_dictionary *)context)->hashes[slot];
}

// dictionary_number gives the number of a name, a new one if it has none. The one asked for last is
// most often asked for again.
static skald_err dictionary_number(ski_sealed_work *work, ski_sealed_dictionary *names,
                                   skald_str tenant, skald_str name, uint32_t *ret_number)
{
    uint64_t hash = 0;
    uint32_t cursor = 0, slot = 0;
    ski_sealed_text *texts = NULL;
    uint64_t *hashes = NULL;

    *ret_number = names->last;
    if (names->last < names->count && text_is(work, &names->names[names->last], tenant, name)) {
        return SKALD_OK;
    }
    hash = ski_hash64(ski_hash64(work->keys.seed, tenant.ptr, tenant.len), name.ptr, name.len);
    while ((slot = ski_map_find(&names->map, hash, &cursor)) != SKI_MAP_NONE) {
        if (names->hashes[slot] != hash) continue;
        if (!text_is(work, &names->names[slot], tenant, name)) continue;
        *ret_number = names->last = slot;
        return SKALD_OK;
    }
    texts = ski_sealed_room(names->names, &names->size, names->count, sizeof *texts);
    if (!texts) return SKALD_ENOMEM;
    names->names = texts;
    hashes = ski_sealed_room(names->hashes, &names->hash_size, names->count, sizeof *hashes);
    if (!hashes) return SKALD_ENOMEM;
    names->hashes = hashes;
    SKALD_TRY(ski_sealed_text_add(work, tenant, name, &names->names[names->count]));
    names->hashes[names->count] = hash;
    SKALD_TRY(ski_map_put(&names->map, hash, names->count, dictionary_hash_of, names));
    *ret_number = names->last = names->count++;
    return SKALD_OK;
}

// rows_reserve makes room for as many as are expected, which is copied no more.
static skald_err rows_reserve(ski_sealed_work *work)
{
    uint64_t events = work->source->events;
    size_t bytes = 0;

    if (!events || events > SKI_SEALED_ROWS_MAX) return SKALD_OK;
    work->rows = ski_sealed_take(work->source->memory, (size_t)events * sizeof *work->rows, &bytes);
    if (!work->rows) return SKALD_ENOMEM;
    work->row_size = bytes / sizeof *work->rows;
    return SKALD_OK;
}

static skald_err row_add(ski_sealed_work *work, const ski_sealed_row *row)
{
    uint64_t i = work->info.count;
    size_t step = (size_t)(i / SKI_SEALED_LADDER);
    ski_sealed_row *rows = NULL;
    int64_t *ladder = NULL;

    if (i >= SKI_SEALED_ROWS_MAX) return SKALD_ETOOBIG;
    rows = ski_sealed_room(work->rows, &work->row_size, (size_t)i, sizeof *rows);
    if (!rows) return SKALD_ENOMEM;
    work->rows = rows;
    ladder = ski_sealed_room(work->ladder, &work->ladder_size, step, sizeof *ladder);
    if (!ladder) return SKALD_ENOMEM;
    work->ladder = ladder;
    work->ladder[step] = work->info.recorded_last;
    work->rows[i] = *row;
    work->info.count++;
    return SKALD_OK;
}

// rows_fill stands for positions without an event, up to position.
static skald_err rows_fill(ski_sealed_work *work, uint64_t position, uint32_t unit)
{
    ski_sealed_row row = {.unit = unit};

    if (position > work->info.base_pos && position - work->info.base_pos > SKI_SEALED_ROWS_MAX) {
        return SKALD_ETOOBIG; // before there is memory for them
    }
    while (work->info.base_pos + work->info.count < position) {
        SKALD_TRY(row_add(work, &row));
        if (unit == SKI_ROW_ERASED)
            work->info.erased++;
        else
            work->info.damaged++;
    }
    return SKALD_OK;
}

// event_right: the event may follow what is there. A first stage to hold records against each
// other; what the log above it checks besides is not repeated.
static bool event_right(const ski_sealed_work *work, const skald_event *event)
{
    if (event->position != work->info.base_pos + work->info.count) return false;
    if (event->recorded_at < work->info.recorded_last) return false;
    if (event->tenant.len > SKALD_TENANT_BYTES_MAX || event->type.len > SKALD_TYPE_BYTES_MAX ||
        event->stream.len > SKALD_STREAM_BYTES_MAX) {
        return false;
    }
    return event->type.len && (event->stream.len != 0) == (event->stream_version != 0);
}

static skald_err first_add(ski_sealed_work *work, skald_str tenant, skald_str stream)
{
    ski_sealed_text *first =
        ski_sealed_room(work->first, &work->first_size, work->first_count, sizeof *first);

    if (!first) return SKALD_ENOMEM;
    work->first = first;
    SKALD_TRY(ski_sealed_text_add(work, tenant, stream, &first[work->first_count]));
    work->first_count++;
    return SKALD_OK;
}

static skald_err event_add(ski_sealed_work *work, const ski_record *record, uint64_t offset)
{
    const skald_event *event = &record->event;
    skald_str tenant = event->tenant;
    ski_sealed_row row = {.version = event->stream_version,
                          .prev_pos = record->prev_pos,
                          .unit = (uint32_t)(offset / 8)};

    if (!event_right(work, event)) return SKALD_ECORRUPT;
    if (event->stream.len) row.fp = ski_keys_stream(&work->keys, tenant, event->stream);
    if (row.fp.hi != record->stream_hash) return SKALD_ECORRUPT;
    if (event->correlation_id.len) {
        row.correlation = ski_keys_correlation(&work->keys, tenant, event->correlation_id);
    }
    row.id = ski_keys_id(&work->keys, tenant, event->id);
    SKALD_TRY(dictionary_number(work, &work->types, tenant, event->type, &row.type));
    SKALD_TRY(dictionary_number(work, &work->tenants, tenant, SKALD_STR(""), &row.tenant));
    if (event->stream_version == 1) SKALD_TRY(first_add(work, tenant, event->stream));
    if (!work->info.events) work->info.recorded_first = event->recorded_at;
    work->info.recorded_last = event->recorded_at;
    SKALD_TRY(row_add(work, &row));
    work->info.events++;
    work->info.bytes_live += record->len;
    return SKALD_OK;
}

static void damage_tell(ski_sealed_work *work, uint64_t offset, uint64_t length, uint64_t first,
                        uint64_t next)
{
    const ski_sealed_source *source = work->source;

    work->damaged = true;
    if (work->uncached || !source->damaged || (!length && first >= next)) return;
    if (first >= next)
        source->damaged(source->context, offset, length, 0, 0);
    else
        source->damaged(source->context, offset, length, first, next - 1);
}

// gone_add takes what is left of streams whose events are erased.
static skald_err gone_add(ski_sealed_work *work, const ski_scan_frame *frame)
{
    uint64_t base = work->info.base_pos, count = work->info.count;

    for (size_t at = 0, len = 0; at < frame->header.body_len; at += len) {
        ski_gone gone;
        ski_gone *all = NULL;

        SKALD_TRY(ski_gone_get(frame->body + at, frame->header.body_len - at, &gone, &len));
        if (gone.name.len) {
            SKALD_TRY(first_add(work, gone.tenant, gone.name));
            continue;
        }
        if (gone.last_pos < base || gone.last_pos - base >= count) return SKALD_ECORRUPT;
        all = ski_sealed_room(work->gone, &work->gone_size, work->gone_count, sizeof *all);
        if (!all) return SKALD_ENOMEM;
        work->gone = all;
        gone.tenant = gone.name = (skald_str){0};
        all[work->gone_count++] = gone;
    }
    return SKALD_OK;
}

// frame_add takes the events of a frame. One whose checksums are right and whose content is not
// counts as damaged from the first wrong event on.
static skald_err frame_add(ski_sealed_work *work, const ski_scan_frame *frame, bool damage_before)
{
    const ski_frame_header *header = &frame->header;
    size_t at = 0;

    SKALD_TRY(rows_fill(work, header->base_pos, damage_before ? SKI_ROW_DAMAGED : SKI_ROW_ERASED));
    if (header->kind == SKI_FRAME_STREAMS) return gone_add(work, frame);
    if (header->kind != SKI_FRAME_EVENTS) return SKALD_OK;
    for (uint32_t i = 0; i < header->count; i++) {
        ski_record record;
        skald_err err = ski_record_of_frame(frame->body + at, header->body_len - at, &record);

        if (!err) err = event_add(work, &record, frame->offset + SKI_FRAME_HEADER + at);
        if (err == SKALD_ECORRUPT) {
            uint64_t next = work->info.base_pos + work->info.count;
            damage_tell(work, frame->offset, header->total_len, next,
                        header->base_pos + header->count);
            return rows_fill(work, header->base_pos + header->count, SKI_ROW_DAMAGED);
        }
        if (err) return err;
        at += record.len;
    }
    return SKALD_OK;
}

skald_err ski_sealed_scan_add(ski_sealed_work *work, const ski_scan *scan,
                              const ski_scan_frame *frame, bool damage_before)
{
    SKALD_TRY(frame_add(work, frame, damage_before));
    work->info.end = scan->offset;
    work->info.chain_crc = scan->chain;
    work->info.incarnation = scan->incarnation;
    work->info.append_us = scan->append_us;
    return SKALD_OK;
}

// scan_frames goes over the segment; *ret_broken: there is damage that is not told yet, from the
// scan's offset to the end.
static skald_err scan_frames(ski_sealed_work *work, ski_scan *scan, bool *ret_broken)
{
    const ski_sealed_source *source = work->source;
    bool damage_before = false;

    for (uint64_t n = 1, events = 0;; n++) {
        ski_scan_frame frame;
        uint64_t offset = scan->offset, next = scan->position;
        skald_err err = SKALD_OK;

        if (n % interrupt_frames == 0 || work->info.count - events >= interrupt_events) {
            events = work->info.count;
            if (source->interrupted && source->interrupted(source->context)) return SKALD_ECLOSED;
        }
        err = ski_scan_next(scan, &frame);
        if (!err) {
            SKALD_TRY(ski_sealed_scan_add(work, scan, &frame, damage_before));
            damage_before = false;
            continue;
        }
        if (err != SKALD_ENOTFOUND) return err;
        if (scan->sealed) return SKALD_OK;
        err = ski_scan_resume(scan, &frame);
        if (err == SKALD_ENOTFOUND) {
            scan->offset = offset;
            *ret_broken = true;
            return SKALD_OK;
        }
        if (err) return err;
        damage_before = true;
        damage_tell(work, offset, scan->offset - offset, next, frame.header.base_pos);
    }
}

// scan_finish holds the end of the segment against what comes behind it.
static skald_err scan_finish(ski_sealed_work *work, const ski_scan *scan, bool broken,
                             skald_error *reterr_error)
{
    uint64_t next = work->info.base_pos + work->info.count, expected = work->source->next_pos;
    char name[SKI_SEGMENT_NAME];

    ski_segment_name(name, work->source->no, work->source->generation);
    if (broken && !expected) {
        return skald_fail(reterr_error, SKALD_ECORRUPT,
                          "%s: ends at byte %llu without a SEAL; it is not sealed", name,
                          (unsigned long long)scan->offset);
    }
    if (expected && next > expected) {
        return skald_fail(reterr_error, SKALD_ECORRUPT,
                          "%s: holds position %llu, and the segment behind it begins with %llu",
                          name, (unsigned long long)next - 1, (unsigned long long)expected);
    }
    if (broken) {
        damage_tell(work, scan->offset, scan->limit - scan->offset, next, expected);
        work->info.end = scan->offset;
    }
    return expected ? rows_fill(work, expected, SKI_ROW_DAMAGED) : SKALD_OK;
}

skald_err ski_sealed_scan_begin(const ski_sealed_source *source, ski_sealed_work *work,
                                const ski_segment_header *header, skald_error *reterr_error)
{
    char name[SKI_SEGMENT_NAME];

    work->source = source;
    work->keys = ski_keys_make(source->store);
    work->info.base_pos = header->base_pos;
    work->info.salt = header->salt;
    work->info.prev_crc = work->info.chain_crc = header->prev_crc;
    work->info.end = SKI_SEGMENT_HEADER;
    if (header->no == source->no && header->generation == source->generation &&
        skald_uuid_equal(header->store, source->store) && header->base_pos) {
        return rows_reserve(work);
    }
    ski_segment_name(name, source->no, source->generation);
    return skald_fail(reterr_error, SKALD_ECORRUPT,
                      "%s: its header is that of another segment or store", name);
}

static skald_err scan_file(const ski_sealed_source *source, ski_sealed_work *work, const char *path,
                           bool uncached, skald_error *reterr_error)
{
    const ski_kernel *kernel = source->kernel;
    ski_file *file = NULL;
    ski_scan scan = {0};
    bool broken = false;
    skald_err err = SKALD_OK;

    work->uncached = uncached;
    SKALD_TRY(
        kernel->open(kernel->context, path, uncached ? SKI_OPEN_DIRECT : 0, &file, reterr_error));
    err = ski_scan_begin(&scan, kernel, file, 0);
    if (err == SKALD_ECORRUPT) {
        err = skald_fail(reterr_error, err, "%s: its header is damaged", path);
    }
    if (!err) err = ski_sealed_scan_begin(source, work, &scan.header, reterr_error);
    if (!err) {
        err = scan_frames(work, &scan, &broken);
        if (scan.header.generation) work->info.chain_crc = scan.header.replaced_crc;
    }
    if (!err) err = scan_finish(work, &scan, broken, reterr_error);
    if (err == SKALD_ETOOBIG) {
        err = skald_fail(reterr_error, err, "%s: spans more than %u positions", path,
                         (unsigned)SKI_SEALED_ROWS_MAX);
    }
    ski_scan_end(&scan);
    kernel->close(kernel->context, file);
    return err;
}

skald_err ski_sealed_scan_path(const ski_sealed_source *source, char path[SKI_BLOCKS_PATH_MAX])
{
    char name[SKI_SEGMENT_NAME];
    int len = 0;

    ski_segment_name(name, source->no, source->generation);
    len = snprintf(path, SKI_BLOCKS_PATH_MAX, "%s/%s", source->path, name);
    return len < 0 || len >= SKI_BLOCKS_PATH_MAX ? SKALD_ETOOBIG : SKALD_OK;
}

skald_err ski_sealed_scan(const ski_sealed_source *source, ski_sealed_work *work,
                          skald_error *reterr_error)
{
    char path[SKI_BLOCKS_PATH_MAX];

    SKALD_TRY(ski_sealed_scan_path(source, path));
    if (source->uncached) {
        skald_err err = scan_file(source, work, path, true, NULL);

        if (!err && !work->damaged) return SKALD_OK;
        if (err == SKALD_ENOMEM || err == SKALD_ECLOSED) return err;
        ski_sealed_work_fini(work); // only what the cache cannot get either is damaged
    }
    return scan_file(source, work, path, false, reterr_error);
}

static void dictionary_fini(ski_sealed_dictionary *names)
{
    ski_free(names->names);
    ski_free(names->hashes);
    ski_map_fini(&names->map);
}

void ski_sealed_work_fini(ski_sealed_work *work)
{
    dictionary_fini(&work->types);
    dictionary_fini(&work->tenants);
    ski_sealed_give(work->source ? work->source->memory : NULL, work->rows,
                    work->row_size * sizeof *work->rows);
    ski_free(work->ladder);
    ski_free(work->first);
    ski_free(work->gone);
    ski_free(work->text);
    memset(work, 0, sizeof *work);
}
