# What a backend sees of a DPoP token and its proof, and what it cannot undo: requirements.md TOK-2, POP-9, threats.md H03, H04.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Proof;

my $backend = MCP::Backend->start(port('bound_backend'));
my $mark = log_mark();
my $where = 'bound';
my ($mcp, $forward) = map { "https://mcp.test/$_" } qw(mcp forward);
my ($t, $f) = (bound(aud => $mcp), bound(aud => $forward));
my @json = ('Content-Type', 'application/json', 'Accept', 'application/json, text/event-stream');

# What the backend got of it.
sub seen {
    my ($name, $how) = @_;
    $backend->clear;
    my $r = $how->();
    my @all = $backend->requests;
    is_status($r, 200, $name);
    return @all == 1 ? $all[0] : { headers => {}, lines => [], raw => 'nothing' };
}
sub credentials { my $s = shift; [map { "$_->[0]: $_->[1]" } grep { $_->[0] =~ /^(?:Authorization|DPoP)$/i } @{ $s->{lines} }] }

for my $verb (qw(GET POST DELETE)) {
    my @body = $verb eq 'POST' ? (body => rpc_body('tools/call', { name => 'ok' })) : ();
    for my $letters (qw(DPoP dpop DPOP)) {
        my $proof = proof($verb => $mcp, $t);
        my $s = seen("TOK-2 $verb, $letters", sub { http($where, $verb => '/mcp', headers => [Authorization => "DPoP $t", $letters => $proof, @json], @body) });
        is_deeply credentials($s), [], "TOK-2 $verb, $letters: neither token nor proof go on";
        ok index($s->{raw}, $_) < 0, "TOK-2 $verb, $letters: nothing of it is anywhere in the request" for $t, $proof;
        is $s->{headers}{'x-mcp-user'}, 'alice', "POP-9 $verb, $letters: but who it is";
    }
    my $proof = proof($verb => $forward, $f);
    my $s = seen("McpOAuthForwardToken On, $verb", sub { http($where, $verb => '/forward', headers => [Authorization => "DPoP $f", DPoP => $proof, @json], @body) });
    is_deeply [@{ $s->{headers} }{qw(authorization dpop)}], ["DPoP $f", $proof], "McpOAuthForwardToken On, $verb: both go on, as they came";
}

# By Bearer, where nobody asks for a proof.
my ($free, $free_forward) = map { token(aud => $_) } $mcp, $forward;
my $stray = proof(GET => $mcp, $free);
is_deeply credentials(seen('a Bearer token and a proof', sub { http($where, GET => '/mcp', token => $free, headers => [DPoP => $stray]) })), [], 'TOK-2 a proof that nobody needs does not go on';
is_deeply credentials(seen('a Bearer token and several proofs', sub { http($where, GET => '/mcp', token => $free, headers => [DPoP => $stray, dpop => 'x']) })), [], 'TOK-2 nor do several';
is_deeply [@{ seen('McpOAuthForwardToken On, Bearer', sub { http($where, GET => '/forward', token => $free_forward, headers => [DPoP => $stray]) })->{headers} }{qw(authorization dpop)}],
    ["Bearer $free_forward", $stray], 'McpOAuthForwardToken On, Bearer: both go on';

# --- Connection: a client names fields that a proxy has to drop
my @why = (h1 => 'fields of a connection');
sub raw {
    my ($path, @lines) = @_;
    $backend->clear;
    my $c = connection($where, @why);
    $c->send(join "\r\n", "GET $path HTTP/1.1", 'Host: x', @lines, '', '');
    my $r = $c->answer('GET');
    my @all = $backend->requests;
    return ($r, @all == 1 ? $all[0] : undef);
}
for my $value ('DPoP', 'dpop, close', 'close, DPoP, Authorization', 'Authorization', 'X-Mcp-User, DPoP', 'DPoP-Nonce') {
    my ($r, $s) = raw('/mcp', "Authorization: DPoP $t", 'DPoP: ' . proof(GET => $mcp, $t), "Connection: $value");
    ok $r->{code} == 400 || $r->{code} == 200, "H04 Connection: $value: with a proof: $r->{code}";
    is_deeply $s && credentials($s), $s && [], "H04 Connection: $value: token and proof do not go on";
    is $s->{headers}{'x-mcp-user'}, 'alice', "H04 Connection: $value: the identity arrives" if $s;
    ($r, $s) = raw('/mcp', "Authorization: DPoP $t", "Connection: $value");
    is_deeply [$r->{code}, $s], [401, undef], "H04 Connection: $value: no proof";
    ($r, $s) = raw('/mcp', "Authorization: Bearer $t", 'DPoP: ' . proof(GET => $mcp, $t), "Connection: $value");
    is_deeply [$r->{code}, $s], [401, undef], "H04 Connection: $value: a bound token as Bearer";
    ($r, $s) = raw('/mcp', "Authorization: DPoP $t", 'DPoP: ' . proof(GET => $mcp, $t, -key => 'dpop_b'), "Connection: $value");
    is_deeply [$r->{code}, $s], [401, undef], "H04 Connection: $value: a proof of another key";
    ($r, $s) = raw('/mcp', "Authorization: DPoP $t", map({ 'DPoP: ' . proof(GET => $mcp, $t) } 1, 2), "Connection: $value");
    is_deeply [$r->{code}, $s], [401, undef], "H04 Connection: $value: two proofs";
}
# Trailers are no fields: what comes behind a body proves nothing.
for my $field ('DPoP', 'Authorization') {
    $backend->clear;
    my $proof = proof(POST => $mcp, $t);
    my @head = $field eq 'DPoP' ? (Authorization => "DPoP $t") : (DPoP => $proof);
    my $s = open_request($where, POST => '/mcp', headers => [@head, @json]);
    $s->data(rpc_body('tools/call', { name => 'ok' }));
    $s->end($field eq 'DPoP' ? (DPoP => $proof) : (Authorization => "DPoP $t"));
    my $code = $s->answer('POST')->{code};
    # mod_http2 may end a stream whose trailers nobody waits for before its answer has left.
    ok $code == 401 || http_version($where) ne 'h1' && $code == 0, "POP-2 $field in a trailer: refused" or diag $code;
    is scalar($backend->requests), 0, "POP-2 $field in a trailer: nothing reaches the backend";
}
no_crash($mark);

done_testing;
