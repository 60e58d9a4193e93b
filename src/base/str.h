// SPDX-License-Identifier: Apache-2.0
// base/str.h - what is done with borrowed text.
#ifndef SKI_BASE_STR_H
#define SKI_BASE_STR_H

#include <skald/base.h>

static inline skald_str ski_str(const char *ptr, size_t len)
{
    return (skald_str){ptr, len};
}

bool ski_str_begins(skald_str text, skald_str prefix);
bool ski_str_equal_nocase(skald_str a, skald_str b); // ASCII
int ski_str_compare(skald_str a, skald_str b);       // bytewise; a prefix comes first
skald_str ski_str_trim(skald_str text);              // spaces and tabs
// ski_str_cut splits at the first separator: *ret_rest is what is behind it ("not given" without
// one).
skald_str ski_str_cut(skald_str text, char separator, skald_str *ret_rest);
// ski_str_u64 takes decimal digits only, all of text. Fails: INVALID (empty, sign, overflow).
skald_err ski_str_u64(skald_str text, uint64_t *ret_number) SKALD_CHECK;
bool ski_str_utf8(skald_str text); // valid UTF-8 (RFC 3629)?
// ski_str_utf8_char is how many bytes the character has that text begins with; 0: it is not one.
size_t ski_str_utf8_char(skald_str text);
// ski_str_utf8_cut is how much of text fits in len_max bytes without splitting a character.
size_t ski_str_utf8_cut(skald_str text, size_t len_max);
char *ski_str_terminated(skald_str text); // a copy on the heap; ski_free it; NULL without memory

#endif
