# The error log: one line for each refusal, with id, slug, the request_id of the answer, and who it was; nothing of a token.
# Threats.md O01, O02, O03.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Refusals;
use MCP::Status ();

my $backend = MCP::Backend->start(port('status_backend'));
my $where = 'status';
my $first = log_mark();

# The lines of the module that name this request; waits for the first one.
sub about { my ($mark, $id) = @_; my @lines; wait_for(30, sub { @lines = grep { /request_id=\Q$id\E\b/ } split /\n/, log_since($mark) }); return @lines }

# One line, and what it says.
sub told {
    my ($ask, $slug, $known, $name) = @_;
    my $mark = log_mark();
    my $r = $ask->();
    my $id = request_id($r);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok(0, "$name: no request_id in the answer") || diag($r->{body}) unless $id;
    my @lines = about($mark, $id);
    my @wrong;
    push @wrong, scalar(@lines) . ' lines' if @lines != 1;
    my $line = $lines[0] // '';
    push @wrong, 'id and slug' unless $line =~ /\bMCP\d{4}: \Q$slug\E: /;
    push @wrong, "no $_" for grep { $line !~ /(?:^| )\Q$_\E=/ } qw(iss client sub method object);
    if ($known->{user}) { push @wrong, "$_->[0]" for grep { $line !~ /(?:^| )$_->[0]=\Q$_->[1]\E(?: |$)/ } ['iss', 'https://as.test'], ['client', 'client-1'], ['sub', $known->{user}] }
    push @wrong, $_ for grep { $known->{$_} && $line !~ /(?:^| )$_=\Q$known->{$_}\E(?: |$)/ } qw(method object);
    push @wrong, 'a token' if MCP::Status::leaks(join "\n", @lines);
    ok !@wrong, $name or diag join('; ', @wrong), "\n", join "\n", @lines;
    my ($message) = $line =~ /(MCP\d{4}): /;
    return $message;
}

my %ids;
for (refusals($where)) {
    my ($slug, undef, $ask, %known) = @$_;
    my $message = told($ask, $slug, \%known, "O03 $slug");
    $ids{ $message // 'none' }{$slug} = 1;
}
{
    my $slow = counts_user();
    http($where, GET => '/counts/rate', token => $slow);
    my $message = told(sub { http($where, GET => '/counts/rate', token => $slow) }, 'rate-limited', { user => claims_of($slow)->{sub} }, 'rate-limited');
    $ids{ $message // 'none' }{'rate-limited'} = 1;
}
is_deeply [grep { keys %{ $ids{$_} } > 1 } sort keys %ids], [], 'each slug has an id of its own' or diag json_text(\%ids);

# --- Shadow: a line for what passes
{
    my $mark = log_mark();
    my $t = token(aud => 'https://mcp.test/names', sub => my $sub = join '-', 'errors', $$, now());
    is rpc($where, '/names', 'tools/call', { name => 'adm' }, token => $t)->{code}, 200, 'Shadow: it passes';
    my @lines;
    wait_for(30, sub { @lines = grep { /MCP0406/ } split /\n/, log_since($mark) });
    is scalar(@lines), 1, 'Shadow: one line';
    like $lines[0] // '', qr/(?:^| )\Q$_\E(?: |$)/, "Shadow: $_" for 'iss=https://as.test', 'client=client-1', "sub=$sub", 'method=tools/call', 'object=adm';
    like $lines[0] // '', qr/request_id=\S+/, 'Shadow: request_id';
    is rpc($where, '/names', 'tools/call', { name => 'ok' }, token => $t)->{code}, 200, 'Shadow: what is allowed';
    is scalar(grep { /MCP0406/ } split /\n/, log_since($mark)), 1, 'Shadow: makes none';
}

# --- hostile values
my $mark = log_mark();
my $good = counts_user();
for my $text ("a\nforged: line", "a\r\n[forged] line", "\e[31mred", "\x01\x7f", "a b=c sub=root", "\x{85}\x{9b}31m", "\x{e9}\x{202e}", '"quoted"', 'back\\slash', "request_id=forged", '%n%s%x', "x" x 3000) {
    my $show = json_text(substr $text, 0, 20) =~ s/[^\x20-\x7e]/?/gr;
    my $from = log_mark();
    for my $r (rpc($where, '/counts', 'tools/call', { name => substr $text, 0, 700 }, token => $good), rpc($where, '/counts', substr($text, 0, 700), {}, token => $good),
        rpc($where, '/counts', 'tools/call', { name => 'nobody' }, token => counts_user(sub => $text, client_id => $text)), http($where, GET => '/counts', token => counts_user(iss => $text, -kid => substr $text, 0, 100)),
        http($where, GET => '/counts/' . join('', map { sprintf '%%%02x', ord } split //, substr Encode::encode_utf8($text), 0, 300))) {
        my $id = request_id($r) or next;
        is scalar(my @lines = about($from, $id)), 1, "O02 $show: one line";
    }
}
my $log = log_since($mark);
is_deeply [grep { !/^\[\w{3} \w{3} \d\d / } grep { length } split /\n/, $log], [], 'O02 no line of the log is made by a client';
unlike $log, qr/[\x00-\x08\x0b-\x1f\x7f-\xff]/, 'O02 no control bytes, and nothing beyond ASCII';
unlike $log, qr/ request_id=forged(?: |$).* iss=.* request_id=/, 'O02 the fields that come first are the server\'s';

# --- O02
is_deeply [MCP::Status::leaks(log_since($first), slurp(made('client-secret')) =~ s/\n//r)], [], 'O02 no token, no secret, no key in the error log, at trace8';
is_deeply [MCP::Status::leaks(access_since($first))], [], 'O02 nor in the access log';
no_crash($first);

done_testing;
