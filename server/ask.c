// SPDX-License-Identifier: Apache-2.0
// One request and its answer as JSON.
#include "ask.h"

#include <stdio.h>
#include <stdlib.h>
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

    for (size_t i = 0; parts[i]; i++) {
        if (i % 2 && !parts[i][0])
            return cli_fail(CLI_USAGE, "%s: a name is empty", asking->args->verb->name);
    }
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

static bool texts_add(const cli_args *args, const char *option, const char *member, json_t *filter)
{
    json_t *texts = json_array();
    const char *value;

    for (int n = 0; (value = cli_each(args, option, n)); n++) {
        if (json_array_append_new(texts, json_string(value))) {
            json_decref(texts);
            return false;
        }
    }
    if (json_array_size(texts)) return json_object_set_new(filter, member, texts) == 0;
    json_decref(texts);
    return true;
}

json_t *ask_filter(const cli_args *args)
{
    const char *tenant = cli_get(args, "tenant");
    json_t *filter = json_object();

    if (filter && texts_add(args, "type", "types", filter) &&
        texts_add(args, "stream", "streams", filter) &&
        texts_add(args, "category", "categories", filter) &&
        (!tenant || json_object_set_new(filter, "tenantId", json_string(tenant)) == 0))
        return filter;
    json_decref(filter);
    (void)cli_fail(CLI_USAGE, "%s: the filter is not UTF-8", args->verb->name);
    return NULL;
}

json_t *ask_from(const cli_args *args)
{
    const char *from = cli_get(args, "from");

    if (!from || strcmp(from, "start") == 0 || strcmp(from, "end") == 0)
        return json_string(from ? from : "start");
    if (*from && !from[strspn(from, "0123456789")] && strlen(from) < 19)
        return json_integer((json_int_t)strtoull(from, NULL, 10));
    (void)cli_fail(CLI_USAGE, "%s: --from is '%s' but must be start, end or a position",
                   args->verb->name, from);
    return NULL;
}
