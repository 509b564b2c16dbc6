# Counts over the lives of processes: killed children, graceful restarts, children that end by themselves. Threats.md R12, R13.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Httpd;
use MCP::Status;

my $where = port('machine_httpd');
my $keys = made('as.json');

sub conf {
    my (%opt) = @_;
    my @more = map { ("<Location \"/$_\">", 'McpOAuth On', 'McpOAuthIssuer https://as.test', "McpOAuthResource https://mcp.test/$_", 'SetHandler server-status', $_ eq 'raw' ? 'McpOAuthInspect Off' : (), '</Location>') }
        qw(g), @{ $opt{more} || [] };
    return join "\n", $opt{server} // '', '<McpOAuthIssuer "https://as.test">', "McpOAuthJwks \"file:$keys\"", '</McpOAuthIssuer>', '<Location "/m">', 'McpOAuthIssuer https://as.test', '</Location>', @more,
        '<Location "/status">', 'SetHandler mcp-oauth-status', '</Location>', '';
}
my $httpd = MCP::Httpd->start($where, conf => conf());
sub setup { $httpd->{conf} = conf(@_); write_file("$httpd->{dir}/httpd.conf", $httpd->configuration) }
sub said { scalar(my @lines = $httpd->lines($_[0])) }
# Children that died by themselves. Not while httpd stops: mod_mpm_event may then look at a socket that its thread has just closed.
my ($heard, @died) = (0);
sub listen_for_deaths { my $log = $httpd->log; push @died, grep { /AddressSanitizer|runtime error:|exit signal (?!Killed)/ } split /\n/, substr $log, $heard; $heard = length $log }
sub stop { listen_for_deaths(); $httpd->down; $heard = length $httpd->log }
sub graceful {
    my ($name, $while) = @_;
    my %old = map { $_ => 1 } $httpd->children;
    my $before = said(qr/resuming normal operations/);
    kill USR1 => $httpd->{pid};
    $while->() if $while;
    return ok wait_for(30, sub { said(qr/resuming normal operations/) > $before && !grep { $old{$_} } $httpd->children }), "$name: httpd has restarted gracefully";
}
my $t = token(aud => 'https://mcp.test/m');
my $processes = vars('mcp_mpm') eq 'prefork' ? 4 : 2;
sub requests { my $n = shift; map { statuses_of($where, '/m', ($t) x 10) } 1 .. $n / 10 }
sub allowed { (tallies(report($where)))->{'m allow'} // 0 }
my $least = 0;
sub never_down { my $n = allowed(); my $was = $least; $least = $n if $n > $least; return $n >= $was }

# --- several processes
my $started = report($where)->{started};
counted($where, { 'm allow' => 60 }, sub { is_deeply [grep { $_ != 200 } requests(60)], [], 'R13 60 requests' }, 'R13 60 requests are counted, by whichever process');
ok wait_for(30, sub { report($where)->{processes} == $processes }), "R13 there are $processes processes" or diag report($where)->{processes};
{
    my %seen = map { json_text(tallies(report($where))) => 1 } 1 .. 20;
    is keys %seen, 1, 'R13 every process shows the same';
}
ok never_down(), 'R13 the count to begin with';

# --- a child is killed
for my $round (1 .. 3) {
    my ($victim) = $httpd->children;
    counted($where, {}, sub {
        kill KILL => $victim;
        my $down = 0;
        ok wait_for(30, sub { $down++ unless eval { never_down() } // 1; !grep { $_ == $victim } $httpd->children }), "R13 child killed, $round";
        is $down, 0, "R13 the count never goes down, $round";
    }, "R13 what a killed child had counted stays, $round");
    counted($where, { 'm allow' => 20 }, sub { requests(20) }, "R13 and counting goes on, $round");
}
{
    my %old = map { $_ => 1 } $httpd->children;
    counted($where, {}, sub {
        kill KILL => keys %old;
        ok wait_for(30, sub { my @now = $httpd->children; @now >= 1 && !grep { $old{$_} } @now }),
            'R13 all children are killed';
        ok wait_for(30, sub { eval { never_down() } }), 'R13 others come';
    }, 'R13 and know what has been counted');
    counted($where, { 'm allow' => 20, 'm deny credentials-missing' => 1 }, sub { requests(20); http($where, GET => '/m') }, 'R13 and count on');
    ok wait_for(30, sub { report($where)->{processes} == scalar(my @all = $httpd->children) }), 'R13 processes: those that live' or diag report($where)->{processes}, ' ', join ' ', $httpd->children;
}

# --- graceful restarts
for my $round (1 .. 3) {
    counted($where, { 'm allow' => 10 }, sub {
        graceful("R12 $round");
        my $down = 0;
        requests(10);
    }, "R12 counts outlast a graceful restart, $round");
    ok never_down(), "R12 and never go down, $round";
}
is report($where)->{started}, $started, 'R12 since the same time';
{
    # A request of the old generation that ends after the restart. One: an old child keeps its place, and there are two.
    my $g = token(aud => 'https://mcp.test/g');
    my @asked = map { my $c = open_request($where, POST => '/g', token => $g, length => 20, headers => ['Content-Type', 'application/json']); $c->data('{"json'); $c } 1;
    wait_for(0.5, sub { 0 });
    counted($where, { 'g deny json-syntax' => 1, 'm allow' => 10 }, sub {
        my $before = said(qr/resuming normal operations/);
        kill USR1 => $httpd->{pid};
        ok wait_for(30, sub { said(qr/resuming normal operations/) > $before }), 'R12 a restart while a request is open';
        requests(10);
        $_->data('rpc":"2.0"x}xx') for @asked;
        is_deeply [map { $_->answer('POST')->{code} } @asked], [400], 'R12 it is answered by the old child';
    }, 'R12 what an old child counts after the restart is not lost');
}
{
    # In the midst of restarts: what was answered is counted, once.
    my ($before, $answered, $now) = (allowed(), 0);
    for (1 .. 4) { kill USR1 => $httpd->{pid}; $answered += grep { $_ == 200 } requests(10) }
    cmp_ok $answered, '>=', 30, 'R12 requests in the midst of restarts';
    ok wait_for(30, sub { $now = allowed() - $before; $now == $answered }), 'R12 are counted once' or diag "$answered answered, $now counted";
}
wait_for(30, sub { $httpd->listens });
ok never_down(), 'R12 the count never went down';

# --- other resources: the pages work, what is there now is counted
setup(more => [qw(aa zz raw)]);
graceful('R12 with other resources');
{
    my $zz = token(aud => ['https://mcp.test/zz', 'https://mcp.test/raw']);
    my $before = tallies(report($where));
    statuses_of($where, '/raw', ($zz) x 10);
    my $now;
    ok wait_for(30, sub { $now = tallies(report($where)); ($now->{'raw allow'} // 0) == 10 }), 'R12 a new resource is counted' or diag json_text($now);
    is $now->{'* allow'} - $before->{'* allow'}, 10, 'R12 and nothing else';
    is $now->{$_} // 0, 0, "R12 $_: no count of another one" for 'aa allow', 'zz allow';
}
stop();

# --- a full restart begins anew
setup();
$httpd->up;
cmp_ok report($where)->{started}, 'gt', $started, 'R12 a full restart: since now';
is allowed(), 0, 'R12 and from zero';

# --- children that come and go, more than there ever are at once
stop();
setup(server => 'MaxConnectionsPerChild 4');
$httpd->up;
my ($sum, %pids) = (0);
for my $round (1 .. 12) {
    $pids{$_} = 1 for $httpd->children;
    my @codes = map { status_of($where, '/m', $t) } 1 .. 10;
    $sum += grep { $_ == 200 } @codes;
}
is $sum, 120, 'R13 children that end after few connections: all requests are answered';
ok wait_for(30, sub { my $n = eval { allowed() } // 0; $n >= $sum }), 'R13 and counted' or diag allowed();
is allowed(), $sum, 'R13 each once';
cmp_ok scalar(keys %pids), '>', 4, 'R13 by many processes' or diag scalar keys %pids;
ok wait_for(30, sub { my $r = eval { report($where) }; $r && $r->{processes} <= 2 * $processes }), 'R13 of which most are gone';
stop();
is_deeply \@died, [], 'no child died by itself';

done_testing;
