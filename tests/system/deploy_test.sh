#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The files of deploy/, as far as a machine without an engine and a cluster can: each configuration is one that
# the program takes, what a container runs works beside a real server, the files agree with each other
# about names, ports and paths, and docs/operations.md has an answer to every alert.
set -euo pipefail
source "$(dirname "$0")/lib.bash"
deploy=$SKALD_SOURCE_DIR/deploy

test_configurations() {
    local file got
    printf 'x' > "$WORK/empty.pem"
    sed -n '/^  skald.yaml: |/,$p' "$deploy/kubernetes/configmap.yaml" | sed '1d; s/^    //' > "$WORK/kubernetes.yaml"
    [ "$(lines "$WORK/kubernetes.yaml")" -ge 6 ] || fail "no configuration in configmap.yaml"
    for file in "$deploy/docker/skald.yaml" "$deploy/debian/skald.yaml"; do
        ended 0 "$SKALD" config check "$file"
    done
    # Its certificate comes from a Secret: that it is missing is all there is to say.
    ended 1 "$SKALD" config check "$WORK/kubernetes.yaml"
    said '*/etc/skald/tls/tls.crt*'
    grep -v '^tls:\|^  \(certificate\|key\):' "$WORK/kubernetes.yaml" > "$WORK/plain.yaml"
    ended 1 "$SKALD" config check "$WORK/plain.yaml"
    said '*in the clear*'
    # In a container everything is below the volume.
    for file in "$deploy/docker/skald.yaml" "$WORK/plain.yaml"; do
        got=$("$SKALD" config show --config "$file" | awk '$1 == "data" || $1 == "backup.directory" { print $2 }' | grep -cv '^/var/lib/skald/.' || true)
        expect "folders of ${file##*/} that are not in the volume" "$got" 0
    done
}

test_container_scripts() {
    mkdir -p "$WORK/bin"
    printf '#!/bin/sh\nexec "%s" "$@"\n' "$SKALD" > "$WORK/bin/skald"
    chmod +x "$WORK/bin/skald"
    local key first="$deploy/docker/first-key" healthy="$deploy/docker/healthy"
    PATH=$WORK/bin:$PATH
    "$first" "$DATA" "$WORK/keys/admin" > "$WORK/said"
    key=$(cat "$WORK/keys/admin")
    expect_like "the first key" "$key" 'skald_*'
    expect "who may read it" "$(stat -c %a "$WORK/keys/admin")" 600
    ! grep -q "${key##*_}" "$WORK/said" || fail "it says the key"
    "$first" "$DATA" "$WORK/keys/admin"
    expect "the key the second time" "$(cat "$WORK/keys/admin")" "$key"
    # Who took the file away does not get another key each time.
    rm "$WORK/keys/admin"
    "$first" "$DATA" "$WORK/keys/admin"
    [ ! -e "$WORK/keys/admin" ] || fail "it makes keys again and again"
    "$first" "$DATA" "$WORK/keys/metrics" metrics > "$WORK/said"
    expect "keys" "$("$SKALD" keys list --data "$DATA" --json | grep -o '"name":"[a-z]*"' | tr '\n' ' ')" '"name":"admin" "name":"metrics" '
    ended 2 "$first" "$DATA" "$WORK/keys/wrong" nonsense
    [ ! -s "$WORK/keys/wrong" ] || fail "a key that is none"

    start_server
    ended 0 "$healthy" "${URL##*:}"
    expect "publishing with the first key" "$(status POST /api/events -H "Authorization: Bearer $key" -H 'Content-Type: application/json' -d '{"type":"a.b"}')" 201
    expect "and without" "$(status POST /api/events -H 'Content-Type: application/json' -d '{"type":"a.b"}')" 401
    expect "metrics with the other" "$(status GET /metrics -H "Authorization: Bearer $(cat "$WORK/keys/metrics")")" 200
    stop_server
    ended 1 "$healthy" "${URL##*:}"
}

# value FILE KEY: the first plain value of a key, however deep.
value() { sed -n "s/^ *\(- \)\{0,1\}$2: *\"\{0,1\}\([^\"#]*[^\"# ]\)\"\{0,1\} *\(#.*\)\{0,1\}$/\2/p" "$1" | head -n 1; }

