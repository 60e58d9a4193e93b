// SPDX-License-Identifier: Apache-2.0
// Reading the registry as a whole: lists, the name that may have been meant when one is refused,
// filters by every name.
//
// Names may be added meanwhile; each of these sees those that were there when it began.
#include "event/types_inside.h"

#include "base/str.h"

#include <stdlib.h>
#include <string.h>

static int versions_compare(const void *a, const void *b)
{
    uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;

    return one < other ? -1 : one > other;
}

static skald_err row_fill(const ski_type *type, skald_arena *arena, skald_type_row *ret_row)
{
    uint32_t names = ski_type_name_count(type);
    uint32_t count =
        atomic_load_explicit(&((ski_type *)type)->declared_count, memory_order_acquire);
    skald_str *aliases = skald_arena_get(arena, names * sizeof(*aliases));
    uint32_t *versions = skald_arena_get(arena, (count + 1) * sizeof(*versions));
    skald_type_row row = {
        .name = ski_type_name(type),
        .aliases = {aliases, names - 1},
        .versions = versions,
        .version_count = count,
        .transient = atomic_load(&((ski_type *)type)->transient),
    };

    if (!aliases || !versions) return SKALD_ENOMEM;
    for (uint32_t i = 1; i < names; i++) aliases[i - 1] = ski_type_name_at(type, i)->text;
    for (uint32_t i = 0; i < count; i++) {
        versions[i] = type->declared[i]->version;
        if (!row.declared || row.declared->version < versions[i]) row.declared = type->declared[i];
    }
    qsort(versions, count, sizeof(*versions), versions_compare);
    *ret_row = row;
    return SKALD_OK;
}

skald_err ski_types_row(const skald_types *types, skald_str name, skald_arena *arena,
                        skald_type_row *ret_row)
{
    const ski_name *found = ski_names_find(types, name);

    return found ? row_fill(found->type, arena, ret_row) : SKALD_ENOTFOUND;
}

static int rows_compare(const void *a, const void *b)
{
    return ski_str_compare(((const skald_type_row *)a)->name, ((const skald_type_row *)b)->name);
}

// is_type: every type is met once, at its dotted name.
static bool is_type(const ski_name *name)
{
    return ski_type_name_at(name->type, 0) == name;
}

skald_err skald_types_list(const skald_types *types, skald_arena *arena,
                           const skald_type_row **ret_rows, size_t *ret_count)
{
    const ski_name *newest = ski_names_newest(types);
    size_t count = 0, filled = 0;

    for (const ski_name *name = newest; name; name = name->older) count += is_type(name);
    skald_type_row *rows = skald_arena_get(arena, (count + 1) * sizeof(*rows));

    if (!rows) return SKALD_ENOMEM;
    for (const ski_name *name = newest; name; name = name->older)
        if (is_type(name)) SKALD_TRY(row_fill(name->type, arena, &rows[filled++]));
    qsort(rows, count, sizeof(*rows), rows_compare);
    *ret_rows = rows;
    *ret_count = count;
    return SKALD_OK;
}

enum { distance_bytes_max = 64 };

static char folded(char byte)
{
    if (byte >= 'A' && byte <= 'Z') return (char)(byte - 'A' + 'a');
    return byte == '_' ? '.' : byte;
}

// distance is how many bytes are changed, added or left out between two names (Levenshtein), case
// and '_' for '.' counting as nothing.
static unsigned distance(skald_str a, skald_str b)
{
    unsigned row[distance_bytes_max + 1];

    for (unsigned j = 0; j <= b.len; j++) row[j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned change = diagonal + (folded(a.ptr[i - 1]) != folded(b.ptr[j - 1]));

            diagonal = row[j];
            if (row[j] + 1 < change) change = row[j] + 1;
            if (row[j - 1] + 1 < change) change = row[j - 1] + 1;
            row[j] = change;
        }
    }
    return row[b.len];
}

