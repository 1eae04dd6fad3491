# What the scripts share. To be sourced; ROOT is the repository, and the current folder.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
cd "$ROOT"

# Where tools live between runs.
TOOLS="$ROOT/target/tools"

# built PROGRAM [FOLDER [KIND]]: builds a program (KIND `bin`; or an `example`) of the package in FOLDER (this one), and answers where
# cargo put it. BUILT_BY is another command of cargo's than `build`, with options. That need not be the folder that it takes by itself: CARGO_TARGET_DIR, a cargo configuration or a target of
# one's own lead elsewhere.
built() {
    local messages program
    messages="$(cd "${2:-$ROOT}" && cargo ${BUILT_BY:-build} --quiet --locked "--${3:-bin}" "$1" --message-format=json-render-diagnostics)" || return
    program="$(sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' <<<"$messages" | tail -n 1)"
    [ -x "$program" ] || fail "cargo does not say where it put $1"
    printf '%s\n' "$program"
}

section() {
    printf '\n== %s ==\n' "$*"
}

fail() {
    printf '%s: %s\n' "${0#"$ROOT"/}" "$*" >&2
    exit 1
}

# Installs Debian packages where it may, and otherwise says which ones are missing.
install_packages() {
    local advice="install $* and run this again"
    command -v apt-get >/dev/null || fail "$advice (there is no apt-get here to do it with)"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null && sudo -n true 2>/dev/null || fail "$advice (this needs root)"
        as_root=(sudo -n)
    fi
    # Nobody is there to answer questions in CI.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update --quiet </dev/null
    local status=0
    without_services env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --quiet --no-install-recommends "$@" </dev/null || status=$?
    [ "$status" -eq 0 ] || fail "$advice"
}

# Runs a command, as install_packages may, and keeps packages from starting their services meanwhile, by way of policy-rc.d
# (man deb-systemd-invoke): tests start their own.
without_services() {
    local policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then
        "${as_root[@]}" "$@"
        return
    fi
    # Whatever becomes of the command, the system must not keep this.
    (
        trap '"${as_root[@]}" rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
        "${as_root[@]}" chmod +x "$policy"
        "${as_root[@]}" "$@"
    )
}

# Runs a command that is ended when it takes longer than that, where the system can (coreutils).
within() {
    local limit="$1"
    shift
    if ! command -v timeout >/dev/null; then
        "$@"
        return
    fi
    # At a terminal it stays in the foreground, for Ctrl-C to reach it.
    local options=(--kill-after=30s) status=0
    [ ! -t 0 ] || options+=(--foreground)
    timeout "${options[@]}" "$limit" "$@" || status=$?
    [ "$status" -ne 124 ] || fail "'$*' took longer than $limit and was ended"
    return "$status"
}
