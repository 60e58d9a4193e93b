// SPDX-License-Identifier: Apache-2.0
// Replay: what a frame that was read says, into the window and the values.
//
// A frame whose checksums are right and whose content contradicts the log before it is damage too:
// the checks here are what makes positions dense and stream versions gapless for everybody above.
// Of a stream's first event in the window the record is believed: what was before is not looked up.
#include "store/log/engine.h"
#include <assert.h>

// record_replay indexes one event. Behind damage a stream may have lost events, and takes the
// version and predecessor that are written.
static skald_err record_replay(ski_engine *engine, uint64_t place, const ski_record *record,
                               bool damaged_before)
{
    const skald_event *event = &record->event;
    ski_index_row row = {.place = place,
                         .content = record->content_hash,
                         .recorded_at = event->recorded_at};
    ski_index_hashes hashes;
    ski_index_head before = {event->stream_version - 1, record->prev_pos};
    uint64_t version = 0, prev = 0;

    if (event->position != ski_window_last(&engine->window) + 1) return SKALD_ECORRUPT;
    if (event->recorded_at < engine->recorded_last) return SKALD_ECORRUPT;
    if (!event->type.len || (event->stream.len != 0) != (event->stream_version != 0)) {
        return SKALD_ECORRUPT;
    }
    ski_index_hash(engine->seed, event, &hashes);
    if (hashes.stream != record->stream_hash) return SKALD_ECORRUPT;
    if (!damaged_before && (event->stream_version > 1) != (record->prev_pos != 0)) {
        return SKALD_ECORRUPT;
    }
    row.id_hash = hashes.id;
    SKALD_TRY(ski_index_add(ski_window_newest(&engine->window), event, &hashes, &row, NULL, &before,
                            damaged_before ? event->stream_version : 0, &version, &prev));
    if (version != event->stream_version) return SKALD_ECORRUPT;
    if (!damaged_before && prev != record->prev_pos) return SKALD_ECORRUPT;
    engine->recorded_last = event->recorded_at;
    return SKALD_OK;
}

static skald_err values_replay(ski_engine *engine, const uint8_t *body, size_t len)
{
    for (size_t at = 0; at < len;) {
        skald_store_value value;
        ski_values_change change;
        size_t value_len = 0;

        SKALD_TRY(ski_value_get(body + at, len - at, &value, &value_len));
        SKALD_TRY(ski_values_prepare(&engine->values, &value, &change));
        ski_values_apply(&engine->values, &change);
        at += value_len;
    }
    return SKALD_OK;
}

skald_err ski_replay_values(ski_engine *engine, const ski_scan_frame *frame)
{
    const ski_frame_header *header = &frame->header;
    size_t at = 0;

    if (header->kind != SKI_FRAME_EVENTS && header->kind != SKI_FRAME_CONTROL) return SKALD_OK;
    for (uint32_t i = 0; i < header->count; i++) {
        ski_record record;

        SKALD_TRY(ski_record_get(frame->body + at, header->body_len - at, &record));
        at += record.len;
    }
    return values_replay(engine, frame->body + at, header->body_len - at);
}

skald_err ski_replay_frame(ski_engine *engine, uint32_t slot, const ski_scan_frame *frame,
                           bool damaged_before)
{
    const ski_frame_header *header = &frame->header;
    uint64_t body_at = frame->offset + SKI_FRAME_HEADER;
    size_t at = 0;

    if (header->kind != SKI_FRAME_EVENTS && header->kind != SKI_FRAME_CONTROL) {
        return header->count ? SKALD_ECORRUPT : SKALD_OK;
    }
    if (header->kind == SKI_FRAME_CONTROL && header->count) return SKALD_ECORRUPT;
    for (uint32_t i = 0; i < header->count; i++) {
        ski_record record;

        SKALD_TRY(ski_record_get(frame->body + at, header->body_len - at, &record));
        SKALD_TRY(record_replay(engine, ski_place_make(slot, body_at + at, record.len), &record,
                                damaged_before));
        at += record.len;
    }
    return values_replay(engine, frame->body + at, header->body_len - at);
}
