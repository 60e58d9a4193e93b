// SPDX-License-Identifier: Apache-2.0
// What each rule of a reader asks of a writer. See compare.c.
#include "event/schema/compare.h"

// Numbers and strings.

// bound_is: one of writer's bounds is at least as tight as bound. side: 1 for lower ones, -1 for
// upper ones; open: bound excludes itself.
static bool bound_is(const ski_writer *writer, const ski_bound *bound, int side, bool open)
{
    for (uint32_t i = 0; i < writer->count; i++) {
        const ski_number_rules *rules = writer->nodes[i]->number;
        const ski_bound *closed_one, *open_one;

        if (!rules) continue;
        closed_one = side > 0 ? &rules->minimum : &rules->maximum;
        open_one = side > 0 ? &rules->above : &rules->below;
        if (open_one->given && ski_decimal_compare(&open_one->decimal, &bound->decimal) * side >= 0)
            return true;
        if (closed_one->given &&
            ski_decimal_compare(&closed_one->decimal, &bound->decimal) * side >= (open ? 1 : 0))
            return true;
    }
    return false;
}

static bool divisor_is(const ski_writer *writer, const ski_decimal *divisor)
{
    ski_decimal one = ski_decimal_of(SKALD_STR("1"));

    for (uint32_t i = 0; i < writer->count; i++) {
        const ski_number_rules *rules = writer->nodes[i]->number;

        if (rules && rules->divisor.digits && ski_decimal_divides(divisor, &rules->divisor))
            return true;
    }
    return !(writer->kinds & 1u << SKI_JSON_NUMBER) && ski_decimal_divides(divisor, &one);
}

static bool number_holds(ski_compare *c, const ski_writer *writer, const ski_number_rules *rules,
                         ski_compare_at at)
{
    bool holds = true;

    if (rules->minimum.given && !bound_is(writer, &rules->minimum, 1, false))
        holds = ski_compare_note(c, at, "minimum", true, "%s has a higher minimum", c->reader_name);
    if (rules->above.given && !bound_is(writer, &rules->above, 1, true))
        holds = ski_compare_note(c, at, "exclusiveMinimum", true, "%s has a higher minimum",
                                 c->reader_name);
    if (rules->maximum.given && !bound_is(writer, &rules->maximum, -1, false))
        holds = ski_compare_note(c, at, "maximum", true, "%s has a lower maximum", c->reader_name);
    if (rules->below.given && !bound_is(writer, &rules->below, -1, true))
        holds = ski_compare_note(c, at, "exclusiveMaximum", true, "%s has a lower maximum",
                                 c->reader_name);
    if (rules->divisor.digits && !divisor_is(writer, &rules->divisor))
        holds =
            ski_compare_note(c, at, "multipleOf", false, "%s wants multiples that %s need not give",
                             c->reader_name, c->writer_name);
    return holds;
}

static bool string_holds(ski_compare *c, const ski_writer *writer, const ski_string_rules *rules,
                         ski_compare_at at)
{
    uint64_t len_min = 0, len_max = UINT64_MAX;
    bool pattern = !rules->pattern, holds = true;

    for (uint32_t i = 0; i < writer->count; i++) {
        const ski_string_rules *own = writer->nodes[i]->string;

        if (!own) continue;
        if (own->len_min > len_min) len_min = own->len_min;
        if (own->len_max < len_max) len_max = own->len_max;
        if (own->pattern && skald_str_equal(own->pattern_text, rules->pattern_text)) pattern = true;
    }
    if (len_min < rules->len_min)
        holds = ski_compare_note(c, at, "minLength", true, "%s wants longer texts", c->reader_name);
    if (len_max > rules->len_max)
        holds =
            ski_compare_note(c, at, "maxLength", true, "%s wants shorter texts", c->reader_name);
    if (!pattern)
        holds = ski_compare_note(c, at, "pattern", false, "%s has a pattern that %s does not have",
                                 c->reader_name, c->writer_name);
    return holds;
}

