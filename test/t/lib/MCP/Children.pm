package MCP::Children;
# The processes of httpd, each asked by itself: what one has learned the others must know. For the virtual host "keys",
# which logs pid, status and X-Ask of each request.
use strict;
use warnings FATAL => 'all';
use Exporter 'import';
use MCP::Test;
use Time::HiRes qw(time sleep);

our @EXPORT = qw(children each_child all_children replace_children fill_workers busy_workers workers);

my $LOG = 'keys_children';
my $asked = 0;

# How many requests the server can work on at a time, and how many children that takes; see conf/extra.conf.in.
sub workers { vars('mcp_mpm') eq 'prefork' ? (8, 8) : (32, 4) }

# The pids of the children that live.
sub children {
    my ($parent) = slurp(vars('t_pid_file')) =~ /(\d+)/ or die "no pid\n";
    my @pids;
    for my $file (glob '/proc/[0-9]*/stat') {
        open my $fh, '<', $file or next;
        my ($pid, $state, $ppid) = (<$fh> // '') =~ /^(\d+) \(.*\) (\S) (\d+)/ or next;
        push @pids, $pid if $ppid == $parent && $state !~ /[ZX]/;
    }
    return @pids = sort { $a <=> $b } @pids;
}

# GETs /k with this token until every child has answered. { pid => [statuses] }; without the children that did not within
# 40 s. The requests are sent in halves: a child that waits for the second half takes nothing else (in prefork), so
# all get their share.
sub each_child {
    my $token = shift;
    my ($first) = workers();
    my $deadline = time + 40;
    my (%seen, $left);
    do {
        my %tags;
        my @conns = map {
            my $tag = join '-', $$, ++$asked;
            $tags{$tag} = 1;
            my ($head, $rest) = request_halves($token, $tag);
            [connection('keys')->send($head), $rest];
        } 1 .. ($first > 8 ? 16 : $first);
        sleep 0.1;
        $_->[0]->send($_->[1]) for @conns;
        $_->[0]->answer('GET') for @conns;
        $_->[0]->close for @conns;
        my @lines;    # a request is logged when its answer has been sent
        wait_for(30, sub { @lines = grep { $tags{ $_->[2] } } logged(); @lines == @conns })
            or die "requests are missing in $LOG\n";
        push @{ $seen{ $_->[0] } }, $_->[1] for @lines;
        $left = grep { !$seen{$_} } children();
    } while ($left && time < $deadline);
    return \%seen;
}

sub request_halves {
    my ($token, $tag) = @_;
    my $text = MCP::Test::request_text('keys', GET => '/k', token => $token, headers => ['X-Ask', $tag]);
    return $text =~ /\A(.*?\r\n)(.*)\z/s;
}

sub logged { map { [split] } split /\n/, slurp(MCP::Test::log_file($LOG)) }

# Every child answers with this status, and none with another.
sub all_children {
    my ($status, $token, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $seen = each_child($token);
    my @missing = grep { !$seen->{$_} } children();
    my @wrong = grep { grep { $_ != $status } @{ $seen->{$_} } } sort keys %$seen;
    ok %$seen && !@missing && !@wrong, $name or diag join '; ', map { "$_: " . join ' ', @{ $seen->{$_} || ['no answer'] } } @missing, @wrong;
}

# All workers are busy, and there are as many children as there may be: with a request for each of these tokens, of which the
# first half has been sent. [connection, second half] of each; dies if the children do not come.
sub busy_workers {
    my (undef, $children) = workers();
    my @halves = map { my ($head, $rest) = request_halves($_, 'busy'); [connection('keys')->send($head), $rest] } @_;
    wait_for(30, sub { children() >= $children }) or die "no $children children\n";
    sleep 0.3;    # until the last child has its share
    return @halves;
}

# As many children as there may be. The statuses of the requests with this token that this took.
sub fill_workers {
    my $token = shift;
    my @halves = busy_workers(($token) x (workers())[0]);
    $_->[0]->send($_->[1]) for @halves;
    return map { $_->[0]->answer('GET')->{code} } @halves;
}

# Ends all children of prefork, as a graceful restart does; the parent makes new ones. True when none of the old ones is left.
sub replace_children {
    my @old = children();
    kill USR1 => @old;
    return wait_for(30, sub { my %now = map { $_ => 1 } children(); !grep { $now{$_} } @old });
}

1;
