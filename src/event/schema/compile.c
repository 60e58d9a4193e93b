// SPDX-License-Identifier: Apache-2.0
// A schema's text made into nodes. Places wait in a list until their turn, so nothing recurses,
// however references run.
#include "base/alloc.h"
#include "event/schema/program.h"

// place is the node that is being compiled and where its keywords stand.
typedef struct place {
    ski_compiler *in;
    ski_node *node;
    const ski_value *values;
    uint32_t file;
} place;

static void *get(const place *at, size_t size)
{
    return skald_arena_get(at->in->schema->arena, size);
}

// The rules of a kind of value, made with the first keyword that needs them. NULL: out of memory.

static ski_number_rules *number_of(const place *at)
{
    if (!at->node->number) at->node->number = get(at, sizeof(ski_number_rules));
    return at->node->number;
}

static ski_string_rules *string_of(const place *at)
{
    ski_string_rules *rules = at->node->string;

    if (rules) return rules;
    rules = at->node->string = get(at, sizeof *rules);
    if (rules) rules->len_max = UINT64_MAX;
    return rules;
}

static ski_object_rules *object_of(const place *at)
{
    ski_object_rules *rules = at->node->object;

    if (rules) return rules;
    rules = at->node->object = get(at, sizeof *rules);
    if (rules) rules->count_max = UINT64_MAX;
    return rules;
}

static ski_array_rules *array_of(const place *at)
{
    ski_array_rules *rules = at->node->array;

    if (rules) return rules;
    rules = at->node->array = get(at, sizeof *rules);
    if (rules) {
        rules->contains_min = 1;
        rules->contains_max = rules->count_max = UINT64_MAX;
    }
    return rules;
}

static ski_logic *logic_of(const place *at)
{
    if (!at->node->logic) at->node->logic = get(at, sizeof(ski_logic));
    return at->node->logic;
}

static skald_err child(const place *at, uint32_t value, ski_node **ret_node)
{
    return ski_link_node(at->in, at->file, value, at->node->resource, ret_node);
}

static skald_err children(const place *at, uint32_t list, ski_nodes *ret_nodes)
{
    uint32_t count = 0;
    ski_node **items = get(at, at->values[list].count * sizeof *items);

    if (!items) return SKALD_ENOMEM;
    for (uint32_t item = list + 1; item < at->values[list].next; item = at->values[item].next)
        SKALD_TRY(child(at, item, &items[count++]));
    *ret_nodes = (ski_nodes){items, count};
    return SKALD_OK;
}

static skald_err pattern_of(const place *at, uint32_t value, skald_str text,
                            ski_pattern **ret_pattern)
{
    skald_schema *schema = at->in->schema;
    ski_pattern_link *link = get(at, sizeof *link);
    skald_error error = {0};
    skald_err err;

    if (!link) return SKALD_ENOMEM;
    err = ski_pattern_new(text, &link->pattern, &error);
    if (err == SKALD_ENOMEM) return err;
    if (err) return ski_link_fail(at->in, at->file, value, err, error.text, (skald_str){0});
    link->next = schema->patterns;
    schema->patterns = link;
    *ret_pattern = link->pattern;
    return SKALD_OK;
}

// Numbers.

static ski_bound bound_of(const ski_value *value)
{
    return (ski_bound){.decimal = ski_decimal_of(ski_value_text(value)),
                       .number = value->number,
                       .small = value->small,
                       .given = true};
}

static uint64_t count_of(const ski_value *value)
{
    ski_decimal decimal = ski_decimal_of(ski_value_text(value));

    return ski_decimal_u64(&decimal);
}

