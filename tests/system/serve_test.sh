#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The server as an operator sees it: it stops in order while it is busy, tells of its start and end in
# the log, and when the disk is full it refuses to write, goes on reading, and recovers by itself. A
# port that is not for it it names.
set -euo pipefail
# The small disk is mounted where nobody else sees it, and is gone with us.
if [ -z "${SKALD_PRIVATE_MOUNTS:-}" ] && unshare --mount true 2> /dev/null; then
    SKALD_PRIVATE_MOUNTS=1 exec unshare --mount bash "$0"
fi
source "$(dirname "$0")/lib.bash"

# publisher N: one event after the other until the server takes no more; what was acknowledged goes to
# a journal. An answer, whatever it says, is whole or not there.
publisher() {
    local reply status
    while true; do
        status=0
        reply=$(curl -sS -X POST -H 'Content-Type: application/json' -w ' %{http_code}' \
            -d "{\"type\":\"load.x\",\"stream\":\"load-$1\"}" "$URL/api/events" 2> "$WORK/curl.$1") || status=$?
        case $reply in
        *' 201') sed -E 's/.*"position":([0-9]+),.*/\1/' <<< "$reply" >> "$WORK/journal.$1" ;;
        *' 503') return 0 ;; # not taken, and said so
        esac
        case $status in
        0) ;;
        7) return 0 ;;            # nobody listens any more
        52 | 55 | 56) return 0 ;; # closed before the request was read
        *) echo "curl $status $reply" > "$WORK/broken.$1"; return 0 ;;
        esac
    done
}

test_shutdown() {
    local publishers=() n busy
    start_server --port "$port"
    busy=$SERVER_PID
    for n in 1 2 3 4; do
        publisher $n &
        publishers+=($!)
    done
    loaded() { [ "$(cat "$WORK"/journal.* | wc -l)" -ge 40 ]; }
    wait_until 20 "load" loaded
    stop_server
    wait "${publishers[@]}"
    ! kill -0 "$busy" 2> /dev/null || fail "the server still runs"
    ! cat "$WORK"/broken.* 2> /dev/null || fail "an answer was cut off"

    # Everything that was acknowledged is there; the shutdown is the last event of the log.
    ended 0 "$SKALD" read --data "$DATA" --type load.x
    awk '{print $1}' "$WORK/out" | sort > "$WORK/there"
    sort "$WORK"/journal.* | comm -13 "$WORK/there" - > "$WORK/missing"
    [ ! -s "$WORK/missing" ] || fail "acknowledged and not there: $(head -n 3 "$WORK/missing")"
    ended 0 "$SKALD" read --data "$DATA" --backward --limit 1
    expect_like "the last event" "$(cat "$WORK/out")" '*system.shutdown  {"version":"*"}'

    start_server --port "$port"
    expect "starts in the log" "$(stored system.startup)" 2
    expect "events after the restart" "$(stored load.x)" "$(lines "$WORK/there")"
    kill -INT "$SERVER_PID"
    n=0
    wait "$SERVER_PID" || n=$?
    expect "the exit after SIGINT" "$n" 0
    SERVER_PID=
}

# A client that holds a stream open, or a worker that holds a delivery, does not hold up the end. The
# delivery comes again.
test_shutdown_with_clients() {
    local from
    start_server --port "$port"
    curl -sN "$URL/api/events/stream" > "$WORK/stream" &
    OTHER_PIDS="${OTHER_PIDS:-} $!"
    exec 8<> "/dev/tcp/127.0.0.1/$port" # an idle connection
    printf 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n' >&8
    wait_until 20 "the client" shows /api/subscriptions '"kind":"sse"'
    post /api/subscriptions '{"name":"worker"}' > /dev/null
    first=$(get '/api/subscriptions/worker/deliveries?max=1&waitMs=20000' | sed -E 's/.*"event":\{"id":"([^"]*)".*/\1/')
    from=$SECONDS
    stop_server
    exec 8>&-
    [ $((SECONDS - from)) -lt 15 ] || fail "the server waited $((SECONDS - from)) s for its clients"
    start_server --port "$port"
    again=$(get '/api/subscriptions/worker/deliveries?max=1&waitMs=20000' | sed -E 's/.*"event":\{"id":"([^"]*)".*/\1/')
    expect "the delivery that was not acknowledged" "$again" "$first"
    stop_server
}

