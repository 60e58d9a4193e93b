#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The configuration as an operator meets it: shown, checked, read again while the server runs; the
# log's level; the service manager.
set -euo pipefail
source "$(dirname "$0")/lib.bash"
file=$WORK/skald.yaml

logged() { grep -q -- "$1" "$WORK/serve.err"; }
reload() { kill -HUP "$SERVER_PID"; }
# many CURL OPTIONS…: what requests that come faster than any limit lets them are answered
many() { curl -s -o /dev/null -w '%{http_code} ' "$@" "$URL/api/streams?limit=[1-30]"; }

test_show() {
    printf 'log:\n  format: json\nsegment_bytes: 64KiB\nlisten: 127.0.0.1\n' > "$file"
    ended 0 env SKALD_PORT=81 SKALD_LISTEN=127.0.0.2 "$SKALD" config show --config "$file" --port=82 --data memory:
    for line in 'port 82 --port' 'listen 127.0.0.2 SKALD_LISTEN' "log.format json $file:2" \
        "segment_bytes 64KiB $file:3" 'log.level info default' 'data memory: --data'; do
        sed -E 's/ +/ /g' "$WORK/out" | grep -xF "$line" > /dev/null || fail "show does not have '$line': $(cat "$WORK/out")"
    done
    ended 0 "$SKALD" config show --preset testing --json
    grep -qF '"log.level": {"value": "warn", "origin": "preset testing"}' "$WORK/out" || fail "no preset in the JSON"
    grep -qF '"segment_bytes": {"value": 67108864, "origin": "default"}' "$WORK/out" || fail "no number in the JSON"
    if command -v node > /dev/null; then node -e 'JSON.parse(require("fs").readFileSync(0))' < "$WORK/out"; fi
    printf 'sqlite://me:hush@host/x' > "$WORK/secret"
    ended 0 env SKALD_DATA_FILE="$WORK/secret" "$SKALD" config show
    ! grep -q hush "$WORK/out" || fail "a password is shown"
    grep -qE '^data +sqlite://me:\*\*\*@host/x +SKALD_DATA_FILE$' "$WORK/out" || fail "where data is from is not shown"
}

test_check() {
    ended 0 "$SKALD" config check "$file"
    printf 'log.level: debug\ntls:\n  kye: x\n' > "$WORK/wrong.yaml"
    ended 1 "$SKALD" config check "$WORK/wrong.yaml"
    said "skald: $WORK/wrong.yaml:3: unknown key 'tls.kye'; did you mean 'tls.key'?"
    ended 1 "$SKALD" config check "$WORK/nothing.yaml"
    said "skald: $WORK/nothing.yaml: *"
    printf 'auth.jwt.algorithms: none\n' > "$WORK/wrong.yaml"
    ended 1 "$SKALD" config check "$WORK/wrong.yaml"
    said "skald: $WORK/wrong.yaml:1: auth.jwt.algorithms: 'none' is none of *"
    printf 'port: 0\nlisten: 0.0.0.0\npreset: production\n' > "$WORK/wrong.yaml"
    ended 1 "$SKALD" config check "$WORK/wrong.yaml"
    said "skald: $WORK/wrong.yaml:2, $WORK/wrong.yaml:3: will not listen on 0.0.0.0 in the clear: *"
    printf 'port: 0\nlisten: 0.0.0.0\ndata: "memory:"\n' > "$WORK/wrong.yaml"
    ended 3 "$SKALD" serve --config "$WORK/wrong.yaml"
    said "skald: $WORK/wrong.yaml:2: listen: will not listen on 0.0.0.0 without keys: *"
    ended 2 env SKALD_TLS_KEY=key.pem "$SKALD" serve
    said "skald: SKALD_TLS_KEY: tls.certificate and tls.key are given together: tls.certificate is missing"
    # A store that there is not becomes no directory, and what may be a password is not repeated.
    ended 2 "$SKALD" serve --data 'postgres://me:s3cret@host/db' --port 0
    said "skald: data: there is no kind of store 'postgres:'*"
    ended 2 "$SKALD" keys list --data 'postgres://me:s3cret@host/db'
    said "skald: *there is no kind of store 'postgres:'*"
    ended 2 "$SKALD" keys list --data 'POSTGRES://me:s3cret@host/db'
    said "skald: *there is no kind of store 'POSTGRES:'*"
    ended 2 "$SKALD" serve --data 'POSTGRES://me:s3cret@host/db' --port 0
    said "skald: data: there is no kind of store 'POSTGRES:'*"
    [ ! -e POSTGRES: ] || fail "a store that there is not was made as a directory"
    [ ! -e postgres: ] || fail "a store that there is not was made as a directory"
    ended 2 "$SKALD" config check
    ended 2 "$SKALD" config whatever
    ended 2 "$SKALD" config show --no.such.key 1
    said "skald: --no.such.key: unknown key 'no.such.key'*"
    ended 2 "$SKALD" serve --log.level loud
    said "skald: --log.level: log.level is 'loud' but must be one of: debug info warn error"
    ended 2 "$SKALD" serve --segment_bytes
    said '*--segment_bytes needs a value'
}

