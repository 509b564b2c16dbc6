# Names that others choose, on the status pages: users, clients, tools, methods. What Shadow would have refused, by operation.
# Threats.md O01, O02.
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
my $n = 0;
my $own = join '-', $$, now();
sub t { token(aud => 'https://mcp.test/names', sub => 'names-' . $own . '-' . ++$n, @_) }
sub call { my ($name, $t) = @_; rpc($where, '/names', 'tools/call', { name => $name }, token => $t // t()) }
sub shadow { grep { $_->{resource} eq 'https://mcp.test/names' && $_->{operation} =~ $_[0] } @{ report($where)->{shadow} } }

# --- rows of Shadow
{
    my %had = map { (join "\0", map { $_ // '' } @$_{qw(operation needed)}) => $_->{count} } shadow(qr/./);
    call('adm') for 1 .. 3;
    call('two') for 1 .. 2;
    call('two', t(scope => 'mcp:one'));
    rpc($where, '/names', 'resources/read', { uri => "file:///shadow-$own" }, token => t());
    rpc($where, '/names', "x/method-$own", {}, token => t());
    call('ok');
    my @rows;
    my $got = wait_for(30, sub {
        @rows = shadow(qr/./);
        my %now = map { (join "\0", map { $_ // '' } @$_{qw(operation needed)}) => $_->{count} } @rows;
        my ($adm) = grep { /adm/ && /mcp:admin$/ } keys %now;
        my ($two) = grep { /two/ && /\0mcp:one mcp:two$/ } keys %now;
        $adm && $two && $now{$adm} - ($had{$adm} // 0) == 3 && $now{$two} - ($had{$two} // 0) == 3 && (grep { /shadow-\Q$own\E/ } keys %now) && grep { /method-\Q$own\E/ } keys %now;
    });
    ok $got, 'shadow: by operation, with all the values that were needed' or diag json_text(\@rows);
    my ($row) = grep { $_->{operation} =~ /adm/ } @rows;
    is_deeply [sort keys %$row], [qw(count needed operation resource)], 'shadow: the members of a row';
    like $row->{operation}, qr{^(?:tools/call:|tool:)?adm$}, 'shadow: the operation';
    ($row) = grep { $_->{operation} =~ /method-\Q$own\E/ } @rows;
    unlike $row->{needed} // '', qr/mcp:/, 'shadow: no value allows it, and none is named';
    is $row->{count}, 1, 'shadow: counted once';
    ok !(grep { $_->{operation} =~ /(?:^|:)ok$/ } @rows), 'shadow: what is allowed is not there';
}

# --- hostile ones
my @names = ('<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "'quoted'", "a\x01\x1b[31mred", "two\nlines", "\r\n# HELP evil", 'back\\slash\\', "\x{e9}\x{4e2d}\x{1f600}", "\x{202e}rtl",
    '&lt;', '&amp;#60;', 'x"} 1 {"', "\x{2028}ls", 'n' x 300, "\x{4e2d}" x 120, '{{7*7}}', '%3Cscript%3E', "tab\there", '-->', ']]>', "\x7f");
my %passed;
for my $name (@names) {
    my $r = call("$own$name", t(sub => "S$own$name", client_id => "C$own$name"));
    $passed{$name} = $r->{code} == 200;
    ok $r->{code} == 200 || $r->{code} =~ /^40[01]$/, 'O01 hostile names: ' . (json_text($name) =~ s/[^\x20-\x7e]/?/gr) . ": $r->{code}";
}
cmp_ok scalar(grep { $passed{$_} } @names), '>=', 15, 'O01 hostile names: most are just names';
rpc($where, '/names', "x/<script>$own", {}, token => t());
{
    my $r = call('odd');
    is $r->{code}, 200, 'O01 a rule with hostile values';
}
my ($json, $text);
ok wait_for(30, sub { $json = report($where); (grep { ($_->{subject} // '') =~ /^S\Q$own\E<script>/ } @{ $json->{usage} }) && grep { $_->{operation} =~ m{x/<script>\Q$own\E} } @{ $json->{shadow} } }), 'O01 JSON: they are there';
for my $name (grep { $passed{$_} && /^[\x20-\x7e]+$/ && length($_) < 60 && !/["\\]/ } @names) {
    ok((grep { ($_->{subject} // '') eq "S$own$name" && ($_->{client} // '') eq "C$own$name" } @{ $json->{usage} }), "O01 JSON: usage has $name as it is");
    ok((grep { $_->{operation} =~ /:\Q$own$name\E\z/ } @{ $json->{shadow} }), "O01 JSON: shadow has $name as it is");
}
{
    my @long = grep { /^S\Q$own\E(?:n{50}|\x{4e2d}{20})/ } map { $_->{subject} // '' } @{ $json->{usage} };
    is scalar(@long), scalar(grep { $passed{$_} && length > 100 } @names), 'O01 JSON: long names have a row';
    my $raw = http($where, GET => '/status?json')->{body};
    ok eval { Encode::decode('UTF-8', my $copy = $raw, Encode::FB_CROAK()); 1 }, 'O01 JSON: UTF-8, also where a name was cut';
    unlike $raw, qr/[\x00-\x09\x0b-\x1f]/, 'O01 JSON: no control bytes';
    is_deeply [leaks($raw)], [], 'O02 JSON: no token, no key';
}
{
    my $html = http($where, GET => '/status')->{body};
    is_deeply [page_faults($html)], [], 'O01 HTML: no name becomes an element or an attribute';
    like $html, qr/S\Q$own\E&lt;script&gt;alert\(1\)/, 'O01 HTML: it is shown as text';
    like $html, qr/S\Q$own\E&amp;lt;/, 'O01 HTML: and so is a reference';
    is_deeply [leaks($html)], [], 'O02 HTML: no token, no key';
    my $page = http($where, GET => '/server-status')->{body};
    unlike $page, qr/<script>|<img/, 'O01 mod_status: nor in its section';
}
{
    $text = http($where, GET => '/status?prometheus')->{body};
    my ($m, @faults) = prometheus($text);
    is_deeply \@faults, [], 'O01 Prometheus: every line follows the grammar';
    ok((grep { $_->{labels}{operation} =~ /<script>/ } samples($m, 'mcp_oauth_shadow_denials_total')), 'O01 Prometheus: operations are labels');
    ok((grep { $_->{labels}{needed} eq '<b>"q"\\' } samples($m, 'mcp_oauth_shadow_denials_total')), 'O01 Prometheus: values of rules are escaped, once');
    unlike $text, qr/[SC]\Q$own\E|names-\Q$own\E/, 'O02 Prometheus: no user, no client';
    SKIP: {
        my $said = promtool($text) // skip 'no promtool', 1;
        is $said, '', 'O01 Prometheus: promtool is content';
    }
}

# --- more names than there is room for: the page stays bounded, and what went is counted
{
    my $before = report($where);
    my $deadline = time + 60;
    my $many = 0;
    my $c = dial($where);
    my $t = t();
    my $text = sub { rpc_body('tools/call', { name => "flood-$own-$_[0]" }) };
    while ($many < 900 && time < $deadline) {
        my $r = http($where, POST => '/names', token => $t, body => $text->(++$many), headers => ['Content-Type', 'application/json'], on => $c);
        last if $r->{code} == 429;
    }
    my $after;
    wait_for(30, sub { $after = report($where); (grep { $_->{resource} =~ /names$/ } @{ $after->{resources} })[0]{shadow_deny} >= (grep { $_->{resource} =~ /names$/ } @{ $before->{resources} })[0]{shadow_deny} + $many - 1 });
    my ($sum, $rows) = (0, scalar @{ $after->{shadow} });
    $sum += $_->{count} for @{ $after->{shadow} };
    my $total = 0;
    $total += $_->{shadow_deny} for @{ $after->{resources} };
    is $sum + $after->{shadow_others}, $total, "O02 $many names: rows and others add up to all shadow denials ($rows rows)";
    my $r = http($where, GET => '/status');
    cmp_ok length $r->{body}, '<', 4_000_000, 'O02 and the page stays bounded';
}
no_crash($mark);

done_testing;
