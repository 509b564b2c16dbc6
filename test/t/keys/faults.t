# Answers of a sick authorization server: the old keys stay, and it recovers. threats.md R01, R02, R04, R22, K11.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::AuthServer;
use Time::HiRes qw(time sleep);

my $server = MCP::AuthServer->start(port('faults_as'));
my $mark = {};
my @names = qw(long good html 500 404 302 object empty unusable truncated cut large twice drip hang);
my $one = jwks_text([ec256 => '--kid', 'one']);
my $two = jwks_text([ec256_b => '--kid', 'two']);
sub t { my ($name, $kid, $key) = @_; token(aud => 'https://mcp.test/k', iss => "https://$name.faults.test", -key => $key // 'ec256', -kid => $kid // 'one') }
sub code { status_of(keys => '/k', $_[0]) }
sub told { my ($id, $name) = @_; scalar(my @lines = log_since($mark) =~ /$id\b.*https:\/\/$name\.faults\.test\b/g) }

$server->keys("/$_/jwks", $one) for @names;
my %token = map { $_ => t($_) } @names;
ok settles(30, 200, sub { code($token{$_}) }), "R04 $_: keys are there" for @names;
ok wait_for(30, sub { told(MCP0310 => $_) }), "R02 $_: a line says so" for @names;

# All at once. Each faulty answer has the new key in it where it can: nothing of it may be taken.
$mark = log_mark();
$server->clear;
my $json = ['Content-Type', 'application/jwk-set+json'];
$server->keys('/target', $two);
$server->set('/html/jwks',      body => "<!DOCTYPE html><html>$two</html>", headers => ['Content-Type', 'text/html']);
$server->set('/500/jwks',       status => '500 Oops', body => $two, headers => $json);
$server->set('/302/jwks',       status => '302 Found', body => $two, headers => [@$json, Location => $server->url('/target')]);
$server->set('/object/jwks',    body => '{}', headers => $json);
$server->set('/empty/jwks',     body => '{"keys":[]}', headers => $json);
$server->set('/unusable/jwks',  body => jwks_text('{"kty":"oct","k":"AAAA","kid":"one"}', [weak => '--kid', 'one']), headers => $json);
$server->set('/truncated/jwks', body => substr($two, 0, -6), headers => $json);
$server->set('/cut/jwks',       body => $two, headers => $json, cut => length($two) - 3);
$server->set('/large/jwks',     body => $two, headers => $json, size => 1024 * 1024);
$server->set('/twice/jwks',     body => "{\"keys\":[]," . substr($two, 1), headers => $json);
$server->set('/drip/jwks',      body => $two, headers => $json, drip => 0.5);
$server->set('/hang/jwks',      hang => 1);
$server->unset('/404/jwks');
$server->set('/long/jwks', status => '500 Oops');

my $switched = time;
for my $name (@names) {
    next if $name eq 'good' || $name eq 'long';
    ok wait_for(30, sub { $server->count("/$name/jwks") >= 2 }), "R04 $name: asked, and asked again after a while";
    is code($token{$name}), 200, "R04 $name: the old key stays";
    is code(t($name)), 200, "R04 $name: also for a new token";
    is code(t($name, 'two', 'ec256_b')), 401, "R04 $name: nothing of the answer is taken";
    is told(MCP0311 => $name), 1, "R02 $name: one line says that it fails";
}
is $server->count('/target'), 0, 'R04 no redirect is followed';
{
    # Meanwhile the healthy one is refreshed, and answers at once.
    my $n = $server->count('/good/jwks');
    $server->keys('/good/jwks', $two);
    ok settles(30, 200, sub { code(t('good', 'two', 'ec256_b')) }),
        'R22 an issuer beside thirteen broken ones gets its new key';
    cmp_ok $server->count('/good/jwks'), '>', $n, 'R22 by a refresh';
    # All may stand still now and then; who waits does so each time.
    my @slow = grep { http(keys => GET => '/k', token => t('good', 'two', 'ec256_b'))->{seconds} >= 1 } 1 .. 20;
    cmp_ok scalar(@slow), '<=', 3, 'R03 no request waits for a server that hangs';
}

# A fault must not be asked for over and over: there is a back-off.
{
    my %n = map { $_ => $server->count("/$_/jwks") } qw(500 404 empty);
    my $seconds = time - $switched;
    # One for the whole server: after a second give or take a fifth, and now and then for the unknown kid of above.
    cmp_ok $n{$_}, '<=', $seconds / 0.8 + $seconds / 30 + 3, "R04 $_: not more often than the interval" for sort keys %n;
}

# Expired, and failing for a while: the pause would have grown to 8 s, but while there is nothing to serve it stays short.
my $outages = 0;
{
    ok wait_for(60, sub { $server->answers('/long/jwks', 500) >= 3 }), 'R01 long: it fails';
    is code($token{long}), 503, 'R02 long: and its keys have expired';
    my ($pause, $enough) = (99, 4);
    while ($outages++ < 3) {
        ok wait_for(60, sub { $server->answers('/long/jwks', 500) >= $enough }), 'R01 long: it fails again';
        my $good = () = $server->answers('/long/jwks', 200);
        $server->keys('/long/jwks', $two);
        ok wait_for(30, sub { $server->answers('/long/jwks', 200) > $good }), 'R01 long: the server has recovered';
        $pause = ($server->answers('/long/jwks', 200))[$good]{at} - ($server->answers('/long/jwks', 500))[-1]{at};
        last if $pause < 5.5 || $outages == 3;    # it may have been the machine that paused
        $server->set('/long/jwks', status => '500 Oops');
        $enough = 4 + $server->answers('/long/jwks', 500);
    }
    cmp_ok $pause, '<', 5.5, 'R01 long: 5 s after it has failed';
    ok wait_for(30, sub { code(t('long', 'two', 'ec256_b')) == 200 }), 'R01 long: it is good again';
}

$server->keys("/$_/jwks", $two) for @names;
ok settles(40, 200, sub { code(t($_, 'two', 'ec256_b')) }), "R04 $_: it recovers" for @names;
for my $name (grep { $_ ne 'good' } @names) {
    # When all stands still, a good fetch may end by a timeout of 1 s as well; then there is one line more of each.
    my @late = $name =~ /^(?:drip|hang)$/ ? log_since($mark) =~ /MCP0311\b.*\b$name\.faults\.test\b.*Timeout was reached/g : ();
    my $n = $name eq 'long' ? $outages : @late || 1;
    is told(MCP0310 => $name), $n, "R02 $name: one line says so";
    is told(MCP0311 => $name), $n, "R02 $name: and there was no other";
}
is told(MCP0310 => 'good') + told(MCP0311 => 'good'), 0, 'R02 good: there is nothing to tell';
done_testing;
