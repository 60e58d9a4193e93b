// SPDX-License-Identifier: Apache-2.0
// The simulated computer. Files are sim_file; this file has the names, the numbering of operations,
// what goes wrong at the planned one, and the table of functions that a store sees.
//
// A directory is a list of names on the device and one in memory. Changes of names join a list of
// their own; sync_dir applies those of one directory to the device. A power failure keeps any
// subset of what is left: creations, renames and removals are lost or kept one by one, each whole.
#include "sim/sim_disk.h"

#include "base/alloc.h"
#include "sim/sim_names.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    nodes_max = 4096,
    ops_max = 100000, // a store that does more in one case is in a loop
    room_bytes = 1 << 30,
    op_ns = 10000,
    process_id_first = 4000,
    node_none = 0xffffffff,
};

typedef struct sim_node {
    bool is_dir;
    const ski_file *locked_by;
    sim_file file;
    sim_names durable, cached;
} sim_node;

// sim_change is one change of names that no sync_dir has covered yet.
typedef struct sim_change {
    uint32_t dir, dir_to;                      // dir_to: of a rename, else dir
    char name[SIM_NAME_MAX], to[SIM_NAME_MAX]; // empty: none (a creation has no name, a removal no
                                               // to)
    uint32_t node;
} sim_change;

struct ski_file {
    sim_disk *disk;
    uint32_t node;
    bool writable, direct;
};

struct sim_disk {
    ski_kernel kernel;
    sim_node *nodes;
    uint32_t node_count;
    sim_change *changes;
    size_t change_count;
    sim_plan plan;
    sim_lie lie;
    sim_random faults, random; // of what goes wrong, and what the store is given
    uint8_t *ops;
    uint64_t op_count, files_open, boots, time_ns;
    bool fired, dead, no_space;
    char stopped[128];
};

// op_act is what an operation has to do.
typedef enum op_act { ACT_DO, ACT_DO_THEN_DIE, ACT_HALF, ACT_HALF_THEN_DIE, ACT_NOTHING } op_act;
typedef struct op_turn {
    op_act act;
    skald_err err; // what to answer unless act is ACT_DO
    sim_fault fault;
} op_turn;

// turn_planned is what the planned operation does.
static op_turn turn_planned(sim_disk *disk, sim_op op)
{
    op_turn turn = {.act = ACT_NOTHING, .err = SKALD_EIO, .fault = disk->plan.fault};

    disk->fired = true;
    switch (disk->plan.fault) {
    case SIM_FAULT_CRASH_BEFORE:
    case SIM_FAULT_KILL_BEFORE: disk->dead = true; break;
    case SIM_FAULT_CRASH_MIDDLE:
    case SIM_FAULT_KILL_MIDDLE:
        disk->dead = true;
        turn.act = ACT_HALF_THEN_DIE;
        break;
    case SIM_FAULT_CRASH_AFTER: turn.act = ACT_DO_THEN_DIE; break;
    case SIM_FAULT_SPACE: disk->no_space = true; // fall through
    case SIM_FAULT_SPACE_ONCE:
        turn.err = SKALD_EREADONLY;
        if (op == SIM_OP_PWRITE) turn.act = ACT_HALF;
        break;
    case SIM_FAULT_IO:
        if (op == SIM_OP_PWRITE) turn.act = ACT_HALF;
        break;
    case SIM_FAULT_SHORT_READ:
    case SIM_FAULT_LOST_WRITE:
    case SIM_FAULT_WRONG_WRITE: turn.act = ACT_DO; break;
    default: break;
    }
    return turn;
}

// op_begin counts an operation and says what it has to do.
static op_turn op_begin(sim_disk *disk, sim_op op)
{
    disk->time_ns += op_ns;
    if (disk->dead) return (op_turn){.act = ACT_NOTHING, .err = SKALD_EIO};
    assert(disk->op_count < ops_max);
    disk->ops[disk->op_count++] = (uint8_t)op;
    if (disk->op_count == disk->plan.at_op && sim_fault_fits(disk->plan.fault, op))
        return turn_planned(disk, op);
    if (disk->no_space && sim_fault_fits(SIM_FAULT_SPACE, op))
        return (op_turn){.act = op == SIM_OP_PWRITE ? ACT_HALF : ACT_NOTHING,
                         .err = SKALD_EREADONLY};
    return (op_turn){.act = ACT_DO};
}

