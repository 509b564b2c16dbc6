# Keys over HTTP: discovery, start with the server down, withdrawal, unknown kids, who fetches and how often.
# requirements.md KEY-1 to KEY-6, KEY-9, threats.md R01, R07, K01.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::AuthServer;
use MCP::Children;
use Time::HiRes qw(time sleep);

my $as = 'http://127.0.0.1:' . port('keys_as');
my @good = ('https://absolute.keys.test', 'https://relative.keys.test', 'https://relative2.keys.test', "$as/d1", "$as/d2", "$as/d3", "$as/d4/",
    $as, map { "https://$_.keys.test" } qw(once maxage));
my @bad = ((map { "$as/$_" } qw(mismatch no-issuer file-uri far-http)), 'https://redirect.keys.test');

sub t { my ($iss, $kid, $key) = @_; token(aud => 'https://mcp.test/k', iss => $iss, -key => $key // 'ec256', -kid => $kid // 'one') }
sub code { status_of(keys => '/k', $_[0]) }
my %token = map { $_ => t($_) } @good, @bad;
my $default = t('https://default.keys.test');

# --- R01: down at start
{
    my $r = http(keys => GET => '/k', token => $token{ $good[0] });
    for (1 .. 3) {    # one in time will do
        $r = http(keys => GET => '/k', token => $token{ $good[0] }) if $r->{seconds} >= 3.5;
    }
    answers_json($r, 503, 'temporarily_unavailable', 'R01 down at start: 503, not 401');
    like header($r, 'Retry-After') // '', qr/^[1-9]\d*$/, 'R01 Retry-After';
    is_deeply [headers($r, 'WWW-Authenticate')], [], 'CHL-18 no challenge';
    cmp_ok $r->{seconds}, '<', 3.5, 'R01 within 2 s or so';
    is_deeply [statuses_of(keys => '/k', t($good[0], 'unheard-of'), t($as), 'a.b.c')], [503, 503, 401],
        'R01 also for any other kid, and by discovery; but garbage is garbage';
}

# --- up
my $one = jwks_text([ec256 => '--kid', 'one']);
my $server = MCP::AuthServer->start(port('keys_as'));
my $doc = sub { my ($path, $iss, $jwks) = @_; $server->discovery($path, issuer => $iss, jwks_uri => "$as$jwks") };
$server->keys($_, $one) for qw(/absolute/jwks /relative/certs/jwks /relative2/certs/jwks /d1/jwks /d2/jwks /d3/jwks /d4/jwks /root/jwks
    /mismatch/jwks /no-issuer/jwks /once/jwks /default/jwks /target);
$server->keys('/maxage/jwks', $one, 'Cache-Control' => 'public, max-age=2');
$doc->('/.well-known/oauth-authorization-server/d1', "$as/d1", '/d1/jwks');
$doc->('/.well-known/openid-configuration/d2', "$as/d2", '/d2/jwks');
$doc->('/d3/.well-known/openid-configuration', "$as/d3", '/d3/jwks');
$doc->('/.well-known/oauth-authorization-server/d4', "$as/d4/", '/d4/jwks');
$doc->('/.well-known/openid-configuration', $as, '/root/jwks');
$doc->("/.well-known/oauth-authorization-server/mismatch", "$as/mismatch/", '/mismatch/jwks');
$doc->('/.well-known/openid-configuration/mismatch', "$as/other", '/mismatch/jwks');
$doc->('/mismatch/.well-known/openid-configuration', "$as/Mismatch", '/mismatch/jwks');
$server->discovery('/.well-known/oauth-authorization-server/no-issuer', jwks_uri => "$as/no-issuer/jwks");
$server->discovery('/.well-known/oauth-authorization-server/file-uri', issuer => "$as/file-uri", jwks_uri => 'file://' . made('rotating.json'));
$server->discovery('/.well-known/oauth-authorization-server/far-http', issuer => "$as/far-http", jwks_uri => 'http://192.0.2.1/jwks');
$server->set('/redirect/jwks', status => '302 Found', headers => [Location => "$as/target"]);
my $up = time;
my %names = (
    $good[0] => 'an absolute URL', $good[1] => 'a path relative to the authorization server', $good[2] => 'one slash between',
    "$as/d1" => 'oauth-authorization-server before the path', "$as/d2" => 'openid-configuration before the path',
    "$as/d3" => 'openid-configuration behind the path', "$as/d4/" => 'an issuer with a slash at its end', $as => 'an issuer without a path'
);
for my $iss (@good) {
    ok settles(time < $up + 30 ? 30 : 1, 200, sub { code($token{$iss}) }), 'KEY-1 R01 200 after the server is there: ' . ($names{$iss} // $iss);
}
cmp_ok time - $up, '<', 25, 'R01 and soon';
ok settles(30, 200, sub { code($default) }), 'R01 also with the default bounds of the refresh';
cmp_ok time - $up, '<', 30, 'R01 and soon';

# --- documents that must not be used
ok wait_for(30, sub { $server->count("/.well-known/oauth-authorization-server/$_") }), "KEY-2 $_: it was asked"
    for qw(mismatch no-issuer file-uri far-http);
ok wait_for(30, sub { $server->count('/redirect/jwks') }), 'KEY-3 redirect: it was asked';
sleep 0.5;
my @codes = statuses_of(keys => '/k', @token{@bad});
is shift @codes, 503, "KEY-2 KEY-3 unusable: $_" for @bad;
is $server->count('/mismatch/jwks') + $server->count('/no-issuer/jwks'), 0, 'KEY-2 no keys are fetched for a document of somebody else';
is $server->count('/target'), 0, 'KEY-3 a redirect is not followed';

# --- who fetches
my ($often_since, $often) = (time, scalar $server->answers('/d1/jwks', 200));
{
    cmp_ok scalar(children()), '>', 1, 'there are several children';
    all_children(200, t('https://once.keys.test'), 'KEY-5 every child has the keys');
    is scalar($server->answers('/once/jwks', 200)), 1, 'KEY-5 by one fetch; KEY-6 without Cache-Control it is fetched once in an hour';
    my $n = $server->count('/once/jwks');
    my @codes = map { code(t('https://once.keys.test')) } 1 .. 40;
    is_deeply [grep { $_ != 200 } @codes], [], '40 new tokens of a known key';
    is $server->count('/once/jwks'), $n, 'KEY-5 no request fetched anything';
    my $start = time;
    my @unknown = map { code(t('https://once.keys.test', "random-$_-$$")) } 1 .. 60;
    is_deeply [grep { $_ != 401 } @unknown], [], 'K01 60 unknown kids are 401';
    cmp_ok $server->count('/once/jwks'), '<=', $n + 1 + (time - $start) / 30, 'K01 KEY-5 and cause one fetch: the cool-down is 30 s';
    is code($token{'https://once.keys.test'}), 200, 'K01 the known one stays good';
    my $more = $server->count('/maxage/jwks');
    ok wait_for(30, sub { $server->count('/maxage/jwks') > $more + 1 }), 'KEY-6 max-age=2 is honoured within the bounds';
}

# --- R07, C04, KEY-9: withdrawn
{
    my $iss = 'https://absolute.keys.test';
    my $old = $token{$iss};
    is code($old), 200, 'KEY-9 before';
    $server->keys('/absolute/jwks', jwks_text([ec256_b => '--kid', 'two']));
    my $fetched = () = $server->answers('/absolute/jwks', 200);
    ok wait_for(30, sub { code($old) == 401 }), 'KEY-9 R07 C04 a withdrawn key ends its cached token';
    # There is a fetch each second: of another time that this takes nothing could be told from a slow machine.
    $fetched = (() = $server->answers('/absolute/jwks', 200)) - $fetched;
    cmp_ok $fetched, '<', 5, 'R07 within the refresh interval and a second or two';
    ok settles(30, 401, sub { code($old) }), 'KEY-9 R07 C04 and does so in every child';
    is code(t($iss, 'one')), 401, 'KEY-9 and new ones';
    is code(t($iss, 'two', 'ec256_b')), 200, 'KEY-9 the new key is good';
    $server->keys('/absolute/jwks', $one);
    ok settles(30, 200, sub { code($old) }), 'KEY-9 and the token is good again when its key is';
    $server->keys('/absolute/jwks', jwks_text([ec256_b => '--kid', 'one']));
    ok settles(30, 401, sub { code($old) }), 'KEY-9 R07 another key under the same kid ends the cached token';
}

# --- KEY-4, K09: one good key among broken ones
{
    my $iss = 'https://relative.keys.test';
    my $mark = log_mark();
    my $secret = 'secret-secret-secret-secret-1234';
    $server->keys('/relative/certs/jwks', jwks_text([private => '--kid', 'private', '--private'], json_text({ kty => 'oct', kid => 'oct', k => b64($secret) }), '{"kty":"RSA"}', '{"kty":5}', '[]', '"x"', 'null', '{}', '{"kty":"EC","crv":"P-256","x":"AA","y":"AA","kid":"two"}',
        [weak => '--kid', 'weak'], '{"kty":"oct","k":"AAAA","kid":"two"}', [ec256_b => '--kid', 'two']));
    ok settles(30, 200, sub { code(t($iss, 'two', 'ec256_b')) }), 'KEY-4 K09 the good key among broken ones works';
    is code(t($iss, 'private', 'private')), 200, 'K10 a published private key verifies by its public part';
    is code(hmac_token('HS256', $secret, aud => 'https://mcp.test/k', iss => $iss, -kid => 'oct')), 401, 'K10 KEY-8 a symmetric key does not';
    is scalar(my @lines = log_since($mark) =~ /MCP0319\b.*https:\/\/relative\.keys\.test\b/g), 1, 'K10 one line warns of the private key';
    my $weak = t($iss, 'weak', 'weak');
    is code($weak), 401, 'K06 nor does a short one';
}

# --- KEY-5: all the time one issuer has been fetched again and again
{
    ok wait_for(30, sub { $server->answers('/d1/jwks', 200) >= $often + 6 }), 'KEY-6 it is fetched every second';
    my $n = $server->answers('/d1/jwks', 200) - $often;
    cmp_ok $n, '<=', time - $often_since + 2, 'KEY-5 and not by every child';
    my $log = slurp(MCP::Test::log_file('error_log'));
    for (qw(once default)) {
        is scalar(my @failed = $log =~ /MCP0311\b.*https:\/\/$_\.keys\.test\b/g), 1, "R01 $_: one line says that there are no keys yet";
        is scalar(my @loaded = $log =~ /MCP0310\b.*https:\/\/$_\.keys\.test\b/g), 1, "R01 $_: one line says that they are there";
    }
}
done_testing;
