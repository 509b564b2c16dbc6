# How the body comes: type, encoding, size, chunks, Expect, verbs, slowly: design 2.2 and 2.6, requirements.md TRN-19, TRN-20,
# RPC-7, threats.md 1.3, B04, B06, B07, B08, B14, B15, H01, H08.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use IO::Compress::Gzip ();
use IO::Compress::Deflate ();
use Time::HiRes qw(sleep);

my $backend = MCP::Backend->start(port('gate_backend'));
my $token = bearer('gate');
my $mark = log_mark();
my $ok = rpc_body('tools/call', { name => 'ok' });
my $evil = rpc_body('tools/call', { name => 'evil' });
my @json = ('Content-Type', 'application/json');

sub head {
    my ($path, @headers) = @_;
    my $text = "POST $path HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer $token\r\n";
    while (my ($n, $v) = splice @headers, 0, 2) { $text .= "$n: $v\r\n" }
    return "$text\r\n";
}

# --- B06, B07, TRN-19: type
for ('application/json', 'Application/JSON', 'application/json; charset=utf-8', 'application/json;charset="UTF-8"', 'application/json ; charset=Utf-8',
    'application/json; x=y', 'application/json; x="a;charset=utf-16"') {
    passes($backend, gate => '/mcp', $ok, "B06 $_ is taken", token => $token, headers => ['Content-Type', $_]);
}
untouched $backend, 'B06', sub {
    for ('text/plain', 'text/json', 'application/x; json', 'application/jsonp', 'application/x-json', 'application/json-rpc', 'application/vnd.api+json',
        'application/*', '*/*', 'json', 'application', 'application/', '/json', 'application/json/x', 'x application/json', 'text/plain; application/json',
        'application/json; charset=utf-16', 'application/json; charset=iso-8859-1', 'application/json;charset=', 'application/json; charset="utf-16"',
        'application/json; charset=utf-8; charset=utf-16', 'application/json; CHARSET=UTF-7', 'application/json, text/plain', 'application/json,application/json',
        'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'multipart/related; type="application/json"; boundary=x',
        'multipart/mixed', 'application/octet-stream', '') {
        answers_json(post(gate => '/mcp', $ok, token => $token, headers => ['Content-Type', $_]), 415, 'unsupported_media_type', "B06 B07 Content-Type '$_'");
    }
    answers_json(http(gate => POST => '/mcp', token => $token, body => $ok), 415, 'unsupported_media_type', 'B06 no Content-Type');
    for my $pair (['application/json', 'application/json'], ['application/json', 'text/plain'], ['text/plain', 'application/json']) {
        answers_json(post(gate => '/mcp', $ok, token => $token, headers => [map { ('Content-Type', $_) } @$pair]), 415, 'unsupported_media_type',
            "B06 two Content-Type lines: @$pair");
    }
    answers_json(post(gate => '/mcp', "--x\r\n\r\n$ok\r\n--x--", token => $token, headers => ['Content-Type', 'multipart/form-data; boundary=x']), 415,
        'unsupported_media_type', 'B07 multipart');
    answers_json(post(gate => '/mcp/small', 'x' x 2000, token => $token, headers => ['Content-Type', 'text/plain']), 415, 'unsupported_media_type',
        'the type is judged before the size');
    is post(gate => '/mcp', 'x' x 2000, headers => ['Content-Type', 'text/plain'])->{code}, 401, 'and the token before both';
    is header(post(gate => '/mcp', $ok, token => $token, headers => ['Content-Type', 'text/plain']), 'WWW-Authenticate'), undef, '415 has no challenge';
};

