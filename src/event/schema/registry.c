// SPDX-License-Identifier: Apache-2.0
// Schemas by event type and version.
//
// Invariants:
//   1. versions of a type rise; the last is the newest.
//   2. A version's schema is counted, so a check runs outside the lock, and a schema once given to
//      one stays until it is done. Versions are never taken away.
//   3. What is registered has been saved first. put_lock holds others back meanwhile, not checks.
#include "event/schema/registry.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/map.h"
#include "event/schema/program.h"
#include "os/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { document_bytes_max = SKALD_SCHEMA_BYTES_MAX + 4096, upcast_bytes_max = 16 * 1024 * 1024 };

typedef struct version_entry {
    uint32_t version;
    skald_compatibility compatibility;
    skald_schema *schema;
    char *text;
    size_t text_len;
} version_entry;

typedef struct upcast_step {
    uint32_t version_from;
    skald_upcast_fn *fn;
    void *context;
} upcast_step;

typedef struct type_entry {
    char *name;
    size_t name_len;
    version_entry **versions;
    uint32_t version_count, version_size;
    upcast_step steps[SKALD_UPCAST_MAX];
    uint32_t step_count;
} type_entry;

struct skald_schemas {
    skald_schemas_options options;
    ski_mutex lock;     // of everything below
    ski_mutex put_lock; // of one registration from its check to its end
    type_entry **types;
    uint32_t type_count, type_size;
    ski_map map;
};

skald_err skald_schemas_new(const skald_schemas_options *options, skald_schemas **ret_schemas)
{
    skald_schemas *schemas = ski_alloc_zeroed(1, sizeof *schemas);

    if (!schemas) return SKALD_ENOMEM;
    if (options) schemas->options = *options;
    ski_mutex_init(&schemas->lock);
    ski_mutex_init(&schemas->put_lock);
    *ret_schemas = schemas;
    return SKALD_OK;
}

static void version_free(version_entry *entry)
{
    if (!entry) return;
    skald_schema_free(entry->schema);
    ski_free(entry->text);
    ski_free(entry);
}

void skald_schemas_free(skald_schemas *schemas)
{
    if (!schemas) return;
    for (uint32_t i = 0; i < schemas->type_count; i++) {
        type_entry *type = schemas->types[i];

        for (uint32_t j = 0; j < type->version_count; j++) version_free(type->versions[j]);
        ski_free(type->versions);
        ski_free(type->name);
        ski_free(type);
    }
    ski_free(schemas->types);
    ski_map_fini(&schemas->map);
    ski_mutex_fini(&schemas->put_lock);
    ski_mutex_fini(&schemas->lock);
    ski_free(schemas);
}

// The table. Its functions are called under the lock.

static skald_str type_name(const type_entry *type)
{
    return (skald_str){type->name, type->name_len};
}

static uint64_t hash_of(void *context, uint32_t slot)
{
    const skald_schemas *schemas = context;
    skald_str name = type_name(schemas->types[slot]);

    return ski_hash64(0, name.ptr, name.len);
}

static type_entry *type_find(const skald_schemas *schemas, skald_str name)
{
    uint64_t hash = ski_hash64(0, name.ptr, name.len);
    uint32_t cursor = 0, slot;

    while ((slot = ski_map_find(&schemas->map, hash, &cursor)) != SKI_MAP_NONE)
        if (skald_str_equal(type_name(schemas->types[slot]), name)) return schemas->types[slot];
    return NULL;
}

static skald_err list_room(void **list, uint32_t count, uint32_t *size, uint32_t count_max)
{
    uint32_t larger = *size ? *size * 2 : 8;
    void *grown;

    if (count == count_max) return SKALD_EFULL;
    if (count < *size) return SKALD_OK;
    grown = ski_realloc(*list, larger * sizeof(void *));
    if (!grown) return SKALD_ENOMEM;
    *list = grown;
    *size = larger;
    return SKALD_OK;
}

