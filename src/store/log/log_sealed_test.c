// SPDX-License-Identifier: Apache-2.0
// The index of a sealed segment against a plain model of what is in it: built, read, damaged, cut.
#include "store/log/sealed_format.h"
#include "store/log/sealed_test_rig.h"

static const rig_shape small_shape = {.tenants = 3,
                                      .streams = 40,
                                      .types = 7,
                                      .correlations = 60,
                                      .chain = 5,
                                      .frame = 9,
                                      .data = 16};

// What was asked and how often damage was the answer. In a whole index it never may be.
typedef struct asked {
    rig *r;
    const ski_sealed *sealed;
    uint64_t first, last; // positions of the segment
    uint64_t answers, corrupt;
    bool damaged; // CORRUPT is an answer
} asked;

// said takes note of an answer; true: it is none but damage.
static bool said(asked *a, skald_err err, skald_err expected)
{
    a->answers++;
    if (err == SKALD_ECORRUPT && a->damaged) {
        a->corrupt++;
        return true;
    }
    if (err != expected) fail_msg("%s, not %s", skald_err_name(err), skald_err_name(expected));
    return false;
}

static void ask_places(asked *a)
{
    for (uint64_t position = a->first; position <= a->last;) {
        ski_sealed_place places[100];
        size_t count = 0;

        if (said(a,
                 ski_sealed_places(a->sealed, position, 1 + position % 100, places, &count, NULL),
                 SKALD_OK)) {
            position++;
            continue;
        }
        assert_true(count > 0);
        for (size_t i = 0; i < count; i++, position++) {
            const rig_event *event = &a->r->events[position];
            uint8_t record[8192];

            assert_int_equal(places[i].state, event->erased ? SKI_SEALED_ERASED : SKI_SEALED_THERE);
            if (event->erased) continue;
            assert_true(places[i].len_max >= rig_record(a->r, position, record));
            assert_true(places[i].offset >= SKI_SEGMENT_HEADER && places[i].offset % 8 == 0);
        }
    }
}

// list_is holds a list against the events that match.
static void list_is(asked *a, ski_sealed_list *list,
                    bool (*match)(const rig_event *event, const void *what), const void *what)
{
    uint32_t n = 0, after = 0;
    uint64_t position = 0;

    for (uint64_t p = a->first; p <= a->last; p++) {
        if (a->r->events[p].erased || !match(&a->r->events[p], what)) continue;
        assert_true(n < list->count);
        if (!said(a, ski_sealed_list_at(a->sealed, list, n, &position, NULL), SKALD_OK)) {
            assert_int_equal(position, p);
        }
        n++;
        if (n % 7) continue;
        if (!said(a, ski_sealed_list_after(a->sealed, list, p, &after, NULL), SKALD_OK)) {
            assert_int_equal(after, n);
        }
        if (!said(a, ski_sealed_list_after(a->sealed, list, p - 1, &after, NULL), SKALD_OK)) {
            assert_int_equal(after, n - 1);
        }
    }
    assert_int_equal(n, list->count);
    for (; n > 0; n -= n < 13 ? n : 13) { // backwards
        if (!said(a, ski_sealed_list_at(a->sealed, list, n - 1, &position, NULL), SKALD_OK)) {
            assert_true(match(&a->r->events[position], what));
        }
    }
}

typedef struct wanted {
    uint32_t tenant, stream, type, correlation;
} wanted;

static bool match_stream(const rig_event *event, const void *what)
{
    const wanted *w = what;

    return event->tenant == w->tenant && event->stream == w->stream;
}

static bool match_type(const rig_event *event, const void *what)
{
    const wanted *w = what;

    return event->tenant == w->tenant && event->type == w->type;
}

static bool match_tenant(const rig_event *event, const void *what)
{
    return event->tenant == ((const wanted *)what)->tenant;
}

static bool match_correlation(const rig_event *event, const void *what)
{
    const wanted *w = what;

    return event->tenant == w->tenant && event->correlation == w->correlation;
}

static uint64_t match_last(const asked *a, bool (*match)(const rig_event *, const void *),
                           const void *what)
{
    uint64_t last = 0;

    for (uint64_t p = a->first; p <= a->last; p++) {
        if (match(&a->r->events[p], what)) last = p;
    }
    return last;
}

