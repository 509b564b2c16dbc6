# Sourced by run.sh here and by test/run.sh: packages, building out of tree, Python environments, children. Bash.
# Expects $source, the top of the source tree.

say() { printf '%s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# end_with_counts STATUS PASSED FAILED   the last words of a script that tests: counts, and status 0 only if nothing failed. What
# ended it on the way (STATUS is not 0) is a failure.
end_with_counts() {
    local failed=$3
    [ "$1" = 0 ] || [ "$failed" -gt 0 ] || failed=1
    printf '%d passed, %d failed\n' "$2" "$failed"
    [ "$failed" = 0 ] && [ "$2" -gt 0 ] && exit 0
    exit 1
}

# --- packages ---------------------------------------------------------------------------------------------

missing=()

# need PACKAGE COMMAND...   remembers PACKAGE unless COMMAND succeeds
need() {
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}

has_command() { command -v "$1"; }
has_header() { [ -e "/usr/include/$1" ] || [ -e "/usr/local/include/$1" ] || compgen -G "/usr/include/*/$1"; }

# Prints a Python that is new enough for the MCP SDK and can make virtual environments.
find_python() {
    local candidate
    for candidate in /usr/bin/python3 python3; do
        "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || continue
        printf '%s\n' "$candidate"
        return 0
    done
    return 1
}

need_build_tools() {
    need gcc has_command gcc
    need libc6-dev has_header stdio.h
    need make has_command make
    need autoconf has_command autoreconf
    need automake has_command automake
    need libtool has_command libtoolize
    need pkg-config has_command pkg-config
    need apache2-bin has_command /usr/sbin/apache2
    need apache2-dev has_command apxs
    need libjansson-dev has_header jansson.h
    need libcurl4-openssl-dev has_header curl/curl.h
    need libssl-dev has_header openssl/evp.h
}

need_node() {
    need nodejs has_command node
    need npm has_command npm
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# Installs what need() found missing. Never the package apache2: that would start the system's own httpd.
install_missing() {
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null ||
        die "these are missing and there is no apt-get here; install what corresponds to them: ${missing[*]}"
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
        die "these packages are missing; as root: apt-get install ${missing[*]}"
    say "installing ${missing[*]}"
    # A broken third-party list is no reason to give up: the install below tells whether it mattered.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update </dev/null >&2 || say "apt-get update had errors; going on"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}" </dev/null >&2 ||
        die "apt-get could not install: ${missing[*]}"
    missing=()
}

# --- building -----------------------------------------------------------------------------------------------

# build_module DIR   sets MODULE to the module built in DIR from $source
build_module() {
    local dir=$1
    if [ ! -x "$source/configure" ]; then
        [ -w "$source" ] || die "$source has no configure and is not writable; run autoreconf -fi there, or copy it"
        say "autoreconf in $source"
        (cd "$source" && autoreconf -fi) </dev/null >&2 || die "autoreconf failed in $source"
    fi
    [ ! -e "$source/config.status" ] ||
        die "$source was configured in place, which forbids building elsewhere; run 'make distclean' there"
    # A directory left by another source tree would build that one.
    if [ -e "$dir/.source" ] && [ "$(cat "$dir/.source")" != "$source" ]; then
        rm -rf "$dir"
    fi
    mkdir -p "$dir" || die "cannot create $dir"
    printf '%s\n' "$source" >"$dir/.source"
    say "building in $dir"
    if [ ! -e "$dir/config.status" ]; then
        (cd "$dir" && "$source/configure" ${CONFIGURE_FLAGS:-}) </dev/null >"$dir/configure.out" 2>&1 ||
            { tail -n 20 "$dir/configure.out" >&2; die "configure failed; all of it is in $dir/config.log"; }
    fi
    make -C "$dir" -j"$(nproc)" </dev/null >"$dir/make.out" 2>&1 ||
        { tail -n 30 "$dir/make.out" >&2; die "make failed; all of it is in $dir/make.out"; }
    MODULE=$dir/.libs/mod_mcp_oauth.so
    [ -f "$MODULE" ] || die "make did not build $MODULE"
}

# python_environment DIR REQUIREMENT...   a virtual environment in DIR that holds exactly these
python_environment() {
    local dir=$1 python want
    shift
    want=$*
    [ -x "$dir/bin/python" ] && [ "$(cat "$dir/.holds" 2>/dev/null)" = "$want" ] && return 0
    python=$(find_python) || die "no Python 3.10 or newer with venv; install python3 and python3-venv"
    say "installing $want into $dir"
    rm -rf "$dir"
    "$python" -m venv "$dir" >&2 || die "$python -m venv failed; is python3-venv installed?"
    "$dir/bin/python" -m pip install -q --disable-pip-version-check "$@" </dev/null >&2 ||
        die "pip could not install $want; is the package index reachable?"
    printf '%s\n' "$want" >"$dir/.holds"
}

# node_environment DIR PACKAGE_JSON   npm packages in DIR/node_modules; sets NODE to a Node 20 or newer
node_environment() {
    local dir=$1 arch
    mkdir -p "$dir"
    NODE=$(command -v node)
    if [ "$("$NODE" -p 'process.versions.node.split(".")[0] >= 20')" != true ]; then
        case $(uname -m) in aarch64) arch=arm64 ;; *) arch=x64 ;; esac
        NODE=$dir/runtime/node_modules/node-linux-$arch/bin/node
        say "$("$(command -v node)" --version) is too old; installing Node 22 into $dir/runtime"
        [ -x "$NODE" ] || npm install --prefix "$dir/runtime" --no-audit --no-fund --loglevel=error "node-linux-$arch@22" </dev/null >&2 ||
            die "npm could not install Node 22; install Node 20 or newer"
    fi
    cmp -s "$2" "$dir/.installed" && return 0
    say "installing npm packages into $dir"
    cp "$2" "$dir/package.json"
    (cd "$dir" && npm install --no-audit --no-fund --no-package-lock --loglevel=error) </dev/null >&2 ||
        die "npm could not install what $2 names; is the registry reachable?"
    cp "$2" "$dir/.installed"
}

