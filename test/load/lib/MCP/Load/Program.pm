package MCP::Load::Program;
# A program that says "ready" and then answers each line on its standard input with one line.
#
#   my $p = MCP::Load::Program->start('./client', '--port', 8080);
#   my $answer = $p->ask('count');
#   my $result = $p->stop;      # the answer to "stop", decoded; the program ends
use strict;
use warnings FATAL => 'all';
use JSON::PP ();
use POSIX ();
use Socket qw(AF_UNIX SOCK_STREAM PF_UNSPEC);

sub start {
    my ($class, @command) = @_;
    socketpair my $mine, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "socketpair: $!";
    $mine->autoflush(1);
    defined(my $pid = fork) or die "fork: $!";
    if (!$pid) {
        close $mine;
        open STDIN,  '<&', $theirs or POSIX::_exit(127);
        open STDOUT, '>&', $theirs or POSIX::_exit(127);
        exec @command or POSIX::_exit(127);
    }
    close $theirs;
    my $self = bless { pid => $pid, control => $mine, owner => $$, name => $command[0] =~ s{.*/}{}r }, $class;
    die "$self->{name} did not start\n" unless $self->read eq "ready";
    return $self;
}

sub read {
    my $self = shift;
    local $SIG{ALRM} = sub { die "$self->{name} does not answer\n" };
    alarm 60;
    my $line = readline $self->{control};
    alarm 0;
    die "$self->{name} ended by itself\n" unless defined $line;
    chomp $line;
    return $line;
}

sub ask { my ($self, $line) = @_; print { $self->{control} } "$line\n"; return $self->read }

sub stop {
    my $self = shift;
    my $result = JSON::PP::decode_json($self->ask('stop'));
    $self->end;
    return $result;
}

# Both programs end when their standard input does.
sub end {
    my $self = shift;
    my $pid = delete $self->{pid} or return;
    close $self->{control};
    waitpid $pid, 0;
}

sub DESTROY {
    my $self = shift;
    return unless $self->{owner} == $$ && $self->{pid};
    local ($?, $@);
    kill KILL => $self->{pid};
    waitpid $self->{pid}, 0;
}

1;
