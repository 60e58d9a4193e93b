// SPDX-License-Identifier: Apache-2.0
// What may break between two schemas: is every value that the writer's takes one that the reader's
// takes?
//
// The question has no cheap exact answer, so the answer errs on one side: "yes" is proved, rule by
// rule of the reader from the rules of the writer, and everything else is listed, as shown where
// there is a value that breaks and as not shown where there may be none.
//
// Invariants:
//   1. A writer's set may only be made too large, never too small.
//   2. A pair of writer and reader that is asked again within itself is taken as proved: values are
//      finite, so a value that breaks would do so further down. Steps and depth have limits.
#include "event/schema/compare.h"

#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

static const unsigned number_bit = 1u << SKI_JSON_NUMBER;

// kinds_both are the kinds in both sets; numbers that are whole are some of the numbers.
static unsigned kinds_both(unsigned a, unsigned b)
{
    unsigned kinds = a & b;
    unsigned numbers = number_bit | SKI_TYPE_INTEGER;

    if (a & numbers && b & numbers && !(kinds & number_bit)) kinds |= SKI_TYPE_INTEGER;
    return kinds & number_bit ? kinds & ~(unsigned)SKI_TYPE_INTEGER : kinds;
}

static const char *kinds_text(unsigned kinds)
{
    if (kinds & 1u << SKI_JSON_OBJECT) return "an object";
    if (kinds & 1u << SKI_JSON_ARRAY) return "an array";
    if (kinds & 1u << SKI_JSON_STRING) return "a string";
    if (kinds & number_bit) return "a number that is not whole";
    if (kinds & SKI_TYPE_INTEGER) return "an integer";
    if (kinds & 1u << SKI_JSON_NULL) return "null";
    return "a boolean";
}

static bool put_path(const ski_compare_path *at, skald_buf *buf)
{
    bool ok = !at || put_path(at->outer, buf);

    if (!at || !at->step || !ok) return ok;
    if (ski_buf_byte(buf, '/')) return false;
    return !skald_buf_put(buf, at->name.ptr ? at->name : SKALD_STR("*"));
}

bool ski_compare_note(ski_compare *c, ski_compare_at at, const char *keyword, bool shown,
                      const char *format, ...)
{
    skald_buf path = {.bytes_max = 4096};
    char text[512];
    va_list arguments;

    if (c->quiet || c->err || c->count == SKI_COMPARE_LIST_MAX) return false;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    (void)put_path(at, &path); // one that is too long is cut
    skald_incompatibility *item = &c->items[c->count];
    *item = (skald_incompatibility){
        .path = skald_arena_copy(c->arena, ski_buf_str(&path)),
        .keyword = skald_str_of(keyword),
        .message = skald_arena_print(c->arena, "%s", text),
        .forward = c->forward,
        .shown = shown,
    };
    skald_buf_fini(&path);
    if (!item->path.ptr || !item->message.ptr)
        c->err = SKALD_ENOMEM;
    else
        c->count++;
    return false;
}

bool ski_compare_matches(ski_compare *c, const ski_pattern *pattern, skald_str text)
{
    ski_pattern_scratch *scratch = NULL;
    bool matches = false;

    if (ski_pattern_scratch_new(&scratch)) {
        c->err = SKALD_ENOMEM;
        return false;
    }
    if (ski_pattern_matches(pattern, scratch, text, &c->steps, &matches)) c->err = SKALD_ETOOBIG;
    ski_pattern_scratch_free(scratch);
    return matches;
}

// Writers.

ski_writer ski_writer_of(void)
{
    return (ski_writer){.kinds = SKI_TYPES_ANY};
}

static void writer_add(ski_compare *c, ski_writer *writer, const ski_node *node, int depth)
{
    if (!node || depth > 64) return;
    for (uint32_t i = 0; i < writer->count; i++)
        if (writer->nodes[i] == node) return;
    if (c->steps) c->steps--;
    writer->kinds = node->never ? 0 : kinds_both(writer->kinds, node->types);
    if (node->meta)
        writer->kinds = kinds_both(writer->kinds, 1u << SKI_JSON_OBJECT | 1u << SKI_JSON_TRUE |
                                                      1u << SKI_JSON_FALSE);
    if (writer->count == SKI_COMPARE_NODES_MAX) return;
    writer->nodes[writer->count++] = node;
    if (!node->logic) return;
    writer_add(c, writer, node->logic->ref, depth + 1);
    for (uint32_t i = 0; i < node->logic->all.count; i++)
        writer_add(c, writer, node->logic->all.items[i], depth + 1);
}

