# An authorization server that fails is left alone for a while, by the whole server: threats.md R11. The times between its calls are
# its own; that they are no shorter does not depend on the load of the machine.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Introspection;
use HTTP::Date ();
use Time::HiRes qw(time sleep);

my $as = MCP::Introspection->start(port('introspection_as'));
my $backend = MCP::Backend->start(port('introspection_backend'));
my $mark = log_mark();
sub get { my ($location, $token) = @_; http(introspection => GET => "/$location", token => $token) }
sub active { $as->active(aud => "https://mcp.test/$_[0]") }
sub calls { my @calls = $as->calls("/$_[0]"); return map { $_->{at} } @calls }
sub count { scalar(my @calls = calls($_[0])) }

# --- three failures in a row, then longer and longer pauses
{
    my $calm = $as->active(aud => 'https://mcp.test/answers');
    $as->set('/open', status => '500 Oops');
    untouched($backend, 'R11 a failing server', sub {
        unavailable(get(open => opaque()), 'R11 a failure') for 1 .. 3;
        is count('open'), 3, 'R11 each is a call';
        my $deadline = time + 60;
        my (@wrong, $asked);
        while (count('open') < 6 && time < $deadline) {
            my @codes = statuses_of(introspection => '/open', map { opaque() } 1 .. 3);    # by several processes
            push @wrong, grep { $_ != 503 } @codes;
            $asked += @codes;
            sleep 0.05;
        }
        cmp_ok $asked, '>', 20, 'R11 many requests later';
        is_deeply \@wrong, [], 'R11 which are all 503';
    });
    my @at = calls('open');
    is scalar(@at), 6, 'R11 there were three further calls';
    my @pauses = map { $at[$_] - $at[ $_ - 1 ] } 3 .. $#at;
    cmp_ok $pauses[0], '>=', 0.95, 'R11 open for 1 s';
    cmp_ok $pauses[1], '>=', 1.95, 'R11 then for 2 s';
    cmp_ok $pauses[2], '>=', 3.95, 'R11 then for 4 s';
    unavailable(get(open => opaque()), 'R11 open: 503 that says when to come again');
    is get(answers => $calm)->{code}, 200, 'R11 another authorization server is asked meanwhile';

    # It recovers, and is trusted again.
    $as->unset('/open');
    my $token = active('open');
    ok wait_for(30, sub { get(open => $token)->{code} == 200 }), 'R11 it works again: closed';
    @at = calls('open');
    cmp_ok $at[-1] - $at[-2], '>=', 7.95, 'R11 not before 8 s were over';
    is_deeply [statuses_of(introspection => '/open', map { active('open') } 1 .. 6)], [(200) x 6], 'R11 for all';
    $as->set('/open', status => '500 Oops');
    unavailable(get(open => opaque()), 'R11 a failure after that');
    $as->unset('/open');
    is get(open => active('open'))->{code}, 200, 'R11 is the first again';
}

# --- only failures in a row count
{
    my $n = count('row');
    for my $round (1, 2) {
        $as->set('/row', status => '500 Oops');
        unavailable(get(row => opaque()), "R11 round $round, failure $_") for 1, 2;
        $as->unset('/row');
        is get(row => active('row'))->{code}, 200, "R11 round $round, success";
    }
    is count('row') - $n, 6, 'R11 two failures do not open it';
    inactive(get(row => opaque()), 'token-inactive', "R11 inactive token $_") for 1 .. 5;
    is get(row => active('row'))->{code}, 200, 'R11 inactive tokens are no failures';
    is count('row') - $n, 12, 'R11 each of them is a call';
    is get(row => active('row'))->{code}, 200, 'R11 nor are tokens of somebody else' for map { get(row => active('other')) } 1 .. 3;
}

# --- Retry-After
sub paused {
    my ($location, $least, @rule) = @_;
    my $name = "R11 $rule[1], Retry-After: $rule[3][1]";
    $as->set("/$location", @rule);
    my $began = time;
    my $first = get($location => opaque());
    unavailable($first, "$name: 503");
    $as->unset("/$location");
    my $token = active($location);
    my @codes = statuses_of(introspection => "/$location", map { active($location) } 1 .. 6);
    if (time - $began < $least) {
        is_deeply \@codes, [(503) x 6], "$name: open at once";
        is count($location), 1, "$name: without a call";
    }
    return ($name, $first, $token);
}
{
    my ($name, $first, $token) = paused(after => 3.9, status => '503 Busy', headers => ['Retry-After', '4']);
    ok wait_for(30, sub { get(after => $token)->{code} == 200 }), "$name: closed in the end";
    my @at = calls('after');
    cmp_ok $at[1] - $at[0], '>=', 3.95, "$name: after that time";
}
{
    my $until = now() + 5;
    my ($name, $first, $token) = paused(date => 2.9, status => '429 Too Many', headers => ['Retry-After', HTTP::Date::time2str($until)]);
    ok wait_for(30, sub { get(date => $token)->{code} == 200 }), "$name: closed in the end";
    my @at = calls('date');
    cmp_ok $at[1], '>=', $until - 1.05, "$name: after that time";    # it is told in whole seconds
}
{
    my ($name, $first) = paused(long => 20, status => '503 Busy', headers => ['Retry-After', '86400']);
    cmp_ok header($first, 'Retry-After'), '<=', 60, "$name: 60 s at most";
}
# What is no time is none: the next request is a call.
for my $value ('soon', '-5', '4x', '') {
    $as->set('/row', status => '503 Busy', headers => ['Retry-After', $value]);
    unavailable(get(row => opaque()), "R11 Retry-After: '$value': 503");
    $as->unset('/row');
    is get(row => active('row'))->{code}, 200, "R11 Retry-After: '$value': not open";
}

unlogged('O02 no token in the error log', log_since($mark));
no_crash($mark);
done_testing;
