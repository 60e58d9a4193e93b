// SPDX-License-Identifier: Apache-2.0
// Recovery: the input is all files of a store. Whatever they say, opening the store ends; when it
// refuses it has changed no segment, and opened to be read only it changes nothing at all; when it
// opens, all of it can be asked, an append that is acknowledged is there after the next opening,
// and the log has not become shorter.
//
// The first byte, odd: checksums, chains and what each file says of itself are made right. Then a
// file each: u8 what it is, u8 number, u8 generation, u8 blocks; the blocks: u16 length, bytes, and
// zeros up to 4096, except for the last one of a segment or manifest.
#include "log_disk.h"
#include "log_mend.h"
#include "store/handle.h"
#include "store/log/manifest.h"
#include "store/log/run.h"
#include "store/log/sealed.h"
#include "store/log/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    input_max = 1 << 19,
    files_max = 40,
    numbers = 12,
    reads_max = 5000,
    steps_max = 200,
    manifest_head = 64,
};
enum { what_manifest, what_segment, what_index, what_run, what_state, what_spare, whats };

static const skald_uuid uuid = {{0x53, 1, 2, 3, 4, 5, 0x46, 7, 0x88, 9, 10, 11, 12, 13, 14, 15}};

static void check(bool holds)
{
    if (!holds) abort();
}

// --- the files ----------------------------------------------------------------------------------

static void file_name(unsigned what, unsigned number, unsigned generation, char name[64])
{
    switch (what) {
    case what_manifest: (void)snprintf(name, 64, "%s", ski_manifest_name(number)); break;
    case what_segment: ski_segment_name(name, number + 1, generation); break;
    case what_index: ski_sealed_name(name, number + 1, generation); break;
    case what_run: ski_run_name(name, number + 1); break;
    case what_state: ski_state_name(name, number + 1); break;
    default: ski_spare_name(name, number + 1, generation); break;
    }
}

// file_unpack gives the bytes of the input that a file has taken.
static size_t file_unpack(disk *on, const uint8_t *data, size_t size)
{
    unsigned what = data[0] % whats, blocks = data[3];
    char name[64];
    disk_file *file = NULL;
    size_t taken = 4, len = 0;

    file_name(what, data[1] % numbers, data[2] % 2, name);
    file = disk_find(on, name);
    if (!file) file = disk_make(on, name);
    check(file != NULL);
    for (unsigned i = 0; i < blocks && size - taken >= 2; i++) {
        len = ski_get_u16(data + taken) % (SKI_BLOCK + 1);
        taken += 2;
        if (len > size - taken) len = size - taken;
        check(disk_resize(file, (size_t)i * SKI_BLOCK) == SKALD_OK);
        check(disk_pwrite(on, (ski_file *)file, data + taken, len, (uint64_t)i * SKI_BLOCK) ==
              SKALD_OK);
        taken += len;
    }
    if (what >= what_index && what <= what_state && file->len % SKI_BLOCK)
        check(disk_resize(file, file->len + SKI_BLOCK - file->len % SKI_BLOCK) == SKALD_OK);
    return taken;
}

static void manifest_mend(disk_file *file)
{
    uint32_t count = 0;

    if (file->len < manifest_head + 4) return;
    count = (uint32_t)(file->len - manifest_head - 4) / 8;
    ski_put_u32(file->bytes + 8, (uint32_t)file->len);
    memcpy(file->bytes + 16, uuid.bytes, sizeof uuid.bytes);
    if (file->len == manifest_head + 4 + (size_t)count * 8) ski_put_u32(file->bytes + 56, count);
    ski_put_u32(file->bytes + file->len - 4, ski_crc32c(0, file->bytes, file->len - 4));
}

static uint32_t segment_mend(disk_file *file, unsigned number, unsigned generation, uint32_t chain)
{
    ski_segment_header header = {.store = uuid, .no = number + 1, .generation = generation};

    if (file->len < SKI_SEGMENT_HEADER) return chain;
    header.base_pos = ski_get_u16(file->bytes + 40);
    header.salt = ski_get_u64(file->bytes + 48);
    header.created_us = (int64_t)ski_get_u64(file->bytes + 56);
    header.replaced_crc = ski_get_u32(file->bytes + 72);
    header.prev_crc = chain;
    ski_segment_header_put(file->bytes, &header);
    chain = mend_frames(file->bytes, file->len, number + 1, ski_frame_seed(header.salt), chain);
    return header.replaced_crc ? header.replaced_crc : chain;
}

static void made_mend(disk *on, unsigned what, unsigned number, unsigned generation)
{
    static const char magics[][9] = {"SKALDIDX", "SKALDDIR", "SKALDSTA"};
    ski_blocks_id id = {.store = uuid, .number = number + 1, .generation = generation};
    char name[64];
    disk_file *file = NULL;

    memcpy(id.magic, magics[what - what_index], sizeof id.magic);
    file_name(what, number, generation, name);
    file = disk_find(on, name);
    if (file && file->len) mend_blocks(file->bytes, (uint32_t)(file->len / SKI_BLOCK), &id);
}

