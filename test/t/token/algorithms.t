# Which signatures count: threats.md T01 to T08, T11, K06 to K10, requirements.md TOK-4 to TOK-6, TOK-10, TOK-11.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::AuthServer;

my $aud = 'https://mcp.test/a';
sub good { my ($name, @how) = @_; accepts(token => '/a', token(aud => $aud, @how), $name) }
sub bad  { my ($name, @how) = @_; refuses(token => '/a', token(aud => $aud, @how), $name) }
sub raw  { my ($name, $token) = @_; refuses(token => '/a', $token, $name) }

# --- what is good
good "1.1 good $_", -alg => $_ for qw(RS256 RS384 RS512 PS256 PS384 PS512);
good '1.1 good ES256', -key => 'ec256';
good '1.1 good ES384', -key => 'ec384';
good '1.1 good ES512', -key => 'ec521';
good '1.1 good EdDSA', -key => 'ed25519';
good '1.1 no kid, one RSA key fits',     -kid => undef;
good '1.1 no kid, one EC key fits',      -kid => undef, -key => 'ec256';
good '1.1 no kid, one OKP key fits',     -kid => undef, -key => 'ed25519';
good 'K10 a published private key verifies by its public part', -key => 'private';

# --- none
for my $alg ('none', 'None', 'NONE', 'nOnE', '') {
    my %h = (-header => { alg => $alg });
    my $unsigned = token(aud => $aud, %h, -none => 1);
    raw "T01 alg '$alg', no signature", $unsigned;
    raw "T01 alg '$alg', signature AA", "${unsigned}AA";
    bad "T01 alg '$alg', real signature", %h;
}
raw 'T01 alg none, no kid', token(aud => $aud, -header => { alg => 'none', kid => undef }, -none => 1);
bad '1.1 alg missing', -header => { alg => undef };
bad '1.1 alg a number', -header => { alg => 5 };
bad '1.1 alg null', -header_text => '{"alg":null,"kid":"rsa"}';
bad '1.1 alg an array', -header => { alg => ['RS256'] };
bad "TOK-4 alg $_ is another spelling", -header => { alg => $_ } for qw(rs256 Rs256 RS256\u0000), 'RS256 ', 'SHA256';
bad '1.1 alg twice: none, then RS256', -header_text => '{"alg":"none","alg":"RS256","kid":"rsa","typ":"at+jwt"}';
bad '1.1 alg twice: RS256, then none', -header_text => '{"alg":"RS256","alg":"none","kid":"rsa","typ":"at+jwt"}';

# --- HMAC with what is public
my $pem = public_key('rsa');
(my $bare = $pem) =~ s/\n\z//;
(my $crlf = $pem) =~ s/\n/\r\n/g;
my $jwk  = jwk('rsa', '--kid', 'rsa', '--use', 'sig');
my $n    = json($jwk)->{n};
my %secrets = (
    'PEM' => $pem, 'PEM without newline' => $bare, 'PEM with CRLF' => $crlf, 'DER' => public_key('rsa', '--der'),
    'n' => unb64($n), 'n as text' => $n, 'JWK text' => $jwk, 'kid' => 'rsa', 'an empty key' => '', 'a zero byte' => "\0"
);
for my $secret (sort keys %secrets) {
    for my $alg (qw(HS256 HS384 HS512)) {
        next if $alg ne 'HS256' && $secret !~ /^(?:PEM|n|an empty key)$/;
        raw "T02 $alg keyed with $secret", hmac_token($alg, $secrets{$secret}, aud => $aud, -kid => 'rsa');
    }
}
raw 'T03 HS256 over the empty key, no kid', hmac_token('HS256', '', aud => $aud, -kid => undef);
raw 'T03 HS256 over the empty key, EC kid', hmac_token('HS256', '', aud => $aud, -kid => 'ec256');
raw 'KEY-8 HS256 with an oct key of the set',
    hmac_token('HS256', unb64('c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ'), aud => $aud, -kid => 'oct');

# --- alg bound to the key
bad 'TOK-4 PS256 with a key for RS256',      -key => 'private', -alg => 'PS256';
bad 'TOK-4 RS256 under the kid of an EC key', -kid => 'ec256';
bad 'TOK-4 ES256 under the kid of an RSA key', -key => 'ec256', -kid => 'rsa';
bad 'K07 ES256 with the P-384 key',           -key => 'ec384', -alg => 'ES256';
bad 'K07 ES384 with the P-256 key',           -key => 'ec256', -alg => 'ES384';
bad 'K07 header ES256, signed as RS256',      -header => { alg => 'ES256' };
bad 'K08 key with use enc',                   -key => 'enc';
bad 'K06 1024 bit RSA',                       -key => 'weak';
bad 'T01 signed by a stranger under our kid', -key => 'stranger', -kid => 'rsa';
bad 'KEY-7 signed by a stranger, no kid',     -key => 'stranger', -kid => undef;
bad '1.1 unknown kid, known key',             -kid => 'unheard-of';
bad '1.1 Ed448 that is in no set',            -key => 'ed448', -kid => undef;

