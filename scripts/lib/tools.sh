# Pinned tools out of npm and PyPI, kept under target/tools. To be sourced after common.sh.

. scripts/lib/programs.sh

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

# npm_tools NAME FOLDER: the packages that FOLDER/package-lock.json pins, in $TOOLS/NAME/node_modules.
npm_tools() {
    local folder="$TOOLS/$1" manifest="$2"
    local files=("$manifest/package.json" "$manifest/package-lock.json")
    is_installed "$folder" "${files[@]}" && return
    require_programs node
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
