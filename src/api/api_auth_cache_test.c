// SPDX-License-Identifier: Apache-2.0
// Verified tokens: known again whole, never beyond their end, and never more than so many.
#include "api/api_auth_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
// cmocka wants those above first
#include <cmocka.h>

enum { now = 1000000 };

typedef struct rig {
    ski_token_cache *cache;
    skald_arena *arena;
} rig;

static int setup(void **state)
{
    static rig on;

    assert_int_equal(ski_token_cache_new(&on.cache), SKALD_OK);
    assert_int_equal(skald_arena_new(1 << 20, &on.arena), SKALD_OK);
    *state = &on;
    return 0;
}

static int teardown(void **state)
{
    rig *on = *state;

    ski_token_cache_free(on->cache);
    skald_arena_free(on->arena);
    return 0;
}

static bool knows(rig *on, const char *token, skald_time at, ski_identity *ret_identity)
{
    ski_identity ignored;

    return ski_token_cache_find(on->cache, skald_str_of(token), at, on->arena,
                                ret_identity ? ret_identity : &ignored);
}

static void put(rig *on, const char *token, skald_time expires_at)
{
    const ski_identity identity = {
        .id = SKALD_STR("jwt:acme:u7"),
        .scopes = SKALD_SCOPE_READ,
        .tenant = SKALD_STR("acme"),
        .user = SKALD_STR("u7"),
        .expires_at = expires_at,
    };

    ski_token_cache_put(on->cache, skald_str_of(token), now, &identity);
}

static void gives_back_who_it_was(void **state)
{
    const ski_identity all = {.scopes = SKALD_SCOPE_ADMIN, .everywhere = true};
    ski_identity found = {0};
    rig *on = *state;

    put(on, "aaa.bbb.ccc", 0);
    assert_true(knows(on, "aaa.bbb.ccc", now, &found));
    assert_memory_equal(found.id.ptr, "jwt:acme:u7", found.id.len);
    assert_true(skald_str_equal(found.tenant, SKALD_STR("acme")));
    assert_true(skald_str_equal(found.user, SKALD_STR("u7")));
    assert_null(found.role.ptr); // not given is not empty
    assert_int_equal(found.scopes, SKALD_SCOPE_READ);
    assert_false(found.everywhere);
    ski_token_cache_put(on->cache, SKALD_STR("all"), now, &all);
    assert_true(knows(on, "all", now, &found));
    assert_true(found.everywhere);
    assert_null(found.tenant.ptr);
    // It outlives the place it came from.
    ski_token_cache_clear(on->cache);
    assert_int_equal(ski_token_cache_count(on->cache), 0);
    assert_false(knows(on, "all", now, NULL));
}

static void another_token_is_another(void **state)
{
    rig *on = *state;

    put(on, "aaa.bbb.ccc", 0);
    assert_false(knows(on, "aaa.bbb.ccd", now, NULL));
    assert_false(knows(on, "aaa.bbb.cc", now, NULL));
    assert_false(knows(on, "aaa.bbb.cccc", now, NULL));
    assert_false(knows(on, "", now, NULL));
}

static void an_end_is_an_end(void **state)
{
    rig *on = *state;

    put(on, "a", now + 1000);
    assert_true(knows(on, "a", now + 999, NULL));
    assert_false(knows(on, "a", now + 1000, NULL));
    assert_int_equal(ski_token_cache_count(on->cache), 0); // and it takes no room
    // A clock that goes back: what was in order then may not have been so before.
    put(on, "b", now + 1000);
    assert_false(knows(on, "b", now - 1, NULL));
}

static void only_so_many_are_known(void **state)
{
    char token[32];
    rig *on = *state;

    put(on, "mine", 0);
    for (int i = 0; i < 3 * SKI_TOKENS_KNOWN_MAX; i++) {
        (void)snprintf(token, sizeof token, "token-%d", i);
        put(on, token, 0);
        put(on, token, 0);                         // again is not twice
        assert_true(knows(on, "mine", now, NULL)); // what is used stays
        skald_arena_reset(on->arena);
    }
    assert_true(ski_token_cache_count(on->cache) <= SKI_TOKENS_KNOWN_MAX);
    assert_true(ski_token_cache_count(on->cache) > SKI_TOKENS_KNOWN_MAX / 2);
    assert_true(knows(on, token, now, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(gives_back_who_it_was, setup, teardown),
        cmocka_unit_test_setup_teardown(another_token_is_another, setup, teardown),
        cmocka_unit_test_setup_teardown(an_end_is_an_end, setup, teardown),
        cmocka_unit_test_setup_teardown(only_so_many_are_known, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
