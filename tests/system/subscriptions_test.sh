#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What fails for good, from end to end by the programs: a key is parked, others flow, it is edited and
# released in order, with kill -9 between any two steps; dead letters; pause, drain, replay; the trace.
set -euo pipefail
source "$(dirname "$0")/lib.bash"

take() { get "/api/subscriptions/$1/deliveries?max=1&waitMs=5000" > "$WORK/taken"; }
delivery() { sed -E 's/.*"deliveryId":"([^"]*)".*/\1/' "$WORK/taken"; }
end_with() { # GROUP ack|nack [MORE]
    local said
    said=$(post "/api/subscriptions/$1/$2" "{\"deliveries\":[\"$(delivery)\"]${3:-}}")
    expect "ending a delivery" "$said" '{"data":{"accepted":1,"refused":[]}}'
}
taken() { expect_like "what comes" "$(cat "$WORK/taken")" "*\"data\":$1}}]}"; }
# take_behind GROUP DATA: an acknowledgement is stored behind its answer, so what was acknowledged
# just before a crash may come once more.
take_behind() {
    take "$1"
    case $(cat "$WORK/taken") in
    *"\"data\":$2}}]}") end_with "$1" ack; take "$1" ;;
    esac
}
crash() {
    kill_server
    start_server --port "$port"
}
# nacked_behind GROUP N REASON VERB…: so is what is set aside. If fewer than N were stored, the others
# come again, with their attempts before them, are refused again, and the crash comes again. Data 3
# is what was acknowledged.
nacked_behind() {
    local group=$1 count=$2 reason=$3 listed refused=0
    shift 3
    for _ in {1..20}; do
        "$SKALD" "$@" --url "$URL" > "$WORK/listed"
        listed=$(grep -c ' attempt' "$WORK/listed") || true
        if [ "$listed" -ge "$count" ]; then
            [ $refused = 1 ] || return 0
            refused=0
            crash
            continue
        fi
        refused=1
        take "$group"
        case $(cat "$WORK/taken") in
        *'"data":3}}]}') end_with "$group" ack ;;
        *) end_with "$group" nack ",\"reason\":\"$reason\"" ;;
        esac
    done
    fail "less than $count set aside: $(cat "$WORK/listed")"
}

test_parked() {
    post /api/subscriptions '{"name":"mailer","filter":{"types":["order.*"]},"onExhausted":"park_key","retry":{"attemptsMax":2,"firstMs":1}}' > /dev/null
    post /api/events '[{"type":"order.made","stream":"order-7","data":1},{"type":"order.made","stream":"order-7","data":2},
        {"type":"order.made","stream":"order-8","data":3},{"type":"order.made","stream":"order-7","data":4}]' > /dev/null
    take mailer; taken 1
    end_with mailer nack ',"reason":"no such address"'
    for _ in 1 2; do # the second attempt of the one, the other key
        take mailer
        case $(cat "$WORK/taken") in
        *'"data":3}}]}') end_with mailer ack ;;
        *) end_with mailer nack ',"reason":"no such address"' ;;
        esac
    done
    crash
    nacked_behind mailer 1 'no such address' parked list mailer
    ended 0 "$SKALD" parked list mailer --url "$URL"
    expect_like "parked list" "$(cat "$WORK/out")" 'order-7  order.made  2 wait behind  2 attempts, last *Z: no such address'
    again() { get '/api/subscriptions/mailer/deliveries?max=1&waitMs=200' > "$WORK/taken"; }
    again
    case $(cat "$WORK/taken") in *'"data":3}}]}') end_with mailer ack; again ;; esac
    expect "deliveries" "$(cat "$WORK/taken")" '{"data":[]}'
    ended 0 "$SKALD" subscriptions show mailer --url "$URL"
    expect_like "show" "$(cat "$WORK/out")" 'mailer  pull  running  at *1 key parked*order stream, when attempts end park_key*'
    ended 2 "$SKALD" parked edit mailer order-7 '{' --url "$URL"
    said "skald: data: line 1 column *"
    ended 2 "$SKALD" parked edit mailer order-7 --url "$URL"
    ended 1 "$SKALD" parked release mailer order-9 --url "$URL"
    said "skald: *the key 'order-9' is not parked (404)"
    ended 0 "$SKALD" parked edit mailer order-7 '{"to":"a@example.com"}' --url "$URL"
    expect "edit" "$(cat "$WORK/out")" 'order-7 is edited and released'
    crash
    take mailer; taken '{"to":"a@example.com"}'
    end_with mailer ack
    crash
    take_behind mailer '{"to":"a@example.com"}'; taken 2
    end_with mailer ack
    take mailer; taken 4
    end_with mailer ack
    ended 0 "$SKALD" parked list mailer --url "$URL"
    expect "parked list" "$(cat "$WORK/out")" 'there is none'
    expect "audit events" "$(stored audit.subscription.edited)" 1
}

