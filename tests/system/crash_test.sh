#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The server is killed with -9 while events are published, again and again. A journal outside of it
# keeps what was acknowledged: all of it must be there afterwards, once, at the position it was given.
set -euo pipefail
source "$(dirname "$0")/lib.bash"

rounds=${SKALD_CRASH_ROUNDS:-5}
journal=$WORK/journal
: > "$journal"
port=$(free_port)

publish_until_dead() { # WORKER ROUND: one event after the other; journal what was acknowledged
    local n=0 reply
    while reply=$(curl -fsS -X POST -H 'Content-Type: application/json' \
        -d "{\"type\":\"crash.test\",\"stream\":\"worker-$1\",\"data\":{\"round\":$2,\"n\":$n}}" "$URL/api/events" 2> /dev/null); do
        echo "$reply" >> "$journal.$1"
        n=$((n + 1))
    done
}

for round in $(seq "$rounds"); do
    start_server --port "$port"
    workers=()
    for worker in 1 2 3; do
        publish_until_dead "$worker" "$round" &
        workers+=($!)
    done
    acknowledged() { [ "$(cat "$journal".* 2> /dev/null | wc -l)" -ge $((round * 10)) ]; }
    wait_until 30 "something to lose" acknowledged
    sleep "0.$((RANDOM % 5 + 3))"
    kill_server
    wait "${workers[@]}" 2> /dev/null || true
done
cat "$journal".* > "$journal"

start_server --port "$port"
"$SKALD" export --url "$URL" --type crash.test "$WORK/exported" > /dev/null
sed -E 's/.*"id":"([^"]*)","position":([0-9]*),.*/\1 \2/' "$journal" | sort > "$WORK/acknowledged"
sed -E 's/^\{"id":"([^"]*)".*"position":([0-9]*),"(tenantId|correlationId)".*/\1 \2/' "$WORK/exported" | sort > "$WORK/stored"
count=$(wc -l < "$WORK/acknowledged")
[ "$count" -gt 20 ] || fail "only $count events were acknowledged"
missing=$(comm -23 "$WORK/acknowledged" "$WORK/stored" | head -n 3)
[ -z "$missing" ] || fail "acknowledged and not there: $missing"
doubled=$(cut -d' ' -f1 "$WORK/stored" | uniq -d | head -n 3)
[ -z "$doubled" ] || fail "there twice: $doubled"
stop_server
"$SKALD" verify --data "$DATA" > "$WORK/verify.out" || fail "verify: $(cat "$WORK/verify.out")"
echo "$count acknowledged events are there after $rounds crashes"
