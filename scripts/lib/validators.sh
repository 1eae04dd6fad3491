# Builds and tests the validators in sdks/ that are packages of a registry, as they would be published. To be sourced after
# common.sh and tools.sh. test_LANGUAGE puts what runs its probe (verify/vectors/README.md) into PROBE_LANGUAGE, an array.

# The package for Node, packed, and put where an import finds it. Its tests stand beside it and see nothing else.
test_node() {
    npm_tools sdk-node sdks/node
    local folder="$ROOT/target/validators/node" modules="$TOOLS/sdk-node/node_modules" program
    rm -rf "$folder" && mkdir -p "$folder/package"
    cp -r sdks/node/{src,package.json,README.md,tsconfig.json,tsconfig.build.json} "$folder/package"
    cp -r sdks/node/tests "$folder"
    ln -s "$modules" "$folder/node_modules"
    (cd "$folder/package" && "$modules/.bin/tsc" --project tsconfig.build.json && npm pack --silent --ignore-scripts --pack-destination "$folder" >/dev/null) ||
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
