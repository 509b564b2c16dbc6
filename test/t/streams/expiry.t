# McpOAuthStreamExpiry: requirements.md TOK-19, threats.md S03.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Stream qw(listen_on);
use MCP::Gate;
use Time::HiRes qw(time sleep);

my $backend = MCP::Stream->start(port('revision_backend'));
my $mark = log_mark();
my @json = ('Content-Type', 'application/json', Accept => 'application/json, text/event-stream');
my %ways = (
    'GET' => ['GET', headers => [Accept => 'text/event-stream']],
    'tools/call' => ['POST', headers => [@json], body => rpc_body('tools/call', { name => 'read_a' })],
    'subscriptions/listen' => ['POST', headers => [@json, modern_headers('subscriptions/listen')], body => modern_body('subscriptions/listen', { notifications => { toolsListChanged => \1 } })],
);
my $event = qq(data: {"jsonrpc":"2.0","method":"notifications/x"}\n\n);
my %flow = (
    'silent' => [head => [], send => $event, 'hold'],
    'flowing' => [head => [], (map { (send => $event, pause => 0.05) } 1 .. 400), 'end'],
    'with comments' => [head => ['X-Accel-Buffering', 'no'], send => $event, (map { (send => ": \n\n", pause => 0.3) } 1 .. 60), 'end'],
);
sub soon { my ($seconds, %more) = @_; my $exp = 1 + int(time + $seconds); ($exp, token(iss => 'https://now.test', aud => 'https://mcp.test/rev', scope => 'x', exp => $exp, %more)) }

