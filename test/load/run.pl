# The scenarios of test/load.sh, which starts this.
use strict;
use warnings FATAL => 'all';
use FindBin ();
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../t/lib";
use Getopt::Long qw(GetOptions);
use List::Util qw(sum);
use MCP::Keys ();
use MCP::Load::AuthServer ();
use MCP::Load::Client ();
use MCP::Load::Httpd ();
use MCP::Poll ();
use MIME::Base64 qw(encode_base64url);
use Time::HiRes qw(time sleep);

GetOptions(\my %opt, qw(long dir=s module=s mint=s httpd=s mpms=s)) or exit 2;
$| = 1;
umask 022;

# Seconds of load before and after a fault, and how many of them.
my %T = $opt{long}
    ? (before => 10, after => 60, rotations => 10, restarts => 20, kills => 20, rounds => 21, refreshes => 1000, one => 60)
    : (before => 1, after => 2, rotations => 4, restarts => 5, kills => 4, rounds => 7, refreshes => 100, one => 10);
my $RATE = 200;

my %SCENARIOS = (
    R02 => \&outage, R05 => \&overlap, R06 => \&at_once, R08 => \&flood, R12 => \&restarts, R13 => \&children,
    R22 => \&other_issuer, ONE => \&one_fetch, FLAT => \&flat,
);
my %once;
my @wanted = grep { !$once{$_}++ } map { uc } @ARGV;
for (@wanted) { die "no scenario $_; there are: @{[sort keys %SCENARIOS]}\n" unless $SCENARIOS{$_} }
@wanted = qw(R05 R06 R12 R13 R02 R22 R08 ONE FLAT) unless @wanted;

# --- verdicts ------------------------------------------------------------------------------------------

my ($passed, $failed, $name, $mpm, $ended) = (0, 0);

sub ok {
    my ($good, $text) = @_;
    if   ($good) { $passed++ }
    else         { $failed++ }
    printf "%-4s %s %s: %s\n", $good ? 'ok' : 'FAIL', $name, $mpm, $text;
    MCP::Keys::write_file("$opt{dir}/result", "$passed $failed\n");
    return $good;
}

sub ms { sprintf '%.1f ms', 1000 * $_[0] }

sub counts { my $h = shift; join ' ', map { "$_: $h->{$_}" } sort keys %$h }

sub figures {
    my $p = shift;
    return sprintf '%d requests (%s), retried %d, p50 %s, p99 %s, longest %s', $p->{sent},
        join('; ', grep { $_ } counts($p->{codes}), counts($p->{lost})), $p->{retries}, map { ms($p->{$_}) } qw(p50 p99 max);
}

