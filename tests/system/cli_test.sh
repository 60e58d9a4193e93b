#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The command line as people use it, and misuse it: help, exit codes, what is said and where.
# Exit: 0 done, 1 what was asked is not so, 2 wrong usage, 3 cannot.
set -euo pipefail
source "$(dirname "$0")/lib.bash"

verbs=$("$SKALD" --help | sed -n 's/^  \([a-z-]*\) .*/\1/p')

test_help() {
    local verb
    ended 0 "$SKALD" --help
    for verb in $verbs; do
        grep -q "^  $verb " "$WORK/out" || fail "skald --help does not name $verb"
    done
    for verb in $verbs; do
        ended 0 "$SKALD" "$verb" --help
        grep -A1 '^Example:' "$WORK/out" | grep "^  skald $verb" > /dev/null || fail "$verb --help shows no example"
        ended 0 "$SKALD" "$verb" -h
    done
    [ "$(wc -w <<< "$verbs")" -ge 21 ] || fail "skald --help names only $verbs"
    ended 0 "$SKALD" help
    cp "$WORK/out" "$WORK/help"
    ended 0 "$SKALD" --help
    cmp "$WORK/out" "$WORK/help"
    ended 0 "$SKALD" help publish
    cp "$WORK/out" "$WORK/help"
    ended 0 "$SKALD" publish --help
    cmp "$WORK/out" "$WORK/help"
    ended 2 "$SKALD" help polish
    said "skald: unknown verb 'polish'; see: skald --help"
    ended 2 "$SKALD" help publish --mdoc
    ended 2 "$SKALD"
    ended 0 "$SKALD" --version
    ended 0 "$SKALD" version --json
    expect_like "version" "$(cat "$WORK/out")" '{"version":"*.*.*"}'
}

test_usage() {
    ended 2 "$SKALD" polish
    said "skald: unknown verb 'polish'; see: skald --help"
    ended 2 "$SKALD" subscription
    said "skald: unknown verb 'subscription'; did you mean 'subscriptions'?"
    ended 2 "$SKALD" t # tail, types and trace
    said "skald: unknown verb 't'; see: skald --help"
    ended 2 "$SKALD" $'\e[2J'
    said "skald: unknown verb '?x1b?2J'; see: skald --help"
    ended 2 "$SKALD" read --fast
    said "skald: read: unknown option '--fast'; see: skald read --help"
    ended 2 "$SKALD" read --after
    said "skald: read: --after needs N"
    ended 2 "$SKALD" read --json=1
    said "skald: read: --json takes no value"
    ended 2 "$SKALD" read more
    said "skald: read: do not know what to do with 'more'*"
    ended 2 "$SKALD" read --limit 0
    said "skald: read: --limit is '0' but must be a whole number from 1 to *"
    for number in x -1 1.5 18446744073709551616 ''; do
        ended 2 "$SKALD" read --after "$number"
        said "skald: read: --after is '$number' but must be a whole number from 0 to *"
    done
    ended 2 "$SKALD" publish
    said "skald: publish: TYPE * is missing*"
    ended 2 "$SKALD" tail --exec -- true
    said "skald: tail: --exec needs --name*"
    ended 2 "$SKALD" tail --name x --exec
    said "skald: tail: --exec needs a command*"
    ended 2 "$SKALD" tail --name x true
    said "*did you mean --exec -- true?"
    ended 2 "$SKALD" verify
    said "skald: verify: --data DIR is missing"
    ended 2 "$SKALD" tail --from yesterday
    said "skald: tail: --from is 'yesterday' but must be start, end or a position"
    ended 2 "$SKALD" replay mailer --time yesterday
    said "skald: replay: --time is 'yesterday' but must be like 2026-*"
    ended 3 "$SKALD" schema check "$WORK/none" "$WORK/none"
    said "skald: cannot read '$WORK/none': No such file or directory"
    ended 2 "$SKALD" read --data x --url http://127.0.0.1:1
    said "skald: give --data or --url, not both"
    ended 2 "$SKALD" read --url ftp://127.0.0.1
    said "skald: --url is 'ftp://127.0.0.1' but must be like http://127.0.0.1:8000"
    ended 2 "$SKALD" import x --from-line 0
    local many=() i
    for i in $(seq 65); do many+=(--type "t.$i"); done
    ended 2 "$SKALD" read "${many[@]}"
    said "skald: read: more than 64 options"
}

