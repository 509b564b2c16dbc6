# What "httpd -t -D DUMP_MCP_OAUTH" tells of a location, where test/dump.sh has no row for it.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Config;
use MCP::Test;

my $secret = File::Temp->new(DIR => vars('t_dir'));
print $secret '0123456789abcdef0123456789abcdef';
close $secret;

# What is told of a file, with wrapped lines joined and no more than one blank in a row.
sub told {
    my ($ok, $said) = config_test($_[0], '-D', 'DUMP_MCP_OAUTH');
    diag $said unless $ok;
    $said =~ s/\n {6,}(?=\S)/ /g;
    return $said =~ s/ +/ /gr;
}

sub tells {
    my ($text, $what, $name) = @_;
    my $said = told($text);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @missing = grep { $said !~ $_ } @$what;
    ok !@missing, $name or diag "not told: @missing\n$said";
}

sub issuer { join "\n", '<McpOAuthIssuer "https://as.test">', @_, '</McpOAuthIssuer>', '' }
sub location { join "\n", '<Location "/mcp">', 'McpOAuth On', 'McpOAuthIssuer https://as.test', @_, '</Location>', '' }
my $resource = 'McpOAuthResource https://mcp.test/mcp';
my @asks = ('McpOAuthIntrospection https://as.test/introspect', 'McpOAuthClientId joe', "McpOAuthClientSecret file:$secret");

tells(issuer(@asks, 'McpOAuthJwks none') . location($resource), [qr/keys none: every token is asked about/],
    'an issuer without keys');

for (['1500ms' => '1500ms'], ['90s' => '90s'], ['120s' => '2min'], ['0' => '0s']) {
    tells(issuer("McpOAuthClockSkew $_->[0]") . location($resource), [qr/^ clock skew $_->[1]$/m], "a clock skew of $_->[0]");
}
tells(issuer('McpOAuthAuthorizationServer http://as.test', 'McpOAuthAllowHTTP On') . location($resource),
    [qr/^ plain http allowed \(McpOAuthAllowHTTP On\)$/m], 'plain http to other hosts');
tells(location($resource, 'McpOAuthChallengeScope a b'), [qr/^ scopes in a 401 a b$/m],
    'the scopes of the challenge, when none are advertised');

# The default resource identifier, design 3.2.
tells(location(), [qr{^ resource http://localhost:1/mcp$}m], 'without a port in ServerName that of Listen');
tells("Listen 127.0.0.1:2\n" . location(), [qr{^ resource http://localhost:1/mcp$}m], 'that of the first Listen');
tells("ServerName mcp.example.com\nServerName https://localhost\n" . location(), [qr{^ resource https://localhost/mcp$}m],
    'with a scheme in ServerName none');

# Where requests go (design 2.1: nothing may lead past a protected location).
for (['a section by a regular expression' => '<Location ~ "^/o(pen)?$">'], ['LocationMatch' => '<LocationMatch "^/o(pen)?$">'],
    ['a section with a star' => '<Location "/o*">']) {
    my ($name, $section) = @$_;
    my ($close) = $section =~ /^<(\w+)/;
    tells(location($resource, 'ProxyPass http://127.0.0.1:3001/mcp') . "$section\nSetHandler proxy:http://127.0.0.1:3001\n</$close>\n",
        [qr{warning: .*SetHandler sends requests such as /o\S* of localhost \(main server\) to }], "a way past by $name is told");
}
tells(location($resource, 'ProxyPass http://127.0.0.1:3001/mcp')
        . "<Location \"/open\">\nSetHandler \"expr=proxy:http://%{req:X-Where}/\"\n</Location>\n",
    [qr{SetHandler sends requests such as /open\S* of localhost \(main server\) to a backend that depends on the request}],
    'a handler that is an expression may lead there');
tells(location($resource, 'ProxyPass http://127.0.0.1:3001/mcp') . "<Location \"/open\">\nSetHandler none\n</Location>\n",
    [qr{^ requests go to http://127\.0\.0\.1:3001/mcp}m], 'none is no handler');

done_testing;
