# The authorization server must be who it says before a token goes there: requirements.md INT-1; threats.md R04.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Introspection;

plan skip_all => 'mod_ssl is not there' unless Apache::Test::have_module('mod_ssl');

my $as = MCP::Introspection->start(port('introspection_as'));
my $backend = MCP::Backend->start(port('introspection_backend'));
my $mark = log_mark();
sub get { my $name = shift; http(introspection => GET => "/tls-$name", token => $as->active(aud => "https://mcp.test/tls-$name")) }

is_status(get('good'), 200, 'INT-1 over TLS');
is_deeply [map { $_->{path} } $as->calls], ['/tls/tls-good'], 'INT-1 one call';
untouched($backend, 'INT-1 not over TLS', sub {
    unavailable(get('unknown'), 'INT-1 R04 a certificate of nobody known: 503');
    unavailable(get('wrong'), 'INT-1 R04 a certificate of another host: 503');
});
is scalar(my @calls = $as->calls), 1, 'INT-1 R04 and no token goes there';
unlogged('O02 no token in the error log', log_since($mark));
no_crash($mark);
done_testing;