test_dead() {
    post /api/subscriptions '{"name":"biller","filter":{"types":["bill.*"]},"onExhausted":"dead_letter","retry":{"attemptsMax":1}}' > /dev/null
    post /api/events '[{"type":"bill.made","stream":"bill-1","data":1},{"type":"bill.made","stream":"bill-2","data":2}]' > /dev/null
    for _ in 1 2; do
        take biller
        end_with biller nack ',"reason":"no\u001b[31m money"'
    done
    crash
    nacked_behind biller 2 'no\u001b[31m money' dead-letters list
    ended 0 "$SKALD" dead-letters --url "$URL"
    expect "dead letters" "$(lines "$WORK/out")" 2
    ! grep -q $'\033' "$WORK/out" || fail "a reason moves the terminal's cursor"
    local id
    id=$(sed -n '1s/ .*//p' "$WORK/out")
    ended 0 "$SKALD" dead-letters show "$id" --url "$URL"
    expect_like "show" "$(cat "$WORK/out")" "$id  bill.made  bill-1*\"stream\": \"bill-1\"*"
    ended 0 "$SKALD" dead-letters discard "$id" --url "$URL"
    ended 1 "$SKALD" dead-letters retry "$id" --url "$URL"
    ended 2 "$SKALD" dead-letters retry --url "$URL"
    ended 2 "$SKALD" dead-letters open --url "$URL"
    ended 1 "$SKALD" dead-letters --subscription biler --url "$URL"
    said "skald: name: there is no subscription 'biler' (404)"
    ended 0 "$SKALD" dead-letters retry --all --subscription biller --url "$URL"
    expect "retry --all" "$(cat "$WORK/out")" '1 is delivered again'
    take biller; taken 2
    end_with biller ack
    ended 0 "$SKALD" dead-letters list --subscription biller --url "$URL"
    expect "dead letters" "$(cat "$WORK/out")" 'there is none'
}

