# SPDX-License-Identifier: Apache-2.0
# What the system tests share: a server of their own on a free port, ended by its process id, and
# running the commands that a document shows. Given by CTest: SKALD, the program; SKALD_SOURCE_DIR.

WORK=$(mktemp -d "${TMPDIR:-/tmp}/skald-test.XXXXXX")
DATA=$WORK/data
SERVER_PID=
URL=

fail() {
    echo "FAIL: $*" >&2
    if [ -s "$WORK/serve.err" ]; then
        echo "--- the server said:" >&2
        tail -n 20 "$WORK/serve.err" >&2
    fi
    exit 1
}

skip() {
    echo "SKIPPED: $*"
    exit 77
}

finish() {
    local pid
    exec 2> /dev/null # the shell tells of each process that is killed
    for pid in $SERVER_PID ${OTHER_PIDS:-}; do kill -9 "$pid" 2> /dev/null || true; done
    wait 2> /dev/null || true
    rm -rf --one-file-system "$WORK"
}
trap finish EXIT

# A port below those that the system gives to clients: one of these could take it while the server is
# down.
free_port() {
    local port
    for _ in $(seq 100); do
        port=$((10000 + RANDOM % 20000))
        if ! (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; then
            echo "$port"
            return
        fi
    done
    fail "no free port"
}

# start_server OPTIONS… runs `skald serve` over $DATA and waits until it is ready; sets URL.
start_server() {
    : > "$WORK/serve.out"
    case " $* " in *" --port "*) ;; *) set -- --port 0 "$@" ;; esac
    "$SKALD" serve --data "$DATA" "$@" > "$WORK/serve.out" 2>> "$WORK/serve.err" &
    SERVER_PID=$!
    for _ in $(seq 1200); do
        if grep -q '^  page' "$WORK/serve.out"; then
            URL=$(sed -n 's|^  page  *\(.*\)/$|\1|p' "$WORK/serve.out")
            return
        fi
        kill -0 "$SERVER_PID" 2> /dev/null || fail "the server ended at once"
        sleep 0.05
    done
    fail "the server was not ready in 60 s"
}

kill_server() { # as a crash does
    { kill -9 "$SERVER_PID"; wait "$SERVER_PID" || true; } 2> /dev/null
    SERVER_PID=
}

stop_server() { # as a person does; it must end in order
    local status=0
    kill -TERM "$SERVER_PID"
    wait "$SERVER_PID" || status=$?
    SERVER_PID=
    [ "$status" = 0 ] || fail "the server ended with $status"
}

# other_server: the server that runs becomes one that is left running, so that another can start.
other_server() {
    OTHER_PIDS="${OTHER_PIDS:-} $SERVER_PID"
    SERVER_PID=
}

# get PATH, post PATH BODY: the reply's body; a status that is not 2xx fails the test, and the body
# says why.
get() { curl -sS --fail-with-body "$URL$1" || fail "GET $1"; }
post() {
    curl -sS --fail-with-body -X POST -H 'Content-Type: application/json' -d "$2" "$URL$1" -o "$WORK/posted" ||
        fail "POST $1: $(cat "$WORK/posted")"
    cat "$WORK/posted"
}
# shows PATH TEXT: whether the reply has the text in it
shows() { [[ $(curl -s "$URL$1") == *"$2"* ]]; }
# status METHOD PATH [CURL OPTIONS…]: the status alone.
status() {
    local method=$1 path=$2
    shift 2
    curl -s -o "$WORK/reply" -w '%{http_code}' -X "$method" "$@" "$URL$path"
}
expect() { # expect WHAT GOT WANT
    [ "$2" = "$3" ] || fail "$1: got '$2', want '$3'"
}
# expect_like WHAT GOT PATTERN, a pattern of the shell (where "*(" is more than it seems)
expect_like() {
    # shellcheck disable=SC2053
    [[ $2 == $3 ]] || fail "$1: got '$2', want '$3'"
}
# wait_until SECONDS WHAT COMMAND…: until the command succeeds.
wait_until() {
    local left=$(($1 * 20)) what=$2
    shift 2
    until "$@" 2> /dev/null; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || fail "in vain was waited for: $what"
        sleep 0.05
    done
}
# lines FILE: how many it has; has_lines FILE N: that there are at least N
lines() { wc -l < "$1"; }
has_lines() { [ "$(lines "$1")" -ge "$2" ]; }
# stored TYPE: how many events of a type (or 'prefix.*') the server holds
stored() { "$SKALD" export --url "$URL" --type "$1" | wc -l; }

