# The status pages themselves: forms, types, verbs, who may read them, what is on them. Design 3.4; threats.md O01, O02, O04, H08.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Status;

my $backend = MCP::Backend->start(port('status_backend'));
my $mark = log_mark();
my $where = 'status';
my $user = join '-', 'reader', $$, now();
my $t = token(aud => 'https://mcp.test/names', sub => $user, client_id => 'client-of-pages');
rpc($where, '/names', 'tools/call', { name => $_ }, token => $t) for qw(few few few adm ok);
http($where, GET => '/names', token => $t) for 1 .. 2;
http($where, GET => '/names');
sub get { my ($query, %opt) = @_; http($where, delete $opt{verb} // 'GET', "/status$query", %opt) }
sub type { (header($_[0], 'Content-Type') // 'missing') =~ s/;\s*/; /gr }

# --- forms
my %types = (html => 'text/html; charset=utf-8', json => 'application/json', prometheus => 'text/plain; version=0.0.4; charset=utf-8');
my %forms = ('' => 'html', '?json' => 'json', '?prometheus' => 'prometheus', map { ("?$_" => 'html') } '', 'html', 'x', 'JSON', 'json=1', 'xjson', 'prometheus2', '%6ason', 'auto', '<script>', 'a&b');
for my $query (sort keys %forms) {
    my $form = $forms{$query};
    my $r = get($query);
    is_status($r, 200, "status '$query'");
    $form eq 'json' ? like type($r), qr{^application/json(?:; charset=utf-8)?$}i, "status '$query': JSON" : is lc type($r), $types{$form}, "status '$query': $form";
    is_deeply [headers($r, 'Cache-Control')], ['no-store'], "status '$query': Cache-Control";
    my $h = get($query, verb => 'HEAD');
    is_deeply [$h->{code}, $h->{body}, type($h), headers($h, 'Cache-Control')], [200, '', type($r), 'no-store'], "status '$query': HEAD is GET without the body";
    is_deeply [page_faults($r->{body})], [], "O01 status '$query': clean HTML" if $form eq 'html';
    unlike $r->{body}, qr/<script>/, "O01 status '$query': nothing of the query" if $form eq 'html';
}
for my $verb (qw(POST PUT DELETE OPTIONS PATCH FOO)) {
    for my $query ('', '?json', '?prometheus') {
        my $r = get($query, verb => $verb, $verb eq 'POST' ? (body => 'x', headers => ['Content-Type', 'text/plain']) : ());
        is $r->{code}, 405, "status: $verb '$query' is 405";
        my %allow = map { $_ => 1 } split /\s*,\s*/, header($r, 'Allow') // '';
        ok $allow{GET} && $allow{HEAD} && !$allow{POST}, "status: $verb '$query': Allow" or diag header($r, 'Allow') // 'missing';
        unlike $r->{body}, qr/\Q$user\E|mcp_oauth_/, "H08 status: $verb '$query' shows nothing";
    }
}
{
    my $r = get('?json', host => 'evil.test', headers => ['X-Forwarded-Host' => 'evil.test']);
    unlike $r->{raw_head} . $r->{body}, qr/evil\.test"|evil\.test</, 'O04 Host does not show';
}

# --- who may read them
is http($where, GET => '/status/closed', headers => [])->{code}, 403, 'status: Require all denied holds';
is http($where, GET => '/status/inside')->{code}, 401, 'status: behind McpOAuth a token is needed';
{
    my $inside = token(aud => 'https://mcp.test/status-inside');
    my $r = http($where, GET => '/status/inside?json', token => $inside);
    is_status($r, 200, 'status: with one it is shown');
    is eval { ref json($r->{body}) }, 'HASH', 'status: as JSON';
    is http($where, GET => '/status/inside?prometheus', token => 'a.b.c')->{code}, 401, 'status: a bad token opens nothing';
}

# --- JSON
my $json;
ok wait_for(30, sub { $json = report($where); grep { ($_->{subject} // '') eq $user && $_->{operation} eq 'tool:few' && $_->{allowed} == 2 && $_->{limited} == 1 } @{ $json->{usage} } }), 'JSON: the requests of before'
    or diag json_text($json->{usage});
is_deeply [sort keys %$json], [sort qw(version time started uptime_seconds processes requests resources issuers token_cache shadow shadow_others usage usage_others)], 'JSON: its members';
like $json->{version}, qr/^\d+\.\d+/, 'JSON: version';
ok rfc3339($json->{$_}), "JSON: $_ is RFC 3339, UTC" or diag $json->{$_} for qw(time started);
ok $json->{started} le $json->{time}, 'JSON: it has started before now';
ok is_number($json->{$_}), "JSON: $_ is a number" for qw(uptime_seconds processes shadow_others);
cmp_ok $json->{processes}, '>=', vars('mcp_mpm') eq 'prefork' ? 1 : 1, 'JSON: processes';
is_deeply [sort keys %{ $json->{requests} }], [qw(allow deny preflight shadow_deny)], 'JSON: requests';
is_deeply [grep { !is_number($_) } values %{ $json->{requests} }], [], 'JSON: requests are numbers';
{
    my %sum;
    for my $row (@{ $json->{resources} }) {
        is_deeply [sort keys %$row], [sort qw(resource allow deny shadow_deny preflight reasons)], "JSON: resource $row->{resource}: its members" if $row->{resource} =~ /names$/;
        $sum{$_} += $row->{$_} for qw(allow deny preflight shadow_deny);
        my ($denied, %reasons) = (0, %{ $row->{reasons} });
        $denied += $reasons{$_} for grep { !/^(?:ok|preflight|shadow-deny)$/ } keys %reasons;
        is $denied, $row->{deny}, "JSON: resource $row->{resource}: reasons add up";
    }
    is_deeply \%sum, $json->{requests}, 'JSON: requests are the sum of the resources';
    my %twice;
    is_deeply [grep { $twice{$_}++ } map { $_->{resource} } @{ $json->{resources} }], [], 'JSON: no resource twice';
    my ($names) = grep { $_->{resource} eq 'https://mcp.test/names' } @{ $json->{resources} };
    cmp_ok $names->{shadow_deny}, '>=', 1, 'JSON: shadow_deny of a resource';
}
is_deeply [sort keys %{ $json->{token_cache} }], [sort qw(entries bytes hits misses hit_ratio max_entries_per_process)], 'JSON: token_cache';
is_deeply [grep { !is_number($json->{token_cache}{$_}) } keys %{ $json->{token_cache} }], [], 'JSON: token_cache: numbers';
{
    my ($row) = grep { ($_->{subject} // '') eq $user && $_->{operation} eq 'tool:few' } @{ $json->{usage} };
    is_deeply [sort keys %$row], [sort qw(resource issuer subject client operation limit allowed limited last)], 'JSON: usage: its members' or diag json_text($row);
    is_deeply [@$row{qw(issuer subject client operation limit allowed limited)}], ['https://as.test', $user, 'client-of-pages', 'tool:few', '2/1h', 2, 1], 'JSON: usage: a row';
    ok rfc3339($row->{last}), 'JSON: usage: last' or diag $row->{last} // 'missing';
    ($row) = grep { ($_->{subject} // '') eq $user && $_->{operation} eq '*' } @{ $json->{usage} };
    is_deeply [@$row{qw(limit allowed limited)}], ['1000/1h', 6, 0], 'JSON: usage: all requests that were let pass, and no other';
}
{
    my ($as) = grep { $_->{issuer} eq 'https://as.test' } @{ $json->{issuers} };
    is_deeply [sort grep { $_ ne 'introspection' } keys %$as], [sort qw(issuer keys_from state keys keys_skipped age_seconds next_fetch_seconds fetches fetch_failures last_error)], 'JSON: an issuer: its members';
    like $as->{keys_from}, qr{^file:/.*/made/as\.json$}, 'JSON: an issuer: where its keys come from';
    my %kids = map { ($_->{kid} // '') => $_ } @{ $as->{keys} };
    is_deeply [map { $kids{$_} && "$kids{$_}{kty} " . ($kids{$_}{alg} // '-') } qw(rsa ec256 ec384 ec521 ed25519)], ['RSA -', 'EC ES256', 'EC ES384', 'EC ES512', 'OKP EdDSA'], 'JSON: an issuer: its keys';
    is_deeply [grep { $kids{$_} } qw(weak oct broken new)], [], 'JSON: an issuer: none that is of no use';
    cmp_ok $as->{keys_skipped}, '>=', 4, 'JSON: an issuer: those are counted';
    is_deeply [grep { !/^(?:kid|kty|alg)$/ } map { keys %$_ } @{ $as->{keys} }], [], 'O02 JSON: an issuer: nothing of a key but its names';
    is_deeply [grep { !is_number($as->{$_}) } qw(keys_skipped fetches fetch_failures)], [], 'JSON: an issuer: numbers';
    my ($down) = grep { $_->{issuer} eq 'https://down.test' } @{ $json->{issuers} };
    is_deeply $down->{keys}, [], 'JSON: an issuer without keys';
    ok wait_for(30, sub { ($down) = grep { $_->{issuer} eq 'https://down.test' } @{ report($where)->{issuers} }; $down->{fetch_failures} >= 1 && length($down->{last_error} // '') }), 'JSON: an issuer that cannot be reached: failures, and why';
    my %twice;
    is_deeply [grep { $twice{$_}++ } map { $_->{issuer} . $_->{keys_from} } @{ $json->{issuers} }], [], 'JSON: no issuer twice';
}

# --- Prometheus
my $text = get('?prometheus')->{body};
my ($m, @faults) = prometheus($text);
is_deeply \@faults, [], 'Prometheus: every line follows the grammar';
{
    my $said = promtool($text);
    SKIP: {
        skip 'no promtool', 1 unless defined $said;
        is $said, '', 'Prometheus: promtool is content';
    }
}
my %types_of = (
    mcp_oauth_info => 'gauge', mcp_oauth_start_time_seconds => 'gauge', mcp_oauth_processes => 'gauge', mcp_oauth_requests_total => 'counter', mcp_oauth_shadow_denials_total => 'counter',
    mcp_oauth_token_cache_hits_total => 'counter', mcp_oauth_token_cache_misses_total => 'counter', mcp_oauth_token_cache_entries => 'gauge', mcp_oauth_token_cache_bytes => 'gauge',
    mcp_oauth_keys => 'gauge', mcp_oauth_keys_age_seconds => 'gauge', mcp_oauth_keys_next_fetch_seconds => 'gauge', mcp_oauth_keys_state => 'gauge', mcp_oauth_key_fetches_total => 'counter',
    mcp_oauth_key_fetch_failures_total => 'counter', mcp_oauth_introspection_calls_total => 'counter', mcp_oauth_introspection_cached_total => 'counter', mcp_oauth_introspection_breaker_open => 'gauge',
    mcp_oauth_introspection_duration_seconds => 'histogram',
);
is_deeply $m->{types}, \%types_of, 'Prometheus: the metrics and their types';
is_deeply [sort { $a cmp $b } grep { !samples($m, $_) && !samples($m, "${_}_count") } keys %types_of], [], 'Prometheus: each has samples';
my %labels_of = (
    mcp_oauth_info => 'version', mcp_oauth_requests_total => 'decision reason resource', mcp_oauth_shadow_denials_total => 'needed operation resource', mcp_oauth_keys_state => 'issuer state',
    mcp_oauth_introspection_calls_total => 'issuer outcome', (map { ("mcp_oauth_$_" => '') } qw(start_time_seconds processes token_cache_hits_total token_cache_misses_total token_cache_entries token_cache_bytes)),
    (map { ("mcp_oauth_$_" => 'issuer') } qw(keys keys_age_seconds keys_next_fetch_seconds key_fetches_total key_fetch_failures_total introspection_cached_total introspection_breaker_open)),
    mcp_oauth_introspection_duration_seconds_bucket => 'issuer le', mcp_oauth_introspection_duration_seconds_sum => 'issuer', mcp_oauth_introspection_duration_seconds_count => 'issuer',
);
is_deeply [grep { $_ } map { my $l = join ' ', sort keys %{ $_->{labels} }; $l eq ($labels_of{ $_->{name} } // '?') ? () : "$_->{name} $l" } @{ $m->{samples} }], [], 'Prometheus: the labels';
is sample($m, 'mcp_oauth_info', version => $json->{version}), 1, 'Prometheus: version';
is_deeply [grep { $_->{value} !~ /^[01]$/ } samples($m, 'mcp_oauth_keys_state'), samples($m, 'mcp_oauth_introspection_breaker_open')], [], 'Prometheus: states are 0 or 1';
{
    my (%on, %decisions);
    $on{ $_->{labels}{issuer} } += $_->{value} for samples($m, 'mcp_oauth_keys_state');
    is_deeply [grep { $on{$_} != 1 } sort keys %on], [], 'Prometheus: each issuer is in one state';
    $decisions{ $_->{labels}{decision} } += $_->{value} for samples($m, 'mcp_oauth_requests_total');
    is_deeply [grep { !/^(?:allow|deny|shadow-deny|preflight)$/ } keys %decisions], [], 'Prometheus: the decisions';
    is sample($m, 'mcp_oauth_requests_total', resource => 'https://mcp.test/names', decision => 'deny', reason => 'credentials-missing') > 0, 1, 'Prometheus: a request';
    ok sample($m, 'mcp_oauth_shadow_denials_total', resource => 'https://mcp.test/names', needed => 'mcp:admin') > 0, 'Prometheus: a shadow denial';
    is sample($m, 'mcp_oauth_keys', issuer => 'https://as.test'), scalar(@{ (grep { $_->{issuer} eq 'https://as.test' } @{ $json->{issuers} })[0]{keys} }), 'Prometheus: keys of an issuer, as in the JSON';
    my $now = report($where);
    my %json = (allow => 'allow', deny => 'deny', shadow_deny => 'shadow-deny', preflight => 'preflight');
    my ($again) = prometheus(get('?prometheus')->{body});
    %decisions = ();
    $decisions{ $_->{labels}{decision} } += $_->{value} for samples($again, 'mcp_oauth_requests_total');
    is_deeply { map { $_ => $now->{requests}{$_} } keys %json }, { map { $_ => $decisions{ $json{$_} } // 0 } keys %json }, 'Prometheus: the sums are those of the JSON';
}
unlike $text, qr/\Q$user\E|client-of-pages|client-1/, 'Prometheus: no users and no clients';

# --- HTML, mod_status
my $html = get('')->{body};
like $html, qr/<!doctype html>/i, 'HTML: a page of its own';
like $html, qr/\Q$_\E/, "HTML: $_" for $user, 'client-of-pages', 'https://mcp.test/names', 'https://as.test', 'tool:few', 'mcp:admin', $json->{version};
{
    my $r = http($where, GET => '/server-status');
    is_status($r, 200, 'mod_status');
    like $r->{body}, qr{https://mcp\.test/names|McpOAuth|mcp_oauth|MCP OAuth}i, 'mod_status: a section of the module';
    like $r->{body}, qr{</html>}i, 'mod_status: and the page goes on behind it';
    my $auto = http($where, GET => '/server-status?auto');
    my @lines = grep { /^McpOAuth/ } split /\n/, $auto->{body};
    cmp_ok scalar(@lines), '>=', 3, 'mod_status?auto: lines of the module';
    is_deeply [grep { !/^McpOAuth[A-Za-z0-9]*(?:\[\d+\][A-Za-z0-9]+)?: \S.*$/ } @lines], [], 'mod_status?auto: Name: value';
    is_deeply [grep { /[^\x20-\x7e]|</ } @lines], [], 'mod_status?auto: plain text';
    my %twice;
    is_deeply [grep { $twice{$_}++ } map { /^([^:]+):/ } @lines], [], 'mod_status?auto: no name twice';
    my %value = map { /^([^:]+): (.*)$/ } @lines;
    ok((grep { $value{$_} =~ /^\d+$/ && $value{$_} == $json->{requests}{allow} } keys %value), 'mod_status?auto: the requests that were allowed') or diag join '; ', @lines;
    my @others = grep { /^\S/ && !/^(?:McpOAuth|[A-Za-z][A-Za-z0-9-]*)/ } split /\n/, $auto->{body};
    is_deeply \@others, [], 'mod_status?auto: no line of another kind';
    is_deeply [leaks($r->{body}), leaks($auto->{body})], [], 'O02 mod_status: no token and no key';
}

# --- O02
is_deeply [leaks(get($_)->{body}, slurp(made('client-secret')) =~ s/\n//r, 'c2VjcmV0LXNlY3JldC1zZWNyZXQ')], [], "O02 status '$_': no token, no secret, no key" for '', '?json', '?prometheus';
no_crash($mark);

done_testing;