// list_holds: reader lists values and writer does not; only null, true and false can all be there.
static bool list_holds(ski_compare *c, const ski_writer *writer, const ski_node *reader,
                       ski_compare_at at)
{
    const ski_doc *doc = &c->reader->files[reader->document]->doc;
    const unsigned few = 1u << SKI_JSON_NULL | 1u << SKI_JSON_TRUE | 1u << SKI_JSON_FALSE;
    uint32_t first = reader->constant ? reader->constant : reader->allowed + 1;
    uint32_t end = reader->constant ? doc->values[first].next : doc->values[reader->allowed].next;
    unsigned left = writer->kinds;

    for (uint32_t item = first; item < end; item = doc->values[item].next)
        left &= ~((1u << doc->values[item].kind) & few);
    return !left || ski_compare_note(c, at, reader->constant ? "const" : "enum", true,
                                     "%s lists the values it takes, %s does not", c->reader_name,
                                     c->writer_name);
}

bool ski_compare_scalar(ski_compare *c, const ski_writer *writer, const ski_node *reader,
                        ski_compare_at at)
{
    bool holds = true;

    if (reader->constant || reader->allowed) holds = list_holds(c, writer, reader, at);
    if (reader->number && writer->kinds & (1u << SKI_JSON_NUMBER | SKI_TYPE_INTEGER) &&
        ski_compare_goes_on(c, holds))
        holds &= number_holds(c, writer, reader->number, at);
    if (reader->string && writer->kinds & 1u << SKI_JSON_STRING && ski_compare_goes_on(c, holds))
        holds &= string_holds(c, writer, reader->string, at);
    return holds;
}

// Objects.

static ski_compare_path step(ski_compare_at at, skald_str name, const ski_writer *writer,
                             const ski_node *reader)
{
    return (ski_compare_path){
        .outer = at, .name = name, .step = true, .writer = writer, .reader = reader};
}

static bool subset_at(ski_compare *c, const ski_writer *writer, const ski_node *reader,
                      skald_str name, ski_compare_at at)
{
    const ski_writer none = {0};
    ski_compare_path inner = step(at, name, &none, NULL);

    return ski_compare_subset(c, writer, reader, &inner);
}

// required_hold and declared_hold go over the names that reader knows.
static bool required_hold(ski_compare *c, const ski_writer *writer, const ski_object_rules *rules,
                          ski_compare_at at)
{
    bool holds = true;

    for (uint32_t i = 0; rules->members && i <= rules->members_mask; i++) {
        const ski_member_rule *rule = &rules->members[i];

        if (!rule->required || ski_writer_requires(writer, rule->name)) continue;
        holds = ski_compare_note(c, at, "required", true, "%s requires '%.*s', %s does not",
                                 c->reader_name, (int)(rule->name.len > 80 ? 80 : rule->name.len),
                                 rule->name.ptr, c->writer_name);
    }
    return holds;
}

static bool declared_hold(ski_compare *c, const ski_writer *writer, const ski_object_rules *rules,
                          ski_compare_at at)
{
    bool holds = true;

    for (uint32_t i = 0; rules->members && i <= rules->members_mask; i++) {
        const ski_member_rule *rule = &rules->members[i];
        ski_writer member;

        if (!rule->declared || !rule->node || !ski_compare_goes_on(c, holds)) continue;
        ski_writer_member(c, writer, rule->name, &member);
        holds &= subset_at(c, &member, rule->node, rule->name, at);
    }
    return holds;
}

// is_declared: reader says something of this name besides additionalProperties.
static bool is_declared(ski_compare *c, const ski_object_rules *rules, skald_str name)
{
    const ski_member_rule *rule =
        ski_member_find(rules, name, ski_doc_name_hash(name.ptr, name.len));

    if (rule && rule->declared) return true;
    for (uint32_t i = 0; i < rules->pattern_count; i++)
        if (ski_compare_matches(c, rules->patterns[i].pattern, name)) return true;
    return false;
}

static bool has_pattern(const ski_object_rules *rules, skald_str text)
{
    for (uint32_t i = 0; i < rules->pattern_count; i++)
        if (skald_str_equal(rules->patterns[i].text, text)) return true;
    return false;
}

