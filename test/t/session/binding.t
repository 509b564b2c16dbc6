# McpOAuthSessionBinding: requirements.md TRN-12 to TRN-15, threats.md S01, S02, S04.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Stream qw(listen_on);
use MCP::Gate;

my $backend = MCP::Stream->start(port('revision_backend'));
my $mark = log_mark();
my @json = ('Content-Type', 'application/json');
my @initialize = ('initialize', { protocolVersion => '2025-11-25', capabilities => {}, clientInfo => { name => 'x', version => '1' } });

sub of { my (%claims) = @_; token(aud => 'https://mcp.test/rev', scope => 'x', %claims) }
my $alice = of();
sub message { my ($path, $id, %opt) = @_; rpc(revision => $path, 'tools/call', { name => 'read_a' }, token => $alice, headers => [defined $id ? ('Mcp-Session-Id' => $id) : ()], %opt) }
sub verb { my ($verb, $path, $id, %opt) = @_; http(revision => $verb => $path, token => $alice, headers => [defined $id ? ('Mcp-Session-Id' => $id) : ()], %opt) }
# What clients get for the backend's id.
sub begin {
    my ($path, $id, %opt) = @_;
    $backend->answers($path, '200 OK', [@json, ref $id ? map { ('Mcp-Session-Id', $_) } @$id : ('Mcp-Session-Id', $id)], '{"jsonrpc":"2.0","id":1,"result":{}}');
    return rpc(revision => $path, @initialize, token => $alice, %opt);
}
# The request gets through, and the backend sees its own id, once.
sub known {
    my ($name, $id, $code) = @_;
    $backend->clear;
    my $r = $code->();
    my @seen = $backend->requests;
    my @ids = map { $_->[1] } grep { lc $_->[0] eq 'mcp-session-id' } map { @{ $_->{lines} } } @seen;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply [$r->{code} =~ /^20[02]$/ ? 'passes' : $r->{code}, scalar(@seen), @ids], ['passes', 1, defined $id ? $id : ()], $name;
    return $r;
}
# It is refused as if there were no such session, and nothing reaches the backend.
sub foreign {
    my ($name, $message, $verbs) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    untouched $backend, $name, sub {
        refused_rpc($message->(), 404, 404, '1', "$name: POST") if $message;
        for my $verb ($verbs ? qw(GET DELETE) : ()) {
            my $r = $verbs->($verb);
            answers_json($r, 404, 'session_not_found', "$name: $verb");
            is header($r, 'WWW-Authenticate'), undef, "$name: $verb: no challenge";
        }
    };
}

