# Sourced after setup.sh by run.sh here and by test/e2e/keycloak.sh: a Keycloak for this machine alone, which Maven fetches once.
# Bash.

KEYCLOAK=26.4.7
KEYCLOAK_SHA256=dd9834c023460be856f731423d86228c23b5d002194a2064642bec0cc6573eaa
MAVEN_DEPENDENCY=org.apache.maven.plugins:maven-dependency-plugin:3.8.1

java_is_new() {
    local version
    version=$("${JAVA_HOME:+$JAVA_HOME/bin/}java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
    [ "${version:-0}" -ge 17 ]
}

need_keycloak() {
    local java=default-jre-headless
    ! grep -qs '^VERSION_ID="22.04"' /etc/os-release || java=openjdk-17-jre-headless # the default is 11 there
    need "$java" java_is_new
    need maven has_command mvn
    need unzip has_command unzip
    need curl has_command curl
}

check_java() {
    java_is_new || die "Keycloak needs Java 17 or newer: install one, and name it with JAVA_HOME if it is not the first in PATH"
}

# install_keycloak DIR   170 MB; sets keycloak_home. The options of "build" are those that "start --optimized" cannot change: here
# a database in memory, so every start is a fresh Keycloak.
install_keycloak() {
    local place zip=keycloak-quarkus-dist-$KEYCLOAK.zip
    mkdir -p "$1" && place=$(cd "$1" && pwd) || die "cannot create $1"
    keycloak_home=$place/keycloak-$KEYCLOAK
    [ "$(cat "$keycloak_home/.built" 2>/dev/null)" = "$KEYCLOAK_SHA256" ] && return 0
    say "installing Keycloak $KEYCLOAK into $place"
    rm -rf "$place"/keycloak-* "$place/maven" || die "cannot write $place"
    mvn -B -q -Dstyle.color=never "-Dmaven.repo.local=$place/maven" "$MAVEN_DEPENDENCY:copy" "-DoutputDirectory=$place" \
        "-Dartifact=org.keycloak:keycloak-quarkus-dist:$KEYCLOAK:zip" </dev/null >&2 ||
        die "Maven could not fetch Keycloak; is its repository reachable?"
    printf '%s  %s\n' "$KEYCLOAK_SHA256" "$place/$zip" | sha256sum --check --status ||
        die "$place/$zip is not the file that was asked for"
    unzip -q "$place/$zip" -d "$place" || die "$place/$zip could not be unpacked"
    rm -rf "${place:?}/$zip" "$place/maven"
    "$keycloak_home/bin/kc.sh" build --db=dev-mem </dev/null >"$place/build.log" 2>&1 ||
        die "Keycloak could not be built; its log is $place/build.log"
    printf '%s\n' "$KEYCLOAK_SHA256" >"$keycloak_home/.built"
}

# keycloak_answers PORT
keycloak_answers() { curl -sf -m 5 --noproxy '*' -o /dev/null "http://127.0.0.1:$1/realms/master"; }

# start_keycloak PORT LOG   at http://localhost:PORT, which listens on 127.0.0.1 only; sets keycloak_pid, and admin_password
start_keycloak() {
    local port=$1 log=$2 tries
    admin_password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    start "$log" env JAVA_OPTS_KC_HEAP='-Xms64m -Xmx400m' \
        KC_BOOTSTRAP_ADMIN_USERNAME=admin KC_BOOTSTRAP_ADMIN_PASSWORD="$admin_password" \
        "$keycloak_home/bin/kc.sh" start --optimized --cache=local --http-enabled=true --http-host=127.0.0.1 --http-port="$port" \
        --hostname="http://localhost:$port"
    keycloak_pid=$child
    for ((tries = 0; tries < 1500; tries++)); do
        keycloak_answers "$port" && return 0
        kill -0 "$keycloak_pid" 2>/dev/null || break
        sleep 0.2
    done
    tail -n 20 "$log" >&2
    die "Keycloak did not start; its log is $log"
}
