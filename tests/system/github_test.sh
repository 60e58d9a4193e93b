#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Several hundred real GitHub webhook payloads go through a running server while a durable handler
# works, and the server is killed with -9 in the middle. What was acknowledged must be there once, every
# payload equal to what was sent, and the handler must have seen every event.
set -euo pipefail
source "$(dirname "$0")/lib.bash"

command -v node > /dev/null || skip "node is missing (scripts/setup test installs it)"
example=$SKALD_SOURCE_DIR/examples/github
cp "$example"/package.json "$example"/package-lock.json "$example"/events.mjs "$WORK"
if ! (cd "$WORK" && npm ci --silent --no-audit --no-fund > "$WORK/npm.out" 2>&1); then
    skip "npm cannot install @octokit/webhooks-examples: $(tail -n 1 "$WORK/npm.out")"
fi
node "$WORK/events.mjs" > "$WORK/events.ndjson"
want=$(wc -l < "$WORK/events.ndjson")
[ "$want" -gt 300 ] || fail "only $want payloads"

port=$(free_port)
start_server --port "$port"
touch "$WORK/handled.ndjson"
"$SKALD" tail --url "$URL" --name handler --type 'github.*' --timeout 20 --exec -- \
    tee -a "$WORK/handled.ndjson" > /dev/null 2> "$WORK/tail.err" &
OTHER_PIDS=$!

# In parts, so that the server dies between and inside of requests; import sends a part again whose
# answer did not come.
"$SKALD" import --url "$URL" --retry-for 60 --json "$WORK/events.ndjson" > "$WORK/import.out" 2> "$WORK/import.err" &
import=$!
for round in 1 2 3; do
    for _ in $(seq 1200); do
        handled=$(wc -l < "$WORK/handled.ndjson")
        [ "$handled" -ge $((round * 60)) ] && break
        sleep 0.05
    done
    [ "$handled" -ge $((round * 60)) ] || fail "the handler stands still at $handled events: $(tail -n 2 "$WORK/tail.err")"
    kill_server
    start_server --port "$port"
done
wait "$import" || fail "import ended with $?: $(cat "$WORK/import.err")"
expect "import" "$(cat "$WORK/import.out")" "{\"accepted\":$want,\"rejected\":0}"

# Once more: nothing is doubled.
"$SKALD" import --url "$URL" --json "$WORK/events.ndjson" > /dev/null

for _ in $(seq 600); do
    ids=$(grep -o '^{"id":"[^"]*"' "$WORK/handled.ndjson" | sort -u | wc -l)
    [ "$ids" -ge "$want" ] && break
    sleep 0.1
done
expect "events that the handler has seen" "$ids" "$want"

"$SKALD" export --url "$URL" --type 'github.*' "$WORK/exported.ndjson" > /dev/null
node - "$WORK/events.ndjson" "$WORK/exported.ndjson" "$WORK/handled.ndjson" << 'SCRIPT' || fail "payloads differ"
const fs = require('node:fs');
const assert = require('node:assert');
const [sent, stored, handled] = process.argv.slice(2).map(
  (path) => fs.readFileSync(path, 'utf8').trim().split('\n').map((line) => JSON.parse(line)));
assert.strictEqual(stored.length, sent.length, 'as many as were sent, none doubled');
const by_id = new Map(stored.map((event) => [event.id, event]));
const versions = new Map();
for (const event of stored) {
  if (event.stream === null) continue;
  assert.strictEqual(event.streamVersion, (versions.get(event.stream) ?? 0) + 1, 'versions without gaps');
  versions.set(event.stream, event.streamVersion);
}
for (const event of sent) {
  const found = by_id.get(event.id);
  assert.ok(found, `${event.type} is there`);
  assert.deepStrictEqual(found.data, event.data);
  assert.strictEqual(found.type, event.type);
  assert.strictEqual(found.stream, event.stream ?? null);
}
// Handled at least once, and in order within a stream the first time.
const seen = new Set();
const last = new Map();
for (const event of handled) {
  if (seen.has(event.id)) continue;
  seen.add(event.id);
  assert.deepStrictEqual(event.data, by_id.get(event.id).data);
  if (event.stream === null) continue;
  assert.strictEqual(event.streamVersion, (last.get(event.stream) ?? 0) + 1, 'handled in order');
  last.set(event.stream, event.streamVersion);
}
assert.strictEqual(seen.size, sent.length);
console.log(`${sent.length} payloads equal, ${handled.length} handled`);
SCRIPT

total=$(get /api/events/stats | node -e 'let t="";process.stdin.on("data",c=>t+=c).on("end",()=>{const s=JSON.parse(t);
  let n=0;for(const [k,v] of Object.entries(s.eventsByType)) if(k.startsWith("github.")) n+=v; console.log(n)})')
expect "stats" "$total" "$want"
stop_server
"$SKALD" verify --data "$DATA" > "$WORK/verify.out" || fail "verify: $(cat "$WORK/verify.out")"
