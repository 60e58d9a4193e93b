// SPDX-License-Identifier: Apache-2.0
// store/log/state.h - state-<segment no.>.ckpt: what frames have added up to at the end of a sealed
// segment, so that opening replays only what came later.
//
// Named values, totals of (tenant, type), tenants, and where the log stood. Written in one go from
// any source, verified as a whole before any of it is given out. Two are kept. Damage of one costs
// nothing but the replay of more segments. One thread at a time.
#ifndef SKI_STORE_LOG_STATE_H
#define SKI_STORE_LOG_STATE_H

#include "os/kernel.h"
#include <skald/base.h>

enum { SKI_STATE_NAME = 32, SKI_STATES_KEPT = 2 };

typedef struct ski_state_head {
    skald_uuid store;
    uint32_t segment_no;   // it is as of the end of this one
    uint32_t incarnation;  // of its last frame
    uint32_t chain_crc;    // of its last frame
    uint64_t next_pos;     // that the next event will have
    int64_t recorded_last; // of the last event; 0: none
    int64_t append_us;     // of the last frame
} ski_state_head;

// A tenant and a type, or a tenant alone (type "not given").
typedef struct ski_state_total {
    skald_str tenant, type;
    uint64_t count, last_pos;
} ski_state_total;

void ski_state_name(char name[SKI_STATE_NAME], uint32_t segment_no);
bool ski_state_name_parse(const char *name, uint32_t *ret_segment_no);

// Writing: begin, put in any order, then finish, or cancel. 64 KiB of memory. Every function fails:
// NOMEM, READONLY, IO; put also TOOBIG (a text beyond 65,535 bytes, bytes beyond 2^32 - 1): then
// cancel.
typedef struct ski_state_writer ski_state_writer;
skald_err ski_state_begin(const ski_kernel *kernel, const char *path, const ski_state_head *head,
                          ski_state_writer **ret_writer) SKALD_CHECK;
skald_err ski_state_put_value(ski_state_writer *writer, skald_str name, skald_str bytes)
    SKALD_CHECK;
skald_err ski_state_put_total(ski_state_writer *writer, const ski_state_total *total) SKALD_CHECK;
// ski_state_finish syncs, renames, syncs the directory, and ends the writer, also when it fails
// (*ret_unsure: a sync failed).
skald_err ski_state_finish(ski_state_writer *writer, bool *ret_unsure) SKALD_CHECK;
void ski_state_cancel(ski_state_writer *writer); // NULL is allowed; its file goes

// Reading. Texts are borrowed for the call; an error of the visitor ends the load with it.
typedef struct ski_state_visitor {
    skald_err (*value)(void *context, skald_str name, skald_str bytes);
    skald_err (*total)(void *context, const ski_state_total *total);
    void *context;
} ski_state_visitor;

// ski_state_load gives one, only if all of it is whole. Fails: NOTFOUND, CORRUPT, UNSUPPORTED, IO,
// NOMEM.
skald_err ski_state_load(const ski_kernel *kernel, const char *path, skald_uuid store,
                         uint32_t segment_no, const ski_state_visitor *visitor,
                         ski_state_head *ret_head, skald_error *reterr_error) SKALD_CHECK;
// ski_state_load_newest gives the newest whole one of the segment numbers found (of state-*.ckpt
// files), not beyond sealed_no; broken, which may be NULL, is told of those that are not whole.
// Fails: NOTFOUND (there is none), UNSUPPORTED, NOMEM, IO.
skald_err ski_state_load_newest(const ski_kernel *kernel, const char *path, skald_uuid store,
                                const uint32_t *segment_nos, size_t count, uint32_t sealed_no,
                                const ski_state_visitor *visitor,
                                void (*broken)(void *context, uint32_t segment_no), void *context,
                                ski_state_head *ret_head, skald_error *reterr_error) SKALD_CHECK;

#endif
