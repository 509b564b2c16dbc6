#!/bin/sh
# Golden tests of the configuration (threats R23): whatever would not protect stops the start, and the message names the
# file, the line, the directive, what is wrong and what to write instead. Each case runs "httpd -t" on a file of its own.
set -u
[ -f "$MODULE_SO" ] || { echo "not built: $MODULE_SO"; exit 99; }
case $MODULE_SO in /*) ;; *) MODULE_SO=$PWD/$MODULE_SO ;; esac
tmp=$PWD/test/run-config
rm -rf "$tmp"
mkdir -p "$tmp/htdocs" || exit 99
ok=0 not_ok=0

# Key files and certificates; a good set is made here, the bad ones need no key.
[ -x "${MCP_MINT:-}" ] || { echo "not built: ${MCP_MINT:-MCP_MINT}"; exit 99; }
"$MCP_MINT" keygen p256 "$tmp/key.pem" && "$MCP_MINT" jwks "$("$MCP_MINT" jwk "$tmp/key.pem" --kid a)" >"$tmp/jwks.json" || exit 99
"$MCP_MINT" cert "$tmp/key.pem" --host localhost >"$tmp/ca.pem" || exit 99
# No output may ever show what stands in each of these.
secret=Untold
file() { # file NAME [MODE]   of standard input
    cat >"$tmp/$1" && chmod "${2:-600}" "$tmp/$1" || exit 99
}
bytes() { printf %s $secret; head -c $(($1 - ${#secret})) /dev/zero | tr '\0' k; }
bytes 40 | file session
bytes 40 | file session-of-all 644
{ bytes 31; echo; } | file short
bytes 4097 | file long
bytes 20 | file client-secret
MCP_SESSION_SECRET=$(bytes 32) MCP_CLIENT_SECRET=$(bytes 1024) MCP_EMPTY= MCP_LONG=$(bytes 4097) MCP_LINE_ENDS=$(printf '\r\n\n.')
MCP_LINE_ENDS=${MCP_LINE_ENDS%.} # a substitution drops line ends
export MCP_SESSION_SECRET MCP_CLIENT_SECRET MCP_EMPTY MCP_LONG MCP_LINE_ENDS
: >"$tmp/empty.json"
echo '{"keys":' >"$tmp/garbage.json"
echo '{"keys":[]}' >"$tmp/nokeys.json"
echo '{"keys":[{"kty":"oct","kid":"a","alg":"HS256","k":"c2VjcmV0"}]}' >"$tmp/secret.json"
: >"$tmp/empty.pem"
static=$("$HTTPD" -l)
module() { # module NAME...   LoadModule lines of those that are not built in
    for m; do
        case $static in *mod_$m.c* | *" ${m#mpm_}.c"*) continue ;; esac
        echo "LoadModule ${m}_module $HTTPD_LIBEXECDIR/mod_$m.so"
    done
}
# Kept apart from the file under test, so that its line numbers are its own.
cat >"$tmp/base.conf" <<END
ServerRoot "$tmp"
DefaultRuntimeDir "$tmp"
PidFile "$tmp/httpd.pid"
ErrorLog "$tmp/error_log"
Listen 127.0.0.1:1
DocumentRoot "$tmp/htdocs"
$(module mpm_event unixd authn_core authz_core alias proxy watchdog)
LoadModule mcp_oauth_module "$MODULE_SO"
ServerName \${SERVER_NAME}
Include "$tmp/case.conf"
END

report() { # report GOOD NAME   with the file and what httpd said when it is bad
    if [ "$1" = 1 ]; then
        ok=$((ok + 1))
        printf 'ok %d - %s\n' $((ok + not_ok)) "$2"
    else
        not_ok=$((not_ok + 1))
        printf 'not ok %d - %s\n' $((ok + not_ok)) "$2"
        sed 's/^/#     /' "$tmp/case.conf"
        echo "# status $status, $why"
        printf '%s\n' "$out" | sed 's/^/# /'
    fi
}

# The case on standard input; the line to blame begins with @, which is taken away. ServerName comes from $server_name, further
# options of httpd from $options.
limit=$(command -v timeout >/dev/null && echo timeout -k 5 60)
run() {
    sed "s:%TMP%:$tmp:g" >"$tmp/case.in"
    line=$(grep -n '^[[:space:]]*@' "$tmp/case.in" | cut -d: -f1 | head -1)
    directive=$(sed -n 's/^[[:space:]]*@<\{0,1\}\([A-Za-z]*\).*/\1/p' "$tmp/case.in" | head -1)
    sed 's/^\([[:space:]]*\)@/\1/' "$tmp/case.in" >"$tmp/case.conf"
    status=0
    out=$(SERVER_NAME=${server_name:-https://mcp.example.com:443} $limit "$HTTPD" -t ${options:-} -f "$tmp/base.conf" 2>&1) || status=$?
    why=
    case $out in *"$secret"*) why=" a secret is shown;" ;; esac
}

# bad NAME TEXT... <case   exit status 1, the place, the directive, and each TEXT
bad() {
    name=$1; shift
    run
    [ -n "$line" ] || { echo "not ok - $name: no line to blame in the case"; exit 1; }
    [ "$status" = 1 ] || why="$why status is not 1;"
    case $out in
        *" line $line of $tmp/case.conf:"* | *": $tmp/case.conf:$line: "*) ;;
        *) why="$why file and line $line are not named;" ;;
    esac
    case $out in *"$directive"*) ;; *) why="$why $directive is not named;" ;; esac
    for text; do
        case $out in *"$text"*) ;; *) why="$why \"$text\" is not said;" ;; esac
    done
    case $out in *'\xe2'*) why="$why bytes that the log cannot show;" ;; esac
    report "$([ -z "$why" ] && echo 1)" "$name"
}

# good NAME [TEXT...] <case   accepted; without TEXT also without a remark
good() {
    name=$1; shift
    run
    [ "$status" = 0 ] || why="$why status is not 0;"
    case $out in *'Syntax OK'*) ;; *) why="$why it does not say Syntax OK;" ;; esac
    if [ $# = 0 ]; then
        case $out in *MCP0*) why="$why there is a remark;" ;; esac
    fi
    for text; do
        case $out in *"$text"*) ;; *) why="$why \"$text\" is not said;" ;; esac
    done
    report "$([ -z "$why" ] && echo 1)" "$name"
}

# Tables: one case per line, "DIRECTIVE ARGUMENTS => TEXT" or, for good ones, "DIRECTIVE ARGUMENTS".
ISSUER=https://sso.example.com/realms/mcp
in_location() { printf '<Location "/mcp">\n    McpOAuth On\n    McpOAuthIssuer %s\n    %s\n</Location>\n' $ISSUER "$1"; }
in_section() { printf '<McpOAuthIssuer "%s">\n    %s\n</McpOAuthIssuer>\n<Location "/mcp">\n    McpOAuth On\n    McpOAuthIssuer %s\n</Location>\n' $ISSUER "$1" $ISSUER; }
asking='McpOAuthClientId gateway
    McpOAuthClientSecret file:client-secret'
in_asking() { in_section "$asking
    $1"; }
in_asked() { in_asking "McpOAuthIntrospection auto
    $1"; }
in_server() { printf '%s\n<Location "/mcp">\n    McpOAuth On\n    McpOAuthIssuer %s\n</Location>\n' "$1" $ISSUER; }
tested=" "
all_bad() { # all_bad WHERE <table
    while IFS= read -r row; do
        [ -n "$row" ] || continue
        case $row in *' => '*) ;; *) echo "not ok - no text in: $row"; exit 1 ;; esac
        "in_$1" "@${row% => *}" >"$tmp/row"
        bad "$1: ${row% => *}" "${row#* => }" <"$tmp/row"
        tested="$tested${row%% *} "
    done
}
all_good() {
    while IFS= read -r row; do
        [ -n "$row" ] || continue
        "in_$1" "$row" >"$tmp/row"
        good "$1: $row" <"$tmp/row"
    done
}

# --- the smallest useful configuration, and its parts ---------------------------------------------------------------
good 'two directives are enough' <<END
<Location "/mcp">
    McpOAuth        On
    McpOAuthIssuer  https://sso.example.com/realms/mcp
    ProxyPass       http://127.0.0.1:3001/mcp flushpackets=on
</Location>
END
good 'the module without a directive of its own' <<END
# nothing
END
good 'an issuer described and used by nobody' <<END
<McpOAuthIssuer "https://sso.example.com">
    McpOAuthClockSkew 5s
</McpOAuthIssuer>
END
bad 'no issuer' 'no issuer is trusted here; write McpOAuthIssuer' <<END
<Location "/mcp">
    @McpOAuth On
</Location>
END
bad 'no issuer inside either' 'no issuer is trusted here; write McpOAuthIssuer' <<END
<Location "/mcp">
    @McpOAuth On
    McpOAuthRequireScope a
</Location>
<Location "/mcp/inner">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
</Location>
END
bad 'a pattern without an issuer' 'no issuer is trusted here' <<END
<LocationMatch "^/mcp[0-9]">
    @McpOAuth On
    McpOAuthResource https://mcp.example.com/mcp
</LocationMatch>
END
bad 'issuers in one virtual host help no other' 'no issuer is trusted here' <<END
<VirtualHost 127.0.0.1:1>
    ServerName https://one.example.com:443
    McpOAuthIssuer https://sso.example.com
</VirtualHost>
<VirtualHost 127.0.0.1:2>
    ServerName https://two.example.com:443
    <Location "/mcp">
        @McpOAuth On
    </Location>
</VirtualHost>
END
good 'a location that is set up and switched off needs no issuer' 'MCP0952' <<END
<Location "/mcp">
    McpOAuthRequireScope a
</Location>
END
good 'McpOAuth Off needs nothing' <<END
<Location "/mcp">
    McpOAuth Off
</Location>
END

# --- all contradictions at once ------------------------------------------------------------------------------------
bad 'every location that would not protect is named in one go' '/case.conf:5: McpOAuth: no issuer' <<END
<Location "/one">
    @McpOAuth On
</Location>
<Location "/two">
    McpOAuth On
</Location>
END

