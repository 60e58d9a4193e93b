// SPDX-License-Identifier: Apache-2.0
// The registry of names: a hash table that is read without a lock and only ever grows.
//
// Every publish looks a name up, so looking costs one hash and one probe, whatever is being added
// meanwhile. Adding is rare and takes the lock.
//
// Invariants:
//   1. An entry never changes its name or type and is never removed: a name that was published
//      under must go on meaning the same.
//   2. An entry is whole before its slot, list or type shows it (release), and who sees it sees all
//      of it (acquire). A table that became too small stays as it is until the registry is freed,
//      so who still reads it misses at most what is being added at that moment.
//   3. A table is at most half full.
#include "event/types.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/str.h"
#include "event/types_inside.h"

#include <string.h>

enum { table_first = 64 };

typedef struct name_table {
    uint32_t mask;
    struct name_table *older;
    _Atomic(ski_name *) slots[];
} name_table;

struct skald_types {
    _Atomic(name_table *) table;
    _Atomic(ski_name *) newest; // every name there is
    atomic_bool strict;
    // The lock: everything below, and every change.
    ski_mutex lock;
    ski_type *types; // every type, to be freed
    uint32_t count, names_max;
};

static uint64_t name_hash(skald_str name)
{
    return ski_hash64(0, name.ptr, name.len);
}

const ski_name *ski_names_newest(const skald_types *types)
{
    return atomic_load_explicit(&((skald_types *)types)->newest, memory_order_acquire);
}

bool ski_types_any(const skald_types *types)
{
    return ski_names_newest(types) != NULL;
}

ski_name *ski_names_find(const skald_types *types, skald_str text)
{
    const name_table *table =
        atomic_load_explicit(&((skald_types *)types)->table, memory_order_acquire);
    uint64_t hash;

    if (!ski_names_newest(types)) return NULL;
    hash = name_hash(text);

    for (uint32_t at = (uint32_t)hash & table->mask;; at = (at + 1) & table->mask) {
        ski_name *name =
            atomic_load_explicit(&((name_table *)table)->slots[at], memory_order_acquire);

        if (!name) return NULL;
        if (name->hash == hash && skald_str_equal(name->text, text)) return name;
    }
}

static name_table *table_new(uint32_t size)
{
    name_table *table = ski_alloc_zeroed(1, sizeof(*table) + size * sizeof(table->slots[0]));

    if (table) table->mask = size - 1;
    return table;
}

static void table_put(name_table *table, ski_name *name)
{
    uint32_t at = (uint32_t)name->hash & table->mask;

    while (atomic_load_explicit(&table->slots[at], memory_order_relaxed))
        at = (at + 1) & table->mask;
    atomic_store_explicit(&table->slots[at], name, memory_order_release);
}

// table_reserve makes room for more names.
static skald_err table_reserve(skald_types *types, uint32_t more)
{
    name_table *table = atomic_load_explicit(&types->table, memory_order_relaxed);
    uint32_t size = table->mask + 1;

    if (types->count + more <= size / 2) return SKALD_OK;
    while (types->count + more > size / 2) size *= 2;
    name_table *larger = table_new(size);

    if (!larger) return SKALD_ENOMEM;
    for (ski_name *name = atomic_load_explicit(&types->newest, memory_order_relaxed); name;
         name = name->older)
        table_put(larger, name);
    larger->older = table;
    atomic_store_explicit(&types->table, larger, memory_order_release);
    return SKALD_OK;
}

skald_err skald_types_new(uint32_t names_max, skald_types **ret_types)
{
    skald_types *types = ski_alloc_zeroed(1, sizeof(*types));
    name_table *table = table_new(table_first);

    if (!types || !table) {
        ski_free(types);
        ski_free(table);
        return SKALD_ENOMEM;
    }
    types->names_max = names_max ? names_max : SKALD_TYPE_NAMES_MAX;
    atomic_init(&types->table, table);
    ski_mutex_init(&types->lock);
    *ret_types = types;
    return SKALD_OK;
}

