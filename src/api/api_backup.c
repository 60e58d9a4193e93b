// SPDX-License-Identifier: Apache-2.0
// POST /api/admin/backup: a backup of the store in use, into a directory of the server's. Only
// under the one that was configured for that, and under a plain name: whoever may ask for it must
// not be able to write anywhere else. When the last one was done is kept in the store, for who
// watches over backups must know it after a restart, too.
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "store/store.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { name_bytes_max = 128, path_bytes_max = 2048 };

static bool name_right(skald_str name)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

    if (!name.len || name.len > name_bytes_max || name.ptr[0] == '.') return false;
    for (size_t i = 0; i < name.len; i++) {
        if (!memchr(plain, name.ptr[i], sizeof plain - 1)) return false;
    }
    return true;
}

// read_name takes {"directory": "name"}.
static skald_err read_name(const ski_http_request *request, skald_str *ret_name,
                           skald_error *reterr_error)
{
    ski_json_walk walk = {.rest = request->body};
    ski_json_item item;
    skald_str name = {0};

    SKALD_TRY(ski_json_door_check(request->body, true, reterr_error));
    if (ski_json_kind_of(request->body) != SKI_JSON_OBJECT)
        return skald_fail(reterr_error, SKALD_EINVALID, "must be {\"directory\": \"name\"}");
    while (ski_json_next(&walk, &item)) {
        if (item.key_escaped || !skald_str_equal(item.key, SKALD_STR("directory"))) {
            return skald_fail(reterr_error, SKALD_EINVALID,
                              "the only member is directory, not '%.*s'",
                              (int)(item.key.len > 60 ? 60 : item.key.len), item.key.ptr);
        }
        if (item.kind == SKI_JSON_STRING && item.value.len > 2)
            name = (skald_str){item.value.ptr + 1, item.value.len - 2};
    }
    if (!name_right(name)) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "directory",
                             "directory must be one name, made in backup.directory: letters, "
                             "digits and - _ . that do not begin with a dot, %d at most",
                             (int)name_bytes_max);
    }
    *ret_name = name;
    return SKALD_OK;
}

static skald_err reply_backup(ski_http_request *request, const char *path,
                              const skald_backed_up *done)
{
    skald_buf buf = ski_reply_buf();
    skald_err err = skald_buf_put(&buf, SKALD_STR("{\"data\":{\"directory\":"));

    if (!err) err = ski_json_put_string(&buf, skald_str_of(path));
    if (!err) {
        err = ski_buf_print(&buf,
                            ",\"position\":%llu,\"bytes\":%llu,\"bytesLinked\":%llu,"
                            "\"files\":%llu,\"damages\":%llu}}",
                            (unsigned long long)done->position_last,
                            (unsigned long long)done->bytes, (unsigned long long)done->bytes_linked,
                            (unsigned long long)done->files, (unsigned long long)done->damages);
    }
    if (!err) err = ski_reply_json(request, 201, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

static const char value_name[] = "backup/last"; // microseconds since 1970

static void kept(skald_store_batch *batch, skald_err err)
{
    (void)batch;
    (void)err; // it was made; not to remember when is no reason to say that it failed
}

static void keep(ski_api *api, skald_time at)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%lld", (long long)at);
    skald_store_value value = {skald_str_of(value_name), {text, (size_t)len}};
    skald_store_batch batch = {
        .values = &value, .value_count = 1, .durability = SKALD_WRITTEN, .done = kept};

    atomic_store_explicit(&api->metrics.backup_at, at, memory_order_relaxed);
    (void)!ski_store_commit(api->store, &batch);
}

void ski_backup_recall(ski_api *api)
{
    skald_buf buf = {.bytes_max = 64};
    uint64_t at = 0;

    if (!ski_store_value_get(api->store, skald_str_of(value_name), &buf) &&
        !ski_str_u64(ski_buf_str(&buf), &at) && at <= INT64_MAX)
        atomic_store_explicit(&api->metrics.backup_at, (int64_t)at, memory_order_relaxed);
    skald_buf_fini(&buf);
}

// back_up makes it, and counts and logs what became of it: one that fails every night must be seen.
static skald_err back_up(ski_api *api, const char *path, skald_backed_up *ret_done,
                         skald_error *reterr_error)
{
    skald_error error = {0};
    skald_err err = skald_store_backup(api->store, path, NULL, ret_done, &error);

    if (err) {
        // A name that is taken was the asker's to choose: nothing failed.
        if (err != SKALD_EEXISTS)
            atomic_fetch_add_explicit(&api->metrics.backups_failed, 1, memory_order_relaxed);
        ski_log_line(api->options.log, SKALD_WARN, "not backed up", "directory", path, "why",
                     error.text, (char *)NULL);
        if (reterr_error) *reterr_error = error;
        return err;
    }
    atomic_fetch_add_explicit(&api->metrics.backups, 1, memory_order_relaxed);
    keep(api, ski_store_now(api->store));
    ski_log_line(api->options.log, SKALD_INFO, "backed up", "directory", path, (char *)NULL);
    return SKALD_OK;
}

skald_err ski_post_backup(ski_http_request *request, skald_error *reterr_error)
{
    ski_api *api = ski_api_of(request);
    skald_backed_up done = {0};
    char path[path_bytes_max];
    skald_str name = {0};
    int len;

    SKALD_TRY(read_name(request, &name, reterr_error));
    if (!api->options.backups) {
        return skald_fail(reterr_error, SKALD_EDENIED,
                          "this server was not told where backups may be put: set "
                          "backup.directory, or run `skald backup` beside it when it is stopped");
    }
    len = snprintf(path, sizeof path, "%s/%.*s", api->options.backups, SKALD_FMT(name));
    if (len < 0 || (size_t)len >= sizeof path)
        return skald_fail(reterr_error, SKALD_ETOOBIG, "the directory's name is too long");
    SKALD_TRY(back_up(api, path, &done, reterr_error));
    return reply_backup(request, path, &done);
}
