# McpOAuthTokenCacheTTL 0: no token is kept, and every request is judged anew. Design 3.3, 2.4.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Httpd;

my $where = port('machine_httpd');
my $keys  = made('as.json');
sub conf {
    my ($ttl) = @_;
    return <<END;
McpOAuthTokenCacheTTL $ttl
<McpOAuthIssuer "https://as.test">
    McpOAuthJwks "file:$keys"
    McpOAuthClockSkew 0
</McpOAuthIssuer>
<Location "/m">
    McpOAuthIssuer https://as.test
</Location>
<Location "/state">
    SetHandler mcp-oauth-status
</Location>
END
}
my $httpd;
sub server { undef $httpd; $httpd = MCP::Httpd->start($where, conf => conf(@_)) }
sub code { http($where, GET => '/m', token => $_[0])->{code} }
sub state { json(http($where, GET => '/state?json')->{body})->{token_cache} }

my $good = token(aud => 'https://mcp.test/m');

# The same with a cache, so that it is known what the counts would be.
server('5min');
is_deeply [map { code($good) } 1 .. 8], [(200) x 8], 'with a cache';
cmp_ok state()->{hits}, '>', 0, 'tokens are found there';
cmp_ok state()->{max_entries_per_process}, '>', 0, 'which has room';

server(0);
is_deeply [map { code($good) } 1 .. 8], [(200) x 8], 'without one every good token is good';
my $state = state();
is_deeply [@$state{qw(entries hits bytes max_entries_per_process)}], [0, 0, 0, 0], 'nothing is kept and nothing found';
like http($where, GET => '/state')->{body}, qr/Tokens are not cached/, 'the page says so';
is code(token(aud => 'https://mcp.test/other')), 401, 'a bad token is bad';
{
    my ($brief, $code);
    for (1 .. 5) {    # it may have died on the way
        my $exp = now() + 3;
        $brief = token(aud => 'https://mcp.test/m', exp => $exp);
        $code = code($brief);
        last if time < $exp;
    }
    is $code, 200, 'C01 a token before its end';
    ok wait_for(30, sub { code($brief) == 401 }), 'C01 and not after it';
}

done_testing;
