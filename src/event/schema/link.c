// SPDX-License-Identifier: Apache-2.0
// Files, resources and anchors of a schema, and what a reference names.
//
// A file is read when it is first named. Reading indexes the places where schemas stand: to which
// resource ($id) each belongs and which anchors there are; what stands under unknown keywords, in
// const or in enum is data and names nothing. Cost is bounded by steps.
#include "base/alloc.h"
#include "base/buf.h"
#include "event/schema/program.h"
#include "event/schema/uri.h"

static const char meta_uri[] = "https://json-schema.org/draft/2020-12/";

static bool begins(skald_str text, const char *with)
{
    size_t len = strlen(with);

    return text.len >= len && !memcmp(text.ptr, with, len);
}

// meta_of gives the vocabularies of a meta-schema's URI; 0: it is none.
static unsigned meta_of(skald_str uri)
{
    static const struct {
        const char *name;
        unsigned vocabularies;
    } metas[] = {
        {"schema", SKI_VOCABULARY_ALL},
        {"meta/core", SKI_VOCABULARY_CORE},
        {"meta/applicator", SKI_VOCABULARY_APPLICATOR},
        {"meta/unevaluated", SKI_VOCABULARY_UNEVALUATED},
        {"meta/validation", SKI_VOCABULARY_VALIDATION},
        {"meta/meta-data", SKI_VOCABULARY_META_DATA},
        {"meta/format-annotation", SKI_VOCABULARY_FORMAT},
        {"meta/format-assertion", SKI_VOCABULARY_FORMAT},
        {"meta/content", SKI_VOCABULARY_CONTENT},
    };

    if (!begins(uri, meta_uri)) return 0;
    uri.ptr += sizeof meta_uri - 1;
    uri.len -= sizeof meta_uri - 1;
    for (size_t i = 0; i < sizeof metas / sizeof *metas; i++)
        if (skald_str_equal(uri, skald_str_of(metas[i].name))) return metas[i].vocabularies;
    return 0;
}

skald_err ski_link_fail(ski_compiler *in, uint32_t file, uint32_t value, skald_err err,
                        const char *why, skald_str what)
{
    const ski_schema_file *from = in->schema->files[file];
    skald_buf buf = {.bytes_max = 4096};
    skald_err full = skald_buf_put(&buf, from->uri.ptr ? from->uri : SKALD_STR(""));

    if (!full) full = ski_buf_byte(&buf, '#');
    if (!full) full = ski_doc_path(&from->doc, value, &buf);
    (void)full; // a path that is too long is cut
    if (what.len > 120) what.len = 120;
    err = skald_fail_at(in->error, err, "schema", "%.*s: %s%s%.*s%s", (int)buf.len,
                        buf.ptr ? buf.ptr : "", why, what.ptr ? ": '" : "", SKALD_FMT(what),
                        what.ptr ? "'" : "");
    skald_buf_fini(&buf);
    return err;
}

static skald_err list_room(void **list, uint32_t count, uint32_t *size)
{
    uint32_t larger = *size ? *size * 2 : 16;
    void *grown;

    if (count < *size) return SKALD_OK;
    grown = ski_realloc(*list, larger * sizeof(void *));
    if (!grown) return SKALD_ENOMEM;
    *list = grown;
    *size = larger;
    return SKALD_OK;
}

static skald_err spend(ski_compiler *in, uint64_t steps)
{
    if (in->steps < steps)
        return skald_fail_at(in->error, SKALD_ETOOBIG, "schema",
                             "the schema is too large: its references take too long to follow");
    in->steps -= steps;
    return SKALD_OK;
}

static ski_resource *find_resource(ski_compiler *in, skald_str uri)
{
    skald_schema *schema = in->schema;

    for (uint32_t i = 0; i < schema->resource_count; i++)
        if (skald_str_equal(schema->resources[i]->uri, uri)) return schema->resources[i];
    return NULL;
}

static skald_err add_resource(ski_compiler *in, skald_str uri, uint32_t file, uint32_t value,
                              unsigned vocabularies, ski_resource **ret_resource)
{
    skald_schema *schema = in->schema;
    ski_resource *resource = skald_arena_get(schema->arena, sizeof *resource);

    if (!resource) return SKALD_ENOMEM;
    SKALD_TRY(spend(in, schema->resource_count / 4));
    SKALD_TRY(
        list_room((void **)&schema->resources, schema->resource_count, &schema->resource_size));
    *resource =
        (ski_resource){.uri = uri, .document = file, .value = value, .vocabularies = vocabularies};
    schema->resources[schema->resource_count++] = resource;
    *ret_resource = resource;
    return SKALD_OK;
}

