#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Clients that mean harm: smuggled requests, folded and broken headers, lengths that lie, paths that leave,
# bombs, floods, half-closed, slow and ten thousand connections. The server refuses or bounds each, and
# says how much memory it had before and after (a sanitizer's own memory counts there).
set -euo pipefail
source "$(dirname "$0")/lib.bash"

command -v node > /dev/null || skip "node is not there"
resident_max_mib=1024 # a sanitizer keeps what was freed; without one it is a fraction of that
connections=10000
ulimit -n "$(ulimit -Hn)"
files=$(ulimit -n)
if [ "$files" != unlimited ] && [ "$files" -lt $((connections + 500)) ]; then
    connections=$((files - 500))
    echo "SKIPPED in part: $connections connections, for $files files may be open"
fi
start_server
node "$SKALD_SOURCE_DIR/tests/system/hostile.mjs" "${URL##*:}" "$SERVER_PID" "$connections" ||
    fail "a hostile client got through"
resident=$(($(awk '/^VmRSS/ { print $2 }' "/proc/$SERVER_PID/status") / 1024))
[ "$resident" -lt "$resident_max_mib" ] || fail "$resident MiB resident at the end"
# What it refused it has counted, and it goes on as if nothing had been.
shows /metrics 'skald_http_refused_total{reason="overload"}' || fail "the metrics do not say it"
post /api/events '{"type":"honest.event"}' > /dev/null
expect "honest events" "$(stored honest.event)" 1
stop_server
echo "hostile clients are refused or bounded"
