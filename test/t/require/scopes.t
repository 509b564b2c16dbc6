# Require mcp-scope and Require mcp-claim: when they hold, what the answer says, in sections, where McpOAuth is Off. Design 2.2, 3.4;
# threats.md H07, H08, O03.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Proof ();

my $backend = MCP::Backend->start(port('require_backend'));
my $mark = log_mark();
my $where = 'require';
my $prm = 'https://mcp.test/.well-known/oauth-protected-resource/require';
sub t { my ($scope, %claims) = @_; token(aud => 'https://mcp.test/require', scope => $scope, %claims) }
sub get { my ($path, $t, %opt) = @_; http($where, delete $opt{verb} // 'GET', $path, token => $t, %opt) }
sub slug { (header($_[0], 'X-Env') // '') =~ /^deny\|(.*)/ ? $1 : header($_[0], 'X-Env') // '' }

# Passes, twice: the second verdict comes from the cache.
sub lets {
    my ($path, $t, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @r = map { get($path, $t) } 1, 2;
    is_deeply [map { $_->{code} } @r], [200, 200], "$path: $name" or diag map { substr "$_->{raw_head}\n$_->{body}\n", 0, 500 } @r;
}

# 403, with the scopes that would help (sorted, a text; a reference to several such texts if each will do), or undef for none at all.
sub stops {
    my ($path, $t, $scope, $name, %opt) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @r = map { get($path, $t, %opt) } 1, 2;
    my @faults;
    for my $r (@r) {
        my %c = eval { challenge($r, $opt{scheme} // 'Bearer') };
        push @faults, "challenge: $@" if $@;
        push @faults, "status $r->{code}" if $r->{code} != 403;
        my $body = eval { json($r->{body}) } // {};
        my @want = defined $scope ? ('insufficient_scope', 'require-scope') : ('forbidden', 'require-denied');
        push @faults, 'body ' . $r->{body} if ($body->{error} // '') ne $want[0] || !length($body->{error_description} // '') || !length($body->{request_id} // '');
        push @faults, 'reason ' . slug($r) if slug($r) ne $want[1];
        push @faults, 'resource_metadata ' . ($c{resource_metadata} // 'missing') if ($c{resource_metadata} // '') ne $prm;
        push @faults, 'Cache-Control' if (header($r, 'Cache-Control') // '') ne 'no-store';
        push @faults, 'Content-Type' if (header($r, 'Content-Type') // '') !~ m{^application/json\b};
        if (defined $scope) {
            my $got = join ' ', sort split / /, $c{scope} // '';
            push @faults, 'error ' . ($c{error} // 'missing') if ($c{error} // '') ne 'insufficient_scope';
            push @faults, "scope '$got'" unless grep { $got eq $_ } ref $scope ? @$scope : $scope;
        }
        else { push @faults, "$_ $c{$_}" for grep { defined $c{$_} } qw(error scope error_description) }
    }
    ok !@faults, "$path: $name" or diag join "\n", @faults;
    return $r[0];
}

# Whoever gets the scopes that a 403 names comes further each time: nobody asks for the same again and again. Ends with this status
# after at most so many answers.
sub leads_to {
    my ($path, $code, $most, %claims) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($r, @asked, %have) = (undef);
    for (1 .. 6) {
        push @asked, join ' ', sort keys %have;
        $r = get($path, t(join(' ', 'other', sort keys %have), %claims));
        last unless $r->{code} == 403;
        my %c = challenge($r);
        last unless ($c{error} // '') eq 'insufficient_scope';
        $have{$_} = 1 for split / /, $c{scope};
    }
    my %twice;
    ok $r->{code} == $code && @asked <= $most && !(grep { $twice{$_}++ } @asked), "STP-1 $path: whoever follows the challenges gets $code" or diag "$r->{code} after: ", join ', ', map { "'$_'" } @asked;
}

untouched $backend, 'H08 refusals', sub {
    # --- one of several scopes
    stops('/scope', t($_), ['a', 'b', 'a b'], "none of them: '$_'") for 'c', '', 'A', 'aa', 'a,b', 'ab', "c\td";
    stops('/scope', t(undef), ['a', 'b', 'a b'], 'no scope claim');
    stops('/required', t('base'), ['a base'], 'beside McpOAuthRequireScope: all that is needed, together');
    is get('/required', t('a'))->{code}, 403, '/required: the location\'s own scope';
    stops('/implies', t('other'), ['read'], 'nothing implies it');
    stops('/implies', t('rea'), ['read'], 'no prefix');
    stops('/scp', t('a'), ['a'], 'another claim');
    stops('/scp', t(undef, scp => ['b', 'c']), ['a'], 'a list without it');
    stops('/scp', t(undef, scp => { a => 1 }), ['a'], 'an object');
    stops('/lines', t('c'), ['a', 'b', 'a b'], 'two lines are one of both');
    stops('/scopeall', t('a'), ['a b', 'a c', 'a b c', 'b', 'c', 'b c'], 'one of two that are needed');
    stops('/scopeall', t('b'), ['a', 'a b', 'a b c', 'a c'], 'the other one');
    stops('/shadow', t('c'), ['a'], 'Shadow is about the ACL alone');

    # --- claims: no scope helps
    stops('/claim', t('a', realm_access => { roles => $_ }), undef, 'not among the roles: ' . json_text($_)) for ['user'], [], 'user', ['Admin'], ['admin x'], { admin => 1 }, 7, undef, [['admin']], 'adminops';
    stops('/claim', t('a'), undef, 'no such claim');
    stops('/claim', t('a', realm_access => 'admin'), undef, 'a text on the way');
    stops('/claim', t('a', 'realm_access.roles' => ['admin']), undef, 'a name with a dot is no path');
    stops('/escaped', t('a', 'https://ns.test/x' => { level => 'low' }), undef, 'an escaped dot: another value');
    stops('/blank', t('a', group => $_), undef, 'a value with a blank: ' . json_text($_)) for ['two', 'words'], ['words'], 'other';

    # --- sections
    stops('/all', t('a', role => 'user'), undef, 'RequireAll: the claim is missing');
    stops('/all', t('c', role => 'admin'), ['a'], 'RequireAll: the scope alone is missing');
    stops('/allreverse', t('a', role => 'user'), undef, 'RequireAll, the other way round: the claim is missing');
    stops('/allreverse', t('c', role => 'admin'), ['a'], 'RequireAll, the other way round: the scope alone is missing');
    stops('/allreverse', t('c', role => 'user'), undef, 'RequireAll, the other way round: both are missing, the scope alone would not help');
    stops('/none', t('bad'), undef, 'RequireNone: a scope that must not be there');
    stops('/none', t('a', blocked => 'yes'), undef, 'RequireNone: a claim that must not be there');
    stops('/not', t('a', blocked => 'yes'), undef, 'Require not mcp-claim');
    stops('/not', t('a bad'), undef, 'Require not mcp-scope');
    stops('/not', t('c'), ['a'], 'Require not: the scope alone is missing');
    stops('/ipall', t('a'), undef, 'beside an address that is wrong');
    stops('/denied', t('a'), undef, 'Require all denied');

    # --- no token: as ever
    for my $path (qw(/scope /claim /all /any /none /not /ip /local /valid /user /untyped/valid /untyped/user /basic /basicuser /expr)) {
        my $r = get($path);
        answers_json($r, 401, 'unauthorized', "$path: without a token");
        my %c = challenge($r);
        is_deeply [grep { $_ ne 'realm' } sort keys %c], ['', 'resource_metadata'], "$path: a challenge of ours alone";
        is join(' ', MCP::Proof::schemes($r)), 'Bearer DPoP', "$path: and no other";
        is get($path, 'a.b.c')->{code}, 401, "$path: a bad token";
        is get($path, undef, headers => [Authorization => 'Basic YWxpY2U6c2VjcmV0'])->{code}, 401, "$path: Basic";
    }

    # Satisfy Any hands the decision to the lines of mod_access_compat, but never opens the door to nobody.
    for (undef, 'a.b.c') {
        my $r = get('/satisfy', $_);
        is_status($r, 401, 'H07 Satisfy Any: no token, no way in');
        like header($r, 'WWW-Authenticate') // '', qr/resource_metadata=/, 'H07 Satisfy Any: and the way to one';
    }
    stops('/not/spelled', t('a', %$_), undef, 'Require not: ' . json_text($_))
        for { blocked => JSON::PP::true }, { blocked => 'true' }, { group => 'Human Resources' }, { group => ['x', 'Human Resources'] }, { blocked => { since => 1 } };

    # --- how the answer looks
    {
        my $t = t('c');
        my $r = rpc($where, '/scope', 'ping', undef, token => $t);
        answers_json($r, 403, 'insufficient_scope', 'a POST: before its body is read, so OAuth JSON');
        is post($where, '/scope', 'no JSON at all', token => $t)->{code}, 403, 'a POST: whatever its body is';
        $r = get('/scope', $t, verb => 'HEAD');
        is_deeply [$r->{code}, $r->{body}, (header($r, 'WWW-Authenticate') // '') =~ /insufficient_scope/ ? 1 : 0], [403, '', 1], 'HEAD';
        is get('/scope', $t, verb => 'DELETE')->{code}, 403, 'DELETE';
        $r = get('/scope', $t, headers => [Origin => 'https://app.test']);
        is header($r, 'Access-Control-Allow-Origin'), 'https://app.test', 'CORS';
        is http($where, OPTIONS => '/scope', headers => [Origin => 'https://app.test', 'Access-Control-Request-Method', 'POST'])->{code}, 204, 'a preflight needs nothing';
        is get('/scope', $t, headers => [Origin => 'https://evil.test'])->{code}, 403, 'a foreign Origin';
        like get('/scope', $t)->{body}, qr/^\{.*\}\s*$/s, 'H07 ErrorDocument 403 does not replace it';
        my $texts = join ' ', map { get($_, t('c', role => 'user'))->{body} } qw(/all /claim /denied);
        unlike $texts, qr/\b(?:claims?|roles?|admin|realm|ip|address)\b/i, 'O03 the answer does not tell what failed';
    }

    # --- DPoP
    {
        my $t = MCP::Proof::bound(aud => 'https://mcp.test/require', scope => 'c');
        for (1, 2) {
            my $r = MCP::Proof::dpop($where, GET => '/scope', $t, url => 'https://mcp.test/require/scope');
            my $url_ok = $r->{code} != 401;
            $r = MCP::Proof::dpop($where, GET => '/scope', $t, url => 'https://mcp.test/scope') unless $url_ok;
            is $r->{code}, 403, "DPoP: 403, $_";
            my %c = eval { challenge($r, 'DPoP') };
            is_deeply [@c{qw(error resource_metadata)}], ['insufficient_scope', $prm], "DPoP: the challenge, $_" or diag $r->{raw_head};
            like $c{scope} // '', qr/^(?:a|b|a b)$/, "DPoP: its scope, $_";
        }
    }
};

# --- what holds
lets('/scope', t($_), "one of them: '$_'") for 'a', 'b', 'a b', 'c b d';
lets('/required', t('base a'), 'with both');
lets('/implies', t($_), "implied by $_") for qw(read write admin);
lets('/scp', t(undef, scp => $_), 'McpOAuthScopeClaim: ' . json_text($_)) for ['a'], ['b', 'a'], 'a', 'b a';
lets('/scp', t('b', permissions => { list => ['a'] }), 'McpOAuthScopeClaim: the second path');
lets('/lines', t($_), "two lines: $_") for qw(a b);
lets('/scopeall', t($_), "RequireAll: $_") for 'a b', 'a c', 'a b c';
lets('/claim', t('x', realm_access => { roles => $_ }), 'among the roles: ' . json_text($_)) for ['admin'], ['user', 'ops'], 'admin', 'user ops';
lets('/escaped', t('x', 'https://ns.test/x' => { level => 'high' }), 'an escaped dot');
lets('/blank', t('x', group => $_), 'a value with a blank: ' . json_text($_)) for ['two words'], ['x', 'single'], 'single';
lets('/any', t('a'), 'RequireAny: the scope');
lets('/any', t('c', role => 'admin'), 'RequireAny: the claim');
lets('/all', t('a', role => 'admin'), 'RequireAll: both');
lets('/allreverse', t('a', role => 'admin'), 'RequireAll: both, the other way round');
lets('/none', t('c'), 'RequireNone: neither');
lets('/none', t('c', blocked => 'no'), 'RequireNone: another value');
lets('/not', t('a'), 'Require not: neither');
lets('/not/spelled', t('a', %$_), 'Require not: ' . json_text($_)) for { blocked => JSON::PP::false }, { group => 'Resources' }, { group => ['Human'] };
lets('/deep', t('a', role => 'admin'), 'one branch');
lets('/deep', t('b', role => 'ops'), 'the other');
lets('/ip', t('a'), 'RequireAny with an address: the scope');
lets('/local', t('c'), 'RequireAny with an address: the address');
lets('/basic', t('a'), 'AuthType Basic beside it changes nothing');
leads_to($_, 200, 2) for qw(/scope /implies /lines /any /ip /not);
leads_to($_, 200, 3) for qw(/required /scopeall);    # httpd asks for one after the other
leads_to($_, 200, 2, role => 'admin') for qw(/all /allreverse /deep);
leads_to('/deep', 200, 2, role => 'ops');
leads_to($_, 403, 2, role => 'user') for qw(/all /allreverse /deep);
leads_to('/ipall', 403, 2);
is rpc($where, '/acl', 'tools/call', { name => 'x' }, token => t('a x'))->{code}, 200, '/acl: Require and the ACL, both hold';
is rpc($where, '/acl', 'tools/call', { name => 'x' }, token => t('a'))->{code}, 403, '/acl: the ACL refuses after Require';
is rpc($where, '/acl', 'tools/call', { name => 'x' }, token => t('x'))->{code}, 403, '/acl: Require refuses before the ACL';
is get('/basic', t('c'))->{code}, 403, 'AuthType Basic beside it: 403, not 401';
is_deeply [grep { !/insufficient_scope|resource_metadata/ } headers(get('/basic', t('c')), 'WWW-Authenticate')], [], 'AuthType Basic beside it: no challenge of its own';
{
    my $r = get('/any', t('c', role => 'user'));
    is $r->{code}, 403, '/any: neither';
    is get('/deep', t('c', role => 'user'))->{code}, 403, '/deep: neither';
    is get('/deep', t('a', role => 'ops'))->{code}, 403, '/deep: a bit of each';
    is { challenge(get('/deep', t('a', role => 'ops'))) }->{error}, 'insufficient_scope', '/deep: the scope of that branch would help';
    my %c = challenge(get('/ip', t('c')));
    is_deeply [@c{qw(error scope)}], ['insufficient_scope', 'a'], '/ip: the scope would help, the address cannot';
}

# --- the same token at locations that differ, from the cache
{
    my $t = t('a', role => 'user');
    is_deeply [map { get($_, $t)->{code} } qw(/scope /all /scope /claim /any /all /none /scope)], [200, 403, 200, 403, 200, 403, 200, 200], 'one token, each location for itself';
    my $c = dial($where);
    is_deeply [map { http($where, GET => $_, token => $t, on => $c)->{code} } qw(/scope /all /scope /claim /any /all /none /scope)], [200, 403, 200, 403, 200, 403, 200, 200], 'also on one connection';
    my ($with, $without) = (t('a'), t('c'));
    is_deeply [map { http($where, GET => '/scope', token => $_, on => $c)->{code} } $with, $without, $with, $without], [200, 403, 200, 403], 'two tokens in turn';
}

# --- where McpOAuth is Off everything is refused
for my $path (qw(/off/scope /off/claim /off/not /off/none)) {
    my $want = $path =~ /scope|claim/ ? qr/^403$/ : qr/^(?:403|500)$/;
    untouched $backend, $path, sub {
        like get($path, $_)->{code}, $want, "$path: refused" for undef, t('a'), 'a.b.c';
        like rpc($where, $path, 'ping', undef, token => t('a'))->{code}, $want, "$path: POST";
    };
}
is get('/off')->{code}, 200, '/off: what does not ask is open';
is get('/off/any')->{code}, 200, '/off/any: another condition may hold';
untouched $backend, '/off/type', sub { isnt get('/off/type', $_)->{code}, 200, '/off/type: AuthType mcp-oauth without McpOAuth knows nobody' for undef, t('a') };
no_crash($mark);

done_testing;