static bool turn_does(op_turn turn)
{
    return turn.act == ACT_DO || turn.act == ACT_DO_THEN_DIE;
}

// op_end gives what the caller is told; err is how the operation itself went, if it was done.
static skald_err op_end(sim_disk *disk, op_turn turn, skald_err err)
{
    if (turn.act == ACT_DO_THEN_DIE) disk->dead = true;
    return turn.act == ACT_DO ? err : turn.err;
}

static uint32_t node_add(sim_disk *disk, bool is_dir)
{
    assert(disk->node_count < nodes_max);
    disk->nodes = ski_realloc(disk->nodes, (disk->node_count + 1) * sizeof *disk->nodes);
    assert(disk->nodes);
    disk->nodes[disk->node_count] = (sim_node){.is_dir = is_dir};
    return disk->node_count++;
}

// path_find walks to the directory of path; ret_name is its last part (empty: path is the root).
static uint32_t path_find(const sim_disk *disk, const char *path, char ret_name[SIM_NAME_MAX])
{
    uint32_t dir = 0;

    ret_name[0] = '\0';
    for (;;) {
        size_t len = 0;

        while (*path == '/') path++;
        len = strcspn(path, "/");
        if (len == 0) return dir;
        assert(len < SIM_NAME_MAX);
        if (ret_name[0]) {
            const sim_name *name = sim_names_find(&disk->nodes[dir].cached, ret_name);

            if (!name || !disk->nodes[name->node].is_dir) return node_none;
            dir = name->node;
        }
        memcpy(ret_name, path, len);
        ret_name[len] = '\0';
        path += len;
        if (strcmp(ret_name, ".") == 0) ret_name[0] = '\0';
    }
}

static uint32_t path_node(const sim_disk *disk, const char *path)
{
    char text[SIM_NAME_MAX];
    uint32_t dir = path_find(disk, path, text);
    const sim_name *name = NULL;

    if (dir == node_none) return node_none;
    if (!text[0]) return dir;
    name = sim_names_find(&disk->nodes[dir].cached, text);
    return name ? name->node : node_none;
}

// change_apply brings one change to the names on the device or in memory. Its two directories may
// differ; each gets its part.
static void change_apply(sim_disk *disk, const sim_change *change, bool durable)
{
    sim_node *dir = &disk->nodes[change->dir], *dir_to = &disk->nodes[change->dir_to];

    if (change->name[0]) {
        sim_names *names = durable ? &dir->durable : &dir->cached;

        sim_names_remove(names, change->name, change->node);
    }
    if (change->to[0])
        sim_names_put(durable ? &dir_to->durable : &dir_to->cached, change->to, change->node);
}

static void change_add(sim_disk *disk, uint32_t dir, const char *name, uint32_t dir_to,
                       const char *to, uint32_t node)
{
    sim_change *change = NULL;

    disk->changes = ski_realloc(disk->changes, (disk->change_count + 1) * sizeof *disk->changes);
    assert(disk->changes);
    change = &disk->changes[disk->change_count++];
    *change = (sim_change){.dir = dir, .dir_to = dir_to, .node = node};
    if (name) snprintf(change->name, sizeof change->name, "%s", name);
    if (to) snprintf(change->to, sizeof change->to, "%s", to);
    change_apply(disk, change, false);
}

static skald_err disk_open_file(sim_disk *disk, uint32_t node, unsigned flags, ski_file **ret_file)
{
    ski_file *file = ski_alloc(sizeof *file);

    assert(file);
    *file = (ski_file){.disk = disk,
                       .node = node,
                       .writable = (flags & SKI_OPEN_WRITE) != 0,
                       .direct = (flags & SKI_OPEN_DIRECT) != 0};
    disk->files_open++;
    *ret_file = file;
    return SKALD_OK;
}

