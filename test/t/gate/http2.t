# What only HTTP/2 has: streams that share a connection, resets, frames, fields as they may not be: threats.md H09, requirements.md
# ERA-1, RPC-7. The other suites of the gate run over HTTP/2 as a whole, see test/httpd-h2.sh.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::HTTP2 qw(:all);

my $backend = MCP::Backend->start(port('gate_backend'));
my $token = bearer('gate');
my $mark = log_mark();
my $ok = rpc_body('tools/call', { name => 'ok' });
my $evil = rpc_body('tools/call', { name => 'evil' });
my @json = ('content-type', 'application/json');
my $authority = 'localhost:' . port('gate_h2');
my $tls = http_version('gate_h2') eq 'h2';
my $scheme = $tls ? 'https' : 'http';

sub h2 { MCP::HTTP2->new(port('gate_h2'), tls => $tls, timeout => 20) }
sub ask { my ($c, $auth, %opt) = @_; $c->request(delete $opt{verb} // 'POST', '/mcp', authority => $authority,
        %opt, headers => [defined $auth ? ('authorization', "Bearer $auth") : (), @{ $opt{headers} || \@json }]) }
# All fields of a good request.
sub good_fields { (':method', 'POST', ':scheme', $scheme, ':authority', $authority, ':path', '/mcp', 'authorization', "Bearer $token", @json) }
sub bodies { map { $_->{body} } $backend->requests }

# Before release 2.4.55 httpd speaks no HTTP/2 under prefork.
$backend->clear;
if (vars('mcp_mpm') eq 'prefork' && !(eval { ask(h2(), $token, body => $ok)->answer->{code} })) {
    is $backend->accepts, 0, 'H09 prefork without HTTP/2: its preface and frames are no request';
    done_testing;
    exit 0;
}