void skald_types_free(skald_types *types)
{
    if (!types) return;
    for (name_table *table = atomic_load(&types->table), *older; table; table = older) {
        older = table->older;
        ski_free(table);
    }
    for (ski_name *name = atomic_load(&types->newest), *older; name; name = older) {
        older = name->older;
        ski_free(name);
    }
    for (ski_type *type = types->types, *next; type; type = next) {
        next = type->next;
        ski_free(type);
    }
    ski_mutex_fini(&types->lock);
    ski_free(types);
}

bool ski_types_look(const skald_types *types, skald_str name, ski_type_look *ret_look)
{
    const ski_name *found = name.len ? ski_names_find(types, name) : NULL;

    if (!found) return false;
    *ret_look = (ski_type_look){
        .name = ski_type_name(found->type),
        .transient = atomic_load_explicit(&found->type->transient, memory_order_relaxed),
    };
    return true;
}

skald_str skald_types_name(const skald_types *types, skald_str name)
{
    ski_type_look look = {0};

    (void)ski_types_look(types, name, &look);
    return look.name;
}

void skald_types_strict(skald_types *types, bool strict)
{
    atomic_store(&types->strict, strict);
}

bool ski_types_are_strict(const skald_types *types)
{
    return atomic_load_explicit(&((skald_types *)types)->strict, memory_order_relaxed);
}

// Changes. Under the lock: what is asked for is checked, made aside, kept, and shown.

typedef struct change {
    skald_types *types;
    const ski_type_change *asked;
    skald_error *error;
    ski_type *type;                              // NULL: to be made
    ski_type *made;                              // by this change
    ski_name *names[SKALD_TYPE_ALIASES_MAX + 1]; // made by this change
    uint32_t name_count;
} change;

static skald_err name_check(skald_str name, const char *field, skald_error *reterr_error)
{
    const skald_event event = {.type = name.ptr ? name : SKALD_STR("")};
    skald_error inner = {0};

    if (name.len > SKALD_TYPE_NAME_BYTES_MAX)
        return skald_fail_at(reterr_error, SKALD_EINVALID, field,
                             "a name has at most %d bytes, not %zu", SKALD_TYPE_NAME_BYTES_MAX,
                             name.len);
    if (!skald_event_check(&event, 0, &inner)) return SKALD_OK;
    return skald_fail_at(reterr_error, SKALD_EINVALID, field, "%s", inner.text);
}

static skald_err belongs_fails(const change *to, const char *field, const ski_name *name)
{
    skald_str owner = ski_type_name(name->type);

    if (skald_str_equal(name->text, owner))
        return skald_fail_at(to->error, SKALD_EEXISTS, field,
                             "'%.*s' is a type of its own and cannot be another name of '%.*s'",
                             SKALD_FMT(owner), SKALD_FMT(to->asked->type));
    return skald_fail_at(to->error, SKALD_EEXISTS, field,
                         "'%.*s' is another name of the type '%.*s'", SKALD_FMT(name->text),
                         SKALD_FMT(owner));
}

static skald_err name_make(change *to, skald_str text)
{
    ski_name *name = ski_alloc_zeroed(1, sizeof(*name) + text.len);

    if (!name) return skald_fail(to->error, SKALD_ENOMEM, "out of memory");
    memcpy(name->bytes, text.ptr, text.len);
    name->text = (skald_str){name->bytes, text.len};
    name->hash = name_hash(text);
    name->type = to->type;
    to->names[to->name_count++] = name;
    return SKALD_OK;
}

static bool made_already(const change *to, skald_str text)
{
    for (uint32_t i = 0; i < to->name_count; i++)
        if (skald_str_equal(to->names[i]->text, text)) return true;
    return false;
}

static skald_err type_prepare(change *to)
{
    skald_str text = to->asked->type;

    SKALD_TRY(name_check(text, "type", to->error));
    const ski_name *name = ski_names_find(to->types, text);

    if (name) {
        if (!skald_str_equal(ski_type_name(name->type), text))
            return belongs_fails(to, "type", name);
        to->type = name->type;
        return SKALD_OK;
    }
    to->made = to->type = ski_alloc_zeroed(1, sizeof(ski_type));
    if (!to->made) return skald_fail(to->error, SKALD_ENOMEM, "out of memory");
    return name_make(to, text);
}

