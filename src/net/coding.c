// SPDX-License-Identifier: Apache-2.0
// Content codings, by zlib and libzstd. Both take several members (frames) one behind the other for
// one body, as their own programs do.
#include "net/coding.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"

#include <assert.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum {
    gzip_window_bits = 15 + 16, // with the header of gzip
    gzip_level = 3,             // half the time of 5, for a tenth more bytes
    gzip_memory = 8,
    zstd_level = 3,
};

struct ski_decoder {
    ski_coding coding;
    z_stream gzip;
    ZSTD_DCtx *zstd;
    char *input;
    size_t input_len, input_at, input_size;
    bool begun;  // some of it was decoded
    bool inside; // a member has begun and not ended
    bool filled; // the last piece was full: there may be more without input
    char piece[SKI_CODING_PIECE];
};

const char *ski_coding_name(ski_coding coding)
{
    return coding == SKI_CODING_GZIP ? "gzip" : coding == SKI_CODING_ZSTD ? "zstd" : "identity";
}

bool ski_coding_of(skald_str header, ski_coding *ret_coding)
{
    header = ski_str_trim(header);
    *ret_coding = SKI_CODING_NONE;
    if (!header.len || ski_str_equal_nocase(header, SKALD_STR("identity"))) return true;
    if (ski_str_equal_nocase(header, SKALD_STR("gzip")) ||
        ski_str_equal_nocase(header, SKALD_STR("x-gzip"))) {
        *ret_coding = SKI_CODING_GZIP;
    } else if (ski_str_equal_nocase(header, SKALD_STR("zstd"))) {
        *ret_coding = SKI_CODING_ZSTD;
    }
    return *ret_coding != SKI_CODING_NONE;
}

// refused: parameters with q=0, in any of its spellings.
static bool refused(skald_str parameters)
{
    skald_str value = ski_str_trim(parameters);

    if (value.len < 3 || (value.ptr[0] != 'q' && value.ptr[0] != 'Q')) return false;
    value = ski_str_trim(ski_str(value.ptr + 1, value.len - 1));
    if (!value.len || value.ptr[0] != '=') return false;
    value = ski_str_trim(ski_str(value.ptr + 1, value.len - 1));
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] != '0' && value.ptr[i] != '.') return false;
    }
    return true;
}

ski_coding ski_coding_accepted(skald_str header)
{
    enum { UNSAID, YES, NO } said[SKI_CODING_ZSTD + 1] = {UNSAID}, any = NO;
    skald_str rest = header;

    while (rest.ptr) {
        skald_str item = ski_str_cut(rest, ',', &rest), parameters, name;
        ski_coding coding;

        name = ski_str_trim(ski_str_cut(item, ';', &parameters));
        if (!name.len) continue;
        int says = parameters.ptr && refused(parameters) ? NO : YES;
        if (skald_str_equal(name, SKALD_STR("*"))) any = says;
        if (ski_coding_of(name, &coding) && coding) said[coding] = says;
    }
    for (ski_coding coding = SKI_CODING_ZSTD; coding != SKI_CODING_NONE; coding--) {
        if (said[coding] == YES || (said[coding] == UNSAID && any == YES)) return coding;
    }
    return SKI_CODING_NONE;
}

ski_decoder *ski_decoder_new(ski_coding coding)
{
    ski_decoder *decoder = ski_alloc_zeroed(1, sizeof *decoder);
    bool made = false;

    assert(coding != SKI_CODING_NONE);
    if (!decoder) return NULL;
    decoder->coding = coding;
    if (coding == SKI_CODING_GZIP) {
        made = inflateInit2(&decoder->gzip, gzip_window_bits) == Z_OK;
    } else {
        decoder->zstd = ZSTD_createDCtx();
        made = decoder->zstd &&
               !ZSTD_isError(ZSTD_DCtx_setParameter(decoder->zstd, ZSTD_d_windowLogMax,
                                                    SKI_CODING_WINDOW_LOG_MAX));
    }
    if (made) return decoder;
    ski_decoder_free(decoder);
    return NULL;
}

void ski_decoder_free(ski_decoder *decoder)
{
    if (!decoder) return;
    if (decoder->coding == SKI_CODING_GZIP) inflateEnd(&decoder->gzip);
    ZSTD_freeDCtx(decoder->zstd);
    ski_free(decoder->input);
    ski_free(decoder);
}

