// SPDX-License-Identifier: Apache-2.0
// State files: written, read, damaged, cut, and the newest whole one chosen.
#include "store/log/blocks.h"
#include "store/log/log_world.h"
#include "store/log/state.h"

static const ski_state_head example = {.store = {{1, 2, 3}},
                                       .segment_no = 7,
                                       .incarnation = 3,
                                       .chain_crc = 4,
                                       .next_pos = 5,
                                       .recorded_last = 6,
                                       .append_us = -7};

static void state_dir(world *w)
{
    assert_int_equal(w->kernel.make_dir(w->kernel.context, w->path), SKALD_OK);
}

// state_write writes so many values (one of them large) and totals, and what the state is.
static skald_err state_write(world *w, uint32_t segment_no, uint32_t values)
{
    ski_state_head head = example;
    ski_state_writer *writer = NULL;
    char *large = ski_alloc(50000);
    bool unsure = false;
    skald_err err = SKALD_OK;

    assert_non_null(large);
    memset(large, 'x', 50000);
    head.segment_no = segment_no;
    err = ski_state_begin(&w->kernel, w->path, &head, &writer);
    for (uint32_t i = 0; i < values && !err; i++) {
        char name[32];

        (void)snprintf(name, sizeof name, "value-%u", i);
        err =
            ski_state_put_value(writer, skald_str_of(name), (skald_str){large, i == 3 ? 50000 : i});
        if (!err) {
            ski_state_total total = {skald_str_of(name), SKALD_STR("type"), i, 2 * (uint64_t)i};

            err = ski_state_put_total(writer, &total);
        }
        if (!err) {
            ski_state_total tenant = {.tenant = skald_str_of(name), .count = i};

            err = ski_state_put_total(writer, &tenant);
        }
    }
    if (err)
        ski_state_cancel(writer);
    else
        err = ski_state_finish(writer, &unsure);
    ski_free(large);
    return err;
}

typedef struct seen {
    uint32_t values, totals, tenants, broken;
    skald_err err;
} seen;

static skald_err value_seen(void *context, skald_str name, skald_str bytes)
{
    seen *s = context;
    char expected[32];

    (void)snprintf(expected, sizeof expected, "value-%u", s->values);
    assert_true(skald_str_equal(name, skald_str_of(expected)));
    assert_int_equal(bytes.len, s->values == 3 ? 50000 : s->values);
    for (size_t i = 0; i < bytes.len; i++) assert_int_equal(bytes.ptr[i], 'x');
    s->values++;
    return s->err;
}

static skald_err total_seen(void *context, const ski_state_total *total)
{
    seen *s = context;

    if (!total->type.ptr) {
        assert_int_equal(total->count, s->tenants++);
        return SKALD_OK;
    }
    assert_int_equal(total->count, s->totals);
    assert_int_equal(total->last_pos, 2 * s->totals);
    s->totals++;
    return SKALD_OK;
}

static void broken(void *context, uint32_t segment_no)
{
    (void)segment_no;
    ((seen *)context)->broken++;
}

static skald_err state_read(world *w, uint32_t segment_no, seen *s, ski_state_head *ret_head)
{
    ski_state_visitor visitor = {value_seen, total_seen, s};

    return ski_state_load(&w->kernel, w->path, example.store, segment_no, &visitor, ret_head, NULL);
}

static void test_names(void **state)
{
    char name[SKI_STATE_NAME];
    uint32_t no = 0;

    (void)state;
    ski_state_name(name, 12);
    assert_string_equal(name, "state-00000012.ckpt");
    assert_true(ski_state_name_parse(name, &no));
    assert_int_equal(no, 12);
    assert_false(ski_state_name_parse("state-00000012.ckpt.tmp", &no));
    assert_false(ski_state_name_parse("state-12.ckpt", &no));
}

static void test_what_is_written_is_read(void **state)
{
    static const uint32_t counts[] = {0, 1, 3, 500, 3000};
    world *w = *state;

    state_dir(w);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        seen s = {0};
        ski_state_head head = {0};

        assert_int_equal(state_write(w, 7, counts[i]), SKALD_OK);
        assert_int_equal(state_read(w, 7, &s, &head), SKALD_OK);
        assert_int_equal(s.values, counts[i]);
        assert_int_equal(s.totals, counts[i]);
        assert_int_equal(s.tenants, counts[i]);
        assert_memory_equal(&head, &example, sizeof head);
    }
    assert_int_equal(state_read(w, 8, &(seen){0}, &(ski_state_head){0}), SKALD_ENOTFOUND);
    assert_int_equal(state_read(w, 7, &(seen){.err = SKALD_EFULL}, &(ski_state_head){0}),
                     SKALD_EFULL); // the visitor's own
}

static void test_texts_that_are_too_long(void **state)
{
    world *w = *state;
    ski_state_writer *writer = NULL;
    char *text = ski_alloc_zeroed(1, 70000);
    ski_state_total total = {.tenant = {text, 65536}};

    state_dir(w);
    assert_int_equal(ski_state_begin(&w->kernel, w->path, &example, &writer), SKALD_OK);
    assert_int_equal(ski_state_put_value(writer, (skald_str){text, 65536}, SKALD_STR("")),
                     SKALD_ETOOBIG);
    assert_int_equal(ski_state_put_total(writer, &total), SKALD_ETOOBIG);
    ski_state_cancel(writer);
    assert_int_equal(state_read(w, 7, &(seen){0}, &(ski_state_head){0}), SKALD_ENOTFOUND);
    ski_free(text);
}

