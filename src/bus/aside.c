// SPDX-License-Identifier: Apache-2.0
// Records of what was set aside: their bytes, and the table a subscription keeps of them.
//
//   "SKA" version 1 (bytes.h): flags  kind  position  last  waiting  attempts  first_at  last_at
//   due_at  texts: event_id  key  tenant  type  stream  error  data
//
// Invariants:
//   1. asides of a subscription rise in origin, which no two share: one that is set aside again at
//      the origin of one on its way out takes its place.
//   2. dirty or saving: in a ring of its subscription; its memory goes only when it is neither.
//   3. In a bucket: parked, keyed, not gone; at most one of a key.
#include "bus/engine.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include "bus/bytes.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum {
    version_now = 1,
    origin_digits = 20,
    flag_keyed = 1,
    flag_releasing = 2,
    asides_first = 16,
    buckets_first = 256,
};

static const char magic[3] = {'S', 'K', 'A'};
static const char name_prefix[] = "aside/";

// Bytes.

static skald_err numbers_put(const ski_aside_about *about, skald_buf *buf)
{
    const uint64_t numbers[] = {
        (about->keyed ? flag_keyed : 0U) | (about->releasing ? flag_releasing : 0U),
        about->kind,
        about->position,
        about->last,
        about->waiting,
        about->attempts,
        (uint64_t)about->first_at,
        (uint64_t)about->last_at,
        (uint64_t)about->due_at,
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
        SKALD_TRY(ski_bytes_number(buf, numbers[i]));
    return SKALD_OK;
}

static skald_err about_put(const ski_aside_about *about, skald_buf *buf)
{
    const skald_str texts[] = {{(const char *)about->event_id.bytes, sizeof(about->event_id.bytes)},
                               about->key,
                               about->tenant,
                               about->type,
                               about->stream,
                               about->error,
                               about->data};
    size_t start;

    SKALD_TRY(ski_bytes_begin(buf, magic, version_now, &start));
    SKALD_TRY(numbers_put(about, buf));
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        SKALD_TRY(ski_bytes_text(buf, texts[i]));
    return ski_bytes_end(buf, start);
}

skald_err ski_aside_encode(const ski_aside_about *about, skald_buf *buf)
{
    size_t start = buf->len;
    skald_err err = about_put(about, buf);

    if (err) buf->len = start;
    return err;
}

static bool numbers_take(skald_str *body, ski_aside_about *about)
{
    uint64_t numbers[9];

    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
        if (!ski_bytes_take_number(body, &numbers[i])) return false;
    if (numbers[0] > (flag_keyed | flag_releasing) || numbers[1] > SKI_ASIDE_LATER ||
        numbers[5] > UINT32_MAX)
        return false;
    about->keyed = numbers[0] & flag_keyed;
    about->releasing = numbers[0] & flag_releasing;
    about->kind = (uint8_t)numbers[1];
    about->position = numbers[2];
    about->last = numbers[3];
    about->waiting = numbers[4];
    about->attempts = (uint32_t)numbers[5];
    about->first_at = (skald_time)numbers[6];
    about->last_at = (skald_time)numbers[7];
    about->due_at = (skald_time)numbers[8];
    return true;
}

static bool texts_take(skald_str *body, ski_aside_about *about)
{
    skald_str *texts[] = {&about->key,    &about->tenant, &about->type,
                          &about->stream, &about->error,  &about->data};
    skald_str id;

    if (!ski_bytes_take_text(body, &id) || id.len != sizeof(about->event_id.bytes)) return false;
    memcpy(about->event_id.bytes, id.ptr, id.len);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        if (!ski_bytes_take_text(body, texts[i])) return false;
        if (!texts[i]->len) *texts[i] = (skald_str){0};
    }
    return true;
}

