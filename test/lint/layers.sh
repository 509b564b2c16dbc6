#!/bin/sh
# The rooms of src and what each may include: a dependency goes only to the left.
#     base <- net <- keys <- token <- policy <- httpd <- mod_mcp_oauth.c;  base <- rpc <- policy;  policy <- verify
# verify is a program of its own: nothing includes it.
# Then the proof by the linker: nothing in the pure rooms asks for httpd, and none of them keeps mutable data.
set -u
src=$srcdir/src
bad=0
fail() { echo "$*" >&2; bad=1; }

may_include() { # may_include ROOM   prints the rooms it may include
    case $1 in
        base) echo base ;;
        net) echo base net ;;
        keys) echo base net keys ;;
        token) echo base net keys token ;;
        rpc) echo base rpc ;;
        policy) echo base net keys token rpc policy ;;
        verify) echo base net keys token policy verify ;;
        httpd | top) echo base net keys token rpc policy httpd ;;
    esac
}

# Everything that is named in angles must be known: a header that nobody thought of is an error, not a gap.
known_header() { # known_header ROOM FILE HEADER
    case $3 in
        apr.h | apr_*.h | apu.h | apu_*.h | jansson.h) return 0 ;;
        assert.h | ctype.h | errno.h | limits.h | math.h | stdarg.h | stddef.h | signal.h | stdint.h | stdio.h | stdlib.h | string.h | strings.h | time.h) return 0 ;;
        fcntl.h | poll.h | pthread.h | unistd.h | netinet/in.h | arpa/inet.h | sys/socket.h | sys/stat.h | sys/time.h | sys/types.h) return 0 ;;
        openssl/rand.h) case $1 in base | keys | token | httpd) return 0 ;; esac ;;
        openssl/*.h) case $1 in keys | token | httpd) return 0 ;; esac ;;
        curl/*.h) [ "$2" = "$src/net/curl.c" ] && return 0 ;;
        httpd.h | http_*.h | ap_*.h | util_*.h | mod_*.h | scoreboard.h | unixd.h) case $1 in httpd | top) return 0 ;; esac ;;
    esac
    return 1
}

check_file() { # check_file ROOM FILE
    sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*//p' "$2" | sed 's:[[:space:]]*/\*.*$::' | while IFS= read -r h; do
        case $h in
            '"'*'"')
                h=${h#?}; h=${h%?}
                room=${h%%/*}
                case " $(may_include "$1") " in
                    *" $room "*) [ -f "$src/$h" ] || echo "$2: \"$h\" is no header of src" ;;
                    *) echo "$2: room $1 must not include \"$h\"" ;;
                esac ;;
            '<'*'>')
                h=${h#?}; h=${h%?}
                known_header "$1" "$2" "$h" || echo "$2: room $1 must not include <$h>" ;;
            *) echo "$2: cannot judge: #include $h" ;;
        esac
    done
}

includes=0 files=0
for dir in "$src"/*; do
    room=${dir##*/}
    [ -d "$dir" ] || { fail "$dir: src holds rooms only"; continue; }
    [ -n "$(may_include "$room")" ] && [ "$room" != top ] || { fail "$dir: there is no such room"; continue; }
    for f in "$dir"/*; do
        case $f in
            *.c | *.h) ;;
            *.o | *.lo | *.gcno | *.gcda) continue ;; # built in the source tree
            *) fail "$f: neither .c nor .h"; continue ;;
        esac
        files=$((files + 1))
        said=$(check_file "$room" "$f")
        [ -z "$said" ] || fail "$said"
        includes=$((includes + $(grep -c '^[[:space:]]*#[[:space:]]*include' "$f")))
    done
done
said=$(check_file top "$srcdir/mod_mcp_oauth.c")
[ -z "$said" ] || fail "$said"
for room in base net keys token rpc policy httpd verify; do
    ls "$src/$room"/*.c >/dev/null 2>&1 || fail "$src/$room: no file to look at"
done
[ "$files" -gt 0 ] && [ "$includes" -ge "$files" ] || fail "too few includes found ($includes in $files files): the search is broken"

# --- the linker
lib=.libs/libmcp.a
[ -n "${NM:-}" ] || { echo "nm was not found by configure" >&2; exit 1; }
[ -f "$lib" ] || { echo "$PWD/$lib: not built" >&2; exit 1; }
undefined=$($NM -u "$lib" 2>/dev/null | awk 'NF >= 2 { print $NF }' | sort -u)
defined=$($NM --defined-only "$lib" 2>/dev/null | awk 'NF >= 3 { print $NF }' | sort -u)
# Both lists must look like what they are.
echo "$undefined" | grep -qx apr_palloc || fail "$lib: nothing undefined found: the search is broken"
echo "$defined" | grep -qx mcp_status_info || fail "$lib: nothing defined found: the search is broken"
httpd=$(echo "$undefined" | grep -E '^(ap_|mcp_oauth_module$|unixd_|core_module$)')
[ -z "$httpd" ] || fail "the pure rooms ask httpd for: $(echo $httpd)"
foreign=$(echo "$undefined" | grep '^mcp_' | while IFS= read -r s; do echo "$defined" | grep -qx "$s" || echo "$s"; done)
[ -z "$foreign" ] || fail "the pure rooms ask src/httpd for: $(echo $foreign)"

# Data that can change: objects in .data, .bss or common. Tables of pointers to constants are in .data.rel.ro; what a
# sanitizer or gcov adds has a name that no C program can have.
mutable=$($NM -f sysv "$lib" 2>/dev/null | awk -F'|' '
    NF >= 7 { gsub(/ /, "", $1); gsub(/ /, "", $4); gsub(/ /, "", $7); seen++ }
    NF >= 7 && $4 == "OBJECT" && $7 ~ /^(\.data(\..*)?|\.bss(\..*)?|\.tbss|\.tdata|\*COM\*)$/ && $7 !~ /^\.data\.rel\.ro/ && $1 !~ /^(__|\.L|\*|_?\.)/ { print $1 }
    END { if (!seen) print "nothing-found" }')
[ -z "$mutable" ] || fail "mutable static data in the pure rooms: $(echo $mutable)"

echo "$files files, $includes includes, $(echo "$undefined" | wc -l) undefined symbols"
exit $bad
