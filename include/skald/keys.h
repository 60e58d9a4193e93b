// SPDX-License-Identifier: Apache-2.0
// skald/keys.h - API keys: made, listed and revoked in a store.
//
// A key is shown once, when it is made: "skald_<id>_<secret>". The store keeps its id and a SHA-256
// of its secret. The secret is 256 random bits, so a plain hash is enough: there is nothing to
// guess, and a slow one would only slow down every request.
//
// For a store that no server holds. A running server has its own copy and makes and revokes keys by
// POST and DELETE /api/keys. All functions wait for the disk.
#ifndef SKALD_KEYS_H
#define SKALD_KEYS_H

#include <skald/store.h>

#ifdef __cplusplus
extern "C" {
#endif

// What a key may do, as a set.
enum {
    SKALD_SCOPE_PUBLISH = 1, // "events:publish"
    SKALD_SCOPE_READ = 2,    // "events:read"
    SKALD_SCOPE_ADMIN = 4,   // "admin": both of these too, and everything else
    SKALD_SCOPE_METRICS = 8, // "metrics": GET /metrics alone
};

enum {
    SKALD_KEYS_MAX = 1000,   // of one store, revoked ones included while there is room
    SKALD_KEY_ID_BYTES = 16, // hexadecimal
    SKALD_KEY_NAME_BYTES_MAX = 64,
    SKALD_KEY_PATTERNS_MAX = 32, // types, and streams
};

typedef struct skald_key {
    skald_str id;        // given only
    skald_str name;      // for people
    unsigned scopes;     // at least one
    skald_str tenant;    // what the key is confined to. Not given: the default tenant; with
                         // SKALD_SCOPE_ADMIN every tenant
    skald_texts types;   // all it may see and publish: names, and prefixes as "order.*"; none: any
    skald_texts streams; // names, or categories as "order-*", not both kinds; none: any
    skald_time expires_at;             // 0: never
    skald_time created_at, revoked_at; // given only; revoked_at 0: it is not
    skald_time used_at;                // given only: last, to the hour; 0: never
} skald_key;

// skald_scopes_read reads names between spaces or commas: "events:read,admin". skald_scopes_print
// gives them, static text. Fails: INVALID.
SKALD_API SKALD_CHECK skald_err skald_scopes_read(skald_str text, unsigned *ret_scopes,
                                                  skald_error *reterr_error);
SKALD_API const char *skald_scopes_print(unsigned scopes);

// skald_key_create makes a key of what is asked for, records it as audit.key.created, and gives the
// text that its holder sends; both in arena. Fails: INVALID (the field), FULL (SKALD_KEYS_MAX that
// are not revoked), READONLY, NOMEM, IO.
SKALD_API SKALD_CHECK skald_err skald_key_create(skald_store *store, const skald_key *asked,
                                                 skald_arena *arena, skald_key *ret_key,
                                                 skald_str *ret_text, skald_error *reterr_error);

// skald_keys_list gives all, oldest first, in arena. Fails: CORRUPT, NOMEM, IO.
SKALD_API SKALD_CHECK skald_err skald_keys_list(skald_store *store, skald_arena *arena,
                                                const skald_key **ret_keys, size_t *ret_count,
                                                skald_error *reterr_error);

// skald_key_revoke ends a key for good, and records it as audit.key.revoked. Its entry stays, so
// that a server whose last key was revoked does not open. Again is fine. Fails: NOTFOUND, READONLY,
// NOMEM, IO.
SKALD_API SKALD_CHECK skald_err skald_key_revoke(skald_store *store, skald_str id,
                                                 skald_error *reterr_error);

#ifdef __cplusplus
}
#endif
#endif // SKALD_KEYS_H
