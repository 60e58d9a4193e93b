// SPDX-License-Identifier: Apache-2.0
// Asking a running server, by libcurl: one handle, so its connection is kept.
#include "client.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { reply_bytes_max = 128 * 1024 * 1024, url_bytes_max = 16 * 1024 };

struct cli_client {
    CURL *curl;
    char base[512];
    char shown[512]; // base without what may be a password
    char problem[CURL_ERROR_SIZE];
    skald_buf reply;
    skald_buf url;
};

cli_client *client_open(const cli_args *args)
{
    const char *url = cli_get(args, "url");
    cli_client *client;
    size_t len;

    if (!url) url = "http://127.0.0.1:8000";
    len = strlen(url);
    while (len && url[len - 1] == '/') len--;
    if (len >= sizeof client->base ||
        (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)) {
        char shown[sizeof client->base];
        skald_url_shown(url, shown, sizeof shown);
        (void)cli_fail(CLI_USAGE, "--url is '%s' but must be like http://127.0.0.1:8000",
                       strchr(url, '@') ? shown : url);
        return NULL;
    }
    client = calloc(1, sizeof *client);
    if (client && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
        client->curl = curl_easy_init();
    if (!client || !client->curl) {
        (void)cli_fail(CLI_CANNOT, "out of memory");
        free(client);
        return NULL;
    }
    memcpy(client->base, url, len);
    if (strchr(client->base, '@'))
        skald_url_shown(client->base, client->shown, sizeof client->shown);
    else
        memcpy(client->shown, client->base, sizeof client->shown);
    client->reply.bytes_max = reply_bytes_max;
    client->url.bytes_max = url_bytes_max;
    return client;
}

void client_close(cli_client *client)
{
    if (!client) return;
    curl_easy_cleanup(client->curl);
    curl_global_cleanup();
    skald_buf_fini(&client->reply);
    skald_buf_fini(&client->url);
    free(client);
}

const char *client_url(const cli_client *client)
{
    return client->shown;
}

const char *client_problem(const cli_client *client)
{
    return client->problem[0] ? client->problem : "no answer";
}

static bool put_z(skald_buf *buf, const char *text)
{
    return !skald_buf_put(buf, skald_str_of(text));
}

bool client_escape(cli_client *client, skald_buf *buf, skald_str text)
{
    char *escaped = curl_easy_escape(client->curl, text.len ? text.ptr : "", (int)text.len);
    bool done = escaped && put_z(buf, escaped);

    curl_free(escaped);
    return done;
}

bool client_query(cli_client *client, skald_buf *path, const char *name, const char *value)
{
    bool first = !path->len || !memchr(path->ptr, '?', path->len);

    return put_z(path, first ? "?" : "&") && put_z(path, name) && put_z(path, "=") &&
           client_escape(client, path, skald_str_of(value));
}

// prepare sets what all requests have in common.
static bool prepare(cli_client *client, const char *method, const char *path)
{
    CURL *curl = client->curl;

    client->url.len = 0;
    client->problem[0] = 0;
    if (!put_z(&client->url, client->base) || !put_z(&client->url, path) ||
        skald_buf_put(&client->url, (skald_str){"", 1})) {
        return false;
    }
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, client->url.ptr);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->problem);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "skald/" SKALD_VERSION_TEXT);
    // Not an option: what stands on a command line, everybody on the machine can read.
    const char *key = getenv("SKALD_API_KEY");

    if (key && key[0]) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, key);
    }
    return true;
}

static size_t keep_bytes(char *bytes, size_t size, size_t count, void *context)
{
    cli_client *client = context;

    return skald_buf_put(&client->reply, (skald_str){bytes, size * count}) ? 0 : size * count;
}

bool client_ask(cli_client *client, const char *method, const char *path, const char *content_type,
                skald_str body, client_reply *ret_reply)
{
    struct curl_slist *headers = NULL;
    char header[128];
    CURLcode code;

    if (!prepare(client, method, path)) return false;
    client->reply.len = 0;
    if (content_type) {
        (void)snprintf(header, sizeof header, "Content-Type: %s", content_type);
        headers = curl_slist_append(headers, header);
        curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, body.ptr);
        curl_easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
    }
    headers = curl_slist_append(headers, "Expect:");
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, keep_bytes);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, client);
    curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, 120000L);
    code = curl_easy_perform(client->curl);
    curl_slist_free_all(headers);
    if (code != CURLE_OK || skald_buf_put(&client->reply, (skald_str){"", 1})) return false;
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &ret_reply->status);
    ret_reply->body = client->reply.ptr;
    ret_reply->len = client->reply.len - 1;
    return true;
}

