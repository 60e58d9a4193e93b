// SPDX-License-Identifier: Apache-2.0
// Percent-decoding, once and strictly: what is refused here cannot be read in two ways further on.
#include "net/http.h"

#include "base/str.h"
#include <string.h>

static int hex_value(char byte)
{
    if (byte >= '0' && byte <= '9') return byte - '0';
    if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
    return -1;
}

skald_err ski_http_decode(skald_str text, bool plus, skald_arena *arena, skald_str *ret_text)
{
    bool encoded = text.len > 0 && (memchr(text.ptr, '%', text.len) != NULL ||
                                    (plus && memchr(text.ptr, '+', text.len) != NULL));
    skald_str decoded = text;

    if (encoded) {
        char *bytes = skald_arena_get(arena, text.len);
        size_t len = 0;
        if (bytes == NULL) return SKALD_ENOMEM;
        for (size_t i = 0; i < text.len; i++) {
            if (text.ptr[i] == '+' && plus) {
                bytes[len++] = ' ';
            } else if (text.ptr[i] == '%') {
                int high = text.len - i > 2 ? hex_value(text.ptr[i + 1]) : -1;
                int low = text.len - i > 2 ? hex_value(text.ptr[i + 2]) : -1;
                if (high < 0 || low < 0 || high + low == 0) return SKALD_EINVALID;
                bytes[len++] = (char)(high << 4 | low);
                i += 2;
            } else {
                bytes[len++] = text.ptr[i];
            }
        }
        decoded = ski_str(bytes, len);
    }
    if (!ski_str_utf8(decoded)) return SKALD_EINVALID;
    *ret_text = decoded;
    return SKALD_OK;
}