static skald_err number_rule(const place *at, ski_keyword keyword, uint32_t value)
{
    ski_number_rules *rules = number_of(at);
    ski_bound bound = bound_of(&at->values[value]);

    if (!rules) return SKALD_ENOMEM;
    if (keyword == SKI_KEYWORD_MINIMUM) rules->minimum = bound;
    if (keyword == SKI_KEYWORD_MAXIMUM) rules->maximum = bound;
    if (keyword == SKI_KEYWORD_ABOVE) rules->above = bound;
    if (keyword == SKI_KEYWORD_BELOW) rules->below = bound;
    if (keyword != SKI_KEYWORD_MULTIPLE_OF) return SKALD_OK;
    if (bound.decimal.digits > SKI_DIVISOR_DIGITS_MAX)
        return ski_link_fail(at->in, at->file, value, SKALD_ETOOBIG, "has more than 18 digits",
                             (skald_str){0});
    rules->divisor = bound.decimal;
    rules->divisor_small = bound.small ? bound.number : 0;
    return SKALD_OK;
}

static skald_err string_rule(const place *at, ski_keyword keyword, uint32_t value)
{
    ski_string_rules *rules = string_of(at);

    if (!rules) return SKALD_ENOMEM;
    if (keyword == SKI_KEYWORD_MIN_LENGTH) rules->len_min = count_of(&at->values[value]);
    if (keyword == SKI_KEYWORD_MAX_LENGTH) rules->len_max = count_of(&at->values[value]);
    if (keyword != SKI_KEYWORD_PATTERN) return SKALD_OK;
    rules->pattern_text = ski_value_text(&at->values[value]);
    return pattern_of(at, value, rules->pattern_text, &rules->pattern);
}

// Objects.

// member_of gives the rule of a name, made when it is first said something of. The table has been
// made with room for all names.
static ski_member_rule *member_of(ski_object_rules *rules, skald_str name)
{
    uint32_t hash = ski_doc_name_hash(name.ptr, name.len);
    uint32_t slot = hash & rules->members_mask;
    const ski_member_rule *found = ski_member_find(rules, name, hash);

    if (found) return &rules->members[found - rules->members];
    while (rules->members[slot].name.ptr) slot = (slot + 1) & rules->members_mask;
    rules->members[slot] = (ski_member_rule){.name = name, .hash = hash};
    rules->members_count++;
    return &rules->members[slot];
}

// members_make makes the table of names that properties and required speak of.
static skald_err members_make(const place *at, ski_object_rules *rules, uint32_t properties,
                              uint32_t required)
{
    uint32_t count = 0, size = 4;

    if (properties) count += at->values[properties].count;
    if (required) count += at->values[required].count;
    while (size < count * 2) size *= 2;
    rules->members = get(at, size * sizeof *rules->members);
    rules->members_mask = size - 1;
    if (!rules->members) return SKALD_ENOMEM;
    for (uint32_t item = properties + 1; properties && item < at->values[properties].next;
         item = at->values[item].next) {
        ski_member_rule *rule = member_of(rules, ski_value_key(&at->values[item]));

        rule->declared = true;
        rule->node = NULL;
        if (at->values[item].kind != SKI_JSON_TRUE) SKALD_TRY(child(at, item, &rule->node));
    }
    for (uint32_t item = required + 1; required && item < at->values[required].next;
         item = at->values[item].next) {
        ski_member_rule *rule = member_of(rules, ski_value_text(&at->values[item]));

        rule->required = ++rules->required_count;
    }
    return SKALD_OK;
}

static skald_err patterns_make(const place *at, ski_object_rules *rules, uint32_t map)
{
    rules->patterns = get(at, at->values[map].count * sizeof *rules->patterns);
    if (!rules->patterns) return SKALD_ENOMEM;
    for (uint32_t item = map + 1; item < at->values[map].next; item = at->values[item].next) {
        ski_pattern_rule *rule = &rules->patterns[rules->pattern_count++];

        rule->text = ski_value_key(&at->values[item]);
        SKALD_TRY(pattern_of(at, item, rule->text, &rule->pattern));
        SKALD_TRY(child(at, item, &rule->node));
    }
    return SKALD_OK;
}

static skald_err texts_of(const place *at, uint32_t list, skald_texts *ret_texts)
{
    skald_str *items = get(at, at->values[list].count * sizeof *items);
    size_t count = 0;

    if (!items) return SKALD_ENOMEM;
    for (uint32_t item = list + 1; item < at->values[list].next; item = at->values[item].next)
        items[count++] = ski_value_text(&at->values[item]);
    *ret_texts = (skald_texts){items, count};
    return SKALD_OK;
}

