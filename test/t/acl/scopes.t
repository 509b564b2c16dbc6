# Which scopes a refusal names, where they are read, who implies whom, Shadow, inner locations, many rules: design 2.2 and 3.2,
# requirements.md CHL-8 to CHL-11, ACL-7, TOK-15.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;

my $backend = MCP::Backend->start(port('acl_backend'));
my $mark = log_mark();
my $meta = qr{^https?://.+/\.well-known/oauth-protected-resource/acl$};

sub ask { my ($path, $token, $method, $params) = @_; rpc(acl => $path, $method, $params, token => ref $token ? token(aud => 'https://mcp.test/acl', scope => undef, %$token)
        : bearer('acl', $token)) }
# [status, error, scope] of an answer; the rest of a challenge must be right.
sub verdict {
    my $r = shift;
    my %c = challenge($r);
    return [$r->{code}] if $r->{code} < 300;
    return [$r->{code}, 'resource_metadata', $c{resource_metadata}] if ($c{resource_metadata} // '') !~ $meta;
    return [$r->{code}, 'error_description'] if $c{error} && !$c{error_description};
    return [$r->{code}, $c{error}, $c{scope}];
}
sub lacks { my ($scope) = @_; [403, 'insufficient_scope', $scope] }
my $denied = [403, undef, undef];
sub call { ('tools/call', { name => shift }) }

# --- CHL-8, CHL-9, CHL-10
for (
    ['', 'tools/list', undef, 'base', 'the location comes first, before the body is read'],
    ['base', 'tools/list', undef, 'base read', 'one scope'],
    ['base', call('two'), 'base a b', 'two scopes, none held'],
    ['base a', call('two'), 'base a b', 'CHL-9 two scopes, one held: all of this operation'],
    ['base b', call('two'), 'base a b', 'CHL-10 the order is that of the rules'],
    ['base', call('choice'), 'base c', 'CHL-9 the smallest set'],
    ['base x y z', call('choice'), 'base c', 'CHL-9 whatever else is held'],
    ['base f', call('half'), 'base f g', 'CHL-9 of equally many the one that lacks less'],
    ['base e', call('half'), 'base d e', 'CHL-9 and else the first'],
    ['base', call('half'), 'base d e', 'CHL-9 the first, nothing held'],
    ['base', call('more'), 'base more', 'no scope is named twice'],
    ['base', 'resources/read', { uri => 'file:///r' }, 'base read', 'a resource'],
    ['base', 'subscriptions/listen', { notifications => { resourceSubscriptions => ['file:///w', 'file:///r'] } }, qr/^base (?:read write|write read)$/,
        'CHL-9 listen: those of all entries'],
    ['base read', 'subscriptions/listen', { notifications => { resourceSubscriptions => ['file:///w', 'file:///r'] } }, qr/^base (?:read write|write read)$/,
        'CHL-9 listen: those held as well'],
) {
    my $name = pop @$_;
    my $want = pop @$_;
    my ($held, $method, $params) = @$_;
    my @all;
    untouched $backend, "CHL-8 $name", sub {
        @all = map { ask('/scopes', $held, $method, $params) } 1 .. 3;
        my $v = verdict($all[0]);
        if (ref $want) { like $v->[2], $want, "CHL-8 $name" }
        else { is_deeply $v, lacks($want), "CHL-8 $name" }
        if ($held eq '') { answers_json($all[0], 403, 'insufficient_scope', "CHL-8 $name: OAuth JSON") }
        else { refused_rpc($all[0], 403, 403, '1', "CHL-8 $name: JSON-RPC") }
    };
    is_deeply [map { header($_, 'WWW-Authenticate') } @all], [(header($all[0], 'WWW-Authenticate')) x 3], "CHL-10 stable: $name";
}
for (['base', call('basic')], ['base a b', call('two')], ['b base x a', call('two')], ['base c', call('choice')], ['base a b', call('choice')], ['base more', call('more')],
    ['base', 'ping'], ['base read write', 'subscriptions/listen', { notifications => { resourceSubscriptions => ['file:///w', 'file:///r'] } }]) {
    my ($held, $method, $params) = @$_;
    is ask('/scopes', $held, $method, $params)->{code}, 200, "$held: $method " . ($params && $params->{name} // '');
}
# nothing can help
untouched $backend, 'CHL-11', sub {
    for (['tools/call', { name => 'nobody' }], ['x/y'], ['prompts/list'], ['resources/read', { uri => 'file:///nobody' }],
        ['subscriptions/listen', { notifications => { resourceSubscriptions => ['file:///r', 'file:///nobody'] } }]) {
        is_deeply verdict(ask('/scopes', 'base read a b', @$_)), $denied, "CHL-11 allowed to nobody: $_->[0]";
    }
};
is ask('/open', 'anything', 'ping')->{code}, 200, '* is any valid token';
is ask('/open', { }, 'ping')->{code}, 200, '* is also a token without scopes';
is_deeply verdict(ask('/open', {}, 'tools/list')), lacks('read'), 'without a scope of the location the rule alone';
is_deeply verdict(ask('/open', 'Read', 'tools/list')), lacks('read'), 'TOK-15 case';
is_deeply verdict(ask('/open', { scope => ['read'] }, 'tools/list')), [200], 'an array of strings is taken as it is';
is_deeply verdict(ask('/open', { scope => ['read', 1] }, 'tools/list')), lacks('read'), 'an array of other things is empty';
is_deeply verdict(ask('/open', { scope => '*' }, 'tools/list')), lacks('read'), 'a scope called * is not any';
{
    my $r = http(acl => GET => '/open', token => bearer('acl', 'read'));
    is_deeply verdict($r), $denied, 'CHL-11 GET allowed to nobody';
    answers_json($r, 403, 'forbidden', 'GET: OAuth JSON');
}

# --- ACL-7
for (['files:read', 'resources/read', { uri => 'x' }, [200]], ['files:write', 'resources/read', { uri => 'x' }, [200]], ['files:admin', 'resources/read', { uri => 'x' }, [200]],
    ['files:admin', 'resources/list', undef, [200]], ['files:write', call('write'), [200]], ['files:admin', call('write'), [200]], ['files:admin', call('chmod'), [200]],
    ['files:read', call('write'), lacks('files:read files:write')], ['files:write', call('chmod'), lacks('files:read files:admin')],
    ['files:read', 'resources/list', undef, lacks('files:read files:list')], ['other', 'resources/list', undef, lacks('files:read')],
    ['files:list', 'resources/list', undef, lacks('files:read')], ['files:read loop2', call('loop'), [200]]) {
    my $want = pop @$_;
    my ($held, $method, $params) = @$_;
    is_deeply verdict(ask('/implies', $held, $method, $params)), $want, "ACL-7 $held: $method " . ($params && $params->{name} // '');
}

# --- Shadow
{
    my $from = log_mark();
    $backend->clear;
    my $r = ask('/shadow', 'x', call('danger'));
    is $r->{code}, 200, 'Shadow lets pass';
    is header($r, 'WWW-Authenticate'), undef, 'Shadow: without a challenge';
    is scalar($backend->requests), 1, 'Shadow: to the backend';
    like header($r, 'X-Env'), qr/^tools\/call\|danger\|shadow-deny\|acl-/, 'Shadow: the environment tells';
    like log_since($from), qr/danger/, 'Shadow: and so does the log';
    like header(ask('/shadow', 'read', 'tools/list'), 'X-Env'), qr/^tools\/list\|[^|]*\|allow\|/, 'Shadow: what is allowed is allow';
    is http(acl => DELETE => '/shadow', token => bearer('acl', 'x'))->{code}, 200, 'Shadow lets a verb pass';
    untouched $backend, 'Shadow', sub {
        is rpc(acl => '/shadow', 'ping')->{code}, 401, 'Shadow: not without a token';
        is post(acl => '/shadow', '[]', token => bearer('acl', 'x'))->{code}, 400, 'Shadow: nor what is no message';
        is ask('/shadow', 'x', 'tools/call', { name => 1 })->{code}, 400, 'Shadow: nor bad parameters';
    };
}

# --- where values are read
is_deeply verdict(ask('/scp', { scp => 'read x' }, 'tools/list')), [200], 'ScopeClaim scp: a string';
is_deeply verdict(ask('/scp', { scp => ['x', 'read'] }, 'tools/list')), [200], 'ScopeClaim scp: an array';
is_deeply verdict(ask('/scp', { scope => 'read' }, 'tools/list')), lacks('read'), 'ScopeClaim scp: scope is not asked for';
is_deeply verdict(ask('/scp', { scp => { read => 1 } }, 'tools/list')), lacks('read'), 'ScopeClaim scp: an object is empty';
my %three = (scope => 'one', scp => ['two'], realm_access => { roles => ['three'] });
is_deeply verdict(ask('/united', {%three}, 'tools/list')), [200], 'ScopeClaim: several are united';
for my $claim (sort keys %three) {
    is_deeply verdict(ask('/united', { %three, $claim => undef }, 'tools/list')), lacks('one two three'), "ScopeClaim: all are needed, $claim is missing";
}
is_deeply verdict(ask('/united', { scp => 'one' }, 'ping')), [200], 'ScopeClaim: any of them gives the value';

is_deeply verdict(ask('/roles', { scope => 'base', roles => ['admin'] }, call('x'))), [200], 'ACLClaim: a role';
is_deeply verdict(ask('/roles', { scope => 'base', roles => 'user admin' }, call('x'))), [200], 'ACLClaim: a string is split';
is_deeply verdict(ask('/roles', { scope => 'base admin', roles => ['user'] }, call('x'))), $denied, 'CHL-11 ACLClaim: a scope is no role, and no role can be asked for';
is_deeply verdict(ask('/roles', { scope => 'base' }, 'tools/list')), $denied, 'CHL-11 ACLClaim: no roles at all';
is_deeply verdict(ask('/roles', { scope => 'base', roles => { admin => 1 } }, call('x'))), $denied, 'ACLClaim: an object is empty';
is_deeply verdict(ask('/roles', { roles => ['admin'] }, call('x'))), lacks('base'), 'the scope of the location can be asked for';
is_deeply verdict(ask('/roles', { scope => 'base', roles => ['user'] }, 'tools/list')), [200], 'ACLClaim: another role';
is_deeply verdict(ask('/roles2', { roles => ['admin'], realm_access => { roles => ['ops'] } }, call('x'))), [200], 'ACLClaim: several are united';
is_deeply verdict(ask('/roles2', { roles => ['admin'] }, call('x'))), $denied, 'ACLClaim: several, one missing';

# --- inner locations
for (['/nest', 'outer', 'tools/list', 200], ['/nest', 'inner outer', 'x', 403], ['/nest', 'outer', 'ping', 403], ['/nest', 'top', 'tools/list', 200],
    ['/nest/inner', 'outer', 'tools/list', 200], ['/nest/inner', 'inner', 'x', 200], ['/nest/inner', 'outer', 'x', 403], ['/nest/inner', 'outer', 'ping', 200],
    ['/nest/inner', 'top', 'x', 200], ['/nest/inner', 'top', 'tools/list', 200], ['/nest/inner', 'deep', 'y', 403],
    ['/nest/inner/deep', 'outer', 'tools/list', 200], ['/nest/inner/deep', 'inner', 'x', 200], ['/nest/inner/deep', 'deep', 'y', 200], ['/nest/inner/deep', 'deep', 'x', 403],
    ['/nest/off', 'nothing', 'y', 200]) {
    my ($path, $scope, $what, $want) = @$_;
    my @op = length $what == 1 ? call($what) : ($what);
    is ask($path, $scope, @op)->{code}, $want, "rules of inner locations are added: $path, $scope, $what";
}

# --- 1,000 rules
{
    is_deeply verdict(ask('/thousand', 's500', call('tool-500'))), $denied, '1,000 rules: not there yet';
    my $dir = vars('t_conf') . '/made';
    mkdir $dir;
    write_file("$dir/thousand.rules", join '', map { my $n = $_; "McpOAuthAllow s$n tool:tool-$n resource:file:///r$n/*\n" } 1 .. 1000);
    chmod 0755, $dir;
    chmod 0644, "$dir/thousand.rules";
    open my $fh, '<', vars('t_pid_file') or die;
    chomp(my $pid = <$fh>);
    kill USR1 => $pid;
    my $r = wait_for(30, sub { my $r = eval { ask('/thousand', 's500', call('tool-500')) } || { code => 0 }; $r->{code} == 200 ? $r : undef });
    is $r && $r->{code}, 200, '1,000 rules: loaded by a graceful restart';
    is ask('/thousand', 's1', call('tool-1'))->{code}, 200, '1,000 rules: the first';
    is ask('/thousand', 's1000', call('tool-1000'))->{code}, 200, '1,000 rules: the last';
    is ask('/thousand', 's999', 'resources/read', { uri => 'file:///r999/x' })->{code}, 200, '1,000 rules: a pattern';
    is_deeply verdict(ask('/thousand', 's999', call('tool-500'))), lacks('s500'), '1,000 rules: another scope';
    is_deeply verdict(ask('/thousand', 's999', call('tool-1001'))), $denied, '1,000 rules: none of them';
    is ask('/thousand', join(' ', map { "s$_" } 200 .. 499), call('tool-499'))->{code}, 200, '1,000 rules: a token of 300 scopes';
    unlink "$dir/thousand.rules";    # gone at the next start
}
no_crash($mark);

done_testing;
