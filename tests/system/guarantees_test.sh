#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# docs/guarantees.md names tests: each of them exists in CTest, and none of them is switched off.
set -euo pipefail
source "$(dirname "$0")/lib.bash"

document=$SKALD_SOURCE_DIR/docs/guarantees.md
ctest --test-dir "${SKALD%/*}" -N > "$WORK/tests" || fail "ctest does not list the tests of ${SKALD%/*}"
sed -nE 's/^ *Test +#[0-9]+: ([^ ]+).*/\1/p' "$WORK/tests" | sort > "$WORK/known"
[ -s "$WORK/known" ] || fail "CTest knows no test"
grep -oE '`[a-z0-9_]+`' "$document" | tr -d '`' | grep -E '^(fuzz|system)_|_test$' | sort -u > "$WORK/named"
[ "$(lines "$WORK/named")" -ge 15 ] || fail "only $(lines "$WORK/named") tests are named"
missing=$(comm -23 "$WORK/named" "$WORK/known")
[ -z "$missing" ] || fail "docs/guarantees.md names what is no test: $missing"
# Every promise has one: a line of a table of promises ends with a name.
grep -E '^\| .* \|$' "$document" | grep -vE '^\| (the words|promise|what) \|' | awk -F'|' 'NF >= 4 && $0 !~ /`/' > "$WORK/bare"
[ ! -s "$WORK/bare" ] || fail "a promise without a test: $(cat "$WORK/bare")"
echo "$(lines "$WORK/named") tests named, all there"
