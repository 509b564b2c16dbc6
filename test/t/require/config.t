# What Require mcp-scope and Require mcp-claim take.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Config;

refuses_config(protected("$_->[0] #!"), $_->[1], "$_->[0]: stops the start") for (
    ['Require mcp-scope', qr/mcp-scope/], ['Require mcp-claim', qr/mcp-claim/], ['Require mcp-claim role', qr/mcp-claim/], ['Require mcp-claim a..b x', qr/mcp-claim/], ['Require mcp-claim .a x', qr/mcp-claim/],
    ['Require mcp-claim a. x', qr/mcp-claim/], ['Require mcp-claim "" x', qr/mcp-claim/], ['Require mcp-scope ""', qr/mcp-scope/], ['Require mcp-scope a\"b', qr/mcp-scope/], ['Require mcp-scope "a b"', qr/mcp-scope/],
    ['Require not mcp-scope', qr/mcp-scope/],
);
accepts_config(protected($_), "$_: is fine") for 'Require mcp-scope a', 'Require mcp-scope a:b/c https://s.test/x', 'Require mcp-claim role admin ops', 'Require mcp-claim "https://ns\.test/x.level" "two words"', 'Require mcp-claim realm_access.roles x';
accepts_config(protected('<RequireAll>', 'Require mcp-scope a', 'Require not mcp-claim role x', '<RequireNone>', 'Require mcp-scope b', '</RequireNone>', '</RequireAll>'), 'sections');
accepts_config(protected('AuthType mcp-oauth', 'Require valid-user'), 'AuthType mcp-oauth');
done_testing;
