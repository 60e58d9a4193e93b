// SPDX-License-Identifier: Apache-2.0
// api/api_auth_cache.h - tokens that were verified, so that whoever comes with one again is known
// without another signature being checked. Belongs to the loop.
#ifndef SKI_API_API_AUTH_CACHE_H
#define SKI_API_API_AUTH_CACHE_H

#include "api/api_auth_sight.h"

typedef struct ski_token_cache ski_token_cache;

enum { SKI_TOKENS_KNOWN_MAX = 4096 }; // at once; then one that was not used for long is forgotten

skald_err ski_token_cache_new(ski_token_cache **ret_cache) SKALD_CHECK;
void ski_token_cache_free(ski_token_cache *cache);
// ski_token_cache_find gives, in arena, who came with the very same token before. False: nobody,
// the token has expired meanwhile, the clock went back, or there is no memory.
bool ski_token_cache_find(ski_token_cache *cache, skald_str token, skald_time now,
                          skald_arena *arena, ski_identity *ret_identity);
// ski_token_cache_put keeps one that was verified at now; without memory it is not kept. Only what
// a token says is: a narrowed identity is none.
void ski_token_cache_put(ski_token_cache *cache, skald_str token, skald_time now,
                         const ski_identity *identity);
// ski_token_cache_clear forgets all: what they were verified with is not there any more.
void ski_token_cache_clear(ski_token_cache *cache);
uint32_t ski_token_cache_count(const ski_token_cache *cache);

#endif
