#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A byte of a stopped server's directory changes, wherever it is: `skald verify` names the range that
# holds it, no event comes out other than it went in, what is outside of the range can be had, and the
# server neither writes behind the damage nor passes over it in silence. Offsets are chosen by a seed:
# SKALD_SEED; SKALD_ROUNDS of them (24), beside those that were chosen by hand.
set -euo pipefail
source "$(dirname "$0")/lib.bash"

state=${SKALD_SEED:-1}
rounds=${SKALD_ROUNDS:-24}
random() { # below $1; never in a subshell
    state=$(((state * 1103515245 + 12345) & 0x7fffffff))
    drawn=$(((state >> 8) % $1))
}

# 300 events of two streams in segments enough for a run of the stream directory.
make_data() {
    local n pad
    pad=$(head -c 3000 /dev/zero | tr '\0' p)
    for _ in 1 2 3; do
        SKALD_SEGMENT_BYTES=65536 start_server
        seq 100 | sed "s/.*/{\"type\":\"rot.x\",\"stream\":\"rot-$((RANDOM % 2))\",\"data\":{\"n\":&,\"pad\":\"$pad\"}}/" |
            "$SKALD" import --url "$URL" - > /dev/null
        for _ in $(seq 600); do # the third time there are enough for a run
            [ "$(ls "$DATA"/seg-*.idx | wc -l)" -lt 8 ] || [ -n "$(find "$DATA" -name 'dir-*.run')" ] && break
            sleep 0.1
        done
        stop_server
    done
    ended 0 "$SKALD" verify --data "$DATA"
    ended 0 "$SKALD" export --data "$DATA" "$WORK/whole"
    events=$(lines "$WORK/whole")
    mapfile -t segments < <(cd "$DATA" && ls seg-*.log)
    [ ${#segments[@]} -ge 9 ] || fail "only ${#segments[@]} segments"
    for made in 'seg-*.idx' 'dir-*.run' 'state-*.ckpt' 'MANIFEST-?'; do
        [ -n "$(find "$DATA" -name "$made")" ] || fail "there is no $made"
    done
}

# end_of FILE: where acknowledged bytes end in it. The last event of the log is the shutdown's; what is
# behind it (the watermark of the stop) promises nothing.
end_of() {
    if [ "$1" = "${segments[-1]}" ]; then
        grep -abo 'system.shutdown' "$DATA/$1" | tail -n 1 | cut -d: -f1
    else
        LC_ALL=C grep -obUaP '[^\x00]+' "$DATA/$1" | tail -n 1 | LC_ALL=C awk -F: '{ print $1 + length($2) }'
    fi
}

# flip FILE OFFSET: one bit of that byte, in a copy of the data at $WORK/rotten
flip() {
    local byte
    rm -rf "$WORK/rotten"
    cp -a "$DATA" "$WORK/rotten"
    byte=$(od -An -tu1 -j "$2" -N1 "$WORK/rotten/$1")
    random 8
    # shellcheck disable=SC2059
    printf "$(printf '\\%03o' $((byte ^ (1 << drawn))))" |
        dd of="$WORK/rotten/$1" bs=1 seek="$2" conv=notrunc status=none
    ! cmp -s "$DATA/$1" "$WORK/rotten/$1" || fail "the byte was not changed"
}

# ranges FILE: those that verify named in it, as "offset length first last"
ranges() {
    tr '{' '\n' < "$WORK/verify.json" |
        sed -nE "s/^\"file\":\"([^\"]*\/)?$1\",\"offset\":([0-9]+),\"length\":([0-9]+),\"firstPosition\":([0-9]+),\"lastPosition\":([0-9]+),.*/\2 \3 \4 \5/p"
}

# rot FILE OFFSET: the byte of a segment changes.
rot() {
    local file=$1 offset=$2 from length first last held= exported=0
    flip "$file" "$offset"
    ended 1 "$SKALD" verify --data "$WORK/rotten"
    ended 1 "$SKALD" verify --json --data "$WORK/rotten"
    cp "$WORK/out" "$WORK/verify.json"
    : > "$WORK/outside"
    cp "$WORK/whole" "$WORK/outside"
    while read -r from length first last; do
        if [ "$from" -le "$offset" ] && [ "$offset" -lt $((from + length)) ]; then held=1; fi
        [ "$last" -ge $((first - 1)) ] || fail "$file at $offset: positions $first to $last"
        awk -v first="$first" -v last="$last" '{
            match($0, /"position":[0-9]+/)
            position = substr($0, RSTART + 11, RLENGTH - 11) + 0
            if (position < first || position > last) print }' "$WORK/outside" > "$WORK/less"
        mv "$WORK/less" "$WORK/outside"
    done < <(ranges "$file")
    [ -n "$held" ] || fail "$file: the byte at $offset is in no range of $(cat "$WORK/verify.json")"

    # Whatever can be read is as it was, and nothing outside of the ranges is missing.
    "$SKALD" export --data "$WORK/rotten" "$WORK/rest" > "$WORK/out" 2> "$WORK/err" || exported=$?
    if ! cmp -s "$WORK/whole" "$WORK/rest"; then
        [ "$exported" = 1 ] && [ -s "$WORK/err" ] || fail "export does not say that something is missing"
    fi
    sort "$WORK/whole" > "$WORK/a"
    sort "$WORK/rest" > "$WORK/b"
    [ -z "$(comm -13 "$WORK/a" "$WORK/b")" ] || fail "$file at $offset: an event came out changed"
    sort "$WORK/outside" | comm -23 - "$WORK/b" > "$WORK/c"
    [ ! -s "$WORK/c" ] || fail "$file at $offset: events outside of the range are missing"
}

# A server over it serves everything else and says so in /ready. Of a segment that is full the range alone
# is out of reach (written); otherwise nothing is written at all (read_only).
serve_rotten() {
    local how=$1 position first
    cp -a "$WORK/rotten" "$WORK/before"
    DATA=$WORK/rotten start_server
    "$SKALD" export --url "$URL" "$WORK/served" > /dev/null 2>&1 || true
    first=$(tr '{' '\n' < "$WORK/verify.json" | sed -nE 's/.*"firstPosition":([0-9]+),.*/\1/p' | head -n 1)
    if [ "$how" = written ]; then # the range is named to whoever reads it
        expect "a read of the range" "$(status GET "/api/events?limit=1000&after=$((first - 1))")" 500
        expect_like "a read of the range" "$(cat "$WORK/reply")" '*seg-*positions from *'
    fi
    expect "ready" "$(status GET /ready)" 200
    expect_like "ready" "$(cat "$WORK/reply")" '{"status":"degraded",*"store":{"status":"damaged",*"damaged":\[{"file":"seg-*'
    if [ "$how" = written ]; then
        expect "an append" "$(status POST /api/events -H 'Content-Type: application/json' -d '{"type":"rot.y"}')" 201
    else
        expect "an append" "$(status POST /api/events -H 'Content-Type: application/json' -d '{"type":"rot.y"}')" 503
        expect_like "an append" "$(cat "$WORK/reply")" '*damaged*READ_ONLY*'
    fi
    position=$(sed -nE '7s/.*"position":([0-9]+),.*/\1/p' "$WORK/rest") # one that can be read
    expect "a read" "$(status GET "/api/events?limit=1&after=$((position - 1))")" 200
    expect_like "a read" "$(cat "$WORK/reply")" "*\"position\":$position,*"
    stop_server
    for file in "${segments[@]::${#segments[@]}-1}"; do
        cmp -s "$WORK/rotten/$file" "$WORK/before/$file" || fail "$file was written to"
    done
    if [ "$how" = read_only ]; then
        cmp -s "$WORK/rotten/$last" "$WORK/before/$last" || fail "$last was written to"
    fi
    rm -rf "$WORK/before"
}

# A server over something that can be made again serves all of it and takes appends. Who comes upon the
# damage first may be told of it, while it is mended.
serve_repairable() {
    local exported=
    DATA=$WORK/rotten start_server
    for _ in $(seq 300); do
        "$SKALD" export --url "$URL" "$WORK/served" > /dev/null 2> "$WORK/err" && exported=1 && break
        sleep 0.2
    done
    [ -n "$exported" ] || fail "${file#./} at $drawn: not mended: $(cat "$WORK/err")"
    # what the start itself has appended comes behind
    head -n "$events" "$WORK/served" | cmp -s "$WORK/whole" - || fail "${file#./} at $drawn: served otherwise"
    expect "ready" "$(status GET /ready)" 200
    expect "an append" "$(status POST /api/events -H 'Content-Type: application/json' -d '{"type":"rot.y"}')" 201
    stop_server
    ended 0 "$SKALD" verify --repair --data "$WORK/rotten"
}

# What cannot be read is left out of a new store; everything else is in it, where it was.
salvage_rotten() {
    local lost=0
    rm -rf "$WORK/salvaged"
    "$SKALD" store salvage --data "$WORK/rotten" --to "$WORK/salvaged" > "$WORK/out" 2> "$WORK/err" || lost=$?
    [ "$lost" -le 1 ] || fail "salvage: $(cat "$WORK/err")"
    ended 0 "$SKALD" verify --data "$WORK/salvaged"
    ended 0 "$SKALD" export --data "$WORK/salvaged" "$WORK/saved"
    sort "$WORK/saved" > "$WORK/a"
    [ -z "$(comm -13 <(sort "$WORK/whole") "$WORK/a")" ] || fail "salvage changed an event"
    sort "$WORK/outside" | comm -23 - "$WORK/a" > "$WORK/c"
    [ ! -s "$WORK/c" ] || fail "salvage left out events outside of the range"
    DATA=$WORK/salvaged start_server
    post /api/events '{"type":"rot.z"}' > /dev/null
    stop_server
}

# The index of a segment that is damaged stays as it is: it finds what one made of the rest would not.
repair_rotten() {
    rm -rf "$WORK/before"
    cp -a "$WORK/rotten" "$WORK/before"
    ended 1 "$SKALD" verify --repair --data "$WORK/rotten"
    for file in "${segments[@]/%.log/.idx}"; do
        [ ! -e "$WORK/before/$file" ] || cmp -s "$WORK/before/$file" "$WORK/rotten/$file" ||
            fail "verify --repair made $file anew of a segment that is damaged"
    done
    rm -rf "$WORK/before"
}

make_data
last=${segments[-1]}
rot "${segments[1]}" 9       # the header of a segment
read -r _ _ first _ < <(ranges "${segments[1]}")
[ "$first" -gt 1 ] || fail "no event of the segment has position $first"
rot "${segments[0]}" 9
salvage_rotten
serve_rotten read_only
rot "${segments[0]}" 4100    # the header of its first frame
rot "${segments[1]}" 20000   # in the middle
repair_rotten
salvage_rotten
serve_rotten written
rot "$last" $(($(end_of "$last") - 1))
salvage_rotten
serve_rotten read_only
for ((round = 0; round < rounds; round++)); do
    random ${#segments[@]}
    file=${segments[$drawn]}
    random "$(end_of "$file")"
    rot "$file" "$drawn"
done

# What is made from the log may rot as it likes: nothing is lost with it.
served=
for file in $(cd "$DATA" && find . -type f ! -name 'seg-*.log' ! -name LOCK ! -name 'spare-*' ! -name 'ballast*'); do
    for _ in 1 2; do
        random "$(stat -c %s "$DATA/$file")"
        flip "$file" "$drawn"
        "$SKALD" export --data "$WORK/rotten" "$WORK/rest" > /dev/null 2> "$WORK/err" || true
        diff -q "$WORK/whole" "$WORK/rest" > /dev/null ||
            fail "${file#./} at $drawn: the log cannot be read any more: $(head -n 2 "$WORK/err")"
        ended 1 "$SKALD" verify --data "$WORK/rotten"
        expect_like "verify" "$(cat "$WORK/out")" '*repairable: *REPAIRABLE*'
        ended 0 "$SKALD" verify --repair --data "$WORK/rotten"
        ended 0 "$SKALD" verify --data "$WORK/rotten"
    done
    case ${file##*[.-]} in idx | run | ckpt | 0) [ "${served/${file##*[.-]}/}" = "$served" ] || continue ;; esac
    served="$served ${file##*[.-]}"
    flip "$file" "$drawn"
    serve_repairable
done
echo "$((rounds + 4)) bytes changed in ${#segments[@]} segments of $events events, each found"
