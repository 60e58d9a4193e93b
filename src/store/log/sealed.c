// SPDX-License-Identifier: Apache-2.0
// The index of a sealed segment: opening and closing it, its file, its filters.
//
// Invariants:
//   1. After open the struct does not change but for file, users and filters, which are touched
//      under the pool's lock only. A file in use (users > 0) is not closed.
//   2. What is read was checked; what is checked and contradicts itself all the same is damage too,
//      and no offset or count is used before it was held against what there is.
#include "store/log/sealed.h"
#include "base/alloc.h"
#include "store/log/bytes.h"
#include "store/log/filter.h"
#include "store/log/sealed_format.h"
#include "store/log/segment.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const unsigned table_section[SKI_SEALED_TABLES] = {
    [SKI_SEALED_STREAMS] = SKI_SECTION_STREAMS,
    [SKI_SEALED_CORRELATIONS] = SKI_SECTION_CORRELATIONS,
    [SKI_SEALED_IDS] = SKI_SECTION_IDS,
};
static const unsigned filter_section[SKI_SEALED_TABLES] = {
    [SKI_SEALED_STREAMS] = SKI_SECTION_FILTER_STREAMS,
    [SKI_SEALED_CORRELATIONS] = SKI_SECTION_FILTER_CORRELATIONS,
    [SKI_SEALED_IDS] = SKI_SECTION_FILTER_IDS,
};
static const char *const section_names[SKI_SEALED_SECTIONS] = {
    "rows",      "types",       "tenants", "streams",       "correlations",
    "ids",       "first names", "lists",   "stream filter", "correlation filter",
    "id filter", "tail",
};

void ski_sealed_name(char name[SKI_SEALED_NAME], uint32_t no, uint32_t generation)
{
    (void)snprintf(name, SKI_SEALED_NAME, "seg-%08u.%u.idx", no, generation);
}

bool ski_sealed_name_parse(const char *name, uint32_t *ret_no, uint32_t *ret_generation)
{
    char again[SKI_SEALED_NAME];
    unsigned no = 0, generation = 0;

    if (sscanf(name, "seg-%8u.%10u.idx", &no, &generation) != 2) return false;
    ski_sealed_name(again, no, generation);
    if (strcmp(name, again) != 0) return false;
    *ret_no = no;
    *ret_generation = generation;
    return true;
}

ski_blocks_id ski_sealed_file_id(skald_uuid store, uint32_t no, uint32_t generation)
{
    return (
        ski_blocks_id){.magic = "SKALDIDX", .store = store, .number = no, .generation = generation};
}

// --- the pool -----------------------------------------------------------------------------------

void ski_sealed_pool_init(ski_sealed_pool *pool, const ski_kernel *kernel, uint32_t files_max)
{
    *pool = (ski_sealed_pool){.kernel = kernel, .files_max = files_max ? files_max : 1};
    ski_mutex_init(&pool->lock);
}

void ski_sealed_pool_fini(ski_sealed_pool *pool)
{
    assert(!pool->first);
    ski_mutex_fini(&pool->lock);
}

static void pool_add(ski_sealed_pool *pool, ski_sealed *sealed)
{
    ski_mutex_lock(&pool->lock);
    if (pool->first) {
        sealed->next = pool->first;
        sealed->prev = pool->first->prev;
        sealed->prev->next = sealed->next->prev = sealed;
    } else {
        sealed->next = sealed->prev = sealed;
        pool->first = pool->hand = sealed;
    }
    ski_mutex_unlock(&pool->lock);
}

static void pool_remove(ski_sealed_pool *pool, ski_sealed *sealed)
{
    ski_mutex_lock(&pool->lock);
    assert(!sealed->users);
    if (sealed->file) {
        pool->kernel->close(pool->kernel->context, sealed->file);
        pool->files--;
    }
    if (sealed->next == sealed) {
        pool->first = pool->hand = NULL;
    } else {
        sealed->next->prev = sealed->prev;
        sealed->prev->next = sealed->next;
        if (pool->first == sealed) pool->first = sealed->next;
        if (pool->hand == sealed) pool->hand = sealed->next;
    }
    ski_mutex_unlock(&pool->lock);
}

