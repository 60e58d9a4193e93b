// SPDX-License-Identifier: Apache-2.0
// store/log/log_compact_test_rig.h - for the tests of compaction: a store that is filled, a job
// that has events of some streams dead, and what files have. Included by one test program each.
#ifndef SKI_STORE_LOG_LOG_COMPACT_TEST_RIG_H
#define SKI_STORE_LOG_LOG_COMPACT_TEST_RIG_H

#include "store/log/log_world.h"

#include <dirent.h>

enum { data_len = 300, events = 1000, streams = 10 };

static const skald_store_options small = {.segment_bytes = 64 * 1024};

static inline void work_off(void *driver)
{
    while (ski_store_log.step(driver)) continue;
}

static inline skald_store_state state_of(void *driver)
{
    skald_store_state state = {0};

    ski_store_log.state(driver, &state);
    return state;
}

static inline skald_str stream_of(uint64_t n, char room[32])
{
    return (skald_str){room, (size_t)snprintf(room, 32, "stream-%llu",
                                              (unsigned long long)(n % streams))};
}

// append is of event n, whose data say "secret" when its stream is number 3.
static inline void append(void *driver, uint64_t n)
{
    world_batch *mine = ski_alloc(sizeof *mine);
    char room[32];

    world_batch_make(mine, n, data_len);
    mine->event.stream = stream_of(n, room);
    if (n % streams == 3) memcpy(mine->data + 20, "secret", 6);
    assert_int_equal(ski_store_log.commit(driver, &mine->batch), SKALD_OK);
    assert_int_equal(mine->told, SKALD_OK);
    ski_free(mine);
}

static inline void *fill(world *w, uint64_t count)
{
    void *driver = world_open(w, &small);

    for (uint64_t n = 1; n <= count; n++) {
        append(driver, n);
        if (!w->kernel.spawn && n % 100 == 0) work_off(driver);
    }
    if (!w->kernel.spawn) work_off(driver);
    return driver;
}

// What a job does: the events of streams below `below` are dead, up to `last`.
typedef struct asked {
    uint64_t below, only, last, asked, stop_at;
    uint64_t done;
} asked;

static inline bool is_dead(void *context, const skald_store_mark *mark)
{
    asked *a = context;
    uint64_t number = mark->position % streams;

    a->asked++;
    if (a->last && mark->position > a->last) return false;
    return a->only ? number == a->only : number < a->below;
}

static inline bool goes_on(void *context, uint64_t done, uint64_t all)
{
    asked *a = context;

    assert_true(done <= all);
    assert_true(done >= a->done);
    a->done = done;
    return !a->stop_at || done < a->stop_at;
}

static inline skald_store_compact_job job_of(asked *a, bool erase)
{
    return (
        skald_store_compact_job){.dead = is_dead, .proceed = goes_on, .context = a, .erase = erase};
}

static inline void compact(void *driver, skald_store_compact_job *job)
{
    skald_error error = {0};

    if (ski_store_log.compact(driver, job, &error)) fail_msg("compact: %s", error.text);
}

static inline void verify_clean(void *driver)
{
    skald_verified verified = {0};
    skald_error error = {0};

    if (ski_store_log.verify(driver, NULL, &verified, &error)) fail_msg("verify: %s", error.text);
}

// files_with counts the files of the store's directory that have some bytes.
static inline int files_with(const world *w, const char *bytes)
{
    DIR *dir = opendir(w->path);
    int found = 0;

    assert_non_null(dir);
    for (struct dirent *item = readdir(dir); item; item = readdir(dir)) {
        char path[600];
        char *text = ski_alloc(1 << 21);
        size_t len = 0;
        FILE *file = NULL;

        (void)snprintf(path, sizeof path, "%s/%s", w->path, item->d_name);
        file = fopen(path, "rb");
        if (file) len = fread(text, 1, 1 << 21, file);
        assert_true(len < 1 << 21);
        found += memmem(text, len, bytes, strlen(bytes)) != NULL;
        if (file) (void)fclose(file);
        ski_free(text);
    }
    (void)closedir(dir);
    return found;
}

#endif