static void ask_stream(asked *a, wanted what)
{
    ski_sealed_stream stream;
    ski_fp fp = rig_fp(a->r, what.tenant, what.stream);
    uint64_t last = match_last(a, match_stream, &what), first_there = 0, first = 0;
    bool may = false;

    if (said(a, ski_sealed_stream_find(a->sealed, fp, &stream, NULL),
             last ? SKALD_OK : SKALD_ENOTFOUND) ||
        !last) {
        return;
    }
    for (uint64_t p = a->last; p >= a->first; p--) {
        if (!match_stream(&a->r->events[p], &what)) continue;
        first = p;
        if (!a->r->events[p].erased) first_there = p;
    }
    assert_int_equal(stream.last_pos, last);
    assert_int_equal(stream.last_version, a->r->events[last].version);
    assert_int_equal(stream.prev_pos, a->r->events[first].prev_pos);
    assert_int_equal(stream.first_version, first_there ? a->r->events[first_there].version : 0);
    if (!said(a, ski_sealed_may_have(a->sealed, SKI_SEALED_STREAMS, fp.hi, &may, NULL), SKALD_OK)) {
        assert_true(may);
    }
    list_is(a, &stream.list, match_stream, &what);
}

static void ask_named(asked *a, ski_sealed_names names, wanted what)
{
    rig_text rooms[2];
    ski_sealed_named named;
    skald_str tenant = rig_tenant(&rooms[0], what.tenant);
    bool types = names == SKI_SEALED_TYPES;
    bool (*match)(const rig_event *, const void *) = types ? match_type : match_tenant;
    skald_str name = types ? rig_name(&rooms[1], "type.", what.type) : SKALD_STR("");
    bool there = false;

    for (uint64_t p = a->first; p <= a->last; p++) {
        there |= !a->r->events[p].erased && match(&a->r->events[p], &what);
    }
    if (said(a, ski_sealed_named_find(a->sealed, names, tenant, name, &named, NULL),
             there ? SKALD_OK : SKALD_ENOTFOUND) ||
        !there) {
        return;
    }
    list_is(a, &named.list, match, &what);
}

static void ask_correlation(asked *a, wanted what)
{
    rig_text rooms[2];
    ski_sealed_list list;
    uint64_t hash = ski_keys_correlation(&a->r->keys, rig_tenant(&rooms[0], what.tenant),
                                         rig_name(&rooms[1], "corr-", what.correlation));
    bool there = false, may = false;

    for (uint64_t p = a->first; p <= a->last; p++) {
        there |= !a->r->events[p].erased && match_correlation(&a->r->events[p], &what);
    }
    if (said(a, ski_sealed_correlation(a->sealed, hash, &list, NULL),
             there ? SKALD_OK : SKALD_ENOTFOUND) ||
        !there) {
        return;
    }
    if (!said(a, ski_sealed_may_have(a->sealed, SKI_SEALED_CORRELATIONS, hash, &may, NULL),
              SKALD_OK)) {
        assert_true(may);
    }
    list_is(a, &list, match_correlation, &what);
}

static void ask_ids(asked *a)
{
    for (uint64_t p = a->first; p <= a->last; p++) {
        uint64_t position = 0, hash = rig_id_hash(a->r, p);
        bool there = !a->r->events[p].erased;

        if (!said(a, ski_sealed_id(a->sealed, hash, UINT64_MAX, &position, NULL),
                  there ? SKALD_OK : SKALD_ENOTFOUND) &&
            there) {
            assert_int_equal(position, p);
        }
        (void)said(a, ski_sealed_id(a->sealed, hash, p, &position, NULL), SKALD_ENOTFOUND);
    }
}

