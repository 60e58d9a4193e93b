#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a server says of itself: every metric is in the document and every one in the document is there,
# promtool has nothing to say, the number of series is bounded, readiness and the figures are right.
set -euo pipefail
source "$(dirname "$0")/lib.bash"

DOCUMENT=$SKALD_SOURCE_DIR/docs/operations-metrics.md

# metric NAME: the value of a series, as it stands in the text.
metric() { get /metrics | awk -v name="$1" '$1 == name {print $2}'; }

# A server that has done some of everything.
use() {
    local n id
    post /api/subscriptions '{"name":"worker","filter":{"types":["order.*"]},"retry":{"attemptsMax":1},"onExhausted":"dead_letter"}' > /dev/null
    post /api/subscriptions '{"name":"odd\"name\\","filter":{"types":["none"]}}' > /dev/null
    for n in 1 2 3; do post /api/events "{\"type\":\"order.created\",\"stream\":\"order-$n\"}" > /dev/null; done
    for n in 1 2 3; do
        id=$(get '/api/subscriptions/worker/deliveries?max=1&waitMs=20000' | grep -o '"deliveryId":"[^"]*"' | cut -d'"' -f4)
        if [ "$n" = 1 ]; then
            post /api/subscriptions/worker/nack "{\"deliveries\":[\"$id\"],\"reason\":\"no\"}" > /dev/null
        else
            post /api/subscriptions/worker/ack "{\"deliveries\":[\"$id\"]}" > /dev/null
        fi
    done
    expect "an unknown event" "$(status GET /api/events/01a1fe4c-471b-7188-b522-fc6e4a7fd502)" 404
    expect "a bad request" "$(status POST /api/events -H 'Content-Type: application/json' -d '{')" 400
}

test_values() {
    expect "published" "$(metric 'skald_store_position')" "$(metric 'skald_events_published_total')"
    expect "acked" "$(metric 'skald_subscription_acked_total{name="worker",kind="pull"}')" 2
    expect "dead letters" "$(metric 'skald_subscription_dead_letters{name="worker",kind="pull"}')" 1
    expect "dead letters in all" "$(metric skald_deliveries_dead_total)" 1
    expect "deliveries" "$(metric skald_deliveries_total)" 3
    expect "bad requests" "$(metric 'skald_http_requests_total{method="POST",route="/api/events",status="4xx"}')" 1
    expect "good requests" "$(metric 'skald_http_requests_total{method="POST",route="/api/events",status="2xx"}')" 3
    expect "of an event" "$(metric 'skald_http_requests_total{method="GET",route="/api/events/{id}",status="4xx"}')" 1
    shows /metrics 'skald_subscription_lag{name="odd\"name\\",kind="pull"}' || fail "a name is not escaped"
    expect "read-only" "$(metric skald_store_read_only)" 0
    expect "the limit of connections" "$(metric 'skald_queue_items_max{queue="http_connections"}')" 20000
    expect_like "the figures" "$(get /api/admin/metrics)" \
        '{"domainEvents":{"published":*,"handled":2,"failed":1,"averageHandlingTime":*},"integrationEvents":{"published":2,"webhooksDelivered":0,"webhooksFailed":0},"websocketEvents":{"broadcast":0,"delivered":0,"connections":0},"eventStore":{"totalEvents":*,"totalSnapshots":0,"storageSize":*}}'
    put_snapshot=$(status PUT /api/streams/order-1/snapshot -H 'Content-Type: application/json' \
        -d '{"streamVersion":1,"data":{"a":1}}')
    case $put_snapshot in
    20?) expect_like "with a snapshot" "$(get /api/admin/metrics)" '*"totalSnapshots":1,*' ;;
    *) fail "a snapshot is answered with $put_snapshot: $(cat "$WORK/reply")" ;;
    esac
}

# The figures of a histogram add up: buckets rise, the last is the count.
test_histograms() {
    get /metrics | awk '
        /_bucket\{/ {
            series = $1; sub(/,?le="[^"]*"\}$/, "", series); sub(/\{$/, "", series)
            if (series == last && $2 < before) { print "falls: " $1; exit 1 }
            last = series; before = $2; top[series] = $2; count_of[series] = 1
        }
        /_count/ {
            series = $1; sub(/_count/, "_bucket", series); sub(/\}$/, "", series)
            if (!(series in top)) { print "no buckets: " $1; exit 1 }
            if (top[series] != $2) { print "is not the count: " $1; exit 1 }
            seen++
        }
        END { if (seen < 3) { print "only " seen " histograms"; exit 1 } }' || fail "a histogram does not add up"
}

