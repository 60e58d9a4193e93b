#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# package.sh BUILD CC FLAGS: installs a build into an empty prefix and compiles a program against it
# the four ways others do: pkg-config and find_package, shared and static. FLAGS are what the build
# itself was compiled with, since a sanitizer must be in all of a program or in none.
set -euo pipefail

build=$1 cc=$2 flags=$3
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

say() { echo "== $*"; }

say install
cmake --install "$build" --prefix "$prefix" >"$work/log" || { cat "$work/log"; exit 1; }
pc=$(dirname "$(find "$prefix" -name skald.pc)")
lib=$(dirname "$pc")
export PKG_CONFIG_PATH=$pc LD_LIBRARY_PATH=$lib
read -r -a words <<<"$flags"
# What only the Debian package may put into the system stays away.
if grep -v "^$prefix/" "$build/install_manifest.txt"; then echo 'that is outside of the prefix'; exit 1; fi
for file in man/man1/skald.1.gz bash-completion/completions/skald zsh/site-functions/_skald fish/vendor_completions.d/skald.fish; do
    if [ ! -s "$prefix/share/$file" ]; then echo "not installed: $file"; exit 1; fi
done

say 'the soname changes with the minor version, and only the public API is exported'
version=$(pkg-config --modversion skald)
soname=$(objdump -p "$lib/libskald.so" | awk '/SONAME/ { print $2 }')
if [ "$soname" != "libskald.so.${version%.*}" ]; then echo "$soname of $version"; exit 1; fi
# What a sanitizer or gcov adds begins with __ or is theirs by name.
other=$(nm -D --defined-only "$lib/libskald.so" | awk '$3 !~ /^skald_/ { print $3 }')
if [ -n "$other" ]; then echo "exported: $other"; exit 1; fi
for header in "$prefix"/include/skald/*.h; do
    "$cc" -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I"$prefix/include" -x c "$header"
    c++ -std=c++11 -Wall -Wextra -Werror -fsyntax-only -I"$prefix/include" -x c++ "$header"
done

say 'pkg-config, shared'
# shellcheck disable=SC2046
"$cc" "${words[@]}" $(pkg-config --cflags skald) "$here/consumer.c" -o "$work/shared" $(pkg-config --libs skald)
"$work/shared"

say 'pkg-config, static'
libs=$(pkg-config --static --libs skald)
# shellcheck disable=SC2046
"$cc" "${words[@]}" $(pkg-config --cflags skald) "$here/consumer.c" -o "$work/static" \
    ${libs/-lskald/-l:libskald.a}
"$work/static"

say 'find_package, shared and static'
mkdir "$work/project"
cp "$here/consumer.c" "$work/project/"
sed "s/@VERSION@/${version%.*}/" "$here/CMakeLists.txt" >"$work/project/CMakeLists.txt"
cmake -S "$work/project" -B "$work/project/build" -G Ninja -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_C_FLAGS="$flags" -DCMAKE_PREFIX_PATH="$prefix" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
cmake --build "$work/project/build" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$work/project/build/consumer_shared"
"$work/project/build/consumer_static"

for program in "$prefix"/bin/*; do
    if [ -x "$program" ]; then
        say "installed: ${program##*/}"
        "$program" --help >/dev/null
    fi
done
