#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# skald tail: the live window, and the durable handler: its order, its retries, its timeout, its
# workers, and that it goes on where it left off after it or the server was killed.
set -euo pipefail
source "$(dirname "$0")/lib.bash"

# handler NAME OPTION… -- CMD…: a durable handler in the background; its process id is then in PID.
handler() {
    local name=$1
    shift
    "$SKALD" tail --url "$URL" --name "$name" "$@" > "$WORK/$name.out" 2> "$WORK/$name.err" &
    PID=$!
    OTHER_PIDS="${OTHER_PIDS:-} $PID"
}
# end_handler SIGNAL: ends the handler, which must end in order unless it is killed.
end_handler() {
    local status=0
    { kill "-$1" "$PID"; wait "$PID" || status=$?; } 2> /dev/null
    [ "$1" = KILL ] || expect "the tail's exit after $1" "$status" 0
}
publish() { post /api/events "$1" > /dev/null; }
# follows, alone: that a tail follows, and that none of before is still counted
follows() { shows /api/subscriptions '"kind":"sse"'; }
alone() { ! follows; }

test_live() {
    publish '[{"type":"live.a","data":1},{"type":"live.b","data":2},{"type":"live.a","data":3}]'
    ended 0 "$SKALD" tail --url "$URL" --type 'live.*' --from start --count 3
    expect "from the start" "$(sed 's/.* //' "$WORK/out" | tr '\n' ' ')" '1 2 3 '
    ended 0 "$SKALD" tail --url "$URL" --type live.a --from 0 --count 2 --json
    expect_like "as JSON" "$(tail -n 1 "$WORK/out")" '{"id":"*","type":"live.a",*"data":3}'
    wait_until 20 "the end of those before" alone
    # From now on; through a restart of the server, with an event published before it comes to itself.
    "$SKALD" tail --url "$URL" --type 'live.*' --count 2 > "$WORK/live" 2> "$WORK/live.err" &
    local tail=$! status=0
    OTHER_PIDS="${OTHER_PIDS:-} $tail"
    wait_until 20 "the live tail to follow" follows
    kill_server
    start_server --port "$port"
    publish '{"type":"live.a","data":4}'
    wait_until 20 "the live tail to follow again" has_lines "$WORK/live" 1
    publish '{"type":"live.b","data":5}'
    wait "$tail" || status=$?
    expect "the tail's exit" "$status" 0
    expect "events that it saw" "$(sed 's/.* //' "$WORK/live" | tr '\n' ' ')" '4 5 '
    wait_until 20 "the end of the one before" alone
    # Asked to stop while nothing happens.
    "$SKALD" tail --url "$URL" > /dev/null &
    tail=$!
    OTHER_PIDS="$OTHER_PIDS $tail"
    wait_until 20 "the live tail to follow" follows
    kill -TERM "$tail"
    wait "$tail" || status=$?
    expect "the tail's exit after SIGTERM" "$status" 0
}

# A handler that fails at the first attempt of each event: later events of its stream wait, those of
# the other one do not.
test_order() {
    cat > "$WORK/flaky" << 'SCRIPT'
#!/usr/bin/env bash
read -r event
n=$(sed -E 's/.*"data":"([^"]*)".*/\1/' <<< "$event")
if mkdir "$WORK/tried.$n" 2> /dev/null; then
    echo "fails $n" >> "$WORK/order"
    exit 7
fi
echo "$n" >> "$WORK/order"
SCRIPT
    chmod +x "$WORK/flaky"
    export WORK
    publish '[{"type":"order.x","stream":"a-1","data":"a1"},{"type":"order.x","stream":"a-1","data":"a2"},
        {"type":"order.x","stream":"b-1","data":"b1"},{"type":"order.x","stream":"b-1","data":"b2"}]'
    ended 0 "$SKALD" tail --url "$URL" --name flaky --type order.x --count 4 --workers 2 --exec -- "$WORK/flaky"
    expect "the order of stream a-1" "$(grep a "$WORK/order" | grep -v fails | tr '\n' ' ')" 'a1 a2 '
    expect "the order of stream b-1" "$(grep b "$WORK/order" | grep -v fails | tr '\n' ' ')" 'b1 b2 '
    expect "failures" "$(grep -c fails "$WORK/order")" 4
    expect "failures that were told" "$(grep -c 'attempt 1: exit status 7; it will be tried again' "$WORK/err")" 4
    [ "$(grep -n 'fails a2' "$WORK/order" | cut -d: -f1)" -gt "$(grep -nx a1 "$WORK/order" | cut -d: -f1)" ] ||
        fail "a2 was tried before a1 was done: $(cat "$WORK/order")"
}

