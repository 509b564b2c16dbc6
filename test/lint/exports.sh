#!/bin/sh
# The module gives httpd exactly one symbol: two modules of one process must not meet in each other's functions.
set -u
[ -n "${NM:-}" ] || { echo "nm was not found by configure" >&2; exit 1; }
[ -f "${MODULE_SO:-}" ] || { echo "${MODULE_SO:-MODULE_SO}: not built" >&2; exit 1; }
found=$($NM -D --defined-only "$MODULE_SO" | awk '{ print $NF }' | LC_ALL=C sort -u)
if [ "$found" != mcp_oauth_module ]; then
    echo "$MODULE_SO must export mcp_oauth_module and nothing else, but exports: $(echo $found)" >&2
    exit 1
fi
echo "$MODULE_SO: mcp_oauth_module"
