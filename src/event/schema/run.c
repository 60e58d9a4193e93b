// SPDX-License-Identifier: Apache-2.0
// Checking a document against a schema.
//
// A document is first checked as fast as can be; only one that fails, and only when somebody wants
// to know why, is gone over again with every violation noted.
//
// Invariants:
//   1. Every node entered, name searched and value compared costs a step; steps and depth have
//      limits. Beyond them the check is given up (check.err), and whatever it answers is not used.
//   2. evaluated is an offset into check.bits, one bit a member or item, or `untracked`. A branch
//      that fails leaves no bits: it has bits of its own, which are added when it has succeeded.
//   3. doc.values has one value more than it counts: a member's name while propertyNames runs.
#include "base/alloc.h"
#include "base/buf.h"
#include "event/schema/program.h"
#include "event/schema/report.h"

enum { untracked = UINT32_MAX };

struct ski_scratch {
    ski_doc doc;
    ski_pattern_scratch *pattern;
    uint64_t *bits;
    size_t bits_count, bits_size;
};

// scope is the resources that are being evaluated, innermost first.
typedef struct scope {
    const struct scope *outer;
    const ski_resource *resource;
} scope;

typedef struct check {
    ski_scratch *scratch;
    ski_doc *doc;
    const ski_value *values;
    const skald_schema *schema;
    uint64_t steps;
    uint32_t depth;
    uint32_t quiet; // branches that may fail
    skald_err err;
    ski_report *report; // NULL: nobody wants to know
} check;

static bool run(check *c, const ski_node *node, uint32_t index, uint32_t evaluated,
                const scope *outer);

static bool give_up(check *c, skald_err err)
{
    if (!c->err) c->err = err;
    c->steps = 0;
    return false;
}

static bool spend(check *c, uint64_t steps)
{
    if (c->steps < steps) return give_up(c, SKALD_ETOOBIG);
    c->steps -= steps;
    return true;
}

// reporting: a failure does not end the check, so that what else is wrong is found too.
static bool reporting(const check *c)
{
    return c->report && !c->quiet && !c->err;
}

static bool fail(check *c, const ski_node *node, uint32_t index, ski_keyword keyword,
                 skald_str detail)
{
    skald_err err;

    if (!reporting(c)) return false;
    err = ski_report_add(c->report, c->schema, node, c->doc, index, keyword, detail);
    if (err) (void)give_up(c, err);
    return false;
}

// Bits.

static uint32_t bits_push(check *c, uint32_t count)
{
    ski_scratch *scratch = c->scratch;
    size_t words = ((size_t)count + 63) / 64, at = scratch->bits_count, size = scratch->bits_size;
    uint64_t *bits;

    if (at + words > size) {
        while (size < at + words) size = size ? size * 2 : 64;
        bits = ski_realloc(scratch->bits, size * sizeof *bits);
        if (!bits) {
            (void)give_up(c, SKALD_ENOMEM);
            return untracked;
        }
        scratch->bits = bits;
        scratch->bits_size = size;
    }
    for (size_t i = 0; i < words; i++) scratch->bits[at + i] = 0;
    scratch->bits_count = at + words;
    return (uint32_t)at;
}

static void bits_pop(check *c, uint32_t offset)
{
    if (offset != untracked) c->scratch->bits_count = offset;
}

static void bit_set(check *c, uint32_t offset, uint32_t bit)
{
    if (offset != untracked) c->scratch->bits[offset + bit / 64] |= (uint64_t)1 << bit % 64;
}

static bool bit_is(const check *c, uint32_t offset, uint32_t bit)
{
    return offset != untracked && (c->scratch->bits[offset + bit / 64] >> bit % 64 & 1);
}

static void bits_add(check *c, uint32_t to, uint32_t from, uint32_t count)
{
    if (to == untracked || from == untracked) return;
    for (size_t i = 0; i < ((size_t)count + 63) / 64; i++)
        c->scratch->bits[to + i] |= c->scratch->bits[from + i];
}