static skald_err type_make(skald_schemas *schemas, skald_str name, type_entry **ret_type)
{
    type_entry *type = type_find(schemas, name);
    skald_err err = SKALD_ENOMEM;

    if (type) {
        *ret_type = type;
        return SKALD_OK;
    }
    SKALD_TRY(list_room((void **)&schemas->types, schemas->type_count, &schemas->type_size,
                        SKALD_SCHEMA_TYPES_MAX));
    type = ski_alloc_zeroed(1, sizeof *type);
    if (type) type->name = ski_alloc(name.len + 1);
    if (type && type->name) {
        memcpy(type->name, name.ptr, name.len);
        type->name_len = name.len;
        schemas->types[schemas->type_count] = type;
        err = ski_map_put(&schemas->map, ski_hash64(0, name.ptr, name.len), schemas->type_count,
                          hash_of, schemas);
    }
    if (err) {
        if (type) ski_free(type->name);
        ski_free(type);
        return err;
    }
    schemas->type_count++;
    *ret_type = type;
    return SKALD_OK;
}

// version_find gives a version, the newest for 0.
static version_entry *version_find(const type_entry *type, uint32_t version)
{
    uint32_t low = 0, high = type ? type->version_count : 0;

    if (!high) return NULL;
    if (!version) return type->versions[high - 1];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (type->versions[middle]->version < version)
            low = middle + 1;
        else
            high = middle;
    }
    return low < type->version_count && type->versions[low]->version == version
               ? type->versions[low]
               : NULL;
}

static version_entry *lookup(skald_schemas *schemas, skald_str type, uint32_t version,
                             bool *ret_known)
{
    type_entry *entry;
    version_entry *found;

    ski_mutex_lock(&schemas->lock);
    entry = type_find(schemas, type);
    found = version_find(entry, version);
    if (ret_known) *ret_known = entry && entry->version_count;
    ski_mutex_unlock(&schemas->lock);
    return found; // versions are never taken away
}

// Registration.

static skald_err type_check(skald_str type, uint32_t version, skald_error *reterr_error)
{
    char name[SKI_SCHEMA_NAME_BYTES];

    if (!type.len || !ski_schema_registry_name(type, version, name))
        return skald_fail_at(reterr_error, SKALD_EINVALID, "type", "a type has 1 to %d bytes",
                             (int)SKI_SCHEMA_NAME_BYTES - 32);
    if (!version)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "version", "versions begin with 1");
    return SKALD_OK;
}

static skald_err version_new(uint32_t version, skald_json text, skald_compatibility compatibility,
                             version_entry **ret_entry, skald_error *reterr_error)
{
    skald_buf buf = {.bytes_max = SKALD_SCHEMA_BYTES_MAX};
    version_entry *entry = ski_alloc_zeroed(1, sizeof *entry);
    skald_err err = SKALD_ENOMEM;

    if (entry) err = skald_schema_compile(text, NULL, &entry->schema, reterr_error);
    if (!err) err = ski_json_minify(&buf, text);
    if (err) {
        skald_buf_fini(&buf);
        version_free(entry);
        return err;
    }
    entry->version = version;
    entry->compatibility = compatibility ? compatibility : SKALD_BACKWARD;
    entry->text = buf.ptr;
    entry->text_len = buf.len;
    *ret_entry = entry;
    return SKALD_OK;
}

static bool is_transitive(skald_compatibility compatibility)
{
    return compatibility == SKALD_BACKWARD_ALL || compatibility == SKALD_FORWARD_ALL ||
           compatibility == SKALD_FULL_ALL;
}

