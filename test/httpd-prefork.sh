#!/bin/sh
# The functional suite under mpm_prefork.
exec ${SHELL:-/bin/sh} "$srcdir/test/httpd.sh" prefork "$@"
