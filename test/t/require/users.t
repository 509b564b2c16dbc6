# AuthType mcp-oauth, and what of the user other modules see: %u, expressions, mod_headers, mod_rewrite. Design 3.4.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Proof ();
use MCP::Status;

my $backend = MCP::Backend->start(port('require_backend'));
my $mark = log_mark();
my $where = 'require';
my $own = join '-', $$, now();
sub t { token(aud => 'https://mcp.test/require', sub => @_ % 2 ? @_ : ('alice', @_)) }
sub get { my ($path, $t, %opt) = @_; http($where, delete $opt{verb} // 'GET', $path, token => $t, %opt) }
sub denied {
    my ($path, $t, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @faults;
    for my $r (map { get($path, $t) } 1, 2) {
        my %c = eval { challenge($r) };
        push @faults, "status $r->{code}" if $r->{code} != 403;
        push @faults, 'body ' . $r->{body} if (eval { json($r->{body})->{error} } // '') ne 'forbidden';
        push @faults, 'environment ' . (header($r, 'X-Env') // '') if (header($r, 'X-Env') // '') ne 'deny|require-denied';
        push @faults, 'challenge ' . join ' ', sort keys %c if join(' ', sort grep { $_ ne 'realm' } keys %c) ne ' resource_metadata';
        push @faults, 'schemes ' . MCP::Proof::schemes($r) if MCP::Proof::schemes($r) =~ /Basic|mcp-oauth/i;
    }
    ok !@faults, "$path: $name" or diag join "\n", @faults;
}

# --- Require valid-user, Require user
for my $path (qw(/valid /user /untyped/valid /untyped/user)) {
    my $r = get($path, t('alice'));
    is_status($r, 200, "$path: the user of the token");
    is header($r, 'X-User'), 'alice', "$path: REMOTE_USER";
    is get($path, t('alice'))->{code}, 200, "$path: again";
}
is get('/valid', t('carol'))->{code}, 200, '/valid: any user';
is get('/user', t('bob smith'))->{code}, 200, '/user: a name with a blank';
is get('/named', t('x', profile => { login => 'carol' }))->{code}, 200, '/named: McpOAuthRemoteUser';
is header(get('/valid', t('alice')), 'X-Type'), 'Bearer', 'AUTH_TYPE is the scheme of the token';
untouched $backend, 'users', sub {
    denied('/user', t($_), 'another user: ' . json_text($_)) for 'carol', 'Alice', 'alice2', 'bob', '', ' alice', 'valid-user';
    denied('/untyped/user', t('carol'), 'another user, without AuthType');
    denied($_, t(undef), 'a token without a user') for qw(/valid /user);
    denied('/named', t('carol'), 'McpOAuthRemoteUser: the sub is not the user');
    denied('/named', t('carol', profile => { login => 'dave' }), 'McpOAuthRemoteUser: another');
    denied('/userscope', t('carol', scope => 'a'), 'the wrong user with the right scope');
    denied('/userscope', t('carol', scope => 'c'), 'the wrong user without it: no scope would help');
    is { challenge(get('/userscope', t('alice', scope => 'c'))) }->{error}, 'insufficient_scope', '/userscope: the right user without the scope';
    my $r = get('/basicuser', undef, headers => [Authorization => 'Basic YWxpY2U6c2VjcmV0']);
    is $r->{code}, 401, '/basicuser: Basic is nothing';
    is_deeply [grep { /^Basic/ } headers($r, 'WWW-Authenticate')], [], '/basicuser: and is not asked for';
    my $no = get('/untyped/valid', t(undef));
    isnt $no->{code}, 200, '/untyped/valid: a token without a user';
    isnt $no->{code}, 401, '/untyped/valid: is not asked for another one' or diag $no->{raw_head};
};
is get('/userscope', t('alice', scope => 'a'))->{code}, 200, '/userscope: the right user with the right scope';
{
    my $token = MCP::Proof::bound(aud => 'https://mcp.test/require', sub => 'alice');
    my @r = map { MCP::Proof::dpop($where, GET => '/user', $token, url => $_) } 'https://mcp.test/require/user', 'https://mcp.test/user';
    my ($r) = grep { $_->{code} == 200 } @r;
    ok $r, '/user: DPoP' or diag map { $_->{raw_head} } @r;
    is $r && header($r, 'X-Type'), 'DPoP', '/user: DPoP: AUTH_TYPE';
}

# --- %u
{
    get('/valid', t($_->[0]), headers => ['X-Ask', "$own-$_->[1]"]) for ['alice', 1], ["evil\"\n[\x01", 2], [undef, 3];
    get('/valid', undef, headers => ['X-Ask', "$own-4"]);
    my %lines;
    ok wait_for(30, sub { %lines = map { /\|(\d{3})\|\Q$own\E-(\d)$/ ? ($2 => $_) : () } split /\n/, slurp(MCP::Test::log_file('require_users')); keys %lines == 4 }), '%u: each request has a line';
    is $lines{1}, "alice|alice|200|$own-1", '%u: the user';
    like $lines{2} // '', qr/^evil\\"(?:\\n|%0A)\[(?:\\x01|%01)\|/, '%u: escaped';
    like $lines{3} // '', qr/^-\|-\|/, '%u: none in the token';
    like $lines{4} // '', qr/^-\|-\|401/, '%u: none without a token';
}

# --- expressions in Require
is get('/expr', t('alice'))->{code}, 200, 'Require expr: reqenv';
is get('/exprenv', t('alice', scope => 'b a'))->{code}, 200, 'Require expr: env, REMOTE_USER, issuer, scope';
untouched $backend, 'Require expr', sub {
    denied('/expr', t('bob'), 'Require expr: another user');
    denied('/exprenv', t('alice', scope => 'b'), 'Require expr: without the scope');
};

# --- mod_headers
{
    my $r = get('/headers', t('alice', scope => 'a b'));
    is_status($r, 200, 'Header: a request');
    is header($r, 'X-Sub'), 'alice|client-1|https://as.test|a b|https://mcp.test/require', 'Header: expressions see who it is';
    is header($r, 'X-Plain'), 'alice', 'Header: and so does %{}e';
    is header($r, 'X-Alice'), 'yes', 'Header: as a condition';
    is header(get('/headers', t('bob')), 'X-Alice'), undef, 'Header: that does not hold for another user';
    $backend->clear;
    get('/headers', t('alice'), headers => ['X-Backend-Sub', 'evil', 'X-Backend-User', 'evil', 'X-Backend-Plain', 'evil']);
    my ($seen) = $backend->requests;
    is_deeply [map { $seen && $seen->{headers}{$_} } qw(x-backend-sub x-backend-plain x-backend-user)], [qw(alice client-1 alice)], 'RequestHeader: what the backend sees';
}

# --- mod_rewrite
{
    my $r = get('/rewrite', t('alice'));
    is_status($r, 200, 'RewriteCond: a request');
    is header($r, 'X-Seen'), 'alice', 'RewriteCond: the environment, and RewriteRule';
    is header($r, 'X-Rate'), '400', 'RewriteRule: a variable for other modules';
    is header(get('/rewrite', t('carol')), 'X-Seen') // '(null)', '(null)', 'RewriteCond: another user';
    untouched $backend, 'RewriteRule', sub { is get('/rewrite', t('bob'))->{code}, 403, 'RewriteRule [F] for one user' };
}
{
    my ($alice, $bob) = ("alice", "bob");
    my $r = get('/lookahead', t('alice', client_id => "ahead-$own"));
    is_status($r, 200, 'LA-U: a request');
    like header($r, 'X-Ahead') // '(null)', qr/^(?:alice|\(null\))$/, 'LA-U:REMOTE_USER: the user, or nobody yet';
    note 'LA-U:REMOTE_USER gives ' . (header($r, 'X-Ahead') // 'nothing');
    is header(get('/lookahead', t('carol', client_id => "ahead-$own")), 'X-Ahead') // '(null)', '(null)', 'LA-U: another user';
    is get('/lookahead')->{code}, 401, 'LA-U: no token';
    is get('/lookahead', 'a.b.c')->{code}, 401, 'LA-U: a bad token';
    my $t = t('bob', client_id => "ahead-$own");
    is_deeply [map { get('/lookahead', $t)->{code} } 1 .. 4], [200, 200, 200, 429], 'H07 LA-U: a request costs once';
    counted($where, { 'require-lookahead allow' => 1 }, sub { get('/lookahead', t('alice', client_id => "ahead2-$own")) }, 'H07 LA-U: and counts once');
    counted($where, { 'require-lookahead deny credentials-missing' => 1 }, sub { get('/lookahead') }, 'H07 LA-U: and counts once, without a token');
    counted($where, { 'require-lookahead deny rate-limited' => 1 }, sub { get('/lookahead', $t) }, 'H07 LA-U: and counts once, over the limit');
}
no_crash($mark);

done_testing;
