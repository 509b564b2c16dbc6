# Which answers make a token good: requirements.md INT-2, INT-3; threats.md C03, C06.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Introspection;

my $as = MCP::Introspection->start(port('introspection_as'));
my $backend = MCP::Backend->start(port('introspection_backend'));
my $mark = log_mark();
my $aud = 'https://mcp.test/answers';
my ($true, $false) = (JSON::PP::true(), JSON::PP::false());

sub get { my ($token, $path, %opt) = @_; http(introspection => GET => $path // '/answers', token => $token, %opt) }
sub text { my ($body, @headers) = @_; my $t = opaque(); $as->says($t, body => $body, headers => ['Content-Type', 'application/json', @headers]); return $t }
sub good { my ($name, %member) = @_; my $r = get($as->active(aud => $aud, %member)); is_status($r, 200, "INT-3 $name"); return $r }
sub bad  { my ($name, $reason, %member) = @_; inactive(get($as->active(aud => $aud, %member)), $reason, "INT-3 $name") }

# --- INT-2, C06: active
my @inactive = (
    '{"active":false}', '{"active":"true"}', '{"active":1}', '{"active":1.0}', '{"active":"1"}', '{"active":null}', '{"active":[true]}',
    '{"active":{"active":true}}', '{"Active":true}', '{"ACTIVE":true}', '{}', '[]', '[{"active":true}]', 'true', '"active"', '1', 'null'
);
untouched($backend, 'INT-2 C06 inactive', sub {
    for my $said (@inactive) {
        my $with = $said =~ s/\}\z/,"aud":"$aud"}/r =~ s/\{,/{/r;
        inactive(get(text($with)), 'token-inactive', "INT-2 C06 $said");
    }
});

# --- what need not be there
good('the least');
good('exp, nbf, iat, iss', exp => now() + 600, nbf => now() - 10, iat => now() - 10, iss => 'https://answers.intro.test');
good("token_type $_", token_type => $_) for qw(Bearer bearer BEARER);
good('aud in a list', aud => ['https://x.test', $aud]);
good('exp a fraction', exp => now() + 600.5);
good('token_use access_token', token_use => 'access_token');
good('members nobody knows', x => { y => [1, 2.5, undef, 'z'] });
is_status(get(text(qq({"active":true,"aud":"$aud"}), 'X', 'y')), 200, 'INT-3 200');
is_status(get(text(qq(\n { "aud" : "$aud" ,\r\n\t"active" : true } \n))), 200, 'INT-3 with blanks');

# --- what must be right
{
    my $t = text('{"active":true}');
    inactive(get($t), 'token-audience', 'INT-3 aud missing');
}
bad('aud of somebody else', 'token-audience', aud => 'https://mcp.test/other');
bad('aud longer than ours', 'token-audience', aud => "$aud/");
bad('aud shorter than ours', 'token-audience', aud => 'https://mcp.test');
bad('aud in another case', 'token-audience', aud => 'https://mcp.test/Answers');
bad('aud an empty list', 'token-audience', aud => []);
bad('aud the client id of ours', 'token-audience', aud => 'gate:way 1');
for my $claim (['aud a number', aud => 7], ['aud an object', aud => { x => $aud }], ['aud a list with a number', aud => [$aud, 7]],
    ['exp a string', exp => '' . (now() + 600)], ['exp true', exp => $true], ['exp a list', exp => [now() + 600]],
    ['nbf a string', nbf => '' . (now() - 10)], ['iat a string', iat => '' . (now() - 10)], ['sub a number', sub => 7],
    ['sub an object', sub => {}], ['client_id a number', client_id => 7])
{
    my ($name, @claim) = @$claim;
    my $r = get($as->active(aud => $aud, @claim));
    ok $r->{code} == 401 && reason($r) =~ /^token-(?:claims|audience)$/, "INT-3 $name: 401" or diag "$r->{code} ", reason($r);
}
bad('exp an hour ago', 'token-expired', exp => now() - 3600);
bad('exp 0', 'token-expired', exp => 0);
bad('nbf in an hour', 'token-not-yet-valid', nbf => now() + 3600);
{
    my $r = get($as->active(aud => $aud, iat => now() + 3600));
    ok $r->{code} == 401, 'INT-3 iat in an hour: 401' or diag $r->{code};
}
bad('iss of somebody else', 'token-issuer', iss => 'https://as.test');
bad('iss longer than the issuer', 'token-issuer', iss => 'https://answers.intro.test/');
bad("token_type $_", 'token-type', token_type => $_) for 'N_A', 'mac', 'refresh_token', 'Bearer ', '';
{
    my $r = get($as->active(aud => $aud, token_type => ['Bearer']));
    ok $r->{code} == 401, 'INT-3 token_type a list: 401' or diag $r->{code};
}
bad('token_type DPoP, bound to nothing', 'token-type', token_type => 'DPoP');
bad("token_use $_", 'token-type', token_use => $_) for qw(id refresh);

# --- bound tokens
my $thumb = b64('x' x 32);
bad('cnf.jkt', 'token-bound', cnf => { jkt => $thumb });
bad('cnf.jkt, token_type DPoP', 'token-bound', cnf => { jkt => $thumb }, token_type => 'DPoP');
bad('cnf.jkt, token_type Bearer', 'token-bound', cnf => { jkt => $thumb }, token_type => 'Bearer');
bad('cnf x5t#S256, no certificate', 'token-certificate', cnf => { 'x5t#S256' => $thumb });
bad('cnf of a kind nobody knows', 'token-bound', cnf => { 'x5t#S512' => $thumb });
bad('cnf empty', 'token-bound', cnf => {});
bad("cnf $_->[0]", 'token-bound', cnf => $_->[1]) for ['a string', $thumb], ['a list', [{ jkt => $thumb }]], ['false', $false];

# --- who it is
{
    my $r = good('sub is the user', sub => 'alice', client_id => 'client-1', username => 'root');
    is header($r, 'X-User'), 'alice', 'INT-3 REMOTE_USER is sub';
    is header(get($as->active(aud => $aud)), 'X-User') || '-', '-', 'INT-3 no sub: no user';
    $backend->clear;
    get($as->active(aud => $aud, sub => "b\xf6b", realm_access => { roles => [qw(a b)] }), '/answers/forward', headers => ['X-Mcp-User', 'root', 'X-Mcp-Roles', 'admin']);
    my ($saw) = $backend->requests;
    is $saw->{headers}{'x-mcp-user'}, 'b%C3%B6b', 'INT-3 McpOAuthForwardClaim: sub';
    is $saw->{headers}{'x-mcp-roles'}, 'a,b', 'INT-3 McpOAuthForwardClaim: roles';
    ok !exists $saw->{headers}{authorization}, 'INT-3 the token stays here';
}

# --- C03: each location judges by itself, whoever asked first; the server is asked once
{
    my $both = $as->active(aud => [$aud, 'https://mcp.test/other'], scope => 'mcp:read');
    my $one = $as->active(aud => $aud, scope => 'mcp:other');
    is_status(get($both), 200, 'C03 good for two places: here');
    is_status(get($both, '/other'), 200, 'C03 and there');
    is_status(get($one), 200, 'C03 good for one: here');
    inactive(get($one, '/other'), 'token-audience', 'C03 not there') for 1, 2;
    is_status(get($one), 200, 'C03 and here again');
    is_status(get($both, '/answers/scoped'), 200, 'C03 with the scope');
    my $r = get($one, '/answers/scoped');
    is_status($r, 403, 'C03 without the scope');
    my %c = challenge($r);
    is_deeply [@c{qw(error scope)}], ['insufficient_scope', 'mcp:read'], 'C03 which the challenge names';
    cmp_ok scalar(my @calls = $as->asked($_)), '<=', 3, 'C03 R10 the server is asked once per place at most' for $both, $one;
}
my @members = (sub => 'alice', client_id => 'client-1', scope => 'mcp:read', realm_access => { roles => ['admin'] });
my $full = $as->active(aud => ['https://mcp.test/answers', 'https://mcp.test'], @members);
is_status(get($full, $_), 200, "INT-3 $_") for map { "/answers/$_" } qw(scoped party claim hierarchical);
my $least = $as->active(aud => $aud, client_id => 'client-2', scope => 'mcp:write', realm_access => { roles => ['user'] });
is_status(get($least, "/answers/$_"), 403, "INT-3 $_: not so") for qw(scoped party claim);
inactive(get($as->active(aud => ['https://mcp.test/answer', 'https://mcp.test/other']), '/answers/hierarchical'), 'token-audience',
    'INT-3 hierarchical: no other path');
sub tool { rpc(introspection => '/answers/rules', 'tools/call', { name => $_[0] }, token => $full)->{code} }
is tool('read'), 200, 'INT-3 McpOAuthAllow by scope: allowed';
is tool('write'), 403, 'INT-3 McpOAuthAllow by scope: not allowed';

unlogged('O02 no token in the error log', log_since($mark), 'mcp:hidden');
unlogged('O02 no token in the access log', access_since($mark));
no_crash($mark);
done_testing;
