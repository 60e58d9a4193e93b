#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# deploy/monitoring against the real thing: promtool takes the files, the rules fire when they should,
# and a Prometheus that scrapes a server has an answer to every query of the dashboard and the rules.
set -euo pipefail
source "$(dirname "$0")/lib.bash"

command -v prometheus > /dev/null && command -v promtool > /dev/null ||
    skip "the Debian package prometheus is not installed"
command -v node > /dev/null || skip "node is not installed"
MONITORING=$SKALD_SOURCE_DIR/deploy/monitoring

test_files() {
    ended 0 promtool check config "$MONITORING/prometheus.yml"
    ended 0 promtool check rules "$MONITORING/alerts.yml"
    cp "$MONITORING/alerts.yml" "$WORK/alerts.yml"
    cat > "$WORK/rules_test.yml" << 'RULES'
rule_files: [alerts.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'skald_store_read_only{instance="a"}', values: '0x10 1x30'}
      - {series: 'skald_process_start_time_seconds{instance="a"}', values: '1 1 2 2 3 3 4 4 5x40'}
      - {series: 'skald_subscription_faulted{instance="a",name="mailer",kind="handler"}', values: '0x10 1x30'}
      - {series: 'skald_subscription_lag{instance="a",name="slow",kind="pull"}', values: '20000+100x40'}
      - {series: 'skald_subscription_lag{instance="a",name="fast",kind="pull"}', values: '50000-1000x40'}
      - {series: 'skald_subscription_parked_keys{instance="a",name="p",kind="pull"}', values: '2x40'}
      - {series: 'skald_deliveries_dead_total{instance="a"}', values: '0x10 3x30'}
      - {series: 'skald_store_free_bytes{instance="a"}', values: '500000000x40'}
      - {series: 'skald_store_sync_duration_seconds_bucket{instance="a",le="0.25"}', values: '0x40'}
      - {series: 'skald_store_sync_duration_seconds_bucket{instance="a",le="0.5"}', values: '0+10x40'}
      - {series: 'skald_store_sync_duration_seconds_bucket{instance="a",le="+Inf"}', values: '0+10x40'}
      - {series: 'skald_http_requests_total{instance="a",method="GET",route="/",status="2xx"}', values: '0+90x40'}
      - {series: 'skald_http_requests_total{instance="a",method="GET",route="/",status="5xx"}', values: '0+10x40'}
      - {series: 'skald_queue_items{instance="a",queue="http_connections"}', values: '95x40'}
      - {series: 'skald_queue_items_max{instance="a",queue="http_connections"}', values: '100x40'}
      - {series: 'skald_circuit_state{instance="a",name="otlp"}', values: '0x10 2x10 1 2x20'}
      - {series: 'skald_circuit_state{instance="a",name="jwks"}', values: '0x24 2x3 0x20'}
      - {series: 'skald_circuit_state{instance="quiet",name="otlp"}', values: '0x5 2 1x40'}
      - {series: 'up{instance="a",job="skald"}', values: '1x20 0x20'}
    promql_expr_test:
      - {expr: 'count(ALERTS{alertstate="firing"})', eval_time: 1m, exp_samples: []}
      - expr: 'sort(count by (alertname) (ALERTS{alertstate="firing"}))'
        eval_time: 30m
        exp_samples:
          - {labels: '{alertname="SkaldDown"}', value: 1}
          - {labels: '{alertname="SkaldReadOnly"}', value: 1}
          - {labels: '{alertname="SkaldHandlerFaulted"}', value: 1}
          - {labels: '{alertname="SkaldSubscriptionLags"}', value: 1}
          - {labels: '{alertname="SkaldParkedKeys"}', value: 1}
          - {labels: '{alertname="SkaldDiskFillsUp"}', value: 1}
          - {labels: '{alertname="SkaldSyncSlow"}', value: 1}
          - {labels: '{alertname="SkaldErrors"}', value: 1}
          - {labels: '{alertname="SkaldQueueFull"}', value: 1}
          - {labels: '{alertname="SkaldCircuitOpen"}', value: 1}
      - expr: 'count by (alertname) (ALERTS{alertstate="firing",alertname=~"SkaldDeadLetters|SkaldRestarts"})'
        eval_time: 12m
        exp_samples:
          - {labels: '{alertname="SkaldDeadLetters"}', value: 1}
          - {labels: '{alertname="SkaldRestarts"}', value: 1}
      - {expr: 'ALERTS{alertname="SkaldSubscriptionLags",name="fast"}', eval_time: 30m, exp_samples: []}
      # It failed once, and then nobody called it: nothing is known of it.
      - {expr: 'count_over_time(ALERTS{alertname="SkaldCircuitOpen",instance="quiet"}[40m])', eval_time: 40m, exp_samples: []}
  - interval: 1h
    input_series:
      - {series: 'skald_backup_timestamp_seconds{instance="a"}', values: '3600x300'}
      - {series: 'skald_backup_timestamp_seconds{instance="makes none"}', values: '0x48'}
      - {series: 'skald_backups_failed_total{instance="a"}', values: '0x30 1x18'}
    promql_expr_test:
      - {expr: 'ALERTS{alertname=~"SkaldBackup.*",alertstate="firing"}', eval_time: 30h, exp_samples: []}
      - expr: 'count by (alertname, instance) (ALERTS{alertname=~"SkaldBackup.*",alertstate="firing"})'
        eval_time: 40h
        exp_samples:
          - {labels: '{alertname="SkaldBackupFails",instance="a"}', value: 1}
          - {labels: '{alertname="SkaldBackupLate",instance="a"}', value: 1}
      - expr: 'count by (alertname, instance) (ALERTS{alertname=~"SkaldBackup.*",alertstate="firing"})'
        eval_time: 250h # and goes on
        exp_samples:
          - {labels: '{alertname="SkaldBackupLate",instance="a"}', value: 1}
RULES
    (cd "$WORK" && ended 0 promtool test rules rules_test.yml)
}

