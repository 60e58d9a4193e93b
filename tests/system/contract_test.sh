#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Events declared in C, read by others: their TypeScript before its compiler, their JSON Schemas and data before
# ajv and skald's own checker (tests/contracts).
set -euo pipefail
source "$(dirname "$0")/lib.bash"
contract=${SKALD%/*}/tests/example_contract

test_typescript() {
    "$contract" typescript > "$WORK/events.ts"
    cp "$judges/use.ts" "$WORK/use.ts"
    start_server
    "$SKALD" types --url "$URL" --ts > "$WORK/platform.ts" # the names of a server that declares nothing
    stop_server
    (cd "$WORK" && node "$installed/node_modules/typescript/bin/tsc" --strict --noEmit --target es2022 --module nodenext \
        use.ts events.ts platform.ts) > "$WORK/tsc" || fail "tsc: $(cat "$WORK/tsc" "$WORK/events.ts")"
}

test_schemas() {
    local name
    "$contract" json-schema > "$WORK/events.json"
    "$contract" data > "$WORK/examples"
    cp "$judges/schemas.mjs" "$installed/schemas.mjs"
    node "$installed/schemas.mjs" "$WORK/events.json" "$WORK/examples" "$WORK" || fail "ajv judges otherwise"
    for name in parcel.sent parcel.lost; do
        ended 0 "$SKALD" schema validate --schema "$WORK/$name.json" "$WORK/$name.good"
        "$SKALD" schema validate --schema "$WORK/$name.json" - < "$WORK/$name.bad" > "$WORK/answers" || true
        expect "refused of $name" "$(grep -c '^invalid: ' "$WORK/answers")" "$(lines "$WORK/$name.bad")"
    done
}

install_judges contracts
test_typescript
test_schemas
echo "contracts: all as told"
