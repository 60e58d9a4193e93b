// SPDX-License-Identifier: Apache-2.0
// Verified tokens. Checking a signature costs the loop 26 (RS256), 76 (ES256) or 150 (Ed25519)
// microseconds, the hash of a token less than one.
//
// Invariants:
//   1. A token is known by the SHA-256 of all its bytes, signature included: one that differs in a
//   bit is another. Only what was verified is put in, so nobody fills it with what they made up.
//   2. What holds of a token only for a time is looked at each time: it is not given beyond its
//   end, nor before the time it was verified at.
//   3. A set has four places. A new one takes that which was used longest ago; the table never
//   grows.
#include "api/api_auth_cache.h"
#include "base/alloc.h"
#include "base/str.h"

#include <assert.h>
#include <openssl/sha.h>
#include <string.h>

enum { ways = 4, sets = SKI_TOKENS_KNOWN_MAX / ways };

typedef struct known_token {
    uint8_t digest[SHA256_DIGEST_LENGTH];
    char *text; // that its identity points into; NULL: the place is free
    size_t text_bytes;
    ski_identity identity;
    skald_time verified_at;
    uint64_t used; // by the cache's count of uses
} known_token;

struct ski_token_cache {
    uint64_t uses;
    uint32_t count;
    known_token tokens[sets][ways];
};

// The texts of an identity that is a token's.
enum { texts_max = 5 };
static void texts_of(ski_identity *identity, skald_str *ret_texts[texts_max])
{
    ret_texts[0] = &identity->id;
    ret_texts[1] = &identity->key_id;
    ret_texts[2] = &identity->tenant;
    ret_texts[3] = &identity->user;
    ret_texts[4] = &identity->role;
}

// texts_move makes the identity borrow from to, where its texts are copied to one after the other.
static void texts_move(ski_identity *identity, char *to)
{
    skald_str *texts[texts_max];

    texts_of(identity, texts);
    for (size_t i = 0; i < texts_max; i++) {
        if (!texts[i]->ptr) continue; // not given is not empty
        if (texts[i]->len) memcpy(to, texts[i]->ptr, texts[i]->len);
        texts[i]->ptr = to;
        to += texts[i]->len;
    }
}

static size_t texts_bytes(const ski_identity *identity)
{
    return 1 + identity->id.len + identity->key_id.len + identity->tenant.len + identity->user.len +
           identity->role.len;
}

skald_err ski_token_cache_new(ski_token_cache **ret_cache)
{
    ski_token_cache *cache = ski_alloc_zeroed(1, sizeof *cache);

    if (!cache) return SKALD_ENOMEM;
    *ret_cache = cache;
    return SKALD_OK;
}

static void forget(ski_token_cache *cache, known_token *token)
{
    if (!token->text) return;
    ski_free(token->text);
    *token = (known_token){.text = NULL};
    cache->count--;
}

void ski_token_cache_clear(ski_token_cache *cache)
{
    for (size_t set = 0; set < sets; set++)
        for (size_t way = 0; way < ways; way++) forget(cache, &cache->tokens[set][way]);
}

void ski_token_cache_free(ski_token_cache *cache)
{
    if (!cache) return;
    ski_token_cache_clear(cache);
    ski_free(cache);
}

static known_token *set_of(ski_token_cache *cache, const uint8_t *digest)
{
    return cache->tokens[(digest[0] | digest[1] << 8) % sets];
}

static known_token *find(ski_token_cache *cache, const uint8_t *digest)
{
    known_token *set = set_of(cache, digest);

    for (size_t way = 0; way < ways; way++)
        if (set[way].text && memcmp(set[way].digest, digest, SHA256_DIGEST_LENGTH) == 0)
            return &set[way];
    return NULL;
}

bool ski_token_cache_find(ski_token_cache *cache, skald_str token, skald_time now,
                          skald_arena *arena, ski_identity *ret_identity)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    known_token *known;
    char *text;

    if (!SHA256((const uint8_t *)token.ptr, token.len, digest)) return false;
    known = find(cache, digest);
    if (!known) return false;
    if (now < known->verified_at ||
        (known->identity.expires_at && known->identity.expires_at <= now)) {
        forget(cache, known);
        return false;
    }
    text = skald_arena_get(arena, known->text_bytes);
    if (!text) return false;
    known->used = ++cache->uses;
    *ret_identity = known->identity;
    texts_move(ret_identity, text);
    return true;
}

void ski_token_cache_put(ski_token_cache *cache, skald_str token, skald_time now,
                         const ski_identity *identity)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    known_token *set, *to;
    char *text;

    assert(!ski_identity_narrowed(identity));
    if (!SHA256((const uint8_t *)token.ptr, token.len, digest)) return;
    text = ski_alloc(texts_bytes(identity));
    if (!text) return;
    set = set_of(cache, digest);
    to = find(cache, digest);
    for (size_t way = 0; way < ways && !to; way++)
        if (!set[way].text) to = &set[way];
    if (!to) {
        to = set;
        for (size_t way = 1; way < ways; way++)
            if (set[way].used < to->used) to = &set[way];
    }
    forget(cache, to);
    *to = (known_token){.text = text,
                        .text_bytes = texts_bytes(identity),
                        .identity = *identity,
                        .verified_at = now,
                        .used = ++cache->uses};
    memcpy(to->digest, digest, sizeof digest);
    texts_move(&to->identity, text);
    cache->count++;
}

uint32_t ski_token_cache_count(const ski_token_cache *cache)
{
    return cache->count;
}
