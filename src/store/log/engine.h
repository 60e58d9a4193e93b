// SPDX-License-Identifier: Apache-2.0
// store/log/engine.h - what the files of the log driver share: one open store.
//
// Who may touch what:
//   lock     everything not named below, held for moments, never during input or output;
//   role     `writing`, taken under the lock: whoever has it is the writer and alone touches
//            the fields of `tail` and the manifest, and calls done. A caller of commit takes
//            it when it is free, else the thread "skald-log"; without threads, whoever steps;
//   keeper   the thread "skald-keep" (without threads: whoever steps, or the writer that waits for
//            it) alone changes `totals`, the directory's runs, state files, and which segments have
//            an index; the first and the last of it under the lock too;
//   keeping  a mutex that the keeper has while it works, and who compacts while it puts a rewritten
//            segment in the place of the old one; never taken with the role or the lock;
//   neither  what is set at open and stays: host, kernel, path, options, seeds;
//            `visible` and `dead`, which are atomic.
//
// Segments, in slots by number: first those that have an index file (`sealed_count` of them, with
// the positions up to `sealed_last`), then those whose events are in `window`, in memory.
#ifndef SKI_STORE_LOG_ENGINE_H
#define SKI_STORE_LOG_ENGINE_H

#include "base/histogram.h"
#include "os/kernel.h"
#include "os/thread.h"
#include "store/log/directory.h"
#include "store/log/follow.h"
#include "store/log/frame.h"
#include "store/log/ids.h"
#include "store/log/manifest.h"
#include "store/log/recent.h"
#include "store/log/scan.h"
#include "store/log/sealed.h"
#include "store/log/segment.h"
#include "store/log/state.h"
#include "store/log/totals.h"
#include "store/log/values.h"
#include "store/log/window.h"
#include <skald/store_driver.h>
#include <stdatomic.h>

enum {
    SKI_ENGINE_PATH_MAX = 4096,
    SKI_GROUP_BYTES = 4 * 1024 * 1024, // a group that has as much takes no further batch
    SKI_GROUP_BUCKETS = 8,             // of waiting callers, by group
    SKI_GROUPS_KEPT = 2,               // emptied ones, with their buffers, for the next; more of
                                       // them when they hold no more than
    SKI_GROUPS_KEPT_BYTES = 24 * 1024 * 1024,
    SKI_BATCH_OVERHEAD = 128,         // counted for a batch beside its bytes,
                                      // so that empty ones are bounded too
    SKI_RETRY_NS = 100 * 1000 * 1000, // between attempts when nothing could be written
    SKI_IDLE_NS = 100 * 1000 * 1000,  // without a write: then the watermark is stored
    SKI_SPARES_MAX = 2,
    SKI_TAIL_RESERVE = 2 * SKI_FRAME_BYTES_MIN, // at the end of a segment: for PAD and SEAL
    SKI_DIRECT_ROOM = 2 * SKI_DIRECT_BYTES,     // behind a group's bytes: for the rest of its last
                                                // page, or a PAD frame up to its end
    SKI_FILES_OPEN_MAX = 128,                   // segments open for reading at a time
    SKI_INDEXES_OPEN_MAX = 128,                 // index files, too
    SKI_UNSEALED_MAX = 1,                       // full segments without an index; then appends wait
    SKI_UNSEALED_FAILING_MAX = 8,               // the same while none can be made; then they fail
    SKI_DAMAGES_MAX = 256,                      // ranges remembered one by one
    SKI_SEGMENT_BYTES_FIRST = 1024 * 1024, // the first segment; the next ones grow fourfold to the
                                           // size asked for
};
#define SKI_SEGMENT_BYTES_LEAST UINT64_C(65536)
#define SKI_SEGMENT_BYTES_MOST (UINT64_C(1) << 30) // offsets in frames have 32 bits

#define SKI_FILTER_BYTES_MAX (UINT64_C(32) << 20) // of filters held in memory
#define SKI_PLACE_DAMAGED UINT32_MAX              // a slot: the event cannot be read

// A file of a segment that was rewritten, while somebody still reads it.
typedef struct ski_old_file {
    struct ski_old_file *next;
    ski_file *file;
    uint32_t users;
} ski_old_file;

