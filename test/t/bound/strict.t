# Tokens of RFC 9068 where nothing else is accepted: requirements.md TOK-7, TOK-8, TOK-15.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;

my $backend = MCP::Backend->start(port('bound_backend'));
my $mark = log_mark();
my $aud = 'https://mcp.test/strict';
sub of { my ($iss, %claims) = @_; token(iss => "https://$iss.test", aud => $aud, %claims) }
sub good { my ($name, %claims) = @_; accepts(bound => '/strict', of('strict', %claims), $name) }
# Refused by the strict profile; and what another issuer may say all the same (unless that is wrong by itself).
sub bad {
    my ($reason, $name, %claims) = @_;
    my $lax = delete $claims{-lax} // 200;
    my $r = refuses(bound => '/strict', of('strict', %claims), $name);
    like header($r, 'X-Env'), qr/^deny\|$reason\|/, "$name: the reason";
    is status_of(bound => '/strict', of($_, %claims)), $lax, "$name: $lax without the profile, $_" for qw(as twotypes);
}

good 'TOK-8 a good token';
good "TOK-7 typ $_", -header => { typ => $_ } for 'at+jwt', 'AT+JWT', 'application/at+jwt', 'Application/AT+jwt';
for (['JWT', 'JWT'], ['application/jwt', 'application/jwt']) {
    my ($name, $typ) = @$_;
    bad 'token-type', "TOK-7 typ $name", -header => { typ => $typ };
}
for (['absent', undef], ['dpop+jwt', 'dpop+jwt'], ['oauth-id-jag+jwt', 'oauth-id-jag+jwt'], ['token-introspection+jwt', 'token-introspection+jwt'], ['logout+jwt', 'logout+jwt'], ['at+jwt and a blank', 'at+jwt '], ['empty', '']) {
    my ($name, $typ) = @$_;
    refuses(bound => '/strict', of('strict', -header => { typ => $typ }), "TOK-7 typ $name");
}

# --- drop each claim
bad 'token-claims', "TOK-8 no $_", $_ => undef for qw(sub client_id jti iat);
refuses(bound => '/strict', of('strict', $_ => undef), "TOK-8 no $_") for qw(iss aud exp);
refuses(bound => '/strict', of('strict', client_id => undef, azp => 'client-1'), 'TOK-8 azp does not replace client_id');

# --- and each of its type
for my $claim (qw(sub client_id jti)) {
    bad 'token-claims', "TOK-8 $claim empty", $claim => '';
    refuses(bound => '/strict', of('strict', $claim => $_->[1]), "TOK-8 $claim $_->[0]") for ['a number', 5], ['null', \'null'], ['a list', ['alice']], ['an object', {}], ['true', \'true'];
}
bad 'token-(?:claims|time|not-yet-valid|expired|malformed)', "TOK-8 iat $_->[0]", iat => $_->[1], -lax => 401 for ['a string', now() . ''], ['null', \'null'], ['a list', [now()]];
good "TOK-8 $_->[0] absent", $_->[0] => undef for ['scope'], ['acr'], ['auth_time'], ['amr'];
good "TOK-8 $_->[0]: $_->[1]", $_->[2] => $_->[3] for (
    ['scope', 'empty', scope => ''], ['acr', 'a string', acr => 'urn:gold'], ['acr', 'empty', acr => ''], ['auth_time', 'a number', auth_time => now() - 60], ['auth_time', 'a fraction', auth_time => \'1700000000.5'],
    ['amr', 'strings', amr => ['pwd', 'otp']], ['amr', 'an empty list', amr => []],
);
bad 'token-claims', "TOK-8 $_->[0]", $_->[1] => $_->[2] for (
    ['TOK-15 scope a list', scope => ['mcp:read']], ['TOK-15 scope a number', scope => 5], ['scope null', scope => \'null'], ['scope an object', scope => {}],
    ['acr a number', acr => 1], ['acr null', acr => \'null'], ['acr a list', acr => ['urn:gold']], ['acr an object', acr => {}], ['acr true', acr => \'true'],
    ['auth_time a string', auth_time => now() . ''], ['auth_time null', auth_time => \'null'], ['auth_time a list', auth_time => [now()]], ['auth_time a date', auth_time => '2026-01-01T00:00:00Z'], ['auth_time true', auth_time => \'true'],
    ['amr a string', amr => 'pwd'], ['amr with a number', amr => ['pwd', 5]], ['amr with null', amr => \'["pwd",null]'], ['amr an object', amr => { pwd => 1 }], ['amr null', amr => \'null'], ['amr a list in it', amr => [['pwd']]],
);
good 'TOK-7 nonce is a claim like any other with at+jwt', nonce => 'n';
bad 'token-type', "TOK-7 $_ makes it an ID token", $_ => 'AAAA', -lax => 401 for qw(at_hash c_hash);
is scalar(grep { $_->{path} !~ m{^/strict} } $backend->requests), 0, 'nothing else reached the backend';
no_crash($mark);

done_testing;
