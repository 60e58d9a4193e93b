// SPDX-License-Identifier: Apache-2.0
// sim_rot.h - damage to what a device holds, that no crash makes.
#ifndef SIM_ROT_H
#define SIM_ROT_H

#include "sim/sim_disk.h"

typedef enum sim_rot_kind { SIM_ROT_BIT, SIM_ROT_ZEROS, SIM_ROT_GARBAGE } sim_rot_kind;

// sim_rot is what was changed, so that it can be undone.
typedef struct sim_rot {
    uint32_t file;
    size_t at, len;
    uint8_t old[SIM_SECTOR];
} sim_rot;

// sim_rot_make turns a bit, or makes a sector zeros or garbage, at place of places (from 0), spread
// over all files. Every other place of a bit is one of a byte that is not zero.
sim_rot sim_rot_make(sim_disk *disk, sim_rot_kind kind, uint64_t place, uint64_t places,
                     uint64_t seed);
void sim_rot_undo(sim_disk *disk, const sim_rot *rot);

#endif
