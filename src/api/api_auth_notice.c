// SPDX-License-Identifier: Apache-2.0
// What the door tells of those it did not let in: security.auth.failed and
// security.rate.limit.exceeded.
//
// Invariants:
//   1. Failed attempts are told once a minute at most, with how many there were: an attack must not
//   fill the log. The first is told at once; the rest when the minute is over.
//   2. All limits together tell at most limited_per_min times a minute.
//   3. What is told holds an address and a reason, never any part of a credential. Of one who is
//   known it is told to that tenant, else to the platform's own: strangers are nobody else's.
#include "api/api_auth_parts.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

#include <skald/limit.h>
#include <string.h>

enum { limited_per_min = 60, pause_ms = 60 * 1000, data_bytes_max = 2048 };

struct ski_notices {
    skald_bus *bus;
    const ski_kernel *kernel;
    ski_http *http; // while waiting
    skald_bucket limited;
    uint64_t failed; // since it was told last
    char address[64], why[160];
    bool waiting; // the minute is not over
};

skald_err ski_notices_new(skald_bus *bus, const ski_kernel *kernel, ski_notices **ret_notices)
{
    ski_notices *notices = ski_alloc_zeroed(1, sizeof *notices);

    if (!notices) return SKALD_ENOMEM;
    notices->bus = bus;
    notices->kernel = kernel;
    notices->limited.rate_per_min = limited_per_min;
    *ret_notices = notices;
    return SKALD_OK;
}

void ski_notices_free(ski_notices *notices)
{
    ski_free(notices);
}

// A notice on its way: it frees itself.
typedef struct notice {
    skald_buf data;
    char tenant[SKALD_TENANT_BYTES_MAX];
} notice;

static void notice_free(notice *told)
{
    if (told) skald_buf_fini(&told->data);
    ski_free(told);
}

static void told_done(void *context, const skald_published *published)
{
    (void)published;
    notice_free(context);
}

static notice *notice_new(void)
{
    notice *told = ski_alloc_zeroed(1, sizeof *told);

    if (told) told->data.bytes_max = data_bytes_max;
    return told;
}

static void notice_send(const ski_notices *notices, notice *take_told, const char *type,
                        skald_str tenant)
{
    skald_event event = {.type = skald_str_of(type), .data = ski_buf_str(&take_told->data)};

    if (!tenant.ptr || tenant.len > sizeof take_told->tenant)
        tenant = SKALD_STR(SKALD_PLATFORM_TENANT);
    if (tenant.len) memcpy(take_told->tenant, tenant.ptr, tenant.len);
    event.tenant = ski_str(take_told->tenant, tenant.len);
    if (skald_publish_start(notices->bus, &event, 1, NULL, told_done, take_told))
        notice_free(take_told);
}

static void tell_failed(ski_notices *notices)
{
    notice *told = notice_new();
    skald_err err = told ? SKALD_OK : SKALD_ENOMEM;

    if (!err)
        err = ski_buf_print(&told->data,
                            "{\"count\":%llu,\"address\":", (unsigned long long)notices->failed);
    if (!err) err = ski_json_put_string(&told->data, skald_str_of(notices->address));
    if (!err) err = skald_buf_put(&told->data, SKALD_STR(",\"reason\":"));
    if (!err) err = ski_json_put_string(&told->data, skald_str_of(notices->why));
    if (!err) err = ski_buf_byte(&told->data, '}');
    notices->failed = 0;
    if (err)
        notice_free(told);
    else
        notice_send(notices, told, "security.auth.failed", (skald_str){0});
}

static void pause_over(void *context, bool cancelled)
{
    ski_notices *notices = context;

    notices->waiting = false;
    if (!notices->failed || cancelled) return;
    tell_failed(notices);
    notices->waiting = !ski_http_later(notices->http, pause_ms, pause_over, notices);
}

static void keep_text(char *to, size_t size, skald_str text)
{
    size_t len = ski_str_utf8_cut(text, size - 1);

    memcpy(to, text.ptr, len);
    to[len] = 0;
}

void ski_notice_failed(ski_notices *notices, ski_http *http, skald_str peer, const char *why)
{
    notices->failed++;
    keep_text(notices->address, sizeof notices->address, peer);
    keep_text(notices->why, sizeof notices->why, skald_str_of(why));
    if (notices->waiting) return;
    notices->http = http;
    tell_failed(notices);
    notices->waiting = !ski_http_later(notices->http, pause_ms, pause_over, notices);
}

void ski_notice_limited(ski_notices *notices, skald_str tenant, skald_str who, const char *kind)
{
    uint64_t now_ns = notices->kernel->monotonic_ns(notices->kernel->context);
    notice *told;
    skald_err err;

    if (skald_bucket_take(&notices->limited, now_ns, 1)) return;
    told = notice_new();
    if (!told) return;
    err = ski_buf_print(&told->data, "{\"limit\":\"%s\",\"who\":", kind);
    if (!err) err = ski_json_put_string(&told->data, who);
    if (!err) err = ski_buf_byte(&told->data, '}');
    if (err)
        notice_free(told);
    else
        notice_send(notices, told, "security.rate.limit.exceeded", tenant);
}
