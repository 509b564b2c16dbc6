# Each request to a protected location counts once, with its last verdict; totals are those of all processes. Design 2.2, 3.4;
# threats.md H07, H08, O03, R13.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Refusals;
use MCP::Status;

my $backend = MCP::Backend->start(port('status_backend'), sub {
    my $request = shift;
    return ('404 Not Found', ['Content-Type', 'text/plain'], 'nothing here') if $request->{path} =~ /missing/;
    return MCP::Backend::answer($request);
});
my $mark = log_mark();
my $where = 'status';
sub t { counts_user(@_) }
my $good = t();
my $ok = rpc_body('tools/call', { name => 'ok' });
sub call { my ($name, %opt) = @_; rpc($where, '/counts', 'tools/call', { name => $name }, token => $good, %opt) }
sub say_post { my ($text, %opt) = @_; post($where, delete $opt{path} // '/counts', $text, token => $good, %opt) }
sub get { my ($path, $token, %opt) = @_; http($where, GET => $path, token => $token, %opt) }

# --- every refusal, once each
my @refusals = refusals($where);
untouched $backend, 'H08 refusals', sub {
    for (@refusals) {
        my ($slug, $code, $ask) = @$_;
        my $r;
        counted($where, { "counts deny $slug" => 1 }, sub { $r = $ask->() }, "O03 $slug is counted once");
        is $r->{code}, $code, "O03 $slug: $code";
        is header($r, 'X-Env'), "deny|$slug", "O03 $slug: the environment says the same";
    }
};
{
    my $slow = t();
    counted($where, { 'counts deny rate-limited' => 2, 'counts allow' => 1 }, sub { get('/counts/rate', $slow) for 1 .. 3 }, 'rate-limited is counted, each time');
}

# --- what passes
my @allowed = (
    ['a call', sub { call('ok') }], ['GET', sub { get('/counts', $good) }], ['HEAD', sub { http($where, HEAD => '/counts', token => $good) }],
    ['DELETE', sub { http($where, DELETE => '/counts', token => $good) }],
    ['a notification', sub { rpc($where, '/counts', 'notifications/initialized', undef, id => undef, token => $good) }],
    ['a response', sub { say_post('{"jsonrpc":"2.0","id":1,"result":{}}') }],
    ['a modern call', sub { modern_post($where, '/counts', 'tools/call', { name => 'ok' }, token => $good) }],
    ['a call in pieces', sub { say_post($ok, chunked => 7) }],
    ['a batch of three', sub { say_post("[$ok,$ok,$ok]", path => '/counts/batch') }],
    ['an answer of 404', sub { get('/counts/missing', $good) }],
);
for (@allowed) {
    my ($name, $ask) = @$_;
    counted($where, { 'counts allow' => 1 }, $ask, "$name is counted once");
}
{
    my $r;
    counted($where, { 'counts-dead allow' => 1 }, sub { $r = get('/dead', token(aud => 'https://mcp.test/counts-dead')) }, 'R19 the backend is down: the request was allowed');
    is $r->{code}, 503, 'R19 and the answer is that of mod_proxy';
}

# --- preflight, shadow
counted($where, { 'counts preflight' => 1 }, sub {
    http($where, OPTIONS => '/counts', headers => [Origin => 'https://app.test', 'Access-Control-Request-Method' => 'POST']);
}, 'H06 a preflight');
counted($where, { 'counts deny origin-forbidden' => 1 }, sub {
    http($where, OPTIONS => '/counts', headers => [Origin => 'https://evil.test', 'Access-Control-Request-Method' => 'POST']);
}, 'H06 a preflight from elsewhere');
{
    my $t = token(aud => 'https://mcp.test/names', sub => join '-', 'shadow', $$, now());
    counted($where, { 'names shadow_deny' => 3 }, sub { rpc($where, '/names', 'tools/call', { name => $_ }, token => $t) for qw(adm nobody two) }, 'shadow-deny');
    counted($where, { 'names allow' => 1 }, sub { rpc($where, '/names', 'tools/call', { name => 'ok' }, token => $t) }, 'what the rules allow is no shadow-deny');
    counted($where, { 'names deny rpc-params' => 1 }, sub { rpc($where, '/names', 'tools/call', {}, token => $t) }, 'what is refused in any case is none either');
}

# --- what is not counted
counted($where, {}, sub {
    get('/counts/off', $good);
    http($where, GET => "/.well-known/oauth-protected-resource/$_") for qw(counts other);
    get('/status');
    get('/status?prometheus');
    get('/server-status?auto');
}, 'nothing else is counted: locations that are off, metadata, status');

# --- one request is one, whatever httpd makes of it
my $dir = vars('documentroot') . '/pages_of_status';
mkdir $dir;
chmod 0755, $dir;
my $part = '<!--#include virtual="/pages/part.html" -->';
my %pages = ('index.html' => 'the index', 'part.html' => 'the part', 'lost.html' => 'the lost page', 'five.shtml' => $part x 5, 'foreign.shtml' => '<!--#include virtual="/other/x" -->' x 3);
for (sort keys %pages) {
    write_file("$dir/$_", "$pages{$_}\n");
    chmod 0644, "$dir/$_";
}
my $page = token(aud => ['https://mcp.test/counts-pages', 'https://mcp.test/counts']);
for (['/pages/part.html', 200, qr/the part/, 'a file'], ['/pages/', 200, qr/the index/, 'an index'], ['/pages/none', 404, qr/the lost page/, 'an error document'],
    ['/pages/five.shtml', 200, qr/(?:the part\s*){5}/, 'a page with five others']) {
    my ($path, $code, $text, $name) = @$_;
    my $r;
    counted($where, { 'counts-pages allow' => 1 }, sub { $r = get($path, $page) }, "H07 $name is counted once");
    is_status($r, $code, "H07 $name");
    like $r->{body}, $text, "H07 $name: what it is";
    counted($where, { 'counts-pages deny credentials-missing' => 1 }, sub { $r = get($path) }, "H07 $name without a token is counted once");
    is $r->{code}, 401, "H07 $name without a token";
    counted($where, { 'counts-pages deny token-malformed' => 1 }, sub { $r = http($where, HEAD => $path, token => 'a.b.c') }, "H07 $name, HEAD, bad token");
}
counted($where, { 'counts allow' => 1 }, sub { is get('/counts/moved', $good)->{code}, 200, 'H07 rewritten inside the location: 200' }, 'H07 rewritten inside the location');
counted($where, { 'counts allow' => 1 }, sub { get('/counts/replaced/missing', $good) }, 'H07 ProxyErrorOverride with an error document inside');
{
    # The token is not passed on from one resource to the other.
    my $r;
    counted($where, { 'other deny credentials-missing' => 1 }, sub { $r = get('/counts/away', $good) }, 'H07 rewritten to another resource: its verdict counts, which is the last');
    is $r->{code}, 401, 'H07 rewritten to another resource: where the token is gone';
}
counted($where, { 'counts deny credentials-missing' => 1 }, sub { is get('/counts/away')->{code}, 401, 'H07 rewritten to another resource, no token' }, 'H07 rewritten to another resource, without a token: the first one\'s');

# --- connections that serve many
for my $together (0, 1) {
    my $c = dial($where);
    my $n = 12;
    counted($where, { 'counts allow' => $n, 'counts deny token-malformed' => $n, 'counts deny acl-denied' => $n, 'counts deny json-syntax' => $n }, sub {
        my $json = ['Content-Type', 'application/json'];
        my @asks = map { [POST => '/counts', token => $good, body => $ok, headers => $json], [GET => '/counts', token => 'a.b.c'],
            [POST => '/counts', token => $good, body => $ok =~ s/"ok"/"nobody"/r, headers => $json], [POST => '/counts', token => $good, body => '{', headers => $json] } 1 .. $n;
        if ($together && $c->isa('MCP::HTTP2')) { $_->answer for map { my ($verb, $path, %o) = @$_; send_request($where, $verb => $path, %o, on => $c) } @asks }
        else { for (@asks) { my ($verb, $path, %o) = @$_; my $r = http($where, $verb => $path, %o, $together ? () : (on => $c)); $c = dial($where) if !$together && $r->{code} == 400 } }
    }, 'H09 one connection after the other, or streams at once: ' . ($together ? 'at once' : 'kept'));
}

# --- many processes
{
    my ($n, $rounds) = (12, 5);
    counted($where, { 'counts allow' => $n * $rounds, 'counts deny token-expired' => $n * $rounds }, sub {
        my @tokens = map { (t(), t(exp => now() - 300)) } 1 .. 3;
        statuses_of($where, '/counts', map { $tokens[ $_ % 6 ] } 1 .. 2 * $n) for 1 .. $rounds;
    }, 'R13 the totals are those of all processes');
    my %seen = map { json_text(tallies(report($where))) => 1 } 1 .. 12;
    is keys %seen, 1, 'R13 and every process shows the same';
}

# --- the client goes away
{
    my $c = open_request($where, POST => '/counts', token => $good, length => 500, headers => ['Content-Type', 'application/json']);
    counted($where, { 'counts deny body-unreadable' => 1 }, sub { $c->data('{"jsonrpc":"2.0",'); wait_for(0.2, sub { 0 }); $c->cut }, 'R13 a client that leaves in mid-body is counted once');
}

# --- the token cache: one connection is one process
{
    my $c = dial($where);
    my $t = t();
    my $before = report($where)->{token_cache};
    my $after;
    counted($where, { 'counts allow' => 6 }, sub { is http($where, GET => '/counts', token => $t, on => $c)->{code}, 200, 'token_cache: a request' for 1 .. 6 }, 'token_cache: known or not, a request counts once');
    wait_for(30, sub { $after = report($where)->{token_cache}; $after->{hits} - $before->{hits} >= 5 && $after->{misses} > $before->{misses} });
    is_deeply [map { $after->{$_} - $before->{$_} } qw(hits misses entries)], [5, 1, 1], 'token_cache: one miss, then hits, one entry more';
    cmp_ok $after->{bytes}, '>', $before->{bytes}, 'token_cache: and it takes room';
    cmp_ok abs($after->{hit_ratio} - $after->{hits} / ($after->{hits} + $after->{misses})), '<', 0.01, 'token_cache: the ratio';
    is $after->{max_entries_per_process}, 10000, 'token_cache: its bound';
}

counted_in_all($where, 'R13 and all in all nothing came late or twice');

# A page outside with five parts inside: they are no requests of a client. Nobody says whether a part that is refused counts.
{
    my ($before, $after) = (report($where)->{requests});
    my $r = get('/open/five.shtml', $page);
    is $r->{code}, 200, 'H07 an open page with five protected parts';
    wait_for(1, sub { $after = report($where)->{requests}; $after->{allow} > $before->{allow} + 5 });
    cmp_ok $after->{allow} + $after->{deny}, '<=', $before->{allow} + $before->{deny} + 5, 'H07 each counts once at most';
}
no_crash($mark);

done_testing;
