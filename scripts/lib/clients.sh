# The clients in sdks/ that log in, as they are handed to others. To be sourced after tools.sh.

# What is packed goes here.
CLIENTS="$ROOT/target/clients"

# The version of hallpass, which its clients share.
VERSION="$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)"

# pack_client: sdks/client as npm packs it, in $CLIENTS/hallpass-client.tgz; nothing where that is there already.
pack_client() {
    local folder="$CLIENTS/client" sources=(sdks/client/{package.json,tsconfig.json,README.md} sdks/client/src/*)
    npm_tools client sdks/client
    is_installed "$folder" "${sources[@]}" && return
    rm -rf "$folder" && mkdir -p "$folder"
    cp -r sdks/client/{src,package.json,tsconfig.json,README.md} "$folder"
    ln -s "$TOOLS/client/node_modules" "$folder/node_modules"
    (cd "$folder" && npm pack --loglevel=error >&2) || fail 'sdks/client cannot be packed'
    mv "$folder/hallpass-client-$VERSION.tgz" "$CLIENTS/hallpass-client.tgz" ||
        fail "sdks/client/package.json has another version than Cargo.toml: $VERSION"
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
    local folder="$CLIENTS/session-python"
    python_tools clients-python tests/clients/requirements.txt
    rm -rf "$folder" "$CLIENTS/wheel" && mkdir -p "$folder"
    cp -r sdks/session-python/{src,pyproject.toml,README.md} "$folder"
    "$TOOLS/clients-python/bin/pip" wheel --quiet --disable-pip-version-check --no-index --no-build-isolation --no-deps \
        --wheel-dir "$CLIENTS/wheel" "$folder" || fail 'sdks/session-python cannot be packed'
    [ -f "$CLIENTS/wheel/hallpass_session-$VERSION-py3-none-any.whl" ] ||
        fail "sdks/session-python/pyproject.toml has another version than Cargo.toml: $VERSION"
}

# install_session FOLDER: packs it, and puts it into the virtual environment there.
install_session() {
    pack_session
    "$1/bin/pip" install --quiet --disable-pip-version-check --no-index --no-deps --force-reinstall "$CLIENTS/wheel/"*.whl ||
        fail 'the wheel of sdks/session-python cannot be installed'
}