// vocabularies_of is what $schema asks for.
static skald_err vocabularies_of(ski_compiler *in, uint32_t file, uint32_t value,
                                 unsigned *ret_vocabularies)
{
    const ski_doc *doc = &in->schema->files[file]->doc;
    skald_str uri = ski_value_text(&doc->values[value]), text;
    unsigned vocabularies = 0;
    skald_json found = {0};
    ski_json_item item;

    if (uri.len && uri.ptr[uri.len - 1] == '#') uri.len--;
    if (meta_of(uri) == SKI_VOCABULARY_ALL) {
        *ret_vocabularies = SKI_VOCABULARY_ALL;
        return SKALD_OK;
    }
    for (size_t i = 0; in->options && i < in->options->document_count; i++)
        if (skald_str_equal(in->options->documents[i].uri, uri))
            found = in->options->documents[i].text;
    if (!found.ptr || ski_json_door_check(found, false, NULL) ||
        ski_json_kind_of(found) != SKI_JSON_OBJECT)
        return ski_link_fail(in, file, value, SKALD_EINVALID,
                             "only JSON Schema 2020-12 is known, not", uri);
    *ret_vocabularies = SKI_VOCABULARY_ALL;
    for (ski_json_walk walk = {.rest = found}; ski_json_next(&walk, &item);) {
        if (!skald_str_equal(item.key, SKALD_STR("$vocabulary")) || item.kind != SKI_JSON_OBJECT)
            continue;
        for (ski_json_walk inner = {.rest = item.value}; ski_json_next(&inner, &item);) {
            const char *known = "https://json-schema.org/draft/2020-12/vocab/";
            skald_str name = item.key;

            if (begins(name, known)) {
                text = skald_arena_print(in->schema->arena, "%smeta/%.*s", meta_uri,
                                         (int)(name.len - strlen(known)), name.ptr + strlen(known));
                if (!text.ptr) return SKALD_ENOMEM;
                vocabularies |= meta_of(text);
                if (meta_of(text)) continue;
            }
            if (item.kind == SKI_JSON_TRUE)
                return ski_link_fail(in, file, value, SKALD_EINVALID,
                                     "a vocabulary that is not known is required", name);
        }
        *ret_vocabularies = vocabularies | SKI_VOCABULARY_CORE | SKI_VOCABULARY_OLD;
    }
    return SKALD_OK;
}

static skald_err add_anchor(ski_compiler *in, ski_resource *resource, uint32_t file, uint32_t value,
                            uint32_t name, bool dynamic)
{
    ski_anchor *anchor = skald_arena_get(in->schema->arena, sizeof *anchor);
    skald_str text = ski_value_text(&in->schema->files[file]->doc.values[name]);

    if (!anchor) return SKALD_ENOMEM;
    for (const ski_anchor *other = resource->anchors; other; other = other->next) {
        SKALD_TRY(spend(in, 1));
        if (skald_str_equal(other->name, text) && other->value != value)
            return ski_link_fail(in, file, name, SKALD_EINVALID, "this anchor is there twice",
                                 text);
    }
    *anchor = (ski_anchor){.next = resource->anchors,
                           .name = text,
                           .dynamic = dynamic,
                           .document = file,
                           .value = value};
    resource->anchors = anchor;
    return SKALD_OK;
}

// index_schema notes the resource of the schema at value and of all below it.
static skald_err index_schema(ski_compiler *in, uint32_t file, uint32_t value,
                              ski_resource *resource);

static skald_err index_children(ski_compiler *in, uint32_t file, uint32_t value, ski_shape shape,
                                ski_resource *resource)
{
    const ski_value *values = in->schema->files[file]->doc.values;

    if (shape == SKI_SHAPE_SCHEMA) return index_schema(in, file, value, resource);
    if (shape != SKI_SHAPE_SCHEMAS && shape != SKI_SHAPE_SCHEMA_MAP &&
        shape != SKI_SHAPE_DEPENDENCIES)
        return SKALD_OK;
    for (uint32_t item = value + 1; item < values[value].next; item = values[item].next)
        if (shape != SKI_SHAPE_DEPENDENCIES || values[item].kind != SKI_JSON_ARRAY)
            SKALD_TRY(index_schema(in, file, item, resource));
    return SKALD_OK;
}

