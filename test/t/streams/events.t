# Streams pass as they come, and live as long as both ends want: requirements.md TRN-7, TRN-8, TRN-10, TRN-11, CNF-4; threats.md R20.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Stream qw(listen_on);
use MCP::Gate;
use Time::HiRes qw(time sleep);

my $backend = MCP::Stream->start(port('revision_backend'));
my $token = bearer('rev', 'x');
my $mark = log_mark();
my @sse = (Accept => 'text/event-stream', 'Accept-Encoding' => 'gzip, br');
my @json = ('Content-Type', 'application/json', @sse);

# A delay that is built in shows in the fastest of many; the slowest tells of the machine.
sub least { my @sorted = sort { $a <=> $b } @_; $sorted[0] }

# The three ways to a stream: [name, VERB, options].
my @ways = (
    ['GET', 'GET', headers => [@sse, 'Last-Event-ID' => 'e-7']],
    ['tools/call', 'POST', headers => [@json], body => rpc_body('tools/call', { name => 'read_a' })],
    ['subscriptions/listen', 'POST', headers => [@json, modern_headers('subscriptions/listen')], body => modern_body('subscriptions/listen', { notifications => { toolsListChanged => \1 } })],
);

# --- TRN-7: each event at once; the next is written only when this one has been read, so nothing can wait for it
for my $place ('/streams', '/streams/expires', '/streams/filtered', '/session/stream') {
    my $n = 0;
    for (@ways) {
        my ($name, $verb, %opt) = @$_;
        my $path = "$place/at-once" . $n++;
        my @steps = map { (wait => "$path-$_" =~ tr{/}{_}r, send => qq(id: $_\ndata: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":$_}}\n\n)) } 1 .. 9;
        $backend->plays($path, head => ['X-Accel-Buffering', 'no', 'X-Of-Backend', 'yes'], send => ": begin\n\n", @steps, 'end');
        my $stream = listen_on('revision', $verb, $path, token => $token, %opt);
        my $head = $stream->head;
        is_deeply [$head && $head->{code}, header($head || { headers => [] }, 'Content-Type')], [200, 'text/event-stream'], "TRN-7 $place $name: an event stream while nothing but a comment has come";
        is header($head, 'X-Accel-Buffering'), 'no', "TRN-8 $place $name: X-Accel-Buffering is kept";
        is header($head, 'Content-Encoding'), undef, "TRN-7 $place $name: not compressed";
        is header($head, 'Content-Length'), undef, "TRN-7 $place $name: of no length";
        ok defined $stream->upto(qr/: begin\n\n/), "TRN-8 $place $name: a comment arrives while the stream is open";
        my (@seconds, @late);
        for my $event (1 .. 9) {
            $backend->go("$path-$event" =~ tr{/}{_}r);
            push @late, $event unless defined $stream->upto(qr/"progress":$event\}\}\n\n/);
            push @seconds, time - (($backend->sent($path))[$event] // 0);
        }
        is_deeply \@late, [], "TRN-7 $place $name: each event arrives before the next is written";
        cmp_ok least(@seconds), '<', 0.2, "TRN-7 $place $name: in less than 200 ms" or diag "@seconds";
        is $stream->end, 'ended', "TRN-7 $place $name: and the end of the stream arrives";
        is +($backend->seen($path))[0]{headers}{'last-event-id'}, 'e-7', "TRN-10 $place: Last-Event-ID arrives" if $verb eq 'GET';
    }
}

# --- TRN-8, CNF-4: byte for byte, in whatever pieces
my $text = join '', ": comment\n\n", ":\n\n", "id: 1\ndata: \n\n", "retry: 1500\n\n", "event: message\r\nid: 2\r\ndata: {\"jsonrpc\":\"2.0\",\r\ndata: \"method\":\"notifications/x\"}\r\n\r\n",
    "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"x\":\"\xc3\xa4\\u00e4\"}}\r\r", "event: endpoint\ndata: /messages?x=1\n\n", "id\ndata\n\n", "id: 9\nunknown: x\n\n", ": last";
for my $size (1, 7, 1000) {
    for my $place ('/streams', '/streams/expires') {
        my @pieces = unpack "(a$size)*", $text;
        $backend->plays("$place/bytes$size", head => [], (map { (send => $_) } @pieces), 'end');
        is http(revision => GET => "$place/bytes$size", token => $token)->{body}, $text, "TRN-8 CNF-4 $place: ids, retry, comments and the empty event byte for byte, in pieces of $size";
    }
}

# --- TRN-11: many at once, and messages meanwhile
{
    my @streams;
    my $many = vars('mcp_mpm') eq 'prefork' ? 4 : 12;
    for my $i (1 .. $many) {
        my $path = "/streams/many$i";
        $backend->plays($path, head => [], send => "data: 1\n\n", wait => 'many', send => "data: 2\n\n", 'end');
        my ($name, $verb, %opt) = @{ $ways[$i % @ways] };
        push @streams, listen_on('revision', $verb, $path, token => $token, %opt);
    }
    is scalar(grep { defined $_->upto(qr/data: 1\n\n/) } @streams), $many, "TRN-11 $many streams at once";
    is post(revision => '/streams/message', rpc_body('ping'), token => $token)->{code}, 200, 'TRN-11 and a message meanwhile';
    $backend->go('many');
    is scalar(grep { defined $_->upto(qr/data: 2\n\n/) && $_->end eq 'ended' } @streams), $many, 'TRN-11 to their ends';
}

# --- TRN-11, R20: silence is no end. These wait together.
my @idle;
for my $place ('', '/filtered') {
    for my $i (0 .. $#ways) {
        my ($name, $verb, %opt) = @{ $ways[$i] };
        next if vars('mcp_mpm') eq 'prefork' && $place && !$i;
        my $path = "$place/idle$i";
        $backend->plays($path, head => [], send => "data: 1\n\n", wait => 'idle', send => "data: 2\n\n", 'end');
        push @idle, ["$name at $path", listen_on('revision_short', $verb, $path, token => $token, %opt), $path];
    }
    $backend->plays("$place/slow", wait => 'idle', raw => "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
    push @idle, ["an answer that takes its time at $place/slow", listen_on('revision_short', POST => "$place/slow", token => $token, headers => [@json], body => rpc_body('ping')), "$place/slow"];
}
# The client may send its next request before the stream is over: that is no farewell. HTTP/2 has streams for that.
my $h1 = ($ENV{MCP_HTTP} // 'h1') eq 'h1';
if ($h1) {
    $backend->plays('/pipelined', head => [], send => "data: 1\n\n", wait => 'idle', send => "data: 2\n\n", 'end');
    my $stream = listen_on('revision_short', GET => '/pipelined', token => $token);
    push @idle, ['with another request behind it', $stream, '/pipelined'];
    sleep 0.3;
    $stream->connection->send(MCP::Test::request_text('revision_short', GET => '/behind', token => $token, keep => 1));
}
my $quiet = time + 5;
is scalar(grep { $_->[2] !~ /slow/ && !defined $_->[1]->upto(qr/data: 1\n\n/) } @idle), 0, 'TRN-11 streams with Timeout 2';
sleep $quiet - time if $quiet > time;
is_deeply [map { $_->[0] } grep { $backend->gone($_->[2]) } @idle], [], 'TRN-11 R20 silent for 5 s: the backend has lost none of its clients';
$backend->go('idle');
for (@idle) {
    my ($name, $stream, $path) = @$_;
    if ($path =~ /slow/) {
        my $r = eval { $stream->answer('POST') } || { code => 0, body => '' };
        is_deeply [@$r{qw(code body)}], [200, '{}'], "TRN-11 R20 $name arrives";
        next;
    }
    ok defined $stream->upto(qr/data: 2\n\n/), "TRN-11 R20 $name: what comes after 5 s of silence arrives";
    is $stream->end, 'ended', "TRN-11 $name: to its end";
}
if ($h1) {
    my $r = eval { $idle[-1][1]->answer('GET') } || { code => 0 };
    is $r->{code}, 200, 'TRN-11 the request behind a stream is answered after it';
}
no_crash($mark);

done_testing;
