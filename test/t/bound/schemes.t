# By which scheme a token may be sent, and who has to prove what: requirements.md POP-1, POP-2, POP-6, POP-7, CHL-12, TOK-2.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Proof;

my $backend = MCP::Backend->start(port('bound_backend'));
my $mark = log_mark();
my ($where, $mcp) = ('bound', 'https://mcp.test/mcp');
my $t = bound(aud => $mcp);
my $free = token(aud => $mcp);
sub fresh { proof(GET => $mcp, $t, @_) }
sub with { my ($path, @headers) = @_; http($where, GET => $path, headers => [@headers]) }

# A 401 for a token sent as Bearer; the error in that challenge alone.
sub refuses_bearer {
    my ($r, $reason, $name, $schemes) = @_;
    my %dpop = eval { challenge($r, 'DPoP') };
    is_deeply [$r->{code}, reason($r), { challenge($r) }->{error}, schemes($r), $dpop{error}], [401, $reason, 'invalid_token', $schemes // 'Bearer DPoP', undef], $name;
    answers_json($r, 401, 'invalid_token', "$name: the answer");
}

# --- who it is
for (['DPoP', sub { dpop($where, GET => '/mcp', $t) }], ['Bearer', sub { http($where, GET => '/mcp', token => $free) }]) {
    my ($scheme, $how) = @$_;
    my $r = $how->();
    is_status($r, 200, "POP-2 $scheme");
    is header($r, 'X-User'), 'alice', "POP-2 $scheme: REMOTE_USER";
    is header($r, 'X-Type'), $scheme, "POP-2 $scheme: AUTH_TYPE";
    is header($r, 'X-Env'), 'allow|ok|alice', "POP-2 $scheme: the environment";
}
{
    my $r = dpop($where, GET => '/mcp', $t, proof => { htm => 'PUT' });
    is header($r, $_) // '', '', "POP-3 a bad proof: no $_" for qw(X-User X-Type);
    like header($r, 'X-Env'), qr/^deny\|dpop-method\|/, 'POP-3 a bad proof: the environment';
}

# --- the scheme
is with('/mcp', Authorization => "$_$t", DPoP => fresh())->{code}, 200, "CHL-12 '$_'" for 'DPoP ', 'dpop ', 'DPOP ', 'dPoP   ';
is with('/mcp', 'authorization' => "DPoP $t", $_ => fresh())->{code}, 200, "POP-2 the field in other letters: $_" for qw(dpop DPOP dPoP);

untouched $backend, 'POP-1 POP-2', sub {
    # --- POP-1
    refuses_bearer(http($where, GET => '/mcp', token => $t), 'token-bound', 'POP-1 a bound token as Bearer');
    refuses_bearer(with('/mcp', Authorization => "Bearer $t", DPoP => fresh()), 'token-bound', 'POP-1 a bound token as Bearer, with a good proof');
    refuses_bearer(with('/mcp', Authorization => "bearer $t", DPoP => 'x'), 'token-bound', 'POP-1 a bound token as bearer, with a bad proof');

    # --- a cnf that nobody here can check, by either scheme
    my $jkt = thumbprint('dpop');
    my %cnf = (
        'null' => \'null', 'a string' => 'x', 'a list' => [{ jkt => $jkt }], 'empty' => {}, 'true' => \'true', 'unknown' => { new => 1 }, 'jwk' => { jwk => json(jwk('dpop')) }, 'kid' => { kid => 'dpop' },
        'jkt and another' => { jkt => $jkt, kid => 'x' }, 'jkt a number' => { jkt => 5 }, 'jkt empty' => { jkt => '' }, 'jkt null' => { jkt => undef }, 'jkt a list' => { jkt => [$jkt] }, 'jkt short' => { jkt => 'AAAA' },
        'jkt with padding' => { jkt => "$jkt=" }, 'jkt of 33 bytes' => { jkt => b64(unb64($jkt) . "\0") }, 'jkt of 31 bytes' => { jkt => b64(substr unb64($jkt), 1) }, 'jkt in capitals' => { JKT => $jkt },
        'x5t short' => { 'x5t#S256' => 'AAAA' }, 'x5t of SHA-1' => { x5t => b64('x' x 20) }, 'x5t a number' => { 'x5t#S256' => 7 }, 'jkt and a bad x5t' => { jkt => $jkt, 'x5t#S256' => '' },
    );
    for (sort keys %cnf) {
        my $token = bound(aud => $mcp, cnf => $cnf{$_});
        refuses_bearer(http($where, GET => '/mcp', token => $token), 'token-bound', "POP-1 cnf $_, Bearer");
        refuses_dpop(dpop($where, GET => '/mcp', $token), 'token-bound', "POP-1 cnf $_, DPoP");
    }

    # --- POP-2: exactly one proof
    refuses_dpop(with('/mcp', Authorization => "DPoP $t"), 'dpop-missing', 'POP-2 no proof');
    my @two = (fresh(), fresh());
    refuses_dpop(with('/mcp', Authorization => "DPoP $t", DPoP => $two[0], DPoP => $two[1]), 'dpop-doubled', 'POP-2 two proofs in two lines');
    refuses_dpop(with('/mcp', Authorization => "DPoP $t", DPoP => "$two[0], $two[1]"), 'dpop-doubled', 'POP-2 two proofs in one line');
    refuses_dpop(with('/mcp', Authorization => "DPoP $t", DPoP => "$two[0],$two[1]"), 'dpop-doubled', 'POP-2 two proofs in one line, without a blank');
    refuses_dpop(with('/mcp', Authorization => "DPoP $t", (DPoP => $two[0]) x 2), 'dpop-doubled', 'POP-2 one proof twice');
    # HTTP/2 has no line for what is empty, if there is another one.
    refuses_dpop(http($where, GET => '/mcp', headers => [Authorization => "DPoP $t", DPoP => $two[0], DPoP => ''], h1 => 'an empty line'), 'dpop-doubled', 'POP-2 a proof and an empty line');
    refuses_dpop(with('/mcp', Authorization => "DPoP $t", DPoP => "$two[0], "), qr/^dpop-(?:doubled|malformed)$/, 'POP-2 a proof and a comma');
    refuses_dpop(with('/mcp', Authorization => "DPoP $t", 'X-DPoP' => fresh()), 'dpop-missing', 'POP-2 a proof in another field');
    refuses_dpop(http($where, GET => '/mcp?dpop=x.y.z', headers => [Authorization => "DPoP $t"]), 'dpop-missing', 'POP-2 a proof in the query');

    # --- POP-2: the token must be bound
    refuses_dpop(dpop($where, GET => '/mcp', $free), 'token-unbound', 'POP-2 a token without cnf by DPoP');
    refuses_dpop(dpop($where, GET => '/mcp', bound(aud => $mcp, cnf => { 'x5t#S256' => b64('x' x 32) })), 'token-unbound', 'POP-2 a token of a certificate by DPoP');

    # --- the token itself is judged as ever
    for (['expired', bound(aud => $mcp, exp => now() - 300)], ['of another resource', bound(aud => 'https://mcp.test/other')], ['garbage', 'abc.def.ghi'], ['opaque', 'opaque'],
        ['signed by a stranger', bound(aud => $mcp, -key => 'stranger', -kid => 'rsa')], ['signed by the key of the proof', bound(aud => $mcp, -key => 'dpop', -alg => 'ES256', -kid => 'ec256')]) {
        my ($name, $token) = @$_;
        refuses_dpop(dpop($where, GET => '/mcp', $token), qr/^token-/, "CHL-6 by DPoP: $name", error => 'invalid_token');
    }
    refuses_dpop(dpop($where, GET => '/mcp', $t, proof => { iat => now() - 3600 }), 'dpop-time', 'POP-3 a good token, an old proof');

    # --- POP-6 and other bad requests
    my @both = (Authorization => "DPoP $t", Authorization => "Bearer $free", DPoP => fresh());
    for (['DPoP and Bearer', @both], ['Bearer and DPoP', @both[2, 3, 0, 1, 4, 5]], ['DPoP twice', @both[0, 1, 0, 1, 4, 5]], ['DPoP and Basic', @both[0, 1], Authorization => 'Basic YTpi', @both[4, 5]],
        ['both in one line', Authorization => "DPoP $t, Bearer $free", @both[4, 5]]) {
        my ($name, @headers) = @$_;
        my $r = with('/mcp', @headers);
        answers_json($r, 400, 'invalid_request', "POP-6 $name");
        is schemes($r), 'Bearer DPoP', "POP-6 $name: both challenges";
        is { challenge($r, $_) }->{error}, 'invalid_request', "POP-6 $name: invalid_request in that of $_" for qw(Bearer DPoP);
        $r = with('/required', @headers);
        is_deeply [$r->{code}, schemes($r), { challenge($r, 'DPoP') }->{error}], [400, 'DPoP', 'invalid_request'], "POP-6 $name, Required";
        $r = with('/off', @headers);
        is_deeply [$r->{code}, schemes($r), { challenge($r) }->{error}], [400, 'Bearer', 'invalid_request'], "POP-6 $name, Off";
    }
    for (['nothing after DPoP', '/mcp', 'DPoP'], ['nothing but a blank', '/mcp', 'DPoP '], ['a token in the query as well', '/mcp?access_token=x', "DPoP $t"]) {
        my ($name, $path, $value) = @$_;
        my $r = with($path, Authorization => $value, DPoP => fresh());
        answers_json($r, 400, 'invalid_request', "CHL-7 $name");
        is_deeply [schemes($r), { challenge($r, 'DPoP') }->{error}], ['DPoP', 'invalid_request'], "CHL-7 $name: the challenge of the scheme that was used, alone";
    }

    # --- Off
    my $off = 'https://mcp.test/off';
    my $bound = bound(aud => $off);
    my $r = dpop($where, GET => '/off', $bound);
    answers_json($r, 401, 'unauthorized', 'McpOAuthDPoP Off: the scheme is not spoken');
    is_deeply [schemes($r), reason($r), grep { /^error/ } keys %{ { challenge($r) } }], ['Bearer', 'credentials-scheme'], 'McpOAuthDPoP Off: the challenge says nothing of it';
    refuses_bearer(http($where, GET => '/off', token => $bound), 'token-bound', 'McpOAuthDPoP Off: a bound token as Bearer', 'Bearer');
    refuses_bearer(with('/off', Authorization => "Bearer $bound", DPoP => proof(GET => $off, $bound)), 'token-bound', 'McpOAuthDPoP Off: the same with a proof', 'Bearer');
    refuses_bearer(http($where, GET => '/off', token => token(aud => $off, cnf => { 'x5t#S256' => b64('x' x 32) })), 'token-bound', 'McpOAuthDPoP Off: a token of a certificate', 'Bearer');

    # --- Required
    my $required = 'https://mcp.test/required';
    for (['without cnf', token(aud => $required)], ['with cnf', bound(aud => $required)], ['of a certificate', token(aud => $required, cnf => { 'x5t#S256' => b64('x' x 32) })]) {
        my ($name, $token) = @$_;
        for ([], [DPoP => proof(GET => $required, $token)]) {
            my $r = with('/required', Authorization => "Bearer $token", @$_);
            my $what = "POP-7 McpOAuthDPoP Required: a Bearer token $name" . (@$_ ? ' and a proof' : '');
            answers_json($r, 401, 'invalid_token', $what);
            is schemes($r), 'DPoP', "$what: the challenge of DPoP alone";
            is reason($r), 'token-unbound', "$what: the reason" unless $name eq 'with cnf';
            like reason($r), qr/^token-(?:un)?bound$/, "$what: the reason" if $name eq 'with cnf';
        }
    }
    refuses_dpop(dpop($where, GET => '/required', token(aud => $required)), 'token-unbound', 'POP-7 McpOAuthDPoP Required: a token without cnf by DPoP', schemes => 'DPoP');
    refuses_dpop(with('/required', Authorization => 'DPoP ' . bound(aud => $required)), 'dpop-missing', 'POP-7 McpOAuthDPoP Required: no proof', schemes => 'DPoP');
};
is_status(dpop($where, GET => '/required', bound(aud => 'https://mcp.test/required')), 200, 'POP-7 McpOAuthDPoP Required: a bound token and its proof');
is_status(dpop($where, GET => '/optional', bound(aud => 'https://mcp.test/optional')), 200, 'McpOAuthDPoP Optional: a bound token and its proof');
is_status(http($where, GET => '/optional', token => token(aud => 'https://mcp.test/optional')), 200, 'McpOAuthDPoP Optional: a Bearer token');
is_status(http($where, GET => '/off', token => token(aud => 'https://mcp.test/off')), 200, 'McpOAuthDPoP Off: a Bearer token');
is_status(with('/mcp', Authorization => "Bearer $free", DPoP => $_), 200, 'POP-1 a Bearer token without cnf, and something in the field DPoP') for fresh(), 'x';

# --- a token that is known already
{
    my $token = bound(aud => $mcp);
    is dpop($where, GET => '/mcp', $token)->{code}, 200, "C01 a token and a fresh proof, round $_" for 1 .. 3;
    refuses_dpop(with('/mcp', Authorization => "DPoP $token"), 'dpop-missing', 'C01 a known token: no proof');
    refuses_dpop(dpop($where, GET => '/mcp', $token, proof => { -key => 'dpop_b' }), 'dpop-key', 'C01 a known token: a proof of another key');
    refuses_dpop(dpop($where, GET => '/mcp', $token, proof => { iat => now() - 3600 }), 'dpop-time', 'C01 a known token: an old proof');
    refuses_bearer(http($where, GET => '/mcp', token => $token), 'token-bound', 'C01 a known token: as Bearer');
    is dpop($where, GET => '/mcp', $token)->{code}, 200, 'C01 and then a fresh proof';
    my $c = dial($where);
    my @codes = map { http($where, GET => '/mcp', on => $c, @$_)->{code} } [dpop_headers($token, proof(GET => $mcp, $token))], [dpop_headers($token)], [token => $token], [token => $free],
        [dpop_headers($token, proof(GET => $mcp, $token))];
    is_deeply \@codes, [200, 401, 401, 200, 200], 'C01 on one connection: a proof for each request';
}

# --- McpOAuthTokenHeader
{
    my $resource = 'https://mcp.test/header';
    my $token = bound(aud => $resource);
    my @foreign = (Authorization => 'Basic Zm9yOmJhY2tlbmQ=');
    my $r = with('/header', 'X-Access-Token' => "DPoP $token", DPoP => proof(GET => $resource, $token), @foreign);
    is_status($r, 200, 'McpOAuthTokenHeader: a token by DPoP');
    is header($r, 'X-Type'), 'DPoP', 'McpOAuthTokenHeader: AUTH_TYPE';
    is_deeply [@{ ($backend->requests)[-1]{headers} }{qw(x-access-token dpop authorization)}], [undef, undef, $foreign[1]], 'McpOAuthTokenHeader: token and proof are removed, Authorization stays';
    $r = with('/header', 'X-Access-Token' => $token, DPoP => proof(GET => $resource, $token));
    refuses_bearer($r, 'token-bound', 'McpOAuthTokenHeader: a bare token is a Bearer token');
}
no_crash($mark);

done_testing;
