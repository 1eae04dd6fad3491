# Packs what is in sdks/ and verify/ as it would be published, and looks at what is in the packages. To be sourced after common.sh
# and tools.sh. pack_LANGUAGE FOLDER makes the package in the folder, anew, and puts its path into PACKAGE.

# own_version FILE: fails unless the file, of a package's, names the version of the workspace.
own_version() {
    local version
    version="$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)"
    grep --quiet --extended-regexp "^( *\"version\":|version =) \"$version\",?\$" "$1" || fail "the version in $1 is not $version"
}

# own_license FOLDER: fails unless the package there has the license of the repository, to the letter. It cannot be a link: npm and
# Go pack none.
own_license() {
    cmp --silent LICENSE "$1/LICENSE" && [ ! -L "$1/LICENSE" ] || fail "$1/LICENSE is not a copy of LICENSE"
}

# holds PACKAGE FILES PATTERN REQUIRED…: fails unless each of the files, one a line, is of the pattern (extended), which leaves no room
# for tests, keys and the like, and unless those that are required are among them.
holds() {
    local package="$1" files="$2" pattern="$3" strangers required
    shift 3
    strangers="$(grep --invert-match --line-regexp --extended-regexp "$pattern" <<<"$files" || true)"
    [ -z "$strangers" ] || fail "the package $package is not to hold ${strangers//$'\n'/, }"
    for required in "$@"; do
        grep --quiet --line-regexp --fixed-strings "$required" <<<"$files" || fail "the package $package holds no $required"
    done
}

# contents ARCHIVE: the files in a tar archive, without the folder that all of them are in.
contents() {
    tar --list --gzip --file="$1" | sed 's#^[^/]*/##'
}

pack_rust() {
    local folder="$1" manifest
    for manifest in $(grep --files-with-matches '"/LICENSE"' ./*/Cargo.toml); do
        own_license "$(dirname "$manifest")"
    done
    rm -rf "$folder" && mkdir -p "$folder"
    cargo package --quiet --package hallpass-verify --allow-dirty --no-verify --offline --target-dir "$folder" 2>"$folder/log" ||
        fail "the package for Rust is not built: $(cat "$folder/log")"
    PACKAGE="$(echo "$folder"/package/hallpass-verify-*.crate)"
    holds "$PACKAGE" "$(contents "$PACKAGE")" \
        '(Cargo\.(toml|toml\.orig|lock)|\.cargo_vcs_info\.json|README\.md|LICENSE|src/[a-z0-9_/]+\.rs|examples/[a-z]+\.rs)' \
        Cargo.toml README.md LICENSE src/lib.rs
}

pack_node() {
    local folder="$1"
    own_version sdks/node/package.json
    own_license sdks/node
    npm_tools sdk-node sdks/node
    rm -rf "$folder" && mkdir -p "$folder/package"
    cp -r sdks/node/{src,package.json,README.md,LICENSE,tsconfig.json,tsconfig.build.json} "$folder/package"
    ln -s "$TOOLS/sdk-node/node_modules" "$folder/node_modules"
    (cd "$folder/package" && npm pack --silent --pack-destination "$folder" </dev/null >/dev/null) ||
        fail 'the package for Node is not built'
    PACKAGE="$(echo "$folder"/hallpass-verify-*.tgz)"
    holds "$PACKAGE" "$(contents "$PACKAGE")" '(package\.json|README\.md|LICENSE|dist/[A-Za-z0-9]+(\.js|\.d\.ts))' \
        package.json README.md LICENSE dist/{index,express,fastify,fetch}{.js,.d.ts}
}

pack_python() {
    local folder="$1" files about
    own_version sdks/python/pyproject.toml
    own_license sdks/python
    python_tools sdk-python-validator sdks/python/tests/requirements.txt
    rm -rf "$folder" && mkdir -p "$folder/package"
    cp -r sdks/python/{src,pyproject.toml,README.md,LICENSE} "$folder/package"
    "$TOOLS/sdk-python-validator/bin/python" -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
        --wheel-dir "$folder" "$folder/package" </dev/null || fail 'the package for Python is not built'
    PACKAGE="$(echo "$folder"/hallpass_verify-*.whl)"
    files="$("$PYTHON" -m zipfile --list "$PACKAGE" | sed -n '2,$s/ .*//p')"
    about="$(sed -n 's#/METADATA$##p' <<<"$files")"
    holds "$PACKAGE" "$files" "(hallpass_verify/([a-z0-9_]+\.py|py\.typed)|${about//./\\.}/(METADATA|RECORD|WHEEL|licenses/LICENSE))" \
        "$about/METADATA" "$about/licenses/LICENSE" hallpass_verify/{__init__.py,py.typed}
}

# A module is its folder, as it stands in the repository; its tests are part of it.
pack_go() {
    own_license sdks/go
    PACKAGE="$1/hallpass-verify"
    rm -rf "$1" && mkdir -p "$PACKAGE"
    cp -r sdks/go/. "$PACKAGE"
    holds "$PACKAGE" "$(cd "$PACKAGE" && find . -type f -printf '%P\n')" '([a-z0-9_]+\.go|go\.mod|README\.md|LICENSE)' go.mod README.md LICENSE doc.go
}
