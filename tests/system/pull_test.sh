#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Remote workers of one pull group by curl: one is killed in the middle, then the server is; nothing is
# lost and each key is in order. A handler of `tail --exec` that crashes, hangs or prints garbage. A
# definition that a full disk does not keep is gone with its group.
set -euo pipefail
# The small disk is mounted where nobody else sees it, and is gone with us.
if [ -z "${SKALD_PRIVATE_MOUNTS:-}" ] && unshare --mount true 2> /dev/null; then
    SKALD_PRIVATE_MOUNTS=1 exec unshare --mount bash "$0"
fi
source "$(dirname "$0")/lib.bash"

# The worker: takes, writes down, acknowledges. What it wrote down and did not acknowledge comes again.
# Usage: worker URL GROUP FILE
cat > "$WORK/worker" << 'SCRIPT'
#!/usr/bin/env bash
url=$1/api/subscriptions/$2
while :; do
    taken=$(curl -s --max-time 5 "$url/deliveries?max=3&waitMs=500") || { sleep 0.1; continue; }
    while IFS=' ' read -r id key n; do
        [ -n "$id" ] || continue
        echo "$key $n" >> "$3"
        curl -s --max-time 5 -H 'Content-Type: application/json' -d "{\"deliveries\":[\"$id\"]}" "$url/ack" > /dev/null
    done < <(grep -oE '"deliveryId":"[^"]*"|"key":"[^"]*","n":[0-9]+' <<< "$taken" |
        sed -E 's/"deliveryId":"([^"]*)"/\1/; s/"key":"([^"]*)","n":([0-9]+)/\1 \2/' | paste -d' ' - -)
done
SCRIPT
chmod +x "$WORK/worker"

worker() { # NAME: in the background; its process id is then in PID
    "$WORK/worker" "$URL" orders "$WORK/$1.done" < /dev/null > /dev/null 2>&1 &
    PID=$!
    OTHER_PIDS="${OTHER_PIDS:-} $PID"
}
finished() { [ "$(cat "$WORK"/*.done | sort -u | wc -l)" -ge "$1" ]; }
some() { [ "$(cat "$WORK"/*.done 2> /dev/null | wc -l)" -ge "$1" ]; }
settled() { shows /api/subscriptions/orders '"inFlight":0,'; }

# Both write to one file by line, so the order in it is that of the deeds: of each key the first time of
# each number is in order.
test_workers() {
    local first n key
    post /api/subscriptions '{"name":"orders","filter":{"types":["pull.x"]},"order":"key","key":"/key","ackTimeoutMs":5000,"retry":{"firstMs":10}}' > /dev/null
    for n in $(seq 20); do
        for key in a b c; do echo "{\"type\":\"pull.x\",\"stream\":\"s-$n$key\",\"data\":{\"key\":\"$key\",\"n\":$n}}"; done
    done | "$SKALD" import --url "$URL" - > /dev/null
    touch "$WORK/all.done"
    worker all
    first=$PID
    worker all
    wait_until 30 "ten deliveries" some 10
    { kill -9 "$first"; wait "$first" || true; } 2> /dev/null
    wait_until 30 "twenty more after a worker was killed" some 30
    kill_server
    start_server --port "$port"
    wait_until 60 "all deliveries after the server was killed" finished 60
    for key in a b c; do
        grep "^$key " "$WORK/all.done" | awk '!seen[$0]++ { print $2 }' > "$WORK/order"
        seq 20 | diff - "$WORK/order" > /dev/null || fail "key $key out of order: $(tr '\n' ' ' < "$WORK/order")"
    done
    [ "$(lines "$WORK/all.done")" -le 75 ] || fail "$(lines "$WORK/all.done") deliveries for 60 events"
    { kill -9 "$PID"; wait "$PID" || true; } 2> /dev/null
}

