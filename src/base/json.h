// SPDX-License-Identifier: Apache-2.0
// base/json.h - JSON: the door, walking what the door accepted, and writing.
//
// All JSON from outside passes the door (simdjson, json_door.cc), which validates the whole text
// (RFC 8259, UTF-8, depth) and keeps nothing, or, short and plain, ski_json_plain, which accepts
// nothing that the door would not. What was accepted is then walked as text, so that a value can be
// spliced into a file or a reply byte for byte as it came.
#ifndef SKI_BASE_JSON_H
#define SKI_BASE_JSON_H

#include <skald/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    SKI_JSON_DEPTH_MAX = 128,
    SKI_JSON_PAD = 64, // readable bytes the fast path of the door wants behind a text; their
                       // content is nothing to it
};

// ski_json_door_check validates one JSON text. padded: at least SKI_JSON_PAD bytes behind text may
// be read (else the text is copied). Any thread; the parser is kept per thread. Fails: INVALID
// (what and at which byte: "line 1 column 5: …"), TOOBIG (deeper than SKI_JSON_DEPTH_MAX), NOMEM.
skald_err ski_json_door_check(skald_str text, bool padded, skald_error *reterr_error);

typedef enum ski_json_kind {
    SKI_JSON_NULL,
    SKI_JSON_FALSE,
    SKI_JSON_TRUE,
    SKI_JSON_NUMBER,
    SKI_JSON_STRING,
    SKI_JSON_ARRAY,
    SKI_JSON_OBJECT
} ski_json_kind;

// ski_json_kind_of: text is one valid value, perhaps with white space around it.
ski_json_kind ski_json_kind_of(skald_str text);

// ski_json_walk goes over the members of a valid object or the items of a valid array. Zero it, set
// rest to the whole value's text; ski_json_next gives one after the other. What it gives borrows
// from the text.
typedef struct ski_json_walk {
    skald_str rest;
    bool begun, array;
} ski_json_walk;
typedef struct ski_json_item {
    skald_str key;    // of a member, without quotes, escapes not undone
    bool key_escaped; // there are some
    bool text_plain;  // value is a string between two quotes, without escapes
    skald_str value;  // the value's exact text
    ski_json_kind kind;
} ski_json_item;
bool ski_json_next(ski_json_walk *walk, ski_json_item *ret_item);

// ski_json_unescape gives the text of a valid string value (or of a key, quotes or not): borrowed
// from it where nothing is escaped, else made in arena. A lone surrogate becomes U+FFFD. Fails:
// NOMEM.
skald_err ski_json_unescape(skald_str string, skald_arena *arena, skald_str *ret_text) SKALD_CHECK;
// ski_json_u64 and ski_json_i64 read a valid number; a fraction, an exponent or a number out of
// range is INVALID.
skald_err ski_json_u64(skald_str number, uint64_t *ret_number) SKALD_CHECK;
skald_err ski_json_i64(skald_str number, int64_t *ret_number) SKALD_CHECK;

// Writing: a string with its quotes and escapes; "not given" is null. Bytes that are not UTF-8
// become U+FFFD.
skald_err ski_json_put_string(skald_buf *buf, skald_str text) SKALD_CHECK;

// ski_json_minify appends a valid text without the white space between its tokens.
skald_err ski_json_minify(skald_buf *buf, skald_str text) SKALD_CHECK;

#ifdef __cplusplus
}
#endif
#endif
