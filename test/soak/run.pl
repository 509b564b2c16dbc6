# The run of test/soak.sh, which starts this.
use strict;
use warnings FATAL => 'all';
use FindBin ();
use lib $FindBin::Bin, "$FindBin::Bin/../load/lib", "$FindBin::Bin/../t/lib";
use Exact ();
use Getopt::Long qw(GetOptions);
use Hostile ();
use JSON::PP ();
use List::Util qw(max min sum);
use MCP::Keys ();
use MCP::Load::AuthServer ();
use MCP::Load::Check ();
use MCP::Load::Httpd ();
use MCP::Load::Program ();
use MCP::Poll ();
use Time::HiRes qw(time sleep);

GetOptions(\my %opt, qw(minutes=f requests=i streams=i rate=i dir=s tools=s module=s httpd=s mpm=s)) or exit 2;
$| = 1;
umask 022;

my $CONNECTIONS = 24;
my $STREAMS = $opt{streams} // ($opt{mpm} eq 'prefork' ? 60 : 1000);
my $processes = $opt{mpm} eq 'prefork' ? prefork() : threaded();
my $GOOD_RATE = $opt{rate} // 0;

my $check = MCP::Load::Check->new("$opt{dir}/result");
my $run = "$opt{dir}/run-$opt{mpm}";
mkdir $run or die "$run: $!\n";
my ($as, $backend, $httpd, $client, $streams, $faulty, $hostile, $exact);
my (%count, @kills, @samples, $begin, $ended, $part);
my $thorough_at = 0;
$count{$_} = 0 for qw(rotations reloads kills flaps reopened);

# An open stream holds a worker, and a request on a connection that was kept alive can only be served by the child that has it:
# each child has workers for all streams and some more, or such a request would wait for a stream to end. Old children stay as
# long as their streams do, so there is room for many.
sub threaded {
    my $threads = $STREAMS + 100;
    return { threads => $threads, conf => "StartServers 3\nServerLimit 80\nThreadsPerChild $threads\nThreadLimit $threads\nMaxRequestWorkers "
        . 3 * $threads . "\nMinSpareThreads 200\nMaxSpareThreads " . 3 * $threads . "\n" };
}
sub prefork {
    return { threads => 1, conf => 'StartServers ' . 2 * $STREAMS . "\nServerLimit 1000\nMaxRequestWorkers " . ($STREAMS + 100)
        . "\nMinSpareServers 20\nMaxSpareServers " . ($STREAMS + 100) . "\n" };
}

sub ok { $check->ok(@_) }
sub median { my @v = sort { $a <=> $b } @_; $v[@v / 2] }
sub counts { my $h = shift; join ' ', map { "$_: $h->{$_}" } sort keys %$h }

# --- keys and tokens: each rotation makes a key, some good tokens, and bad ones that are signed well ---------

my ($generation, %jwk) = (0);

sub tool { my ($name, @args) = @_; MCP::Keys::run("$opt{tools}/$name", @args) }

sub key_make {
    my $n = shift;
    my $file = "$run/k$n.pem";
    tool('mint', 'keygen', $n % 3 == 2 ? 'rsa2048' : 'p256', $file);
    chomp($jwk{$n} = tool('mint', 'jwk', $file, '--kid', "k$n"));
}

sub keys_publish { $as->keys('/a', tool('mint', 'jwks', map { $jwk{$_} } grep { $_ >= 0 } @_)) }

sub bad_token {
    my ($n, $header, %claim) = @_;
    my %all = (iss => 'https://a.load.test', sub => 'root', aud => 'https://load.test/mcp', client_id => 'load', exp => int(time) + 7200, %claim);
    delete @all{ grep { !defined $all{$_} } keys %all };
    my $alg = $n % 3 == 2 ? 'RS256' : 'ES256';
    my %header = (alg => $alg, typ => 'at+jwt', kid => "k$n", %$header);
    chomp(my $t = tool('mint', 'sign', "$run/k$n.pem", '--alg', $alg, '--header', JSON::PP::encode_json(\%header), '--payload', JSON::PP::encode_json(\%all)));
    return $t;
}

