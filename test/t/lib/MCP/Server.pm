package MCP::Server;
# A scriptable HTTP/1.1 server on loopback for tests: a listening process, one process per connection.
# The socket is opened before fork(), so no waiting for readiness is needed.
#
#   my $s = MCP::Server->start($port, sub { my ($request, $client) = @_; … });
# $request: { method, target, path, query, version, headers => {lower => value}, lines => [[name, value], …], head, body,
# raw, n } with n the number of this request on its connection. The handler returns (STATUS, [NAME, VALUE, …], BODY), or
# nothing when it has written to $client by itself; the connection is closed then.
# What happened is kept in a directory and can be asked from the test: accepts, requests, clear.
use strict;
use warnings FATAL => 'all';
use Fcntl qw(:flock);
use File::Temp ();
use IO::Socket::INET ();
use JSON::PP ();
use MIME::Base64 ();
use POSIX ();
use Time::HiRes qw(time sleep);

sub start {
    my ($class, $port, $handler, %opt) = @_;
    my $self = bless {
        port => $port, handler => $handler, owner => $$,
        dir => File::Temp->newdir(TMPDIR => 1), %opt
    }, $class;
    return $self->up;
}

# Listens (again) on the same port, after start or down.
sub up {
    my $self = shift;
    return $self if $self->{pid};
    my $sock;
    for (1 .. 100) {
        last if $sock = IO::Socket::INET->new(LocalAddr => $self->{address} // '127.0.0.1', LocalPort => $self->{port}, Listen => 100,
            ReuseAddr => 1);
        sleep 0.05;
    }
    die "port $self->{port}: $!\n" unless $sock;
    defined(my $pid = fork) or die "fork: $!";
    if (!$pid) {
        eval { $self->serve($sock) };
        print STDERR $@ if $@;
        POSIX::_exit(1);    # skips the END blocks of the test file
    }
    close $sock;
    setpgrp $pid, $pid;    # here as well: whoever comes first
    $self->{pid} = $pid;
    return $self;
}

# Refuses connections from now on; connections that are open end.
sub down {
    my $self = shift;
    return $self unless $self->{pid};
    kill TERM => -$self->{pid}, $self->{pid};    # with the processes of its connections
    waitpid $self->{pid}, 0;
    delete $self->{pid};
    return $self;
}

sub DESTROY {
    my $self = shift;
    local ($?, $@);
    $self->down if $$ == $self->{owner};
}

sub serve {
    my ($self, $sock) = @_;
    setpgrp;
    $SIG{CHLD} = 'IGNORE';
    $SIG{TERM} = sub { POSIX::_exit(0) };
    $SIG{PIPE} = 'IGNORE';
    while (1) {
        my $client = $sock->accept or next;
        $self->note('accepts', '1');
        my $pid = fork;
        if (defined $pid && !$pid) {
            close $sock;
            eval { $self->converse($client) };
            POSIX::_exit(0);
        }
        close $client;
    }
}

sub converse {
    my ($self, $client) = @_;
    binmode $client;
    $client->autoflush(1);
    my $n = 0;
    while (my $request = read_request($client)) {
        $request->{n} = ++$n;
        $self->note('requests', MIME::Base64::encode_base64($request->{raw}, ''));
        my ($status, $headers, $body) = $self->{handler}->($request, $client);
        last unless defined $status;
        $body //= '';
        my @h = @{ $headers || [] };
        my $text = "HTTP/1.1 $status\r\n";
        my %have;
        while (my ($name, $value) = splice @h, 0, 2) { $text .= "$name: $value\r\n"; $have{ lc $name } = 1 }
        $text .= 'Content-Length: ' . length($body) . "\r\n"
            unless $have{'content-length'} || $have{'transfer-encoding'} || $status =~ /^(?:1|204|304)/;
        print $client "$text\r\n", $request->{method} eq 'HEAD' ? '' : $body;
        last if lc($request->{headers}{connection} // '') eq 'close';
    }
    close $client;
}

sub read_request {
    my $in = shift;
    my $raw = '';
    my $line = <$in>;
    return unless defined $line;
    $raw .= $line;
    my ($method, $target, $version) = $line =~ m{^(\S+) (\S+) HTTP/(\S+)} or return;
    my (@lines, %h);
    while (defined($line = <$in>)) {
        $raw .= $line;
        last if $line =~ /^\r?\n$/;
        my ($name, $value) = $line =~ /^([^:]+):[ \t]*(.*?)\r?\n$/ or next;
        push @lines, [$name, $value];
        $h{ lc $name } = exists $h{ lc $name } ? "$h{lc $name}, $value" : $value;
    }
    my ($head, $body) = ($raw, '');
    if (lc($h{'transfer-encoding'} // '') =~ /chunked/) {
        while (defined($line = <$in>)) {
            $raw .= $line;
            my $size = hex(($line =~ /^([0-9a-f]+)/i)[0] // 0);
            if (!$size) {
                while (defined($line = <$in>)) { $raw .= $line; last if $line =~ /^\r?\n$/ }
                last;
            }
            my $n = read $in, my $chunk, $size + 2;
            last unless $n;
            $raw .= $chunk;
            $body .= substr $chunk, 0, $size;
        }
    }
    elsif ($h{'content-length'}) {
        read $in, $body, $h{'content-length'};
        $raw .= $body;
    }
    my ($path, $query) = $target =~ /^([^?]*)(?:\?(.*))?$/;
    return {
        method => $method, target => $target, path => $path, query => $query, version => $version, headers => \%h,
        lines => \@lines, head => $head, body => $body, raw => $raw
    };
}

sub note {
    my ($self, $what, $text) = @_;
    open my $fh, '>>', "$self->{dir}/$what" or return;
    flock $fh, LOCK_EX;
    syswrite $fh, "$text\n";
    close $fh;
}

sub noted {
    my ($self, $what) = @_;
    open my $fh, '<', "$self->{dir}/$what" or return ();
    chomp(my @lines = <$fh>);
    return @lines;
}

sub accepts { scalar(my @all = $_[0]->noted('accepts')) }

# The requests so far, as read_request makes them, in order.
sub requests {
    my $self = shift;
    my @all;
    for ($self->noted('requests')) {
        my $raw = MIME::Base64::decode_base64($_);
        open my $in, '<', \$raw or die $!;
        push @all, read_request($in);
    }
    return @all;
}

sub clear { my $self = shift; unlink "$self->{dir}/$_" for qw(accepts requests); return $self }

1;
