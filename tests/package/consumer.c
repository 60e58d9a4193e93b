// SPDX-License-Identifier: Apache-2.0
// What somebody else's program does with libskald: appends an event to a store and reads it back.
#include <skald/skald.h>
#include <stdio.h>

int main(void)
{
    skald_uuid uuid;
    skald_error error = {0};

    if (skald_version_linked() != SKALD_VERSION) return 1;
    if (skald_uuid_parse(SKALD_STR("not an id"), &uuid) != SKALD_EINVALID) return 2;
    // A preset that does not exist: everything is linked, nothing is started.
    skald_system_options options = {.preset = "nowhere", .no_environment = true};
    skald_system *system = NULL;
    if (skald_system_start(&options, &system, &error) != SKALD_EINVALID) return 3;
    printf("skald %s: %s\n", SKALD_VERSION_TEXT, error.text);
    return 0;
}
