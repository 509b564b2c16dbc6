# Each form of an operation against each thing a client can do: design 3.2, requirements.md sections 2.1 to 2.3, ACL-1 to ACL-8.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;

my $backend = MCP::Backend->start(port('acl_backend'));
my $mark = log_mark();
my ($A, $E) = ('file:///docs/a', 'file:///etc/b');

sub ref_to { my ($kind, $name) = @_; { ref => { type => "ref/$kind", ($kind eq 'prompt' ? 'name' : 'uri') => $name }, argument => { name => 'x', value => '' } } }
sub listen_to { { notifications => {@_} } }

# What a client can do: [label, method, params], a notification with "-", [label, undef, raw text], [label, \VERB].
my @can = (
    ['initialize', 'initialize', { protocolVersion => '2025-11-25', capabilities => {}, clientInfo => { name => 'x', version => '1' } }],
    ['ping', 'ping'], ['server/discover', 'server/discover', {}], ['logging/setLevel', 'logging/setLevel', { level => 'info' }],
    ['tools/list', 'tools/list', { cursor => 'x' }],
    ['tools/call:add', 'tools/call', { name => 'add', arguments => { name => 'del' } }], ['tools/call:del', 'tools/call', { name => 'del' }],
    ['resources/list', 'resources/list'], ['resources/templates/list', 'resources/templates/list'],
    ['resources/read:a', 'resources/read', { uri => $A }], ['resources/read:b', 'resources/read', { uri => $E }],
    ['resources/subscribe:a', 'resources/subscribe', { uri => $A }], ['resources/subscribe:b', 'resources/subscribe', { uri => $E }],
    ['resources/unsubscribe:a', 'resources/unsubscribe', { uri => $A }],
    ['prompts/list', 'prompts/list', {}],
    ['prompts/get:hello', 'prompts/get', { name => 'hello' }], ['prompts/get:bye', 'prompts/get', { name => 'bye' }],
    ['complete:prompt:hello', 'completion/complete', ref_to('prompt', 'hello')], ['complete:prompt:bye', 'completion/complete', ref_to('prompt', 'bye')],
    ['complete:resource:a', 'completion/complete', ref_to('resource', $A)], ['complete:resource:b', 'completion/complete', ref_to('resource', $E)],
    ['tasks/get:t1', 'tasks/get', { taskId => 't1' }], ['tasks/get:t2', 'tasks/get', { taskId => 't2' }], ['tasks/result:t1', 'tasks/result', { taskId => 't1' }],
    ['tasks/list', 'tasks/list'], ['tasks/cancel:t1', 'tasks/cancel', { taskId => 't1' }],
    ['tasks/update:t1', 'tasks/update', { taskId => 't1', inputResponses => {} }],
    ['listen', 'subscriptions/listen', listen_to()], ['listen:tools', 'subscriptions/listen', listen_to(toolsListChanged => \1)],
    ['listen:a', 'subscriptions/listen', listen_to(resourceSubscriptions => [$A])],
    ['listen:a,b', 'subscriptions/listen', listen_to(resourceSubscriptions => [$A, $E])],
    ['listen:b,a', 'subscriptions/listen', listen_to(resourceSubscriptions => [$E, $A])],
    ['listen:t1', 'subscriptions/listen', listen_to(taskIds => ['t1'])],
    ['listen:t1,t2', 'subscriptions/listen', listen_to(taskIds => ['t1', 't2'])],
    ['listen:a,t1', 'subscriptions/listen', listen_to(resourceSubscriptions => [$A], taskIds => ['t1'])],
    ['notifications/initialized', '-notifications/initialized'], ['notifications/cancelled', '-notifications/cancelled', { requestId => 1 }],
    ['notifications/progress', '-notifications/progress', { progressToken => 1, progress => 1 }],
    ['notifications/roots/list_changed', '-notifications/roots/list_changed'],
    ['notifications/tasks/status', '-notifications/tasks/status', { taskId => 't1', status => 'working' }],
    ['x/unknown', 'x/unknown', { name => 'add', uri => $A }], ['-x/unknown', '-x/unknown'],
    ['result', undef, '{"jsonrpc":"2.0","id":1,"result":{"name":"add"}}'], ['error', undef, '{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}'],
    ['GET', \'GET'], ['HEAD', \'HEAD'], ['DELETE', \'DELETE'],
);
sub ask {
    my ($path, $token, $can) = @_;
    my ($label, $method, $params) = @$can;
    return http(acl => $$method, $path, token => $token) if ref $method;
    return post(acl => $path, $params, token => $token) unless defined $method;
    return rpc(acl => $path, $method =~ s/^-//r, $params, token => $token, $method =~ /^-/ ? (id => undef) : ());
}

my $session = 'initialize|ping|server/discover|logging/setLevel|notifications/.*|result|error|GET|HEAD|DELETE|listen|listen:tools';
my $res = 'resources/.*|listen:(?:a|a,b|b,a)';
# Which of them a rule allows: a pattern over whole labels. Named like the scope of the rule in /forms.
my @allows = (
    ['everything' => '.*'],
    ['@session' => $session],
    ['@list' => '(?:tools|resources|resources/templates|prompts|tasks)/list'],
    ['@tools' => 'tools/.*'], ['@resources' => $res], ['@prompts' => 'prompts/.*'], ['@tasks' => 'tasks/.*|listen:t1|listen:t1,t2'],
    ['@completion' => 'complete:.*'],
    ['GET' => 'GET|HEAD'], ['DELETE' => 'DELETE'], ['response' => 'result|error'],
    ['tools/call' => 'tools/call:.*'], ['tools/call:add' => 'tools/call:add'], ['tools/call:a*' => 'tools/call:add'], ['tools/call:*' => 'tools/call:.*'],
    ['tools/call:*d' => 'tools/call:add'], ['tool:add' => 'tools/call:add'], ['tool:*' => 'tools/call:.*'], ['tools/*' => 'tools/.*'],
    ['resources/read' => 'resources/read:.'], ['resources/read:docs' => 'resources/read:a'],
    ['resources/subscribe' => 'resources/subscribe:.|listen:(?:a|a,b|b,a)'], ['resources/subscribe:docs' => 'resources/subscribe:a|listen:a'],
    ['resources/unsubscribe' => 'resources/unsubscribe:a'],
    ['resource:docs' => 'resources/.*:a|complete:resource:a|listen:a'], ['resource:a' => 'resources/.*:a|complete:resource:a|listen:a'],
    ['resources/*' => $res],
    ['prompts/get' => 'prompts/get:.*'], ['prompts/get:hello' => 'prompts/get:hello'], ['prompt:hello' => '(?:prompts/get|complete:prompt):hello'],
    ['prompts/*' => 'prompts/.*'], ['completion/complete' => 'complete:.*'],
    ['tasks/get' => 'tasks/get:.*|listen:t1|listen:t1,t2'], ['tasks/get:t1' => 'tasks/get:t1|listen:t1'],
    (map { ["tasks/$_" => "tasks/$_:t1"] } qw(result cancel update)), ['tasks/*' => 'tasks/.*|listen:t1|listen:t1,t2'],
    ['subscriptions/listen' => 'listen|listen:tools'],
    (map { [$_ => quotemeta] } qw(initialize ping server/discover logging/setLevel tools/list resources/list resources/templates/list prompts/list tasks/list
        notifications/initialized notifications/cancelled notifications/progress notifications/roots/list_changed notifications/tasks/status)),
    ['notifications/*' => 'notifications/.*'], ['*/list' => '.*/list'],
    ['x/unknown' => '-?x/unknown'], ['x/*' => '-?x/unknown'], ['several' => 'tools/list|(?:prompts/get|complete:prompt):hello|GET|HEAD'],
    # several scopes together
    ['@resources @tasks' => 'resources/.*|tasks/.*|listen:(?!tools).+'], ['resource:a subscriptions/listen' => 'resources/.*:a|complete:resource:a|listen|listen:tools|listen:a'],
    ['nothing at all' => '(?!)'],
);

# A token may do what its rules allow, and nothing else.
for (@allows) {
    my ($scope, $pattern) = @$_;

    my $token = bearer('acl', $scope);
    my (@wrong, $denied);
    $backend->clear;
    for my $can (@can) {
        my $r = ask('/forms', $token, $can);
        my $want = $can->[0] =~ /^(?:$pattern)\z/;
        $denied++ unless $want;
        push @wrong, "$can->[0]: $r->{code}" if $want ? $r->{code} !~ /^20[02]$/ : $r->{code} != 403;
    }
    is_deeply \@wrong, [], "ACL-1 rule $scope";
    is scalar($backend->requests), @can - ($denied // 0), "ACL-1 rule $scope: what is refused is not proxied";
}

# --- no rule, no access
untouched $backend, 'ACL On without rules', sub {
    my $token = bearer('acl', 'everything @session read');
    for my $can (@can) {
        my $r = ask('/none', $token, $can);
        my %c = challenge($r);
        my @got = ($r->{code}, $c{error}, $c{scope}, $c{resource_metadata} ? 1 : 0);
        is_deeply \@got, [403, undef, undef, 1], "McpOAuthACL On without rules refuses $can->[0], CHL-11 and asks for nothing";
        next if $can->[0] eq 'HEAD';
        if (ref $can->[1]) { answers_json($r, 403, 'forbidden', "$can->[0]: OAuth JSON") }
        else { refused_rpc($r, 403, 403, ($can->[1] // '') =~ /^-/ ? undef : 'any', "$can->[0]: JSON-RPC") }
    }
};
{
    my @wrong = grep { ask('/off', bearer('acl', 'none'), $_)->{code} !~ /^20[02]$/ } @can;
    is_deeply [map { $_->[0] } @wrong], [], 'McpOAuthACL Off: everything that is MCP passes';
}

# --- ACL-2, ACL-8: names
sub tool { rpc(acl => '/names', 'tools/call', { name => shift }, token => bearer('acl', 'x'))->{code} }
sub resource { rpc(acl => '/names', 'resources/read', { uri => shift }, token => bearer('acl', 'x'))->{code} }
sub prompt { rpc(acl => '/names', 'prompts/get', { name => shift }, token => bearer('acl', 'x'))->{code} }
for ('with space', 'a/b', 'a*b', "\x{fc}n\x{ef}", 'c:d', '[x]?', 'q"uote', 'middle', 'mid xx dle', 'mid/*dle', ':', 'x:', 'two', 'xtwo') {
    (my $show = $_) =~ s/[^ -~]/?/g;
    is tool($_), 200, "ACL-8 allowed: $show";
}
for ('with  space', 'with space ', ' with space', 'WITH SPACE', 'with%20space', 'a//b', 'a', 'axb', 'ab', 'a\\*b', "u\x{308}ni\x{308}", "\x{dc}N\x{cf}", 'c', 'd', 'c:D',
    'x', '[x]', 'xx', 'q\\"uote', 'mid', 'middl', 'iddle', ':x', 'twoo', '') {
    (my $show = $_) =~ s/[^ -~]/?/g;
    my $code = tool($_);
    ok $code == 403 || $_ eq '' && $code == 400, "ACL-2 ACL-8 not allowed: '$show'" or diag $code;
}
is resource('https://h.test/a%2fb'), 200, 'ACL-2 a URI as it is written';
is resource($_), 403, "ACL-2 no normalisation: $_" for 'https://h.test/a%2Fb', 'https://h.test/a/b', 'HTTPS://h.test/a%2fb', 'https://H.test/a%2fb',
    'https://h.test:443/a%2fb', 'https://h.test/./a%2fb', 'https://h.test/a%2fb/', 'https://h.test/a%2fb#x';
is resource('ui://w/a/b/x?y='), 200, 'two stars in a URI';
is resource('ui://w//x?y=1&z'), 200, 'a star is also nothing';
is resource('ui://w/x?y=1'), 403, 'but the text around it must be there';
is prompt('p*'), 200, 'an escaped star at the end';
is prompt('px'), 403, 'is no pattern';

# --- ACL-3, ACL-4 once more by name: one rule on X for all that touches it
for my $can (grep { $_->[0] =~ /:b$|,b$|:b,/ } @can) {
    is ask('/forms', bearer('acl', 'resource:docs'), $can)->{code}, 403, "ACL-3 ACL-4 $can->[0] under a rule for another resource";
}
# ACL-6: identity comes along, the rule is per method
is rpc(acl => '/forms', 'tasks/get', { taskId => 't1' }, token => bearer('acl', 'tasks/get'))->{code}, 200, 'ACL-6 per method';

# --- the same operations as modern messages
for (['tools/call', { name => 'add' }, 'tool:add'], ['resources/read', { uri => $A }, 'resource:a'], ['prompts/get', { name => 'hello' }, 'prompt:hello'],
    ['tasks/update', { taskId => 't1' }, 'tasks/update'], ['subscriptions/listen', listen_to(resourceSubscriptions => [$A]), 'resource:a'],
    ['server/discover', {}, '@session']) {
    my ($method, $params, $scope) = @$_;
    is modern_post(acl => '/forms', $method, $params, token => bearer('acl', $scope))->{code}, 200, "2026-07-28 $method with its scope";
    is modern_post(acl => '/forms', $method, $params, token => bearer('acl', 'nothing at all'))->{code}, 403, "2026-07-28 $method without";
}
no_crash($mark);

done_testing;