static skald_err alias_prepare(change *to, skald_str text)
{
    uint32_t there = atomic_load_explicit(&to->type->name_count, memory_order_relaxed);

    SKALD_TRY(name_check(text, "aliases", to->error));
    const ski_name *name = ski_names_find(to->types, text);

    if (name && name->type != to->type) return belongs_fails(to, "aliases", name);
    if (name || made_already(to, text)) return SKALD_OK;
    if (there + to->name_count > SKALD_TYPE_ALIASES_MAX)
        return skald_fail_at(to->error, SKALD_EINVALID, "aliases",
                             "'%.*s' would have more than %d other names",
                             SKALD_FMT(to->asked->type), SKALD_TYPE_ALIASES_MAX);
    return name_make(to, text);
}

static skald_err change_prepare(change *to)
{
    SKALD_TRY(type_prepare(to));
    for (size_t i = 0; i < to->asked->aliases.count; i++)
        SKALD_TRY(alias_prepare(to, to->asked->aliases.items[i]));
    if (to->types->count + to->name_count > to->types->names_max)
        return skald_fail_at(to->error, SKALD_EFULL, "aliases",
                             "there would be more than %u names of types in all",
                             to->types->names_max);
    if (table_reserve(to->types, to->name_count))
        return skald_fail(to->error, SKALD_ENOMEM, "out of memory");
    return SKALD_OK;
}

static skald_err change_keep(const change *to)
{
    skald_str aliases[SKALD_TYPE_ALIASES_MAX + 1];
    const ski_type_change *asked = to->asked;
    uint32_t there = atomic_load_explicit(&to->type->name_count, memory_order_relaxed);
    skald_type_row row = {
        .name = asked->type,
        .aliases = {aliases, 0},
        .transient = asked->transient ? *asked->transient : atomic_load(&to->type->transient),
    };

    if (!asked->keep) return SKALD_OK;
    for (uint32_t i = 1; i < there; i++)
        aliases[row.aliases.count++] =
            atomic_load_explicit(&to->type->names[i], memory_order_relaxed)->text;
    for (uint32_t i = to->made ? 1 : 0; i < to->name_count; i++)
        aliases[row.aliases.count++] = to->names[i]->text;
    skald_err err = asked->keep(asked->context, &row);

    return err ? skald_fail(to->error, err, "the names cannot be kept: %s", skald_err_text(err))
               : SKALD_OK;
}

static void change_show(change *to)
{
    skald_types *types = to->types;
    ski_type *type = to->type;

    if (to->asked->transient) atomic_store(&type->transient, *to->asked->transient);
    if (to->made) {
        type->next = types->types;
        types->types = type;
    }
    for (uint32_t i = 0; i < to->name_count; i++) {
        ski_name *name = to->names[i];
        uint32_t at = atomic_load_explicit(&type->name_count, memory_order_relaxed);

        name->older = atomic_load_explicit(&types->newest, memory_order_relaxed);
        atomic_store_explicit(&type->names[at], name, memory_order_relaxed);
        atomic_store_explicit(&type->name_count, at + 1, memory_order_release);
        atomic_store_explicit(&types->newest, name, memory_order_release);
        table_put(atomic_load_explicit(&types->table, memory_order_relaxed), name);
        types->count++;
    }
}

skald_err ski_types_change(skald_types *types, const ski_type_change *asked,
                           skald_error *reterr_error)
{
    change to = {.types = types, .asked = asked, .error = reterr_error};

    ski_mutex_lock(&types->lock);
    skald_err err = change_prepare(&to);

    if (!err) err = change_keep(&to);
    if (!err) change_show(&to);
    ski_mutex_unlock(&types->lock);
    if (!err) return SKALD_OK;
    for (uint32_t i = 0; i < to.name_count; i++) ski_free(to.names[i]);
    ski_free(to.made);
    return err;
}

skald_err skald_types_put(skald_types *types, skald_str type, skald_texts aliases,
                          skald_error *reterr_error)
{
    return ski_types_change(types, &(ski_type_change){.type = type, .aliases = aliases},
                            reterr_error);
}

// Declared types.

static bool records_same(const skald_record *a, const skald_record *b);

