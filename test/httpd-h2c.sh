#!/bin/sh
# What stands before a backend, over HTTP/2 in the clear, under mpm_event.
[ $# -gt 0 ] || set -- $(cd "$srcdir/test" && echo t/gate/*.t t/acl/*.t t/challenge/*.t t/proxy/*.t t/lists/*.t t/streams/*.t \
    t/session/binding.t t/bound/backend.t t/bound/challenge.t t/bound/inside.t t/bound/nonce.t t/bound/proof.t t/bound/replay.t \
    t/bound/schemes.t t/bound/stepup.t t/bound/target.t t/rate/limits.t t/rate/operations.t t/require/*.t t/status/counts.t)
MCP_HTTP=h2c exec ${SHELL:-/bin/sh} "$srcdir/test/httpd.sh" event "$@"