// branch runs node where it may fail.
static bool branch(check *c, const ski_node *node, uint32_t index, uint32_t evaluated,
                   const scope *outer)
{
    uint32_t count = c->values[index].count, own = untracked;
    bool holds;

    if (evaluated != untracked) own = bits_push(c, count);
    c->quiet++;
    holds = run(c, node, index, own, outer);
    c->quiet--;
    if (holds) bits_add(c, evaluated, own, count);
    bits_pop(c, own);
    return holds;
}

// Numbers and strings.

static int compare_bound(const ski_value *value, const ski_bound *bound)
{
    ski_decimal decimal;

    if (value->small && bound->small)
        return value->number < bound->number ? -1 : value->number > bound->number;
    decimal = ski_decimal_of(ski_value_text(value));
    return ski_decimal_compare(&decimal, &bound->decimal);
}

static bool is_multiple(const ski_number_rules *rules, const ski_value *value)
{
    ski_decimal decimal;

    if (!rules->divisor.digits) return true;
    if (value->small && rules->divisor_small) return value->number % rules->divisor_small == 0;
    decimal = ski_decimal_of(ski_value_text(value));
    return ski_decimal_divides(&rules->divisor, &decimal);
}

static bool run_number(check *c, const ski_node *node, uint32_t index)
{
    const ski_number_rules *rules = node->number;
    const ski_value *value = &c->values[index];
    bool holds = true;

    if (!value->small && !spend(c, value->len / 16)) return false;
    if (rules->minimum.given && compare_bound(value, &rules->minimum) < 0)
        holds = fail(c, node, index, SKI_KEYWORD_MINIMUM, (skald_str){0});
    if (rules->maximum.given && compare_bound(value, &rules->maximum) > 0)
        holds = fail(c, node, index, SKI_KEYWORD_MAXIMUM, (skald_str){0});
    if (rules->above.given && compare_bound(value, &rules->above) <= 0)
        holds = fail(c, node, index, SKI_KEYWORD_ABOVE, (skald_str){0});
    if (rules->below.given && compare_bound(value, &rules->below) >= 0)
        holds = fail(c, node, index, SKI_KEYWORD_BELOW, (skald_str){0});
    if (!is_multiple(rules, value))
        holds = fail(c, node, index, SKI_KEYWORD_MULTIPLE_OF, (skald_str){0});
    return holds;
}

static bool matches(check *c, const ski_pattern *pattern, skald_str text)
{
    bool matches = false;
    skald_err err = ski_pattern_matches(pattern, c->scratch->pattern, text, &c->steps, &matches);

    return err ? give_up(c, err) : matches;
}

// characters counts the code points of text.
static uint64_t characters(skald_str text)
{
    uint64_t count = 0;

    for (size_t i = 0; i < text.len; i++) count += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    return count;
}

static bool run_string(check *c, const ski_node *node, uint32_t index)
{
    const ski_string_rules *rules = node->string;
    skald_str text = ski_value_text(&c->values[index]);
    bool holds = true;

    // A character is one to four bytes: mostly the length in bytes decides.
    if (text.len < rules->len_min || text.len / 4 < rules->len_min || text.len > rules->len_max) {
        uint64_t count = spend(c, text.len / 32) ? characters(text) : 0;

        if (count < rules->len_min)
            holds = fail(c, node, index, SKI_KEYWORD_MIN_LENGTH, (skald_str){0});
        if (count > rules->len_max)
            holds = fail(c, node, index, SKI_KEYWORD_MAX_LENGTH, (skald_str){0});
    }
    if (rules->pattern && (holds || reporting(c)) && !matches(c, rules->pattern, text))
        holds = fail(c, node, index, SKI_KEYWORD_PATTERN, (skald_str){0});
    return holds;
}

// Objects.

