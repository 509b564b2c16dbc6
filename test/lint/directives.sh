#!/bin/sh
# The command table, the reference (docs/directives.md), the commented configuration (conf/mcp_oauth.conf), the README and
# the tests speak of the same directives: name, description, number of arguments, and where each may stand, which follows from
# its flags and its setter. What else the reference describes is in the code too.
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
version=$(sed -n 's/^AC_INIT(\[[^]]*\], *\[\([0-9.]*\)\].*/\1/p' "$srcdir/configure.ac")
[ -n "$version" ] || fail "$srcdir/configure.ac: no version found"

# One line per directive: NAME|PLACES|LEAST|MOST|DESCRIPTION. PLACES as the reference writes it, or what is wrong; LEAST and MOST
# arguments, "flag" for On or Off, "section" for a section, "many" for any number.
table=$(cat "$srcdir"/src/httpd/*.c | awk '
    { text = text $0 "\n" }
    END {
        # of setters: where they let a directive stand (PLACE(...) or the httpd context they check), and how many arguments
        # they want (ARGS(...), here or in a function they call)
        n = split(text, f, /\n(static )?const char \*/)
        for (i = 2; i <= n; i++) {
            name = f[i]; sub(/\(.*/, "", name)
            body = f[i]; sub(/\n}.*/, "", body)
            if (match(body, /PLACE\([^)]*\)/)) place[name] = substr(body, RSTART + 6, RLENGTH - 7)
            else if (match(body, /ap_check_cmd_context\(cmd, [^)]*\)/)) place[name] = substr(body, RSTART + 26, RLENGTH - 27)
            if (match(body, /[^A-Z]ARGS\([0-9]+/)) args[name] = substr(body, RSTART + 6, RLENGTH - 6)
            bodies[name] = body
        }
        for (name in bodies) if (!(name in args))
            for (other in bodies) if (other in args && other != name && index(bodies[name], " " other "(cmd")) wants[name] = args[other]
        for (name in args) wants[name] = args[name]
        # flags may stand in a macro
        m = split(text, d, /\n#define /)
        for (i = 2; i <= m; i++) {
            line = d[i]; sub(/\n.*/, "", line)
            if (line ~ /RSRC_CONF|ACCESS_CONF|OR_[A-Z]+/) {
                name = line; sub(/[ \t].*/, "", name)
                flags[name] = line
            }
        }
        rest = text
        while (match(rest, /AP_INIT_[A-Z0-9_]+\(/)) {
            kind = substr(rest, RSTART + 8, RLENGTH - 9)
            rest = substr(rest, RSTART + RLENGTH)
            entry = rest; gsub(/\n/, " ", entry)
            match(entry, /" *\)/); entry = substr(entry, 1, RSTART) # the description ends the entry
            k = split(entry, q, "\"")
            after = q[3]; sub(/^[, ]+/, "", after)
            setter = after; sub(/,.*/, "", setter)
            flag = after
            for (name in flags) if (after ~ ("(^|[^A-Z_])" name "([^A-Z_]|$)")) flag = flag " " flags[name]
            description = ""
            for (i = 4; i <= k; i += 2) description = description q[i] # adjacent literals are one
            print q[2] "|" words(flag, place[setter], setter) "|" counts(kind, wants[setter], setter) "|" description
        }
    }
    function counts(kind, want, setter) {
        if (kind == "FLAG") return "flag|1"
        if (kind == "RAW_ARGS") return "section|1"
        if (kind == "TAKE_ARGV") return (want == "" ? "?" setter : want) "|many"
        if (kind ~ /^TAKE[123]$/) return substr(kind, 5) "|" substr(kind, 5)
        if (kind ~ /^TAKE(12|23)$/) return substr(kind, 5, 1) "|" substr(kind, 6)
        return "?" kind "|?"
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
[ "$count" -ge 50 ] || fail "only $count directives found: the search is broken"
[ "$count" = "$(cat "$srcdir"/src/httpd/*.c | grep -o 'AP_INIT_[A-Z0-9_]*(' | wc -l)" ] || fail "not every AP_INIT_ was read"
dup=$(echo "$table" | cut -d'|' -f1 | LC_ALL=C sort | uniq -d)
[ -z "$dup" ] || fail "twice in the command table: $dup"

# section HEADING   the reference's text about it: from its heading to the next one
section() {
    awk -v h="### $1" '$0 == h { on = 1; next } /^##/ { on = 0 } on' "$docs"
}
field() { # field HEADING FIELD   a cell of its table, without backquotes
    section "$1" | sed -n "s/^| $2: *| *\(.*[^ ]\) *|\$/\1/p" | sed 's/\\|/|/g' | tr -d '`'
}
# arity "NAME A [B] ..."   prints LEAST and MOST of a Syntax without backquotes; [B] may be left out, ... is any number more
arity() {
    printf '%s\n' "$1" | awk '{
        for (i = 2; i <= NF; i++) {
            if ($i ~ /^\.\.\./) many = 1
            else if ($i ~ /^\[.*\]$/) most++
            else { least++; most++ }
        }
        print least + 0 "|" (many ? "many" : most + 0)
    }'
}
anchor() { # anchor HEADING   as GitHub makes it of a heading
    printf '%s\n' "$1" | tr -d '<>`:,().' | tr 'A-Z ' 'a-z-'
}
later() { # later A B   is version A later than B?
    [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | LC_ALL=C sort -t. -k1,1n -k2,2n -k3,3n | tail -n 1)" = "$1" ]
}

# The form of a section, and its row in the index.
form_check() { # form_check HEADING NAME [ANCHOR]
    fields=$(section "$1" | sed -n 's/^| \([A-Z][a-z]*\): *|.*/\1/p' | tr '\n' ' ')
    [ "$fields" = 'Description Syntax Default Context Compatibility ' ] ||
        fail "$docs: $1: the table has the rows \"$fields\", and not Description, Syntax, Default, Context, Compatibility"
    for cell in Description Syntax Default Context Compatibility; do
        [ -n "$(field "$1" $cell)" ] || fail "$docs: $1: no $cell"
    done
    since=$(field "$1" Compatibility | sed -n 's/^mod_mcp_oauth \([0-9]*\.[0-9]*\.[0-9]*\) and later$/\1/p')
    if [ -z "$since" ]; then fail "$docs: $1: Compatibility is not \"mod_mcp_oauth X.Y.Z and later\""
    elif later "$since" "$version"; then fail "$docs: $1: $since is later than this release, $version"; fi
    section "$1" | grep -q '^```' || fail "$docs: $1: no example"
    row=$(grep -F "| [\`$2\`](#${3:-$(anchor "$1")}) |" "$docs" | tr -d '`' | sed 's/\\|/|/g')
    value=$(field "$1" Default | sed "s/^${2#<} //")
    [ "$row" = "| [${2}](#${3:-$(anchor "$1")}) | $value | $(field "$1" Description) |" ] ||
        fail "$docs: $1: its row in the index is not \"| [\`$2\`](#${3:-$(anchor "$1")}) | $value | $(field "$1" Description) |\""
}

tests=$(find "$srcdir/test" -type f \( -name '*.t' -o -name '*.conf.in' -o -name 'config.sh' \) | grep -Ev '/(lint|run-[^/]*|node_modules)/')
[ -n "$tests" ] || fail "no test found: the search is broken"

echo "$table" | { while IFS='|' read -r name places least most description; do
    case $places in bad:*) fail "$name: ${places#bad: }" ;; esac
    case $least in '?'*) fail "$name: how many arguments it takes cannot be read (${least#?})" ;; esac
    head=$name; case $name in '<'*) head="\`$name>\`" ;; esac
    if [ -z "$(section "$head")" ]; then
        fail "$docs: no section \"### $head\""
    else
        case $name in
            '<'*) form_check "$head" "$name>" "$(anchor "$head")-1" ;;
            *) form_check "$head" "$name" ;;
        esac
        [ "$(field "$head" Context)" = "$places" ] || fail "$docs: $head: Context is \"$(field "$head" Context)\", the code says \"$places\""
        said=$(field "$head" Description)
        # The first letter may be a capital, and ": ..." may follow.
        case $said in
            [A-Z]*) said=$(printf '%s' "$said" | cut -c1 | tr A-Z a-z)$(printf '%s' "$said" | cut -c2-) ;;
        esac
        wanted=$(printf '%s' "$description" | cut -c1 | tr A-Z a-z)$(printf '%s' "$description" | cut -c2-)
        case $said in
            "$wanted" | "$wanted: "*) ;;
            *) fail "$docs: $head: Description is \"$(field "$head" Description)\", the code says \"$description\"" ;;
        esac
        syntax=$(field "$head" Syntax)
        case $least in
            flag) [ "$syntax" = "$name On|Off" ] || fail "$docs: $head: Syntax is \"$syntax\", the code says On|Off" ;;
            section) case $syntax in "$name \""*'"> ... </'"${name#<}>") ;; *) fail "$docs: $head: Syntax \"$syntax\" is not that of a section" ;; esac ;;
            *)
                case $syntax in "$name "*) ;; *) fail "$docs: $head: Syntax does not begin with $name" ;; esac
                [ "$(arity "$syntax")" = "$least|$most" ] || fail "$docs: $head: Syntax \"$syntax\" has $(arity "$syntax" | sed 's/|/ to /') arguments, the code takes $least to $most" ;;
        esac
        section "$head" | grep -qi '^\*\*Bad values' || fail "$docs: $head: no paragraph \"**Bad values**\""
    fi
    # A test must use it, not just mention it: at the start of a line, or after an opening quote.
    grep -qE "(^|['\"\`({@n])[[:space:]]*$name([^A-Za-z]|\$)" $tests || fail "no test uses $name"
