// SPDX-License-Identifier: Apache-2.0
// skald completion: what bash, zsh or fish has to know to complete a command line, made from the
// tables of the verbs. Nothing of skald is run while somebody types.
//
// Of an option's argument the name says what it may be: FILE and DIR are in the file system,
// anything else is the person's to write. The words that may follow a verb stand in its usage line.
#include "cli.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { words_bytes = 256, name_bytes = 64, settings_bytes_max = 256 * 1024 };

typedef enum value_kind { FLAG, TEXT, FOLDER, A_FILE } value_kind;

static value_kind kind_of(const cli_option *option)
{
    if (!option->argument) return FLAG;
    if (strcmp(option->argument, "FILE") == 0) return A_FILE;
    return strcmp(option->argument, "DIR") == 0 ? FOLDER : TEXT;
}

// is_row: the row of a table that stands for all settings is no option itself.
static bool is_row(const cli_option *option)
{
    return strcmp(option->name, "KEY") == 0;
}

// words_of gives the words that may follow a verb, a space between two: of
// "list NAME | release|skip NAME KEY" they are "list release skip". A word in capitals stands for
// something else.
static void words_of(const cli_verb *verb, char ret_words[words_bytes])
{
    size_t len = 0;

    for (const char *at = verb->rest, *next; *at; at = next) {
        size_t begin = len, end;

        at += strspn(at, "[ |");
        end = strcspn(at, " ]");
        for (size_t i = 0; i < end && len + 2 < words_bytes; i++) {
            if (!islower((unsigned char)at[i]) && at[i] != '|') {
                len = begin;
                break;
            }
            ret_words[len++] = at[i] == '|' ? ' ' : at[i];
        }
        if (len > begin) ret_words[len++] = ' ';
        next = strstr(at + end, " | ");
        if (!next) break;
    }
    ret_words[len ? len - 1 : 0] = 0;
    if (strcmp(verb->rest, "[VERB]") != 0) return;
    len = 0;
    for (const cli_verb *const *each = cli_verbs; *each; each++) {
        len += (size_t)snprintf(ret_words + len, words_bytes - len, "%s%s", len ? " " : "",
                                (*each)->name);
        assert(len < words_bytes);
    }
}

// takes_files: what follows the verb and its words is in the file system.
static bool takes_files(const cli_verb *verb)
{
    static const char *const names[] = {"FILE", "DIR", "DOC", "OLD"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strstr(verb->rest, names[i])) return true;
    }
    return false;
}

// next_setting gives the names in the first column of the table of all settings, one by one.
static bool next_setting(const char **at, char ret_name[name_bytes])
{
    while ((*at = strstr(*at, "\n| `")) != NULL) {
        size_t len;
        *at += 4;
        len = strcspn(*at, "`");
        if (snprintf(ret_name, name_bytes, "%.*s", (int)len, *at) < name_bytes) return true;
    }
    return false;
}

static bool has_option(const cli_verb *verb, const char *name)
{
    for (const cli_option *option = verb->options; option->name; option++) {
        if (strcmp(option->name, name) == 0) return true;
    }
    return false;
}

// put_quoted writes text for between two ' of a shell; special: what a backslash goes before.
static void put_quoted(const char *text, const char *quote, const char *special)
{
    for (; *text; text++) {
        if (*text == '\'')
            printf("%s", quote);
        else
            printf("%s%c", strchr(special, *text) ? "\\" : "", *text);
    }
}

// --- bash

