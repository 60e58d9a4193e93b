// SPDX-License-Identifier: Apache-2.0
// Structs in, structs out: typed publish and typed subscribe, by the descriptor of a type.
//
// A type becomes known to the bus when it is first published or subscribed to, so a program
// registers nothing by hand.
#include "base/alloc.h"
#include "base/buf.h"
#include "bus/engine.h"
#include "event/fields.h"
#include "event/types.h"

// What a typed subscription needs beside the caller's handler: its context is this.
typedef struct typed_handler {
    const skald_event_type *type;
    skald_typed_fn *fn;
    skald_typed_call_fn *call;
    void *context; // the caller's, as is end
    void (*end)(void *context);
} typed_handler;

skald_err skald_typed_publish(skald_bus *bus, const skald_event_type *type, const void *object,
                              const skald_event *envelope, const skald_publish_options *options)
{
    skald_error *reterr_error = options ? options->reterr_error : NULL;
    skald_buf buf = {.bytes_max = SKALD_EVENT_BYTES_LIMIT};
    skald_event event = envelope ? *envelope : (skald_event){0};
    skald_err err = ski_types_declare(bus->types, type, reterr_error);

    if (!err) err = skald_encode(type->record(), object, &buf, reterr_error);
    if (!err) {
        event.type = skald_str_of(type->name);
        event.data = ski_buf_str(&buf);
        event.version = type->version;
        event.transient |= type->transient;
        if (event.priority == SKALD_NORMAL) event.priority = type->priority;
        err = skald_publish(bus, event, options);
    }
    skald_buf_fini(&buf);
    return err;
}

static skald_outcome typed_run(const skald_delivery *delivery)
{
    const typed_handler *handler = delivery->context;
    const void *object = NULL;
    skald_error error = {0};
    skald_err err = ski_decode_checked(handler->type->record(), delivery->event->data,
                                       delivery->scratch, &object, &error);

    if (err == SKALD_ENOMEM) return skald_retry(delivery, 0, "%s", error.text);
    if (err) return skald_reject(delivery, "it is no %s: %s", handler->type->name, error.text);
    // The delivery is lent writable by who calls us, and reasons are noted beside it: no copy.
    ((skald_delivery *)delivery)->context = handler->context;
    skald_outcome outcome = handler->call(handler->fn, delivery, object);

    ((skald_delivery *)delivery)->context = (void *)handler;
    return outcome;
}

static void typed_end(void *context)
{
    typed_handler *handler = context;

    if (handler->end) handler->end(handler->context);
    ski_free(handler);
}

static skald_err typed_check(skald_bus *bus, const skald_event_type *type, skald_typed_fn *fn,
                             const skald_subscription_options *options, skald_error *reterr_error)
{
    if (!fn || options->handler.fn || options->handler.ready || options->filter.types.count)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "handler",
                             "a typed subscription is given its handler apart; handler.fn, "
                             "handler.ready and filter.types are left zero");
    return ski_types_declare(bus->types, type, reterr_error);
}

skald_err skald_typed_subscribe(skald_bus *bus, const skald_event_type *type, skald_typed_fn *fn,
                                skald_typed_call_fn *call,
                                const skald_subscription_options *options,
                                skald_subscription *ret_subscription, skald_error *reterr_error)
{
    const skald_str name = skald_str_of(type->name);
    skald_subscription_options typed = options ? *options : (skald_subscription_options){0};
    skald_err err = typed_check(bus, type, fn, &typed, reterr_error);
    typed_handler *handler = err ? NULL : ski_alloc(sizeof(*handler));

    if (!handler) {
        if (!err) err = skald_fail(reterr_error, SKALD_ENOMEM, "out of memory");
        if (typed.handler.end) typed.handler.end(typed.handler.context);
        return err;
    }
    *handler = (typed_handler){.type = type,
                               .fn = fn,
                               .call = call,
                               .context = typed.handler.context,
                               .end = typed.handler.end};
    typed.handler = (skald_handler){.fn = typed_run, .context = handler, .end = typed_end};
    typed.filter.types = (skald_texts){&name, 1};
    typed.upcasts = true;
    return skald_subscribe(bus, &typed, ret_subscription, reterr_error);
}
