// SPDX-License-Identifier: Apache-2.0
// Comparing: each kind of change, in both directions, and that "compatible" is never said of a pair
// that is not: a generator makes schemas and documents, and asks the check.
#include "event/schema/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h> // behind the headers it needs

static skald_schema *compiled(const char *text)
{
    skald_schema *schema = NULL;
    skald_error error = {0};

    if (skald_schema_compile(skald_str_of(text), NULL, &schema, &error))
        fail_msg("%s: %s", text, error.text);
    return schema;
}

typedef struct comparison {
    const char *older, *newer;
    const char *path, *keyword; // of the first reason; NULL: compatible
} comparison;

static const comparison backward[] = {
    {"{}", "{}", NULL, NULL},
    {"{\"type\":\"integer\"}", "{\"type\":\"number\"}", NULL, NULL},
    {"{\"type\":\"number\"}", "{\"type\":\"integer\"}", "", "type"},
    {"{\"type\":[\"string\",\"null\"]}", "{\"type\":\"string\"}", "", "type"},
    {"{\"type\":\"string\"}", "{\"type\":[\"null\",\"string\"]}", NULL, NULL},
    {"{\"enum\":[1,2]}", "{\"enum\":[2,1,3]}", NULL, NULL},
    {"{\"enum\":[1,2,3]}", "{\"enum\":[1,2]}", "", "enum"},
    {"{\"type\":\"string\",\"enum\":[1,\"a\"]}", "{\"const\":\"a\"}", NULL, NULL},
    {"{\"type\":\"boolean\"}", "{\"enum\":[true,false]}", NULL, NULL},
    {"{\"type\":\"string\"}", "{\"enum\":[\"a\"]}", "", "enum"},
    {"{\"minimum\":1}", "{\"minimum\":0}", NULL, NULL},
    {"{\"minimum\":0}", "{\"minimum\":1}", "", "minimum"},
    {"{\"exclusiveMinimum\":1}", "{\"minimum\":1}", NULL, NULL},
    {"{\"minimum\":1}", "{\"exclusiveMinimum\":1}", "", "exclusiveMinimum"},
    {"{\"maximum\":5}", "{\"exclusiveMaximum\":6}", NULL, NULL},
    {"{\"multipleOf\":0.1}", "{\"multipleOf\":0.01}", NULL, NULL},
    {"{\"multipleOf\":0.01}", "{\"multipleOf\":0.1}", "", "multipleOf"},
    {"{\"type\":\"integer\"}", "{\"multipleOf\":0.5}", NULL, NULL},
    {"{\"maxLength\":5}", "{\"maxLength\":4}", "", "maxLength"},
    {"{\"pattern\":\"^a\"}", "{\"pattern\":\"^a\"}", NULL, NULL},
    {"{\"pattern\":\"^ab\"}", "{\"pattern\":\"^a\"}", "", "pattern"},
    {"{\"required\":[\"a\"]}", "{}", NULL, NULL},
    {"{}", "{\"required\":[\"a\"]}", "", "required"},
    {"{\"properties\":{\"a\":{\"type\":\"string\"}}}",
     "{\"properties\":{\"a\":{\"type\":\"number\"}}}", "/a", "type"},
    {"{\"properties\":{\"a\":{\"type\":\"string\"}},\"additionalProperties\":false}",
     "{\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"type\":\"number\"}},"
     "\"additionalProperties\":false}",
     NULL, NULL},
    {"{\"properties\":{\"a\":true,\"b\":true},\"additionalProperties\":false}",
     "{\"properties\":{\"a\":true},\"additionalProperties\":false}", "", "additionalProperties"},
    {"{\"properties\":{\"a\":true}}",
     "{\"properties\":{\"a\":true},\"additionalProperties\":false}", "", "additionalProperties"},
    {"{\"properties\":{\"a\":true}}", "{\"properties\":{\"a\":true,\"b\":{\"type\":\"string\"}}}",
     "/b", "type"},
    {"{\"additionalProperties\":{\"type\":\"integer\"}}",
     "{\"additionalProperties\":{\"type\":\"number\"}}", NULL, NULL},
    {"{\"patternProperties\":{\"^x\":{\"type\":\"integer\"}},\"additionalProperties\":false}",
     "{\"patternProperties\":{\"^x\":{\"type\":\"number\"}},\"additionalProperties\":false}", NULL,
     NULL},
    {"{}", "{\"patternProperties\":{\"^x\":{\"type\":\"number\"}}}", "", "patternProperties"},
    {"{\"items\":{\"type\":\"integer\"}}", "{\"items\":{\"type\":\"string\"}}", "/*", "type"},
    {"{\"prefixItems\":[{\"type\":\"string\"}],\"items\":false}",
     "{\"items\":{\"type\":\"string\"},\"maxItems\":1}", NULL, NULL},
    {"{\"uniqueItems\":true}", "{}", NULL, NULL},
    {"{}", "{\"uniqueItems\":true}", "", "uniqueItems"},
    {"{\"contains\":{\"const\":1}}", "{\"contains\":{\"type\":\"number\"}}", NULL, NULL},
    {"{\"contains\":{\"type\":\"number\"}}", "{\"contains\":{\"const\":1}}", "", "contains"},
    {"{\"$ref\":\"#/$defs/a\","
     "\"$defs\":{\"a\":{\"type\":\"object\",\"properties\":{\"n\":{\"$ref\":\"#/"
     "$defs/a\"}},\"required\":[\"x\"]}}}",
     "{\"$ref\":\"#/$defs/b\",\"$defs\":{\"b\":{\"type\":\"object\","
     "\"properties\":{\"n\":{\"$ref\":\"#/"
     "$defs/b\"}}}}}",
     NULL, NULL},
    {"{\"$ref\":\"#/$defs/a\","
     "\"$defs\":{\"a\":{\"type\":\"object\",\"properties\":{\"n\":{\"$ref\":\"#/"
     "$defs/a\"},\"v\":{\"type\":\"number\"}}}}}",
     "{\"$ref\":\"#/$defs/b\",\"$defs\":{\"b\":{\"type\":\"object\","
     "\"properties\":{\"n\":{\"$ref\":\"#/"
     "$defs/b\"},\"v\":{\"type\":\"integer\"}}}}}",
     "/n/v", "type"},
    {"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "{\"type\":[\"string\",\"null\"]}",
     NULL, NULL},
    {"{\"type\":[\"string\",\"null\"]}", "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}",
     NULL, NULL},
    {"{\"type\":[\"string\",\"null\"]}", "{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}",
     NULL, NULL},
    {"{\"type\":\"string\"}", "{\"anyOf\":[{\"type\":\"number\"},{\"type\":\"null\"}]}", "",
     "anyOf"},
    {"{\"allOf\":[{\"type\":\"string\"},{\"maxLength\":3}]}",
     "{\"type\":\"string\",\"maxLength\":4}", NULL, NULL},
    {"{\"type\":\"string\"}", "{\"not\":{\"type\":\"number\"}}", NULL, NULL},
    {"{}", "{\"not\":{\"type\":\"number\"}}", "", "not"},
    {"{\"if\":{\"type\":\"string\"},\"then\":{\"minLength\":1}}",
     "{\"if\":{\"type\":\"string\"},\"then\":{\"minLength\":1}}", NULL, NULL},
    {"false", "{\"type\":\"string\"}", NULL, NULL},
    {"{\"type\":\"string\"}", "false", "", "false"},
    {"{\"$dynamicRef\":\"#\"}", "{\"type\":\"string\"}", "", "$dynamicRef"},
    {"{}", "{\"unevaluatedProperties\":false}", "", "unevaluatedProperties"},
    {"{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"a\"}},\"required\":[\"k\"]}",
     "{\"oneOf\":[{\"properties\":{\"k\":{\"const\":\"a\"}}},"
     "{\"properties\":{\"k\":{\"const\":\"b\"}}}]}",
     NULL, NULL},
    {"{\"dependentRequired\":{\"a\":[\"b\",\"c\"]}}", "{\"dependentRequired\":{\"a\":[\"b\"]}}",
     NULL, NULL},
    {"{}", "{\"dependentRequired\":{\"a\":[\"b\"]}}", "", "dependentRequired"},
    {"{\"propertyNames\":{\"maxLength\":2}}", "{\"propertyNames\":{\"maxLength\":3}}", NULL, NULL},
    {"{}", "{\"propertyNames\":{\"maxLength\":3}}", "", "propertyNames"},
};

static void each_change_is_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof backward / sizeof *backward; i++) {
        const comparison *row = &backward[i];
        skald_schema *older = compiled(row->older), *newer = compiled(row->newer);
        const skald_incompatibility *list = NULL;
        skald_arena *arena = NULL;
        size_t count = 0;

        assert_int_equal(skald_arena_new(1 << 20, &arena), SKALD_OK);
        assert_int_equal(skald_schema_compare(older, newer, SKALD_BACKWARD, arena, &list, &count),
                         SKALD_OK);
        if (!row->keyword && count)
            fail_msg("%s -> %s: %.*s", row->older, row->newer, SKALD_FMT(list->message));
        if (row->keyword && (!count || !skald_str_equal(list->path, skald_str_of(row->path)) ||
                             !skald_str_equal(list->keyword, skald_str_of(row->keyword))))
            fail_msg("%s -> %s: %.*s %.*s", row->older, row->newer, count ? (int)list->path.len : 2,
                     count ? list->path.ptr : "OK", count ? (int)list->keyword.len : 0,
                     count ? list->keyword.ptr : "");
        assert_int_equal(skald_schema_compare(newer, older, SKALD_FORWARD, arena, &list, &count),
                         SKALD_OK);
        assert_int_equal(count > 0, row->keyword != NULL); // the other way round it is the same
        assert_int_equal(skald_schema_compare(older, newer, SKALD_UNCHECKED, arena, &list, &count),
                         SKALD_OK);
        assert_int_equal(count, 0);
        skald_arena_free(arena);
        skald_schema_free(older);
        skald_schema_free(newer);
    }
}

