# R20 B14 A body that stops on the way: httpd's own limits of time end it, with an answer of ours and nothing forwarded.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Httpd;
use Time::HiRes qw(time);

my $backend = MCP::Backend->start(port('gate_backend'));
my $where   = port('machine_httpd');
my $keys    = made('as.json');
my $httpd   = MCP::Httpd->start($where, conf => <<END);
Timeout 2
RequestReadTimeout header=0 body=0
<McpOAuthIssuer "https://as.test">
    McpOAuthJwks "file:$keys"
</McpOAuthIssuer>
<Location "/m">
    McpOAuthIssuer https://as.test
</Location>
<Location "/slow">
    McpOAuth On
    McpOAuthIssuer https://as.test
    McpOAuthResource https://mcp.test/slow
    ProxyPass http://127.0.0.1:@{[port('gate_backend')]}/slow disablereuse=on retry=0
</Location>
END
my $token = token(aud => 'https://mcp.test/slow');
my $body  = rpc_body('tools/list');
my @type  = (token => $token, headers => ['Content-Type', 'application/json', Accept => 'application/json, text/event-stream']);

for (['with a length', length => length $body], ['in chunks']) {
    my ($name, @framing) = @$_;
    my $begin = time;
    my $c = open_request($where, POST => '/slow', @type, @framing);
    $c->data(substr $body, 0, 10);
    my $r = $c->answer('POST');
    is $r->{code}, 408, "R20 a body $name that stops: 408";
    cmp_ok time - $begin, '<', 15, "R20 $name: not long after Timeout";
    like header($r, 'Content-Type'), qr{^application/json}, "R20 $name: the answer is ours";
    is header($r, 'Cache-Control'), 'no-store', "R20 $name: and kept by nobody";
    is json($r->{body})->{error}, 'request_timeout', "R20 $name: it says why; the body was not read whole, so this is no JSON-RPC";
    ok $c->closed(20), "R20 $name: the connection ends: what follows would be taken for a request";
}
is $backend->accepts, 0, 'B14 nobody connected to the backend';
is scalar($httpd->lines(qr/MCP0509.*body-timeout|body-timeout.*MCP0509/)), 2, 'R20 one line each in the log' or diag $httpd->lines(qr/MCP05/);
{
    my $code;
    for (1 .. 5) {    # a pause that became longer than Timeout is none
        my $c = open_request($where, POST => '/slow', @type, length => length $body);
        my $begin = time;
        $c->data(substr $body, 0, 10);
        select undef, undef, undef, 0.5;
        $c->data(substr $body, 10);
        my $seconds = time - $begin;
        $code = $c->answer('POST')->{code};
        last if $seconds < 1.8;
        $backend->clear;
    }
    is $code, 200, 'R20 one that only pauses is whole';
    is $backend->accepts, 1, 'R20 and forwarded';
}

done_testing;
