package MCP::Load::Cpu;
# How much of the machine was ours between two moments: what other programs take is no fault of what is measured.
#
#   my $begin = MCP::Load::Cpu::now(@pids);
#   my ($share, $seconds) = MCP::Load::Cpu::since($begin, @pids);    # of all CPUs left to us, 0 to 1; CPU time of the pids
use strict;
use warnings FATAL => 'all';
use POSIX ();
use MCP::Load::Httpd ();

sub now {
    my @ticks = split ' ', (MCP::Load::Httpd::slurp('/proc/stat') =~ /^cpu +(.*)/)[0];
    my %now = (all => 0, busy => $ticks[0] + $ticks[1] + $ticks[2] + $ticks[7]);    # user, nice, system, steal
    $now{all} += $_ for @ticks[0 .. 7];
    for (@_) {
        my ($user, $system) = (split ' ', MCP::Load::Httpd::slurp("/proc/$_/stat") =~ s/.*\) //sr)[11, 12];
        $now{ours} += ($user // 0) + ($system // 0);
    }
    return \%now;
}

sub since {
    my ($begin, @pids) = @_;
    my $now = now(@pids);
    my ($ours, $all) = map { $now->{$_} - $begin->{$_} } qw(ours all);
    my $others = $now->{busy} - $begin->{busy} - $ours;
    return ($all > 0 && $others > 0 ? 1 - $others / $all : 1, $ours / POSIX::sysconf(POSIX::_SC_CLK_TCK()));
}

1;
