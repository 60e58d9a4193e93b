// SPDX-License-Identifier: Apache-2.0
// server/client.h - asking a running server, by libcurl. A client belongs to one thread; open and
// close them while no other thread uses one.
#ifndef SKALD_SERVER_CLIENT_H
#define SKALD_SERVER_CLIENT_H

#include "cli.h"

typedef struct cli_client cli_client;

// client_open takes --url of args, or the default. NULL: it said why.
cli_client *client_open(const cli_args *args);
void client_close(cli_client *client);
const char *client_url(const cli_client *client);

// client_reply is an answer; body is terminated and lives until the next call.
typedef struct client_reply {
    long status;
    const char *body;
    size_t len;
} client_reply;

// client_ask sends one request; content_type NULL: no body. The result says whether an answer came
// at all; client_problem says why not.
bool client_ask(cli_client *client, const char *method, const char *path, const char *content_type,
                skald_str body, client_reply *ret_reply);
const char *client_problem(const cli_client *client);

// client_stream reads a reply as it comes: taken is called with each piece, until it returns false,
// stopping (asked about once a second) returns true, or the reply ends. last_id, if not empty, is
// sent as Last-Event-ID. ret_status: 0 when no answer came.
bool client_stream(cli_client *client, const char *path, const char *last_id,
                   bool (*taken)(void *context, skald_str bytes), bool (*stopping)(void),
                   void *context, long *ret_status);

// client_value_end gives the end of the JSON object or array at at, in text a server sent; NULL if
// it has none before end.
const char *client_value_end(const char *at, const char *end);

// client_last gives the body of the last reply again, as after a stream that was refused.
void client_last(const cli_client *client, client_reply *ret_reply);

// client_escape appends text percent-encoded.
bool client_escape(cli_client *client, skald_buf *buf, skald_str text);

// client_fail says what a reply that is not 2xx means; client_unreachable that there was none.
int client_fail(const client_reply *reply);
int client_unreachable(const cli_client *client);

// client_query appends "name=value" of a query string, encoded, with '?' or '&' before it.
bool client_query(cli_client *client, skald_buf *path, const char *name, const char *value);

#endif