# Those of generation N are used from now on.
sub tokens_use {
    my $n = shift;
    my $text = tool('tokens', "$run/k$n.pem", "k$n", 100, 'https://a.load.test', 'https://load.test/mcp');
    MCP::Keys::write_file("$run/good", $text);
    my %bad = (
        expired => bad_token($n, {}, exp => int(time) - 600), 'not yet' => bad_token($n, {}, nbf => int(time) + 3600),
        audience => bad_token($n, {}, aud => 'https://load.test/other'), issuer => bad_token($n, {}, iss => 'https://evil.test'),
        type => bad_token($n, { typ => 'dpop+jwt' }), critical => bad_token($n, { crit => ['x'], x => 1 }), 'no expiry' => bad_token($n, {}, exp => undef),
    );
    MCP::Keys::write_file("$run/tokens.json", JSON::PP::encode_json({ good => [split /\n/, $text], bad => \%bad }));
    return unless $client;
    $_->ask("tokens $run/good") for $client, $faulty;
    $streams->ask("tokens $run/good");
}

# --- the world -------------------------------------------------------------------------------------------------

sub conf {
    my ($port, $faulty) = @_;
    return <<~"E";
        Timeout 30
        MaxMemFree 64
        RequestReadTimeout header=10 body=3,MinRate=500
        GracefulShutdownTimeout 5
        McpOAuthTokenCacheSize 300
        McpOAuthKeyStore "$run/keystore"
        <Location "/mcp">
        McpOAuth On
        McpOAuthIssuer https://a.load.test
        McpOAuthAudience https://load.test/mcp
        McpOAuthACL On
        McpOAuthAllow * \@session \@list tool:add
        ProxyPass http://127.0.0.1:$port/mcp flushpackets=on timeout=3600 retry=0
        </Location>
        <Location "/faulty">
        McpOAuth On
        McpOAuthIssuer https://a.load.test
        McpOAuthAudience https://load.test/mcp
        ProxyPass http://127.0.0.1:$faulty/faulty retry=0
        </Location>
        <Location "/status">
        SetHandler mcp-oauth-status
        </Location>
        E
}

sub world {
    my ($port, $broken) = (MCP::Load::Httpd::free_port(), MCP::Load::Httpd::free_port());
    $as = MCP::Load::AuthServer->start(MCP::Load::Httpd::free_port());
    $backend = MCP::Load::Program->start("$opt{tools}/backend", $port, $broken, $run);
    key_make(0);
    keys_publish(0);
    $httpd = MCP::Load::Httpd->new(
        dir => "$run/httpd", module => $opt{module}, httpd => $opt{httpd}, modules => "$opt{dir}/modules.conf", mpm => $opt{mpm},
        threads => $processes->{threads}, processes => $processes->{conf}, user => $> == 0 ? 'www-data' : undef,
        issuers => [{ iss => 'https://a.load.test', jwks => $as->url('/a'), refresh => '1s 1s', cooldown => '1s', timeout => '2s' }],
        locations => conf($port, $broken)
    );
    $httpd->start;
    tokens_use(0);
    MCP::Poll::wait_for(20, sub { $httpd->log =~ /MCP0310/ }) or die "no keys within 20 s\n";
    my @good = ('--port', $httpd->{port}, '--tokens', "$run/good");
    $client = MCP::Load::Program->start("$opt{tools}/client", @good, '--connections', $CONNECTIONS, '--rate', $GOOD_RATE);
    $faulty = MCP::Load::Program->start("$opt{tools}/client", @good, '--path', '/faulty', '--connections', 2, '--rate', 10, '--any');
    $streams = MCP::Load::Program->start("$opt{tools}/client", @good, '--connections', $STREAMS, '--streams');
    my %o = (port => $httpd->{port}, tokens => "$run/tokens.json", dir => $run);
    $hostile = Hostile->start(%o, pause => [0.01, 0.01, 0.1, 0.05]);
    $exact = Exact->start(%o, rate => 30);
}

