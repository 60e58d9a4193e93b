// SPDX-License-Identifier: Apache-2.0
// Retention: two limits, each of which hides a beginning of the log, and holds, which keep the
// hidden part from growing over what a subscription has not read.
//
// Invariants:
//   1. recorded_at never falls, so what is too old is a beginning of the log: one position says it.
//      It is searched for again only when the event behind it has become too old as well.
//   2. With SKALD_RETAIN_ACKED the floor is never above the lowest hold.
//   3. With SKALD_RETAIN_LIMIT each position that the floor passes before a subscription has read
//      it is counted once for its hold. What the floor had passed when the hold came is not where a
//      new subscription begins, which has read nothing; it is where one comes back.
#include "store/handle.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

enum {
    holds_first = 8,
    value_form = 1,
    value_bytes = 24,
    asked_every = 256, // events, before a driver that forgets is told again
};

static const char value_name[] = "$retention";

void ski_retention_init(ski_retention *retention)
{
    ski_mutex_init(&retention->mutex);
    ski_mutex_init(&retention->age);
    atomic_init(&retention->limited, false);
    atomic_init(&retention->asked_at, 0);
    atomic_init(&retention->told, 0);
}

void ski_retention_fini(ski_retention *retention)
{
    for (uint32_t i = 0; i < retention->count; i++) ski_free(retention->holds[i].name);
    ski_free(retention->holds);
    ski_mutex_fini(&retention->age);
    ski_mutex_fini(&retention->mutex);
}

static ski_hold *hold_find(const ski_retention *retention, skald_str name)
{
    for (uint32_t i = 0; i < retention->count; i++) {
        ski_hold *hold = &retention->holds[i];

        if (skald_str_equal((skald_str){hold->name, hold->len}, name)) return hold;
    }
    return NULL;
}

static skald_err hold_add(ski_retention *retention, skald_str name, uint64_t lost_to,
                          ski_hold **ret_hold)
{
    ski_hold *hold;
    char *copy;

    if (retention->count == SKI_STORE_HOLDS_MAX) return SKALD_EFULL;
    if (retention->count == retention->size) {
        uint32_t size = retention->size ? retention->size * 2 : holds_first;
        ski_hold *holds = ski_realloc(retention->holds, size * sizeof(*holds));

        if (!holds) return SKALD_ENOMEM;
        retention->holds = holds;
        retention->size = size;
    }
    copy = ski_alloc(name.len);
    if (!copy) return SKALD_ENOMEM;
    memcpy(copy, name.ptr, name.len);
    hold = &retention->holds[retention->count++];
    *hold = (ski_hold){.name = copy, .len = name.len, .lost_to = lost_to};
    *ret_hold = hold;
    return SKALD_OK;
}

// count_floor is what max_events alone hides.
static uint64_t count_floor(const skald_store *store, const skald_retention *set)
{
    uint64_t head = store->driver->head(store->instance);

    return set->max_events && head > set->max_events ? head - set->max_events : 0;
}

static void limit_floor_rise(ski_retention *retention, uint64_t floor)
{
    if (floor > retention->limit_floor) retention->limit_floor = floor;
}

skald_err ski_store_hold(skald_store *store, skald_str name, uint64_t position, uint64_t read,
                         uint64_t *ret_lost)
{
    ski_retention *retention = &store->retention;
    skald_err err = SKALD_OK;
    uint64_t lost_to = 0;
    ski_hold *hold;

    if (!name.len || name.len > SKI_STORE_VALUE_NAME_BYTES_MAX) return SKALD_EINVALID;
    ski_mutex_lock(&retention->mutex);
    hold = hold_find(retention, name);
    // Until all known ones hold it is one from before the store was opened: what it lost is told.
    if (!hold && !read && retention->declared) {
        if (retention->set.policy == SKALD_RETAIN_LIMIT)
            limit_floor_rise(retention, count_floor(store, &retention->set));
        lost_to = retention->limit_floor;
    }
    if (!hold) err = hold_add(retention, name, lost_to, &hold);
    if (!err) hold->position = position;
    if (!err) hold->read = read;
    if (!err && ret_lost) *ret_lost = hold->lost;
    ski_mutex_unlock(&retention->mutex);
    return err;
}

void ski_store_release(skald_store *store, skald_str name)
{
    ski_retention *retention = &store->retention;
    ski_hold *hold;

    ski_mutex_lock(&retention->mutex);
    hold = hold_find(retention, name);
    if (hold) {
        ski_free(hold->name);
        *hold = retention->holds[--retention->count];
    }
    ski_mutex_unlock(&retention->mutex);
}

