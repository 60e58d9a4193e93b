#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A backup of a running server, which goes on taking events; then the original is gone, and what was
# backed up is a store: everything up to the backup's position, and its subscriptions go on where they
# were.
set -euo pipefail
source "$(dirname "$0")/lib.bash"

# publisher: events one after the other, until told to stop
publisher() {
    local n=0
    while [ ! -e "$WORK/enough" ]; do
        n=$((n + 1))
        curl -s -X POST -H 'Content-Type: application/json' -o /dev/null \
            -d "{\"type\":\"b.more\",\"stream\":\"b-2\",\"data\":{\"n\":$n}}" "$URL/api/events" || true
    done
}

# position_of FILE: what a backup said of itself
position_of() { sed -nE 's/.*"position":([0-9]+).*/\1/p' "$1"; }

mkdir "$WORK/backups"
pad=$(head -c 900 /dev/zero | tr '\0' p)
SKALD_SEGMENT_BYTES=65536 start_server --backup.directory "$WORK/backups"
seq 300 | sed "s/.*/{\"type\":\"b.event\",\"stream\":\"b-1\",\"data\":{\"n\":&,\"pad\":\"$pad\"}}/" > "$WORK/events"
"$SKALD" import --url "$URL" "$WORK/events" > /dev/null
post /api/subscriptions '{"name":"books","filter":{"types":["b.event"]},"from":"start"}' > /dev/null
# It has read two events and said so; the third is handed to it but not done with.
for n in 1 2 3; do
    taken=$(curl -s "$URL/api/subscriptions/books/deliveries?max=1&waitMs=5000")
    expect_like "delivery $n" "$taken" "*\"n\":$n,*"
    id=$(sed -nE 's/.*"deliveryId":"([^"]*)".*/\1/p' <<< "$taken")
    [ "$n" = 3 ] || post /api/subscriptions/books/ack "{\"deliveries\":[\"$id\"]}" > /dev/null
done

publisher &
publisher_pid=$!
OTHER_PIDS=$publisher_pid
sleep 0.3
ended 0 "$SKALD" backup monday --url "$URL" --json
cp "$WORK/out" "$WORK/monday"
ended 0 "$SKALD" backup tuesday --url "$URL"
expect_like "the backup" "$(cat "$WORK/out")" "everything up to position * is in $WORK/backups/tuesday: *"
ended 1 "$SKALD" backup monday --url "$URL" # it is there
said '*not empty*'
for name in ../monday /tmp .hidden ''; do
    expect "a backup to '$name'" "$(status POST /api/admin/backup -H 'Content-Type: application/json' -d "{\"directory\":\"$name\"}")" 400
done
# What became of each can be watched.
metric() { get /metrics | awk -v name="$1" '$1 == name {print $2}'; }
expect "backups made" "$(metric skald_backups_total)" 2
expect "backups that failed: a name that is taken is none" "$(metric skald_backups_failed_total)" 0
touch "$WORK/backups/a-file"
ended 3 "$SKALD" backup a-file --url "$URL"
expect "backups that failed" "$(metric skald_backups_failed_total)" 1
[ "$(metric skald_backup_timestamp_seconds | cut -d. -f1)" -ge $(($(date +%s) - 120)) ] || fail "the last backup was at $(metric skald_backup_timestamp_seconds)"
grep -q 'not backed up.*not empty' "$WORK/serve.err" || fail "the log does not say why a backup failed"
touch "$WORK/enough"
wait "$publisher_pid" || true
OTHER_PIDS=
position=$(position_of "$WORK/monday")
[ "$position" -ge 300 ] || fail "the backup is at $position"
"$SKALD" export --url "$URL" "$WORK/all" > /dev/null
kill_server
start_server
[ "$(metric skald_backup_timestamp_seconds | cut -d. -f1)" -ge $(($(date +%s) - 120)) ] || fail "a restart forgot when the last backup was"
kill_server
rm -rf "$DATA"

# Restoring is copying back.
cp -a "$WORK/backups/monday" "$DATA"
ended 0 "$SKALD" verify --data "$DATA"
ended 0 "$SKALD" export --data "$DATA" "$WORK/restored"
head -n "$(lines "$WORK/restored")" "$WORK/all" | cmp -s - "$WORK/restored" || fail "the backup is not the beginning of what was there"
expect "the last position" "$(tail -n 1 "$WORK/restored" | sed -nE 's/.*"position":([0-9]+).*/\1/p')" "$position"
start_server
taken=$(curl -s "$URL/api/subscriptions/books/deliveries?max=1&waitMs=5000")
expect_like "the subscription goes on" "$taken" '*"n":3,*'
post /api/events '{"type":"b.after"}' > /dev/null
expect "backups before this one" "$(metric skald_backup_timestamp_seconds)" 0
expect "without backup.directory" "$(status POST /api/admin/backup -H 'Content-Type: application/json' -d '{"directory":"x"}')" 403
stop_server

# A stopped store is backed up by itself; nothing is put among other files.
ended 0 "$SKALD" backup "$WORK/offline" --data "$DATA"
ended 0 "$SKALD" verify --data "$WORK/offline"
ended 3 "$SKALD" backup "$WORK/offline" --data "$DATA"
ended 2 "$SKALD" backup "$WORK/none" --data "$DATA" --url "$URL"
cp -r "$WORK/backups" "$WORK/other" # a copy on another disk needs nothing of the original
rm -rf "$DATA" "$WORK/backups"
ended 0 "$SKALD" verify --data "$WORK/other/tuesday"

# One file of SQLite is backed up into one file.
ended 0 "$SKALD" import --data "sqlite:$WORK/one.db" "$WORK/events"
ended 0 "$SKALD" backup "$WORK/sqlite" --data "sqlite:$WORK/one.db"
ended 0 "$SKALD" export --data "sqlite:$WORK/sqlite/one.db" "$WORK/one"
expect "events in the copy" "$(lines "$WORK/one")" 300
ended 3 "$SKALD" backup "$WORK/sqlite" --data "sqlite:$WORK/one.db"
echo "backups are stores: made while events come in, restored by copying"