// A file that nobody needs any more, or will when the last pin has gone: of a segment, or its
// index.
typedef struct ski_worthless {
    uint32_t no, generation;
    bool index;
} ski_worthless;

// The index of a segment, while somebody uses it.
typedef struct ski_indexed {
    ski_sealed *sealed;
    uint32_t users;
    bool retired; // another one has replaced it: the last user closes it
} ski_indexed;

typedef struct ski_segment {
    uint32_t no, generation;
    uint32_t seed;
    uint64_t base_pos;
    uint64_t end; // of its frames, as far as they are written
    uint64_t file_bytes;
    ski_file *file;       // NULL: not open now
    uint32_t users;       // reads in progress
    ski_old_file *old;    // files of generations before, still being read
    ski_indexed *indexed; // NULL: in the window, or nothing of it can be read
    uint64_t index_bytes; // of memory, of its index without filters
    bool suspect;         // its index file is damaged: to be made again
    bool filtered;        // the filters of its index are in memory
    bool uncached;        // most of it was written past the kernel's cache
    char *values;         // named values at its end, until its state file is written
    size_t values_len;
    uint64_t looked_bytes, looked_ns; // compaction's: when it was last read for less than is worth
                                      // it, and how much could have been dead then
} ski_segment;

// Where an event is: its record begins at offset and ends at bound or before.
typedef struct ski_candidate {
    uint64_t position, offset, bound;
    uint32_t slot;       // SKI_PLACE_DAMAGED: it cannot be read
    uint32_t generation; // of the segment that offset and bound are true of
} ski_candidate;

// A batch that has been put in order. bytes 0: nothing is to be stored, it is only told err in its
// turn.
typedef struct ski_staged {
    skald_store_batch *batch;
    skald_err err;
    uint32_t body_len, total_len;
    size_t offset; // of its frame in the group's bytes
    uint64_t base_pos;
    uint32_t count;
    int64_t append_us;
    uint32_t change_count;
    ski_values_change *changes;
} ski_staged;

// What is written together.
typedef struct ski_group {
    struct ski_group *next;
    uint64_t number; // from 1
    uint8_t *bytes;  // begins with a page, and has SKI_DIRECT_ROOM behind len
    size_t len, size;
    ski_staged *items;
    size_t count, items_size;
    uint32_t waiters;  // callers of commit that wait for it
    bool sync;         // a batch asked for it
    ski_written piece; // its last run, once that is written
} ski_group;

// The end of the log.
typedef struct ski_tail {
    ski_segment *segment;
    uint32_t slot;
    uint64_t end;       // where the next frame goes
    uint64_t capacity;  // beyond it the next segment begins
    uint64_t dirty_end; // what a crash has left behind end reaches so far: to be wiped before a
                        // write
    uint32_t chain;
    uint32_t incarnation;
    uint64_t next_pos;               // of the next event to be written
    uint64_t synced_pos, synced_end; // the watermark
    int64_t append_us;
    bool sealed;    // SEAL is written, the next segment is not there yet
    bool unsynced;  // something was written and not synced
    bool uncovered; // something was synced that no watermark on the device says
    bool manifest_due;
    bool unsure; // the last write failed, and what it left may be whole
} ski_tail;

// Large groups are written past the kernel's cache. The writer's.
typedef struct ski_direct {
    ski_file *file;             // of the newest segment; NULL: not open
    bool refused;               // this segment's cannot be written so
    uint64_t followed_until_ns; // up to then what is written stays in the cache
} ski_direct;

typedef struct ski_spare {
    uint32_t no;
    uint64_t bytes;
} ski_spare;

typedef struct ski_damage {
    uint32_t slot;
    uint64_t offset, length;
    uint64_t position_first, position_last; // 0: no events
} ski_damage;

// A range that was found damaged while the store was in use.
typedef struct ski_rot {
    uint32_t no, generation; // of the segment: a rewritten one has it no more
    uint64_t offset, length;
    uint64_t position_first, position_last;
} ski_rot;

