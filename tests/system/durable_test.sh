#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Durable means synced: of the real program, 20 posts one after the other need 20 fdatasync calls of
# the log, each before its answer; and what a sync that fails was for is never acknowledged: the
# program ends, for the kernel may have dropped the bytes and call them clean. The names of new files are
# synced as well.
set -euo pipefail
source "$(dirname "$0")/lib.bash"

command -v strace > /dev/null || skip "strace is missing (scripts/setup test installs it)"
# Looking for leaks at the end needs the very thing that strace uses.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"

# trace_server OPTIONS… attaches strace to the server; what it sees is in $WORK/trace.
trace_server() {
    : > "$WORK/trace"
    strace -f -qq "$@" -o "$WORK/trace" -p "$SERVER_PID" 2> "$WORK/strace.err" &
    tracer=$!
    OTHER_PIDS="${OTHER_PIDS:-} $tracer"
    for _ in $(seq 1200); do
        # A sync of its own, made to fail at once, may have ended it.
        grep -q INJECTED "$WORK/trace" && return
        grep -q "TracerPid:.*[1-9]" "/proc/$SERVER_PID/status" && return
        kill -0 "$tracer" 2> /dev/null ||
            skip "this machine does not let strace attach: $(cat "$WORK/strace.err")"
        sleep 0.05
    done
    fail "strace did not attach in a minute"
}

synced() { grep -c 'fdatasync.*= 0' "$WORK/trace" || true; }

test_syncs() {
    local before now n
    start_server
    trace_server -e trace=fdatasync
    sleep 0.5 # the watermark that an idle store writes once is not one of the twenty
    before=$(synced)
    for n in $(seq 20); do
        post /api/events "{\"type\":\"durable.test\",\"data\":$n}" > /dev/null
        now=$(synced)
        [ "$now" -ge $((before + n)) ] || fail "answer $n came after $((now - before)) syncs"
    done
    stop_server
}

# A segment's name is on the device before anything in it is acknowledged.
test_names() {
    local renamed
    head -c 40000 /dev/zero | tr '\0' x > "$WORK/large"
    printf '{"type":"durable.large","data":"%s"}' "$(cat "$WORK/large")" > "$WORK/large.json"
    rm -rf "$DATA"
    SKALD_SEGMENT_BYTES=65536 start_server
    trace_server -e trace=rename,renameat,renameat2,fsync
    for _ in 1 2 3 4 5 6; do
        expect "the answer" 201 \
            "$(status POST /api/events -H 'Content-Type: application/json' --data-binary "@$WORK/large.json")"
        # What was renamed to a segment and not followed by the sync of a directory.
        awk '/rename.*seg-[0-9.]*log"\) *= 0/ { open++; renamed++ }
            /fsync\(.*= 0/ || /fsync resumed.*= 0/ { open = 0 }
            END { print renamed + 0; exit open > 0 }' "$WORK/trace" > "$WORK/renamed" ||
            fail "acknowledged in a segment whose name was not synced: $(cat "$WORK/trace")"
    done
    renamed=$(cat "$WORK/renamed")
    [ "$renamed" -ge 2 ] || fail "only $renamed segments were begun"
    stop_server
}

# test_failing_sync ERROR: from now on every sync fails with it. ENOSPC is what an allocation that was put
# off says.
test_failing_sync() {
    local error=$1 status=0 got
    rm -rf "$DATA"
    start_server
    post /api/events '[{"type":"durable.kept","data":1},{"type":"durable.kept","data":2}]' > /dev/null
    trace_server -e trace=fdatasync,fsync,sync_file_range -e "inject=fdatasync,fsync:error=$error"
    got=$(status POST /api/events -H 'Content-Type: application/json' -d '{"type":"durable.lost"}' || true)
    [ "${got:0:1}" != 2 ] || fail "answered with $got after a sync that failed with $error"
    for _ in $(seq 1200); do
        kill -0 "$SERVER_PID" 2> /dev/null || break
        sleep 0.05
    done
    ! kill -0 "$SERVER_PID" 2> /dev/null || fail "the server goes on after a sync that failed with $error"
    wait "$SERVER_PID" 2> /dev/null || status=$?
    SERVER_PID=
    [ "$status" != 0 ] || fail "the server ends with 0 after a sync that failed with $error"
    grep -q "$error.*INJECTED" "$WORK/trace" || fail "no sync was made to fail"
    grep -qi 'sync' "$WORK/serve.err" || fail "the server does not say why it ended"
    start_server
    expect "events that were acknowledged" "$(stored durable.kept)" 2
    post /api/events '{"type":"durable.kept","data":3}' > /dev/null
    expect "events that were acknowledged" "$(stored durable.kept)" 3
    stop_server
    ended 0 "$SKALD" verify --data "$DATA"
}

test_syncs
test_names
test_failing_sync EIO
test_failing_sync ENOSPC
echo "20 answers, at least 20 syncs before them; none after a sync that failed"
