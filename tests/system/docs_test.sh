#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The documents say what is so: every command in them is run and does what they show, every example in
# C is a file that was compiled and runs, every route and every setting is in its table.
set -euo pipefail
source "$(dirname "$0")/lib.bash"
docs=$SKALD_SOURCE_DIR/docs

test_commands() { # of one document, on a server of its own
    DATA=$WORK/$1.data start_server
    rm -rf "$WORK/folder"
    (run_document "$docs/$1")
    stop_server
}

# Each block of C is one of the files, whole but for the line that names the licence.
test_examples() {
    local file name told programs=${SKALD%/*}/tests blocks=0 block
    awk -v to="$WORK/block" '/^```c$/ { n++; inside = 1; next } /^```/ { inside = 0 } inside { print > (to "." n) }' \
        "$docs/embedding.md"
    for file in "$SKALD_SOURCE_DIR"/examples/embed/*.c; do
        blocks=$((blocks + 1))
        tail -n +2 "$file" > "$WORK/file"
        for block in "$WORK"/block.*; do cmp -s "$block" "$WORK/file" && continue 2; done
        fail "docs/embedding.md does not show ${file##*/} as it is"
    done
    expect "blocks of C in docs/embedding.md" "$(ls "$WORK"/block.* | wc -l)" "$blocks"

    for name in store aggregate handler server; do
        [ -x "$programs/example_$name" ] || fail "example_$name was not built"
    done
    ended 0 "$programs/example_store" "log:$WORK/store"
    expect "the store example" "$(cat "$WORK/out")" $'1 order.created v1 {"total":99}\n2 order.paid v2 null'
    ended 1 "$programs/example_store" "log:$WORK/store"
    said "CONFLICT: stream 'order-1' is at version 2, *"
    # Made of its events each time; from the snapshot on, once there is one; and a full one takes no more.
    for told in '4 items, 339.80, version 4, folded from 0 on' '8 items, 679.60, version 8, folded from 5 on' \
        '12 items, 1019.40, version 12, folded from 10 on'; do
        ended 0 "$programs/example_aggregate" "log:$WORK/aggregate"
        expect "the aggregate example" "$(cat "$WORK/out")" "$told"
    done
    ended 1 "$programs/example_aggregate" "log:$WORK/aggregate"
    said "STATE: a cart holds 12 items"
    for _ in 1 2; do # the second time it goes on behind the first
        ended 0 "$programs/example_handler" "log:$WORK/handler"
        expect "the handler example" "$(cat "$WORK/out")" \
            $'mail about invoice-7: {"amount":99}, attempt 1\nmail about invoice-7: {"amount":99}, attempt 2'
    done
    : > "$WORK/server.out"
    "$programs/example_server" "$WORK/server" 0 > "$WORK/server.out" 2> "$WORK/serve.err" &
    SERVER_PID=$!
    wait_until 20 "the server example" has_lines "$WORK/server.out" 1
    URL=$(sed -n '1s|/$||p' "$WORK/server.out")
    post /api/events '{"type":"order.created","data":{"total":7}}' > /dev/null
    wait_until 20 "its handler" has_lines "$WORK/server.out" 2
    expect "what its handler prints" "$(tail -n 1 "$WORK/server.out")" 'order.created {"total":7}'
    stop_server
}

# The table of all routes in docs/http.md is what the server's own page says, and no other route is told of.
test_routes() {
    DATA=$WORK/routes.data start_server
    get /docs | sed -nE 's|^<details.*<b>([A-Z]*)</b> <code>([^<]*)</code> — (.*)</summary>$|\| `\1 \2` \| \3 \||p' > "$WORK/routes"
    stop_server
    [ "$(lines "$WORK/routes")" -ge 40 ] || fail "only $(lines "$WORK/routes") routes found on the page"
    sed -n '/^## All routes/,$p' "$docs/http.md" | grep '^| `' > "$WORK/told"
    diff "$WORK/routes" "$WORK/told" > "$WORK/diff" || fail "routes (<) and docs/http.md (>) differ:"$'\n'"$(cat "$WORK/diff")"
    sed -E 's/^\| `([^`]*)`.*/\1/' "$WORK/routes" | sort > "$WORK/names"
    grep -oE '`(GET|POST|PUT|PATCH|DELETE) /[^`?]*' "$docs/http.md" | tr -d '`' | sort -u > "$WORK/told"
    diff "$WORK/names" "$WORK/told" > "$WORK/diff" || fail "routes (<) and docs/http.md (>) differ:"$'\n'"$(cat "$WORK/diff")"
}

