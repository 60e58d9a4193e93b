#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# skald store: what a directory consists of, compacting, salvaging, upgrading; how each refuses.
set -euo pipefail
source "$(dirname "$0")/lib.bash"

pad=$(head -c 900 /dev/zero | tr '\0' p)
for part in 1 2; do # each start makes the next segment as large as a file may be now
    SKALD_SEGMENT_BYTES=65536 start_server
    seq 100 | sed "s/.*/{\"type\":\"v.event\",\"stream\":\"v-$part\",\"data\":{\"n\":&,\"pad\":\"$pad\"}}/" |
        "$SKALD" import --url "$URL" - > /dev/null
    stop_server
done

ended 0 "$SKALD" store info --data "$DATA"
expect_like "info" "$(cat "$WORK/out")" '*seg-00000001.0.log  positions 1 to *events, 0 erased, 0 damaged*1 stream, *being written*format 1, up to position *'
ended 0 "$SKALD" store info --json --data "$DATA"
expect_like "info" "$(cat "$WORK/out")" '{"format":1,"position":*,"segments":\[{"file":"seg-00000001.0.log","number":1,"generation":0,"sealed":true,"firstPosition":1,*'
ended 0 "$SKALD" store upgrade --data "$DATA" --json
expect "upgrade" "$(cat "$WORK/out")" '{"format":1,"upgraded":false}'
ended 0 "$SKALD" store upgrade --data "$DATA"
expect_like "upgrade" "$(cat "$WORK/out")" '*format 1*nothing to do*'

ended 2 "$SKALD" store info
ended 2 "$SKALD" store tidy --data "$DATA"
ended 2 "$SKALD" store salvage --data "$DATA"
ended 2 "$SKALD" store compact --data "$DATA" --rate much
# What looks after a store makes none: a slip in the name must not find that all is well.
for verb in "store info" "store compact" "store compact --erase" verify "verify --repair"; do
    for nothing in "$WORK/nothing" "sqlite:$WORK/nothing"; do
        # shellcheck disable=SC2086
        ended 3 "$SKALD" $verb --data "$nothing"
        said "skald: there is no store *$WORK/nothing'"
    done
    [ ! -e "$WORK/nothing" ] || fail "$verb made a store"
done
ended 3 "$SKALD" store salvage --data "$DATA" --to "$DATA"

# Held by a server nothing is looked after from beside it.
start_server
ended 3 "$SKALD" store info --data "$DATA"
said '*held by process*'
ended 3 "$SKALD" store compact --data "$DATA"
expect_like "deleting a stream" "$(status DELETE /api/streams/v-1)" '20?'
stop_server

ended 0 "$SKALD" store compact --erase --rate 1000000000 --data "$DATA"
expect_like "compact" "$(cat "$WORK/out")" '* events erased, * bytes freed*'
ended 0 "$SKALD" verify --data "$DATA"
ended 0 "$SKALD" store compact --json --data "$DATA"
expect_like "compact" "$(cat "$WORK/out")" '{"eventsErased":*,"bytesFreed":*}'

# Nothing is lost of what is whole.
ended 0 "$SKALD" export --data "$DATA" "$WORK/before"
ended 0 "$SKALD" store salvage --data "$DATA" --to "$WORK/saved"
ended 0 "$SKALD" verify --data "$WORK/saved"
ended 0 "$SKALD" export --data "$WORK/saved" "$WORK/after"
cmp -s "$WORK/before" "$WORK/after" || fail "salvage changed a whole store"
ended 0 "$SKALD" store salvage --json --data "$DATA" --to "$WORK/saved2"
expect_like "salvage" "$(cat "$WORK/out")" '{"events":*,"lastPosition":*,"positionsLost":0,"lost":\[\]}'
echo "skald store does what it says"