static void ask_first_names(asked *a)
{
    ski_sealed_names_iter *iter = ski_alloc(sizeof *iter);
    rig_text rooms[2];
    char before[2 * SKI_SEALED_NAME_BYTES] = "";
    uint64_t count = 0, expected = 0;
    skald_err err = ski_sealed_names_begin(iter, a->sealed, SKI_SEALED_FIRST, SKALD_STR(""),
                                           SKALD_STR(""), NULL);

    while (!err && !(err = ski_sealed_names_next(iter, NULL))) {
        char name[2 * SKI_SEALED_NAME_BYTES];

        (void)snprintf(name, sizeof name, "%.*s\x01%.*s", SKALD_FMT(iter->tenant),
                       SKALD_FMT(iter->name));
        assert_true(strcmp(before, name) < 0);
        (void)snprintf(before, sizeof before, "%s", name);
        count++;
    }
    for (uint64_t p = a->first; p <= a->last; p++) expected += a->r->events[p].version == 1;
    if (!said(a, err, SKALD_ENOTFOUND)) assert_int_equal(count, expected);
    for (uint64_t p = a->first; p <= a->last; p++) { // from each name on: that one comes first
        const rig_event *event = &a->r->events[p];
        skald_str tenant = rig_tenant(&rooms[0], event->tenant);
        skald_str stream = rig_name(&rooms[1], "stream-", event->stream);

        if (event->version != 1) continue;
        err = ski_sealed_names_begin(iter, a->sealed, SKI_SEALED_FIRST, tenant, stream, NULL);
        if (!err) err = ski_sealed_names_next(iter, NULL);
        if (said(a, err, SKALD_OK)) continue;
        assert_true(skald_str_equal(iter->tenant, tenant));
        assert_true(skald_str_equal(iter->name, stream));
    }
    ski_free(iter);
}

static void ask_streams_in_order(asked *a)
{
    ski_sealed_streams_iter iter;
    ski_fp before = {0, 0};
    uint64_t count = 0;
    skald_err err = ski_sealed_streams_begin(&iter, a->sealed);

    while (!err && !(err = ski_sealed_streams_next(&iter, NULL))) {
        ski_sealed_stream stream;

        assert_true(ski_fp_compare(before, iter.fp) < 0);
        before = iter.fp;
        count++;
        if (said(a, ski_sealed_stream_find(a->sealed, iter.fp, &stream, NULL), SKALD_OK)) continue;
        assert_int_equal(stream.last_pos, iter.last_pos);
        assert_int_equal(stream.last_version, iter.last_version);
    }
    if (!said(a, err, SKALD_ENOTFOUND)) {
        assert_int_equal(count, ski_sealed_info_of(a->sealed)->streams);
    }
    ski_sealed_streams_end(&iter);
}

static bool id_seen(void *context, const ski_sealed_id_entry *entries, size_t count)
{
    asked *a = context;

    for (size_t i = 0; i < count; i++) {
        uint64_t hash = rig_id_hash(a->r, entries[i].position);

        assert_int_equal(entries[i].hash, hash >> 24 << 24);
        a->answers++;
    }
    return true;
}

static void ask_times(asked *a)
{
    const ski_sealed_info *info = ski_sealed_info_of(a->sealed);

    if (info->erased == info->count) return; // there is no time
    for (uint64_t p = a->first; p <= a->last; p += 97) {
        int64_t time = a->r->events[p].recorded_at;
        uint64_t low = 0, high = 0;

        ski_sealed_at_time(a->sealed, time, &low, &high);
        assert_true(low <= p && high - low <= SKI_SEALED_LADDER);
        assert_true(low == a->first || a->r->events[low - 1].recorded_at < time);
        assert_true(high > a->last || a->r->events[high].recorded_at >= time);
    }
}

// ask_all asks everything there is to ask.
static void ask_all(asked *a, bool times)
{
    const rig_shape *shape = &a->r->shape;
    uint64_t before = 0;

    ask_places(a);
    for (uint32_t tenant = 0; tenant < shape->tenants; tenant++) {
        for (uint32_t i = 1; i <= shape->streams + 2; i++) {
            ask_stream(a, (wanted){.tenant = tenant, .stream = i});
        }
        for (uint32_t i = 0; i <= shape->types; i++) {
            ask_named(a, SKI_SEALED_TYPES, (wanted){.tenant = tenant, .type = i});
        }
        ask_named(a, SKI_SEALED_TENANTS, (wanted){.tenant = tenant});
        for (uint32_t i = 1; i <= shape->correlations + 2; i++) {
            ask_correlation(a, (wanted){.tenant = tenant, .correlation = i});
        }
    }
    ask_ids(a);
    ask_first_names(a);
    ask_streams_in_order(a);
    before = a->answers;
    if (!said(a, ski_sealed_ids_each(a->sealed, id_seen, a, NULL), SKALD_OK)) {
        assert_int_equal(a->answers - before - 1, ski_sealed_info_of(a->sealed)->events);
    }
    if (times) ask_times(a);
}

