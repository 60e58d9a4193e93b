// SPDX-License-Identifier: Apache-2.0
// The frame codec. Offsets are enumerated and asserted to follow one another without holes, so that
// the format is what docs/internals/store.md says and nothing the compiler decided.
//
// Invariants:
//   1. A reader trusts total_len only after hdr_crc, and the body only after frame_crc (or
//   rec_crc).
//   2. hdr_crc begins with the segment's salt, which no caller can see: text that a caller stores
//      can never pass for a frame, nor can bytes of another segment.
//   3. rec_crc covers the record in the order: bytes 0-7, 12-15, 48-end (known before ordering),
//      then 16-47 (the order).
#include "store/log/frame.h"
#include "base/hash.h"
#include "store/log/bytes.h"
#include <assert.h>
#include <string.h>

enum frame_offset {
    frame_magic = 0,
    frame_total_len = 4,
    frame_base_pos = 8,
    frame_durable_pos = 16,
    frame_append_us = 24,
    frame_incarnation = 32,
    frame_count = 36,
    frame_kind = 40,
    frame_version = 41,
    frame_flags = 42,
    frame_prev_crc = 44,
    frame_segment_no = 48,
    frame_durable_off = 52,
    frame_body_len = 56,
    frame_hdr_crc = 60,
};
static_assert(frame_total_len == frame_magic + 4 && frame_base_pos == frame_total_len + 4 &&
                  frame_durable_pos == frame_base_pos + 8 &&
                  frame_append_us == frame_durable_pos + 8 &&
                  frame_incarnation == frame_append_us + 8 &&
                  frame_count == frame_incarnation + 4 && frame_kind == frame_count + 4 &&
                  frame_version == frame_kind + 1 && frame_flags == frame_version + 1 &&
                  frame_prev_crc == frame_flags + 2 && frame_segment_no == frame_prev_crc + 4 &&
                  frame_durable_off == frame_segment_no + 4 &&
                  frame_body_len == frame_durable_off + 4 && frame_hdr_crc == frame_body_len + 4 &&
                  SKI_FRAME_HEADER == frame_hdr_crc + 4,
              "the frame header has no holes");

enum record_offset {
    record_len = 0,
    record_fixed_len = 4,
    record_flags = 6,
    record_crc = 8,
    record_schema_version = 12,
    record_position = 16,
    record_stream_version = 24,
    record_prev_pos = 32,
    record_recorded_at = 40,
    record_id = 48,
    record_stream_hash = 64,
    record_content_hash = 72,
    record_occurred_at = 80,
    record_text_lens = 88, // u16 each, in the order of record_texts
    record_priority = 108,
    record_content_type = 109,
    record_reserved = 110,
    record_meta_len = 112,
    record_data_len = 116,
};
enum { record_texts = 10 };
static_assert(record_fixed_len == record_len + 4 && record_flags == record_fixed_len + 2 &&
                  record_crc == record_flags + 2 && record_schema_version == record_crc + 4 &&
                  record_position == record_schema_version + 4 &&
                  record_stream_version == record_position + 8 &&
                  record_prev_pos == record_stream_version + 8 &&
                  record_recorded_at == record_prev_pos + 8 &&
                  record_id == record_recorded_at + 8 && record_stream_hash == record_id + 16 &&
                  record_content_hash == record_stream_hash + 8 &&
                  record_occurred_at == record_content_hash + 8 &&
                  record_text_lens == record_occurred_at + 8 &&
                  record_priority == record_text_lens + 2 * record_texts &&
                  record_content_type == record_priority + 1 &&
                  record_reserved == record_content_type + 1 &&
                  record_meta_len == record_reserved + 2 &&
                  record_data_len == record_meta_len + 4 && SKI_RECORD_FIXED == record_data_len + 4,
              "the record has no holes");

// Flags of a record. The lower eight must be understood by a reader; the upper eight may be
// ignored.
enum {
    record_flag_test = 1,
    record_flag_transient = 2, // reserved: such events are not stored
    record_flags_known = record_flag_test,
    flags_must_understand = 0x00ff,
};
enum { frame_version_1 = 1, content_type_json = 0 };

enum { value_len = 0, value_name_len = 4, value_flags = 6, value_bytes_len = 8, value_head = 16 };
enum { value_flag_removed = 1 };

