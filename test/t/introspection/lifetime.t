# How long an answer is good, and for whom: requirements.md INT-4; threats.md C01, C05, C07. Times are the server's own: they are looked at
# in the order in which they must come, and no test is about being fast.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Introspection;
use Time::HiRes qw(time sleep);

my $as = MCP::Introspection->start(port('introspection_as'));
my $backend = MCP::Backend->start(port('introspection_backend'));
my $mark = log_mark();
sub get { my ($location, $token) = @_; http(introspection => GET => "/$location", token => $token) }
sub code { get(@_)->{code} }
sub active { my ($location, @more) = @_; $as->active(aud => "https://mcp.test/$location", @more) }
sub asked { scalar(my @calls = $as->asked($_[0])) }

# Asks until the answer is another one: [[when it was sent, when answered, status], …].
sub until_not {
    my ($status, $seconds, $location, $token) = @_;
    my $deadline = time + $seconds;
    my @seen;
    while (time < $deadline) {
        my $sent = time;
        push @seen, [$sent, undef, code($location, $token)];
        $seen[-1][1] = time;
        last if $seen[-1][2] != $status;
        sleep 0.1;
    }
    return @seen;
}

# --- asked ten seconds before the end of this file; see there
my $unknown = opaque();
inactive(get(answers => $unknown), 'token-inactive', 'INT-4 unknown to the authorization server');
my ($unknown_asked) = $as->asked($unknown);
active('answers', -token => $unknown);

# --- within the TTL of 60 s nobody asks again
{
    my $token = active('answers');
    is_deeply [map { code(answers => $token) } 1 .. 5], [(200) x 5], 'INT-4 a good token stays good';
    is asked($token), 1, 'INT-4 by one call for all processes';
    $as->forget($token);
    is_deeply [map { code(answers => $token) } 1 .. 5], [(200) x 5], 'INT-4 for the TTL even if it is revoked';
    is_deeply [statuses_of(introspection => '/answers', ($token) x 6)], [(200) x 6], 'INT-4 in any process';
    is asked($token), 1, 'INT-4 without a further call';
}

# --- another host asks about tokens of the same issuer each time
{
    my $token = active('basic');
    is code(basic => $token), 200, 'INT-4 a host that remembers';
    my $each = sub { http(introspection_other => GET => '/basic', token => $token)->{code} };
    is_deeply [map { $each->() } 1, 2], [200, 200], 'INT-4 and one that does not';
    is asked($token), 3, 'INT-4 the latter has asked each time';
    $as->forget($token);
    is $each->(), 401, 'INT-4 revoked: at once where nothing is remembered';
    is code(basic => $token), 200, 'INT-4 and for the TTL where it is';
    $as->active(aud => 'https://mcp.test/basic', -token => $token);
    is $each->(), 200, 'INT-4 active again: at once as well';
    my $jwt = token(iss => 'https://basic.intro.test', aud => 'https://mcp.test/basic');
    $as->active(aud => 'https://mcp.test/basic', -token => $jwt);
    is http(introspection_other => GET => '/basic', token => $jwt)->{code}, 200, 'T24 an issuer named twice is asked about JWTs';
}

# --- C01, C07: never beyond exp
{
    my ($exp, $token, @seen);
    for (1 .. 5) {    # there must be time to ask
        $exp = now() + 4;
        $token = active('now', exp => $exp);
        @seen = until_not(200, 30, now => $token);
        last if @seen > 3;
    }
    is $seen[-1][2], 401, 'C01 C07 in the end it is refused';
    is_deeply [grep { $_->[0] >= $exp && $_->[2] == 200 } @seen], [], 'INT-4 C01 C07 not one request is accepted after exp';
    is_deeply [grep { $_->[1] < $exp && $_->[2] != 200 } @seen], [], 'INT-4 and none refused before';
    cmp_ok scalar(@seen), '>', 3, 'INT-4 there were some';
    cmp_ok scalar(grep { $_ < $exp } $as->asked($token)), '==', 1, 'INT-4 one call until then';

    # What the server says later counts again.
    active('now', -token => $token, exp => now() + 600);
    ok wait_for(30, sub { code(now => $token) == 200 }), 'INT-4 exp + 1: asked again';
}
{
    my $token = active('answers', exp => now() - 20);
    is_deeply [map { code(answers => $token) } 1 .. 3], [(200) x 3], 'INT-4 within the clock skew a token is good';
    is asked($token), 3, 'INT-4 but no answer is kept beyond exp';
}

