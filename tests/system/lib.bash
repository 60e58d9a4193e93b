# SPDX-License-Identifier: Apache-2.0
# What the system tests share: a server of their own on a free port, ended by its process id.
# Given by CTest: SKALD, the program; SKALD_SOURCE_DIR.

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
    for pid in $SERVER_PID ${OTHER_PIDS:-}; do kill -9 "$pid" 2> /dev/null || true; done
    wait 2> /dev/null || true
    rm -rf "$WORK"
}
trap finish EXIT

free_port() {
    local port
    for _ in $(seq 100); do
        port=$((20000 + RANDOM % 20000))
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
    for _ in $(seq 600); do
        if grep -q '^  page' "$WORK/serve.out"; then
            URL=$(sed -n 's|^  page  *\(.*\)/$|\1|p' "$WORK/serve.out")
            return
        fi
        kill -0 "$SERVER_PID" 2> /dev/null || fail "the server ended at once"
        sleep 0.05
    done
    fail "the server was not ready in 30 s"
}

kill_server() { # as a crash does
    kill -9 "$SERVER_PID"
    wait "$SERVER_PID" 2> /dev/null || true
    SERVER_PID=
}

stop_server() { # as a person does; it must end in order
    local status=0
    kill -TERM "$SERVER_PID"
    wait "$SERVER_PID" || status=$?
    SERVER_PID=
    [ "$status" = 0 ] || fail "the server ended with $status"
}

# get PATH, post PATH BODY: the reply's body; fails on a status that is not 2xx.
get() { curl -fsS "$URL$1"; }
post() { curl -fsS -X POST -H 'Content-Type: application/json' -d "$2" "$URL$1"; }
# status METHOD PATH [CURL OPTIONS…]: the status alone.
status() {
    local method=$1 path=$2
    shift 2
    curl -s -o "$WORK/reply" -w '%{http_code}' -X "$method" "$@" "$URL$path"
}
expect() { # expect WHAT GOT WANT
    [ "$2" = "$3" ] || fail "$1: got '$2', want '$3'"
}
