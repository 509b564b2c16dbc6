# Key sets from files: design 3.1, requirements.md KEY-4, KEY-9, threats.md C04, R04.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;

for my $name ('file', 'file-default') {
    my $file = made($name eq 'file' ? 'rotating.json' : 'rotating-default.json');
    my $t = sub { my ($kid, $key) = @_; token(aud => 'https://mcp.test/k', iss => "https://$name.keys.test", -key => $key, -kid => $kid) };
    my ($one, $two, $three) = ($t->(one => 'ec256'), $t->(two => 'ec256_b'), $t->(three => 'ec384'));
    my $good = sub { status_of(keys => '/k', $_[0]) == 200 };

    accepts(keys => '/k', $one, "KEY-1 $name: the key of the file, at once");
    refuses(keys => '/k', $two, "KEY-1 $name: a key that is not there");

    # Another size, so that a coarse time stamp cannot hide the change.
    write_file($file, jwks_text([ec256_b => '--kid', 'two', '--use', 'sig', '--alg', 'ES256'], '{"kty":"x","kid":"padding"}'));
    ok wait_for(8, sub { $good->($two) }), "KEY-9 $name: the changed file is picked up";
    ok wait_for(8, sub { status_of(keys => '/k', $one) == 401 }), "KEY-9 C04 $name: the removed key is refused, though it was cached";
    refuses(keys => '/k', $one, "KEY-9 C04 $name: with a challenge");

    write_file($file, '<html>no keys here</html>');
    Time::HiRes::sleep(1.5);    # time to read it; the old keys must outlive any number of readings
    ok $good->($two), "R04 $name: a damaged file leaves the old keys";
    ok $good->($t->(two => 'ec256_b')), "R04 $name: also for a new token";
    write_file($file, '{"keys":[]}');
    Time::HiRes::sleep(1.5);
    ok $good->($t->(two => 'ec256_b')), "R04 $name: so does an empty set";
    unlink $file;
    Time::HiRes::sleep(1.5);
    ok $good->($t->(two => 'ec256_b')), "R04 $name: and a file that is gone";

    write_file($file, jwks_text('{"kty":"EC"}', [ec384 => '--kid', 'three']));
    ok wait_for(10, sub { $good->($three) }), "R04 $name: it recovers";
}
done_testing;