size_t ski_frame_len(size_t body_len)
{
    return SKI_FRAME_HEADER + ski_align8(body_len) + SKI_FRAME_TRAILER;
}

uint32_t ski_frame_seed(uint64_t salt)
{
    uint8_t bytes[8];

    ski_put_u64(bytes, salt);
    return ski_crc32c(0, bytes, sizeof bytes);
}

// frame_crc_of is over the whole frame but the header's own checksum: a CRC of bytes and of their
// CRC no longer depends on the bytes, and neither would the chain.
static uint32_t frame_crc_of(const uint8_t *frame, size_t covered)
{
    uint32_t crc = ski_crc32c(0, frame, frame_hdr_crc);

    return ski_crc32c(crc, frame + SKI_FRAME_HEADER, covered - SKI_FRAME_HEADER);
}

uint32_t ski_frame_seal(uint8_t *frame, const ski_frame_header *header, uint32_t seed)
{
    size_t total = ski_frame_len(header->body_len);
    uint32_t crc = 0;

    assert(total <= UINT32_MAX);
    ski_put_u32(frame + frame_magic, SKI_FRAME_MAGIC);
    ski_put_u32(frame + frame_total_len, (uint32_t)total);
    ski_put_u64(frame + frame_base_pos, header->base_pos);
    ski_put_u64(frame + frame_durable_pos, header->durable_pos);
    ski_put_u64(frame + frame_append_us, (uint64_t)header->append_us);
    ski_put_u32(frame + frame_incarnation, header->incarnation);
    ski_put_u32(frame + frame_count, header->count);
    frame[frame_kind] = header->kind;
    frame[frame_version] = frame_version_1;
    ski_put_u16(frame + frame_flags, 0);
    ski_put_u32(frame + frame_prev_crc, header->prev_crc);
    ski_put_u32(frame + frame_segment_no, header->segment_no);
    ski_put_u32(frame + frame_durable_off, header->durable_off);
    ski_put_u32(frame + frame_body_len, header->body_len);
    ski_put_u32(frame + frame_hdr_crc, ski_crc32c(seed, frame, frame_hdr_crc));
    memset(frame + SKI_FRAME_HEADER + header->body_len, 0,
           ski_align8(header->body_len) - header->body_len);
    crc = frame_crc_of(frame, total - SKI_FRAME_TRAILER);
    ski_put_u32(frame + total - 8, crc);
    ski_put_u32(frame + total - 4, (uint32_t)total);
    return crc;
}

// frame_kind_err says whether a header that is whole may be used.
static skald_err frame_kind_err(const uint8_t *bytes)
{
    uint8_t kind = bytes[frame_kind];

    if (bytes[frame_version] != frame_version_1) return SKALD_EUNSUPPORTED;
    if (ski_get_u16(bytes + frame_flags) & flags_must_understand) return SKALD_EUNSUPPORTED;
    if (kind & SKI_FRAME_IGNORABLE) return SKALD_OK;
    if (kind < SKI_FRAME_EVENTS || kind > SKI_FRAME_STREAMS) return SKALD_EUNSUPPORTED;
    return SKALD_OK;
}

skald_err ski_frame_header_get(const uint8_t *bytes, uint32_t seed, ski_frame_header *ret_header)
{
    ski_frame_header header = {0};

    if (ski_get_u32(bytes + frame_magic) != SKI_FRAME_MAGIC) return SKALD_ECORRUPT;
    if (ski_get_u32(bytes + frame_hdr_crc) != ski_crc32c(seed, bytes, frame_hdr_crc)) {
        return SKALD_ECORRUPT;
    }
    SKALD_TRY(frame_kind_err(bytes));
    header.total_len = ski_get_u32(bytes + frame_total_len);
    header.body_len = ski_get_u32(bytes + frame_body_len);
    header.base_pos = ski_get_u64(bytes + frame_base_pos);
    header.durable_pos = ski_get_u64(bytes + frame_durable_pos);
    header.durable_off = ski_get_u32(bytes + frame_durable_off);
    header.append_us = (int64_t)ski_get_u64(bytes + frame_append_us);
    header.incarnation = ski_get_u32(bytes + frame_incarnation);
    header.count = ski_get_u32(bytes + frame_count);
    header.prev_crc = ski_get_u32(bytes + frame_prev_crc);
    header.segment_no = ski_get_u32(bytes + frame_segment_no);
    header.kind = bytes[frame_kind];
    if (header.total_len > SKI_FRAME_BYTES_MAX) return SKALD_ECORRUPT;
    if (header.total_len != ski_frame_len(header.body_len)) return SKALD_ECORRUPT;
    *ret_header = header;
    return SKALD_OK;
}