skald_err ski_aside_decode(skald_str bytes, ski_aside_about *ret_about, skald_error *reterr_error)
{
    ski_aside_about about = {0};
    skald_str body;

    SKALD_TRY(ski_bytes_open(bytes, magic, version_now, &body, reterr_error));
    if (!numbers_take(&body, &about) || !texts_take(&body, &about) || body.len)
        return skald_fail(reterr_error, SKALD_ECORRUPT, "the stored record does not add up");
    *ret_about = about;
    return SKALD_OK;
}

skald_err ski_aside_name(skald_str subscription, uint64_t origin, skald_buf *buf)
{
    return ski_buf_print(buf, "%s%.*s/%020" PRIu64, name_prefix, SKALD_FMT(subscription), origin);
}

// ski_aside_split: the last part is always the digits, so a name that holds a '/' is not mistaken.
bool ski_aside_split(skald_str value_name, skald_str *ret_subscription, uint64_t *ret_origin)
{
    size_t head = sizeof(name_prefix) - 1;
    size_t least = head + 1 + 1 + origin_digits;

    if (value_name.len < least || memcmp(value_name.ptr, name_prefix, head) != 0) return false;
    size_t slash = value_name.len - origin_digits - 1;

    if (value_name.ptr[slash] != '/') return false;
    if (ski_str_u64((skald_str){value_name.ptr + slash + 1, origin_digits}, ret_origin))
        return false;
    *ret_subscription = (skald_str){value_name.ptr + head, slash - head};
    return true;
}

// The table.

bool ski_aside_say(ski_aside *aside, const ski_aside_about *about)
{
    ski_aside_about said = *about;
    skald_str *texts[] = {&said.key,    &said.tenant, &said.type,
                          &said.stream, &said.error,  &said.data};
    size_t size = 1;

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) size += texts[i]->len;
    char *block = ski_alloc(size), *at = block;

    if (!block) return false;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        if (!texts[i]->len) {
            *texts[i] = (skald_str){0};
            continue;
        }
        memcpy(at, texts[i]->ptr, texts[i]->len);
        texts[i]->ptr = at;
        at += texts[i]->len;
    }
    ski_free(aside->text);
    aside->text = block;
    aside->about = said;
    return true;
}

// ski_aside_timer_reserve makes room for its timer: an owner of a timer has its place in the heap.
skald_err ski_aside_timer_reserve(skald_bus *bus, ski_aside *aside)
{
    SKALD_TRY(ski_bus_timers_reserve(bus, 0, bus->aside_timers + 1));
    bus->aside_timers++;
    aside->reserved = true;
    return SKALD_OK;
}

