// SPDX-License-Identifier: Apache-2.0
// JSON-Schema-Test-Suite, draft 2020-12: every required case. Its folder is found by SKALD_VECTORS
// or beside the sources; where it is not, the test is skipped.
#include "base/buf.h"
#include "event/schema/doc.h"

#include <dirent.h>
#include <setjmp.h>
#include <skald/schema.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h> // behind the headers it needs

enum { files_max = 256, path_max = 1024 };

typedef struct suite {
    skald_schema_document remotes[files_max];
    size_t remote_count;
    skald_arena *arena;
    unsigned passed, failed;
} suite;

static skald_str read_file(skald_arena *arena, const char *path)
{
    FILE *file = fopen(path, "rb");
    long len;
    char *text;

    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    len = ftell(file);
    rewind(file);
    text = skald_arena_get(arena, (size_t)len + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)len, file), len);
    (void)fclose(file);
    return (skald_str){text, (size_t)len};
}

static bool ends(const char *name, const char *with)
{
    size_t len = strlen(name), end = strlen(with);

    return len >= end && strcmp(name + len - end, with) == 0;
}

static void read_remotes(suite *in, const char *folder, const char *uri)
{
    DIR *dir = opendir(folder);
    char path[path_max], name[path_max];

    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        struct stat stat_of;

        if (entry->d_name[0] == '.') continue;
        assert_true((size_t)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) <
                    sizeof path);
        assert_true((size_t)snprintf(name, sizeof name, "%s/%s", uri, entry->d_name) < sizeof name);
        assert_int_equal(stat(path, &stat_of), 0);
        if (S_ISDIR(stat_of.st_mode)) {
            read_remotes(in, path, name);
        } else if (ends(name, ".json")) {
            assert_true(in->remote_count < files_max);
            in->remotes[in->remote_count++] =
                (skald_schema_document){skald_arena_copy(in->arena, skald_str_of(name)),
                                        read_file(in->arena, path)};
        }
    }
    (void)closedir(dir);
}

static ski_json_item member(skald_str object, const char *name)
{
    ski_json_walk walk = {.rest = object};
    ski_json_item item;

    while (ski_json_next(&walk, &item))
        if (skald_str_equal(item.key, skald_str_of(name))) return item;
    return (ski_json_item){0};
}

static void run_case(suite *in, const skald_schema *schema, const char *file, skald_str group,
                     skald_str test)
{
    skald_str name = member(test, "description").value, data = member(test, "data").value;
    bool valid = member(test, "valid").kind == SKI_JSON_TRUE;
    skald_error error = {0};
    skald_err err = skald_schema_check(schema, data, &error);

    if (err == (valid ? SKALD_OK : SKALD_ESCHEMA)) {
        in->passed++;
        return;
    }
    in->failed++;
    print_error("%s: %.*s: %.*s: must be %s; %s %s\n", file, SKALD_FMT(group), SKALD_FMT(name),
                valid ? "valid" : "invalid", err ? skald_err_name(err) : "OK", error.text);
}

static void run_group(suite *in, const char *file, skald_str group)
{
    skald_schema_options options = {.documents = in->remotes, .document_count = in->remote_count};
    skald_str name = member(group, "description").value;
    ski_json_walk walk = {.rest = member(group, "tests").value};
    skald_schema *schema = NULL;
    skald_error error = {0};
    ski_json_item test;

    if (skald_schema_compile(member(group, "schema").value, &options, &schema, &error)) {
        print_error("%s: %.*s: %s\n", file, SKALD_FMT(name), error.text);
        while (ski_json_next(&walk, &test)) in->failed++;
        return;
    }
    while (ski_json_next(&walk, &test)) run_case(in, schema, file, name, test.value);
    skald_schema_free(schema);
}

static void every_required_case_passes(void **state)
{
    const char *vectors = getenv("SKALD_VECTORS");
    suite in = {0};
    char base[path_max], path[path_max * 2];
    DIR *dir;

    (void)state;
    (void)snprintf(base, sizeof base, "%s/json-schema",
                   vectors ? vectors : SKALD_SOURCE_DIR "/../shared/vectors");
    (void)snprintf(path, sizeof path, "%s/tests/draft2020-12", base);
    dir = opendir(path);
    if (!dir) {
        print_message("SKIPPED: there is no %s; set SKALD_VECTORS\n", path);
        skip();
    }
    assert_int_equal(skald_arena_new(64 << 20, &in.arena), SKALD_OK);
    (void)snprintf(path, sizeof path, "%s/remotes", base);
    read_remotes(&in, path, "http://localhost:1234");
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        ski_json_walk walk = {0};
        ski_json_item group;

        if (!ends(entry->d_name, ".json")) continue;
        (void)snprintf(path, sizeof path, "%s/tests/draft2020-12/%s", base, entry->d_name);
        walk.rest = read_file(in.arena, path);
        while (ski_json_next(&walk, &group)) run_group(&in, entry->d_name, group.value);
    }
    (void)closedir(dir);
    skald_arena_free(in.arena);
    print_message("%u required cases passed, %u failed\n", in.passed, in.failed);
    assert_int_equal(in.failed, 0);
    assert_true(in.passed >= 1299);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_required_case_passes)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
