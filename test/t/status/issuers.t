# What the status pages say about issuers: their keys, when these are fetched again, what went wrong, calls to introspection
# endpoints. Design 2.5, 3.4; threats.md R01, R02, R11, O02.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Httpd;
use MCP::Introspection;
use MCP::Status;

my $where = port('machine_httpd');
my $as = MCP::Introspection->start(port('machine_as'));
my $secret = slurp(made('client-secret')) =~ s/\n//r;
$as->keys('/jwks', jwks_text([ec256 => '--kid', 'kid-one', '--alg', 'ES256'], [rsa => '--kid', 'kid-two'], '{"kty":"oct","kid":"kid-oct","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"}'));
my @issuers = qw(https://live.test https://gone.test https://ask.test https://fail.test);
my $conf = join "\n", (map { my ($name, @lines) = @$_; "<McpOAuthIssuer \"$name\">", @lines, '</McpOAuthIssuer>' }
    [$issuers[0], 'McpOAuthJwks ' . $as->url('/jwks'), 'McpOAuthKeyRefresh 1s 2s', 'McpOAuthHTTPTimeout 10s'],
    [$issuers[1], 'McpOAuthJwks ' . $as->url('/gone'), 'McpOAuthKeyRefresh 1h 2h'],
    [$issuers[2], 'McpOAuthJwks none', 'McpOAuthIntrospection ' . $as->url('/ask'), 'McpOAuthClientId gate', 'McpOAuthClientSecret "file:' . made('client-secret') . '"'],
    [$issuers[3], 'McpOAuthJwks none', 'McpOAuthIntrospection ' . $as->url('/fail'), 'McpOAuthClientId gate', 'McpOAuthClientSecret "file:' . made('client-secret') . '"', 'McpOAuthHTTPTimeout 10s']),
    'McpOAuthTokenCacheTTL 300s', '<Location "/m">', 'McpOAuthIssuer https://live.test', '</Location>',
    (map { ("<Location \"/$_\">", 'McpOAuth On', 'McpOAuthInspect Off', 'SetHandler server-status', "McpOAuthResource https://mcp.test/$_", "McpOAuthIssuer https://$_.test", '</Location>') } qw(gone ask fail)),
    '<Location "/status">', 'SetHandler mcp-oauth-status', '</Location>';
my $httpd = MCP::Httpd->start($where, conf => $conf);

sub issuer { my $name = shift; (grep { $_->{issuer} eq $name } @{ report($where)->{issuers} })[0] }
sub metrics { my ($m, @faults) = prometheus(http($where, GET => '/status?prometheus')->{body}); die "@faults\n" if @faults; return $m }
my $i;

# --- keys that are there
ok wait_for(30, sub { $i = issuer($issuers[0]); @{ $i->{keys} } == 2 }), 'R01 the keys are there' or diag json_text($i);
is_deeply [sort map { join ' ', $_->{kid}, $_->{kty}, $_->{alg} // '-' } @{ $i->{keys} }], ['kid-one EC ES256', 'kid-two RSA -'], 'R01 with id, type and algorithm';
is $i->{keys_skipped}, 1, 'R01 one is of no use';
is $i->{keys_from}, $as->url('/jwks'), 'R01 where they come from';
is $i->{last_error}, undef, 'R01 no error';
cmp_ok $i->{fetches}, '>=', 1, 'R01 fetches';
is $i->{introspection}, undef, 'R11 no introspection where there is none';
ok is_number($i->{age_seconds}) && is_number($i->{next_fetch_seconds}), 'R01 age and next fetch are numbers' or diag json_text($i);
ok wait_for(30, sub { $i = issuer($issuers[0]); $i->{fetches} >= 3 }), 'R01 it is fetched again and again';
is $i->{fetch_failures}, 0, 'R01 without a failure';
my $served = () = $as->answers('/jwks', 200);
ok wait_for(30, sub { my $said = issuer($issuers[0])->{fetches}; my $seen = $as->count('/jwks'); abs($said - $seen) <= 1 }), 'R01 as often as the authorization server was asked, by all processes together';
{
    my @ages = map { wait_for(0.1, sub { 0 }); issuer($issuers[0])->{age_seconds} } 1 .. 20;
    is_deeply [grep { $_ < 0 || $_ > 60 } @ages], [], 'R01 the age is that of the last fetch';
    my @next = map { issuer($issuers[0])->{next_fetch_seconds} } 1 .. 10;
    is_deeply [grep { $_ < 0 || $_ > 3 } @next], [], 'R01 the next fetch comes within the bounds' or diag "@next";
}
my $fresh = $i->{state};
ok length $fresh, "R01 a state: $fresh";

# --- an issuer that never answered
ok wait_for(30, sub { $i = issuer($issuers[1]); $i->{fetch_failures} >= 1 }), 'R01 never any keys: failures' or diag json_text($i);
is_deeply $i->{keys}, [], 'R01 never any keys: none';
ok !defined $i->{age_seconds} || $i->{age_seconds} < 0, 'R01 never any keys: no age' or diag $i->{age_seconds};
like $i->{last_error} // '', qr/404|not found|status/i, 'R01 never any keys: the error says what came';
isnt $i->{state}, $fresh, 'R01 never any keys: another state';
{
    my $m = metrics();
    is sample($m, 'mcp_oauth_keys', issuer => $issuers[1]), 0, 'R01 Prometheus: no keys';
    cmp_ok sample($m, 'mcp_oauth_key_fetch_failures_total', issuer => $issuers[1]), '>=', 1, 'R01 Prometheus: failures';
    is sample($m, 'mcp_oauth_keys', issuer => $issuers[0]), 2, 'R01 Prometheus: keys';
    is sample($m, 'mcp_oauth_keys_state', issuer => $issuers[0], state => $fresh), 1, 'R01 Prometheus: the state is that of the JSON';
    my $age = sample($m, 'mcp_oauth_keys_age_seconds', issuer => $issuers[0]);
    ok defined $age && $age >= 0 && $age < 60, 'R01 Prometheus: age' or diag $age // 'missing';
    $age = sample($m, 'mcp_oauth_keys_age_seconds', issuer => $issuers[1]);
    ok !defined $age || $age eq 'NaN' || $age == -1, 'R01 Prometheus: no age where there are no keys' or diag $age;
}

# --- the authorization server breaks, and recovers
$as->set('/jwks', status => '500 Oops', body => 'it broke: secret-of-the-server');
ok wait_for(30, sub { $i = issuer($issuers[0]); $i->{fetch_failures} >= 2 && length($i->{last_error} // '') }), 'R02 it breaks: failures, and the last error' or diag json_text($i);
like $i->{last_error}, qr/500/, 'R02 which names the status';
unlike $i->{last_error}, qr/secret-of-the-server/, 'O02 R02 and quotes nothing of the answer';
is scalar(@{ $i->{keys} }), 2, 'R02 the last good keys serve on, and are shown';
is status_of($where, '/m', token(iss => $issuers[0], aud => 'https://mcp.test/m', -key => 'ec256', -kid => 'kid-one')), 200, 'R02 indeed they do';
my $age = $i->{age_seconds};
ok wait_for(30, sub { issuer($issuers[0])->{age_seconds} > $age + 1 }), 'R02 their age grows';
{
    my $after = issuer($issuers[0]);
    cmp_ok $after->{fetches}, '>=', $after->{fetch_failures}, 'R02 failures are some of the fetches';
    isnt $after->{state}, $fresh, "R02 the state says so: $after->{state}";
    cmp_ok sample(metrics(), 'mcp_oauth_key_fetch_failures_total', issuer => $issuers[0]), '>=', 2, 'R02 Prometheus: failures';
}
$as->down;
ok wait_for(40, sub { my $now = issuer($issuers[0]); ($now->{last_error} // '') !~ /500/ && length($now->{last_error} // '') }), 'R02 gone altogether: another error' or diag issuer($issuers[0])->{last_error} // 'none';
$as->up;
$as->keys('/jwks', jwks_text([ec256_b => '--kid', 'kid-new', '--alg', 'ES256']));
ok wait_for(60, sub { $i = issuer($issuers[0]); @{ $i->{keys} } == 1 && $i->{keys}[0]{kid} eq 'kid-new' }), 'R01 it recovers: the new key is shown' or diag json_text($i);
is $i->{last_error}, undef, 'R01 it recovers: no error any more';
is $i->{state}, $fresh, 'R01 it recovers: the state of before';
cmp_ok $i->{fetch_failures}, '>=', 2, 'R01 it recovers: what was counted stays';

# --- introspection
{
    $i = issuer($issuers[2]);
    is_deeply [sort keys %{ $i->{introspection} }], [qw(breaker cached calls endpoint failures seconds_total)], 'R11 introspection: its members' or diag json_text($i);
    is $i->{introspection}{endpoint}, $as->url('/ask'), 'R11 introspection: the endpoint';
    is_deeply [@{ $i->{introspection} }{qw(calls failures cached)}], [0, 0, 0], 'R11 introspection: nothing yet';
    is $i->{introspection}{breaker}, 'closed', 'R11 introspection: the breaker';
    is_deeply $i->{keys}, [], 'R11 introspection alone: no keys';
    my $requests = 0;
    my $hits = report($where)->{token_cache}{hits};
    my @tokens = map { $as->active(aud => 'https://mcp.test/ask', sub => 'alice') } 1 .. 4;
    for my $round (1 .. 3) {
        is_deeply [map { status_of($where, '/ask', $_) } @tokens], [(200) x @tokens], "R11 introspection: answered, $round";
        $requests += @tokens;
    }
    is status_of($where, '/ask', opaque()), 401, 'R11 introspection: an inactive token';
    $requests++;
    my $slow = $as->active(aud => 'https://mcp.test/ask', -delay => 0.6);
    is status_of($where, '/ask', $slow), 200, 'R11 introspection: a slow answer';
    $requests++;
    my $asked = $as->calls('/ask');
    my $n;
    ok wait_for(30, sub { $n = issuer($issuers[2])->{introspection}; $n->{calls} == $asked }), 'R11 introspection: as many calls as the authorization server has seen' or diag json_text($n), " $asked";
    is $n->{failures}, 0, 'R11 introspection: no failure';
    ok wait_for(30, sub { my $report = report($where); $n = issuer($issuers[2])->{introspection}; $n->{cached} + $report->{token_cache}{hits} - $hits == $requests - $asked }), 'R11 introspection: the others were known, here or from the shared cache' or diag json_text($n);
    ok $n->{seconds_total} >= 0.6 && $n->{seconds_total} < 60, 'R11 introspection: the time they took' or diag $n->{seconds_total};
    my $m = metrics();
    my %of = (issuer => $issuers[2]);
    is sample($m, 'mcp_oauth_introspection_calls_total', %of, outcome => 'answered'), $asked, 'R11 Prometheus: answered';
    is sample($m, 'mcp_oauth_introspection_calls_total', %of, outcome => 'failed'), 0, 'R11 Prometheus: failed';
    is sample($m, 'mcp_oauth_introspection_cached_total', %of), $n->{cached}, 'R11 Prometheus: cached';
    is sample($m, 'mcp_oauth_introspection_breaker_open', %of), 0, 'R11 Prometheus: breaker';
    is sample($m, 'mcp_oauth_introspection_duration_seconds_count', %of), $asked, 'R11 Prometheus: histogram: the count';
    cmp_ok sample($m, 'mcp_oauth_introspection_duration_seconds_sum', %of), '>=', 0.6, 'R11 Prometheus: histogram: the sum';
    my %le = map { $_->{labels}{le} + 0 => $_->{value} } grep { $_->{labels}{le} ne '+Inf' } samples($m, 'mcp_oauth_introspection_duration_seconds_bucket', %of);
    is join(' ', sort { $a <=> $b } keys %le), '0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10', 'R11 Prometheus: histogram: the buckets';
    cmp_ok $le{0.5}, '<=', $asked - 1, 'R11 Prometheus: histogram: the slow one is in none up to 0.5 s';
    cmp_ok $le{10}, '==', $asked, 'R11 Prometheus: histogram: all are in that of 10 s';
}
{
    $as->set('/fail', status => '500 Oops');
    is status_of($where, '/fail', opaque()), 503, 'R11 introspection fails' for 1 .. 3;
    my ($n, $m);
    ok wait_for(30, sub { $n = issuer($issuers[3])->{introspection}; $n->{failures} >= 3 }), 'R11 introspection fails: failures' or diag json_text($n);
    my %of = (issuer => $issuers[3]);
    for (1 .. 5) {    # it is open for 1 s, and after another failure for longer
        $n = issuer($issuers[3])->{introspection};
        $m = metrics();
        last if $n->{breaker} eq 'open' && sample($m, 'mcp_oauth_introspection_breaker_open', %of);
        is status_of($where, '/fail', opaque()), 503, 'R11 introspection fails again';
    }
    is $n->{breaker}, 'open', 'R11 introspection fails: the breaker is open';
    is sample($m, 'mcp_oauth_introspection_breaker_open', %of), 1, 'R11 Prometheus: the breaker is open';
    is sample($m, 'mcp_oauth_introspection_calls_total', %of, outcome => 'failed'), scalar(my @all = $as->calls('/fail')), 'R11 Prometheus: failed calls';
    is sample($m, 'mcp_oauth_introspection_calls_total', %of, outcome => 'answered'), 0, 'R11 Prometheus: none was answered';
    is $n->{failures}, sample($m, 'mcp_oauth_introspection_calls_total', %of, outcome => 'failed'), 'R11 the JSON says the same';
    is issuer($issuers[2])->{introspection}{breaker}, 'closed', 'R11 introspection fails: the other breaker is not';
    $as->unset('/fail');
    my $t = $as->active(aud => 'https://mcp.test/fail');
    ok wait_for(30, sub { status_of($where, '/fail', $t) == 200 }), 'R11 introspection works again';
    ok wait_for(30, sub { issuer($issuers[3])->{introspection}{breaker} eq 'closed' }), 'R11 introspection works again: closed';
}

# --- O02
for my $query ('', '?json', '?prometheus') {
    my $text = http($where, GET => "/status$query")->{body};
    is_deeply [leaks($text, $secret)], [], "O02 '$query': no token, no secret, no key";
    unlogged("O02 '$query': no opaque token either", $text, $secret);
    is_deeply [page_faults($text)], [], "O01 '$query': clean" if $query eq '';
}
unlike $httpd->log, qr/exit signal|AddressSanitizer|runtime error:/, 'no child died';
$httpd->down;

done_testing;