test_unreachable() {
    local port verb
    port=$(free_port)
    ended 3 "$SKALD" read --url "http://me:s3cret@127.0.0.1:$port"
    said "skald: no server answers at http://\*\*\*@127.0.0.1:$port (*"
    ended 3 "$SKALD" read --url "http://me:s3@cret@127.0.0.1:$port"
    said "skald: no server answers at http://\*\*\*@127.0.0.1:$port (*"
    ended 3 "$SKALD" read --url "http://me:s3/cret@127.0.0.1:$port"
    said "skald: no server answers at http://\*\*\* (*"
    ended 2 "$SKALD" read --url 'me:s3cret@h:1'
    said "skald: --url is '\*\*\*' but must be like *"
    echo '{"type":"a.b"}' > "$WORK/one"
    echo kept > "$WORK/kept"
    for verb in "publish a.b" read tail "tail --name x" "import $WORK/one" "export $WORK/kept"; do
        # shellcheck disable=SC2086
        ended 3 "$SKALD" $verb --url "http://127.0.0.1:$port"
        said "skald: no server answers at http://127.0.0.1:$port*; start one with: skald serve"
    done
    expect "a file that nothing was exported to" "$(cat "$WORK/kept")" kept
    ended 3 "$SKALD" import --retry-for 1 "$WORK/one" --url "http://127.0.0.1:$port"
    said "skald: import: waiting for *go on with --from-line 1"
    ended 3 "$SKALD" import "$WORK/nothing" --url "http://127.0.0.1:$port"
    said "skald: import: cannot read $WORK/nothing: No such file or directory"
    ended 3 "$SKALD" read --data "$WORK/nothing"
    said "skald: there is no store in '$WORK/nothing'"
    [ ! -e "$WORK/nothing" ] || fail "reading made a directory"
}

test_configuration() {
    local file=$WORK/skald.yaml
    # refused_file STATUS TEXT PATTERN
    refused_file() {
        printf '%s\n' "$2" > "$file"
        ended "$1" "$SKALD" serve --config "$file" --data "$WORK/never"
        said "skald: $3"
    }
    refused_file 2 $'types: open\nprot: 9000' "$file:2: unknown key 'prot'; did you mean 'port'?"
    refused_file 2 'colour: red' "$file:1: unknown key 'colour'; 'skald config list' shows all there are"
    refused_file 2 'port: 70000' "$file:1: port is '70000' but must be a whole number from 0 to 65535"
    refused_file 2 'log.format: loud' "$file:1: log.format is 'loud' but must be one of: human json"
    refused_file 2 'port: [1, 2]' "$file:1: port must have one plain value"
    refused_file 2 $'port: 1\nport: 2' "$file:2: not valid YAML: *"
    refused_file 2 $'port: 1\n  log: [' "$file:*: not valid YAML: *"
    refused_file 2 'preset: best' "$file:1: preset is 'best' but must be one of: development production testing"
    refused_file 2 'data: ""' "$file:1: data is empty"
    ended 3 "$SKALD" serve --config "$WORK/nothing.yaml"
    said "skald: $WORK/nothing.yaml: *"
    ended 2 env SKALD_PORT=much "$SKALD" serve
    said "skald: SKALD_PORT: port is 'much' but must be a whole number from 0 to 65535"
    ended 2 "$SKALD" serve --port 65536
    said "skald: --port: port is '65536'*"
    ended 2 "$SKALD" serve --data ''
    said "skald: --data: data is empty"
    ended 3 "$SKALD" serve --data "$WORK/never" --port 0 --listen 0.0.0.0
    said "skald: will not listen on 0.0.0.0 without keys: *skald keys create*"
    ended 2 "$SKALD" serve --data "$WORK/never" --port 0 --listen 127.0.0.999
    said "*an IP address of this machine*"
    # What is written on the command line wins over the environment, and that over the file.
    printf 'port: 1\nlisten: 127.0.0.3\nlog.format: json\n' > "$file"
    SKALD_PORT=2 SKALD_LISTEN=127.0.0.2 start_server --config "$file" --port 0
    expect_like "address" "$URL" 'http://127.0.0.2:[0-9]*[0-9][0-9][0-9]'
    stop_server
    expect_like "log" "$(tail -n 1 "$WORK/serve.err")" '{"time":"*","level":"info","msg":"stopping","signal":"SIGTERM"}'
}

