# McpOAuthFilterLists: what a token may not use it does not see. Answers in JSON: requirements.md LST-1 to LST-5, threats.md B13.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Stream;
use MCP::Gate;
use IO::Compress::Gzip ();
use IO::Uncompress::Gunzip ();

my $backend = MCP::Stream->start(port('revision_backend'));
my $mark = log_mark();
my @json = ('Content-Type', 'application/json');
my ($reader, $writer, $both, $none) = map { bearer('rev', $_) } 'read', 'write', 'read write', 'other';
my $n = 0;

# The method of each list, the member it is in, and the member that names its elements.
my %lists = (
    tools => ['tools/list', 'name'], resources => ['resources/list', 'uri'], prompts => ['prompts/list', 'name'], resourceTemplates => ['resources/templates/list', 'uriTemplate'],
);
sub request { my ($method, %opt) = @_; my $era = delete $opt{era} // 'legacy'; ($era eq 'modern' ? modern_post(revision => delete $opt{path}, $method, {}, %opt) : rpc(revision => delete $opt{path}, $method, {}, %opt)) }
# The backend answers with this text; what the token gets to see.
sub sees {
    my ($token, $method, $text, %opt) = @_;
    my $place = delete $opt{place} // '/lists';
    my ($status, @headers) = (delete $opt{status} // '200 OK', @{ delete $opt{answer} // [@json] });
    my $path = "$place/q" . $n++;
    $backend->answers($path, $status, [@headers], $text);
    my $r = request($method, path => $path, token => $token, %opt);
    $r->{path} = $path;
    return $r;
}
# Byte for byte.
sub gets {
    my ($token, $method, $text, $want, $name, %opt) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $r = sees($token, $method, $text, %opt);
    is $r->{body}, $want, $name or diag "$r->{code}";
    return $r;
}
# Refused as unreadable, and nothing of what is hidden is told.
sub unreadable {
    my ($token, $method, $text, $name, %opt) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $r = sees($token, $method, $text, %opt);
    refused_rpc($r, 502, -32603, '1', "$name: 502");
    unlike "$r->{raw_head}$r->{body}", qr/write_|priv|secret/, "$name: and no name of a hidden thing";
    like header($r, 'X-Env') // '', qr/\|list-unreadable$/, "$name: the environment tells the reason";
    return $r;
}

# --- LST-1, LST-4, LST-5: texts of unusual form, with what each token sees
sub element { my ($member, $name, $more) = @_; qq({ "$member" :"$name", "description":"\\u00e9 \xc3\xa9 \\/",$more"x-1":[1.50,1e2,-0,12345678901234567890] ,"_meta":{"k":null} }) }
my %names = (
    tools => ['read_a', 'write_x', 'read_b', 'write_y'], prompts => ['hello', 'secret', 'hello', 'secret'],
    resources => ['file:///pub/a', 'file:///priv/x', 'file:///pub/b', 'file:///priv/y'],
    resourceTemplates => ['file:///pub/{a}', 'file:///priv/{x}', 'file:///pub/{b}/{c}', 'file:///priv/{?y}'],
);
sub whole {
    my ($list, @elements) = @_;
    return qq({\n"jsonrpc" : "2.0" ,"result":{"nextCursor":"c\\u002b 1","ttlMs": 3.0e5,"_meta":{"a":{"$list":[{"name":"write_x"}]}},\t"$list":[) . join(',', @elements)
        . qq(],"resultType":"complete","unknown":{"tools":[{"name":"write_x"}]}},"id":1}\r\n);
}
for my $list (sort keys %lists) {
    my ($method, $member) = @{ $lists{$list} };
    my @all = map { element($member, $_, '"arguments":[{"name":"write_x","uri":"file:///priv/x"}],') } @{ $names{$list} };
    my $text = whole($list, @all);
    for my $era ('legacy', 'modern') {
        my @era = (era => $era);
        gets($both, $method, $text, $text, "LST-4 $era $list: who may use all gets the very bytes", @era);
        my $r = gets($reader, $method, $text, whole($list, @all[0, 2]), "LST-1 LST-4 LST-5 $era $list: one token sees its own, in order, all other bytes as they were", @era);
        is header($r, 'Content-Length'), length $r->{body}, "LST-4 $era $list: Content-Length is that of the new text";
        is $r->{code}, 200, "LST-4 $era $list: the status of the backend";
        gets($writer, $method, $text, whole($list, @all[1, 3]), "LST-1 B13 $era $list: another token sees others", @era);
        gets($none, $method, $text, whole($list), "LST-4 $era $list: everything hidden gives []", @era);
        gets($_, $method, whole($list), whole($list), "LST-4 $era $list: [] stays []", @era) for $reader, $none;
    }
    my %seen;
    $seen{ sees($reader, $method, $text)->{body} }++ for 1 .. 10;
    is_deeply [values %seen], [10], "LST-1 $list: the same token sees the same each time";
    $seen{ sees(token(aud => 'https://mcp.test/rev', scope => 'read', sub => 'bob', jti => "j$_"), $method, $text)->{body} }++ for 1 .. 3;
    is_deeply [values %seen], [13], "LST-1 $list: and so does every token with the same scopes";
    is sees($reader, $method, $text, headers => $_)->{body}, whole($list, @all[0, 2]), "LST-1 $list: whatever else it sends" for ['Accept', 'application/json'], ['Accept', '*/*'], ['MCP-Protocol-Version', '2025-06-18'], ['Range', 'bytes=0-9'];

    # what cannot be judged is not shown
    my $good = $all[0];
    for (
        ['a name that is a number' => qq({"$member":7})], ['no name' => '{"description":"write_x"}'], ['null' => 'null'], ['a string' => '"write_x"'], ['an array' => qq(["$names{$list}[0]"])],
        ['a name twice' => qq({"$member":"$names{$list}[0]","$member":"$names{$list}[1]"})], ['a name twice, the other order' => qq({"$member":"$names{$list}[1]","$member":"$names{$list}[0]"})],
        ['a misspelt name beside it' => qq({"$member":"$names{$list}[0]","\u$member":"$names{$list}[1]"})], ['a NUL in the name' => qq({"$member":"$names{$list}[0]\\u0000"})],
        ['half a character in the name' => qq({"$member":"$names{$list}[0]\\ud800"})],
    ) {
        gets($both, $method, whole($list, $good, $_->[1]), whole($list, $good), "LST-4 B13 $list: $_->[0] is not shown");
    }
    (my $escaped = $good) =~ s/\Q$names{$list}[0]\E/my $u = $names{$list}[0]; join '', map { sprintf '\\u%04x', ord } split m{}, $u/e;
    gets($reader, $method, whole($list, $escaped), whole($list, $escaped), "LST-5 $list: a name with escapes is what it stands for, and stays as it is written");
    (my $hidden = $all[1]) =~ s/("$member" :")(.)/$1 . sprintf '\\u%04x', ord $2/e;
    gets($reader, $method, whole($list, $hidden), whole($list), "B13 $list: a hidden name with escapes is hidden");
    gets($reader, $method, qq({"jsonrpc":"2.0","id":1,"result":{"\\u00$_->[0]$_->[1]":[$all[1],$good]}}), qq({"jsonrpc":"2.0","id":1,"result":{"\\u00$_->[0]$_->[1]":[$good]}}), "B13 $list: so are those of a list whose own name has escapes")
        for [sprintf('%02x', ord $list), substr $list, 1];

    # --- LST-2
    for (['"public"', '"private"'], ['"private"', '"private"'], ['"\u0070ublic"', '"private"'], ['"Public"', '"private"'], ['"shared"', '"private"'], ['7', '"private"'], ['null', '"private"']) {
        my ($scope, $want) = @$_;
        for my $case ([$reader, [@all], [@all[0, 2]], 'something hidden'], [$both, [@all], [@all], 'nothing hidden'], [$none, [], [], 'an empty list']) {
            my ($token, $from, $to, $what) = @$case;
            my @texts = map { my ($elements, $s) = @$_; qq({"jsonrpc":"2.0","id":1,"result":{"cacheScope" : $s,"$list":[) . join(',', @$elements) . '],"ttlMs":60000}}' } [$from, $scope], [$to, $want];
            gets($token, $method, @texts, "LST-2 $list: cacheScope $scope, $what", era => 'modern');
        }
    }
    my $page = whole($list, @all) =~ s/"ttlMs"/"cacheScope":"public","ttlMs"/r;
    like sees($reader, $method, $page)->{body}, qr/"nextCursor":"c\\u002b 1","cacheScope":"private"/, "LST-2 $list: on a page that is not the last";
}

{
    my $path = '/lists/shared';
    $backend->answers($path, '200 OK', [@json, 'Cache-Control', 'max-age=60'], whole('tools', map { element('name', $_, '') } @{ $names{tools} }));
    my $c = dial('revision');
    my @seen = map { json(rpc(revision => $path, 'tools/list', {}, token => $_, on => $c)->{body})->{result}{tools} } ($reader, $writer, $none) x 4;
    is_deeply [map { join ' ', map { $_->{name} } @$_ } @seen], [('read_a read_b', 'write_x write_y', '') x 4], 'LST-1 LST-3 tokens in turn on one connection: each its own list, never that of another';
}

# --- templates: shown if any of their expansions is allowed
for (['file:///pub/{+path}', 1], ['file:///{dir}/x', 1], ['{+all}', 1], ['{scheme}:///pub/x', 1], ['file:///pub/fixed', 1], ['file:///{a}{b}', 1], ['file:///pu{x}', 1], ['file:///pub{/path*}', 1],
    ['file:///priv/{x}', 0], ['http://{host}/pub/x', 0], ['file:///pub', 0], ['file:///x{y}/priv', 0], ['FILE:///pub/{x}', 0], ['urn:{x}', 0], ['{x}:', 1], ['', 0]) {
    my ($template, $shown) = @$_;
    my $element = qq({"uriTemplate":"$template","name":"t"});
    gets($reader, 'resources/templates/list', qq({"jsonrpc":"2.0","id":1,"result":{"resourceTemplates":[$element]}}), qq({"jsonrpc":"2.0","id":1,"result":{"resourceTemplates":[) . ($shown ? $element : '') . ']}}',
        "LST-4 template $template is " . ($shown ? 'shown' : 'hidden'));
}

# --- server/discover: what one has no right to is not offered
my %offer = (tools => '{"listChanged":true}', resources => '{"subscribe":true , "listChanged":true}', prompts => '{}', completions => '{}', logging => '{}', experimental => '{"prompts":{}}');
sub discover {
    my (@features) = @_;
    return qq({"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2026-07-28"],"capabilities":{) . join(',', map { qq("$_":$offer{$_}) } @features)
        . qq(},"serverInfo":{"name":"x" , "version":"1"},"instructions":"use \\"prompts\\"","ttlMs":3600000,"cacheScope":"private","_meta":{"capabilities":{"prompts":{}}}}});
}
my @offered = qw(prompts tools experimental resources completions logging);
for (
    ['all of it' => 'read write', '/lists', @offered], ['completion of the prompts one may use' => 'read', '/lists', @offered],
    ['no completion' => 'other', '/lists', grep { $_ ne 'completions' } @offered],
    ['all of it, by *' => 'other', '/lists/all', @offered],
) {
    my ($what, $scope, $place, @want) = @$_;
    gets(bearer('rev', $scope), 'server/discover', discover(@offered), discover(@want), "LST-4 server/discover, $what", place => $place, era => 'modern');
}
{
    # Only the begin of a session and one kind of tools.
    my $r = sees($none, 'server/discover', discover(@offered), place => '/streams/filtered', era => 'modern');
    my $capabilities = eval { json($r->{body})->{result}{capabilities} } || {};
    ok !exists $capabilities->{completions}, 'B13 server/discover: no right to completion, so no capabilities.completions';
    ok exists $capabilities->{tools}, 'LST-4 server/discover: capabilities.tools stays';
    ok exists $capabilities->{experimental}, 'LST-4 server/discover: and so does what no rule is about';
    my $only = sees($none, 'server/discover', discover(@offered), place => '/discover', era => 'modern');
    $capabilities = eval { json($only->{body})->{result}{capabilities} } || {};
    is_deeply [sort keys %$capabilities], ['experimental', 'tools'], 'B13 server/discover with a right to tools alone: no prompts, resources, completions, logging';
    is_deeply [json($only->{body})->{result}{_meta}], [{ capabilities => { prompts => {} } }], 'LST-5 server/discover: _meta is not touched';
    like sees($none, 'server/discover', discover('tools') =~ s/"private"/"public"/r, place => '/discover', era => 'modern')->{body}, qr/"cacheScope":"private"/, 'LST-2 server/discover: cacheScope';
    gets($none, 'initialize', discover(@offered), discover(@offered), 'LST-4 the answer to initialize is no list', place => '/lists');
}

# --- hidden is not all: it is refused as well
for (['tools/call', { name => 'write_x' }], ['resources/read', { uri => 'file:///priv/x' }], ['prompts/get', { name => 'secret' }]) {
    untouched $backend, 'LST-4', sub { refused_rpc(rpc(revision => '/lists', @$_, token => $reader), 403, 403, '1', "LST-4 B13 what is hidden is still refused: $_->[0]") };
    is rpc(revision => '/lists', @$_, token => $writer)->{code}, 200, "LST-4 and allowed to who sees it: $_->[0]";
}

# --- what is no list passes
my $tools = '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"read_a"},{"name":"write_x"}],"cacheScope":"public"}}';
for (
    ['a structured result' => 'tools/call', '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"write_x"}],"structuredContent":{"tools":[{"name":"write_x"}],"cacheScope":"public"}}} '],
    ['a resource' => 'resources/read', '{"jsonrpc":"2.0","id":1,"result":{"contents":[{"uri":"file:///priv/x","text":"{\"tools\":[{\"name\":\"write_x\"}]}"}]}}'],
    ['an error with data' => 'tools/list', '{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"x","data":{"tools":[{"name":"write_x"}]}}} '],
    ['a task' => 'tasks/get', '{"jsonrpc":"2.0","id":1,"result":{"taskId":"t","status":"working"}}'],
    ['an empty result' => 'ping', '{"jsonrpc":"2.0","id":1,"result":{}}'], ['a result that is null' => 'ping', '{"jsonrpc":"2.0","id":1,"result":null}'],
) {
    my ($what, $method, $text) = @$_;
    my $params = $method eq 'tools/call' ? { name => 'read_a' } : $method eq 'resources/read' ? { uri => 'file:///pub/a' } : { taskId => 't' };
    my $path = '/lists/pass' . $n++;
    $backend->answers($path, '200 OK', [@json], $text);
    is rpc(revision => $path, $method, $params, token => bearer('rev', 'read worker'))->{body}, $text, "LST-4 $what passes byte for byte";
}
for (['a JSON-RPC error' => '400 Bad Request', '{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"bad cursor"}} ', @json], ['a 404' => '404 Not Found', 'no such session', 'Content-Type', 'text/plain'],
    ['a 404 in JSON' => '404 Not Found', '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}', @json], ['a 500' => '500 Oops', '<html>', 'Content-Type', 'text/html'], ['a 202' => '202 Accepted', ''], ['a 204' => '204 No Content', ''],
    ['a 503' => '503 Later', 'later', 'Content-Type', 'text/plain', 'Retry-After', '7']) {
    my ($what, $status, $text, @headers) = @$_;
    my $r = gets($reader, 'tools/list', $text, $text, "LST-4 $what passes byte for byte", status => $status, answer => [@headers, 'X-Of-Backend', 'yes']);
    is_deeply [$r->{code}, header($r, 'X-Of-Backend')], [$status =~ /^(\d+)/, 'yes'], "LST-4 $what: status and headers";
}
{
    my $path = '/lists/head';
    $backend->answers($path, '200 OK', [@json, 'Content-Length', length $tools, 'ETag', '"1"'], $tools);
    my $r = http(revision => HEAD => $path, token => $reader);
    is_deeply [$r->{code}, $r->{body}], [200, ''], 'LST-4 HEAD passes';
    $r = http(revision => GET => $path, token => $reader);
    unlike $r->{body}, qr/write_x/, 'B13 a list in the answer to a GET is filtered as well';
}

# --- not acting: nothing is hidden, nothing changed
for my $place ('/lists/shadow', '/lists/off', '/lists/unfiltered', '/none') {
    my $r = gets($none, 'tools/list', $tools, $tools, "McpOAuthFilterLists at $place: nothing is hidden", place => $place, answer => [@json, 'ETag', '"v1"']);
    is header($r, 'ETag'), '"v1"', "McpOAuthFilterLists at $place: ETag stays";
}

# --- headers
{
    my $r = sees($reader, 'tools/list', $tools, answer => ['Content-Type', 'application/json; charset=utf-8', 'ETag', '"v1"', 'Accept-Ranges', 'bytes', 'Last-Modified', 'Sat, 21 Nov 2026 00:00:00 GMT', 'X-Of-Backend', 'yes', 'Cache-Control', 'private'],
        headers => ['Accept-Encoding', 'gzip, deflate, br', 'Accept-Encoding', 'zstd', http_version('revision') eq 'h1' ? ('TE', 'gzip') : ()]);    # HTTP/2 has no such TE
    is header($r, 'ETag'), undef, 'LST-3 ETag of the other text is gone';
    is header($r, 'X-Of-Backend'), 'yes', 'LST-5 other headers stay';
    is header($r, 'Content-Type'), 'application/json; charset=utf-8', 'LST-5 Content-Type stays';
    is scalar(headers($r, 'Content-Length')), 1, 'LST-4 Content-Length once';
    is +($backend->seen($r->{path}))[0]{headers}{'accept-encoding'}, undef, 'B13 the backend is not asked to compress';
    $r = sees($both, 'tools/list', $tools =~ s/public/private/r, answer => [@json, 'ETag', '"v1"']);
    is header($r, 'ETag'), undef, 'LST-3 ETag is gone also when nothing is hidden: others see other lists under it';
    is +($backend->seen(sees($none, 'tools/list', $tools, place => '/lists/unfiltered', headers => ['Accept-Encoding', 'gzip'])->{path}))[0]{headers}{'accept-encoding'}, 'gzip', 'without a filter the header passes';
}

# --- in pieces
for my $size (1, 3, 50) {
    my $path = "/lists/pieces$size";
    my $text = '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"write_x"},{"name":"read_a"}]}}';
    $backend->plays($path, head => [@json], (map { (send => $_, $size > 1 ? (pause => 0.02) : ()) } unpack "(a$size)*", $text), 'end');
    is rpc(revision => $path, 'tools/list', {}, token => $reader)->{body}, '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"read_a"}]}}', "LST-4 an answer in pieces of $size";
}

# --- compressed
IO::Compress::Gzip::gzip(\$tools, \my $gzipped);
unreadable($reader, 'tools/list', $gzipped, 'B13 a backend that compresses unasked', answer => [@json, 'Content-Encoding', 'gzip'], headers => ['Accept-Encoding', 'gzip']);
unreadable($both, 'tools/list', $gzipped, 'B13 also when nothing would be hidden', answer => [@json, 'Content-Encoding', 'gzip']);
unreadable($reader, 'tools/list', $tools, 'B13 an encoding nobody knows', answer => [@json, 'Content-Encoding', 'x-rot13']);
{
    my $r = sees($reader, 'tools/list', $tools, place => '/lists/deflate', headers => ['Accept-Encoding', 'gzip']);
    is header($r, 'Content-Encoding'), 'gzip', 'LST-4 mod_deflate still compresses for the client';
    IO::Uncompress::Gunzip::gunzip(\$r->{body}, \my $plain);
    is $plain, '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"read_a"}],"cacheScope":"private"}}', 'LST-4 namely the filtered list';
    is +($backend->seen($r->{path}))[0]{headers}{'accept-encoding'}, undef, 'B13 while the backend is not asked to';
    unlike header($r, 'ETag') // '', qr/./, 'LST-3 mod_deflate: no ETag';
    is sees($reader, 'tools/list', $tools, place => '/lists/deflate')->{body}, $plain, 'LST-4 and not for who does not ask';
}

# --- no JSON, or more than one reading
for (
    ['no JSON' => 'write_x'], ['HTML' => '<html>write_x</html>'], ['blanks' => "  \n"], ['cut' => substr $tools, 0, -1], ['two texts' => "$tools$tools"], ['something behind' => "$tools;"],
    ['a comma too many' => $tools =~ s/\}\],/},],/r], ['single quotes' => $tools =~ tr/"/'/r], ['a byte order mark' => "\xef\xbb\xbf$tools"], ['a NUL behind' => "$tools\0"], ['a comment' => "/* */$tools"],
    ['UTF-16' => join '', map { "\0$_" } split //, $tools], ['too deep' => '{"jsonrpc":"2.0","id":1,"result":{"tools":[],"x":' . '[' x 10000 . ']' x 10000 . '}}'],
    ['the list twice' => '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"read_a"}],"tools":[{"name":"write_x"}]}}'], ['the list misspelt' => '{"jsonrpc":"2.0","id":1,"result":{"Tools":[{"name":"write_x"}]}}'],
    ['the list misspelt beside it' => '{"jsonrpc":"2.0","id":1,"result":{"tools":[],"TOOLS":[{"name":"write_x"}]}}'], ['the result twice' => '{"jsonrpc":"2.0","id":1,"result":{},"result":{"tools":[{"name":"write_x"}]}}'],
    ['the result misspelt' => '{"jsonrpc":"2.0","id":1,"Result":{"tools":[{"name":"write_x"}]}}'], ['a list that is an object' => '{"jsonrpc":"2.0","id":1,"result":{"tools":{"write_x":{"name":"write_x"}}}}'],
    ['a list that is a string' => '{"jsonrpc":"2.0","id":1,"result":{"tools":"write_x"}}'],
) {
    unreadable($reader, 'tools/list', $_->[1], "B13 $_->[0]");
}
for (['text/plain' => 'Content-Type', 'text/plain'], ['no type' => ], ['text/html' => 'Content-Type', 'text/html'], ['JSON by another name' => 'Content-Type', 'application/vnd.x+json'], ['upper case' => 'Content-Type', 'APPLICATION/JSON']) {
    my ($what, @headers) = @$_;
    unlike sees($reader, 'tools/list', $tools, answer => [@headers])->{body}, qr/write_x/, "B13 a list under another type is not shown unread: $what";
}
{
    my $path = '/lists/half';
    $backend->plays($path, raw => "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n$tools");
    my $r = eval { rpc(revision => $path, 'tools/list', {}, token => $reader) } || { code => 0, body => '', raw_head => '' };
    unlike $r->{body}, qr/write_x/, 'B13 R19 an answer that ends too early: nothing of what is hidden';
    ok $r->{code} == 0 || $r->{code} == 502, 'R19 and no success' or diag $r->{code};
}

{
    my $r = sees($reader, 'tools/list', '');
    ok $r->{code} == 502 || $r->{code} == 200 && $r->{body} eq '', 'LST-4 an empty answer stays empty, or is 502' or diag $r->{code};
}

# --- the ceiling
{
    my ($begin, $end) = ('{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"write_x"},{"name":"read_a","description":"', '"}]}}');
    my $room = 16 * 1024 * 1024 - length "$begin$end";
    my $r = sees($reader, 'tools/list', $begin . 'x' x $room . $end);
    is_deeply [$r->{code}, length $r->{body}], [200, 16 * 1024 * 1024 - length '{"name":"write_x"},'], 'LST-4 a list of 16 MiB';
    unreadable($reader, 'tools/list', $begin . 'x' x ($room + 1) . $end, 'LST-4 one byte more');
    my $many = join ',', map { qq({"name":") . ($_ % 2 ? 'read' : 'write') . qq(_$_"}) } 1 .. 20000;
    $r = sees($reader, 'tools/list', qq({"jsonrpc":"2.0","id":1,"result":{"tools":[$many]}}));
    is scalar(@{ json($r->{body})->{result}{tools} }), 10000, 'LST-4 20,000 tools, half of them hidden';
    unlike $r->{body}, qr/write_/, 'B13 and none of the others';
}

# --- batches
{
    my $list = sub { my ($id, @names) = @_; qq({"jsonrpc":"2.0","id":$id,"result":{"tools":[) . join(',', map { qq({"name":"$_"}) } @names) . ']}}' };
    my $path = '/lists/batch/answer';
    $backend->answers($path, '200 OK', [@json], '[ ' . $list->(1, 'write_x', 'read_a') . ' ,{"jsonrpc":"2.0","id":2,"error":{"code":-1,"message":"x"}},' . $list->(3, 'write_y') . ']');
    my $r = post(revision => $path, '[' . join(',', map { rpc_body('tools/list', undef, id => $_) } 1 .. 3) . ']', token => $reader);
    is $r->{body}, '[ ' . $list->(1, 'read_a') . ' ,{"jsonrpc":"2.0","id":2,"error":{"code":-1,"message":"x"}},' . $list->(3) . ']', 'LST-4 B13 a batch of answers';
    $backend->answers($path, '200 OK', [@json], '[[' . $list->(1, 'write_x') . ']]');
    $r = post(revision => $path, '[' . rpc_body('tools/list') . ']', token => $reader);
    unlike $r->{body}, qr/write_x/, 'B13 an array in an array shows nothing';
    $backend->answers('/lists/array', '200 OK', [@json], '[' . $list->(1, 'write_x', 'read_a') . ']');
    unlike rpc(revision => '/lists/array', 'tools/list', {}, token => $reader)->{body}, qr/write_x/, 'B13 an array that nobody asked for shows nothing';
}
# --- a method of a list without an id is a notification; a server may answer it all the same
{
    my $full = '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"write_x"},{"name":"read_a"}]}}';
    for (['alone', '/lists', rpc_body('tools/list', {}, id => undef)], ['in a batch', '/lists/batch', '[' . rpc_body('tools/list', {}, id => undef) . ']']) {
        my ($name, $place, $text) = @$_;
        $backend->answers("$place/note", '200 OK', [@json], $full);
        is rpc(revision => "$place/note", \$text, undef, token => $reader)->{body}, '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"read_a"}]}}', "B13 tools/list as a notification, $name";
    }
}
no_crash($mark);

done_testing;