# --- location directives: bad values (R23; McpOAuthResource: PRM-13) ------------------------------------------
all_bad location <<'END'
McpOAuth maybe => McpOAuth must be On or Off
McpOAuth => McpOAuth must be On or Off
McpOAuthIssuer => McpOAuthIssuer needs the issuer of the tokens, such as https://
McpOAuthIssuer "" => McpOAuthIssuer needs 
McpOAuthIssuer "" x => McpOAuthIssuer has an empty argument
McpOAuthResource => McpOAuthResource takes one argument
McpOAuthResource /mcp => is not an absolute URL; write the URL that clients call
McpOAuthResource mcp.example.com/mcp => is not an absolute URL
McpOAuthResource ftp://mcp.example.com/mcp => is not an absolute URL
McpOAuthResource https:///mcp => is not an absolute URL
McpOAuthResource https://user@mcp.example.com/mcp => is not an absolute URL
McpOAuthResource "https://mcp.example.com/a b" => is not an absolute URL
McpOAuthResource https://mcp.example.com:0/mcp => is not an absolute URL
McpOAuthResource https://mcp.example.com:65536/mcp => is not an absolute URL
McpOAuthResource https://mcp.example.com/mcp#part => must have no fragment
McpOAuthResource https://mcp.example.com/mcp# => must have no fragment
McpOAuthResource https://mcp.example.com/mcp?x=1 => must have no query
McpOAuthResource https://mcp.example.com/mcp? => must have no query
McpOAuthResource http://mcp.example.com/mcp => must be https; plain http is for loopback hosts only
McpOAuthResource http://127.0.0.1.example.com/mcp => must be https
McpOAuthResource https://one.example.com https://two.example.com => McpOAuthResource takes one argument
McpOAuthAudience => McpOAuthAudience needs the aud value
McpOAuthAudience "" => McpOAuthAudience needs 
McpOAuthAudience "" x => McpOAuthAudience has an empty argument
McpOAuthAudience api://one "" api://two => McpOAuthAudience has an empty argument
McpOAuthAudienceMatch => McpOAuthAudienceMatch takes one argument
McpOAuthAudienceMatch prefix => write exact or hierarchical
McpOAuthAuthorizedParty => McpOAuthAuthorizedParty needs at least one value
McpOAuthAuthorizedParty "" => McpOAuthAuthorizedParty needs 
McpOAuthAuthorizedParty "" x => McpOAuthAuthorizedParty has an empty argument
McpOAuthRequireScope => McpOAuthRequireScope needs at least one scope
McpOAuthRequireScope "" => McpOAuthRequireScope needs 
McpOAuthRequireScope "" x => McpOAuthRequireScope has an empty argument
McpOAuthRequireScope "mcp:read mcp:write" => is not a scope: no spaces
McpOAuthRequireScope a"b => is not a scope
McpOAuthRequireScope a\b => is not a scope
McpOAuthRequireScope größe => is not a scope
McpOAuthRequireClaim => McpOAuthRequireClaim needs a claim path and at least one value
McpOAuthRequireClaim realm_access.roles => McpOAuthRequireClaim needs a claim path and at least one value
McpOAuthRequireClaim .roles admin => is not a claim path; write names with dots between
McpOAuthRequireClaim roles. admin => is not a claim path
McpOAuthRequireClaim a..b admin => is not a claim path
McpOAuthRequireClaim 'a\q' admin => is not a claim path
McpOAuthRequireClaim "" admin => McpOAuthRequireClaim has an empty argument
McpOAuthRequireClaim roles "" => McpOAuthRequireClaim needs a claim path and at least one value
McpOAuthRequireClaim roles "" x => McpOAuthRequireClaim has an empty argument
McpOAuthScopesSupported => McpOAuthScopesSupported needs at least one scope
McpOAuthScopesSupported "a b" => is not a scope
McpOAuthChallengeScope => McpOAuthChallengeScope needs at least one scope
McpOAuthChallengeScope "a b" => is not a scope
McpOAuthMetadata => McpOAuthMetadata takes two arguments
McpOAuthMetadata resource_name => McpOAuthMetadata takes two arguments
McpOAuthMetadata "" x => McpOAuthMetadata takes two arguments
McpOAuthMetadata resource https://other.example.com => is written by another directive
McpOAuthMetadata authorization_servers "[]" => is written by another directive
McpOAuthMetadata scopes_supported "[]" => is written by another directive
McpOAuthMetadata bearer_methods_supported "[]" => is written by another directive
McpOAuthMetadata dpop_signing_alg_values_supported "[]" => is written by another directive
McpOAuthMetadata dpop_bound_access_tokens_required false => is written by another directive
McpOAuthMetadataPath => McpOAuthMetadataPath takes one argument
McpOAuthMetadataPath / => is not a plain absolute path; write one such as /.well-known/
McpOAuthMetadataPath well-known => is not a plain absolute path
McpOAuthMetadataPath /well-known/ => is not a plain absolute path
McpOAuthMetadataPath /a/../b => is not a plain absolute path
McpOAuthMetadataPath /a//b => is not a plain absolute path
McpOAuthMetadataPath /a?b => is not a plain absolute path
McpOAuthMetadataPath /a%62 => is not a plain absolute path
McpOAuthMetadataPath https://mcp.example.com/x => is not a plain absolute path
McpOAuthTokenHeader => McpOAuthTokenHeader takes one argument
McpOAuthTokenHeader "" => McpOAuthTokenHeader takes one argument
McpOAuthTokenHeader "X Token" => is not the name of a header field; write one such as
McpOAuthTokenHeader X-Token: => is not the name of a header field
McpOAuthTokenHeader Connection => has a meaning of its own; write another name
McpOAuthTokenHeader content-length => has a meaning of its own
McpOAuthTokenHeader Mcp-Session-Id => has a meaning of its own
McpOAuthForwardToken maybe => McpOAuthForwardToken must be On or Off
McpOAuthForwardClaim => McpOAuthForwardClaim takes two arguments
McpOAuthForwardClaim sub => McpOAuthForwardClaim takes two arguments
McpOAuthForwardClaim a..b X-User => is not a claim path
McpOAuthForwardClaim sub "X User" => is not the name of a header field
McpOAuthForwardClaim sub Host => has a meaning of its own
McpOAuthForwardClaim sub Transfer-Encoding => has a meaning of its own
McpOAuthForwardClaim sub mcp-name => has a meaning of its own
McpOAuthRemoteUser => McpOAuthRemoteUser takes one argument
McpOAuthRemoteUser "" => McpOAuthRemoteUser takes one argument
McpOAuthRemoteUser . => is not a claim path
McpOAuthRemoteUser a. => is not a claim path
McpOAuthOrigin => McpOAuthOrigin needs origins such as https://app.example.com, or *
McpOAuthOrigin app.example.com => is not an origin; write scheme://host
McpOAuthOrigin https://app.example.com/ => is not an origin
McpOAuthOrigin https://app.example.com/page => is not an origin
McpOAuthOrigin null => is not an origin
McpOAuthOrigin https://*.example.com => is not an origin
McpOAuthOrigin "" => McpOAuthOrigin needs 
McpOAuthOrigin "" x => McpOAuthOrigin has an empty argument
McpOAuthInspect maybe => McpOAuthInspect must be On or Off
McpOAuthBatch perhaps => McpOAuthBatch must be On or Off
McpOAuthFilterLists Shadow => McpOAuthFilterLists must be On or Off
McpOAuthStreamExpiry 5s => McpOAuthStreamExpiry must be On or Off
McpOAuthSessionBinding => McpOAuthSessionBinding must be On or Off
McpOAuthDPoP => McpOAuthDPoP takes one argument
McpOAuthDPoP "" => McpOAuthDPoP takes one argument
McpOAuthDPoP On => McpOAuthDPoP 'On' is unknown; write Off, Optional or Required
McpOAuthDPoP require => is unknown; write Off, Optional or Required
McpOAuthDPoP Optional Required => McpOAuthDPoP takes one argument
McpOAuthDPoPNonce => McpOAuthDPoPNonce must be On or Off
McpOAuthDPoPNonce Required => McpOAuthDPoPNonce must be On or Off
McpOAuthRequireACR => McpOAuthRequireACR needs at least one acr value, such as urn:example:silver
McpOAuthRequireACR "" => McpOAuthRequireACR needs 
McpOAuthRequireACR "" x => McpOAuthRequireACR has an empty argument
McpOAuthRequireACR "gold silver" => McpOAuthRequireACR 'gold silver' is not an acr value: no spaces, quotes, backslashes or bytes beyond ASCII; write one argument per value
McpOAuthRequireACR gold sil"ver => is not an acr value
McpOAuthRequireACR gold\silver => is not an acr value
McpOAuthRequireACR größe => is not an acr value
McpOAuthMaxAuthAge => McpOAuthMaxAuthAge takes one argument
McpOAuthMaxAuthAge "" => McpOAuthMaxAuthAge takes one argument
McpOAuthMaxAuthAge 5 min => McpOAuthMaxAuthAge takes one argument
McpOAuthMaxAuthAge never => McpOAuthMaxAuthAge 'never' is not a duration; write 500ms, 10s, 5min or 1h
McpOAuthMaxAuthAge -1s => is not a duration
McpOAuthMaxAuthAge 1d => is not a duration
McpOAuthMaxAuthAge 0 => is out of range; write 1000ms to 31536000s
McpOAuthMaxAuthAge 999ms => is out of range
McpOAuthMaxAuthAge 31536001s => is out of range
McpOAuthMaxAuthAge 8761h => is out of range
McpOAuthMaxBody => McpOAuthMaxBody takes one argument
McpOAuthMaxBody 0 => is not a size from 1 to 2047M; write bytes, or 512K, or 1M
McpOAuthMaxBody -1 => is not a size
McpOAuthMaxBody 1G => is not a size
McpOAuthMaxBody 1MB => is not a size
McpOAuthMaxBody 2048M => is not a size
McpOAuthMaxBody 99999999999999999999 => is not a size
McpOAuthMaxBody lots => is not a size
McpOAuthMaxDepth => McpOAuthMaxDepth takes one argument
McpOAuthMaxDepth 0 => is not a number from 1 to 1024; write one such as 64
McpOAuthMaxDepth -1 => is not a number
McpOAuthMaxDepth 1025 => is not a number
McpOAuthMaxDepth 64x => is not a number
McpOAuthMaxDepth 99999999999999999999 => is not a number
McpOAuthACL => McpOAuthACL takes one argument
McpOAuthACL maybe => write On, Off or Shadow
McpOAuthScopeClaim => McpOAuthScopeClaim needs a claim path such as scope
McpOAuthScopeClaim a..b => is not a claim path
McpOAuthScopeClaim "" => McpOAuthScopeClaim needs 
McpOAuthScopeClaim "" x => McpOAuthScopeClaim has an empty argument
McpOAuthACLClaim => McpOAuthACLClaim needs a claim path
McpOAuthACLClaim .a => is not a claim path
McpOAuthAllow => McpOAuthAllow needs the values that are needed, or *, and at least one operation
McpOAuthAllow mcp:tools => McpOAuthAllow needs the values that are needed, or *, and at least one operation
McpOAuthAllow "" tools/list => McpOAuthAllow has an empty argument
McpOAuthAllow "  " tools/list => McpOAuthAllow names no value
McpOAuthAllow * "" => McpOAuthAllow needs the values
McpOAuthAllow * "" tools/list => McpOAuthAllow has an empty argument
McpOAuthAllow * @everything => is no group; write one of @session @list @tools
McpOAuthAllow * @ => is no group; write one of
McpOAuthAllow * @Session => is no group; write one of
McpOAuthAllow * HEAD => write GET, which covers HEAD
McpOAuthAllow * POST => "POST" is no operation
McpOAuthAllow * OPTIONS => "OPTIONS" is no operation
McpOAuthAllow * tool: => has nothing after ':'
McpOAuthAllow * tools/call: => has nothing after ':'; write "tools/call:*" for every object
McpOAuthAllow * :add => has nothing before ':'
McpOAuthAllow * tools:add => write "tool:add"
McpOAuthAllow * Tool:add => write "tool:add"
McpOAuthAllow * task:1 => write "tasks/*:1"
McpOAuthAllow * file:///docs => write "resource:file:///docs"
McpOAuthAllow * tool:a\b => a backslash stands before
McpOAuthImplies => McpOAuthImplies needs a value and at least one that it implies
McpOAuthImplies files:admin => McpOAuthImplies needs a value and at least one that it implies
McpOAuthImplies "a b" c => is not one value; write one value per argument
McpOAuthImplies a "b c" => is not one value
McpOAuthImplies a * => is not one value
McpOAuthImplies a "" => McpOAuthImplies needs a value
McpOAuthImplies a "" b => McpOAuthImplies has an empty argument
McpOAuthRateLimit => McpOAuthRateLimit needs N/DURATION, and operations if it is not for all
McpOAuthRateLimit "" tools/list => McpOAuthRateLimit has an empty argument
McpOAuthRateLimit tools/call => McpOAuthRateLimit 'tools/call' is not N/DURATION with N from 1 to 1000000; write one such as 60/1min
McpOAuthRateLimit 60 => is not N/DURATION
McpOAuthRateLimit /1min => is not N/DURATION
McpOAuthRateLimit 0/1min => is not N/DURATION
McpOAuthRateLimit -1/1min => is not N/DURATION
McpOAuthRateLimit +1/1min => is not N/DURATION
McpOAuthRateLimit 1.5/1min => is not N/DURATION
McpOAuthRateLimit 1000001/1min => is not N/DURATION
McpOAuthRateLimit 99999999999999999999/1min => is not N/DURATION
McpOAuthRateLimit 60/ => McpOAuthRateLimit '' is not a duration
McpOAuthRateLimit 60/minute => is not a duration
McpOAuthRateLimit 60/999ms => is out of range; write 1000ms to 2678400s
McpOAuthRateLimit 60/0 => is out of range
McpOAuthRateLimit 60/2678401s => is out of range
McpOAuthRateLimit 60/1min @everything => is no group; write one of @session @list @tools
McpOAuthRateLimit 60/1min tool: => has nothing after ':'
END
printf '<Location "/mcp">\n    @McpOAuthRequireScope "a\tb"\n</Location>\n' >"$tmp/row"
bad 'a control character in a scope' 'control characters' <"$tmp/row"
printf '<Location "/mcp">\n    @McpOAuthAudience "a\tb"\n</Location>\n' >"$tmp/row"
bad 'a control character in an audience' 'control characters' <"$tmp/row"
printf '<Location "/mcp">\n    @McpOAuthRequireACR "a\tb"\n</Location>\n' >"$tmp/row"
bad 'a control character in an acr value' 'control characters' <"$tmp/row"

