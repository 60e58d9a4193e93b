// SPDX-License-Identifier: Apache-2.0
// The process, read from /proc/self and getrprocess. Nothing here can fail an operator: a field
// that cannot be read stays 0.
#include "os/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    stat_bytes = 1024,
    stat_threads = 20, // fields of /proc/self/stat, counted from 1
    stat_started = 22,
    us_per_s = 1000000,
};

// file_read gives a small file, terminated. False: it cannot be read.
static bool file_read(const char *path, char *ret_text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got;

    if (fd < 0) return false;
    got = read(fd, ret_text, size - 1);
    close(fd);
    if (got <= 0) return false;
    ret_text[got] = 0;
    return true;
}

// clock_us gives a clock of the system in microseconds.
static int64_t clock_us(clockid_t clock)
{
    struct timespec time = {0};

    (void)clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * us_per_s + time.tv_nsec / 1000;
}

// stat_read reads threads and start from /proc/self/stat, whose second field is a name in brackets
// that may hold anything.
static void stat_read(ski_process *process)
{
    char text[stat_bytes];
    const char *at;
    long ticks_per_s = sysconf(_SC_CLK_TCK);

    if (ticks_per_s <= 0 || !file_read("/proc/self/stat", text, sizeof text)) return;
    at = strrchr(text, ')');
    for (int field = 2; at && field < stat_started; field++) {
        at = strchr(at + 1, ' ');
        if (!at) return;
        if (field + 1 == stat_threads) (void)sscanf(at, " %lu", &process->threads);
    }
    unsigned long long started = 0;

    if (!at || sscanf(at, " %llu", &started) != 1) return;
    process->started_at = clock_us(CLOCK_REALTIME) - clock_us(CLOCK_BOOTTIME) +
                          (int64_t)(started * us_per_s / (unsigned long long)ticks_per_s);
}

static void memory_read(ski_process *process)
{
    char text[stat_bytes];
    unsigned long pages = 0;
    unsigned long resident = 0;
    long page_bytes = sysconf(_SC_PAGESIZE);

    if (page_bytes <= 0 || !file_read("/proc/self/statm", text, sizeof text)) return;
    if (sscanf(text, "%lu %lu", &pages, &resident) != 2) return;
    process->virtual_bytes = (uint64_t)pages * (uint64_t)page_bytes;
    process->resident_bytes = (uint64_t)resident * (uint64_t)page_bytes;
}

static void files_read(ski_process *process)
{
    struct rlimit limit;
    DIR *dir = opendir("/proc/self/fd");

    if (dir) {
        while (readdir(dir)) process->files++;
        process->files = process->files > 3 ? process->files - 3 : 0; // ".", "..",
                                                                      // and this directory
        closedir(dir);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        process->files_max = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

void ski_process_get(ski_process *ret_process)
{
    ski_process process = {0};
    struct rusage used;

    if (getrusage(RUSAGE_SELF, &used) == 0) {
        process.cpu_us = (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * us_per_s +
                         (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    }
    stat_read(&process);
    memory_read(&process);
    files_read(&process);
    *ret_process = process;
}
