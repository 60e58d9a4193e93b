// SPDX-License-Identifier: Apache-2.0
// The handle in use: who is inside, ids and time, the rule of a stream. What all files of the waist
// ask, and what asks none of them.
#include "store/handle.h"

#include "base/str.h"

skald_err ski_store_enter(skald_store *store)
{
    return ski_gate_enter(&store->calls) ? SKALD_OK : SKALD_ECLOSED;
}

void ski_store_leave(skald_store *store)
{
    ski_gate_leave(&store->calls);
}

bool ski_rule_get(skald_store *store, skald_str tenant, skald_str stream, ski_rule *ret_rule)
{
    const ski_rules_entry *entry;

    if (ski_str_begins(stream, SKALD_STR(SKI_SNAPSHOT_PREFIX))) {
        *ret_rule = (ski_rule){.max_count = 1};
        return true;
    }
    if (!atomic_load(&store->rules_count)) return false;
    ski_mutex_lock(&store->rules_mutex);
    entry = ski_rules_find(&store->rules, tenant, stream);
    if (entry) *ret_rule = entry->rule;
    ski_mutex_unlock(&store->rules_mutex);
    return entry != NULL;
}

skald_uuid ski_store_uuid_new(skald_store *store)
{
    skald_time now = ski_store_now(store);
    skald_uuid id;

    ski_mutex_lock(&store->mutex);
    id = ski_uuid_v7(&store->ids, now);
    ski_mutex_unlock(&store->mutex);
    return id;
}

bool ski_store_ids_give(skald_store *store, skald_event *events, size_t count, skald_time now)
{
    size_t i = 0, made = 0;

    while (i < count && ski_uuid_is_given(events[i].id)) i++;
    if (i == count) return false;
    ski_mutex_lock(&store->mutex);
    for (; i < count; i++) {
        if (ski_uuid_is_given(events[i].id)) continue;
        events[i].id = ski_uuid_v7(&store->ids, now);
        made++;
    }
    ski_mutex_unlock(&store->mutex);
    return made == count;
}

skald_time ski_store_now(skald_store *store)
{
    return store->clock.now(store->clock.context);
}

const ski_kernel *ski_store_kernel(const skald_store *store)
{
    return store->kernel;
}

const skald_log *ski_store_log_hook(const skald_store *store)
{
    return &store->log;
}

uint32_t ski_store_event_bytes_max(const skald_store *store)
{
    return store->options.event_bytes_max;
}

bool ski_store_step(skald_store *store)
{
    return store->driver->step && store->driver->step(store->instance);
}