# --- B08: encoding
sub gzip { my $text = shift; IO::Compress::Gzip::gzip(\$text, \my $out) or die; $out }
sub zlib { my $text = shift; IO::Compress::Deflate::deflate(\$text, \my $out) or die; $out }
untouched $backend, 'B08', sub {
    for (['gzip', gzip($ok)], ['x-gzip', gzip($ok)], ['deflate', zlib($ok)], ['br', $ok], ['identity', $ok], ['gzip, gzip', gzip(gzip($ok))],
        ['GZIP', gzip($ok)], ['nonsense', $ok], ['gzip', $ok]) {
        answers_json(post(gate => '/mcp', $_->[1], token => $token, headers => ['Content-Encoding', $_->[0]]), 415, 'unsupported_media_type',
            "B08 TRN-19 Content-Encoding $_->[0]");
    }
    answers_json(post(gate => '/mcp', $ok, token => $token, headers => ['Content-Encoding', 'identity', 'Content-Encoding', 'gzip']), 415,
        'unsupported_media_type', 'B08 two Content-Encoding lines');
};
my @gz = (token => $token, headers => ['Content-Encoding', 'gzip']);
{
    my (undef, $seen) = passes($backend, gate => '/mcp/inflate', gzip($ok), 'B08 SetInputFilter DEFLATE: the inflated text is forwarded', @gz, want => $ok);
    is $seen->{headers}{'content-encoding'}, undef, 'B08 without Content-Encoding';
    is $seen->{headers}{'content-length'}, length $ok, 'B08 with its own length';
    passes($backend, gate => '/mcp/inflate', gzip($ok), 'B08 the same chunked', @gz, want => $ok, chunked => 7);
    passes($backend, gate => '/mcp/inflate', $ok, 'B08 a plain body still passes', token => $token);
}
untouched $backend, 'B08 DEFLATE', sub {
    refused_rpc(post(gate => '/mcp/inflate', gzip($evil), @gz), 403, 403, '1', 'B08 the inflated text is judged');
    refused(post(gate => '/mcp/inflate', gzip(padded(4097)), @gz), 413, 'B08 the inflated size counts');
    refused(post(gate => '/mcp/inflate', gzip(' ' x 3_000_000 . $ok), @gz), [413, 400], 'B08 a bomb, stopped by mod_deflate or by us');
    refused(post(gate => '/mcp/inflate', gzip($ok) . gzip($evil), @gz), [400, 403, 413, 415], 'B08 two members');
    refused(post(gate => '/mcp/inflate', substr(gzip($ok), 0, -12), @gz), [400, 415], 'B08 cut gzip');
    refused(post(gate => '/mcp/inflate', $ok, @gz), [400, 415], 'B08 said to be gzip, but is not');
    refused(post(gate => '/mcp/inflate', gzip(gzip($ok)), token => $token, headers => ['Content-Encoding', 'gzip, gzip']), 415, 'B08 encoded twice, decoded once');
    refused(post(gate => '/mcp/inflate', $evil, token => $token, headers => ['Content-Encoding', 'br']), 415, 'B08 one that the filter does not know');
};

# --- B04, TRN-20: size
for ([1000, '/mcp/small'], [1024 * 1024, '/mcp']) {
    my ($limit, $path) = @$_;
    for my $chunked (0, $limit > 2000 ? 65536 : 100) {
        my @opt = (token => $token, chunked => $chunked);
        my $how = ($chunked ? 'chunked' : 'Content-Length') . " at $path";
        passes($backend, gate => $path, padded($limit - 1), "B04 limit - 1, $how", @opt);
        passes($backend, gate => $path, padded($limit), "B04 limit, $how", @opt);
        untouched $backend, "B04 limit + 1, $how", sub {
            answers_json(post(gate => $path, padded($limit + 1), @opt), 413, 'payload_too_large', "B04 limit + 1, $how");
        };
    }
}
untouched $backend, 'B04', sub {
    answers_json(post(gate => '/mcp', '{"x":"' . 'x' x 1_100_000 . '","jsonrpc":"2.0","id":1,"method":"ping"}', token => $token, chunked => 65536), 413,
        'payload_too_large', 'B04 the method behind 1 MB of padding');
    answers_json(post(gate => '/mcp/small', $ok . ' ' x 1000, token => $token), 413, 'payload_too_large', 'B04 white space counts');
    is post(gate => '/mcp/limited', padded(501), token => $token)->{code}, 413, 'B04 LimitRequestBody applies too';
    is post(gate => '/mcp/limited', padded(501), token => $token, chunked => 50)->{code}, 413, 'B04 LimitRequestBody, chunked';
    my $request = open_request(gate => POST => '/mcp/small', token => $token, headers => [@json], length => 99_999_999_999);
    answers_json($request->answer('POST'), 413, 'payload_too_large', 'B04 a length nobody sends is refused at once');
};
passes($backend, gate => '/mcp/limited', padded(500), 'B04 at LimitRequestBody', token => $token);
passes($backend, gate => '/mcp/two', padded(2048), 'McpOAuthMaxBody 2K: at the limit', token => $token);
untouched $backend, '2K', sub { is post(gate => '/mcp/two', padded(2049), token => $token)->{code}, 413, 'McpOAuthMaxBody 2K: above' };

