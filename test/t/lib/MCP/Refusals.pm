package MCP::Refusals;
# Every way to be refused at /counts of conf/status.conf.in, by which status pages, audit log and error log are judged.
#
#   for (refusals($where)) { my ($slug, $code, $ask, %known) = @$_; my $r = $ask->(); }
# %known: method and object where a message was read that names them; user, when the token was good. Nothing of it reaches the
# backend. counts_user makes tokens for the place, each for a user nobody has seen.
use strict;
use warnings FATAL => 'all';
use Exporter 'import';
use MCP::Gate;
use MCP::Proof ();
use MCP::Test;

our @EXPORT = qw(refusals counts_user request_id);

my $serial = 0;
sub counts_user { token(aud => 'https://mcp.test/counts', sub => join('-', 'counts', $$, now(), ++$serial), @_) }

# What an answer says of itself; HEAD says nothing.
sub request_id {
    my $body = eval { json($_[0]{body}) } // {};
    return $body->{request_id} // (ref $body->{error} ? $body->{error}{data}{request_id} : undef);
}

sub refusals {
    my $where = shift;
    my $good = counts_user();
    my $ok = rpc_body('tools/call', { name => 'ok' });
    my %user = (user => claims_of($good)->{sub});
    my %tool = (%user, method => 'tools/call');
    my $get = sub { my ($path, $token, %opt) = @_; http($where, GET => $path, token => $token, %opt) };
    my $say = sub { my ($text, %opt) = @_; post($where, delete $opt{path} // '/counts', $text, token => $good, %opt) };
    my $call = sub { my $name = shift; rpc($where, '/counts', 'tools/call', { name => $name }, token => $good) };
    my $bad = sub { my @claims = @_; my $token = counts_user(@claims); sub { $get->('/counts', $token) } };
    return (
        ['credentials-missing', 401, sub { $get->('/counts') }], ['credentials-missing', 401, sub { rpc($where, '/counts', 'ping') }],
        ['credentials-scheme', 401, sub { $get->('/counts', undef, headers => [Authorization => 'Basic YTpi']) }],
        ['credentials-empty', 400, sub { $get->('/counts', undef, headers => [Authorization => 'Bearer']) }],
        ['credentials-doubled', 400, sub { $get->('/counts', $good, headers => [Authorization => "Bearer $good"]) }],
        ['credentials-query', 400, sub { $get->('/counts?access_token=abc', $good) }],
        ['token-malformed', 401, sub { $get->('/counts', 'abc.def.ghi') }],
        ['token-algorithm', 401, $bad->(-header => { alg => 'HS256' })], ['token-type', 401, $bad->(-header => { typ => 'logout+jwt' })],
        ['token-critical', 401, $bad->(-header => { crit => ['x'] })], ['token-key-unknown', 401, $bad->(-kid => 'nobody')],
        ['token-signature', 401, $bad->(-key => 'stranger', -kid => 'rsa')], ['token-claims', 401, $bad->(exp => undef)],
        ['token-issuer', 401, $bad->(iss => 'https://evil.test')], ['token-audience', 401, $bad->(aud => 'https://mcp.test/elsewhere')],
        ['token-expired', 401, $bad->(exp => now() - 300)], ['token-not-yet-valid', 401, $bad->(nbf => now() + 3600)],
        ['token-bound', 401, $bad->(cnf => { jkt => MCP::Proof::thumbprint('dpop') })], ['token-unbound', 401, sub { $get->('/counts/bound', $good) }],
        ['keys-unavailable', 503, sub { $get->('/counts/down', counts_user(iss => 'https://down.test')) }],
        ['scope-missing', 403, sub { $get->('/counts/scope', $good) }, %user], ['claim-missing', 403, sub { $get->('/counts/claim', $good) }, %user],
        ['client-forbidden', 403, sub { $get->('/counts/party', $good) }, %user],
        ['require-scope', 403, sub { $get->('/counts/require-scope', $good) }, %user], ['require-denied', 403, sub { $get->('/counts/require-claim', $good) }, %user],
        ['acl-denied', 403, sub { rpc($where, '/counts', 'x/unknown', {}, token => $good) }, %user, method => 'x/unknown'],
        ['acl-denied', 403, sub { $call->('nobody') }, %tool, object => 'nobody'], ['acl-scope-missing', 403, sub { $call->('adm') }, %tool, object => 'adm'],
        ['origin-forbidden', 403, sub { $get->('/counts', $good, headers => [Origin => 'https://evil.test']) }],
        ['verb-forbidden', 405, sub { http($where, PUT => '/counts', token => $good) }],
        ['body-unexpected', 400, sub { $get->('/counts', $good, body => $ok, headers => ['Content-Type', 'application/json']) }, %user],
        ['body-type', 415, sub { $say->($ok, headers => ['Content-Type', 'text/plain']) }, %user],
        ['body-encoding', 415, sub { $say->($ok, headers => ['Content-Encoding', 'gzip']) }, %user],
        ['body-too-large', 413, sub { $say->(padded(1001)) }, %user], ['body-too-large', 413, sub { $say->(padded(1001), chunked => 100) }, %user],
        ['json-syntax', 400, sub { $say->('{"jsonrpc":') }, %user], ['json-text', 400, sub { $say->("\xef\xbb\xbf$ok") }, %user],
        ['json-number', 400, sub { $say->($ok =~ s/"id":1/"id":1e400/r) }, %user], ['json-depth', 400, sub { $say->('[' x 70 . ']' x 70) }, %user],
        ['json-duplicate', 400, sub { $say->($ok =~ s/"id":1/"id":1,"id":1/r) }, %user], ['json-variant', 400, sub { $say->($ok =~ s/"id":1/"id":1,"Method":"x"/r) }, %user],
        ['rpc-invalid', 400, sub { $say->('{"a":1}') }, %user], ['rpc-batch', 400, sub { $say->("[$ok]") }, %user],
        ['rpc-params', 400, sub { rpc($where, '/counts', 'tools/call', { nome => 'ok' }, token => $good) }, %user],
        ['header-mismatch', 400, sub { modern_post($where, '/counts', 'tools/call', { name => 'ok' }, headers => { 'Mcp-Name' => 'other' }, token => $good) }, %user],
        ['session-foreign', 404, sub { $get->('/counts/session', $good, headers => ['Mcp-Session-Id', 'none-of-ours']) }, %user],
    );
}

1;
