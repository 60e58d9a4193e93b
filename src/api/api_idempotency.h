// SPDX-License-Identifier: Apache-2.0
// api/api_idempotency.h - Idempotency-Key: a POST that is sent again is answered with the first
// reply, byte for byte, and does nothing a second time.
//
// A request with a key has a replay while it is answered. It belongs to whoever has the request.
#ifndef SKI_API_API_IDEMPOTENCY_H
#define SKI_API_API_IDEMPOTENCY_H

#include "api/api_parts.h"

enum {
    SKI_REPLAY_KEY_BYTES_MAX = 255,
    SKI_REPLAYS_MAX = 32768,                  // keys kept at once; a new one is then refused
    SKI_REPLAY_BODY_BYTES_MAX = 64 * 1024,    // of a reply that is kept whole
    SKI_REPLAYS_BYTES_MAX = 64 * 1024 * 1024, // of all replies kept
    SKI_REPLAY_KEPT_S = 24 * 60 * 60,
};

typedef struct ski_replay ski_replay;

// ski_replays_new reads what is kept in the store. Waits.
skald_err ski_replays_new(ski_api *api, ski_replays **ret_replays) SKALD_CHECK;
void ski_replays_free(ski_replays *replays);

// ski_replay_begin looks at the key of a POST. *ret_answered: the first reply was sent again.
// Fails: INVALID (the key), STATE (its first request is not answered yet), SCHEMA (422: another
// request had the key), FULL.
skald_err ski_replay_begin(ski_http_request *request, bool *ret_answered, skald_error *reterr_error)
    SKALD_CHECK;

// ski_replay_stamp gives events that have none the ids and times they had the first time, and the
// value that goes into their append. False: the request has no key.
bool ski_replay_stamp(ski_http_request *request, skald_event *events, size_t count,
                      skald_store_value *ret_value);

// ski_replay_again: its events may have been stored before the process died.
bool ski_replay_again(const ski_http_request *request);

// ski_replay_end is told of the reply before it is sent, and keeps one of success. It may wait on a
// worker. ski_replay_abandon: the request failed, and may be sent again as if it had not been.
// Without a key both do nothing.
void ski_replay_end(ski_http_request *request, const ski_http_reply *reply);
void ski_replay_abandon(ski_http_request *request);

#endif
