// SPDX-License-Identifier: Apache-2.0
// Running a program for an event: how it ended is told as it was, and a timeout ends all of it.
#include "exec.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/skald-exec-XXXXXX";

static int make_file(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd < 0 || setenv("OUT", path, 1) || close(fd) ? -1 : 0;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static exec_result run_shell(const char *script, skald_str input, uint64_t timeout_ms)
{
    char *argv[] = {"sh", "-c", (char *)script, NULL};

    return exec_run(argv, input, timeout_ms);
}

static long long read_number(void)
{
    char text[64] = "";
    FILE *file = fopen(path, "rb");

    assert_non_null(file);
    (void)!fgets(text, sizeof text, file);
    (void)fclose(file);
    return strtoll(text, NULL, 10);
}

static void input_arrives_whole(void **state)
{
    enum { size = 1024 * 1024 }; // more than a pipe holds
    char *bytes = malloc(size);
    exec_result result;

    (void)state;
    memset(bytes, 'x', size);
    result = run_shell("wc -c > \"$OUT\"", (skald_str){bytes, size}, 20000);
    assert_true(result.succeeded);
    assert_string_equal(result.reason, "");
    assert_int_equal(read_number(), size);
    // What is not read is the program's own affair.
    result = run_shell("exec 0<&-; sleep 0.1", (skald_str){bytes, size}, 20000);
    assert_true(result.succeeded);
    free(bytes);
}

static void how_it_ended_is_told(void **state)
{
    char *absent[] = {"/nonexistent/program", NULL};
    exec_result result = run_shell("exit 3", SKALD_STR("{}"), 20000);

    (void)state;
    assert_false(result.succeeded);
    assert_string_equal(result.reason, "exit status 3");
    result = run_shell("kill -9 $$", SKALD_STR("{}"), 20000);
    assert_false(result.succeeded);
    assert_string_equal(result.reason, "ended by signal 9");
    result = exec_run(absent, SKALD_STR("{}"), 20000);
    assert_false(result.succeeded);
    assert_string_equal(result.reason,
                        "cannot run /nonexistent/program: no such file or directory");
}

static bool is_gone(pid_t pid)
{
    // What was killed may still wait for somebody to ask how it ended.
    char name[64];
    char state[256] = "";
    FILE *file;

    if (kill(pid, 0)) return true;
    (void)snprintf(name, sizeof name, "/proc/%d/stat", (int)pid);
    file = fopen(name, "rb");
    if (!file) return true;
    (void)!fgets(state, sizeof state, file);
    (void)fclose(file);
    return strstr(state, ") Z ") != NULL;
}

static void a_timeout_ends_all_of_it(void **state)
{
    exec_result result = run_shell("sleep 4219 & echo $! > \"$OUT\"; wait", SKALD_STR("{}"), 300);
    struct timespec pause = {.tv_nsec = 10000000};
    pid_t child = (pid_t)read_number();

    (void)state;
    assert_false(result.succeeded);
    assert_string_equal(result.reason, "killed at its timeout");
    assert_true(child > 0);
    for (int i = 0; i < 500 && !is_gone(child); i++) (void)nanosleep(&pause, NULL);
    assert_true(is_gone(child));
}

// It is not the terminal's: Ctrl-C is for the one who runs it.
static void it_leads_a_group_of_its_own(void **state)
{
    exec_result result = run_shell("read -r pid name state parent group rest < /proc/$$/stat; "
                                   "echo \"$group\" > \"$OUT\"; test \"$group\" = $$",
                                   SKALD_STR("{}"), 20000);

    (void)state;
    assert_true(result.succeeded);
    assert_int_not_equal(read_number(), getpgrp());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(input_arrives_whole),
        cmocka_unit_test(how_it_ended_is_told),
        cmocka_unit_test(a_timeout_ends_all_of_it),
        cmocka_unit_test(it_leads_a_group_of_its_own),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