typedef struct ski_engine {
    const ski_kernel *kernel;
    const skald_store_host *host;
    char *path;
    bool read_only; // asked for
    uint64_t segment_bytes, append_bytes_max, dedup_events_max;
    skald_uuid store;
    uint64_t seed; // of hashes
    ski_keys keys;
    ski_file *lock_file;

    ski_mutex lock;
    ski_cond work;      // for the log thread
    ski_cond keep_work; // for the house-keeper
    ski_cond kept_some; // it has finished with a segment, or failed to
    ski_cond done[SKI_GROUP_BUCKETS];
    ski_window window;
    ski_recent recent;     // ids of the window,
    uint64_t recalled;     // up to here
    ski_ids ids;           // of sealed segments: of positions from ids_from on, the newest ones
    uint64_t ids_from;     // older ones are asked of the index files
    uint64_t ids_until_ns; // the keeper does not go on with them before, after that has failed
    ski_totals totals;     // up to sealed_last
    uint64_t sealed_last;
    uint32_t sealed_count;
    uint64_t epoch;   // changes when something leaves the window
    bool turn_due;    // the log goes on in another segment: so does the window
    uint32_t listing; // somebody goes over the window: nothing leaves it
    ski_values values;
    _Atomic uint64_t visible; // the last position that readers see
    int64_t recorded_last;

    _Atomic bool dead; // a sync has failed
    bool opened;       // recovery is over
    bool writing, closing;
    ski_group *first, *last; // waiting to be written
    ski_group *kept;         // emptied
    uint32_t kept_count;
    size_t kept_bytes;
    uint64_t groups_begun, groups_done;
    struct ski_later *later_first, *later_last; // batches that are put off
    uint64_t later_added, later_ended;
    ski_cond later_over;
    uint64_t bytes_staged, batches_staged;
    bool stopped; // takes no appends now
    char stopped_why[96];
    uint64_t stopped_until_ns; // then one is tried
    uint64_t written_last_ns;
    uint64_t bytes_written; // since it was opened
    bool idle_due;          // something was written since the watermark was stored

    ski_segment **segments;
    ski_segment *active; // the one at the tail; NULL: none can be written to
    bool followed;       // somebody has read in it since the writer looked
    uint32_t segment_count, segment_size, files_open;
    ski_damage *damages; // found when it was opened, or a segment was sealed
    uint32_t damage_count, damage_size;
    ski_rot *rot; // found later: damage.c
    uint32_t rot_count, rot_size;
    uint64_t rot_more; // beyond SKI_DAMAGES_MAX

    ski_spare spares[SKI_SPARES_MAX];
    uint32_t spare_count, spare_next_no;
    bool spare_making;
    uint64_t spare_until_ns; // not before, after one could not be made

    ski_cache cache; // of segments and their indexes
    ski_sealed_pool pool;
    ski_directory directory;
    bool directory_made;
    _Atomic bool directory_broken; // a run is damaged: indexes are asked until all are made again
    bool seal_failing;             // the last segment could not be indexed
    uint64_t seal_until_ns;        // not before, after that
    uint64_t merge_until_ns;       // the same of the directory
    bool merge_due, filters_due, suspect_due;
    uint64_t filter_bytes;                             // loaded
    uint32_t states[SKI_STATES_KEPT + 1], state_count; // written, oldest first
    uint64_t seals, rebuilds;

    ski_mutex keeping;
    ski_cond role_free;   // for who waits for the role to do something else than write a group
    uint32_t role_wanted; // so many do: no group is begun before
    ski_cond compact_rest;
    uint32_t pins; // while there are any, files of generations before stay
    ski_worthless *worthless;
    uint32_t worthless_count, worthless_size;
    uint64_t compactions, segments_dropped, events_erased, bytes_freed;

    struct ski_scrub *scrub; // the keeper's; NULL: nothing is scrubbed
    uint64_t scrub_bytes, scrub_segments;

    uint64_t syncs, sync_ns;
    ski_histogram sync_times; // no lock
    ski_thread log_thread, keep_thread;

    ski_tail tail;
    ski_direct direct;
    ski_follow follow;
    ski_manifest manifest;
} ski_engine;

// engine.c: what every part needs.
skald_err ski_engine_path(const ski_engine *engine, const char *name,
                          char path[SKI_ENGINE_PATH_MAX]) SKALD_CHECK;
