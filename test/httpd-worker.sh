#!/bin/sh
# The functional suite under mpm_worker.
exec ${SHELL:-/bin/sh} "$srcdir/test/httpd.sh" worker "$@"