static skald_err dependents_make(const place *at, ski_object_rules *rules, uint32_t map,
                                 bool schemas)
{
    uint32_t count = rules->dependent_count + at->values[map].count;
    ski_dependent *dependents = get(at, count * sizeof *dependents);

    if (!dependents) return SKALD_ENOMEM;
    for (uint32_t i = 0; i < rules->dependent_count; i++) dependents[i] = rules->dependents[i];
    rules->dependents = dependents;
    for (uint32_t item = map + 1; item < at->values[map].next; item = at->values[item].next) {
        ski_dependent *dependent = &dependents[rules->dependent_count++];

        dependent->name = ski_value_key(&at->values[item]);
        if (schemas)
            SKALD_TRY(child(at, item, &dependent->node));
        else
            SKALD_TRY(texts_of(at, item, &dependent->required));
    }
    return SKALD_OK;
}

static skald_err object_rule(const place *at, ski_keyword keyword, uint32_t value)
{
    ski_object_rules *rules = object_of(at);

    if (!rules) return SKALD_ENOMEM;
    switch (keyword) {
    case SKI_KEYWORD_PATTERNS: return patterns_make(at, rules, value);
    case SKI_KEYWORD_ADDITIONAL: return child(at, value, &rules->additional);
    case SKI_KEYWORD_NAMES: return child(at, value, &rules->names);
    case SKI_KEYWORD_UNEVALUATED: return child(at, value, &rules->unevaluated);
    case SKI_KEYWORD_DEPENDENT_SCHEMAS: return dependents_make(at, rules, value, true);
    case SKI_KEYWORD_DEPENDENT_REQUIRED: return dependents_make(at, rules, value, false);
    case SKI_KEYWORD_MIN_PROPERTIES: rules->count_min = count_of(&at->values[value]); break;
    case SKI_KEYWORD_MAX_PROPERTIES: rules->count_max = count_of(&at->values[value]); break;
    default: break;
    }
    return SKALD_OK;
}

static skald_err array_rule(const place *at, ski_keyword keyword, uint32_t value)
{
    ski_array_rules *rules = array_of(at);

    if (!rules) return SKALD_ENOMEM;
    switch (keyword) {
    case SKI_KEYWORD_PREFIX_ITEMS: return children(at, value, &rules->prefix);
    case SKI_KEYWORD_ITEMS: return child(at, value, &rules->items);
    case SKI_KEYWORD_CONTAINS: return child(at, value, &rules->contains);
    case SKI_KEYWORD_UNEVALUATED_ITEMS: return child(at, value, &rules->unevaluated);
    case SKI_KEYWORD_UNIQUE: rules->unique = at->values[value].kind == SKI_JSON_TRUE; break;
    case SKI_KEYWORD_MIN_ITEMS: rules->count_min = count_of(&at->values[value]); break;
    case SKI_KEYWORD_MAX_ITEMS: rules->count_max = count_of(&at->values[value]); break;
    case SKI_KEYWORD_MIN_CONTAINS: rules->contains_min = count_of(&at->values[value]); break;
    case SKI_KEYWORD_MAX_CONTAINS: rules->contains_max = count_of(&at->values[value]); break;
    default: break;
    }
    return SKALD_OK;
}

static skald_err logic_rule(const place *at, ski_keyword keyword, uint32_t value)
{
    ski_logic *logic = logic_of(at);
    skald_str ignored;

    if (!logic) return SKALD_ENOMEM;
    switch (keyword) {
    case SKI_KEYWORD_REF:
        return ski_link_find(at->in, at->node->resource, at->file, value, &logic->ref, &ignored);
    case SKI_KEYWORD_DYNAMIC_REF:
        at->in->schema->dynamic = true;
        return ski_link_find(at->in, at->node->resource, at->file, value, &logic->dynamic,
                             &logic->dynamic_name);
    case SKI_KEYWORD_ALL_OF: return children(at, value, &logic->all);
    case SKI_KEYWORD_ANY_OF: return children(at, value, &logic->any);
    case SKI_KEYWORD_ONE_OF: return children(at, value, &logic->one);
    case SKI_KEYWORD_NOT: return child(at, value, &logic->not_);
    case SKI_KEYWORD_IF: return child(at, value, &logic->if_);
    case SKI_KEYWORD_THEN: return child(at, value, &logic->then_);
    case SKI_KEYWORD_ELSE: return child(at, value, &logic->else_);
    default: return SKALD_OK;
    }
}

