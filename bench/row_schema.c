// SPDX-License-Identifier: Apache-2.0
// schema_validate: GitHub's example webhooks, from their text, against GitHub's published schemas;
// the peer is ajv. Both read the same files, one thread each, and have to take the same payloads.
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { rounds = 3, schemas_max = 128, payloads_max = 1024, path_max = 4096 + 64 };
static const double round_s = 2;

typedef struct payload {
    const skald_schema *schema;
    skald_json text;
} payload;

typedef struct corpus {
    skald_schema *schemas[schemas_max];
    payload payloads[payloads_max];
    size_t schema_count, payload_count;
    char *schema_text, *payload_text; // the files
} corpus;

// read_file gives a whole file with a zero behind it; NULL: it cannot be read.
static char *read_file(const char *folder, const char *name, size_t *ret_len)
{
    char path[path_max];
    char *text = NULL;
    long len;
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "r");
    if (!file) return NULL;
    (void)fseek(file, 0, SEEK_END);
    len = ftell(file);
    rewind(file);
    if (len > 0) text = calloc(1, (size_t)len + 1); // style: a program's own
    if (text && fread(text, 1, (size_t)len, file) != (size_t)len) {
        free(text);
        text = NULL;
    }
    (void)fclose(file);
    *ret_len = (size_t)len;
    return text;
}

// next_line cuts the next line off the text at *at; NULL: there is none.
static char *next_line(char **at, const char *end, size_t *ret_len)
{
    char *line = *at;
    char *newline = line < end ? memchr(line, '\n', (size_t)(end - line)) : NULL;

    if (!newline) return NULL;
    *ret_len = (size_t)(newline - line);
    *at = newline + 1;
    return line;
}

static bool load_schemas(corpus *all, const char *folder)
{
    size_t len = 0;
    size_t line_len = 0;
    char *at = all->schema_text = read_file(folder, "schemas.ndjson", &len);
    char *end = at ? at + len : NULL;
    char *line;

    while (at && (line = next_line(&at, end, &line_len)) && all->schema_count < schemas_max) {
        skald_error error = {0};
        skald_json text = {line, line_len};

        if (skald_schema_compile(text, NULL, &all->schemas[all->schema_count], &error)) {
            bench_note("schema %zu: %s", all->schema_count, error.text);
            return false;
        }
        all->schema_count++;
    }
    return all->schema_count > 0;
}

static bool load_payloads(corpus *all, const char *folder)
{
    size_t len = 0;
    size_t line_len = 0;
    char *at = all->payload_text = read_file(folder, "payloads.ndjson", &len);
    char *end = at ? at + len : NULL;
    char *line;

    while (at && (line = next_line(&at, end, &line_len)) && all->payload_count < payloads_max) {
        char *tab = NULL;
        unsigned long schema = strtoul(line, &tab, 10);

        if (schema >= all->schema_count || *tab != '\t') return false;
        all->payloads[all->payload_count++] = (payload){
            .schema = all->schemas[schema],
            .text = {tab + 1, line_len - (size_t)(tab + 1 - line)},
        };
    }
    return all->payload_count > 0;
}

static void unload(corpus *all)
{
    for (size_t i = 0; i < all->schema_count; i++) skald_schema_free(all->schemas[i]);
    free(all->schema_text);
    free(all->payload_text);
}

// check_all gives how many payloads are taken.
static size_t check_all(const corpus *all)
{
    size_t taken = 0;

    for (size_t i = 0; i < all->payload_count; i++)
        taken += skald_schema_check(all->payloads[i].schema, all->payloads[i].text, NULL) == 0;
    return taken;
}

static double run_ours(const corpus *all, size_t *ret_taken)
{
    double began = bench_now_s();
    double took;
    size_t count = 0;

    do {
        *ret_taken = check_all(all);
        count += all->payload_count;
        took = bench_now_s() - began;
    } while (took < round_s);
    return (double)count / took;
}

// run_node runs a program of bench/peers to its end.
static bool run_node(const char *folder, const char *name, const char *argument)
{
    char script[path_max];
    int status = -1;
    int process;

    (void)snprintf(script, sizeof script, "%s/bench/peers/%s", bench_root(), name);
    const char *argv[] = {"node", script, folder, argument, NULL};
    process = bench_start(folder, argv);
    if (process && waitpid(process, &status, 0) == process && status == 0) return true;
    bench_note("node %s does not run; make bench-deps installs what it needs", name);
    return false;
}

static double run_ajv(const char *folder, size_t *ret_taken)
{
    char seconds[16];
    size_t len = 0;
    double rate = -1;
    char *out;
    char *end = NULL;

    (void)snprintf(seconds, sizeof seconds, "%g", round_s);
    if (!run_node(folder, "ajv.mjs", seconds)) return -1;
    out = read_file(folder, "out", &len);
    if (!out) return -1;
    rate = strtod(out, &end);
    *ret_taken = strtoul(end, NULL, 10);
    free(out);
    return rate;
}

static bool measure(const corpus *all, const char *folder, bench_result *ret_result)
{
    double ours[rounds];
    double peer[rounds];
    size_t taken = 0;
    size_t peer_taken = 0;

    for (int i = 0; i < rounds; i++) {
        ours[i] = run_ours(all, &taken);
        peer[i] = run_ajv(folder, &peer_taken);
        if (peer[i] <= 0) return false;
        bench_note("skald %.0f/s, ajv %.0f/s; %zu of %zu are valid", ours[i], peer[i], taken,
                   all->payload_count);
        if (taken != peer_taken) {
            bench_note("ajv says that %zu are", peer_taken);
            return false;
        }
    }
    *ret_result = (bench_result){.unit = "documents/s",
                                 .peer_name = "ajv",
                                 .ours = bench_median(ours, rounds),
                                 .peer = bench_median(peer, rounds)};
    return true;
}

static bool run(bench_result *ret_result)
{
    const char *folder = bench_folder();
    corpus *all = calloc(1, sizeof *all); // style: a program's own
    bool done = all && folder && run_node(folder, "webhooks.mjs", NULL) &&
                load_schemas(all, folder) && load_payloads(all, folder) &&
                measure(all, folder, ret_result);

    if (all) unload(all);
    free(all);
    return done;
}

const bench_row row_schema_validate = {
    .name = "schema_validate",
    .what = "GitHub's webhooks against their schemas, from text; against ajv",
    .run = run,
};
