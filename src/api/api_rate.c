// SPDX-License-Identifier: Apache-2.0
// Token buckets by who asks.
//
// Invariants:
//   1. The table never grows beyond SKI_RATES_MAX: then the entry that was asked for longest ago
//   makes room. Its holder begins anew with a full bucket, so a limit is passed only by being
//   SKI_RATES_MAX others in between.
//   2. An entry is named by a hash of kind and who. Its seed is random: nobody can choose to share
//   a bucket with somebody else.
#include "api/api_rate.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/str.h"

#include <skald/limit.h>
#include <string.h>

enum { none = 0xffffffff };

static const uint64_t told_again_ns = 60ull * 1000 * 1000 * 1000;

typedef struct rate_entry {
    uint64_t name; // hash of kind and who
    skald_bucket bucket;
    uint64_t told_ns;      // 0: never
    uint32_t older, newer; // in the order they were asked for
} rate_entry;

struct ski_rates {
    skald_bucket limits[SKI_LIMITS]; // what a new bucket is made of
    uint64_t seed;
    ski_map map; // by name
    rate_entry *entries;
    uint32_t count, size;
    uint32_t oldest, newest;
};

const char *ski_rate_name(ski_rate_kind kind)
{
    static const char *const names[SKI_LIMITS] = {
        [SKI_LIMIT_IP] = "ip",     [SKI_LIMIT_KEY] = "key",       [SKI_LIMIT_PUBLISH] = "publish",
        [SKI_LIMIT_READ] = "read", [SKI_LIMIT_FAILED] = "failed",
    };

    return names[kind];
}

skald_err ski_rates_new(const ski_rate_options *options, uint64_t seed, ski_rates **ret_rates)
{
    ski_rates *rates = ski_alloc_zeroed(1, sizeof *rates);

    if (!rates) return SKALD_ENOMEM;
    rates->limits[SKI_LIMIT_IP] = (skald_bucket){options->per_ip, options->burst, 0, 0};
    rates->limits[SKI_LIMIT_KEY] = (skald_bucket){options->per_key, options->burst, 0, 0};
    rates->limits[SKI_LIMIT_PUBLISH] = (skald_bucket){options->publish, options->burst, 0, 0};
    rates->limits[SKI_LIMIT_READ] = (skald_bucket){options->read, options->burst, 0, 0};
    rates->limits[SKI_LIMIT_FAILED] =
        (skald_bucket){SKI_RATE_FAILED_PER_MIN, SKI_RATE_FAILED_BURST, 0, 0};
    rates->seed = seed;
    rates->oldest = rates->newest = none;
    *ret_rates = rates;
    return SKALD_OK;
}

void ski_rates_free(ski_rates *rates)
{
    if (!rates) return;
    ski_map_fini(&rates->map);
    ski_free(rates->entries);
    ski_free(rates);
}

bool ski_rates_limited(const ski_rates *rates, ski_rate_kind kind)
{
    return rates->limits[kind].rate_per_min != 0;
}

static uint64_t name_of(void *context, uint32_t slot)
{
    const ski_rates *rates = context;

    return rates->entries[slot].name;
}

static void unlink_entry(ski_rates *rates, uint32_t slot)
{
    rate_entry *entry = &rates->entries[slot];

    if (entry->older != none) rates->entries[entry->older].newer = entry->newer;
    if (entry->newer != none) rates->entries[entry->newer].older = entry->older;
    if (rates->oldest == slot) rates->oldest = entry->newer;
    if (rates->newest == slot) rates->newest = entry->older;
}

static void link_newest(ski_rates *rates, uint32_t slot)
{
    rate_entry *entry = &rates->entries[slot];

    entry->older = rates->newest;
    entry->newer = none;
    if (rates->newest != none) rates->entries[rates->newest].newer = slot;
    rates->newest = slot;
    if (rates->oldest == none) rates->oldest = slot;
}

// entries_grow doubles the table, up to its limit. False: it cannot.
static bool entries_grow(ski_rates *rates)
{
    uint32_t size = rates->size ? rates->size * 2 : 64;
    rate_entry *entries;

    if (rates->size == SKI_RATES_MAX) return false;
    entries = ski_alloc_zeroed(size, sizeof *entries);
    if (!entries) return false;
    if (rates->count) memcpy(entries, rates->entries, rates->count * sizeof *entries);
    ski_free(rates->entries);
    rates->entries = entries;
    rates->size = size;
    return true;
}

