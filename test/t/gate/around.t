# Nothing around the location opens a way past the gate: sub-requests, internal redirects, Satisfy, other ways to the proxy
# (design 2.1, threats.md H07, H08, 1.3).
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;

my $backend = MCP::Backend->start(port('gate_backend'));
my $token = bearer('gate');
my $mark = log_mark();
my $ok = rpc_body('tools/call', { name => 'ok' });
my $evil = rpc_body('tools/call', { name => 'evil' });
my @json = ('Content-Type', 'application/json');

# --- every way to the proxy under one and the same policy
my @ways = qw(/via/satisfy /via/require /via/handler /via/upgrade /via/nocanon /via/match /via/p /pt /redirect);
push @ways, '/via/balancer' if Apache::Test::have_module('proxy_balancer');
for my $path (@ways) {
    untouched $backend, $path, sub {
        is post(gate => $path, $ok)->{code}, 401, "$path: no token";
        is post(gate => $path, $ok, token => 'a.b.c')->{code}, 401, "$path: bad token";
        is http(gate => GET => $path)->{code}, 401, "$path: GET without a token";
        is http(gate => DELETE => $path)->{code}, 401, "$path: DELETE without a token";
        refused_rpc(post(gate => $path, $evil, token => $token), 403, 403, '1', "$path: refused by the ACL");
        refused_rpc(post(gate => $path, $evil, token => $token, chunked => 5), 403, 403, '1', "$path: refused by the ACL, chunked");
        refused_rpc(post(gate => $path, "[$ok]", token => $token), 400, -32600, undef, "$path: a batch");
        is post(gate => $path, $ok, token => $token, headers => ['Content-Type', 'text/plain'])->{code}, 415, "$path: wrong type";
        is http(gate => GET => $path, token => $token, body => $evil, headers => [@json])->{code}, 400, "$path: GET with a body";
        is http(gate => PUT => $path, token => $token)->{code}, 405, "$path: PUT";
        my $r = post(gate => $path, $evil, token => $token, h1 => 'Upgrade', headers => ['Connection', 'Upgrade', 'Upgrade', 'websocket', 'Sec-WebSocket-Version', '13']);
        is $r->{code}, 403, "$path: Upgrade does not help";
    };
    my (undef, $seen) = passes($backend, gate => $path, $ok, "$path: an allowed message passes", token => $token);
    is $seen && $seen->{headers}{authorization}, undef, "$path: without the token";
    $backend->clear;
    is http(gate => GET => $path, token => $token, h1 => 'Upgrade', headers => ['Connection', 'Upgrade', 'Upgrade', 'websocket', 'Sec-WebSocket-Key', 'x'])->{code}, 200, "$path: GET with Upgrade";
    ($seen) = $backend->requests;
    is $seen->{headers}{upgrade}, undef, "1.3 $path: no Upgrade at the backend";
    unlike $seen->{headers}{connection} // '', qr/upgrade/i, "1.3 $path: nor in Connection";
}

