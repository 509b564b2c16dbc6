# R23 What stops the start, where test/config.sh has no row for it.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Config;
use MCP::Test;

refuses_config(protected('McpOAuthRequireClaim roles a "" #!'), qr/McpOAuthRequireClaim has an empty argument at its end/,
    'R23 an empty argument at the end, which httpd drops without a word');
refuses_config(protected("McpOAuthRequireClaim roles a '' #!"), qr/McpOAuthRequireClaim has an empty argument at its end/,
    'R23 with the other quotes, too');
accepts_config(protected('McpOAuthRequireClaim roles "a"'), 'quotes around something are fine');

refuses_config("<Location \"/mcp\">\n<McpOAuthIssuer \"https://as.test\"> #!\n</McpOAuthIssuer>\n</Location>\n",
    qr/<McpOAuthIssuer not allowed in <Location> context/, 'R23 an issuer is not described inside a location');
refuses_config(protected("McpOAuthMetadata resource_name \"a\xFFb\" #!"), qr/the value is not UTF-8/,
    'PRM-11 R23 a metadata member that is no UTF-8');
refuses_config(protected('McpOAuthForwardClaim sub "" #!'), qr/McpOAuthForwardClaim/, 'R23 a claim needs a header to go to');

my $long = 'd/' x 3000;
refuses_config("<McpOAuthIssuer \"https://as.test\">\nMcpOAuthIntrospection auto\nMcpOAuthClientId joe\nMcpOAuthClientSecret file:$long #!\n</McpOAuthIssuer>\n",
    qr/is not a path; write file:PATH or env:NAME/, 'R23 a secret in a file with a path that no system takes');

my ($keys) = made('as.json');
refuses_config("ServerName a..b\n<McpOAuthIssuer \"https://as.test\">\nMcpOAuthJwks \"file:$keys\"\n</McpOAuthIssuer>\n"
        . "<Location \"/mcp\">\nMcpOAuth On\nMcpOAuthIssuer https://as.test\n</Location>\n",
    qr/made of ServerName and path, is no URL; write McpOAuthResource/, 'R23 a ServerName that makes no URL');

done_testing;
