package Hostile;
# Processes that send what must never be answered with 200 nor reach the MCP server, and processes that leave in the middle.
#
#   my $h = Hostile->start(port => P, tokens => FILE);    # FILE: JSON { good => [...], bad => { name => token } }, read again when it changes
#   my $counts = $h->stop;                                # { attack => { statuses in order, such as "401" => n, ... } }
#
# Whatever must not pass has the text HOSTILE in it, by which the MCP server knows it.
use strict;
use warnings FATAL => 'all';
use IO::Socket::INET ();
use JSON::PP ();
use MIME::Base64 qw(encode_base64url);
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes qw(time sleep);

my ($PORT, $FILE, $known, $read_at, $ended);

# --- texts -------------------------------------------------------------------------------------------------

sub good { $known->{good}[rand @{ $known->{good} }] }
sub call { my ($name, $more) = @_; qq({"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"$name","arguments":{"note":"HOSTILE"}}) . ($more // '') . '}' }

# A whole request; the last of its connection unless more follow.
sub post {
    my ($body, %o) = @_;
    my $token = exists $o{token} ? $o{token} : good();
    return join "\r\n", ($o{verb} // 'POST') . ' ' . ($o{target} // '/mcp') . ' HTTP/1.1', 'Host: localhost',
        defined $token ? "Authorization: Bearer $token" : (), @{ $o{headers} || [] }, 'X-Soak: HOSTILE',
        $o{type} // 1 ? 'Content-Type: ' . ($o{type} // 'application/json') : (),
        $o{length} // 1 ? 'Content-Length: ' . ($o{length} // length $body) : (),
        $o{follow} ? () : 'Connection: close', '', $body;
}
sub chunked { post($_[0], length => 0, headers => ['Transfer-Encoding: chunked', @_[1 .. $#_]]) }
sub chunk   { sprintf "%x\r\n%s\r\n", length $_[0], $_[0] }
sub honest  { my $text = post('{"jsonrpc":"2.0","id":8,"method":"tools/list"}', @_); $text =~ s/X-Soak: HOSTILE\r\n//r }

sub junk { join '', map { ('A' .. 'Z', 'a' .. 'z', 0 .. 9, '-', '_')[rand 64] } 1 .. shift }
sub altered { my @t = split /\./, good(); $t[1] = encode_base64url('{"iss":"https://a.load.test","sub":"root"}'); join '.', @t }
sub signed_badly { my @t = split /\./, good(); substr($t[2], 10, 20) = junk(20); join '.', @t }
sub unsigned { my @t = split /\./, good(); encode_base64url(qq({"alg":"$_[0]","typ":"at+jwt"})) . ".$t[1]." . ($_[1] // '') }

my $BIG = 'x' x (1100 * 1024);

# --- attacks: name => [statuses that are right, sub { what to send: texts, and references to pauses }] --------

my %TOKENS = (
    'no token'           => ['401', sub { post(call('add'), token => undef) }],
    'junk'               => ['401', sub { post(call('add'), token => junk(300)) }],
    'junk in three'      => ['401', sub { post(call('add'), token => join '.', junk(60), junk(200), junk(86)) }],
    'alg none'           => ['401', sub { post(call('add'), token => unsigned('none')) }],
    'alg HS256'          => ['401', sub { post(call('add'), token => unsigned('HS256', junk(43))) }],
    'altered'            => ['401', sub { post(call('add'), token => altered()) }],
    'signature'          => ['401', sub { post(call('add'), token => signed_badly()) }],
    # 503: so many wait for a fetch that hangs that nobody else may.
    'unknown kid'        => ['401|503', sub { post(call('add'), token => encode_base64url('{"alg":"RS256","kid":"' . junk(8) . '"}') . '.' . (split /\./, good())[1] . '.' . junk(342)) }],
    'expired'            => ['401', sub { post(call('add'), token => $known->{bad}{expired}) }],
    'not yet'            => ['401', sub { post(call('add'), token => $known->{bad}{'not yet'}) }],
    'audience'           => ['401', sub { post(call('add'), token => $known->{bad}{audience}) }],
    'issuer'             => ['401', sub { post(call('add'), token => $known->{bad}{issuer}) }],
    'type'               => ['401', sub { post(call('add'), token => $known->{bad}{type}) }],
    'critical'           => ['401', sub { post(call('add'), token => $known->{bad}{critical}) }],
    'no expiry'          => ['401', sub { post(call('add'), token => $known->{bad}{'no expiry'}) }],
    'two tokens'         => ['400', sub { post(call('add'), headers => ['Authorization: Bearer ' . good()]) }],
    'empty Bearer'       => ['400', sub { post(call('add'), token => '') }],
    'token in the query' => ['400', sub { post(call('add'), target => '/mcp?access_token=' . good()) }],
    'long token'         => ['400|401|431', sub { post(call('add'), token => junk(17000)) }],
);
my %BODIES = (
    'denied tool'        => ['403', sub { post(call('danger')) }],
    'denied method'      => ['403', sub { post('{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"file:///HOSTILE"}}') }],
    'malformed'          => ['400', sub { post(substr call('add'), 0, -2) }],
    'not JSON'           => ['400', sub { post('HOSTILE') }],
    'empty'              => ['400', sub { post('') }],
    'duplicate'          => ['400', sub { post(call('add', ',"method":"tools/call"')) }],
    'duplicate inside'   => ['400', sub { post(call('add') =~ s/"note"/"note":1,"note"/r) }],
    'variant'            => ['400', sub { post(call('add', ',"Method":"tools/list"')) }],
    'trailing'           => ['400', sub { post(call('add') . '{}') }],
    'byte order mark'    => ['400', sub { post("\xef\xbb\xbf" . call('add')) }],
    'NUL'                => ['400', sub { post(call("add\0")) }],
    'bad UTF-8'          => ['400', sub { post(call('add') =~ s/HOSTILE/HOSTILE\xc0\xaf/r) }],
    'surrogate'          => ['400', sub { post(call('add') =~ s/HOSTILE/HOSTILE\\ud800/r) }],
    'deep'               => ['400', sub { post('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":' . '[' x 100 . ']' x 100 . '}}') }],
    'batch'              => ['400', sub { post('[' . call('add') . ']') }],
    'mirrored'           => ['400', sub { post(call('danger'), headers => ['MCP-Protocol-Version: 2026-07-28', 'Mcp-Method: tools/call', 'Mcp-Name: add']) }],
    'text'               => ['415', sub { post(call('add'), type => 'text/plain') }],
    'no type'            => ['415', sub { post(call('add'), type => 0) }],
    'UTF-16'             => ['415', sub { post(call('add'), type => 'application/json; charset=utf-16') }],
    'compressed'         => ['415', sub { post(call('add'), headers => ['Content-Encoding: gzip']) }],
    'too long'           => ['413', sub { post(call('add') . $BIG) }],
    'too long in chunks' => ['413', sub { chunked(chunk(call('add')) . chunk($BIG) . "0\r\n\r\n") }],
    'GET with a body'    => ['400', sub { post(call('add'), verb => 'GET') }],
    'PUT'                => ['405', sub { post(call('add'), verb => 'PUT') }],
    'Origin'             => ['403', sub { post(call('add'), headers => ['Origin: https://evil.test']) }],
    # What counts is the chunked body, which is empty; the rest is a request without a token, or none at all.
    'both lengths'       => ['400|400 40[01]', sub { my $in = "0\r\n\r\n" . post(call('add'), token => undef); post($in, headers => ['Transfer-Encoding: chunked'], follow => 1) }],
    'two lengths'        => ['400', sub { post(call('add'), headers => ['Content-Length: 3']) }],
    'negative length'    => ['400', sub { post(call('add'), length => -5) }],
    'odd chunk size'     => ['400', sub { chunked("zz\r\n" . call('add') . "\r\n0\r\n\r\n") }],
    'huge chunk size'    => ['400|413', sub { chunked("FFFFFFFFFFFFFFFFF\r\n" . call('add') . "\r\n0\r\n\r\n") }],
    'signed chunk size'  => ['400', sub { chunked('+' . chunk(call('add') =~ s/.\z//r) . "0\r\n\r\n") }],
    'chunk cut short'    => ['400', sub { chunked(chunk(substr call('add'), 0, 40) . "0\r\n\r\n") }],
    'other coding'       => ['400|501', sub { chunked(chunk(call('add')) . "0\r\n\r\n") =~ s/Encoding: chunked/Encoding: chunked, gzip/r }],
    'pipelined'          => ['200 401 200', sub { honest(follow => 1) . post(call('add'), token => junk(80), follow => 1) . honest() }],
    'pipelined, denied'  => ['200 403 200', sub { honest(follow => 1) . post(call('danger'), follow => 1) . honest() }],
    '100-continue'       => ['401', sub { post(call('add'), token => junk(90), headers => ['Expect: 100-continue']) }],
);
my %SLOW = (
    'slow and malformed' => ['400', sub { my $t = post(call('add') . '}'); map { ($_, \0.01) } $t =~ /(.{1,60})/gs }],
    'slow and denied'    => ['403', sub { my $t = post(call('danger')); map { ($_, \0.01) } $t =~ /(.{1,60})/gs }],
    'too slow'           => ['408|400', sub { my $t = post(call('add')); (substr($t, 0, -90), map { ($_, \0.5) } split //, substr $t, -90) }],
);
my %LEAVING = (
    'half a head'        => ['', sub { (substr(post(call('add')), 0, 60), \0.05) }],
    'half a body'        => ['', sub { (substr(post(call('add')), 0, -30), \0.1) }],
    'half a big body'    => ['', sub { (substr(post(call('add') . $BIG, length => 1000 * 1024), 0, 500_000), \0.05) }],
    'half a chunk'       => ['', sub { (substr(chunked(chunk(call('add'))), 0, -40), \0.1) }],
    'before the answer'  => ['', sub { honest() }],
);
my @WORK = (\%TOKENS, \%BODIES, \%SLOW, \%LEAVING);

sub names { map { my $k = $_; map { [$_, $k->{$_}[0]] } sort keys %$k } @WORK }

# --- processes ---------------------------------------------------------------------------------------------

# A turn: each attack of one kind, in any order.
sub start {
    my ($class, %o) = @_;
    my $self = bless { owner => $$, dir => $o{dir}, pids => [] }, $class;
    for my $n (0 .. $#WORK) {
        defined(my $pid = fork) or die "fork: $!";
        if (!$pid) {
            $SIG{PIPE} = 'IGNORE';
            $SIG{$_} = 'DEFAULT' for qw(INT HUP __DIE__);
            $SIG{TERM} = sub { $ended = 1 };
            ($PORT, $FILE) = @o{qw(port tokens)};
            eval { work($WORK[$n], $o{pause}[$n], "$o{dir}/hostile-$n.json"); 1 } or print STDERR "hostile: $@";
            POSIX::_exit(0);
        }
        push @{ $self->{pids} }, $pid;
    }
    return $self;
}

sub stop {
    my $self = shift;
    my @pids = splice @{ $self->{pids} };
    kill TERM => @pids;
    waitpid $_, 0 for @pids;
    my %all;
    for my $n (0 .. $#WORK) {
        open my $fh, '<', "$self->{dir}/hostile-$n.json" or die "hostile-$n.json: $!\n";
        local $/;
        %all = (%all, %{ JSON::PP::decode_json(<$fh>) });
    }
    return \%all;
}

sub DESTROY {
    my $self = shift;
    return unless $$ == $self->{owner};
    local ($?, $@);
    kill KILL => @{ $self->{pids} };
    waitpid $_, 0 for @{ $self->{pids} };
}

sub work {
    my ($attacks, $pause, $file) = @_;
    my %count;
    srand $$;
    while (!$ended && getppid != 1) {
        for my $name (sort { rand() <=> 0.5 } keys %$attacks) {
            last if $ended;
            reread();
            $count{$name}{ attack($attacks->{$name}[1], $attacks == \%LEAVING) }++;
            sleep $pause if $pause && !$ended;
        }
    }
    open my $fh, '>', $file or die "$file: $!";
    print $fh JSON::PP::encode_json(\%count);
    close $fh;
}

sub reread {
    return if $known && time - $read_at < 0.3;
    open my $fh, '<', $FILE or die "$FILE: $!";
    local $/;
    ($known, $read_at) = (JSON::PP::decode_json(<$fh>), time);
}

# The statuses that came back.
sub attack {
    my ($make, $leave) = @_;
    my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $PORT, Timeout => 5) or return 'no connection';
    binmode $sock;
    $sock->blocking(0);
    my ($got, $deadline) = ('', time + 15);
  STEP: for my $step ($make->()) {
        if (ref $step) {
            sleep $$step;
            my $n = sysread $sock, $got, 65536, length $got;
            last if defined $n || length $got;    # the answer is there, or nobody any more
            next;
        }
        for (my $at = 0; $at < length $step;) {
            my $n = syswrite $sock, $step, length($step) - $at, $at;
            $at += $n // 0;
            next if defined $n;
            last STEP if !$!{EAGAIN} || time > $deadline;
            my $r = '';
            vec($r, fileno $sock, 1) = 1;
            select my $rr = $r, my $w = $r, undef, 1;
            # Refused before all was sent: the rest goes on as long as it is read.
            sysread $sock, $got, 65536, length $got if vec $rr, fileno $sock, 1;
        }
    }
    if ($leave) {
        setsockopt $sock, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0 if rand() < 0.5;
        close $sock;
        return '';
    }
    while (time < $deadline) {
        my $r = '';
        vec($r, fileno $sock, 1) = 1;
        next unless select $r, undef, undef, 0.5;
        my $n = sysread $sock, $got, 65536, length $got;
        last if defined $n ? !$n : !$!{EAGAIN};
    }
    return join ' ', $got =~ m{HTTP/1\.1 (\d\d\d)}g;
}

1;