uint64_t ski_engine_now_ns(const ski_engine *engine);
// ski_engine_sync syncs a file, ski_engine_sync_dir the directory, while the store is in use. When
// that fails nothing that was written since the last time is certain any more: the process is
// stopped. Fails: IO.
skald_err ski_engine_sync(ski_engine *engine, ski_file *file) SKALD_CHECK;
skald_err ski_engine_sync_dir(ski_engine *engine) SKALD_CHECK;
void ski_engine_die(ski_engine *engine, const char *why);
// ski_engine_segment_add lists one segment, without the lock held. It takes segment on success.
skald_err ski_engine_segment_add(ski_engine *engine, ski_segment *take_segment, uint32_t *ret_slot)
    SKALD_CHECK;
skald_err ski_engine_damage_add(ski_engine *engine, const ski_damage *damage) SKALD_CHECK;
void ski_engine_segment_name(const ski_engine *engine, uint32_t slot, char name[SKI_SEGMENT_NAME]);
// ski_engine_slot gives the segment that has a position. The lock is held.
uint32_t ski_engine_slot(const ski_engine *engine, uint64_t position);
// ski_engine_segment_last gives the last position that a segment has or had; the newest one's is
// the last one put in order. The lock is held.
uint64_t ski_engine_segment_last(const ski_engine *engine, uint32_t slot);
// ski_engine_index lends the index of a segment until ski_engine_index_return; NULL: it has none.
// ski_engine_index_held does so with the lock held.
ski_indexed *ski_engine_index_held(ski_engine *engine, uint32_t slot);
ski_indexed *ski_engine_index(ski_engine *engine, uint32_t slot);
void ski_engine_index_return(ski_engine *engine, ski_indexed *indexed); // NULL is allowed
// ski_engine_index_put gives a segment its index, in place of what it had; takes sealed on success.
// Fails: NOMEM. The lock is held.
skald_err ski_engine_index_put(ski_engine *engine, uint32_t slot, ski_sealed *take_sealed)
    SKALD_CHECK;
// ski_engine_cached is the identity in the cache of one generation of a segment.
static inline uint64_t ski_engine_cached(uint32_t slot, uint32_t generation)
{
    return UINT64_C(1) << 63 | (uint64_t)slot << 32 | generation;
}
// ski_engine_suspect is told that an index file is damaged: it will be made again.
void ski_engine_suspect(ski_engine *engine, uint32_t slot);
// ski_engine_file lends the file of a segment for reading until ski_engine_file_return. Fails:
// STALE (the segment was rewritten, and is of another generation now).
skald_err ski_engine_file(ski_engine *engine, uint32_t slot, uint32_t generation,
                          ski_file **ret_file) SKALD_CHECK;
// ski_engine_file_count counts one file more as open, and gives one that is to be closed for it;
// may be NULL. The lock is held.
ski_file *ski_engine_file_count(ski_engine *engine);
void ski_engine_file_return(ski_engine *engine, uint32_t slot, ski_file *file);

// recover.c: from what is on the disk to a tail that can be written.
skald_err ski_recover(ski_engine *engine, skald_error *reterr_error) SKALD_CHECK;

// replay.c: what the frames of a segment say, into the window and the values; or the latter only.
skald_err ski_replay_values(ski_engine *engine, const ski_scan_frame *frame) SKALD_CHECK;
skald_err ski_replay_frame(ski_engine *engine, uint32_t slot, const ski_scan_frame *frame,
                           bool damaged_before) SKALD_CHECK;

// stage.c: putting batches in order.
typedef enum ski_stage_for {
    SKI_STAGE_SUBMIT, // reads nothing: the batch is put off instead (later.c), and the group is 0
    SKI_STAGE_COMMIT, // the caller waits for the group
    SKI_STAGE_LATER,  // was put off, and is counted as staged already
} ski_stage_for;
// ski_stage gives the group that the batch waits in; 0: done has been called, or it was put off.
// Taken only when OK.
skald_err ski_stage(ski_engine *engine, skald_store_batch *batch, ski_stage_for for_whom,
                    uint64_t *ret_group) SKALD_CHECK;
skald_err ski_stage_undo(ski_engine *engine, const ski_group *group, const ski_staged *item)
    SKALD_CHECK;
// ski_staged_forget frees what it holds, the batch excepted. The lock is held, unless its values
// were applied.
void ski_staged_forget(ski_engine *engine, ski_staged *item);

