#!/bin/bash
# usage: package.sh [--keep] [--help]
#
# Tests the packages as their users get them. Makes a release tarball; installs from it below DESTDIR and uninstalls; builds
# the Debian package; looks at it, and at the RPM spec; installs it into the system's httpd, which then protects a location of a
# copy of the system's configuration, on a port of its own; removes it, and looks for what was left. Needs root, or sudo.
# Ends with a line "N passed, N failed".
#
#   --keep   do not delete the scratch directory
#
# No service is started or stopped. What was installed or enabled for the test is removed at the end. Build tools, lintian and rpm
# stay. The source tree is not written to.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/.." && pwd)
. "$source/conf/quickstart/setup.sh"
. "$here/e2e/common.sh"

keep=''
case ${1:-} in
    '') ;;
    --keep) keep=1 ;;
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) die "unknown option $1; package.sh --help lists them" ;;
esac

package=libapache2-mod-mcp-oauth
policy=/usr/sbin/policy-rc.d
scratch='' our_policy='' our_package='' added=() state_before=''

expect() { # expect TEXT COMMAND...
    local text=$1
    shift
    if "$@"; then verdict ok "$text"; else verdict FAIL "$text"; fi
}

# run LOG COMMAND...   shows the end of LOG when it fails
run() {
    local log=$scratch/$1.log
    shift
    "$@" >"$log" 2>&1 </dev/null || { tail -n 30 "$log"; return 1; }
}

empty() { # empty TEXT   true if there is none; else shows it
    [ -z "$1" ] || { sed 's/^/     /' <<<"$1"; return 1; }
}

# --- what is needed ---------------------------------------------------------------------------------------------

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

prepare() {
    local name
    command -v dpkg >/dev/null || die "this is not Debian or Ubuntu; the packages can only be tested there"
    [ "$(id -u)" = 0 ] || sudo -v 2>/dev/null || die "this test installs packages: run it as root, or as a user who may use sudo"
    ! dpkg-query -W "$package" >/dev/null 2>&1 || die "$package is installed here already, and the test would remove it"
    need_build_tools
    for name in build-essential debhelper dpkg-dev libcurl4-openssl-dev libjansson-dev libssl-dev pkgconf; do
        need "$name" is_installed "$name"
    done
    need lintian has_command lintian
    need rpm has_command rpmspec
    need curl has_command curl
    need python3 has_command python3
    need python3-venv find_python
    install_missing
    umask 022
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/mod_mcp_oauth-package.XXXXXX") || die "cannot make a scratch directory; set TMPDIR"
    chmod 755 "$scratch"
    check_reachable "$scratch" TMPDIR
}

# --- the tarball, and what "make install" does --------------------------------------------------------------------

