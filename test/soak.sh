#!/bin/bash
# usage: soak.sh MINUTES [--module SO] [--mpm event|worker|prefork] [--requests N] [--rate N] [--streams N] [--help]
#
# Soak and chaos: an httpd of its own with mod_mcp_oauth in front of an MCP server, good and hostile requests at the same time
# for MINUTES. The last line is "N passed, N failed", above it a table of what was counted; exit 0 only if nothing failed.
#
# There all the time: good requests as fast as they are answered, others whose answers are compared byte for byte, 1,000 idle
# event streams, an MCP server that resets, answers half or refuses (at a path of its own), some 60 kinds of hostile requests,
# clients that leave in the middle, key rotations with overlap, and an authorization server that is down, hangs or talks
# nonsense. Three parts:
#
#   warm     a quarter of the time, until caches are full
#   steady   40 % of it. All processes live: their memory and descriptors are to be flat (R14)
#   chaos    the rest. Children are killed, httpd reloads, streams leave and come back: the parent is to be flat
#
# A good request may be lost only with a child that was killed while it had it. No hostile request may be answered with 200, or
# come to the MCP server.
#
#   --module SO   the mod_mcp_oauth.so to test (default: it is built first)
#   --mpm NAME    default event
#   --requests N  end after N good requests if that comes first (each part has its share)
#   --rate N      good requests in a second, at most (default: no limit)
#   --streams N   default 1000, with prefork 60
#
# MINUTES may be 1 (in CI); 1,000,000 requests take 10 to 20 minutes on two cores.
# Everything is written below MCP_SOAK_DIR (default: build/soak of the source tree).
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/.." && pwd)
. "$source/conf/quickstart/setup.sh"
. "$here/soak/common.sh"

MODULE='' mpm=event minutes='' more=()
while [ $# -gt 0 ]; do
    case $1 in
        --module) MODULE=${2:-}; shift ;;
        --mpm) mpm=${2:-}; shift ;;
        --requests | --rate | --streams) more+=("$1" "${2:-}"); shift ;;
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        -*) die "unknown option $1; soak.sh --help lists them" ;;
        *) minutes=$1 ;;
    esac
    shift || die "an argument is missing; soak.sh --help tells which"
done
[[ $minutes =~ ^[0-9]+(\.[0-9]+)?$ ]] || die "for how many MINUTES? soak.sh --help tells more"
[ -z "$MODULE" ] || [ -f "$MODULE" ] || die "--module: there is no file $MODULE"
case $mpm in event | worker | prefork) ;; *) die "--mpm is event, worker or prefork" ;; esac

trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

prepare soak MCP_SOAK_DIR "$mpm"
run_driver "$here/soak/run.pl" --minutes "$minutes" --mpm "$mpm" "${more[@]}"
exit $?
