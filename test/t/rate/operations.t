# McpOAuthRateLimit with operations, several lines, batches, sections.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Rate;
use Time::HiRes qw(time);

my $backend = MCP::Backend->start(port('rate_backend'));
my $mark = log_mark();
my $where = 'rate';
sub tool { my ($path, $t, @names) = @_; codes(map { call($where, $path, $t, $_) } @names) }
sub verb { my ($verb, $path, $t) = @_; http($where, $verb => $path, token => $t) }
sub read_of { my ($t, $uri) = @_; rpc($where, '/ops', 'resources/read', { uri => $uri }, token => $t) }

# --- each operation that is written has a bucket of its own
{
    my $t = user();
    is tool('/ops', $t, qw(a a a b b b)), '200 200 429 200 200 429', 'two operations in a line have two buckets';
    is tool('/ops', $t, qw(x1 x2 x3 x4 x)), '200 200 200 429 429', 'a pattern has one, for all that it matches';
    is tool('/ops', $t, ('c') x 8), join(' ', (200) x 8), 'what no line names has no limit';
    is codes(map { rpc($where, '/ops', $_, {}, token => $t) } qw(tools/list prompts/list resources/list)), '200 429 429', 'a group has one, for all of it';
    is codes(map { verb($_, '/ops', $t) } qw(GET HEAD GET HEAD)), '200 200 429 429', 'GET covers HEAD';
    is codes(verb(DELETE => '/ops', $t), verb(DELETE => '/ops', $t)), '200 429', 'DELETE';
    is codes(map { post($where, '/ops', '{"jsonrpc":"2.0","id":1,"result":{}}', token => $t) } 1, 2), '202 429', 'response';
    is codes(map { rpc($where, '/ops', $_, undef, id => undef, token => $t) } 'notifications/initialized', 'notifications/cancelled'), '202 429', 'a pattern of methods';
    is codes(read_of($t, 'file:///docs/a'), read_of($t, 'file:///etc/x'), read_of($t, 'file:///docs/b'), read_of($t, 'file:///docs/c'), read_of($t, 'file:///etc/x')), '200 200 200 429 200', 'an object, read';
    is rpc($where, '/ops', 'resources/subscribe', { uri => 'file:///docs/d' }, token => $t)->{code}, 429, 'an object, by another method';
    is tool('/ops', $t, 'with space', 'with space'), '200 429', 'a method with an object';
    my $u = user();
    my $r = (map { call($where, '/ops', $u, 'a') } 1 .. 3)[2];
    limited_rpc($r, '1', 1800, 'over the limit of an operation');
    is rpc($where, '/ops', 'completion/complete', { ref => { type => 'ref/resource', uri => 'file:///docs/a' }, argument => { name => 'x', value => '' } }, token => $u)->{code}, 200, 'a reference to it';
    is codes(read_of($u, 'file:///docs/a'), read_of($u, 'file:///docs/a')), '200 429', 'costs as well';
}