// run_member checks one member; *ret_evaluated: something has been said of it.
static bool run_member(check *c, const ski_node *node, uint32_t index, const ski_member_rule *rule,
                       bool *ret_evaluated, const scope *at)
{
    const ski_object_rules *rules = node->object;
    skald_str key = ski_value_key(&c->values[index]);
    bool declared = rule && rule->declared, holds = true;

    if (declared && rule->node) holds = run(c, rule->node, index, untracked, at);
    for (uint32_t i = 0; i < rules->pattern_count && (holds || reporting(c)); i++) {
        if (!matches(c, rules->patterns[i].pattern, key)) continue;
        declared = true;
        holds &= run(c, rules->patterns[i].node, index, untracked, at);
    }
    if (!declared && rules->additional) {
        declared = true;
        if (rules->additional->never)
            holds = fail(c, node, index, SKI_KEYWORD_ADDITIONAL, key);
        else
            holds &= run(c, rules->additional, index, untracked, at);
    }
    *ret_evaluated = declared;
    return holds;
}

// run_name checks the name of a member as a value of its own.
static bool run_name(check *c, const ski_node *node, uint32_t index, const scope *at)
{
    uint32_t place = c->doc->count;
    const ski_value *member = &c->values[index];
    bool holds;

    c->doc->values[place] = (ski_value){
        .kind = SKI_JSON_STRING, .ptr = member->key, .len = member->key_len, .next = place + 1};
    c->quiet++;
    holds = run(c, node->object->names, place, untracked, at);
    c->quiet--;
    return holds || fail(c, node, index, SKI_KEYWORD_NAMES, ski_value_key(member));
}

// fail_required says which required names are not among the seen ones.
static bool fail_required(check *c, const ski_node *node, uint32_t index)
{
    const ski_object_rules *rules = node->object;

    for (uint32_t i = 0; reporting(c) && i <= rules->members_mask; i++) {
        const ski_member_rule *rule = &rules->members[i];

        if (!spend(c, 1 + c->values[index].count)) return false;
        if (rule->required && !ski_doc_find(c->doc, index, rule->name))
            (void)fail(c, node, index, SKI_KEYWORD_REQUIRED, rule->name);
    }
    return false;
}

static bool run_dependents(check *c, const ski_node *node, uint32_t index, uint32_t evaluated,
                           const scope *at)
{
    const ski_object_rules *rules = node->object;
    bool holds = true;

    for (uint32_t i = 0; i < rules->dependent_count && (holds || reporting(c)); i++) {
        const ski_dependent *dependent = &rules->dependents[i];

        if (!spend(c, 1 + c->values[index].count)) return false;
        if (!ski_doc_find(c->doc, index, dependent->name)) continue;
        if (dependent->node) holds &= run(c, dependent->node, index, evaluated, at);
        for (size_t j = 0; j < dependent->required.count; j++) {
            if (!spend(c, 1 + c->values[index].count)) return false;
            if (!ski_doc_find(c->doc, index, dependent->required.items[j]))
                holds = fail(c, node, index, SKI_KEYWORD_DEPENDENT_REQUIRED,
                             dependent->required.items[j]);
        }
    }
    return holds;
}

static bool run_members(check *c, const ski_node *node, uint32_t index, uint32_t evaluated,
                        const scope *at, uint32_t *ret_required)
{
    const ski_object_rules *rules = node->object;
    const ski_value *object = &c->values[index];
    uint32_t seen = rules->required_count ? bits_push(c, rules->required_count) : untracked;
    uint32_t required = 0, bit = 0;
    bool holds = true;

    if (c->err) return false;
    for (uint32_t member = index + 1; member < object->next;
         member = c->values[member].next, bit++) {
        const ski_value *value = &c->values[member];
        const ski_member_rule *rule = ski_member_find(rules, ski_value_key(value), value->key_hash);
        bool said = false;

        if (rule && rule->required && !bit_is(c, seen, rule->required - 1)) {
            bit_set(c, seen, rule->required - 1);
            required++;
        }
        holds &= run_member(c, node, member, rule, &said, at);
        if (said) bit_set(c, evaluated, bit);
        if (rules->names && (holds || reporting(c))) holds &= run_name(c, node, member, at);
        if (!holds && !reporting(c)) break;
    }
    bits_pop(c, seen);
    *ret_required = required;
    return holds;
}

