#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs every command of the README's tour against a fresh server, in order, and holds what it prints
# against what the README says it prints ('…' stands for anything). The server is killed and started
# again before the part that says nothing is lost.
set -euo pipefail
source "$(dirname "$0")/lib.bash"

PATH="$(dirname "$SKALD"):$PATH"
port=$(free_port)
start_server --port "$port"

# The README says port 8000; another server may be there.
count=0
while IFS= read -r -d '' step; do
    command=${step%%$'\n'*}
    want=${step#*$'\n'}
    case $command in *order.shipped*) kill_server; start_server --port "$port" ;; esac
    verb=$(awk '{print $1 == "skald" ? $2 : ""}' <<< "$command")
    command=${command//http:\/\/127.0.0.1:8000/$URL}
    [ -z "$verb" ] || command="skald $verb --url $URL ${command#skald "$verb"}"
    echo "\$ $command"
    got=$(bash -c "$command") || fail "it ends with $?"
    pattern=$(sed 's/[][*?\\]/\\&/g; s/…/*/g' <<< "${want%$'\n'}")
    # shellcheck disable=SC2254
    case $got in
    $pattern) ;;
    *) fail "it prints"$'\n'"$got"$'\n'"and the README says"$'\n'"$want" ;;
    esac
    count=$((count + 1))
done < <(awk '/^```console/ {inside = 1; next} /^```/ {if (inside) printf "%c", 0; inside = 0; next}
              inside && /^\$ / {if (begun) printf "%c", 0; begun = 1; print substr($0, 3); next}
              inside {print} !inside {begun = 0}' "$SKALD_SOURCE_DIR/README.md")
[ "$count" -ge 9 ] || fail "only $count commands found in the README"
echo "$count commands of the README do what it says"
