// SPDX-License-Identifier: Apache-2.0
// The list of verbs. Help, the manual page and the completion of shells are made from it.
#include "cli.h"

#include <string.h>

const cli_verb *const cli_verbs[] = {
    &cmd_serve,         &cmd_publish,      &cmd_tail,   &cmd_read,      &cmd_import,
    &cmd_export,        &cmd_verify,       &cmd_backup, &cmd_store,     &cmd_types,
    &cmd_schema,        &cmd_config,       &cmd_keys,   &cmd_trace,     &cmd_replay,
    &cmd_subscriptions, &cmd_dead_letters, &cmd_parked, &cmd_scheduled, &cmd_help,
    &cmd_completion,    &cmd_version,      NULL,
};

const cli_verb *cli_verb_find(const char *name)
{
    for (const cli_verb *const *verb = cli_verbs; *verb; verb++) {
        if (strcmp((*verb)->name, name) == 0) return *verb;
    }
    return NULL;
}