static void verify(rig *r, uint32_t no, uint32_t generation)
{
    ski_sealed *sealed = rig_open(r, no, generation);
    const ski_sealed_info *info = ski_sealed_info_of(sealed);
    asked a = {.r = r,
               .sealed = sealed,
               .first = info->base_pos,
               .last = info->base_pos + info->count - 1};

    assert_int_equal(info->base_pos, r->bases[no]);
    assert_int_equal(info->end, r->ends[no]);
    assert_int_equal(info->damaged, 0);
    assert_int_equal(ski_sealed_check(sealed, NULL), SKALD_OK);
    ask_all(&a, true);
    for (int table = 0; table < SKI_SEALED_TABLES; table++) { // and with filters
        uint64_t bytes = ski_sealed_bytes(sealed);

        assert_int_equal(ski_sealed_filter_load(sealed, (ski_sealed_table)table, NULL), SKALD_OK);
        assert_int_equal(ski_sealed_filter_load(sealed, (ski_sealed_table)table, NULL), SKALD_OK);
        assert_int_equal(ski_sealed_bytes(sealed),
                         bytes + ski_sealed_filter_bytes(sealed, (ski_sealed_table)table));
    }
    ask_all(&a, true);
    for (int table = 0; table < SKI_SEALED_TABLES; table++) {
        assert_true(ski_sealed_filter_drop(sealed, (ski_sealed_table)table));
    }
    ski_sealed_close(sealed);
}

static void test_an_index_says_what_is_in_the_segment(void **state)
{
    rig r;

    rig_begin(&r, *state, small_shape, 4000);
    for (uint32_t count = 1; count < 3000; count = count * 5 + 600) {
        uint32_t no = rig_segment(&r, count);

        rig_build(&r, no, 0);
        verify(&r, no, 0);
    }
    rig_end(&r);
}

static void test_one_stream_and_many(void **state)
{
    static const rig_shape shapes[] = {
        {.tenants = 1,
         .streams = 1,
         .types = 1,
         .correlations = 1,
         .chain = 9999,
         .frame = 50,
         .data = 16},
        {.tenants = 1,
         .streams = 0,
         .types = 1,
         .correlations = 0,
         .chain = 1,
         .frame = 1,
         .data = 200},
        {.tenants = 40,
         .streams = 20,
         .types = 30,
         .correlations = 2,
         .chain = 1,
         .frame = 2,
         .data = 16},
    };

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        rig r;
        uint32_t no = 0;

        rig_begin(&r, *state, shapes[i], 2500);
        no = rig_segment(&r, 2500);
        rig_build(&r, no, 0);
        verify(&r, no, 0);
        rig_end(&r);
    }
}

static void test_an_empty_segment(void **state)
{
    ski_sealed_stream stream;
    ski_sealed_list list;
    ski_sealed_names_iter iter;
    uint64_t low = 0, high = 0;
    ski_sealed *sealed = NULL;
    bool may = true;
    rig r;

    rig_begin(&r, *state, small_shape, 10);
    rig_write(&r, 1, 0, 1, 0, true);
    rig_build(&r, 1, 0);
    sealed = rig_open(&r, 1, 0);
    assert_int_equal(ski_sealed_info_of(sealed)->count, 0);
    assert_int_equal(ski_sealed_stream_find(sealed, (ski_fp){1, 2}, &stream, NULL),
                     SKALD_ENOTFOUND);
    assert_int_equal(ski_sealed_correlation(sealed, 1, &list, NULL), SKALD_ENOTFOUND);
    assert_int_equal(ski_sealed_id(sealed, 1, 9, &low, NULL), SKALD_ENOTFOUND);
    assert_int_equal(ski_sealed_may_have(sealed, SKI_SEALED_IDS, 1, &may, NULL), SKALD_OK);
    assert_false(may);
    assert_int_equal(ski_sealed_filter_load(sealed, SKI_SEALED_IDS, NULL), SKALD_OK);
    ski_sealed_at_time(sealed, 5, &low, &high);
    assert_true(low == 1 && high == 1);
    assert_int_equal(ski_sealed_names_begin(&iter, sealed, SKI_SEALED_TYPES, SKALD_STR("a"),
                                            SKALD_STR("b"), NULL),
                     SKALD_OK);
    assert_int_equal(ski_sealed_names_next(&iter, NULL), SKALD_ENOTFOUND);
    ski_sealed_close(sealed);
    rig_end(&r);
}

