// SPDX-License-Identifier: Apache-2.0
// The schemas of a bus: kept in the store, one value a version, and asked before an event is
// appended.
//
// A bus without schemas does not ask: the registry takes a lock, a publish should not.
#include "bus/engine.h"
#include "event/schema/registry.h"
#include "event/types.h"

#include <stdio.h>
#include <string.h>

skald_schemas *skald_bus_schemas(skald_bus *bus)
{
    return bus->schemas;
}

static void saved_done(skald_store_batch *batch, skald_err err)
{
    *(skald_err *)batch->context = err;
}

static skald_err schema_save(void *context, skald_str name, skald_json document)
{
    skald_bus *bus = context;
    skald_err outcome = SKALD_OK;
    const skald_store_value value = {.name = name, .bytes = document};
    skald_store_batch batch = {
        .values = &value, .value_count = 1, .done = saved_done, .context = &outcome};
    skald_err err = ski_store_commit(bus->store, &batch);

    if (err || outcome) return err ? err : outcome;
    atomic_store(&bus->has_schemas, true);
    return SKALD_OK;
}

typedef struct loading {
    skald_bus *bus;
    skald_err err;
} loading;

static bool schema_load(void *context, const skald_store_value *value)
{
    loading *from = context;

    from->err = skald_schemas_load(from->bus->schemas, value->bytes, NULL);
    if (from->err == SKALD_EINVALID) from->err = SKALD_ECORRUPT;
    if (!from->err) atomic_store(&from->bus->has_schemas, true);
    return !from->err;
}

skald_err ski_bus_schemas_open(skald_bus *bus)
{
    const skald_schemas_options options = {.save = schema_save, .context = bus};
    loading from = {.bus = bus};

    SKALD_TRY(skald_schemas_new(&options, &bus->schemas));
    SKALD_TRY(
        ski_store_value_each(bus->store, SKALD_STR(SKI_SCHEMA_NAME_PREFIX), schema_load, &from));
    return from.err;
}

bool ski_admission_asked(const skald_bus *bus)
{
    return ski_types_are_strict(bus->types) ||
           atomic_load_explicit(&((skald_bus *)bus)->has_schemas, memory_order_relaxed);
}

// misfit says of data that its schema refuses which member, and which schema.
static skald_err misfit(skald_error *error, skald_str type, uint32_t version)
{
    char field[sizeof error->field], text[sizeof error->text];

    if (!error) return SKALD_ESCHEMA;
    memcpy(field, error->field, sizeof field);
    memcpy(text, error->text, sizeof text);
    // The path of a member is a JSON pointer, and what is wrong begins with it.
    (void)skald_fail(error, SKALD_ESCHEMA, "data%s%.*s (schema %u of '%.*s')", field[0] ? "" : ": ",
                     (int)sizeof text - 40, text, version, SKALD_FMT(type));
    (void)snprintf(error->field, sizeof error->field, "data%.58s", field);
    for (char *at = error->field; *at; at++) {
        if (*at == '/') *at = '.';
    }
    return SKALD_ESCHEMA;
}

skald_err ski_event_admit(const skald_bus *bus, const skald_event *event, skald_error *reterr_error)
{
    ski_type_look look = {.name = event->type};

    SKALD_TRY(ski_types_admit(bus->types, event->type, reterr_error));
    if (!atomic_load_explicit(&((skald_bus *)bus)->has_schemas, memory_order_relaxed))
        return SKALD_OK;
    (void)ski_types_look(bus->types, event->type, &look);
    skald_err err =
        ski_schema_registry_check(bus->schemas, look.name, event->version ? event->version : 1,
                                  event->data, reterr_error);

    if (err == SKALD_ESCHEMA)
        return misfit(reterr_error, look.name, event->version ? event->version : 1);
    if (err != SKALD_ENOTFOUND) return err;
    // To a publisher it is not that something is not there, but that this version may not be used.
    return skald_fail_at(reterr_error, SKALD_ESCHEMA, "version",
                         "'%.*s' has schemas, but none of version %u", SKALD_FMT(look.name),
                         event->version ? event->version : 1);
}
