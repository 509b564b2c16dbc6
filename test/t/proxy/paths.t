# Spellings of the protected path: threats.md 1.3, H02, item 8.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;

my $backend = MCP::Backend->start(port('proxy_backend'));
my $mark = log_mark();
my $token = bearer('proxy');
my $ok = rpc_body('tools/call', { name => 'ok' });

my @same = ('/mcp', '/mcp/', '//mcp', '///mcp//', '/./mcp', '/x/../mcp', '/%6dcp', '/x/%2e%2e/mcp', '/%2e/mcp', '/mcp/x', '/mcp?x', '/mcp/../mcp', '/m%63p/', '//mcp/x//y',
    '/mcp/%2e', '/x/.%2e/mcp', 'http://localhost/mcp', 'http://evil.test//mcp');
my @other = ('/MCP', '/mcp;x', '/mcp%3fx', '/mcp%23', '/mcp.', '/mcp%20', '/;/mcp', '/x/..;/mcp', '/%252e/mcp', '/mcp%5c', '/\\mcp', '/mcpx', '/mcp%00', '/mcp%0a', '/mcp%09',
    '/%c2%8d/../mcp%', '/mcp%2f', '/mcp%2Fx', '/%2fmcp', '/x%2f..%2fmcp', '/mcp%2f..%2fx', '/..%2fmcp', '/mcp/%2e%2e%2fmcp', '/mcp;/x', '/%u006dcp', "/mcp\x{ff}", '/Mcp/x');

sub raw {
    my ($where, $verb, $path, $auth) = @_;
    my @body = $verb eq 'POST' ? (body => $ok, headers => ['Content-Type', 'application/json']) : ();
    return eval { http($where, $verb => $path, host => 'localhost', token => $auth, @body) } || { code => 0, body => '' };
}
sub show { my $p = shift; $p =~ s/[^!-~]/?/g; $p }

for my $where (qw(proxy proxy_all proxy_nocanon)) {
    untouched $backend, "H02 $where", sub {
        for my $path (@same) {
            for my $verb (qw(GET POST)) {
                is raw($where, $verb, $path)->{code}, 401, "1.3 H02 $where: $verb " . show($path) . ' is the location';
            }
        }
        # Where the location alone belongs to the backend, no other spelling gets there.
        return if $where eq 'proxy_all';
        for my $path (@other) {
            my $r = raw($where, 'POST', $path);
            ok $r->{code} == 0 || $r->{code} >= 400, "1.3 H02 $where: " . show($path) . ' does not reach the backend' or diag $r->{code};
        }
    };
}
for my $path ('/mcp', '/mcp/', '//mcp', '/./mcp', '/%6dcp', '/mcp/x') {
    is raw('proxy', 'POST', $path, $token)->{code}, 200, "H02 with a token: $path";
}
# Where the whole host belongs to the backend: a spelling is either protected, or arrives as something that httpd itself takes for another path.
for my $path (@other) {
    $backend->clear;
    my $r = raw('proxy_all', 'GET', $path);
    my @seen = map { $_->{path} } $backend->requests;
    ok $r->{code} >= 400 && !@seen || !grep({ m{^/mcp(?:/|$)} } @seen), 'H02 the whole host: ' . show($path) . ' is no other spelling of /mcp' or diag "$r->{code} @seen";
}
no_crash($mark);

done_testing;
