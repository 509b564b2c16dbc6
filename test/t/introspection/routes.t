# Which token goes to which authorization server, and which to none: threats.md T24, T01, T02; requirements.md INT-7, TOK-7.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Introspection;

my $as = MCP::Introspection->start(port('introspection_as'));
my $backend = MCP::Backend->start(port('introspection_backend'));
my $mark = log_mark();
sub get { my ($location, $token) = @_; http(introspection => GET => "/$location", token => $token) }
sub iss { "https://$_[0].intro.test" }
# A JWT of an issuer, for a location.
sub jwt { my ($issuer, $location, @more) = @_; token(iss => iss($issuer), aud => "https://mcp.test/$location", -key => 'ec256', @more) }
sub unsigned { token(iss => iss($_[0]), aud => "https://mcp.test/$_[0]", -none => 1, -header => { alg => 'none' }) }
# The server knows a token, for a location.
sub known { my ($location, $token, @more) = @_; $as->active(-token => $token, aud => "https://mcp.test/$location", @more) }
sub asked_since { my $n = shift; my @calls = $as->calls; return map { $_->{path} } @calls[$n .. $#calls] }

# Requests with this token: the status (or the reason of a 401), the paths of the calls.
sub goes {
    my ($name, $location, $token, $want, @paths) = @_;
    my $before = $as->calls;
    my $r = get($location, $token);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    if ($want =~ /^\d+$/) { is_status($r, $want, "T24 $name: $want") }
    else { inactive($r, $want, "T24 $name: 401 $want") }
    is_deeply [asked_since($before)], \@paths, "T24 $name: " . (@paths ? "asked at @paths" : 'nobody is asked');
}

# --- an issuer with keys and introspection
{
    my @k = ('keys', 'keys');
    my $good = jwt(@k);
    goes('a JWT, keys are there', keys => $good, 200);
    goes('a JWT with a good key, twice', keys => $good, 200);
    my %bad = (
        'alg none' => [unsigned('keys'), undef],
        'alg none, with a signature' => [unsigned('keys') . 'AAAA', 'token-algorithm'],
        'alg HS256' => [hmac_token('HS256', 'secret', iss => iss('keys'), aud => 'https://mcp.test/keys', -kid => 'ec256'), 'token-algorithm'],
        'a signature of somebody else' => [jwt(@k, -key => 'stranger_ec', -kid => 'ec256'), 'token-signature'],
        'no signature' => [($good =~ s/[^.]+\z//r), undef],
        'half a signature' => [substr($good, 0, -42), 'token-signature'],
        'a tilde after the signature' => ["$good~x", 'token-malformed'],
        'without a second part' => [(split /\./, $good)[0] . '.' . opaque(), 'token-malformed'],
        'a dot after it' => ["$good.", 'token-malformed'],
        'a part more' => ["$good." . opaque(), 'token-malformed'],
        'two parts more' => ["$good.." . opaque(), 'token-malformed'],
        'of a JWE with three parts' => [join('.', b64('{"alg":"RSA-OAEP","enc":"A256GCM"}'), opaque(), opaque()), undef],
        'an unknown kid' => [jwt(@k, -kid => 'nobody'), 'token-key-unknown'],
        'expired' => [jwt(@k, exp => now() - 3600), 'token-expired'],
        'aud of somebody else' => [jwt(keys => 'other'), 'token-audience'],
        'typ logout+jwt' => [jwt(@k, -header => { typ => 'logout+jwt' }), 'token-type'],
        'INT-7 typ token-introspection+jwt' => [jwt(@k, -header => { typ => 'token-introspection+jwt' }), 'token-type'],
        'crit' => [jwt(@k, -header => { crit => ['x'], x => 1 }), undef],
        'no iss' => [jwt(@k, iss => undef), undef],
        'iss a list' => [jwt(@k, iss => [iss('keys')]), undef],
        'an issuer whom nobody trusts' => [jwt('untrusted', 'keys'), 'token-issuer'],
        'an issuer trusted elsewhere' => [jwt('none', 'keys'), 'token-issuer'],
        'a header of nothing' => [join('.', b64('{}'), (split /\./, $good)[1, 2]), undef],
        'a payload that is no JSON' => [join('.', (split /\./, $good)[0], b64('nonsense'), 'AAAA'), undef],
        'an empty payload' => [join('.', (split /\./, $good)[0], '', 'AAAA'), undef],
    );
    for my $name (sort keys %bad) {
        my ($token, $reason) = @{ $bad{$name} };
        known('keys', $token, iss => iss('keys'));    # the server would say yes
        my $before = $as->calls;
        my $r = get(keys => $token);
        $reason ? inactive($r, $reason, "T24 JWT, $name: 401 $reason") : is_status($r, 401, "T24 JWT, $name: 401");
        is_deeply [asked_since($before)], [], "T24 JWT, $name: nobody is asked";
    }

    goes('opaque', keys => known('keys', opaque()), 200, '/keys');
    goes('opaque, unknown to the server', keys => opaque(), 'token-inactive', '/keys');
    my %opaque = (
        'two dots' => join('.', map { opaque() } 1 .. 3),
        'two dots, JSON list first' => join('.', b64('["alg"]'), opaque(), 'x'),
        'two dots, JSON text first' => join('.', b64('"alg"'), opaque(), 'x'),
        'two dots, JSON cut off' => join('.', b64('{"alg":"ES256"'), opaque(), 'x'),
        'two dots, no Base64 first' => join('.', 'a', opaque(), 'x'),
        'one dot' => join('.', map { opaque() } 1 .. 2),
        'three dots' => join('.', map { opaque() } 1 .. 4),
        'a JWE' => join('.', b64('{"alg":"RSA-OAEP","enc":"A256GCM"}'), map { opaque() } 1 .. 4),
        'dots alone at the end' => opaque() . '..',
        'two dots at the begin' => '..' . opaque(),
        'an equals sign' => opaque() . '=',
    );
    goes("opaque, $_", keys => known('keys', $opaque{$_}), 200, '/keys') for sort keys %opaque;
    goes("opaque, unknown, $_", keys => "x$opaque{$_}", 'token-inactive', '/keys') for 'two dots', 'one dot';
}

# --- introspection alone
{
    my @n = ('none', 'none');
    my $good = jwt(@n);
    goes('a JWT, no keys', none => known('none', $good, iss => iss('none')), 200, '/none');
    goes('a JWT, no keys, known to nobody', none => jwt(@n), 'token-inactive', '/none');
    goes('a JWT, no keys, an answer of another issuer', none => known('none', jwt(@n), iss => iss('keys')), 'token-issuer', '/none');
    goes('a JWT, no keys, an answer with another aud', none => $as->active(-token => jwt(@n), aud => 'https://mcp.test/x'), 'token-audience', '/none');
    my $forged = jwt(@n, -key => 'stranger_ec', sub => 'mallory');
    goes('a JWT, no keys, by any key: the server decides', none => $forged, 'token-inactive', '/none');
    # What a JWT says about itself counts for nothing.
    my $claims = jwt(@n, sub => 'mallory', aud => ['https://mcp.test/none']);
    known('none', $claims, sub => 'alice');
    is header(get(none => $claims), 'X-User'), 'alice', 'T24 the user is whom the server names';
    goes('a JWT, no keys, alg none', none => known('none', unsigned('none')), 401);
    goes('a JWT, no keys, alg none with a signature', none => known('none', unsigned('none') . 'AAAA'), 'token-algorithm');
    my %bad = (
        'alg HS256' => [hmac_token('HS256', 'secret', iss => iss('none'), aud => 'https://mcp.test/none'), 'token-algorithm'],
        'typ logout+jwt' => [jwt(@n, -header => { typ => 'logout+jwt' }), 'token-type'],
        'INT-7 typ token-introspection+jwt' => [jwt(@n, -header => { typ => 'token-introspection+jwt' }), 'token-type'],
        'an issuer whom nobody trusts' => [jwt('untrusted', 'none'), 'token-issuer'],
        'an issuer trusted elsewhere' => [jwt('keys', 'none'), 'token-issuer'],
    );
    goes("a JWT, no keys, $_", none => known('none', $bad{$_}[0]), $bad{$_}[1]) for sort keys %bad;
    goes('opaque, no keys', none => known('none', opaque()), 200, '/none');

    # The rules of the issuer hold before anybody is asked.
    goes('McpOAuthAlgorithms, another', strict => known('strict', jwt('strict', 'strict', -key => 'rsa')), 'token-algorithm');
    goes('McpOAuthTokenType, another', strict => known('strict', jwt('strict', 'strict', -header => { typ => 'JWT' })), 'token-type');
}

# --- one issuer with keys, one with introspection
{
    my $local = token(aud => 'https://mcp.test/mixed', -key => 'ec256');
    goes('a JWT of the issuer with keys', mixed => $local, 200);
    my $stranger = token(aud => 'https://mcp.test/mixed', -key => 'stranger_ec', -kid => 'ec256');
    goes('a forged JWT of the issuer with keys', mixed => known('mixed', $stranger), 'token-signature');
    goes('a JWT of the issuer with introspection', mixed => known('mixed', jwt('none', 'mixed'), iss => iss('none')), 200, '/none');
    goes('a JWT of the issuer with introspection, unknown', mixed => jwt('none', 'mixed'), 'token-inactive', '/none');
    goes('opaque', mixed => known('mixed', opaque()), 200, '/none');
    goes('a JWT of neither', mixed => known('mixed', jwt('keys', 'mixed')), 'token-issuer');
}
goes('opaque, no introspection here', local => known('local', opaque()), 'token-malformed');

# --- keys that come and go: with them local, without them the server is asked
{
    my @l = ('late', 'late');
    goes('no key set yet', late => known('late', jwt(@l), iss => iss('late')), 200, '/late');
    goes('no key set yet, unknown', late => jwt(@l), 'token-inactive', '/late');
    $as->keys('/late/jwks', jwks_text([ec256 => '--kid', 'ec256']));
    ok wait_for(30, sub { my $n = $as->calls; get(late => jwt(@l))->{code} == 200 && !asked_since($n) }, 0.3), 'T24 keys come: a JWT is verified here'
        or diag join ' ', map { "$_->{path} $_->{status}" } $as->answers('/late/jwks');
    my $forged = jwt(@l, -key => 'stranger_ec', -kid => 'ec256');
    goes('keys are there: a forged one', late => known('late', $forged), 'token-signature');
    $as->unset('/late/jwks');
    ok wait_for(30, sub { my $n = $as->calls; get(late => known('late', jwt(@l)))->{code} == 200 && grep { $_ eq '/late' } asked_since($n) }, 0.3),
        'T24 keys expire (McpOAuthKeyMaxStale 0): the server is asked again';
    goes('keys have expired: alg none all the same', late => known('late', unsigned('late')), 401);
}
{
    my $name = $as->url . '/hidden';
    my $jwt = token(iss => $name, aud => 'https://mcp.test/hidden', -key => 'ec256');
    goes('no metadata, so no keys', hidden => known('hidden', $jwt), 200, '/hidden/introspect');
    goes('no metadata, opaque', hidden => known('hidden', opaque()), 200, '/hidden/introspect');
}

# --- refused, so not forwarded
untouched($backend, 'T24 what is refused', sub {
    get(keys => jwt('untrusted', 'keys'));
    get(none => opaque());
    get(mixed => 'x.y.z');
});
unlogged('O02 no token in the error log', log_since($mark));
unlogged('O02 no token in the access log', access_since($mark));
no_crash($mark);
done_testing;