// compare_all compares schema with the newest version of type, or with all.
static skald_err compare_all(skald_schemas *schemas, skald_str type, const skald_schema *schema,
                             skald_compatibility compatibility, skald_arena *arena,
                             const skald_incompatibility **ret_list, size_t *ret_count)
{
    skald_incompatibility *all = NULL;
    size_t count = 0;
    type_entry *entry;
    uint32_t versions;

    if (!compatibility) compatibility = SKALD_BACKWARD;
    ski_mutex_lock(&schemas->lock);
    entry = type_find(schemas, type);
    versions = entry ? entry->version_count : 0;
    ski_mutex_unlock(&schemas->lock);
    for (uint32_t i = versions; i > 0; i--) {
        const skald_incompatibility *list = NULL;
        size_t more = 0;
        const version_entry *older;
        skald_incompatibility *grown;

        ski_mutex_lock(&schemas->lock);
        older = entry->versions[i - 1];
        ski_mutex_unlock(&schemas->lock);
        SKALD_TRY(skald_schema_compare(older->schema, schema, compatibility, arena, &list, &more));
        grown = more ? skald_arena_get(arena, (count + more) * sizeof *grown) : all;
        if (more && !grown) return SKALD_ENOMEM;
        for (size_t j = 0; more && j < count; j++) grown[j] = all[j];
        for (size_t j = 0; j < more; j++) {
            grown[count + j] = list[j];
            grown[count + j].version = older->version;
        }
        all = grown;
        count += more;
        if (!is_transitive(compatibility) || count >= SKALD_SCHEMA_VIOLATIONS_MAX) break;
    }
    *ret_list = all;
    *ret_count = count;
    return SKALD_OK;
}

// compatible_check fails with the first thing that would break.
static skald_err compatible_check(skald_schemas *schemas, skald_str type,
                                  const version_entry *entry, skald_error *reterr_error)
{
    const skald_incompatibility *list = NULL;
    skald_arena *arena = NULL;
    size_t count = 0;
    skald_err err;

    SKALD_TRY(skald_arena_new(document_bytes_max * 4, &arena));
    err = compare_all(schemas, type, entry->schema, entry->compatibility, arena, &list, &count);
    if (!err && count)
        err = skald_fail_at(reterr_error, SKALD_ESTATE, "schema",
                            "not %s compatible with version %u: %.*s%s%.*s%s",
                            skald_compatibility_name(entry->compatibility), list->version,
                            SKALD_FMT(list->path), list->path.len ? ": " : "",
                            SKALD_FMT(list->message), count > 1 ? " (and more)" : "");
    skald_arena_free(arena);
    return err;
}

bool ski_schema_registry_name(skald_str type, uint32_t version,
                              char ret_name[SKI_SCHEMA_NAME_BYTES])
{
    int len = type.len > SKI_SCHEMA_NAME_BYTES - 32
                  ? -1
                  : snprintf(ret_name, SKI_SCHEMA_NAME_BYTES, SKI_SCHEMA_NAME_PREFIX "%.*s/%u",
                             SKALD_FMT(type), version);

    return len > 0 && len < SKI_SCHEMA_NAME_BYTES;
}

