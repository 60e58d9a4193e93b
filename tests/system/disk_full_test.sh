#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A small disk runs full again and again, each time elsewhere: in the middle of a segment, where one is
# sealed and the next begun, at a checkpoint, at a start. Appends answer READ_ONLY, reads and deliveries
# go on, and when there is room again the server writes, by itself; nothing acknowledged is lost.
set -euo pipefail
# The small disk is mounted where nobody else sees it, and is gone with us.
if [ -z "${SKALD_PRIVATE_MOUNTS:-}" ] && unshare --mount true 2> /dev/null; then
    SKALD_PRIVATE_MOUNTS=1 exec unshare --mount bash "$0"
fi
source "$(dirname "$0")/lib.bash"

disk=$WORK/disk
mkdir "$disk"
if [ -z "${SKALD_PRIVATE_MOUNTS:-}" ] || ! mount -t tmpfs -o size=6m tmpfs "$disk" 2> /dev/null; then
    skip "this user cannot mount a small disk"
fi
trap 'finish || true; umount --lazy "$disk" && rm -rf --one-file-system "$WORK"' EXIT
DATA=$disk/data
export SKALD_SEGMENT_BYTES=65536
port=$(free_port)
accepted=0
head -c 8000 /dev/zero | tr '\0' x > "$WORK/fill"

put() { # SIZE of the data; the answer's status is in $answer
    printf '{"type":"disk.x","stream":"disk-%d","data":"%s"}' $((accepted % 3)) \
        "$(head -c "$1" "$WORK/fill")" > "$WORK/event.json"
    answer=$(status POST /api/events -H 'Content-Type: application/json' --data-binary "@$WORK/event.json")
    case $answer in
    201) accepted=$((accepted + 1)) ;;
    503) expect_like "the problem" "$(cat "$WORK/reply")" '*"code":"READ_ONLY"*' ;;
    *) fail "an append to a disk that is full or not answers $answer: $(cat "$WORK/reply")" ;;
    esac
}
# ballast BYTES_LEFT: a file that leaves about so much of the disk; less, where the server takes some
# meanwhile, which is as good
ballast() {
    local free
    rm -f "$disk/ballast"
    free=$(df --output=avail -B1 "$disk" | tail -n 1)
    [ "$free" -le "$1" ] || head -c $((free - $1)) /dev/zero > "$disk/ballast" 2> /dev/null || true
}
fill() { # SIZE: until it is full
    for _ in $(seq 400); do
        put "$1"
        [ "$answer" = 201 ] || return 0
    done
    fail "the disk is not full after 400 events of $1 bytes"
}
degraded() {
    expect "reads" "$(status GET '/api/events?limit=1&direction=backward')" 200
    expect "ready" "$(status GET /ready)" 200
    expect_like "ready" "$(cat "$WORK/reply")" '{"status":"degraded","parts":{"store":{"status":"read_only",*'
    expect_like "ready" "$(cat "$WORK/reply")" '*"why":"disk full"*'
}
resumes() {
    put 100
    [ "$answer" = 201 ]
}
all_there() { expect "events that were acknowledged" "$(stored disk.x)" "$accepted"; }

# Every size of what is left, so that another write is the one that fails each time.
test_every_place() {
    local left
    for left in 0 4096 20000 50000 65536 70000 100000 131072 140000 200000; do
        ballast "$left"
        fill $((500 + left % 7000))
        degraded
        rm "$disk/ballast"
        wait_until 20 "the server to write again with $left bytes left before" resumes
        expect_like "the log" "$(grep 'appends are' "$WORK/serve.err" | tail -n 1)" '*appends are taken again*'
        expect_like "ready" "$(get /ready)" '{"status":"ok",*'
    done
    all_there
}

# While the disk is full a small one may still find room; what the log said last is what counts.
checkpoint_written() { [[ $(grep ' a checkpoint ' "$WORK/serve.err" | tail -n 1) = *' was written again '* ]]; }

# A durable subscription goes on over a full disk; where it stands is written when that is possible.
test_checkpoint() {
    local count=0 ids
    post /api/subscriptions '{"name":"disk","filter":{"types":["disk.*"]},"from":"start","inFlightMax":1000}' > /dev/null
    ballast 0
    fill 300
    for _ in $(seq 200); do
        get '/api/subscriptions/disk/deliveries?max=100&waitMs=20000' > "$WORK/taken"
        ids=$(grep -o '"deliveryId":"[^"]*"' "$WORK/taken" | cut -d: -f2 | paste -sd, || true)
        [ -n "$ids" ] || break
        count=$((count + $(grep -o '"deliveryId"' "$WORK/taken" | wc -l)))
        post /api/subscriptions/disk/ack "{\"deliveries\":[$ids]}" > /dev/null
        [ "$count" -lt "$accepted" ] || break
    done
    expect "events delivered while the disk was full" "$count" "$accepted"
    degraded
    rm "$disk/ballast"
    wait_until 20 "the server to write again" resumes
    wait_until 30 "the checkpoint to be written" checkpoint_written
    kill_server
    start_server --port "$port"
    get '/api/subscriptions/disk/deliveries?max=100&waitMs=20000' > "$WORK/taken"
    count=$(grep -o '"deliveryId"' "$WORK/taken" | wc -l)
    [ "$count" -le 2 ] || fail "$count events came again although they were acknowledged long before the crash"
    all_there
}

# Killed while it is full, and started on a disk that is still full.
test_start() {
    ballast 0
    fill 300
    kill_server
    start_server --port "$port"
    all_there
    ballast 0 # a start may have cleared some room
    fill 8000
    degraded
    rm "$disk/ballast"
    wait_until 20 "the server to write again" resumes
    all_there
    stop_server
    ended 0 "$SKALD" verify --data "$DATA"
    # Nor does a stop need room.
    start_server --port "$port"
    ballast 0
    fill 300
    stop_server
    ended 0 "$SKALD" verify --data "$DATA"
    rm "$disk/ballast"
    start_server --port "$port"
    all_there
    stop_server
}

# Where there never was a store and there is no room for one, that is said.
test_new() {
    ballast 0
    ended 3 "$SKALD" serve --data "$disk/other" --port 0
    [ -s "$WORK/err" ] || fail "the server does not say why it does not start"
    rm "$disk/ballast"
    ended 0 "$SKALD" verify --data "$DATA"
}

start_server --port "$port"
test_every_place
test_checkpoint
test_start
test_new
echo "$accepted events acknowledged on a disk that was full 14 times, all there"