void ski_writer_add(ski_compare *c, ski_writer *writer, const ski_node *node)
{
    writer_add(c, writer, node, 0);
}

bool ski_writer_empty(const ski_writer *writer)
{
    return !writer->kinds;
}

void ski_writer_member(ski_compare *c, const ski_writer *writer, skald_str name,
                       ski_writer *ret_member)
{
    *ret_member = ski_writer_of();
    for (uint32_t i = 0; i < writer->count; i++) {
        const ski_object_rules *rules = writer->nodes[i]->object;
        const ski_member_rule *rule;
        bool said;

        if (!rules) continue;
        rule = ski_member_find(rules, name, ski_doc_name_hash(name.ptr, name.len));
        said = rule && rule->declared;
        if (said) ski_writer_add(c, ret_member, rule->node);
        for (uint32_t j = 0; j < rules->pattern_count; j++) {
            if (!ski_compare_matches(c, rules->patterns[j].pattern, name)) continue;
            said = true;
            ski_writer_add(c, ret_member, rules->patterns[j].node);
        }
        if (!said) ski_writer_add(c, ret_member, rules->additional);
    }
}

bool ski_writer_requires(const ski_writer *writer, skald_str name)
{
    for (uint32_t i = 0; i < writer->count; i++) {
        const ski_object_rules *rules = writer->nodes[i]->object;
        const ski_member_rule *rule =
            rules ? ski_member_find(rules, name, ski_doc_name_hash(name.ptr, name.len)) : NULL;

        if (rule && rule->required) return true;
    }
    return false;
}

// Values that are listed.

static bool takes(ski_compare *c, const skald_schema *schema, const ski_node *node,
                  const ski_doc *doc, uint32_t index)
{
    bool takes = false;
    skald_err err = ski_node_takes(schema, node, doc, index, &takes);

    c->steps -= c->steps > 50 ? 50 : c->steps;
    if (err && !c->err) c->err = err;
    return takes;
}

// listed gives the node of writer that lists its values; NULL: none does.
static const ski_node *listed(const ski_writer *writer)
{
    for (uint32_t i = 0; i < writer->count; i++)
        if (writer->nodes[i]->constant || writer->nodes[i]->allowed) return writer->nodes[i];
    return NULL;
}

// value_holds: reader takes the value, or writer does not.
static bool value_holds(ski_compare *c, const ski_writer *writer, const ski_node *reader,
                        const ski_doc *doc, uint32_t index, bool taken)
{
    for (uint32_t i = 0; i < writer->count; i++)
        if (!takes(c, c->writer, writer->nodes[i], doc, index)) return true;
    return takes(c, c->reader, reader, doc, index) == taken;
}

// listed_hold: reader takes (or, taken being false, refuses) every value that writer lists.
static bool listed_hold(ski_compare *c, const ski_writer *writer, const ski_node *reader,
                        const ski_node *list, bool taken, ski_compare_at at)
{
    const ski_doc *doc = &c->writer->files[list->document]->doc;
    uint32_t first = list->constant ? list->constant : list->allowed + 1;
    uint32_t end = list->constant ? doc->values[first].next : doc->values[list->allowed].next;
    bool holds = true;

    for (uint32_t item = first; item < end && ski_compare_goes_on(c, holds);
         item = doc->values[item].next) {
        const ski_value *value = &doc->values[item];

        if (value_holds(c, writer, reader, doc, item, taken)) continue;
        bool text = value->kind == SKI_JSON_STRING || value->kind == SKI_JSON_NUMBER;
        holds = ski_compare_note(c, at, "enum", true, "%s refuses the value%s%.*s%s that %s allows",
                                 c->reader_name, text ? " '" : "", text ? (int)value->len : 0,
                                 text ? value->ptr : "", text ? "'" : "", c->writer_name);
    }
    return holds;
}

