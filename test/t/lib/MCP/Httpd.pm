package MCP::Httpd;
# A second httpd with a configuration, a runtime directory and limits of its own, for what the suite's httpd must not suffer.
#
#   my $httpd = MCP::Httpd->start(port('machine_httpd'), conf => '<McpOAuthIssuer ...', shim => 1);
#   $httpd->clock(+3600); $httpd->resolve('127.0.0.2');    # with shim (and address, for the start): see tools/shim.c
#   $httpd->children; $httpd->cpu; $httpd->limit($pid, nofile => 10);
#   $httpd->log; $httpd->lines(qr/MCP0311/);
# It listens on 127.0.0.1 and ends with the object. Errors go to the file that log reads; with logger => 1 through a pipe to a
# program that writes it, whose pid logger returns; with error_log => NAME to that file instead.
use strict;
use warnings FATAL => 'all';
use File::Temp ();
use MCP::Test;
use POSIX ();
use Time::HiRes qw(time sleep);

# What httpd starts for a log; everything else below it is a child.
my $PROGRAM = qr/^(?:sh|dash|bash|perl\S*)$/;

sub start {
    my ($class, $port, %opt) = @_;
    my $dir = File::Temp->newdir(DIR => vars('t_dir'));
    my $self = bless { port => $port, dir => $dir, owner => $$, %opt }, $class;
    chmod 0755, $dir;    # its children are not root
    mkdir "$dir/htdocs";
    -f (vars('mcp_shim') // '') or die "not built: tools/shim.so (MCP_SHIM)\n" if $opt{shim};
    $self->state(0, $opt{address} // '') if $opt{shim};
    write_file("$dir/httpd.conf", $self->configuration);
    return $self->up;
}

sub configuration {
    my $self = shift;
    my ($dir, $modules) = ($self->{dir}, vars('httpd_conf'));
    my $as = $> == 0 ? "User " . vars('user') . "\nGroup " . vars('group') . "\n" : '';
    my $log = $self->{error_log} // ($self->{logger} ? "|$^X $dir/logger.pl $dir/error_log" : "$dir/error_log");
    write_file("$dir/logger.pl", 'open my $out, ">>", shift or die; while (sysread STDIN, $_, 65536) { syswrite $out, $_ }' . "\n");
    return <<END;
Include "$modules"
ServerRoot "$dir"
DefaultRuntimeDir "$dir"
PidFile "$dir/httpd.pid"
DocumentRoot "$dir/htdocs"
CoreDumpDirectory "$dir"
ServerName localhost
Listen 127.0.0.1:$self->{port}
${as}TypesConfig /dev/null
ErrorLog "$log"
LogLevel info mcp_oauth:trace8
KeepAliveTimeout 60
<IfModule !mpm_prefork_module>
    StartServers 2
    ServerLimit 2
    ThreadsPerChild 8
    MinSpareThreads 1
    MaxSpareThreads 16
    MaxRequestWorkers 16
</IfModule>
<IfModule mpm_prefork_module>
    StartServers 4
    MinSpareServers 1
    MaxSpareServers 4
    ServerLimit 4
    MaxRequestWorkers 4
</IfModule>
<Directory "/">
    AllowOverride None
</Directory>
<Location "/m">
    SetHandler server-status
    McpOAuth On
    McpOAuthInspect Off
    McpOAuthResource https://mcp.test/m
</Location>
$self->{conf}
END
}

# Starts, and returns when its children are there. Dies with the reason when they do not come.
sub up {
    my $self = shift;
    my $dir = $self->{dir};
    defined(my $pid = fork) or die "fork: $!";
    if (!$pid) {
        POSIX::setsid();    # prefork ends its whole process group
        open STDOUT, '>>', "$dir/stderr";
        open STDERR, '>&', \*STDOUT;
        if ($self->{shim}) {
            $ENV{MCP_SHIM_STATE} = "$dir/state";
            $ENV{LD_PRELOAD} = join ' ', grep { length } $ENV{LD_PRELOAD} // '', vars('mcp_shim');
        }
        exec vars('httpd'), '-f', "$dir/httpd.conf", '-DFOREGROUND' or POSIX::_exit(1);
    }
    $self->{pid} = $pid;
    my $least = vars('mcp_mpm') eq 'prefork' ? 4 : 2;
    my $gone;
    wait_for(30, sub { ($gone = waitpid($pid, POSIX::WNOHANG()) == $pid) || $self->children >= $least && $self->listens })
        && !$gone or die "httpd does not start:\n" . slurp("$dir/stderr") . $self->log;
    return $self;
}

sub listens { my $self = shift; eval { connection($self->{port})->close; 1 } }

sub down {
    my $self = shift;
    my $pid = delete $self->{pid} or return $self;
    kill TERM => $pid;
    if (!wait_for(30, sub { waitpid($pid, POSIX::WNOHANG()) == $pid })) {
        kill KILL => $self->children($pid), $pid;
        waitpid $pid, 0;
    }
    return $self;
}

sub DESTROY {
    my $self = shift;
    local ($?, $@);
    $self->down if $$ == $self->{owner};
}

# --- the shim

# In place: httpd has mapped the file.
sub state {
    my ($self, $offset, $address) = @_;
    @$self{qw(offset address)} = ($offset, $address);
    open my $fh, -e "$self->{dir}/state" ? '+<' : '>', "$self->{dir}/state" or die "state: $!";
    syswrite $fh, pack 'q a56', $offset, $address;
    return $self;
}

sub clock   { my ($self, $offset)  = @_; $self->state($offset, $self->{address}) }
sub resolve { my ($self, $address) = @_; $self->state($self->{offset}, $address) }

# --- its processes

# [pid, command, CPU seconds] of the processes whose parent it is.
sub processes {
    my ($self, $parent) = @_;
    $parent //= $self->{pid};
    my @found;
    for my $file (glob '/proc/[0-9]*/stat') {
        open my $fh, '<', $file or next;
        my ($pid, $command, $rest) = (<$fh> // '') =~ /^(\d+) \((.*)\) (.*)/ or next;
        my ($state, $ppid, @more) = split ' ', $rest;
        push @found, [$pid, $command, ($more[9] + $more[10]) / POSIX::sysconf(POSIX::_SC_CLK_TCK())]
            if $ppid == $parent && $state !~ /[ZX]/;
    }
    return sort { $a->[0] <=> $b->[0] } @found;
}

sub servers  { my $self = shift; grep { $_->[1] !~ $PROGRAM } $self->processes(@_) }
sub children { my $self = shift; map { $_->[0] } $self->servers(@_) }
sub logger   { my $self = shift; (map { $_->[0] } grep { $_->[1] =~ $PROGRAM } $self->processes)[0] }

# CPU seconds that its children have used so far.
sub cpu { my $self = shift; my $sum = 0; $sum += $_->[2] for $self->servers; return $sum }

# Runs a command as the user that a process runs as: not even root may touch another user's limits in every container.
sub as_user_of {
    my ($self, $process, @command) = @_;
    my $status = slurp("/proc/$process/status");
    my ($uid, $gid) = map { $status =~ /^$_:\t(\d+)/m ? $1 : die "no $_ of process $process\n" } qw(Uid Gid);
    defined(my $pid = open my $out, '-|') or die "fork: $!";
    if (!$pid) {
        $) = "$gid $gid" unless $>;
        exec @command if $> || POSIX::setgid($gid) && POSIX::setuid($uid);
        POSIX::_exit(1);
    }
    local $/;
    my $text = <$out> // '';
    close $out or die "@command failed\n";
    return $text;
}

# Sets the soft limit of a resource of prlimit(1) for a process, and returns what it was.
sub limit {
    my ($self, $pid, $resource, $soft) = @_;
    my ($was) = $self->as_user_of($pid, qw(prlimit --noheadings --output SOFT), "--$resource", '--pid', $pid) =~ /(\S+)/;
    $self->as_user_of($pid, 'prlimit', "--$resource=$soft:", '--pid', $pid);
    return $was;
}

# The lowest descriptor that a process does not use.
sub free_descriptor {
    my ($self, $pid) = @_;
    my %used = map { $_ => 1 } split ' ', $self->as_user_of($pid, 'ls', "/proc/$pid/fd");
    my $free = 0;
    $free++ while $used{$free};
    return $free || die "the descriptors of process $pid cannot be seen\n";
}

# --- its log

sub log { my $self = shift; my $file = "$self->{dir}/error_log"; -e $file ? slurp($file) : '' }
sub lines { my ($self, $re) = @_; grep { $_ =~ $re } split /\n/, $self->log }

1;