test_life() {
    ended 0 "$SKALD" subscriptions pause biller --url "$URL"
    expect "pause" "$(cat "$WORK/out")" 'biller is paused'
    post /api/events '{"type":"bill.made","stream":"bill-3","data":3}' > /dev/null
    crash # paused is kept
    expect "deliveries" "$(get '/api/subscriptions/biller/deliveries?waitMs=200')" '{"data":[]}'
    ended 0 "$SKALD" subscriptions resume biller --url "$URL"
    take_behind biller 2; taken 3
    end_with biller ack
    ended 2 "$SKALD" replay biller --url "$URL"
    ended 2 "$SKALD" replay biller --from-start --position 1 --url "$URL"
    ended 2 "$SKALD" replay biller --time yesterday --url "$URL"
    ended 1 "$SKALD" replay nobody --from-start --url "$URL"
    ended 0 "$SKALD" replay biller --from-start --url "$URL"
    expect_like "replay" "$(cat "$WORK/out")" 'biller goes on from there; * ahead'
    take biller; taken 1
    ended 0 "$SKALD" replay biller --from-end --url "$URL"
    expect "a delivery of before" "$(post /api/subscriptions/biller/ack "{\"deliveries\":[\"$(delivery)\"]}")" \
        "{\"data\":{\"accepted\":0,\"refused\":[{\"deliveryId\":\"$(delivery)\",\"code\":\"STALE\"}]}}"
    ended 0 "$SKALD" subscriptions reset biller --position 0 --json --url "$URL"
    expect_like "reset" "$(cat "$WORK/out")" '{"data":{"name":"biller",*'
    take biller; taken 1
    ended 0 "$SKALD" subscriptions drain biller --url "$URL"
    expect "drain" "$(cat "$WORK/out")" 'biller is draining'
    ended 1 "$SKALD" subscriptions pause biller --url "$URL"
    said "skald: *'biller' is draining, and will end (409)"
    ended 0 "$SKALD" subscriptions --url "$URL"
    expect_like "list" "$(cat "$WORK/out")" '*biller  pull  draining*'
    ended 0 "$SKALD" subscriptions delete biller --url "$URL"
    ended 1 "$SKALD" subscriptions show biller --url "$URL"
    ended 2 "$SKALD" subscriptions polish biller --url "$URL"
    ended 2 "$SKALD" subscriptions pause --url "$URL"
}

# A group by key, made and served without a line of HTTP: one customer's rent fails and is parked with all
# behind it, the other's goes on.
test_create() {
    local options=(--type 'rent.*' --order key --key /customer --on-exhausted park_key --attempts 1 --timeout 20 --url "$URL")
    ended 0 "$SKALD" subscriptions create rents "${options[@]}"
    expect_like "create" "$(cat "$WORK/out")" 'rents is there; *'
    ended 0 "$SKALD" subscriptions create rents "${options[@]}" --json # again
    expect_like "create" "$(cat "$WORK/out")" '{"data":{"ackTimeoutMs":25000,"filter":{"types":\["rent.\*"\]},"from":"start","key":"/customer","name":"rents","onExhausted":"park_key","order":"key","retry":{"attemptsMax":1}}}'
    ended 0 "$SKALD" subscriptions show rents --url "$URL"
    expect_like "show" "$(cat "$WORK/out")" '*order key /customer, when attempts end park_key*'
    post /api/events '[{"type":"rent.due","data":{"customer":"ann","n":1}},{"type":"rent.due","data":{"customer":"ann","n":2}},
        {"type":"rent.due","data":{"customer":"bob","n":3}}]' > /dev/null
    ended 0 "$SKALD" tail --name rents --url "$URL" --count 1 --exec -- sh -c 'grep -v "\"ann\""'
    expect_like "what was handled" "$(cat "$WORK/out")" '*"customer":"bob"*'
    ended 0 "$SKALD" parked list rents --url "$URL"
    expect_like "what is parked" "$(cat "$WORK/out")" 'ann*'
    ended 1 "$SKALD" subscriptions create rents --type 'rent.*' --url "$URL" # another definition
    said '*(409)*'
    ended 2 "$SKALD" subscriptions create x --from nowhere --url "$URL"
    said "skald: subscriptions: --from is 'nowhere' but must be start, end or a position"
    ended 2 "$SKALD" subscriptions create x --attempts many --url "$URL"
    ended 2 "$SKALD" subscriptions create --url "$URL"
    ended 2 "$SKALD" subscriptions create x --order key --url "$URL"
    said '*key: is missing*'
    ended 2 "$SKALD" subscriptions create x --type 'order*' --url "$URL"
    said "*'order\*' means no event*"
    ended 2 "$SKALD" subscriptions create x --on-exhausted give-up --url "$URL"
    said '*must be "halt", "dead_letter" or "park_key"*'
    ended 2 "$SKALD" subscriptions list --type 'order.*' --url "$URL"
    said "skald: subscriptions: --type goes with create, not with list"
    ended 2 "$SKALD" subscriptions pause rents --from-start --url "$URL"
    said "skald: subscriptions: --from-start goes with reset, not with pause"
    ended 2 "$SKALD" subscriptions create $'\xff' --url "$URL"
    said '*not UTF-8'
    ended 2 "$SKALD" tail --name $'\xff' --url "$URL"
    said '*the name is not UTF-8'
    # A program would not have ended when what it was given comes again.
    post /api/subscriptions '{"name":"hasty","ackTimeoutMs":900}' > /dev/null
    ended 1 "$SKALD" tail --name hasty --url "$URL" --count 1 --exec -- true
    said "*comes again after 900 ms*"
    ended 0 "$SKALD" subscriptions delete hasty --url "$URL"
    ended 0 "$SKALD" subscriptions delete rents --url "$URL"
}

