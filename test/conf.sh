#!/bin/sh
# httpd must accept each file in conf/ and conf/examples/ as it is shipped, and the commented reference also with every
# option written out.
set -u
[ -f "$MODULE_SO" ] || { echo "not built: $MODULE_SO"; exit 99; }
case $MODULE_SO in /*) ;; *) MODULE_SO=$PWD/$MODULE_SO ;; esac
top=$(cd "$srcdir" && pwd)
tmp=$PWD/test/run-conf
rm -rf "$tmp"
mkdir -p "$tmp/conf" "$tmp/logs" "$tmp/htdocs" || exit 99
: >"$tmp/conf/mime.types"
# The secrets that the files name, as their comments say: for root alone.
secret() { (umask 077 && echo 0123456789abcdef0123456789abcdef >"$1") || exit 99; }
secret "$tmp/conf/mcp-client-secret"
n=0 bad=0

# Built-in modules must not be loaded. A module that this httpd does not have is left out: then the file that needs it fails.
static=$("$HTTPD" -l)
modules=$(for m in mpm_event unixd log_config watchdog authn_core authz_core authz_host authz_user auth_basic alias dir mime \
    headers rewrite setenvif env socache_shmcb socache_redis slotmem_shm ssl proxy proxy_http proxy_balancer lbmethod_byrequests http2 \
    reqtimeout deflate filter status remoteip; do
    case $static in *mod_$m.c* | *" ${m#mpm_}.c"*) continue ;; esac
    [ -f "$HTTPD_LIBEXECDIR/mod_$m.so" ] && echo "LoadModule ${m}_module $HTTPD_LIBEXECDIR/mod_$m.so"
done)

check() { # check NAME FILE
    n=$((n + 1))
    cat >"$tmp/httpd.conf" <<END
ServerRoot "$tmp"
DefaultRuntimeDir "$tmp"
PidFile "$tmp/httpd.pid"
ErrorLog "$tmp/error_log"
ServerName https://mcp.example.com:443
Listen 127.0.0.1:1
DocumentRoot "$tmp/htdocs"
$modules
Define MCP_OAUTH_LIBEXECDIR "$(dirname "$MODULE_SO")"
Include "$top/conf/mcp_oauth.load"
Include "$2"
END
    if out=$("$HTTPD" -t -f "$tmp/httpd.conf" 2>&1) && ! echo "$out" | grep -E 'MCP09[0-9][0-9]|AH[0-9]+: .*(warn|WARN)'; then
        echo "ok $n - $1"
    else
        echo "not ok $n - $1"
        echo "$out" | sed 's/^/# /'
        bad=1
    fi
}

for f in "$top"/conf/*.conf "$top"/conf/examples/*.conf; do
    [ -f "$f" ] || continue
    case $f in
        */audit-log.conf) ;; # writes a log, whatever is protected
        *) grep -qE '^[[:space:]]*McpOAuth[[:space:]]+On' "$f" || { echo "not ok - $f protects nothing"; bad=1; } ;;
    esac
    check "${f#"$top"/} as shipped" "$f"
done
[ $n -gt 0 ] || { echo "not ok - no file found in $top/conf"; exit 1; }

# The reference with every "#McpOAuth…" line made a directive. The files it names are not on this machine.
{ "$MCP_MINT" keygen p256 "$tmp/ca.key" && "$MCP_MINT" cert "$tmp/ca.key" --host localhost >"$tmp/ca.pem"; } ||
    { echo "no certificate can be made: is MCP_MINT (${MCP_MINT:-unset}) built?"; exit 99; }
secret "$tmp/session.key"
secret "$tmp/client.secret"
sed -e 's/^\( *\)#\(McpOAuth\)/\1\2/' -e "s:/etc/ssl/certs/ca-certificates.crt:$tmp/ca.pem:" -e "s:/etc/apache2/mcp-session.key:$tmp/session.key:" \
    -e "s:/etc/apache2/mcp-client.secret:$tmp/client.secret:" "$top/conf/mcp_oauth.conf" >"$tmp/every-option.conf"
[ "$(grep -cE '^ *McpOAuth' "$tmp/every-option.conf")" -ge 50 ] || { echo "not ok - too few options in conf/mcp_oauth.conf"; exit 1; }
check "conf/mcp_oauth.conf with every option written out" "$tmp/every-option.conf"

# Whether a bad file is noticed at all.
printf '<Location "/mcp">\n    McpOAuth On\n</Location>\n' >"$tmp/bad.conf"
said=$(check bad "$tmp/bad.conf")
n=$((n + 1))
case $said in
    'not ok'*) echo "ok $n - a file that protects nothing is refused" ;;
    *) echo "not ok $n - a file that protects nothing is accepted"; bad=1 ;;
esac
echo "1..$n"
exit $bad