# --- On: of the plain location all that can be, of the others one of a kind. Together, but no more than there are workers.
my @scenes = map { my $flow = $_; map { ['/streams/expires', $flow, $_] } sort keys %ways } sort keys %flow;
push @scenes, map { ['/streams/filtered', @$_] } ['silent', 'subscriptions/listen'], ['flowing', 'tools/call'], ['with comments', 'GET'];
my ($n, $together) = (0, vars('mcp_mpm') eq 'prefork' ? 6 : 12);
while (my @some = splice @scenes, 0, $together) {
    my ($exp, $token, @open, @there, @early, $seen);
    for (1 .. 8) {    # there must be time to see them before the token expires
        ($exp, $token) = soon(5);
        $_->{stream}->close for @open;
        @open = ();
        for (@some) {
            my ($place, $flow, $way) = @$_;
            my ($verb, %opt) = @{ $ways{$way} };
            my $path = "$place/s" . $n++;
            $backend->plays($path, @{ $flow{$flow} });
            my $stream = listen_on('revision', $verb, $path, token => $token, %opt);
            push @open, { name => "$place, $way, $flow", path => $path, stream => $stream };
        }
        @there = grep {
            ($_->{stream}->head || { code => 0 })->{code} == 200 && defined $_->{stream}->upto(qr/notifications\/x"\}\n\n/)
        } @open;
        next if time >= $exp - 0.8;
        sleep 0.05 while time < $exp - 0.8;
        @early = map { $_->{name} } grep { $backend->gone($_->{path}) || $_->{stream}->end(0) ne 'open' } @open;
        last if ($seen = time) < $exp;
    }
    is scalar(@there), scalar(@open), 'S03 streams are there before the token expires';
    cmp_ok $seen // $exp, '<', $exp, 'S03 and there was time to see it';
    is_deeply \@early, [], 'S03 they are open until then';
    for my $s (@open) {
        my $left = $exp + 15 - time;
        is $s->{stream}->end($left > 0 ? $left : 0), 'ended', "S03 TOK-19 $s->{name}: a clean end, the last chunk included";
        my $gone = $backend->gone($s->{path}, 20);
        # What flows ends by itself some 15 s after exp, what is silent after a minute.
        ok $gone && $gone >= $exp - 0.05 && $gone < $exp + 8, "S03 $s->{name}: soon after exp" or diag $gone ? $gone - $exp : 'the backend still has its client';
        unlike $s->{stream}->text, qr/[^\n]\z/, "S03 $s->{name}: no event is cut";
        my $r = eval { http(revision => GET => '/streams/again', token => bearer('rev', 'x'), on => $s->{stream}->connection) } || { code => "none: $@" };
        is $r->{code}, 200, "S03 $s->{name}: the connection serves the next request, with another token";
        $s->{stream}->close;
    }
    is http(revision => GET => '/streams/expires/again', token => $token)->{code}, 401, 'C01 the expired token opens no new stream';
}

# --- On, and what is no stream; Off, the default; a token that lives longer
{
    my ($exp, $token, %stay, $json, $chunks);
    my ($begin, $rest) = ('{"jsonrpc":"2.0","id":1,"result":{"x":"', 'end"}}');
    for (1 .. 5) {    # they must be there before the token expires
        ($exp, $token) = soon(4);
        $_->close for values %stay, grep { $_ } $json, $chunks;
        for my $place ('/streams/off', '/streams/expires/not', '/lists/off') {
            $backend->plays("$place/stays", head => [], send => $event, wait => 'later', send => "data: \"later\"\n\n", 'end');
            $stay{$place} = listen_on('revision', GET => "$place/stays", token => $token);
        }
        $backend->plays('/streams/expires/long', head => [], send => $event, wait => 'later', send => "data: \"later\"\n\n", 'end');
        $stay{'a token that lives longer'} = listen_on('revision', GET => '/streams/expires/long', token => token(iss => 'https://now.test', aud => 'https://mcp.test/rev', exp => now() + 600));
        $backend->plays('/streams/expires/skew', head => [], send => $event, wait => 'later', send => "data: \"later\"\n\n", 'end');
        $stay{'an issuer with a skew of 60 s'} = listen_on('revision', GET => '/streams/expires/skew', token => token(aud => 'https://mcp.test/rev', exp => $exp));
        $backend->plays('/streams/expires/json', raw => "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " . length("$begin$rest") . "\r\n\r\n$begin", wait => 'later', raw => $rest);
        $json = listen_on('revision', POST => '/streams/expires/json', token => $token, headers => [@json], body => rpc_body('tools/call', { name => 'x' }));
        $backend->plays('/streams/expires/chunks', head => ['Content-Type', 'application/json'], send => $begin, wait => 'later', send => $rest, 'end');
        $chunks = listen_on('revision', POST => '/streams/expires/chunks', token => $token, headers => [@json], body => rpc_body('tools/call', { name => 'x' }));
        $_->head for values %stay;
        wait_for(20, sub { $backend->seen('/streams/expires/json') && $backend->seen('/streams/expires/chunks') });
        last if time < $exp;
    }
    for (sort keys %stay) { ok defined $stay{$_}->upto(qr/\n\n/), "S03 $_: a stream" }
    sleep 0.1 while time < $exp + 2;
    is_deeply [grep { $stay{$_}->end(0) ne 'open' } sort keys %stay], [], 'S03 two seconds after exp they are open';
    $backend->go('later');
    for (sort keys %stay) { ok defined $stay{$_}->upto(qr/"later"\n\n/) && $stay{$_}->end eq 'ended', "S03 $_: it goes on to its own end" }
    for (['of a length' => $json], ['in chunks' => $chunks]) {
        my $r = eval { $_->[1]->answer('POST') } || { code => "none: $@", body => '' };
        is_deeply [@$r{qw(code body)}], [200, "$begin$rest"], "S03 an answer in JSON $_->[0] is not cut by exp";
    }
}
# --- a stream that says how long it is, and ends before that: the connection stays in step
{
    my $path = '/streams/expires/length';
    $backend->plays($path, raw => "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 1000\r\n\r\n$event", 'hold');
    my ($stream, $head);
    for (1 .. 5) {    # it may have died on the way
        my ($exp, $token) = soon(1);
        $stream = listen_on('revision', GET => $path, token => $token, headers => [Accept => 'text/event-stream']);
        $head = $stream->head;
        last if time < $exp;
    }
    is header($head, 'Content-Length'), undef, 'S03 a Content-Length that may not be kept is not promised';
    is $stream->end(20), 'ended', 'S03 and the stream ends cleanly';
    is $stream->text, $event, 'S03 with what there was';
}
no_crash($mark);

done_testing;
