#!/bin/sh
# Log messages: each has an id, each id stands for one message, and docs/messages.md explains every one of them.
set -u
bad=0
fail() { echo "$*" >&2; bad=1; }
docs=$srcdir/docs/messages.md
[ -f "$docs" ] || { echo "$docs: not found" >&2; exit 1; }
ls "$srcdir"/src/*/*.c "$srcdir"/src/base/status.h >/dev/null 2>&1 || { echo "$srcdir/src: not found" >&2; exit 1; }

# One line per place: ID|WHAT|FILE. WHAT is the whole text for an id inside a format (two places may say the very same), the function
# and the level for an id that is handed on (the function's format is the text then), the table for a verdict.
places=$(for f in "$srcdir"/mod_mcp_oauth.c "$srcdir"/src/*/*.[ch]; do
    awk -v file="${f#"$srcdir"/}" '
        { text = text $0 " " }
        END {
            while (match(text, /MCP0[0-9][0-9][0-9]/)) {
                id = substr(text, RSTART, RLENGTH)
                before = before substr(text, 1, RSTART - 1)
                after = substr(text, RSTART + RLENGTH)
                if (after ~ /^"/ && before ~ /X\([A-Z_]+,[^()]*"$/) what = "verdict " seen[id]++
                else if (after ~ /^"/) { what = before; sub(/.*[;{}] */, "", what); sub(/.*[^a-z_(]if \(.*\) \{/, "", what); what = "handed on: " what }
                else if (after ~ /^: /) { what = after; sub(/" *[,)].*/, "", what); gsub(/\|/, "/", what); what = "text" what }
                else what = "stray"
                print id "|" what "|" file
                before = before id
                text = after
            }
        }' "$f"
done)
count=$(echo "$places" | grep -c '|')
[ "$count" -ge 40 ] || fail "only $count ids found: the search is broken"
[ "$count" = "$(cat "$srcdir"/mod_mcp_oauth.c "$srcdir"/src/*/*.[ch] | grep -oE 'MCP0[0-9]{3}' | wc -l)" ] || fail "not every id was read"
said=$(echo "$places" | awk -F'|' '$2 == "stray" { print $1 " in " $3 }')
[ -z "$said" ] || fail "an id that begins no message: $said"
said=$(echo "$places" | awk -F'|' '
    { key = $2 ~ /^text/ ? $2 : $2 "|" $3; if ($1 in what && what[$1] != key) print $1; what[$1] = key }' | LC_ALL=C sort -u)
[ -z "$said" ] || fail "one id for different messages: $(echo $said)
$(echo "$places" | grep -E "^($(echo $said | tr ' ' '|'))\|")"

# Every line that is logged begins with an id: in its format, or as "%s: " for the id of a verdict.
said=$(for f in "$srcdir"/src/httpd/*.c; do
    awk -v file="${f#"$srcdir"/}" '
        { text = text $0 " " }
        END {
            while (match(text, /ap_log_[a-z]*error[_a-z]*\(/)) {
                text = substr(text, RSTART + RLENGTH)
                call = text; sub(/;.*/, "", call)
                format = call; sub(/^[^"]*"/, "", format)
                if (call !~ /APLOG_TRACE/ && format !~ /^(MCP0[0-9][0-9][0-9]|%s): /) print file ": " substr(call, 1, 100)
            }
        }' "$f"
done)
[ -z "$said" ] || fail "logged without an id: $said"

# --- the table of the documents: | MCP0101 | credentials-missing | info | … | … |
rows=$(grep -E '^\| *MCP0' "$docs")
ids=$(echo "$places" | cut -d'|' -f1 | LC_ALL=C sort -u)
documented=$(echo "$rows" | awk -F'|' '{ gsub(/ /, "", $2); print $2 }' | LC_ALL=C sort)
[ -n "$documented" ] || fail "$docs: no row found"
dup=$(echo "$documented" | uniq -d)
[ -z "$dup" ] || fail "$docs: twice: $(echo $dup)"
for id in $ids; do
    echo "$documented" | grep -qx "$id" || fail "$docs: $id is missing"
done
for id in $documented; do
    echo "$ids" | grep -qx "$id" || fail "$docs: $id is logged nowhere"
done
said=$(echo "$rows" | awk -F'|' '{ for (i = 2; i <= 6; i++) { v = $i; gsub(/ /, "", v); if (v == "") { print $2; next } } if (NF != 7) print $2 }')
[ -z "$said" ] || fail "$docs: a row needs five cells, none of them empty: $(echo $said)"

# Slug and level of verdicts.
grep -oE '"[a-z-]+", +[0-9]{3}, .*"MCP0[0-9]{3}"' "$srcdir/src/base/status.h" |
    sed -E 's/^"([a-z-]+)", +[0-9]+, .*, ([A-Z]+), "(MCP0[0-9]+)"$/\3 \1 \2/' | { n=0; while read -r id slug level; do
    n=$((n + 1))
    row=$(echo "$rows" | grep "^| *$id " | tr -d ' `')
    level=$(echo "$level" | tr A-Z a-z)
    case $row in
        "|$id|$slug|$level|"*) ;;
        *) fail "$docs: $id is \"$slug\" at level $level, but the row says ${row:-nothing}" ;;
    esac
done; [ $n -ge 40 ] || fail "only $n verdicts read from status.h: the search is broken"; exit $bad; } || bad=1

# Tests and documents speak of ids that exist.
for id in $(grep -rhoE 'MCP0[0-9]{3}' "$srcdir/test" "$srcdir/docs" "$srcdir/README.md" --include='*.t' --include='*.sh' --include='*.c' --include='*.md' --exclude-dir='run-*' --exclude-dir=node_modules | LC_ALL=C sort -u); do
    echo "$ids" | grep -qx "$id" || fail "$id is named in test, docs or README, but logged nowhere"
done

echo "$(echo "$ids" | wc -l) ids in $count places"
exit $bad
