#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# /openapi.json and /asyncapi.json before Redocly's, Spectral's and AsyncAPI's own judges, and the CloudEvents
# routes before the client that most others use (tests/judges).
set -euo pipefail
source "$(dirname "$0")/lib.bash"

install_judges judges
start_server
curl -sS --fail-with-body -o /dev/null -X PUT -H 'Content-Type: application/json' \
    -d '{"aliases":["ODD_MADE"]}' "$URL/api/types/odd.made" || fail "PUT /api/types"
(cd "$installed" && node "$judges/documents.mjs" "$URL") || fail "a judge refuses a document"
(cd "$installed" && node "$judges/cloudevents.mjs" "$URL") || fail "the CloudEvents client is not served"
stop_server
