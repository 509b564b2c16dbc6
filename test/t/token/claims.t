# What a signed token says: threats.md T15 to T19, T21, requirements.md TOK-1, TOK-3, TOK-7 to TOK-9, POP-1.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;

my $aud = 'https://mcp.test/a';
sub good { my ($name, @how) = @_; accepts(token => '/a', token(aud => $aud, @how), $name) }
sub bad  { my ($name, @how) = @_; refuses(token => '/a', token(aud => $aud, @how), $name) }
my $now = now();

# --- exp
bad '1.1 exp missing', exp => undef;
bad 'T15 exp a string', exp => ($now + 600) . '';
bad 'T15 exp null', exp => \'null';
bad 'T15 exp true', exp => \'true';
bad 'T15 exp array', exp => [$now + 600];
bad 'T15 exp object', exp => {};
bad 'T15 exp -1', exp => -1;
bad 'T15 exp 0', exp => \'0.0';
bad 'T15 exp 1e300', exp => \'1e300';
bad 'T15 exp 1e999', exp => \'1e999';
bad 'T15 exp 2^63-1', exp => \'9223372036854775807';
bad 'T15 exp 2^64', exp => \'18446744073709551616';
bad 'T15 exp 2^32 wrapped', exp => \($now + 600 - 4294967296 . '');
bad 'T15 exp a date', exp => '2099-01-01T00:00:00Z';
bad 'T15 exp in milliseconds', exp => \(($now + 600) . '000000');
good 'T15 exp a fraction', exp => \($now + 600 . '.25');
good 'T15 exp with an exponent', exp => \sprintf('%.6e', $now + 3600 * 24 * 365);
good 'T15 exp beyond 2038', exp => 4294967296;
good '1.1 exp 30 s ago is within the skew', exp => $now - 30;
bad 'TOK-9 exp 5 min ago', exp => $now - 300;
{
    my $r = bad 'TOK-9 exp 90 s ago', exp => $now - 90;
    my %c = challenge($r);
    is $c{error}, 'invalid_token', 'CHL-6 expired';
}

# --- nbf, iat
bad 'T16 nbf in an hour', nbf => $now + 3600;
bad 'T16 nbf in an hour, a string', nbf => ($now + 3600) . '';
bad 'T16 nbf past, a string', nbf => ($now - 3600) . '';
bad 'T16 nbf null', nbf => \'null';
bad 'T16 nbf 1e300', nbf => \'1e300';
good 'T16 nbf past', nbf => $now - 3600;
good 'T16 nbf within the skew', nbf => $now + 30;
bad '1.1 iat in an hour', iat => $now + 3600;
bad 'T16 iat a string', iat => "$now";
good 'T16 no iat', iat => undef;

# --- aud
bad '1.1 aud other', aud => 'https://other.test/a';
bad '1.1 aud missing', aud => undef;
good 'T17 aud array, ours second', aud => ['https://other.test', $aud];
good 'T17 aud array of one', aud => [$aud];
bad "T17 aud $_->[0]", aud => $_->[1] for (
    ['a number', 5], ['an object', { $aud => 1 }], ['an empty array', []], ['null', \'null'], ['true', \'true'],
    ['array in array', [[$aud]]], ['empty', ''], ['prefix', 'https://mcp.test/'], ['origin', 'https://mcp.test'],
    ['trailing slash', "$aud/"], ['longer', "${aud}b"], ['path below', "$aud/b"], ['upper-case path', 'https://mcp.test/A'],
    ['upper-case host', 'https://MCP.test/a'], ['port', 'https://mcp.test:443/a'], ['percent-encoding', 'https://mcp.test/%61'],
    ['http', 'http://mcp.test/a'], ['query', "$aud?x"], ['fragment', "$aud#x"], ['white space', " $aud"],
    ['several in one string', "https://other.test $aud"], ['comma list', "$aud,https://other.test"], ['NUL', \"\"$aud\\u0000x\""],
    ['sibling location', 'https://mcp.test/b'], ['the client', 'client-1'], ['a star', '*'],
);
{
    # An array of strings also in the presence of the resource in another claim.
    bad 'T17 aud other, resource ours', aud => 'x', resource => $aud;
    bad 'T17 Aud in place of aud', aud => undef, Aud => $aud;
}

