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
    said "skald: schema: 'polish' is neither validate nor check"
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

test_validate
test_lines
test_usage
test_check
echo "skald schema: all as told"