# The page of a running server is all that a stranger needs: its commands do what they say, and the example of every
# route is answered. What stands in capitals in a path is to be put in by the reader.
test_page() {
    local command status asked=0
    DATA=$WORK/page.data start_server
    get /docs > "$WORK/page"
    sed -n '/^<pre id="begin">/,/^<\/pre>/p' "$WORK/page" | sed '1d;$d; s/&amp;/\&/g; s/^SKALD=[^ ]* /SKALD='"${URL#http://}"' /' > "$WORK/begin"
    [ "$(lines "$WORK/begin")" -ge 6 ] || fail "the page begins without commands"
    sed -n 1p "$WORK/begin" > "$WORK/names"
    while read -r command; do
        (. "$WORK/names" && eval "${command/curl -s/curl -sf}") > "$WORK/out" || [[ $? = 28 && $command = *max-time* ]] ||
            fail "a command of the page fails: $command: $(cat "$WORK/out")"
        grep -q '"order.created"\|"data"' "$WORK/out" || fail "$command says only: $(cat "$WORK/out")"
    done < <(sed 1d "$WORK/begin" | sed 's/{"deliveries":\["ID"\]}/{"deliveries":["1-1"]}/')
    while read -r command; do
        asked=$((asked + 1))
        status=$(. "$WORK/names" && eval "${command/curl -s/curl -s --max-time 30 -o /dev/null -w '%{http_code\}'} || true")
        case $command:$status in
            *:2??) ;;
            */api/admin/backup*:403) ;; # nobody said where backups may be
            *) fail "the page's example is answered $status: $command" ;;
        esac
    done < <(sed -n 's|^<pre>\(.*\)</pre>$|\1|p' "$WORK/page" | sed 's/&quot;/"/g; s/&amp;/\&/g' |
        grep -v 'curl -sN\|\$SKALD[^ ]*[A-Z]' | awk '/api\/keys -H/ { last = $0; next } { print } END { print last }') # from the first key on it is shut
    [ "$asked" -ge 20 ] || fail "only $asked examples on the page"
    stop_server
}

# The table of docs/configuration.md is what the program says of its settings.
test_settings() {
    "$SKALD" config list > "$WORK/keys"
    [ "$(lines "$WORK/keys")" -ge 50 ] || fail "only $(lines "$WORK/keys") settings"
    sed -n '/^| key | variable /,/^$/p' "$docs/configuration.md" | sed '/^$/d' > "$WORK/told"
    diff "$WORK/keys" "$WORK/told" > "$WORK/diff" ||
        fail "settings (<) and docs/configuration.md (>) differ:"$'\n'"$(cat "$WORK/diff")"
}

# A verb and an option that a document names within a sentence are there, too.
test_mentions() {
    local document mention verb option seen=0
    for document in "$docs"/*.md README.md deploy/README.md deploy/*/README.md; do
        while read -r mention; do
            verb=${mention#skald }
            verb=${verb%% *}
            seen=$((seen + 1))
            "$SKALD" help "$verb" > "$WORK/help" 2>&1 || fail "$document: there is no '$mention'"
            for option in $(grep -oE -- ' --[a-z][a-z-]*' <<< "${mention/ --help/}" || true); do
                grep -q -- "^  $option " "$WORK/help" || grep -q "^| .${option#--}. |" "$WORK/keys" || fail "$document: $verb has no $option: '$mention'"
            done
        done < <(grep -oE '`skald [a-z][^`]*`' "$document" | tr -d '`' | sort -u)
    done
    [ "$seen" -ge 25 ] || fail "only $seen mentions found"
}

# Every link in the documents leads to a file.
test_links() {
    local document link
    for document in README.md docs/*.md examples/*/README.md bench/README.md; do
        while read -r link; do
            [ -e "$(dirname "$document")/$link" ] || fail "$document: no $link"
        done < <(grep -oE '\]\([^)#:]+[)#]' "$document" | sed -E 's/^\]\(//; s/[)#]$//')
    done
}

cd "$SKALD_SOURCE_DIR"
test_links
test_routes
test_page
test_settings
test_mentions
test_examples
cd "$WORK"
for document in "$docs"/*.md; do
    if grep -q '^```console' "$document"; then test_commands "${document##*/}"; fi
done
