# The authorization server hangs: threats.md R11. Some workers wait for it, never all of them.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use IO::Select ();
use MCP::Test;
use MCP::Backend;
use MCP::Children;
use MCP::Gate;
use MCP::Introspection;
use Time::HiRes qw(time sleep);

my $as = MCP::Introspection->start(port('introspection_as'));
my $backend = MCP::Backend->start(port('introspection_backend'));
my $mark = log_mark();
my ($workers) = workers();
my $most = $workers * 3 / 4;
sub get { my ($location, $token) = @_; http(introspection => GET => "/$location", token => $token) }
sub active { $as->active(aud => "https://mcp.test/$_[0]") }
sub calls { scalar(my @calls = $as->calls('/slow')) }

my $known = active('answers');
is get(answers => $known)->{code}, 200, 'a token that was seen before';
my $local = token(aud => 'https://mcp.test/local');

# What has been answered is read and closed at once: a process of prefork does not go on before.
$as->set('/slow', hang => 1);
my @waiting = map { send_request(introspection => GET => '/slow', token => opaque(), timeout => 40) } 1 .. 2 * $workers;
my @refused;
sub look {
    my @open;
    for my $c (@waiting) {
        if (!IO::Select->new($c->{sock})->can_read(0)) { push @open, $c; next }
        push @refused, $c->answer('GET');
        $c->close;
    }
    @waiting = @open;
    return @refused;
}
ok wait_for(20, sub { calls() + look() >= 2 * $workers }, 0.05), 'R11 each is asked about, or answered';
my $calls = calls();
cmp_ok $calls, '>', 0, 'R11 some wait for the server that hangs';
cmp_ok $calls, '<=', $most, "R11 no more than $most of $workers workers";
is scalar(@waiting), $calls, 'R11 the others have been answered';
is_deeply [grep { $_->{code} != 503 || (header($_, 'Retry-After') // '') ne '1' } @refused], [], 'R11 with 503 that says to come again in a second';

# While they wait:
is get(local => $local)->{code}, 200, 'R11 meanwhile a JWT is verified' for 1 .. 3;
is get(answers => $known)->{code}, 200, 'R11 meanwhile a token that was seen before is good' for 1 .. 3;
is http(default => GET => '/index.html')->{code}, 200, 'R11 meanwhile other places answer';
unavailable(get(slow => opaque()), 'R11 who would be one too many: 503') if $calls == $most;
is scalar(look()), 2 * $workers - $calls, 'R11 and all of that was while they waited';

# Then time is over.
my @codes = map { my $r = $_->answer('GET'); $_->close; $r } @waiting;
is_deeply [grep { $_->{code} != 503 } @codes], [], 'R11 who waited is told that there is no answer';
is_deeply [grep { !header($_, 'Retry-After') } @codes], [], 'R11 and when to come again';
cmp_ok calls(), '<=', 2 * $most, 'R11 and whoever came after them was not let wait for long';

$as->unset('/slow');
my $token = active('slow');
ok wait_for(60, sub { get(slow => $token)->{code} == 200 }), 'R11 it answers again: closed';

unlogged('O02 no token in the error log', log_since($mark));
no_crash($mark);
done_testing;