# --- location directives: good values ------------------------------------------------------------------------------
all_good location <<'END'
McpOAuth on
McpOAuthIssuer https://two.example.com
McpOAuthIssuer http://127.0.0.1:8080/realms/mcp http://localhost/x http://[::1]:9000
McpOAuthResource https://mcp.example.com
McpOAuthResource https://mcp.example.com/
McpOAuthResource https://mcp.example.com:8443/a/b
McpOAuthResource http://localhost:8000/mcp
McpOAuthResource http://127.0.0.2/mcp
McpOAuthResource http://[::1]:8000/mcp
McpOAuthAudience api://one urn:two 3
McpOAuthAudienceMatch Hierarchical
McpOAuthAudienceMatch exact
McpOAuthAuthorizedParty agent https://client.example.com/client.json
McpOAuthRequireScope mcp:read mcp:write
McpOAuthRequireClaim realm_access.roles admin "two words"
McpOAuthRequireClaim 'https://ns\.example\.com/x.level' high
McpOAuthScopesSupported mcp:read
McpOAuthChallengeScope mcp:read
McpOAuthMetadata resource_name "Example server"
McpOAuthMetadata resource_name#de Beispiel
McpOAuthMetadata tls_client_certificate_bound_access_tokens false
McpOAuthMetadata x '{"a":[1,2]}'
McpOAuthMetadata x '{"a":'
McpOAuthMetadataPath /oauth-metadata
McpOAuthTokenHeader X-Access-Token
McpOAuthForwardToken On
McpOAuthForwardClaim realm_access.roles X-Mcp-Roles
McpOAuthRemoteUser preferred_username
McpOAuthOrigin *
McpOAuthOrigin https://app.example.com http://localhost:6274 vscode-webview://panel
McpOAuthInspect Off
McpOAuthMaxBody 1
McpOAuthMaxBody 512k
McpOAuthMaxBody 2047M
McpOAuthMaxDepth 1
McpOAuthMaxDepth 1024
McpOAuthBatch on
McpOAuthStreamExpiry on
McpOAuthSessionBinding on
McpOAuthDPoP off
McpOAuthDPoP Optional
McpOAuthDPoP REQUIRED
McpOAuthDPoPNonce on
McpOAuthRequireACR urn:example:gold https://login.example.com/acr?level=2#x 0
McpOAuthMaxAuthAge 1
McpOAuthMaxAuthAge 1000ms
McpOAuthMaxAuthAge 5min
McpOAuthMaxAuthAge 8760h
McpOAuthACL on
McpOAuthACL off
McpOAuthACL shadow
McpOAuthScopeClaim scp permissions.list
McpOAuthACLClaim realm_access.roles
McpOAuthAllow * *
McpOAuthAllow "mcp:tools mcp:admin" tools/list tools/call:add tool:a* resource:file:///docs/* prompt:x resources/read:ui://*
McpOAuthAllow * @session @list @tools @resources @prompts @tasks @completion
McpOAuthAllow * GET DELETE response notifications/* tool:\* tool:a\\\\b tasks/*:1
McpOAuthImplies files:admin files:write files:read
McpOAuthRateLimit 1/1s
McpOAuthRateLimit 1000000/31min * @tools tool:add "resources/read:file:///docs/*" GET response
END
good 'a method that no revision knows is a remark' 'MCP0951' "$tmp/case.conf:4: McpOAuthAllow" 'no MCP revision knows the method "tools/cal"' <<END
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
    McpOAuthAllow * tools/cal
</Location>
END
good 'an object of a method that has none is a remark' 'MCP0951' 'names no object, so this allows nothing' <<END
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
    McpOAuthAllow * tools/list:add
</Location>
END

words=$(i=1; while [ $i -le 65 ]; do printf ' w%d' $i; i=$((i + 1)); done)
printf '<Location "/mcp">\n    @McpOAuthRequireScope%s\n</Location>\n' "$words" >"$tmp/row"
bad 'more arguments than httpd reads of one line: none may be lost' 'McpOAuthRequireScope' <"$tmp/row"
printf '<Location "/mcp">\n    @McpOAuthRequireACR%s\n</Location>\n' "$words" >"$tmp/row"
bad 'more acr values than httpd reads of one line' 'McpOAuthRequireACR' <"$tmp/row"

# Secrets that are none, or too much.
: | file empty
printf '\r\n\n' | file lines
{ bytes 4096; printf '\n%s' rest; } | file behind
printf '%s\0k' $secret | file nul
printf '\0%s' $secret | file nul-first
printf '%s\0' $secret | file nul-last
printf '%s\0\r\n' $secret | file nul-line
# Good ones with odd ends.
{ bytes 20; echo; } | file lf
{ bytes 20; printf '\r\n'; } | file crlf
{ bytes 4096; printf '\r'; } | file most
printf '%s k' $secret | file blank

# --- issuer directives ---------------------------------------------------------------------------------------------
all_bad section <<'END'
McpOAuthAuthorizationServer => McpOAuthAuthorizationServer takes one argument
McpOAuthAuthorizationServer sso.example.com => is not an absolute http or https URL; write one such as https://
McpOAuthAuthorizationServer https://sso.example.com/#x => is not an absolute http or https URL
McpOAuthAuthorizationServer ldap://sso.example.com => is not an absolute http or https URL
McpOAuthJwks => McpOAuthJwks takes one argument
McpOAuthJwks "" => McpOAuthJwks takes one argument
McpOAuthJwks "a b" => is empty or has blanks
McpOAuthJwks file:jwks.json => is no key set; write an https URL, a path relative to the authorization server, file:/path, or none
McpOAuthJwks ftp://sso.example.com/jwks => is no key set
McpOAuthAudience => McpOAuthAudience needs the aud value
McpOAuthAudience "" => McpOAuthAudience needs 
McpOAuthAudience "" x => McpOAuthAudience has an empty argument
McpOAuthAlgorithms => McpOAuthAlgorithms needs at least one algorithm
McpOAuthAlgorithms none => "none" and the HS family never verify a token here
McpOAuthAlgorithms RS256 none => 'none' is not accepted; write some of RS256
McpOAuthAlgorithms HS256 => 'HS256' is not accepted; write some of RS256
McpOAuthAlgorithms HS512 => 'HS512' is not accepted
McpOAuthAlgorithms rs256 => 'rs256' is not accepted
McpOAuthAlgorithms RS2566 => 'RS2566' is not accepted
McpOAuthAlgorithms RSA-OAEP => 'RSA-OAEP' is not accepted
McpOAuthAlgorithms "" => McpOAuthAlgorithms needs 
McpOAuthAlgorithms "" x => McpOAuthAlgorithms has an empty argument
McpOAuthTokenType => McpOAuthTokenType needs at least one of at+jwt, JWT, none
McpOAuthTokenType id_token => is no kind of access token; write some of at+jwt, JWT, none
McpOAuthTokenType dpop+jwt => is no kind of access token
McpOAuthTokenType "" => McpOAuthTokenType needs 
McpOAuthTokenType "" x => McpOAuthTokenType has an empty argument
McpOAuthClockSkew => McpOAuthClockSkew takes one argument
McpOAuthClockSkew soon => is not a duration; write 500ms, 10s, 5min or 1h
McpOAuthClockSkew -1s => is not a duration
McpOAuthClockSkew 1x => is not a duration
McpOAuthClockSkew 601s => is out of range
McpOAuthKeyRefresh => McpOAuthKeyRefresh takes 1-2 arguments
McpOAuthKeyRefresh soon => is not a duration
McpOAuthKeyRefresh 5min soon => is not a duration
McpOAuthKeyRefresh 2h 1h => MIN 2h is above MAX 1h; write the smaller one first
McpOAuthKeyRefresh 0 1h => is out of range
McpOAuthKeyRefresh 5min 31d => is not a duration
McpOAuthKeyRefresh 5min 721h => is out of range
McpOAuthKeyCooldown => McpOAuthKeyCooldown takes one argument
McpOAuthKeyCooldown "" => McpOAuthKeyCooldown takes one argument
McpOAuthKeyCooldown 30s 1h => McpOAuthKeyCooldown takes one argument
McpOAuthKeyCooldown soon => is not a duration; write 500ms, 10s, 5min or 1h
McpOAuthKeyCooldown -1s => is not a duration
McpOAuthKeyCooldown 0 => is out of range
McpOAuthKeyCooldown 999ms => is out of range; write 1000ms to 3600s
McpOAuthKeyCooldown 3601s => is out of range
McpOAuthKeyMaxStale => McpOAuthKeyMaxStale takes one argument
McpOAuthKeyMaxStale never => is not a duration
McpOAuthKeyMaxStale 8761h => is out of range
McpOAuthHTTPTimeout => McpOAuthHTTPTimeout takes one argument
McpOAuthHTTPTimeout 0 => is out of range
McpOAuthHTTPTimeout 99ms => is out of range
McpOAuthHTTPTimeout 301s => is out of range
McpOAuthHTTPTimeout fast => is not a duration
McpOAuthHTTPProxy => McpOAuthHTTPProxy takes one argument
McpOAuthHTTPProxy proxy.example.com:3128 => is not an absolute http or https URL
McpOAuthHTTPProxy socks5://proxy.example.com => is not an absolute http or https URL
McpOAuthCACertificateFile => McpOAuthCACertificateFile takes one argument
McpOAuthCACertificateFile %TMP%/missing.pem => cannot be read; write the path of a PEM file
McpOAuthCACertificateFile "" => McpOAuthCACertificateFile takes one argument
McpOAuthCACertificateFile %TMP%/htdocs => cannot be read
McpOAuthCACertificateFile %TMP%/empty.pem => cannot be read
McpOAuthAllowHTTP maybe => McpOAuthAllowHTTP must be On or Off
McpOAuthIntrospection => McpOAuthIntrospection takes one argument
McpOAuthIntrospection "" => McpOAuthIntrospection takes one argument
McpOAuthIntrospection auto https://sso.example.com/introspect => McpOAuthIntrospection takes one argument
McpOAuthIntrospection "a b" => is no endpoint; write an https URL, a path relative to the authorization server, or auto
McpOAuthIntrospection ftp://sso.example.com/introspect => McpOAuthIntrospection 'ftp://sso.example.com/introspect' is no endpoint; write an https URL
McpOAuthIntrospection https:///introspect => is no endpoint
McpOAuthIntrospection https://gateway@sso.example.com/introspect => is no endpoint
McpOAuthIntrospection https://gateway:hunter2@sso.example.com/introspect => McpOAuthIntrospection '...' is no endpoint
McpOAuthIntrospection off => without the directive nobody is asked
McpOAuthIntrospection None => without the directive nobody is asked
McpOAuthIntrospection file:/x => is no endpoint
McpOAuthIntrospection introspect#here => is no endpoint
McpOAuthIntrospection https://sso.example.com:65536/introspect => is no endpoint
McpOAuthIntrospection https://sso.example.com/introspect# => is no endpoint
McpOAuthIntrospectionAuth => McpOAuthIntrospectionAuth takes one argument
McpOAuthIntrospectionAuth "" => McpOAuthIntrospectionAuth takes one argument
McpOAuthIntrospectionAuth Basic => McpOAuthIntrospectionAuth 'Basic' is unknown; write auto, client_secret_basic or client_secret_post
McpOAuthIntrospectionAuth none => is unknown; write auto, client_secret_basic or client_secret_post
McpOAuthIntrospectionAuth private_key_jwt => is unknown
McpOAuthIntrospectionAuth client_secret_basic client_secret_post => McpOAuthIntrospectionAuth takes one argument
McpOAuthClientId => McpOAuthClientId takes one argument
McpOAuthClientId "" => McpOAuthClientId takes one argument
McpOAuthClientId one two => McpOAuthClientId takes one argument
McpOAuthClientSecret => McpOAuthClientSecret takes one argument
McpOAuthClientSecret "" => McpOAuthClientSecret takes one argument
McpOAuthClientSecret Untold => McpOAuthClientSecret does not take the secret itself; write file:PATH or env:NAME
McpOAuthClientSecret Untold Untold => McpOAuthClientSecret takes one argument
McpOAuthClientSecret FILE:client-secret => does not take the secret itself
McpOAuthClientSecret /Untold => does not take the secret itself
McpOAuthClientSecret file: => does not take the secret itself
McpOAuthClientSecret file:/nowhere/key => McpOAuthClientSecret: /nowhere/key cannot be read
McpOAuthClientSecret file:nowhere => /run-config/nowhere cannot be read
McpOAuthClientSecret file:htdocs => /run-config/htdocs cannot be read
McpOAuthClientSecret file:empty => McpOAuthClientSecret: the secret is empty
McpOAuthClientSecret file:lines => the secret is empty
McpOAuthClientSecret file:long => McpOAuthClientSecret: the secret has more than 4096 bytes
McpOAuthClientSecret file:behind => the secret has more than 4096 bytes
McpOAuthClientSecret file:nul => McpOAuthClientSecret: the secret holds a NUL; write it as text
McpOAuthClientSecret file:nul-first => the secret holds a NUL
McpOAuthClientSecret file:nul-last => the secret holds a NUL
McpOAuthClientSecret file:nul-line => the secret holds a NUL
McpOAuthClientSecret env: => there is no such variable
McpOAuthClientSecret env:MCP_NO_SUCH_VARIABLE => McpOAuthClientSecret 'env:MCP_NO_SUCH_VARIABLE': there is no such variable in httpd's environment; set it there, or write file:PATH
McpOAuthClientSecret env:MCP_EMPTY => the secret is empty
McpOAuthClientSecret env:MCP_LINE_ENDS => the secret is empty
McpOAuthClientSecret env:MCP_LONG => the secret has more than 4096 bytes
McpOAuthIntrospectionCacheTTL => McpOAuthIntrospectionCacheTTL takes one argument
McpOAuthIntrospectionCacheTTL forever => McpOAuthIntrospectionCacheTTL 'forever' is not a duration; write 500ms, 10s, 5min or 1h
McpOAuthIntrospectionCacheTTL -1 => is not a duration
McpOAuthIntrospectionCacheTTL 86401s => is out of range; write 0ms to 86400s
McpOAuthIntrospectionCacheTTL 25h => is out of range
McpOAuthIntrospectionSigned => McpOAuthIntrospectionSigned must be On or Off
McpOAuthIntrospectionSigned required => McpOAuthIntrospectionSigned must be On or Off
END
for directive in McpOAuthIntrospection McpOAuthClientId; do
    printf '<McpOAuthIssuer "https://sso.example.com">\n    @%s "a\tb"\n</McpOAuthIssuer>\n' $directive >"$tmp/row"
    bad "a control character in $directive" '; write ' <"$tmp/row"
done
all_good section <<'END'
McpOAuthAuthorizationServer https://login.example.com
McpOAuthAuthorizationServer http://localhost:8080/
McpOAuthJwks https://keys.example.com/jwks.json
McpOAuthJwks protocol/openid-connect/certs
McpOAuthJwks /certs
McpOAuthJwks http://127.0.0.1:8080/certs
McpOAuthJwks file:%TMP%/jwks.json
McpOAuthAudience api://one two
McpOAuthAlgorithms RS256 PS256 ES256 EdDSA Ed25519 Ed448
McpOAuthTokenType at+jwt
McpOAuthTokenType JWT none application/at+jwt
McpOAuthClockSkew 0
McpOAuthClockSkew 600s
McpOAuthKeyRefresh 1s
McpOAuthKeyRefresh 2h
McpOAuthKeyRefresh 10s 10s
McpOAuthKeyRefresh 5min 720h
McpOAuthKeyCooldown 1s
McpOAuthKeyCooldown 1000ms
McpOAuthKeyCooldown 30
McpOAuthKeyCooldown 1h
McpOAuthKeyMaxStale 0
McpOAuthKeyMaxStale 8760h
McpOAuthHTTPTimeout 100ms
McpOAuthHTTPTimeout 300s
McpOAuthHTTPProxy http://proxy.example.com:3128
McpOAuthCACertificateFile %TMP%/ca.pem
McpOAuthCACertificateFile ca.pem
McpOAuthAllowHTTP Off
McpOAuthClientId gateway
McpOAuthClientId "a gateway: größer"
McpOAuthClientSecret file:client-secret
McpOAuthClientSecret "file:%TMP%/client-secret"
McpOAuthClientSecret file:lf
McpOAuthClientSecret file:crlf
McpOAuthClientSecret file:most
McpOAuthClientSecret file:blank
McpOAuthClientSecret env:MCP_CLIENT_SECRET
McpOAuthIntrospectionAuth auto
McpOAuthIntrospectionAuth client_secret_basic
McpOAuthIntrospectionAuth client_secret_post
McpOAuthIntrospectionCacheTTL 0
McpOAuthIntrospectionCacheTTL 500ms
McpOAuthIntrospectionCacheTTL 86400s
McpOAuthIntrospectionSigned Off
END
all_good asking <<'END'
McpOAuthIntrospection auto
McpOAuthIntrospection https://sso.example.com/introspect
McpOAuthIntrospection https://other.example.com:8443/introspect?realm=mcp
McpOAuthIntrospection http://127.0.0.1:8080/introspect
McpOAuthIntrospection http://localhost/introspect
McpOAuthIntrospection http://[::1]:8080/introspect
McpOAuthIntrospection protocol/openid-connect/token/introspect
McpOAuthIntrospection /introspect
END
all_good asked <<'END'
McpOAuthJwks none
McpOAuthIntrospectionSigned On
McpOAuthIntrospectionSigned Off
McpOAuthIntrospectionCacheTTL 0
McpOAuthIntrospectionAuth client_secret_post
END

# --- issuers as a whole --------------------------------------------------------------------------------------------
bad 'a plain http issuer' 'is plain http; write an https issuer' 'McpOAuthAllowHTTP On' <<END
<Location "/mcp">
    @McpOAuth On
    McpOAuthIssuer http://sso.example.com/realms/mcp
</Location>
END
bad 'a plain http issuer whose name only looks like loopback' 'is plain http' <<END
<Location "/mcp">
    @McpOAuth On
    McpOAuthIssuer http://localhost.example.com
</Location>
END
bad 'an issuer with a query' 'has a query or a fragment (RFC 8414 section 2); write the exact iss value' <<END
<Location "/mcp">
    @McpOAuth On
    McpOAuthIssuer https://sso.example.com/?realm=mcp
</Location>
END
bad 'an issuer with a fragment' 'has a query or a fragment' <<END
<Location "/mcp">
    @McpOAuth On
    McpOAuthIssuer https://sso.example.com/#mcp
</Location>
END
bad 'an issuer that is no URL' "is no http or https URL; write the exact iss of the tokens" 'McpOAuthAuthorizationServer' <<END
<Location "/mcp">
    @McpOAuth On
    McpOAuthIssuer my-issuer
</Location>
END
bad 'one bad issuer among good ones' "issuer 'http://two.example.com' is plain http" <<END
<Location "/mcp">
    @McpOAuth On
    McpOAuthIssuer https://one.example.com http://two.example.com
</Location>
END
bad 'a section with a plain http issuer' 'is plain http' <<END
@<McpOAuthIssuer "http://sso.example.com">
    McpOAuthClockSkew 5s
</McpOAuthIssuer>
END
bad 'a relative key path without a base' 'McpOAuthAuthorizationServer' '; write ' <<END
@<McpOAuthIssuer "my-issuer">
    McpOAuthJwks certs
</McpOAuthIssuer>
END
bad 'an issuer that is no URL has nothing to discover' 'its keys cannot be discovered; write McpOAuthJwks' <<END
@<McpOAuthIssuer "my-issuer">
    McpOAuthAuthorizationServer https://sso.example.com
</McpOAuthIssuer>
END
bad 'a plain http key set' 'McpOAuthJwks http://keys.example.com/jwks is not https; write an https URL' <<END
@<McpOAuthIssuer "https://sso.example.com">
    McpOAuthJwks http://keys.example.com/jwks
</McpOAuthIssuer>
END
bad 'a plain http authorization server' 'McpOAuthAuthorizationServer http://login.example.com is not https; write an https URL' <<END
@<McpOAuthIssuer "https://sso.example.com">
    McpOAuthAuthorizationServer http://login.example.com
</McpOAuthIssuer>
END
bad 'McpOAuthAllowHTTP Off of a virtual host overrides the On of the server' 'is plain http' <<END
<McpOAuthIssuer "http://sso.example.com">
    McpOAuthAllowHTTP On
</McpOAuthIssuer>
<VirtualHost 127.0.0.1:1>
    @<McpOAuthIssuer "http://sso.example.com">
        McpOAuthAllowHTTP Off
    </McpOAuthIssuer>
</VirtualHost>
END
good 'McpOAuthAllowHTTP On of the server reaches the section of a virtual host' <<END
<McpOAuthIssuer "http://sso.example.com">
    McpOAuthAllowHTTP On
</McpOAuthIssuer>
<VirtualHost 127.0.0.1:1>
    ServerName https://mcp.example.com:443
    <McpOAuthIssuer "http://sso.example.com">
        McpOAuthClockSkew 5s
    </McpOAuthIssuer>
    <Location "/mcp">
        McpOAuth On
        McpOAuthIssuer http://sso.example.com
    </Location>
</VirtualHost>
END
good 'a section of a virtual host that sets the cool-down alone keeps what the server says, and the other way round' <<END
McpOAuthKeyStore keys
<McpOAuthIssuer "http://sso.example.com">
    McpOAuthAllowHTTP On
    McpOAuthKeyCooldown 1h
</McpOAuthIssuer>
<VirtualHost 127.0.0.1:1>
    ServerName https://one.example.com:443
    <McpOAuthIssuer "http://sso.example.com">
        McpOAuthKeyCooldown 1s
    </McpOAuthIssuer>
    <Location "/mcp">
        McpOAuth On
        McpOAuthIssuer http://sso.example.com
    </Location>
</VirtualHost>
<VirtualHost 127.0.0.1:2>
    ServerName https://two.example.com:443
    <McpOAuthIssuer "http://sso.example.com">
        McpOAuthJwks certs
    </McpOAuthIssuer>
    <Location "/mcp">
        McpOAuth On
        McpOAuthIssuer http://sso.example.com
    </Location>
</VirtualHost>
END
bad 'a bad cool-down in the section of a virtual host' 'is out of range' <<END
<McpOAuthIssuer "https://sso.example.com">
    McpOAuthKeyCooldown 30s
</McpOAuthIssuer>
<VirtualHost 127.0.0.1:1>
    <McpOAuthIssuer "https://sso.example.com">
        @McpOAuthKeyCooldown 2h
    </McpOAuthIssuer>
</VirtualHost>
END
for file in missing empty garbage nokeys secret; do
    bad "a key file: $file" "McpOAuthJwks file:$tmp/$file.json" 'write the path of a readable JWK Set' <<END
@<McpOAuthIssuer "https://sso.example.com">
    McpOAuthJwks file:%TMP%/$file.json
</McpOAuthIssuer>
END
done
bad 'a key file that is a directory' 'write the path of a readable JWK Set' <<END
@<McpOAuthIssuer "https://sso.example.com">
    McpOAuthJwks file:%TMP%/htdocs
</McpOAuthIssuer>
END
good 'an issuer that is no URL, with all it needs' <<END
<McpOAuthIssuer "my-issuer">
    McpOAuthAuthorizationServer https://sso.example.com
    McpOAuthJwks certs
</McpOAuthIssuer>
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer my-issuer
</Location>
END
good 'several sections, several issuers, one file of keys' <<END
<McpOAuthIssuer "https://one.example.com">
    McpOAuthJwks file:%TMP%/jwks.json
    McpOAuthAlgorithms ES256
</McpOAuthIssuer>
<McpOAuthIssuer https://two.example.com>
    McpOAuthJwks file:%TMP%/jwks.json
</McpOAuthIssuer>
<McpOAuthIssuer "https://one.example.com">
    McpOAuthClockSkew 5s
</McpOAuthIssuer>
<Location "/one">
    McpOAuth On
    McpOAuthIssuer https://one.example.com
</Location>
<Location "/both">
    McpOAuth On
    McpOAuthIssuer https://one.example.com
    McpOAuthIssuer https://two.example.com
</Location>
END

# --- introspection as a whole --------------------------------------------------------------------------------------
# asks NAME [LINE...]   a section of an issuer https://NAME.example.com who is asked about tokens
asks() {
    printf '<McpOAuthIssuer "https://%s.example.com">\n    McpOAuthIntrospection auto\n    %s\n' "$1" "$asking"
    shift
    for row; do echo "    $row"; done
    echo '</McpOAuthIssuer>'
}
needs='McpOAuthIntrospection needs the credentials of this server at the authorization server; write '
bad 'introspection without credentials' "${needs}McpOAuthClientId" <<END
@<McpOAuthIssuer "https://sso.example.com">
    McpOAuthIntrospection auto
</McpOAuthIssuer>
END
bad 'introspection without an id' "${needs}McpOAuthClientId" <<END
@<McpOAuthIssuer "https://sso.example.com">
    McpOAuthIntrospection auto
    McpOAuthClientSecret file:client-secret
</McpOAuthIssuer>
END
bad 'introspection without a secret' "${needs}McpOAuthClientSecret file:/path or env:NAME" <<END
@<McpOAuthIssuer "https://sso.example.com">
    McpOAuthIntrospection auto
    McpOAuthClientId gateway
</McpOAuthIssuer>
END
bad 'credentials of another issuer' "${needs}McpOAuthClientId" <<END
<McpOAuthIssuer "https://one.example.com">
    $asking
</McpOAuthIssuer>
@<McpOAuthIssuer "https://two.example.com">
    McpOAuthIntrospection auto
</McpOAuthIssuer>
END
good 'introspection and its credentials in several sections' <<END
<McpOAuthIssuer "https://sso.example.com">
    McpOAuthIntrospection auto
</McpOAuthIssuer>
<McpOAuthIssuer "https://sso.example.com">
    McpOAuthClientId gateway
</McpOAuthIssuer>
<McpOAuthIssuer "https://sso.example.com">
    McpOAuthClientSecret file:client-secret
</McpOAuthIssuer>
END
good 'introspection of a virtual host, credentials of the server' <<END
<McpOAuthIssuer "https://sso.example.com">
    $asking
</McpOAuthIssuer>
<VirtualHost 127.0.0.1:1>
    ServerName https://mcp.example.com:443
    <McpOAuthIssuer "https://sso.example.com">
        McpOAuthIntrospection auto
    </McpOAuthIssuer>
    <Location "/mcp">
        McpOAuth On
        McpOAuthIssuer https://sso.example.com
    </Location>
</VirtualHost>
END
bad 'introspection of the server, credentials of a virtual host' "${needs}McpOAuthClientId" <<END
@<McpOAuthIssuer "https://sso.example.com">
    McpOAuthIntrospection auto
</McpOAuthIssuer>
<VirtualHost 127.0.0.1:1>
    <McpOAuthIssuer "https://sso.example.com">
        McpOAuthClientId gateway
        McpOAuthClientSecret file:client-secret
    </McpOAuthIssuer>
</VirtualHost>
END
bad 'introspection in a virtual host without credentials' "${needs}McpOAuthClientSecret" <<END
<McpOAuthIssuer "https://sso.example.com">
    McpOAuthClientId gateway
</McpOAuthIssuer>
<VirtualHost 127.0.0.1:1>
    @<McpOAuthIssuer "https://sso.example.com">
        McpOAuthIntrospection auto
    </McpOAuthIssuer>
</VirtualHost>
END
for host in sso.example.com localhost.example.com 127.0.0.1.example.com 10.0.0.1; do
    bad "a plain http endpoint at $host" "McpOAuthIntrospection http://$host/introspect is not https; write an https URL" 'McpOAuthAllowHTTP On' <<END
@<McpOAuthIssuer "https://sso.example.com">
    McpOAuthIntrospection http://$host/introspect
    $asking
</McpOAuthIssuer>
END
    good "a plain http endpoint at $host that is allowed" <<END
<McpOAuthIssuer "https://sso.example.com">
    McpOAuthIntrospection http://$host/introspect
    $asking
    McpOAuthAllowHTTP On
</McpOAuthIssuer>
END
done
bad 'McpOAuthAllowHTTP Off of a virtual host overrides the On of the server for the endpoint' 'is not https; write an https URL' <<END
<McpOAuthIssuer "https://sso.example.com">
    McpOAuthIntrospection http://sso.example.com/introspect
    $asking
    McpOAuthAllowHTTP On
</McpOAuthIssuer>
<VirtualHost 127.0.0.1:1>
    @<McpOAuthIssuer "https://sso.example.com">
        McpOAuthAllowHTTP Off
    </McpOAuthIssuer>
</VirtualHost>
END
bad 'a relative endpoint of an issuer that is no URL' "issuer 'my-issuer' is no http or https URL" '; write ' 'McpOAuthAuthorizationServer' <<END
@<McpOAuthIssuer "my-issuer">
    McpOAuthJwks none
    McpOAuthIntrospection introspect
    $asking
</McpOAuthIssuer>
END
bad 'an issuer that is no URL has no endpoint to discover' "issuer 'my-issuer' is no URL, so its introspection endpoint cannot be discovered; write McpOAuthIntrospection https://" <<END
@<McpOAuthIssuer "my-issuer">
    McpOAuthAuthorizationServer https://sso.example.com
    McpOAuthJwks none
    McpOAuthIntrospection auto
    $asking
</McpOAuthIssuer>
END
for endpoint in introspect https://sso.example.com/introspect; do
    good "an issuer that is no URL, with an authorization server and the endpoint $endpoint" <<END
<McpOAuthIssuer "my-issuer">
    McpOAuthAuthorizationServer https://sso.example.com
    McpOAuthJwks none
    McpOAuthIntrospection $endpoint
    $asking
</McpOAuthIssuer>
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer my-issuer
</Location>
END
done
bad 'an issuer that is no URL and is asked still has no keys to discover' 'its keys cannot be discovered; write McpOAuthJwks' <<END
@<McpOAuthIssuer "my-issuer">
    McpOAuthAuthorizationServer https://sso.example.com
    McpOAuthIntrospection introspect
    $asking
</McpOAuthIssuer>
END
bad 'neither keys nor introspection' 'McpOAuthJwks none leaves no way to judge a token; write McpOAuthIntrospection beside it' <<END
@<McpOAuthIssuer "https://sso.example.com">
    McpOAuthJwks none
</McpOAuthIssuer>
END
bad 'neither keys nor introspection, but credentials' 'McpOAuthJwks none leaves no way to judge a token' <<END
@<McpOAuthIssuer "https://sso.example.com">
    McpOAuthJwks none
    $asking
</McpOAuthIssuer>
END
bad 'signed answers without keys' 'McpOAuthIntrospectionSigned needs keys to verify answers with, and McpOAuthJwks none says that there are none; leave one of the two out' <<END
@<McpOAuthIssuer "https://sso.example.com">
    McpOAuthJwks none
    McpOAuthIntrospection auto
    McpOAuthIntrospectionSigned On
    $asking
</McpOAuthIssuer>
END
bad 'signed answers of the server, no keys in a virtual host' 'McpOAuthIntrospectionSigned needs keys' <<END
$(asks sso 'McpOAuthIntrospectionSigned On')
<VirtualHost 127.0.0.1:1>
    @<McpOAuthIssuer "https://sso.example.com">
        McpOAuthJwks none
    </McpOAuthIssuer>
</VirtualHost>
END
bad 'signed answers without introspection' 'McpOAuthIntrospectionSigned has no effect without McpOAuthIntrospection; write that, too' <<END
@<McpOAuthIssuer "https://sso.example.com">
    McpOAuthIntrospectionSigned On
    $asking
</McpOAuthIssuer>
END
both="'https://one.example.com' and 'https://two.example.com' both have McpOAuthIntrospection"
two_asked="$(asks one)
$(asks two)"
bad 'two issuers of one location are asked' "$both" 'a token of one would be sent to the other' '; write locations of their own' <<END
$two_asked
<Location "/mcp">
    @McpOAuth On
    McpOAuthIssuer https://one.example.com https://two.example.com
</Location>
END
bad 'two issuers of one location are asked, a third between them is not' "$both" <<END
$two_asked
<Location "/mcp">
    @McpOAuth On
    McpOAuthIssuer https://one.example.com
    McpOAuthIssuer https://three.example.com
    McpOAuthIssuer https://two.example.com
</Location>
END
bad 'two issuers of one pattern are asked' "$both" <<END
$two_asked
<LocationMatch "^/mcp">
    @McpOAuth On
    McpOAuthResource https://mcp.example.com/mcp
    McpOAuthIssuer https://one.example.com https://two.example.com
</LocationMatch>
END
bad 'two issuers that a location inherits from the server are asked' "$both" <<END
$two_asked
McpOAuthIssuer https://one.example.com https://two.example.com
<Location "/mcp">
    @McpOAuth On
</Location>
END
bad 'two issuers that a location inherits from an outer one are asked' "$both" <<END
$two_asked
<Location "/mcp/inner">
    @McpOAuth On
</Location>
<Location "/mcp">
    McpOAuthIssuer https://one.example.com https://two.example.com
</Location>
END
bad 'two issuers that a location inherits from one that is off are asked' "$both" <<END
$two_asked
<Location "/mcp">
    McpOAuth Off
    McpOAuthIssuer https://one.example.com https://two.example.com
</Location>
<Location "/mcp/inner">
    @McpOAuth On
</Location>
END
bad 'a virtual host whose section makes it two that are asked' "$both" <<END
$(asks one)
<VirtualHost 127.0.0.1:1>
    ServerName https://one.example.com:443
    <Location "/mcp">
        McpOAuth On
        McpOAuthIssuer https://one.example.com https://two.example.com
    </Location>
</VirtualHost>
<VirtualHost 127.0.0.1:2>
    ServerName https://two.example.com:443
$(asks two)
    <Location "/mcp">
        @McpOAuth On
        McpOAuthIssuer https://one.example.com https://two.example.com
    </Location>
</VirtualHost>
END
good 'two issuers of one location, one of them is asked' <<END
$(asks one)
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://one.example.com https://two.example.com
</Location>
END
good 'two issuers that are asked, in locations of their own' <<END
$two_asked
<Location "/one">
    McpOAuth On
    McpOAuthIssuer https://one.example.com
</Location>
<Location "/two">
    McpOAuth On
    McpOAuthIssuer https://two.example.com
</Location>
<Location "/one/two">
    McpOAuthIssuer https://two.example.com
</Location>
END
good 'one issuer that is asked, named twice' <<END
$(asks one)
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://one.example.com
    McpOAuthIssuer https://one.example.com
</Location>
END

# --- files with secrets --------------------------------------------------------------------------------------------
in_client() { in_section "McpOAuthClientSecret file:$1"; }
for mode in 600 400 640 000; do
    [ $mode != 000 ] || [ "$(id -u)" = 0 ] || continue # httpd reads it as root
    bytes 20 | file mode-$mode $mode
    in_client mode-$mode >"$tmp/row"
    good "a secret of mode $mode" <"$tmp/row"
    chmod 600 "$tmp/mode-$mode"
done
for mode in 644 604 666; do
    bytes 20 | file mode-$mode $mode
    in_client mode-$mode >"$tmp/row"
    good "a secret of mode $mode is a remark" 'MCP0963' "$tmp/case.conf:2: McpOAuthClientSecret" "everybody can read $tmp/mode-$mode; write chmod 600 $tmp/mode-$mode" <"$tmp/row"
done
good 'a session key that everybody can read is a remark' 'MCP0963' "$tmp/case.conf:1: McpOAuthSessionKey" "write chmod 600 $tmp/session-of-all" <<END
McpOAuthSessionKey file:session-of-all
END
if mkfifo -m 600 "$tmp/fifo"; then
    in_section '@McpOAuthClientSecret file:fifo' >"$tmp/row"
    bad 'a named pipe that nobody writes does not hold up the start' 'the secret is empty' <"$tmp/row"
    exec 3<>"$tmp/fifo"
    bad 'a named pipe whose writer says nothing does not hold up the start' "$tmp/fifo cannot be read" <"$tmp/row"
    exec 3<&-
fi
# Whatever httpd can be asked about its configuration.
cat >"$tmp/row" <<END
McpOAuthSessionKey file:session
$(asks one)
<McpOAuthIssuer "https://two.example.com">
    McpOAuthIntrospection http://127.0.0.1:8080/introspect
    McpOAuthClientId gateway
    McpOAuthClientSecret env:MCP_CLIENT_SECRET
</McpOAuthIssuer>
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://one.example.com
</Location>
END
shown() { # shown OPTIONS TEXT   what httpd tells
    options=$1
    run
    case $out in *"$2"*) ;; *) why="$why \"$2\" is not said;" ;; esac
    report "$([ -z "$why" ] && echo 1)" "no secrets with $options: $2"
    options=
}
shown '-e trace8' 'Syntax OK' <"$tmp/row"
shown '-D DUMP_VHOSTS -D DUMP_RUN_CFG' 'Mutex mcp-oauth-refresh' <"$tmp/row"
case $static$(ls "$HTTPD_LIBEXECDIR") in
    *mod_info.*) # it knows DUMP_CONFIG
        { module info; cat "$tmp/row"; } >"$tmp/with-info"
        for text in 'file:client-secret' 'env:MCP_CLIENT_SECRET' 'file:session'; do
            shown '-D DUMP_CONFIG' "$text" <"$tmp/with-info"
        done ;;
esac

# --- <McpOAuthIssuer> itself ---------------------------------------------------------------------------------------
section_is_wrong='takes exactly one issuer; write <McpOAuthIssuer'
bad 'a section without a name' "$section_is_wrong" <<END
@<McpOAuthIssuer>
</McpOAuthIssuer>
END
bad 'a section with an empty name' "$section_is_wrong" <<END
@<McpOAuthIssuer "">
</McpOAuthIssuer>
END
bad 'a section with two names' "$section_is_wrong" <<END
@<McpOAuthIssuer "https://one.example.com" "https://two.example.com">
</McpOAuthIssuer>
END
bad 'a section without its closing bracket' "closing '>'" <<END
@<McpOAuthIssuer "https://one.example.com"
</McpOAuthIssuer>
END
bad 'a directive of httpd inside a section' 'DocumentRoot is not allowed inside <McpOAuthIssuer>; write it outside' <<END
<McpOAuthIssuer "https://one.example.com">
    @DocumentRoot "$tmp"
</McpOAuthIssuer>
END
bad 'a section inside a section' 'is not allowed inside <McpOAuthIssuer>' <<END
<McpOAuthIssuer "https://one.example.com">
    @<McpOAuthIssuer "https://two.example.com">
    </McpOAuthIssuer>
</McpOAuthIssuer>
END
bad 'a section inside <Location>' 'McpOAuthIssuer' 'not allowed' <<END
<Location "/mcp">
    @<McpOAuthIssuer "https://one.example.com">
    </McpOAuthIssuer>
</Location>
END
bad 'a section inside <Directory>' 'not allowed' <<END
<Directory "$tmp/htdocs">
    @<McpOAuthIssuer "https://one.example.com">
    </McpOAuthIssuer>
</Directory>
END

# --- wrong places --------------------------------------------------------------------------------------------------
location_only='McpOAuth On'
everywhere='McpOAuthIssuer https://sso.example.com
McpOAuthResource https://mcp.example.com/mcp
McpOAuthAudienceMatch exact
McpOAuthAuthorizedParty a
McpOAuthRequireScope a
McpOAuthRequireClaim a b
McpOAuthScopesSupported a
McpOAuthChallengeScope a
McpOAuthMetadata a b
McpOAuthMetadataPath /a
McpOAuthTokenHeader X-A
McpOAuthForwardToken On
McpOAuthForwardClaim sub X-A
McpOAuthRemoteUser sub
McpOAuthOrigin https://a.example.com
McpOAuthInspect On
McpOAuthMaxBody 1M
McpOAuthMaxDepth 5
McpOAuthBatch Off
McpOAuthFilterLists Off
McpOAuthStreamExpiry On
McpOAuthSessionBinding On
McpOAuthDPoP Required
McpOAuthDPoPNonce On
McpOAuthRequireACR a
McpOAuthMaxAuthAge 1h
McpOAuthACL Shadow
McpOAuthScopeClaim scp
McpOAuthACLClaim roles
McpOAuthAllow a tools/list
McpOAuthImplies a b'
also_in_sections='McpOAuthAudience a'
sections_only="McpOAuthAuthorizationServer https://sso.example.com
McpOAuthJwks https://sso.example.com/certs
McpOAuthAlgorithms RS256
McpOAuthTokenType JWT
McpOAuthClockSkew 1s
McpOAuthKeyRefresh 1h 2h
McpOAuthKeyCooldown 10s
McpOAuthKeyMaxStale 1h
McpOAuthHTTPTimeout 5s
McpOAuthHTTPProxy http://proxy.example.com
McpOAuthCACertificateFile $tmp/ca.pem
McpOAuthAllowHTTP Off
McpOAuthIntrospectionAuth client_secret_post
McpOAuthIntrospectionCacheTTL 10s
McpOAuthIntrospectionSigned Off
McpOAuthClientId a
McpOAuthClientSecret file:client-secret"
introspection='McpOAuthIntrospection auto' # of use beside others only: see above for the right place
server_only="McpOAuthTokenCacheTTL 1s
McpOAuthTokenCacheSize 5
McpOAuthKeyStore keys
McpOAuthSharedCache none
McpOAuthSessionKey file:$tmp/session"

each() { # each LINES FUNCTION ARGUMENTS...   FUNCTION LINE ARGUMENTS... for every line
    lines=$1 function=$2
    shift 2
    echo "$lines" >"$tmp/lines"
    while IFS= read -r row <&3; do "$function" "$row" "$@"; done 3<"$tmp/lines"
}
wrong_place() { # wrong_place LINE SECTION TEXT...
    row=$1 section=$2
    shift 2
    printf '<%s>\n    @%s\n</%s>\n' "$section" "$row" "${section%% *}" >"$tmp/row"
    bad "${row%% *} in <$section>" "$@" <"$tmp/row"
}
wrong_at_top() { printf '@%s\n' "$1" >"$tmp/row"; bad "${1%% *} in the server" "$2" <"$tmp/row"; }
right_place() { # right_place LINE SECTION
    printf '<%s>\n    %s\n</%s>\n' "$2" "$1" "${2%% *}" >"$tmp/row"
    good "${1%% *} in <$2>" 'Syntax OK' <"$tmp/row"
}
right_at_top() { echo "$1" >"$tmp/row"; good "${1%% *} in the server" 'Syntax OK' <"$tmp/row"; }
for section in "Directory \"$tmp/htdocs\"" 'DirectoryMatch "^/srv"' 'Files "x"' 'FilesMatch "x"' "If \"%{HTTPS} == 'on'\"" 'Proxy "http://127.0.0.1:3001/"' \
    'ProxyMatch "^http"'; do
    each "$location_only
$everywhere
$also_in_sections
$sections_only
$introspection" wrong_place "$section" 'write it into <Location>'
done
for section in 'Location "/mcp"' 'LocationMatch "^/mcp"' 'VirtualHost 127.0.0.1:1'; do
    each "$everywhere
$also_in_sections" right_place "$section"
done
each "$also_in_sections
$sections_only" right_place 'McpOAuthIssuer "https://sso.example.com"'
bad 'inside <If> inside <Location>' 'McpOAuth is not allowed in <If>; write it into <Location>' <<END
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
    <If "%{REQUEST_METHOD} == 'GET'">
        @McpOAuth Off
    </If>
</Location>
END
for row in 'Limit GET' 'LimitExcept POST'; do
    bad "inside <$row>" "McpOAuthRequireScope is not allowed in <${row%% *}>; write it into <Location>" <<END
<Location "/mcp">
    <$row>
        @McpOAuthRequireScope a
    </${row%% *}>
</Location>
END
done
each "$location_only" wrong_at_top 'McpOAuth belongs into <Location>, for a whole host write <Location "/">'
each "$sections_only
$introspection" wrong_at_top 'belongs into <McpOAuthIssuer "https://'
for section in 'Location "/mcp"' 'VirtualHost 127.0.0.1:1'; do
    each "$sections_only
$introspection" wrong_place "$section" 'belongs into <McpOAuthIssuer "https://'
done
each "$location_only
$everywhere" wrong_place 'McpOAuthIssuer "https://sso.example.com"' 'does not belong into <McpOAuthIssuer>; write it into <Location>'
each "$server_only" wrong_place 'Location "/mcp"' 'not allowed'
each "$server_only" wrong_place 'Directory "/srv"' 'not allowed'
each "$server_only" wrong_place 'VirtualHost 127.0.0.1:1' 'cannot occur within <VirtualHost> section'
each "$server_only" wrong_place 'McpOAuthIssuer "https://sso.example.com"' '<McpOAuthIssuer>'

# --- server directives ---------------------------------------------------------------------------------------------
all_bad server <<'END'
McpOAuthTokenCacheTTL => McpOAuthTokenCacheTTL takes one argument
McpOAuthTokenCacheTTL forever => is not a duration
McpOAuthTokenCacheTTL -1 => is not a duration
McpOAuthTokenCacheTTL 86401s => is out of range
McpOAuthTokenCacheSize => McpOAuthTokenCacheSize takes one argument
McpOAuthTokenCacheSize 0 => to switch the cache off write McpOAuthTokenCacheTTL 0
McpOAuthTokenCacheSize -1 => is not a number from 1 to 10000000
McpOAuthTokenCacheSize 10000001 => is not a number
McpOAuthTokenCacheSize 5x => is not a number
McpOAuthTokenCacheSize many => is not a number
McpOAuthKeyStore => McpOAuthKeyStore takes one argument
McpOAuthKeyStore "" => McpOAuthKeyStore takes one argument
McpOAuthKeyStore /one /two => McpOAuthKeyStore takes one argument
McpOAuthSharedCache => McpOAuthSharedCache takes one argument
McpOAuthSharedCache "" => McpOAuthSharedCache takes one argument
McpOAuthSharedCache redis 127.0.0.1:6379 => McpOAuthSharedCache takes one argument
McpOAuthSessionKey Untold6789abcdef0123456789abcdef => McpOAuthSessionKey does not take the secret itself; write file:PATH or env:NAME
McpOAuthSessionKey file: => does not take the secret itself
McpOAuthSessionKey file:/nowhere/key => /nowhere/key cannot be read
McpOAuthSessionKey file:/ => cannot be read
McpOAuthSessionKey env: => there is no such variable
McpOAuthSessionKey env:MCP_NO_SUCH_VARIABLE => there is no such variable in httpd's environment
McpOAuthSessionKey file:short => the secret has fewer than 32 bytes; make one with: openssl rand -base64 32
McpOAuthSessionKey file:long => the secret has more than 4096 bytes
McpOAuthSessionKey file:behind => the secret has more than 4096 bytes
McpOAuthSharedCache :x => names no provider
McpOAuthSharedCache nowhere => there is no provider nowhere; write LoadModule socache_nowhere_module modules/mod_socache_nowhere.so
McpOAuthSharedCache nowhere:127.0.0.1:1 => there is no provider nowhere; write LoadModule socache_nowhere_module
END
printf '@McpOAuthSharedCache "redis:\t"\n' >"$tmp/row"
bad 'a control character in the shared cache' 'names no provider, or has control characters; write none, shmcb, redis:host:port or memcache:host:port' <"$tmp/row"
printf '@McpOAuthKeyStore "a\tb"\n' >"$tmp/row"
bad 'a control character in the path of the key store' 'is empty or has control characters; write the path of a directory' <"$tmp/row"
printf '@McpOAuthKeyStore /%05000d\n' 0 >"$tmp/row"
bad 'a key store with a path that no system takes' 'is not a path; write that of a directory' <"$tmp/row"
all_good server <<'END'
McpOAuthTokenCacheTTL 0
McpOAuthTokenCacheTTL 86400s
McpOAuthTokenCacheSize 1
McpOAuthTokenCacheSize 10000000
McpOAuthKeyStore keys
McpOAuthKeyStore "%TMP%/key store"
McpOAuthSessionKey file:session
McpOAuthSessionKey "file:%TMP%/session"
McpOAuthSessionKey env:MCP_SESSION_SECRET
McpOAuthKeyStore /nowhere/near/keys
McpOAuthSharedCache none
McpOAuthSharedCache NONE
END
each "$everywhere
$also_in_sections" right_at_top

# --- the resource identifier that follows from ServerName and path ------------------------------------------------
minimal='<Location "/mcp">
    @McpOAuth On
    McpOAuthIssuer https://sso.example.com
</Location>'
server_name=http://mcp.example.com
bad 'ServerName is plain http' "'http://mcp.example.com/mcp', made of ServerName and path, is plain http; write McpOAuthResource https://HOST/PATH" <<END
$minimal
END
server_name=mcp.example.com:80
bad 'ServerName without a scheme, port 80' 'is plain http; write McpOAuthResource' <<END
$minimal
END
server_name=mcp.example.com:443
good 'ServerName without a scheme, port 443' <<END
$minimal
END
server_name=localhost:8000
good 'ServerName is loopback' <<END
$minimal
END
server_name=http://mcp.example.com
good 'McpOAuthResource in place of a plain http ServerName' <<END
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
    McpOAuthResource https://mcp.example.com/mcp
</Location>
END
bad 'in a virtual host of plain http' 'is plain http; write McpOAuthResource' <<END
<VirtualHost *:80>
    ServerName mcp.example.com
    <Location "/mcp">
        @McpOAuth On
        McpOAuthIssuer https://sso.example.com
    </Location>
</VirtualHost>
END
server_name=
for section in 'LocationMatch "^/mcp[0-9]"' 'LocationMatch "/mcp"' 'Location ~ "^/mcp"' 'Location ~ "/mcp"' 'Location "/mcp*"'; do
    bad "<$section> has no resource of its own" 'only a plain <Location "/path"> has a default resource identifier; write McpOAuthResource https://HOST/PATH' <<END
<$section>
    @McpOAuth On
    McpOAuthIssuer https://sso.example.com
</${section%% *}>
END
    good "<$section> with McpOAuthResource" <<END
<$section>
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
    McpOAuthResource https://mcp.example.com/mcp
</${section%% *}>
END
done

# --- lines for mod_authz_core: it names its own directive --------------------------------------------------------------
require() { # require ARGUMENTS TEXT
    bad "Require $1" "$2" <<END
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
    @Require $1
</Location>
END
}
require 'mcp-scope' 'needs at least one scope'
require 'mcp-scope "a b"' "'a b' is not a scope: no spaces, quotes, backslashes or bytes beyond ASCII; write one argument per scope"
require 'mcp-scope a ""' "'' is not a scope"
require 'mcp-claim' 'needs a claim path and at least one value'
require 'mcp-claim department' 'needs a claim path and at least one value'
bad 'no alias for mcp-claim: whether it is negated shows only where it is used' 'mcp-claim is not for <AuthzProviderAlias>' <<END
@<AuthzProviderAlias mcp-claim sales "department sales">
</AuthzProviderAlias>
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
    Require not sales
</Location>
END
require 'mcp-claim a..b x' "'a..b' is not a claim path"
good 'Require mcp-scope and mcp-claim, with AuthType' <<END
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
    AuthType mcp-oauth
    <RequireAny>
        Require mcp-scope mcp:use mcp:admin
        <RequireAll>
            Require mcp-claim realm_access.roles admin "two words"
            Require not mcp-claim a\.b c
        </RequireAll>
    </RequireAny>
</Location>
END

# --- what contradicts itself ---------------------------------------------------------------------------------------
bad 'McpOAuthRateLimit with operations and McpOAuthInspect Off' 'McpOAuthRateLimit with operations needs the bodies' <<END
<Location "/mcp">
    @McpOAuth On
    McpOAuthIssuer https://sso.example.com
    McpOAuthInspect Off
    McpOAuthRateLimit 60/1min tools/call
</Location>
END
good 'McpOAuthRateLimit for everything and McpOAuthInspect Off' <<END
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
    McpOAuthInspect Off
    McpOAuthRateLimit 60/1min
    McpOAuthRateLimit 600/1h *
</Location>
END
inspect='McpOAuthACL needs the bodies that McpOAuthInspect Off leaves unread; write McpOAuthInspect On or McpOAuthACL Off'
for acl in On Shadow; do
    bad "McpOAuthACL $acl with McpOAuthInspect Off" "$inspect" <<END
<Location "/mcp">
    @McpOAuth On
    McpOAuthIssuer https://sso.example.com
    McpOAuthInspect Off
    McpOAuthACL $acl
</Location>
END
done
bad 'the same in a section that does not say McpOAuth On itself' "$inspect" <<END
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
</Location>
<Location "/mcp/inner">
    @McpOAuthInspect Off
    McpOAuthACL On
</Location>
END
good 'McpOAuthInspect Off with McpOAuthACL Off' <<END
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
    McpOAuthInspect Off
    McpOAuthACL Off
</Location>
END
good 'a contradiction of several sections is a remark here and a 500 later' 'MCP0953' "$inspect" 'refused with 500' <<END
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
    McpOAuthACL On
</Location>
<Location "/mcp/inner">
    McpOAuthInspect Off
</Location>
END
bad 'a claim in the field that carries the token' 'the very field that carries the token; write another name' <<END
<Location "/mcp">
    @McpOAuth On
    McpOAuthIssuer https://sso.example.com
    McpOAuthForwardClaim sub Authorization
</Location>
END
good 'the same made by two sections is a remark and a 500 later' 'MCP0953' 'the very field that carries the token; write another name' <<END
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
</Location>
<Location "/mcp/inner">
    McpOAuthForwardClaim sub Authorization
</Location>
END
for path in mcp /mcp//x /m%63p /mcp/../y /mcp/./x; do
    bad "a path that never matches: $path" 'never matches: httpd decodes and normalizes paths first' <<END
<Location "$path">
    @McpOAuth On
    McpOAuthIssuer https://sso.example.com
    McpOAuthResource https://mcp.example.com/mcp
</Location>
END
done
good 'lists that no rules filter are a remark' 'MCP0962' 'hides nothing where McpOAuthACL is Off; write McpOAuthACL On and rules' <<END
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
    McpOAuthFilterLists On
</Location>
END
good 'a path with a slash at its end is a remark' 'MCP0958' 'leaves "/mcp" itself open; write it without the slash' <<END
<Location "/mcp/">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
</Location>
END
bad 'a pattern that counts on another section' 'a pattern is judged without other sections: write it here, or at server level' <<END
<Location "/">
    McpOAuthIssuer https://sso.example.com
</Location>
<LocationMatch "^/mcp">
    @McpOAuth On
    McpOAuthResource https://mcp.example.com/mcp
</LocationMatch>
END
good 'two resources at one metadata path are a remark' 'MCP0954' 'write another McpOAuthMetadataPath for one of them' <<END
<Location "/a">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
    McpOAuthResource https://one.example.com/mcp
</Location>
<Location "/b">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
    McpOAuthResource https://two.example.com/mcp
</Location>
END

# --- merges that must be accepted ------------------------------------------------------------------------------------
good 'settings of the server reach its locations' <<END
McpOAuthIssuer https://sso.example.com
McpOAuthRequireScope mcp
<Location "/mcp">
    McpOAuth On
</Location>
END
good 'settings of the server and of a virtual host reach its locations' <<END
McpOAuthIssuer https://sso.example.com
<VirtualHost 127.0.0.1:1>
    ServerName https://mcp.example.com:443
    McpOAuthRequireScope mcp
    <Location "/mcp">
        McpOAuth On
    </Location>
</VirtualHost>
END
good 'an inner location inherits issuer and resource, in any order' <<END
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
    McpOAuthResource https://mcp.example.com/mcp
</Location>
<Location "/mcp/inner">
    McpOAuth On
    McpOAuthRequireScope more
</Location>
<Location "/mcp/open">
    McpOAuth Off
</Location>
<Location "/mcp/open/closed">
    McpOAuth On
</Location>
END
good 'a location of the server is merged with that of a virtual host' 'Syntax OK' <<END
<Location "/mcp">
    McpOAuthIssuer https://sso.example.com
</Location>
<VirtualHost 127.0.0.1:1>
    ServerName https://mcp.example.com:443
    <Location "/mcp">
        McpOAuth On
    </Location>
</VirtualHost>
END
good 'an inner location mends what an outer one makes impossible' <<END
McpOAuthInspect Off
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
    McpOAuthACL On
    McpOAuthInspect On
</Location>
END
good 'settings inside <IfModule> and <IfDefine>' <<END
<IfModule mcp_oauth_module>
    <IfDefine !NOTHING>
        <Location "/mcp">
            McpOAuth On
            McpOAuthIssuer https://sso.example.com
        </Location>
    </IfDefine>
</IfModule>
END

# --- what only a start shows ---------------------------------------------------------------------------------------
listen=$((2000 + $$ % 8000))
# A signal that comes while httpd installs its handlers is lost.
stop() {
    waits=0
    while kill "$1" 2>/dev/null && [ $waits -lt 100 ]; do
        waits=$((waits + 1))
        sleep 0.1
    done
    kill -KILL "$1" 2>/dev/null
    wait "$1"
}
# start [MODULE...] <case   as run, but httpd is started, with further modules, until it is up or ends
start() {
    sed "s:%TMP%:$tmp:g" >"$tmp/case.conf"
    out= status=0 line=
    for try in 1 2 3; do
        {
            sed "s/^Listen .*/Listen 127.0.0.1:$listen/" "$tmp/base.conf" | if [ "${without:-}" ]; then sed "/$without/d"; else cat; fi
            module "$@"
            echo 'LogLevel trace8'
            if [ "$(id -u)" = 0 ]; then printf 'User "#65534"\nGroup "#65534"\n'; fi
        } >"$tmp/start.conf"
        rm -f "$tmp/error_log" "$tmp/httpd.pid"
        SERVER_NAME=https://mcp.example.com:443 "$HTTPD" -X -f "$tmp/start.conf" >"$tmp/start.out" 2>&1 &
        pid=$!
        waits=0
        while kill -0 $pid 2>/dev/null && [ $waits -lt 150 ] && [ ! -f "$tmp/httpd.pid" ]; do
            waits=$((waits + 1))
            sleep 0.1
        done
        if [ -f "$tmp/httpd.pid" ]; then up=1; else up=; fi
        stop $pid
        why=
        out=$(cat "$tmp/start.out" "$tmp/error_log" 2>/dev/null)
        case $out in *"$secret"*) why="$why a secret is shown;" ;; esac
        out=$(echo "$out" | grep -Ev ':(trace[1-8]|debug|info)\]')
        case $out in *'could not bind'*) listen=$((listen + 1)) ;; *) break ;; esac
    done
}
not_started() { # not_started NAME MODULES TEXT... <case
    name=$1 modules=$2
    shift 2
    start $modules
    [ -z "$up" ] || why="$why it has started;"
    for text; do
        case $out in *"$text"*) ;; *) why="$why \"$text\" is not said;" ;; esac
    done
    report "$([ -z "$why" ] && echo 1)" "$name"
}
started() { # started NAME MODULES <case   without a word about the shared cache
    name=$1
    start $2
    [ "$up" ] || why="$why it does not start;"
    case $out in *MCP0964*) why="$why the shared cache is bad;" ;; esac
    report "$([ -z "$why" ] && echo 1)" "$name"
}
cached() { # cached VALUE   one issuer that is asked, and the shared cache
    echo "McpOAuthSharedCache $1"
    asks sso 'McpOAuthJwks none' | sed "s,auto,http://127.0.0.1:9/introspect,; s,https://sso.example.com,$ISSUER,"
    in_server ''
}
cached none >"$tmp/row"
started 'McpOAuthSharedCache none needs no provider' '' <"$tmp/row"
sed 1d "$tmp/row" >"$tmp/unset"
started 'without a word about it, and without mod_socache_shmcb' '' <"$tmp/unset"
case $static$(ls "$HTTPD_LIBEXECDIR") in
    *mod_socache_shmcb.*)
        started 'without a word about it, and with mod_socache_shmcb' socache_shmcb <"$tmp/unset"
        cached shmcb >"$tmp/row"
        started 'McpOAuthSharedCache shmcb' socache_shmcb <"$tmp/row"
        cached nowhere >"$tmp/row"
        not_started 'another provider has to be there, too' socache_shmcb 'McpOAuthSharedCache nowhere: there is no provider nowhere' <"$tmp/row"
        cached 'shmcb:%TMP%/cache(10)' >"$tmp/row"
        not_started 'no start with arguments that the provider refuses' socache_shmcb 'MCP0964: McpOAuthSharedCache shmcb: ' <"$tmp/row" ;;
esac
case $static in
    *mod_watchdog.c*) ;;
    *)
        without=watchdog_module
        in_server '' >"$tmp/row"
        not_started 'no start without mod_watchdog' '' 'MCP0955: mod_watchdog is needed' 'write LoadModule watchdog_module' <"$tmp/row"
        without= ;;
esac

# --- every directive of the command table was given a bad value ----------------------------------------------------
out= status=0 line=
names=$(sed -n 's/.*AP_INIT_[A-Z0-9_]*("\(McpOAuth[A-Za-z]*\)".*/\1/p' "$srcdir/src/httpd/directives.c")
why='no name was found in src/httpd/directives.c'
report "$([ "$(echo "$names" | wc -l)" -ge 30 ] && echo 1)" 'the command table was found'
why="bad values of these were not tried:$(for d in $names; do case $tested in *" $d "*) ;; *) printf ' %s' "$d" ;; esac; done)"
: >"$tmp/case.conf"
report "$([ "$why" = 'bad values of these were not tried:' ] && echo 1)" 'every directive was given bad values'

echo "1..$((ok + not_ok))"
echo "# $ok ok, $not_ok not ok"
[ $not_ok = 0 ]