static bool run_object(check *c, const ski_node *node, uint32_t index, uint32_t evaluated,
                       const scope *at)
{
    const ski_object_rules *rules = node->object;
    uint32_t count = c->values[index].count, required = 0;
    bool holds = true;

    if (count < rules->count_min)
        holds = fail(c, node, index, SKI_KEYWORD_MIN_PROPERTIES, (skald_str){0});
    if (count > rules->count_max)
        holds = fail(c, node, index, SKI_KEYWORD_MAX_PROPERTIES, (skald_str){0});
    if (!holds && !reporting(c)) return false;
    if (!spend(c, count)) return false;
    if (rules->members || rules->pattern_count || rules->additional || rules->names) {
        holds &= run_members(c, node, index, evaluated, at, &required);
        if (!holds && !reporting(c)) return false;
        if (required < rules->required_count) holds = fail_required(c, node, index);
    }
    if (rules->dependent_count && (holds || reporting(c)))
        holds &= run_dependents(c, node, index, evaluated, at);
    return holds;
}

// Arrays.

// hash_slot puts hash into a table and says whether it was there.
static bool hash_seen(uint64_t *table, uint32_t mask, uint64_t hash)
{
    uint32_t slot = (uint32_t)(hash ^ hash >> 32) & mask;

    if (!hash) hash = 1;
    for (; table[slot]; slot = (slot + 1) & mask)
        if (table[slot] == hash) return true;
    table[slot] = hash;
    return false;
}

static bool pairs_differ(check *c, uint32_t index)
{
    uint32_t end = c->values[index].next;

    for (uint32_t one = index + 1; one < end; one = c->values[one].next)
        for (uint32_t two = c->values[one].next; two < end; two = c->values[two].next) {
            if (!spend(c, 1)) return false;
            if (ski_doc_equal(c->doc, one, c->doc, two, &c->steps)) return false;
        }
    return true;
}

// items_differ: no item is there twice. Where there are many, their hashes are asked first; only
// when two of those are alike is every pair compared.
static bool items_differ(check *c, uint32_t index)
{
    const ski_value *array = &c->values[index];
    uint32_t size = 16, table;
    bool alike = false;

    if (array->count < 8) return pairs_differ(c, index);
    while (size < array->count * 2) size *= 2;
    table = bits_push(c, size * 64);
    if (c->err) return false;
    for (uint32_t item = index + 1; item < array->next && !alike; item = c->values[item].next)
        alike =
            hash_seen(c->scratch->bits + table, size - 1, ski_doc_hash(c->doc, item, &c->steps));
    bits_pop(c, table);
    return c->steps ? !alike || pairs_differ(c, index) : give_up(c, SKALD_ETOOBIG);
}

static bool run_contains(check *c, const ski_node *node, uint32_t index, uint32_t evaluated,
                         const scope *at)
{
    const ski_array_rules *rules = node->array;
    uint32_t bit = 0;
    uint64_t found = 0;

    for (uint32_t item = index + 1; item < c->values[index].next; item = c->values[item].next) {
        if (branch(c, rules->contains, item, untracked, at)) {
            bit_set(c, evaluated, bit);
            found++;
        }
        bit++;
    }
    if (found < rules->contains_min)
        return fail(c, node, index,
                    rules->contains_min > 1 ? SKI_KEYWORD_MIN_CONTAINS : SKI_KEYWORD_CONTAINS,
                    (skald_str){0});
    return found <= rules->contains_max ||
           fail(c, node, index, SKI_KEYWORD_MAX_CONTAINS, (skald_str){0});
}

