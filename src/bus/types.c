// SPDX-License-Identifier: Apache-2.0
// The names of types: kept in the store as "type/NAME", one value each, and given to subscriptions.
//
// A name that becomes another name of a type changes under what its events are stored. A
// subscription that asked for it by either name must miss none of them, so its filter is widened
// before the change shows (events stored from then on are meant) and again after it (for those that
// began in between).
#include "event/types.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "bus/engine.h"

static const char value_prefix[] = "type/";

enum { value_bytes_max = 16 * 1024 };

skald_types *skald_bus_types(skald_bus *bus)
{
    return bus->types;
}

void ski_event_rename(const skald_bus *bus, skald_event *event)
{
    ski_type_look look;

    if (!ski_types_look(bus->types, event->type, &look)) return;
    event->type = look.name;
    event->transient |= look.transient;
}

skald_err ski_filter_admit(const skald_bus *bus, const skald_filter *filter,
                           skald_error *reterr_error)
{
    skald_arena *arena = NULL;
    skald_filter resolved;

    if (!filter->types.count) return SKALD_OK;
    SKALD_TRY(skald_arena_new(SKI_SCRATCH_BYTES_MAX, &arena));
    skald_err err = skald_types_resolve(bus->types, filter, SKI_FILTER_ITEMS_MAX, arena, &resolved,
                                        reterr_error);

    skald_arena_free(arena);
    return err;
}

bool ski_filter_fold(const skald_bus *bus, skald_filter *filter)
{
    skald_str *items = (skald_str *)filter->types.items;
    size_t kept = 0;

    for (size_t i = 0; i < filter->types.count; i++) {
        skald_str name = skald_types_name(bus->types, items[i]);
        size_t j = 0;

        if (!name.len) name = items[i];
        while (j < kept && !skald_str_equal(items[j], name)) j++;
        items[j] = name;
        if (j == kept) kept++;
    }
    filter->types.count = kept;
    return true;
}

// Loading.

typedef struct loading {
    skald_types *types;
    skald_arena *arena;
    skald_err err;
    skald_error *error;
} loading;

static skald_err aliases_read(loading *from, skald_str array, skald_texts *ret_aliases)
{
    skald_str *items = skald_arena_get(from->arena, SKALD_TYPE_ALIASES_MAX * sizeof(*items));
    ski_json_walk walk = {.rest = array};
    ski_json_item item;
    size_t count = 0;

    if (!items) return SKALD_ENOMEM;
    if (ski_json_kind_of(array) != SKI_JSON_ARRAY) return SKALD_ECORRUPT;
    while (ski_json_next(&walk, &item)) {
        if (item.kind != SKI_JSON_STRING || count == SKALD_TYPE_ALIASES_MAX) return SKALD_ECORRUPT;
        SKALD_TRY(ski_json_unescape(item.value, from->arena, &items[count++]));
    }
    *ret_aliases = (skald_texts){items, count};
    return SKALD_OK;
}

static skald_err type_load(loading *from, skald_str type, skald_json json)
{
    skald_texts aliases = {0};
    bool transient = false;
    ski_json_walk walk = {.rest = json};
    ski_json_item item;

    if (ski_json_door_check(json, false, NULL) || ski_json_kind_of(json) != SKI_JSON_OBJECT)
        return SKALD_ECORRUPT;
    while (ski_json_next(&walk, &item)) {
        if (skald_str_equal(item.key, SKALD_STR("aliases")))
            SKALD_TRY(aliases_read(from, item.value, &aliases));
        else if (skald_str_equal(item.key, SKALD_STR("persistent")))
            transient = item.kind == SKI_JSON_FALSE;
    }
    const ski_type_change asked = {.type = type, .aliases = aliases, .transient = &transient};

    return ski_types_change(from->types, &asked, from->error);
}

static bool value_load(void *context, const skald_store_value *value)
{
    loading *from = context;
    size_t prefix = sizeof(value_prefix) - 1;
    skald_str type = {value->name.ptr + prefix, value->name.len - prefix};

    from->err = type_load(from, type, value->bytes);
    if (from->err == SKALD_ECORRUPT)
        (void)skald_fail(from->error, SKALD_ECORRUPT, "what is kept of the type '%.*s' is damaged",
                         SKALD_FMT(type));
    skald_arena_reset(from->arena);
    return !from->err;
}

skald_err skald_types_load(skald_types *types, skald_store *store, skald_error *reterr_error)
{
    loading from = {.types = types, .error = reterr_error};

    SKALD_TRY(skald_arena_new(4 * (size_t)value_bytes_max, &from.arena));
    skald_err err = ski_store_value_each(store, skald_str_of(value_prefix), value_load, &from);

    skald_arena_free(from.arena);
    return err ? err : from.err;
}

skald_err ski_bus_types_open(skald_bus *bus)
{
    SKALD_TRY(skald_types_new(0, &bus->types));
    return skald_types_load(bus->types, bus->store, NULL);
}

// Keeping.

static void kept_done(skald_store_batch *batch, skald_err err)
{
    *(skald_err *)batch->context = err;
}

