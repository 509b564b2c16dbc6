# Nonces of this server in DPoP proofs: requirements.md POP-5 (RFC 9449 section 9).
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Httpd;
use MCP::Proof;

my $backend = MCP::Backend->start(port('bound_backend'));
my $mark = log_mark();
my ($where, $aud) = ('bound', 'https://mcp.test/nonce');
my $t = bound(aud => $aud);
sub ask { my ($nonce, %opt) = @_; dpop($where, GET => $opt{path} // '/nonce', $opt{token} // $t, proof => { nonce => $nonce, %{ $opt{proof} || {} } }) }
# The one nonce of an answer.
sub nonce_of {
    my ($r, $name) = @_;
    my @n = headers($r, 'DPoP-Nonce');
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok @n == 1 && $n[0] =~ /\A[\x21\x23-\x5b\x5d-\x7e]+\z/, "POP-5 $name: one nonce" or diag scalar(@n), " nonces: @n";
    return $n[0] // 'none';
}

my $nonce;
untouched $backend, 'POP-5', sub {
    # --- how a client gets one
    my $r = ask(undef);
    refuses_dpop($r, 'dpop-nonce', 'POP-5 no nonce');
    $nonce = nonce_of($r, 'no nonce');
    for (['no credentials', '/nonce'], ['Basic', '/nonce', headers => [Authorization => 'Basic YTpi']], ['a bad Bearer token', '/nonce', token => 'a.b.c'], ['no proof', '/nonce', headers => [Authorization => "DPoP $t"]],
        ['a bad proof', '/nonce', dpop_headers($t, 'x')], ['a bad token', '/nonce', dpop_headers('a.b.c', 'x')], ['a bound token as Bearer', '/nonce', token => $t], ['DPoP required', '/nonce/required']) {
        my ($name, $path, @opt) = @$_;
        my $r = http($where, GET => $path, @opt);
        is $r->{code}, 401, "POP-5 $name: 401";
        isnt { challenge($r, 'DPoP') }->{''}, undef, "POP-5 $name: the challenge of DPoP";
        nonce_of($r, $name);
    }

    # --- what is none of ours
    my $flipped = sub { my $n = $nonce; substr($n, $_[0], 1) = substr($n, $_[0], 1) eq 'A' ? 'Q' : 'A'; $n };
    for (['empty', ''], ['a word', 'x'], ['zeros', 'A' x length $nonce], ['one letter less', substr $nonce, 0, -1], ['one letter more', $nonce . 'A'], ['with padding', "$nonce="], ['with a blank', "$nonce "], ['twice', $nonce x 2],
        ['without its first letter', substr $nonce, 1], map { ["with another letter at $_", $flipped->($_)] } 0, 1, 4, 5, 10, 20, int(length($nonce) / 2), length($nonce) - 2) {
        my ($name, $value) = @$_;
        my $r = ask($value);
        refuses_dpop($r, 'dpop-nonce', "POP-5 a nonce $name");
        nonce_of($r, "a nonce $name");
    }
    like reason(ask('x' x 1025)), qr/^dpop-(?:nonce|claims)$/, 'POP-5 a nonce of 1025 bytes';

    # --- a nonce does not make up for anything
    refuses_dpop(ask($nonce, proof => $_->[1]), $_->[0], "POP-5 a good nonce: $_->[0]") for (['dpop-method', { htm => 'POST' }], ['dpop-url', { htu => 'https://evil.test/nonce' }], ['dpop-time', { iat => now() - 3600 }],
        ['dpop-token', { ath => 'x' }], ['dpop-key', { -key => 'dpop_b' }], ['dpop-signature', { -der => 1 }]);
};

# --- with it
for my $round (1 .. 3) {
    my $r = ask($nonce);
    is_status($r, 200, "POP-5 with the nonce, round $round");
    is_deeply [headers($r, 'DPoP-Nonce')], [], "POP-5 round $round: as long as it is fresh, no other";
}
is ask($nonce, path => "/nonce$_")->{code}, 200, "POP-5 the same one at /nonce$_" for '/x', '/required';
{
    my $r = ask($nonce, path => '/nonce/scope');
    is_deeply [$r->{code}, schemes($r)], [403, 'DPoP'], 'POP-5 with the nonce: then the scopes';
}
# Every process knows what the others have given.
{
    my @all = map { send_request($where, GET => '/nonce', dpop_headers($t, proof(GET => $aud, $t, nonce => $nonce))) } 1 .. 16;
    is_deeply [map { $_->answer('GET')->{code} } @all], [(200) x 16], 'POP-5 sixteen at once with the same nonce';
    my %nonces = map { $_ => 1 } map { header($_->answer('GET'), 'DPoP-Nonce') // 'none' } map { send_request($where, GET => '/nonce') } 1 .. 16;
    is_deeply [grep { ask($_)->{code} != 200 } sort keys %nonces], [], 'POP-5 whoever has given it';
}

# --- where nobody asks for one
{
    my $mcp = 'https://mcp.test/mcp';
    my $token = bound(aud => $mcp);
    for (['no credentials', http($where, GET => '/mcp')], ['a bad proof', dpop($where, GET => '/mcp', $token, proof => { htm => 'PUT' })], ['a good proof', dpop($where, GET => '/mcp', $token)]) {
        is_deeply [headers($_->[1], 'DPoP-Nonce')], [], "POP-5 McpOAuthDPoPNonce Off, $_->[0]: no nonce";
    }
    is dpop($where, GET => '/mcp', $token, proof => { nonce => $_ })->{code}, 200, 'POP-5 McpOAuthDPoPNonce Off: any nonce will do' for $nonce, 'x';
    my $r = http($where, GET => '/nonce', token => token(aud => $aud));
    is_deeply [$r->{code}, headers($r, 'DPoP-Nonce')], [200], 'POP-5 a Bearer token needs none';
    is_deeply [headers(http($where, OPTIONS => '/nonce', headers => [Origin => 'https://app.test', 'Access-Control-Request-Method' => 'GET']), 'DPoP-Nonce')], [], 'POP-5 a preflight neither';
    $r = http($where, GET => '/nonce', headers => [Authorization => 'Bearer a', Authorization => 'Bearer b']);
    is $r->{code}, 400, 'POP-5 a bad request is one';
}
no_crash($mark);

# --- time: another server, whose clock is set
SKIP: {
    skip 'a server of its own is HTTP/1.1', 1 if http_version('bound') ne 'h1';
    my $port = port('bound_httpd');
    my $httpd = MCP::Httpd->start($port, shim => 1, conf => <<END);
Header always set X-Env "%{MCP_OAUTH_DECISION}e|%{MCP_OAUTH_REASON}e"
<McpOAuthIssuer "https://as.test">
    McpOAuthJwks "file:@{[made('as.json')]}"
</McpOAuthIssuer>
<Location "/m">
    McpOAuthIssuer https://as.test
    McpOAuthDPoPNonce On
</Location>
END
    my $offset = 0;
    my $url = 'https://mcp.test/m';
    my $token = bound(aud => $url, iat => now() - 3600, exp => now() + 3600);
    my $there = sub { dpop($port, GET => '/m', $token, proof => { nonce => $_[0], iat => now() + $offset }) };
    my $set = sub { $httpd->clock($offset = shift) };
    refuses_dpop($there->($nonce), 'dpop-nonce', 'POP-5 a nonce of another server');
    my $first = nonce_of($there->(undef), 'that server');
    isnt $first, $nonce, 'POP-5 which has nonces of its own';
    is_deeply [$there->($first)->{code}, headers($there->($first), 'DPoP-Nonce')], [200], 'POP-5 its own is good';
    $set->(120);
    is_deeply [$there->($first)->{code}, headers($there->($first), 'DPoP-Nonce')], [200], 'POP-5 two minutes later it is good, without another';
    $set->(170);
    my $r = $there->($first);
    is_status($r, 200, 'POP-5 almost three minutes later it is good');
    my $second = nonce_of($r, 'almost three minutes later');
    isnt $second, $first, 'POP-5 and the answer brings another one';
    is_deeply [$there->($second)->{code}, headers($there->($second), 'DPoP-Nonce')], [200], 'POP-5 which is good';
    $set->(270);
    is_status($there->($first), 200, 'POP-5 after four and a half minutes it is still good');
    $set->(330);
    $r = $there->($first);
    refuses_dpop($r, 'dpop-nonce', 'POP-5 after five and a half minutes it is not');
    is_status($there->(nonce_of($r, 'too old')), 200, 'POP-5 the new one is');
    is_status($there->($second), 200, 'POP-5 and the second one still');
    $set->(-600);
    refuses_dpop($there->($first), 'dpop-nonce', 'POP-5 a nonce from the future');
}

done_testing;
