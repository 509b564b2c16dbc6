package MCP::CacheServer;
# A real Redis or memcached that a test starts, reads and writes behind httpd's back.
#
#   my $cache = MCP::CacheServer->start('redis', port('cache_server'));
#   $cache->names; $cache->get($name); $cache->put($name, $bytes); $cache->remove($name);
#   $cache->seconds($name);    # until it is gone there
#   $cache->down; $cache->up; $cache->stop; $cache->continue;
use strict;
use warnings FATAL => 'all';
use File::Temp ();
use IO::Socket::INET ();
use MCP::Poll qw(wait_for);
use MCP::Test ();
use POSIX ();
use Time::HiRes ();

my %PROGRAM = (redis => 'redis-server', memcache => 'memcached');

# The program, or undef.
sub program {
    my $name = $PROGRAM{ $_[0] };
    return (grep { -x } map { "$_/$name" } split(/:/, $ENV{PATH} // ''), '/usr/sbin', '/usr/local/bin')[0];
}

sub start {
    my ($class, $kind, $port) = @_;
    my $self = bless { kind => $kind, port => $port, owner => $$, dir => File::Temp->newdir(TMPDIR => 1) }, $class;
    return $self->up;
}

sub up {
    my $self = shift;
    my @command = $self->{kind} eq 'redis'
        ? ('--bind', '127.0.0.1', '--port', $self->{port}, '--dir', $self->{dir}, '--save', '', '--appendonly', 'no', '--daemonize', 'no')
        : ('-l', '127.0.0.1', '-p', $self->{port}, '-U', '0', '-o', 'no_lru_maintainer', $> == 0 ? ('-u', MCP::Test::vars('user')) : ());
    defined(my $pid = fork) or die "fork: $!";
    if (!$pid) {
        open STDOUT, '>>', "$self->{dir}/log";
        open STDERR, '>&', \*STDOUT;
        exec program($self->{kind}), @command or POSIX::_exit(1);
    }
    $self->{pid} = $pid;
    wait_for(30, sub { eval { $self->names; 1 } }) or die "$self->{kind} does not start:\n" . MCP::Test::slurp("$self->{dir}/log");
    return $self;
}

# At once and without a word, as when a machine dies. What it held is gone.
sub down {
    my $self = shift;
    my $pid = delete $self->{pid} or return $self;
    kill KILL => $pid;
    waitpid $pid, 0;
    return $self;
}

sub stop     { kill STOP => $_[0]{pid}; $_[0] }
sub continue { kill CONT => $_[0]{pid}; $_[0] }

sub DESTROY {
    my $self = shift;
    local ($?, $@);
    $self->down if $$ == $self->{owner};
}

# --- its protocol: a connection for each question

sub ask {
    my ($self, $text, $read) = @_;
    my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}, Timeout => 5) or die "$self->{kind}: $!\n";
    binmode $sock;
    print $sock $text;
    my $answer = $read->($sock);
    close $sock;
    return $answer;
}

sub line { my $sock = shift; my $line = <$sock> // die "no answer\n"; $line =~ s/\r\n\z//; return $line }

# Redis: RESP.
sub redis {
    my ($self, @words) = @_;
    return $self->ask(join('', '*' . @words . "\r\n", map { '$' . length($_) . "\r\n$_\r\n" } @words), \&redis_value);
}

sub redis_value {
    my $sock = shift;
    my ($type, $rest) = line($sock) =~ /\A([-+:\$*])(.*)\z/s or die "no RESP\n";
    die "redis: $rest\n" if $type eq '-';
    return $rest if $type =~ /[+:]/;
    return undef if $rest < 0;
    return [map { redis_value($sock) } 1 .. $rest] if $type eq '*';
    my $value;
    read $sock, $value, $rest + 2;
    return substr $value, 0, $rest;
}

# memcached: lines up to the last one.
sub memcache {
    my ($self, $text, $last) = @_;
    return $self->ask("$text\r\n", sub {
        my $sock = shift;
        my @lines;
        do { push @lines, line($sock) } until $lines[-1] =~ /\A(?:$last|ERROR|CLIENT_ERROR.*|SERVER_ERROR.*)\z/;
        die "memcached: $lines[-1]\n" if $lines[-1] =~ /\A(?:ERROR|CLIENT_ERROR|SERVER_ERROR)/;
        return \@lines;
    });
}

# [name, when it ends] of all that it holds. That a dump shows all takes no_lru_maintainer.
sub items {
    my $self = shift;
    my %class = map { /\ASTAT items:(\d+):/ ? ($1 => 1) : () } @{ $self->memcache('stats items', 'END') };
    my @lines = map { @{ $self->memcache("stats cachedump $_ 0", 'END') } } sort keys %class;
    return map { /\AITEM (\S+) \[\d+ b; (\d+) s\]/ ? [$1, $2] : () } @lines;
}

sub names {
    my $self = shift;
    return sort @{ $self->redis('KEYS', '*') } if $self->{kind} eq 'redis';
    return sort map { $_->[0] } $self->items;
}

sub get {
    my ($self, $name) = @_;
    return $self->redis('GET', $name) if $self->{kind} eq 'redis';
    return $self->ask("get $name\r\n", sub {
        my $sock = shift;
        my ($length) = line($sock) =~ /\AVALUE \S+ \d+ (\d+)/ or return undef;
        my $value;
        read $sock, $value, $length;
        return $value;
    });
}

# For long enough.
sub put {
    my ($self, $name, $value) = @_;
    return $self->redis('SETEX', $name, 600, $value) if $self->{kind} eq 'redis';
    return $self->memcache("set $name 0 600 " . length($value) . "\r\n$value", 'STORED');
}

sub remove {
    my ($self, $name) = @_;
    return $self->redis('DEL', $name) if $self->{kind} eq 'redis';
    return $self->memcache("delete $name", 'DELETED|NOT_FOUND');
}

sub seconds {
    my ($self, $name) = @_;
    return $self->redis('TTL', $name) if $self->{kind} eq 'redis';
    my ($item) = grep { $_->[0] eq $name } $self->items;
    return $item ? $item->[1] - time : undef;
}

1;
