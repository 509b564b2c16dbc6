# The authorization server goes away, or hangs: design 2.5, threats.md R01, R02, R03, R13, K04.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::AuthServer;
use MCP::Children;
use Time::HiRes qw(time sleep);

my $server = MCP::AuthServer->start(port('outage_as'));
my @names = qw(keep strict stale slow);
sub t { my ($name, $kid, $key) = @_; token(aud => 'https://mcp.test/k', iss => "https://$name.outage.test", -key => $key // 'ec256', -kid => $kid // 'one') }
sub code { status_of(keys => '/k', $_[0]) }
$server->keys("/$_/jwks", jwks_text([ec256 => '--kid', 'one'])) for @names;
my %token = map { $_ => t($_) } @names;
ok settles(30, 200, sub { code($token{$_}) }), "$_: keys are there" for @names;

# --- R03: it hangs
{
    $server->set('/slow/jwks', hang => 1);
    my $n = $server->count('/slow/jwks');
    ok wait_for(30, sub { $server->count('/slow/jwks') > $n }), 'R03 it was asked, and hangs';
    my ($slow, $waited) = (0, 0);
    my @codes = map {
        my $r = http(keys => GET => '/k', token => t('slow', $_));
        $slow++ if $_ eq 'one' && $r->{seconds} >= 1;
        $waited += $r->{seconds} if $_ ne 'one';
        $r->{code}
    } map { ('one', "unknown-$_") } 1 .. 10;
    is_deeply \@codes, [(200, 401) x 10], 'R03 meanwhile the known key is good, an unknown one is not';
    # All may stand still now and then, so one or the other is late; who waits for the server is so each time.
    cmp_ok $slow, '<=', 3, 'R03 who has a known one does not wait';
    cmp_ok $waited, '<', 14, 'R03 of ten others one does, 2 s or so';
}

# --- R02: it is gone
my $mark = log_mark();
sub told { my ($id, $name) = @_; scalar(my @lines = log_since($mark) =~ /$id\b.*https:\/\/$name\.outage\.test\b/g) }
$server->down;
my ($down, $last) = (time, ($server->answers('/stale/jwks', 200))[-1]{at});
ok wait_for(30, sub { code($token{strict}) == 503 }), 'R02 McpOAuthKeyMaxStale 0: 503 as soon as a refresh is overdue';
cmp_ok time - $down, '<', 15, 'R02 soon';
ok wait_for(30, sub { code($token{stale}) == 503 }), 'R02 McpOAuthKeyMaxStale 3s: 503 in the end';
cmp_ok time - $last, '>', 2.8, 'R02 but not before';
is_deeply [statuses_of(keys => '/k', map { t($_) } ('stale', 'strict') x 4)], [(503) x 8], 'R02 for new tokens';
is_deeply [statuses_of(keys => '/k', map { t($_, 'unknown') } 'stale', 'strict')], [503, 503], 'R02 for unknown kids';
all_children(503, $token{strict}, 'R02 in every child');
is code($token{keep}), 200, 'R02 McpOAuthKeyMaxStale 24h: the old keys serve';
is code(t('keep')), 200, 'R02 new tokens, too';
all_children(200, t('keep'), 'R02 in every child');
is code(t('keep', 'unknown')), 401, 'R02 an unknown kid is 401 while there is a usable set';
is code($token{slow}), 200, 'R02 and who was not due notices nothing';

# --- K04: two tokens in one request meanwhile
{
    my @children = children();
    my @pairs = ([t('keep'), t('keep', 'unknown')], [t('keep', 'unknown'), t('strict', 'unknown')], [t('strict'), t('stale')]);
    my @codes = map { http(keys => GET => '/k', headers => [map { (Authorization => "Bearer $_") } @$_])->{code} } (@pairs) x 4;
    is_deeply \@codes, [(400) x 12], 'K04 two Authorization lines are 400';
    my %now = map { $_ => 1 } children();
    is_deeply [grep { !$now{$_} } @children], [], 'K04 and nobody died';
}

# --- R13: children that are started now
{
    if (vars('mcp_mpm') eq 'prefork') {
        my $before = log_mark();
        ok replace_children(), 'R13 all children are replaced';
        unlike log_since($before), qr/exit signal/, 'R12 R13 and end in peace';
        is_deeply [map { code($token{keep}), code(t('keep')) } 1 .. 8], [(200) x 16], 'R13 a new one has the keys at its first request';
        is code($token{strict}), 503, 'R13 but none that have expired';
    }
    my @filled = fill_workers($token{keep});
    is_deeply [grep { $_ != 200 } @filled], [], 'R13 more children are started under load, and have the keys';
    all_children(200, t('keep'), 'R13 each of them');
    is code(t('keep', 'unknown')), 401, 'R13 and knows what is unknown';
}
is told(MCP0311 => 'keep'), 1, 'R02 keep: one line says that its keys are stale';
is told(MCP0311 => 'strict'), 1, 'R02 strict: one line says that they have expired';
# It may have expired before the first attempt that failed.
my $states = join ' ', log_since($mark) =~ /MCP0311\b.*https:\/\/stale\.outage\.test\b.*?\((\w+)\)/g;
like $states, qr/^(?:stale )?expired$/, 'R02 stale: one line for the one, one for the other';
my $told = told(MCP0311 => 'stale');

$server->up;
$server->keys('/slow/jwks', jwks_text([ec256 => '--kid', 'one']));
ok settles(30, 200, sub { code($token{$_}) }), "R01 R02 $_: it recovers" for @names;
all_children(200, $token{$_}, "R01 R02 $_: in every child") for @names;
# The one that was never without keys may still be waiting for its next try.
ok wait_for(30, sub { told(MCP0310 => 'keep') }), 'R02 keep: it is refreshed again';
is told(MCP0310 => $_), 1, "R02 $_: one line says so" for qw(keep strict stale);
is told(MCP0311 => 'keep') + told(MCP0311 => 'strict') + told(MCP0311 => 'stale'), 2 + $told, 'R02 and there was no other';
done_testing;