static skald_err version_save(skald_schemas *schemas, skald_str type, const version_entry *entry)
{
    skald_buf buf = {.bytes_max = document_bytes_max};
    char name[SKI_SCHEMA_NAME_BYTES];
    skald_err err;

    if (!schemas->options.save) return SKALD_OK;
    if (!ski_schema_registry_name(type, entry->version, name)) return SKALD_EINVALID;
    err = skald_buf_put(&buf, SKALD_STR("{\"type\":"));
    if (!err) err = ski_json_put_string(&buf, type);
    if (!err)
        err = ski_buf_print(&buf,
                            ",\"version\":%u,\"compatibility\":\"%s\",\"schema\":", entry->version,
                            skald_compatibility_name(entry->compatibility));
    if (!err) err = skald_buf_put(&buf, (skald_str){entry->text, entry->text_len});
    if (!err) err = ski_buf_byte(&buf, '}');
    if (!err)
        err =
            schemas->options.save(schemas->options.context, skald_str_of(name), ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

// version_add puts entry at the end of its type's versions, or where its number says.
static skald_err version_add(skald_schemas *schemas, skald_str name, version_entry *entry)
{
    type_entry *type = NULL;
    skald_err err;
    uint32_t at;

    ski_mutex_lock(&schemas->lock);
    err = type_make(schemas, name, &type);
    if (!err)
        err = list_room((void **)&type->versions, type->version_count, &type->version_size,
                        SKALD_SCHEMA_VERSIONS_MAX);
    if (!err) {
        for (at = type->version_count; at && type->versions[at - 1]->version > entry->version; at--)
            type->versions[at] = type->versions[at - 1];
        type->versions[at] = entry;
        type->version_count++;
    }
    ski_mutex_unlock(&schemas->lock);
    return err;
}

// put_new registers an entry that is not there yet, under put_lock.
static skald_err put_new(skald_schemas *schemas, skald_str type, version_entry *entry, bool loaded,
                         skald_error *reterr_error)
{
    const version_entry *newest = lookup(schemas, type, 0, NULL);

    if (!loaded && newest && newest->version > entry->version)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "version",
                             "version %u is older than the newest, %u", entry->version,
                             newest->version);
    if (newest && !loaded) SKALD_TRY(compatible_check(schemas, type, entry, reterr_error));
    if (!loaded) SKALD_TRY(version_save(schemas, type, entry));
    return version_add(schemas, type, entry);
}

static skald_err put(skald_schemas *schemas, skald_str type, version_entry *take_entry, bool loaded,
                     skald_error *reterr_error)
{
    const version_entry *there;
    skald_err err = SKALD_OK;

    ski_mutex_lock(&schemas->put_lock);
    there = lookup(schemas, type, take_entry->version, NULL);
    if (!there)
        err = put_new(schemas, type, take_entry, loaded, reterr_error);
    else if (there->text_len != take_entry->text_len ||
             memcmp(there->text, take_entry->text, there->text_len) != 0)
        err = skald_fail_at(reterr_error, SKALD_EEXISTS, "version",
                            "another schema is registered as version %u; register a new version",
                            take_entry->version);
    ski_mutex_unlock(&schemas->put_lock);
    if (there || err) version_free(take_entry);
    return err;
}

skald_err skald_schemas_put(skald_schemas *schemas, skald_str type, uint32_t version,
                            skald_json schema, skald_compatibility compatibility,
                            skald_error *reterr_error)
{
    version_entry *entry = NULL;

    SKALD_TRY(type_check(type, version, reterr_error));
    SKALD_TRY(version_new(version, schema, compatibility, &entry, reterr_error));
    return put(schemas, type, entry, false, reterr_error);
}

skald_err skald_schemas_load(skald_schemas *schemas, skald_json document, skald_error *reterr_error)
{
    skald_compatibility compatibility = SKALD_BACKWARD;
    ski_json_walk walk = {.rest = document};
    version_entry *entry = NULL;
    skald_str type = {0}, schema = {0};
    skald_arena *arena = NULL;
    uint64_t version = 0;
    ski_json_item item;
    skald_err err;

    SKALD_TRY(ski_json_door_check(document, false, reterr_error));
    SKALD_TRY(skald_arena_new(document_bytes_max, &arena));
    for (err = SKALD_OK; !err && ski_json_next(&walk, &item);) {
        if (skald_str_equal(item.key, SKALD_STR("type")) && item.kind == SKI_JSON_STRING)
            err = ski_json_unescape(item.value, arena, &type);
        else if (skald_str_equal(item.key, SKALD_STR("version")))
            err = ski_json_u64(item.value, &version);
        else if (skald_str_equal(item.key, SKALD_STR("schema")))
            schema = item.value;
        else if (skald_str_equal(item.key, SKALD_STR("compatibility")) && item.value.len > 2)
            err = skald_compatibility_of((skald_str){item.value.ptr + 1, item.value.len - 2},
                                         &compatibility, reterr_error);
    }
    if (!err && (version > UINT32_MAX || !schema.ptr))
        err = skald_fail(reterr_error, SKALD_EINVALID, "not a saved schema");
    if (!err) err = type_check(type, (uint32_t)version, reterr_error);
    if (!err) err = version_new((uint32_t)version, schema, compatibility, &entry, reterr_error);
    if (!err) err = put(schemas, type, entry, true, reterr_error);
    skald_arena_free(arena);
    return err;
}

skald_err skald_schemas_compare(skald_schemas *schemas, skald_str type, skald_json schema,
                                skald_compatibility compatibility, skald_arena *arena,
                                const skald_incompatibility **ret_list, size_t *ret_count,
                                skald_error *reterr_error)
{
    skald_schema *compiled = NULL;
    skald_err err;

    SKALD_TRY(skald_schema_compile(schema, NULL, &compiled, reterr_error));
    err = compare_all(schemas, type, compiled, compatibility, arena, ret_list, ret_count);
    skald_schema_free(compiled);
    return err;
}

// Reading.

static skald_err not_found(skald_str type, uint32_t version, skald_error *reterr_error)
{
    if (!version)
        return skald_fail_at(reterr_error, SKALD_ENOTFOUND, "type", "no schema of '%.*s'",
                             (int)(type.len > 200 ? 200 : type.len), type.ptr);
    return skald_fail_at(reterr_error, SKALD_ENOTFOUND, "version", "no version %u of '%.*s'",
                         version, (int)(type.len > 200 ? 200 : type.len), type.ptr);
}

skald_err skald_schemas_get(skald_schemas *schemas, skald_str type, uint32_t version,
                            skald_arena *arena, skald_schema_entry *ret_entry)
{
    const version_entry *found = lookup(schemas, type, version, NULL);
    skald_schema_entry entry;

    if (!found) return SKALD_ENOTFOUND;
    entry = (skald_schema_entry){
        .type = skald_arena_copy(arena, type),
        .version = found->version,
        .compatibility = found->compatibility,
        .schema = skald_arena_copy(arena, (skald_str){found->text, found->text_len}),
    };
    if (!entry.type.ptr || !entry.schema.ptr) return SKALD_ENOMEM;
    *ret_entry = entry;
    return SKALD_OK;
}

static int entries_order(const void *a, const void *b)
{
    const skald_schema_entry *one = a, *two = b;
    size_t len = one->type.len < two->type.len ? one->type.len : two->type.len;
    int order = memcmp(one->type.ptr, two->type.ptr, len);

    if (!order) order = (one->type.len > two->type.len) - (one->type.len < two->type.len);
    return order ? order : (one->version > two->version) - (one->version < two->version);
}

skald_err skald_schemas_list(skald_schemas *schemas, skald_arena *arena,
                             const skald_schema_entry **ret_entries, size_t *ret_count)
{
    skald_schema_entry *entries;
    size_t count = 0, at = 0;

    ski_mutex_lock(&schemas->lock);
    for (uint32_t i = 0; i < schemas->type_count; i++) count += schemas->types[i]->version_count;
    entries = skald_arena_get(arena, count * sizeof *entries);
    for (uint32_t i = 0; entries && i < schemas->type_count; i++) {
        const type_entry *type = schemas->types[i];
        skald_str name = skald_arena_copy(arena, type_name(type));

        if (!name.ptr) entries = NULL;
        for (uint32_t j = 0; entries && j < type->version_count; j++)
            entries[at++] = (skald_schema_entry){.type = name,
                                                 .version = type->versions[j]->version,
                                                 .compatibility = type->versions[j]->compatibility};
    }
    ski_mutex_unlock(&schemas->lock);
    if (!entries) return SKALD_ENOMEM;
    qsort(entries, count, sizeof *entries, entries_order);
    *ret_entries = entries;
    *ret_count = count;
    return SKALD_OK;
}

static skald_err check(skald_schemas *schemas, skald_str type, uint32_t version, skald_json data,
                       bool checked, skald_error *reterr_error)
{
    bool known = false;
    const version_entry *found = lookup(schemas, type, version, &known);

    if (!found) return known ? not_found(type, version, reterr_error) : SKALD_OK;
    return ski_schema_first(found->schema, data.ptr ? data : SKALD_STR("null"), checked,
                            reterr_error);
}

skald_err skald_schemas_check(skald_schemas *schemas, skald_str type, uint32_t version,
                              skald_json data, skald_error *reterr_error)
{
    return check(schemas, type, version, data, false, reterr_error);
}

skald_err ski_schema_registry_check(skald_schemas *registry, skald_str type, uint32_t version,
                                    skald_json data, skald_error *reterr_error)
{
    return registry ? check(registry, type, version, data, true, reterr_error) : SKALD_OK;
}

skald_err skald_schemas_violations(skald_schemas *schemas, skald_str type, uint32_t version,
                                   skald_json data, size_t violations_max, skald_arena *arena,
                                   const skald_violation **ret_violations, size_t *ret_count,
                                   skald_error *reterr_error)
{
    bool known = false;
    const version_entry *found = lookup(schemas, type, version, &known);

    if (!found && known) return not_found(type, version, reterr_error);
    *ret_count = 0;
    if (!found) return SKALD_OK;
    return skald_schema_violations(found->schema, data, violations_max, arena, ret_violations,
                                   ret_count, reterr_error);
}

// Upcasting.

static const upcast_step *step_find(const type_entry *type, uint32_t version)
{
    for (uint32_t i = 0; type && i < type->step_count; i++)
        if (type->steps[i].version_from == version) return &type->steps[i];
    return NULL;
}

skald_err skald_schemas_upcast(skald_schemas *schemas, skald_str type, uint32_t version_from,
                               skald_upcast_fn *fn, void *context)
{
    type_entry *entry = NULL;
    skald_err err;

    if (!type.len || !version_from || version_from == UINT32_MAX) return SKALD_EINVALID;
    ski_mutex_lock(&schemas->lock);
    err = type_make(schemas, type, &entry);
    if (!err && step_find(entry, version_from)) err = SKALD_EEXISTS;
    if (!err && entry->step_count == SKALD_UPCAST_MAX) err = SKALD_EFULL;
    if (!err) entry->steps[entry->step_count++] = (upcast_step){version_from, fn, context};
    ski_mutex_unlock(&schemas->lock);
    return err;
}

// upcast runs one step, which makes buf of data. Whatever a step says, one that made too much does
// so each time.
static skald_err upcast(const upcast_step *step, skald_str type, skald_json data,
                        skald_arena *arena, skald_buf *buf, skald_error *reterr_error)
{
    skald_error error = {0};
    int len = (int)(type.len > 100 ? 100 : type.len);

    buf->len = 0;
    skald_err err = step->fn(step->context, data, arena, buf);

    if (err == SKALD_EFULL) err = SKALD_ETOOBIG; // nothing else of a step has a limit
    if (err)
        return skald_fail(reterr_error, err, "the step from version %u of '%.*s' failed: %s",
                          step->version_from, len, type.ptr, skald_err_text(err));
    if (ski_json_door_check(ski_buf_str(buf), false, &error))
        return skald_fail(reterr_error, SKALD_EINVALID,
                          "the step from version %u of '%.*s' did not make JSON: %.200s",
                          step->version_from, len, type.ptr, error.text);
    return SKALD_OK;
}

// step_next finds the step from a version. False: it is the newest.
static bool step_next(skald_schemas *schemas, skald_str type, uint32_t version,
                      upcast_step *ret_step)
{
    ski_mutex_lock(&schemas->lock);
    const upcast_step *found = step_find(type_find(schemas, type), version);

    if (found) *ret_step = *found;
    ski_mutex_unlock(&schemas->lock);
    return found != NULL;
}

skald_err skald_schemas_read(skald_schemas *schemas, skald_event *event, skald_arena *arena,
                             skald_error *reterr_error)
{
    // Each step makes one of what the other holds; only what the last made is kept.
    skald_buf bufs[2] = {{.bytes_max = upcast_bytes_max}, {.bytes_max = upcast_bytes_max}};
    uint32_t version = event->version ? event->version : 1, steps = 0;
    skald_json data = event->data.ptr ? event->data : SKALD_STR("null");
    upcast_step step;
    skald_err err = SKALD_OK;

    while (!err && steps < SKALD_UPCAST_MAX &&
           step_next(schemas, event->type, version + steps, &step)) {
        skald_buf *buf = &bufs[steps++ % 2];

        err = upcast(&step, event->type, data, arena, buf, reterr_error);
        data = ski_buf_str(buf);
    }
    if (!err && steps) {
        data = skald_arena_copy(arena, data);
        if (!data.ptr) err = SKALD_ENOMEM;
    }
    if (!err && steps) {
        event->data = data;
        event->version = version + steps;
    }
    skald_buf_fini(&bufs[0]);
    skald_buf_fini(&bufs[1]);
    return err;
}
