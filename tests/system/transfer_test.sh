#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Export, import and verify: events go from one server to another and to a directory and come back
# equal; bad lines are named and the rest is stored; importing again doubles nothing, also when the
# server dies in the middle; a byte that changed on disk is found and what is not damaged is read.
set -euo pipefail
source "$(dirname "$0")/lib.bash"

# Everything but what a store gives anew.
envelopes() { sed -E 's/"position":[0-9]+,//; s/"recordedAt":"[^"]*",//' "$1"; }

test_round_trip() {
    local first offline=$WORK/offline
    post /api/events '[
        {"type":"t.full","stream":"t-1","data":{"z":1,"a":[1.50,-0,1e-7,"\u0000é"],"n":18446744073709551615},
         "correlationId":"chain","causationId":"cause","actor":{"userId":"u1","role":"admin"},"source":"elsewhere",
         "priority":"critical","occurredAt":"2020-02-29T23:59:59.999999Z","tags":["a:1","b:2"],"metadata":{"k":[null]},
         "traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","version":3},
        {"type":"t.plain"},
        {"type":"t.tenant","stream":"t-1","tenantId":"other","data":"same stream, other tenant"},
        {"type":"t.full","stream":"t-1","data":"second of its stream"}]' > /dev/null
    post /api/events/test '{"type":"t.test","data":true}' > /dev/null
    "$SKALD" export --url "$URL" --type 't.*' > "$WORK/a"
    expect "events exported" "$(lines "$WORK/a")" 5
    envelopes "$WORK/a" > "$WORK/want"

    # To another server, by pipe; twice.
    first=$URL
    other_server
    DATA=$WORK/second start_server
    for _ in 1 2; do
        "$SKALD" export --url "$first" | "$SKALD" import --url "$URL" --json - > "$WORK/out"
        expect "import" "$(cat "$WORK/out")" '{"accepted":6,"rejected":0}'
        "$SKALD" export --url "$URL" --type 't.*' > "$WORK/b"
        envelopes "$WORK/b" | diff "$WORK/want" - || fail "the other server has other events"
    done
    expect "both servers' own first event" "$(stored system.startup)" 2
    stop_server

    # To a directory, twice; read and verified there; then served.
    for _ in 1 2; do
        ended 0 "$SKALD" import --data "$offline" "$WORK/a"
        expect "import" "$(cat "$WORK/out")" '5 events stored, 0 lines rejected'
    done
    ended 0 "$SKALD" export --data "$offline" "$WORK/c" --json
    expect "export" "$(cat "$WORK/out")" '{"events":5}'
    envelopes "$WORK/c" | diff "$WORK/want" - || fail "the directory has other events"
    ended 0 "$SKALD" read --data "$offline" --category t --backward --limit 1 --tenant ''
    expect_like "read" "$(cat "$WORK/out")" '*"second of its stream"'
    ended 0 "$SKALD" verify --data "$offline"
    expect_like "verify" "$(cat "$WORK/out")" '5 events in 1 segment, * bytes: all is well'
    ended 0 "$SKALD" verify --json --data "$offline"
    expect_like "verify" "$(cat "$WORK/out")" '{"events":5,"segments":1,"bytes":*,"lastPosition":5,"damaged":\[\]}'
    DATA=$offline start_server
    "$SKALD" export --url "$URL" --type 't.*' > "$WORK/b"
    diff "$WORK/c" "$WORK/b" || fail "the server reads other events than the export of its directory"
    stop_server
}

test_bad_lines() {
    {
        echo '{"type":"l.good","data":1}'
        echo '{"type":"l.bad"'
        echo
        echo 'null'
        printf '{"type":"l.good","data":2}\r\n'
        echo '{"type":"l.bad","dta":1}'
        echo '{"data":"no type"}'
        printf '{"type":"l.bad","data":"\0"}\n'
        printf '{"type":"l.bad","data":"\377"}\n'
        printf '{"type":"l.bad","data":"'
        head -c $((17 * 1024 * 1024)) /dev/zero | tr '\0' x
        printf '"}\n'
        printf '{"type":"l.good","data":3}' # no line end
    } > "$WORK/mixed"
    for target in --url --data; do
        if [ $target = --url ]; then set -- --url "$URL"; else set -- --data "$WORK/mixed.store"; fi
        ended 1 "$SKALD" import "$@" "$WORK/mixed"
        expect "import" "$(cat "$WORK/out")" '3 events stored, 7 lines rejected'
        expect "the lines that are refused" "$(sed -En 's/^skald: line ([0-9]+): ..*/\1/p' "$WORK/err" | tr '\n' ' ')" '2 4 6 7 8 9 10 '
        grep -q "^skald: line 6: .*dta" "$WORK/err" || fail "the unknown member is not named: $(cat "$WORK/err")"
        ended 0 "$SKALD" read --type 'l.*' "$@"
        expect "what is stored" "$(sed 's/.* //' "$WORK/out" | tr '\n' ' ')" '1 2 3 '
    done
    ended 0 "$SKALD" import --from-line 11 --url "$URL" "$WORK/mixed"
    expect "import from line 11" "$(cat "$WORK/out")" '1 event stored, 0 lines rejected'
    # An id that is known with other content is one line's affair.
    id=0192f0c1-7d3e-7c55-a1b2-0123456789ab
    printf '%s\n' "{\"type\":\"l.id\",\"id\":\"$id\",\"data\":1}" '{"type":"l.other"}' \
        "{\"type\":\"l.id\",\"id\":\"$id\",\"data\":2}" > "$WORK/ids"
    for target in --url --data; do
        if [ $target = --url ]; then set -- --url "$URL"; else set -- --data "$WORK/mixed.store"; fi
        ended 1 "$SKALD" import "$@" "$WORK/ids"
        expect "import" "$(cat "$WORK/out")" '2 events stored, 1 line rejected'
        said "skald: line 3: *"
    done
}

