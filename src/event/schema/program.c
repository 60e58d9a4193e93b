// SPDX-License-Identifier: Apache-2.0
// What is looked up in a compiled schema, while it is made and while it runs.
#include "event/schema/program.h"

#include <string.h>

const ski_member_rule *ski_member_find(const ski_object_rules *rules, skald_str name, uint32_t hash)
{
    if (!rules->members) return NULL;
    for (uint32_t slot = hash & rules->members_mask;; slot = (slot + 1) & rules->members_mask) {
        const ski_member_rule *rule = &rules->members[slot];

        if (!rule->name.ptr) return NULL;
        if (rule->hash == hash && rule->name.len == name.len &&
            !memcmp(rule->name.ptr, name.ptr, name.len))
            return rule;
    }
}
