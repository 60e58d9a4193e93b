#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Traces through a running server, as a collector sees them: OTLP over HTTP, JSON, its spans in one
# tree from the request to the delivery; and a collector that is gone disturbs nobody.
set -euo pipefail
source "$(dirname "$0")/lib.bash"

command -v node > /dev/null || skip "node is not installed"
TRACE=0af7651916cd43dd8448eb211c80319c
GIVEN=00-$TRACE-b7ad6b7169203331-01

# collector PORT: checks the form of what comes as the protocol says (ids in hexadecimal, enums as
# numbers, 64-bit numbers as text) and writes a line for each span.
cat > "$WORK/collector.js" << 'SCRIPT'
const fs = require("fs"), http = require("http"), zlib = require("zlib"), assert = require("assert");
const [port, spans, faults] = process.argv.slice(2);
const keys = (object, known) => { for (const key of Object.keys(object)) assert(known.includes(key), "unknown member " + key); };
const attributes = list => {
  const found = {};
  for (const one of list) {
    keys(one, ["key", "value"]);
    assert(typeof one.key === "string" && one.key && !(one.key in found), "key");
    const [kind] = Object.keys(one.value);
    assert.strictEqual(Object.keys(one.value).length, 1);
    if (kind === "stringValue") assert(typeof one.value[kind] === "string");
    else { assert.strictEqual(kind, "intValue"); assert(/^-?\d+$/.test(one.value[kind]) && typeof one.value[kind] === "string"); }
    found[one.key] = one.value[kind];
  }
  return found;
};
const check = (request, text) => {
  assert.strictEqual(request.method, "POST");
  assert.strictEqual(request.url, "/v1/traces");
  assert.strictEqual(request.headers["content-type"], "application/json");
  assert.strictEqual(request.headers["content-encoding"], "gzip");
  assert.strictEqual(request.headers["x-collector-key"], "very-secret");
  const body = JSON.parse(text);
  keys(body, ["resourceSpans"]);
  for (const resource of body.resourceSpans) {
    keys(resource, ["resource", "scopeSpans"]);
    const about = attributes(resource.resource.attributes);
    assert.strictEqual(about["service.name"], "tester");
    assert(about["service.version"] && about["service.instance.id"]);
    for (const scope of resource.scopeSpans) {
      keys(scope, ["scope", "spans"]);
      assert(scope.scope.name && scope.scope.version);
      for (const span of scope.spans) {
        keys(span, ["traceId", "spanId", "parentSpanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano", "attributes", "status"]);
        assert(/^[0-9a-f]{32}$/.test(span.traceId) && !/^0+$/.test(span.traceId), "traceId");
        assert(/^[0-9a-f]{16}$/.test(span.spanId) && !/^0+$/.test(span.spanId), "spanId");
        if ("parentSpanId" in span) assert(/^[0-9a-f]{16}$/.test(span.parentSpanId), "parentSpanId");
        assert(typeof span.name === "string" && span.name, "name");
        assert(Number.isInteger(span.kind) && span.kind >= 1 && span.kind <= 5, "kind");
        for (const at of ["startTimeUnixNano", "endTimeUnixNano"]) assert(/^\d{19}$/.test(span[at]) && typeof span[at] === "string", at);
        assert(BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano), "it ends before it begins");
        const age = Date.now() - Number(BigInt(span.startTimeUnixNano) / 1000000n);
        assert(age >= -1000 && age < 600000, "the time of a span");
        keys(span.status, ["code", "message"]);
        if ("code" in span.status) assert.strictEqual(span.status.code, 2);
        const about = attributes(span.attributes);
        fs.appendFileSync(spans, [span.traceId, span.spanId, span.parentSpanId || "-", span.kind, span.status.code || 0,
          about["messaging.destination.subscription.name"] || "-", about["skald.attempt"] || "-",
          about["messaging.message.id"] || "-", about["http.response.status_code"] || "-", span.name].join(" ") + "\n");
      }
    }
  }
};
http.createServer((request, response) => {
  const pieces = [];
  request.on("data", piece => pieces.push(piece));
  request.on("end", () => {
    try { check(request, zlib.gunzipSync(Buffer.concat(pieces)).toString()); }
    catch (error) { fs.appendFileSync(faults, error.stack + "\n"); }
    response.setHeader("Content-Type", "application/json");
    response.end("{}");
  });
}).listen(Number(port), "127.0.0.1");
SCRIPT

