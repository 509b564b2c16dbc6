# McpOAuthRateLimit: so many pass and no more, what a refusal looks like, what costs and what does not, whose bucket it is.
# Design 2.1, 2.2; threats.md H07, H08, O02, O03.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Proof ();
use MCP::Rate;
use MCP::Status ();

my $backend = MCP::Backend->start(port('rate_backend'));
my $mark = log_mark();
my $where = 'rate';
my $hour = 1200;    # until one of three in an hour fits
my $ok = rpc_body('tools/call', { name => 'ok' });
my @json = ('Content-Type', 'application/json');
sub get { my ($path, $t, %opt) = @_; http($where, delete $opt{verb} // 'GET', $path, token => $t, %opt) }

# --- so many pass, the backend sees them and no other
{
    my $t = user();
    $backend->clear;
    passes_n(3, sub { call($where, '/all', $t) }, 'N of them pass, the next does not');
    is scalar(my @seen = $backend->requests), 3, 'H08 the backend saw exactly N';
    untouched $backend, 'H08 over the limit', sub {
        for (['a number' => '7'], ['a text' => '"seven"'], ['zero' => '0'], ['a negative number' => '-12'], ['a large number' => '9007199254740993'], ['an empty text' => '""'], ['a text with quotes' => '"a\\"b"'], ['a text beyond ASCII' => "\"\xc3\xa9\""]) {
            my ($name, $id) = @$_;
            limited_rpc(post($where, '/all', $ok =~ s/"id":1/"id":$id/r, token => $t), $id, $hour, "the id of the request: $name");
        }
        limited_rpc(post($where, '/all', rpc_body('notifications/initialized', undef, id => undef), token => $t), undef, $hour, 'a notification has no id');
        limited_rpc(rpc($where, '/all', 'ping', undef, token => $t), '1', $hour, 'another method');
        limited_rpc(modern_post($where, '/all', 'tools/call', { name => 'ok' }, token => $t, id => 'm'), '"m"', $hour, 'revision 2026-07-28');
        is post($where, '/all', '{"jsonrpc":"2.0","id":1,"result":{}}', token => $t)->{code}, 429, 'a response is over the limit, too';
        limited_json(get('/all', $t), $hour, 'GET');
        limited_json(get('/all', $t, verb => 'DELETE'), $hour, 'DELETE');
        my $r = get('/all', $t, verb => 'HEAD');
        is_deeply [$r->{code}, $r->{body}, MCP::Rate::retry_after($r, $hour)], [429, '', ''], 'HEAD';
        like header(call($where, '/all', $t, 'tool-of-it'), 'X-Env'), qr/^tools\/call\|tool-of-it\|deny\|rate-limited$/, 'the environment names method and object';
        $r = call($where, '/all', $t, 'ok', headers => [Origin => 'https://app.test']);
        is_deeply [header($r, 'Access-Control-Allow-Origin'), $r->{code}], ['https://app.test', 429], 'CORS: a browser may read it';
        like lc join(',', headers($r, 'Access-Control-Expose-Headers')), qr/retry-after|\*/, 'CORS: and when to come again';
        $r = get('/all', $t, headers => [Origin => 'https://app.test']);
        is header($r, 'Access-Control-Allow-Origin'), 'https://app.test', 'CORS: GET as well';
        is get('/all', $t, headers => [Origin => 'https://evil.test'])->{code}, 403, 'the Origin comes before the limit';
        is get('/all', 'a.b.c')->{code}, 401, 'the token comes before the limit';
        is http($where, PUT => '/all', token => $t)->{code}, 405, 'the verb comes before the limit';
        is post($where, '/all', '{', token => $t)->{code}, 400, 'the body comes before the limit';
        is http($where, OPTIONS => '/all', headers => [Origin => 'https://app.test', 'Access-Control-Request-Method', 'POST'])->{code}, 204, 'a preflight has no limit';
        is get('/.well-known/oauth-protected-resource/rate-all')->{code}, 200, 'nor have metadata' for 1 .. 5;
    };
    $backend->clear;
    is get('/all/off', undef)->{code}, 200, 'nor has what is not protected' for 1 .. 5;
}

# --- the log
{
    my $t = user(sub => "loguser-$$-" . now());
    call($where, '/all', $t) for 1 .. 3;
    my $before = log_mark();
    my $body = json(call($where, '/all', $t, 'logged')->{body});
    my @lines;
    wait_for(30, sub { @lines = grep { /rate-limited/ } split /\n/, log_since($before) });
    is scalar(@lines), 1, 'one line in the log';
    my $id = $body->{error}{data}{request_id};
    like $lines[0], qr/MCP0514: rate-limited\b/, 'with id and slug';
    like $lines[0], qr/request_id=\Q$id\E\b/, 'with the request_id of the answer';
    like $lines[0], qr/\Q$_\E/, "with $_" for 'https://as.test', 'client-1', "loguser-$$", 'tools/call', 'logged';
    is_deeply [MCP::Status::leaks(log_since($before))], [], 'O02 and no token';
}

# --- what is refused for another reason costs nothing
{
    my $t = user();
    my @costless = (
        ['a bad token' => 401, sub { get('/all', $t . 'x') }], ['no token' => 401, sub { get('/all') }], ['a foreign Origin' => 403, sub { get('/all', $t, headers => [Origin => 'https://evil.test']) }],
        ['another verb' => 405, sub { get('/all', $t, verb => 'PUT') }], ['a scope' => 403, sub { get('/all/scope', $t) }], ['Require' => 403, sub { get('/all/require', $t) }],
        ['the type' => 415, sub { post($where, '/all', $ok, token => $t, headers => ['Content-Type', 'text/plain']) }], ['no JSON' => 400, sub { post($where, '/all', '{', token => $t) }],
        ['no JSON-RPC' => 400, sub { post($where, '/all', '{}', token => $t) }], ['a batch' => 400, sub { post($where, '/all', "[$ok]", token => $t) }],
        ['mirrored headers' => 400, sub { modern_post($where, '/all', 'tools/call', { name => 'ok' }, headers => { 'Mcp-Name' => 'x' }, token => $t) }],
        ['too much' => 413, sub { post($where, '/all', padded(1_048_577), token => $t) }], ['OPTIONS' => 204, sub { get('/all', $t, verb => 'OPTIONS') }],
    );
    for (@costless) {
        my ($name, $code, $ask) = @$_;
        is $ask->()->{code}, $code, "costs nothing: $name" for 1 .. 2;
    }
    passes_n(3, sub { call($where, '/all', $t) }, 'costs nothing: N pass all the same');
    my $u = user();
    is call($where, '/acl', $u, $_)->{code}, 403, "costs nothing: the ACL refuses $_" for qw(adm nobody) x 3;
    passes_n(3, sub { call($where, '/acl', $u) }, 'costs nothing: N pass after the ACL has refused');
    is call($where, '/acl', $u, 'adm')->{code}, 403, 'the ACL comes before the limit';
}

# --- each thing a client can do costs one
for (['a notification' => sub { post($where, '/all', rpc_body('notifications/initialized', undef, id => undef), token => $_[0]) }], ['a response' => sub { post($where, '/all', '{"jsonrpc":"2.0","id":1,"result":{}}', token => $_[0]) }],
    ['an error' => sub { post($where, '/all', '{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}', token => $_[0]) }], ['ping' => sub { rpc($where, '/all', 'ping', undef, token => $_[0]) }],
    (map { my $verb = $_; [$verb => sub { get('/all', $_[0], verb => $verb) }] } qw(GET HEAD DELETE)), ['GET with Inspect Off' => sub { get('/raw', $_[0]) }], ['DELETE with Inspect Off' => sub { get('/raw', $_[0], verb => 'DELETE') }],
    ['POST with Inspect Off' => sub { http($where, POST => '/raw', token => $_[0], body => 'anything', headers => ['Content-Type', 'text/plain']) }], ['GET of a page below' => sub { get('/all/' . rand, $_[0]) }]) {
    my ($name, $ask) = @$_;
    my $t = user();
    $backend->clear;
    passes_n(3, sub { $ask->($t) }, "$name costs one");
    is scalar(my @seen = $backend->requests), 3, "$name: and the backend saw N";
}
{
    my $t = user();
    my $r;
    $r = http($where, POST => '/raw', token => $t, body => 'anything', headers => ['Content-Type', 'text/plain']) for 1 .. 4;
    limited_json($r, $hour, 'a POST that is not judged gets OAuth JSON');
    my $u = user();
    is codes(get('/all', $u), call($where, '/all', $u), get('/all', $u, verb => 'DELETE'), call($where, '/all', $u)), '200 200 200 429', 'all of it together';
}

# --- Shadow: judged, and limited in earnest
{
    my $t = user();
    $backend->clear;
    my @r = map { call($where, '/shadow', $t, $_) } qw(nobody ok nobody);
    is codes(@r), '200 200 200', 'Shadow: what would be refused passes';
    like header($r[0], 'X-Env'), qr/\|shadow-deny\|/, 'Shadow: and is named so';
    limited_rpc(call($where, '/shadow', $t, 'nobody'), '1', $hour, 'Shadow: it costs, and the limit holds');
    limited_rpc(call($where, '/shadow', $t, 'ok'), '1', $hour, 'Shadow: also for what is allowed');
    is scalar(my @seen = $backend->requests), 3, 'H08 Shadow: the backend saw exactly N';
}

# --- whose bucket
{
    my $name = join '-', 'shared', $$, now();
    my %who = (sub => $name);
    my $first = user(%who);
    passes_n(3, sub { call($where, '/all', $first) }, 'a user');
    is call($where, '/all', user(%who))->{code}, 429, 'the same user with another token';
    is call($where, '/all', user(%who, scope => 'other', jti => 'x', -key => 'ec256'))->{code}, 429, 'with another key, scope and jti';
    is call($where, '/all', user(%who, client_id => undef, azp => 'client-1'))->{code}, 429, 'with azp in place of client_id';
    passes_n(3, sub { call($where, '/all', user(%who, client_id => 'client-2')) }, 'the same user with another client has a bucket of its own');
    passes_n(3, sub { call($where, '/all', user(sub => "$name-2")) }, 'and so has another user');
    passes_n(3, sub { call($where, '/all', user(%who, iss => 'https://b.test', -key => 'rsa_b', -kid => 'rsa')) }, 'and the user of that name at another issuer');
    passes_n(3, sub { call($where, '/all', user(%who, client_id => undef)) }, 'and one whose client is not named');
    my $app = "app-$name";
    passes_n(3, sub { call($where, '/all', user(sub => undef, client_id => $app)) }, 'a client without a user has one as well');
    is call($where, '/all', user(sub => undef, client_id => $app))->{code}, 429, 'with any token';
    is call($where, '/all', user(sub => $app, client_id => undef))->{code}, 200, 'a user named like a client is another one';
    is call($where, '/all', user(sub => "$name\0", client_id => 'x'))->{code} =~ /^(?:200|401)$/, 1, 'a NUL in a name makes nothing the same';
    my ($u, $v) = (user(sub => "$name:a", client_id => 'b'), user(sub => "$name", client_id => 'a:b'));
    passes_n(3, sub { call($where, '/all', $u) }, 'names with a separator, one way');
    passes_n(3, sub { call($where, '/all', $v) }, 'names with a separator, the other way');
}
{
    my $name = join '-', 'holder', $$, now();
    my @r = map { MCP::Proof::dpop($where, GET => '/bound', MCP::Proof::bound(aud => 'https://mcp.test/rate', sub => $name)) } 1 .. 4;
    is codes(@r), '200 200 200 429', 'DPoP: a bound token is limited as others are';
    is_deeply [headers($r[3], 'WWW-Authenticate')], [], 'DPoP: without a challenge';
    is get('/bound', user(sub => $name))->{code}, 429, 'DPoP: it is the same user with a token that is not bound';
}

# --- one request costs once, whatever httpd makes of it
my $dir = vars('documentroot') . '/rate';
mkdir $dir;
chmod 0755, $dir;
my %pages = ('index.html' => 'the index', 'part.html' => 'the part', 'lost.html' => 'the lost page', 'five.shtml' => '<!--#include virtual="/pages/part.html" -->' x 5);
for (sort keys %pages) {
    write_file("$dir/$_", "$pages{$_}\n");
    chmod 0644, "$dir/$_";
}
for (['/pages/part.html', 200, 'a file'], ['/pages/', 200, 'an index'], ['/pages/none', 404, 'an error document'], ['/pages/five.shtml', 200, 'a page with five others'], ['/moved/from', 200, 'a rewritten one']) {
    my ($path, $code, $name) = @$_;
    my $t = user();
    my @r = map { get($path, $t) } 1 .. 4;
    is codes(@r), "$code $code $code 429", "H07 $name costs one";
    is scalar(() = $r[2]{body} =~ /the part/g), 5, "H07 $name: all of it is there" if $path =~ /five/;
    is_deeply [retry_after($r[3], $hour)], [''], "H07 $name: over the limit";
}
no_crash($mark);

done_testing;
