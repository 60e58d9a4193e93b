// SPDX-License-Identifier: Apache-2.0
// System events: what happens to subscriptions is told as events, through the same log.
//
// They are made under the engine lock, wait in a short list and are published when nobody holds it.
// A system.error never causes another: what fails on one is counted and logged only. Of one
// subscription and code the first is published at once, then at most one in 10 s with the number of
// those since.
//
// An audit event is published by the caller, before the deed: what cannot be recorded is not done.
#include "bus/engine.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

enum {
    notices_max = 256,
    notice_bytes_max = 2048,
    complaint_ms = 10000,
};

typedef struct ski_notice {
    struct ski_notice *next;
    skald_bus *bus;
    const char *type;
    skald_buf data;
} ski_notice_item;

static const char *const types[] = {
    [SKI_NOTICE_ERROR] = "system.error",
    [SKI_NOTICE_LAGGING] = "system.handler.lagging",
    [SKI_NOTICE_RECOVERED] = "system.handler.recovered",
    [SKI_NOTICE_FAULTED] = "system.handler.faulted",
    [SKI_NOTICE_STALE] = "system.handler.stale",
};
static const char *const number_names[] = {
    [SKI_NOTICE_ERROR] = "count",       [SKI_NOTICE_LAGGING] = "lag",
    [SKI_NOTICE_RECOVERED] = "lag",     [SKI_NOTICE_FAULTED] = "count",
    [SKI_NOTICE_STALE] = "idleSeconds",
};
static const char *const codes[SKI_CODES] = {
    [SKI_CODE_RETRY] = "RETRY", [SKI_CODE_REJECT] = "REJECTED",  [SKI_CODE_TIMEOUT] = "TIMEOUT",
    [SKI_CODE_HALT] = "HALTED", [SKI_CODE_READ] = "READ_FAILED",
};

static void notice_free(ski_notice_item *notice)
{
    if (!notice) return;
    skald_buf_fini(&notice->data);
    ski_free(notice);
}

static skald_err text_member(skald_buf *buf, const char *name, skald_str text)
{
    if (!text.ptr) return SKALD_OK;
    SKALD_TRY(ski_buf_print(buf, ",\"%s\":", name));
    return ski_json_put_string(buf, text);
}

static skald_err notice_data(skald_buf *buf, ski_notice_kind kind, skald_str subscription,
                             const char *code, const char *text, uint64_t number)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"subscription\":")));
    SKALD_TRY(ski_json_put_string(buf, subscription));
    SKALD_TRY(text_member(buf, "code", skald_str_of(code)));
    SKALD_TRY(text_member(buf, "error", skald_str_of(text)));
    return ski_buf_print(buf, ",\"%s\":%llu}", number_names[kind], (unsigned long long)number);
}

static void notice_lost(skald_bus *bus)
{
    atomic_fetch_add_explicit(&bus->notices_dropped, 1, memory_order_relaxed);
}

void ski_notice(skald_bus *bus, ski_notice_kind kind, skald_str subscription, const char *code,
                const char *text, uint64_t number)
{
    if (!bus->system_events || bus->closing) return;
    ski_notice_item *made =
        bus->notice_count < notices_max ? ski_alloc_zeroed(1, sizeof(*made)) : NULL;

    if (!made) {
        notice_lost(bus);
        return;
    }
    made->bus = bus;
    made->type = types[kind];
    made->data.bytes_max = notice_bytes_max;
    if (notice_data(&made->data, kind, subscription, code, text, number)) {
        notice_free(made);
        notice_lost(bus);
        return;
    }
    *bus->notices_end = made;
    bus->notices_end = &made->next;
    bus->notice_count++;
    ski_bus_stir(bus);
}

static bool about_us(const skald_event *about)
{
    return about && (ski_str_begins(about->type, SKALD_STR("system.error")) ||
                     ski_str_begins(about->type, SKALD_STR("system.handler.")));
}

void ski_complain(ski_subscription *sub, int code, const char *text, const skald_event *about)
{
    ski_complaint *of = &sub->complaints[code];

    if (!sub->bus->system_events || about_us(about)) return;
    uint64_t now = ski_bus_now_ns(sub->bus);

    of->count++;
    if (of->at_ns && now - of->at_ns < complaint_ms * SKI_NS_PER_MS) return;
    ski_notice(sub->bus, SKI_NOTICE_ERROR, sub->name, codes[code], text, of->count);
    *of = (ski_complaint){.at_ns = now};
}

void ski_complaints_tell(ski_subscription *sub)
{
    uint64_t now = ski_bus_now_ns(sub->bus);

    for (int code = 0; code < SKI_CODES; code++) {
        ski_complaint *of = &sub->complaints[code];

        if (!of->count || now - of->at_ns < complaint_ms * SKI_NS_PER_MS) continue;
        ski_notice(sub->bus, SKI_NOTICE_ERROR, sub->name, codes[code], sub->last_error, of->count);
        *of = (ski_complaint){.at_ns = now};
    }
}

// notice_done may run on any thread: it only frees.
static void notice_done(void *context, const skald_published *published)
{
    ski_notice_item *notice = context;

    if (published->err) notice_lost(notice->bus);
    notice_free(notice);
}

bool ski_notice_publish(skald_bus *bus)
{
    ski_notice_item *notice = bus->notices;

    if (!notice) return false;
    bus->notices = notice->next;
    if (!bus->notices) bus->notices_end = &bus->notices;
    bus->notice_count--;
    ski_mutex_unlock(&bus->lock);
    // Of whose events it tells is not known here, so it is nobody's but the platform's.
    const skald_event event = {.type = skald_str_of(notice->type),
                               .tenant = SKALD_STR(SKALD_PLATFORM_TENANT),
                               .data = ski_buf_str(&notice->data)};
    const skald_publish_options options = {.append.durability = SKALD_WRITTEN};

    if (skald_publish_start(bus, &event, 1, &options, notice_done, notice)) {
        notice_lost(bus);
        notice_free(notice);
    }
    ski_mutex_lock(&bus->lock);
    return true;
}

void ski_notices_drop(skald_bus *bus)
{
    while (bus->notices) {
        ski_notice_item *next = bus->notices->next;

        notice_free(bus->notices);
        bus->notices = next;
    }
    bus->notices_end = &bus->notices;
    bus->notice_count = 0;
}

static skald_err audit_data(skald_buf *buf, skald_str subscription, const char *members)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"subscription\":")));
    SKALD_TRY(ski_json_put_string(buf, subscription));
    if (members) SKALD_TRY(ski_buf_print(buf, ",%s", members));
    return ski_buf_byte(buf, '}');
}

skald_err ski_audit(skald_bus *bus, const char *what, skald_str subscription, const skald_actor *by,
                    const char *members, skald_error *reterr_error)
{
    static const skald_actor nobody;
    skald_buf data = {.bytes_max = notice_bytes_max * 2};
    char type[64];

    if (!by) by = &nobody;
    snprintf(type, sizeof(type), "audit.subscription.%s", what);
    skald_err err = audit_data(&data, subscription, members);

    if (!err)
        err =
            skald_publish(bus,
                          (skald_event){.type = skald_str_of(type),
                                        .data = ski_buf_str(&data),
                                        .tenant = by->tenant.ptr ? by->tenant
                                                                 : SKALD_STR(SKALD_PLATFORM_TENANT),
                                        .user = by->user,
                                        .role = by->role,
                                        .correlation_id = by->correlation_id},
                          &(skald_publish_options){.reterr_error = reterr_error});
    skald_buf_fini(&data);
    return err;
}
