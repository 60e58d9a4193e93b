#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Durable means synced: of the real program, 20 posts one after the other need 20 fdatasync calls of
# the log, each before its answer.
set -euo pipefail
source "$(dirname "$0")/lib.bash"

command -v strace > /dev/null || skip "strace is missing (scripts/setup test installs it)"
# Looking for leaks at the end needs the very thing that strace uses.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
start_server
strace -f -qq -e trace=fdatasync -o "$WORK/trace" -p "$SERVER_PID" 2> "$WORK/strace.err" &
tracer=$!
OTHER_PIDS=$tracer
for _ in $(seq 100); do
    grep -q "TracerPid:.*[1-9]" "/proc/$SERVER_PID/status" && break
    kill -0 "$tracer" 2> /dev/null || skip "this machine does not let strace attach: $(cat "$WORK/strace.err")"
    sleep 0.05
done
sleep 0.5 # the watermark that an idle store writes once is not one of the twenty
before=$(grep -c 'fdatasync.*= 0' "$WORK/trace" || true)
for n in $(seq 20); do
    post /api/events "{\"type\":\"durable.test\",\"data\":$n}" > /dev/null
    now=$(grep -c 'fdatasync.*= 0' "$WORK/trace" || true)
    [ "$now" -ge $((before + n)) ] || fail "answer $n came after $((now - before)) syncs"
done
stop_server
echo "20 answers, at least 20 syncs before them"
