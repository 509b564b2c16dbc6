# What the configuration around us may not do to our answers, and what it may: ErrorDocument, Header, Satisfy, mod_cache,
# internal redirects, connections (threats.md H01, H07, H08, O01, O04, FACTS of httpd).
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;

my $backend = MCP::Backend->start(port('challenge_backend'), sub {
    my $request = shift;
    return ('200 OK', ['Content-Type', 'text/plain', 'Cache-Control', 'public, max-age=600', 'ETag', '"1"'], 'secret')
        if $request->{method} eq 'GET';
    return MCP::Backend::answer($request);
});
sub to { my ($path, %claims) = @_; token(aud => "https://mcp.test$path", %claims) }
sub ask { my ($path, %opt) = @_; http(challenge => delete $opt{verb} // 'GET', $path, %opt) }

# --- ErrorDocument
answers_json(ask('/mcp'), 401, 'unauthorized', 'ErrorDocument 401 does not replace our answer');
answers_json(ask('/mcp', headers => [Authorization => 'Bearer']), 400, 'invalid_request', 'nor 400');
answers_json(ask('/require', token => to('/require', scope => 'x')), 403, 'insufficient_scope', 'nor 403 to another host');
answers_json(ask('/mcp', verb => 'PUT'), 405, 'method_not_allowed', 'nor 405 into the location');
my $unavailable = ask('/down', token => to('/down', iss => 'https://down.test'));
answers_json($unavailable, 503, 'temporarily_unavailable', 'nor 503');
is $backend->accepts, 0, 'and the backend knows nothing of it';
{
    my $r = ask('/missing');
    is $r->{code}, 404, 'H07 an error outside whose document is inside stays that error';
    is_deeply [headers($r, 'WWW-Authenticate')], [], 'H07 and gets no challenge';
    unlike $r->{body}, qr/secret/, 'H07 nor anything protected';
}
is ask('/rewritten')->{code}, 401, 'H07 a rewritten URL is protected';
is ask('/rewritten', token => to('/mcp'))->{code}, 200, 'H07 and reachable with a token';

# --- Header
is header(ask('/mcp'), 'X-Always'), 'yes', 'Header always set acts on a 401';
is header(ask('/mcp', verb => 'PUT'), 'X-Always'), 'yes', 'and on a 405';
is header($unavailable, 'X-Always'), 'yes', 'and on a 503';
is header(ask('/mcp', verb => 'OPTIONS', headers => [Origin => 'https://mcp.test']), 'X-Always'), 'yes', 'and on a 204';
{
    my $r = ask('/edited');
    is_deeply [headers($r, 'Cache-Control')], ['private'], 'Header always set replaces ours';
    is_deeply [headers($r, 'X-Always')], [], 'Header always unset';
    like header($r, 'WWW-Authenticate'), qr/^Bearer edited="yes", ?\w/, 'Header always edit';
    is scalar(grep { /^Bearer/ } headers($r, 'WWW-Authenticate')), 1, 'and there is one such challenge';
}
like header(ask('/mcp', token => 'a.b.c'), 'X-Env'), qr/^deny\|token-/, 'the environment is there for Header always';

# --- Satisfy Any, Require all granted
for my $path (qw(/satisfy /satisfy/blind /granted /basic)) {
    $backend->clear;
    answers_json(ask($path), 401, 'unauthorized', "H07 Satisfy and Require: $path without a token");
    is ask($path, verb => 'DELETE')->{code}, 401, "H07 $path: DELETE";
    is rpc(challenge => $path, 'ping')->{code}, 401, "H07 $path: POST";
    is ask($path, token => 'a.b.c')->{code}, 401, "H07 $path: a bad token";
    is ask($path, headers => [Authorization => 'Basic YWxpY2U6c2VjcmV0'])->{code}, 401, "H07 $path: Basic";
    is $backend->accepts, 0, "H07 $path: the backend knows nothing of it";
    next if $path eq '/basic';
    is ask($path, token => to($path =~ m{^(/\w+)}))->{code}, 200, "H07 $path: a good token";
}
$backend->clear;
is ask('/satisfy/scope', token => to('/satisfy'))->{code}, 403, 'H07 Satisfy Any does not lift a missing scope';
is ask('/satisfy', headers => [Origin => 'https://evil.test'], token => to('/satisfy'))->{code}, 403, 'H07 nor a foreign Origin';
is ask('/satisfy', verb => 'PUT', token => to('/satisfy'))->{code}, 405, 'H07 nor another verb';
is $backend->accepts, 0, 'H07 the backend knows nothing of that either';

# --- mod_cache
$backend->clear;
ask('/opencache/x') for 1, 2;
is scalar($backend->requests), 1, 'mod_cache: it does keep what is not protected';
$backend->clear;
my $t = to('/cached');
is ask('/cached/x')->{code}, 401, 'mod_cache: no token first';
for my $round (1, 2) {
    is ask('/cached/x', token => $t)->{body}, 'secret', "mod_cache: with a token, $round";
    my $r = ask('/cached/x');
    is $r->{code}, 401, "mod_cache: then without, $round";
    unlike $r->{body}, qr/secret/, "mod_cache: nothing leaks, $round";
    is ask('/cached/x', token => to('/other'))->{code}, 401, "mod_cache: with a foreign one, $round";
    # Here mod_cache answers by itself that it has nothing.
    is ask('/cached/x', headers => ['Cache-Control', 'only-if-cached'])->{code}, 504, "mod_cache: nothing is kept, $round";
}
is scalar($backend->requests), 2, 'mod_cache: each good request reached the backend';

# --- connections
{
    my $c = dial('challenge');
    my @codes = map { http(challenge => GET => '/mcp', on => $c, @$_)->{code} }
        [], [token => 'a.b.c'], [token => to('/mcp')], [headers => [Origin => 'https://evil.test']], [token => to('/mcp')];
    is_deeply \@codes, [401, 401, 200, 403, 200], 'a connection is kept over 401 and 403';
}
my %smuggling = (h1 => 'where a body ends among the bytes of a connection');
for ([401, '/mcp'], [403, '/require', to('/require', scope => 'x')]) {
    my ($code, $path, $token) = @$_;
    # A refused POST, its body, and a request behind it. Either the connection ends, or the second is understood for itself.
    for my $chunked (0, 1) {
        my $c = connection('challenge', %smuggling);
        my $body = rpc_body('tools/call', { name => "GET /public/ HTTP/1.1\r\nHost: x\r\n\r\n" });
        $c->send(MCP::Test::request_text(challenge => POST => $path, token => $token, keep => 1, body => $body, chunked => $chunked,
            headers => ['Content-Type', 'application/json']),
            MCP::Test::request_text(challenge => GET => '/mcp/second', token => to('/mcp'), keep => 1));
        is $c->answer('POST')->{code}, $code, "H01 $code with a body, chunked $chunked";
        my $second = $c->answer('GET');
        ok $second->{code} == 0 || ($second->{code} == 200 && $second->{body} eq 'secret'),
            "H01 $code, chunked $chunked: then the next request or the end" or diag $second->{raw_head};
        ok !$second->{code} || $c->closed(0.2) || !length $c->{in}, "H01 $code, chunked $chunked: and no third answer";
    }
    my $c = connection('challenge', %smuggling);
    $c->send("POST $path HTTP/1.1\r\nHost: x\r\n" . ($token ? "Authorization: Bearer $token\r\n" : '')
            . "Content-Type: application/json\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n");
    my $r = $c->answer('interim');
    is $r->{code}, $code, "H01 $code at once to Expect: 100-continue";
    $c->close;
    $c = connection('challenge', %smuggling);
    $c->send("POST $path HTTP/1.1\r\nHost: x\r\n" . ($token ? "Authorization: Bearer $token\r\n" : '')
            . "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nGET /mcp HTTP/1.1\r\nHost: x\r\n\r\n");
    $r = $c->answer('POST');
    ok $r->{code} == $code || $r->{code} == 400, "H01 $code with a bad chunk: $r->{code}";
    ok $c->closed(20), "H01 $code with a bad chunk: the connection ends, no second answer";
}

# --- what a client sends does not come back in headers
my $prm = 'https://mcp.test/.well-known/oauth-protected-resource/mcp';
for my $host ('evil.test', 'evil.test:1234', 'localhost') {
    my $r = ask('/mcp', host => $host, headers => ['X-Forwarded-Host' => 'evil.test', 'X-Forwarded-Proto' => 'http',
        'Forwarded' => 'host=evil.test;proto=http']);
    is { challenge($r) }->{resource_metadata}, $prm, "O04 Host: $host does not show";
    unlike $r->{raw_head} . $r->{body}, qr/evil/, "O04 Host: $host is nowhere in the answer";
}
for my $path ('/mcp/%0d%0aX-Evil:%201', '/mcp/%22,evil=%22', '/mcp/%00', '/mcp/%c3%a9', '/mcp/"x', '/mcp/' . 'x' x 2000, '/mcp?a="b%0d%0a') {
    my $r = ask($path);
    next unless $r->{code} == 401;    # httpd refuses some by itself
    is eval { +{ challenge($r) }->{resource_metadata} } // $@, $prm, 'O01 ' . substr $path, 0, 30;
    is header($r, 'X-Evil'), undef, 'O01 no header made of a path';
}
for my $kid ("a\r\nX-Evil: 1", 'a", error="x', "\x{e9}", "a\x7f", 'a\\') {
    my $r = refuses(challenge => '/mcp', token(aud => 'https://mcp.test/mcp', -kid => $kid), 'O01 kid ' . json_text($kid));
    is header($r, 'X-Evil'), undef, 'O01 no header made of a kid';
    ok $r->{raw_head} !~ /[^\x20-\x7e\r\n]/, 'O01 the head is ASCII';
}
for my $scope ("x\r\nX-Evil: 1", 'x" error="y') {
    my $r = ask('/require', token => to('/require', scope => $scope));
    is { challenge($r) }->{scope}, 'mcp:read mcp:write mcp:admin', 'O01 the scopes of a challenge are ours, not the token\'s';
    is header($r, 'X-Evil'), undef, 'O01 no header made of a scope';
}
{
    my $mark = log_mark();
    http(challenge => GET => '/mcp', token => token(aud => 'https://mcp.test/mcp', -kid => "x\n[forged] line", iss => "https://\e[31mevil\nforged"));
    http(challenge => GET => '/mcp', token => token(aud => "forged\n[aud]", sub => "forged\n[sub]"));
    unlike log_since($mark), qr/^\[?forged/m, 'O02 no line of the log is made by a token';
    unlike log_since($mark), qr/\e/, 'O02 no escape sequence in the log';
}

done_testing;
