# What a location asks of a token: requirements.md TOK-2, TOK-15, TOK-16, design 2.4, 2.7, 3.2, 3.4.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;

sub to { my ($path, %claims) = @_; token(aud => "https://mcp.test$path", %claims) }

# 403 before the body is read: OAuth JSON; with a scope that would help, or without anything to ask for.
sub forbids {
    my ($path, $token, $scope, $name) = @_;
    my $r = http(token => GET => $path, token => $token);
    answers_json($r, 403, $scope ? 'insufficient_scope' : 'forbidden', $name);
    my %c = challenge($r);
    is $c{error}, $scope ? 'insufficient_scope' : undef, "$name: error";
    is $c{scope}, $scope, "$name: scope" if $scope;
    ok $c{resource_metadata}, "$name: resource_metadata";
}

# --- audience
my $port = port('token');
my $default = "http://localhost:$port/default";
accepts(token => '/default', token(aud => $default), 'the resource is scheme, ServerName, port and path');
refuses(token => '/default', token(aud => "$default/"), 'and nothing else');
accepts(token => '/default/inner', token(aud => $default, scope => 'inner'), 'an inner location inherits the resource');
is status_of(token => '/default/inner', token(aud => "$default/inner", scope => 'inner')), 401, 'and has none of its own';
is http(token => GET => '/default/open')->{code}, 200, 'McpOAuth Off opens an exception inside';
accepts(token => '/audience', token(aud => 'https://api.test'), 'McpOAuthAudience: first');
accepts(token => '/audience', token(aud => 'api://two'), 'McpOAuthAudience: second');
refuses(token => '/audience', to('/audience'), 'McpOAuthAudience replaces the resource');

for (
    ['https://mcp.test/hier/x/y' => 200], ['https://mcp.test/hier/x/y/' => 200], ['https://mcp.test/hier/x' => 200],
    ['https://mcp.test/hier/x/' => 200], ['https://mcp.test/hier' => 200], ['https://mcp.test' => 200], ['https://mcp.test/' => 200],
    ['https://mcp.test/hi' => 401], ['https://mcp.test/hier/x/y/z' => 401], ['https://mcp.test/hier/x/z' => 401],
    ['https://mcp.test/hie' => 401], ['https://other.test/hier' => 401], ['http://mcp.test/hier' => 401],
    ['https://mcp.test:8443/hier' => 401], ['https://mcp.test/hier?x' => 401], ['https://mcp.test/hier#x' => 401],
    ['https://mcp.test/HIER' => 401], ['mcp.test/hier' => 401], ['https://mcp.test.evil.test' => 401],
    ['https://user@mcp.test' => 401], ['https://mcp.test/hier/../hier' => 401],
) {
    my ($aud, $want) = @$_;
    is status_of(token => '/hier', token(aud => $aud)), $want, "TOK-1 hierarchical: $aud";
}

# --- client
accepts(token => '/party', to('/party'), 'AuthorizedParty: client_id');
accepts(token => '/party', to('/party', client_id => 'https://client.test/id.json'), 'TOK-16 a URL as client_id');
accepts(token => '/party', to('/party', client_id => undef, azp => 'client-1'), 'AuthorizedParty: azp');
forbids('/party', to('/party', client_id => 'client-2'), undef, 'AuthorizedParty: another client');
forbids('/party', to('/party', client_id => 'Client-1'), undef, 'AuthorizedParty: exact');
forbids('/party', to('/party', client_id => undef), undef, 'AuthorizedParty: no client');
forbids('/party', to('/party', client_id => 'client-2', azp => 'client-2'), undef, 'AuthorizedParty: neither');

# --- scopes
my $both = 'mcp:read mcp:write';
accepts(token => '/scope', to('/scope'), 'RequireScope: both');
accepts(token => '/scope', to('/scope', scope => 'x mcp:write y mcp:read'), 'RequireScope: in any order among others');
forbids('/scope', to('/scope', scope => 'mcp:read'), $both, 'RequireScope: one');
forbids('/scope', to('/scope', scope => ''), $both, 'RequireScope: empty');
forbids('/scope', to('/scope', scope => undef), $both, 'RequireScope: no scope claim');
forbids('/scope', to('/scope', scope => 'mcp:readmcp:write'), $both, 'RequireScope: not a scope');
forbids('/scope', to('/scope', scope => 'MCP:read MCP:write'), $both, 'RequireScope: case');
forbids('/scope', to('/scope', scope => 'mcp:read,mcp:write'), $both, 'RequireScope: commas do not divide');
forbids('/scope', to('/scope', scope => "mcp:read\tmcp:write"), $both, 'RequireScope: tabs do not divide');
forbids('/scope', to('/scope', scope => 5), $both, 'TOK-15 scope a number');
forbids('/scope', to('/scope', scope => { 'mcp:read' => 1 }), $both, 'TOK-15 scope an object');
forbids('/scope', to('/scope', scope => undef, scp => $both), $both, 'TOK-15 scp is not asked for');
forbids('/scope', to('/scope', scope => ['mcp:read', 7, 'mcp:write']), $both, 'TOK-15 an array with a number gives nothing');
accepts(token => '/implied', to('/implied', scope => 'files:read'), 'ACL-7 itself');
accepts(token => '/implied', to('/implied', scope => 'files:admin'), 'ACL-7 implied over two steps');
forbids('/implied', to('/implied', scope => 'files'), 'files:read', 'ACL-7 something shorter');
accepts(token => '/scopeclaim', to('/scopeclaim', scope => undef, scp => $both), 'ScopeClaim: a string');
accepts(token => '/scopeclaim', to('/scopeclaim', scope => undef, scp => ['mcp:write', 'mcp:read']), 'ScopeClaim: an array');
accepts(token => '/scopeclaim', to('/scopeclaim', scope => undef, scp => 'mcp:read', permissions => { list => ['mcp:write'] }),
    'ScopeClaim: several are united');
