// SPDX-License-Identifier: Apache-2.0
// store/rules.h - the table of stream metadata: under each (tenant, stream) what is kept of it, in
// memory, and its form as a named value. One thread at a time.
#ifndef SKI_STORE_RULES_H
#define SKI_STORE_RULES_H

#include "base/map.h"
#include <skald/store_driver.h>

// A rule is a stream's metadata as it is stored. The least visible version is that of
// truncate_before or deleted_before, whichever is more.
typedef struct ski_rule {
    uint64_t max_count, truncate_before;
    skald_time max_age;
    uint64_t deleted_before; // it was deleted when its last version was one less; 0: it was not
    bool tombstoned;
} ski_rule;

typedef struct ski_rules_entry {
    skald_str tenant, stream; // its own, in one block that begins at tenant.ptr
    uint64_t hash;
    ski_rule rule;
} ski_rules_entry;

typedef struct ski_rules {
    uint64_t seed;
    ski_map map;
    ski_rules_entry *entries;
    uint32_t count, size;
} ski_rules;

enum {
    SKI_RULE_NAME_BYTES = 8 + SKALD_UUID_TEXT, // of the named value
    SKI_RULE_VALUE_BYTES_MAX = 40 + SKALD_TENANT_BYTES_MAX + SKALD_STREAM_BYTES_MAX,
};

// Names that begin with '$' are the store's own.
#define SKI_RULE_PREFIX "$stream/" // of the named values that rules are
#define SKI_SNAPSHOT_TYPE "$snapshot"
#define SKI_SNAPSHOT_PREFIX "$snapshot-" // of streams, each of which keeps one event
static inline bool ski_reserved(skald_str name)
{
    return name.len && name.ptr[0] == '$';
}

void ski_rules_fini(ski_rules *rules);
// ski_rules_find gives NULL where there is none; borrowed until the next put or remove.
const ski_rules_entry *ski_rules_find(const ski_rules *rules, skald_str tenant, skald_str stream);
// ski_rules_put sets the rule of a stream. Fails: NOMEM, and nothing changed; never for a stream
// that is there.
skald_err ski_rules_put(ski_rules *rules, skald_str tenant, skald_str stream, const ski_rule *rule)
    SKALD_CHECK;
void ski_rules_remove(ski_rules *rules, skald_str tenant, skald_str stream);

bool ski_rule_empty(const ski_rule *rule);
static inline uint64_t ski_rule_version_min(const ski_rule *rule)
{
    return rule->truncate_before > rule->deleted_before ? rule->truncate_before
                                                        : rule->deleted_before;
}

// ski_rule_name writes the name of the value: the stream hashed, because its own may be longer than
// a value's. Fails: NOMEM.
skald_err ski_rule_name(skald_str tenant, skald_str stream, char ret_name[SKI_RULE_NAME_BYTES + 1])
    SKALD_CHECK;
// ski_rule_write gives the value's length; ski_rule_read borrows from bytes. Fails: UNSUPPORTED (a
// later version wrote it), CORRUPT.
size_t ski_rule_write(skald_str tenant, skald_str stream, const ski_rule *rule,
                      char ret_bytes[SKI_RULE_VALUE_BYTES_MAX]);
skald_err ski_rule_read(skald_str bytes, skald_str *ret_tenant, skald_str *ret_stream,
                        ski_rule *ret_rule) SKALD_CHECK;

#endif