static skald_err value_write(const skald_type_row *row, skald_buf *buf)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"aliases\":[")));
    for (size_t i = 0; i < row->aliases.count; i++) {
        if (i) SKALD_TRY(ski_buf_byte(buf, ','));
        SKALD_TRY(ski_json_put_string(buf, row->aliases.items[i]));
    }
    return ski_buf_print(buf, "],\"persistent\":%s}", row->transient ? "false" : "true");
}

static skald_err row_keep(skald_bus *bus, const skald_type_row *row)
{
    skald_buf name = {.bytes_max = SKI_STORE_VALUE_NAME_BYTES_MAX};
    skald_buf bytes = {.bytes_max = value_bytes_max};
    skald_err outcome = SKALD_OK;
    skald_store_value value;
    skald_store_batch batch = {
        .values = &value, .value_count = 1, .done = kept_done, .context = &outcome};
    skald_err err = ski_buf_print(&name, "%s%.*s", value_prefix, SKALD_FMT(row->name));

    if (!err) err = value_write(row, &bytes);
    value = (skald_store_value){.name = ski_buf_str(&name), .bytes = ski_buf_str(&bytes)};
    if (!err) err = ski_store_commit(bus->store, &batch);
    skald_buf_fini(&bytes);
    skald_buf_fini(&name);
    return err ? err : outcome;
}

// Widening.

static bool names_have(skald_texts names, skald_str name)
{
    for (size_t i = 0; i < names.count; i++)
        if (skald_str_equal(names.items[i], name)) return true;
    return false;
}

// is_meant: does the filter ask for the type by another name than its own?
static bool is_meant(skald_texts types, const skald_type_row *row)
{
    for (size_t i = 0; i < types.count; i++) {
        skald_str item = types.items[i];
        bool prefix = item.len > 1 && item.ptr[item.len - 1] == '*';

        if (names_have(row->aliases, item) || skald_str_equal(item, row->name)) return true;
        for (size_t j = 0; prefix && j < row->aliases.count; j++)
            if (ski_str_begins(row->aliases.items[j], (skald_str){item.ptr, item.len - 1}))
                return true;
    }
    return false;
}

static skald_err sub_widen(ski_subscription *sub, const skald_type_row *row)
{
    skald_texts types = sub->filter.types;
    size_t size = types.count + row->aliases.count + 1;
    skald_texts wider = {0};

    if (!is_meant(types, row)) return SKALD_OK;
    skald_str *items = skald_arena_get(sub->arena, size * sizeof(*items));

    if (!items) return SKALD_ENOMEM;
    wider.items = items;
    for (; wider.count < types.count; wider.count++) items[wider.count] = types.items[wider.count];
    for (size_t i = 0; i <= row->aliases.count; i++) {
        skald_str name = i ? row->aliases.items[i - 1] : row->name;

        if (names_have(wider, name)) continue;
        items[wider.count] = skald_arena_copy(sub->arena, name);
        if (!items[wider.count].ptr) return SKALD_ENOMEM;
        wider.count++;
    }
    if (wider.count == types.count) return SKALD_OK;
    skald_filter filter = sub->filter;

    filter.types = wider;
    if (!sub->starting) SKALD_TRY(ski_match_widen(&sub->bus->match, &filter, types.count, sub));
    sub->filter.types = wider;
    return SKALD_OK;
}

static skald_err subs_widen(skald_bus *bus, const skald_type_row *row)
{
    skald_err err = SKALD_OK;

    ski_bus_lock(bus);
    for (uint32_t i = 0; i < bus->subscriptions_max && !err; i++)
        if (bus->subs[i] && !bus->subs[i]->ended) err = sub_widen(bus->subs[i], row);
    ski_bus_leave(bus);
    return err;
}

// subs_have_room: before anything is changed, for a filter has a limit.
static bool subs_have_room(skald_bus *bus, const skald_type_row *row)
{
    bool room = true;

    ski_bus_lock(bus);
    for (uint32_t i = 0; i < bus->subscriptions_max && room; i++) {
        const ski_subscription *sub = bus->subs[i];

        room = !sub || sub->ended || !is_meant(sub->filter.types, row) ||
               sub->filter.types.count + row->aliases.count < SKI_FILTER_ITEMS_MAX;
    }
    ski_bus_leave(bus);
    return room;
}

static skald_err type_keep(void *context, const skald_type_row *row)
{
    if (!subs_have_room(context, row)) return SKALD_EFULL;
    SKALD_TRY(row_keep(context, row));
    return subs_widen(context, row);
}

skald_err skald_bus_type_put(skald_bus *bus, skald_str type, skald_texts aliases,
                             const bool *transient, skald_error *reterr_error)
{
    const ski_type_change asked = {.type = type,
                                   .aliases = aliases,
                                   .transient = transient,
                                   .keep = type_keep,
                                   .context = bus};
    skald_arena *arena = NULL;
    skald_type_row row;

    SKALD_TRY(skald_arena_new(value_bytes_max, &arena));
    skald_err err = ski_types_change(bus->types, &asked, reterr_error);

    if (!err) err = ski_types_row(bus->types, type, arena, &row);
    if (!err) err = subs_widen(bus, &row);
    skald_arena_free(arena);
    return err;
}
