#!/bin/sh
# Runs the functional suite under one MPM: test/httpd.sh event|prefork|worker [t/TEST options and test files]
# MCP_HTTP says over which HTTP: h1 (HTTP/1.1, default), h2c (HTTP/2 in the clear, with prior knowledge), h2 (HTTP/2 over TLS).
# From the environment besides: MODULE_SO, MCP_MINT, MCP_SHIM, HTTPD, HTTPD_LIBEXECDIR, APXS, PERL, srcdir, builddir.
# Apache::Test writes into its own tree, so the suite is copied below the build directory: this keeps VPATH builds,
# "make distcheck" (read-only srcdir) and "make -j" working.
set -eu
mpm=$1; shift
PERL=${PERL:-perl}
"$PERL" -MApache::TestRun -e1 2>/dev/null || { echo "SKIP: Apache::Test is not installed"; exit 77; }
# Apache::Test silently drops a LoadModule line whose file is missing, and a suite without keys tests nothing.
[ -f "$MODULE_SO" ] || { echo "not built: $MODULE_SO"; exit 99; }
[ -x "$MCP_MINT" ] || { echo "not built: $MCP_MINT"; exit 99; }
case $MCP_MINT in /*) ;; *) MCP_MINT=$PWD/$MCP_MINT ;; esac
[ -f "$MCP_SHIM" ] || { echo "not built: $MCP_SHIM"; exit 99; }
case $MCP_SHIM in /*) ;; *) MCP_SHIM=$PWD/$MCP_SHIM ;; esac
case $MODULE_SO in /*) ;; *) MODULE_SO=$PWD/$MODULE_SO ;; esac

http=${MCP_HTTP:-h1}
case $http in
    h1 | h2c) ;;
    h2) "$PERL" -MIO::Socket::SSL -e1 2>/dev/null || { echo "SKIP: IO::Socket::SSL is not installed"; exit 77; } ;;
    *) echo "MCP_HTTP is $http; it must be h1, h2c or h2"; exit 99 ;;
esac

run=${builddir:-.}/test/run-$mpm
[ "$http" = h1 ] || run=$run-$http
rm -rf "$run"
mkdir -p "$run"
run=$(cd "$run" && pwd)
cp -R "$srcdir/test/t" "$run/t"
chmod -R u+w "$run"
chmod -R a+rX "$run/t" # httpd's children are not root

# In place of the machine's own httpd configuration, which would bring along whatever happens to be enabled there.
# Built-in modules must not be loaded: Apache::Test asks "httpd -V -f modules.conf" for the MPM, a syntax error then.
needed="mpm_$mpm unixd log_config watchdog authn_core authz_core authz_host authz_user access_compat auth_basic
    authn_file alias dir mime headers rewrite setenvif env proxy proxy_http http2 reqtimeout deflate filter cache
    cache_disk include actions socache_shmcb status"
wanted="sed slotmem_shm proxy_balancer lbmethod_byrequests proxy_wstunnel proxy_http2 request buffer substitute
    allowmethods brotli expires logio info remoteip"
if [ "$http" = h2 ]; then needed="$needed ssl"; else wanted="$wanted ssl"; fi
{
    static=$("$HTTPD" -l)
    for m in $needed $wanted; do
        case $static in *mod_$m.c*) continue ;; esac
        [ "$m" = "mpm_$mpm" ] && case $static in *" $mpm.c"*) continue ;; esac
        if [ -f "$HTTPD_LIBEXECDIR/mod_$m.so" ]; then
            echo "LoadModule ${m}_module $HTTPD_LIBEXECDIR/mod_$m.so"
        else
            case " $(echo $needed) " in *" $m "*) echo "no $HTTPD_LIBEXECDIR/mod_$m.so" >&2; exit 99 ;; esac
        fi
    done
    echo "LoadModule mcp_oauth_module $MODULE_SO"
} > "$run/modules.conf"

# An own block of 100 ports per run, below the ephemeral range: "-port select" races under make -j. Apache::Test takes
# from the lower end for its virtual hosts, t/TEST from the upper end for servers that tests start.
port=$((10000 + $$ % 220 * 100))

cd "$run"
MCP_HTTP=$http MCP_MPM=$mpm MCP_AUX_PORTS=$((port + 60)); export MCP_HTTP MCP_MPM MCP_AUX_PORTS MCP_MINT MCP_SHIM
exec "$PERL" t/TEST -httpd "$HTTPD" -apxs "$APXS" -httpd_conf "$run/modules.conf" \
    -port $port -maxclients 8 -defines "OVER_$http" "$@"
