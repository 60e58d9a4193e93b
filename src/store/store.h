// SPDX-License-Identifier: Apache-2.0
// store/store.h - what the floors above use of the store beside skald/store.h: appends that do not
// wait, pages, named values.
#ifndef SKI_STORE_STORE_H
#define SKI_STORE_STORE_H

#include "os/kernel.h"
#include <skald/store.h>
#include <skald/store_driver.h>

// ski_store_open_on is skald_store_open on a kernel of the caller's, which must outlive the store.
skald_err ski_store_open_on(const ski_kernel *kernel, const char *url,
                            const skald_store_options *options, skald_store **ret_store,
                            skald_error *reterr_error) SKALD_CHECK;

// What a batch may hold beside SKALD_APPEND_..._MAX; the bytes of values count with those of
// events.
enum {
    SKI_STORE_VALUES_MAX = 4096,
    SKI_STORE_VALUE_NAME_BYTES_MAX = 255,
    SKI_STORE_VALUE_BYTES_MAX = 1024 * 1024,
    SKI_STORE_FILTER_ITEMS_MAX = 1024,           // of a read: types, streams, categories, each
    SKI_STORE_PAGE_BYTES_MAX = 64 * 1024 * 1024, // the most a read may ask for
    SKI_STORE_PAGE_BYTES = 256 * 1024,           // what one asks for that does not say
    SKI_STORE_LIST_MAX = 100000,                 // streams listed in one call
    SKI_STORE_HOLDS_MAX = 4096,
};

// ski_store_submit stamps ids (version 7), occurred_at and what else is left zero, and hands the
// batch to the driver (skald_store_driver.submit says what lives how long). Events must have passed
// skald_event_check. Never waits. Not OK: nothing was taken, done is not called. Fails: FULL,
// READONLY, CLOSED, NOMEM, INVALID (an id stands twice, a name is too long), TOOBIG.
skald_err ski_store_submit(skald_store *store, skald_store_batch *batch) SKALD_CHECK;
// ski_store_commit is the same and returns when done has been called; the calling thread may do the
// writing.
skald_err ski_store_commit(skald_store *store, skald_store_batch *batch) SKALD_CHECK;
// ski_store_flush begins what was submitted with batch->more set. Any thread, never waits.
void ski_store_flush(skald_store *store);
// ski_store_options_check says which option of an append can be in no append. Fails: INVALID,
// TOOBIG (the field).
skald_err ski_store_options_check(const skald_append_options *options, skald_error *reterr_error)
    SKALD_CHECK;
// ski_store_batch_fail writes what a batch's done or submit was told (err, conflict,
// actual_version) as an error for people. Returns err.
skald_err ski_store_batch_fail(const skald_store_batch *batch, skald_err err,
                               skald_error *reterr_error);

// ski_store_page reads one page: only events the filter lets through, in order. position_next goes
// on; end: nothing more is durable now. A page may hold no event and not be the end: then the
// caller decides whether to go on. events_max is for this page. On CORRUPT ret_page holds nothing
// but position_next, behind the damage. ski_store_page_free from any thread. Waits.
skald_err ski_store_page(skald_store *store, const skald_read *read, skald_store_page *ret_page,
                         skald_error *reterr_error) SKALD_CHECK;
void ski_store_page_free(skald_store *store, skald_store_page *page);

skald_err ski_store_value_get(skald_store *store, skald_str name, skald_buf *buf)
    SKALD_CHECK; // appends; NOTFOUND
skald_err ski_store_value_each(skald_store *store, skald_str prefix,
                               bool (*visit)(void *context, const skald_store_value *value),
                               void *context);

// ski_store_hold says that everything above position is still needed by the durable subscription
// of that name, which has read up to read, and replaces what it said before: retention under
// SKALD_RETAIN_ACKED hides nothing of it. *ret_lost, which may be NULL, is how many positions
// SKALD_RETAIN_LIMIT has hidden from it before it read them: of a new one, which has read nothing,
// from this hold on.
// ski_store_release ends it: the subscription is removed, or so far behind that nobody waits for
// it any more. Nothing of this is kept over closing; ski_store_holds_declare says that every
// durable subscription the store knows holds now, and before it has been said SKALD_RETAIN_ACKED
// lets nothing of the log be erased. Never wait. Fails: FULL (SKI_STORE_HOLDS_MAX), INVALID (the
// name is empty or longer than SKI_STORE_VALUE_NAME_BYTES_MAX), NOMEM.
skald_err ski_store_hold(skald_store *store, skald_str name, uint64_t position, uint64_t read,
                         uint64_t *ret_lost) SKALD_CHECK;
void ski_store_release(skald_store *store, skald_str name);
void ski_store_holds_declare(skald_store *store);

// ski_store_watch tells fn of every new durable position from then on: on any thread, cheap, not
// calling back in. One watcher; fn NULL: none, and when it returns the old one is not called any
// more.
void ski_store_watch(skald_store *store, void (*fn)(void *context, uint64_t durable_position),
                     void *context);

// ski_store_event is skald_store_event and says why not. Fails: also CORRUPT (the range).
skald_err ski_store_event(skald_store *store, skald_uuid id, skald_str tenant, skald_arena *arena,
                          skald_event *ret_event, skald_error *reterr_error) SKALD_CHECK;
// ski_store_event_now is skald_store_event for who may not wait. Fails: UNAVAILABLE: ask that one.
skald_err ski_store_event_now(skald_store *store, skald_uuid id, skald_str tenant,
                              skald_arena *arena, skald_event *ret_event) SKALD_CHECK;

skald_uuid ski_store_uuid_new(skald_store *store); // version 7, rising
// ski_store_ids_give gives such an id to each event that has none. True: none had one, and each has
// its own now; whoever submits them as they are says so by batch.ids_made.
bool ski_store_ids_give(skald_store *store, skald_event *events, size_t count, skald_time now);
skald_time ski_store_now(skald_store *store); // the store's clock
const ski_kernel *ski_store_kernel(const skald_store *store);
const skald_log *ski_store_log_hook(const skald_store *store);
uint32_t ski_store_event_bytes_max(const skald_store *store);
bool ski_store_step(skald_store *store); // only without threads: one unit of background work, if
                                         // there is any

// ski_store_url_check: would skald_store_open know what url means? Fails: INVALID.
skald_err ski_store_url_check(const char *url, skald_error *reterr_error) SKALD_CHECK;

extern const skald_store_driver *const ski_store_drivers[]; // NULL-ended: drivers.c, one line each

#endif
