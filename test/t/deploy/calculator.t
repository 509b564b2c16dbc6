# conf/examples/calculator.conf
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Proof;

my $backend = MCP::Backend->start(port('deploy_backend'));
my $mark = log_mark();
my ($where, $resource) = ('deploy_calculator', 'http://localhost:8000/mcp');
my $meta = 'http://localhost:8000/.well-known/oauth-protected-resource/mcp';
my $call = rpc_body('tools/call', { name => 'add', arguments => { a => 1, b => 2 } });
sub keycloak {
    return token(iss => 'http://localhost:8080/realms/mcp-demo', aud => [$resource, 'account'], typ => 'Bearer', azp => 'mcp-client', client_id => undef,
        scope => 'openid mcp:run profile', -header => { typ => 'JWT' }, @_);
}

# --- how a client finds its way
my $r = http($where, GET => '/.well-known/oauth-protected-resource/mcp');
is_status($r, 200, 'PRM-2 metadata at the path of the resource');
like header($r, 'Content-Type'), qr{^application/json\b}, 'PRM-3 as JSON';
is_deeply json($r->{body}), { resource => $resource, authorization_servers => ['http://localhost:8080/realms/mcp-demo'], scopes_supported => ['mcp:run'],
    bearer_methods_supported => ['header'], dpop_signing_alg_values_supported => \@DPOP_ALGS }, 'PRM-4 PRM-6 PRM-9 the document, nothing more';
is_deeply json(http($where, GET => '/.well-known/oauth-protected-resource')->{body}), json($r->{body}), 'one resource: on the bare path as well';
untouched $backend, 'calculator without a token', sub {
    my $r = post($where, '/mcp', $call);
    answers_json($r, 401, 'unauthorized', 'CHL-1 no token');
    is_deeply { challenge($r) }, { '' => 'Bearer', resource_metadata => $meta, scope => 'mcp:run' }, 'CHL-3 CHL-4 CHL-5 the challenge';
};

# --- tokens
my ($answer, $seen) = passes($backend, $where, '/mcp', $call, 'a token of Keycloak', token => keycloak());
is json($answer->{body})->{result}{backend}, 'tools/call', 'the answer of the MCP server';
is $seen->{headers}{'x-mcp-user'}, 'alice', 'who is calling';
is $seen->{headers}{authorization}, undef, 'TOK-2 no token';
passes($backend, $where, '/mcp', $call, 'the audience alone, as a string', token => keycloak(aud => $resource));
for (['ping'], ['resources/list'], ['x/y'], ['tools/list']) {
    is rpc($where, '/mcp', @$_[0, 1], token => keycloak())->{code}, 200, "no ACL: $_->[0] passes";
}
untouched $backend, 'calculator', sub {
    for (['without the audience' => ['account']], ['without aud' => undef], ['a slash more' => "$resource/"], ['among others' => ["$resource/", 'account']],
        ['another port' => 'http://localhost:8001/mcp'], ['https' => 'https://localhost:8000/mcp'], ['the origin' => 'http://localhost:8000'],
        ['127.0.0.1' => 'http://127.0.0.1:8000/mcp'], ['empty array' => []]) {
        refuses($where, '/mcp', keycloak(aud => $_->[1]), "TOK-1 T17 aud: $_->[0]");
    }
    refuses($where, '/mcp', keycloak(iss => 'http://localhost:8080/realms/mcp-demo/'), 'TOK-3 another issuer: a slash more');
    refuses($where, '/mcp', keycloak(iss => 'http://localhost:8080/realms/other'), 'TOK-3 another realm');
    refuses($where, '/mcp', keycloak(iss => 'https://as.test'), 'TOK-3 an issuer known elsewhere');
    refuses($where, '/mcp', keycloak(exp => now() - 300), 'TOK-9 expired');
    my $r = post($where, '/mcp', $call, token => keycloak(scope => 'openid profile'));
    answers_json($r, 403, 'insufficient_scope', 'CHL-8 without mcp:run');
    my %c = challenge($r);
    is_deeply [@c{qw(error scope resource_metadata)}], ['insufficient_scope', 'mcp:run', $meta], 'CHL-8 which is asked for';
};
no_crash($mark);

done_testing;
