// SPDX-License-Identifier: Apache-2.0
// What indexes are made of, damage of the segment itself, ids that collide, the bound on open
// files, and many readers at once.
#include "store/log/filter.h"
#include "store/log/keysort.h"
#include "store/log/sealed_test_rig.h"
#include "store/log/varint.h"

static const rig_shape small_shape = {.tenants = 3,
                                      .streams = 40,
                                      .types = 7,
                                      .correlations = 60,
                                      .chain = 5,
                                      .frame = 9,
                                      .data = 16};

static void test_filter(void **state)
{
    uint64_t bytes = ski_filter_bytes(10000), wrong = 0, h = 1;
    uint8_t *filter = ski_alloc_zeroed(1, bytes);

    (void)state;
    assert_int_equal(ski_filter_bytes(0), 0);
    assert_int_equal(ski_filter_bytes(1), SKI_FILTER_BLOCK);
    assert_false(ski_filter_has(filter, 0, 5));
    for (uint64_t i = 0; i < 10000; i++, h += UINT64_C(0x9e3779b97f4a7c15)) {
        ski_filter_add(filter, bytes, h * h * 31);
    }
    h = 1;
    for (uint64_t i = 0; i < 10000; i++, h += UINT64_C(0x9e3779b97f4a7c15)) {
        assert_true(ski_filter_has(filter, bytes, h * h * 31));
        assert_true(ski_filter_block_has(filter + ski_filter_at(bytes, h * h * 31), h * h * 31));
    }
    for (uint64_t i = 0; i < 100000; i++, h += UINT64_C(0x9e3779b97f4a7c15)) {
        wrong += ski_filter_has(filter, bytes, h * h * 31);
    }
    assert_true(wrong < 3000); // 3 of 100
    ski_free(filter);
}

static void test_varints(void **state)
{
    uint8_t bytes[SKI_VARINT_MAX + 1];

    (void)state;
    for (unsigned shift = 0; shift < 64; shift++) {
        uint64_t number = UINT64_C(1) << shift | 1, again = 0;
        uint8_t *end = ski_varint_put(bytes, number);
        const uint8_t *at = bytes;

        assert_true(ski_varint_get(&at, end, &again));
        assert_int_equal(again, number);
        assert_ptr_equal(at, end);
        at = bytes;
        assert_false(ski_varint_get(&at, end - 1, &again));
    }
    memset(bytes, 0xff, sizeof bytes);
    assert_false(ski_varint_get(&(const uint8_t *){bytes}, bytes + sizeof bytes,
                                &(uint64_t){0})); // never ends
}

static void test_keysort(void **state)
{
    enum { count = 5000 };
    ski_keyed *items = ski_alloc(count * sizeof *items), *sorted = ski_alloc(count * sizeof *items);

    (void)state;
    for (int hot = 0; hot < 2; hot++) { // spread, and two keys that stand half of the time each
        uint64_t h = 7;

        for (uint32_t i = 0; i < count; i++, h = h * 6364136223846793005u + 1442695040888963407u) {
            items[i] = (ski_keyed){hot ? (h >> 63) + 1 : h, i, 0};
        }
        assert_int_equal(ski_keysort(items, count, sorted), SKALD_OK);
        for (uint32_t i = 1; i < count; i++) {
            assert_true(sorted[i - 1].key < sorted[i].key ||
                        (sorted[i - 1].key == sorted[i].key && sorted[i - 1].row < sorted[i].row));
        }
    }
    assert_int_equal(ski_keysort(items, 0, sorted), SKALD_OK);
    ski_free(items);
    ski_free(sorted);
}

static void test_names(void **state)
{
    char name[SKI_SEALED_NAME];
    uint32_t no = 0, generation = 0;

    (void)state;
    ski_sealed_name(name, 12, 3);
    assert_string_equal(name, "seg-00000012.3.idx");
    assert_true(ski_sealed_name_parse(name, &no, &generation));
    assert_int_equal(no, 12);
    assert_int_equal(generation, 3);
    assert_false(ski_sealed_name_parse("seg-00000012.3.idx.tmp", &no, &generation));
    assert_false(ski_sealed_name_parse("seg-00000012.3.log", &no, &generation));
    assert_false(ski_sealed_name_parse("seg-12.3.idx", &no, &generation));
}

typedef struct told {
    uint64_t ranges, first, last, offset, length;
} told;

