# What the backend is told: design 2.7, requirements.md TOK-2, POP-9, TRN-21, threats.md H03, H04, item 7.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;

my $backend = MCP::Backend->start(port('proxy_backend'));
my $mark = log_mark();
my $token = bearer('proxy');
my $ok = rpc_body('tools/call', { name => 'ok' });

sub seen {
    my ($path, %opt) = @_;
    $backend->clear;
    my $r = post(proxy => $path, $ok, %opt);
    my @all = $backend->requests;
    diag "$path: $r->{code} $r->{body}" unless @all == 1;
    return @all == 1 ? $all[0] : { headers => {}, lines => [] };
}
sub lines { my ($seen, $re) = @_; map { "$_->[0]: $_->[1]" } grep { $_->[0] =~ $re } @{ $seen->{lines} } }

# --- the token
for (['Bearer ' . $token, 'TOK-2 Bearer'], ["bearer $token", 'TOK-2 bearer'], ["BEARER  $token", 'TOK-2 two blanks']) {
    my ($value, $name) = @$_;
    my $s = seen('/mcp', headers => [Authorization => $value]);
    is $s->{headers}{'x-mcp-user'}, 'alice', "$name passes";
    unlike $s->{raw} // $token, qr/\Q$token\E/, "$name: the token is nowhere in the request";
    is_deeply [lines($s, qr/^(?:Proxy-)?Authorization$/i)], [], "$name: no Authorization";
}
is seen('/mcp/forward', token => $token)->{headers}{authorization}, "Bearer $token", 'McpOAuthForwardToken On';
is seen('/mcp/forward', token => $token)->{headers}{'x-mcp-user'}, 'alice', 'McpOAuthForwardToken On: claims as well';
{
    my $s = seen('/mcp/header', headers => ['X-Access-Token', $token, 'Authorization', 'Basic Zm9yOmJhY2tlbmQ=']);
    is $s->{headers}{'x-access-token'}, undef, 'McpOAuthTokenHeader: that header is removed';
    is $s->{headers}{authorization}, 'Basic Zm9yOmJhY2tlbmQ=', 'McpOAuthTokenHeader: Authorization is the backend\'s';
    for my $verb (qw(GET DELETE)) {
        $backend->clear;
        http(proxy => $verb => '/mcp', token => $token);
        is +($backend->requests)[0]{headers}{authorization}, undef, "TOK-2 $verb: no token";
    }
}

