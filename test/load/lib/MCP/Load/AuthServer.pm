package MCP::Load::AuthServer;
# MCP::AuthServer that also knows when each request came, and counts quickly.
use strict;
use warnings FATAL => 'all';
use parent 'MCP::AuthServer';
use MIME::Base64 ();
use Time::HiRes qw(time);

sub note {
    my ($self, $what, $text) = @_;
    return $self->SUPER::note($what, $text) unless $what eq 'requests';
    my ($path) = MIME::Base64::decode_base64($text) =~ /^\S+ ([^\s?]*)/;
    return $self->SUPER::note('fetches', sprintf '%.3f %s', time, $path // '');
}

# When the path was asked for (any path without one).
sub fetched_at {
    my ($self, $path) = @_;
    return map { /^(\S+) (.*)$/ && (!defined $path || $2 eq $path) ? $1 : () } $self->noted('fetches');
}

sub count { scalar(my @all = fetched_at(@_)) }

1;
