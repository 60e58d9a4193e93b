// SPDX-License-Identifier: Apache-2.0
// References resolved against where they stand. Nothing is normalised but dot segments: two URIs
// are the same when their texts are.
#include "event/schema/uri.h"
#include "base/hex.h"

#include <string.h>

typedef struct uri_parts {
    skald_str scheme, authority, path, query, fragment; // scheme without ':', the others without
} uri_parts;                                            // their marks; "not given" where absent

static skald_str cut(const char *from, const char *to)
{
    return (skald_str){from, (size_t)(to - from)};
}

// find gives the first byte of marks in [at, end), or end.
static const char *find(const char *at, const char *end, const char *marks)
{
    while (at < end && (!*at || !strchr(marks, *at))) at++;
    return at;
}

static uri_parts split(skald_str text)
{
    const char *at = text.ptr, *end = text.ptr + text.len;
    uri_parts parts = {0};
    const char *mark = find(at, end, "#");

    if (mark < end) {
        parts.fragment = cut(mark + 1, end);
        end = mark;
    }
    mark = find(at, end, ":/?");
    if (mark < end && *mark == ':' && mark > at) {
        parts.scheme = cut(at, mark);
        at = mark + 1;
    }
    if (end - at >= 2 && at[0] == '/' && at[1] == '/') {
        mark = find(at + 2, end, "/?");
        parts.authority = cut(at + 2, mark);
        at = mark;
    }
    mark = find(at, end, "?");
    parts.path = cut(at, mark);
    if (mark < end) parts.query = cut(mark + 1, end);
    return parts;
}

static char *append(char *to, const char *mark, skald_str text)
{
    size_t len = strlen(mark);

    memcpy(to, mark, len);
    if (text.len) memcpy(to + len, text.ptr, text.len);
    return to + len + text.len;
}

// drop_last goes back before the last segment of [from, to).
static char *drop_last(char *from, char *to)
{
    while (to > from && to[-1] != '/') to--;
    return to > from ? to - 1 : to;
}

// without_dots takes "." and ".." out of the path in place and gives its end.
static char *without_dots(char *from, char *end)
{
    const char *at = from;
    char *to = from;

    while (at < end) {
        const char *segment_end = at;
        size_t len;

        if (*segment_end == '/') segment_end++;
        while (segment_end < end && *segment_end != '/') segment_end++;
        len = (size_t)(segment_end - at);
        if (len == 2 && !memcmp(at, "/.", 2)) {
            if (segment_end == end) *to++ = '/';
        } else if (len == 3 && !memcmp(at, "/..", 3)) {
            to = drop_last(from, to);
            if (segment_end == end) *to++ = '/';
        } else {
            memmove(to, at, len);
            to += len;
        }
        at = segment_end;
    }
    return to;
}

// merged puts the path of a reference behind the last '/' of the base's.
static char *put_merged(char *to, const uri_parts *base, skald_str path)
{
    size_t kept = base->path.len;

    while (kept && base->path.ptr[kept - 1] != '/') kept--;
    if (!kept && base->authority.ptr) return append(to, "/", path);
    to = append(to, "", (skald_str){base->path.ptr, kept});
    return append(to, "", path);
}

skald_err ski_uri_resolve(skald_str base, skald_str reference, skald_arena *arena,
                          skald_str *ret_uri, skald_str *ret_fragment)
{
    uri_parts from = split(base.ptr ? base : SKALD_STR("")), given = split(reference);
    char *text = skald_arena_get(arena, base.len + reference.len + 8), *to = text, *path;
    skald_str scheme = given.scheme.ptr ? given.scheme : from.scheme;
    skald_str authority = given.authority, query = given.query;
    bool inherits = !given.scheme.ptr && !given.authority.ptr;

    if (!text) return SKALD_ENOMEM;
    if (inherits) authority = from.authority;
    if (inherits && !given.path.len && !given.query.ptr) query = from.query;
    if (scheme.ptr) to = append(append(to, "", scheme), ":", (skald_str){0});
    if (authority.ptr) to = append(to, "//", authority);
    path = to;
    if (inherits && !given.path.len)
        to = append(to, "", from.path);
    else if (inherits && given.path.ptr[0] != '/')
        to = put_merged(to, &from, given.path);
    else
        to = append(to, "", given.path);
    if (given.path.len) to = without_dots(path, to);
    if (query.ptr) to = append(to, "?", query);
    *ret_uri = cut(text, to);
    *ret_fragment = given.fragment;
    return SKALD_OK;
}

skald_err ski_uri_decode(skald_str text, skald_arena *arena, skald_str *ret_text)
{
    char *copy = skald_arena_get(arena, text.len), *to = copy;

    if (!copy) return SKALD_ENOMEM;
    for (size_t i = 0; i < text.len; i++) {
        int high = text.ptr[i] == '%' && text.len - i > 2 ? ski_hex_digit(text.ptr[i + 1]) : -1;
        int low = high >= 0 ? ski_hex_digit(text.ptr[i + 2]) : -1;

        *to++ = low >= 0 ? (char)(high << 4 | low) : text.ptr[i];
        if (low >= 0) i += 2;
    }
    *ret_text = cut(copy, to);
    return SKALD_OK;
}
