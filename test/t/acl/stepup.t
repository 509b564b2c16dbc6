# What a refusal asks for: requirements.md CHL-8 to CHL-11, ACL-7; design 2.2.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Stream;
use MCP::Gate;

my $backend = MCP::Stream->start(port('revision_backend'));
my $mark = log_mark();

sub call { ('tools/call', { name => shift }) }
sub listen_to { ('subscriptions/listen', { notifications => { resourceSubscriptions => [@_] } }) }
# A message, or a verb, with these scopes (or claims).
sub ask {
    my ($path, $held, $what, $params) = @_;
    my $token = ref $held ? token(aud => 'https://mcp.test/rev', scope => undef, %$held) : bearer('rev', $held);
    return http(revision => $what => $path, token => $token) if $what =~ /^[A-Z]+$/;
    return post(revision => $path, '{"jsonrpc":"2.0","id":1,"result":{}}', token => $token) if $what eq 'response';
    return rpc(revision => $path, $what, $params, token => $token, $what =~ /^notifications/ ? (id => undef) : ());
}
# [status, error, scope]; whatever else a challenge needs must be there.
sub verdict {
    my $r = shift;
    my %c = challenge($r);
    return [$r->{code}] if $r->{code} < 300;
    return [$r->{code}, 'resource_metadata', $c{resource_metadata}] unless ($c{resource_metadata} // '') =~ m{^https?://.+/\.well-known/oauth-protected-resource/rev$};
    return [$r->{code}, $c{error}, $c{scope}];
}
sub lacks { [403, 'insufficient_scope', $_[0]] }
my $denied = [403, undef, undef];

# --- CHL-8, CHL-9
my @asked = (
    [[call('pair')], 'base', 'base p q', 'two scopes, none held'],
    [[call('pair')], 'base p', 'base p q', 'two scopes, the first held'],
    [[call('pair')], 'base q', 'base p q', 'two scopes, the second held'],
    [[call('pair')], 'q extra base', 'base p q', 'whatever else is held'],
    [[call('choice')], 'base', 'base n o', 'the rule with fewer scopes, though it comes later'],
    [[call('choice')], 'base k', 'base n o', 'of a larger rule one held: the smaller one'],
    [[call('both')], 'base', 'base write extra', 'a scope of the hierarchy and another'],
    [[call('both')], 'base extra', 'base write extra', 'CHL-9 those held as well'],
    [['resources/read', { uri => 'file:///w' }], 'base read', 'base write', 'the scope itself, not the one that implies it'],
    [[call('wipe')], 'base write', 'base admin', 'the top of a hierarchy'],
    [[listen_to('file:///r', 'file:///w')], 'base', qr/^base (?:read write|write read|write)$/, 'listen: those of all entries'],
    [['GET'], 'base', 'base stream', 'GET'], [['DELETE'], 'base stream', 'base ender', 'DELETE'], [['HEAD'], 'base ender', 'base stream', 'HEAD'],
    [['response'], 'base', 'base answers', 'a response'], [['notifications/initialized'], 'base', 'base notes', 'a notification'],
);
for (@asked) {
    my ($what, $held, $want, $name) = @$_;
    my $r;
    untouched $backend, "CHL-8 $name", sub { $r = ask('/step', $held, @$what) };
    my $v = verdict($r);
    if (ref $want) { is_deeply [@$v[0, 1]], [403, 'insufficient_scope'], "CHL-8 $name"; like $v->[2], $want, "CHL-9 $name" }
    else { is_deeply $v, lacks($want), "CHL-8 CHL-9 $name" }
    if ($what->[0] =~ /^(?:GET|DELETE)$/) { answers_json($r, 403, 'insufficient_scope', "CHL-8 $name: OAuth JSON") }
    elsif ($what->[0] ne 'HEAD') { refused_rpc($r, 403, 403, $what->[0] =~ /^(?:notif|response)/ ? undef : '1', "CHL-8 $name: JSON-RPC") }
    # Who gets what was asked for gets through at once, and nothing of it was superfluous.
    my $scope = $v->[2] // '';
    is ask('/step', $scope, @$what)->{code} < 300 ? 1 : 0, 1, "CHL-9 $name: with '$scope' it passes";
    for my $less (split ' ', $scope) {
        my $rest = join ' ', grep { $_ ne $less } split ' ', $scope;
        next if ref $want && $less eq 'read';    # implied by the other
        is ask('/step', $rest, @$what)->{code}, 403, "CHL-9 $name: without $less it does not";
    }
}
is_deeply verdict(ask('/step', 'read write admin p q', call('pair'))), lacks('base'), 'CHL-8 the scope of the location comes first, alone';

# --- ACL-7: who holds more is not asked for less
for (['admin' => 'tools/list'], ['write' => 'tools/list'], ['admin' => 'resources/read', { uri => 'file:///w' }], ['admin' => call('wipe')], ['admin extra' => call('both')],
    ['admin' => listen_to('file:///r', 'file:///w')], ['write' => listen_to('file:///r', 'file:///w')]) {
    my ($held, @what) = @$_;
    is_deeply verdict(ask('/step', "base $held", @what)), [200], "ACL-7 $held: $what[0]";
}
for (['read' => ['resources/read', { uri => 'file:///w' }], 'base write'], ['admin' => [call('both')], 'base write extra'], ['admin' => [call('pair')], 'base p q']) {
    my ($held, $what, $scope) = @$_;
    is_deeply verdict(ask('/step', "base $held", @$what)), lacks($scope), "ACL-7 CHL-9 $held is not enough for $what->[1]{name}" if $what->[1]{name};
    is_deeply verdict(ask('/step', "base $held", @$what)), lacks($scope), "ACL-7 CHL-9 $held is not enough for $what->[1]{uri}" if $what->[1]{uri};
}
is_deeply verdict(ask('/step', 'base ADMIN', 'tools/list')), lacks('base read'), 'ACL-7 TOK-15 a scope in another case implies nothing';

# --- CHL-10
for my $what ([call('pair')], [call('choice')], [call('both')], [listen_to('file:///w', 'file:///r')], ['GET']) {
    my %seen;
    for my $held (qw(base p q k extra), 'x y z') {
        my @scopes = ('base', split ' ', $held eq 'base' ? 'u' : $held);
        $seen{$held}{ header(ask('/step', join(' ', $_ % 2 ? @scopes : reverse @scopes), @$what), 'WWW-Authenticate') // 'none' }++ for 1 .. 20;
    }
    is_deeply [grep { keys %{ $seen{$_} } != 1 } sort keys %seen], [], 'CHL-10 20 times the same, in whatever order the token has its scopes: ' . join ' ', $what->[0], $what->[1] ? json_text($what->[1]) : ();
}

# --- CHL-11
untouched $backend, 'CHL-11', sub {
    for (['tools/call', { name => 'nobody' }], ['prompts/list'], ['x/y'], [listen_to('file:///r', 'file:///nobody')]) {
        is_deeply verdict(ask('/step', 'base read', @$_)), $denied, "CHL-11 allowed to nobody: $_->[0]";
    }
    is_deeply verdict(ask('/roles', { scope => 'base', roles => ['clerk'] }, call('fire'))), $denied, 'CHL-11 a role cannot be asked for';
    is_deeply verdict(ask('/roles', { scope => 'base boss' }, call('fire'))), $denied, 'CHL-11 nor helps a scope of its name';
    is_deeply verdict(ask('/roles', { scope => 'base', roles => ['clerk'] }, 'GET')), $denied, 'CHL-11 a verb';
    answers_json(ask('/roles', { scope => 'base', roles => ['clerk'] }, 'GET'), 403, 'forbidden', 'CHL-11 a verb: OAuth JSON');
    is_deeply verdict(ask('/roles', { scope => 'x', roles => ['boss'] }, call('fire'))), lacks('base'), 'CHL-11 but the scope of the location can be';
};
is_deeply verdict(ask('/roles', { scope => 'base', roles => ['boss'] }, call('fire'))), [200], 'CHL-11 the role itself';

# --- an invalid token is that, whatever it lacks besides
for (['expired' => { exp => now() - 3600 }], ['of another audience' => { aud => 'https://mcp.test/other' }], ['not yet valid' => { nbf => now() + 3600 }], ['of a stranger' => { iss => 'https://evil.test' }]) {
    my ($name, $claims) = @$_;
    for my $path ('/step', '/roles') {
        untouched $backend, "CHL-6 $name", sub {
            my $r = ask($path, { scope => 'nothing', %$claims }, call('pair'));
            my %c = challenge($r);
            is_deeply [$r->{code}, $c{error}], [401, 'invalid_token'], "CHL-6 a token $name that also lacks a scope at $path: 401 invalid_token";
            answers_json($r, 401, 'invalid_token', "CHL-6 a token $name at $path: OAuth JSON");
        };
    }
}
no_crash($mark);

done_testing;
