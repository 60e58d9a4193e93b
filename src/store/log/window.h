// SPDX-License-Identifier: Apache-2.0
// store/log/window.h - the newest events, in memory: a few indexes one behind the other, from the
// first position that no index file covers (or before it) to the last one put in order.
//
// A part is begun when the log goes on in another segment, so that memory is given back soon after
// a segment has its index file. One thread at a time.
#ifndef SKI_STORE_LOG_WINDOW_H
#define SKI_STORE_LOG_WINDOW_H

#include "store/log/index.h"

typedef struct ski_window {
    ski_index **parts; // rising; the last one is being filled. There is at least one
    uint32_t count, size;
    uint64_t seed;
} ski_window;

// ski_window_init begins behind a position. Fails: NOMEM.
skald_err ski_window_init(ski_window *window, uint64_t seed, uint64_t base) SKALD_CHECK;
void ski_window_fini(ski_window *window);

uint64_t ski_window_base(const ski_window *window); // position before its first event
uint64_t ski_window_last(const ski_window *window); // position put in order last
ski_index *ski_window_newest(const ski_window *window);
// ski_window_at gives the part that has a position; base < it <= last.
ski_index *ski_window_at(const ski_window *window, uint64_t position);
ski_index_row *ski_window_row(const ski_window *window, uint64_t position); // as above

// ski_window_stream gives where a stream stands, if that is known here.
bool ski_window_stream(const ski_window *window, uint64_t hash, skald_str tenant, skald_str stream,
                       ski_index_head *ret_head);

// ski_window_turn begins a part, unless the newest is empty. Without memory for one it does not.
void ski_window_turn(ski_window *window);
// ski_window_cut forgets everything behind a position: base <= it. What is there was dropped
// (ski_index_drop) before.
void ski_window_cut(ski_window *window, uint64_t position);
// ski_window_forget frees the parts that have nothing behind a position; true: there were any.
bool ski_window_forget(ski_window *window, uint64_t position);

uint64_t ski_window_bytes(const ski_window *window);

#endif
