# The authorization server says nothing that would do: 503, never 200 and never 401; nothing reaches the backend.
# requirements.md INT-5; threats.md R11. After each failure comes a call that works, so no circuit breaker opens.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Introspection;

my $as = MCP::Introspection->start(port('introspection_as'));
my $backend = MCP::Backend->start(port('introspection_backend'));
my $mark = log_mark();
my $aud = 'https://mcp.test/fail';
my @json = (headers => ['Content-Type', 'application/json']);
my $good = qq({"active":true,"aud":"$aud","sub":"alice"});
sub get { http(introspection => GET => '/fail', token => $_[0]) }
sub calls { scalar(my @calls = $as->calls('/fail')) }
sub works {
    my $name = shift;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is now_good($as->active(aud => $aud)), 200, "$name: it works";
}

# A call must end within McpOAuthHTTPTimeout, a second here. Not each of three will meet a machine that stands still; what is
# kept is kept for longer.
sub now_good {
    my ($token, $r) = shift;
    for (1 .. 3) { $r = get($token); last if $r->{code} != 503 || $r->{seconds} < 1 }
    return $r->{code};
}

my @failures = (
    (map { ["$_ with a good body" => (status => "$_ Status", body => $good, @json)] } 201, 202, 203, 206, 400, 401, 403, 404, 405, 410, 429, 500, 501, 502, 503, 504),
    ['204' => (status => '204 No Content')],
    ['401 that wants credentials' => (status => '401 Unauthorized', body => '{"error":"invalid_client"}', headers => ['WWW-Authenticate', 'Basic realm="as"'])],
    (map { ["$_ to an answer" => (status => "$_ Elsewhere", headers => [Location => $as->url('/redirected')])] } 301, 302, 303, 307, 308),
    ['no byte' => (body => '', @json)],
    ['HTML' => (body => '<html>Login</html>', headers => ['Content-Type', 'text/html'])],
    ['JSON cut off' => (body => substr($good, 0, -1), @json)],
    ['something after the JSON' => (body => "$good}", @json)],
    ['two answers' => (body => "$good$good", @json)],
    ['active twice' => (body => qq({"active":true,"active":true,"aud":"$aud"}), @json)],
    ['active twice, once escaped' => (body => qq({"active":false,"\\u0061ctive":true,"aud":"$aud"}), @json)],
    ['sub twice' => (body => qq({"active":true,"aud":"$aud","sub":"a","sub":"b"}), @json)],
    ['a NUL in sub' => (body => qq({"active":true,"aud":"$aud","sub":"a\\u0000b"}), @json)],
    ['a NUL byte at the end' => (body => "$good\0", @json)],
    ['no quotes' => (body => '{active:true}', @json)],
    ['a comment' => (body => "/**/$good", @json)],
    ['NaN' => (body => qq({"active":true,"aud":"$aud","x":NaN}), @json)],
    ['a byte order mark' => (body => "\xef\xbb\xbf$good", @json)],
    ['the answer cut off' => (body => $good, cut => 20, @json)],
    ['a body over 64 KiB' => (body => $good, size => 65536 - length($good) + 1, @json)],
    ['no end in time' => (body => $good, drip => 0.2, @json)],
    ['no answer in time' => (hang => 1)],
);
for (@failures) {
    my ($name, %rule) = @$_;
    my $token = $as->active(aud => $aud);
    my $before = calls();
    $as->set('/fail', %rule);
    untouched($backend, "INT-5 $name", sub { unavailable(get($token), "INT-5 $name: 503") });
    is calls() - $before, 1, "INT-5 $name: it was asked once";
    $as->unset('/fail');
    is now_good($token), 200, "INT-5 $name: nothing of it is kept";
}
is scalar(my @followed = $as->calls('/redirected')) + $as->count('/redirected'), 0, 'INT-5 no redirect is followed';

# The largest answer there may be.
{
    my $token = opaque();
    $as->says($token, body => $good, size => 65536 - length $good, @json);
    is now_good($token), 200, 'INT-5 a body of 64 KiB will do';
}

# Nobody listens.
{
    my $token = $as->active(aud => $aud);
    $as->down;
    untouched($backend, 'INT-5 connection refused', sub { unavailable(get($token), 'INT-5 connection refused: 503') });
    $as->up;
    is now_good($token), 200, 'INT-5 connection refused: nothing of it is kept';
}
{
    $as->set('/fail', status => '500 Oops');
    untouched($backend, 'INT-5 a POST', sub {
        unavailable(rpc(introspection => '/fail', 'tools/call', { name => 'x' }, token => opaque()), 'INT-5 a POST: 503');
    });
    $as->unset('/fail');
    works('INT-5 a POST');
}
my @said = (log_since($mark), access_since($mark));
unlogged('INT-5 O02 no token, no secret and nothing of an answer in the error log', $said[0], "p%40s s:+&\xc3\xa9", 'invalid_client', 'Login</html>', '"sub":"alice"');
unlogged('INT-5 O02 nor in the access log', $said[1]);
cmp_ok scalar(() = $said[0] =~ /MCP0302\b/g), '>=', scalar(@failures), 'INT-5 the log has a line for each refusal';
no_crash($mark);
done_testing;