// enter_resource begins a resource at value, which has an $id.
static skald_err enter_resource(ski_compiler *in, uint32_t file, uint32_t value, uint32_t id,
                                ski_resource **resource)
{
    const ski_doc *doc = &in->schema->files[file]->doc;
    skald_str uri, fragment;

    SKALD_TRY(ski_uri_resolve((*resource)->uri, ski_value_text(&doc->values[id]), in->schema->arena,
                              &uri, &fragment));
    if ((*resource)->value == value && (*resource)->document == file &&
        skald_str_equal((*resource)->uri, uri))
        return SKALD_OK;
    if (find_resource(in, uri))
        return ski_link_fail(in, file, id, SKALD_EINVALID, "two schemas have this $id", uri);
    return add_resource(in, uri, file, value, (*resource)->vocabularies, resource);
}

static skald_err index_schema(ski_compiler *in, uint32_t file, uint32_t value,
                              ski_resource *resource)
{
    ski_schema_file *from = in->schema->files[file];
    const ski_value *values = from->doc.values;
    uint32_t id = ski_doc_find(&from->doc, value, SKALD_STR("$id"));
    uint32_t dialect = ski_doc_find(&from->doc, value, SKALD_STR("$schema"));

    SKALD_TRY(spend(in, 1 + values[value].count));
    if (id) SKALD_TRY(enter_resource(in, file, value, id, &resource));
    if (dialect && (id || resource->value == value))
        SKALD_TRY(vocabularies_of(in, file, dialect, &resource->vocabularies));
    from->resource[value] = resource;
    if (values[value].kind != SKI_JSON_OBJECT) return SKALD_OK;
    for (uint32_t item = value + 1; item < values[value].next; item = values[item].next) {
        ski_keyword keyword = ski_keyword_of(ski_value_key(&values[item]));

        if (keyword == SKI_KEYWORD_ANCHOR || keyword == SKI_KEYWORD_DYNAMIC_ANCHOR)
            SKALD_TRY(
                add_anchor(in, resource, file, value, item, keyword == SKI_KEYWORD_DYNAMIC_ANCHOR));
        else if (keyword != SKI_KEYWORD_NONE)
            SKALD_TRY(index_children(in, file, item, ski_keyword_shape(keyword), resource));
    }
    return SKALD_OK;
}

static skald_err file_new(ski_compiler *in, skald_str uri, skald_json text, uint32_t *ret_file)
{
    skald_schema *schema = in->schema;
    ski_schema_file *file = skald_arena_get(schema->arena, sizeof *file);
    skald_error error = {0};

    if (!file) return SKALD_ENOMEM;
    if (text.len > SKALD_SCHEMA_BYTES_MAX)
        return skald_fail_at(in->error, SKALD_ETOOBIG, "schema",
                             "a schema of %zu bytes; at most %d", text.len,
                             (int)SKALD_SCHEMA_BYTES_MAX);
    SKALD_TRY(list_room((void **)&schema->files, schema->file_count, &schema->file_size));
    schema->files[schema->file_count] = file;
    *ret_file = schema->file_count++;
    file->source = text.ptr;
    file->text = skald_arena_copy(schema->arena, text.len ? text : SKALD_STR(" "));
    file->uri = uri.ptr ? skald_arena_copy(schema->arena, uri) : uri;
    if (!file->text.ptr || (uri.ptr && !file->uri.ptr)) return SKALD_ENOMEM;
    skald_err err = ski_doc_parse(&file->doc, file->text, false, &error);
    if (err)
        return skald_fail_at(in->error, err, "schema", "the schema is not JSON: %.300s",
                             error.text[0] ? error.text : skald_err_text(err));
    file->nodes = skald_arena_get(schema->arena, file->doc.count * sizeof(ski_node *));
    file->resource = skald_arena_get(schema->arena, file->doc.count * sizeof(ski_resource *));
    return file->nodes && file->resource ? SKALD_OK : SKALD_ENOMEM;
}

