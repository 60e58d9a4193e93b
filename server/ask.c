// SPDX-License-Identifier: Apache-2.0
// One request and its answer as JSON.
#include "ask.h"

#include <stdio.h>
#include <string.h>

enum { path_bytes_max = 8192 };

int ask_open(const cli_args *args, cli_asking *ret_asking)
{
    *ret_asking = (cli_asking){.args = args, .path = {.bytes_max = path_bytes_max}};
    ret_asking->client = client_open(args);
    return ret_asking->client ? CLI_OK : CLI_USAGE;
}

void ask_close(cli_asking *asking)
{
    client_close(asking->client);
    skald_buf_fini(&asking->path);
    json_decref(asking->answer);
}

static bool make_path(cli_asking *asking, const char *const *parts)
{
    bool made = true;

    asking->path.len = 0;
    for (size_t i = 0; parts[i] && made; i++) {
        if (i % 2)
            made = client_escape(asking->client, &asking->path, skald_str_of(parts[i]));
        else
            made = !skald_buf_put(&asking->path, skald_str_of(parts[i]));
    }
    return made && !skald_buf_put(&asking->path, (skald_str){"", 1});
}

int ask(cli_asking *asking, const char *method, const char *body, const char *const *parts)
{
    client_reply reply = {0};

    if (!make_path(asking, parts))
        return cli_fail(CLI_USAGE, "%s: a name is too long", asking->args->verb->name);
    if (!client_ask(asking->client, method, asking->path.ptr, body ? "application/json" : NULL,
                    skald_str_of(body), &reply))
        return client_unreachable(asking->client);
    if (reply.status / 100 != 2) return client_fail(&reply);
    json_decref(asking->answer);
    asking->answer = json_loadb(reply.body, reply.len, 0, NULL);
    asking->text = reply.body;
    if (!asking->answer) return cli_fail(CLI_CANNOT, "the server's answer is not understood");
    return CLI_OK;
}

void ask_show(const char *text)
{
    if (!text) text = "-";
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;

        // A C1 control is two bytes of UTF-8, the first of which is 0xc2.
        if (byte == 0xc2 && (unsigned char)text[1] < 0xa0) byte = '?', text++;
        (void)putchar(byte < ' ' || byte == 0x7f ? '?' : byte);
    }
}

const char *ask_text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

long long ask_whole(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

const char *ask_time(const json_t *object, const char *name, char ret_text[24])
{
    const char *text = ask_text(object, name);

    if (!text) return "-";
    (void)snprintf(ret_text, 24, "%.19sZ", text);
    return ret_text;
}

bool ask_next(const cli_asking *asking, char *ret_cursor, size_t size)
{
    const char *cursor = ask_text(json_object_get(asking->answer, "pagination"), "nextCursor");

    return cursor && (size_t)snprintf(ret_cursor, size, "%s", cursor) < size;
}
