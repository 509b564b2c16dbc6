# Several issuers, several resources, options of issuers, expiry: threats.md K05, C01, C03, requirements.md TOK-3, TOK-18, TOK-20.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use Time::HiRes qw(time);

# --- K05: two issuers, the same kid, different keys
my %b = (iss => 'https://b.test', -key => 'rsa_b', -kid => 'rsa');
my $both = 'https://mcp.test/both';
accepts(token => '/both', token(aud => $both), 'K05 first issuer, its key');
accepts(token => '/both', token(aud => $both, %b), 'K05 second issuer, its key');
refuses(token => '/both', token(aud => $both, %b, iss => 'https://as.test'), 'K05 first issuer, key of the second');
refuses(token => '/both', token(aud => $both, iss => 'https://b.test'), 'K05 second issuer, key of the first');
refuses(token => '/both', token(aud => $both, iss => 'https://b.test', -kid => undef), 'K05 the same without kid');
refuses(token => '/both', token(aud => $both, iss => 'https://b.test', -key => 'ed25519', -kid => 'ed25519'),
    'K05 a kid that only the other issuer has');
accepts(token => '/both', token(aud => $both), 'K05 first issuer again');
accepts(token => '/both', token(aud => $both, %b, -key => 'ec256_b', -kid => 'ec256'), 'K05 second issuer, EC');

# --- TOK-20: who accepts what
my @places = (
    [token => '/a', 'https://mcp.test/a', {}], [token => '/b', 'https://mcp.test/b', \%b],
    [token => '/alias', 'https://mcp.test/alias', {}], [token_other => '/a', 'https://other.test/a', {}],
    [token => '/audience', 'api://two', {}],
);
for my $for (@places) {
    my $t = token(aud => $for->[2], %{ $for->[3] });
    for my $at (@places) {
        my $want = $at == $for ? 200 : 401;
        is status_of($at->[0], $at->[1], $t), $want, "TOK-20 token for $for->[2] at $at->[0]$at->[1]: $want";
    }
}
{
    my $t = token(aud => 'https://mcp.test/a');
    is http(token_other => GET => '/a', token => $t, host => 'mcp.test')->{code}, 401, 'TOK-20 another Host does not help';
    is http(token => GET => '/a', token => $t, host => 'evil.test')->{code}, 200, 'TOK-20 nor does it harm';
}

# --- C03: one token, two policies, in both orders, each asked twice (the second answer may come from a cache)
for my $order ([0, 1], [1, 0]) {
    my $t = token(aud => 'https://mcp.test/a');
    my @ask = ([token => '/a', 200], [token_other => '/shared', 403]);
    for my $round (1, 2) {
        for my $i (@$order) {
            my ($where, $path, $want) = @{ $ask[$i] };
            is status_of($where, $path, $t), $want, "C03 $where$path, order @$order, round $round: $want";
        }
    }
}
is status_of(token_other => '/shared', token(aud => 'https://mcp.test/a', scope => 'other:scope')), 200, 'C03 with the scope';

# --- options of an issuer
sub at { my ($iss, @how) = @_; token(aud => 'https://mcp.test/options', iss => "https://$iss", @how) }
sub yes { my ($name, $t) = @_; accepts(token => '/options', $t, $name) }
sub no_ { my ($name, $t) = @_; refuses(token => '/options', $t, $name) }
my $now = now();
yes 'ClockSkew 20s: exp 10 s ago', at('skew20.test', exp => $now - 10);
no_ 'ClockSkew 20s: exp 30 s ago', at('skew20.test', exp => $now - 30);
yes 'ClockSkew 20s: nbf in 10 s',  at('skew20.test', nbf => $now + 10);
no_ 'ClockSkew 20s: nbf in 40 s',  at('skew20.test', nbf => $now + 40);
no_ 'ClockSkew 0s: exp 1 s ago',   at('skew0.test', exp => $now - 1);
no_ 'ClockSkew 0s: nbf in 10 s',   at('skew0.test', nbf => $now + 10);
yes 'ClockSkew 0s: exp in a minute', at('skew0.test', exp => $now + 60);
yes 'Algorithms: ES256', at('es.test', -key => 'ec256');
yes 'Algorithms: PS256', at('es.test', -alg => 'PS256');
no_ "Algorithms: $_ is not in the list", at('es.test', -alg => $_) for qw(RS256 PS384 RS512);
no_ 'Algorithms: ES384 is not in the list', at('es.test', -key => 'ec384');
no_ 'Algorithms: EdDSA is not in the list', at('es.test', -key => 'ed25519');
yes "TokenType at+jwt: $_", at('at.test', -header => { typ => $_ }) for 'at+jwt', 'AT+jwt', 'application/at+jwt';
no_ "TokenType at+jwt: $_", at('at.test', -header => { typ => $_ }) for 'JWT', 'application/jwt';
no_ 'TokenType at+jwt: absent', at('at.test', -header => { typ => undef });
no_ "TOK-8 at+jwt without $_", at('at.test', $_ => undef) for qw(iss exp aud);
yes 'TokenType JWT: JWT', at('jwt.test', -header => { typ => 'JWT' });
no_ 'TokenType JWT: at+jwt', at('jwt.test');
no_ 'TokenType JWT: absent', at('jwt.test', -header => { typ => undef });
yes 'Audience of the issuer', at('aud.test', aud => 'api://of-the-issuer');
no_ 'Audience of the issuer is for this issuer alone', at('skew0.test', aud => 'api://of-the-issuer');
yes 'T18 an issuer with a path', at('exact.test/realm');
no_ "T18 issuer $_", at($_) for 'exact.test/realm/', 'exact.test', 'exact.test/Realm', 'exact.test/realm2', 'exact.test/real';

# --- C01, TOK-18: on one connection, without a pause, until it expires
{
    my ($exp, $t, $conn, $good, $last_good, $first_bad, $r);
    for (1 .. 5) {    # there must be time to ask often
        $exp = now() + 3;
        $t = at('skew0.test', exp => $exp);
        $conn = connection('token');
        ($good, $last_good, $first_bad) = (0, 0);
        while (time < $exp + 20) {
            my $before = time;
            $r = http(token => GET => '/options', token => $t, on => $conn);
            if ($r->{code} != 200) { $first_bad = time; last }
            $good++;
            $last_good = $before;
            Time::HiRes::sleep(0.02);
        }
        last if $good > 20;
    }
    is $r->{code}, 401, 'TOK-18 the token expires while the connection stays';
    is { challenge($r) }->{error}, 'invalid_token', 'TOK-18 and the answer says so';
    cmp_ok $good, '>', 20, 'C01 it was good before, and cached';
    cmp_ok $last_good, '<=', $exp + 0.1, 'C01 never accepted after exp and skew';
    cmp_ok $first_bad // 0, '>=', $exp - 0.1, 'C01 not refused before';
    is http(token => GET => '/options', token => $t, on => $conn)->{code}, 401, 'C01 and stays refused';
}
{
    # A token that is not valid yet starts working by itself (C05): no refusal is kept.
    my ($nbf, $t, $code);
    for (1 .. 5) {
        $nbf = now() + 2;
        $t = at('skew0.test', nbf => $nbf);
        $code = status_of(token => '/options', $t);
        last if time < $nbf;
    }
    is $code, 401, 'C05 not yet';
    ok wait_for(30, sub { status_of(token => '/options', $t) == 200 }), 'C05 then it is';
    cmp_ok time, '>=', $nbf - 0.1, 'C05 and not before';
}

done_testing;