skald_err ski_frame_check(const uint8_t *frame, const ski_frame_header *header, uint32_t *ret_crc)
{
    size_t covered = header->total_len - SKI_FRAME_TRAILER;
    uint32_t crc = frame_crc_of(frame, covered);

    if (ski_get_u32(frame + covered) != crc) return SKALD_ECORRUPT;
    if (ski_get_u32(frame + covered + 4) != header->total_len) return SKALD_ECORRUPT;
    *ret_crc = crc;
    return SKALD_OK;
}

// The texts of an event in the order in which they are stored.
#define RECORD_TEXTS(TEXT) \
    TEXT(stream)           \
    TEXT(type)             \
    TEXT(tenant)           \
    TEXT(correlation_id)   \
    TEXT(causation_id)     \
    TEXT(user)             \
    TEXT(role)             \
    TEXT(source)           \
    TEXT(tags)             \
    TEXT(traceparent)
#define TEXT_AT(name) offsetof(skald_event, name),
static const size_t record_text_at[] = {RECORD_TEXTS(TEXT_AT)};
static_assert(sizeof record_text_at == record_texts * sizeof *record_text_at, "ten texts");

static skald_str record_text_of(const skald_event *event, unsigned i)
{
    return *(const skald_str *)((const char *)event + record_text_at[i]);
}

size_t ski_record_len(const skald_event *event)
{
    size_t len = SKI_RECORD_FIXED;

    for (unsigned i = 0; i < record_texts; i++) {
        skald_str text = record_text_of(event, i);

        if (text.len > SKI_RECORD_TEXT_MAX) return 0;
        len += text.len;
    }
    if (event->metadata.len > SKI_FRAME_BYTES_MAX || event->data.len > SKI_FRAME_BYTES_MAX)
        return 0;
    return ski_align8(len + event->metadata.len + event->data.len);
}

static uint8_t *record_copy(uint8_t *to, skald_str text)
{
    if (text.len) memcpy(to, text.ptr, text.len);
    return to + text.len;
}

void ski_record_put(uint8_t *record, size_t len, const skald_event *event, uint64_t stream_hash,
                    uint64_t content_hash)
{
    uint8_t *end = record + len, *at = record + SKI_RECORD_FIXED;
    uint32_t crc = 0;

    assert(len && len <= UINT32_MAX);
    ski_put_u32(record + record_len, (uint32_t)len);
    ski_put_u16(record + record_fixed_len, SKI_RECORD_FIXED);
    ski_put_u16(record + record_flags, event->test ? record_flag_test : 0);
    ski_put_u32(record + record_schema_version, event->version);
    memset(record + record_position, 0, record_id - record_position);
    memcpy(record + record_id, event->id.bytes, sizeof event->id.bytes);
    ski_put_u64(record + record_stream_hash, stream_hash);
    ski_put_u64(record + record_content_hash, content_hash);
    ski_put_u64(record + record_occurred_at, (uint64_t)event->occurred_at);
    for (unsigned i = 0; i < record_texts; i++) {
        skald_str text = record_text_of(event, i);

        ski_put_u16(record + record_text_lens + 2 * i, (uint16_t)text.len);
        at = record_copy(at, text);
    }
    record[record_priority] = (uint8_t)(int8_t)event->priority;
    record[record_content_type] = content_type_json;
    ski_put_u16(record + record_reserved, 0);
    ski_put_u32(record + record_meta_len, (uint32_t)event->metadata.len);
    ski_put_u32(record + record_data_len, (uint32_t)event->data.len);
    at = record_copy(at, event->metadata);
    at = record_copy(at, event->data);
    memset(at, 0, (size_t)(end - at));
    crc = ski_crc32c(0, record, record_crc);
    crc = ski_crc32c(crc, record + record_schema_version, record_position - record_schema_version);
    crc = ski_crc32c(crc, record + record_id, len - record_id);
    ski_put_u32(record + record_crc, crc);
}

