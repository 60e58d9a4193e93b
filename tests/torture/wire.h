// SPDX-License-Identifier: Apache-2.0
// tests/torture/wire.h - the real program as a child process, and a connection to it that expects
// to be cut at any byte.
#ifndef SKALD_TESTS_TORTURE_WIRE_H
#define SKALD_TESTS_TORTURE_WIRE_H

#include <skald/base.h>
#include <sys/types.h>

// torture_folder makes a folder of its own below TMPDIR; torture_folder_remove removes it and the
// files in it.
void torture_folder(char *ret_path, size_t size);
void torture_folder_remove(const char *path);

// A `skald serve` with small segments. Its standard error is appended to a file beside data.
typedef struct torture_server {
    const char *program, *data;
    uint16_t port;
    pid_t pid;
} torture_server;

void torture_server_start(torture_server *server); // does not wait
// torture_server_ready waits until it answers; false: it ended by itself, or 60 s were over.
bool torture_server_ready(torture_server *server);
void torture_server_kill(torture_server *server);
int torture_server_stop(torture_server *server);  // its exit status
int torture_verify(const torture_server *server); // `skald verify`: its exit status

// A connection that is made when it is needed and kept.
typedef struct torture_wire {
    uint16_t port;
    int fd; // -1: none
    char *bytes;
    size_t size;
} torture_wire;

void torture_wire_init(torture_wire *wire, uint16_t port);
void torture_wire_fini(torture_wire *wire);
// torture_ask gives the status of a whole answer, and its body (terminated, until the next call);
// 0: the connection ended before the answer was whole, so nothing is known.
int torture_ask(torture_wire *wire, const char *method, const char *path, const char *type,
                skald_str body, const char **ret_body);

#endif