# Each attempt waits longer than the last: 0.2 s, 0.4 s, 0.8 s, a fifth of it either way.
test_back_off() {
    publish '{"type":"back.off"}'
    handler back --type back.off --exec -- sh -c 'date +%s%N >> "$WORK/times"; exit 1'
    wait_until 20 "four attempts" has_lines "$WORK/times" 4
    end_handler TERM
    awk 'NR > 1 { pause = ($1 - last) / 1e6; if (pause < want * 0.79) { print "attempt " NR " came after " pause " ms"; exit }
                  want *= 2 } { last = $1; if (NR == 1) want = 200 } NR == 4 { exit }' "$WORK/times" > "$WORK/hasty"
    [ ! -s "$WORK/hasty" ] || fail "$(cat "$WORK/hasty")"
    get /api/subscriptions/back > "$WORK/state"
    expect_like "the subscription's state" "$(cat "$WORK/state")" '*"lastError":{"message":"*exit status 1*'
}

# The program and what it started are killed at the timeout; then it is tried again.
test_timeout() {
    publish '{"type":"time.out"}'
    handler slow --type time.out --timeout 1 --exec -- sh -c 'sleep 4217 & echo $! >> "$WORK/sleepers"; wait'
    killed_once() { grep -q 'attempt 1: killed at its timeout; it will be tried again' "$WORK/slow.err"; }
    wait_until 20 "the timeout" killed_once
    wait_until 20 "what the program started" has_lines "$WORK/sleepers" 1
    first=$(head -n 1 "$WORK/sleepers")
    gone() { ! kill -0 "$first" 2> /dev/null || grep -q '^State:.Z' "/proc/$first/status"; }
    wait_until 20 "the death of what the program started" gone
    wait_until 20 "another attempt" has_lines "$WORK/sleepers" 2
    end_handler TERM # ends when the program does, at its timeout
}

