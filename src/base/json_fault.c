// SPDX-License-Identifier: Apache-2.0
// Finding the first fault of a JSON text. The fast parser at the door says that a text is not valid
// but not where; people need to know where. So this reads refused texts once more, byte by byte.
//
// Invariants:
//   1. It is never asked about a text that was accepted: it may be slow, but it allocates nothing
//      and its recursion ends at SKI_JSON_DEPTH_MAX.
//   2. at never passes end; what is set once, when the first fault is met, and ends the reading.
#include "base/json_fault.h"

#include <string.h>

typedef struct fault_scan {
    const char *begin, *at, *end;
    uint32_t depth;
    const char *what; // for people; NULL: no fault yet
    skald_err err;
    bool any_size; // numbers may have any
} fault_scan;

// scan_fails notes the fault at the present place. Returns false, for its callers to pass on.
static bool scan_fails(fault_scan *scan, const char *what)
{
    scan->what = what;
    scan->err = SKALD_EINVALID;
    return false;
}

static bool scan_sees(const fault_scan *scan, char byte)
{
    return scan->at < scan->end && *scan->at == byte;
}

static void scan_space(fault_scan *scan)
{
    while (scan->at < scan->end && *scan->at && strchr(" \t\r\n", *scan->at)) scan->at++;
}

// scan_utf8 passes one character of two to four bytes.
static bool scan_utf8(fault_scan *scan)
{
    const unsigned char *at = (const unsigned char *)scan->at;
    size_t left = (size_t)(scan->end - scan->at), len;
    uint32_t code;

    if (at[0] >= 0xc2 && at[0] <= 0xdf) {
        len = 2, code = at[0] & 0x1fU;
    } else if ((at[0] & 0xf0) == 0xe0) {
        len = 3, code = at[0] & 0x0fU;
    } else if (at[0] >= 0xf0 && at[0] <= 0xf4) {
        len = 4, code = at[0] & 0x07U;
    } else {
        return scan_fails(scan, "bytes that are not UTF-8");
    }
    if (len > left) return scan_fails(scan, "bytes that are not UTF-8");
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80) return scan_fails(scan, "bytes that are not UTF-8");
        code = code << 6 | (at[i] & 0x3fU);
    }
    if ((len == 3 && (code < 0x800 || (code >= 0xd800 && code <= 0xdfff))) ||
        (len == 4 && (code < 0x10000 || code > 0x10ffff))) {
        return scan_fails(scan, "bytes that are not UTF-8");
    }
    scan->at += len;
    return true;
}

// scan_hex4 reads the four digits behind "\u" at at; at is not moved.
static bool scan_hex4(const fault_scan *scan, const char *at, uint32_t *ret_code)
{
    uint32_t code = 0;

    if (scan->end - at < 6 || at[0] != '\\' || at[1] != 'u') return false;
    for (int i = 2; i < 6; i++) {
        char digit = at[i];
        if (digit >= '0' && digit <= '9') {
            code = code << 4 | (uint32_t)(digit - '0');
        } else if ((digit >= 'a' && digit <= 'f') || (digit >= 'A' && digit <= 'F')) {
            code = code << 4 | ((uint32_t)(digit & 0x1f) + 9);
        } else {
            return false;
        }
    }
    *ret_code = code;
    return true;
}

static bool scan_escape(fault_scan *scan)
{
    uint32_t high, low;

    if (scan->end - scan->at < 2) return scan_fails(scan, "a string is not closed");
    if (scan->at[1] && strchr("\"\\/bfnrt", scan->at[1])) {
        scan->at += 2;
        return true;
    }
    if (scan->at[1] != 'u') return scan_fails(scan, "there is no such escape in a JSON string");
    if (!scan_hex4(scan, scan->at, &high)) {
        return scan_fails(scan, "four hexadecimal digits are due behind \\u");
    }
    if (high < 0xd800 || high > 0xdfff) {
        scan->at += 6;
        return true;
    }
    if (high > 0xdbff || !scan_hex4(scan, scan->at + 6, &low) || low < 0xdc00 || low > 0xdfff) {
        return scan_fails(scan, "half of a surrogate pair");
    }
    scan->at += 12;
    return true;
}

static bool scan_string(fault_scan *scan)
{
    const char *open = scan->at++;

    while (scan->at < scan->end) {
        unsigned char byte = (unsigned char)*scan->at;
        if (byte == '"') {
            scan->at++;
            return true;
        }
        if (byte == '\\') {
            if (!scan_escape(scan)) return false;
        } else if (byte < 0x20) {
            return scan_fails(scan, "a control character in a string must be written as an escape");
        } else if (byte < 0x80) {
            scan->at++;
        } else if (!scan_utf8(scan)) {
            return false;
        }
    }
    scan->at = open;
    return scan_fails(scan, "a string is not closed");
}