// pool_shrink closes a file that nobody uses, going round. The lock is held.
static void pool_shrink(ski_sealed_pool *pool)
{
    ski_sealed *at = pool->hand, *begin = at;

    do {
        pool->hand = at->next;
        if (at->file && !at->users) {
            pool->kernel->close(pool->kernel->context, at->file);
            at->file = NULL;
            pool->files--;
            return;
        }
        at = pool->hand;
    } while (at != begin);
}

static skald_err file_acquire(ski_sealed *sealed, ski_file **ret_file, skald_error *reterr_error)
{
    ski_sealed_pool *pool = sealed->pool;
    skald_err err = SKALD_OK;

    ski_mutex_lock(&pool->lock);
    if (!sealed->file) {
        if (pool->files >= pool->files_max) pool_shrink(pool);
        err =
            pool->kernel->open(pool->kernel->context, sealed->path, 0, &sealed->file, reterr_error);
        if (!err) pool->files++;
    }
    if (!err) {
        sealed->users++;
        *ret_file = sealed->file;
    }
    ski_mutex_unlock(&pool->lock);
    return err;
}

static void file_release(ski_sealed *sealed)
{
    ski_mutex_lock(&sealed->pool->lock);
    sealed->users--;
    ski_mutex_unlock(&sealed->pool->lock);
}

skald_err ski_sealed_read(const ski_sealed *sealed, unsigned section, uint32_t first,
                          uint32_t count, uint8_t *to, skald_error *reterr_error)
{
    const ski_section *in = &sealed->blocks.sections[section];
    const ski_kernel *kernel = sealed->pool->kernel;
    ski_sealed *mutable = (ski_sealed *)sealed; // its file is no part of what it says
    ski_file *file = NULL;
    skald_error inner = {0};
    skald_err err = SKALD_OK;

    assert(first < in->blocks && count <= in->blocks - first);
    if (!sealed->memory) SKALD_TRY(file_acquire(mutable, &file, reterr_error));
    err = ski_blocks_read(&sealed->blocks, kernel, file, in->first + first, count, to, &inner);
    if (!sealed->memory) file_release(mutable);
    if (!err) return SKALD_OK;
    return skald_fail(reterr_error, err, "%s (%s)", inner.text, section_names[section]);
}

// --- one block ----------------------------------------------------------------------------------

void ski_sealed_view_begin(ski_sealed_view *view, const ski_sealed *sealed)
{
    view->sealed = sealed;
    view->bytes = NULL;
    view->at = UINT32_MAX;
    view->piece = NULL;
    view->passing = false;
}

void ski_sealed_view_end(ski_sealed_view *view)
{
    if (view->piece) ski_cache_return(view->sealed->pool->cache, view->piece);
    view->piece = NULL;
    view->at = UINT32_MAX;
}

// piece_load reads a piece of the file; NULL: it cannot be.
static ski_piece *piece_load(const ski_sealed *sealed, uint32_t number)
{
    const ski_kernel *kernel = sealed->pool->kernel;
    ski_cache *cache = sealed->pool->cache;
    ski_sealed *mutable = (ski_sealed *)sealed; // its file is no part of what it says
    ski_piece *piece = ski_cache_make(cache);
    ski_file *file = NULL;
    size_t got = 0;
    skald_err err = SKALD_OK;

    if (!piece) return NULL;
    err = file_acquire(mutable, &file, NULL);
    if (!err) {
        err = kernel->pread(kernel->context, file, piece->bytes, SKI_PIECE,
                            (uint64_t)number * SKI_PIECE, &got);
        file_release(mutable);
    }
    if (err) {
        ski_cache_return(cache, piece);
        return NULL;
    }
    piece->len = (uint32_t)got;
    ski_cache_put(cache, piece, sealed->cached, number);
    return piece;
}

// view_cached shows a block of the file out of the cache; false: it is not there, or not right.
static bool view_cached(ski_sealed_view *view, uint32_t at)
{
    const ski_sealed *sealed = view->sealed;
    ski_cache *cache = sealed->pool->cache;
    uint32_t number = at / (SKI_PIECE / SKI_BLOCK);
    size_t within = at % (SKI_PIECE / SKI_BLOCK) * (size_t)SKI_BLOCK;
    bool again = false;

    if (!cache || sealed->memory) return false;
    if (!view->piece || view->piece_number != number) {
        ski_cache_return(cache, view->piece);
        view->piece = ski_cache_lend(cache, sealed->cached, number, &again);
        if (!view->piece && again && !view->passing) view->piece = piece_load(sealed, number);
        view->piece_number = number;
    }
    if (!view->piece) return false;
    if (within + SKI_BLOCK <= view->piece->len) {
        view->bytes = view->piece->bytes + within;
        if (ski_piece_marked(view->piece, within)) return true;
        if (ski_blocks_right(&sealed->blocks, at, view->bytes)) {
            ski_piece_mark(view->piece, within);
            return true;
        }
    }
    ski_cache_drop(cache, view->piece); // the file itself says whether it is damaged
    ski_cache_return(cache, view->piece);
    view->piece = NULL;
    return false;
}