make_tarball() {
    mkdir "$scratch/source" "$scratch/dist"
    tar -C "$source" --exclude-vcs --exclude=./build --exclude=./autom4te.cache --exclude='./test/run-*' --exclude='__pycache__' \
        --exclude='*.tar.gz' -cf - . | tar -C "$scratch/source" -xf - || die "cannot copy the source tree to $scratch"
    rm -f "$scratch/source/config.status"
    (cd "$scratch/source" && run autoreconf autoreconf -fi) || die "autoreconf failed"
    (cd "$scratch/dist" && run configure-dist "$scratch/source/configure" && run dist make dist) || die "make dist failed"
    tarball=$(compgen -G "$scratch/dist/mod_mcp_oauth-*.tar.gz") || die "make dist made no tarball"
    version=${tarball##*/mod_mcp_oauth-}
    version=${version%.tar.gz}
    verdict ok "make dist: mod_mcp_oauth-$version.tar.gz"
}

unpack() { # unpack NAME   sets tree
    mkdir "$scratch/$1"
    tar -C "$scratch/$1" -xzf "$tarball" || die "cannot unpack $tarball"
    tree=$scratch/$1/mod_mcp_oauth-$version
}

# What must be there below DESTDIR: every document and every configuration that the tree has, with the prefix /usr/local.
expected_files() {
    local doc=/usr/local/share/doc/mod_mcp_oauth
    printf '%s\n' "$(apxs -q exp_libexecdir)/mod_mcp_oauth.so" /usr/local/bin/mcp-oauth-verify \
        /usr/local/share/man/man1/mcp-oauth-verify.1 "$doc"/{README,CHANGELOG,SECURITY}.md "$doc/LICENSE"
    (cd "$source/docs" && printf "$doc/docs/%s\n" *.md *.svg)
    (cd "$source/conf" && basename -a -- *.conf *.load examples/* | sed "s:^:$doc/examples/:")
}

install_and_uninstall() {
    local build=$scratch/build root=$scratch/root
    unpack upstream
    mkdir "$build" "$root"
    (cd "$build" && run configure "$tree/configure" && run make make -j"$(nproc)") || die "the tarball does not build"
    run install make -C "$build" install "DESTDIR=$root" || die "make install failed"
    expect "make install puts module, program, manual, documents and examples below DESTDIR, and nothing else" \
        empty "$(diff <(expected_files | LC_ALL=C sort) <(cd "$root" && find . ! -type d | sed 's/^\.//' | LC_ALL=C sort))"
    expect "the installed program is version $version" \
        test "$("$root/usr/local/bin/mcp-oauth-verify" --version)" = "mcp-oauth-verify $version"
    run uninstall make -C "$build" uninstall "DESTDIR=$root"
    expect "make uninstall leaves no file, and no directory of ours" empty "$(find "$root" ! -type d -o -iname '*mcp*oauth*')"
}

# --- the packages -------------------------------------------------------------------------------------------------

check_versions() {
    local spec=$source/packaging/mod_mcp_oauth.spec
    expect "packaging/debian/changelog has version $version" \
        test "$(dpkg-parsechangelog -l "$source/packaging/debian/changelog" -S Version)" = "$version"
    expect "rpmspec reads packaging/mod_mcp_oauth.spec" run rpmspec rpmspec -P "$spec"
    expect "it has version $version" test "$(rpmspec -q --srpm --qf '%{version}' "$spec" 2>/dev/null)" = "$version"
}

build_package() {
    unpack debian
    cp -r "$tree/packaging/debian" "$tree/debian" || die "the tarball has no packaging/debian"
    (cd "$tree" && run dpkg-buildpackage dpkg-buildpackage -us -uc -b) || die "dpkg-buildpackage failed"
    deb=$(compgen -G "$scratch/debian/${package}_${version}_*.deb") || die "dpkg-buildpackage made no $package"
    verdict ok "dpkg-buildpackage: ${deb##*/}"
    # Debian's profile: Ubuntu's does not know the name of Debian's distribution in the changelog.
    expect "lintian finds no error" \
        run lintian lintian --profile debian --allow-root --fail-on error "$(compgen -G "$scratch/debian/*.changes")"
    grep '^[EW]:' "$scratch/lintian.log"
    expect "the package holds module, program, manual, documents and examples" empty "$(missing_in_package)"
    mkdir "$scratch/content"
    dpkg-deb -x "$deb" "$scratch/content"
    expect "mcp_oauth.conf as installed says nothing" \
        empty "$(grep -vE '^[[:space:]]*(#|$)' "$scratch/content/etc/apache2/mods-available/mcp_oauth.conf")"
    expect "the module is bound at load time (hardening)" \
        grep -q BIND_NOW <(readelf -d "$scratch/content/usr/lib/apache2/modules/mod_mcp_oauth.so")
}

missing_in_package() { # the same as below DESTDIR, at Debian's places
    local doc=/usr/share/doc/$package
    comm -23 <({
            expected_files
            printf '%s\n' "$doc/copyright" "$doc/changelog" /etc/apache2/mods-available/mcp_oauth.{load,conf}
        } | sed -e "s:^/usr/local/share/doc/mod_mcp_oauth:$doc:" -e 's:^/usr/local/:/usr/:' -e '/\/LICENSE$/d' | LC_ALL=C sort) \
        <(dpkg-deb --fsys-tarfile "$deb" | tar -tf - | sed -e 's/^\.//' -e 's/\.gz$//' | LC_ALL=C sort)
}

# --- the system's httpd -------------------------------------------------------------------------------------------

# Installing must not start what a user of this machine has stopped, nor restart what runs.
forbid_services() {
    local action forbidden=1
    for action in start stop restart reload; do
        "$policy" apache2 "$action" >/dev/null 2>&1
        [ $? = 101 ] || forbidden=''
    done
    [ -z "$forbidden" ] || return 0
    our_policy=1
    [ ! -e "$policy" ] || as_root mv "$policy" "$policy.before-mod_mcp_oauth" || die "cannot set $policy aside"
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null && as_root chmod 755 "$policy" || die "cannot write $policy"
}

permit_services() {
    [ -n "$our_policy" ] || return 0
    as_root rm -f "$policy"
    [ ! -e "$policy.before-mod_mcp_oauth" ] || as_root mv "$policy.before-mod_mcp_oauth" "$policy"
}

apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -q -y --no-install-recommends "$@"; }

# Which modules and sites are enabled, as links and as a2enmod remembers it.
state() { find /etc/apache2/*-enabled /var/lib/apache2 ! -type d -printf '%p\n' 2>/dev/null | LC_ALL=C sort; }

# Everything on this machine that has our name.
ours() {
    find /etc /usr /var/lib /run -xdev -iname '*mcp[-_]oauth*' -not -path "$scratch/*" -not -path "$source/*" 2>/dev/null |
        LC_ALL=C sort
}

install_httpd() {
    is_installed apache2 && return 0
    # What is upgraded is no addition of ours; apt-get writes its old version in brackets.
    mapfile -t added < <(apt_get -s install apache2 2>/dev/null | sed -n 's/^Inst \([^ ]*\) (.*/\1/p')
    [ ${#added[@]} -gt 0 ] || die "apt-get cannot install apache2; is there a package index (apt-get update)?"
    say "installing ${added[*]}"
    run apache2 apt_get install apache2 || die "apt-get could not install apache2"
}

install_package() {
    our_package=1
    run "install-$1" apt_get install "$deb" || die "apt-get could not install ${deb##*/}"
}

purge_package() {
    run purge apt_get purge "$package" || return 1
    our_package=''
}

are_enabled() {
    local name
    for name; do
        [ -e "/etc/apache2/mods-enabled/$name.load" ] || return 1
    done
}

# README.md's smallest configuration, without LoadModule, which is Debian's affair.
smallest() { # smallest BACKEND_PORT
    awk '/^```/ { if (inside) exit; inside = /^```apache/; next } inside && !/^LoadModule/' "$source/README.md" |
        sed "s|http://127\.0\.0\.1:[0-9]*/|http://127.0.0.1:$1/|"
}

# The system's configuration as it is after a2enmod, but with ports and files of its own, and with our site alone.
copy_configuration() { # copy_configuration PORT BACKEND_PORT
    conf=$scratch/etc-apache2
    as_root cp -a /etc/apache2 "$conf" && as_root chown -hR "$(id -u)" "$conf" || die "cannot copy /etc/apache2"
    find "$conf" -type f -name '*.conf' \
        -exec sed -i -E -e 's/^[[:space:]]*Listen[[:space:]]/#&/I' -e "s:/etc/apache2/:$conf/:g" {} +
    rm -f "$conf"/sites-enabled/*
    mkdir -p "$scratch/run" "$scratch/log" "$scratch/htdocs"
    echo hello >"$scratch/htdocs/hello"
    printf 'Listen 127.0.0.1:%s\nServerName localhost\n' "$1" >"$conf/ports.conf"
    # Not exported: maintainer scripts would take the copy for the system's.
    httpd=(env "APACHE_CONFDIR=$conf" "APACHE_RUN_DIR=$scratch/run" "APACHE_LOCK_DIR=$scratch/run" "APACHE_LOG_DIR=$scratch/log"
        "APACHE_PID_FILE=$scratch/run/apache2.pid" APACHE_RUN_USER=www-data APACHE_RUN_GROUP=www-data
        /usr/sbin/apache2 -d "$conf")
    expect "the system's configuration with the module enabled is accepted" run configtest "${httpd[@]}" -t
    { smallest "$2"; printf 'ProxyPass "/open" "http://127.0.0.1:%s"\n' "$2"; } >"$conf/sites-enabled/mcp.conf"
    expect "README.md's smallest configuration has two directives" \
        test "$(grep -cE '^[[:space:]]*McpOAuth' "$conf/sites-enabled/mcp.conf")" = 2
}

status_of() { curl -s -m 60 -o "$scratch/answer" -D "$scratch/headers" -w '%{http_code}' "$@"; }

ask() { # ask URL
    local base=$1 pointer token status
    expect "what is not protected reaches the backend through mod_proxy" test "$(status_of "$base/open/hello")" = 200
    expect "without a token: 401" test "$(status_of "$base/mcp" -d '{}')" = 401
    pointer=$(sed -n 's/^WWW-Authenticate: Bearer .*resource_metadata="\([^"]*\)".*/\1/Ip' "$scratch/headers" | head -n 1)
    expect "it names the metadata: $pointer" test -n "$pointer"
    expect "the metadata document is there" test "$(status_of "$pointer")" = 200
    expect "it names resource and issuer" python3 - "$scratch/answer" "$base/mcp" <<'P'
import json, sys
document = json.load(open(sys.argv[1]))
sys.exit(document["resource"] != sys.argv[2] or document["authorization_servers"] != ["https://sso.example.com/realms/mcp"])
P
    # {"alg":"RS256","kid":"k"} . {"iss":"https://sso.example.com/realms/mcp"} : the issuer has no such key, or cannot be reached.
    token=eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJodHRwczovL3Nzby5leGFtcGxlLmNvbS9yZWFsbXMvbWNwIn0.AAAA
    status=$(status_of "$base/mcp" -H "Authorization: Bearer $token" -H 'Content-Type: application/json' -d '{}')
    expect "a token that nobody has signed: 401 or 503 ($status)" test "$status" = 401 -o "$status" = 503
    expect "nothing of this has reached the MCP server" empty "$(grep '"[A-Z]* /mcp' "$scratch/backend.log")"
}

use_package() {
    local port backend_port backend
    expect "apt-get install enables nothing" test ! -e /etc/apache2/mods-enabled/mcp_oauth.load
    expect "a2enmod mcp_oauth" run a2enmod as_root a2enmod -q mcp_oauth
    expect "it has enabled mcp_oauth, proxy and proxy_http" are_enabled mcp_oauth proxy proxy_http
    expect "mcp-oauth-verify runs" test "$(/usr/bin/mcp-oauth-verify --version)" = "mcp-oauth-verify $version"
    read -r port backend_port <<<"$(free_ports 2)"
    copy_configuration "$port" "$backend_port"
    start "$scratch/backend.log" python3 -u -m http.server "$backend_port" --bind 127.0.0.1 --directory "$scratch/htdocs"
    backend=$child
    wait_for_port "$backend_port" "$backend" "$scratch/backend.log" 'the backend'
    start "$scratch/httpd.log" "${httpd[@]}" -DFOREGROUND
    wait_for_port "$port" "$child" "$scratch/httpd.log" "the system's httpd"
    ask "http://localhost:$port"
    stop_children
    expect "no process of httpd has crashed" empty "$(grep 'exit signal' "$scratch/log/error.log")"
}

existing_files() { # of the names on standard input, those that are files
    local name
    while IFS= read -r name; do
        [ -d "$name" ] || [ ! -e "$name" ] || echo "$name"
    done
}

remove_package() { # once disabled before, once still enabled
    local listed round
    for round in disabled enabled; do
        [ "$round" = disabled ] || { install_package again; run a2enmod as_root a2enmod -q mcp_oauth || die "a2enmod failed"; }
        listed=$(dpkg -L "$package")
        if [ "$round" = disabled ]; then
            expect "a2dismod mcp_oauth" run a2dismod as_root a2dismod -q mcp_oauth
            expect "it leaves no link" empty "$(compgen -G '/etc/apache2/mods-enabled/mcp_oauth*')"
        fi
        expect "purge while $round" purge_package
        expect "no file of the package is left" empty "$(existing_files <<<"$listed")"
        expect "nor anything else with its name" empty "$(diff "$scratch/ours" <(ours))"
    done
}

# Takes back what was done to this machine, however far the test came.
restore() {
    local path
    [ -z "$our_package" ] || purge_package || say "$package could not be purged"
    [ ${#added[@]} -eq 0 ] || run purge-apache2 apt_get purge "${added[@]}" || say "these could not be purged: ${added[*]}"
    [ -z "$state_before" ] || while IFS= read -r path; do
        as_root rm -f "$path"
    done < <(comm -13 <(cat "$state_before") <(state))
    permit_services
}

finish() {
    local status=$?
    trap - EXIT
    stop_children
    restore
    if [ -n "$state_before" ]; then
        expect "what was enabled on this machine is as before" empty "$(diff "$state_before" <(state))"
    fi
    if [ -n "$keep" ]; then say "kept: $scratch"; else [ -z "$scratch" ] || as_root rm -rf "$scratch"; fi
    end_with_counts "$status" "$passed" "$failed"
}

trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
prepare
make_tarball
install_and_uninstall
check_versions
build_package
state_before=$scratch/state
state >"$state_before"
ours >"$scratch/ours"
forbid_services
install_httpd
install_package first
use_package
remove_package
exit 0
