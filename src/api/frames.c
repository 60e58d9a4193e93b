// SPDX-License-Identifier: Apache-2.0
// Frames of live streams: a place for each position modulo their number, so the newest are there.
//
// Invariants:
//   1. refs counts who has a frame, the place it stands in among them; who takes it to 0 frees it.
//   2. What has no position (it is not stored) is in no place: nothing else would tell it apart.
#include "api/frames.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "os/thread.h"

struct ski_frame {
    uint64_t position;
    uint32_t refs; // under the lock
    skald_buf text;
};

struct ski_frames {
    ski_mutex lock;
    ski_frame *kept[SKI_FRAMES_KEPT];
};

static void frame_free(ski_frame *frame)
{
    if (!frame) return;
    skald_buf_fini(&frame->text);
    ski_free(frame);
}

skald_err ski_frames_new(ski_frames **ret_frames)
{
    ski_frames *frames = ski_alloc_zeroed(1, sizeof *frames);

    if (!frames) return SKALD_ENOMEM;
    ski_mutex_init(&frames->lock);
    *ret_frames = frames;
    return SKALD_OK;
}

void ski_frames_free(ski_frames *frames)
{
    if (!frames) return;
    for (size_t i = 0; i < SKI_FRAMES_KEPT; i++) frame_free(frames->kept[i]);
    ski_mutex_fini(&frames->lock);
    ski_free(frames);
}

static skald_err put_event(const skald_event *event, skald_buf *buf)
{
    if (event->position) {
        SKALD_TRY(skald_buf_put(buf, SKALD_STR("id: ")));
        SKALD_TRY(ski_buf_u64(buf, event->position));
        SKALD_TRY(ski_buf_byte(buf, '\n'));
    }
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("data: ")));
    SKALD_TRY(skald_event_json(event, false, buf));
    return skald_buf_put(buf, SKALD_STR("\n\n"));
}

// frame_keep puts a new frame into its place.
static void frame_keep(ski_frames *frames, ski_frame *frame)
{
    ski_frame **place = &frames->kept[frame->position % SKI_FRAMES_KEPT];

    ski_mutex_lock(&frames->lock);
    ski_frame *old = *place;
    bool last = old && --old->refs == 0;
    *place = frame;
    frame->refs++;
    ski_mutex_unlock(&frames->lock);
    if (last) frame_free(old);
}

skald_err ski_frames_take(ski_frames *frames, const skald_event *event, ski_frame **ret_frame)
{
    ski_frame *frame;

    ski_mutex_lock(&frames->lock);
    frame = frames->kept[event->position % SKI_FRAMES_KEPT];
    if (frame && frame->position != event->position) frame = NULL;
    if (frame) frame->refs++;
    ski_mutex_unlock(&frames->lock);
    if (!frame) {
        frame = ski_alloc_zeroed(1, sizeof *frame);
        if (!frame) return SKALD_ENOMEM;
        frame->position = event->position;
        frame->refs = 1;
        frame->text.bytes_max = SKI_FRAME_BYTES_MAX;
        skald_err err = put_event(event, &frame->text);
        if (err) {
            frame_free(frame);
            return err;
        }
        if (event->position && frame->text.len <= SKI_FRAME_BYTES_KEPT) frame_keep(frames, frame);
    }
    *ret_frame = frame;
    return SKALD_OK;
}

void ski_frames_give(ski_frames *frames, ski_frame *frame)
{
    if (!frame) return;
    ski_mutex_lock(&frames->lock);
    bool last = --frame->refs == 0;
    ski_mutex_unlock(&frames->lock);
    if (last) frame_free(frame);
}

skald_str ski_frame_text(const ski_frame *frame)
{
    return ski_buf_str(&frame->text);
}
