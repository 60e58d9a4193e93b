// SPDX-License-Identifier: Apache-2.0
// The key of an event: what of it is in order among itself, and when an event is of no use any
// more.
//
// Two tenants never share a key. A key from a JSON pointer is the text of a string, or of any other
// value but null as it is written. What has no key is its own.
#include "bus/engine.h"

#include "base/hash.h"
#include "base/json.h"
#include "base/str.h"

#include <string.h>

enum { pointer_bytes_max = 255 };

skald_err ski_key_pointer_check(skald_str pointer, skald_error *reterr_error)
{
    if (pointer.len > pointer_bytes_max)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "keyPointer", "it is at most %d bytes",
                             (int)pointer_bytes_max);
    if (!pointer.len || pointer.ptr[0] != '/')
        return skald_fail_at(reterr_error, SKALD_EINVALID, "keyPointer",
                             "a JSON pointer begins with a slash: /order/id");
    for (size_t i = 0; i < pointer.len; i++)
        if (pointer.ptr[i] == '~' &&
            (i + 1 == pointer.len || (pointer.ptr[i + 1] != '0' && pointer.ptr[i + 1] != '1')))
            return skald_fail_at(reterr_error, SKALD_EINVALID, "keyPointer",
                                 "in a JSON pointer ~ is written ~0 and / within a name ~1");
    return SKALD_OK;
}

// token_is compares a pointer's token, with ~0 and ~1, to a name.
static bool token_is(skald_str token, skald_str name)
{
    size_t at = 0;

    for (size_t i = 0; i < token.len; i++, at++) {
        char c = token.ptr[i];

        if (c == '~') c = token.ptr[++i] == '1' ? '/' : '~';
        if (at == name.len || name.ptr[at] != c) return false;
    }
    return at == name.len;
}

static bool item_is(const ski_json_item *item, skald_str token, skald_arena *scratch)
{
    skald_str name = item->key;

    if (item->key_escaped && ski_json_unescape(item->key, scratch, &name)) return false;
    return token_is(token, name);
}

// step_into finds the member or item a token names. False: there is none.
static bool step_into(skald_str *value, skald_str token, skald_arena *scratch,
                      ski_json_kind *ret_kind)
{
    ski_json_kind kind = ski_json_kind_of(*value);
    ski_json_walk walk = {.rest = *value};
    ski_json_item item;
    uint64_t index = 0, wanted = 0;

    if (kind == SKI_JSON_ARRAY && ski_str_u64(token, &wanted)) return false;
    if (kind != SKI_JSON_ARRAY && kind != SKI_JSON_OBJECT) return false;
    while (ski_json_next(&walk, &item)) {
        if (kind == SKI_JSON_ARRAY ? index++ != wanted : !item_is(&item, token, scratch)) continue;
        *value = item.value;
        *ret_kind = item.kind;
        return true;
    }
    return false;
}

static skald_str pointer_text(ski_subscription *sub, const skald_event *event, bool *ret_scratch)
{
    skald_arena *scratch = sub->bus->key_scratch;
    skald_str rest = {sub->key_pointer.ptr + 1, sub->key_pointer.len - 1};
    skald_str value = event->data, text;
    ski_json_kind kind = SKI_JSON_NULL;

    skald_arena_reset(scratch);
    if (!value.len) return (skald_str){0};
    while (rest.ptr) {
        skald_str token = ski_str_cut(rest, '/', &rest);

        if (!step_into(&value, token, scratch, &kind)) return (skald_str){0};
    }
    if (kind == SKI_JSON_NULL) return (skald_str){0};
    if (kind != SKI_JSON_STRING) return value;
    if (ski_json_unescape(value, scratch, &text)) return (skald_str){0};
    *ret_scratch = text.len && (text.ptr < value.ptr || text.ptr >= value.ptr + value.len);
    return text;
}

static uint64_t text_hash(skald_str tenant, skald_str key)
{
    uint64_t hash = tenant.len ? ski_hash64(0, tenant.ptr, tenant.len) : 0;

    return ski_hash64(hash, key.ptr, key.len);
}

uint64_t ski_key_hash(const ski_subscription *sub, skald_str tenant, skald_str key)
{
    return sub->order == SKALD_IN_SEQUENCE ? 0 : text_hash(tenant, key);
}

uint64_t ski_stream_number(skald_str tenant, skald_str stream)
{
    return text_hash(tenant, stream) | UINT64_C(1) << 63;
}

ski_key ski_key_of(ski_subscription *sub, const skald_event *event)
{
    ski_key key = {.tenant = event->tenant};

    switch (sub->order) {
    case SKALD_UNORDERED: return key;
    case SKALD_IN_SEQUENCE: return (ski_key){.shared = true};
    case SKALD_BY_STREAM: key.key = event->stream; break;
    case SKALD_BY_KEY:
        key.key = sub->key ? sub->key(event) : pointer_text(sub, event, &key.scratch);
        break;
    }
    key.shared = key.key.len != 0;
    if (key.shared) key.hash = ski_key_hash(sub, key.tenant, key.key);
    return key;
}

static const char expiry_name[] = "expiresAt";

skald_time ski_expiry(const skald_event *event)
{
    ski_json_walk walk = {.rest = event->metadata};
    ski_json_item item;
    skald_time at;

    if (!event->metadata.len ||
        !memmem(event->metadata.ptr, event->metadata.len, expiry_name, sizeof(expiry_name) - 1))
        return 0;
    while (ski_json_next(&walk, &item)) {
        if (item.kind != SKI_JSON_STRING || !skald_str_equal(item.key, skald_str_of(expiry_name)))
            continue;
        skald_str text = {item.value.ptr + 1, item.value.len - 2};

        return skald_time_parse(text, &at) ? 0 : at;
    }
    return 0;
}