# --- running ------------------------------------------------------------------------------------------------

children=()

# start LOG COMMAND...   a child in a session of its own: httpd signals its whole process group when it stops. Sets child.
start() {
    local log=$1
    shift
    setsid "$@" >"$log" 2>&1 </dev/null &
    child=$!
    children+=("$child")
}

# stop PID...   ends these children with all that they started, and returns when they are gone
stop() {
    local pid tries
    for pid in "$@"; do
        kill -TERM "$pid" 2>/dev/null
    done
    for pid in "$@"; do
        for ((tries = 0; tries < 50; tries++)); do
            kill -0 -- "-$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL -- "-$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
}
stop_children() { stop "${children[@]}"; children=(); }

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Prints N different free ports of 127.0.0.1.
free_ports() {
    "$(find_python)" - "$1" <<'P'
import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(s.getsockname()[1] for s in held))
P
}

# wait_for_port PORT PID LOG WHAT
wait_for_port() {
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        port_is_free "$1" || return 0
        kill -0 "$2" 2>/dev/null || break
        sleep 0.1
    done
    tail -n 20 "$3" >&2
    die "$4 did not start; its log is $3"
}

httpd_program() { printf '%s/%s\n' "$(apxs -q exp_sbindir)" "$(apxs -q progname)"; }

# load_lines HTTPD MODULE...   LoadModule lines for those that are not built in and exist
load_lines() {
    local httpd=$1 static folder module
    shift
    static=$("$httpd" -l)
    folder=$(apxs -q exp_libexecdir)
    for module in "$@"; do
        case $static in *"mod_$module.c"*) continue ;; esac
        [ -f "$folder/mod_$module.so" ] && printf 'LoadModule %s_module "%s/mod_%s.so"\n' "$module" "$folder" "$module"
    done
}

# fill TEMPLATE NAME VALUE...   prints TEMPLATE with each @NAME@ replaced
fill() {
    local text
    text=$(cat "$1")
    shift
    while [ $# -gt 1 ]; do
        text=${text//"@$1@"/"$2"}
        shift 2
    done
    printf '%s\n' "$text"
}

# httpd's children do not run as root, and must be able to read what is below DIR.
httpd_user() { [ "$(id -u)" != 0 ] || printf 'User www-data\nGroup www-data\n'; }
check_reachable() {
    [ "$(id -u)" != 0 ] || runuser -u www-data -- test -x "$1" 2>/dev/null ||
        die "user www-data, as whom httpd runs, cannot enter $1; choose another directory with $2"
}

# own_directory VARIABLE NAME [DEFAULT]   sets dir, where a script may write all it likes: what VARIABLE says, else DEFAULT (NAME below
# build of the source tree), or another place if httpd's children could not enter there. Expects $source.
own_directory() {
    umask 022
    dir=${!1:-${3:-$source/build/$2}}
    if [ -z "${!1:-}" ] && [ "$(id -u)" = 0 ] && ! runuser -u www-data -- test -x "$source" 2>/dev/null; then
        dir=/var/cache/mod_mcp_oauth/$2
    fi
    mkdir -p "$dir" || die "cannot create $dir; choose another directory with $1"
    dir=$(cd "$dir" && pwd)
    check_reachable "$dir" "$1"
}
