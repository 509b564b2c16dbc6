#!/bin/sh
# The command table, the reference (docs/directives.md), the commented configuration (conf/mcp_oauth.conf), the README and
# the tests speak of the same directives. Where each may stand follows from its flags and its setter.
set -u
bad=0
fail() { echo "$*" >&2; bad=1; }
docs=$srcdir/docs/directives.md
conf=$srcdir/conf/mcp_oauth.conf
readme=$srcdir/README.md
for f in "$docs" "$conf" "$readme"; do
    [ -f "$f" ] || fail "$f: not found"
done
ls "$srcdir"/src/httpd/*.c >/dev/null 2>&1 || fail "$srcdir/src/httpd: not found"
[ $bad = 0 ] || exit 1

# One line per directive: NAME|PLACES. PLACES as the reference writes it, or what is wrong.
table=$(cat "$srcdir"/src/httpd/*.c | awk '
    { text = text $0 "\n" }
    END {
        # where setters let a directive stand: function name -> PLACE(...) or the httpd context it checks
        n = split(text, f, /\n(static )?const char \*/)
        for (i = 2; i <= n; i++) {
            name = f[i]; sub(/\(.*/, "", name)
            body = f[i]; sub(/\n}.*/, "", body)
            if (match(body, /PLACE\([^)]*\)/)) place[name] = substr(body, RSTART + 6, RLENGTH - 7)
            else if (match(body, /ap_check_cmd_context\(cmd, [^)]*\)/)) place[name] = substr(body, RSTART + 26, RLENGTH - 27)
        }
        # flags may stand in a macro
        m = split(text, d, /\n#define /)
        for (i = 2; i <= m; i++) {
            line = d[i]; sub(/\n.*/, "", line)
            if (line ~ /RSRC_CONF|ACCESS_CONF|OR_[A-Z]+/) {
                name = line; sub(/[ \t].*/, "", name)
                flags[name] = line
            }
        }
        k = split(text, e, /AP_INIT_[A-Z0-9_]+\(/)
        for (i = 2; i <= k; i++) {
            entry = e[i]; gsub(/\n/, " ", entry)
            split(entry, q, "\"")
            rest = q[3]; sub(/^[, ]+/, "", rest)
            setter = rest; sub(/,.*/, "", setter)
            flag = rest
            for (name in flags) if (rest ~ ("(^|[^A-Z_])" name "([^A-Z_]|$)")) flag = flag " " flags[name]
            print q[2] "|" words(flag, place[setter], setter)
        }
    }
    function words(flag, place, setter,    w) {
        if (flag ~ /OR_[A-Z]+/) return "bad: its flags let it stand in .htaccess"
        if (flag !~ /RSRC_CONF|ACCESS_CONF/) return "bad: no flags found"
        if (place == "") return "bad: " setter "() does not say where it may stand"
        if (place ~ /GLOBAL_ONLY/) return flag ~ /ACCESS_CONF/ ? "bad: flags and setter differ" : "server config"
        if (place ~ /NOT_IN_DIR_CONTEXT/) return flag ~ /ACCESS_CONF/ ? "bad: flags and setter differ" : "server config, virtual host"
        if (flag !~ /RSRC_CONF/ || flag !~ /ACCESS_CONF/) return "bad: flags and setter differ"
        if (place ~ /MCP_IN_DIR|MCP_IN_SERVER/) w = w ", server config, virtual host"
        if (place ~ /MCP_IN_DIR|MCP_IN_LOCATION/) w = w ", location"
        if (place ~ /MCP_IN_ISSUER/) w = w ", issuer section"
        return w == "" ? "bad: cannot read " place : substr(w, 3)
    }')
count=$(echo "$table" | grep -c '|')
[ "$count" -ge 30 ] || fail "only $count directives found: the search is broken"
[ "$count" = "$(cat "$srcdir"/src/httpd/*.c | grep -o 'AP_INIT_[A-Z0-9_]*(' | wc -l)" ] || fail "not every AP_INIT_ was read"
dup=$(echo "$table" | cut -d'|' -f1 | LC_ALL=C sort | uniq -d)
[ -z "$dup" ] || fail "twice in the command table: $dup"

# section NAME   the reference's text about it: from its heading to the next one
section() {
    awk -v h="### $1" '$0 == h { on = 1; next } /^##/ { on = 0 } on' "$docs"
}
field() { # field NAME FIELD   a cell of its table, without backquotes
    section "$1" | sed -n "s/^| $2: *| *\(.*[^ ]\) *|\$/\1/p" | tr -d '`'
}
tests=$(find "$srcdir/test" -type f \( -name '*.t' -o -name '*.conf.in' -o -name 'config.sh' \) | grep -Ev '/(lint|run-[^/]*|node_modules)/')
[ -n "$tests" ] || fail "no test found: the search is broken"

echo "$table" | { while IFS='|' read -r name places; do
    case $places in bad:*) fail "$name: ${places#bad: }" ;; esac
    head=$name; case $name in '<'*) head="\`$name>\`" ;; esac
    if [ -z "$(section "$head")" ]; then
        fail "$docs: no section \"### $head\""
    else
        [ "$(field "$head" Context)" = "$places" ] || fail "$docs: $head: Context is \"$(field "$head" Context)\", the code says \"$places\""
        [ "$(field "$head" Override)" = 'none (not allowed in .htaccess)' ] || fail "$docs: $head: Override is not \"none (not allowed in .htaccess)\""
        case $(field "$head" Syntax) in
            "$name "*) ;;
            *) fail "$docs: $head: Syntax does not begin with $name" ;;
        esac
        for cell in Description Default Status Module Compatibility; do
            [ -n "$(field "$head" $cell)" ] || fail "$docs: $head: no $cell"
        done
        section "$head" | grep -qi '^\*\*Bad values' || fail "$docs: $head: no paragraph \"**Bad values**\""
        section "$head" | grep -q '^```' || fail "$docs: $head: no example"
    fi
    word=${name#<}
    grep -Eq "^[[:space:]]*#?[[:space:]]*$name([[:space:]\"]|\$)" "$conf" || fail "$conf: $name is missing"
    grep -qE "\[.?$name.?.?\]\(docs/directives\.md#" "$readme" || fail "$readme: $name is not linked to the reference"
    # A test must use it, not just mention it: at the start of a line, or after an opening quote.
    grep -qE "(^|['\"\`({@n])[[:space:]]*$name([^A-Za-z]|\$)" $tests || fail "no test uses $name"
done; exit $bad; } || bad=1

