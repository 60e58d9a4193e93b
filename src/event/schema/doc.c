// SPDX-License-Identifier: Apache-2.0
// A JSON text as a flat array of values.
//
// Invariants:
//   1. The text has passed the door, ski_json_plain or the slow reader, so its form is trusted;
//      bounds are not.
//   2. Depth is at most SKI_JSON_DEPTH_MAX, which bounds every recursion over a document.
//   3. Text with escapes lives in doc->texts, everything else in the caller's text.
#include "event/schema/doc.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json_fault.h"
#include "event/schema/decimal.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { values_first = 256 };

static inline uint64_t load8(const char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
    return word;
}

static inline uint32_t load4(const char *at)
{
    uint32_t word;

    memcpy(&word, at, sizeof word);
    return word;
}

static inline uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint32_t ski_doc_name_hash(const char *key, size_t len)
{
    uint64_t hash = 0x9e3779b97f4a7c15u ^ len, word = 0;
    size_t at = 0;

    for (; len - at > 8; at += 8) hash = mix(hash ^ load8(key + at), 0xa0761d6478bd642fu);
    if (len >= 8)
        word = load8(key + len - 8);
    else if (len >= 4)
        word = (uint64_t)load4(key) << 32 | load4(key + len - 4);
    else
        for (; at < len; at++) word = word << 8 | (unsigned char)key[at];
    hash = mix(hash ^ word, 0xe7037ed1a0b428dbu);
    return (uint32_t)(hash ^ hash >> 32);
}

// What reads is one function in the end: then the reader's place is in registers.
#define READER __attribute__((always_inline))

// reader goes over the text. open holds the arrays and objects that are not closed yet.
typedef struct reader {
    ski_doc *doc;
    const char *at, *end;
    uint32_t *open; // SKI_JSON_DEPTH_MAX + 1 of them
    uint32_t depth;
    const char *key; // of the next value
    uint32_t key_len, key_hash;
} reader;

static inline void pass_space(reader *in)
{
    while (in->at < in->end && (unsigned char)*in->at <= ' ') in->at++;
}

// find_quote gives the next '"' or '\\', or end.
static inline const char *find_quote(const char *at, const char *end)
{
#ifdef __SSE2__
    const __m128i quotes = _mm_set1_epi8('"'), escapes = _mm_set1_epi8('\\');

    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i hits = _mm_or_si128(_mm_cmpeq_epi8(bytes, quotes), _mm_cmpeq_epi8(bytes, escapes));
        int mask = _mm_movemask_epi8(hits);
        if (mask) return at + __builtin_ctz((unsigned)mask);
    }
#endif
    while (at < end && *at != '"' && *at != '\\') at++;
    return at;
}

// read_string passes the string at at and gives its text.
READER static inline skald_err read_string(reader *in, const char **ret_ptr, uint32_t *ret_len)
{
    const char *begin = in->at + 1, *at = find_quote(begin, in->end);
    skald_str text = {begin, (size_t)(at - begin)};

    if (at < in->end && *at == '\\') {
        while (at < in->end && *at == '\\')
            at = in->end - at < 2 ? in->end : find_quote(at + 2, in->end);
        text.len = (size_t)(at - begin);
        if (!in->doc->texts) SKALD_TRY(skald_arena_new(SKI_DOC_BYTES_MAX * 2, &in->doc->texts));
        SKALD_TRY(ski_json_unescape(text, in->doc->texts, &text));
    }
    in->at = at < in->end ? at + 1 : at;
    *ret_ptr = text.ptr;
    *ret_len = (uint32_t)text.len;
    return SKALD_OK;
}

