// SPDX-License-Identifier: Apache-2.0
// The log's frames: the input is a segment's bytes behind its header. Whatever they are, the scan
// ends, gives only frames that follow one another, and nothing in a frame is read beyond it.
//
// With an odd first byte the checksums are made right, frame by frame and record by record, so that
// the fuzzer gets behind them.
#include "base/alloc.h"
#include "log_mend.h"
#include "store/log/manifest.h"
#include "store/log/scan.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { input_max = 1 << 20 };

typedef struct memory_file {
    const uint8_t *bytes;
    size_t len;
} memory_file;

static void check(bool holds)
{
    if (!holds) abort();
}

static skald_err memory_pread(void *context, ski_file *file, void *buf, size_t len, uint64_t offset,
                              size_t *ret_read)
{
    const memory_file *memory = context;
    size_t got = 0;

    (void)file;
    if (offset < memory->len) got = memory->len - (size_t)offset;
    if (got > len) got = len;
    if (got) memcpy(buf, memory->bytes + offset, got);
    *ret_read = got;
    return SKALD_OK;
}

static skald_err memory_size(void *context, ski_file *file, uint64_t *ret_size)
{
    (void)file;
    *ret_size = ((const memory_file *)context)->len;
    return SKALD_OK;
}

// record_again: what was read, written again, reads the same.
static void record_again(const ski_record *record)
{
    const skald_event *event = &record->event;
    ski_record_order order = {event->position, event->stream_version, record->prev_pos,
                              event->recorded_at};
    size_t len = ski_record_len(event);
    uint8_t *bytes = ski_alloc(len);
    ski_record again;

    check(bytes && len);
    ski_record_put(bytes, len, event, record->stream_hash, record->content_hash);
    ski_record_assign(bytes, &order);
    check(ski_record_get(bytes, len, &again) == SKALD_OK);
    check(again.event.position == event->position && again.prev_pos == record->prev_pos);
    check(skald_str_equal(again.event.type, event->type));
    check(skald_str_equal(again.event.data, event->data));
    check(skald_str_equal(again.event.traceparent, event->traceparent));
    ski_free(bytes);
}

// body_read decodes a body from memory of exactly its size.
static void body_read(const ski_scan_frame *frame)
{
    size_t len = frame->header.body_len, at = 0;
    uint8_t *body = ski_alloc(len + !len);

    check(body);
    memcpy(body, frame->body, len);
    for (uint32_t i = 0; i < frame->header.count; i++) {
        ski_record record;

        if (ski_record_get(body + at, len - at, &record)) break;
        record_again(&record);
        at += record.len;
    }
    while (at < len) {
        skald_store_value value;
        size_t value_len = 0;

        if (ski_value_get(body + at, len - at, &value, &value_len)) break;
        check(value_len && value_len <= len - at && value.name.len + value.bytes.len < value_len);
        at += value_len;
    }
    ski_free(body);
}

static void segment_read(const ski_kernel *kernel)
{
    ski_scan scan;
    ski_scan_frame frame;
    uint64_t offset = SKI_SEGMENT_HEADER;
    skald_err err = ski_scan_begin(&scan, kernel, NULL, 0);

    check(err == SKALD_OK);
    while ((err = ski_scan_next(&scan, &frame)) == SKALD_OK) {
        check(frame.offset == offset && scan.offset == offset + frame.header.total_len);
        check(scan.offset <= scan.limit);
        offset = scan.offset;
        body_read(&frame);
    }
    check(err == SKALD_ENOTFOUND || err == SKALD_EUNSUPPORTED);
    while (ski_scan_resume(&scan, &frame) == SKALD_OK) {
        check(scan.offset > offset && frame.header.base_pos >= scan.position);
        offset = scan.offset;
        while (ski_scan_next(&scan, &frame) == SKALD_OK) body_read(&frame);
    }
    ski_scan_end(&scan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ski_segment_header header = {.no = 1, .base_pos = 1, .salt = 7};
    memory_file memory = {.len = SKI_SEGMENT_HEADER + size};
    ski_kernel kernel = {.context = &memory, .pread = memory_pread, .size = memory_size};
    ski_manifest manifest;
    uint8_t *bytes = NULL;

    if (size == 0 || size > input_max) return 0;
    if (ski_manifest_get((skald_str){(const char *)data, size}, &manifest) == SKALD_OK) {
        ski_manifest_fini(&manifest);
    }
    bytes = ski_alloc(memory.len);
    check(bytes);
    ski_segment_header_put(bytes, &header);
    memcpy(bytes + SKI_SEGMENT_HEADER, data + 1, size - 1);
    memory.len--;
    if (data[0] % 2) (void)mend_frames(bytes, memory.len, 1, ski_frame_seed(header.salt), 0);
    memory.bytes = bytes;
    segment_read(&kernel);
    ski_free(bytes);
    return 0;
}
