package MCP::Load::Check;
# Verdicts of one run: a line for each, and the counts in a file for the script that started it.
#
#   my $check = MCP::Load::Check->new("$dir/result");
#   $check->ok($good, 'R12: nothing lost');
use strict;
use warnings FATAL => 'all';
use MCP::Keys ();

sub new { my ($class, $file) = @_; bless { file => $file, passed => 0, failed => 0 }, $class }

sub ok {
    my ($self, $good, $text) = @_;
    $self->{ $good ? 'passed' : 'failed' }++;
    printf "%-4s %s\n", $good ? 'ok' : 'FAIL', $text;
    MCP::Keys::write_file($self->{file}, "$self->{passed} $self->{failed}\n");
    return $good;
}

1;
