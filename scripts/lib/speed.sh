# The release and what measures it. To be sourced after common.sh.

# build_speed: builds both, at once since they share what they are made of, and sets `hallpass` and `speed` to where cargo put them.
build_speed() {
    local programs
    programs="$(cargo build --release --locked -p hallpass -p hallpass-speed --bins --message-format=json-render-diagnostics |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')"
    hallpass="$(grep '/hallpass$' <<<"$programs")" && speed="$(grep '/hallpass-speed$' <<<"$programs")" ||
        fail 'cargo does not say where it put the programs'
}