static void damage_told(void *context, uint64_t offset, uint64_t length, uint64_t first,
                        uint64_t last)
{
    told *t = context;

    t->ranges++;
    t->offset = offset;
    t->length = length;
    t->first = first;
    t->last = last;
}

static void test_damage_in_the_segment_is_known(void **state)
{
    ski_sealed_source source;
    ski_sealed_place place;
    told t = {0};
    uint8_t *bytes = NULL;
    size_t len = 0, got = 0;
    ski_sealed *sealed = NULL;
    bool unsure = false;
    rig r;

    rig_begin(&r, *state, small_shape, 4000);
    (void)rig_segment(&r, 900);
    bytes = rig_bytes(&r, "seg-00000001.0.log", &len);
    bytes[len / 2] ^= 1;
    rig_bytes_put(&r, "seg-00000001.0.log", bytes, len);
    source = rig_source(&r, 1, 0);
    source.damaged = damage_told;
    source.context = &t;
    source.next_pos = 901;
    assert_int_equal(ski_sealed_build(&source, &unsure, NULL), SKALD_OK);
    assert_int_equal(t.ranges, 1);
    assert_true(t.offset <= len / 2 && t.offset + t.length > len / 2);
    assert_int_equal(t.last - t.first, r.shape.frame - 1);
    sealed = rig_open(&r, 1, 0);
    assert_int_equal(ski_sealed_info_of(sealed)->damaged, r.shape.frame);
    assert_int_equal(ski_sealed_places(sealed, t.first, 1, &place, &got, NULL), SKALD_OK);
    assert_int_equal(place.state, SKI_SEALED_DAMAGED);
    ski_sealed_close(sealed);

    // The end of it too, which only what comes behind it can tell.
    bytes[len / 2] ^= 1;
    memset(bytes + len - 400, 0, 400);
    rig_bytes_put(&r, "seg-00000001.0.log", bytes, len);
    t = (told){0};
    assert_int_equal(ski_sealed_build(&source, &unsure, NULL), SKALD_OK);
    assert_int_equal(t.ranges, 1);
    assert_int_equal(t.last, 900);
    sealed = rig_open(&r, 1, 0);
    assert_int_equal(ski_sealed_info_of(sealed)->count, 900);
    assert_int_equal(ski_sealed_info_of(sealed)->damaged, 900 - t.first + 1);
    ski_sealed_close(sealed);
    source.next_pos = 0;
    assert_int_equal(ski_sealed_build(&source, &unsure, NULL), SKALD_ECORRUPT); // not sealed
    source.next_pos = 700;
    assert_int_equal(ski_sealed_build(&source, &unsure, NULL), SKALD_ECORRUPT); // holds more
    source.next_pos = 2 + (UINT64_C(1) << 24); // more than any segment has
    assert_int_equal(ski_sealed_build(&source, &unsure, NULL), SKALD_ETOOBIG);
    source.next_pos = 901;
    bytes[100] ^= 1;
    rig_bytes_put(&r, "seg-00000001.0.log", bytes, len);
    assert_int_equal(ski_sealed_build(&source, &unsure, NULL), SKALD_ECORRUPT); // its header
    source.no = 2;
    assert_int_equal(ski_sealed_build(&source, &unsure, NULL), SKALD_ENOTFOUND);
    ski_free(bytes);
    rig_end(&r);
}

// More indexes than files may be open.
static void test_the_pool_bounds_open_files(void **state)
{
    ski_sealed *sealed[6];
    rig r;

    rig_begin(&r, *state, small_shape, 1500);
    for (uint32_t i = 0; i < 6; i++) {
        rig_build(&r, rig_segment(&r, 100), 0);
        sealed[i] = rig_open(&r, i + 1, 0);
        assert_true(r.pool.files <= 2);
    }
    for (uint32_t i = 0; i < 60; i++) {
        assert_int_equal(ski_sealed_check(sealed[i * 7 % 6], NULL), SKALD_OK);
        assert_true(r.pool.files <= 2);
    }
    for (uint32_t i = 0; i < 6; i++) ski_sealed_close(sealed[i]);
    assert_int_equal(r.pool.files, 0);
    rig_end(&r);
}

