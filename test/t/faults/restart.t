# httpd starts again while the authorization server is down, or with other settings. Design 2.5; threats.md R02, R07, R12, R13;
# McpOAuthKeyStore.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::AuthServer;
use MCP::Httpd;
use Time::HiRes qw(time sleep);

my $where = port('machine_httpd');
my $one = jwks_text([ec256 => '--kid', 'one']);
my $server = MCP::AuthServer->start(port('machine_as'))->keys('/jwks', $one);
my $jwks = $server->url('/jwks');

sub conf {
    my ($issuer, $server) = @_;
    return ($server // "McpOAuthKeyStore store\n") . <<END;
<McpOAuthIssuer "https://restart.test">
    McpOAuthJwks $jwks
    $issuer
</McpOAuthIssuer>
<Location "/m">
    McpOAuthIssuer https://restart.test
</Location>
END
}
sub t { my ($kid, $key) = @_; token(iss => 'https://restart.test', aud => 'https://mcp.test/m', -key => $key // 'ec256', -kid => $kid // 'one') }
sub code { status_of($where, '/m', $_[0] // t()) }
# As many at once as can be answered, so that every child has to.
my $many = vars('mcp_mpm') eq 'prefork' ? 4 : 16;
sub codes { my %c; $c{$_}++ for statuses_of($where, '/m', map { t() } 1 .. $many); \%c }

my $httpd = MCP::Httpd->start($where, conf => conf('McpOAuthKeyRefresh 1h 2h'));
sub setup { $httpd->{conf} = conf(@_); write_file("$httpd->{dir}/httpd.conf", $httpd->configuration) }
sub said { scalar $httpd->lines($_[0]) }
sub graceful {
    my %old = map { $_ => 1 } $httpd->children;
    my $before = said(qr/resuming normal operations/);
    kill USR1 => $httpd->{pid};
    return ok wait_for(30, sub { said(qr/resuming normal operations/) > $before && !grep { $old{$_} } $httpd->children }),
        "$_[0]: httpd has restarted gracefully";
}
sub again { $httpd->down; $httpd->up }
my ($file, $stored);

ok settles(30, 200, sub { code() }), 'keys are there';
is $server->count, 1, 'R12 by one fetch for all children';
ok wait_for(30, sub { ($file) = glob "$httpd->{dir}/store/*.json"; $file }), 'McpOAuthKeyStore: they are stored';
is sprintf('%o', (stat "$httpd->{dir}/store")[2] & 07777), '700', 'McpOAuthKeyStore: the directory is for its owner alone';
$stored = slurp($file);

# --- R12: a graceful restart costs no fetch, and needs no authorization server
graceful('R12') for 1 .. 3;
is_deeply codes(), { 200 => $many }, 'R12 the new children know the keys';
is $server->count, 1, 'R12 and fetch nothing';
$server->down;
graceful('R12, authorization server down');
is_deeply codes(), { 200 => $many }, 'R12 R02 also while the authorization server is down';

# --- R13: so does a child that takes the place of another one
{
    my @victims = $httpd->children;
    kill KILL => @victims;
    my %dead = map { $_ => 1 } @victims;
    ok wait_for(30, sub { my @now = $httpd->children; @now && !grep { $dead{$_} } @now }), 'R13 all children are killed, others come';
    is_deeply codes(), { 200 => $many }, 'R13 R02 they know the keys';
    is said(qr/MCP0311/), 0, 'R13 and whoever fetches now keeps to the schedule';
}

# --- R02: a full restart
again();
is_deeply codes(), { 200 => $many }, 'R02 McpOAuthKeyStore: after a full restart with the authorization server down the first requests are good';
is said(qr/MCP0315/), 1, 'McpOAuthKeyStore: one line says so';
is code(t('new', 'ec256_b')), 401, 'R02 an unknown kid is 401, for there is a usable set';
$server->up;
ok wait_for(30, sub { $server->count == 2 }), 'R01 stored keys are checked as soon as that can be';
ok wait_for(30, sub { said(qr/MCP0310/) == 2 }), 'McpOAuthKeyStore: and a line says that they hold';

# --- What is not to be trusted is ignored, in one line for all children.
sub ignored {
    my ($what, $make) = @_;
    $httpd->down;
    $server->down;
    unlink $file;
    write_file($file, $stored);
    chmod 0600, $file;
    $make->();
    my $before = said(qr/MCP0316/);
    $httpd->up;
    is code(), 503, "McpOAuthKeyStore: $what: the keys are not used";
    is said(qr/MCP0316/), $before + 1, "McpOAuthKeyStore: $what: one line says so";
    is scalar(grep { /"(?:x|keys|digest)"/ } $httpd->lines(qr/MCP0316/)), 0, "McpOAuthKeyStore: $what: which quotes nothing of it";
    $server->up;
    ok settles(30, 200, sub { code() }), "R01 $what: keys of the authorization server come";
    ok wait_for(30, sub { -f $file && slurp($file) =~ /"digest"/ && !((stat $file)[2] & 022) }), "McpOAuthKeyStore: $what: and replace it";
}
ignored('damaged', sub { my $text = $stored; $text =~ s/one/two/; write_file($file, $text); chown((stat "$httpd->{dir}/store")[4, 5], $file) });
ignored('writable by others', sub { chown((stat "$httpd->{dir}/store")[4, 5], $file); chmod 0666, $file });
ignored('oversized', sub { chown((stat "$httpd->{dir}/store")[4, 5], $file); truncate $file, 64 * 1024 * 1024 or die $! });
if ($> == 0) {
    ignored('of another owner', sub { chown 12345, 12345, $file; chmod 0644, $file });
}

# --- R07: other bounds hold at once, and the keys of before by them
setup('McpOAuthKeyRefresh 1s 2s');
$server->keys('/jwks', jwks_text([ec256_b => '--kid', 'two']));
graceful('R07 R12 shorter intervals');
ok settles(30, 401, sub { code() }), 'R07 R12 the key that was withdrawn meanwhile is gone within the new interval';
is code(t('two', 'ec256_b')), 200, 'R07 the new one is there';
$httpd->down;
$server->down;
setup("McpOAuthKeyRefresh 1s 1s\n    McpOAuthKeyMaxStale 0");
ok wait_for(30, sub { time - (stat $file)[9] > 2.2 }), 'R02 for longer than they were good';
$httpd->up;
is code(t('two', 'ec256_b')), 503, 'R02 McpOAuthKeyMaxStale 0: stored keys that are due do not serve';
$httpd->down;

# --- another source of keys for the same issuer: nothing of the old one serves
$jwks = $server->url('/other');
setup('McpOAuthKeyRefresh 1h 2h');
$httpd->up;
is code(t('two', 'ec256_b')), 503, 'KEY-1 keys of another URL do not serve in place of those of this one';
$httpd->down;

# --- a store that cannot be used costs no start
setup('McpOAuthKeyRefresh 1h 2h', "McpOAuthKeyStore no/such/directory\n");
$server->up->keys('/other', $one);
$httpd->up;
ok settles(30, 200, sub { code() }), 'McpOAuthKeyStore: without a usable directory httpd serves all the same';
is said(qr/MCP0318/), 1, 'McpOAuthKeyStore: one line says that it is not used';
$httpd->down;

# --- a mutex that its killed holder would keep
setup('McpOAuthKeyRefresh 1h 2h', "Mutex posixsem mcp-oauth-refresh\n");
ok !eval { $httpd->up; 1 }, 'R13 Mutex posixsem: httpd does not start';
like $@, qr/MCP0959.*Mutex default mcp-oauth-refresh/s, 'R13 Mutex posixsem: and says what to write';
delete $httpd->{pid};
done_testing;
