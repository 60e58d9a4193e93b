// SPDX-License-Identifier: Apache-2.0
// What a subscription was asked for: checked, completed, copied.
#include "bus/engine.h"

#include "base/alloc.h"
#include "base/str.h"
#include "store/sight.h"

enum {
    arena_bytes_max = 4 << 20, // texts of the filter, buckets, what there is to resume
    kind_bytes_max = 32,
    workers_default = 4,
    workers_limit = 1024,
    in_flight_default = 256,
    buckets_max = 4096,
    retry_attempts_default = 8, // where there is something to do then
    retry_first_default_ms = 200,
    retry_max_default_ms = 300000,
    retry_timeout_default_ms = 30000,
    asides_limit = 100000,
    dead_letters_default = 10000,
    parked_default = 1000,
    lag_default = 10000,
    stale_default_s = 7 * 24 * 3600,
};

static const char value_prefix[] = "sub/";

// What was asked for, checked.

static skald_err texts_check(skald_texts texts, const char *field, skald_error *reterr_error)
{
    if (texts.count > SKI_FILTER_ITEMS_MAX)
        return skald_fail_at(reterr_error, SKALD_EINVALID, field,
                             "at most %d are possible, not %zu", (int)SKI_FILTER_ITEMS_MAX,
                             texts.count);
    for (size_t i = 0; i < texts.count; i++)
        if (!texts.items[i].len || texts.items[i].len > SKALD_TYPE_BYTES_MAX)
            return skald_fail_at(reterr_error, SKALD_EINVALID, field,
                                 "each has 1 to %d bytes; that with index %zu has %zu",
                                 (int)SKALD_TYPE_BYTES_MAX, i, texts.items[i].len);
    return SKALD_OK;
}

static skald_err name_check(skald_str name, skald_error *reterr_error)
{
    if (!name.ptr) return SKALD_OK;
    if (!name.len || name.len > SKI_NAME_BYTES_MAX)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "name", "a name has 1 to %d bytes",
                             (int)SKI_NAME_BYTES_MAX);
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] <= ' ' || name.ptr[i] == 0x7f)
            return skald_fail_at(reterr_error, SKALD_EINVALID, "name",
                                 "a name has neither spaces nor control characters");
    if (!ski_str_utf8(name))
        return skald_fail_at(reterr_error, SKALD_EINVALID, "name", "a name is UTF-8");
    return SKALD_OK;
}

static skald_err retry_check(const skald_retry_policy *retry, skald_error *reterr_error)
{
    // Written so that a NaN is refused.
    if (retry->factor != 0 && !(retry->factor >= 1 && retry->factor <= 100))
        return skald_fail_at(reterr_error, SKALD_EINVALID, "retry.factor", "it is from 1 to 100");
    if (!(retry->jitter <= 1))
        return skald_fail_at(reterr_error, SKALD_EINVALID, "retry.jitter",
                             "it is a part of the delay: at most 1");
    return SKALD_OK;
}

static skald_err order_check(const skald_subscription_options *options, skald_error *reterr_error)
{
    bool by_key = options->order == SKALD_BY_KEY;

    if ((unsigned)options->order > SKALD_BY_KEY)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "order", "no such order");
    if (!by_key && (options->key || options->key_pointer))
        return skald_fail_at(reterr_error, SKALD_EINVALID, "order",
                             "a key is only for the order by key");
    if (by_key && !options->key == !options->key_pointer)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "key",
                             "the order by key has either key or keyPointer");
    if (options->key_pointer)
        return ski_key_pointer_check(skald_str_of(options->key_pointer), reterr_error);
    return SKALD_OK;
}

static skald_err exhausted_check(const skald_subscription_options *options,
                                 skald_error *reterr_error)
{
    if ((unsigned)options->on_exhausted > SKALD_PARK_KEY)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "onExhausted", "no such end");
    if (options->on_exhausted != SKALD_HALT && !options->name)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "onExhausted",
                             "without a name nothing can be set aside: it would be lost");
    if (options->on_exhausted == SKALD_PARK_KEY && options->order == SKALD_IN_SEQUENCE)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "onExhausted",
                             "in sequence all is one key: use halt");
    if (options->dead_letters_max > asides_limit)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "deadLettersMax", "it is at most %d",
                             (int)asides_limit);
    if (options->parked_keys_max > asides_limit)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "parkedKeysMax", "it is at most %d",
                             (int)asides_limit);
    return SKALD_OK;
}

