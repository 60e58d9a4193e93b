// SPDX-License-Identifier: Apache-2.0
// base/buf.h - more ways to write into a skald_buf. All of them: FULL, NOMEM, and nothing changed.
#ifndef SKI_BASE_BUF_H
#define SKI_BASE_BUF_H

#include <skald/base.h>

skald_err ski_buf_room(skald_buf *buf, size_t more) SKALD_CHECK; // room for more bytes behind len
skald_err ski_buf_byte(skald_buf *buf, char byte) SKALD_CHECK;
skald_err ski_buf_u64(skald_buf *buf, uint64_t number) SKALD_CHECK; // decimal
skald_err ski_buf_print(skald_buf *buf, const char *format, ...) SKALD_PRINTF(2, 3) SKALD_CHECK;
void ski_buf_drop(skald_buf *buf, size_t count); // the first count bytes; count <= len
static inline skald_str ski_buf_str(const skald_buf *buf)
{
    return (skald_str){buf->ptr ? buf->ptr : "", buf->len};
}

#endif