skald_err ski_sealed_view_block(ski_sealed_view *view, unsigned section, uint32_t number,
                                skald_error *reterr_error)
{
    const ski_section *in = &view->sealed->blocks.sections[section];
    uint32_t at = in->first + number;

    assert(number < in->blocks);
    if (view->at == at) return SKALD_OK;
    view->at = UINT32_MAX;
    if (!view_cached(view, at)) {
        SKALD_TRY(ski_sealed_read(view->sealed, section, number, 1, view->room, reterr_error));
        view->bytes = view->room;
    }
    view->at = at;
    return SKALD_OK;
}

skald_err ski_sealed_contradiction(const ski_sealed *sealed, unsigned section, uint32_t block,
                                   skald_error *reterr_error)
{
    uint32_t at = sealed->blocks.sections[section].first + block;

    if (at >= sealed->blocks.blocks) at = sealed->blocks.blocks - 1;
    return ski_blocks_corrupt(&sealed->blocks, at, "contradict themselves", reterr_error);
}

// --- the foot and the tail ----------------------------------------------------------------------

void ski_sealed_foot_put(uint8_t foot[SKI_SEALED_FOOT], const ski_sealed_info *info)
{
    const uint64_t fields[] = {
        info->base_pos,
        info->count,
        info->events,
        info->erased,
        info->damaged,
        info->end,
        info->bytes_live,
        info->salt,
        (uint64_t)info->prev_crc << 32 | info->chain_crc,
        info->incarnation,
        (uint64_t)info->append_us,
        (uint64_t)info->recorded_first,
        (uint64_t)info->recorded_last,
    };

    static_assert(sizeof fields <= SKI_SEALED_FOOT, "the fields fit");
    memset(foot, 0, SKI_SEALED_FOOT);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        ski_put_u64(foot + 8 * i, fields[i]);
    }
}

static void foot_get(const uint8_t *foot, ski_sealed_info *info)
{
    info->base_pos = ski_get_u64(foot);
    info->count = ski_get_u64(foot + 8);
    info->events = ski_get_u64(foot + 16);
    info->erased = ski_get_u64(foot + 24);
    info->damaged = ski_get_u64(foot + 32);
    info->end = ski_get_u64(foot + 40);
    info->bytes_live = ski_get_u64(foot + 48);
    info->salt = ski_get_u64(foot + 56);
    info->prev_crc = (uint32_t)(ski_get_u64(foot + 64) >> 32);
    info->chain_crc = (uint32_t)ski_get_u64(foot + 64);
    info->incarnation = (uint32_t)ski_get_u64(foot + 72);
    info->append_us = (int64_t)ski_get_u64(foot + 80);
    info->recorded_first = (int64_t)ski_get_u64(foot + 88);
    info->recorded_last = (int64_t)ski_get_u64(foot + 96);
}

// info_right holds the numbers of the foot against each other and against the sections.
static bool info_right(const ski_sealed *sealed)
{
    const ski_sealed_info *info = &sealed->info;
    const ski_section *sections = sealed->blocks.sections;
    uint64_t tail = 0;

    if (!info->base_pos || info->count > SKI_SEALED_ROWS_MAX) return false;
    if (info->base_pos > UINT64_MAX - info->count) return false;
    if (info->events > info->count || info->erased > info->count) return false;
    if (info->damaged > info->count) return false;
    if (info->events + info->erased + info->damaged != info->count) return false;
    if (info->end / 8 >= SKI_ROW_DAMAGED) return false;
    if (sections[SKI_SECTION_ROWS].blocks !=
        (info->erased == info->count
             ? 0
             : (info->count + SKI_SEALED_BLOCK_ROWS - 1) / SKI_SEALED_BLOCK_ROWS)) {
        return false;
    }
    for (unsigned i = 0; i < SKI_SEALED_TABLES; i++) {
        uint64_t filter = ski_filter_bytes(sections[filter_section[i]].entries);

        tail += 8 * (uint64_t)sections[table_section[i]].blocks;
        if (sections[filter_section[i]].blocks !=
            (filter / SKI_FILTER_BLOCK + SKI_FILTERS_A_BLOCK - 1) / SKI_FILTERS_A_BLOCK) {
            return false;
        }
    }
    tail += 8 * ((info->count + SKI_SEALED_LADDER - 1) / SKI_SEALED_LADDER);
    return sections[SKI_SECTION_TAIL].bytes == tail;
}