done; exit $bad; } || bad=1

# --- conf/mcp_oauth.conf: each directive once at least, where it may stand, with as many arguments as it takes; a line that is
# commented out and has a default in the reference shows it.
said=$({ echo "$table" | sed 's/^/table|/'
    sed -n 's/^| Default: *| `\(McpOAuth[^`]*\)` |$/default|\1/p' "$docs"
    sed 's/^/conf|/' "$conf"; } | awk -v conf="$conf" '
    function say(text) { print conf ": " text; }
    { kind = $0; sub(/\|.*/, "", kind); line = $0; sub(/^[a-z]*\|/, "", line) }
    kind == "table" { split(line, t, "|"); places[t[1]] = t[2]; least[t[1]] = t[3] ~ /^[0-9]/ ? t[3] : 1; most[t[1]] = t[4] }
    kind == "default" { name = line; sub(/ .*/, "", name); defaults[name] = line }
    kind == "conf" {
        off = line ~ /^ *#</ || line ~ /^ *#McpOAuth/
        sub(/^ *#?/, "", line)
        if (line ~ /^<McpOAuthIssuer /) { seen["<McpOAuthIssuer"] = 1; here = "issuer section"; next }
        if (line ~ /^<Location /) { here = "location"; next }
        if (line ~ /^<\//) { here = ""; next }
        if (line !~ /^McpOAuth/) next
        gsub(/"[^"]*"/, "q", line); gsub(/ +/, " ", line); sub(/ $/, "", line)
        n = split(line, w, " ") - 1
        if (!(w[1] in places)) next # said below
        seen[w[1]] = 1
        if (index(", " places[w[1]] ",", ", " (here == "" ? "server config" : here) ",") == 0)
            say(w[1] " stands in " (here == "" ? "the server config" : here) ", but belongs into " places[w[1]])
        if (n < least[w[1]] || (most[w[1]] != "many" && n > most[w[1]])) say(w[1] " has " n " arguments")
        if (off && w[1] in defaults && defaults[w[1]] != line) say("\"" line "\" is not the default, \"" defaults[w[1]] "\"")
    }
    END { for (name in places) if (!(name in seen)) say(name " is missing") }')
[ -z "$said" ] || fail "$said"

# --- what is no directive: each thing that the code offers has a section, and nothing else has one
# strings [PATTERN]   what stands between the quotes of the string literals of the code, or of those behind PATTERN
strings() {
    sed "s/'\\\\*\"'//g; s/\\\\\"//g" "$srcdir"/src/httpd/*.c | grep -oE "${1:-}\"[^\"]*\"" | sed 's/.*"\([^"]*\)"$/\1/' | LC_ALL=C sort -u
}
others=$(
    strings 'AUTHZ_PROVIDER_GROUP, *' | sed 's/^/Require /'
    strings | grep -xE 'mcp-oauth-[a-z]+' | grep -vxE 'mcp-oauth-(refresh|cache)' | sed 's/^/Handler /' # those are mutexes
    strings '#define AUTH_TYPE +' | sed 's/^/AuthType /'
    strings | grep -xE 'DUMP_[A-Z_]+'
    echo 'Environment variables')
echo "$others" | { while IFS= read -r head; do
    if [ -z "$(section "$head")" ]; then fail "$docs: no section \"### $head\""; else form_check "$head" "$head"; fi
done; exit $bad; } || bad=1
grep '^### ' "$docs" | sed 's/^### //; s/^`\(<.*\)>`$/\1/' | { while IFS= read -r head; do
    echo "$table" | cut -d'|' -f1 | grep -qxF "$head" || echo "$others" | grep -qxF "$head" || fail "$docs: \"### $head\" is not in the code"
done; exit $bad; } || bad=1
dup=$(grep '^### ' "$docs" | LC_ALL=C sort | uniq -d)
[ -z "$dup" ] || fail "$docs: twice: $dup"

# Environment variables: the table of their section has those that the code sets.
filters=$(strings 'ap_register_(in|out)put_filter(_with_context)?\( *')
variables=$(strings | grep -xE 'MCP_OAUTH_[A-Z_]+' | grep -vxF "$filters")
[ -n "$variables" ] || fail "no environment variable found: the search is broken"
documented=$(section 'Environment variables' | sed -n 's/^| `\(MCP_OAUTH_[A-Z_]*\)` |.*/\1/p' | LC_ALL=C sort)
[ "$documented" = "$variables" ] ||
    fail "$docs: Environment variables: $(echo $documented) are described, the code sets $(echo $variables)"

# The status: its metrics are those of the table, and the members of its JSON are named.
status='Handler mcp-oauth-status'
metrics=$(cat "$srcdir"/src/policy/*prometheus.c | tr '\n' ' ' | grep -oE '"[a-z_]+", *"(gauge|counter|histogram)"' | sed 's/^"/mcp_oauth_/; s/".*//' | LC_ALL=C sort -u)
[ -n "$metrics" ] || fail "no metric found: the search is broken"
documented=$(section "$status" | grep -oE '`mcp_oauth_[a-z_]+`' | tr -d '`' | LC_ALL=C sort -u)
[ "$documented" = "$metrics" ] || fail "$docs: $status: $(echo $documented) are described, the code writes $(echo $metrics)"
members=$(cat "$srcdir"/src/policy/*json.c | tr '\n' ' ' | grep -oE 'json_object_set_new\([a-z]+, "[a-z_]+"|names\[\] = \{[^}]*\}' | grep -oE '"[a-z_]+"' | tr -d '"' | LC_ALL=C sort -u)
[ -n "$members" ] || fail "no member of the status found: the search is broken"
for member in $members; do
    section "$status" | grep -qF "\`$member\`" || fail "$docs: $status: the member $member is missing"
done

# --- and the other way round: what documents and configurations name must exist
known=" $(echo "$table" | cut -d'|' -f1 | tr '\n' ' ')"
# Lines of mod_status ("Name: ..."), and what the configurations themselves define.
known="$known$(cat "$srcdir"/src/policy/report*.c | grep -oE '(^|["n])McpOAuth[A-Za-z]+(: |\[)' | grep -oE 'McpOAuth[A-Za-z]+' | LC_ALL=C sort -u | tr '\n' ' ')"
names="$variables
$filters
$(find "$srcdir/conf" -name '*.conf' -o -name '*.load' | xargs sed -n 's/^ *Define \(MCP_OAUTH_[A-Z_]*\) .*/\1/p')"
strange() { # strange FILE...   words that look like a directive or a variable and are none
    grep -ohE '<?McpOAuth[A-Za-z0-9]*' "$@" /dev/null | LC_ALL=C sort -u | while IFS= read -r w; do
        case $known in *" $w "* | *" ${w#<} "*) ;; *) echo "$w" ;; esac
    done
    grep -ohE '(^|[^A-Z_])MCP_OAUTH_[A-Z_]*[A-Z]' "$@" /dev/null | sed 's/^[^M]//' | LC_ALL=C sort -u | while IFS= read -r w; do
        echo "$names" | grep -qxF "$w" || echo "$w"
    done
}
for f in "$srcdir"/*.md "$srcdir"/docs/*.md $(find "$srcdir/conf" -type f) "$srcdir"/src/*/*.c "$srcdir"/src/*/*.h; do
    said=$(strange "$f")
    [ -z "$said" ] || fail "$f: there is no $(echo $said)"
done

# docs/architecture.md speaks of functions, types, macros and files that are there.
words=" $(cat "$srcdir"/mod_mcp_oauth.c "$srcdir"/src/*/*.[ch] | grep -oE '[A-Za-z_][A-Za-z0-9_]*' | LC_ALL=C sort -u | tr '\n' ' ')"
for name in $(grep -oE '`(mcp_[a-z_]+|MCP_[A-Z_]+|[a-z]+_[a-z_]+|src/[a-z/]+(\.[ch])?|[a-z]+\.c)`' "$srcdir/docs/architecture.md" | tr -d '`' | LC_ALL=C sort -u); do
    case $name in
        src/*) [ -e "$srcdir/$name" ] ;;
        *.c) ls "$srcdir"/src/*/"$name" >/dev/null 2>&1 ;;
        *) case $words in *" $name "*) ;; *) false ;; esac ;;
    esac || fail "$srcdir/docs/architecture.md: there is no $name"
done

# Links into the reference must arrive: an anchor is the heading in small letters, blanks as -, the second of a name with -1.
anchors=" $(grep '^##' "$docs" | sed 's/^#* //' | tr -d '<>`:,().' | tr 'A-Z ' 'a-z-' | awk '{ print $0 (seen[$0]++ ? "-" seen[$0] - 1 : "") }' | tr '\n' ' ')"
for a in $(grep -oE '\(#[A-Za-z0-9_-]+' "$docs" | sed 's/.*#//'); do
    case $anchors in *" $a "*) ;; *) fail "$docs: #$a leads nowhere" ;; esac
done
for f in "$srcdir"/*.md "$srcdir"/docs/*.md; do
    for a in $(grep -oE 'directives\.md#[A-Za-z0-9_-]+' "$f" | sed 's/.*#//'); do
        case $anchors in *" $a "*) ;; *) fail "$f: directives.md#$a leads nowhere" ;; esac
    done
done
grep -qF '(docs/directives.md)' "$readme" || fail "$readme: no link to docs/directives.md"

echo "$count directives, $(echo "$others" | wc -l) other sections, $(echo "$variables" | wc -l) variables"
exit $bad
