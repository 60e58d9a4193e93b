// SPDX-License-Identifier: Apache-2.0
// server/ask.h - one request and its answer as JSON, for the verbs that show and do things on a
// server.
#ifndef SKALD_SERVER_ASK_H
#define SKALD_SERVER_ASK_H

#include "client.h"

#include <jansson.h>

typedef struct cli_asking {
    const cli_args *args;
    cli_client *client;
    skald_buf path;
    json_t *answer;   // of the last request that was answered with 2xx
    const char *text; // its text; lives until the next
} cli_asking;

// ask_open connects to --url. Not CLI_OK: it said why.
int ask_open(const cli_args *args, cli_asking *ret_asking);
void ask_close(cli_asking *asking);

// ask sends one request. parts make the path and end with NULL: the first, third … as they are, the
// second, fourth … percent-encoded. body NULL: none. Not CLI_OK: it said why.
int ask(cli_asking *asking, const char *method, const char *body, const char *const *parts);

// ask_show prints text so that it cannot move the cursor of a terminal. NULL prints "-".
void ask_show(const char *text);
// ask_text is a member that is a text, ask_whole one that is a number; NULL, 0: it is not there.
const char *ask_text(const json_t *object, const char *name);
long long ask_whole(const json_t *object, const char *name);
const char *ask_time(const json_t *object, const char *name, char ret_text[24]); // to the second

// ask_next gives the nextCursor of the last answer, a text. False: that was the last page.
bool ask_next(const cli_asking *asking, char *ret_cursor, size_t size);

// ask_filter is the filter that --type, --stream, --category and --tenant make, ask_from the place
// that --from names (start, if it was not given), as a pull group's definition has them. NULL: it
// said why.
json_t *ask_filter(const cli_args *args);
json_t *ask_from(const cli_args *args);

// replay_run moves the subscription to where --from-start, --position or --time say.
int replay_run(cli_asking *asking, const char *name);

#endif