// file_create gives the node that an open is for, made if need be.
static skald_err file_create(sim_disk *disk, const char *path, unsigned flags, uint32_t *ret_node)
{
    char text[SIM_NAME_MAX];
    uint32_t node = path_node(disk, path), dir = path_find(disk, path, text);

    if (node != node_none && (flags & SKI_OPEN_NEW)) return SKALD_EEXISTS;
    if (node != node_none && disk->nodes[node].is_dir) return SKALD_EIO;
    if (node == node_none && (dir == node_none || !(flags & SKI_OPEN_CREATE)))
        return SKALD_ENOTFOUND;
    if (node == node_none) {
        node = node_add(disk, false);
        change_add(disk, dir, NULL, dir, text, node);
    }
    *ret_node = node;
    return SKALD_OK;
}

static skald_err disk_open(void *context, const char *path, unsigned flags, ski_file **ret_file,
                           skald_error *reterr_error)
{
    sim_disk *disk = context;
    uint32_t node = path_node(disk, path);
    bool creates = node == node_none && (flags & SKI_OPEN_CREATE);
    op_turn turn = op_begin(disk, creates ? SIM_OP_CREATE : SIM_OP_OPEN);
    skald_err err = SKALD_OK;

    if (turn_does(turn)) err = file_create(disk, path, flags, &node);
    err = op_end(disk, turn, err);
    if (err) return skald_fail(reterr_error, err, "%s: simulated: %s", path, skald_err_text(err));
    return disk_open_file(disk, node, flags, ret_file);
}

static void disk_close(void *context, ski_file *file)
{
    sim_disk *disk = context;
    sim_node *node = &disk->nodes[file->node];

    if (node->locked_by == file) node->locked_by = NULL;
    assert(disk->files_open > 0);
    disk->files_open--;
    ski_free(file);
}

// direct_right: what bypasses the cache is whole pages, in memory too.
static bool direct_right(const ski_file *file, const void *bytes, size_t len, uint64_t offset)
{
    return !file->direct || ((uintptr_t)bytes | len | offset) % SKI_DIRECT_BYTES == 0;
}

static skald_err disk_pread(void *context, ski_file *file, void *buf, size_t len, uint64_t offset,
                            size_t *ret_read)
{
    sim_disk *disk = context;
    op_turn turn = op_begin(disk, SIM_OP_PREAD);
    size_t got = 0;

    assert(direct_right(file, buf, len, offset));
    if (turn_does(turn)) got = sim_file_read(&disk->nodes[file->node].file, buf, len, offset);
    if (turn.fault == SIM_FAULT_SHORT_READ && got > 0)
        got = (size_t)sim_random_below(&disk->faults, got);
    SKALD_TRY(op_end(disk, turn, SKALD_OK));
    *ret_read = got;
    return SKALD_OK;
}

static skald_err disk_pwrite(void *context, ski_file *file, const void *bytes, size_t len,
                             uint64_t offset)
{
    sim_disk *disk = context;
    op_turn turn = op_begin(disk, SIM_OP_PWRITE);
    sim_file *content = &disk->nodes[file->node].file;

    assert(file->writable && direct_right(file, bytes, len, offset));
    if (turn.act == ACT_HALF || turn.act == ACT_HALF_THEN_DIE) {
        size_t half = len ? (size_t)sim_random_below(&disk->faults, len) : 0;

        if (sim_random_below(&disk->faults, 4) == 0) half = 0;
        if (half) sim_file_write(content, bytes, half, offset);
    } else if (turn.fault == SIM_FAULT_LOST_WRITE) {
        sim_file_write_wrong(content, bytes, len, offset, offset, true);
    } else if (turn.fault == SIM_FAULT_WRONG_WRITE) {
        uint64_t sectors = content->cached.len / SIM_SECTOR + 1,
                 elsewhere = sim_random_below(&disk->faults, sectors) * SIM_SECTOR;

        if (elsewhere == offset) elsewhere += SIM_SECTOR;
        sim_file_write_wrong(content, bytes, len, offset, elsewhere, false);
    } else if (turn_does(turn)) {
        sim_file_write(content, bytes, len, offset);
    }
    return op_end(disk, turn, SKALD_OK);
}

