// SPDX-License-Identifier: Apache-2.0
// Frames: one text for many, what is kept and what is not, and memory that runs out.
#include "api/frames.h"
#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static skald_event event_at(uint64_t position)
{
    return (skald_event){.id = {{1}},
                         .type = SKALD_STR("a.b"),
                         .position = position,
                         .data = SKALD_STR("{\"n\":1}")};
}

static ski_frame *take(ski_frames *frames, const skald_event *event)
{
    ski_frame *frame = NULL;

    assert_int_equal(ski_frames_take(frames, event, &frame), SKALD_OK);
    return frame;
}

static void test_written_once(void **state)
{
    skald_event event = event_at(7), later = event_at(7 + SKI_FRAMES_KEPT);
    ski_frames *frames;

    (void)state;
    assert_int_equal(ski_frames_new(&frames), SKALD_OK);
    ski_frame *first = take(frames, &event);
    assert_ptr_equal(take(frames, &event), first);
    skald_str text = ski_frame_text(first);
    assert_memory_equal(text.ptr, "id: 7\ndata: {", 13);
    assert_memory_equal(text.ptr + text.len - 3, "}\n\n", 3);
    // Its place is taken by another; who still has it keeps it.
    ski_frame *other = take(frames, &later);
    assert_ptr_not_equal(other, first);
    assert_memory_equal(ski_frame_text(first).ptr, "id: 7\n", 6);
    ski_frames_give(frames, first);
    ski_frames_give(frames, first);
    ski_frame *again = take(frames, &event);
    assert_memory_equal(ski_frame_text(again).ptr, "id: 7\n", 6);
    ski_frames_give(frames, again);
    ski_frames_give(frames, other);
    ski_frames_give(frames, NULL);
    ski_frames_free(frames);
}

static void test_not_kept(void **state)
{
    static char large[SKI_FRAME_BYTES_KEPT + 3];
    skald_event event = event_at(0), big = event_at(1);
    ski_frames *frames;

    (void)state;
    memset(large, 'x', sizeof large);
    large[0] = large[sizeof large - 1] = '"';
    big.data = (skald_str){large, sizeof large};
    assert_int_equal(ski_frames_new(&frames), SKALD_OK);
    ski_frame *first = take(frames, &event), *second = take(frames, &event);
    assert_ptr_not_equal(first, second); // not stored: two may have no position
    assert_memory_equal(ski_frame_text(first).ptr, "data: {", 7);
    ski_frame *third = take(frames, &big), *fourth = take(frames, &big);
    assert_ptr_not_equal(third, fourth); // too large to be kept
    ski_frames_give(frames, first);
    ski_frames_give(frames, second);
    ski_frames_give(frames, third);
    ski_frames_give(frames, fourth);
    ski_frames_free(frames);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_once),
        cmocka_unit_test(test_not_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
