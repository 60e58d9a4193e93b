// SPDX-License-Identifier: Apache-2.0
// The match index: a hash map from a field's value to the list of those that name it.
//
// Invariants:
//   1. A name is in the map exactly while its list is not empty; its slot is reused afterwards.
//   2. looks has the bit of every name in the map, so that what it has not is not there.
//   3. An item stands once under a name, also when its filter has the name twice.
#include "bus/match.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <assert.h>
#include <string.h>

struct ski_match_name {
    char *text;
    uint32_t len;
    uint32_t next_free;
    uint8_t field;
    ski_match_list list;
};

enum { list_first = 4, names_first = 16 };

// What a filter stands under: the items of one field, or (no field) nothing.
typedef struct standing {
    uint8_t field; // of all but prefixes among types
    const skald_str *items;
    size_t count; // 0: among the others
} standing;

void ski_match_init(ski_match *match)
{
    *match = (ski_match){.name_free = SKI_MAP_NONE};
}

void ski_match_fini(ski_match *match)
{
    for (uint32_t i = 0; i < match->name_count; i++) {
        ski_free(match->names[i].text);
        ski_free(match->names[i].list.items);
    }
    ski_free(match->names);
    ski_free(match->others.items);
    ski_map_fini(&match->map);
    ski_match_init(match);
}

// Filters.

static bool is_prefix(skald_str type)
{
    return type.len > 1 && type.ptr[type.len - 1] == '*' && type.ptr[type.len - 2] == '.';
}

static bool is_every(skald_str type)
{
    return type.len == 1 && type.ptr[0] == '*';
}

static bool types_tell(skald_texts types)
{
    for (size_t i = 0; i < types.count; i++)
        if (is_every(types.items[i])) return false;
    return types.count != 0;
}

static standing stands_under(const skald_filter *filter)
{
    if (filter->correlation_id.len)
        return (standing){SKI_MATCH_CORRELATION, &filter->correlation_id, 1};
    if (filter->streams.count)
        return (standing){SKI_MATCH_STREAM, filter->streams.items, filter->streams.count};
    if (types_tell(filter->types))
        return (standing){SKI_MATCH_TYPE, filter->types.items, filter->types.count};
    if (filter->categories.count)
        return (standing){SKI_MATCH_CATEGORY, filter->categories.items, filter->categories.count};
    if (filter->tenant.ptr) return (standing){SKI_MATCH_TENANT, &filter->tenant, 1};
    return (standing){0};
}

bool ski_match_by_type(const skald_filter *filter)
{
    bool by_name = stands_under(filter).field == SKI_MATCH_TYPE;

    for (size_t i = 0; i < filter->types.count && by_name; i++)
        by_name = !is_prefix(filter->types.items[i]);
    return by_name;
}

// field_of gives the field of one item, and its text there.
static uint8_t field_of(const standing *of, size_t index, skald_str *ret_text)
{
    *ret_text = of->items[index];
    if (of->field != SKI_MATCH_TYPE || !is_prefix(*ret_text)) return of->field;
    ret_text->len--;
    return SKI_MATCH_PREFIX;
}

// Names.

static uint64_t name_hash(uint8_t field, skald_str text)
{
    return ski_hash64(field, text.ptr, text.len);
}

// name_look is one bit, by which most names of events differ from those that are asked for.
static uint64_t name_look(skald_str text)
{
    unsigned char end = text.len ? (unsigned char)text.ptr[text.len - 1] : 0;

    return UINT64_C(1) << ((text.len * 11 + end) & 63);
}

static uint64_t slot_hash(void *context, uint32_t slot)
{
    const ski_match *match = context;
    const ski_match_name *name = &match->names[slot];

    return name_hash(name->field, (skald_str){name->text, name->len});
}

static uint32_t name_slot(const ski_match *match, uint8_t field, skald_str text)
{
    uint64_t hash = name_hash(field, text);
    uint32_t cursor = 0, slot;

    while ((slot = ski_map_find(&match->map, hash, &cursor)) != SKI_MAP_NONE) {
        const ski_match_name *name = &match->names[slot];

        if (name->field == field && name->len == text.len &&
            (!text.len || memcmp(name->text, text.ptr, text.len) == 0))
            break;
    }
    return slot;
}

static skald_err list_add(ski_match_list *list, void *item)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i] == item) return SKALD_OK;
    if (list->count == list->size) {
        uint32_t size = list->size ? list->size * 2 : list_first;
        void **items = ski_realloc(list->items, size * sizeof(*items));

        if (!items) return SKALD_ENOMEM;
        list->items = items;
        list->size = size;
    }
    list->items[list->count++] = item;
    return SKALD_OK;
}

static void list_remove(ski_match_list *list, const void *item)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->items[i] != item) continue;
        list->items[i] = list->items[--list->count];
        return;
    }
}

