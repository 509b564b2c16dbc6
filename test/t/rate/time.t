# McpOAuthRateLimit over time, processes and restarts. Nothing here depends on how fast the machine is: from a bucket of N that fills in
# D, no more than N + elapsed * N / D ever pass. Threats.md R12, R13.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Httpd;
use MCP::Rate;
use Time::HiRes qw(time);

my $backend = MCP::Backend->start(port('rate_backend'));
my $mark = log_mark();
my $where = 'rate';
sub get { my ($path, $t, %opt) = @_; http($where, GET => $path, token => $t, %opt) }

# --- it refills, evenly
for (['/fast', 4, 2], ['/second', 2, 1], ['/slow', 1, 3]) {
    my ($path, $n, $d) = @$_;
    my $t = user();
    my $begin = time;
    my ($passed, $refused, $over, @late) = (0, 0, 0);
    my $deadline = $begin + ($d < 1 ? 3 : 3 * $d);
    while (time < $deadline || $passed < $n + 2 || !$refused) {
        last if time > $begin + 40;
        my $r = get($path, $t);
        if ($r->{code} == 200) { $passed++; $over++ if $passed > $n + (time - $begin) * $n / $d + 0.001 }
        elsif ($r->{code} == 429) { $refused++; push @late, retry_after($r, $d > 1 ? int($d / $n) + 1 : 1) }
        wait_for(0.02, sub { 0 });
    }
    is $over, 0, "$path: never more than the bucket holds and what has come since" or diag "$passed in ", time - $begin;
    cmp_ok $passed, '>=', $n + 2, "$path: it refills";
    cmp_ok $refused, '>', 0, "$path: some were refused";
    is_deeply [grep { $_ } @late], [], "$path: Retry-After is no longer than one takes to come";
}
{
    # Whoever waits as long as was said gets through.
    my $t = user();
    is get('/slow', $t)->{code}, 200, 'Retry-After: the first';
    my $r = get('/slow', $t);
    if ($r->{code} == 429) {
        my $seconds = header($r, 'Retry-After');
        cmp_ok $seconds, '<=', 3, 'Retry-After: at most three seconds';
        my $until = time + $seconds;
        wait_for($seconds + 1, sub { time >= $until }, 0.02);
        is get('/slow', $t)->{code}, 200, 'Retry-After: after that time it passes';
    }
    else { pass 'Retry-After: the machine was slower than the limit' }
    # After a pause the bucket is full, and holds no more than N.
    my $u = user();
    get('/fast', $u) for 1 .. 4;
    wait_for(3.5, sub { 0 });
    my $begin = time;
    my $passed = grep { $_->{code} == 200 } map { get('/fast', $u) } 1 .. 12;
    cmp_ok $passed, '>=', 4, 'after a pause N pass at once';
    cmp_ok $passed, '<=', 4 + (time - $begin) * 2 + 0.001, 'and no more, however long it was';
}

# --- many connections, all processes
for my $round (1 .. 2) {
    my $t = user();
    $backend->clear;
    my @codes = (get('/many', $t)->{code}, map { statuses_of($where, '/many', ($t) x 16) } 1 .. 4);
    my $passed = grep { $_ == 200 } @codes;
    is $passed, 20, "R13 of 65 requests at once to all processes exactly N pass, $round" or diag "@codes";
    is scalar(grep { $_ == 429 } @codes), 45, "R13 the others are over the limit, $round";
    is scalar(my @seen = $backend->requests), 20, "H08 and the backend has seen N, $round";
}
{
    # Two users at once do not take from each other.
    my @t = map { user() } 1 .. 2;
    get('/many', $_) for @t;
    my @codes = map { statuses_of($where, '/many', (@t) x 8) } 1 .. 4;
    is scalar(grep { $_ == 200 } @codes), 38, 'R13 two users at once: N each';
}
no_crash($mark);