void ski_record_assign(uint8_t *record, const ski_record_order *order)
{
    uint32_t crc = ski_get_u32(record + record_crc);

    ski_put_u64(record + record_position, order->position);
    ski_put_u64(record + record_stream_version, order->stream_version);
    ski_put_u64(record + record_prev_pos, order->prev_pos);
    ski_put_u64(record + record_recorded_at, (uint64_t)order->recorded_at);
    crc = ski_crc32c(crc, record + record_position, record_id - record_position);
    ski_put_u32(record + record_crc, crc);
}

static uint32_t record_crc_of(const uint8_t *record, size_t len)
{
    uint32_t crc = ski_crc32c(0, record, record_crc);

    crc = ski_crc32c(crc, record + record_schema_version, record_position - record_schema_version);
    crc = ski_crc32c(crc, record + record_id, len - record_id);
    return ski_crc32c(crc, record + record_position, record_id - record_position);
}

// text_get takes the next text; what an event does not have is nowhere.
static inline skald_str text_get(const char **at, size_t len)
{
    skald_str text = {len ? *at : NULL, len};

    *at += len;
    return text;
}

// text_lens_sum adds up the lengths of the ten texts, two at a time.
static inline uint64_t text_lens_sum(const uint8_t *lens)
{
    static const uint64_t even = UINT64_C(0x0000ffff0000ffff);
    uint64_t a = ski_get_u64(lens), b = ski_get_u64(lens + 8), c = ski_get_u32(lens + 16);
    uint64_t sums = (a & even) + (a >> 16 & even) + (b & even) + (b >> 16 & even) + (c & even) +
                    (c >> 16 & even);

    return (sums & UINT32_MAX) + (sums >> 32);
}
static_assert(record_texts == 10, "text_lens_sum adds ten");

// record_texts_get points the event's texts into the record, whose lengths add up or it is CORRUPT.
static inline skald_err record_texts_get(const uint8_t *record, size_t len, skald_event *event)
{
    uint64_t meta_len = ski_get_u32(record + record_meta_len);
    uint64_t data_len = ski_get_u32(record + record_data_len);
    uint64_t fixed = ski_get_u16(record + record_fixed_len);
    const uint8_t *lens = record + record_text_lens;
    const char *at = (const char *)record + fixed;

    if (((fixed + text_lens_sum(lens) + meta_len + data_len + 7) & ~UINT64_C(7)) != len)
        return SKALD_ECORRUPT;
#define TEXT_GET(name)                              \
    event->name = text_get(&at, ski_get_u16(lens)); \
    lens += 2;
    TEXT_GET(stream)
    TEXT_GET(type)
    TEXT_GET(tenant)
    TEXT_GET(correlation_id)
    if (ski_get_u64(lens) | ski_get_u32(lens + 8)) {
        TEXT_GET(causation_id)
        TEXT_GET(user)
        TEXT_GET(role)
        TEXT_GET(source)
        TEXT_GET(tags)
        TEXT_GET(traceparent)
    } else { // as most events are
        event->causation_id = event->user = event->role = event->source = event->tags =
            event->traceparent = (skald_str){0};
    }
    event->metadata = text_get(&at, (size_t)meta_len);
    event->data = text_get(&at, (size_t)data_len);
    return SKALD_OK;
}

static inline size_t record_size(const uint8_t *bytes, size_t available)
{
    size_t len = 0, fixed = 0;

    if (available < SKI_RECORD_FIXED) return 0;
    len = ski_get_u32(bytes + record_len);
    fixed = ski_get_u16(bytes + record_fixed_len);
    if (len > available || len % 8) return 0;
    return fixed < SKI_RECORD_FIXED || fixed % 8 || fixed > len ? 0 : len;
}

size_t ski_record_size(const uint8_t *bytes, size_t available)
{
    return record_size(bytes, available);
}

bool ski_record_right(const uint8_t *bytes, size_t available)
{
    size_t len = record_size(bytes, available);

    return len && ski_get_u32(bytes + record_crc) == record_crc_of(bytes, len);
}

