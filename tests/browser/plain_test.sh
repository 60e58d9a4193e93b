#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# plain_test.sh: without npm, or without a network to fetch from, the page is the plain one and CMake says so; what is made
# of it compiles as any other.
set -euo pipefail
source "$(dirname "$0")/../system/lib.bash"

# SKALD_NPM is what CMake found: 0 is no npm, the other one an npm that fails.
for npm in 0 /bin/false; do
    build=$WORK/build-${npm##*/}
    cmake --preset release -S "$SKALD_SOURCE_DIR" -B "$build" -DSKALD_NPM="$npm" > "$WORK/said" 2>&1 ||
        fail "CMake fails without npm: $(tail -n 5 "$WORK/said")"
    grep -q 'The page is NOT built: .*The server gets a plain one; the API is whole' "$WORK/said" ||
        fail "CMake does not say that the page is missing"
    IFS=';' read -r -a how < "$build/page-how.txt" # what the build itself would run
    cmake -DOUTPUT="$build/assets.c" -DICONS="$SKALD_SOURCE_DIR/web/public/assets" "${how[@]}" \
        -P "$SKALD_SOURCE_DIR/cmake/embed.cmake" || fail "the plain page cannot be embedded"
    ${CC:-cc} -std=c17 -Wall -Wextra -Werror -fsyntax-only -I "$SKALD_SOURCE_DIR/include" -I "$SKALD_SOURCE_DIR/src" "$build/assets.c" ||
        fail "the plain page does not compile"
    grep -q SKALD_PAGE_PLAIN "$build/assets.c" || fail "that is not the plain page"
    grep -q '"index.html", "text/html' "$build/assets.c" || fail "there is no page at all"
done
echo "without npm: a plain page, and it is said"
