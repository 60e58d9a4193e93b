#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# TLS as a client sees it: versions, certificates that do and do not hold, a new certificate while
# connections go on; and the local socket, which needs none.
set -euo pipefail
source "$(dirname "$0")/lib.bash"
command -v openssl > /dev/null || skip "there is no openssl to make certificates with"

# authority NAME makes a CA; certificate CA NAME a certificate of it for this machine.
authority() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$1" \
        -keyout "$WORK/$1.key" -out "$WORK/$1.pem" 2> /dev/null
}
certificate() {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$2" \
        -keyout "$WORK/$2.key" -out "$WORK/$2.csr" 2> /dev/null
    openssl x509 -req -in "$WORK/$2.csr" -CA "$WORK/$1.pem" -CAkey "$WORK/$1.key" -CAcreateserial -days 2 \
        -extfile <(echo 'subjectAltName=IP:127.0.0.1,DNS:localhost') -out "$WORK/$2.pem" 2> /dev/null
}
# use NAME: what the server finds in its two files; reload: it is asked to look.
use() {
    cp "$WORK/$1.pem" "$WORK/server.pem"
    cp "$WORK/$1.key" "$WORK/server.key"
}
# shown: whom a new connection meets
shown() {
    openssl s_client -connect "${URL#https://}" -CAfile "$WORK/ca.pem" < /dev/null 2> /dev/null |
        openssl x509 -noout -subject | sed 's/.*CN *= *//'
}
shows_name() { [ "$(shown)" = "$1" ]; }
logged() { grep -q "$1" "$WORK/serve.err"; }

test_versions() {
    expect_like "the address" "$URL" 'https://127.0.0.1:*'
    expect "TLS 1.2" "$(curl -sS --tlsv1.2 --tls-max 1.2 -o "$WORK/out" -w '%{http_code} %{http_version}' "$URL/health")" '200 1.1'
    expect "TLS 1.3" "$(curl -sS --tlsv1.3 -o "$WORK/out" -w '%{http_code}' "$URL/health")" 200
    ! curl -sS --tlsv1.0 --tls-max 1.1 --ciphers 'ALL:@SECLEVEL=0' "$URL/health" > "$WORK/out" 2>&1 ||
        fail "TLS 1.1 is spoken"
    openssl s_client -connect "${URL#https://}" -alpn http/1.1 < /dev/null 2> /dev/null |
        grep 'ALPN protocol: http/1.1' > /dev/null || fail "no ALPN"
    ended 60 curl -sS --cacert "$WORK/other.pem" "$URL/health" # whom it does not know it does not trust
    expect "HTTP on the port" "$(curl -sS -o "$WORK/out" -w '%{http_code}' "http://${URL#https://}/health")" 400
    expect_like "what it says" "$(cat "$WORK/out")" '*use https://*'
    ! curl -sSI "$URL/health" 2> /dev/null | grep -i strict-transport > /dev/null || fail "HSTS though nobody asked for it"
    post /api/events '{"type":"tls.one","data":{"large":"'"$(head -c 100000 /dev/zero | tr '\0' x)"'"}}' > /dev/null
    expect_like "an event over TLS" "$(get '/api/events?type=tls.one')" '*"tls.one"*'
}

test_new_certificate() {
    curl -sSN "$URL/api/events/stream?type=tls.*" > "$WORK/stream" 2>&1 &
    OTHER_PIDS="${OTHER_PIDS:-} $!"
    wait_until 20 "the stream" shows /api/subscriptions '"kind":"sse"'
    expect "the first certificate" "$(shown)" first
    use second
    kill -HUP "$SERVER_PID"
    wait_until 20 "the second certificate" shows_name second
    post /api/events '{"type":"tls.two"}' > /dev/null
    wait_until 20 "the event in the old connection" grep -q tls.two "$WORK/stream"

    # A key that is not its own, a file that is none, one that is gone: all stays as it was.
    cp "$WORK/first.key" "$WORK/server.key"
    kill -HUP "$SERVER_PID"
    wait_until 20 "the word in the log" logged "all is as before.*tls.key: $WORK/server.key: "
    expect "the certificate in use" "$(shown)" second
    echo nonsense > "$WORK/server.pem"
    kill -HUP "$SERVER_PID"
    wait_until 20 "the word in the log" logged "all is as before.*tls.certificate: $WORK/server.pem: "
    rm "$WORK/server.key"
    use first && rm "$WORK/server.key"
    kill -HUP "$SERVER_PID"
    wait_until 20 "the word in the log" logged "all is as before.*$WORK/server.key: "
    expect "the certificate in use" "$(shown)" second
    use first
    kill -HUP "$SERVER_PID"
    wait_until 20 "the first certificate" shows_name first
    post /api/events '{"type":"tls.three"}' > /dev/null
    wait_until 20 "the event in the old connection" grep -q tls.three "$WORK/stream"
    ! grep -q 'PRIVATE' "$WORK/serve.err" || fail "a key is in the log"
}

test_socket() {
    local socket=$WORK/skald.sock
    expect "its mode" "$(stat -c %a "$socket")" 600
    expect "by the socket, without TLS" "$(curl -sS --unix-socket "$socket" -o "$WORK/out" -w '%{http_code}' http://localhost/health)" 200
    curl -sSf --unix-socket "$socket" -X POST -H 'Content-Type: application/json' -d '{"type":"tls.socket"}' \
        http://localhost/api/events > "$WORK/out" || fail "no event by the socket"
    expect_like "the event, over TLS" "$(get '/api/events?type=tls.socket')" '*"tls.socket"*'
    stop_server
    [ ! -e "$socket" ] || fail "the socket is left behind"
}

test_refused() {
    ended 2 "$SKALD" serve --data "$WORK/never" --tls.certificate "$WORK/first.pem"
    said '*tls.key is missing*'
    ended 2 "$SKALD" serve --data "$WORK/never" --tls.certificate "$WORK/first.pem" --tls.key "$WORK/second.key"
    said "*tls.key: $WORK/second.key: *"
    ended 3 "$SKALD" serve --data "$WORK/never" --preset production --listen 0.0.0.0
    said '*will not listen on 0.0.0.0 in the clear*tls: off*'
    ended 3 "$SKALD" serve --data memory: --preset production --listen 0.0.0.0 --tls off
    said '*will not listen on 0.0.0.0 without keys*'
    [ ! -e "$WORK/never" ] || fail "a directory was made"
}

authority ca
authority other
certificate ca first
certificate ca second
export CURL_CA_BUNDLE=$WORK/ca.pem
test_refused
use first
tls=(--tls.certificate "$WORK/server.pem" --tls.key "$WORK/server.key")
start_server "${tls[@]}" --socket "$WORK/skald.sock"
test_versions
test_new_certificate
test_socket
start_server "${tls[@]}" --tls.hsts_s 1d
curl -sS -D - -o "$WORK/out" "$URL/health" | grep -i '^strict-transport-security: max-age=86400' > /dev/null || fail "no HSTS"
stop_server
echo "TLS holds, and changes its certificate while connections go on"