# The example and the unit that we ship.
test_deploy() {
    if command -v openssl > /dev/null; then
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=x -keyout "$WORK/k.pem" -out "$WORK/c.pem" 2> /dev/null
        ended 0 "$SKALD" config check "$SKALD_SOURCE_DIR/deploy/skald.yaml" --tls.certificate "$WORK/c.pem" --tls.key "$WORK/k.pem"
    fi
    if command -v systemd-analyze > /dev/null; then
        sed "s|/usr/local/bin/skald|$SKALD|" "$SKALD_SOURCE_DIR/deploy/systemd/skald.service" > "$WORK/skald.service"
        systemd-analyze verify --man=no "$WORK/skald.service" > "$WORK/verify" 2>&1 || fail "the unit: $(cat "$WORK/verify")"
    fi
}

test_reload() {
    printf 'log.level: info\n' > "$file"
    start_server --config "$file"
    curl -sN "$URL/api/events/stream?type=reload.*" > "$WORK/stream" &
    OTHER_PIDS="${OTHER_PIDS:-} $!"
    wait_until 20 "the stream" shows /api/subscriptions '"kind":"sse"'
    printf 'log.level: warn\nhttp_workers: 7\nretention: {max_events: 100000}\nrate.per_ip: 3\ncors.origins: [https://app.example]\n' > "$file"
    reload
    wait_until 20 "the reload" logged 'read again *changed=log.level retention.max_events rate.per_ip cors.origins'
    wait_until 20 "what waits" logged 'wait for a restart *settings=http_workers'
    limited() { [[ $(many) = *429* ]]; }
    wait_until 20 "the new limit" limited
    printf 'log.level: warn\nrate.per_ip: 0\ncors.origins: https://app.example\n' > "$file"
    reload
    wait_until 20 "no limit" shows /health ok
    unlimited() { [ "$(status GET /api/streams)" = 200 ]; }
    wait_until 20 "no limit" unlimited
    curl -s -D - -o "$WORK/out" -H 'Origin: https://app.example' "$URL/api/streams" |
        grep -i '^access-control-allow-origin: https://app.example' > /dev/null || fail "the origin is not let in"
    expect_like "the level" "$(get /api/admin/log-level)" '*"level":"warn"*'

    # What cannot be used changes nothing.
    printf 'log.level: debug\nprot: 1\n' > "$file"
    reload
    wait_until 20 "the word in the log" logged "all is as before.*$file:2: unknown key 'prot'"
    expect_like "the level" "$(get /api/admin/log-level)" '*"level":"warn"*'
    rm "$file"
    reload
    wait_until 20 "the word in the log" logged "all is as before.*No such file"

    post /api/events '{"type":"reload.done"}' > /dev/null
    wait_until 20 "the event in the old stream" grep -q reload.done "$WORK/stream"
    stop_server
}

