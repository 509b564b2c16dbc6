# conf/examples/gateway.conf
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::AuthServer;
use MCP::Gate;
use MCP::Proof;

my $backend = MCP::Backend->start(port('deploy_backend'));
my $mark = log_mark();
my ($where, $closed) = qw(deploy_gateway deploy_closed);
my $as_a = MCP::AuthServer->start(port('deploy_as_a'));
my $as_b = MCP::AuthServer->start(port('deploy_as_b'));
my $certs = 'protocol/openid-connect/certs';
$as_a->keys("/realms/staff/$certs", slurp(made('as.json')));
$as_b->keys("/realms/partners/$certs", slurp(made('b.json')));
my ($iss_a, $iss_b) = ($as_a->url('/realms/staff'), 'https://login.partner.example/realms/partners');

my %made;
sub keycloak {
    my ($roles, %more) = @_;
    my @k = join "\0", @$roles, %more;
    return $made{"@k"} //= token(iss => $iss_a, aud => 'https://gateway.example.com/', azp => 'x', client_id => undef, scope => 'openid', mcp_scopes => $roles,
        preferred_username => 'alice', -header => { typ => 'JWT' }, %more);
}
sub partner { my ($roles, %more) = @_; keycloak($roles, iss => $iss_b, preferred_username => 'bob', -key => 'rsa_b', -kid => 'rsa', %more) }
sub with { my ($token, @more) = @_; (headers => ['X-MCP-Token', $token, @more]) }
my $call = rpc_body('tools/call', { name => 'add' });

# The keys of both come by themselves.
ok wait_for(30, sub { http($where, GET => '/a', with(keycloak([])))->{code} == 200 }), 'R01 keys by a path at the authorization server';
ok wait_for(30, sub { http($where, GET => '/a', with(partner([])))->{code} == 200 }), 'R01 keys by an absolute URL';
is $as_a->count("/realms/staff/$certs"), $as_a->count, 'KEY-3 nothing else is asked of the first';
is $as_b->count("/realms/partners/$certs"), $as_b->count, 'KEY-3 nor of the second: no discovery';

# --- both issuers, each with its own keys
passes($backend, $where, '/any/server', $call, 'a token of the first', with(keycloak(['mcp:tools'])));
passes($backend, $where, '/any/server', $call, 'a token of the second', with(partner(['mcp:tools'])));
untouched $backend, 'TOK-3', sub {
    my @bad = (['the key of the second for the first' => keycloak(['mcp:tools'], -key => 'rsa_b', -kid => 'rsa')],
        ['the key of the first for the second' => partner(['mcp:tools'], -key => 'rsa')], ['a third issuer' => keycloak(['mcp:tools'], iss => 'https://as.test')],
        ['without the slash' => keycloak([], aud => 'https://gateway.example.com')], ['the key URL as issuer' => partner([], iss => $as_b->url('/realms/partners'))]);
    is http($where, GET => '/', with($_->[1]))->{code}, 401, "TOK-3 K05 $_->[0]" for @bad;
};

# --- metadata and challenge
{
    my $doc = json(http($where, GET => '/.well-known/oauth-protected-resource')->{body});
    is_deeply $doc, { resource => 'https://gateway.example.com/', authorization_servers => [$iss_a, $iss_b], bearer_methods_supported => ['header'],
        dpop_signing_alg_values_supported => \@DPOP_ALGS }, 'PRM-2 PRM-6 the document of a resource without a path';
    untouched $backend, 'gateway without a token', sub {
        is http($where, GET => '/.well-known/oauth-protected-resource')->{code}, 200, 'PRM-15 the metadata is not proxied';
        for my $path ('/', '/mcp', '/any/server?x', '/.well-known/other') {
            my $r = post($where, $path, $call);
            my %c = eval { challenge($r) };
            is_deeply [$r->{code}, $c{resource_metadata}, $c{error}], [401, 'https://gateway.example.com/.well-known/oauth-protected-resource', undef], "CHL-5 no token at $path";
        }
        is post($where, '/mcp', $call, token => keycloak(['mcp:tools']))->{code}, 401, 'the token in Authorization is not read';
        is post($where, '/mcp', $call, with(keycloak(['mcp:tools']), 'X-MCP-Token', keycloak(['mcp:tools'])))->{code}, 400, 'CHL-7 two tokens';
    };
}

