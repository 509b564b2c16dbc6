# CORS on the answers of a backend that has its own idea of it: requirements.md COR-1 to COR-8.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Stream qw(listen_on);
use MCP::Gate;

my $backend = MCP::Stream->start(port('revision_backend'));
my $token = bearer('rev');
my $mark = log_mark();
my $mine = 'https://app.test';
my @json = ('Content-Type', 'application/json');
my $ok = rpc_body('tools/call', { name => 'ok' });

# What backends send: nothing, a star, an echo, two of each, everything there is.
my %cors = (
    none => [], star => ['Access-Control-Allow-Origin', '*', 'Access-Control-Expose-Headers', '*'],
    echo => ['Access-Control-Allow-Origin', $mine, 'Access-Control-Expose-Headers', 'Mcp-Session-Id', 'Vary', 'Origin', 'Access-Control-Allow-Credentials', 'true'],
    other => ['Access-Control-Allow-Origin', 'https://evil.test', 'Vary', 'Accept-Encoding'],
    twice => [('Access-Control-Allow-Origin', '*') x 2, ('access-control-expose-headers', 'X-B') x 2],
    all => ['access-control-allow-origin', 'null', 'ACCESS-CONTROL-EXPOSE-HEADERS', 'X-B', 'Access-Control-Allow-Credentials', 'true', 'Access-Control-Allow-Methods', 'PUT', 'Access-Control-Allow-Headers', 'X-Evil',
        'Access-Control-Max-Age', '86400', 'Access-Control-Allow-Private-Network', 'true', 'Vary', 'Accept, origin'],
);
my %status = (200 => '200 OK', 202 => '202 Accepted', 404 => '404 Not Found', 500 => '500 Oops', 401 => '401 Unauthorized');
for my $place ('cors', 'cors/any', 'cors/admin', 'cors/onsuccess') {
    for my $kind (keys %cors) {
        $backend->answers("/$place/$kind$_", $status{$_}, [@json, @{ $cors{$kind} }], $_ == 202 ? '' : '{}') for keys %status;
        $backend->plays("/$place/${kind}sse", head => $cors{$kind}, send => "data: {}\n\n", 'end');
    }
}
sub cors { my $r = shift; map { $_->[0] } grep { $_->[0] =~ /^Access-Control-/i } @{ $r->{headers} } }
sub vary { my ($r, $name) = @_; scalar grep { lc eq lc $name } map { split /\s*,\s*/ } headers($r, 'Vary') }
sub ask { my ($path, @headers) = @_; post(revision => $path, $ok, token => $token, headers => [@headers]) }

for my $kind (sort keys %cors) {
    for my $code ((sort keys %status), 'sse') {
        my $what = "$kind, $code";
        for (['POST' => sub { ask("/cors/$kind$code", @_) }], ['GET' => sub { http(revision => GET => "/cors/$kind$code", token => $token, headers => [@_]) }]) {
            my ($verb, $how) = @$_;
            my $r = $how->(Origin => $mine);
            is $r->{code}, $code eq 'sse' ? 200 : $code, "COR-5 $verb $what: the status of the backend";
            is_deeply [headers($r, 'Access-Control-Allow-Origin')], [$mine], "COR-7 $verb $what: Allow-Origin once, ours";
            is scalar(headers($r, 'Access-Control-Expose-Headers')), 1, "COR-7 $verb $what: Expose-Headers once";
            my $expose = header($r, 'Access-Control-Expose-Headers') // '';
            ok !(grep { $expose !~ /(?:^|[ ,])$_(?:[ ,]|$)/i } qw(WWW-Authenticate Mcp-Session-Id)), "COR-4 $verb $what: exposes what clients need" or diag $expose;
            unlike $expose, qr/X-B|\*/, "COR-7 $verb $what: and nothing of the backend";
            is_deeply [grep { !/^Access-Control-(?:Allow-Origin|Expose-Headers)$/i } cors($r)], [], "COR-6 $verb $what: nothing beyond ours";
            ok vary($r, 'Origin'), "COR-6 $verb $what: Vary: Origin";
            ok vary($r, 'Accept'), "COR-6 $verb $what: beside that of the backend" if $kind eq 'all';

            $r = $how->();
            is_deeply [cors($r)], [], "COR-6 $verb $what, no Origin: none at all";
            ok vary($r, 'Origin'), "COR-6 $verb $what, no Origin: Vary: Origin all the same";
        }
    }
    my $r = http(revision => HEAD => "/cors/${kind}200", token => $token, headers => [Origin => $mine]);
    is_deeply [headers($r, 'Access-Control-Allow-Origin')], [$mine], "COR-7 HEAD $kind: Allow-Origin once, ours";
    my $reader = listen_on('revision', GET => "/cors/${kind}sse", token => $token, headers => [Origin => $mine]);
    is_deeply [headers($reader->head, 'Access-Control-Allow-Origin')], [$mine], "COR-7 a stream, $kind: once";

    $r = ask("/cors/any/${kind}200", Origin => 'https://anyone.test');
    is $r->{code}, 200, "COR-6 McpOAuthOrigin *, $kind";
    is scalar(headers($r, 'Access-Control-Allow-Origin')), 1, "COR-7 McpOAuthOrigin *, $kind: Allow-Origin once";
    like header($r, 'Access-Control-Allow-Origin') // '', qr{^(?:\*|https://anyone\.test)$}, "COR-6 McpOAuthOrigin *, $kind: for anyone";
    $r = ask("/cors/any/${kind}200");
    is_deeply [grep { !/^Access-Control-(?:Allow-Origin|Expose-Headers)$/i } cors($r)], [], "COR-6 McpOAuthOrigin *, $kind, no Origin: nothing of the backend";

    for my $code (200, 404, 202) {
        is_deeply [headers(ask("/cors/admin/$kind$code", Origin => $mine), 'Access-Control-Allow-Origin')], ['x'], "COR-7 Header always set, $kind, $code: the administrator's, once";
        is_deeply [headers(ask("/cors/admin/$kind$code"), 'Access-Control-Allow-Origin')], ['x'], "COR-7 Header always set, $kind, $code, no Origin: once";
    }
    is scalar(headers(ask("/cors/onsuccess/${kind}200", Origin => $mine), 'Access-Control-Allow-Origin')), 1, "COR-7 Header set, $kind: once";
}