static bool run_items(check *c, const ski_node *node, uint32_t index, uint32_t evaluated,
                      const scope *at)
{
    const ski_array_rules *rules = node->array;
    uint32_t bit = 0;
    bool holds = true;

    for (uint32_t item = index + 1; item < c->values[index].next; item = c->values[item].next) {
        const ski_node *of = bit < rules->prefix.count ? rules->prefix.items[bit] : rules->items;

        if (!of) break;
        bit_set(c, evaluated, bit++);
        holds &= run(c, of, item, untracked, at);
        if (!holds && !reporting(c)) return false;
    }
    return holds;
}

static bool run_array(check *c, const ski_node *node, uint32_t index, uint32_t evaluated,
                      const scope *at)
{
    const ski_array_rules *rules = node->array;
    uint32_t count = c->values[index].count;
    bool holds = true;

    if (count < rules->count_min)
        holds = fail(c, node, index, SKI_KEYWORD_MIN_ITEMS, (skald_str){0});
    if (count > rules->count_max)
        holds = fail(c, node, index, SKI_KEYWORD_MAX_ITEMS, (skald_str){0});
    if ((rules->prefix.count || rules->items) && (holds || reporting(c)))
        holds &= run_items(c, node, index, evaluated, at);
    if (rules->contains && (holds || reporting(c)))
        holds &= run_contains(c, node, index, evaluated, at);
    if (rules->unique && (holds || reporting(c)) && !items_differ(c, index))
        holds = fail(c, node, index, SKI_KEYWORD_UNIQUE, (skald_str){0});
    return holds;
}

// Logic.

// dynamic_target is where a $dynamicRef leads: to the anchor of its name in the outermost resource
// that has one.
static const ski_node *dynamic_target(check *c, const ski_logic *logic, const scope *at)
{
    const ski_node *target = logic->dynamic;

    if (!logic->dynamic_name.ptr) return target;
    for (; at; at = at->outer) {
        for (const ski_anchor *anchor = at->resource->anchors; anchor; anchor = anchor->next) {
            if (!spend(c, 1)) return target;
            if (anchor->dynamic && skald_str_equal(anchor->name, logic->dynamic_name))
                target = anchor->node;
        }
    }
    return target;
}

// likely gives the one branch that takes this kind of value; NULL: none does, or several.
static const ski_node *likely(const check *c, const ski_nodes *nodes, uint32_t index)
{
    const ski_node *found = NULL;
    ski_json_kind kind = c->values[index].kind;

    for (uint32_t i = 0; i < nodes->count; i++) {
        const ski_node *node = nodes->items[i];
        unsigned types = node->types;

        for (int hops = 0; hops < 8 && node->logic && node->logic->ref; hops++) {
            node = node->logic->ref;
            types &= node->types;
        }
        if (node->never ||
            !((types >> kind & 1) || (kind == SKI_JSON_NUMBER && types & SKI_TYPE_INTEGER)))
            continue;
        if (found) return NULL;
        found = nodes->items[i];
    }
    return found;
}

static bool fail_branches(check *c, const ski_node *node, const ski_nodes *nodes, uint32_t index,
                          ski_keyword keyword, const scope *at)
{
    const ski_node *one = reporting(c) ? likely(c, nodes, index) : NULL;

    if (one) return run(c, one, index, untracked, at); // it fails again, and says why
    return fail(c, node, index, keyword, (skald_str){0});
}

static bool run_any(check *c, const ski_node *node, uint32_t index, uint32_t evaluated,
                    const scope *at)
{
    const ski_nodes *any = &node->logic->any;
    bool found = false;

    for (uint32_t i = 0; i < any->count && (!found || evaluated != untracked); i++)
        found |= branch(c, any->items[i], index, evaluated, at);
    return found || fail_branches(c, node, any, index, SKI_KEYWORD_ANY_OF, at);
}