test_document() {
    get /metrics | sed -n 's/^# HELP \([^ ]*\) .*/\1/p' | sort > "$WORK/there"
    sed -n 's/^| `\(skald_[a-z_]*\)` .*/\1/p' "$DOCUMENT" | sort > "$WORK/written"
    diff "$WORK/there" "$WORK/written" > "$WORK/diff" ||
        fail "/metrics (<) and docs/operations-metrics.md (>) differ:"$'\n'"$(cat "$WORK/diff")"
    [ "$(lines "$WORK/there")" -ge 60 ] || fail "only $(lines "$WORK/there") metrics"
    ! get /metrics | grep -v '^#' | grep -v '^skald_' || fail "a name does not begin with skald_"
    # Labels, too: each of the text stands in the document's second column.
    get /metrics | grep -v '^#' | awk -F'[{}]' 'NF > 1 {
        name = $1; sub(/_(bucket|sum|count)$/, "", name)
        n = split($2, labels, /",?/)
        for (i = 1; i <= n; i++) if (match(labels[i], /^[a-z]+=/)) {
            label = substr(labels[i], 1, RLENGTH - 1)
            if (label != "le") print name, label
        }
    }' | grep -v 'odd' | sort -u > "$WORK/labels"
    while read -r name label; do
        grep -q "^| \`$name\` |[^|]*\`$label\`" "$DOCUMENT" || fail "label $label of $name is not in the document"
    done < "$WORK/labels"
    [ "$(lines "$WORK/labels")" -ge 20 ] || fail "only $(lines "$WORK/labels") labels"
}

test_promtool() {
    if ! command -v promtool > /dev/null; then
        echo "SKIPPED: promtool: the Debian package prometheus is not installed"
        return
    fi
    get /metrics | promtool check metrics > "$WORK/promtool" 2>&1 || fail "promtool: $(cat "$WORK/promtool")"
    [ ! -s "$WORK/promtool" ] || fail "promtool says: $(cat "$WORK/promtool")"
}

test_openmetrics() {
    curl -sS -D "$WORK/head" -o "$WORK/open" -H 'Accept: application/openmetrics-text; version=1.0.0' "$URL/metrics"
    grep -qi '^content-type: application/openmetrics-text; version=1.0.0; charset=utf-8' "$WORK/head" ||
        fail "the type of OpenMetrics: $(cat "$WORK/head")"
    expect "the last line" "$(tail -n 1 "$WORK/open")" '# EOF'
    ! grep -E '^# (HELP|TYPE) [a-z_]*_total ' "$WORK/open" || fail "a family of OpenMetrics ends in _total"
    grep -q '^# TYPE skald_events_published counter$' "$WORK/open" || fail "no counter in OpenMetrics"
    grep -q '^skald_events_published_total ' "$WORK/open" || fail "no sample in OpenMetrics"
    curl -sS -o /dev/null -D "$WORK/head" "$URL/metrics"
    grep -qi '^content-type: text/plain; version=0.0.4; charset=utf-8' "$WORK/head" || fail "the type of the text"
}

# What 20,000 events in as many streams need, of which the promise is 10 MB for each thousand: much less, also of a program that is
# checked as it runs.
test_memory() {
    local before each
    before=$(metric skald_process_resident_memory_bytes)
    seq 20000 | sed 's/.*/{"type":"memory.used","stream":"memory-&","data":{"number":&,"text":"a little of everything"}}/' |
        curl -sS -o "$WORK/reply" -H 'Content-Type: application/x-ndjson' --data-binary @- "$URL/api/events"
    expect_like "20,000 events" "$(cat "$WORK/reply")" '{"data":{"accepted":20000,"rejected":0,*'
    each=$((($(metric skald_process_resident_memory_bytes) - before) / 20))
    [ "$each" -lt 10000000 ] || fail "1000 events need $each bytes of memory"
    echo "1000 events: $each bytes of memory"
}

