# What keycloak.sh and provider.sh share. To be sourced after common.sh.

# run_checks LEAST ARGUMENT...   runs $work/check.mjs and takes over its lines. One that dies, or says less, has failed.
run_checks() {
    local least=$1 line lines=0 bad=$failed status
    shift
    timeout 200 "$NODE" "$work/check.mjs" "$@" >"$dir/check.out" 2>"$dir/check.err" </dev/null &
    children+=($!)
    { wait $!; } 2>/dev/null # bash would tell of other children that were killed
    status=$?
    while IFS= read -r line; do
        case $line in
            'ok   '*) verdict ok "${line:5}" ;;
            'FAIL '*) verdict FAIL "${line:5}" ;;
            *) continue ;;
        esac
        lines=$((lines + 1))
    done <"$dir/check.out"
    if [ "$lines" -lt "$least" ] || { [ $status != 0 ] && [ "$bad" = "$failed" ]; }; then
        verdict FAIL "check.mjs ended with status $status after $lines checks: $(tail -c 500 "$dir/check.err" | tr '\n' ' ')"
    fi
}

# clean_logs SECRETS   httpd wrote down neither a token nor what the pattern SECRETS describes, and nothing crashed
clean_logs() {
    local secret="$1|eyJ[A-Za-z0-9_-]{20}" logs=("$dir/error.log" "$dir/access.log" "$dir/httpd.out")
    if ! grep -q . "$dir/error.log" || ! grep -q . "$dir/access.log"; then verdict FAIL "logs: there is nothing in them"
    elif grep -qE "$secret" "${logs[@]}"; then verdict FAIL "logs: a secret or a token: $(grep -nE "$secret" "${logs[@]}" | head -2 | cut -c1-200)"
    else verdict ok "logs: neither a secret nor a token"; fi
    if grep -qE 'exit signal|AH00052|Sanitizer|stack smashing' "$dir/error.log" "$dir/httpd.out"; then verdict FAIL "error log: a child of httpd crashed"
    else verdict ok "error log: no child of httpd crashed"; fi
}
