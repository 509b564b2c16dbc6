#!/bin/sh
# The functional suite under mpm_event.
exec ${SHELL:-/bin/sh} "$srcdir/test/httpd.sh" event "$@"
