# conf/audit-log.conf: each request to a protected location makes one line, which is a JSON object whatever a client sends. Design 3.4;
# threats.md O01, O02, H07.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use Encode ();
use Cwd ();
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Httpd;
use MCP::Refusals;
use MCP::Status ();

my $where = port('machine_httpd');
my $backend = MCP::Backend->start(port('status_backend'));
my $keys = made('as.json');

# The file as it is shipped: srcdir may be relative to the build directory, which is two levels up.
my ($shipped) = grep { -f } map { ("$_/conf/audit-log.conf", "../../$_/conf/audit-log.conf") } grep { defined } $ENV{srcdir}, '../..';
ok $shipped, 'conf/audit-log.conf is there' or BAIL_OUT('srcdir does not lead to conf/audit-log.conf');
$shipped = Cwd::abs_path($shipped);

# The virtual host of conf/status.conf.in, with nothing around it.
my ($host) = slurp(vars('serverroot') . '/conf/status.conf') =~ m{<VirtualHost [^>]*>\n(.*?)</VirtualHost>}s or die "no virtual host\n";
$host =~ s/^\s*(?:ServerName|Listen)\b.*\n//mg;
my $httpd = MCP::Httpd->start($where, conf => <<END);
Define STATUS http://127.0.0.1:$backend->{port}
<McpOAuthIssuer "https://as.test">
    McpOAuthJwks "file:$keys"
</McpOAuthIssuer>
<McpOAuthIssuer "https://down.test">
    McpOAuthJwks http://127.0.0.1:@{[port('challenge_dead')]}/jwks
</McpOAuthIssuer>
<Location "/m">
    McpOAuthIssuer https://as.test
</Location>
<LocationMatch "^/counts\$">
    SetEnv MCP_OAUTH_DECISION forged
    SetEnv MCP_OAUTH_NAME forged
</LocationMatch>
SetEnvIf X-Pretend "(.+)" MCP_OAUTH_NAME=\$1 mcp_oauth_client=\$1 MCP_OAUTH_DECISION=\$1
Define MCP_OAUTH_LOG_DIR @{[vars('t_logs')]}
Include "$shipped"
$host
END
my $file = vars('t_logs') . '/mcp_audit.log';
my $taken = -s $file || 0;

