#!/bin/sh
# "httpd -t -D DUMP_MCP_OAUTH": what administrators read. Golden outputs, with wrapped lines joined (paths are as long as they are
# here) and the directory replaced; then one case for each warning, beside one that is as close as can be and gives none.
set -u
[ -f "$MODULE_SO" ] || { echo "not built: $MODULE_SO"; exit 99; }
case $MODULE_SO in /*) ;; *) MODULE_SO=$PWD/$MODULE_SO ;; esac
tmp=$PWD/test/run-dump
rm -rf "$tmp"
mkdir -p "$tmp/htdocs" || exit 99
ok=0 not_ok=0

[ -x "${MCP_MINT:-}" ] || { echo "not built: ${MCP_MINT:-MCP_MINT}"; exit 99; }
"$MCP_MINT" keygen p256 "$tmp/key.pem" && "$MCP_MINT" jwks "$("$MCP_MINT" jwk "$tmp/key.pem" --kid a)" >"$tmp/jwks.json" || exit 99
# No output may ever show it.
secret=Untold
MCP_CLIENT_SECRET=${secret}0123456789
export MCP_CLIENT_SECRET
static=$("$HTTPD" -l)
module() { # module NAME...   LoadModule lines of those that are not built in
    for m; do
        case $static in *mod_$m.c* | *" ${m#mpm_}.c"*) continue ;; esac
        echo "LoadModule ${m}_module $HTTPD_LIBEXECDIR/mod_$m.so"
    done
}
cat >"$tmp/base.conf" <<END
ServerRoot "$tmp"
DefaultRuntimeDir "$tmp"
PidFile "$tmp/httpd.pid"
ErrorLog "$tmp/error_log"
Listen 127.0.0.1:1
DocumentRoot "$tmp/htdocs"
$(module mpm_event unixd authn_core authz_core authz_user alias rewrite proxy watchdog)
LoadModule mcp_oauth_module "$MODULE_SO"
ServerName https://mcp.example.com:443
Include "$tmp/case.conf"
END

report() { # report GOOD NAME
    if [ "$1" = 1 ]; then
        ok=$((ok + 1))
        printf 'ok %d - %s\n' $((ok + not_ok)) "$2"
    else
        not_ok=$((not_ok + 1))
        printf 'not ok %d - %s\n' $((ok + not_ok)) "$2"
        echo "# status $status"
        sed 's/^/# /' "$tmp/err" "$tmp/out"
        [ ! -f "$tmp/diff" ] || sed 's/^/# /' "$tmp/diff"
    fi
    rm -f "$tmp/diff"
}

limit=$(command -v timeout >/dev/null && echo timeout -k 5 60)
# The case on standard input; leaves out, err, joined and status.
run() {
    cat >"$tmp/case.conf"
    status=0
    $limit "$HTTPD" -t ${options--D DUMP_MCP_OAUTH} -f "$tmp/base.conf" >"$tmp/out" 2>"$tmp/err" || status=$?
    grep -q "$secret" "$tmp/out" "$tmp/err" && status=shows-a-secret
    sed "s:$tmp:DIR:g" "$tmp/out" | awk '
        /^                     / || /^      [^ ]/ { sub(/^ +/, ""); line = line " " $0; next }
        { if (NR > 1) print line; line = $0 }
        END { if (NR) print line }' >"$tmp/joined"
}

# golden NAME WANT <case   the whole output; WANT is a file
golden() {
    run
    diff "$2" "$tmp/joined" >"$tmp/diff"
    report "$([ "$status" = 0 ] && [ ! -s "$tmp/diff" ] && echo 1)" "$1"
}
# says NAME TEXT... <case   each text stands in one line; with -TEXT it stands in none
says() {
    name=$1; shift
    run
    good=1
    for text; do
        case $text in
            -*) grep -qF -e "${text#-}" "$tmp/joined" && good= && echo "# says: ${text#-}" >>"$tmp/diff" ;;
            *) grep -qF -e "$text" "$tmp/joined" || { good=; echo "# does not say: $text" >>"$tmp/diff"; } ;;
        esac
    done
    report "$([ "$status" = 0 ] && echo $good)" "$name"
}

# --- the whole -------------------------------------------------------------------------------------------------------
cat >"$tmp/want" <<'END'
mod_mcp_oauth: nothing is protected; no <Location> says McpOAuth On
END
golden 'nothing is protected' "$tmp/want" <<'END'
ProxyPass /mcp http://127.0.0.1:3001/mcp
ProxyPass /any http://%{HTTP_HOST}/
END
: >"$tmp/want"
options= golden 'without the define nothing is printed' "$tmp/want" <<'END'
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
</Location>
END
unset options

cat >"$tmp/want" <<'END'
mod_mcp_oauth: protected locations

<Location "/mcp"> of mcp.example.com:443 (main server)
  stands at          DIR/case.conf:1
  resource           https://mcp.example.com/mcp
  metadata           https://mcp.example.com/.well-known/oauth-protected-resource/mcp served on /.well-known/oauth-protected-resource/mcp and, as the only resource of this host, on /.well-known/oauth-protected-resource
  requests go to     http://127.0.0.1:3001/mcp (ProxyPass, DIR/case.conf:4)
  issuer             https://sso.example.com/realms/mcp
    server           https://sso.example.com/realms/mcp
    keys             discovered in the metadata of the issuer
    audiences        https://mcp.example.com/mcp
  every token needs  nothing more than issuer and audience
  DPoP               Optional: a token that is bound to a key needs a proof, any other one is a bearer token
  access rules       none: every valid token may do everything (McpOAuthACL Off)
  MCP server gets    no token
  browser origins    https://mcp.example.com and loopback origins
END
golden 'two directives' "$tmp/want" <<'END'
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com/realms/mcp
    ProxyPass http://127.0.0.1:3001/mcp
</Location>
END

cat >"$tmp/want" <<'END'
mod_mcp_oauth: protected locations

<Location "/mcp"> of mcp.example.com:443 (main server)
  stands at          DIR/case.conf:23
  resource           https://mcp.example.com/mcp
  metadata           https://mcp.example.com/meta/mcp served on /meta/mcp and, as the only resource of this host, on /meta
  scopes advertised  mcp:use, mcp:more
  scopes in a 401    mcp:use
  requests go to     http://127.0.0.1:3001/mcp (ProxyPass, DIR/case.conf:54)
  issuer             https://one.example.com
    server           https://login.example.com/
    keys             file DIR/jwks.json
    audiences        api://one, api://two
    algorithms       RS256, ES256
    token types      at+jwt
    clock skew       5s
  issuer             https://two.example.com
    server           https://two.example.com
    keys             https://two.example.com/certs
    introspection    https://two.example.com/introspect, as client gateway; answers must be signed
    audiences        api://mcp
  issuer             https://three.example.com
    server           https://three.example.com
    keys             discovered in the metadata of the issuer
    audiences        api://mcp
  audience match     hierarchical: an audience above an accepted one is accepted, too
  every token needs  scope mcp:use (read from claim scp) claim realm_access.roles with one of staff, admin claim tenant with acme a client that is one of cli, web acr one of gold, silver a user who logged in at most 10min ago
  DPoP               Required: every token must be bound to a key and come with a proof; proofs need a nonce of this server
  token is sent in   X-Token
  access rules       On: what is not allowed here is refused; values are read from claim scp
    any valid token  initialize, ping, server/discover, notifications/*, logging/setLevel, response, GET, DELETE, subscriptions/listen, tools/list
    mcp:read (or mcp:admin) resource:file:///docs/*
    mcp:read (or mcp:admin) and mcp:write tool:a b, tools/call:c*
    nobody may do    completion/complete (only some: resource:file:///docs/*), prompts/get, prompts/list, resources/list, resources/read (only some: file:///docs/*), resources/subscribe (only some: file:///docs/*), resources/templates/list, resources/unsubscribe (only some: file:///docs/*), tasks/cancel, tasks/get, tasks/list, tasks/result, tasks/update, tools/call (only some: a b, c*)
    lists            show only what these rules let the caller use
  rate limits        60/1min of all requests together, for each user of each client 5/10s tools/call 5/10s @list
  httpd requires     valid-user mcp-scope a b (inside <RequireAny>)
  MCP server gets    the token, in X-Token X-User: claim sub
  REMOTE_USER        claim preferred_username
  browser origins    https://app.example.com
  largest body       2097152 bytes
  deepest nesting    32
  batches            allowed for protocol version 2025-03-26
  streams            end when their token expires
  sessions           belong to who opened them
END
cat >"$tmp/row" <<END
McpOAuthSessionKey file:$tmp/session
<McpOAuthIssuer "https://one.example.com">
    McpOAuthAuthorizationServer https://login.example.com/
    McpOAuthJwks file:$tmp/jwks.json
    McpOAuthAlgorithms ES256 RS256
    McpOAuthTokenType at+jwt
    McpOAuthClockSkew 5s
    McpOAuthAudience api://one api://two
</McpOAuthIssuer>
<McpOAuthIssuer "https://two.example.com">
    McpOAuthJwks certs
    McpOAuthIntrospection introspect
    McpOAuthIntrospectionSigned On
    McpOAuthClientId gateway
    McpOAuthClientSecret env:MCP_CLIENT_SECRET
</McpOAuthIssuer>
<IfModule mcp_oauth_module>
<IfModule !mod_nowhere.c>
McpOAuthAudience api://mcp
McpOAuthScopeClaim scp
</IfModule>
</IfModule>
<Location "/mcp">
    McpOAuthIssuer https://one.example.com https://two.example.com
    McpOAuthIssuer https://three.example.com
    McpOAuth On
    McpOAuthMetadataPath /meta
    McpOAuthAudienceMatch hierarchical
    McpOAuthRequireScope mcp:use
    McpOAuthScopesSupported mcp:use mcp:more
    McpOAuthRequireClaim realm_access.roles staff admin
    McpOAuthRequireClaim tenant acme
    McpOAuthAuthorizedParty cli web
    McpOAuthRequireACR gold silver
    McpOAuthMaxAuthAge 10min
    McpOAuthDPoP Required
    McpOAuthDPoPNonce On
    McpOAuthTokenHeader X-Token
    McpOAuthACL On
    McpOAuthAllow * @session tools/list
    McpOAuthAllow mcp:read resource:file:///docs/*
    McpOAuthAllow "mcp:read mcp:write" "tool:a b" tools/call:c*
    McpOAuthImplies mcp:admin mcp:read
    McpOAuthFilterLists On
    McpOAuthRateLimit 60/1min
    McpOAuthRateLimit 5/10s tools/call @list
    McpOAuthForwardToken On
    McpOAuthForwardClaim sub X-User
    McpOAuthRemoteUser preferred_username
    McpOAuthOrigin https://app.example.com
    McpOAuthMaxBody 2M
    McpOAuthMaxDepth 32
    McpOAuthBatch On
    ProxyPass http://somebody:$secret@127.0.0.1:3001/mcp?$secret=1
    McpOAuthStreamExpiry On
    McpOAuthSessionBinding On
    Require valid-user
    <RequireAny>
        Require mcp-scope a b
    </RequireAny>
</Location>
END
head -c 40 /dev/zero | tr '\0' k >"$tmp/session"
chmod 600 "$tmp/session"
golden 'everything that can be said, and no secret' "$tmp/want" <"$tmp/row"
wide=$(awk 'length($0) > 100 && $0 !~ /^ *[^ ]+ *[^ ]*$/' "$tmp/out")
report "$([ -s "$tmp/out" ] && [ -z "$wide" ] && echo 1)" 'lines are no wider than 100 columns'

cat >"$tmp/want" <<'END'
mod_mcp_oauth: protected locations

<Location "/mcp"> of mcp.example.com:443 (main server)
  stands at          DIR/case.conf:21
  resource           https://mcp.example.com/mcp
  metadata           https://mcp.example.com/.well-known/oauth-protected-resource/mcp served on /.well-known/oauth-protected-resource/mcp and, as the only resource of this host, on /.well-known/oauth-protected-resource
  requests go to     http://127.0.0.1:3001/mcp (ProxyPass, DIR/case.conf:23)
  issuer             https://sso.example.com
    server           https://sso.example.com
    keys             discovered in the metadata of the issuer
    audiences        https://mcp.example.com/mcp
  every token needs  nothing more than issuer and audience
  DPoP               Optional: a token that is bound to a key needs a proof, any other one is a bearer token
  access rules       none: every valid token may do everything (McpOAuthACL Off)
  MCP server gets    no token
  browser origins    https://mcp.example.com and loopback origins
  warning: DIR/case.conf:23: ProxyPass sends requests such as /mcp/health (McpOAuth Off) of two.example.com:443 to localhost:3001, too, and no token is asked for there

<Location "/mcp"> of two.example.com:443
  stands at          DIR/case.conf:21
  virtual host       DIR/case.conf:1
  resource           https://two.example.com/mcp
  metadata           https://two.example.com/.well-known/oauth-protected-resource/mcp served on /.well-known/oauth-protected-resource/mcp
  requests go to     http://127.0.0.1:3001/mcp (ProxyPass, DIR/case.conf:23)
  issuer             https://sso.example.com
    server           https://sso.example.com
    keys             discovered in the metadata of the issuer
    audiences        https://two.example.com/mcp
  every token needs  nothing more than issuer and audience
  DPoP               Optional: a token that is bound to a key needs a proof, any other one is a bearer token
  access rules       none: every valid token may do everything (McpOAuthACL Off)
  MCP server gets    no token
  browser origins    https://two.example.com and loopback origins

<LocationMatch "^/v[0-9]/mcp"> of two.example.com:443
  stands at          DIR/case.conf:3
  virtual host       DIR/case.conf:1
  pattern            which paths match is judged per request, and with it which other sections apply; this is what it says over the settings of the server alone
  resource           https://two.example.com/v
  metadata           https://two.example.com/.well-known/oauth-protected-resource/v served on /.well-known/oauth-protected-resource/v
  requests go to     unix:/run/mcp.sock|http://localhost/ (SetHandler, DIR/case.conf:10)
  issuer             https://sso.example.com
    server           https://sso.example.com
    keys             discovered in the metadata of the issuer
    audiences        https://two.example.com/v
  every token needs  nothing more than issuer and audience
  DPoP               Off: a token that is bound to a key or a certificate is refused
  access rules       Shadow: nothing is refused; what these rules would refuse is logged and counted; values are read from claim scope
    a                everything
  MCP server gets    no token
  browser origins    any (*)

<Location "/mcp"> of three.example.com:8443
  stands at          DIR/case.conf:21
  virtual host       DIR/case.conf:16
  resource           https://three.example.com:8443/mcp
  metadata           https://three.example.com:8443/.well-known/oauth-protected-resource/mcp served on /.well-known/oauth-protected-resource/mcp and, as the only resource of this host, on /.well-known/oauth-protected-resource
  requests go to     http://127.0.0.1:3001/mcp (ProxyPass, DIR/case.conf:23)
  issuer             https://sso.example.com
    server           https://sso.example.com
    keys             discovered in the metadata of the issuer
    audiences        https://three.example.com:8443/mcp
  every token needs  nothing more than issuer and audience
  DPoP               Optional: a token that is bound to a key needs a proof, any other one is a bearer token
  access rules       none: bodies are not read (McpOAuthInspect Off), every valid token may send anything
  MCP server gets    no token
  browser origins    https://three.example.com:8443 and loopback origins

Not protected, as McpOAuth Off says:
  <Location "/mcp/health"> DIR/case.conf:12 of two.example.com:443
END
golden 'virtual hosts in the order of the files, with what they inherit, patterns and exceptions' "$tmp/want" <<'END'
<VirtualHost 127.0.0.1:1>
    ServerName https://two.example.com:443
    <LocationMatch "^/v[0-9]/mcp">
        McpOAuth On
        McpOAuthResource https://two.example.com/v
        McpOAuthACL Shadow
        McpOAuthAllow a *
        McpOAuthDPoP Off
        McpOAuthOrigin *
        SetHandler "proxy:unix:/run/mcp.sock|http://localhost/"
    </LocationMatch>
    <Location "/mcp/health">
        McpOAuth Off
    </Location>
</VirtualHost>
<VirtualHost 127.0.0.1:2>
    ServerName https://three.example.com:8443
    McpOAuthInspect Off
</VirtualHost>
McpOAuthIssuer https://sso.example.com
<Location "/mcp">
    McpOAuth On
    ProxyPass http://127.0.0.1:3001/mcp
</Location>
END

# --- rules that look wrong -----------------------------------------------------------------------------------------------
# A protected location with these lines; what it is about stands in line 5 and further ones.
with() {
    printf '<Location "/mcp">\n    McpOAuth On\n    McpOAuthIssuer https://sso.example.com\n    ProxyPass http://127.0.0.1:3001/mcp\n'
    cat
    printf '</Location>\n'
}
rules() { # rules NAME TEXT... <lines
    with >"$tmp/row"
    says "$@" <"$tmp/row"
}
rules 'rules that nobody asks' 'there are McpOAuthAllow lines, and McpOAuthACL Off does not ask them' 'every valid token may do everything (McpOAuthACL Off)' <<'END'
    McpOAuthAllow * @session
END
rules 'rules that are asked' -warning <<'END'
    McpOAuthACL On
    McpOAuthAllow * @session
END
rules 'nothing is allowed to anybody' 'nobody may do    anything, as there is no McpOAuthAllow' 'nobody may do initialize or server/discover' <<'END'
    McpOAuthACL On
END
rules 'the door is closed' 'warning: nobody may do initialize or server/discover' <<'END'
    McpOAuthACL Shadow
    McpOAuthAllow a tools/*
END
rules 'a useless rule, and where it stands' 'warning: DIR/case.conf:7: McpOAuthAllow "b a" is useless: whoever has its values may do all of that by DIR/case.conf:6: McpOAuthAllow a' <<'END'
    McpOAuthACL On
    McpOAuthAllow a @session tool:x*
    McpOAuthAllow "b a" tool:xy
END
rules 'a rule for what every request needs is one for all' 'warning: DIR/case.conf:8: McpOAuthAllow * is useless' <<'END'
    McpOAuthACL On
    McpOAuthRequireScope a
    McpOAuthAllow a @session
    McpOAuthAllow * @session
END
rules 'but not when scopes and values are read from different claims' 'DIR/case.conf:8: McpOAuthAllow a is useless' '-McpOAuthAllow * is useless' 'values are read from claim roles' <<'END'
    McpOAuthACL On
    McpOAuthACLClaim roles
    McpOAuthRequireScope a
    McpOAuthAllow a @session
    McpOAuthAllow * @session
END
rules 'a value that nothing asks for' 'warning: McpOAuthImplies admin other: nothing here asks for other' '-admin read: nothing' '-admin use: nothing' '-admin asked: nothing' <<'END'
    McpOAuthACL On
    McpOAuthRequireScope use
    McpOAuthAllow read @session
    McpOAuthImplies admin read other use asked
    Require mcp-scope asked
END
rules 'rules of a section and of those around it are one' 'any valid token  initialize' -warning <<'END'
    McpOAuthACL On
    McpOAuthAllow a tool:x
</Location>
<Location "/">
    McpOAuthAllow * @session
END
rules 'names that try to write something else' 'tool:\xe2\x80\xaeexe' '-‮' <<'END'
    McpOAuthACL On
    McpOAuthAllow a @session tool:‮exe
END

# --- locations that look wrong -------------------------------------------------------------------------------------------
says 'a location that contradicts itself' 'warning: it contradicts itself, and requests are refused with 500: McpOAuthACL needs the bodies' 'nobody may do    anything' <<'END'
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
    McpOAuthACL On
</Location>
<Location "/mcp/inner">
    McpOAuthInspect Off
</Location>
END
no_handler='warning: no ProxyPass, RewriteRule with [P] or handler is seen that answers here'
says 'nothing answers' "$no_handler" <<'END'
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
</Location>
ProxyPass /other http://127.0.0.1:3001/
ProxyPass /mcp !
END
answers() { # answers LINE   in a protected location, or beside it when it is for the server
    for where in inside outside; do
        case $where:$1 in inside:server:*) continue ;; outside:server:*) line=${1#server:} ;; outside:*) continue ;; *) line=$1 ;; esac
        {
            printf '<Location "/mcp">\n    McpOAuth On\n    McpOAuthIssuer https://sso.example.com\n'
            [ $where = outside ] || echo "    $line"
            echo '</Location>'
            [ $where = inside ] || echo "$line"
        } >"$tmp/row"
        says "$line answers" "-$no_handler" 'requests go to' <"$tmp/row"
    done
}
answers 'ProxyPass http://127.0.0.1:3001/mcp'
answers 'SetHandler server-status'
answers 'SetHandler "proxy:http://127.0.0.1:3001/"'
answers 'RewriteRule ^ http://127.0.0.1:3001/mcp [P]'
answers 'server:ProxyPass /mcp http://127.0.0.1:3001/mcp'
answers 'server:ProxyPass "/" "http://127.0.0.1:3001/"'
answers 'server:ProxyPassMatch ^/mcp(.*)$ http://127.0.0.1:3001/mcp$1'
answers 'server:RewriteRule ^/mcp http://127.0.0.1:3001/mcp [NE,P]'
answers 'server:ScriptAlias /mcp /usr/lib/cgi-bin/mcp'
answers 'server:AliasMatch ^/m /srv'

# --- ways around ---------------------------------------------------------------------------------------------------------
# around TEXT|none <lines   beside a location /mcp whose requests go to 127.0.0.1:3001. The backend is named in TEXT by PORT.
around() {
    want=$1 name=$2
    {
        cat
        printf '<Location "/mcp">\n    McpOAuth On\n    McpOAuthIssuer https://sso.example.com\n    ProxyPass http://127.0.0.1:3001/mcp\n</Location>\n'
    } >"$tmp/row"
    if [ "$want" = none ]; then
        says "$name" -warning 'requests go to' <"$tmp/row"
    else
        says "$name" "warning: DIR/case.conf:$want" <"$tmp/row"
    fi
}
to='to localhost:3001, too, and no token is asked for there'
main='mcp.example.com:443 (main server)'
lines() { # lines TEXT|none LINE...
    want=$1; shift
    for line; do
        echo "$line" >"$tmp/line"
        around "$want" "$line" <"$tmp/line"
    done
}
lines "1: ProxyPass sends requests such as /open of $main $to" 'ProxyPass /open http://127.0.0.1:3001/' \
    'ProxyPass "/open" "http://LOCALHOST:3001/x"' 'ProxyPass /open https://127.0.0.1:3001/ retry=0' 'ProxyPass /open ws://[::1]:3001/' \
    'ProxyPass /open h2c://someone@127.0.0.1:3001' 'ProxyPass ~ ^/open$ http://127.0.0.1:3001/'
lines "1: ProxyPass sends requests such as / of $main $to" 'ProxyPass / http://127.0.0.1:3001/'
lines none 'ProxyPass /open http://127.0.0.1:3002/' 'ProxyPass /open http://127.0.0.2:3001/' 'ProxyPass /open http://127.0.0.1/' \
    'ProxyPass /mcp http://127.0.0.1:3001/' 'ProxyPass /mcp/deeper http://127.0.0.1:3001/' 'ProxyPass /open !' \
    'RewriteRule ^/open http://127.0.0.1:3001/ [R]' 'RewriteRule ^/open http://127.0.0.1:3001/' 'ProxyPassMatch ^/mcp$ http://127.0.0.1:3001/' \
    'ProxyPassMatch ^/mcp(/.*)?$ http://127.0.0.1:3001/mcp$1' 'RewriteRule ^/mcp/(.*) http://127.0.0.1:3001/mcp/$1 [P]' \
    'SetHandler None' 'ProxyRequests Off'
lines "1: ProxyPassMatch sends requests such as /mcpx of $main $to" 'ProxyPassMatch ^/mcp(.*)$ http://127.0.0.1:3001/mcp$1'
lines "1: RewriteRule sends requests such as /open/ of $main $to" 'RewriteRule ^/open/(.*)$ ws://127.0.0.1:3001/$1 [P,L]' \
    'RewriteRule ^/open/ http://127.0.0.1:3001 [NC,proxy]'
lines "1: RewriteRule sends requests such as /open of $main $to" 'RewriteRule ^/(open|shut) http://127.0.0.1:3001$1 "[L, P]"' \
    'RewriteRule ^/(open.*) http://127.0.0.1:3001/$1 [P]'
lines "1: RewriteRule sends requests such as /aa of $main $to" 'RewriteRule ^/(a{2}|b)[^/]?$ http://127.0.0.1:3001/$1 [P]'
lines '1: ProxyRequests On makes a forward proxy' 'ProxyRequests On'
lines "1: RewriteRule sends requests such as /any/ of $main to a backend that depends on the request" \
    'RewriteRule ^/any/(.*) http://%{HTTP_HOST}/$1 [P]' 'RewriteRule ^/any/(.*) http://$1 [P]'
lines none 'RewriteRule ^/mcp/(.*) http://%{HTTP_HOST}/$1 [P]'
around "2: ProxyPass sends requests such as /open of $main $to" 'ProxyPass in another location' <<'END'
<Location "/open">
    ProxyPass http://127.0.0.1:3001/open
</Location>
END
around none 'McpOAuth Off inside, in front of what overrules it' <<'END'
<Location "/mcp/health">
    McpOAuth Off
</Location>
END
says 'McpOAuth Off inside, by what the location itself says' "3: ProxyPass sends requests such as /mcp/health (McpOAuth Off) of $main $to" <<'END'
<Location "/mcp">
    McpOAuth On
    ProxyPass http://127.0.0.1:3001/mcp
    McpOAuthIssuer https://sso.example.com
</Location>
<Location "/mcp/health">
    McpOAuth Off
</Location>
END
says 'McpOAuth Off inside, where nothing is proxied' -warning <<'END'
<Location "/mcp">
    McpOAuth On
    ProxyPass http://127.0.0.1:3001/mcp
    McpOAuthIssuer https://sso.example.com
</Location>
<Location "/mcp/health">
    McpOAuth Off
    ProxyPass !
</Location>
END
around none 'another backend for all the rest' <<'END'
<Location "/">
    ProxyPass http://127.0.0.1:8080/
</Location>
END
says 'the first ProxyPass decides' -warning <<'END'
ProxyPass /mcp/health !
ProxyPass /mcp http://127.0.0.1:3001/mcp
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
</Location>
<Location "/mcp/health">
    McpOAuth Off
</Location>
END
says 'and no later one' "1: ProxyPass sends requests such as /mcp/health (McpOAuth Off) of $main $to" <<'END'
ProxyPass /mcp http://127.0.0.1:3001/mcp
ProxyPass /mcp/health !
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
</Location>
<Location "/mcp/health">
    McpOAuth Off
</Location>
END
around "2: SetHandler sends requests to localhost:3001, too; no path tells which" 'a handler for files' <<'END'
<FilesMatch "\.mcp$">
    SetHandler "proxy:http://localhost:3001/"
</FilesMatch>
END
around none 'a handler for files that goes elsewhere' <<'END'
<FilesMatch "\.php$">
    SetHandler "proxy:fcgi://localhost:9000/"
</FilesMatch>
END
around "3: SetHandler sends requests such as /open of $main $to (inside <If>, which is judged per request)" 'inside <If>' <<'END'
<Location "/open">
    <If "true">
        SetHandler "proxy:http://127.0.0.1:3001/"
    </If>
</Location>
END
around "1: ProxyPass sends requests such as /open of $main $to" 'members of a balancer' <<'END'
ProxyPass /open balancer://Cluster/x
<Proxy "balancer://cluster">
    BalancerMember http://10.0.0.1:3001
    BalancerMember http://127.0.0.1:3001 route=a
</Proxy>
END
around "1: ProxyPass sends requests such as /open of $main $to" 'members of a balancer outside of <Proxy>' <<'END'
ProxyPass /open balancer://cluster
BalancerMember balancer://cluster http://127.0.0.1:3001
END
around none 'members of another balancer' <<'END'
ProxyPass /open balancer://cluster/
<Proxy "balancer://other">
    BalancerMember http://127.0.0.1:3001
</Proxy>
<Proxy "balancer://cluster">
    BalancerMember http://127.0.0.1:3002
</Proxy>
END
says 'one balancer' "5: ProxyPass sends requests such as /open of $main to balancer://cluster, too" <<'END'
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
</Location>
ProxyPass /open balancer://cluster/
ProxyPass /mcp balancer://cluster/mcp
END
says 'one socket' "6: ProxyPass sends requests such as /open of $main to unix:/run/mcp.sock, too" <<'END'
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
    ProxyPass unix:/run/mcp.sock|http://localhost/
</Location>
ProxyPass /open unix:/run/mcp.sock|http://other/
END
host='<VirtualHost 127.0.0.1:1>
    ServerName https://two.example.com:443'
around "3: ProxyPass sends requests such as /open of two.example.com:443 $to" 'a virtual host' <<END
$host
    ProxyPass /open http://127.0.0.1:3001/
</VirtualHost>
END
says 'what virtual hosts inherit' "1: ProxyPass sends requests such as /mcp of $main and two.example.com:443 $to" <<END
ProxyPass /mcp http://127.0.0.1:3001/mcp
$host
</VirtualHost>
<VirtualHost 127.0.0.1:2>
    ServerName https://three.example.com:443
    <Location "/mcp">
        McpOAuth On
        McpOAuthIssuer https://sso.example.com
    </Location>
</VirtualHost>
END
says 'unless they say ProxyPassInherit Off' "1: ProxyPass sends requests such as /mcp of $main $to" <<END
ProxyPass /mcp http://127.0.0.1:3001/mcp
$host
    ProxyPassInherit Off
</VirtualHost>
<VirtualHost 127.0.0.1:2>
    ServerName https://three.example.com:443
    <Location "/mcp">
        McpOAuth On
        McpOAuthIssuer https://sso.example.com
    </Location>
</VirtualHost>
END
rewrite='RewriteRule ^/open/ http://127.0.0.1:3001/ [P]'
around "1: RewriteRule sends requests such as /open/ of $main $to" 'RewriteRule is not inherited' <<END
$rewrite
$host
</VirtualHost>
END
around "1: RewriteRule sends requests such as /open/ of $main and two.example.com:443 $to" 'unless the virtual host says so' <<END
$rewrite
$host
    RewriteOptions Inherit
</VirtualHost>
END
says 'many hosts are counted' ' of a.example.com:443 and b.example.com:443 and c.example.com:443 and 2 more to localhost:3001' <<END
<Location "/mcp">
    McpOAuth On
    McpOAuthIssuer https://sso.example.com
    ProxyPass http://127.0.0.1:3001/
</Location>
$(for h in a b c d e; do printf '<VirtualHost 127.0.0.1:1>\n    ServerName https://%s.example.com:443\n    <Location "/mcp/open">\n        McpOAuth Off\n    </Location>\n</VirtualHost>\n' $h; done)
END
report "$([ "$(grep -c 'warning:' "$tmp/joined")" = 1 ] && echo 1)" 'and each line is warned of once'

echo "1..$((ok + not_ok))"
echo "# $ok ok, $not_ok not ok"
[ $not_ok = 0 ]