static bool run_one(check *c, const ski_node *node, uint32_t index, uint32_t evaluated,
                    const scope *at)
{
    const ski_nodes *one = &node->logic->one;
    uint32_t found = 0;

    for (uint32_t i = 0; i < one->count && found < 2; i++)
        found += branch(c, one->items[i], index, evaluated, at);
    if (found == 1) return true;
    if (!found) return fail_branches(c, node, one, index, SKI_KEYWORD_ONE_OF, at);
    return fail(c, node, index, SKI_KEYWORD_ONE_OF, SKALD_STR("more than one"));
}

static bool run_if(check *c, const ski_logic *logic, uint32_t index, uint32_t evaluated,
                   const scope *at)
{
    const ski_node *then =
        branch(c, logic->if_, index, evaluated, at) ? logic->then_ : logic->else_;

    return !then || run(c, then, index, evaluated, at);
}

static bool run_logic(check *c, const ski_node *node, uint32_t index, uint32_t evaluated,
                      const scope *at)
{
    const ski_logic *logic = node->logic;
    bool holds = true;

    if (logic->ref) holds &= run(c, logic->ref, index, evaluated, at);
    if (logic->dynamic && (holds || reporting(c)))
        holds &= run(c, dynamic_target(c, logic, at), index, evaluated, at);
    for (uint32_t i = 0; i < logic->all.count && (holds || reporting(c)); i++)
        holds &= run(c, logic->all.items[i], index, evaluated, at);
    if (logic->any.count && (holds || reporting(c)))
        holds &= run_any(c, node, index, evaluated, at);
    if (logic->one.count && (holds || reporting(c)))
        holds &= run_one(c, node, index, evaluated, at);
    if (logic->not_ && (holds || reporting(c)) && branch(c, logic->not_, index, untracked, at))
        holds = fail(c, node, index, SKI_KEYWORD_NOT, (skald_str){0});
    if (logic->if_ && (holds || reporting(c))) holds &= run_if(c, logic, index, evaluated, at);
    return holds;
}

// run_rest gives unevaluatedProperties or -Items what nothing else has spoken of.
static bool run_rest(check *c, const ski_node *node, uint32_t index, uint32_t evaluated,
                     const scope *at)
{
    bool array = c->values[index].kind == SKI_JSON_ARRAY, holds = true;
    const ski_node *rest = array ? node->array->unevaluated : node->object->unevaluated;
    ski_keyword keyword = array ? SKI_KEYWORD_UNEVALUATED_ITEMS : SKI_KEYWORD_UNEVALUATED;
    uint32_t bit = 0;

    for (uint32_t item = index + 1; item < c->values[index].next;
         item = c->values[item].next, bit++) {
        if (bit_is(c, evaluated, bit)) continue;
        bit_set(c, evaluated, bit);
        if (rest->never)
            holds = fail(c, node, item, keyword, ski_value_key(&c->values[item]));
        else
            holds &= run(c, rest, item, untracked, at);
        if (!holds && !reporting(c)) return false;
    }
    return holds;
}

static bool run_meta(check *c, const ski_node *node, uint32_t index, uint32_t evaluated)
{
    const char *why = NULL;
    uint32_t wrong = index, bit = 0;

    for (uint32_t item = index + 1; item < c->values[index].next;
         item = c->values[item].next, bit++) {
        ski_keyword keyword = ski_keyword_of(ski_value_key(&c->values[item]));

        if (keyword != SKI_KEYWORD_NONE && ski_keyword_vocabulary(keyword) & node->meta)
            bit_set(c, evaluated, bit);
    }
    return ski_meta_check(c->doc, index, node->meta, &c->steps, &wrong, &why) ||
           fail(c, node, wrong, SKI_KEYWORD_SCHEMA, skald_str_of(why));
}

