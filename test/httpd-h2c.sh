#!/bin/sh
# What stands before a backend, over HTTP/2 in the clear, under mpm_event.
[ $# -gt 0 ] || set -- $(cd "$srcdir/test" && echo t/gate/*.t t/acl/*.t t/challenge/*.t t/proxy/*.t t/lists/*.t t/streams/*.t \
    t/session/binding.t t/bound/[!cm]*.t t/bound/challenge.t)
MCP_HTTP=h2c exec ${SHELL:-/bin/sh} "$srcdir/test/httpd.sh" event "$@"
