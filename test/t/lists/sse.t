# McpOAuthFilterLists on event streams: requirements.md LST-1, LST-4, TRN-7, TRN-8, CNF-4, threats.md B13.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Stream qw(listen_on);
use MCP::Gate;
use Time::HiRes qw(time sleep);

my $backend = MCP::Stream->start(port('revision_backend'));
my $mark = log_mark();
my ($reader, $writer, $none) = map { bearer('rev', $_) } 'read', 'write', 'other';
my @json = ('Content-Type', 'application/json', Accept => 'application/json, text/event-stream', 'Accept-Encoding' => 'gzip');
my $n = 0;

sub list { my ($id, @names) = @_; qq({"jsonrpc":"2.0","id":$id,"result":{"tools":[) . join(',', map { qq({"name":"$_","d":"\\u00e9"}) } @names) . '],"nextCursor":"c"}}' }
sub notice { qq({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":$_[0]}}) }
sub request { my ($token, $path) = @_; listen_on('revision', POST => $path, token => $token, headers => [@json], body => rpc_body('tools/list', {})) }
# What the token gets of a stream that the backend sends in these pieces.
sub gets {
    my ($token, $pieces, %opt) = @_;
    my $path = ($opt{place} // '/lists') . '/sse' . $n++;
    $backend->plays($path, head => $opt{head} // [], (map { (send => $_, $opt{pause} ? (pause => $opt{pause}) : ()) } @$pieces), 'end');
    my $stream = $opt{get} ? listen_on('revision', GET => $path, token => $token, headers => [Accept => 'text/event-stream', 'Last-Event-ID' => '3']) : request($token, $path);
    my $head = $stream->head or return "no answer";
    my $end = $stream->end;
    return "$head->{code} " . $stream->text unless $end eq 'ended' && $head->{code} == 200;
    return $stream->text;
}

# --- which lists, for whom; the lines of the event
my ($mixed, $mine, $theirs) = (list(1, 'write_x', 'read_a', 'write_y', 'read_b'), list(1, 'read_a', 'read_b'), list(1, 'write_x', 'write_y'));
is gets($reader, ["data: $mixed\n\n"]), "data: $mine\n\n", 'LST-4 a list in an event';
is gets($writer, ["data: $mixed\n\n"]), "data: $theirs\n\n", 'LST-1 another token';
is gets($none, ["data: $mixed\n\n"]), 'data: ' . list(1) . "\n\n", 'LST-4 everything hidden gives []';
is gets($reader, ["data: $mine\n\n"]), "data: $mine\n\n", 'LST-5 nothing to hide: the very bytes';
is gets($reader, ["event: message\nid: 7\ndata: $mixed\nretry: 100\n\n"]), "event: message\nid: 7\ndata: $mine\nretry: 100\n\n", 'LST-4 other lines stay where they are';
is gets($reader, ["data:$mixed\n\n"]) =~ s/data: ?/data:/r, "data:$mine\n\n", 'LST-4 no blank after the colon';
is gets($reader, ['data: ' . ($mixed =~ s/"result"/"cacheScope":"public","result"/r =~ s/"nextCursor"/"cacheScope":"public","nextCursor"/r) . "\n\n"]) =~ /"result":\{"tools":\[.*\],"cacheScope":"private","nextCursor"/ ? 1 : 0, 1, 'LST-2 cacheScope in an event';
for my $end ("\n", "\r\n", "\r") {
    my $shown = $end =~ s/\r/CR/r =~ s/\n/LF/r;
    is gets($reader, [join $end, 'id: 5', "data: $mixed", '', '']), (join $end, 'id: 5', "data: $mine", '', ''), "LST-4 lines that end with $shown";
    is gets($reader, [join $end, ': c', '', 'data: ' . notice(1), '', "data: $mixed", '', 'data: ' . notice(2), '', '']),
        (join $end, ': c', '', 'data: ' . notice(1), '', "data: $mine", '', 'data: ' . notice(2), '', ''), "LST-4 several events, lines that end with $shown";
    my ($one, $two) = $mixed =~ /\A(.*"result":)(.*)\z/;
    my $got = gets($reader, [join $end, "data: $one", "data: $two", '', '']);
    my $data = join "\n", map { /^data: ?(.*)/s ? $1 : () } split /$end/, $got;
    is_deeply eval { json($data) }, json($mine), "LST-4 data in two lines, lines that end with $shown";
    unlike $got, qr/write_/, "B13 data in two lines, lines that end with $shown";
}
# --- pieces: each byte by itself, and each cut of a small stream in two
{
    my $text = "id: 1\r\ndata: $mixed\r\n\r\n: c\n\ndata: " . notice(1) . "\n\n";
    my $want = "id: 1\r\ndata: $mine\r\n\r\n: c\n\ndata: " . notice(1) . "\n\n";
    is gets($reader, [split //, $text]), $want, 'LST-4 byte by byte';
    is gets($reader, [unpack '(a13)*', $text], pause => 0.01), $want, 'LST-4 in packets of 13 bytes';
    my @wrong = grep { gets($reader, [substr($text, 0, $_), substr $text, $_], pause => 0.02) ne $want } index($text, 'write_x') + 3, index($text, "\r\n\r\n") + 1, index($text, "\r\n\r\n") + 2, index($text, "\r\n\r\n") + 3, 3, 8;
    is_deeply \@wrong, [], 'LST-4 cut in two: in a name, in a line end, between the two line ends, in a field';
    $text = "data: $mixed\r\rdata: $mixed\n\n";
    is gets($reader, [$text =~ /\A(.*?\r\r)(.*)\z/s], pause => 0.02), "data: $mine\r\rdata: $mine\n\n", 'LST-4 an event that ends with CR, the next in another packet';
}

# --- what is no list
for (
    ['the first event of a stream' => "id: 1\ndata: \n\n"], ['retry' => "retry: 1500\n\n"], ['both in one' => "id: 1\nretry: 500\ndata: \n\n"], ['data without a colon' => "id\ndata\n\n"], ['comments' => ": a\n\n:\n\n:b\n: c\n\n"],
    ['a notification' => 'data: ' . notice(1) . " \n\n"], ['an error' => qq(data: {"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x","data":{"tools":[{"name":"write_x"}]}}}\n\n)],
    ['a request of the server' => qq(data: {"jsonrpc":"2.0","id":"s1","method":"sampling/createMessage","params":{"tools":[{"name":"write_x"}],"messages":[]}}\n\n)],
    ['a result of a call' => qq(data: {"jsonrpc":"2.0","id":1,"result":{"content":[],"structuredContent":{"tools":[{"name":"write_x"}]}}}\n\n)],
    ['an event of the old transport' => "event: endpoint\ndata: /messages?id=1\n\n"], ['a field nobody knows' => "foo: bar\n\n"], ['CRs' => ": a\r\r: b\r\n\r\n"],
) {
    my ($what, $text) = @$_;
    is gets($reader, ["id: 0\ndata: \n\n", $text, "data: $mixed\n\n"]), "id: 0\ndata: \n\n${text}data: $mine\n\n", "TRN-8 CNF-4 byte for byte before a list: $what";
    is gets($reader, [split(//, $text), "data: $mixed\n\n"]), "${text}data: $mine\n\n", "TRN-8 CNF-4 byte by byte before a list: $what";
}

# --- what must not get through
for (
    ['a list that never ends' => "data: $mixed\n"], ['a list without its last line end' => "data: $mixed"], ['a list that is cut' => 'data: ' . substr($mixed, 0, -3)],
    ['JSON with a comma too many' => 'data: ' . ($mixed =~ s/\}\],/},],/r) . "\n\n"], ['the list twice' => qq(data: {"jsonrpc":"2.0","id":1,"result":{"tools":[],"tools":[{"name":"write_x"}]}}\n\n)],
    ['the list misspelt' => qq(data: {"jsonrpc":"2.0","id":1,"result":{"Tools":[{"name":"write_x"}]}}\n\n)], ['a byte order mark in front' => "\xef\xbb\xbfdata: $mixed\n\n"],
    ['a batch' => 'data: [' . list(1, 'write_x') . ',' . list(2, 'write_y') . "]\n\n"], ['two documents' => "data: $mine\ndata: $theirs\n\n"], ['event: message' => "event: message\ndata: $mixed\n\n"],
    ['event: empty' => "event:\ndata: $mixed\n\n"], ['two event lines' => "event: x\nevent: message\ndata: $mixed\n\n"],
) {
    my ($what, $text) = @$_;
    for my $pieces ([$text], [split //, $text]) {
        my $got = gets($reader, ['data: ' . notice(1) . "\n\n", @$pieces]);
        unlike $got, qr/write_/, "B13 $what shows nothing that is hidden, in " . @$pieces . ' pieces';
        my $first = 'data: ' . notice(1) . "\n\n";
        like $got, qr/\Q$first\E/, "B13 $what: what came before has arrived" unless @$pieces > 1;
    }
}
{
    my $path = '/lists/gzip';
    $backend->plays($path, head => ['Content-Encoding', 'gzip'], send => "data: $mixed\n\n", 'end');
    my $r = rpc(revision => $path, 'tools/list', {}, token => $reader, headers => ['Accept-Encoding' => 'gzip']);
    refused_rpc($r, 502, -32603, '1', 'B13 a stream that is compressed: 502');
    unlike $r->{body}, qr/write_/, 'B13 and nothing of it';
    is +($backend->seen($path))[0]{headers}{'accept-encoding'}, undef, 'B13 which the backend was not asked for';
}
{
    my $big = 'x' x (16 * 1024 * 1024);
    my $got = gets($reader, ['data: ' . notice(1) . "\n\n", qq(data: {"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"write_x","description":"$big"}]}}\n\n), 'data: ' . notice(2) . "\n\n"]);
    unlike substr($got, 0, 100000), qr/write_x/, 'B13 an event of more than 16 MiB shows nothing';
    cmp_ok length $got, '<', 100000, 'B13 and does not arrive';
}

# --- TRN-7: nothing waits for the list
{
    my $path = '/lists/at-once';
    $backend->plays($path, head => [], (map { (wait => "list-$_", send => $_ == 5 ? "data: $mixed\n\n" : 'data: ' . notice($_) . "\n\n") } 1 .. 9), 'end');
    my $stream = request($reader, $path);
    my (@seconds, @late);
    for my $event (1 .. 9) {
        $backend->go("list-$event");
        my $got = $event == 5 ? $stream->upto(qr/"nextCursor":"c"\}\}\n\n/) : $stream->upto(qr/"progress":$event\}\}\n\n/);
        push @late, $event unless defined $got;
        is $got, "data: $mine\n\n", 'LST-4 the list among them' if $event == 5;
        push @seconds, time - (($backend->sent($path))[$event - 1] // 0);
    }
    is_deeply \@late, [], 'TRN-7 each event arrives before the next is written';
    # A delay that is built in shows in the fastest of many; the slowest tells of the machine.
    my ($least) = sort { $a <=> $b } @seconds;
    cmp_ok $least, '<', 0.2, 'TRN-7 in less than 200 ms' or diag "@seconds";
    is $stream->end, 'ended', 'TRN-7 to the end';

    $path = '/lists/half-event';
    $backend->plays($path, head => [], send => 'data: ' . notice(1) . "\n\ndata: " . substr($mixed, 0, 60), wait => 'rest', send => substr($mixed, 60) . "\n\n", 'end');
    $stream = request($reader, $path);
    ok defined $stream->upto(qr/"progress":1\}\}\n\n/), 'TRN-7 an event arrives though the next has begun';
    is $stream->text, '', 'LST-4 of which nothing is shown before it is whole';
    $backend->go('rest');
    is $stream->upto(qr/\n\n/), "data: $mine\n\n", 'LST-4 and then it is filtered';
}

# The end of an event is part of it: a client that waits for the LF of a CR LF must not wait for the next event.
for my $end ("\n", "\r\n", "\r") {
    my $shown = $end =~ s/\r/CR/r =~ s/\n/LF/r;
    for (['a notification' => notice(1), notice(1)], ['a list' => $mixed, $mine]) {
        my ($what, $data, $want) = @$_;
        my $path = '/lists/whole' . $n++;
        # With CR LF its last byte comes by itself for the second of them.
        my @pieces = $end eq "\r\n" && $what eq 'a list' ? (send => "data: $data\r\n\r", pause => 0.3, send => "\n") : (send => "data: $data$end$end");
        $backend->plays($path, head => [], @pieces, wait => "whole$n", 'end');
        my $stream = request($reader, $path);
        is $stream->upto(qr/$end$end/, 5), "data: $want$end$end", "TRN-7 $what with lines that end with $shown arrives whole while the stream is open";
        $backend->go("whole$n");
        is $stream->end, 'ended', "TRN-7 $what with $shown: the end";
    }
}

# --- GET, resumed; inner locations
is gets($reader, ["id: 4\ndata: $mixed\n\n", 'data: ' . notice(1) . "\n\n"], get => 1), "id: 4\ndata: $mine\n\ndata: " . notice(1) . "\n\n", 'LST-4 B13 a list over a resumed GET stream is filtered as well';
is gets($none, ["data: $mixed\n\n"], place => $_), "data: $mixed\n\n", "McpOAuthFilterLists at $_: nothing is hidden" for '/lists/shadow', '/lists/off', '/lists/unfiltered', '/lists/all';
is gets($reader, ['data: [' . list(1, 'write_x', 'read_a') . ',' . list(2, 'write_y') . "]\n\n"], place => '/lists/batch'), 'data: [' . list(1, 'read_a') . ',' . list(2) . "]\n\n", 'LST-4 a batch in an event';
{
    my $path = '/lists/headers';
    $backend->plays($path, head => ['X-Accel-Buffering', 'no', 'ETag', '"v"', 'Mcp-Session-Id', 's-1'], send => "data: $mixed\n\n", 'end');
    my $head = request($reader, $path)->head;
    is header($head, 'X-Accel-Buffering'), 'no', 'TRN-8 X-Accel-Buffering is kept';
    is header($head, 'Content-Type'), 'text/event-stream', 'TRN-7 Content-Type is kept';
    is header($head, 'Mcp-Session-Id'), 's-1', 'TRN-12 Mcp-Session-Id is kept';
    is header($head, 'ETag'), undef, 'LST-3 ETag is gone';
}
# --- what cannot be read
{
    my ($hidden, $after) = (list(1, 'write_x'), 'data: ' . notice(9) . "\n\n");
    my $twice = qq({"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"write_x"}],"tools":[]}});
    my $got = gets($reader, ["data: $twice\n\n", "data: $twice\n\n", $after]);
    my ($error) = map { json($_) } $got =~ /^data: (.*)$/m;
    is_deeply [@{ $error->{error} }{qw(code message)}, $error->{id}], [-32603, 'The answer of the server could not be filtered', 1], 'B13 an event that cannot be read: an error to the request';
    is scalar(() = $got =~ /could not be filtered/g), 1, 'B13 once';
    like $got, qr/\Q$after\E\z/, 'TRN-7 and the rest of the stream goes on';
    unlike $got, qr/write_x/, 'B13 and nothing is shown of it';
    is gets($reader, ["data: $twice\n\n", $after], get => 1), $after, 'B13 on a GET stream it is left out';
    is gets($reader, ["event: other\ndata: $twice\n\n", $after], get => 1), $after, 'B13 whatever its type';
    is gets($reader, ["data: ping\n\n", "event: endpoint\ndata: /messages?a=1\n\n"]), "data: ping\n\nevent: endpoint\ndata: /messages?a=1\n\n", 'TRN-8 what holds no object passes';
    my $since = log_mark();
    gets($reader, [("data: {\n\n") x 20]);
    is scalar(() = log_since($since) =~ /MCP0613/g), 1, 'B13 one line in the log for a stream';
    unlike gets($reader, ["data: $hidden\n\n"], head => ['Content-Encoding', 'identity', 'Content-Encoding', 'gzip']), qr/write_x/, 'LST-4 two Content-Encoding fields: what follows is not shown';
    my $path = '/lists/two-encodings';
    $backend->plays($path, head => ['Content-Encoding', 'identity', 'Content-Encoding', 'gzip'], send => "data: $hidden\n\n", 'end');
    is request($reader, $path)->head->{code}, 502, 'LST-4 but refused';
}

# --- an event that is too long: what comes after it must not pass unread
{
    my $path = '/lists/too-long';
    my $long = 'x' x (1024 * 1024);
    $backend->plays($path, head => [], send => 'data: ' . notice(1) . "\n\n", send => 'data: ', (map { (send => $long) } 1 .. 17), send => "\n\ndata: " . list(1, 'write_x') . "\n\n", 'end');
    my $stream = request($reader, $path);
    ok defined $stream->upto(qr/"progress":1\}\}\n\n/), 'B13 an event before one of 17 MiB';
    isnt $stream->end, 'ended', 'B13 with which the stream breaks off';
    unlike $stream->text, qr/write_x|xxxx/, 'B13 and nothing follows';
}
no_crash($mark);

done_testing;
