// SPDX-License-Identifier: Apache-2.0
// store/log/sealed_work.h - what building a segment's index has in memory between scanning the
// segment and writing the index.
#ifndef SKI_STORE_LOG_SEALED_WORK_H
#define SKI_STORE_LOG_SEALED_WORK_H

#include "base/map.h"
#include "store/log/gone.h"
#include "store/log/scan.h"
#include "store/log/sealed.h"

// One position, 64 bytes.
typedef struct ski_sealed_row {
    ski_fp fp; // hi 0: no stream
    uint64_t version, prev_pos;
    uint64_t correlation, id; // hashes; correlation 0: none
    uint32_t unit;            // offset / 8, or SKI_ROW_ERASED, SKI_ROW_DAMAGED
    uint32_t type, tenant;    // numbers of names
} ski_sealed_row;

typedef struct ski_sealed_text { // tenant, then name, in the text
    uint64_t at;
    uint16_t tenant_len, name_len;
} ski_sealed_text;

typedef struct ski_sealed_dictionary {
    ski_sealed_text *names;
    uint64_t *hashes;
    uint32_t count;
    size_t size, hash_size;
    ski_map map;
    uint32_t last; // found last
} ski_sealed_dictionary;

typedef struct ski_sealed_work {
    const ski_sealed_source *source;
    bool uncached; // the segment is read past the kernel's cache: what is damaged is not told yet
    bool damaged;  // some of it is
    ski_keys keys;
    ski_sealed_info info;
    ski_sealed_row *rows;
    size_t row_size; // info.count rows are there
    int64_t *ladder;
    size_t ladder_size;
    ski_sealed_dictionary types, tenants;
    ski_sealed_text *first; // names of streams of which version 1 is here
    size_t first_count, first_size;
    ski_gone *gone; // streams of which the last event is erased; without texts
    size_t gone_count, gone_size;
    char *text;
    size_t text_len, text_size;
} ski_sealed_work;

// ski_sealed_scan fills a zeroed work from the segment's file; end it with work_fini, also when it
// fails as ski_sealed_build does.
skald_err ski_sealed_scan(const ski_sealed_source *source, ski_sealed_work *work,
                          skald_error *reterr_error) SKALD_CHECK;
// The same in parts, for who has the segment's frames already: begin takes what its header says,
// add one frame, which the scan has just given; work->damaged: its events are not what they should
// be.
skald_err ski_sealed_scan_begin(const ski_sealed_source *source, ski_sealed_work *work,
                                const ski_segment_header *header, skald_error *reterr_error)
    SKALD_CHECK;
skald_err ski_sealed_scan_add(ski_sealed_work *work, const ski_scan *scan,
                              const ski_scan_frame *frame, bool damage_before) SKALD_CHECK;
// ski_sealed_scan_path gives the path of the segment's file. Fails: TOOBIG.
skald_err ski_sealed_scan_path(const ski_sealed_source *source, char path[SKI_BLOCKS_PATH_MAX])
    SKALD_CHECK;
void ski_sealed_work_fini(ski_sealed_work *work);
// ski_sealed_alloc is for what is as large as a segment has events, and looked at all over: on huge
// pages, if there are any. NULL: no memory.
void *ski_sealed_alloc(size_t bytes);
// ski_sealed_take and ski_sealed_give do so with what is spare in memory, which may be NULL. take
// says how large it is.
void *ski_sealed_take(ski_sealed_memory *memory, size_t bytes, size_t *ret_bytes);
void ski_sealed_give(ski_sealed_memory *memory, void *take_array, size_t bytes);
// ski_sealed_room gives an array of *size items of so many bytes that holds one more than count:
// the old one, or another with what was in it; NULL: no memory, and the old one stays.
void *ski_sealed_room(void *array, size_t *size, size_t count, size_t item_bytes);
// ski_sealed_text_add keeps a tenant and a name.
skald_err ski_sealed_text_add(ski_sealed_work *work, skald_str tenant, skald_str name,
                              ski_sealed_text *ret_text) SKALD_CHECK;

// What follows a segment while it is written (sealed.h).
struct ski_sealed_follower {
    ski_sealed_source source;
    ski_sealed_work work;
    ski_scan scan;
};

#endif
