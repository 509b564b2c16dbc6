# Which bodies are one JSON-RPC message, what they must name, and how a refusal is told: requirements.md RPC-1 to RPC-14,
# TRN-6, TRN-16, ACL-5, threats.md B01, B12.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;

my $backend = MCP::Backend->start(port('gate_backend'));
my $token = bearer('gate');
my $mark = log_mark();

# --- RPC-1, RPC-11: not a message
untouched $backend, 'RPC-1', sub {
    for (
        ['id null' => '{"jsonrpc":"2.0","id":null,"method":"ping"}'],
        ['id a fraction' => '{"jsonrpc":"2.0","id":1.5,"method":"ping"}'],
        ['id true' => '{"jsonrpc":"2.0","id":true,"method":"ping"}'],
        ['id an array' => '{"jsonrpc":"2.0","id":[1],"method":"ping"}'],
        ['id an object' => '{"jsonrpc":"2.0","id":{},"method":"ping"}'],
        ['jsonrpc "2"' => '{"jsonrpc":"2","id":1,"method":"ping"}'],
        ['jsonrpc 2.0 as a number' => '{"jsonrpc":2.0,"id":1,"method":"ping"}'],
        ['jsonrpc "1.0"' => '{"jsonrpc":"1.0","id":1,"method":"ping"}'],
        ['jsonrpc "2.0 "' => '{"jsonrpc":"2.0 ","id":1,"method":"ping"}'],
        ['jsonrpc missing' => '{"id":1,"method":"ping"}'],
        ['jsonrpc null' => '{"jsonrpc":null,"id":1,"method":"ping"}'],
        ['method a number' => '{"jsonrpc":"2.0","id":1,"method":7}'],
        ['method null' => '{"jsonrpc":"2.0","id":1,"method":null}'],
        ['method an array' => '{"jsonrpc":"2.0","id":1,"method":["ping"]}'],
        ['method empty' => '{"jsonrpc":"2.0","id":1,"method":""}'],
        ['method null beside a result' => '{"jsonrpc":"2.0","id":1,"method":null,"result":{}}'],
        ['RPC-11 neither method nor result' => '{"jsonrpc":"2.0","id":1}'],
        ['RPC-11 only jsonrpc' => '{"jsonrpc":"2.0"}'],
        ['RPC-11 params alone' => '{"jsonrpc":"2.0","id":1,"params":{"name":"ok"}}'],
        ['RPC-11 method and result' => '{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}'],
        ['RPC-11 method and error' => '{"jsonrpc":"2.0","id":1,"method":"ping","error":{"code":1,"message":"x"}}'],
        ['RPC-11 result and error' => '{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"x"}}'],
        ['RPC-11 result without id' => '{"jsonrpc":"2.0","result":{}}'],
        ['RPC-11 result with id null' => '{"jsonrpc":"2.0","id":null,"result":{}}'],
        ['RPC-11 an empty object' => '{}'],
        (map { ["RPC-11 $_" => $_] } 'null', 'true', '1', '"ping"'),
    ) {
        refused_rpc(post(gate => '/mcp', $_->[1], token => $token), 400, -32600, 'any', /^RPC/ ? $_->[0] : "RPC-1 $_->[0]");
    }
};