test_full_disk() {
    local disk=$WORK/disk
    mkdir "$disk"
    if [ -z "${SKALD_PRIVATE_MOUNTS:-}" ] || ! mount -t tmpfs -o size=8m tmpfs "$disk"; then
        echo "SKIPPED: the full disk: this user cannot mount a small one"
        return
    fi
    head -c $((4 * 1024 * 1024)) /dev/zero > "$disk/ballast"
    DATA=$disk/data
    SKALD_SEGMENT_BYTES=65536 start_server --port "$port"
    head -c 200000 /dev/zero | tr '\0' x > "$WORK/large"
    printf '{"type":"disk.x","data":"%s"}' "$(cat "$WORK/large")" > "$WORK/large.json"
    put_large() { status POST /api/events -H 'Content-Type: application/json' --data-binary "@$WORK/large.json"; }
    local accepted=0 got=
    for _ in $(seq 60); do
        got=$(put_large)
        [ "$got" = 201 ] || break
        accepted=$((accepted + 1))
    done
    expect "the answer when the disk is full" "$got" 503
    expect_like "the problem" "$(cat "$WORK/reply")" '*"code":"READ_ONLY"*'
    [ "$accepted" -gt 3 ] || fail "the disk was full after $accepted events"
    expect "reads" "$(status GET /api/events?limit=1)" 200
    expect "ready" "$(status GET /ready)" 200
    expect_like "ready" "$(cat "$WORK/reply")" '{"status":"degraded","parts":{"store":{"status":"read_only",*'
    expect "health" "$(status GET /health)" 200
    shows /metrics $'\nskald_store_read_only 1\n' || fail "the metric does not say it"
    expect "events" "$(stored disk.x)" "$accepted"

    rm "$disk/ballast"
    takes() { [ "$(put_large)" = 201 ]; }
    wait_until 20 "the server to write again when there is room" takes
    expect_like "ready" "$(get /ready)" '{"status":"ok",*'
    kill_server
    SKALD_SEGMENT_BYTES=65536 start_server --port "$port"
    expect "events after a crash" "$(stored disk.x)" $((accepted + 1))
    stop_server
    ended 0 "$SKALD" verify --data "$DATA"
}

# A port that only the system's own programs may have.
test_port_of_others() {
    local may_not=() first
    first=$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start 2> /dev/null || echo 1024)
    if [ "$(id -u)" = 0 ]; then
        may_not=(setpriv --inh-caps=-net_bind_service --bounding-set=-net_bind_service)
    fi
    if [ "$first" -le 1 ] || ! "${may_not[@]}" true 2> /dev/null; then
        echo "SKIPPED: the port of others: here this user may listen on all"
        return
    fi
    ended 3 "${may_not[@]}" timeout 60 "$SKALD" serve --data "$WORK/nothing" --port 1
    said 'skald: cannot listen on 127.0.0.1 port 1: permission denied. Choose another port; 0 is any free one'
    printf 'listen: 127.0.0.1\nport: 1\n' > "$WORK/skald.yaml"
    ended 3 "${may_not[@]}" timeout 60 "$SKALD" serve --config "$WORK/skald.yaml" --data "$WORK/nothing"
    said "skald: $WORK/skald.yaml:2: port: cannot listen on 127.0.0.1 port 1: permission denied. *"
    ended 0 "$SKALD" verify --data "$WORK/nothing" # the directory is not held any more
}

trap 'finish || true; umount --lazy "$WORK/disk" && rm -rf --one-file-system "$WORK"' EXIT
port=$(free_port)
test_shutdown
test_shutdown_with_clients
test_full_disk
test_port_of_others
echo "the server stops in order, outlives a full disk and says which port it may not have"