start_collector() {
    node "$WORK/collector.js" "$collector" "$WORK/spans" "$WORK/faults" 2>> "$WORK/faults" &
    COLLECTOR_PID=$!
    OTHER_PIDS="${OTHER_PIDS:-} $COLLECTOR_PID"
    listens() { (exec 3<> "/dev/tcp/127.0.0.1/$collector") 2> /dev/null; }
    wait_until 20 "the collector" listens
}

metric() { get /metrics | awk -v name="$1" '$1 == name {print $2}'; }
# span PATTERN FIELD: of the one span whose line ends with it.
span() {
    local found
    found=$(grep -E "$1\$" "$WORK/spans") || fail "there is no span '$1'"
    [ "$(wc -l <<< "$found")" = 1 ] || fail "'$1' is several spans: $found"
    cut -d' ' -f"$2" <<< "$found"
}
# publish TYPE TRACEPARENT [MEMBERS]: gives the event as it is stored.
publish() {
    curl -sS --fail-with-body -o "$WORK/posted" -H "traceparent: $2" -H 'Content-Type: application/json' \
        -d "{\"type\":\"$1\",\"stream\":\"$1-1\"${3:-}}" "$URL/api/events"
    get "/api/events?type=$1&direction=backward&limit=1"
}
member() { sed -E "s/.*\"$1\":\"([^\"]*)\".*/\1/" <<< "$2"; }

# A request, its event, its delivery, and what the worker publishes because of it: one tree.
test_tree() {
    local event delivered id next
    post /api/subscriptions '{"name":"mailer","filter":{"types":["order.paid"]},"retry":{"firstMs":1}}' > /dev/null
    event=$(publish order.paid "$GIVEN")
    delivered=$(get '/api/subscriptions/mailer/deliveries?waitMs=5000')
    id=$(member deliveryId "$delivered")
    post /api/subscriptions/mailer/nack "{\"deliveries\":[\"$id\"],\"reason\":\"not yet\"}" > /dev/null
    delivered=$(get '/api/subscriptions/mailer/deliveries?waitMs=5000')
    id=$(member deliveryId "$delivered")
    next=$(publish mail.sent "$(member traceparent "$delivered")" ",\"causationId\":\"$(member id "$event")\"")
    post /api/subscriptions/mailer/ack "{\"deliveries\":[\"$id\"]}" > /dev/null
    has_spans() { [ "$(grep -c " mail\.sent$\| order\.paid$" "$WORK/spans")" -ge 4 ]; }
    wait_until 20 "the spans" has_spans

    local requests=() line
    while read -r line; do requests+=("$line"); done < <(grep "^$TRACE .* POST /api/events$" "$WORK/spans")
    expect "requests of the trace" "${#requests[@]}" 2
    expect "the first request's parent" "$(cut -d' ' -f3 <<< "${requests[0]}")" b7ad6b7169203331
    expect "its kind" "$(cut -d' ' -f4 <<< "${requests[0]}")" 2
    expect "its status" "$(cut -d' ' -f9 <<< "${requests[0]}")" 201
    expect "the publish's parent" "$(span 'publish order.paid' 3)" "$(cut -d' ' -f2 <<< "${requests[0]}")"
    expect "its kind" "$(span 'publish order.paid' 4)" 4
    expect "its event" "$(span 'publish order.paid' 8)" "$(member id "$event")"
    expect "the event's context" "$(member traceparent "$event")" "00-$TRACE-$(span 'publish order.paid' 2)-01"
    grep ' process order.paid$' "$WORK/spans" | sort -k7 > "$WORK/attempts"
    expect "attempts" "$(lines "$WORK/attempts")" 2
    expect "their parents" "$(cut -d' ' -f3 "$WORK/attempts" | sort -u)" "$(span 'publish order.paid' 2)"
    expect "their kinds, failures, subscription, number" "$(cut -d' ' -f4-7 "$WORK/attempts" | tr '\n' ';')" \
        "5 2 mailer 1;5 0 mailer 2;"
    expect "the second request's parent" "$(cut -d' ' -f3 <<< "${requests[1]}")" "$(span 'publish order.paid' 2)"
    expect "the second publish's parent" "$(span 'publish mail.sent' 3)" "$(cut -d' ' -f2 <<< "${requests[1]}")"
    expect "the second event's context" "$(member traceparent "$next")" "00-$TRACE-$(span 'publish mail.sent' 2)-01"
}

