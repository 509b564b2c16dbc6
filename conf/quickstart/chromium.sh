# Sourced after setup.sh: finds or installs a Chromium that can be driven. Bash.
# CHROMIUM names the browser to take. Otherwise it is what is installed, then the package chromium, and where that is a snap
# (Ubuntu) the headless build that npm has.

# Does it start? What Ubuntu calls chromium-browser only tells to install a snap, which cannot read our files.
chromium_runs() {
    local file
    file=$(readlink -f "$(command -v "$1")")
    case $file in */snap | /snap/*) return 1 ;; esac
    [ -f "$file" ] && ! head -c 4096 "$file" | grep -qa '/snap/' &&
        timeout 30 "$file" --version 2>/dev/null </dev/null | grep -qE '[0-9]+\.[0-9]+\.[0-9]+'
}

find_chromium() {
    local candidate
    for candidate in ${CHROMIUM:+"$CHROMIUM"} chromium google-chrome google-chrome-stable chromium-browser; do
        command -v "$candidate" >/dev/null && chromium_runs "$candidate" && { command -v "$candidate"; return 0; }
    done
    return 1
}

need_chromium() {
    [ -z "${CHROMIUM:-}" ] || chromium_runs "$CHROMIUM" || die "CHROMIUM=$CHROMIUM does not run"
    find_chromium >/dev/null && return 0
    if grep -qs '^ID=ubuntu' /etc/os-release; then
        need libnss3 compgen -G '/usr/lib/*/libnss3.so' # what the build of npm takes from the system
    else
        missing+=(chromium)
    fi
}

# npm_chromium DIR PACKAGE_JSON   the headless build in the npm registry, installed into DIR; sets CHROMIUM. Needs NODE.
npm_chromium() {
    local dir=$1
    PATH=$(dirname "$NODE"):$PATH node_environment "$dir" "$2"
    mkdir -p "$dir/unpacked"
    CHROMIUM=$(cd "$dir" && TMPDIR=$dir/unpacked "$NODE" --input-type=module \
        -e 'import chromium from "@sparticuz/chromium"; console.log(await chromium.executablePath());' 2>"$dir/error")
    chromium_runs "$CHROMIUM" || die "no Chromium runs here, that of npm included ($(tail -n 1 "$dir/error"));" \
        "install one that is no snap, and name it: CHROMIUM=/path/to/chrome"
}
