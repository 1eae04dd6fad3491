# A service to try things against. To be sourced after common.sh.

# start_service [NAME=VALUE…]: builds hallpass and runs `hallpass dev` on a free port, with its data in a
# folder of its own, until this script ends. Sets SERVICE_URL. Limits are off, since whoever tries things
# fails often; the assignments are settings on top.
start_service() {
    local program
    program="$(built hallpass)"
    SERVICE_FOLDER="$(mktemp -d)"
    # It is read before the service has opened it.
    : >"$SERVICE_FOLDER/out"
    # No setting of whoever runs this may reach it.
    env -i PATH="$PATH" HALLPASS_RATE_LIMITS__ENABLED=false "$@" "$program" dev \
        --listen 127.0.0.1:0 --data-dir "$SERVICE_FOLDER/data" >"$SERVICE_FOLDER/out" 2>"$SERVICE_FOLDER/log" &
    SERVICE_PID=$!
    trap stop_service EXIT
    local tries
    for tries in $(seq 300); do
        SERVICE_URL="$(sed -n 's#^ *Docs *\(http://[^/]*\)/docs$#\1#p' "$SERVICE_FOLDER/out")"
        [ -n "$SERVICE_URL" ] && return
        kill -0 "$SERVICE_PID" 2>/dev/null || break
        sleep 0.1
    done
    cat "$SERVICE_FOLDER/out" "$SERVICE_FOLDER/log" >&2
    fail "hallpass does not start (after $tries tries)"
}

stop_service() {
    kill "$SERVICE_PID" 2>/dev/null && wait "$SERVICE_PID" 2>/dev/null || true
    rm -rf "$SERVICE_FOLDER"
}

# start_front: runs tests/sdk/front.py before the service that start_service has started, until this script ends. Sets FRONT_URL.
start_front() {
    : >"$SERVICE_FOLDER/front"
    "$PYTHON" tests/sdk/front.py "$SERVICE_URL" >"$SERVICE_FOLDER/front" &
    FRONT_PID=$!
    trap 'kill "$FRONT_PID" 2>/dev/null || true; stop_service' EXIT
    local tries
    for tries in $(seq 100); do
        FRONT_URL="$(cat "$SERVICE_FOLDER/front")"
        [ -n "$FRONT_URL" ] && return
        sleep 0.1
    done
    fail "tests/sdk/front.py does not start (after $tries tries)"
}