static size_t scan_digits(fault_scan *scan)
{
    const char *from = scan->at;

    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9') scan->at++;
    return (size_t)(scan->at - from);
}

static bool scan_number(fault_scan *scan)
{
    const char *from = scan->at;
    bool whole = true, leading_zero;
    uint64_t positive;
    int64_t number;
    skald_str text;

    if (scan_sees(scan, '-')) scan->at++;
    leading_zero = scan_sees(scan, '0');
    size_t digits = scan_digits(scan);
    if (!digits) return scan_fails(scan, "a digit is due here");
    if (leading_zero && digits > 1) return scan_fails(scan, "a number may not begin with 0");
    if (scan_sees(scan, '.')) {
        whole = false;
        scan->at++;
        if (!scan_digits(scan)) return scan_fails(scan, "a digit is due here");
    }
    if (scan_sees(scan, 'e') || scan_sees(scan, 'E')) {
        whole = false;
        scan->at++;
        if (scan_sees(scan, '+') || scan_sees(scan, '-')) scan->at++;
        if (!scan_digits(scan)) return scan_fails(scan, "a digit is due here");
    }
    text = (skald_str){from, (size_t)(scan->at - from)};
    if (whole && !scan->any_size && ski_json_i64(text, &number) && ski_json_u64(text, &positive)) {
        scan->at = from;
        return scan_fails(scan, "an integer beyond 64 bits; write it as a string");
    }
    return true;
}

static bool scan_word(fault_scan *scan, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0) {
        return scan_fails(scan, "a value is due here");
    }
    scan->at += len;
    return true;
}

static bool scan_value(fault_scan *scan);

static bool scan_member(fault_scan *scan)
{
    if (!scan_sees(scan, '"')) return scan_fails(scan, "a member's name in quotes is due here");
    if (!scan_string(scan)) return false;
    scan_space(scan);
    if (!scan_sees(scan, ':')) return scan_fails(scan, "':' is due here");
    scan->at++;
    return scan_value(scan);
}

// scan_inside reads an object or array, at stands on its bracket.
static bool scan_inside(fault_scan *scan, bool object)
{
    char close = object ? '}' : ']';

    if (scan->depth == SKI_JSON_DEPTH_MAX) {
        (void)scan_fails(scan, "it is nested too deep (128 levels at most)");
        scan->err = SKALD_ETOOBIG;
        return false;
    }
    scan->depth++;
    scan->at++;
    scan_space(scan);
    if (!scan_sees(scan, close)) {
        for (;;) {
            scan_space(scan);
            if (!(object ? scan_member(scan) : scan_value(scan))) return false;
            scan_space(scan);
            if (!scan_sees(scan, ',')) break;
            scan->at++;
        }
    }
    if (!scan_sees(scan, close)) {
        return scan_fails(scan, object ? "',' or '}' is due here" : "',' or ']' is due here");
    }
    scan->at++;
    scan->depth--;
    return true;
}

static bool scan_value(fault_scan *scan)
{
    scan_space(scan);
    if (scan->at == scan->end) return scan_fails(scan, "it ends where a value is due");
    switch (*scan->at) {
    case '{': return scan_inside(scan, true);
    case '[': return scan_inside(scan, false);
    case '"': return scan_string(scan);
    case 't': return scan_word(scan, "true");
    case 'f': return scan_word(scan, "false");
    case 'n': return scan_word(scan, "null");
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9': return scan_number(scan);
    default: return scan_fails(scan, "a value is due here");
    }
}

static skald_err scan_text(skald_str text, bool any_size, skald_error *reterr_error)
{
    fault_scan scan = {
        .begin = text.ptr, .at = text.ptr, .end = text.ptr + text.len, .any_size = any_size};
    size_t line = 1, column = 1;

    if (text.len >= 3 && memcmp(text.ptr, "\xef\xbb\xbf", 3) == 0) {
        (void)scan_fails(&scan, "it begins with a byte order mark; leave that out");
    } else if (scan_value(&scan)) {
        scan_space(&scan);
        if (scan.at < scan.end) (void)scan_fails(&scan, "something follows the value");
    }
    if (!scan.what) return SKALD_OK;
    for (const char *at = scan.begin; at < scan.at; at++) {
        if (*at == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)*at & 0xc0) != 0x80) {
            column++; // counts characters, as editors do
        }
    }
    return skald_fail(reterr_error, scan.err, "line %zu column %zu: %s", line, column, scan.what);
}

skald_err ski_json_fault(skald_str text, skald_error *reterr_error)
{
    return scan_text(text, false, reterr_error);
}

skald_err ski_json_form(skald_str text, skald_error *reterr_error)
{
    return scan_text(text, true, reterr_error);
}