static bool run_allowed(check *c, const ski_node *node, uint32_t index)
{
    const ski_doc *doc = node->doc;
    const ski_value *list = &doc->values[node->allowed];

    if (node->constant && !ski_doc_equal(c->doc, index, doc, node->constant, &c->steps))
        return fail(c, node, index, SKI_KEYWORD_CONST, (skald_str){0});
    if (!node->allowed) return true;
    for (uint32_t item = node->allowed + 1; item < list->next; item = doc->values[item].next)
        if (ski_doc_equal(c->doc, index, doc, item, &c->steps)) return true;
    return fail(c, node, index, SKI_KEYWORD_ENUM, (skald_str){0});
}

// run_rules is run behind the check of the type.
static bool run_rules(check *c, const ski_node *node, uint32_t index, uint32_t evaluated,
                      const scope *at)
{
    ski_json_kind kind = c->values[index].kind;
    bool holds = true;

    if (node->never) return fail(c, node, index, SKI_KEYWORD_NONE, (skald_str){0});
    if (node->meta) return run_meta(c, node, index, evaluated);
    if (node->allowed || node->constant) holds = run_allowed(c, node, index);
    if (node->logic && (holds || reporting(c))) holds &= run_logic(c, node, index, evaluated, at);
    if (!holds && !reporting(c)) return false;
    if (kind == SKI_JSON_OBJECT && node->object) holds &= run_object(c, node, index, evaluated, at);
    if (kind == SKI_JSON_STRING && node->string) holds &= run_string(c, node, index);
    if (kind == SKI_JSON_NUMBER && node->number) holds &= run_number(c, node, index);
    if (kind == SKI_JSON_ARRAY && node->array) holds &= run_array(c, node, index, evaluated, at);
    return holds;
}

// run_leaf is run_rules where there is nothing to go into.
static bool run_leaf(check *c, const ski_node *node, uint32_t index)
{
    ski_json_kind kind = c->values[index].kind;

    if (kind == SKI_JSON_STRING && node->string) return run_string(c, node, index);
    return kind != SKI_JSON_NUMBER || !node->number || run_number(c, node, index);
}

// is_type: the value is of a type that node allows.
static inline bool is_type(const ski_node *node, const ski_value *value)
{
    ski_decimal decimal;

    if (node->types >> value->kind & 1) return true;
    if (value->kind != SKI_JSON_NUMBER || !(node->types & SKI_TYPE_INTEGER)) return false;
    if (value->small) return true;
    decimal = ski_decimal_of(ski_value_text(value));
    return ski_decimal_integral(&decimal);
}

static bool has_rest(const ski_node *node, ski_json_kind kind)
{
    return (kind == SKI_JSON_OBJECT && node->object && node->object->unevaluated) ||
           (kind == SKI_JSON_ARRAY && node->array && node->array->unevaluated);
}

static bool run(check *c, const ski_node *node, uint32_t index, uint32_t evaluated,
                const scope *outer)
{
    const ski_value *value = &c->values[index];
    scope inner = {outer, node->resource};
    const scope *at = outer && outer->resource == node->resource ? outer : &inner;
    uint32_t own = evaluated;
    bool holds;

    if (!c->steps) return give_up(c, SKALD_ETOOBIG);
    c->steps--;
    if (!is_type(node, value)) return fail(c, node, index, SKI_KEYWORD_TYPE, (skald_str){0});
    if (node->plain) return true;
    if (node->leaf) return run_leaf(c, node, index);
    if (++c->depth > SKI_SCHEMA_DEPTH_MAX) return give_up(c, SKALD_ETOOBIG);
    if (has_rest(node, value->kind)) {
        own = bits_push(c, value->count);
        holds = run_rules(c, node, index, own, at);
        if (holds || reporting(c)) holds &= run_rest(c, node, index, own, at);
        bits_add(c, evaluated, own, value->count);
        bits_pop(c, own);
    } else {
        holds = run_rules(c, node, index, evaluated, at);
    }
    c->depth--;
    return holds;
}

