// SPDX-License-Identifier: Apache-2.0
// An event by its id is answered on the loop when its bytes are in memory, else by a worker. Nobody
// can tell which it was: the same status, headers and bytes, in every form. The store is on disk,
// for only that has something to wait for.
#include "api/http_client.h"
#include "os/kernel.h"
#include "store/store.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
// cmocka wants the four above first
#include <cmocka.h>

typedef struct fixture {
    api_world world;
    ski_kernel kernel;
    atomic_uint there; // how often the loop found the bytes in memory
    char directory[64];
} fixture;

// in_memory: whatever was written is still in memory, as far as this kernel says.
static skald_err in_memory(void *context, ski_file *file, void *buf, size_t len, uint64_t offset)
{
    fixture *fix = context;
    size_t got = 0;
    skald_err err = ski_kernel_system.pread(NULL, file, buf, len, offset, &got);

    if (err || got < len) return SKALD_EUNAVAILABLE;
    atomic_fetch_add(&fix->there, 1);
    return SKALD_OK;
}

static int setup(void **state)
{
    static fixture fix;
    char url[80];
    skald_store *store = NULL;

    fix = (fixture){.kernel = ski_kernel_system, .directory = "/tmp/skald_now_XXXXXX"};
    fix.kernel.context = &fix;
    fix.kernel.pread_now = in_memory;
    assert_non_null(mkdtemp(fix.directory));
    (void)snprintf(url, sizeof url, "log:%s", fix.directory);
    assert_int_equal(ski_store_open_on(&fix.kernel, url, NULL, &store, NULL), SKALD_OK);
    api_world_open_over(&fix.world, store);
    *state = &fix;
    return 0;
}

static int path_remove(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status;
    (void)kind;
    (void)at;
    return remove(path);
}

static int teardown(void **state)
{
    fixture *fix = *state;

    api_world_close(&fix->world);
    return nftw(fix->directory, path_remove, 16, FTW_DEPTH | FTW_PHYS);
}

// head_same compares heads but for the Date, which may be a second later.
static void head_same(const char *head, const char *other)
{
    const char *date = strstr(head, "\r\nDate: "), *second = strstr(other, "\r\nDate: ");

    assert_non_null(date);
    assert_non_null(second);
    assert_int_equal(date - head, second - other);
    assert_memory_equal(head, other, (size_t)(date - head));
    assert_string_equal(strstr(date + 2, "\r\n"), strstr(second + 2, "\r\n"));
}

// same_answers asks with the headers on the loop, then with a position to wait for, which only a
// worker may do. The answer stays valid.
static const api_answer *same_answers(fixture *fix, const char *path, const char *headers,
                                      bool given)
{
    static api_answer first;
    static char body[4096];
    char more[256];
    unsigned before = atomic_load(&fix->there);

    first = *api_ask(&fix->world, "GET", path, NULL, (skald_str){0}, headers);
    assert_int_equal(atomic_load(&fix->there), before + given);
    assert_true(first.len < sizeof body);
    memcpy(body, first.body, first.len + 1);
    first.body = body;
    (void)snprintf(more, sizeof more, "%sX-Min-Position: 1\r\n", headers);
    const api_answer *second = api_ask(&fix->world, "GET", path, NULL, (skald_str){0}, more);
    assert_int_equal(atomic_load(&fix->there), before + given); // it was a worker
    assert_int_equal(first.status, second->status);
    assert_int_equal(first.len, second->len);
    assert_memory_equal(first.body, second->body, first.len);
    head_same(first.head, second->head);
    return &first;
}

#define ASKED "X-Correlation-ID: one\r\n" // it is given back; else each answer has none

static void nobody_can_tell(void **state)
{
    fixture *fix = *state;
    const api_answer *answer =
        api_posts(&fix->world, "/api/events",
                  "{\"type\":\"order.created\",\"stream\":\"order-1\",\"priority\":\"high\","
                  "\"correlationId\":\"c\",\"data\":{\"text\":\"\\u00e6 \\n\",\"n\":1.50},"
                  "\"metadata\":{\"k\":\"v\"}}",
                  201);
    const char *id = strstr(answer->body, "\"id\":\"");
    char path[128], matches[128];

    assert_non_null(id);
    (void)snprintf(path, sizeof path, "/api/events/%.36s", id + 6);
    answer = same_answers(fix, path, ASKED, true);
    assert_int_equal(answer->status, 200);
    api_says(answer, "\"data\":{\"text\":\"\\u00e6 \\n\",\"n\":1.50}");
    const char *etag = strstr(answer->head, "ETag: ");
    assert_non_null(etag);
    (void)snprintf(matches, sizeof matches, ASKED "If-None-Match: %.*s\r\n",
                   (int)strcspn(etag + 6, "\r"), etag + 6);
    assert_int_equal(same_answers(fix, path, matches, true)->status, 304);
    answer = same_answers(fix, path, ASKED "Accept: application/cloudevents+json\r\n", true);
    api_says(answer, "\"specversion\":\"1.0\"");
    (void)same_answers(fix, path, ASKED "X-API-Version: 1\r\n", true);
    // What the loop does not answer itself: what is not there, or is asked for in a wrong way.
    assert_int_equal(
        same_answers(fix, "/api/events/0192c1de-0000-7000-8000-000000000009", ASKED, false)->status,
        404);
    assert_int_equal(same_answers(fix, "/api/events/17", ASKED, false)->status, 404);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nobody_can_tell, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
