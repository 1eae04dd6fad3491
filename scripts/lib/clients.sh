# The client in sdks/client, as it is handed to others. To be sourced after tools.sh.

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