// disjoint: there is surely no value that writer and reader both take.
static bool disjoint(ski_compare *c, const ski_writer *writer, const ski_node *reader)
{
    const ski_object_rules *rules = reader->object;
    bool apart = false;

    for (int hops = 0; hops < 8 && reader->logic && reader->logic->ref; hops++) {
        if (!kinds_both(writer->kinds, reader->types)) return true;
        reader = reader->logic->ref;
        rules = reader->object;
    }
    if (reader->never || !kinds_both(writer->kinds, reader->types)) return true;
    if (!rules || !rules->members || writer->kinds != 1u << SKI_JSON_OBJECT) return false;
    c->quiet++;
    for (uint32_t i = 0; i <= rules->members_mask && !apart; i++) {
        const ski_member_rule *rule = &rules->members[i];
        ski_writer member;

        if (!rule->declared || !rule->node || !ski_writer_requires(writer, rule->name)) continue;
        ski_writer_member(c, writer, rule->name, &member);
        if (listed(&member))
            apart = listed_hold(c, &member, rule->node, listed(&member), false, NULL);
    }
    c->quiet--;
    return apart;
}

// Logic of the reader.

static bool quietly(ski_compare *c, const ski_writer *writer, const ski_node *reader,
                    ski_compare_at at)
{
    bool holds;

    c->quiet++;
    holds = ski_compare_subset(c, writer, reader, at);
    c->quiet--;
    return holds;
}

static bool any_holds(ski_compare *c, const ski_writer *writer, const ski_nodes *any,
                      ski_compare_at at)
{
    const ski_node *only = NULL;
    uint32_t possible = 0;

    for (uint32_t i = 0; i < any->count; i++)
        if (quietly(c, writer, any->items[i], at)) return true;
    for (uint32_t i = 0; i < any->count; i++) {
        if (disjoint(c, writer, any->items[i])) continue;
        only = any->items[i];
        possible++;
    }
    if (possible == 1 && !c->quiet) return ski_compare_subset(c, writer, only, at);
    return ski_compare_note(c, at, "anyOf", !possible,
                            "no alternative of %s takes all that %s allows", c->reader_name,
                            c->writer_name);
}

static bool one_holds(ski_compare *c, const ski_writer *writer, const ski_nodes *one,
                      ski_compare_at at)
{
    for (uint32_t i = 0; i < one->count; i++) {
        bool alone = true;

        if (!quietly(c, writer, one->items[i], at)) continue;
        for (uint32_t j = 0; j < one->count && alone; j++)
            alone = j == i || disjoint(c, writer, one->items[j]);
        if (alone) return true;
    }
    return ski_compare_note(c, at, "oneOf", false,
                            "it cannot be shown that exactly one alternative of %s takes what %s "
                            "allows",
                            c->reader_name, c->writer_name);
}

// by_kind asks once for each kind that writer may be: alternatives often are of different kinds.
static bool by_kind(ski_compare *c, const ski_writer *writer, const ski_nodes *nodes,
                    bool (*holds_of)(ski_compare *, const ski_writer *, const ski_nodes *,
                                     ski_compare_at),
                    ski_compare_at at)
{
    bool holds = true;

    for (unsigned bit = 1; bit <= SKI_TYPE_INTEGER; bit <<= 1) {
        ski_writer part = *writer;

        part.kinds &= bit;
        if (part.kinds && ski_compare_goes_on(c, holds)) holds &= holds_of(c, &part, nodes, at);
    }
    return holds;
}

static bool if_holds(ski_compare *c, const ski_writer *writer, const ski_logic *logic,
                     ski_compare_at at)
{
    bool never = disjoint(c, writer, logic->if_);

    if ((never || !logic->then_ || quietly(c, writer, logic->then_, at)) &&
        (!logic->else_ || quietly(c, writer, logic->else_, at)))
        return true;
    return ski_compare_note(c, at, "if", false,
                            "it cannot be shown that both then and else of %s take what %s allows",
                            c->reader_name, c->writer_name);
}

static bool logic_holds(ski_compare *c, const ski_writer *writer, const ski_node *reader,
                        ski_compare_at at)
{
    const ski_logic *logic = reader->logic;
    bool holds = true;

    if (logic->dynamic)
        holds = ski_compare_note(c, at, "$dynamicRef", false, "$dynamicRef is not compared");
    if (logic->ref) holds &= ski_compare_subset(c, writer, logic->ref, at);
    for (uint32_t i = 0; i < logic->all.count && ski_compare_goes_on(c, holds); i++)
        holds &= ski_compare_subset(c, writer, logic->all.items[i], at);
    if (logic->any.count && ski_compare_goes_on(c, holds))
        holds &= by_kind(c, writer, &logic->any, any_holds, at);
    if (logic->one.count && ski_compare_goes_on(c, holds))
        holds &= by_kind(c, writer, &logic->one, one_holds, at);
    if (logic->not_ && ski_compare_goes_on(c, holds) && !disjoint(c, writer, logic->not_))
        holds =
            ski_compare_note(c, at, "not", false,
                             "it cannot be shown that %s allows nothing that 'not' of %s excludes",
                             c->writer_name, c->reader_name);
    if (logic->if_ && ski_compare_goes_on(c, holds)) holds &= if_holds(c, writer, logic, at);
    return holds;
}

