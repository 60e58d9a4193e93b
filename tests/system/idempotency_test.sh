#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Idempotency-Key over kill -9: a client that sends every request until it is answered, with one key each, while
# the server is killed again and again, ends with each event exactly once, and the first reply is what it gets.
set -euo pipefail
source "$(dirname "$0")/lib.bash"

rounds=6
each=20

keyed() { # keyed KEY: sends until there is an answer
    for _ in $(seq 200); do
        if curl -s --max-time 5 -o "$WORK/reply.$1" -w '%{http_code}' -H 'Content-Type: application/json' \
            -H "Idempotency-Key: \"$1\"" -d "{\"type\":\"order.placed\",\"stream\":\"order-$1\",\"data\":\"$1\"}" \
            "$URL/api/events" > "$WORK/status.$1" 2> /dev/null && [ "$(cat "$WORK/status.$1")" = 201 ]; then
            return
        fi
        sleep 0.05
    done
    fail "key $1 was never answered: $(cat "$WORK/status.$1" "$WORK/reply.$1")"
}

port=$(free_port)
start_server --port "$port"
for round in $(seq $rounds); do
    pids=
    for i in $(seq $each); do
        keyed "$round-$i" &
        pids="$pids $!"
    done
    sleep "0.0$round"
    kill_server
    start_server --port "$port"
    for pid in $pids; do wait "$pid" || fail "a client failed"; done
done

expect "events stored" "$(stored order.placed)" $((rounds * each))
for round in $(seq $rounds); do
    for i in $(seq $each); do
        cp "$WORK/reply.$round-$i" "$WORK/first"
        keyed "$round-$i"
        cmp -s "$WORK/first" "$WORK/reply.$round-$i" ||
            fail "key $round-$i is answered $(cat "$WORK/reply.$round-$i"), and was $(cat "$WORK/first")"
    done
done
expect "another body" "$(status POST /api/events -H 'Content-Type: application/json' -H 'Idempotency-Key: 1-1' \
    -d '{"type":"order.placed"}')" 422
expect "events stored" "$(stored order.placed)" $((rounds * each))
stop_server