// Memory, and the way in.

skald_err ski_scratch_new(ski_scratch **ret_scratch)
{
    ski_scratch *scratch = ski_alloc_zeroed(1, sizeof *scratch);
    skald_err err = scratch ? ski_pattern_scratch_new(&scratch->pattern) : SKALD_ENOMEM;

    if (err) {
        ski_scratch_free(scratch);
        return err;
    }
    *ret_scratch = scratch;
    return SKALD_OK;
}

void ski_scratch_free(ski_scratch *scratch)
{
    if (!scratch) return;
    ski_doc_fini(&scratch->doc);
    ski_pattern_scratch_free(scratch->pattern);
    ski_free(scratch->bits);
    ski_free(scratch);
}

static skald_err scratch_take(const skald_schema *schema, ski_scratch **ret_scratch)
{
    _Atomic(ski_scratch *) *spare = &((skald_schema *)schema)->spare;

    *ret_scratch = atomic_exchange(spare, NULL);
    return *ret_scratch ? SKALD_OK : ski_scratch_new(ret_scratch);
}

static void scratch_give(const skald_schema *schema, ski_scratch *scratch)
{
    _Atomic(ski_scratch *) *spare = &((skald_schema *)schema)->spare;

    ski_doc_reset(&scratch->doc);
    if (scratch->bits_size > SKI_DOC_VALUES_KEPT) {
        ski_free(scratch->bits);
        scratch->bits = NULL;
        scratch->bits_size = 0;
    }
    ski_scratch_free(atomic_exchange(spare, scratch));
}

static skald_err run_whole(check *c, const ski_node *node, uint32_t index, bool *ret_holds)
{
    c->steps = SKI_SCHEMA_CHECK_STEPS + (uint64_t)SKI_SCHEMA_VALUE_STEPS * c->doc->count;
    c->depth = c->quiet = 0;
    c->scratch->bits_count = 0;
    *ret_holds = run(c, node, index, untracked, NULL);
    if (!c->steps && !c->err) c->err = SKALD_ETOOBIG; // a comparison was given up
    return c->err;
}

skald_err ski_node_takes(const skald_schema *schema, const ski_node *node, const ski_doc *doc,
                         uint32_t index, bool *ret_takes)
{
    check c = {.schema = schema};
    skald_err err;

    SKALD_TRY(scratch_take(schema, &c.scratch));
    c.doc = &c.scratch->doc;
    err = ski_doc_copy(c.doc, doc, index);
    c.values = c.doc->values;
    if (!err) err = run_whole(&c, node, 0, ret_takes);
    scratch_give(schema, c.scratch);
    return err;
}

skald_err ski_schema_run(const skald_schema *schema, skald_json document, bool checked,
                         size_t violations_max, skald_arena *arena,
                         const skald_violation **ret_violations, size_t *ret_count,
                         skald_error *reterr_error)
{
    ski_report report = {.arena = arena, .max = violations_max};
    check c = {.schema = schema};
    bool holds = true;
    skald_err err;

    SKALD_TRY(scratch_take(schema, &c.scratch));
    c.doc = &c.scratch->doc;
    err = ski_doc_parse(c.doc, document, checked, reterr_error);
    c.values = c.doc->values;
    if (!err) {
        err = run_whole(&c, schema->root, 0, &holds);
        if (!err && !holds && violations_max) {
            c.report = &report;
            err = run_whole(&c, schema->root, 0, &holds);
        }
        if (err == SKALD_ETOOBIG)
            err = skald_fail(reterr_error, err,
                             "the check was given up: it takes too long, or the schema refers to "
                             "itself without end");
    }
    scratch_give(schema, c.scratch);
    if (err) return err;
    *ret_violations = report.items;
    *ret_count = violations_max ? report.count : !holds;
    return SKALD_OK;
}
