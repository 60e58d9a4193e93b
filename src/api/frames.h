// SPDX-License-Identifier: Apache-2.0
// api/frames.h - events as live streams (SSE) write them. One that goes to a thousand clients at
// about the same time is written down once.
#ifndef SKI_API_FRAMES_H
#define SKI_API_FRAMES_H

#include <skald/event.h>

enum {
    SKI_FRAMES_KEPT = 256,            // the newest, of the log's positions
    SKI_FRAME_BYTES_KEPT = 32 * 1024, // a larger one is not kept: 8 MiB in all
    SKI_FRAME_BYTES_MAX = 64 * 1024 * 1024,
};

// Both are any thread's. A frame lives until everybody has given it back.
typedef struct ski_frames ski_frames;
typedef struct ski_frame ski_frame;

skald_err ski_frames_new(ski_frames **ret_frames) SKALD_CHECK;
void ski_frames_free(ski_frames *frames); // after every frame was given back
// ski_frames_take gives "id: …", "data: …" of an event. Fails: NOMEM, FULL (it is too large).
skald_err ski_frames_take(ski_frames *frames, const skald_event *event, ski_frame **ret_frame)
    SKALD_CHECK;
void ski_frames_give(ski_frames *frames, ski_frame *frame); // NULL: nothing
skald_str ski_frame_text(const ski_frame *frame);

#endif
