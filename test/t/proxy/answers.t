# What the backend answers arrives as it is, and at once: requirements.md TRN-5, TRN-7, TRN-8, TRN-11, TRN-12, TRN-17, ERA-4 to ERA-6,
# COR-4 to COR-7, threats.md R19.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use File::Temp ();
use Time::HiRes qw(time sleep);

my $flags = File::Temp->newdir(TMPDIR => 1);
chmod 0755, "$flags";
my %answers = (
    '/mcp/202'  => ['202 Accepted', ['X-Backend', '1']],
    '/mcp/404'  => ['404 Not Found', ['Content-Type', 'application/json'], '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}'],
    '/mcp/gone' => ['404 Not Found', ['Content-Type', 'text/plain'], 'Session not found'],
    '/mcp/400'  => ['400 Bad Request', ['Content-Type', 'application/json'], '{"jsonrpc":"2.0","id":"x","error":{"code":-32021,"message":"m","data":{"requiredCapabilities":{"a":{}}}}}'],
    '/mcp/401'  => ['401 Unauthorized', ['Content-Type', 'text/plain', 'WWW-Authenticate', 'Custom x="y"'], 'who?'],
    '/mcp/403'  => ['403 Forbidden', ['Content-Type', 'text/plain'], 'no'],
    '/mcp/405'  => ['405 Method Not Allowed', ['Allow', 'POST', 'Content-Type', 'text/plain'], 'not here'],
    '/mcp/500'  => ['500 Oops', ['Content-Type', 'application/json'], '{"oops":true}'],
    '/mcp/503'  => ['503 Later', ['Retry-After', '77', 'Content-Type', 'text/plain'], 'later'],
    '/mcp/session' => ['200 OK', ['Mcp-Session-Id', 's-1', 'X-Accel-Buffering', 'no', 'Cache-Control', 'private, max-age=5', 'Content-Type', 'application/json; charset=utf-8'], '{}'],
    '/mcp/cors' => ['200 OK', ['Access-Control-Allow-Origin', '*', 'Access-Control-Allow-Origin', 'https://b.test', 'Access-Control-Expose-Headers', 'X-B',
        'Access-Control-Allow-Credentials', 'true', 'Vary', 'Accept', 'Content-Type', 'application/json'], '{}'],
);
my $backend = MCP::Backend->start(port('proxy_backend'), sub {
    my ($request, $client) = @_;
    my $path = $request->{path};
    return @{ $answers{$path} } if $answers{$path};
    return MCP::Backend::reset($client) if $path eq '/mcp/reset';
    if ($path eq '/mcp/half') {
        print $client "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"half\":";
        return;
    }
    if ($path eq '/mcp/sse') {
        my ($name) = ($request->{query} // '') =~ /^(\w+)$/ or return;
        MCP::Backend::sse($client, ": keep-alive\n\n", "id: 1\nretry: 500\ndata:\n\n", { n => 1 });
        my $until = time + 60;
        for my $n (2 .. 4) {
            sleep 0.02 while !-e "$flags/$name.$n" && time < $until;
            MCP::Backend::sse_more($client, $n == 3 ? ("data: {\"n\":", "3}\n", "\n") : { n => $n });
        }
        MCP::Backend::sse_end($client);
        return;
    }
    return MCP::Backend::answer($request);
});
my $mark = log_mark();
my $token = bearer('proxy');
my $ok = rpc_body('tools/call', { name => 'ok' });
sub ask { my ($path, %opt) = @_; post(proxy => $path, $ok, token => $token, %opt) }

# --- unchanged
for my $path (sort grep { !/cors|session/ } keys %answers) {
    my ($status, $headers, $body) = @{ $answers{$path} };
    my $r = ask($path);
    $status =~ s/ .*// if http_version('proxy') ne 'h1';    # HTTP/2 has no reason phrase
    is $status =~ / / ? "$r->{code} $r->{reason}" : $r->{code}, $status, "TRN-12 TRN-17 R19 $path: the status";
    is $r->{body}, $body // '', "TRN-5 TRN-17 $path: the body, byte for byte";
    my %h = @$headers;
    is_deeply [headers($r, $_)], [$h{$_}], "$path: $_" for sort keys %h;
    is header($r, 'WWW-Authenticate'), $h{'WWW-Authenticate'}, "$path: no challenge of ours";
    is header($r, 'Cache-Control'), undef, "$path: no Cache-Control of ours";
}
{
    my $r = ask('/mcp/session', headers => ['Mcp-Session-Id', 'old']);
    is header($r, 'Mcp-Session-Id'), 's-1', 'TRN-12 Mcp-Session-Id to the client';
    is +($backend->requests)[-1]{headers}{'mcp-session-id'}, 'old', 'TRN-12 and to the backend';
    is header($r, 'X-Accel-Buffering'), 'no', 'TRN-8 X-Accel-Buffering is kept';
    is header($r, 'Cache-Control'), 'private, max-age=5', 'LST-5 Cache-Control of the backend';
    is header($r, 'Content-Type'), 'application/json; charset=utf-8', 'TRN-7 Content-Type';
    is rpc(proxy => '/mcp/session', 'ping', undef, headers => ['Mcp-Session-Id', 's-1'])->{code}, 401, 'TRN-13 a session id never authenticates';
    is http(proxy => GET => '/mcp/session', headers => ['Mcp-Session-Id', 's-1'])->{code}, 401, 'TRN-13 nor for GET';
    is http(proxy => DELETE => '/mcp/session', headers => ['Mcp-Session-Id', 's-1'])->{code}, 401, 'TRN-4 nor for DELETE';
}
for (['a notification' => '{"jsonrpc":"2.0","method":"notifications/initialized"}'], ['a result' => '{"jsonrpc":"2.0","id":5,"result":{"roots":[]}}'],
    ['an error' => '{"jsonrpc":"2.0","id":5,"error":{"code":-1,"message":"declined"}}']) {
    my ($r) = passes($backend, proxy => '/mcp', $_->[1], "TRN-5 $_->[0] of the client passes", token => $token);
    is_deeply [$r->{code}, $r->{body}], [202, ''], "TRN-5 $_->[0]: 202 without a body";
}

# --- CORS on what the backend answers
{
    my @origin = (Origin => 'https://app.test');
    my $r = ask('/mcp/cors', headers => [@origin]);
    is $r->{code}, 200, 'COR-6 an allowed origin';
    is_deeply [headers($r, 'Access-Control-Allow-Origin')], ['https://app.test'], 'COR-7 one Access-Control-Allow-Origin';
    like join(',', headers($r, 'Access-Control-Expose-Headers')), qr/mcp-session-id/i, 'COR-4 Mcp-Session-Id can be read';
    like join(',', headers($r, 'Vary')), qr/\bOrigin\b/i, 'COR-6 Vary: Origin';
    like join(',', headers($r, 'Vary')), qr/\bAccept\b/i, 'COR-6 beside that of the backend';
    is_deeply [headers(ask('/mcp/202', headers => [@origin]), 'Access-Control-Allow-Origin')], ['https://app.test'], 'COR-5 also when the backend knows nothing of CORS';
    is_deeply [headers(ask('/mcp/404', headers => [@origin]), 'Access-Control-Allow-Origin')], ['https://app.test'], 'COR-5 and on its errors';
    untouched $backend, 'TRN-1', sub {
        my $r = ask('/mcp/cors', headers => [Origin => 'https://evil.test']);
        answers_json($r, 403, 'forbidden', 'TRN-1 TRN-2 another origin');
        is_deeply [map { headers($r, "Access-Control-$_") } qw(Allow-Origin Expose-Headers Allow-Methods)], [], 'COR-6 without CORS headers';
        is ask('/mcp/cors', headers => [Origin => 'null'])->{code}, 403, 'TRN-1 null';
        is ask('/mcp/cors', headers => [Origin => 'http://localhost'])->{code}, 403, 'TRN-1 a list replaces the default';
        $r = http(proxy => OPTIONS => '/mcp/cors', headers => [@origin, 'Access-Control-Request-Method' => 'POST', 'Access-Control-Request-Headers' => 'authorization, mcp-param-region']);
        is $r->{code}, 204, 'COR-1 preflight: no token needed';
        like join(',', headers($r, 'Access-Control-Allow-Methods')), qr/POST/, 'COR-2 the methods';
        like join(',', headers($r, 'Access-Control-Allow-Headers')), qr/\bauthorization\b/i, 'COR-3 Authorization by name';
        like join(',', headers($r, 'Access-Control-Allow-Headers')), qr/mcp-param-region|\*/i, 'COR-3 Mcp-Param-*';
        $r = post(proxy => '/mcp', '{', token => $token, headers => [@origin]);
        is_deeply [$r->{code}, headers($r, 'Access-Control-Allow-Origin')], [400, 'https://app.test'], 'COR-5 our 400 can be read';
        $r = post(proxy => '/mcp', $ok, token => $token, headers => [@origin, 'Content-Type' => 'text/plain']);
        is_deeply [$r->{code}, headers($r, 'Access-Control-Allow-Origin')], [415, 'https://app.test'], 'COR-8 our 415 as well';
        $r = post(proxy => '/mcp', $ok, headers => [@origin]);
        is_deeply [$r->{code}, headers($r, 'Access-Control-Allow-Origin')], [401, 'https://app.test'], 'COR-5 our 401 as well';
    };
}

# --- TRN-7: events at once
for my $path ('/mcp') {
    for my $verb (qw(POST GET)) {
        my @seconds;
        for my $try (1 .. 3) {    # a delay that is built in is there each time
            my $name = lc "$verb$try";
            my $request = send_request(proxy => $verb => "$path/sse?$name", token => $token,
                headers => [$verb eq 'POST' ? ('Content-Type', 'application/json') : (), 'Accept', 'text/event-stream', 'Accept-Encoding', 'gzip'], $verb eq 'POST' ? (body => $ok) : ());
            ok $request->shows(qr/data: \{"n":1\}\n\n/, 30), "TRN-7 $verb: the first event arrives while the stream is open";
            ok !-e "$flags/$name.2", "TRN-7 $verb: before there is a second";
            for my $n (2 .. 4) {
                write_file("$flags/$name.$n", '');
                my $start = time;
                ok $request->shows(qr/"n":$n\}/, 30), "TRN-7 $verb: event $n";
                $seconds[$n] = time - $start;
            }
            my $r = $request->answer($verb);
            is "$r->{code} " . header($r, 'Content-Type'), '200 text/event-stream', "TRN-7 $verb: an event stream";
            like $r->{body}, qr/"n":4\}\n\n\z/, "TRN-7 $verb: the end";
            last if !grep { $_ >= 2 } @seconds[2 .. 4];
        }
        cmp_ok $seconds[$_], '<', 2, "TRN-7 $verb: event $_ at once" for 2 .. 4;
    }
}
{
    write_file("$flags/whole.$_", '') for 2 .. 4;
    my $r = http(proxy => GET => '/mcp/sse?whole', token => $token);
    is $r->{body}, qq(: keep-alive\n\nid: 1\nretry: 500\ndata:\n\ndata: {"n":1}\n\ndata: {"n":2}\n\ndata: {"n":3}\n\ndata: {"n":4}\n\n),
        'TRN-8 CNF-4 comments, ids, retry and the empty event byte for byte';
}
{
    my @streams = map {
        send_request(proxy => POST => "/mcp/sse?par$_", token => $token, headers => ['Content-Type', 'application/json'], body => $ok)
    } 1 .. 3;
    my @first = map { $_->shows(qr/"n":1\}/, 30) } @streams;
    is_deeply \@first, [1, 1, 1], 'TRN-11 three streams at once';
    is ask('/mcp')->{code}, 200, 'TRN-11 and a message meanwhile';
    for my $i (1 .. 3) { write_file("$flags/par$i.$_", '') for 2 .. 4 }
    my @last = map { $_->shows(qr/"n":4\}/, 30) } @streams;
    is_deeply \@last, [1, 1, 1], 'TRN-11 to their ends';
}