# The import reads from a pipe that this test fills, so where the server dies is no matter of luck.
test_restart() {
    local pipe=$WORK/pipe import status=0
    mkfifo "$pipe"
    "$SKALD" import --url "$URL" - < "$pipe" > "$WORK/out" 2> "$WORK/err" &
    import=$!
    OTHER_PIDS="${OTHER_PIDS:-} $import"
    exec 9> "$pipe"
    seq 1 900 | sed 's/.*/{"type":"p.many","stream":"p-1","data":&}/' >&9
    arrived() { [ "$(stored p.many)" -ge 500 ]; }
    wait_until 20 "the first half of an import" arrived
    kill_server
    seq 901 1500 | sed 's/.*/{"type":"p.many","stream":"p-1","data":&}/' >&9
    waiting() { grep -q "waiting for $URL" "$WORK/err"; }
    wait_until 20 "the import to notice that the server is gone" waiting
    start_server --port "$port" 9>&-
    exec 9>&-
    wait "$import" || status=$?
    expect "import's exit" "$status" 0
    expect "import" "$(cat "$WORK/out")" '1500 events stored, 0 lines rejected'
    "$SKALD" read --url "$URL" --type p.many | sed 's/.* //' > "$WORK/numbers"
    seq 1500 | diff -q - "$WORK/numbers" > /dev/null || fail "events are lost, doubled or out of order"
}

test_damage() {
    local data=$WORK/damaged segment offset
    seq 1000 | sed 's/.*/{"type":"d.event","data":"payload &."}/' > "$WORK/thousand"
    ended 0 "$SKALD" import --data "$data" "$WORK/thousand"
    segment=$(grep -rl 'payload 500\.' "$data")
    offset=$(grep -abo 'payload 500\.' "$segment" | cut -d: -f1)
    printf X | dd of="$segment" bs=1 seek="$offset" conv=notrunc status=none
    ended 1 "$SKALD" verify --data "$data"
    expect_like "verify" "$(cat "$WORK/out")" "damaged: *$(basename "$segment") at byte *"
    ended 1 "$SKALD" verify --json --data "$data"
    # One range, which holds the byte and names the event.
    sed -E 's/.*"damaged":\[\{"file":"([^"]*)","offset":([0-9]+),"length":([0-9]+),"firstPosition":([0-9]+),"lastPosition":([0-9]+),"why":"[^"]+"\}\]\}/\1 \2 \3 \4 \5/' \
        "$WORK/out" > "$WORK/range"
    read -r file from length first last < "$WORK/range"
    [ "$(basename "$file")" = "$(basename "$segment")" ] || fail "verify names the file $file"
    [ "$from" -le "$offset" ] && [ "$offset" -lt $((from + length)) ] || fail "the byte $offset is not in $(cat "$WORK/range")"
    [ "$first" -le 500 ] && [ 500 -le "$last" ] || fail "position 500 is not in $(cat "$WORK/range")"
    [ $((last - first)) -lt 1000 ] || fail "the range is the whole log"
    # What is not damaged can be had; that something is missing is said and is the exit code.
    ended 1 "$SKALD" export --data "$data" "$WORK/rest"
    [ -s "$WORK/err" ] || fail "export says nothing of the damage"
    [ "$(lines "$WORK/rest")" -ge 499 ] || fail "export gives only $(lines "$WORK/rest") of 999 events"
    [ "$(lines "$WORK/rest")" -lt 1000 ] || fail "export gives the damaged event"
    # Nobody writes behind damage: a server gives what can be read, and says why it takes nothing.
    cp "$segment" "$WORK/before"
    DATA=$data start_server
    expect "ready" "$(status GET /ready)" 200
    expect_like "ready" "$(cat "$WORK/reply")" '{"status":"degraded",*"store":{"status":"damaged",*"damaged":\[{"file":"seg-*'
    expect "an append" "$(status POST /api/events -H 'Content-Type: application/json' -d '{"type":"d.more"}')" 503
    expect_like "an append" "$(cat "$WORK/reply")" '*damaged*READ_ONLY*'
    expect "a read behind it" "$(status GET "/api/events?limit=1&after=$last")" 200
    stop_server
    ended 3 "$SKALD" import --data "$data" "$WORK/thousand"
    cmp -s "$segment" "$WORK/before" || fail "a damaged segment was written to"
}

port=$(free_port)
start_server
test_round_trip
DATA=$WORK/data2 start_server --port "$port"
DATA=$WORK/data2
test_bad_lines
test_restart
stop_server
test_damage
echo "what is exported can be imported, and damage is found"