# --- the TTL
{
    my $token = active('short');
    is code(short => $token), 200, 'INT-4 McpOAuthIntrospectionCacheTTL 2s: good';
    my $answered = time;
    $as->forget($token);
    my @seen = until_not(200, 30, short => $token);
    is $seen[-1][2], 401, 'INT-4 McpOAuthIntrospectionCacheTTL 2s: revoked';
    is_deeply [grep { $_->[0] >= $answered + 2 && $_->[2] == 200 } @seen], [], 'INT-4 McpOAuthIntrospectionCacheTTL 2s: after 2 s nobody is let in';
    my @calls = $as->asked($token);
    is scalar(@calls), 2, 'INT-4 McpOAuthIntrospectionCacheTTL 2s: a call at the begin and one at the end';

    # C05: who was refused does not stay so, and does not cause a call each time.
    active('short', -token => $token);
    @seen = until_not(401, 30, short => $token);
    is $seen[-1][2], 200, 'C05 a token that becomes good is found to be';
    @calls = $as->asked($token);
    is scalar(@calls), 3, 'C05 by one call';
    cmp_ok $calls[2] - $calls[1], '>', 1.9, 'C05 after 2 s, as McpOAuthIntrospectionCacheTTL says';
}

# --- TTL 0
{
    my $token = active('never');
    is_deeply [map { code(never => $token) } 1 .. 3], [(200) x 3], 'INT-4 McpOAuthIntrospectionCacheTTL 0: good';
    is asked($token), 3, 'INT-4 McpOAuthIntrospectionCacheTTL 0: asked each time';
    $as->forget($token);
    is_deeply [map { code(never => $token) } 1 .. 3], [(401) x 3], 'INT-4 McpOAuthIntrospectionCacheTTL 0: revoked, so refused at once';
    is asked($token), 6, 'INT-4 McpOAuthIntrospectionCacheTTL 0: asked each time';
}

# --- bad tokens again and again
{
    my ($token, $start) = (opaque(), time);
    untouched($backend, 'C05 a bad token', sub {
        is_deeply [map { code(answers => $token) } 1 .. 10], [(401) x 10], 'C05 a bad token, ten times';
        is_deeply [statuses_of(introspection => '/answers', ($token) x 6)], [(401) x 6], 'C05 and at the same time';
    });
    my $calls = asked($token);
    ok $calls >= 1 && $calls <= 1 + (time - $start) / 10, 'C05 is one call' or diag $calls;    # in 10 s
    my $foreign = $as->active(aud => 'https://mcp.test/foreign');
    $start = time;
    is_deeply [map { code(answers => $foreign) } 1 .. 10], [(401) x 10], 'C05 the token of another resource, ten times';
    $calls = asked($foreign);
    ok $calls >= 1 && $calls <= 1 + (time - $start) / 10, 'C05 is one call' or diag $calls;
    my ($early, $code);
    for (1 .. 5) {
        my $nbf = now() + 64;
        $early = active('answers', nbf => $nbf);
        $code = code(answers => $early);
        last if time < $nbf - 60;
    }
    is $code, 401, 'C05 before nbf it is refused';
    ok wait_for(30, sub { code(answers => $early) == 200 }), 'C05 then, with the clock skew, it is good';
}

# --- the first token of this file: bad for 10 s at most
ok wait_for(30, sub { code(answers => $unknown) == 200 }), 'C05 an unknown token that becomes known is good in the end';
my @calls = $as->asked($unknown);
is scalar(@calls), 2, 'C05 by a second call';
cmp_ok $calls[1] - $unknown_asked, '>', 9.8, 'C05 after 10 s';

unlogged('O02 no token in the error log', log_since($mark));
no_crash($mark);
done_testing;