# --- and the other way round: what documents and configurations name must exist
known=" $(echo "$table" | cut -d'|' -f1 | tr '\n' ' ')"
strange() { # strange FILE...   words that look like a directive and are none
    grep -ohE '<?McpOAuth[A-Za-z0-9]*' "$@" /dev/null | LC_ALL=C sort -u | while IFS= read -r w; do
        case $known in *" $w "* | *" ${w#<} "*) ;; *) echo "$w" ;; esac
    done
}
for f in "$srcdir"/docs/*.md "$readme" $(find "$srcdir/conf" -type f) "$srcdir"/src/*/*.c "$srcdir"/src/*/*.h; do
    said=$(strange "$f")
    [ -z "$said" ] || fail "$f: no such directive: $(echo $said)"
done
grep '^### ' "$docs" | sed 's/^### //; s/^`\(<.*\)>`$/\1/' | { while IFS= read -r head; do
    case $known in *" $head "*) ;; *) fail "$docs: \"### $head\" is no directive" ;; esac
done; exit $bad; } || bad=1
dup=$(grep '^### ' "$docs" | LC_ALL=C sort | uniq -d)
[ -z "$dup" ] || fail "$docs: twice: $dup"

# Links into the reference must arrive: an anchor is the heading in small letters, blanks as -, the second of a name with -1.
anchors=" $(grep '^##' "$docs" | sed 's/^#* //' | tr -d '<>`:,().' | tr 'A-Z ' 'a-z-' | awk '{ print $0 (seen[$0]++ ? "-" seen[$0] - 1 : "") }' | tr '\n' ' ')"
for f in "$readme" "$srcdir"/docs/*.md; do
    for a in $(grep -oE '(directives\.md|\()#[A-Za-z0-9_-]+' "$f" | sed 's/.*#//'); do
        case $f:$anchors in *directives.md:*" $a "* | *README.md:*" $a "* | *messages.md:*" $a "*) ;; *) fail "$f: #$a leads nowhere" ;; esac
    done
done

echo "$count directives"
exit $bad
