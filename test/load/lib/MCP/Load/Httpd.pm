package MCP::Load::Httpd;
# An httpd with a configuration and a directory of its own, and what can be done to it and seen of it from outside.
#
#   my $h = MCP::Load::Httpd->new(dir => DIR, module => SO, httpd => PROGRAM, modules => FILE of LoadModule lines,
#       mpm => 'event', user => 'www-data' or undef, issuers => [{ iss, jwks, refresh, cooldown, timeout }], more => TEXT,
#       processes => TEXT (in place of the settings of the MPM here), locations => TEXT (in place of the one at /mcp));
#   $h->start; $h->graceful; $h->kill_child; $h->children; $h->stop;
use strict;
use warnings FATAL => 'all';
use IO::Socket::INET ();
use MCP::Keys ();
use MCP::Poll qw(wait_for);
use POSIX ();
use Time::HiRes qw(time sleep);

# As many children as there are workers for from the start, all of them replaced when one dies.
my %MPM = (
    event => {
        threads => 16,
        conf => "StartServers 4\nServerLimit 16\nThreadsPerChild 16\nThreadLimit 16\nMaxRequestWorkers 64\n"
            . "MinSpareThreads 48\nMaxSpareThreads 250\n"
    },
    prefork => {
        threads => 1,
        conf => "StartServers 32\nServerLimit 64\nMaxRequestWorkers 32\nMinSpareServers 31\nMaxSpareServers 64\n"
    },
);

# A port of 127.0.0.1 below the range from which the kernel takes ports for outgoing connections.
sub free_port {
    for (1 .. 200) {
        my $port = 10000 + int rand 20000;
        my $sock = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1) or next;
        close $sock;
        return $port;
    }
    die "no free port\n";
}

sub new {
    my ($class, %o) = @_;
    my $self = bless { owner => $$, threads => ($MPM{ $o{mpm} } // {})->{threads}, %o }, $class;
    $self->{port} //= free_port();
    mkdir $_ or die "$_: $!" for $self->{dir}, "$self->{dir}/run", "$self->{dir}/htdocs";
    MCP::Keys::write_file("$self->{dir}/htdocs/hello.json", qq({"jsonrpc":"2.0","id":1,"result":{}}\n));
    MCP::Keys::write_file("$self->{dir}/httpd.conf", $self->conf);
    return $self;
}

sub issuer_conf {
    my $i = shift;
    return join "\n", qq(<McpOAuthIssuer "$i->{iss}">), "McpOAuthJwks $i->{jwks}",
        $i->{refresh} ? "McpOAuthKeyRefresh $i->{refresh}" : (), $i->{timeout} ? "McpOAuthHTTPTimeout $i->{timeout}" : (),
        $i->{cooldown} ? "McpOAuthKeyCooldown $i->{cooldown}" : (), "</McpOAuthIssuer>\n";
}

sub conf {
    my $self = shift;
    my $dir = $self->{dir};
    return join "\n", qq(ServerRoot "$dir"), qq(DefaultRuntimeDir "$dir/run"), qq(PidFile "$dir/run/httpd.pid"),
        "ServerName http://localhost:$self->{port}", "Listen 127.0.0.1:$self->{port}",
        $self->{user} ? ("User $self->{user}", "Group $self->{user}") : (),
        MCP::Keys::run('cat', $self->{modules}), qq(LoadModule mcp_oauth_module "$self->{module}"),
        qq(DocumentRoot "$dir/htdocs"), qq(ErrorLog "$dir/error.log"), 'LogLevel notice mcp_oauth:warn',
        'KeepAlive On', 'KeepAliveTimeout 5', 'MaxKeepAliveRequests 0', $self->{processes} // $MPM{ $self->{mpm} }{conf}, $self->{more} // '',
        '<Directory "/">', 'Require all granted', 'AllowOverride None', '</Directory>',
        (map { issuer_conf($_) } @{ $self->{issuers} }), $self->{locations} // (
        '<Location "/mcp">', 'McpOAuth On', 'McpOAuthIssuer ' . join(' ', map { $_->{iss} } @{ $self->{issuers} }),
        'McpOAuthAudience https://load.test/mcp', '</Location>', qq(Alias "/mcp" "$dir/htdocs/hello.json")), '';
}

sub start {
    my $self = shift;
    my $before = $self->resumed;
    defined(my $pid = fork) or die "fork: $!";
    if (!$pid) {
        POSIX::setsid();
        open STDOUT, '>>', "$self->{dir}/httpd.out";
        open STDERR, '>&', \*STDOUT;
        exec $self->{httpd}, '-f', "$self->{dir}/httpd.conf", '-DFOREGROUND' or POSIX::_exit(127);
    }
    $self->{pid} = $pid;
    my $deadline = time + 20;
    while (time < $deadline) {
        return $self if $self->resumed > $before && IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port});
        last if waitpid($pid, POSIX::WNOHANG()) == $pid && delete $self->{pid};
        sleep 0.05;
    }
    die "httpd did not start: " . substr(slurp("$self->{dir}/httpd.out") . $self->log, -600) . "\n";
}

