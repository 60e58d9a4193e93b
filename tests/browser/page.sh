#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# page.sh BUILD: the page in Chromium. Packages go into the build folder, BUILD/browser; screenshots are
# kept in BUILD/browser/shots. Skipped (77) where Chromium, Node or the packages cannot be had.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
export MODULES=$1/browser SHOTS=$1/browser/shots

skip() {
    echo "SKIPPED: the page is not tested in a browser: $*"
    exit 77
}

CHROMIUM=$(command -v chromium || command -v chromium-browser || true)
[ -n "$CHROMIUM" ] || skip "there is no chromium (apt-get install chromium)"
command -v node > /dev/null && command -v npm > /dev/null || skip "there is no node or npm"
if grep -q SKALD_PAGE_PLAIN "$1/assets.c"; then skip "the server was built without its page"; fi
lock=$(sha256sum "$here/package-lock.json" | cut -c1-64)
if [ ! -f "$MODULES/node_modules/.skald-$lock" ]; then
    mkdir -p "$MODULES"
    cp "$here/package.json" "$here/package-lock.json" "$MODULES/"
    (cd "$MODULES" && timeout 60 npm ci --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel=error \
        --fetch-retries=1 --fetch-timeout=20000 > npm.log 2>&1) || skip "npm ci: $(tail -n 1 "$MODULES/npm.log")"
    touch "$MODULES/node_modules/.skald-$lock"
fi
rm -rf "$SHOTS"
export CHROMIUM
cd "$MODULES"
exec node "$here/page_test.mjs"