# --- crit
my %crit = (
    'an unknown name' => ['x-pol'], 'empty' => [], 'a string' => 'x-pol', 'null' => undef, 'a number in it' => [1],
    'a name that is absent' => ['absent'], 'a registered name' => ['alg'], 'exp' => ['exp'], 'b64' => ['b64']
);
for my $what (sort keys %crit) {
    my %h = (alg => 'RS256', kid => 'rsa', typ => 'at+jwt', 'x-pol' => 1, exp => 1, crit => $crit{$what});
    bad "T04 crit: $what", -header_text => json_text(\%h);
}
{
    # RFC 7797: the payload as it is. Signed the way a verifier that knows b64 would check it.
    my $head = b64('{"alg":"RS256","kid":"rsa","b64":false,"crit":["b64"]}');
    my $claims = b64(json_text({ iss => 'https://as.test', aud => $aud, exp => now() + 600 }));
    raw 'T04 b64:false with crit', "$head.$claims." . sign_text("$head.$claims");
    bad 'TOK-10 b64:false without crit', -header => { b64 => JSON::PP::false };
}

# --- keys inside the token
my $stranger = json(jwk('stranger'));
bad 'T05 embedded jwk, no kid', -key => 'stranger', -kid => undef, -header => { jwk => $stranger };
bad 'T05 embedded jwk, our kid', -key => 'stranger', -kid => 'rsa', -header => { jwk => $stranger };
my $cert = join '', (slurp(made('cert-good.pem')) =~ /^([A-Za-z0-9+\/=]+)$/mg);
bad 'T05 embedded x5c', -key => 'tls', -kid => undef, -header => { x5c => [$cert] };
{
    my $canary = MCP::AuthServer->start(port('token_canary'));
    $canary->keys('/jwks', jwks_text(['stranger', '--kid', 'evil']));
    for my $name (qw(jku x5u)) {
        bad "T06 $name, unknown kid", -key => 'stranger', -kid => 'evil', -header => { $name => $canary->url('/jwks') };
        bad "T06 $name, no kid", -key => 'stranger', -kid => undef, -header => { $name => $canary->url('/jwks') };
        bad "T06 $name: file", -key => 'stranger', -kid => undef,
            -header => { $name => 'file://' . vars('t_dir') . '/made/as.json' };
    }
    is $canary->accepts, 0, 'T06 nobody called the URLs of the tokens';
}
accepts(token => '/a', token(aud => $aud, -header => { x5t => 'AAAA', 'x5t#S256' => 'AAAA', x5c => [$cert] }),
    'TOK-11 certificates beside a good kid are ignored');

# --- ECDSA at its edges
my $ec = token(aud => $aud, -key => 'ec256');
my ($text, $sig) = $ec =~ /^(.*)\.(.*)$/;
my ($r, $s) = unpack 'a32a32', unb64($sig);
my ($zero, $one) = ("\0" x 32, "\0" x 31 . "\1");
my $order = pack 'H*', 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551';
my $max   = "\xff" x 32;
my %edge = (
    'r=s=0' => $zero . $zero, 'r=0' => $zero . $s, 's=0' => $r . $zero, 'r=n' => $order . $s, 's=n' => $r . $order,
    'r=s=n' => $order . $order, 'r=s=1' => $one . $one, 'r over n' => $max . $s, 's over n' => $r . $max,
    'r and s exchanged' => $s . $r, 'one byte short' => substr($r . $s, 0, 63), 'one byte long' => "$r$s\0",
    'leading zero bytes' => "\0$r\0$s", 'empty' => ''
);
raw "T07 ES256 $_", "$text." . b64($edge{$_}) for sort keys %edge;
bad 'T08 ES256 in DER', -key => 'ec256', -der => 1;
bad 'T08 ES384 in DER', -key => 'ec384', -der => 1;
bad 'T08 ES512 in DER', -key => 'ec521', -der => 1;
accepts(token => '/a', $ec, 'T07 the same signature as it was');

done_testing;