static void test_erased_events(void **state)
{
    ski_sealed *older = NULL;
    rig r;
    uint32_t no = 0;

    rig_begin(&r, *state, small_shape, 4000);
    (void)rig_segment(&r, 500);
    no = rig_segment(&r, 3000);
    for (uint64_t p = r.bases[no]; p <= r.count; p++) {
        r.events[p].erased = p % 3 == 0 || r.events[p].stream == 5 || p > r.count - 20;
    }
    rig_write(&r, no, 1, r.bases[no], r.count, true);
    rig_build(&r, no, 1);
    verify(&r, no, 1);
    older = rig_open(&r, no, 1);
    assert_int_equal(ski_sealed_info_of(older)->count, 3000);
    assert_true(ski_sealed_info_of(older)->erased > 1000);
    ski_sealed_close(older);
    for (uint64_t p = r.bases[no]; p <= r.count; p++) r.events[p].erased = true;
    rig_write(&r, no, 2, r.bases[no], r.count, true);
    rig_build(&r, no, 2);
    verify(&r, no, 2);
    rig_end(&r);
}

static void test_a_flipped_byte_is_never_a_wrong_answer(void **state)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    uint64_t corrupt = 0, refused = 0;
    rig r;

    rig_begin(&r, *state, small_shape, 1500);
    (void)rig_segment(&r, 700);
    rig_build(&r, 1, 0);
    bytes = rig_bytes(&r, "seg-00000001.0.idx", &len);
    for (size_t block = 0; block < len / SKI_BLOCK; block++) {
        ski_sealed *sealed = NULL;
        size_t at = block * SKI_BLOCK + (block * 977 + 5) % SKI_BLOCK;
        asked a = {.r = &r, .first = 1, .last = 700, .damaged = true};

        bytes[at] ^= 0x10;
        rig_bytes_put(&r, "seg-00000001.0.idx", bytes, len);
        bytes[at] ^= 0x10;
        if (rig_try(&r, 1, 0, &sealed) == SKALD_ECORRUPT) {
            refused++;
            continue;
        }
        a.sealed = sealed;
        assert_int_equal(ski_sealed_check(sealed, NULL), SKALD_ECORRUPT);
        ask_all(&a, true);
        for (int table = 0; table < SKI_SEALED_TABLES; table++) {
            (void)said(&a, ski_sealed_filter_load(sealed, (ski_sealed_table)table, NULL), SKALD_OK);
        }
        assert_true(a.corrupt > 0);
        corrupt++;
        ski_sealed_close(sealed);
    }
    assert_int_equal(refused, 2); // tail and foot
    assert_int_equal(corrupt + refused, len / SKI_BLOCK);
    ski_free(bytes);
    rig_end(&r);
}

static void test_an_index_that_is_cut_or_not_its_own(void **state)
{
    uint8_t *bytes = NULL, *longer = NULL;
    size_t len = 0;
    ski_sealed *sealed = NULL;
    rig r;

    rig_begin(&r, *state, small_shape, 1500);
    (void)rig_segment(&r, 300);
    (void)rig_segment(&r, 300);
    rig_build(&r, 1, 0);
    rig_build(&r, 2, 0);
    bytes = rig_bytes(&r, "seg-00000001.0.idx", &len);
    rig_bytes_put(&r, "seg-00000002.0.idx", bytes, len);
    assert_int_equal(rig_try(&r, 2, 0, &sealed), SKALD_ECORRUPT);
    rig_bytes_put(&r, "seg-00000001.1.idx", bytes, len);
    assert_int_equal(rig_try(&r, 1, 1, &sealed), SKALD_ECORRUPT);
    for (size_t cut = 0; cut < len; cut += 1024) {
        rig_bytes_put(&r, "seg-00000001.0.idx", bytes, cut);
        assert_int_equal(rig_try(&r, 1, 0, &sealed), SKALD_ECORRUPT);
    }
    longer = ski_alloc_zeroed(1, len + SKI_BLOCK);
    memcpy(longer, bytes, len);
    rig_bytes_put(&r, "seg-00000001.0.idx", longer, len + SKI_BLOCK);
    assert_int_equal(rig_try(&r, 1, 0, &sealed), SKALD_ECORRUPT);
    memcpy(longer + SKI_BLOCK, longer, SKI_BLOCK); // a block in another's place
    rig_bytes_put(&r, "seg-00000001.0.idx", longer, len);
    if (rig_try(&r, 1, 0, &sealed) == SKALD_OK) {
        assert_int_equal(ski_sealed_check(sealed, NULL), SKALD_ECORRUPT);
        ski_sealed_close(sealed);
    }
    assert_int_equal(rig_try(&r, 3, 0, &sealed), SKALD_ENOTFOUND);
    ski_free(longer);
    ski_free(bytes);
    rig_end(&r);
}

