# Many clients with one token: threats.md R10. One call per process, and one for all of them where they share a cache.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Httpd;
use MCP::Introspection;
use Time::HiRes qw(time sleep);

my $as = MCP::Introspection->start(port('introspection_as'));
my $where = port('cache_httpd');
my $secret = 'herd-secret-0123456789';
my $log = '';

sub conf {
    my $cache = shift;
    return <<END;
$cache
LogFormat "%P %>s %{X-Ask}i" processes
CustomLog processes processes
Header always set X-User "expr=%{REMOTE_USER}"
Header always set X-Env "%{MCP_OAUTH_SUB}e|%{MCP_OAUTH_DECISION}e|%{MCP_OAUTH_REASON}e"
<McpOAuthIssuer "https://herd.test">
    McpOAuthJwks none
    McpOAuthIntrospection @{[$as->url('/herd')]}
    McpOAuthIntrospectionAuth client_secret_post
    McpOAuthClientId gateway
    McpOAuthClientSecret env:HERD_SECRET
</McpOAuthIssuer>
<Location "/m">
    McpOAuthIssuer https://herd.test
</Location>
END
}
local $ENV{HERD_SECRET} = $secret;
my $httpd;
sub active { $as->active(aud => 'https://mcp.test/m', sub => 'alice', @_) }
sub asked { scalar(my @calls = $as->asked($_[0])) }
my $serial = 0;

# Each is closed as soon as it is read: a process of prefork does not go on before.
sub answers { map { my $r = $_->answer('GET'); $_->close; $r } @_ }

# N requests with this token at the same time. ({ status => how many }, the pids that served them)
sub herd {
    my ($n, $token) = @_;
    my $tag = join '-', $$, ++$serial;
    my @asked = map { send_request($where, GET => '/m', token => $token, headers => ['X-Ask', $tag], timeout => 40) } 1 .. $n;
    my (%codes, @odd);
    for my $r (answers(@asked)) {
        $codes{ $r->{code} }++;
        push @odd, $r if $r->{code} == 503 ? (header($r, 'Retry-After') // '') ne '1' : $r->{code} != 200;
    }
    ok !@odd, 'R10 all are good, or told to come again in a second' or diag map { $_->{raw_head} } @odd;
    my @lines;
    wait_for(30, sub { @lines = grep { $_->[2] eq $tag } map { [split] } split /\n/, slurp("$httpd->{dir}/processes"); @lines == $n })
        or die "requests are missing in the log\n";
    my %pids = map { $_->[0] => 1 } @lines;
    return (\%codes, keys %pids);
}

# Small herds until several processes have served the token: (calls, processes).
sub spread {
    my $token = shift;
    my %seen;
    wait_for(30, sub { my ($codes, @pids) = herd(6, $token); $seen{$_} = 1 for @pids; keys %seen >= 2 });
    return (asked($token), scalar keys %seen);
}

for my $cache ('none', 'shmcb') {
    $httpd = MCP::Httpd->start($where, conf => conf("McpOAuthSharedCache $cache"));
    my $children = $httpd->children;

    my $slow = active(-delay => 1);
    my ($codes, @pids) = herd(60, $slow);
    cmp_ok $codes->{200} // 0, '>', 0, "R10 $cache: a herd of 60: good";
    cmp_ok asked($slow), '<=', $children, "R10 $cache: one call per process at most";
    cmp_ok asked($slow), '>', 0, "R10 $cache: and one at least";
    ($codes) = herd(60, $slow);
    is_deeply $codes, { 200 => 60 }, "R10 $cache: the next herd: all are good";
    cmp_ok asked($slow), '<=', $children, "R10 $cache: nobody is asked again";

    # The same at the end of its time: a token that nobody knows.
    my $bad = opaque();
    my @codes = map { $_->{code} } answers(map { send_request($where, GET => '/m', token => $bad, timeout => 40) } 1 .. 30);
    is_deeply [grep { $_ != 401 && $_ != 503 } @codes], [], "R10 $cache: a herd with a bad token";
    cmp_ok asked($bad), '<=', $children, "R10 $cache: one call per process at most";

    my $token = active();
    is http($where, GET => '/m', token => $token)->{code}, 200, "R10 $cache: a token, first in one process";
    is asked($token), 1, "R10 $cache: one call";
    my ($calls, $processes) = spread($token);
    cmp_ok $processes, '>=', 2, "R10 $cache: then in others";
    if ($cache eq 'none') { cmp_ok $calls, '>=', 2, 'R10 none: each process asks for itself' }
    else                  { is $calls, 1, 'R10 shmcb: what one process knows the others know' }

    # A refusal is shared as well.
    my $unknown = opaque();
    is http($where, GET => '/m', token => $unknown)->{code}, 401, "R10 $cache: a bad token";
    $as->active(-token => $unknown, aud => 'https://mcp.test/m');
    is_deeply [statuses_of($where, '/m', ($unknown) x 6)], [(401) x 6], 'R10 shmcb: is bad in each process' if $cache eq 'shmcb';

    $log = $httpd->log;
    unlike $log, qr/exit signal|AddressSanitizer|runtime error:/, "$cache: no child died";
    unlogged("O02 $cache: no token and no secret in the log", $log, $secret);
    $httpd->down;
}
done_testing;