static void types_rule(const place *at, uint32_t value)
{
    unsigned types = 0;

    if (at->values[value].kind == SKI_JSON_STRING)
        types = ski_types_of(ski_value_text(&at->values[value]));
    else
        for (uint32_t item = value + 1; item < at->values[value].next; item = at->values[item].next)
            types |= ski_types_of(ski_value_text(&at->values[item]));
    at->node->types = (uint8_t)types;
}

static skald_err rule(const place *at, ski_keyword keyword, uint32_t value)
{
    switch (keyword) {
    case SKI_KEYWORD_TYPE: types_rule(at, value); return SKALD_OK;
    case SKI_KEYWORD_CONST: at->node->constant = value; return SKALD_OK;
    case SKI_KEYWORD_ENUM: at->node->allowed = value; return SKALD_OK;
    case SKI_KEYWORD_MULTIPLE_OF:
    case SKI_KEYWORD_MAXIMUM:
    case SKI_KEYWORD_BELOW:
    case SKI_KEYWORD_MINIMUM:
    case SKI_KEYWORD_ABOVE: return number_rule(at, keyword, value);
    case SKI_KEYWORD_MAX_LENGTH:
    case SKI_KEYWORD_MIN_LENGTH:
    case SKI_KEYWORD_PATTERN: return string_rule(at, keyword, value);
    case SKI_KEYWORD_PATTERNS:
    case SKI_KEYWORD_ADDITIONAL:
    case SKI_KEYWORD_NAMES:
    case SKI_KEYWORD_UNEVALUATED:
    case SKI_KEYWORD_DEPENDENT_SCHEMAS:
    case SKI_KEYWORD_DEPENDENT_REQUIRED:
    case SKI_KEYWORD_MIN_PROPERTIES:
    case SKI_KEYWORD_MAX_PROPERTIES: return object_rule(at, keyword, value);
    case SKI_KEYWORD_PREFIX_ITEMS:
    case SKI_KEYWORD_ITEMS:
    case SKI_KEYWORD_CONTAINS:
    case SKI_KEYWORD_UNEVALUATED_ITEMS:
    case SKI_KEYWORD_UNIQUE:
    case SKI_KEYWORD_MIN_ITEMS:
    case SKI_KEYWORD_MAX_ITEMS:
    case SKI_KEYWORD_MIN_CONTAINS:
    case SKI_KEYWORD_MAX_CONTAINS: return array_rule(at, keyword, value);
    default: return logic_rule(at, keyword, value);
    }
}

static bool is_logic(ski_keyword keyword)
{
    return keyword == SKI_KEYWORD_REF || keyword == SKI_KEYWORD_DYNAMIC_REF ||
           (keyword >= SKI_KEYWORD_IF && keyword <= SKI_KEYWORD_NOT);
}