# --- each row of the gate, on one connection
{
    my $c = h2();
    my @modern = modern_headers('tools/call', 'ok');
    untouched $backend, 'H09', sub {
        for (['no token' => 401, undef, undef, body => $ok], ['the ACL' => 403, 403, $token, body => $evil], ['two documents' => 400, -32700, $token, body => "$ok$ok"],
            ['a batch' => 400, -32600, $token, body => "[$ok]"], ['wrong type' => 415, undef, $token, body => $ok, headers => ['content-type', 'text/plain']],
            ['an encoding' => 415, undef, $token, body => $ok, headers => [@json, 'content-encoding', 'gzip']], ['too large' => 413, undef, $token, body => padded(2049)],
            ['GET with a body' => 400, undef, $token, verb => 'GET', body => $ok], ['GET without a token' => 401, undef, undef, verb => 'GET'], ['PUT' => 405, undef, $token, verb => 'PUT'],
            ['mirrored headers' => 400, -32020, $token, body => modern_body('tools/call', { name => 'evil' }), headers => [@json, @modern]]) {
            my ($name, $code, $rpc, $auth, %opt) = @$_;
            my $r = ask($c, $auth, %opt)->answer;
            my $body = eval { json($r->{body}) };
            is_deeply [$r->{code}, ref $body && ref $body->{error} ? $body->{error}{code} : undef], [$code, $rpc], "H09 $name";
        }
    };
    for (['an allowed message' => body => $ok], ['at the limit' => body => padded(2048)], ['GET' => verb => 'GET', headers => []],
        ['a modern message' => body => modern_body('tools/call', { name => 'ok' }), headers => [@json, @modern]]) {
        my ($name, %opt) = @$_;
        $backend->clear;
        is ask($c, $token, %opt)->answer->{code}, 200, "H09 $name passes";
        is_deeply [bodies()], [$opt{body} // ''], "H09 $name arrives byte for byte";
    }
}

# --- RST_STREAM in mid-body
{
    $backend->clear;
    my $c = h2();
    for (['half a body' => length $ok, substr $ok, 0, 30], ['half a body, no length' => undef, substr $ok, 0, 30], ['a message, and more to come' => length($ok) + 1, $ok],
        ['no byte of it' => length $ok, '']) {
        my ($name, $length, $text) = @$_;
        ask($c, $token, open => 1, length => $length)->data($text)->cut;
        ask($c, $token, open => 1, length => $length)->data($text)->cut(NO_ERROR);
        ok $c->pings, "H09 RST_STREAM after $name: the connection goes on";
    }
    is ask($c, $token, body => $evil)->answer->{code}, 403, 'H09 and the next stream is judged';
    is ask($c, $token, body => $ok)->answer->{code}, 200, 'H09 as the one behind it';
    ask(h2(), $token, open => 1, length => length $ok)->data(substr $ok, 0, 30)->{c}->close;
    wait_for(0.4, sub { 0 });
    is_deeply [bodies()], [$ok], 'H09 nothing that was reset has reached the backend';
}

# --- ERA-1: each stream alone
{
    $backend->clear;
    my $c = h2();
    my %kinds = (
        'no token'      => [401, undef, $ok], 'a bad token' => [401, 'a.b.c', $ok],
        'another\'s'    => [401, bearer('other'), $ok], 'expired' => [401, bearer('gate', undef, exp => now() - 600), $ok],
        'allowed'       => [200, $token, $ok], 'refused' => [403, $token, $evil],
        'modern'        => [200, $token, modern_body('tools/call', { name => 'ok' }), [modern_headers('tools/call', 'ok')]],
        'modern refused' => [403, $token, modern_body('tools/call', { name => 'evil' }), [modern_headers('tools/call', 'evil')]],
        'mixed eras'    => [400, $token, modern_body('tools/call', { name => 'ok' })], 'a batch' => [400, $token, "[$ok]"],
        'wrong type'    => [415, $token, $ok, ['content-type', 'text/plain']],
    );
    for my $round (1, 2) {
        my @names = sort keys %kinds;
        @names = reverse @names if $round == 2;
        my %stream = map {
            my (undef, $auth, undef, $headers) = @{ $kinds{$_} };
            $_ => ask($c, $auth, open => 1, headers => [$_ eq 'wrong type' ? () : @json, @{ $headers || [] }]);
        } @names;
        # The bodies side by side, in pieces, in another order than the heads.
        my @order = reverse @names;
        for my $piece (0 .. 3) {
            for my $name (@order) {
                my $text = $kinds{$name}[2];
                my $size = int(length($text) / 4);
                my $part = $piece == 3 ? substr $text, 3 * $size : substr $text, $piece * $size, $size;
                $stream{$name}->data($part);
            }
        }
        $stream{$_}->end for @order;
        is $stream{$_}->answer->{code}, $kinds{$_}[0], "ERA-1 H09 $_, round $round" for @names;
    }
    is_deeply [sort(bodies())], [sort map { ($kinds{$_}[2]) x 2 } qw(allowed modern)], 'ERA-1 H09 the backend has what was allowed, nothing mixed';
    ok $c->pings, 'ERA-1 H09 and the connection has borne it all';
}

# --- refused while the body is still being sent
{
    my $c = h2();
    untouched $backend, 'H09 early', sub {
        for (['401' => 401, undef], ['401, 1 MB' => 401, undef, body => 'x' x 1_000_000], ['403, a foreign Origin' => 403, $token, headers => [@json, 'origin', 'https://evil.test']],
            ['413 by content-length' => 413, $token, length => 2049], ['413 by its bytes' => 413, $token, send => padded(2049)],
            ['413, 1 MB' => 413, $token, send => 'x' x 1_000_000], ['415' => 415, $token, headers => ['content-type', 'text/plain']],
            ['415, encoded' => 415, $token, headers => [@json, 'content-encoding', 'gzip']], ['405' => 405, $token, verb => 'PUT']) {
            my ($name, $code, $auth, %opt) = @$_;
            my $send = delete $opt{send} // '{"jsonrpc"';
            my $s = ask($c, $auth, $opt{body} ? () : (open => 1), %opt);
            $s->data($send) unless $opt{body};
            my $r = $s->answer;
            is $r->{code}, $code, "H09 $name: answered before the body has ended";
            ok eval { json($r->{body}) }, "H09 $name: wholly";
            $s->data('x')->end;    # what is still on its way
        }
    };
    $backend->clear;
    is ask($c, $token, body => $ok)->answer->{code}, 200, 'H09 after all of them the connection still works';
    is_deeply [bodies()], [$ok], 'H09 and the backend has this message alone';
}

# --- HEADERS and CONTINUATION, split anywhere
{
    $backend->clear;
    my $c = h2();
    my $block = fields(good_fields());
    my %codes;
    my $n = 0;
    for (my $i = 1; $i < length $block; $i += 17) {
        my $s = $c->stream;
        $c->frame(HEADERS, 0, $s->{id}, substr $block, 0, $i);
        $c->frame(CONTINUATION, END_HEADERS, $s->{id}, substr $block, $i);
        $codes{ $s->data($n++ % 2 ? $evil : $ok)->end->answer->{code} }++;
    }
    is_deeply \%codes, { 200 => int(($n + 1) / 2), 403 => int($n / 2) }, 'H09 a head in two frames, split anywhere';
    my $s = $c->stream;
    $c->frame(HEADERS, 0, $s->{id}, substr $block, 0, 1);
    $c->frame(CONTINUATION, 0, $s->{id}, substr $block, $_, 1) for 1 .. 3;
    $c->frame(CONTINUATION, END_HEADERS, $s->{id}, substr $block, 4);
    is $s->data($ok)->end->answer->{code}, 200, 'H09 or in five';
    is scalar(grep { $_ ne $ok } bodies()), 0, 'H09 no other body has arrived';
}
untouched $backend, 'H09 CONTINUATION', sub {
    my $c = h2();
    my $s = $c->stream;
    $c->frame(HEADERS, 0, $s->{id}, fields(good_fields()));
    $c->frame(CONTINUATION, 0, $s->{id}, field('x-more', 'x' x 8000)) for 1 .. 200;
    ok $c->closed(20), 'H09 CVE-2024-27316 CONTINUATION without end: the connection ends';
    $c = h2();
    $s = $c->stream;
    $c->frame(HEADERS, 0, $s->{id}, fields(good_fields()));
    $s->data($ok)->end;
    ok $c->closed(20), 'H09 DATA in place of CONTINUATION: the connection ends';
};

# --- DATA in any pieces
{
    my $c = h2();
    $backend->clear;
    my $padded = sub {
        my ($s, $text) = @_;
        for (split //, $text) {
            $c->frame(DATA, PADDED, $s->{id}, "\x05$_" . "\0" x 5);
            $c->frame(DATA, 0, $s->{id});
        }
        return $s->end;
    };
    for (['ok' => $ok, 200], ['evil' => $evil, 403]) {
        my ($name, $text, $code) = @$_;
        is ask($c, $token, body => $text, chunked => 1, open => 1)->data(split //, $text)->end->answer->{code}, $code, "RPC-7 H09 $name, a frame for each byte";
        is $padded->(ask($c, $token, open => 1), $text)->answer->{code}, $code, "RPC-7 H09 $name, with padding and empty frames between";
    }
    is_deeply [bodies()], [$ok, $ok], 'RPC-7 H09 they arrive whole';
    $backend->clear;
    # The whole connection, each byte in a write of its own; httpd wants to see the preface at once.
    my $bytes = '';
    {
        no warnings 'redefine';
        local *MCP::HTTP2::raw = sub { $bytes .= $_[1]; $_[0] };
        ask($c = h2(), $token, body => $ok);
    }
    $c->{next} = 1;
    my $s = $c->stream;
    $c->raw($_) for unpack 'a24 (a)*', $bytes;
    is $s->answer->{code}, 200, 'RPC-7 H09 a connection byte by byte';
    is_deeply [bodies()], [$ok], 'RPC-7 H09 and the message is whole';
}

# --- what is no request
# What httpd has to answer with RST_STREAM comes only once the request is worked on, for a child of 2.4.71 may die of a stream that it
# ends while a thread takes it up (mod_http2 counts bytes of a connection without mod_logio's part); this without the module, too.
my @expect = ('expect', '100-continue');

sub begun {
    my $s = shift;
    ok eval { $s->wait_until(sub { $_[0]{interim} || $_[0]{code} }) }, 'H09 the request is worked on';
    return $s;
}

# Options: trailers, begun (the body comes late).
sub malformed {
    my ($name, $fields, $body, %opt) = @_;
    untouched $backend, "H09 $name", sub {
        my $c = h2();
        my $s = $c->stream;
        $s->head(fields(@$fields, $opt{begun} ? @expect : ()), defined $body ? 0 : END_STREAM);
        begun($s) if $opt{begun};
        $s->data($body)->end(@{ $opt{trailers} || [] }) if defined $body;
        my $r = eval { $s->answer } or return fail "H09 $name: $@";
        # By an answer, or by the end of the stream or of the connection: httpd may end either before its answer has left.
        ok $r->{code} == 0 || $r->{code} =~ /^[45]/, "H09 $name is refused" or diag $r->{code};
    };
}
# A good request with other values (undef: without that field), and with more fields behind.
sub with {
    my %over = @_;
    my @good = good_fields();
    my @fields;
    while (my ($name, $value) = splice @good, 0, 2) {
        $value = delete $over{$name} if exists $over{$name};
        push @fields, $name, $value if defined $value;
    }
    return @fields, %over;
}

malformed('content-length, and fewer bytes', [with('content-length', length($ok) + 1)], $ok, begun => 1);
malformed('content-length, and more bytes', [with('content-length', length $ok)], "$ok ", begun => 1);
malformed('content-length of a message, and another behind it', [with('content-length', length $ok)], "$ok$evil", begun => 1);
malformed('content-length, and no body', [with('content-length', length $ok)]);
malformed('content-length 0, and a body', [with('content-length', 0)], $ok, begun => 1);
malformed('two content-lengths', [with(), 'content-length', length $ok, 'content-length', 3], $ok);
malformed("content-length $_", [with('content-length', $_)], $ok) for '+' . length $ok, '-1', '0x' . sprintf('%x', length $ok), length($ok) . ',' . length $ok, '99999999999999999999';
malformed("an upper-case name: $_", [with(), $_, 'x'], $ok) for 'Mcp-Name', 'X', 'x-mcp-useR';
malformed('an upper-case Authorization', [with('authorization', undef), 'Authorization', "Bearer $token"], $ok);
malformed("the field $_->[0] of a connection", [with(), @$_], $ok) for ['connection', 'close'], ['connection', 'x-mcp-user, authorization'], ['keep-alive', 'timeout=5'],
    ['proxy-connection', 'close'], ['transfer-encoding', 'chunked'], ['upgrade', 'websocket'], ['te', 'gzip'];
malformed("a field name '$_->[0]'", [with(), $_->[1], 'x'], $ok) for ['with a blank' => 'mcp name'], ['with a colon' => 'mcp:name'], ['empty' => ''], ['with a line end' => "a\r\nx-mcp-user: root\r\nb"],
    ['with NUL' => "a\0b"];
malformed("a value with $_->[0]", [with(), 'x-other', "a$_->[1]b"], $ok) for ['a line end' => "\r\nx-mcp-user: root\r\nx: "], ['LF' => "\n"], ['NUL' => "\0"];
malformed("a path with $_->[0]", [with(':path', $_->[1])], $ok) for ['a line end' => "/mcp HTTP/1.1\r\nX: "], ['NUL' => "/mcp\0"], ['nothing in it' => ''];
malformed("$_->[0]", [with($_->[1] => undef)], $ok) for ['no method' => ':method'], ['no scheme' => ':scheme'], ['no path' => ':path'];
malformed("two of $_->[0]", [@$_, with()], $ok) for [':method', 'GET'], [':path', '/other'], [':authority', 'evil.test'];
malformed('a pseudo field behind the others', [with(':path', undef), ':path', '/mcp'], $ok);
malformed('an unknown pseudo field', [':mcp', 'x', with()], $ok);
malformed('a status', [':status', '200', with()], $ok);
malformed('CONNECT', [':method', 'CONNECT', ':authority', $authority, 'authorization', "Bearer $token"], $ok);
malformed('CVE-2024-36387 a WebSocket', [':method', 'CONNECT', ':protocol', 'websocket', ':scheme', $scheme, ':authority', $authority, ':path', '/mcp',
    'authorization', "Bearer $token", 'sec-websocket-version', '13'], $ok);
malformed('a WebSocket without a token', [':method', 'CONNECT', ':protocol', 'websocket', ':scheme', $scheme, ':authority', $authority, ':path', '/mcp'], $ok);
malformed('two Authorization fields', [with(), 'authorization', "Bearer $token"], $ok);
malformed('a token in the trailers', [with('authorization', undef)], $ok, trailers => ['authorization', "Bearer $token"]);
malformed('a content type in the trailers', [with('content-type', 'text/plain')], $ok, trailers => ['content-type', 'application/json']);
{
    # The same way, and good.
    $backend->clear;
    my $s = h2()->stream;
    is $s->head(fields(with()), 0)->data($ok)->end->answer->{code}, 200, 'H09 without any of that it passes';
    is_deeply [bodies()], [$ok], 'H09 as it was';
}

# --- more after the end of a message
{
    $backend->clear;
    my $c = h2();
    my $s = begun(ask($c, $token, open => 1, headers => [@json, @expect]))->data($ok)->end;
    $c->frame(DATA, END_STREAM, $s->{id}, $evil);
    my $r = eval { $s->answer } || { code => 0 };
    ok $r->{code} == 0 || $r->{code} == 200, 'H09 DATA behind the end' or diag $r->{code};
    $c = h2();
    $s = begun(ask($c, $token, open => 1, headers => [@json, @expect]))->data($ok);
    $c->frame(HEADERS, END_HEADERS, $s->{id}, fields(good_fields()));    # neither trailers, which end it, nor a new stream
    $s->data($evil)->end;
    $r = eval { $s->answer } || { code => 0 };
    ok $r->{code} == 0 || $r->{code} >= 400, 'H09 a second head' or diag $r->{code};
    is scalar(grep { $_ ne $ok } bodies()), 0, 'H09 the backend gets the message, or nothing';
}
# --- mod_http2 may let the end of a stream look like the end of the body: then it is what was judged, and nothing else. It may
# reach the backend long after the client has heard of the end, so nothing that counts connections comes behind.
{
    $backend->clear;
    my $s = h2()->stream;
    begun($s->head(fields(with(), @expect), 0))->data($ok)->end(':path', '/mcp');
    my $r = eval { $s->answer } || { code => 0 };
    ok $r->{code} == 0 || $r->{code} =~ /^[245]/, 'H09 a pseudo field in the trailers' or diag $r->{code};
    my $c = h2();
    for my $text ($ok, $evil) {
        ask($c, $token, open => 1)->data($text)->cut for 1 .. 20;
    }
    ok $c->pings || h2()->pings, 'H09 RST_STREAM behind whole messages';
    wait_for(0.4, sub { 0 });
    is_deeply [grep { $_ ne $ok } bodies()], [], 'H09 what they carry is judged before it goes on';
}
is ask(h2(), $token, body => $ok)->answer->{code}, 200, 'the server still answers';
no_crash($mark);

done_testing;