# Of valid tokens: whatever is not 200.
sub lost { my $p = shift; $p->{sent} - ($p->{codes}{200} // 0) }
sub lost_figures { my $p = shift; lost($p) . ' lost of ' . figures($p) }

sub unanswered { sum(0, values %{ $_[0]{lost} }) }

# A load that was not there loses nothing: at least half of what it was to be.
sub nothing_lost {
    my ($p, $what, $rate) = @_;
    return ok(!lost($p) && $p->{sent} >= ($rate // $RATE) * $p->{seconds} / 2 && $p->{sent} > 20, "$what: " . lost_figures($p));
}

sub no_crash {
    my $httpd = shift;
    my @said = $httpd->crashes;
    ok(!@said, 'no child crashed' . (@said ? ": $said[0]" : ''));
}

sub median { my @v = sort { $a <=> $b } @_; @v % 2 ? $v[@v / 2] : ($v[@v / 2 - 1] + $v[@v / 2]) / 2 }

# --- keys and tokens -------------------------------------------------------------------------------------

sub mint { MCP::Keys::run($opt{mint}, @_) }

my %made;
sub jwk {
    my ($key) = @_;
    my $file = "$opt{dir}/key-$key.pem";
    return $made{$key} //= do {
        mint('keygen', $key =~ /^rsa/ ? 'rsa2048' : 'p256', $file);
        chomp(my $jwk = mint('jwk', $file, '--kid', $key));
        $jwk;
    };
}
sub jwks { mint('jwks', map { jwk($_) } @_) }

my $serial = 0;
sub claims {
    my $name = shift;
    return sprintf '{"iss":"https://%s.load.test","sub":"alice","aud":"https://load.test/mcp","client_id":"load","iat":%d,'
        . '"exp":%d,"jti":"%d","scope":"mcp:use"}', $name, time - 1, time + 7200, ++$serial;
}
sub header { my ($alg, $kid) = @_; qq({"alg":"$alg","typ":"at+jwt","kid":"$kid"}) }

# Some good tokens of the key of an issuer.
sub tokens {
    my ($key, $issuer, $n) = @_;
    jwk($key);
    my $alg = $key =~ /^rsa/ ? 'RS256' : 'ES256';
    my @tokens = map {
        mint('sign', "$opt{dir}/key-$key.pem", '--alg', $alg, '--header', header($alg, $key), '--payload', claims($issuer // 'a'))
    } 1 .. $n // 8;
    chomp @tokens;
    return @tokens;
}

# Makes bad ones, each another: with kids that nobody knows, or with a known kid and a signature that is wrong.
sub forger {
    my ($issuer, $kid) = @_;
    my ($payload, $signature, $n) = (encode_base64url(claims($issuer)), encode_base64url("\x5a" x 256), 0);
    my $header = encode_base64url(header('RS256', $kid // ''));
    return sub {
        $n++;
        return join '.', encode_base64url(header('RS256', "f-$$-$n")), $payload, $signature unless defined $kid;
        return join '.', $header, encode_base64url(claims($issuer)), $signature;
    };
}

# --- what each scenario begins with ------------------------------------------------------------------------

sub hold {
    my $until = time + shift;
    while ((my $left = $until - time) > 0) { sleep($left < 0.2 ? $left : 0.2); stop_if_ended() }
}
sub stop_if_ended { die "ended by a signal\n" if $ended }
sub wait_for { my ($seconds, $code) = @_; MCP::Poll::wait_for($seconds, sub { stop_if_ended(); $code->() }) }

# An authorization server and an httpd that has its keys. issuers: NAME => { keys => [...] or hang => 1, and their settings }
sub world {
    my (%o) = @_;
    my %issuers = %{ $o{issuers} };
    my $as = MCP::Load::AuthServer->start(MCP::Load::Httpd::free_port());
    for (sort keys %issuers) {
        if ($issuers{$_}{hang}) { $as->set("/$_", hang => 1) }
        else                    { $as->keys("/$_", jwks(@{ $issuers{$_}{keys} })) }
    }
    my $httpd = MCP::Load::Httpd->new(
        dir => "$opt{dir}/run-$mpm-$name", module => $opt{module}, httpd => $opt{httpd}, modules => "$opt{dir}/modules-$mpm.conf",
        mpm => $mpm, user => $> == 0 ? 'www-data' : undef, more => $o{more},
        issuers => [map { { iss => "https://$_.load.test", jwks => $as->url("/$_"), %{ $issuers{$_} } } } sort keys %issuers]
    );
    $httpd->start;
    for (grep { !$issuers{$_}{hang} } sort keys %issuers) {
        my ($token) = tokens($issuers{$_}{keys}[0], $_, 1);
        # Many times in a row: every child has to know them.
        wait_for(20, sub { !grep { get($httpd, $token) != 200 } 1 .. 40 }) or die "$_: no keys within 20 s\n";
    }
    return ($as, $httpd);
}

# The status of one request on a connection of its own; 0 without an answer.
sub get {
    my ($httpd, $token) = @_;
    my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $httpd->{port}, Timeout => 5) or return 0;
    print $sock "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer $token\r\nConnection: close\r\n\r\n";
    local $/;
    return (<$sock> // '') =~ m{^HTTP/1\.1 (\d+)} ? $1 : 0;
}

sub client { my ($httpd, %o) = @_; MCP::Load::Client->start(port => $httpd->{port}, rate => $RATE, %o) }

# --- the scenarios -----------------------------------------------------------------------------------------

# Each new key is published beside the one in use, which is withdrawn when the next comes.
sub overlap {
    my ($as, $httpd) = world(issuers => { a => { keys => ['k0'], refresh => '1s 1s' } });
    my @tokens = map { [tokens("k$_")] } 0 .. $T{rotations};
    my $client = client($httpd, tokens => $tokens[0]);
    hold($T{before});
    $client->phase('during');
    my ($begin, $fetches) = (time, $as->count);
    for my $n (1 .. $T{rotations}) {
        my $before = $as->count;
        $as->keys('/a', jwks('k' . ($n - 1), "k$n"));
        wait_for(5, sub { $as->count > $before }) or die "the keys are not refreshed\n";
        hold(2);    # the interval, and what it may be late
        $client->tokens(@{ $tokens[$n] });
        hold($T{after} / $T{rotations}) if $opt{long};
    }
    my $took = time - $begin;
    $client->phase('after');
    $as->keys('/a', jwks("k$T{rotations}"));
    hold($T{after});
    my %p = $client->stop;
    nothing_lost($p{during}, "$T{rotations} rotations with overlap (before: p99 " . ms($p{all}{p99}) . ')');
    nothing_lost($p{after}, 'after the last one');
    printf "     %d fetches in %.0f s\n", $as->count - $fetches, $took;
    no_crash($httpd);
}

# Each new key is published and in use at the same moment; only a fetch on demand can know it.
sub at_once {
    my ($as, $httpd) = world(issuers => { a => { keys => ['k0'], refresh => '5min 1h', cooldown => '1s' } });
    my @tokens = map { [tokens("k$_")] } 0 .. $T{rotations};
    my $client = client($httpd, tokens => $tokens[0]);
    hold($T{before});
    $client->phase('during');
    my $before = $as->count;
    for my $n (1 .. $T{rotations}) {
        $as->keys('/a', jwks('k' . ($n - 1), "k$n"));
        $client->tokens(@{ $tokens[$n] });
        hold(1.5);
        hold($T{after} / $T{rotations}) if $opt{long};
    }
    $client->phase('after');
    hold($T{after});
    my %p = $client->stop;
    my $fetches = $as->count - $before;
    nothing_lost($p{during}, "$T{rotations} rotations, the new key in use at once");
    nothing_lost($p{after}, 'after the last one');
    ok($p{during}{max} < 3, 'nobody waits longer than 2 s: ' . ms($p{during}{max}));
    ok($fetches >= $T{rotations} && $fetches <= $T{rotations} + 1, "one fetch for each: $fetches for $T{rotations} rotations");
    no_crash($httpd);
}

sub restarts {
    my ($as, $httpd) = world(issuers => { a => { keys => ['k0'] } });
    my $client = client($httpd, tokens => [tokens('k0')]);
    hold($T{before});
    $client->phase('during');
    my $before = $as->count;
    for (1 .. $T{restarts}) {
        $httpd->graceful;
        hold($T{after} / $T{restarts});
    }
    $client->phase('after');
    hold($T{after});
    my %p = $client->stop;
    my $fetches = $as->count - $before;
    nothing_lost($p{during}, "$T{restarts} graceful restarts");
    nothing_lost($p{after}, 'after the last one');
    ok($fetches <= $T{restarts} + 1, "at most one fetch for each: $fetches for $T{restarts} restarts");
    no_crash($httpd);
}

sub children {
    my $most = $mpm eq 'prefork' && !$opt{long} ? 15 : 100;    # 32 children share the connections of a few seconds
    my ($as, $httpd) = world(issuers => { a => { keys => ['k0'], refresh => '1s 1s' } },
        # Under prefork the children end all at about the same time, and connections that are kept alive hold the few others.
        more => "MaxConnectionsPerChild $most\nKeepAliveTimeout 1\n");
    my $client = client($httpd, tokens => [tokens('k0')]);
    my %seen;
    hold($T{before});
    my $until = time + 2 + 2 * $T{after};
    while (time < $until) {
        $seen{$_} = 1 for $httpd->children;
        hold(0.2);
    }
    my $ended = keys(%seen) - $httpd->children;
    $client->phase('kill');
    for (1 .. $T{kills}) {
        $httpd->kill_child;
        hold($T{after} / $T{kills});
    }
    $client->phase('after');
    hold($T{after});
    my %p = $client->stop;
    ok($ended >= 2, "$ended children ended by MaxConnectionsPerChild meanwhile");
    nothing_lost($p{all}, "MaxConnectionsPerChild $most");
    killed($httpd, $p{kill}, $T{kills}, 'kill -9');
    nothing_lost($p{after}, 'after that');
    my @times = $as->fetched_at;
    my ($gap) = sort { $b <=> $a } map { $times[$_] - $times[$_ - 1] } 1 .. $#times;
    ok($gap < 5 && time - $times[-1] < 5, sprintf 'somebody goes on fetching every second: %d fetches, longest pause %.1f s', scalar @times, $gap);
    no_crash($httpd);
}

# Only what was under way in killed children may be gone, and whatever has an answer has a good one.
sub killed {
    my ($httpd, $phase, $kills, $what) = @_;
    my ($gone, $most) = (unanswered($phase), $kills * $httpd->{threads});
    ok($gone <= $most && lost($phase) == $gone && $phase->{sent} > 20, "$what of $kills children, at most $most under way: " . lost_figures($phase));
}

sub outage {
    my $store = qq(McpOAuthKeyStore "$opt{dir}/run-$mpm-$name/keystore"\n);
    my ($as, $httpd) = world(issuers => { a => { keys => ['k0'], refresh => '1s 1s' } }, more => $store);
    my @tokens = tokens('k0');
    my $client = client($httpd, tokens => \@tokens);
    hold($T{before});
    $client->phase('down');
    $as->down;
    hold($T{after} + 3);    # several refreshes that fail
    $client->phase('kill');
    for (1 .. $T{kills} / 2) { $httpd->kill_child; hold(0.3) }
    $client->phase('graceful');
    $httpd->graceful;
    hold(2);
    my %p = $client->stop;
    nothing_lost($p{down}, 'the authorization server is down');
    killed($httpd, $p{kill}, int($T{kills} / 2), 'meanwhile kill -9');
    nothing_lost($p{graceful}, 'meanwhile a graceful restart');

    ok($httpd->stop, 'httpd stops by itself');
    $httpd->start;
    my $first = get($httpd, $tokens[0]);
    $client = client($httpd, tokens => \@tokens);
    hold(2);
    %p = $client->stop;
    ok($first == 200, "the first request after a full restart: $first");
    nothing_lost($p{all}, 'after a full restart');
    my $before = $as->count;
    $as->up;
    ok(wait_for(10, sub { $as->count > $before }), 'the authorization server is asked again once it is back');
    no_crash($httpd);
}

sub other_issuer {
    my %fast = (refresh => '1s 1s', cooldown => '1s');
    my ($as, $httpd) = world(issuers => { a => { keys => ['k0'], %fast }, b => { hang => 1, %fast } });
    my @tokens = map { [tokens("k$_")] } 0 .. 2;
    my $other = client($httpd, rate => 10, make => forger('b'), connections => 'close');
    my $client = client($httpd, tokens => $tokens[0]);
    hold($T{before});
    $client->phase('overlap');
    $as->keys('/a', jwks('k0', 'k1'));
    hold(2);
    $client->tokens(@{ $tokens[1] });
    hold($T{after});
    $client->phase('at once');
    $as->keys('/a', jwks('k1', 'k2'));
    $client->tokens(@{ $tokens[2] });
    hold($T{after});
    my %p = $client->stop;
    nothing_lost($p{all}, 'another issuer hangs');
    nothing_lost($p{overlap}, 'meanwhile a rotation with overlap');
    nothing_lost($p{'at once'}, 'meanwhile a rotation, the new key in use at once');
    my $of_b = { $other->stop }->{all};
    ok(!unanswered($of_b) && ($of_b->{codes}{503} // 0) == $of_b->{sent}, 'the other one has no keys: ' . figures($of_b));
    no_crash($httpd);
}

# 1,000 tokens a second that are refused. What they cost when a look at the key set is enough is compared with what they cost
# when their kids are unknown and the authorization server hangs: side by side in short turns, and for the share of the CPU
# that other programs on this machine have left in each turn.
sub flood {
    my ($cooldown, $length, $refused) = (5, 2.5, 1000);
    my ($as, $httpd) = world(issuers => { a => { keys => ['rsa'], cooldown => "${cooldown}s", timeout => '2s' } });
    my $good = client($httpd, rate => 0, clients => $mpm eq 'prefork' ? 4 : 8, tokens => [tokens('rsa')]);
    my %forgers = (cheap => forger('a', 'rsa'), hang => forger('a'), instant => forger('a'));
    my (%rate, %fetched, %of, %share);
    my $cool = 0;
    for my $turn ('none 1', 'instant 1', map { ("hang $_", "cheap $_") } 1 .. $T{rounds}) {
        my ($kind, $round) = split / /, $turn;
        if ($kind eq 'hang') { $as->set('/a', hang => 1) }
        else                 { $as->keys('/a', jwks('rsa')) }
        if ($kind =~ /hang|instant/) {
            hold($cool - time) if $cool > time;
            $cool = time + $cooldown + 0.5;    # from the fetch, which begins soon after the first request
        }
        my $before = $as->count;
        my $flood = $forgers{$kind} && client($httpd, rate => $refused, make => $forgers{$kind}, connections => 'close');
        my @ours = ($$, $httpd->{pid}, $httpd->children, $as->{pid}, $good->{pid}, $flood ? $flood->{pid} : ());
        my ($taken, $all) = cpu(@ours);
        $good->phase($turn);
        hold($length);
        $good->phase("after $turn");
        my ($taken_then, $all_then) = cpu(@ours);
        $share{$turn} = 1 - ($taken_then - $taken) / ($all_then - $all);
        push @{ $fetched{$kind} }, $as->count - $before;
        push @{ $of{$kind} }, { $flood->stop }->{all} if $flood;
    }
    my %p = $good->stop;
    my %sum = (sent => 0, codes => {}, lost => {}, retries => 0, p50 => 0, p99 => 0, max => 0);
    for my $phase (keys %p) {
        merge(\%sum, $p{$phase});
        my ($kind, $round) = $phase =~ /^(\w+) (\d+)\z/ or next;
        $rate{$kind}[$round] = $p{$phase}{sent} / $p{$phase}{seconds} / $share{$phase};
    }
    for my $kind (qw(none cheap hang instant)) {
        my @of = map { $p{$_} } grep { /^$kind / } keys %p;
        printf "     good requests, flood %-8s median %5.0f/s if all CPUs were ours, p99 %s, longest %s, %d took more than 0.5 s; fetches %s\n", "$kind:",
            median(grep { defined } @{ $rate{$kind} }), (map { my $what = $_; ms(median(map { $_->{$what} } @of)) } qw(p99 max)),
            sum(map { $_->{slow} } @of), join ' ', @{ $fetched{$kind} };
    }
    my @ratios = map { $rate{hang}[$_] / $rate{cheap}[$_] } 1 .. $T{rounds};
    # A few short rounds on a machine that others use too can tell a standstill from service, not 0.85 from 0.95.
    my $least = $opt{long} ? 0.9 : 0.5;
    ok(median(@ratios) >= $least, sprintf 'unknown kids while it hangs against bad signatures: %.2f of the throughput (%s), at least %s',
        median(@ratios), join(' ', map { sprintf '%.2f', $_ } @ratios), $least);
    ok(!lost(\%sum), 'good requests: ' . lost_figures(\%sum));
    my $most = int($length / $cooldown) + 2;
    my @too_many = grep { $_ > $most } map { @$_ } @fetched{qw(hang instant)};
    my @none = grep { !$_ } @{ $fetched{hang} };
    ok(!@too_many && !@none, "fetches in ${length} s with a cool-down of ${cooldown} s: at least one, at most $most");
    for my $kind (qw(cheap instant hang)) {
        my %all = (sent => 0, codes => {}, lost => {}, retries => 0, slow => 0, p50 => 0, p99 => 0, max => 0);
        merge(\%all, $_) for @{ $of{$kind} };
        my $answered = ($all{codes}{401} // 0) + ($kind eq 'cheap' ? 0 : $all{codes}{503} // 0);
        ok($answered == $all{sent} && $all{sent} > 0.8 * $refused * $length * @{ $of{$kind} }, "flood, $kind: " . figures(\%all));
        my @idle = grep { !$_->{slow} } @{ $of{$kind} };    # then nothing was compared
        ok(!@idle && $all{max} < 3, "of these, $all{slow} waited, the longest " . ms($all{max})) if $kind eq 'hang';
    }
    no_crash($httpd);
}

# CPU time of the machine so far, in ticks: what all processes but these have taken, and all there was.
sub cpu {
    my @ours = @_;
    my ($all, @ticks) = (0, split ' ', (MCP::Load::Httpd::slurp('/proc/stat') =~ /^cpu +(.*)/)[0]);
    $all += $_ for @ticks[0 .. 7];
    my $taken = $ticks[0] + $ticks[1] + $ticks[2] + $ticks[7];    # user, nice, system, steal
    for (@ours) {
        my ($user, $system) = (split ' ', MCP::Load::Httpd::slurp("/proc/$_/stat") =~ s/.*\) //sr)[11, 12];
        $taken -= ($user // 0) + ($system // 0);
    }
    return ($taken, $all);
}

sub merge {
    my ($into, $p) = @_;
    $into->{$_} += $p->{$_} // 0 for qw(sent retries slow);
    for my $what (qw(codes lost)) { $into->{$what}{$_} += $p->{$what}{$_} for keys %{ $p->{$what} } }
    for (qw(p50 p99 max)) { $into->{$_} = $p->{$_} if $p->{$_} > $into->{$_} }
}

sub one_fetch {
    my ($as, $httpd) = world(issuers => { a => { keys => ['k0'], refresh => '2s 2s' } },
        more => "StartServers 32\nMinSpareServers 30\nMaxRequestWorkers 40\n");
    ok(32 <= $httpd->children, scalar($httpd->children) . ' children');
    my $client = client($httpd, tokens => [tokens('k0')]);
    my ($begin, $before) = (time, $as->count);
    hold($T{one});
    my ($fetches, $expected) = ($as->count - $before, (time - $begin) / 2);
    my %p = $client->stop;
    ok($fetches >= 0.7 * $expected - 1 && $fetches <= $expected + 1, sprintf '%d fetches in %.0f s, every 2 s', $fetches, 2 * $expected);
    nothing_lost($p{all}, 'meanwhile');
    no_crash($httpd);
}

# 20 issuers, each fetched every second, each time with another text.
sub flat {
    my %issuers = map { ("i$_" => { keys => ['k0'], refresh => '1s 1s' }) } 1 .. 20;
    my ($as, $httpd) = world(issuers => \%issuers);
    my @tokens = map { tokens('k0', $_, 1) } sort keys %issuers;
    my ($did, @load, @sizes);
    for my $n ($T{refreshes} / 2 + 100, $T{refreshes}) {    # first until everything is warm
        my $client = client($httpd, tokens => \@tokens);
        $did = refreshes($as, $n, sort keys %issuers);
        push @load, { $client->stop }->{all};
        push @sizes, { at_rest($httpd) };
    }
    my %before = %{ $sizes[0] };
    my %after  = %{ $sizes[1] };
    my @left = grep { !$before{$_} } keys %after;
    ok(!@left && keys %before == keys %after, keys(%after) . ' processes, the same as before');
    my @pids = grep { $after{$_} } sort { $a <=> $b } keys %before;
    my @fds  = grep { $before{$_}[0] != $after{$_}[0] } @pids;
    ok(!@fds, "descriptors are as many after $did refreshes as before: " . join ' ', map { "$before{$_}[0]-$after{$_}[0]" } @pids);
    my @grown = sort { $a <=> $b } map { $after{$_}[1] - $before{$_}[1] } @pids;
    ok($grown[-1] <= 1024, "memory grows by at most 1 MiB: by $grown[0] to $grown[-1] KiB");
    nothing_lost($_, 'load meanwhile') for @load;
    no_crash($httpd);
}

sub refreshes {
    my ($as, $n, @issuers) = @_;
    my ($begin, $text) = ($as->count, jwks('k0'));
    my $until = time + 30 + $n / 5;
    my $done = 0;
    while ($done < $n) {
        die "only $done refreshes of $n\n" if time > $until;
        my $other = $text =~ s/\A\{/'{"n":' . ++$serial . ','/er;
        $as->{set}{"/$_"}{body} = $other for @issuers;
        $as->set('/n');    # writes them all
        hold(0.5);
        $done = $as->count - $begin;
    }
    return $done;
}

# Without load: the smallest of several looks, for a fetch has descriptors of its own while it runs.
sub at_rest {
    my $httpd = shift;
    my %least;
    for (1 .. 15) {
        my %now = $httpd->sizes;
        for my $pid (keys %now) {
            for (0, 1) { $least{$pid}[$_] = $now{$pid}[$_] if !defined $least{$pid}[$_] || $now{$pid}[$_] < $least{$pid}[$_] }
        }
        hold(0.13);
    }
    return %least;
}

# --- all of them ---------------------------------------------------------------------------------------------

$SIG{$_} = sub { $ended = 1 } for qw(TERM INT HUP);
$SIG{PIPE} = 'IGNORE';
for my $each (split ' ', $opt{mpms}) {
    for my $scenario (@wanted) {
        ($mpm, $name) = ($scenario eq 'ONE' ? 'prefork' : $each, $scenario);
        next if $scenario eq 'ONE' && $each ne (split ' ', $opt{mpms})[0];    # the same under each
        my $begin = time;
        eval { $SCENARIOS{$scenario}->(); 1 } or ok(0, "it did not come to its end: $@");
        stop_if_ended();
        printf "     %.0f s\n", time - $begin;
    }
}
exit($failed ? 1 : 0);
