package MCP::Load::Client;
# A process that sends requests and counts what comes back.
#
#   my $c = MCP::Load::Client->start(port => P, rate => 200, tokens => [...]);     # so many a second, whatever the answers do
#   my $c = MCP::Load::Client->start(port => P, clients => 8, tokens => [...]);    # each client sends when it has its answer
#   options: connections => 'close' (one per request), 'keep' (kept alive), 'both' (in turn; the default of rate);
#            make => sub { a new token } in place of tokens
#   $c->tokens(@new);       # in use from now on; returns when every request with an older one has its answer
#   $c->phase('after');     # counts into another drawer from now on
#   my %phase = $c->stop;   # drawer => { sent, codes => {200 => n}, lost => {reason => n}, retries, slow, seconds, p50, p99, max }
#
# A kept connection that the server closes between two requests is no loss: like every HTTP client, this one repeats the
# request once on a new connection if not a byte of an answer has come.
use strict;
use warnings FATAL => 'all';
use Errno qw(EINPROGRESS EAGAIN EWOULDBLOCK EINTR);
use Fcntl qw(F_SETFL O_NONBLOCK);
use JSON::PP ();
use POSIX ();
use Socket qw(:DEFAULT IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

my $PATIENCE = 10;     # seconds after which a request counts as lost
my $SLOW     = 0.5;    # seconds from which an answer counts as slow

sub start {
    my ($class, %o) = @_;
    socketpair my $mine, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "socketpair: $!";
    $_->autoflush(1) for $mine, $theirs;
    defined(my $pid = fork) or die "fork: $!";
    if (!$pid) {
        close $mine;
        $SIG{PIPE} = 'IGNORE';
        $SIG{$_} = 'DEFAULT' for qw(TERM INT HUP __DIE__);
        my $self = bless { connections => $o{clients} ? 'keep' : 'both', %o, control => $theirs }, $class;
        eval { $self->work; 1 } or print STDERR "client: $@";
        POSIX::_exit(0);    # skips the END blocks of the driver
    }
    close $theirs;
    return bless { pid => $pid, control => $mine, owner => $$ }, $class;
}

sub command {
    my ($self, $line) = @_;
    local $SIG{ALRM} = sub { die "a client does not answer\n" };
    alarm 60;
    print { $self->{control} } "$line\n";
    my $answer = readline $self->{control};
    alarm 0;
    die "a client ended by itself\n" unless defined $answer;
    return $answer;
}

sub tokens { my $self = shift; $self->command("tokens @_") }
sub phase  { my ($self, $name) = @_; $self->command("phase $name") }

sub stop {
    my $self = shift;
    my $result = JSON::PP::decode_json($self->command('stop'));
    waitpid delete $self->{pid}, 0;
    return %$result;
}

sub DESTROY {
    my $self = shift;
    return unless $self->{owner} && $self->{owner} == $$ && $self->{pid};
    local ($?, $@);
    kill KILL => $self->{pid};
    waitpid $self->{pid}, 0;
}

# --- in the process itself ---------------------------------------------------------------------------

sub work {
    my $self = shift;
    $self->{conns} = {};    # fd => connection
    $self->{idle}  = [];
    $self->{batch} = 0;     # of tokens
    $self->{open}  = {};    # batch => requests without an answer
    $self->{where} = pack_sockaddr_in($self->{port}, INADDR_LOOPBACK);
    $self->open_phase('all');
    my ($begin, $sent, $swept) = (time, 0, time);
    $self->{free} = $self->{clients} // 0;    # clients without a request
    until ($self->{ended}) {
        my $now = time;
        if (!$self->{stopping}) { $self->request for 1 .. delete $self->{free} // 0 }
        if ($self->{rate} && !$self->{stopping}) {
            for (1 .. 50) {
                last if $sent >= ($now - $begin) * $self->{rate};
                $sent++;
                $self->request;
            }
        }
        if ($now - $swept > 0.5) { $self->sweep($now); $swept = $now }
        my $pause = $self->{rate} && !$self->{stopping} ? $begin + ($sent + 1) / $self->{rate} - time : 0.2;
        $pause = 0 if $self->{free};
        $self->turn($pause < 0 ? 0 : $pause > 0.2 ? 0.2 : $pause);
        $self->reply if $self->{stopping} || $self->{waiting};
    }
}

sub open_phase {
    my ($self, $name) = @_;
    $self->{now}{seconds} = time - $self->{now}{begin} if $self->{now};
    $self->{now} = $self->{phases}{$name} = { begin => time, sent => 0, codes => {}, lost => {}, retries => 0, slow => 0, took => [] };
}

sub turn {
    my ($self, $pause) = @_;
    my ($r, $w, $control) = ('', '', fileno $self->{control});
    vec($r, $control, 1) = 1;
    for (values %{ $self->{conns} }) {
        if   ($_->{connected}) { vec($r, $_->{fd}, 1) = 1 }
        else                   { vec($w, $_->{fd}, 1) = 1 }
    }
    return unless select($r, $w, undef, $pause) > 0;
    for my $c (my @all = values %{ $self->{conns} }) {
        if    (vec $w, $c->{fd}, 1) { $self->connected($c) }
        elsif (vec $r, $c->{fd}, 1) { $self->readable($c) }
    }
    $self->obey if vec $r, $control, 1;
}

sub obey {
    my $self = shift;
    my $n = sysread $self->{control}, $self->{commands}, 65536, length($self->{commands} // '');
    POSIX::_exit(0) unless $n;    # the driver is gone
    while ($self->{commands} =~ s/^(\w+) ?(.*)\n//) {
        my ($what, $rest) = ($1, $2);
        if ($what eq 'tokens') {
            $self->{tokens}  = [split / /, $rest];
            $self->{waiting} = ++$self->{batch};
        }
        elsif ($what eq 'phase') {
            $self->open_phase($rest);
            print { $self->{control} } "done\n";
        }
        else {
            $self->{stopping} = 1;
            $self->{now}{seconds} = time - $self->{now}{begin};
        }
    }
}

# Answers a command that had to wait for requests under way.
sub reply {
    my $self = shift;
    if ($self->{waiting} && !grep { $_ < $self->{waiting} && $self->{open}{$_} } keys %{ $self->{open} }) {
        delete $self->{waiting};
        print { $self->{control} } "done\n";
    }
    return unless $self->{stopping} && !grep { $_ } values %{ $self->{open} };
    for (values %{ $self->{phases} }) {
        my @took = sort { $a <=> $b } @{ delete $_->{took} };
        ($_->{p50}, $_->{p99}, $_->{max}) = @took ? ($took[@took * 0.5], $took[@took * 0.99], $took[-1]) : (0, 0, 0);
        delete $_->{begin};
    }
    print { $self->{control} } JSON::PP::encode_json($self->{phases}), "\n";
    $self->{ended} = 1;
}

# A new request.
sub request {
    my $self = shift;
    my $n = $self->{serial}++;
    my $keep = $self->{connections} eq 'both' ? $n % 2 : $self->{connections} eq 'keep';
    my $token = $self->{make} ? $self->{make}->() : $self->{tokens}[$n / 2 % @{ $self->{tokens} }];
    my $request = {
        at => time, keep => $keep, phase => $self->{now}, batch => $self->{batch},
        text => "GET /mcp HTTP/1.1\r\nHost: localhost:$self->{port}\r\nAuthorization: Bearer $token\r\n"
            . ($keep ? "\r\n" : "Connection: close\r\n\r\n")
    };
    $self->{now}{sent}++;
    $self->{open}{ $request->{batch} }++;
    my $c = $keep ? pop @{ $self->{idle} } : undef;
    return $self->connect_for($request) unless $c;
    $c->{reused} = 1;
    $self->write($c, $request);
}

sub connect_for {
    my ($self, $request) = @_;
    socket my $sock, PF_INET, SOCK_STREAM, 0 or return $self->finished($request, undef, "socket: $!");
    fcntl $sock, F_SETFL, O_NONBLOCK;
    setsockopt $sock, IPPROTO_TCP, TCP_NODELAY, 1;
    my $c = { sock => $sock, fd => fileno $sock, in => '', request => $request };
    $self->{conns}{ $c->{fd} } = $c;
    if (connect $sock, $self->{where}) { $c->{connected} = 1; $self->write($c, $request) }
    elsif ($! != EINPROGRESS)          { $self->broken($c, "connect: $!") }
}

sub connected {
    my ($self, $c) = @_;
    local $! = unpack 'i', getsockopt $c->{sock}, SOL_SOCKET, SO_ERROR;
    return $self->broken($c, "connect: $!") if $!;
    $c->{connected} = 1;
    $self->write($c, $c->{request});
}

sub write {
    my ($self, $c, $request) = @_;
    @$c{qw(request in)} = ($request, '');
    my $n = syswrite $c->{sock}, $request->{text};
    return $self->broken($c, 'write: ' . ($n // $!)) unless defined $n && $n == length $request->{text};
}

sub readable {
    my ($self, $c) = @_;
    my $n = sysread $c->{sock}, $c->{in}, 65536, length $c->{in};
    return if !defined $n && ($! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR);
    if (!$n) {
        my $why = defined $n ? 'closed' : "$!";
        return $self->broken($c, $why) if $c->{request};
        return $self->gone($c);    # at rest: closed by the server
    }
    if (!$c->{head}) {
        my $end = index $c->{in}, "\r\n\r\n";
        return if $end < 0;
        my $head = substr $c->{in}, 0, $end;
        my ($code) = $head =~ m{^HTTP/1\.1 (\d\d\d) } or return $self->broken($c, 'no status line');
        my ($length) = $head =~ /^Content-Length:\s*(\d+)/im or return $self->broken($c, "$code without Content-Length");
        $c->{head} = { code => $code, until => $end + 4 + $length, close => scalar $head =~ /^Connection:\s*close/im };
    }
    return if length $c->{in} < $c->{head}{until};
    my ($request, $head) = (delete $c->{request}, delete $c->{head});
    $c->{in} = '';
    if   ($request->{keep} && !$head->{close}) { push @{ $self->{idle} }, $c }
    else                                       { $self->gone($c) }
    $self->finished($request, $head->{code});
}

# The connection ended before its answer had.
sub broken {
    my ($self, $c, $why) = @_;
    my $request = delete $c->{request};
    my $retry = $c->{reused} && !length $c->{in} && !$request->{again}++;
    $self->gone($c);
    return $self->finished($request, undef, $why) unless $retry;
    $request->{phase}{retries}++;
    $self->connect_for($request);
}

# With a reset, so that 1,000 connections a second leave nothing in TIME_WAIT.
sub gone {
    my ($self, $c) = @_;
    delete $self->{conns}{ $c->{fd} };
    @{ $self->{idle} } = grep { $_ != $c } @{ $self->{idle} };
    setsockopt $c->{sock}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    close $c->{sock};
}

sub finished {
    my ($self, $request, $code, $why) = @_;
    my ($phase, $took) = ($request->{phase}, time - $request->{at});
    if   ($code) { $phase->{codes}{$code}++ }
    else         { $phase->{lost}{$why}++ }
    $phase->{slow}++ if $took > $SLOW;
    push @{ $phase->{took} }, $took;
    $self->{open}{ $request->{batch} }--;
    $self->{free}++ if $self->{clients};
}

sub sweep {
    my ($self, $now) = @_;
    for my $c (my @all = values %{ $self->{conns} }) {
        next unless $c->{request} && $now - $c->{request}{at} > $PATIENCE;
        $c->{request}{again} = 1;
        $self->broken($c, "no answer within $PATIENCE s");
    }
}

1;
