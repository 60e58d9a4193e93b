# SPDX-License-Identifier: Apache-2.0
# What fresh-machine and fresh-package share: a bare Debian 12 below FRESH_DIR (/tmp/fresh), made by
# debootstrap or from the archive of the last run. Needs root, debootstrap and, the first time, network.
#
# What keeps the machine that this runs on safe:
#   1. Everything is mounted in a mount namespace of its own, made private first: nothing is seen
#      outside, and all of it is gone when the last process in it ends, also after kill -9.
#   2. Its /dev is its own: six nodes made by mknod. The host's /dev is never mounted there.
#   3. Its processes live in a PID namespace: they end with it.
#   4. The tree is removed only after seeing that nothing is mounted below it, and only on that one
#      file system (rm --one-file-system).

project=$(cd "$(dirname "$0")/.." && pwd)
dir=${FRESH_DIR:-/tmp/fresh}
base=$dir/base.tar
tree=$dir/${0##*/} # one for each script: they may run beside each other
mirror=${FRESH_MIRROR:-} # empty: debootstrap's own

say() { printf '\n== %s\n' "$*"; }
fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# tree_remove removes the tree, or refuses.
tree_remove() {
    if [ ! -e "$tree" ]; then return 0; fi
    case "$(readlink -f "$tree")" in
    /*/*) ;;
    *) fail "will not remove $tree" ;;
    esac
    if awk -v below="$(readlink -f "$tree")" \
        '$5 == below || index($5, below "/") == 1 { found = 1 } END { exit !found }' /proc/self/mountinfo; then
        fail "something is mounted below $tree; not removed"
    fi
    rm --one-file-system -rf "$tree"
}

# machine_make makes the tree: from the archive of the last run when there is one, else by debootstrap.
machine_make() {
    mkdir -p "$tree"
    if [ -f "$base" ]; then
        say "unpack $base"
        tar -C "$tree" --numeric-owner -xpf "$base"
    else
        say "debootstrap of Debian 12${mirror:+ from $mirror}"
        debootstrap --variant=minbase --include=ca-certificates,git,make bookworm "$tree" ${mirror:+"$mirror"}
        chroot "$tree" apt-get clean
        # debootstrap leaves /proc mounted when it fails half-way: in this namespace only.
        if mountpoint -q "$tree/proc"; then umount "$tree/proc"; fi
        tar -C "$tree" --numeric-owner --one-file-system -cpf "$base.new" .
        mv "$base.new" "$base"
    fi
    rm --one-file-system -rf "${tree:?}/dev"
    mkdir -p "$tree/dev/shm" "$tree/dev/pts"
    mknod -m 666 "$tree/dev/null" c 1 3
    mknod -m 666 "$tree/dev/zero" c 1 5
    mknod -m 666 "$tree/dev/full" c 1 7
    mknod -m 666 "$tree/dev/random" c 1 8
    mknod -m 666 "$tree/dev/urandom" c 1 9
    mknod -m 666 "$tree/dev/tty" c 5 0
    ln -s /proc/self/fd "$tree/dev/fd"
    ln -s /proc/self/fd/0 "$tree/dev/stdin"
    ln -s /proc/self/fd/1 "$tree/dev/stdout"
    ln -s /proc/self/fd/2 "$tree/dev/stderr"
    chmod 1777 "$tree/dev/shm"
}

# machine_connect gives it this host's way to the network: resolver, proxy and Debian sources of apt,
# certificates. Sources of other vendors stay away: a newcomer does not have them.
machine_connect() {
    local source
    cp -L /etc/resolv.conf "$tree/etc/resolv.conf"
    cp -L /etc/hosts "$tree/etc/hosts"
    for source in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
        if [ -f "$source" ] && grep -q 'debian\.org\|debian-archive-keyring' "$source"; then
            cp -L "$source" "$tree${source}"
        fi
    done
    if [ -f "$tree/etc/apt/sources.list.d/debian.sources" ]; then rm -f "$tree/etc/apt/sources.list"; fi
    grep -lis 'proxy\|https::\|retries' /etc/apt/apt.conf /etc/apt/apt.conf.d/* | while read -r source; do
        cp -L "$source" "$tree${source}"
    done || true
    if [ -d /usr/local/share/ca-certificates ]; then
        cp -rL /usr/local/share/ca-certificates/. "$tree/usr/local/share/ca-certificates/"
    fi
    chroot "$tree" update-ca-certificates >/dev/null 2>&1
}

# inside COMMAND runs a command in the machine, with nothing of this one's environment but proxies.
inside() {
    local keep=() name
    for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY npm_config_registry; do
        if [ -n "${!name:-}" ]; then keep+=("$name=${!name}"); fi
    done
    # npm and curl read the certificates of the machine, also where they bring their own.
    chroot "$tree" /usr/bin/env -i HOME=/root TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt "${keep[@]}" /bin/bash -c "$1"
}

# machine_up makes the machine at $tree and what it needs to run; machine_down ends and removes it.
machine_up() {
    tree_remove
    machine_make
    machine_connect
    mount -t proc proc "$tree/proc"
    mkdir -p "$tree/dev/pts" # terminals of its own, which nobody outside sees
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$tree/dev/pts"
    ln -sf pts/ptmx "$tree/dev/ptmx"
}

machine_down() {
    umount "$tree/dev/pts" "$tree/proc" 2>/dev/null || true
    tree_remove
}

# machine_run STEP ARGUMENT… runs a function beside a machine that is there for it alone.
machine_run() {
    trap 'status=$?; machine_down; exit $status' EXIT
    machine_up
    "$@"
    machine_down
    trap - EXIT
}

# source_into FOLDER copies the project as it was committed; where there is no git, as it is.
source_into() {
    if [ -e "$project/.git" ]; then
        git clone -q --no-hardlinks "$project" "$1"
    else
        mkdir -p "$1"
        tar -C "$project" --exclude=./build --exclude=./data -cf - . | tar -C "$1" -xf -
    fi
}

# machine_begin ARGUMENT… starts the script again, in namespaces of its own; there it returns.
machine_begin() {
    if [ "${FRESH_INSIDE:-}" = yes ]; then
        mount --make-rprivate /
        mount -t proc proc /proc # this PID namespace's
        return 0
    fi
    [ "$(id -u)" -eq 0 ] || fail 'needs root: it makes device nodes and mounts'
    command -v debootstrap >/dev/null || fail 'needs debootstrap: apt-get install debootstrap'
    mkdir -p "$dir"
    exec 9>"$dir/${0##*/}.lock" # kept by what runs inside
    flock -n 9 || fail "another ${0##*/} is at work in $dir"
    FRESH_INSIDE=yes exec unshare --mount --pid --fork --kill-child --propagation private "$0" "$@"
}
