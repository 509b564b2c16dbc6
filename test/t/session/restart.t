# The key of session ids over restarts, McpOAuthSessionKey: requirements.md TRN-14, threats.md S04, R12.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Stream;
use MCP::Httpd;
use MCP::Gate;

my $where = port('machine_httpd');
my $backend = MCP::Stream->start(port('revision_backend'));
my $keys = made('as.json');

sub conf {
    my ($server) = @_;
    return <<END;
$server
<McpOAuthIssuer "https://as.test">
    McpOAuthJwks "file:$keys"
</McpOAuthIssuer>
<Location "/m">
    McpOAuthIssuer https://as.test
</Location>
<Location "/s">
    McpOAuth On
    McpOAuthIssuer https://as.test
    McpOAuthResource https://mcp.test/s
    McpOAuthSessionBinding On
    ProxyPass $backend->{url}/s disablereuse=on retry=0
</Location>
END
}
$backend->{url} = 'http://127.0.0.1:' . port('revision_backend');
my $token = token(aud => 'https://mcp.test/s');
sub begin {
    $backend->answers('/s/begin', '200 OK', ['Content-Type', 'application/json', 'Mcp-Session-Id', 's-1'], '{"jsonrpc":"2.0","id":1,"result":{}}');
    return header(rpc($where, '/s/begin', 'initialize', {}, token => $token), 'Mcp-Session-Id') // '';
}
sub code { http($where, GET => '/s/x', token => $token, headers => ['Mcp-Session-Id' => $_[0]])->{code} }

my $httpd = MCP::Httpd->start($where, conf => conf(''));
sub setup { $httpd->{conf} = conf(@_); write_file("$httpd->{dir}/httpd.conf", $httpd->configuration) }
sub graceful {
    my %old = map { $_ => 1 } $httpd->children;
    my $before = $httpd->lines(qr/resuming normal operations/);
    kill USR1 => $httpd->{pid};
    return ok wait_for(30, sub { $httpd->lines(qr/resuming normal operations/) > $before && !grep { $old{$_} } $httpd->children }), "$_[0]: httpd has restarted gracefully";
}
sub again { $httpd->down; $httpd->up }

# --- the key that httpd makes
my $first = begin();
like $first, qr/^s-1\../, 'TRN-14 a session';
is code($first), 200, 'TRN-14 is known';
for (1 .. 3) {
    graceful('R12');
    is code($first), 200, 'TRN-14 R12 is known after a graceful restart';
    is begin(), $first, 'S04 R12 and has the same id';
}
again();
is code($first), 404, 'TRN-14 another start has another key, unless one is configured';
isnt begin(), $first, 'TRN-14 and other ids';

# --- one that is given
my $secret = 'a secret of thirty-two bytes or more, for the ids of sessions';
write_file("$httpd->{dir}/key", "$secret\n");
chmod 0600, "$httpd->{dir}/key";
setup("McpOAuthSessionKey file:$httpd->{dir}/key");
again();
my $filed = begin();
is code($filed), 200, 'McpOAuthSessionKey file: a session';
is code($first), 404, 'McpOAuthSessionKey file: not one of another key';
again();
is code($filed), 200, 'McpOAuthSessionKey file: known after a full restart';
graceful('McpOAuthSessionKey file');
is code($filed), 200, 'McpOAuthSessionKey file: and after a graceful one';
{
    local $ENV{MCP_TEST_SESSION_KEY} = $secret;
    setup('McpOAuthSessionKey env:MCP_TEST_SESSION_KEY');
    again();
    my $id = begin();
    is code($id), 200, 'McpOAuthSessionKey env: a session';
    again();
    is code($id), 200, 'McpOAuthSessionKey env: known after a full restart';
    local $ENV{MCP_TEST_SESSION_KEY} = "$secret!";
    again();
    is code($id), 404, 'McpOAuthSessionKey env: another secret, another key';
}
unlike $httpd->log, qr/\Q$secret\E/, 'O02 the secret is in no log';
$httpd->down;
done_testing;
