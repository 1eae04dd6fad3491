# Builds and tests the validators in sdks/ that are packages of a registry, as they would be published. To be sourced after
# common.sh and tools.sh. test_LANGUAGE puts what runs its probe (verify/vectors/README.md) into PROBE_LANGUAGE, an array.

. scripts/lib/packages.sh

# The package for Node, packed, and put where an import finds it. Its tests stand beside it and see nothing else.
test_node() {
    local folder="$ROOT/target/validators/node" modules="$TOOLS/sdk-node/node_modules" program
    pack_node "$folder"
    cp -r sdks/node/tests "$folder"
    rm -rf "$modules/hallpass-verify" && mkdir "$modules/hallpass-verify"
    tar --extract --gzip --strip-components=1 --directory="$modules/hallpass-verify" --file="$PACKAGE"
    "$modules/.bin/tsc" --project "$folder/tests/tsconfig.json"
    program="$(built hallpass)"
    HALLPASS_PROGRAM="$program" HALLPASS_README="$modules/hallpass-verify/README.md" HALLPASS_VECTORS="$ROOT/verify/vectors" \
        HALLPASS_DOCUMENT="$ROOT/docs/validate.md" \
        within 5m node --test --test-force-exit --test-timeout=120000 --test-reporter=spec "$folder"/tests/*.test.mjs
    PROBE_node=(node "$folder/tests/probe.mjs")
}

# The package for Python as a wheel, installed. Its tests stand elsewhere and see nothing but what is installed.
test_python() {
    local folder="$ROOT/target/validators/python" bin="$TOOLS/sdk-python-validator/bin" program
    pack_python "$folder"
    "$bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall "$PACKAGE" </dev/null ||
        fail 'the package for Python is not installed'
    cp -r sdks/python/tests "$folder/package"
    (cd "$folder/package" && "$bin/mypy" && "$bin/ruff" check --quiet && "$bin/ruff" format --quiet --check)
    mv "$folder/package/tests" "$folder/package/pyproject.toml" "$folder/package/README.md" "$folder" && rm -r "$folder/package"
    program="$(built hallpass)"
    HALLPASS_PROGRAM="$program" HALLPASS_README="$folder/README.md" HALLPASS_VECTORS="$ROOT/verify/vectors" \
        HALLPASS_DOCUMENT="$ROOT/docs/validate.md" PYTHONPATH='' \
        within 5m "$bin/python" -m pytest --quiet --no-header -p no:cacheprovider -c "$folder/pyproject.toml" "$folder/tests"
    PROBE_python=("$bin/python" "$folder/tests/probe.py")
}