// rest_holds: what a writer's object says of all names it does not list is within node. Where
// governed is given, names of its patterns are left out: reader speaks of them itself.
static bool rest_holds(ski_compare *c, const ski_object_rules *own, const ski_node *node,
                       const ski_object_rules *governed, ski_compare_at at)
{
    ski_writer rest = ski_writer_of();

    ski_writer_add(c, &rest, own->additional);
    if (!own->additional || !subset_at(c, &rest, node, (skald_str){0}, at)) return false;
    for (uint32_t i = 0; i < own->pattern_count; i++) {
        ski_writer matching = ski_writer_of();

        if (governed && has_pattern(governed, own->patterns[i].text)) continue;
        ski_writer_add(c, &matching, own->patterns[i].node);
        if (!subset_at(c, &matching, node, (skald_str){0}, at)) return false;
    }
    return true;
}

// others_hold: names that writer does not list are within node.
static bool others_hold(ski_compare *c, const ski_writer *writer, const ski_node *node,
                        const ski_object_rules *governed, const char *keyword, ski_compare_at at)
{
    bool holds = false, open = true;

    c->quiet++;
    for (uint32_t i = 0; i < writer->count && !holds; i++) {
        const ski_object_rules *own = writer->nodes[i]->object;

        if (!own) continue;
        if (own->additional || own->unevaluated) open = false;
        holds = rest_holds(c, own, node, governed, at);
    }
    if (!holds) { // an open writer may write anything; reader may take anything too
        ski_writer anything = ski_writer_of();
        holds = ski_compare_subset(c, &anything, node, at);
    }
    c->quiet--;
    return holds || ski_compare_note(c, at, keyword, open && node->never,
                                     "%s limits properties that %s leaves open", c->reader_name,
                                     c->writer_name);
}

// listed_hold goes over the names that writer lists and reader does not.
static bool listed_hold(ski_compare *c, const ski_writer *writer, const ski_object_rules *rules,
                        ski_compare_at at)
{
    bool holds = true;

    for (uint32_t i = 0; i < writer->count; i++) {
        const ski_object_rules *own = writer->nodes[i]->object;

        for (uint32_t j = 0; own && own->members && j <= own->members_mask; j++) {
            const ski_member_rule *rule = &own->members[j];
            ski_writer member;

            if (!rule->name.ptr || is_declared(c, rules, rule->name) ||
                !ski_compare_goes_on(c, holds))
                continue;
            ski_writer_member(c, writer, rule->name, &member);
            if (ski_writer_empty(&member)) continue;
            if (rules->additional->never)
                holds =
                    ski_compare_note(c, at, "additionalProperties", true,
                                     "%s does not know '%.*s' and takes no others", c->reader_name,
                                     (int)(rule->name.len > 80 ? 80 : rule->name.len),
                                     rule->name.ptr);
            else
                holds &= subset_at(c, &member, rules->additional, rule->name, at);
        }
    }
    return holds;
}

static bool patterns_hold(ski_compare *c, const ski_writer *writer, const ski_object_rules *rules,
                          ski_compare_at at)
{
    bool holds = true;

    for (uint32_t i = 0; i < rules->pattern_count && ski_compare_goes_on(c, holds); i++) {
        const ski_pattern_rule *pattern = &rules->patterns[i];
        ski_writer matching = ski_writer_of();

        for (uint32_t j = 0; j < writer->count; j++) {
            const ski_object_rules *own = writer->nodes[j]->object;

            for (uint32_t k = 0; own && k < own->pattern_count; k++)
                if (skald_str_equal(own->patterns[k].text, pattern->text))
                    ski_writer_add(c, &matching, own->patterns[k].node);
            for (uint32_t k = 0; own && own->members && k <= own->members_mask; k++) {
                ski_writer member;

                if (!own->members[k].name.ptr ||
                    !ski_compare_matches(c, pattern->pattern, own->members[k].name))
                    continue;
                ski_writer_member(c, writer, own->members[k].name, &member);
                holds &= subset_at(c, &member, pattern->node, own->members[k].name, at);
            }
        }
        if (matching.count)
            holds &= subset_at(c, &matching, pattern->node, (skald_str){0}, at);
        else
            holds &= others_hold(c, writer, pattern->node, NULL, "patternProperties", at);
    }
    return holds;
}

