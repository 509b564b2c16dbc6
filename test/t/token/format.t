# The compact serialisation and nothing else: threats.md T09 to T14, T20, K13, K14, requirements.md TOK-12 to TOK-14.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;

my $aud = 'https://mcp.test/a';
sub bad { my ($name, @how) = @_; refuses(token => '/a', token(aud => $aud, @how), $name) }
sub raw { my ($name, $token) = @_; refuses(token => '/a', $token, $name) }

my $good = token(aud => $aud);
my ($h, $p, $s) = split /\./, $good;
accepts(token => '/a', $good, 'a good token');

# --- parts
raw '1.1 four parts', "$good.AA";
raw 'T09 five parts', "$h.AA.AA.AA.$s";
raw 'T09 JWE header', join '.', b64('{"alg":"RSA-OAEP","enc":"A128GCM","kid":"rsa"}'), 'AA', 'AAAAAAAAAAAAAAAA', 'AA', 'AA';
raw 'T10 PBES2 with a high count', join '.', b64('{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AAAA"}'),
    'AA', 'AAAAAAAAAAAAAAAA', 'AA', 'AA';
bad 'T10 zip in a JWS', -header => { zip => 'DEF' };
raw '1.1 trailing dot', "$good.";
raw '1.1 leading dot', ".$good";
raw 'TOK-12 two parts', "$h.$p";
raw 'TOK-12 one part', $h;
raw 'TOK-12 no header', ".$p.$s";
raw 'TOK-12 no payload', "$h..$s";
raw 'TOK-12 no signature', "$h.$p.";
raw 'TOK-12 only dots', '..';
raw 'T11 7000 dots', '.' x 7000;
raw 'T11 8000 letters and a dot each', 'a.' x 4000;
my $r = http(token => GET => '/a', token => json_text({ payload => $p, signatures => [{ protected => $h, signature => $s }] }));
ok $r->{code} == 401 || $r->{code} == 400, "K13 general JSON serialisation: $r->{code}";
$r = http(token => GET => '/a', token => json_text({ payload => $p, protected => $h, signature => $s }));
ok $r->{code} == 401 || $r->{code} == 400, "K13 flattened JSON serialisation: $r->{code}";

# --- base64url
raw '1.1 signature and ==', "$good==";
raw '1.1 signature and =', "$good=";
raw 'T12 a letter more', "${good}A";
raw 'T12 a letter less', substr $good, 0, -1;
raw '1.1 space inside', "$h.$p $s";
raw '1.1 space in a part', "$h.$p." . substr($s, 0, 5) . ' ' . substr $s, 5;
raw 'T12 tab inside', "$h.$p.\t$s";
raw 'T12 another character', "$h.$p." . substr($s, 0, 5) . '!' . substr $s, 6;
my @alphabet = ('A' .. 'Z', 'a' .. 'z', 0 .. 9, '-', '_');
my %value = map { $alphabet[$_] => $_ } 0 .. 63;
sub other_unused_bits { my $t = shift; my $c = chop $t; $t . $alphabet[$value{$c} | 1] }
is length($s) % 4, 2, 'four unused bits at the end of the signature';
raw '1.1 last character changed in unused bits', other_unused_bits($good);
{
    # Genuine signatures over texts that are not canonical.
    my ($pad, $q) = ('', $p);
    until (length($q) % 4) {
        $pad .= 'x';
        $q = (split /\./, token(aud => $aud, pad => $pad))[1];
    }
    my $signed = sub { "$_[0]." . sign_text($_[0]) };
    my $odd = other_unused_bits($q);
    ok $odd ne $q, 'the payload has unused bits';
    accepts(token => '/a', $signed->("$h.$q"), 'T12 the payload as it should be');
    raw 'T12 unused bits in the payload, signed so', $signed->("$h.$odd");
    raw 'T12 padded payload, signed so', $signed->("$h.$q" . '=' x (4 - length($q) % 4));
    my $head = '{"alg":"RS256","kid":"rsa","typ":"JWT"}';
    $head .= ' ' until length(b64($head)) % 4;
    accepts(token => '/a', $signed->(b64($head) . ".$p"), 'T12 white space in the header is JSON');
    raw 'T12 unused bits in the header, signed so', $signed->(other_unused_bits(b64($head)) . ".$p");
    my $plus;
    do { $plus = token(aud => $aud) } until (split /\./, $plus)[2] =~ /[-_]/;
    (my $std = $plus) =~ tr{-_}{+/};
    raw '1.1 + and / in place of - and _', $std;
}

