// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct heard {
    unsigned count;
    skald_level level;
    char text[4096];
    size_t len;
} heard;

static void hear(void *context, skald_level level, skald_str json_line)
{
    heard *by = context;

    assert_true(json_line.len < sizeof by->text);
    by->count++;
    by->level = level;
    by->len = json_line.len;
    memcpy(by->text, json_line.ptr, json_line.len);
    by->text[json_line.len] = '\0';
}

static void assert_is_json(const heard *line)
{
    skald_error error;

    assert_int_equal(ski_json_door_check(ski_str(line->text, line->len), false, &error), SKALD_OK);
}

static void a_line_is_one_object(void **state)
{
    heard line = {0};
    skald_log log = {.line = hear, .context = &line};

    (void)state;
    ski_log_line(&log, SKALD_WARN, "slow \"disk\"", "path", "a\nb", "why", NULL, NULL);
    assert_int_equal(line.count, 1);
    assert_int_equal(line.level, SKALD_WARN);
    assert_string_equal(
        line.text,
        "{\"level\":\"warn\",\"msg\":\"slow \\\"disk\\\"\",\"path\":\"a\\nb\",\"why\":null}");
    ski_log_line(&log, SKALD_INFO, "", NULL);
    assert_string_equal(line.text, "{\"level\":\"info\",\"msg\":\"\"}");
    ski_log_line(&log, SKALD_DEBUG, "\xff", "k", "\xe2\x82\xac", NULL);
    assert_string_equal(line.text,
                        "{\"level\":\"debug\",\"msg\":\"\xef\xbf\xbd\",\"k\":\"\xe2\x82\xac\"}");
    assert_is_json(&line);
}

static void levels_below_the_minimum_are_dropped(void **state)
{
    (void)state;
    for (int level_min = SKALD_DEBUG; level_min <= SKALD_ERROR; level_min++) {
        for (int level = SKALD_DEBUG; level <= SKALD_ERROR; level++) {
            heard line = {0};
            skald_log log = {.line = hear, .context = &line, .level_min = (skald_level)level_min};

            ski_log_line(&log, (skald_level)level, "x", NULL);
            assert_int_equal(line.count, level >= level_min);
        }
    }
}

static void nobody_need_listen(void **state)
{
    skald_log deaf = {0};

    (void)state;
    ski_log_line(NULL, SKALD_ERROR, "x", NULL);
    ski_log_line(&deaf, SKALD_ERROR, "x", NULL);
}

// Any length of any text around the limit: always one JSON object below it, and "cut" exactly when
// something is missing.
static void a_long_line_is_cut_and_says_so(void **state)
{
    static const char *const units[] = {"x", "\"", "\x01", "\xe2\x82\xac", "\xff"};
    static char text[8192];

    (void)state;
    for (size_t unit = 0; unit < sizeof units / sizeof units[0]; unit++) {
        size_t unit_len = strlen(units[unit]);

        for (size_t count = 0; count * unit_len < 2600; count += 1 + count / 40) {
            heard line = {0};
            skald_log log = {.line = hear, .context = &line};

            for (size_t i = 0; i < count; i++) memcpy(text + i * unit_len, units[unit], unit_len);
            text[count * unit_len] = '\0';
            ski_log_line(&log, SKALD_INFO, "m", "k", text, "last", "there", NULL);
            assert_int_equal(line.count, 1);
            assert_true(line.len < 2048);
            assert_is_json(&line);

            bool last = strstr(line.text, ",\"last\":\"there\"}") != NULL;
            bool cut = strstr(line.text, ",\"cut\":true}") != NULL;

            assert_true(last != cut);
            if (count * unit_len * 6 < 1900) assert_false(cut);
            if (count * unit_len > 2040) assert_true(cut);
        }
    }
}

static void any_part_may_be_too_long(void **state)
{
    static char text[100001];
    heard line = {0};
    skald_log log = {.line = hear, .context = &line};

    (void)state;
    memset(text, 'x', sizeof text - 1);
    ski_log_line(&log, SKALD_INFO, text, "k", "v", NULL);
    assert_is_json(&line);
    assert_true(line.len > 1000); // what fits is kept
    ski_log_line(&log, SKALD_INFO, "m", text, "v", "k", "v", NULL);
    assert_is_json(&line);
    assert_string_equal(line.text, "{\"level\":\"info\",\"msg\":\"m\",\"cut\":true}");
}

static void it_needs_no_memory(void **state)
{
    heard line = {0};
    skald_log log = {.line = hear, .context = &line};
    uint64_t before = ski_alloc_count();

    (void)state;
    ski_log_line(&log, SKALD_ERROR, "out of memory", "where", "\"here\"", NULL);
    assert_int_equal(ski_alloc_count(), before);
    assert_int_equal(line.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_one_object),
        cmocka_unit_test(levels_below_the_minimum_are_dropped),
        cmocka_unit_test(nobody_need_listen),
        cmocka_unit_test(a_long_line_is_cut_and_says_so),
        cmocka_unit_test(any_part_may_be_too_long),
        cmocka_unit_test(it_needs_no_memory),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