test_trace() {
    local a=00000000-0000-4000-8000-00000000000
    post /api/events "[{\"id\":\"${a}1\",\"type\":\"order.placed\",\"stream\":\"order-9\",\"correlationId\":\"c-9\"},
        {\"id\":\"${a}2\",\"type\":\"mail.queued\",\"correlationId\":\"c-9\",\"causationId\":\"${a}1\"},
        {\"id\":\"${a}3\",\"type\":\"mail.sent\",\"correlationId\":\"c-9\",\"causationId\":\"${a}2\"},
        {\"id\":\"${a}4\",\"type\":\"stock.taken\",\"correlationId\":\"c-9\",\"causationId\":\"${a}1\"}]" > /dev/null
    ended 0 "$SKALD" trace c-9 --url "$URL"
    expect_like "the trace" "$(cat "$WORK/out")" 'order.placed  order-9 v1  *
*mailer: behind*
├─ mail.queued  *
│  └─ mail.sent  *
└─ stock.taken  *'
    ended 0 "$SKALD" trace c-9 --json --url "$URL"
    expect_like "the trace" "$(cat "$WORK/out")" '{"data":[{"event":*'
    ended 1 "$SKALD" trace nothing --url "$URL"
    ended 2 "$SKALD" trace --url "$URL"
    ended 2 "$SKALD" trace '' --url "$URL"
    said "skald: trace: a name is empty"
}

# An event for later outlives a crash, and comes when it is due.
test_later() {
    local ahead due waits
    post /api/events '{"id":"00000000-0000-4000-8000-0000000000aa","type":"later.y","deliverAt":"2100-01-01T00:00:00Z"}' > /dev/null
    for ahead in 3 10 60; do # farther, where a crash and a start take longer
        due=$(($(date +%s) + ahead))
        post /api/events "{\"type\":\"later.x\",\"deliverAt\":\"$(date -u -d "@$due" +%Y-%m-%dT%H:%M:%SZ)\"}" > /dev/null
        crash
        waits=$(get /api/events/scheduled)
        [ "$(date +%s)" -ge "$due" ] || break
    done
    expect_like "what waits" "$waits" '*"type":"later.x",*'
    expect "cancelling" "$(status DELETE /api/events/scheduled/00000000-0000-4000-8000-0000000000aa)" 200
    came() { shows '/api/events?type=later.x' later.x; }
    wait_until 20 "the event that was due" came
    expect "what waits" "$(get /api/events/scheduled)" '{"data":[],"pagination":{"limit":100,"nextCursor":null}}'
}

# Each block of C in the document is one of the examples, whole but for the line that names the licence.
test_examples() {
    local file block programs=${SKALD%/*}/tests
    awk -v to="$WORK/block" '/^```c$/ { n++; inside = 1; next } /^```/ { inside = 0 } inside { print > (to "." n) }' \
        "$SKALD_SOURCE_DIR/docs/bus.md"
    for file in "$SKALD_SOURCE_DIR"/examples/bus/*.c; do
        tail -n +2 "$file" > "$WORK/file"
        for block in "$WORK"/block.*; do cmp -s "$block" "$WORK/file" && continue 2; done
        fail "docs/bus.md does not show ${file##*/} as it is"
    done
    expect "blocks of C in docs/bus.md" "$(ls "$WORK"/block.* | wc -l)" "$(ls "$SKALD_SOURCE_DIR"/examples/bus/*.c | wc -l)"
    ended 0 "$programs/example_parked" "log:$WORK/parked"
    expect "the example of a parked key" "$(cat "$WORK/out")" 'order-8 v1: {"to":"eve"}
order-7 is parked: no address
order-7 v1: {"to":"ann"}
order-7 v2: {"to":"bob"}'
    ended 0 "$programs/example_caused"
    expect "the example of a cause" "$(cat "$WORK/out")" $'order.placed\n  mail.queued'
}

test_examples
port=$(free_port)
start_server --port "$port"
test_parked
test_dead
test_life
test_create
test_trace
test_later
stop_server
ended 0 "$SKALD" verify --data "$DATA"
echo "parked, dead, paused, replayed, traced, and over crashes"