READER static inline void read_number(reader *in, ski_value *value)
{
    const char *at = in->at;
    bool negative = at < in->end && *at == '-';
    int64_t number = 0;
    int digits = 0;

    if (negative) at++;
    for (; at < in->end && *at >= '0' && *at <= '9'; at++, digits++)
        if (digits < 18) number = number * 10 + (*at - '0');
    value->small = digits <= 18;
    for (; at < in->end && (*at == '.' || *at == 'e' || *at == 'E' || *at == '+' || *at == '-' ||
                            (*at >= '0' && *at <= '9'));
         at++)
        value->small = false;
    value->number = value->small ? (negative ? -number : number) : 0;
    value->ptr = in->at;
    value->len = (uint32_t)(at - in->at);
    if (at == in->at) at++; // never: the text is valid
    in->at = at;
}

static skald_err values_grow(ski_doc *doc)
{
    uint32_t size = doc->size ? doc->size * 2 : values_first;
    ski_value *values;

    if (doc->size == SKI_DOC_VALUES_MAX) return SKALD_ETOOBIG;
    values = ski_realloc(doc->values, size * sizeof *values);
    if (!values) return SKALD_ENOMEM;
    doc->values = values;
    doc->size = size;
    return SKALD_OK;
}

READER static inline skald_err read_value(reader *in)
{
    ski_doc *doc = in->doc;
    ski_value *value;
    uint32_t index = doc->count;
    char first = *in->at;

    if (index == doc->size) SKALD_TRY(values_grow(doc));
    value = &doc->values[index];
    *value = (ski_value){.key = in->key,
                         .key_len = in->key_len,
                         .key_hash = in->key_hash,
                         .kind = SKI_JSON_NUMBER,
                         .next = index + 1};
    doc->count++;
    if (in->depth) doc->values[in->open[in->depth - 1]].count++;
    if (first == '"') {
        value->kind = SKI_JSON_STRING;
        return read_string(in, &value->ptr, &value->len);
    }
    if (first == '{' || first == '[') {
        if (in->depth > SKI_JSON_DEPTH_MAX) return SKALD_ETOOBIG;
        value->kind = first == '{' ? SKI_JSON_OBJECT : SKI_JSON_ARRAY;
        in->open[in->depth++] = index;
        in->at++;
        return SKALD_OK;
    }
    if (first != 't' && first != 'f' && first != 'n') {
        read_number(in, value);
        return SKALD_OK;
    }
    value->kind = first == 't' ? SKI_JSON_TRUE : first == 'f' ? SKI_JSON_FALSE : SKI_JSON_NULL;
    in->at += first == 'f' ? 5 : 4;
    if (in->at > in->end) in->at = in->end;
    return SKALD_OK;
}

READER static inline skald_err read_key(reader *in)
{
    SKALD_TRY(read_string(in, &in->key, &in->key_len));
    in->key_hash = ski_doc_name_hash(in->key, in->key_len);
    pass_space(in);
    if (in->at < in->end) in->at++; // ':'
    pass_space(in);
    return SKALD_OK;
}

READER static inline skald_err read_all(reader *in)
{
    ski_doc *doc = in->doc;

    pass_space(in);
    if (in->at == in->end) return SKALD_EINVALID;
    SKALD_TRY(read_value(in));
    while (in->depth) {
        ski_value *open = &doc->values[in->open[in->depth - 1]];

        pass_space(in);
        if (in->at < in->end && *in->at == ',') {
            in->at++;
            pass_space(in);
        }
        if (in->at == in->end) return SKALD_EINVALID;
        if (*in->at == '}' || *in->at == ']') {
            in->at++;
            in->depth--;
            open->next = doc->count;
            continue;
        }
        in->key = NULL;
        in->key_len = in->key_hash = 0;
        if (open->kind == SKI_JSON_OBJECT) SKALD_TRY(read_key(in));
        if (in->at == in->end) return SKALD_EINVALID;
        SKALD_TRY(read_value(in));
    }
    return doc->count == doc->size ? values_grow(doc) : SKALD_OK;
}