# --- sub-requests and internal redirects
my $pages = vars('documentroot') . '/gate';
mkdir $pages;
chmod 0755, $pages;
write_file("$pages/page.shtml", qq(<html>[<!--#include virtual="/acl/included" -->]</html>\n));
write_file("$pages/raw.shtml", qq([<!--#include virtual="/mcp/raw/included" -->]\n));
chmod 0644, map { "$pages/$_.shtml" } qw(page raw);
untouched $backend, 'H07', sub {
    for my $page (qw(page raw)) {
        my $r = http(gate => GET => "/pages/$page.shtml");
        is $r->{code}, 200, "H07 SSI $page: the page itself is open";
        unlike $r->{body}, qr/backend/, "H07 SSI $page: nothing protected in it";
        is header($r, 'WWW-Authenticate'), undef, "H07 SSI $page: no challenge of the included one";
    }
    unlike http(gate => GET => '/pages/page.shtml', token => 'a.b.c')->{body}, qr/backend/, 'H07 SSI: bad token';
    my $r = http(gate => GET => '/lost');
    is $r->{code}, 404, 'H07 ErrorDocument: a protected document of an open path';
    unlike $r->{body}, qr/backend/, 'H07 ErrorDocument: is not shown';
    $r = http(gate => POST => '/lost', body => $ok, headers => [@json]);
    unlike $r->{body}, qr/backend/, 'H07 ErrorDocument after a POST: is not shown';
    isnt http(gate => GET => '/pages/')->{code}, 200, 'H07 DirectoryIndex: is not shown';
    is post(gate => '/mcp', $ok)->{code}, 401, 'and a page before it changes nothing';
};
{
    $backend->clear;
    my $r = http(gate => GET => '/pages/page.shtml', token => $token);
    like $r->{body}, qr/\[\{"backend":true\}\]/, 'H07 SSI: with a token it is included';
    my ($seen) = $backend->requests;
    is $seen && "$seen->{method} $seen->{path} $seen->{body}", 'GET /acl/included ', 'H07 SSI: by GET without a body';
    is $seen && $seen->{headers}{authorization}, undef, 'H07 SSI: without the token';
}
passes($backend, gate => '/acl/moved', $ok, 'H07 rewritten inside the location: the message goes along', token => $token);
untouched $backend, 'H07 rewritten', sub {
    refused_rpc(post(gate => '/acl/moved', $evil, token => $token), 403, 403, '1', 'H07 rewritten: judged by the rules of where it goes');
    is post(gate => '/acl/moved', $ok, token => 'a.b.c')->{code}, 401, 'H07 rewritten: a bad token';
};
for (['/acl/out', $ok, 'POST /open/out ', 'rewritten out of the location: the message stays behind, for the answer would not be guarded'],
    ['/dead', $evil, 'GET /acl/dead ', 'ErrorDocument inside of a place outside: without the body that mod_proxy has kept']) {
    my ($path, $text, $want, $name) = @$_;
    $backend->clear;
    post(gate => $path, $text, token => $token);
    my ($seen) = $backend->requests;
    is $seen && "$seen->{method} $seen->{path} $seen->{body}", $want, "H07 $name";
}
untouched $backend, 'H08', sub {
    for (['400' => 400, $ok . 'x', 'application/json'], ['403' => 403, $evil, 'application/json'], ['415' => 415, $ok, 'text/plain'],
        ['413' => 413, padded(1_048_577), 'application/json']) {
        my ($name, $code, $text, $type) = @$_;
        my $r = post(gate => '/acl', $text, token => $token, headers => ['Content-Type', $type]);
        is $r->{code}, $code, "H08 ErrorDocument $name";
        unlike $r->{body}, qr/replaced|backend/, "H08 ErrorDocument $name replaces nothing";
        ok eval { json($r->{body}) }, "H08 ErrorDocument $name: the body is one JSON text";
    }
};

# --- input filters of other modules: what they have made of the body is judged, and forwarded as it is
if (Apache::Test::have_module('sed')) {
    my $twice = rpc_body('tools/call', { name => 'baaaab' });
    (my $once = $twice) =~ s/aa/a/g;    # and mod_sed ends the last line
    passes($backend, gate => '/mcp/sed', $twice, 'B08 a filter of the same kind does not see the judged bytes again', token => $token, want => "$once\n");
    untouched $backend, 'B08 sed', sub {
        refused_rpc(post(gate => '/mcp/sed', $once, token => $token), 403, 403, '1', 'B08 what the filter makes of it is judged');
    };
}

# --- trailers, with MergeTrailers On
{
    $backend->clear;
    my $request = open_request(gate_trailers => POST => '/mcp', token => $token, headers => [@json])->data($ok)
        ->end('Content-Type', 'text/evil', 'Origin', 'http://evil.test', 'X-Mcp-User', 'root', 'Content-Encoding', 'gzip');
    is $request->answer('POST')->{code}, 200, '1.3 trailers: the message passes';
    my ($seen) = $backend->requests;
    is $seen->{body}, $ok, '1.3 trailers: as it was';
    is $seen->{headers}{'content-type'}, 'application/json', '1.3 trailers: no field of them joins one that was checked';
    is_deeply [grep { defined } @{ $seen->{headers} }{qw(origin x-mcp-user content-encoding)}], [], '1.3 trailers: nor stands beside it';
    is $seen->{headers}{'x-twice'}, 'one, two', '1.3 trailers: and a field of two lines keeps both';
}

# --- other spellings of judged fields
{
    my (undef, $seen) = passes($backend, gate => '/mcp', $ok, 'H03 an Mcp_Name beside it', token => $token,
        headers => ['Mcp_Name', 'evil', 'mcp.method', 'evil', 'MCP_Protocol_Version', '2026-07-28', 'Mcp-Param-X', 'kept']);
    is_deeply [grep { /^mcp[^-]|^mcp-.*[^a-z0-9-]/ } keys %{ $seen->{headers} }], [], 'H03 does not reach a backend that takes _ for -';
    is $seen->{headers}{'mcp-param-x'}, 'kept', 'HDR-10 Mcp-Param passes';
}

no_crash($mark);

done_testing;
