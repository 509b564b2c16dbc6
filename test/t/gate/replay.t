# What has been judged goes to the backend from memory, whole, and by its length: design 4.2, threats.md B04, B14.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use IO::Compress::Gzip ();
use IO::Socket::INET ();
use MCP::Test;
use MCP::Children;
use MCP::Gate;

# A backend that leaves the request where it is, and answers only when the test wants it to.
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => port('gate_backend'), Listen => 5, ReuseAddr => 1) or die "listen: $!";
my $token = bearer('gate');
my $mark = log_mark();
my $body = rpc_body('tools/call', { name => 'ok', arguments => { text => join '', map { "line $_ \"\\\n" } 1 .. 40000 } });
my @json = ('Content-Type', 'application/json', 'Authorization', "Bearer $token");

# The temporary files of mod_proxy that httpd's children have open.
sub spooled { grep { defined && m{/modproxy\.tmp\.} } map { readlink } map { glob "/proc/$_/fd/*" } children() }

cmp_ok length $body, '>', 600_000, 'a long message';
for (['by its length', sub { open_request(gate => POST => '/mcp', headers => [@json], length => length $body)->data($body) }],
    ['in chunks', sub { my $s = open_request(gate => POST => '/mcp', headers => [@json]); $s->data($_) for unpack '(a50000)*', $body; $s->end; $s }],
    ['compressed', sub {
        IO::Compress::Gzip::gzip(\$body => \my $zipped) or die;
        open_request(gate => POST => '/mcp/inflate/more', headers => [@json, 'Content-Encoding', 'gzip'], length => length $zipped)->data($zipped);
    }]) {
    my ($how, $send) = @$_;
    my $s = $send->();
    $s->end if $how ne 'in chunks' && http_version('gate') ne 'h1';
    local $SIG{ALRM} = sub { die "nothing came\n" };
    alarm 30;
    my $c = $listener->accept or die "accept: $!";
    my $head = '';
    while ($head !~ /\r\n\r\n/) { sysread $c, $head, 1, length $head or last }
    is_deeply [spooled()], [], "B14 $how: it waits in no file";
    like $head, qr/^Content-Length: @{[length $body]}\r$/mi, "B14 $how: its length is known";
    unlike $head, qr/^Transfer-Encoding:/mi, "B14 $how: and nothing else frames it";
    my $got = '';
    while (length $got < length $body) { sysread $c, $got, 1 << 16, length $got or last }
    ok $got eq $body, "B04 $how: all of it arrives";
    my $answer = '{"jsonrpc":"2.0","id":1,"result":{}}';
    print $c "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ", length $answer, "\r\nConnection: close\r\n\r\n$answer";
    close $c;
    is $s->answer('POST')->{code}, 200, "$how: and is answered";
    alarm 0;
}
no_crash($mark);
done_testing;