static bool fields_same(const skald_field *a, const skald_field *b)
{
    if (a->kind != b->kind || a->flags != b->flags || strcmp(a->json, b->json) != 0) return false;
    if (a->record) return records_same(a->record(), b->record());
    if (!a->choice) return true;
    const skald_choice *one = a->choice(), *other = b->choice();

    if (one->count != other->count) return false;
    for (uint32_t i = 0; i < one->count; i++)
        if (strcmp(one->names[i], other->names[i]) != 0) return false;
    return true;
}

static bool records_same(const skald_record *a, const skald_record *b)
{
    if (a == b) return true;
    if (a->field_count != b->field_count) return false;
    for (uint32_t i = 0; i < a->field_count; i++)
        if (!fields_same(&a->fields[i], &b->fields[i])) return false;
    return true;
}

// version_add puts a declared type among its versions. Adding is under the lock; the slots before
// count never change.
static skald_err version_add(skald_types *types, const skald_event_type *declared,
                             skald_error *reterr_error)
{
    ski_type *type = ski_names_find(types, skald_str_of(declared->name))->type;
    skald_err err = SKALD_OK;

    ski_mutex_lock(&types->lock);
    uint32_t count = atomic_load_explicit(&type->declared_count, memory_order_relaxed), i = 0;

    while (i < count && type->declared[i]->version != declared->version) i++;
    if (i < count) {
        if (!records_same(type->declared[i]->record(), declared->record()))
            err = skald_fail_at(reterr_error, SKALD_EEXISTS, "version",
                                "'%s' has another shape of version %u; give this one a new number",
                                declared->name, declared->version);
    } else if (count == SKALD_TYPE_VERSIONS_MAX) {
        err = skald_fail_at(reterr_error, SKALD_EFULL, "version",
                            "'%s' has %d versions declared already", declared->name,
                            SKALD_TYPE_VERSIONS_MAX);
    } else {
        type->declared[count] = declared;
        atomic_store_explicit(&type->declared_count, count + 1, memory_order_release);
    }
    ski_mutex_unlock(&types->lock);
    return err;
}

// declared_there: looked at before each publish, so without the lock.
static bool declared_there(const skald_types *types, const skald_event_type *declared)
{
    const ski_name *name = ski_names_find(types, skald_str_of(declared->name));

    if (!name) return false;
    uint32_t count = atomic_load_explicit(&name->type->declared_count, memory_order_acquire);

    for (uint32_t i = 0; i < count; i++)
        if (name->type->declared[i] == declared) return true;
    return false;
}

static skald_err declared_add(skald_types *types, const skald_event_type *declared,
                              skald_error *reterr_error)
{
    skald_str aliases[SKALD_TYPE_ALIASES_MAX];
    skald_str rest = skald_str_of(declared->aliases);
    ski_type_change asked = {.type = skald_str_of(declared->name), .aliases = {aliases, 0}};

    if (declared_there(types, declared)) return SKALD_OK;
    if (!declared->version || !declared->record ||
        declared->record()->field_count > SKALD_FIELDS_MAX)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "version",
                             "'%s' needs a version from 1 and at most %d fields", declared->name,
                             SKALD_FIELDS_MAX);
    while (rest.len) {
        skald_str word = ski_str_cut(rest, ' ', &rest);

        if (!word.len) continue;
        if (asked.aliases.count == SKALD_TYPE_ALIASES_MAX)
            return skald_fail_at(reterr_error, SKALD_EINVALID, "aliases",
                                 "'%s' has more than %d other names", declared->name,
                                 SKALD_TYPE_ALIASES_MAX);
        aliases[asked.aliases.count++] = word;
    }
    if (declared->transient) asked.transient = &declared->transient;
    SKALD_TRY(ski_types_change(types, &asked, reterr_error));
    return version_add(types, declared, reterr_error);
}

skald_err skald_types_add(skald_types *types, skald_event_type_fn *const *list,
                          skald_error *reterr_error)
{
    for (size_t i = 0; list[i]; i++) SKALD_TRY(declared_add(types, list[i](), reterr_error));
    return SKALD_OK;
}

skald_err ski_types_declare(skald_types *types, const skald_event_type *declared,
                            skald_error *reterr_error)
{
    return declared_add(types, declared, reterr_error);
}