# The parent's flag decides; without a parent a trace begins here, but not with a health check.
test_sampled() {
    local given=00-11111111111111111111111111111111-2222222222222222-00 own
    expect "the context of what is not sampled" "$(member traceparent "$(publish quiet.x "$given")")" "$given"
    curl -sS -D "$WORK/head" -o /dev/null -H 'Content-Type: application/json' -d '{"type":"root.x"}' "$URL/api/events"
    own=$(sed -nE 's/^traceparent: ([0-9a-f-]{55}).*/\1/Ip' "$WORK/head")
    [ -n "$own" ] || fail "no trace began: $(cat "$WORK/head")"
    curl -sS -D "$WORK/head" -o /dev/null "$URL/health"
    ! grep -i '^traceparent' "$WORK/head" || fail "a health check began a trace"
    begun() { grep -q ' publish root.x$' "$WORK/spans"; }
    wait_until 20 "the trace that began here" begun
    expect "its request has no parent" "$(grep "^$(cut -d- -f2 <<< "$own") $(cut -d- -f3 <<< "$own") - 2 .* POST /api/events$" -c "$WORK/spans")" 1
    ! grep -q ' quiet.x$\|/health$\|/metrics$' "$WORK/spans" || fail "something is traced that should not be"
    publish_array() { curl -sS -o /dev/null -H "traceparent: $GIVEN" -H 'Content-Type: application/json' \
        -d '[{"type":"many.x"},{"type":"many.x"},{"type":"many.x"}]' "$URL/api/events"; }
    publish_array
    wait_until 20 "the array" grep -q ' publish many.x$' "$WORK/spans"
    expect "spans of an array" "$(grep -c ' publish many.x$' "$WORK/spans")" 1
}

# Nobody listens: events are taken as fast as ever, spans are counted as they are lost, and when the
# collector is back so are they.
test_collector_gone() {
    local n
    kill "$COLLECTOR_PID"
    wait "$COLLECTOR_PID" 2> /dev/null || true
    for n in 1 2 3; do publish gone.x "$GIVEN" > /dev/null; done
    retried() { [ "$(metric skald_otlp_retries_total)" -ge 1 ]; }
    wait_until 30 "another attempt" retried
    [ "$(grep -c 'traces cannot be sent' "$WORK/serve.err")" = 1 ] || fail "the log does not say it once"
    start_collector
    # The circuit to the collector has opened: it is not called for 30 s, and that is what is waited for here.
    back() { grep -q ' publish gone.x$' "$WORK/spans"; }
    wait_until 120 "the spans, when the collector is back" back
    wait_until 30 "the log to say that it is well again" grep -q 'traces are sent again' "$WORK/serve.err"
}

test_stop() {
    publish last.x "$GIVEN" > /dev/null
    stop_server
    grep -q ' publish last.x$' "$WORK/spans" || fail "a stop does not send what waits"
}

test_refused() {
    ended 2 env SKALD_TELEMETRY_OTLP_URL='http://me:very-secret@127.0.0.1:1/?x' "$SKALD" serve --data "$WORK/other" --port 0
    ! grep -q very-secret "$WORK/err" "$WORK/out" || fail "the password is shown"
    printf 'Authorization very-secret\n' > "$WORK/bad"
    ended 2 env SKALD_TELEMETRY_OTLP_URL=http://127.0.0.1:1 SKALD_TELEMETRY_HEADERS_FILE="$WORK/bad" "$SKALD" serve --data "$WORK/other" --port 0
    grep -q 'line 1' "$WORK/err" || fail "the line is not named: $(cat "$WORK/err")"
    ! grep -q very-secret "$WORK/err" "$WORK/out" || fail "the headers file is shown"
}

collector=$(free_port)
: > "$WORK/spans"
: > "$WORK/faults"
printf 'X-Collector-Key: very-secret\n' > "$WORK/headers"
start_collector
export SKALD_TELEMETRY_OTLP_URL=http://127.0.0.1:$collector SKALD_TELEMETRY_HEADERS_FILE=$WORK/headers
export SKALD_TELEMETRY_SERVICE=tester SKALD_TELEMETRY_SAMPLED_OF_MILLION=1000000
start_server
test_tree
test_sampled
expect "spans lost" "$(metric skald_otlp_spans_dropped_total) $(metric skald_otlp_spans_failed_total)" "0 0"
expect "the circuit" "$(metric 'skald_circuit_state{name="otlp"}')" 0
expect_like "the part of it" "$(get /ready)" '*,"circuits":{"status":"ok","otlp":"closed"}}}'
test_collector_gone
test_stop
[ ! -s "$WORK/faults" ] || fail "the collector objects: $(cat "$WORK/faults")"
! grep -q very-secret "$WORK/serve.err" || fail "the log holds a secret"
test_refused
echo "traces reach the collector, whole"
