# Browsers: Origin, preflight, CORS on our own answers: requirements.md TRN-1 to TRN-3, COR-1 to COR-7, threats.md H06.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;

my $backend = MCP::Backend->start(port('challenge_backend'), sub {
    ('200 OK', ['Content-Type', 'application/json', 'Access-Control-Allow-Origin', 'https://of-the-backend.test',
        'Access-Control-Expose-Headers', 'X-Backend'], '{}');
});
sub to { my ($path, %claims) = @_; token(aud => "https://mcp.test$path", %claims) }
sub ask { my ($path, $origin, %opt) = @_; http(challenge => delete $opt{verb} // 'GET', $path, headers => [Origin => $origin], %opt) }
sub cors { my $r = shift; map { lc $_->[0] } grep { $_->[0] =~ /^Access-Control-/i } @{ $r->{headers} } }

# --- which Origin
my %want = (
    '/mcp' => {
        200 => ['https://mcp.test', 'http://localhost', 'http://localhost:6274', 'https://localhost:1', 'http://127.0.0.1:8080', 'http://[::1]:3000'],
        403 => ['https://evil.test', 'null', 'http://mcp.test', 'https://mcp.test:8443', 'https://mcp.test.evil.test', 'https://evil-mcp.test',
            'http://localhost.evil.test', 'https://xlocalhost', 'http://127.0.0.1.evil.test', 'https://a.mcp.test', 'file://', '*',
            'https://mcp.test/', 'https://mcp.test https://evil.test', 'http://localhost@evil.test']
    },
    '/origins' => {
        200 => ['https://app.test', 'https://app.test:8443'],
        403 => ['https://mcp.test', 'http://localhost:1', 'null', 'http://app.test', 'https://app.test:1', 'https://app.testx']
    },
    '/anyorigin' => { 200 => ['https://evil.test', 'null'], 403 => [] },
);
for my $path (sort keys %want) {
    my $t = to($path);
    for my $code (200, 403) {
        for my $origin (@{ $want{$path}{$code} }) {
            my $r = ask($path, $origin, token => $t);
            is $r->{code}, $code, "TRN-2 $path: Origin $origin: $code";
            next if $code == 200;
            is_deeply [cors($r), headers($r, 'WWW-Authenticate')], [], "COR-6 $path: Origin $origin: no CORS, no challenge";
        }
    }
}
answers_json(ask('/mcp', 'https://evil.test', token => to('/mcp')), 403, 'forbidden', 'TRN-1 a foreign Origin');
is http(challenge => GET => '/mcp', token => to('/mcp'))->{code}, 200, 'TRN-2 no Origin is fine';
is http(challenge => GET => '/mcp', token => to('/mcp'), headers => [Origin => 'https://mcp.test', Origin => 'https://evil.test'])->{code}, 403,
    'TRN-1 two Origins';
is http(challenge => GET => '/mcp', token => to('/mcp'), host => 'evil.test', headers => [Origin => 'http://evil.test'])->{code}, 403,
    'TRN-3 the Origin is not compared with Host';

# --- CORS on our answers
my $mine = 'https://mcp.test';
for (
    [401, '/mcp'], [401, '/mcp', token => 'a.b.c'], [400, '/mcp', token => ''], [403, '/require', token => to('/require', scope => 'x')],
    [503, '/down', token => to('/down', iss => 'https://down.test')], [200, '/mcp', token => to('/mcp')],
) {
    my ($code, $path, %opt) = @$_;
    my $r = ask($path, $mine, %opt);
    is $r->{code}, $code, "COR-5 $code $path";
    is_deeply [headers($r, 'Access-Control-Allow-Origin')], [$mine], "COR-5 COR-7 $code: Allow-Origin, one value";
    like join(',', headers($r, 'Vary')), qr/\bOrigin\b/i, "COR-6 CHL-15 $code: Vary";
    my $expose = join ',', headers($r, 'Access-Control-Expose-Headers');
    like $expose, qr/\b$_\b/i, "COR-4 $code: exposes $_" for qw(WWW-Authenticate Mcp-Session-Id);
    is scalar(headers($r, 'Access-Control-Expose-Headers')), 1, "COR-7 $code: Expose-Headers once";
    is header($r, 'Access-Control-Allow-Credentials'), undef, "COR-6 $code: no Allow-Credentials";
}
is_deeply [grep { /allow-origin/ } cors(http(challenge => GET => '/mcp'))], [], 'no Allow-Origin without an Origin';

# --- OPTIONS
$backend->clear;
for my $origin ($mine, 'http://localhost:6274') {
    my $r = ask('/mcp', $origin, verb => 'OPTIONS', headers => [
        Origin => $origin, 'Access-Control-Request-Method' => 'POST',
        'Access-Control-Request-Headers' => 'authorization,content-type,mcp-protocol-version,mcp-param-region'
    ]);
    is $r->{code}, 204, "COR-1 preflight from $origin";
    is header($r, 'Access-Control-Allow-Origin'), $origin, 'COR-1 Allow-Origin';
    my $methods = header($r, 'Access-Control-Allow-Methods') // '';
    like $methods, qr/\b$_\b/, "COR-2 $_" for qw(POST GET DELETE);
    my $allowed = header($r, 'Access-Control-Allow-Headers') // '';
    like $allowed, qr/(?:^|[, ])\Q$_\E(?:[, ]|$)/i, "COR-3 $_" for qw(Authorization Content-Type Accept MCP-Protocol-Version Mcp-Method
        Mcp-Name Mcp-Session-Id Last-Event-ID);
    like $allowed, qr/mcp-param-region|(?:^|[, ])\*/i, 'COR-3 Mcp-Param-*';
    like header($r, 'Access-Control-Max-Age') // '', qr/^\d+$/, 'COR-7 Max-Age';
    like join(',', headers($r, 'Vary')), qr/\bOrigin\b/i, 'COR-6 Vary';
    is $r->{body}, '', 'COR-1 no body';
}
{
    my $r = ask('/mcp', 'https://evil.test', verb => 'OPTIONS', headers => [Origin => 'https://evil.test', 'Access-Control-Request-Method' => 'POST']);
    is $r->{code}, 403, 'COR-6 H06 preflight from elsewhere';
    is_deeply [cors($r)], [], 'COR-6 H06 and no CORS headers';
}
is http(challenge => OPTIONS => '/mcp')->{code}, 204, 'H06 OPTIONS without Origin';
is_deeply [cors(http(challenge => OPTIONS => '/mcp'))], [], 'H06 and without CORS';
is http(challenge => OPTIONS => '/mcp', token => to('/mcp'))->{code}, 204, 'H06 OPTIONS with a token';
is http(challenge => OPTIONS => '/mcp', token => 'a.b.c')->{code}, 204, 'H06 OPTIONS with a bad token';
http(challenge => OPTIONS => '/mcp', token => to('/mcp'), body => rpc_body('tools/call', { name => 'x' }), headers => ['Content-Type', 'application/json']);
is $backend->accepts, 0, 'H06 no OPTIONS reached the backend';

done_testing;
