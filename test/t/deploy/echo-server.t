# conf/examples/echo-server.conf
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Proof;

my $backend = MCP::Backend->start(port('deploy_backend'));
my $mark = log_mark();
my $where = 'deploy_echo';
my %made;
sub keycloak {
    my ($scope, %more) = @_;
    return $made{ join "\0", $scope, map { $_ // "undef" } %more } //= token(iss => 'https://sso.example.com/realms/mcp-realm', aud => 'echo-mcp-server', azp => 'echo-client',
        client_id => undef, scope => "openid $scope", -header => { typ => 'JWT' }, %more);
}

my $r = http($where, GET => '/.well-known/oauth-protected-resource/mcp');
is_deeply json($r->{body}), { resource => 'https://echo.example.com/mcp', authorization_servers => ['https://sso.example.com/realms/mcp-realm'],
    scopes_supported => ['mcp:read', 'mcp:tools', 'mcp:prompts'], bearer_methods_supported => ['header'], resource_documentation => 'https://echo.example.com/docs',
    dpop_signing_alg_values_supported => \@DPOP_ALGS, mcp_protocol_version => '2025-06-18', resource_type => 'mcp-server' }, 'PRM-11 the document with its own members';
untouched $backend, 'echo without a token', sub {
    my $r = rpc($where, '/mcp', 'ping');
    is_deeply [$r->{code}, { challenge($r) }], [401, { '' => 'Bearer', scope => 'mcp:read mcp:tools mcp:prompts',
        resource_metadata => 'https://echo.example.com/.well-known/oauth-protected-resource/mcp' }], 'CHL-4 CHL-5 the challenge';
    refuses($where, '/mcp', keycloak('mcp:tools', aud => $_ // undef), 'TOK-1 aud ' . ($_ // 'missing'))
        for 'https://echo.example.com/mcp', 'echo-mcp-server/', 'Echo-MCP-Server', 'echo-mcp', undef;
};

my %uses = (
    'mcp:read' => [['resources/list'], ['resources/templates/list'], ['resources/read', { uri => 'echo://a' }], ['resources/subscribe', { uri => 'echo://a' }],
        ['completion/complete', { ref => { type => 'ref/resource', uri => 'echo://a' } }], ['subscriptions/listen', { notifications => { resourceSubscriptions => ['echo://a'] } }]],
    'mcp:tools' => [['tools/list'], ['tools/call', { name => 'echo', arguments => { text => 'x' } }]],
    'mcp:prompts' => [['prompts/list'], ['prompts/get', { name => 'greet' }], ['completion/complete', { ref => { type => 'ref/prompt', name => 'greet' } }]],
);
for my $need (sort keys %uses) {
    for my $use (@{ $uses{$need} }) {
        for my $held (sort keys %uses) {
            my $r;
            if ($held eq $need) { is +($r = rpc($where, '/mcp', @$use[0, 1], token => keycloak($held)))->{code}, 200, "$held: $use->[0] passes" }
            else {
                untouched $backend, "$held: $use->[0]", sub {
                    $r = rpc($where, '/mcp', @$use[0, 1], token => keycloak($held));
                    refused_rpc($r, 403, 403, '1', "$held: $use->[0] is refused");
                    my %c = challenge($r);
                    is_deeply [@c{qw(error scope)}], ['insufficient_scope', $need], "CHL-9 $use->[0] needs $need";
                };
            }
        }
    }
}
is rpc($where, '/mcp', $_, {}, token => keycloak(''))->{code}, 200, "without any scope: $_" for qw(initialize ping server/discover);
is rpc($where, '/mcp', 'notifications/initialized', undef, id => undef, token => keycloak(''))->{code}, 202, 'without any scope: a notification';
is http($where, $_ => '/mcp', token => keycloak(''))->{code}, 200, "without any scope: $_" for qw(GET DELETE);
untouched $backend, 'unknown', sub {
    my $r = rpc($where, '/mcp', 'x/y', {}, token => keycloak('mcp:read mcp:tools mcp:prompts'));
    my %c = challenge($r);
    is_deeply [$r->{code}, $c{error}], [403, undef], 'CHL-11 a method for nobody';
};
passes($backend, $where, '/mcp', rpc_body('tools/call', { name => 'echo' }), 'audience among others', token => keycloak('mcp:tools', aud => ['account', 'echo-mcp-server']));

# the optional check of the client
is http($where, GET => '/mcp/party', token => keycloak(''))->{code}, 200, 'TOK-16 azp is the client allowed';
untouched $backend, 'party', sub {
    for (['another azp' => azp => 'other'], ['no azp' => azp => undef]) {
        my ($name, @claim) = @$_;
        my $r = http($where, GET => '/mcp/party', token => keycloak('', @claim));
        my %c = challenge($r);
        is_deeply [$r->{code}, $c{error}], [403, undef], "TOK-16 $name: refused, and nothing to ask for";
    }
};
is http($where, GET => '/mcp', token => keycloak('', azp => 'other'))->{code}, 200, 'elsewhere any client';
no_crash($mark);

done_testing;