# --- roles
my @tools = (['tools/list'], ['tools/call', { name => 'add' }]);
my @resources = (['resources/list'], ['resources/templates/list'], ['resources/read', { uri => 'x:y' }], ['resources/subscribe', { uri => 'x:y' }]);
my @other = (['prompts/list'], ['prompts/get', { name => 'x' }], ['x/y']);
for (['mcp:tools', \@tools, [@resources, @other]], ['mcp:resources', \@resources, [@tools, @other]], ['mcp:tools mcp:resources', [@tools, @resources], \@other],
    ['offline_access', [], [@tools, @resources, @other]]) {
    my ($roles, $may, $not) = @$_;
    my $t = keycloak([split / /, $roles]);
    is rpc($where, '/mcp', @$_[0, 1], with($t))->{code}, 200, "$roles: $_->[0]" for @$may;
    untouched $backend, $roles, sub {
        for (@$not) {
            my $r = rpc($where, '/mcp', @$_[0, 1], with($t));
            refused_rpc($r, 403, 403, '1', "$roles: $_->[0] is refused");
            my %c = challenge($r);
            is_deeply [$c{''}, $c{error}, $c{scope}], ['Bearer', undef, undef], "CHL-11 $roles: $_->[0]: a role cannot be asked for";
        }
    };
    is rpc($where, '/mcp', 'ping', undef, with($t))->{code}, 200, "$roles: the session";
}
untouched $backend, 'scopes are no roles', sub {
    is rpc($where, '/mcp', 'tools/list', undef, with(keycloak([], scope => 'mcp:tools')))->{code}, 403, 'a scope is no role';
    is rpc($where, '/mcp', 'tools/list', undef, with(keycloak([], realm_access => { roles => ['mcp:tools'] })))->{code}, 403, 'nor is a role of another claim';
};

# --- toward the backend
{
    my (undef, $seen) = passes($backend, $where, '/mcp', $call, 'the token alone', with(keycloak(['mcp:tools', 'mcp:resources']), 'Authorization', 'Basic eDp5',
        'X-Mcp-User', 'root', 'X-Mcp-Roles', 'all'));
    is_deeply [@{ $seen->{headers} }{qw(x-mcp-token authorization x-mcp-user x-mcp-roles)}], [undef, 'Basic eDp5', 'alice', 'mcp:tools,mcp:resources'],
        'no token, an Authorization of its own, who is calling';
    (undef, $seen) = passes($backend, $where, '/forward', $call, 'Bearer and token', with('Bearer ' . keycloak(['mcp:tools'])));
    is $seen->{headers}{'x-mcp-token'}, 'Bearer ' . keycloak(['mcp:tools']), 'McpOAuthForwardToken On';
    (undef, $seen) = passes($backend, $where, '/mcp', $call, 'Bearer and token, not forwarded', with('Bearer ' . keycloak(['mcp:tools'])));
    is $seen->{headers}{'x-mcp-token'}, undef, 'McpOAuthForwardToken Off';
}

# --- without rules
untouched $backend, 'closed', sub {
    my $t = keycloak(['mcp:tools', 'mcp:resources', '*']);
    is rpc($closed, '/mcp', @$_[0, 1], with($t))->{code}, 403, "ACL On without rules: $_->[0]" for @tools, @resources, @other, ['initialize', {}], ['ping'], ['server/discover', {}];
    is http($closed, $_ => '/mcp', with($t))->{code}, 403, "ACL On without rules: $_" for qw(GET DELETE HEAD);
    is rpc($closed, '/mcp', 'ping')->{code}, 401, 'ACL On without rules: no token is still 401';
};

# --- the authorization servers are gone: keys and cached tokens serve on
$_->down for $as_a, $as_b;
is rpc($where, '/mcp', 'tools/list', undef, with(keycloak(['mcp:tools'])))->{code}, 200, 'R02 a token seen before';
is rpc($where, '/mcp', 'tools/list', undef, with(keycloak(['mcp:tools'], sub => 'new')))->{code}, 200, 'R02 a new token';
is rpc($where, '/mcp', 'tools/list', undef, with(partner(['mcp:tools'], sub => 'new')))->{code}, 200, 'R02 a new token of the other';
no_crash($mark);

done_testing;