// A generator of small schemas and documents over few names and values, so that they meet.

typedef struct dice {
    uint64_t state;
} dice;

static uint32_t roll(dice *of, uint32_t sides)
{
    of->state = of->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(of->state >> 33) % sides;
}

static void put(skald_buf *buf, const char *text)
{
    assert_int_equal(skald_buf_put(buf, skald_str_of(text)), SKALD_OK);
}

static void put_schema(dice *of, skald_buf *buf, int depth)
{
    static const char *const leaves[] = {
        "true",
        "{}",
        "{\"type\":\"string\"}",
        "{\"type\":\"integer\"}",
        "{\"type\":\"number\"}",
        "{\"type\":[\"string\",\"null\"]}",
        "{\"enum\":[1,\"a\",null]}",
        "{\"const\":2}",
        "{\"minimum\":1}",
        "{\"maximum\":2}",
        "{\"exclusiveMinimum\":1}",
        "{\"multipleOf\":2}",
        "{\"minLength\":1}",
        "{\"maxLength\":1}",
        "{\"pattern\":\"a\"}",
        "false",
        "{\"type\":\"object\"}",
        "{\"required\":[\"a\"]}",
        "{\"type\":\"array\",\"maxItems\":1}",
        "{\"minProperties\":1}",
        "{\"uniqueItems\":true}",
        "{\"dependentRequired\":{\"a\":[\"b\"]}}",
    };
    static const char *const forms[][4] = {
        {"{\"properties\":{\"a\":", ",\"b\":", "}}"},
        {"{\"properties\":{\"a\":", "},\"additionalProperties\":", "}"},
        {"{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":",
         "},\"additionalProperties\":", "}"},
        {"{\"patternProperties\":{\"a\":", "},\"additionalProperties\":", "}"},
        {"{\"patternProperties\":{\"b\":", "},\"properties\":{\"a\":", "}}"},
        {"{\"anyOf\":[", ",", "]}"},
        {"{\"oneOf\":[", ",", "]}"},
        {"{\"allOf\":[", ",", "]}"},
        {"{\"type\":\"array\",\"prefixItems\":[", "],\"items\":", "}"},
        {"{\"items\":", ",\"contains\":", "}"},
        {"{\"not\":", ",\"anyOf\":[", "]}"},
        {"{\"if\":", ",\"then\":", "}"},
        {"{\"if\":", ",\"else\":", "}"},
        {"{\"dependentSchemas\":{\"a\":", "},\"properties\":{\"b\":", "}}"},
        {"{\"propertyNames\":", ",\"additionalProperties\":", "}"},
    };
    uint32_t form;

    if (depth == 0 || roll(of, 4) == 0) {
        put(buf, leaves[roll(of, sizeof leaves / sizeof *leaves)]);
        return;
    }
    form = roll(of, sizeof forms / sizeof *forms);
    put(buf, forms[form][0]);
    put_schema(of, buf, depth - 1);
    put(buf, forms[form][1]);
    put_schema(of, buf, depth - 1);
    put(buf, forms[form][2]);
}

