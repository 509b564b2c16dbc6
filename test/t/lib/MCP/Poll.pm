package MCP::Poll;
# Waiting for what comes: with a deadline, and no longer than it takes.
use strict;
use warnings FATAL => 'all';
use Exporter 'import';
use Time::HiRes qw(time sleep);

our @EXPORT_OK = qw(wait_for);

# Calls the code every STEP seconds (0.1) until it returns true, at most SECONDS; the value, or undef.
sub wait_for {
    my ($seconds, $code, $step) = @_;
    my $deadline = time + $seconds;
    while (1) {
        my $last = time >= $deadline;    # one more look when it is over: meanwhile all may have stood still
        my $v = $code->();
        return $v if $v;
        return undef if $last;
        sleep($step // 0.1);
    }
}

1;