# Whatever a handler's program does, it is told as a reason, and the rest goes on.
test_programs() {
    local n
    cat > "$WORK/wild" << 'SCRIPT'
#!/usr/bin/env bash
read -r event
case $event in
*'"data":"crash"'*) kill -SEGV $$ ;;
*'"data":"hang"'*) sleep 4219 ;;
*'"data":"garbage"'*) head -c 100000 /dev/urandom ;; # and it is done
*'"data":"deaf"'*) exit 0 ;;
*'"data":"fail"'*) echo '{"deliveries":["all"]}'; exit 250 ;;
esac
sed -E 's/.*"data":"([^"]*)".*/\1/' <<< "$event" >> "$WORK/wild.done"
SCRIPT
    chmod +x "$WORK/wild"
    export WORK
    touch "$WORK/wild.done"
    for n in crash hang garbage fail deaf good; do
        post /api/events "{\"type\":\"wild.x\",\"stream\":\"w-$n\",\"data\":\"$n\"}" > /dev/null
    done
    "$SKALD" tail --url "$URL" --name wild --type wild.x --timeout 4 --workers 2 --exec -- "$WORK/wild" \
        > "$WORK/wild.out" 2> "$WORK/wild.err" < /dev/null &
    PID=$!
    OTHER_PIDS="$OTHER_PIDS $PID"
    wait_until 60 "the good one and the one with garbage" has_lines "$WORK/wild.done" 2
    told() { grep -q "$1" "$WORK/wild.err"; }
    wait_until 60 "the crash" told 'attempt 2: ended by signal 11'
    wait_until 60 "the timeout" told 'attempt 1: killed at its timeout'
    wait_until 60 "the failure" told 'attempt 2: exit status 250'
    expect "what was done" "$(sort "$WORK/wild.done" | tr '\n' ' ')" 'garbage good '
    acked() { shows /api/subscriptions/wild '"acked":3,'; }
    wait_until 10 "three acknowledged" acked
    { kill -9 "$PID"; wait "$PID" || true; } 2> /dev/null
}

# On a full disk a group is refused, and is not there: neither now nor after a restart.
test_full_disk() {
    local disk=$WORK/disk
    mkdir "$disk"
    if [ -z "${SKALD_PRIVATE_MOUNTS:-}" ] || ! mount -t tmpfs -o size=2m tmpfs "$disk" 2> /dev/null; then
        skip "this user cannot mount a small disk (all else passed)"
    fi
    trap 'finish || true; umount --lazy "$WORK/disk" && rm -rf --one-file-system "$WORK"' EXIT
    stop_server
    DATA=$disk/data
    export SKALD_SEGMENT_BYTES=65536
    start_server --port "$port"
    post /api/subscriptions '{"name":"before"}' > /dev/null
    head -c $((2 * 1024 * 1024)) /dev/zero > "$disk/ballast" 2> /dev/null || true
    full() { [ "$(status POST /api/events -H 'Content-Type: application/json' -d "{\"type\":\"a.b\",\"data\":\"$(head -c 9000 /dev/zero | tr '\0' x)\"}")" = 503 ]; }
    wait_until 20 "a full disk" full
    expect "making a group" "$(status POST /api/subscriptions -H 'Content-Type: application/json' -d '{"name":"after"}')" 503
    expect_like "the problem" "$(cat "$WORK/reply")" '*"code":"READ_ONLY"*'
    gone() { [ "$(status GET /api/subscriptions/after/deliveries)" = 404 ]; }
    wait_until 10 "the end of the group" gone
    expect "deleting the other" "$(status DELETE /api/subscriptions/before)" 503
    expect "the other" "$(status GET /api/subscriptions/before/deliveries)" 200
    rm "$disk/ballast"
    kill_server
    start_server --port "$port"
    gone || fail "the group is back after a restart"
    expect "the other" "$(status GET /api/subscriptions/before/deliveries)" 200
    expect "making it again" "$(status POST /api/subscriptions -H 'Content-Type: application/json' -d '{"name":"after"}')" 201
    expect "deleting the other" "$(status DELETE /api/subscriptions/before)" 200
    stop_server
    ended 0 "$SKALD" verify --data "$DATA"
}

port=$(free_port)
start_server --port "$port"
test_workers
test_programs
test_full_disk
echo "workers, programs and a full disk: nothing lost, keys in order"
