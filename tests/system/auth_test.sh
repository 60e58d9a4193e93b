#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Keys as an operator uses them: made, listed and revoked on a directory and at a server; an address for
# strangers only with keys; the document's commands; no secret in any file, log or list of processes.
set -euo pipefail
source "$(dirname "$0")/lib.bash"

test_document() {
    DATA=$WORK/document start_server
    (run_document "$SKALD_SOURCE_DIR/docs/security.md")
    stop_server
}

test_strangers() {
    local exit=0
    "$SKALD" serve --data "$DATA" --port 0 --listen 0.0.0.0 > "$WORK/out" 2> "$WORK/err" || exit=$?
    expect "the exit of a server without keys on 0.0.0.0" "$exit" 3
    said '*skald keys create --data DIR*'
    # A key that is over lets nobody in either.
    ended 0 "$SKALD" keys create --data "$DATA" --name gone --scopes events:read
    ended 0 "$SKALD" keys revoke --data "$DATA" "$(sed 's/^skald_\(.\{16\}\).*/\1/' "$WORK/out")"
    ended 3 "$SKALD" serve --data "$DATA" --port 0 --listen 0.0.0.0
    said '*without keys*'
}

test_usage() {
    ended 2 "$SKALD" keys
    ended 2 "$SKALD" keys destroy
    ended 2 "$SKALD" keys create --data "$DATA"
    ended 2 "$SKALD" keys create --data "$DATA" --scopes root
    said "*'root' is no scope*"
    ended 2 "$SKALD" keys create --data "$DATA" --scopes admin --expires soon
    ended 2 "$SKALD" keys create --data "$DATA" --scopes events:read --expires 2001-01-01
    said '*is in the past*'
    ended 2 "$SKALD" keys create --data "$DATA" --scopes events:read --streams 'order-1*'
    ended 2 "$SKALD" keys create --data "$DATA" --scopes admin --types 'order.*'
    ended 2 "$SKALD" keys revoke --data "$DATA"
    ended 1 "$SKALD" keys revoke --data "$DATA" 0000000000000000
    # For programs: the same members as at a server.
    ended 0 "$SKALD" keys create --data "$WORK/json" --name ci --scopes events:publish --types 'ci.*' --json
    expect_like "a key as JSON" "$(cat "$WORK/out")" '{"data":{"id":"*","name":"ci","scopes":\["events:publish"\],*"types":\["ci.\*"\],*"key":"skald_*"}}'
    ended 0 "$SKALD" keys list --data "$WORK/json" --json
    expect_like "keys as JSON" "$(cat "$WORK/out")" '{"data":\[{"id":"*","name":"ci",*"usedAt":null}\]}'
    ! grep -q '"key"' "$WORK/out" || fail "a list shows a secret"
    ended 0 "$SKALD" keys revoke --data "$WORK/json" "$(sed 's/.*"id":"\([0-9a-f]*\)".*/\1/' "$WORK/out")" --json
    expect_like "revoked, as JSON" "$(cat "$WORK/out")" '{"data":{"id":"*","revoked":true}}'
}