skald_err ski_doc_parse(ski_doc *doc, skald_str text, bool checked, skald_error *reterr_error)
{
    const char *begin = text.ptr ? text.ptr : "";
    uint32_t open[SKI_JSON_DEPTH_MAX + 1];
    reader in = {.doc = doc, .at = begin, .end = begin + text.len, .open = open};
    skald_err err = SKALD_OK;

    doc->count = 0;
    if (doc->texts) skald_arena_reset(doc->texts);
    if (text.len > SKI_DOC_BYTES_MAX)
        return skald_fail(reterr_error, SKALD_ETOOBIG, "a document of %zu bytes; at most %d",
                          text.len, (int)SKI_DOC_BYTES_MAX);
    // The door refuses numbers that no double holds; here they are compared as they are written.
    if (!checked) err = ski_json_door_check(text, false, reterr_error);
    if (err == SKALD_EINVALID && text.len) {
        err = ski_json_form(text, reterr_error);
        if (!err && reterr_error) *reterr_error = (skald_error){0};
    }
    if (err) return err;
    err = read_all(&in);
    if (err == SKALD_ETOOBIG)
        return skald_fail(reterr_error, err, "a document of more than %d values or %d levels",
                          (int)SKI_DOC_VALUES_MAX, (int)SKI_JSON_DEPTH_MAX);
    if (err) return skald_fail(reterr_error, err, "%s", skald_err_text(err));
    return SKALD_OK;
}

skald_err ski_doc_copy(ski_doc *doc, const ski_doc *from, uint32_t index)
{
    uint32_t count = from->values[index].next - index;

    while (doc->size <= count) SKALD_TRY(values_grow(doc));
    memcpy(doc->values, from->values + index, count * sizeof *doc->values);
    for (uint32_t i = 0; i < count; i++) doc->values[i].next -= index;
    doc->count = count;
    return SKALD_OK;
}

void ski_doc_reset(ski_doc *doc)
{
    if (doc->size > SKI_DOC_VALUES_KEPT) ski_doc_fini(doc);
    doc->count = 0;
    if (doc->texts) skald_arena_reset(doc->texts);
}

void ski_doc_fini(ski_doc *doc)
{
    ski_free(doc->values);
    skald_arena_free(doc->texts);
    *doc = (ski_doc){0};
}

uint32_t ski_doc_find(const ski_doc *doc, uint32_t index, skald_str name)
{
    const ski_value *object = &doc->values[index];
    uint32_t found = 0;

    if (object->kind != SKI_JSON_OBJECT) return 0;
    for (uint32_t at = index + 1; at < object->next; at = doc->values[at].next)
        if (skald_str_equal(ski_value_key(&doc->values[at]), name)) found = at;
    return found;
}

static bool spend(uint64_t *steps, uint64_t cost)
{
    bool enough = *steps >= cost;

    *steps = enough ? *steps - cost : 0;
    return enough;
}

// text_cost is what going over a text costs besides its value: strangers write long ones.
static uint64_t text_cost(const ski_value *value)
{
    return value->small ? 0 : value->len / 16;
}

static bool numbers_equal(const ski_value *a, const ski_value *b, uint64_t *steps)
{
    ski_decimal one, two;

    if (a->small && b->small) return a->number == b->number;
    if (!spend(steps, text_cost(a) + text_cost(b))) return false;
    one = ski_decimal_of(ski_value_text(a));
    two = ski_decimal_of(ski_value_text(b));
    return ski_decimal_compare(&one, &two) == 0;
}

static bool objects_equal(const ski_doc *a, uint32_t index_a, const ski_doc *b, uint32_t index_b,
                          uint64_t *steps)
{
    const ski_value *object_a = &a->values[index_a], *object_b = &b->values[index_b];
    uint32_t sum_a = 0, sum_b = 0;

    // The sums of the hashes differ when a name stands twice on one side only.
    for (uint32_t at = index_a + 1; at < object_a->next; at = a->values[at].next)
        sum_a += a->values[at].key_hash;
    for (uint32_t at = index_b + 1; at < object_b->next; at = b->values[at].next)
        sum_b += b->values[at].key_hash;
    if (sum_a != sum_b) return false;
    for (uint32_t at = index_a + 1; at < object_a->next; at = a->values[at].next) {
        uint32_t other = ski_doc_find(b, index_b, ski_value_key(&a->values[at]));

        *steps -= *steps > object_b->count ? object_b->count : *steps;
        if (!other || !ski_doc_equal(a, at, b, other, steps)) return false;
    }
    return true;
}

