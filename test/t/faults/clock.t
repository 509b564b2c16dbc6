# The wall clock is set, forth, back and beyond 2038: threats.md R15. Timers do not care, tokens are judged by the new time.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::AuthServer;
use MCP::Httpd;
use Time::HiRes qw(time sleep);

my $server = MCP::AuthServer->start(port('machine_as'));
my ($one, $two) = (jwks_text([ec256 => '--kid', 'one']), jwks_text([ec256_b => '--kid', 'two']));
$server->keys("/$_", $one) for qw(often once);
my $httpd = MCP::Httpd->start(port('machine_httpd'), shim => 1, conf => <<END);
McpOAuthTokenCacheTTL 86400s
<McpOAuthIssuer "https://often.test">
    McpOAuthJwks @{[$server->url('/often')]}
    McpOAuthKeyRefresh 1s 1s
    McpOAuthKeyMaxStale 20s
</McpOAuthIssuer>
<McpOAuthIssuer "https://once.test">
    McpOAuthJwks @{[$server->url('/once')]}
    McpOAuthKeyRefresh 1h 1h
    McpOAuthKeyMaxStale 0
</McpOAuthIssuer>
<Location "/m">
    McpOAuthIssuer https://often.test https://once.test
</Location>
END
my $where = port('machine_httpd');
my $HOUR = 3600;
sub t { my ($name, %more) = @_; token(iss => "https://$name.test", aud => 'https://mcp.test/m', -key => 'ec256', -kid => 'one', iat => now() - 2 * $HOUR, exp => now() + 2 * $HOUR, %more) }
sub code { status_of($where, '/m', $_[0]) }
sub all_are { my ($status, $token, $name) = @_; is_deeply [statuses_of($where, '/m', ($token) x 4)], [($status) x 4], "R15 $name" }

my %steady = map { $_ => t($_) } qw(often once);
my $short = t('once', exp => now() + 600);
my $born = t('once', nbf => now() - 1);
ok settles(30, 200, sub { code($steady{$_}) }), "$_: keys are there" for qw(often once);
all_are(200, $_, 'a token, to be remembered') for $short, $born;
my @pids = $httpd->children;

# What holds whatever the time: no fetch because of the jump, refreshing goes on, and nobody is busy.
my $turn = 0;
sub undisturbed {
    my ($when, $token) = @_;
    my $began = time;
    my ($once, $often, $cpu) = ($server->count('/once'), $server->count('/often'), $httpd->cpu);
    sleep 1.5;
    cmp_ok $httpd->cpu - $cpu, '<', 0.75, "R15 $when: the children are not busy";
    ok wait_for(30, sub { $server->count('/often') > $often }), "R15 $when: keys are refreshed";
    cmp_ok $server->count('/often') - $often, '<=', 2 + time - $began, "R15 $when: as often as before";
    my ($kid, $key, $set) = ++$turn % 2 ? ('two', 'ec256_b', $two) : ('one', 'ec256', $one);
    $server->keys('/often', $set);
    my $new = $token->('often', -kid => $kid, -key => $key);
    ok settles(30, 200, sub { code($new) }), "R15 $when: a new key is found";
    is $server->count('/once'), $once, "R15 $when: who is not due is not fetched";
}

$httpd->clock(+$HOUR);
all_are(401, $short, 'an hour later: a token that was good and remembered has expired');
all_are(200, $born, 'an hour later: one that is good for longer is still good');
all_are(200, t('once', nbf => now() + $HOUR - 1), 'an hour later: one that was not good before is');
undisturbed('an hour later', \&t);
all_are(200, $steady{once}, 'an hour later: keys that may not be stale serve');

$httpd->clock(-$HOUR);
all_are(401, $born, 'an hour earlier: a token that was good and remembered is not good yet');
all_are(401, t('once', iat => now()), 'an hour earlier: nor is one from the future');
all_are(200, $short, 'an hour earlier: what had expired is good again');
undisturbed('an hour earlier', \&t);
all_are(200, $steady{once}, 'an hour earlier: keys serve');

my $late = 2**31 + 86400;
my $then = sub { t(@_, iat => $late - 60, exp => $late + 600) };
$httpd->clock($late - now());
all_are(401, $_, 'after 2038: a token of today has expired') for $short, $steady{once};
all_are(200, $then->('once'), 'after 2038: one of then is good');
undisturbed('after 2038', $then);
all_are(401, t('once', iat => $late - 700, exp => $late - 600), 'after 2038: one of then has expired');

$httpd->clock(0);
all_are(200, $_, 'the clock is right again') for $short, $born, $steady{once};
is_deeply [$httpd->children], \@pids, 'R15 no child ended';
is_deeply [$httpd->lines(qr/MCP031[1-9]/)], [], 'R15 nothing to complain about';
unlike $httpd->log, qr/exit signal|AddressSanitizer|runtime error:/, 'no child died';

done_testing;
