// SPDX-License-Identifier: Apache-2.0
// Checking: what the outside suite does not ask - messages, paths, limits, numbers, patterns.
#include "base/alloc.h"
#include "event/schema/pattern.h"
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

    if (skald_schema_compile(skald_str_of(text), NULL, &schema, &error)) fail_msg("%s", error.text);
    return schema;
}

static skald_err checked(const char *schema_text, const char *document)
{
    skald_schema *schema = compiled(schema_text);
    skald_err err = skald_schema_check(schema, skald_str_of(document), NULL);

    skald_schema_free(schema);
    return err;
}

static void takes(const char *schema, const char *document)
{
    skald_err err = checked(schema, document);

    if (err) fail_msg("%s: %s: %s", schema, document, skald_err_name(err));
}

static void refuses(const char *schema, const char *document)
{
    if (checked(schema, document) != SKALD_ESCHEMA) fail_msg("%s takes %s", schema, document);
}

static void says(const char *schema_text, const char *document, const char *path,
                 const char *schema_path, const char *message)
{
    skald_schema *schema = compiled(schema_text);
    const skald_violation *list = NULL;
    skald_arena *arena = NULL;
    size_t count = 0;

    assert_int_equal(skald_arena_new(1 << 20, &arena), SKALD_OK);
    assert_int_equal(skald_schema_violations(schema, skald_str_of(document), 16, arena, &list,
                                             &count, NULL),
                     SKALD_OK);
    assert_true(count > 0);
    if (!skald_str_equal(list->path, skald_str_of(path)) ||
        !skald_str_equal(list->schema_path, skald_str_of(schema_path)) ||
        !skald_str_equal(list->message, skald_str_of(message)))
        fail_msg("said: '%.*s' '%.*s' '%.*s'", SKALD_FMT(list->path), SKALD_FMT(list->schema_path),
                 SKALD_FMT(list->message));
    skald_arena_free(arena);
    skald_schema_free(schema);
}

static void messages_say_what_and_where(void **state)
{
    (void)state;
    says("{\"type\":\"object\"}", "[]", "", "#/type", "is an array; must be object");
    says("{\"properties\":{\"a/b\":{\"type\":[\"string\",\"null\"]}}}", "{\"a/b\":1}", "/a~1b",
         "#/properties/a~1b/type", "is a number; must be 'string', 'null'");
    says("{\"items\":{\"minimum\":3}}", "[3,2.5]", "/1", "#/items/minimum",
         "is 2.5; must be at least 3");
    says("{\"required\":[\"a\"]}", "{}", "", "#/required", "'a' is missing");
    says("{\"additionalProperties\":false}", "{\"x\":1}", "/x", "#/additionalProperties",
         "is not a property of the schema");
    says("{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"enum\":[1,\"b\"]}}}", "2", "",
         "#/$defs/a/enum", "is 2; must be one of 1, 'b'");
    says("{\"anyOf\":[{\"type\":\"null\"},{\"properties\":{\"a\":{\"const\":1}}}]}", "{\"a\":2}",
         "/a", "#/anyOf/1/properties/a/const", "is 2; must be 1");
    says("{\"maxLength\":1}", "\"ab\"", "", "#/maxLength", "is 'ab'; characters allowed: 1");
    says("{\"minItems\":2}", "[1]", "", "#/minItems", "has 1 items; needed: 2");
    says("{\"properties\":{\"a\":false}}", "{\"a\":1}", "/a", "#/properties/a",
         "must not be there");
    says("{\"$ref\":\"https://json-schema.org/draft/2020-12/schema\"}", "{\"type\":1}", "/type",
         "#", "is no JSON Schema: must be a list of texts");
}

