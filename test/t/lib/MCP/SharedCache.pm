package MCP::SharedCache;
# Two httpds, as two machines would be, that share what an authorization server said: the same demands to whatever is between them.
# Requirements.md INT-4; threats.md C02, C07, R10, O02.
use strict;
use warnings FATAL => 'all';
use Digest::SHA ();
use Exporter 'import';
use MCP::CacheServer;
use MCP::Httpd;
use MCP::Introspection;
use MCP::Test;
use MIME::Base64 ();
use Time::HiRes qw(time sleep);

our @EXPORT = qw(shared_cache);

my $SECRET = 'p%40s s:+& not for the cache';
my ($as, $cache, %httpd, $kind);

sub conf {
    my %opt = @_;
    my ($dir) = slurp(vars('httpd_conf')) =~ m{LoadModule \S+ "?(/\S+)/mod_\w+\.so} or die "where are the modules?\n";
    my $id = $opt{client} // 'gateway';
    my $env = $opt{env} // 'CACHE_SECRET';
    return <<END;
<IfModule !socache_${kind}_module>
    LoadModule socache_${kind}_module $dir/mod_socache_$kind.so
</IfModule>
McpOAuthSharedCache $kind:127.0.0.1:@{[port('cache_server')]}
Header always set X-User "expr=%{REMOTE_USER}"
Header always set X-Env "%{MCP_OAUTH_SUB}e|%{MCP_OAUTH_DECISION}e|%{MCP_OAUTH_REASON}e"
<McpOAuthIssuer "https://shared.test">
    McpOAuthJwks none
    McpOAuthIntrospection @{[$as->url('/shared')]}
    McpOAuthIntrospectionAuth client_secret_basic
    McpOAuthClientId $id
    McpOAuthClientSecret env:$env
    McpOAuthClockSkew 0s
</McpOAuthIssuer>
<Location "/m">
    McpOAuthIssuer https://shared.test
</Location>
END
}

sub get { my ($name, $token) = @_; http($httpd{$name}{port}, GET => '/m', token => $token, timeout => 30) }
sub asked { scalar(my @calls = $as->asked($_[0])) }
sub active { $as->active(aud => 'https://mcp.test/m', sub => 'alice', @_) }

# Who it is (or the status) at that httpd, and how often the server has been asked about the token so far.
sub seen { my $r = get(@_); return [$r->{code} == 200 ? header($r, 'X-User') : $r->{code}, asked($_[1])] }

# Asked about at that httpd: the names of what is in the cache since then. What was there before may go at any time.
sub entries_of {
    my ($httpd, $token) = @_;
    my %before = map { $_ => 1 } $cache->names;
    my $seen = seen($httpd => $token);
    my @new;
    wait_for(15, sub { @new = grep { !$before{$_} } $cache->names });
    return ($seen, @new);
}

# Asked about at the first httpd. (token, its name in the cache)
sub stored {
    my ($token) = @_;
    my (undef, @new) = entries_of(one => $token);
    is scalar(@new), 1, "$kind: one entry per token" or die "cannot go on\n";
    return ($token, $new[0]);
}

sub shared_cache {
    $kind = shift;
    if (!MCP::CacheServer::program($kind)) {
        plan(skip_all => "no server for $kind") unless $ENV{CI};
        fail("no server for $kind");
        return;
    }
    $as = MCP::Introspection->start(port('introspection_as'));
    $cache = MCP::CacheServer->start($kind, port('cache_server'));
    @ENV{qw(CACHE_SECRET OTHER_SECRET)} = ($SECRET, 'another secret');
    %httpd = (one => MCP::Httpd->start(port('machine_httpd'), conf => conf()), two => MCP::Httpd->start(port('cache_httpd'), conf => conf()));
    my @parts = (\&sharing, \&plain_text, \&bounds, \&poison, \&other_client, \&restart, \&outage, \&hung);
    $_->() for @parts;
    for (sort keys %httpd) {
        my $log = $httpd{$_}->log;
        unlike $log, qr/exit signal|AddressSanitizer|runtime error:/, "$kind: no child died";
        unlogged("O02 $kind: no token and no secret in the log", $log, $SECRET);
    }
}

sub sharing {
    my $token = active();
    is_deeply seen(one => $token), ['alice', 1], "R10 $kind: a token at the first httpd: one call";
    is_deeply seen(two => $token), ['alice', 1], "R10 $kind: at the second: none";
    is_deeply seen($_ % 2 ? 'one' : 'two', $token), ['alice', 1], "R10 $kind: and again" for 1 .. 4;
    my $bad = opaque();
    is_deeply seen(one => $bad), [401, 1], "C05 $kind: a bad token at the first httpd: one call";
    is_deeply seen(two => $bad), [401, 1], "C05 $kind: at the second: none";
    my $foreign = active(aud => 'https://mcp.test/x');
    is_deeply seen($_ => $foreign), [401, 1], "C03 $kind: a token of another resource at httpd $_" for qw(one two);
}

# The Base64 of a text that follows so many bytes, as far as nothing around it counts.
sub base64_within {
    my ($text, $before) = @_;
    my $all = MIME::Base64::encode_base64('x' x $before . $text, '') =~ s/.{0,3}=*\z//r;
    return length $all > 8 ? substr $all, $before ? 4 : 0 : $text;
}

# Who can read the cache learns nothing from it.
sub plain_text {
    my ($token, $name) = stored(active(sub => 'alice-in-wonderland', scope => 'hatter:read', client_id => 'the-rabbit'));
    my $value = $cache->get($name);
    cmp_ok length $value, '>', 60, "$kind: there is a value";
    my $all = join "\n", map { ($_, $cache->get($_) // '') } $cache->names;
    my @never = ($token, $SECRET, 'alice', 'hatter', 'the-rabbit', 'active', 'https://mcp.test', 'shared.test', 'gateway');
    for my $text (@never, unb64($token)) {
        my @forms = ($text, unpack('H*', $text), uc unpack('H*', $text), map { base64_within($text, $_) } 0 .. 2);
        my $what = $text eq $token ? 'the token' : $text =~ /\A[ -~]+\z/ ? $text : 'its bytes';
        is_deeply [grep { length > 4 && index($all, $_) >= 0 } @forms], [], "O02 $kind: not in the cache: $what";
    }
    my $hash = Digest::SHA::sha256($token);
    is_deeply [grep { index($all, $_) >= 0 } $hash, unpack('H*', $hash), uc unpack('H*', $hash), b64($hash)], [], "O02 $kind: nor a plain hash of the token";
}

# It is gone from the cache when its time is over, too.
sub bounds {
    my (undef, $name) = stored(active());
    my $left = $cache->seconds($name);
    ok $left > 30 && $left <= 61, "INT-4 $kind: an entry lives for the TTL of 60 s" or diag $left;
    (undef, $name) = stored(active(exp => now() + 25));
    $left = $cache->seconds($name);
    ok $left > 0 && $left <= 26, "INT-4 $kind: or until exp" or diag $left;
    (undef, $name) = stored(opaque());
    $left = $cache->seconds($name);
    ok +($left // 0) > 0 && $left <= 11, "INT-4 $kind: for 10 s at most if the token is bad" or diag $left;

    # What is too large to be kept there works without.
    my $large = active(x => 'y' x 20000);
    is_deeply seen(one => $large), ['alice', 1], "$kind: a large answer";
    is_deeply seen(two => $large), ['alice', 2], "$kind: is asked for at the second httpd as well";
}

# Who can write to the cache makes nobody somebody else.
sub poison {
    my %damage = (
        'nothing'        => sub { '' },
        'one byte'       => sub { "\0" },
        'text'           => sub { '{"active":true,"aud":"https://mcp.test/m","sub":"mallory"}' },
        'zeros'          => sub { "\0" x length $_[0] },
        'cut off'        => sub { substr $_[0], 0, -1 },
        'cut in halves'  => sub { substr $_[0], 0, length($_[0]) / 2 },
        'a byte more'    => sub { "$_[0]\0" },
        'twice'          => sub { $_[0] x 2 },
        'the first bit'  => sub { substr($_[0], 0, 1) ^= "\1"; $_[0] },
        'a bit within'   => sub { substr($_[0], length($_[0]) / 2, 1) ^= "\x10"; $_[0] },
        'the last bit'   => sub { substr($_[0], -1) ^= "\x80"; $_[0] },
        'very long'      => sub { $_[0] . 'x' x 200_000 },
    );
    for my $how (sort keys %damage) {
        my ($token, $name) = stored(active(sub => "user-$how"));
        $cache->put($name, $damage{$how}->($cache->get($name)));
        is_deeply seen(two => $token), ["user-$how", 2], "C02 $kind: entry overwritten, $how: a new call";
    }

    my ($alice, $alice_name) = stored(active());
    my ($bob, $bob_name) = stored(active(sub => 'bob'));
    my ($unknown, $unknown_name) = stored(opaque());
    my %value = map { $_ => $cache->get($_) } $alice_name, $bob_name, $unknown_name;
    $cache->put($bob_name, $value{$alice_name});
    is_deeply seen(two => $bob), ['bob', 2], "C02 $kind: the entry of another user's token: a new call, the same user";
    $cache->put($unknown_name, $value{$alice_name});
    is_deeply seen(two => $unknown), [401, 2], "C02 $kind: the entry of a good token for a bad one: a new call, refused";
    $cache->put($alice_name, $value{$unknown_name});
    is_deeply seen(two => $alice), ['alice', 2], "C02 $kind: the entry of a bad token for a good one: a new call, good";

    # An entry has its time in itself: it counts, however long the cache keeps it.
    my ($exp, $short, $short_name, $old);
    for (1 .. 5) {    # there must be time to store and to read it
        $exp = now() + 3;
        $short = active(exp => $exp);
        (undef, $short_name) = entries_of(one => $short);
        last if defined $short_name && defined($old = $cache->get($short_name)) && length $old;
    }
    ok length($old // ''), "C07 $kind: an entry that lives for a moment" or die "cannot go on\n";
    active(-token => $short, sub => 'alice-later');
    ok wait_for(30, sub { time > $exp + 0.1 }), "C07 $kind: its time is over";
    $cache->put($short_name, $old);
    is_deeply seen(two => $short), ['alice-later', 2], "C07 $kind: an old entry put back is not believed";
}

# Servers that are another client of the authorization server have a cache of their own in it.
sub other_client {
    for (['another secret', env => 'OTHER_SECRET'], ['another client id', client => 'gateway2']) {
        my ($what, @conf) = @$_;
        setup('two', conf(@conf));
        my ($token) = stored(active());
        my ($seen, @new) = entries_of(two => $token);
        is_deeply $seen, ['alice', 2], "C03 $kind: $what: asks by itself";
        is scalar(@new), 1, "C03 $kind: $what: and has an entry of its own";
    }
    setup('two', conf());
}

sub setup {
    my ($name, $conf) = @_;
    my $httpd = $httpd{$name};
    $httpd->down;
    $httpd->{conf} = $conf;
    write_file("$httpd->{dir}/httpd.conf", $httpd->configuration);
    $httpd->up;
}

sub restart {
    my $token = active();
    is_deeply seen(one => $token), ['alice', 1], "R12 $kind: a token before a restart";
    setup('one', conf());
    is_deeply seen(one => $token), ['alice', 1], "R12 $kind: after it nobody is asked again";
}

# The cache goes away and comes back.
sub outage {
    my $before = active();
    is_deeply seen($_ => $before), ['alice', 1], "$kind: a token at httpd $_" for qw(one two);
    $cache->down;
    is seen($_ => $before)->[0], 'alice', "R11 $kind: down: a token of before at httpd $_" for (qw(one two)) x 20;
    cmp_ok asked($before), '<', 10, "R11 $kind: down: each process still keeps what it knows";
    my @tokens = map { active() } 1 .. 4;
    my $bad = opaque();
    my $slowest = 0;
    for my $httpd (qw(one two)) {
        my @r = map { get($httpd => $_) } @tokens, $bad;
        $_->{seconds} > $slowest and $slowest = $_->{seconds} for @r;
        is_deeply [map { $_->{code} } @r], [200, 200, 200, 200, 401], "R11 $kind: down: httpd $httpd goes on without";
    }
    is_deeply [map { asked($_) } @tokens], [2, 2, 2, 2], "R11 $kind: down: each httpd asks by itself";
    cmp_ok $slowest, '<', 15, "R11 $kind: down: nobody waits for it";
    setup('one', conf());
    is_deeply seen(one => active()), ['alice', 1], "R11 $kind: down: httpd starts all the same";

    $cache->up;
    ok wait_for(60, \&shares, 0.5), "R11 $kind: it is there again: shared again";
}

# Does the second httpd know what the first one was told?
sub shares {
    my $token = active();
    my @seen = map { seen($_ => $token) } qw(one two);
    return $seen[1][0] eq 'alice' && $seen[1][1] == 1;
}

# The cache takes connections and says nothing.
sub hung {
    $cache->stop;
    my @asked = map { send_request($httpd{one}{port}, GET => '/m', token => active(), timeout => 30) } 1 .. 3;
    my @r = map { my $c = $_; eval { $c->answer('GET') } || { code => 'no answer' } } @asked;
    $_->close for @asked;
    is_deeply [map { $_->{code} } @r], [(200) x 3], "R11 $kind: it hangs: requests go on without it";
    $cache->continue;
    ok wait_for(60, \&shares, 0.5), "R11 $kind: it goes on: shared again";
}

1;