skald_err ski_options_check(const skald_subscription_options *options, skald_error *reterr_error)
{
    const skald_filter *filter = &options->filter;

    if (!options->handler.fn == !options->handler.ready)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "handler",
                             "a handler has either fn or ready");
    SKALD_TRY(name_check(skald_str_of(options->name), reterr_error));
    if (ski_str_begins(skald_str_of(options->name), SKALD_STR(SKI_INTERNAL_PREFIX)) &&
        options->handler.fn != ski_schedule_take)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "name",
                             "names that begin with " SKI_INTERNAL_PREFIX " are the bus's own");
    SKALD_TRY(texts_check(filter->types, "filter.types", reterr_error));
    SKALD_TRY(texts_check(filter->streams, "filter.streams", reterr_error));
    SKALD_TRY(texts_check(filter->categories, "filter.categories", reterr_error));
    if (filter->tenant.len > SKALD_TENANT_BYTES_MAX)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "filter.tenant", "it is too long");
    if (filter->correlation_id.len > SKALD_CORRELATION_BYTES_MAX)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "filter.correlationId",
                             "it is too long");
    SKALD_TRY(retry_check(&options->retry, reterr_error));
    SKALD_TRY(order_check(options, reterr_error));
    if ((unsigned)options->from > SKALD_FROM_END)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "from", "no such beginning");
    if (options->workers_max > workers_limit)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "workersMax", "it is at most %d",
                             (int)workers_limit);
    if (options->in_flight_max > SKI_CHECKPOINT_OPEN_MAX)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "inFlightMax", "it is at most %d",
                             (int)SKI_CHECKPOINT_OPEN_MAX);
    SKALD_TRY(exhausted_check(options, reterr_error));
    return SKALD_OK;
}

// Making one.

static bool copy_text(skald_arena *arena, skald_str text, skald_str *ret_text)
{
    *ret_text = text;
    if (!text.ptr) return true;
    *ret_text = text.len ? skald_arena_copy(arena, text) : SKALD_STR("");
    return ret_text->ptr != NULL;
}

static bool copy_texts(skald_arena *arena, skald_texts texts, skald_texts *ret_texts)
{
    *ret_texts = (skald_texts){0};
    if (!texts.count) return true;
    skald_str *items = skald_arena_get(arena, texts.count * sizeof(*items));

    if (!items) return false;
    for (size_t i = 0; i < texts.count; i++)
        if (!copy_text(arena, texts.items[i], &items[i])) return false;
    *ret_texts = (skald_texts){items, texts.count};
    return true;
}

bool ski_filter_copy(skald_arena *arena, const skald_filter *filter, skald_filter *ret_filter)
{
    *ret_filter = *filter;
    return copy_texts(arena, filter->types, &ret_filter->types) &&
           copy_texts(arena, filter->streams, &ret_filter->streams) &&
           copy_texts(arena, filter->categories, &ret_filter->categories) &&
           copy_text(arena, filter->tenant, &ret_filter->tenant) &&
           copy_text(arena, filter->correlation_id, &ret_filter->correlation_id);
}

static skald_retry_policy retry_complete(skald_retry_policy retry, skald_exhausted on_exhausted)
{
    if (!retry.attempts_max && on_exhausted != SKALD_HALT)
        retry.attempts_max = retry_attempts_default;
    if (!retry.first_ms) retry.first_ms = retry_first_default_ms;
    if (retry.factor == 0) retry.factor = 2;
    if (!retry.max_ms) retry.max_ms = retry_max_default_ms;
    if (retry.jitter == 0) retry.jitter = 0.2;
    if (retry.jitter < 0) retry.jitter = 0;
    if (!retry.timeout_ms) retry.timeout_ms = retry_timeout_default_ms;
    return retry;
}