# --- R19: the backend fails
for my $case (['/dead' => '/plaindead', 503, 'down'], ['/mcp/reset' => '/plain/reset', 502, 'reset']) {
    my ($path, $plain, $code, $name) = @$case;
    my ($r, $p) = (ask($path), post(proxy => $plain, $ok));
    # Over HTTP/2 some releases of httpd make 500 of a connection that breaks, by themselves.
    is $r->{code}, $p->{code}, "R19 $name: the same status as without the module";
    like $r->{code}, http_version('proxy') eq 'h1' ? qr/^$code$/ : qr/^(?:500|$code)$/, "R19 $name: $code of mod_proxy";
    is $r->{body}, $p->{body}, "R19 $name: the same body as without the module";
    is header($r, 'Content-Type'), header($p, 'Content-Type'), "R19 $name: the same type";
    is header($r, 'WWW-Authenticate'), undef, "R19 $name: no challenge";
    untouched $backend, "R19 $name, refused", sub { is post(proxy => $path, '{', token => $token)->{code}, 400, "R19 $name: what we refuse is still refused" };
}
{
    my $r = eval { ask('/mcp/half') } || { code => 0, body => '' };
    ok $r->{code} == 0 || $r->{code} >= 500 || length $r->{body} < 100, 'R19 half an answer is not made whole';
    is ask('/mcp')->{code}, 200, 'R19 and then it goes on';
}
no_crash($mark);

done_testing;