static skald_err name_slot_free(ski_match *match, uint32_t *ret_slot)
{
    if (match->name_free != SKI_MAP_NONE) {
        *ret_slot = match->name_free;
        match->name_free = match->names[*ret_slot].next_free;
        return SKALD_OK;
    }
    if (match->name_count == match->name_size) {
        uint32_t size = match->name_size ? match->name_size * 2 : names_first;
        ski_match_name *names = ski_realloc(match->names, size * sizeof(*names));

        if (!names) return SKALD_ENOMEM;
        match->names = names;
        match->name_size = size;
    }
    match->names[match->name_count] = (ski_match_name){0};
    *ret_slot = match->name_count++;
    return SKALD_OK;
}

static void name_drop(ski_match *match, uint32_t slot)
{
    ski_match_name *name = &match->names[slot];

    ski_free(name->text);
    ski_free(name->list.items);
    *name = (ski_match_name){.next_free = match->name_free};
    match->name_free = slot;
}

static skald_err name_new(ski_match *match, uint8_t field, skald_str text, void *item)
{
    uint32_t slot;

    SKALD_TRY(name_slot_free(match, &slot));
    ski_match_name *name = &match->names[slot];
    skald_err err = SKALD_ENOMEM;

    *name = (ski_match_name){.text = ski_alloc(text.len ? text.len : 1),
                             .len = (uint32_t)text.len,
                             .field = field};
    if (!name->text) goto fail;
    if (text.len) memcpy(name->text, text.ptr, text.len);
    err = list_add(&name->list, item);
    if (err) goto fail;
    err = ski_map_put(&match->map, name_hash(field, text), slot, slot_hash, match);
    if (err) goto fail;
    match->used[field]++;
    match->looks[field] |= name_look(text);
    return SKALD_OK;

fail:
    name_drop(match, slot);
    return err;
}

// standing_remove takes item out of the names [from, to).
static void standing_remove(ski_match *match, const standing *of, size_t from, size_t to,
                            void *item)
{
    for (size_t i = from; i < to; i++) {
        skald_str text;
        uint8_t field = field_of(of, i, &text);
        uint32_t slot = name_slot(match, field, text);

        if (slot == SKI_MAP_NONE) continue; // named twice, removed already
        list_remove(&match->names[slot].list, item);
        if (match->names[slot].list.count) continue;
        ski_map_remove(&match->map, name_hash(field, text), slot, slot_hash, match);
        name_drop(match, slot);
        if (!--match->used[field]) match->looks[field] = 0;
    }
}

// standing_add puts item under the names from one on; it stands under none of these.
static skald_err standing_add(ski_match *match, const standing *of, size_t from, void *item)
{
    for (size_t i = from; i < of->count; i++) {
        skald_str text;
        uint8_t field = field_of(of, i, &text);
        uint32_t slot = name_slot(match, field, text);
        skald_err err = slot == SKI_MAP_NONE ? name_new(match, field, text, item)
                                             : list_add(&match->names[slot].list, item);

        if (err) {
            standing_remove(match, of, from, i, item);
            return err;
        }
    }
    return SKALD_OK;
}

skald_err ski_match_add(ski_match *match, const skald_filter *filter, void *item)
{
    standing of = stands_under(filter);

    if (!of.count) return list_add(&match->others, item);
    return standing_add(match, &of, 0, item);
}

skald_err ski_match_widen(ski_match *match, const skald_filter *filter, size_t types_before,
                          void *item)
{
    standing of = stands_under(filter);

    if (of.items != filter->types.items) return SKALD_OK; // it stands under something else
    return standing_add(match, &of, types_before, item);
}

void ski_match_remove(ski_match *match, const skald_filter *filter, void *item)
{
    standing of = stands_under(filter);

    if (of.count)
        standing_remove(match, &of, 0, of.count, item);
    else
        list_remove(&match->others, item);
}

// Events.

typedef struct finding {
    const ski_match *match;
    const ski_match_list **lists;
    uint32_t count;
} finding;

static void look(finding *in, uint8_t field, skald_str text)
{
    if (!(in->match->looks[field] & name_look(text))) return;
    uint32_t slot = name_slot(in->match, field, text);

    if (slot != SKI_MAP_NONE) in->lists[in->count++] = &in->match->names[slot].list;
}

uint32_t ski_match_find(const ski_match *match, const skald_event *event,
                        const ski_match_list *ret_lists[SKI_MATCH_LISTS_MAX])
{
    finding in = {match, ret_lists, 0};

    look(&in, SKI_MATCH_TYPE, event->type);
    for (size_t i = 0; match->used[SKI_MATCH_PREFIX] && i + 1 < event->type.len; i++)
        if (event->type.ptr[i] == '.')
            look(&in, SKI_MATCH_PREFIX, (skald_str){event->type.ptr, i + 1});
    if (event->stream.len) {
        look(&in, SKI_MATCH_STREAM, event->stream);
        if (match->used[SKI_MATCH_CATEGORY])
            look(&in, SKI_MATCH_CATEGORY, skald_event_category(event->stream));
    }
    if (event->correlation_id.len) look(&in, SKI_MATCH_CORRELATION, event->correlation_id);
    look(&in, SKI_MATCH_TENANT, event->tenant);
    if (match->others.count) ret_lists[in.count++] = &match->others;
    return in.count;
}