# What the dashboard and the rules ask, a line each: where it stands, and the query.
queries() {
    node -e '
        const fs = require("fs");
        const folder = process.argv[1];
        const plain = text => text.replace(/\$__rate_interval/g, "30s").replace(/\$instance/g, ".*");
        const dashboard = JSON.parse(fs.readFileSync(folder + "/dashboard.json"));
        for (const panel of dashboard.panels)
            for (const target of panel.targets || [])
                console.log("panel\t" + panel.title + "\t" + plain(target.expr));
        const rules = fs.readFileSync(folder + "/alerts.yml", "utf8");
        for (const rule of rules.split(/- alert: /).slice(1)) {
            const expr = rule.match(/^ *expr: (.*)$/m)[1];
            console.log("alert\t" + rule.split("\n")[0] + "\t" + expr);
        }' "$MONITORING"
}

# ask QUERY: how many series answer, or the error.
ask() {
    curl -sS --get --data-urlencode "query=$1" "$PROMETHEUS/api/v1/query" |
        node -e 'const r = JSON.parse(require("fs").readFileSync(0));
            console.log(r.status === "success" ? r.data.result.length : r.error)'
}

start_prometheus() {
    local port
    port=$(free_port)
    PROMETHEUS=http://127.0.0.1:$port
    sed -e "s|127.0.0.1:8000|${URL#http://}|" -e 's/: 15s/: 1s/' "$MONITORING/prometheus.yml" > "$WORK/prometheus.yml"
    prometheus --config.file="$WORK/prometheus.yml" --storage.tsdb.path="$WORK/tsdb" \
        --web.listen-address="127.0.0.1:$port" --log.level=warn > "$WORK/prometheus.log" 2>&1 &
    OTHER_PIDS="${OTHER_PIDS:-} $!"
    scraped() { [ "$(ask 'count_over_time(up{job="skald"}[1m]) >= 3 and up{job="skald"} == 1')" = 1 ]; }
    wait_until 60 "three scrapes by Prometheus" scraped
}

load() {
    local n ids
    post /api/subscriptions '{"name":"worker","retry":{"attemptsMax":1}}' > /dev/null
    for n in 1 2 3 4 5; do post /api/events '{"type":"order.created","stream":"order-1"}' > /dev/null; done
    ids=$(get '/api/subscriptions/worker/deliveries?max=1&waitMs=5000' | grep -o '"deliveryId":"[^"]*"' | cut -d'"' -f4)
    post /api/subscriptions/worker/ack "{\"deliveries\":[\"$ids\"]}" > /dev/null
    status GET /api/nothing > /dev/null
}

# answers QUERY: with anything at all. A scrape that a busy machine was too slow for leaves a gap.
answers() { [ "$(ask "$1")" != 0 ]; }

# A panel has something to show; what a rule compares is there, whether or not it fires.
test_queries() {
    local kind where query got name count=0
    queries > "$WORK/queries"
    while IFS=$'\t' read -r kind where query; do
        [ "$kind" != panel ] || wait_until 20 "something that panel '$where' shows: $query" answers "$query"
        got=$(ask "$query")
        [[ $got != *[!0-9]* ]] || fail "$kind '$where': $got: $query"
        for name in $(grep -oE 'skald_[a-z_]+' <<< "$query" | sort -u); do
            wait_until 20 "$name, which $kind '$where' asks for" answers "$name"
        done
        count=$((count + 1))
    done < "$WORK/queries"
    [ "$count" -ge 60 ] || fail "only $count queries"
    expect "rules that Prometheus loaded" "$(curl -sS "$PROMETHEUS/api/v1/rules" |
        node -e 'const r = JSON.parse(require("fs").readFileSync(0));
            const rules = r.data.groups.flatMap(g => g.rules);
            console.log(rules.filter(x => x.health === "err").length, rules.length)')" \
        "0 $(grep -c 'alert:' "$MONITORING/alerts.yml")"
    echo "$count queries have an answer"
}

test_files
start_server --telemetry.otlp_url "http://127.0.0.1:$(free_port)" # nobody: a circuit to show
load
start_prometheus
load_again() { post /api/events '{"type":"order.paid","stream":"order-1"}' > /dev/null; }
load_again
answered() { [ "$(ask 'rate(skald_events_published_total[30s]) > 0')" = 1 ]; }
wait_until 30 "a rate" answered
test_queries
stop_server
echo "the monitoring files are right"
