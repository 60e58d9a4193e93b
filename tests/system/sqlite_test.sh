#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A server over one SQLite file: kill -9 loses nothing, the file is held by one process, and the
# commands that read a directory read it too.
set -euo pipefail
. "${SKALD_SOURCE_DIR:?}/tests/system/lib.bash"

DATA=sqlite:$WORK/store.db
event='{"type":"order.created","stream":"order-1","data":{"total":99}}'

start_server
for _ in 1 2 3; do
    curl -sSf -X POST "$URL/api/events" -H 'Content-Type: application/json' -d "$event" > "$WORK/answer"
done
if "$SKALD" verify --data "$DATA" > "$WORK/out" 2>&1; then fail "two processes have the file"; fi
grep -q "held by process $SERVER_PID" "$WORK/out" || fail "does not say who has it: $(cat "$WORK/out")"
kill_server

start_server
curl -sSf -X POST "$URL/api/events" -H 'Content-Type: application/json' -d "$event" > "$WORK/answer"
curl -sSf "$URL/api/streams/order-1" > "$WORK/answer"
[ "$(grep -o '"type":"order.created"' "$WORK/answer" | wc -l)" = 4 ] || fail "not four events: $(cat "$WORK/answer")"
stop_server

[ "$("$SKALD" read --data "$DATA" --json | grep -c '"order-1"')" = 4 ] || fail "read gives other events"
"$SKALD" verify --data "$DATA" | grep 'all is well' > /dev/null || fail "verify finds damage"
[ ! -e "$WORK/store.db-wal" ] || fail "a log is left beside the file"
