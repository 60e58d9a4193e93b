#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs every command of the README's tour against a fresh server, in order, and holds what it prints
# against what the README says. The server is killed and started again before the part that says
# nothing is lost.
set -euo pipefail
source "$(dirname "$0")/lib.bash"

port=$(free_port)
restarts=0
before_step() {
    case $1 in
    *order.shipped*)
        kill_server
        start_server --port "$port"
        restarts=$((restarts + 1))
        ;;
    esac
}

start_server --port "$port"
run_document "$SKALD_SOURCE_DIR/README.md"
expect "restarts in the middle" "$restarts" 1