test_one_server() {
    local port=${URL##*:}
    ended 3 "$SKALD" serve --data "$DATA" --port 0
    said "skald: the store in '$DATA' is held by process $SERVER_PID*"
    ended 3 "$SKALD" verify --data "$DATA"
    said "*is held by process $SERVER_PID*"
    ended 3 "$SKALD" import --data "$DATA" "$WORK/one"
    said "*is held by process $SERVER_PID*"
    ended 3 "$SKALD" serve --data "$WORK/second" --port "$port"
    said "skald: cannot listen on 127.0.0.1 port $port: *Choose another port*"
}

test_publish() {
    ended 0 "$SKALD" publish a.one --url "$URL"
    expect_like "publish" "$(cat "$WORK/out")" 'a.one is at position [0-9]*'
    ended 0 "$SKALD" publish a.one '{"n":1}' --stream s-1 --expected-version none --url "$URL/"
    expect_like "publish" "$(cat "$WORK/out")" 'a.one is at position *, version 1 of s-1'
    for version in none 0 2; do
        ended 1 "$SKALD" publish a.one 1 --stream s-1 --expected-version "$version" --url "$URL"
        said "skald: expectedVersion: stream 's-1' is at version 1, * (409)"
    done
    ended 0 "$SKALD" publish a.one 2 --stream s-1 --expected-version 1 --url "$URL"
    ended 0 "$SKALD" publish a.one 3 --stream s-1 --expected-version exists --url "$URL"
    ended 2 "$SKALD" publish a.one 4 --stream s-1 --expected-version soon --url "$URL"
    ended 2 "$SKALD" publish a.one 4 --expected-version 1 --url "$URL"
    printf '{"from":"stdin"}' > "$WORK/data.json"
    "$SKALD" publish a.piped - --url "$URL" < "$WORK/data.json" > /dev/null
    expect_like "what came from standard input" "$("$SKALD" read --type a.piped --url "$URL")" '*a.piped  {"from":"stdin"}'
    ended 2 "$SKALD" publish a.one - --url "$URL"
    said "skald: data: *"
    for data in '{"n":' hello '1}' '{"n":1},"stream":"s-1"' ''; do
        ended 2 "$SKALD" publish a.one "$data" --url "$URL"
        said "skald: data: line 1 column *"
    done
    ended 2 "$SKALD" publish 'two words' 1 --url "$URL"
    said "skald: type *400)"
    ended 2 "$SKALD" publish a.one 1 --id 7 --url "$URL"
    said "skald: id must be a UUID*"
    ended 2 "$SKALD" publish a.one 1 --priority soon --url "$URL"
    ended 2 "$SKALD" publish "$(printf 'a\377')" 1 --url "$URL"
    said "*not UTF-8"
    # An id makes it the same event; with other content it is a conflict.
    id=0192f0c1-7d3e-7c55-a1b2-0123456789ab
    ended 0 "$SKALD" publish a.once 1 --id $id --url "$URL"
    ended 0 "$SKALD" publish a.once 1 --id $id --url "$URL"
    expect_like "the second time" "$(cat "$WORK/out")" '*it was there already)'
    ended 1 "$SKALD" publish a.once 2 --id $id --url "$URL"
    expect "events of it" "$(stored a.once)" 1
    # Names that look like something else.
    for stream in 'a b' 'ünï-çödé' "it's" '100%-&?#/' '--x'; do
        ended 0 "$SKALD" publish odd.name '"x"' --stream="$stream" --url "$URL" --json
        ended 0 "$SKALD" read --stream="$stream" --json --url "$URL"
        expect_like "stream $stream" "$(cat "$WORK/out")" "*\"stream\":\"$stream\"*"
        expect "events of stream $stream" "$(lines "$WORK/out")" 1
    done
    # What would move the cursor of a terminal is shown, not sent.
    ended 2 "$SKALD" publish odd.name 1 --stream $'esc\x1b[2Jape' --url "$URL"
    ! grep -q $'\x1b' "$WORK/err" || fail "an error moves the cursor: $(cat -v "$WORK/err")"
    printf '{"type":"odd.\x1b[2J"}\n' > "$WORK/odd.ndjson"
    ended 1 "$SKALD" import "$WORK/odd.ndjson" --url "$URL"
    ! grep -q $'\x1b' "$WORK/err" || fail "an error moves the cursor: $(cat -v "$WORK/err")"
    # One is one, in words too.
    expect_like "import" "$(cat "$WORK/out")" '0 events stored, 1 line rejected'
    ended 0 "$SKALD" publish odd.data "$(printf '"del \177 csi \302\2332J"')" --url "$URL"
    ended 0 "$SKALD" read --type odd.data --url "$URL"
    expect_like "controls" "$(cat "$WORK/out")" '*"del \\x7f csi \\xc2\\x9b2J"'
}

# For later, until when, and not kept.
test_scheduled() {
    local id=0192f0c1-7d3e-7c55-a1b2-0123456789ac n
    ended 0 "$SKALD" scheduled --url "$URL"
    expect "nothing waits" "$(cat "$WORK/out")" 'there is none'
    ended 0 "$SKALD" publish later.x 1 --stream l-1 --deliver-at 2100-01-01T00:00:00Z --id "$id" --url "$URL"
    expect "publish" "$(cat "$WORK/out")" "later.x waits until 2100-01-01T00:00:00Z, as $id"
    ended 0 "$SKALD" publish now.x 1 --deliver-at 2020-01-01T00:00:00Z --url "$URL"
    expect_like "publish of what is past" "$(cat "$WORK/out")" "now.x is published at once, for 2020-01-01T00:00:00Z is past, as *"
    for n in $(seq 105); do echo '{"type":"later.y","deliverAt":"2100-01-01T00:00:00Z"}'; done | sed '1s/^/[/; $!s/$/,/; $s/$/]/' > "$WORK/many"
    post /api/events "$(cat "$WORK/many")" > /dev/null
    ended 0 "$SKALD" scheduled --url "$URL"
    expect "the first" "$(head -n 1 "$WORK/out")" "$id  2100-01-01T00:00:00Z  later.x  l-1"
    expect "what waits, beyond a page" "$(lines "$WORK/out")" 106
    ended 0 "$SKALD" scheduled cancel "$id" --url "$URL"
    expect "cancel" "$(cat "$WORK/out")" "$id will not be published"
    ended 1 "$SKALD" scheduled cancel "$id" --url "$URL"
    said "skald: id: no event of that id waits for its time*"
    ended 2 "$SKALD" scheduled cancel --url "$URL"
    said "skald: scheduled: cancel needs the ID that list shows"
    ended 2 "$SKALD" scheduled list all --url "$URL"
    ended 2 "$SKALD" scheduled stop --url "$URL"
    said "skald: scheduled: 'stop' is neither list nor cancel"
    ended 2 "$SKALD" publish later.x 1 --deliver-at soon --url "$URL"
    said "skald: deliverAt must be a time*"
    ended 2 "$SKALD" publish later.x 1 --deliver-at 2100-01-01T00:00:00Z --expected-version none --stream l-1 --url "$URL"
    ended 0 "$SKALD" publish later.z 1 --expires-at 2100-01-01T00:00:00Z --url "$URL"
    shows "/api/events?type=later.z" '"expiresAt":"2100-01-01T00:00:00' || fail "it does not expire"
    ended 0 "$SKALD" publish later.t 1 --transient --url "$URL"
    expect "not kept" "$(cat "$WORK/out")" 'later.t went to who follows now, and is not kept'
    expect "events of it" "$(stored later.t)" 0
}

test_read() {
    local read=("$SKALD" read --url "$URL" --type 'r.*')
    post /api/events '[{"type":"r.a","stream":"red-1","data":1,"correlationId":"chain"},
        {"type":"r.b","stream":"blue-1","data":2,"correlationId":"chain"},
        {"type":"r.a","stream":"red-2","data":3},{"type":"r.c","data":4,"tenantId":"t2"}]' > /dev/null
    last() { sed 's/.* //' "$1" | tr '\n' ' '; }
    shown() { # shown WANT OPTION…
        local want=$1
        shift
        ended 0 "${read[@]}" "$@"
        expect "read $*" "$(last "$WORK/out")" "$want"
    }
    shown '1 2 3 4 '
    shown '4 3 2 1 ' --backward
    shown '1 2 ' --limit 2
    shown '4 3 ' --limit 2 --backward
    shown '1 3 ' --category red
    shown '2 ' --stream blue-1
    shown '2 3 ' --stream blue-1 --stream red-2
    shown '1 2 ' --correlation chain
    shown '4 ' --tenant t2
    shown '' --stream none
    ended 0 "${read[@]}" --json
    local first
    first=$(head -n 1 "$WORK/out" | sed 's/.*"position":\([0-9]*\),.*/\1/')
    shown '2 3 4 ' --after "$first"
    shown '2 ' --after "$first" --before $((first + 2))
    shown '3 2 ' --after "$first" --before $((first + 3)) --backward
    # Times: recorded then or later, and before. Of a directory it is the same.
    local then
    then=$("${read[@]}" --json --limit 1 --after "$first" | sed 's/.*"recordedAt":"\([^"]*\)".*/\1/')
    shown '' --until 2020-01-01T00:00:00Z
    shown '1 2 3 4 ' --since 2020-01-01T00:00:00Z
    shown '' --since 2100-01-01T00:00:00Z
    shown '1 2 3 4 ' --since "$then" # one append has one time
    shown '' --since 2020-01-01T00:00:00Z --until "$then"
    shown '4 3 ' --since "$then" --until 2100-01-01T00:00:00+01:00 --backward --limit 2
    for option in since until; do
        ended 2 "${read[@]}" "--$option" noon
        said "skald: read: --$option is 'noon' but must be like 2026-*"
        ended 2 "$SKALD" export --data "$WORK/nothing" "--$option" noon
        said "skald: export: --$option is 'noon' but must be like 2026-*"
    done
    "$SKALD" export --url "$URL" --type 'r.*' --since "$then" "$WORK/r.ndjson" > /dev/null
    "$SKALD" import --data "$WORK/times" "$WORK/r.ndjson" > /dev/null
    "$SKALD" publish r.end 5 --url "$URL" > /dev/null
    ended 0 "$SKALD" read --data "$WORK/times" --since 2020-01-01T00:00:00Z
    expect "of a directory" "$(last "$WORK/out")" '1 2 3 4 '
    ended 0 "$SKALD" read --data "$WORK/times" --until "$then"
    expect "of a directory, before it was made" "$(last "$WORK/out")" ''
    ended 0 "$SKALD" read --url "$URL" --type r.a --type r.c
    expect "two types" "$(last "$WORK/out")" '1 3 4 '
    ! grep -q $'\x1b' "$WORK/out" || fail "colours without a terminal"
}

