# No descriptor is left for a fetch: threats.md R17.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::AuthServer;
use MCP::Httpd;
use Time::HiRes qw(time sleep);

my $where = port('machine_httpd');
my $server = MCP::AuthServer->start(port('machine_as'))->keys('/jwks', jwks_text([ec256 => '--kid', 'one']));
my $httpd = MCP::Httpd->start($where, conf => <<END);
<McpOAuthIssuer "https://full.test">
    McpOAuthJwks @{[$server->url('/jwks')]}
    McpOAuthKeyRefresh 1s 1s
</McpOAuthIssuer>
<Location "/m">
    McpOAuthIssuer https://full.test
</Location>
END
my %key = (one => 'ec256', two => 'ec256_b');
sub t { my $name = shift; token(iss => 'https://full.test', aud => 'https://mcp.test/m', -key => $key{$name}, -kid => $name) }
ok settles(30, 200, sub { status_of($where, '/m', t('one')) }), 'keys are there';

# Connections that are open already need no descriptor more; a child that cannot accept one is replaced by httpd itself.
my @open = map { connection($where) } 1 .. 2;
sub asked { my $token = shift; map { http($where, GET => '/m', token => $token, on => $_)->{code} } @open }
is_deeply [asked(t('one'))], [200, 200], 'they work';

# The lowest descriptor that is free is the first that is forbidden.
my @pids = $httpd->children;
# Under worker an open connection takes a thread, and httpd may start a child more.
sub remaining { my %now = map { $_ => 1 } $httpd->children; grep { $now{$_} } @pids }
my %was = map { $_ => $httpd->limit($_, nofile => $httpd->free_descriptor($_)) } @pids;
$server->keys('/jwks', jwks_text([ec256_b => '--kid', 'two']));
ok wait_for(30, sub { $httpd->lines(qr/MCP0311/) }), 'R17 no descriptor is left: the log says that keys are not refreshed';
my $count = $server->count;
my $until = time + 3;
while (time < $until) {
    is_deeply [asked(t('one'))], [200, 200], 'R17 requests are served with the keys of before';
    sleep 0.5;
}
is $server->count, $count, 'R17 though nothing can be fetched';
is scalar($httpd->lines(qr/MCP0311/)), 1, 'R17 one line, not one per attempt';
is_deeply [remaining()], \@pids, 'R17 no child ended';

$httpd->limit($_, nofile => $was{$_}) for @pids;
ok settles(30, 200, sub { status_of($where, '/m', t('two')) }), 'R17 descriptors are there again: so are the new keys';
is_deeply [asked(t('two'))], [200, 200], 'R17 also on the connections of before';
is_deeply [remaining()], \@pids, 'R17 of the same children';
unlike $httpd->log, qr/exit signal|AddressSanitizer|runtime error:/, 'no child died';

done_testing;