// place_of gives the index of the first with an origin not below.
static uint32_t place_of(const ski_subscription *sub, uint64_t origin)
{
    uint32_t low = 0, high = sub->aside_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (sub->asides[middle]->about.origin < origin)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

ski_aside *ski_aside_find(const ski_subscription *sub, uint64_t origin)
{
    uint32_t place = place_of(sub, origin);

    if (place == sub->aside_count || sub->asides[place]->about.origin != origin) return NULL;
    return sub->asides[place];
}

// ski_aside_at: one being released stands between two events, where another may have its own; that
// one is meant.
ski_aside *ski_aside_at(const ski_subscription *sub, uint64_t position)
{
    ski_aside *aside = ski_aside_find(sub, position), *released = NULL;

    if (aside && !aside->gone && aside->about.position == position && !aside->about.releasing)
        return aside;
    for (uint32_t i = 0; i < sub->aside_count; i++) {
        aside = sub->asides[i];
        if (aside->gone || aside->about.position != position) continue;
        if (!aside->about.releasing) return aside;
        released = aside;
    }
    return released;
}

static bool table_room(ski_subscription *sub)
{
    if (sub->aside_count < sub->aside_size) return true;
    uint32_t size = sub->aside_size ? sub->aside_size * 2 : asides_first;
    ski_aside **asides = ski_realloc(sub->asides, size * sizeof(*asides));

    if (!asides) return false;
    sub->asides = asides;
    sub->aside_size = size;
    return true;
}

static bool buckets_room(ski_subscription *sub)
{
    uint32_t count = buckets_first;

    if (sub->parked_buckets) return true;
    while (count < sub->parked_keys_max / 4) count *= 2;
    sub->parked_buckets = ski_alloc_zeroed(count, sizeof(ski_aside *));
    sub->parked_mask = count - 1;
    return sub->parked_buckets != NULL;
}

static void counts_add(const ski_aside *aside, int sign)
{
    ski_subscription *sub = aside->subscription;

    if (aside->about.kind == SKI_ASIDE_PARKED)
        sub->parked_count += (uint32_t)sign;
    else if (aside->about.kind == SKI_ASIDE_DEAD)
        sub->dead_count += (uint32_t)sign;
    else
        sub->later_count += (uint32_t)sign;
}

// aside_enter makes it what its key waits behind, and counts it.
static void aside_enter(ski_aside *aside)
{
    ski_subscription *sub = aside->subscription;

    counts_add(aside, 1);
    if (aside->about.kind != SKI_ASIDE_PARKED || !aside->about.keyed) return;
    aside->key_hash = ski_key_hash(sub, aside->about.tenant, aside->about.key);
    ski_aside **bucket = &sub->parked_buckets[aside->key_hash & sub->parked_mask];

    aside->key_next = *bucket;
    *bucket = aside;
}

static void aside_leave(ski_aside *aside)
{
    ski_subscription *sub = aside->subscription;

    counts_add(aside, -1);
    if (aside->about.kind != SKI_ASIDE_PARKED || !aside->about.keyed) return;
    ski_aside **at = &sub->parked_buckets[aside->key_hash & sub->parked_mask];

    while (*at != aside) {
        assert(*at);
        at = &(*at)->key_next;
    }
    *at = aside->key_next;
    aside->key_next = NULL;
}

// aside_revive gives one on its way out something new to say.
static ski_aside *aside_revive(ski_aside *aside, const ski_aside_about *about)
{
    assert(aside->gone);
    if (!ski_aside_say(aside, about)) return NULL;
    aside->gone = false;
    aside_enter(aside);
    return aside;
}

ski_aside *ski_aside_new(ski_subscription *sub, const ski_aside_about *about)
{
    uint32_t place = place_of(sub, about->origin);

    if (!table_room(sub) || !buckets_room(sub)) return NULL;
    if (place < sub->aside_count && sub->asides[place]->about.origin == about->origin)
        return aside_revive(sub->asides[place], about);
    ski_aside *aside = ski_alloc_zeroed(1, sizeof(*aside));

    if (!aside || !ski_aside_say(aside, about) ||
        (!sub->starting && ski_aside_timer_reserve(sub->bus, aside))) {
        if (aside) ski_free(aside->text);
        ski_free(aside);
        return NULL;
    }
    aside->subscription = sub;
    aside->timer.kind = SKI_TIMER_ASIDE;
    ski_link_init(&aside->change);
    ski_link_init(&aside->turn);
    memmove(&sub->asides[place + 1], &sub->asides[place],
            (sub->aside_count - place) * sizeof(*sub->asides));
    sub->asides[place] = aside;
    sub->aside_count++;
    sub->asides_unsaved++;
    aside_enter(aside);
    return aside;
}

void ski_aside_mark(ski_aside *aside)
{
    ski_subscription *sub = aside->subscription;

    aside->dirty = true;
    if (!aside->saving) ski_link_append(&sub->aside_changes, &aside->change);
    ski_save_mark(sub);
}

void ski_aside_remove(ski_aside *aside)
{
    if (aside->gone) return;
    aside_leave(aside);
    aside->gone = true;
    ski_link_leave(&aside->turn);
    ski_timers_clear(&aside->subscription->bus->timers, &aside->timer);
    ski_aside_mark(aside);
}

void ski_aside_drop(ski_aside *aside)
{
    ski_subscription *sub = aside->subscription;
    uint32_t place = place_of(sub, aside->about.origin);

    assert(sub->asides[place] == aside && !aside->source && !aside->delivery);
    if (!aside->gone) aside_leave(aside);
    ski_link_leave(&aside->change);
    ski_link_leave(&aside->turn);
    ski_timers_clear(&sub->bus->timers, &aside->timer);
    if (aside->reserved) sub->bus->aside_timers--;
    sub->asides_unsaved -= !aside->stored;
    sub->aside_count--;
    memmove(&sub->asides[place], &sub->asides[place + 1],
            (sub->aside_count - place) * sizeof(*sub->asides));
    ski_free(aside->text);
    ski_free(aside);
}

void ski_aside_settle(ski_aside *aside)
{
    if (aside->gone && !aside->dirty && !aside->saving && !aside->reading && !aside->delivery)
        ski_aside_drop(aside);
}

void ski_aside_kind(ski_aside *aside, uint8_t kind)
{
    if (aside->about.kind == kind) return;
    aside_leave(aside);
    aside->about.kind = kind;
    aside_enter(aside);
}

void ski_asides_fini(ski_subscription *sub)
{
    while (sub->aside_count) {
        ski_aside *aside = sub->asides[sub->aside_count - 1];

        if (aside->source) ski_hold_drop(aside->source);
        aside->source = NULL;
        aside->delivery = NULL;
        ski_aside_drop(aside);
    }
    ski_free(sub->asides);
    ski_free(sub->parked_buckets);
    sub->asides = NULL;
    sub->parked_buckets = NULL;
}

ski_aside *ski_parked_find(const ski_subscription *sub, uint64_t key_hash, skald_str tenant,
                           skald_str key)
{
    ski_aside *aside =
        sub->parked_buckets ? sub->parked_buckets[key_hash & sub->parked_mask] : NULL;

    while (aside && (aside->key_hash != key_hash || !skald_str_equal(aside->about.key, key) ||
                     aside->about.tenant.len != tenant.len ||
                     (tenant.len && !skald_str_equal(aside->about.tenant, tenant))))
        aside = aside->key_next;
    return aside;
}

// Reading them back.

typedef struct loading {
    ski_subscription *sub;
    skald_err err;
    skald_error *error;
} loading;

static bool load_one(void *context, const skald_store_value *value)
{
    loading *load = context;
    ski_subscription *sub = load->sub;
    ski_aside_about about;
    skald_str name;
    uint64_t origin;

    if (!ski_aside_split(value->name, &name, &origin) || !skald_str_equal(name, sub->name))
        return true;
    load->err = ski_aside_decode(value->bytes, &about, load->error);
    if (load->err) return false;
    about.origin = origin;
    // A reset that was cut short: what lies behind the position comes again.
    if (about.position > sub->cursor) return true;
    // What waited may have been more than was written: all up to the cursor is looked at.
    if (about.keyed && about.kind == SKI_ASIDE_PARKED) about.last = sub->cursor;
    ski_aside *aside = ski_aside_new(sub, &about);

    if (!aside) {
        load->err = skald_fail(load->error, SKALD_ENOMEM, "out of memory");
        return false;
    }
    aside->stored = true;
    sub->asides_unsaved--;
    return true;
}

// ski_asides_load runs before the subscription does, under no lock but its own being alone.
skald_err ski_asides_load(ski_subscription *sub, skald_error *reterr_error)
{
    skald_buf prefix = {.bytes_max = SKI_NAME_BYTES_MAX + 16};
    loading load = {sub, SKALD_OK, reterr_error};

    skald_err err = ski_buf_print(&prefix, "%s%.*s/", name_prefix, SKALD_FMT(sub->name));
    if (!err) err = ski_store_value_each(sub->bus->store, ski_buf_str(&prefix), load_one, &load);
    skald_buf_fini(&prefix);
    return load.err ? load.err : err;
}