static void all_violations_are_said_up_to_a_limit(void **state)
{
    skald_schema *schema = compiled("{\"items\":{\"type\":\"string\"}}");
    const skald_violation *list = NULL;
    skald_arena *arena = NULL;
    size_t count = 0;
    char many[2048] = "[0";

    (void)state;
    for (int i = 0; i < 400; i++) strncat(many, ",0", sizeof many - strlen(many) - 1);
    strncat(many, "]", sizeof many - strlen(many) - 1);
    assert_int_equal(skald_arena_new(1 << 20, &arena), SKALD_OK);
    assert_int_equal(skald_schema_violations(schema, SKALD_STR("[1,\"a\",2]"), 16, arena, &list,
                                             &count, NULL),
                     SKALD_OK);
    assert_int_equal(count, 2);
    assert_int_equal(skald_schema_violations(schema, skald_str_of(many), 3, arena, &list, &count,
                                             NULL),
                     SKALD_OK);
    assert_int_equal(count, 3);
    assert_int_equal(skald_schema_violations(schema, skald_str_of(many), 9999, arena, &list, &count,
                                             NULL),
                     SKALD_OK);
    assert_int_equal(count, SKALD_SCHEMA_VIOLATIONS_MAX);
    skald_arena_free(arena);
    skald_schema_free(schema);
}

static void numbers_are_exact(void **state)
{
    (void)state;
    takes("{\"multipleOf\":0.0001}", "0.0075");
    refuses("{\"multipleOf\":0.0001}", "0.00751");
    takes("{\"multipleOf\":0.01}", "4.35");
    takes("{\"multipleOf\":0.5}", "1e308");
    refuses("{\"multipleOf\":0.123456789}", "1e308");
    takes("{\"multipleOf\":3}", "123456789012345678901234567890");
    refuses("{\"multipleOf\":3}", "123456789012345678901234567891");
    takes("{\"type\":\"integer\"}", "1.0");
    takes("{\"type\":\"integer\"}", "12e2");
    takes("{\"type\":\"integer\"}", "150e-1");
    refuses("{\"type\":\"integer\"}", "15e-1");
    takes("{\"type\":\"integer\"}", "1e400");
    takes("{\"const\":1.0}", "1");
    takes("{\"const\":-0.0}", "0");
    takes("{\"maximum\":18446744073709551616}", "18446744073709551616");
    refuses("{\"maximum\":18446744073709551615}", "18446744073709551616");
    refuses("{\"exclusiveMinimum\":-972783798187987123879878123.18878137}",
            "-972783798187987123879878123.18878137");
    takes("{\"exclusiveMinimum\":-972783798187987123879878123.188781371}",
          "-972783798187987123879878123.18878137");
    refuses("{\"minimum\":-1}", "-1.5");
    refuses("{\"uniqueItems\":true}", "[1,2,3,4,5,6,7,8,9,1.0]");
    takes("{\"maxLength\":2.0}", "\"ab\"");
    assert_int_equal(checked("{}", ""), SKALD_EINVALID);
    assert_int_equal(checked("{}", NULL), SKALD_EINVALID);
}

static void patterns_are_those_of_javascript(void **state)
{
    (void)state;
    takes("{\"pattern\":\"^\\\\p{Letter}+$\"}", "\"π\"");
    refuses("{\"pattern\":\"^\\\\d$\"}", "\"߀\"");
    takes("{\"pattern\":\"^\\\\s$\"}", "\"\\u00a0\"");
    takes("{\"pattern\":\"^[\\\\S]$\"}", "\"a\"");
    refuses("{\"pattern\":\"^[\\\\S]$\"}", "\"\\ufeff\"");
    refuses("{\"pattern\":\"^a$\"}", "\"a\\n\"");
    refuses("{\"pattern\":\"^.$\"}", "\"\\u2028\"");
    takes("{\"pattern\":\"^\\\\ud83d\\\\ude00$\"}", "\"😀\"");
    takes("{\"pattern\":\"^\\\\u{1F600}$\"}", "\"😀\"");
    takes("{\"pattern\":\"^\\\\cA$\"}", "\"\\u0001\"");
    takes("{\"pattern\":\"^[^]$\"}", "\"\\n\"");
    refuses("{\"pattern\":\"[]\"}", "\"a\"");
    takes("{\"pattern\":\"^[[:alpha:]]$\"}", "\":]\"");
    takes("{\"pattern\":\"^(?<a>x)\\\\k<a>$\"}", "\"xx\"");
    takes("{\"pattern\":\"^\\\\/\\\\-\\\\_$\"}", "\"/-_\"");
    takes("{\"pattern\":\"\\\\x41\\\\0?$\"}", "\"A\"");
    takes("{\"pattern\":\"^\\\\p{Script=Greek}$\"}", "\"π\"");
}

