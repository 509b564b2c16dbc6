# What two parsers could read differently is refused: threats.md 1.4, B02, B03, B05, B09, requirements.md RPC-6, ACL-8.
# The bodies that hold nothing of the kind arrive byte for byte.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use Encode ();
use Time::HiRes ();

my $backend = MCP::Backend->start(port('gate_backend'));
my $token = bearer('gate');
my $mark = log_mark();
my $utf8 = 'application/json; charset=utf-8';
my $bad = [-32700, -32600];

sub call { my ($params) = @_; qq({"jsonrpc":"2.0","id":1,"method":"tools/call","params":$params}) }
sub with { my ($members) = @_; qq({"jsonrpc":"2.0","id":1,"method":"tools/call",$members"params":{"name":"ok"}}) }
my $ok = call('{"name":"ok"}');

# --- refused
my @refused = (
    ['1.4 method twice' => '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"x"}}'],
    ['1.4 method twice, same value' => '{"jsonrpc":"2.0","id":1,"method":"ping","method":"ping"}'],
    ['1.4 method twice, once escaped' => '{"jsonrpc":"2.0","id":1,"method":"ping","m\u0065thod":"tools/call"}'],
    ['1.4 name twice' => call('{"name":"ok","name":"evil"}')],
    ['1.4 name twice, escaped first' => call('{"na\u006de":"evil","name":"ok"}')],
    ['1.4 params twice' => '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ok"},"params":{"name":"evil"}}'],
    ['B03 id twice' => '{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}'],
    ['B03 jsonrpc twice' => '{"jsonrpc":"2.0","id":1,"jsonrpc":"2.0","method":"ping"}'],
    ['B03 a member of arguments twice' => call('{"name":"ok","arguments":{"a":1,"b":{"c":1,"c":2}}}')],
    ['B03 a member of arguments twice, inside an array' => call('{"name":"ok","arguments":{"a":[[{"c":1,"c":1}]]}}')],
    ['B03 a member of _meta twice' => call('{"name":"ok","_meta":{"x":1,"x":2}}')],
    ['B03 an unknown member twice' => '{"jsonrpc":"2.0","id":1,"method":"ping","z":1,"z":1}'],
    ['B03 the empty name twice' => call('{"name":"ok","arguments":{"":1,"":2}}')],
    ['B03 uri twice' => '{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a","uri":"b"}}'],

    ['1.4 NUL byte after a number' => qq({"jsonrpc":"2.0","id":1\0,"method":"ping"})],
    ['1.4 NUL byte after true' => call(qq({"name":"ok","arguments":{"a":true\0}}))],
    ['1.4 NUL byte after null' => call(qq({"name":"ok","arguments":{"a":null\0}}))],
    ['1.4 NUL byte in a string' => call(qq({"name":"safe\0evil"}))],
    ['1.4 NUL byte at the end' => "$ok\0"],
    ['1.4 NUL byte in front' => "\0$ok"],
    ['1.4 ACL-8 \u0000 in a name' => call('{"name":"safe\u0000evil"}')],
    ['1.4 \u0000 in arguments' => call('{"name":"ok","arguments":{"a":"\u0000"}}')],
    ['1.4 \u0000 in a member name' => call('{"name":"ok","arguments":{"a\u0000":1}}')],
    ['1.4 UTF-8 BOM' => "\xef\xbb\xbf$ok"],
    (map { ["1.4 $_" => Encode::encode($_, $ok)] } qw(UTF-16LE UTF-16BE UTF-16 UTF-32LE UTF-32BE UTF-32)),
    ['1.4 UTF-16LE with BOM' => "\xff\xfe" . Encode::encode('UTF-16LE', $ok)],
    ['1.4 two documents' => "$ok$ok"],
    ['1.4 two documents on two lines' => "$ok\n$ok"],
    ['1.4 one document and ]' => "$ok]"],
    ['1.4 one document and a comma' => "$ok,"],
    ['1.4 one document and text' => "$ok x"],
    ['1.4 NaN' => call('{"name":"ok","arguments":{"a":NaN}}')],
    ['1.4 Infinity' => call('{"name":"ok","arguments":{"a":Infinity}}')],
    ['1.4 -Infinity' => call('{"name":"ok","arguments":{"a":-Infinity}}')],
    ['1.4 1e400' => call('{"name":"ok","arguments":{"a":1e400}}')],
    ['1.4 bad UTF-8 in a name' => call(qq({"name":"o\xffk"}))],
    ['1.4 overlong UTF-8' => call(qq({"name":"\xc0\xaf"}))],
    ['1.4 UTF-8 of a surrogate' => call(qq({"name":"\xed\xa0\x80"}))],
    ['1.4 UTF-8 beyond U+10FFFF' => call(qq({"name":"\xf4\x90\x80\x80"}))],
    ['1.4 cut UTF-8' => call(qq({"name":"\xe4\xb8"}))],
    ['1.4 bad UTF-8 in arguments' => call(qq({"name":"ok","arguments":{"a":"\x80"}}))],
    ['1.4 lone surrogate' => call('{"name":"\ud800"}')],
    ['1.4 lone low surrogate in arguments' => call('{"name":"ok","arguments":{"a":"\udc00"}}')],
    ['1.4 depth 3000' => call('{"name":"ok","arguments":{"a":' . '[' x 3000 . ']' x 3000 . '}}')],

    ['RPC-6 single quotes' => "{'jsonrpc':'2.0','id':1,'method':'ping'}"],
    ['RPC-6 a comment' => '{"jsonrpc":"2.0",/* */"id":1,"method":"ping"}'],
    ['RPC-6 trailing comma' => '{"jsonrpc":"2.0","id":1,"method":"ping",}'],
    ['RPC-6 leading zero' => '{"jsonrpc":"2.0","id":01,"method":"ping"}'],
    ['RPC-6 plus sign' => '{"jsonrpc":"2.0","id":+1,"method":"ping"}'],
    ['RPC-6 hexadecimal' => '{"jsonrpc":"2.0","id":0x1,"method":"ping"}'],
    ['RPC-6 raw line end in a string' => call(qq({"name":"o\nk"}))],
    ['RPC-6 unknown escape' => call('{"name":"o\x6b"}')],
    ['RPC-6 vertical tab between' => qq({"jsonrpc":"2.0",\x0b"id":1,"method":"ping"})],
    ['RPC-6 no-break space between' => qq({"jsonrpc":"2.0",\xc2\xa0"id":1,"method":"ping"})],
    ['RPC-6 cut short' => '{"jsonrpc":"2.0","id":1,"method":"ping"'],
    ['RPC-6 cut in a string' => '{"jsonrpc":"2.0","id":1,"method":"pi'],
    ['RPC-6 no JSON' => 'hello'],
    ['RPC-6 a form' => 'jsonrpc=2.0&id=1&method=ping'],
);
untouched $backend, 'threats 1.4', sub {
    for (@refused) {
        my ($name, $text) = @$_;
        refused_rpc(post(gate => '/mcp', $text, token => $token, headers => ['Content-Type', $utf8]), 400, $bad, 'any', $name);
    }
};
untouched $backend, 'RPC-9', sub {
    for ('{"jsonrpc":"2.0","id":1', 'hello', "$ok$ok", '', ' ', "\xef\xbb\xbf{}") {
        refused_rpc(post(gate => '/mcp', $_, token => $token), 400, -32700, undef, 'RPC-9 no id for ' . substr json_text($_), 0, 30);
    }
};