static skald_err disk_sync(void *context, ski_file *file)
{
    sim_disk *disk = context;
    op_turn turn = op_begin(disk, SIM_OP_SYNC);
    sim_file *content = &disk->nodes[file->node].file;

    if (turn.fault == SIM_FAULT_SYNC_EXT4 || turn.fault == SIM_FAULT_SYNC_BTRFS) {
        sim_fate fate = disk->plan.seed % 2 ? SIM_FATE_MIXED : SIM_FATE_LOST;

        sim_file_settle(content, fate, SIM_PAGE, false, &disk->faults);
        if (turn.fault == SIM_FAULT_SYNC_BTRFS) sim_file_revert(content);
    } else if (turn_does(turn) && disk->lie != SIM_LIE_SYNC) {
        sim_file_sync(content);
    }
    return op_end(disk, turn, SKALD_OK);
}

static skald_err disk_forget(void *context, ski_file *file)
{
    sim_disk *disk = context;
    op_turn turn = op_begin(disk, SIM_OP_FORGET);

    if (turn_does(turn) && disk->lie != SIM_LIE_FORGET)
        sim_file_forget(&disk->nodes[file->node].file);
    return op_end(disk, turn, SKALD_OK);
}

static skald_err disk_size(void *context, ski_file *file, uint64_t *ret_size)
{
    sim_disk *disk = context;

    SKALD_TRY(op_end(disk, op_begin(disk, SIM_OP_SIZE), SKALD_OK));
    *ret_size = disk->nodes[file->node].file.cached.len;
    return SKALD_OK;
}

static skald_err disk_truncate(void *context, ski_file *file, uint64_t size)
{
    sim_disk *disk = context;
    op_turn turn = op_begin(disk, SIM_OP_TRUNCATE);

    assert(file->writable);
    if (turn_does(turn)) sim_file_truncate(&disk->nodes[file->node].file, size);
    return op_end(disk, turn, SKALD_OK);
}

static skald_err disk_lock(void *context, ski_file *file)
{
    sim_disk *disk = context;
    op_turn turn = op_begin(disk, SIM_OP_LOCK);
    sim_node *node = &disk->nodes[file->node];

    SKALD_TRY(op_end(disk, turn, SKALD_OK));
    if (node->locked_by && node->locked_by != file) return SKALD_EHELD;
    node->locked_by = file;
    return SKALD_OK;
}

static skald_err disk_rename(void *context, const char *from, const char *to)
{
    sim_disk *disk = context;
    char name[SIM_NAME_MAX], name_to[SIM_NAME_MAX];
    op_turn turn = op_begin(disk, SIM_OP_RENAME);
    uint32_t dir = path_find(disk, from, name), dir_to = path_find(disk, to, name_to);
    uint32_t node = path_node(disk, from);
    bool found = node != node_none && dir_to != node_none;

    if (turn_does(turn) && found) change_add(disk, dir, name, dir_to, name_to, node);
    return op_end(disk, turn, found ? SKALD_OK : SKALD_ENOTFOUND);
}

static skald_err disk_unlink(void *context, const char *path)
{
    sim_disk *disk = context;
    char name[SIM_NAME_MAX];
    op_turn turn = op_begin(disk, SIM_OP_UNLINK);
    uint32_t dir = path_find(disk, path, name), node = path_node(disk, path);

    if (turn_does(turn) && node != node_none) change_add(disk, dir, name, dir, NULL, node);
    return op_end(disk, turn, node != node_none ? SKALD_OK : SKALD_ENOTFOUND);
}

static skald_err disk_make_dir(void *context, const char *path)
{
    sim_disk *disk = context;
    char name[SIM_NAME_MAX];
    uint32_t node = path_node(disk, path), dir = path_find(disk, path, name);
    op_turn turn = op_begin(disk, node == node_none ? SIM_OP_MAKE_DIR : SIM_OP_OPEN);
    skald_err err = SKALD_OK;

    if (dir == node_none)
        err = SKALD_ENOTFOUND;
    else if (node != node_none && !disk->nodes[node].is_dir)
        err = SKALD_EEXISTS;
    if (turn_does(turn) && !err && node == node_none) {
        node = node_add(disk, true);
        change_add(disk, dir, NULL, dir, name, node);
    }
    return op_end(disk, turn, err);
}