# --- watching --------------------------------------------------------------------------------------------------

sub stop_if_ended { die "ended by a signal\n" if $ended }
sub hold {
    my $until = time + shift;
    while ((my $left = $until - time) > 0) {
        stop_if_ended();
        sample() if !@samples || time - $samples[-1]{at} >= 1;
        sleep($left < 0.1 ? $left : 0.1);
    }
}
sub wait_for { my ($seconds, $code) = @_; MCP::Poll::wait_for($seconds, sub { hold(0.05); $code->() }) }

# Of the KiB resident, those that are no stack of a thread. Such a mapping follows a page that nobody may touch. More and more of
# some 1,000 stacks have been used at some time, each up to where the deepest call went, which is no leak, and would hide one.
sub without_stacks {
    my $pid = shift;
    my ($sum, $guarded, $stack) = (0, 0, 0);
    for (split /\n/, MCP::Load::Httpd::slurp("/proc/$pid/smaps")) {
        if (my ($access, $inode) = /^[0-9a-f]+-[0-9a-f]+ (\S+) \S+ \S+ (\d+)/) {
            ($stack, $guarded) = ($guarded && $access eq 'rw-p' && !$inode, $access eq '---p');
        }
        elsif (/^Size: +(\d+)/)           { $guarded &&= $1 <= 64 }
        elsif (/^Rss: +(\d+)/ && !$stack) { $sum += $1 }
    }
    return $sum;
}

# pid => [KiB resident, KiB of them its own, descriptors, how many of these are no sockets, KiB resident without stacks]; the last
# takes time: it is looked at while all live, and is as before in most samples
sub sample {
    my %now = (at => time, part => $part);
    my $thorough = $part eq 'steady' && $now{at} - $thorough_at >= 4;
    $thorough_at = $now{at} if $thorough;
    for my $pid ($httpd->{pid}, $httpd->children) {
        my $status = MCP::Load::Httpd::slurp("/proc/$pid/status");
        my ($rss) = $status =~ /^VmRSS:\s+(\d+)/m or next;
        my ($anon) = $status =~ /^RssAnon:\s+(\d+)/m;
        opendir my $dir, "/proc/$pid/fd" or next;
        my @fds = grep { defined } map { /^\d/ ? readlink "/proc/$pid/fd/$_" : undef } readdir $dir;
        $now{of}{$pid} = [$rss, $anon, scalar @fds, scalar(grep { !/^socket:/ } @fds),
            $thorough ? without_stacks($pid) : @samples && $samples[-1]{of}{$pid} ? $samples[-1]{of}{$pid}[4] : 0];
    }
    push @samples, \%now;
    open my $fh, '>>', "$run/samples.tsv" or return;
    printf $fh "%.1f\t%s\t%s\t%s\n", $now{at} - $begin, $part, $_, join "\t", @{ $now{of}{$_} } for sort { $a <=> $b } keys %{ $now{of} };
}

sub part_begin {
    $part = shift;
    $_->ask("phase $part") for $client, $faulty, $streams;
    printf "     %4.0f s: %s\n", time - $begin, $part;
}

# How much of the run is over, from 0 to 1.
sub progress {
    stop_if_ended();
    my $share = (time - $begin) / ($opt{minutes} * 60);
    return $share unless $opt{requests};
    return max($share, $client->ask('count') / $opt{requests});
}

# --- what happens meanwhile --------------------------------------------------------------------------------------

