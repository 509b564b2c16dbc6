# Eras and mirrored headers: requirements.md ERA-1 to ERA-7, HDR-1 to HDR-14, threats.md B10, B11.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;

my %scripted = (
    '/acl/version' => ['400 Bad Request', ['Content-Type', 'application/json', 'X-Backend', 'yes'],
        '{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"?","data":{"supported":["2026-07-28"],"requested":"2099-01-01"}}} '],
    '/acl/old' => ['400 Bad Request', ['Content-Type', 'text/plain', 'X-Backend', 'yes'], 'Bad Request: unsupported protocol version'],
);
my $backend = MCP::Backend->start(port('gate_backend'), sub {
    my $request = shift;
    return @{ $scripted{ $request->{path} } || [MCP::Backend::answer($request)] };
});
my $token = bearer('gate');
my $mark = log_mark();
my %ok = (name => 'ok');
my $V = $VERSION_0728;

sub modern { my ($method, $params, %opt) = @_; modern_post(gate => delete $opt{path} // '/acl', $method, $params, token => $token, %opt) }
sub arrives {
    my ($name, @how) = @_;
    $backend->clear;
    my $r = modern(@how);
    ok $r->{code} =~ /^20[02]$/ && $backend->requests == 1, $name or diag "$r->{code} $r->{body}";
    return ($backend->requests)[0];
}
sub differs {
    my ($name, $method, $params, %opt) = @_;
    untouched $backend, $name, sub {
        refused_rpc(modern($method, $params, id => 'x7', path => '/mcp', %opt), 400, -32020, '"x7"', $name);
    };
}

# --- ERA
arrives('ERA-1 a modern message', 'tools/call', \%ok);
{
    my $c = dial('gate');
    my @seen;
    for my $modern (0, 1, 0, 1, 0) {
        my @opt = (on => $c, keep => 1, token => $token);
        my $r = $modern ? modern_post(gate => '/acl', 'tools/call', \%ok, @opt) : rpc(gate => '/acl', 'tools/call', \%ok, @opt);
        push @seen, $r->{code};
    }
    is_deeply \@seen, [(200) x 5], 'ERA-1 both eras in turn on one connection';
    my $r = modern_post(gate => '/acl', 'tools/call', \%ok, on => $c, token => $token, headers => { 'Mcp-Name' => 'x' });
    is $r->{code}, 400, 'ERA-1 and each is judged by its own';
}
differs('ERA-2 header 2025-11-25, _meta modern', 'tools/list', {}, headers => { 'MCP-Protocol-Version' => '2025-11-25' });
differs('ERA-2 B11 header 2025-03-26, _meta modern', 'tools/list', {}, headers => { 'MCP-Protocol-Version' => '2025-03-26' });
differs('ERA-2 B11 header absent, _meta modern', 'tools/list', {}, headers => { 'MCP-Protocol-Version' => undef });
differs('ERA-2 B11 no mirrored header at all, _meta modern', 'tools/call', \%ok,
    headers => { 'MCP-Protocol-Version' => undef, 'Mcp-Method' => undef, 'Mcp-Name' => undef });
differs('B11 header unknown, _meta modern', 'tools/list', {}, headers => { 'MCP-Protocol-Version' => 'latest' });
differs('ERA-2 header modern, _meta of an old revision', 'tools/list', {}, version => '2025-11-25');
differs('ERA-2 header modern, _meta of another modern revision', 'tools/list', {}, version => '2099-01-01');
differs('ERA-2 _meta modern, header of a later one', 'tools/list', {}, headers => { 'MCP-Protocol-Version' => '2099-01-01' });
differs('ERA-2 _meta of an old revision, no header', 'tools/list', {}, version => '2025-11-25', headers => { 'MCP-Protocol-Version' => undef });
differs('HDR-9 two version lines', 'tools/list', {}, headers => { 'MCP-Protocol-Version' => [$V, $V] });
differs('HDR-9 two version lines, the first old', 'tools/list', {}, headers => { 'MCP-Protocol-Version' => ['2025-11-25', $V] });

is rpc(gate => '/acl', 'initialize', { protocolVersion => '2025-11-25', capabilities => {}, clientInfo => { name => 'x', version => '1' } }, token => $token)->{code},
    200, 'ERA-3 initialize without the header is proxied';
for my $version (qw(2024-11-05 2025-03-26 2025-06-18 2025-11-25)) {
    is rpc(gate => '/acl', 'tools/call', \%ok, token => $token, headers => ['MCP-Protocol-Version' => $version])->{code}, 200, "ERA-3 $version";
}
{
    my $r = rpc(gate => '/acl/old', 'ping', undef, token => $token, headers => ['MCP-Protocol-Version' => '1999-01-01']);
    is_deeply [$r->{code}, header($r, 'Content-Type'), $r->{body}], [400, 'text/plain', $scripted{'/acl/old'}[2]], "ERA-4 the backend's 400 passes unchanged";
    $r = modern('tools/list', {}, path => '/acl/version', version => '2099-01-01', headers => { 'MCP-Protocol-Version' => '2099-01-01' });
    is_deeply [$r->{code}, header($r, 'X-Backend'), $r->{body}], [400, 'yes', $scripted{'/acl/version'}[2]], "ERA-5 the backend's -32022 is byte-equal";
    $r = rpc(gate => '/acl/version', 'initialize', {}, token => $token);
    is $r->{body}, $scripted{'/acl/version'}[2], "ERA-6 the modern backend's answer to initialize arrives";
}
differs('ERA-7 a bad Mcp-Name: JSON with -32020 and the id', 'tools/call', \%ok, headers => { 'Mcp-Name' => 'bad' });

# --- HDR
differs('HDR-1 B10 the header says a safe tool, the body another', 'tools/call', { name => 'danger' }, headers => { 'Mcp-Name' => 'ok' });
differs('HDR-1 B10 the header says a list, the body a call', 'tools/call', \%ok, headers => { 'Mcp-Method' => 'tools/list', 'Mcp-Name' => undef });
differs('HDR-2 no Mcp-Method', 'tools/list', {}, headers => { 'Mcp-Method' => undef });
differs('HDR-2 empty Mcp-Method', 'tools/list', {}, headers => { 'Mcp-Method' => '' });
for (['tools/call' => { name => 'ok' }], ['prompts/get' => { name => 'ok' }], ['resources/read' => { uri => 'file:///ok' }], ['tasks/get' => { taskId => 'ok' }],
    ['tasks/update' => { taskId => 'ok' }], ['tasks/cancel' => { taskId => 'ok' }]) {
    my ($method, $params) = @$_;
    differs("HDR-2 no Mcp-Name on $method", $method, $params, headers => { 'Mcp-Name' => undef });
    differs("HDR-1 another Mcp-Name on $method", $method, $params, headers => { 'Mcp-Name' => 'other' });
    arrives("HDR-1 the right Mcp-Name on $method", $method, $params, path => '/mcp');
}
arrives('HDR-4 names of fields in any case', 'tools/list', {},
    headers => { 'MCP-METHOD' => 'tools/list', 'mcp-protocol-version' => $V });
differs('HDR-4 values are case-sensitive: method', 'tools/list', {}, headers => { 'Mcp-Method' => 'TOOLS/LIST' });
differs('HDR-4 values are case-sensitive: name', 'tools/call', \%ok, headers => { 'Mcp-Name' => 'OK' });
arrives('HDR-5 blanks around are no part of the value', 'tools/call', \%ok, headers => { 'Mcp-Name' => "  \t ok \t ", 'Mcp-Method' => "\ttools/call  " });
differs('HDR-5 blanks inside are', 'tools/call', \%ok, headers => { 'Mcp-Name' => 'o k' });

my $world = "\x{4e16}\x{754c}";
arrives('HDR-6 base64 of UTF-8', 'tools/call', { name => $world }, path => '/mcp', headers => { 'Mcp-Name' => '=?base64?5LiW55WM?=' });
arrives('HDR-6 base64 of ASCII', 'tools/call', \%ok, headers => { 'Mcp-Name' => '=?base64?b2s=?=' });
arrives('HDR-6 base64 of blanks around', 'tools/call', { name => ' ok ' }, path => '/mcp', headers => { 'Mcp-Name' => '=?base64?IG9rIA==?=' });
arrives('HDR-6 base64 of a line end', 'tools/call', { name => "a\nb" }, path => '/mcp', headers => { 'Mcp-Name' => '=?base64?YQpi?=' });
arrives('HDR-6 base64 of something that looks encoded', 'tools/call', { name => '=?base64?b2s=?=' }, path => '/mcp',
    headers => { 'Mcp-Name' => '=?base64?PT9iYXNlNjQ/YjJzPT89?=' });
differs('HDR-6 base64 of another name', 'tools/call', { name => 'okk' }, headers => { 'Mcp-Name' => '=?base64?b2s=?=' });
differs('HDR-6 not decoded in Mcp-Method', 'tools/list', {}, headers => { 'Mcp-Method' => '=?base64?dG9vbHMvbGlzdA==?=' });
differs('HDR-6 not decoded in the version', 'tools/list', {}, headers => { 'MCP-Protocol-Version' => '=?base64?MjAyNi0wNy0yOA==?=' });
differs("HDR-7 $_->[0]", 'tools/call', { name => $_->[2] // 'Hello' }, headers => { 'Mcp-Name' => $_->[1] })
    for ['padding missing' => '=?base64?SGVsbG8?='], ['too much padding' => '=?base64?SGVsbG8==?='], ['an alien character' => '=?base64?SGVs!G8=?='],
    ['URL alphabet' => '=?base64?_w==?=', "\x{ff}"], ['white space' => '=?base64?SGVs bG8=?='], ['unused bits' => '=?base64?SGVsbG9=?='],
    ['no UTF-8' => '=?base64?/w==?=', "\x{ff}"];
for ('=?BASE64?SGVsbG8=?=', '=?base64?SGVsbG8=', 'base64?SGVsbG8=?=', '=?Base64?SGVsbG8=?=') {
    arrives("HDR-7 literal text: $_", 'tools/call', { name => $_ }, path => '/mcp', headers => { 'Mcp-Name' => $_ });
    differs("HDR-7 not decoded: $_", 'tools/call', { name => 'Hello' }, headers => { 'Mcp-Name' => $_ });
}
differs('HDR-8 raw UTF-8', 'tools/call', { name => $world }, headers => { 'Mcp-Name' => "\xe4\xb8\x96\xe7\x95\x8c" });
differs('HDR-8 a byte beyond ASCII', 'tools/call', { name => "\x{e9}" }, headers => { 'Mcp-Name' => "\xe9" });
differs('HDR-9 B10 two Mcp-Name lines', 'tools/call', \%ok, headers => { 'Mcp-Name' => ['ok', 'danger'] });
differs('HDR-9 B10 two Mcp-Name lines, the other order', 'tools/call', \%ok, headers => { 'Mcp-Name' => ['danger', 'ok'] });
differs('HDR-9 two equal Mcp-Name lines', 'tools/call', \%ok, headers => { 'Mcp-Name' => ['ok', 'ok'] });
differs('HDR-9 two Mcp-Method lines', 'tools/call', \%ok, headers => { 'Mcp-Method' => ['tools/call', 'tools/call'] });
arrives('HDR-9 a comma in a name', 'tools/call', { name => 'a, b' }, path => '/mcp');
{
    my $seen = arrives('HDR-10 Mcp-Param', 'tools/call', \%ok, headers => { 'Mcp-Param-Region' => 'us west', 'Mcp-Param-N' => '=?base64?SGVsbG8?=' });
    is $seen->{headers}{'mcp-param-region'}, 'us west', 'HDR-10 arrives unchanged';
    is $seen->{headers}{'mcp-param-n'}, '=?base64?SGVsbG8?=', 'HDR-10 whatever stands in it';
    is $seen->{headers}{'mcp-method'}, 'tools/call', 'the mirrored headers arrive';
    is $seen->{headers}{'mcp-name'}, 'ok', 'the mirrored headers arrive: Mcp-Name';
    is $seen->{headers}{'mcp-protocol-version'}, $V, 'the mirrored headers arrive: version';
}
untouched $backend, 'HDR-12', sub {
    refused(rpc(gate => '/acl', 'tools/call', { name => 'danger' }, token => $token, headers => ['Mcp-Method' => 'ping']), [403, 400],
        'HDR-12 a legacy message is judged by its body: method');
    refused(rpc(gate => '/acl', 'tools/call', { name => 'danger' }, token => $token, headers => ['Mcp-Name' => 'ok', 'Mcp-Method' => 'tools/call']), [403, 400],
        'HDR-12 a legacy message is judged by its body: name');
};
is rpc(gate => '/acl', 'tools/call', \%ok, token => $token, headers => ['Mcp-Method' => 'tools/call', 'Mcp-Name' => 'ok'])->{code}, 200,
    'HDR-12 a legacy message may carry them';
{
    my $ref = sub { { ref => { type => 'ref/prompt', name => shift }, argument => { name => 'a', value => '' } } };
    arrives('HDR-13 Mcp-Name on completion/complete is no input', 'completion/complete', $ref->('ok'), headers => { 'Mcp-Name' => 'danger' });
    untouched $backend, 'HDR-13', sub {
        refused_rpc(modern('completion/complete', $ref->('danger'), headers => { 'Mcp-Name' => 'ok' }), 403, 403, '1', 'HDR-13 the verdict is that of params.ref');
    };
    arrives('HDR-13 Mcp-Name on tools/list is ignored', 'tools/list', {}, headers => { 'Mcp-Name' => 'danger' });
}
untouched $backend, 'HDR-14', sub {
    my $r = modern('tools/call', \%ok, headers => { 'Mcp-Name' => '=?base64?' . 'A' x 100_000 . '?=' });
    # Over HTTP/2 httpd may end the connection instead: that field is more than its HPACK takes.
    ok $r->{code} =~ /^4/ || http_version('gate') ne 'h1' && $r->{reset}, 'HDR-14 100 kB of Mcp-Name' or diag $r->{code};
    $r = modern('tools/call', \%ok, headers => { 'Mcp-Name' => '=?base64?' . 'A' x 8000 . '?=' });
    is $r->{code}, 400, 'HDR-14 8 kB of Mcp-Name';
};
# a notification: Mcp-Method is not defined for it, but may not lie
for ([undef, 202], ['notifications/cancelled', 202], ['ping', 400]) {
    my ($method, $want) = @$_;
    my $r = rpc(gate => '/acl', 'notifications/cancelled', { requestId => 1 }, id => undef, token => $token,
        headers => ['MCP-Protocol-Version' => $V, defined $method ? ('Mcp-Method' => $method) : ()]);
    is $r->{code}, $want, 'Mcp-Method on a notification: ' . ($method // 'absent');
}
# B10: a header that comes after the body is none
{
    my $body = modern_body('tools/call', \%ok);
    my @headers = ('Content-Type', 'application/json', 'MCP-Protocol-Version', $V, 'Mcp-Method', 'tools/call', 'Trailer', 'Mcp-Name');
    untouched $backend, 'B10 trailer', sub {
        my $request = open_request(gate => POST => '/acl', token => $token, headers => \@headers)->data($body)->end('Mcp-Name', 'ok');
        refused_rpc($request->answer('POST'), 400, -32020, '1', 'B10 Mcp-Name in the trailer is none');
        $request = open_request(gate => POST => '/acl', headers => \@headers)->data($body)->end('Authorization', "Bearer $token", 'Mcp-Name', 'ok');
        # Over HTTP/2 the trailer may meet a stream that has been refused and is gone: then httpd ends the connection.
        my $code = $request->answer('POST')->{code};
        ok $code == 401 || http_version('gate') ne 'h1' && $code == 0, '1.3 Authorization in the trailer is none' or diag $code;
    };
}
{
    my $r = modern('tools/call', { name => 'ok', arguments => {} }, headers => { 'Mcp-Session-Id' => 'stale', 'Last-Event-ID' => '7' });
    is $r->{code}, 200, 'TRN-15 a session header changes nothing for a modern message';
    $r = modern('tools/call', { name => 'evil' }, headers => { 'Mcp-Session-Id' => 'stale' });
    is $r->{code}, 403, 'TRN-15 nor for one that is refused';
}
no_crash($mark);

done_testing;
