#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A server at its limit, with a history and a subscriber that hardly reads: no errors, bounded memory; then
# SIGTERM in the middle of it. What was acknowledged is there, what was not heard of is not, and the
# server ends with 0. SECONDS_LONG (2) is how long it lasts; scripts/stress makes that minutes.
set -euo pipefail
source "$(dirname "$0")/lib.bash"

command -v node > /dev/null || skip "node is not there"
seconds=${SECONDS_LONG:-2} connections=${CONNECTIONS:-64} history=${HISTORY:-20000}
resident_max_mib=${RESIDENT_MAX_MIB:-1024} # a sanitizer keeps what was freed
start_server
resident() { echo $(($(awk '/^VmRSS/ { print $2 }' "/proc/$SERVER_PID/status") / 1024)); }

yes '{"type":"old.made","stream":"old-1","data":{"note":"a history that somebody follows slowly"}}' |
    head -n "$history" > "$WORK/history" || true
curl -sS --fail-with-body -H 'Content-Type: application/x-ndjson' --data-binary "@$WORK/history" "$URL/api/events" \
    > "$WORK/reply" || fail "the history: $(cat "$WORK/reply")"
expect_like "the history" "$(cat "$WORK/reply")" "*\"accepted\":$history,*"
curl -sN --limit-rate 1k "$URL/api/events/stream?after=0" > "$WORK/slow" &
OTHER_PIDS="${OTHER_PIDS:-} $!"
before=$(resident)

node "$SKALD_SOURCE_DIR/tests/system/load.mjs" "${URL##*:}" "$connections" "$WORK/acked" "$WORK/unheard" > "$WORK/load" &
load=$!
OTHER_PIDS="$OTHER_PIDS $load"
wait_until 60 "the load" shows '/api/events?type=load.made&limit=1' load.made
sleep "$seconds"
during=$(resident)
shows /metrics 'status="5xx"' && fail "answers of 5xx under load"
stop_server
wait "$load" || fail "an answer was cut off: $(cat "$WORK/load")"
echo "$(cat "$WORK/load"); resident $before MiB before, $during MiB under load"
[ "$during" -lt "$resident_max_mib" ] || fail "$during MiB resident"
[ -s "$WORK/acked" ] || fail "nothing was acknowledged"

"$SKALD" export --data "$DATA" --type load.made | sed -E 's/.*"id":"([^"]*)".*/\1/' | sort > "$WORK/stored"
lost=$(comm -23 "$WORK/acked" "$WORK/stored" | wc -l)
silent=$(comm -13 "$WORK/acked" "$WORK/stored" | wc -l)
expect "acknowledged and lost" "$lost" 0
expect "stored and not answered" "$silent" 0
echo "a stop at saturation loses nothing and leaves nobody without an answer"