static bool counts_hold(ski_compare *c, const ski_writer *writer, const ski_object_rules *rules,
                        ski_compare_at at)
{
    uint64_t count_min = 0, count_max = UINT64_MAX;
    bool holds = true;

    for (uint32_t i = 0; i < writer->count; i++) {
        const ski_object_rules *own = writer->nodes[i]->object;

        if (!own) continue;
        if (own->count_min > count_min) count_min = own->count_min;
        if (own->required_count > count_min) count_min = own->required_count;
        if (own->count_max < count_max) count_max = own->count_max;
        if (own->additional && own->additional->never && !own->pattern_count &&
            own->members_count < count_max)
            count_max = own->members_count;
    }
    if (count_min < rules->count_min)
        holds = ski_compare_note(c, at, "minProperties", true, "%s wants more properties",
                                 c->reader_name);
    if (count_max > rules->count_max)
        holds = ski_compare_note(c, at, "maxProperties", true, "%s takes fewer properties",
                                 c->reader_name);
    return holds;
}

// names_hold: propertyNames of reader follows from that of writer.
static bool names_hold(ski_compare *c, const ski_writer *writer, const ski_node *names,
                       ski_compare_at at)
{
    ski_writer own = ski_writer_of();
    bool holds;

    own.kinds = 1u << SKI_JSON_STRING;
    for (uint32_t i = 0; i < writer->count; i++)
        if (writer->nodes[i]->object) ski_writer_add(c, &own, writer->nodes[i]->object->names);
    c->quiet++;
    holds = ski_compare_subset(c, &own, names, at);
    c->quiet--;
    return holds || ski_compare_note(c, at, "propertyNames", false,
                                     "%s limits the names of properties", c->reader_name);
}

// depends: writer asks for name where dependent's name is, by whichever rule.
static bool depends(const ski_writer *writer, const ski_dependent *dependent, skald_str name)
{
    if (ski_writer_requires(writer, name)) return true;
    for (uint32_t i = 0; i < writer->count; i++) {
        const ski_object_rules *own = writer->nodes[i]->object;

        for (uint32_t j = 0; own && j < own->dependent_count; j++) {
            if (!skald_str_equal(own->dependents[j].name, dependent->name)) continue;
            for (size_t k = 0; k < own->dependents[j].required.count; k++)
                if (skald_str_equal(own->dependents[j].required.items[k], name)) return true;
        }
    }
    return false;
}

static bool dependent_holds(ski_compare *c, const ski_writer *writer,
                            const ski_dependent *dependent, ski_compare_at at)
{
    ski_writer member, with = *writer;
    bool holds = true;

    ski_writer_member(c, writer, dependent->name, &member);
    if (ski_writer_empty(&member)) return true;
    for (size_t i = 0; i < dependent->required.count && holds; i++)
        holds = depends(writer, dependent, dependent->required.items[i]);
    if (holds && dependent->node) {
        for (uint32_t i = 0; i < writer->count; i++) {
            const ski_object_rules *own = writer->nodes[i]->object;

            for (uint32_t j = 0; own && j < own->dependent_count; j++)
                if (skald_str_equal(own->dependents[j].name, dependent->name))
                    ski_writer_add(c, &with, own->dependents[j].node);
        }
        c->quiet++;
        holds = ski_compare_subset(c, &with, dependent->node, at);
        c->quiet--;
    }
    return holds || ski_compare_note(c, at, "dependentRequired", false,
                                     "%s wants more where '%.*s' is there", c->reader_name,
                                     (int)(dependent->name.len > 80 ? 80 : dependent->name.len),
                                     dependent->name.ptr);
}

bool ski_compare_object(ski_compare *c, const ski_writer *writer, const ski_node *reader,
                        ski_compare_at at)
{
    const ski_object_rules *rules = reader->object;
    bool holds = required_hold(c, writer, rules, at);

    if (ski_compare_goes_on(c, holds)) holds &= counts_hold(c, writer, rules, at);
    if (ski_compare_goes_on(c, holds)) holds &= declared_hold(c, writer, rules, at);
    if (ski_compare_goes_on(c, holds)) holds &= patterns_hold(c, writer, rules, at);
    if (rules->additional && ski_compare_goes_on(c, holds)) {
        holds &= listed_hold(c, writer, rules, at);
        holds &= others_hold(c, writer, rules->additional, rules, "additionalProperties", at);
    }
    if (rules->names && ski_compare_goes_on(c, holds))
        holds &= names_hold(c, writer, rules->names, at);
    for (uint32_t i = 0; i < rules->dependent_count && ski_compare_goes_on(c, holds); i++)
        holds &= dependent_holds(c, writer, &rules->dependents[i], at);
    if (rules->unevaluated && ski_compare_goes_on(c, holds))
        holds = ski_compare_note(c, at, "unevaluatedProperties", false,
                                 "unevaluatedProperties is not compared");
    return holds;
}