test_level() {
    local secret=correct-horse-battery
    start_server
    post '/api/events' '{"type":"level.quiet","data":{"password":"'$secret'"}}' > /dev/null
    ! logged 'DEBUG' || fail "debug lines though the level is info"
    put_level() { status PUT /api/admin/log-level -H 'Content-Type: application/json' -d "$1"; }
    expect "debug" "$(put_level '{"level":"debug"}')" 200
    expect_like "what it is" "$(get /api/admin/log-level)" '*"level":"debug"*'
    for bad in '{"level":"loud"}' '{}' '{"level":7}' '[]' '{"level":"debug","x":1}' 'x'; do
        expect "level $bad" "$(put_level "$bad")" 400
    done
    post /api/subscriptions '{"name":"level"}' > /dev/null
    status POST '/api/events?ack=written' -H 'Content-Type: application/json' -H 'X-Correlation-ID: chain-1' \
        -d '{"type":"level.loud","stream":"level-1","tenantId":"acme","actor":{"userId":"eva2"},"data":{"user":"eva","password":"'$secret'","card":{"cardNumber":"4111"}}}' > "$WORK/status"
    expect "the event" "$(cat "$WORK/status")" 201
    wait_until 20 "the event's line" logged 'DEBUG event  type=level.loud  id=.*stream=level-1  tenantId=acme  userId=eva2  correlationId=chain-1  occurredAt=20[^ ]*Z  status=stored .*user.*eva.*password.*\*\*\*'
    logged 'DEBUG request  method=POST  path=/api/events  status=201  tookUs=[0-9]*  peer=127.0.0.1:[0-9]*  correlationId=chain-1' ||
        fail "no line for the request"
    delivery=$(get '/api/subscriptions/level/deliveries?max=10&waitMs=5000' | grep -oE '"deliveryId":"[^"]*"' | head -n 1 | cut -d '"' -f 4)
    post /api/subscriptions/level/ack '{"deliveries":["'"$delivery"'"]}' > /dev/null
    wait_until 20 "the delivery's line" logged 'DEBUG delivery  subscription=level .*status=acked'
    ! grep -qE "$secret|4111|ack=written" "$WORK/serve.err" || fail "the log tells a secret"
    expect "info" "$(put_level '{"level":"info"}')" 200
    not_told() { ! shows /api/subscriptions '"kind":"log"'; }
    wait_until 20 "the end of the event lines" not_told
    stop_server
    SKALD_LOG_LEVEL=debug start_server --log.format json
    post /api/events '{"type":"level.json"}' > /dev/null
    wait_until 20 "the event's line" logged '{"time":"[^"]*","level":"debug","msg":"event","type":"level.json","id":"'
    stop_server
}

# The same over HTTP, for those who run the server only; what is secret stays so.
test_over_http() {
    local admin reader
    rm -r "$DATA"
    admin=$("$SKALD" keys create --data "$DATA" --scopes admin 2> /dev/null)
    reader=$("$SKALD" keys create --data "$DATA" --scopes events:read,events:publish,metrics 2> /dev/null)
    printf 'http_workers: 7\nauth.jwt: {keys_url: "https://127.0.0.1:9/keys?t=whisper", issuer: i, audience: a}\ntelemetry.otlp_url: http://me:hush@127.0.0.1:9\n' > "$file"
    SKALD_RATE_BURST=9 start_server --config "$file" --idle_timeout_ms 90s
    expect "without a key" "$(status GET /api/admin/config)" 401
    expect "with a reader's" "$(status GET /api/admin/config -H "Authorization: Bearer $reader")" 403
    ! grep -q http_workers "$WORK/reply" || fail "who may not is told"
    expect "an admin's" "$(status GET /api/admin/config -H "Authorization: Bearer $admin")" 200
    ! grep -qE "hush|whisper|${admin#skald_*_}" "$WORK/reply" || fail "a secret is shown"
    for line in '"key":"http_workers","value":"7","origin":"'"$file"':1","default":"4","reloads":false' \
        '"key":"idle_timeout_ms","value":"90s","origin":"--idle_timeout_ms"' '"key":"port","value":"0","origin":"--port"' \
        '"key":"rate.burst","value":"9","origin":"SKALD_RATE_BURST","default":"0","reloads":true' \
        '"key":"auth.jwt.keys_url","value":"https://127.0.0.1:9/keys?\*\*\*","origin":"'"$file"':2"' \
        '"key":"telemetry.otlp_url","value":"http://\*\*\*@127.0.0.1:9","origin":"'"$file"':3"' \
        '"key":"log.level","value":"info","origin":"default"'; do
        grep -q "$line" "$WORK/reply" || fail "the settings do not have $line: $(cat "$WORK/reply")"
    done
    expect "every setting" "$(grep -o '"key":' "$WORK/reply" | wc -l)" "$("$SKALD" config list | grep -c '^| `')"
    # What is changed while it runs is in force.
    printf 'http_workers: 8\nrate.per_key: 5000\n' > "$file"
    reload
    wait_until 20 "the reload" logged 'read again *changed=rate.per_key'
    expect "the level" "$(status PUT /api/admin/log-level -H "Authorization: Bearer $admin" -H 'Content-Type: application/json' -d '{"level":"warn"}')" 200
    expect "an admin's" "$(status GET /api/admin/config -H "Authorization: Bearer $admin")" 200
    for line in '"http_workers","value":"7"' '"rate.per_key","value":"5000","origin":"'"$file"':2"' \
        '"log.level","value":"warn","origin":"changed while it runs"'; do
        grep -q "$line" "$WORK/reply" || fail "the settings do not have $line: $(cat "$WORK/reply")"
    done
    stop_server
    rm -r "$DATA"
}