static void disk_mend(disk *on)
{
    uint32_t chain = 0;

    for (unsigned copy = 0; copy < SKI_MANIFEST_COPIES; copy++)
        if (disk_find(on, ski_manifest_name(copy)))
            manifest_mend(disk_find(on, ski_manifest_name(copy)));
    for (unsigned number = 0; number < numbers; number++) {
        uint32_t before = chain;

        for (unsigned generation = 0; generation < 2; generation++) {
            char name[64];

            file_name(what_segment, number, generation, name);
            if (disk_find(on, name))
                chain = segment_mend(disk_find(on, name), number, generation, before);
            made_mend(on, what_index, number, generation);
        }
        made_mend(on, what_run, number, 0);
        made_mend(on, what_state, number, 0);
    }
}

// segments_sum is another number when a byte of a segment is another one; one that does not belong
// here may be set aside.
static uint32_t segments_sum(const disk *on)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < disk_files_max; i++)
        if (strstr(on->files[i].name, "seg-") && strstr(on->files[i].name, ".log"))
            sum ^= ski_crc32c(1, on->files[i].bytes, on->files[i].len);
    return sum;
}

// --- the store ----------------------------------------------------------------------------------

static skald_err store_open(const ski_kernel *kernel, bool read_only, skald_store **ret_store)
{
    skald_store_options options = {.segment_bytes = 65536,
                                   .append_bytes_max = 1 << 20,
                                   .dedup_events_max = 4096,
                                   .event_bytes_max = 64 * 1024,
                                   .read_only = read_only};
    skald_error error = {0};
    skald_err err = ski_store_open_on(kernel, "log:/store", &options, ret_store, &error);

    check(!err || error.text[0]); // it always says why
    return err;
}

static void store_read(skald_store *store, bool backwards)
{
    skald_read read = {.backwards = backwards};
    skald_cursor *cursor = NULL;
    const skald_event *event = NULL;
    uint64_t last = backwards ? UINT64_MAX : 0;

    if (skald_cursor_open(store, &read, &cursor)) return;
    for (int i = 0; i < reads_max; i++) {
        skald_err err = skald_cursor_next(cursor, &event, NULL);

        check(!err || err == SKALD_ECORRUPT || err == SKALD_EUNSUPPORTED || err == SKALD_EIO);
        if (err) continue;
        if (!event) break;
        check(backwards ? event->position < last : event->position > last);
        last = event->position;
    }
    skald_cursor_close(cursor);
}

static void store_ask(skald_store *store)
{
    skald_arena *arena = NULL;
    const skald_counted *names = NULL;
    skald_verified verified = {0};
    skald_error error = {0};
    size_t count = 0;
    uint64_t version = 0;

    check(skald_arena_new(1 << 20, &arena) == SKALD_OK);
    store_read(store, false);
    store_read(store, true);
    (void)!skald_store_streams(store, (skald_str){0}, (skald_str){0}, NULL, 100, arena, &names,
                               &count);
    (void)!skald_store_types(store, (skald_str){0}, arena, &names, &count);
    (void)!skald_stream_version(store, SKALD_STR(""), SKALD_STR("a"), &version);
    if (skald_store_verify(store, NULL, &verified, &error) == SKALD_ECORRUPT)
        check(error.text[0] != 0);
    skald_arena_free(arena);
}

// store_append gives the position of what was acknowledged; 0: nothing was.
static uint64_t store_append(skald_store *store)
{
    skald_event event = {.type = SKALD_STR("fuzz.done"),
                         .stream = SKALD_STR("a"),
                         .data = SKALD_STR("{\"done\":true}")};
    skald_appended appended = {0};

    if (skald_store_append(store, &event, 1, NULL, &appended, NULL)) return 0;
    return appended.repeated ? 0 : appended.position_first;
}

static void event_is_there(skald_store *store, uint64_t position)
{
    skald_read read = {.after = position - 1, .before = position + 1};
    skald_cursor *cursor = NULL;
    const skald_event *event = NULL;

    check(skald_cursor_open(store, &read, &cursor) == SKALD_OK);
    if (skald_cursor_next(cursor, &event, NULL) == SKALD_OK && event)
        check(skald_str_equal(event->type, SKALD_STR("fuzz.done")));
    else
        check(false);
    skald_cursor_close(cursor);
}

static void store_use(disk *on, const ski_kernel *kernel)
{
    skald_store *store = NULL;
    uint32_t sum = segments_sum(on);
    uint64_t position = 0, head = 0;
    unsigned changes = 0;

    if (store_open(kernel, false, &store)) {
        check(segments_sum(on) == sum);
        changes = on->changes;
        if (store_open(kernel, true, &store)) return;
        store_ask(store);
        skald_store_close(store);
        check(on->changes == changes);
        return;
    }
    store_ask(store);
    position = store_append(store);
    for (int i = 0; i < steps_max && ski_store_step(store); i++) continue;
    head = skald_store_head(store);
    skald_store_close(store);
    if (on->stops || store_open(kernel, false, &store)) return;
    check(skald_store_head(store) >= head);
    if (position) event_is_there(store, position);
    skald_store_close(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    disk *on = NULL;
    ski_kernel kernel;
    size_t at = 1;

    if (size < 5 || size > input_max) return 0;
    on = ski_alloc_zeroed(1, sizeof *on);
    check(on != NULL);
    on->random = size;
    kernel = disk_kernel(on);
    for (int files = 0; files < files_max && size - at >= 4; files++)
        at += file_unpack(on, data + at, size - at);
    if (data[0] % 2) disk_mend(on);
    on->changes = 0;
    store_use(on, &kernel);
    disk_free(on);
    ski_free(on);
    return 0;
}
