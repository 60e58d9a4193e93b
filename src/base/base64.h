// SPDX-License-Identifier: Apache-2.0
// base/base64.h - base64url without padding (RFC 4648, section 5), read strictly: one text for one
// sequence of bytes, so that what was signed is what was read.
#ifndef SKI_BASE_BASE64_H
#define SKI_BASE_BASE64_H

#include <skald/base.h>

// ski_base64_len is how many bytes a text of text_len characters gives at most.
static inline size_t ski_base64_len(size_t text_len)
{
    return text_len / 4 * 3 + 3;
}

// ski_base64_read writes the bytes of text to ret_bytes, which has ski_base64_len(text.len) bytes
// of room. Fails: INVALID (a character that does not belong, padding, a length that cannot be, bits
// set that say nothing).
skald_err ski_base64_read(skald_str text, uint8_t *ret_bytes, size_t *ret_len) SKALD_CHECK;

// ski_base64_put appends the text of the bytes. Fails: FULL, NOMEM.
skald_err ski_base64_put(skald_buf *buf, const void *bytes, size_t len) SKALD_CHECK;

#endif
