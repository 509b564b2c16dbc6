# McpOAuthBatch: design 3.2, requirements.md RPC-2 to RPC-5, CHL-9, threats.md B01.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Stream;
use MCP::Gate;

my $backend = MCP::Stream->start(port('revision_backend'));
my $mark = log_mark();
my $meta = 'io.modelcontextprotocol/';

sub call { my ($name, $id) = @_; rpc_body('tools/call', { name => $name }, id => $id // 1) }
sub notice { rpc_body($_[0] // 'notifications/initialized', undef, id => undef) }
sub answer { my $id = shift // 1; qq({"jsonrpc":"2.0","id":$id,"result":{}}) }
sub batch { '[' . join(',', @_) . ']' }
my ($ok, $ping, $note) = (call('ok'), rpc_body('ping', undef, id => 'p'), notice());
my @old = ('MCP-Protocol-Version' => '2025-03-26');

sub ask { my ($path, $text, $scope, @headers) = @_; post(revision => $path, $text, token => bearer('rev', $scope // 'base'), headers => [@headers]) }
sub through { my ($path, $text, $name, $scope, @headers) = @_; passes($backend, revision => $path, $text, $name, token => bearer('rev', $scope // 'base'), headers => [@headers]) }

# --- RPC-5: off is the default, and an inner location can go back to it
untouched $backend, 'RPC-5 B01', sub {
    for my $path ('/none', '/batch/off', '/eras') {
        for (['two calls' => batch($ok, $ok)], ['one call' => batch($ok)], ['none' => '[]'], ['notifications' => batch($note, $note)], ['responses' => batch(answer())],
            ['an array in an array' => batch(batch($ok))], ['an array behind blanks' => " \t\r\n" . batch($ok)]) {
            my ($name, $text) = @$_;
            refused_rpc(ask($path, $text), 400, -32600, undef, "RPC-5 B01 McpOAuthBatch Off at $path: $name, version absent");
            refused_rpc(ask($path, $text, 'base', @old), 400, -32600, undef, "RPC-5 B01 McpOAuthBatch Off at $path: $name, version 2025-03-26");
        }
    }
};

# --- RPC-2: what passes, byte for byte
for my $path ('/batch', '/batch/acl') {
    for my $headers ([], [@old], ['MCP-Protocol-Version' => ' 2025-03-26 ']) {
        my $version = @$headers ? "version '$headers->[1]'" : 'version absent';
        for (
            ['two calls' => batch($ok, call('ok', 2))], ['one call' => batch($ok)], ['a request and a notification' => batch($ok, $note)],
            ['a notification and a request' => batch($note, $ping)], ['notifications' => batch($note, $note)], ['requests of several kinds' => batch($ping, $ok,
                rpc_body('resources/read', { uri => 'file:///ok' }, id => 3))],
            ['blanks and line ends' => " \r\n[\n\t$ok ,\r\n  $ping\n] \n"], ['equal ids' => batch($ok, $ok)],
            ['64 messages' => batch(map { call('ok', $_) } 1 .. 64)],
            ['one message that is no batch' => $ok],
        ) {
            through($path, $_->[1], "RPC-2 $_->[0] at $path, $version", 'base', @$headers);
        }
    }
}
through('/batch/acl', batch(answer(1), answer('"x"'), '{"jsonrpc":"2.0","id":3,"error":{"code":1,"message":"x"}}'), 'RPC-2 responses', 'base answers');
through('/batch', batch(answer()), 'RPC-2 one response');
through('/batch', batch(map { $note } 1 .. 64), 'RPC-2 64 notifications');
$backend->answers('/batch/answers', '200 OK', ['Content-Type', 'application/json'], qq([ {"jsonrpc":"2.0","id":1,"result":{}},\n{"jsonrpc":"2.0","id":2,"result":{}} ]));
is ask('/batch/answers', batch($ok, call('ok', 2)))->{body}, qq([ {"jsonrpc":"2.0","id":1,"result":{}},\n{"jsonrpc":"2.0","id":2,"result":{}} ]), 'RPC-2 the answer passes byte for byte';
through('/batch/acl', batch(call('ok'), call('a', 2), call('bc', 3)), 'RPC-3 all of them allowed', 'base a b c');

# --- RPC-3: one that is refused refuses all
untouched $backend, 'RPC-3', sub {
    for (
        ['the last' => batch($ok, call('no', 2))], ['the first' => batch(call('no'), $ok)], ['one in the middle' => batch($ok, call('no', 2), $ping)],
        ['the 64th' => batch((map { call('ok', $_) } 1 .. 63), call('no', 64))], ['the only one' => batch(call('no'))],
        ['a notification' => batch($ok, notice('x/y'))], ['tools/call without an id' => batch($ok, rpc_body('tools/call', { name => 'no' }, id => undef))],
        ['a response' => batch(answer())], ['a resource' => batch($ping, rpc_body('resources/read', { uri => 'file:///no' }, id => 2))],
        ['listen' => batch($ping, rpc_body('subscriptions/listen', { notifications => { resourceSubscriptions => ['file:///ok', 'file:///no'] } }, id => 2))],
        ['completion' => batch($ok, rpc_body('completion/complete', { ref => { type => 'ref/prompt', name => 'ok' }, argument => { name => 'a', value => '' } }, id => 2))],
        ['unknown method' => batch($ok, rpc_body('x/y', {}, id => 2))], ['with version 2025-03-26' => batch($ok, call('no', 2)), @old],
    ) {
        my ($name, $text, @headers) = @$_;
        my $r = ask('/batch/acl', $text, 'base', @headers);
        refused_rpc($r, 403, 403, undef, "RPC-3 B01 one is refused, so all are: $name");
        like header($r, 'X-Env'), qr/\|deny\|acl-/, "RPC-3 the environment tells: $name";
    }
    like header(ask('/batch/acl', batch($ok, $ping, call('no', 2)), 'base'), 'X-Env'), qr{^tools/call\|no\|deny\|}, 'RPC-3 the environment names the part that was refused';
    like header(ask('/batch/acl', batch($ok, rpc_body('subscriptions/listen', { notifications => { resourceSubscriptions => ['file:///ok', 'file:///no'] } }, id => 2)), 'base'), 'X-Env'), qr{\|file:///no\|deny\|}, 'RPC-3 also of a list of entries';
};

# --- CHL-9: the scopes of all elements
sub scope_of { my ($held, @names) = @_; my %c = challenge(ask('/batch/acl', batch(map { call($names[$_], $_) } 0 .. $#names), $held)); return [$c{error}, $c{scope}] }
is_deeply scope_of('base', 'a', 'bc'), ['insufficient_scope', 'base a b c'], 'CHL-9 all scopes of all elements in one challenge';
is_deeply scope_of('base a', 'ok', 'a', 'bc'), ['insufficient_scope', 'base a b c'], 'CHL-9 those held included';
is_deeply scope_of('base', 'bc', 'bc'), ['insufficient_scope', 'base b c'], 'CHL-9 none twice';
is_deeply scope_of('base', 'bc', 'ok'), ['insufficient_scope', 'base b c'], 'CHL-9 an element that needs none adds none';
is_deeply scope_of('base', 'a', 'no'), [undef, undef], 'CHL-11 an element that nobody is allowed: no scope can help';
is_deeply scope_of('base', 'no', 'a'), [undef, undef], 'CHL-11 in any order';
{
    my @all = map { json_text(scope_of('base', 'bc', 'a', 'either')) } 1 .. 5;
    is_deeply \@all, [($all[0]) x 5], 'CHL-10 stable';
    my ($error, $scope) = @{ json($all[0]) };
    is $error, 'insufficient_scope', 'CHL-9 alternatives in a batch';
    through('/batch/acl', batch(call('bc'), call('a', 2), call('either', 3)), 'CHL-9 who gets the scopes of the challenge gets through', $scope // 'base');
}

# --- RPC-4: not for later revisions
untouched $backend, 'RPC-4', sub {
    for my $version ('2025-06-18', '2025-11-25', '2026-07-28', '2099-01-01', '2024-11-05', '2025-03-27', '1999-01-01', 'latest', '2025-03-26x', '') {
        for (['two calls' => batch($ok, $ok)], ['one' => batch($ok)], ['none' => '[]'], ['behind blanks' => " \n" . batch($ok)], ['notifications' => batch($note)]) {
            refused_rpc(ask($_->[2] // '/batch', $_->[1], 'base', 'MCP-Protocol-Version' => $version), 400, -32600, undef, "RPC-4 version '$version': $_->[0]");
        }
    }
    refused_rpc(ask('/batch', batch($ok), 'base', @old, @old), 400, [-32600, -32020], undef, 'RPC-4 HDR-9 two version lines');
    refused_rpc(ask('/batch', batch($ok), 'base', @old, 'MCP-Protocol-Version' => '2025-06-18'), 400, [-32600, -32020], undef, 'RPC-4 HDR-9 two version lines that differ');
};

# --- B01: no batch at all, or none that is allowed
my $modern = rpc_body('tools/call', { name => 'ok', _meta => { "${meta}protocolVersion" => '2026-07-28', "${meta}clientCapabilities" => {} } });
untouched $backend, 'B01', sub {
    for my $path ('/batch', '/batch/acl', '/batch/shadow') {
        for my $headers ([], [@old]) {
            my $at = "at $path, version " . ($headers->[1] // 'absent');
            for (
                ['none' => '[]'], ['none, with blanks' => " [ \n ] "], ['an array in an array' => batch(batch($ok))], ['an array beside a message' => batch($ok, batch($ok))],
                ['an empty array inside' => batch($ok, '[]')], ['a number' => batch($ok, 1)], ['null' => batch($ok, 'null')], ['true' => batch('true')],
                ['a string' => batch('"ping"')], ['an empty object' => batch($ok, '{}')], ['65 messages' => batch(map { call('ok', $_) } 1 .. 65)],
                ['65 notifications' => batch(map { $note } 1 .. 65)], ['1000 messages' => batch(map { call('ok', $_) } 1 .. 1000)],
                ['initialize' => batch(rpc_body('initialize', { protocolVersion => '2025-03-26', capabilities => {} }, id => 1))],
                ['initialize behind a ping' => batch($ping, rpc_body('initialize', { protocolVersion => '2025-03-26', capabilities => {} }, id => 1))],
                ['initialize without an id' => batch($ping, rpc_body('initialize', {}, id => undef))],
                ['a response and a request' => batch(answer(), $ok)], ['a request and a response' => batch($ok, answer(2))],
                ['an error response and a request' => batch('{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}', $ok)],
                ['an element that is no JSON-RPC' => batch($ok, '{"id":2,"method":"ping"}')], ['an id that is null' => batch($ok, '{"jsonrpc":"2.0","id":null,"method":"ping"}')],
                ['an element with neither method nor result' => batch($ok, '{"jsonrpc":"2.0","id":2}')],
                ['a member twice' => batch($ok, '{"jsonrpc":"2.0","id":2,"method":"ping","method":"tools/call","params":{"name":"no"}}')],
                ['a misspelt member' => batch($ok, '{"jsonrpc":"2.0","id":2,"method":"ping","Method":"tools/call"}')],
            ) {
                refused_rpc(ask($path, $_->[1], 'base', @$headers), 400, -32600, undef, "B01 $_->[0] $at");
            }
            for (['two arrays' => batch($ok) . batch($ok)], ['an array and a message' => batch($ok) . $ok], ['no end' => "[$ok"], ['a comma at the end' => "[$ok,]"], ['no comma' => "[$ok $ok]"]) {
                refused_rpc(ask($path, $_->[1], 'base', @$headers), 400, -32700, undef, "B01 $_->[0] $at");
            }
            for (['an operand missing' => batch($ok, rpc_body('tools/call', {}, id => 2))], ['an operand of another type' => batch(call('ok'), rpc_body('tools/call', { name => ['ok'] }, id => 2))],
                ['params an array' => batch('{"jsonrpc":"2.0","id":2,"method":"ping","params":[]}')]) {
                refused_rpc(ask($path, $_->[1], 'base', @$headers), 400, -32602, undef, "ACL-5 B01 $_->[0] $at");
            }
            for (['the only one' => batch($modern)], ['the second' => batch($ok, $modern)]) {
                refused_rpc(ask($path, $_->[1], 'base', @$headers), 400, [-32600, -32602, -32020], undef, "B01 B11 _meta of 2026-07-28 inside: $_->[0] $at");
            }
        }
    }
    refused_rpc(ask('/batch/shallow', batch('{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":{}}}') =~ s/\{\}/[[]]/r), 400, -32600, undef, 'the array counts for McpOAuthMaxDepth');
};
through('/batch/shallow', batch('{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":{}}}'), 'a batch of exactly that depth passes');
through('/batch/shadow', batch($ok, call('no', 2)), 'Shadow lets a batch pass');
is ask('/batch/shadow', $_)->{code}, 400, "Shadow: but none that is no batch" for '[]', batch(batch($ok));
untouched $backend, 'no token', sub { is post(revision => '/batch', batch($ok))->{code}, 401, 'B01 a batch needs a token like everything else' };
no_crash($mark);

done_testing;