static skald_err disk_sync_dir(void *context, const char *path)
{
    sim_disk *disk = context;
    op_turn turn = op_begin(disk, SIM_OP_SYNC_DIR);
    uint32_t dir = path_node(disk, path);
    size_t kept = 0;

    if (turn_does(turn) && dir != node_none && disk->lie != SIM_LIE_SYNC_DIR) {
        for (size_t i = 0; i < disk->change_count; i++) {
            sim_change *change = &disk->changes[i];

            if (change->dir == dir || change->dir_to == dir)
                change_apply(disk, change, true);
            else
                disk->changes[kept++] = *change;
        }
        disk->change_count = kept;
    }
    return op_end(disk, turn, dir != node_none ? SKALD_OK : SKALD_ENOTFOUND);
}

static skald_err disk_list(void *context, const char *path,
                           void (*visit)(void *visitor, const char *name), void *visitor)
{
    sim_disk *disk = context;
    op_turn turn = op_begin(disk, SIM_OP_LIST);
    uint32_t dir = path_node(disk, path);

    SKALD_TRY(op_end(disk, turn, SKALD_OK));
    if (dir == node_none || !disk->nodes[dir].is_dir) return SKALD_ENOTFOUND;
    for (size_t i = 0; i < disk->nodes[dir].cached.count; i++)
        visit(visitor, disk->nodes[dir].cached.items[i].text);
    return SKALD_OK;
}

static skald_err disk_room(void *context, const char *path, uint64_t *ret_bytes)
{
    sim_disk *disk = context;

    (void)path;
    SKALD_TRY(op_end(disk, op_begin(disk, SIM_OP_ROOM), SKALD_OK));
    *ret_bytes = disk->no_space ? 0 : room_bytes;
    return SKALD_OK;
}

static skald_time disk_now(void *context)
{
    sim_disk *disk = context;

    disk->time_ns += 1000;
    return (skald_time)1767225600 * 1000000 + (skald_time)(disk->time_ns / 1000); // from 2026-01-01
}

static uint64_t disk_monotonic_ns(void *context)
{
    sim_disk *disk = context;

    return disk->time_ns += 1000;
}

static void disk_random(void *context, void *bytes, size_t len)
{
    sim_disk *disk = context;
    uint8_t *to = bytes;

    for (size_t i = 0; i < len; i++) to[i] = (uint8_t)sim_random_next(&disk->random);
}

static void disk_stop(void *context, const char *why)
{
    sim_disk *disk = context;

    if (disk->dead) return;
    disk->dead = true;
    snprintf(disk->stopped, sizeof disk->stopped, "%s", why && *why ? why : "no reason given");
}

static uint64_t disk_process_id(void *context)
{
    const sim_disk *disk = context;

    return process_id_first + disk->boots;
}

static const ski_kernel disk_kernel = {
    .open = disk_open,
    .close = disk_close,
    .pread = disk_pread,
    .pwrite = disk_pwrite,
    .sync = disk_sync,
    .forget = disk_forget,
    .size = disk_size,
    .truncate = disk_truncate,
    .lock = disk_lock,
    .rename = disk_rename,
    .unlink = disk_unlink,
    .make_dir = disk_make_dir,
    .sync_dir = disk_sync_dir,
    .list = disk_list,
    .room = disk_room,
    .now = disk_now,
    .monotonic_ns = disk_monotonic_ns,
    .random = disk_random,
    .stop = disk_stop,
    .process_id = disk_process_id,
};

static sim_disk *disk_alloc(void)
{
    sim_disk *disk = ski_alloc_zeroed(1, sizeof *disk);

    assert(disk);
    disk->ops = ski_alloc(ops_max);
    assert(disk->ops);
    disk->kernel = disk_kernel;
    disk->kernel.context = disk;
    return disk;
}