# --- wrapped toward the client, the backend's own toward the backend
my $wrapped;
{
    my $r = begin('/session/a', 's-1');
    is $r->{code}, 200, 'TRN-12 initialize';
    is scalar(headers($r, 'Mcp-Session-Id')), 1, 'TRN-12 one session id';
    $wrapped = header($r, 'Mcp-Session-Id') // '';
    like $wrapped, qr/\As-1\.[\x21-\x7e]{20,}\z/, 'TRN-14 its id with a tag';
    known('TRN-12 the backend gets its own id: POST', 's-1', sub { message('/session/p', $wrapped) });
    known("TRN-12 the backend gets its own id: $_", 's-1', sub { verb($_, '/session/p', $wrapped) }) for qw(GET HEAD DELETE);
    known("TRN-12 in a field called $_", 's-1', sub { rpc(revision => '/session/p', 'ping', undef, token => $alice, headers => [$_ => $wrapped]) }) for 'mcp-session-id', 'MCP-SESSION-ID', 'MCP-Session-Id';
    known('TRN-12 blanks around are no part of it', 's-1', sub { message('/session/p', "  $wrapped\t ") });
    known('TRN-12 a notification', 's-1', sub { message('/session/p', $wrapped, id => undef) });
    known('TRN-12 a response', 's-1', sub { post(revision => '/session/p', '{"jsonrpc":"2.0","id":1,"result":{}}', token => $alice, headers => ['Mcp-Session-Id' => $wrapped]) });
    known('TRN-12 with ACL and filter', 's-1', sub { message('/session/filtered', $wrapped) });
    known('TRN-12 without a session', undef, sub { message('/session/p', undef) });
    known("TRN-12 without a session: $_", undef, sub { verb($_, '/session/p', undef) }) for qw(GET DELETE);
    my @codes = map { message('/session/p', $wrapped)->{code} } 1 .. 24;
    is_deeply \@codes, [(200) x 24], 'S04 whichever child gets it';
    is header(begin('/session/a', 's-1'), 'Mcp-Session-Id'), $wrapped, 'S04 the same session has the same id again';
    is header(message('/session/a', $wrapped), 'Mcp-Session-Id'), $wrapped, 'TRN-12 an id that the backend repeats is the same';
    isnt header(begin('/session/a', 's-2'), 'Mcp-Session-Id') =~ s/^s-2//r, $wrapped =~ s/^s-1//r, 'TRN-14 another session has another tag';
}
# a stream, an error, other ids
{
    $backend->plays('/session/sse', head => ['mcp-session-id', 's-1'], send => "data: {}\n\n", 'end');
    my $stream = listen_on('revision', POST => '/session/sse', token => $alice, headers => [@json], body => rpc_body(@initialize));
    is_deeply [headers($stream->head, 'Mcp-Session-Id')], [$wrapped], 'TRN-12 an event stream carries the wrapped id';
    $backend->answers('/session/error', '400 Bad Request', [@json, 'Mcp-Session-Id', 's-1'], '{}');
    is_deeply [headers(message('/session/error', undef), 'Mcp-Session-Id')], [$wrapped], 'TRN-12 so does an error';
    for my $id ('a', 'a.b.c', '.', '1868a90c-2f3b-4d5e-8f90-abcdef012345', '!"#$%&\'()*+,-./:;<=>?@[]^_`{|}~', 'x' x 1024) {
        my $r = begin('/session/b', $id);
        my $mine = header($r, 'Mcp-Session-Id') // '';
        my $shown = length $id > 40 ? length($id) . ' bytes' : $id;
        like $mine, qr/\A\Q$id\E\.[\x21-\x7e]+\z/, "TRN-12 id $shown";
        known("TRN-12 id $shown comes back as it was", $id, sub { message('/session/p', $mine) });
    }
    for (['too long' => 'x' x 1025], ['with a blank' => 'a b'], ['beyond ASCII' => "a\xe9"], ['empty' => '']) {
        my $r = begin('/session/b', $_->[1]);
        is_deeply [grep { length } headers($r, 'Mcp-Session-Id')], [], "TRN-14 an id that cannot be bound does not reach the client: $_->[0]";
    }
    my $r = begin('/session/b', ['s-1', 's-9']);
    is scalar(grep { /^s-[19]$/ } map { split /\s*,\s*/ } headers($r, 'Mcp-Session-Id')), 0, 'TRN-14 nor one of two, unbound';
}

# --- TRN-14, S01: another principal
my %others = (
    'another subject' => of(sub => 'bob'), 'another client' => of(client_id => 'client-2'), 'another issuer' => token(iss => 'https://b.test', aud => 'https://mcp.test/rev', -key => 'rsa_b', -kid => 'rsa'),
    'no client' => of(client_id => undef), 'a subject that is a begin' => of(sub => 'alic'), 'parts that join to the same text' => of(sub => 'aliceclient-', client_id => '1'),
    'the parts exchanged' => of(sub => 'client-1', client_id => 'alice'), 'an empty client' => of(client_id => ''),
);
for my $who (sort keys %others) {
    my @token = (token => $others{$who});
    next unless status_of(revision => '/session/p', $others{$who}) == 200 or diag("$who is no valid token");
    foreign("TRN-14 S01 $who", sub { message('/session/p', $wrapped, @token) }, sub { verb(shift, '/session/p', $wrapped, @token) });
}
is scalar(grep { status_of(revision => '/session/p', $_) == 200 } values %others), scalar(keys %others), 'TRN-14 each of them is a good token';
{
    my $bobs = header(begin('/session/a', 's-1', token => $others{'another subject'}), 'Mcp-Session-Id') // '';
    isnt $bobs, $wrapped, 'TRN-14 the same id for another principal has another tag';
    foreign('TRN-14 S01 the other way round', sub { message('/session/p', $bobs) }, sub { verb(shift, '/session/p', $bobs) });
    known('TRN-14 each has his own', 's-1', sub { message('/session/p', $bobs, token => $others{'another subject'}) });
}
foreign('TRN-14 TOK-20 another resource', sub { message('/session/other', $wrapped) }, sub { verb(shift, '/session/other', $wrapped) });

