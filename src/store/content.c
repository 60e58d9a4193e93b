// SPDX-License-Identifier: Apache-2.0
// Content: each text is hashed with the hash so far as its seed. So texts cannot run into each
// other: "ab" + "c" is not "a" + "bc".
#include "store/content.h"

#include "base/hash.h"
#include "base/str.h"

static uint64_t text_hash(uint64_t seed, skald_str text)
{
    return ski_hash64(seed, text.len ? text.ptr : "", text.len);
}

uint64_t ski_event_content_hash(uint64_t seed, const skald_event *event)
{
    uint32_t version = event->version ? event->version : 1;
    uint8_t version_bytes[4] = {(uint8_t)version, (uint8_t)(version >> 8), (uint8_t)(version >> 16),
                                (uint8_t)(version >> 24)};
    uint64_t hash = ski_hash64(seed, version_bytes, sizeof(version_bytes));

    hash = text_hash(hash, event->type);
    hash = text_hash(hash, event->stream);
    hash = text_hash(hash, event->data.len ? event->data : SKALD_STR("null"));
    return text_hash(hash, event->metadata);
}

bool ski_read_matches(const skald_read *read, const skald_event *event)
{
    if (event->position <= read->after) return false;
    if (read->before && event->position >= read->before) return false;
    if (read->from && event->recorded_at < read->from) return false;
    if (read->to && event->recorded_at >= read->to) return false;
    if (read->version_from && event->stream_version < read->version_from) return false;
    if (read->version_to && event->stream_version > read->version_to) return false;
    return skald_filter_matches(&read->filter, event);
}

bool ski_stream_behind(skald_str tenant, skald_str name, const skald_counted *after)
{
    int order = after ? ski_str_compare(tenant, after->tenant) : 1;

    return (order ? order : ski_str_compare(name, after->name)) > 0;
}
