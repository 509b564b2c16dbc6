# Entity tags: a key set that has not changed is not sent again. requirements.md KEY-6; RFC 9110 sections 13.1.2, 15.4.5.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::AuthServer;

my $as = 'http://127.0.0.1:' . port('revalidate_as');
my $server = MCP::AuthServer->start(port('revalidate_as'));
sub iss { my $name = shift; $name =~ m{^/} ? "$as$name" : "https://$name.revalidate.test" }
sub t { my ($name, $kid, $key) = @_; token(aud => 'https://mcp.test/k', iss => iss($name), -key => $key // 'ec256', -kid => $kid // 'one') }
sub code { status_of(keys => '/k', $_[0]) }
sub answers { my ($name, $status) = @_; return my @all = $server->answers("/$name/jwks", $status) }

sub publish {
    my ($name, $text, $tag, @headers) = @_;
    $server->set("/$name/jwks", body => $text, headers => ['Content-Type', 'application/json', @headers], etag => $tag);
}
sub discovered_at { $server->discovery('/.well-known/oauth-authorization-server/elsewhere', issuer => iss('/elsewhere'), jwks_uri => "$as/$_[0]/jwks") }

my $one = jwks_text([ec256 => '--kid', 'one']);
my $two = jwks_text([ec256_b => '--kid', 'two']);
my %tag = (tagged => '"v1"', weak => 'W/"a,b!"', long => '"' . 'x' x 300 . '"', lifetime => '"l"');
my @fresh = qw(tagged weak long);    # no stale keys at all are allowed for these
publish($_, $one, $tag{$_}) for @fresh;
publish('lifetime', $one, $tag{lifetime}, 'Cache-Control', 'max-age=1');
publish('unasked', $one);
publish('elsewhere', $one, '"v1"');
discovered_at('elsewhere');
$server->set('/never/jwks', status => '304 Not Modified', headers => [ETag => '"v0"']);
my %token = map { $_ => t($_) } @fresh, qw(lifetime unasked /elsewhere);
ok settles(30, 200, sub { code($token{$_}) }), "$_: keys are there" for sort keys %token;
my $mark = log_mark();

# --- 304: all is as it was, and it is fresh. Beside that, 304 where there is nothing to compare with.
{
    $server->set('/unasked/jwks', status => '304 Not Modified');
    publish('lifetime', $one, $tag{lifetime}, 'Cache-Control', 'max-age=3000');
    my $lifetime = answers('lifetime', 304);
    my @codes;
    ok wait_for(40, sub {
        push @codes, map { code($token{$_}) } @fresh, 'unasked', 'lifetime';
        answers('tagged', 304) >= 4 && answers('weak', 304) >= 4 && answers('long') >= 5 && answers('unasked', 304) >= 3
            && answers('never') >= 2 && answers('lifetime', 304) > $lifetime;
    }), 'KEY-6 asked several times';
    is_deeply [grep { $_ != 200 } @codes], [], 'KEY-6 304: the keys go on serving, and count as fresh';
    for my $name (qw(tagged weak)) {
        is scalar(answers($name, 200)), 1, "KEY-6 $name: the keys have been sent once";
        # A fetch may have come between the start of the server and its first rule.
        my @found = grep { $_->{status} != 404 } answers($name);
        is_deeply [map { $_->{tag} } @found[0 .. 2]], [undef, ($tag{$name}) x 2], "KEY-6 $name: If-None-Match has the tag as it was sent";
    }
    unlike log_since($mark), qr/MCP031[01]\b.*(?:tagged|weak|long|lifetime)\.revalidate/, 'KEY-6 and there is nothing to tell';

    is code(t('never')), 503, 'KEY-6 never anything but 304: no keys';
    is scalar(my @lines = log_since($mark) =~ /MCP0311\b.*unasked\.revalidate/g), 1, 'R04 a 304 that nobody asked for is a failure, told once';
    is code(t('unasked')), 200, 'R04 which costs no keys';
    # One of them may have been on its way when the lifetime grew.
    ok !wait_for(3, sub { answers('lifetime', 304) > $lifetime + 2 }), 'KEY-6 Cache-Control of a 304 is honoured';
}

# --- other keys, other tags, other places
{
    publish('tagged', $two, '"v2"');
    publish('elsewhere2', $two, '"v1"');
    discovered_at('elsewhere2');
    publish($_, $two) for qw(unasked never);
    ok settles(30, 200, sub { code(t($_, 'two', 'ec256_b')) }), "KEY-6 $_: new keys" for 'tagged', '/elsewhere', 'unasked', 'never';
    is code($token{tagged}), 401, 'KEY-9 and the old ones go';
    ok !defined((answers('elsewhere2'))[0]{tag}), 'KEY-6 a tag is not sent to another URL';
    my $n = answers('tagged', 304);
    ok wait_for(30, sub { answers('tagged', 304) > $n }), 'KEY-6 the new tag is sent';
    publish('tagged', $one);
    ok settles(30, 200, sub { code($token{tagged}) }), 'KEY-6 keys that have no tag any more';
    $n = answers('tagged');
    ok wait_for(30, sub { answers('tagged') > $n }), 'KEY-6 are asked for';
    ok !defined((answers('tagged'))[-1]{tag}), 'KEY-6 without one';
}
done_testing;
