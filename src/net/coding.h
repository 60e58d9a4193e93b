// SPDX-License-Identifier: Apache-2.0
// net/coding.h - content codings (RFC 9110, 8.4): gzip and zstd, bytes in and bytes out.
//
// A decoder makes its output piece by piece, so that a few bytes that stand for very many cost no
// more memory than one piece. One thread at a time.
#ifndef SKI_NET_CODING_H
#define SKI_NET_CODING_H

#include <skald/base.h>

typedef enum ski_coding { SKI_CODING_NONE, SKI_CODING_GZIP, SKI_CODING_ZSTD } ski_coding;

enum {
    SKI_CODING_PIECE = 32 * 1024,
    SKI_CODING_WINDOW_LOG_MAX = 23, // zstd: 8 MiB, as RFC 8878 wants of a decoder for the web
    SKI_CODING_ENCODED_MIN = 1024,  // shorter replies are not worth it
};

const char *ski_coding_name(ski_coding coding); // "gzip"
// ski_coding_of reads a Content-Encoding; not given: NONE. False: it is none of ours.
bool ski_coding_of(skald_str header, ski_coding *ret_coding);
// ski_coding_accepted chooses for an Accept-Encoding: zstd, then gzip, as far as each is accepted
// with a q other than 0; "*" means both.
ski_coding ski_coding_accepted(skald_str header);

typedef struct ski_decoder ski_decoder;
ski_decoder *ski_decoder_new(ski_coding coding); // NULL: no memory
void ski_decoder_free(ski_decoder *decoder);
// ski_decoder_give copies what comes next; what was given before has been used up. Fails: NOMEM.
skald_err ski_decoder_give(ski_decoder *decoder, skald_str bytes) SKALD_CHECK;
// ski_decoder_next makes the next piece of output, which lives until the next call; empty: more
// input is needed. Fails: INVALID (what it is not), NOMEM.
skald_err ski_decoder_next(ski_decoder *decoder, skald_str *ret_piece) SKALD_CHECK;
// ski_decoder_whole: what was given ends where it should.
bool ski_decoder_whole(const ski_decoder *decoder);

// ski_encode appends the coded form of bytes. Fails: FULL, NOMEM; then buf is as it was.
skald_err ski_encode(ski_coding coding, skald_str bytes, skald_buf *buf) SKALD_CHECK;

#endif