static uint8_t *file_get(world *w, const char *name, size_t *ret_len)
{
    char path[512];
    FILE *file = NULL;
    uint8_t *bytes = ski_alloc(1 << 20);

    (void)snprintf(path, sizeof path, "%s/%s", w->path, name);
    file = fopen(path, "rb");
    assert_non_null(file);
    *ret_len = fread(bytes, 1, 1 << 20, file);
    (void)fclose(file);
    return bytes;
}

static void file_put(world *w, const char *name, const uint8_t *bytes, size_t len)
{
    char path[512];
    FILE *file = NULL;

    (void)snprintf(path, sizeof path, "%s/%s", w->path, name);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    (void)fclose(file);
}

static void test_damage_is_seen_before_anything_is_given(void **state)
{
    static const char name[] = "state-00000007.ckpt";
    world *w = *state;
    uint8_t *bytes = NULL;
    size_t len = 0;

    state_dir(w);
    assert_int_equal(state_write(w, 7, 200), SKALD_OK);
    bytes = file_get(w, name, &len);
    for (size_t at = 11; at < len; at += 509) {
        seen s = {0};

        bytes[at] ^= 1;
        file_put(w, name, bytes, len);
        bytes[at] ^= 1;
        assert_int_equal(state_read(w, 7, &s, &(ski_state_head){0}), SKALD_ECORRUPT);
        assert_int_equal(s.values + s.totals + s.tenants, 0);
    }
    for (size_t cut = 0; cut < len; cut += 1531) {
        file_put(w, name, bytes, cut);
        assert_int_equal(state_read(w, 7, &(seen){0}, &(ski_state_head){0}), SKALD_ECORRUPT);
    }
    file_put(w, "state-00000008.ckpt", bytes, len); // another's
    assert_int_equal(state_read(w, 8, &(seen){0}, &(ski_state_head){0}), SKALD_ECORRUPT);
    ski_free(bytes);
}

static void test_the_newest_whole_one(void **state)
{
    static const uint32_t numbers[] = {3, 9, 7, 8};
    world *w = *state;
    seen s = {0};
    ski_state_visitor visitor = {value_seen, total_seen, &s};
    ski_state_head head = {0};

    state_dir(w);
    for (size_t i = 0; i < 4; i++) assert_int_equal(state_write(w, numbers[i], 10), SKALD_OK);
    file_put(w, "state-00000008.ckpt", (const uint8_t *)"abc", 3);
    assert_int_equal(ski_state_load_newest(&w->kernel, w->path, example.store, numbers, 4, 8,
                                           &visitor, broken, &s, &head, NULL),
                     SKALD_OK);
    assert_int_equal(head.segment_no, 7);
    assert_int_equal(s.broken, 1);
    assert_int_equal(s.values, 10);
    assert_int_equal(ski_state_load_newest(&w->kernel, w->path, example.store, numbers, 4, 2,
                                           &visitor, NULL, NULL, &head, NULL),
                     SKALD_ENOTFOUND);
    assert_int_equal(ski_state_load_newest(&w->kernel, w->path, example.store, NULL, 0, 9, &visitor,
                                           NULL, NULL, &head, NULL),
                     SKALD_ENOTFOUND);
}

// Whatever fails, the state that was there stays.
static void test_a_write_that_fails_changes_nothing(void **state)
{
    static const world_call calls[] = {CALL_PWRITE, CALL_SYNC, CALL_OPEN};
    world *w = *state;

    state_dir(w);
    assert_int_equal(state_write(w, 7, 20), SKALD_OK);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        for (uint64_t from = 1;; from++) {
            skald_err err = SKALD_OK;
            seen s = {0};

            world_fail(w, calls[i], from, UINT64_MAX, SKALD_EIO);
            err = state_write(w, 7, 9);
            world_fail(w, CALL_NONE, 0, 0, SKALD_OK);
            if (!err) break;
            assert_int_equal(state_read(w, 7, &s, &(ski_state_head){0}), SKALD_OK);
            assert_int_equal(s.values, i ? 9 : 20);
        }
    }
    for (uint64_t n = 1;; n++) {
        skald_err err = SKALD_OK;
        seen s = {0};
        char *large = NULL;
        ski_state_writer *writer = NULL;
        bool unsure = false;

        (void)large;
        ski_alloc_fail_at(n);
        err = ski_state_begin(&w->kernel, w->path, &example, &writer);
        if (!err) err = ski_state_put_value(writer, SKALD_STR("value-0"), SKALD_STR(""));
        if (!err) err = ski_state_finish(writer, &unsure);
        if (!err) err = state_read(w, 7, &s, &(ski_state_head){0});
        ski_alloc_fail_at(0);
        if (!err) break;
        assert_int_equal(err, SKALD_ENOMEM);
        assert_true(n < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
        WITH_WORLD(test_what_is_written_is_read),
        WITH_WORLD(test_texts_that_are_too_long),
        WITH_WORLD(test_damage_is_seen_before_anything_is_given),
        WITH_WORLD(test_the_newest_whole_one),
        WITH_WORLD(test_a_write_that_fails_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