# --- B01, RPC-4, RPC-5: batches
my $call = rpc_body('tools/call', { name => 'ok' });
untouched $backend, 'B01', sub {
    for my $version (undef, '2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28') {
        my @h = defined $version ? ('MCP-Protocol-Version' => $version) : ();
        for (['array of two', "[$call,$call]"], ['array of one', "[$call]"], ['empty array', '[]'], ['nested array', "[[$call]]"],
            ['white space in front', " \r\n\t[$call]"], ['array of nothing known', '[1,2]'], ['array of a response', '[{"jsonrpc":"2.0","id":1,"result":{}}]']) {
            refused_rpc(post(gate => '/mcp', $_->[1], token => $token, headers => [@h]), 400, -32600, undef,
                "B01 RPC-5 $_->[0], version " . ($version // 'absent'));
        }
    }
};

# --- -32602: params and operands
my %operand = (
    'tools/call' => ['name'], 'prompts/get' => ['name'], 'resources/read' => ['uri'], 'resources/subscribe' => ['uri'],
    'resources/unsubscribe' => ['uri'], 'tasks/get' => ['taskId'], 'tasks/result' => ['taskId'], 'tasks/cancel' => ['taskId'],
    'tasks/update' => ['taskId'],
);
my @types = (7, \1, undef, ['a'], { a => 1 }, [], {});
untouched $backend, 'ACL-5', sub {
    for my $path ('/mcp', '/acl') {
        for my $params ('[]', '["ok"]', 'null', '"ok"', '7', 'true') {
            refused_rpc(post(gate => $path, qq({"jsonrpc":"2.0","id":1,"method":"tools/call","params":$params}), token => $token), 400, -32602, '1',
                "ACL-5 params $params at $path");
        }
        refused_rpc(post(gate => $path, '{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', token => $token), 400, -32602, '1',
            "ACL-5 params an array, no operand needed, at $path");
        for my $method (sort keys %operand) {
            my ($name) = @{ $operand{$method} };
            refused_rpc(post(gate => $path, rpc_body($method), token => $token), 400, -32602, '1', "ACL-5 $method without params at $path");
            refused_rpc(post(gate => $path, rpc_body($method, {}), token => $token), 400, -32602, '1', "ACL-5 $method without $name at $path");
            my @wrong = grep { $_->{code} != 400 || (json($_->{body})->{error}{code} // 0) != -32602 }
                map { post(gate => $path, rpc_body($method, { $name => $_ }), token => $token) } @types;
            ok !@wrong, "ACL-5 $method: $name of another type at $path" or diag map { "$_->{code} $_->{body}\n" } @wrong;
        }
        for (
            ['no ref' => { argument => { name => 'a', value => '' } }], ['ref a string' => { ref => 'ref/prompt' }],
            ['ref empty' => { ref => {} }], ['ref.type unknown' => { ref => { type => 'ref/tool', name => 'ok' } }],
            ['ref.type in another case' => { ref => { type => 'ref/Prompt', name => 'ok' } }],
            ['ref.type a number' => { ref => { type => 1, name => 'ok' } }],
            ['prompt without name' => { ref => { type => 'ref/prompt', uri => 'ok' } }],
            ['prompt name a number' => { ref => { type => 'ref/prompt', name => 1 } }],
            ['resource without uri' => { ref => { type => 'ref/resource', name => 'ok' } }],
            ['resource uri null' => { ref => { type => 'ref/resource', uri => undef } }],
        ) {
            refused_rpc(post(gate => $path, rpc_body('completion/complete', $_->[1]), token => $token), 400, -32602, '1', "ACL-5 completion: $_->[0] at $path");
        }
        for (
            ['notifications a string' => 'x'], ['notifications an array' => ['x']], ['URIs a string' => { resourceSubscriptions => 'file:///ok' }],
            ['URIs an object' => { resourceSubscriptions => { a => 1 } }], ['a URI a number' => { resourceSubscriptions => ['file:///ok', 7] }],
            ['a URI null' => { resourceSubscriptions => [undef] }], ['a URI an array' => { resourceSubscriptions => [['file:///ok']] }],
            ['tasks a string' => { taskIds => 'ok' }], ['a task an object' => { taskIds => [{}] }],
        ) {
            refused_rpc(post(gate => $path, rpc_body('subscriptions/listen', { notifications => $_->[1] }), token => $token), 400, -32602, '1',
                "ACL-3 ACL-5 listen: $_->[0] at $path");
        }
    }
};

# --- RPC-8: the id comes back with its type and text
my @ids = ('7', '"7"', '0', '-1', '-0', '9007199254740993', '9223372036854775807', '9223372036854775808', '-9223372036854775809',
    '123456789012345678901234567890', '""', '"a\"b\\\\c"', '"\u00e9\n"', qq("\xe4\xb8\x96"), '"\ud83d\ude00"', '"</script>"');
untouched $backend, 'RPC-8', sub {
    for my $id (@ids) {
        (my $show = $id) =~ s/[^ -~]/?/g;
        refused_rpc(post(gate => '/acl', qq({"jsonrpc":"2.0","id":$id,"method":"tools/call","params":{"name":"evil"}}), token => $token), 403, 403, $id,
            "RPC-8 id $show in a 403");
        refused_rpc(post(gate => '/acl', qq({"method":"tools/call","params":{"name":7,"arguments":{"id":5}},"id" : $id ,"jsonrpc":"2.0"}), token => $token),
            400, -32602, $id, "RPC-8 id $show in a 400");
    }
};
for my $id (@ids) {
    (my $show = $id) =~ s/[^ -~]/?/g;
    passes($backend, gate => '/acl', qq({"jsonrpc":"2.0","id":$id,"method":"tools/call","params":{"name":"ok"}}), "RPC-8 id $show is forwarded as it is",
        token => $token);
}

# --- TRN-6, B12: notifications and responses
untouched $backend, 'B12', sub {
    refused_rpc(post(gate => '/acl', '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"evil"}}', token => $token), 403, 403, undef,
        'B12 TRN-6 tools/call without an id is judged, the refusal has no id');
    refused_rpc(post(gate => '/acl', '{"jsonrpc":"2.0","method":"x/y"}', token => $token), 403, 403, undef, 'TRN-6 unknown notification');
    refused_rpc(post(gate => '/mcp', '{"jsonrpc":"2.0","method":"tools/call","params":{}}', token => $token), 400, -32602, undef,
        'TRN-6 a notification with bad params');
    refused_rpc(post(gate => '/mcp/inflate', '{"jsonrpc":"2.0","id":1,"result":{}}', token => $token), 403, 403, 'any', 'B12 a response no rule allows');
    refused_rpc(post(gate => '/mcp/inflate', '{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}', token => $token), 403, 403, 'any',
        'B12 an error response no rule allows');
    refused_rpc(post(gate => '/mcp/inflate', '{"jsonrpc":"2.0","method":"notifications/initialized"}', token => $token), 403, 403, undef,
        'B12 a notification no rule allows');
};
passes($backend, gate => '/acl', '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"ok"}}', 'B12 an allowed one passes', token => $token);
for (
    ['a result' => '{"jsonrpc":"2.0","id":1,"result":{"model":"x","content":{"type":"text","text":"y"}}}'],
    ['a result with the id of a string' => '{"jsonrpc":"2.0","id":"a-1","result":{"action":"accept","content":{"Name":"x"}}}'],
    ['an empty result' => '{"result":{},"id":0,"jsonrpc":"2.0"}'],
    ['an error' => '{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"rejected"}}'],
    ['a notification' => '{"jsonrpc":"2.0","method":"notifications/initialized"}'],
    ['a notification with params' => '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"x"}}'],
    ['roots' => '{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}'],
) {
    my ($r) = passes($backend, gate => '/acl', $_->[1], "client messages pass: $_->[0]", token => $token);
    is_deeply [$r->{code}, $r->{body}], [202, ''], "TRN-5 202 without a body: $_->[0]";
}

# --- RPC-12, RPC-14, TRN-16: revision 2026-07-28
my $state = 'eyJ' . 'A1b2-_+/=%' x 409 . '.';
my $meta = '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';
my $text = qq({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ok","requestState":"$state","inputResponses":{"a":{"x":[1.50]}},$meta}});
passes($backend, gate => '/acl', $text, 'RPC-14 requestState passes byte for byte', token => $token, headers => [modern_headers('tools/call', 'ok')]);
untouched $backend, 'TRN-16', sub {
    my @h = ('MCP-Protocol-Version' => '2026-07-28');
    refused_rpc(post(gate => '/mcp', '{"jsonrpc":"2.0","id":1,"result":{}}', token => $token, headers => [@h]), 400, -32600, 'any', 'TRN-16 a modern response');
    refused_rpc(post(gate => '/mcp', '{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}', token => $token, headers => [@h]), 400, -32600, 'any',
        'TRN-16 a modern error response');
    my $caps = { 'io.modelcontextprotocol/clientCapabilities' => {} };
    my $version = { 'io.modelcontextprotocol/protocolVersion' => '2026-07-28' };
    refused_rpc(modern_post(gate => '/mcp', 'tools/list', {}, meta => undef, token => $token), 400, -32602, '1', 'RPC-12 no _meta');
    refused_rpc(post(gate => '/mcp', rpc_body('tools/list'), token => $token, headers => [modern_headers('tools/list')]), 400, -32602, '1', 'RPC-12 no params');
    refused_rpc(modern_post(gate => '/mcp', 'tools/list', {}, meta => {}, token => $token), 400, -32602, '1', 'RPC-12 empty _meta');
    refused_rpc(modern_post(gate => '/mcp', 'tools/list', {}, meta => $caps, token => $token), 400, -32602, '1', 'RPC-12 no protocolVersion');
    refused_rpc(modern_post(gate => '/mcp', 'tools/list', {}, meta => $version, token => $token), 400, -32602, '1', 'RPC-12 no clientCapabilities');
    refused_rpc(modern_post(gate => '/mcp', 'tools/list', { _meta => 'x' }, meta => undef, token => $token), 400, -32602, '1', 'RPC-12 _meta a string');
    refused_rpc(modern_post(gate => '/mcp', 'tools/list', {}, meta => { %$caps, 'io.modelcontextprotocol/protocolVersion' => 20260728 }, token => $token), 400,
        -32602, '1', 'RPC-12 protocolVersion a number');
    refused_rpc(modern_post(gate => '/mcp', 'tools/list', {}, meta => undef, token => $token, headers => { 'Mcp-Method' => 'ping' }), 400, -32602, '1',
        'RPC-12 absence of _meta wins over the comparison of headers');
};
is modern_post(gate => '/mcp', 'tools/list', {}, token => $token)->{code}, 200, 'RPC-12 clientInfo is optional';
is modern_post(gate => '/mcp', 'server/discover', {}, token => $token)->{code}, 200, 'server/discover';
is rpc(gate => '/mcp', 'notifications/cancelled', { requestId => 1 }, id => undef, token => $token,
    headers => ['MCP-Protocol-Version' => '2026-07-28'])->{code}, 202, 'RPC-12 a modern notification needs no _meta';

# --- the environment tells what was judged
like header(post(gate => '/acl', $call, token => $token), 'X-Env'), qr/^tools\/call\|ok\|allow\|/, 'MCP_OAUTH_METHOD, NAME, DECISION when allowed';
like header(post(gate => '/acl', rpc_body('tools/call', { name => 'evil' }), token => $token), 'X-Env'), qr/^tools\/call\|evil\|deny\|acl-/,
    'MCP_OAUTH_METHOD, NAME, DECISION, REASON when refused';
{
    my $env = header(post(gate => '/acl', rpc_body('tools/call', { name => "e\r\nX-Evil: 1\x{7f}" }), token => $token), 'X-Env');
    unlike $env, qr/[\x00-\x1f\x7f]/, 'O02 control bytes of a name are escaped';
    like $env, qr/X-Evil/, 'O02 and the name is there';
}
no_crash($mark);

done_testing;
