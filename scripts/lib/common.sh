# What the scripts share. To be sourced; ROOT is the repository, and the current folder.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
cd "$ROOT"

# Where tools live between runs.
TOOLS="$ROOT/target/tools"

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
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --quiet --no-install-recommends "$@" </dev/null || fail "$advice"
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
