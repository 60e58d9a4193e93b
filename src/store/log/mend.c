// SPDX-License-Identifier: Apache-2.0
// Questions that meet a damaged index. An index can be made again of its segment, so whoever asks
// is not told of it: the index is made anew, in memory where the store is only read, and the
// question asked once more. Damage of the segment itself is told, with its range.
#include "store/log/mend.h"
#include "base/log.h"
#include "store/log/names.h"

enum { attempts_max = 3 }; // one question may meet several damaged indexes

static uint64_t indexes_made(ski_engine *engine)
{
    uint64_t made = 0;

    ski_mutex_lock(&engine->lock);
    made = engine->rebuilds;
    ski_mutex_unlock(&engine->lock);
    return made;
}

// indexes_mend makes damaged indexes anew, or waits for the keeper that does so already. False:
// none was made since there were so many, so it was something else.
static bool indexes_mend(ski_engine *engine, uint64_t made)
{
    if (engine->dead && !engine->read_only) return false; // nothing is written any more
    ski_mutex_lock(&engine->keeping);
    while (ski_seal_again(engine)) continue;
    ski_mutex_unlock(&engine->keeping);
    if (indexes_made(engine) == made) return false;
    ski_log_line(engine->host->log, SKALD_WARN, "an index was damaged and was made again", NULL);
    return true;
}

skald_err ski_mend_read(void *driver, const skald_read *read, skald_store_page *ret_page,
                        skald_error *reterr_error)
{
    skald_err err = SKALD_OK;

    for (int attempt = 0; attempt < attempts_max; attempt++) {
        uint64_t made = indexes_made(driver);

        err = ski_read(driver, read, ret_page, reterr_error);
        // Of damage of a segment it is known where it ends.
        if (err != SKALD_ECORRUPT || ret_page->position_next) break;
        if (attempt + 1 == attempts_max || !indexes_mend(driver, made)) break;
    }
    return err;
}

skald_err ski_mend_find_id(void *driver, skald_str tenant, skald_uuid id, uint64_t *ret_position)
{
    skald_err err = SKALD_OK;

    for (int attempt = 0; attempt < attempts_max; attempt++) {
        uint64_t made = indexes_made(driver);

        err = ski_find_id(driver, tenant, id, ret_position);
        if (err != SKALD_ECORRUPT || !indexes_mend(driver, made)) break;
    }
    return err;
}

skald_err ski_mend_stream_version(void *driver, skald_str tenant, skald_str stream,
                                  uint64_t *ret_version)
{
    skald_err err = SKALD_OK;

    for (int attempt = 0; attempt < attempts_max; attempt++) {
        uint64_t made = indexes_made(driver);

        err = ski_stream_version(driver, tenant, stream, ret_version);
        if (err != SKALD_ECORRUPT || !indexes_mend(driver, made)) break;
    }
    return err;
}

skald_err ski_mend_stage(ski_engine *engine, skald_store_batch *batch, ski_stage_for for_whom,
                         uint64_t *ret_group)
{
    skald_err err = SKALD_OK;

    for (int attempt = 0; attempt < attempts_max; attempt++) {
        uint64_t made = indexes_made(engine);

        err = ski_stage(engine, batch, for_whom, ret_group);
        if (err != SKALD_ECORRUPT || !indexes_mend(engine, made)) break;
    }
    return err;
}