# --- answers of our own
for (
    [401, sub { post(revision => shift, $ok, headers => [Origin => $mine, @_]) }], [401, sub { post(revision => shift, $ok, token => 'a.b.c', headers => [Origin => $mine, @_]) }],
    [400, sub { post(revision => shift, '{', token => $token, headers => [Origin => $mine, @_]) }], [415, sub { post(revision => shift, $ok, token => $token, headers => [Origin => $mine, 'Content-Type' => 'text/plain']) }],
    [401, sub { http(revision => GET => shift, headers => [Origin => $mine]) }], [405, sub { http(revision => PUT => shift, token => $token, headers => [Origin => $mine]) }],
) {
    my ($code, $how) = @$_;
    my $r = $how->('/cors');
    is $r->{code}, $code, "COR-5 COR-8 $code of our own";
    is_deeply [headers($r, 'Access-Control-Allow-Origin')], [$mine], "COR-5 $code: can be read, once";
    ok vary($r, 'Origin'), "COR-6 $code: Vary: Origin";
    is_deeply [headers($how->('/cors/admin'), 'Access-Control-Allow-Origin')], ['x'], "COR-7 $code: Header always set is not doubled";
}
untouched $backend, 'COR-6', sub {
    for my $origin ('https://evil.test', 'null', 'https://app.test.evil.test', 'http://app.test', 'https://app.test:444') {
        for ([403, sub { ask('/cors/star200', Origin => $origin) }], [403, sub { http(revision => GET => '/cors/star200', token => $token, headers => [Origin => $origin]) }],
            [403, sub { http(revision => OPTIONS => '/cors/star200', headers => [Origin => $origin, 'Access-Control-Request-Method' => 'POST']) }]) {
            my ($code, $how) = @$_;
            my $r = $how->();
            is_deeply [$r->{code}, cors($r)], [$code], "COR-6 Origin $origin: $code without CORS headers";
        }
    }
    # --- preflight
    for my $asked ('authorization,content-type', 'Authorization, Mcp-Param-Region, mcp-param-x', 'mcp-protocol-version,mcp-session-id,mcp-method,mcp-name,last-event-id,accept') {
        my $r = http(revision => OPTIONS => '/cors/all200', headers => [Origin => $mine, 'Access-Control-Request-Method' => 'POST', 'Access-Control-Request-Headers' => $asked]);
        is_deeply [$r->{code}, headers($r, 'Access-Control-Allow-Origin')], [204, $mine], "COR-1 preflight for $asked";
        my %allowed = map { lc $_ => 1 } map { split /\s*,\s*/ } headers($r, 'Access-Control-Allow-Headers');
        is_deeply [grep { !$allowed{ lc $_ } && !($allowed{'*'} && lc ne 'authorization') } split /\s*,\s*/, $asked], [], "COR-3 all of $asked";
        ok $allowed{authorization}, "COR-3 Authorization by name for $asked";
        my %methods = map { $_ => 1 } map { split /\s*,\s*/ } headers($r, 'Access-Control-Allow-Methods');
        is_deeply [grep { !$methods{$_} } qw(POST GET DELETE)], [], "COR-2 methods, for $asked";
        ok !$methods{PUT}, "COR-2 and none of the backend, for $asked";
        is scalar(headers($r, 'Access-Control-Max-Age')), 1, "COR-7 Max-Age once, for $asked";
        ok vary($r, 'Origin'), "COR-6 Vary, for $asked";
    }
    is_deeply [headers(http(revision => OPTIONS => '/cors/admin/all200', headers => [Origin => $mine, 'Access-Control-Request-Method' => 'POST']), 'Access-Control-Allow-Origin')], ['x'],
        'COR-7 preflight, Header always set: once';
};
no_crash($mark);

done_testing;