skald_err ski_decoder_give(ski_decoder *decoder, skald_str bytes)
{
    assert(decoder->input_at == decoder->input_len);
    if (bytes.len > decoder->input_size) {
        char *input = ski_realloc(decoder->input, bytes.len);

        if (!input) return SKALD_ENOMEM;
        decoder->input = input;
        decoder->input_size = bytes.len;
    }
    if (bytes.len) memcpy(decoder->input, bytes.ptr, bytes.len);
    decoder->input_len = bytes.len;
    decoder->input_at = 0;
    return SKALD_OK;
}

static skald_err gzip_next(ski_decoder *decoder, size_t *ret_len)
{
    z_stream *gzip = &decoder->gzip;
    int result;

    if (!decoder->inside && decoder->begun && inflateReset(gzip) != Z_OK) return SKALD_EINVALID;
    gzip->next_in = (Bytef *)decoder->input + decoder->input_at;
    gzip->avail_in = (uInt)(decoder->input_len - decoder->input_at);
    gzip->next_out = (Bytef *)decoder->piece;
    gzip->avail_out = sizeof decoder->piece;
    result = inflate(gzip, Z_NO_FLUSH);
    if (result == Z_MEM_ERROR) return SKALD_ENOMEM;
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) return SKALD_EINVALID;
    decoder->inside = result != Z_STREAM_END;
    decoder->input_at = decoder->input_len - gzip->avail_in;
    *ret_len = sizeof decoder->piece - gzip->avail_out;
    return SKALD_OK;
}

static skald_err zstd_next(ski_decoder *decoder, size_t *ret_len)
{
    ZSTD_inBuffer in = {decoder->input, decoder->input_len, decoder->input_at};
    ZSTD_outBuffer out = {decoder->piece, sizeof decoder->piece, 0};
    size_t result = ZSTD_decompressStream(decoder->zstd, &out, &in);

    if (ZSTD_isError(result)) return SKALD_EINVALID;
    decoder->inside = result != 0;
    decoder->input_at = in.pos;
    *ret_len = out.pos;
    return SKALD_OK;
}

skald_err ski_decoder_next(ski_decoder *decoder, skald_str *ret_piece)
{
    size_t len = 0;

    while (!len && (decoder->input_at < decoder->input_len || decoder->filled)) {
        decoder->filled = false;
        SKALD_TRY((decoder->coding == SKI_CODING_GZIP ? gzip_next : zstd_next)(decoder, &len));
        decoder->begun = true;
    }
    decoder->filled = len == sizeof decoder->piece && decoder->inside;
    *ret_piece = ski_str(decoder->piece, len);
    return SKALD_OK;
}

bool ski_decoder_whole(const ski_decoder *decoder)
{
    return decoder->begun && !decoder->inside && decoder->input_at == decoder->input_len;
}

static skald_err gzip_encode(skald_str bytes, skald_buf *buf)
{
    z_stream gzip = {0};
    skald_err err = SKALD_OK;

    if (deflateInit2(&gzip, gzip_level, Z_DEFLATED, gzip_window_bits, gzip_memory,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return SKALD_ENOMEM;
    }
    err = ski_buf_room(buf, deflateBound(&gzip, bytes.len));
    if (!err) {
        gzip.next_in = (Bytef *)bytes.ptr;
        gzip.avail_in = (uInt)bytes.len;
        gzip.next_out = (Bytef *)buf->ptr + buf->len;
        gzip.avail_out = (uInt)(buf->size - buf->len);
        err = deflate(&gzip, Z_FINISH) == Z_STREAM_END ? SKALD_OK : SKALD_EFULL;
    }
    if (!err) buf->len = (size_t)((char *)gzip.next_out - buf->ptr);
    deflateEnd(&gzip);
    return err;
}

static skald_err zstd_encode(skald_str bytes, skald_buf *buf)
{
    size_t len = 0;

    SKALD_TRY(ski_buf_room(buf, ZSTD_compressBound(bytes.len)));
    len =
        ZSTD_compress(buf->ptr + buf->len, buf->size - buf->len, bytes.ptr, bytes.len, zstd_level);
    if (ZSTD_isError(len)) return SKALD_ENOMEM;
    buf->len += len;
    return SKALD_OK;
}

skald_err ski_encode(ski_coding coding, skald_str bytes, skald_buf *buf)
{
    assert(coding != SKI_CODING_NONE);
    if (bytes.len > UINT32_MAX / 2) return SKALD_EFULL; // zlib counts in 32 bits
    return (coding == SKI_CODING_GZIP ? gzip_encode : zstd_encode)(bytes, buf);
}