test_health_events() {
    start_server --health_check_s 1s
    curl -sN "$URL/api/events/stream?type=system.health.check" > "$WORK/health" &
    OTHER_PIDS="${OTHER_PIDS:-} $!"
    wait_until 20 "a health check" grep -q '"status":"ok","position":' "$WORK/health"
    expect "kept" "$(stored system.health.check)" 0
    stop_server
}

test_service_manager() {
    if ! command -v python3 > /dev/null; then
        echo "SKIPPED: the service manager: there is no python3 to stand in for it"
        return
    fi
    : > "$WORK/heard"
    python3 - "$WORK/notify" "$WORK/heard" << 'PYTHON' &
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
    text = s.recv(4096).decode()
    with open(sys.argv[2], "a") as out:
        out.write(text.replace("\n", " ") + "\n")
PYTHON
    OTHER_PIDS="${OTHER_PIDS:-} $!"
    wait_until 20 "the manager" test -S "$WORK/notify"
    NOTIFY_SOCKET=$WORK/notify WATCHDOG_USEC=600000 start_server
    wait_until 20 "READY" grep -qx 'READY=1' "$WORK/heard"
    beats() { [ "$(grep -cx 'WATCHDOG=1' "$WORK/heard")" -ge 3 ]; }
    wait_until 20 "three beats" beats
    reload
    wait_until 20 "RELOADING" grep -qE '^RELOADING=1 MONOTONIC_USEC=[0-9]+$' "$WORK/heard"
    again() { [ "$(grep -cx 'READY=1' "$WORK/heard")" = 2 ]; }
    wait_until 20 "READY again" again
    stop_server
    grep -qx 'STOPPING=1' "$WORK/heard" || fail "the stop was not told"
}

# A client behind a proxy: it counts as itself only if the proxy is trusted.
test_proxy() {
    start_server --log.level debug --proxy.trusted 127.0.0.1,local --socket "$WORK/s" --rate.per_ip 2
    curl -s -H 'X-Forwarded-For: 203.0.113.9, 198.51.100.7' "$URL/health?a=1" > "$WORK/out"
    wait_until 20 "the client behind the proxy" logged 'path=/health .*peer=198.51.100.7:0'
    curl -s --unix-socket "$WORK/s" -H 'X-Forwarded-For: 2001:db8::9' http://localhost/ready > "$WORK/out"
    wait_until 20 "the client behind the socket" logged 'path=/ready .*peer=\[2001:db8::9\]:0'
    # Each has its own limit.
    expect_like "a client's limit" "$(many -H 'X-Forwarded-For: 192.0.2.1')" '200 200 *429*'
    expect "another's" "$(status GET /api/streams -H 'X-Forwarded-For: 192.0.2.2')" 200
    stop_server
    : > "$WORK/serve.err"
    start_server --log.level debug
    curl -s -H 'X-Forwarded-For: 203.0.113.9' "$URL/health" > "$WORK/out"
    wait_until 20 "the client as it is" logged 'path=/health .*peer=127.0.0.1:'
    stop_server
}

test_show
test_check
test_deploy
test_reload
: > "$WORK/serve.err"
test_level
test_over_http
test_health_events
test_service_manager
test_proxy
echo "the configuration is shown, checked, and read again while the server runs"