test_agreement() {
    local folder=$deploy/kubernetes uid port file version
    uid=$(sed -n 's/^USER \([0-9]*\):.*/\1/p' "$deploy/docker/Dockerfile")
    port=$(value "$deploy/docker/skald.yaml" port)
    version=$("$SKALD" version | sed 's/.* //')
    expect "runAsUser" "$(value "$folder/statefulset.yaml" runAsUser)" "$uid"
    expect "fsGroup" "$(value "$folder/statefulset.yaml" fsGroup)" "$uid"
    grep -q "useradd .*--uid $uid " "$deploy/docker/Dockerfile" || fail "the image has no user $uid"
    grep -q "reuid=$uid .*regid=$uid" "$deploy/docker/compose.yaml" || fail "compose.yaml makes keys for somebody else"
    expect "containerPort" "$(value "$folder/statefulset.yaml" containerPort)" "$port"
    expect "the port of the ConfigMap" "$(value "$folder/configmap.yaml" port)" "$port"
    expect "EXPOSE" "$(sed -n 's/^EXPOSE //p' "$deploy/docker/Dockerfile")" "$port"
    expect "replicas: one server holds one store" "$(value "$folder/statefulset.yaml" replicas)" 1
    expect "the tag of the image" "$(value "$folder/kustomization.yaml" newTag)" "$version"
    expect "serviceName" "$(value "$folder/statefulset.yaml" serviceName)" "$(value "$folder/service.yaml" name)"
    for file in "$folder"/*.yaml; do
        case ${file##*/} in
        kustomization.yaml | servicemonitor.yaml) continue ;;
        esac
        grep -q "^  - ${file##*/}$" "$folder/kustomization.yaml" || fail "kustomization.yaml leaves ${file##*/} out"
    done
    # A pod is given as long to stop as the server takes at most, and the unit as well.
    [ "$(value "$folder/statefulset.yaml" terminationGracePeriodSeconds)" -gt 30 ] || fail "a stop is cut short"
    # What compose.yaml takes from this folder is there.
    while read -r file; do
        [ -f "$deploy/docker/$file" ] || fail "compose.yaml: no $file"
    done < <(sed -n 's/^ *- \(\.[^:]*\):.*/\1/p' "$deploy/docker/compose.yaml")
    if command -v kubectl > /dev/null; then
        kubectl kustomize "$folder" > "$WORK/manifests" 2> "$WORK/err" || fail "kubectl kustomize: $(cat "$WORK/err")"
        expect "manifests" "$(grep -c '^kind:' "$WORK/manifests")" 4
    else
        echo "SKIPPED: there is no kubectl: nobody puts the manifests together"
    fi
}

# calls_of SET: the system calls of a set of systemd, and of the sets in it.
calls_of() {
    local name
    systemd-analyze syscall-filter "$1" | sed '1d; s/ *#.*//; s/^ *//; /^$/d' | while read -r name; do
        case $name in
        @*) calls_of "$name" ;;
        *) echo "$name" ;;
        esac
    done
}

# There is no systemd to run the unit, so what a server calls is held against what the unit lets it call.
test_sandbox() {
    local unit=$deploy/systemd/skald.service
    if ! command -v strace > /dev/null || ! command -v systemd-analyze > /dev/null ||
        ! strace -o /dev/null true 2> /dev/null; then
        echo "SKIPPED: there is no strace or no systemd-analyze: nobody looks at the unit's sandbox"
        return
    fi
    expect "the unit's filter" "$(sed -n 's/^SystemCallFilter=//p' "$unit" | tr '\n' ' ')" '@system-service ~@privileged @resources sched_setscheduler '
    calls_of @system-service | sort -u > "$WORK/let"
    { calls_of @privileged; calls_of @resources; } | sort -u > "$WORK/not"
    { comm -23 "$WORK/let" "$WORK/not"; calls_of @default; echo sched_setscheduler; } | sort -u > "$WORK/allowed"
    printf '#!/bin/sh\nASAN_OPTIONS=detect_leaks=0 exec strace -D -f -qq -o "%s" "%s" "$@"\n' "$WORK/calls" "$SKALD" > "$WORK/traced"
    chmod +x "$WORK/traced"
    DATA=$WORK/traced.data SKALD=$WORK/traced start_server --backup.directory "$WORK/backups"
    post /api/events '[{"type":"a.b","stream":"s-1"},{"type":"a.b","stream":"s-2"}]' > "$WORK/reply"
    ended 0 "$SKALD" tail --url "$URL" --name mailer --count 2 --exec -- true
    ended 0 "$SKALD" backup first --url "$URL"
    get /metrics > "$WORK/reply"
    expect "erasing" "$(status DELETE '/api/streams/s-1?erase=true')" 200
    kill -HUP "$SERVER_PID"
    stop_server
    wait_until 20 "the end of the trace" grep -q 'exit_group\|+++ exited' "$WORK/calls"
    sed -E 's/^[0-9]+ +//; s/^<\.\.\. ([a-z0-9_]+) resumed.*/\1(/' "$WORK/calls" | grep -oE '^[a-z0-9_]+\(' | tr -d '(' | sort -u > "$WORK/called"
    [ "$(lines "$WORK/called")" -ge 30 ] || fail "only $(lines "$WORK/called") calls were seen"
    comm -23 "$WORK/called" "$WORK/allowed" > "$WORK/refused"
    [ ! -s "$WORK/refused" ] || fail "the unit refuses what a server calls: $(tr '\n' ' ' < "$WORK/refused")"
    ! grep -q 'PROT_WRITE|PROT_EXEC' "$WORK/calls" || fail "MemoryDenyWriteExecute refuses a mapping"
    ! grep -o 'socket(AF_[A-Z0-9]*' "$WORK/calls" | grep -v 'AF_UNIX\|AF_INET' || fail "RestrictAddressFamilies refuses a socket"
}

test_alerts() {
    sed -n 's/^ *- alert: //p' "$deploy/monitoring/alerts.yml" | sort > "$WORK/alerts"
    [ "$(lines "$WORK/alerts")" -ge 20 ] || fail "only $(lines "$WORK/alerts") alerts"
    sed -n '/^## Alerts/,/^## Upgrade/p' "$SKALD_SOURCE_DIR/docs/operations.md" | grep -o '`Skald[A-Za-z]*`' | tr -d '`' | sort -u > "$WORK/told"
    diff "$WORK/alerts" "$WORK/told" > "$WORK/diff" || fail "alerts (<) and docs/operations.md (>) differ:"$'\n'"$(cat "$WORK/diff")"
}

test_configurations
test_container_scripts
test_agreement
test_sandbox
test_alerts
echo "the files of deploy/ are as they say"