typedef struct streaming {
    cli_client *client;
    bool (*taken)(void *context, skald_str bytes);
    bool (*stopping)(void);
    void *context;
} streaming;

static size_t pass_bytes(char *bytes, size_t size, size_t count, void *context)
{
    streaming *stream = context;
    long status = 0;

    curl_easy_getinfo(stream->client->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) return keep_bytes(bytes, size, count, stream->client);
    return stream->taken(stream->context, (skald_str){bytes, size * count}) ? size * count : 0;
}

static int ask_stopping(void *context, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
                        curl_off_t up)
{
    const streaming *stream = context;

    (void)down_all, (void)down, (void)up_all, (void)up;
    return stream->stopping(); // not 0 ends the transfer
}

bool client_stream(cli_client *client, const char *path, const char *last_id,
                   bool (*taken)(void *context, skald_str bytes), bool (*stopping)(void),
                   void *context, long *ret_status)
{
    streaming stream = {.client = client, .taken = taken, .stopping = stopping, .context = context};
    struct curl_slist *headers = NULL;
    char header[128];
    CURLcode code;

    *ret_status = 0;
    if (!prepare(client, "GET", path)) return false;
    client->reply.len = 0;
    if (last_id[0]) {
        (void)snprintf(header, sizeof header, "Last-Event-ID: %s", last_id);
        headers = curl_slist_append(headers, header);
    }
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, pass_bytes);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &stream);
    curl_easy_setopt(client->curl, CURLOPT_XFERINFOFUNCTION, ask_stopping);
    curl_easy_setopt(client->curl, CURLOPT_XFERINFODATA, &stream);
    curl_easy_setopt(client->curl, CURLOPT_NOPROGRESS, 0L);
    // The server sends a heartbeat every 15 s: a minute of silence is a dead connection.
    curl_easy_setopt(client->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(client->curl, CURLOPT_LOW_SPEED_TIME, 60L);
    code = curl_easy_perform(client->curl);
    curl_slist_free_all(headers);
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, ret_status);
    return code == CURLE_OK || code == CURLE_WRITE_ERROR || code == CURLE_ABORTED_BY_CALLBACK;
}

void client_last(const cli_client *client, client_reply *ret_reply)
{
    ret_reply->body = client->reply.ptr ? client->reply.ptr : "";
    ret_reply->len = client->reply.len;
}

int client_unreachable(const cli_client *client)
{
    return cli_fail(CLI_CANNOT, "no server answers at %s (%s); start one with: skald serve",
                    client->shown, client_problem(client));
}

int client_fail(const client_reply *reply)
{
    json_t *problem = json_loadb(reply->body, reply->len, 0, NULL);
    json_t *first = json_array_get(json_object_get(problem, "errors"), 0);
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    const char *field = json_string_value(json_object_get(first, "field"));
    int exit = reply->status == 400 || reply->status == 422 || reply->status == 413 ? CLI_USAGE
                                                                                    : CLI_CANNOT;

    if (reply->status == 409 || reply->status == 404) exit = CLI_NO;
    if (detail && field && field[0] && strncmp(detail, field, strlen(field)) != 0)
        (void)cli_fail(exit, "%s: %s (%ld)", field, detail, reply->status);
    else if (detail)
        (void)cli_fail(exit, "%s (%ld)", detail, reply->status);
    else
        (void)cli_fail(exit, "the server answers %ld", reply->status);
    json_decref(problem);
    return exit;
}

const char *client_value_end(const char *at, const char *end)
{
    int depth = 0;
    bool quoted = false;

    for (; at < end; at++) {
        if (quoted) {
            if (*at == '\\')
                at++;
            else if (*at == '"')
                quoted = false;
        } else if (*at == '"') {
            quoted = true;
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']') {
            if (--depth == 0) return at + 1;
        }
    }
    return NULL;
}