# --- subscriptions/listen counts as such, whatever it names, and as what it names
{
    my $t = user();
    my $listen = sub { rpc($where, '/listen', 'subscriptions/listen', { notifications => { resourceSubscriptions => [@_] } }, token => $t) };
    is codes(map { $listen->($_) } qw(file:///a file:///b file:///c)), '200 200 429', 'subscriptions/listen with entries';
    $t = user();
    is codes($listen->(map { "file:///many/$_" } 1 .. 20)), 200, 'many entries of one message cost one';
    is codes(map { rpc($where, '/listen', 'resources/read', { uri => "file:///many/$_" }, token => $t) } 1 .. 5), '200 200 200 200 429', 'and that much is taken';
}

# --- several lines: all must fit, and who is refused by one takes nothing from the others
for my $path ('/both', '/reverse', '/both/reverse') {
    my $t = user();
    is tool($path, $t, qw(a a a a a a)), '200 200 429 429 429 429', "several lines at $path: the narrow one refuses";
    is tool($path, $t, qw(b b b b b)), '200 200 200 200 429', "several lines at $path: which has taken nothing from the wide one";
    is tool($path, $t, 'a'), '429', "several lines at $path: now both refuse";
}
{
    # The wide one is empty for three seconds. Whoever it refuses must not have paid to the narrow ones, neither the one before nor the one behind.
    my ($done, $tries) = (0, 0);
    while (!$done && $tries++ < 5) {
        my $t = user();
        my $begin = time;
        my @codes = (call($where, '/giveback', $t, 'a')->{code}, map { call($where, '/giveback', $t, 'a')->{code} } 1 .. 3);
        next if time - $begin > 2.8;    # too slow a machine: one may have come back meanwhile
        is "@codes", '200 429 429 429', 'giving back: the line in the middle refuses';
        ok wait_for(30, sub { call($where, '/giveback', $t, 'a')->{code} == 200 }), 'giving back: after a while the second passes';
        for my $tool (qw(a b)) {
            my $r = call($where, '/giveback', $t, $tool);
            limited_rpc($r, '1', 1800, "giving back: and now the narrow ones are empty, $tool");
            cmp_ok header($r, 'Retry-After'), '>', 60, "giving back: and now the narrow ones are empty, $tool: come again when all fit";
        }
        $done = 1;
    }
    ok $done, 'giving back: there was time for it';
}

# --- batches
{
    my @old = ('MCP-Protocol-Version' => '2025-03-26');
    my $batch = sub { my ($path, $t, @tools) = @_; post($where, $path, '[' . join(',', map { my $i = $_; $tools[$i] =~ /^-/ ? rpc_body('notifications/initialized', undef, id => undef) : rpc_body('tools/call', { name => $tools[$i] }, id => $i + 1) } 0 .. $#tools) . ']', token => $t, headers => [@old]) };
    my $t = user();
    $backend->clear;
    is $batch->('/batch', $t, qw(a b c))->{code}, 200, 'a batch of three of five passes';
    my $r = $batch->('/batch', $t, qw(a b c));
    refused_rpc($r, 429, 429, undef, 'a batch of three more does not');
    is retry_after($r, 3600), '', 'it says when to come again';
    is_deeply [headers($r, 'WWW-Authenticate')], [], 'without a challenge';
    is $batch->('/batch', $t, qw(a b))->{code}, 200, 'and has cost nothing: two pass';
    is $batch->('/batch', $t, 'a')->{code}, 429, 'then nothing';
    is call($where, '/batch', $t)->{code}, 429, 'nor a single message';
    is_deeply [map { scalar @{ json($_->{body}) } } $backend->requests], [3, 2], 'H08 the backend saw those two';
    my $u = user();
    for (1, 2) {
        $r = $batch->('/batch', $u, qw(a b c d e f));
        refused_rpc($r, 429, 429, undef, 'more messages than N never pass');
    }
    is $batch->('/batch', $u, qw(a b c d e))->{code}, 200, 'but N at once do';
    is call($where, '/batch', $u)->{code}, 429, 'and that is all';
    my $v = user();
    is $batch->('/batch', $v, 'a', '-', '-')->{code}, 200, 'notifications in a batch';
    is $batch->('/batch', $v, '-', '-', '-')->{code}, 429, 'cost as well';
    is post($where, '/batch', '[{"jsonrpc":"2.0","id":1,"result":{}},{"jsonrpc":"2.0","id":2,"result":{}}]', token => $v, headers => [@old])->{code} =~ /^20[02]$/, 1, 'responses in a batch';
    is call($where, '/batch', $v)->{code}, 429, 'too';

    my $w = user();
    is $batch->('/batchops', $w, qw(a b a b b))->{code}, 200, 'operations in a batch: two of three';
    is $batch->('/batchops', $w, qw(b a a))->{code}, 429, 'operations in a batch: two more are too many';
    is $batch->('/batchops', $w, qw(b b b b a))->{code}, 200, 'operations in a batch: one more is not';
    is tool('/batchops', $w, 'a'), '429', 'operations in a batch: a single one after that';
    is tool('/batchops', $w, 'b'), '200', 'operations in a batch: what has another limit passes';
    is $batch->('/batchops', $w, qw(- -))->{code} =~ /^20[02]$/, 1, 'operations in a batch: notifications';
    is $batch->('/batchops', $w, '-', 'b')->{code}, 429, 'operations in a batch: are limited by themselves';
}

# --- sections
{
    my $t = user();
    my @r = map { http($where, GET => "/share/$_", token => $t) } qw(one two one two one two);
    is codes(@r), '200 200 200 429 429 429', 'two sections of one resource with the same line share a bucket';
    passes_n(3, sub { http($where, GET => '/share/three', token => $t) }, 'one of another resource has its own');
    my $u = user();
    is codes(map { verb(GET => '/outer/inner', $u) } 1 .. 3), '200 200 429', 'an inner section adds a line';
    is codes(map { verb(GET => '/outer', $u) } 1 .. 4), '200 200 200 429', 'the line of the outer one holds for both, and what was refused inside has cost nothing there';
    my $v = user();
    is codes(map { verb(GET => '/outer', $v) } 1 .. 4), '200 200 200 200', 'outside first';
    is codes(map { verb(GET => '/outer/inner', $v) } 1 .. 2), '200 429', 'then inside: the outer line holds there';
    my $w = user();
    is codes(map { verb(DELETE => '/outer/inner/deep', $w) } 1 .. 2), '200 429', 'three deep: the innermost line';
    is codes(map { verb(GET => '/outer/inner/deep', $w) } 1 .. 2), '200 429', 'three deep: the one in the middle';
    is codes(map { verb(GET => '/outer', $w) } 1 .. 4), '200 200 200 429', 'three deep: the outermost';
    my $x = user();
    my $n = () = codes(map { verb(GET => '/outer/again', $x) } 1 .. 8) =~ /200/g;
    ok $n == 5, 'the same line inside again is the same bucket, and is paid once' or diag "$n passed";
}
no_crash($mark);

done_testing;