skald_err ski_link_file(ski_compiler *in, skald_str uri, skald_json text, uint32_t *ret_file)
{
    ski_resource *resource = NULL;
    const char *why = NULL;
    uint32_t value = 0;
    uint32_t file;

    SKALD_TRY(file_new(in, uri, text, &file));
    if (!ski_meta_check(&in->schema->files[file]->doc, 0, SKI_VOCABULARY_ALL, &in->steps, &value,
                        &why))
        return ski_link_fail(in, file, value, SKALD_EINVALID, why, (skald_str){0});
    SKALD_TRY(add_resource(in, uri.ptr ? in->schema->files[file]->uri : SKALD_STR(""), file, 0,
                           SKI_VOCABULARY_ALL, &resource));
    SKALD_TRY(index_schema(in, file, 0, resource));
    *ret_file = file;
    return SKALD_OK;
}

skald_err ski_link_node(ski_compiler *in, uint32_t file, uint32_t value,
                        const ski_resource *resource, ski_node **ret_node)
{
    skald_schema *schema = in->schema;
    ski_schema_file *from = schema->files[file];
    ski_node *node = from->nodes[value];

    if (node) {
        *ret_node = node;
        return SKALD_OK;
    }
    if (!from->resource[value]) { // under a keyword that is not known: a schema since it is named
        const char *why = NULL;
        uint32_t wrong = 0;

        if (!ski_meta_check(&from->doc, value, SKI_VOCABULARY_ALL, &in->steps, &wrong, &why))
            return ski_link_fail(in, file, wrong, SKALD_EINVALID, why, (skald_str){0});
        SKALD_TRY(index_schema(in, file, value, (ski_resource *)resource));
    }
    if (schema->node_count == SKI_SCHEMA_NODES_MAX)
        return skald_fail_at(in->error, SKALD_ETOOBIG, "schema", "more than %d subschemas",
                             (int)SKI_SCHEMA_NODES_MAX);
    SKALD_TRY(list_room((void **)&schema->nodes, schema->node_count, &schema->node_size));
    node = skald_arena_get(schema->arena, sizeof *node);
    if (!node) return SKALD_ENOMEM;
    *node = (ski_node){.types = SKI_TYPES_ANY,
                       .document = file,
                       .value = value,
                       .doc = &from->doc,
                       .resource = from->resource[value]};
    schema->nodes[schema->node_count++] = node;
    from->nodes[value] = node;
    *ret_node = node;
    return SKALD_OK;
}

// step follows one name of a JSON pointer from *value, and into the resource it leads to.
static skald_err step(ski_compiler *in, const ski_schema_file *from, skald_str name,
                      uint32_t *value, const ski_resource **resource)
{
    const ski_value *values = from->doc.values, *holder = &values[*value];
    char text[256];
    size_t len = 0;
    uint32_t next = 0;
    uint64_t place = UINT64_MAX;

    SKALD_TRY(spend(in, 1 + holder->count));
    if (name.len > sizeof text) return SKALD_ENOTFOUND;
    for (size_t i = 0; i < name.len; i++) {
        text[len] = name.ptr[i];
        if (text[len] == '~' && i + 1 < name.len) text[len] = name.ptr[++i] == '1' ? '/' : '~';
        len++;
    }
    if (holder->kind == SKI_JSON_OBJECT)
        next = ski_doc_find(&from->doc, *value, (skald_str){text, len});
    if (holder->kind == SKI_JSON_ARRAY && !ski_json_u64(name, &place) && place < holder->count)
        for (next = *value + 1; place; place--) next = values[next].next;
    if (!next) return SKALD_ENOTFOUND;
    *value = next;
    if (from->resource[next]) *resource = from->resource[next];
    return SKALD_OK;
}

static skald_err find_pointer(ski_compiler *in, uint32_t file, skald_str pointer, uint32_t *value,
                              const ski_resource **resource)
{
    const ski_schema_file *from = in->schema->files[file];
    const char *at, *end;

    if (!pointer.len) return SKALD_OK;
    at = pointer.ptr + 1;
    end = pointer.ptr + pointer.len;
    for (;;) {
        const char *slash = at < end ? memchr(at, '/', (size_t)(end - at)) : NULL;
        const char *stop = slash ? slash : end;

        SKALD_TRY(step(in, from, (skald_str){at, (size_t)(stop - at)}, value, resource));
        if (!slash) return SKALD_OK;
        at = slash + 1;
    }
}