skald_err ski_record_event(const uint8_t *bytes, size_t available, skald_event *event)
{
    size_t len = record_size(bytes, available);
    uint16_t flags = 0;

    if (!len) return SKALD_ECORRUPT;
    flags = ski_get_u16(bytes + record_flags);
    if (flags & flags_must_understand & ~record_flags_known) return SKALD_EUNSUPPORTED;
    if (bytes[record_content_type] != content_type_json) return SKALD_EUNSUPPORTED;
    // Each field by itself: zeroing it all first would cost as much again.
    memcpy(event->id.bytes, bytes + record_id, sizeof event->id.bytes);
    event->occurred_at = (int64_t)ski_get_u64(bytes + record_occurred_at);
    event->recorded_at = (int64_t)ski_get_u64(bytes + record_recorded_at);
    event->position = ski_get_u64(bytes + record_position);
    event->stream_version = ski_get_u64(bytes + record_stream_version);
    event->version = ski_get_u32(bytes + record_schema_version);
    event->priority = (skald_priority)(int8_t)bytes[record_priority];
    event->transient = false;
    event->test = (flags & record_flag_test) != 0;
    if (event->priority < SKALD_LOW || event->priority > SKALD_CRITICAL) return SKALD_ECORRUPT;
    return record_texts_get(bytes, len, event);
}

static skald_err record_get(const uint8_t *bytes, size_t available, bool check,
                            ski_record *ret_record)
{
    ski_record record;

    if (check && !ski_record_right(bytes, available)) return SKALD_ECORRUPT;
    SKALD_TRY(ski_record_event(bytes, available, &record.event));
    record.len = ski_get_u32(bytes + record_len);
    record.prev_pos = ski_get_u64(bytes + record_prev_pos);
    record.stream_hash = ski_get_u64(bytes + record_stream_hash);
    record.content_hash = ski_get_u64(bytes + record_content_hash);
    *ret_record = record;
    return SKALD_OK;
}

skald_err ski_record_get(const uint8_t *bytes, size_t available, ski_record *ret_record)
{
    return record_get(bytes, available, true, ret_record);
}

skald_err ski_record_of_frame(const uint8_t *bytes, size_t available, ski_record *ret_record)
{
    return record_get(bytes, available, false, ret_record);
}

size_t ski_value_len(const skald_store_value *value)
{
    if (value->name.len > SKI_RECORD_TEXT_MAX) return 0;
    if (value->bytes.len > SKI_FRAME_BYTES_MAX) return 0;
    return ski_align8(value_head + value->name.len + value->bytes.len);
}

void ski_value_put(uint8_t *to, const skald_store_value *value)
{
    size_t len = ski_value_len(value);
    uint8_t *at = to + value_head;

    assert(len);
    memset(to, 0, value_head);
    ski_put_u32(to + value_len, (uint32_t)len);
    ski_put_u16(to + value_name_len, (uint16_t)value->name.len);
    ski_put_u16(to + value_flags, value->bytes.ptr ? 0 : value_flag_removed);
    ski_put_u32(to + value_bytes_len, (uint32_t)value->bytes.len);
    at = record_copy(at, value->name);
    at = record_copy(at, value->bytes);
    memset(at, 0, (size_t)(to + len - at));
}

skald_err ski_value_get(const uint8_t *bytes, size_t available, skald_store_value *ret_value,
                        size_t *ret_len)
{
    size_t len = 0, name_len = 0, bytes_len = 0;
    uint16_t flags = 0;
    skald_store_value value = {0};

    if (available < value_head) return SKALD_ECORRUPT;
    len = ski_get_u32(bytes + value_len);
    name_len = ski_get_u16(bytes + value_name_len);
    bytes_len = ski_get_u32(bytes + value_bytes_len);
    flags = ski_get_u16(bytes + value_flags);
    if (len > available || len != ski_align8(value_head + name_len + bytes_len)) {
        return SKALD_ECORRUPT;
    }
    if (flags & flags_must_understand & ~value_flag_removed) return SKALD_EUNSUPPORTED;
    value.name = (skald_str){(const char *)bytes + value_head, name_len};
    if (!(flags & value_flag_removed)) {
        value.bytes = (skald_str){(const char *)bytes + value_head + name_len, bytes_len};
    }
    *ret_value = value;
    *ret_len = len;
    return SKALD_OK;
}
