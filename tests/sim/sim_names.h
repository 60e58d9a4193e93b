// SPDX-License-Identifier: Apache-2.0
// sim_names.h - the names in one directory, each with the number of what it names.
#ifndef SIM_NAMES_H
#define SIM_NAMES_H

#include <stddef.h>
#include <stdint.h>

enum {
    SIM_NAME_MAX = 64, // with its NUL
    SIM_NAMES_MAX = 256,
};

typedef struct sim_name {
    char text[SIM_NAME_MAX];
    uint32_t node;
} sim_name;

typedef struct sim_names {
    sim_name *items;
    size_t count;
} sim_names;

void sim_names_fini(sim_names *names);
sim_name *sim_names_find(const sim_names *names, const char *text);       // NULL: not there
void sim_names_put(sim_names *names, const char *text, uint32_t node);    // replaces
void sim_names_remove(sim_names *names, const char *text, uint32_t node); // if it names node
void sim_names_copy(const sim_names *from, sim_names *to);                // to becomes the same

#endif
