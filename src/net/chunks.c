// SPDX-License-Identifier: Apache-2.0
// The chunked coding of a body (RFC 9112 7.1), strictly: what one server skips and another reads is
// how requests are smuggled. Extensions and trailers are checked, bounded and dropped.
#include "net/codec.h"

#include "base/hex.h"
#include "base/str.h"
#include <string.h>

enum {
    extension_bytes_max = 4096, // of one body
    trailer_bytes_max = 8192,
    digits_max = 16,
};

enum {
    step_size,
    step_extension,
    step_size_lf,
    step_data,
    step_data_cr,
    step_data_lf,
    step_trailer, // the first byte of a trailer line, or of the last line
    step_trailer_name,
    step_trailer_value,
    step_trailer_lf,
    step_last_lf,
};

static bool is_text(unsigned char byte)
{
    return byte == '\t' || (byte >= ' ' && byte != 0x7f);
}

static skald_err expected(skald_error *error, const char *what)
{
    return skald_fail(error, SKALD_EINVALID, "the chunked body is broken: expected %s", what);
}

static skald_err size_byte(ski_chunks *chunks, unsigned char byte, skald_error *error)
{
    int digit = ski_hex_digit((char)byte);

    if (digit >= 0) {
        if (chunks->digits == digits_max || chunks->size >> 59) {
            return skald_fail(error, SKALD_ETOOBIG, "a chunk says it is larger than any body");
        }
        chunks->digits++;
        chunks->size = chunks->size << 4 | (unsigned)digit;
        return SKALD_OK;
    }
    if (chunks->digits == 0) return expected(error, "the size of a chunk in hexadecimal digits");
    if (byte == '\r') {
        chunks->step = step_size_lf;
    } else if (byte == ';') {
        chunks->step = step_extension;
    } else {
        return expected(error, "CR LF behind the size of a chunk");
    }
    return SKALD_OK;
}

static skald_err extension_byte(ski_chunks *chunks, unsigned char byte, skald_error *error)
{
    if (byte == '\r') {
        chunks->step = step_size_lf;
        return SKALD_OK;
    }
    if (!is_text(byte)) return expected(error, "no control characters in a chunk extension");
    if (++chunks->extension_bytes > extension_bytes_max) {
        return skald_fail(error, SKALD_ETOOBIG, "the chunk extensions are longer than %d bytes",
                          extension_bytes_max);
    }
    return SKALD_OK;
}

static skald_err trailer_byte(ski_chunks *chunks, unsigned char byte, skald_error *error)
{
    char one = (char)byte;

    if (++chunks->trailer_bytes > trailer_bytes_max) {
        (void)skald_fail(error, SKALD_ETOOBIG, "the trailers are longer than %d bytes",
                         trailer_bytes_max);
        memcpy(error->code, "HEADERS_TOO_LARGE", sizeof "HEADERS_TOO_LARGE");
        return SKALD_ETOOBIG;
    }
    switch (chunks->step) {
    case step_trailer:
        if (byte == '\r') {
            chunks->step = step_last_lf;
            return SKALD_OK;
        }
        if (!ski_http_token(ski_str(&one, 1))) return expected(error, "a trailer or an empty line");
        chunks->step = step_trailer_name;
        return SKALD_OK;
    case step_trailer_name:
        if (byte == ':') {
            chunks->step = step_trailer_value;
            return SKALD_OK;
        }
        return ski_http_token(ski_str(&one, 1)) ? SKALD_OK
                                                : expected(error, "the name of a trailer");
    case step_trailer_value:
        if (byte == '\r') {
            chunks->step = step_trailer_lf;
            return SKALD_OK;
        }
        return is_text(byte) ? SKALD_OK : expected(error, "no control characters in a trailer");
    default: // step_trailer_lf
        if (byte != '\n') return expected(error, "LF behind CR in a trailer");
        chunks->step = step_trailer;
        return SKALD_OK;
    }
}

// frame_byte takes one byte that is not data.
static skald_err frame_byte(ski_chunks *chunks, unsigned char byte, bool *ret_done,
                            skald_error *error)
{
    switch (chunks->step) {
    case step_size: return size_byte(chunks, byte, error);
    case step_extension: return extension_byte(chunks, byte, error);
    case step_size_lf:
        if (byte != '\n') return expected(error, "LF behind CR");
        chunks->step = chunks->size > 0 ? step_data : step_trailer;
        return SKALD_OK;
    case step_data_cr:
        if (byte != '\r') return expected(error, "CR LF behind the data of a chunk");
        chunks->step = step_data_lf;
        return SKALD_OK;
    case step_data_lf:
        if (byte != '\n') return expected(error, "CR LF behind the data of a chunk");
        chunks->step = step_size;
        chunks->digits = 0;
        return SKALD_OK;
    case step_last_lf:
        if (byte != '\n') return expected(error, "CR LF at the end");
        *ret_done = true;
        return SKALD_OK;
    default: return trailer_byte(chunks, byte, error);
    }
}

skald_err ski_chunks_step(ski_chunks *chunks, skald_str *rest, ski_chunks_event *ret_event,
                          skald_error *error)
{
    while (rest->len > 0) {
        if (chunks->step == step_data) {
            size_t take = rest->len < chunks->size ? rest->len : (size_t)chunks->size;
            ret_event->data = ski_str(rest->ptr, take);
            *rest = ski_str(rest->ptr + take, rest->len - take);
            chunks->size -= take;
            if (chunks->size == 0) chunks->step = step_data_cr;
            return SKALD_OK;
        }
        unsigned char byte = (unsigned char)*rest->ptr;
        *rest = ski_str(rest->ptr + 1, rest->len - 1);
        bool done = false;
        SKALD_TRY(frame_byte(chunks, byte, &done, error));
        if (done) {
            ret_event->done = true;
            return SKALD_OK;
        }
    }
    return SKALD_OK;
}