static void info_fill(ski_sealed *sealed, const ski_blocks_id *id)
{
    ski_sealed_info *info = &sealed->info;
    const ski_section *sections = sealed->blocks.sections;

    info->store = id->store;
    info->no = (uint32_t)id->number;
    info->generation = id->generation;
    info->streams = sections[SKI_SECTION_STREAMS].entries;
    info->names = sections[SKI_SECTION_FIRST].entries;
    info->types = sections[SKI_SECTION_TYPES].entries;
    info->tenants = sections[SKI_SECTION_TENANTS].entries;
    info->correlations = sections[SKI_SECTION_CORRELATIONS].entries;
    info->ids = sections[SKI_SECTION_IDS].entries;
    info->file_bytes = (uint64_t)sealed->blocks.blocks * SKI_BLOCK;
    sealed->id_key_bytes = info->ids >= SKI_ID_DENSE ? 4 : 5;
}

// tail_numbers turns the bytes of the tail, block by block, into the numbers they are.
static bool tail_numbers(ski_sealed *sealed, const uint8_t *bytes, uint32_t key_count)
{
    const ski_section *sections = sealed->blocks.sections;
    uint64_t *keys = sealed->keys;

    for (uint32_t i = 0; i < key_count + sealed->ladder_count; i++) {
        uint8_t number[8];

        for (uint32_t k = 0; k < 8; k++) {
            uint64_t at = 8 * (uint64_t)i + k;

            number[k] = bytes[at / SKI_BLOCK_ROOM * SKI_BLOCK + at % SKI_BLOCK_ROOM];
        }
        if (i < key_count)
            keys[i] = ski_get_u64(number);
        else
            sealed->ladder[i - key_count] = (int64_t)ski_get_u64(number);
    }
    for (unsigned i = 0; i < SKI_SEALED_TABLES; i++) {
        uint32_t blocks = sections[table_section[i]].blocks;

        sealed->table_keys[i] = keys;
        for (uint32_t k = 1; k < blocks; k++) {
            if (keys[k] < keys[k - 1]) return false;
        }
        keys += blocks;
    }
    for (uint32_t i = 1; i < sealed->ladder_count; i++) {
        if (sealed->ladder[i] < sealed->ladder[i - 1]) return false;
    }
    return true;
}

static skald_err tail_load(ski_sealed *sealed, skald_error *reterr_error)
{
    const ski_section *tail = &sealed->blocks.sections[SKI_SECTION_TAIL];
    uint32_t numbers = (uint32_t)(tail->bytes / 8);
    uint8_t *bytes = NULL;
    skald_err err = SKALD_OK;

    if (!numbers) return SKALD_OK;
    sealed->ladder_count =
        (uint32_t)((sealed->info.count + SKI_SEALED_LADDER - 1) / SKI_SEALED_LADDER);
    bytes = ski_alloc((size_t)tail->blocks * SKI_BLOCK);
    sealed->keys = ski_alloc_zeroed((size_t)numbers - sealed->ladder_count + 1, sizeof(uint64_t));
    sealed->ladder = ski_alloc_zeroed((size_t)sealed->ladder_count + 1, sizeof(int64_t));
    if (!bytes || !sealed->keys || !sealed->ladder) err = SKALD_ENOMEM;
    if (!err) err = ski_sealed_read(sealed, SKI_SECTION_TAIL, 0, tail->blocks, bytes, reterr_error);
    if (!err && !tail_numbers(sealed, bytes, numbers - sealed->ladder_count)) {
        err = ski_sealed_contradiction(sealed, SKI_SECTION_TAIL, 0, reterr_error);
    }
    ski_free(bytes);
    return err;
}

// --- opening ------------------------------------------------------------------------------------

