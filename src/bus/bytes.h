// SPDX-License-Identifier: Apache-2.0
// bus/bytes.h - what the small values of the bus are written with: numbers, texts, a checksum.
//
// A value is magic (3 bytes), version (1), a body, CRC-32C of all before it (4, little endian). A
// number is 7 bits a byte, lowest first, the top bit says that more follow; a text is its length
// and its bytes.
#ifndef SKI_BUS_BYTES_H
#define SKI_BUS_BYTES_H

#include <skald/base.h>

enum { SKI_BYTES_FRAME = 8 }; // of magic, version and checksum

// Writing: begin, the body, end. All: NOMEM, FULL; whoever writes cuts buf back then.
skald_err ski_bytes_begin(skald_buf *buf, const char magic[3], uint8_t version, size_t *ret_start)
    SKALD_CHECK;
skald_err ski_bytes_number(skald_buf *buf, uint64_t number) SKALD_CHECK;
skald_err ski_bytes_text(skald_buf *buf, skald_str text) SKALD_CHECK;
skald_err ski_bytes_end(skald_buf *buf, size_t start) SKALD_CHECK;

// ski_bytes_open checks the frame and gives the body. Fails: CORRUPT, UNSUPPORTED (another
// version).
skald_err ski_bytes_open(skald_str bytes, const char magic[3], uint8_t version, skald_str *ret_body,
                         skald_error *reterr_error) SKALD_CHECK;
// Taking the next off the body. False: cut off, too large, or longer than need be. A text is
// borrowed from it.
bool ski_bytes_take_number(skald_str *body, uint64_t *ret_number);
bool ski_bytes_take_text(skald_str *body, skald_str *ret_text);

#endif