test_program() {
    publish '{"type":"program.x","stream":"p-1","data":"with \"quotes\" and $HOME"}'
    # No shell: arguments arrive as they were given.
    ended 0 "$SKALD" tail --url "$URL" --name args --type program.x --count 1 --exec -- printf '%s|' 'a b' '$HOME' '--x' '*'
    expect "arguments" "$(cat "$WORK/out")" 'a b|$HOME|--x|*|'
    ended 0 "$SKALD" tail --url "$URL" --name input --type program.x --count 1 --exec -- cat
    "$SKALD" read --url "$URL" --type program.x --json | diff - "$WORK/out" || fail "the event on standard input differs"
    # A program that does not read its input is its own affair.
    ended 0 "$SKALD" tail --url "$URL" --name deaf --type program.x --count 1 --exec -- true
    handler absent --type program.x --exec -- "$WORK/no-such-program"
    told() { grep -q "attempt 2: cannot run $WORK/no-such-program: no such file" "$WORK/absent.err"; }
    wait_until 20 "two attempts with a program that is not there" told
    end_handler TERM
    # Without --exec a name prints, and goes on.
    publish '{"type":"program.y","data":1}'
    ended 0 "$SKALD" tail --url "$URL" --name printer --type program.y --count 1
    publish '{"type":"program.y","data":2}'
    ended 0 "$SKALD" tail --url "$URL" --name printer --type program.y --count 1
    expect_like "what is printed the second time" "$(cat "$WORK/out")" '*program.y  2'
    ended 1 "$SKALD" tail --url "$URL" --name printer --type program.x --count 1
    said "skald: tail: 'printer' was begun with another --type*skald subscriptions delete 'printer' --url $URL"
    # Without a filter it goes on with what the name is.
    publish '{"type":"program.y","data":3}'
    ended 0 "$SKALD" tail --url "$URL" --name printer --count 1
    expect_like "what is printed the third time" "$(cat "$WORK/out")" '*program.y  3'
    # Also when it was drained.
    drained() { get "/api/subscriptions/$1" | grep -q '"state":"registered"'; }
    for n in 4 5; do
        ended 0 "$SKALD" subscriptions drain printer --url "$URL"
        wait_until 20 "the end of a drain" drained printer
        publish "{\"type\":\"program.y\",\"data\":$n}"
        if [ "$n" = 4 ]; then
            ended 0 "$SKALD" tail --url "$URL" --name printer --count 1
            expect_like "what is printed after a drain" "$(cat "$WORK/out")" '*program.y  4'
        else
            ended 0 "$SKALD" tail --url "$URL" --name printer --count 1 --exec -- cat
            expect_like "what is handled after a drain" "$(cat "$WORK/out")" '*"data":5*'
        fi
    done
    publish '{"type":"program.y","data":6}'
    ended 0 "$SKALD" tail --url "$URL" --name "o'printer" --type program.y --from start --count 1
    ended 1 "$SKALD" tail --url "$URL" --name "o'printer" --type program.x --count 1
    said "skald: tail: 'o'printer' was begun with another *skald subscriptions delete 'o'\\\\''printer' --url $URL"
    ended 2 "$SKALD" tail --url "$URL" --name 'two words' --count 1
    ended 2 "$SKALD" tail --url "$URL" --workers 65 --name x --exec -- true
}

# Streams in parallel: four programs that each wait for the other three.
test_workers() {
    publish '[{"type":"work.x","stream":"w-1"},{"type":"work.x","stream":"w-2"},{"type":"work.x","stream":"w-3"},{"type":"work.x","stream":"w-4"}]'
    mkdir "$WORK/met"
    ended 0 "$SKALD" tail --url "$URL" --name workers --type work.x --count 4 --workers 4 --timeout 60 --exec -- \
        sh -c 'touch "$WORK/met/$$"; until [ "$(ls "$WORK/met" | wc -l)" -ge 4 ]; do sleep 0.05; done'
    expect "failures" "$(cat "$WORK/err")" ''
}

test_killed() {
    seq 40 | sed 's/.*/{"type":"kill.x","stream":"k-1","data":&}/' | "$SKALD" import --url "$URL" - > /dev/null
    touch "$WORK/killed"
    handler killed --type kill.x --timeout 5 --exec -- sh -c 'cat >> "$WORK/killed"; sleep 0.02'
    wait_until 20 "ten events" has_lines "$WORK/killed" 10
    end_handler KILL
    handler killed --type kill.x --timeout 5 --exec -- sh -c 'cat >> "$WORK/killed"; sleep 0.02'
    wait_until 30 "ten more events after the handler was killed" has_lines "$WORK/killed" 20
    kill_server
    start_server --port "$port"
    all() { [ "$(sed -E 's/.*"data":([0-9]+).*/\1/' "$WORK/killed" | sort -nu | wc -l)" -eq 40 ]; }
    wait_until 30 "all events after the server was killed" all
    end_handler INT
    # At least once each; the first time of each in order.
    sed -E 's/.*"data":([0-9]+).*/\1/' "$WORK/killed" | awk '!seen[$0]++' > "$WORK/first"
    seq 40 | diff - "$WORK/first" > /dev/null || fail "out of order: $(tr '\n' ' ' < "$WORK/first")"
    [ "$(lines "$WORK/killed")" -le 50 ] || fail "$(lines "$WORK/killed") runs for 40 events"
}

port=$(free_port)
start_server --port "$port"
test_live
test_order
test_back_off
test_timeout
test_program
test_workers
test_killed
stop_server
echo "tail follows, retries, and goes on"
