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
my (@waiting, @refused);
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
sub ended { map { my $r = $_->answer('GET'); $_->close; $r } @waiting }
sub works_again {
    $as->unset('/slow');
    my $token = active('slow');
    ok wait_for(60, sub { get(slow => $token)->{code} == 200 }), 'R11 it answers again: closed';
}

# They wait for 6 s. All that happens meanwhile must be over by then, or it is done once more.
my ($before, $calls, @local, @known, $page, $more, $looked);
for my $try (1 .. 4) {
    my $start = time;
    ($before, @refused) = (calls());
    $as->set('/slow', hang => 1);
    @waiting = map { send_request(introspection => GET => '/slow', token => opaque(), timeout => 40) } 1 .. 2 * $workers;
    ok wait_for(30, sub { calls() - $before + look() >= 2 * $workers }, 0.05), 'R11 each is asked about, or answered';
    $calls = calls() - $before;
    @local = map { get(local => $local)->{code} } 1 .. 3;
    @known = map { get(answers => $known)->{code} } 1 .. 3;
    $page = http(default => GET => '/index.html')->{code};
    $more = $calls == $most ? get(slow => opaque()) : undef;
    $looked = look();
    last if time - $start < 5.5 || $try == 4;
    ended();
    works_again();
}
cmp_ok $calls, '>', 0, 'R11 some wait for the server that hangs';
cmp_ok $calls, '<=', $most, "R11 no more than $most of $workers workers";
is scalar(@waiting), $calls, 'R11 the others have been answered';
is_deeply [grep { $_->{code} != 503 || (header($_, 'Retry-After') // '') ne '1' } @refused], [], 'R11 with 503 that says to come again in a second';

# While they wait:
is_deeply \@local, [(200) x 3], 'R11 meanwhile a JWT is verified';
is_deeply \@known, [(200) x 3], 'R11 meanwhile a token that was seen before is good';
is $page, 200, 'R11 meanwhile other places answer';
unavailable($more, 'R11 who would be one too many: 503') if $more;
is $looked, 2 * $workers - $calls, 'R11 and all of that was while they waited';

# Then time is over.
my @codes = ended();
is_deeply [grep { $_->{code} != 503 } @codes], [], 'R11 who waited is told that there is no answer';
is_deeply [grep { !header($_, 'Retry-After') } @codes], [], 'R11 and when to come again';
cmp_ok calls() - $before, '<=', 2 * $most, 'R11 and whoever came after them was not let wait for long';

works_again();

unlogged('O02 no token in the error log', log_since($mark));
no_crash($mark);
done_testing;