// Two ids whose hashes agree in all the bits that are kept: both are found, the newer one first.
static void test_ids_that_collide(void **state)
{
    enum { tried = 1 << 21 };
    static const rig_shape one = {.tenants = 1, .types = 1, .frame = 10, .data = 8};
    ski_keyed *items = ski_alloc(tried * sizeof *items), *sorted = ski_alloc(tried * sizeof *items);
    ski_sealed *sealed = NULL;
    uint64_t position = 0, hash = 0;
    uint32_t first = 0, second = 0;
    rig r;

    rig_begin(&r, *state, one, 100);
    for (uint32_t i = 0; i < tried; i++) {
        hash = ski_keys_id(&r.keys, SKALD_STR(""), world_id(i + 1));
        items[i] = (ski_keyed){hash >> 24 << 24, i + 1, 0};
    }
    assert_int_equal(ski_keysort(items, tried, sorted), SKALD_OK);
    for (size_t i = 1; i < tried && !first; i++) {
        if (sorted[i].key != sorted[i - 1].key) continue;
        first = sorted[i - 1].row;
        second = sorted[i].row;
    }
    assert_true(first != 0); // about two pairs are to be expected, and the numbers never change
    for (uint64_t p = 1; p <= 90; p++) r.events[p].id = tried + p;
    r.events[20].id = first;
    r.events[70].id = second;
    rig_build(&r, rig_segment(&r, 90), 0);
    sealed = rig_open(&r, 1, 0);
    hash = rig_id_hash(&r, 20);
    assert_int_equal(ski_sealed_id(sealed, hash, UINT64_MAX, &position, NULL), SKALD_OK);
    assert_int_equal(position, 70);
    assert_int_equal(ski_sealed_id(sealed, hash, position, &position, NULL), SKALD_OK);
    assert_int_equal(position, 20);
    assert_int_equal(ski_sealed_id(sealed, hash, position, &position, NULL), SKALD_ENOTFOUND);
    ski_sealed_close(sealed);
    ski_free(items);
    ski_free(sorted);
    rig_end(&r);
}

typedef struct reading {
    rig *r;
    ski_sealed **sealed;
    uint32_t count;
} reading;

static void read_at_once(void *argument)
{
    reading *mine = argument;
    ski_sealed_stream stream;
    uint64_t position = 0;

    for (uint64_t p = 1; p <= mine->r->count; p++) {
        const rig_event *event = &mine->r->events[p];
        ski_sealed *sealed = mine->sealed[(p - 1) / 200];

        assert_int_equal(
            ski_sealed_id(sealed, rig_id_hash(mine->r, p), UINT64_MAX, &position, NULL), SKALD_OK);
        assert_int_equal(position, p);
        if (!event->stream) continue;
        assert_int_equal(ski_sealed_stream_find(
                             sealed, rig_fp(mine->r, event->tenant, event->stream), &stream, NULL),
                         SKALD_OK);
    }
}

static void test_readers_while_filters_come_and_go(void **state)
{
    enum { threads = 3, indexes = 4 };
    ski_sealed *sealed[indexes];
    ski_thread running[threads];
    reading mine;
    rig r;

    rig_begin(&r, *state, small_shape, 1500);
    for (uint32_t i = 0; i < indexes; i++) {
        rig_build(&r, rig_segment(&r, 200), 0);
        sealed[i] = rig_open(&r, i + 1, 0);
    }
    mine = (reading){&r, sealed, indexes};
    for (int i = 0; i < threads; i++) {
        assert_int_equal(ski_kernel_system.spawn(NULL, "test", read_at_once, &mine, &running[i]),
                         SKALD_OK);
    }
    for (int round = 0; round < 300; round++) {
        ski_sealed *one = sealed[round % indexes];
        ski_sealed_table table = (ski_sealed_table)(round % SKI_SEALED_TABLES);

        assert_int_equal(ski_sealed_filter_load(one, table, NULL), SKALD_OK);
        assert_true(ski_sealed_bytes(one) > 0);
        if (round % 2) assert_true(ski_sealed_filter_drop(one, table));
    }
    for (int i = 0; i < threads; i++) ski_kernel_system.join(NULL, running[i]);
    for (uint32_t i = 0; i < indexes; i++) ski_sealed_close(sealed[i]);
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_varints),
        cmocka_unit_test(test_keysort),
        cmocka_unit_test(test_names),
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
        WITH_WORLD(test_damage_in_the_segment_is_known),
        WITH_WORLD(test_the_pool_bounds_open_files),
        WITH_WORLD(test_ids_that_collide),
        WITH_WORLD(test_readers_while_filters_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