# --- ForwardClaim: values
sub value_of {
    my ($value, $claim) = @_;
    my $s = seen('/mcp', token => token(aud => 'https://mcp.test/proxy', $claim // 'value' => $value));
    my @l = lines($s, $claim ? qr/^X-Mcp-User$/i : qr/^X-Mcp-Value$/i);
    return undef unless @l;
    return @l == 1 ? $l[0] =~ s/^[^:]*: //r : "@l";
}
for (
    ['text' => 'hello', 'hello'], ['text with a comma' => 'a,b', 'a,b'], ['text with %' => '100%', '100%25'], ['text with % and hex' => 'a%41', 'a%2541'],
    ['non-ASCII' => "J\x{fc}rgen \x{4e16}", 'J%C3%BCrgen %E4%B8%96'], ['beyond the BMP' => "\x{1f600}", '%F0%9F%98%80'],
    ['CR LF' => "a\r\nX-Evil: 1", 'a%0D%0AX-Evil: 1'], ['a tab' => "a\tb", 'a%09b'], ['DEL' => "a\x{7f}", 'a%7F'], ['quotes' => q(a"b'c\\), q(a"b'c\\)],
    ['all of ASCII' => join('', map { chr } 0x21 .. 0x24, 0x26 .. 0x7e), join '', map { chr } 0x21 .. 0x24, 0x26 .. 0x7e],
    ['a number' => \'7', '7'], ['a negative number' => \'-12', '-12'], ['a big number' => \'9007199254740993', '9007199254740993'], ['a fraction' => \'1.5', '1.5'],
    ['zero' => \' 0', '0'], ['true' => \1, 'true'], ['false' => \0, 'false'],
    ['an array' => ['a', 'b', 'c'], 'a,b,c'], ['one in an array' => ['a'], 'a'], ['a mixed array' => \'["a",7,true,false,1.5]', 'a,7,true,false,1.5'],
    ['commas in an array' => ['a,b', 'c'], 'a%2Cb,c'], ['% in an array' => ['50%', 'c'], '50%25,c'], ['non-ASCII in an array' => ["\x{e9}", 'x'], '%C3%A9,x'],
    ['blanks in an array' => ['a b', 'c'], 'a b,c'],
) {
    my ($name, $value, $want) = @$_;
    is value_of($value), $want, "ForwardClaim: $name";
}
is value_of($_->[1]), undef, "ForwardClaim: $_->[0] is absent" for ['null', \'null'], ['an empty text', ''], ['an empty array', []], ['nothing', undef];
for (['an object' => { a => 1, b => ['x,y', undef] }], ['an array of arrays' => [['a'], ['b']]], ['an array with an object' => ['a', { b => 1 }]],
    ['non-ASCII in an object' => { a => "\x{e9}%\x{1f600}" }], ['an array with null' => ['a', undef]]) {
    my $got = value_of($_->[1]) // '';
    unlike $got, qr/[^\x20-\x7e]/, "ForwardClaim: $_->[0] has only ASCII";
    (my $text = $got) =~ s/%([0-9A-F]{2})/chr hex $1/ge;
    is_deeply scalar eval { json($text) }, $_->[1], "ForwardClaim: $_->[0] as JSON" or diag $got;
}
is seen('/mcp', token => bearer('proxy', undef, realm_access => { roles => ['x', 'y'] }))->{headers}{'x-mcp-roles'}, 'x,y', 'ForwardClaim: a path';
is seen('/mcp', token => bearer('proxy', undef, 'realm_access.roles' => ['x']))->{headers}{'x-mcp-roles'}, undef, 'ForwardClaim: a dotted path is no name';
is_deeply [lines(seen('/mcp', token => bearer('proxy', undef, sub => "eve\r\nX-Evil: 1\r\n\r\nGET / HTTP/1.1")), qr/^X-Evil$/i)], [], 'TOK-21 no header out of a claim';
# of this token, not of the one before
for my $who ('alice', 'bob', undef, 'carol') {
    is value_of($who, 'sub'), $who, 'ForwardClaim: the identity of this token: ' . ($who // 'none');
}

# --- H03: copies of the client
my @spellings = ('X-Mcp-User', 'x-mcp-user', 'X-MCP-USER', 'x-Mcp-uSER', 'X_Mcp_User', 'x_mcp_user', 'X-Mcp_User', 'X.Mcp.User', 'X-Mcp.User');
sub raw {
    my ($path, $auth, @lines) = @_;
    $backend->clear;
    my $hop = grep { /^(?:Connection|Upgrade):/ } @lines;
    my $r = http(proxy => POST => $path, token => $auth, headers => ['Content-Type', 'application/json', map { split /: ?/, $_, 2 } @lines], body => $ok,
        $hop ? (keep => 1, h1 => 'fields of a connection') : ());
    return ($r, ($backend->requests)[0]);
}
my $nobody = bearer('proxy', undef, sub => undef);
for my $name (@spellings) {
    my ($r, $s) = raw('/mcp', $token, "$name: root");
    ok $r->{code} == 400 || "@{[lines($s, qr/^x[^a-z0-9]?mcp[^a-z0-9]?user$/i)]}" =~ /^X-Mcp-User: alice$/i, "H03 $name is replaced by the claim"
        or diag $r->{code}, ' ', lines($s, qr/mcp/i);
    ($r, $s) = raw('/mcp', $nobody, "$name: root");
    ok $r->{code} == 400 || $s && !lines($s, qr/^x[^a-z0-9]?mcp[^a-z0-9]?user$/i), "H03 $name is removed when there is no claim" or diag $r->{code}, ' ', lines($s, qr/mcp/i);
    ($r, $s) = raw('/mcp/open', undef, "$name: root");
    ok $r->{code} == 400 || $s && !lines($s, qr/^x[^a-z0-9]?mcp[^a-z0-9]?user$/i), "H03 $name is removed where McpOAuth is Off inside" or diag $r->{code}, ' ', lines($s, qr/mcp/i);
    ($r, $s) = raw('/mcp/raw', $nobody, "$name: root");
    ok $r->{code} == 400 || $s && !lines($s, qr/^x[^a-z0-9]?mcp[^a-z0-9]?user$/i), "H03 $name is removed with McpOAuthInspect Off" or diag $r->{code}, ' ', lines($s, qr/mcp/i);
}
{
    my ($r, $s) = raw('/mcp', $token, map { "$_: root" } @spellings[0 .. 5], 'X-Mcp-User');
    is_deeply [map { lc } lines($s, qr/^x.?mcp.?user$/i)], ['x-mcp-user: alice'], 'H03 all at once';
    ($r, $s) = raw('/mcp', $nobody, 'X-Mcp-User: root', 'X-Mcp-Client: root', 'X-Mcp-Value: root', 'X-Mcp-Roles: admin', 'X-Mcp-Users: kept', 'X-Mcp: kept');
    is_deeply [sort map { lc } lines($s, qr/^X-Mcp/i)], ['x-mcp-client: client-1', 'x-mcp-users: kept', 'x-mcp: kept'], 'H03 each of them, and no other'
        or diag explain [lines($s, qr/^X-Mcp/i)];
    for my $verb (qw(GET DELETE HEAD)) {
        $backend->clear;
        http(proxy => $verb => '/mcp', token => $nobody, headers => ['X-Mcp-User', 'root', 'x_mcp_user', 'root']);
        is_deeply [lines(($backend->requests)[0], qr/^x.?mcp.?user$/i)], [], "H03 $verb";
        $backend->clear;
        http(proxy => $verb => '/mcp/open', headers => ['X-Mcp-User', 'root']);
        is_deeply [lines(($backend->requests)[0], qr/^x.?mcp.?user$/i)], [], "H03 $verb where McpOAuth is Off inside";
    }
}

# --- H04: Connection
my @session = ('Mcp-Session-Id: abc', 'Last-Event-ID: 7');
for my $value ('close, X-Mcp-User, Mcp-Session-Id, Authorization', 'X-Mcp-User, close', 'close,x-mcp-user', 'close, X_Mcp_User', "close,\tX-MCP-USER ,", 'X-Mcp-User') {
    my ($r, $s) = raw('/mcp', $token, @session, 'X-Mcp-User: root', "Connection: $value");
    ok $r->{code} == 400 || ($s->{headers}{'x-mcp-user'} // '') eq 'alice', "H04 Connection: $value: the identity arrives" or diag $r->{code}, explain $s->{lines};
    ok $r->{code} == 400 || ($s->{headers}{'mcp-session-id'} // '') eq 'abc', "H04 Connection: $value: Mcp-Session-Id arrives" or diag $r->{code}, explain $s->{lines};
    is $s && $s->{headers}{authorization}, undef, "H04 Connection: $value: no token";
    ($r, $s) = raw('/mcp', $nobody, 'X-Mcp-User: root', "Connection: $value");
    is $s && $s->{headers}{'x-mcp-user'}, undef, "H04 Connection: $value: nor a spoofed identity";
}
{
    my ($r, $s) = raw('/mcp', $token, 'Connection: close', 'Connection: X-Mcp-User', 'Connection: X-Mcp-Client');
    ok $r->{code} == 400 || ($s->{headers}{'x-mcp-user'} // '') eq 'alice' && ($s->{headers}{'x-mcp-client'} // '') eq 'client-1', 'H04 several Connection lines'
        or diag $r->{code}, explain $s->{lines};
    ($r, $s) = raw('/mcp/forward', $token, 'Connection: close, Authorization');
    ok $r->{code} == 400 || ($s->{headers}{authorization} // '') eq "Bearer $token", 'H04 ForwardToken: Authorization named in Connection still arrives' or diag $r->{code};
    for my $name ('Mcp-Method', 'Mcp-Name', 'MCP-Protocol-Version') {
        my @h = modern_headers('tools/call', 'ok');
        $backend->clear;
        my $r = post(proxy => '/mcp', modern_body('tools/call', { name => 'ok' }), token => $token, headers => [@h, Connection => "close, $name"], keep => 1,
            h1 => 'fields of a connection');
        my ($s) = $backend->requests;
        ok $r->{code} == 400 || defined $s->{headers}{ lc $name }, "H04 $name named in Connection still arrives" or diag $r->{code}, explain $s->{lines};
    }
}

# --- Upgrade, and what passes
for my $value ('websocket', 'h2c', 'websocket, h2c', 'TLS/1.0') {
    my ($r, $s) = raw('/mcp', $token, "Upgrade: $value", 'Connection: Upgrade, close', 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA');
    is $r->{code}, 200, "1.3 Upgrade: $value: the message passes";
    is $s->{headers}{upgrade}, undef, "1.3 Upgrade: $value is removed";
}
{
    my %pass = ('Mcp-Session-Id' => '1868a90c-8d3b', 'Last-Event-ID' => 'a b/7', 'Mcp-Param-Region' => '=?base64?eA==?=', 'MCP-Protocol-Version' => '2025-11-25',
        'Accept' => 'application/json, text/event-stream', 'X-Other' => 'kept', 'Mcp-Method' => 'tools/call', 'Mcp-Name' => 'ok', 'traceparent' => '00-x-y-01',
        'Accept-Language' => 'de', 'User-Agent' => 'test/1');
    my $s = seen('/mcp', token => $token, headers => [%pass]);
    is $s->{headers}{ lc $_ }, $pass{$_}, "TRN-10 TRN-12 $_ passes" for sort keys %pass;
    is $s->{headers}{'content-type'}, 'application/json', 'Content-Type passes';
    is $s->{path}, '/mcp', 'the path';
    is seen('/mcp/x%20y?a=b&c=%2f', token => $token)->{target}, '/mcp/x%20y?a=b&c=%2f', 'the query';
}
# where nothing of ours applies, nothing is touched
is seen('/plain', headers => ['X-Mcp-User', 'anyone', 'Authorization', 'Basic eDp5'])->{headers}{'x-mcp-user'}, 'anyone', 'elsewhere headers are left alone';
no_crash($mark);

done_testing;
