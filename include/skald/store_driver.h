// SPDX-License-Identifier: Apache-2.0
// skald/store_driver.h - the port a store driver implements: one ops table.
//
// The store above this port (src/store/store.c) has checked every argument, given ids, stamped
// times; a driver sees only what it must keep. It keeps the log, its indexes, and small named
// values (checkpoints). Everything is keyed by (tenant, x).
//
// Threads. "caller": any thread, several at once, may wait. "submit": any thread, must not wait.
// Everything passed in is borrowed for the call, except where a slot says otherwise.
#ifndef SKALD_STORE_DRIVER_H
#define SKALD_STORE_DRIVER_H

#include <skald/store.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SKALD_STORE_DRIVER_ABI = 1 };

// What the driver is given to work with; it outlives the instance. kernel is the table of files,
// threads and time that a simulator replaces: a driver calls nothing else of the operating system.
typedef struct skald_store_host {
    const skald_clock *clock; // never NULL
    const skald_log *log;     // never NULL
    const struct ski_kernel *kernel;
    // advanced tells the new last durable position. On whichever thread made it durable; cheap,
    // never blocks, never calls back in.
    void (*advanced)(void *context, uint64_t durable_position);
    void *context;
} skald_store_host;

// A named value stored with an append, in the same commit: a checkpoint.
typedef struct skald_store_value {
    skald_str name;
    skald_str bytes; // not given: removes it
} skald_store_value;

// What a driver is asked for beside what a caller may expect of a stream: that it stands at version
// or further on.
enum { SKALD_STORE_AT_LEAST = SKALD_AT + 1 };

// One atomic unit. In this order: are its ids known (all with the same content: repeated, nothing
// is stored, no value either; else EXISTS)? Do all expects hold as the streams stand before it
// (else CONFLICT)? Then all of it is stored. What content is: src/store/content.h. recorded_at
// never falls from one position to the next.
//
//  The driver copies what it needs of all text, values and expect before submit
// returns; the batch itself and its events array stay where they are until done is called.
typedef struct skald_store_batch {
    // Every id, tenant, data, version and occurred_at is given; no id of a tenant stands twice.
    // Before done the driver writes position, stream_version and recorded_at of each event (of the
    // first result, when it is a repetition).
    skald_event *events; // may be none: values only
    size_t event_count;
    const skald_store_value *values;
    size_t value_count;
    const skald_expect *expect;
    size_t expect_count;
    skald_durability durability;
    // another submit or a flush follows at once: submit need wake nobody for this one alone
    bool more;
    // every id was made by the store for this batch, just now: none of them needs to be looked for.
    // A driver that goes by it takes it back, for the batch may be given again.
    bool ids_made;
    // done is called exactly once, in commit order, on whichever thread made the batch durable; it
    // only hands over and does not block or call back in. On CONFLICT actual_version and
    // conflict (index into expect) say which. EXISTS: an id is known with other content, or only
    // some of the ids are known.
    void (*done)(struct skald_store_batch *batch, skald_err err);
    void *context; // the submitter's
    skald_appended appended;
    uint64_t actual_version;
    size_t conflict;
    struct skald_store_batch *next; // the driver's, from submit to done
} skald_store_batch;

// A page of events, made by read, until page_free. Events point into it. A page may be read from
// any thread and freed from any. The array is the page's own: the store above moves events in it
// and lowers count, so page_free goes by driver alone.
typedef struct skald_store_page {
    skald_event *events;
    size_t count;
    uint64_t position_next; // give it as after (backwards: as before) to go on, also when count is
                            // 0
    bool end;               // nothing further is durable now
    void *driver;
} skald_store_page;

// An event as compaction sees it. stream not given: it has none, and stream_version is 0.
typedef struct skald_store_mark {
    skald_str tenant, stream;
    uint64_t stream_version, position;
    skald_time recorded_at;
} skald_store_mark;

// A beginning of a stream that may be dead: its versions below version_before (UINT64_MAX: all),
// and its events recorded before recorded_before (0: their age does not matter).
typedef struct skald_store_beginning {
    skald_str tenant, stream;
    uint64_t version_before;
    skald_time recorded_before;
} skald_store_beginning;

