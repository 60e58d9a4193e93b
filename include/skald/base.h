// SPDX-License-Identifier: Apache-2.0
// skald/base.h - the words every other header uses: text, errors, ids, time, memory.
//
// Everything here is a plain value or works on memory the caller gives it. Values may be copied and
// used from any thread; an arena and a buffer belong to one thread.
//
// Two kinds of text. What may come from an event or a request is skald_str: pointer and length, not
// terminated, borrowed. What a programmer writes down, and static tables, is const char *, copied.
#ifndef SKALD_BASE_H
#define SKALD_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// SKALD_VERSION is what is compiled against; skald_version_linked() of skald.h, what runs.
#define SKALD_VERSION_MAJOR 0
#define SKALD_VERSION_MINOR 1
#define SKALD_VERSION_PATCH 0
#define SKALD_VERSION \
    (SKALD_VERSION_MAJOR * 10000 + SKALD_VERSION_MINOR * 100 + SKALD_VERSION_PATCH)
#define SKALD_VERSION_TEXT "0.1.0"

#if defined(__GNUC__)
#define SKALD_API __attribute__((visibility("default")))
#define SKALD_CHECK __attribute__((warn_unused_result))
#define SKALD_UNUSED __attribute__((unused))
#define SKALD_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#error "skald is built with GCC or Clang"
#endif