# --- B15: nothing there
untouched $backend, 'B15', sub {
    for (['empty' => ''], ['white space' => " \r\n\t"]) {
        refused_rpc(post(gate => '/mcp', $_->[1], token => $token), 400, -32700, undef, "B15 $_->[0], Content-Length");
        refused_rpc(post(gate => '/mcp', $_->[1], token => $token, chunked => 1), 400, -32700, undef, "B15 $_->[0], chunked");
    }
    refused_rpc(http(gate => POST => '/mcp', token => $token, headers => [@json]), 400, -32700, undef, 'B15 no Content-Length');
    answers_json(http(gate => POST => '/mcp', token => $token), 415, 'unsupported_media_type', 'B15 neither length nor type');
    answers_json(http(gate => POST => '/mcp', token => $token, body => ''), 415, 'unsupported_media_type', 'B15 length 0, no type');
    is http(gate => POST => '/mcp', body => '')->{code}, 401, 'B15 and no token';
    refused_rpc(http(gate => POST => '/mcp', token => $token, headers => [@json], version => '1.0', h1 => 'HTTP/1.0'), 400, -32700, undef, 'B15 HTTP/1.0 without a length');
};

# --- verbs with a body
untouched $backend, '1.3 bodies on other verbs', sub {
    for my $verb (qw(GET DELETE)) {
        for my $path ('/mcp', '/acl') {
            answers_json(http(gate => $verb => $path, token => $token, body => $ok, headers => [@json]), 400, 'invalid_request', "1.3 $verb with a body at $path");
            answers_json(http(gate => $verb => $path, token => $token, body => $ok, chunked => 1), 400, 'invalid_request', "1.3 $verb with a chunked body at $path");
        }
        is http(gate => $verb => '/mcp', body => $ok)->{code}, 401, "1.3 $verb with a body, no token";
    }
    is http(gate => HEAD => '/mcp', token => $token, body => $ok)->{code}, 400, '1.3 HEAD with a body';
    is http(gate => OPTIONS => '/mcp', body => $ok)->{code}, 204, 'H06 OPTIONS with a body is not proxied';
    for my $verb (qw(PUT PATCH TRACE FOO post CONNECT)) {
        my $r = http(gate => $verb => '/mcp', token => $token, body => $ok, headers => [@json]);
        like $r->{code}, $verb eq 'CONNECT' ? qr/^4/ : qr/^405$/, "1.3 $verb";
    }
};
for my $verb (qw(GET DELETE HEAD)) {
    is http(gate => $verb => '/mcp', token => $token)->{code}, 200, "$verb without a body passes";
    is http(gate => $verb => '/mcp', token => $token, body => '')->{code}, 200, "$verb with length 0 passes";
}
is_deeply [map { "$_->{method} $_->{body}" } ($backend->requests)[-1]], ['HEAD '], 'and arrives as it is';