static skald_err node_compile(ski_compiler *in, ski_node *node)
{
    const ski_schema_file *file = in->schema->files[node->document];
    place at = {.in = in, .node = node, .values = file->doc.values, .file = node->document};
    unsigned vocabularies = node->resource->vocabularies;
    uint32_t properties = 0, required = 0, whole = node->value;

    node->never = at.values[whole].kind == SKI_JSON_FALSE;
    for (uint32_t item = whole + 1;
         at.values[whole].kind == SKI_JSON_OBJECT && item < at.values[whole].next;
         item = at.values[item].next) {
        ski_keyword keyword = ski_keyword_of(ski_value_key(&at.values[item]));
        unsigned vocabulary = keyword == SKI_KEYWORD_NONE ? 0 : ski_keyword_vocabulary(keyword);

        if (!(vocabulary & vocabularies)) continue;
        if (keyword == SKI_KEYWORD_PROPERTIES) properties = item;
        if (keyword == SKI_KEYWORD_REQUIRED) required = item;
        if (is_logic(keyword) || vocabulary == SKI_VOCABULARY_VALIDATION ||
            vocabulary == SKI_VOCABULARY_APPLICATOR || vocabulary == SKI_VOCABULARY_UNEVALUATED) {
            if (keyword != SKI_KEYWORD_PROPERTIES && keyword != SKI_KEYWORD_REQUIRED)
                SKALD_TRY(rule(&at, keyword, item));
        }
    }
    if (properties || required) {
        if (!object_of(&at)) return SKALD_ENOMEM;
        SKALD_TRY(members_make(&at, node->object, properties, required));
    }
    node->leaf = !node->never && !node->allowed && !node->constant && !node->object &&
                 !node->array && !node->logic && !node->meta;
    node->plain = node->leaf && !node->number && !node->string;
    return SKALD_OK;
}

// anchors_compile gives every dynamic anchor its node: any of them may be in scope.
static skald_err anchors_compile(ski_compiler *in)
{
    for (uint32_t i = 0; in->schema->dynamic && i < in->schema->resource_count; i++) {
        ski_resource *resource = in->schema->resources[i];

        for (ski_anchor *anchor = resource->anchors; anchor; anchor = anchor->next)
            if (anchor->dynamic)
                SKALD_TRY(
                    ski_link_node(in, anchor->document, anchor->value, resource, &anchor->node));
    }
    return SKALD_OK;
}

static skald_err compile(ski_compiler *in, skald_json text)
{
    skald_schema *schema = in->schema;
    skald_str uri = in->options ? in->options->uri : (skald_str){0};
    uint32_t done = 0;
    uint32_t file;

    SKALD_TRY(ski_link_file(in, uri, text, &file));
    SKALD_TRY(ski_link_node(in, file, 0, schema->files[file]->resource[0], &schema->root));
    do {
        while (done < schema->node_count) SKALD_TRY(node_compile(in, schema->nodes[done++]));
        SKALD_TRY(anchors_compile(in));
    } while (done < schema->node_count);
    return SKALD_OK;
}

skald_err skald_schema_compile(skald_json text, const skald_schema_options *options,
                               skald_schema **ret_schema, skald_error *reterr_error)
{
    skald_schema *schema = ski_alloc_zeroed(1, sizeof *schema);
    ski_compiler in = {.schema = schema,
                       .options = options,
                       .error = reterr_error,
                       .steps = SKI_SCHEMA_COMPILE_STEPS};
    skald_err err = SKALD_ENOMEM;

    if (reterr_error) *reterr_error = (skald_error){0};
    if (schema) err = skald_arena_new(SKI_SCHEMA_ARENA_BYTES, &schema->arena);
    if (!err && options && options->document_count > SKALD_SCHEMA_DOCUMENTS_MAX)
        err = skald_fail(reterr_error, SKALD_ETOOBIG, "%zu documents; at most %d",
                         options->document_count, (int)SKALD_SCHEMA_DOCUMENTS_MAX);
    if (!err) err = compile(&in, text);
    if (err) {
        skald_schema_free(schema);
        if (reterr_error && !reterr_error->err)
            return skald_fail(reterr_error, err, "%s", skald_err_text(err));
        return err;
    }
    *ret_schema = schema;
    return SKALD_OK;
}

void skald_schema_free(skald_schema *schema)
{
    if (!schema) return;
    ski_scratch_free(atomic_load(&schema->spare));
    for (ski_pattern_link *link = schema->patterns; link; link = link->next)
        ski_pattern_free(link->pattern);
    for (uint32_t i = 0; i < schema->file_count; i++) ski_doc_fini(&schema->files[i]->doc);
    ski_free(schema->files);
    ski_free(schema->resources);
    ski_free(schema->nodes);
    skald_arena_free(schema->arena);
    ski_free(schema);
}