// same: one of writer's schemas is reader's word for word, and refers to nothing else.
static bool same(ski_compare *c, const ski_writer *writer, const ski_node *reader)
{
    const ski_doc *doc = &c->reader->files[reader->document]->doc;

    for (uint32_t at = reader->value; at < doc->values[reader->value].next; at++) {
        skald_str key = ski_value_key(&doc->values[at]);

        if (c->steps) c->steps--;
        if (key.len > 2 && key.ptr[0] == '$' && key.ptr[1] != 'c') return false; // not $comment
    }
    for (uint32_t i = 0; i < writer->count; i++) {
        const ski_node *node = writer->nodes[i];

        if (!node->meta && !reader->meta &&
            node->resource->vocabularies == reader->resource->vocabularies &&
            ski_doc_equal(&c->writer->files[node->document]->doc, node->value, doc, reader->value,
                          &c->steps))
            return true;
    }
    return false;
}

static bool rules_hold(ski_compare *c, const ski_writer *given, const ski_node *reader,
                       ski_compare_at at)
{
    ski_writer writer = *given;
    bool holds = true;
    unsigned refused;

    if (listed(&writer)) return listed_hold(c, &writer, reader, listed(&writer), true, at);
    if (reader->never)
        return ski_compare_note(c, at, "false", true, "%s allows nothing here", c->reader_name);
    if (reader->meta)
        return ski_compare_note(c, at, "$ref", false, "the meta-schema is not compared");
    refused = writer.kinds & ~(unsigned)reader->types;
    if (refused & SKI_TYPE_INTEGER && reader->types & number_bit)
        refused &= ~(unsigned)SKI_TYPE_INTEGER;
    writer.kinds = kinds_both(writer.kinds, reader->types);
    if (refused)
        holds = ski_compare_note(c, at, "type", true, "%s refuses %s, which %s allows",
                                 c->reader_name, kinds_text(refused), c->writer_name);
    if (reader->logic && ski_compare_goes_on(c, holds))
        holds &= logic_holds(c, &writer, reader, at);
    if (ski_compare_goes_on(c, holds)) holds &= ski_compare_scalar(c, &writer, reader, at);
    if (reader->object && writer.kinds & 1u << SKI_JSON_OBJECT && ski_compare_goes_on(c, holds))
        holds &= ski_compare_object(c, &writer, reader, at);
    if (reader->array && writer.kinds & 1u << SKI_JSON_ARRAY && ski_compare_goes_on(c, holds))
        holds &= ski_compare_array(c, &writer, reader, at);
    return holds;
}

// asked_before: the same question is being answered further out.
static bool asked_before(const ski_writer *writer, const ski_node *reader, ski_compare_at at)
{
    for (; at; at = at->outer)
        if (at->reader == reader && at->writer->kinds == writer->kinds &&
            at->writer->count == writer->count && at->writer->splits == writer->splits &&
            !memcmp(at->writer->nodes, writer->nodes, writer->count * sizeof writer->nodes[0]))
            return true;
    return false;
}

// splits_hold asks once for each alternative of the writer's first node with some that has not been
// asked of yet: its values are those of one or the other.
static bool splits_hold(ski_compare *c, const ski_writer *writer, const ski_node *reader,
                        ski_compare_at at, bool *ret_split)
{
    bool holds = true;

    for (uint32_t i = writer->splits; i < writer->count; i++) {
        const ski_logic *logic = writer->nodes[i]->logic;
        const ski_nodes *nodes = logic && logic->any.count ? &logic->any
                                 : logic                   ? &logic->one
                                                           : NULL;

        if (!nodes || !nodes->count || nodes->count > 64) continue;
        *ret_split = true;
        for (uint32_t j = 0; j < nodes->count && ski_compare_goes_on(c, holds); j++) {
            ski_writer part = *writer;

            part.splits = i + 1;
            ski_writer_add(c, &part, nodes->items[j]);
            holds &= ski_compare_subset(c, &part, reader, at);
        }
        return holds;
    }
    *ret_split = false;
    return true;
}