# Ends it at once, its children included; false if it had to be killed.
sub stop {
    my ($self, $patience) = @_;
    my $pid = delete $self->{pid} or return 1;
    kill TERM => $pid;
    my $deadline = time + ($patience // 20);
    while (time < $deadline) {
        return 1 if waitpid($pid, POSIX::WNOHANG()) == $pid;
        sleep 0.05;
    }
    kill KILL => -$pid, $pid;
    waitpid $pid, 0;
    return 0;
}

sub DESTROY {
    my $self = shift;
    local ($?, $@);
    $self->stop(3) if $$ == $self->{owner};
}

# A graceful restart; returns once the new generation serves and the old one is gone.
sub graceful {
    my $self = shift;
    my ($before, %old) = ($self->resumed, map { $_ => 1 } $self->children);
    kill USR1 => $self->{pid};
    wait_for(20, sub { $self->resumed > $before }) or die "no graceful restart within 20 s\n";
    wait_for(20, sub { !grep { $old{$_} } $self->children }) or die "after 20 s children of the old generation are still there\n";
}

# A graceful restart beside open streams, whose children stay: returns once the new generation serves.
sub reload {
    my $self = shift;
    my $before = $self->resumed;
    kill USR1 => $self->{pid};
    wait_for(20, sub { $self->resumed > $before }) or die "no graceful restart within 20 s\n";
}

# kill -9 of any one; returns once it is gone and others are there. Others may end by themselves at the same time.
sub kill_child {
    my $self = shift;
    my @now;
    wait_for(15, sub { @now = $self->children }) or die "httpd has no children\n";
    my $victim = $now[rand @now];
    kill KILL => $victim;
    wait_for(15, sub { my @c = $self->children; @c && !grep { $_ == $victim } @c })
        or die "after 15 s there is no new child in place of the killed one\n";
}

sub children {
    my $self = shift;
    return map { /^(\d+) \(.*\) [^Z] (\d+)/s && $2 == $self->{pid} ? $1 : () } map { slurp($_) } glob '/proc/[0-9]*/stat';
}

# pid => [descriptors, KiB resident] of the parent and of each child
sub sizes {
    my $self = shift;
    my %size;
    for my $pid ($self->{pid}, $self->children) {
        opendir my $fds, "/proc/$pid/fd" or next;
        my $n = grep { /^\d+$/ } readdir $fds;
        my ($rss) = slurp("/proc/$pid/status") =~ /^VmRSS:\s+(\d+)/m;
        $size{$pid} = [$n, $rss // 0];
    }
    return %size;
}

sub log     { slurp("$_[0]{dir}/error.log") }
sub resumed { scalar(() = $_[0]->log =~ /resuming normal operations/g) }

# Lines of the log that tell of a crash; kill -9 is our own doing.
sub crashes {
    my $self = shift;
    return grep { /exit signal|AH00052|Sanitizer|stack smashing/ && !/exit signal Killed \(9\)/ } split /\n/,
        $self->log . slurp("$self->{dir}/httpd.out");
}

sub slurp {
    my $name = shift;
    open my $fh, '<', $name or return '';
    local $/;
    no warnings;    # a process may end while its file is being read
    return scalar(<$fh>) // '';
}

1;