// What compact is to do. The job and what it points to live until compact returns.
typedef struct skald_store_compact_job {
    // dead says whether an event is to go. It is the store's and may ask the driver's
    // stream_version: call it with no lock held that a lookup or an append needs. The dead events
    // of a stream are always its first ones: where version v is dead, so is every one below it that
    // is still there. What was dead once may be given up at any later time without asking again.
    bool (*dead)(void *context, const skald_store_mark *mark);
    // proceed is called between steps (a segment, some thousand events), at least once a second
    // while there is work; false: leave things as a crash would be allowed to, and return OK.
    bool (*proceed)(void *context, uint64_t bytes_done, uint64_t bytes_all);
    void *context;
    uint64_t bytes_per_s; // reading and writing together; 0: no limit
    bool erase; // no dead event is left, nor its bytes, nor those of values that were replaced
    // known: nothing is dead but positions up to floor, these beginnings, and of each stream with
    // events of newest_type all but its newest one. So a driver with indexes need not read where
    // little or nothing of it is. Not known: it has to ask dead about everything.
    bool known;
    uint64_t floor;
    const skald_store_beginning *beginnings;
    size_t beginning_count;
    skald_str newest_type;
    // The driver counts here what it did.
    uint64_t events_erased, bytes_freed;
} skald_store_compact_job;

