# Key sets from files: design 3.1, requirements.md KEY-4, KEY-9, threats.md C04, R04.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Children;

# One issuer with a short interval and one with the defaults; both go through the same steps together.
my @names = qw(file file-default);
sub t { my ($name, $kid, $key) = @_; token(aud => 'https://mcp.test/k', iss => "https://$name.keys.test", -key => $key, -kid => $kid) }
sub code { status_of(keys => '/k', $_[0]) }
sub file { made($_[0] eq 'file' ? 'rotating.json' : 'rotating-default.json') }
my %one   = map { $_ => t($_, one   => 'ec256') } @names;
my %two   = map { $_ => t($_, two   => 'ec256_b') } @names;
my %three = map { $_ => t($_, three => 'ec384') } @names;

for (@names) {
    accepts(keys => '/k', $one{$_}, "KEY-1 $_: the key of the file, at once");
    refuses(keys => '/k', $two{$_}, "KEY-1 $_: a key that is not there");
}
{
    my $start = time;
    is_deeply [statuses_of(keys => '/k', map { t('file', "unknown-$_", 'ec256') } 1 .. 5)], [(401) x 5], 'K01 unknown kids';
    is_deeply [map { code(t('file', "unknown-$_", 'ec256')) } 1 .. 20], [(401) x 20], 'K01 many of them';
    cmp_ok time - $start, '<', 20, 'K01 who waits waits once';    # 40 s and more if each did
    is code($one{file}), 200, 'K01 the known one stays good';
}

# Has each child that was there before (and still is) read the file since then?
sub all_have_read {
    my ($name, $mark, @before) = @_;
    my ($log, %now) = (log_since($mark), map { $_ => 1 } children());
    return !grep { $now{$_} && $log !~ /\[pid $_:.*MCP0312: issuer https:\/\/\Q$name\E\.keys\.test:/ } @before;
}
my ($mark, @before) = (log_mark(), children());

# Another size, so that a coarse time stamp cannot hide the change.
write_file(file($_), jwks_text([ec256_b => '--kid', 'two', '--use', 'sig', '--alg', 'ES256'], '{"kty":"x","kid":"padding"}')) for @names;
for my $name (@names) {
    ok settles(30, 200, sub { code($two{$name}) }), "KEY-9 $name: the changed file is picked up";
    ok settles(30, 401, sub { code($one{$name}) }), "KEY-9 C04 $name: the removed key is refused, though it was cached";
    refuses(keys => '/k', $one{$name}, "KEY-9 C04 $name: with a challenge");
    ok wait_for(30, sub { all_have_read($name, $mark, @before) }), "KEY-9 $name: by every child";
}

# Old keys outlive what is no key set, however often it is read.
for (['a damaged file', '<html>no keys here</html>'], ['an empty set', '{"keys":[]}'], ['a file that is gone']) {
    my ($what, $text) = @$_;
    for my $name (@names) { defined $text ? write_file(file($name), $text) : unlink file($name) }
    Time::HiRes::sleep(1.3);
    is code($two{$_}), 200, "R04 $_: $what leaves the old keys" for @names;
    is code(t($_, two => 'ec256_b')), 200, "R04 $_: $what, a new token" for @names;
}

write_file(file($_), jwks_text('{"kty":"EC"}', [ec384 => '--kid', 'three'])) for @names;
for my $name (@names) {
    ok settles(30, 200, sub { code($three{$name}) }), "R04 $name: it recovers";
}
done_testing;