# ended STATUS COMMAND…: runs it and wants this exit status; what it prints is then in $WORK/out and
# $WORK/err.
ended() {
    local want=$1 got=0
    shift
    "$@" > "$WORK/out" 2> "$WORK/err" < /dev/null || got=$?
    [ "$got" = "$want" ] || fail "'$*' ends with $got, not $want: $(cat "$WORK/out" "$WORK/err")"
}
# said PATTERN: what the last `ended` command wrote to standard error
said() { expect_like "what it says" "$(cat "$WORK/err")" "$1"; }

# document_steps FILE prints the steps of its console blocks, each ended with a NUL byte: the command
# (a line with "$ ", and those that follow a backslash), and on the next lines what it prints.
document_steps() {
    awk 'function end() { if (begun) printf "%c", 0; begun = 0 }
         /^```console/ { inside = 1; next }
         /^```/ { end(); inside = 0; next }
         !inside { next }
         /^\$ / { end(); begun = 1; line = substr($0, 3) }
         !/^\$ / { line = $0 }
         { if (sub(/\\$/, "", line)) printf "%s", line; else print line }' "$1"
}

# run_document FILE runs every command of its console blocks, in order and in one shell, in a new
# folder, and holds what each prints against what the document says ('…' stands for anything). The
# documents' server is at port 8000; ours is elsewhere, so a `skald` stands in that adds --url.
# A function before_step, if there is one, is given each command before it runs.
run_document() {
    local step command want got pattern count=0
    mkdir -p "$WORK/bin" "$WORK/folder"
    cat > "$WORK/bin/skald" << 'SCRIPT'
#!/usr/bin/env bash
case " $* " in
*" --data "* | *" --help "*) exec "$SKALD" "$@" ;;
esac
case ${1:-} in
publish | tail | read | import | export | types | subscriptions | dead-letters | parked | scheduled | trace | replay) exec "$SKALD" "$1" --url "$DOCUMENT_URL" "${@:2}" ;;
esac
case "${1:-} ${2:-}" in
"schema list" | "schema show" | "schema put") set -- "$@" --url "$DOCUMENT_URL" ;;
"schema check") case " $* " in *" --type "*) set -- "$@" --url "$DOCUMENT_URL" ;; esac ;;
esac
exec "$SKALD" "$@"
SCRIPT
    chmod +x "$WORK/bin/skald"
    PATH=$WORK/bin:$PATH
    cd "$WORK/folder"
    while IFS= read -r -d '' step; do
        command=${step%%$'\n'*}
        want=${step#*$'\n'}
        if declare -F before_step > /dev/null; then before_step "$command"; fi
        export DOCUMENT_URL=$URL
        eval "${command//http:\/\/127.0.0.1:8000/$URL}" > "$WORK/got" 2>&1 < /dev/null || true
        got=$(sed "s|$URL|http://127.0.0.1:8000|g" "$WORK/got")
        pattern=$(sed 's/[][*?\\]/\\&/g; s/…/*/g' <<< "${want%$'\n'}")
        # shellcheck disable=SC2254
        case $got in
        $pattern) ;;
        *) fail "$1: \$ $command"$'\n'"prints"$'\n'"$got"$'\n'"and the document says"$'\n'"${want%$'\n'}" ;;
        esac
        count=$((count + 1))
    done < <(document_steps "$1")
    [ "$count" -gt 0 ] || fail "$1 has no commands"
    echo "$count commands of ${1#"$SKALD_SOURCE_DIR/"} do what it says"
}

# install_judges NAME has npm fetch what tests/NAME/package-lock.json says, once for each such file; sets judges,
# the folder of the test, and installed, where node_modules is.
install_judges() {
    local lock
    judges=$SKALD_SOURCE_DIR/tests/$1
    installed=${SKALD%/*}/$1
    command -v node > /dev/null && command -v npm > /dev/null || skip "there is no node, or no npm"
    [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ] || skip "node is older than 18"
    lock=$(sha256sum < "$judges/package-lock.json")
    [ "$(cat "$installed/done" 2> /dev/null)" = "$lock" ] && return
    mkdir -p "$installed"
    cp "$judges/package.json" "$judges/package-lock.json" "$installed"
    (cd "$installed" && timeout 300 npm ci --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel=error \
        --fetch-retries=1 --fetch-timeout=30000) > "$WORK/npm" 2>&1 ||
        skip "npm ci could not fetch the judges: $(tail -n 1 "$WORK/npm")"
    echo "$lock" > "$installed/done"
}