static void sealed_free(ski_sealed *sealed)
{
    pool_remove(sealed->pool, sealed);
    for (unsigned i = 0; i < SKI_SEALED_TABLES; i++) ski_free(sealed->filters[i]);
    ski_free(sealed->keys);
    ski_free(sealed->ladder);
    ski_free(sealed->path);
    ski_free(sealed);
}

skald_err ski_sealed_new(ski_sealed_pool *pool, const char *path, const ski_blocks_id *id,
                         uint8_t *memory, uint32_t memory_blocks, ski_sealed **ret_sealed,
                         skald_error *reterr_error)
{
    ski_sealed *sealed = ski_alloc_zeroed(1, sizeof *sealed);
    char name[SKI_SEALED_NAME], file_path[SKI_BLOCKS_PATH_MAX];
    uint8_t foot[SKI_FOOT_ROOM];
    ski_file *file = NULL;
    int len = 0;
    skald_err err = SKALD_OK;

    if (!sealed) return SKALD_ENOMEM;
    sealed->pool = pool;
    sealed->memory = memory;
    if (pool->cache) sealed->cached = ski_cache_file(pool->cache);
    pool_add(pool, sealed);
    ski_sealed_name(name, (uint32_t)id->number, id->generation);
    if (!memory) {
        len = snprintf(file_path, sizeof file_path, "%s/%s", path, name);
        if (len < 0 || (size_t)len >= sizeof file_path) err = SKALD_ETOOBIG;
        if (!err) {
            sealed->path = ski_alloc((size_t)len + 1);
            if (!sealed->path) err = SKALD_ENOMEM;
        }
        if (!err) memcpy(sealed->path, file_path, (size_t)len + 1);
        if (!err) err = file_acquire(sealed, &file, reterr_error);
    }
    if (!err) {
        err = ski_blocks_open(&sealed->blocks, pool->kernel, file, memory, memory_blocks, name, id,
                              SKI_SEALED_SECTIONS, foot, reterr_error);
        if (file) file_release(sealed);
    }
    if (!err) {
        foot_get(foot, &sealed->info);
        info_fill(sealed, id);
        if (!info_right(sealed)) {
            err = ski_blocks_corrupt(&sealed->blocks, sealed->blocks.blocks - 1,
                                     "contradict themselves", reterr_error);
        }
    }
    if (!err) err = tail_load(sealed, reterr_error);
    if (err) {
        sealed_free(sealed);
        return err;
    }
    *ret_sealed = sealed;
    return SKALD_OK;
}

skald_err ski_sealed_open(ski_sealed_pool *pool, const char *path, skald_uuid store, uint32_t no,
                          uint32_t generation, ski_sealed **ret_sealed, skald_error *reterr_error)
{
    ski_blocks_id id = ski_sealed_file_id(store, no, generation);

    return ski_sealed_new(pool, path, &id, NULL, 0, ret_sealed, reterr_error);
}

void ski_sealed_close(ski_sealed *sealed)
{
    uint8_t *memory = sealed ? sealed->memory : NULL;

    if (!sealed) return;
    sealed_free(sealed);
    ski_free(memory);
}

const ski_sealed_info *ski_sealed_info_of(const ski_sealed *sealed)
{
    return &sealed->info;
}

uint64_t ski_sealed_bytes(const ski_sealed *sealed)
{
    uint64_t bytes = sizeof *sealed + sealed->blocks.sections[SKI_SECTION_TAIL].bytes;

    if (sealed->memory) bytes += sealed->info.file_bytes;
    ski_mutex_lock(&sealed->pool->lock);
    for (unsigned i = 0; i < SKI_SEALED_TABLES; i++) {
        if (sealed->filters[i]) bytes += ski_sealed_filter_bytes(sealed, (ski_sealed_table)i);
    }
    ski_mutex_unlock(&sealed->pool->lock);
    return bytes;
}

skald_err ski_sealed_check(const ski_sealed *sealed, skald_error *reterr_error)
{
    enum { piece = 16 };
    uint8_t *bytes = ski_alloc((size_t)piece * SKI_BLOCK);
    skald_err err = bytes ? SKALD_OK : SKALD_ENOMEM;

    for (unsigned section = 0; section < SKI_SEALED_SECTIONS && !err; section++) {
        uint32_t blocks = sealed->blocks.sections[section].blocks;

        for (uint32_t at = 0; at < blocks && !err; at += piece) {
            uint32_t count = blocks - at < piece ? blocks - at : piece;

            err = ski_sealed_read(sealed, section, at, count, bytes, reterr_error);
        }
    }
    ski_free(bytes);
    return err;
}