forbids('/scopeclaim', to('/scopeclaim'), $both, 'ScopeClaim: scope is not asked for');

# --- claims
my %ok = (realm_access => { roles => ['x', 'ops'] }, 'https://ns.test/x' => { level => 'high' });
accepts(token => '/claim', to('/claim', %ok), 'RequireClaim: a path, an escaped dot, one of the values');
accepts(token => '/claim', to('/claim', %ok, realm_access => { roles => 'admin x' }), 'RequireClaim: a string is split');
for (
    ['all lines must hold' => realm_access => undef], ['the second too' => 'https://ns.test/x' => undef],
    ['other values' => realm_access => { roles => ['user'] }], ['not a part of a value' => realm_access => { roles => ['admins'] }],
    ['an array is taken as it is' => realm_access => { roles => ['admin x'] }], ['an object' => realm_access => { roles => { admin => 1 } }],
    ['a mixed array' => realm_access => { roles => ['admin', 5] }], ['the path is not the name' => realm_access => 'admin'],
    ['arrays are not entered' => realm_access => [{ roles => ['admin'] }]], ['case' => realm_access => { roles => ['Admin'] }],
) {
    my ($name, $claim, $value) = @$_;
    forbids('/claim', to('/claim', %ok, $claim => $value), undef, "RequireClaim: $name");
}
forbids('/claim', to('/claim', %ok, realm_access => undef, 'realm_access.roles' => 'admin'), undef,
    'RequireClaim: a dotted path is no name with a dot');
forbids('/claim', to('/claim', %ok, 'https://ns.test/x' => undef, 'https://ns' => { 'test/x' => { level => 'high' } }), undef,
    'RequireClaim: an escaped dot does not divide');

# --- who it is
is header(accepts(token => '/a', to('/a'), 'sub'), 'X-User'), 'alice', 'RemoteUser: sub';
is header(accepts(token => '/user', to('/user', profile => { login => 'bob' }), 'a claim'), 'X-User'), 'bob', 'RemoteUser: a path';
is header(accepts(token => '/user', to('/user', profile => { login => 'carol' }), 'another'), 'X-User'), 'carol',
    'RemoteUser: of this token, not of the last one';
is header(http(token => GET => '/a'), 'X-User') // '', '', 'RemoteUser: nobody without a token';
is header(http(token => GET => '/a', token => to('/b')), 'X-User') // '', '', 'RemoteUser: nobody with a bad token';
{
    my @env = split /\|/, header(accepts(token => '/a', to('/a'), 'environment'), 'X-Env'), -1;
    is_deeply [@env[0 .. 4]], ['https://as.test', 'alice', 'client-1', $both, 'allow'], 'environment when allowed';
    my $r = http(token => GET => '/a', token => to('/a', exp => now() - 300));
    @env = split /\|/, header($r, 'X-Env'), -1;
    is_deeply [@env[4, 5]], ['deny', 'token-expired'], 'environment when refused';
    is $env[6], json($r->{body})->{request_id}, 'the request id of the answer is in the environment';
    @env = split /\|/, header(http(token => GET => '/scope', token => to('/scope', scope => 'mcp:read')), 'X-Env'), -1;
    is_deeply [@env[4, 5]], ['deny', 'scope-missing'], 'environment when a scope is missing';
    my $hostile = header(accepts(token => '/a', to('/a', sub => "eve\r\nX-Evil: 1"), 'TOK-21 line end in sub'), 'X-Env');
    unlike $hostile, qr/[\r\n]/, 'TOK-21 control bytes are escaped';
}
ok !header(http(token => GET => '/a', token => to('/a', sub => "eve\r\nX-Evil: 1")), 'X-Evil'), 'TOK-21 no header out of a claim';

# --- where the token stands, and where it goes
my $t = to('/a');
is header(accepts(token => '/a', $t, 'the default'), 'X-Saw-Authorization') // '', '', 'TOK-2 the backend gets no token';
my $f = to('/forward');
is header(accepts(token => '/forward', $f, 'ForwardToken'), 'X-Saw-Authorization'), "Bearer $f", 'ForwardToken On';
my $x = to('/header');
for (["Bearer $x", 'with Bearer'], [$x, 'bare'], ["bearer $x", 'scheme in lower case']) {
    my ($value, $name) = @$_;
    my $r = http(token => GET => '/header', headers => ['X-Access-Token', $value]);
    is_status($r, 200, "TokenHeader: $name");
    is header($r, 'X-Saw-Token') // '', '', "TokenHeader: $name, not forwarded";
}
is status_of(token => '/header', $x), 401, 'TokenHeader: Authorization is not read';
is http(token => GET => '/header', headers => ['X-Access-Token', 'x.y.z'], token => $x)->{code}, 401, 'TokenHeader: the other is';
is http(token => GET => '/header', headers => ['X-Access-Token', $x, 'X-Access-Token', $x])->{code}, 400, 'TokenHeader: two lines';
is http(token => GET => '/header', headers => ['X-Access-Token', "Basic $x"])->{code}, 401, 'TokenHeader: another scheme';
{
    my $r = http(token => GET => '/header', headers => ['X-Access-Token', $x], token => 'for-the-backend');
    is_status($r, 200, 'TokenHeader: a foreign Authorization beside it');
    is header($r, 'X-Saw-Authorization'), 'Bearer for-the-backend', 'TokenHeader: which passes';
}
is http(token => GET => '/a', headers => [Authorization => to('/a')])->{code}, 401, 'Authorization without Bearer';

done_testing;
