# Each method of both eras with an object that is allowed and one that is not: requirements.md ACL-1 to ACL-8, sections 2.1 to 2.5.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Stream;
use MCP::Gate;
use Encode qw(encode);
use MIME::Base64 qw(encode_base64);

my $backend = MCP::Stream->start(port('revision_backend'));
my $mark = log_mark();
my ($ok, $no) = ('file:///ok', 'file:///no');

sub named { { name => $_[0] } }
sub at { { uri => $_[0] } }
sub task { { taskId => $_[0] } }
sub ref_to { my ($kind, $name) = @_; { ref => { type => "ref/$kind", ($kind eq 'prompt' ? 'name' : 'uri') => $name }, argument => { name => 'x', value => '' } } }
sub listen_to { { notifications => {@_} } }
sub resources { listen_to(resourceSubscriptions => [@_]) }
sub tasks { listen_to(taskIds => [@_]) }

# One message of either era: [status, error code or undef, has it an id]; the backend must have seen it exactly when it passed.
my %eras = (
    legacy => sub { my ($scope, $method, $params, @id) = @_; rpc(revision => '/operands', $method, $params, token => bearer('rev', $scope), @id) },
    modern => sub {
        my ($scope, $method, $params, @id) = @_;
        my ($name) = map { $params->{$_} } grep { exists $params->{$_} } qw(name uri taskId);
        my %encoded = ref $name ? ('Mcp-Name' => 'ok') : ($name // '') =~ /[^!-~]/ ? ('Mcp-Name' => '=?base64?' . encode_base64(encode('UTF-8', $name), '') . '?=') : ();
        return modern_post(revision => '/operands', $method, $params // {}, token => bearer('rev', $scope), headers => \%encoded) unless @id;
        rpc(revision => '/operands', $method, $params, token => bearer('rev', $scope), @id, headers => ['MCP-Protocol-Version' => $VERSION_0728]);
    },
);
sub passes_as {
    my ($era, $scope, $method, $params, $name, @id) = @_;
    $backend->clear;
    my $r = $eras{$era}->($scope, $method, $params, @id);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @seen = $backend->requests;
    ok $r->{code} =~ /^20[02]$/ && @seen == 1, $name or diag "$r->{code} $r->{body}, ", scalar(@seen), ' requests';
}
sub refused_as {
    my ($era, $scope, $method, $params, $status, $code, $name, @id) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    untouched $backend, $name, sub { refused_rpc($eras{$era}->($scope, $method, $params, @id), $status, $code, @id ? undef : '1', $name) };
}

# [method, what passes, what does not, eras]; both are judged with a token that may use tool:ok, resource:file:///ok, prompt:ok, tasks/*:ok.
for (
    ['tools/call', named('ok'), named('no'), 'legacy modern'],
    ['resources/read', at($ok), at($no), 'legacy modern'],
    ['resources/subscribe', at($ok), at($no), 'legacy'],
    ['resources/unsubscribe', at($ok), at($no), 'legacy'],
    ['prompts/get', named('ok'), named('no'), 'legacy modern'],
    ['completion/complete', ref_to(prompt => 'ok'), ref_to(prompt => 'no'), 'legacy modern'],
    ['completion/complete', ref_to(resource => $ok), ref_to(resource => $no), 'legacy modern'],
    ['tasks/get', task('ok'), task('no'), 'legacy modern'],
    ['tasks/result', task('ok'), task('no'), 'legacy'],
    ['tasks/cancel', task('ok'), task('no'), 'legacy modern'],
    ['tasks/update', { taskId => 'ok', inputResponses => {} }, { taskId => 'no', inputResponses => {} }, 'modern'],
    ['subscriptions/listen', resources($ok), resources($no), 'modern legacy'],
    ['subscriptions/listen', tasks('ok'), tasks('no'), 'modern legacy'],
    ['subscriptions/listen', resources($ok, $ok), resources($ok, $no), 'modern'],
    ['subscriptions/listen', resources(($ok) x 20), resources($no, ($ok) x 19), 'modern'],
    ['subscriptions/listen', tasks('ok', 'ok'), tasks('ok', 'no', 'ok'), 'modern'],
    ['subscriptions/listen', listen_to(resourceSubscriptions => [$ok], taskIds => ['ok']), listen_to(resourceSubscriptions => [$ok], taskIds => ['no']), 'modern'],
    ['subscriptions/listen', listen_to(resourceSubscriptions => [$ok], toolsListChanged => \0), listen_to(resourceSubscriptions => [$ok], toolsListChanged => \1), 'modern'],
) {
    my ($method, $allowed, $refused, $eras) = @$_;
    for my $era (split ' ', $eras) {
        my $what = "$method " . json_text($allowed) =~ s/"//gr;
        passes_as($era, 'use', $method, $allowed, "ACL-1 ACL-3 ACL-4 $era: $what");
        refused_as($era, 'use', $method, $refused, 403, 403, "ACL-1 ACL-3 ACL-4 $era: $method " . json_text($refused) =~ s/"//gr);
        refused_as($era, 'other', $method, $allowed, 403, 403, "ACL-1 $era: $what with another token");
        passes_as($era, 'use', $method, { %$allowed, arguments => { name => 'no', uri => $no, taskId => 'no' } }, "ACL-1 $era: $method, whatever stands in its arguments") if $allowed->{name};
    }
}

# Methods that name nothing: allowed to one token, not to another.
for (
    ['initialize', { protocolVersion => '2025-11-25', capabilities => {}, clientInfo => { name => 'x', version => '1' } }, 'legacy'], ['ping', undef, 'legacy'],
    ['logging/setLevel', { level => 'info' }, 'legacy'], ['server/discover', {}, 'modern'],
    (map { [$_, { cursor => 'ok' }, 'legacy modern'] } 'tools/list', 'resources/list', 'resources/templates/list', 'prompts/list'), ['tasks/list', undef, 'legacy'],
    ['subscriptions/listen', listen_to(), 'modern'], ['subscriptions/listen', listen_to(toolsListChanged => \1, promptsListChanged => \1, resourcesListChanged => \1), 'modern'],
    ['x/known', { name => 'ok' }, 'legacy modern'],
) {
    my ($method, $params, $eras) = @$_;
    for my $era (split ' ', $eras) {
        passes_as($era, 'free', $method, $params, "ACL-1 $era: $method");
        refused_as($era, 'use', $method, $params, 403, 403, "ACL-1 $era: $method without its scope");
    }
}
for my $era (sort keys %eras) {
    refused_as($era, 'use free', 'x/never', {}, 403, 403, "ACL-1 $era: a method that no rule names");
    refused_as($era, 'use free', 'x/known2', {}, 403, 403, "ACL-1 $era: nor one whose begin a rule names");
    for my $method ('notifications/initialized', 'notifications/cancelled', 'notifications/progress', 'notifications/roots/list_changed', 'notifications/tasks/status', 'notifications/x') {
        next if $era eq 'modern' && $method =~ /initialized|roots|status/;
        passes_as($era, 'free', $method, { requestId => 1, progressToken => 1, progress => 1, taskId => 'no', status => 'working' }, "ACL-1 $era: $method", id => undef);
        refused_as($era, 'use', $method, { requestId => 1, taskId => 'no' }, 403, 403, "ACL-1 TRN-6 $era: $method without its scope", id => undef);
    }
    refused_as($era, 'use', 'tools/call', named('no'), 403, 403, "B12 $era: tools/call as a notification", id => undef) if $era eq 'legacy';
}

# Responses and verbs.
for my $text ('{"jsonrpc":"2.0","id":1,"result":{"name":"ok"}}', '{"jsonrpc":"2.0","id":"q","result":{}}', '{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}') {
    passes($backend, revision => '/operands', $text, "ACL-1 a response: $text", token => bearer('rev', 'free'));
    untouched $backend, 'ACL-1 a response', sub { refused_rpc(post(revision => '/operands', $text, token => bearer('rev', 'use')), 403, 403, undef, "ACL-1 TRN-6 a response without its scope: $text") };
}
for my $verb (qw(GET HEAD DELETE)) {
    $backend->clear;
    is http(revision => $verb => '/operands', token => bearer('rev', 'free'))->{code}, 200, "ACL-1 $verb";
    is scalar($backend->requests), 1, "ACL-1 $verb is proxied";
    untouched $backend, "ACL-1 $verb", sub {
        my $r = http(revision => $verb => '/operands', token => bearer('rev', 'use'));
        $verb eq 'HEAD' ? is $r->{code}, 403, 'ACL-1 HEAD without its scope' : answers_json($r, 403, 'insufficient_scope', "ACL-1 $verb without its scope");
    };
}

# --- ACL-2: exact
for my $era (sort keys %eras) {
    refused_as($era, 'use free', $_, named('ok'), 403, 403, "ACL-2 $era: method $_") for 'Tools/Call', 'tools/Call', 'TOOLS/CALL', 'tools/call/', 'tools/callx', 'tools//call';
    for my $name ('OK', 'Ok', 'ok ', ' ok', "ok\t", "ok\n", 'okk', 'o', "o\x{212a}", "\x{fb01}", 'ok*', '*', '\\*', "ok\x{200b}") {
        my $shown = json_text($name) =~ s/[^ -~]/?/gr;
        refused_as($era, 'use', 'tools/call', named($name), 403, 403, "ACL-2 ACL-8 $era: tool $shown");
    }
}
refused_as('legacy', 'use free', $_, named('ok'), 403, 403, 'ACL-2 legacy: method ' . json_text($_) =~ s/[^ -~]/?/gr) for ' tools/call', 'tools/call ', "tools/call\x{200b}", "tools/call\n";
refused_as('legacy', 'use', 'resources/read', at($_), 403, 403, "ACL-2 URI $_") for 'FILE:///ok', 'file:///OK', 'file:///ok/', 'file:///./ok', 'file://localhost/ok', 'file:///%6fk', 'file:///ok#x', 'file:///ok?', 'file:/ok';

# --- ACL-3, ACL-5: what is no operand
my @types = (7, 1.5, \1, \0, undef, [], ['ok'], {}, { name => 'ok' });
for my $era (sort keys %eras) {
    for my $case (['tools/call', 'name'], ['prompts/get', 'name'], ['resources/read', 'uri'], ['tasks/get', 'taskId'], ['tasks/cancel', 'taskId'], ['tasks/update', 'taskId']) {
        my ($method, $member) = @$case;
        refused_as($era, 'use', $method, { $member => $_ }, 400, -32602, "ACL-5 $era: $method, $member " . json_text($_)) for @types;
        refused_as($era, 'use', $method, { name2 => 'ok' }, 400, -32602, "ACL-5 $era: $method without $member");
    }
    for my $list (qw(resourceSubscriptions taskIds)) {
        my $good = $list eq 'taskIds' ? 'ok' : $ok;
        refused_as($era, 'use', 'subscriptions/listen', listen_to($list => [$good, $_]), 400, -32602, "ACL-3 $era: $list with " . json_text($_)) for @types;
        refused_as($era, 'use', 'subscriptions/listen', listen_to($list => $_), 400, -32602, "ACL-3 $era: $list is " . json_text($_)) for 7, \1, 'ok', {}, { 0 => $good };
    }
    for my $ref (undef, 'ok', [], {}, { type => 'ref/prompt' }, { type => 'ref/prompt', uri => $ok }, { type => 'ref/resource', name => 'ok' }, { type => 'ref/tool', name => 'ok' }, { type => ['ref/prompt'], name => 'ok' },
        { name => 'ok' }, { type => 'ref/prompt', name => { a => 'ok' } }, { type => 'ref/resource', uri => [$ok] }, { type => 'prompt', name => 'ok' }) {
        refused_as($era, 'use free', 'completion/complete', { ref => $ref, argument => { name => 'x', value => '' } }, 400, -32602, "ACL-5 $era: completion, ref " . json_text($ref));
    }
}

# --- ACL-4: one rule on X is enough for all that touches X, and nothing else opens it
for my $era (sort keys %eras) {
    for my $uri ('docs://a', 'docs://', 'docs://a/b c') {
        for (['resources/read' => at($uri)], ['completion/complete' => ref_to(resource => $uri)], ['subscriptions/listen' => resources($uri)], $era eq 'legacy' ? ['resources/subscribe' => at($uri)] : ()) {
            passes_as($era, 'readers', @$_, "ACL-4 $era: $_->[0] $uri by one rule");
            refused_as($era, 'use', @$_, 403, 403, "ACL-4 $era: $_->[0] $uri without it");
        }
    }
    for (['resources/read' => at('docs:/x')], ['completion/complete' => ref_to(resource => 'Docs://a')], ['subscriptions/listen' => resources('docs://a', 'x')]) {
        refused_as($era, 'readers', @$_, 403, 403, "ACL-4 $era: $_->[0] beside the rule");
    }
}

# --- ACL-6: tasks by method; the backend is told who asks
{
    my $carol = token(aud => 'https://mcp.test/rev', scope => 'tasks', sub => 'carol');
    for (['tasks/get' => task('of-alice')], ['tasks/result' => task('of-alice')], ['tasks/cancel' => task('of-alice')], ['tasks/update' => task('of-alice')], ['tasks/list' => undef],
        ['subscriptions/listen' => tasks('of-alice', 'b')]) {
        $backend->clear;
        is rpc(revision => '/operands', @$_, token => $carol, headers => ['X-Mcp-User' => 'alice'])->{code}, 200, "ACL-6 $_->[0] by \@tasks";
        is_deeply [map { $_->{headers}{'x-mcp-user'} } $backend->requests], ['carol'], "ACL-6 TRN-21 $_->[0]: the backend is told who asks";
        refused_as('legacy', 'use', @$_, 403, 403, "ACL-6 $_->[0] of another task") unless $_->[0] eq 'tasks/list';
    }
}

# --- ACL-7
for my $era (sort keys %eras) {
    passes_as($era, $_, 'resources/read', at('files://x'), "ACL-7 $era: $_ implies files:read") for 'files:admin', 'files:write', 'files:read';
    refused_as($era, $_, 'resources/read', at('files://x'), 403, 403, "ACL-7 $era: '$_' does not") for 'files:adm', 'files', 'files:admin2', 'FILES:ADMIN', '';
}

# --- ACL-8
for my $name ('a b', 'a/b', '*', "\x{fc}") {
    my $shown = json_text($name) =~ s/[^ -~]/?/gr;
    passes_as('legacy', 'names', 'tools/call', named($name), "ACL-8 name $shown");
    refused_as('legacy', 'use', 'tools/call', named($name), 403, 403, "ACL-8 name $shown with another token");
}
refused_as('legacy', 'names', 'tools/call', named($_), 403, 403, 'ACL-8 not ' . json_text($_) =~ s/[^ -~]/?/gr) for 'a  b', 'a%20b', 'a', 'x', '**', '\\*', "u\x{308}", "\x{dc}", "a\x{a0}b";
untouched $backend, 'ACL-8', sub {
    for my $text ('a\u0000b', '\u0000', 'ok\u0000', 'a\ud800b', '\udc00', '\ud800\u0041') {
        refused_rpc(post(revision => '/operands', qq({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"$text"}}), token => bearer('rev', 'use names')), 400, [-32700, -32600], 'any',
            "ACL-8 a NUL or half a character: $text");
        refused_rpc(post(revision => '/operands', qq({"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["$ok","$text"]}}}),
            token => bearer('rev', 'use')), 400, [-32700, -32600], 'any', "ACL-8 in a list: $text");
    }
};
no_crash($mark);

done_testing;
