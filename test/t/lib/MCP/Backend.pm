package MCP::Backend;
# An MCP server as a test needs it: answers each message, records what it got. A handler may answer in its place.
use strict;
use warnings FATAL => 'all';
use parent 'MCP::Server';
use JSON::PP ();
use Time::HiRes qw(sleep);

my $JSON = JSON::PP->new->canonical->allow_nonref->utf8;

sub start {
    my ($class, $port, $handler, %opt) = @_;
    return $class->SUPER::start($port, $handler || \&answer, %opt);
}

# JSON-RPC result naming the method; 202 for notifications and responses; JSON for the other verbs.
sub answer {
    my $request = shift;
    my $m = $request->{method} eq 'POST' ? eval { $JSON->decode($request->{body}) } : undef;
    return ('200 OK', ['Content-Type', 'application/json'], '{"backend":true}') unless ref $m eq 'HASH';
    return ('202 Accepted', []) unless exists $m->{id} && exists $m->{method};
    return ('200 OK', ['Content-Type', 'application/json'],
        $JSON->encode({ jsonrpc => '2.0', id => $m->{id}, result => { backend => $m->{method} } }));
}

# For handlers: the head of an event stream, then events; an event is a reference to data, a string is sent as it is.
sub sse {
    my ($client, @events) = @_;
    print $client "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n",
        "Transfer-Encoding: chunked\r\n\r\n";
    sse_more($client, @events);
}

sub sse_more {
    my ($client, @events) = @_;
    for (@events) {
        my $text = ref $_ ? 'data: ' . $JSON->encode($_) . "\n\n" : $_;
        printf $client "%x\r\n%s\r\n", length $text, $text;
    }
}

sub sse_end { my $client = shift; print $client "0\r\n\r\n" }

# For handlers: ends the connection with a reset in place of an answer.
sub reset {
    my $client = shift;
    setsockopt $client, Socket::SOL_SOCKET(), Socket::SO_LINGER(), pack 'ii', 1, 0;
    close $client;
    return;
}

1;