# --- S02: another token of the same principal
for my $case (['a refreshed token' => {}], ['other scopes' => { scope => 'y z' }], ['another key and another expiry' => { exp => now() + 60, -key => 'ec256', -kid => 'ec256' }], ['more claims' => { acr => 'x', name => 'Alice' }],
    ['several audiences' => { aud => ['https://x.test', 'https://mcp.test/rev'] }]) {
    my ($what, $claims) = @$case;
    my $token = of(%$claims);
    known("S02 $what of the same principal", 's-1', sub { message('/session/p', $wrapped, token => $token) });
    known("S02 $what: $_", 's-1', sub { verb($_, '/session/p', $wrapped, token => $token) }) for qw(GET DELETE);
}

# --- TRN-13: a session id never authenticates
untouched $backend, 'TRN-13', sub {
    for (['none' => undef], ['a bad one' => 'a.b.c'], ['an expired one' => of(exp => now() - 3600)]) {
        is message('/session/p', $wrapped, token => $_->[1])->{code}, 401, "TRN-13 a session without a token: $_->[0]";
        is verb('GET', '/session/p', $wrapped, token => $_->[1])->{code}, 401, "TRN-13 GET: $_->[0]";
        is verb('DELETE', '/session/p', $wrapped, token => $_->[1])->{code}, 401, "TRN-13 DELETE: $_->[0]";
    }
};

