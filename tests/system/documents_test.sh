#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# /openapi.json and /asyncapi.json before Redocly's, Spectral's and AsyncAPI's own judges, and the CloudEvents
# routes before the client that most others use (tests/judges).
set -euo pipefail
source "$(dirname "$0")/lib.bash"
judges=$SKALD_SOURCE_DIR/tests/judges
installed=${SKALD%/*}/judges

install_judges() { # once for each lock file
    local lock
    command -v node > /dev/null && command -v npm > /dev/null || skip "there is no node, or no npm"
    [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ] || skip "node is older than 18"
    lock=$(sha256sum < "$judges/package-lock.json")
    [ "$(cat "$installed/done" 2> /dev/null)" = "$lock" ] && return
    mkdir -p "$installed"
    cp "$judges/package.json" "$judges/package-lock.json" "$installed"
    (cd "$installed" && timeout 300 npm ci --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel=error \
        --fetch-retries=1 --fetch-timeout=30000) > "$WORK/npm" 2>&1 ||
        skip "npm ci could not fetch the judges: $(tail -n 1 "$WORK/npm")"
    echo "$lock" > "$installed/done"
}

install_judges
start_server
curl -sS --fail-with-body -o /dev/null -X PUT -H 'Content-Type: application/json' \
    -d '{"aliases":["ODD_MADE"]}' "$URL/api/types/odd.made" || fail "PUT /api/types"
(cd "$installed" && node "$judges/documents.mjs" "$URL") || fail "a judge refuses a document"
(cd "$installed" && node "$judges/cloudevents.mjs" "$URL") || fail "the CloudEvents client is not served"
stop_server