# --- JSON inside
raw "T14 payload $_", token(-payload_text => $_) for '[]', '"x"', '1', 'null', 'true', '{}', '', ' ', '[{"iss":"https://as.test"}]';
my $claims = json_text(claims_of($good));
my $inner = substr $claims, 1, -1;
raw 'T14 payload in an array', token(-payload_text => "[$claims]");
raw '1.1 payload twice', token(-payload_text => "$claims$claims");
raw 'T13 text after the payload', token(-payload_text => "$claims x");
raw 'T13 a comma too many', token(-payload_text => "{$inner,}");
raw '1.1 exp twice: 1, then the future', token(-payload_text => "{\"exp\":1,$inner}");
raw 'T13 exp twice: the future, then 1', token(-payload_text => "{$inner,\"exp\":1}");
raw 'T13 aud twice', token(-payload_text => "{\"aud\":\"x\",$inner}");
raw 'T13 aud twice, once escaped', token(-payload_text => "{\"\\u0061ud\":\"x\",$inner}");
raw 'T13 a nested name twice', token(-payload_text => "{\"x\":{\"y\":1,\"y\":2},$inner}");
raw 'T13 byte order mark', token(-payload_text => "\xef\xbb\xbf$claims");
raw 'T13 invalid UTF-8', token(-payload_text => "{\"x\":\"\xff\",$inner}");
raw 'T13 NaN', token(-payload_text => "{\"x\":NaN,$inner}");
raw 'T13 depth 2000', token(-payload_text => '{"x":' . '[' x 2000 . ']' x 2000 . ",$inner}");
my $head = '"alg":"RS256","kid":"rsa","typ":"at+jwt"';
bad 'T13 kid twice', -header_text => "{\"kid\":\"ec256\",$head}";
bad 'T13 an unread name twice', -header_text => "{\"x\":1,\"x\":1,$head}";
bad "T14 header $_", -header_text => $_ for '[]', '"RS256"', '1', 'null', '{}', '', "[{$head}]";
accepts(token => '/a', token(-payload_text => "{ $inner ,\"x\":[1,{\"y\":null}]}"), 'further claims do not disturb');
accepts(token => '/a', token(aud => $aud, -header => { x => 1 }), 'further header members do not disturb');

# --- kid
for ([number => 7], [object => {}], [array => ['rsa']], [null => undef], [true => JSON::PP::true]) {
    my ($what, $kid) = @$_;
    bad "K14 kid: $what", -header_text => json_text({ alg => 'RS256', typ => 'at+jwt', kid => $kid });
}
bad 'K14 kid: 4 kB', -kid => 'k' x 4096;
bad 'K14 kid: empty', -kid => '';
bad 'K14 kid: a path', -kid => '../../../../dev/null';
bad 'K14 kid: SQL', -kid => "rsa' OR '1'='1";
bad 'K14 kid: control characters', -kid => "rsa\r\nX: y\e[31m";
bad 'K14 kid: NUL', -header_text => '{"alg":"RS256","typ":"at+jwt","kid":"rsa\u0000x"}';
bad 'K14 kid: our kid and a blank', -kid => 'rsa ';
bad 'K14 kid: other case', -kid => 'RSA';

# --- length: 16384 bytes are the ceiling
{
    my ($len, $token) = (16384);
    my $fill = $len - length token(aud => $aud, pad => '');
    my $n = int($fill * 3 / 4) + 3;
    $n-- while length($token = token(aud => $aud, pad => 'x' x $n)) > $len;
    cmp_ok length $token, '>', $len - 4, 'a token just below the ceiling';
    accepts(token => '/a', $token, 'T11 a token of 16384 bytes');
    $token = token(aud => $aud, pad => 'x' x ($n + 1));
    cmp_ok length $token, '>', $len, 'a token just above the ceiling';
    raw 'T11 a token over 16384 bytes', $token;
}

# --- every truncation, every character changed once
{
    my $mark  = log_mark();
    my $short = token(aud => $aud, -key => 'ec256', jti => undef, scope => undef, client_id => undef);
    my ($conn, %seen, @odd);
    my $try = sub {
        my ($token, $what) = @_;
        $conn ||= connection('token');
        my $r = http(token => GET => '/a', token => $token, on => $conn);
        $seen{ $r->{code} }++;
        push @odd, "$what: $r->{code}" if $r->{code} != 401;
        undef $conn if !$r->{code} || (header($r, 'Connection') // '') =~ /close/i;
    };
    $try->(substr($short, 0, $_), "first $_") for 1 .. length($short) - 1;
    is_deeply \@odd, [], 'T20 every prefix of a token is 401';
    @odd = ();
    for my $i (0 .. length($short) - 1) {
        my $t = $short;
        my $c = substr $t, $i, 1;
        substr $t, $i, 1, $c eq '.' ? 'A' : $alphabet[($value{$c} + 1) % 64];
        $try->($t, "character $i");
    }
    is_deeply \@odd, [], 'T20 TOK-13 every changed character is 401';
    cmp_ok $seen{401} // 0, '>', 500, 'T20 enough of them';
    accepts(token => '/a', $short, 'T20 the token itself');
    unlike log_since($mark), qr/exit signal/, 'T20 no child died';
}

done_testing;
