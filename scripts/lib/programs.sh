# Programs of the system that tests and tools run. To be sourced after common.sh.

# The oldest Node.js that the tools run on.
NODE_MIN=22

# Debian's own python3 where there is one: what install_packages brings is for that one.
PYTHON=/usr/bin/python3
[ -x "$PYTHON" ] || PYTHON=python3

have_redis() {
    command -v redis-server >/dev/null
}

# Debian keeps Postgres' own programs out of PATH, one folder per version.
have_postgres() {
    command -v postgres >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null
}

# Debian keeps it where only root looks.
have_pgbouncer() {
    command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ]
}

# Another python3 that comes first in PATH may have it just as well.
have_aiosmtpd() {
    "$PYTHON" -c 'import aiosmtpd' 2>/dev/null || python3 -c 'import aiosmtpd' 2>/dev/null
}

# Debian keeps it where only root looks.
have_nginx() {
    command -v nginx >/dev/null || [ -x /usr/sbin/nginx ]
}

have_caddy() {
    command -v caddy >/dev/null
}

# Debian keeps it where only root looks.
have_haproxy() {
    command -v haproxy >/dev/null || [ -x /usr/sbin/haproxy ]
}

# Debian keeps it where only root looks.
have_apache2() {
    command -v apache2 >/dev/null || [ -x /usr/sbin/apache2 ]
}

# A library, which the faults move clocks with.
have_faketime() {
    compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null
}

have_prometheus() {
    command -v prometheus >/dev/null && command -v promtool >/dev/null
}

have_openssl() {
    command -v openssl >/dev/null
}

have_git() {
    command -v git >/dev/null
}

# Either generation of it.
have_compose() {
    docker-compose version >/dev/null 2>&1 || docker compose version >/dev/null 2>&1
}

have_curl() {
    command -v curl >/dev/null
}

have_chromium() {
    command -v chromium >/dev/null
}

have_node() {
    command -v npm >/dev/null &&
        node -e "process.exit(parseInt(process.versions.node) >= $NODE_MIN ? 0 : 1)" 2>/dev/null
}

have_python() {
    "$PYTHON" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

have_java() {
    java -version >/dev/null 2>&1
}

have_ruby_jwt() {
    ruby -rjwt -e '' 2>/dev/null
}

have_crypt_jwt() {
    perl -MCrypt::JWT -e '' 2>/dev/null
}

have_valgrind() {
    command -v valgrind >/dev/null
}

# Libraries, as sources.
have_go_oidc() {
    [ -d /usr/share/gocode/src/github.com/coreos/go-oidc ]
}

have_golang_jwt() {
    [ -d /usr/share/gocode/src/github.com/golang-jwt/jwt ]
}

# packages_of PROGRAM: what Debian calls it.
packages_of() {
    case "$1" in
        redis) echo redis-server ;;
        postgres) echo postgresql ;;
        aiosmtpd) echo python3-aiosmtpd ;;
        compose) echo docker-compose ;;
        python) echo python3 python3-venv ;;
        java) echo default-jre-headless ;;
        ruby_jwt) echo ruby ruby-jwt ;;
        crypt_jwt) echo libcrypt-jwt-perl ;;
        go_oidc) echo golang-github-coreos-go-oidc-dev ;;
        golang_jwt) echo golang-github-golang-jwt-jwt-dev ;;
        *) echo "$1" ;;
    esac
}

# description_of PROGRAM: what somebody has to install where the packages do not do it.
description_of() {
    case "$1" in
        python) echo "Python 3.11 or newer with venv ($PYTHON)" ;;
        *) packages_of "$1" ;;
    esac
}

# require_programs PROGRAM…: installs those that are missing, all at once, where it may.
require_programs() {
    local program names missing=() packages=()
    for program in "$@"; do
        "have_$program" || missing+=("$program")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    for program in "${missing[@]}"; do
        read -ra names < <(packages_of "$program")
        packages+=("${names[@]}")
    done
    install_packages "${packages[@]}"
    for program in "${missing[@]}"; do
        "have_$program" || fail "install $(description_of "$program") and run this again"
    done
}