// resource_named finds a resource by URI, reading its file when it is given but not read yet.
static skald_err resource_named(ski_compiler *in, skald_str uri, ski_resource **ret_resource)
{
    const skald_schema_options *options = in->options;
    uint32_t before = in->schema->resource_count, file;

    SKALD_TRY(spend(in, 1 + before / 4));
    *ret_resource = find_resource(in, uri);
    if (*ret_resource) { // its $id may have given it another name, under which its anchors are
        const ski_resource *found = *ret_resource;

        *ret_resource = in->schema->files[found->document]->resource[found->value];
        return SKALD_OK;
    }
    for (size_t i = 0; options && i < options->document_count; i++) {
        if (!skald_str_equal(options->documents[i].uri, uri)) continue;
        for (file = 0; file < in->schema->file_count; file++)
            if (in->schema->files[file]->source == options->documents[i].text.ptr) break;
        if (file == in->schema->file_count)
            SKALD_TRY(ski_link_file(in, uri, options->documents[i].text, &file));
        *ret_resource = in->schema->files[file]->resource[0];
        return SKALD_OK;
    }
    return SKALD_ENOTFOUND;
}

static skald_err meta_node(ski_compiler *in, const ski_resource *resource, unsigned vocabularies,
                           ski_node **ret_node)
{
    ski_node *node = skald_arena_get(in->schema->arena, sizeof *node);

    if (!node) return SKALD_ENOMEM;
    *node = (ski_node){.types = SKI_TYPES_ANY,
                       .meta = (uint8_t)vocabularies,
                       .document = resource->document,
                       .value = resource->value,
                       .resource = (ski_resource *)resource};
    *ret_node = node;
    return SKALD_OK;
}

skald_err ski_link_find(ski_compiler *in, const ski_resource *resource, uint32_t file,
                        uint32_t value, ski_node **ret_node, skald_str *ret_dynamic)
{
    skald_str reference = ski_value_text(&in->schema->files[file]->doc.values[value]);
    skald_arena *arena = in->schema->arena;
    const ski_resource *within;
    ski_resource *target = NULL;
    skald_str uri, fragment, name = {0};
    uint32_t place;
    skald_err err;

    *ret_dynamic = (skald_str){0};
    SKALD_TRY(ski_uri_resolve(resource->uri, reference, arena, &uri, &fragment));
    if (fragment.ptr) SKALD_TRY(ski_uri_decode(fragment, arena, &name));
    if (meta_of(uri) && (!name.len || skald_str_equal(name, SKALD_STR("meta"))))
        return meta_node(in, resource, meta_of(uri), ret_node);
    err = reference.len && reference.ptr[0] == '#' ? SKALD_OK : resource_named(in, uri, &target);
    if (err == SKALD_ENOTFOUND)
        return ski_link_fail(in, file, value, SKALD_EINVALID,
                             "names a schema that is not here; give its document", uri);
    if (err) return err;
    within = target ? target : resource;
    place = within->value;
    if (!name.len || name.ptr[0] == '/') {
        uint32_t document = within->document;

        err = find_pointer(in, document, name, &place, &within);
        if (err == SKALD_ENOTFOUND)
            return ski_link_fail(in, file, value, SKALD_EINVALID, "there is nothing at", reference);
        return err ? err : ski_link_node(in, document, place, within, ret_node);
    }
    for (const ski_anchor *anchor = within->anchors; anchor; anchor = anchor->next) {
        SKALD_TRY(spend(in, 1));
        if (!skald_str_equal(anchor->name, name)) continue;
        if (anchor->dynamic) *ret_dynamic = anchor->name;
        return ski_link_node(in, anchor->document, anchor->value, within, ret_node);
    }
    return ski_link_fail(in, file, value, SKALD_EINVALID, "there is no anchor for", reference);
}

skald_err ski_schema_place(const skald_schema *schema, const ski_node *node, const char *keyword,
                           skald_buf *buf)
{
    const ski_schema_file *file = schema->files[node->document];

    if (file->uri.ptr) SKALD_TRY(skald_buf_put(buf, file->uri));
    SKALD_TRY(ski_buf_byte(buf, '#'));
    SKALD_TRY(ski_doc_path(&file->doc, node->value, buf));
    return *keyword ? ski_buf_print(buf, "/%s", keyword) : SKALD_OK;
}
