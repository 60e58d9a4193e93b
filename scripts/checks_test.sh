#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Plants one violation at a time in a small tree and sees that check-layers and check-style find it,
# and that they are content with a tree that keeps the rules.
set -euo pipefail

scripts=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
spdx='// SPDX-License-Identifier: Apache-2.0'
failed=0

# tree_new makes a tree that keeps all rules.
tree_new() {
    rm -rf "${tree:?}"/*
    mkdir -p "$tree"/src/{base,os,store/log,store/memory,bus,net} "$tree"/{include/skald,server,bench,tests/sim}
    printf '%s\n' '# a comment' '0 src/base' '1 src/os' '3 src/store' '4 src/bus' '4 src/net' \
        '9 server' '9 bench' '9 examples' '0 include/skald/base.h' '4 include/skald/bus.h' >"$tree/src/LAYERS"
    local file
    for file in src/base/str.h src/os/file.h src/store/store.h src/store/log/log.h \
        src/store/memory/memory.h src/bus/bus.h src/net/http.h server/cmd.h include/skald/bus.h; do
        echo "$spdx" >"$tree/$file"
    done
    plant include/skald/bus.h '#include <skald/base.h>'
    plant include/skald/base.h '#include <stdint.h>' 'int skald_base(int (*fn)(void *context));'
    plant src/store/drivers.c '#include "store/log/log.h"' '#include "store/memory/memory.h"'
    plant src/store/log/log.c '#include "store/log/log.h"' '#include "store/store.h"' \
        '#include "os/file.h"' '#include <skald/base.h>' '#include <uv.h>'
    plant src/base/alloc.c 'void *x(void)' '{' '    return malloc(1);' '}'
    plant src/os/file.c 'int x(void)' '{' '    return open("x", 0);' '}'
    plant src/bus/bus.c 'static const char *const names[] = {"static int x;"};' 'typedef int (*fn)(void);' \
        'int x(ops *ops)' '{' '    static const int two = 2;' '    // strcpy(to, from); free(x)' \
        '    ops->read(ops->file, "malloc(1)"); /* open(' '    close( */' '    if (!ops) goto out;' \
        'out:' '    return snprintf(0, 0, "a")+two;' '}'
    plant src/bus/bus_test.c 'static int calls;' 'void y(void)' '{' '    free(malloc(1));' '}'
    plant src/bus/json.c 'void z(char *text)' '{' '    free(text); // style: made by the JSON library' '}'
    plant server/main.c '#include "cmd.h"' '#include <skald/bus.h>' 'static volatile sig_atomic_t stopped;'
    plant tests/sim/sim_test.c '#include "store/store.h"' '#include "bus/bus.h"'
    find "$tree" -type d | while read -r folder; do echo x >"$folder/README.md"; done
}

# plant FILE LINE... makes a file of these lines below an SPDX line.
plant() {
    local file=$1
    shift
    printf '%s\n' "$spdx" "$@" >"$tree/$file"
}

complain() {
    echo "FAILED: $1" >&2
    if [ -f "$tree/out" ]; then sed 's/^/    /' "$tree/out" >&2; fi
    failed=1
}

# finds CHECK TEXT FILE LINE... plants and expects a failure whose message has FILE and TEXT.
finds() {
    local check=$1 text=$2 file=$3
    tree_new
    mkdir -p "$(dirname "$tree/$file")"
    plant "${@:3}"
    if "$scripts/$check" "$tree" >"$tree/out" 2>&1; then
        complain "$check lets pass: ${*:3}"
    elif ! grep -F "$file" "$tree/out" | grep -qF "$text"; then
        complain "$check does not say '$text' of ${*:3}"
    fi
}

tree_new
for check in check-layers check-style; do
    "$scripts/$check" "$tree" >"$tree/out" 2>&1 || complain "$check refuses a good tree"
done