bool ski_compare_subset(ski_compare *c, const ski_writer *writer, const ski_node *reader,
                        ski_compare_at outer)
{
    ski_compare_path here = {.outer = outer, .writer = writer, .reader = reader};
    bool split = false, holds;

    if (c->err) return false;
    if (ski_writer_empty(writer)) return true;
    if (reader->plain && kinds_both(writer->kinds, reader->types) == writer->kinds) return true;
    if (!c->steps || c->depth > SKI_COMPARE_DEPTH_MAX) {
        c->err = SKALD_ETOOBIG;
        return false;
    }
    c->steps--;
    if (asked_before(writer, reader, outer) || same(c, writer, reader)) return true;
    c->depth++;
    holds = splits_hold(c, writer, reader, &here, &split);
    if (!split) holds = rules_hold(c, writer, reader, &here);
    c->depth--;
    return holds;
}

// direction lists what breaks when reader reads what writer writes.
static void direction(ski_compare *c, const skald_schema *writer, const skald_schema *reader,
                      bool forward)
{
    ski_writer root = ski_writer_of();

    c->writer = writer;
    c->reader = reader;
    c->forward = forward;
    c->writer_name = forward ? "the new schema" : "the old schema";
    c->reader_name = forward ? "the old schema" : "the new schema";
    c->depth = c->quiet = 0;
    ski_writer_add(c, &root, writer->root);
    (void)ski_compare_subset(c, &root, reader->root, NULL);
}

// documents_same: both are one file, and the same one.
static bool documents_same(const skald_schema *a, const skald_schema *b, uint64_t *steps)
{
    return a == b || (a->file_count == 1 && b->file_count == 1 &&
                      ski_doc_equal(&a->files[0]->doc, 0, &b->files[0]->doc, 0, steps));
}

skald_err skald_schema_compare(const skald_schema *older, const skald_schema *newer,
                               skald_compatibility compatibility, skald_arena *arena,
                               const skald_incompatibility **ret_list, size_t *ret_count)
{
    ski_compare c = {.arena = arena, .steps = SKI_COMPARE_STEPS};
    bool forward = compatibility == SKALD_FORWARD || compatibility == SKALD_FORWARD_ALL;
    bool full = compatibility == SKALD_FULL || compatibility == SKALD_FULL_ALL;

    c.items = skald_arena_get(arena, SKI_COMPARE_LIST_MAX * sizeof *c.items);
    if (!c.items) return SKALD_ENOMEM;
    if (compatibility != SKALD_UNCHECKED && !documents_same(older, newer, &c.steps)) {
        if (older->dynamic || newer->dynamic)
            (void)ski_compare_note(&c, NULL, "$dynamicRef", false,
                                   "schemas with $dynamicRef are not compared");
        else {
            if (!forward) direction(&c, older, newer, false);
            if ((forward || full) && !c.err) direction(&c, newer, older, true);
        }
    }
    if (c.err) return c.err;
    *ret_list = c.items;
    *ret_count = c.count;
    return SKALD_OK;
}

static const struct {
    const char *name;
    skald_compatibility compatibility;
} names[] = {
    {"none", SKALD_UNCHECKED},
    {"backward", SKALD_BACKWARD},
    {"forward", SKALD_FORWARD},
    {"full", SKALD_FULL},
    {"backward-transitive", SKALD_BACKWARD_ALL},
    {"forward-transitive", SKALD_FORWARD_ALL},
    {"full-transitive", SKALD_FULL_ALL},
};

skald_err skald_compatibility_of(skald_str text, skald_compatibility *ret_compatibility,
                                 skald_error *reterr_error)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!skald_str_equal(text, skald_str_of(names[i].name))) continue;
        *ret_compatibility = names[i].compatibility;
        return SKALD_OK;
    }
    return skald_fail_at(reterr_error, SKALD_EINVALID, "compatibility",
                         "'%.*s' is not one of none, backward, forward, full and the last three "
                         "with -transitive",
                         (int)(text.len > 40 ? 40 : text.len), text.ptr ? text.ptr : "");
}

const char *skald_compatibility_name(skald_compatibility compatibility)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].compatibility == compatibility) return names[i].name;
    return "backward";
}
