# Which servers take each other's DPoP nonces: those with the same McpOAuthSessionKey. requirements.md POP-5 (RFC 9449 section 9).
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Httpd;
use MCP::Proof;

my ($port, $url) = (port('bound_httpd'), 'https://mcp.test/m');
my %files = map {
    my $file = File::Temp->new(DIR => vars('t_dir'));
    print $file "the secret of $_, which has more than thirty-two bytes\n";
    close $file;
    ($_ => $file);
} qw(one another);

sub conf {
    my ($key) = @_;
    my $line = $key ? "McpOAuthSessionKey file:$files{$key}" : '';
    return <<END;
Header always set X-Env "%{MCP_OAUTH_DECISION}e|%{MCP_OAUTH_REASON}e"
$line
<McpOAuthIssuer "https://as.test">
    McpOAuthJwks "file:@{[made('as.json')]}"
</McpOAuthIssuer>
<Location "/m">
    McpOAuthIssuer https://as.test
    McpOAuthDPoPNonce On
</Location>
END
}

my $token = bound(aud => $url);
sub ask { my ($nonce) = @_; dpop($port, GET => '/m', $token, proof => { nonce => $nonce }) }
sub given { header(ask(undef), 'DPoP-Nonce') // 'none' }

# Another start is another server: nothing of the one before is left.
my $httpd;
sub server { undef $httpd; $httpd = MCP::Httpd->start($port, conf => conf(@_)) }

server('one');
my $nonce = given();
is_status(ask($nonce), 200, 'POP-5 a nonce of a server with a key');
server('one');
is_status(ask($nonce), 200, 'POP-5 another server with the same key takes it');
my $flipped = $nonce;
substr($flipped, -3, 1) = substr($flipped, -3, 1) eq 'A' ? 'Q' : 'A';
refuses_dpop(ask($flipped), 'dpop-nonce', 'POP-5 but not one that nobody has given');
server('another');
refuses_dpop(ask($nonce), 'dpop-nonce', 'POP-5 one with another key does not');
is_status(ask(given()), 200, 'POP-5 it has its own');
server();
refuses_dpop(ask($nonce), 'dpop-nonce', 'POP-5 nor does one without a key');
my $own = given();
is_status(ask($own), 200, 'POP-5 which has its own, too');
server();
refuses_dpop(ask($own), 'dpop-nonce', 'POP-5 and of another one without a key nobody knows any');

done_testing;