void ski_store_holds_declare(skald_store *store)
{
    ski_mutex_lock(&store->retention.mutex);
    store->retention.declared = true;
    ski_mutex_unlock(&store->retention.mutex);
}

// age_step looks at one page for the first event that is young enough.
static skald_err age_step(skald_store *store, skald_time cutoff, bool *ret_found,
                          skald_error *reterr_error)
{
    ski_retention *retention = &store->retention;
    skald_read read = {.after = retention->aged,
                       .from = cutoff,
                       .events_max = 1,
                       .page_bytes_max = SKI_STORE_PAGE_BYTES};
    skald_store_page page = {0};
    skald_err err = store->driver->read(store->instance, &read, &page, reterr_error);

    *ret_found = false;
    // Damaged: what is behind it decides.
    if (err == SKALD_ECORRUPT && page.position_next > retention->aged) {
        retention->aged = page.position_next;
        return SKALD_OK;
    }
    if (err) return err;
    for (size_t i = 0; i < page.count && !*ret_found; i++) {
        if (page.events[i].position <= retention->aged) continue;
        *ret_found = page.events[i].recorded_at >= cutoff;
        retention->aged = page.events[i].position - (*ret_found ? 1 : 0);
        if (*ret_found) retention->next_at = page.events[i].recorded_at;
    }
    if (!*ret_found && page.position_next > retention->aged) retention->aged = page.position_next;
    if (!*ret_found && page.end) {
        *ret_found = true;
        retention->next_at = cutoff; // nothing is young enough: look again when it is later
    }
    if (page.driver) store->driver->page_free(store->instance, &page);
    return SKALD_OK;
}

// age_floor gives the position up to which all is older than cutoff.
static skald_err age_floor(skald_store *store, skald_time cutoff, uint64_t *ret_floor,
                           skald_error *reterr_error)
{
    ski_retention *retention = &store->retention;
    skald_err err = SKALD_OK;

    ski_mutex_lock(&retention->age);
    if (cutoff < retention->aged_cutoff) retention->aged = retention->next_at = 0; // relaxed
    for (bool found = cutoff <= retention->next_at; !err && !found;)
        err = age_step(store, cutoff, &found, reterr_error);
    retention->aged_cutoff = cutoff;
    *ret_floor = retention->aged;
    ski_mutex_unlock(&retention->age);
    return err;
}

static uint64_t holds_min(const ski_retention *retention)
{
    uint64_t position = UINT64_MAX;

    for (uint32_t i = 0; i < retention->count; i++)
        if (retention->holds[i].position < position) position = retention->holds[i].position;
    return position;
}

static void holds_lose(ski_retention *retention, uint64_t floor, const skald_log *log)
{
    limit_floor_rise(retention, floor);
    for (uint32_t i = 0; i < retention->count; i++) {
        ski_hold *hold = &retention->holds[i];
        uint64_t from = hold->read > hold->lost_to ? hold->read : hold->lost_to;
        char lost[24];

        if (from >= floor) continue;
        (void)snprintf(lost, sizeof(lost), "%llu", (unsigned long long)(floor - from));
        if (!hold->lost) {
            char name[SKI_STORE_VALUE_NAME_BYTES_MAX + 1];

            memcpy(name, hold->name, hold->len);
            name[hold->len] = 0;
            ski_log_line(log, SKALD_WARN, "retention hides events a subscription has not read",
                         "subscription", name, "events", lost, NULL);
        }
        hold->lost += floor - from;
        retention->lost += floor - from;
        hold->lost_to = floor;
    }
}

skald_err ski_retention_floor(skald_store *store, skald_time now, bool erasing, uint64_t *ret_floor,
                              skald_error *reterr_error)
{
    ski_retention *retention = &store->retention;
    uint64_t floor, aged = 0;
    skald_retention set;

    *ret_floor = 0;
    if (!atomic_load(&retention->limited)) return SKALD_OK;
    ski_mutex_lock(&retention->mutex);
    set = retention->set;
    ski_mutex_unlock(&retention->mutex);
    if (set.policy == SKALD_RETAIN_ALWAYS) return SKALD_OK;
    floor = count_floor(store, &set);
    if (set.max_age && now > set.max_age)
        SKALD_TRY(age_floor(store, now - set.max_age, &aged, reterr_error));
    if (aged > floor) floor = aged;
    ski_mutex_lock(&retention->mutex);
    if (set.policy == SKALD_RETAIN_LIMIT) {
        holds_lose(retention, floor, &store->log);
    } else {
        if (holds_min(retention) < floor) floor = holds_min(retention);
        if (erasing && !retention->declared) floor = 0;
    }
    ski_mutex_unlock(&retention->mutex);
    *ret_floor = floor;
    return SKALD_OK;
}

