// SPDX-License-Identifier: Apache-2.0
// store/log/segment.h - the header of a segment file, and the names of files: a codec without I/O.
#ifndef SKI_STORE_LOG_SEGMENT_H
#define SKI_STORE_LOG_SEGMENT_H

#include <skald/base.h>

enum {
    SKI_SEGMENT_HEADER = 4096, // frames begin behind it
    SKI_SEGMENT_NAME = 48,     // bytes of a file's name and its NUL
    SKI_FORMAT_MAJOR = 1,
    SKI_FORMAT_MINOR = 0,
};

typedef struct ski_segment_header {
    skald_uuid store;
    uint32_t no;         // from 1, dense
    uint32_t generation; // how often it has been rewritten
    uint64_t base_pos;   // of the first event in it
    uint64_t salt;       // random: what its frames' checksums begin with
    int64_t created_us;
    uint32_t prev_crc;     // frame_crc of the segment before's last frame; 0 for the first
    uint32_t replaced_crc; // of a rewritten one: frame_crc that its predecessor's chain ended in
} ski_segment_header;

void ski_segment_header_put(uint8_t bytes[SKI_SEGMENT_HEADER], const ski_segment_header *header);
// ski_segment_header_get fails: CORRUPT, UNSUPPORTED (a newer format or a flag that must be
// understood).
skald_err ski_segment_header_get(const uint8_t bytes[SKI_SEGMENT_HEADER],
                                 ski_segment_header *ret_header) SKALD_CHECK;

void ski_segment_name(char name[SKI_SEGMENT_NAME], uint32_t no, uint32_t generation);
bool ski_segment_name_parse(const char *name, uint32_t *ret_no, uint32_t *ret_generation);
// A spare is a file that may become a segment; making: it is not whole yet.
void ski_spare_name(char name[SKI_SEGMENT_NAME], uint32_t no, bool making);
bool ski_spare_name_parse(const char *name, uint32_t *ret_no, bool *ret_making);

#endif