# --- what is not a wrapped id of ours
my ($id, $tag) = $wrapped =~ /\A(s-1)\.(.*)\z/;
my $flip = sub { my ($text, $at) = @_; substr($text, $at, 1) =~ tr/A-Za-z0-9_-/B-ZAb-za1-90\-_/; $text };
my %bad = (
    'unwrapped' => $id, 'unwrapped with a dot' => "$id.", 'the tag alone' => $tag, 'the tag behind a dot' => ".$tag", 'empty' => '', 'blanks' => '   ',
    'another id' => "s-2.$tag", 'another id of the same length' => "s_1.$tag", 'an id in another case' => "S-1.$tag", 'a longer id' => "s-1.x.$tag",
    'the first character of the tag' => "$id." . $flip->($tag, 0), 'the last character of the tag' => "$id." . $flip->($tag, -1), 'one in the middle' => "$id." . $flip->($tag, length($tag) / 2),
    'half a tag' => "$id." . substr($tag, 0, length($tag) / 2), 'a tag that lacks its end' => "$id." . substr($tag, 0, -1), 'a longer tag' => "$id.${tag}A", 'a padded tag' => "$id.$tag=",
    'a tag in another case' => "$id." . $tag =~ tr/a-zA-Z/A-Za-z/r, 'two tags' => "$wrapped.$tag", 'a comma' => "$wrapped,$wrapped", 'a comma behind' => "$wrapped,", 'a list' => "$wrapped, $wrapped", 'quotes' => qq("$wrapped"),
    'a blank inside' => "$id. $tag", '7001 bytes' => 'x' x 4000 . '.' . 'A' x 3000, 'another separator' => "$id:$tag", 'percent' => "$id%2e$tag",
);
# The last character has bits that stand for nothing: they must be as they were made.
if ((my $spare = index 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_', substr $tag, -1) >= 0) {
    $bad{"other spare bits $_"} = "$id." . substr($tag, 0, -1) . substr 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_', $spare ^ $_, 1 for 1 .. 3;
}
for my $what (sort keys %bad) {
    foreign("S01 $what", sub { message('/session/p', $bad{$what}) }, sub { verb(shift, '/session/p', $bad{$what}) });
}
for (['the same twice' => $wrapped, $wrapped], ['a good one and a bare one' => $wrapped, 's-1'], ['a bare one and a good one' => 's-1', $wrapped], ['an empty one and a good one' => '', $wrapped]) {
    my ($what, @ids) = @$_;
    my @lines = map { ('Mcp-Session-Id' => $_) } @ids;
    foreign("S01 two fields: $what", sub { rpc(revision => '/session/p', 'ping', undef, token => $alice, headers => [@lines]) }, sub { http(revision => shift, '/session/p', token => $alice, headers => [@lines]) });
}
untouched $backend, 'S01', sub {
    refused_rpc(message('/session/p', 'x', id => '"'), 404, 404, '"\""', 'RPC-8 the id of the request is that of the refusal');
    refused_rpc(message('/session/p', 'x', id => undef), 404, 404, undef, 'TRN-6 a notification of a foreign session: no id');
    is post(revision => '/session/p', '{"jsonrpc":"2.0","id":1,"result":{}}', token => $alice, headers => ['Mcp-Session-Id' => 'x'])->{code}, 404, 'S01 a response of a foreign session';
    my $r = message('/session/p', 'x', headers => ['Mcp-Session-Id' => 'x', Origin => 'https://app.test']);
    is_deeply [$r->{code}, headers($r, 'Access-Control-Allow-Origin')], [404, 'https://app.test'], 'COR-5 the 404 can be read';
    like header(message('/session/p', 'x'), 'X-Env') // '', qr/\|session-foreign$/, 'the environment tells the reason';
    is post(revision => '/session/p', '{', token => $alice, headers => ['Mcp-Session-Id' => $wrapped])->{code}, 400, 'a good session does not excuse a bad body';
};
is message('/session/p', $wrapped, h1 => 'Connection', headers => ['Mcp-Session-Id' => $wrapped, Connection => 'close, Mcp-Session-Id'])->{code} =~ /^(?:200|400|404)$/ ? 1 : 0, 1, 'H04 Connection: Mcp-Session-Id';

# --- TRN-12: what the backend says about sessions passes
for (['404 Not Found', '{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Session not found"}}'], ['400 Bad Request', 'Bad Request: Missing session ID'], ['404 Not Found', '']) {
    my ($status, $body) = @$_;
    $backend->answers('/session/ended', $status, [@json], $body);
    for my $how (sub { message('/session/ended', $wrapped) }, sub { verb('GET', '/session/ended', $wrapped) }, sub { verb('DELETE', '/session/ended', $wrapped) }) {
        my $r = $how->();
        is_deeply [@$r{qw(code body)}], [$status =~ /^(\d+)/, $body], "TRN-12 $status of the backend passes unchanged: '$body'";
    }
}

# --- TRN-15: revision 2026-07-28 has no sessions
for (['a good one' => $wrapped], ['a foreign one' => 'x'], ['a bare one' => 's-1'], ['an empty one' => ''], ['two' => ['x', $wrapped]]) {
    my ($what, $value) = @$_;
    known("TRN-15 a modern message with $what", undef, sub { modern_post(revision => '/session/p', 'tools/call', { name => 'read_a' }, token => $alice, headers => { 'Mcp-Session-Id' => $value }) });
    known("TRN-15 a modern notification with $what", undef, sub { rpc(revision => '/session/p', 'notifications/cancelled', { requestId => 1 }, id => undef, token => $alice,
        headers => ['MCP-Protocol-Version' => $VERSION_0728, map { ('Mcp-Session-Id' => $_) } ref $value ? @$value : $value]) });
}
untouched $backend, 'TRN-15', sub {
    is modern_post(revision => '/session/filtered', 'tools/call', { name => 'no' }, token => $alice, headers => { 'Mcp-Session-Id' => $wrapped })->{code}, 403, 'TRN-15 nor does a session excuse anything';
    is message('/session/p', 'x', headers => ['Mcp-Session-Id' => 'x', 'MCP-Protocol-Version' => $_])->{code}, 404, "TRN-15 B11 version $_ is not one of those" for '2025-11-25', '2025-03-26', '1999-01-01', 'latest';
    is message('/session/p', 'x', headers => ['Mcp-Session-Id' => 'x', 'MCP-Protocol-Version' => $VERSION_0728])->{code}, 400, 'TRN-15 ERA-2 nor is a header of that revision over a body of another';
};

# --- Off, the default
for my $path ('/session/off', '/off') {
    my $r = begin("$path/a", 's-1');
    is_deeply [headers($r, 'Mcp-Session-Id')], ['s-1'], "TRN-12 McpOAuthSessionBinding Off at $path: the id of the backend";
    known("TRN-12 McpOAuthSessionBinding Off at $path: $_", $_, sub { message("$path/p", $_) }) for 's-1', 's-1.x', $wrapped;
    known("TRN-12 McpOAuthSessionBinding Off at $path: for anyone", 's-1', sub { message("$path/p", 's-1', token => $others{'another subject'}) });
}
# --- H07 the backend's answer to an internal redirect within the same location
{
    $backend->answers('/session/instead/broken', '500 Oops', [@json], '{}');
    $backend->answers('/session/instead/error', '200 OK', [@json, 'Mcp-Session-Id', 's5', 'Access-Control-Allow-Origin', '*'], '{}');
    my $r = http(revision => GET => '/session/instead/broken', token => $alice, headers => [Origin => 'https://app.test']);
    is_deeply [$r->{code}, scalar headers($r, 'Mcp-Session-Id'), headers($r, 'Access-Control-Allow-Origin')], [500, 1, 'https://app.test'], 'H07 the document of an error comes from the backend';
    like header($r, 'Mcp-Session-Id'), qr/^s5\.[\w-]{43}\z/, 'H07 its session is bound as well';
}
no_crash($mark);

done_testing;
