// SPDX-License-Identifier: Apache-2.0
// Growing text with a mandatory maximum.
//
// Invariants:
//   1. len <= size <= bytes_max, and size + 1 bytes are allocated: printf needs one for its NUL.
//   2. A call that fails leaves ptr, len and what is in front of len as they were.
//   3. A buffer whose size is its bytes_max never allocates, so it may stand on memory of the
//      caller (then without fini).
// The text put in may not lie in the buffer itself: growing would pull it away.
#include "base/buf.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    first_size = 64,   // enough for a number or a short name, small enough for thousands of them
    number_digits = 20 // of UINT64_MAX
};

// size_for is the next size that holds need bytes: twice as much as before, so that putting n bytes
// one by one copies less than 2n.
static size_t size_for(const skald_buf *buf, size_t need)
{
    size_t size = buf->size > buf->bytes_max / 2 ? buf->bytes_max : buf->size * 2;

    if (size < first_size) size = first_size;
    if (size < need) size = need;
    return size < buf->bytes_max ? size : buf->bytes_max;
}

skald_err ski_buf_room(skald_buf *buf, size_t more)
{
    assert(buf->bytes_max > 0 && buf->len <= buf->size && buf->size <= buf->bytes_max);

    if (more <= buf->size - buf->len) return SKALD_OK;
    if (more > buf->bytes_max - buf->len) return SKALD_EFULL;

    size_t size = size_for(buf, buf->len + more);
    char *ptr = size < SIZE_MAX ? ski_realloc(buf->ptr, size + 1) : NULL;

    if (!ptr) return SKALD_ENOMEM;
    buf->ptr = ptr;
    buf->size = size;
    return SKALD_OK;
}

skald_err skald_buf_put(skald_buf *buf, skald_str text)
{
    if (!text.len) return SKALD_OK;
    assert(buf->len <= buf->size);
    if (text.len > buf->size - buf->len) SKALD_TRY(ski_buf_room(buf, text.len));
    memcpy(buf->ptr + buf->len, text.ptr, text.len);
    buf->len += text.len;
    return SKALD_OK;
}

skald_err ski_buf_byte(skald_buf *buf, char byte)
{
    if (buf->len >= buf->size) SKALD_TRY(ski_buf_room(buf, 1));
    buf->ptr[buf->len++] = byte;
    return SKALD_OK;
}

skald_err ski_buf_u64(skald_buf *buf, uint64_t number)
{
    char digits[number_digits];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    return skald_buf_put(buf, (skald_str){digits + at, sizeof digits - at});
}

skald_err ski_buf_print(skald_buf *buf, const char *format, ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0) return SKALD_EFULL; // longer than INT_MAX

    SKALD_TRY(ski_buf_room(buf, (size_t)len));
    if (len == 0) return SKALD_OK; // perhaps nothing is allocated
    va_start(args, format);
    vsnprintf(buf->ptr + buf->len, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
    return SKALD_OK;
}

void ski_buf_drop(skald_buf *buf, size_t count)
{
    assert(count <= buf->len);

    if (!count) return;
    buf->len -= count;
    memmove(buf->ptr, buf->ptr + count, buf->len);
}

void skald_buf_fini(skald_buf *buf)
{
    ski_free(buf->ptr);
    *buf = (skald_buf){.bytes_max = buf->bytes_max};
}
