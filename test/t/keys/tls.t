# Certificates of the server that has the keys: requirements.md KEY-3, threats.md R04. The server is httpd itself.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;

plan skip_all => 'mod_ssl is not there' unless eval { port('keys_tls_good') };

sub t { token(aud => 'https://mcp.test/k', iss => "https://$_[0].tls.test") }
ok wait_for(12, sub { status_of(keys => '/k', t('good')) == 200 }), 'KEY-3 keys over https, certificate verified by McpOAuthCACertificateFile';
is status_of(keys => '/k', t('unknown-ca')), 503, 'KEY-3 unknown certificate authority';
is status_of(keys => '/k', t('wrong-name')), 503, 'KEY-3 certificate of another name';
is status_of(keys => '/k', t('expired')), 503, 'KEY-3 expired certificate';
my $log = slurp(MCP::Test::log_file('error_log'));
like $log, qr/certificate|SSL|TLS/i, 'KEY-3 the log says why';
done_testing;
