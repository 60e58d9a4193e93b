// SPDX-License-Identifier: Apache-2.0
// server/cli.h - what the verbs share: options, output, exit codes.
//
// The program sees include/skald only: that is the proof that the public API suffices.
#ifndef SKALD_SERVER_CLI_H
#define SKALD_SERVER_CLI_H

#include <skald/skald.h>

// How the program ends.
enum {
    CLI_OK = 0,
    CLI_NO = 1,     // what was asked is not so: damage found, lines rejected
    CLI_USAGE = 2,  // the command line is wrong
    CLI_CANNOT = 3, // held, refused, unreachable, I/O
};

enum { CLI_OPTIONS_MAX = 32, CLI_REPEAT_MAX = 64 };

// An option of a verb. A table ends with a NULL name.
typedef struct cli_option {
    const char *name;     // "port": --port
    const char *argument; // "N"; NULL: it is a flag
    const char *help;
} cli_option;

typedef struct cli_args cli_args;

// A verb of the program. rest: what may follow the options, "" for nothing.
typedef struct cli_verb {
    const char *name, *summary, *rest, *example;
    const cli_option *options;
    int rest_min, rest_max; // rest_max -1: no end
    bool takes_settings;    // any other --KEY VALUE is a setting
    int (*run)(const cli_args *args);
} cli_verb;

struct cli_args {
    const cli_verb *verb;
    struct {
        const char *name;
        const char *value;
    } given[CLI_REPEAT_MAX];
    int given_count;
    char **rest;
    int rest_count;
};

// cli_parse reads a verb's command line. CLI_OK, or CLI_USAGE having said why.
int cli_parse(const cli_verb *verb, int argc, char **argv, cli_args *ret_args);

extern const cli_verb *const cli_verbs[]; // all of them, then NULL
const cli_verb *cli_verb_find(const char *name);
int cli_unknown_verb(const char *name); // says so; CLI_USAGE
void cli_help(const cli_verb *verb);
void cli_help_all(void);

// cli_get is the last value of an option, NULL if it was not given; a flag's is "".
const char *cli_get(const cli_args *args, const char *name);
bool cli_flag(const cli_args *args, const char *name);
// cli_each is the n-th value of a repeated option, NULL behind the last.
const char *cli_each(const cli_args *args, const char *name, int n);
// cli_number reads a number option; false, having said why, when it is not one from min to max.
// Left as it is when not given.
bool cli_number(const cli_args *args, const char *name, uint64_t min, uint64_t max,
                uint64_t *ret_number);

// cli_fail says what went wrong, on standard error, and gives exit.
int cli_fail(int exit, const char *format, ...) SKALD_PRINTF(2, 3);
int cli_fail_error(const skald_error *error); // CLI_USAGE for INVALID, else CLI_CANNOT

// cli_store_open opens the directory that --data names; one opened for writing is made if need be.
// cli_store_open_there makes none: what looks after a store must not find a new one to be well. Not
// CLI_OK: it said why.
int cli_store_open(const cli_args *args, const skald_store_options *options,
                   skald_store **ret_store);
int cli_store_open_there(const cli_args *args, const skald_store_options *options,
                         skald_store **ret_store);

// cli_s ends a word that stands behind a number: 1 event, 2 events.
const char *cli_s(uint64_t count);

bool cli_colours(void);  // standard output is a terminal that shows them
bool cli_progress(void); // standard error is a terminal

// cli_event prints one event: with json the envelope on one line, else for people.
void cli_event(const skald_event *event, bool json);

// A progress bar on standard error, drawn at most ten times a second; nothing without a terminal.
typedef struct cli_bar {
    const char *what;
    uint64_t all; // 0: not known
    uint64_t drawn_ns;
} cli_bar;
void cli_bar_show(cli_bar *bar, uint64_t done, const char *note);
void cli_bar_end(cli_bar *bar);

// cli_settings makes the options of a system from those of a verb with takes_settings; what it
// gives borrows from args. --config is the file.
typedef struct cli_settings {
    skald_setting given[CLI_REPEAT_MAX];
    skald_system_options options;
} cli_settings;
void cli_settings_of(const cli_args *args, cli_settings *ret_settings);

extern const cli_verb cmd_serve, cmd_publish, cmd_tail, cmd_read, cmd_import, cmd_export,
    cmd_verify, cmd_backup, cmd_store, cmd_version, cmd_types, cmd_schema, cmd_config, cmd_keys,
    cmd_subscriptions, cmd_dead_letters, cmd_parked, cmd_trace, cmd_replay, cmd_help,
    cmd_completion, cmd_scheduled;

#endif