test_server() {
    local admin shop
    ended 0 "$SKALD" keys create --data "$DATA" --name root --scopes admin
    admin=$(cat "$WORK/out")
    expect_like "a key" "$admin" 'skald_????????????????_*'
    start_server --listen 0.0.0.0
    URL=http://127.0.0.1:${URL##*:}
    ended 3 "$SKALD" keys list --data "$DATA" # held
    ended 3 "$SKALD" keys list --url "$URL"
    said '*(401)*'
    expect "reading without a key" "$(status GET /api/events)" 401
    expect "health without a key" "$(status GET /health)" 200
    export SKALD_API_KEY=$admin
    ended 0 "$SKALD" keys create --url "$URL" --name shop --tenant acme \
        --scopes events:publish,events:read --types 'order.*' --expires 2099-01-01
    shop=$(cat "$WORK/out")
    ended 0 "$SKALD" keys list --url "$URL"
    grep -q '^[0-9a-f]\{16\} shop .*events:publish events:read  *acme  *2099-01-01 ' "$WORK/out" || fail "$(cat "$WORK/out")"
    grep -q '^[0-9a-f]\{16\} shop .*  only order\.\*$' "$WORK/out" || fail "what a key is narrowed to is not shown: $(cat "$WORK/out")"
    ended 0 "$SKALD" publish --url "$URL" audit.note
    SKALD_API_KEY=$shop ended 0 "$SKALD" publish --url "$URL" order.made
    SKALD_API_KEY=$shop ended 3 "$SKALD" publish --url "$URL" invoice.made
    SKALD_API_KEY=$shop "$SKALD" read --url "$URL" --json > "$WORK/read"
    expect "what the shop sees" "$(grep -o '"type":"[^"]*"' "$WORK/read")" '"type":"order.made"'
    ended 0 "$SKALD" keys revoke --url "$URL" "$(sed 's/^skald_\(.\{16\}\).*/\1/' <<< "$shop")"
    SKALD_API_KEY=$shop ended 3 "$SKALD" read --url "$URL"
    said '*revoked*'
    expect "deeds on record" "$("$SKALD" read --url "$URL" --type 'audit.key.*' --json | wc -l)" 5
    # Secrets in no file, log or reply that is not the one.
    local secret=${admin##*_}
    expect "a secret in a URL" "$(status GET "/api/events?key=$admin")" 400
    ! grep -q "$secret" "$WORK/reply" || fail "the reply repeats the secret"
    stop_server
    unset SKALD_API_KEY
    ! grep -rq "$secret" "$DATA" "$WORK/serve.err" "$WORK/serve.out" || fail "the secret is in a file"
    ! grep -rq "${shop##*_}" "$DATA" "$WORK/serve.err" "$WORK/serve.out" || fail "the secret is in a file"
    ended 0 "$SKALD" keys list --data "$DATA"
    grep -q '^[0-9a-f]\{16\} shop .* revoked ' "$WORK/out" || fail "$(cat "$WORK/out")"
}

# Tokens by the configuration; the door itself is tried in tests/api.
test_tokens() {
    local secret=c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LWFhYWE claims token signed
    command -v openssl > /dev/null || skip "openssl is not here"
    base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
    DATA=$WORK/tokens
    echo '{"keys":[' > "$WORK/keys.json"
    SKALD_AUTH_JWT_KEYS_FILE=$WORK/keys.json ended 2 "$SKALD" serve --data "$DATA" --port 0
    SKALD_AUTH_JWT_KEYS_FILE=$WORK/none.json ended 3 "$SKALD" serve --data "$DATA" --port 0
    SKALD_AUTH_JWT_KEYS_URL=http://id.example.com/keys SKALD_AUTH_JWT_ISSUER=i SKALD_AUTH_JWT_AUDIENCE=a \
        ended 2 "$SKALD" serve --data "$DATA" --port 0
    said '*https://*'
    echo "{\"keys\":[{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"$secret\"}]}" > "$WORK/keys.json"
    # With tokens an address for strangers is fine, and the server is shut.
    SKALD_AUTH_JWT_KEYS_FILE=$WORK/keys.json SKALD_AUTH_JWT_ALGORITHMS=HS256 SKALD_AUTH_JWT_AUDIENCE=skald \
        start_server --listen 0.0.0.0
    URL=http://127.0.0.1:${URL##*:}
    expect "reading without a token" "$(status GET /api/events)" 401
    claims="{\"aud\":\"skald\",\"sub\":\"u1\",\"tenant\":\"acme\",\"scope\":\"events:read\",\"exp\":$(($(date +%s) + 60))}"
    signed=$(printf '{"alg":"HS256"}' | base64url).$(printf '%s' "$claims" | base64url)
    token=$signed.$(printf '%s' "$signed" | openssl dgst -sha256 -hmac secret-secret-secret-secret-aaaa -binary | base64url)
    expect "reading with a token" "$(status GET /api/events -H "Authorization: Bearer $token")" 200
    expect "writing with it" "$(status POST /api/events -H "Authorization: Bearer $token" -d '{"type":"a.b"}')" 403
    expect "one that was changed" "$(status GET /api/events -H "Authorization: Bearer ${token}A")" 401
    stop_server
}

test_document
test_strangers
test_usage
test_server
test_tokens
echo "ok"
