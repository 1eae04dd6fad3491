# The clients in sdks/ that log in, as they are handed to others. To be sourced after tools.sh.

. scripts/lib/packages.sh

# What is packed goes here.
CLIENTS="$ROOT/target/clients"

# pack_client: sdks/client as npm packs it, in $CLIENTS/hallpass-client.tgz; nothing where that is there already.
pack_client() {
    local folder="$CLIENTS/client" sources=(sdks/client/{package.json,tsconfig.json,README.md,LICENSE} sdks/client/src/*)
    own_version sdks/client/package.json
    own_license sdks/client
    npm_tools client sdks/client
    is_installed "$folder" "${sources[@]}" && return
    rm -rf "$folder" && mkdir -p "$folder"
    cp -r sdks/client/{src,package.json,tsconfig.json,README.md,LICENSE} "$folder"
    ln -s "$TOOLS/client/node_modules" "$folder/node_modules"
    (cd "$folder" && npm pack --silent </dev/null >/dev/null) || fail 'sdks/client cannot be packed'
    mv "$folder"/hallpass-client-*.tgz "$CLIENTS/hallpass-client.tgz"
    holds sdks/client "$(contents "$CLIENTS/hallpass-client.tgz")" '(package\.json|README\.md|LICENSE|dist/[a-z]+(\.js|\.d\.ts))' \
        package.json README.md LICENSE dist/{index,axios,react}{.js,.d.ts}
    mark_installed "$folder" "${sources[@]}"
}

# install_client FOLDER: packs it, and puts it beside the packages there.
install_client() {
    local folder="$1/node_modules/@hallpass/client"
    pack_client
    rm -rf "$folder" && mkdir -p "$folder"
    tar --extract --gzip --strip-components=1 --directory "$folder" --file "$CLIENTS/hallpass-client.tgz"
}

# pack_session: sdks/session-python as a wheel, in $CLIENTS/wheel, with nothing from elsewhere.
pack_session() {
    local folder="$CLIENTS/session-python" files about
    own_version sdks/session-python/pyproject.toml
    own_license sdks/session-python
    python_tools clients-python tests/clients/requirements.txt
    rm -rf "$folder" "$CLIENTS/wheel" && mkdir -p "$folder"
    cp -r sdks/session-python/{src,pyproject.toml,README.md,LICENSE} "$folder"
    "$TOOLS/clients-python/bin/pip" wheel --quiet --disable-pip-version-check --no-index --no-build-isolation --no-deps \
        --wheel-dir "$CLIENTS/wheel" "$folder" </dev/null || fail 'sdks/session-python cannot be packed'
    files="$("$PYTHON" -m zipfile --list "$CLIENTS/wheel/"*.whl | sed -n '2,$s/ .*//p')"
    about="$(sed -n 's#/METADATA$##p' <<<"$files")"
    holds sdks/session-python "$files" "(hallpass_session/([a-z_]+\.py|py\.typed)|${about//./\\.}/(METADATA|RECORD|WHEEL|licenses/LICENSE))" \
        "$about/METADATA" "$about/licenses/LICENSE" hallpass_session/{__init__.py,py.typed}
}

# install_session FOLDER: packs it, and puts it into the virtual environment there.
install_session() {
    pack_session
    "$1/bin/pip" install --quiet --disable-pip-version-check --no-index --no-deps --force-reinstall "$CLIENTS/wheel/"*.whl ||
        fail 'the wheel of sdks/session-python cannot be installed'
}