// --- filters ------------------------------------------------------------------------------------

uint64_t ski_sealed_filter_bytes(const ski_sealed *sealed, ski_sealed_table table)
{
    return ski_filter_bytes(sealed->blocks.sections[filter_section[table]].entries);
}

skald_err ski_sealed_filter_load(ski_sealed *sealed, ski_sealed_table table,
                                 skald_error *reterr_error)
{
    unsigned section = filter_section[table];
    uint32_t blocks = sealed->blocks.sections[section].blocks;
    size_t part = (size_t)SKI_FILTERS_A_BLOCK * SKI_FILTER_BLOCK;
    uint8_t *filter = NULL, block[SKI_BLOCK];
    skald_err err = SKALD_OK;

    if (!blocks) return SKALD_OK;
    filter = ski_alloc(blocks * part);
    if (!filter) return SKALD_ENOMEM;
    for (uint32_t i = 0; i < blocks && !err; i++) {
        err = ski_sealed_read(sealed, section, i, 1, block, reterr_error);
        if (!err) memcpy(filter + i * part, block, part);
    }
    if (!err) {
        ski_mutex_lock(&sealed->pool->lock);
        if (!sealed->filters[table]) {
            sealed->filters[table] = filter;
            filter = NULL;
        }
        ski_mutex_unlock(&sealed->pool->lock);
    }
    ski_free(filter);
    return err;
}

bool ski_sealed_filter_drop(ski_sealed *sealed, ski_sealed_table table)
{
    uint8_t *filter = NULL;

    ski_mutex_lock(&sealed->pool->lock);
    filter = sealed->filters[table];
    sealed->filters[table] = NULL;
    ski_mutex_unlock(&sealed->pool->lock);
    ski_free(filter);
    return true;
}

// filter_ask: false: it is not loaded.
static bool filter_ask(const ski_sealed *sealed, ski_sealed_table table, uint64_t hash,
                       bool *ret_may)
{
    uint64_t bytes = ski_sealed_filter_bytes(sealed, table);
    bool loaded = false;

    ski_mutex_lock(&sealed->pool->lock);
    if (sealed->filters[table]) {
        loaded = true;
        *ret_may = ski_filter_has(sealed->filters[table], bytes, hash);
    }
    ski_mutex_unlock(&sealed->pool->lock);
    return loaded;
}

bool ski_sealed_hash_maybe(const ski_sealed *sealed, ski_sealed_table table, uint64_t hash)
{
    bool may = true;

    return !filter_ask(sealed, table, hash, &may) || may;
}

skald_err ski_sealed_may_have(const ski_sealed *sealed, ski_sealed_table table, uint64_t hash,
                              bool *ret_may, skald_error *reterr_error)
{
    uint64_t bytes = ski_sealed_filter_bytes(sealed, table), at = 0;
    uint8_t block[SKI_BLOCK];

    if (!bytes) {
        *ret_may = false;
        return SKALD_OK;
    }
    if (filter_ask(sealed, table, hash, ret_may)) return SKALD_OK;
    at = ski_filter_at(bytes, hash) / SKI_FILTER_BLOCK;
    SKALD_TRY(ski_sealed_read(sealed, filter_section[table], (uint32_t)(at / SKI_FILTERS_A_BLOCK),
                              1, block, reterr_error));
    *ret_may = ski_filter_block_has(block + at % SKI_FILTERS_A_BLOCK * SKI_FILTER_BLOCK, hash);
    return SKALD_OK;
}

bool ski_sealed_key_blocks(const ski_sealed *sealed, ski_sealed_table table, uint64_t key,
                           uint32_t *ret_first, uint32_t *ret_last)
{
    const uint64_t *keys = sealed->table_keys[table];
    uint32_t blocks = sealed->blocks.sections[table_section[table]].blocks;
    uint32_t low = 0, high = blocks, last = 0;

    if (!blocks || key < keys[0]) return false;
    while (low < high) { // the first block that begins with key, or behind it
        uint32_t middle = low + (high - low) / 2;

        if (keys[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    for (last = low; last < blocks && keys[last] == key;) last++;
    *ret_first = low ? low - 1 : 0;
    *ret_last = last ? last - 1 : 0;
    return true;
}