// slot_make gives a place for another name; none: there is no memory at all.
static uint32_t slot_make(ski_rates *rates, uint64_t name)
{
    uint32_t slot = rates->count;

    if (rates->count == rates->size && !entries_grow(rates)) {
        if (!rates->count) return none;
        slot = rates->oldest;
        ski_map_remove(&rates->map, rates->entries[slot].name, slot, name_of, rates);
        unlink_entry(rates, slot);
    }
    rates->entries[slot] = (rate_entry){.name = name, .older = none, .newer = none};
    // Where one was just removed there is room; else the place is not counted yet.
    if (ski_map_put(&rates->map, name, slot, name_of, rates)) return none;
    if (slot == rates->count) rates->count++;
    link_newest(rates, slot);
    return slot;
}

static uint32_t slot_of(ski_rates *rates, uint64_t name, const skald_bucket *limit)
{
    uint32_t cursor = 0, slot;

    while ((slot = ski_map_find(&rates->map, name, &cursor)) != SKI_MAP_NONE) {
        if (rates->entries[slot].name != name) continue;
        unlink_entry(rates, slot);
        link_newest(rates, slot);
        return slot;
    }
    slot = slot_make(rates, name);
    if (slot != none) rates->entries[slot].bucket = *limit;
    return slot;
}

static uint64_t name_make(const ski_rates *rates, unsigned kind, skald_str who)
{
    return ski_hash64(rates->seed + kind, who.len ? who.ptr : "", who.len);
}

// is_news: nobody was told of who for a minute, whatever limit it was. It is remembered under a
// name of its own.
static bool is_news(ski_rates *rates, skald_str who, uint64_t now_ns)
{
    uint32_t slot = slot_of(rates, name_make(rates, SKI_LIMITS, who), &rates->limits[0]);
    rate_entry *entry;

    if (slot == none) return false;
    entry = &rates->entries[slot];
    if (entry->told_ns && now_ns - entry->told_ns < told_again_ns) return false;
    entry->told_ns = now_ns ? now_ns : 1;
    return true;
}

ski_rate_state ski_rate_take(ski_rates *rates, ski_rate_kind kind, skald_str who, uint64_t now_ns)
{
    const skald_bucket *limit = &rates->limits[kind];
    uint64_t name = name_make(rates, kind, who);
    uint32_t slot = slot_of(rates, name, limit), quota;
    ski_rate_state state = {.wait_ms = 1000};
    rate_entry *entry;

    quota = limit->burst_max ? limit->burst_max : limit->rate_per_min;
    state.quota = quota;
    state.window_s =
        (uint32_t)(((uint64_t)quota * 60 + limit->rate_per_min - 1) / limit->rate_per_min);
    if (slot == none) return state; // no memory to count: refused
    entry = &rates->entries[slot];
    state.wait_ms = skald_bucket_take(&entry->bucket, now_ns, 1);
    state.left = skald_bucket_left(&entry->bucket, now_ns);
    state.reset_s = (uint32_t)(((uint64_t)(quota - state.left) * 60 + limit->rate_per_min - 1) /
                               limit->rate_per_min);
    if (state.wait_ms) state.tell = is_news(rates, who, now_ns);
    return state;
}

// six_halved writes the first four groups of an IPv6 address as they are written: "2001:db8:0:1:".
// From "::" on they are zeros, at least as far as the first half goes.
static skald_str six_halved(skald_str address, char room[56])
{
    size_t groups = 0, len = 0;

    for (size_t at = 0; at < address.len && groups < 4; at++, groups++) {
        size_t begin = at;

        while (at < address.len && address.ptr[at] != ':') at++;
        if (begin == at) break;
        memcpy(room + len, address.ptr + begin, at - begin);
        len += at - begin;
        room[len++] = ':';
    }
    if (!len) room[len++] = ':';
    return ski_str(room, len);
}

skald_str ski_rate_address(skald_str peer, char room[56])
{
    const char *end;

    if (!peer.len) return SKALD_STR("unknown");
    if (peer.ptr[0] == '[') {
        end = memchr(peer.ptr, ']', peer.len);
        if (!end || (size_t)(end - peer.ptr) > 50) return peer;
        skald_str address = ski_str(peer.ptr + 1, (size_t)(end - peer.ptr) - 1);
        const char *colon = memrchr(address.ptr, ':', address.len);

        // An IPv4 address as a listener for both kinds shows it: "::ffff:10.0.0.1".
        if (colon && memchr(colon, '.', (size_t)(end - colon)))
            return ski_str(colon + 1, (size_t)(end - colon) - 1);
        return six_halved(address, room);
    }
    end = memchr(peer.ptr, ':', peer.len);
    return end ? ski_str(peer.ptr, (size_t)(end - peer.ptr)) : peer;
}
