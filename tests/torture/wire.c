// SPDX-License-Identifier: Apache-2.0
// Starting, killing and asking the real program.
#include "torture/wire.h"

#include <arpa/inet.h>
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    patience_ms = 60000,
    wire_bytes = 4 * 1024 * 1024,
};

void torture_folder(char *ret_path, size_t size)
{
    const char *parent = getenv("TMPDIR");

    (void)snprintf(ret_path, size, "%s/skald-torture.XXXXXX", parent ? parent : "/tmp");
    assert(mkdtemp(ret_path));
}

static void folder_empty(const char *path)
{
    DIR *folder = opendir(path);
    char name[4096];

    if (!folder) return;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (unlink(name)) {
            folder_empty(name);
            (void)rmdir(name);
        }
    }
    (void)closedir(folder);
}

void torture_folder_remove(const char *path)
{
    folder_empty(path);
    (void)rmdir(path);
}

// run starts the program; its output goes to a file beside the data.
static pid_t run(const torture_server *server, const char *const *arguments)
{
    char log[4096];
    pid_t pid = 0;

    (void)snprintf(log, sizeof log, "%s.log", server->data);
    pid = fork();
    assert(pid >= 0);
    if (pid) return pid;
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0) _exit(126);
    if (setenv("SKALD_SEGMENT_BYTES", "65536", 1)) _exit(126);
    (void)execv(server->program, (char *const *)arguments);
    _exit(127);
}

void torture_server_start(torture_server *server)
{
    char port[16];
    const char *arguments[] = {"skald", "serve", "--data", server->data, "--port", port, NULL};

    (void)snprintf(port, sizeof port, "%u", (unsigned)server->port);
    server->pid = run(server, arguments);
}

static bool ended(torture_server *server)
{
    int status = 0;

    if (waitpid(server->pid, &status, WNOHANG) != server->pid) return false;
    fprintf(stderr, "the server ended by itself: status %d\n", status);
    server->pid = 0;
    return true;
}

bool torture_server_ready(torture_server *server)
{
    torture_wire wire;
    bool ready = false;

    torture_wire_init(&wire, server->port);
    for (int i = 0; i < patience_ms / 10 && !ready; i++) {
        ready = torture_ask(&wire, "GET", "/health", NULL, (skald_str){0}, NULL) == 200;
        if (!ready && ended(server)) break;
        if (!ready) (void)poll(NULL, 0, 10);
    }
    torture_wire_fini(&wire);
    return ready;
}

void torture_server_kill(torture_server *server)
{
    if (!server->pid) return;
    (void)kill(server->pid, SIGKILL);
    (void)waitpid(server->pid, NULL, 0);
    server->pid = 0;
}

static int exit_of(pid_t pid)
{
    int status = 0;

    if (waitpid(pid, &status, 0) != pid) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int torture_server_stop(torture_server *server)
{
    pid_t pid = server->pid;

    server->pid = 0;
    (void)kill(pid, SIGTERM);
    return exit_of(pid);
}

int torture_verify(const torture_server *server)
{
    const char *arguments[] = {"skald", "verify", "--data", server->data, NULL};

    return exit_of(run(server, arguments));
}

void torture_wire_init(torture_wire *wire, uint16_t port)
{
    *wire = (torture_wire){.port = port, .fd = -1, .bytes = malloc(wire_bytes), .size = wire_bytes};
    assert(wire->bytes);
}

static void hang_up(torture_wire *wire)
{
    if (wire->fd >= 0) (void)close(wire->fd);
    wire->fd = -1;
}

void torture_wire_fini(torture_wire *wire)
{
    hang_up(wire);
    free(wire->bytes);
    wire->bytes = NULL;
}

static bool dial(torture_wire *wire)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(wire->port)};
    int at_once = 1; // head and body are two writes

    if (wire->fd >= 0) return true;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    wire->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(wire->fd >= 0);
    (void)setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    if (!connect(wire->fd, (struct sockaddr *)&address, sizeof address)) return true;
    hang_up(wire);
    return false;
}

static bool send_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);

        if (sent <= 0) return false;
        bytes += sent;
        len -= (size_t)sent;
    }
    return true;
}

// receive reads until the answer is whole: a head, and as many bytes behind it as it says.
static int receive(torture_wire *wire, const char **ret_body)
{
    size_t len = 0;
    char *body = NULL;
    size_t body_len = 0;

    wire->bytes[0] = 0;
    while (!body || len < (size_t)(body - wire->bytes) + body_len) {
        struct pollfd waiting = {.fd = wire->fd, .events = POLLIN};
        ssize_t got = 0;

        assert(len + 1 < wire->size);
        if (poll(&waiting, 1, patience_ms) <= 0) return 0;
        got = recv(wire->fd, wire->bytes + len, wire->size - 1 - len, 0);
        if (got <= 0) return 0;
        len += (size_t)got;
        wire->bytes[len] = 0;
        if (body) continue;
        body = strstr(wire->bytes, "\r\n\r\n");
        if (!body) continue;
        body += 4;
        const char *length = strstr(wire->bytes, "Content-Length: ");
        if (length && length < body) body_len = strtoul(length + 16, NULL, 10);
    }
    if (ret_body) *ret_body = body;
    return (int)strtol(wire->bytes + 9, NULL, 10);
}

int torture_ask(torture_wire *wire, const char *method, const char *path, const char *type,
                skald_str body, const char **ret_body)
{
    char head[1024];
    int status = 0;
    int len = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: localhost\r\n", method, path);

    assert(len > 0 && (size_t)len < sizeof head - 128);
    if (type) {
        len += snprintf(head + len, sizeof head - (size_t)len,
                        "Content-Type: %s\r\nContent-Length: %zu\r\n", type, body.len);
    }
    len += snprintf(head + len, sizeof head - (size_t)len, "\r\n");
    if (!dial(wire)) return 0;
    if (send_all(wire->fd, head, (size_t)len) && (!type || send_all(wire->fd, body.ptr, body.len)))
        status = receive(wire, ret_body);
    if (!status || strstr(wire->bytes, "Connection: close")) hang_up(wire);
    return status;
}