# --- iss
bad '1.1 iss other', iss => 'https://evil.test';
bad '1.1 iss array', iss => ['https://as.test'];
bad 'T18 iss missing', iss => undef;
bad "T18 iss $_", iss => $_ for 'https://as.test/', 'https://AS.test', 'HTTPS://as.test', 'https://as.test:443', 'http://as.test',
    'https://as.tes', 'https://as.test.evil.test', ' https://as.test', '', 'as.test';
bad 'T18 iss with NUL', iss => \'"https://as.test\u0000x"';
bad 'T18 iss null', iss => \'null';
bad 'T18 iss number', iss => 5;
bad 'TOK-3 iss of an issuer of another location', iss => 'https://b.test';

# --- typ
good "T19 typ $_", -header => { typ => $_ } for 'at+jwt', 'AT+JWT', 'application/at+jwt', 'Application/AT+jwt', 'JWT', 'jwt';
good 'T19 typ absent', -header => { typ => undef };
bad "T19 typ $_", -header => { typ => $_ } for qw(logout+jwt dpop+jwt oauth-id-jag+jwt token-introspection+jwt secevent+jwt
    application/logout+jwt Logout+JWT JOSE JOSE+JSON unheard-of kb+jwt), 'at+jwt ', 'at+jw', '';
bad 'T19 typ a number', -header => { typ => 5 };
bad 'T19 typ null', -header_text => '{"alg":"RS256","kid":"rsa","typ":null}';
bad 'T19 typ an array', -header => { typ => ['at+jwt'] };
bad 'TOK-7 ID token: nonce', nonce => 'n', -header => { typ => 'JWT' };
bad 'TOK-7 ID token: at_hash', at_hash => 'AAAA', -header => { typ => 'JWT' };
bad 'TOK-7 ID token: c_hash', c_hash => 'AAAA', -header => { typ => undef };
bad 'TOK-7 logout token: events', events => { 'http://schemas.openid.net/event/backchannel-logout' => {} },
    -header => { typ => 'JWT' };
bad "TOK-7 payload typ $_", typ => $_, -header => { typ => 'JWT' } for qw(ID Refresh Offline Logout);
good 'TOK-7 payload typ Bearer', typ => 'Bearer', -header => { typ => 'JWT' };

# --- NUL, types, binding
bad "T21 NUL in $_", $_ => \'"alice\u0000root"' for qw(sub scope client_id azp aud jti x);
bad "T21 NUL in the name of a claim", -payload_text => '{"iss":"https://as.test","aud":"https://mcp.test/a","exp":'
    . ($now + 600) . ',"sub\u0000":"x"}';
bad 'T15 sub a number', sub => 5;
bad 'T15 client_id an object', client_id => {};
my $hash = b64('x' x 32);
bad "POP-1 cnf $_->[0]", cnf => $_->[1] for ['jkt', { jkt => $hash }], ['x5t', { 'x5t#S256' => $hash }], ['jkt, no hash', { jkt => 'AAAA' }],
    ['x5t, no hash', { 'x5t#S256' => 'AAAA' }], ['empty', {}], ['unknown', { new => 1 }], ['null', \'null'], ['a string', 'x'];
{
    my $bound = token(aud => $aud, cnf => { jkt => $hash });
    refuses(token => '/a', $bound, 'POP-1 cnf, with a DPoP header beside it', headers => [DPoP => $bound]);
}
good 'TOK-8 sub, client_id and jti are not asked for', sub => undef, client_id => undef, jti => undef;

done_testing;