# Paths that nobody has, and hundreds of subscriptions, add a bounded number of series.
test_bounded() {
    local before after n
    before=$(get /metrics | grep -c '^skald_http_')
    for n in $(seq 20); do status GET "/api/nothing-$n" > /dev/null; done
    after=$(get /metrics | grep -c '^skald_http_')
    [ $((after - before)) -le 20 ] || fail "20 unknown paths made $((after - before)) series"
    for n in $(seq 205); do
        printf 'next\nurl = "%s/api/subscriptions"\nheader = "Content-Type: application/json"\noutput = "/dev/null"\n' "$URL"
        printf 'data = "{\\"name\\":\\"many-%03d\\"}"\n' "$n"
    done > "$WORK/many"
    curl -sS -K "$WORK/many"
    get /metrics > "$WORK/metrics"
    expect "series of lag" "$(grep -c '^skald_subscription_lag{' "$WORK/metrics")" 201
    expect_like "the others" "$(grep '^skald_subscription_running{name="(others)"' "$WORK/metrics")" \
        'skald_subscription_running{name="(others)",kind="others"} 7'
    expect "all of them" "$(awk '$1 == "skald_subscriptions{durable=\"true\"}" {print $2}' "$WORK/metrics")" 207
}

test_ready() {
    expect_like "ready" "$(get /ready)" '{"status":"ok","parts":{"store":{"status":"ok","position":*},"disk":{*},"bus":{"status":"ok",*},"http":{"status":"ok",*},"subscriptions":{"status":"ok","faultedCount":0,"staleCount":0,"faulted":\[\],"stale":\[\]}}}'
    post /api/subscriptions '{"name":"halts","filter":{"types":["bad.x"]},"retry":{"attemptsMax":1},"onExhausted":"halt"}' > /dev/null
    post /api/events '{"type":"bad.x"}' > /dev/null
    id=$(get '/api/subscriptions/halts/deliveries?waitMs=5000' | sed -E 's/.*"deliveryId":"([^"]*)".*/\1/')
    post /api/subscriptions/halts/nack "{\"deliveries\":[\"$id\"],\"reason\":\"no\"}" > /dev/null
    expect "the status of a degraded server" "$(status GET /ready)" 200
    expect_like "degraded" "$(cat "$WORK/reply")" '{"status":"degraded",*"subscriptions":{"status":"faulted","faultedCount":1,"staleCount":0,"faulted":\["halts"\],*'
    expect "alive" "$(get /health | cut -c1-14)" '{"status":"ok"'
}

# A trace context comes back, and is in the event; what is none is not.
test_traceparent() {
    local given=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 bad
    curl -sS -D "$WORK/head" -o /dev/null -H "traceparent: $given" -H 'Content-Type: application/json' \
        -d '{"type":"trace.x"}' "$URL/api/events"
    grep -qi "^traceparent: $given" "$WORK/head" || fail "the context does not come back: $(cat "$WORK/head")"
    expect_like "the event" "$(get '/api/events?type=trace.x')" "*\"traceparent\":\"$given\"*"
    for bad in 00-zz nonsense 00-00000000000000000000000000000000-b7ad6b7169203331-01; do
        curl -sS -D "$WORK/head" -o /dev/null -H "traceparent: $bad" -H 'Content-Type: application/json' \
            -d '{"type":"trace.bad"}' "$URL/api/events"
        ! grep -i '^traceparent' "$WORK/head" || fail "'$bad' comes back"
    done
    ! get '/api/events?type=trace.bad' | grep traceparent || fail "an event has a context that is none"
    printf '{"type":"trace.line"}\n' | curl -sS -o /dev/null -H "traceparent: $given" \
        -H 'Content-Type: application/x-ndjson' --data-binary @- "$URL/api/events"
    expect_like "an event of a line" "$(get '/api/events?type=trace.line')" "*\"traceparent\":\"$given\"*"
}

# When the newest event cannot be read any more the server is not ready; it lives, and says why. What
# the server tells of itself (a handler that failed before) may become the newest meanwhile: then again.
test_damaged() {
    local i file mark ready
    for i in 1 2 3 4 5; do
        mark="marked-for-rot-$i"
        post /api/events "{\"type\":\"rot.x\",\"data\":\"$mark\"}" > /dev/null
        file=$(grep -rl "$mark" "$DATA")
        printf X | dd of="$file" bs=1 seek="$(grep -abo "$mark" "$file" | cut -d: -f1)" conv=notrunc status=none
        ready=$(status GET /ready)
        [ "$ready" = 200 ] || break
    done
    expect "the status of a damaged store" "$ready" 503
    expect_like "damaged" "$(cat "$WORK/reply")" '{"status":"down","parts":{"store":{"status":"damaged",*'
    expect "alive" "$(status GET /health)" 200
}

start_server
(run_document "$DOCUMENT")
stop_server
rm -rf "$DATA"
start_server
use
test_values
test_histograms
test_document
test_promtool
test_openmetrics
test_memory
test_traceparent
test_bounded
test_ready
test_damaged
stop_server
echo "metrics, readiness and figures are as the document says"
