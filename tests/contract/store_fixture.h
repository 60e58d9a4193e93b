// SPDX-License-Identifier: Apache-2.0
// contract/store_fixture.h - what the files of the store's contract suite share: a store for each
// test, short ways to make events, append and read them, and the lists of tests.
#ifndef TESTS_CONTRACT_STORE_FIXTURE_H
#define TESTS_CONTRACT_STORE_FIXTURE_H

#include "contract/store_contract.h"

// cmocka wants these before itself.
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

typedef struct fixture {
    const store_contract *contract;
    skald_store *store;
    skald_arena *arena; // for the length of a test
    skald_clock clock;  // a millisecond later with every look
    atomic_int_least64_t now;
    skald_store_options options;
} fixture;

// What a read gave, in the fixture's arena.
typedef struct events_list {
    skald_event *items;
    size_t count;
} events_list;

skald_str print(fixture *f, const char *format, ...) SKALD_PRINTF(2, 3); // in the arena
skald_str text(const char *terminated);
skald_uuid id_of(uint64_t number); // a fixed id, not zero
// event_of makes an event of a type on a stream (NULL: none) with {"n":number} as data.
skald_event event_of(fixture *f, const char *type, const char *stream, int number);

// append_one and append_all must succeed; append_fails must fail with err, and store nothing.
skald_appended append_one(fixture *f, skald_event event);
skald_appended append_all(fixture *f, const skald_event *events, size_t count,
                          const skald_append_options *options);
void append_fails(fixture *f, const skald_event *events, size_t count,
                  const skald_append_options *options, skald_err err, skald_error *ret_error);
// commit must be taken; gives what done was told.
skald_err commit(fixture *f, skald_store_batch *batch);

events_list read_all(fixture *f, const skald_read *read);
skald_event event_keep(fixture *f, const skald_event *event);
void assert_same_event(const skald_event *a, const skald_event *b);
void assert_text(skald_str text_, const char *expected);

#define TEST(name) \
    cmocka_unit_test_prestate_setup_teardown(name, fixture_setup, fixture_teardown, NULL)
int fixture_setup(void **state);
int fixture_teardown(void **state);

// The tests, one list a file.
#define STORE_APPEND_TESTS(X)        \
    X(positions_are_dense)           \
    X(an_event_comes_back_whole)     \
    X(texts_are_copied)              \
    X(several_streams_in_one_append) \
    X(expectations_that_hold)        \
    X(expectations_that_fail)        \
    X(expectations_several)          \
    X(tenants_are_strangers)         \
    X(bad_arguments_store_nothing)   \
    X(limits_of_an_append)           \
    X(the_largest_append)            \
    X(weaker_levels)                 \
    X(everything_is_there_after_reopen)
#define STORE_DEDUP_TESTS(X)             \
    X(an_id_again_is_a_repetition)       \
    X(a_batch_again_is_a_repetition)     \
    X(an_id_with_other_content)          \
    X(only_some_ids_known)               \
    X(an_id_twice_in_a_batch)            \
    X(a_repetition_ignores_expectations) \
    X(a_repetition_stores_no_value)      \
    X(an_id_belongs_to_a_tenant)         \
    X(values_put_replace_remove)         \
    X(limits_of_values)                  \
    X(values_with_events)                \
    X(values_after_reopen)
#define STORE_READ_TESTS(X)            \
    X(an_empty_store)                  \
    X(reads_agree_with_a_plain_search) \
    X(reads_agree_after_reopen)        \
    X(pages_give_the_same)             \
    X(a_read_from_the_future)          \
    X(an_event_bigger_than_a_page)     \
    X(a_cursor_goes_on)                \
    X(events_max_ends_a_read)          \
    X(versions_of_a_stream)            \
    X(times_of_recording)              \
    X(find_by_id)                      \
    X(streams_are_listed)              \
    X(streams_of_tenants_are_listed)   \
    X(types_are_counted)               \
    X(nothing_is_damaged)
#define STORE_RETAIN_TESTS(X)                  \
    X(max_count_keeps_the_newest)              \
    X(max_age_hides_by_time)                   \
    X(truncate_before_hides)                   \
    X(a_deleted_stream_is_written_again)       \
    X(deleting_checks_where_the_stream_stands) \
    X(a_tombstoned_stream_is_closed)           \
    X(bad_metadata_is_refused)                 \
    X(hidden_ids_are_known)                    \
    X(a_limit_counts_what_is_seen)             \
    X(empty_pages_lead_on)                     \
    X(metadata_outlives_closing)               \
    X(metadata_has_a_limit)                    \
    X(the_log_has_limits)                      \
    X(what_is_held_is_kept)                    \
    X(what_is_lost_is_counted)                 \
    X(holds_have_a_limit)                      \
    X(a_stream_as_of_a_time)
#define STORE_COMPACT_TESTS(X)         \
    X(sight_agrees_with_a_plain_model) \
    X(compacting_changes_no_answer)    \
    X(erased_positions_stay_erased)    \
    X(compaction_can_be_stopped)       \
    X(compaction_in_the_background)    \
    X(trimming_waits_for_all_holds)    \
    X(a_page_outlives_compaction)
#define STORE_SNAPSHOT_TESTS(X)        \
    X(the_newest_snapshot_is_kept)     \
    X(a_snapshot_of_another_schema)    \
    X(a_snapshot_goes_with_its_stream) \
    X(bad_snapshots_are_refused)       \
    X(reserved_names_are_refused)      \
    X(reserved_names_are_hidden)       \
    X(snapshots_outlive_closing)
#define STORE_THREADS_TESTS(X)    \
    X(done_once_and_in_order)     \
    X(one_wins)                   \
    X(readers_see_a_dense_prefix) \
    X(head_and_watch_rise)        \
    X(the_watcher_can_leave)      \
    X(close_ends_all)             \
    X(kept_while_used)

#define TEST_DECLARE(name) void name(void **state);
STORE_APPEND_TESTS(TEST_DECLARE)
STORE_DEDUP_TESTS(TEST_DECLARE)
STORE_READ_TESTS(TEST_DECLARE)
STORE_RETAIN_TESTS(TEST_DECLARE)
STORE_COMPACT_TESTS(TEST_DECLARE)
STORE_SNAPSHOT_TESTS(TEST_DECLARE)
STORE_THREADS_TESTS(TEST_DECLARE)

#endif