layers() { finds check-layers "$@"; }
layers 'goes up from src/base to src/os/file.h' src/base/a.c '#include "os/file.h"'
layers 'goes up from src/store to src/bus/bus.h' src/store/log/a.h '  #  include "bus/bus.h"'
layers 'goes up from src/os' src/os/a.c '#include <store/store.h>'
layers 'goes sideways from src/bus to src/net' src/bus/a.c '#include "net/http.h"'
layers 'goes sideways from src/store/log' src/store/log/a.c '#include "store/memory/memory.h"'
layers 'goes up from src/store to include/skald/bus.h' src/store/a.c '#include <skald/bus.h>'
layers 'goes up from include/skald/base.h' include/skald/base.h '#include <skald/bus.h>'
layers 'a public header includes' include/skald/bus.h '#include "base/str.h"'
layers 'no .. in a path' src/bus/a.c '#include "../net/http.h"'
layers 'no .. in a path' server/a.c '#include "../src/bus/bus.h"'
layers 'server sees include/ only' server/a.c '#include "bus/bus.h"'
layers 'bench sees include/ only' bench/a.c '#include "base/str.h"'
layers 'examples sees include/ only' examples/embed/a.c '#include "base/str.h"'
layers 'does not place this file' src/new/a.c 'int x(void);'

style() { finds check-style "$@"; }
many() { for _ in $(seq "$1"); do echo "$2"; done; }
mapfile -t long_body < <(many 70 '    x();')
mapfile -t long_file < <(many 801 '// x')
for call in strcpy strcat sprintf vsprintf strtok atoi gets alloca; do
    style 'a banned function' src/bus/a.c 'void x(void)' '{' "    $call (a, b);" '}'
done
style 'a banned function' tests/sim/a.c 'void x(void)' '{' '    strcpy(a, b);' '}'
for call in malloc calloc realloc free strdup; do
    style 'memory comes from' src/os/a.c 'void x(void)' '{' "    y = $call(a);" '}'
done
for call in open read pwrite fsync fdatasync rename socket fork kill pthread_create epoll_wait \
    clock_gettime time getrandom fopen usleep; do
    style 'os/ only' src/bus/a.c 'void x(void)' '{' "    if ($call(a) < 0) return;" '}'
done
style 'os/ only' src/store/a.h '#include <pthread.h>'
style 'a banned function' src/bus/a.c 'void x(void)' '{' '    strcpy(a, b); // style: no' '}'
style 'never prints' src/bus/a.c 'void x(void)' '{' '    fprintf(stderr, "x");' '}'
style 'never exits' src/bus/a.c 'void x(void)' '{' '    exit(1);' '}'
for variable in 'static int calls;' 'int calls = 1;' 'static struct point origin = {0};' \
    'static const char *names[] = {"a"};' 'static int (*hook)(void);' 'static _Thread_local int x;'; do
    style 'a variable outside functions' src/bus/a.c "$variable"
    style 'a variable outside functions' server/a.c "$variable"
done
style 'outlives its function' src/bus/a.c 'void x(void)' '{' '    static int calls;' '}'
style 'goto goes back' src/bus/a.c 'void x(void)' '{' 'again:' '    y();' '    goto again;' '}'
style 'a function of 73 lines' src/bus/a.c 'void x(void)' '{' "${long_body[@]}" '}'
style 'a file of 802 lines' src/bus/a.c "${long_file[@]}"
style 'a line of 101 columns' src/bus/a.c "// $(printf '%098d' 0)"
style 'an unfinished note' src/bus/a.c "// TO""DO: later"
style 'an unfinished note' src/bus/README.md "FIX""ME"
style 'one desk' src/bus/a.c "// see /wo""rk/shared"
style 'one desk' src/bus/a.c "// see ../sha""red/x.md"
style 'one desk' src/bus/README.md "as iss""ue 12 asks"

tree_new
echo 'int x(void);' >"$tree/src/bus/a.h"
if "$scripts/check-style" "$tree" >"$tree/out" 2>&1; then complain 'a file without SPDX line'; fi
tree_new
rm "$tree/src/store/log/README.md"
if "$scripts/check-style" "$tree" >"$tree/out" 2>&1; then complain 'a folder without README.md'; fi
tree_new
many 61 x >"$tree/src/bus/README.md"
if "$scripts/check-style" "$tree" >"$tree/out" 2>&1; then complain 'a README.md of more than a page'; fi
exit $failed