# Memory that grows only once: each thread has a stack, each connection memory for the longest body it ever had. So each thread
# gets the longest way once: tokens that nobody has seen with long bodies, and with a line in the log.
sub burst {
    my $wanted = 1.5 * $processes->{threads} * 3;
    my @texts = map { qq({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":$_}}) } qq({"a":") . 'x' x 230_000 . '"}', Exact::keys_of(2000), '{}';
    for my $n (0 .. $#texts) {
        MCP::Keys::write_file("$run/long-$n", $texts[$n]);
        MCP::Keys::write_file("$run/fresh", tool('tokens', "$run/k$generation.pem", "k$generation", 3000, 'https://a.load.test', 'https://load.test/mcp', $n == 2 ? '--bad' : ()));
        my $c = MCP::Load::Program->start("$opt{tools}/client", '--port', $httpd->{port}, '--tokens', "$run/fresh", '--connections', 2 * $CONNECTIONS,
            '--body', "$run/long-$n");
        my $until = time + max(2, $opt{minutes} * 60 * 0.04);
        hold(0.1) while time < $until && $c->ask('count') < $wanted;
        $count{burst} += $c->ask('count');
        $c->stop;
    }
}

# With overlap: the new key is published beside the old one, and in use when everybody has had the time to fetch it.
sub rotate {
    my $n = ++$generation;
    key_make($n);
    my $before = $as->count;
    keys_publish($n - 1, $n);
    wait_for(20, sub { $as->count > $before }) or die "the keys are not fetched any more\n";
    hold(2);
    tokens_use($n);
    $count{rotations}++;
}

my @FLAPS = (
    ['down'], ['hangs', hang => 1], ['500', status => '500 Oops', body => 'oops'],
    ['HTML', body => '<html>welcome</html>', headers => ['Content-Type', 'text/html']], ['{}', body => '{}'],
    ['no keys', body => '{"keys":[]}'], ['half', cut => 40], ['elsewhere', status => '302 Found', headers => ['Location', '/b']],
    ['slow', drip => 0.05], ['too long', size => 1_100_000],
);
my $flap = 0;

# The code runs while the authorization server fails in the next of these ways.
sub flap {
    my $code = shift;
    my ($name, %rule) = @{ $FLAPS[$flap++ % @FLAPS] };
    my $text = tool('mint', 'jwks', map { $jwk{$_} } grep { $_ >= 0 } $generation - 1, $generation);
    if ($name eq 'down') { $as->down }
    else                 { $as->set('/a', body => $text, %rule) }
    hold(1.5);
    $code->() if $code;
    $as->up if $name eq 'down';
    keys_publish($generation - 1, $generation);
    $count{flaps}++;
    $count{flapped}{$name}++;
}

# When a child is gone, so is what it had under way, and nothing else may be.
sub kill_one {
    my @children = $httpd->children or return;
    my $victim = $children[rand @children];
    push @kills, [time];
    kill KILL => $victim;
    wait_for(15, sub { !grep { $_ == $victim } $httpd->children }) or die "a killed child is still there\n";
    push @{ $kills[-1] }, time;
    $count{kills}++;
}

sub reload { $httpd->reload; $count{reloads}++ }

# The clients of the streams leave and come back: then nothing keeps the old children.
sub reopen {
    my %old = map { $_ => 1 } $httpd->children;
    reload();
    $streams->ask('reopen');
    $count{reopened} += $STREAMS;
    my $gone = wait_for(30, sub { !grep { $old{$_} } $httpd->children });
    $count{old_stay}++ unless $gone;
}

# Do all streams still get what the MCP server says? Right after a fault some are just being opened again.
sub streams_alive {
    my $text = 'word-' . ++$count{said};
    my $open = wait_for(30, sub { $streams->ask('open') == $STREAMS });
    $streams->ask('forget');
    $streams->ask("heard $text");
    my $told = $backend->ask("say $text");
    my $heard = 0;
    wait_for(10, sub { ($heard = $streams->ask("heard $text")) == $STREAMS });
    ok($open && $heard == $STREAMS, "$part: $heard of $STREAMS open streams get an event (the MCP server has $told)");
}

# --- verdicts ------------------------------------------------------------------------------------------------------

sub by_a_kill { my $at = shift; scalar grep { $at > $_->[0] - 0.2 && $at < $_->[1] + 1.5 } @kills }

# Of what has no good answer: by cause.
sub causes {
    my ($result, $allowed) = @_;
    my (%cause, @other);
    for (@{ $result->{events} }) {
        my ($at, $phase, $what) = @$_;
        if    ($allowed && $what =~ $allowed)                    { $cause{'the MCP server failed'}++ }
        elsif ($what !~ /^(?:status|wrong)/ && by_a_kill($at))   { $cause{'child killed'}++ }
        else                                                    { push @other, sprintf '%.1f s, %s: %s', $at - $begin, $phase, $what }
    }
    return (\%cause, @other, $result->{more_events} ? "$result->{more_events} more" : ());
}

# The middle value of the samples of each process that lived through all of the part: at its begin and at its end.
sub first_last {
    my ($from, $parent, $column) = @_;
    my @of = grep { $_->{part} eq $from } @samples;
    my $n = max(1, int(@of / 10));
    my %change;
    for my $pid (keys %{ $of[0]{of} }) {
        next if $parent != ($pid == $httpd->{pid}) || grep { !$_->{of}{$pid} } @of;
        $change{$pid} = [map { my @s = @$_; median(map { $_->{of}{$pid}[$column] } @s) } [@of[0 .. $n - 1]], [@of[-$n .. -1]]];
    }
    return \%change;
}

sub judge_memory {
    my $steady = shift;
    my $requests = sum(values %{ $steady->{codes} });
    # Of each child, for all of them had about the same share; the promise is 1 MiB in 1,000,000 requests.
    my ($all, $rss) = map { first_last('steady', 0, $_) } 0, 4;
    my @grown = sort { $a <=> $b } map { $rss->{$_}[1] - $rss->{$_}[0] } keys %$rss;
    my $most = 1024 * max(1, $requests / 1e6);
    ok(@grown && $grown[-1] <= $most, sprintf 'R14: %d children lived through %d requests, and grew by %s KiB besides the stacks of threads, at most %d',
        scalar @grown, $requests, join(' ', @grown), $most);
    my ($fds, $files) = (first_last('steady', 0, 2), first_last('steady', 0, 3));
    my @more = sort { $a <=> $b } map { $fds->{$_}[1] - $fds->{$_}[0] } keys %$fds;
    my $slack = 2 * ($CONNECTIONS + 10);    # connections of clients, and of mod_proxy, may be with any child
    ok(@more && $more[-1] <= $slack, "descriptors of children: @more more at the end, at most $slack");
    my @files = grep { $files->{$_}[0] != $files->{$_}[1] } keys %$files;
    ok(%$files && !@files, 'those that are no sockets are as many: ' . join ' ', map { "$files->{$_}[0]-$files->{$_}[1]" } sort keys %$files);
    return ($all, $rss, $fds);
}

sub judge_parent {
    my ($rss, $fds) = map { first_last('chaos', 1, $_)->{ $httpd->{pid} } } 0, 2;
    ok($rss->[1] - $rss->[0] <= 1024 && $fds->[1] == $fds->[0],
        "R14: the parent over $count{reloads} reloads: $rss->[0]-$rss->[1] KiB resident, $fds->[0]-$fds->[1] descriptors");
    return ($rss, $fds);
}

sub judge_hostile {
    my $got = shift;
    my (%sum, @bad, @never);
    for (Hostile::names()) {
        my ($name, $right) = @$_;
        my $answers = $got->{$name} || {};
        for my $what (keys %$answers) {
            $sum{all} += $answers->{$what};
            if    ($what =~ /^(?:$right)\z/) { $sum{right} += $answers->{$what}; $right = "|$right" if $right !~ /^\|/ }
            elsif ($what =~ /200/ && $right !~ /200/ || $what !~ /^(?:|no connection|200|200 40[13])\z/) { push @bad, "$name: $answers->{$what} x $what" }
            else                             { $sum{unanswered} += $answers->{$what} }
        }
        push @never, $name unless $right =~ /^\|/;
    }
    ok(!@bad && !@never, sprintf '%d hostile requests of %d kinds, %d without an answer%s%s', $sum{all}, scalar(Hostile::names()), $sum{unanswered} // 0,
        @bad ? '; answered otherwise: ' . join(', ', @bad) : '', @never ? '; never answered as they should: ' . join(', ', @never) : '');
    return \%sum;
}

sub judge_log {
    my @crashes = $httpd->crashes;
    ok(!@crashes, 'no child crashed, no sanitizer spoke' . (@crashes ? ": $crashes[0]" : ''));
    my $log = $httpd->log . MCP::Load::Httpd::slurp("$run/httpd/httpd.out");
    my %id;
    $id{$_}++ for $log =~ /(MCP\d{4}|AH\d{5})[: ]/g;
    my @odd = grep { /^MCP09|^AH0048[45]$|^AH00046$/ } keys %id;
    ok(!@odd, 'nothing in the log that should not be there' . (@odd ? ": @odd" : ''));
    return \%id;
}

sub row { printf "     %-34s %s\n", @_ }

sub finish {
    part_begin('end');
    my $got = $hostile->stop;
    my $exactly = $exact->stop;
    my ($c, $f) = map { $_->stop } $client, $faulty;
    streams_alive();
    my $s = $streams->stop;
    my $server = JSON::PP::decode_json($backend->ask('count'));
    my $took = time - $begin;
    my %p = %{ $c->{phases} };
    my $answered = sum(map { values %{ $_->{codes} } } values %p);
    my ($cause, @other) = causes($c);
    my $lost = sum(0, values %$cause);
    my $most = $count{kills} * min($processes->{threads}, $CONNECTIONS);
    ok(!@other && $lost <= $most, "good requests: $answered answered, all as they should be, $lost lost in $count{kills} killed children, at most $most"
        . (@other ? '; beyond that ' . @other . ": $other[0]" : ''));
    my $least = 100 * $took;
    ok($answered >= $least, sprintf 'that was a load: %.0f a second', $answered / $took);
    ok(!$opt{requests} || $answered >= $opt{requests} || $opt{minutes} * 60 <= $took, "as many requests as wanted: $answered") if $opt{requests};

    my @wrong = grep { $_->[1] !~ /: (?:closed|connect.*|no answer in time)\z/ || !by_a_kill($_->[0]) } @{ $exactly->{bad} };
    ok(!@wrong && keys %{ $exactly->{shapes} } >= 10, "compared byte for byte: $exactly->{good} requests of " . keys(%{ $exactly->{shapes} }) . ' shapes, '
        . @{ $exactly->{bad} } . ' lost in killed children' . (@wrong ? sprintf('; wrong: %d, %.1f s, %s', scalar @wrong, $wrong[0][0] - $begin, $wrong[0][1]) : ''));

    my ($stream_cause, @stream_other) = causes($s);
    ok(!@stream_other, "$STREAMS streams stayed open; ended: " . (counts($stream_cause) || 'none') . (@stream_other ? '; beyond that ' . @stream_other . ": $stream_other[0]" : ''));
    ok(!$count{old_stay}, 'old children end when their streams do') if $count{reopened};

    my ($faulty_cause, @faulty_other) = causes($f, qr/^(?:status 50[23]|closed|reset|200 without)/);
    my %codes;
    for my $p (values %{ $f->{phases} }) { $codes{$_} += $p->{codes}{$_} for keys %{ $p->{codes} } }
    ok(!@faulty_other && ($codes{200} // 0) > 0 && ($codes{502} // 0) > 0 && !grep({ !$_ } @{ $server->{faults} }),
        'R19: an MCP server that fails: ' . counts(\%codes) . (@faulty_other ? '; beyond that ' . @faulty_other . ": $faulty_other[0]" : ''));

    my $hostile_sum = judge_hostile($got);
    ok(!$server->{hostile} && !$server->{with_token}, "the MCP server got $server->{hostile} hostile requests, and $server->{with_token} with a token (the first are in $run/hostile)");
    my ($all, $rss, $fds) = judge_memory($p{steady});
    my ($parent_rss, $parent_fds) = judge_parent();
    my $ids = judge_log();
    ok($count{rotations} >= 2 && $count{kills} >= 2 && $count{reloads} >= 2 && $count{flaps} >= 2, "there were $count{rotations} rotations, $count{flaps} failures "
        . "of the authorization server, $count{kills} kills, $count{reloads} reloads");

    print "\n";
    row('time', sprintf '%.0f s (warm %.0f, steady %.0f, chaos %.0f)', $took, map { $p{$_}{seconds} } qw(warm steady chaos));
    row('good requests answered', sprintf '%d, %.0f a second; compared exactly as well: %d', $answered, $answered / $took, $exactly->{good});
    row("  in part \"$_\"", sprintf '%d (%s), repeated %d, p50 %.1f ms, p99 %.1f ms, longest %.1f ms', $p{$_}{sent}, counts($p{$_}{codes}), $p{$_}{retries},
        map { 1000 * $_ } @{ $p{$_} }{qw(p50 p99 max)}) for qw(warm steady chaos);
    row('lost, by cause', counts({ %$cause, (@other ? ('not explained' => scalar @other) : ()) }) || 'none');
    row('streams ended, by cause', counts({ %$stream_cause, (@stream_other ? ('not explained' => scalar @stream_other) : ()) }) || 'none');
    row('hostile requests', sprintf '%d, answered as they should be %d', $hostile_sum->{all}, $hostile_sum->{right} // 0);
    row('failing MCP server', counts(\%codes) . '; ' . (counts($faulty_cause) || 'nothing lost'));
    row('authorization server failed', "$count{flaps} times (" . counts($count{flapped}) . '), fetches ' . $as->count);
    row('rotations, reloads, kills', "$count{rotations}, $count{reloads}, $count{kills}");
    row('children: KiB first-last', join ' ', map { "$all->{$_}[0]-$all->{$_}[1]" } sort { $a <=> $b } keys %$all);
    row('  without stacks of threads', join ' ', map { "$rss->{$_}[0]-$rss->{$_}[1]" } sort { $a <=> $b } keys %$rss);
    row('  per 1,000,000 requests', join ' ', map { sprintf '%+.0f', ($rss->{$_}[1] - $rss->{$_}[0]) * 1e6 / sum(values %{ $p{steady}{codes} }) } sort { $a <=> $b } keys %$rss);
    row('children: descriptors first-last', join ' ', map { "$fds->{$_}[0]-$fds->{$_}[1]" } sort { $a <=> $b } keys %$fds);
    row('parent: KiB, descriptors', "$parent_rss->[0]-$parent_rss->[1], $parent_fds->[0]-$parent_fds->[1]");
    row('log', counts($ids));
    row('samples', "$run/samples.tsv");
}

# --- all of it -------------------------------------------------------------------------------------------------------

$SIG{$_} = sub { $ended = 1 } for qw(TERM INT HUP);
$SIG{PIPE} = 'IGNORE';
# What an allocator keeps for each of some 1,000 threads is no leak, and would hide one.
$ENV{GLIBC_TUNABLES} = 'glibc.malloc.tcache_count=0:glibc.malloc.arena_max=2';
eval {
    $begin = time;
    $part = 'warm';
    world();
    part_begin('warm');
    # Until the caches are full, and the allocators of httpd have for each connection what the longest bodies need.
    do { burst(); rotate(); flap() } while (progress() < 0.25);
    streams_alive();
    part_begin('steady');
    $thorough_at = 0;
    do { rotate(); flap() } while (progress() < 0.65);
    streams_alive();
    part_begin('chaos');
    reload();
    $part = 'first reload';
    hold(2);
    $part = 'chaos';
    my $turn = 0;
    do {
        kill_one();
        rotate();
        flap(sub { kill_one(); $turn % 2 ? reload() : () });
        hold(0.5);
        $turn++ % 3 ? reload() : reopen();
    } while (progress() < 1);
    hold(2);
    streams_alive();
    finish();
    1;
} or ok(0, "it did not come to its end: $@");
exit($check->{failed} ? 1 : 0);