static void bash_verb(const cli_verb *verb, const char *settings)
{
    char words[words_bytes], name[name_bytes];

    words_of(verb, words);
    printf("    %s)\n        options='--help", verb->name);
    for (const cli_option *option = verb->options; option->name; option++)
        if (!is_row(option)) printf(" --%s", option->name);
    for (const char *at = settings; verb->takes_settings && next_setting(&at, name);)
        if (!has_option(verb, name)) printf(" --%s", name);
    printf("'\n        words='%s' files='%s'\n        case $prev in\n", words,
           takes_files(verb) ? "yes" : "");
    for (const cli_option *option = verb->options; option->name; option++) {
        static const char *const takes[] = {"''", "text", "-d", "-f"};
        if (!is_row(option))
            printf("        --%s) takes=%s ;;\n", option->name, takes[kind_of(option)]);
    }
    printf("%s        esac\n        ;;\n",
           verb->takes_settings ? "        --*) takes=text ;;\n" : "");
}

static void print_bash(const char *settings)
{
    printf("%s",
           "# bash completion of skald, made by: skald completion bash\n"
           "_skald() {\n"
           "    local verb=${COMP_WORDS[1]-} cur=${COMP_WORDS[COMP_CWORD]}"
           " prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
           "    local options='' words='' files='' takes='' i\n"
           "    COMPREPLY=()\n"
           "    if [ \"$cur\" = = ]; then # --option=\n"
           "        cur=''\n"
           "    elif [ \"$prev\" = = ]; then # --option=value\n"
           "        prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
           "    fi\n"
           "    for ((i = 2; i < COMP_CWORD; i++)); do # behind -- is a command of somebody else\n"
           "        if [ \"${COMP_WORDS[i]}\" = -- ]; then\n"
           "            mapfile -t COMPREPLY < <(compgen -c -f -- \"$cur\")\n"
           "            return\n"
           "        fi\n"
           "    done\n"
           "    if [ \"$COMP_CWORD\" -le 1 ]; then verb=''; fi\n"
           "    case $verb in\n"
           "    '') words='--help --version");
    for (const cli_verb *const *verb = cli_verbs; *verb; verb++) printf(" %s", (*verb)->name);
    printf("' ;;\n");
    for (const cli_verb *const *verb = cli_verbs; *verb; verb++) bash_verb(*verb, settings);
    printf("%s", "    esac\n"
                 "    if [ \"$takes\" = text ]; then return; fi\n"
                 "    if [ -n \"$takes\" ]; then\n"
                 "        compopt -o filenames 2> /dev/null\n"
                 "        mapfile -t COMPREPLY < <(compgen \"$takes\" -- \"$cur\")\n"
                 "    elif [[ $cur == -* && -n $verb ]]; then\n"
                 "        mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\")\n"
                 "    else\n"
                 "        if [ \"$COMP_CWORD\" -gt 2 ]; then words=''; fi\n"
                 "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
                 "        if [ -n \"$files\" ] && [ -z \"${COMPREPLY[*]}\" ]; then\n"
                 "            compopt -o filenames 2> /dev/null\n"
                 "            mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
                 "        fi\n"
                 "    fi\n"
                 "}\n"
                 "complete -F _skald skald\n");
}

// --- zsh

static void zsh_verb(const cli_verb *verb, const char *settings)
{
    static const char *const actions[] = {"", ": ", ":_files -/", ":_files"};
    char words[words_bytes], name[name_bytes];

    words_of(verb, words);
    printf("    %s)\n        _arguments -S '--help[show the options and an example]'", verb->name);
    for (const cli_option *option = verb->options; option->name; option++) {
        if (is_row(option)) continue;
        printf(" \\\n            '*--%s%s[", option->name, option->argument ? "=" : "");
        put_quoted(option->help, "'\\''", "[]:");
        printf("]%s%s%s'", option->argument ? ":" : "", option->argument ? option->argument : "",
               actions[kind_of(option)]);
    }
    for (const char *at = settings; verb->takes_settings && next_setting(&at, name);)
        if (!has_option(verb, name)) printf(" \\\n            '*--%s=[setting]:value: '", name);
    if (words[0]) printf(" \\\n            '1:what:(%s)'", words);
    if (takes_files(verb)) printf(" \\\n            '*:file:_files'");
    printf("\n        ;;\n");
}

