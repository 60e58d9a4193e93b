// SPDX-License-Identifier: Apache-2.0
// The local socket of a server.
#include "net/http_test_client.h"

#include <sys/stat.h>
#include <sys/un.h>

static skald_err handle_peer(ski_http_request *request, skald_error *error)
{
    ski_http_reply reply = {.status = 200, .content_type = "text/plain", .body = request->peer};

    (void)error;
    return ski_http_reply_send(request->http, request->id, &reply);
}

static const ski_http_route routes[] = {
    {.method = "GET", .path = "/peer", .handle = handle_peer},
    {.method = NULL},
};

static int local_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
    close(fd);
    return -1;
}

static skald_err local_start(const char *path, ski_http **ret_http, skald_error *error)
{
    ski_http_options options = {.routes = routes, .local_path = path};

    return ski_http_start(&options, ret_http, error);
}

// The local socket: for its owner alone; held by one; taken over from one that was killed; gone
// with the server. What is no socket stays.
static void test_local(void **state)
{
    char folder[] = "/tmp/skald-local-XXXXXX", path[64], other[200];
    client one = {.bytes = ski_alloc(client_bytes_max)};
    ski_http *http = NULL, *second = NULL;
    skald_error error = {0};
    struct stat status;
    client_reply reply;

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/socket", folder);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(local_start(path, &http, &error), SKALD_OK);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
        one.fd = local_connect(path);
        client_send(&one, "GET /peer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        assert_true(client_reply_get(&one, &reply, false));
        assert_string_equal(reply.body.ptr, "local");
        reply_fini(&reply);
        close(one.fd);
        assert_int_equal(local_start(path, &second, &error), SKALD_EUNAVAILABLE);
        assert_string_equal(error.field, "socket");
        assert_int_equal(ski_http_stop(http, 2000), SKALD_OK);
        assert_int_equal(local_connect(path), -1);
        // What a killed server leaves: a name behind which nobody listens.
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
        int left = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(bind(left, (struct sockaddr *)&address, sizeof address), 0);
        close(left);
    }
    assert_int_equal(unlink(path), 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fclose(file);
    assert_int_equal(local_start(path, &http, &error), SKALD_EUNAVAILABLE);
    assert_int_equal(unlink(path), 0);
    memset(other, 'x', sizeof other - 1);
    other[sizeof other - 1] = 0;
    assert_int_equal(local_start(other, &http, &error), SKALD_EINVALID);
    assert_int_equal(local_start("/nowhere/at/all", &http, &error), SKALD_EDENIED);
    assert_int_equal(rmdir(folder), 0);
    ski_free(one.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_local)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