bool ski_doc_equal(const ski_doc *a, uint32_t index_a, const ski_doc *b, uint32_t index_b,
                   uint64_t *steps)
{
    const ski_value *value_a = &a->values[index_a], *value_b = &b->values[index_b];
    uint32_t at_a = index_a + 1, at_b = index_b + 1;

    if (value_a->kind != value_b->kind || value_a->count != value_b->count) return false;
    if (!spend(steps, 1)) return false;
    switch (value_a->kind) {
    case SKI_JSON_NUMBER: return numbers_equal(value_a, value_b, steps);
    case SKI_JSON_STRING:
        return value_a->len == value_b->len && spend(steps, text_cost(value_a)) &&
               skald_str_equal(ski_value_text(value_a), ski_value_text(value_b));
    case SKI_JSON_ARRAY:
        for (; at_a < value_a->next; at_a = a->values[at_a].next, at_b = b->values[at_b].next)
            if (!ski_doc_equal(a, at_a, b, at_b, steps)) return false;
        return true;
    case SKI_JSON_OBJECT: return objects_equal(a, index_a, b, index_b, steps);
    default: return true;
    }
}

uint64_t ski_doc_hash(const ski_doc *doc, uint32_t index, uint64_t *steps)
{
    const ski_value *value = &doc->values[index];
    uint64_t hash = (value->kind + 1u) * 0x9e3779b97f4a7c15u, sum = 0;

    if (!spend(steps, 1 + text_cost(value))) return 0;
    switch (value->kind) {
    case SKI_JSON_NUMBER: return hash ^ ski_decimal_hash(ski_value_text(value));
    case SKI_JSON_STRING: return mix(hash, ski_doc_name_hash(value->ptr, value->len) | 1u);
    case SKI_JSON_ARRAY:
        for (uint32_t at = index + 1; at < value->next; at = doc->values[at].next)
            hash = mix(hash ^ ski_doc_hash(doc, at, steps), 0xa0761d6478bd642fu);
        return hash;
    case SKI_JSON_OBJECT:
        for (uint32_t at = index + 1; at < value->next; at = doc->values[at].next)
            sum += mix(doc->values[at].key_hash ^ 0xe7037ed1a0b428dbu,
                       ski_doc_hash(doc, at, steps) | 1u);
        return hash ^ sum;
    default: return hash;
    }
}

static skald_err put_pointer(skald_buf *buf, skald_str name)
{
    SKALD_TRY(ski_buf_byte(buf, '/'));
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '~')
            SKALD_TRY(skald_buf_put(buf, SKALD_STR("~0")));
        else if (name.ptr[i] == '/')
            SKALD_TRY(skald_buf_put(buf, SKALD_STR("~1")));
        else
            SKALD_TRY(ski_buf_byte(buf, name.ptr[i]));
    }
    return SKALD_OK;
}

skald_err ski_doc_path(const ski_doc *doc, uint32_t index, skald_buf *buf)
{
    uint32_t at = 0;

    while (at != index) { // from the whole down: the child whose range holds index is on the way
        uint32_t child = at + 1, place = 0;
        bool array = doc->values[at].kind == SKI_JSON_ARRAY;

        for (; doc->values[child].next <= index; place++) child = doc->values[child].next;
        if (array)
            SKALD_TRY(ski_buf_print(buf, "/%u", place));
        else
            SKALD_TRY(put_pointer(buf, ski_value_key(&doc->values[child])));
        at = child;
    }
    return SKALD_OK;
}
