# Certificates of the server that has the keys: requirements.md KEY-3, threats.md R04. The server is httpd itself.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;

plan skip_all => 'mod_ssl is not there' unless Apache::Test::have_module('mod_ssl');

sub t { token(aud => 'https://mcp.test/k', iss => "https://$_[0].tls.test") }
ok wait_for(30, sub { status_of(keys => '/k', t('good')) == 200 }), 'KEY-3 keys over https, certificate verified by McpOAuthCACertificateFile';
my @codes = statuses_of(keys => '/k', map { t($_) } qw(unknown-ca wrong-name expired));
is $codes[0], 503, 'KEY-3 unknown certificate authority';
is $codes[1], 503, 'KEY-3 certificate of another name';
is $codes[2], 503, 'KEY-3 expired certificate';
my $log = slurp(MCP::Test::log_file('error_log'));
like $log, qr/certificate|SSL|TLS/i, 'KEY-3 the log says why';
for (qw(unknown-ca wrong-name expired)) {
    is scalar(my @lines = $log =~ /MCP0311\b.*https:\/\/$_\.tls\.test\b/g), 1, "R02 $_: in one line, however often it is tried";
}
is scalar(my @lines = $log =~ /MCP0310\b.*https:\/\/good\.tls\.test\b/g), 1, 'R02 good: one line for the whole server';
done_testing;
