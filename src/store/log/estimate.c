// SPDX-License-Identifier: Apache-2.0
// How much of a segment can be dead, from its index alone: a hundredth of the bytes of the segment
// are read for that. What an index cannot say (which snapshot is the newest, the age of one event
// to the microsecond) is taken for dead, so it is never less than what there is.
#include "base/alloc.h"
#include "store/log/rewrite.h"

enum {
    places_at_once = 256,
    asked_at_once = 256, // beginnings, then it is asked whether to go on
    asked_part = 16,     // of the events: to ask for more costs as much as reading the segment
};

typedef struct estimate {
    ski_engine *engine;
    const ski_sealed *sealed;
    const ski_sealed_info *info;
    uint8_t *dead; // a bit for each position
    bool any;
} estimate;

static void mark(estimate *of, uint64_t position)
{
    uint64_t row = position - of->info->base_pos;

    of->dead[row / 8] |= (uint8_t)(1u << (row % 8));
    of->any = true;
}

static skald_err list_mark(estimate *of, ski_sealed_list *list, uint32_t count)
{
    for (uint32_t n = 0; n < count; n++) {
        uint64_t position = 0;

        SKALD_TRY(ski_sealed_list_at(of->sealed, list, n, &position, NULL));
        mark(of, position);
    }
    return SKALD_OK;
}

static skald_err beginning_mark(estimate *of, const skald_store_beginning *beginning)
{
    ski_sealed_stream stream;
    ski_fp fp = ski_keys_stream(&of->engine->keys, beginning->tenant, beginning->stream);
    uint32_t count = 0;
    skald_err err = ski_sealed_stream_find(of->sealed, fp, &stream, NULL);

    if (err == SKALD_ENOTFOUND) return SKALD_OK;
    if (err) return err;
    if (beginning->version_before > stream.first_version) {
        uint64_t below = beginning->version_before - stream.first_version;

        // Where versions are missing in between it is not known which row is which version.
        count = below < stream.list.count &&
                        stream.list.count == stream.last_version - stream.first_version + 1
                    ? (uint32_t)below
                    : stream.list.count;
    }
    if (beginning->recorded_before && stream.list.count) {
        uint64_t low = 0, high = 0;
        uint32_t old = 0;

        ski_sealed_at_time(of->sealed, beginning->recorded_before, &low, &high);
        SKALD_TRY(ski_sealed_list_after(of->sealed, &stream.list, high - 1, &old, NULL));
        if (old > count) count = old;
    }
    return list_mark(of, &stream.list, count);
}

static skald_err type_mark(estimate *of, skald_str type)
{
    ski_sealed_names_iter *iter = ski_alloc(sizeof *iter);
    ski_sealed_named *named = ski_alloc(sizeof *named);
    skald_str none = {"", 0};
    skald_err err = iter && named ? SKALD_OK : SKALD_ENOMEM;

    if (!err) err = ski_sealed_names_begin(iter, of->sealed, SKI_SEALED_TYPES, none, none, NULL);
    while (!err && !(err = ski_sealed_names_next(iter, NULL))) {
        if (!skald_str_equal(iter->name, type)) continue;
        err = ski_sealed_named_find(of->sealed, SKI_SEALED_TYPES, iter->tenant, iter->name, named,
                                    NULL);
        if (!err) err = list_mark(of, &named->list, named->list.count);
    }
    ski_free(named);
    ski_free(iter);
    return err == SKALD_ENOTFOUND ? SKALD_OK : err;
}

static skald_err bytes_count(const estimate *of, uint64_t *ret_bytes)
{
    ski_sealed_place places[places_at_once];
    ski_sealed_view view;
    uint64_t bytes = 0;
    size_t got = 0;
    skald_err err = SKALD_OK;

    ski_sealed_view_begin(&view, of->sealed);
    view.passing = true;
    for (uint64_t row = 0; row < of->info->count && !err; row += got) {
        err = ski_sealed_places_of(&view, of->info->base_pos + row, places_at_once, places, &got,
                                   NULL);
        for (size_t i = 0; i < got && !err; i++) {
            bool dead = of->dead[(row + i) / 8] >> ((row + i) % 8) & 1;

            if (dead && places[i].state == SKI_SEALED_THERE) bytes += places[i].len_max;
        }
    }
    ski_sealed_view_end(&view);
    if (!err) *ret_bytes = bytes;
    return err;
}

// beginnings_mark tells of every block that may have been read for them.
static skald_err beginnings_mark(estimate *of, const ski_rewrite *rewrite,
                                 const skald_store_compact_job *job)
{
    for (size_t i = 0; i < job->beginning_count; i++) {
        SKALD_TRY(beginning_mark(of, &job->beginnings[i]));
        if ((i + 1) % asked_at_once || !rewrite->passed) continue;
        if (!rewrite->passed(rewrite->context, (uint64_t)asked_at_once * SKI_BLOCK)) {
            return SKALD_ECLOSED;
        }
    }
    return SKALD_OK;
}

skald_err ski_rewrite_estimate(const ski_rewrite *rewrite, const skald_store_compact_job *job,
                               uint64_t *ret_bytes)
{
    const ski_sealed *sealed = rewrite->indexed->sealed;
    estimate of = {rewrite->engine, sealed, ski_sealed_info_of(sealed), NULL, false};
    uint64_t end = of.info->base_pos + of.info->count;
    skald_err err = SKALD_OK;

    // So many are not asked for one by one: reading the segment costs less.
    if (job->beginning_count > asked_at_once &&
        job->beginning_count > of.info->count / asked_part) {
        *ret_bytes = of.info->bytes_live;
        return SKALD_OK;
    }
    of.dead = ski_alloc_zeroed(1, (size_t)of.info->count / 8 + 1);
    if (!of.dead) return SKALD_ENOMEM;
    for (uint64_t at = of.info->base_pos; at < end && at <= job->floor; at++) mark(&of, at);
    err = beginnings_mark(&of, rewrite, job);
    if (!err && job->newest_type.len) err = type_mark(&of, job->newest_type);
    *ret_bytes = 0;
    if (!err && of.any) err = bytes_count(&of, ret_bytes);
    ski_free(of.dead);
    return err;
}