# --- B02: case variants of what the gate reads, beside the real member
sub casings {
    my $name = shift;
    my @all = ('');
    for my $c (split //, $name) { @all = map { my $a = $_; map { "$a$_" } lc $c eq uc $c ? $c : (lc $c, uc $c) } @all }
    return grep { $_ ne $name } @all;
}
my $short_s = "\xc5\xbf";       # U+017F, folds to s
my $kelvin  = "\xe2\x84\xaa";   # U+212A, folds to k
untouched $backend, 'B02', sub {
    for my $name (qw(jsonrpc id method params name uri)) {
        my (@top, @deep);
        for my $v (casings($name)) {
            my $r = post(gate => '/mcp', with(qq("$v":"tools/list",)), token => $token);
            push @top, "$v: $r->{code}" if $r->{code} != 400;
            $r = post(gate => '/mcp', call(qq({"name":"ok","$v":"evil"})), token => $token);
            push @deep, "$v: $r->{code}" if $r->{code} != 400;
        }
        is_deeply \@top, [], "B02 every casing of $name beside the message's members";
        is_deeply \@deep, [], "B02 every casing of $name in params";
    }
    my @variant = (
        ['param\u017f' => with('"param\u017f":{"name":"evil"},')],
        ["params with U+017F" => with(qq("param$short_s":{"name":"evil"},))],
        ["jsonrpc with U+017F" => with(qq("j${short_s}onrpc":"2.0",))],
        ["PARAM and U+017F" => with(qq("PARAM$short_s":{"name":"evil"},))],
        ["result with U+017F" => with(qq("re${short_s}ult":{},))],
        ['Error' => with('"Error":{},')],
        ['M\u0065thod' => with('"M\u0065thod":"ping",')],
        ['taskId with U+212A' => qq({"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"a","tas${kelvin}Id":"b"}})],
        ['TaskId' => '{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"a","TaskId":"b"}}'],
        ['taskid' => '{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"a","taskid":"b"}}'],
        ['Ref' => '{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"a"},"Ref":{}}}'],
        ['Name in ref' => '{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"a","Name":"b"}}}'],
        ['TYPE in ref' => '{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","TYPE":"ref/resource","name":"a","uri":"b"}}}'],
        ['Notifications' => '{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{},"Notifications":{"taskIds":["a"]}}}'],
        ['ResourceSubscriptions' => '{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"ResourceSubscriptions":["a"]}}}'],
        ['resourcesubscriptions' => '{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":[],"resourcesubscriptions":["a"]}}}'],
        ['TaskIds' => '{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"TaskIds":["a"]}}}'],
        ['_Meta' => call('{"name":"ok","_Meta":{}}')],
        ['IO.modelcontextprotocol/protocolVersion' => call('{"name":"ok","_meta":{"IO.modelcontextprotocol/protocolVersion":"2026-07-28"}}')],
        ['…/ProtocolVersion' => call('{"name":"ok","_meta":{"io.modelcontextprotocol/ProtocolVersion":"2026-07-28"}}')],
    );
    refused_rpc(post(gate => '/mcp', $_->[1], token => $token), 400, $bad, 'any', "B02 $_->[0]") for @variant;
    for (qw(METHOD Method)) {
        my $text = qq({"jsonrpc":"2.0","id":1,"$_":"tools/call","params":{"name":"ok"}});
        refused_rpc(post(gate => '/mcp', $text, token => $token), 400, $bad, 'any', "B02 $_ in place of method");
    }
};

# --- what must pass, as it is
for (
    ['names inside arguments are free' => call('{"name":"ok","arguments":{"Name":1,"METHOD":2,"name":3,"Params":{"ID":1,"id":2},"uri":4,"URI":5}}')],
    ['white space around' => " \t\r\n$ok \r\n\t"],
    ['white space between' => "{ \"jsonrpc\" :\t\"2.0\" ,\n\"id\": 1 , \"method\":\"ping\" }"],
    ['escapes' => '{"jsonrpc":"2.0","id":1,"m\u0065thod":"t\u006fols\/call","params":{"n\u0061me":"\u006f\u006b"}}'],
    ['a surrogate pair' => call('{"name":"\ud83d\ude00"}')],
    ['UTF-8' => call(qq({"name":"\xe4\xb8\x96\xe7\x95\x8c","arguments":{"\xf0\x9f\x98\x80":"\xc3\xa9"}}))],
    ['an integer over int64' => call('{"name":"ok","arguments":{"a":123456789012345678901234567890,"b":-9223372036854775809}}')],
    ['numbers as they are written' => call('{"name":"ok","arguments":{"a":1.0,"b":-0,"c":1E+2,"d":0.10,"e":1e-300}}')],
    ['unknown members' => '{"jsonrpc":"2.0","id":1,"method":"tools/call","x":[{"y":null}],"params":{"name":"ok","cursor":"a"}}'],
    ['the same member in two objects' => call('{"name":"ok","arguments":{"a":{"b":1},"c":{"b":1}}}')],
    ['order and empty containers' => call('{"arguments":{"z":{},"y":[],"x":""},"name":"ok"}')],
    ['control characters as escapes' => call('{"name":"ok","arguments":{"a":"\u0001\u001f\u007f\b\f"}}')],
    ['the name of no tool anybody knows' => call('{"name":" tools/call\u200b"}')],
) {
    passes($backend, gate => '/mcp', $_->[1], "RPC-7 byte for byte: $_->[0]", token => $token);
}

# --- 1.4: exact comparison of decoded strings
passes($backend, gate => '/acl', '{"jsonrpc":"2.0","id":1,"method":"tools\/call","params":{"name":"\u006fk"}}',
    '1.4 decoded strings are compared', token => $token);
untouched $backend, '1.4 exact', sub {
    for my $m (' tools/call', 'tools/call ', "tools/call\x{200b}", "tools/call\x{301}", 'Tools/Call', 'TOOLS/CALL', 'tools//call', 'tools%2fcall',
        'tools/call/', "tools/call\n", 'tools\\call') {
        (my $show = json_text($m)) =~ s/[^ -~]+/?/g;
        refused(post(gate => '/acl', rpc_body($m, { name => 'ok' }), token => $token), 403, "1.4 method $show is no tools/call");
    }
    for my $n ('OK', ' ok', 'ok ', "ok\x{200b}", 'o', 'okk', '*', "o\x{212a}") {
        (my $show = json_text($n)) =~ s/[^ -~]+/?/g;
        refused(post(gate => '/acl', rpc_body('tools/call', { name => $n }), token => $token), 403, "1.4 tool $show is not ok");
    }
};

# --- depth: the top-level container has depth 1
sub deep { my ($depth, $open, $close) = @_; call('{"name":"ok","arguments":{"a":' . $open x ($depth - 3) . '1' . $close x ($depth - 3) . '}}') }
for ([64, '/mcp'], [8, '/mcp/shallow']) {
    my ($limit, $path) = @$_;
    for (['[', ']'], ['{"a":', '}'], ['[{"a":', '}]']) {
        my ($open, $close) = @$_;
        my $step = $open eq '[{"a":' ? 2 : 1;
        my $n = $step == 2 ? ($limit - 3) / 2 : 0;
        next if $step == 2 && $n != int $n;
        my $at = $step == 2 ? 3 + $n : $limit;
        passes($backend, gate => $path, deep($at, $open, $close), "B05 depth $limit of $open passes at $path", token => $token);
        untouched $backend, "B05 depth one above at $path", sub {
            refused_rpc(post(gate => $path, deep($at + 1, $open, $close), token => $token), 400, $bad, 'any', "B05 depth one above $limit of $open at $path");
        };
    }
}
passes($backend, gate => '/mcp', call('{"name":"ok","arguments":{"a":"' . '[' x 1000 . '\"' . '{' x 1000 . '"}}'), 'B05 brackets in a string are no depth',
    token => $token);

# --- cost
sub quick {
    my ($text, $code, $name) = @_;
    my ($r, $seconds);
    for (1 .. 3) {    # one in time will do
        my $start = Time::HiRes::time();
        $r = post(gate => '/mcp', $text, token => $token);
        $seconds = Time::HiRes::time() - $start;
        last if $seconds < 5;
    }
    refused($r, $code, $name);
    cmp_ok $seconds, '<', 5, "$name: quick";
}
untouched $backend, 'B05 B09', sub {
    quick('[' x 100_000 . ']' x 100_000, 400, 'B05 200 kB of brackets');
    quick('[' x 100_000, 400, 'B05 100,000 open brackets');
    quick(deep(100_003, '{"a":', '}'), 400, 'B05 depth 100,000');
    quick(call('{"name":"ok","arguments":{' . join(',', map { sprintf '"k%05d":1', $_ } 1 .. 95_000) . ',"k00001":2}}'), 400,
        'B09 95,000 members and one of them twice');
    quick(call('{"name":7,"arguments":{' . join(',', map { sprintf '"k%05d":1', $_ } 1 .. 95_000) . '}}'), 400, 'B09 95,000 members, bad name');
    quick(call('{"name":"' . 'a' x 1_000_000 . '"}') . 'x', 400, 'B09 a string of 1 MB and trailing data');
    quick(call('{"name":"ok","arguments":{"a":"' . '\u0041' x 170_000 . '"}}') . ']', 400, 'B09 1 MB of escapes');
    quick(call('{"name":"ok","arguments":{"a":[' . '0,' x 500_000 . '0]}}') . ']', 400, 'B09 500,000 numbers');
    quick('{"jsonrpc":"2.0","id":"' . 'a' x 1_000_000 . '","method":"tools/call","params":{}}', 400, 'B09 an id of 1 MB');
    quick('9' x 1_000_000, 400, 'B09 a number of 1 MB');
};
for (
    ['95,000 members' => call('{"name":"ok","arguments":{' . join(',', map { sprintf '"k%05d":1', $_ } 1 .. 95_000) . '}}')],
    ['a string of 1 MB' => call('{"name":"ok","arguments":{"a":"' . 'a' x 1_000_000 . '"}}')],
) {
    my $seconds = 99;
    for my $try (1 .. 3) {    # one in time will do
        my $start = Time::HiRes::time();
        passes($backend, gate => '/mcp', $_->[1], "B09 $_->[0] pass", token => $token);
        $seconds = Time::HiRes::time() - $start;
        last if $seconds < 8;
    }
    cmp_ok $seconds, '<', 8, "B09 $_->[0]: quick";
}
is status_of(gate => '/mcp', $token), 200, 'the server still answers';
no_crash($mark);

done_testing;