static void sub_settings(ski_subscription *sub, const skald_subscription_options *options)
{
    bool in_sequence = options->order == SKALD_IN_SEQUENCE;

    sub->handler = options->handler;
    sub->pull = !options->handler.fn;
    sub->order = options->order;
    sub->retry = retry_complete(options->retry, options->on_exhausted);
    sub->on_exhausted = options->on_exhausted;
    sub->workers_max = options->workers_max ? options->workers_max : workers_default;
    sub->in_flight_max = options->in_flight_max ? options->in_flight_max : in_flight_default;
    sub->once = options->once;
    sub->takes_tests = options->takes_tests;
    sub->upcasts = options->upcasts;
    sub->durable = options->name != NULL;
    sub->armed = true;
    sub->starting = true;
    if (in_sequence || sub->once) sub->workers_max = 1;
    if (sub->once) sub->in_flight_max = 1; // the first one acked is the only one
    sub->timer.kind = SKI_TIMER_SUBSCRIPTION;
    sub->pending_timer.kind = SKI_TIMER_PENDING;
    sub->key = options->key;
    sub->internal = options->handler.fn == ski_schedule_take;
    sub->paused = options->paused;
    sub->dead_letters_max =
        options->dead_letters_max ? options->dead_letters_max : dead_letters_default;
    sub->parked_keys_max = options->parked_keys_max ? options->parked_keys_max : parked_default;
    sub->lag_events_max = options->lag_events_max ? options->lag_events_max : lag_default;
    sub->stale_after_s = options->stale_after_s ? options->stale_after_s : stale_default_s;
    ski_link_init(&sub->aside_changes);
    ski_link_init(&sub->aside_saving);
    ski_link_init(&sub->releases);
    ski_link_init(&sub->release_waits);
    ski_link_init(&sub->runnable);
    ski_link_init(&sub->catching);
    ski_link_init(&sub->dirties);
    ski_link_init(&sub->notify);
    ski_link_init(&sub->gone);
}

static bool sub_buckets(ski_subscription *sub)
{
    uint32_t count = 1;

    if (sub->order == SKALD_UNORDERED) return true;
    while (sub->order != SKALD_IN_SEQUENCE && count < sub->in_flight_max && count < buckets_max)
        count *= 2;
    sub->bucket_mask = count - 1;
    sub->buckets = skald_arena_get(sub->arena, count * sizeof(ski_delivery *));
    return sub->buckets != NULL;
}

static bool names_reserved(const skald_filter *filter)
{
    const skald_texts lists[] = {filter->types, filter->streams, filter->categories};

    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
        for (size_t j = 0; j < lists[i].count; j++)
            if (ski_reserved(lists[i].items[j])) return true;
    return false;
}

static bool sub_texts(ski_subscription *sub, const skald_subscription_options *options)
{
    skald_str kind = skald_str_of(options->kind ? options->kind : "handler");

    if (kind.len > kind_bytes_max) kind.len = kind_bytes_max;
    if (options->name) {
        sub->value_name = skald_arena_print(sub->arena, "%s%s", value_prefix, options->name);
        if (!sub->value_name.ptr) return false;
        sub->name = (skald_str){sub->value_name.ptr + sizeof(value_prefix) - 1,
                                sub->value_name.len - (sizeof(value_prefix) - 1)};
    }
    skald_filter filter; // by every name its types have

    if (skald_types_resolve(sub->bus->types, &options->filter, SIZE_MAX, sub->arena, &filter, NULL))
        return false;
    if (!copy_text(sub->arena, skald_str_of(options->key_pointer), &sub->key_pointer)) return false;
    if (!ski_filter_copy(sub->arena, &filter, &sub->filter)) return false;
    sub->rest = sub->filter;
    sub->rest.types = (skald_texts){0};
    sub->by_type = ski_match_by_type(&sub->filter);
    sub->names_reserved = names_reserved(&sub->filter);
    return copy_text(sub->arena, kind, &sub->kind) && sub_buckets(sub);
}

void ski_subscription_free(ski_subscription *sub)
{
    if (!sub) return;
    ski_asides_fini(sub);
    ski_free(sub->acks);
    skald_arena_free(sub->arena);
    ski_free(sub);
}

ski_subscription *ski_subscription_new(skald_bus *bus, const skald_subscription_options *options)
{
    ski_subscription *sub = ski_alloc_zeroed(1, sizeof(*sub));

    if (!sub) return NULL;
    sub->bus = bus;
    sub_settings(sub, options);
    if (skald_arena_new(arena_bytes_max, &sub->arena) || !sub_texts(sub, options)) {
        ski_subscription_free(sub);
        return NULL;
    }
    return sub;
}
