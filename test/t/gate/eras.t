# Two eras on one URL: what is left of requirements.md ERA-1 to ERA-7, RPC-12, HDR-1 to HDR-13, TRN-5, TRN-6, TRN-15 to TRN-17, threats.md
# B10, B11 beside gate/mirror.t and gate/rpc.t.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Stream;
use MCP::Gate;

my $backend = MCP::Stream->start(port('revision_backend'));
my $token = bearer('rev');
my $mark = log_mark();
my $V = $VERSION_0728;
my ($PV, $CC) = map { "io.modelcontextprotocol/$_" } qw(protocolVersion clientCapabilities);
my %ok = (name => 'ok');
my @json = ('Content-Type', 'application/json');

sub modern { my ($method, $params, %opt) = @_; modern_post(revision => delete $opt{path} // '/eras', $method, $params, token => $token, %opt) }
sub legacy { my ($method, $params, %opt) = @_; rpc(revision => delete $opt{path} // '/eras', $method, $params, token => $token, %opt) }
# Not for us to answer: the backend gets it.
sub reaches {
    my ($name, $code) = @_;
    $backend->clear;
    my $r = $code->();
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @seen = $backend->requests;
    ok $r->{code} =~ /^20[02]$/ && @seen == 1, $name or diag "$r->{code} $r->{body}";
    return ($r, $seen[0]);
}

# --- ERA-1: each message by itself, whatever came before it on the connection
{
    my $c = dial('revision');
    my @opt = (keep => 1);
    my $lie = '{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"ok"}}';
    my @turns = (
        ['legacy, allowed', sub { legacy('tools/call', \%ok, @opt, @_) }, 200],
        ['modern, allowed', sub { modern('tools/call', \%ok, @opt, @_) }, 200],
        ['legacy, refused', sub { legacy('tools/call', { name => 'no' }, @opt, @_, id => 3) }, 403, 403],
        ['modern, refused', sub { modern('tools/call', { name => 'no' }, @opt, @_, id => 4) }, 403, 403],
        ['legacy, allowed after that', sub { legacy('tools/call', \%ok, @opt, @_) }, 200],
        ['modern, allowed after that', sub { modern('tools/call', \%ok, @opt, @_) }, 200],
        ['modern, refused again', sub { modern('tools/call', { name => 'no' }, @opt, @_) }, 403, 403],
        ['legacy without any header', sub { legacy('ping', undef, @opt, @_) }, 200],
        ['modern with another name in the header', sub { modern('tools/call', \%ok, @opt, @_, id => 6, headers => { 'Mcp-Name' => 'no' }) }, 400, -32020],
        ['legacy with the same header', sub { legacy('tools/call', \%ok, @opt, @_, headers => ['Mcp-Name' => 'ok', 'Mcp-Method' => 'tools/call']) }, 200],
        ['modern header, legacy body', sub { post(revision => '/eras', $lie, @opt, @_, token => $token, headers => [modern_headers('tools/call', 'ok')]) }, 400, -32602],
        ['legacy with its version', sub { legacy('tools/call', \%ok, @opt, @_, headers => ['MCP-Protocol-Version' => '2025-11-25']) }, 200],
        ['modern body, legacy header', sub { modern('tools/call', \%ok, @opt, @_, id => 10, headers => { 'MCP-Protocol-Version' => '2025-11-25' }) }, 400, -32020],
        ['modern, allowed, at the end', sub { modern('server/discover', {}, @opt, @_) }, 200],
    );
    $backend->clear;
    for (@turns) {
        my ($name, $how, $status, $code) = @$_;
        my $r = eval { $how->(on => $c) } || { code => "no answer: $@", body => '{}', headers => [] };
        $c = dial('revision') if $r->{code} eq 400;    # httpd ends the connection after each of these
        my $body = eval { json($r->{body}) } || {};
        is_deeply [$r->{code}, $body->{error} && $body->{error}{code}], [$status, $code], "ERA-1 one connection, each by its own era: $name";
    }
    is scalar($backend->requests), scalar(grep { $_->[2] == 200 } @turns), 'ERA-1 the refused ones were not proxied';
    ok !$c->closed(0.2), 'ERA-1 and the connection is still there';
}

# --- ERA-2, B11: no downgrade in either direction, whatever the message is
my $modern_meta = { $PV => $V, $CC => {} };
untouched $backend, 'ERA-2 B11 downgrade', sub {
    for my $version (undef, '2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25', '2026-07-27', '2026-7-28', 'latest', '', 'DRAFT-2026-v1') {
        my $shown = $version // 'absent';
        for (['tools/call' => \%ok], ['tools/call' => { name => 'no' }], ['initialize' => { protocolVersion => '2025-11-25', capabilities => {} }], ['subscriptions/listen' => { notifications => {} }]) {
            my ($method, $params) = @$_;
            refused_rpc(modern($method, $params, id => 'e2', headers => { 'MCP-Protocol-Version' => $version }), 400, -32020, '"e2"',
                "ERA-2 B11 header '$shown' over a modern $method" . ($params->{name} ? " $params->{name}" : ''));
        }
        my $note = rpc_body('notifications/cancelled', { requestId => 1, _meta => $modern_meta }, id => undef);
        refused_rpc(post(revision => '/eras', $note, token => $token, headers => defined $version ? ['MCP-Protocol-Version' => $version] : []), 400, -32020, undef,
            "ERA-2 B11 header '$shown' over a modern notification");
    }
    for my $version ($V, '2026-12-01', '2099-01-01') {
        my @h = ('MCP-Protocol-Version' => $version, 'Mcp-Method' => 'tools/call', 'Mcp-Name' => 'ok');
        for (['no _meta' => \%ok, -32602], ['_meta of 2025-11-25' => { %ok, _meta => { $PV => '2025-11-25', $CC => {} } }, -32020],
            ['_meta of 1999-01-01' => { %ok, _meta => { $PV => '1999-01-01', $CC => {} } }, -32020],
            ['_meta of 2026-07-29' => { %ok, _meta => { $PV => '2026-07-29', $CC => {} } }, -32020],
            ['_meta with blanks' => { %ok, _meta => { $PV => " $version", $CC => {} } }, -32020],
            ['_meta without a version' => { %ok, _meta => { $CC => {} } }, -32602]) {
            my ($name, $params, $code) = @$_;
            refused_rpc(post(revision => '/eras', rpc_body('tools/call', $params, id => 77), token => $token, headers => [@h]), 400, $code, '77',
                "ERA-2 RPC-12 header $version, $name");
        }
    }
};
reaches("ERA-2 RPC-12 extra members of _meta are the client's own", sub {
    modern('tools/call', \%ok, meta => { %$modern_meta, progressToken => 'p', 'test.example/x' => [1], 'io.modelcontextprotocol/logLevel' => 'debug',
        'io.modelcontextprotocol/clientInfo' => { name => 'x', version => '1' } }) });
refused_rpc(modern('tools/call', \%ok, meta => { %$modern_meta, $CC => $_ }), 400, -32602, '1', 'RPC-12 clientCapabilities ' . json_text($_) . ' is none')
    for [], 'x', 1, undef;

# --- ERA-3, ERA-4: legacy versions are the backend's matter
for (['no header' => []], ['the newest version in its body' => [], $V], ['header 2025-11-25' => ['MCP-Protocol-Version' => '2025-11-25']]) {
    my ($name, $headers, $version) = @$_;
    my (undef, $seen) = reaches("ERA-3 initialize with $name is proxied", sub {
        legacy('initialize', { protocolVersion => $version // '2025-11-25', capabilities => {}, clientInfo => { name => 'x', version => '1' } }, headers => $headers) });
    is $seen && $seen->{headers}{'mcp-protocol-version'}, $headers->[1], "ERA-3 initialize with $name: the header is as it was";
}
my $refusal = qq({"jsonrpc" : "2.0","id":null,\n "error":{"code":-32000,"message":"Bad Request: Unsupported protocol version (supported: 2025-06-18)"}}\n);
$backend->answers('/eras/old', '400 Bad Request', [@json], $refusal);
for my $version ('1999-01-01', 'latest', '2024-11-05', '2026-07-27', '20260728', '2026-07-28T00:00:00Z', '9') {
    my $r = legacy('tools/list', undef, path => '/eras/old', headers => ['MCP-Protocol-Version' => $version]);
    is_deeply [$r->{code}, $r->{body}, header($r, 'Content-Type')], [400, $refusal, 'application/json'], "ERA-4 version $version: the 400 of the backend, byte for byte";
    is +($backend->seen('/eras/old'))[-1]{headers}{'mcp-protocol-version'}, $version, "ERA-4 version $version: which saw it";
}
untouched $backend, 'ERA-4', sub {
    refused(legacy('tools/call', { name => 'no' }, headers => ['MCP-Protocol-Version' => $_]), 403, "ERA-4 version $_ opens nothing") for '1999-01-01', 'latest', '20260728';
};

# --- ERA-5, ERA-6, RPC-15, TRN-17: what only the backend knows passes as it is
my %errors = (
    'ERA-5 -32022' => ['400 Bad Request', qq({"error":{"data":{"supported":["2026-07-28"],\t"requested":"2099-01-01"},"code":-32022,"message":"\\u0055nsupported"},"id":1,"jsonrpc":"2.0"}\r\n)],
    'RPC-15 -32021' => ['400 Bad Request', '{"jsonrpc":"2.0","id":1,"error":{"code":-32021,"message":"x","data":{"requiredCapabilities":{"elicitation":{}}}}} '],
    'TRN-17 -32601' => ['404 Not Found', '{"jsonrpc":"2.0","id":"1","error":{"code":-32601,"message":"Method not found"}}'],
    'RPC-10 -32602 for a resource' => ['200 OK', '{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Resource not found"}}'],
    'TRN-12 a session that is gone' => ['404 Not Found', 'Session not found'],
    'TRN-18 405' => ['405 Method Not Allowed', ''],
    'R19 500' => ['500 Internal Server Error', '<html>oops</html>'],
);
my $n = 0;
for my $name (sort keys %errors) {
    my ($status, $body) = @{ $errors{$name} };
    my $path = '/eras/error' . $n++;
    $backend->answers($path, $status, ['Content-Type', 'application/json;  charset=utf-8', 'X-Of-Backend', 'yes'], $body);
    for my $how (['modern', sub { modern('tools/call', \%ok, path => $path, version => '2099-01-01', headers => { 'MCP-Protocol-Version' => '2099-01-01' }) }],
        ['legacy', sub { legacy('initialize', {}, path => $path) }], ['unknown', sub { modern('x/unknown', {}, path => $path) }]) {
        my $r = $how->[1]->();
        $status =~ s/ .*// if http_version('revision') ne 'h1';    # HTTP/2 has no reason phrase
        is_deeply [$status =~ / / ? "$r->{code} $r->{reason}" : $r->{code}, $r->{body}, header($r, 'Content-Type'), header($r, 'X-Of-Backend'), header($r, 'WWW-Authenticate')],
            [$status, $body, 'application/json;  charset=utf-8', 'yes', undef], "$name: byte for byte, $how->[0]";
    }
}

# --- ERA-7, HDR-3: each 400 of our own is JSON-RPC with the id
untouched $backend, 'ERA-7', sub {
    for my $id (7, 'a"b', '9007199254740993') {
        my $text = json_text($id);
        refused_rpc(modern('tools/call', \%ok, id => $id, headers => { 'Mcp-Name' => 'other' }), 400, -32020, $text, "ERA-7 HDR-3 -32020, id $text");
        refused_rpc(modern('tools/call', \%ok, id => $id, meta => undef), 400, -32602, $text, "ERA-7 -32602, id $text");
        refused_rpc(modern('tools/call', { name => 5 }, id => $id, headers => { 'Mcp-Name' => '5' }), 400, -32602, $text, "ERA-7 -32602 for an operand, id $text");
        refused_rpc(modern('tools/call', \%ok, text => qq({"jsonrpc":"1.0","id":$text,"method":"tools/call"})), 400, -32600, $text, "ERA-7 -32600, id $text");
    }
    refused_rpc(modern('tools/call', \%ok, text => '{"jsonrpc":"2.0",'), 400, -32700, undef, 'ERA-7 -32700 without an id');
    refused_rpc(modern('tools/call', \%ok, text => '[]'), 400, -32600, undef, 'ERA-7 -32600 for an array');
};

# --- HDR, beside gate/mirror.t
reaches('HDR-5 blanks around a version', sub { modern('tools/call', \%ok, headers => { 'MCP-Protocol-Version' => " \t$V\t " }) });
untouched $backend, 'HDR', sub {
    refused_rpc(modern('tools/call', \%ok, headers => { 'Mcp-Name' => $_->[1] }), 400, -32020, '1', "HDR-7 $_->[0]")
        for ['nothing encoded' => '=?base64??='], ['only padding' => '=?base64?====?='], ['encoded twice' => '=?base64?PT9iYXNlNjQ/YjJzPT89?='],
        ['a NUL inside' => '=?base64?b2sA?='], ['a line end behind' => '=?base64?b2sK?='], ['text behind' => '=?base64?b2s=?= '. 'x'], ['text before' => 'x=?base64?b2s=?='];
    my $no_value = http_version('revision') eq 'h1' ? 400 : [400, 0];    # a stream may be reset for such a field
    refused(modern('tools/call', { name => "a\x01b" }, headers => { 'Mcp-Name' => "a\x01b" }), $no_value, 'HDR-8 a control byte');
    refused(modern('tools/call', { name => "a\x7fb" }, headers => { 'Mcp-Name' => "a\x7fb" }), $no_value, 'HDR-8 DEL');
    refused_rpc(modern('resources/read', { uri => 'file:///ok' }, headers => { 'Mcp-Name' => 'file:///OK' }), 400, -32020, '1', 'HDR-4 a URI in another case');
    refused_rpc(modern('prompts/get', \%ok, headers => { 'Mcp-Name' => ['ok', 'ok'] }), 400, -32020, '1', 'HDR-9 two lines, prompts/get');
    refused_rpc(modern('tools/list', {}, headers => { 'Mcp-Method' => ['tools/list', 'tools/list'] }), 400, -32020, '1', 'HDR-9 two lines, Mcp-Method');
    refused_rpc(modern('tools/call', { name => 'no' }, headers => { 'Mcp-Name' => 'ok' }), 400, -32020, '1', 'B10 HDR-1 the header says allowed, the body says refused');
    refused_rpc(modern('tools/call', { name => 'no' }, headers => { 'Mcp-Method' => 'tools/list', 'Mcp-Name' => undef }), 400, -32020, '1', 'B10 HDR-1 the header says list, the body calls');
    refused_rpc(modern('subscriptions/listen', { notifications => { resourceSubscriptions => ['file:///no'] } }, headers => { 'Mcp-Name' => 'file:///ok' }), 403, 403, '1',
        'HDR-13 Mcp-Name beside subscriptions/listen is no input');
    refused(legacy('tools/call', { name => 'no' }, headers => ['Mcp-Method' => 'tools/list', 'Mcp-Name' => 'ok', 'MCP-Protocol-Version' => '2025-06-18']), [400, 403],
        'HDR-12 B11 mirrored headers with an old version are not trusted');
    refused(legacy('tools/call', { name => 'no' }, headers => ['Mcp-Param-Name' => 'ok']), 403, 'HDR-11 nor is Mcp-Param');
    refused(modern('tools/call', { name => 'no' }, headers => { 'Mcp-Param-Name' => 'ok' }), 403, 'HDR-11 nor in a modern message');
};
{
    my (undef, $seen) = reaches('HDR-11 an Mcp-Param that contradicts the arguments is for the backend to judge', sub {
        modern('tools/call', { name => 'ok', arguments => { region => 'eu' } }, headers => { 'Mcp-Param-Region' => 'us' }) });
    is $seen && $seen->{headers}{'mcp-param-region'}, 'us', 'HDR-10 HDR-11 and arrives unchanged';
    ($_, $seen) = reaches('HDR-2 a mirrored name in base64 for a resource', sub { modern('resources/read', { uri => 'file:///ok' }, headers => { 'Mcp-Name' => '=?base64?ZmlsZTovLy9vaw==?=' }) });
    is $seen && $seen->{headers}{'mcp-name'}, '=?base64?ZmlsZTovLy9vaw==?=', 'HDR-6 it is forwarded as it was sent';
}

# --- TRN-5, TRN-6
my $note = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
my $response = '{"jsonrpc":"2.0","id":1,"result":{}}';
$backend->answers('/eras/202', '202 Accepted', ['Content-Length', '0']);
for ([notification => $note], [response => $response]) {
    my $r = post(revision => '/eras/202', $_->[1], token => $token);
    is_deeply [$r->{code}, $r->{body}, header($r, 'Content-Length') // 0], [202, '', 0], "TRN-5 a $_->[0]: the 202 of the backend has no body";
}
$backend->answers('/eras/refuses', '400 Bad Request', [@json], '{"jsonrpc":"2.0","error":{"code":-32600,"message":"no"}}');
is post(revision => '/eras/refuses', $note, token => $token)->{body}, '{"jsonrpc":"2.0","error":{"code":-32600,"message":"no"}}', 'TRN-6 what the backend refuses passes as it is';
untouched $backend, 'TRN-6', sub {
    refused_rpc(post(revision => '/eras', '{"jsonrpc":"2.0","method":"x/never"}', token => $token), 403, 403, undef, 'TRN-6 a refused notification: no id');
    refused_rpc(post(revision => '/eras', '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"no","id":3}}', token => $token), 403, 403, undef,
        'TRN-6 also where an id stands elsewhere');
    refused_rpc(post(revision => '/eras', rpc_body('notifications/x', { _meta => $modern_meta }, id => undef), token => $token,
        headers => ['MCP-Protocol-Version' => $V, 'Mcp-Method' => 'notifications/y']), 400, -32020, undef, 'TRN-6 a modern notification under another name: 400, no id');
};

# --- TRN-15, TRN-16
for my $id (undef, 'abc', '', 'x' x 200) {
    my @h = defined $id ? ('Mcp-Session-Id' => $id, 'Last-Event-ID' => '7') : ();
    my ($r) = reaches('TRN-15 a modern message, session ' . (defined $id ? "'" . substr($id, 0, 9) . "'" : 'absent'), sub { modern('tools/call', \%ok, headers => {@h}) });
    is header($r, 'Mcp-Session-Id'), undef, 'TRN-15 none is minted or echoed';
}
untouched $backend, 'TRN-16', sub {
    for ($response, '{"jsonrpc":"2.0","id":"a","error":{"code":-1,"message":"x"}}', '{"jsonrpc":"2.0","id":1,"result":{"_meta":{"' . $PV . '":"2026-07-28"}}}') {
        refused_rpc(post(revision => '/eras', $_, token => $token, headers => ['MCP-Protocol-Version' => $V, 'Mcp-Method' => 'tools/list']), 400, -32600,
            undef, "TRN-16 TRN-6 a modern response: $_");
    }
};
no_crash($mark);

done_testing;
