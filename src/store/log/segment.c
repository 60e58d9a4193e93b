// SPDX-License-Identifier: Apache-2.0
// The header of a segment: one page, of which most is zero and all is under its checksum, so that
// no bit of it can change unseen.
#include "store/log/segment.h"
#include "base/hash.h"
#include "base/str.h"
#include "store/log/bytes.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum segment_offset {
    segment_magic = 0,
    segment_major = 8,
    segment_minor = 10,
    segment_min_reader = 12, // the oldest major that can read it
    segment_reserved = 14,
    segment_store = 16,
    segment_no = 32,
    segment_generation = 36,
    segment_base_pos = 40,
    segment_salt = 48,
    segment_created_us = 56,
    segment_flags = 64, // the lower half must be understood
    segment_prev_crc = 68,
    segment_replaced_crc = 72,
    segment_zeros = 76,
    segment_crc = SKI_SEGMENT_HEADER - 4,
};
static_assert(
    segment_major == segment_magic + 8 && segment_minor == segment_major + 2 &&
        segment_min_reader == segment_minor + 2 && segment_reserved == segment_min_reader + 2 &&
        segment_store == segment_reserved + 2 && segment_no == segment_store + 16 &&
        segment_generation == segment_no + 4 && segment_base_pos == segment_generation + 4 &&
        segment_salt == segment_base_pos + 8 && segment_created_us == segment_salt + 8 &&
        segment_flags == segment_created_us + 8 && segment_prev_crc == segment_flags + 4 &&
        segment_replaced_crc == segment_prev_crc + 4 && segment_zeros == segment_replaced_crc + 4,
    "the segment header has no holes");

static const uint8_t magic[8] = "SKALDSEG";
enum { flags_must_understand = 0xffff };

void ski_segment_header_put(uint8_t bytes[SKI_SEGMENT_HEADER], const ski_segment_header *header)
{
    memset(bytes, 0, SKI_SEGMENT_HEADER);
    memcpy(bytes + segment_magic, magic, sizeof magic);
    ski_put_u16(bytes + segment_major, SKI_FORMAT_MAJOR);
    ski_put_u16(bytes + segment_minor, SKI_FORMAT_MINOR);
    ski_put_u16(bytes + segment_min_reader, SKI_FORMAT_MAJOR);
    memcpy(bytes + segment_store, header->store.bytes, sizeof header->store.bytes);
    ski_put_u32(bytes + segment_no, header->no);
    ski_put_u32(bytes + segment_generation, header->generation);
    ski_put_u64(bytes + segment_base_pos, header->base_pos);
    ski_put_u64(bytes + segment_salt, header->salt);
    ski_put_u64(bytes + segment_created_us, (uint64_t)header->created_us);
    ski_put_u32(bytes + segment_prev_crc, header->prev_crc);
    ski_put_u32(bytes + segment_replaced_crc, header->replaced_crc);
    ski_put_u32(bytes + segment_crc, ski_crc32c(0, bytes, segment_crc));
}

skald_err ski_segment_header_get(const uint8_t bytes[SKI_SEGMENT_HEADER],
                                 ski_segment_header *ret_header)
{
    ski_segment_header header = {0};

    if (memcmp(bytes + segment_magic, magic, sizeof magic) != 0) return SKALD_ECORRUPT;
    if (ski_get_u32(bytes + segment_crc) != ski_crc32c(0, bytes, segment_crc)) {
        return SKALD_ECORRUPT;
    }
    if (ski_get_u16(bytes + segment_min_reader) > SKI_FORMAT_MAJOR) return SKALD_EUNSUPPORTED;
    if (ski_get_u32(bytes + segment_flags) & flags_must_understand) return SKALD_EUNSUPPORTED;
    memcpy(header.store.bytes, bytes + segment_store, sizeof header.store.bytes);
    header.no = ski_get_u32(bytes + segment_no);
    header.generation = ski_get_u32(bytes + segment_generation);
    header.base_pos = ski_get_u64(bytes + segment_base_pos);
    header.salt = ski_get_u64(bytes + segment_salt);
    header.created_us = (int64_t)ski_get_u64(bytes + segment_created_us);
    header.prev_crc = ski_get_u32(bytes + segment_prev_crc);
    header.replaced_crc = ski_get_u32(bytes + segment_replaced_crc);
    *ret_header = header;
    return SKALD_OK;
}

void ski_segment_name(char name[SKI_SEGMENT_NAME], uint32_t no, uint32_t generation)
{
    (void)snprintf(name, SKI_SEGMENT_NAME, "seg-%08u.%u.log", no, generation);
}

void ski_spare_name(char name[SKI_SEGMENT_NAME], uint32_t no, bool making)
{
    (void)snprintf(name, SKI_SEGMENT_NAME, "spare-%08u.%s", no, making ? "tmp" : "log");
}

// number_cut reads the digits up to a separator off the front of *rest.
static bool number_cut(skald_str *rest, char separator, uint32_t *ret_number)
{
    uint64_t number = 0;
    skald_str behind = {0};
    skald_str digits = ski_str_cut(*rest, separator, &behind);

    if (!behind.ptr || ski_str_u64(digits, &number) || number > UINT32_MAX) return false;
    *rest = behind;
    *ret_number = (uint32_t)number;
    return true;
}

bool ski_segment_name_parse(const char *name, uint32_t *ret_no, uint32_t *ret_generation)
{
    skald_str rest = skald_str_of(name);
    uint32_t no = 0, generation = 0;
    char again[SKI_SEGMENT_NAME];

    if (!ski_str_begins(rest, SKALD_STR("seg-"))) return false;
    rest = (skald_str){rest.ptr + 4, rest.len - 4};
    if (!number_cut(&rest, '.', &no) || !number_cut(&rest, '.', &generation)) return false;
    ski_segment_name(again, no, generation);
    if (strcmp(name, again) != 0) return false;
    *ret_no = no;
    *ret_generation = generation;
    return true;
}

bool ski_spare_name_parse(const char *name, uint32_t *ret_no, bool *ret_making)
{
    skald_str rest = skald_str_of(name);
    uint32_t no = 0;
    char again[SKI_SEGMENT_NAME];

    if (!ski_str_begins(rest, SKALD_STR("spare-"))) return false;
    rest = (skald_str){rest.ptr + 6, rest.len - 6};
    if (!number_cut(&rest, '.', &no)) return false;
    for (int making = 0; making < 2; making++) {
        ski_spare_name(again, no, making);
        if (strcmp(name, again) != 0) continue;
        *ret_no = no;
        *ret_making = making;
        return true;
    }
    return false;
}
