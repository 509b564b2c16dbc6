# The authorization server goes away, or hangs: design 2.5, threats.md R02, R03.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::AuthServer;
use Time::HiRes qw(time sleep);

my $server = MCP::AuthServer->start(port('outage_as'));
my @names = qw(keep strict stale slow);
sub t { my ($name, $kid, $key) = @_; token(aud => 'https://mcp.test/k', iss => "https://$name.outage.test", -key => $key // 'ec256', -kid => $kid // 'one') }
sub code { status_of(keys => '/k', $_[0]) }
$server->keys("/$_/jwks", jwks_text([ec256 => '--kid', 'one'])) for @names;
my %token = map { $_ => t($_) } @names;
ok settles(12, 200, sub { code($token{$_}) }), "$_: keys are there" for @names;

# --- R03: it hangs
{
    $server->set('/slow/jwks', hang => 1);
    my $n = $server->count('/slow/jwks');
    ok wait_for(8, sub { $server->count('/slow/jwks') > $n }), 'R03 it was asked, and hangs';
    my $slowest = 0;
    my @codes = map {
        my $r = http(keys => GET => '/k', token => t('slow', $_));
        $slowest = $r->{seconds} if $r->{seconds} > $slowest;
        $r->{code}
    } ('one', 'unknown') x 10;
    is_deeply \@codes, [(200, 401) x 10], 'R03 meanwhile the known key is good, an unknown one is not';
    cmp_ok $slowest, '<', 1, 'R03 and nobody waits';
}

# --- R02: it is gone
$server->down;
my $down = time;
ok wait_for(10, sub { code($token{strict}) == 503 }), 'R02 McpOAuthKeyMaxStale 0: 503 as soon as a refresh is overdue';
cmp_ok time - $down, '<', 5, 'R02 soon';
ok wait_for(12, sub { code($token{stale}) == 503 }), 'R02 McpOAuthKeyMaxStale 3s: 503 in the end';
cmp_ok time - $down, '>', 2.5, 'R02 but not before';
ok wait_for(5, sub { !grep { $_ != 503 } statuses_of(keys => '/k', map { t($_) } ('stale', 'strict') x 4) }), 'R02 for new tokens, and every child';
is code($token{keep}), 200, 'R02 McpOAuthKeyMaxStale 24h: the old keys serve';
is code(t('keep')), 200, 'R02 new tokens, too';
is code(t('keep', 'unknown')), 401, 'R02 an unknown kid is 401 while there is a usable set';
is code($token{slow}), 200, 'R02 and who was not due notices nothing';

$server->up;
$server->keys('/slow/jwks', jwks_text([ec256 => '--kid', 'one']));
ok settles(15, 200, sub { code($token{$_}) }), "R01 R02 $_: it recovers" for @names;
done_testing;