static void patterns_of_others_are_refused(void **state)
{
    static const char *const wrong[] = {
        "\\Z",           "\\A",  "(?i)a",        "(?>a)",    "a++",         "(*ACCEPT)",
        "(?R)",          "(",    "[a",           "a**",      "\\p{N o}",    "\\p",
        "\\u12",         "\\x1", "\\",           "(?P<a>x)", "\\Qa\\E",     "(?#a)",
        "\\p{Letter|L}", "\\07", "\\p{Greek=x}", "*a",       "\\u{110000}", "\\ud800x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ski_pattern *pattern = NULL;
        skald_error error = {0};

        if (ski_pattern_new(skald_str_of(wrong[i]), &pattern, &error) != SKALD_EINVALID)
            fail_msg("'%s' is taken", wrong[i]);
        assert_true(error.text[0] != 0);
    }
}

static void hostile_patterns_end(void **state)
{
    char text[20000] = "\"", list[40000] = "[\"";

    (void)state;
    memset(text + 1, 'a', 5000);
    strncat(text, "!\"", 3);
    assert_int_equal(checked("{\"pattern\":\"^(a+)+$\"}", text), SKALD_ETOOBIG);
    for (int i = 0; i < 1500; i++) strncat(list, "aaaaaaaaaaaaaaaaa!\",\"", 30);
    strncat(list, "\"]", 3);
    assert_int_equal(checked("{\"items\":{\"pattern\":\"^(a+)+$\"}}", list), SKALD_ETOOBIG);
}

static bool matches(const ski_pattern *pattern, skald_str text)
{
    ski_pattern_scratch *scratch = NULL;
    uint64_t steps = 100000;
    bool found = false;

    assert_int_equal(ski_pattern_scratch_new(&scratch), SKALD_OK);
    assert_int_equal(ski_pattern_matches(pattern, scratch, text, &steps, &found), SKALD_OK);
    ski_pattern_scratch_free(scratch);
    return found;
}

// Where memory is refused for the fast form of a pattern the other one runs.
static void patterns_without_the_fast_form_match(void **state)
{
    unsigned made = 0;
    uint64_t before, used;

    (void)state;
    for (uint64_t n = 1; n < 100; n++) {
        ski_pattern *pattern = NULL;
        skald_err err;

        before = ski_alloc_count();
        ski_alloc_fail_at(n);
        err = ski_pattern_new(SKALD_STR("^a+$"), &pattern, NULL);
        ski_alloc_fail_at(0);
        used = ski_alloc_count() - before;
        assert_true(err == SKALD_OK || err == SKALD_ENOMEM);
        if (!err) assert_true(matches(pattern, SKALD_STR("aa")));
        if (!err) assert_false(matches(pattern, SKALD_STR("ab")));
        ski_pattern_free(pattern);
        if (used < n) break; // nothing was refused
        made += !err;
    }
    assert_true(made > 0);
}

// The stack of the fast form is small; what does not go into it is matched by the other one.
static void patterns_that_need_much_stack_match(void **state)
{
    static char text[5001];
    ski_pattern *pattern = NULL;

    (void)state;
    memset(text, 'a', sizeof text - 1);
    assert_int_equal(ski_pattern_new(SKALD_STR("^(?:(a)|b)*$"), &pattern, NULL), SKALD_OK);
    assert_true(matches(pattern, skald_str_of(text)));
    ski_pattern_free(pattern);
}

