#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Types by all their names, through the programs: the typed example runs and the document shows it, the
# headers are clean in C11 and C++, every place takes any name, names last.
set -euo pipefail
source "$(dirname "$0")/lib.bash"
example=$SKALD_SOURCE_DIR/examples/typed/orders.c
programs=${SKALD%/*}/tests

test_example() {
    awk '/^```c$/ { inside = 1; next } /^```/ { inside = 0 } inside' "$SKALD_SOURCE_DIR/docs/typed-events.md" > "$WORK/block"
    tail -n +2 "$example" | cmp -s - "$WORK/block" || fail "docs/typed-events.md does not show orders.c as it is"
    ended 0 "$programs/example_orders"
    expect "what its handler prints" "$(head -n 1 "$WORK/out")" 'order-7: 2 lines, the first 3 x tea at 49.90 NOK'
    grep -q '^export interface OrderPlaced {$' "$WORK/out" || fail "the example shows no TypeScript"
    grep -q '/\*\* personal \*/ email: string;' "$WORK/out" || fail "personal data is not marked"
}

# The headers as others compile them: each alone, and an event declared.
test_headers() {
    local header
    for header in types typed; do
        echo "#include <skald/$header.h>" | ${CC:-cc} -std=c11 -pedantic -Wall -Wextra -Werror -fsyntax-only \
            -I "$SKALD_SOURCE_DIR/include" -x c - || fail "skald/$header.h is not clean in C11"
        echo "#include <skald/$header.h>" | ${CXX:-c++} -std=c++17 -pedantic -Wall -Wextra -Werror -fsyntax-only \
            -I "$SKALD_SOURCE_DIR/include" -x c++ - || fail "skald/$header.h is not clean in C++17"
    done
    sed -n '/^#define ORDER_LINE/,/aliases = /p' "$example" | sed '1i #include <skald/typed.h>' > "$WORK/declared"
    ${CC:-cc} -std=c11 -pedantic -Wall -Wextra -Werror -fsyntax-only -I "$SKALD_SOURCE_DIR/include" -x c "$WORK/declared" ||
        fail "an event does not compile in C11"
    ${CXX:-c++} -std=c++20 -Wall -Wextra -Wno-missing-field-initializers -Werror -fsyntax-only -I "$SKALD_SOURCE_DIR/include" -x c++ "$WORK/declared" ||
        fail "an event does not compile in C++20"
    # A kind there is none of is found by the compiler.
    sed 's/FIELD(text, product/FIELD(txet, product/' "$WORK/declared" > "$WORK/misspelt"
    ! ${CC:-cc} -std=c11 -fsyntax-only -I "$SKALD_SOURCE_DIR/include" -x c "$WORK/misspelt" 2> /dev/null ||
        fail "a misspelt kind compiles"
}

test_names() {
    local name
    start_server
    for name in user.login USER_LOGIN UserLoggedInEvent; do
        "$SKALD" publish --url "$URL" "$name" > /dev/null
    done
    for name in user.login USER_LOGIN UserLoggedInEvent; do
        "$SKALD" read --url "$URL" --type "$name" --json > "$WORK/read"
        expect "events by $name" "$(lines "$WORK/read")" 3
    done
    expect "names that are stored" "$(grep -c '"type":"user.login"' "$WORK/read")" 3
    ended 0 "$SKALD" types --url "$URL" user.login SIGNED_IN
    ended 0 "$SKALD" types --url "$URL"
    grep -q '^user\.login  *3  *USER_LOGIN UserLoggedInEvent SIGNED_IN$' "$WORK/out" || fail "types: $(cat "$WORK/out")"
    ended 2 "$SKALD" types --url "$URL" user.login
    ended 2 "$SKALD" types --url "$URL" --ts --asyncapi
    ended 1 "$SKALD" types --url "$URL" user.logout SIGNED_IN
    said "*another name of the type 'user.login'*"
    kill_server
    # From the directory, without a server, and after a crash.
    "$SKALD" read --data "$DATA" --type SIGNED_IN --json > "$WORK/read"
    expect "events by SIGNED_IN in the directory" "$(lines "$WORK/read")" 3
    ended 0 "$SKALD" types --data "$DATA"
    grep -q '^user\.login  *3  *.*SIGNED_IN' "$WORK/out" || fail "types --data: $(cat "$WORK/out")"
    start_server
    "$SKALD" publish --url "$URL" SIGNED_IN > /dev/null
    expect "events by SIGNED_IN" "$(stored SIGNED_IN)" 4
}

test_contracts() {
    ended 0 "$SKALD" types --url "$URL" --ts
    cp "$WORK/out" "$WORK/types.ts"
    grep -q '^  "user.login": unknown;$' "$WORK/types.ts" || fail "no user.login in the TypeScript"
    for format in json-schema asyncapi; do
        ended 0 "$SKALD" types --url "$URL" "--$format"
        node -e 'JSON.parse(require("fs").readFileSync(0, "utf8"))' < "$WORK/out" || fail "--$format is no JSON"
    done
}

test_strict() {
    stop_server
    SKALD_TYPES=strict start_server
    ended 2 "$SKALD" publish --url "$URL" user.logn
    said "*did you mean 'user.login'*"
    "$SKALD" publish --url "$URL" USER_LOGIN > /dev/null
    "$SKALD" publish --url "$URL" SIGNED_IN > /dev/null
    stop_server
}

test_example
test_headers
test_names
test_contracts
test_strict
