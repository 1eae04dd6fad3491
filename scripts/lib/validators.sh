# Builds and tests the validators in sdks/ that are packages of a registry, as they would be published. To be sourced after
# common.sh and tools.sh. test_LANGUAGE puts what runs its probe (verify/vectors/README.md) into PROBE_LANGUAGE, an array.

# own_version FILE: fails unless the file, of a package's, names the version of the workspace.
own_version() {
    local version
    version="$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)"
    grep --quiet --extended-regexp "^( *\"version\":|version =) \"$version\",?\$" "$1" || fail "the version in $1 is not $version"
}

# The package for Node, packed, and put where an import finds it. Its tests stand beside it and see nothing else.
test_node() {
    own_version sdks/node/package.json
    npm_tools sdk-node sdks/node
    local folder="$ROOT/target/validators/node" modules="$TOOLS/sdk-node/node_modules" program
    rm -rf "$folder" && mkdir -p "$folder/package"
    cp -r sdks/node/{src,package.json,README.md,tsconfig.json,tsconfig.build.json} "$folder/package"
    cp -r sdks/node/tests "$folder"
    ln -s "$modules" "$folder/node_modules"
    (cd "$folder/package" && npm pack --silent --pack-destination "$folder" </dev/null >/dev/null) ||
        fail 'the package for Node is not built'
    rm -rf "$modules/hallpass-verify" && mkdir "$modules/hallpass-verify"
    tar --extract --gzip --strip-components=1 --directory="$modules/hallpass-verify" --file="$(echo "$folder"/hallpass-verify-*.tgz)"
    "$modules/.bin/tsc" --project "$folder/tests/tsconfig.json"
    program="$(built hallpass)"
    HALLPASS_PROGRAM="$program" HALLPASS_README="$modules/hallpass-verify/README.md" HALLPASS_VECTORS="$ROOT/verify/vectors" \
        HALLPASS_DOCUMENT="$ROOT/docs/validate.md" \
        within 5m node --test --test-force-exit --test-timeout=120000 --test-reporter=spec "$folder"/tests/*.test.mjs
    PROBE_node=(node "$folder/tests/probe.mjs")
}

# The package for Python as a wheel, installed. Its tests stand elsewhere and see nothing but what is installed.
test_python() {
    own_version sdks/python/pyproject.toml
    python_tools sdk-python-validator sdks/python/tests/requirements.txt
    local folder="$ROOT/target/validators/python" bin="$TOOLS/sdk-python-validator/bin" program
    rm -rf "$folder" && mkdir -p "$folder"
    cp -r sdks/python "$folder/package"
    "$bin/pip" wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir "$folder" "$folder/package" </dev/null &&
        "$bin/pip" install --quiet --disable-pip-version-check --no-deps --force-reinstall "$folder"/hallpass_verify-*.whl </dev/null ||
        fail 'the package for Python is not built'
    (cd "$folder/package" && "$bin/mypy" && "$bin/ruff" check --quiet && "$bin/ruff" format --quiet --check)
    mv "$folder/package/tests" "$folder/package/pyproject.toml" "$folder/package/README.md" "$folder" && rm -r "$folder/package"
    program="$(built hallpass)"
    HALLPASS_PROGRAM="$program" HALLPASS_README="$folder/README.md" HALLPASS_VECTORS="$ROOT/verify/vectors" \
        HALLPASS_DOCUMENT="$ROOT/docs/validate.md" PYTHONPATH='' \
        within 5m "$bin/python" -m pytest --quiet --no-header -p no:cacheprovider -c "$folder/pyproject.toml" "$folder/tests"
    PROBE_python=("$bin/python" "$folder/tests/probe.py")
}