typedef struct skald_store_driver {
    uint32_t abi;       // SKALD_STORE_DRIVER_ABI
    const char *scheme; // of its URLs: "log"

    // open: caller. path is the URL behind the scheme. Recovers, or says exactly what is damaged
    // (CORRUPT, with the range). *ret_driver is made only on success.
    skald_err (*open)(const char *path, const skald_store_options *options,
                      const skald_store_host *host, void **ret_driver, skald_error *reterr_error);
    // close: caller, once. Ends every batch in flight (done is called for each), waits for its
    // threads. Cannot fail.
    void (*close)(void *driver);

    // submit: takes the batch on OK; order of submission is order of commit. FULL when
    // append_bytes_max is in flight, READONLY when nothing is written now, NOMEM: then nothing was
    // taken and done is not called. Conflicts are told through done, possibly before submit
    // returns.
    skald_err (*submit)(void *driver, skald_store_batch *batch);

    // commit: caller. As submit, but the calling thread may do the writing itself, so that one
    // caller needs no other thread; returns when done has been called. NULL: the store submits and
    // waits.
    skald_err (*commit)(void *driver, skald_store_batch *batch);

    // read: caller. Returns events with after < position < before, in order (descending when
    // backwards), at most page_bytes_max but at least one if there is one. It may pass events the
    // filter would stop except by tenant, which it must honour: the store filters again. Never
    // returns a position that is not durable. Positions may be skipped over (position_next) without
    // an event. Fails: CORRUPT, whose error names the range; position_next is then behind it.
    skald_err (*read)(void *driver, const skald_read *read, skald_store_page *ret_page,
                      skald_error *reterr_error);
    void (*page_free)(void *driver, skald_store_page *page);

    // Lookups: caller. Only what is durable is seen. find_id: NOTFOUND is an answer.
    // stream_version: 0 is an answer.
    skald_err (*find_id)(void *driver, skald_str tenant, skald_uuid id, uint64_t *ret_position);
    skald_err (*stream_version)(void *driver, skald_str tenant, skald_str stream,
                                uint64_t *ret_version);
    // streams_each: the streams whose name begins with prefix and that come behind after by tenant
    // and name (NULL: all of them), each once; in runs that are sorted by tenant and name, as many
    // as the driver likes. A stream's count is its version, and its tenant is said. The visitor
    // returns false when it wants none that is greater: that ends the run being visited, not the
    // others. It must not call back in.
    skald_err (*streams_each)(void *driver, skald_str tenant, skald_str prefix,
                              const skald_counted *after,
                              bool (*visit)(void *context, const skald_counted *stream),
                              void *context);
    // types_each: in no order; the visitor returns false to stop and must not call back in.
    skald_err (*types_each)(void *driver, skald_str tenant,
                            bool (*visit)(void *context, const skald_counted *type), void *context);
    // value_get appends to buf; NOTFOUND is an answer. value_each: names that begin with prefix;
    // one that is removed or set meanwhile may be visited or not, or twice.
    skald_err (*value_get)(void *driver, skald_str name, skald_buf *buf);
    skald_err (*value_each)(void *driver, skald_str prefix,
                            bool (*visit)(void *context, const skald_store_value *value),
                            void *context);

    // head: any thread, never waits, never goes back.
    uint64_t (*head)(void *driver);
    // state: any thread, never waits. Fills what it knows.
    void (*state)(void *driver, skald_store_state *ret_state);

    // step: only when the host's kernel has no threads: do one unit of background work (write a
    // group, prepare a segment) on the caller's thread and say whether there was any. NULL: has
    // none.
    bool (*step)(void *driver);

    // verify: caller, long, never stops appends. NULL: UNSUPPORTED.
    skald_err (*verify)(void *driver, const skald_verify_options *options,
                        skald_verified *ret_verified, skald_error *reterr_error);

    // What follows may be left out: NULL says that the driver cannot.
    //
    // Erased events. Both slots below erase events for good. Whatever they do: positions and
    // versions are never given again, and stream_version, head and named values stay what they
    // were, also when no event of a stream is left and after opening again. A read passes over an
    // erased position, bounded as ever (an empty page that is not the end leads on by
    // position_next); find_id of it is NOTFOUND; its id may be forgotten, so that an append with it
    // stores a new event. types_each counts what is left, and leaves out a type with nothing left.
    // streams_each still gives every stream there ever was, count being its version; position_last
    // stays what it was. verify does not take an erased position for damage. A page that was given
    // before stays whole until it is freed.

    // trim: caller, not beside itself or compact. Every event at or below position is dead: whole
    // segments of such events are dropped, at once and without reading them; a segment that holds
    // any later event stays as it is. Never stops appends or reads. *ret_position is the first
    // position that is kept. Survives a crash at any point: a segment is there or gone. Fails:
    // READONLY, IO.
    skald_err (*trim)(void *driver, uint64_t position, uint64_t *ret_position,
                      skald_error *reterr_error);

    // compact: caller, long, not beside itself or trim. Rewrites segments in which enough is dead
    // to be worth it, or, with erase, in which anything is, the one being written first made a
    // sealed one. A segment's old file goes when nobody reads it any more. Never stops appends,
    // reads or a backup. Interrupted at any point, by proceed, close or a crash, it leaves each
    // segment whole, old or new, and a later call goes on with those not done. Fails: READONLY, IO,
    // CORRUPT (with the range; that segment is left alone, the others are done).
    skald_err (*compact)(void *driver, skald_store_compact_job *job, skald_error *reterr_error);

    // flush: any thread, never waits. What was submitted with more set is begun now. NULL: submit
    // takes no notice of more.
    void (*flush)(void *driver);

    // What follows may be left out, too: skald_store_backup, _salvage and _parts_each then say
    // UNSUPPORTED. backup: caller, long, several at once, never stops appends; legal while segments
    // are sealed, merged and compacted. salvage: of an instance opened read-only; NULL is what
    // a driver without readable damage has. parts: caller.
    skald_err (*backup)(void *driver, const char *directory, const skald_backup_options *options,
                        skald_backed_up *ret_backed_up, skald_error *reterr_error);
    skald_err (*salvage)(void *driver, const char *directory, const skald_salvage_options *options,
                         skald_salvaged *ret_salvaged, skald_error *reterr_error);
    skald_err (*parts)(void *driver, bool (*visit)(void *context, const skald_store_part *part),
                       void *context);

    // event_now: any thread, never waits. One event by its id, its texts in arena; UNAVAILABLE: it
    // is not at hand, so whoever may wait is to ask find_id and read, which say why. May be left
    // out.
    skald_err (*event_now)(void *driver, skald_str tenant, skald_uuid id, skald_arena *arena,
                           skald_event *ret_event);

    // A log that loses at its beginning what it gains at its end. May be left out, both.
    // events_max: of how many of the newest events the URL speaks, 0: of none; taken as
    // SKALD_RETAIN_LIMIT until retention is set. forget: any thread, never waits. Every event at or
    // below position is dead, as for trim, for good; what is appended from then on may take its
    // room, as soon as no page that is out borrows from it.
    uint64_t (*events_max)(void *driver);
    void (*forget)(void *driver, uint64_t position);
} skald_store_driver;

#ifdef __cplusplus
}
#endif
#endif // SKALD_STORE_DRIVER_H
