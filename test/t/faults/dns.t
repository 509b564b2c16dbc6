# The host of the authorization server moves to another address, and its name fails: threats.md R21.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::AuthServer;
use MCP::Httpd;

my ($port, $where) = (port('machine_as'), port('machine_httpd'));
my %as = (
    old => MCP::AuthServer->start($port)->keys('/jwks', jwks_text([ec256 => '--kid', 'old'])),
    new => MCP::AuthServer->start($port, address => '127.0.0.2')->keys('/jwks', jwks_text([ec256_b => '--kid', 'new'])),
);
my $httpd = MCP::Httpd->start($where, shim => 1, address => 'fail', conf => <<END);
<McpOAuthIssuer "https://moving.test">
    McpOAuthJwks http://as.test:$port/jwks
    McpOAuthAllowHTTP On
    McpOAuthKeyRefresh 1s 1s
    McpOAuthKeyCooldown 1h
</McpOAuthIssuer>
<Location "/m">
    McpOAuthIssuer https://moving.test
</Location>
END
my %key = (old => 'ec256', new => 'ec256_b');
sub t { my $name = shift; token(iss => 'https://moving.test', aud => 'https://mcp.test/m', -key => $key{$name}, -kid => $name) }
sub code { status_of($where, '/m', t($_[0])) }

# A name that fails at the start is tried again.
ok wait_for(30, sub { $httpd->lines(qr/MCP0311.*as\.test/) }), 'R21 the name cannot be resolved: the log says so';
is code('old'), 503, 'R21 without keys no verdict';
$httpd->resolve('127.0.0.1');
ok settles(30, 200, sub { code('old') }), 'R21 then it can: keys are there';
is code('new'), 401, 'R21 a key of the other server is not';

$httpd->resolve('127.0.0.2');
ok settles(30, 200, sub { code('new') }), 'R21 the name has another address: its keys are found by a refresh';
my $asked = $as{old}->count;
is code('old'), 401, 'R21 the keys of the old one are gone';

$httpd->resolve('fail');
my $before = $httpd->lines(qr/MCP0311/);
ok wait_for(30, sub { $httpd->lines(qr/MCP0311/) > $before }), 'R21 the name fails again: the log says so';
my $count = $as{new}->count;
is code('new'), 200, 'R21 the keys stay';
Time::HiRes::sleep(2);
is code('new'), 200, 'R21 and stay';
is $as{new}->count, $count, 'R21 though nothing was fetched';
is scalar($httpd->lines(qr/MCP0311/)), $before + 1, 'R21 one line, not one per attempt';
is $as{old}->count, $asked, 'R21 and no address of before is used';

$httpd->resolve('127.0.0.1');
ok settles(30, 200, sub { code('old') }), 'R21 it works again: the keys of the address that counts now';
unlike $httpd->log, qr/exit signal|AddressSanitizer|runtime error:/, 'no child died';

done_testing;