// Arrays.

// item_of is what writer says of the item at place.
static ski_writer item_of(ski_compare *c, const ski_writer *writer, uint32_t place)
{
    ski_writer item = ski_writer_of();

    for (uint32_t i = 0; i < writer->count; i++) {
        const ski_array_rules *own = writer->nodes[i]->array;

        if (own)
            ski_writer_add(c, &item,
                           place < own->prefix.count ? own->prefix.items[place] : own->items);
    }
    return item;
}

static bool items_hold(ski_compare *c, const ski_writer *writer, const ski_array_rules *rules,
                       uint64_t count_max, ski_compare_at at)
{
    uint32_t last = rules->prefix.count;
    bool holds = true;

    for (uint32_t i = 0; i < writer->count; i++)
        if (writer->nodes[i]->array && writer->nodes[i]->array->prefix.count > last)
            last = writer->nodes[i]->array->prefix.count;
    for (uint32_t place = 0; place <= last && place < count_max; place++) {
        const ski_node *node =
            place < rules->prefix.count ? rules->prefix.items[place] : rules->items;
        ski_writer item = item_of(c, writer, place);

        if (node && ski_compare_goes_on(c, holds))
            holds &= subset_at(c, &item, node, (skald_str){0}, at);
    }
    return holds;
}

static bool contains_holds(ski_compare *c, const ski_writer *writer, const ski_array_rules *rules,
                           ski_compare_at at)
{
    bool holds = !rules->contains_min;

    c->quiet++;
    for (uint32_t i = 0; i < writer->count && !holds; i++) {
        const ski_array_rules *own = writer->nodes[i]->array;
        ski_writer item = ski_writer_of();

        if (!own || !own->contains || own->contains_min < rules->contains_min) continue;
        ski_writer_add(c, &item, own->contains);
        holds = ski_compare_subset(c, &item, rules->contains, at);
    }
    c->quiet--;
    if (rules->contains_max != UINT64_MAX) holds = false;
    return holds ||
           ski_compare_note(c, at, "contains", false, "%s wants items that %s need not have",
                            c->reader_name, c->writer_name);
}

bool ski_compare_array(ski_compare *c, const ski_writer *writer, const ski_node *reader,
                       ski_compare_at at)
{
    const ski_array_rules *rules = reader->array;
    uint64_t count_min = 0, count_max = UINT64_MAX;
    bool unique = false, holds = true;

    for (uint32_t i = 0; i < writer->count; i++) {
        const ski_array_rules *own = writer->nodes[i]->array;

        if (!own) continue;
        if (own->count_min > count_min) count_min = own->count_min;
        if (own->count_max < count_max) count_max = own->count_max;
        if (own->items && own->items->never && own->prefix.count < count_max)
            count_max = own->prefix.count;
        unique |= own->unique;
    }
    if (count_min < rules->count_min)
        holds = ski_compare_note(c, at, "minItems", true, "%s wants more items", c->reader_name);
    if (count_max > rules->count_max)
        holds = ski_compare_note(c, at, "maxItems", true, "%s takes fewer items", c->reader_name);
    if (rules->unique && !unique && count_max > 1)
        holds =
            ski_compare_note(c, at, "uniqueItems", true, "%s wants each item once", c->reader_name);
    if (ski_compare_goes_on(c, holds)) holds &= items_hold(c, writer, rules, count_max, at);
    if (rules->contains && ski_compare_goes_on(c, holds))
        holds &= contains_holds(c, writer, rules, at);
    if (rules->unevaluated && ski_compare_goes_on(c, holds))
        holds =
            ski_compare_note(c, at, "unevaluatedItems", false, "unevaluatedItems is not compared");
    return holds;
}