// Whatever fails, there is the old index or none, and no wrong one; the next attempt succeeds.
static void test_a_build_that_fails_leaves_nothing_wrong(void **state)
{
    static const world_call calls[] = {CALL_PWRITE, CALL_SYNC, CALL_PREAD, CALL_OPEN};
    world *w = *state;
    ski_sealed_source source;
    rig r;

    rig_begin(&r, w, small_shape, 1500);
    (void)rig_segment(&r, 300);
    source = rig_source(&r, 1, 0);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        for (uint64_t from = 1;; from++) {
            bool unsure = false;
            ski_sealed *sealed = NULL;
            skald_err err = SKALD_OK,
                      expected = calls[i] == CALL_PWRITE ? SKALD_EREADONLY : SKALD_EIO;

            world_fail(w, calls[i], from, UINT64_MAX, expected);
            err = ski_sealed_build(&source, &unsure, NULL);
            world_fail(w, CALL_NONE, 0, 0, SKALD_OK);
            if (!err) break;
            assert_true(err == expected || err == SKALD_ECORRUPT);
            assert_int_equal(unsure, calls[i] == CALL_SYNC);
            assert_int_equal(rig_try(&r, 1, 0, &sealed), i ? SKALD_OK : SKALD_ENOTFOUND);
            ski_sealed_close(i ? sealed : NULL);
        }
        verify(&r, 1, 0);
    }
    rig_end(&r);
}

static void test_no_memory(void **state)
{
    ski_sealed_source source;
    rig r;

    rig_begin(&r, *state, small_shape, 1500);
    (void)rig_segment(&r, 300);
    source = rig_source(&r, 1, 0);
    for (uint64_t n = 1;; n++) {
        bool unsure = false;
        ski_sealed *sealed = NULL;
        skald_err err = SKALD_OK;

        ski_alloc_fail_at(n);
        err = ski_sealed_build(&source, &unsure, NULL);
        if (!err) err = rig_try(&r, 1, 0, &sealed);
        ski_alloc_fail_at(0);
        if (!err) {
            ski_sealed_close(sealed);
            break;
        }
        assert_int_equal(err, SKALD_ENOMEM);
        assert_true(n < 1000);
    }
    verify(&r, 1, 0);
    rig_end(&r);
}

static bool interrupt(void *context)
{
    return ++*(int *)context == 2;
}

static void test_interrupted_and_in_memory(void **state)
{
    static const rig_shape shape = {.tenants = 2,
                                    .streams = 9,
                                    .types = 2,
                                    .correlations = 0,
                                    .chain = 1,
                                    .frame = 1,
                                    .data = 8};
    ski_sealed_source source;
    ski_sealed *sealed = NULL;
    bool unsure = false;
    int count = 0;
    asked a = {0};
    rig r;

    rig_begin(&r, *state, shape, 2000);
    (void)rig_segment(&r, 1100);
    source = rig_source(&r, 1, 0);
    source.interrupted = interrupt;
    source.context = &count;
    assert_int_equal(ski_sealed_build(&source, &unsure, NULL), SKALD_ECLOSED);
    assert_int_equal(rig_try(&r, 1, 0, &sealed), SKALD_ENOTFOUND);
    assert_int_equal(ski_sealed_build_memory(&source, &r.pool, &sealed, NULL), SKALD_OK);
    a = (asked){.r = &r, .sealed = sealed, .first = 1, .last = 1100};
    ask_all(&a, true);
    ski_sealed_close(sealed);
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
        WITH_WORLD(test_an_index_says_what_is_in_the_segment),
        WITH_WORLD(test_one_stream_and_many),
        WITH_WORLD(test_an_empty_segment),
        WITH_WORLD(test_erased_events),
        WITH_WORLD(test_a_flipped_byte_is_never_a_wrong_answer),
        WITH_WORLD(test_an_index_that_is_cut_or_not_its_own),
        WITH_WORLD(test_a_build_that_fails_leaves_nothing_wrong),
        WITH_WORLD(test_no_memory),
        WITH_WORLD(test_interrupted_and_in_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