// later.c: batches that are put off. The lock is held but for new.
typedef struct ski_later ski_later;
// ski_later_new: as ids_made of the batch was when it was given. NULL: no memory.
ski_later *ski_later_new(skald_store_batch *batch, bool ids_made, uint64_t bytes);
void ski_later_add(ski_engine *engine, ski_later *take_later); // counted as staged before
bool ski_later_some(const ski_engine *engine); // put off, or being put in order after that
// ski_later_drain puts those that were put off up to now in order; the lock is free meanwhile.
void ski_later_drain(ski_engine *engine);
void ski_later_wait(ski_engine *engine); // until those put off up to now are in order

// group.c: groups and their memory. The lock is held.
ski_group *ski_group_open(ski_engine *engine, size_t bytes);
uint8_t *ski_group_put(ski_group *group, size_t bytes);
void ski_group_keep(ski_engine *engine, ski_group *group);
void ski_group_free(ski_group *group);

// writer.c: the one who writes.
// ski_writer_take waits for the role, to do something else with it than write a group; give gives
// it back. Without the lock.
void ski_writer_take(ski_engine *engine);
void ski_writer_give(ski_engine *engine);
void ski_writer_lead(ski_engine *engine); // the lock is held and the role is free; writes one group
bool ski_writer_idle(ski_engine *engine, bool force); // the same; stores the
                                                      // watermark if that is due
skald_err ski_writer_control(ski_engine *engine, ski_frame_kind kind) SKALD_CHECK; // role held:
                                                                                   // writes one,
                                                                                   // does not sync
skald_err ski_writer_sync(ski_engine *engine) SKALD_CHECK; // role held: all that is written so far
skald_err ski_writer_wipe(ski_engine *engine) SKALD_CHECK; // role held: what a crash has left
                                                           // behind the end
void ski_writer_run(void *engine);                         // the log thread
void ski_writer_close(ski_engine *engine);

// direct.c: large groups past the cache. Role held.
// ski_direct_wanted says whether the next so many bytes are to be written so, and makes that
// possible.
bool ski_direct_wanted(ski_engine *engine, const uint8_t *bytes, size_t len);
size_t ski_direct_pad(const ski_tail *tail); // of the PAD frame that ends a page there; 0: none
skald_err ski_direct_write(ski_engine *engine, const uint8_t *bytes, size_t len) SKALD_CHECK;
void ski_direct_close(ski_engine *engine); // the segment is left

// roll.c: the next segment.
skald_err ski_roll(ski_engine *engine) SKALD_CHECK; // role held
uint64_t ski_roll_capacity(const ski_engine *engine, uint32_t no);
skald_err ski_roll_manifest(ski_engine *engine) SKALD_CHECK; // role held

// spare.c: files of zeros, ready to become segments.
bool ski_spare_wanted(const ski_engine *engine); // the lock is held
bool ski_spare_make(ski_engine *engine);         // keeper; without the lock; false: could not
bool ski_spare_take(ski_engine *engine, ski_spare *ret_spare);

// keep.c: the house-keeper.
void ski_keep_run(void *engine);                // the thread
bool ski_keep_step(ski_engine *engine);         // one piece of its work; false: there was none
bool ski_keep_wanted(const ski_engine *engine); // the lock is held
// ski_keep_wait is for a writer about to begin another segment: it waits until not too many are
// without an index. Fails: READONLY (none can be made).
skald_err ski_keep_wait(ski_engine *engine) SKALD_CHECK;

// recall.c: the ids of the window, before somebody looks for one.
// ski_recall is called with the lock held, and returns with it held; in between it may have been
// free, if more than SKI_RECALL_NOW_MAX are left. When it is OK none is. Fails: NOMEM.
enum { SKI_RECALL_NOW_MAX = 4096 }; // events, by who may not wait: a tenth of a millisecond
skald_err ski_recall(ski_engine *engine) SKALD_CHECK;
uint64_t ski_recall_left(const ski_engine *engine); // events that it would go over
// ski_recall_undo forgets an event's id, ski_recall_cut comes before the window is cut there. The
// lock is held.
void ski_recall_undo(ski_engine *engine, uint64_t hash, uint64_t position);
void ski_recall_cut(ski_engine *engine, uint64_t position);