# The lines that have come since the last time; waits until there are so many.
sub lines {
    my ($n, $seconds) = @_;
    my $text;
    wait_for($seconds // 30, sub { $text = -e $file ? slurp($file, $taken) : ''; ($text =~ tr/\n//) >= $n });
    $taken += length $text;
    return split /\n/, $text;
}
my %members;
sub entry {
    my $line = shift;
    die "not UTF-8\n" unless eval { Encode::decode('UTF-8', my $copy = $line, Encode::FB_CROAK()); 1 };
    my $e = json($line);
    die "no object\n" unless ref $e eq 'HASH';
    die "nested\n" if grep { ref } values %$e;
    $members{$_}++ for keys %$e;
    return $e;
}
# The request makes one line, with these members. Whatever else is in it, it parses.
sub one_line {
    my ($ask, $want, $name) = @_;
    my $r = $ask->();
    my @lines = lines(1);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $e = @lines == 1 ? eval { entry($lines[0]) } : undef;
    my @wrong;
    push @wrong, scalar(@lines) . ' lines' if @lines != 1;
    push @wrong, "no JSON: $@" if @lines == 1 && !$e;
    my $id = $r && request_id($r);
    push @wrong, 'request_id' if $e && $id && ($e->{request_id} // '') ne $id;
    push @wrong, "status $e->{status}" if $e && $r && $e->{status} ne $r->{code};
    push @wrong, map { "$_ " . ($e->{$_} // 'missing') } grep { ($e->{$_} // '') ne $want->{$_} } sort keys %$want if $e;
    ok !@wrong, $name or diag join('; ', @wrong), "\n", @lines;
    return $e;
}

# --- refusals
my %resource = (resource => 'https://mcp.test/counts');
for (refusals($where)) {
    my ($slug, $code, $ask, %known) = @$_;
    my %want = (decision => 'deny', reason => $slug, status => $code, %resource);
    @want{qw(iss sub client)} = ('https://as.test', $known{user}, 'client-1') if $known{user};
    $want{mcp_method} = $known{method} if $known{method};
    $want{mcp_name} = $known{object} if $known{object};
    one_line($ask, \%want, "O03 $slug");
}

# --- what passes
my $good = counts_user();
my $sub = claims_of($good)->{sub};
my %allow = (decision => 'allow', reason => 'ok', sub => $sub, client => 'client-1', iss => 'https://as.test', %resource);
one_line(sub { rpc($where, '/counts', 'tools/call', { name => 'ok' }, token => $good) }, { %allow, mcp_method => 'tools/call', mcp_name => 'ok', status => 200, http_method => 'POST' }, 'a call');
one_line(sub { http($where, GET => '/counts', token => $good) }, { %allow, http_method => 'GET' }, 'GET');
one_line(sub { http($where, HEAD => '/counts', token => $good) }, { %allow, http_method => 'HEAD' }, 'HEAD');
one_line(sub { rpc($where, '/counts', 'notifications/initialized', undef, id => undef, token => $good) }, { %allow, mcp_method => 'notifications/initialized' }, 'a notification');
one_line(sub { http($where, OPTIONS => '/counts', headers => [Origin => 'https://app.test', 'Access-Control-Request-Method', 'POST']) }, { reason => 'preflight', status => 204 }, 'a preflight');
one_line(sub { rpc($where, '/names', 'tools/call', { name => 'adm' }, token => token(aud => 'https://mcp.test/names')) }, { decision => 'shadow-deny', mcp_name => 'adm', resource => 'https://mcp.test/names' }, 'Shadow');
one_line(sub { http($where, GET => '/dead', token => token(aud => 'https://mcp.test/counts-dead')) }, { decision => 'allow', status => 503 }, 'R19 the backend is down');
{
    my $slow = counts_user();
    one_line(sub { http($where, GET => '/counts/rate', token => $slow) }, { decision => 'allow' }, 'within the limit');
    one_line(sub { http($where, GET => '/counts/rate', token => $slow) }, { decision => 'deny', reason => 'rate-limited', status => 429 }, 'over the limit');
}

{
    my $e = one_line(sub { http($where, GET => '/counts', token => $good, headers => ['X-Pretend', 'root']) }, \%allow, 'what a client sends and SetEnvIf takes');
    unlike join(' ', values %{ $e || {} }), qr/root/, 'O03 is in none of our variables';
}

# --- what httpd makes of a request by itself
my $dir = vars('documentroot') . '/pages_of_status';
mkdir $dir;
chmod 0755, $dir;
my %pages = ('index.html' => 'the index', 'part.html' => 'the part', 'lost.html' => 'the lost page', 'five.shtml' => '<!--#include virtual="/pages/part.html" -->' x 5);
for (sort keys %pages) {
    write_file("$dir/$_", "$pages{$_}\n");
    chmod 0644, "$dir/$_";
}
my $page = token(aud => 'https://mcp.test/counts-pages');
for (['/pages/part.html', 200, 'a file'], ['/pages/', 200, 'an index'], ['/pages/none', 404, 'an error document'], ['/pages/five.shtml', 200, 'a page with five others']) {
    my ($path, $code, $name) = @$_;
    one_line(sub { http($where, GET => $path, token => $page) }, { decision => 'allow', status => $code, resource => 'https://mcp.test/counts-pages' }, "H07 $name");
    one_line(sub { http($where, GET => $path) }, { decision => 'deny', reason => 'credentials-missing', status => 401 }, "H07 $name, no token");
}
one_line(sub { http($where, GET => '/counts/moved', token => $good) }, \%allow, 'H07 rewritten inside the location, GET');
one_line(sub { rpc($where, '/counts/moved', 'tools/call', { name => 'ok' }, token => $good) }, { %allow, mcp_name => 'ok' }, 'H07 rewritten inside the location, POST');
one_line(sub { rpc($where, '/counts/moved', 'tools/call', { name => 'nobody' }, token => $good) }, { decision => 'deny', reason => 'acl-denied', mcp_name => 'nobody' }, 'H07 rewritten inside the location, refused');

unlike slurp($file), qr/forged/, 'O03 what SetEnv says of a verdict is in no line';

# --- what makes no line
http($where, GET => $_) for '/counts/off', '/status', '/status?json', '/.well-known/oauth-protected-resource/counts', '/server-status?auto', '/nothing-here', '/open/part.html';
http($where, POST => '/counts/off', body => '{}', headers => ['Content-Type', 'application/json']);
my @none = lines(0);
wait_for(0.5, sub { 0 });
push @none, lines(0);
is_deeply \@none, [], 'what is not protected makes no line';

# --- hostile values, everywhere a client can write
my @evil = ("\"", "\\", "\\\"", "\",\"decision\":\"allow", "\x01\x1f\x7f", "\n{\"forged\":1}", "\r\n", "\t", "\x{e9}\x{4e2d}\x{1f600}", "\x{2028}", '%s%n%{x}e', "\\x22", "\\u0022", '</script>', '-', ' ', "\b\f", 'x' x 3000);
for my $text (@evil) {
    my $show = json_text(substr $text, 0, 20) =~ s/[^\x20-\x7e]/?/gr;
    my $evil = token(aud => 'https://mcp.test/counts', sub => "S$text", client_id => "C$text", scope => "mcp:read $text", azp => $text);
    for (['a user' => sub { http($where, GET => '/counts', token => $evil) }], ['a user who is refused' => sub { rpc($where, '/counts', 'tools/call', { name => 'nobody' }, token => $evil) }],
        ['a tool' => sub { rpc($where, '/counts', 'tools/call', { name => substr "T$text", 0, 800 }, token => $good) }], ['a method' => sub { rpc($where, '/counts', substr("x/$text", 0, 800), {}, token => $good) }],
        ['a resource' => sub { rpc($where, '/counts', 'resources/read', { uri => substr "file:///$text", 0, 800 }, token => $good) }],
        ['an issuer' => sub { http($where, GET => '/counts', token => token(iss => "https://$text", aud => $text, -kid => substr "k$text", 0, 100)) }],
        ['a path' => sub { http($where, GET => '/counts/' . join('', map { sprintf '%%%02x', ord } split //, substr Encode::encode_utf8($text =~ tr{/}{|}r), 0, 500) . '?q=' . ($text =~ s/[^\x21-\x7e]|#//gr), token => $good) }],
        ['headers' => sub { my $v = Encode::encode_utf8($text) =~ s/[\r\n\0]//gr; http($where, GET => '/counts', token => $good, headers => ['User-Agent', $v, Referer => $v, 'X-Forwarded-For', $v, 'MCP-Protocol-Version', '2025-06-18']) }]) {
        my ($name, $ask) = @$_;
        my $r = $ask->();
        # httpd refuses some by itself, before it is known where they belong.
        my $others = $r->{code} =~ /^40[04]$/ && !request_id($r);
        my @lines = lines(1, $others ? 10 : 30);
        if (!@lines && $others) { pass "O01 $name with $show: refused by httpd itself"; next }
        my $e = @lines == 1 ? eval { entry($lines[0]) } : undef;
        ok $e && $e->{decision} =~ /^(?:allow|deny)$/ && !defined $e->{forged} && $lines[0] !~ /[\x00-\x1f\x7f]/, "O01 $name with $show makes one line of JSON" or diag "$r->{code}\n", @lines;
    }
}
{
    my $e = one_line(sub { rpc($where, '/counts', 'tools/call', { name => 'a"b' }, token => $good) }, { reason => 'acl-denied' }, 'O01 a quote');
    like $e->{mcp_name}, qr/^a\\?"b$/, 'O01 a quote is still one';
    one_line(sub { http($where, $_ => '/counts', token => $good) }, { decision => 'deny', reason => 'verb-forbidden' }, "O01 the verb $_") for 'FOO', 'M-SEARCH', "X'";
}

# --- the file
my $all = slurp($file);
is_deeply [grep { !eval { entry($_); 1 } } split /\n/, $all], [], 'O01 all of the file parses, line by line';
is_deeply [grep { $members{$_} != (values %members)[0] } keys %members], [], 'each line has the same members' or diag json_text(\%members);
my @needed = qw(request_id decision reason status resource iss sub client scope mcp_method mcp_name);
is_deeply [grep { !$members{$_} } @needed], [], 'and all that is worth knowing';
is_deeply [MCP::Status::leaks($all)], [], 'O02 no token in the audit log';
is_deeply [MCP::Status::leaks($httpd->log)], [], 'O02 no token in the error log, at trace8';
is_deeply [grep { !/^\[/ } grep { length } split /\n/, $httpd->log], [], 'O02 no line of the error log is made by a client';
unlike $httpd->log, qr/[\x00-\x08\x0b-\x1f\x7f]/, 'O02 no control bytes in the error log';
unlike $httpd->log, qr/exit signal|AddressSanitizer|runtime error:/, 'no child died';
$httpd->down;

done_testing;