static void print_zsh(const char *settings)
{
    printf("%s", "#compdef skald\n"
                 "# zsh completion of skald, made by: skald completion zsh\n"
                 "_skald() {\n"
                 "    if ((CURRENT == 2)); then\n"
                 "        local -a verbs=(\n");
    for (const cli_verb *const *verb = cli_verbs; *verb; verb++) {
        printf("            '%s:", (*verb)->name);
        put_quoted((*verb)->summary, "'\\''", "");
        printf("'\n");
    }
    printf("%s", "        )\n"
                 "        _describe verb verbs\n"
                 "        return\n"
                 "    fi\n"
                 "    local verb=$words[2]\n"
                 "    shift words\n"
                 "    ((CURRENT--))\n"
                 "    case $verb in\n");
    for (const cli_verb *const *verb = cli_verbs; *verb; verb++) zsh_verb(*verb, settings);
    printf("%s", "    esac\n"
                 "}\n"
                 "if [ \"$funcstack[1]\" = _skald ]; then _skald \"$@\"; "
                 "else compdef _skald skald; fi\n");
}

// --- fish

static void fish_verb(const cli_verb *verb, const char *settings)
{
    static const char *const takes[] = {"", " -x", " -x -a '(__fish_complete_directories)'",
                                        " -r -F"};
    char words[words_bytes], name[name_bytes];

    printf("complete -c skald -n __fish_use_subcommand -a %s -d '", verb->name);
    put_quoted(verb->summary, "\\'", "\\");
    printf("'\n");
    for (const cli_option *option = verb->options; option->name; option++) {
        if (is_row(option)) continue;
        printf("complete -c skald -n '__fish_seen_subcommand_from %s' -l %s%s -d '", verb->name,
               option->name, takes[kind_of(option)]);
        put_quoted(option->help, "\\'", "\\");
        printf("'\n");
    }
    for (const char *at = settings; verb->takes_settings && next_setting(&at, name);)
        if (!has_option(verb, name))
            printf("complete -c skald -n '__fish_seen_subcommand_from %s' -l %s -x -d setting\n",
                   verb->name, name);
    words_of(verb, words);
    if (words[0])
        printf("complete -c skald -n '__fish_seen_subcommand_from %s' -a '%s'\n", verb->name,
               words);
    if (takes_files(verb))
        printf("complete -c skald -n '__fish_seen_subcommand_from %s' -F\n", verb->name);
}

static void print_fish(const char *settings)
{
    printf("# fish completion of skald, made by: skald completion fish\n"
           "complete -c skald -f\n"
           "complete -c skald -l help -d 'show the options and an example'\n");
    for (const cli_verb *const *verb = cli_verbs; *verb; verb++) fish_verb(*verb, settings);
}

static int run(const cli_args *args)
{
    static const struct {
        const char *name;
        void (*print)(const char *settings);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    const skald_system_options options = {.no_environment = true};
    skald_buf settings = {.bytes_max = settings_bytes_max};
    skald_error error = {0};
    int exit;

    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (strcmp(args->rest[0], shells[i].name) != 0) continue;
        if (skald_config_print(&options, SKALD_CONFIG_LIST, &settings, &error) ||
            skald_buf_put(&settings, (skald_str){"", 1})) {
            exit = cli_fail_error(&error);
        } else {
            shells[i].print(settings.ptr);
            exit = CLI_OK;
        }
        skald_buf_fini(&settings);
        return exit;
    }
    return cli_fail(CLI_USAGE, "completion: '%s' is none of bash, zsh and fish", args->rest[0]);
}

static const cli_option options_table[] = {
    {NULL, NULL, NULL},
};

const cli_verb cmd_completion = {
    .name = "completion",
    .summary = "Print what a shell needs to complete command lines of skald.",
    .rest = "bash | zsh | fish",
    .example = "skald completion bash > ~/.local/share/bash-completion/completions/skald",
    .options = options_table,
    .rest_min = 1,
    .rest_max = 1,
    .run = run,
};
