#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# skald schema as people and programs use it: what it answers, where, and how it ends.
# Exit: 0 valid or compatible, 1 not, 2 wrong usage or no schema, 3 cannot.
set -euo pipefail
source "$(dirname "$0")/lib.bash"

cd "$WORK"
cat > order.json << 'EOF'
{"type":"object","properties":{"total":{"type":"number","minimum":0},"lines":{"items":{"$ref":"http://localhost:1234/line.json"}}},"required":["total"]}
EOF
mkdir -p remotes/deep
echo '{"$id":"https://shop.example/sku","type":"string"}' > remotes/deep/sku.json
echo '{"properties":{"sku":{"$ref":"https://shop.example/sku"},"alias":{"$ref":"deep/sku.json"}}}' > remotes/line.json

test_validate() {
    echo '{"total":7,"lines":[{"sku":"a","alias":"b"}]}' > good.json
    echo '{"total":-1,"lines":[{"sku":7}]}' > bad.json
    ended 0 "$SKALD" schema validate --schema order.json --remotes remotes good.json
    expect "a valid document" "$(cat out)" valid
    ended 1 "$SKALD" schema validate --schema order.json --remotes remotes bad.json
    expect "what is wrong" "$(cat out)" "invalid: /total is -1; must be at least 0 (#/properties/total/minimum)
invalid: /lines/0/sku is a number; must be string (https://shop.example/sku#/type)"
    ended 1 "$SKALD" schema validate --schema order.json --remotes remotes --json bad.json
    expect_like "in JSON" "$(cat out)" '{"valid":false,"errors":\[{"path":"/total","schemaPath":*'
    echo '{' > broken.json
    ended 1 "$SKALD" schema validate --schema order.json --remotes remotes broken.json
    expect_like "no JSON" "$(cat out)" 'invalid: line * column *'
}

test_lines() {
    printf '{"total":1}\n\n{}\n{"total":2}' > lines
    code=0
    "$SKALD" schema validate --schema order.json --remotes remotes - < lines > out || code=$?
    expect "the exit code" "$code" 1
    expect_like "an answer a line" "$(tr '\n' '|' < out)" "valid|invalid: *|invalid: 'total' is missing (#/required)|valid|"
}

test_usage() {
    ended 2 "$SKALD" schema
    ended 2 "$SKALD" schema polish
    said "skald: schema: 'polish' is none of validate, check, list, show and put"
    ended 2 "$SKALD" schema validate good.json
    said "skald: schema validate: --schema FILE is missing"
    ended 2 "$SKALD" schema validate --schema order.json
    said "skald: schema validate: name one document*"
    ended 2 "$SKALD" schema validate --schema order.json good.json
    said "skald: order.json: #/properties/lines/items/\$ref: names a schema that is not here*"
    ended 3 "$SKALD" schema validate --schema none.json good.json
    said "skald: cannot read 'none.json': No such file or directory"
    ended 3 "$SKALD" schema validate --schema order.json --remotes none good.json
    said "skald: cannot read 'none': No such file or directory"
    ended 2 "$SKALD" schema check order.json
    said "skald: schema check: name the old schema and the new one"
    ended 2 "$SKALD" schema check --mode most order.json order.json
    said "skald: schema check: --mode: 'most' is not one of*"
    ended 2 "$SKALD" schema list --mode full
    said 'skald: schema list: --mode goes with check and put'
    ended 2 "$SKALD" schema check --json order.json order.json
    said 'skald: schema check: --json goes with validate'
}

test_check() {
    echo '{"type":"object","properties":{"a":{"type":"integer"}},"additionalProperties":false}' > v1.json
    echo '{"type":"object","properties":{"a":{"type":"number"},"b":{"type":"string"}},"additionalProperties":false}' > v2.json
    ended 0 "$SKALD" schema check v1.json v2.json
    expect "a compatible change" "$(cat out)" "compatible: backward"
    ended 1 "$SKALD" schema check v1.json v2.json --mode full
    expect "the other way" "$(sort out)" "forward: breaks: /a the old schema refuses a number that is not whole, which the new schema allows (type)
forward: breaks: the old schema does not know 'b' and takes no others (additionalProperties)"
    ended 0 "$SKALD" schema check v2.json v1.json --mode none
    ended 1 "$SKALD" schema check v2.json v1.json --mode backward
}

# What a server has: registered, shown, and asked first what a change would break, and whom.
test_server() {
    local server
    start_server
    server=(--url "$URL")
    ended 0 "$SKALD" schema list "${server[@]}"
    expect "none" "$(cat out)" 'there is none'
    ended 0 "$SKALD" schema put a.made 1 v1.json "${server[@]}"
    expect "put" "$(cat out)" 'a.made  1  backward'
    ended 0 "$SKALD" schema put a.made 1 v1.json "${server[@]}"
    ended 1 "$SKALD" schema put a.made 1 v1.json --mode full "${server[@]}"
    said "skald: compatibility: *backward* (409)"
    ended 1 "$SKALD" schema put a.made 1 v2.json "${server[@]}"
    ended 0 "$SKALD" schema check --type a.made v2.json "${server[@]}"
    expect "nobody reads it" "$(cat out)" 'compatible: backward'
    post /api/subscriptions '{"name":"reader","filter":{"types":["a.*"]}}' > out
    post /api/subscriptions '{"name":"stranger","filter":{"types":["b.*"]}}' > out
    ended 1 "$SKALD" schema check --type a.made v2.json --mode full "${server[@]}"
    expect "whom it surprises" "$(tail -n 1 out)" '  reader  pull  running'
    expect "what breaks" "$(grep -c '^forward: breaks (version 1): ' out)" 4 # by the mode, and for who reads it
    ended 0 "$SKALD" schema put a.made 2 v2.json "${server[@]}"
    ended 0 "$SKALD" schema list "${server[@]}"
    expect "list" "$(tr '\n' '|' < out)" 'a.made  1  backward|a.made  2  backward|'
    ended 0 "$SKALD" schema show a.made 1 "${server[@]}"
    expect "show" "$(tr -d ' \n' < out)" "$(tr -d '\n' < v1.json)"
    ended 0 "$SKALD" schema show a.made "${server[@]}"
    expect "the newest" "$(tr -d ' \n' < out)" "$(tr -d '\n' < v2.json)"
    ended 1 "$SKALD" schema show a.made 3 "${server[@]}"
    said "skald: version: 'a.made' has no schema of that version (404)"
    ended 2 "$SKALD" schema put a.made three v1.json "${server[@]}"
    ended 2 "$SKALD" schema put a.made 3 broken.json "${server[@]}"
    said "skald: the schema is not JSON: line *"
    ended 2 "$SKALD" schema put a.made 3 v1.json --mode most "${server[@]}"
    ended 3 "$SKALD" schema put a.made 3 none.json "${server[@]}"
    ended 2 "$SKALD" schema put a.made 3 "${server[@]}"
    said "skald: schema put: what follows is TYPE VERSION FILE"
    ended 2 "$SKALD" schema show "${server[@]}"
    ended 2 "$SKALD" schema list all "${server[@]}"
    ended 2 "$SKALD" schema check --type a.made v1.json v2.json "${server[@]}"
    ended 2 "$SKALD" schema check v1.json v2.json "${server[@]}"
    said "skald: schema check: --url goes with --type"
    stop_server
    ended 3 "$SKALD" schema list "${server[@]}"
}

test_validate
test_lines
test_usage
test_check
test_server
echo "skald schema: all as told"
