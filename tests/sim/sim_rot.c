// SPDX-License-Identifier: Apache-2.0
// Rot. A place is a share of all bytes (or sectors) that are worth damaging, so that a number means
// something whatever the files hold.
#include "sim/sim_rot.h"

#include <assert.h>
#include <string.h>

// file_used is how much of a file is in use: zeros at its end are not.
static size_t file_used(const sim_file *file)
{
    size_t used = file->durable.len;

    while (used > 0 && file->durable.ptr[used - 1] == 0) used--;
    return used;
}

// unit_counts says whether the unit (a byte, or a sector) at offset at is worth damaging.
static bool unit_counts(const sim_file *file, size_t at, size_t unit, bool zeros)
{
    for (size_t i = at; i < at + unit && i < file->durable.len; i++)
        if (zeros || file->durable.ptr[i]) return true;
    return false;
}

// units_walk counts the units that are worth damaging, and stops at the one of that number: rot
// then says where.
static uint64_t units_walk(sim_disk *disk, size_t unit, bool zeros, uint64_t number, sim_rot *rot)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < sim_disk_file_count(disk); i++) {
        const sim_file *file = sim_disk_file(disk, i);
        size_t used = file ? file_used(file) : 0;

        for (size_t at = 0; at < used; at += unit) {
            if (!unit_counts(file, at, unit, zeros)) continue;
            *rot = (sim_rot){.file = i, .at = at, .len = unit};
            if (count++ == number) return count;
        }
    }
    return count;
}

static void rot_put(sim_disk *disk, const sim_rot *rot, const uint8_t *bytes)
{
    sim_file *file = sim_disk_file(disk, rot->file);

    for (size_t i = 0; file && i < rot->len; i++) {
        if (rot->at + i < file->durable.len) file->durable.ptr[rot->at + i] = bytes[i];
        if (rot->at + i < file->cached.len) file->cached.ptr[rot->at + i] = bytes[i];
    }
}

sim_rot sim_rot_make(sim_disk *disk, sim_rot_kind kind, uint64_t place, uint64_t places,
                     uint64_t seed)
{
    size_t unit = kind == SIM_ROT_BIT ? 1 : SIM_SECTOR;
    bool zeros = kind == SIM_ROT_BIT && place % 2;
    sim_random random = {seed * places + place};
    sim_rot rot = {0};
    uint64_t count = units_walk(disk, unit, zeros, UINT64_MAX, &rot);
    uint64_t share = count / places + 1;
    uint8_t bytes[SIM_SECTOR] = {0};

    assert(count > 0);
    units_walk(disk, unit, zeros, place * count / places + sim_random_below(&random, share), &rot);
    for (size_t i = 0; i < rot.len; i++) {
        const sim_file *file = sim_disk_file(disk, rot.file);

        rot.old[i] = rot.at + i < file->durable.len ? file->durable.ptr[rot.at + i] : 0;
        if (kind == SIM_ROT_BIT)
            bytes[i] = rot.old[i] ^ (uint8_t)(1u << sim_random_below(&random, 8));
        if (kind == SIM_ROT_GARBAGE) bytes[i] = (uint8_t)sim_random_next(&random);
    }
    rot_put(disk, &rot, bytes);
    return rot;
}

void sim_rot_undo(sim_disk *disk, const sim_rot *rot)
{
    rot_put(disk, rot, rot->old);
}