static void put_document(dice *of, skald_buf *buf, int depth)
{
    static const char *const leaves[] = {"null", "true",  "1",      "2",  "1.5", "0",
                                         "\"\"", "\"a\"", "\"ab\"", "{}", "[]",  "3"};
    static const char *const names[] = {"\"a\":", "\"b\":", "\"ab\":", "\"c\":"};
    uint32_t kind = roll(of, 4), count = 1 + roll(of, 3);

    if (depth == 0 || kind == 0) {
        put(buf, leaves[roll(of, sizeof leaves / sizeof *leaves)]);
        return;
    }
    put(buf, kind == 1 ? "[" : "{");
    for (uint32_t i = 0; i < count; i++) {
        if (i) put(buf, ",");
        if (kind != 1) put(buf, names[i]);
        put_document(of, buf, depth - 1);
    }
    put(buf, kind == 1 ? "]" : "}");
}

enum { pairs = 3000, documents = 60, text_bytes = 65536 };

static unsigned judge_pair(dice *of, const char *const *texts, size_t count)
{
    skald_buf one = {.bytes_max = text_bytes}, two = {.bytes_max = text_bytes};
    const skald_incompatibility *list = NULL;
    skald_schema *older, *newer;
    skald_arena *arena = NULL;
    size_t reasons = 0;

    put_schema(of, &one, 2);
    if (roll(of, 3))
        put_schema(of, &two, 2);
    else { // one that is near the other
        put(&two, roll(of, 2) ? "{\"anyOf\":[{\"const\":\"zz\"}," : "{\"allOf\":[true,");
        assert_int_equal(skald_buf_put(&two, (skald_str){one.ptr, one.len}), SKALD_OK);
        put(&two, "]}");
    }
    assert_int_equal(skald_arena_new(1 << 20, &arena), SKALD_OK);
    assert_int_equal(skald_schema_compile((skald_str){one.ptr, one.len}, NULL, &older, NULL), 0);
    assert_int_equal(skald_schema_compile((skald_str){two.ptr, two.len}, NULL, &newer, NULL), 0);
    assert_int_equal(skald_schema_compare(older, newer, SKALD_BACKWARD, arena, &list, &reasons), 0);
    for (size_t i = 0; !reasons && i < count; i++) {
        skald_str text = skald_str_of(texts[i]);

        if (!skald_schema_check(older, text, NULL) && skald_schema_check(newer, text, NULL))
            fail_msg("said to be compatible: %.*s -> %.*s, but %s", (int)one.len, one.ptr,
                     (int)two.len, two.ptr, texts[i]);
    }
    skald_schema_free(older);
    skald_schema_free(newer);
    skald_arena_free(arena);
    skald_buf_fini(&one);
    skald_buf_fini(&two);
    return !reasons;
}

static void compatible_is_never_said_wrongly(void **state)
{
    skald_buf made[documents] = {0};
    const char *texts[documents];
    dice of = {7};
    unsigned compatible = 0;

    (void)state;
    for (int i = 0; i < documents; i++) {
        made[i].bytes_max = text_bytes;
        put_document(&of, &made[i], 3);
        assert_int_equal(skald_buf_put(&made[i], (skald_str){"", 1}), SKALD_OK);
        texts[i] = made[i].ptr;
    }
    for (int i = 0; i < pairs; i++) compatible += judge_pair(&of, texts, documents);
    print_message("%u of %d pairs are compatible\n", compatible, pairs);
    assert_true(compatible > pairs / 20);
    for (int i = 0; i < documents; i++) skald_buf_fini(&made[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_change_is_judged),
        cmocka_unit_test(compatible_is_never_said_wrongly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