# --- restarts
my $port = port('machine_httpd');
my $keys = made('as.json');
sub conf {
    my ($limit) = @_;
    return <<END;
<McpOAuthIssuer "https://as.test">
    McpOAuthJwks "file:$keys"
</McpOAuthIssuer>
<Location "/m">
    McpOAuthIssuer https://as.test
    McpOAuthAudience https://mcp.test/rate
    $limit
</Location>
<Location "/status">
    SetHandler mcp-oauth-status
</Location>
END
}
my $httpd = MCP::Httpd->start($port, conf => conf('McpOAuthRateLimit 5/1h'));
sub setup { $httpd->{conf} = conf(@_); write_file("$httpd->{dir}/httpd.conf", $httpd->configuration) }
sub said { scalar(my @lines = $httpd->lines($_[0])) }
# Children that died by themselves. Not while httpd stops: mod_mpm_event may then look at a socket that its thread has just closed.
my ($heard, @died) = (0);
sub listen_for_deaths { my $log = $httpd->log; push @died, grep { /AddressSanitizer|runtime error:|exit signal (?!Killed)/ } split /\n/, substr $log, $heard; $heard = length $log }
sub stop { listen_for_deaths(); $httpd->down; $heard = length $httpd->log }
sub graceful {
    my %old = map { $_ => 1 } $httpd->children;
    my $before = said(qr/resuming normal operations/);
    kill USR1 => $httpd->{pid};
    return ok wait_for(30, sub { said(qr/resuming normal operations/) > $before && !grep { $old{$_} } $httpd->children }), "$_[0]: httpd has restarted gracefully";
}
{
    my $t = user();
    is_deeply [map { status_of($port, '/m', $t) } 1 .. 3], [200, 200, 200], 'R12 three of five';
    graceful('R12');
    is_deeply [map { status_of($port, '/m', $t) } 1 .. 3], [200, 200, 429], 'R12 after a graceful restart two are left';
    graceful('R12 again');
    is status_of($port, '/m', $t), 429, 'R12 and none after another one';
    my %old = map { $_ => 1 } $httpd->children;
    kill KILL => keys %old;
    ok wait_for(30, sub { my @now = $httpd->children; @now && !grep { $old{$_} } @now }), 'R13 all children are killed, others come';
    ok wait_for(30, sub { my $code = eval { status_of($port, '/m', $t) }; ($code // 0) == 429 }), 'R13 they know the buckets';
    is status_of($port, '/m', user()), 200, 'R13 a new user passes';
    is status_of($port, '/m', $t), 429, 'R13 the old one does not';
    setup('McpOAuthRateLimit 8/1h');
    graceful('R12 another limit');
    my @codes = map { status_of($port, '/m', $t) } 1 .. 9;
    cmp_ok scalar(grep { $_ == 200 } @codes), '<=', 8, 'R12 another limit: no more than that';
    my $u = user();
    is_deeply [map { status_of($port, '/m', $u) } 1 .. 9], [(200) x 8, 429], 'R12 another limit holds for a new user';
    stop();
    $httpd->up;
    is status_of($port, '/m', $t), 200, 'R12 a full restart forgets';
}
# A killed child in the midst of requests never makes more pass, nor blocks anyone.
{
    setup('McpOAuthRateLimit 30/1h');
    stop();
    $httpd->up;
    my $t = user();
    is status_of($port, '/m', $t), 200, 'R13 the first';
    my $passed = 1;
    for my $round (1 .. 4) {
        my @asked = map { eval { send_request($port, GET => '/m', token => $t) } } 1 .. 12;
        my ($victim) = $httpd->children;
        kill KILL => $victim if $victim;
        $passed += grep { $_ == 200 } map { my $c = $_; eval { $c->answer('GET')->{code} } // 0 } grep { $_ } @asked;
        ok wait_for(30, sub { my @now = $httpd->children; @now && !grep { $_ == $victim } @now }), "R13 a child is killed in the midst of requests, $round";
    }
    cmp_ok $passed, '<=', 30, 'R13 never more than N pass';
    ok wait_for(30, sub { (eval { status_of($port, '/m', $t) } // 0) =~ /^(?:200|429)$/ }), 'R13 and nobody waits for ever';
    ok wait_for(30, sub { (eval { status_of($port, '/m', user()) } // 0) == 200 }), 'R13 others pass';
}
stop();
is_deeply \@died, [], 'no child died by itself';

done_testing;