skald_str skald_types_closest(const skald_types *types, skald_str name)
{
    unsigned best = name.len < 8 ? 2 : (unsigned)name.len / 3; // farther is no likeness
    const ski_name *meant = NULL;

    if (!name.len || name.len > distance_bytes_max) return (skald_str){0};
    if (best > 6) best = 6;
    best++;
    for (const ski_name *at = ski_names_newest(types); at; at = at->older) {
        size_t shorter = at->text.len < name.len ? at->text.len : name.len;

        if (at->text.len > distance_bytes_max || at->text.len + name.len - 2 * shorter >= best)
            continue;
        unsigned far = distance(name, at->text);

        if (far >= best) continue;
        best = far;
        meant = at;
    }
    return meant ? ski_type_name(meant->type) : (skald_str){0};
}

skald_err ski_types_admit(const skald_types *types, skald_str name, skald_error *reterr_error)
{
    if (!ski_types_are_strict(types) || ski_names_find(types, name) ||
        ski_str_begins(name, SKALD_STR("system.")) || ski_str_begins(name, SKALD_STR("audit.")))
        return SKALD_OK;
    skald_str meant = skald_types_closest(types, name);

    if (meant.len)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "type",
                             "no type '%.*s' is known; did you mean '%.*s'?", SKALD_FMT(name),
                             SKALD_FMT(meant));
    return skald_fail_at(reterr_error, SKALD_EINVALID, "type",
                         "no type '%.*s' is known, and only known ones are taken here; register "
                         "it first: PUT /api/types/%.*s",
                         SKALD_FMT(name), SKALD_FMT(name));
}

// Filters.

typedef struct name_list {
    skald_str *items; // NULL: only counted
    size_t count, max;
} name_list;

static void list_add(name_list *list, skald_str name)
{
    if (!list->items) {
        list->count++;
        return;
    }
    for (size_t i = 0; i < list->count; i++)
        if (skald_str_equal(list->items[i], name)) return;
    if (list->count < list->max) list->items[list->count++] = name;
}

static void names_add(name_list *list, const ski_type *type)
{
    uint32_t count = ski_type_name_count(type);

    for (uint32_t i = 0; i < count; i++) list_add(list, ski_type_name_at(type, i)->text);
}

// prefix_add: "company.*" also means the type that has the other name company.created.
static void prefix_add(name_list *list, const skald_types *types, skald_str pattern)
{
    skald_str prefix = {pattern.ptr, pattern.len - 1};

    list_add(list, pattern);
    if (!prefix.len) return; // "*" is everything
    for (const ski_name *name = ski_names_newest(types); name; name = name->older)
        if (!is_type(name) && ski_str_begins(name->text, prefix)) names_add(list, name->type);
}

static void filter_add(name_list *list, const skald_types *types, skald_texts asked)
{
    for (size_t i = 0; i < asked.count; i++) {
        skald_str item = asked.items[i];
        const ski_name *name = item.len ? ski_names_find(types, item) : NULL;

        if (name)
            names_add(list, name->type);
        else if (item.len && item.ptr[item.len - 1] == '*')
            prefix_add(list, types, item);
        else
            list_add(list, item);
    }
}

skald_err skald_types_resolve(const skald_types *types, const skald_filter *filter,
                              size_t items_max, skald_arena *arena, skald_filter *ret_filter,
                              skald_error *reterr_error)
{
    name_list list = {0};
    skald_filter resolved = *filter;

    filter_add(&list, types, filter->types);
    if (list.count) {
        list = (name_list){.max = list.count};
        list.items = skald_arena_get(arena, list.max * sizeof(*list.items));
        if (!list.items) return SKALD_ENOMEM;
        filter_add(&list, types, filter->types);
        if (list.count > items_max)
            return skald_fail_at(reterr_error, SKALD_ETOOBIG, "filter.types",
                                 "the types have %zu names in all; at most %zu are possible",
                                 list.count, items_max);
        resolved.types = (skald_texts){list.items, list.count};
    }
    *ret_filter = resolved;
    return SKALD_OK;
}