test_terminal() {
    if ! script -qec true /dev/null > /dev/null 2>&1 < /dev/null; then
        echo "SKIPPED: script(1) or its terminal is missing: nobody looks at colours and the progress bar"
        return
    fi
    seq 2000 | sed 's/.*/{"type":"tty.test","data":&}/' > "$WORK/tty.ndjson"
    ended 0 "$SKALD" import "$WORK/tty.ndjson" --url "$URL"
    ! grep -q $'[\r\x1b]' "$WORK/out" "$WORK/err" || fail "a progress bar without a terminal"
    TERM=xterm script -qec "'$SKALD' import '$WORK/tty.ndjson' --url '$URL'" /dev/null > "$WORK/out" < /dev/null
    grep -q $'\r\x1b\[Kimport \[=* *\] *[0-9]*% ' "$WORK/out" || fail "no progress bar on a terminal: $(cat -v "$WORK/out")"
    TERM=xterm script -qec "'$SKALD' read --limit 1 --url '$URL'" /dev/null > "$WORK/out" < /dev/null
    grep -q $'\x1b\[1msystem.startup\x1b\[0m' "$WORK/out" || fail "no colours on a terminal: $(cat -v "$WORK/out")"
    NO_COLOR=1 TERM=xterm script -qec "'$SKALD' read --limit 1 --url '$URL'" /dev/null > "$WORK/out" < /dev/null
    ! grep -q $'\x1b' "$WORK/out" || fail "colours in spite of NO_COLOR"
    TERM=dumb script -qec "'$SKALD' read --limit 1 --url '$URL'" /dev/null > "$WORK/out" < /dev/null
    ! grep -q $'\x1b' "$WORK/out" || fail "colours on a dumb terminal"
}

test_closed_pipe() {
    local status=0
    { "$SKALD" read --url "$URL" --json || echo $? > "$WORK/status"; } 2> "$WORK/err" | head -n 1 > "$WORK/out"
    [ ! -s "$WORK/status" ] || status=$(cat "$WORK/status")
    [ "$status" = 0 ] || [ "$status" = 3 ] || fail "read into a closed pipe ends with $status"
}

test_help
test_usage
test_unreachable
test_configuration
start_server --port "$(free_port)"
test_one_server
test_publish
test_scheduled
test_read
test_terminal
test_closed_pipe
stop_server
echo "the command line is as it says"