#ifdef __cplusplus
extern "C" {
#define SKALD_STR(literal) (skald_str{"" literal, sizeof(literal) - 1})
#else
#define SKALD_STR(literal) ((skald_str){"" literal, sizeof(literal) - 1})
#endif

// skald_str is borrowed text, UTF-8. {NULL, 0} means "not given"; {"", 0} is empty text. Print it
// with "%.*s" and SKALD_FMT(str).
typedef struct skald_str {
    const char *ptr;
    size_t len;
} skald_str;

#define SKALD_FMT(str) (int)(str).len, (str).ptr

SKALD_API skald_str skald_str_of(const char *text); // NULL: not given
SKALD_API bool skald_str_equal(skald_str a, skald_str b);

// skald_texts is a borrowed list of texts.
typedef struct skald_texts {
    const skald_str *items;
    size_t count;
} skald_texts;

// Every error of the library: name, worth another attempt?, text.
#define SKALD_ERRORS(X)                                                              \
    X(NOMEM, true, "out of memory")                                                  \
    X(FULL, true, "a stated limit is reached; try again later")                      \
    X(INVALID, false, "an argument, option or input is not valid")                   \
    X(TOOBIG, false, "it is larger than the stated limit")                           \
    X(SCHEMA, false, "the data does not match its schema")                           \
    X(NOTFOUND, false, "no such thing, or it belongs to another tenant")             \
    X(EXISTS, false, "a different thing of that name exists")                        \
    X(CONFLICT, true, "the stream or condition has moved on; load and decide again") \
    X(STATE, false, "the thing is in a state that does not allow this")              \
    X(AUTH, false, "who you are is not known")                                       \
    X(DENIED, false, "you may not do this")                                          \
    X(TIMEOUT, true, "it took longer than allowed")                                  \
    X(UNAVAILABLE, true, "a service, driver or peer does not answer")                \
    X(READONLY, true, "the store takes no writes now: the disk is full or damaged")  \
    X(CORRUPT, false, "stored data is damaged; the error text names the range")      \
    X(UNSUPPORTED, false, "this driver or version cannot do that")                   \
    X(STALE, false, "the id names something that has ended")                         \
    X(HELD, true, "another process holds it")                                        \
    X(CLOSED, false, "shutting down")                                                \
    X(IO, true, "the operating system reports an error")

typedef enum skald_err {
    SKALD_OK = 0,
#define SKALD_ERROR_ENUM(name, retriable, text) SKALD_E##name,
    SKALD_ERRORS(SKALD_ERROR_ENUM)
#undef SKALD_ERROR_ENUM
} skald_err;

SKALD_API bool skald_err_retriable(skald_err err);
SKALD_API const char *skald_err_name(skald_err err); // "CONFLICT"
SKALD_API const char *skald_err_text(skald_err err); // for people

// SKALD_TRY returns from the calling function, which returns skald_err, when expression fails.
#define SKALD_TRY(expression)                \
    do {                                     \
        skald_err skald_try_ = (expression); \
        if (skald_try_) return skald_try_;   \
    } while (0)

// skald_error says more than a code, to people and to problem+json. All text is terminated.
typedef struct skald_error {
    skald_err err;
    char code[32];  // the published one: "INVALID_STATE"; empty: the one that goes with err
    char field[64]; // "lines[2].vatCode" or empty
    char text[416];
    // With CONFLICT: what was expected (0: that it does not exist; UINT64_MAX: that it does), and
    // where it stands.
    uint64_t expected_version, actual_version;
} skald_error;

// skald_fail fills error, which may be NULL, and returns err: return skald_fail(e, SKALD_E...,
// ".."). skald_fail_at also names the field. The text is cut at the size of error->text.
SKALD_API skald_err skald_fail(skald_error *error, skald_err err, const char *format, ...)
    SKALD_PRINTF(3, 4);
SKALD_API skald_err skald_fail_at(skald_error *error, skald_err err, const char *field,
                                  const char *format, ...) SKALD_PRINTF(4, 5);

typedef struct skald_uuid {
    uint8_t bytes[16]; // all zero: not given
} skald_uuid;

typedef int64_t skald_time; // microseconds since 1970-01-01 UTC; 0: not given

enum { SKALD_UUID_TEXT = 36, SKALD_TIME_TEXT = 27 }; // lengths of the printed forms, no NUL counted

SKALD_API bool skald_uuid_given(skald_uuid uuid);
SKALD_API bool skald_uuid_equal(skald_uuid a, skald_uuid b);
// skald_uuid_parse takes the 36 character form, either case. Fails: INVALID.
SKALD_API skald_err skald_uuid_parse(skald_str text, skald_uuid *ret_uuid) SKALD_CHECK;
// skald_uuid_print writes 36 lower case characters and a NUL.
SKALD_API void skald_uuid_print(skald_uuid uuid, char ret_text[SKALD_UUID_TEXT + 1]);
// skald_uuid_named is version 5 (RFC 9562): same in, same out. Out of memory: "not given".
SKALD_API skald_uuid skald_uuid_named(skald_uuid space, skald_str name);

// skald_time_parse takes RFC 3339 with any offset and any number of fraction digits (those beyond
// microseconds are cut). Fails: INVALID. skald_time_print writes "2026-01-02T03:04:05.000006Z".
SKALD_API skald_err skald_time_parse(skald_str text, skald_time *ret_time) SKALD_CHECK;
SKALD_API void skald_time_print(skald_time time, char ret_text[SKALD_TIME_TEXT + 1]);

// skald_clock tells the time; NULL means the system's. Any thread.
typedef struct skald_clock {
    skald_time (*now)(void *context);
    uint64_t (*monotonic_ns)(void *context);
    void *context;
} skald_clock;

// skald_log takes one line; the library writes nowhere else. Any thread; it must not block.
typedef enum skald_level { SKALD_DEBUG, SKALD_INFO, SKALD_WARN, SKALD_ERROR } skald_level;
typedef struct skald_log {
    void (*line)(void *context, skald_level level, skald_str json_line);
    void *context;
    skald_level level_min;
} skald_log;

// skald_arena is memory that goes all at once. Out of it: NULL, or text that is "not given".
typedef struct skald_arena skald_arena;
SKALD_API skald_err skald_arena_new(size_t bytes_max, skald_arena **ret_arena) SKALD_CHECK;
SKALD_API void skald_arena_free(skald_arena *arena);
SKALD_API void skald_arena_reset(skald_arena *arena); // everything got from it is gone; memory is
                                                      // kept
SKALD_API void *skald_arena_get(skald_arena *arena, size_t size); // zeroed, aligned for any type
SKALD_API skald_str skald_arena_copy(skald_arena *arena, skald_str text);
SKALD_API skald_str skald_arena_print(skald_arena *arena, const char *format, ...)
    SKALD_PRINTF(2, 3);

// skald_buf is growing text with a mandatory maximum. Zero it, set bytes_max, end it with fini.
// What does not fit leaves it unchanged.
typedef struct skald_buf {
    char *ptr;
    size_t len, size, bytes_max;
} skald_buf;
SKALD_API skald_err skald_buf_put(skald_buf *buf, skald_str text) SKALD_CHECK; // FULL, NOMEM
SKALD_API void skald_buf_fini(skald_buf *buf);

#ifdef __cplusplus
}
#endif
#endif // SKALD_BASE_H