sim_disk *sim_disk_new(void)
{
    sim_disk *disk = disk_alloc();

    disk->random.state = 1;
    node_add(disk, true);
    change_add(disk, 0, NULL, 0, "sim", node_add(disk, true));
    change_apply(disk, disk->changes, true);
    disk->change_count = 0;
    return disk;
}

void sim_disk_free(sim_disk *disk)
{
    if (!disk) return;
    assert(disk->files_open == 0);
    for (uint32_t i = 0; i < disk->node_count; i++) {
        sim_file_fini(&disk->nodes[i].file);
        sim_names_fini(&disk->nodes[i].durable);
        sim_names_fini(&disk->nodes[i].cached);
    }
    ski_free(disk->nodes);
    ski_free(disk->changes);
    ski_free(disk->ops);
    ski_free(disk);
}

const ski_kernel *sim_disk_kernel(sim_disk *disk)
{
    return &disk->kernel;
}

void sim_disk_plan(sim_disk *disk, sim_plan plan)
{
    disk->plan = plan;
    disk->faults.state = plan.seed * 0x2545f4914f6cdd1du + plan.at_op;
    disk->op_count = 0;
    disk->fired = false;
}

void sim_disk_lie(sim_disk *disk, sim_lie lie)
{
    disk->lie = lie;
}

uint64_t sim_disk_ops(const sim_disk *disk)
{
    return disk->op_count;
}

sim_op sim_disk_op(const sim_disk *disk, uint64_t number)
{
    assert(number >= 1 && number <= disk->op_count);
    return (sim_op)disk->ops[number - 1];
}

bool sim_disk_fired(const sim_disk *disk)
{
    return disk->fired;
}

bool sim_disk_dead(const sim_disk *disk)
{
    return disk->dead;
}

const char *sim_disk_stopped(const sim_disk *disk)
{
    return disk->stopped[0] ? disk->stopped : NULL;
}

uint64_t sim_disk_files_open(const sim_disk *disk)
{
    return disk->files_open;
}

void sim_disk_halt(sim_disk *disk)
{
    disk->dead = true;
}

void sim_disk_free_space(sim_disk *disk)
{
    disk->no_space = false;
}

void sim_disk_wait(sim_disk *disk, uint64_t ns)
{
    disk->time_ns += ns;
}

void sim_disk_restart(sim_disk *disk)
{
    assert(disk->files_open == 0);
    disk->boots++;
    disk->random.state = disk->boots + 1;
    disk->dead = false;
    disk->stopped[0] = '\0';
    sim_disk_plan(disk, (sim_plan){0});
}

static bool change_kept(sim_fate fate, sim_random *random)
{
    if (fate == SIM_FATE_MIXED) return sim_random_below(random, 2) == 0;
    return fate == SIM_FATE_KEPT || fate == SIM_FATE_METADATA_ONLY;
}

void sim_disk_reboot(sim_disk *disk, sim_fate fate, uint64_t seed)
{
    sim_random random = {seed * 0x9fb21c651e98df25u + 7};

    sim_disk_restart(disk);
    for (size_t i = 0; i < disk->change_count; i++)
        if (change_kept(fate, &random)) change_apply(disk, &disk->changes[i], true);
    disk->change_count = 0;
    for (uint32_t i = 0; i < disk->node_count; i++) {
        sim_node *node = &disk->nodes[i];

        sim_file_settle(&node->file, fate, SIM_SECTOR, true, &random);
        sim_file_revert(&node->file);
        sim_names_copy(&node->durable, &node->cached);
    }
}

static bool disk_names(const sim_disk *disk, uint32_t node)
{
    for (uint32_t dir = 0; dir < disk->node_count; dir++)
        for (size_t i = 0; i < disk->nodes[dir].cached.count; i++)
            if (disk->nodes[dir].cached.items[i].node == node) return true;
    return false;
}

sim_file *sim_disk_file(sim_disk *disk, uint32_t number)
{
    return disk_names(disk, number) ? &disk->nodes[number].file : NULL;
}

uint32_t sim_disk_file_count(const sim_disk *disk)
{
    return disk->node_count;
}
