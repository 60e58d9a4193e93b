// SPDX-License-Identifier: Apache-2.0
// api/keys.h - API keys in a store, beside skald/keys.h; and the copy of them that a server asks.
#ifndef SKI_API_KEYS_H
#define SKI_API_KEYS_H

#include "os/thread.h"
#include "store/store.h"
#include <skald/keys.h>

enum {
    SKI_KEY_HASH_BYTES = 32,
    SKI_KEY_SECRET_BYTES = 32,
    SKI_KEY_TEXT_BYTES = 6 + SKALD_KEY_ID_BYTES + 1 + 2 * SKI_KEY_SECRET_BYTES,
};

typedef struct ski_key_record {
    skald_key key;
    uint8_t hash[SKI_KEY_HASH_BYTES]; // SHA-256 of the secret
} ski_key_record;

// ski_key_by is who makes or revokes: the actor of the audit event.
typedef struct ski_key_by {
    skald_str user, role, correlation_id;
} ski_key_by;

// As skald_key_create, skald_keys_list and skald_key_revoke.
skald_err ski_key_make(skald_store *store, const skald_key *asked, const ski_key_by *by,
                       skald_arena *arena, ski_key_record *ret_record, skald_str *ret_text,
                       skald_error *reterr_error) SKALD_CHECK;
skald_err ski_key_records(skald_store *store, skald_arena *arena, ski_key_record **ret_records,
                          size_t *ret_count, skald_error *reterr_error) SKALD_CHECK;
skald_err ski_key_end(skald_store *store, skald_str id, const ski_key_by *by,
                      skald_error *reterr_error) SKALD_CHECK;

// ski_key_check says whether a key may be made so. Fails: INVALID (the field).
skald_err ski_key_check(const skald_key *asked, skald_time now, skald_error *reterr_error)
    SKALD_CHECK;

// ski_key_tenant_right: a key or token may be of this tenant. '/' stands between tenant and name of
// a subscription, and what begins with '$' is the platform's own.
bool ski_key_tenant_right(skald_str tenant);

// ski_key_rules_all: it belongs to no tenant and concerns all of them.
bool ski_key_rules_all(const skald_key *key);

// ski_key_begins: the text means to be a key of ours. ski_key_parse takes one apart; false: it is
// none. ret_hash is made of the secret alone.
bool ski_key_begins(skald_str text);
bool ski_key_parse(skald_str text, skald_str *ret_id, uint8_t ret_hash[SKI_KEY_HASH_BYTES]);

// ski_keys_split gives the streams of a key as names or as categories, whichever they are, in
// arena. Fails: NOMEM.
skald_err ski_keys_split(skald_texts streams, skald_arena *arena, skald_texts *ret_names,
                         skald_texts *ret_categories) SKALD_CHECK;

// ski_keys is a server's copy. Any thread; nothing here waits for the disk but load.
typedef struct ski_keys ski_keys;
skald_err ski_keys_load(skald_store *store, ski_keys **ret_keys, skald_error *reterr_error)
    SKALD_CHECK;
void ski_keys_free(ski_keys *keys);
bool ski_keys_any(ski_keys *keys);                   // there is one, revoked or not
bool ski_keys_valid(ski_keys *keys, skald_time now); // there is one that lets somebody in
// ski_keys_reload reads the store again. Waits.
skald_err ski_keys_reload(ski_keys *keys, skald_error *reterr_error) SKALD_CHECK;

// ski_keys_find gives the key that text is, in arena and without its name, and notes that it was
// used; ret_who: "key:" and its id. Fails: AUTH (none, or it is revoked or expired), NOMEM.
skald_err ski_keys_find(ski_keys *keys, skald_str text, skald_time now, skald_arena *arena,
                        skald_key *ret_key, skald_str *ret_who, skald_error *reterr_error)
    SKALD_CHECK;
// ski_keys_still: a key that was found is neither revoked nor expired by now.
bool ski_keys_still(ski_keys *keys, skald_str id, skald_time now);
// ski_keys_used_at is when a key was used last, as far as it is known; 0: never.
skald_time ski_keys_used_at(ski_keys *keys, skald_str id);

#endif
