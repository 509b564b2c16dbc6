# The rows of design 2.2 that come before the body, and their order (2.1): requirements.md CHL-1 to CHL-7, CHL-10 to CHL-18.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;

my $backend = MCP::Backend->start(port('challenge_backend'));
sub to { my ($path, %claims) = @_; token(aud => "https://mcp.test$path", %claims) }
sub ask { my ($path, %opt) = @_; http(challenge => delete $opt{verb} // 'GET', $path, %opt) }
my $prm = 'https://mcp.test/.well-known/oauth-protected-resource';

# No credentials that we speak: 401 without error.
sub unauthenticated {
    my ($r, $name, $path) = @_;
    answers_json($r, 401, 'unauthorized', $name);
    my %c = challenge($r);
    is $c{''}, 'Bearer', "CHL-1 CHL-2 $name: a Bearer challenge";
    is_deeply [grep { /^error/ } sort keys %c], [], "CHL-3 $name: no error in the challenge";
    is $c{resource_metadata}, $prm . ($path // '/mcp'), "CHL-5 $name: resource_metadata";
    return %c;
}

sub invalid_request {
    my ($r, $name) = @_;
    answers_json($r, 400, 'invalid_request', "CHL-7 $name");
    my %c = challenge($r);
    is $c{error}, 'invalid_request', "CHL-7 $name: error";
    is $c{resource_metadata}, "$prm/mcp", "CHL-7 $name: resource_metadata";
}

# --- nothing to judge
for my $verb (qw(GET POST DELETE)) {
    my $r = ask('/mcp', verb => $verb, $verb eq 'POST' ? (body => rpc_body('ping'), headers => ['Content-Type', 'application/json']) : ());
    my %c = unauthenticated($r, "$verb without credentials");
    is $c{scope}, 'a:one b:two', "CHL-4 $verb: scope";
}
unauthenticated(ask('/mcp', headers => [Authorization => $_->[1]]), $_->[0]) for (
    ['Basic', 'Basic YWxpY2U6c2VjcmV0'], ['an unknown scheme', 'Bearerish abc'],
    ['Digest with commas', 'Digest username="a", realm="b", uri="/c", response="d"'], ['an empty field', ''],
    ['a token alone', 'abc.def.ghi'], ['Negotiate', 'Negotiate YII='],
);
unauthenticated(ask('/mcp', headers => ['X-Access-Token', 'abc', 'Cookie', 'access_token=abc']), 'CHL-13 token elsewhere');

# --- scopes of the challenge
is { unauthenticated(ask('/require'), 'RequireScope', '/require') }->{scope}, 'mcp:read mcp:write mcp:admin',
    'CHL-4 scope: RequireScope comes before ScopesSupported';
is { unauthenticated(ask('/explicit'), 'ChallengeScope', '/explicit') }->{scope}, 'x:z x:a',
    'CHL-4 CHL-10 scope: ChallengeScope, in its own order';
is { unauthenticated(ask('/plain'), 'no scopes', '/plain') }->{scope}, undef, 'CHL-2 no empty scope';
is { unauthenticated(ask('/realm'), 'realm', '/realm') }->{realm}, 'The "MCP" realm', 'CHL-2 realm from AuthName, quoted';
is { challenge(ask('/mcp')) }->{realm}, undef, 'no realm without AuthName';
is_deeply [map { [headers(ask('/require'), 'WWW-Authenticate')] } 1 .. 5], [([headers(ask('/require'), 'WWW-Authenticate')]) x 5],
    'CHL-10 always the same';

# --- bad tokens
my %texts;
for (
    ['garbage', 'abc.def.ghi'], ['no JWS', 'opaque'], ['expired', to('/mcp', exp => now() - 300)], ['foreign', to('/other')],
    ['not yet', to('/mcp', nbf => now() + 3600)], ['wrong issuer', to('/mcp', iss => 'https://evil.test')],
    ['wrong key', to('/mcp', -key => 'stranger', -kid => 'rsa')], ['unknown kid', to('/mcp', -kid => 'other')],
    ['alg', to('/mcp', -header => { alg => 'none' })], ['kind', to('/mcp', -header => { typ => 'dpop+jwt' })],
    ['a bare letter', 'a'], ['token68 with padding', 'YWJj=='],
) {
    my ($name, $token) = @$_;
    my $r = refuses(challenge => '/mcp', $token, "CHL-6 $name");
    answers_json($r, 401, 'invalid_token', "CHL-17 $name");
    my %c = challenge($r);
    is $c{scope}, 'a:one b:two', "CHL-6 $name: scope as without credentials";
    $texts{ $c{error_description} }++;
    is json($r->{body})->{error_description}, $c{error_description}, "CHL-6 $name: one description";
}
cmp_ok scalar(keys %texts), '<=', 2, 'O03 the description tells no more than "expired"' or diag join '; ', keys %texts;
unlike join(' ', keys %texts), qr/signature|audience|issuer|kid|alg|key|nbf|typ/i, 'O03 and nothing of what failed';
refuses(challenge => '/mcp', to('/mcp') . ' x', 'CHL-12 something after the token');

# --- the scheme
my $good = to('/mcp');
is http(challenge => GET => '/mcp', headers => [Authorization => "$_$good"])->{code}, 200, "CHL-12 '$_'"
    for 'Bearer ', 'bEaReR ', 'BEARER ', 'Bearer   ';

# --- malformed credentials
invalid_request(ask('/mcp', headers => [Authorization => $_->[1], map { (Authorization => $_) } @$_[2 .. $#$_]]), $_->[0]) for (
    ['nothing after Bearer', 'Bearer'], ['nothing but a space after Bearer', 'Bearer '],
    ['two lines, both good', "Bearer $good", "Bearer $good"], ['two lines, the first good', "Bearer $good", 'Bearer x.y.z'],
    ['two lines, the second good', 'Bearer x.y.z', "Bearer $good"], ['Bearer and Basic', "Bearer $good", 'Basic YTpi'],
    ['Basic and Bearer', 'Basic YTpi', "Bearer $good"], ['two in one line', "Bearer $good, Bearer $good"],
    ['three lines', "Bearer $good", "Bearer $good", "Bearer $good"],
);
invalid_request(ask("/mcp?$_", token => $good), "header and query: $_")
    for 'access_token=abc', 'x=1&access_token=abc', 'access_token=abc&x=1';
is_status(ask("/mcp?$_", token => $good), 200, "H05 a query without token: $_") for 'x=access_token', 'my_access_token=1', 'access_tokens=1';
{
    my $mark = log_mark();
    my $queried = to('/mcp', sub => 'in-the-query');
    unauthenticated(ask("/mcp?access_token=$queried"), 'CHL-13 token in the query alone');
    my ($secret) = $queried =~ /\.([^.]+)$/;
    unlike log_since($mark), qr/\Q$secret\E/, 'H05 CHL-13 the error log does not have it';
    unlike access_since($mark), qr/\Q$secret\E/, 'H05 CHL-13 the access log does not have it';
}

# --- cannot decide
{
    my $down = sub { ask('/down', token => to('/down', iss => 'https://down.test')) };
    my $r = $down->();
    for (1 .. 3) { $r = $down->() if $r->{seconds} >= 4 }    # one in time will do
    answers_json($r, 503, 'temporarily_unavailable', 'CHL-18 no keys yet');
    like header($r, 'Retry-After') // '', qr/^[1-9]\d*$/, 'CHL-18 Retry-After';
    is_deeply [headers($r, 'WWW-Authenticate')], [], 'CHL-18 no challenge';
    cmp_ok $r->{seconds}, '<', 4, 'CHL-18 without a long wait';
    unauthenticated(ask('/down'), 'CHL-18 no token, no keys', '/down');
    refuses(challenge => '/down', to('/down'), 'CHL-18 a token of another issuer needs no keys');
}

# --- too little
for my $round (1, 2) {
    my $r = ask('/require', token => to('/require', scope => 'mcp:read'));
    answers_json($r, 403, 'insufficient_scope', "CHL-8 scope missing, $round");
    my %c = challenge($r);
    is $c{error}, 'insufficient_scope', 'CHL-8 error';
    is $c{scope}, 'mcp:read mcp:write mcp:admin', 'CHL-9 CHL-10 all scopes of the location, in order';
    is $c{resource_metadata}, "$prm/require", 'CHL-5 resource_metadata in a 403';
}
{
    my $r = ask('/claim', token => to('/claim', role => 'user'));
    answers_json($r, 403, 'forbidden', 'CHL-11 no scope can help');
    my %c = challenge($r);
    is_deeply [sort keys %c], ['', 'resource_metadata'], 'CHL-11 resource_metadata and nothing else';
}

# --- verbs, before all else
for my $verb (qw(PUT PATCH PROPFIND FOO TRACE)) {
    my $r = ask('/mcp', verb => $verb, token => $good);
    if ($verb eq 'TRACE' && $r->{code} == 405 && (header($r, 'Content-Type') // '') !~ /json/) {
        pass 'TRACE is refused by httpd itself';
        next;
    }
    answers_json($r, 405, 'method_not_allowed', "405 $verb");
    is join(' ', sort split /\s*,\s*/, header($r, 'Allow') // ''), 'DELETE GET HEAD OPTIONS POST', "405 $verb: Allow";
    is_deeply [headers($r, 'WWW-Authenticate')], [], "405 $verb: no challenge";
}
is ask('/mcp', verb => 'PUT')->{code}, 405, '405 comes before 401';
is ask('/mcp', verb => 'PUT', headers => [Origin => 'https://evil.test'])->{code}, 405, '405 comes before the Origin';
is ask('/mcp', verb => 'get')->{code}, 405, 'verbs are case-sensitive';
is ask('/mcp', headers => [Origin => 'https://evil.test', Authorization => 'Bearer'])->{code}, 403, 'the Origin comes before the credentials';
is ask('/require', token => 'abc.def.ghi')->{code}, 401, 'the token comes before its scopes';
is http(challenge => POST => '/require', token => to('/require', scope => ''), body => 'x', headers => ['Content-Type', 'text/plain'])->{code},
    403, 'scopes come before the body';
is http(challenge => POST => '/mcp', body => 'x', headers => ['Content-Type', 'text/plain'])->{code}, 401, 'credentials come before the body';

# --- HEAD
for (['/mcp', 401], ['/require', 403, to('/require', scope => 'x')], ['/mcp', 400, '']) {
    my ($path, $code, $token) = @$_;
    my $get  = ask($path, token => $token);
    my $head = ask($path, token => $token, verb => 'HEAD');
    is $head->{code}, $code, "CHL-16 HEAD $path: $code";
    is_deeply [headers($head, 'WWW-Authenticate')], [headers($get, 'WWW-Authenticate')], "CHL-16 HEAD $path: the challenge of GET";
    is header($head, 'Content-Type'), header($get, 'Content-Type'), "CHL-16 HEAD $path: the type of GET";
    is $head->{body}, '', "CHL-16 HEAD $path: no body";
}

# --- the metadata a challenge names is there, and of the resource that was called
for my $path (qw(/mcp /require /explicit /plain /realm /claim)) {
    my ($url) = { challenge(ask($path)) }->{resource_metadata} =~ m{^https://mcp\.test(/.*)} or next;
    my $r = ask($url);
    is json($r->{body})->{resource}, "https://mcp.test$path", "CHL-5 PRM-4 the metadata of $path";
}

is_deeply [grep { $_->{path} !~ m{^/mcp} } $backend->requests], [], 'H08 nothing refused reached the backend';
is scalar(grep { $_->{path} eq '/mcp' } $backend->requests), 7, 'H08 and all that was good did';

done_testing;