// remember.c: the ids of sealed segments, from their index files into memory. Keeper; without the
// lock.
// ski_remember_oldest: ids of older positions are forgotten, as far as is staged. The lock is held.
uint64_t ski_remember_oldest(const ski_engine *engine);
// ski_remember_next gives the next range of positions from ids_from on that may have the cursor's
// hash, in no order; false: no further one. Ranges before ids_from are not known. The lock is held.
bool ski_remember_next(const ski_engine *engine, ski_ids_cursor *cursor, uint64_t *ret_first,
                       uint64_t *ret_last);
bool ski_remember_due(const ski_engine *engine);    // there are some. The lock is held
bool ski_remember_wanted(const ski_engine *engine); // and now is the time. The lock is held
bool ski_remember_step(ski_engine *engine);         // those of one more segment; false: not now
// ski_remember_sealed is for a segment that is about to be answered from its index. Fails: NOMEM,
// CORRUPT, IO, CLOSED.
skald_err ski_remember_sealed(ski_engine *engine, const ski_sealed *sealed,
                              skald_error *reterr_error) SKALD_CHECK;

// seal.c: from a full segment to one that is answered from its index file. Keeper; without the
// lock.
bool ski_seal_wanted(const ski_engine *engine); // the lock is held
bool ski_seal_next(ski_engine *engine);         // false: it could not be
bool ski_seal_again(ski_engine *engine); // makes one damaged index anew; false: there is none
// ski_seal_values takes down the values at the end of the segment that is being left. Role held.
void ski_seal_values(ski_engine *engine, ski_segment *segment);
// ski_seal_totals adds what the index of a segment says of types. Fails: NOMEM, CORRUPT, IO.
skald_err ski_seal_totals(const ski_sealed *sealed, ski_totals *totals) SKALD_CHECK;

// replace.c: a rewritten segment in the place of the old one.
// ski_pin: until ski_unpin no file of a segment's generation before is removed.
void ski_pin(ski_engine *engine);
void ski_unpin(ski_engine *engine);
// ski_worthless_add notes a file that may be removed; ski_worthless_remove does so unless there is
// a pin. Without the lock.
void ski_worthless_add(ski_engine *engine, uint32_t no, uint32_t generation, bool index);
void ski_worthless_remove(ski_engine *engine);
// What a segment has been rewritten to; its files are there, under their names, on the device.
typedef struct ski_rewritten {
    ski_sealed *sealed;
    uint32_t generation, seed;
    uint64_t file_bytes;
    bool values_dropped; // some that were replaced since: what replaced them must be on the device
} ski_rewritten;
// ski_replace lists the new generation in the manifest, has the segment answered from it, and
// removes the old files. rewritten->sealed is NULL when it was taken. *ret_listed: on the device it
// may be the new one already, also when this fails: READONLY, IO, NOMEM, CORRUPT.
skald_err ski_replace(ski_engine *engine, uint32_t slot, ski_rewritten *rewritten, bool *ret_listed)
    SKALD_CHECK;

// restate.c: named values that were replaced, when compaction erases.
// ski_restate makes the newest state file again without what compaction has erased, and without
// values that were replaced since; older ones go. Fails: READONLY, IO, NOMEM.
skald_err ski_restate(ski_engine *engine) SKALD_CHECK;
// ski_value_replaced: a value that a segment has is not the one that stands now.
bool ski_value_replaced(ski_engine *engine, const skald_store_value *value);
// ski_values_settle has all values that stand now on the device. Fails: IO.
skald_err ski_values_settle(ski_engine *engine) SKALD_CHECK;

// compact.c
skald_err ski_trim(void *driver, uint64_t position, uint64_t *ret_position,
                   skald_error *reterr_error);
skald_err ski_compact(void *driver, skald_store_compact_job *job, skald_error *reterr_error);

// read.c, verify.c
skald_err ski_read(void *driver, const skald_read *read, skald_store_page *ret_page,
                   skald_error *reterr_error);
void ski_read_page_free(void *driver, skald_store_page *page);
skald_err ski_read_record(ski_engine *engine, uint64_t position, uint8_t **ret_bytes,
                          ski_record *ret_record, skald_error *reterr_error) SKALD_CHECK;
skald_err ski_verify(void *driver, const skald_verify_options *options,
                     skald_verified *ret_verified, skald_error *reterr_error);

#endif
