// SPDX-License-Identifier: Apache-2.0
// Time, folders and processes for the rows.
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { folders_max = 16, path_max = 512 };

static struct {
    char made[folders_max][path_max];
    int count;
} folders;

double bench_now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void bench_note(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
}

// program_folder is where this program stands: its build folder, on a real disk.
static const char *program_folder(void)
{
    static char path[path_max - 64];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    char *slash;

    if (len < 0) len = 0;
    path[len] = 0;
    slash = strrchr(path, '/');
    if (slash) *slash = 0;
    return path;
}

const char *bench_root(void)
{
    return SKALD_SOURCE_DIR;
}

const char *bench_folder(void)
{
    char *path = folders.made[folders.count];

    if (folders.count == folders_max) return NULL;
    (void)snprintf(path, path_max, "%s/bench.XXXXXX", program_folder());
    if (!mkdtemp(path)) return NULL;
    folders.count++;
    return path;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void bench_clean(void)
{
    while (folders.count)
        (void)nftw(folders.made[--folders.count], remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

double bench_median(double *figures, size_t count)
{
    qsort(figures, count, sizeof *figures, compare);
    return figures[count / 2];
}

// text_put and number_put append to what ends at at, and give its new end: making an event must
// cost little beside what is measured.
static char *text_put(char *at, const char *text, size_t len)
{
    memcpy(at, text, len);
    return at + len;
}

static char *number_put(char *at, uint64_t number, int digits_min)
{
    char digits[20];
    int count = 0;

    for (; number || count < digits_min; number /= 10) digits[count++] = (char)('0' + number % 10);
    while (count) *at++ = digits[--count];
    return at;
}

#define PUT(at, text) text_put(at, text, sizeof(text) - 1)

void bench_event_fill(uint64_t n, bench_texts *texts, skald_event *ret_event)
{
    static const char *const types[] = {
        "order.created", "order.paid",   "order.shipped",   "order.returned", "invoice.created",
        "invoice.paid",  "invoice.sent", "user.registered", "user.login",     "task.completed",
    };
    char *data = number_put(PUT(texts->data, "{\"orderId\":\""), n, 8);
    char *stream = number_put(PUT(texts->stream, "order-"), n % 1000, 1);
    char *correlation = number_put(PUT(texts->correlation, "chain-"), n / 10, 1);

    data = number_put(PUT(data, "\",\"customer\":\"customer-"), n % 1000, 6);
    data = number_put(PUT(data, "\",\"amount\":"), n % 100000, 1);
    data = PUT(data, ",\"currency\":\"NOK\",\"note\":\"an event of about the usual size\","
                     "\"paid\":true}");
    *ret_event = (skald_event){
        .type = skald_str_of(types[n % 10]),
        .data = {texts->data, (size_t)(data - texts->data)},
        .stream = {texts->stream, (size_t)(stream - texts->stream)},
        .correlation_id = {texts->correlation, (size_t)(correlation - texts->correlation)},
    };
}

size_t bench_event_json(uint64_t n, char buf[BENCH_EVENT_BYTES])
{
    bench_texts texts;
    skald_event event;
    char *at = PUT(buf, "{\"type\":\"");

    bench_event_fill(n, &texts, &event);
    at = text_put(at, event.type.ptr, event.type.len);
    at = PUT(at, "\",\"stream\":\"");
    at = text_put(at, event.stream.ptr, event.stream.len);
    at = PUT(at, "\",\"correlationId\":\"");
    at = text_put(at, event.correlation_id.ptr, event.correlation_id.len);
    at = PUT(at, "\",\"data\":");
    at = text_put(at, event.data.ptr, event.data.len);
    at = PUT(at, "}");
    *at = 0;
    return (size_t)(at - buf);
}

int bench_start(const char *folder, const char *const *argv)
{
    char out[path_max + 16];
    int process = fork();

    if (process) return process < 0 ? 0 : process;
    (void)snprintf(out, sizeof out, "%s/out", folder);
    int file = open(out, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0 || dup2(file, 1) < 0) _exit(127);
    (void)execvp(argv[0], (char *const *)argv);
    _exit(127);
}

void bench_stop(int process)
{
    if (process <= 0) return;
    (void)kill(process, SIGTERM);
    (void)waitpid(process, NULL, 0);
}

uint64_t bench_resident_bytes(int process)
{
    char path[64];
    char line[256];
    unsigned long long kib = 0;
    FILE *file;

    (void)snprintf(path, sizeof path, "/proc/%d/status", process);
    file = fopen(path, "r");
    if (!file) return 0;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "VmRSS: %llu", &kib) == 1) break;
    }
    (void)fclose(file);
    return kib * 1024;
}

int bench_connect(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0) return -1;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        return -1;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

int bench_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0) return 0;
    (void)getsockname(fd, (struct sockaddr *)&address, &len);
    (void)close(fd);
    return ntohs(address.sin_port);
}

bool bench_wait_port(int port, double for_s)
{
    for (double until = bench_now_s() + for_s; bench_now_s() < until;) {
        int fd = bench_connect(port);
        if (fd >= 0) {
            (void)close(fd);
            return true;
        }
        (void)usleep(20000);
    }
    return false;
}

const char *bench_skald_path(void)
{
    static char path[path_max];

    (void)snprintf(path, sizeof path, "%s/skald", program_folder());
    return path;
}

int bench_skald(const char *folder, int *ret_port)
{
    const char *program = bench_skald_path();
    char data[path_max + 16];
    char port[16];
    int process;

    *ret_port = bench_free_port();
    (void)snprintf(data, sizeof data, "%s/data", folder);
    (void)snprintf(port, sizeof port, "%d", *ret_port);
    const char *argv[] = {program, "serve", "--data", data, "--port", port, NULL};
    process = bench_start(folder, argv);
    if (process && bench_wait_port(*ret_port, 10)) return process;
    bench_stop(process);
    bench_note("%s serve does not answer", program);
    return 0;
}

bool bench_program(const char *name)
{
    char command[128];

    (void)snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", name);
    return system(command) == 0;
}