bool ski_retention_forget(skald_store *store, bool anyway)
{
    ski_retention *retention = &store->retention;
    uint64_t head, floor = 0, told;

    if (!store->driver->forget || !atomic_load(&retention->limited)) return false;
    head = store->driver->head(store->instance);
    if (!anyway && head - atomic_load(&retention->asked_at) < asked_every) return false;
    atomic_store(&retention->asked_at, head);
    if (ski_retention_floor(store, ski_store_now(store), true, &floor, NULL)) return false;
    told = atomic_load(&retention->told);
    if (floor <= told) return false;
    store->driver->forget(store->instance, floor);
    while (told < floor && !atomic_compare_exchange_weak(&retention->told, &told, floor)) {
    }
    return true;
}

// The value: u8 form, u8 policy, six zeros, u64 max_age, u64 max_events, little endian.
static void value_write(const skald_retention *set, char ret_bytes[value_bytes])
{
    memset(ret_bytes, 0, value_bytes);
    ret_bytes[0] = value_form;
    ret_bytes[1] = (char)set->policy;
    for (int i = 0; i < 8; i++) {
        ret_bytes[8 + i] = (char)((uint64_t)set->max_age >> (8 * i));
        ret_bytes[16 + i] = (char)(set->max_events >> (8 * i));
    }
}

static void retention_take(ski_retention *retention, const skald_retention *set)
{
    ski_mutex_lock(&retention->mutex);
    retention->set = *set;
    atomic_store(&retention->limited, set->max_age || set->max_events);
    ski_mutex_unlock(&retention->mutex);
}

skald_err ski_retention_load(skald_store *store, skald_error *reterr_error)
{
    skald_retention set = {0};
    skald_buf buf = {.bytes_max = SKI_STORE_VALUE_BYTES_MAX};
    skald_err err = store->driver->value_get(store->instance, skald_str_of(value_name), &buf);

    if (err == SKALD_ENOTFOUND) {
        if (store->driver->events_max) set.max_events = store->driver->events_max(store->instance);
        set.policy = SKALD_RETAIN_LIMIT;
        if (set.max_events) retention_take(&store->retention, &set);
        return SKALD_OK;
    }
    if (!err && (buf.len != value_bytes || buf.ptr[0] != value_form ||
                 (uint8_t)buf.ptr[1] > SKALD_RETAIN_LIMIT))
        err = SKALD_EUNSUPPORTED;
    for (int i = 0; !err && i < 8; i++) {
        set.max_age |= (skald_time)((uint64_t)(uint8_t)buf.ptr[8 + i] << (8 * i));
        set.max_events |= (uint64_t)(uint8_t)buf.ptr[16 + i] << (8 * i);
    }
    if (!err) set.policy = (skald_retain)buf.ptr[1];
    if (!err) retention_take(&store->retention, &set);
    skald_buf_fini(&buf);
    if (err)
        return skald_fail(reterr_error, err, "the store's retention cannot be read: %s",
                          skald_err_text(err));
    return SKALD_OK;
}

skald_err skald_retention_set(skald_store *store, const skald_retention *retention,
                              skald_error *reterr_error)
{
    char bytes[value_bytes];
    skald_store_value value = {skald_str_of(value_name), {bytes, sizeof(bytes)}};
    skald_store_batch batch = {.values = &value, .value_count = 1};
    skald_err err;

    if (retention->max_age < 0)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "max_age",
                             "an age is 0, for any, or more");
    if ((unsigned)retention->policy > SKALD_RETAIN_LIMIT)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "policy",
                             "there is no retention policy %u", (unsigned)retention->policy);
    value_write(retention, bytes);
    ski_mutex_lock(&store->change);
    err = ski_store_commit_wait(store, &batch, true);
    if (!err) retention_take(&store->retention, retention);
    ski_mutex_unlock(&store->change);
    return err ? ski_store_batch_fail(&batch, err, reterr_error) : SKALD_OK;
}

void skald_retention_get(skald_store *store, skald_retention *ret_retention)
{
    ski_mutex_lock(&store->retention.mutex);
    *ret_retention = store->retention.set;
    ski_mutex_unlock(&store->retention.mutex);
}