# --- Inspect Off
{
    $backend->clear;
    my $r = http(gate => POST => '/mcp/raw', token => $token, body => 'no JSON', headers => ['Content-Type', 'text/plain', 'Content-Encoding', 'br']);
    is $r->{code}, 200, 'McpOAuthInspect Off: what is no JSON passes';
    is +($backend->requests)[0]{body}, 'no JSON', 'McpOAuthInspect Off: as it is';
    untouched $backend, 'McpOAuthInspect Off', sub {
        is http(gate => POST => '/mcp/raw', body => 'no JSON')->{code}, 401, 'McpOAuthInspect Off: but not without a token';
        is http(gate => POST => '/mcp/raw', token => 'a.b.c', body => 'no JSON')->{code}, 401, 'McpOAuthInspect Off: nor with a bad one';
        is http(gate => PUT => '/mcp/raw', token => $token, body => 'no JSON')->{code}, 405, 'McpOAuthInspect Off: verbs stay what they are';
    };
}

# --- RPC-7: chunk boundaries at every byte
for my $case ([$ok, 200], [$evil, 403]) {
    my ($text, $want) = @$case;
    $backend->clear;
    my %codes;
    my $c = dial('gate');
    for my $i (0 .. length($text) - 1) {
        my @chunks = $i ? (substr($text, 0, $i), substr $text, $i) : split //, $text;
        my $r = open_request(gate => POST => '/acl', token => $token, headers => [@json], on => $c)->data(@chunks)->end->answer('POST');
        $codes{ $r->{code} }++;
        $c = dial('gate') if (header($r, 'Connection') // '') =~ /close/i;
    }
    is_deeply \%codes, { $want => length $text }, "RPC-7 chunk boundaries at every byte: always $want";
    my @bodies = map { $_->{body} } $backend->requests;
    is scalar(@bodies), $want == 200 ? length $text : 0, 'RPC-7 so many arrive';
    is scalar(grep { $_ ne $text } @bodies), 0, 'RPC-7 byte for byte';
}
{
    $backend->clear;
    my $c = connection('gate', h1 => 'chunk extensions');
    $c->send(head('/acl', @json, 'Transfer-Encoding', 'chunked') . join('', map { sprintf "%x;x=y\r\n%s\r\n", length $_, $_ } split //, $ok) . "0\r\n\r\n");
    is $c->answer('POST')->{code}, 200, 'RPC-7 chunks with extensions';
    is +($backend->requests)[0]{body}, $ok, 'RPC-7 have no part in the body';
    $backend->clear;
    $c = connection('gate', h1 => 'each byte of the head; for HTTP/2 in gate/http2.t');
    my $text = head('/acl', @json, 'Content-Length', length $ok, 'Connection', 'close') . $ok;
    $c->send(split //, $text);
    is $c->answer('POST')->{code}, 200, 'RPC-7 a request byte by byte';
    is +($backend->requests)[0]{body}, $ok, 'RPC-7 arrives whole';
    is +($backend->requests)[0]{headers}{'transfer-encoding'}, undef, 'and with a length';
}

# --- Expect: 100-continue
sub expects {
    my ($path, $headers, $body, $auth) = @_;
    my %h = @$headers;
    my $length = delete $h{'Content-Length'};
    my $request = open_request(gate => POST => $path, defined $auth && !$auth ? () : (token => $token), length => $length, headers => [%h, 'Expect', '100-continue']);
    my $r = $request->answer('interim');
    my $n = $backend->accepts;
    my $interim = $r->{interim} ? 1 : 0;
    $r = eval { $request->data($body)->end->answer('POST') } || { code => 0, body => '', headers => [] } if $interim;
    return ($interim, $r, $n);
}
untouched $backend, 'Expect', sub {
    for (['no token' => 401, '/mcp', [@json, 'Content-Length', length $ok], 0], ['a type we do not take' => 415, '/mcp', ['Content-Type', 'text/plain', 'Content-Length', 10], 1],
        ['a length over the limit' => 413, '/mcp/small', [@json, 'Content-Length', 1001], 1], ['an encoding' => 415, '/mcp', [@json, 'Content-Encoding', 'gzip', 'Content-Length', 9], 1]) {
        my ($name, $code, $path, $headers, $auth) = @$_;
        my ($interim, $r) = expects($path, $headers, $ok, $auth);
        is $r->{code}, $code, "1.3 Expect with $name: refused";
        is $interim, 0, "1.3 Expect with $name: without 100";
    }
    my ($interim, $r, $n) = expects('/acl', [@json, 'Content-Length', length $evil], $evil);
    refused_rpc($r, 403, 403, '1', '1.3 Expect, and the ACL refuses');
    is $n, 0, '1.3 Expect: the backend is not asked before the verdict';
};
{
    $backend->clear;
    my ($interim, $r, $n) = expects('/acl', [@json, 'Content-Length', length $ok], $ok);
    is $interim, 1, 'Expect: 100 when the body is wanted';
    is $n, 0, 'Expect: not connected yet';
    is $r->{code}, 200, 'Expect: an allowed message passes';
    is +($backend->requests)[0]{body}, $ok, 'Expect: whole';
}

# --- slow bodies
{
    $backend->clear;
    my $request = open_request(gate => POST => '/acl', token => $token, headers => [@json], length => length $ok);
    my ($a, $b) = (substr($ok, 0, 20), substr $ok, 20);
    untouched $backend, 'B14 a slow body', sub { $request->data($a); sleep 0.3 };
    $backend->clear;
    $request->data($b)->end;
    is $request->answer('POST')->{code}, 200, 'B14 R20 a slow body is judged when it is whole';
    is +($backend->requests)[0]{body}, $ok, 'B14 and arrives whole';
}
untouched $backend, 'B14', sub {
    my $text = padded(65536) . ',';
    for my $chunked (0, 1) {
        my $request = open_request(gate => POST => '/acl', token => $token, headers => [@json], $chunked ? () : (length => length $text));
        for my $part (unpack '(a16384)*', $text) {
            $request->data($part);
            sleep 0.03;
        }
        refused_rpc($request->end->answer('POST'), 400, [-32700], undef, 'B14 64 kB and a bad tail, ' . ($chunked ? 'chunked' : 'Content-Length'));
    }
    open_request(gate => POST => '/acl', token => $token, headers => [@json], length => 1000)->data($ok)->cut;
    my $c = connection('gate', h1 => 'one direction of the connection is closed');
    $c->send(head('/acl', @json, 'Content-Length', length($ok) + 1) . $ok);
    shutdown $c->{sock}, 1;
    my $r = eval { $c->answer('POST') } || { code => 0 };
    ok $r->{code} == 0 || $r->{code} >= 400, 'R20 the client stops in the middle' or diag $r->{code};
};

# --- H01, H08: what follows on the connection
my %smuggling = (h1 => 'where a body ends among the bytes of a connection; HTTP/2 has frames, see gate/http2.t');
my $smuggled = "GET /mcp/smuggled HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer $token\r\n\r\n";
{
    $backend->clear;
    my $c = connection('gate', %smuggling);
    $c->send(head('/acl', @json, 'Content-Length', length $evil) . $evil . "GET /acl/next HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer $token\r\nConnection: close\r\n\r\n");
    is $c->answer('POST')->{code}, 403, 'H01 a refused message';
    is $c->answer('GET')->{code}, 200, 'H01 and the request behind it';
    ok $c->closed, 'H01 and no third answer';
    is_deeply [map { "$_->{method} $_->{path}" } $backend->requests], ['GET /acl/next'], 'H01 the backend sees the second alone';
}
for (['401' => 401, '/mcp', [@json], ''], ['415' => 415, '/mcp', ['Content-Type', 'text/plain'], $token], ['413' => 413, '/mcp/small', [@json], $token, 2000],
    ['400' => 400, '/mcp', [@json], $token], ['405' => 405, '/mcp', [@json], $token]) {
    my ($name, $code, $path, $headers, $auth, $pad) = @$_;
    $backend->clear;
    my $c = connection('gate', %smuggling);
    my $body = $smuggled . ' ' x ($pad // 0);
    my $text = head($path, @$headers, 'Content-Length', length $body);
    $text =~ s/Authorization: [^\r]*\r\n// unless $auth;
    $text =~ s/^POST/PUT/ if $code == 405;
    $c->send($text . $body . "GET /acl/next HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer $token\r\nConnection: close\r\n\r\n");
    is $c->answer('POST')->{code}, $code, "H01 $name with a request in its body";
    my $r = eval { $c->answer('GET') } || { code => 0 };
    ok $r->{code} == 0 || $r->{code} == 200, "H01 $name: then the next request, or the end" or diag $r->{code};
    ok $c->closed, "H01 $name: and nothing more";
    is scalar(grep { $_->{path} !~ m{^/acl/next$} } $backend->requests), 0, "H01 H08 $name: the body is no request";
}
untouched $backend, 'H01', sub {
    for (
        ['a bad chunk' => head('/acl', @json, 'Transfer-Encoding', 'chunked') . "zz\r\n$ok\r\n0\r\n\r\n"],
        ['a chunk longer than said' => head('/acl', @json, 'Transfer-Encoding', 'chunked') . "5\r\n$ok\r\n0\r\n\r\n"],
        ['two lengths' => head('/acl', @json, 'Content-Length', length $ok, 'Content-Length', 3) . $ok],
        ['a signed length' => head('/acl', @json, 'Content-Length', '+' . length $ok) . $ok],
        ['a transfer coding nobody knows' => head('/acl', @json, 'Transfer-Encoding', 'xchunked') . $ok],
        ['chunked, identity' => head('/acl', @json, 'Transfer-Encoding', 'chunked, identity') . $ok],
        ['gzip, chunked' => head('/acl', @json, 'Transfer-Encoding', 'gzip, chunked') . sprintf("%x\r\n%s\r\n0\r\n\r\n", length gzip($ok), gzip($ok))],
        ['a blank before the colon' => head('/acl', @json, 'Transfer-Encoding ', 'chunked') . sprintf("%x\r\n%s\r\n0\r\n\r\n", length $ok, $ok)],
        ['an immense chunk' => head('/acl', @json, 'Transfer-Encoding', 'chunked') . "ffffffffffffffff\r\n$ok\r\n0\r\n\r\n"],
    ) {
        my ($name, $text) = @$_;
        my $c = connection('gate', %smuggling);
        $c->send($text . $smuggled);
        my $r = eval { $c->answer('POST') } || { code => 0 };
        ok $r->{code} == 0 || $r->{code} >= 400, "1.3 H01 $name is refused" or diag $r->{code};
        answers_json($r, $r->{code}, undef, "1.3 H01 $name: an answer of ours, no ErrorDocument") if $name =~ /chunk\b/ && $r->{code};
        my $second = eval { $c->answer('GET') } || { code => 0 };
        is $second->{code}, 0, "1.3 H01 $name: the connection is closed";
    }
};
{
    $backend->clear;
    my $c = connection('gate', %smuggling);
    $c->send(head('/acl', @json, 'Content-Length', 3, 'Transfer-Encoding', 'chunked') . sprintf("%x\r\n%s\r\n0\r\n\r\n", length $ok, $ok) . $smuggled);
    my $r = $c->answer('POST');
    my @seen = $backend->requests;
    ok $r->{code} == 400 && !@seen || $r->{code} == 200 && @seen == 1 && $seen[0]{body} eq $ok, '1.3 Content-Length and Transfer-Encoding: re-framed or refused';
}
is status_of(gate => '/mcp', $token), 200, 'the server still answers';
no_crash($mark);

done_testing;