static void schemas_that_are_none_are_refused(void **state)
{
    static const struct {
        const char *schema, *says;
    } cases[] = {
        {"{\"type\":\"text\"}", "#/type: is not a type of JSON"},
        {"{\"properties\":{\"a\":{\"minLength\":-1}}}",
         "#/properties/a/minLength: must be a whole number from 0"},
        {"{\"required\":[\"a\",\"a\"]}", "#/required/1: is there twice"},
        {"{\"multipleOf\":0}", "#/multipleOf: must be above 0"},
        {"{\"multipleOf\":0.1234567890123456789}", "#/multipleOf: has more than 18 digits"},
        {"{\"allOf\":[]}", "#/allOf: must be a list of at least one schema"},
        {"{\"$ref\":\"http://nowhere/x.json\"}",
         "#/$ref: names a schema that is not here; give its document: 'http://nowhere/x.json'"},
        {"{\"$ref\":\"#/$defs/a\"}", "#/$ref: there is nothing at: '#/$defs/a'"},
        {"{\"$ref\":\"#a\"}", "#/$ref: there is no anchor for: '#a'"},
        {"{\"$schema\":\"http://json-schema.org/draft-07/schema#\"}",
         "#/$schema: only JSON Schema 2020-12 is known, not: "
         "'http://json-schema.org/draft-07/schema'"},
        {"{\"$anchor\":\"1\"}", "#/$anchor: must be a name of letters, digits, - _ and ."},
        {"{\"type\":\"string\",\"type\":\"number\"}", "#/type: is there twice"},
        {"{\"pattern\":\"a**\"}", "#/pattern: not a regular expression of ECMA-262: nothing to "
                                  "repeat, at byte 2 of 'a**'"},
        {"7", "#: must be a schema: an object, true or false"},
        {"{\"$defs\":{\"a\":{\"$id\":\"x:y\"},\"b\":{\"$id\":\"x:y\"}}}",
         "#/$defs/b/$id: two schemas have this $id: 'x:y'"},
        {"{", "the schema is not JSON: line 1 column 2: the text ends too early"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        skald_schema *schema = NULL;
        skald_error error = {0};

        assert_int_not_equal(
            skald_schema_compile(skald_str_of(cases[i].schema), NULL, &schema, &error), SKALD_OK);
        if (i + 1 < sizeof cases / sizeof *cases)
            assert_string_equal(error.text, cases[i].says);
        else
            assert_non_null(strstr(error.text, "the schema is not JSON: "));
    }
}

static void hostile_schemas_end(void **state)
{
    char text[16384] = "{\"$ref\":\"#/$defs/a0\",\"$defs\":{";
    char one[128];

    (void)state;
    for (int i = 0; i < 60; i++) { // each twice the one before: 2^60 without a limit
        (void)snprintf(
            one, sizeof one,
            "\"a%d\":{\"allOf\":[{\"$ref\":\"#/$defs/a%d\"},{\"$ref\":\"#/$defs/a%d\"}]},", i,
            i + 1, i + 1);
        strncat(text, one, sizeof text - strlen(text) - 1);
    }
    strncat(text, "\"a60\":{\"type\":\"string\"}}}", sizeof text - strlen(text) - 1);
    assert_int_equal(checked(text, "\"x\""), SKALD_ETOOBIG);
    assert_int_equal(checked("{\"$ref\":\"#\"}", "1"), SKALD_ETOOBIG);
    assert_int_equal(checked("{\"not\":{\"$ref\":\"#\"}}", "1"), SKALD_ETOOBIG);
    assert_int_equal(checked("{\"$dynamicAnchor\":\"a\",\"$dynamicRef\":\"#a\"}", "1"),
                     SKALD_ETOOBIG);
}

// Texts of a hundred thousand bytes, compared again and again: each time costs as much as it takes.
static void long_texts_are_paid_for(void **state)
{
    enum { length = 100000, often = 400 };
    size_t room = length + 64, size = 64 + often * 8;
    char *number = ski_alloc(room), *schema = ski_alloc(size);
    size_t len = 0;

    (void)state;
    memset(number, '7', room);
    number[1] = '.';
    number[length] = 0;
    for (int i = 0; i < often; i++)
        len += (size_t)snprintf(schema + len, size - len, "%s0.%d", i ? "," : "{\"enum\":[", i);
    (void)snprintf(schema + len, size - len, "]}");
    assert_int_equal(checked(schema, number), SKALD_ETOOBIG);
    assert_int_equal(checked("{\"enum\":[0.5,\"7\"]}", number), SKALD_ESCHEMA);
    ski_free(number);
    ski_free(schema);
}

static void large_texts_are_refused(void **state)
{
    size_t len = SKALD_SCHEMA_BYTES_MAX + 2;
    skald_schema *schema = NULL;
    char *text = ski_alloc(len);

    (void)state;
    memset(text, ' ', len);
    memcpy(text, "{}", 2);
    assert_int_equal(skald_schema_compile((skald_str){text, len}, NULL, &schema, NULL),
                     SKALD_ETOOBIG);
    ski_free(text);
    len = SKI_DOC_VALUES_MAX * 2 + 3; // of a list with one item too many
    text = ski_alloc(len);
    for (size_t i = 0; i < len; i++) text[i] = i % 2 ? '0' : ',';
    text[0] = '[';
    text[len - 1] = ']';
    schema = compiled("{}");
    assert_int_equal(skald_schema_check(schema, (skald_str){text, len}, NULL), SKALD_ETOOBIG);
    skald_schema_free(schema);
    ski_free(text);
}

static void a_second_check_takes_no_memory(void **state)
{
    static const char schema_text[] =
        "{\"properties\":{\"a\":{\"type\":\"string\",\"pattern\":\"^x\"},\"b\":{\"items\":{"
        "\"uniqueItems\":true}}},\"required\":[\"a\"],\"unevaluatedProperties\":false}";
    skald_str document = SKALD_STR("{\"a\":\"x\\n\",\"b\":[[1,2,3,4,5,6,7,8,9]]}");
    skald_schema *schema = compiled(schema_text);
    uint64_t before;

    (void)state;
    assert_int_equal(skald_schema_check(schema, document, NULL), SKALD_OK);
    assert_int_equal(skald_schema_check(schema, document, NULL), SKALD_OK);
    before = ski_alloc_count();
    assert_int_equal(skald_schema_check(schema, document, NULL), SKALD_OK);
    assert_int_equal(ski_alloc_count(), before);
    skald_schema_free(schema);
}

static void memory_may_run_out_anywhere(void **state)
{
    static const char text[] =
        "{\"$id\":\"x:/y\",\"properties\":{\"a\":{\"pattern\":\"a\"},\"b\":{\"$ref\":\"#c\"}},"
        "\"$defs\":{\"c\":{\"$anchor\":\"c\",\"enum\":[1,2]}},\"anyOf\":[true,{\"minItems\":1}],"
        "\"unevaluatedProperties\":false}";
    skald_error error;
    skald_err err = SKALD_ENOMEM;

    (void)state;
    for (uint64_t n = 1; err; n++) {
        skald_schema *schema = NULL;

        assert_true(n < 200);
        ski_alloc_fail_at(n);
        err = skald_schema_compile(skald_str_of(text), NULL, &schema, &error);
        if (!err) err = skald_schema_check(schema, SKALD_STR("{\"a\":\"\\na\",\"b\":2}"), &error);
        ski_alloc_fail_at(0);
        skald_schema_free(schema);
        if (err) assert_int_equal(err, SKALD_ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_say_what_and_where),
        cmocka_unit_test(all_violations_are_said_up_to_a_limit),
        cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(patterns_are_those_of_javascript),
        cmocka_unit_test(patterns_of_others_are_refused),
        cmocka_unit_test(hostile_patterns_end),
        cmocka_unit_test(patterns_without_the_fast_form_match),
        cmocka_unit_test(patterns_that_need_much_stack_match),
        cmocka_unit_test(schemas_that_are_none_are_refused),
        cmocka_unit_test(hostile_schemas_end),
        cmocka_unit_test(long_texts_are_paid_for),
        cmocka_unit_test(large_texts_are_refused),
        cmocka_unit_test(a_second_check_takes_no_memory),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
