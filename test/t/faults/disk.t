# Nothing can be written any more: threats.md R16. The key store is full or gone, the program that writes the log has died, the
# log's file system is full. Requests are served.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::AuthServer;
use MCP::Httpd;
use Time::HiRes qw(time sleep);

my $where = port('machine_httpd');
my $server = MCP::AuthServer->start(port('machine_as'))->keys('/jwks', jwks_text([ec256 => '--kid', 'one']));
my $conf = <<END;
McpOAuthKeyStore store
<McpOAuthIssuer "https://disk.test">
    McpOAuthJwks @{[$server->url('/jwks')]}
    McpOAuthKeyRefresh 1s 1s
</McpOAuthIssuer>
<Location "/m">
    McpOAuthIssuer https://disk.test
</Location>
END
sub t { token(iss => 'https://disk.test', aud => 'https://mcp.test/m', -key => 'ec256', -kid => 'one') }
sub code { status_of($where, '/m', t()) }
sub fetched { my $n = $server->count + shift; wait_for(30, sub { $server->count >= $n }) }

# The log goes through a pipe: a limit on files is none on it. Its lines are long, for the end of this test.
my $long = '.' x 1500;
my $httpd = MCP::Httpd->start($where, logger => 1, conf => "ErrorLogFormat \"[%t] [%-m:%l] %M $long\"\n$conf");
my $store = "$httpd->{dir}/store";
sub complaints { scalar($httpd->lines(qr/MCP0317/)) }
sub stored { map { [$_, slurp($_)] } sort grep { -f } glob "$store/* $store/.[!.]*" }
sub written { (map { (stat)[9] . ' ' . (stat _)[1] } map { $_->[0] } stored())[0] // '' }
ok settles(30, 200, sub { code() }), 'keys are there';
my @before;
ok wait_for(30, sub { @before = stored(); @before == 1 }), 'and stored';
my @pids = $httpd->children;

# What serves on while the store cannot be written, says so once, and writes again when it can.
my $said = 0;
sub outage {
    my ($what, $begin, $end) = @_;
    $begin->();
    ok wait_for(30, sub { complaints() > $said }), "R16 $what: the log says so";
    ok fetched(2), "R16 $what: keys are refreshed";
    is code(), 200, "R16 $what: requests are served";
    is complaints(), ++$said, "R16 $what: one line, not one per refresh";
    $end->();
    my $before = written();
    ok wait_for(30, sub { my $now = written(); $now && $now ne $before }), "R16 $what: when it can, it is written again";
    is complaints(), $said, "R16 $what: without a word";
}

my %was;
outage('no space in the key store',
    sub { $was{$_} = $httpd->limit($_, fsize => 1) for @pids },
    sub {
        my $after;
        ok wait_for(30, sub { my @after = stored(); $after = $after[0]; @after == 1 && $after->[0] eq $before[0][0] }),
            'R16 no space in the key store: no file is left half-written';
        ok eval { json($after->[1]) }, 'R16 no space in the key store: the old file is whole';
        $httpd->limit($_, fsize => $was{$_}) for @pids;
    });
outage('the key store is gone', sub { rename $store, "$store.away" or die $! }, sub { rename "$store.away", $store or die $! });
is_deeply [$httpd->children], \@pids, 'R16 no child ended';

# Who writes the log dies, and then there is more to write than a pipe holds (64 KiB).
my $logger = $httpd->logger;
ok $logger, 'the log has a writer';
kill KILL => $logger if $logger;
my ($slowest, $slow) = (0, 0);
my %codes;
for (1 .. 150) {
    my $r = http($where, GET => '/m', token => $_ % 2 ? t() : 'x' x 2000);
    $codes{ $r->{code} }++;
    $slowest = $r->{seconds} if $r->{seconds} > $slowest;
    $slow++ if $r->{seconds} >= 3;
}
is_deeply \%codes, { 200 => 75, 401 => 75 }, 'R16 the writer of the log is dead: requests are served';
cmp_ok $slowest, '<', 12, 'R16 and nobody waits for it';
cmp_ok $slow, '<=', 2, 'R16 nor for a moment';    # but when all stands still
ok fetched(2), 'R16 keys are refreshed';
is_deeply [$httpd->children], \@pids, 'R16 no child ended';
$httpd->down;

# Not one byte of any log can be written.
my $full = MCP::Httpd->start($where, conf => "CustomLog /dev/full common\n$conf", error_log => '/dev/full');
@pids = $full->children;
ok settles(30, 200, sub { code() }), 'R16 no space for logs: keys are fetched, requests are served';
is_deeply [statuses_of($where, '/m', 'x.y.z', t())], [401, 200], 'R16 no space for logs: bad tokens are refused';
ok fetched(2), 'R16 no space for logs: keys are refreshed';
is_deeply [$full->children], \@pids, 'R16 no child ended';

done_testing;
